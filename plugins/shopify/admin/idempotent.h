/*
 * idempotent.h - the key of a mutation that the shop does once: `@idempotent(key: $key)`, a
 * directive on the mutation's field. Demanded of refundCreate and of all that sets stock; nothing
 * else of what we send has one.
 *
 * A delivery's key is durable before its first attempt, and the same over retry, restart and
 * replay. So a key that is derived from it needs no storage of its own: whoever sends the same step
 * again, in whatever process, sends the same key, and the shop answers for what it did the first
 * time.
 *
 * Another key is needed where the shop says so, and where the figures of a compared write change.
 * It is the same step with the next `renewal`. That needs no storage either: after a crash one
 * begins at renewal 0 again, meets the same refusals and comes to the same key - as long as the
 * keys live. Hence the two rules:
 *   - within IDEMPOTENT_LIFE_MS of the first attempt (idempotent_lives()) sending again is
 * harmless; after it the shop has forgotten the keys: read what is there before anything is sent;
 *   - the same key with other variables is refused. Keep the input's serialisation as it is (freeze
 *     it, or make it of frozen bytes). Where each row is compared (`changeFromQuantity`) doing it
 *     twice is impossible anyway: put the rows themselves into `step`, and other rows have another
 * key.
 */
#pragma once

#include <sluice/sluice.h>

#define IDEMPOTENT_KEY_SIZE 37       /* 36 characters and NUL */
#define IDEMPOTENT_LIFE_MS  86400000 /* a key's, from its first use */
#define IDEMPOTENT_RENEWALS 5        /* who meets more refusals than that asks a person */

/** A UUID (version 8: of a hash) of a delivery's key, a step of it ("refund", "set/0", the rows)
 * and how often the step was given a new key. Pure: the same for ever. SL_OK or SL_E_NO_MEMORY. */
sl_status idempotent_key(sl_str delivery_key, sl_str step, uint32_t renewal,
                         char ret[IDEMPOTENT_KEY_SIZE]);

/** Does the shop still know the keys of a delivery that was first sent then? Some minutes before
 * they end it is no longer counted upon. 0 (`sl_record.first_sent_ms` of a first attempt): nothing
 * was sent, so nothing is forgotten. */
int idempotent_lives(int64_t first_sent_ms, int64_t now_ms);

/** What a `code` of userErrors means for the key. */
enum idempotent_next {
    IDEMPOTENT_NOTHING, /* it is not about the key: judge the error by itself */
    IDEMPOTENT_SAME,    /* it is being done, or collided: later, with the same key */
    IDEMPOTENT_NEW,     /* it failed and was not done: at once, with the next renewal */
    IDEMPOTENT_REREAD,  /* what was compared has changed: read it, compute, next renewal */
    IDEMPOTENT_MISUSED, /* the key was used with other variables: what it did is not known here */
};

/** @param code  such as "IDEMPOTENCY_CONCURRENT_REQUEST"; NULL is about nothing */
enum idempotent_next idempotent_after(const char *code);
