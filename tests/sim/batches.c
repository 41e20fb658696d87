/*
 * batches.c - what may be in a batch together, and beside another one: remotes that lock the
 * parents of what they write, and ask for narrow batches; and what must be true of that.
 */
#include <stdio.h>
#include <string.h>
#include "sim.h"

#define PICK(rng, ...) \
    ((const int[]){ __VA_ARGS__ }[rng_below(rng, sizeof((int[]){ __VA_ARGS__ }) / sizeof(int))])
#define NAME(num) (num) >> DELIVERY_ORDINAL_BITS, (unsigned)((num)&DELIVERY_ORDINAL_MAX)
#define NAME_FMT  "%llu.%u"
#define QUICK     3 /* of ten: so few go cheaply */
#define CHUNK     4

/** From a source of their own, so that what else a seed brings stays as it was. */
void plan_batches(struct sim *s)
{
    struct rng own, *g = &own;

    world_rng(&s->w, 64, g);
    for (unsigned i = CRM; i < ENDPOINTS; i++) {
        struct remote *r = &s->remotes[i];
        r->parents = (unsigned)PICK(g, 0, 0, 1, 2, 5);
        r->narrow = (unsigned)PICK(g, 0, 0, 300, 900);
        s->endpoints[i].batch_quick_ms = PICK(g, 0, 0, 200, 1000);
        if (r->narrow && one_in(g, 3)) /* locks, and nothing but locks */
            r->deeds[DEED_RETRY] = 300;
        world_say(&s->w, "%s: %u parents, narrow %u, quick %lld ms", s->endpoints[i].name,
                  r->parents, r->narrow, (long long)s->endpoints[i].batch_quick_ms);
    }
}

/* ---- the adapter's part ---- */

static char parent_of(const struct remote *r, sl_str body)
{
    char subject[40] = "", text[100];

    snprintf(text, sizeof(text), STR_FMT, STR_ARG(body));
    if (sscanf(text, "{\"subject\":\"%39[^\"]\"", subject) < 1)
        sscanf(text, "%39[a-z] ", subject);
    return r->parents && strlen(subject) == 1
               ? (char)('A' + (unsigned)(subject[0] - 'a') % r->parents)
               : '\0';
}

sl_str sim_parent_key(void *self, void *handle, sl_str body)
{
    struct remote *r = self;

    (void)handle;
    r->parent[0] = parent_of(r, body);
    return (sl_str){ r->parent, r->parent[0] ? 1 : 0 };
}

void sim_batching(uint32_t action, const void *handle, sl_batching *ret)
{
    (void)handle;
    if (action == ACT_BULK)
        ret->quick_records = QUICK, ret->chunk = CHUNK;
}

/** It is retried; is it asked to go in a small batch? */
uint32_t batches_narrow(struct remote *r, struct book *k)
{
    if (!r->narrow || r->sim->healed || !per_mille(&r->rng, r->narrow))
        return 0;
    k->narrow = (unsigned)between(&r->rng, 1, 4);
    k->narrow_at = r->index;
    k->narrow_life = r->sim->deaths + 1;
    world_say(&r->sim->w, "%s wants " NAME_FMT " in a batch of %u", r->conf->name,
              NAME((unsigned long long)k->num), k->narrow);
    return k->narrow;
}

/* ---- what must be true ---- */

static bool is_batch(const struct call *c)
{
    return c->kind == CALL_DELIVER || c->kind == CALL_RESUME;
}

static bool is_narrow(const struct remote *r, const struct book *k)
{
    return k->narrow && k->narrow_at == r->index && k->narrow_life == r->sim->deaths + 1;
}

static void check_parents(const struct call *c)
{
    const struct remote *r = c->remote;

    list_each (i, &r->calls) {
        const struct call *other = list_entry(i, struct call, node);
        if (other == c || !is_batch(other))
            continue;
        for (size_t k = 0; k < c->n; k++)
            for (size_t o = 0; o < other->n; o++)
                if (c->parents[k] && c->parents[k] == other->parents[o])
                    world_fail(&r->sim->w,
                               "parent: " NAME_FMT " and " NAME_FMT
                               " of parent %c are in two batches at %s",
                               NAME((unsigned long long)c->books[k]->num),
                               NAME((unsigned long long)other->books[o]->num), c->parents[k],
                               r->conf->name);
    }
}

/** However they came they stand beside each other. */
static void check_side_by_side(const struct call *c)
{
    for (size_t i = 2; i < c->n; i++)
        for (size_t k = 0; k + 1 < i; k++)
            if (c->parents[i] && c->parents[i] == c->parents[k] &&
                c->parents[i] != c->parents[i - 1])
                world_fail(&c->remote->sim->w, "parent: record %zu and %zu of a batch have %c", k,
                           i, c->parents[i]);
}

/** What was narrow before in this life may be it still, for all that is known here. */
static bool may_be_narrow(const struct remote *r, const struct book *k)
{
    return k->narrow_life == r->sim->deaths + 1;
}

static void check_narrow(struct call *c)
{
    const struct remote *r = c->remote;
    const struct book *narrow = NULL;

    if (r->sim->config.window < WIDE) /* what it has no room for comes back as any other */
        return;
    for (size_t i = 0; i < c->n; i++)
        if (is_narrow(r, c->books[i]))
            narrow = c->books[i];
    if (!narrow)
        return;
    c->narrow = true;
    for (size_t i = 0; i < c->n; i++) {
        const struct book *k = c->books[i];
        if (!may_be_narrow(r, k))
            world_fail(&r->sim->w, "narrow: " NAME_FMT " goes with " NAME_FMT ", which is narrow",
                       NAME((unsigned long long)k->num), NAME((unsigned long long)narrow->num));
        if (is_narrow(r, k) && c->n > k->narrow)
            world_fail(&r->sim->w, "narrow: " NAME_FMT " goes with %zu others, and may with %u",
                       NAME((unsigned long long)k->num), c->n - 1, k->narrow - 1);
    }
    list_each (i, &r->calls) {
        const struct call *other = list_entry(i, struct call, node);
        if (other != c && is_batch(other) && other->narrow)
            world_fail(&r->sim->w, "narrow: a second batch of them is at %s", r->conf->name);
    }
}

void check_batch(struct call *c, const sl_batch *b)
{
    struct remote *r = c->remote;

    for (size_t i = 0; i < c->n; i++) {
        c->parents[i] = parent_of(r, b->records[i].body);
        if (c->parents[i])
            r->parent_ms[c->parents[i] - 'A'] = world_now();
    }
    check_parents(c);
    check_side_by_side(c);
    if (c->kind == CALL_DELIVER)
        check_narrow(c);
}

void check_batch_over(const struct call *c)
{
    for (size_t i = 0; is_batch(c) && i < c->n; i++)
        if (c->parents[i])
            c->remote->parent_ms[c->parents[i] - 'A'] = world_now();
}

/** Whatever is not said by the remote ends it: it is over, or somebody moved it. */
void check_batch_moved(struct sim *s, bool by_remote, const struct rec_move *m)
{
    if (!by_remote || m->endpoint.len || (m->state != DS_READY && m->state != DS_WAITING))
        book_of(s, m->num)->narrow = 0;
}

/** Does it wait for a batch that has its parent, or for its turn among the narrow ones? `since`:
 *  when it did last. */
bool check_batch_waits(const struct remote *r, const struct row *row, int64_t *since)
{
    char parent = parent_of(r, row->body);

    if (may_be_narrow(r, book_of(r->sim, row->num)))
        return true;
    if (!parent)
        return false;
    list_each (i, &r->calls) {
        const struct call *c = list_entry(i, struct call, node);
        for (size_t k = 0; is_batch(c) && k < c->n; k++)
            if (c->parents[k] == parent)
                return true;
    }
    if (r->parent_ms[parent - 'A'] > *since)
        *since = r->parent_ms[parent - 'A'];
    return false;
}
