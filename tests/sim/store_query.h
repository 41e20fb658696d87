/*
 * store_query.h - what the files of the simulated store share: store_query.c asks, store_answer.c
 * answers, store_sim.c says when, appends and crashes. All memory is of the tables' arena.
 */
#pragma once

#include "store_sim.h"

struct known;

enum asked {
    ASK_CLAIM,
    ASK_SIBLINGS,
    ASK_DEAD,
    ASK_ABOUT,
    ASK_CHAIN,
    ASK_DELIVERY,
    ASK_BODIES,
    ASK_EVENT,
    ASK_NUMS,
    ASK_LINKS,
    ASK_BATCH,
    ASK_STATE,
    ASK_DUE,
    ASK_DEADLINES,
    ASK_ENDS,
    ASK_CAME,
    ASK_SELECT,
    ASK_BACKFILL,
    ASK_PRIVACY, /* nobody asks for anything here: there is none */
    ASK_SUMMARY,
    ASK_REPLAYABLE,
    ASK_ISSUES,
    ASK_REPLAY
};

struct query {
    enum asked what;
    sl_str endpoint;
    struct store_about made;
    uint64_t id, after, before;
    uint32_t limit;
    uint8_t priority;
    bool waiting;
    struct store_filter filter;
    struct store_backfill backfill;
    uint64_t next;
    struct rec_ref *refs;
    size_t n;
    struct store_delivery *rows;
    struct store_body *bodies;
    sl_str body, request, token, json, *subjects;
    uint64_t *nums;
    struct store_state *states;
    struct store_due *dues;
    struct store_deadline *deadlines;
    size_t n_deadlines;
    struct store_came *came;
    int64_t horizon_ms;
    sl_str *about;
    size_t n_about;
    struct store_event event;
    void *ctx;
    union {
        void (*claim)(void *ctx, int status, const struct store_delivery *d, size_t n);
        void (*delivery)(void *ctx, int status, const struct store_delivery *d, sl_str body,
                         sl_str request);
        void (*bodies)(void *ctx, int status, const struct store_body *b, size_t n);
        void (*event)(void *ctx, int status, const struct store_event *e);
        void (*nums)(void *ctx, int status, const uint64_t *nums, size_t n);
        void (*links)(void *ctx, int status, const sl_str *subjects, size_t n);
        void (*batch)(void *ctx, int status, sl_str token, const uint64_t *nums, size_t n);
        void (*report)(void *ctx, int status, sl_str json);
        void (*due)(void *ctx, int status, const struct store_due *d, size_t n, int64_t horizon_ms);
        void (*deadlines)(void *ctx, int status, const struct store_deadline *d, size_t n);
        void (*ends)(void *ctx, int status, const struct store_ends *e);
        void (*came)(void *ctx, int status, const struct store_came *c, size_t n);
        void (*states)(void *ctx, int status, const struct store_state *states, size_t n);
        void (*backfill)(void *ctx, int status, const uint64_t *ids, size_t n, uint64_t next);
        void (*privacies)(void *ctx, int status, const struct store_privacy *p, size_t n);
    } cb;
};

struct store {
    struct world *w;
    struct store_plan plan;
    store_seen *seen;
    void *seen_ctx;
    struct rng rng;
    struct tables t;
    struct known *keys;
    struct list appends, queries;                 /* struct job, under way */
    int64_t commit_at, cb_at, answer_at, told_at; /* of the newest of each: they keep their order */
    uint64_t commits, crash_at;
    bool stopped, closing, faults;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

static inline void *room(struct store *s, size_t n)
{
    return arena_alloc(&s->t.arena, n);
}

/** A question, under way at once; NULL: refused. The caller fills in the rest. */
struct query *query_new(struct store *s, enum asked what, void *ctx);
/** From the tables as they are now. @return 0, or UV_E* */
int query_answer(struct store *s, struct query *q);
/* store_replay.c */
void answer_select(struct store *s, struct query *q);
void answer_backfill(struct store *s, struct query *q);
void answer_replayable(struct store *s, struct query *q);
void answer_issues(struct store *s, struct query *q);
void answer_replay(struct store *s, struct query *q);
/** Call back who asked; `status` as query_answer() gave it, or why there is no answer. */
void query_tell(struct query *q, int status);
