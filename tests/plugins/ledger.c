/*
 * ledger.c - an adapter for tests: a shop without a secret, whose books can be gone over. Its
 * action `sweep` gets the ids that stand in the books, ["1001", "1002"], and emits each order as
 * the webhook that should have come.
 *
 * POST /in/NAME/TOPIC, with {"id":"1001"} as the body of an order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sluice/sluice.h>

#define TEXT(s)    ((sl_str){ (s), sizeof(s) - 1 })
#define ORDERS     "orders/create"
#define MOST       64
#define ORDER_SIZE 64

static const sl_action actions[] = {
    { .name = "sweep", .flags = SL_ACTION_IDEMPOTENT, .batch_records = 1, .help = "find orders" },
    { 0 },
};

static sl_status ledger_open(const sl_host *host, void **ret_self, sl_fail *fail)
{
    (void)fail;
    *ret_self = (void *)host;
    return SL_OK;
}

static void ledger_close(void *self)
{
    (void)self;
}

/* ---- as a source ---- */

static sl_status ledger_verify(void *self, const sl_head *head, sl_verdict *ret, sl_fail *fail)
{
    (void)self;
    (void)fail;
    if (head->rest.len < 2)
        return SL_E_NOT_FOUND;
    *ret = (sl_verdict){ .size = sizeof(*ret),
                         .scheme = SL_SIGNED_NOT,
                         .topic = { head->rest.ptr + 1, head->rest.len - 1 } };
    return SL_OK;
}

/** The same of a webhook and of what a sweep found. */
static sl_status ledger_describe(void *self, const sl_event *e, const sl_describe_out *out,
                                 sl_fail *fail)
{
    char text[ORDER_SIZE], id[24], subject[40];

    (void)self;
    (void)fail;
    snprintf(text, sizeof(text), "%.*s", (int)e->body.len, e->body.ptr);
    if (e->topic.len != strlen(ORDERS) || sscanf(text, "{\"id\":\"%23[0-9]\"}", id) != 1)
        return SL_OK;
    snprintf(subject, sizeof(subject), "order:%s", id);
    out->subject(out->ctx, (sl_str){ subject, strlen(subject) }, (sl_str){ 0 },
                 (sl_str){ id, strlen(id) }, NULL, 0);
    return SL_OK;
}

/* ---- the sweep ---- */

static size_t orders_of(sl_str ids, char (*ret)[ORDER_SIZE])
{
    char text[4096], id[24];
    size_t n = 0;

    snprintf(text, sizeof(text), "%.*s", (int)ids.len, ids.ptr);
    for (const char *p = text;
         n < MOST && (p = strchr(p, '"')) && sscanf(p, "\"%23[0-9]\"", id) == 1;
         p += strlen(id) + 2)
        snprintf(ret[n++], ORDER_SIZE, "{\"id\":\"%s\"}", id);
    return n;
}

static void ledger_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done)
{
    char orders[MOST][ORDER_SIZE];
    sl_emit emits[MOST];
    size_t n = orders_of(batch->records[0].body, orders);

    (void)self;
    (void)handle;
    for (size_t i = 0; i < n; i++)
        emits[i] = (sl_emit){ TEXT(ORDERS), { orders[i], strlen(orders[i]) } };
    done->outcome(done->ctx, 0,
                  &(sl_outcome){ .size = sizeof(sl_outcome),
                                 .kind = SL_DELIVERED,
                                 .emits = emits,
                                 .n_emits = n,
                                 .found = SL_FOUND_BY_RECONCILIATION });
    done->finish(done->ctx);
}

static const sl_plugin plugin = {
    .size = sizeof(plugin),
    .abi_minor = SL_ABI_MINOR,
    .name = "ledger",
    .version = "0",
    .help = "a shop whose books can be gone over",
    .actions = actions,
    .open = ledger_open,
    .close = ledger_close,
    .verify = ledger_verify,
    .describe = ledger_describe,
    .deliver = ledger_deliver,
};

SL_EXPORT const sl_plugin *sl_plugin_v0(void)
{
    return &plugin;
}
