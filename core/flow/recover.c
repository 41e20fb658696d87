/*
 * recover.c - what the process before left live: claimed lane by lane from the index.
 *
 * Ready and waiting deliveries go back to their lanes. What was sent without an outcome is resumed
 * from its batch's checkpoint where the adapter can, and is unknown otherwise. What has lost its
 * route or its endpoint is held as `orphaned`. Nothing is sent here.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/chain.h"
#include "flow/confirm.h"
#include "flow/fallback.h"
#include "flow/group.h"
#include "flow/hold_asked.h"
#include "flow/order.h"
#include "flow/pause.h"

/** A batch that was out when the process ended. */
struct left_batch {
    UT_hash_handle hh; /* flow.left, by id */
    uint64_t id;
    struct flow *flow;
    struct lane *lane;
    char *token;
    size_t token_len;
    uint64_t *nums;
    size_t n, pending;
    bool handled; /* resumed, or its members are unknown */
};

#define AGAIN_MS 1000

void recover_step(struct flow *f)
{
    f->recovering++;
}

void recover_step_done(struct flow *f)
{
    if (--f->recovering || f->recovered)
        return;
    f->recovered = true;
    log_info(&f->log, "recovered: %u deliveries in memory", HASH_COUNT(f->deliveries));
}

static void find_gone(struct flow *f);

void recover_start(struct flow *f)
{
    recover_step(f);
    f->unread = (f->n_lanes + 1) * PRIORITY__COUNT;
    f->lowered = true; /* as far as is known; until all has been read once */
    lane_states_read(f);
    earlier_changed(f); /* perhaps: nobody knows with which one the last process ran */
    pause_start(f);
    for (size_t i = 0; i < f->n_lanes; i++) {
        for (int p = 0; p < PRIORITY__COUNT; p++)
            f->lanes[i]->windows[p].spilled = true;
        lane_refill(f->lanes[i]);
    }
    for (int p = 0; p < PRIORITY__COUNT; p++)
        f->nowhere.windows[p].spilled = true;
    lane_refill(&f->nowhere);
    find_gone(f);
    dead_load(f, NULL);
    recover_step_done(f);
}

void recover_claimed(struct lane *l, struct window *w)
{
    struct flow *f = l->flow;

    if (w->read)
        return;
    w->read = true;
    if (l->unread) { /* of a lane that a reload added */
        l->unread--;
        return;
    }
    recover_read(f);
}

void recover_read(struct flow *f)
{
    struct delivery *d, *tmp;

    if (--f->unread)
        return;
    f->started = true;
    HASH_ITER (hh, f->deliveries, d, tmp)
        pile_add(d); /* see earlier_clear() */
    for (size_t i = 0; i < f->n_lanes; i++)
        lane_pump(f->lanes[i]);
    groups_wake(f); /* what waits for a member that is out does not move before */
}

void recover_finish(struct flow *f)
{
    struct left_batch *b, *tmp;

    free(f->gone_moved.at);
    HASH_ITER (hh, f->left, b, tmp) {
        HASH_DEL(f->left, b);
        free(b->token);
        free(b->nums);
        free(b);
    }
}

const struct conf_target *find_target(const struct conf_route *r, const struct lane *l,
                                      sl_str action)
{
    return find_group_target(r, l, action, STR(""));
}

const struct conf_target *find_group_target(const struct conf_route *r, const struct lane *l,
                                            sl_str action, sl_str group)
{
    const struct conf_target *t, *found = NULL;

    for (size_t i = 0; r && (t = conf_route_send(r, i)); i++) {
        if (t->endpoint != l->conf ||
            (action.len && !str_eq(str_of(t->endpoint->plugin->actions[t->action].name), action)))
            continue;
        if (!found || (t->group && str_eq(str_of(t->group->name), group)))
            found = t;
    }
    if (!found && r) /* by another action than the route's */
        found = conf_fallback_at(r, l->conf);
    return found;
}

static struct delivery *from_row(struct flow *f, struct lane *l, const struct store_delivery *row)
{
    struct delivery *d = mem_zero(sizeof(*d));

    d->num = row->num;
    memcpy(d->id, row->id, sizeof(d->id));
    d->state = row->state;
    d->priority = row->priority < PRIORITY__COUNT ? row->priority : PRIORITY_LOW;
    d->attempts = row->attempts;
    d->generation = row->generation;
    d->next_ms = row->next_ms;
    d->received_ms = row->received_ms;
    d->first_sent_ms = row->first_sent_ms;
    /* When exactly the newest attempt left is not known: as late as can be, so that no question
     * whether it arrived is believed too early. */
    d->last_sent_ms = row->first_sent_ms ? clock_wall_ms() : 0;
    d->since_ms = row->since_ms;
    d->unknown_ms = clock_wall_ms();
    d->doubt = store_in_doubt(row);
    d->cancelling = row->state == DS_UNKNOWN && cancel_is_on(row->detail);
    d->batch_id = row->batch;
    d->body_len = row->body_bytes;
    d->subject = mem_dup(row->subject);
    d->piece = mem_dup(row->piece);
    d->topic = mem_dup(row->topic);
    d->answer = hold_answer(row->detail, str_of(l->name));
    if (row->state == DS_WAITING || row->state == DS_UNKNOWN)
        delivery_set_why(d, row->reason);
    d->route = config_route(f->config, row->route);
    d->target = find_group_target(d->route, l, row->action, group_of_detail(row->detail));
    const struct conf_target *fallback = d->route ? conf_fallback_at(d->route, l->conf) : NULL;
    if (fallback && (d->fallen = fallback_story(row->detail)))
        d->target = fallback;
    return d;
}

/** One move of one delivery that recovery itself decides. */
static void write_one(struct delivery *d, struct rec_move *m)
{
    struct rec_move *moves = mem_array(1, sizeof(*moves));
    struct extras none = { 0 };

    moves[0] = *m;
    d->settling = true;
    settle_write(d->lane, d->batch_id, "recovery", moves, 1, &none, NULL, NULL);
}

static void aside_move(const struct delivery *d, sl_str hold_type, const char *why,
                       struct rec_move *ret)
{
    bool sent = d->state == DS_INFLIGHT || d->state == DS_UNKNOWN;
    struct buf reason = { 0 };

    *ret = (struct rec_move){ .num = d->num, .state = DS_HELD, .generation = d->generation };
    buf_cstr(&reason, why);
    if (sent)
        buf_cstr(&reason, "; it was sent and its outcome is unknown");
    ret->hold_type = (sl_str){ mem_dup(hold_type), hold_type.len };
    ret->reason.ptr = buf_steal(&reason, &ret->reason.len);
}

static void set_aside(struct delivery *d, sl_str hold_type, const char *why)
{
    struct rec_move m;

    aside_move(d, hold_type, why, &m);
    write_one(d, &m);
}

void orphan_move(const struct delivery *d, struct rec_move *ret)
{
    aside_move(d, STR("orphaned"),
               "its route or target is no longer in the configuration; once it is there again, "
               "release it: sluice held release",
               ret);
}

void recover_orphan(struct delivery *d)
{
    struct rec_move m;

    orphan_move(d, &m);
    write_one(d, &m);
}

/** Does the process end whenever it is handed to its adapter? Then a person decides. */
static bool set_poison_aside(struct delivery *d)
{
    struct in_hand *in_hand = d->lane->flow->in_hand;

    if (in_hand_ends(in_hand, IN_HAND_DELIVERY, d->num) < IN_HAND_ENDS)
        return false;
    in_hand_forget(in_hand, IN_HAND_DELIVERY, d->num);
    log_error(&d->lane->log,
              "delivery %" PRIu64 ".%u is held: the process ended three times with it",
              delivery_event(d->num), delivery_ordinal(d->num));
    set_aside(d, STR("poison"),
              "the process ended three times in a row while its adapter had it in hand");
    return true;
}

static void now_unknown(struct delivery *d)
{
    sl_outcome o = {
        .size = sizeof(o),
        .kind = SL_UNKNOWN,
        .why = STR("the process ended before an answer was understood"),
    };
    struct rec_move m;

    settle_outcome(d, &o, d->attempts + 1, 0, &m);
    write_one(d, &m);
}

/* ---- batches that were out ---- */

static bool is_left(const struct delivery *d)
{
    return d->state == DS_INFLIGHT && !d->settling && !d->batch && d->target;
}

bool recover_left_in(const struct lane *l)
{
    struct left_batch *b, *tmp;

    HASH_ITER (hh, l->flow->left, b, tmp)
        if (b->lane == l && !b->handled)
            return true;
    return false;
}

static void left_ready(struct left_batch *b)
{
    struct delivery **members = mem_array(b->n ? b->n : 1, sizeof(*members));
    size_t n = 0;

    for (size_t i = 0; i < b->n; i++) {
        struct delivery *d = flow_delivery(b->flow, b->nums[i]);
        if (d && is_left(d))
            members[n++] = d;
    }
    b->handled = true;
    if (b->flow->draining) /* too late to begin anything: the next start does */
        n = 0;
    if (n && b->token_len && b->lane->adapter && b->lane->adapter->plugin->resume)
        batch_resume(b->lane, b->id, members, n, (sl_str){ b->token, b->token_len });
    else
        for (size_t i = 0; i < n; i++)
            now_unknown(members[i]);
    free(members);
    lane_pump_soon(b->lane); /* it may have waited for what is in here */
    recover_step_done(b->flow);
}

static void on_member(void *ctx, int status, const struct store_delivery *row, sl_str body,
                      sl_str request)
{
    struct left_batch *b = ctx;

    (void)body;
    (void)request;
    if (status == 0 && !flow_delivery(b->flow, row->num) && !delivery_state_final(row->state))
        recover_row(b->flow, b->lane, row);
    if (--b->pending == 0)
        left_ready(b);
}

static void read_batch(struct left_batch *b);

static void on_read_again(void *ctx, bool closing)
{
    if (!closing)
        read_batch(ctx);
}

/** The index knows nothing of the batch: its members in memory are unknown. */
static void no_such_batch(struct left_batch *b)
{
    struct delivery *d, *tmp;

    b->handled = true;
    HASH_ITER (hh, b->flow->deliveries, d, tmp) {
        if (d->batch_id == b->id && is_left(d))
            now_unknown(d);
    }
    lane_pump_soon(b->lane);
    recover_step_done(b->flow);
}

static void on_left_batch(void *ctx, int status, sl_str token, const uint64_t *nums, size_t n)
{
    struct left_batch *b = ctx;

    if (status == UV_ECANCELED)
        return;
    if (status < 0) {
        log_error(&b->flow->log, "cannot read batch %" PRIu64 ": err=%s", b->id,
                  uv_strerror(status));
        if (status == UV_ENOENT)
            no_such_batch(b);
        else
            flow_later(b->flow, AGAIN_MS, on_read_again, b);
        return;
    }
    b->token = mem_dup(token);
    b->token_len = token.len;
    b->nums = mem_array(n ? n : 1, sizeof(*b->nums));
    memcpy(b->nums, nums, n * sizeof(*nums));
    b->n = n;
    b->pending = 1;
    for (size_t i = 0; i < n; i++)
        if (!flow_delivery(b->flow, nums[i]) &&
            store_delivery_get(b->flow->store, nums[i], on_member, b) == 0)
            b->pending++;
    if (--b->pending == 0)
        left_ready(b);
}

static void read_batch(struct left_batch *b)
{
    int r = store_batch_get(b->flow->store, b->id, on_left_batch, b);

    if (r < 0 && r != UV_ECANCELED)
        flow_later(b->flow, AGAIN_MS, on_read_again, b);
}

static void recover_batch(struct flow *f, struct lane *l, struct delivery *d)
{
    uint64_t id = d->batch_id;
    struct left_batch *b;

    HASH_FIND(hh, f->left, &id, sizeof(id), b);
    if (b) {
        if (b->handled &&
            is_left(d)) /* it went on without this one, which could not be read then */
            now_unknown(d);
        return;
    }
    b = mem_zero(sizeof(*b));
    b->id = id;
    b->flow = f;
    b->lane = l;
    HASH_ADD(hh, f->left, id, sizeof(b->id), b);
    recover_step(f);
    read_batch(b);
}

void recover_row(struct flow *f, struct lane *l, const struct store_delivery *row)
{
    struct delivery *d = from_row(f, l, row);
    enum delivery_state state = d->state;

    l->outside -= l->outside > 0 && state != DS_HELD;
    bool orphan = !d->route || (row->endpoint.len && !d->target);

    d->settling = orphan && state != DS_HELD; /* it will be held: no gate has a say in it */
    lane_add(l, d);
    if (orphan) {
        if (state != DS_HELD)
            recover_orphan(d);
        return;
    }
    if (state != DS_HELD && set_poison_aside(d))
        return;
    if (state == DS_INFLIGHT)
        recover_batch(f, l, d);
}

/* ---- endpoints that are no longer configured ---- */

#define GONE_PAGE 1000

/** One endpoint's deliveries of one priority: no lane claims them, so they are claimed here. */
struct gone {
    struct flow *flow;
    uint8_t priority;
    char *endpoint; /* own */
    uint64_t after;
};

static void claim_gone(struct gone *g);

void recover_moved(struct flow *f, uint64_t num)
{
    struct nums *m = &f->gone_moved;

    if (!f->gone_unread)
        return;
    if (m->n == m->cap) {
        m->cap = m->cap ? 2 * m->cap : 16;
        m->at = mem_grow(m->at, m->cap * sizeof(*m->at));
    }
    m->at[m->n++] = num;
}

static bool has_moved(const struct flow *f, uint64_t num)
{
    for (size_t i = 0; i < f->gone_moved.n; i++)
        if (f->gone_moved.at[i] == num)
            return true;
    return false;
}

static void gone_read(struct flow *f)
{
    if (--f->gone_unread == 0)
        f->gone_moved.n = 0;
}

static void gone_end(struct gone *g)
{
    struct flow *f = g->flow;

    free(g->endpoint);
    free(g);
    gone_read(f);
    recover_step_done(f);
}

static void on_gone_again(void *ctx, bool closing)
{
    if (closing)
        gone_end(ctx);
    else
        claim_gone(ctx);
}

/** What is not read would hold nothing back: it is asked for until it is. */
static void gone_failed(struct gone *g, int status)
{
    if (status == UV_ECANCELED) {
        gone_end(g);
        return;
    }
    log_error(&g->flow->log,
              "cannot read deliveries of the removed endpoint %s, asking again: err=%s",
              g->endpoint, uv_strerror(status));
    flow_later(g->flow, AGAIN_MS, on_gone_again, g);
}

static void on_gone(void *ctx, int status, const struct store_delivery *rows, size_t n)
{
    struct gone *g = ctx;
    struct flow *f = g->flow;

    if (status < 0) {
        gone_failed(g, status);
        return;
    }
    for (size_t i = 0; i < n; i++)
        if ((rows[i].state != DS_HELD || config_route(f->config, rows[i].route)) &&
            !flow_delivery(f, rows[i].num) && /* a held one stands before later ones elsewhere */
            !has_moved(f, rows[i].num))
            recover_row(f, &f->nowhere, &rows[i]);
    if (n < GONE_PAGE) {
        gone_end(g);
        return;
    }
    g->after = rows[n - 1].num;
    claim_gone(g);
}

static void claim_gone(struct gone *g)
{
    int r = store_claim(g->flow->store, str_of(g->endpoint), g->priority, g->after, GONE_PAGE,
                        on_gone, g);

    if (r < 0)
        gone_failed(g, r);
}

static void read_gone(struct flow *f, const char *endpoint)
{
    for (int p = 0; p < PRIORITY__COUNT; p++) {
        struct gone *g = mem_zero(sizeof(*g));

        *g = (struct gone){ .flow = f, .priority = (uint8_t)p, .endpoint = mem_str(endpoint) };
        f->gone_unread++;
        recover_step(f);
        claim_gone(g);
    }
}

static bool has_live(json_t *states)
{
    bool live = false;

    for (int s = 0; s < DS__COUNT; s++)
        live |= !delivery_state_final((enum delivery_state)s) &&
                json_integer_value(json_object_get(states, delivery_state_names[s])) > 0;
    return live;
}

/** What waits for a lane in the index alone: at the start nobody has counted it. */
static void count_outside(struct lane *l, json_t *states)
{
    static const enum delivery_state waits[] = { DS_READY, DS_INFLIGHT, DS_WAITING, DS_UNKNOWN };
    uint64_t all = 0, here = lane_backlog(l) - l->outside;

    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
        all += (uint64_t)json_integer_value(
            json_object_get(states, delivery_state_names[waits[i]]));
    l->outside = all > here ? all - here : 0;
}

static void on_summary(void *ctx, int status, sl_str json);

static void on_summary_again(void *ctx, bool closing)
{
    struct flow *f = ctx;
    int r = closing ? UV_ECANCELED : store_report(f->store, REPORT_SUMMARY, NULL, on_summary, f);

    if (r < 0)
        on_summary(f, r, (sl_str){ 0 });
}

static void on_summary(void *ctx, int status, sl_str json)
{
    struct flow *f = ctx;
    json_t *root, *states;
    const char *endpoint;

    if (status < 0 && status != UV_ECANCELED) {
        log_error(&f->log, "cannot read which endpoints were removed, asking again: err=%s",
                  uv_strerror(status));
        flow_later(f, AGAIN_MS, on_summary_again, f);
        return;
    }
    root = status == 0 ? json_loadb(json.ptr, json.len, 0, NULL) : NULL;
    json_object_foreach(json_object_get(root, "deliveries"), endpoint, states)
    {
        struct lane *l = flow_lane(f, str_of(endpoint));
        if (l)
            count_outside(l, states);
        if (!*endpoint || l || !has_live(states))
            continue;
        log_warn(&f->log, "endpoint %s is no longer configured; what it has not got yet is held",
                 endpoint);
        read_gone(f, endpoint);
    }
    json_decref(root);
    gone_read(f);
    recover_step_done(f);
}

static void find_gone(struct flow *f)
{
    f->gone_unread++;
    recover_step(f);
    on_summary_again(f, false);
}
