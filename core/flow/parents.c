/*
 * parents.c - see parents.h. A parent is known by a hash of 64 bits of its key: two that share one
 * keep each other waiting, and no more.
 */
#include "flow/parents.h"

#include <stdlib.h>
#include "base/mem.h"
#include "flow/chain.h"

#define PASSED_MOST 3 /* times its parent went to others; then it is kept for it */

/** While a batch has it, somebody waits for it, or it is kept. */
struct parent {
    uint64_t key;
    const struct batch *holder; /* NULL: it is kept for ... */
    size_t n;                   /* records of the holder that claim it */
    struct delivery *next;      /* ... the pile of this one, which is in it; NULL: for nobody */
    struct list waiting;        /* struct delivery.pile_node, the oldest first */
    UT_hash_handle hh;
};

/* ---- what is its parent ---- */

static uint64_t hash_of(sl_str key)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */

    for (size_t i = 0; i < key.len; i++)
        h = (h ^ (uint8_t)key.ptr[i]) * 1099511628211u;
    return h ? h : 1; /* 0: none */
}

static bool has_parents(const struct adapter *a)
{
    return a && a->open && SL_HAS(sl_plugin, a->plugin, parent_key);
}

void parents_learn(struct delivery *d)
{
    const struct adapter *a = d->lane->adapter;

    if (d->parent_known || !d->body || !d->target || !has_parents(a))
        return;
    sl_str key = a->plugin->parent_key(a->self, d->target->handle,
                                       (sl_str){ d->body, d->body_len });
    d->parent = key.len ? hash_of(key) : 0;
    d->parent_known = true;
}

void parents_unlearn(struct delivery *d)
{
    d->parent = 0;
    d->parent_known = false;
}

static struct parent *parent_find(const struct lane *l, uint64_t key)
{
    struct parent *p;

    HASH_FIND(hh, l->parents, &key, sizeof(key), p);
    return p;
}

static void free_if_idle(struct lane *l, struct parent *p)
{
    if (p->n || p->next || !list_empty(&p->waiting))
        return;
    HASH_DEL(l->parents, p);
    free(p);
}

/* ---- waiting ---- */

static bool same_pile(const struct delivery *a, const struct delivery *b)
{
    return a->target == b->target && a->priority == b->priority && a->narrow == b->narrow;
}

/** Is it free for this one's batch? */
static bool is_free(const struct parent *p, const struct delivery *d)
{
    return !p->n && (!p->next || same_pile(p->next, d));
}

bool parents_stop(struct delivery *d)
{
    struct lane *l = d->lane;

    if (!d->parent || !l->parents)
        return false;
    struct parent *p = parent_find(l, d->parent);
    if (!p || is_free(p, d))
        return false;
    pile_take(d);
    list_append(&p->waiting, &d->pile_node);
    d->waits_parent = p;
    l->parents_waiting[d->priority]++;
    return true;
}

static void wait_ends(struct delivery *d)
{
    list_remove(&d->pile_node);
    d->waits_parent = NULL;
    d->lane->parents_waiting[d->priority]--;
}

/** Back to the fronts of their piles: the youngest first, so that they stand in their order. */
static void wake(struct parent *p, struct delivery **ret_passed)
{
    while (!list_empty(&p->waiting)) {
        struct delivery *d = list_entry(p->waiting.prev, struct delivery, pile_node);
        wait_ends(d);
        pile_put(d);
        if (ret_passed && ++d->parent_passed > PASSED_MOST)
            *ret_passed = d;
    }
}

/** It is kept for nobody. */
static void unkeep(struct lane *l, struct parent *p)
{
    p->next->kept_parent = NULL;
    p->next = NULL;
    l->parents_kept--;
    if (!p->n)
        wake(p, NULL);
    free_if_idle(l, p);
}

void parents_leave(struct delivery *d)
{
    struct parent *p = d->waits_parent;

    if (p) {
        wait_ends(d);
        free_if_idle(d->lane, p);
    } else if (d->kept_parent) {
        unkeep(d->lane, d->kept_parent);
    }
}

void parents_scatter(struct lane *l)
{
    struct parent *p, *tmp;

    HASH_ITER (hh, l->parents, p, tmp) {
        wake(p, NULL);
        if (p->next)
            unkeep(l, p);
    }
}

void parents_sweep(struct lane *l, bool (*stands)(const struct pile *p, uint64_t now), uint64_t now)
{
    struct parent *p, *tmp;

    if (!l->parents_kept)
        return;
    HASH_ITER (hh, l->parents, p, tmp)
        if (p->next && stands(lane_pile(p->next), now))
            unkeep(l, p);
}

/* ---- claims ---- */

bool parents_claim(struct batch_item *it)
{
    struct delivery *d = it->d;
    struct lane *l = it->batch->lane;
    struct parent *p;

    if (it->parent && it->parent->key == d->parent)
        return true;
    parents_release(it);
    if (!d->parent)
        return true;
    p = parent_find(l, d->parent);
    if (p && p->holder != it->batch && !is_free(p, d))
        return false;
    if (!p) {
        p = mem_zero(sizeof(*p));
        p->key = d->parent;
        list_init(&p->waiting);
        HASH_ADD(hh, l->parents, key, sizeof(p->key), p);
    }
    p->holder = it->batch;
    p->n++;
    it->parent = p;
    d->parent_passed = 0;
    if (p->next)
        unkeep(l, p);
    return true;
}

void parents_release(struct batch_item *it)
{
    struct parent *p = it->parent;
    struct lane *l = it->batch->lane;
    struct delivery *passed = NULL;

    it->parent = NULL;
    if (!p || l->flow->closing || --p->n)
        return;
    p->holder = NULL;
    wake(p, &passed);
    if (passed) {
        p->next = passed;
        passed->kept_parent = p;
        l->parents_kept++;
    }
    free_if_idle(l, p);
    lane_pump_soon(l);
}

/* ---- from before the start ---- */

bool parents_unread(const struct lane *l)
{
    if (!has_parents(l->adapter))
        return false;
    for (const struct list *i = l->batches.next; i != &l->batches; i = i->next) {
        const struct batch *b = container_of(i, struct batch, node);
        if (b->resumed && b->state == BATCH_LOADING)
            return true;
    }
    return recover_left_in(l);
}

const struct batch *parents_holder(const struct delivery *d)
{
    return d->waits_parent ? d->waits_parent->holder : NULL;
}

int64_t parents_oldest(const struct lane *l)
{
    int64_t oldest = 0;
    struct parent *p, *tmp;

    HASH_ITER (hh, l->parents, p, tmp) {
        if (list_empty(&p->waiting))
            continue;
        const struct delivery *d = list_entry(p->waiting.next, struct delivery, pile_node);
        if (!oldest || d->received_ms < oldest)
            oldest = d->received_ms;
    }
    return oldest;
}

void parents_finish(struct lane *l)
{
    struct parent *p, *tmp;

    HASH_ITER (hh, l->parents, p, tmp) {
        HASH_DEL(l->parents, p);
        free(p);
    }
}
