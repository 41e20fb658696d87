/*
 * feeds.c - `sluice feeds` and `sluice poll`.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/units.h"
#include "cli/client.h"
#include "cli/exit.h"
#include "cli/remote.h"
#include "cli/table.h"

#define LOOK_MS 100
#define WAIT_MS (10 * 60 * 1000)

static void feed_note(struct buf *b, json_t *feed)
{
    const char *error = json_string_value(json_object_get(feed, "error"));
    const char *waits = json_string_value(json_object_get(feed, "waits"));
    const char *finding = json_string_value(json_object_get(feed, "finding"));
    json_int_t failures = json_integer_value(json_object_get(feed, "failures"));

    if (json_is_true(json_object_get(feed, "running")))
        buf_cstr(b, "being polled");
    else if (error && failures < 2)
        buf_printf(b, "failed: %s", error);
    else if (error)
        buf_printf(b, "failed %" PRId64 " times in a row: %s", (int64_t)failures, error);
    else if (waits)
        buf_printf(b, "due, but %s", waits);
    else if (finding)
        buf_printf(b, "found: %s", finding);
    else
        buf_cstr(b, *json_text(feed, "last_good_at") ? "ok"
                    : *json_text(feed, "cursor_at")  ? "not polled since the start"
                                                     : "never polled yet");
}

void print_feeds(json_t *feeds)
{
    static const char *const times[] = { "last_good_at", "cursor_at", "next_at" };
    struct table t;
    json_t *feed;
    size_t i;

    table_init(&t, "FEED|KIND|>ROWS|LAST GOOD|CURSOR OF|NEXT|NOTE");
    json_array_foreach(feeds, i, feed)
    {
        struct buf name = { 0 }, note = { 0 };
        char when[32];

        buf_printf(&name, "%s %s", json_text(feed, "endpoint"), json_text(feed, "feed"));
        table_cell(&t, name.data);
        table_cell(&t, json_text(feed, "kind"));
        table_number(&t, json_object_get(feed, "rows"));
        for (size_t k = 0; k < 3; k++) {
            const char *at = json_string_value(json_object_get(feed, times[k]));
            table_cell(&t, short_time(at, when));
        }
        feed_note(&note, feed);
        table_cell(&t, note.data);
        buf_finish(&name);
        buf_finish(&note);
    }
    table_print(&t);
    table_finish(&t);
}

int command_feeds(struct cli *cli)
{
    struct answer a;
    int r = client_get(cli, "/v1/feeds", &a);

    if (r != EXIT_DONE)
        return r;
    if (cli->json)
        answer_print(&a);
    else
        print_feeds(a.json);
    answer_finish(&a);
    return EXIT_DONE;
}

/* ---- poll ---- */

static int64_t number(json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

static json_t *feed_of(json_t *feeds, const char *endpoint, const char *feed)
{
    json_t *one;
    size_t i;

    json_array_foreach(feeds, i, one) if (!strcmp(json_text(one, "endpoint"), endpoint) &&
                                          !strcmp(json_text(one, "feed"), feed)) return one;
    return NULL;
}

static int tell_polled(json_t *feed, const char *endpoint, const char *name)
{
    const char *error = json_string_value(json_object_get(feed, "error"));
    const char *finding = json_string_value(json_object_get(feed, "finding"));

    if (error) {
        tell("%s %s: failed: %s\n", endpoint, name, error);
        return EXIT_FAILED;
    }
    tell("%s %s: %" PRId64 " new, %" PRId64 " known%s%s\n", endpoint, name,
         number(feed, "last_rows"), number(feed, "last_known"), finding ? "; found: " : "",
         finding ? finding : "");
    return EXIT_DONE;
}

/** Until it has ended more often than `runs`. */
static int wait_for(struct cli *cli, const char *endpoint, const char *name, int64_t runs)
{
    const struct timespec wait = { .tv_nsec = LOOK_MS * 1000000L };

    for (int64_t ms = 0; ms < WAIT_MS; ms += LOOK_MS) {
        struct answer a;
        int r = client_get(cli, "/v1/feeds", &a);

        if (r != EXIT_DONE)
            return r;
        json_t *feed = feed_of(a.json, endpoint, name);
        bool over = !feed || number(feed, "runs") > runs;
        if (over && !feed)
            tell("%s %s: it is no longer configured\n", endpoint, name);
        if (over)
            r = feed ? tell_polled(feed, endpoint, name) : EXIT_NOT_FOUND;
        if (over && cli->json && feed)
            json_dumpf(feed, stdout, JSON_COMPACT), putchar('\n');
        answer_finish(&a);
        if (over)
            return r;
        nanosleep(&wait, NULL);
    }
    tell("%s %s: still being polled; see: sluice feeds\n", endpoint, name);
    return EXIT_FAILED;
}

int command_poll(struct cli *cli)
{
    struct buf target = { 0 };
    struct answer a;
    int64_t runs;
    int r;

    if (cli->argc != 2)
        return command_usage(cli,
                             "wanted an endpoint and one of its feeds; there are: sluice feeds");
    buf_cstr(&target, "/v1/endpoints/");
    target_segment(&target, cli->argv[0]);
    buf_cstr(&target, "/poll");
    r = client_post(cli, target.data, json_pack("{s:s}", "feed", cli->argv[1]), &a);
    buf_finish(&target);
    if (r != EXIT_DONE)
        return r;
    runs = number(a.json, "runs");
    answer_finish(&a);
    return wait_for(cli, cli->argv[0], cli->argv[1], runs);
}
