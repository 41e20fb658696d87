/*
 * api_status.c - health, metrics, and the one page that says how things stand.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "admin/api.h"
#include "base/clock.h"

void api_livez(struct call *c)
{
    call_text(c, 200, "text/plain", STR("ok\n"));
}

void api_readyz(struct call *c)
{
    struct buf why = { 0 };
    bool ready = watch_ready(c->admin->conf.watch, &why);

    call_text(c, ready ? 200 : 503, "text/plain", ready ? STR("ok\n") : buf_view(&why));
    buf_finish(&why);
}

void api_metrics(struct call *c)
{
    struct buf b = { 0 };

    watch_metrics(c->admin->conf.watch, &b);
    call_text(c, 200, "text/plain; version=0.0.4", buf_view(&b));
    buf_finish(&b);
}

/* ---- status ---- */

struct number {
    const char *name;
    uint64_t value;
};

/** "name":1,... */
static void put_numbers(struct buf *b, const struct number *n, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_printf(b, "%s\"%s\":%" PRIu64, i ? "," : "", n[i].name, n[i].value);
}
#define PUT_NUMBERS(b, ...)                          \
    put_numbers(b, (struct number[]){ __VA_ARGS__ }, \
                sizeof((struct number[]){ __VA_ARGS__ }) / sizeof(struct number))

static void put_field(struct buf *b, const char *name, const char *value)
{
    buf_printf(b, ",\"%s\":", name);
    if (value)
        buf_json_str(b, str_of(value));
    else
        buf_cstr(b, "null");
}

static void put_time(struct buf *b, const char *name, int64_t ms)
{
    char text[32];

    clock_format(ms, text);
    put_field(b, name, ms ? text : NULL);
}

static void put_rate(struct buf *b, const struct lane_stats *s)
{
    buf_cstr(b, ",\"rate\":");
    if (s->rate_milli)
        buf_printf(b,
                   "{\"kind\":\"%s\",\"per_second\":%.3f,\"size\":%.3f,\"left\":%.3f,"
                   "\"others_per_second\":%.3f}",
                   s->rate_kind, (double)s->rate_milli / 1000, (double)s->rate_capacity / 1000,
                   (double)s->rate_level / 1000, (double)s->rate_others / 1000);
    else
        buf_cstr(b, "null");
    buf_cstr(b, ",\"quota\":");
    if (!s->quota_limit) {
        buf_cstr(b, "null");
        return;
    }
    buf_printf(b, "{\"limit\":%" PRId64 ",\"used\":%" PRId64, s->quota_limit, s->quota_used);
    put_time(b, "reset_at", s->quota_reset);
    buf_char(b, '}');
}

/** Which of its secrets signs: an old one that does not any more may be taken out. */
static void put_secrets(struct buf *b, const struct lane_stats *s)
{
    buf_cstr(b, ",\"secrets\":[");
    for (size_t i = 0; i < s->n_secrets; i++) {
        buf_printf(b, "%s{\"place\":%zu,\"webhooks\":%" PRIu64, i ? "," : "", i + 1,
                   s->signed_by[i].webhooks);
        put_time(b, "last_at", s->signed_by[i].last_ms);
        buf_char(b, '}');
    }
    buf_char(b, ']');
}

static void put_resolving(struct buf *b, const struct lane_stats *s)
{
    buf_printf(b, ",\"resolving\":{\"ids\":%zu,\"why\":", s->resolving);
    if (s->resolve_why)
        buf_json_str(b, str_of(s->resolve_why));
    else
        buf_cstr(b, "null");
    buf_char(b, '}');
}

void api_lane_json(struct buf *b, const struct flow *f, const struct lane_stats *s)
{
    uint64_t done = 0;

    for (size_t i = 0; i < 16; i++)
        done += s->lag_ms_buckets[i];
    buf_cstr(b, "{\"endpoint\":");
    buf_json_str(b, str_of(s->endpoint));
    put_field(b, "breaker", s->breaker);
    buf_printf(b, ",\"spilled\":%s,\"parked\":%s", s->spilled ? "true" : "false",
               s->parked ? "true" : "false");
    put_field(b, "park_why", s->park_why);
    put_time(b, "parked_until", s->parked_until);
    put_time(b, "breaker_until", s->breaker_until);
    put_time(b, "blocked_until", s->blocked_until);
    put_field(b, "open_actions", s->open_actions);
    buf_cstr(b, ",\"tripped\":");
    if (s->tripped) {
        buf_cstr(b, "{\"by\":");
        buf_json_str(b, str_of(s->trip_who));
        put_field(b, "why", s->trip_why);
        put_time(b, "at", s->tripped_ms);
        buf_char(b, '}');
    } else {
        buf_cstr(b, "null");
    }
    put_rate(b, s);
    put_secrets(b, s);
    put_resolving(b, s);
    put_time(b, "oldest_at", s->oldest_ms);
    buf_cstr(b, ",\"paused\":");
    api_pause_json(b, &s->pause);
    buf_cstr(b, ",\"feeds\":");
    api_feeds_json(b, f, s->endpoint);
    buf_char(b, ',');
    PUT_NUMBERS(
        b, { "concurrency", s->concurrency }, { "ready", s->ready }, { "inflight", s->inflight },
        { "waiting", s->waiting }, { "unknown", s->unknown }, { "held", s->held },
        { "delivered", s->delivered }, { "dead", s->dead }, { "retries", s->retries },
        { "throttled", s->throttled }, { "unknowns", s->unknowns }, { "confirms", s->confirms },
        { "retries_delayed", s->retries_delayed }, { "retry_percent", s->retry_percent },
        { "window_retries", s->window_retries }, { "window_calls", s->window_calls },
        { "attempts", s->attempts }, { "calls", s->calls }, { "breaker_trips", s->breaker_trips },
        { "lag_ms_mean", done ? s->lag_ms_sum / done : 0 });
    buf_char(b, '}');
}

static void put_daemon(struct buf *b, const struct admin *a)
{
    const struct config *conf = a->conf.config;
    struct buf why = { 0 };
    bool ready = watch_ready(a->conf.watch, &why), first = true;

    buf_printf(b, "{\"version\":\"%s\",\"pid\":%d,\"uptime_s\":%" PRIu64 ",\"ready\":%s",
               SLUICE_VERSION, (int)getpid(), (clock_mono_ms() - a->started_ms) / 1000,
               ready ? "true" : "false");
    buf_cstr(b, ",\"reasons\":[");
    for (const char *at = why.data; at && *at;) {
        size_t n = strcspn(at, "\n");
        buf_cstr(b, first ? "" : ",");
        buf_json_str(b, (sl_str){ at, n });
        first = false;
        at += n + (at[n] != '\0');
    }
    buf_finish(&why);
    buf_cstr(b, "],\"config\":{\"file\":");
    buf_json_str(b, str_of(conf->file));
    buf_cstr(b, "},\"listen\":{\"intake\":");
    buf_json_str(b, str_of(conf->listen));
    put_field(b, "admin", conf->admin_listen);
    put_field(b, "socket", conf->admin_socket);
    buf_char(b, '}');
}

static void put_intake(struct buf *b, const struct flow *f)
{
    struct flow_stats s;

    flow_stats(f, &s);
    buf_cstr(b, ",\"intake\":{");
    PUT_NUMBERS(b, { "requests", s.requests }, { "received", s.received },
                { "duplicates", s.duplicates }, { "same_events", s.same_events },
                { "bad_signature", s.bad_signature }, { "malformed", s.malformed },
                { "too_large", s.too_large }, { "unknown_path", s.unknown_path },
                { "refused", s.refused }, { "routed", s.routed },
                { "routing_errors", s.routing_errors }, { "router_queue", s.router_queue },
                { "emitted", s.emitted }, { "looked_up", s.looked_up }, { "polled", s.polled },
                { "resolve_calls", s.resolve_calls }, { "find_calls", s.find_calls },
                { "find_keys", s.find_keys }, { "find_hits", s.find_hits },
                { "waiting_for_link", s.waiting_for_link }, { "deadlines", s.deadlines },
                { "deadlines_met", s.deadlines_met }, { "deadlines_missed", s.deadlines_missed });
    buf_char(b, '}');
}

static void put_store(struct buf *b, const struct store *store)
{
    struct store_stats s;

    store_stats(store, &s);
    buf_cstr(b, ",\"store\":{");
    PUT_NUMBERS(b, { "log_seq", s.log_seq }, { "index_seq", s.index_seq }, { "commits", s.commits },
                { "records", s.records }, { "queue_bytes", s.queue_bytes },
                { "commit_us_sum", s.commit_us_sum }, { "commit_us_max", s.commit_us_max },
                { "duplicates", s.duplicates }, { "first_seq", s.first_seq },
                { "keep_ms", (uint64_t)s.keep_ms }, { "segments", s.segments },
                { "keys_bytes", s.keys_bytes }, { "damaged", s.damaged }, { "doubled", s.doubled },
                { "wait_ms", s.wait_ms }, { "housekeeping_errors", s.keeper_errors });
    buf_printf(b, ",\"failed\":%s,\"disk_low\":%s}", s.failed ? "true" : "false",
               s.disk_low ? "true" : "false");
}

static void put_lanes(struct buf *b, const struct flow *f)
{
    struct lane_stats s;

    buf_cstr(b, ",\"lanes\":[");
    for (size_t i = 0; i < flow_lanes(f); i++) {
        flow_lane_stats(f, i, &s);
        buf_cstr(b, i ? "," : "");
        api_lane_json(b, f, &s);
    }
    buf_char(b, ']');
}

/** The index may have failed: that is when the rest is wanted most, so it is given all the same. */
static void on_summary(void *ctx, int status, sl_str json)
{
    struct call *c = ctx;
    const struct admin_conf *conf = &c->admin->conf;
    struct buf b = { 0 };

    put_daemon(&b, c->admin);
    put_intake(&b, conf->flow);
    put_store(&b, conf->store);
    put_lanes(&b, conf->flow);
    buf_cstr(&b, ",\"routes\":");
    api_routes_json(&b, conf->flow);
    buf_cstr(&b, ",\"feeds\":");
    api_feeds_json(&b, conf->flow, NULL);
    buf_cstr(&b, ",\"alerts\":");
    watch_alerts(conf->watch, &b);
    buf_cstr(&b, ",\"summary\":");
    buf_str(&b, status == 0 ? json : STR("null"));
    buf_char(&b, '}');
    call_json(c, 200, buf_view(&b));
    buf_finish(&b);
}

void api_status(struct call *c)
{
    int r = store_report(c->admin->conf.store, REPORT_SUMMARY, NULL, on_summary, c);

    if (r < 0)
        on_summary(c, r, STR(""));
}
