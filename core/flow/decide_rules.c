/*
 * decide_rules.c - may a delivery be decided so, and what does it mean: by its state, its hold, its
 * route and what is known of where it arrived. Nothing is written here.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/confirm.h"
#include "flow/decide_state.h"
#include "flow/failover.h"
#include "flow/fallback.h"
#include "flow/lookup.h"
#include "flow/row.h"
#include "flow/settle.h"
#include "flow/with.h"

static const char *const verbs[] = {
    "replayed",   "discarded", "released",   "rejected",           "marked as arrived",
    "moved",      "held",      "sent again", "moved by its clock", "edited and replayed",
    "taken back", "looked up"
};

void decide_refuse(struct choice *c, int status, const char *fmt, ...)
{
    struct decided *r = &c->all->results[c->index];
    va_list ap;

    r->status = status;
    va_start(ap, fmt);
    vsnprintf(r->text, sizeof(r->text), fmt, ap);
    va_end(ap);
}

/* ---- is it allowed, and what does it mean ---- */

static bool state_allows(enum decision what, bool force, enum delivery_state s)
{
    switch (what) {
    case DECISION_REPLAY:
        return s == DS_DEAD || s == DS_DISCARDED || (force && s == DS_DELIVERED);
    case DECISION_EDIT:
        return s == DS_DEAD || s == DS_HELD;
    case DECISION_DISCARD:
        return s == DS_DEAD || s == DS_HELD || s == DS_WAITING || s == DS_READY;
    case DECISION_MOVE: /* failover_check() says more of it */
        return true;
    case DECISION_INTERLOCK:
    case DECISION_CANCEL:
        return s == DS_READY || s == DS_WAITING || s == DS_UNKNOWN;
    default:
        return s == DS_HELD;
    }
}

static const char *wanted(enum decision what)
{
    switch (what) {
    case DECISION_REPLAY:
        return "only dead or discarded ones can be replayed (delivered ones with --force)";
    case DECISION_EDIT:
        return "only dead or held ones can be edited";
    case DECISION_DISCARD:
        return "only dead, held, ready or waiting ones can be discarded";
    default:
        return "only held ones can be released, rejected, marked as arrived or sent again";
    }
}

/** Where a delivery that becomes ready goes; NULL with the refusal written. */
static struct lane *lane_for(struct choice *c)
{
    struct deciding *a = c->all;
    const struct conf_route *r = config_route(a->flow->config, c->row.route);
    sl_str name = c->verdict.to    ? str_of(c->verdict.to)
                  : a->endpoint[0] ? str_of(a->endpoint)
                                   : c->row.endpoint;
    struct lane *l = flow_lane(a->flow, name);

    if (!name.len)
        decide_refuse(c, UV_EINVAL, "it has no endpoint: say where to with --to ENDPOINT");
    else if (!l)
        decide_refuse(c, UV_EINVAL, "there is no endpoint \"" STR_FMT "\"", STR_ARG(name));
    else if (!r)
        decide_refuse(c, UV_EINVAL, "its route \"" STR_FMT "\" is no longer in the configuration",
                      STR_ARG(c->row.route));
    else if (!find_target(r, l, c->row.action))
        decide_refuse(c, UV_EINVAL, "route %s does not send to \"" STR_FMT "\"", r->name,
                      STR_ARG(name));
    else
        return l;
    return NULL;
}

/** To another member of its group, as far as the interlock allows it. */
static void move_one(struct choice *c)
{
    struct deciding *a = c->all;
    struct decided *result = &a->results[c->index];
    struct buf detail = { 0 };
    char text[160];
    int r = failover_check(a->flow, &c->row, str_of(a->endpoint), a->nothing_there, &c->m, &detail,
                           text);

    /* Elsewhere, and held as before; or what it says of a change that it was given. */
    if (c->m.state == DS_HELD || hold_amended_by(c->row.detail))
        hold_carry(&detail, &c->row);
    c->detail = buf_steal(&detail, NULL);
    c->m.detail = str_of(c->detail);
    c->move = r == 0;
    if (r < 0)
        decide_refuse(c, r, "%s", text);
    else
        snprintf(result->text, sizeof(result->text), "moved to %s", a->endpoint);
}

/** In doubt at a member that is out: it is taken back there; or, for too long, a person says where
 * it is. */
static void interlock_one(struct choice *c)
{
    struct deciding *a = c->all;
    const struct conf_route *r = config_route(a->flow->config, c->row.route);
    struct lane *l = flow_lane(a->flow, c->row.endpoint);
    const struct conf_target *t =
        l ? find_group_target(r, l, c->row.action, group_of_detail(c->row.detail)) : NULL;
    struct buf detail = { 0 };

    if (!t || !t->group) {
        decide_refuse(c, UV_EINVAL, "it is with no group");
        return;
    }
    if (a->what == DECISION_CANCEL) {
        cancel_detail(&detail, t, str_of(a->why));
        c->m.next_ms = clock_wall_ms();
    } else {
        failover_choices(&detail, t, flow_route_owner(a->flow, c->row.route), str_of(a->why));
        if (cancel_is_on(c->row.detail))
            cancel_note(&detail);
        c->m.hold_type = STR(HOLD_INTERLOCK);
    }
    c->detail = buf_steal(&detail, NULL);
    c->m.detail = str_of(c->detail);
    c->move = true;
}

/** A person who releases it says that it has not arrived. */
static bool settles_doubt(const struct choice *c)
{
    return str_eq(c->row.hold_type, STR(HOLD_INTERLOCK)) ||
           str_eq(c->row.hold_type, STR("unknown-outcome"));
}

/** Released to another endpoint than where it may have arrived: only by who says that it has not.
 */
static bool may_be_at_another(struct choice *c)
{
    const char *to = c->verdict.to ? c->verdict.to : c->all->endpoint;

    if (!to[0] || str_eq(str_of(to), c->row.endpoint) || !store_in_doubt(&c->row) ||
        settles_doubt(c))
        return false;
    decide_refuse(c, UV_EINVAL,
                  STR_FMT " may have it; if you know that it has nothing: sluice deliveries move",
                  STR_ARG(c->row.endpoint));
    return true;
}

/** Is it still the hold that was meant? Not if it was decided upon and is held again. */
static bool is_meant(struct choice *c)
{
    if (c->type && !str_eq(c->row.hold_type, str_of(c->type)))
        decide_refuse(c, UV_EINVAL, "it is not held as %s any more", c->type);
    else if (c->clock_ms && c->row.next_ms != c->clock_ms)
        decide_refuse(c, UV_EINVAL, "its clock was set anew");
    else
        return true;
    return false;
}

static void take_verdict(struct choice *c)
{
    const struct hold_verdict *v = &c->verdict;

    c->m.state = v->state;
    c->m.next_ms = v->next_ms;
    c->m.hold_type = str_of(v->hold_type);
    c->m.detail = str_of(v->detail);
    if (v->reason)
        c->m.reason = str_of(v->reason);
    if (v->body) { /* as an edit */
        c->m.generation = c->row.generation + 1;
        c->m.arrival = ARRIVAL_NO;
        c->m.body = (sl_str){ v->body, v->body_len };
    }
}

/** What its hold makes of the decision. */
static bool decide_hold(struct choice *c)
{
    struct deciding *a = c->all;
    int64_t now = clock_wall_ms();
    char text[160];

    if (c->what == DECISION_CLOCK) {
        hold_ran_out(a->flow, &c->row, now, "", &c->verdict);
        if (c->verdict.asks) {
            decide_refuse(c, UV_EAGAIN, "what it waits for is looked up");
            return false;
        }
    } else if (c->what == DECISION_LOOKED_UP) {
        lookup_verdict(a->lookup, &c->row, now, &c->verdict);
    } else if (c->what == DECISION_RELEASE || c->what == DECISION_REJECT) {
        const struct hold_word word = {
            .choice = str_of(a->chosen),
            .release = c->what == DECISION_RELEASE,
            .why = str_of(a->why),
            .fill = { str_of(a->set), { c->body, c->body_len } },
        };
        if (hold_chosen(&c->row, &word, now, &c->verdict, text) < 0) {
            decide_refuse(c, UV_EINVAL, "%s", text);
            return false;
        }
    } else {
        return true;
    }
    if (a->endpoint[0] && !a->chosen[0]) { /* a person's word goes before the hold's */
        free(c->verdict.to);
        c->verdict.to = NULL;
    }
    take_verdict(c);
    return true;
}

/** Its clock says that it goes, and it has nowhere to go to: then a person decides after all. */
static bool cannot_go(struct choice *c)
{
    struct decided *r = &c->all->results[c->index];
    char text[sizeof(r->text)];

    if (c->what != DECISION_CLOCK)
        return false;
    snprintf(text, sizeof(text), "%s", r->text);
    r->status = 0;
    hold_verdict_finish(&c->verdict);
    hold_ran_out(c->all->flow, &c->row, clock_wall_ms(), text, &c->verdict);
    take_verdict(c);
    return true;
}

/** It waits for rows. Mapping it again takes a while, and is a decision of its own. */
static void look_up(struct choice *c)
{
    c->remap = c->all->remap;
    if (c->remap)
        return;
    if (with_rang(c->all->flow, &c->row, &c->verdict)) {
        decide_refuse(c, UV_ETIMEDOUT, "it is mapped again");
        return;
    }
    take_verdict(c);
    c->move = true;
}

/** May it be decided so? If not it is refused, and says why. */
static bool is_allowed(struct choice *c, const struct delivery *d, enum delivery_state s)
{
    const struct deciding *a = c->all;
    char text[160];

    if (!c->found)
        decide_refuse(c, UV_ENOENT, "there is no such delivery");
    else if (d && (d->settling || d->batch || d->state == DS_INFLIGHT))
        decide_refuse(c, UV_EBUSY, "it is under way at this moment");
    else if (!state_allows(c->what, a->force, s))
        decide_refuse(c, UV_EINVAL, "it is %s; %s", delivery_state_names[s], wanted(c->what));
    else if (!is_meant(c))
        return false; /* it has said so itself */
    else if (c->what == DECISION_ARRIVED && !c->row.first_sent_ms)
        decide_refuse(c, UV_EINVAL, "it was never sent, so it cannot have arrived");
    else if (a->what == DECISION_AGAIN && !str_eq(c->row.hold_type, STR(HOLD_UNKNOWN)))
        decide_refuse(c, UV_EINVAL,
                      "it is held as " STR_FMT ": only an unknown outcome is sent again",
                      STR_ARG(c->row.hold_type));
    else if (s == DS_DISCARDED && str_eq(c->row.hold_type, STR(REMAPPED)))
        decide_refuse(c, UV_EINVAL, "it was mapped again: replay the delivery that was made of it");
    else if (delivery_state_final(s) && str_eq(c->row.hold_type, STR(HOLD_ERASED)))
        decide_refuse(c, UV_EINVAL, "what it said was erased: there is nothing to send again");
    else if (a->what == DECISION_EDIT && edit_check(&c->row, a->force, text) < 0)
        decide_refuse(c, UV_EINVAL, "%s", text);
    else
        return true;
    return false;
}

/** It was given up, and its event goes by another route: if there is one still. */
static void go_by_route(struct choice *c)
{
    const struct conf_route *by = fallback_route(c->all->flow, &c->row, &c->edited);

    c->remap = by != NULL;
    c->by = by ? mem_str(by->name) : NULL;
    c->move = !by;
    c->m.state = DS_DEAD;
    c->m.reason = str_of(c->edited);
}

/** What a person says has not arrived, `--to` the route that it falls back to. */
static bool is_handed_over(struct choice *c)
{
    const struct conf_route *r = config_route(c->all->flow->config, c->row.route);

    if (c->what != DECISION_RELEASE || !r || !r->fallback_route ||
        strcmp(r->fallback_route->name, c->all->endpoint) != 0 ||
        config_endpoint(c->all->flow->config, str_of(c->all->endpoint)))
        return false;
    c->edited = mem_str(c->all->why[0] ? c->all->why : "handed over by a person");
    c->by = mem_str(r->fallback_route->name);
    return true;
}

/** It is to go: where, and may it? False: it was refused, or is held instead. */
static bool send_on(struct choice *c, enum delivery_state s)
{
    const struct deciding *a = c->all;

    if (is_handed_over(c)) {
        if (store_in_doubt(&c->row) && !settles_doubt(c))
            decide_refuse(c, UV_EINVAL, STR_FMT " may have it", STR_ARG(c->row.endpoint));
        else if (c->row.edited || c->m.body.ptr)
            decide_refuse(c, UV_EINVAL,
                          "its payload %s edited, and route %s would make it anew from its event; "
                          "release it to where it is, or reject it",
                          c->m.body.ptr ? "is" : "was", c->by);
        c->remap = a->results[c->index].status == 0;
        return c->remap;
    }

    /* What never got a body or an endpoint is made again from its event. */
    c->remap = a->what != DECISION_EDIT &&
               (a->remap || str_eq(c->row.hold_type, STR("route-paused")) ||
                (s == DS_HELD && str_eq(c->row.hold_type, STR(HOLD_LOOK_UP))) ||
                (s == DS_DEAD && !c->row.endpoint.len));
    if (!c->remap && !lane_for(c) && !cannot_go(c))
        return false;
    if (!c->remap && c->m.state == DS_READY && may_be_at_another(c))
        return false;
    if ((c->what == DECISION_RELEASE || c->what == DECISION_AGAIN) && settles_doubt(c)) {
        c->m.arrival = ARRIVAL_NO;
        c->m.generation += cancel_noted(c->row.detail);
    }
    if (!c->remap && c->m.state == DS_READY && c->verdict.to)
        c->m.endpoint = str_of(c->verdict.to);
    else if (!c->remap && c->m.state == DS_READY && a->endpoint[0])
        c->m.endpoint = str_of(a->endpoint);
    return true;
}

void decide_judge(struct choice *c)
{
    struct deciding *a = c->all;
    struct delivery *d = flow_delivery(a->flow, c->row.num);
    enum delivery_state s = d ? d->state : c->row.state;
    static const uint8_t after[] = { DS_READY,     DS_DISCARDED, DS_READY,   DS_DEAD,
                                     DS_DELIVERED, DS_READY,     DS_HELD,    DS_READY,
                                     DS_HELD,      DS_READY,     DS_UNKNOWN, DS_HELD };

    if (a->results[c->index].status < 0 || !is_allowed(c, d, s))
        return;
    c->m = (struct rec_move){
        .num = c->row.num,
        .state = after[c->what],
        .generation = c->row.generation,
        .reason = str_of(a->why),
    };
    if (a->what == DECISION_MOVE || a->what == DECISION_INTERLOCK || a->what == DECISION_CANCEL) {
        if (a->what == DECISION_MOVE)
            move_one(c);
        else
            interlock_one(c);
        return;
    }
    if (c->what == DECISION_CLOCK && str_eq(c->row.hold_type, STR(HOLD_FALLBACK))) {
        go_by_route(c);
        return;
    }
    if (c->what == DECISION_CLOCK && str_eq(c->row.hold_type, STR(HOLD_LOOK_UP))) {
        look_up(c);
        return;
    }
    if (a->set_priority)
        c->m.set_priority = a->set_priority;
    if (a->what == DECISION_EDIT) { /* a new key for what is another request */
        c->m.generation++;
        c->m.arrival = ARRIVAL_NO;
        c->m.reason = str_of(c->edited);
        c->m.body = (sl_str){ a->body, a->body_len };
    }
    if (s == DS_HELD && !decide_hold(c))
        return;
    if (c->m.state == DS_READY && !send_on(c, s))
        return;
    c->move = !c->remap;
    snprintf(a->results[c->index].text, sizeof(a->results[c->index].text), "%s",
             c->m.state == DS_DEAD && c->what == DECISION_RELEASE ? verbs[DECISION_REJECT]
                                                                  : verbs[c->what]);
}
