/*
 * stand_in.c - what stands in for what: routes that others fall back to, and members that take back
 * what is in doubt. From sources of their own, so that what else a seed brings stays as it was.
 */
#include <inttypes.h>
#include <string.h>
#include "sim.h"

#define NAME(num) (num) >> DELIVERY_ORDINAL_BITS, (unsigned)((num)&DELIVERY_ORDINAL_MAX)
#define NAME_FMT  "%" PRIu64 ".%u"

const char sim_cancels = 0;

/** By `after`, and what stands in for that, to itself? A configuration with such is refused. */
static bool waits_for(const struct conf_route *r, const struct conf_route *other, unsigned deep)
{
    const struct conf_route *a = r->n_after ? r->after[0] : NULL;

    for (; a && deep < 2 * MAX_ROUTES; a = a->fallback_route)
        if (a == other || waits_for(a, other, deep + 1))
            return true;
    return false;
}

static bool is_circle(const struct sim *s)
{
    for (size_t i = 0; i < s->config.n_routes; i++)
        if (waits_for(&s->routes[i], &s->routes[i], 0))
            return true;
    return false;
}

void plan_stand_ins(struct sim *s)
{
    struct rng own, *g = &own;

    world_rng(&s->w, 42, g);
    for (size_t i = 0; i < s->config.n_routes; i++) {
        struct conf_route *r = &s->routes[i];
        bool some = one_in(g, 3);
        for (size_t j = i + 1; j < s->config.n_routes && some; j++) { /* so there is no circle */
            struct conf_route *other = &s->routes[j];
            if (r->fallback || strcmp(r->from_endpoint, other->from_endpoint) != 0 || !one_in(g, 2))
                continue;
            r->fallback_route = other;
            if (is_circle(s)) {
                r->fallback_route = NULL;
                continue;
            }
            r->fallback_on = 1 + (unsigned)rng_below(g, 3);
            r->retry.max_attempts = (uint32_t)between(g, 2, 3);
            world_say(&s->w, "route %s falls back to route %s on %u after %u", r->name, other->name,
                      r->fallback_on, r->retry.max_attempts);
            break;
        }
    }
    world_rng(&s->w, 43, g);
    if (!s->config.n_groups || one_in(g, 4))
        return;
    for (size_t i = 0; i < s->group.n_members; i++)
        s->cancels[i] = (struct conf_target){ .kind = TARGET_SEND,
                                              .endpoint = s->members[i].endpoint,
                                              .action = ACT_CANCEL,
                                              .handle = (void *)&sim_cancels };
    s->group.cancels = s->cancels;
    world_say(&s->w, "what is in doubt is taken back");
}

/* ---- a remote is asked to take one back ---- */

/** What it was mapped again in place of has its key: to the remote it is the same one. False: one
 * of them is still on its way. */
static bool takes_those_before(struct remote *r, const struct book *b, bool only_look)
{
    const struct row *row = tables_row(r->sim->t, b->num);
    unsigned at = 1u << r->index;

    for (const struct row *i = row ? row->instead : NULL; i; i = i->instead) {
        struct book *before = book_of(r->sim, i->num);
        if (before->pending_at & at)
            return false;
        if (only_look || !(before->applied_at & at))
            continue;
        before->applied--;
        before->cancelled_at |= at;
        before->applied_at &= ~at;
    }
    return true;
}

static uint32_t take_back(struct remote *r, struct book *b)
{
    unsigned at = 1u << r->index;
    bool well = r->sim->healed;

    if ((b->pending_at & at) || remote_is_dead(r) || !takes_those_before(r, b, true))
        return SL_RETRY;
    if (!well && per_mille(&r->rng, r->vague))
        return one_in(&r->rng, 3) ? SL_REVIEW : SL_RETRY;
    if (!well && (b->applied_at & at) && one_in(&r->rng, 8))
        return SL_REJECTED; /* it has left the house */
    takes_those_before(r, b, false);
    if (b->applied_at & at) {
        b->applied--;
        b->cancelled_at |= at;
    }
    b->applied_at &= ~at;
    if (!well && one_in(&r->rng, 2)) { /* done, and nobody heard of it ... */
        if (one_in(&r->rng, 2) && r->sim->end == END_NONE)
            r->sim->end = END_CRASH; /* ... not even the process */
        return SL_UNKNOWN;
    }
    b->leave = b->key_may_change = true;
    return SL_DELIVERED;
}

void stand_in_answer(struct call *c)
{
    const sl_done *done = c->done;
    struct book *b = c->books[0];
    sl_outcome o = { .size = sizeof(o), .kind = take_back(c->remote, b), .why = STR("simulated") };

    world_say(&c->remote->sim->w, "%s takes " NAME_FMT " back: %u", c->remote->conf->name,
              NAME(b->num), o.kind);
    done->outcome(done->ctx, 0, &o);
}

/* ---- at the end ---- */

/** Which one it stands in for; NULL: none. */
static const struct row *stands_for(const struct sim *s, const struct row *r)
{
    static const char at[] = "\"fallback\":{\"route\":\"";
    const char *p = r->detail.len ? strstr(r->detail.ptr, at) : NULL;
    const char *end;
    uint64_t num;

    p = p ? strstr(p, "\"delivery\":\"") : NULL;
    p = p ? p + strlen("\"delivery\":\"") : NULL;
    end = p ? strchr(p, '"') : NULL;
    if (!end || delivery_parse((sl_str){ p, (size_t)(end - p) }, &num) < 0)
        return NULL;
    return tables_row(s->t, num);
}

/** It is closed, since another went instead: that one is there and says the same. */
static void check_closed(struct sim *s, const struct row *r)
{
    const char *as = r->state == DS_SUPERSEDED && str_starts(r->reason, STR("it went by route "))
                         ? strstr(r->reason.ptr, " instead, as ")
                         : NULL;
    const struct row *by = NULL;
    const char *end;
    uint64_t num;

    if (!as)
        return;
    as += strlen(" instead, as ");
    end = strchr(as, ':');
    if (end && delivery_parse((sl_str){ as, (size_t)(end - as) }, &num) == 0)
        by = tables_row(s->t, num);
    if (!by || stands_for(s, by) != r)
        world_fail(&s->w, "fallback: nothing stands in for " NAME_FMT ": " STR_FMT, NAME(r->num),
                   STR_ARG(r->reason));
}

void check_stand_ins(struct sim *s)
{
    for (size_t i = 0; i < s->t->n_rows; i++) {
        check_closed(s, s->t->rows[i]);
        const struct row *r = s->t->rows[i], *first = stands_for(s, r);
        const struct book *k = first ? book_of(s, first->num) : NULL;
        if (!k || k->human)
            continue;
        if (first->edited)
            world_fail(&s->w,
                       "fallback: " NAME_FMT " was made anew for " NAME_FMT ", which was edited",
                       NAME(r->num), NAME(first->num));
        if (k->applied)
            world_fail(&s->w, "fallback: " NAME_FMT " stands in for " NAME_FMT ", which arrived",
                       NAME(r->num), NAME(first->num));
        if (first->state != DS_SUPERSEDED)
            world_fail(&s->w, "fallback: " NAME_FMT " stands in for " NAME_FMT ", which is %s",
                       NAME(r->num), NAME(first->num), delivery_state_names[first->state]);
    }
}

unsigned check_fell(struct sim *s, const struct event_row *e, const struct conf_route *route)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < e->n_rows; i++) {
        const struct row *r = e->rows[i], *first;
        if (!r || !str_eq(r->route, str_of(route->name)) || tables_remapped(r))
            continue;
        while (r->instead)
            r = r->instead;
        first = stands_for(s, r);
        const struct conf_route *from = first ? config_route(&s->config, first->route) : NULL;
        if (!first)
            continue;
        n++;
        if (delivery_event(first->num) != e->id || from->fallback_route != route)
            world_fail(&s->w,
                       "fallback: " NAME_FMT " stands in for " NAME_FMT ", which has another",
                       NAME(r->num), NAME(first->num));
    }
    return n;
}
