/*
 * check_budget.c - the properties of remotes that count for themselves, against their own books.
 *
 * A call is refused only for what cannot be known: what others took since the remote wrote the
 * newest answer that had come back when the call left. Had they taken nothing since, it would have
 * been let in; so a remote that nobody else uses refuses nothing. While work waits, what there is
 * is used. What is kept for critical work is there when it comes.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "sim.h"

#define MILLION     INT64_C(1000000)
#define MANY        12   /* that wait: slots and order stop none of them */
#define CHOSEN_MS   8000 /* the longest from being chosen to the remote */
#define STARTING_MS 3000
#define SET_OUT_MS  100   /* from a token to the remote, at most */
#define GONE_MS     10000 /* without an answer others are reckoned with for so long */

/* ---- what the lane can know ---- */

/** Its configuration says no more than the remote bears, or the remote has set it right. */
static bool knows_bucket(const struct call *c)
{
    const struct allowance *a = &c->remote->allow;
    const struct conf_endpoint *e = c->remote->conf;
    int64_t rate = (int64_t)e->rate_milli_per_s;
    bool right = rate && rate <= a->rate_milli && e->burst * MILLION <= a->size;

    if (a->kind == ALLOW_POINTS)
        return right || c->paid.heard;
    if (a->kind == ALLOW_LEAKY) /* its rate is not told */
        return right || (c->paid.heard && rate <= a->rate_milli &&
                         (rate || a->size / MILLION * 50 <= a->rate_milli));
    return right;
}

static bool knows_quota(const struct call *c)
{
    const struct allowance *a = &c->remote->allow;

    return (c->paid.heard && !a->quota_untold) ||
           (a->quota_ms == QUOTA_DAY_MS && c->remote->conf->quota_per_day);
}

void check_refusal(const struct call *c)
{
    struct remote *r = c->remote;
    const struct allowance *a = &r->allow;
    const struct allow_call *p = &c->paid;
    int64_t others = a->taken - p->known + (a->taken ? p->close : 0),
            calls = a->taken_calls - p->known_calls;
    int64_t missing = p->cost * MILLION - a->level;

    if (c->over)
        return; /* whoever asked is gone */
    if (a->quota && allow_quota_left(a) < 1) {
        if (knows_quota(c) && calls < 1)
            world_fail(&r->sim->w, "quota: %s refuses a call, and nobody else made one since",
                       r->conf->name);
    } else if (knows_bucket(c) && missing > others) {
        world_fail(&r->sim->w,
                   "budget: %s refuses a call: %" PRId64
                   " millionths are missing, and others took "
                   "%" PRId64 " since its newest answer",
                   r->conf->name, missing, others);
    }
}

/* ---- what outlives the process, what a refusal costs ---- */

void check_blocked(struct remote *r)
{
    static const char field[] = "\"blocked_until\":";

    for (const struct state_row *st = r->sim->t->states; st; st = st->next) {
        if (!str_eq(st->space, STR("lane")) || !str_eq(st->key, str_of(r->conf->name)))
            continue;
        const char *at = memmem(st->value.ptr, st->value.len, field, sizeof(field) - 1);
        int64_t in = at ? strtoll(at + sizeof(field) - 1, NULL, 10) - clock_wall_ms() : 0;
        if (in > 0) {
            r->refused_ms = world_now();
            r->refused_until = world_now() + in;
        }
    }
}

void check_quiet_from(struct remote *r, int64_t after_ms)
{
    int64_t now = world_now();

    if (now + after_ms <= r->refused_until)
        return;
    if (now >= r->refused_until)
        r->refused_ms = now;
    r->refused_until = now + after_ms;
}

void check_burnt(struct call *c, struct book *k, uint32_t attempt)
{
    const struct sim *s = c->remote->sim;

    if (k->refused_attempt && k->refused_life == s->deaths && !k->human &&
        attempt > k->refused_attempt)
        world_fail(&c->remote->sim->w, "refusal: it burnt attempt %u of a delivery to %s",
                   k->refused_attempt, c->remote->conf->name);
    k->refused_attempt = 0;
    k->attempt = attempt;
}

void check_spared(const struct call *c, struct book *k)
{
    k->refused_attempt = k->attempt;
    k->refused_life = c->remote->sim->deaths;
}

/* ---- what is kept for critical work ---- */

static bool is_here(const struct remote *r, const struct row *row)
{
    return str_eq(row->endpoint, str_of(r->conf->name));
}

static bool critical_is_about(const struct remote *r)
{
    const struct tables *t = r->sim->t;

    for (size_t i = 0; i < t->n_rows; i++)
        if (t->rows[i]->priority == PRIORITY_CRITICAL && is_here(r, t->rows[i]) &&
            !delivery_state_final(t->rows[i]->state))
            return true;
    return false;
}

static bool has_critical(const struct remote *r)
{
    const struct config *c = r->sim->current;

    for (size_t i = 0; i < c->n_routes; i++)
        if (c->routes[i].priority == PRIORITY_CRITICAL && c->routes[i].targets->endpoint == r->conf)
            return true;
    return false;
}

/** Points cost more or less than the one before did: by so much a promise may be wrong. */
static int64_t kept(const struct remote *r)
{
    const struct allowance *a = &r->allow;
    const struct conf_endpoint *e = r->conf;
    int64_t size = e->rate_milli_per_s && e->burst * MILLION < a->size ? e->burst * MILLION
                                                                       : a->size;
    int64_t wrong = (a->cost - 1) * e->concurrency * MILLION;

    if (size < 5 * a->cost * MILLION) /* too small for all of it */
        return 0;
    return size * e->rate_reserve / 100 - wrong;
}

/** A window that only headers tell of is not known to what was chosen before the first answer. */
static bool knew_quota(const struct call *c)
{
    const struct allowance *a = &c->remote->allow;

    return knows_quota(c) && (!a->quota_as_requests || world_now() >= a->heard_ms + CHOSEN_MS);
}

void check_reserve(const struct call *c)
{
    struct remote *r = c->remote;
    struct allowance *a = &r->allow;
    int64_t now = world_now(), others = a->taken - a->before;
    int64_t calls = a->quota * r->conf->rate_reserve / 100;

    if (c->paid.critical || critical_is_about(r))
        a->critical_ms = now;
    if (c->over || now < a->critical_ms + CHOSEN_MS || !has_critical(r))
        return;
    if (a->kind != ALLOW_ALL && knows_bucket(c) && a->level + others < kept(r))
        world_fail(&r->sim->w,
                   "reserve: %s is left with %" PRId64 " of the %" PRId64
                   " millionths that are kept for critical work",
                   r->conf->name, a->level, kept(r));
    if (a->quota && knew_quota(c) && !a->taken_calls && allow_quota_left(a) < calls)
        world_fail(&r->sim->w,
                   "reserve: %s is left with %" PRId64 " of %" PRId64
                   " calls that are kept for critical work",
                   r->conf->name, allow_quota_left(a), calls);
}

/* ---- what there is is used ---- */

/** So many could leave now, if their remote bore it. */
static size_t that_wait(const struct remote *r)
{
    const struct sim *s = r->sim;
    size_t n = 0;

    for (size_t i = 0; i < s->t->n_rows; i++) {
        const struct row *row = s->t->rows[i];
        const struct conf_route *route = config_route(&s->config, row->route);
        if (row->state == DS_READY && is_here(r, row) &&
            (!route->ordered || !row->own || row->own->head == row))
            n++;
    }
    return n;
}

static bool is_busy(const struct remote *r)
{
    const struct sim *s = r->sim;
    int64_t now = world_now();

    return s->flow && !s->flow->draining && !store_sim_stopped(s->store) && !r->removed &&
           now > s->life_ms + STARTING_MS && now >= r->refused_until && !r->opened_ms &&
           !r->parked_ms && that_wait(r) >= MANY;
}

/** More than any caution lets lie. */
static int64_t ample(const struct remote *r)
{
    const struct allowance *a = &r->allow;
    int64_t caution = a->size / 20 > 3 * MILLION ? a->size / 20 : 3 * MILLION;

    return a->size * r->conf->rate_reserve / 100 + 2 * caution + a->cost * MILLION;
}

static int64_t may_lie(const struct remote *r)
{
    return ample(r) < r->allow.size ? ample(r) : r->allow.size;
}

static void check_idle(struct remote *r, bool busy)
{
    struct allowance *a = &r->allow;
    int64_t now = world_now(), need = may_lie(r);
    bool could = busy && a->kind != ALLOW_ALL && a->level >= need && !a->quota;

    if (!could)
        a->idle_ms = 0;
    else if (!a->idle_ms)
        a->idle_ms = now;
    else if (now > a->idle_ms + 5000 + 20 * need / a->rate_milli)
        world_fail(&r->sim->w, "budget: %s could take a call for %" PRId64 " ms, and gets none",
                   r->conf->name, now - a->idle_ms);
}

static void count_busy(struct remote *r, bool busy)
{
    struct allowance *a = &r->allow;
    int64_t now = world_now();

    if (busy && a->busy_ms) {
        a->came += (now - a->busy_ms) * a->rate_milli;
        a->went += a->used - a->busy_used;
    } else if (busy && !a->came) {
        a->full = a->level - may_lie(r);
    } else if (busy && a->level < a->busy_level) {
        a->lost += a->busy_level - a->level;
    }
    if (busy)
        a->busy_level = a->level;
    a->busy_ms = busy ? now : 0;
    a->busy_used = a->used;
}

void check_budgets(struct sim *s)
{
    for (unsigned i = 0; i < ENDPOINTS; i++) {
        struct remote *r = &s->remotes[i];
        struct allowance *a = &r->allow;
        if (!a->on)
            continue;
        allow_go_on(a);
        a->other.on &= !s->healed;
        if (world_now() >= a->turned_ms + CHOSEN_MS) {
            a->before = a->once;
            a->once = a->known;
            a->turned_ms = world_now();
        }
        if (!s->budgets)
            continue;
        bool busy = is_busy(r);
        check_idle(r, busy);
        count_busy(r, busy);
    }
}

/** Percent. Of a bucket of one or two tokens each call waits until the one before has left, and one
 *  that is shared is a matter of luck; that another client has gone, or that one is there of whom
 *  nobody tells, is learnt late. */
static int64_t used_least(const struct allowance *a)
{
    bool told = a->kind == ALLOW_LEAKY || a->kind == ALLOW_POINTS;
    int64_t every_ms = MILLION / a->rate_milli;

    if (a->size < 3 * MILLION)
        return a->taken ? 0 : 95 * every_ms / (every_ms + SET_OUT_MS);
    if (!a->taken)
        return 95;
    return told ? (a->other.even ? 93 : 85) : 75;
}

void check_budgets_end(struct sim *s)
{
    for (unsigned i = 0; i < ENDPOINTS && s->budgets; i++) {
        const struct remote *r = &s->remotes[i];
        const struct allowance *a = &r->allow;
        /* a process begins with less than there may be, and what is kept is filled first: at its
         * begin, and when others took of it while no work waited */
        int64_t all = a->came - a->lost + (s->deaths ? -(int64_t)s->deaths * ample(r) : a->full);
        if (a->taken && !a->other.even)
            all -= GONE_MS * a->rate_milli;
        if (!a->on || a->kind == ALLOW_ALL)
            continue;
        world_say(&s->w, "%s: %u calls, %u refused; of %" PRId64 " tokens %" PRId64 " were used",
                  r->conf->name, a->entered, a->refused, all / MILLION, a->went / MILLION);
        if (!a->quota && a->came > 30 * a->cost * MILLION &&
            (a->went + 2 * a->cost * MILLION) * 100 < all * used_least(a))
            world_fail(&s->w,
                       "budget: of %" PRId64 " tokens of %s %" PRId64
                       " were used, and "
                       "there was always work",
                       all / MILLION, r->conf->name, a->went / MILLION);
    }
}
