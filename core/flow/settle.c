/*
 * settle.c - from an adapter's answer to a durable move, and from a durable move to memory.
 */
#include "flow/settle.h"
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/chain.h"
#include "flow/confirm.h"
#include "flow/dead_event.h"
#include "flow/deadline.h"
#include "flow/due.h"
#include "flow/fallback.h"
#include "flow/hold_asked.h"
#include "flow/order.h"
#include "flow/retry.h"

#define STORE_AGAIN_MS 1000

/* of what one outcome has its endpoint remember */
#define FACTS_MAX      1000
#define FACT_SPACE_MAX 128
#define FACT_KEY_MAX   1024
#define FACT_VALUE_MAX 4096

/* ---- what an outcome brings beside its move ---- */

static sl_str own(sl_str s)
{
    return (sl_str){ mem_dup(s), s.len };
}

static void disown(sl_str *s)
{
    free((char *)s->ptr);
    *s = (sl_str){ 0 };
}

void extras_link(struct extras *x, const struct delivery *d, const sl_link *links, size_t n)
{
    if (!n)
        return;
    x->links = mem_grow(x->links, (x->n_links + n) * sizeof(*x->links));
    for (size_t i = 0; i < n; i++)
        x->links[x->n_links++] = (struct rec_link){
            .endpoint = own(str_of(d->lane->name)),
            .kind = own(links[i].kind),
            .id = own(links[i].id),
            .subject = own(str_of(d->subject)),
            .num = d->num,
        };
}

void extras_emit(struct extras *x, const struct delivery *d, const sl_emit *emits, size_t n,
                 bool reconciled)
{
    const struct adapter *a = d->lane->adapter;
    /* What a sweep found is not about what the sweep was about, if its adapter can tell. */
    bool described = reconciled && a && a->plugin->describe;

    if (!n)
        return;
    x->emits = mem_grow(x->emits, (x->n_emits + n) * sizeof(*x->emits));
    for (size_t i = 0; i < n; i++)
        x->emits[x->n_emits++] = (struct rec_receipt){
            .origin = reconciled ? EO_RECONCILED : EO_EMITTED,
            .received_ms = clock_wall_ms(),
            .cause = d->num,
            .endpoint = own(str_of(d->lane->name)),
            .topic = own(emits[i].topic),
            .subject = described ? (sl_str){ 0 } : own(str_of(d->subject)),
            .body = own(emits[i].body),
        };
}

static bool is_space(sl_str s)
{
    bool good = s.len > 0 && s.len <= FACT_SPACE_MAX;

    for (size_t i = 0; good && i < s.len; i++)
        good = (s.ptr[i] >= 'a' && s.ptr[i] <= 'z') || (s.ptr[i] >= '0' && s.ptr[i] <= '9') ||
               strchr("_/-", s.ptr[i]);
    return good;
}

/* Without a NUL: it is a text in the index. */
static bool is_text(sl_str s)
{
    size_t n = 1;

    for (; s.len && s.ptr[0] && n; s.ptr += n, s.len -= n)
        n = str_utf8(s);
    return !s.len;
}

static bool facts_are_sane(const sl_facts *f)
{
    bool sane = is_space(f->space) && f->n_facts <= FACTS_MAX;

    for (size_t i = 0; sane && i < f->n_facts; i++) {
        sl_str k = f->facts[i].key, v = f->facts[i].value;
        sane = k.len > 0 && k.len <= FACT_KEY_MAX && v.len <= FACT_VALUE_MAX && is_text(k) &&
               is_text(v);
    }
    return sane;
}

void extras_facts(struct extras *x, const struct delivery *d, const sl_facts *facts)
{
    struct buf space = { 0 };

    if (!facts || !facts->n_facts)
        return;
    if (!facts_are_sane(facts)) {
        log_error(&d->lane->log, "its adapter tells facts that cannot be kept: space=" STR_FMT,
                  STR_ARG(facts->space));
        return;
    }
    flow_fact_space(&space, str_of(d->lane->name), facts->space);
    x->facts = mem_grow(x->facts, (x->n_facts + facts->n_facts) * sizeof(*x->facts));
    for (size_t i = 0; i < facts->n_facts; i++)
        x->facts[x->n_facts++] = (struct rec_state_item){ .space = own(buf_view(&space)),
                                                          .key = own(facts->facts[i].key),
                                                          .value = own(facts->facts[i].value) };
    buf_finish(&space);
}

void extras_free(struct extras *x)
{
    for (size_t i = 0; i < x->n_links; i++) {
        disown(&x->links[i].endpoint);
        disown(&x->links[i].kind);
        disown(&x->links[i].id);
        disown(&x->links[i].subject);
    }
    for (size_t i = 0; i < x->n_emits; i++) {
        disown(&x->emits[i].endpoint);
        disown(&x->emits[i].topic);
        disown(&x->emits[i].subject);
        disown(&x->emits[i].body);
    }
    for (size_t i = 0; i < x->n_facts; i++) {
        disown(&x->facts[i].space);
        disown(&x->facts[i].key);
        disown(&x->facts[i].value);
    }
    free(x->facts);
    free(x->links);
    free(x->emits);
    *x = (struct extras){ 0 };
}

void move_free(struct rec_move *m)
{
    disown(&m->reason);
    disown(&m->reference);
    disown(&m->hold_type);
    disown(&m->endpoint);
    disown(&m->detail);
    disown(&m->body);
}

/* ---- from an outcome to a move ---- */

static const struct conf_retry *retry_of(const struct delivery *d)
{
    return d->target && d->target->has_retry ? &d->target->retry : &d->route->retry;
}

/** A dead letter; after a fallback it names both. */
static void settle_dead(const struct delivery *d, sl_str why, struct rec_move *m)
{
    struct buf text = { 0 };

    buf_str(&text, why);
    if (d->fallen)
        buf_printf(&text, "; before at %s", d->fallen);
    m->state = DS_DEAD;
    m->reason.ptr = buf_steal(&text, &m->reason.len);
}

/** Not done, may be tried again: when, or is it enough? */
void settle_retry(const struct delivery *d, uint32_t attempts, int64_t after_ms, sl_str why,
                  struct rec_move *m)
{
    const struct conf_retry *conf = retry_of(d);
    int64_t now = clock_wall_ms();
    int64_t age = d->since_ms ? now - d->since_ms : 0;
    int64_t delay = retry_delay(conf, attempts ? attempts : 1, after_ms, &d->lane->flow->rng);

    if (!retry_exhausted(conf, attempts, age, delay)) {
        m->state = DS_WAITING;
        m->next_ms = now + delay;
        m->reason = own(why);
        return;
    }
    struct buf text = { 0 };
    buf_printf(&text, "given up after %u attempts: " STR_FMT, attempts, STR_ARG(why));
    if (!fallback_take(d, false, buf_view(&text), m))
        settle_dead(d, buf_view(&text), m);
    buf_finish(&text);
}

static void settle_unknown(struct delivery *d, const sl_outcome *o, struct rec_move *m)
{
    const sl_plugin *p = d->target->endpoint->plugin;

    if (p->actions[d->target->action].flags & SL_ACTION_IDEMPOTENT) {
        settle_retry(d, d->attempts + 1, o->after_ms, o->why, m);
    } else if (p->confirm) {
        m->state = DS_UNKNOWN;
        m->next_ms = clock_wall_ms() + d->lane->conf->confirm_after_ms;
        m->reason = own(o->why);
    } else if (cancel_of(d)) {
        cancel_begin(d, o->why, m);
    } else {
        unknown_hold(d, o->why, m);
    }
}

/** A person decides, by the adapter's choices. */
static void settle_review(const struct delivery *d, const sl_outcome *o, struct rec_move *m)
{
    char *type, *detail;

    hold_asked(d, o, &type, &detail);
    m->state = DS_HELD;
    m->hold_type = (sl_str){ type, strlen(type) };
    m->detail = (sl_str){ detail, detail ? strlen(detail) : 0 };
    m->reason = own(o->why);
}

/** After this attempt, with those before it: one clear answer does not take an earlier doubt away.
 */
static uint8_t arrival_of(const struct delivery *d, const sl_outcome *o)
{
    switch (o->kind) {
    case SL_RETRY:  /* perhaps only harmless to repeat there */
    case SL_REVIEW: /* asked before anything was written, or after */
        return d->doubt || !o->not_sent ? ARRIVAL_PERHAPS : ARRIVAL_NO;
    case SL_THROTTLED:
        return d->doubt ? ARRIVAL_PERHAPS : ARRIVAL_NO;
    case SL_REJECTED:
        return ARRIVAL_NO;
    default:
        return ARRIVAL_PERHAPS;
    }
}

void settle_outcome(struct delivery *d, const sl_outcome *o, uint32_t attempt, uint32_t latency_ms,
                    struct rec_move *m)
{
    *m = (struct rec_move){
        .num = d->num,
        .burnt = 1,
        .attempt = attempt,
        .generation = d->generation,
        .status = o->status,
        .latency_ms = latency_ms,
        .arrival = arrival_of(d, o),
    };
    if (o->kind != SL_RETRY && o->kind != SL_THROTTLED)
        d->narrow = 0;
    switch (o->kind) {
    case SL_DELIVERED:
        m->state = DS_DELIVERED;
        m->reason = own(o->why);
        m->reference = own(o->reference);
        break;
    case SL_RETRY:
        if (SL_HAS(sl_outcome, o, narrow))
            d->narrow = o->narrow;
        settle_retry(d, attempt, o->after_ms, o->why, m);
        break;
    case SL_THROTTLED:
        m->state = DS_READY;
        m->burnt = 0;
        m->reason = own(o->why);
        d->lane->throttled++;
        break;
    case SL_REJECTED:
        /* what an earlier attempt did is not known by this, and it could go elsewhere */
        if (d->doubt && (fallback_any(d) || d->target->group))
            m->arrival = ARRIVAL_PERHAPS;
        if (fallback_take(d, true, o->why, m))
            break;
        settle_dead(d, o->why, m);
        if (m->arrival == ARRIVAL_NO || !d->target->group) /* else asked about by this key */
            m->generation = d->generation + 1; /* definitely not done: a replay gets a new key */
        m->reference = own(o->reference);
        break;
    case SL_REVIEW:
        settle_review(d, o, m);
        break;
    default:
        settle_unknown(d, o, m);
        break;
    }
}

/* ---- from a durable move to memory ---- */

static void count_lag(struct lane *l, const struct delivery *d)
{
    int64_t lag = clock_wall_ms() - d->received_ms;
    unsigned i = 0;

    if (lag < 0)
        lag = 0;
    while (i < 15 && lag > (int64_t)10 << i)
        i++;
    l->lag_ms_buckets[i]++;
    l->lag_ms_sum += (uint64_t)lag;
}

static void count_move(struct delivery *d, const struct rec_move *m)
{
    struct lane *l = d->lane;

    switch (m->state) {
    case DS_DELIVERED:
        l->delivered++;
        count_lag(l, d);
        break;
    case DS_DEAD:
        l->dead++;
        dead_notice(l->flow, l, d, NULL, m->reason);
        break;
    case DS_HELD:
        /* what was held already was amended; of a fallback nobody is to decide */
        if (d->state != DS_HELD && !str_eq(m->hold_type, STR(HOLD_FALLBACK)))
            flow_notice(l->flow, NOTICE_HELD, l, d, NULL, m->reason);
        break;
    case DS_WAITING:
        l->retries++;
        break;
    case DS_UNKNOWN:
        l->unknowns++;
        break;
    default:
        break;
    }
}

static void apply(struct flow *f, const struct rec_move *m)
{
    struct delivery *d = flow_delivery(f, m->num);

    if (!d)
        return;
    d->settling = false;
    d->batch = NULL;
    d->attempts = m->burnt == BURNT_ANEW ? 0 : d->attempts + m->burnt;
    if (m->arrival)
        d->doubt = m->arrival == ARRIVAL_PERHAPS;
    d->generation = m->generation;
    d->next_ms = m->next_ms;
    if (m->state == DS_UNKNOWN && (d->state != DS_UNKNOWN || cancel_is_on(m->detail)))
        d->unknown_ms = clock_wall_ms();
    d->cancelling = m->state == DS_UNKNOWN && cancel_is_on(m->detail);
    if (m->state != DS_READY || !d->kept) /* what was read for this attempt is read again */
        lane_drop_bytes(d);
    if (m->body.len)
        d->body_len = m->body.len;
    delivery_set_why(d, m->state == DS_WAITING || m->state == DS_UNKNOWN ? m->reason : STR(""));
    count_move(d, m);
    order_moved(f, &(struct order_move){ .num = m->num,
                                         .route = d->route,
                                         .subject = str_of(d->subject),
                                         .piece = str_of(d->piece),
                                         .state = m->state });
    if (m->endpoint.len && !str_eq(m->endpoint, str_of(d->lane->name))) {
        fallback_follow(d, m);
        return;
    }
    lane_enter(d, m->state);
    lane_place(d);
    if (m->state == DS_HELD)
        due_add(f, false, m->num, m->next_ms);
}

struct settle {
    struct lane *lane;
    struct flow *flow;
    uint64_t batch;
    const char *who;
    struct rec_move *moves;
    size_t n;
    struct extras extras;
    void (*then)(struct flow *f, int status, void *ctx);
    void *ctx;
};

static void settle_commit(struct settle *s);

static void settle_free(struct settle *s)
{
    for (size_t i = 0; i < s->n; i++)
        move_free(&s->moves[i]);
    free(s->moves);
    extras_free(&s->extras);
    free(s);
}

static void settle_end(struct settle *s, int status)
{
    struct lane *l = s->lane;

    if (s->then)
        s->then(s->flow, status, s->ctx);
    settle_free(s);
    lane_pump(l);
}

static void on_again(void *ctx, bool closing)
{
    if (closing)
        settle_end(ctx, UV_ECANCELED);
    else
        settle_commit(ctx);
}

static void on_settled(struct flow *f, struct commit *c, int status)
{
    struct settle *s = c->ctx;

    if (status == UV_ENOSPC || status == UV_ENOBUFS || status == UV_ENOMEM) {
        /* What was learnt must not be lost: it waits here until there is room again. */
        flow_later(f, STORE_AGAIN_MS, on_again, s);
        return;
    }
    if (status == 0) {
        for (size_t i = 0; i < s->n; i++)
            apply(f, &s->moves[i]);
        deadline_recorded(f, c);
        for (size_t i = 0; i < s->extras.n_emits; i++) {
            f->stats.emitted++;
            router_submit(&f->router,
                          event_from_receipt(c->records[1 + i].seq, &s->extras.emits[i]));
        }
        for (size_t i = 0; i < s->extras.n_links; i++)
            router_link_written(&f->router, s->extras.links[i].endpoint, s->extras.links[i].kind,
                                s->extras.links[i].id);
    }
    settle_end(s, status);
}

static void begin_deadlines(struct settle *s, struct commit *c)
{
    struct deadline_begin *begins = mem_array(s->n ? s->n : 1, sizeof(*begins));
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++) {
        const struct delivery *d = flow_delivery(s->flow, s->moves[i].num);
        if (d && s->moves[i].state == DS_DELIVERED)
            begins[n++] = (struct deadline_begin){ d->route, d->num, str_of(d->subject),
                                                   str_of(d->lane->name) };
    }
    deadline_record(c, begins, n);
    free(begins);
}

static void settle_commit(struct settle *s)
{
    struct commit *c = commit_new(s->flow, on_settled, s);
    struct rec_moves rec = {
        .at_ms = clock_wall_ms(),
        .batch = s->batch,
        .who = str_of(s->who),
        .moves = s->moves,
        .n_moves = s->n,
        .links = s->extras.links,
        .n_links = s->extras.n_links,
    };

    rec_moves_encode(&commit_record(c, REC_OUTCOME)->payload, &rec);
    for (size_t i = 0; i < s->extras.n_emits; i++)
        rec_receipt_encode(&commit_record(c, REC_RECEIPT)->payload, &s->extras.emits[i]);
    if (s->extras.n_facts)
        rec_state_encode(&commit_record(c, REC_STATE)->payload,
                         &(struct rec_state){ .at_ms = rec.at_ms,
                                              .who = rec.who,
                                              .items = s->extras.facts,
                                              .n_items = s->extras.n_facts });
    begin_deadlines(s, c);
    commit_go(c);
}

static bool emits(const struct extras *x, uint64_t num, sl_str topic)
{
    for (size_t i = 0; i < x->n_emits; i++)
        if (x->emits[i].cause == num && str_eq(x->emits[i].topic, topic))
            return true;
    return false;
}

/* A route may want to hear of its dead letters, unless the adapter said so itself, and better. */
static void tell_dead(struct extras *x, const struct delivery *d, sl_str why)
{
    struct dead_letter dead = { .route = d->route,
                                .num = d->num,
                                .topic = str_of(d->topic),
                                .subject = str_of(d->subject),
                                .why = why };
    sl_str topic = str_of(d->route->dead_event);
    struct buf body = { 0 };

    if (!dead_event_wanted(&dead) || emits(x, d->num, topic))
        return;
    dead_event_body(&dead, &body);
    extras_emit(x, d, &(sl_emit){ .topic = topic, .body = buf_view(&body) }, 1, false);
    buf_finish(&body);
}

void settle_write(struct lane *l, uint64_t batch, const char *who, struct rec_move *moves, size_t n,
                  struct extras *x, void (*then)(struct flow *f, int status, void *ctx), void *ctx)
{
    struct settle *s = mem_zero(sizeof(*s));

    *s = (struct settle){
        .lane = l,
        .flow = l->flow,
        .batch = batch,
        .who = who,
        .moves = moves,
        .n = n,
        .extras = *x,
        .then = then,
        .ctx = ctx,
    };
    *x = (struct extras){ 0 };
    for (size_t i = 0; i < n; i++) {
        const struct delivery *d = moves[i].state == DS_DEAD ? flow_delivery(l->flow, moves[i].num)
                                                             : NULL;
        if (d && d->route)
            tell_dead(&s->extras, d, moves[i].reason);
    }
    settle_commit(s);
}
