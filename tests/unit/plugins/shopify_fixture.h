/*
 * shopify_fixture.h - the shopify adapter opened for one shop, against a fake host.
 */
#pragma once

#include "fake_host.h"

#define SHOP        "acme.myshopify.com"
#define MAX_HEADERS 8

struct fixture {
    struct fake_host *host;
    void *self;
};

extern const sl_plugin *plugin; /* from the set-up on */

/** Of a group of tests; *state: a struct fixture. */
int shopify_setup(void **state);
int shopify_teardown(void **state);

/** "Name: value" strings, NULL ends, as headers; how many. */
size_t split(const char *const *lines, sl_header *ret);
#define LINES(...) ((const char *const[]){ __VA_ARGS__, NULL })
