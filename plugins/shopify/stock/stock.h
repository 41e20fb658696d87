/*
 * stock.h - what is in stock: `inventory.set` writes what a supplier or the ERP says, many levels
 * in one mutation, and never over what the shop has changed meanwhile.
 */
#pragma once

#include <jansson.h>
#include <sluice/sluice.h>

#include "actions.h"

struct shopify;

#define STOCK_ROWS    250 /* of one mutation: the shop's limit */
#define STOCK_ID_SIZE 64  /* "gid://shopify/InventoryItem/" and digits */

#define ITEM_GID  "gid://shopify/InventoryItem/"
#define PLACE_GID "gid://shopify/Location/"

extern const sl_option stock_set_params[], stock_adjust_params[];
extern const struct shopify_action stock_set_action, stock_adjust_action;

/** At close, when no request is under way any more: what waits for the store ends. */
void stock_close(struct shopify *s);

/* ---- items.c: which inventory item has a SKU ---- */

/** SL_OK: `skus`, {"SKU": null, ...}, has the item's GID for each, or false where several items
 *  have it, or null still where none has. Else what the shop said. */
struct admin_answer;
typedef void (*stock_items_cb)(void *ctx, const struct admin_answer *failed);

/** Fill in what is known, and ask for the rest. `skus` is borrowed until `cb`, which runs once,
 *  perhaps at once; `failed` is NULL when all was answered. `priority`, here and below:
 *  SL_PRIORITY_*, of the questions. */
void stock_items(struct shopify *s, uint32_t priority, json_t *skus, stock_items_cb cb, void *ctx);
/** It is another item's now: ask again next time. */
void stock_forget_item(struct shopify *s, const char *sku);

/* ---- places.c: which location has a name ---- */

/** Fill in `places`, {"name": null, ...}, likewise. A text of digits and a GID are ids by
 *  themselves, unless a location is named so. A name that is not known is asked for again after a
 *  minute. `places` is borrowed until `cb`. */
void stock_places(struct shopify *s, uint32_t priority, json_t *places, stock_items_cb cb,
                  void *ctx);
/** All names that are known, for a message: "Berlin, Leeds". */
void stock_place_names(const struct shopify *s, char *to, size_t size);

/* ---- levels.c: what is there ---- */

/** One level, and what is to be there. */
struct stock_row {
    size_t record;   /* of the batch */
    const char *sku; /* borrowed; NULL: the item was given */
    const char
        *place; /* borrowed: a location's name, or its id as text; NULL: `location` is there */
    char item[STOCK_ID_SIZE], location[STOCK_ID_SIZE];
    int64_t want;  /* is to be there */
    int64_t there; /* was there when `want` was settled */
    int has_level; /* the item is stocked at the location */
    enum stock_state {
        STOCK_UNREAD,
        STOCK_STALE, /* `there` is no longer so */
        STOCK_READY, /* to be written */
        STOCK_TOLD   /* its record has an outcome */
    } state;
    const char *wrong; /* it cannot be written: static text; NULL: it can */
    int perhaps;       /* it may have been written by us, by an attempt nobody knows the end of */
    int moved;         /* its SKU is another item's now: `wrong`, until it is asked for again */
};

typedef void (*stock_levels_cb)(void *ctx, const struct admin_answer *failed);

/** Read the levels of rows that are UNREAD or STALE: `there`, `has_level`, `wrong`. What was STALE
 *  has `want` moved by what has changed since, and never below 0: a sale or a correction in between
 *  stays. `name`: "on_hand" or "available". `cb` runs once; rows are READY then. */
void stock_levels(struct shopify *s, uint32_t priority, struct stock_row *rows, size_t n,
                  const char *name, stock_levels_cb cb, void *ctx);

/* ---- set_input.c ---- */

/** A route's parameters. */
struct set_handle {
    char name[16], reason[40];
    char location[256]; /* name, or id; "": none */
};

extern const struct body_shape stock_set_shape;

sl_status stock_set_bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail);
void stock_set_unbind(void *handle);
/** A record's body: `*ret_body` is own, and `row` has views into it: sku, or item; location, want.
 *  SL_E_INVALID with `why`; SL_E_NO_MEMORY. */
sl_status stock_take_body(const struct set_handle *h, sl_str text, json_t **ret_body,
                          struct stock_row *row, char *why, size_t size);
