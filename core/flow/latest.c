/*
 * latest.c - what is the newest of a route, subject and piece: `latest_by: version` - an event that
 * is older than what was made already makes a delivery that is superseded at once - and what
 * `coalesce` asks when a delivery comes back from beyond the window.
 *
 * Only what is live or delivered counts. A delivery that died or was discarded suppresses nothing:
 * the next best is looked for again. The newest used are in memory, the rest is in the index.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/chain.h"
#include "flow/order.h"
#include "flow/routing.h"

#define KNOWN_MAX 65536 /* about 200 bytes each */
#define LOOK_AT   32    /* of the newest of a subject: versions need not rise with their numbers */
#define AGAIN_MS  1000

struct latest {
    UT_hash_handle hh; /* flow.latests, by key */
    struct list node;  /* flow.latest_used: the least used first */
    uint8_t key[16];
    bool read;       /* the index was asked: `version` is the newest there is */
    bool whole;      /* `newest` is the newest there is; else it is the newest seen here */
    uint64_t newest; /* the highest num that may be sent, or was; 0: none */
    char *version;   /* own; NULL: none is known */
    uint64_t version_num;
};

/* ---- versions ---- */

static bool is_number(sl_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return s.len > 0;
}

static int compare_numbers(sl_str a, sl_str b)
{
    while (a.len > 1 && a.ptr[0] == '0')
        a.ptr++, a.len--;
    while (b.len > 1 && b.ptr[0] == '0')
        b.ptr++, b.len--;
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return memcmp(a.ptr, b.ptr, a.len);
}

int version_compare(sl_str a, sl_str b)
{
    int64_t x, y;

    if (is_number(a) && is_number(b))
        return compare_numbers(a, b);
    if (clock_parse(a.ptr, a.len, &x) == 0 && clock_parse(b.ptr, b.len, &y) == 0)
        return x < y ? -1 : x > y;
    return 0;
}

/* ---- what is known ---- */

static struct latest *known(struct flow *f, const uint8_t key[16])
{
    struct latest *l;

    HASH_FIND(hh, f->latests, key, 16, l);
    if (l) {
        list_remove(&l->node);
        list_append(&f->latest_used, &l->node);
    }
    return l;
}

static void forget(struct flow *f, struct latest *l)
{
    HASH_DEL(f->latests, l);
    list_remove(&l->node);
    free(l->version);
    free(l);
}

static struct latest *learn(struct flow *f, const uint8_t key[16])
{
    struct latest *l = mem_zero(sizeof(*l));

    if (HASH_COUNT(f->latests) >= KNOWN_MAX)
        forget(f, list_entry(f->latest_used.next, struct latest, node));
    memcpy(l->key, key, sizeof(l->key));
    HASH_ADD(hh, f->latests, key, sizeof(l->key), l);
    list_append(&f->latest_used, &l->node);
    return l;
}

static void see(struct latest *l, uint64_t num, enum delivery_state state, sl_str version)
{
    if (state != DS_HELD && num > l->newest)
        l->newest = num;
    if (!version.len || (l->version && version_compare(version, str_of(l->version)) < 0))
        return;
    free(l->version);
    l->version = mem_dup(version);
    l->version_num = num;
}

/** Nothing newer of any subject was made: its event came to this process, and no later one has been
 *  routed. Events are routed late that waited for a link, or for a start. */
static bool is_newest_made(struct flow *f, uint64_t num)
{
    bool newest = f->first_seq && delivery_event(num) >= f->first_seq && num > f->newest_made;

    if (num > f->newest_made)
        f->newest_made = num;
    return newest;
}

void latest_made(struct flow *f, const struct conf_route *r, const struct rec_delivery *rd,
                 enum delivery_state state)
{
    uint8_t key[16];
    struct latest *l;
    bool newest;

    if ((!r->latest && !r->coalesce) || !rd->subject.len || (state != DS_READY && state != DS_HELD))
        return;
    chain_key(r, rd->subject, rd->piece, key);
    newest = is_newest_made(f, rd->num);
    l = known(f, key);
    if (!l && r->coalesce)
        l = learn(f, key);
    if (!l)
        return; /* the index says it, with what it knows of before */
    l->whole |= newest && state == DS_READY;
    see(l, rd->num, state, rd->version);
}

void latest_asked(struct flow *f)
{
    f->latest_asked++;
}

void latest_answered(struct flow *f)
{
    if (--f->latest_asked)
        return;
    free(f->latest_fell.at);
    f->latest_fell = (struct nums){ 0 };
}

static void note_fallen(struct flow *f, const struct order_move *m)
{
    struct nums *fell = &f->latest_fell;

    if (!f->latest_asked || (!m->route->latest && !m->route->coalesce))
        return;
    if (fell->n == fell->cap) {
        fell->cap = fell->cap ? 2 * fell->cap : 16;
        fell->at = mem_grow(fell->at, fell->cap * sizeof(*fell->at));
    }
    fell->at[fell->n++] = m->num;
}

/** The answer was made before it died. */
static bool has_fallen(const struct flow *f, uint64_t num)
{
    for (size_t i = 0; i < f->latest_fell.n; i++)
        if (f->latest_fell.at[i] == num)
            return true;
    return false;
}

/** It was held or dead, and may be sent now: as if it were made just now. */
static void note_risen(struct flow *f, const struct order_move *m)
{
    uint8_t key[16];
    struct latest *l;

    if (!m->route->coalesce)
        return;
    chain_key(m->route, m->subject, m->piece, key);
    l = known(f, key);
    if (!l)
        l = learn(f, key); /* what is being asked may not know of it */
    if (m->num > l->newest)
        l->newest = m->num;
}

void latest_moved(struct flow *f, const struct order_move *m)
{
    uint8_t key[16];
    struct latest *l;

    if (m->subject.len && m->state == DS_READY)
        note_risen(f, m);
    if (!m->subject.len || m->state < DS_DEAD)
        return;
    note_fallen(f, m);
    if (!f->latests)
        return;
    chain_key(m->route, m->subject, m->piece, key);
    l = known(f, key);
    if (l && l->newest == m->num) {
        forget(f, l);
    } else if (l && l->version_num == m->num) { /* what is the newest, is so still */
        free(l->version);
        l->version = NULL;
        l->version_num = 0;
        l->read = false;
    }
}

void latest_finish(struct flow *f)
{
    struct latest *l, *tmp;

    HASH_ITER (hh, f->latests, l, tmp)
        forget(f, l);
    free(f->latest_fell.at);
    f->latest_fell = (struct nums){ 0 };
}

void latest_read(struct flow *f, const uint8_t key[16], const struct store_delivery *rows, size_t n)
{
    struct latest *l = known(f, key);

    if (!l)
        l = learn(f, key);
    for (size_t i = n; i > 0; i--)
        if (!has_fallen(f, rows[i - 1].num))
            see(l, rows[i - 1].num, rows[i - 1].state, rows[i - 1].version);
    l->read = l->whole = true;
}

bool latest_newest(struct flow *f, const uint8_t key[16], uint64_t than, uint64_t *ret)
{
    struct latest *l = known(f, key);

    if (!l || (!l->whole && l->newest <= than))
        return false;
    *ret = l->newest;
    return true;
}

/* ---- late events ---- */

/** A piece whose subject's newest version is being read. */
struct question {
    struct routing *rt;
    size_t piece;
};

static bool asks(const struct routing *rt, const struct piece *p)
{
    return p->route->latest && !p->dated && !p->error && rt->n_abouts &&
           (!rt->event->again || rt->event->anyway || /* else somebody wants just this one */
            (rt->remap && rt->remap->backfill)) &&
           rt->abouts[0].version[0] && rt->abouts[0].subject[0];
}

static void judge(struct routing *rt, struct piece *p, const struct latest *l)
{
    sl_str version = str_of(rt->abouts[0].version);
    struct buf text = { 0 };
    char name[32];

    p->dated = true;
    if (!l->version || version_compare(version, str_of(l->version)) >= 0)
        return;
    delivery_name(l->version_num, name);
    buf_printf(&text, "late: version " STR_FMT " is older than %s of %s", STR_ARG(version),
               l->version, name);
    p->late = buf_steal(&text, NULL);
}

static bool ask_one(struct routing *rt, size_t i);

static void answered(struct routing *rt)
{
    if (--rt->dating == 0)
        router_store(rt);
}

static void on_again(void *ctx, bool closing)
{
    struct question q = *(struct question *)ctx;

    free(ctx);
    q.rt->cancelled |= closing;
    if (closing || !ask_one(q.rt, q.piece))
        answered(q.rt);
}

static void on_rows(void *ctx, int status, const struct store_delivery *rows, size_t n)
{
    struct question *q = ctx;
    struct routing *rt = q->rt;
    struct piece *p = &rt->pieces[q->piece];
    struct flow *f = rt->flow;
    uint8_t key[16];

    if (status < 0 && status != UV_ECANCELED) {
        latest_answered(f);
        flow_later(rt->flow, AGAIN_MS, on_again, q);
        return;
    }
    if (status < 0) {
        rt->cancelled = true; /* closing: it is routed at the next start */
    } else {
        chain_key(p->route, str_of(routing_subject(rt)), str_of(p->key), key);
        latest_read(rt->flow, key, rows, n);
        judge(rt, p, known(rt->flow, key));
    }
    latest_answered(f);
    free(q);
    answered(rt);
}

/** False: there is nothing to wait for. */
static bool ask_one(struct routing *rt, size_t i)
{
    struct piece *p = &rt->pieces[i];
    struct latest *l;
    uint8_t key[16];

    chain_key(p->route, str_of(routing_subject(rt)), str_of(p->key), key);
    if ((l = known(rt->flow, key)) && l->read) {
        judge(rt, p, l);
        return false;
    }
    struct store_about about = { .route = str_of(p->route->name),
                                 .subject = str_of(routing_subject(rt)),
                                 .piece = str_of(p->key),
                                 .standing = true,
                                 .limit = LOOK_AT };
    struct question *q = mem_zero(sizeof(*q));
    *q = (struct question){ rt, i };
    int r = store_about(rt->flow->store, &about, on_rows, q);
    if (r == UV_ECANCELED) {
        free(q);
        rt->cancelled = true;
        return false;
    }
    if (r < 0)
        flow_later(rt->flow, AGAIN_MS, on_again, q);
    else
        latest_asked(rt->flow);
    return true;
}

bool latest_ask(struct routing *rt)
{
    bool waits = false;

    rt->dating = 1; /* held until all are asked for */
    for (size_t i = 0; i < rt->n_pieces; i++)
        if (asks(rt, &rt->pieces[i]) && ask_one(rt, i)) {
            rt->dating++;
            waits = true;
        }
    rt->dating--;
    return waits;
}
