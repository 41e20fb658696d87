/*
 * sets.h - contacts that are one person more than once: pairs that match, joined to sets, each with
 * the one that would stay.
 */
#pragma once

#include "contacts.h"
#include "index.h"

struct sets;

/** The adapter's report(). */
void sets_report(void *self, sl_str name, sl_report_cb cb, void *cb_ctx);

/* ---- sets.c, apart from the endpoint: for its own test too ---- */

/** All over an index, which must not change until it is finished. `base`: where its records are
 *  opened, "https://acme.my.salesforce.com", copied; NULL: no links. NULL: no memory. */
struct sets *sets_create(struct match_index *ix, const char *base);
/** A bounded piece of the work; true: all is done. */
bool sets_turn(struct sets *s);
/** After sets_turn() was true: JSON; NULL: no memory. View into `s`. */
const char *sets_json(const struct sets *s, size_t *ret_len);
void sets_destroy(struct sets *s);
