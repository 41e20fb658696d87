/*
 * wanted.h - the subscriptions that a feed declares.
 */
#pragma once

#include <jansson.h>
#include <sluice/sluice.h>

struct wanted_topic {
    char *topic;    /* "orders/create" */
    char *name;     /* the same as GraphQL's enum has it: "ORDERS_CREATE" */
    char *filter;   /* "": none */
    json_t *fields; /* array of texts, sorted; empty: whole bodies */
};

struct wanted {
    char *url; /* as it is given */
    int recreate;
    struct wanted_topic *topics;
    size_t n;
};

/* as sluice.h documents them, of bind_feed() */
sl_status wanted_bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail);
void wanted_unbind(void *handle);

/** The address that the shop calls; one without a path gets that of the endpoint's intake. Own. */
char *wanted_url(const struct wanted *w, sl_str endpoint);
/** Array of texts, sorted; own. What is no array of texts: empty. NULL: no memory. */
json_t *wanted_fields(const json_t *list);
