/*
 * confirm.c - an unknown outcome: ask the remote whether it arrived, before anything is sent again.
 */
#include "flow/confirm.h"
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/chain.h"
#include "flow/failover.h"
#include "flow/pace.h"
#include "flow/pause.h"
#include "flow/settle.h"
#include "store/restore.h"

#define ASK_CAP_MS (5 * 60 * 1000)

static void confirm_free(struct confirm *c)
{
    list_remove(&c->node);
    extras_free(&c->extras);
    adapter_unref(c->adapter);
    config_unref(c->config);
    free(c);
}

/** Its token is taken, or it will not take it. */
static void keep_promise(struct confirm *c)
{
    c->lane->promised -= c->promised;
    c->lane->leaving -= c->promised;
    c->promised = false;
}

static void confirm_end(struct confirm *c)
{
    struct lane *l = c->lane;

    l->under_way--;
    l->critical -= c->critical;
    keep_promise(c);
    confirm_free(c);
    pace_unused(l);
    lane_pump(l);
    flow_check_idle(l->flow);
}

void confirm_drop_all(struct lane *l)
{
    while (!list_empty(&l->confirming))
        confirm_free(list_entry(l->confirming.next, struct confirm, node));
}

static void on_confirm_settled(struct flow *f, int status, void *ctx)
{
    (void)f;
    (void)status;
    confirm_end(ctx);
}

void confirm_write(struct confirm *c, struct rec_move *m, struct extras *x)
{
    struct rec_move *moves = mem_array(1, sizeof(*moves));

    moves[0] = *m;
    settle_write(c->lane, c->d->batch_id, c->cancels ? "cancel" : "confirm", moves, 1, x,
                 on_confirm_settled, c);
}

/** Nobody could say: nothing is learnt of the remote's health either. Before a person is asked it
 * is taken back, where it can be. */
void confirm_hold(struct confirm *c, sl_str why)
{
    lane_forget(c->breaker, c->breaker_trips);
    struct extras none = { 0 };
    struct rec_move m = { .num = c->d->num, .state = DS_HELD, .generation = c->d->generation };
    const struct conf_target *t = c->d->target;
    struct buf detail = { 0 };

    if (!c->cancels && cancel_of(c->d)) {
        cancel_begin(c->d, why, &m);
    } else if (t && t->group) { /* between its members, not only yes and no */
        failover_choices(&detail, t, str_of(c->d->route ? c->d->route->owner : NULL), why);
        if (c->cancels)
            cancel_note(&detail);
        m.detail.ptr = buf_steal(&detail, &m.detail.len);
        m.hold_type = (sl_str){ mem_str(HOLD_INTERLOCK), strlen(HOLD_INTERLOCK) };
        m.reason = (sl_str){ mem_dup(why), why.len };
    } else {
        unknown_hold(c->d, why, &m);
    }
    confirm_write(c, &m, &none);
}

/** The remote has not got it, but by then others of its event may have been dealt with: a person
 *  says whether it is sent again. */
static void hold_restored(struct confirm *c, sl_str why)
{
    struct extras none = { 0 };
    struct rec_move m = { .num = c->d->num, .state = DS_HELD, .generation = c->d->generation };

    m.hold_type = (sl_str){ mem_str(RESTORE_HOLD), strlen(RESTORE_HOLD) };
    m.reason = (sl_str){ mem_dup(why), why.len };
    confirm_write(c, &m, &none);
}

/** It was sent before the store was restored from a backup, and not by this one. */
static bool sent_before_restore(const struct delivery *d)
{
    uint64_t restored_to = store_restored_to(d->lane->flow->store);

    return delivery_event(d->num) <= restored_to && d->batch_id <= restored_to;
}

/** Later again, doubling; nothing is written for it: a restart asks at once. */
void confirm_later(struct confirm *c, int64_t after_ms)
{
    lane_forget(c->breaker, c->breaker_trips);
    if (c->probe && c->lane->parked)
        lane_park_on(c->lane);
    struct delivery *d = c->d;
    int64_t wait = d->lane->conf->confirm_after_ms;

    for (uint32_t i = 0; i < d->asked && wait < ASK_CAP_MS; i++)
        wait *= 2;
    if (wait > ASK_CAP_MS)
        wait = ASK_CAP_MS;
    d->asked++;
    d->next_ms = clock_wall_ms() + (after_ms > 0 ? after_ms : wait);
    d->settling = false;
    lane_place(d);
    confirm_end(c);
}

void confirm_answered(struct confirm *c)
{
    lane_result(c->lane, c->breaker, c->breaker_trips, true);
    if (c->probe)
        lane_unpark(c->lane);
}

bool confirm_restored(struct confirm *c, sl_str why)
{
    if (!sent_before_restore(c->d))
        return false;
    hold_restored(c, why);
    return true;
}

bool confirm_too_long(const struct confirm *c)
{
    return clock_wall_ms() - c->d->unknown_ms > c->d->lane->conf->confirm_for_ms;
}

/** The same again does no harm there. But no other endpoint gets what this one may have. */
static void again(struct confirm *c, const sl_confirmed *a)
{
    struct delivery *d = c->d;
    struct extras none = { 0 };
    struct rec_move m = { .num = d->num, .generation = d->generation, .arrival = ARRIVAL_PERHAPS };

    if (sent_before_restore(d)) {
        lane_forget(c->breaker, c->breaker_trips);
        hold_restored(c, STR("it may have arrived; held, since the store was restored"));
        return;
    }
    settle_retry(d, d->attempts, a->after_ms, a->why, &m);
    if (m.state == DS_UNKNOWN) { /* given up, and only this question stands before its fallback */
        move_free(&m);
        confirm_hold(c, a->why.len ? a->why : STR("the remote cannot tell whether it arrived"));
        return;
    }
    lane_forget(c->breaker, c->breaker_trips);
    confirm_write(c, &m, &none);
}

static void on_confirmed(void *ctx, const sl_confirmed *a)
{
    struct confirm *c = ctx;
    struct delivery *d = c->d;
    struct extras x = { 0 };
    struct rec_move m = { .num = d->num, .generation = d->generation };
    struct buf why = { 0 };

    switch (a->verdict) {
    case SL_CONFIRM_YES:
        confirm_answered(c);
        m.state = DS_DELIVERED;
        m.reason = (sl_str){ mem_str("confirmed: it had arrived"),
                             strlen("confirmed: it had arrived") };
        m.reference = (sl_str){ mem_dup(a->reference), a->reference.len };
        extras_link(&x, d, a->links, a->n_links);
        extras_emit(&x, d, a->emits, a->n_emits,
                    SL_HAS(sl_confirmed, a, found) && a->found == SL_FOUND_BY_RECONCILIATION);
        confirm_write(c, &m, &x);
        break;
    case SL_CONFIRM_NO:
        confirm_answered(c);
        if (confirm_restored(c, STR("it had not arrived; held, since the store was restored")))
            break;
        m.arrival = ARRIVAL_NO;
        buf_cstr(&why, "confirmed: it had not arrived");
        if (a->why.len) /* what the question was answered, not what was sent */
            buf_printf(&why, " (" STR_FMT ")", STR_ARG(a->why));
        settle_retry(d, d->attempts, a->after_ms, buf_view(&why), &m);
        buf_finish(&why);
        confirm_write(c, &m, &x);
        break;
    case SL_CONFIRM_AGAIN:
        again(c, a);
        break;
    case SL_CONFIRM_EARLY:
        if (confirm_too_long(c))
            confirm_hold(c, STR("nobody could say in time whether it arrived"));
        else
            confirm_later(c, a->after_ms);
        break;
    default:
        confirm_hold(c, a->why.len ? a->why : STR("the remote cannot tell whether it arrived"));
        break;
    }
}

static void ask(struct confirm *c)
{
    struct delivery *d = c->d;
    const struct adapter *a = c->adapter;
    sl_record r = {
        .size = sizeof(r),
        .attempt = d->attempts,
        .delivery = str_of(c->name),
        .key = str_of(c->key),
        .subject = str_of(d->subject),
        .piece = str_of(d->piece),
        .topic = str_of(d->topic),
        .body = { d->body, d->body_len },
        .request = { d->request ? d->request : d->body, d->request ? d->request_len : d->body_len },
        .first_sent_ms = d->first_sent_ms,
        .last_sent_ms = d->last_sent_ms,
    };

    if (c->lane->breaker.by_hand || (c->lane->parked && !c->probe) ||
        c->breaker_trips != c->breaker->trips || c->lane->removed ||
        (c->lane->pause && !c->lane->pause->drain)) { /* the lane closed meanwhile */
        confirm_later(c, 0);
        return;
    }
    uint64_t wait = pace_take(c->lane, 1, uv_now(c->lane->flow->loop));
    if (wait) { /* what was promised is gone: its rate was changed, or the remote said so */
        confirm_later(c, (int64_t)wait);
        return;
    }
    keep_promise(c);
    c->lane->confirms++;
    struct in_hand *in_hand = c->lane->flow->in_hand;
    in_hand_take(in_hand, IN_HAND_DELIVERY, &d->num, 1);
    uint64_t began = clock_mono_us();
    bool cancels = c->cancels; /* it may be over at once */
    if (cancels)
        cancel_ask(c, &r);
    else
        a->plugin->confirm(a->self, c->target->handle, &r, on_confirmed, c);
    adapter_measure(a, began, cancels ? "cancel" : "confirm");
    in_hand_drop(in_hand, 1);
}

static void on_confirm_loaded(void *ctx, int status, const struct store_delivery *sd, sl_str body,
                              sl_str request)
{
    struct confirm *c = ctx;

    (void)sd;
    if (status < 0 || !c->adapter->open) {
        confirm_later(c, 0);
        return;
    }
    delivery_set_body(c->d, body);
    if (request.len)
        delivery_set_request(c->d, request);
    ask(c);
}

void confirm_start(struct delivery *d)
{
    struct lane *l = d->lane;
    struct confirm *c = mem_zero(sizeof(*c));

    c->d = d;
    c->lane = l;
    c->adapter = adapter_ref(l->adapter);
    c->config = config_ref(l->flow->config);
    c->target = d->cancelling ? cancel_of(d) : NULL;
    c->cancels = c->target != NULL;
    if (!c->target)
        c->target = d->target;
    c->breaker = lane_breaker(l, d->target);
    c->breaker_trips = c->breaker->trips;
    c->probe = l->parked;
    c->promised = true; /* by the pump */
    l->leaving++;
    list_append(&l->confirming, &c->node);
    delivery_name(d->num, c->name);
    delivery_key(d, c->key);
    d->settling = true;
    l->under_way++;
    c->critical = d->priority == PRIORITY_CRITICAL;
    l->critical += c->critical;
    pace_mark(l);
    if (!c->cancels && !c->adapter->plugin->confirm)
        confirm_hold(c, STR("this adapter cannot ask whether it arrived"));
    else if (store_delivery_get(l->flow->store, d->num, on_confirm_loaded, c) < 0)
        confirm_later(c, 0);
}
