/*
 * dead.c - `on_dead: block`: a dead letter holds back what comes after it of the same route,
 * subject and piece, until it is replayed and done, or discarded.
 *
 * Dead letters are not in memory; the numbers of those that block are, by the chain they block.
 * They are read at start, page by page, of the routes that block alone, before anything is sent.
 */
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/mem.h"
#include "flow/chain.h"
#include "flow/order.h"

#define PAGE     1000
#define AGAIN_MS 1000

/** Dead letters of one chain, by rising num. */
struct dead_chain {
    UT_hash_handle hh; /* flow.dead_chains */
    uint8_t key[16];
    uint8_t route[8]; /* of its name */
    struct nums nums;
};

static struct dead_chain *find(const struct flow *f, const uint8_t key[16])
{
    struct dead_chain *c;

    HASH_FIND(hh, f->dead_chains, key, 16, c);
    return c;
}

uint64_t dead_first(const struct flow *f, const uint8_t key[16])
{
    struct dead_chain *c = find(f, key);

    return c ? c->nums.at[0] : 0;
}

static void free_chain(struct flow *f, struct dead_chain *c)
{
    HASH_DEL(f->dead_chains, c);
    free(c->nums.at);
    free(c);
}

/* ---- one more, one less ---- */

static void hash_name(const char *route, uint8_t out[8])
{
    uint8_t full[DIGEST_SHA256];

    digest_sha256(route, strlen(route), full);
    memcpy(out, full, 8);
}

static void add(struct flow *f, const char *route, const uint8_t key[16], uint64_t num)
{
    struct dead_chain *c = find(f, key);
    size_t at = 0;

    if (!c) {
        c = mem_zero(sizeof(*c));
        memcpy(c->key, key, sizeof(c->key));
        hash_name(route, c->route);
        HASH_ADD(hh, f->dead_chains, key, sizeof(c->key), c);
    }
    while (at < c->nums.n && c->nums.at[at] < num)
        at++;
    if (at < c->nums.n && c->nums.at[at] == num)
        return;
    if (c->nums.n == c->nums.cap) {
        c->nums.cap = c->nums.cap ? 2 * c->nums.cap : 1;
        c->nums.at = mem_grow(c->nums.at, c->nums.cap * sizeof(*c->nums.at));
    }
    memmove(&c->nums.at[at + 1], &c->nums.at[at], (c->nums.n - at) * sizeof(*c->nums.at));
    c->nums.at[at] = num;
    c->nums.n++;
}

static void take(struct flow *f, const uint8_t key[16], uint64_t num)
{
    struct dead_chain *c = find(f, key);
    size_t at = 0;

    while (c && at < c->nums.n && c->nums.at[at] != num)
        at++;
    if (!c || at == c->nums.n)
        return;
    c->nums.n--;
    memmove(&c->nums.at[at], &c->nums.at[at + 1], (c->nums.n - at) * sizeof(*c->nums.at));
    if (c->nums.n == 0)
        free_chain(f, c);
}

/** While they are being read: what was taken since must not come back by an older answer. */
static void note_taken(struct flow *f, uint64_t num)
{
    struct nums *t = &f->dead_taken;

    if (!f->dead_loading)
        return;
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 16;
        t->at = mem_grow(t->at, t->cap * sizeof(*t->at));
    }
    t->at[t->n++] = num;
}

static bool was_taken(const struct flow *f, uint64_t num)
{
    for (size_t i = 0; i < f->dead_taken.n; i++)
        if (f->dead_taken.at[i] == num)
            return true;
    return false;
}

void dead_moved(struct flow *f, const struct order_move *m)
{
    uint8_t key[16];
    bool block;

    if (!m->route && m->state != DS_DEAD)
        note_taken(f, m->num); /* its route may be back before the answer is */
    if (!m->route)
        return;
    block = m->route->on_dead == ON_DEAD_BLOCK && m->route->ordered;
    if (!m->subject.len || (!block && !f->dead_chains))
        return;
    chain_key(m->route, m->subject, m->piece, key);
    if (m->state == DS_DEAD && block) {
        add(f, m->route->name, key, m->num);
    } else {
        note_taken(f, m->num);
        take(f, key, m->num);
    }
    chain_blocked(f, key, dead_first(f, key));
}

/* ---- at start ---- */

struct load {
    struct flow *flow;
    char *route; /* own: its name, which another configuration may not have */
    uint64_t after;
};

static void load_go(struct load *l);

static void load_free(struct load *l)
{
    free(l->route);
    free(l);
}

static void on_again(void *ctx, bool closing)
{
    if (closing)
        load_free(ctx);
    else
        load_go(ctx);
}

static void load_end(struct load *l)
{
    struct flow *f = l->flow;

    load_free(l);
    if (--f->dead_loading == 0)
        f->dead_taken.n = 0;
    recover_read(f);
    recover_step_done(f);
}

static void load_one(struct load *l, const struct store_delivery *row)
{
    struct order_move m = { .num = row->num,
                            .route = config_route(l->flow->config, str_of(l->route)),
                            .subject = row->subject,
                            .piece = row->piece,
                            .state = DS_DEAD };

    l->after = m.num;
    if (m.route && !was_taken(l->flow, m.num))
        dead_moved(l->flow, &m);
}

static void on_page(void *ctx, int status, const struct store_delivery *rows, size_t n)
{
    struct load *l = ctx;

    if (status == UV_ECANCELED) {
        load_free(l);
        return;
    }
    if (status < 0) {
        log_error(&l->flow->log, "cannot read the dead letters of route %s, asking again: err=%s",
                  l->route, uv_strerror(status));
        flow_later(l->flow, AGAIN_MS, on_again, l);
        return;
    }
    for (size_t i = 0; i < n; i++)
        load_one(l, &rows[i]);
    if (n == PAGE)
        load_go(l);
    else
        load_end(l);
}

static void load_go(struct load *l)
{
    int r = store_dead(l->flow->store, str_of(l->route), l->after, PAGE, on_page, l);

    if (r == UV_ECANCELED)
        load_free(l);
    else if (r < 0)
        flow_later(l->flow, AGAIN_MS, on_again, l);
}

static bool can_block(const struct conf_route *r)
{
    return r && r->on_dead == ON_DEAD_BLOCK && r->ordered;
}

/** What blocked by a route that has gone, or does not block any more: nobody follows it from now
 *  on, and it is read anew if the route comes back. */
static void forget(struct flow *f, const char *route)
{
    struct dead_chain *c, *tmp;
    uint8_t name[8], key[16];

    hash_name(route, name);
    HASH_ITER (hh, f->dead_chains, c, tmp) {
        if (memcmp(c->route, name, sizeof(name)) != 0)
            continue;
        memcpy(key, c->key, sizeof(key));
        free_chain(f, c);
        chain_blocked(f, key, 0);
    }
}

void dead_load(struct flow *f, const struct config *before)
{
    for (size_t i = 0; before && i < before->n_routes; i++) {
        const struct conf_route *r = &before->routes[i];
        if (can_block(r) && !can_block(config_route(f->config, str_of(r->name))))
            forget(f, r->name);
    }
    for (size_t i = 0; i < f->config->n_routes; i++) {
        const struct conf_route *r = &f->config->routes[i];
        struct load *l;

        if (!can_block(r) || (before && can_block(config_route(before, str_of(r->name)))))
            continue;
        l = mem_zero(sizeof(*l));
        *l = (struct load){ .flow = f, .route = mem_str(r->name) };
        f->dead_loading++;
        f->unread++;
        recover_step(f);
        load_go(l);
    }
}

void dead_finish(struct flow *f)
{
    struct dead_chain *c, *tmp;

    HASH_ITER (hh, f->dead_chains, c, tmp)
        free_chain(f, c);
    free(f->dead_taken.at);
}

/* ---- what people are told ---- */

void dead_notice(struct flow *f, const struct lane *l, const struct delivery *d,
                 const struct conf_route *route, sl_str reason)
{
    const struct conf_route *r = route ? route : d->route;
    struct buf text = { 0 };

    buf_str(&text, reason);
    if (r && r->on_dead == ON_DEAD_BLOCK && r->ordered && d->subject && d->subject[0])
        buf_printf(&text, "; what comes after it of %s waits until it is replayed or discarded",
                   d->subject);
    flow_notice(f, NOTICE_DEAD, l, d, route, text.failed ? reason : buf_view(&text));
    buf_finish(&text);
}

bool why_dead(struct delivery *d, struct why *w)
{
    char name[32];

    if (!d->chain || !d->chain->dead || d->chain->dead > d->num ||
        d->route->on_dead != ON_DEAD_BLOCK)
        return false;
    delivery_name(d->chain->dead, name);
    why_say(w, 0, "%s of the same subject is a dead letter and blocks it: replay or discard that",
            name);
    return true;
}
