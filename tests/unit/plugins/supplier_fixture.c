/*
 * supplier_fixture.c - see supplier_fixture.h.
 */
#include "supplier_fixture.h"

const struct fake_setting basic[] = { BASIC, LOOKUP, { 0 } };
const struct fake_setting keyed[] = { BASIC, LOOKUP, KEYED, { 0 } };

sl_record record_at(uint32_t attempt)
{
    return (sl_record){ .size = sizeof(sl_record),
                        .attempt = attempt,
                        .delivery = fake_str("1042.0"),
                        .key = fake_str("Zk3-_9aQ"),
                        .subject = fake_str("order:acme.myshopify.com/9007199254740993"),
                        .piece = fake_str("Byron Gears"),
                        .topic = fake_str("orders/paid"),
                        .body = fake_str("{\"order\":1}"),
                        .request = fake_str("{\"frozen\": 9007199254740993}") };
}

struct fixture open_with(const struct fake_setting *settings)
{
    struct fixture x = { .plugin = sl_plugin_v0() };

    x.host = fake_host_create("byron", x.plugin->settings, settings);
    x.self = fake_host_open(x.host, x.plugin);
    return x;
}

void close_all(struct fixture *x)
{
    fake_host_close(x->host, x->plugin, x->self);
    fake_host_destroy(x->host);
}

void deliver(struct fixture *x, struct fake_done *d, uint32_t attempt)
{
    sl_record record = record_at(attempt);
    sl_batch batch = { .size = sizeof(batch), .id = 1, .records = &record, .n_records = 1 };

    fake_done_init(d, x->host, 1);
    x->plugin->deliver(x->self, NULL, &batch, &d->done);
    CHECK(!d->finished); /* nothing is told before the call has returned */
    fake_host_run(x->host);
    CHECK(d->finished);
}

void deliver_once(const struct fake_setting *settings, const struct fake_exchange *answer,
                  struct fake_done *d, uint32_t attempt)
{
    struct fixture x = open_with(settings);

    fake_host_expect(x.host, answer);
    deliver(&x, d, attempt);
    close_all(&x);
}
