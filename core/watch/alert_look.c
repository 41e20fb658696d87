/*
 * alert_look.c - every two seconds: what nobody tells (a disk that fills, a backlog that ages, a
 * person who does not come), and whether what stands still does.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "flow/forecast.h"
#include "watch/watch_int.h"

#define REFUSED_OVER_MS (2 * 60 * 1000) /* intake tells once a minute while it refuses */
#define SIGNATURE_MS    (5 * 60 * 1000)
#define HELD_PAGE       100 /* oldest held ones that are looked at */

static void tell(struct watch *w, enum notice_kind kind, const char *endpoint, const char *text)
{
    alerts_notice(w, &(struct notice){ .kind = kind,
                                       .endpoint = str_of(endpoint),
                                       .route = STR(""),
                                       .owner = STR(""),
                                       .subject = STR(""),
                                       .text = str_of(text) });
}

/** It is told when it is so for the first time, and is over when it no longer is. */
static void stands_if(struct watch *w, enum notice_kind kind, const char *endpoint, bool so,
                      const char *text)
{
    struct alert *a = alert_find(w, kind, str_of(endpoint), STR(""));

    if (!so && a)
        alert_over(a, "over");
    if (so && !(a && a->stands))
        tell(w, kind, endpoint, text);
}

/* ---- the store: its threads have no one to tell ---- */

static void look_store(struct watch *w)
{
    struct store_stats s;
    char text[160];

    store_stats(w->store, &s);
    stands_if(w, NOTICE_STORE_FAILED, "", s.failed,
              "the disk failed a write: nothing more is acknowledged until a restart");
    stands_if(w, NOTICE_DISK_LOW, "", s.disk_low,
              "the disk is nearly full: webhooks are refused until there is room");
    if (s.damaged > w->damaged) {
        snprintf(text, sizeof(text),
                 "%" PRIu64
                 " records of the log cannot be read; stop Sluice and run sluice db check",
                 s.damaged);
        tell(w, NOTICE_STORE_DAMAGED, "", text);
    }
    w->damaged = s.damaged;
    stands_if(w, NOTICE_STORE_DAMAGED, "", s.damaged > 0, "records of the log cannot be read");
}

/* ---- lanes ---- */

/** What is remembered of an endpoint between looks. */
struct seen {
    struct seen *next;
    char *endpoint;
    uint64_t then; /* bad signatures, when the five minutes began */
    int64_t since_ms;
    struct forecast quota;
};

static struct seen *seen_of(struct watch *w, const char *endpoint)
{
    struct seen *s = w->seen;

    while (s && strcmp(s->endpoint, endpoint) != 0)
        s = s->next;
    if (s)
        return s;
    s = mem_zero(sizeof(*s));
    s->endpoint = mem_str(endpoint);
    s->since_ms = clock_wall_ms();
    s->next = w->seen;
    w->seen = s;
    return s;
}

void alert_look_finish(struct watch *w)
{
    struct seen *s;

    while ((s = w->seen)) {
        w->seen = s->next;
        free(s->endpoint);
        free(s);
    }
}

static void look_signatures(struct watch *w, const struct lane_stats *l, int64_t now)
{
    struct seen *s = seen_of(w, l->endpoint);
    uint64_t bad = l->bad_signatures - s->then, limit = w->conf->signature_failures;
    char text[160];

    snprintf(text, sizeof(text),
             "%" PRIu64 " webhooks had a bad signature: is the secret the sender's?", bad);
    if (limit && bad >= limit)
        stands_if(w, NOTICE_SIGNATURES, l->endpoint, true, text);
    if (now - s->since_ms < SIGNATURE_MS)
        return;
    if (!limit || bad < limit)
        stands_if(w, NOTICE_SIGNATURES, l->endpoint, false, "");
    s->then = l->bad_signatures;
    s->since_ms = now;
}

void age_text(int64_t ms, char out[24])
{
    static const int64_t units[] = { 86400000, 3600000, 60000, 1000 };

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (ms >= (units[i] > 1000 ? 2 : 1) * units[i]) {
            ms -= ms % units[i];
            snprintf(out, 24, "%" PRId64 "%c", ms / units[i], "dhms"[i]);
            return;
        }
    units_format_duration(ms, out);
}

/** Before it happens: then nobody could do anything about it but wait. */
static void look_quota(struct watch *w, const struct lane_stats *l, int64_t now)
{
    const struct alert *a = alert_find(w, NOTICE_QUOTA, str_of(l->endpoint), STR(""));
    char text[320] = "";
    bool so = quota_look(&seen_of(w, l->endpoint)->quota, l, a && a->stands, now, text);

    stands_if(w, NOTICE_QUOTA, l->endpoint, so, text);
}

static void look_lane(struct watch *w, const struct lane_stats *l, int64_t now)
{
    struct alert *a;
    char age[24], text[160];

    a = alert_find(w, NOTICE_BREAKER_OPEN, str_of(l->endpoint), STR(""));
    if (a && !strcmp(l->breaker, "closed"))
        alert_over(a, "over: its breaker is closed");
    a = alert_find(w, NOTICE_PARKED, str_of(l->endpoint), STR(""));
    if (a && !l->parked)
        alert_over(a, "over: it is parked no longer");
    age_text(l->oldest_ms ? now - l->oldest_ms : 0, age);
    snprintf(text, sizeof(text), "the oldest of %" PRIu64 "%s ready deliveries has waited for %s",
             l->ready, l->spilled ? " and more" : "", age);
    stands_if(w, NOTICE_BACKLOG, l->endpoint,
              l->oldest_ms && now - l->oldest_ms > w->conf->backlog_ms, text);
    look_signatures(w, l, now);
    look_quota(w, l, now);
}

/** Of an endpoint's feeds: the first that fails, and the first that has found something. */
struct feeds_seen {
    const char *endpoint;
    char failing[320]; /* "": none */
    const char *finding;
    bool unread; /* of one it is not known yet */
};

static void look_feed(void *ctx, const struct feed_stats *s)
{
    struct feeds_seen *x = ctx;

    if (strcmp(x->endpoint, s->endpoint) != 0)
        return;
    x->unread |= s->unread;
    if (!x->finding)
        x->finding = s->finding;
    if (!x->failing[0] && s->alerted)
        snprintf(x->failing, sizeof(x->failing),
                 "feed %s has failed %" PRIu32 " times in a row: %s", s->feed, s->failures,
                 s->error ? s->error : "it was not said why");
}

static void look_feeds(struct watch *w, const char *endpoint)
{
    struct feeds_seen x = { .endpoint = endpoint };
    struct buf backfill = { 0 };

    flow_feed_each(w->flow, look_feed, &x);
    if (!x.failing[0] && flow_backfill_fails(w->flow, endpoint, &backfill))
        snprintf(x.failing, sizeof(x.failing), STR_FMT, STR_ARG(buf_view(&backfill)));
    buf_finish(&backfill);
    stands_if(w, NOTICE_FEED, endpoint, x.failing[0], x.failing);
    if (!x.unread)
        stands_if(w, NOTICE_FINDING, endpoint, x.finding, x.finding);
}

/** Its events that say nothing of their order wait until it can be asked. */
static void look_unresolved(struct watch *w, const struct lane_stats *l)
{
    bool so = l->resolve_why && l->resolving && (int64_t)l->unresolved_ms > w->conf->lag_ms;
    char text[400], age[24];

    age_text((int64_t)l->unresolved_ms, age);
    snprintf(text, sizeof(text),
             "events wait to be routed: for %s it could not be asked what %zu ids in them belong "
             "to: %.200s",
             age, l->resolving, so ? l->resolve_why : "");
    stands_if(w, NOTICE_LAG, l->endpoint, so, text);
}

/** It is for a person to resume it. */
static void look_stopped(struct watch *w, const struct lane_stats *l)
{
    bool so = l->pause.paused && l->pause.event;
    char text[320];

    snprintf(text, sizeof(text),
             "paused since event %" PRIu64
             ": %.200s; once that is mended: sluice endpoints resume %s",
             l->pause.event, so ? l->pause.why : "", l->endpoint);
    stands_if(w, NOTICE_STOPPED, l->endpoint, so, text);
}

struct private
{
    const char *endpoint;
    char text[240]; /* "": nothing of it is late */
};

static void look_request(void *ctx, const struct privacy_status *s)
{
    struct private *p = ctx;

    if (s->late && !p->text[0] && !strcmp(s->endpoint, p->endpoint))
        memcpy(p->text, s->text, sizeof(p->text));
}

static void look_privacy(struct watch *w, const char *endpoint)
{
    struct private p = { .endpoint = endpoint };

    flow_privacy_each(w->flow, look_request, &p);
    stands_if(w, NOTICE_PRIVACY, endpoint, p.text[0], p.text);
}

static void look_flow(struct watch *w, int64_t now)
{
    struct flow_stats f;
    struct lane_stats l;
    char age[24], text[160];

    for (size_t i = 0; i < flow_lanes(w->flow); i++) {
        flow_lane_stats(w->flow, i, &l);
        look_lane(w, &l, now);
        look_feeds(w, l.endpoint);
        look_stopped(w, &l);
        look_unresolved(w, &l);
        look_privacy(w, l.endpoint);
    }
    flow_stats(w->flow, &f);
    age_text(f.router_oldest_ms ? now - f.router_oldest_ms : 0, age);
    snprintf(text, sizeof(text), "%" PRIu64 " events wait to be routed, the oldest for %s",
             f.router_queue, age);
    stands_if(w, NOTICE_LAG, "", f.router_oldest_ms && now - f.router_oldest_ms > w->conf->lag_ms,
              text);
}

/* ---- what the store knows: dead letters, held ones ---- */

/** How many of a route's deliveries stand so. */
static json_int_t count(json_t *routes, const char *route, enum delivery_state state)
{
    return json_integer_value(
        json_object_get(json_object_get(routes, route), delivery_state_names[state]));
}

static void on_summary(void *ctx, int status, sl_str json)
{
    struct watch *w = ctx;
    json_t *root = status == 0 ? json_loadb(json.ptr, json.len, 0, NULL) : NULL;
    json_t *routes = json_object_get(root, "routes");

    w->asking = false;
    if (routes && !w->closed)
        list_each (i, &w->alerts) {
            struct alert *a = list_entry(i, struct alert, node);
            if (a->kind == NOTICE_DEAD && !count(routes, a->route, DS_DEAD))
                alert_over(a, "over: the route has no dead letter left");
            if (a->kind == NOTICE_HELD && !count(routes, a->route, DS_HELD))
                alert_over(a, "over: the route has no held delivery left");
        }
    json_decref(root);
    watch_check_closed(w);
}

static void ask_counts(struct watch *w)
{
    bool any = false;

    list_each (i, &w->alerts) {
        const struct alert *a = list_entry(i, struct alert, node);
        any |= a->stands && (a->kind == NOTICE_DEAD || a->kind == NOTICE_HELD);
    }
    if (any && !w->asking)
        w->asking = store_report(w->store, REPORT_SUMMARY, NULL, on_summary, w) == 0;
}

static sl_str text_of(json_t *o, const char *name)
{
    return str_of(json_string_value(json_object_get(o, name)));
}

/** The first of a route that has waited for too long is told for all of the route. */
static void look_held(struct watch *w, json_t *held, int64_t now)
{
    sl_str route = text_of(held, "route"), type = text_of(held, "hold_type");
    sl_str updated = text_of(held, "updated_at");
    struct alert *a = alert_find(w, NOTICE_UNATTENDED, STR(""), route);
    int64_t since = 0;
    sl_str owner = text_of(json_object_get(held, "detail"), "owner");
    char age[24], text[160];

    if (clock_parse(updated.ptr, updated.len, &since) < 0 ||
        now - since <= w->conf->unattended_ms || (a && a->stands && a->last_ms == now))
        return;
    uint64_t num = 0;
    delivery_parse(text_of(held, "id"), &num);
    if (a && a->stands) {
        a->last_ms = now; /* seen: it still stands */
        return;
    }
    age_text(now - since, age);
    snprintf(text, sizeof(text), "held as " STR_FMT " for %s, and nobody has decided",
             STR_ARG(type), age);
    alerts_notice(w,
                  &(struct notice){ .kind = NOTICE_UNATTENDED,
                                    .endpoint = STR(""),
                                    .route = route,
                                    .owner = owner.len ? owner : flow_route_owner(w->flow, route),
                                    .subject = text_of(held, "subject"),
                                    .num = num,
                                    .text = str_of(text) });
    if ((a = alert_find(w, NOTICE_UNATTENDED, STR(""), route)))
        a->last_ms = now;
}

static void on_held(void *ctx, int status, sl_str json)
{
    struct watch *w = ctx;
    json_t *list = status == 0 ? json_loadb(json.ptr, json.len, 0, NULL) : NULL, *held;
    int64_t now = clock_wall_ms();
    size_t i;

    w->asking = false;
    if (list && !w->closed) {
        json_array_foreach(list, i, held) look_held(w, held, now);
        list_each (k, &w->alerts) {
            struct alert *a = list_entry(k, struct alert, node);
            if (a->kind == NOTICE_UNATTENDED && a->stands && a->last_ms != now)
                alert_over(a, "over: none has waited for so long any more");
        }
    }
    json_decref(list);
    watch_check_closed(w);
}

static void ask_held(struct watch *w, int64_t now)
{
    struct store_filter oldest = { .state = "held", .for_people = true, .limit = HELD_PAGE };
    int64_t every = w->conf->unattended_ms / 8;

    if (every < 2 * LOOK_MS) /* each other look is left for the counts */
        every = 2 * LOOK_MS;
    if (w->asking || now - w->asked_held_ms < (every < 60000 ? every : 60000))
        return;
    w->asked_held_ms = now;
    w->asking = store_report(w->store, REPORT_DELIVERIES, &oldest, on_held, w) == 0;
}

/* ---- what an earlier process told ---- */

static void on_facts(void *ctx, int status, const struct store_state *facts, size_t n)
{
    struct watch *w = ctx;

    w->asking = false;
    w->remembered = status == 0;
    for (size_t i = 0; i < n && !w->closed; i++)
        alert_remember(w, &facts[i]);
    watch_check_closed(w);
}

/* ---- all ---- */

static void look_rest(struct watch *w, int64_t now)
{
    list_each (i, &w->alerts) {
        struct alert *a = list_entry(i, struct alert, node);
        if (a->kind == NOTICE_REFUSING && now - a->last_ms > REFUSED_OVER_MS)
            alert_over(a, "over: webhooks are taken");
        if (a->kind == NOTICE_DEADLINE && now - a->last_ms > w->conf->repeat_ms)
            alert_over(a, "over: no further one is late");
        if (a->kind == NOTICE_ROUTE_PAUSED && !flow_route_fails(w->flow, str_of(a->route)))
            alert_over(a, "over: the route goes on");
    }
}

void alert_look(struct watch *w)
{
    int64_t now = clock_wall_ms();

    if (w->closed || !w->flow)
        return;
    look_store(w);
    if (!flow_recovered(w->flow))
        return;
    if (!w->remembered && !w->asking) {
        w->asking = store_state_list(w->store, STR("alert"), on_facts, w) == 0;
        return;
    }
    look_flow(w, now);
    look_rest(w, now);
    ask_held(w, now); /* first: it is seldom its turn, and one thing is asked at a time */
    ask_counts(w);
    alerts_due(w);
}
