/*
 * collections.h - a batch by sObject Collections: at most 200 records a call, an answer at once.
 *
 *   BUILDING -> CALLING -> READING -> BUILDING ... -> the end
 *       \____________\________\-> ENDING: the rest hears the same
 *
 * One call after the other. Each operation may be repeated without harm (operation.h), so a call
 * whose answer is lost needs no checkpoint: its records go again.
 */
#pragma once

#include "salesforce.h"

void collections_deliver(struct salesforce *sf, const struct action *action, const sl_batch *batch,
                         const sl_done *done);
/** Free all of them: nothing is told any more. */
void collections_close(struct salesforce *sf);
