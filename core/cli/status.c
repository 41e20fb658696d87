/*
 * status.c - `sluice status`, and endpoints and routes by hand.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/client.h"
#include "cli/exit.h"
#include "cli/remote.h"
#include "cli/table.h"

/* ---- status ---- */

static int64_t number(json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

static void span_text(int64_t s, char out[48])
{
    if (s < 120)
        snprintf(out, 48, "%" PRId64 "s", s);
    else if (s < 7200)
        snprintf(out, 48, "%" PRId64 "m", s / 60);
    else if (s < 172800)
        snprintf(out, 48, "%" PRId64 "h %" PRId64 "m", s / 3600, s / 60 % 60);
    else
        snprintf(out, 48, "%" PRId64 "d %" PRId64 "h", s / 86400, s / 3600 % 24);
}

static void print_head(json_t *a)
{
    json_t *intake = json_object_get(a, "intake"), *store = json_object_get(a, "store");
    json_t *listen = json_object_get(a, "listen"), *reason;
    const char *oldest = json_text(json_object_get(a, "summary"), "oldest_event_at");
    bool ready = json_is_true(json_object_get(a, "ready"));
    char up[48];
    size_t i;

    span_text(number(a, "uptime_s"), up);
    printf("sluice %s, pid %" PRId64 ", up %s: %s\n", json_text(a, "version"), number(a, "pid"), up,
           ready ? "ready" : "NOT READY");
    json_array_foreach(json_object_get(a, "reasons"), i, reason)
        print_field("  because", json_string_value(reason));
    print_field("config", json_text(json_object_get(a, "config"), "file"));
    print_field("listening", json_text(listen, "intake"));
    print_field("admin", json_text(listen, "admin"));
    printf("%-14s %" PRId64 " requests, %" PRId64 " received, %" PRId64 " duplicates, %" PRId64
           " bad signatures, %" PRId64 " refused\n",
           "intake", number(intake, "requests"), number(intake, "received"),
           number(intake, "duplicates"), number(intake, "bad_signature"),
           number(intake, "refused"));
    printf("%-14s %" PRId64 " to be routed, %" PRId64 " wait for a link, %" PRId64 " errors\n",
           "routing", number(intake, "router_queue"), number(intake, "waiting_for_link"),
           number(intake, "routing_errors"));
    printf("%-14s %" PRId64 " records, the index is %" PRId64 " behind%s%s\n", "store",
           number(store, "log_seq"), number(store, "log_seq") - number(store, "index_seq"),
           json_is_true(json_object_get(store, "failed")) ? ", FAILED" : "",
           json_is_true(json_object_get(store, "disk_low")) ? ", DISK NEARLY FULL" : "");
    printf("%-14s %" PRId64 " days of events; the oldest is of %.10s\n", "keeps",
           number(store, "keep_ms") / 86400000, *oldest ? oldest : "-");
    if (number(store, "damaged"))
        printf("%-14s %" PRId64 " RECORDS CANNOT BE READ: stop it and run sluice db check\n", "",
               number(store, "damaged"));
    if (number(store, "doubled"))
        printf("%-14s %" PRId64 " SECOND DELIVERIES OF ONE PIECE WERE REFUSED: see the log\n", "",
               number(store, "doubled"));
}

static void lane_note(struct buf *b, json_t *lane)
{
    json_t *tripped = json_object_get(lane, "tripped"), *quota = json_object_get(lane, "quota");
    const char *blocked = json_text(lane, "blocked_until");
    json_t *paused = json_object_get(lane, "paused");
    json_t *resolving = json_object_get(lane, "resolving");
    char when[32];

    if (json_is_object(paused))
        pause_note(b, paused);
    else if (json_is_object(tripped))
        buf_printf(b, "breaker opened by hand by %s%s%s", json_text(tripped, "by"),
                   *json_text(tripped, "why") ? ": " : "", json_text(tripped, "why"));
    else if (json_is_true(json_object_get(lane, "parked")))
        buf_printf(b, "parked: %s", json_text(lane, "park_why"));
    else if (strcmp(json_text(lane, "breaker"), "closed") != 0)
        buf_printf(b, "breaker %s", json_text(lane, "breaker"));
    else if (*json_text(lane, "open_actions"))
        buf_printf(b, "breaker open for %s", json_text(lane, "open_actions"));
    else if (json_is_object(quota) && number(quota, "used") >= number(quota, "limit"))
        buf_printf(b, "quota of %" PRId64 " is spent, goes on %s", number(quota, "limit"),
                   *json_text(quota, "reset_at") ? short_time(json_text(quota, "reset_at"), when)
                                                 : "when there is some again");
    else if (*blocked)
        buf_printf(b, "asked to wait until %s", short_time(blocked, when));
    else if (*json_text(resolving, "why"))
        buf_printf(b, "events wait, it cannot be asked what they are about: %s",
                   json_text(resolving, "why"));
    else
        buf_cstr(b, "ok");
}

/** Counts of what is kept, from the index; an endpoint that is no longer configured is there too.
 */
static void print_endpoints(json_t *lanes, json_t *counts)
{
    static const char *const states[] = { "ready", "inflight",  "waiting", "unknown",
                                          "held",  "delivered", "dead" };
    struct table t;
    const char *name;
    json_t *count, *lane;
    size_t i, k;

    table_init(&t, "ENDPOINT|>READY|>INFLIGHT|>WAITING|>UNKNOWN|>HELD|>DELIVERED|>DEAD|NOTE");
    json_array_foreach(lanes, i, lane)
    {
        struct buf note = { 0 };
        name = json_text(lane, "endpoint");
        count = json_object_get(counts, name);
        table_cell(&t, name);
        for (k = 0; k < 7; k++) {
            char text[24];
            snprintf(text, sizeof(text), "%" PRId64, number(counts ? count : lane, states[k]));
            table_cell(&t, text);
        }
        lane_note(&note, lane);
        table_cell(&t, note.data);
        buf_finish(&note);
        json_object_del(counts, name);
    }
    json_object_foreach(counts, name, count)
    {
        table_cell(&t, *name ? name : "(none)");
        for (k = 0; k < 7; k++) {
            char text[24];
            snprintf(text, sizeof(text), "%" PRId64, number(count, states[k]));
            table_cell(&t, text);
        }
        table_cell(&t,
                   *name ? "no longer configured" : "held or dead before an endpoint was chosen");
    }
    putchar('\n');
    table_print(&t);
    table_finish(&t);
}

static void print_alerts(json_t *alerts)
{
    if (!json_array_size(alerts))
        return;
    putchar('\n');
    table_rows("ALERT=alert|SINCE=@since|ENDPOINT=?endpoint|ROUTE=?route|TEXT=text", alerts);
}

static int64_t total(json_t *counts, const char *state)
{
    const char *name;
    json_t *count;
    int64_t n = 0;

    json_object_foreach(counts, name, count) n += number(count, state);
    return n;
}

int command_status(struct cli *cli)
{
    struct answer a;
    int r = client_get(cli, "/v1/status", &a);

    if (r != EXIT_DONE)
        return r;
    if (cli->json) {
        answer_print(&a);
        answer_finish(&a);
        return EXIT_DONE;
    }
    json_t *counts = json_object_get(json_object_get(a.json, "summary"), "deliveries");
    int64_t dead = total(counts, "dead"), held = total(counts, "held");
    print_head(a.json);
    print_endpoints(json_object_get(a.json, "lanes"), counts);
    print_paused_routes(json_object_get(a.json, "routes"));
    if (json_array_size(json_object_get(a.json, "feeds"))) {
        putchar('\n');
        print_feeds(json_object_get(a.json, "feeds"));
    }
    print_alerts(json_object_get(a.json, "alerts"));
    if (dead)
        tell("%" PRId64 " dead letters: sluice dead list\n", dead);
    if (held)
        tell("%" PRId64 " held: sluice held list\n", held);
    answer_finish(&a);
    return EXIT_DONE;
}

/* ---- endpoints ---- */

static void print_lanes(json_t *lanes)
{
    struct table t;
    size_t i;
    json_t *l;

    table_init(&t,
               "ENDPOINT|BREAKER|>TRIPS|>READY|>INFLIGHT|>WAITING|>ATTEMPTS|>RETRIES|>THROTTLED|"
               ">LAG MS|NOTE");
    json_array_foreach(lanes, i, l)
    {
        struct buf note = { 0 };
        table_cell(&t, json_text(l, "endpoint"));
        table_cell(&t, json_text(l, "breaker"));
        table_number(&t, json_object_get(l, "breaker_trips"));
        table_number(&t, json_object_get(l, "ready"));
        table_number(&t, json_object_get(l, "inflight"));
        table_number(&t, json_object_get(l, "waiting"));
        table_number(&t, json_object_get(l, "attempts"));
        table_number(&t, json_object_get(l, "retries"));
        table_number(&t, json_object_get(l, "throttled"));
        table_number(&t, json_object_get(l, "lag_ms_mean"));
        lane_note(&note, l);
        if (json_is_true(json_object_get(l, "spilled")))
            buf_cstr(&note, ", more wait in the index");
        table_cell(&t, note.data);
        buf_finish(&note);
    }
    table_print(&t);
    table_finish(&t);
}

int command_endpoints_list(struct cli *cli)
{
    struct answer a;
    int r = client_get(cli, "/v1/status", &a);

    if (r != EXIT_DONE)
        return r;
    if (cli->json) {
        sl_str lanes = raw_member(buf_view(&a.text), "lanes");
        printf(STR_FMT "\n", STR_ARG(lanes));
    } else {
        print_lanes(json_object_get(a.json, "lanes"));
    }
    answer_finish(&a);
    return EXIT_DONE;
}

/** POST /v1/<kind>/NAME/<verb>; `told` says what was done, `next` what to type then, NAME after it
 *  where it ends in a blank. */
static int by_hand(struct cli *cli, const char *kind, const char *verb, const char *told,
                   const char *next)
{
    const char *name = command_one(cli, "name");
    struct buf target = { 0 };
    struct answer a;
    int r;

    if (!name)
        return EXIT_USAGE;
    buf_printf(&target, "/v1/%s/", kind);
    target_segment(&target, name);
    buf_printf(&target, "/%s", verb);
    const char *why = cli_value(cli, "why");
    r = client_post(cli, target.data, why ? json_pack("{s:s}", "why", why) : NULL, &a);
    buf_finish(&target);
    if (r != EXIT_DONE)
        return r;
    if (cli->json)
        answer_print(&a);
    else
        tell("%s: %s; %s%s\n", name, told, next, next[strlen(next) - 1] == ' ' ? name : "");
    answer_finish(&a);
    return EXIT_DONE;
}

int command_endpoints_trip(struct cli *cli)
{
    return by_hand(cli, "endpoints", "trip", "its breaker is open by hand, nothing is sent",
                   "close it: sluice endpoints reset ");
}

int command_endpoints_reset(struct cli *cli)
{
    return by_hand(cli, "endpoints", "reset", "its breaker is closed",
                   "see: sluice endpoints list");
}

int command_endpoints_unpark(struct cli *cli)
{
    return by_hand(cli, "endpoints", "unpark", "it is tried again now",
                   "see: sluice endpoints list");
}
