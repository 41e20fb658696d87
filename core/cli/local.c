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
#include "cli/online.h"
#include "cli/orphans.h"
#include "cli/table.h"

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

/** `online`: what the endpoints said; NULL: they were not asked. */
static void print_json(const struct config_errors *errors, json_t *orphans, json_t *online)
{
    bool ok = errors->n == 0 && !(online && online_failed(online));
    json_t *all = json_pack("{s:b, s:o, s:O}", "ok", ok, "errors", json_errors(errors), "orphans",
                            orphans);

    if (online)
        json_object_set(all, "online", online);
    json_dumpf(all, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(all);
}

static void print_good(const struct cli *cli, const struct config *config, json_t *orphans)
{
    json_t *o;
    size_t i;

    printf("%s: good, %zu endpoints, %zu routes\n", cli->file, config->n_endpoints,
           config->n_routes);
    json_array_foreach(orphans, i, o) printf("%s\n", json_text(o, "text"));
}

int command_check(struct cli *cli)
{
    bool skip_secrets = cli_value(cli, "no-secrets") != NULL;
    struct loaded_config l = { 0 };
    struct config_errors errors = { 0 };
    json_t *online = NULL;

    if (skip_secrets && cli_value(cli, "online")) {
        fprintf(stderr, "sluice check: --online needs the secrets: not with --no-secrets\n");
        return EXIT_USAGE;
    }
    int r = load_config(cli->file, skip_secrets, &l, cli->json ? &errors : NULL);
    json_t *orphans = find_orphans(cli, l.config);

    if (r == EXIT_DONE && !cli->json) {
        print_good(cli, l.config, orphans);
        fflush(stdout); /* what follows may take a while */
    }
    if (r == EXIT_DONE && cli_value(cli, "online")) {
        online = online_ask(l.config);
        r = online_failed(online) ? EXIT_FAILED : EXIT_DONE;
    }
    if (cli->json)
        print_json(&errors, orphans, online);
    else if (online)
        online_print(online);
    config_errors_finish(&errors);
    json_decref(orphans);
    json_decref(online);
    if (l.config)
        unload_config(&l);
    return r;
}
