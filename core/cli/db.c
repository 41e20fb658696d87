/*
 * db.c - `sluice db check`, `db repair` and `db restore`: a store that no daemon has open.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>
#include "base/clock.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/exit.h"
#include "cli/load.h"
#include "cli/table.h"
#include "store/check.h"
#include "store/manifest.h"
#include "store/restore.h"

/* ---- for programs ---- */

static json_t *finding_json(const struct check_finding *f)
{
    json_t *o = json_pack("{s:s, s:s, s:s}", "file", f->file, "what", f->what, "todo", f->todo);

    if (f->offset != UINT64_MAX)
        json_object_set_new(o, "offset", json_integer((json_int_t)f->offset));
    if (f->first) {
        json_object_set_new(o, "first", json_integer((json_int_t)f->first));
        json_object_set_new(o, "last", json_integer((json_int_t)f->last));
    }
    if (f->done[0])
        json_object_set_new(o, "done", json_string(f->done));
    return o;
}

static void print_json(const struct check_report *r)
{
    json_t *findings = json_array(), *losses = json_array(), *all;

    for (size_t i = 0; i < r->n; i++)
        json_array_append_new(findings, finding_json(&r->findings[i]));
    for (size_t i = 0; i < r->n_losses; i++)
        json_array_append_new(losses,
                              json_pack("{s:I, s:s}", "record", (json_int_t)r->losses[i].seq,
                                        "what", r->losses[i].what));
    all = json_pack("{s:b, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}",
                    "ok", r->n == 0, "findings", findings, "lost", losses, "lost_records",
                    (json_int_t)r->lost, "segments", (json_int_t)r->segments, "bytes",
                    (json_int_t)r->bytes, "records", (json_int_t)r->records, "void_records",
                    (json_int_t)r->voids, "first", (json_int_t)r->first, "last",
                    (json_int_t)r->last, "runs", (json_int_t)r->runs, "keys", (json_int_t)r->keys,
                    "events", (json_int_t)r->events, "watermark", (json_int_t)r->watermark,
                    "compared", r->compared);
    json_dumpf(all, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(all);
}

/* ---- for people ---- */

static void print_summary(const struct check_report *r)
{
    printf("log      %" PRIu64 " segments, %.1f MB; records %" PRIu64 " to %" PRIu64 ": %" PRIu64
           " read",
           r->segments, (double)r->bytes / 1e6, r->first, r->last, r->records);
    if (r->voids)
        printf(", %" PRIu64 " of them written off before", r->voids);
    printf("\nkeys     %" PRIu64 " runs, %" PRIu64 " keys\n", r->runs, r->keys);
    printf("index    at record %" PRIu64 ", %" PRIu64 " events of this log; %s\n", r->watermark,
           r->events,
           r->compared ? "every row compared with the log"
                       : "its events compared with the log, the rest cannot be");
}

static void print_findings(const struct check_report *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct check_finding *f = &r->findings[i];
        struct buf what = { 0 };

        clean_text(&what, (sl_str){ f->what, strlen(f->what) });
        printf("\n%s", f->file);
        if (f->offset != UINT64_MAX)
            printf(", byte %" PRIu64, f->offset);
        if (f->first && f->first == f->last)
            printf(", record %" PRIu64, f->first);
        else if (f->first)
            printf(", records %" PRIu64 " to %" PRIu64, f->first, f->last);
        printf(": %.*s\n", (int)what.len, what.data ? what.data : "");
        if (f->done[0])
            printf("  done: %s\n", f->done);
        else
            printf("  to do: %s\n", f->todo);
        buf_finish(&what);
    }
}

static void print_losses(const struct check_report *r)
{
    if (r->lost)
        printf("\nlost, %" PRIu64 " records:\n", r->lost);
    for (size_t i = 0; i < r->n_losses; i++) {
        struct buf what = { 0 };

        clean_text(&what, (sl_str){ r->losses[i].what, strlen(r->losses[i].what) });
        printf("  %" PRIu64 " %.*s\n", r->losses[i].seq, what.len ? (int)what.len : 35,
               what.len ? what.data : "not an event that the index knows");
        buf_finish(&what);
    }
    if (r->lost > r->n_losses)
        printf("  and %" PRIu64 " more\n", r->lost - r->n_losses);
}

static void print_report(const struct cli *cli, const struct check_report *r)
{
    if (cli->json) {
        print_json(r);
        return;
    }
    print_summary(r);
    print_findings(r);
    print_losses(r);
    printf("\n%s\n", r->n == 0 ? "good" : r->n == 1 ? "1 finding" : "findings, see above");
}

/* ---- the commands ---- */

static int fail_code(const struct cli *cli, int r, const struct fail *fail)
{
    fprintf(stderr, "sluice %s: %s\n", cli->command->name, fail->text);
    return r == UV_EBUSY || r == UV_EEXIST ? EXIT_REFUSED
           : r == UV_ENOENT                ? EXIT_NOT_FOUND
                                           : EXIT_FAILED;
}

/** A backup's folder is looked through as a store is, but first its files by their sums. */
static int check_sums(const struct cli *cli, const char *path)
{
    char manifest[4096];
    struct fail fail = { 0 };
    int r;

    snprintf(manifest, sizeof(manifest), "%s/" MANIFEST, path);
    if (access(manifest, F_OK) < 0 || (r = store_backup_verify(path, &fail)) == 0)
        return EXIT_DONE;
    return fail_code(cli, r, &fail);
}

int command_as_owner(const struct cli *cli, const char *store)
{
    struct stat st;

    if (geteuid() != 0 || stat(store, &st) < 0 || st.st_uid == 0)
        return EXIT_DONE;
    fprintf(stderr,
            "sluice %s: %s belongs to the user with uid %ld, and what root writes the daemon could "
            "not open: run it as that user (sudo -u)\n",
            cli->command->name, store, (long)st.st_uid);
    return EXIT_REFUSED;
}

static int run_on(struct cli *cli, const char *path, bool repair)
{
    struct check_report report;
    struct fail fail = { 0 };
    int r = repair ? store_repair(path, &report, &fail) : store_check(path, &report, &fail);
    int code = repair ? EXIT_DONE : check_sums(cli, path);

    if (r == 0 || report.n)
        print_report(cli, &report);
    if (r < 0)
        code = fail_code(cli, r, &fail);
    else
        for (size_t i = 0; i < report.n; i++)
            if (!repair || !report.findings[i].done[0])
                code = EXIT_FAILED;
    check_report_finish(&report);
    return code;
}

/** `fn` with the store's folder. */
static int run(struct cli *cli, int (*fn)(struct cli *cli, const char *path))
{
    const char *path = cli_value(cli, "store");
    struct loaded_config l;
    int r;

    log_setup(LOG_ERROR, LOG_TEXT);
    if (path)
        return fn(cli, path);
    if ((r = load_config(cli->file, true, &l, NULL)) != EXIT_DONE)
        return r;
    r = fn(cli, l.config->store_path);
    unload_config(&l);
    return r;
}

static int check_it(struct cli *cli, const char *path)
{
    return run_on(cli, path, false);
}

static int repair_it(struct cli *cli, const char *path)
{
    int r = command_as_owner(cli, path);

    return r == EXIT_DONE ? run_on(cli, path, true) : r;
}

int command_db_check(struct cli *cli)
{
    return run(cli, check_it);
}

int command_db_repair(struct cli *cli)
{
    if (!cli_value(cli, "yes")) {
        fprintf(stderr,
                "sluice db repair: writes damaged records off for good and moves damaged files to "
                "quarantine.\nLook first (sluice db check), then say it again with --yes\n");
        return EXIT_USAGE;
    }
    return run(cli, repair_it);
}

/* ---- restore ---- */

/* What was erased since the backup was made is there again. */
static void print_forgotten(const struct restore_report *r)
{
    json_t *all = json_loads(r->forgotten ? r->forgotten : "[]", 0, NULL), *one;
    size_t i;

    if (r->forgets_unknown)
        fprintf(stderr,
                "the old store cannot be read: what was erased since the backup may be "
                "here again; see \"Backups\" in docs/privacy.md\n");
    if (json_array_size(all))
        fprintf(stderr,
                "%zu erasures are forgotten, which came after the backup was made; what they "
                "erased is here again. Send each webhook again, see \"Backups\" in "
                "docs/privacy.md:\n",
                json_array_size(all));
    json_array_foreach(all, i, one)
    {
        json_t *asked = json_object_get(one, "asked");
        char *subjects = json_dumps(json_object_get(asked, "subjects"), JSON_COMPACT);

        fprintf(stderr, "  %s %s: %s %s\n", json_text(one, "endpoint"), json_text(one, "topic"),
                json_text(asked, "who"), subjects ? subjects : "");
        free(subjects);
    }
    json_decref(all);
}

static void print_restored(const struct restore_report *r, const char *path)
{
    char when[32];

    clock_format(r->made_ms, when);
    printf("%s is the backup of %s now: records %" PRIu64 " to %" PRIu64 ", %.1f MB\n", path, when,
           r->first, r->last, (double)r->bytes / 1e6);
    printf("%-14s %" PRIu64
           " deliveries that were to be sent: sluice held list --type " RESTORE_HOLD "\n",
           "held", r->held);
    printf("%-14s %" PRIu64 " were sent, or about to be: the remote is asked where it can be\n",
           "unknown", r->unknown);
    printf("%-14s %" PRIu64 " deliveries, as they were\n", "held before", r->held_before);
    if (r->unrouted)
        printf("%-14s %" PRIu64 " events: what is made of them will be held, too\n", "not routed",
               r->unrouted);
    if (r->aside[0])
        printf("%-14s %s\n", "the old store", r->aside);
    print_forgotten(r);
}

static void print_restored_json(const struct restore_report *r, const char *path)
{
    char when[32];
    json_t *o;

    clock_format(r->made_ms, when);
    o = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "store", path,
                  "made_at", when, "first", (json_int_t)r->first, "last", (json_int_t)r->last,
                  "files", (json_int_t)r->files, "bytes", (json_int_t)r->bytes, "held",
                  (json_int_t)r->held, "unknown", (json_int_t)r->unknown, "held_before",
                  (json_int_t)r->held_before, "unrouted", (json_int_t)r->unrouted, "aside",
                  r->aside);
    json_object_set_new(o, "forgotten",
                        r->forgotten ? json_loads(r->forgotten, 0, NULL) : json_array());
    json_object_set_new(o, "forgotten_unknown", json_boolean(r->forgets_unknown));
    json_dumpf(o, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(o);
}

static int restore_it(struct cli *cli, const char *path)
{
    const struct restore_conf conf = { .from = cli->argv[0],
                                       .path = path,
                                       .replace = cli_value(cli, "replace") != NULL,
                                       .repair = cli_value(cli, "repair") != NULL };
    struct restore_report report;
    struct fail fail = { 0 };
    int r = store_restore(&conf, &report, &fail);

    if (r < 0 || conf.repair)
        print_findings(&report.check);
    if (conf.repair)
        print_losses(&report.check);
    if (r < 0)
        r = fail_code(cli, r, &fail);
    else if (cli->json)
        print_restored_json(&report, path);
    else
        print_restored(&report, path);
    restore_report_finish(&report);
    return r;
}

int command_db_restore(struct cli *cli)
{
    if (cli->argc == 1 && cli->argv[0][0])
        return run(cli, restore_it);
    fprintf(stderr, "sluice db restore: wants one folder, got %d arguments\n", cli->argc);
    return EXIT_USAGE;
}
