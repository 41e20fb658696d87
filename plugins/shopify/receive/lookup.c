/*
 * lookup.c - an order whose webhook has not come: asked of the Admin API, whose credentials must be
 * set. Its REST form is the form of the webhooks, so the order in the
 * answer is the event's body, byte for byte: no number is printed anew.
 *
 * Only what happens once can be looked up, orders/create: what is found says that it has happened,
 * and its event key is the order's id, so the webhook that comes later is the same event.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "shopify.h"

#define TOPIC      "orders/create"
#define KIND       "order:"
#define ID_SIZE    24 /* digits of an id at most */
#define WHY_SIZE   160
#define LITERAL(s) ((sl_str){ (s), sizeof(s) - 1 })

struct question {
    sl_lookup_cb cb;
    void *cb_ctx;
};

sl_status shopify_can_look_up(const sl_values *values, const sl_values_api *api, sl_str topic,
                              sl_fail *fail)
{
    if (topic.len != strlen(TOPIC) || memcmp(topic.ptr, TOPIC, topic.len) != 0)
        return shopify_fail(fail, SL_E_UNSUPPORTED, "of a shop " TOPIC " alone can be looked up");
    if (!admin_is_set(values, api))
        return shopify_fail(fail, SL_E_INVALID,
                            "it needs \"admin\": { client_id: ..., client_secret: ... } to ask the "
                            "shop");
    return SL_OK;
}

static void tell(sl_lookup_cb cb, void *cb_ctx, uint32_t verdict, const char *why, int64_t after_ms)
{
    cb(cb_ctx, &(sl_looked_up){ .size = sizeof(sl_looked_up),
                                .verdict = verdict,
                                .after_ms = after_ms,
                                .why = { why, strlen(why) } });
}

/* ---- the answer ---- */

/* The order's text as it stands in {"order":{...}}. */
static int find_order(sl_str body, sl_str *ret)
{
    const sl_str name = LITERAL("order");
    struct topic_names names = { .at = { name }, .n = 1, .bits = topic_name_bit(name) };
    struct skimmed found;
    size_t at;

    if (skim(body, &names, &found, &at) < 0)
        return 0;
    for (size_t i = 0; i < found.n && i < SKIM_MAX_KEPT; i++)
        if (found.at[i].name.len == name.len && !memcmp(found.at[i].name.ptr, "order", name.len) &&
            found.at[i].value.ptr[0] == '{') {
            *ret = found.at[i].value;
            return 1;
        }
    return 0;
}

static void on_answer(void *ctx, const sl_http_answer *a)
{
    struct question q = *(struct question *)ctx;
    int64_t after = a->retry_after_ms > 0 ? a->retry_after_ms : 0;
    char why[WHY_SIZE];
    sl_str order;

    free(ctx);
    if (a->error < 0)
        snprintf(why, sizeof(why), "%.*s", (int)(a->why.len < 150 ? a->why.len : 150), a->why.ptr);
    else
        snprintf(why, sizeof(why), "HTTP %u", a->status);
    if (a->error < 0) {
        tell(q.cb, q.cb_ctx, SL_LOOKUP_AGAIN, why, 0);
    } else if (a->status == 404) {
        tell(q.cb, q.cb_ctx, SL_LOOKUP_NONE, why, 0);
    } else if (a->status != 200) {
        tell(q.cb, q.cb_ctx, SL_LOOKUP_AGAIN, why, after);
    } else if (!find_order(a->body, &order)) {
        tell(q.cb, q.cb_ctx, SL_LOOKUP_AGAIN, "HTTP 200, and no order in the answer", 0);
    } else {
        q.cb(q.cb_ctx, &(sl_looked_up){ .size = sizeof(sl_looked_up),
                                        .verdict = SL_LOOKUP_FOUND,
                                        .body = order });
    }
}

/* ---- the question ---- */

/* "order:acme.myshopify.com/450789469" of this shop. */
static int id_of(const struct shopify *s, sl_str subject, char ret[ID_SIZE])
{
    size_t n = strlen(KIND) + s->shop.len + 1, len;

    if (subject.len <= n || memcmp(subject.ptr, KIND, strlen(KIND)) != 0 ||
        memcmp(subject.ptr + strlen(KIND), s->shop.ptr, s->shop.len) != 0 ||
        subject.ptr[n - 1] != '/')
        return 0;
    len = subject.len - n;
    if (len >= ID_SIZE)
        return 0;
    for (size_t i = 0; i < len; i++)
        if (subject.ptr[n + i] < '0' || subject.ptr[n + i] > '9')
            return 0;
    memcpy(ret, subject.ptr + n, len);
    ret[len] = '\0';
    return 1;
}

void shopify_lookup(void *self, const sl_lookup *what, sl_lookup_cb cb, void *cb_ctx)
{
    struct shopify *s = self;
    char path[ID_SIZE + 16], id[ID_SIZE];
    struct question *q;
    sl_status r = SL_E_NO_MEMORY;

    if (!s->admin || !id_of(s, what->subject, id)) {
        tell(cb, cb_ctx, SL_LOOKUP_NONE, "it is no order of this shop that could be asked for", 0);
        return;
    }
    snprintf(path, sizeof(path), "orders/%s.json", id);
    q = malloc(sizeof(*q));
    if (q) {
        *q = (struct question){ cb, cb_ctx };
        r = admin_get(s, path, on_answer, q);
    }
    if (r == SL_OK)
        return;
    free(q);
    tell(cb, cb_ctx, SL_LOOKUP_AGAIN, "the question could not be asked", 0);
}
