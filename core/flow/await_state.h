/*
 * await_state.h - what await.c and await_ends.c share; nobody else includes it. Thread: loop.
 */
#pragma once

#include "flow/await.h"

/** What an event means to a hold. */
enum judgement { JUDGED_STAYS, JUDGED_RELEASE, JUDGED_REJECT };

struct judged {
    const struct conf_hold *hold;
    enum judgement what;
};

/** A hold of this event's own deliveries. */
struct own_hold {
    const struct conf_hold *hold;
    enum judgement what; /* by an event that came before */
    uint64_t by;
    char *by_topic;        /* own */
    char *evidence, *lack; /* own */
};

struct came {
    uint64_t id;
    char *topic;
};

struct held_row { /* that this event may release */
    uint64_t num;
    char *type; /* own */
    const struct conf_hold *hold;
};

struct await {
    struct routing *rt;
    bool done;
    struct own_hold *own;
    size_t n_own;
    struct came *came;
    size_t n_came, at_came;
    struct held_row *held;
    size_t n_held;
    uint64_t *met; /* deadlines, taken */
    size_t n_met;
    /* a run of `when` and `reject_when` */
    struct judged *judged;
    size_t n_judged;
    void (*then)(struct await *w), (*step)(struct await *w); /* step: what is done again */
    /* the decision about what it ends */
    struct deciding *deciding;
    struct buf decision;        /* the record */
    size_t at_decision, at_met; /* of the commit's records; 0: none */
};

/** Sets w->judged[].what, then `then`; perhaps before it returns. `step`: what to do again. */
void await_judge(struct await *w, sl_str body, int64_t received_ms, void (*then)(struct await *w),
                 void (*step)(struct await *w));
/** One more that await_judge() asks; once each. */
void await_add_judged(struct await *w, const struct conf_hold *h);
/** What a question's status means; false: go on. */
bool await_failed(struct await *w, int status, void (*step)(struct await *w));
void await_again(struct await *w, void (*step)(struct await *w), uint64_t ms);
/** All is asked: settle the pieces, go on with the record. */
void await_settle(struct await *w);

/** May something wait for the event? */
bool await_may_end(const struct routing *rt);
/** The last question; await_settle() follows. */
void await_ask_ends(struct await *w);
/** What it was found to end is dropped, its deadlines are free. */
void await_forget_held(struct await *w);
