/*
 * callbacks.h - what Shopify asks of a fulfilment service, at the address that the service was
 * made with: /in/{endpoint}/callbacks/{path_secret}[/{service}]. Its GETs are unsigned, so the
 * secret in the path is all that shows who asks; what it is told is what deliveries of
 * callback.stock and callback.tracking have had the gateway remember (remember.c).
 *
 *   POST .../fulfillment_order_notification         signed: an event (verify.c)
 *   GET  .../fetch_stock?shop=&sku=                 {"SKU":10}
 *   GET  .../fetch_tracking_numbers?order_names[]=  {"tracking_numbers":{"#1042.1":"JD01"},...}
 *
 * each with or without ".json" behind it.
 */
#pragma once

#include "shopify.h"

#define CALLBACKS_SETTING "callbacks.path_secret"

#define CALLBACK_MAX_SERVICE 64
#define CALLBACK_MAX_SKU     255
#define CALLBACK_MAX_NUMBER  255 /* of a parcel */
#define CALLBACK_MAX_NAME    128
#define CALLBACK_MAX_NAMES   50 /* of one question; what is beyond is asked for again */

/* Spaces of what is remembered. A key ends with a line end, or with one and what tells several
 * values of it apart, so that no key begins another one. */
#define CALLBACK_STOCK_SPACE "stock/" /* and the service: SKU -> quantity */
#define CALLBACK_TRACKING_SPACE                                                          \
    "aged/tracking/"                    /* and the service: subject or name, number -> 1 \
                                         */
#define CALLBACK_NAME_KIND "order_name" /* of links: "#1042" */

enum callback_what {
    CALLBACK_NONE,    /* another path */
    CALLBACK_UNKNOWN, /* it begins like one, and is none of ours */
    CALLBACK_STOCK,
    CALLBACK_TRACKING,
    CALLBACK_NOTIFICATION,
};

/** What a path asks; `ret_service` is a view into it, empty for none. */
enum callback_what callback_of(sl_str path_secret, sl_str rest, sl_str *ret_service);

/** [a-z0-9_-], at most CALLBACK_MAX_SERVICE; may be empty. */
int callback_service_is_sane(sl_str service);

/** "#1042.1", "#1042-F1" -> "#1042"; a name of another form is an order's own. */
sl_str callback_order_name(sl_str fulfillment_name);

/** What stands in a question's query. */
struct callback_query {
    char shop[CALLBACK_MAX_NAME + 1];
    char sku[CALLBACK_MAX_SKU + 1]; /* empty: all */
    int has_sku;
    char names[CALLBACK_MAX_NAMES][CALLBACK_MAX_NAME + 1];
    size_t n_names;
};

/** 0: it cannot be read: an escape that is none, or a value too long to be one of ours. */
int callback_query_read(sl_str query, struct callback_query *ret);

/** sl_plugin.serve */
sl_status shopify_serve(void *self, const sl_head *head, sl_serve_cb cb, void *cb_ctx,
                        sl_fail *fail);

/** As sl_plugin.check does, of the secret; it goes into an address. */
sl_status callbacks_open(struct shopify *s, sl_fail *fail);
