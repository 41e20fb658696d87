/*
 * check_hold.c - what an event releases: what waited for just that, about the same subject, and in
 * the same append that says what was made of the event.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "sim.h"

#define NAME(num) (num) >> DELIVERY_ORDINAL_BITS, (unsigned)((num)&DELIVERY_ORDINAL_MAX)
#define NAME_FMT  "%" PRIu64 ".%u"

static bool is_about(const struct event_row *e, sl_str subject)
{
    for (size_t i = 0; i < e->n_abouts; i++)
        if (str_eq(e->abouts[i], subject))
            return true;
    return false;
}

/** The hold that it was in; NULL: another than its route's. */
static const struct conf_hold *hold_before(const struct sim *s, const struct row *r)
{
    const struct conf_route *route = config_route(&s->config, r->route);
    const struct conf_hold *holds[] = { route->wait, route->hold };

    for (int i = 0; i < 2; i++)
        if (holds[i] && str_eq(r->hold_before, str_of(holds[i]->type)))
            return holds[i];
    return NULL;
}

void check_released(struct sim *s, sl_str who, const struct rec_move *m)
{
    const struct row *r = tables_row(s->t, m->num);
    const struct event_row *e;
    const struct conf_hold *h;

    if (!r || !str_starts(who, STR("event ")))
        return;
    e = tables_event(s->t, strtoull(who.ptr + strlen("event "), NULL, 10));
    h = hold_before(s, r);
    if (r->before != DS_HELD || !h || !h->n_until)
        world_fail(&s->w, "event: " NAME_FMT " was %s and waited for none", NAME(m->num),
                   delivery_state_names[r->before]);
    else if (e && !e->routed && e->receipt.origin == EO_POLLED &&
             conf_topic_matches(h->until, h->n_until, e->receipt.topic))
        ; /* looked up, and found to be one that came meanwhile */
    else if (!e || e->routed != 1 || e->duplicate_of || !is_about(e, r->subject) ||
             !conf_topic_matches(h->until, h->n_until, e->receipt.topic))
        world_fail(&s->w,
                   "event: " NAME_FMT " is released by " STR_FMT ", which it did not wait for",
                   NAME(m->num), STR_ARG(who));
    else if (e->routed_ms != world_now())
        world_fail(&s->w, "event: " NAME_FMT " is released %" PRId64 " ms after " STR_FMT,
                   NAME(m->num), world_now() - e->routed_ms, STR_ARG(who));
    else if (r->state != DS_READY && (r->state != DS_HELD || str_eq(r->hold_type, r->hold_before)))
        world_fail(&s->w, "event: " NAME_FMT " is released and %s", NAME(m->num),
                   delivery_state_names[r->state]);
}
