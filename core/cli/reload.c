/*
 * reload.c - `sluice reload`: the running daemon reads its configuration again; the verdict is
 * waited for.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "cli/client.h"
#include "cli/exit.h"
#include "cli/remote.h"

static void print_names(json_t *a, const char *kind, const char *what)
{
    json_t *list = json_object_get(json_object_get(a, kind), what), *name;
    struct buf b = { 0 };
    char field[40];
    size_t i;

    json_array_foreach(list, i, name)
        buf_printf(&b, "%s%s", i ? ", " : "", json_string_value(name));
    snprintf(field, sizeof(field), "%.*s %s", (int)strlen(kind) - 1, kind, what);
    if (b.len)
        print_field(field, b.data);
    buf_finish(&b);
}

static void print_verdict(json_t *a)
{
    bool dry_run = json_is_true(json_object_get(a, "dry_run"));
    json_t *orphans = json_object_get(a, "orphans"), *o;
    size_t i;

    print_names(a, "endpoints", "added");
    print_names(a, "endpoints", "changed");
    print_names(a, "endpoints", "removed");
    print_names(a, "routes", "added");
    print_names(a, "routes", "removed");
    json_array_foreach(orphans, i, o) printf("%s\n", json_string_value(json_object_get(o, "text")));
    if (dry_run)
        tell("%s: good; nothing was changed\n", json_string_value(json_object_get(a, "file")));
    else
        tell("%s: in force now\n", json_string_value(json_object_get(a, "file")));
    if (json_array_size(orphans))
        tell(
            "what is held as orphaned goes on when its place is back and it is released: "
            "sluice held release --all --type orphaned --route NAME\n");
}

int command_reload(struct cli *cli)
{
    bool dry_run = cli_value(cli, "dry-run") != NULL;
    struct answer a;
    int r = client_post(cli, "/v1/reload", dry_run ? json_pack("{s:b}", "dry_run", 1) : NULL, &a);

    if (r != EXIT_DONE)
        return r;
    if (cli->json)
        answer_print(&a);
    else
        print_verdict(a.json);
    answer_finish(&a);
    return EXIT_DONE;
}
