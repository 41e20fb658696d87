/*
 * store.h - what the flow needs of the durable truth. Work is claimed, every call is a batch with
 * one completion; behind it stand the log (what a step waits for) and the index (what is asked).
 *
 * The log is appended and fsynced by a thread of its own, in groups: while one group commits the
 * next gathers, without a timer. The index follows the log by a watermark on another thread; it
 * never commits a position that is not durable in the log, and an index ahead of its log refuses
 * to open. A failed fsync is never retried: the append fails, the store latches failed.
 *
 * Thread: every function is called on the loop and every callback runs on the loop, never before
 * the call returned, in the order of the calls (appends among themselves, queries among
 * themselves).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include "base/buf.h"
#include "base/fail.h"
#include "base/list.h"
#include "store/record.h"

struct store;

struct store_conf {
    const char *path;         /* directory, created 0700 when absent; holds log/ and sluice.db */
    uint64_t max_queue_bytes; /* appends waiting for the disk: 32 MiB */
    uint64_t disk_reserve;    /* free bytes below which nothing new is admitted: 256 MiB */
    uint64_t segment_bytes;   /* of one file of the log: 128 MiB */
    uint64_t catch_up_ms;     /* how long an opening applies what the index lacks, at most: 0.5 s */
    int64_t keep_ms;          /* how long events are kept, and with them what duplicates are known
                                 by: 28 days; see retain.h */
};

void store_defaults(struct store_conf *conf);

/** Open or create; migrates an older schema, refuses a newer one; applies the log's tail to the
 *  index before it returns (blocking: start-up only), as far as it comes in `catch_up_ms`: the rest
 *  is applied while the store serves, and what asks the index waits for it. Only one process may
 * have it open (a lock file names the other's pid). 0, or a negative code with `fail`. */
int store_open(struct store **ret, uv_loop_t *loop, const struct store_conf *conf,
               struct fail *fail);

/** The newest record of the backup that this store was restored from: what was to be sent before it
 *  may have been sent since, by the store that was lost. 0: it was never restored. Right about all
 *  that the index has answered of, also while it catches up. */
uint64_t store_restored_to(const struct store *s);

/** Finish what was submitted, stop the threads; `cb` on the loop, then nothing of it is left. */
void store_close(struct store *s, void (*cb)(void *ctx), void *ctx);

/* ---- append ---- */

/** A key decided by the log as part of the append: 16 bytes of a hash. */
struct store_key {
    uint8_t hash[16];
    bool refuse;       /* true: a record whose key is known is not appended; false: see mark */
    bool only_asked;   /* with `refuse`: and if it is not known, it is not entered either */
    bool only_entered; /* without it: if it is known, nothing is marked */
    uint32_t mark_at;  /* refuse == false and the key is known: payload[mark_at] = mark_value */
    uint8_t mark_value;
    uint64_t value; /* kept with a new key, e.g. the event's id; replaced by the kept one when
                       the key is known */
    /* results */
    bool known;
    uint64_t first; /* the record that brought the key */
};

struct store_record {
    enum record_type type;
    struct buf payload;     /* own: the append frees it after its callback */
    struct store_key *keys; /* own (free()), or NULL */
    size_t n_keys;
    struct buf duplicate; /* own; when refused, this is appended instead, as REC_DUPLICATE, with its
                             original filled in. Empty: nothing is */
    bool follows; /* refused if the record before it is: it says what follows from that one */
    /* results */
    uint64_t seq; /* 0 when refused and no duplicate was appended */
    bool refused; /* a `refuse` key was known */
};

/** All records of an append become durable together or not at all (refused ones aside). Its owner
 *  allocates it; it and its payloads must stay untouched until the callback. */
struct store_append {
    struct store_record *records;
    size_t n;
    void (*cb)(struct store_append *a, int status); /* 0: durable; else nothing was written:
                                                        UV_ENOSPC, UV_EIO, UV_ECANCELED */
    /* the store's own */
    struct list node;
    int status;
    uint64_t bytes;
};

/** 0; or UV_ENOBUFS (queue full), UV_EAGAIN (it would wait for more than 3 s), UV_EIO (latched
 *  failed), UV_ENOSPC (reserve reached), UV_EINVAL
 *  (empty or failed payload, mark outside it), UV_ECANCELED (closing): then no callback and the
 *  caller keeps everything. `internal` appends (outcomes, decisions) are admitted
 *  beyond the queue limit and into the reserve, since refusing them would lose knowledge. */
int store_append(struct store *s, struct store_append *a, bool internal);
/** What store_append() would answer now to new work of so many bytes: for refusing it before it has
 *  been read. */
int store_admits(const struct store *s, uint64_t bytes);
/** How long an append submitted now would wait for its commit, as far as can be told; counts on by
 *  the clock while a commit hangs. */
uint64_t store_wait_ms(const struct store *s);
/** Frees the payloads, keys and duplicates of an append's records (not the append). */
void store_append_finish(struct store_append *a);

/* ---- queries: answered by the index, after everything appended (and called back) before ----
 *
 * Each gives 0, and its callback comes once; or UV_ENOMEM, UV_ECANCELED (closing), and none comes.
 * A status may also be UV_ENOSPC (the index has no room to follow; ask again) or UV_EIO (it has
 * failed, and so has the store). Arguments are copied. */

/** A live delivery as the lanes want it; views borrowed during the callback. */
struct store_delivery {
    uint64_t num;
    uint8_t id[16];
    enum delivery_state state;
    uint8_t priority;
    uint32_t attempts; /* burnt so far */
    uint32_t generation;
    int64_t next_ms;
    int64_t received_ms;   /* of its event */
    int64_t first_sent_ms; /* 0: never sent */
    int64_t since_ms;      /* of the retry policy's age: sent first, or again after it was put back
                              by a decision or at another endpoint; 0: its next attempt begins it */
    uint64_t batch;        /* for INFLIGHT: its `sent` record; else 0 */
    uint32_t body_bytes;
    sl_str route, piece, endpoint, action, subject, topic, hold_type, reason;
    sl_str version, detail; /* as in rec_delivery */
    uint8_t arrival;        /* enum delivery_arrival */
    bool edited;            /* of store_delivery_get() alone: its body is not what was mapped */
};

/** It may be at its endpoint although nobody said so: no other may get it before that is known. */
static inline bool store_in_doubt(const struct store_delivery *d)
{
    return d->arrival == ARRIVAL_PERHAPS || d->state == DS_INFLIGHT ||
           (d->first_sent_ms && d->arrival != ARRIVAL_NO);
}

/** Deliveries of one endpoint and priority that are not final, by rising num, from after_num on.
 *  endpoint "" : those that have none (held by a route's choice). */
int store_claim(struct store *s, sl_str endpoint, uint8_t priority, uint64_t after_num,
                uint32_t limit,
                void (*cb)(void *ctx, int status, const struct store_delivery *d, size_t n),
                void *ctx);

/** One delivery, final or not, with what is to be sent. `request` is empty if nothing was frozen.
 */
int store_delivery_get(struct store *s, uint64_t num,
                       void (*cb)(void *ctx, int status, const struct store_delivery *d,
                                  sl_str body, sl_str request),
                       void *ctx); /* status UV_ENOENT: no such delivery */

/** The bodies of several deliveries; `request` as store_delivery_get() gives it. `newest`: after
 * all that was appended, as every query; else as the index has them when it comes to it - for those
 *  that a claim brought and of which nothing was written since. What does not exist is left out of
 *  the answer, which is in the order asked for; views borrowed during the callback. */
struct store_body {
    uint64_t num;
    sl_str body, request;
};
int store_bodies(struct store *s, const uint64_t *nums, size_t n, bool newest,
                 void (*cb)(void *ctx, int status, const struct store_body *b, size_t n),
                 void *ctx);

/** All deliveries of an event, final ones too, by rising num. */
int store_siblings(struct store *s, uint64_t event,
                   void (*cb)(void *ctx, int status, const struct store_delivery *d, size_t n),
                   void *ctx);

/** Dead letters of one route, by rising num, from after_num on. What other routes have costs
 *  nothing. */
int store_dead(struct store *s, sl_str route, uint64_t after_num, uint32_t limit,
               void (*cb)(void *ctx, int status, const struct store_delivery *d, size_t n),
               void *ctx);

/** What a route has made about a subject, the newest first. */
struct store_about {
    sl_str route, subject;
    sl_str piece;
    bool any_piece; /* of all pieces */
    bool standing;  /* only what is live or delivered */
    uint32_t limit;
};
int store_about(struct store *s, const struct store_about *about,
                void (*cb)(void *ctx, int status, const struct store_delivery *d, size_t n),
                void *ctx);

/** Live deliveries of one route, subject and piece, by rising num. */
struct store_chain {
    sl_str route, subject, piece;
    uint64_t from;   /* nums from this one on */
    uint64_t before; /* nums below this one; 0: any */
    uint32_t limit;
};
int store_chain(struct store *s, const struct store_chain *chain,
                void (*cb)(void *ctx, int status, const struct store_delivery *d, size_t n),
                void *ctx);

/** The event as stored; status UV_ENOENT. n_deliveries: how many it has (the next ordinal). */
struct store_event {
    uint64_t id;
    struct rec_receipt receipt;
    uint32_t n_deliveries;
};
int store_event_get(struct store *s, uint64_t id,
                    void (*cb)(void *ctx, int status, const struct store_event *e), void *ctx);

/** Ids of events that have no `routed` record, or wait for a link (`waiting`), rising. */
int store_unrouted(struct store *s, bool waiting, uint64_t after, uint32_t limit,
                   void (*cb)(void *ctx, int status, const uint64_t *ids, size_t n), void *ctx);

/** Resolve links: for each reference the subject, or an empty view. */
int store_links(struct store *s, const struct rec_ref *refs, size_t n,
                void (*cb)(void *ctx, int status, const sl_str *subjects, size_t n), void *ctx);

/** A batch under way: its newest token (empty: none) and its members without an outcome. */
int store_batch_get(struct store *s, uint64_t batch,
                    void (*cb)(void *ctx, int status, sl_str token, const uint64_t *nums, size_t n),
                    void *ctx);

/* ---- what is asked about persons: see flow/privacy.h ---- */

/** A request, by the event that asked. */
struct store_privacy {
    uint64_t event;
    uint8_t kind;  /* enum privacy_kind */
    uint8_t state; /* ASKED, DONE or ENDED of enum privacy_what */
    sl_str endpoint, topic, asked, who, why;
    int64_t asked_ms, due_ms, done_ms, ended_ms;
    int64_t log_due_ms;          /* DONE: from then on the log must have none of it */
    uint64_t last;               /* the newest record that says anything of it */
    uint64_t events, deliveries; /* erased so far */
};
/** By rising event, from `after` on; `open`: only those that have not ended. */
int store_privacy_list(struct store *s, uint64_t after, bool open, uint32_t limit,
                       void (*cb)(void *ctx, int status, const struct store_privacy *p, size_t n),
                       void *ctx);

/** What is looked for. An event is one of these if it, or what it caused, is about one of the
 *  subjects, or about what a reference is linked to; if one of the values stands in what it or its
 *  deliveries say, as a word, whatever its case; if an event that was erased caused it; or with
 *  `all` if it came from the endpoint, or is caused by one that did. Values are not looked for in
 *  events of the endpoints `apart`. */
struct store_private {
    sl_str endpoint;
    const sl_str *subjects, *values, *apart;
    const struct rec_ref *refs;
    size_t n_subjects, n_values, n_apart, n_refs;
    bool all;
    uint64_t asks; /* the request's own event: never found, nor those of open requests; of what came
                      after it, what `subjects` and causes say alone. 0: nobody's */
    uint64_t after; /* ids beyond this one ... */
    uint64_t until; /* ... up to this one */
};
struct store_found {
    uint64_t event;
    bool under_way; /* it is not routed, or something of it is to be sent, or is being sent */
};
/** A part of them, by rising id: the next call goes on after `next`, which is 0 when this was the
 *  last part. `stopped`: deliveries of these, held or dead, that nothing will be sent of by itself.
 */
int store_private_find(struct store *s, const struct store_private *what,
                       void (*cb)(void *ctx, int status, const struct store_found *found, size_t n,
                                  const uint64_t *stopped, size_t n_stopped, uint64_t next),
                       void *ctx);
/** What was deleted is written over in the index's file, a slice at a time: `again` says that there
 *  is more of it. */
int store_wipe(struct store *s, void (*cb)(void *ctx, int status, bool again), void *ctx);

/** A fact written by REC_STATE; views borrowed during the callback. */
struct store_state {
    sl_str key, value; /* value: JSON */
    int64_t at_ms;
    sl_str who, why;
};

/** What stands in one space, by key. There are few of them: all are given at once. */
int store_state_list(struct store *s, sl_str space,
                     void (*cb)(void *ctx, int status, const struct store_state *states, size_t n),
                     void *ctx);

/** Of one space, by key, at most `limit` (not 0): those whose key begins with `prefix`, beyond
 *  `after`. */
int store_state_page(struct store *s, sl_str space, sl_str prefix, sl_str after, uint32_t limit,
                     void (*cb)(void *ctx, int status, const struct store_state *states, size_t n),
                     void *ctx);

/** Spaces of facts that go `store.keep` after they were written last begin with this. */
#define STORE_AGED "aged/"

/* ---- what waits: see flow/due.h ---- */

/** When the clock of a held delivery, or of a deadline, says that there is something to do. */
struct store_due {
    int64_t at_ms;
    uint64_t num;
    bool deadline;
};

/** Of each kind the first `limit`, not past ones alone. `horizon_ms`: further ones are due then at
 *  the earliest; INT64_MAX: there are none. */
int store_due(struct store *s, uint32_t limit,
              void (*cb)(void *ctx, int status, const struct store_due *d, size_t n,
                         int64_t horizon_ms),
              void *ctx);

struct store_deadline {
    uint64_t num;
    bool open;
    bool linked; /* the event is known to come from this delivery, or to be about it */
    int64_t next_ms, due_ms;
    sl_str expect, topic, owner, route, subject, endpoint, piece; /* as in rec_deadline */
};

/** The deadlines of these deliveries; of those that have none there is none. */
int store_deadlines(struct store *s, const uint64_t *nums, size_t n,
                    void (*cb)(void *ctx, int status, const struct store_deadline *d, size_t n),
                    void *ctx);

/** What an event of these subjects, with this cause (0: none) and these references, may end. */
struct store_ends {
    const struct store_delivery *held; /* of the subjects, by num */
    size_t n_held;
    const struct store_deadline *deadlines; /* open: linked ones first, then the subjects', the
                                               first due before the others */
    size_t n_deadlines;
};
int store_ends(struct store *s, const sl_str *subjects, size_t n, uint64_t cause,
               const struct rec_ref *refs, size_t n_refs,
               void (*cb)(void *ctx, int status, const struct store_ends *e), void *ctx);

/** Events about a subject that have been routed, the newest first. */
struct store_came {
    uint64_t id;
    uint8_t origin; /* enum event_origin */
    sl_str topic, endpoint;
    sl_str version; /* of its first subject; may be empty */
};
int store_came(struct store *s, sl_str subject, uint32_t limit,
               void (*cb)(void *ctx, int status, const struct store_came *c, size_t n), void *ctx);

/** Answers for people, as JSON text: the admin's only source. A list is an array. Times are RFC
 * 3339 strings or null, ids of events numbers, ids of deliveries strings. A body is a string of its
 * raw text, with "body_is_json" and "body_replaced" (bytes that are no UTF-8 were); "request" as
 * well, or null when it is the body. A header that carries a secret has "hidden": true. */
enum store_report {
    REPORT_SUMMARY,    /* {"events":N,"deliveries":{"<endpoint>":{"<state>":N}},"routes":{...},
                          "unrouted":N,"waiting_for_link":N,"watermark":N,
                          "oldest_event_at":T}: of what is kept; the oldest beside those that are
                          older and stay because something of them is open or dead */
    REPORT_EVENTS,     /* list, newest first: id, received_at, endpoint, topic, subject, sender_id,
                          deliveries by state, duplicate_of, note */
    REPORT_EVENT,      /* one (id): all of it, headers (not those that carry signatures), body text,
                          deliveries with state, reason, attempts, emitted events */
    REPORT_DELIVERIES, /* list, oldest first: id "1042.0", route, piece, endpoint, action, subject,
                          state, reason, attempts, next_at, hold_type, reference, updated_at,
                          version, detail (an object, or null), issue (an id, or null),
                          may_have_arrived */
    REPORT_DELIVERY,   /* one (id): the above, body, request, key, attempts[] with their own error,
                          moves[] with reason and who, links[], emitted[], edits[] (bodies as they
                          were before the move of that record); the number of attempts is
                          "attempts_burnt" here */
    REPORT_DEADLINES,  /* list, the first due before the others: delivery, route, endpoint, subject,
                          expect, topic, owner, state (open, met, missed), began_at, due_at,
                          ended_at, event; of those that are open, or missed (`overdue`) */
    REPORT_ISSUES,     /* list, newest first (state: open, acknowledged, resolved; route, endpoint,
                          id): what dead letters have in common: id, state, route, endpoint, class,
                          reason, example, first_at, last_at, opened_at, count, dead, replaying,
                          reopened, resolved, acknowledged */
    REPORT_ISSUE,      /* one (id): the above, and its newest dead letters */
    REPORT_REPLAY, /* what became of a replay (id): replayed, delivered, dead_again[] by issue */
    REPORT_REPLAYABLE, /* what a filter of deliveries matches: list of issue, route, endpoint,
                          count, the most first */
    REPORT_CAME,   /* how events came (endpoint, since_ms: 7 days ago, until_ms, by when they were
                      received): list of endpoint, day, came (by webhook), repaired (found by
                      reconciliation), late (of these, came after all), missed (the others) */
    REPORT_PLACES, /* how many deliveries stand where: list of endpoint, route, state,
                      deliveries; cheap, however many they are */
};

struct store_filter {
    uint64_t id;       /* for EVENT: event id; for DELIVERY: num */
    const char *state; /* for DELIVERIES: a state's name; NULL: any */
    const char *endpoint, *route, *subject, *topic, *hold_type; /* exact; NULL: any */
    uint64_t event;             /* for DELIVERIES: of this one; 0: any */
    const char *error;          /* for DELIVERIES: stands in the reason, see reason.h */
    uint64_t issue;             /* for DELIVERIES: what they died of; 0: any */
    int64_t since_ms, until_ms; /* for DELIVERIES: last moved so; [since, until); 0: any */
    const char *owner;          /* for DELIVERIES: of a held one's detail; for DEADLINES */
    bool overdue;      /* for DELIVERIES: held, and its clock ran out; for DEADLINES: missed */
    bool for_people;   /* for DELIVERIES: none that waits for another event, not for a person */
    const char *piece; /* for DELIVERIES: exact; NULL: any */
    bool live;         /* for DELIVERIES: those that are not final */
    uint64_t before;   /* for DELIVERIES: nums below this one; 0: any */
    bool duplicates;   /* for EVENTS: only what repeats another event */
    uint64_t after;    /* keyset paging: ids beyond this one (below, for newest-first lists) */
    uint32_t limit;    /* 1..1000 */
};

int store_report(struct store *s, enum store_report what, const struct store_filter *filter,
                 void (*cb)(void *ctx, int status, sl_str json), void *ctx);

/** Nums of deliveries that match, rising, for bulk decisions. */
int store_select(struct store *s, const struct store_filter *filter,
                 void (*cb)(void *ctx, int status, const uint64_t *nums, size_t n), void *ctx);

/** Routed events, no duplicates, of an endpoint and some topics, received in [since, until), that
 *  have no delivery of a route. */
struct store_backfill {
    const char *endpoint;         /* NULL: any */
    const char *const *topics;    /* exact, or a prefix before a trailing "*" */
    const char *const *endpoints; /* of each topic, besides; NULL: `endpoint` says it of all */
    size_t n_topics;
    const char *route;
    int64_t since_ms, until_ms; /* 0: any */
    uint64_t after;             /* ids beyond this one */
    uint32_t limit;             /* 1..1000 */
};
/** Their ids, rising. Each call looks through a part of the events: the next one goes on after
 *  `next`, which is 0 when this was the last part. */
int store_backfill(struct store *s, const struct store_backfill *what,
                   void (*cb)(void *ctx, int status, const uint64_t *ids, size_t n, uint64_t next),
                   void *ctx);

/* ---- state of the store itself; cheap, from the loop's own copy ---- */

struct store_stats {
    bool failed;        /* latched: nothing more is acknowledged until a restart */
    bool disk_low;      /* below the reserve; clears by itself */
    uint64_t log_seq;   /* newest durable record */
    uint64_t index_seq; /* watermark */
    uint64_t commits;   /* groups */
    uint64_t records;
    uint64_t queue_bytes;
    uint64_t commit_us_sum; /* time in commit, over all groups */
    uint64_t commit_us_max;
    uint64_t duplicates; /* records refused by a key */
    uint64_t first_seq;  /* oldest record kept */
    uint64_t damaged;    /* records of the log that cannot be read, as far as it was noticed */
    uint64_t doubled;    /* second deliveries of one event, route and piece that were refused */
    uint64_t keys_bytes; /* memory that duplicates are known by */
    uint64_t segments;   /* files of the log */
    uint64_t keeper_errors;
    uint64_t issues_open, issues_acknowledged; /* what dead letters have in common */
    uint64_t issues_dead;                      /* dead letters of them */
    uint64_t wait_ms;                          /* store_wait_ms() */
    int64_t keep_ms;                           /* as configured */
};
void store_stats(const struct store *s, struct store_stats *ret);
