/*
 * groups.c - `sluice groups`.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "cli/client.h"
#include "cli/exit.h"
#include "cli/remote.h"
#include "cli/table.h"

static void print_group(struct table *t, json_t *g)
{
    json_t *members = json_object_get(g, "members"), *m;
    char text[40], when[32];
    size_t i;

    json_array_foreach(members, i, m)
    {
        const char *why = json_text(m, "why");
        struct buf note = { 0 };

        buf_cstr(&note, *why ? why : "ok");
        if (json_string_value(json_object_get(m, "since")))
            buf_printf(&note, ", since %s", short_time(json_text(m, "since"), when));
        table_cell(t, i ? "" : json_text(g, "group"));
        table_cell(t, i ? "" : json_text(g, "policy"));
        table_cell(t, json_text(m, "endpoint"));
        table_cell(t, json_text(m, "health"));
        table_number(t, json_object_get(m, "pending"));
        table_number(t, json_object_get(m, "unknown"));
        snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT "%%",
                 json_integer_value(json_object_get(m, "share_percent")));
        table_cell(t, text);
        table_number(t, json_object_get(m, "moved_away"));
        table_number(t, json_object_get(m, "moved_here"));
        table_cell(t, note.data);
        buf_finish(&note);
    }
}

int command_groups(struct cli *cli)
{
    struct answer a;
    struct table t;
    json_t *g;
    size_t i;
    int r;

    if (cli->argc)
        return command_usage(cli, "takes no argument, but got \"%s\"", cli->argv[0]);
    r = client_get(cli, "/v1/groups", &a);
    if (r != EXIT_DONE)
        return r;
    if (cli->json) {
        answer_print(&a);
    } else if (json_array_size(a.json) == 0) {
        tell("no group is configured\n");
    } else {
        table_init(&t,
                   "GROUP|POLICY|MEMBER|HEALTH|>PENDING|>UNKNOWN|>SHARE|>MOVED AWAY|>MOVED "
                   "HERE|NOTE");
        json_array_foreach(a.json, i, g) print_group(&t, g);
        table_print(&t);
        table_finish(&t);
        tell("move one by hand: sluice deliveries move ID --to ENDPOINT --why TEXT\n");
    }
    answer_finish(&a);
    return EXIT_DONE;
}
