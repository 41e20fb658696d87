/*
 * replay.h - replays: dead letters sent again, or old events given to a new route, as a job of the
 * daemon's own: at a pace, seen, stopped by a new kind of failure, and going on after a restart.
 *
 *   RUNNING -> DONE | STOPPED (by a failure) | CANCELLED (by a person)
 *
 * A job is a durable fact (REC_STATE, space "replay"): what it is about and how far it came. Its
 * place may be behind what was decided when the process ended, and that does no harm: what was
 * replayed is not dead any more, or died after the job began, and an event that has a delivery of
 * the route is none of its events. How much was sent again, arrived, and died again of what is
 * counted by the index from the moves themselves (REPORT_REPLAY), so it is exact.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/routing.h"

enum replay_state { REPLAY_RUNNING, REPLAY_DONE, REPLAY_STOPPED, REPLAY_CANCELLED, REPLAY__COUNT };
extern const char *const replay_state_names[REPLAY__COUNT];

struct replay {
    struct list node; /* flow.replays, by rising id */
    struct flow *flow;
    uint64_t id;
    enum replay_state state;
    struct store_filter filter; /* own texts; `after`: the last one dealt with */
    char *route;                /* own; old events for this route; NULL: dead letters */
    bool remap;
    uint8_t priority;      /* of what is sent again */
    uint32_t rate;         /* per second; 0: none */
    uint64_t max_failures; /* 0: no bound */
    char *who, *why;       /* own */
    int64_t started_ms, ended_ms;
    uint64_t log_seq;       /* when it began: a store restored from later than that stops it */
    uint64_t matched;       /* when it began; of events: not counted */
    uint64_t done, refused; /* decided; events: given to the route, and not */
    uint64_t edits_lost;    /* of those: mapped again without what was edited */
    uint64_t *known;        /* own; issues that are being replayed */
    size_t n_known;
    char end[300]; /* why it stopped */
    bool ending;   /* that it ended is not durable yet ... */
    void (*cancelled)(void *ctx, int status, uint64_t id); /* ... and who hears it; NULL: nobody */
    void *cancelled_ctx;

    /* ---- of this process ---- */
    uint64_t since_ms, released; /* monotonic; what its pace is reckoned from */
    uint64_t *nums;              /* own; of the step under way */
    size_t n, at;
    uint64_t next;             /* events: where the next step begins; 0: that was the last part */
    struct remap give;         /* events: the one that is being routed */
    struct store_delivery row; /* of it */
    char who_text[80];         /* "replay:7 uid 0" */
};

/** Who decides for a job: `out` holds 80 bytes. The index knows jobs by it. */
void replay_who(uint64_t id, const char *who, char out[80]);
/** How many may leave `elapsed_ms` after the pace began, `released` of which have. */
uint64_t replay_due(uint32_t rate, uint64_t elapsed_ms, uint64_t released, uint64_t most);

/* replay_state.c: as a durable fact, and as people see it; own texts */
void replay_encode(const struct replay *r, struct buf *out); /* JSON */
struct replay *replay_decode(sl_str json);                   /* NULL: not a replay */
void replay_free(struct replay *r);

/** A job of what is asked for, not begun; own. */
struct replay *replay_new(struct flow *f, const struct replay_ask *ask);
/** Its next old events. As store_backfill(); UV_ENOENT: the route is gone. */
int replay_ask_events(struct replay *r, uint32_t most,
                      void (*cb)(void *ctx, int status, const uint64_t *ids, size_t n,
                                 uint64_t next),
                      void *ctx);

/** At the flow's opening: those of before go on. */
void replays_open(struct flow *f);
void replays_close(struct flow *f);
