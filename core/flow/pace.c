#include "flow/pace.h"

#include <inttypes.h>
#include "base/clock.h"

#define TOKEN         1000
#define JITTER_MS     10   /* between departures and arrivals, at least */
#define JITTER_MAX_MS 200  /* and at most: a connection that must be made first */
#define KEEP_AGAIN_MS 5000 /* a wait that grows by less is not written down again */
#define LEAKS_IN_S    20   /* Shopify's plans: a bucket of n slots leaks n / 20 a second */

/** Does any route send critical work here? Without it nothing is kept for it. */
static bool has_critical(const struct lane *l)
{
    const struct config *c = l->config;

    for (size_t i = 0; i < c->n_routes; i++)
        for (size_t k = 0; k < c->routes[i].n_targets; k++)
            if (c->routes[i].priority == PRIORITY_CRITICAL &&
                c->routes[i].targets[k].kind == TARGET_SEND &&
                c->routes[i].targets[k].endpoint == l->conf)
                return true;
    return false;
}

void pace_init(struct lane *l)
{
    const struct conf_endpoint *e = l->conf;

    bucket_init(&l->bucket, e->rate_milli_per_s, e->burst, uv_now(l->flow->loop));
    bucket_jitter(&l->bucket, JITTER_MS);
    l->rate_milli = e->rate_milli_per_s;
    l->burst = e->burst;
    quota_init(&l->day, e->quota_per_day, e->quota_per_day ? QUOTA_DAY_MS : 0);
    quota_init(&l->window, 0, 0);
    l->has_critical = has_critical(l);
}

void pace_change(struct lane *l)
{
    const struct conf_endpoint *e = l->conf;

    if (l->rate_milli != e->rate_milli_per_s || l->burst != e->burst) /* else the remote's stay */
        bucket_change(&l->bucket, e->rate_milli_per_s, e->burst, uv_now(l->flow->loop));
    l->rate_milli = e->rate_milli_per_s;
    l->burst = e->burst;
    if (e->quota_per_day) {
        l->day.limit = e->quota_per_day;
        l->day.period_ms = QUOTA_DAY_MS;
    } else if (l->day.period_ms) { /* ours, and no longer */
        quota_init(&l->day, 0, 0);
    }
    l->has_critical = has_critical(l);
}

/* ---- spending ---- */

/** The share that stays for critical work, unless such work is there: then weights decide. */
static int64_t reserved(const struct lane *l, uint8_t priority, int64_t of)
{
    if (!l->has_critical || l->critical_waits || priority == PRIORITY_CRITICAL)
        return 0;
    return of * l->conf->rate_reserve / 100;
}

static uint64_t quotas_wait(struct lane *l, uint8_t priority)
{
    int64_t wall = clock_wall_ms(), calls = l->leaving + 1;
    int64_t day = quota_wait(&l->day, calls, reserved(l, priority, l->day.limit), wall);
    int64_t window = quota_wait(&l->window, calls, reserved(l, priority, l->window.limit), wall);
    bool spent = day > 0 && l->day.used >= l->day.limit;

    if (spent && !l->quota_spent)
        log_warn(&l->log, "the quota of %" PRId64 " calls is spent, it goes on in %" PRId64 " s",
                 l->day.limit, day / 1000);
    if (spent != l->quota_spent) {
        l->quota_spent = spent;
        lane_keep(l, STR("lane"), spent ? STR("its quota is spent") : STR("a quota begins"));
    }
    return (uint64_t)(day > window ? day : window);
}

uint64_t pace_wait(struct lane *l, uint32_t cost, uint8_t priority, uint64_t now)
{
    struct bucket *b = &l->bucket;
    uint64_t wait, quota = quotas_wait(l, priority);

    if (b->rate_milli && l->promised && (int64_t)(l->promised + cost) * TOKEN > b->capacity)
        return UINT64_MAX;
    wait = bucket_wait_keep(b, cost + l->promised, reserved(l, priority, b->capacity), now);
    return wait > quota ? wait : quota;
}

uint64_t pace_take(struct lane *l, uint32_t cost, uint64_t now)
{
    uint64_t wait = bucket_take(&l->bucket, cost, now);

    if (wait)
        return wait;
    l->prepaid++;
    l->prepaid_tokens += cost;
    return 0;
}

void pace_unused(struct lane *l)
{
    if (l->prepaid <= l->under_way)
        return;
    l->prepaid_tokens = l->prepaid_tokens * l->under_way / l->prepaid;
    l->prepaid = l->under_way;
}

void pace_refused(struct lane *l, uint32_t cost, int64_t after_ms)
{
    uint64_t now = uv_now(l->flow->loop), kept = l->bucket.blocked_until;

    bucket_refused(&l->bucket, cost);
    bucket_block(&l->bucket, now + (uint64_t)(after_ms > 0 ? after_ms : 1000), now);
    if (l->bucket.blocked_until > kept + KEEP_AGAIN_MS)
        lane_keep(l, STR("adapter"), STR("asked to be left alone"));
}

/* ---- calls ---- */

void lane_leaves(struct lane *l, struct lane_ticket *ret)
{
    int64_t wall = clock_wall_ms();
    uint64_t cost = 1, now = uv_now(l->flow->loop);

    l->calls++;
    quota_take(&l->day, 1, wall);
    quota_take(&l->window, 1, wall);
    if (l->prepaid) {
        cost = l->prepaid_tokens / l->prepaid;
        l->prepaid--;
        l->prepaid_tokens -= cost;
    } else {
        bucket_charge(&l->bucket, 1, now);
    }
    ret->bucket = bucket_leave(&l->bucket, (uint32_t)cost, l->prepaid_tokens * TOKEN, now);
    ret->calls = l->calls;
}

void lane_heard(struct lane *l, const struct lane_ticket *t)
{
    uint64_t ms = uv_now(l->flow->loop) - t->bucket.at_ms;

    bucket_heard(&l->bucket, &t->bucket);
    if (!l->quickest_ms || ms < l->quickest_ms)
        l->quickest_ms = ms ? ms : 1;
    ms = l->quickest_ms < JITTER_MS ? JITTER_MS : l->quickest_ms;
    bucket_jitter(&l->bucket, ms < JITTER_MAX_MS ? ms : JITTER_MAX_MS);
}

/* ---- what the remote says ---- */

/** The bucket's own kind, or there is no other: size and rate are the remote's, too. */
static void adopt(struct lane *l, const sl_budget *f, uint64_t now)
{
    struct bucket *b = &l->bucket;
    uint64_t rate = f->restore_milli > 0 ? (uint64_t)f->restore_milli : b->rate_milli;
    int64_t capacity = f->limit > 0 ? f->limit * TOKEN : b->capacity;

    if (!rate)
        rate = (uint64_t)capacity / LEAKS_IN_S;
    if (rate && (rate != b->rate_milli || capacity != b->capacity))
        bucket_resize(b, rate, capacity, now);
}

static void told_bucket(struct lane *l, const sl_budget *f, const struct lane_ticket *t)
{
    static const enum bucket_kind kinds[] = {
        [SL_BUDGET_REQUESTS] = BUCKET_REQUESTS,
        [SL_BUDGET_LEAKY] = BUCKET_LEAKY,
        [SL_BUDGET_POINTS] = BUCKET_POINTS,
    };
    uint64_t now = uv_now(l->flow->loop);
    bool ours = !l->conf->rate_milli_per_s || (int)kinds[f->kind] == l->conf->rate_kind;
    unsigned flags = f->kind == SL_BUDGET_POINTS ? BUCKET_TOLD_LATE : 0;

    if (ours && f->kind != SL_BUDGET_REQUESTS) {
        flags |= BUCKET_TOLD_RAISE;
        adopt(l, f, now);
    }
    if (f->remaining >= 0)
        bucket_told(&l->bucket, &t->bucket, f->remaining * TOKEN, flags, now);
}

void lane_budget(struct lane *l, const sl_budget *f, const struct lane_ticket *t)
{
    int64_t wall = clock_wall_ms();
    struct lane_ticket unknown = {
        .bucket = { .spent = l->bucket.spent - l->bucket.out, .at_ms = uv_now(l->flow->loop) },
        .calls = l->calls,
    };

    if (!l->conf || f->limit > SL_BUDGET_MAX || f->remaining > SL_BUDGET_MAX ||
        f->restore_milli > SL_BUDGET_MAX)
        return;
    if (!t)
        t = &unknown;
    int64_t since = (int64_t)(l->calls - t->calls);
    if (f->kind == SL_BUDGET_QUOTA)
        quota_told(&l->day, f->limit, f->remaining, since, f->reset_ms, wall);
    else if (f->kind == SL_BUDGET_REQUESTS && !l->conf->rate_milli_per_s)
        quota_told(&l->window, f->limit, f->remaining, since, f->reset_ms, wall);
    else if (f->kind <= SL_BUDGET_POINTS)
        told_bucket(l, f, t);
    lane_pump_soon(l);
}
