/*
 * remote.c - the adapter and the remote behind it in one: it does with each record what the plan's
 * chances say, answers when it likes, and answers questions by what it did.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sim.h"

struct book *book_of(struct sim *s, uint64_t num)
{
    struct book *b;

    HASH_FIND(hh, s->books, &num, sizeof(num), b);
    if (b)
        return b;
    b = memset(arena_alloc(&s->arena, sizeof(*b)), 0, sizeof(*b));
    b->num = num;
    HASH_ADD(hh, s->books, num, sizeof(b->num), b);
    return b;
}

static struct call *call_new(struct remote *r, enum call_kind kind)
{
    struct call *c = memset(arena_alloc(&r->sim->arena, sizeof(*c)), 0, sizeof(*c));

    c->remote = r;
    c->kind = kind;
    list_append(&r->calls, &c->node);
    return c;
}

static void call_over(struct call *c)
{
    c->over = true;
    list_remove(&c->node);
    if (c->kind == CALL_DELIVER || c->kind == CALL_CONFIRM || c->kind == CALL_CANCEL)
        c->remote->at_once--;
    for (size_t i = 0; i < c->n; i++)
        c->books[i]->with_remote = false;
    check_call_over(c);
}

void remote_forget(struct remote *r)
{
    while (!list_empty(&r->calls))
        call_over(list_entry(r->calls.next, struct call, node));
}

static int64_t latency(struct remote *r)
{
    if (r->hangs && !r->sim->healed)
        return 60000;
    if (r->sim->healed)
        return between(&r->rng, 1, 50);
    return one_in(&r->rng, 20) ? between(&r->rng, 0, 20 * r->slow_ms)
                               : between(&r->rng, 0, r->slow_ms);
}

bool remote_is_dead(const struct remote *r)
{
    return !r->sim->healed && world_now() >= r->dead_from && world_now() < r->dead_until;
}

static enum deed choose(struct remote *r)
{
    static const enum deed dying[] = { DEED_RETRY, DEED_RETRY, DEED_CUT, DEED_LOST };
    uint64_t x = rng_below(&r->rng, 1000);

    if (r->hangs && !r->sim->healed)
        return DEED_CUT;
    if (remote_is_dead(r))
        return dying[x % 4];
    if (replay_is_news(r->sim) && !r->sim->healed && x % 2)
        return DEED_REJECT;
    for (int d = 1; d < DEED__COUNT && !r->sim->healed; d++) {
        if (x < r->deeds[d])
            return (enum deed)d;
        x -= r->deeds[d];
    }
    return DEED_WELL;
}

/* ---- prepare: each time other bytes, so that what is not frozen shows ---- */

static void on_prepared(void *ctx)
{
    struct call *c = ctx;
    char request[80];

    if (c->over)
        return;
    call_over(c);
    snprintf(request, sizeof(request), "request %s, made %llu", c->key,
             (unsigned long long)++c->remote->sim->nonce);
    c->prepared(c->ctx, SL_OK, str_of(request), STR(""));
}

static void sim_prepare(void *self, void *handle, const sl_record *rec, sl_prepare_cb cb, void *ctx)
{
    struct remote *r = self;

    (void)handle;
    if (!r->sim->healed && !r->sim->waits && one_in(&r->rng, 100)) {
        cb(ctx, SL_E_NO_MEMORY, STR(""), STR("no memory"));
        return;
    }
    struct call *c = call_new(r, CALL_PREPARE);
    c->prepared = cb;
    c->ctx = ctx;
    snprintf(c->key, sizeof(c->key), STR_FMT, STR_ARG(rec->key));
    if (one_in(&r->rng, 2))
        on_prepared(c);
    else
        world_in(&r->sim->w, between(&r->rng, 0, 50), on_prepared, c);
}

/* ---- deliver ---- */

struct effect {
    struct remote *remote;
    struct book *book;
};

static void on_effect(void *ctx)
{
    struct effect *e = ctx;
    unsigned at = 1u << e->remote->index;

    e->book->pending_at &= ~at;
    if (!(e->book->applied_at & at) || !e->book->idempotent) /* by its key it is known there */
        e->book->applied++;
    e->book->applied_at |= at;
    check_effect(e->remote->sim, e->book);
}

static void effect_in(struct remote *r, struct book *b, int64_t ms)
{
    struct effect *e = arena_alloc(&r->sim->arena, sizeof(*e));

    *e = (struct effect){ r, b };
    b->pending_at |= 1u << r->index;
    b->cancelled_at &= ~(1u << r->index); /* another one, by another key */
    world_in(&r->sim->w, ms, on_effect, e);
}

static void tell_one(struct call *c, size_t i)
{
    static const uint32_t kinds[DEED__COUNT] = { SL_DELIVERED, SL_RETRY,  SL_THROTTLED,
                                                 SL_REJECTED,  SL_REVIEW, SL_UNKNOWN,
                                                 SL_UNKNOWN,   0 };
    struct remote *r = c->remote;
    const struct row *row = tables_row(r->sim->t, c->books[i]->num);
    char po[80];
    sl_outcome o = { .size = sizeof(o),
                     .kind = kinds[c->deeds[i]],
                     .after_ms = c->after_ms,
                     .not_sent = c->deeds[i] == DEED_RETRY && c->not_sent,
                     .why = replay_is_news(r->sim) ? STR("news") : STR("simulated") };
    sl_link link = { STR("po"), { 0 } };
    sl_emit emit = { STR("done"), STR("{}") };

    snprintf(po, sizeof(po), "po-" STR_FMT, STR_ARG(row->subject));
    link.id = str_of(po);
    if (o.kind == SL_DELIVERED && r->links && row->subject.len) {
        o.links = &link;
        o.n_links = 1;
    }
    if (o.kind == SL_DELIVERED && r->emits) {
        o.emits = &emit;
        o.n_emits = 1;
    }
    if (o.kind == SL_RETRY)
        o.narrow = batches_narrow(r, c->books[i]);
    else if (o.kind != SL_THROTTLED)
        c->books[i]->narrow = 0;
    if (o.kind == SL_UNKNOWN && one_in(&r->rng, 3))
        return; /* nothing told is unknown, too */
    c->done->outcome(c->done->ctx, i, &o);
}

void remote_answers(void *ctx)
{
    struct call *c = ctx;
    const sl_done *done = c->done;

    if (c->over)
        return;
    world_say(&c->remote->sim->w, "%s answers %llu.%u: %d", c->remote->conf->name,
              (unsigned long long)delivery_event(c->books[0]->num),
              delivery_ordinal(c->books[0]->num), c->deeds[0]);
    allow_heard(c, c->deeds[0] != DEED_LOST && c->deeds[0] != DEED_CUT);
    check_told(c);
    if (c->deeds[0] == DEED_PARK)
        done->park(done->ctx, STR("simulated"), c->after_ms);
    for (size_t i = 0; i < c->n && c->deeds[0] != DEED_PARK; i++)
        tell_one(c, i);
    call_over(c);
    done->finish(done->ctx);
}

static void on_checkpoint(void *ctx, sl_status status)
{
    (void)ctx;
    (void)status;
}

static void take_records(struct call *c, const sl_batch *b)
{
    c->n = b->n_records < 10 ? b->n_records : 10;
    for (size_t i = 0; i < c->n; i++) {
        uint64_t num = 0;
        delivery_parse(b->records[i].delivery, &num);
        c->books[i] = book_of(c->remote->sim, num);
    }
}

void remote_acts(struct call *c, int64_t ms)
{
    struct remote *r = c->remote;

    for (size_t i = 0; i < c->n; i++) {
        c->deeds[i] = choose(r);
        if (c->deeds[i] == DEED_PARK && i > 0)
            c->deeds[i] = DEED_WELL;
    }
    for (size_t i = 0; i < c->n && c->deeds[0] != DEED_PARK; i++)
        if (c->deeds[i] == DEED_WELL || c->deeds[i] == DEED_LOST)
            effect_in(r, c->books[i], between(&r->rng, 0, ms));
    c->not_sent = one_in(&r->rng, 2);
    if (c->deeds[0] == DEED_THROTTLE || c->deeds[0] == DEED_PARK || one_in(&r->rng, 5))
        c->after_ms = between(&r->rng, 0, 5000);
}

static void on_taken_back(void *ctx)
{
    struct call *c = ctx;
    const sl_done *done = c->done;

    if (c->over)
        return;
    call_over(c);
    stand_in_answer(c);
    done->finish(done->ctx);
}

static void sim_take_back(struct call *c, const sl_batch *b)
{
    c->remote->sim->confirms++;
    take_records(c, b);
    check_question(c);
    world_in(&c->remote->sim->w, latency(c->remote), on_taken_back, c);
}

static void sim_deliver(void *self, void *handle, const sl_batch *b, const sl_done *done)
{
    struct remote *r = self;
    struct call *c = call_new(r, handle == &sim_cancels ? CALL_CANCEL : CALL_DELIVER);

    c->done = done;
    if (handle == &sim_cancels) {
        r->at_once++;
        sim_take_back(c, b);
        return;
    }
    int64_t ms = latency(r);
    r->at_once++;
    r->sim->arrivals += b->n_records;
    take_records(c, b);
    for (size_t i = 0; i < c->n; i++)
        world_say(&r->sim->w, "%s gets " STR_FMT " (" STR_FMT "), attempt %u, batch %llu",
                  r->conf->name, STR_ARG(b->records[i].delivery), STR_ARG(b->records[i].subject),
                  b->records[i].attempt, (unsigned long long)b->id);
    check_call(c, b);
    for (size_t i = 0; i < c->n; i++) /* by another key than what was taken back */
        c->books[i]->cancelled_at &= ~(1u << r->index);
    bool counted = allow_send(c, ms);
    if (!counted)
        remote_acts(c, ms);
    if (b->n_records > 1 && one_in(&r->rng, 2))
        done->checkpoint(done->ctx, STR("token"), 0, on_checkpoint, NULL);
    if (!counted)
        world_in(&r->sim->w, ms, remote_answers, c);
}

/** By what it did: everything that was begun is over by then. */
static void on_resumed(void *ctx)
{
    struct call *c = ctx;

    if (c->over)
        return;
    for (size_t i = 0; i < c->n; i++) {
        unsigned at = 1u << c->remote->index;
        c->deeds[i] = c->books[i]->applied_at & at ? DEED_WELL : DEED_RETRY;
        if (c->books[i]->pending_at & at)
            c->deeds[i] = DEED_LOST;
    }
    remote_answers(c);
}

static void sim_resume(void *self, void *handle, const sl_batch *b, sl_str token,
                       const sl_done *done)
{
    struct remote *r = self;
    struct call *c = call_new(r, CALL_RESUME);

    (void)handle;
    (void)token;
    c->done = done;
    take_records(c, b);
    check_batch(c, b);
    world_say(&r->sim->w, "%s resumes batch %llu", r->conf->name, (unsigned long long)b->id);
    world_in(&r->sim->w, latency(r), on_resumed, c);
}

/* ---- confirm ---- */

static uint32_t verdict(const struct call *c)
{
    struct remote *r = c->remote;
    const struct book *b = c->books[0];
    unsigned at = 1u << r->index, there = b->applied_at;

    if (!strcmp(c->key, b->key)) /* what was taken back is there by the key that it came with */
        there |= b->cancelled_at;

    if ((b->pending_at & at) || remote_is_dead(r))
        return SL_CONFIRM_EARLY;
    if (!r->sim->healed && per_mille(&r->rng, r->vague))
        return one_in(&r->rng, 3) ? SL_CONFIRM_UNSURE : SL_CONFIRM_EARLY;
    return there & at ? SL_CONFIRM_YES : SL_CONFIRM_NO;
}

void remote_says(void *ctx)
{
    struct call *c = ctx;
    struct book *b = c->books[0];
    sl_confirmed a = { .size = sizeof(a) };

    if (c->over)
        return;
    a.verdict = c->paid.refused ? SL_CONFIRM_EARLY : verdict(c);
    a.after_ms = c->after_ms;
    allow_heard(c, true);
    if (a.verdict == SL_CONFIRM_NO)
        b->leave = true;
    world_say(&c->remote->sim->w, "%s says of %llu.%u: %u", c->remote->conf->name,
              (unsigned long long)delivery_event(b->num), delivery_ordinal(b->num), a.verdict);
    call_over(c);
    c->confirmed(c->ctx, &a);
}

static void sim_confirm(void *self, void *handle, const sl_record *rec, sl_confirm_cb cb, void *ctx)
{
    struct remote *r = self;
    struct call *c = call_new(r, CALL_CONFIRM);
    uint64_t num = 0;

    (void)handle;
    c->confirmed = cb;
    c->ctx = ctx;
    r->at_once++;
    r->sim->confirms++;
    delivery_parse(rec->delivery, &num);
    c->books[0] = book_of(r->sim, num);
    snprintf(c->key, sizeof(c->key), STR_FMT, STR_ARG(rec->key));
    world_say(&r->sim->w, "%s is asked of " STR_FMT, r->conf->name, STR_ARG(rec->delivery));
    check_question(c);
    int64_t ms = latency(r);
    if (!allow_ask(c, ms))
        world_in(&r->sim->w, ms, remote_says, c);
}

/* ---- lookup ---- */

/** A source that knows about half of the subjects, and says the same of each every time. */
static void on_looked_up(void *ctx)
{
    struct call *c = ctx;
    struct remote *r = c->remote;
    sl_looked_up a = { .size = sizeof(a), .why = STR("the simulation") };

    if (c->over)
        return;
    if (remote_is_dead(r) || (!r->sim->healed && one_in(&r->rng, 3)))
        a.verdict = SL_LOOKUP_AGAIN;
    else
        a.verdict = c->body[0] % 2 ? SL_LOOKUP_FOUND : SL_LOOKUP_NONE;
    if (a.verdict == SL_LOOKUP_FOUND)
        a.body = str_of(c->body);
    world_say(&r->sim->w, "%s is asked for %s: %u", r->conf->name, c->body, a.verdict);
    call_over(c);
    c->looked_up(c->ctx, &a);
}

static void sim_lookup(void *self, const sl_lookup *what, sl_lookup_cb cb, void *ctx)
{
    struct remote *r = self;
    struct call *c = call_new(r, CALL_LOOKUP);

    c->looked_up = cb;
    c->ctx = ctx;
    snprintf(c->body, sizeof(c->body), STR_FMT " 5", STR_ARG(what->subject));
    world_in(&r->sim->w, latency(r), on_looked_up, c);
}

/* ---- what it sends ---- */

/** "SUBJECT VERSION", or the same as JSON, or "ref ID": only a reference is known; "-": about
 * nothing. */
static sl_status sim_describe(void *self, const sl_event *e, const sl_describe_out *out,
                              sl_fail *fail)
{
    char subject[40] = "", version[40] = "", text[100];

    (void)self;
    (void)fail;
    snprintf(text, sizeof(text), STR_FMT, STR_ARG(e->body));
    if (sscanf(text, "{\"subject\":\"%39[^\"]\",\"version\":\"%39[^\"]\"", subject, version) < 2)
        sscanf(text, "%39s %39s", subject, version);
    if (!strcmp(subject, "ref")) {
        sl_ref ref = { STR("po"), str_of(version) };
        out->subject(out->ctx, STR(""), STR(""), STR(""), &ref, 1);
    } else if (strcmp(subject, "-") != 0) {
        out->subject(out->ctx, str_of(subject), str_of(version), STR(""), NULL, 0);
    }
    return SL_OK;
}

static const sl_action actions[] = {
    [ACT_SEND] = { .name = "send", .batch_records = 1 },
    [ACT_SAFE] = { .name = "safe", .batch_records = 1, .flags = SL_ACTION_IDEMPOTENT },
    [ACT_BULK] = { .name = "bulk", .batch_records = 10 },
    [ACT_ONCE] = { .name = "once", .batch_records = 1, .flags = SL_ACTION_ONCE },
    [ACT_CANCEL] = { .name = "cancel", .batch_records = 1, .flags = SL_ACTION_CANCEL },
    { 0 },
};

const sl_plugin sim_plugin = {
    .size = sizeof(sim_plugin),
    .name = "sim",
    .actions = actions,
    .describe = sim_describe,
    .prepare = sim_prepare,
    .deliver = sim_deliver,
    .resume = sim_resume,
    .confirm = sim_confirm,
    .lookup = sim_lookup,
    .cost = allow_cost,
    .parent_key = sim_parent_key,
    .batching = sim_batching,
};
