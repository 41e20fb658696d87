/*
 * render.h - what GraphQL says of a thing, in the form that webhooks have it: by tables, a row for
 * each member of the body.
 *
 * A row says where the value stands in GraphQL's answer (names with dots between) and how it is
 * written: enums in lower case, GIDs as integers, times with the shop's offset, amounts as texts,
 * money as sets. What is absent there is null here, as in the webhook.
 */
#pragma once

#include <jansson.h>
#include <sluice/sluice.h>

/** What all of one body need. */
struct render {
    const json_t *order; /* GraphQL's */
    json_t *body;        /* the webhook's, as far as it is made; order_render() sets it */
    int offset_min;      /* of the shop, east of UTC */
};

enum render_how {
    AS_IS,       /* texts, numbers, booleans */
    AS_LOWER,    /* an enum's name, in lower case */
    AS_ID,       /* the integer of a GID */
    AS_INTEGER,  /* an integer that GraphQL writes as a text */
    AS_TIME,     /* a time, with the shop's offset */
    AS_AMOUNT,   /* shopMoney of a MoneyBag: "19.90" */
    AS_BUYERS,   /* its presentmentMoney */
    AS_NUMBER,   /* shopMoney as a JSON number: a few members of refunds are */
    AS_SET,      /* a MoneyBag: {"shop_money": ..., "presentment_money": ...} */
    AS_CURRENCY, /* shopMoney's currency of a MoneyBag */
    AS_TAGS,     /* a list of texts: "a, b" */
    AS_OBJECT,   /* by `inner`; null if it is not there */
    AS_LIST,     /* each of an array by `inner`; [] if it is not there */
    AS_NULL,     /* GraphQL has no such thing */
    AS_EMPTY,    /* {} */
    AS_NONE,     /* [] */
    AS_FALSE,
    AS_MADE, /* by `make` */
};

struct render_row {
    const char *member; /* of the body; the table ends with NULL */
    enum render_how how;
    const char *path; /* in GraphQL; NULL: the thing itself */
    const struct render_row *inner;
    json_t *(*make)(const json_t *from, const struct render *r); /* own; NULL: no memory */
};

/** Own; NULL: no memory. `from`: GraphQL's object. */
json_t *render(const json_t *from, const struct render_row *rows, const struct render *r);
/** One value; own. */
json_t *render_one(const json_t *from, const struct render_row *row, const struct render *r);

/** What stands at a path; NULL: nothing, or null. */
const json_t *graph_at(const json_t *from, const char *path);
const char *graph_text(const json_t *from, const char *path); /* "" if it is no text */
/** The array at `path`, or in the `nodes` there; NULL: there is none. */
const json_t *graph_list(const json_t *from, const char *path);
/** The digits of a GID as a number; 0: it is none. */
json_int_t graph_id(const char *gid);

/* ---- money: exact, in ten-thousandths ---- */

#define MONEY_UNIT 10000

/** 0: it is no amount. */
int money_read(const char *text, int64_t *ret);
/** As the currency is written: "19.90", "500" of yen. */
json_t *money_text(int64_t amount, const char *currency);
/** {"shop_money": ..., "presentment_money": ...}; own. */
json_t *money_set(int64_t shop, const char *currency, int64_t buyers, const char *buyers_currency);
