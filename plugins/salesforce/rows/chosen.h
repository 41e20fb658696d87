/*
 * chosen.h - records of which a person said which one they are (duplicates.h): they go by a call of
 * their own, beside the rest of their batch. "use:0035g..." updates that record and gives it the
 * external id, so that it is found by it from now on; "create" saves the record although it looks
 * like a duplicate. Both are harmless to repeat.
 */
#pragma once

#include "salesforce.h"

/** The adapter's deliver() for what is no contact.upsert. */
void chosen_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done);
/** The same for resume(): the token is the rest's. */
void chosen_resume(void *self, void *handle, const sl_batch *batch, sl_str token,
                   const sl_done *done);
/** Free all: nothing is told any more. */
void chosen_close(struct salesforce *sf);
