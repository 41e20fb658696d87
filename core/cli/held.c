/*
 * held.c - `sluice held`: what waits for a person, by type, with who decides, until when and on
 * what; and `sluice deadlines`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/client.h"
#include "cli/exit.h"
#include "cli/remote.h"
#include "cli/table.h"

#define EVIDENCE_SHOWN 80 /* bytes in a list; `held show` shows all */

/* ---- what a hold carries ---- */

static json_t *detail_of(json_t *d)
{
    return json_object_get(d, "detail");
}

/** "release, reject" */
static void choices_text(struct buf *out, json_t *d)
{
    json_t *choices = json_object_get(detail_of(d), "choices"), *c;
    size_t i;

    json_array_foreach(choices, i, c) buf_printf(out, "%s%s", i ? ", " : "", json_text(c, "name"));
}

/** "then escalate at 2026-11-20 09:15:32" */
static void clock_text(struct buf *out, json_t *d)
{
    const char *then = json_text(detail_of(d), "then");
    char when[32];

    if (json_is_true(json_object_get(detail_of(d), "overdue")))
        buf_cstr(out, "overdue");
    else if (*json_text(d, "next_at"))
        buf_printf(out, "%s at %s", *then ? then : "looked at",
                   short_time(json_text(d, "next_at"), when));
}

static void evidence_text(struct buf *out, json_t *d, size_t most)
{
    json_t *evidence = json_object_get(detail_of(d), "evidence");
    char *text = evidence ? json_dumps(evidence, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

    if (text && strlen(text) > most)
        buf_printf(out, "%.*s...", (int)most, text);
    else if (text)
        buf_cstr(out, text);
    else if (*json_text(detail_of(d), "evidence_lacks"))
        buf_printf(out, "none: %s", json_text(detail_of(d), "evidence_lacks"));
    free(text);
}

static const char *or_dash(const char *text)
{
    return text && *text ? text : "-";
}

void print_hold(json_t *d)
{
    struct buf clock = { 0 }, evidence = { 0 };

    if (strcmp(json_text(d, "state"), "held") != 0)
        return;
    clock_text(&clock, d);
    evidence_text(&evidence, d, 64 << 10);
    print_member(detail_of(d), "owner", "owner");
    if (clock.len)
        print_field("clock", clock.data);
    print_member(detail_of(d), "then asked", "escalate_to");
    if (evidence.len)
        print_field("evidence", evidence.data);
    buf_finish(&clock);
    buf_finish(&evidence);
}

void print_deadline(json_t *d)
{
    json_t *l = json_object_get(d, "deadline"), *topics = json_object_get(l, "expect");
    struct buf text = { 0 };
    char when[32];

    if (!json_is_object(l))
        return;
    for (size_t i = 0; i < json_array_size(topics); i++)
        buf_printf(&text, "%s%s", i ? " or " : "", json_string_value(json_array_get(topics, i)));
    if (strcmp(json_text(l, "state"), "open") == 0)
        buf_printf(&text, " is expected until %s", short_time(json_text(l, "due_at"), when));
    else
        buf_printf(&text, ": %s at %s", json_text(l, "state"),
                   short_time(json_text(l, "ended_at"), when));
    print_field("deadline", text.data);
    buf_finish(&text);
}

/* ---- held list ---- */

static int by_type(const void *a, const void *b)
{
    json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    int r = strcmp(json_text(x, "hold_type"), json_text(y, "hold_type"));

    if (r == 0) /* the one that waits longest first */
        r = strcmp(json_text(x, "updated_at"), json_text(y, "updated_at"));
    return r ? r : strcmp(json_text(x, "id"), json_text(y, "id"));
}

static void add_held(struct table *t, json_t *d)
{
    struct buf choices = { 0 }, clock = { 0 }, note = { 0 };
    char since[32];

    choices_text(&choices, d);
    clock_text(&clock, d);
    evidence_text(&note, d, EVIDENCE_SHOWN);
    if (!note.len)
        buf_cstr(&note, json_text(d, "reason"));
    table_cell(t, json_text(d, "hold_type"));
    table_cell(t, json_text(d, "id"));
    table_cell(t, or_dash(json_text(detail_of(d), "owner")));
    table_cell(t, short_time(json_text(d, "updated_at"), since));
    table_cell(t, or_dash(clock.data));
    table_cell(t, json_text(d, "route"));
    table_cell(t, or_dash(json_text(d, "subject")));
    table_cell(t, choices.len ? choices.data : "release, reject");
    table_cell(t, note.data);
    buf_finish(&choices);
    buf_finish(&clock);
    buf_finish(&note);
}

static void print_held(const struct cli *cli, json_t *list)
{
    const char *limit = cli_value(cli, "limit");
    size_t n = json_array_size(list), i;
    json_t **rows = calloc(n ? n : 1, sizeof(*rows)), *d;
    struct table t;

    if (n == 0)
        tell("nothing is held\n");
    if (n == 0 || !rows) {
        free(rows);
        return;
    }
    json_array_foreach(list, i, d) rows[i] = d;
    qsort(rows, n, sizeof(*rows), by_type);
    table_init(&t, "TYPE|>ID|OWNER|SINCE|CLOCK|ROUTE|SUBJECT|CHOICES|EVIDENCE");
    for (i = 0; i < n; i++)
        add_held(&t, rows[i]);
    table_print(&t);
    table_finish(&t);
    free(rows);
    if (n == (limit ? strtoul(limit, NULL, 10) : 100))
        tell("further ones: --after %s\n", json_text(json_array_get(list, n - 1), "id"));
    tell(
        "decide: sluice held release ID, or sluice held reject ID; one of its choices: --choice "
        "NAME\n");
}

/** The options of `names` into the query; the answer is `print`ed. */
static int ask(struct cli *cli, struct buf *target, const char *const (*names)[2],
               void (*print)(const struct cli *cli, json_t *list))
{
    struct answer a;
    int r;

    if (cli->argc)
        return command_usage(cli, "takes no argument, but got \"%s\"", cli->argv[0]);
    for (; (*names)[0]; names++)
        target_param(target, (*names)[1], cli_value(cli, (*names)[0]));
    if (cli_value(cli, "overdue"))
        target_param(target, "overdue", "true");
    r = client_get(cli, target->data, &a);
    if (r != EXIT_DONE)
        return r;
    if (cli->json)
        answer_print(&a);
    else
        print(cli, a.json);
    answer_finish(&a);
    return EXIT_DONE;
}

int command_held_list(struct cli *cli)
{
    static const char *const names[][2] = {
        { "type", "hold_type" }, { "owner", "owner" },     { "endpoint", "endpoint" },
        { "route", "route" },    { "subject", "subject" }, { "topic", "topic" },
        { "error", "error" },    { "issue", "issue" },     { "since", "since" },
        { "until", "until" },    { "after", "after" },     { "limit", "limit" },
        { NULL, NULL },
    };
    struct buf target = { 0 };
    int r;

    buf_cstr(&target, "/v1/deliveries");
    target_param(&target, "state", "held");
    if (!cli_value(cli,
                   "type")) /* what waits for an event needs nobody; --type wait-for shows it */
        target_param(&target, "for_people", "true");
    r = ask(cli, &target, names, print_held);
    buf_finish(&target);
    return r;
}

/* ---- deadlines ---- */

static void print_deadlines(const struct cli *cli, json_t *list)
{
    struct table t;
    size_t i;
    json_t *l;

    (void)cli;
    if (json_array_size(list) == 0) {
        tell("no deadline %s\n", cli_value(cli, "overdue") ? "was missed" : "is open");
        return;
    }
    table_init(&t, ">DELIVERY|STATE|DUE|ROUTE|SUBJECT|OWNER|EXPECTS|ELSE");
    json_array_foreach(list, i, l)
    {
        json_t *topics = json_object_get(l, "expect");
        struct buf expect = { 0 };
        char when[32];
        for (size_t k = 0; k < json_array_size(topics); k++)
            buf_printf(&expect, "%s%s", k ? ", " : "",
                       json_string_value(json_array_get(topics, k)));
        table_cell(&t, json_text(l, "delivery"));
        table_cell(&t, json_text(l, "state"));
        table_cell(&t, short_time(json_text(l, "due_at"), when));
        table_cell(&t, json_text(l, "route"));
        table_cell(&t, or_dash(json_text(l, "subject")));
        table_cell(&t, or_dash(json_text(l, "owner")));
        table_cell(&t, expect.data);
        table_cell(&t, json_text(l, "topic"));
        buf_finish(&expect);
    }
    table_print(&t);
    table_finish(&t);
    tell("more on one: sluice deliveries show ID\n");
}

int command_deadlines_list(struct cli *cli)
{
    static const char *const names[][2] = {
        { "owner", "owner" },     { "endpoint", "endpoint" }, { "route", "route" },
        { "subject", "subject" }, { "after", "after" },       { "limit", "limit" },
        { NULL, NULL },
    };
    struct buf target = { 0 };
    int r;

    buf_cstr(&target, "/v1/deadlines");
    r = ask(cli, &target, names, print_deadlines);
    buf_finish(&target);
    return r;
}
