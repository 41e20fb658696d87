/*
 * gate.c - where ready deliveries wait for others: one question to the store for all that wait for
 * the same, and an eye on what moves.
 */
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/mem.h"
#include "flow/behind.h"
#include "flow/chain.h"
#include "flow/hold.h"
#include "flow/order.h"

#define ASK_AGAIN_MS 1000
#define BUSY_MS      100
#define ABOUT_MOST   1000 /* deliveries of one route and subject */

/** What one kind of gate is about. */
struct kind {
    bool (*wanted)(const struct delivery *d);
    enum gate_verdict (*judge)(const struct gate *g, struct delivery *d);
    const struct gate_row *(*in_the_way)(const struct gate *g, const struct delivery *d);
    void (*say)(const struct gate *g, const struct delivery *d, struct why *w);
};

static const struct kind kinds[GATE__COUNT] = {
    [GATE_NEWER] = { newer_wanted, newer_judge, NULL, newer_say },
    [GATE_OVERTAKE] = { overtake_wanted, overtake_judge, overtake_in_the_way, overtake_say },
    [GATE_AFTER] = { after_wanted, after_judge, after_in_the_way, after_say },
};

/* ---- life ---- */

static void event_key(uint64_t event, uint8_t out[16])
{
    memset(out, 0, 16);
    memcpy(out + 8, &event, sizeof(event));
}

static void key_of(const struct delivery *d, enum gate_kind kind, uint8_t out[16])
{
    if (kind == GATE_AFTER)
        event_key(delivery_event(d->num), out);
    else if (kind == GATE_OVERTAKE)
        overtake_key(d->route->overtakes->name, str_of(d->subject), out);
    else
        chain_key(d->route, str_of(d->subject), str_of(d->piece), out);
}

static struct gate *gate_find(struct flow *f, const uint8_t key[16])
{
    struct gate *g;

    HASH_FIND(hh, f->gates, key, 16, g);
    return g;
}

static struct gate *gate_new(struct flow *f, enum gate_kind kind, const uint8_t key[16])
{
    struct gate *g = mem_zero(sizeof(*g));

    g->flow = f;
    g->kind = kind;
    list_init(&g->waiting);
    memcpy(g->key, key, sizeof(g->key));
    HASH_ADD(hh, f->gates, key, sizeof(g->key), g);
    return g;
}

static struct gate *gate_for(const struct delivery *d, enum gate_kind kind, const uint8_t key[16])
{
    struct gate *g = gate_new(d->lane->flow, kind, key);

    g->event = delivery_event(d->num);
    if (kind == GATE_AFTER)
        return g;
    g->route = mem_str(kind == GATE_OVERTAKE ? d->route->overtakes->name : d->route->name);
    g->subject = mem_str(d->subject);
    g->piece = mem_str(d->piece);
    return g;
}

static void free_rows(struct gate *g)
{
    for (size_t i = 0; i < g->n_rows; i++)
        free(g->rows[i].piece);
    free(g->rows);
    g->rows = NULL;
    g->n_rows = 0;
}

static void free_if_idle(struct gate *g)
{
    if (g->asking || g->kept || !list_empty(&g->waiting))
        return;
    HASH_DEL(g->flow->gates, g);
    free_rows(g);
    free(g->route);
    free(g->subject);
    free(g->piece);
    free(g);
}

void gate_leave(struct delivery *d)
{
    struct gate *g = d->gate;

    if (!g)
        return;
    list_remove(&d->gate_node);
    d->gate = NULL;
    free_if_idle(g);
}

/* ---- passing ---- */

/** It may be gone afterwards, if nobody waits at it and the store is closing. */
static void gate_ask(struct gate *g);

/** At its next gate: may it go on? */
static bool pass_one(struct delivery *d)
{
    struct flow *f = d->lane->flow;
    enum gate_kind kind = (enum gate_kind)d->gates_passed;
    enum gate_verdict verdict = GATE_STAY;
    uint8_t key[16];

    if (!kinds[kind].wanted(d))
        return true;
    key_of(d, kind, key);
    struct gate *g = gate_find(f, key), *fresh = g ? NULL : gate_for(d, kind, key);
    g = g ? g : fresh;
    if ((g->known && !g->asking) || kind == GATE_NEWER) /* which may know it without a question */
        verdict = kinds[kind].judge(g, d);
    if (verdict != GATE_STAY) {
        free_if_idle(g);
        return verdict == GATE_GO;
    }
    d->gate = g;
    list_append(&g->waiting, &d->gate_node);
    if (!g->asking &&
        (!g->known || kind == GATE_NEWER || (kind == GATE_OVERTAKE && overtake_busy(g))))
        gate_ask(g);
    return false;
}

/** From the gate it has come to. */
static bool pass_on(struct delivery *d)
{
    while (!d->gate && d->gates_passed < GATE__COUNT && pass_one(d))
        d->gates_passed++;
    return d->gates_passed == GATE__COUNT;
}

bool gate_pass(struct delivery *d)
{
    if (d->settling || d->deciding)
        return false; /* it comes again when that is written */
    if (d->first_sent_ms)
        d->gates_passed = GATE__COUNT;
    else if (!d->gate && newer_wanted(d)) /* it may have come since, while this was in a batch */
        d->gates_passed = GATE_NEWER;
    return pass_on(d);
}

/** Those that need wait no more go on: by what the gate knows, if that is `known` well enough. */
static void gate_look(struct gate *g, bool known)
{
    bool kept = g->kept;

    g->kept = true;
    list_each_safe (i, tmp, &g->waiting) {
        struct delivery *d = list_entry(i, struct delivery, gate_node);
        if (d->settling || d->deciding) { /* if it stays after all, it comes here again */
            gate_leave(d);
            continue;
        }
        enum gate_verdict verdict = !kinds[g->kind].wanted(d) ? GATE_GO
                                    : known                   ? kinds[g->kind].judge(g, d)
                                                              : GATE_STAY;
        if (verdict == GATE_STAY)
            continue;
        gate_leave(d);
        if (verdict == GATE_TAKEN)
            continue;
        d->gates_passed++;
        if (pass_on(d)) {
            pile_add(d);
            lane_pump_soon(d->lane);
        }
    }
    g->kept = kept;
    free_if_idle(g);
}

/* ---- asking ---- */

static void on_ask_again(void *ctx, bool closing)
{
    struct gate *g = ctx;

    g->asking = false;
    if (closing)
        free_if_idle(g);
    else
        gate_ask(g);
}

static void keep_rows(struct gate *g, const struct store_delivery *rows, size_t n)
{
    free_rows(g);
    g->rows = mem_array(n ? n : 1, sizeof(*g->rows));
    g->n_rows = n;
    for (size_t i = 0; i < n; i++)
        g->rows[i] = (struct gate_row){ .num = rows[i].num,
                                        .route = config_route(g->flow->config, rows[i].route),
                                        .state = (uint8_t)rows[i].state,
                                        .sent = overtake_sent(&rows[i]),
                                        .amended_by = hold_amended_by(rows[i].detail),
                                        .piece = mem_dup(rows[i].piece) };
}

static void rows_came(struct gate *g, int status, const struct store_delivery *rows, size_t n)
{
    if (status < 0 && status != UV_ECANCELED) {
        log_error(&g->flow->log, "cannot read what deliveries wait for, asking again: err=%s",
                  uv_strerror(status));
        flow_later(g->flow, ASK_AGAIN_MS, on_ask_again, g);
        return;
    }
    g->asking = false;
    if (status < 0) {
        free_if_idle(g);
    } else if (g->again) { /* something moved while it was asked */
        gate_ask(g);
    } else {
        if (g->kind == GATE_NEWER)
            latest_read(g->flow, g->key, rows, n);
        else
            keep_rows(g, rows, n);
        if (g->kind == GATE_OVERTAKE)
            overtake_fetch(g->flow, rows, n);
        g->known = true;
        g->asking = g->kind == GATE_OVERTAKE && overtake_busy(g);
        if (g->asking)
            flow_later(g->flow, BUSY_MS, on_ask_again, g);
        if (g->kind == GATE_AFTER)
            after_fetch(g, rows, n);
        gate_look(g, true);
    }
}

static void on_rows(void *ctx, int status, const struct store_delivery *rows, size_t n)
{
    struct gate *g = ctx;
    struct flow *f = g->flow;
    bool newer = g->kind == GATE_NEWER;

    rows_came(g, status, rows, n);
    if (newer)
        latest_answered(f);
}

static void gate_ask(struct gate *g)
{
    struct store_about about = { .route = str_of(g->route),
                                 .subject = str_of(g->subject),
                                 .piece = str_of(g->piece),
                                 .any_piece = g->kind == GATE_OVERTAKE,
                                 .standing = g->kind == GATE_NEWER,
                                 .limit = g->kind == GATE_OVERTAKE ? ABOUT_MOST : 32 };
    int r = g->kind == GATE_AFTER ? store_siblings(g->flow->store, g->event, on_rows, g)
                                  : store_about(g->flow->store, &about, on_rows, g);

    if (r == 0 && g->kind == GATE_NEWER)
        latest_asked(g->flow);
    g->again = false;
    g->asking = r == 0;
    if (r == UV_ECANCELED) /* closing: they stay where they are */
        free_if_idle(g);
    if (r == UV_ECANCELED || r == 0)
        return;
    g->asking = true;
    flow_later(g->flow, ASK_AGAIN_MS, on_ask_again, g);
}

/* ---- what moves ---- */

static struct gate_row *find_row(struct gate *g, uint64_t num)
{
    for (size_t i = 0; i < g->n_rows; i++)
        if (g->rows[i].num == num)
            return &g->rows[i];
    return NULL;
}

static void gate_moved(struct gate *g, const struct order_move *m)
{
    struct gate_row *row = find_row(g, m->num);

    if (g->asking) {
        g->again = true;
    } else if (!row) { /* made meanwhile */
        gate_ask(g);
    } else if (row->state != m->state) {
        row->state = (uint8_t)m->state;
        if (delivery_state_final(m->state))
            gate_look(g, g->known);
    }
}

void order_moved(struct flow *f, const struct order_move *m)
{
    uint8_t key[16];
    struct gate *g;

    if (!m->route) {
        dead_moved(f, m);
        return;
    }
    behind_moved(f, m);
    sift_moved(f, m->route);
    dead_moved(f, m);
    latest_moved(f, m);
    coalesce_moved(f, m);
    overtake_moved(f, m);
    if (!f->gates)
        return;
    event_key(delivery_event(m->num), key);
    if ((g = gate_find(f, key)))
        gate_moved(g, m);
    if (!m->route->overtaken)
        return;
    overtake_key(m->route->name, m->subject, key);
    if ((g = gate_find(f, key)) && g->asking)
        g->again = true;
    else if (g)
        gate_ask(g);
}

/* ---- another configuration ---- */

void order_change(struct flow *f, const struct config *before)
{
    struct delivery *d, *more;
    struct gate *g, *tmp;

    f->lowered = true; /* routes may have other priorities than before */
    HASH_ITER (hh, f->gates, g, tmp)
        for (size_t i = 0; i < g->n_rows; i++)
            if (g->rows[i].route)
                g->rows[i].route = config_route(f->config, str_of(g->rows[i].route->name));
    HASH_ITER (hh, f->gates, g, tmp)
        gate_look(g, g->known && !g->asking); /* else it judges when it is answered */
    HASH_ITER (hh, f->deliveries, d, more) {
        if (d->state != DS_READY || d->gate)
            continue;
        d->gates_passed = 0;
        if (!d->settling && !d->deciding && gate_pass(d))
            pile_add(d);
    }
    dead_load(f, before);
}

/* ---- what is known from the start ---- */

struct gate *gate_open(struct flow *f, const struct rec_routed *routed, const uint8_t *states)
{
    bool wanted = false;
    uint8_t key[16];

    for (size_t i = 0; i < routed->n_deliveries; i++) {
        const struct conf_route *r = config_route(f->config, routed->deliveries[i].route);
        wanted |= r && r->n_after;
    }
    event_key(routed->event, key);
    if (!wanted || gate_find(f, key))
        return NULL;
    struct gate *g = gate_new(f, GATE_AFTER, key);
    g->event = routed->event;
    g->rows = mem_array(routed->n_deliveries, sizeof(*g->rows));
    g->n_rows = routed->n_deliveries;
    for (size_t i = 0; i < g->n_rows; i++)
        g->rows[i] = (struct gate_row){
            .num = routed->deliveries[i].num,
            .route = config_route(f->config, routed->deliveries[i].route),
            .state = states[i],
            .piece = mem_dup(routed->deliveries[i].piece),
        };
    g->known = g->kept = true;
    return g;
}

void gate_opened(struct gate *g)
{
    if (!g)
        return;
    g->kept = false;
    free_if_idle(g);
}

const struct gate_row *gate_waits_for(const struct delivery *d)
{
    const struct gate *g = d->gate;

    return g && g->known && kinds[g->kind].in_the_way ? kinds[g->kind].in_the_way(g, d) : NULL;
}

/* ---- why ---- */

bool why_gate(struct delivery *d, struct why *w)
{
    struct gate *g = d->gate;

    if (!g)
        return false;
    if (g->known)
        kinds[g->kind].say(g, d, w);
    else
        why_say(w, 0, "what goes before it is being looked for");
    return true;
}
