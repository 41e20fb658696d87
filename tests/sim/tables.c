#include "tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "store/detail.h"

static void *make(struct tables *t, size_t n)
{
    return memset(arena_alloc(&t->arena, n), 0, n);
}

static sl_str keep(struct tables *t, sl_str s)
{
    return arena_str(&t->arena, s);
}

/* ---- asking ---- */

struct event_row *tables_event(const struct tables *t, uint64_t id)
{
    return id < t->cap ? t->events[id] : NULL;
}

struct batch_row *tables_batch(const struct tables *t, uint64_t id)
{
    return id < t->cap ? t->batches[id] : NULL;
}

struct row *tables_row(const struct tables *t, uint64_t num)
{
    const struct event_row *e = tables_event(t, delivery_event(num));

    return e && delivery_ordinal(num) < e->n_rows ? e->rows[delivery_ordinal(num)] : NULL;
}

static void link_key(char out[200], sl_str endpoint, sl_str kind, sl_str id)
{
    snprintf(out, 200, STR_FMT "/" STR_FMT "/" STR_FMT, STR_ARG(endpoint), STR_ARG(kind),
             STR_ARG(id));
}

static struct link_row *find_link(const struct tables *t, const struct rec_ref *r)
{
    struct link_row *l;
    char key[200];

    link_key(key, r->endpoint, r->kind, r->id);
    HASH_FIND_STR(t->links, key, l);
    return l;
}

sl_str tables_link(const struct tables *t, const struct rec_ref *r)
{
    struct link_row *l = find_link(t, r);

    return l ? l->subject : STR("");
}

uint64_t tables_link_num(const struct tables *t, const struct rec_ref *r)
{
    struct link_row *l = find_link(t, r);

    return l ? l->num : 0;
}

/* ---- chains ---- */

static void chain_head(struct chain_row *c, int64_t now_ms)
{
    struct row *r = c->first;

    while (r && delivery_state_final(r->state))
        r = r->chain;
    if (r != c->head) {
        c->head = r;
        c->head_ms = now_ms;
    }
}

static void chain_add(struct tables *t, struct row *r, int64_t now_ms)
{
    struct chain_row *c;
    char key[300];

    snprintf(key, sizeof(key), STR_FMT "/" STR_FMT "/" STR_FMT, STR_ARG(r->route),
             STR_ARG(r->subject), STR_ARG(r->piece));
    HASH_FIND_STR(t->chains, key, c);
    if (!c) {
        c = make(t, sizeof(*c) + strlen(key) + 1);
        strcpy(c->key, key);
        HASH_ADD_STR(t->chains, key, c);
    }
    struct row **at = &c->first;
    while (*at && (*at)->num < r->num)
        at = &(*at)->chain;
    r->chain = *at;
    *at = r;
    r->own = c;
    chain_head(c, now_ms);
}

/* ---- applying ---- */

static void grow(struct tables *t)
{
    size_t cap = t->cap ? t->cap * 2 : 1024;

    if (t->last < t->cap)
        return;
    t->events = mem_grow(t->events, cap * sizeof(*t->events));
    t->batches = mem_grow(t->batches, cap * sizeof(*t->batches));
    memset(t->events + t->cap, 0, (cap - t->cap) * sizeof(*t->events));
    memset(t->batches + t->cap, 0, (cap - t->cap) * sizeof(*t->batches));
    t->cap = cap;
}

static bool apply_receipt(struct tables *t, sl_str payload)
{
    struct event_row *e = make(t, sizeof(*e));

    e->id = t->last;
    t->events[e->id] = e;
    return rec_receipt_decode(keep(t, payload), &e->receipt) == 0;
}

static void add_row(struct tables *t, struct event_row *e, const struct rec_delivery *d,
                    int64_t at_ms, int64_t now_ms)
{
    unsigned at = delivery_ordinal(d->num);
    struct row *r;

    if (at < e->n_rows)
        return; /* there already: the first one holds */
    struct row **rows = make(t, (at + 1) * sizeof(*rows));
    if (e->n_rows)
        memcpy(rows, e->rows, e->n_rows * sizeof(*rows));
    e->rows = rows;
    e->n_rows = at + 1;
    e->rows[at] = r = make(t, sizeof(*r));
    *r = (struct row){
        .num = d->num,
        .state = d->state == DS_PARKED ? DS_READY : d->state,
        .priority = d->priority,
        .received_ms = e->receipt.received_ms,
        .route = keep(t, d->route),
        .piece = keep(t, d->piece),
        .endpoint = keep(t, d->endpoint),
        .action = keep(t, d->action),
        .subject = keep(t, d->subject),
        .topic = e->receipt.topic,
        .hold_type = keep(t, d->hold_type),
        .reason = keep(t, d->reason),
        .next_ms = d->next_ms,
        .version = keep(t, d->version),
        .detail = keep(t, d->detail),
        .body = keep(t, d->body),
        .request = STR(""),
        .ready_ms = now_ms,
        .live_ms = now_ms,
        .moved_ms = now_ms,
        .updated_ms = at_ms,
        .made = t->last,
    };
    memcpy(r->id, d->id, sizeof(r->id));
    if (t->n_rows == t->rows_cap) {
        t->rows_cap = t->rows_cap ? t->rows_cap * 2 : 256;
        t->rows = mem_grow(t->rows, t->rows_cap * sizeof(*t->rows));
    }
    t->rows[t->n_rows++] = r;
    if (r->state == DS_DEAD)
        tables_died(t, r, false, false);
    if (r->subject.len)
        chain_add(t, r, now_ms);
}

static bool apply_routed(struct tables *t, sl_str payload, int64_t now_ms)
{
    struct rec_routed rec;

    if (rec_routed_decode(payload, &rec) < 0)
        return false;
    struct event_row *e = tables_event(t, rec.event);
    for (size_t i = 0; e && i < rec.n_deliveries; i++)
        add_row(t, e, &rec.deliveries[i], rec.at_ms, now_ms);
    if (e) {
        e->routed = rec.n_waits ? 2 : 1;
        if (!e->routed_ms && e->routed == 1)
            e->routed_ms = now_ms;
        e->duplicate_of = rec.duplicate_of;
        e->n_abouts = rec.n_abouts;
        e->abouts = make(t, (rec.n_abouts + 1) * sizeof(*e->abouts));
        for (size_t i = 0; i < rec.n_abouts; i++)
            e->abouts[i] = keep(t, rec.abouts[i].subject);
    }
    rec_routed_finish(&rec);
    return e != NULL;
}

static bool apply_sent(struct tables *t, sl_str payload, int64_t now_ms)
{
    struct rec_sent rec;

    if (rec_sent_decode(payload, &rec) < 0)
        return false;
    struct batch_row *b = t->batches[t->last] = make(t, sizeof(*b));
    b->nums = make(t, rec.n_items * sizeof(*b->nums));
    b->n = rec.n_items;
    b->token = STR("");
    b->at_ms = now_ms;
    for (size_t i = 0; i < rec.n_items; i++) {
        const struct rec_sent_item *it = &rec.items[i];
        struct row *r = tables_row(t, it->num);
        b->nums[i] = it->num;
        if (!r)
            continue;
        r->sent_from = r->state;
        r->state = DS_INFLIGHT;
        r->sent_times++;
        r->batch = t->last;
        r->generation = it->generation;
        r->next_ms = 0;
        r->reason = r->hold_type = STR("");
        if (!r->first_sent_ms)
            r->first_sent_ms = rec.at_ms;
        if (!r->since_ms)
            r->since_ms = rec.at_ms;
        if (it->request.len)
            r->request = keep(t, it->request);
        else if (r->request_generation != it->generation)
            r->request = STR("");
        r->request_generation = it->generation;
        memcpy(r->digest, it->digest, sizeof(r->digest));
    }
    rec_sent_finish(&rec);
    return true;
}

static void move(struct tables *t, const struct rec_moves *rec, const struct rec_move *m,
                 bool decided, int64_t now_ms)
{
    struct row *r = tables_row(t, m->num);

    if (!r)
        return;
    r->generation_before = r->generation;
    r->given |= r->made == t->last - 1 && !r->instead && tables_replay_of(rec->who);
    if (r->state == DS_SUPERSEDED && tables_replay_of(rec->who))
        return; /* `once` has marked what a replay made */
    r->before = r->state;
    r->hold_before = r->hold_type;
    r->before_ms = r->updated_ms;
    r->updated_ms = rec->at_ms;
    if (delivery_state_final(r->state) || r->state == DS_HELD)
        r->live_ms = now_ms;
    if (r->state != DS_READY)
        r->ready_ms = now_ms;
    r->revived |= r->state > DS_DEAD;
    r->moved_ms = now_ms;
    r->clock_ms = r->state == DS_HELD ? r->next_ms : 0;
    r->state = m->state == DS_PARKED ? DS_READY : m->state;
    r->attempts = m->burnt == BURNT_ANEW ? 0 : r->attempts + m->burnt;
    r->generation = m->generation;
    r->next_ms = m->next_ms;
    r->reason = keep(t, m->reason);
    r->hold_type = keep(t, m->hold_type);
    if (m->burnt == BURNT_ANEW || (decided && r->state == DS_READY))
        r->since_ms = 0;
    if (m->endpoint.len && !str_eq(m->endpoint, r->endpoint)) {
        r->endpoint = keep(t, m->endpoint);
        r->ready_ms = now_ms;
        r->arrival = 0;
        r->first_sent_ms = r->since_ms = 0;
        r->request = STR("");
        r->request_generation = UINT32_MAX;
    } else if (m->arrival) {
        r->arrival = m->arrival;
    }
    if (m->detail.len) {
        char *all = detail_follow(r->detail, m->detail);
        r->detail = keep(t, all ? str_of(all) : m->detail);
        free(all);
    }
    if (m->body.len) {
        r->body_before = r->body;
        r->body = keep(t, m->body);
        r->edited = true;
    }
    if (m->set_priority)
        r->priority = m->set_priority - 1;
    if (r->own)
        chain_head(r->own, now_ms);
    if (r->state == DS_DEAD && r->before != DS_DEAD)
        tables_died(t, r, true, r->before == DS_HELD && !m->attempt);
    tables_replayed(t, r, rec->who, r->before, now_ms);
}

static void link_add(struct tables *t, const struct rec_link *link)
{
    struct link_row *l;
    char key[200];

    link_key(key, link->endpoint, link->kind, link->id);
    HASH_FIND_STR(t->links, key, l);
    if (!l) {
        l = make(t, sizeof(*l) + strlen(key) + 1);
        strcpy(l->key, key);
        HASH_ADD_STR(t->links, key, l);
    }
    l->subject = keep(t, link->subject);
    l->num = link->num;
}

static bool apply_moves(struct tables *t, sl_str payload, bool decided, int64_t now_ms)
{
    struct rec_moves rec;

    if (rec_moves_decode(payload, &rec) < 0)
        return false;
    for (size_t i = 0; i < rec.n_moves; i++)
        move(t, &rec, &rec.moves[i], decided, now_ms);
    for (size_t i = 0; i < rec.n_links; i++)
        link_add(t, &rec.links[i]);
    rec_moves_finish(&rec);
    return true;
}

struct deadline_row *tables_deadline(const struct tables *t, uint64_t num)
{
    struct deadline_row *d;

    HASH_FIND(hh, t->deadlines, &num, sizeof(num), d);
    return d;
}

static void deadline(struct tables *t, const struct rec_deadline *it)
{
    struct deadline_row *d = tables_deadline(t, it->num);

    if (!d && it->what == DEADLINE_BEGINS) {
        d = make(t, sizeof(*d));
        d->num = it->num;
        HASH_ADD(hh, t->deadlines, num, sizeof(d->num), d);
    }
    if (!d || (it->what == DEADLINE_BEGINS) == d->open)
        return; /* the first one holds */
    d->begun += it->what == DEADLINE_BEGINS;
    d->met += it->what == DEADLINE_MET;
    d->missed += it->what == DEADLINE_MISSED;
    d->open = it->what == DEADLINE_BEGINS || it->what == DEADLINE_WARNED;
    if (d->open)
        d->next_ms = it->next_ms;
    if (it->what != DEADLINE_BEGINS)
        return;
    d->due_ms = it->due_ms;
    d->expect = keep(t, it->expect);
    d->topic = keep(t, it->topic);
    d->owner = keep(t, it->owner);
    d->route = keep(t, it->route);
    d->subject = keep(t, it->subject);
    d->endpoint = keep(t, it->endpoint);
}

static bool apply_deadlines(struct tables *t, sl_str payload)
{
    struct rec_deadlines rec;

    if (rec_deadlines_decode(payload, &rec) < 0)
        return false;
    for (size_t i = 0; i < rec.n_items; i++)
        deadline(t, &rec.items[i]);
    rec_deadlines_finish(&rec);
    return true;
}

static bool apply_checkpoint(struct tables *t, sl_str payload)
{
    struct rec_checkpoint rec;

    if (rec_checkpoint_decode(payload, &rec) < 0)
        return false;
    struct batch_row *b = tables_batch(t, rec.batch);
    if (b)
        b->token = keep(t, rec.token);
    return b != NULL;
}

static bool apply_state(struct tables *t, sl_str payload)
{
    struct rec_state rec;

    if (rec_state_decode(payload, &rec) < 0)
        return false;
    for (size_t i = 0; i < rec.n_items; i++) {
        const struct rec_state_item *it = &rec.items[i];
        struct state_row *s = t->states;
        while (s && !(str_eq(s->space, it->space) && str_eq(s->key, it->key)))
            s = s->next;
        if (!s) {
            s = make(t, sizeof(*s));
            *s = (struct state_row){ .next = t->states,
                                     .space = keep(t, it->space),
                                     .key = keep(t, it->key) };
            t->states = s;
        }
        s->value = keep(t, it->value);
        s->who = keep(t, rec.who);
        s->why = keep(t, rec.why);
        s->at_ms = rec.at_ms;
    }
    rec_state_finish(&rec);
    return true;
}

bool tables_apply(struct tables *t, uint8_t type, sl_str payload, int64_t now_ms)
{
    t->last++;
    grow(t);
    switch (type) {
    case REC_RECEIPT:
        return apply_receipt(t, payload);
    case REC_ROUTED:
        return apply_routed(t, payload, now_ms);
    case REC_SENT:
        return apply_sent(t, payload, now_ms);
    case REC_OUTCOME:
    case REC_DECISION:
        return apply_moves(t, payload, type == REC_DECISION, now_ms);
    case REC_CHECKPOINT:
        return apply_checkpoint(t, payload);
    case REC_DEADLINE:
        return apply_deadlines(t, payload);
    case REC_STATE:
        return apply_state(t, payload);
    default:
        return type == REC_DUPLICATE;
    }
}

void tables_finish(struct tables *t)
{
    HASH_CLEAR(hh, t->chains);
    HASH_CLEAR(hh, t->links);
    HASH_CLEAR(hh, t->deadlines);
    free(t->events);
    free(t->batches);
    free(t->rows);
    arena_finish(&t->arena);
    *t = (struct tables){ 0 };
}
