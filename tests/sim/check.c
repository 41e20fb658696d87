/*
 * check.c - the properties. They are checked against what the remotes saw and what the store holds,
 * never against the flow's own variables.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/digest.h"
#include "sim.h"

#define TOKEN     INT64_C(1000000)
#define OVERTAKEN 30   /* batches of other priorities: two rounds of 8 + 4 + 2 + 1 */
#define RIPE_MS   6000 /* a delivery that waits for longer is waited for by nothing but its turn */
#define NAME(num) (num) >> DELIVERY_ORDINAL_BITS, (unsigned)((num)&DELIVERY_ORDINAL_MAX)
#define NAME_FMT  "%" PRIu64 ".%u"

static bool is(sl_str s, const char *text)
{
    return str_eq(s, str_of(text));
}

static const struct conf_route *route_of(const struct sim *s, const struct row *r)
{
    return config_route(&s->config, r->route);
}

static bool is_idempotent(const struct row *r)
{
    return is(r->action, sim_plugin.actions[ACT_SAFE].name);
}

void check_begin(struct remote *r)
{
    r->tokens = (int64_t)r->conf->burst * TOKEN; /* a process begins with a full bucket */
    r->tokens_ms = world_now();
    r->refused_ms = r->refused_until = 0;
    r->parked_ms = r->parked_until = 0;
    r->opened_ms = 0;
    r->slots = 0;
    r->after_park = r->at_once = 0;
    memset(r->overtaken, 0, sizeof(r->overtaken));
    allow_begin(r);
}

/* ---- what a remote counts ---- */

/** Over any time it sees burst + rate x time calls at most: as a bucket of its own counts. */
void check_refill(struct remote *r)
{
    int64_t now = world_now(), most = (int64_t)r->conf->burst * TOKEN;

    r->tokens += (now - r->tokens_ms) * (int64_t)r->conf->rate_milli_per_s;
    r->tokens_ms = now;
    if (r->tokens > most)
        r->tokens = most;
}

static void check_tokens(struct remote *r)
{
    if (!r->conf->rate_milli_per_s || r->allow.kind >= ALLOW_LEAKY)
        return; /* these say themselves what they bear */
    check_refill(r);
    r->tokens -= TOKEN;
    if (r->tokens < 0)
        world_fail(&r->sim->w,
                   "tokens: %s got a call too early: %" PRId64 " millionths are missing",
                   r->conf->name, -r->tokens);
}

static void check_at_once(const struct remote *r)
{
    uint32_t more = world_now() < r->slots_until ? r->slots : 0;

    if (r->at_once > r->conf->concurrency && r->at_once > more)
        world_fail(&r->sim->w, "concurrency: %s has %u calls at once", r->conf->name, r->at_once);
}

/** One that is out for longer than the breaker stays open may be of its last opening but one. */
static unsigned probes_out(const struct remote *r)
{
    unsigned n = 0;

    list_each (i, &r->calls) {
        const struct call *c = list_entry(i, struct call, node);
        n += c->probe && world_now() < c->probe_ms + r->conf->breaker.open_ms;
    }
    return n;
}

/** Whenever it was chosen: what waited for its token when the lane closed must have gone back. */
static void check_closed_lane(struct call *c)
{
    struct remote *r = c->remote;
    int64_t now = world_now();

    if (r->parked_ms && now > r->parked_ms) {
        if (now < r->parked_until)
            world_fail(&r->sim->w, "park: %s is parked for another %" PRId64 " ms", r->conf->name,
                       r->parked_until - now);
        if (r->after_park)
            world_fail(&r->sim->w, "park: a second probe at %s", r->conf->name);
        c->after_park = true;
        r->after_park++;
    }
    if (r->opened_ms) {
        if (now < r->opened_ms + r->conf->breaker.open_ms)
            world_fail(&r->sim->w, "breaker: %s gets a call %" PRId64 " ms after it opened",
                       r->conf->name, now - r->opened_ms);
        if (probes_out(r) >= r->conf->breaker.probes)
            world_fail(&r->sim->w, "breaker: probe %u at %s", probes_out(r) + 1, r->conf->name);
        c->probe = true;
        c->probe_ms = now;
    }
}

void check_call_over(struct call *c)
{
    c->remote->after_park -= c->after_park;
    check_batch_over(c);
    c->probe = c->after_park = false;
}

/* ---- starvation ---- */

/** Does it wait for nothing but its turn, and has so for a while? */
static bool is_ripe(const struct sim *s, const struct remote *r, const struct row *row)
{
    int64_t since = row->ready_ms > s->life_ms ? row->ready_ms : s->life_ms;
    const struct conf_route *route = route_of(s, row);

    if (row->state != DS_READY || !is(row->endpoint, r->conf->name) ||
        check_is_stopped(s, row, &since))
        return false;
    if (route->ordered && row->own) {
        if (row->own->head != row)
            return false;
        if (row->own->head_ms > since)
            since = row->own->head_ms;
    }
    return since + RIPE_MS < world_now() && !check_is_behind(s, row, &since) &&
           !check_batch_waits(r, row, &since) && since + RIPE_MS < world_now();
}

static void check_turns(struct remote *r, uint8_t priority)
{
    const struct sim *s = r->sim;
    const struct row *ripe[PRIORITY__COUNT] = { NULL };

    if (s->config.window < WIDE || r->allow.quota) /* of a quota the rest may be kept */
        return;
    for (size_t i = 0; i < s->t->n_rows; i++)
        if (!ripe[s->t->rows[i]->priority] && is_ripe(s, r, s->t->rows[i]))
            ripe[s->t->rows[i]->priority] = s->t->rows[i];
    for (int p = 0; p < PRIORITY__COUNT; p++) {
        if (p == priority || !ripe[p])
            r->overtaken[p] = 0;
        else if (++r->overtaken[p] > OVERTAKEN)
            world_fail(&r->sim->w, "starvation: " NAME_FMT " (%s, to %s) was overtaken %u times",
                       NAME(ripe[p]->num), priority_names[p], r->conf->name, r->overtaken[p]);
    }
}

/* ---- one delivery arrives ---- */

static void check_recorded(struct call *c, const sl_batch *b, const sl_record *rec,
                           const struct row *row)
{
    struct world *w = &c->remote->sim->w;
    uint8_t digest[DIGEST_SHA256];

    if (row->state != DS_INFLIGHT || row->batch != b->id)
        world_fail(
            w, "record: " NAME_FMT " is sent as batch %" PRIu64 ", in the log it is %s of %" PRIu64,
            NAME(row->num), b->id, delivery_state_names[row->state], row->batch);
    else if (row->sent_from != DS_READY && row->sent_from != DS_WAITING)
        world_fail(w, "sent: " NAME_FMT " was %s, and nobody brought it back", NAME(row->num),
                   delivery_state_names[row->sent_from]);
    if (!is(row->endpoint, c->remote->conf->name))
        world_fail(w, "lane: " NAME_FMT " is sent to %s", NAME(row->num), c->remote->conf->name);
    digest_sha256(rec->request.ptr, rec->request.len, digest);
    if (memcmp(digest, row->digest, sizeof(digest)) != 0)
        world_fail(w, "request: " NAME_FMT " is not what the log says it is", NAME(row->num));
}

static uint64_t hash_of(sl_str s)
{
    uint64_t h = 14695981039346656037u;

    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (uint8_t)s.ptr[i]) * 1099511628211u;
    return h;
}

static void check_again(struct call *c, struct book *k, const sl_record *rec, const struct row *row)
{
    struct world *w = &c->remote->sim->w;

    if (k->with_remote)
        world_fail(w, "twice at once: " NAME_FMT " is in two batches", NAME(k->num));
    if (!k->arrivals++)
        return;
    if (!k->leave && k->last_at != c->remote->index)
        world_fail(w, "interlock: " NAME_FMT " goes to %s, and may be at another", NAME(k->num),
                   c->remote->conf->name);
    if (!k->leave && !is_idempotent(row))
        world_fail(w, "unknown: " NAME_FMT " is sent again without leave", NAME(k->num));
    if (!is(rec->key, k->key) && !k->key_may_change)
        world_fail(w, "key: " NAME_FMT " has another key", NAME(k->num));
    if (is(rec->key, k->key) && !k->bytes_may_change && hash_of(rec->request) != k->request)
        world_fail(w, "request: " NAME_FMT " has other bytes under the same key", NAME(k->num));
}

/** A policy's attempts are its own at each endpoint; what a person decided may have more. */
static void check_attempts(struct call *c, const struct book *k, const sl_record *rec,
                           const struct row *row)
{
    const struct conf_route *r = route_of(c->remote->sim, row);
    bool fell = r->fallback && r->fallback->endpoint->index == c->remote->index;
    uint32_t most = fell ? r->fallback->retry.max_attempts : r->retry.max_attempts;

    if (most && rec->attempt > most && rec->attempt > k->granted && !k->human)
        world_fail(&c->remote->sim->w, "attempts: " NAME_FMT " gets its attempt %u of %u",
                   NAME(k->num), rec->attempt, most);
}

static void check_one(struct call *c, const sl_batch *b, size_t i)
{
    struct sim *s = c->remote->sim;
    const sl_record *rec = &b->records[i];
    const struct row *row = tables_row(s->t, c->books[i]->num);
    struct book *k = c->books[i];

    if (!row) {
        world_fail(&s->w, "record: " NAME_FMT " is sent and nobody knows it", NAME(k->num));
        return;
    }
    check_recorded(c, b, rec, row);
    check_again(c, k, rec, row);
    if (!str_eq(rec->body, row->body))
        world_fail(&s->w, "payload: " NAME_FMT " goes with " STR_FMT " instead of " STR_FMT,
                   NAME(k->num), STR_ARG(rec->body), STR_ARG(row->body));
    check_attempts(c, k, rec, row);
    check_burnt(c, k, rec->attempt);
    check_turn(s, b, row);
    check_stopped(c, row, tables_batch(s->t, b->id));
    moment_sent(s, row);
    k->with_remote = true;
    k->last_at = c->remote->index;
    k->leave = k->key_may_change = k->bytes_may_change = false;
    k->idempotent = is_idempotent(row);
    k->request = hash_of(rec->request);
    if (!str_eq(rec->key, str_of(k->key)))
        k->cancelled_at = 0; /* under the old key, and nobody asks for that one any more */
    snprintf(k->key, sizeof(k->key), STR_FMT, STR_ARG(rec->key));
}

void check_call(struct call *c, const sl_batch *b)
{
    struct remote *r = c->remote;
    const struct batch_row *sent = tables_batch(r->sim->t, b->id);
    const struct row *first = tables_row(r->sim->t, c->books[0]->num);

    if (r->sim->waits && r->sim->n_waits < ISOLATION_MOST && !r->hangs && !r->sim->healed && first)
        r->sim->waits[r->sim->n_waits++] = (uint32_t)(clock_wall_ms() - first->received_ms);
    for (size_t i = 0; i < c->n; i++)
        check_one(c, b, i);
    check_batch(c, b);
    if (!sent || !first)
        return;
    check_tokens(r);
    check_at_once(r);
    check_closed_lane(c);
    check_turns(r, first->priority);
    if (world_now() < r->refused_until)
        world_fail(&r->sim->w, "Retry-After: %s gets a call %" PRId64 " ms too early",
                   r->conf->name, r->refused_until - world_now());
}

void check_question(struct call *c)
{
    struct remote *r = c->remote;
    const struct row *row = tables_row(r->sim->t, c->books[0]->num);
    int64_t now = world_now();

    c->n = 1;
    if (!row || row->state != DS_UNKNOWN)
        world_fail(&r->sim->w, "question: " NAME_FMT " is not unknown", NAME(c->books[0]->num));
    if (c->books[0]->with_remote)
        world_fail(&r->sim->w, "twice at once: " NAME_FMT " is out and asked for",
                   NAME(c->books[0]->num));
    c->books[0]->with_remote = true;
    if (row)
        check_stopped(c, row, NULL);
    check_tokens(r);
    check_at_once(r);
    check_closed_lane(c);
    if (now < r->refused_until && now > r->refused_ms + SLACK_MS)
        world_fail(&r->sim->w, "Retry-After: %s is asked %" PRId64 " ms too early", r->conf->name,
                   r->refused_until - now);
}

/** Never accepted by two members, whatever was lost on the way; but a person may be wrong. */
void check_effect(struct sim *s, const struct book *k)
{
    if (!k->human && (k->applied_at & (k->applied_at - 1)))
        world_fail(&s->w, "interlock: " NAME_FMT " was accepted by two members", NAME(k->num));
}

void check_told(struct call *c)
{
    struct remote *r = c->remote;
    int64_t now = world_now();

    if (c->deeds[0] == DEED_PARK) {
        int64_t until = now + (c->after_ms > 0 ? c->after_ms : r->conf->park_probe_ms);
        r->parked_ms = now + (c->n > 1 ? SLACK_MS : 0); /* a checkpoint must be durable first */
        r->parked_until = until;
    }
    for (size_t i = 0; i < c->n; i++) {
        struct book *k = c->books[i];
        if (c->deeds[0] == DEED_PARK || c->deeds[i] == DEED_RETRY || c->deeds[i] == DEED_THROTTLE)
            k->leave = true;
        if (c->deeds[i] == DEED_THROTTLE && c->deeds[0] != DEED_PARK)
            check_spared(c, k);
        if (c->deeds[i] == DEED_REJECT)
            k->leave = k->key_may_change = true;
        int64_t until = now + (c->after_ms > 0 ? c->after_ms : 1000);
        if (c->deeds[i] != DEED_THROTTLE || c->deeds[0] == DEED_PARK || until <= r->refused_until)
            continue;
        if (now >= r->refused_until)
            r->refused_ms = now;
        r->refused_until = until;
    }
}

void check_notice(void *ctx, const struct notice *n)
{
    struct sim *s = ctx;
    const struct conf_endpoint *e = config_endpoint(&s->config, n->endpoint);
    struct remote *r = e ? &s->remotes[e->index] : NULL;

    world_say(&s->w, "notice: %s " STR_FMT " " STR_FMT, notice_names[n->kind], STR_ARG(n->endpoint),
              STR_ARG(n->text));
    if (!r)
        return;
    if (n->kind == NOTICE_BREAKER_OPEN && is(n->text, LANE_RESTORED)) {
        r->opened_ms = world_now() - r->conf->breaker.open_ms; /* when exactly it said before */
    } else if (n->kind == NOTICE_BREAKER_OPEN) {
        if (r->opened_ms)
            world_fail(&s->w, "breaker: %s opens and was open", r->conf->name);
        r->opened_ms = world_now();
    } else if (n->kind == NOTICE_BREAKER_CLOSED) {
        if (!is(n->text, "removed") &&
            (!r->opened_ms || world_now() < r->opened_ms + r->conf->breaker.open_ms))
            world_fail(&s->w, "breaker: %s closes and was not half open", r->conf->name);
        r->opened_ms = 0;
    } else if (n->kind == NOTICE_UNPARKED) {
        r->parked_ms = r->parked_until = 0;
    }
}

/* ---- clocks ---- */

/** Since when the flow could have seen it. */
static bool is_late(const struct sim *s, int64_t at_ms)
{
    int64_t alive_ms = clock_wall_ms() - (world_now() - s->life_ms);

    return clock_wall_ms() > (at_ms > alive_ms ? at_ms : alive_ms) + s->late_ms;
}

void check_clocks(struct sim *s)
{
    if (!s->flow || s->flow->draining || store_sim_stopped(s->store))
        return;
    for (size_t i = 0; i < s->t->n_rows; i++) {
        const struct row *r = s->t->rows[i];
        /* a source that is asked may take its time */
        bool asks = r->detail.len && strstr(r->detail.ptr, "\"then\":\"lookup\"");
        if (r->state == DS_HELD && r->next_ms && !asks && is_late(s, r->next_ms))
            world_fail(&s->w,
                       "clock: " NAME_FMT " is held as " STR_FMT " for %" PRId64 " ms too long",
                       NAME(r->num), STR_ARG(r->hold_type), clock_wall_ms() - r->next_ms);
    }
    for (const struct deadline_row *d = s->t->deadlines; d; d = d->hh.next)
        if (d->open && is_late(s, d->next_ms))
            world_fail(&s->w, "deadline: that of " NAME_FMT " is %" PRId64 " ms over", NAME(d->num),
                       clock_wall_ms() - d->next_ms);
}

/** A clock moves what is held, when its time has come and not before. */
static void check_rung(struct sim *s, const struct rec_move *m)
{
    const struct row *r = tables_row(s->t, m->num);

    if (!r || !r->clock_ms || clock_wall_ms() < r->clock_ms)
        world_fail(&s->w, "clock: " NAME_FMT " is moved %" PRId64 " ms before its time",
                   NAME(m->num), r ? r->clock_ms - clock_wall_ms() : 0);
}

static void check_missed(struct sim *s, sl_str payload)
{
    struct rec_deadlines rec;

    if (rec_deadlines_decode(payload, &rec) < 0)
        return;
    for (size_t i = 0; i < rec.n_items; i++) {
        const struct deadline_row *d = tables_deadline(s->t, rec.items[i].num);
        if (rec.items[i].what == DEADLINE_MISSED && (!d || clock_wall_ms() < d->due_ms))
            world_fail(&s->w, "deadline: that of " NAME_FMT " is missed before its time",
                       NAME(rec.items[i].num));
    }
    rec_deadlines_finish(&rec);
}

/* ---- records ---- */

void check_record(void *ctx, uint64_t seq, enum record_type type, sl_str payload)
{
    struct sim *s = ctx;
    struct rec_moves rec;

    world_say(&s->w, "record %" PRIu64 " of kind %d", seq, type);
    check_epoch(s, seq, type, payload);
    check_replay(s, type, payload);
    if (type == REC_DEADLINE)
        check_missed(s, payload);
    if ((type != REC_DECISION && type != REC_OUTCOME) || rec_moves_decode(payload, &rec) < 0)
        return;
    for (size_t i = 0; i < rec.n_moves; i++)
        world_say(&s->w, NAME_FMT " is %s by " STR_FMT ": " STR_FMT, NAME(rec.moves[i].num),
                  delivery_state_names[rec.moves[i].state], STR_ARG(rec.who),
                  STR_ARG(rec.moves[i].reason));
    for (size_t i = 0; i < rec.n_moves; i++) {
        check_unfollowed(s, &rec.moves[i]);
        moment_done(s, &rec.moves[i]);
        check_batch_moved(s, is(rec.who, "adapter"), &rec.moves[i]);
    }
    uint64_t job = tables_replay_of(rec.who);
    for (size_t i = 0; i < rec.n_moves && job; i++)
        check_replay_move(s, job, rec.moves[i].num);
    for (size_t i = 0; i < rec.n_moves && is(rec.who, "clock"); i++)
        check_rung(s, &rec.moves[i]);
    for (size_t i = 0; i < rec.n_moves; i++)
        check_filled(s, rec.who, &rec.moves[i]);
    for (size_t i = 0; i < rec.n_moves; i++)
        check_released(s, rec.who, &rec.moves[i]);
    if (is(rec.who, "clock") || str_starts(rec.who, STR("event ")) || fill_decided(rec.who)) {
        rec_moves_finish(&rec); /* it was never sent */
        return;
    }
    for (size_t i = 0; i < rec.n_moves; i++) /* at another endpoint they are made anew */
        book_of(s, rec.moves[i].num)->bytes_may_change |= rec.moves[i].endpoint.len > 0;
    bool decided = type == REC_DECISION && !is(rec.who, "group") && !is(rec.who, "fallback") &&
                   !is(rec.who, "router") && !job;
    for (size_t i = 0; i < rec.n_moves && decided; i++) {
        struct book *k = book_of(s, rec.moves[i].num);
        if (rec.moves[i].endpoint.len)
            continue; /* a move without the word that nothing is there gives no leave */
        k->human = true;
        k->key_may_change |= s->group.cancels != NULL; /* it may be that a cancel was heard */
        k->leave |= rec.moves[i].state == DS_READY;
    }
    rec_moves_finish(&rec);
}

/* ---- the end ---- */

static bool waits_in_vain(const struct sim *s, const struct event_row *e)
{
    struct rec_ref ref = { e->receipt.endpoint, STR("po"), e->receipt.body };

    ref.id.ptr += strlen("ref ");
    ref.id.len -= strlen("ref ");
    return tables_link(s->t, &ref).len > 0;
}

bool check_quiet(const struct sim *s, char *why, size_t len)
{
    for (uint64_t id = 1; id <= s->t->last; id++) {
        const struct event_row *e = tables_event(s->t, id);
        if (!e || e->routed == 1)
            continue;
        if (e->routed == 0 || waits_in_vain(s, e)) {
            snprintf(why, len, "event %" PRIu64 " is not routed", id);
            return false;
        }
    }
    const struct row *r = check_stuck(s);
    if (r) {
        snprintf(why, len, NAME_FMT " (" STR_FMT ", " STR_FMT ", to " STR_FMT ") is %s for ever",
                 NAME(r->num), STR_ARG(r->route), STR_ARG(r->subject), STR_ARG(r->endpoint),
                 delivery_state_names[r->state]);
        return false;
    }
    for (const struct deadline_row *d = s->t->deadlines; d; d = d->hh.next)
        if (d->open) {
            snprintf(why, len, "the deadline of " NAME_FMT " is open", NAME(d->num));
            return false;
        }
    return check_replays_quiet(s, why, len);
}

static void check_event(struct sim *s, const struct event_row *e)
{
    if (e->routed != 1 || e->duplicate_of)
        return;
    for (size_t i = 0; i < s->config.n_routes; i++) {
        const struct conf_route *route = &s->config.routes[i];
        unsigned n = 0, given = 0, least, most;
        for (uint32_t k = 0; k < e->n_rows; k++) {
            const struct row *r = e->rows[k];
            if (!r || !is(r->route, route->name) || tables_remapped(r))
                continue;
            n++;
            while (r->instead)
                r = r->instead;
            given += r->given;
        }
        check_made(s, e, route, &least, &most);
        unsigned own = n - given - check_fell(s, e, route);
        if (own < least || own > most || n > 1)
            world_fail(&s->w, "lost: event %" PRIu64 " has %u deliveries of route %s", e->id, n,
                       route->name);
    }
}

static void check_outcome(struct sim *s, const struct row *r)
{
    const struct book *k = book_of(s, r->num);

    if (k->human)
        return; /* a person said what became of it */
    if (r->state == DS_DELIVERED && !k->applied)
        world_fail(&s->w, "lost: " NAME_FMT " is delivered and has not arrived", NAME(r->num));
    if (k->applied > 1)
        world_fail(&s->w, "doubled: " NAME_FMT " took effect %u times", NAME(r->num), k->applied);
}

/** What is not final, for whoever looks for the reason. */
void check_say_open(struct sim *s)
{
    for (size_t i = 0; i < s->t->n_rows; i++) {
        const struct row *r = s->t->rows[i];
        struct why why = { .text = "it is not in memory" };
        if (delivery_state_final(r->state))
            continue;
        flow_why(s->flow, r->num, &why);
        world_say(&s->w, NAME_FMT " (" STR_FMT ", " STR_FMT ", %s, to " STR_FMT ") is %s: %s",
                  NAME(r->num), STR_ARG(r->route), STR_ARG(r->subject), priority_names[r->priority],
                  STR_ARG(r->endpoint), delivery_state_names[r->state], why.text);
    }
}

/** An event of this topic about its subject; 0: none came. */
static uint64_t came(const struct sim *s, const struct row *r, const char *topic)
{
    for (uint64_t id = 1; id <= s->t->last; id++) {
        const struct event_row *e = tables_event(s->t, id);
        for (size_t i = 0; e && e->routed == 1 && !e->duplicate_of && i < e->n_abouts; i++)
            if (str_eq(e->abouts[i], r->subject) && is(e->receipt.topic, topic) &&
                check_was_there(s, e, r))
                return id;
    }
    return 0;
}

/** It is held, and what it waits for has come. */
static void check_held(struct sim *s, const struct row *r)
{
    const struct conf_route *route = route_of(s, r);
    bool waits = is(r->hold_type, HOLD_WAIT_FOR);
    const struct conf_hold *h = waits ? route->wait : route->hold;
    uint64_t by;

    if (r->state != DS_HELD || !h || !is(r->hold_type, h->type) || !h->n_until)
        return;
    by = came(s, r, h->until[0]);
    if (by)
        world_fail(&s->w, "held: " NAME_FMT " is held as %s, and event %" PRIu64 " came",
                   NAME(r->num), h->type, by);
}

/** Each ends once, and an event says so exactly when it was missed. */
static void check_deadline(struct sim *s, const struct deadline_row *d)
{
    unsigned said = 0;

    for (uint64_t id = 1; id <= s->t->last; id++) {
        const struct event_row *e = tables_event(s->t, id);
        said += e && e->receipt.cause == d->num && is(e->receipt.topic, "late");
    }
    if (d->met + d->missed != d->begun || said != d->missed)
        world_fail(&s->w,
                   "deadline: that of " NAME_FMT
                   " began %u times, was met %u and missed %u "
                   "times, and %u events say so",
                   NAME(d->num), d->begun, d->met, d->missed, said);
}

static void check_waits(struct sim *s)
{
    for (size_t i = 0; i < s->t->n_rows; i++) {
        const struct row *r = s->t->rows[i];
        check_held(s, r);
        if (r->state == DS_DELIVERED && route_of(s, r)->deadline &&
            !tables_deadline(s->t, r->num) && !book_of(s, r->num)->unfollowed)
            world_fail(&s->w, "deadline: " NAME_FMT " is delivered and has none", NAME(r->num));
    }
    for (const struct deadline_row *d = s->t->deadlines; d; d = d->hh.next)
        check_deadline(s, d);
}

void check_end(struct sim *s)
{
    char why[200];

    if (!check_quiet(s, why, sizeof(why)))
        check_say_open(s);
    if (!check_quiet(s, why, sizeof(why)))
        world_fail(&s->w, "stuck: %s", why);
    for (size_t i = 0; i < s->n_acked; i++)
        if (!tables_event(s->t, s->acked[i]))
            world_fail(&s->w, "lost: event %" PRIu64 " was acknowledged", s->acked[i]);
    for (uint64_t id = 1; id <= s->t->last; id++)
        if (tables_event(s->t, id))
            check_event(s, tables_event(s->t, id));
    for (size_t i = 0; i < s->t->n_rows; i++)
        check_outcome(s, s->t->rows[i]);
    check_versions(s);
    check_amended(s);
    check_stand_ins(s);
    check_replays(s);
    check_waits(s);
    check_budgets_end(s);
}
