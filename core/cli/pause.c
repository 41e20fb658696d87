/*
 * pause.c - `sluice endpoints|routes pause|drain|resume`, and the routes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/units.h"
#include "cli/client.h"
#include "cli/exit.h"
#include "cli/remote.h"
#include "cli/table.h"

#define DRAIN_MS 60000
#define LOOK_MS  100

void pause_note(struct buf *b, json_t *paused)
{
    const char *why = json_text(paused, "why");
    char since[32];

    buf_printf(b, "%s by %s since %s%s%s",
               json_is_true(json_object_get(paused, "drain")) ? "drained" : "paused",
               json_text(paused, "who"), short_time(json_text(paused, "since"), since),
               *why ? ": " : "", why);
}

/* ---- routes ---- */

static void route_note(struct buf *b, json_t *route)
{
    json_t *paused = json_object_get(route, "paused");
    const char *failing = json_string_value(json_object_get(route, "failing"));

    if (json_is_object(paused))
        pause_note(b, paused);
    if (failing)
        buf_printf(b, "%spaused by its errors: %s", b->len ? "; " : "", failing);
    if (!b->len)
        buf_cstr(b, "ok");
}

static void print_routes(json_t *routes, bool all)
{
    struct table t;
    size_t i, n = 0;
    json_t *r;

    table_init(&t, "ROUTE|FROM|OWNER|>INFLIGHT|NOTE");
    json_array_foreach(routes, i, r)
    {
        struct buf note = { 0 };
        route_note(&note, r);
        if (all || strcmp(note.data, "ok") != 0) {
            n++;
            table_cell(&t, json_text(r, "route"));
            table_cell(&t, json_text(r, "from"));
            table_cell(&t, *json_text(r, "owner") ? json_text(r, "owner") : "-");
            table_number(&t, json_object_get(r, "inflight"));
            table_cell(&t, note.data);
        }
        buf_finish(&note);
    }
    if (n) {
        if (!all)
            putchar('\n');
        table_print(&t);
    }
    table_finish(&t);
}

void print_paused_routes(json_t *routes)
{
    print_routes(routes, false);
}

int command_routes_list(struct cli *cli)
{
    struct answer a;
    int r = client_get(cli, "/v1/routes", &a);

    if (r != EXIT_DONE)
        return r;
    if (cli->json)
        answer_print(&a);
    else
        print_routes(a.json, true);
    answer_finish(&a);
    return EXIT_DONE;
}

/* ---- by hand ---- */

/** POST /v1/<kind>/NAME/<verb>. EXIT_DONE with *ret filled. */
static int ask(struct cli *cli, const char *kind, const char *verb, const char *name,
               struct answer *ret)
{
    const char *why = cli_value(cli, "why");
    struct buf target = { 0 };
    int r;

    buf_printf(&target, "/v1/%s/", kind);
    target_segment(&target, name);
    buf_printf(&target, "/%s", verb);
    r = client_post(cli, target.data, why ? json_pack("{s:s}", "why", why) : NULL, ret);
    buf_finish(&target);
    return r;
}

static void tell_how(const struct answer *a, const char *kind, const char *name)
{
    json_t *paused = json_object_get(a->json, "paused");
    struct buf note = { 0 };

    if (json_is_object(paused)) {
        pause_note(&note, paused);
        tell("%s: %s; events go on being stored and routed; go on: sluice %s resume %s\n", name,
             note.data, kind, name);
    } else if (json_is_true(json_object_get(a->json, "was_failing"))) {
        tell(
            "%s: it goes on with what comes in; what was kept back: sluice held list --type "
            "route-paused\n",
            name);
    } else {
        tell("%s: it goes on\n", name);
    }
    buf_finish(&note);
}

static int pause_or_resume(struct cli *cli, const char *kind, const char *verb)
{
    const char *name = command_one(cli, "name");
    struct answer a;
    int r;

    if (!name)
        return EXIT_USAGE;
    r = ask(cli, kind, verb, name, &a);
    if (r != EXIT_DONE)
        return r;
    if (cli->json)
        answer_print(&a);
    else
        tell_how(&a, kind, name);
    answer_finish(&a);
    return EXIT_DONE;
}

/* ---- drain: until nothing is under way ---- */

/** How many are under way; -1: it cannot be asked, told. */
static int64_t under_way(struct cli *cli, const char *kind, const char *name, int *ret)
{
    bool routes = strcmp(kind, "routes") == 0;
    struct answer a;
    int64_t n = 0;
    json_t *list, *one;
    size_t i;

    *ret = client_get(cli, routes ? "/v1/routes" : "/v1/status", &a);
    if (*ret != EXIT_DONE)
        return -1;
    list = routes ? a.json : json_object_get(a.json, "lanes");
    json_array_foreach(list, i,
                       one) if (strcmp(json_text(one, routes ? "route" : "endpoint"), name) == 0)
        n = json_integer_value(json_object_get(one, "inflight"));
    answer_finish(&a);
    return n;
}

static void look_later(void)
{
    const struct timespec wait = { .tv_nsec = LOOK_MS * 1000000L };

    nanosleep(&wait, NULL);
}

static int wait_until_over(struct cli *cli, const char *kind, const char *name, int64_t ms)
{
    int r;
    int64_t n;

    while ((n = under_way(cli, kind, name, &r)) > 0 && ms > 0) {
        look_later();
        ms -= LOOK_MS;
    }
    if (n < 0)
        return r;
    if (n > 0)
        tell("%s: %" PRId64
             " still under way; it stays drained: ask again, or sluice %s resume "
             "%s\n",
             name, n, kind, name);
    else
        tell("%s: nothing is under way any more\n", name);
    return n > 0 ? EXIT_FAILED : EXIT_DONE;
}

static int drain(struct cli *cli, const char *kind)
{
    const char *name = command_one(cli, "name"), *given = cli_value(cli, "timeout");
    struct answer a;
    int64_t ms = DRAIN_MS;
    int r;

    if (!name)
        return EXIT_USAGE;
    if (given && units_duration(str_of(given), &ms) < 0)
        return command_usage(cli, "--timeout wants a duration such as 30s or 5m, not \"%s\"",
                             given);
    r = ask(cli, kind, "drain", name, &a);
    if (r != EXIT_DONE)
        return r;
    if (cli->json)
        answer_print(&a);
    else
        tell_how(&a, kind, name);
    answer_finish(&a);
    return wait_until_over(cli, kind, name, ms);
}

int command_endpoints_pause(struct cli *cli)
{
    return pause_or_resume(cli, "endpoints", "pause");
}

int command_endpoints_drain(struct cli *cli)
{
    return drain(cli, "endpoints");
}

int command_endpoints_resume(struct cli *cli)
{
    return pause_or_resume(cli, "endpoints", "resume");
}

int command_routes_pause(struct cli *cli)
{
    return pause_or_resume(cli, "routes", "pause");
}

int command_routes_drain(struct cli *cli)
{
    return drain(cli, "routes");
}

int command_routes_resume(struct cli *cli)
{
    return pause_or_resume(cli, "routes", "resume");
}
