/*
 * replay.c - `sluice replay`: dead letters again, or old events to a new route, as a job of the
 * daemon; first as a dry run. And `sluice deliveries edit`.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/client.h"
#include "cli/exit.h"
#include "cli/remote.h"
#include "cli/table.h"

#define WAIT_MS 250

static int64_t number(json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

/* ---- the question ---- */

/** A whole number from an option; -1: it is none, told. */
static int64_t option_number(const struct cli *cli, const char *name, const char *text)
{
    size_t n = strspn(text, "0123456789");

    if (n == 0 || n > 9 || (text[n] && strcmp(text + n, "/s") != 0)) {
        command_usage(cli, "--%s must be a whole number, not \"%s\"", name, text);
        return -1;
    }
    return strtoll(text, NULL, 10);
}

static int put_numbers(const struct cli *cli, json_t *q)
{
    static const char *const names[][2] = { { "rate", "rate" },
                                            { "max-failures", "max_failures" },
                                            { "limit", "limit" } };

    for (size_t i = 0; i < 3; i++) {
        const char *text = cli_value(cli, names[i][0]);
        int64_t n = text ? option_number(cli, names[i][0], text) : 0;
        if (n < 0)
            return EXIT_USAGE;
        if (text)
            json_object_set_new(q, names[i][1], json_integer(n));
    }
    return EXIT_DONE;
}

/** With --route and --since alone it is a route over old events, else a filter of dead letters. */
static json_t *filter_of(const struct cli *cli, bool backfill)
{
    static const char *const names[] = { "route", "endpoint", "subject", "topic",
                                         "error", "issue",    "since",   "until" };
    json_t *filter = json_object();

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = cli_value(cli, names[i]);
        if (value && !(backfill && i == 0))
            json_object_set_new(filter, names[i], json_string(value));
    }
    return filter;
}

static json_t *question(const struct cli *cli, bool backfill)
{
    json_t *q = json_object(), *ids;

    if (cli->argc) {
        json_object_set_new(q, "ids", ids = json_array());
        for (int i = 0; i < cli->argc; i++)
            json_array_append_new(ids, json_string(cli->argv[i]));
    } else {
        json_object_set_new(q, "filter", filter_of(cli, backfill));
    }
    if (backfill)
        json_object_set_new(q, "route", json_string(cli_value(cli, "route")));
    if (cli_value(cli, "why"))
        json_object_set_new(q, "why", json_string(cli_value(cli, "why")));
    if (cli_value(cli, "priority"))
        json_object_set_new(q, "priority", json_string(cli_value(cli, "priority")));
    if (cli_value(cli, "remap"))
        json_object_set_new(q, "remap", json_true());
    if (cli_value(cli, "dry-run"))
        json_object_set_new(q, "dry_run", json_true());
    return q;
}

/* ---- the dry run ---- */

static void print_changes(json_t *changes)
{
    json_t *o, *before, *after;
    size_t i;

    json_array_foreach(changes, i, o)
    {
        char *a, *b;
        before = json_object_get(o, "before");
        after = json_object_get(o, "after");
        a = before ? json_dumps(before, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
        b = after ? json_dumps(after, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
        struct buf line = { 0 }, clean = { 0 };
        buf_printf(&line, "    %s: %s -> %s", json_text(o, "path"), a ? a : "(nothing)",
                   b ? b : "(nothing)");
        clean_text(&clean, buf_view(&line));
        printf("%s\n", clean.data ? clean.data : "");
        buf_finish(&line);
        buf_finish(&clean);
        free(a);
        free(b);
    }
}

static void print_one(json_t *o, json_t *item)
{
    const char *would = json_text(o, "would"), *why = json_text(o, "why");
    const char *to = *json_text(o, "endpoint") ? json_text(o, "endpoint") : json_text(o, "group");
    const char *sha = *json_text(o, "request_sha256") ? json_text(o, "request_sha256")
                                                      : json_text(o, "body_sha256");
    struct buf line = { 0 }, clean = { 0 };

    if (*json_text(item, "id"))
        buf_printf(&line, "%s", json_text(item, "id"));
    else
        buf_printf(&line, "event %" PRId64, number(item, "event"));
    buf_printf(&line, "  %s  %s", would, json_text(o, "route"));
    if (*json_text(o, "piece"))
        buf_printf(&line, " [%s]", json_text(o, "piece"));
    if (*to)
        buf_printf(&line, " -> %s %s", to, json_text(o, "action"));
    if (strcmp(would, "send") == 0 || strcmp(would, "hold") == 0)
        buf_printf(&line, "  key %s  sha256 %.12s", json_text(o, "key"), sha);
    if (*why)
        buf_printf(&line, "  (%s)", why);
    if (json_is_true(json_object_get(item, "edit_lost")))
        buf_cstr(&line, "  (what was edited is not carried over)");
    clean_text(&clean, buf_view(&line));
    printf("%s\n", clean.data ? clean.data : "");
    print_changes(json_object_get(o, "changes"));
    buf_finish(&line);
    buf_finish(&clean);
}

static void print_plan(json_t *a)
{
    json_t *items = json_object_get(a, "items"), *item, *pieces, *piece;
    size_t i, k;

    json_array_foreach(items, i, item)
    {
        pieces = json_object_get(item, "pieces");
        json_array_foreach(pieces, k, piece) print_one(piece, item);
        if (json_array_size(pieces) == 0)
            print_one(item, item);
    }
    tell("dry run: %" PRId64 " match; of %zu looked at %" PRId64 " would go out, %" PRId64
         " are done already, %" PRId64 " cannot be replayed; nothing was changed\n",
         number(a, "total"), json_array_size(items), number(a, "would"), number(a, "skipped"),
         number(a, "refused"));
    if (json_is_true(json_object_get(a, "more")))
        tell("look at more of them: --limit N, at most 200\n");
}

/** Nothing that would go out is a failure only if something was refused. */
static int plan_code(json_t *a)
{
    if (number(a, "refused") == 0)
        return EXIT_DONE;
    return number(a, "would") + number(a, "skipped") ? EXIT_PARTIAL : EXIT_REFUSED;
}

/* ---- how it stands ---- */

static int64_t died_again(json_t *r)
{
    json_t *list = json_object_get(r, "dead_again"), *o;
    int64_t n = 0;
    size_t i;

    json_array_foreach(list, i, o) n += number(o, "count");
    return n;
}

static void print_replay(json_t *r)
{
    json_t *list = json_object_get(r, "dead_again"), *o;
    size_t i;

    print_member(r, "replay", "id");
    print_member(r, "state", "state");
    print_member(r, "stopped by", "end");
    print_member(r, "route", "route");
    print_member(r, "by", "who");
    print_member(r, "why", "why");
    print_member(r, "rate", "rate");
    print_member(r, "matched", "matched");
    print_member(r, "decided", "done");
    print_member(r, "refused", "refused");
    if (number(r, "edits_lost"))
        print_member(r, "edits lost", "edits_lost");
    print_member(r, "sent again", "replayed");
    print_member(r, "arrived", "delivered");
    json_array_foreach(list, i, o)
        printf("died again   %" PRId64 ", issue %s: %s %s\n", number(o, "count"),
               json_text(o, "issue"), json_text(o, "class"), json_text(o, "reason"));
}

static int replay_code(json_t *r)
{
    const char *state = json_text(r, "state");

    if (strcmp(state, "stopped") == 0 || strcmp(state, "cancelled") == 0)
        return number(r, "done") ? EXIT_PARTIAL : EXIT_FAILED;
    return number(r, "refused") || died_again(r) ? EXIT_PARTIAL : EXIT_DONE;
}

static int get_replay(struct cli *cli, const char *id, struct answer *a)
{
    struct buf target = { 0 };
    int r;

    buf_cstr(&target, "/v1/replays/");
    target_segment(&target, id);
    r = client_get(cli, target.data, a);
    buf_finish(&target);
    return r;
}

/** Until it has ended; the answer is the newest. */
static int wait_for(struct cli *cli, struct answer *a)
{
    int r = EXIT_DONE;
    char id[24];

    snprintf(id, sizeof(id), "%" PRId64, number(a->json, "id"));
    while (r == EXIT_DONE && strcmp(json_text(a->json, "state"), "running") == 0) {
        usleep(WAIT_MS * 1000);
        answer_finish(a);
        r = get_replay(cli, id, a);
    }
    return r;
}

/** Is it said what is to go again? What is dead is not all sent for want of a word. */
static bool says_which(const struct cli *cli)
{
    static const char *const names[] = { "route", "endpoint", "subject", "topic", "error",
                                         "issue", "since",    "until",   "dead" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (cli_value(cli, names[i]))
            return true;
    return false;
}

int command_replay(struct cli *cli)
{
    bool dry = cli_value(cli, "dry-run") != NULL;
    static const char *const others[] = { "endpoint", "subject", "topic", "error",
                                          "issue",    "remap",   "dead",  "all" };
    bool backfill = cli_value(cli, "route") && cli_value(cli, "since");
    struct answer a;
    json_t *q;
    int r;

    if (cli->argc && !dry)
        return command_usage(cli, "ids are for --dry-run here; sluice dead replay ID sends them");
    if (!dry && !says_which(cli))
        return command_usage(cli,
                             "say which dead letters, such as --issue ISSUE or --route NAME; "
                             "--dead for all of them");
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        backfill = backfill && !cli_value(cli, others[i]);
    q = question(cli, backfill);
    if (put_numbers(cli, q) != EXIT_DONE) {
        json_decref(q);
        return EXIT_USAGE;
    }
    r = client_post(cli, "/v1/replay", q, &a);
    if (r == EXIT_DONE && !dry && cli_value(cli, "wait"))
        r = wait_for(cli, &a);
    if (r != EXIT_DONE)
        return r;
    if (cli->json)
        answer_print(&a);
    else if (dry)
        print_plan(a.json);
    else if (cli_value(cli, "wait"))
        print_replay(a.json);
    else
        tell("replay %" PRId64 " has begun; see: sluice replay status %" PRId64 "\n",
             number(a.json, "id"), number(a.json, "id"));
    if (dry)
        r = plan_code(a.json);
    else if (cli_value(cli, "wait"))
        r = replay_code(a.json);
    answer_finish(&a);
    return r;
}

static void print_list(json_t *list)
{
    table_rows(
        ">ID=#id|STATE=state|>MATCHED=#matched|>DECIDED=#done|>REFUSED=#refused|>RATE=#rate|BY=who"
        "|WHY=why|STOPPED BY=end",
        list);
}

int command_replay_status(struct cli *cli)
{
    struct answer a;
    int r;

    if (cli->argc > 1)
        return command_usage(cli, "takes one id, but got \"%s\" as well", cli->argv[1]);
    r = cli->argc ? get_replay(cli, cli->argv[0], &a) : client_get(cli, "/v1/replays", &a);
    if (r != EXIT_DONE)
        return r;
    if (cli->json)
        answer_print(&a);
    else if (cli->argc)
        print_replay(a.json);
    else if (json_array_size(a.json) == 0)
        tell("no replay\n");
    else
        print_list(a.json);
    answer_finish(&a);
    return EXIT_DONE;
}

int command_replay_cancel(struct cli *cli)
{
    const char *id = command_one(cli, "id of a replay, such as 7");
    struct buf target = { 0 };
    struct answer a;
    int r;

    if (!id)
        return EXIT_USAGE;
    buf_cstr(&target, "/v1/replays/");
    target_segment(&target, id);
    buf_cstr(&target, "/cancel");
    r = client_post(cli, target.data, json_object(), &a);
    buf_finish(&target);
    if (r != EXIT_DONE)
        return r;
    if (cli->json)
        answer_print(&a);
    else
        tell("replay %s is cancelled; what it sent again goes on\n", id);
    answer_finish(&a);
    return EXIT_DONE;
}

/* ---- deliveries edit ---- */

static int read_file(const char *name, struct buf *out)
{
    FILE *in = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
    char block[16384];
    size_t n;
    bool bad;

    if (!in) {
        fprintf(stderr, "sluice: %s: cannot be read\n", name);
        return EXIT_FAILED;
    }
    while ((n = fread(block, 1, sizeof(block), in)) > 0)
        buf_append(out, block, n);
    bad = ferror(in) || out->failed;
    if (in != stdin)
        fclose(in);
    if (bad)
        fprintf(stderr, "sluice: %s: cannot be read\n", name);
    return bad ? EXIT_FAILED : EXIT_DONE;
}

static int send_edit(struct cli *cli, const char *id, sl_str body)
{
    json_t *text = json_stringn(body.ptr, body.len), *q;
    const char *to = cli_value(cli, "to");
    struct buf target = { 0 };
    struct answer a;
    int r;

    if (!text)
        return command_usage(cli, "--body: the payload is no UTF-8, so it is no JSON");
    q = json_pack("{s:o,s:s}", "body", text, "why", cli_value(cli, "why"));
    if (to)
        json_object_set_new(q, "to", json_string(to));
    if (cli_value(cli, "force"))
        json_object_set_new(q, "force", json_true());
    buf_cstr(&target, "/v1/deliveries/");
    target_segment(&target, id);
    buf_cstr(&target, "/edit");
    r = client_post(cli, target.data, q, &a);
    buf_finish(&target);
    if (r != EXIT_DONE)
        return r;
    if (cli->json)
        answer_print(&a);
    else
        tell(
            "%s is edited and replayed, under a new key\nsee what comes of it: sluice deliveries "
            "show %s\n",
            id, id);
    answer_finish(&a);
    return EXIT_DONE;
}

int command_deliveries_edit(struct cli *cli)
{
    const char *id = command_one(cli, "id of a delivery, such as 1042.0");
    struct buf body = { 0 };
    int r;

    if (!id)
        return EXIT_USAGE;
    if (!cli_value(cli, "body"))
        return command_usage(cli, "wants the new payload: --body FILE, or - for standard input");
    if (!cli_value(cli, "why"))
        return command_usage(cli, "wants --why TEXT: it is kept with the edit");
    r = read_file(cli_value(cli, "body"), &body);
    if (r == EXIT_DONE)
        r = send_edit(cli, id, buf_view(&body));
    buf_finish(&body);
    return r;
}
