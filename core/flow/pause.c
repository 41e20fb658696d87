#include "flow/pause.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/group.h"

#define AGAIN_MS 1000

static const char *const spaces[] = { "pause-endpoint", "pause-route" };
static const char *const kinds[] = { "endpoint", "route" };

static char *key_of(bool route, sl_str name)
{
    struct buf b = { 0 };

    buf_printf(&b, "%s/" STR_FMT, kinds[route], STR_ARG(name));
    return buf_steal(&b, NULL);
}

static struct pause *find(const struct flow *f, bool route, sl_str name)
{
    char *key = key_of(route, name);
    struct pause *p;

    HASH_FIND_STR(f->pauses, key, p);
    free(key);
    return p;
}

const struct pause *pause_of(const struct flow *f, bool route, sl_str name)
{
    return f->pauses ? find(f, route, name) : NULL;
}

const struct pause *pause_here(const struct lane *l, const struct conf_route *r)
{
    return l->pause ? l->pause : pause_of(l->flow, true, str_of(r->name));
}

void pause_say(struct buf *b, const struct pause *p)
{
    char since[32];

    clock_format(p->since_ms, since);
    buf_printf(b, "%s by %s since %s%s%s", p->drain ? "drained" : "paused", p->who, since,
               p->why[0] ? ": " : "", p->why);
}

/* ---- memory ---- */

static void pause_free(struct pause *p)
{
    free(p->key);
    free(p->who);
    free(p->why);
    free(p);
}

/** What waits for its token has not been sent: it goes back. */
static void stop(struct lane *l, const struct pause *p, const char *route)
{
    struct buf why = { 0 };

    pause_say(&why, p);
    lane_unsend(l, route, why.data);
    buf_finish(&why);
}

/** The lanes, and the piles in them, learn what stands now. */
static void spread(struct flow *f, bool route, sl_str name)
{
    const struct pause *p = pause_of(f, route, name);

    for (size_t i = 0; i < f->n_all_lanes; i++) {
        struct lane *l = f->lanes[i];
        if (!route && !str_eq(str_of(l->name), name))
            continue;
        if (!route)
            l->pause = p;
        list_each (n, &l->piles) {
            struct pile *pile = list_entry(n, struct pile, node);
            if (route && str_eq(str_of(pile->route->name), name))
                pile->pause = p;
        }
        if (p)
            stop(l, p, route ? p->key + strlen("route/") : NULL);
        lane_pump_soon(l);
    }
    groups_wake(f);
    if (route)
        sift_look(f);
}

static void set(struct flow *f, bool route, sl_str name, const struct pause *as)
{
    struct pause *p = find(f, route, name);

    if (!p) {
        p = mem_zero(sizeof(*p));
        p->key = key_of(route, name);
        HASH_ADD_KEYPTR(hh, f->pauses, p->key, strlen(p->key), p);
    }
    free(p->who);
    free(p->why);
    p->who = mem_str(as->who);
    p->why = mem_str(as->why);
    p->since_ms = as->since_ms;
    p->drain = as->drain;
    p->event = as->event;
    spread(f, route, name);
}

static void unset(struct flow *f, bool route, sl_str name)
{
    struct pause *p = find(f, route, name);

    if (!p)
        return;
    HASH_DEL(f->pauses, p);
    spread(f, route, name);
    pause_free(p);
}

void pause_finish(struct flow *f)
{
    struct pause *p, *tmp;

    HASH_ITER (hh, f->pauses, p, tmp) {
        HASH_DEL(f->pauses, p);
        pause_free(p);
    }
}

/* ---- a person's word ---- */

struct asked {
    bool route, ends;
    char *name;
    struct pause as;
    void (*cb)(void *ctx, int status);
    void *ctx;
};

static void asked_free(struct asked *a)
{
    free(a->name);
    free(a->as.who);
    free(a->as.why);
    free(a);
}

static void on_durable(struct flow *f, void *ctx, int status)
{
    struct asked *a = ctx;

    f->pauses_said++;
    if (status == 0 && a->ends)
        unset(f, a->route, str_of(a->name));
    else if (status == 0)
        set(f, a->route, str_of(a->name), &a->as);
    if (status == 0)
        log_info(&f->log, "%s %s %s by %s%s%s", kinds[a->route], a->name,
                 a->ends       ? "resumed"
                 : a->as.drain ? "drained"
                               : "paused",
                 a->as.who, a->as.why[0] ? ": " : "", a->as.why);
    a->cb(a->ctx, status);
    asked_free(a);
}

int flow_pause(struct flow *f, const struct flow_pause *p, void (*cb)(void *ctx, int status),
               void *ctx)
{
    bool known = p->route ? config_route(f->config, p->name) != NULL
                          : config_endpoint(f->config, p->name) != NULL;
    struct asked *a;

    if (!known && !pause_of(f, p->route, p->name))
        return UV_ENOENT;
    a = mem_zero(sizeof(*a));
    *a = (struct asked){
        .route = p->route,
        .ends = p->what == PAUSE_ENDS,
        .name = mem_dup(p->name),
        .as = { .drain = p->what == PAUSE_DRAINS,
                .since_ms = clock_wall_ms(),
                .who = mem_dup(p->who),
                .why = mem_dup(p->why) },
        .cb = cb,
        .ctx = ctx,
    };
    flow_fact(f,
              &(struct flow_fact){
                  .space = str_of(spaces[p->route]),
                  .key = p->name,
                  .value = a->ends       ? STR("")
                           : a->as.drain ? STR("{\"drain\":true}")
                                         : STR("{\"drain\":false}"),
                  .who = p->who,
                  .why = p->why,
              },
              on_durable, a);
    return 0;
}

/* ---- an event's word ---- */

static void who_of(uint64_t event, char out[32])
{
    snprintf(out, 32, "event %" PRIu64, event);
}

void pause_record(struct flow *f, sl_str endpoint, uint64_t event, sl_str why, struct commit *c)
{
    char value[64], who[32];
    struct rec_state_item item = { str_of(spaces[false]), endpoint, { value, 0 } };
    struct store_record *rec;

    if (pause_of(f, false, endpoint))
        return; /* a person's word is not taken from him */
    who_of(event, who);
    item.value.len = (size_t)snprintf(value, sizeof(value),
                                      "{\"drain\":false,\"event\":%" PRIu64 "}", event);
    rec = commit_record(c, REC_STATE);
    rec->follows = true;
    rec_state_encode(&rec->payload, &(struct rec_state){ .at_ms = clock_wall_ms(),
                                                         .who = str_of(who),
                                                         .why = why,
                                                         .items = &item,
                                                         .n_items = 1 });
}

void pause_told(struct flow *f, sl_str endpoint, uint64_t event, sl_str why)
{
    struct pause as = { .event = event, .since_ms = clock_wall_ms(), .why = mem_dup(why) };
    char who[32];

    who_of(event, who);
    as.who = who;
    f->pauses_said++;
    if (!pause_of(f, false, endpoint)) {
        set(f, false, endpoint, &as);
        log_warn(&f->log, "endpoint " STR_FMT " paused by %s: %s", STR_ARG(endpoint), who, as.why);
    }
    free(as.why);
}

/* ---- over a restart ---- */

struct reading {
    struct flow *flow;
    bool route;
    uint64_t said; /* flow.pauses_said, as the question was asked */
};

static void read_space(struct reading *rd);

static void on_again(void *ctx, bool closing)
{
    if (closing)
        free(ctx);
    else
        read_space(ctx);
}

static void take(struct flow *f, bool route, const struct store_state *s)
{
    json_t *value = json_loadb(s->value.ptr, s->value.len, 0, NULL);
    struct pause as = { .drain = json_is_true(json_object_get(value, "drain")),
                        .event = (uint64_t)json_integer_value(json_object_get(value, "event")),
                        .since_ms = s->at_ms,
                        .who = mem_dup(s->who),
                        .why = mem_dup(s->why) };

    set(f, route, s->key, &as);
    free(as.who);
    free(as.why);
    json_decref(value);
}

static void on_states(void *ctx, int status, const struct store_state *states, size_t n)
{
    struct reading *rd = ctx;
    struct flow *f = rd->flow;

    if (status < 0 && status != UV_ECANCELED) {
        log_error(&f->log, "cannot read what is paused, asking again: err=%s", uv_strerror(status));
        flow_later(f, AGAIN_MS, on_again, rd);
        return;
    }
    if (status == 0 && rd->said != f->pauses_said) { /* the answer may be from before that */
        read_space(rd);
        return;
    }
    for (size_t i = 0; status == 0 && i < n; i++)
        take(f, rd->route, &states[i]);
    free(rd);
    if (status < 0)
        return;
    recover_read(f);
    recover_step_done(f);
}

static void read_space(struct reading *rd)
{
    struct flow *f = rd->flow;

    rd->said = f->pauses_said;
    int r = store_state_list(f->store, str_of(spaces[rd->route]), on_states, rd);

    if (r == UV_ECANCELED)
        free(rd);
    else if (r < 0)
        flow_later(f, AGAIN_MS, on_again, rd);
}

void pause_start(struct flow *f)
{
    for (int route = 0; route < 2; route++) {
        struct reading *rd = mem_zero(sizeof(*rd));
        *rd = (struct reading){ f, route };
        f->unread++;
        recover_step(f);
        read_space(rd);
    }
}

/* ---- what watchers read ---- */

void flow_pause_status(const struct flow *f, bool route, sl_str name, struct pause_status *ret)
{
    const struct pause *p = pause_of(f, route, name);

    *ret = (struct pause_status){ .who = "", .why = "" };
    if (p)
        *ret = (struct pause_status){ .paused = true,
                                      .drain = p->drain,
                                      .since_ms = p->since_ms,
                                      .who = p->who,
                                      .why = p->why,
                                      .event = p->event };
}

size_t flow_routes(const struct flow *f)
{
    return f->config->n_routes;
}

void flow_route_stats(const struct flow *f, size_t i, struct route_stats *ret)
{
    const struct conf_route *r = &f->config->routes[i];
    const struct route_state *s = &f->router.routes[i];

    *ret = (struct route_stats){
        .route = r->name,
        .from = r->from_names ? r->from_names : r->from_endpoint,
        .owner = r->owner ? r->owner : "",
        .failing = s->paused,
        .error = s->paused ? s->last_error : "",
    };
    flow_pause_status(f, true, str_of(r->name), &ret->pause);
    for (size_t k = 0; k < f->n_all_lanes; k++) {
        const struct lane *l = f->lanes[k];
        for (struct list *n = l->batches.next; n != &l->batches; n = n->next) {
            const struct batch *b = list_entry(n, struct batch, node);
            if (strcmp(b->route->name, r->name) == 0)
                ret->inflight += b->n;
        }
    }
}
