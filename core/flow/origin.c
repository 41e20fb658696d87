/*
 * origin.c - `to: origin`: of the endpoints that it may be, the one that the event is from. That is
 * its own endpoint, or the one whose adapter knows the subject as its own: what a supplier says of
 * an order goes to the shop that sold it, long after the order's own event is gone.
 */
#include "flow/routing.h"

static bool owns(const struct lane *l, sl_str subject)
{
    const sl_plugin *p = l && l->adapter ? l->adapter->plugin : NULL;

    return p && SL_HAS(sl_plugin, p, owns) && p->owns(l->adapter->self, subject);
}

static const struct conf_target *origin_of(const struct routing *rt, const struct conf_target *t)
{
    for (size_t i = 0; i < t->n_members; i++)
        if (str_eq(str_of(t->members[i].endpoint->name), rt->event->endpoint))
            return &t->members[i];
    for (size_t k = 0; k < rt->n_abouts; k++)
        for (size_t i = 0; i < t->n_members; i++)
            if (owns(lane_named(rt->flow, str_of(t->members[i].endpoint->name)),
                     str_of(rt->abouts[k].subject)))
                return &t->members[i];
    return NULL;
}

void origin_find(struct routing *rt, struct piece *p)
{
    const struct conf_target *t = p->target;
    struct buf b = { 0 };

    if (!t || t->kind != TARGET_ORIGIN)
        return;
    p->target = origin_of(rt, t);
    if (p->target)
        return;
    buf_printf(&b,
               "origin: its subject, \"" STR_FMT "\", is of none of the endpoints that can %s: ",
               STR_ARG(str_of(routing_subject(rt))),
               t->members[0].endpoint->plugin->actions[t->members[0].action].name);
    for (size_t i = 0; i < t->n_members; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", t->members[i].endpoint->name);
    p->error = buf_steal(&b, NULL);
}
