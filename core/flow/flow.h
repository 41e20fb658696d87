/*
 * flow.h - the way of an event: intake -> log -> router -> lanes -> adapters; and the decisions
 * that people make about deliveries.
 *
 * The flow knows adapters only as tables (adapter.h); the host hands them in. All state of it lives
 * on the loop; what must survive is in the store before the next step is made.
 *
 * Thread: loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include "base/buf.h"
#include "base/fail.h"
#include "base/rng.h"
#include "config/config.h"
#include "flow/adapter.h"
#include "flow/bucket.h"
#include "flow/in_hand.h"
#include "flow/mapper.h"
#include "net/http_server.h"
#include "store/store.h"

struct flow;
struct lane;

/** What the flow tells those who watch: one call for each thing that needs a person, and for the
 * end of what stands until then. Nothing of what goes well. */
enum notice_kind {
    NOTICE_DEAD,         /* a delivery became a dead letter */
    NOTICE_BREAKER_OPEN, /* a lane's breaker opened */
    NOTICE_BREAKER_CLOSED,
    NOTICE_PARKED, /* an endpoint cannot be used: credentials, quota, certificate */
    NOTICE_UNPARKED,
    NOTICE_HELD,         /* a delivery needs a human */
    NOTICE_ROUTE_PAUSED, /* a route's program failed twenty times in a row with the same error */
    NOTICE_ROUTE_RESUMED,
    NOTICE_REFUSING,      /* intake answers 503: queue or disk full, or the store failed */
    NOTICE_STORE_FAILED,  /* latched: nothing more is acknowledged until a restart */
    NOTICE_STORE_DAMAGED, /* records that were durable cannot be read any more */
    /* what the watch finds itself, by looking */
    NOTICE_DISK_LOW,   /* below the reserve: webhooks are refused */
    NOTICE_BACKLOG,    /* an endpoint's oldest delivery is older than `alerts.backlog_age` */
    NOTICE_LAG,        /* an event has waited for the router for longer than `alerts.lag` */
    NOTICE_UNATTENDED, /* a held delivery has waited for a person for too long */
    NOTICE_SIGNATURES, /* an endpoint's webhooks are refused for their signatures */
    NOTICE_DEADLINE,   /* what must follow a delivery has not come, or is near its end */
    NOTICE_FEED,       /* a feed of an endpoint has failed several times in a row */
    NOTICE_QUOTA,   /* an endpoint's quota will be used up within hours, if it goes on like this */
    NOTICE_STOPPED, /* an event said that an endpoint takes nothing any more: it is paused */
    NOTICE_FINDING, /* a feed has found something that somebody has to look at */
    NOTICE_PRIVACY, /* what was asked about a person waits for somebody, or for too long */
    NOTICE__COUNT
};
extern const char *const notice_names[NOTICE__COUNT];

struct notice {
    enum notice_kind kind;
    sl_str endpoint, route, owner, subject; /* empty where it does not apply */
    uint64_t num;                           /* delivery, or 0 */
    sl_str text;
    bool critical; /* its route's priority is */
    bool of_alert; /* it is about the route of an alert: telling it by that route has no end */
};

struct flow_watch {
    void *ctx;
    void (*notice)(void *ctx, const struct notice *n); /* may be NULL */
};

struct flow_conf {
    uv_loop_t *loop;
    struct store *store;         /* borrowed, open */
    struct mapper *mapper;       /* borrowed, open */
    const struct config *config; /* borrowed */
    struct adapter **adapters;   /* one per config->endpoints[i], same order; borrowed */
    struct flow_watch watch;
    struct in_hand *in_hand; /* borrowed; NULL: nobody counts what a crash had in hand */
    uint64_t seed;           /* of jitter; 0: from the system */
};

/** Make the lanes and start recovering: what was left live is claimed, what was sent without an
 *  outcome is resumed or unknown, unrouted events are routed. Returns at once. */
int flow_open(struct flow **ret, const struct flow_conf *conf, struct fail *fail);
bool flow_recovered(const struct flow *f); /* everything left from before is back in its lane */

/** Go over to another configuration, at once. The adapters are one per next->endpoints[i], each
 * with its `conf` there; one that a lane has already stays its own, another takes its place and the
 * old one is retired. Only once flow_recovered().
 *  @param ret_orphaned  deliveries in memory that have lost their route or target and are held
 *  @return 0, or UV_ENOMEM: nothing changed */
int flow_reconfigure(struct flow *f, const struct config *next, struct adapter **adapters,
                     size_t *ret_orphaned);

/** Stop starting deliveries; `idle` when nothing is under way, or after `ms` all the same. What is
 *  still under way then counts as sent without an outcome. */
void flow_drain(struct flow *f, uint64_t ms, void (*idle)(void *ctx), void *ctx);
/** Frees everything; nothing may be under way with the store or the mapper: close them first. */
void flow_destroy(struct flow *f);

/* ---- intake: the handler of the intake listener ---- */

extern const struct http_handler flow_intake; /* ctx: struct flow * */

/* ---- decisions ---- */

enum decision {
    DECISION_REPLAY,    /* dead, discarded, delivered (with force) -> ready */
    DECISION_DISCARD,   /* dead, held, waiting -> discarded */
    DECISION_RELEASE,   /* held -> ready */
    DECISION_REJECT,    /* held -> dead */
    DECISION_ARRIVED,   /* held with an unknown outcome -> delivered: "it did arrive" */
    DECISION_MOVE,      /* ready, waiting, held, unknown -> the same job at another member */
    DECISION_INTERLOCK, /* the group's: in doubt at a member that is out -> held */
    DECISION_AGAIN,     /* held with an unknown outcome -> ready: "it did not, send it again" */
    DECISION_CLOCK,     /* held, and its clock ran out: as its hold says */
    DECISION_EDIT,      /* dead or held, and nowhere -> ready, with another body */
    DECISION_CANCEL,    /* the group's: in doubt at a member that is out -> unknown, taken back */
    DECISION_LOOKED_UP  /* held, and what it waits for was asked for: by the answer */
};

struct deciding;
struct lookup;
struct rec_moves;

struct decide {
    enum decision what;
    sl_str who;         /* "uid 0", "token" */
    sl_str why;         /* may be empty */
    sl_str endpoint;    /* RELEASE: where to, if not where it is; MOVE: where to; else empty */
    bool remap;         /* REPLAY: run the route's program again on the original event */
    bool force;         /* REPLAY of what was delivered: send again, under the same key. EDIT
                           of what may have arrived: somebody knows that it did not */
    bool nothing_there; /* MOVE: who decides knows that its endpoint has nothing of it */
    sl_str choice;      /* RELEASE, REJECT: one of the choices its hold offers, which says which of
                           the two it is, and where to; empty: the plain one */
    sl_str set;         /* with a choice: JSON, { NAME: TEXT } of what it lets be filled in */
    sl_str body;        /* EDIT: JSON */
    uint8_t set_priority; /* REPLAY: 1 + enum priority, from now on; 0: as it was */
    bool dry_run;         /* say what it would come to, and change nothing */
    const uint64_t *nums;
    size_t n;
    /* ---- of the flow's own decisions; else empty ---- */
    const char *const *types;    /* one for each of nums: only what is still held so */
    const enum decision *each;   /* one for each of nums, instead of `what` */
    const int64_t *clocks;       /* one for each of nums: only if its clock still says so */
    const struct lookup *lookup; /* LOOKED_UP: the answer; alive until `cb` */
    /** All is decided and nothing written: the caller appends these moves (none: those refused
     *  aside) as a decision, among others of his, and then calls flow_decided(), once; until then
     *  nothing else moves them. */
    void (*prepared)(void *ctx, struct deciding *a, const struct rec_moves *moves);
};
/** 0: the moves are durable; else they are not, and nothing has happened. `cb` runs from here. */
void flow_decided(struct deciding *a, int status);

/** One result for each num, in order: 0, UV_ENOENT, UV_EINVAL (its state does not allow it; text
 *  says what would be right), UV_EBUSY (under way). */
struct decided {
    uint64_t num;
    int status;
    bool edit_lost; /* it is mapped again, without what somebody had edited */
    char text[240];
};

/** `cb` runs once all decisions are durable. */
int flow_decide(struct flow *f, const struct decide *d,
                void (*cb)(void *ctx, const struct decided *results, size_t n), void *ctx);

/** A replay as a job: what a filter of dead letters matches at this moment, or events that a route
 *  was not given. See replay.h. */
struct replay_ask {
    struct store_filter filter; /* dead letters; for a route: since_ms, until_ms alone */
    const char *route;          /* old events for this route; NULL: dead letters */
    bool remap;                 /* dead letters are made again from their events */
    uint8_t set_priority;       /* 1 + enum priority of what is sent again; 0: low */
    uint32_t rate;              /* per second; 0: as fast as they are decided */
    uint64_t max_failures;      /* more of them dead again: it stops; 0: no bound */
    sl_str who, why;
};
/** `cb` runs once the job is durable. UV_EBUSY: 8 are running; UV_ENOENT: no such route; UV_EAGAIN:
 *  those of before are not read yet. */
int flow_replay(struct flow *f, const struct replay_ask *ask,
                void (*cb)(void *ctx, int status, uint64_t id), void *ctx);
/** It stands still when this returns 0; `cb` runs once that is durable, or is not: then it is
 *  written again. UV_ENOENT; UV_EALREADY: it has ended. */
int flow_replay_cancel(struct flow *f, uint64_t id, sl_str who,
                       void (*cb)(void *ctx, int status, uint64_t id), void *ctx);
/** Append one as JSON, or all (id 0) as an array, oldest first. UV_ENOENT. */
int flow_replay_show(const struct flow *f, uint64_t id, struct buf *out);
/** A dry run: what would go out where, and what would be skipped. Nothing is written or sent. At
 *  most `limit` are looked at; `json`: see replay_plan.c. */
int flow_replay_plan(struct flow *f, const struct replay_ask *ask, const uint64_t *nums,
                     size_t n_nums, uint32_t limit, void (*cb)(void *ctx, int status, sl_str json),
                     void *ctx);

/** Write a small fact that outlives the process (REC_STATE): an issue's acknowledgement, say. `cb`
 *  (may be NULL) comes once it is durable, or with the error; never before this returned. */
struct flow_fact {
    sl_str space, key, value; /* value: JSON; empty: there is none any more */
    sl_str who, why;
};
/** Where the facts of an endpoint's own space stand (sl_facts). */
void flow_fact_space(struct buf *to, sl_str endpoint, sl_str space);
void flow_fact(struct flow *f, const struct flow_fact *what,
               void (*cb)(struct flow *f, void *ctx, int status), void *ctx);

/* ---- what is asked about persons: see privacy.h ---- */

/** A request that has not ended. Texts are views. */
struct privacy_status {
    uint64_t id; /* the event that asks */
    uint8_t kind, state;
    const char *endpoint, *error;
    uint64_t under_way; /* events that an erasure waits for */
    bool late;          /* somebody has to look at it: `text` says why */
    char text[240];
};
void flow_privacy_each(const struct flow *f, void (*cb)(void *ctx, const struct privacy_status *s),
                       void *ctx);
struct privacy_stats {
    uint64_t erase, hand_out, log; /* to be erased, to be handed out, still in the log alone */
    uint64_t under_way;            /* events that erasures wait for */
    uint64_t erased, done;         /* events erased, requests done; since start */
};
void flow_privacy_stats(const struct flow *f, struct privacy_stats *ret);
/** What was asked for has been handed out. `cb` once it is durable, or is not. UV_ENOENT: there is
 *  no such request, or it has ended; UV_EINVAL: it asks to erase; UV_EBUSY, UV_EAGAIN. */
int flow_privacy_done(struct flow *f, uint64_t id, sl_str who, sl_str why,
                      void (*cb)(void *ctx, int status), void *ctx);
/** Events that a request (of enum privacy_kind) is about, a part at a time, the next one after
 *  `next`; 0: that was the last. A status of UV_ENOENT: the event that asks is not there. */
int flow_privacy_events(struct flow *f, uint64_t id, uint8_t kind, uint64_t after,
                        void (*cb)(void *ctx, int status, const uint64_t *events, size_t n,
                                   uint64_t next),
                        void *ctx);

/** A dry run: what would be made of this payload, and where would it go? `json`:
 *  {"subject":..,"version":..,"deliveries":[{"route","piece","to"|"hold"|"dead"|"drop","action","body","key"}],
 *   "errors":[...]}; nothing is stored or sent. */
int flow_try(struct flow *f, sl_str endpoint, sl_str topic, const sl_header *headers,
             size_t n_headers, sl_str body, void (*cb)(void *ctx, int status, sl_str json),
             void *ctx);

/* ---- events of the gateway's own ---- */

/** Does a route take such an event, from the endpoint CONFIG_SELF? */
bool flow_wants(const struct flow *f, sl_str topic);

struct flow_event {
    sl_str topic, subject, body;
};
/** Make an event durable and route it, and write a fact with it in the same append; either may be
 *  NULL, not both. `done` runs once, never before this returned. Arguments are copied. */
void flow_emit(struct flow *f, const struct flow_event *event, const struct rec_state_item *fact,
               void (*done)(void *ctx, int status), void *ctx);

/* ---- what watchers and the admin read ---- */

struct flow_stats {
    uint64_t requests;    /* at the intake listener */
    uint64_t received;    /* events made durable */
    uint64_t duplicates;  /* by receipt key */
    uint64_t same_events; /* by event key, found by the router */
    uint64_t bad_signature, malformed, too_large, unknown_path, refused; /* refused: 503 */
    uint64_t routed, routing_errors;
    uint64_t router_queue;
    int64_t router_oldest_ms; /* wall time of the oldest that waits there in memory; 0: none */
    uint64_t emitted;
    uint64_t waiting_for_link;
    uint64_t looked_up;                   /* events that had not come, and were found */
    uint64_t polled;                      /* events that feeds found */
    uint64_t missed;                      /* ... and that had not come by themselves */
    uint64_t late;                        /* of these, what came after all */
    uint64_t find_calls, find_keys;       /* questions for rows, and the keys in them ... */
    uint64_t find_hits;                   /* ... and keys that needed none */
    uint64_t resolve_calls, resolve_refs; /* questions what foreign ids belong to, and the ids */
    uint64_t deadlines, deadlines_met, deadlines_missed; /* begun, and how they ended */
};
void flow_stats(const struct flow *f, struct flow_stats *ret);

/** A person's pause; all zero and empty: none. Views until it is changed. */
struct pause_status {
    bool paused, drain;
    uint64_t event; /* that said so; 0: a person did */
    int64_t since_ms;
    const char *who, *why;
};

/** Webhooks that one of an endpoint's secrets signed, since the start: an old one that signs
 * nothing any more may go. */
struct signed_by {
    uint64_t webhooks;
    int64_t last_ms; /* wall clock; 0: none */
};

struct lane_stats {
    const char *endpoint;
    uint64_t ready, inflight, waiting, unknown, held; /* in memory */
    uint64_t concurrency;                             /* how many may be in flight */
    bool spilled;                                     /* more of them wait in the index */
    uint64_t delivered, dead, retries, throttled, unknowns, confirms; /* since start */
    uint64_t retries_delayed; /* retries that waited for the endpoint's budget */
    uint32_t retry_percent, window_retries, window_calls; /* that budget: of the last 60 s */
    uint64_t attempts;
    uint64_t calls;      /* HTTP */
    const char *breaker; /* closed, open, half-open */
    uint64_t breaker_trips;
    bool parked;
    const char *park_why; /* "" when not parked */
    int64_t parked_until; /* wall clock: the next probe; 0: not parked */
    bool tripped;         /* the breaker was opened by hand ... */
    const char *trip_who, *trip_why;
    int64_t tripped_ms;     /* ... then */
    int64_t breaker_until;  /* wall clock: an open one is probed then; 0: not, or by hand */
    char open_actions[120]; /* those whose own breaker is not closed, blanks between */
    int64_t blocked_until;  /* wall clock: the remote asked to be left alone; 0: not */
    const char *rate_kind;
    uint64_t rate_milli;               /* tokens a second, thousandths; 0: no limit */
    int64_t rate_level, rate_capacity; /* thousandths */
    uint64_t rate_others;              /* thousandths a second that others use, as learnt */
    int64_t quota_limit, quota_used, quota_reset; /* limit 0: none; reset: wall clock, 0: unknown */
    int64_t quota_reserve;                        /* of it, what stays for critical work */
    int64_t oldest_ms;           /* wall time of the oldest ready one's event; 0: none */
    uint64_t lag_ms_buckets[16]; /* event received -> delivered: <= 2^i * 10 ms */
    uint64_t lag_ms_sum;
    uint64_t bad_signatures; /* of its webhooks, since start */
    struct signed_by signed_by[SL_VERIFY_MAX_SECRETS];
    size_t n_secrets;        /* that they may be signed with; 0: none came yet */
    size_t resolving;        /* foreign ids of which it is asked what they belong to */
    const char *resolve_why; /* why they cannot be asked for; NULL: they can ... */
    uint64_t unresolved_ms;  /* ... for so long */
    struct pause_status pause;
};
size_t flow_lanes(const struct flow *f);
void flow_lane_stats(const struct flow *f, size_t i, struct lane_stats *ret);

/** A feed: what is asked for at an endpoint again and again. Texts are views. */
struct feed_stats {
    const char *endpoint, *feed, *kind, *owner;
    bool running;
    bool alerted;        /* it has failed so often that somebody was told */
    const char *waits;   /* it is due, and this keeps it back; NULL: nothing does */
    const char *error;   /* of the last poll; NULL: it went well, or there was none */
    const char *finding; /* what somebody has to look at, by the last good poll; NULL: nothing */
    bool unread;         /* what a process before knew of it is not known yet */
    uint32_t failures;   /* in a row */
    uint64_t runs, rows,
        known; /* polls ended, events found, and found that were known; since start */
    uint64_t last_rows, last_known; /* of the last poll, or so far of the one under way */
    int64_t began_ms, ended_ms;     /* wall clock, of the last poll; 0: there was none */
    int64_t good_ms;                /* the last one that went well ended */
    int64_t cursor_ms;              /* the cursor was stored */
    int64_t next_ms;                /* the next one is due; 0: one is under way */
    const char *cursor;
};
void flow_feed_each(const struct flow *f, void (*cb)(void *ctx, const struct feed_stats *s),
                    void *ctx);
/** Poll it now, whatever its schedule. UV_ENOENT; UV_EALREADY: it is being polled; UV_EAGAIN: its
 *  endpoint cannot be asked, and *ret_waits says why. */
int flow_poll(struct flow *f, sl_str endpoint, sl_str feed, const char **ret_waits);

/** Have an endpoint's adapter bring what happened before: see backfill.h. */
struct backfill_ask {
    const char *endpoint, *topics;
    int64_t since_ms, until_ms; /* wall clock */
    sl_str who;
};
/** It begins, and goes on by itself. UV_ENOENT, UV_ENOTSUP, UV_EALREADY, UV_EINVAL with `fail`. */
int flow_backfill(struct flow *f, const struct backfill_ask *ask, struct fail *fail);
/** What was found stays. UV_ENOENT: none is running. */
int flow_backfill_cancel(struct flow *f, const char *endpoint);
/** The last one of each endpoint, as a JSON array. */
void flow_backfills_json(const struct flow *f, struct buf *out);
/** Does the endpoint's fail again and again? Then its text for people is appended. */
bool flow_backfill_fails(const struct flow *f, const char *endpoint, struct buf *ret);

/** Have an endpoint's adapter make a report (sl_plugin.report). `cb` once, later; with a status but
 *  SL_OK `text` says why, else it is JSON. UV_ENOENT: there is no such endpoint; UV_ENOTSUP: its
 *  adapter makes none; UV_EAGAIN: it is closed. */
int flow_report(struct flow *f, sl_str endpoint, sl_str name,
                void (*cb)(void *ctx, sl_status status, sl_str text), void *ctx);
/** Compare what a route has delivered to an endpoint with what is there: see reconcile.h. */
struct reconcile_ask {
    const char *endpoint, *route;
    int64_t since_ms, until_ms; /* delivered in [since, until); 0: any */
    uint32_t named;             /* so many of what is not as it was sent are named */
};
/** It begins. UV_ENOENT, UV_EINVAL (its adapter cannot), UV_EBUSY (another one is running),
 * UV_EAGAIN (its endpoint cannot be asked), with `fail`. */
int flow_reconcile(struct flow *f, const struct reconcile_ask *ask, struct fail *fail);
/** Append the one that runs, or the last, as JSON. False: there was none. */
bool flow_reconcile_show(const struct flow *f, struct buf *out);

/** Why a delivery does not go now, and until when. */
struct why {
    char text[400];   /* "byron is parked: HTTP 401" */
    int64_t until_ms; /* wall clock: when that changes, or is looked at again; 0: nobody knows */
};
/** False: it is not in memory: it is final, or waits on disk for room in its lane's window. */
bool flow_why(struct flow *f, uint64_t num, struct why *ret);

/** Groups and how their members are, as a JSON array. */
void flow_groups_json(const struct flow *f, struct buf *b);

/** By hand: open a lane's breaker until it is closed by hand; unpark an endpoint. What was decided
 *  holds over a restart. UV_ENOENT: no such endpoint. */
int flow_trip(struct flow *f, sl_str endpoint, sl_str who, sl_str why);
int flow_reset(struct flow *f, sl_str endpoint, sl_str who);
int flow_unpark(struct flow *f, sl_str endpoint);
enum pause_what {
    PAUSE_BEGINS, /* nothing of it leaves, no question either (of a route: questions are asked) */
    PAUSE_DRAINS, /* the same, but what has an unknown outcome is still asked for */
    PAUSE_ENDS,
};

struct flow_pause {
    enum pause_what what;
    bool route; /* else an endpoint */
    sl_str name, who, why;
};

/** Pause an endpoint or a route, or resume it: `cb` once it is durable and holds. What is with the
 *  adapter ends as it does. UV_ENOENT: there is none of this name; then no callback. */
int flow_pause(struct flow *f, const struct flow_pause *p, void (*cb)(void *ctx, int status),
               void *ctx);

void flow_pause_status(const struct flow *f, bool route, sl_str name, struct pause_status *ret);

struct route_stats {
    const char *route, *from, *owner;
    struct pause_status pause; /* by a person */
    bool failing;              /* by itself, since its program fails: what it makes is held */
    const char *error;         /* ... with this */
    uint64_t inflight;         /* in batches that have begun */
};
size_t flow_routes(const struct flow *f);
void flow_route_stats(const struct flow *f, size_t i, struct route_stats *ret);

/** A route that its errors paused goes on. UV_ENOENT. */
int flow_resume_route(struct flow *f, sl_str route);
/** Is it paused for its program's errors? False when there is none of this name. */
bool flow_route_fails(const struct flow *f, sl_str route);
sl_str flow_route_owner(const struct flow *f, sl_str route); /* empty: nobody */

/* ---- for the host: HTTP calls are accounted to their endpoint's lane ---- */

/** What a call knew of the lane when it left. */
struct lane_ticket {
    struct bucket_ticket bucket;
    uint64_t calls; /* of the lane until then, itself included */
};
/** An adapter makes a call: its delivery paid for it, or it is charged. */
void lane_leaves(struct lane *l, struct lane_ticket *ret);
/** It was answered, or failed: once for each lane_leaves(). */
void lane_heard(struct lane *l, const struct lane_ticket *t);
/** One was refused for pace (429): the lane is quiet for so long. @param after_ms  0: not said */
void lane_refused(struct lane *l, int64_t after_ms);
/** A call that waits for its tokens, in the caller's memory. */
struct lane_call {
    struct list node; /* lane.calling */
    uint32_t cost;    /* tokens, at least 1 ... */
    uint32_t paid;    /* ... of which its delivery has taken so many */
    uint8_t priority;
    uint32_t overtaken; /* by batches that are more urgent */
    /** It leaves now: in a later turn, or in lane_call_now(). */
    void (*go)(struct lane_call *c, const struct lane_ticket *ticket);
};
/** A call that costs more than one token, or waits for its one. True: it leaves now, with *ret.
 *  False: its go() is called once it may; until then it must stay where it is. */
bool lane_call_leaves(struct lane *l, struct lane_call *c, struct lane_ticket *ret);
/** One that waits leaves at once, whatever is there. */
void lane_call_now(struct lane *l, struct lane_call *c);
struct flow *lane_flow(struct lane *l);
/** An answer says how much is left. @param t  of the call that was answered; NULL: not known */
void lane_budget(struct lane *l, const sl_budget *figures, const struct lane_ticket *t);
/** What comes from the endpoint lags, or was refused: its sweeps that have an `every` are due in
 * `ms`, though not within a minute of their last beginning. */
void lane_poll_soon(struct lane *l, int64_t ms);
