/*
 * decide.c - `sluice dead replay|discard` and `sluice held release|reject|arrived`: one or many.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "cli/client.h"
#include "cli/exit.h"
#include "cli/remote.h"
#include "cli/table.h"

#define RESULTS_SHOWN 20 /* of a bulk that went well; what failed is shown whole */

struct verb {
    const char *action, *state; /* state: of those that --all means */
    const char *done;           /* "3 deliveries are replayed" */
    const char *next;           /* what to type then; NULL: nothing */
    const char *choice;         /* of a hold; NULL: as --choice says */
};

/* ---- the question ---- */

static const char *const filters[][2] = { { "route", "route" },     { "endpoint", "endpoint" },
                                          { "subject", "subject" }, { "topic", "topic" },
                                          { "type", "hold_type" },  { "error", "error" },
                                          { "issue", "issue" },     { "since", "since" },
                                          { "until", "until" } };

static json_t *filter_of(const struct cli *cli, const char *state)
{
    json_t *filter = json_pack("{s:s}", "state", state);

    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        const char *value = cli_value(cli, filters[i][0]);
        if (value)
            json_object_set_new(filter, filters[i][1], json_string(value));
    }
    return filter;
}

static bool has_option(const struct cli *cli, const char *name)
{
    for (const struct cli_option *o = cli->command->options; o && o->name; o++)
        if (strcmp(o->name, name) == 0)
            return true;
    return false;
}

/** Either ids, or --all with filters: neither by accident. */
static int check_usage(const struct cli *cli)
{
    bool all = cli_value(cli, "all") != NULL;

    if (!all && cli->argc == 0 && has_option(cli, "all"))
        return command_usage(cli,
                             "wants the ids of deliveries, or --all (then --dry-run shows first "
                             "what that is)");
    if (!all && cli->argc == 0)
        return command_usage(cli, "wants the ids of deliveries");
    if (all && cli->argc)
        return command_usage(cli, "wants either ids or --all, not both");
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
        if (!all && cli_value(cli, filters[i][0]))
            return command_usage(cli, "--%s narrows --all; ids need no filter", filters[i][0]);
    return EXIT_DONE;
}

/** --set FIELD=VALUE, once or more; NULL: one is not of this form, and that was told. */
static json_t *set_of(const struct cli *cli)
{
    json_t *set = json_object();
    const char *text;

    for (size_t i = 0; (text = cli_value_at(cli, "set", i)); i++) {
        const char *equals = strchr(text, '=');
        char name[64];
        if (!equals || equals == text || (size_t)(equals - text) >= sizeof(name)) {
            command_usage(cli, "--set wants FIELD=VALUE, found \"%s\"", text);
            json_decref(set);
            return NULL;
        }
        snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text);
        json_object_set_new(set, name, json_string(equals + 1));
    }
    return set;
}

static json_t *question(const struct cli *cli, const struct verb *v)
{
    static const char *const texts[] = { "why", "to", "choice", "priority" };
    static const char *const flags[][2] = { { "remap", "remap" },
                                            { "force", "force" },
                                            { "not-arrived", "not_arrived" },
                                            { "dry-run", "dry_run" } };
    json_t *q = json_pack("{s:s}", "action", v->action), *ids;

    if (cli_value(cli, "all")) {
        json_object_set_new(q, "filter", filter_of(cli, v->state));
    } else {
        json_object_set_new(q, "ids", ids = json_array());
        for (int i = 0; i < cli->argc; i++)
            json_array_append_new(ids, json_string(cli->argv[i]));
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (cli_value(cli, texts[i]))
            json_object_set_new(q, texts[i], json_string(cli_value(cli, texts[i])));
    if (v->choice)
        json_object_set_new(q, "choice", json_string(v->choice));
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        if (cli_value(cli, flags[i][0]))
            json_object_set_new(q, flags[i][1], json_true());
    return q;
}

/* ---- the answer ---- */

/** What the results mean together; of very many the answer lists not all. */
static int exit_code_of(json_t *a)
{
    json_t *results = json_object_get(a, "results"), *r;
    size_t n = json_array_size(results), i, missing = 0, refused = 0;
    int64_t failed = json_integer_value(json_object_get(a, "failed"));

    if (failed == 0)
        return EXIT_DONE;
    if (failed < json_integer_value(json_object_get(a, "matched")))
        return EXIT_PARTIAL;
    json_array_foreach(results, i, r)
    {
        const char *status = json_text(r, "status");
        missing += strcmp(status, "not_found") == 0;
        refused += strcmp(status, "refused") == 0 || strcmp(status, "busy") == 0;
    }
    return missing == n             ? EXIT_NOT_FOUND
           : refused == n           ? EXIT_REFUSED
           : missing + refused == n ? EXIT_PARTIAL
                                    : EXIT_FAILED;
}

static void print_results(json_t *results)
{
    size_t n = json_array_size(results), i, shown = 0;
    struct table t;
    json_t *r;

    table_init(&t, ">ID|RESULT|TEXT");
    json_array_foreach(results, i, r)
    {
        const char *status = json_text(r, "status");
        bool good = strcmp(status, "done") == 0 || strcmp(status, "would") == 0;
        if (good && n > RESULTS_SHOWN && shown >= RESULTS_SHOWN)
            continue;
        shown += good;
        table_cell(&t, json_text(r, "id"));
        table_cell(&t, status);
        table_cell(&t, json_text(r, "text"));
    }
    table_print(&t);
    table_finish(&t);
}

/** A mapping makes its payload anew, of the event. */
static void warn_of_edits(json_t *results, bool dry)
{
    size_t i, n = 0;
    json_t *r;

    json_array_foreach(results, i, r) n += json_is_true(json_object_get(r, "edit_lost"));
    if (n)
        tell("warning: what a person edited in %zu of them %s; deliveries show ID has it\n", n,
             dry ? "would not be carried over" : "is not carried over");
}

static void print_answer(json_t *a, const struct verb *v)
{
    int64_t done = json_integer_value(json_object_get(a, "done"));
    int64_t failed = json_integer_value(json_object_get(a, "failed"));
    int64_t matched = json_integer_value(json_object_get(a, "matched"));
    bool more = json_is_true(json_object_get(a, "more"));
    json_t *results = json_object_get(a, "results");

    if (matched == 0) {
        tell("nothing matches; nothing was changed\n");
        return;
    }
    print_results(results);
    if (json_is_true(json_object_get(a, "dry_run"))) {
        tell("dry run: %" PRId64 "%s would be asked to %s; nothing was changed\n", matched - failed,
             more ? " (not all are listed)" : "", v->action);
        warn_of_edits(results, true);
        return;
    }
    tell("%" PRId64 " %s", done, v->done);
    if (failed)
        tell(", %" PRId64 " not", failed);
    tell("%s\n", more ? "; not all are listed" : "");
    warn_of_edits(results, false);
    if (done && v->next)
        tell("see what comes of it: %s %s\n", v->next,
             done == 1 && json_array_size(results) == 1
                 ? json_text(json_array_get(results, 0), "id")
                 : "ID");
}

static int decide(struct cli *cli, const struct verb *v)
{
    struct answer a;
    int r = check_usage(cli);

    if (r != EXIT_DONE)
        return r;
    json_t *set = set_of(cli), *q;
    if (!set)
        return EXIT_USAGE;
    q = question(cli, v);
    if (json_object_size(set))
        json_object_set(q, "set", set);
    json_decref(set);
    r = client_post(cli, "/v1/decide", q, &a);
    if (r != EXIT_DONE)
        return r;
    if (cli->json)
        answer_print(&a);
    else
        print_answer(a.json, v);
    r = exit_code_of(a.json);
    answer_finish(&a);
    return r;
}

int command_dead_replay(struct cli *cli)
{
    if (cli_value(cli, "rate") && (!cli_value(cli, "all") || cli->argc))
        return command_usage(cli, "--rate is for --all: then it is a job, as sluice replay makes");
    if (cli_value(cli, "rate") && cli_value(cli, "force"))
        return command_usage(cli, "--rate is for what is dead; --force is not");
    if (cli_value(cli, "rate"))
        return command_replay(cli);
    return decide(cli, &(struct verb){ "replay", "dead", "replayed", "sluice deliveries show" });
}

int command_dead_discard(struct cli *cli)
{
    return decide(cli, &(struct verb){ "discard", "dead", "discarded", NULL });
}

int command_held_release(struct cli *cli)
{
    return decide(cli, &(struct verb){ "release", "held", "released", "sluice deliveries show" });
}

int command_held_choose(struct cli *cli)
{
    struct verb v = { "release", "held", "decided", "sluice deliveries show" };

    if (cli->argc < 2)
        return command_usage(cli,
                             "wants one of the choices that sluice held show ID lists, and "
                             "the ids of deliveries");
    v.choice = cli->argv[0];
    cli->argc--;
    cli->argv++;
    return decide(cli, &v);
}

int command_held_reject(struct cli *cli)
{
    return decide(cli, &(struct verb){ "reject", "held", "rejected; they are dead letters now",
                                       "sluice dead show" });
}

int command_held_arrived(struct cli *cli)
{
    return decide(cli, &(struct verb){ "arrived", "held", "marked as arrived", NULL });
}

int command_deliveries_move(struct cli *cli)
{
    if (!cli_value(cli, "to"))
        return command_usage(cli, "wants --to ENDPOINT: another member of its group");
    return decide(cli, &(struct verb){ "move", "ready", "moved", "sluice deliveries show" });
}

int command_held_again(struct cli *cli)
{
    return decide(cli, &(struct verb){ "send-again", "held", "sent again, under the same key",
                                       "sluice deliveries show" });
}
