/*
 * reap.h - jobs of ours that nobody needs any more: aborted if they are open, then deleted.
 */
#pragma once

#include "salesforce.h"

typedef void (*reap_cb)(void *ctx);

/**
 * Abort (if `open`) and delete a job. What cannot be done is let be: an open job goes by itself
 * after a day, an ended one after a week.
 * @param cb  NULL, or called once it is over; not when the host closes
 */
void reap_start(struct salesforce *sf, const char *id, bool open, reap_cb cb, void *ctx);

/** Delete an ended job once the outcomes that its results gave are durable. Before done->finish().
 */
void reap_settled(struct salesforce *sf, const char *id, const sl_done *done);

/** An open job whose end could not be asked for now: for reap_leftovers(). At most some dozens are
 *  remembered. */
void reap_later(struct salesforce *sf, const char *id);
/** Salesforce answers: clean what was left. */
void reap_leftovers(struct salesforce *sf);
/** Is it one of those, or one under way? */
bool reap_has(const struct salesforce *sf, const char *id);

/** Forget all: the host is closing. */
void reap_close(struct salesforce *sf);
