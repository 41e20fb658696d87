/*
 * batch_rows.c - which of the chosen records go together: those of one row or of a parent that
 * another batch has are left out, and those of one parent stand beside each other.
 */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "flow/parents.h"

/* ---- left out ---- */

struct keyed {
    UT_hash_handle hh;
    size_t len;
    char key[];
};

/** Two records of one key never share a batch: later ones wait for the next. */
static void split_row_keys(struct batch *b)
{
    const struct adapter *a = b->adapter;
    struct keyed *seen = NULL, *k, *tmp;

    if (!a->plugin->row_key || b->n < 2)
        return;
    for (size_t i = 0; i < b->n; i++) {
        struct delivery *d = b->items[i].d;
        sl_str key = a->plugin->row_key(a->self, b->target->handle,
                                        (sl_str){ d->body, d->body_len });
        if (!key.len)
            continue;
        HASH_FIND(hh, seen, key.ptr, key.len, k);
        if (k) {
            b->items[i].back = true;
            continue;
        }
        k = mem_zero(sizeof(*k) + key.len);
        k->len = key.len;
        memcpy(k->key, key.ptr, key.len);
        HASH_ADD_KEYPTR(hh, seen, k->key, k->len, k);
    }
    HASH_ITER (hh, seen, k, tmp) {
        HASH_DEL(seen, k);
        free(k);
    }
}

/** Now that all bodies are there: what has a parent that another batch has waits for that one. */
static void leave_parents(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        parents_learn(b->items[i].d);
        b->items[i].back |= !parents_claim(&b->items[i]);
    }
}

void batch_keep_apart(struct batch *b)
{
    split_row_keys(b);
    leave_parents(b);
}

/* ---- side by side ---- */

/** The records of one parent, in their order. */
struct kin {
    UT_hash_handle hh;
    const struct parent *parent;
    size_t n, first, last;
};

struct grouping {
    struct batch *b;
    struct kin *kins;         /* hash by parent, in the order of their first records */
    size_t *next;             /* by item: the next of its parent; b->n: it is the last */
    struct batch_item *order; /* what comes of it, so many: */
    size_t n;
    size_t single, singles; /* the next record that is alone with its parent; how many are left */
};

static struct kin *kin_of(const struct grouping *g, size_t i)
{
    struct kin *k = NULL;

    if (g->b->items[i].parent)
        HASH_FIND_PTR(g->kins, &g->b->items[i].parent, k);
    return k;
}

static bool is_single(const struct grouping *g, size_t i)
{
    const struct kin *k = kin_of(g, i);

    return !k || k->n == 1;
}

/** True: some have a parent in common. */
static bool find_kins(struct grouping *g)
{
    bool any = false;

    for (size_t i = 0; i < g->b->n; i++) {
        const struct parent *p = g->b->items[i].parent;
        struct kin *k = kin_of(g, i);
        g->next[i] = g->b->n;
        if (k) {
            g->next[k->last] = i;
            k->last = i;
            k->n++;
            any = true;
        } else if (p) {
            k = mem_zero(sizeof(*k));
            *k = (struct kin){ .parent = p, .n = 1, .first = i, .last = i };
            HASH_ADD_PTR(g->kins, parent, k);
        }
    }
    return any;
}

static void put(struct grouping *g, size_t i)
{
    g->order[g->n++] = g->b->items[i];
}

static void put_singles(struct grouping *g, size_t n)
{
    for (; n && g->single < g->b->n; g->single++)
        if (is_single(g, g->single)) {
            put(g, g->single);
            g->singles--;
            n--;
        }
}

/** One that would lie across a border begins behind it, if there are singles to fill up with. */
static void put_kins(struct grouping *g, size_t chunk)
{
    struct kin *k, *tmp;

    HASH_ITER (hh, g->kins, k, tmp) {
        size_t room = chunk ? chunk - g->n % chunk : 0;
        if (k->n == 1)
            continue;
        if (room < chunk && room < k->n && room <= g->singles)
            put_singles(g, room);
        for (size_t i = k->first; i < g->b->n; i = g->next[i])
            put(g, i);
    }
    put_singles(g, g->singles);
}

void batch_group(struct batch *b)
{
    struct grouping g = { .b = b };
    struct kin *k, *tmp;

    if (!b->lane->parents || b->n < 2)
        return;
    g.next = mem_array(b->n, sizeof(*g.next));
    if (find_kins(&g)) {
        for (size_t i = 0; i < b->n; i++)
            g.singles += is_single(&g, i);
        g.order = mem_array(b->n, sizeof(*g.order));
        put_kins(&g, lane_batching(b->target).chunk);
        free(b->items);
        b->items = g.order;
    }
    HASH_ITER (hh, g.kins, k, tmp) {
        HASH_DEL(g.kins, k);
        free(k);
    }
    free(g.next);
}
