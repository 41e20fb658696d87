/*
 * feed_bind.c - the parameters of a feed of orders, when a configuration is checked.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "feeds.h"
#include "order.h"
#include "shift_time.h"
#include "shopify.h"

#define DAY_MS INT64_C(86400000)

/* What can be told of an order. */
#define TOPICS                                                                 \
    " orders/create orders/paid orders/fulfilled orders/partially_fulfilled "  \
    "orders/cancelled orders/updated fulfillments/create fulfillments/update " \
    "refunds/create "
#define ALL_TOPICS                                                            \
    "[\"orders/create\",\"orders/paid\",\"orders/fulfilled\","                \
    "\"orders/partially_fulfilled\",\"orders/cancelled\",\"orders/updated\"," \
    "\"fulfillments/create\",\"fulfillments/update\",\"refunds/create\"]"

const sl_option feed_orders_params[] = {
    { "overlap", SL_OPT_DURATION, 0, "10m", 1000, DAY_MS, NULL,
      "read so far back again: the shop's search lags behind" },
    { "look_back", SL_OPT_DURATION, 0, NULL, 60000, 6 * DAY_MS, NULL,
      "each poll looks back so far, such as 2d for a nightly one, instead of going on from the last" },
    { "since", SL_OPT_STRING, 0, "now", 0, 0, NULL,
      "what happened before is none of the gateway's: 2026-11-01T00:00:00Z, or now: the first poll" },
    { "topics", SL_OPT_STRINGS, 0, ALL_TOPICS, 0, 0, NULL, "what is made up for" },
    { "page", SL_OPT_INT, 0, "10", 1, FEED_PAGE_MOST, NULL, "orders of one question" },
    { "points", SL_OPT_INT, 0, "25", 1, 100, NULL,
      "percent of the points that come back to the shop that it may use; half of the bucket is left "
      "in any case" },
    { 0 },
};

void feed_unbind(void *handle)
{
    struct feed *f = handle;

    if (f)
        free(f->only);
    free(f);
}

/* As one text with spaces around each. */
static sl_status read_topics(const sl_bind_in *in, struct feed *f, sl_fail *fail)
{
    sl_str text;
    json_t *list, *one;
    sl_status r = SL_OK;
    size_t i, room;

    if (in->values->json(in->params, "topics", &text) < 0)
        return SL_OK;
    list = json_loadb(text.ptr, text.len, 0, NULL);
    room = text.len + 3;
    f->only = calloc(1, room);
    if (!list || !f->only) {
        json_decref(list);
        return shopify_fail(fail, SL_E_NO_MEMORY, "out of memory");
    }
    f->only[0] = ' ';
    json_array_foreach(list, i, one)
    {
        size_t at = strlen(f->only), n = json_string_length(one);
        char *word = f->only + at;

        memcpy(word, json_string_value(one), n);
        word[n] = ' ';
        if (n == 0 || memchr(word, ' ', n) || !strstr(TOPICS, word - 1))
            r = shopify_fail(fail, SL_E_INVALID,
                             "topics: \"%.*s\" cannot be told from an order; there are:" TOPICS,
                             (int)(n < 80 ? n : 80), word);
    }
    if (r == SL_OK && json_array_size(list) == 0)
        r = shopify_fail(fail, SL_E_INVALID, "topics is empty; leave it out for all of them");
    json_decref(list);
    return r;
}

static sl_status read_since(const sl_bind_in *in, struct feed *f, sl_fail *fail)
{
    sl_str text;

    if (in->values->str(in->params, "since", &text) < 0 ||
        (text.len == 3 && memcmp(text.ptr, "now", 3) == 0) || time_ms(text, &f->since_ms) == SL_OK)
        return SL_OK;
    return shopify_fail(fail, SL_E_INVALID,
                        "since: \"%.*s\" is no time; it reads 2026-11-01T00:00:00Z, or now",
                        (int)(text.len < 80 ? text.len : 80), text.len ? text.ptr : "");
}

sl_status feed_bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail)
{
    struct feed *f = calloc(1, sizeof(*f));
    sl_status r;

    if (!f)
        return shopify_fail(fail, SL_E_NO_MEMORY, "out of memory");
    in->values->num(in->params, "overlap", &f->overlap_ms);
    in->values->num(in->params, "look_back", &f->look_back_ms);
    in->values->num(in->params, "page", &f->page);
    in->values->num(in->params, "points", &f->share);
    r = read_topics(in, f, fail);
    if (r == SL_OK)
        r = read_since(in, f, fail);
    if (r < 0) {
        feed_unbind(f);
        return r;
    }
    *ret_handle = f;
    return SL_OK;
}
