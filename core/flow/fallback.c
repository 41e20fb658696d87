/*
 * fallback.c - where a delivery goes when its own endpoint has done with it.
 */
#include "flow/fallback.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/group.h"
#include "flow/settle.h"
#include "store/detail.h"

const struct conf_target *fallback_of(const struct delivery *d)
{
    const struct conf_route *r = d->route;

    return r && r->fallback && !d->fallen && !conf_fallback_at(r, d->lane->conf) ? r->fallback
                                                                                 : NULL;
}

static const struct conf_route *route_of(const struct delivery *d)
{
    return d->route ? d->route->fallback_route : NULL;
}

const char *fallback_any(const struct delivery *d)
{
    const struct conf_target *t = fallback_of(d);

    if (t)
        return t->n_members ? t->members[0].endpoint->name : t->endpoint->name;
    return route_of(d) ? route_of(d)->name : NULL;
}

static sl_str text_of(struct buf *b)
{
    sl_str s;

    s.ptr = buf_steal(b, &s.len);
    return s;
}

/** A group's member; `detail` gets the choice. Nothing is lost if the move never becomes durable
 *  but the member's turn. */
static const struct conf_target *member_of(const struct delivery *d, const struct conf_target *t,
                                           struct buf *detail)
{
    struct group_ask ask = {
        .route = d->route, .subject = str_of(d->subject), .piece = str_of(d->piece), .id = d->id
    };
    struct group_turn turn;

    t = group_choose(d->lane->flow, t, &ask, detail, &turn);
    group_chosen(&turn, true);
    return t;
}

/** Definitely not done: it goes there, under the same id and key. */
static void go(const struct delivery *d, const struct conf_target *t, sl_str why,
               struct rec_move *m)
{
    struct buf reason = { 0 }, detail = { 0 };
    const char *from = d->lane->conf->name, *to;

    if (t->n_members)
        t = member_of(d, t, &detail);
    to = t->endpoint->name;
    buf_printf(&reason, "it goes to %s instead; %s: " STR_FMT, to, from, STR_ARG(why));
    if (detail.len)
        detail.len--; /* its bracket */
    buf_printf(&detail,
               "%c\"fallback\":{\"from\":\"%s\",\"to\":\"%s\",\"because\":", detail.len ? ',' : '{',
               from, to);
    buf_json_str(&detail, why);
    buf_cstr(&detail, "}}");
    m->state = DS_READY;
    m->burnt = BURNT_ANEW;
    m->generation = d->generation;
    m->next_ms = 0;
    m->endpoint = (sl_str){ mem_str(to), strlen(to) };
    m->reason = text_of(&reason);
    m->detail = text_of(&detail);
}

/** Definitely not done: its event goes by another route, as soon as this is durable. */
static void go_by_route(const struct delivery *d, const struct conf_route *r, bool rejected,
                        sl_str why, struct rec_move *m)
{
    struct buf reason = { 0 }, detail = { 0 };

    buf_printf(&reason, "it goes by route %s instead: " STR_FMT, r->name, STR_ARG(why));
    buf_printf(&detail, "{\"fallback\":{\"to_route\":\"%s\",\"because\":", r->name);
    buf_json_str(&detail, why);
    buf_cstr(&detail, "}}");
    m->state = DS_HELD;
    m->hold_type = (sl_str){ mem_str(HOLD_FALLBACK), strlen(HOLD_FALLBACK) };
    m->generation = d->generation + rejected; /* should it ever be sent again after all */
    m->next_ms = clock_wall_ms();
    m->reason = text_of(&reason);
    m->detail = text_of(&detail);
}

/** It may be there: no other gets it before that is known. */
static void ask_first(const struct delivery *d, sl_str why, struct rec_move *m)
{
    struct buf reason = { 0 };

    if (!d->lane->adapter || !d->lane->adapter->plugin->confirm) {
        unknown_hold(d, why, m);
        return;
    }
    buf_printf(&reason, STR_FMT "; before it goes %s %s, %s is asked whether it arrived",
               STR_ARG(why), fallback_of(d) ? "to" : "by route", fallback_any(d),
               d->lane->conf->name);
    m->state = DS_UNKNOWN;
    m->next_ms = clock_wall_ms() + d->lane->conf->confirm_after_ms;
    m->reason = text_of(&reason);
}

bool fallback_take(const struct delivery *d, bool rejected, sl_str why, struct rec_move *m)
{
    const struct conf_target *t = fallback_of(d);

    if (!fallback_any(d) ||
        !(d->route->fallback_on & (rejected ? FALLBACK_REJECTED : FALLBACK_EXHAUSTED)))
        return false;
    if (m->arrival != ARRIVAL_NO)
        ask_first(d, why, m);
    else if (t)
        go(d, t, why, m);
    else
        go_by_route(d, route_of(d), rejected, why, m);
    return true;
}

/* ---- memory follows ---- */

/** With where it fell from, as the store keeps it; own. NULL: it did not fall, or the move says. */
static char *detail_after(const struct delivery *d, const struct rec_move *m)
{
    const char *because = d->fallen ? strstr(d->fallen, ": ") : NULL;
    struct buf before = { 0 };
    char *all;

    if (!because)
        return NULL;
    buf_cstr(&before, "{\"fallback\":{\"from\":");
    buf_json_str(&before, (sl_str){ d->fallen, (size_t)(because - d->fallen) });
    buf_cstr(&before, ",\"because\":");
    buf_json_str(&before, str_of(because + 2));
    buf_cstr(&before, "}}");
    all = m->detail.len ? detail_follow(buf_view(&before), m->detail) : buf_steal(&before, NULL);
    buf_finish(&before);
    return all;
}

void fallback_follow(struct delivery *d, const struct rec_move *m)
{
    struct flow *f = d->lane->flow;
    struct lane *to = lane_named(f, m->endpoint); /* removed meanwhile: it is held there */
    const struct conf_target *t = to && d->route ? conf_fallback_at(d->route, to->conf) : NULL;
    if (!t) /* to another member: the same job */
        t = d->target;
    char *route = mem_str(d->route ? d->route->name : ""), *subject = mem_str(d->subject);
    char *piece = mem_str(d->piece), *topic = mem_str(d->topic), *detail = detail_after(d, m);
    struct store_delivery row = {
        .num = d->num,
        .state = m->state,
        .priority = d->priority,
        .generation = m->generation,
        .received_ms = d->received_ms,
        .body_bytes = (uint32_t)d->body_len,
        .route = str_of(route),
        .piece = str_of(piece),
        .endpoint = m->endpoint,
        .action = str_of(t ? t->endpoint->plugin->actions[t->action].name : NULL),
        .subject = str_of(subject),
        .topic = str_of(topic),
        .detail = detail ? str_of(detail) : m->detail,
    };
    memcpy(row.id, d->id, sizeof(row.id));
    lane_remove(d);
    /* Whether its window has room or not: others of its subject wait behind it. */
    f->beyond = true;
    recover_row(f, to ? to : &f->nowhere, &row);
    if (to)
        lane_pump_soon(to);
    free(route);
    free(subject);
    free(piece);
    free(topic);
    free(detail);
}

char *fallback_story(sl_str detail)
{
    json_t *root = detail.len ? json_loadb(detail.ptr, detail.len, 0, NULL) : NULL;
    json_t *f = json_object_get(root, "fallback");
    const char *from = json_string_value(json_object_get(f, "from"));
    const char *because = json_string_value(json_object_get(f, "because"));
    struct buf b = { 0 };

    if (from && because)
        buf_printf(&b, "%s: %s", from, because);
    json_decref(root);
    return buf_steal(&b, NULL);
}

const struct conf_route *fallback_route(const struct flow *f, const struct store_delivery *row,
                                        char **ret_why)
{
    const struct conf_route *r = config_route(f->config, row->route);
    json_t *root = row->detail.len ? json_loadb(row->detail.ptr, row->detail.len, 0, NULL) : NULL;
    const char *why = json_string_value(
        json_object_get(json_object_get(root, "fallback"), "because"));

    struct buf said = { 0 };
    if (why)
        buf_cstr(&said, why);
    else
        buf_str(&said, row->reason);
    if (r && r->fallback_route && row->edited) {
        buf_printf(&said, "; route %s would make it anew from its event, without what was edited",
                   r->fallback_route->name);
        r = NULL;
    }
    *ret_why = buf_steal(&said, NULL);
    json_decref(root);
    return r ? r->fallback_route : NULL;
}
