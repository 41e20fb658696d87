/*
 * deliveries.c - `sluice deliveries`, and the lists of dead and held ones.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/client.h"
#include "cli/exit.h"
#include "cli/remote.h"
#include "cli/table.h"

/* ---- list ---- */

/** What it waits for: "byron is parked: HTTP 401; next 2026-11-20 09:15:32". Appends. */
static void waits_text(struct buf *out, json_t *d)
{
    json_t *w = json_object_get(d, "waits_for");
    char when[32];

    buf_cstr(out, json_text(w, "text"));
    if (*json_text(w, "until"))
        buf_printf(out, "; next %s", short_time(json_text(w, "until"), when));
}

/** What stands behind a state: the hold's type and the reason, or what it waits for. */
static void note_of(struct buf *out, json_t *d)
{
    if (*json_text(d, "hold_type"))
        buf_printf(out, "%s%s", json_text(d, "hold_type"), *json_text(d, "reason") ? ": " : "");
    if (!json_object_get(d, "waits_for") || *json_text(d, "hold_type"))
        buf_cstr(out, json_text(d, "reason"));
    else
        waits_text(out, d);
    if (!out->len && *json_text(d, "reference"))
        buf_printf(out, "reference %s", json_text(d, "reference"));
}

void print_deliveries(json_t *list)
{
    struct table t;
    size_t i;
    json_t *d;

    table_init(&t, ">ID|STATE|ROUTE|PIECE|ENDPOINT|SUBJECT|>ATTEMPTS|UPDATED|NOTE");
    json_array_foreach(list, i, d)
    {
        struct buf note = { 0 };
        char when[32];
        table_cell(&t, json_text(d, "id"));
        table_cell(&t, json_text(d, "state"));
        table_cell(&t, json_text(d, "route"));
        table_cell(&t, *json_text(d, "piece") ? json_text(d, "piece") : "-");
        table_cell(&t, *json_text(d, "endpoint") ? json_text(d, "endpoint") : "-");
        table_cell(&t, *json_text(d, "subject") ? json_text(d, "subject") : "-");
        table_number(&t, json_object_get(d, "attempts"));
        table_cell(&t, short_time(json_text(d, "updated_at"), when));
        note_of(&note, d);
        table_cell(&t, note.data);
        buf_finish(&note);
    }
    table_print(&t);
    table_finish(&t);
}

static const char *next_step(const char *state)
{
    if (state && strcmp(state, "dead") == 0)
        return "try one again: sluice dead replay ID";
    if (state && strcmp(state, "held") == 0)
        return "decide: sluice held release ID, or sluice held reject ID";
    return "more on one: sluice deliveries show ID";
}

static void print_list(const struct cli *cli, json_t *list, const char *state)
{
    const char *limit = cli_value(cli, "limit");
    size_t n = json_array_size(list);

    if (n == 0) {
        tell("no %s%sdelivery\n", state ? state : "", state ? " " : "");
        return;
    }
    print_deliveries(list);
    if (n == (limit ? strtoul(limit, NULL, 10) : 100))
        tell("further ones: --after %s\n", json_text(json_array_get(list, n - 1), "id"));
    tell("%s\n", next_step(state));
}

/** `state`: the one listed; NULL: what --state says. */
static int list(struct cli *cli, const char *state)
{
    static const char *const names[] = { "endpoint", "route", "subject", "topic", "error",
                                         "issue",    "since", "until",   "after", "limit" };
    struct buf target = { 0 };
    struct answer a;
    int r;

    if (cli->argc)
        return command_usage(cli, "takes no argument, but got \"%s\"", cli->argv[0]);
    state = state ? state : cli_value(cli, "state");
    buf_cstr(&target, "/v1/deliveries");
    target_param(&target, "state", state);
    target_param(&target, "hold_type", cli_value(cli, "type"));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        target_param(&target, names[i], cli_value(cli, names[i]));
    r = client_get(cli, target.data, &a);
    buf_finish(&target);
    if (r != EXIT_DONE)
        return r;
    if (cli->json)
        answer_print(&a);
    else
        print_list(cli, a.json, state);
    answer_finish(&a);
    return EXIT_DONE;
}

int command_deliveries_list(struct cli *cli)
{
    return list(cli, NULL);
}

int command_dead_list(struct cli *cli)
{
    return list(cli, "dead");
}

/* ---- show ---- */

/** "zip (postcode): [0-9]{5}, city" */
static void fields_text(struct buf *out, json_t *fields)
{
    json_t *f;
    size_t i;

    json_array_foreach(fields, i, f)
    {
        buf_printf(out, "%s%s", i ? ", " : "", json_text(f, "name"));
        if (*json_text(f, "label"))
            buf_printf(out, " (%s)", json_text(f, "label"));
        if (*json_text(f, "pattern"))
            buf_printf(out, ": %s", json_text(f, "pattern"));
    }
}

/** What a person can choose: sluice held NAME ID. */
static void print_choices(json_t *d)
{
    json_t *choices = json_object_get(json_object_get(d, "detail"), "choices"), *c;
    struct table t;
    size_t i;

    if (strcmp(json_text(d, "state"), "held") != 0 || !json_array_size(choices))
        return;
    printf("\nchoices\n");
    table_init(&t, "NAME|TO FILL IN|MEANS");
    json_array_foreach(choices, i, c)
    {
        struct buf fields = { 0 };
        fields_text(&fields, json_object_get(c, "set"));
        table_cell(&t, json_text(c, "name"));
        table_cell(&t, fields.len ? fields.data : "-");
        table_cell(&t, json_text(c, "text")); /* the last: whole, two candidates may begin alike */
        buf_finish(&fields);
    }
    table_print(&t);
    table_finish(&t);
}

/** Which member of its group has it, and why. */
static void print_group(json_t *d)
{
    json_t *detail = json_object_get(d, "detail"), *o;
    struct buf text = { 0 };
    size_t i;

    if (!*json_text(detail, "group"))
        return;
    buf_printf(&text, "%s: %s, %s", json_text(detail, "group"), json_text(detail, "chosen"),
               json_text(detail, "because"));
    json_array_foreach(json_object_get(detail, "others"), i, o) buf_printf(
        &text, "%s%s: %s", i ? ", " : "; ", json_text(o, "endpoint"), json_text(o, "why"));
    print_field("group", text.data);
    buf_finish(&text);
}

/** What it stands in for, or where it goes instead; and why. */
static void print_fallback(json_t *d)
{
    json_t *f = json_object_get(json_object_get(d, "detail"), "fallback");
    struct buf text = { 0 };

    if (!f)
        return;
    if (*json_text(f, "route"))
        buf_printf(&text, "in place of %s of route %s: %s", json_text(f, "delivery"),
                   json_text(f, "route"), json_text(f, "because"));
    else if (*json_text(f, "to_route"))
        buf_printf(&text, "by route %s: %s", json_text(f, "to_route"), json_text(f, "because"));
    else
        buf_printf(&text, "from %s to %s: %s", json_text(f, "from"), json_text(f, "to"),
                   json_text(f, "because"));
    print_field("fallback", text.data);
    buf_finish(&text);
}

static void print_waits(json_t *d)
{
    struct buf text = { 0 };

    waits_text(&text, d);
    print_field("waits for", text.data);
    buf_finish(&text);
}

static void print_delivery(json_t *d)
{
    json_t *emitted = json_object_get(d, "emitted");

    print_member(d, "delivery", "id");
    print_member(d, "state", "state");
    print_member(d, "hold", "hold_type");
    print_member(d, "reason", "reason");
    print_waits(d);
    print_member(d, "event", "event");
    print_member(d, "subject", "subject");
    print_member(d, "topic", "topic");
    print_member(d, "route", "route");
    print_member(d, "piece", "piece");
    print_member(d, "endpoint", "endpoint");
    print_group(d);
    print_fallback(d);
    if (json_is_true(json_object_get(d, "may_have_arrived")))
        print_field("may be there", "yes: it was sent, and nobody said that it did not arrive");
    print_member(d, "action", "action");
    print_member(d, "priority", "priority");
    print_member(d, "received", "received_at");
    print_member(d, "first sent", "first_sent_at");
    print_member(d, "updated", "updated_at");
    print_member(d, "next", "next_at");
    print_member(d, "reference", "reference");
    print_member(d, "key", "key");
    print_hold(d);
    print_deadline(d);
    print_choices(d);
    table_section("attempts",
                  ">NO=#attempt|SENT=@sent_at|ENDPOINT=endpoint|BECAME=state|>STATUS=#status"
                  "|>MS=#latency_ms|ERROR=error",
                  json_object_get(d, "attempts"));
    table_section("moves", "AT=@at|BECAME=state|WHO=?who|REASON=reason",
                  json_object_get(d, "moves"));
    table_section("links", "ENDPOINT=endpoint|KIND=kind|ID=id|SUBJECT=subject",
                  json_object_get(d, "links"));
    print_body("body", json_text(d, "body"));
    print_body("request, as frozen for its key", json_text(d, "request"));
    if (json_array_size(emitted)) {
        printf("\nemitted\n");
        print_events(emitted);
    }
}

static void suggest(json_t *d)
{
    const char *state = json_text(d, "state"), *id = json_text(d, "id");
    json_t *detail = json_object_get(d, "detail");

    if (strcmp(state, "dead") == 0)
        tell("next: sluice dead replay %s, or sluice dead discard %s\n", id, id);
    else if (strcmp(json_text(d, "hold_type"), "unknown-outcome") == 0 &&
             strcmp(state, "held") == 0)
        tell(
            "next: sluice held arrived %s if it is there; sluice held send-again %s if it is "
            "not\n",
            id, id);
    else if (strcmp(state, "held") == 0 && json_array_size(json_object_get(detail, "choices")))
        tell("next: one of its choices: sluice held CHOICE %s\n", id);
    else if (strcmp(state, "held") == 0)
        tell("next: sluice held release %s, or sluice held reject %s\n", id, id);
}

static void print_and_suggest(json_t *d)
{
    print_delivery(d);
    suggest(d);
}

int command_deliveries_show(struct cli *cli)
{
    return command_show(cli, "id of a delivery, such as 1042.0", "/v1/deliveries/",
                        print_and_suggest);
}
