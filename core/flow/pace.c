#include "flow/pace.h"
#include <inttypes.h>
#include <jansson.h>
#include "base/clock.h"

#define TOKEN         1000
#define JITTER_MS     10    /* between departures and arrivals, at least */
#define JITTER_MAX_MS 200   /* and at most: a connection that must be made first */
#define KEEP_AGAIN_MS 5000  /* a wait that grows by less is not written down again */
#define MARK_MS       5000  /* what is spent is written down so far ahead, at least */
#define QUESTION_MS   100   /* a question comes so much later than it was told to, or not at all */
#define QUESTIONS_MS  60000 /* the last of many that wait comes again after this */
#define LEAKS_IN_S    20    /* Shopify's plans: a bucket of n slots leaks n / 20 a second */

/** Does any route send critical work here, also as one of several, or in the end? Without it
 * nothing is kept for it. */
static bool has_critical(const struct lane *l)
{
    const struct config *c = l->config;
    const struct conf_target *t;

    for (size_t i = 0; i < c->n_routes; i++) {
        if (c->routes[i].priority != PRIORITY_CRITICAL &&
            conf_route_reconciled(&c->routes[i]) != PRIORITY_CRITICAL)
            continue;
        for (size_t k = 0; (t = conf_route_send(&c->routes[i], k)); k++)
            if (t->endpoint == l->conf)
                return true;
    }
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
    bool question = l->question && l->question_until > now && !l->question_last;
    int64_t keep = reserved(l, priority, b->capacity);

    wait = bucket_wait_keep(b, cost, l->promised + question, keep, now);
    if (question && wait > l->question_until - now)
        wait = l->question_until - now; /* the question may not come */
    return wait > quota ? wait : quota;
}

/** What was promised may be gone: an answer has said so since. */
static uint64_t quotas_gone(struct lane *l)
{
    int64_t wall = clock_wall_ms();
    int64_t day = quota_wait(&l->day, 1, 0, wall), window = quota_wait(&l->window, 1, 0, wall);

    return (uint64_t)(day > window ? day : window);
}

static uint64_t take(struct lane *l, uint32_t cost, uint64_t now)
{
    uint64_t wait = quotas_gone(l);

    wait = wait ? wait : bucket_take(&l->bucket, cost, now);
    if (wait)
        return wait;
    l->prepaid++;
    l->prepaid_tokens += cost;
    return 0;
}

uint64_t pace_take(struct lane *l, uint32_t cost, uint64_t now)
{
    uint64_t wait = take(l, cost, now);

    if (!wait)
        l->question_last = false;
    return wait;
}

/** Behind the first that waits: each a token's time after the other. */
static uint64_t queue_question(struct lane *l, uint64_t at, uint64_t now)
{
    uint64_t rate = l->bucket.rate_milli, token_ms = rate ? 1000 * TOKEN / rate : QUESTION_MS;

    if (l->question_next < at + token_ms)
        l->question_next = at + token_ms;
    if (l->question_next > now + QUESTIONS_MS)
        l->question_next = now + QUESTIONS_MS;
    at = l->question_next;
    l->question_next += token_ms;
    return at - now;
}

uint64_t pace_question(struct lane *l, uint64_t id, uint64_t now)
{
    uint64_t wait = take(l, 1, now);
    bool is_first = !l->question || l->question == id || l->question_until <= now;

    if (!wait) {
        l->question = is_first ? 0 : l->question;
        l->question_last = true;
        pace_mark(l);
        return 0;
    }
    if (!is_first)
        return queue_question(l, l->question_until, now);
    l->question = id;
    l->question_until = now + wait + QUESTION_MS;
    return wait;
}

void pace_unused(struct lane *l)
{
    if (l->prepaid <= l->under_way)
        return;
    l->prepaid_tokens = l->prepaid_tokens * l->under_way / l->prepaid;
    l->prepaid = l->under_way;
}

void lane_refused(struct lane *l, int64_t after_ms)
{
    uint64_t now = uv_now(l->flow->loop), kept = l->bucket.blocked_until;

    bucket_block(&l->bucket, now + (uint64_t)(after_ms > 0 ? after_ms : 1000), now);
    if (l->bucket.blocked_until > kept + KEEP_AGAIN_MS)
        lane_keep(l, STR("adapter"), STR("asked to be left alone"));
}

void pace_refused(struct lane *l, uint32_t cost, int64_t after_ms)
{
    bucket_refused(&l->bucket, cost);
    lane_refused(l, after_ms);
}

/* ---- what outlives the process ---- */

/* The remote's bucket is as empty after a restart as before it. Not each token is written down: a
 * time by which it is full again, somewhat later than it will be. */

static bool mark_bucket(struct lane *l, uint64_t now)
{
    struct bucket *b = &l->bucket;
    uint64_t promised = (uint64_t)l->promised * TOKEN;
    int64_t full = clock_wall_ms() + (int64_t)bucket_full_in(b, (int64_t)promised, now);

    if (!b->rate_milli || full <= l->marked_full)
        return false;
    int64_t quarter = b->capacity * 1000 / (int64_t)b->rate_milli / 4;
    l->marked_full = full + (quarter > MARK_MS ? quarter : MARK_MS);
    return true;
}

static bool mark_quota(struct lane *l)
{
    const struct quota *q = &l->day;
    int64_t used = q->used + l->leaving;

    if (!q->limit || (q->reset_ms == l->marked_reset && used <= l->marked_used))
        return false;
    l->marked_reset = q->reset_ms;
    l->marked_used = used + q->limit / 1000;
    return true;
}

void pace_mark(struct lane *l)
{
    bool bucket = mark_bucket(l, uv_now(l->flow->loop));

    if (mark_quota(l) || bucket)
        lane_keep(l, STR("lane"), STR("what it has spent"));
}

void pace_save(const struct lane *l, struct buf *b)
{
    const struct quota *q = &l->day;
    bool marked = l->marked_reset == q->reset_ms && l->marked_used > q->used;
    int64_t used = marked ? l->marked_used : q->used;

    if (l->marked_full > clock_wall_ms())
        buf_printf(b, ",\"full_at\":%" PRId64, l->marked_full);
    if (q->limit && used)
        buf_printf(b,
                   ",\"quota\":{\"limit\":%" PRId64 ",\"ours\":%s,\"reset\":%" PRId64
                   ",\"used\":%" PRId64 "}",
                   q->limit, q->period_ms ? "true" : "false", q->reset_ms, used);
}

void pace_restore(struct lane *l, const struct json_t *saved)
{
    const json_t *quota = json_object_get(saved, "quota");
    int64_t in;

    l->marked_full = json_integer_value(json_object_get(saved, "full_at"));
    in = l->marked_full - clock_wall_ms();
    if (in > 0)
        bucket_lacks(&l->bucket, (uint64_t)in);
    if (!quota || (json_is_true(json_object_get(quota, "ours")) && !l->day.period_ms))
        return; /* of a configuration that has none any more */
    if (!l->day.limit)
        l->day.limit = json_integer_value(json_object_get(quota, "limit"));
    l->day.used = l->marked_used = json_integer_value(json_object_get(quota, "used"));
    l->day.reset_ms = l->marked_reset = json_integer_value(json_object_get(quota, "reset"));
}

/* ---- calls ---- */

/** It was paid for `cost` tokens. */
static void leave(struct lane *l, uint64_t cost, uint64_t now, struct lane_ticket *ret)
{
    int64_t wall = clock_wall_ms();

    l->calls++;
    quota_take(&l->day, 1, wall);
    quota_take(&l->window, 1, wall);
    ret->bucket = bucket_leave(&l->bucket, (uint32_t)cost, l->prepaid_tokens * TOKEN, now);
    ret->calls = l->calls;
}

void lane_leaves(struct lane *l, struct lane_ticket *ret)
{
    uint64_t cost = 1, now = uv_now(l->flow->loop);

    if (l->prepaid) {
        cost = l->prepaid_tokens / l->prepaid;
        l->prepaid--;
        l->prepaid_tokens -= cost;
    } else {
        bucket_charge(&l->bucket, 1, now);
    }
    leave(l, cost, now, ret);
}

/** What a batch has taken pays for it, in whole or in part; what is left when the last of their
 * calls has gone was not needed. */
static void pay(struct lane *l, struct lane_call *c, uint64_t now)
{
    uint64_t share = l->prepaid ? l->prepaid_tokens / l->prepaid : 0;

    if (!l->prepaid)
        return;
    c->paid = share < c->cost ? (uint32_t)share : c->cost;
    l->prepaid--;
    l->prepaid_tokens -= c->paid;
    if (!l->prepaid && l->prepaid_tokens) {
        bucket_return(&l->bucket, l->prepaid_tokens * TOKEN, now);
        l->prepaid_tokens = 0;
    }
}

static uint32_t unpaid(const struct lane_call *c)
{
    return c->cost - c->paid;
}

uint64_t pace_call(struct lane *l, const struct lane_call *c, uint64_t now, struct lane_ticket *ret)
{
    int64_t keep = reserved(l, c->priority, l->bucket.capacity);
    uint64_t wait = quotas_gone(l);

    wait = wait ? wait : bucket_wait_keep(&l->bucket, unpaid(c), 0, keep, now);
    wait = wait ? wait : bucket_take(&l->bucket, unpaid(c), now);
    if (wait)
        return wait;
    pace_mark(l);
    leave(l, c->cost, now, ret);
    return 0;
}

/** Nobody waits for tokens here any more, or not yet. */
static bool is_unpaced(const struct lane *l)
{
    return !l->conf || l->removed || !l->flow->started;
}

bool lane_call_leaves(struct lane *l, struct lane_call *c, struct lane_ticket *ret)
{
    uint64_t now = uv_now(l->flow->loop);

    c->paid = 0;
    pay(l, c, now);
    if (!unpaid(c) || is_unpaced(l)) {
        bucket_charge(&l->bucket, unpaid(c), now);
        leave(l, c->cost, now, ret);
        return true;
    }
    if (list_empty(&l->calling) && list_empty(&l->paced) && pace_call(l, c, now, ret) == 0)
        return true;
    struct list *at = &l->calling;
    while (at->prev != &l->calling &&
           list_entry(at->prev, struct lane_call, node)->priority > c->priority)
        at = at->prev;
    list_insert_before(at, &c->node);
    c->overtaken = 0;
    l->promised += unpaid(c);
    l->leaving++;
    lane_pump_soon(l);
    return false;
}

void pace_called(struct lane *l, struct lane_call *c)
{
    list_remove(&c->node);
    l->promised -= unpaid(c);
    l->leaving--;
}

void lane_call_now(struct lane *l, struct lane_call *c)
{
    struct lane_ticket ticket;
    uint64_t now = uv_now(l->flow->loop);

    pace_called(l, c);
    bucket_charge(&l->bucket, unpaid(c), now);
    leave(l, c->cost, now, &ticket);
    c->go(c, &ticket);
}

struct flow *lane_flow(struct lane *l)
{
    return l->flow;
}

void lane_heard(struct lane *l, const struct lane_ticket *t)
{
    uint64_t ms = uv_now(l->flow->loop) - t->bucket.at_ms;

    bucket_heard(&l->bucket, &t->bucket);
    quota_heard(&l->day);
    quota_heard(&l->window);
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

/** What the call took in the end, of what it was said to cost. */
static void give_back(struct lane *l, const sl_budget *f, const struct lane_ticket *t)
{
    uint64_t now = uv_now(l->flow->loop), taken = (uint64_t)f->taken * TOKEN;

    if (!f->has_taken || f->taken < 0 || f->taken > SL_COST_MAX)
        return;
    if (taken < t->bucket.cost)
        bucket_return(&l->bucket, t->bucket.cost - taken, now);
    else if (taken > t->bucket.cost)
        bucket_charge(&l->bucket, (uint32_t)((taken - t->bucket.cost) / TOKEN), now);
}

/** An answer that was overtaken does not know what others did since the newer one was written. */
static void told_quota(struct quota *q, uint64_t *newest, const sl_budget *f,
                       const struct lane_ticket *t, int64_t since)
{
    bool late = t->calls < *newest;

    (late ? quota_told_late : quota_told)(q, f->limit, f->remaining, since, f->reset_ms,
                                          clock_wall_ms());
    if (!late)
        *newest = t->calls;
}

void lane_budget(struct lane *l, const sl_budget *f, const struct lane_ticket *t)
{
    struct lane_ticket unknown = {
        .bucket = { .spent = l->bucket.spent - l->bucket.out, .at_ms = uv_now(l->flow->loop) },
        .calls = l->calls,
    };

    if (!l->conf || f->limit > SL_BUDGET_MAX || f->remaining > SL_BUDGET_MAX ||
        f->restore_milli > SL_BUDGET_MAX)
        return;
    if (t && f->kind == SL_BUDGET_POINTS)
        give_back(l, f, t);
    if (!t)
        t = &unknown;
    int64_t since = (int64_t)(l->calls - t->calls);
    if (f->kind == SL_BUDGET_QUOTA)
        told_quota(&l->day, &l->day_told, f, t, since);
    else if (f->kind == SL_BUDGET_REQUESTS && !l->conf->rate_milli_per_s)
        told_quota(&l->window, &l->window_told, f, t, since);
    else if (f->kind <= SL_BUDGET_POINTS)
        told_bucket(l, f, t);
    lane_pump_soon(l);
}
