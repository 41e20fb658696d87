#include "remote_budget.h"
#include <inttypes.h>
#include "base/clock.h"
#include "sim.h"

#define MILLION        INT64_C(1000000)
#define JITTER_MOST_MS 200 /* as the lane reckons with, at most */

/* ---- the bucket and the quota, and who else uses them ---- */

static void fill(struct allowance *a, int64_t now)
{
    int64_t gained = (now - a->at_ms) * a->rate_milli;

    a->at_ms = now;
    a->level = gained < a->size - a->level ? a->level + gained : a->size;
}

static void roll(struct allowance *a)
{
    int64_t wall = clock_wall_ms();

    if (!a->quota || wall < a->quota_ends)
        return;
    a->quota_ends = wall - wall % a->quota_ms + a->quota_ms;
    a->other.on &= !a->quota_used || a->quota_ms < QUOTA_DAY_MS; /* for one day, or none is left */
    a->quota_used = 0;
}

int64_t allow_quota_left(const struct allowance *a)
{
    return a->quota - a->quota_used;
}

/** Another pace for a while; it may begin with many at once. */
static void other_changes(struct allowance *a, int64_t now)
{
    static const int paces[] = { 0, 0, 20, 50, 50, 80 };
    struct other_client *o = &a->other;
    int pace = o->even ? 50 : paces[rng_below(&o->rng, 6)];
    int64_t milli = a->rate_milli * pace / 100;

    if (a->kind == ALLOW_ALL) /* by the quota */
        milli = a->quota * MILLION * pace / 100 / a->quota_ms;
    o->every_ms = milli > 0 ? MILLION / milli : 0;
    if (a->kind == ALLOW_POINTS)
        o->every_ms *= a->cost;
    o->until_ms = o->even ? INT64_MAX : now + between(&o->rng, 1000, 60000);
    o->burst = o->even || one_in(&o->rng, 3) ? between(&o->rng, 0, a->size / MILLION / 2) : 0;
    if (a->kind == ALLOW_POINTS)
        o->burst /= a->cost;
    o->next_ms = o->burst ? now : o->every_ms ? now + o->every_ms : o->until_ms;
}

/** Its call at o->next_ms, or the moment at which that can be. */
static void other_calls(struct allowance *a)
{
    struct other_client *o = &a->other;
    int64_t cost = (a->kind == ALLOW_POINTS ? a->cost : 1) * MILLION, now = o->next_ms;

    if (now >= o->until_ms || (!o->every_ms && !o->burst)) {
        other_changes(a, now);
        return;
    }
    fill(a, now);
    if (a->kind != ALLOW_ALL && a->level < cost) {
        o->next_ms = now + (cost - a->level + a->rate_milli - 1) / a->rate_milli;
        return;
    }
    if (!a->quota || allow_quota_left(a) > 0) {
        a->level -= a->kind == ALLOW_ALL ? 0 : cost;
        a->used += cost;
        a->taken += cost;
        a->taken_calls++;
        a->quota_used++;
    }
    o->burst -= o->burst > 0;
    o->next_ms = o->burst ? now : o->every_ms ? now + o->every_ms : o->until_ms;
}

void allow_go_on(struct allowance *a)
{
    int64_t now = world_now();

    roll(a);
    while (a->other.on && a->other.next_ms <= now)
        other_calls(a);
    fill(a, now);
}

int64_t allow_close(const struct allowance *a, int64_t left_ms)
{
    int64_t sum = 0;

    for (uint64_t i = a->n_past; i > 0 && i + 64 > a->n_past; i--) {
        int64_t after = a->past[(i - 1) % 64].at_ms - left_ms;
        if (after < 0)
            break;
        sum += after <= JITTER_MOST_MS ? a->past[(i - 1) % 64].cost : 0;
    }
    return sum;
}

/* ---- a call: on its way, there, and back ---- */

void allow_begin(struct remote *r)
{
    struct allowance *a = &r->allow;

    if (!a->on)
        return;
    allow_go_on(a);
    a->heard = false;
    a->busy_ms = a->idle_ms = 0;
    check_blocked(r);
    if (!r->sim->deaths || !a->other.on)
        return;
    a->taken += a->size; /* what the process before had heard of others is not known */
    a->taken_calls += a->quota;
}

static uint32_t cost_of(const struct allowance *a, sl_str subject)
{
    return a->kind == ALLOW_POINTS && subject.len ? 1 + (uint8_t)subject.ptr[0] % a->cost : 1;
}

/** Nothing: one a batch. */
uint32_t allow_cost(void *self, void *handle, const sl_record *rec)
{
    const struct remote *r = self;

    (void)handle;
    return r->allow.kind == ALLOW_POINTS ? cost_of(&r->allow, rec->subject) : 0;
}

/** Room for it, or milliseconds until there is. */
static int64_t lacking(const struct allowance *a, uint32_t cost)
{
    if (a->quota && allow_quota_left(a) < 1)
        return a->quota_ends - clock_wall_ms();
    if (a->kind == ALLOW_ALL || a->level >= cost * MILLION)
        return 0;
    return (cost * MILLION - a->level + a->rate_milli - 1) / a->rate_milli;
}

static void take(struct allowance *a, struct call *c)
{
    struct allow_call *p = &c->paid;

    if (a->kind != ALLOW_ALL)
        a->level -= p->cost * MILLION;
    a->used += p->cost * MILLION;
    a->quota_used++;
    if (!c->over)
        return;
    a->taken += p->cost * MILLION; /* who asked is gone, and the next one knows nothing of it */
    a->taken_calls++;
}

/** What its answer will say. */
static void write_figures(const struct allowance *a, struct allow_call *p)
{
    p->tokens = a->level / MILLION;
    p->calls = a->quota ? allow_quota_left(a) : -1;
    p->ends_ms = a->quota ? a->quota_ends - clock_wall_ms() : -1;
    p->taken = a->taken;
    p->taken_calls = a->taken_calls;
}

static void refuse(struct call *c, int64_t ms)
{
    struct remote *r = c->remote;
    struct allowance *a = &r->allow;

    a->refused++;
    c->paid.refused = true;
    c->after_ms = ms + between(&r->rng, 0, a->more_ms);
    check_refusal(c);
    for (size_t i = 0; i < c->n; i++)
        c->deeds[i] = DEED_THROTTLE;
    world_say(&r->sim->w, "%s refuses %llu.%u for %" PRId64 " ms", r->conf->name,
              (unsigned long long)delivery_event(c->books[0]->num),
              delivery_ordinal(c->books[0]->num), c->after_ms);
}

/** The answer leaves. */
static void on_exit_there(void *ctx)
{
    struct call *c = ctx;
    struct allowance *a = &c->remote->allow;

    if (a->kind == ALLOW_POINTS) {
        allow_go_on(a);
        write_figures(a, &c->paid);
    }
    world_in(&c->remote->sim->w, a->way_ms, c->kind == CALL_DELIVER ? remote_answers : remote_says,
             c);
}

/** It is there: even if nobody waits for its answer any more. */
static void on_arrival(void *ctx)
{
    struct call *c = ctx;
    struct remote *r = c->remote;
    struct allowance *a = &r->allow;
    int64_t ms;

    allow_go_on(a);
    a->entered++;
    a->idle_ms = 0;
    for (size_t i = 0; i < c->n && c->kind == CALL_DELIVER; i++)
        c->books[i]->pending_at &= ~(1u << r->index); /* it was on its way */
    ms = lacking(a, c->paid.cost);
    if (ms) {
        refuse(c, ms);
        c->paid.ms = 0;
    } else {
        take(a, c);
        check_reserve(c);
        if (c->kind == CALL_DELIVER)
            remote_acts(c, c->paid.ms);
    }
    write_figures(a, &c->paid);
    world_say(&r->sim->w, "%s has %" PRId64 " and %" PRId64 " calls left", r->conf->name, a->level,
              c->paid.calls);
    world_in(&r->sim->w, c->paid.ms, on_exit_there, c);
}

static void set_out(struct call *c, uint32_t cost, int64_t ms)
{
    struct remote *r = c->remote;
    struct allowance *a = &r->allow;
    const struct row *row = tables_row(r->sim->t, c->books[0]->num);

    c->paid = (struct allow_call){
        .lane = r->adapter ? r->adapter->lane : NULL,
        .cost = cost,
        .left = true,
        .critical = row && row->priority == PRIORITY_CRITICAL,
        .heard = a->heard,
        .left_ms = world_now(),
        .close = allow_close(a, a->newest_ms),
        .known = a->known,
        .known_calls = a->known_calls,
        .ms = ms,
    };
    a->past[a->n_past % 64].at_ms = world_now();
    a->past[a->n_past++ % 64].cost = cost * MILLION;
    if (c->paid.lane)
        lane_leaves(c->paid.lane, &c->paid.ticket);
    world_in(&r->sim->w, a->way_ms + between(&r->rng, 0, a->spread_ms), on_arrival, c);
}

bool allow_send(struct call *c, int64_t ms)
{
    const struct remote *r = c->remote;
    uint32_t cost = 0;

    if (!r->allow.on)
        return false;
    for (size_t i = 0; i < c->n; i++) {
        const struct row *row = tables_row(r->sim->t, c->books[i]->num);
        cost += row ? cost_of(&r->allow, row->subject) : 1;
        c->books[i]->pending_at |= 1u << r->index;
    }
    set_out(c, r->allow.kind == ALLOW_POINTS ? cost : 1, ms);
    return true;
}

bool allow_ask(struct call *c, int64_t ms)
{
    if (c->remote->allow.on)
        set_out(c, 1, ms);
    return c->remote->allow.on;
}

/* ---- the answer ---- */

static void tell(const struct allowance *a, const struct allow_call *p)
{
    static const uint32_t kinds[] = { [ALLOW_REQUESTS] = SL_BUDGET_REQUESTS,
                                      [ALLOW_LEAKY] = SL_BUDGET_LEAKY,
                                      [ALLOW_POINTS] = SL_BUDGET_POINTS };
    sl_budget b = { .size = sizeof(b), .limit = a->size / MILLION, .remaining = p->tokens };

    if (a->kind > ALLOW_SILENT) {
        b.kind = kinds[a->kind];
        b.restore_milli = a->kind == ALLOW_POINTS ? a->rate_milli : 0;
        b.reset_ms = -1;
        lane_budget(p->lane, &b, &p->ticket);
    }
    if (p->calls < 0 || a->quota_untold)
        return;
    b = (sl_budget){ .size = sizeof(b),
                     .kind = a->quota_as_requests ? SL_BUDGET_REQUESTS : SL_BUDGET_QUOTA,
                     .limit = a->quota,
                     .remaining = p->calls,
                     .reset_ms = p->ends_ms > 0 ? p->ends_ms : 0 };
    lane_budget(p->lane, &b, &p->ticket);
}

void allow_heard(struct call *c, bool told)
{
    struct remote *r = c->remote;
    struct allowance *a = &r->allow;
    struct allow_call *p = &c->paid;

    if (!p->left || !p->lane)
        return;
    lane_heard(p->lane, &p->ticket);
    if (p->refused) {
        lane_refused(p->lane, c->after_ms);
        check_quiet_from(r, c->after_ms);
    }
    if (!told && !p->refused)
        return;
    tell(a, p);
    if (p->calls >= 0 && !a->quota_untold && p->taken_calls > a->known_calls)
        a->known_calls = p->taken_calls;
    if (world_now() < r->refused_until)
        return; /* what is said of a bucket that is blocked is of no use */
    a->heard_ms = a->heard ? a->heard_ms : world_now();
    a->heard = true;
    if (a->kind > ALLOW_SILENT && p->left_ms > a->newest_ms)
        a->newest_ms = p->left_ms;
    if (a->kind > ALLOW_SILENT && p->taken > a->known)
        a->known = p->taken;
}
