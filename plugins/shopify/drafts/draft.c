/*
 * draft.c - see draft.h. A record's way: its SKUs become variants, a page of them a question; the
 * draft order is created; if its link is not there yet, it is asked for. The only step that cannot
 * be repeated is the creation: without a whole answer to it the record is unknown, and confirm()
 * looks for its tag.
 */
#include "drafts/draft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "admin/admin.h"
#include "admin/skus.h"

#define TAG_PREFIX  "sluice-"
#define READY_EVERY 1000 /* ms */
#define READY_TIMES 20
#define WHY_SIZE    480
#define TOPIC_SIZE  80
#define MAX_EVENTS  40 /* of the events' name */

#define DRAFT_FIELDS \
    "id name invoiceUrl ready tags totalPriceSet { presentmentMoney { amount currencyCode } }"

static const char create_draft[] =
    "mutation DraftOrderCreate($input: DraftOrderInput!) { draftOrderCreate(input: $input) {"
    " draftOrder { " DRAFT_FIELDS " } userErrors { field message } } }";
static const char draft_by_id[] =
    "query DraftOrderById($id: ID!) { draftOrder(id: $id) { " DRAFT_FIELDS " } }";
static const char drafts_by_tag[] =
    "query DraftOrdersByTag($query: String!) { draftOrders(first: 10, query: $query) {"
    " nodes { " DRAFT_FIELDS " } } }";

const sl_option draft_params[] = {
    { "events", SL_OPT_STRING, 0, "quote", 0, 0, NULL,
      "topics of the events it emits: quote/ready with the checkout's link, quote/failed" },
    { 0 },
};

/** A route's parameters. */
struct draft_handle {
    char events[MAX_EVENTS + 1];
};

/** One record under way, or one that is asked about. */
struct draft {
    struct draft *next, **link; /* in shopify.drafts */
    struct shopify *s;
    const struct draft_handle *handle;
    const sl_done *done; /* of deliver(); NULL: */
    sl_confirm_cb cb;    /* of confirm() */
    void *cb_ctx;
    struct draft_order order;
    char tag[DRAFT_TAG_SIZE];
    uint32_t priority; /* of its questions */
    char *gid;         /* own: of the draft order that was created */
    uint64_t timer;    /* 0: none */
    unsigned tries;    /* for its link */
    int64_t sent_ms;   /* confirm: when it was sent last */
};

/* ---- life ---------------------------------------------------------------------------------- */

static sl_status draft_bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail)
{
    struct draft_handle *h;
    sl_str events = { 0 };

    in->values->str(in->params, "events", &events);
    for (size_t i = 0; i < events.len; i++)
        if (!(events.ptr[i] >= 'a' && events.ptr[i] <= 'z') && events.ptr[i] != '_')
            events.len = 0;
    if (events.len == 0 || events.len > MAX_EVENTS)
        return shopify_fail(fail, SL_E_INVALID,
                            "events: it wants a word in small letters, such as quote");
    h = calloc(1, sizeof(*h));
    if (!h)
        return shopify_fail(fail, SL_E_NO_MEMORY, "out of memory");
    memcpy(h->events, events.ptr, events.len);
    *ret_handle = h;
    return SL_OK;
}

static void draft_unbind(void *handle)
{
    free(handle);
}

static struct draft *draft_new(struct shopify *s, const void *handle, const sl_record *record)
{
    struct draft *d = calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    d->s = s;
    d->handle = handle;
    d->order.quote = "";
    d->priority = SL_PRIORITY_NORMAL;
    d->sent_ms = record->last_sent_ms ? record->last_sent_ms : record->first_sent_ms;
    snprintf(d->tag, sizeof(d->tag), TAG_PREFIX "%.*s", (int)record->key.len, record->key.ptr);
    d->next = s->drafts;
    d->link = &s->drafts;
    if (d->next)
        d->next->link = &d->next;
    s->drafts = d;
    return d;
}

static void draft_free(struct draft *d)
{
    *d->link = d->next;
    if (d->next)
        d->next->link = d->link;
    if (d->timer)
        d->s->host->timer_cancel(d->s->host->ctx, d->timer);
    draft_finish(&d->order);
    free(d->gid);
    free(d);
}

void drafts_close(struct shopify *s)
{
    while (s->drafts)
        draft_free(s->drafts);
}

/* ---- what became of it --------------------------------------------------------------------- */

static sl_str view(const char *s)
{
    return (sl_str){ s, s ? strlen(s) : 0 };
}

static const char *text_at(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    return s ? s : "";
}

/* {"status":"ready", ...}; NULL: no memory. Own. */
static char *event_of(const struct draft *d, const char *status, const json_t *draft,
                      const char *why)
{
    const json_t *money = json_object_get(json_object_get(draft, "totalPriceSet"),
                                          "presentmentMoney");
    json_t *all = json_pack("{s:s,s:s}", "status", status, "quote", d->order.quote);
    char *text;

    if (draft) {
        json_object_set_new(all, "draft_order", json_string(text_at(draft, "id")));
        json_object_set_new(all, "name", json_string(text_at(draft, "name")));
        json_object_set_new(all, "checkout_url", json_string(text_at(draft, "invoiceUrl")));
    }
    if (json_is_string(json_object_get(money, "amount"))) {
        json_object_set(all, "total", json_object_get(money, "amount"));
        json_object_set(all, "currency", json_object_get(money, "currencyCode"));
    }
    if (why)
        json_object_set_new(all, "why", json_string(why));
    text = all ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    return text;
}

static void topic_of(const struct draft *d, const char *status, char ret[TOPIC_SIZE])
{
    snprintf(ret, TOPIC_SIZE, "%s/%s", d->handle->events, status);
}

/* The answer to either question, and the end of `d`. */
static void tell(struct draft *d, sl_outcome *o, uint32_t confirmed)
{
    if (d->done) {
        const sl_done *done = d->done;

        done->outcome(done->ctx, 0, o);
        draft_free(d);
        done->finish(done->ctx);
        return;
    }
    sl_confirmed c = { .size = sizeof(c),
                       .verdict = confirmed,
                       .after_ms = o->after_ms,
                       .why = o->why,
                       .reference = o->reference,
                       .links = o->links,
                       .n_links = o->n_links,
                       .emits = o->emits,
                       .n_emits = o->n_emits };
    sl_confirm_cb cb = d->cb;
    void *ctx = d->cb_ctx;

    cb(ctx, &c);
    draft_free(d);
}

static void tell_ready(struct draft *d, const json_t *draft)
{
    char topic[TOPIC_SIZE], *body = event_of(d, "ready", draft, NULL);
    sl_link link = { view("draft_order"), view(text_at(draft, "id")) };
    sl_emit emit = { .body = view(body) };
    sl_outcome o = { .size = sizeof(o),
                     .kind = SL_DELIVERED,
                     .status = 200,
                     .reference = link.id,
                     .links = &link,
                     .n_links = 1,
                     .emits = &emit,
                     .n_emits = body ? 1 : 0 };

    topic_of(d, "ready", topic);
    emit.topic = view(topic);
    if (!body) { /* it is there, and is found by its tag when there is memory */
        o = (sl_outcome){ .size = sizeof(o), .kind = SL_UNKNOWN, .why = view("out of memory") };
        tell(d, &o, SL_CONFIRM_EARLY);
    } else {
        tell(d, &o, SL_CONFIRM_YES);
    }
    free(body);
}

static void tell_failed(struct draft *d, const char *why)
{
    char topic[TOPIC_SIZE], *body = event_of(d, "failed", NULL, why);
    sl_emit emit = { .body = view(body) };
    sl_outcome o = { .size = sizeof(o),
                     .kind = SL_REJECTED,
                     .status = 200,
                     .why = view(why),
                     .emits = &emit,
                     .n_emits = body ? 1 : 0 };

    topic_of(d, "failed", topic);
    emit.topic = view(topic);
    tell(d, &o, SL_CONFIRM_UNSURE);
    free(body);
}

/* Nothing of the draft order can be there. */
static void tell_not_done(struct draft *d, const char *why)
{
    sl_outcome o = { .size = sizeof(o), .kind = SL_RETRY, .not_sent = 1, .why = view(why) };

    tell(d, &o, SL_CONFIRM_EARLY);
}

static void tell_unknown(struct draft *d, const char *why)
{
    sl_outcome o = { .size = sizeof(o), .kind = SL_UNKNOWN, .why = view(why) };

    tell(d, &o, SL_CONFIRM_EARLY);
}

/* An answer without data. `wrote`: it was to the creation, or after it. */
static void tell_no_data(struct draft *d, const struct admin_answer *a, int wrote)
{
    sl_outcome o = { .size = sizeof(o),
                     .kind = SL_THROTTLED,
                     .after_ms = a->after_ms,
                     .status = a->status,
                     .why = view(a->why) };

    if (a->verdict == ADMIN_PARK && d->done && !d->gid) {
        const sl_done *done = d->done;

        done->park(done->ctx, view(a->why), a->after_ms);
        draft_free(d);
        done->finish(done->ctx);
    } else if (!d->done) {
        tell(d, &o, SL_CONFIRM_EARLY);
    } else if (d->gid || (wrote && a->verdict == ADMIN_PERHAPS)) {
        tell_unknown(d, a->why);
    } else if (a->verdict == ADMIN_THROTTLED) {
        tell(d, &o, SL_CONFIRM_EARLY);
    } else if (a->verdict == ADMIN_REFUSED) {
        tell_failed(d, a->why);
    } else {
        tell_not_done(d, a->why);
    }
}

/* ---- its link ------------------------------------------------------------------------------ */

static void ask_link(struct draft *d);

static void on_ready_timer(void *ctx)
{
    struct draft *d = ctx;

    d->timer = 0;
    ask_link(d);
}

/* A draft order with its link, or one that waits for it. */
static void look(struct draft *d, const json_t *draft)
{
    const sl_host *h = d->s->host;

    if (json_is_true(json_object_get(draft, "ready")) && *text_at(draft, "invoiceUrl")) {
        tell_ready(d, draft);
        return;
    }
    if (d->done && d->tries++ < READY_TIMES)
        d->timer = h->timer(h->ctx, READY_EVERY, on_ready_timer, d);
    if (!d->timer)
        tell_unknown(d, "the draft order is there, its checkout link not yet");
}

static void on_link(void *ctx, const struct admin_answer *a)
{
    struct draft *d = ctx;
    const json_t *draft = json_object_get(a->data, "draftOrder");

    if (a->verdict == ADMIN_OK && json_is_object(draft))
        look(d, draft);
    else if (a->verdict == ADMIN_OK)
        tell_unknown(d, "the draft order that was created is not found by its id");
    else
        tell_no_data(d, a, 1);
}

static void ask_link(struct draft *d)
{
    if (admin_ask_as(d->s, d->priority, draft_by_id, json_pack("{s:s}", "id", d->gid), on_link, d) <
        0)
        tell_unknown(d, "its checkout link could not be asked for");
}

/* ---- the creation -------------------------------------------------------------------------- */

/* "lineItems.3.quantity: Quantity must be ..." */
static void say_errors(const json_t *errors, char *why, size_t size)
{
    size_t n = json_array_size(errors), at = 0;

    for (size_t i = 0; i < n && i < 3 && at < size - 1; i++) {
        const json_t *one = json_array_get(errors, i), *field = json_object_get(one, "field");

        at += (size_t)snprintf(why + at, size - at, "%s", i ? "; " : "");
        for (size_t k = 0; k < json_array_size(field) && at < size - 1; k++) {
            const char *part = json_string_value(json_array_get(field, k));

            if (k == 0 && part && strcmp(part, "input") == 0)
                continue;
            at += (size_t)snprintf(why + at, size - at, "%.40s%s", part ? part : "?",
                                   k + 1 < json_array_size(field) ? "." : ": ");
        }
        if (at < size - 1)
            at += (size_t)snprintf(why + at, size - at, "%.150s", text_at(one, "message"));
    }
    if (n > 3 && at < size - 1)
        snprintf(why + at, size - at, "; and %zu more", n - 3);
}

static void on_created(void *ctx, const struct admin_answer *a)
{
    struct draft *d = ctx;
    const json_t *payload = json_object_get(a->data, "draftOrderCreate");
    const json_t *draft = json_object_get(payload, "draftOrder");
    const json_t *errors = json_object_get(payload, "userErrors");
    char why[WHY_SIZE];

    if (a->verdict != ADMIN_OK) {
        tell_no_data(d, a, 1);
    } else if (json_is_object(draft)) {
        d->gid = strdup(text_at(draft, "id"));
        if (d->gid)
            look(d, draft);
        else
            tell_unknown(d, "out of memory");
    } else if (json_array_size(errors) > 0) {
        say_errors(errors, why, sizeof(why));
        tell_failed(d, why);
    } else {
        tell_unknown(d, "HTTP 200, and neither a draft order nor errors in it");
    }
}

static void create(struct draft *d)
{
    char why[WHY_SIZE];
    sl_status r = draft_fill(&d->order, why, sizeof(why));

    if (r == SL_E_INVALID) {
        tell_failed(d, why);
        return;
    }
    if (r == SL_OK)
        r = admin_ask_as(d->s, d->priority, create_draft,
                         json_pack("{s:O}", "input", d->order.input), on_created, d);
    if (r < 0)
        tell_not_done(d, "the request could not be made");
}

/* ---- its variants -------------------------------------------------------------------------- */

static void on_variants(void *ctx, const struct admin_answer *failed)
{
    struct draft *d = ctx;

    if (failed)
        tell_no_data(d, failed, 0);
    else
        create(d);
}

/* ---- deliver and confirm ------------------------------------------------------------------- */

static void draft_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done)
{
    struct draft *d = draft_new(self, handle, &batch->records[0]);
    char why[WHY_SIZE];
    sl_status r;

    if (!d) {
        sl_outcome o = {
            .size = sizeof(o), .kind = SL_RETRY, .not_sent = 1, .why = view("out of memory")
        };
        done->outcome(done->ctx, 0, &o);
        done->finish(done->ctx);
        return;
    }
    d->done = done;
    d->priority = admin_priority(batch);
    r = draft_read(&d->order, batch->records[0].request, d->tag, why, sizeof(why));
    if (r == SL_E_INVALID)
        tell_failed(d, why);
    else if (r < 0)
        tell_not_done(d, "out of memory");
    else
        skus_find(d->s, d->priority, d->order.skus, SKU_VARIANT, on_variants, d);
}

static int has_tag(const json_t *draft, const char *tag)
{
    const json_t *tags = json_object_get(draft, "tags");

    for (size_t i = 0; i < json_array_size(tags); i++) {
        const char *one = json_string_value(json_array_get(tags, i));
        if (one && strcasecmp(one, tag) == 0)
            return 1;
    }
    return 0;
}

/* The shop's search lags: that nothing is found is believed when it had time to be. */
static void tell_none(struct draft *d)
{
    const sl_host *h = d->s->host;
    int64_t age = d->sent_ms ? h->wall_ms(h->ctx) - d->sent_ms : 0;
    int64_t left = d->s->settle_ms - (age < 0 ? 0 : age);
    sl_outcome o = { .size = sizeof(o),
                     .after_ms = left > 0 ? left : 0,
                     .why = view("no draft order of the shop has its tag") };

    tell(d, &o, left > 0 ? SL_CONFIRM_EARLY : SL_CONFIRM_NO);
}

static void on_found(void *ctx, const struct admin_answer *a)
{
    struct draft *d = ctx;
    const json_t *drafts = json_object_get(a->data, "draftOrders");
    const json_t *nodes = json_object_get(drafts, "nodes");

    if (a->verdict != ADMIN_OK) {
        tell_no_data(d, a, 0);
        return;
    }
    for (size_t i = 0; i < json_array_size(nodes); i++)
        if (has_tag(json_array_get(nodes, i), d->tag)) {
            look(d, json_array_get(nodes, i));
            return;
        }
    if (!json_is_array(nodes))
        tell_unknown(d, "HTTP 200, and no list of draft orders in it");
    else
        tell_none(d);
}

static void draft_confirm(void *self, void *handle, const sl_record *record, sl_confirm_cb cb,
                          void *cb_ctx)
{
    struct draft *d = draft_new(self, handle, record);
    char why[WHY_SIZE], query[DRAFT_TAG_SIZE + 8];

    if (!d) {
        cb(cb_ctx, &(sl_confirmed){ .size = sizeof(sl_confirmed), .verdict = SL_CONFIRM_EARLY });
        return;
    }
    d->cb = cb;
    d->cb_ctx = cb_ctx;
    draft_read(&d->order, record->request, d->tag, why, sizeof(why)); /* for the quote's name */
    snprintf(query, sizeof(query), "tag:\"%s\"", d->tag);
    if (admin_ask(d->s, drafts_by_tag, json_pack("{s:s}", "query", query), on_found, d) < 0)
        tell_unknown(d, "the shop could not be asked");
}

const struct shopify_action draft_action = {
    .body = &draft_shape,
    .bind = draft_bind,
    .unbind = draft_unbind,
    .deliver = draft_deliver,
    .confirm = draft_confirm,
    .scopes = "write_draft_orders read_products",
};
