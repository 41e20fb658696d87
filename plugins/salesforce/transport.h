/*
 * transport.h - a batch goes by a bulk job or by sObject Collections: asks choose.h, and says so.
 */
#pragma once

#include "salesforce.h"

/** The adapter's deliver(). */
void transport_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done);
/** A job ended `took_ms` after its creation, as far as was seen by asking: what the next ones are
 *  expected to take. */
void transport_saw_job(struct salesforce *sf, uint64_t took_ms);
/** Wait before a new job is first asked for: longer when calls are scarce. */
int64_t transport_first_poll_ms(const struct salesforce *sf);
/** The adapter's batching(): what goes by Collections anyway has nothing to wait for. */
void transport_batching(uint32_t action, const void *handle, sl_batching *ret);
