/*
 * reconcile.c - `sluice report reconcile`: did all arrive, and does it say what was sent?
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cli/client.h"
#include "cli/exit.h"
#include "cli/remote.h"
#include "cli/table.h"

#define LOOK_MS 100

static int64_t number(json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

static bool is_off(json_t *report)
{
    return number(report, "missing") || number(report, "differing") || number(report, "unsure");
}

/** How to send what is missing again. */
static void print_remedy(json_t *report)
{
    json_t *findings = json_object_get(report, "findings"), *one;
    size_t i, n = 0;

    json_array_foreach(findings, i, one)
    {
        const char *what = json_text(one, "what");
        if (strcmp(what, "missing") != 0 && strcmp(what, "differs") != 0)
            continue;
        printf("%s %s",
               n++ ? "" : "\nsend them again, under the same keys: sluice dead replay --force",
               json_text(one, "delivery"));
    }
    if (n)
        putchar('\n');
}

static void print_report(json_t *report)
{
    json_t *findings = json_object_get(report, "findings");
    int64_t all = number(report, "missing") + number(report, "differing") +
                  number(report, "unsure");

    printf("%" PRId64 " deliveries of %s to %s: %" PRId64 " arrived, %" PRId64 " missing, %" PRId64
           " differing, %" PRId64 " unsure; %" PRId64 " were written over by a later one\n",
           number(report, "deliveries"), json_text(report, "route"), json_text(report, "endpoint"),
           number(report, "arrived"), number(report, "missing"), number(report, "differing"),
           number(report, "unsure"), number(report, "outdated"));
    if (json_array_size(findings)) {
        putchar('\n');
        table_rows("DELIVERY=delivery|WHAT=what|SUBJECT=?subject|TEXT=text", findings);
    }
    if (all > (int64_t)json_array_size(findings))
        printf("and %" PRId64 " more: --limit names up to 1000\n",
               all - (int64_t)json_array_size(findings));
    print_remedy(report);
}

/** GET until it has ended. EXIT_DONE with *ret filled. */
static int wait_for(struct cli *cli, struct answer *ret)
{
    const struct timespec wait = { .tv_nsec = LOOK_MS * 1000000L };

    for (;;) {
        int r = client_get(cli, "/v1/reconcile", ret);

        if (r != EXIT_DONE || strcmp(json_text(ret->json, "state"), "running") != 0)
            return r;
        answer_finish(ret);
        nanosleep(&wait, NULL);
    }
}

static json_t *ask_of(const struct cli *cli)
{
    static const char *const names[] = { "endpoint", "route", "since", "until" };
    const char *limit = cli_value(cli, "limit");
    json_t *ask = json_object();

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (cli_value(cli, names[i]))
            json_object_set_new(ask, names[i], json_string(cli_value(cli, names[i])));
    if (limit)
        json_object_set_new(ask, "named", json_integer(atoi(limit)));
    return ask;
}

int command_report_reconcile(struct cli *cli)
{
    struct answer a;
    int64_t id;
    int r;

    if (!cli_value(cli, "endpoint") || !cli_value(cli, "route") || cli->argc)
        return command_usage(cli, "wanted --endpoint and --route, and --since for its window");
    r = client_post(cli, "/v1/reconcile", ask_of(cli), &a);
    if (r != EXIT_DONE)
        return r;
    id = number(a.json, "id");
    answer_finish(&a);
    if ((r = wait_for(cli, &a)) != EXIT_DONE)
        return r;
    if (number(a.json, "id") != id) {
        tell("another reconciliation was begun since; ask again\n");
        r = EXIT_FAILED;
    } else if (cli->json) {
        answer_print(&a);
    } else {
        print_report(a.json);
    }
    if (r == EXIT_DONE && strcmp(json_text(a.json, "state"), "failed") == 0) {
        tell("it could not be finished: %s\n", json_text(a.json, "error"));
        r = EXIT_FAILED;
    } else if (r == EXIT_DONE && is_off(a.json)) {
        r = EXIT_PARTIAL;
    }
    answer_finish(&a);
    return r;
}
