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
#include "flow/chain.h"
#include "flow/routing.h"

struct choice {
    struct deciding *all;
    size_t index;
    struct store_delivery row; /* strings owned */
    bool found, remap, move;
    struct rec_move m;
};

struct deciding {
    struct flow *flow;
    enum decision what;
    char *who, *why, *endpoint;
    bool remap, force;
    struct choice *choices;
    struct decided *results;
    size_t n, pending;
    void (*cb)(void *ctx, const struct decided *results, size_t n);
    void *ctx;
};

static const char *const verbs[] = { "replayed", "discarded", "released", "rejected",
                                     "marked as arrived" };

static void deciding_free(struct deciding *a)
{
    for (size_t i = 0; i < a->n; i++) {
        struct store_delivery *r = &a->choices[i].row;
        sl_str *texts[] = { &r->route, &r->piece, &r->endpoint, &r->action,
                            &r->subject, &r->topic, &r->hold_type, &r->reason };
        for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++)
            free((char *)texts[k]->ptr);
    }
    free(a->choices);
    free(a->results);
    free(a->who);
    free(a->why);
    free(a->endpoint);
    free(a);
}

static void keep(sl_str *s)
{
    s->ptr = mem_dup(*s);
}

static void keep_row(struct choice *c, const struct store_delivery *row)
{
    c->row = *row;
    keep(&c->row.route);
    keep(&c->row.piece);
    keep(&c->row.endpoint);
    keep(&c->row.action);
    keep(&c->row.subject);
    keep(&c->row.topic);
    keep(&c->row.hold_type);
    keep(&c->row.reason);
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

/* ---- is it allowed, and what does it mean ---- */

static bool state_allows(const struct deciding *a, enum delivery_state s)
{
    switch (a->what) {
    case DECISION_REPLAY:
        return s == DS_DEAD || s == DS_DISCARDED || (a->force && s == DS_DELIVERED);
    case DECISION_DISCARD:
        return s == DS_DEAD || s == DS_HELD || s == DS_WAITING || s == DS_READY;
    default:
        return s == DS_HELD;
    }
}

static const char *wanted(enum decision what)
{
    switch (what) {
    case DECISION_REPLAY:
        return "only dead or discarded ones can be replayed (delivered ones with --force)";
    case DECISION_DISCARD:
        return "only dead, held, ready or waiting ones can be discarded";
    default:
        return "only held ones can be released, rejected or marked as arrived";
    }
}

/** Where a delivery that becomes ready goes; NULL with the refusal written. */
static struct lane *lane_for(struct choice *c)
{
    struct deciding *a = c->all;
    const struct conf_route *r = config_route(a->flow->config, c->row.route);
    sl_str name = a->endpoint[0] ? str_of(a->endpoint) : c->row.endpoint;
    struct lane *l = flow_lane(a->flow, name);

    if (!name.len)
        refuse(c, UV_EINVAL, "it has no endpoint: say where to with --to ENDPOINT");
    else if (!l)
        refuse(c, UV_EINVAL, "there is no endpoint \"" STR_FMT "\"", STR_ARG(name));
    else if (!r)
        refuse(c, UV_EINVAL, "its route \"" STR_FMT "\" is no longer in the configuration",
               STR_ARG(c->row.route));
    else if (!find_target(r, l, a->endpoint[0] ? STR("") : c->row.action))
        refuse(c, UV_EINVAL, "route %s does not send to \"" STR_FMT "\"", r->name, STR_ARG(name));
    else
        return l;
    return NULL;
}

static void decide_one(struct choice *c)
{
    struct deciding *a = c->all;
    struct delivery *d = flow_delivery(a->flow, c->row.num);
    enum delivery_state s = d ? d->state : c->row.state;
    static const uint8_t after[] = { DS_READY, DS_DISCARDED, DS_READY, DS_DEAD, DS_DELIVERED };

    if (!c->found) {
        refuse(c, UV_ENOENT, "there is no such delivery");
        return;
    }
    if (d && (d->settling || d->batch || d->state == DS_INFLIGHT)) {
        refuse(c, UV_EBUSY, "it is under way at this moment");
        return;
    }
    if (!state_allows(a, s)) {
        refuse(c, UV_EINVAL, "it is %s; %s", delivery_state_names[s], wanted(a->what));
        return;
    }
    c->m = (struct rec_move){
        .num = c->row.num,
        .state = after[a->what],
        .generation = c->row.generation,
        .reason = str_of(a->why),
    };
    if (c->m.state == DS_READY) {
        /* What never got a body or an endpoint is made again from its event. */
        c->remap = a->remap || str_eq(c->row.hold_type, STR("route-paused")) ||
                   (s == DS_DEAD && !c->row.endpoint.len);
        if (!c->remap && !lane_for(c))
            return;
        if (!c->remap && a->endpoint[0])
            c->m.endpoint = str_of(a->endpoint);
    }
    c->move = !c->remap;
    snprintf(a->results[c->index].text, sizeof(a->results[c->index].text), "%s", verbs[a->what]);
}

/* ---- memory follows ---- */

static void follow(struct choice *c)
{
    struct flow *f = c->all->flow;
    struct delivery *d = flow_delivery(f, c->row.num);
    struct lane *l;

    if (d)
        lane_remove(d);
    if (c->m.state != DS_READY)
        return;
    if (c->m.endpoint.len) {
        free((char *)c->row.endpoint.ptr);
        c->row.endpoint = c->m.endpoint;
        keep(&c->row.endpoint);
    }
    l = flow_lane(f, c->row.endpoint);
    if (!l || !lane_admits(l, c->row.priority, c->row.num))
        return;
    c->row.state = DS_READY;
    recover_row(f, l, &c->row);
    d = flow_delivery(f, c->row.num);
    if (d)
        d->since_ms = clock_wall_ms(); /* the retry policy's age counts from here */
    lane_pump_soon(l);
}

static void finish(struct deciding *a)
{
    a->cb(a->ctx, a->results, a->n);
    deciding_free(a);
}

static void on_decided(struct flow *f, struct commit *commit, int status)
{
    struct deciding *a = commit->ctx;

    (void)f;
    for (size_t i = 0; i < a->n; i++) {
        struct choice *c = &a->choices[i];
        if (!c->move)
            continue;
        if (status == 0)
            follow(c);
        else
            refuse(c, status, "could not be recorded: %s", uv_strerror(status));
    }
    finish(a);
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
    if (rec.n_moves == 0) {
        free(rec.moves);
        finish(a);
        return;
    }
    struct commit *c = commit_new(a->flow, on_decided, a);
    rec_moves_encode(&commit_record(c, REC_DECISION)->payload, &rec);
    free(rec.moves);
    commit_go(c);
}

/* ---- mapping again ---- */

static void remap_done(struct choice *c)
{
    if (--c->all->pending == 0)
        write_moves(c->all);
}

static void on_remapped(struct routing *rt, int status)
{
    struct choice *c = rt->remapped_ctx;
    struct decided *r = &c->all->results[c->index];
    char name[32];

    if (status < 0) {
        refuse(c, status, "could not be recorded: %s", uv_strerror(status));
    } else {
        /* The old one is closed; the new one has the same key, so nothing can be doubled. */
        c->m.state = DS_DISCARDED;
        c->m.reason = STR("mapped again from its event");
        c->move = true;
        delivery_name(rt->remapped_num, name);
        if (rt->remapped_num)
            snprintf(r->text, sizeof(r->text), "mapped again as %s", name);
        else
            snprintf(r->text, sizeof(r->text), "mapped again: the route makes nothing of it now");
    }
    remap_done(c);
}

static void on_remap_event(void *ctx, int status, const struct store_event *se)
{
    struct choice *c = ctx;
    struct flow *f = c->all->flow;
    const struct conf_route *r = config_route(f->config, c->row.route);

    if (status < 0 || !r) {
        refuse(c, status < 0 ? status : UV_EINVAL, "its %s is no longer there",
               r ? "event" : "route");
        remap_done(c);
        return;
    }
    struct event *e = event_from_receipt(se->id, &se->receipt);
    e->only = r;
    e->again = true;
    e->first_ordinal = se->n_deliveries;
    f->router.routes[r->index].paused = false;
    router_remap(&f->router, e, on_remapped, c);
}

static void remap_or_write(struct deciding *a)
{
    a->pending = 1;
    for (size_t i = 0; i < a->n; i++) {
        struct choice *c = &a->choices[i];
        if (!c->remap)
            continue;
        a->pending++;
        int err = store_event_get(a->flow->store, delivery_event(c->row.num), on_remap_event, c);
        if (err < 0) {
            refuse(c, err, "cannot read its event: %s", uv_strerror(err));
            a->pending--;
        }
    }
    if (--a->pending == 0)
        write_moves(a);
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

    (void)body;
    (void)request;
    if (status == 0) {
        keep_row(c, row);
        c->found = true;
    }
    all_read(c->all);
}

int flow_decide(struct flow *f, const struct decide *d,
                void (*cb)(void *ctx, const struct decided *results, size_t n), void *ctx)
{
    struct deciding *a = mem_zero(sizeof(*a));

    *a = (struct deciding){
        .flow = f, .what = d->what, .remap = d->remap, .force = d->force, .n = d->n,
        .cb = cb, .ctx = ctx,
    };
    a->who = mem_dup(d->who);
    a->why = mem_dup(d->why);
    a->endpoint = mem_dup(d->endpoint);
    a->choices = mem_array(d->n ? d->n : 1, sizeof(*a->choices));
    a->results = mem_array(d->n ? d->n : 1, sizeof(*a->results));
    a->pending = 1;
    for (size_t i = 0; i < d->n; i++) {
        a->choices[i] = (struct choice){ .all = a, .index = i };
        a->choices[i].row.num = a->results[i].num = d->nums[i];
        if (store_delivery_get(f->store, d->nums[i], on_row, &a->choices[i]) == 0)
            a->pending++;
    }
    if (a->pending == 1) { /* the store is closing, or there was nothing to do */
        deciding_free(a);
        return d->n ? UV_ECANCELED : UV_EINVAL;
    }
    all_read(a);
    return 0;
}
