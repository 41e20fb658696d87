/*
 * db.c - "sluice db check" and "sluice db repair": the store looked through while no daemon has it.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "base/log.h"
#include "cli/command.h"
#include "cli/exit.h"
#include "cli/load.h"
#include "cli/table.h"
#include "store/check.h"

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
    return r == UV_EBUSY ? EXIT_REFUSED : EXIT_FAILED;
}

static int run_on(struct cli *cli, const char *path, bool repair)
{
    struct check_report report;
    struct fail fail = { 0 };
    int r = repair ? store_repair(path, &report, &fail) : store_check(path, &report, &fail);
    int code = EXIT_DONE;

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

static int run(struct cli *cli, bool repair)
{
    const char *path = cli_value(cli, "store");
    struct loaded_config l;
    int r;

    log_setup(LOG_ERROR, LOG_TEXT);
    if (path)
        return run_on(cli, path, repair);
    if ((r = load_config(cli->file, true, &l, NULL)) != EXIT_DONE)
        return r;
    r = run_on(cli, l.config->store_path, repair);
    unload_config(&l);
    return r;
}

int command_db_check(struct cli *cli)
{
    return run(cli, false);
}

int command_db_repair(struct cli *cli)
{
    if (!cli_value(cli, "yes")) {
        fprintf(stderr,
                "sluice db repair: writes damaged records off for good and moves damaged files to "
                "quarantine.\nLook first (sluice db check), then say it again with --yes\n");
        return EXIT_USAGE;
    }
    return run(cli, true);
}
