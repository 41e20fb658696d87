/*
 * audit.h - the feed `subscriptions`: are the webhook subscriptions that are declared still those
 * of the shop? Shopify deletes one after eight refusals in a row, and says so by a mail to
 * somebody.
 *
 * A poll lists what the shop has of this app, compares (compare.h), makes again what is missing or
 * altered if it may, and tells: events for routes, a finding for the operator, and the sweeps are
 * polled soon, since webhooks are missing.
 *
 * Only subscriptions that were made through the API are listed by the shop. Those of the app's
 * configuration file cannot be seen, and Shopify never deletes them: so only the declared topics
 * count, and nothing is said of any other that is not there.
 */
#pragma once

#include "feed_kinds.h"

struct shopify;

extern const sl_option audit_params[];
extern const struct shopify_feed audit_feed;

/** `sluice check --online` of such a feed; changes nothing. */
void audit_probe(void *self, void *handle, const sl_probe_out *out);
/** Free those under way: nothing is told any more. */
void audit_close(struct shopify *s);
