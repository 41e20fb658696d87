/*
 * index_int.h - what the files of the index share: index.c, index_apply.c, index_event.c,
 * index_query.c, index_report.c, index_retain.c.
 */
#pragma once

#include <jansson.h>
#include "store/index.h"
#include "store/sql.h"

enum index_stmt {
    IX_BEGIN,
    IX_COMMIT,
    IX_POSITION,
    /* apply */
    IX_EVENT_ADD,
    IX_EVENT_GET,
    IX_EVENT_ROUTED,
    IX_ABOUT_ADD,
    IX_ABOUT_CLEAR,
    IX_ABOUT_FORGET,
    IX_WAIT_ADD,
    IX_WAIT_CLEAR,
    IX_DELIVERY_ADD,
    IX_BODY_ADD,
    IX_BODY_FREEZE,
    IX_DELIVERY_STAND,
    IX_DELIVERY_SENT,
    IX_DELIVERY_MOVE,
    IX_DELIVERY_DONE,
    IX_ATTEMPT_ADD,
    IX_ATTEMPT_END,
    IX_ATTEMPT_DONE,
    IX_MOVE_ADD,
    IX_LINK_ADD,
    IX_LINK_LEARN,
    IX_BATCH_ADD,
    IX_BATCH_TOKEN,
    IX_BATCH_OVER,
    IX_DEADLINE_BEGIN,
    IX_DEADLINE_WARN,
    IX_DEADLINE_END,
    IX_STATE_SET,
    IX_STATE_CLEAR,
    IX_ISSUE_ADD,
    IX_ISSUE_CHANGE,
    IX_ISSUE_ACK,
    IX_ISSUE_RESOLVE,
    IX_ISSUE_REOPEN,
    IX_ISSUE_STANDING,
    IX_DELIVERY_ISSUE,
    IX_DELIVERY_JOB,
    IX_TWINS,
    IX_TWIN_GO,
    IX_TWIN_BODY_GO,
    IX_TWIN_MOVES_GO,
    IX_REMAPPED,
    IX_REPLAY_COUNT,
    IX_REPLAY_FORGET,
    IX_EDIT_KEEP,
    IX_BODY_THAW,
    IX_BODY_EDIT,
    IX_COUNT,
    IX_PRIVACY_ASK,
    IX_PRIVACY_ERASED,
    IX_PRIVACY_DONE,
    IX_PRIVACY_ENDED,
    IX_ERASE_EVENT,
    IX_ERASE_RECEIPT,
    IX_ERASE_DELIVERIES,
    IX_ERASE_BODIES,
    IX_ERASE_EDITS,
    IX_ERASE_LINKS,
    IX_ERASE_MOVES,
    IX_ERASE_ATTEMPTS,
    IX_ERASE_DEADLINES,
    IX_ERASE_EXAMPLES,
    IX_ERASE_ISSUES,
    /* query */
    IX_READ,
    IX_CLAIM,
    IX_DELIVERY_GET,
    IX_BODY_GET,
    IX_EVENT_DELIVERIES,
    IX_EVENT_POS,
    IX_RECEIPT_GET,
    IX_UNROUTED,
    IX_WAITING,
    IX_LINK_GET,
    IX_BATCH_GET,
    IX_BATCH_OPEN,
    IX_STATE_LIST,
    IX_STATE_PAGE,
    IX_DUE_HELD,
    IX_DUE_DEADLINES,
    IX_HELD_ABOUT,
    IX_DEADLINE_GET,
    IX_DEADLINES_ABOUT,
    IX_EVENT_CAUSE,
    IX_PIECE_GET,
    IX_LINK_NUM,
    IX_CAME,
    IX_SIBLINGS,
    IX_DEAD,
    IX_SPANS,
    IX_ABOUT_ROUTE,
    IX_CHAIN,
    IX_PRIVACY_LIST,
    IX_PRIVACY_LOG,
    IX_PRIVACY_EVENTS,
    IX_PRIVACY_ABOUTS,
    IX_PRIVACY_BODIES,
    IX_PRIVACY_EDITS,
    IX_PRIVACY_CAUSE,
    IX__COUNT
};

enum index_retain_stmt {
    RETAIN_EVENTS,
    RETAIN_WANTED,
    RETAIN_ABOUTS,
    RETAIN_WAITS,
    RETAIN_MOVES,
    RETAIN_ATTEMPTS,
    RETAIN_LINKS,
    RETAIN_DELIVERIES,
    RETAIN_DELIVERIES_GO,
    RETAIN_BODIES_GO,
    RETAIN_DEADLINES_GO,
    RETAIN_EVENTS_GO,
    RETAIN_BATCHES,
    RETAIN_BATCHES_GO,
    RETAIN_BATCHES_OF,
    RETAIN_RECEIPT_ADD,
    RETAIN_RECEIPT_GO,
    RETAIN_RECEIPT_NEXT,
    RETAIN_RECEIPT_IN,
    RETAIN_LINKS_LEFT,
    RETAIN_LINK_GO,
    RETAIN_EDITS,
    RETAIN_ISSUES,
    RETAIN_FACTS,
    RETAIN_ISSUE_STATES,
    RETAIN__COUNT
};

/* The row of an event under way to its table; texts are in the index's arena. */
struct index_event {
    uint64_t id, pos, cause, body_bytes, n_deliveries, duplicate_of;
    int64_t received_ms, routed_ms;
    uint8_t origin, routed;
    bool stored; /* it is in the table: only what routing changes is filled in */
    sl_str endpoint, topic, sender_id, subject, version, note;
};

struct index_count {
    sl_str endpoint, route;
    int state;
    int64_t n;
};
#define INDEX_COUNTS 64

/* A batch of one whose outcome may follow in this transaction; texts are in the index's arena. */
struct index_sent {
    struct list node;        /* in index.sent_order */
    struct index_sent *next; /* of its bucket */
    uint64_t seq;
    struct rec_sent rec; /* of `item` */
    struct rec_sent_item item;
};
#define INDEX_SENT_BUCKETS 1024

/* The row of `position`. */
struct index_position {
    uint64_t watermark;
    uint64_t events, same_id, same_event; /* kept; duplicates by their sender's id and by what they
                                             say, of which only the latter are among the events */
    uint64_t kept_from;                   /* retention has dealt with all events before */
    uint64_t restored_to;                 /* last record of the backup it was restored from */
    int64_t restored_ms;
    uint64_t doubled; /* second deliveries of one event, route and piece that were refused ... */
    uint64_t doubled_num;  /* ... the last of them; no column */
    uint64_t batches_from; /* no column: of those before, retention has dealt with the batches */
};

/* A second delivery of one event, route and piece, in doubt until the next record; num 0: none. */
struct index_twin {
    uint64_t seq, first, num;
    int64_t at_ms;
};

struct index {
    sqlite3 *db;
    sqlite3_stmt *st[IX__COUNT];
    sqlite3_stmt *retain[RETAIN__COUNT]; /* prepared when they are first needed */
    struct reclog_reader *log;
    struct index_position now, committed; /* `now` runs ahead while a transaction is open */
    uint64_t retained_rows;               /* that retention has dealt with, since the opening */
    uint64_t unread; /* the event whose receipt retention could not read last ... */
    unsigned unread_times;
    struct index_issues issues; /* as committed */
    bool issues_changed;        /* since they were counted */
    int wal_pages;
    uint64_t erasures; /* index_erasures() */
    bool erases;       /* a request to erase was applied, or was there at the opening */
    bool wiped;        /* all free pages have been written over: see index_privacy_wipe() */
    bool large;        /* of a test: as if the file were too large to be written anew for that */
    bool failed;       /* as the log's */

    /* ---- of the transaction under way ---- */
    struct buf scratch;        /* of index_apply.c */
    struct arena texts;        /* of what follows */
    struct index_event *fresh; /* not written yet, by rising id */
    size_t n_fresh, fresh_cap;
    struct index_event stored; /* the last that index_event_find() read from the table */
    struct index_sent *sent[INDEX_SENT_BUCKETS];
    struct list sent_order;
    struct index_twin twin;
    struct index_count counts[INDEX_COUNTS];
    size_t n_counts;
};

/* A receipt or a refused one becomes an event. 0 or a code. */
int index_event_receipt(struct index *ix, const struct reclog_record *from,
                        const struct rec_receipt *rec);
int index_event_duplicate(struct index *ix, const struct reclog_record *from,
                          const struct rec_duplicate *rec);
/* An event, written or not; valid until the next call. 1, 0 (there is none) or a code. */
int index_event_find(struct index *ix, uint64_t id, struct index_event **ret);
/* What the event is about and waits for, as this routing understood it; the first subject stands
 * in the event's own row. */
int index_event_describe(struct index *ix, const struct index_event *ev,
                         const struct rec_routed *rec);
/* What a routing says of it, the number of deliveries set before. */
int index_event_routed(struct index *ix, struct index_event *e, const struct rec_routed *rec);
/* One more or one less of the deliveries that stand so. */
int index_count(struct index *ix, sl_str endpoint, sl_str route, int state, int n);
/* Keep a copy of a batch of one, not written yet. 0 or UV_ENOMEM. */
int index_sent_keep(struct index *ix, uint64_t seq, const struct rec_sent *rec);
/* What is kept of this delivery - as part of this batch; 0: of any - is the caller's now, to write;
 * valid until the transaction ends. NULL: nothing is. */
struct index_sent *index_sent_take(struct index *ix, uint64_t num, uint64_t batch);
struct index_sent *index_sent_first(struct index *ix); /* the same for the oldest */
void index_sent_drop(struct index *ix);
int index_sent_write(struct index *ix); /* index_apply.c: all that is kept; 0 or a code */
void index_retain_finish(struct index *ix);
int index_fresh_write(struct index *ix); /* what was gathered; 0 or a code */
void index_fresh_drop(struct index *ix);

/* "WITH s(p) AS (spans that there are) ...": of an expression index over `column` >> `bits`. */
#define INDEX_SPANS(table, column, bits)                                                       \
    "WITH RECURSIVE s(p) AS (SELECT max(" column ") >> " bits " FROM " table                   \
    " UNION ALL SELECT p - 1 FROM s WHERE p > (SELECT min(" column ") >> " bits " FROM " table \
    ")) "

extern const char *const index_sql[IX__COUNT];

/** First 16 bytes of a hash over a link's name. */
void index_link_hash(sl_str endpoint, sl_str kind, sl_str id, uint8_t out[16]);

/** Fill `d` from a row of IX_CLAIM's columns, views copied into the arena. */
void index_row_delivery(sqlite3_stmt *st, struct arena *arena, struct store_delivery *d);

/** The statement's rows into the answer; resets it. */
int index_collect(struct query *q, sqlite3_stmt *st);
/* index_order.c */
int index_siblings(struct index *ix, struct query *q);
int index_dead(struct index *ix, struct query *q);
int index_about(struct index *ix, struct query *q);
int index_chain(struct index *ix, struct query *q);

/** The receipt of an event, its payload copied into the arena. 0; UV_ENOENT: it is not kept any
 *  more; UV_EILSEQ: damaged on disk; or a code. */
int index_receipt(struct index *ix, uint64_t id, struct arena *arena, struct rec_receipt *ret);

/** Prepare SELECT `columns` FROM deliveries with the filter's conditions, then `order` (by rising
 *  num, say), and limited. */
int index_filter_deliveries(struct index *ix, const char *columns, const struct store_filter *f,
                            sqlite3_stmt **ret, const char *order);
uint32_t index_limit(uint32_t limit); /* 1..1000 */

int index_report(struct index *ix, struct query *q);

/** All rows' first column into the answer's nums; resets the statement. */
int index_collect_nums(struct query *q, sqlite3_stmt *st);
int index_backfill(struct index *ix, struct query *q); /* index_backfill.c */
/** The first id from *ret on that may be of this time. 0 or a code. */
int index_first_since(struct index *ix, int64_t since_ms, uint64_t *ret);
int report_came(struct index *ix, struct query *q); /* index_came.c */

/* ---- index_twin.c ---- */

/** May rec->deliveries[n] be added? 0; 1: it is a second one, and is not; or a code.
 *  `routed_before`: its event had deliveries before this record. */
int index_twin_check(struct index *ix, uint64_t seq, const struct rec_routed *rec, size_t n,
                     bool routed_before);
/** Before the record that follows is applied, or at the end (NULL): what was in doubt stays or
 *  goes. */
int index_twin_settle(struct index *ix, const struct reclog_record *next);
void index_twin_refused(struct index *ix, uint64_t num);

/* ---- index_issues.c: within a transaction; 0 or a code ---- */

/** A delivery that is dead now and was not before. */
struct index_death {
    uint64_t num;
    uint64_t was; /* the issue it died of before, and the state it had; 0: none */
    int from;
    bool moved, by_hand; /* by an outcome or a decision, not made so; by a person */
    uint32_t status;
    int64_t at_ms;
    sl_str route, endpoint, reason;
};
int index_issue_died(struct index *ix, const struct index_death *d, uint64_t *ret_issue);
/** A delivery that once died of the issue goes from one state to another that is not dead. */
int index_issue_left(struct index *ix, uint64_t issue, int from, int to, int64_t at_ms);

/** The number of the replay that decided so; 0: somebody else. */
uint64_t index_replay_of(sl_str who);
struct index_move {
    uint64_t num, seq;
    int from, to;
    uint64_t issue;       /* after it */
    uint64_t job, by_job; /* the replay that sent it again; the one that moves it; 0: none */
    bool remapped;
    int64_t at_ms;
};
int index_replay_moved(struct index *ix, const struct index_move *m);
/** A fact of a space that means something here. */
int index_issue_state(struct index *ix, const struct rec_state *rec,
                      const struct rec_state_item *it);
int index_issues_count(struct index *ix);
int report_issues(struct index *ix, struct query *q);
int report_issue(struct index *ix, struct query *q);
int report_replay(struct index *ix, struct query *q);
int report_replayable(struct index *ix, struct query *q);
/* index_query.c: growing answers. Room for one more in an owned array of `n`; powers of two. */
int index_grow(void **array, size_t n, size_t size);
int index_push_delivery(struct query *q, sqlite3_stmt *st);

/* index_privacy.c: what is asked about persons */
int index_privacy_open(struct index *ix); /* 0 or a code */
int index_apply_privacy(struct index *ix, uint64_t seq, sl_str payload);
int index_privacy_list(struct index *ix, struct query *q);
int index_privacy_find(struct index *ix, struct query *q);
int index_privacy_wipe(struct index *ix, struct query *q);
/* Does it stand there as a word, whatever its case? An address within a longer one does not. */
bool index_has_word(sl_str text, sl_str word);

/* index_wait.c: what waits for something */
int index_apply_deadlines(struct index *ix, sl_str payload);
int index_due(struct index *ix, struct query *q);
int index_deadlines(struct index *ix, struct query *q);
int index_ends(struct index *ix, struct query *q);
int index_came(struct index *ix, struct query *q);
int index_report_deadlines(struct index *ix, struct query *q);
/* "deadline": the delivery's, or null. */
int index_set_deadline(struct index *ix, json_t *o, uint64_t num);

/* All events about one subject, span by span; the parameter's name is its number. */
#define INDEX_EVENTS_ABOUT                                           \
    INDEX_SPANS("events", "id", "16")                                \
    "SELECT e.id FROM s CROSS JOIN events e"                         \
    " WHERE e.id >> 16 = s.p AND e.subject = ?1 AND e.subject <> ''" \
    " UNION SELECT a.event FROM s CROSS JOIN abouts a WHERE a.event >> 16 = s.p AND a.subject = ?1"
