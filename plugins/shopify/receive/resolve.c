/*
 * resolve.c - whose a fulfilment order or a return is: bodies of fulfilment orders, holds and
 * changed returns carry no order id, and their events belong into the order's sequence.
 */
#include "shopify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"

#define MAX_SUBJECT 256
#define GID         "gid://shopify/"

static const char document[] =
    "query OrdersOf($ids: [ID!]!) { nodes(ids: $ids) { __typename id"
    " ... on FulfillmentOrder { orderId } ... on Return { order { id } } } }";

/** One question, and what its references are about as long as nobody knows. */
struct resolving {
    struct shopify *shop;
    sl_resolve_cb cb;
    void *cb_ctx;
    size_t n;
    char otherwise[SL_RESOLVE_MAX][MAX_SUBJECT];
};

int shopify_resolves(const struct shopify *s)
{
    return s->admin && s->host->abi_minor >= 4; /* an older host asks nobody */
}

/* "gid://shopify/Order/450789469?x=1" -> "450789469". 0: not of this form. */
static int digits_of(const char *gid, sl_str *ret)
{
    const char *slash = gid && strncmp(gid, GID, strlen(GID)) == 0 ? strrchr(gid, '/') : NULL;
    size_t n = slash ? strspn(slash + 1, "0123456789") : 0;

    if (n == 0 || n > 20 || (slash[1 + n] && slash[1 + n] != '?'))
        return 0;
    *ret = (sl_str){ slash + 1, n };
    return 1;
}

static size_t write_subject(const struct shopify *s, sl_str kind, sl_str id, char ret[MAX_SUBJECT])
{
    int n = snprintf(ret, MAX_SUBJECT, "%.*s:%.*s/%.*s", (int)kind.len, kind.ptr, (int)s->shop.len,
                     s->shop.ptr, (int)id.len, id.ptr);

    return n < MAX_SUBJECT ? (size_t)n : 0;
}

static void tell_again(struct resolving *r, const char *why, int64_t after_ms)
{
    sl_resolved answer = { .size = sizeof(answer),
                           .verdict = SL_RESOLVE_AGAIN,
                           .after_ms = after_ms,
                           .why = { why, strlen(why) } };

    r->cb(r->cb_ctx, &answer);
}

static const char *order_of(const json_t *node)
{
    const char *id = json_string_value(json_object_get(node, "orderId"));

    return id ? id : json_string_value(json_object_get(json_object_get(node, "order"), "id"));
}

static void tell(struct resolving *r, const json_t *nodes)
{
    char subjects[SL_RESOLVE_MAX][MAX_SUBJECT];
    sl_resolved_ref refs[SL_RESOLVE_MAX];
    sl_resolved answer = { .size = sizeof(answer), .verdict = SL_RESOLVE_DONE, .refs = refs };
    sl_str id;

    for (size_t i = 0; i < r->n; i++) {
        refs[i] = (sl_resolved_ref){ .otherwise = { r->otherwise[i], strlen(r->otherwise[i]) } };
        if (digits_of(order_of(json_array_get(nodes, i)), &id))
            refs[i].subject = (sl_str){ subjects[i], write_subject(r->shop, (sl_str){ "order", 5 },
                                                                   id, subjects[i]) };
    }
    r->cb(r->cb_ctx, &answer);
}

static void on_answer(void *ctx, const struct admin_answer *a)
{
    struct resolving *r = ctx;
    const json_t *nodes = a->verdict == ADMIN_OK ? json_object_get(a->data, "nodes") : NULL;

    /* one for each id that was asked, in their order, null for what is not there */
    if (a->verdict != ADMIN_OK)
        tell_again(r, a->why, a->after_ms);
    else if (json_array_size(nodes) != r->n)
        tell_again(r, "the answer has not one node for each id", 0);
    else
        tell(r, nodes);
    free(r);
}

/* What such an event is about if the shop does not know it: itself, as without an Admin API. */
static void stand_in(struct resolving *r, const sl_ref *ref)
{
    char gid[MAX_SUBJECT];
    sl_str id;

    snprintf(gid, sizeof(gid), "%.*s", (int)ref->id.len, ref->id.ptr);
    if (digits_of(gid, &id))
        write_subject(r->shop, ref->kind, id, r->otherwise[r->n]);
}

void shopify_resolve(void *self, const sl_ref *refs, size_t n, sl_resolve_cb cb, void *cb_ctx)
{
    struct resolving *r = calloc(1, sizeof(*r)), none = { .cb = cb, .cb_ctx = cb_ctx };
    json_t *ids = json_array();
    int failed = !r || !ids;

    if (r)
        *r = (struct resolving){ .shop = self, .cb = cb, .cb_ctx = cb_ctx };
    for (size_t i = 0; i < n && i < SL_RESOLVE_MAX && !failed; i++) {
        stand_in(r, &refs[i]);
        r->n++;
        failed = json_array_append_new(ids, json_stringn(refs[i].id.ptr, refs[i].id.len)) < 0;
    }
    if (!failed) {
        if (admin_ask(self, document, json_pack("{s:o}", "ids", ids), on_answer, r) == SL_OK)
            return;
        ids = NULL; /* taken over, whatever came */
    }
    json_decref(ids);
    free(r);
    tell_again(&none, "the question could not be asked", 0);
}
