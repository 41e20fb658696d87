/*
 * remember.c - see remember.h. A record is done as soon as its outcome is durable, and what it says
 * with it; said again it is the same.
 */
#include "receive/remember.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "body_table.h"
#include "receive/callbacks.h"

#define MAX_SKUS    1000 /* of one record: as many as one outcome may have remembered */
#define MAX_NUMBERS 50
#define MAX_KEY     640
#define WHY_SIZE    300

struct remember {
    char service[CALLBACK_MAX_SERVICE + 1]; /* of records that name none */
};

const sl_option callback_params[] = {
    { "service", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "the fulfilment service, as in its address behind the secret, such as byron; a body's own "
      "goes before" },
    { 0 },
};

#define SERVICE_MEMBER                                                            \
    {                                                                             \
        "service", BODY_TEXT, 0, 1, CALLBACK_MAX_SERVICE,                         \
            .help = "the fulfilment service, as in its address; else the route's" \
    }

static const struct body_member sku_members[] = {
    { "sku", BODY_TEXT, BODY_REQUIRED, 1, CALLBACK_MAX_SKU, .help = "of the variant" },
    { "available", BODY_WHOLE, 0, 0, 1000000000,
      .help = "how much of it is there; without it, it is not known any more" },
    { 0 },
};
static const struct body_shape sku_shape = { .members = sku_members };

static const struct body_member stock_members[] = {
    SERVICE_MEMBER,
    { "stock", BODY_OBJECT, BODY_REQUIRED, .shape = &sku_shape, .items = MAX_SKUS,
      .help = "what Shopify is told of these SKUs from now on" },
    { 0 },
};
static const struct body_shape stock_shape = { .members = stock_members };

static const struct body_member tracking_members[] = {
    SERVICE_MEMBER,
    { "numbers", BODY_TEXT, BODY_REQUIRED, 1, CALLBACK_MAX_NUMBER, .items = MAX_NUMBERS,
      .help = "of the order's parcels" },
    { "fulfillment", BODY_TEXT, 0, 1, CALLBACK_MAX_NAME,
      .help = "whose they are, as the shop names it: #1042.1" },
    { 0 },
};
static const struct body_shape tracking_shape = { .members = tracking_members };

/* ---- a route's parameters ---- */

static sl_status bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail)
{
    struct remember *m;
    sl_str service = { 0 };

    in->values->str(in->params, "service", &service);
    if (!callback_service_is_sane(service))
        return shopify_fail(fail, SL_E_INVALID,
                            "service: it stands in an address; it wants at most %d of a-z, 0-9, "
                            "'-' and '_'",
                            CALLBACK_MAX_SERVICE);
    if (!(m = calloc(1, sizeof(*m))))
        return shopify_fail(fail, SL_E_NO_MEMORY, "out of memory");
    memcpy(m->service, service.ptr ? service.ptr : "", service.len);
    *ret_handle = m;
    return SL_OK;
}

static void unbind(void *handle)
{
    free(handle);
}

/* ---- a record ---- */

/** What one record has remembered. */
struct kept {
    char space[sizeof(CALLBACK_TRACKING_SPACE) + CALLBACK_MAX_SERVICE];
    sl_fact facts[MAX_SKUS];
    char (*texts)[MAX_KEY]; /* own: keys */
    char (*values)[24];     /* own */
    size_t n;
    char why[WHY_SIZE]; /* it is refused; empty: it is not */
};

static int begin(struct kept *k, const struct remember *m, const char *space, const json_t *body)
{
    const char *own = json_string_value(json_object_get(body, "service"));
    const char *service = own ? own : m->service;

    if (!callback_service_is_sane((sl_str){ service, strlen(service) })) {
        snprintf(k->why, sizeof(k->why), "service: no part of an address: a-z, 0-9, '-' and '_'");
        return 0;
    }
    snprintf(k->space, sizeof(k->space), "%s%s", space, service);
    return 1;
}

static void add(struct kept *k, const char *key, const char *behind, const char *value)
{
    size_t i = k->n++;
    int n = snprintf(k->texts[i], MAX_KEY, "%s\n%s", key, behind);

    snprintf(k->values[i], sizeof(k->values[i]), "%s", value);
    if (n >= MAX_KEY)
        snprintf(k->why, sizeof(k->why), "a name is longer than %d bytes", MAX_KEY);
    k->facts[i] = (sl_fact){ { k->texts[i], strlen(k->texts[i]) },
                             { k->values[i], strlen(k->values[i]) } };
}

static void keep_stock(struct kept *k, const struct shopify *s, const sl_record *record,
                       const struct remember *m, const json_t *body)
{
    const json_t *list = json_object_get(body, "stock"), *one;
    char value[24];
    size_t i;

    (void)s;
    (void)record;
    if (!begin(k, m, CALLBACK_STOCK_SPACE, body))
        return;
    json_array_foreach(list, i, one)
    {
        const json_t *available = json_object_get(one, "available");

        snprintf(value, sizeof(value), "%" JSON_INTEGER_FORMAT, json_integer_value(available));
        add(k, json_string_value(json_object_get(one, "sku")), "", available ? value : "");
    }
}

/* Parcels are known by the fulfilment's name, where it is told, else by their order. */
static void keep_tracking(struct kept *k, const struct shopify *s, const sl_record *record,
                          const struct remember *m, const json_t *body)
{
    const char *name = json_string_value(json_object_get(body, "fulfillment"));
    const json_t *list = json_object_get(body, "numbers"), *one;
    char subject[MAX_KEY];
    size_t i;
    int n = snprintf(subject, sizeof(subject), "order:%.*s/", (int)s->shop.len, s->shop.ptr);

    if (!begin(k, m, CALLBACK_TRACKING_SPACE, body))
        return;
    if (!name && (record->subject.len <= (size_t)n || record->subject.len >= sizeof(subject) ||
                  memcmp(record->subject.ptr, subject, (size_t)n) != 0)) {
        snprintf(k->why, sizeof(k->why),
                 "it is about \"%.*s\" and no order of this shop: it wants a \"fulfillment\"",
                 (int)(record->subject.len < 100 ? record->subject.len : 100),
                 record->subject.ptr ? record->subject.ptr : "");
        return;
    }
    snprintf(subject, sizeof(subject), "%.*s", (int)record->subject.len,
             record->subject.ptr ? record->subject.ptr : "");
    json_array_foreach(list, i, one) add(k, name ? name : subject, json_string_value(one), "1");
}

typedef void (*keep_fn)(struct kept *k, const struct shopify *s, const sl_record *record,
                        const struct remember *m, const json_t *body);

static void tell(const sl_done *done, size_t index, const struct kept *k)
{
    sl_facts facts = { .size = sizeof(facts),
                       .space = { k->space, strlen(k->space) },
                       .facts = k->facts,
                       .n_facts = k->n };
    sl_outcome o = { .size = sizeof(o), .kind = SL_DELIVERED, .facts = &facts };

    if (k->why[0])
        o = (sl_outcome){ .size = sizeof(o),
                          .kind = SL_REJECTED,
                          .why = { k->why, strlen(k->why) } };
    done->outcome(done->ctx, index, &o);
}

static void tell_retry(const sl_done *done, size_t index)
{
    static const char why[] = "no memory to read it";

    done->outcome(done->ctx, index,
                  &(sl_outcome){ .size = sizeof(sl_outcome),
                                 .kind = SL_RETRY,
                                 .not_sent = 1,
                                 .why = { why, sizeof(why) - 1 } });
}

static void deliver_one(const struct shopify *s, const struct remember *m, const sl_record *record,
                        const struct body_shape *shape, keep_fn keep, const sl_done *done,
                        size_t index)
{
    struct kept *k = calloc(1, sizeof(*k));
    json_t *body = NULL;
    sl_status r = SL_E_NO_MEMORY;

    if (k && (k->texts = calloc(MAX_SKUS, sizeof(*k->texts))) &&
        (k->values = calloc(MAX_SKUS, sizeof(*k->values))))
        r = body_take(record->body, shape, &body, k->why, sizeof(k->why));
    if (r == SL_OK && !SL_HAS(sl_host, s->host, recall))
        snprintf(k->why, sizeof(k->why), "this version of sluice cannot remember it");
    else if (r == SL_OK)
        keep(k, s, record, m, body);
    if (r == SL_E_NO_MEMORY)
        tell_retry(done, index);
    else
        tell(done, index, k);
    json_decref(body);
    if (k) {
        free(k->texts);
        free(k->values);
    }
    free(k);
}

static void deliver(const struct shopify *s, const struct remember *m, const sl_batch *batch,
                    const struct body_shape *shape, keep_fn keep, const sl_done *done)
{
    for (size_t i = 0; i < batch->n_records; i++)
        deliver_one(s, m, &batch->records[i], shape, keep, done, i);
    done->finish(done->ctx);
}

static void deliver_stock(void *self, void *handle, const sl_batch *batch, const sl_done *done)
{
    deliver(self, handle, batch, &stock_shape, keep_stock, done);
}

static void deliver_tracking(void *self, void *handle, const sl_batch *batch, const sl_done *done)
{
    deliver(self, handle, batch, &tracking_shape, keep_tracking, done);
}

const struct shopify_action callback_stock_action = {
    .body = &stock_shape,
    .local = 1,
    .bind = bind,
    .unbind = unbind,
    .deliver = deliver_stock,
};

const struct shopify_action callback_tracking_action = {
    .body = &tracking_shape,
    .local = 1,
    .bind = bind,
    .unbind = unbind,
    .deliver = deliver_tracking,
};
