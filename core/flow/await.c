/*
 * await.c - see await.h.
 *
 *   EVIDENCE (jq over the event) -> CAME (events before it, jq over each) -> ENDS (what it may end,
 *   jq over it) -> DECIDE (claims) -> router_store()
 */
#include "flow/await.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "flow/deadline.h"
#include "flow/hold.h"
#include "flow/program.h"

#define CAME_MOST 500 /* events of a subject that are looked through, newest first */
#define BUSY_MS   50
#define AGAIN_MS  1000

/** What an event means to a hold. */
enum judgement { JUDGED_STAYS, JUDGED_RELEASE, JUDGED_REJECT };

struct judged {
    const struct conf_hold *hold;
    enum judgement what;
};

/** A hold of this event's own deliveries. */
struct own_hold {
    const struct conf_hold *hold;
    enum judgement what; /* by an event that came before */
    uint64_t by;
    char *by_topic;        /* own */
    char *evidence, *lack; /* own */
};

struct came {
    uint64_t id;
    char *topic;
};

struct held_row { /* that this event may release */
    uint64_t num;
    char *type; /* own */
    const struct conf_hold *hold;
};

struct await {
    struct routing *rt;
    bool done;
    struct own_hold *own;
    size_t n_own;
    struct came *came;
    size_t n_came, at_came;
    struct held_row *held;
    size_t n_held;
    uint64_t *met; /* deadlines, taken */
    size_t n_met;
    /* a run of `when` and `reject_when` */
    struct judged *judged;
    size_t n_judged;
    void (*then)(struct await *w), (*step)(struct await *w); /* step: what is done again */
    /* the decision about what it ends */
    struct deciding *deciding;
    struct buf decision;        /* the record */
    size_t at_decision, at_met; /* of the commit's records; 0: none */
};

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

static void forget_held(struct await *w)
{
    for (size_t i = 0; i < w->n_held; i++)
        free(w->held[i].type);
    free(w->held);
    for (size_t i = 0; i < w->n_met; i++)
        deadline_free(w->rt->flow, w->met[i]);
    free(w->met);
    w->held = NULL;
    w->met = NULL;
    w->n_held = w->n_met = 0;
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
    forget_held(w);
    buf_finish(&w->decision);
    free(w->own);
    free(w->came);
    free(w->judged);
    free(w);
    rt->await = NULL;
}

static void end_asking(struct await *w);

static void cancel(struct await *w)
{
    w->rt->cancelled = true;
    end_asking(w);
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

static void again(struct await *w, void (*step)(struct await *w), uint64_t ms)
{
    w->then = step;
    flow_later(w->rt->flow, ms, on_again, w);
}

/** What a question's status means: false: go on. */
static bool failed(struct await *w, int status, void (*step)(struct await *w))
{
    if (status >= 0)
        return false;
    if (status == UV_ECANCELED)
        cancel(w);
    else
        again(w, step, AGAIN_MS);
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
            again(w, w->step, AGAIN_MS);
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

/** Sets w->judged[].what, then `then`; perhaps before it returns. `step`: what to do again. */
static void judge(struct await *w, sl_str body, int64_t received_ms, void (*then)(struct await *w),
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
        failed(w, r, step);
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

static void end_asking(struct await *w)
{
    struct routing *rt = w->rt;

    for (size_t i = 0; i < rt->n_pieces && !rt->cancelled; i++)
        settle_piece(w, &rt->pieces[i]);
    w->done = true;
    router_store(rt);
}

/* ---- DECIDE ---- */

static void ask_ends(struct await *w);

static void on_prepared(void *ctx, struct deciding *a, const struct rec_moves *moves)
{
    struct await *w = ctx;

    w->deciding = a;
    buf_clear(&w->decision);
    if (flow_decide_busy(a)) { /* somebody else is about to move one of them: look again then */
        await_end(w->rt, NULL, UV_EAGAIN);
        forget_held(w);
        again(w, ask_ends, BUSY_MS);
        return;
    }
    if (moves->n_moves)
        rec_moves_encode(&w->decision, moves);
    end_asking(w);
}

static void on_decided(void *ctx, const struct decided *results, size_t n)
{
    (void)ctx;
    (void)results;
    (void)n;
}

static void decide(struct await *w)
{
    const struct event *e = w->rt->event;
    uint64_t *nums = mem_array(w->n_held + 1, sizeof(*nums));
    enum decision *each = mem_array(w->n_held + 1, sizeof(*each));
    const char **types = mem_array(w->n_held + 1, sizeof(*types));
    struct buf who = { 0 }, why = { 0 };
    size_t n = 0;

    for (size_t i = 0; i < w->n_held; i++)
        for (size_t k = 0; k < w->n_judged; k++)
            if (w->judged[k].hold == w->held[i].hold && w->judged[k].what != JUDGED_STAYS) {
                nums[n] = w->held[i].num;
                types[n] = w->held[i].type;
                each[n++] = w->judged[k].what == JUDGED_REJECT ? DECISION_REJECT : DECISION_RELEASE;
            }
    buf_printf(&who, "event %" PRIu64, e->id);
    buf_printf(&why, "event %" PRIu64 ": " STR_FMT, e->id, STR_ARG(e->topic));
    struct decide d = { .who = buf_view(&who),
                        .why = buf_view(&why),
                        .nums = nums,
                        .n = n,
                        .each = each,
                        .types = types,
                        .prepared = on_prepared };
    if (!n || flow_decide(w->rt->flow, &d, on_decided, w) < 0)
        end_asking(w);
    free(nums);
    free(each);
    free(types);
    buf_finish(&who);
    buf_finish(&why);
}

/* ---- ENDS ---- */

static bool is_expected(const struct store_deadline *d, sl_str topic)
{
    sl_str rest = d->expect;

    while (rest.len) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        sl_str one = { rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len };
        char *text = mem_dup(one);
        bool fits = conf_topic_matches(&text, 1, topic);
        free(text);
        if (fits)
            return true;
        rest.ptr += one.len + (end != NULL);
        rest.len -= one.len + (end != NULL);
    }
    return false;
}

/** All that it is known to come of; else the first due of its subject: one event, one parcel.
 * False: one of them is about to end otherwise. */
static bool meet(struct await *w, const struct store_ends *e)
{
    bool linked = false;

    w->met = mem_array(e->n_deadlines + 1, sizeof(*w->met));
    for (size_t i = 0; i < e->n_deadlines; i++) {
        const struct store_deadline *d = &e->deadlines[i];
        if (!is_expected(d, w->rt->event->topic) || (!d->linked && (linked || w->n_met)))
            continue;
        linked |= d->linked;
        if (!deadline_take(w->rt->flow, d->num))
            return false;
        w->met[w->n_met++] = d->num;
    }
    return true;
}

static void add_judged(struct await *w, const struct conf_hold *h)
{
    for (size_t i = 0; i < w->n_judged; i++)
        if (w->judged[i].hold == h)
            return;
    w->judged = mem_grow(w->judged, (w->n_judged + 1) * sizeof(*w->judged));
    w->judged[w->n_judged++] = (struct judged){ .hold = h };
}

static void add_held(struct await *w, const struct store_delivery *row)
{
    struct flow *f = w->rt->flow;
    const struct conf_hold *h = hold_of(config_route(w->rt->config, row->route), row->hold_type);

    if (!h || !conf_topic_matches(h->until, h->n_until, w->rt->event->topic))
        return;
    if (delivery_event(row->num) <= store_restored_to(f->store) ||
        delivery_event(row->num) == w->rt->event->id)
        return; /* what was held in the backup may have been sent since: a person decides */
    w->held = mem_grow(w->held, (w->n_held + 1) * sizeof(*w->held));
    w->held[w->n_held++] =
        (struct held_row){ .num = row->num, .type = mem_dup(row->hold_type), .hold = h };
    add_judged(w, h);
}

static void on_ends(void *ctx, int status, const struct store_ends *e)
{
    struct await *w = ctx;

    if (failed(w, status, ask_ends))
        return;
    w->n_judged = 0;
    forget_held(w);
    if (!meet(w, e)) {
        forget_held(w);
        again(w, ask_ends, BUSY_MS);
        return;
    }
    for (size_t i = 0; i < e->n_held; i++)
        add_held(w, &e->held[i]);
    if (w->n_judged)
        judge(w, w->rt->event->body, w->rt->event->received_ms, decide, ask_ends);
    else
        end_asking(w);
}

static bool is_awaited(const struct config *c, sl_str topic)
{
    for (size_t i = 0; i < c->n_routes; i++) {
        const struct conf_route *r = &c->routes[i];
        const struct conf_hold *holds[] = { r->hold, r->wait };
        for (size_t k = 0; k < 2; k++)
            if (holds[k] && conf_topic_matches(holds[k]->until, holds[k]->n_until, topic))
                return true;
        for (size_t k = 0; k < r->n_targets; k++) {
            const struct conf_hold *h = r->targets[k].hold;
            if (h && conf_topic_matches(h->until, h->n_until, topic))
                return true;
        }
        if (r->deadline && conf_topic_matches(r->deadline->expect, r->deadline->n_expect, topic))
            return true;
    }
    return false;
}

/** May something wait for it? */
static bool may_end(const struct routing *rt)
{
    return rt->n_abouts && !rt->remap && !rt->undescribed &&
           is_awaited(rt->flow->config, rt->event->topic);
}

static void ask_ends(struct await *w)
{
    struct routing *rt = w->rt;
    sl_str subjects[MAX_ABOUTS];
    struct rec_ref *refs;
    int r;

    if (!may_end(rt)) {
        end_asking(w);
        return;
    }
    refs = mem_array(rt->n_refs + 1, sizeof(*refs));
    for (size_t i = 0; i < rt->n_abouts; i++)
        subjects[i] = str_of(rt->abouts[i].subject);
    for (size_t i = 0; i < rt->n_refs; i++)
        refs[i] = (struct rec_ref){ rt->event->endpoint, str_of(rt->refs[i].kind),
                                    str_of(rt->refs[i].id) };
    r = store_ends(rt->flow->store, subjects, rt->n_abouts, rt->event->cause, refs, rt->n_refs,
                   on_ends, w);
    free(refs);
    failed(w, r, ask_ends);
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
    } else if (!failed(w, status, next_came)) {
        judge(w, e->receipt.body, e->receipt.received_ms, came_judged, next_came);
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
            add_judged(w, h);
            look |= h->when || h->reject_when;
        }
        if (!w->n_judged)
            continue;
        if (look)
            failed(w, store_event_get(w->rt->flow->store, c->id, on_came_event, w), next_came);
        else
            judge(w, STR(""), 0, came_judged, next_came);
        return;
    }
    ask_ends(w);
}

static void ask_came(struct await *w);

static void on_came(void *ctx, int status, const struct store_came *c, size_t n)
{
    struct await *w = ctx;

    if (failed(w, status, ask_came))
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
        ask_ends(w);
    else
        failed(w, store_came(w->rt->flow->store, str_of(subject), CAME_MOST, on_came, w), ask_came);
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
        failed(w, r, ask_evidence);
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
    if (routing_restored(rt) || (!own && !may_end(rt)))
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

/** The event may be a repetition, which only the log knows: then it ends nothing. */
static void add_key(struct store_record *rec, const uint8_t *key, const char *what)
{
    sl_str parts[] = { str_of(what), { (const char *)key, 16 } };
    uint8_t full[DIGEST_SHA256];

    if (!key)
        return;
    digest_parts(parts, 2, full);
    rec->keys = mem_array(1, sizeof(*rec->keys));
    rec->n_keys = 1;
    rec->keys[0].refuse = true;
    memcpy(rec->keys[0].hash, full, sizeof(rec->keys[0].hash));
}

void await_record(struct routing *rt, struct commit *c, const uint8_t *key)
{
    struct await *w = rt->await;
    struct rec_deadlines rec = { .at_ms = clock_wall_ms() };
    struct store_record *to;

    if (!w)
        return;
    w->at_decision = w->at_met = 0;
    if (w->decision.len) {
        w->at_decision = c->append.n;
        to = commit_record(c, REC_DECISION);
        buf_str(&to->payload, buf_view(&w->decision));
        add_key(to, key, "ends holds");
    }
    if (!w->n_met)
        return;
    rec.items = mem_array(w->n_met, sizeof(*rec.items));
    for (size_t i = 0; i < w->n_met; i++)
        rec.items[rec.n_items++] =
            (struct rec_deadline){ .num = w->met[i], .what = DEADLINE_MET, .event = rt->event->id };
    w->at_met = c->append.n;
    to = commit_record(c, REC_DEADLINE);
    rec_deadlines_encode(&to->payload, &rec);
    add_key(to, key, "meets deadlines");
    free(rec.items);
}

void await_end(struct routing *rt, const struct commit *c, int status)
{
    struct await *w = rt->await;
    struct deciding *a = w ? w->deciding : NULL;

    if (!w)
        return;
    if (c && status == 0 && w->at_met && !c->records[w->at_met].refused)
        rt->flow->stats.deadlines_met += w->n_met;
    for (size_t i = 0; i < w->n_met; i++)
        deadline_free(rt->flow, w->met[i]);
    w->n_met = 0;
    if (status == 0 && (!c || !w->at_decision || c->records[w->at_decision].refused))
        status = UV_ECANCELED;
    w->deciding = NULL;
    if (a)
        flow_decided(a, status);
}
