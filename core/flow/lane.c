/*
 * lane.c - what stands before one endpoint: piles by priority, the places of deliveries. Who leaves
 * when is pump.c's, tokens are pace.c's, park and breaker health.c's.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/chain.h"
#include "flow/failover.h"
#include "flow/order.h"
#include "flow/pace.h"
#include "flow/parents.h"
#include "flow/pause.h"

/* ---- life ---- */

static int64_t timer_key(const void *item)
{
    return ((const struct delivery *)item)->next_ms;
}

static void timer_moved(void *item, size_t place)
{
    ((struct delivery *)item)->heap_at = place;
}

void lane_init(struct lane *l, struct flow *f, struct adapter *a)
{
    l->flow = f;
    l->adapter = a;
    l->conf = a ? a->conf : NULL;
    l->config = a ? config_ref(f->config) : NULL;
    l->name = mem_str(a ? a->conf->name : "");
    l->log = (struct logger){ .room = "lane", .name = a ? l->name : "(none)" };
    l->waiting = l->asking = (struct heap){ .key = timer_key, .moved = timer_moved };
    list_init(&l->piles);
    list_init(&l->batches);
    list_init(&l->paced);
    list_init(&l->calling);
    list_init(&l->confirming);
    uv_timer_init(f->loop, &l->timer);
    uv_handle_set_data((uv_handle_t *)&l->timer, f);
    f->handles++;
    if (!a)
        return;
    budget_init(&l->budget, a->conf->retry_percent);
    pace_init(l);
    lane_breakers(l);
}

void lane_finish(struct lane *l)
{
    assert(list_empty(&l->calling)); /* the host has cancelled them */
    while (!list_empty(&l->piles)) {
        struct pile *p = list_entry(l->piles.next, struct pile, node);
        list_remove(&p->node);
        free(p);
    }
    for (int p = 0; p < PRIORITY__COUNT; p++)
        lane_window_finish(&l->windows[p]);
    parents_finish(l);
    free(l->waiting.at);
    free(l->asking.at);
    free(l->name);
    free(l->kept);
    free(l->actions);
    config_unref(l->config);
    uv_close((uv_handle_t *)&l->timer, flow_on_closed);
}

/* ---- piles ---- */

#define NARROW_GATHERS_MS 1000 /* one at a time: meanwhile they gather anyway */

/** What the file does not say is the adapter's. */
static uint64_t either(int64_t given_ms, int64_t deflt_ms)
{
    int64_t ms = given_ms >= 0 ? given_ms : deflt_ms;

    return ms > 0 ? (uint64_t)ms : 0;
}

sl_batching lane_batching(const struct conf_target *t)
{
    const sl_plugin *plugin = t->endpoint->plugin;
    sl_batching how = { .size = sizeof(how) };

    if (SL_HAS(sl_plugin, plugin, batching))
        plugin->batching(t->action, t->handle, &how);
    return how;
}

/** How its batches gather, by the endpoint and by the adapter. */
static void pile_gathers(struct pile *p)
{
    const struct conf_endpoint *e = p->lane->conf;
    sl_batching how = lane_batching(p->target);
    uint32_t records = e->batch_records ? e->batch_records : how.records;
    if (records && records < p->max_records)
        p->max_records = records;
    p->age_ms = either(e->batch_age_ms, how.age_ms);
    p->quick_records = how.quick_records;
    p->quick_ms = either(e->batch_quick_ms, how.quick_ms);
    if (p->quick_ms > p->age_ms)
        p->quick_ms = p->age_ms;
}

static void pile_limits(struct pile *p)
{
    const sl_action *a = &p->target->endpoint->plugin->actions[p->target->action];
    const struct conf_endpoint *e = p->lane->conf;

    p->max_records = a->batch_records ? a->batch_records : 1;
    p->max_bytes = a->batch_bytes;
    if (p->max_records == 1)
        return;
    if (e->batch_bytes && (!p->max_bytes || e->batch_bytes < p->max_bytes))
        p->max_bytes = e->batch_bytes;
    pile_gathers(p);
    if (!p->narrow)
        return;
    if (p->narrow < p->max_records)
        p->max_records = p->narrow;
    if (p->age_ms > NARROW_GATHERS_MS)
        p->age_ms = NARROW_GATHERS_MS;
    p->quick_records = 0;
}

uint64_t pile_since(const struct pile *p)
{
    return p->n ? list_entry(p->ready.next, struct delivery, pile_node)->ready_ms
                : uv_now(p->lane->flow->loop);
}

uint64_t pile_gathers_ms(const struct pile *p)
{
    if (p->quick_records && p->priority == PRIORITY_CRITICAL)
        return 0;
    return p->n <= p->quick_records ? p->quick_ms : p->age_ms;
}

struct pile *lane_pile(const struct delivery *d)
{
    struct lane *l = d->lane;

    list_each (i, &l->piles) {
        struct pile *p = list_entry(i, struct pile, node);
        if (p->target == d->target && p->priority == d->priority && p->narrow == d->narrow)
            return p;
    }
    struct pile *p = mem_zero(sizeof(*p));
    p->route = d->route;
    p->target = d->target;
    p->lane = l;
    p->priority = d->priority;
    p->narrow = d->narrow;
    p->cost = 1;
    p->pause = pause_of(l->flow, true, str_of(d->route->name));
    list_init(&p->ready);
    list_append(&l->piles, &p->node);
    pile_limits(p);
    return p;
}

/* ---- a delivery's place ---- */

static const unsigned legal_moves[DS__COUNT] = {
#define TO(s) (1u << DS_##s)
    [DS_READY] = TO(INFLIGHT) | TO(HELD) | TO(DEAD) | TO(DISCARDED) | TO(SUPERSEDED),
    [DS_INFLIGHT] = TO(READY) | TO(WAITING) | TO(UNKNOWN) | TO(HELD) | TO(DELIVERED) | TO(DEAD),
    [DS_WAITING] = TO(READY) | TO(HELD) | TO(DISCARDED) | TO(DEAD) | TO(SUPERSEDED),
    [DS_UNKNOWN] = TO(READY) | TO(WAITING) | TO(UNKNOWN) | TO(HELD) | TO(DELIVERED) | TO(DEAD),
    [DS_HELD] = TO(READY) | TO(DEAD) | TO(DISCARDED) | TO(DELIVERED) | TO(HELD),
#undef TO
};

void lane_enter(struct delivery *d, enum delivery_state next)
{
    if (d->state != next)
        assert(legal_moves[d->state] & 1u << next);
    log_trace(&d->lane->log, "delivery %" PRIu64 ".%u %s -> %s", delivery_event(d->num),
              delivery_ordinal(d->num), delivery_state_names[d->state], delivery_state_names[next]);
    window_out(d);
    d->aside = false;
    d->trial = d->trial && (next == DS_READY || next == DS_INFLIGHT);
    d->lane->counts[d->state]--;
    d->lane->counts[next]++;
    d->indexed &= next == DS_INFLIGHT; /* what it was when it was claimed, it still is */
    d->over_budget = false;
    if (next != DS_READY && next != DS_INFLIGHT) /* when it comes back its batch gathers anew */
        d->ready_ms = 0;
    d->state = next;
    window_in(d);
}

void lane_add(struct lane *l, struct delivery *d)
{
    struct flow *f = l->flow;

    d->lane = l;
    l->counts[d->state]++;
    window_in(d);
    list_init(&d->pile_node);
    list_init(&d->earlier_node);
    list_init(&d->gate_node);
    list_init(&d->passed_node);
    d->deciding = decide_under_way(f, d->num);
    HASH_ADD(hh, f->deliveries, num, sizeof(d->num), d);
    chain_join(d);
    lane_place(d);
}

void lane_timer_stop(struct delivery *d)
{
    if (d->heap_at)
        heap_remove(d->heap, d->heap_at);
}

void lane_timer_start(struct delivery *d, struct heap *h)
{
    d->heap = h;
    heap_push(h, d);
}

void lane_place(struct delivery *d)
{
    struct lane *l = d->lane;

    lane_timer_stop(d);
    if (delivery_state_final(d->state)) {
        lane_remove(d);
        return;
    }
    if (d->stale && !d->batch && !d->settling && !d->deciding) {
        delivery_orphan(d);
        if (d->state != DS_HELD)
            recover_orphan(d);
        return;
    }
    if (d->state == DS_READY && !d->settling && !d->deciding && gate_pass(d))
        pile_add(d);
    else
        pile_take(d);
    if (l->outs && !d->doubt && (d->state == DS_READY || d->state == DS_WAITING))
        failover_again(l);
    if (d->state == DS_WAITING)
        lane_timer_start(d, &l->waiting);
    else if (d->state == DS_UNKNOWN)
        lane_timer_start(d, &l->asking);
}

void lane_drop_bytes(struct delivery *d)
{
    if (d->kept) {
        d->lane->flow->kept_bytes -= d->body_len;
        d->lane->kept_bytes -= d->body_len;
    }
    d->kept = false;
    fetch_over(d);
    if (!d->loading)
        d->fetch = 0; /* what is under way may be what it was before */
    delivery_drop_bytes(d);
}

void lane_remove(struct delivery *d)
{
    struct lane *l = d->lane;

    earlier_forget(d);
    pile_take(d);
    gate_leave(d);
    overtake_forget(d);
    lane_drop_bytes(d);
    lane_timer_stop(d);
    lane_gone(l, d->priority, d->num);
    l->counts[d->state]--;
    window_out(d);
    chain_leave(d);
    HASH_DELETE(hh, l->flow->deliveries, d);
    delivery_free(d);
}
