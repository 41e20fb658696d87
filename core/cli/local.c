/*
 * local.c - the commands that need no daemon: run, check, version.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "cli/command.h"
#include "cli/daemon.h"
#include "cli/exit.h"
#include "cli/load.h"

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

static void print_json_errors(const struct config_errors *errors)
{
    json_t *list = json_array();

    for (size_t i = 0; i < errors->n; i++) {
        const struct config_error *e = &errors->list[i];
        json_array_append_new(list, json_pack("{s:s, s:i, s:i, s:s}", "file",
                                              e->file ? e->file : "", "line", (int)e->line,
                                              "column", (int)e->column, "text", e->text));
    }
    json_t *all = json_pack("{s:b, s:o}", "ok", errors->n == 0, "errors", list);
    json_dumpf(all, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(all);
}

int command_check(struct cli *cli)
{
    struct loaded_config l;
    struct config_errors errors = { 0 };
    int r = load_config(cli->file, cli_value(cli, "no-secrets") != NULL, &l,
                        cli->json ? &errors : NULL);

    if (cli->json) {
        print_json_errors(&errors);
        config_errors_finish(&errors);
    }
    if (r != EXIT_DONE)
        return r;
    if (!cli->json)
        printf("%s: good, %zu endpoints, %zu routes\n", cli->file, l.config->n_endpoints,
               l.config->n_routes);
    unload_config(&l);
    return EXIT_DONE;
}
