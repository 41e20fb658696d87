/*
 * load.h - what the parts of one load share: config.c, templates.c, endpoints.c, groups.c,
 * routes.c.
 */
#pragma once

#include "config/config.h"
#include "config/options.h"
#include "config/values.h"

#define TOPIC_MAX 256 /* bytes of a topic */

#define NAME_WANTED "1 to 63 of a-z, 0-9 and \"-\", beginning with a letter or digit"

struct load {
    struct reader rd; /* first mistakes here, then the rest */
    struct config *config;
    unsigned *retry_given; /* for each endpoint: RETRY_*_GIVEN of what stands in the file */
};

#define RETRY_GIVEN     1u
#define RETRY_AGE_GIVEN 2u

/** [a-z0-9][a-z0-9-]{0,62} */
bool name_is_valid(sl_str name);

/** Of the whole document: fill endpoints in from their templates, and write out `from` of routes
 *  that name one. Nothing below knows of templates. */
void templates_expand(struct load *l, const struct yaml_node *root);
/** An endpoint is made of a template of this name. */
bool template_is_used(const struct config *c, sl_str name);

void load_endpoints(struct load *l, const struct yaml_item *endpoints); /* NULL: there are none */
void load_groups(struct load *l, const struct yaml_item *groups);       /* NULL: there are none */
void load_routes(struct load *l, const struct yaml_item *routes);       /* NULL: there are none */

/* ---- retry.c ---- */

void load_endpoint_retry(struct load *l, struct conf_endpoint *e, const sl_values *v);
/** Of the route's targets, from the route's values. */
void load_route_retry(struct load *l, struct conf_route *r, const sl_values *v);
/** Of a further target of the route. */
void load_target_retry(struct load *l, const struct conf_route *r, struct conf_target *t,
                       const sl_values *v);

/* ---- feeds.c: once the endpoint's adapter and settings are known ---- */

void load_feeds(struct load *l, struct conf_endpoint *e, const struct yaml_item *feeds);
void feeds_finish(struct conf_endpoint *e);

void endpoint_finish(struct conf_endpoint *e);
void group_finish(struct conf_group *g);
void route_finish(struct conf_route *r);
void target_finish(struct conf_target *t); /* while its endpoint is there */

/** Do the endpoint's settings allow this action of its adapter? False with a mistake at the place.
 */
bool load_check_action(struct load *l, const struct conf_endpoint *e, uint32_t action,
                       unsigned line, unsigned column);

/** The endpoint that `node` names; NULL with a mistake. */
struct conf_endpoint *load_endpoint_named(struct load *l, const struct yaml_node *node);

/* ---- holds.c: what a delivery waits for. Own results ---- */

/** A hold: its type as text, or a mapping. Never NULL; without a type after a mistake. */
struct conf_hold *load_hold(struct load *l, const struct yaml_item *hold, bool in_target);
/** Does the route send where its hold does? */
void check_hold_targets(struct load *l, const struct conf_route *r, const struct conf_hold *h);
/** From the route's values; NULL: it has none. */
struct conf_hold *load_wait_for(struct load *l, const struct conf_route *r, const sl_values *v,
                                const struct yaml_item *at);
struct conf_deadline *load_deadline(struct load *l, const sl_values *v, const struct yaml_item *at);
void hold_destroy(struct conf_hold *h); /* NULL is fine */
void deadline_destroy(struct conf_deadline *d);

/* ---- order.c: what a route says of the order of deliveries ---- */

/** What names no other route; values as given. */
void order_load(struct load *l, struct conf_route *r, const sl_values *v,
                const struct yaml_item *item);
/** All routes are there: resolve the names of others, and rank them. */
void order_resolve(struct load *l);
void order_finish(struct conf_route *r);
/** There is no route of this name, as `key` of route `r` has it. */
void report_no_route(struct load *l, const struct conf_route *r, const char *name, const char *key,
                     unsigned line, unsigned column);

/* ---- with.c ---- */

void load_with(struct load *l, struct conf_route *r, const struct yaml_item *item);
/** Nobody may speak of $with in a route that has none. */
void with_check_used(struct load *l, const struct conf_route *r);
bool with_is_used(const char *program); /* NULL is fine */
void with_finish(struct conf_with *w);  /* while its endpoint is there */

/* ---- fallback.c ---- */

/** All routes are there: those that are another's fallback; no circle. */
void fallback_resolve(struct load *l);

/* ---- targets.c: a route's `to`, in two steps, since the keys that a route may hold are known
 * only when its actions are ---- */

struct draft {
    const struct yaml_item *item; /* where it stands: a case, `else`, or `to` itself */
    struct table *params;         /* own; of its action, or one for each member of its group */
    size_t n_params;              /* 0: no target that sends, or not known */
    bool alone;                   /* nothing of `to` and of the route is its as well */
};

struct targets {
    struct load *load;
    struct conf_route *route;
    const struct yaml_item *item; /* the route */
    const struct yaml_item *to;   /* NULL: not there, reported */
    struct draft *drafts;         /* one for each of route->targets */
    struct table *tables; /* the route's options, then the parameters of each action found */
    size_t n_tables;
    bool open;             /* an action is not known, so neither are all keys */
    struct draft fallback; /* of route->fallback */
};

/** Find the targets, their endpoints and actions. Fills `t`; targets_finish() it. */
void targets_find(struct targets *t, struct load *l, struct conf_route *r,
                  const struct yaml_item *route);
/** Check the keys inside `to`. */
void targets_check_keys(struct targets *t);
/** Read the parameters and bind the actions. */
void targets_bind(struct targets *t);
void targets_finish(struct targets *t);

/** The nearest `action`: of the case, of `to`, of the route. NULL: none is given. */
const struct yaml_item *target_action(const struct targets *t, const struct draft *d);
/** One target that sends; `g`: as a member of this group. False with a mistake. */
bool target_send(struct targets *t, struct conf_target *target, struct draft *d,
                 struct conf_endpoint *e, struct conf_group *g);
/** origin.c: one of the endpoints that can do the action, of a template if one is named. */
void target_origin(struct targets *t, struct conf_target *target, struct draft *d,
                   const struct yaml_item *origin);
