/*
 * sim.h - one seed: the flow, unchanged, between a simulated store, remotes that misbehave by plan,
 * people who decide, and crashes; and books of what the remotes saw, which the properties are
 * checked against.
 */
#pragma once

#include "base/mem.h"
#include "flow/state.h"
#include "remote_budget.h"
#include "store_sim.h"
#include "world.h"

enum { SHOP, CRM, SUPPLIER, DESK, ENDPOINTS };            /* the first one only sends webhooks */
enum { ACT_SEND, ACT_SAFE, ACT_BULK, ACT_ONCE, ACTIONS }; /* plain, idempotent, 10 at once, once */
enum { ACT_CANCEL = ACTIONS };                            /* a group's alone */

#define MAX_ROUTES     9
#define ISOLATION_MOST 6000 /* waits that are noted */
#define MEMBERS        3    /* of a group, at most: all that take deliveries */
#define WIDE           1000 /* a window that has room for all deliveries */
/** From choosing a delivery to its `sent` record lie a question, a request and an append; what was
 *  chosen before something changed leaves within so many ms after. */
#define SLACK_MS 1000
#define AFTER_MS 10000 /* from the last webhook to the end of the faults */
#define EPOCHS   32

/** What a remote does with a record, or with the whole call. */
enum deed {
    DEED_WELL,
    DEED_RETRY,    /* 5xx, not done */
    DEED_THROTTLE, /* 429, with Retry-After or without */
    DEED_REJECT,   /* 4xx */
    DEED_REVIEW,   /* a person is to look */
    DEED_LOST,     /* done, but the answer is lost */
    DEED_CUT,      /* not done, and nothing understood came back */
    DEED_PARK,     /* the whole call: no credentials, no quota */
    DEED__COUNT
};

/** What the remotes know of a delivery. */
struct book {
    UT_hash_handle hh;
    uint64_t num;
    unsigned arrivals, applied;
    unsigned applied_at, pending_at; /* bit by remote: it has it; it is at it */
    unsigned cancelled_at;           /* bit by remote: it is found there still, as cancelled */
    unsigned last_at;                /* the remote that got it last */
    bool with_remote;                /* a call that has it is open */
    bool leave;            /* since the last arrival somebody said that it may be sent again */
    bool human;            /* a person decided what became of an unknown outcome */
    bool unfollowed;       /* it arrived while its route was gone: no deadline begins */
    bool key_may_change;   /* it was rejected */
    bool bytes_may_change; /* it moved to another endpoint, and perhaps back */
    bool idempotent;
    bool filled;      /* its payload is what a clerk filled in */
    uint64_t job;     /* the replay that sent it again last */
    bool sent_again;  /* by a replay of dead letters: somebody wanted just that */
    unsigned granted; /* an attempt that a replay gave it, beyond what its policy says */
    char key[40];
    uint64_t request;
    uint32_t attempt, refused_attempt; /* the newest; the one that was refused for pace, in ... */
    uint64_t refused_life;             /* ... which life of the process; 0: none */
    unsigned narrow, narrow_at;        /* batches.c: what it was told, by which remote, in ... */
    uint64_t narrow_life;              /* ... which life of the process; 0: never */
};

enum call_kind { CALL_PREPARE, CALL_DELIVER, CALL_RESUME, CALL_CONFIRM, CALL_CANCEL, CALL_LOOKUP };

/** The flow called, and waits for the answer. Of the world's memory: it outlives the process. */
struct call {
    struct list node; /* remote.calls */
    struct remote *remote;
    enum call_kind kind;
    bool over; /* answered, or the process that asked is gone */
    bool probe, after_park;
    int64_t probe_ms; /* since when it is one */
    bool not_sent;    /* what is retried never left */
    const sl_done *done;
    sl_confirm_cb confirmed;
    sl_prepare_cb prepared;
    sl_lookup_cb looked_up;
    char body[64]; /* LOOKUP: of the event, as it would be sent */
    void *ctx;
    size_t n;
    struct book *books[10];
    enum deed deeds[10];
    char parents[10]; /* '\0': none */
    bool narrow;      /* a batch of narrow ones */
    int64_t after_ms;
    char key[40];
    struct allow_call paid;
};

struct remote {
    struct sim *sim;
    unsigned index;
    const struct conf_endpoint *conf; /* as configured now, or as it was when it was removed */
    struct adapter *adapter;          /* of this process; NULL: none */
    bool removed;                     /* from the configuration */
    struct rng rng;
    struct list calls;
    unsigned at_once;            /* batches and questions open */
    unsigned deeds[DEED__COUNT]; /* per mille */
    int64_t slow_ms;
    bool hangs;                    /* it takes everything and answers nothing for a minute */
    int64_t dead_from, dead_until; /* nobody is there; some of what is sent arrives all the same */
    unsigned vague;                /* per mille of questions: too early, or cannot tell */
    bool emits, links;
    unsigned parents;      /* batches.c: it locks one of so many with each record; 0: it does not */
    unsigned narrow;       /* per mille of what it wants again: in a narrow batch */
    char parent[2];        /* what the adapter said last */
    int64_t parent_ms[26]; /* when a batch with each was seen last */
    struct allowance allow; /* what it lets pass */
    /* kept by the checks, since the process began */
    int64_t tokens, tokens_ms; /* millionths */
    uint32_t slots;            /* that it may have had until then */
    int64_t slots_until;
    int64_t refused_ms, refused_until;
    int64_t parked_ms, parked_until;
    unsigned after_park;
    int64_t opened_ms; /* the breaker; 0: closed */
    unsigned overtaken[PRIORITY__COUNT];
};

enum end_kind { END_NONE, END_CRASH, END_DRAIN };

/** A person's pause of an endpoint or a route, as it holds. */
struct stop {
    bool on, drain;
    int64_t ended_ms;
};

struct sim {
    struct world w;
    struct store *store;
    const struct tables *t;
    struct flow *flow; /* NULL: no process */
    struct arena arena;
    struct config config;
    struct conf_endpoint endpoints[ENDPOINTS];
    struct conf_route routes[MAX_ROUTES];
    struct conf_target targets[MAX_ROUTES];
    struct conf_target fallbacks[MAX_ROUTES];
    struct conf_hold holds[MAX_ROUTES], joins[MAX_ROUTES];
    struct conf_hold filled[MAX_ROUTES]; /* fill.c */
    struct conf_deadline deadlines[MAX_ROUTES];
    struct rng waiting; /* of what waits for what */
    int64_t late_ms;    /* a clock is answered within so long */
    struct conf_group group;
    struct conf_member members[MEMBERS];
    struct conf_target parts[MAX_ROUTES][MEMBERS];
    struct conf_target cancels[MEMBERS];
    struct conf_route *after[MAX_ROUTES];
    const struct config *current;     /* `config`, or what a reload made of it */
    struct made_adapter *made;        /* reload.c */
    struct rng stopping;              /* of pauses and reloads */
    struct stop stops[2][MAX_ROUTES]; /* of endpoints and of routes */
    struct rng filling;               /* fill.c */
    unsigned fills, filled_in;        /* still to come; done */
    bool json;                        /* payloads are JSON */
    struct rng replaying;             /* replay.c */
    unsigned replays;                 /* still to come ... */
    struct rng moment;                /* moment.c */
    unsigned moments, more;           /* still to come; webhooks that came so */
    bool replays_last;                /* ... and once more, when all is at rest */
    bool in_doubt;                    /* replay_plan_doubt() */
    int64_t news_ms;                  /* since then refusals are of a new kind; 0: of none */
    struct job *jobs;                 /* check_replay.c */
    unsigned pauses, reloads;         /* still to come */
    unsigned epoch;                   /* of the configuration: one more with each reload */
    uint32_t with_endpoints[EPOCHS];  /* bit by endpoint */
    uint32_t with_routes[EPOCHS];     /* bit by route, in each of them */
    int64_t epoch_ms[EPOCHS];         /* since when */
    struct remote remotes[ENDPOINTS];
    struct book *books;
    struct rng rng;
    int64_t life_ms; /* when the process began */
    bool healed;     /* no more faults */
    bool ended;      /* drained */
    bool budgets;    /* plan_budget(): what is not critical comes at once */
    unsigned coming; /* webhooks still to come ... */
    unsigned subjects;
    int64_t span_ms;             /* ... within this time */
    unsigned crashes, decisions; /* still to come */
    enum end_kind end;           /* the process is to end */
    uint64_t nonce, turns;
    uint64_t *acked;
    size_t n_acked;
    uint32_t *waits; /* ms from webhook to remote, of those that do not hang; NULL: not noted */
    size_t n_waits;
    /* for the summary */
    uint64_t arrivals, confirms, deaths;
};

/* plan.c: everything by the seed */
void plan_make(struct sim *s);
void plan_finish(struct sim *s);
/** Windows that are too small for what cannot go. */
void plan_crowd(struct sim *s);
/** Three remotes of one pace, as many webhooks for each; one of them hangs, or none. */
void plan_isolation(struct sim *s);
void plan_isolation_dead(struct sim *s);

/* remote.c */
extern const sl_plugin sim_plugin;
struct book *book_of(struct sim *s, uint64_t num);
/** The process is gone: nobody hears an answer. What the remote was at goes on. */
void remote_forget(struct remote *r);

bool remote_is_dead(const struct remote *r);
/** It does with the records what it does; the answers of batches and of questions. */
void remote_acts(struct call *c, int64_t ms);
void remote_answers(void *call);
void remote_says(void *call);

/* stand_in.c */
extern const char sim_cancels; /* the handle of a cancel */
void plan_stand_ins(struct sim *s);
void stand_in_answer(struct call *c); /* of a cancel */
void check_stand_ins(struct sim *s);  /* at the end: what stands in for what did not arrive */
/** How many of the route's deliveries of the event stand in for another of it. */
unsigned check_fell(struct sim *s, const struct event_row *e, const struct conf_route *route);

/* batches.c: parents, and narrow batches */
void plan_batches(struct sim *s);
sl_str sim_parent_key(void *self, void *handle, sl_str body);
void sim_batching(uint32_t action, const void *handle, sl_batching *ret);
uint32_t batches_narrow(struct remote *r, struct book *k);
void check_batch(struct call *c, const sl_batch *b); /* it comes, or goes on */
void check_batch_over(const struct call *c);
void check_batch_moved(struct sim *s, bool by_remote, const struct rec_move *m);
bool check_batch_waits(const struct remote *r, const struct row *row, int64_t *since);

/* stop.c, reload.c: what is to come; and after the faults, all as it was: false: not yet */
void stop_plan(struct sim *s);
void stop_begin(struct sim *s); /* a process begins */
bool stop_settled(struct sim *s);
void reload_plan(struct sim *s);
bool reload_settled(struct sim *s);
/** New ones for a process that begins, by the endpoints of the configuration. */
void reload_adapters(struct sim *s, struct adapter *out[ENDPOINTS]);
void reload_closed(struct sim *s); /* the process is gone */

/* replay.c: dead letters are sent again, old events are given to routes */
void replay_plan(struct sim *s);
void replay_plan_doubt(struct sim *s);
bool replay_is_news(const struct sim *s); /* remotes refuse much, and for a new reason */
bool replay_settled(struct sim *s);       /* when nothing else is left to do: false: now there is */

/* moment.c: at the worst moment */
void moment_plan(struct sim *s);
void moment_done(struct sim *s, const struct rec_move *m); /* it is in the tables */
void moment_sent(struct sim *s, const struct row *r);

/* fill.c: clerks fill in what a held payload lacks */
void fill_plan(struct sim *s);
void fill_begin(struct sim *s);
bool fill_decided(sl_str who);
void check_filled(struct sim *s, sl_str who, const struct rec_move *m); /* it is in the tables */

/* check.c: each says world_fail() */
void check_begin(struct remote *r); /* a process begins */
void check_call(struct call *c, const sl_batch *b);
void check_question(struct call *c);
void check_call_over(struct call *c);
void check_effect(struct sim *s, const struct book *k); /* a remote has it now */
void check_told(struct call *c);                        /* right before the answer goes out */
void check_notice(void *sim, const struct notice *n);
void check_record(void *sim, uint64_t seq, enum record_type type, sl_str payload);
bool check_quiet(const struct sim *s, char *why, size_t len); /* nothing is left to do */
void check_clocks(struct sim *s); /* of what is held, and of deadlines: nothing is overdue */
void check_end(struct sim *s);
void check_say_open(struct sim *s);

void check_refill(struct remote *r); /* its tokens are those of now */

/* check_budget.c; the rest in remote_budget.h */
void check_burnt(struct call *c, struct book *k, uint32_t attempt); /* it is sent */
void check_spared(const struct call *c, struct book *k);            /* it was refused */

/* check_stop.c */
/** A delivery is sent, or (`sent` is NULL) asked for. */
void check_stopped(struct call *c, const struct row *row, const struct batch_row *sent);
bool check_is_stopped(const struct sim *s, const struct row *row, int64_t *since);
void check_reloaded(struct remote *r, const struct conf_endpoint *e); /* NULL: removed */
void check_made(const struct sim *s, const struct event_row *e, const struct conf_route *route,
                unsigned *least, unsigned *most);
/** Were route and endpoint of the delivery in the configuration as the event came and was routed?
 */
bool check_was_there(const struct sim *s, const struct event_row *e, const struct row *r);
void check_unfollowed(struct sim *s, const struct rec_move *m);
void check_epoch(struct sim *s, uint64_t seq, enum record_type type, sl_str payload);

/* check_hold.c */
void check_released(struct sim *s, sl_str who, const struct rec_move *m); /* by an event */

/* check_replay.c */
void check_replay(struct sim *s, enum record_type type, sl_str payload);
void check_replay_move(struct sim *s, uint64_t job, uint64_t num); /* a job's decision */
void check_replays(struct sim *s);                                 /* at the end */
bool check_replays_quiet(const struct sim *s, char *why, size_t len);

/* check_order.c */
void check_turn(struct sim *s, const sl_batch *b, const struct row *row); /* as it is sent */
void check_versions(struct sim *s);                                       /* at the end */
/** Does another go before it? Else, `since` is when the last of them was out of the way. */
bool check_is_behind(const struct sim *s, const struct row *r, int64_t *since);
const struct row *check_stuck(const struct sim *s); /* live, and nobody would ever say more of it */

/* check_amend.c */
void check_amended(struct sim *s); /* at the end */

/* sim.c */
void sim_comes(struct sim *s, const struct event_row *like, int64_t in_ms);
void sim_run(struct sim *s, uint64_t seed, bool trace);
void sim_run_plan(struct sim *s, uint64_t seed, bool trace, void (*plan)(struct sim *s));
/** How much the p99 of the others grows when one remote hangs, in percent; a failure in `s`. */
double sim_isolation(struct sim *s, uint64_t seed);
