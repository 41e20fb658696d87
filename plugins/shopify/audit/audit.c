/*
 * audit.c - see audit.h.
 *
 *   LIST (a page) ... - compare - MEND (one subscription) ... - tell - checkpoint - finish
 *
 * What stops the mending (the network, no points left) does not stop the telling of what was done
 * by then. A mutation whose answer was lost is seen by the next poll's list; and a second
 * subscription of the same is refused by the shop, which is as good as made.
 */
#include "audit/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "audit/audit_int.h"
#include "feeds/render.h"
#include "shopify.h"

#define MOST_PAGES      20
#define THROTTLED_TRIES 20 /* in a row */
#define TAKEN           "has already been taken"

#define FIELDS "id topic uri format filter includeFields"

static const char ask_list[] =
    "query Subscriptions($after:String){webhookSubscriptions(first:100,after:$after){nodes{" FIELDS
    "}pageInfo{hasNextPage endCursor}}}";
static const char ask_create[] =
    "mutation Subscribe($topic:WebhookSubscriptionTopic!,$sub:WebhookSubscriptionInput!){"
    "webhookSubscriptionCreate(topic:$topic,webhookSubscription:$sub){webhookSubscription{" FIELDS
    "}userErrors{field message}}}";
static const char ask_update[] =
    "mutation Resubscribe($id:ID!,$sub:WebhookSubscriptionInput!){"
    "webhookSubscriptionUpdate(id:$id,webhookSubscription:$sub){webhookSubscription{" FIELDS
    "}userErrors{field message}}}";

/* ---- life ---------------------------------------------------------------------------------- */

static void audit_free(struct audit *a)
{
    const sl_host *h = a->s->host;

    if (a->timer)
        h->timer_cancel(h->ctx, a->timer);
    *a->link = a->next;
    if (a->next)
        a->next->link = a->link;
    json_decref(a->before);
    json_decref(a->listed);
    json_decref(a->left_over);
    free(a->after);
    free(a->topics);
    free(a->deeds);
    free(a->url);
    free(a);
}

void audit_close(struct shopify *s)
{
    while (s->audits)
        audit_free(s->audits);
}

static struct audit *audit_new(struct shopify *s, const struct wanted *w)
{
    struct audit *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    *a = (struct audit){ .s = s,
                         .wanted = w,
                         .next = s->audits,
                         .link = &s->audits,
                         .url = wanted_url(w, s->host->endpoint),
                         .listed = json_array(),
                         .topics = calloc(w->n, sizeof(*a->topics)),
                         .deeds = calloc(w->n, sizeof(*a->deeds)) };
    if (a->next)
        a->next->link = &a->next;
    s->audits = a;
    if (a->url && a->listed && a->topics && a->deeds)
        return a;
    audit_free(a);
    return NULL;
}

static void finish(struct audit *a, sl_status status, const char *why, int64_t after_ms)
{
    const sl_poll_out *out = a->out;
    char text[512];

    snprintf(text, sizeof(text), "%s", why);
    audit_free(a);
    out->finish(out->ctx, status, (sl_str){ text, strlen(text) }, after_ms);
}

static void find(const struct audit *a, uint32_t level, const char *text)
{
    a->probe->finding(a->probe->ctx, level, (sl_str){ text, strlen(text) });
}

static void probe_over(struct audit *a)
{
    const sl_probe_out *out = a->probe;

    audit_free(a);
    out->finish(out->ctx);
}

/* Nothing was learnt. */
static void give_up(struct audit *a, sl_status status, const char *why, int64_t after_ms)
{
    if (!a->probe) {
        finish(a, status, why, after_ms);
        return;
    }
    find(a, SL_FINDING_ERROR, why);
    probe_over(a);
}

/* ---- telling ------------------------------------------------------------------------------- */

static void on_stored(void *ctx, sl_status status)
{
    struct audit *a = ctx;

    if (status == SL_OK)
        finish(a, a->status, a->why, a->after_ms);
    else
        finish(a, status, "what was found could not be stored", 0);
}

static void tell(struct audit *a)
{
    sl_status r = audit_tell(a);
    char *cursor = audit_cursor(a), text[1000];

    audit_say(a, text, sizeof(text));
    if (r != SL_OK || !cursor) {
        finish(a, r != SL_OK ? r : SL_E_NO_MEMORY, "what was found could not be told", 0);
    } else {
        if (*text)
            a->out->finding(a->out->ctx, (sl_str){ text, strlen(text) });
        a->out->checkpoint(a->out->ctx, (sl_str){ cursor, strlen(cursor) }, on_stored, a);
    }
    free(cursor);
}

/* ---- asking -------------------------------------------------------------------------------- */

static void step(struct audit *a);

static void on_turn(void *ctx)
{
    struct audit *a = ctx;

    a->timer = 0;
    step(a);
}

static void later(struct audit *a, int64_t ms)
{
    a->timer = a->s->host->timer(a->s->host->ctx, ms, on_turn, a);
}

/* Refused for pace: the same again. 0: no, or it was so too often. */
static int is_throttled(struct audit *a, const struct admin_answer *answer)
{
    if (answer->verdict != ADMIN_THROTTLED || ++a->throttled > THROTTLED_TRIES)
        return 0;
    later(a, answer->after_ms > 1000 ? answer->after_ms : 1000);
    return 1;
}

static sl_status status_of(enum admin_verdict verdict)
{
    return verdict == ADMIN_REFUSED || verdict == ADMIN_PARK ? SL_E_INVALID : SL_E_NETWORK;
}

/* ---- MEND ---------------------------------------------------------------------------------- */

/* It was answered: is it done? */
static void judge(struct audit *a, const json_t *payload)
{
    const struct wanted_topic *t = &a->wanted->topics[a->at];
    struct audit_topic *topic = &a->topics[a->at];
    struct audit_deed *deed = &a->deeds[a->at];
    const json_t *made = json_object_get(payload, "webhookSubscription");
    const json_t *error = json_array_get(json_object_get(payload, "userErrors"), 0);
    char what[240];

    if (error && !strstr(graph_text(error, "message"), TAKEN)) {
        snprintf(deed->refused, sizeof(deed->refused), "%s", graph_text(error, "message"));
        return;
    }
    if (!error && !audit_is_right(t, a->url, made, what, sizeof(what))) {
        snprintf(deed->refused, sizeof(deed->refused), "the shop left it as it was: %.150s", what);
        return;
    }
    if (*graph_text(made, "id"))
        snprintf(topic->id, sizeof(topic->id), "%s", graph_text(made, "id"));
    deed->mended = 1;
    topic->state = AUDIT_RIGHT;
}

static void on_mended(void *ctx, const struct admin_answer *answer)
{
    struct audit *a = ctx;
    const json_t *data = answer->data;

    if (is_throttled(a, answer))
        return;
    if (answer->verdict == ADMIN_OK) {
        a->throttled = 0;
        judge(a, json_object_get(data, a->topics[a->at].state == AUDIT_MISSING
                                           ? "webhookSubscriptionCreate"
                                           : "webhookSubscriptionUpdate"));
    } else if (answer->verdict == ADMIN_REFUSED) { /* such as a topic that the shop does not know */
        snprintf(a->deeds[a->at].refused, sizeof(a->deeds[a->at].refused), "%.190s", answer->why);
    } else {
        a->status = status_of(answer->verdict);
        a->after_ms = answer->after_ms;
        snprintf(a->why, sizeof(a->why), "%s", answer->why);
    }
    a->at++;
    later(a, 0);
}

static void mend(struct audit *a)
{
    const struct wanted_topic *t = &a->wanted->topics[a->at];
    const struct audit_topic *topic = &a->topics[a->at];
    int create = topic->state == AUDIT_MISSING;
    json_t *sub = json_pack("{s:s,s:s,s:s?,s:O}", "uri", a->url, "format", "JSON", "filter",
                            *t->filter ? t->filter : NULL, "includeFields", t->fields);
    json_t *variables = create ? json_pack("{s:s,s:o}", "topic", t->name, "sub", sub)
                               : json_pack("{s:s,s:o}", "id", topic->id, "sub", sub);
    sl_status r;

    a->deeds[a->at].was = topic->state;
    r = admin_ask_as(a->s, SL_PRIORITY_HIGH, create ? ask_create : ask_update, variables, on_mended,
                     a);
    if (r < 0) {
        a->status = r;
        snprintf(a->why, sizeof(a->why), "a subscription could not be asked for");
        tell(a);
    }
}

/* ---- LIST ---------------------------------------------------------------------------------- */

static void on_listed(struct audit *a)
{
    const json_t *wrong_before = json_object_get(a->before, "wrong");

    audit_compare(a->wanted, a->url, a->listed, json_object_get(a->before, "ids"), a->topics);
    a->left_over = audit_left_over(a->wanted, a->url, a->listed);
    for (size_t i = 0; i < a->wanted->n; i++)
        a->deeds[i].newly = a->topics[i].state != AUDIT_RIGHT &&
                            !json_object_get(wrong_before, a->wanted->topics[i].topic);
}

static void on_page(void *ctx, const struct admin_answer *answer)
{
    struct audit *a = ctx;
    json_t *nodes = json_object_get(json_object_get(answer->data, "webhookSubscriptions"), "nodes");
    const json_t *info = graph_at(answer->data, "webhookSubscriptions.pageInfo");
    const char *cursor = graph_text(info, "endCursor");
    int more = json_is_true(json_object_get(info, "hasNextPage"));

    if (is_throttled(a, answer))
        return;
    if (answer->verdict != ADMIN_OK) {
        give_up(a, status_of(answer->verdict), answer->why, answer->after_ms);
        return;
    }
    if (!json_is_array(nodes) || (more && (!*cursor || ++a->pages == MOST_PAGES))) {
        give_up(a, SL_E_PROTOCOL, "the shop's answer holds no page of webhook subscriptions", 0);
        return;
    }
    a->throttled = 0;
    json_array_extend(a->listed, nodes);
    free(a->after);
    a->after = more ? strdup(cursor) : NULL;
    if (!a->after)
        on_listed(a);
    later(a, 0);
}

static void ask_page(struct audit *a)
{
    sl_status r = admin_ask_as(a->s, SL_PRIORITY_HIGH, ask_list,
                               json_pack("{s:s?}", "after", a->after), on_page, a);

    if (r == SL_E_UNSUPPORTED && a->probe)
        probe_over(a); /* the endpoint's own probe has said why */
    else if (r < 0)
        give_up(a, r, "the shop could not be asked", 0);
}

/* ---- what comes next ----------------------------------------------------------------------- */

static void tell_probe(struct audit *a)
{
    char text[1000];

    audit_say(a, text, sizeof(text));
    if (*text) {
        find(a, SL_FINDING_WARN, text);
    } else {
        snprintf(text, sizeof(text), "the shop has the %zu webhook subscription%s to %.300s",
                 a->wanted->n, a->wanted->n == 1 ? "" : "s", a->url);
        find(a, SL_FINDING_GOOD, text);
    }
    probe_over(a);
}

static void step(struct audit *a)
{
    if (!a->left_over) {
        ask_page(a);
        return;
    }
    while (a->at < a->wanted->n && a->topics[a->at].state == AUDIT_RIGHT)
        a->at++;
    if (a->probe)
        tell_probe(a);
    else if (a->wanted->recreate && a->at < a->wanted->n && a->status == SL_OK)
        mend(a);
    else
        tell(a);
}

static void start(void *self, void *handle, sl_str cursor, const sl_poll_out *out)
{
    struct shopify *s = self;
    struct audit *a = s->admin && SL_HAS(sl_poll_out, out, finding) ? audit_new(s, handle) : NULL;

    if (!a) {
        const char *why = !s->admin
                              ? "it needs \"admin\": { client_id: ..., client_secret: ... } to "
                                "ask the shop"
                          : !SL_HAS(sl_poll_out, out, finding)
                              ? "the host is too old: it takes no findings"
                              : "no memory for an audit";
        out->finish(out->ctx, SL_E_INVALID, (sl_str){ why, strlen(why) }, 0);
        return;
    }
    a->out = out;
    a->before = audit_read_cursor(cursor);
    step(a);
}

void audit_probe(void *self, void *handle, const sl_probe_out *out)
{
    struct shopify *s = self;
    struct audit *a = s->admin ? audit_new(s, handle) : NULL;

    if (a) {
        a->probe = out;
        later(a, 0); /* nothing is told before this returns */
        return;
    }
    if (!s->admin) {
        static const char why[] = "the feed needs credentials of the Admin API";
        out->finding(out->ctx, SL_FINDING_ERROR, (sl_str){ why, sizeof(why) - 1 });
    }
    out->finish(out->ctx);
}

const struct shopify_feed audit_feed = { wanted_bind, wanted_unbind, start, audit_probe };
