/*
 * callbacks.c - what Shopify asks of a fulfilment service is answered out of what the gateway
 * remembers.
 *
 *   stock: RECALL (a page of SKUs) ... -> told
 *   tracking: LINKED (names -> orders) -> for each name: RECALL by the name, else by its order
 *             -> told
 *
 * A number that is not certain is not told: Shopify asks again within the hour, and a wrong one
 * goes to the buyer.
 */
#include "receive/callbacks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ANSWER (8u << 20)
#define MAX_SPACE  (sizeof(CALLBACK_TRACKING_SPACE) + CALLBACK_MAX_SERVICE)
#define MAX_KEY    640
#define TOO_LATE   "{\"error\":\"not now\"}"

/** One question. Frees itself with its answer. */
struct asked {
    struct shopify *shop;
    sl_serve_cb cb;
    void *ctx;
    struct callback_query query;
    char space[MAX_SPACE];
    char *text; /* own: the answer so far */
    size_t len, room;
    int entries, failed;
    /* stock */
    char *after; /* own: the last key of the page before; NULL: there was none */
    /* tracking */
    char *subjects[CALLBACK_MAX_NAMES]; /* own; NULL: nobody knows the order */
    size_t at;                          /* the name in hand */
    int by_order;                       /* and it is asked for by its order now */
};

/* ---- the answer's text ---- */

static void put(struct asked *a, const char *bytes, size_t n)
{
    size_t room = a->room ? a->room : 256;
    char *more;

    while (room < a->len + n + 1)
        room *= 2;
    if (room > a->room && room <= MAX_ANSWER && (more = realloc(a->text, room))) {
        a->text = more;
        a->room = room;
    }
    if (a->failed || a->room < a->len + n + 1) {
        a->failed = 1;
        return;
    }
    memcpy(a->text + a->len, bytes, n);
    a->len += n;
}

static void put_cstr(struct asked *a, const char *s)
{
    put(a, s, strlen(s));
}

/* "name": as the next member */
static void put_name(struct asked *a, sl_str name)
{
    json_t *s = json_stringn(name.ptr, name.len);
    char *text = s ? json_dumps(s, JSON_ENCODE_ANY) : NULL;

    a->failed |= !text;
    if (a->entries++)
        put_cstr(a, ",");
    put_cstr(a, text ? text : "");
    put_cstr(a, ":");
    free(text);
    json_decref(s);
}

static void end(struct asked *a)
{
    sl_served answer = { .size = sizeof(answer), .status = 200, .body = { a->text, a->len } };

    if (a->failed)
        answer = (sl_served){ .size = sizeof(answer),
                              .status = 503,
                              .body = { TOO_LATE, strlen(TOO_LATE) } };
    a->cb(a->ctx, &answer);
    for (size_t i = 0; i < CALLBACK_MAX_NAMES; i++)
        free(a->subjects[i]);
    free(a->after);
    free(a->text);
    free(a);
}

static void fail(struct asked *a)
{
    a->failed = 1;
    end(a);
}

/* ---- stock ---- */

static sl_str without_end(sl_str key)
{
    return (sl_str){ key.ptr, key.len && key.ptr[key.len - 1] == '\n' ? key.len - 1 : key.len };
}

static void ask_stock(struct asked *a);

static void on_stock(void *ctx, sl_status status, const sl_fact *facts, size_t n)
{
    struct asked *a = ctx;

    if (status != SL_OK) {
        fail(a);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        put_name(a, without_end(facts[i].key));
        put(a, facts[i].value.ptr, facts[i].value.len);
    }
    free(a->after);
    a->after = n ? strndup(facts[n - 1].key.ptr, facts[n - 1].key.len) : NULL;
    if (n == SL_RECALL_MAX && a->after && !a->failed) {
        ask_stock(a);
        return;
    }
    put_cstr(a, "}");
    end(a);
}

static void ask_stock(struct asked *a)
{
    const sl_host *h = a->shop->host;
    char key[CALLBACK_MAX_SKU + 2];
    int n = a->query.has_sku ? snprintf(key, sizeof(key), "%s\n", a->query.sku) : 0;

    if (h->recall(h->ctx, (sl_str){ a->space, strlen(a->space) }, (sl_str){ key, (size_t)n },
                  (sl_str){ a->after, a->after ? strlen(a->after) : 0 }, on_stock, a) != SL_OK)
        fail(a);
}

/* ---- tracking numbers ---- */

/* Another name of the same order is asked for: nobody says which parcel is whose. */
static int shares_its_order(const struct asked *a)
{
    for (size_t i = 0; i < a->query.n_names; i++)
        if (i != a->at && a->subjects[i] && a->subjects[a->at] &&
            strcmp(a->subjects[i], a->subjects[a->at]) == 0)
            return 1;
    return 0;
}

static void ask_numbers(struct asked *a);

/* What stands behind the key's line end. */
static void put_number(struct asked *a, sl_str key)
{
    const char *end = memchr(key.ptr, '\n', key.len);
    size_t skip = end ? (size_t)(end - key.ptr) + 1 : key.len;
    json_t *s = json_stringn(key.ptr + skip, key.len - skip);
    char *text = s ? json_dumps(s, JSON_ENCODE_ANY) : NULL;

    a->failed |= !text;
    put_name(a, (sl_str){ a->query.names[a->at], strlen(a->query.names[a->at]) });
    put_cstr(a, text ? text : "");
    free(text);
    json_decref(s);
}

static void on_numbers(void *ctx, sl_status status, const sl_fact *facts, size_t n)
{
    struct asked *a = ctx;

    if (status != SL_OK) {
        fail(a);
        return;
    }
    /* under its own name each number is right; of an order's, the only one */
    if (n && (!a->by_order || n == 1))
        put_number(a, facts[0].key);
    if (!n && !a->by_order && a->subjects[a->at] && !shares_its_order(a)) {
        a->by_order = 1;
    } else {
        a->by_order = 0;
        a->at++;
    }
    ask_numbers(a);
}

static void ask_numbers(struct asked *a)
{
    const sl_host *h = a->shop->host;
    char key[MAX_KEY];
    int n;

    if (a->at == a->query.n_names) {
        put_cstr(a, "},\"message\":\"ok\",\"success\":true}");
        end(a);
        return;
    }
    n = snprintf(key, sizeof(key), "%s\n",
                 a->by_order ? a->subjects[a->at] : a->query.names[a->at]);
    if (n >= MAX_KEY ||
        h->recall(h->ctx, (sl_str){ a->space, strlen(a->space) }, (sl_str){ key, (size_t)n },
                  (sl_str){ 0 }, on_numbers, a) != SL_OK)
        fail(a);
}

static void on_orders(void *ctx, sl_status status, const sl_str *subjects, size_t n)
{
    struct asked *a = ctx;

    if (status != SL_OK) {
        fail(a);
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (subjects[i].len && subjects[i].len < MAX_KEY - 2)
            a->subjects[i] = strndup(subjects[i].ptr, subjects[i].len);
    ask_numbers(a);
}

static void ask_orders(struct asked *a)
{
    const sl_host *h = a->shop->host;
    sl_ref refs[CALLBACK_MAX_NAMES];

    put_cstr(a, "\"tracking_numbers\":{");
    if (a->query.n_names == 0) {
        ask_numbers(a);
        return;
    }
    for (size_t i = 0; i < a->query.n_names; i++)
        refs[i] = (sl_ref){ { CALLBACK_NAME_KIND, strlen(CALLBACK_NAME_KIND) },
                            callback_order_name(
                                (sl_str){ a->query.names[i], strlen(a->query.names[i]) }) };
    if (h->linked(h->ctx, refs, a->query.n_names, on_orders, a) != SL_OK)
        fail(a);
}

/* ---- the question ---- */

static int is_this_shop(const struct shopify *s, const char *shop)
{
    return !shop[0] || (strlen(shop) == s->shop.len && memcmp(shop, s->shop.ptr, s->shop.len) == 0);
}

sl_status shopify_serve(void *self, const sl_head *head, sl_serve_cb cb, void *cb_ctx, sl_fail *why)
{
    struct shopify *s = self;
    struct asked *a;
    sl_str service;
    enum callback_what what = callback_of(s->path_secret, head->rest, &service);

    if (what == CALLBACK_NONE || what == CALLBACK_NOTIFICATION)
        return shopify_fail(why, SL_E_UNSUPPORTED, "webhooks come by POST");
    if (what == CALLBACK_UNKNOWN)
        return SL_E_NOT_FOUND;
    if (!(a = calloc(1, sizeof(*a))))
        return SL_E_NO_MEMORY;
    a->shop = s;
    a->cb = cb;
    a->ctx = cb_ctx;
    if (!callback_query_read(head->query, &a->query)) {
        free(a);
        return shopify_fail(why, SL_E_INVALID, "the query cannot be read");
    }
    if (!is_this_shop(s, a->query.shop)) {
        free(a);
        return SL_E_NOT_FOUND;
    }
    snprintf(a->space, sizeof(a->space), "%s%.*s",
             what == CALLBACK_STOCK ? CALLBACK_STOCK_SPACE : CALLBACK_TRACKING_SPACE,
             (int)service.len, service.ptr ? service.ptr : "");
    put_cstr(a, "{");
    if (what == CALLBACK_STOCK)
        ask_stock(a);
    else
        ask_orders(a);
    return SL_OK;
}
