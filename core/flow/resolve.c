/*
 * resolve.c - see resolve.h.
 */
#include "flow/resolve.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/lookup.h"
#include "flow/pace.h"

#define GATHER_MS   50 /* from the first that is queued, for others to come to it */
#define FIRST_MS    1000
#define LONGEST_MS  60000
#define LATER_MS    3600000 /* at the latest, whatever a remote asks for */
#define AGAIN_MS    1000    /* a store that had no room; a rate that has no token */
#define ASKED_MOST  5       /* so often without an answer, and it is not known there */
#define LOG_MOST    300
#define QUESTION_ID (UINT64_C(5) << 61) /* for the pace: neither a delivery nor a finder */

enum wanted_state { WANTED_QUEUED, WANTED_RESTING, WANTED_OUT };

/** A reference that events wait for. */
struct wanted {
    UT_hash_handle hh; /* resolver.wanted, by key */
    struct list node;  /* resolver.queue or .resting; of neither while it is out */
    char *key;         /* own; kind, '\n', id */
    sl_str kind, id;   /* in it */
    uint64_t event;    /* the first that wants it */
    enum wanted_state state;
    unsigned unknown; /* so often the remote knew nothing of it */
    uint64_t due_ms;  /* RESTING */
};

/** One question, and then its links; those it is about are in no list meanwhile. */
struct resolve_call {
    struct list node; /* resolver.calls */
    struct resolver *resolver;
    struct adapter *adapter; /* share, while it is asked */
    struct wanted *about[SL_RESOLVE_MAX];
    char *subjects[SL_RESOLVE_MAX]; /* own; NULL: not known */
    size_t n;
    bool storing;
};

struct resolver {
    UT_hash_handle hh; /* flow.resolvers, by name */
    char *name;        /* own: of the endpoint */
    struct flow *flow;
    uint64_t serial;
    struct wanted *wanted;
    struct list queue, resting;
    size_t queued;
    uint64_t queued_ms; /* since when there is one */
    struct list calls;
    bool asking;                /* one question at a time */
    uint64_t timer_at;          /* it is looked at again then; 0: not */
    uint64_t ill_until, ill_ms; /* a question failed: none before; the wait after the next ... */
    uint64_t ill_since;         /* ... and when the first of these did */
    char ill_why[LOG_MOST];
};

static void look(struct resolver *x);

static uint64_t now_ms(const struct resolver *x)
{
    return uv_now(x->flow->loop);
}

/* ---- what is wanted ---- */

static struct resolver *resolver_of(const struct flow *f, sl_str name)
{
    struct resolver *x;

    HASH_FIND(hh, f->resolvers, name.ptr, name.len, x);
    return x;
}

static struct resolver *resolver_get(struct flow *f, sl_str name)
{
    struct resolver *x = resolver_of(f, name);

    if (x)
        return x;
    x = mem_zero(sizeof(*x));
    x->flow = f;
    x->name = mem_dup(name);
    x->serial = HASH_COUNT(f->resolvers);
    list_init(&x->queue);
    list_init(&x->resting);
    list_init(&x->calls);
    HASH_ADD_KEYPTR(hh, f->resolvers, x->name, name.len, x);
    return x;
}

static void queue(struct resolver *x, struct wanted *w)
{
    w->state = WANTED_QUEUED;
    list_append(&x->queue, &w->node);
    if (x->queued++ == 0)
        x->queued_ms = now_ms(x);
}

static void rest(struct resolver *x, struct wanted *w, uint64_t ms)
{
    w->state = WANTED_RESTING;
    w->due_ms = now_ms(x) + ms;
    list_append(&x->resting, &w->node);
}

/** Out of its list, if it is in one. */
static void take_out(struct resolver *x, struct wanted *w)
{
    if (w->state != WANTED_OUT)
        list_remove(&w->node);
    x->queued -= w->state == WANTED_QUEUED;
    w->state = WANTED_OUT;
}

static void wanted_free(struct resolver *x, struct wanted *w)
{
    take_out(x, w);
    HASH_DEL(x->wanted, w);
    free(w->key);
    free(w);
}

void resolve_want(struct flow *f, sl_str endpoint, sl_str kind, sl_str id, uint64_t event)
{
    struct lane *l = flow_lane(f, endpoint);
    struct buf key = { 0 };
    struct resolver *x;
    struct wanted *w;

    if (!l || !l->adapter || !l->adapter->plugin->resolve)
        return;
    x = resolver_get(f, endpoint);
    buf_printf(&key, STR_FMT "\n" STR_FMT, STR_ARG(kind), STR_ARG(id));
    HASH_FIND(hh, x->wanted, key.data, key.len, w);
    if (!w) {
        w = mem_zero(sizeof(*w));
        w->key = mem_dup(buf_view(&key));
        w->kind = (sl_str){ w->key, kind.len };
        w->id = (sl_str){ w->key + kind.len + 1, id.len };
        w->event = event;
        HASH_ADD_KEYPTR(hh, x->wanted, w->key, key.len, w);
        queue(x, w);
        look(x);
    }
    buf_finish(&key);
}

size_t resolve_wanted(const struct flow *f, sl_str endpoint, const char **ret_why,
                      uint64_t *ret_ill_ms)
{
    const struct resolver *x = resolver_of(f, endpoint);

    *ret_why = x && x->ill_ms ? x->ill_why : NULL;
    *ret_ill_ms = *ret_why ? now_ms(x) - x->ill_since : 0;
    return x ? HASH_COUNT(x->wanted) : 0;
}

/* ---- the links ---- */

static void call_free(struct resolve_call *c)
{
    list_remove(&c->node);
    c->resolver->asking = false;
    adapter_unref(c->adapter);
    for (size_t i = 0; i < c->n; i++)
        free(c->subjects[i]);
    free(c);
}

/** They are known. */
static void wake(struct resolve_call *c)
{
    struct resolver *x = c->resolver;
    struct flow *f = x->flow;

    for (size_t i = 0; i < c->n; i++) {
        struct wanted *w = c->about[i];
        if (!c->subjects[i])
            continue;
        router_link_written(&f->router, str_of(x->name), w->kind, w->id);
        wanted_free(x, w);
    }
    call_free(c);
    look(x);
}

static void store(struct resolve_call *c);

static void on_store_again(void *ctx, bool closing)
{
    if (!closing) /* else resolvers_close() frees it */
        store(ctx);
}

static void on_stored(struct flow *f, struct commit *commit, int status)
{
    struct resolve_call *c = commit->ctx;

    if (status == UV_ENOSPC || status == UV_ENOBUFS || status == UV_ENOMEM)
        flow_later(f, AGAIN_MS, on_store_again, c);
    else if (status == 0)
        wake(c);
    /* else the store has failed for good: the next start asks again */
}

/** One record; as links of the first event that wanted each, at a place where it has no delivery:
 *  they go with it, and meet no deadline. */
static void store(struct resolve_call *c)
{
    struct rec_link links[SL_RESOLVE_MAX];
    struct rec_moves rec = { .at_ms = clock_wall_ms(), .who = STR("resolve"), .links = links };
    struct commit *commit;

    for (size_t i = 0; i < c->n; i++)
        if (c->subjects[i])
            links[rec.n_links++] = (struct rec_link){
                .endpoint = str_of(c->resolver->name),
                .kind = c->about[i]->kind,
                .id = c->about[i]->id,
                .subject = str_of(c->subjects[i]),
                .num = delivery_num(c->about[i]->event, REC_LINK_LEARNT),
            };
    if (!rec.n_links) {
        wake(c);
        return;
    }
    c->storing = true;
    commit = commit_new(c->resolver->flow, on_stored, c);
    rec_moves_encode(&commit_record(commit, REC_DECISION)->payload, &rec);
    commit_go(commit);
}

/* ---- the question ---- */

/** Its endpoint is not asked for a while. */
static void fall_ill(struct resolver *x, int64_t after_ms, sl_str why)
{
    if (!x->ill_ms) {
        x->ill_since = now_ms(x);
        log_warn(&x->flow->log,
                 "%s cannot be asked what its events are about, they wait: err=" STR_FMT, x->name,
                 STR_ARG(why));
    }
    x->ill_ms = x->ill_ms ? x->ill_ms * 2 : FIRST_MS;
    if (x->ill_ms > LONGEST_MS)
        x->ill_ms = LONGEST_MS;
    x->ill_until = now_ms(x) + x->ill_ms;
    if (after_ms > (int64_t)x->ill_ms)
        x->ill_until = now_ms(x) + (uint64_t)(after_ms < LATER_MS ? after_ms : LATER_MS);
    snprintf(x->ill_why, sizeof(x->ill_why), STR_FMT, STR_ARG(why));
}

static void call_failed(struct resolve_call *c, const sl_resolved *a)
{
    struct resolver *x = c->resolver;

    while (c->n) { /* those that came first are first again */
        struct wanted *w = c->about[--c->n];
        w->state = WANTED_QUEUED;
        list_prepend(&x->queue, &w->node);
        x->queued++;
    }
    fall_ill(x, a->after_ms, a->why.len ? a->why : STR("no reason given"));
    call_free(c);
    look(x);
}

static void take_answer(struct resolve_call *c, size_t i, const sl_resolved_ref *r)
{
    struct resolver *x = c->resolver;
    struct wanted *w = c->about[i];

    if (r->subject.len) {
        c->subjects[i] = mem_dup(r->subject);
        return;
    }
    if (++w->unknown < ASKED_MOST) {
        rest(x, w, (uint64_t)FIRST_MS << (w->unknown - 1));
        return;
    }
    log_warn(&x->flow->log,
             "%s does not know what an event is about: event=%" PRIu64 " kind=" STR_FMT
             " id=" STR_FMT " %s",
             x->name, w->event, STR_ARG(w->kind), STR_ARG(w->id),
             r->otherwise.len ? "it is routed by itself" : "it waits for a link");
    if (r->otherwise.len)
        c->subjects[i] = mem_dup(r->otherwise);
    else
        rest(x, w, LATER_MS);
}

static void on_answer(void *ctx, const sl_resolved *a)
{
    struct resolve_call *c = ctx;
    struct resolver *x = c->resolver;
    struct lane *l = flow_lane(x->flow, str_of(x->name));

    adapter_unref(c->adapter);
    c->adapter = NULL;
    if (l)
        pace_unused(l);
    if (x->flow->draining) /* what waits is asked for at the next start; resolvers_close() frees */
        return;
    if (a->verdict != SL_RESOLVE_DONE || !a->refs) {
        call_failed(c, a);
        return;
    }
    if (x->ill_ms)
        log_info(&x->flow->log, "%s says again what its events are about", x->name);
    x->ill_ms = x->ill_until = 0;
    for (size_t i = 0; i < c->n; i++)
        take_answer(c, i, &a->refs[i]);
    store(c);
}

static void ask(struct resolver *x, struct lane *l)
{
    struct adapter *a = adapter_ref(l->adapter);
    struct resolve_call *c = mem_zero(sizeof(*c));
    sl_ref refs[SL_RESOLVE_MAX];
    uint64_t began = clock_mono_us();

    *c = (struct resolve_call){ .resolver = x, .adapter = adapter_ref(a) };
    while (c->n < SL_RESOLVE_MAX && !list_empty(&x->queue)) {
        struct wanted *w = list_entry(x->queue.next, struct wanted, node);
        take_out(x, w);
        refs[c->n] = (sl_ref){ w->kind, w->id };
        c->about[c->n++] = w;
    }
    x->queued_ms = now_ms(x);
    x->asking = true;
    list_append(&x->calls, &c->node);
    x->flow->stats.resolve_calls++;
    x->flow->stats.resolve_refs += c->n;
    a->plugin->resolve(a->self, refs, c->n, on_answer, c); /* c may be gone after it */
    adapter_measure(a, began, "resolve");
    adapter_unref(a);
}

/* ---- when ---- */

static void on_later(void *ctx, bool closing)
{
    struct resolver *x = ctx;

    x->timer_at = 0;
    if (!closing)
        look(x);
}

static void later(struct resolver *x, uint64_t ms)
{
    if (x->timer_at && x->timer_at <= now_ms(x) + ms)
        return;
    x->timer_at = now_ms(x) + ms; /* one that is set for later finds nothing more to do */
    flow_later(x->flow, ms, on_later, x);
}

/** Those that have rested are queued. When the next one has; 0: none rests. */
static uint64_t wake_rested(struct resolver *x, uint64_t now)
{
    uint64_t next = 0;

    list_each_safe (i, tmp, &x->resting) {
        struct wanted *w = list_entry(i, struct wanted, node);
        if (w->due_ms <= now) {
            take_out(x, w);
            queue(x, w);
        } else if (!next || w->due_ms < next) {
            next = w->due_ms;
        }
    }
    return next;
}

/** How long until a question may go; 0: now. */
static uint64_t wait_for(struct resolver *x, struct lane *l, uint64_t now)
{
    uint64_t wait;

    if (now < x->ill_until)
        return x->ill_until - now;
    if (x->queued < SL_RESOLVE_MAX && now < x->queued_ms + GATHER_MS)
        return x->queued_ms + GATHER_MS - now;
    if (!l || !l->adapter || !l->adapter->plugin->resolve || !lookup_may_ask(l))
        return AGAIN_MS;
    wait = pace_question(l, QUESTION_ID | x->serial, now);
    return wait < AGAIN_MS ? wait : AGAIN_MS;
}

/** What is queued goes, if the lane lets it. */
static void look(struct resolver *x)
{
    struct lane *l = flow_lane(x->flow, str_of(x->name));
    uint64_t now = now_ms(x), rested, wait;

    if (x->asking || x->flow->draining || x->flow->closing)
        return;
    rested = wake_rested(x, now);
    if (x->queued && !(wait = wait_for(x, l, now)))
        ask(x, l);
    else if (x->queued)
        later(x, wait);
    else if (rested) /* what is queued meanwhile does not wait for it */
        later(x, rested - now < AGAIN_MS ? rested - now : AGAIN_MS);
}

void resolvers_close(struct flow *f)
{
    struct resolver *x, *next;
    struct wanted *w, *tmp;

    HASH_ITER (hh, f->resolvers, x, next) {
        while (!list_empty(&x->calls))
            call_free(list_entry(x->calls.next, struct resolve_call, node));
        HASH_ITER (hh, x->wanted, w, tmp)
            wanted_free(x, w);
        HASH_DEL(f->resolvers, x);
        free(x->name);
        free(x);
    }
}
