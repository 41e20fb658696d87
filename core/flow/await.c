/*
 * await.c - see await.h: what the event's own pieces wait for, and which events came before. What
 * it ends is await_ends.c.
 *
 *   EVIDENCE (jq over the event) -> CAME (events before it, jq over each) -> ENDS (what it may end,
 *   jq over it) -> DECIDE (claims) -> router_store()
 */
#include "flow/await.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/await_state.h"
#include "flow/hold.h"
#include "flow/program.h"

#define CAME_MOST 500 /* events of a subject that are looked through, newest first */
#define AGAIN_MS  1000

/** A program of a hold, compiled once for all. */
struct hold_program {
    UT_hash_handle hh; /* flow.hold_programs, by text */
    char *text;
    struct map_program *program;
};

/* ---- help ---- */

static struct map_program *program_of(struct flow *f, const char *text)
{
    struct hold_program *p;
    struct buf b = { 0 };

    HASH_FIND_STR(f->hold_programs, text, p);
    if (p)
        return p->program;
    p = mem_zero(sizeof(*p));
    p->text = mem_str(text);
    buf_printf(&b, "(\n%s\n)", text); /* the newline ends a comment on its last line */
    p->program = map_program_get(f->mapper, buf_view(&b), program_vars);
    buf_finish(&b);
    HASH_ADD_KEYPTR(hh, f->hold_programs, p->text, strlen(p->text), p);
    return p->program;
}

void await_close(struct flow *f)
{
    struct hold_program *p, *tmp;

    HASH_ITER (hh, f->hold_programs, p, tmp) {
        HASH_DEL(f->hold_programs, p);
        map_program_put(p->program);
        free(p->text);
        free(p);
    }
}

void await_free(struct routing *rt)
{
    struct await *w = rt->await;

    if (!w)
        return;
    await_end(rt, NULL, UV_ECANCELED);
    for (size_t i = 0; i < w->n_own; i++) {
        free(w->own[i].by_topic);
        free(w->own[i].evidence);
        free(w->own[i].lack);
    }
    for (size_t i = 0; i < w->n_came; i++)
        free(w->came[i].topic);
    await_forget_held(w);
    buf_finish(&w->decision);
    free(w->own);
    free(w->came);
    free(w->judged);
    free(w);
    rt->await = NULL;
}

static void cancel(struct await *w)
{
    w->rt->cancelled = true;
    await_settle(w);
}

/** Do this again later; at the end it is cancelled. */
static void on_again(void *ctx, bool closing)
{
    struct await *w = ctx;

    if (closing)
        cancel(w);
    else
        w->then(w);
}

void await_again(struct await *w, void (*step)(struct await *w), uint64_t ms)
{
    w->then = step;
    flow_later(w->rt->flow, ms, on_again, w);
}

bool await_failed(struct await *w, int status, void (*step)(struct await *w))
{
    if (status >= 0)
        return false;
    if (status == UV_ECANCELED)
        cancel(w);
    else
        await_again(w, step, AGAIN_MS);
    return true;
}

static bool is_wait(const struct conf_hold *h)
{
    return strcmp(h->type, HOLD_WAIT_FOR) == 0;
}

/* ---- jq ---- */

static void vars_of(struct buf *b, int64_t received_ms)
{
    char when[32];

    clock_format(received_ms, when);
    buf_printf(b, "{\"received\":\"%s\",\"delivery\":null}", when);
}

static bool is_true(const struct map_result *m)
{
    return m->status == 0 && m->n_outputs && str_eq(m->outputs[0], STR("true"));
}

static void warn_of(struct await *w, const struct conf_hold *h, const struct map_result *m)
{
    if (m->status < 0)
        log_warn(&w->rt->router->log,
                 "hold %s: its program failed over event %" PRIu64 ": " STR_FMT, h->type,
                 w->rt->event->id, STR_ARG(m->why));
}

/** The results stand in the order of the holds: reject_when before when. */
static void on_judged(void *ctx, const struct map_result *results, size_t n)
{
    struct await *w = ctx;
    size_t at = 0;

    for (size_t i = 0; i < n; i++)
        if (results[i].status == UV_ECANCELED) {
            cancel(w);
            return;
        } else if (results[i].status == UV_ENOMEM) {
            await_again(w, w->step, AGAIN_MS);
            return;
        }
    for (size_t i = 0; i < w->n_judged; i++) {
        struct judged *j = &w->judged[i];
        const struct conf_hold *h = j->hold;
        const struct map_result *reject = h->reject_when && at < n ? &results[at++] : NULL;
        const struct map_result *release = h->when && at < n ? &results[at++] : NULL;
        if (reject)
            warn_of(w, h, reject);
        if (release)
            warn_of(w, h, release);
        if (reject && is_true(reject))
            j->what = JUDGED_REJECT;
        else if (release ? is_true(release) : !reject || reject->status == 0)
            j->what = JUDGED_RELEASE;
    }
    w->then(w);
}

void await_judge(struct await *w, sl_str body, int64_t received_ms, void (*then)(struct await *w),
                 void (*step)(struct await *w))
{
    struct flow *f = w->rt->flow;
    struct map_run *runs = mem_array(2 * w->n_judged + 1, sizeof(*runs));
    struct buf vars = { 0 };
    size_t n = 0;

    vars_of(&vars, received_ms);
    for (size_t i = 0; i < w->n_judged; i++) {
        const struct conf_hold *h = w->judged[i].hold;
        w->judged[i].what = JUDGED_STAYS;
        if (h->reject_when)
            runs[n++] = (struct map_run){ program_of(f, h->reject_when), buf_view(&vars) };
        if (h->when)
            runs[n++] = (struct map_run){ program_of(f, h->when), buf_view(&vars) };
    }
    w->then = then;
    w->step = step;
    int r = n ? mapper_run(f->mapper, body, runs, n, on_judged, w) : 0;
    free(runs);
    buf_finish(&vars);
    if (!n)
        on_judged(w, NULL, 0);
    else
        await_failed(w, r, step);
}

void await_add_judged(struct await *w, const struct conf_hold *h)
{
    for (size_t i = 0; i < w->n_judged; i++)
        if (w->judged[i].hold == h)
            return;
    w->judged = mem_grow(w->judged, (w->n_judged + 1) * sizeof(*w->judged));
    w->judged[w->n_judged++] = (struct judged){ .hold = h };
}

/* ---- what holds this event's own pieces ---- */

static struct own_hold *find_own(const struct await *w, const struct conf_hold *h)
{
    for (size_t i = 0; h && w && i < w->n_own; i++)
        if (w->own[i].hold == h)
            return &w->own[i];
    return NULL;
}

static void add_own(struct await *w, const struct conf_hold *h)
{
    if (!h || find_own(w, h))
        return;
    w->own = mem_grow(w->own, (w->n_own + 1) * sizeof(*w->own));
    struct own_hold *o = &w->own[w->n_own++];
    *o = (struct own_hold){ .hold = h };
    /* It is itself what it would wait for. */
    if (is_wait(h) && conf_topic_matches(h->until, h->n_until, w->rt->event->topic)) {
        o->what = JUDGED_RELEASE;
        o->by = w->rt->event->id;
    }
}

static const struct conf_hold *hold_of_piece(const struct piece *p)
{
    if (p->error || p->paused || !p->target)
        return NULL;
    if (p->target->kind == TARGET_HOLD)
        return p->target->hold;
    return p->target->kind == TARGET_SEND ? p->route->hold : NULL;
}

static const struct conf_hold *wait_of_piece(const struct routing *rt, const struct piece *p)
{
    bool sends = !p->error && !p->paused && p->target && p->target->kind == TARGET_SEND;

    return sends && routing_subject(rt)[0] ? p->route->wait : NULL;
}

static void say(struct piece *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct piece *p, const char *fmt, ...)
{
    struct buf text = { 0 };
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    free(p->said);
    p->said = buf_steal(&text, NULL);
}

/** An event that came before says that it goes, or never will. False: it has nowhere to go. */
static bool free_piece(struct piece *p, const struct own_hold *o)
{
    const struct conf_target *t;

    for (size_t i = 0; o->hold->to && (t = conf_route_send(p->route, i)); i++)
        if (o->what == JUDGED_RELEASE && strcmp(t->endpoint->name, o->hold->to) == 0)
            p->target = t;
    if (o->what == JUDGED_RELEASE && p->target->kind != TARGET_SEND)
        return false;
    p->rejected = o->what == JUDGED_REJECT;
    say(p, "%s: %s by event %" PRIu64 " (%s), which came before", o->hold->type,
        p->rejected ? "rejected" : "released", o->by, o->by_topic);
    return true;
}

static char *detail_of(const struct await *w, const struct piece *p, const struct conf_hold *h,
                       sl_str next)
{
    const struct own_hold *o = find_own(w, h);

    return hold_detail(h, p->route, str_of(p->detail), str_of(o ? o->evidence : NULL),
                       str_of(o ? o->lack : NULL), next);
}

/** What it waits for first, and with what it is held. */
static void settle_piece(struct await *w, struct piece *p)
{
    const struct conf_hold *wait = wait_of_piece(w->rt, p), *hold = hold_of_piece(p);
    const struct own_hold *o = find_own(w, wait);
    char *next = NULL;

    free(p->held_detail);
    p->held_detail = NULL;
    p->held = NULL;
    if (o && o->what == JUDGED_STAYS) {
        if (hold)
            next = detail_of(w, p, hold, STR(""));
        p->held = wait;
        p->held_detail = detail_of(w, p, wait, str_of(next));
        say(p, "waits for %s", wait->until[0]);
        free(next);
        return;
    }
    o = find_own(w, hold);
    if (o && o->what != JUDGED_STAYS && free_piece(p, o))
        return;
    if (hold) {
        p->held = hold;
        p->held_detail = detail_of(w, p, hold, STR(""));
    }
}

void await_settle(struct await *w)
{
    struct routing *rt = w->rt;

    for (size_t i = 0; i < rt->n_pieces && !rt->cancelled; i++)
        settle_piece(w, &rt->pieces[i]);
    w->done = true;
    router_store(rt);
}

/* ---- CAME ---- */

static void next_came(struct await *w);

/** What the event at w->at_came means to those that its topic may end. */
static void came_judged(struct await *w)
{
    struct came *c = &w->came[w->at_came++];

    for (size_t i = 0; i < w->n_judged; i++) {
        struct own_hold *o = find_own(w, w->judged[i].hold);
        if (w->judged[i].what == JUDGED_STAYS)
            continue;
        o->what = w->judged[i].what;
        o->by = c->id;
        free(o->by_topic);
        o->by_topic = mem_str(c->topic);
    }
    next_came(w);
}

static void on_came_event(void *ctx, int status, const struct store_event *e)
{
    struct await *w = ctx;

    if (status == UV_ENOENT || status == UV_EILSEQ) { /* nobody can say any more what it said */
        w->at_came++;
        next_came(w);
    } else if (!await_failed(w, status, next_came)) {
        await_judge(w, e->receipt.body, e->receipt.received_ms, came_judged, next_came);
    }
}

static void next_came(struct await *w)
{
    for (; w->at_came < w->n_came; w->at_came++) {
        struct came *c = &w->came[w->at_came];
        bool look = false;
        w->n_judged = 0;
        for (size_t i = 0; i < w->n_own; i++) {
            const struct conf_hold *h = w->own[i].hold;
            if (w->own[i].what != JUDGED_STAYS || c->id == w->rt->event->id ||
                !conf_topic_matches(h->until, h->n_until, str_of(c->topic)))
                continue;
            await_add_judged(w, h);
            look |= h->when || h->reject_when;
        }
        if (!w->n_judged)
            continue;
        if (look)
            await_failed(w, store_event_get(w->rt->flow->store, c->id, on_came_event, w),
                         next_came);
        else
            await_judge(w, STR(""), 0, came_judged, next_came);
        return;
    }
    await_ask_ends(w);
}

static void ask_came(struct await *w);

static void on_came(void *ctx, int status, const struct store_came *c, size_t n)
{
    struct await *w = ctx;

    if (await_failed(w, status, ask_came))
        return;
    w->came = mem_array(n + 1, sizeof(*w->came));
    for (size_t i = 0; i < n; i++)
        w->came[w->n_came++] = (struct came){ c[i].id, mem_dup(c[i].topic) };
    next_came(w);
}

static void ask_came(struct await *w)
{
    const char *subject = routing_subject(w->rt);
    bool look = false;

    for (size_t i = 0; i < w->n_own; i++)
        look |= w->own[i].what == JUDGED_STAYS && w->own[i].hold->n_until;
    if (!look || !subject[0])
        await_ask_ends(w);
    else
        await_failed(w, store_came(w->rt->flow->store, str_of(subject), CAME_MOST, on_came, w),
                     ask_came);
}

/* ---- EVIDENCE ---- */

static void ask_evidence(struct await *w);

static void take_evidence(struct own_hold *o, const struct map_result *m)
{
    struct buf lack = { 0 };

    if (m->status < 0)
        buf_str(&lack, m->why);
    else if (!m->n_outputs)
        buf_cstr(&lack, "its program gave nothing");
    else if (m->outputs[0].len > HOLD_EVIDENCE_MAX)
        buf_printf(&lack, "it has %zu bytes, and at most %u are kept", m->outputs[0].len,
                   HOLD_EVIDENCE_MAX);
    else
        o->evidence = mem_dup(m->outputs[0]);
    if (lack.len)
        o->lack = buf_steal(&lack, NULL);
    buf_finish(&lack);
}

static void on_evidence(void *ctx, const struct map_result *results, size_t n)
{
    struct await *w = ctx;
    size_t at = 0;

    for (size_t i = 0; i < n; i++)
        if (results[i].status == UV_ECANCELED) {
            cancel(w);
            return;
        }
    for (size_t i = 0; i < w->n_own; i++)
        if (w->own[i].hold->evidence && at < n)
            take_evidence(&w->own[i], &results[at++]);
    ask_came(w);
}

static void ask_evidence(struct await *w)
{
    struct flow *f = w->rt->flow;
    struct map_run *runs = mem_array(w->n_own + 1, sizeof(*runs));
    struct buf vars = { 0 };
    size_t n = 0;

    vars_of(&vars, w->rt->event->received_ms);
    for (size_t i = 0; i < w->n_own; i++)
        if (w->own[i].hold->evidence)
            runs[n++] = (struct map_run){ program_of(f, w->own[i].hold->evidence),
                                          buf_view(&vars) };
    int r = n ? mapper_run(f->mapper, w->rt->event->body, runs, n, on_evidence, w) : 0;
    free(runs);
    buf_finish(&vars);
    if (!n)
        ask_came(w);
    else
        await_failed(w, r, ask_evidence);
}

/* ---- around it ---- */

bool await_ask(struct routing *rt)
{
    struct await *w = rt->await;
    bool own = false;

    if (w)
        return !w->done;
    for (size_t i = 0; i < rt->n_pieces; i++)
        own |= hold_of_piece(&rt->pieces[i]) || wait_of_piece(rt, &rt->pieces[i]);
    if (routing_restored(rt) || (!own && !await_may_end(rt)))
        return false;
    w = rt->await = mem_zero(sizeof(*w));
    w->rt = rt;
    for (size_t i = 0; i < rt->n_pieces; i++) {
        add_own(w, wait_of_piece(rt, &rt->pieces[i]));
        add_own(w, hold_of_piece(&rt->pieces[i]));
    }
    ask_evidence(w);
    return true;
}
