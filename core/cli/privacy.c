/*
 * privacy.c - `sluice privacy`: what was asked about persons, and the file of what is held.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/client.h"
#include "cli/exit.h"
#include "cli/remote.h"
#include "cli/table.h"

#define PAGE 1000 /* of /v1/privacy */

/* ---- all ---- */

static void put_after(struct buf *target, int64_t after)
{
    if (after)
        buf_printf(target, "?after=%" PRId64, after);
}

/* Page by page into one list. */
static int read_all(struct cli *cli, json_t **ret)
{
    json_t *all = json_array();
    int64_t after = 0;
    size_t n;

    do {
        struct buf target = { 0 };
        struct answer a;
        int r;

        buf_cstr(&target, "/v1/privacy");
        put_after(&target, after);
        r = client_get(cli, target.data, &a);
        buf_finish(&target);
        if (r != EXIT_DONE) {
            json_decref(all);
            return r;
        }
        n = json_array_size(a.json);
        if (n)
            after = json_integer_value(json_object_get(json_array_get(a.json, n - 1), "id"));
        json_array_extend(all, a.json);
        answer_finish(&a);
    } while (n == PAGE);
    *ret = all;
    return EXIT_DONE;
}

static size_t open_ones(json_t *all)
{
    json_t *one;
    size_t i, n = 0;

    json_array_foreach(all, i, one) n += !strcmp(json_text(one, "state"), "open");
    return n;
}

int command_privacy(struct cli *cli)
{
    json_t *all;
    int r = read_all(cli, &all);

    if (r != EXIT_DONE)
        return r;
    if (cli->json) {
        json_dumpf(all, stdout, JSON_COMPACT);
        putchar('\n');
    } else if (json_array_size(all) == 0) {
        tell("nobody has asked for anything\n");
    } else {
        table_rows(
            ">ID=id|KIND=kind|STATE=state|ENDPOINT=endpoint|ASKED=@asked_at|DUE=@due_at"
            "|DONE=@done_at|>EVENTS=#events|>DELIVERIES=#deliveries|NOTE=?note",
            all);
        if (open_ones(all))
            tell("to be handed out: sluice privacy export ID; then: sluice privacy done ID\n");
    }
    json_decref(all);
    return EXIT_DONE;
}

/* ---- one ---- */

static void print_texts(const char *name, json_t *texts, json_int_t further)
{
    struct buf b = { 0 };
    json_t *one;
    size_t i;

    json_array_foreach(texts, i, one) buf_printf(&b, "%s%s", i ? ", " : "", json_string_value(one));
    if (further)
        buf_printf(&b, " and %" PRId64 " more", (int64_t)further);
    print_field(name, b.data ? b.data : "");
    buf_finish(&b);
}

static void print_request(json_t *o)
{
    json_t *asked = json_object_get(o, "asked");

    print_member(o, "request", "id");
    print_member(o, "kind", "kind");
    print_member(o, "state", "state");
    print_member(o, "endpoint", "endpoint");
    print_member(o, "topic", "topic");
    print_member(asked, "about", "who");
    print_texts("subjects", json_object_get(asked, "subjects"),
                json_integer_value(json_object_get(asked, "further_subjects")));
    print_texts("values (SHA-256)", json_object_get(asked, "values_sha256"), 0);
    print_member(o, "asked", "asked_at");
    print_member(o, "due", "due_at");
    print_member(o, "events erased", "events");
    print_member(o, "deliveries erased", "deliveries");
    print_member(o, "under way", "under_way");
    print_member(o, "done", "done_at");
    print_member(o, "out of the log by", "log_due_at");
    print_member(o, "ended", "ended_at");
    print_member(o, "by", "who");
    print_member(o, "why", "why");
    print_member(o, "note", "note");
}

int command_privacy_show(struct cli *cli)
{
    return command_show(cli, "id of a request; see sluice privacy", "/v1/privacy/", print_request);
}

int command_privacy_done(struct cli *cli)
{
    const char *id = command_one(cli, "id of a request; see sluice privacy");
    const char *why = cli_value(cli, "why");
    struct buf target = { 0 };
    struct answer a;
    int r;

    if (!id)
        return EXIT_USAGE;
    buf_cstr(&target, "/v1/privacy/");
    target_segment(&target, id);
    buf_cstr(&target, "/done");
    r = client_post(cli, target.data, why ? json_pack("{s:s}", "why", why) : json_object(), &a);
    buf_finish(&target);
    if (r != EXIT_DONE)
        return r;
    if (cli->json)
        answer_print(&a);
    else
        tell("request %s is %s\n", id, json_text(a.json, "state"));
    answer_finish(&a);
    return EXIT_DONE;
}

/* ---- the file ---- */

/* What the daemon answers stands in the file to the letter. */
static int put_answer(struct cli *cli, FILE *to, const char *target, json_t **ret)
{
    struct answer a;
    int r = client_get(cli, target, &a);

    if (r != EXIT_DONE)
        return r;
    fwrite(a.text.data, 1, a.text.len, to);
    if (ret)
        *ret = json_incref(a.json);
    answer_finish(&a);
    return EXIT_DONE;
}

static int put_deliveries(struct cli *cli, FILE *to, json_t *event)
{
    json_t *one;
    size_t i;
    int r = EXIT_DONE;

    fputs(",\"deliveries\":[", to);
    json_array_foreach(json_object_get(event, "deliveries"), i, one)
    {
        struct buf target = { 0 };

        if (r != EXIT_DONE)
            break;
        fputs(i ? "," : "", to);
        buf_cstr(&target, "/v1/deliveries/");
        target_segment(&target, json_text(one, "id"));
        r = put_answer(cli, to, target.data, NULL);
        buf_finish(&target);
    }
    fputs("]}", to);
    return r;
}

static int put_event(struct cli *cli, FILE *to, int64_t id)
{
    struct buf target = { 0 };
    json_t *event = NULL;
    int r;

    buf_printf(&target, "/v1/events/%" PRId64, id);
    fputs("{\"event\":", to);
    r = put_answer(cli, to, target.data, &event);
    if (r == EXIT_DONE)
        r = put_deliveries(cli, to, event);
    json_decref(event);
    buf_finish(&target);
    return r;
}

/* One part of the events; *after moves on, 0: that was the last. */
static int put_part(struct cli *cli, FILE *to, const char *id, int64_t *after, size_t *count)
{
    struct buf target = { 0 };
    struct answer a;
    json_t *one;
    size_t i;
    int r;

    buf_cstr(&target, "/v1/privacy/");
    target_segment(&target, id);
    buf_cstr(&target, "/events");
    put_after(&target, *after);
    r = client_get(cli, target.data, &a);
    buf_finish(&target);
    if (r != EXIT_DONE)
        return r;
    json_array_foreach(json_object_get(a.json, "events"), i, one)
    {
        fputs((*count)++ ? ",\n" : "\n", to);
        if ((r = put_event(cli, to, json_integer_value(one))) != EXIT_DONE)
            break;
    }
    *after = json_integer_value(json_object_get(a.json, "next"));
    answer_finish(&a);
    return r;
}

static int put_file(struct cli *cli, FILE *to, const char *id, size_t *count)
{
    struct buf target = { 0 };
    int64_t after = 0;
    int r;

    buf_cstr(&target, "/v1/privacy/");
    target_segment(&target, id);
    fputs("{\"request\":", to);
    r = put_answer(cli, to, target.data, NULL);
    buf_finish(&target);
    fputs(",\n\"held\":[", to);
    if (r == EXIT_DONE)
        do
            r = put_part(cli, to, id, &after, count);
        while (r == EXIT_DONE && after);
    fputs("]}\n", to);
    return r;
}

static FILE *open_output(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

    if (!f)
        tell("%s: %s\n", path, strerror(errno));
    if (!f && fd >= 0)
        close(fd);
    return f;
}

int command_privacy_export(struct cli *cli)
{
    const char *id = command_one(cli, "id of a request; see sluice privacy");
    const char *path = cli_value(cli, "output");
    FILE *to = stdout;
    size_t count = 0;
    int r;

    if (!id)
        return EXIT_USAGE;
    if (path && !(to = open_output(path)))
        return EXIT_FAILED;
    r = put_file(cli, to, id, &count);
    if (fflush(to) != 0 || ferror(to)) {
        tell("it cannot be written: %s\n", strerror(errno));
        r = EXIT_FAILED;
    }
    if (to != stdout) {
        fclose(to);
        if (r != EXIT_DONE)
            unlink(path);
    }
    if (r == EXIT_DONE)
        tell("%zu events; once it is handed out: sluice privacy done %s\n", count, id);
    return r;
}
