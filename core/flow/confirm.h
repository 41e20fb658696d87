/*
 * confirm.h - a question about a delivery that may have arrived, between confirm.c, which asks
 * whether it has, and cancel.c, which takes it back.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/state.h"

struct confirm {
    struct list node; /* lane.confirming */
    struct delivery *d;
    struct lane *lane;
    struct adapter *adapter;          /* share: the one that it began with */
    const struct config *config;      /* share: what `target` is of */
    const struct conf_target *target; /* what it was sent as; or how it is taken back */
    struct breaker *breaker;          /* of its lane */
    uint64_t breaker_trips;
    bool probe;    /* it went out to see whether a parked lane works again */
    bool promised; /* counts in lane.promised */
    bool critical; /* counts in lane.critical */
    bool cancels;
    char name[32], key[40];
    /* ---- cancel.c ---- */
    sl_record record;
    sl_batch batch;
    sl_done done;
    uint32_t kind; /* SL_* of the outcome; 0: none came */
    int64_t after_ms;
    char why[240];
    struct extras extras;
    bool finished;
};

/** The move is written and followed; then the question is over. */
void confirm_write(struct confirm *c, struct rec_move *m, struct extras *x);
/** Later again. Nothing is learnt of the remote's health. */
void confirm_later(struct confirm *c, int64_t after_ms);
/** Nobody can say: a person decides. */
void confirm_hold(struct confirm *c, sl_str why);
/** The remote answered: it is up, and it knows us. */
void confirm_answered(struct confirm *c);
/** It was sent before the store was restored from a backup: then it is held, with this reason. */
bool confirm_restored(struct confirm *c, sl_str why);
/** It was asked for too long. */
bool confirm_too_long(const struct confirm *c);

/* cancel.c */
/** How what may be at this member is taken back; NULL: it is only asked. */
const struct conf_target *cancel_of(const struct delivery *d);
/** Does the detail say that it is being taken back? */
bool cancel_is_on(sl_str detail);
/** The detail of one that is: a JSON object. */
void cancel_detail(struct buf *b, const struct conf_target *t, sl_str why);
/** Instead of being held for a person it is taken back from now on: its move. Strings are owned. */
void cancel_begin(const struct delivery *d, sl_str why, struct rec_move *m);
/** A person decides after all: the detail says that a cancel may have been heard, so that what is
 *  sent once more has another key. */
void cancel_note(struct buf *detail);
bool cancel_noted(sl_str detail);
void cancel_ask(struct confirm *c, const sl_record *r);
