/*
 * orphans.c - what a configuration has no place for.
 */
#include "cli/orphans.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "store/record.h"

/** What becomes of a live delivery of this state: is it held now? */
static bool is_held_then(const char *state)
{
    static const enum delivery_state live[] = { DS_READY, DS_INFLIGHT, DS_WAITING, DS_UNKNOWN };

    for (size_t i = 0; i < sizeof(live) / sizeof(live[0]); i++)
        if (strcmp(state, delivery_state_names[live[i]]) == 0)
            return true;
    return false;
}

static enum orphan_why why_of(const struct config *c, sl_str route, sl_str endpoint)
{
    const struct conf_route *r = config_route(c, route);
    const struct conf_target *t;

    if (!r)
        return ORPHAN_ROUTE;
    if (!config_endpoint(c, endpoint))
        return ORPHAN_ENDPOINT;
    for (size_t i = 0; (t = conf_route_send(r, i)); i++)
        if (str_eq(str_of(t->endpoint->name), endpoint))
            return ORPHAN_NOT;
    return ORPHAN_TARGET;
}

static struct orphans *find(struct orphan_list *list, const char *route, const char *endpoint)
{
    for (size_t i = 0; i < list->n; i++)
        if (!strcmp(list->at[i].route, route) && !strcmp(list->at[i].endpoint, endpoint))
            return &list->at[i];
    list->at = mem_grow(list->at, (list->n + 1) * sizeof(*list->at));
    list->at[list->n] = (struct orphans){ .route = mem_str(route), .endpoint = mem_str(endpoint) };
    return &list->at[list->n++];
}

void orphans_count(struct orphan_list *ret, const struct config *c, json_t *places)
{
    json_t *p;
    size_t i;

    *ret = (struct orphan_list){ 0 };
    json_array_foreach(places, i, p)
    {
        const char *route = json_string_value(json_object_get(p, "route"));
        const char *endpoint = json_string_value(json_object_get(p, "endpoint"));
        const char *state = json_string_value(json_object_get(p, "state"));
        int64_t n = json_integer_value(json_object_get(p, "deliveries"));
        enum orphan_why why;
        if (!route || !endpoint || !*endpoint || !state || n <= 0 || !is_held_then(state) ||
            (why = why_of(c, str_of(route), str_of(endpoint))) == ORPHAN_NOT)
            continue;
        struct orphans *o = find(ret, route, endpoint);
        o->why = why;
        o->n += n;
        ret->total += n;
    }
}

void orphans_finish(struct orphan_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->at[i].route);
        free(list->at[i].endpoint);
    }
    free(list->at);
}

void orphans_say(struct buf *b, const struct orphans *o, bool would)
{
    buf_printf(b, "%lld %s of route %s%s%s %s held as orphaned: ", (long long)o->n,
               o->n == 1 ? "delivery" : "deliveries", o->route, " to ", o->endpoint,
               would       ? "would be"
               : o->n == 1 ? "is"
                           : "are");
    switch (o->why) {
    case ORPHAN_ROUTE:
        buf_cstr(b, "the route is no longer in the configuration");
        break;
    case ORPHAN_ENDPOINT:
        buf_cstr(b, "the endpoint is no longer in the configuration");
        break;
    default:
        buf_cstr(b, "the route no longer sends there");
        break;
    }
}
