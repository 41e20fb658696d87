/*
 * state.h - the flow's own structures, shared by the files of this room and nobody else.
 */
#pragma once

#include <uthash.h>
#include "base/heap.h"
#include "base/list.h"
#include "base/log.h"
#include "flow/breaker.h"
#include "flow/bucket.h"
#include "flow/budget.h"
#include "flow/delivery.h"
#include "flow/flow.h"
#include "flow/quota.h"

/* ---- chains: order per (route, subject, piece) ---- */

/** Live deliveries of one route, subject and piece, by rising num. Only the first may leave. */
struct chain {
    uint8_t key[16];
    struct list members;
    uint64_t dead;         /* on_dead: block - the oldest dead letter of it; 0: none */
    struct behind *behind; /* own: what of it is in the index alone; NULL: nothing that is known */
    UT_hash_handle hh;
};

/* ---- lanes ---- */

/** Ready deliveries of one target and priority that may leave: they can share a batch. */
struct pile {
    const struct conf_route *route;
    const struct conf_target *target;
    const struct pause *pause; /* of its route, by a person; NULL: none */
    struct lane *lane;
    struct list node; /* in lane->piles */
    uint8_t priority;
    struct list ready; /* struct delivery.pile_node */
    size_t n;
    uint64_t bytes;
    uint32_t narrow; /* theirs; a batch has no more. 0: it is not for narrow ones */
    uint32_t max_records;
    uint64_t max_bytes;
    uint64_t age_ms;        /* how long a batch gathers ... */
    uint32_t quick_records; /* ... of more than so many; 0: of any */
    uint64_t quick_ms;      /* and of no more */
    uint32_t cost;          /* tokens: what the batch before took */
};

struct nums {
    uint64_t *at;
    size_t n, cap;
};

/** What is known of one priority's deliveries beyond the window in memory. */
struct window {
    uint64_t last;     /* up to here all that is live is in memory, or was */
    uint64_t skipped;  /* deliveries left to the index, in all */
    size_t n;          /* in memory and counted: held ones are not, nor those set aside */
    size_t aside;      /* in memory: ready, and cannot go before another one has: see sift.c */
    uint64_t out_from; /* sift.c: from here on some were left out; 0: none */
    bool crowded;      /* sift.c: at its last look */
    bool spilled;      /* the index has more */
    bool claiming;
    bool read;                /* the first claim was answered */
    struct nums gone, missed; /* while claiming: see window.c */
};

struct lane {
    struct flow *flow;
    char *name;              /* own; "": of those without an endpoint */
    struct adapter *adapter; /* NULL: it has none, or its endpoint was removed */
    const struct conf_endpoint *conf;
    const struct config *config; /* share: what `conf` is of */
    const struct pause *pause;   /* of its endpoint, by a person; NULL: none */
    bool removed;                /* its endpoint is gone from the configuration: see reload.c */
    unsigned unread;             /* windows whose first claim is not answered: nothing leaves yet */
    struct logger log;
    struct bucket bucket;
    uint64_t rate_milli;      /* as configured when the bucket was made; the remote may have ... */
    uint32_t burst;           /* ... said otherwise since */
    struct quota day, window; /* calls: by contract, and as the remote's headers say */
    struct breaker breaker;   /* of the endpoint; with those of actions only by hand */
    struct breaker *actions;  /* own: one for each action of the plugin; NULL: not per action */
    struct budget budget;     /* of retries */
    struct list piles;
    struct parent *parents; /* parents.c: hash by key; of batches in flight, or kept ... */
    size_t parents_kept;    /* ... so many */
    size_t parents_waiting[PRIORITY__COUNT]; /* deliveries that wait for one */
    bool narrow_out;                         /* a batch of narrow ones is in flight */
    struct window windows[PRIORITY__COUNT];
    uint32_t credits[PRIORITY__COUNT]; /* weighted round: what is left of this round */
    struct heap waiting, asking;       /* WAITING and UNKNOWN, by next_ms */
    uv_timer_t timer;
    bool pumping, pump_again;
    uint32_t under_way;      /* batches and confirms ... */
    uint32_t critical;       /* ... of these for what is critical */
    uint32_t promised;       /* tokens that some of them will take when they leave, and ... */
    uint32_t leaving;        /* ... how many these are */
    struct list paced;       /* batches that wait for theirs, their `sent` record durable */
    struct list calling;     /* struct lane_call: these wait for theirs */
    uint64_t prepaid;        /* HTTP calls that batches under way took tokens for ... */
    uint64_t prepaid_tokens; /* ... and how many */
    uint64_t question;       /* the one that a token stays for; 0: none waits ... */
    uint64_t question_until; /* ... or it did not come again */
    uint64_t question_next;  /* others that wait come again no sooner */
    bool question_last;      /* the last token went to one: it is a batch's turn */
    uint64_t quickest_ms;    /* the shortest time from a call to its answer; 0: none yet */
    uint64_t day_told, window_told; /* calls until the one whose answer spoke of it last */
    bool quota_spent;               /* the day's: said and written down */
    int64_t marked_full;   /* wall clock: by then the bucket is full again, as written down */
    int64_t marked_used;   /* of the day's quota until ... */
    int64_t marked_reset;  /* ... then, as written down */
    bool has_critical;     /* a route sends critical work here: some room is kept for it */
    bool critical_waits;   /* such work is ripe: at the pump's last look */
    bool parked;           /* one batch at a time goes as a probe after parked_until */
    uint64_t parked_until; /* monotonic */
    char park_why[240];
    char trip_who[40], trip_why[160]; /* the breaker was opened by hand */
    int64_t tripped_ms;               /* wall clock */
    char *kept;                       /* own: what is written of its state; NULL: nothing */
    struct list batches;
    struct list confirming;          /* struct confirm: questions under way */
    uint64_t counts[DS__COUNT];      /* in memory, by state */
    uint32_t outs;                   /* groups that it is a member of, and out */
    uint64_t moved_away, moved_here; /* to and from other members, since start */
    uint64_t kept_bytes;             /* bodies of its deliveries that wait in memory */
    struct walk *walk;               /* failover.c: what waits for it is moving; NULL: it is not */
    uint64_t outside; /* about how many wait in the index alone; counted at the start */
    uint64_t delivered, dead, retries, throttled, unknowns, confirms, attempts, calls;
    uint64_t retries_delayed; /* by the budget */
    uint64_t lag_ms_buckets[16], lag_ms_sum;
    uint64_t bad_signatures;
    struct signed_by signed_by[SL_VERIFY_MAX_SECRETS]; /* by each secret, in their order */
    size_t n_secrets;                                  /* as the last webhook's head said */
};

/* ---- batches ---- */

enum batch_state {
    BATCH_LOADING,   /* bodies come from the store */
    BATCH_PREPARING, /* the adapter freezes requests */
    BATCH_SENDING,   /* the `sent` record is on its way to the disk */
    BATCH_PACED,     /* durable; waits for its token */
    BATCH_OUT,       /* with the adapter */
    BATCH_SETTLING,  /* outcomes are on their way to the disk */
    BATCH__COUNT
};

struct batch_item {
    struct batch *batch;
    struct delivery *d;    /* NULL: no longer of this batch */
    struct parent *parent; /* that it claims; NULL: none */
    bool back;             /* it is to be put back */
    bool narrow;           /* its outcome asks for a narrow batch */
    bool awaited;          /* its body or its request */
    bool told;             /* the adapter gave an outcome */
    bool freeze;           /* its request was made for this batch: goes into the `sent` record */
    char key[40];
    struct rec_move move; /* what will be written; its reason and reference are owned */
    uint32_t kind;        /* SL_* of the outcome, for the counters */
};

/** What an outcome brings beside its move: events to emit, links to write, facts. Owned copies. */
struct extras {
    struct rec_receipt *emits; /* strings owned */
    size_t n_emits;
    struct rec_link *links; /* strings owned */
    size_t n_links;
    struct rec_state_item *facts; /* strings owned */
    size_t n_facts;
};

struct batch {
    struct list node;       /* lane->batches */
    struct list paced_node; /* lane->paced */
    struct lane *lane;
    struct adapter *adapter;     /* share: the one that it began with */
    const struct config *config; /* share: what `route` and `target` are of */
    const struct conf_route *route;
    const struct conf_target *target;
    enum batch_state state;
    uint64_t id; /* of its `sent` record; 0 before */
    struct batch_item *items;
    size_t n;
    size_t pending;      /* bodies or requests awaited */
    uint64_t started_ms; /* monotonic, when it went out */
    int64_t started_wall_ms;
    struct breaker *breaker; /* of its lane */
    uint64_t breaker_trips;  /* ... and its trips when it was allowed */
    bool probe;              /* it went out to see whether a parked lane works again */
    bool narrow;             /* of narrow ones: the only one of its lane */
    uint8_t priority;
    uint32_t overtaken; /* while it was paced, by more urgent ones */
    uint32_t cost;      /* tokens */
    bool promised;      /* its cost counts in lane.promised */
    bool unsent;        /* put back before the adapter ever saw it */
    bool parks;         /* the adapter parks the lane */
    char park_why[240];
    int64_t park_ms;
    char *token; /* resumed from this checkpoint; own */
    size_t token_len;
    bool resumed;
    sl_record *records;
    sl_str *choices; /* own: see sl_batch; NULL: nobody chose anything */
    sl_batch sl;
    sl_done done;
    struct extras extras;
    uint32_t checkpoints;  /* under way, or being told: finish() waits for them */
    sl_durable_cb settled; /* the adapter's, once the outcomes are durable; NULL: it does not ask */
    void *settled_ctx;
    bool finished;
};

/* ---- the router ---- */

/** An event on its way through the router: views into its receipt's bytes, which it owns. */
struct event {
    uint64_t id;
    int64_t received_ms;
    uint8_t origin;
    uint64_t cause;
    sl_str endpoint, topic, sender_id, subject;
    sl_str headers; /* packed: rec_headers_decode() */
    sl_str body;
    char *bytes;
    size_t held_bytes;      /* of memory */
    uint32_t first_ordinal; /* of its next delivery */
    char *only;             /* remap: the name of this route alone, own; NULL: all that match */
    bool again;             /* remap: no event key, no once */
    bool anyway;            /* `only` gets it though it does not take such events by itself */
    bool waited;            /* it is already stored as waiting for a link */
};

struct router {
    struct flow *flow;
    struct logger log;
    struct list queue; /* struct routing: not started */
    struct list ready; /* struct routing: `done` is to be called */
    size_t queued;
    uint64_t queued_bytes;
    size_t under_way;
    uv_idle_t idle;             /* runs while there is something to do: a share of each turn */
    uint64_t requests_then;     /* at intake, at the last turn: have more come since? */
    struct list claims;         /* struct event_claim: what is read from the store */
    struct list after;          /* struct routing: came while older ones were being read */
    struct routing *by_subject; /* hash: the one in flight for a subject */
    uint64_t last;              /* highest event id seen */
    uint64_t begun;             /* highest id of any event before this process */
    bool spilled, claiming;
    bool resting; /* there was no memory: nothing begins for a while */
    uint64_t skipped;
    struct waiting_ref *waiting;          /* hash by reference */
    struct waiting_event *waiting_events; /* hash by id */
    struct begun_here *begun_here;        /* links.c: hash by id; kept only ... */
    bool looking;                         /* ... while events are looked for that waited before */
    struct route_state *routes;           /* one per config->routes[i] */
};

/** What the router keeps for a route: its composed program and its run of equal errors. */
struct route_state {
    struct map_program *program; /* NULL: the body goes as it is */
    struct map_program *keys;    /* of its `with`; NULL: it has none */
    uint32_t errors_in_row;
    char last_error[160];
    bool paused;
};

/** The one clock of all that waits for a time: see due.h. */
struct due {
    struct heap heap; /* struct due_item */
    struct due_item *items;
    uv_timer_t timer;
    int64_t
        horizon_ms; /* up to here the heap has all that the store has; INT64_MAX: all there is */
    bool reading, missed; /* missed: what came while it was read did not fit; read it again */
    size_t again;         /* of the heap: those that are looked at again later than their time */
    size_t firing;        /* questions and decisions under way */
};

struct flow {
    uv_loop_t *loop;
    struct store *store;
    struct mapper *mapper;
    const struct config *config;
    struct flow_watch watch;
    struct in_hand *in_hand;
    struct rng rng;
    struct logger log;
    struct lane **lanes; /* one per endpoint, in the order of the configuration; own */
    size_t n_lanes;
    struct group **groups; /* one per group, in the order of the configuration; own */
    size_t n_groups;
    size_t n_all_groups; /* ... and those that are no longer configured behind them */
    uv_timer_t group_timer;
    size_t n_all_lanes;  /* ... and those of removed endpoints behind them */
    struct lane nowhere; /* deliveries without an endpoint: held by a route's choice, orphaned */
    struct delivery *deliveries; /* hash by num: every live one in memory */
    struct chain *chains;
    struct gate *gates;             /* gate.c: hash by key */
    struct dead_chain *dead_chains; /* dead.c: hash by key */
    struct latest *latests;         /* latest.c: hash by key */
    struct passed *passed;          /* overtake.c: what went past its gate, hash by key */
    uint64_t newest_made; /* latest.c: the highest num made, of routes that ask for the newest */
    uint64_t first_seq;   /* of this process: what came to it has a higher one; 0: none yet */
    struct list latest_used;
    size_t latest_asked;     /* questions under way about what is the newest ... */
    struct nums latest_fell; /* ... and what died since the first of them was asked */
    struct nums dead_taken;
    size_t dead_loading;
    struct router router;
    struct flow_stats stats;
    struct key_ring *rings;  /* intake.c: keyed HMACs by secret */
    unsigned progress_asked; /* progress.c: questions under way */
    size_t serving;          /* questions that adapters answer */
    int64_t refused_noticed_ms, malformed_noticed_ms;
    uint64_t arriving_bytes; /* memory of webhooks whose body is not whole yet */
    bool draining;
    void (*idle)(void *ctx);
    void *idle_ctx;
    uv_timer_t drain_timer;
    size_t recovering; /* steps of the start's recovery under way */
    bool recovered;
    size_t unread; /* first claims of windows not answered, and what dead.c and health.c read */
    bool started;  /* none is: lanes may send. Before, a chain could miss its first */

    /* windows that are full of what cannot go: behind.c, sift.c */
    size_t n_behind;      /* chains that have something in the index alone ... */
    size_t behind_asking; /* ... and are asking for it */
    size_t aside;         /* set aside, in all windows */
    bool beyond;          /* some came to memory before their windows had been read so far */
    bool sifting, look;   /* a look at crowded windows, at what was left out, is due */
    uint64_t sift_ms;     /* from one of the former to the next; 0: nothing is crowded */
    uint64_t looked_ms;   /* monotonic: when the latter began */

    struct left_batch *left;  /* recover.c: batches that were out when the process ended */
    struct list earlier;      /* struct delivery: earlier.c */
    size_t gone_unread;       /* recover.c: reads of what waits for endpoints that are gone ... */
    struct nums gone_moved;   /* ... and what was decided upon since the first of them */
    uint64_t mixed;           /* what is before this num may have another priority than its route */
    size_t earlier_asked;     /* questions under way */
    struct list laters;       /* later.c */
    struct list remaps;       /* remap.c ... */
    bool remaps_begin;        /* ... some are being begun */
    struct list replays;      /* replay.c */
    bool replays_read;        /* those of before are among them */
    bool lowered;             /* one in the index alone may have another priority than its route */
    struct choice *deciding;  /* decide.c: hash by num */
    struct list decide_waits; /* decide_wait.c */
    struct privacy *privacy;  /* privacy.c: own */
    struct pause *pauses;     /* pause.c: hash by key */
    uint64_t pauses_said;     /* by people, to this process */
    struct due due;
    struct feed *feeds; /* feed.c: hash by key ... */
    uint64_t feeds_made;
    bool feeds_listen; /* one of them is polled when events come */
    bool feeds_asked;  /* ... what a process before knew of them is being read ... */
    bool feeds_known;  /* ... and was */
    uv_timer_t feed_timer;
    struct reconcile *reconcile; /* reconcile.c: the one that runs, or the last; NULL: none */
    uint64_t reconciles;
    struct lookup *lookups;             /* lookup.c: hash by num */
    struct resolver *resolvers;         /* resolve.c: hash by endpoint */
    struct finds *finds;                /* find.c: own; NULL: nothing was asked for yet */
    struct list withs;                  /* with.c: events that wait for rows ... */
    bool with_sweeps;                   /* ... and are looked at */
    size_t with_retries;                /* held ones that are being mapped again */
    struct taken_deadline *deadlines;   /* deadline.c: hash by num */
    struct hold_program *hold_programs; /* await.c: hash by text */
    size_t handles;                     /* timers of the flow; the last one closed frees it */
    bool closing;                       /* being destroyed: the store is gone */
    size_t appends;                     /* under way with the store */
    uint64_t kept_bytes;                /* bodies of deliveries that wait in memory, of all lanes */
    uint64_t ahead_bytes;               /* fetch.c: of bodies that were read ahead of their time */
    uint64_t fetches;                   /* fetch.c: serial number of the newest */
};

/* flow.c */
void flow_notice(struct flow *f, enum notice_kind kind, const struct lane *lane,
                 const struct delivery *d, const struct conf_route *route, sl_str text);
/** With an owner of its own. */
void flow_notice_to(struct flow *f, enum notice_kind kind, const struct lane *lane,
                    const struct delivery *d, const struct conf_route *route, sl_str owner,
                    sl_str text);
/** It is held: its owner is told, as its detail names him. Nobody is of what waits for an event. */
void hold_notice(struct flow *f, const struct lane *lane, const struct delivery *d,
                 const struct conf_route *route, sl_str type, sl_str detail, sl_str text);
void flow_check_idle(struct flow *f);
/** One of flow.handles is closed; the last one frees the flow. */
void flow_release(struct flow *f);
void flow_on_closed(uv_handle_t *h); /* the same, for a handle whose data is the flow */
struct delivery *flow_delivery(struct flow *f, uint64_t num); /* live and in memory, or NULL */
struct lane *flow_lane(struct flow *f, sl_str endpoint);      /* NULL: no such endpoint */

/** One append with its own memory: fill records with flow_record(), then flow_commit(). */
struct commit {
    struct store_append append;
    struct store_record *records;
    size_t cap;
    void (*cb)(struct flow *f, struct commit *c, int status);
    struct flow *flow;
    void *ctx;
};
struct commit *commit_new(struct flow *f, void (*cb)(struct flow *, struct commit *, int),
                          void *ctx);
/** Add a record; its payload is encoded by the caller into the returned record's payload. */
struct store_record *commit_record(struct commit *c, enum record_type type);
/** Submit as internal. A store that refuses (latched failed, closing) makes the callback run with
 *  the error; it never runs before this returned. Frees the commit after its callback. */
void commit_go(struct commit *c);

/* later.c */
/** Call back once: `ms` from now, or with `closing` when the flow is destroyed before. */
void flow_later(struct flow *f, uint64_t ms, void (*cb)(void *ctx, bool closing), void *ctx);
void laters_close(struct flow *f);

/* lane.c */
void lane_init(struct lane *l, struct flow *f, struct adapter *a);
void lane_finish(struct lane *l);
void lane_add(struct lane *l, struct delivery *d); /* takes it over: chain, pile, timers */
void lane_enter(struct delivery *d, enum delivery_state next); /* counts, legal moves */
/** A delivery's state was changed by a settled move: put it where it belongs, or free it. */
void lane_place(struct delivery *d);
void lane_remove(struct delivery *d); /* out of chain, pile, timers, hash; frees */
void lane_pump(struct lane *l);       /* start what may leave; re-arms the timer */
/** What waits for its token goes back, unburnt: of one route, or all of it (NULL). */
void lane_unsend(struct lane *l, const char *route, const char *why);
void lane_pace(struct batch *b); /* it waits for its token */
void lane_timer_stop(struct delivery *d);
void lane_timer_start(struct delivery *d, struct heap *h);
void lane_pump_soon(struct lane *l); /* at the loop's next turn */
/** Forget a delivery's body and request: they are read again when they are needed. */
void lane_drop_bytes(struct delivery *d);
/* health.c */
void lane_park(struct lane *l, sl_str why, int64_t ms);
void lane_park_on(struct lane *l); /* the probe said nothing: the next one after the usual time */
void lane_unpark(struct lane *l);
void lane_result(struct lane *l, struct breaker *b, uint64_t trips_then, bool good);
/** By its configuration, also another one than before. */
void lane_breakers(struct lane *l);
/** Its adapter is another one, or there is none any more: none of its actions has a breaker. */
void lane_breakers_drop(struct lane *l);
/** The breaker of this target's action, or the endpoint's. NULL: the endpoint's. */
struct breaker *lane_breaker(struct lane *l, const struct conf_target *t);
struct pile *lane_pile(const struct delivery *d); /* made when there is none */
/** What the adapter says of the target's batches. */
sl_batching lane_batching(const struct conf_target *t);
uint64_t pile_since(const struct pile *p);      /* monotonic: since when its oldest could leave */
uint64_t pile_gathers_ms(const struct pile *p); /* how long it waits for more, since then */
/** What was allowed to leave says nothing of the remote's health: its probe is free again. */
void lane_forget(struct breaker *b, uint64_t trips_then);

/* earlier.c: order over several lanes, where not all of it is in memory */
/** Is nothing of its chain before this one, which is the first of it in memory? False: it is being
 *  asked, and pile_add() is called again. */
bool earlier_clear(struct delivery *d);
/** The configuration is another one than what is in the store was made by. */
void earlier_changed(struct flow *f);
void earlier_forget(struct delivery *d); /* it leaves memory */
/** Is all of its chain in one lane's window of one priority? */
bool earlier_in_one_lane(const struct delivery *d);

/** Has the lane closed since this batch was chosen? Why it must not leave; NULL: it may. */
const char *lane_closed_for(const struct batch *b);
/** What outlives the process - park, breaker, what a remote asked for, the day's quota - as JSON;
 *  own, "": nothing, NULL: no memory. And back, into a lane that is as new. */
char *lane_state_save(const struct lane *l);
void lane_state_restore(struct lane *l, sl_str json);
void lane_keep(struct lane *l, sl_str who, sl_str why); /* write it down, if it has changed */
void lane_states_read(struct flow *f);                  /* at the start; no lane starts before */
#define LANE_RESTORED                                                          \
    "open since before the start" /* the notice of a breaker that was restored \
                                   */

/* window.c */
/** Shall this new delivery be kept in memory? No: the window is full, it is found by a claim later.
 */
bool lane_admits(struct lane *l, uint8_t priority, uint64_t num);
/** It is not the index's any more: a claim under way must not bring it back. */
void lane_gone(struct lane *l, uint8_t priority, uint64_t num);
void lane_refill(struct lane *l); /* claim more when a window has room */
void lane_window_finish(struct window *w);
/** It counts in its window by what it is now; and no more. Around each change of its state. */
void window_in(struct delivery *d);
void window_out(struct delivery *d);
/** Ready, and something else goes first: it takes no place in its window; and it does again. */
void window_aside(struct delivery *d, bool aside);
/** Read back from the index: behind another of its chain it is set aside or left there. */
void window_crowds(struct delivery *d);
/** What is beyond this num is read once more: it may be in the index alone. */
void window_look_from(struct lane *l, int priority, uint64_t num);
void windows_look_from(struct flow *f, uint64_t num); /* in all windows that have come so far */

/* sift.c: a window that is full of what cannot go */
void sift_soon(struct flow *f);
/** Does something that was left out wait for this? */
void sift_moved(struct flow *f, const struct conf_route *r);
void sift_look(struct flow *f);           /* what was left out is to be looked at again */
bool sift_idle(const struct delivery *d); /* it is ready, and nobody is at it */

/* batch.c */
void batch_start(struct lane *l, struct delivery **members, size_t n, struct pile *from);
void batch_resume(struct lane *l, uint64_t id, struct delivery **members, size_t n, sl_str token);
void batch_loaded(struct batch_item *it, int status); /* its body is there; or why not */
void batch_settle(struct batch *b);
void batch_go(struct batch *b); /* its token is taken: to the adapter */
/** It waits for a token and shall not get it: back, unburnt. `why`: "the gateway was stopped". */
void batch_unsend(struct batch *b, const char *why);
void batch_free(struct batch *b);

/* batch_done.c */
void batch_listen(struct batch *b); /* sets b->done, by which the adapter speaks */

/* batch_rows.c */
/** Mark those that cannot go in it, to be put back; the others claim their parents. */
void batch_keep_apart(struct batch *b);
/** Put those of one parent side by side, as the remote takes them in chunks. Nothing is frozen. */
void batch_group(struct batch *b);

/* fetch.c */
/** Ask for the bodies that the batch has not got, batch.pending raised by as many; batch_loaded()
 *  follows for each, perhaps at once. What leaves next of its pile is asked for with them. */
void fetch_batch(struct batch *b);
void fetch_over(struct delivery *d); /* its body no longer counts as read ahead */

/* settle.c: from an adapter's answer to durable moves */
/** What its endpoint is to remember; a mistake of the adapter is logged and not kept. */
void extras_facts(struct extras *x, const struct delivery *d, const sl_facts *facts);
void extras_link(struct extras *x, const struct delivery *d, const sl_link *links, size_t n);
/** `reconciled`: a sweep found them, so they are described like webhooks. */
void extras_emit(struct extras *x, const struct delivery *d, const sl_emit *emits, size_t n,
                 bool reconciled);
void extras_free(struct extras *x);
/** Make the move that an outcome means: state, next time, reason. Strings of *ret are owned. */
void settle_outcome(struct delivery *d, const sl_outcome *o, uint32_t attempt, uint32_t latency_ms,
                    struct rec_move *ret);
void move_free(struct rec_move *m);
/** Write moves and extras as one append; when durable, apply them to memory, route what was
 *  emitted, tell the watchers, then call `then` (may be NULL). Takes `moves` and `x` over. */
void settle_write(struct lane *l, uint64_t batch, const char *who, struct rec_move *moves, size_t n,
                  struct extras *x, void (*then)(struct flow *f, int status, void *ctx), void *ctx);

/* decide.c */
/** One of them could not be decided, and later it can: somebody moves it, it could not be read. */
bool flow_decide_busy(const struct deciding *a);
bool decide_under_way(const struct flow *f, uint64_t num); /* a decision about this delivery */

/* confirm.c */
void confirm_start(struct delivery *d);
void confirm_drop_all(struct lane *l); /* at the end: no answer comes any more */

/* recover.c: what was left live by the process before */
void recover_start(struct flow *f);
void recover_finish(struct flow *f);
void recover_step(struct flow *f);      /* one more step of recovery is under way ... */
void recover_step_done(struct flow *f); /* ... and done */
/** A window's claim was answered; when it was the last first one, the lanes start. */
void recover_claimed(struct lane *l, struct window *w);
/** One of flow.unread was read. */
void recover_read(struct flow *f);
/** It was decided upon: what is being read may still have it as it was. */
void recover_moved(struct flow *f, uint64_t num);
/** A live delivery found in the index: into memory, or whatever its state asks for. */
void recover_row(struct flow *f, struct lane *l, const struct store_delivery *row);
/** The route's target at this lane's endpoint; an empty action: the first one. NULL: none. */
const struct conf_target *find_target(const struct conf_route *r, const struct lane *l,
                                      sl_str action);
/** The same; of several the one of this group. Those outside groups come first. */
const struct conf_target *find_group_target(const struct conf_route *r, const struct lane *l,
                                            sl_str action, sl_str group);

/** The move that holds a delivery whose route or target is gone. Strings of *ret are owned. */
void orphan_move(const struct delivery *d, struct rec_move *ret);
/** Are there batches of the lane of which nobody knows yet whether they are resumed? */
bool recover_left_in(const struct lane *l);
/** Hold it so. It is not under way. */
void recover_orphan(struct delivery *d);

/* reload.c */
/** By name, also when its endpoint is no longer in the configuration. NULL: there never was one. */
struct lane *lane_named(struct flow *f, sl_str name);
/** Point it to its route and target of the flow's configuration. False: there is none; then it is
 *  as it was. */
bool delivery_repoint(struct delivery *d);
void delivery_orphan(struct delivery *d); /* it has no route and no target any more */

/* router.c */
/** Programs and states of the routes of another configuration. 0, or UV_ENOMEM: nothing changed. */
int router_change(struct router *r, const struct config *next, struct fail *fail);
int router_open(struct router *r, struct flow *f, struct fail *fail);
void router_close(struct router *r);
/** Takes the event over. NULL: there was no memory for it; a claim finds it later. */
void router_submit(struct router *r, struct event *e);
/** The same for a receipt's encoded bytes: taken over, or left where they are. */
void router_receipt(struct router *r, uint64_t id, struct buf *payload);
/** Turns of the router go on: something may begin. At the loop's next turn, not before. */
void router_wake(struct router *r);
int64_t router_oldest(const struct router *r);   /* received_ms of the first in memory; 0: none */
uint64_t router_waiting(const struct router *r); /* events that wait for a link */
void links_close(struct router *r);
void router_fetch(struct router *r, uint64_t id); /* read an event that waited, and route it */
struct routing;
struct remap;
void router_store(struct routing *rt); /* write what became of it */
/** Route an event again (event.only, .again), for a delivery made again. Takes the event over. */
void router_remap(struct router *r, struct event *e, struct remap *m);
/** At the end: what is queued and has somebody waiting for it is told. */
void router_cancel(struct router *r);
void router_link_written(struct router *r, sl_str endpoint, sl_str kind, sl_str id);
void event_free(struct event *e);
/** Take a receipt's encoded bytes over, without a copy. NULL: no memory (or it is none); then they
 *  are where they were. */
struct event *event_take(uint64_t id, struct buf *payload);
/** A copy. NULL: no memory. */
struct event *event_from_receipt(uint64_t id, const struct rec_receipt *r);

/** A route's program ran: why is empty when it went well. Twenty equal errors in a row pause it. */
void router_route_result(struct router *r, const struct conf_route *route, sl_str why);
