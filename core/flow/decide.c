/*
 * decide.c - what people decide about deliveries: replay, discard, release, reject, "it arrived".
 *
 * Each delivery's row is read first, the decision checked against its state, all moves written as
 * one record with who and why, and only then memory follows.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/behind.h"
#include "flow/chain.h"
#include "flow/confirm.h"
#include "flow/deadline.h"
#include "flow/decide_wait.h"
#include "flow/due.h"
#include "flow/failover.h"
#include "flow/fallback.h"
#include "flow/hold.h"
#include "flow/order.h"
#include "flow/routing.h"
#include "flow/row.h"
#include "flow/settle.h"

/** One delivery to decide about. While it is, nothing else may move the delivery (`deciding` of it
 *  in memory, also if it comes there meanwhile) and no second decision about it begins. */
struct choice {
    UT_hash_handle hh; /* flow.deciding, by row.num */
    struct deciding *all;
    size_t index;
    struct store_delivery row; /* strings owned */
    bool claimed;              /* it is in flow.deciding */
    bool found;
    bool remap; /* to be made again from its event */
    bool move;  /* `m` is to be written */
    struct rec_move m;
    char *detail;                /* own; of m */
    struct hold_verdict verdict; /* of a held one; the texts of `m` */
    enum decision what;
    char *type;       /* own; only if it is still held so; NULL: whatever it is */
    int64_t clock_ms; /* only while its clock says so; 0: whatever it says */
    struct remap again;
    char *edited; /* own; EDIT: the reason, with the old body's digest */
    char *body;   /* own; as it is, when something is filled in */
    size_t body_len;
    struct decide_wait wait;
    char *by; /* own; the route that its event goes by instead of its own; NULL: its own */
};

struct deciding {
    struct flow *flow;
    enum decision what;
    char *who, *why, *endpoint, *chosen, *body, *set;
    size_t body_len;
    bool remap, force, nothing_there;
    uint8_t set_priority;
    struct choice *choices;
    struct decided *results;
    size_t n, pending;
    void (*cb)(void *ctx, const struct decided *results, size_t n);
    void (*prepared)(void *ctx, struct deciding *a, const struct rec_moves *moves);
    void *ctx;
};

static const char *const verbs[] = {
    "replayed",  "discarded", "released",   "rejected",           "marked as arrived",
    "moved",     "held",      "sent again", "moved by its clock", "edited and replayed",
    "taken back"
};

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

static void refuse(struct choice *c, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void refuse(struct choice *c, int status, const char *fmt, ...)
{
    struct decided *r = &c->all->results[c->index];
    va_list ap;

    r->status = status;
    va_start(ap, fmt);
    vsnprintf(r->text, sizeof(r->text), fmt, ap);
    va_end(ap);
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
        refuse(c, UV_EBUSY, "another decision about it is under way");
        return false;
    }
    if (d && d->settling) { /* still, after decide_wait(): its row may be as it was before */
        refuse(c, UV_EBUSY, "it is under way at this moment");
        return false;
    }
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

/* ---- is it allowed, and what does it mean ---- */

static bool state_allows(enum decision what, bool force, enum delivery_state s)
{
    switch (what) {
    case DECISION_REPLAY:
        return s == DS_DEAD || s == DS_DISCARDED || (force && s == DS_DELIVERED);
    case DECISION_EDIT:
        return s == DS_DEAD || s == DS_HELD;
    case DECISION_DISCARD:
        return s == DS_DEAD || s == DS_HELD || s == DS_WAITING || s == DS_READY;
    case DECISION_MOVE: /* failover_check() says more of it */
        return true;
    case DECISION_INTERLOCK:
    case DECISION_CANCEL:
        return s == DS_READY || s == DS_WAITING || s == DS_UNKNOWN;
    default:
        return s == DS_HELD;
    }
}

static const char *wanted(enum decision what)
{
    switch (what) {
    case DECISION_REPLAY:
        return "only dead or discarded ones can be replayed (delivered ones with --force)";
    case DECISION_EDIT:
        return "only dead or held ones can be edited";
    case DECISION_DISCARD:
        return "only dead, held, ready or waiting ones can be discarded";
    default:
        return "only held ones can be released, rejected, marked as arrived or sent again";
    }
}

/** Where a delivery that becomes ready goes; NULL with the refusal written. */
static struct lane *lane_for(struct choice *c)
{
    struct deciding *a = c->all;
    const struct conf_route *r = config_route(a->flow->config, c->row.route);
    sl_str name = c->verdict.to    ? str_of(c->verdict.to)
                  : a->endpoint[0] ? str_of(a->endpoint)
                                   : c->row.endpoint;
    struct lane *l = flow_lane(a->flow, name);

    if (!name.len)
        refuse(c, UV_EINVAL, "it has no endpoint: say where to with --to ENDPOINT");
    else if (!l)
        refuse(c, UV_EINVAL, "there is no endpoint \"" STR_FMT "\"", STR_ARG(name));
    else if (!r)
        refuse(c, UV_EINVAL, "its route \"" STR_FMT "\" is no longer in the configuration",
               STR_ARG(c->row.route));
    else if (!find_target(r, l, c->row.action))
        refuse(c, UV_EINVAL, "route %s does not send to \"" STR_FMT "\"", r->name, STR_ARG(name));
    else
        return l;
    return NULL;
}

/** To another member of its group, as far as the interlock allows it. */
static void move_one(struct choice *c)
{
    struct deciding *a = c->all;
    struct decided *result = &a->results[c->index];
    struct buf detail = { 0 };
    char text[160];
    int r = failover_check(a->flow, &c->row, str_of(a->endpoint), a->nothing_there, &c->m, &detail,
                           text);

    if (c->m.state == DS_HELD) /* elsewhere, and held as before */
        hold_carry(&detail, &c->row);
    c->detail = buf_steal(&detail, NULL);
    c->m.detail = str_of(c->detail);
    c->move = r == 0;
    if (r < 0)
        refuse(c, r, "%s", text);
    else
        snprintf(result->text, sizeof(result->text), "moved to %s", a->endpoint);
}

/** In doubt at a member that is out: it is taken back there; or, for too long, a person says where
 * it is. */
static void interlock_one(struct choice *c)
{
    struct deciding *a = c->all;
    const struct conf_route *r = config_route(a->flow->config, c->row.route);
    struct lane *l = flow_lane(a->flow, c->row.endpoint);
    const struct conf_target *t =
        l ? find_group_target(r, l, c->row.action, group_of_detail(c->row.detail)) : NULL;
    struct buf detail = { 0 };

    if (!t || !t->group) {
        refuse(c, UV_EINVAL, "it is with no group");
        return;
    }
    if (a->what == DECISION_CANCEL) {
        cancel_detail(&detail, t, str_of(a->why));
        c->m.next_ms = clock_wall_ms();
    } else {
        failover_choices(&detail, t, str_of(a->why));
        if (cancel_is_on(c->row.detail))
            cancel_note(&detail);
        c->m.hold_type = STR(HOLD_INTERLOCK);
    }
    c->detail = buf_steal(&detail, NULL);
    c->m.detail = str_of(c->detail);
    c->move = true;
}

/** A person who releases it says that it has not arrived. */
static bool settles_doubt(const struct choice *c)
{
    return str_eq(c->row.hold_type, STR(HOLD_INTERLOCK)) ||
           str_eq(c->row.hold_type, STR("unknown-outcome"));
}

/** Released to another endpoint than where it may have arrived: only by who says that it has not.
 */
static bool may_be_at_another(struct choice *c)
{
    const char *to = c->verdict.to ? c->verdict.to : c->all->endpoint;

    if (!to[0] || str_eq(str_of(to), c->row.endpoint) || !store_in_doubt(&c->row) ||
        settles_doubt(c))
        return false;
    refuse(c, UV_EINVAL,
           STR_FMT " may have it; if you know that it has nothing: sluice deliveries move",
           STR_ARG(c->row.endpoint));
    return true;
}

/** Is it still the hold that was meant? Not if it was decided upon and is held again. */
static bool is_meant(struct choice *c)
{
    if (c->type && !str_eq(c->row.hold_type, str_of(c->type)))
        refuse(c, UV_EINVAL, "it is not held as %s any more", c->type);
    else if (c->clock_ms && c->row.next_ms != c->clock_ms)
        refuse(c, UV_EINVAL, "its clock was set anew");
    else
        return true;
    return false;
}

static void take_verdict(struct choice *c)
{
    const struct hold_verdict *v = &c->verdict;

    c->m.state = v->state;
    c->m.next_ms = v->next_ms;
    c->m.hold_type = str_of(v->hold_type);
    c->m.detail = str_of(v->detail);
    if (v->reason)
        c->m.reason = str_of(v->reason);
    if (v->body) { /* as an edit */
        c->m.generation = c->row.generation + 1;
        c->m.arrival = ARRIVAL_NO;
        c->m.body = (sl_str){ v->body, v->body_len };
    }
}

/** What its hold makes of the decision. */
static bool decide_hold(struct choice *c)
{
    struct deciding *a = c->all;
    int64_t now = clock_wall_ms();
    char text[160];

    if (c->what == DECISION_CLOCK) {
        hold_ran_out(a->flow, &c->row, now, "", &c->verdict);
    } else if (c->what == DECISION_RELEASE || c->what == DECISION_REJECT) {
        const struct hold_word word = {
            .choice = str_of(a->chosen),
            .release = c->what == DECISION_RELEASE,
            .why = str_of(a->why),
            .fill = { str_of(a->set), { c->body, c->body_len } },
        };
        if (hold_chosen(&c->row, &word, now, &c->verdict, text) < 0) {
            refuse(c, UV_EINVAL, "%s", text);
            return false;
        }
    } else {
        return true;
    }
    if (a->endpoint[0] && !a->chosen[0]) { /* a person's word goes before the hold's */
        free(c->verdict.to);
        c->verdict.to = NULL;
    }
    take_verdict(c);
    return true;
}

/** Its clock says that it goes, and it has nowhere to go to: then a person decides after all. */
static bool cannot_go(struct choice *c)
{
    struct decided *r = &c->all->results[c->index];
    char text[160];

    if (c->what != DECISION_CLOCK)
        return false;
    snprintf(text, sizeof(text), "%s", r->text);
    r->status = 0;
    hold_verdict_finish(&c->verdict);
    hold_ran_out(c->all->flow, &c->row, clock_wall_ms(), text, &c->verdict);
    take_verdict(c);
    return true;
}

/** May it be decided so? If not it is refused, and says why. */
static bool is_allowed(struct choice *c, const struct delivery *d, enum delivery_state s)
{
    const struct deciding *a = c->all;
    char text[160];

    if (!c->found)
        refuse(c, UV_ENOENT, "there is no such delivery");
    else if (d && (d->settling || d->batch || d->state == DS_INFLIGHT))
        refuse(c, UV_EBUSY, "it is under way at this moment");
    else if (!state_allows(c->what, a->force, s))
        refuse(c, UV_EINVAL, "it is %s; %s", delivery_state_names[s], wanted(c->what));
    else if (!is_meant(c))
        return false; /* it has said so itself */
    else if (c->what == DECISION_ARRIVED && !c->row.first_sent_ms)
        refuse(c, UV_EINVAL, "it was never sent, so it cannot have arrived");
    else if (a->what == DECISION_AGAIN && !str_eq(c->row.hold_type, STR(HOLD_UNKNOWN)))
        refuse(c, UV_EINVAL, "it is held as " STR_FMT ": only an unknown outcome is sent again",
               STR_ARG(c->row.hold_type));
    else if (s == DS_DISCARDED && str_eq(c->row.hold_type, STR(REMAPPED)))
        refuse(c, UV_EINVAL, "it was mapped again: replay the delivery that was made of it");
    else if (a->what == DECISION_EDIT && edit_check(&c->row, a->force, text) < 0)
        refuse(c, UV_EINVAL, "%s", text);
    else
        return true;
    return false;
}

/** It was given up, and its event goes by another route: if there is one still. */
static void go_by_route(struct choice *c)
{
    const struct conf_route *by = fallback_route(c->all->flow, &c->row, &c->edited);

    c->remap = by != NULL;
    c->by = by ? mem_str(by->name) : NULL;
    c->move = !by;
    c->m.state = DS_DEAD;
    c->m.reason = str_of(c->edited);
}

/** What a person says has not arrived, `--to` the route that it falls back to. */
static bool is_handed_over(struct choice *c)
{
    const struct conf_route *r = config_route(c->all->flow->config, c->row.route);

    if (c->what != DECISION_RELEASE || !r || !r->fallback_route ||
        strcmp(r->fallback_route->name, c->all->endpoint) != 0 ||
        config_endpoint(c->all->flow->config, str_of(c->all->endpoint)))
        return false;
    c->edited = mem_str(c->all->why[0] ? c->all->why : "handed over by a person");
    c->by = mem_str(r->fallback_route->name);
    return true;
}

/** It is to go: where, and may it? False: it was refused, or is held instead. */
static bool send_on(struct choice *c, enum delivery_state s)
{
    const struct deciding *a = c->all;

    if (is_handed_over(c)) {
        if (store_in_doubt(&c->row) && !settles_doubt(c))
            refuse(c, UV_EINVAL, STR_FMT " may have it", STR_ARG(c->row.endpoint));
        c->remap = a->results[c->index].status == 0;
        return c->remap;
    }

    /* What never got a body or an endpoint is made again from its event. */
    c->remap = a->what != DECISION_EDIT &&
               (a->remap || str_eq(c->row.hold_type, STR("route-paused")) ||
                (s == DS_DEAD && !c->row.endpoint.len));
    if (!c->remap && !lane_for(c) && !cannot_go(c))
        return false;
    if (!c->remap && c->m.state == DS_READY && may_be_at_another(c))
        return false;
    if ((c->what == DECISION_RELEASE || c->what == DECISION_AGAIN) && settles_doubt(c)) {
        c->m.arrival = ARRIVAL_NO;
        c->m.generation += cancel_noted(c->row.detail);
    }
    if (!c->remap && c->m.state == DS_READY && c->verdict.to)
        c->m.endpoint = str_of(c->verdict.to);
    else if (!c->remap && c->m.state == DS_READY && a->endpoint[0])
        c->m.endpoint = str_of(a->endpoint);
    return true;
}

static void decide_one(struct choice *c)
{
    struct deciding *a = c->all;
    struct delivery *d = flow_delivery(a->flow, c->row.num);
    enum delivery_state s = d ? d->state : c->row.state;
    static const uint8_t after[] = { DS_READY,     DS_DISCARDED, DS_READY,  DS_DEAD,
                                     DS_DELIVERED, DS_READY,     DS_HELD,   DS_READY,
                                     DS_HELD,      DS_READY,     DS_UNKNOWN };

    if (a->results[c->index].status < 0 || !is_allowed(c, d, s))
        return;
    c->m = (struct rec_move){
        .num = c->row.num,
        .state = after[c->what],
        .generation = c->row.generation,
        .reason = str_of(a->why),
    };
    if (a->what == DECISION_MOVE || a->what == DECISION_INTERLOCK || a->what == DECISION_CANCEL) {
        if (a->what == DECISION_MOVE)
            move_one(c);
        else
            interlock_one(c);
        return;
    }
    if (c->what == DECISION_CLOCK && str_eq(c->row.hold_type, STR(HOLD_FALLBACK))) {
        go_by_route(c);
        return;
    }
    if (a->set_priority)
        c->m.set_priority = a->set_priority;
    if (a->what == DECISION_EDIT) { /* a new key for what is another request */
        c->m.generation++;
        c->m.arrival = ARRIVAL_NO;
        c->m.reason = str_of(c->edited);
        c->m.body = (sl_str){ a->body, a->body_len };
    }
    if (s == DS_HELD && !decide_hold(c))
        return;
    if (c->m.state == DS_READY && !send_on(c, s))
        return;
    c->move = !c->remap;
    snprintf(a->results[c->index].text, sizeof(a->results[c->index].text), "%s",
             c->m.state == DS_DEAD && c->what == DECISION_RELEASE ? verbs[DECISION_REJECT]
                                                                  : verbs[c->what]);
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
    else /* a claim under way may still see it as it was */
        lane_gone(l, c->row.priority, c->row.num);
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
            refuse(c, status, "could not be recorded: %s", uv_strerror(status));
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
        refuse(c, m->status, "could not be routed: %s", uv_strerror(m->status));
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
        refuse(c, UV_ENOENT, "its event, its route or the link that it needs is no longer there");
    } else if (m->status < 0) {
        refuse(c, m->status, "could not be mapped again: %s", uv_strerror(m->status));
    } else {
        c->m.state = DS_DISCARDED;
        follow(c);
        delivery_name(m->made, name);
        if (m->made)
            snprintf(r->text, sizeof(r->text), "mapped again as %s", name);
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
            .why = str_of(c->by ? c->edited : a->why),
            .set_priority = a->set_priority,
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

/* ---- start ---- */

static void all_read(struct deciding *a)
{
    if (--a->pending)
        return;
    for (size_t i = 0; i < a->n; i++)
        decide_one(&a->choices[i]);
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
        refuse(c, status, "cannot be read: %s", uv_strerror(status));
    }
    all_read(c->all);
}

/** Its row is read, if nobody else is about to move it. */
static void read_one(struct choice *c)
{
    int r = claim(c) ? store_delivery_get(c->all->flow->store, c->row.num, on_row, c) : UV_EBUSY;

    if (r == 0)
        c->all->pending++;
    else if (c->claimed)
        refuse(c, r, "cannot be read: %s", uv_strerror(r));
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
        .n = d->n,
        .cb = cb,
        .ctx = ctx,
    };
    a->who = mem_dup(d->who);
    a->why = mem_dup(d->why);
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
        if (decide_wait(f, &c->wait, d->nums[i], on_waited))
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
