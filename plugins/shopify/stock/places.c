/*
 * places.c - which location has a name. All of them are asked for together: a shop has few, at most
 * some hundred.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "shopify.h"
#include "stock/stock.h"

#define AGAIN_MS 60000 /* a name that is not there may be made */

static const char locations[] =
    "query Locations($after: String) { locations(first: 100, after: $after) {"
    " nodes { id name } pageInfo { hasNextPage endCursor } } }";

struct looking {
    struct shopify *s;
    uint32_t priority;
    json_t *places; /* borrowed */
    json_t *found;  /* own: {name: GID} */
    stock_items_cb cb;
    void *ctx;
};

/* Digits, or a GID of a location. */
static int location_gid(const char *text, char ret[STOCK_ID_SIZE])
{
    const char *digits = strncmp(text, PLACE_GID, strlen(PLACE_GID)) == 0 ? text + strlen(PLACE_GID)
                                                                          : text;
    size_t n = strspn(digits, "0123456789");

    if (n == 0 || n > 20 || digits[n])
        return -1;
    snprintf(ret, STOCK_ID_SIZE, PLACE_GID "%s", digits);
    return 0;
}

/* False: one of them is not known. */
static int fill_in(const struct shopify *s, json_t *places)
{
    char gid[STOCK_ID_SIZE];
    const char *name;
    json_t *at;
    int all = 1;

    json_object_foreach(places, name, at)
    {
        json_t *known = json_object_get(s->places, name);

        if (known)
            json_object_set(places, name, known);
        else if (location_gid(name, gid) == 0)
            json_object_set_new(places, name, json_string(gid));
        else
            all = 0;
    }
    return all;
}

static void end(struct looking *x, const struct admin_answer *failed)
{
    struct looking done = *x;

    free(x);
    if (failed) {
        json_decref(done.found);
    } else {
        json_decref(done.s->places);
        done.s->places = done.found;
        done.s->places_ms = (int64_t)done.s->host->mono_ms(done.s->host->ctx);
        fill_in(done.s, done.places);
    }
    done.cb(done.ctx, failed);
}

static void ask(struct looking *x, const char *after);

static void on_locations(void *ctx, const struct admin_answer *a)
{
    struct looking *x = ctx;
    const json_t *page = json_object_get(a->data, "locations");
    const json_t *nodes = json_object_get(page, "nodes");
    const json_t *info = json_object_get(page, "pageInfo");

    if (a->verdict != ADMIN_OK) {
        end(x, a);
        return;
    }
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *one = json_array_get(nodes, i);
        const char *name = json_string_value(json_object_get(one, "name"));

        if (name)
            json_object_set(x->found, name, json_object_get(one, "id"));
    }
    if (json_is_true(json_object_get(info, "hasNextPage")))
        ask(x, json_string_value(json_object_get(info, "endCursor")));
    else
        end(x, NULL);
}

static void ask(struct looking *x, const char *after)
{
    struct admin_answer none = { .verdict = ADMIN_NOT_DONE, .why = "out of memory" };

    if (admin_ask_as(x->s, x->priority, locations, json_pack("{s:s?}", "after", after),
                     on_locations, x) < 0)
        end(x, &none);
}

void stock_places(struct shopify *s, uint32_t priority, json_t *places, stock_items_cb cb,
                  void *ctx)
{
    struct admin_answer none = { .verdict = ADMIN_NOT_DONE, .why = "out of memory" };
    struct looking *x;

    if (fill_in(s, places) ||
        (s->places && (int64_t)s->host->mono_ms(s->host->ctx) - s->places_ms < AGAIN_MS)) {
        cb(ctx, NULL);
        return;
    }
    x = malloc(sizeof(*x));
    if (!x) {
        cb(ctx, &none);
        return;
    }
    *x = (struct looking){ s, priority, places, json_object(), cb, ctx };
    ask(x, NULL);
}

void stock_place_names(const struct shopify *s, char *to, size_t size)
{
    const char *name;
    json_t *id;
    size_t n = 0;

    *to = '\0';
    json_object_foreach(s->places, name, id)
    {
        if (n + 1 < size)
            n += (size_t)snprintf(to + n, size - n, "%s%s", n ? ", " : "", name);
    }
}
