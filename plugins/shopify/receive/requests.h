/*
 * requests.h - the feed `fulfillment-requests`: what a fulfilment service of this app is asked to
 * fulfil, or to cancel. A notification says only that there is something (callbacks.h), and may be
 * lost; each request is one event, however often it is found.
 */
#pragma once

#include "feed_kinds.h"

extern const struct shopify_feed requests_feed;

/** Free those under way: nothing is told any more. */
void requests_close(struct shopify *s);
