#include "http_fixture.h"

#include <string.h>

static const struct fake_setting basic[] = { BASIC, { 0 } };

struct fixture fixture_open(const struct fake_setting *settings, const struct fake_setting *params)
{
    return fixture_open_action(0, settings, params);
}

struct fixture fixture_open_action(uint32_t action, const struct fake_setting *settings,
                                   const struct fake_setting *params)
{
    struct fixture x = { .plugin = sl_plugin_v0() };
    sl_fail fail = { .size = sizeof(fail) };
    sl_bind_in in = { .size = sizeof(in), .action = action, .values = &fake_values_api };

    x.params = fake_values_create(x.plugin->actions[action].params, params);
    in.params = x.params;
    if (x.plugin->bind(&in, &x.handle, &fail) < 0)
        fail_msg("bind: %s", fail.text);
    x.host = fake_host_create("erp", x.plugin->settings, settings ? settings : basic);
    x.self = fake_host_open(x.host, x.plugin);
    return x;
}

void fixture_close(struct fixture *x)
{
    fake_host_close(x->host, x->plugin, x->self);
    fake_host_destroy(x->host);
    x->plugin->unbind(x->handle);
    fake_values_destroy(x->params);
}

sl_record fixture_record(const char *request, uint32_t attempt)
{
    return (sl_record){ .size = sizeof(sl_record),
                        .attempt = attempt,
                        .delivery = fake_str("1042.0"),
                        .key = fake_str("Zk3-_9aQ"),
                        .subject = fake_str("order:acme.myshopify.com/9007199254740993"),
                        .piece = fake_str("Byron & Sons"),
                        .topic = fake_str("orders/paid"),
                        .body = fake_str("{\"order\":{\"id\":9007199254740993,\"name\":\"#10 01\","
                                         "\"paid\":true,\"total\":1.50,\"note\":null,"
                                         "\"a/b\":\"slash\"},\"up\":\"..\",\"empty\":\"\","
                                         "\"lines\":[\"x\",\"a\\nb\"]}"),
                        .request = fake_str(request) };
}

void fixture_prepare(struct fixture *x, struct fake_prepared *p)
{
    sl_record record = fixture_record("", 1);

    x->plugin->prepare(x->self, x->handle, &record, fake_on_prepared, p);
    fake_host_run(x->host);
    CHECK_EQ(p->calls, 1);
}

void fixture_deliver(struct fixture *x, const char *request, struct fake_done *d, uint32_t attempt)
{
    sl_record record = fixture_record(request, attempt);
    sl_batch batch = { .size = sizeof(batch), .id = 1, .records = &record, .n_records = 1 };

    fake_done_init(d, x->host, 1);
    x->plugin->deliver(x->self, x->handle, &batch, &d->done);
    fake_host_run(x->host);
    CHECK(d->finished);
}
