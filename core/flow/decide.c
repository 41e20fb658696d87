/*
 * decide.c - what people decide about deliveries: replay, discard, release, reject, "it arrived".
 *
 * Each delivery's row is read first, the decision checked against its state (decide_rules.c), all
 * moves written as one record with who and why, and only then memory follows.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/behind.h"
#include "flow/chain.h"
#include "flow/deadline.h"
#include "flow/decide_state.h"
#include "flow/due.h"
#include "flow/fallback.h"
#include "flow/order.h"
#include "flow/row.h"

static void deciding_free(struct deciding *a)
{
    for (size_t i = 0; i < a->n; i++) {
        hold_verdict_finish(&a->choices[i].verdict);
        free(a->choices[i].type);
        row_free(&a->choices[i].row);
        free(a->choices[i].detail);
        free(a->choices[i].edited);
        free(a->choices[i].by);
        free(a->choices[i].again.said);
        free(a->choices[i].body);
    }
    free(a->choices);
    free(a->results);
    free(a->who);
    free(a->why);
    free(a->endpoint);
    free(a->chosen);
    free(a->set);
    free(a->body);
    free(a);
}

/* ---- one decision about a delivery at a time ---- */

bool decide_under_way(const struct flow *f, uint64_t num)
{
    struct choice *c;

    HASH_FIND(hh, f->deciding, &num, sizeof(num), c);
    return c != NULL;
}

static bool claim(struct choice *c)
{
    struct flow *f = c->all->flow;
    struct delivery *d = flow_delivery(f, c->row.num);

    if (decide_under_way(f, c->row.num)) {
        decide_refuse(c, UV_EBUSY, "another decision about it is under way");
        return false;
    }
    if (d && d->settling) { /* still, after decide_wait(): its row may be as it was before */
        decide_refuse(c, UV_EBUSY, "it is under way at this moment");
        return false;
    }
    if (c->all->dry_run)
        return true; /* nobody is kept from anything meanwhile */
    HASH_ADD(hh, f->deciding, row.num, sizeof(c->row.num), c);
    c->claimed = true;
    if (d) {
        d->deciding = true;
        pile_take(d);
    }
    return true;
}

static void release(struct choice *c)
{
    struct flow *f = c->all->flow;
    struct delivery *d = flow_delivery(f, c->row.num);

    if (!c->claimed)
        return;
    c->claimed = false;
    HASH_DEL(f->deciding, c);
    if (d) {
        d->deciding = false;
        lane_place(d);
        lane_pump_soon(d->lane);
    }
}

/* ---- memory follows ---- */

/** It stays held, under another type, owner or clock. */
static void follow_hold(struct choice *c)
{
    struct flow *f = c->all->flow;
    struct delivery *d = flow_delivery(f, c->row.num);
    struct delivery named = { .num = c->row.num, .subject = (char *)c->row.subject.ptr };

    if (d)
        d->next_ms = c->m.next_ms;
    due_add(f, false, c->row.num, c->m.next_ms);
    hold_notice(f, flow_lane(f, c->row.endpoint), d ? d : &named,
                config_route(f->config, c->row.route), c->m.hold_type,
                c->m.detail.len ? c->m.detail : c->row.detail, c->m.reason);
}

static void place(struct choice *c)
{
    struct flow *f = c->all->flow;
    struct delivery *d = flow_delivery(f, c->row.num);
    struct lane *l;

    if (c->m.state == DS_HELD && c->row.state == DS_HELD && !c->m.endpoint.len) {
        follow_hold(c);
        return;
    }

    l = lane_named(f, c->row.endpoint);
    if (!l)
        l = &f->nowhere;
    if (c->m.state == DS_DEAD && (c->what == DECISION_CLOCK || c->all->prepared))
        dead_notice(f, l == &f->nowhere ? NULL : l,
                    &(struct delivery){ .num = c->row.num, .subject = (char *)c->row.subject.ptr },
                    config_route(f->config, c->row.route), c->m.reason);
    if (d)
        lane_remove(d);
    /* What is being read may still have it as it was, here or where memory had it. */
    lane_gone(l, c->row.priority, c->row.num);
    recover_moved(f, c->row.num);
    lane_refill(l); /* it may have made room, in a lane where nothing else happens */
    if (delivery_state_final(c->m.state))
        return;
    if (c->all->what == DECISION_MOVE)
        l->moved_away++;
    row_follow(&c->row, &c->m);
    l = lane_named(
        f, c->row.endpoint); /* perhaps of an endpoint removed meanwhile: it is held there */
    if (l && c->all->what == DECISION_MOVE)
        l->moved_here++;
    if (l && behind_admits(l, &c->row))
        recover_row(f, l, &c->row);
}

static void follow(struct choice *c)
{
    struct flow *f = c->all->flow;

    place(c);
    order_moved(f, &(struct order_move){ .num = c->row.num,
                                         .route = config_route(f->config, c->row.route),
                                         .subject = c->row.subject,
                                         .piece = c->row.piece,
                                         .state = c->m.state });
}

static void finish(struct deciding *a)
{
    for (size_t i = 0; i < a->n; i++)
        release(&a->choices[i]);
    a->cb(a->ctx, a->results, a->n);
    deciding_free(a);
}

void flow_decided(struct deciding *a, int status)
{
    for (size_t i = 0; i < a->n; i++) {
        struct choice *c = &a->choices[i];
        if (c->move && status == 0)
            follow(c);
        else if (c->move)
            decide_refuse(c, status, "could not be recorded: %s", uv_strerror(status));
    }
    finish(a);
}

static void on_decided(struct flow *f, struct commit *commit, int status)
{
    if (status == 0)
        deadline_recorded(f, commit);
    flow_decided(commit->ctx, status);
}

/** What did arrive may have something to be followed by. */
static void begin_deadlines(struct deciding *a, struct commit *commit)
{
    struct deadline_begin *begins = mem_array(a->n ? a->n : 1, sizeof(*begins));
    size_t n = 0;

    for (size_t i = 0; i < a->n; i++) {
        const struct choice *c = &a->choices[i];
        if (c->move && c->m.state == DS_DELIVERED)
            begins[n++] = (struct deadline_begin){ config_route(a->flow->config, c->row.route),
                                                   c->row.num, c->row.subject, c->row.endpoint };
    }
    deadline_record(commit, begins, n);
    free(begins);
}

static void write_moves(struct deciding *a)
{
    struct rec_moves rec = {
        .at_ms = clock_wall_ms(),
        .who = str_of(a->who),
        .moves = mem_array(a->n ? a->n : 1, sizeof(struct rec_move)),
    };

    for (size_t i = 0; i < a->n; i++)
        if (a->choices[i].move)
            rec.moves[rec.n_moves++] = a->choices[i].m;
    if (a->prepared) {
        a->prepared(a->ctx, a, &rec);
        free(rec.moves);
        return;
    }
    if (rec.n_moves == 0) {
        free(rec.moves);
        finish(a);
        return;
    }
    struct commit *c = commit_new(a->flow, on_decided, a);
    rec_moves_encode(&commit_record(c, REC_DECISION)->payload, &rec);
    free(rec.moves);
    begin_deadlines(a, c);
    commit_go(c);
}

/* ---- mapping again ---- */

#define EDIT_LOST "; what was edited is not carried over"

static void remap_done(struct choice *c)
{
    if (--c->all->pending == 0)
        write_moves(c->all);
}

/** By another route; or nothing came of that, and it is the dead letter that it would have been. */
static void fell(struct choice *c, const struct remap *m)
{
    if (m->status == UV_ENOENT) {
        c->move = true;
        c->m.state = DS_DEAD;
        c->m.reason = str_of(c->edited);
    } else if (m->status < 0) {
        decide_refuse(c, m->status, "could not be routed: %s", uv_strerror(m->status));
    } else {
        c->m.state = m->closed;
        c->m.reason = str_of(m->said);
        follow(c);
        snprintf(c->all->results[c->index].text, sizeof(c->all->results[c->index].text), "%.150s",
                 m->said);
    }
}

static void on_remapped(struct remap *m)
{
    struct choice *c = container_of(m, struct choice, again);
    struct decided *r = &c->all->results[c->index];
    char name[32];

    if (c->by) {
        fell(c, m);
    } else if (m->status == UV_ENOENT) {
        decide_refuse(c, UV_ENOENT,
                      "its event, its route or the link that it needs is no longer there");
    } else if (m->status < 0) {
        decide_refuse(c, m->status, "could not be mapped again: %s", uv_strerror(m->status));
    } else {
        c->m.state = DS_DISCARDED;
        follow(c);
        delivery_name(m->made, name);
        if (m->made)
            snprintf(r->text, sizeof(r->text), "mapped again as %s%s", name,
                     r->edit_lost ? EDIT_LOST : "");
        else
            snprintf(r->text, sizeof(r->text), "mapped again: the route makes nothing of it now");
    }
    remap_done(c);
}

static void remap_or_write(struct deciding *a)
{
    a->pending = 1;
    for (size_t i = 0; i < a->n; i++) {
        struct choice *c = &a->choices[i];
        if (!c->remap)
            continue;
        a->pending++;
        c->again = (struct remap){
            .flow = a->flow,
            .row = &c->row,
            .by = str_of(c->by),
            .who = c->by && c->what == DECISION_CLOCK ? STR(HOLD_FALLBACK) : str_of(a->who),
            .why = c->by                       ? str_of(c->edited)
                   : c->what == DECISION_CLOCK ? STR("its rows are there: mapped from its event")
                                               : str_of(a->why),
            .set_priority = a->set_priority,
            .by_clock = !c->by && c->what == DECISION_CLOCK,
            .done = on_remapped,
        };
        remap_start(&c->again);
    }
    if (--a->pending == 0)
        write_moves(a);
}

bool flow_decide_busy(const struct deciding *a)
{
    for (size_t i = 0; i < a->n; i++) {
        int status = a->results[i].status;
        if (status < 0 && status != UV_EINVAL && status != UV_ENOENT)
            return true;
    }
    return false;
}

/* ---- a dry run ---- */

/** What it would come to; what is refused has said so. */
static void say_only(struct choice *c)
{
    struct decided *r = &c->all->results[c->index];
    sl_str to = c->move && c->m.endpoint.len ? c->m.endpoint : c->row.endpoint;

    if (r->status < 0)
        return;
    snprintf(r->text, sizeof(r->text), "%s: " STR_FMT " -> " STR_FMT "%s",
             delivery_state_names[c->row.state], STR_ARG(c->row.route),
             STR_ARG(to.len ? to : STR("?")), r->edit_lost ? EDIT_LOST : "");
}

/* ---- start ---- */

static void all_read(struct deciding *a)
{
    if (--a->pending)
        return;
    for (size_t i = 0; i < a->n; i++) {
        struct choice *c = &a->choices[i];
        decide_judge(c);
        a->results[i].edit_lost = c->remap && !c->by && c->row.edited;
        if (a->dry_run)
            say_only(c);
    }
    if (a->dry_run)
        finish(a);
    else
        remap_or_write(a);
}

static void on_row(void *ctx, int status, const struct store_delivery *row, sl_str body,
                   sl_str request)
{
    struct choice *c = ctx;

    (void)request;
    if (status == 0) {
        row_keep(&c->row, row);
        if (c->all->what == DECISION_EDIT)
            c->edited = edit_reason(str_of(c->all->why), body);
        if (c->all->set[0]) {
            c->body = mem_dup(body);
            c->body_len = body.len;
        }
        c->found = true;
    } else if (status != UV_ENOENT) {
        decide_refuse(c, status, "cannot be read: %s", uv_strerror(status));
    }
    all_read(c->all);
}

/** Its row is read, if nobody else is about to move it. */
static void read_one(struct choice *c)
{
    struct flow *f = c->all->flow;
    int r = UV_EBUSY;

    if (claim(c)) /* at the end of what it waited for there may be no store any more */
        r = f->closing ? UV_ECANCELED : store_delivery_get(f->store, c->row.num, on_row, c);
    if (r == 0)
        c->all->pending++;
    else if (c->claimed)
        decide_refuse(c, r, "cannot be read: %s", uv_strerror(r));
}

/** Its last move is written; or that takes too long, and the claim says so. */
static void on_waited(struct decide_wait *w)
{
    struct choice *c = container_of(w, struct choice, wait);

    read_one(c);
    all_read(c->all);
}

static void on_nothing_to_read(void *ctx, bool closing)
{
    (void)closing;
    all_read(ctx);
}

/** What the moves say of it: the choice that was taken, and what a person said of that; never
 * nothing where a delivery ends. */
static char *why_of(const struct decide *d)
{
    const char *plain = d->what == DECISION_REJECT    ? "rejected by hand"
                        : d->what == DECISION_DISCARD ? "discarded by hand"
                        : d->what == DECISION_ARRIVED ? "it arrived, as a person found out"
                                                      : "";
    struct buf b = { 0 };

    if (!d->choice.len && !d->why.len)
        return mem_str(plain);
    buf_str(&b, d->choice);
    if (d->choice.len && d->why.len)
        buf_cstr(&b, ": ");
    buf_str(&b, d->why);
    return buf_steal(&b, NULL);
}

int flow_decide(struct flow *f, const struct decide *d,
                void (*cb)(void *ctx, const struct decided *results, size_t n), void *ctx)
{
    if (d->n == 0)
        return UV_EINVAL;
    struct deciding *a = mem_zero(sizeof(*a));

    *a = (struct deciding){
        .flow = f,
        .what = d->what,
        .remap = d->remap,
        .force = d->force,
        .nothing_there = d->nothing_there,
        .dry_run = d->dry_run,
        .lookup = d->lookup,
        .n = d->n,
        .cb = cb,
        .ctx = ctx,
    };
    a->who = mem_dup(d->who);
    a->why = why_of(d);
    a->endpoint = mem_dup(d->endpoint);
    a->chosen = mem_dup(d->choice);
    a->set = mem_dup(d->set);
    a->prepared = d->prepared;
    a->body = mem_dup(d->body);
    a->body_len = d->body.len;
    a->set_priority = d->set_priority;
    a->choices = mem_array(d->n, sizeof(*a->choices));
    a->results = mem_array(d->n, sizeof(*a->results));
    a->pending = 1;
    for (size_t i = 0; i < d->n; i++) {
        struct choice *c = &a->choices[i];
        *c = (struct choice){ .all = a, .index = i, .what = d->each ? d->each[i] : d->what };
        c->clock_ms = d->clocks ? d->clocks[i] : 0;
        c->type = d->types ? mem_str(d->types[i]) : NULL;
        c->row.num = a->results[i].num = d->nums[i];
        /* a clock rings again by itself, and keeps none waiting that rings with it */
        if (c->what != DECISION_CLOCK && decide_wait(f, &c->wait, d->nums[i], on_waited))
            a->pending++;
        else
            read_one(c);
    }
    if (a->pending == 1)
        flow_later(f, 0, on_nothing_to_read, a); /* the callback never comes before this returned */
    else
        all_read(a);
    return 0;
}
