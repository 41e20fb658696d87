/*
 * feed_kinds.c - the table of feeds, and of which kind one is.
 */
#include "feed_kinds.h"

#include <assert.h>
#include <stdlib.h>

#include "audit/audit.h"
#include "feeds/feeds.h"
#include "receive/requests.h"
#include "shopify.h"

const sl_feed shopify_feeds[] = {
    { "orders", feed_orders_params,
      "orders that have changed: what their webhooks should have said and did not", SL_FEED_SWEEP,
      0 },
    { "fulfillment-requests", NULL,
      "as a fulfilment service: what its merchant asks it to fulfil, or to cancel", 0, 0 },
    { "subscriptions", audit_params,
      "are the shop's webhook subscriptions as they are declared? Every hour, say: 1h",
      SL_FEED_SWEEP, 0 },
    { 0 },
};

static const struct shopify_feed orders = { feed_bind, feed_unbind, feed_start, NULL };

/* one for each row above, in its order */
static const struct shopify_feed *const doers[] = { &orders, &requests_feed, &audit_feed };

static_assert(sizeof(doers) / sizeof(*doers) + 1 == sizeof(shopify_feeds) / sizeof(*shopify_feeds),
              "each kind has a doer");

/** What bind_feed() makes. */
struct bound {
    const struct shopify_feed *kind;
    void *handle; /* the kind's own */
};

sl_status shopify_bind_feed(const sl_bind_in *in, void **ret_handle, sl_fail *fail)
{
    struct bound *b = calloc(1, sizeof(*b));
    sl_status r = SL_OK;

    if (!b)
        return shopify_fail(fail, SL_E_NO_MEMORY, "out of memory");
    b->kind = doers[in->action];
    if (b->kind->bind)
        r = b->kind->bind(in, &b->handle, fail);
    if (r < 0) {
        free(b);
        return r;
    }
    *ret_handle = b;
    return SL_OK;
}

void shopify_unbind_feed(void *handle)
{
    struct bound *b = handle;

    if (b->kind->unbind)
        b->kind->unbind(b->handle);
    free(b);
}

void shopify_poll(void *self, void *handle, sl_str cursor, const sl_poll_out *out)
{
    const struct bound *b = handle;

    b->kind->poll(self, b->handle, cursor, out);
}

void shopify_probe_feed(void *self, void *handle, const sl_probe_out *out)
{
    const struct bound *b = handle;

    if (b->kind->probe)
        b->kind->probe(self, b->handle, out);
    else
        out->finish(out->ctx);
}
