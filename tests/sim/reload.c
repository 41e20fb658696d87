/*
 * reload.c - the configuration changes while all goes on: an endpoint or a route is removed and
 * comes back, paces and priorities are others for a while.
 *
 * All that the checks ask of a route is in the first configuration, which the others are made of:
 * they leave something out, and say otherwise what no property depends on.
 */
#include <inttypes.h>
#include <string.h>
#include "sim.h"

#define PICK(rng, ...) \
    ((const int[]){ __VA_ARGS__ }[rng_below(rng, sizeof((int[]){ __VA_ARGS__ }) / sizeof(int))])

struct setup {
    struct config config;
    struct conf_endpoint endpoints[ENDPOINTS];
    struct conf_route routes[MAX_ROUTES];
    struct conf_target targets[MAX_ROUTES], fallbacks[MAX_ROUTES], parts[MAX_ROUTES][MEMBERS];
    struct conf_route *after[MAX_ROUTES];
    struct conf_group group;
    struct conf_member members[MEMBERS];
    struct conf_target cancels[MEMBERS];
    struct conf_endpoint *endpoint[ENDPOINTS]; /* here, by its place in the first one; NULL: gone */
    struct conf_route *route[MAX_ROUTES];
};

struct made_adapter {
    struct adapter adapter;
    struct made_adapter *next; /* sim.made: of this process */
};

/* ---- what is left out ---- */

static bool sends_to(const struct conf_route *r, const struct conf_endpoint *e)
{
    return (r->targets->kind == TARGET_SEND && r->targets->endpoint == e) ||
           (r->fallback && r->fallback->endpoint == e);
}

/** Who names a route that is gone would not be accepted: it goes, too. */
static void leave_out(struct sim *s, struct rng *g, bool gone[MAX_ROUTES],
                      const struct conf_endpoint *without)
{
    size_t n = s->config.n_routes;

    for (size_t i = 0; i < n; i++)
        gone[i] = (!s->budgets && one_in(g, 8)) || (without && sends_to(&s->routes[i], without));
    for (size_t round = 0; round < n; round++)
        for (size_t i = 0; i < n; i++) {
            const struct conf_route *r = &s->routes[i];
            gone[i] |= (r->overtakes && gone[r->overtakes->index]) ||
                       (r->fallback_route && gone[r->fallback_route->index]) ||
                       (r->n_after && gone[r->after[0]->index]);
        }
}

/* ---- the rest, once more ---- */

static void copy_endpoints(struct sim *s, struct rng *g, struct setup *x,
                           const struct conf_endpoint *without)
{
    for (size_t i = 0; i < ENDPOINTS; i++) {
        struct conf_endpoint *e = &x->endpoints[x->config.n_endpoints];
        if (&s->endpoints[i] == without)
            continue;
        *e = s->endpoints[i];
        e->index = x->config.n_endpoints++;
        x->endpoint[i] = e;
        if (s->budgets) /* as it was: what was counted is not lost by that */
            continue;
        if (one_in(g, 2)) {
            e->rate_milli_per_s = (uint64_t)PICK(g, 0, 1000, 5000, 50000);
            e->burst = (uint32_t)PICK(g, 1, 2, 10);
        }
        if (one_in(g, 2))
            e->concurrency = (uint32_t)PICK(g, 1, 3, 8);
    }
}

static void copy_group(struct sim *s, struct setup *x)
{
    if (!s->config.n_groups)
        return;
    x->group = s->group;
    x->group.members = x->members;
    x->group.cancels = s->group.cancels ? x->cancels : NULL;
    x->group.n_members = 0;
    for (size_t i = 0; i < s->group.n_members; i++) {
        struct conf_endpoint *e = x->endpoint[s->group.members[i].endpoint->index];
        if (!e)
            continue;
        x->members[x->group.n_members] = s->group.members[i];
        if (s->group.cancels) {
            x->cancels[x->group.n_members] = s->group.cancels[i];
            x->cancels[x->group.n_members].endpoint = e;
        }
        x->members[x->group.n_members++].endpoint = e;
    }
    x->config.groups = &x->group;
}

static void copy_target(struct setup *x, size_t at, const struct conf_target *t)
{
    struct conf_target *mine = &x->targets[at];

    *mine = *t;
    if (t->kind == TARGET_SEND) {
        mine->endpoint = x->endpoint[t->endpoint->index];
        return;
    }
    mine->group = &x->group;
    mine->members = x->parts[at];
    mine->n_members = 0;
    for (size_t i = 0; i < t->n_members; i++) {
        struct conf_endpoint *e = x->endpoint[t->members[i].endpoint->index];
        if (!e)
            continue;
        x->parts[at][mine->n_members] = t->members[i];
        x->parts[at][mine->n_members].group = &x->group;
        x->parts[at][mine->n_members++].endpoint = e;
    }
}

static void copy_route(struct rng *g, struct setup *x, const struct conf_route *r)
{
    size_t at = x->config.n_routes++;
    struct conf_route *mine = &x->routes[at];

    *mine = *r;
    mine->index = at;
    x->route[r->index] = mine;
    copy_target(x, at, r->targets);
    mine->targets = &x->targets[at];
    if (r->fallback) {
        x->fallbacks[at] = *r->fallback;
        x->fallbacks[at].endpoint = x->endpoint[r->fallback->endpoint->index];
        mine->fallback = &x->fallbacks[at];
    }
    if (one_in(g, 3))
        mine->priority = (enum priority)rng_below(g, PRIORITY__COUNT);
}

static void name_each_other(struct sim *s, struct setup *x)
{
    for (size_t i = 0; i < x->config.n_routes; i++)
        x->routes[i].overtaken = false;
    for (size_t i = 0; i < s->config.n_routes; i++) {
        const struct conf_route *r = &s->routes[i];
        struct conf_route *mine = x->route[i];
        if (mine && r->overtakes) {
            mine->overtakes = x->route[r->overtakes->index];
            mine->overtakes->overtaken = true;
        }
        if (mine && r->fallback_route)
            mine->fallback_route = x->route[r->fallback_route->index];
        if (mine && r->n_after) {
            x->after[mine->index] = x->route[r->after[0]->index];
            mine->after = &x->after[mine->index];
        }
    }
}

static struct setup *make(struct sim *s, struct rng *g)
{
    struct setup *x = memset(arena_alloc(&s->arena, sizeof(*x)), 0, sizeof(*x));
    const struct conf_endpoint *without = !s->budgets && one_in(g, 2)
                                              ? &s->endpoints[between(g, CRM, DESK)]
                                              : NULL;
    bool gone[MAX_ROUTES];

    x->config = s->config;
    x->config.refs = 0;
    x->config.endpoints = x->endpoints;
    x->config.routes = x->routes;
    x->config.n_endpoints = x->config.n_routes = 0;
    leave_out(s, g, gone, without);
    copy_endpoints(s, g, x, without);
    copy_group(s, x);
    for (size_t i = 0; i < s->config.n_routes; i++)
        if (!gone[i])
            copy_route(g, x, &s->routes[i]);
    for (size_t i = 0; i < s->config.n_routes && s->budgets; i++)
        x->route[i]->priority = s->routes[i].priority;
    name_each_other(s, x);
    return x;
}

/* ---- adapters: the host makes new ones, or keeps those that nothing changed for ---- */

static struct adapter *new_adapter(struct sim *s, struct remote *r)
{
    struct made_adapter *m = memset(arena_alloc(&s->arena, sizeof(*m)), 0, sizeof(*m));

    m->adapter =
        (struct adapter){ .plugin = &sim_plugin, .self = r, .conf = r->conf, .open = true };
    m->next = s->made;
    s->made = m;
    return &m->adapter;
}

/** As the configuration has them: by its endpoints. */
static void adapters_of(struct sim *s, struct adapter *out[ENDPOINTS])
{
    size_t n = 0;

    for (size_t i = 0; i < ENDPOINTS; i++) {
        struct remote *r = &s->remotes[i];
        if (r->removed) {
            r->adapter = NULL;
            continue;
        }
        if (!r->adapter || one_in(&s->stopping, 2))
            r->adapter = new_adapter(s, r);
        out[n++] = r->adapter;
    }
}

void reload_adapters(struct sim *s, struct adapter *out[ENDPOINTS])
{
    for (size_t i = 0; i < ENDPOINTS; i++)
        s->remotes[i].adapter = NULL;
    adapters_of(s, out);
}

void reload_closed(struct sim *s)
{
    for (struct made_adapter *m = s->made; m; m = m->next)
        m->adapter.open = false;
    s->made = NULL;
}

/* ---- going over ---- */

static void note(struct sim *s, const struct setup *x)
{
    uint32_t routes = 0, endpoints = 0;

    for (size_t i = 0; i < s->config.n_routes; i++)
        routes |= (!x || x->route[i] ? 1u : 0u) << i;
    for (size_t i = 0; i < ENDPOINTS; i++)
        endpoints |= (!x || x->endpoint[i] ? 1u : 0u) << i;
    s->with_routes[++s->epoch] = routes;
    s->with_endpoints[s->epoch] = endpoints;
    s->epoch_ms[s->epoch] = world_now();
}

/** NULL: to the first one. */
static void go_over(struct sim *s, struct setup *x)
{
    struct adapter *adapters[ENDPOINTS];
    size_t orphaned = 0;

    for (size_t i = 0; i < ENDPOINTS; i++) {
        const struct conf_endpoint *e = x ? x->endpoint[i] : &s->endpoints[i];
        check_reloaded(&s->remotes[i], e);
    }
    s->current = x ? &x->config : &s->config;
    note(s, x);
    adapters_of(s, adapters);
    if (flow_reconfigure(s->flow, s->current, adapters, &orphaned) < 0)
        world_fail(&s->w, "reload: refused");
    world_say(&s->w, "reload %u: %zu endpoints, %zu routes; %zu orphaned", s->epoch,
              s->current->n_endpoints, s->current->n_routes, orphaned);
}

static bool may_reload(const struct sim *s)
{
    return s->flow && !s->flow->draining && !store_sim_stopped(s->store) && flow_recovered(s->flow);
}

static void on_reload(void *ctx)
{
    struct sim *s = ctx;

    if (!s->healed && !may_reload(s)) {
        world_in(&s->w, 300, on_reload, s);
        return;
    }
    s->reloads--;
    if (!s->healed && s->epoch + 2 < EPOCHS)
        go_over(s, s->current == &s->config ? make(s, &s->stopping) : NULL);
}

void reload_plan(struct sim *s)
{
    s->with_routes[0] = s->with_endpoints[0] = UINT32_MAX;
    for (unsigned i = 0; i < s->reloads; i++)
        world_in(&s->w, between(&s->stopping, 0, s->span_ms + AFTER_MS), on_reload, s);
}

bool reload_settled(struct sim *s)
{
    if (s->current != &s->config && may_reload(s))
        go_over(s, NULL);
    return s->current == &s->config;
}
