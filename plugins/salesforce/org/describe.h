/*
 * describe.h - the descriptions of the objects that are written: asked for at their first use, kept
 * for `describe_every`, asked for anew after a record was refused for its fields. A delivery waits
 * for the first answer, and goes on without one.
 */
#pragma once

#include "description.h"
#include "salesforce.h"

/** `d`: borrowed for the call; NULL: it could not be had, and `refusal` says why. */
typedef void (*described_cb)(void *ctx, const struct description *d, const struct answer *refusal);

/** Ask, or take what is known. `cb` runs once, perhaps before this returns; not after
 *  describe_close(). `fresh`: ask in any case. */
void describe_get(struct salesforce *sf, const char *object, bool fresh, described_cb cb,
                  void *ctx);
/** What is known of it by now; NULL: nothing. Valid until the loop's next turn. */
const struct description *describe_known(struct salesforce *sf, const char *object);
/** A record was refused for its fields: whoever mends it wants to be believed. */
void describe_doubt(struct salesforce *sf, const char *object);
void describe_close(struct salesforce *sf);

/** Can the record be written, as far as is known of its object? As description_check(); a refusal
 *  puts what is known in doubt. */
sl_status describe_check(struct salesforce *sf, const struct action *a, const struct row *row,
                         char *why, size_t why_size);

/** The adapter's deliver(): a transport begins when there is an answer. */
void describe_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done);
