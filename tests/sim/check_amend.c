/*
 * check_amend.c - `overtakes: { held: amend }`: after any crash an order and its changes say the
 * same. What was amended has the body of the newest change that ended for it, and a new key; its
 * detail names that one until it says of something else, such as another endpoint or, once it was
 * sent, why nobody knows whether it arrived.
 */
#include <inttypes.h>
#include "flow/hold.h"
#include "sim.h"

#define NAME(num) (num) >> DELIVERY_ORDINAL_BITS, (unsigned)((num)&DELIVERY_ORDINAL_MAX)
#define NAME_FMT  "%" PRIu64 ".%u"

/** Did this change end, since it was given to that delivery? */
static bool ended_for(const struct sim *s, const struct row *change, const struct row *r)
{
    const struct conf_route *route = config_route(&s->config, change->route);
    struct buf said = { 0 };
    char name[32];
    bool ended;

    if (change->state != DS_SUPERSEDED || !route->overtakes_amends)
        return false;
    delivery_name(r->num, name);
    buf_printf(&said, "nothing had been sent: it amended %s, which is held", name);
    ended = str_eq(change->reason, buf_view(&said));
    buf_finish(&said);
    return ended;
}

static void check_order(struct sim *s, const struct row *r)
{
    const struct row *by = tables_row(s->t, hold_amended_by(r->detail)), *ended = NULL;

    for (size_t i = 0; i < s->t->n_rows; i++) {
        const struct row *change = s->t->rows[i];
        if (ended_for(s, change, r) && (!ended || change->num > ended->num))
            ended = change;
    }
    if (ended && r->state == DS_HELD && !book_of(s, r->num)->key[0] &&
        (!by || ended->num > by->num))
        world_fail(&s->w, "amend: " NAME_FMT " ended for " NAME_FMT ", which does not say so",
                   NAME(ended->num), NAME(r->num));
    if (ended && (!by || ended->num > by->num))
        by = ended;
    if (!by)
        return;
    if (by->num < r->num || !str_eq(by->subject, r->subject) ||
        (!str_eq(by->body, r->body) && !book_of(s, r->num)->filled))
        world_fail(&s->w, "amend: " NAME_FMT " has not got what " NAME_FMT " says", NAME(r->num),
                   NAME(by->num));
    if (!r->generation)
        world_fail(&s->w, "amend: " NAME_FMT " goes under its old key", NAME(r->num));
}

void check_amended(struct sim *s)
{
    for (size_t i = 0; i < s->t->n_rows; i++) {
        const struct conf_route *route = config_route(&s->config, s->t->rows[i]->route);
        if (route && route->overtaken)
            check_order(s, s->t->rows[i]);
    }
}
