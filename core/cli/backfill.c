/*
 * backfill.c - `sluice backfill`: what happened before is brought by the daemon, which goes on with
 * it whatever becomes of this command; here it is begun, watched and cancelled.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "cli/client.h"
#include "cli/exit.h"
#include "cli/remote.h"
#include "cli/table.h"

#define LOOK_MS 500
#define BAR     30 /* characters */

static int64_t number(json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

static json_t *of_endpoint(json_t *list, const char *endpoint)
{
    json_t *one;
    size_t i;

    json_array_foreach(list, i, one) if (!strcmp(json_text(one, "endpoint"), endpoint)) return one;
    return NULL;
}

/* ---- how far it is -------------------------------------------------------------------------- */

/** "45 %, 4512 of 10000 orders" */
static void progress_text(json_t *o, char out[96])
{
    int64_t done = number(o, "done"), total = number(o, "total");
    const char *of = json_text(o, "of");

    if (total > 0)
        snprintf(out, 96, "%" PRId64 " %%, %" PRId64 " of %" PRId64 " %s",
                 done < total ? done * 100 / total : 100, done, total, of);
    else
        snprintf(out, 96, "%" PRId64 " %s", done, of);
}

static void print_bar(json_t *o)
{
    int64_t done = number(o, "done"), total = number(o, "total");
    int filled = total > 0 ? (int)(done < total ? done * BAR / total : BAR) : 0;
    const char *waits = json_text(o, "waits"), *error = json_text(o, "error");
    char text[96], bar[BAR + 1];

    progress_text(o, text);
    memset(bar, '.', BAR);
    memset(bar, '#', (size_t)filled);
    bar[BAR] = '\0';
    fprintf(stderr, "\r\033[K[%s] %s; %" PRId64 " new, %" PRId64 " known%s%.60s", bar, text,
            number(o, "found"), number(o, "known"), *error || *waits ? "; " : "",
            *error ? error : waits);
    fflush(stderr);
}

static int tell_end(json_t *o)
{
    const char *state = json_text(o, "state");

    tell("back-fill of %s %s: %" PRId64 " events new, %" PRId64 " known\n",
         json_text(o, "endpoint"), state, number(o, "found"), number(o, "known"));
    return strcmp(state, "done") == 0 ? EXIT_DONE : EXIT_FAILED;
}

/** Until it has ended; an interrupt ends only the watching. */
static int watch(struct cli *cli, const char *endpoint)
{
    const struct timespec wait = { .tv_nsec = LOOK_MS * 1000000L };
    bool shows = !cli->json && isatty(STDERR_FILENO);

    for (;;) {
        struct answer a;
        int r = client_get(cli, "/v1/backfills", &a);
        json_t *o = r == EXIT_DONE ? of_endpoint(a.json, endpoint) : NULL;

        if (r != EXIT_DONE)
            return r;
        if (shows && o)
            print_bar(o);
        if (!o || strcmp(json_text(o, "state"), "running") != 0) {
            if (shows)
                fputc('\n', stderr);
            r = o ? tell_end(o) : EXIT_NOT_FOUND;
            if (o && cli->json)
                json_dumpf(o, stdout, JSON_COMPACT), putchar('\n');
            answer_finish(&a);
            return r;
        }
        answer_finish(&a);
        nanosleep(&wait, NULL);
    }
}

/* ---- the list ------------------------------------------------------------------------------- */

static int list(struct cli *cli)
{
    struct answer a;
    int r = client_get(cli, "/v1/backfills", &a);
    json_t *one;
    size_t i;

    if (r != EXIT_DONE)
        return r;
    if (cli->json) {
        answer_print(&a);
    } else {
        json_array_foreach(a.json, i, one)
        {
            char text[96];

            progress_text(one, text);
            json_object_set_new(one, "far", json_string(text));
        }
        table_rows(
            "ENDPOINT=endpoint|STATE=state|TOPICS=topics|SINCE=since|UNTIL=until|"
            "FAR=far|NEW=#found|KNOWN=#known|WAITS=?waits|ERROR=?error",
            a.json);
    }
    answer_finish(&a);
    return EXIT_DONE;
}

static int cancel(struct cli *cli, const char *endpoint)
{
    struct buf target = { 0 };
    struct answer a;
    int r;

    buf_cstr(&target, "/v1/backfills/");
    target_segment(&target, endpoint);
    buf_cstr(&target, "/cancel");
    r = client_post(cli, target.data, json_object(), &a);
    buf_finish(&target);
    if (r != EXIT_DONE)
        return r;
    tell("cancelled; what it found stays\n");
    answer_finish(&a);
    return EXIT_DONE;
}

int command_backfill(struct cli *cli)
{
    const char *endpoint = cli_value(cli, "endpoint"), *topic = cli_value(cli, "topic");
    const char *since = cli_value(cli, "since"), *until = cli_value(cli, "until");
    struct answer a;
    int r;

    if (!endpoint && !topic && !since && !until && !cli->argc)
        return list(cli);
    if (endpoint && cli_value(cli, "cancel") && !topic && !since && !until && !cli->argc)
        return cancel(cli, endpoint);
    if (!endpoint || !topic || !since || cli->argc)
        return command_usage(cli,
                             "wanted --endpoint, --topic and --since; as in sluice backfill "
                             "--endpoint acme-shop --topic 'orders/*' --since 90d");
    r = client_post(cli, "/v1/backfills",
                    json_pack("{s:s,s:s,s:s,s:s*}", "endpoint", endpoint, "topics", topic, "since",
                              since, "until", until),
                    &a);
    if (r != EXIT_DONE)
        return r;
    answer_finish(&a);
    if (cli_value(cli, "no-wait")) {
        tell("begun; how far it is: sluice backfill\n");
        return EXIT_DONE;
    }
    return watch(cli, endpoint);
}
