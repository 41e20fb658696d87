/*
 * events.c - `sluice events`: what came in.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/client.h"
#include "cli/exit.h"
#include "cli/remote.h"
#include "cli/table.h"

/* ---- what the lists share ---- */

int command_usage(const struct cli *cli, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "sluice %s: ", cli->command->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nsee: sluice %s --help\n", cli->command->name);
    return EXIT_USAGE;
}

void tell(const char *fmt, ...)
{
    va_list ap;

    fflush(stdout); /* both may go to one terminal: the data first */
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
}

const char *command_one(const struct cli *cli, const char *what)
{
    if (cli->argc == 1 && cli->argv[0][0])
        return cli->argv[0];
    command_usage(cli, "wants one %s, got %d arguments", what, cli->argc);
    return NULL;
}

void print_field(const char *name, const char *value)
{
    struct buf b = { 0 };

    if (!value || !*value)
        return;
    clean_text(&b, str_of(value));
    printf("%-14s %s\n", name, b.data ? b.data : "");
    buf_finish(&b);
}

void print_member(json_t *o, const char *name, const char *member)
{
    json_t *v = json_object_get(o, member);
    char number[32];

    if (json_is_integer(v)) {
        snprintf(number, sizeof(number), "%" PRId64, (int64_t)json_integer_value(v));
        print_field(name, number);
    } else {
        print_field(name, json_string_value(v));
    }
}

void print_body(const char *heading, const char *body)
{
    struct buf b = { 0 };

    if (!body || !*body)
        return;
    clean_lines(&b, str_of(body));
    printf("\n%s\n%s%s", heading, b.data ? b.data : "",
           b.len && b.data[b.len - 1] == '\n' ? "" : "\n");
    buf_finish(&b);
}

/* ---- list ---- */

void print_events(json_t *list)
{
    struct table t;
    size_t i;
    json_t *e;

    table_init(&t, ">ID|RECEIVED|ENDPOINT|TOPIC|SUBJECT|DELIVERIES|NOTE");
    json_array_foreach(list, i, e)
    {
        struct buf counts = { 0 }, note = { 0 };
        json_t *original = json_object_get(e, "duplicate_of");
        char when[32];
        table_number(&t, json_object_get(e, "id"));
        table_cell(&t, short_time(json_text(e, "received_at"), when));
        table_cell(&t, json_text(e, "endpoint"));
        table_cell(&t, json_text(e, "topic"));
        table_cell(&t, json_text(e, "subject"));
        counts_text(&counts, json_object_get(e, "deliveries"));
        if (!counts.len && strcmp(json_text(e, "routed"), "routed") != 0)
            buf_cstr(&counts, json_text(e, "routed"));
        table_cell(&t, counts.len ? counts.data : "-");
        if (json_is_integer(original))
            buf_printf(&note, "the same as %" PRId64 " ", (int64_t)json_integer_value(original));
        buf_cstr(&note, json_text(e, "note"));
        table_cell(&t, note.data);
        buf_finish(&counts);
        buf_finish(&note);
    }
    table_print(&t);
    table_finish(&t);
}

int command_events_list(struct cli *cli)
{
    static const char *const names[] = { "endpoint", "topic", "subject", "after", "limit" };
    struct buf target = { 0 };
    struct answer a;
    size_t n;
    int r;

    if (cli->argc)
        return command_usage(cli, "takes no argument, but got \"%s\"", cli->argv[0]);
    buf_cstr(&target, "/v1/events");
    target_param(&target, "duplicates", cli_value(cli, "duplicates") ? "true" : NULL);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        target_param(&target, names[i], cli_value(cli, names[i]));
    r = client_get(cli, target.data, &a);
    buf_finish(&target);
    if (r != EXIT_DONE)
        return r;
    if (cli->json) {
        answer_print(&a);
    } else if ((n = json_array_size(a.json)) == 0) {
        tell("%s\n", cli_value(cli, "duplicates") ? "no duplicate" : "no event");
    } else {
        print_events(a.json);
        int64_t last = json_integer_value(json_object_get(json_array_get(a.json, n - 1), "id"));
        const char *limit = cli_value(cli, "limit");
        if (n == (limit ? strtoul(limit, NULL, 10) : 100) && last > 1)
            tell("older ones: --after %" PRId64 "\n", last);
    }
    answer_finish(&a);
    return EXIT_DONE;
}

/* ---- show ---- */

static void print_headers(json_t *headers)
{
    size_t i;
    json_t *h;

    if (json_array_size(headers))
        printf("\nheaders\n");
    json_array_foreach(headers, i, h)
    {
        struct buf line = { 0 };
        buf_printf(&line, "%s: %s", json_text(h, "name"), json_text(h, "value"));
        struct buf out = { 0 };
        clean_text(&out, buf_view(&line));
        printf("  %s\n", out.data ? out.data : "");
        buf_finish(&line);
        buf_finish(&out);
    }
}

static void print_some(const char *heading, json_t *events)
{
    if (json_array_size(events) == 0)
        return;
    printf("\n%s\n", heading);
    print_events(events);
}

/* Of a duplicate: what it repeats, and what became of that. */
static void print_original(json_t *e)
{
    json_t *original = json_object_get(e, "original"), *one;

    if (json_is_null(original))
        print_field("original", "is not kept any more");
    if (!json_is_object(original))
        return;
    one = json_pack("[O]", original);
    print_some("original", one);
    json_decref(one);
}

static void print_event(json_t *e)
{
    json_t *list;

    print_member(e, "event", "id");
    print_member(e, "received", "received_at");
    print_member(e, "from", "endpoint");
    print_member(e, "topic", "topic");
    print_member(e, "subject", "subject");
    print_member(e, "sender's id", "sender_id");
    print_member(e, "origin", "origin");
    print_member(e, "cause", "cause");
    print_member(e, "routed", "routed");
    print_member(e, "the same as", "duplicate_of");
    print_member(e, "note", "note");
    print_headers(json_object_get(e, "headers"));
    print_member(e, "body", "body_missing");
    print_body("body", json_text(e, "body"));
    print_original(e);
    list = json_object_get(e, "deliveries");
    if (json_array_size(list)) {
        printf("\ndeliveries\n");
        print_deliveries(list);
    }
    print_some("emitted", json_object_get(e, "emitted"));
    print_some("duplicates", json_object_get(e, "duplicates"));
}

int command_show(struct cli *cli, const char *what, const char *path, void (*print)(json_t *o))
{
    const char *id = command_one(cli, what);
    struct buf target = { 0 };
    struct answer a;
    int r;

    if (!id)
        return EXIT_USAGE;
    buf_cstr(&target, path);
    target_segment(&target, id);
    r = client_get(cli, target.data, &a);
    buf_finish(&target);
    if (r != EXIT_DONE)
        return r;
    if (cli->json)
        answer_print(&a);
    else
        print(a.json);
    answer_finish(&a);
    return EXIT_DONE;
}

int command_events_show(struct cli *cli)
{
    return command_show(cli, "id of an event, such as 1042", "/v1/events/", print_event);
}
