/*
 * fallback.c - `fallback: { route: NAME }`: what is given up goes through another route. All names
 * are resolved when all routes are there; a circle would send it round for ever.
 */
#include "config/load.h"

#include <stdlib.h>
#include <string.h>

/** An endpoint of this route that the other one takes nothing from; NULL: there is none. */
static const char *not_understood(const struct conf_route *r, const struct conf_route *other)
{
    struct conf_from mine, theirs;

    for (size_t i = 0; conf_route_from(r, i, &mine); i++) {
        bool known = !mine.endpoint;
        for (size_t k = 0; !known && conf_route_from(other, k, &theirs); k++)
            known = !theirs.endpoint || strcmp(mine.endpoint, theirs.endpoint) == 0;
        if (!known)
            return mine.endpoint;
    }
    return NULL;
}

static const char *from_names(const struct conf_route *r)
{
    return r->from_names ? r->from_names : r->from_endpoint;
}

/** Its program reads the same events, so they come from the same endpoints. */
static void resolve(struct load *l, struct conf_route *r)
{
    struct report *report = &l->rd.report;
    struct conf_route *other;
    const char *unknown;

    if (!r->fallback_name)
        return;
    other = config_route(l->config, str_of(r->fallback_name));
    if (!other)
        report_no_route(l, r, r->fallback_name, "fallback", r->fallback_line, r->fallback_column);
    else if (other == r)
        report_at(report, r->fallback_line, r->fallback_column,
                  "\"fallback\": a route cannot fall back to itself; name another one");
    else if ((unknown = not_understood(r, other)))
        report_at(report, r->fallback_line, r->fallback_column,
                  "\"fallback\": route \"%s\" takes events of \"%s\", and this one those of "
                  "\"%s\", which it does not understand",
                  other->name, from_names(other), unknown);
    else
        r->fallback_route = other;
}

/** Told where the circle is closed: at the last of its routes in the file. */
static bool closes_circle(const struct config *c, const struct conf_route *r)
{
    const struct conf_route *a = r->fallback_route;
    bool last = true;

    for (size_t n = 0; a && a != r && n < c->n_routes; n++, a = a->fallback_route)
        last &= a->index < r->index;
    return a == r && last;
}

static void report_circle(struct load *l, struct conf_route *r)
{
    const struct conf_route *a = r;
    struct buf text = { 0 };

    do {
        buf_printf(&text, "%s -> ", a->name ? a->name : "?");
        a = a->fallback_route;
    } while (a != r);
    buf_cstr(&text, r->name ? r->name : "?");
    report_at(&l->rd.report, r->fallback_line, r->fallback_column,
              "\"fallback\" goes in a circle, so that it would never end: %s; take one out",
              text.data ? text.data : "");
    buf_finish(&text);
}

/** A route without topics takes only what falls back to it. */
static void check_taken(struct load *l, const struct conf_route *r)
{
    const struct config *c = l->config;
    bool taken = !r->topics;
    struct conf_from from;

    for (size_t i = 0; conf_route_from(r, i, &from); i++)
        taken |= from.n_topics > 0;

    for (size_t i = 0; i < c->n_routes && !taken; i++)
        taken = c->routes[i].fallback_name && r->name &&
                !strcmp(c->routes[i].fallback_name, r->name);
    if (!taken)
        report_at(&l->rd.report, r->line, r->column,
                  "route \"%s\" takes nothing: \"from.topic\" is empty, and no route falls back "
                  "to it; name a topic",
                  r->name ? r->name : "?");
}

void fallback_resolve(struct load *l)
{
    struct config *c = l->config;

    for (size_t i = 0; i < c->n_routes; i++)
        resolve(l, &c->routes[i]);
    for (size_t i = 0; i < c->n_routes; i++) {
        check_taken(l, &c->routes[i]);
        if (closes_circle(c, &c->routes[i])) {
            report_circle(l, &c->routes[i]);
            c->routes[i].fallback_route = NULL;
        }
    }
}
