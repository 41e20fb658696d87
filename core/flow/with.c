/*
 * with.c - see with.h.
 */
#include "flow/with.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/chain.h"
#include "flow/due.h"
#include "flow/find.h"
#include "flow/hold.h"
#include "flow/program.h"

#define WAIT_MS    1000  /* an event waits so long for its rows ... */
#define TRY_MS     10000 /* ... and a dry run so long, which holds nobody up */
#define SWEEP_MS   100
#define FIRST_MS   2000  /* what is held is looked at again after this, doubling ... */
#define LONGEST_MS 60000 /* ... up to this */
#define AT_ONCE    64    /* of what is held, mapped again */
#define BUSY_MS    500
#define AGAIN_MS   1000

/** One route of the event. */
struct with_route {
    const struct conf_route *route;
    struct find_ask *asks; /* own; one for each of route->with */
    bool silent;           /* it makes nothing of the event: no key was asked for */
    char *error;           /* own; its keys' program failed */
    char *behind;          /* own; an earlier one of its subject waits */
};

struct with {
    struct list node; /* flow.withs, while it waits */
    struct routing *rt;
    struct with_route *routes;
    size_t n, pending;
    uint64_t until_ms;
};

static void with_end(struct with *w)
{
    list_remove(&w->node);
    routing_run(w->rt);
}

void with_free(struct with *w)
{
    if (!w)
        return;
    list_remove(&w->node);
    for (size_t i = 0; i < w->n; i++) {
        struct with_route *r = &w->routes[i];
        for (size_t k = 0; r->asks && k < r->route->n_with; k++)
            find_finish(&r->asks[k]);
        free(r->asks);
        free(r->error);
        free(r->behind);
    }
    free(w->routes);
    free(w);
}

/* ---- waiting ---- */

static void on_sweep(void *ctx, bool closing);

static void sweep_later(struct flow *f)
{
    if (!f->with_sweeps)
        flow_later(f, SWEEP_MS, on_sweep, f);
    f->with_sweeps = true;
}

/** Its time is over: what is not there yet it does without. */
static void give_up(struct with *w)
{
    for (size_t i = 0; i < w->n; i++)
        for (size_t k = 0; w->routes[i].asks && k < w->routes[i].route->n_with; k++) {
            struct find_ask *a = &w->routes[i].asks[k];
            struct buf why = { 0 };
            if (!a->pending)
                continue;
            find_drop(a);
            buf_printf(&why, "%s has not answered within a moment", a->with->endpoint->name);
            a->why = buf_steal(&why, NULL);
        }
    w->pending = 0;
    with_end(w);
}

static void on_sweep(void *ctx, bool closing)
{
    struct flow *f = ctx;
    struct list over = LIST_INIT(over);

    f->with_sweeps = false;
    if (closing)
        return;
    list_each_safe (i, tmp, &f->withs) {
        struct with *w = list_entry(i, struct with, node);
        if (uv_now(f->loop) < w->until_ms)
            continue;
        list_remove(i);
        list_append(&over, i);
    }
    while (!list_empty(&over))
        give_up(list_entry(over.next, struct with, node));
    if (!list_empty(&f->withs))
        sweep_later(f);
}

static void on_found(struct find_ask *a)
{
    struct with *w = a->ctx;

    if (w->pending && --w->pending == 0)
        with_end(w);
}

/* ---- what is asked ---- */

/** An earlier event of the subject waits for its rows, and what this one would make could pass it:
 *  pieces are only ordered among those of their own key. Why, own; NULL: none does. */
static char *behind_whom(const struct flow *f, const struct conf_route *r, sl_str subject,
                         uint64_t num)
{
    struct chain *c = r->split ? chain_find(f, r, subject, STR("")) : NULL;
    const struct delivery *first;
    struct buf b = { 0 };
    char name[32];

    if (!c || list_empty(&c->members))
        return NULL;
    first = list_entry(c->members.next, struct delivery, chain_node);
    if (first->num >= num || first->state != DS_HELD)
        return NULL;
    delivery_name(first->num, name);
    buf_printf(&b, "%s of the same subject goes first, and is held", name);
    return buf_steal(&b, NULL);
}

static uint64_t place_of(const struct routing *rt)
{
    return rt->remap && !rt->remap->backfill ? rt->remap->row->num : delivery_num(rt->event->id, 0);
}

static void ask_one(struct with *w, struct with_route *r, const sl_str *outputs)
{
    const struct routing *rt = w->rt;

    if (rt->router)
        r->behind = behind_whom(rt->flow, r->route, str_of(routing_subject(rt)), place_of(rt));
    r->asks = mem_array(r->route->n_with, sizeof(*r->asks));
    for (size_t k = 0; k < r->route->n_with; k++) {
        struct find_ask *a = &r->asks[k];
        *a = (struct find_ask){ .with = &r->route->with[k],
                                .config = rt->config,
                                .fresh = !rt->router || (rt->remap && !rt->remap->by_clock),
                                .done = on_found,
                                .ctx = w };
        list_init(&a->node);
        if (find_keys(a, outputs[k]) == 0 && !r->behind && find_begin(rt->flow, a))
            w->pending++;
    }
}

static void on_keys(void *ctx, const struct map_result *results, size_t n)
{
    struct with *w = ctx;
    struct routing *rt = w->rt;
    struct flow *f = rt->flow;

    for (size_t i = 0; i < n; i++) {
        rt->cancelled |= results[i].status == UV_ECANCELED;
        rt->no_memory |= results[i].status == UV_ENOMEM;
    }
    if (rt->cancelled || rt->no_memory) { /* nothing may be concluded */
        rt->done(rt);
        return;
    }
    for (size_t i = 0; i < n && i < w->n; i++) {
        struct with_route *r = &w->routes[i];
        const struct map_result *m = &results[i];
        if (m->status < 0)
            r->error = mem_dup(m->why);
        else if (m->n_outputs != r->route->n_with)
            r->silent = true;
        else
            ask_one(w, r, m->outputs);
    }
    if (!w->pending) {
        routing_run(rt);
        return;
    }
    w->until_ms = uv_now(f->loop) + (rt->router ? WAIT_MS : TRY_MS);
    list_append(&f->withs, &w->node);
    sweep_later(f);
}

bool with_begin(struct routing *rt)
{
    struct map_run runs[MAX_ROUTES_PER_EVENT];
    const struct route_state *states = rt->flow->router.routes;
    struct with *w = mem_zero(sizeof(*w));
    struct buf vars = { 0 };
    int r;

    w->rt = rt;
    list_init(&w->node);
    routing_vars(&vars, rt->event);
    buf_char(&vars, '}');
    w->routes = mem_array(rt->n_matched + 1, sizeof(*w->routes));
    for (size_t i = 0; i < rt->n_matched && w->n < MAX_ROUTES_PER_EVENT; i++) {
        const struct conf_route *route = rt->matched[i];
        const struct route_state *s = &states[route->index];
        if (!s->keys || (rt->router && s->paused))
            continue;
        w->routes[w->n].route = route;
        runs[w->n++] = (struct map_run){ s->keys, buf_view(&vars) };
    }
    if (!w->n) {
        with_free(w);
        buf_finish(&vars);
        return false;
    }
    rt->with = w;
    r = mapper_run(rt->flow->mapper, rt->event->body, runs, w->n, on_keys, w);
    buf_finish(&vars);
    rt->no_memory |= r == UV_ENOMEM;
    rt->cancelled |= r == UV_ECANCELED;
    return r == 0;
}

/* ---- what came of it ---- */

static const struct with_route *route_of(const struct routing *rt, const struct conf_route *r)
{
    for (size_t i = 0; rt->with && i < rt->with->n; i++)
        if (rt->with->routes[i].route == r)
            return &rt->with->routes[i];
    return NULL;
}

/** One clause as a member: { KEY: ROW, ... } */
static void put_rows(struct buf *b, const struct find_ask *a)
{
    bool any = false;

    buf_json_str(b, str_of(a->with->name));
    buf_cstr(b, ":{");
    for (size_t i = 0; i < a->n; i++) {
        if (!a->keys[i].row)
            continue;
        buf_cstr(b, any ? "," : "");
        any = true;
        buf_json_str(b, str_of(a->keys[i].key));
        buf_char(b, ':');
        buf_cstr(b, a->keys[i].row);
    }
    buf_char(b, '}');
}

/** What stands against it; of several what waits, since the rest may have changed by then. */
static enum with_says look_at(const struct with_route *r, struct buf *why)
{
    const struct find_ask *bad = NULL;
    const struct find_key *wrong = NULL;

    for (size_t i = 0; i < r->route->n_with; i++) {
        const struct find_ask *a = &r->asks[i];
        if (a->why && (!bad || !a->refused))
            bad = a;
        for (size_t k = 0; k < a->n && !wrong; k++)
            wrong = a->keys[k].error ? &a->keys[k] : NULL;
    }
    if (bad) {
        buf_printf(why, "%s: %s", bad->with->name, bad->why);
        return bad->refused ? WITH_ERROR : WITH_WAITS;
    }
    if (!wrong)
        return WITH_ROWS;
    buf_printf(why, "%s: %s: %s", wrong->ask->with->name, wrong->key, wrong->error);
    return WITH_ERROR;
}

enum with_says with_rows(const struct routing *rt, const struct conf_route *r, struct buf *vars,
                         struct buf *why)
{
    const struct with_route *w = route_of(rt, r);
    enum with_says says;

    if (!w || w->silent) {
        buf_cstr(vars, "\"with\":{}");
        return WITH_ROWS;
    }
    if (w->error || w->behind) {
        buf_cstr(why, w->error ? w->error : w->behind);
        return w->error ? WITH_ERROR : WITH_WAITS;
    }
    says = look_at(w, why);
    if (says != WITH_ROWS)
        return says;
    buf_cstr(vars, "\"with\":{");
    for (size_t i = 0; i < r->n_with; i++) {
        buf_cstr(vars, i ? "," : "");
        put_rows(vars, &w->asks[i]);
    }
    buf_char(vars, '}');
    return WITH_ROWS;
}

/* ---- what waits in the store ---- */

char *with_detail(uint32_t tries, const char *owner)
{
    struct buf b = { 0 };

    buf_printf(&b, "{\"hold\":\"" HOLD_LOOK_UP "\",\"tries\":%u", tries);
    if (owner) {
        buf_cstr(&b, ",\"owner\":");
        buf_json_str(&b, str_of(owner));
    }
    buf_char(&b, '}');
    return buf_steal(&b, NULL);
}

/** Not all at once, when many began to wait together. */
int64_t with_next(struct flow *f, uint32_t tries)
{
    int64_t ms = FIRST_MS;

    while (--tries && ms < LONGEST_MS)
        ms *= 2;
    if (ms > LONGEST_MS)
        ms = LONGEST_MS;
    return clock_wall_ms() + ms + (int64_t)rng_below(&f->rng, (uint64_t)ms / 4);
}

static uint32_t tries_of(sl_str detail)
{
    json_t *j = json_loadb(detail.ptr, detail.len, 0, NULL);
    json_int_t n = json_integer_value(json_object_get(j, "tries"));

    json_decref(j);
    return n > 0 && n < 1000000 ? (uint32_t)n : 1;
}

/** Why it cannot be mapped again now, own; and when that may be over. NULL: it can. */
static char *hindered(struct flow *f, const struct conf_route *r, const struct store_delivery *row,
                      int64_t *ret_ms)
{
    struct buf b = { 0 };
    char *why;

    for (size_t i = 0; i < r->n_with; i++)
        if (!find_ready(f, &r->with[i], &why, ret_ms)) {
            buf_printf(&b, "%s: %s", r->with[i].name, why);
            free(why);
            return buf_steal(&b, NULL);
        }
    return behind_whom(f, r, row->subject, row->num);
}

bool with_rang(struct flow *f, const struct store_delivery *row, struct hold_verdict *v)
{
    const struct conf_route *r = config_route(f->config, row->route);
    uint32_t tries = tries_of(row->detail) + 1;
    int64_t ms = 0, at;
    char *why = r ? hindered(f, r, row, &ms) : NULL;

    if (!why)
        return true;
    at = with_next(f, tries);
    if (at < clock_wall_ms() + ms)
        at = clock_wall_ms() + ms + (int64_t)rng_below(&f->rng, FIRST_MS);
    *v = (struct hold_verdict){ .state = DS_HELD,
                                .hold_type = mem_str(HOLD_LOOK_UP),
                                .detail = with_detail(tries, r->owner),
                                .reason = why,
                                .next_ms = at };
    return false;
}

struct with_retry {
    struct flow *flow;
    uint64_t num;
    int64_t clock_ms;
};

static void on_again(void *ctx, const struct decided *results, size_t n)
{
    struct with_retry *t = ctx;
    int status = n ? results[0].status : 0;

    t->flow->with_retries--;
    if (status == UV_EINVAL)
        t->flow->due.horizon_ms = 0; /* the store knows what its clock says now */
    else if (status < 0 && status != UV_ENOENT && status != UV_ECANCELED)
        due_again(t->flow, false, t->num, t->clock_ms, AGAIN_MS);
    free(t);
}

void with_again(struct flow *f, uint64_t num, int64_t clock_ms)
{
    struct with_retry *t;
    struct decide d = { .what = DECISION_CLOCK,
                        .who = STR(HOLD_LOOK_UP),
                        .remap = true,
                        .nums = &num,
                        .n = 1,
                        .clocks = &clock_ms };

    if (f->with_retries >= AT_ONCE) {
        due_again(f, false, num, clock_ms, BUSY_MS);
        return;
    }
    t = mem_zero(sizeof(*t));
    *t = (struct with_retry){ f, num, clock_ms };
    f->with_retries++;
    flow_decide(f, &d, on_again, t);
}

/* ---- the end ---- */

void with_close(struct flow *f)
{
    while (!list_empty(&f->withs)) {
        struct with *w = list_entry(f->withs.next, struct with, node);
        list_remove(&w->node);
        w->pending = 0;
        w->rt->cancelled = true;
        w->rt->done(w->rt); /* which frees it */
    }
}
