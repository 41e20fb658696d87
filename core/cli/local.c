/*
 * local.c - the commands that need no daemon: run, check, version.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/daemon.h"
#include "cli/exit.h"
#include "cli/load.h"
#include "cli/orphans.h"

int command_version(struct cli *cli)
{
    if (cli->json)
        printf("{\"version\":\"%s\",\"abi\":\"%d.%d\"}\n", SLUICE_VERSION, SL_ABI_MAJOR,
               SL_ABI_MINOR);
    else
        printf("sluice %s (plugin ABI %d.%d)\n", SLUICE_VERSION, SL_ABI_MAJOR, SL_ABI_MINOR);
    return EXIT_DONE;
}

int command_run(struct cli *cli)
{
    struct loaded_config l;
    int r = load_config(cli->file, false, &l, NULL);

    if (r != EXIT_DONE)
        return r;
    daemon_log(l.config);
    r = daemon_run(&l);
    unload_config(&l);
    return r;
}

static json_t *json_errors(const struct config_errors *errors)
{
    json_t *list = json_array();

    for (size_t i = 0; i < errors->n; i++) {
        const struct config_error *e = &errors->list[i];
        json_array_append_new(list, json_pack("{s:s, s:i, s:i, s:s}", "file",
                                              e->file ? e->file : "", "line", (int)e->line,
                                              "column", (int)e->column, "text", e->text));
    }
    return list;
}

/** What the running daemon would hold, if it took this configuration over; without one nothing. */
static json_t *find_orphans(struct cli *cli, const struct config *config)
{
    json_t *all = json_array();
    struct orphan_list list;
    struct cli quiet = *cli; /* a daemon that refuses is no answer of this command */
    struct buf text = { 0 };
    struct answer a;

    quiet.json = false;
    if (!config || cli_value(cli, "no-secrets") || client_look(cli) != EXIT_DONE ||
        client_get(&quiet, "/v1/places", &a) != EXIT_DONE)
        return all;
    orphans_count(&list, config, a.json);
    for (size_t i = 0; i < list.n; i++) {
        const struct orphans *o = &list.at[i];
        orphans_say(&text, o, true);
        json_array_append_new(all, json_pack("{s:s, s:s, s:I, s:s}", "route", o->route, "endpoint",
                                             o->endpoint, "deliveries", (json_int_t)o->n, "text",
                                             text.data));
        buf_clear(&text);
    }
    buf_finish(&text);
    orphans_finish(&list);
    answer_finish(&a);
    return all;
}

static void print_json(const struct config_errors *errors, json_t *orphans)
{
    json_t *all = json_pack("{s:b, s:o, s:O}", "ok", errors->n == 0, "errors", json_errors(errors),
                            "orphans", orphans);

    json_dumpf(all, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(all);
}

int command_check(struct cli *cli)
{
    struct loaded_config l = { 0 };
    struct config_errors errors = { 0 };
    int r = load_config(cli->file, cli_value(cli, "no-secrets") != NULL, &l,
                        cli->json ? &errors : NULL);
    json_t *orphans = find_orphans(cli, l.config), *o;
    size_t i;

    if (cli->json) {
        print_json(&errors, orphans);
    } else if (r == EXIT_DONE) {
        printf("%s: good, %zu endpoints, %zu routes\n", cli->file, l.config->n_endpoints,
               l.config->n_routes);
        json_array_foreach(orphans, i, o)
            printf("%s\n", json_string_value(json_object_get(o, "text")));
    }
    config_errors_finish(&errors);
    json_decref(orphans);
    if (r == EXIT_DONE)
        unload_config(&l);
    return r;
}
