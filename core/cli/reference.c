/*
 * reference.c - `sluice reference`: every key as a commented configuration, from the option tables.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "cli/command.h"
#include "cli/exit.h"
#include "config/config.h"
#include "host/loader.h"

/** Own, ended by NULL: --plugins, or what the configuration says; without one the usual folders. */
static char **plugin_dirs(const struct cli *cli)
{
    const char *given = cli_value(cli, "plugins");
    struct config_errors errors = { 0 };
    char real[PATH_MAX], **dirs = NULL;

    if (!given && access(cli->file, F_OK) == 0 &&
        config_plugin_dirs(cli->file, &dirs, &errors) == 0)
        return dirs;
    config_errors_finish(&errors);
    dirs = mem_array(3, sizeof(*dirs));
    if (given) {
        dirs[0] = mem_str(realpath(given, real) ? real : given);
    } else {
        dirs[0] = mem_str("/usr/lib/sluice/plugins");
        dirs[1] = mem_str("/usr/local/lib/sluice/plugins");
    }
    return dirs;
}

static int find_all(const struct cli *cli, struct plugins *plugins, const sl_plugin **ret)
{
    struct fail fail = { 0 };

    for (int i = 0; i < cli->argc; i++)
        if (!(ret[i] = plugins_find(plugins, cli->argv[i], &fail))) {
            fprintf(stderr, "sluice reference: %s\n", fail.text);
            return EXIT_NOT_FOUND;
        }
    return EXIT_DONE;
}

int command_reference(struct cli *cli)
{
    const sl_plugin **found = mem_array((size_t)cli->argc + 1, sizeof(*found));
    char **dirs = plugin_dirs(cli);
    struct plugins *plugins = plugins_open(dirs);
    int r = find_all(cli, plugins, found);

    if (r == EXIT_DONE) {
        struct buf out = { 0 };
        if (cli_value(cli, "schema"))
            config_print_schema(&out, found, (size_t)cli->argc);
        else
            config_print_references(&out, found, (size_t)cli->argc);
        fwrite(out.data, 1, out.len, stdout);
        buf_finish(&out);
    }
    for (size_t i = 0; dirs[i]; i++)
        free(dirs[i]);
    free(dirs);
    free(found);
    plugins_close(plugins);
    return r;
}
