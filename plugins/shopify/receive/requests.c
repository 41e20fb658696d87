/*
 * requests.c - see requests.h.
 *
 *   ASK (a page of assigned fulfilment orders) -> EMIT -> STORE -> ASK ... of both kinds -> finish
 *
 * There is nothing to remember between two polls: what is known by its request's id is not stored
 * again, and what was accepted or rejected is not there any more.
 */
#include "receive/requests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "shopify.h"

#define CURSOR "-" /* of the host; none of our own */

static const char document[] =
    "query Requests($status: FulfillmentOrderAssignmentStatus!,"
    " $kind: FulfillmentOrderMerchantRequestKind!, $after: String) {"
    " assignedFulfillmentOrders(first: 10, after: $after, assignmentStatus: $status) {"
    " nodes { id status requestStatus orderId orderName updatedAt"
    " assignedLocation { name location { id } }"
    " destination { firstName lastName company address1 address2 zip city province countryCode"
    " email phone }"
    " merchantRequests(first: 1, reverse: true, kind: $kind) {"
    " nodes { id kind message requestOptions sentAt } }"
    " lineItems(first: 50) { nodes { id sku productTitle variantTitle remainingQuantity"
    " totalQuantity } pageInfo { hasNextPage } } }"
    " pageInfo { hasNextPage endCursor } } }";

static const struct {
    const char *status, *kind, *topic;
} kinds[] = {
    { "FULFILLMENT_REQUESTED", "FULFILLMENT_REQUEST", "fulfillment_service/fulfillment_request" },
    { "CANCELLATION_REQUESTED", "CANCELLATION_REQUEST",
      "fulfillment_service/cancellation_request" },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct requests {
    struct shopify *s;
    const sl_poll_out *out;
    struct requests *next, *prev; /* s->requests */
    size_t kind;                  /* that is asked for */
    char *after;                  /* own: the page's cursor; NULL: from the beginning */
};

/* ---- the end ------------------------------------------------------------------------------- */

static void requests_free(struct requests *r)
{
    if (r->prev)
        r->prev->next = r->next;
    else
        r->s->requests = r->next;
    if (r->next)
        r->next->prev = r->prev;
    free(r->after);
    free(r);
}

void requests_close(struct shopify *s)
{
    while (s->requests)
        requests_free(s->requests);
}

static void finish(struct requests *r, sl_status status, const char *why, int64_t after_ms)
{
    const sl_poll_out *out = r->out;
    char text[400];

    snprintf(text, sizeof(text), "%s", why);
    requests_free(r);
    out->finish(out->ctx, status, (sl_str){ text, strlen(text) }, after_ms);
}

/* ---- a page -------------------------------------------------------------------------------- */

static void ask(struct requests *r);

/* 0, or an error of the host's. */
static sl_status emit_one(const struct requests *r, const json_t *node)
{
    const json_t *request = json_array_get(
        json_object_get(json_object_get(node, "merchantRequests"), "nodes"), 0);
    json_t *body = json_pack("{s:s,s:O,s:O?}", "kind", kinds[r->kind].kind, "fulfillment_order",
                             node, "request", request);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    const char *topic = kinds[r->kind].topic;
    sl_status status = SL_E_NO_MEMORY;

    json_decref(body);
    if (text)
        status = r->out->emit(r->out->ctx, (sl_str){ topic, strlen(topic) },
                              (sl_str){ text, strlen(text) });
    free(text);
    return status;
}

/* To the next page, or the next kind. */
static void step(struct requests *r, const json_t *page)
{
    const json_t *info = json_object_get(page, "pageInfo");
    const char *end = json_string_value(json_object_get(info, "endCursor"));

    free(r->after);
    r->after = json_is_true(json_object_get(info, "hasNextPage")) && end ? strdup(end) : NULL;
    r->kind += r->after == NULL;
}

static void go_on(struct requests *r)
{
    if (r->kind < KINDS)
        ask(r);
    else
        finish(r, SL_OK, "", 0);
}

static void on_stored(void *ctx, sl_status status)
{
    struct requests *r = ctx;

    if (status == SL_OK)
        go_on(r);
    else
        finish(r, status, "what was found could not be stored", 0);
}

static void on_answer(void *ctx, const struct admin_answer *a)
{
    struct requests *r = ctx;
    const json_t *page = json_object_get(a->data, "assignedFulfillmentOrders"), *node;
    const json_t *nodes = json_object_get(page, "nodes");
    sl_status status = SL_OK;
    size_t i;

    if (a->verdict != ADMIN_OK || !json_is_array(nodes)) {
        finish(r, SL_E_NETWORK,
               a->verdict != ADMIN_OK ? a->why : "no fulfilment orders in the answer", a->after_ms);
        return;
    }
    json_array_foreach(nodes, i, node) if (status == SL_OK) status = emit_one(r, node);
    if (status != SL_OK) {
        finish(r, status, "what was found could not be told", 0);
        return;
    }
    step(r, page);
    if (json_array_size(nodes) == 0)
        go_on(r);
    else
        r->out->checkpoint(r->out->ctx, (sl_str){ CURSOR, strlen(CURSOR) }, on_stored, r);
}

static void ask(struct requests *r)
{
    json_t *variables = json_pack("{s:s,s:s,s:s?}", "status", kinds[r->kind].status, "kind",
                                  kinds[r->kind].kind, "after", r->after);

    if (admin_ask(r->s, document, variables, on_answer, r) != SL_OK)
        finish(r, SL_E_NO_MEMORY, "the question could not be asked", 0);
}

static void poll(void *self, void *handle, sl_str cursor, const sl_poll_out *out)
{
    static const char none[] =
        "it needs \"admin\": { client_id: ..., client_secret: ... } to ask "
        "the shop";
    struct shopify *s = self;
    struct requests *r = s->admin ? calloc(1, sizeof(*r)) : NULL;

    (void)handle;
    (void)cursor;
    if (!r) {
        out->finish(out->ctx, s->admin ? SL_E_NO_MEMORY : SL_E_INVALID,
                    (sl_str){ none, s->admin ? 0 : sizeof(none) - 1 }, 0);
        return;
    }
    *r = (struct requests){ .s = s, .out = out, .next = s->requests };
    if (s->requests)
        s->requests->prev = r;
    s->requests = r;
    ask(r);
}

const struct shopify_feed requests_feed = { .poll = poll };
