/*
 * check_stop.c - the properties of pauses and of reloads: what was stopped by hand or has gone from
 * the configuration gets nothing, and nothing is lost by it.
 */
#include <inttypes.h>
#include "sim.h"

#define NAME(num) (num) >> DELIVERY_ORDINAL_BITS, (unsigned)((num)&DELIVERY_ORDINAL_MAX)
#define NAME_FMT  "%" PRIu64 ".%u"

#define PACED_MS 6000 /* the longest that a batch, once its slot is taken, waits for its token */

static const struct stop *stop_of(const struct sim *s, const struct conf_route *r)
{
    return &s->stops[true][r->index];
}

/* ---- what a remote gets ---- */

/** Each pause holds from the moment that whoever asked for it was told so. */
static void check_pause(struct call *c, const struct row *row, bool question)
{
    struct sim *s = c->remote->sim;
    const struct stop *here = &s->stops[false][c->remote->index];
    const struct conf_route *route = config_route(&s->config, row->route);

    if (here->on && !(question && here->drain))
        world_fail(&s->w, "pause: " NAME_FMT " %s %s, which is %s", NAME(row->num),
                   question ? "is asked for at" : "is sent to", c->remote->conf->name,
                   here->drain ? "drained" : "paused");
    if (!question && stop_of(s, route)->on)
        world_fail(&s->w, "pause: " NAME_FMT " is sent, and route %s is paused", NAME(row->num),
                   route->name);
}

/** What was on its way when its route went may end. */
static void check_removed(struct call *c, const struct row *row, const struct batch_row *sent)
{
    struct sim *s = c->remote->sim;
    const struct conf_route *route = config_route(&s->config, row->route);

    if (c->remote->removed)
        world_fail(&s->w, "reload: " NAME_FMT " goes to %s, which was removed", NAME(row->num),
                   c->remote->conf->name);
    if (sent && !(s->with_routes[s->epoch] >> route->index & 1) &&
        s->epoch_ms[s->epoch] + SLACK_MS < sent->at_ms)
        world_fail(&s->w, "reload: " NAME_FMT " is sent, and route %s was removed", NAME(row->num),
                   route->name);
}

void check_stopped(struct call *c, const struct row *row, const struct batch_row *sent)
{
    check_pause(c, row, !sent);
    check_removed(c, row, sent);
}

/** Does it wait for a person, or has done so of late? Then it is not its turn. */
bool check_is_stopped(const struct sim *s, const struct row *row, int64_t *since)
{
    const struct conf_route *route = config_route(&s->config, row->route);
    const struct stop *stop = stop_of(s, route);

    if (stop->ended_ms > *since)
        *since = stop->ended_ms;
    if (s->epoch && s->epoch_ms[s->epoch] > *since)
        *since = s->epoch_ms[s->epoch];
    return stop->on;
}

/* ---- limits that change ---- */

void check_reloaded(struct remote *r, const struct conf_endpoint *e)
{
    const struct conf_endpoint *was = r->conf;

    r->removed = !e;
    if (!e)
        return;
    check_refill(r);
    r->conf = e;
    if (e->concurrency < was->concurrency) { /* who has a slot keeps it */
        r->slots = r->slots > was->concurrency ? r->slots : was->concurrency;
        r->slots_until = world_now() + PACED_MS;
    }
    if (!was->rate_milli_per_s)
        r->tokens = (int64_t)e->burst * 1000000;
    else if (r->tokens > 0 && was->burst != e->burst)
        r->tokens = r->tokens * (int64_t)e->burst / (int64_t)was->burst + 1;
}

/* ---- what is made of events ---- */

/** How many deliveries of a route there must be, by what the configuration said meanwhile. */
void check_made(const struct sim *s, const struct event_row *e, const struct conf_route *route,
                unsigned *least, unsigned *most)
{
    bool matches = conf_route_matches(route, e->receipt.endpoint, e->receipt.topic);
    uint32_t all = UINT32_MAX, any = 0;

    for (unsigned i = e->epoch_in; i <= e->epoch_out; i++) {
        all &= s->with_routes[i];
        any |= s->with_routes[i];
    }
    *least = matches && (all >> route->index & 1);
    *most = matches && (any >> route->index & 1);
}

bool check_was_there(const struct sim *s, const struct event_row *e, const struct row *r)
{
    const struct conf_route *route = config_route(&s->config, r->route);
    const struct conf_endpoint *to = config_endpoint(&s->config, r->endpoint);
    bool was = true;

    for (unsigned i = e->epoch_in; i <= e->epoch_out; i++)
        was &= (s->with_routes[i] >> route->index & 1) &&
               (!to || (s->with_endpoints[i] >> to->index & 1));
    return was;
}

/** What arrives while its route is gone, or has just gone, is followed by nothing. */
void check_unfollowed(struct sim *s, const struct rec_move *m)
{
    const struct row *r = tables_row(s->t, m->num);
    bool was = true;

    for (unsigned i = 0; r && m->state == DS_DELIVERED && i <= s->epoch; i++)
        if (i == s->epoch || s->epoch_ms[i + 1] + SLACK_MS > world_now())
            was &= s->with_routes[i] >> config_route(&s->config, r->route)->index & 1;
    book_of(s, m->num)->unfollowed |= !was;
}

void check_epoch(struct sim *s, uint64_t seq, enum record_type type, sl_str payload)
{
    struct rec_routed rec;
    struct event_row *e;

    if (type == REC_RECEIPT && (e = tables_event(s->t, seq)))
        e->epoch_in = s->epoch;
    if (type != REC_ROUTED || rec_routed_decode(payload, &rec) < 0)
        return;
    if ((e = tables_event(s->t, rec.event)))
        e->epoch_out = s->epoch;
    rec_routed_finish(&rec);
}
