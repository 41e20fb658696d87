/*
 * why.c - why a delivery does not go now.
 */
#include "flow/why.h"

#include <stdarg.h>
#include <stdio.h>
#include "base/clock.h"
#include "flow/order.h"
#include "flow/parents.h"
#include "flow/pause.h"

void why_say(struct why *ret, int64_t until_ms, const char *fmt, ...)
{
    va_list ap;

    ret->until_ms = until_ms;
    va_start(ap, fmt);
    vsnprintf(ret->text, sizeof(ret->text), fmt, ap);
    va_end(ap);
}

/** A moment of the loop's clock as wall clock. */
static int64_t why_wall(const struct flow *f, uint64_t mono_ms)
{
    return clock_wall_ms() + (int64_t)(mono_ms - uv_now(f->loop));
}

/** "1st", "2nd", "3rd", "11th" */
static const char *ending(uint32_t n)
{
    if (n % 100 >= 11 && n % 100 <= 13)
        return "th";
    return n % 10 == 1 ? "st" : n % 10 == 2 ? "nd" : n % 10 == 3 ? "rd" : "th";
}

/* ---- what is being done with it at this moment ---- */

static bool at_work(struct delivery *d, struct why *w)
{
    if (d->deciding)
        why_say(w, 0, "a person's decision about it is being written down");
    else if (d->settling && d->state == DS_UNKNOWN)
        why_say(w, 0, "%s is being asked whether it arrived", d->lane->conf->name);
    else if (d->settling)
        why_say(w, 0, "what came of it is being written down");
    else
        return false;
    return true;
}

static bool in_flight(struct delivery *d, struct why *w)
{
    struct lane *l = d->lane;
    struct batch *b = d->batch;

    if (d->state != DS_INFLIGHT)
        return false;
    if (!b)
        why_say(w, 0, "it was sent before the gateway was started; its outcome is being sought");
    else if (b->state < BATCH_SENDING)
        why_say(w, 0, "its request is being made");
    else if (b->state < BATCH_PACED)
        why_say(w, 0, "that it is sent is being written down first");
    else if (b->state == BATCH_PACED)
        why_say(w,
                why_wall(l->flow,
                         uv_now(l->flow->loop) + bucket_wait(&l->bucket, 1, uv_now(l->flow->loop))),
                "its turn in the pace of %s", l->conf->name);
    else if (b->state == BATCH_OUT)
        why_say(w, 0, "%s is at it since %" PRIu64 " ms", l->conf->name,
                uv_now(l->flow->loop) - b->started_ms);
    else
        why_say(w, 0, "what came of it is being written down");
    return true;
}

/* ---- its own state ---- */

static bool held(struct delivery *d, struct why *w)
{
    if (d->state != DS_HELD)
        return false;
    if (d->next_ms)
        why_say(w, d->next_ms, "what it is held for; its clock decides if nothing does before");
    else
        why_say(w, 0, "a person decides what becomes of it");
    return true;
}

/** The causes that lie in the lane alone: paused, parked, breaker, what the remote asked for. */
static bool why_lane(struct lane *l, struct why *w);

/** The lane opens later than it could go: then the lane is why. */
static bool lane_is_later(struct delivery *d, struct why *w)
{
    struct why lane = { .text = "" };

    if (!d->lane->conf || !why_lane(d->lane, &lane) ||
        (lane.until_ms && lane.until_ms <= d->next_ms))
        return false;
    *w = lane;
    return true;
}

static bool over_budget(struct delivery *d, struct why *w)
{
    uint32_t retries, calls;

    if (d->state != DS_WAITING || !d->over_budget)
        return false;
    budget_counts(&d->lane->budget, uv_now(d->lane->flow->loop), &retries, &calls);
    why_say(w, d->next_ms,
            "the endpoint's retry budget is spent: %u retries of %u calls in the last %d s",
            retries, calls, BUDGET_WINDOW_MS / 1000);
    return true;
}

static bool next_attempt(struct delivery *d, struct why *w)
{
    uint32_t nth = d->attempts + 1;

    if (d->state != DS_WAITING)
        return false;
    if (!lane_is_later(d, w))
        why_say(w, d->next_ms, "its %u%s attempt%s%s", nth, ending(nth), d->why ? ": " : "",
                d->why ? d->why : "");
    return true;
}

static bool next_question(struct delivery *d, struct why *w)
{
    char asked[48] = "not asked yet";

    if (d->state != DS_UNKNOWN)
        return false;
    if (d->asked)
        snprintf(asked, sizeof(asked), "asked %u time%s", d->asked, d->asked == 1 ? "" : "s");
    if (!lane_is_later(d, w))
        why_say(w, d->next_ms, "the question whether it arrived (%s)%s%s", asked,
                d->why ? ": " : "", d->why ? d->why : "");
    return true;
}

/* ---- ready ---- */

static bool behind(struct delivery *d, struct why *w)
{
    char name[32];

    if (!d->chain)
        return false;
    struct delivery *first = list_entry(d->chain->members.next, struct delivery, chain_node);
    if (first == d)
        return false;
    delivery_name(first->num, name);
    why_say(w, first->next_ms > clock_wall_ms() ? first->next_ms : 0,
            "%s of the same subject goes first, it is %s", name,
            delivery_state_names[first->state]);
    return true;
}

static bool no_target(struct delivery *d, struct why *w)
{
    if (d->target && d->lane->conf)
        return false;
    why_say(w, 0, "its route or its endpoint is no longer in the configuration");
    return true;
}

static bool gateway(struct delivery *d, struct why *w)
{
    if (d->lane->flow->draining)
        why_say(w, 0, "the gateway is being stopped");
    else if (!d->lane->flow->started)
        why_say(w, 0, "the gateway is being started");
    else
        return false;
    return true;
}

static void say_pause(struct why *w, const char *kind, const char *name, const struct pause *p)
{
    struct buf text = { 0 };

    pause_say(&text, p);
    why_say(w, 0, "%s %s is %s", kind, name, text.data);
    buf_finish(&text);
}

static bool route_paused(struct delivery *d, struct why *w)
{
    const struct pause *p = pause_of(d->lane->flow, true, str_of(d->route->name));

    if (p)
        say_pause(w, "route", d->route->name, p);
    return p != NULL;
}

static bool why_lane(struct lane *l, struct why *w)
{
    uint64_t now = uv_now(l->flow->loop);

    if (l->pause)
        say_pause(w, "endpoint", l->name, l->pause);
    else if (l->parked)
        why_say(w, why_wall(l->flow, l->parked_until > now ? l->parked_until : now),
                "%s is parked: %s", l->conf->name, l->park_why);
    else if (l->breaker.by_hand)
        why_say(w, 0, "the breaker of %s was opened by hand by %s%s%s", l->conf->name, l->trip_who,
                l->trip_why[0] ? ": " : "", l->trip_why);
    else if (l->breaker.state == BREAKER_OPEN)
        why_say(w, why_wall(l->flow, l->breaker.open_until),
                "the breaker of %s is open: too many calls failed or were slow", l->conf->name);
    else if (l->breaker.state == BREAKER_HALF_OPEN &&
             l->breaker.probes_out >= l->breaker.conf.probes)
        why_say(w, 0, "the breaker of %s is half open and its probes are out", l->conf->name);
    else if (l->day.limit && l->day.used >= l->day.limit &&
             (!l->day.reset_ms || l->day.reset_ms > clock_wall_ms()))
        why_say(w, l->day.reset_ms, "the quota of %s is spent: %" PRId64 " of %" PRId64 " calls",
                l->conf->name, l->day.used, l->day.limit);
    else if (l->bucket.blocked_until > now)
        why_say(w, why_wall(l->flow, l->bucket.blocked_until), "%s asked to be left alone",
                l->conf->name);
    else
        return false;
    return true;
}

static bool lane(struct delivery *d, struct why *w)
{
    struct lane *l = d->lane;
    const struct breaker *b = lane_breaker(l, d->target);

    if (why_lane(l, w))
        return true;
    if (b == &l->breaker || b->state != BREAKER_OPEN)
        return false;
    why_say(w, why_wall(l->flow, b->open_until), "the breaker of %s for %s is open", l->conf->name,
            l->conf->plugin->actions[d->target->action].name);
    return true;
}

static bool gathers(struct delivery *d, struct why *w)
{
    struct pile *p = lane_pile(d);
    uint64_t now = uv_now(d->lane->flow->loop);

    uint64_t ripe = pile_since(p) + pile_gathers_ms(p);
    if (p->n >= p->max_records || (p->max_bytes && p->bytes >= p->max_bytes) || now >= ripe)
        return false;
    why_say(w, why_wall(d->lane->flow, ripe), "its batch gathers: %zu of %u are there", p->n,
            p->max_records);
    return true;
}

static bool parent_is_out(struct delivery *d, struct why *w)
{
    const struct batch *b = parents_holder(d);

    if (!d->waits_parent)
        return false;
    if (b && b->id)
        why_say(w, 0, "batch %" PRIu64 " of %s is in flight with the same parent", b->id,
                d->lane->conf->name);
    else
        why_say(w, 0, "another batch of %s goes first with the same parent", d->lane->conf->name);
    return true;
}

static bool narrow_is_out(struct delivery *d, struct why *w)
{
    if (!d->narrow || !d->lane->narrow_out)
        return false;
    why_say(w, 0, "its turn: %s asked for small batches, one at a time, and one is in flight",
            d->lane->conf->name);
    return true;
}

static bool turn(struct delivery *d, struct why *w)
{
    struct lane *l = d->lane;
    uint64_t now = uv_now(l->flow->loop), wait = bucket_wait(&l->bucket, 1, now);

    if (l->under_way >= l->conf->concurrency)
        why_say(w, 0, "its turn: %s has %u calls under way, as many as may be", l->conf->name,
                l->under_way);
    else
        why_say(w, wait ? why_wall(l->flow, now + wait) : 0,
                "its turn in the pace of %s, where %" PRIu64 " are ready", l->conf->name,
                l->counts[DS_READY]);
    return true;
}

/* ---- all of them ---- */

static why_cause *const causes[] = {
    at_work, in_flight,     held,          over_budget, next_attempt, next_question,
    behind,  why_dead,      why_gate,      no_target,   gateway,      route_paused,
    lane,    parent_is_out, narrow_is_out, gathers,     turn,
};

bool flow_why(struct flow *f, uint64_t num, struct why *ret)
{
    struct delivery *d = flow_delivery(f, num);

    *ret = (struct why){ .text = "" };
    for (size_t i = 0; d && i < sizeof(causes) / sizeof(causes[0]); i++)
        if (causes[i](d, ret))
            return true;
    return false;
}
