/*
 * tables.h - what the durable records say, in memory: the simulated store's index, and what the
 * properties are checked against.
 *
 * It is made of the records alone, by what core/store/index_apply.c does with them. It lives as
 * long as the simulated world: a crash loses none of it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>
#include "store/arena.h"
#include "store/record.h"

struct row { /* a delivery */
    uint64_t num;
    uint8_t id[16];
    uint8_t state, priority, arrival;
    uint32_t attempts, generation;
    int64_t next_ms, received_ms, first_sent_ms, since_ms;
    uint64_t batch;    /* of the newest `sent` record, ... */
    uint8_t sent_from; /* ... and what it was before that */
    sl_str route, piece, endpoint, action, subject, topic, hold_type, reason;
    sl_str version, detail, body, request;
    uint32_t request_generation;
    uint8_t digest[32];  /* of what the newest `sent` record announced */
    int64_t ready_ms;    /* since when it is ready */
    int64_t clock_ms;    /* of the hold that the newest move ended; 0: it had none */
    int64_t live_ms;     /* made, or brought back by a decision */
    int64_t moved_ms;    /* since when it stands so */
    uint64_t made;       /* the record that made it */
    unsigned sent_times; /* `sent` records of it */
    bool edited;         /* its body is not what was mapped */
    bool revived;        /* it was out of the way, and a person brought it back */
    bool stays;          /* check.c: it waits for a person, or for what does */
    int64_t updated_ms;  /* of its newest move: the wall clock, as the record says */
    sl_str body_before;  /* its newest one but one */
    uint32_t generation_before;
    sl_str hold_before;    /* the type of the hold that its newest move ended */
    uint8_t before;        /* what it was before that one ... */
    int64_t before_ms;     /* ... and since when, by the wall clock */
    uint64_t issue;        /* what it died of last; 0: it never did */
    uint64_t job;          /* the replay that sent it again; 0: none */
    bool given;            /* made by a replay of its route over old events */
    struct row *instead;   /* it was mapped again in place of this one; NULL: of none */
    struct row *chain;     /* the next of its route and subject, by rising num; ... */
    struct chain_row *own; /* ... NULL: it has no subject */
};

/** Deliveries of one route, subject and piece. */
struct chain_row {
    UT_hash_handle hh;
    struct row *first; /* by num */
    int64_t head_ms;   /* when the first live one came to be that */
    struct row *head;
    char key[];
};

struct event_row {
    uint64_t id;
    uint8_t routed; /* 0 not yet, 1 done, 2 waits for a link */
    uint64_t duplicate_of;
    struct rec_receipt receipt;
    sl_str *abouts;
    size_t n_abouts;
    struct row **rows;
    uint32_t n_rows;
    int64_t routed_ms;            /* when that was durable first */
    unsigned epoch_in, epoch_out; /* check_stop.c: the configuration as it came, as it was routed */
};

struct batch_row {
    uint64_t *nums;
    size_t n;
    sl_str token;
    int64_t at_ms;
};

struct link_row {
    UT_hash_handle hh;
    sl_str subject;
    uint64_t num;
    char key[];
};

/** A deadline, of the newest record about it. */
struct deadline_row {
    UT_hash_handle hh; /* tables.deadlines, by num */
    uint64_t num;
    bool open;
    unsigned begun, met, missed; /* how often */
    int64_t next_ms, due_ms;
    sl_str expect, topic, owner, route, subject, endpoint;
};

/** A fact of REC_STATE; its value is empty when it was cleared. */
struct state_row {
    struct state_row *next;
    sl_str space, key, value, who, why;
    int64_t at_ms;
};

/** Dead letters of one trouble. */
struct issue_row {
    struct issue_row *next;
    uint64_t id;
    const char *kind;
    sl_str route, endpoint, reason; /* of the first one */
};

/** What became of what a replay sent again. */
struct again_row { /* died of this */
    struct again_row *next;
    uint64_t issue;
    unsigned n;
    int64_t first_ms;
};

struct replay_row {
    struct replay_row *next;
    uint64_t job;
    unsigned replayed, delivered;
    struct again_row *again;
};

struct tables {
    struct arena arena;
    uint64_t last; /* the newest record */
    struct event_row **events;
    struct batch_row **batches; /* both by their record's number; NULL: another kind */
    size_t cap;
    struct chain_row *chains;
    struct link_row *links;
    struct deadline_row *deadlines;
    struct state_row *states; /* in no order */
    struct issue_row *issues;
    struct replay_row *replays;
    struct row **rows; /* by time of making */
    size_t n_rows, rows_cap;
};

/** One more durable record, at this time of the simulated clock. False: it is no record. */
bool tables_apply(struct tables *t, uint8_t type, sl_str payload, int64_t now_ms);
void tables_finish(struct tables *t);

struct row *tables_row(const struct tables *t, uint64_t num);               /* NULL: none */
struct event_row *tables_event(const struct tables *t, uint64_t id);        /* NULL: none */
struct batch_row *tables_batch(const struct tables *t, uint64_t id);        /* NULL: none */
struct deadline_row *tables_deadline(const struct tables *t, uint64_t num); /* NULL: none */
sl_str tables_link(const struct tables *t, const struct rec_ref *r);        /* empty: none */
uint64_t tables_link_num(const struct tables *t, const struct rec_ref *r);

/* tables_replay.c */
uint64_t tables_replay_of(sl_str who); /* "replay:7 uid 0"; 0: somebody else */
struct issue_row *tables_issue(const struct tables *t, uint64_t id);
struct replay_row *tables_replay(struct tables *t, uint64_t job); /* made if need be; NULL: of 0 */
/** It is dead now and was not before, by a move or as it was made. */
void tables_died(struct tables *t, struct row *r, bool moved, bool by_hand);
/** It was mapped again, and was made anew by the record before. */
bool tables_remapped(const struct row *r);
/** After each move. */
void tables_replayed(struct tables *t, struct row *r, sl_str who, uint8_t from, int64_t now_ms);
