/*
 * backup.c - `sluice db backup` of the running daemon's store, or of one that nobody has open.
 */
#include "store/backup.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/log.h"
#include "cli/client.h"
#include "cli/exit.h"
#include "cli/load.h"
#include "cli/remote.h"
#include "cli/table.h"

#define ASK_EVERY_MS 100

/* ---- how it went ---- */

static void print_done(const char *folder, uint64_t first, uint64_t last, uint64_t files,
                       uint64_t bytes)
{
    tell("%s: records %" PRIu64 " to %" PRIu64 ", %" PRIu64 " files, %.1f MB\n", folder, first,
         last, files, (double)bytes / 1e6);
    tell("look whether it is whole: sluice db check --store %s\n", folder);
}

/** On a terminal, one line that is written over. */
static void print_progress(uint64_t bytes, uint64_t total, bool last)
{
    if (!isatty(STDERR_FILENO))
        return;
    if (last)
        fprintf(stderr, "\r\033[K");
    else
        fprintf(stderr, "\r%.1f of %.1f MB", (double)bytes / 1e6, (double)total / 1e6);
}

/** The daemon has another working folder. */
static char *absolute(const char *folder)
{
    struct buf path = { 0 };
    char *here;

    if (folder[0] == '/')
        return strdup(folder);
    here = getcwd(NULL, 0);
    buf_printf(&path, "%s/%s", here ? here : "", folder);
    free(here);
    return buf_steal(&path, NULL);
}

/* ---- the daemon's ---- */

static uint64_t number(json_t *o, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(o, name));
}

static bool is(json_t *o, const char *state)
{
    return strcmp(json_text(o, "state"), state) == 0;
}

/** Until it is over; the last answer is *a. */
static int follow(struct cli *cli, struct answer *a)
{
    const struct timespec pause = { .tv_nsec = ASK_EVERY_MS * 1000000L };
    int r;

    while (is(a->json, "running")) {
        print_progress(number(a->json, "bytes"), number(a->json, "total"), false);
        nanosleep(&pause, NULL);
        answer_finish(a);
        if ((r = client_get(cli, "/v1/backup", a)) != EXIT_DONE)
            return r;
    }
    print_progress(0, 0, true);
    return EXIT_DONE;
}

static int ask_daemon(struct cli *cli, const char *folder)
{
    struct answer a;
    int r = client_post(cli, "/v1/backup", json_pack("{s:s}", "folder", folder), &a);

    if (r != EXIT_DONE || (r = follow(cli, &a)) != EXIT_DONE)
        return r;
    if (!is(a.json, "done"))
        r = EXIT_FAILED;
    if (cli->json)
        answer_print(&a);
    else if (r == EXIT_DONE)
        print_done(json_text(a.json, "folder"), number(a.json, "first"), number(a.json, "last"),
                   number(a.json, "files"), number(a.json, "total"));
    else
        fprintf(stderr, "sluice: no backup was made: %s\n", json_text(a.json, "error"));
    answer_finish(&a);
    return r;
}

/* ---- one that nobody has open ---- */

struct offline {
    struct cli *cli;
    struct store *store;
    int code;
};

static void print_json(const struct backup_status *st)
{
    json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "state", "done", "folder", st->dir,
                          "total", (json_int_t)st->total, "files", (json_int_t)st->files, "first",
                          (json_int_t)st->first, "last", (json_int_t)st->last, "watermark",
                          (json_int_t)st->watermark);

    json_dumpf(o, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(o);
}

static void on_over(void *ctx, const struct backup_status *st)
{
    struct offline *x = ctx;

    x->code = st->state == BACKUP_DONE ? EXIT_DONE : EXIT_FAILED;
    if (x->code != EXIT_DONE)
        fprintf(stderr, "sluice: no backup was made: %s\n", st->text);
    else if (x->cli->json)
        print_json(st);
    else
        print_done(st->dir, st->first, st->last, st->files, st->total);
    store_close(x->store, NULL, NULL);
}

static int copy_offline(struct cli *cli, const char *path, const char *folder)
{
    struct offline x = { .cli = cli, .code = EXIT_FAILED };
    struct fail fail = { 0 };
    struct store_conf conf;
    uv_loop_t loop;
    int r;

    if (access(path, F_OK) < 0) {
        fprintf(stderr, "sluice: there is no store in %s\n", path);
        return EXIT_NOT_FOUND;
    }
    if ((r = command_as_owner(cli, path)) != EXIT_DONE)
        return r;
    store_defaults(&conf);
    conf.path = path;
    conf.keep_ms = INT64_MAX / 4; /* only the daemon lets anything go */
    uv_loop_init(&loop);
    if ((r = store_open(&x.store, &loop, &conf, &fail)) < 0) {
        fprintf(stderr, "sluice: %s\n", fail.text);
        x.code = r == UV_EBUSY ? EXIT_REFUSED : EXIT_FAILED;
    } else if ((r = store_backup(x.store, folder, on_over, &x)) < 0) {
        fprintf(stderr, "sluice: %s: %s\n", folder, uv_strerror(r));
        store_close(x.store, NULL, NULL);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return x.code;
}

static int backup_offline(struct cli *cli, const char *folder)
{
    const char *path = cli_value(cli, "store");
    struct loaded_config l;
    int r;

    log_setup(LOG_ERROR, LOG_TEXT);
    if (path)
        return copy_offline(cli, path, folder);
    if ((r = load_config(cli->file, true, &l, NULL)) != EXIT_DONE)
        return r;
    r = copy_offline(cli, l.config->store_path, folder);
    unload_config(&l);
    return r;
}

int command_db_backup(struct cli *cli)
{
    const char *given = command_one(cli, "folder");
    char *folder;
    int r;

    if (!given)
        return EXIT_USAGE;
    folder = absolute(given);
    r = cli_value(cli, "store") ? EXIT_NO_DAEMON : client_look(cli);
    if (r == EXIT_DONE)
        r = ask_daemon(cli, folder);
    else if (r == EXIT_NO_DAEMON)
        r = backup_offline(cli, folder);
    free(folder);
    return r;
}
