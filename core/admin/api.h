/*
 * api.h - what the parts of the admin API share: the listeners, and a call from its head to its
 * answer.
 *
 * Ownership: a call is made when its head is complete and freed by the one function that answers
 * it. Whoever asks the store or the flow takes the call along; the peer may be gone before they
 * answer, then the answer is dropped and the call freed all the same. The admin is closed when its
 * listeners are; its memory lives until the last call has ended, and calls end before the store has
 * closed.
 * Thread: loop.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <sluice/sluice.h>
#include "admin/admin.h"
#include "net/http_server.h"

#define API_BODY_BYTES (8u << 20)

struct listener {
    struct admin *admin;
    struct http_server *server; /* NULL: not open */
    bool tcp;
};

struct admin {
    struct admin_conf conf;
    struct listener tcp, local;
    char *tcp_host;      /* own; the host part of admin.listen, in brackets if it was; NULL: none */
    bool tcp_any;        /* ... which is every address of the machine */
    uint64_t started_ms; /* monotonic */
    size_t servers;      /* open */
    size_t calls;        /* under way */
    void (*closed)(void *ctx); /* NULL: not closing */
    void *ctx;
};

enum call_state {
    CALL_READING,   /* its body is on the way */
    CALL_WORKING,   /* the store or the flow is asked */
    CALL_ABANDONED, /* as WORKING, but nobody waits for the answer */
};

struct call {
    struct admin *admin;
    struct http_request *request; /* NULL when abandoned */
    enum call_state state;
    const struct api_route *route;
    char *name;   /* own; what stood for {} in the path, decoded; "" when the path has none */
    char who[32]; /* "uid 0", "token" */
};

struct api_route {
    const char *method;
    const char *path;            /* "/v1/events/{}": {} is one segment, not empty */
    void (*run)(struct call *c); /* the body is complete; answers now or later */
};
extern const struct api_route api_routes[]; /* ended by a NULL path */

/* ---- ending a call ---- */

/** Answer with JSON text; the call is gone. */
void call_json(struct call *c, int status, sl_str json);
/** ... with application/problem+json. The text says what is wrong and what would be right. */
void call_problem(struct call *c, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** ... for a negative code of the store or the flow. */
void call_failed(struct call *c, int code);
/** The body of a decision about a place: nothing, or {"why": "..."}. 0 with *ret own (may be NULL),
 *  or it is answered with what is wrong. */
int call_why(struct call *c, char **ret);
void call_text(struct call *c, int status, const char *type, sl_str body);

/* ---- problem.c ---- */

/** A problem document as the answer to a request. */
void problem_reply(struct http_request *r, int status, const sl_header *headers, size_t n_headers,
                   const char *detail);

/* ---- ask.c: what a list is asked for ---- */

enum ask {
    ASK_ENDPOINT = 1 << 0,
    ASK_ROUTE = 1 << 1,
    ASK_TOPIC = 1 << 2,
    ASK_SUBJECT = 1 << 3,
    ASK_STATE = 1 << 4,
    ASK_HOLD_TYPE = 1 << 5,
    ASK_AFTER_EVENT = 1 << 6,
    ASK_AFTER_DELIVERY = 1 << 7,
    ASK_LIMIT = 1 << 8,
    ASK_DUPLICATES = 1 << 9,
    ASK_ERROR = 1 << 10,
    ASK_SINCE = 1 << 11, /* an RFC 3339 time, or a duration: so long ago */
    ASK_UNTIL = 1 << 12,
    ASK_ISSUE = 1 << 13,
    ASK_ISSUE_STATE = 1 << 14,
    ASK_OWNER = 1 << 20,
    ASK_OVERDUE = 1 << 21,
    ASK_FOR_PEOPLE = 1 << 22, /* none that waits for an event */
    /* what a list of deliveries is narrowed by */
    ASK_DELIVERIES = ASK_STATE | ASK_ENDPOINT | ASK_ROUTE | ASK_SUBJECT | ASK_TOPIC |
                     ASK_HOLD_TYPE | ASK_OWNER | ASK_OVERDUE | ASK_FOR_PEOPLE | ASK_ERROR |
                     ASK_ISSUE | ASK_SINCE | ASK_UNTIL,
};

/** A priority's name: *ret is 1 + enum priority. 0, or UV_EINVAL with `fail`. */
int ask_priority(json_t *value, uint8_t *ret, struct fail *fail);

/** Percent-decoding; '+' is a space when `form`. Own text without NUL, or NULL: malformed. */
char *ask_decode(sl_str s, bool form);
/** One parameter into the filter. 0, or UV_EINVAL with `fail` saying what would be right. */
int ask_set(struct store_filter *f, unsigned allowed, const char *name, const char *value,
            struct fail *fail);
/** A moment: an RFC 3339 time, or a duration that means so long before `now_ms`. */
int ask_time(const char *name, const char *value, int64_t now_ms, int64_t *ret_ms,
             struct fail *fail);
/** A member of a call's body, "since" or "until", where it is there. False: answered. */
bool call_time(struct call *c, json_t *o, const char *name, int64_t *ret_ms);
/** The whole query string. On failure what was read is freed. */
int ask_query(struct store_filter *f, unsigned allowed, sl_str query, struct fail *fail);
void ask_finish(struct store_filter *f); /* frees the texts */

/* ---- handlers ---- */

void api_livez(struct call *c);
void api_readyz(struct call *c);
void api_metrics(struct call *c);
void api_status(struct call *c);
void api_events(struct call *c);
void api_event(struct call *c);
void api_deliveries(struct call *c);
void api_delivery(struct call *c);
void api_deadlines(struct call *c);
void api_decide(struct call *c);
void api_groups(struct call *c);
void api_edit(struct call *c);
void api_replay(struct call *c);
void api_replays(struct call *c);
void api_replay_show(struct call *c);
void api_replay_cancel(struct call *c);
void api_issues(struct call *c);
void api_issue(struct call *c);
void api_issue_ack(struct call *c);
void api_issue_resolve(struct call *c);
void api_issue_reopen(struct call *c);
void api_try(struct call *c);
void api_places(struct call *c);
void api_reload(struct call *c);
void api_backup(struct call *c);
void api_backup_status(struct call *c);
void api_trip(struct call *c);
void api_reset(struct call *c);
void api_unpark(struct call *c);
void api_resume(struct call *c);
void api_pause(struct call *c);
void api_drain(struct call *c);
void api_route_list(struct call *c);
void api_backfills(struct call *c);
void api_backfill(struct call *c);
void api_backfill_cancel(struct call *c);
void api_feeds(struct call *c);
void api_webhooks(struct call *c);
void api_reconcile(struct call *c);
void api_reconcile_show(struct call *c);
void api_poll(struct call *c);
void api_report(struct call *c);
void api_privacy(struct call *c);
void api_privacy_show(struct call *c);
void api_privacy_events(struct call *c);
void api_privacy_done(struct call *c);

/** Who paused it since when, or null. */
void api_pause_json(struct buf *b, const struct pause_status *p);
/** The feeds of an endpoint, or all (NULL), as a list. */
void api_feeds_json(struct buf *b, const struct flow *f, const char *endpoint);
/** All routes, as a list. */
void api_routes_json(struct buf *b, const struct flow *f);

/** One lane as JSON, with the feeds of its endpoint. */
void api_lane_json(struct buf *b, const struct flow *f, const struct lane_stats *s);
