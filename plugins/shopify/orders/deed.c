/*
 * deed.c - see deed.h.
 */
#include "orders/deed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/idempotent.h"
#include "body_table.h"
#include "shopify.h"

#define FOLLOW_TRIES 30    /* of a question behind the mutation, at a growing pace */
#define FOLLOW_CAP   30000 /* ms */

enum stage {
    STAGE_LOOKING,   /* nothing of this attempt was done */
    STAGE_DOING,     /* the mutation is asked for */
    STAGE_FOLLOWING, /* it was done: nothing may be said that has it done again */
};

/* ---- life ---------------------------------------------------------------------------------- */

static struct deed *deed_new(struct shopify *s, const struct deed_handle *handle,
                             const sl_record *record)
{
    struct deed *d = calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    d->s = s;
    d->kind = handle->kind;
    d->handle = handle;
    d->params = handle->params;
    d->priority = SL_PRIORITY_NORMAL;
    d->first_ms = record->first_sent_ms;
    d->last_ms = record->last_sent_ms ? record->last_sent_ms : record->first_sent_ms;
    snprintf(d->key, sizeof(d->key), "%.*s", (int)record->key.len, record->key.ptr);
    d->subject = record->subject.len ? strndup(record->subject.ptr, record->subject.len) : NULL;
    d->next = s->deeds;
    d->link = &s->deeds;
    if (d->next)
        d->next->link = &d->next;
    s->deeds = d;
    return d;
}

static void deed_free(struct deed *d)
{
    *d->link = d->next;
    if (d->next)
        d->next->link = d->link;
    if (d->timer)
        d->s->host->timer_cancel(d->s->host->ctx, d->timer);
    json_decref(d->body);
    json_decref(d->variables);
    json_decref(d->own);
    json_decref(d->asked);
    json_decref(d->links);
    free(d->emit_topic);
    free(d->emit_body);
    free(d->subject);
    free(d->choice);
    free(d->reference);
    free(d->cursor);
    free(d);
}

void deeds_close(struct shopify *s)
{
    while (s->deeds)
        deed_free(s->deeds);
}

/* ---- small things -------------------------------------------------------------------------- */

static sl_str view(const char *s)
{
    return (sl_str){ s, s ? strlen(s) : 0 };
}

/* ---- the end ------------------------------------------------------------------------------- */

/* Refused for good, or asked for again by the host. */
static void tell_not_frozen(struct deed *d, const sl_outcome *o)
{
    d->freeze(d->cb_ctx, o->kind == SL_REJECTED ? SL_E_INVALID : SL_E_CANCELLED, (sl_str){ 0 },
              o->why);
    deed_free(d);
}

/* The answer to any question, and the end of `d`. */
static void tell(struct deed *d, sl_outcome *o, uint32_t confirmed)
{
    sl_link links[DEED_LINKS];
    sl_emit emit = { view(d->emit_topic), view(d->emit_body) };

    if (o->kind == SL_DELIVERED) {
        if (d->kind->link && d->reference)
            deed_link(d, d->kind->link, d->reference);
        o->reference = view(d->reference);
        o->links = links;
        o->n_links = deed_links(d, links);
        o->emits = &emit;
        o->n_emits = d->emit_body ? 1 : 0;
        o->status = 200;
    }
    if (d->done) {
        const sl_done *done = d->done;

        done->outcome(done->ctx, 0, o);
        deed_free(d);
        done->finish(done->ctx);
        return;
    }
    if (d->freeze) {
        tell_not_frozen(d, o);
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

    d->cb(d->cb_ctx, &c);
    deed_free(d);
}

void deed_done(struct deed *d)
{
    sl_outcome o = { .size = sizeof(o), .kind = SL_DELIVERED };

    tell(d, &o, SL_CONFIRM_YES);
}

void deed_review(struct deed *d)
{
    /* a released one is sent again: only what certainly was not done is called so */
    sl_outcome o = { .size = sizeof(o),
                     .kind = SL_REVIEW,
                     .not_sent = d->stage == STAGE_LOOKING && !d->part,
                     .choices = view(d->choices),
                     .why = view(d->why) };

    tell(d, &o, SL_CONFIRM_UNSURE);
}

void deed_reject(struct deed *d)
{
    sl_outcome o = { .size = sizeof(o), .kind = SL_REJECTED, .status = 200, .why = view(d->why) };

    tell(d, &o, SL_CONFIRM_UNSURE);
}

void deed_unknown(struct deed *d)
{
    sl_outcome o = { .size = sizeof(o), .kind = SL_UNKNOWN, .why = view(d->why) };

    tell(d, &o, SL_CONFIRM_EARLY);
}

void deed_frozen(struct deed *d)
{
    char *text = d->variables ? json_dumps(d->variables, JSON_COMPACT) : NULL;

    d->freeze(d->cb_ctx, text ? SL_OK : SL_E_NO_MEMORY, view(text), view("out of memory"));
    free(text);
    deed_free(d);
}

/* Nothing of this attempt has been done. */
static void not_done(struct deed *d, int64_t after_ms)
{
    sl_outcome o = { .size = sizeof(o),
                     .kind = SL_RETRY,
                     .not_sent = !d->part,
                     .after_ms = after_ms,
                     .why = view(d->why) };

    tell(d, &o, SL_CONFIRM_EARLY);
}

void deed_retry(struct deed *d)
{
    not_done(d, d->after_ms);
}

static void no_memory(struct deed *d)
{
    deed_say(d, "out of memory");
    if (d->stage == STAGE_LOOKING)
        not_done(d, 0);
    else
        deed_unknown(d);
}

/* The state says that it is not done, or what of it (SEEN_PART, SEEN_REST), which only another
 * attempt goes on with. Where something lacks, the newest attempt's may be behind it still. */
static void tell_not_there(struct deed *d, enum deed_seen seen)
{
    const sl_host *h = d->s->host;
    int64_t age = d->last_ms ? h->wall_ms(h->ctx) - d->last_ms : 0;
    int64_t left = seen == SEEN_REST ? 0 : d->s->settle_ms - (age < 0 ? 0 : age);
    sl_outcome o = { .size = sizeof(o),
                     .kind = SL_RETRY,
                     .after_ms = left > 0 ? left : 0,
                     .why = view("the shop does not show it") };

    if (left > 0)
        tell(d, &o, SL_CONFIRM_EARLY);
    else
        tell(d, &o, seen == SEEN_PART || seen == SEEN_REST ? SL_CONFIRM_AGAIN : SL_CONFIRM_NO);
}

/* ---- questions ----------------------------------------------------------------------------- */

static void ask_again(struct deed *d);

static void park(struct deed *d, int64_t after_ms)
{
    const sl_done *done = d->done;

    done->park(done->ctx, view(d->why), after_ms);
    deed_free(d);
    done->finish(done->ctx);
}

/* Behind the mutation: it is asked again for a while, and then nobody knows. */
static void follow_failed(struct deed *d, const struct admin_answer *a)
{
    int64_t wait = 1000 << (d->tries < 5 ? d->tries : 5);

    if (d->tries++ >= FOLLOW_TRIES || a->verdict == ADMIN_REFUSED || !d->asked) {
        deed_unknown(d);
        return;
    }
    wait = wait > FOLLOW_CAP ? FOLLOW_CAP : wait;
    deed_later(d, a->after_ms > wait ? a->after_ms : wait, ask_again);
}

static void be_refused(struct deed *d, enum refusal why);

/* A document that was not executed: what its errors mean is said like that of userErrors. */
static void refused_whole(struct deed *d, const struct admin_answer *a)
{
    json_t *errors = json_array();
    enum refusal why;

    for (size_t i = 0; i < json_array_size(a->errors); i++) {
        const json_t *one = json_array_get(a->errors, i);
        json_t *code = json_object_get(json_object_get(one, "extensions"), "code");

        json_array_append_new(errors, json_pack("{s:O*,s:O*}", "code", code, "message",
                                                json_object_get(one, "message")));
    }
    why = refusal_of(errors, d->kind->refusals, d->why, sizeof(d->why));
    json_decref(errors);
    if (why == REFUSAL_NONE || why == REFUSAL_GOOD) {
        deed_say(d, "%s", a->why); /* it has the shop's request id */
        why = REFUSAL_GOOD;
    }
    be_refused(d, why);
}

static void no_data(struct deed *d, const struct admin_answer *a)
{
    sl_outcome o = { .size = sizeof(o),
                     .kind = SL_THROTTLED,
                     .after_ms = a->after_ms,
                     .status = a->status,
                     .why = view(d->why) };

    deed_say(d, "%s", a->why);
    if (d->cb && a->verdict == ADMIN_REFUSED)
        deed_review(d);
    else if (d->cb)
        tell(d, &o, SL_CONFIRM_EARLY);
    else if (d->stage == STAGE_FOLLOWING)
        follow_failed(d, a);
    else if (a->verdict == ADMIN_PARK && d->done)
        park(d, a->after_ms);
    else if (a->verdict == ADMIN_THROTTLED)
        tell(d, &o, SL_CONFIRM_EARLY);
    else if (a->verdict == ADMIN_REFUSED && d->stage == STAGE_DOING)
        refused_whole(d, a);
    else if (a->verdict == ADMIN_REFUSED)
        deed_reject(d);
    else if (a->verdict == ADMIN_PERHAPS && d->stage == STAGE_DOING)
        deed_unknown(d);
    else
        not_done(d, a->after_ms);
}

static void on_answer(void *ctx, const struct admin_answer *a)
{
    struct deed *d = ctx;

    if (a->verdict == ADMIN_OK) {
        d->tries = 0;
        d->answered(d, a->data);
    } else {
        no_data(d, a);
    }
}

static void ask_again(struct deed *d)
{
    if (admin_ask_as(d->s, d->priority, d->document, json_incref(d->asked), on_answer, d) == SL_OK)
        return;
    deed_say(d, "the request could not be made");
    if (d->stage == STAGE_FOLLOWING)
        deed_unknown(d);
    else
        not_done(d, 0);
}

void deed_ask(struct deed *d, const char *document, json_t *variables,
              void (*answered)(struct deed *d, const json_t *data))
{
    json_decref(d->asked);
    d->asked = variables;
    d->document = document;
    d->answered = answered;
    if (variables)
        ask_again(d);
    else
        no_memory(d);
}

void deed_ask_to(struct deed *d, const char *document, json_t *variables,
                 void (*answered)(struct deed *d, const json_t *data))
{
    d->stage = STAGE_DOING;
    deed_ask(d, document, variables, answered);
}

static void on_timer(void *ctx)
{
    struct deed *d = ctx;

    d->timer = 0;
    d->then(d);
}

void deed_later(struct deed *d, int64_t ms, void (*then)(struct deed *d))
{
    const sl_host *h = d->s->host;

    d->then = then;
    d->timer = h->timer(h->ctx, ms, on_timer, d);
    if (d->timer)
        return;
    deed_say(d, "the gateway is closing");
    if (d->stage == STAGE_LOOKING)
        not_done(d, 0);
    else
        deed_unknown(d);
}

static void on_durable(void *ctx, sl_status status)
{
    struct deed *d = ctx;

    (void)status; /* without it a restart looks at the state: nothing is done twice */
    d->then(d);
}

void deed_checkpoint(struct deed *d, json_t *token, void (*then)(struct deed *d))
{
    char *text = token ? json_dumps(token, JSON_COMPACT) : NULL;

    json_decref(token);
    if (!text) {
        then(d);
        return;
    }
    d->then = then;
    d->done->checkpoint(d->done->ctx, view(text), 0, on_durable, d);
    free(text);
}

/* ---- the mutation -------------------------------------------------------------------------- */

static void do_it(struct deed *d);

/* The step's key of this renewal. */
static sl_status set_key(struct deed *d)
{
    char key[IDEMPOTENT_KEY_SIZE];

    if (!d->kind->step)
        return SL_OK;
    if (idempotent_key(view(d->key), view(d->kind->step), d->renewal, key) < 0 ||
        json_object_set_new(d->variables, d->kind->key ? d->kind->key : "key", json_string(key)) <
            0)
        return SL_E_NO_MEMORY;
    return SL_OK;
}

/* A refusal of the key: what was tried under it failed. */
static void renew_key(struct deed *d)
{
    if (!d->kind->step || d->renewal >= IDEMPOTENT_RENEWALS) {
        deed_review(d);
        return;
    }
    d->renewal++;
    if (set_key(d) < 0)
        no_memory(d);
    else
        do_it(d);
}

static void be_refused(struct deed *d, enum refusal why)
{
    int look = d->kind->look != NULL;

    d->stage = STAGE_LOOKING; /* a refusal is an answer: nothing of it was done */
    d->refused = why;
    if (why == REFUSAL_NEW_KEY)
        renew_key(d);
    else if (look && (why == REFUSAL_DONE || why == REFUSAL_STATE || why == REFUSAL_DOUBT))
        deed_look(d);
    else if (why == REFUSAL_DONE)
        deed_done(d);
    else if (why == REFUSAL_HUMAN)
        deed_review(d);
    else if (why == REFUSAL_LATER || (why == REFUSAL_DOUBT && d->kind->flags & DEED_REPEATABLE))
        not_done(d, 0);
    else if (why == REFUSAL_DOUBT)
        deed_unknown(d);
    else
        deed_reject(d);
}

static void be_done(struct deed *d, const json_t *payload)
{
    const json_t *object = d->kind->object ? json_object_get(payload, d->kind->object) : NULL;

    d->stage = STAGE_FOLLOWING;
    deed_refers(d, json_string_value(json_object_get(object, "id")));
    if (d->kind->after)
        d->kind->after(d, payload);
    else
        deed_done(d);
}

static void on_did(struct deed *d, const json_t *data)
{
    const struct deed_kind *k = d->kind;
    const json_t *payload = k->root ? json_object_get(data, k->root) : data;
    const json_t *errors = json_object_get(payload, k->errors ? k->errors : "userErrors");
    int there = json_is_object(k->object ? json_object_get(payload, k->object) : payload);
    enum refusal why = REFUSAL_NONE;

    if (!there || !(k->flags & DEED_CREATES))
        why = refusal_of(errors, k->refusals, d->why, sizeof(d->why));
    if (why != REFUSAL_NONE) {
        be_refused(d, why);
    } else if (there) {
        be_done(d, payload);
    } else {
        deed_say(d, "HTTP 200, and neither a result nor errors of %s in it",
                 k->root ? k->root : "the query");
        deed_unknown(d);
    }
}

static void do_it(struct deed *d)
{
    const sl_host *h = d->s->host;

    if (!d->began_ms)
        d->began_ms = h->wall_ms(h->ctx);
    d->stage = STAGE_DOING;
    deed_ask(d, d->kind->document ? d->kind->document : d->mutation, json_incref(d->variables),
             on_did);
}

void deed_do(struct deed *d)
{
    do_it(d);
}

/* ---- the state ----------------------------------------------------------------------------- */

static void on_looked(struct deed *d, const json_t *data)
{
    char refusal[DEED_WHY];
    enum deed_seen seen;

    memcpy(refusal, d->why, sizeof(refusal));
    seen = d->kind->judge(d, data);
    if (seen == SEEN_MORE) {
        deed_look(d);
    } else if (seen == SEEN_DONE ||
               (d->refused == REFUSAL_DONE && seen != SEEN_HUMAN && seen != SEEN_EARLY)) {
        deed_done(d);
    } else if (seen == SEEN_HUMAN) {
        deed_review(d);
    } else if (d->cb) {
        if (seen == SEEN_EARLY)
            deed_unknown(d);
        else
            tell_not_there(d, seen);
    } else if (seen == SEEN_REST) {
        d->stage = STAGE_FOLLOWING;
        d->kind->after(d, NULL);
    } else if (seen == SEEN_NEVER) {
        deed_reject(d);
    } else if (seen == SEEN_EARLY) {
        deed_retry(d);
    } else if (d->refused != REFUSAL_NONE) {
        memcpy(d->why, refusal, sizeof(refusal));
        if (d->refused == REFUSAL_DOUBT)
            not_done(d, 0);
        else
            deed_reject(d);
    } else if (d->kind->before) {
        d->kind->before(d);
    } else {
        do_it(d);
    }
}

void deed_look(struct deed *d)
{
    deed_ask(d, d->look ? d->look : d->kind->look, d->kind->look_variables(d), on_looked);
}

/* ---- deliver, resume, confirm -------------------------------------------------------------- */

/* The record's body, with the route's parameters for what it does not say. Own. */
static sl_status take_body(struct deed *d, sl_str body)
{
    json_t *text = NULL;
    char *all = NULL;
    sl_status r;

    if (!d->kind->shape) {
        d->body = json_loadb(body.len ? body.ptr : "", body.len, JSON_REJECT_DUPLICATES, NULL);
        return json_is_object(d->body) ? SL_OK : deed_wrong(d, "the body is no JSON object");
    }
    if (json_object_size(d->params) == 0)
        return body_take(body, d->kind->shape, &d->body, d->why, sizeof(d->why));
    text = json_loadb(body.len ? body.ptr : "", body.len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(text)) {
        json_object_update_missing(text, d->params);
        all = json_dumps(text, JSON_COMPACT);
    }
    r = body_take(all ? view(all) : body, d->kind->shape, &d->body, d->why, sizeof(d->why));
    free(all);
    json_decref(text);
    return r;
}

static sl_status take(struct deed *d, sl_str request)
{
    sl_status r;

    if (d->kind->flags & DEED_FROZEN && !d->freeze) {
        d->variables = json_loadb(request.len ? request.ptr : "", request.len, 0, NULL);
        if (!json_is_object(d->variables))
            return deed_wrong(d, "the frozen request is no object");
    } else {
        r = take_body(d, request);
        if (r == SL_OK)
            r = d->kind->read(d);
        if (r < 0)
            return r;
    }
    return d->variables ? set_key(d) : SL_E_NO_MEMORY;
}

/* A deed with its body; or `done` has its end, and there is none. */
static struct deed *begin(void *self, void *handle, const sl_batch *batch, const sl_done *done)
{
    struct deed *d = deed_new(self, handle, &batch->records[0]);
    sl_status r;

    if (!d) {
        sl_outcome o = {
            .size = sizeof(o), .kind = SL_RETRY, .not_sent = 1, .why = view("out of memory")
        };
        done->outcome(done->ctx, 0, &o);
        done->finish(done->ctx);
        return NULL;
    }
    d->done = done;
    d->priority = admin_priority(batch);
    if (SL_HAS(sl_batch, batch, choices) && batch->choices[0].len)
        d->choice = strndup(batch->choices[0].ptr, batch->choices[0].len);
    r = take(d, batch->records[0].request);
    if (r == SL_OK)
        return d;
    if (r == SL_E_INVALID)
        deed_reject(d);
    else
        no_memory(d);
    return NULL;
}

/* What is sent again may have been done: by its key it is not done twice, as long as that lives. */
static int must_look(const struct deed *d)
{
    const sl_host *h = d->s->host;

    if (d->kind->flags & DEED_LOOK_FIRST)
        return 1;
    if (d->kind->step)
        return !idempotent_lives(d->first_ms, h->wall_ms(h->ctx));
    return deed_sent_before(d) && !(d->kind->flags & DEED_REPEATABLE);
}

void deed_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done)
{
    struct deed *d = begin(self, handle, batch, done);

    if (!d)
        return;
    if (d->kind->look && must_look(d))
        deed_look(d);
    else
        do_it(d);
}

void deed_prepare(void *self, void *handle, const sl_record *record, sl_prepare_cb cb, void *cb_ctx)
{
    const struct deed_handle *h = handle;
    struct deed *d;
    sl_status r;

    if (!(h->kind->flags & DEED_FROZEN)) {
        cb(cb_ctx, SL_OK, record->body, (sl_str){ 0 });
        return;
    }
    d = deed_new(self, h, record);
    if (!d) {
        cb(cb_ctx, SL_E_NO_MEMORY, (sl_str){ 0 }, view("out of memory"));
        return;
    }
    d->freeze = cb;
    d->cb_ctx = cb_ctx;
    r = take(d, record->body);
    if (r == SL_E_INVALID)
        deed_reject(d);
    else if (r < 0)
        no_memory(d);
    else
        h->kind->freeze(d);
}

void deed_resume(void *self, void *handle, const sl_batch *batch, sl_str token, const sl_done *done)
{
    struct deed *d = begin(self, handle, batch, done);
    json_t *known;

    if (!d)
        return;
    known = json_loadb(token.ptr, token.len, 0, NULL);
    d->stage = STAGE_FOLLOWING;
    if (d->kind->resume && json_integer_value(json_object_get(known, "v")) == 1) {
        d->kind->resume(d, known);
    } else {
        deed_say(d, "it was stored by another version of this adapter");
        deed_unknown(d);
    }
    json_decref(known);
}

void deed_confirm(void *self, void *handle, const sl_record *record, sl_confirm_cb cb, void *cb_ctx)
{
    struct deed *d = deed_new(self, handle, record);

    if (!d) {
        cb(cb_ctx, &(sl_confirmed){ .size = sizeof(sl_confirmed), .verdict = SL_CONFIRM_EARLY });
        return;
    }
    d->cb = cb;
    d->cb_ctx = cb_ctx;
    if (d->kind->flags & DEED_REPEATABLE && !(d->kind->step && must_look(d))) {
        sl_outcome o = { .size = sizeof(o), .kind = SL_RETRY };

        tell(d, &o, SL_CONFIRM_AGAIN);
    } else if (take(d, record->request) < 0 || !d->kind->look) {
        deed_say(d, "it cannot be looked up in the shop whether it was done");
        deed_review(d);
    } else {
        deed_look(d);
    }
}
