/*
 * remote_budget.h - a remote that lets pass what its own bucket and its own quota bear, whoever
 * asks: it counts what arrives, refuses the rest with a Retry-After, and tells in its answers what
 * is left, as the platforms do. A second client may use it, too.
 *
 * What an adapter's HTTP calls do to the lane is done here as core/host/host.c does it.
 *
 * Levels are in millionths of a token, so that nothing is lost between two milliseconds.
 */
#pragma once

#include "base/rng.h"
#include "flow/flow.h"

struct call;
struct remote;
struct sim;

enum allow_kind {
    ALLOW_ALL,      /* no bucket */
    ALLOW_SILENT,   /* nothing is told but the refusal */
    ALLOW_REQUESTS, /* X-RateLimit-* */
    ALLOW_LEAKY,    /* slots, as Shopify's REST tells them */
    ALLOW_POINTS,   /* points, told when the answer is written */
};

/** Another client of the same account. Refused, it tries again as soon as it can. */
struct other_client {
    bool on, even; /* even: of one pace, from the start on */
    struct rng rng;
    int64_t next_ms;  /* its next call ... */
    int64_t every_ms; /* ... and how far they are apart; 0: it pauses */
    int64_t until_ms; /* of this pace */
    int64_t burst;    /* calls that it still makes at once */
};

struct allowance {
    bool on;
    enum allow_kind kind;
    int64_t rate_milli;  /* thousandths of a token a second */
    int64_t size, level; /* millionths, at ... */
    int64_t at_ms;
    uint32_t cost;                       /* tokens of a delivery, at most */
    int64_t quota, quota_ms, quota_used; /* calls in windows of the wall clock; 0: none */
    int64_t quota_ends;                  /* wall clock */
    bool quota_as_requests;              /* told as X-RateLimit-* */
    bool quota_untold;                   /* nobody hears of it but in a contract */
    int64_t way_ms, spread_ms;           /* from us to there, and so much more at most */
    int64_t more_ms;                     /* Retry-After is too long by so much, at most */
    struct other_client other;
    /* books of it, for the checks; both sums only grow */
    int64_t taken,
        taken_calls; /* what others took, or nobody here can know of: millionths; calls */
    int64_t known, known_calls; /* ... until the newest answer that was heard */
    int64_t newest_ms;          /* when the call of that answer left */
    struct {
        int64_t at_ms, cost; /* millionths */
    } past[64];              /* departures */
    uint64_t n_past;
    int64_t once, before; /* `known` some seconds ago: see check_budgets() */
    int64_t turned_ms;
    bool heard;                 /* one was, in this life of the process ... */
    int64_t heard_ms;           /* ... and the first one then */
    int64_t critical_ms;        /* the newest moment at which critical work was about */
    int64_t used;               /* millionths, by all */
    int64_t busy_ms, busy_used; /* at the last look, when work was waiting; 0: it was not */
    int64_t busy_level;         /* millionths, then */
    int64_t full;               /* ... of the first such look, beyond what may lie */
    int64_t lost;               /* ... that it had less of when it came to wait again */
    int64_t came, went;         /* millionths, while it was */
    int64_t idle_ms;            /* since when nothing comes, and could */
    unsigned entered, refused;
};

/** What a call has to do with it. */
struct allow_call {
    struct lane *lane; /* NULL: it has gone from the configuration */
    struct lane_ticket ticket;
    uint32_t cost;
    bool left, refused, critical, heard;
    int64_t left_ms;
    int64_t known, known_calls; /* when it left */
    int64_t close;              /* millionths that may count in the newest answer, or not */
    int64_t taken, taken_calls; /* when its figures were written */
    int64_t tokens, calls;      /* that were left then; calls: -1: no quota */
    int64_t ends_ms;            /* of the quota's window, from then */
    int64_t ms;                 /* that the remote is at it */
};

/** A process begins. */
void allow_begin(struct remote *r);
/** A batch is on its way to a remote that counts. False: this one does not. */
bool allow_send(struct call *c, int64_t ms);
/** The same of a question. */
bool allow_ask(struct call *c, int64_t ms);
/** Its answer is here. @param told  and it was understood */
void allow_heard(struct call *c, bool told);
/** sl_plugin.cost */
uint32_t allow_cost(void *self, void *handle, const sl_record *rec);

/* ---- the plan of it: --budget ---- */

void plan_budget(struct sim *s);

/* ---- check_budget.c ---- */

void check_blocked(struct remote *r); /* a process begins: what holds from before */
/** It was heard: nothing comes for so long. */
void check_quiet_from(struct remote *r, int64_t after_ms);
void check_refusal(const struct call *c); /* the remote has just refused it */
void check_reserve(const struct call *c); /* the remote has just let it in */
void check_budgets(struct sim *s);        /* once a second */
void check_budgets_end(struct sim *s);
void allow_go_on(struct allowance *a); /* to this moment */
/** What left so shortly after that one that it may have been let in before it. */
int64_t allow_close(const struct allowance *a, int64_t left_ms);
int64_t allow_quota_left(const struct allowance *a);
