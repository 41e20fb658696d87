/*
 * after.c - `after: ROUTE`: a delivery goes when that route's deliveries of the same event are
 * delivered, or out of the way: discarded, superseded, or never made. A dead one keeps it back.
 */
#include <string.h>
#include "flow/behind.h"
#include "flow/order.h"

bool after_wanted(const struct delivery *d)
{
    return d->route && d->route->n_after;
}

/** One of them, or what it falls back to. */
static bool goes_before(const struct delivery *d, const struct conf_route *r)
{
    const struct conf_route *a;

    for (size_t i = 0; r && i < d->route->n_after; i++)
        for (a = d->route->after[i]; a; a = a->fallback_route)
            if (!strcmp(a->name, r->name)) /* not of one configuration, perhaps */
                return true;
    return false;
}

/** The first one that is in the way; NULL: none. */
const struct gate_row *after_in_the_way(const struct gate *g, const struct delivery *d)
{
    for (size_t i = 0; i < g->n_rows; i++) {
        const struct gate_row *row = &g->rows[i];
        if ((!delivery_state_final((enum delivery_state)row->state) || row->state == DS_DEAD) &&
            goes_before(d, row->route))
            return row;
    }
    return NULL;
}

/** Does one that waits here for this row stand before it? */
static bool is_awaited(const struct gate *g, const struct store_delivery *row)
{
    const struct conf_route *r = config_route(g->flow->config, row->route);

    list_each (i, &g->waiting) {
        const struct delivery *d = list_entry(i, struct delivery, gate_node);
        if (d->num < row->num && goes_before(d, r))
            return true;
    }
    return false;
}

void after_fetch(const struct gate *g, const struct store_delivery *rows, size_t n)
{
    struct flow *f = g->flow;

    for (size_t i = 0; i < n; i++) {
        const struct store_delivery *row = &rows[i];
        struct lane *l = lane_named(f, row->endpoint);
        if (row->state != DS_READY || !l || flow_delivery(f, row->num) || !is_awaited(g, row) ||
            behind_keeps(f, config_route(f->config, row->route), row->subject, row->piece,
                         row->num))
            continue;
        f->beyond = true;
        recover_row(f, l, row);
        lane_pump_soon(l);
    }
}

enum gate_verdict after_judge(const struct gate *g, struct delivery *d)
{
    return after_in_the_way(g, d) ? GATE_STAY : GATE_GO;
}

void after_say(const struct gate *g, const struct delivery *d, struct why *w)
{
    const struct gate_row *row = after_in_the_way(g, d);
    char name[32];

    if (!row) {
        why_say(w, 0, "its turn");
        return;
    }
    const struct delivery *other = flow_delivery(g->flow, row->num);
    enum delivery_state state = other ? other->state : (enum delivery_state)row->state;
    delivery_name(row->num, name);
    why_say(w, other && state == DS_WAITING ? other->next_ms : 0,
            "route %s, whose delivery %s is %s", row->route->name, name,
            state == DS_DEAD ? "a dead letter: replay or discard it" : delivery_state_names[state]);
}
