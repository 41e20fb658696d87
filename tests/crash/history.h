/*
 * history.h - what a log should hold: each record with its bytes, its keys and the moment when it
 * was acknowledged; and what follows from that for the deliveries.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "journal.h"
#include "store/store.h"

struct note {
    uint64_t seq;
    enum record_type type;
    uint8_t *payload; /* own; with marks and originals as the log wrote them */
    size_t len;
    size_t acked; /* journal_at() in its callback; 0: from before the journal */
    bool last;    /* of its append */
    uint32_t token;
    struct store_key *keys; /* own; those it brought */
    size_t n_keys;
};

#define RETIRED_MOST 64

/** at[i] is record i + 1. */
struct history {
    struct note *at;
    size_t n, cap;
    struct {
        size_t moment;  /* from then on ... */
        uint64_t first; /* ... records below it might go */
    } retired[RETIRED_MOST];
    size_t n_retired;
};

/** What an acknowledged append became; called in its callback. Tokens rise with its records. */
void history_add(struct history *h, const struct store_append *a, uint32_t token, size_t acked);
/** A copy of the first n records: those up to `durable` from before, the others at `acked`. */
void history_copy(struct history *to, const struct history *from, size_t n, size_t durable,
                  size_t acked);
void history_finish(struct history *h);
/** The log was told that it need not keep what is below `first`. Called before it is told. */
void history_retire(struct history *h, uint64_t first);
/** No record from this one on may be missing at a moment. */
uint64_t history_kept(const struct history *h, size_t moment);
/** The newest record acknowledged at a moment. */
uint64_t history_acked(const struct history *h, size_t moment);

/** "tok-0000002a;": stands in each record's bytes. */
#define TOKEN_BYTES 13
void token_write(uint32_t token, char out[TOKEN_BYTES + 1]);

/** Was each record written to the log and synced, and its file's name too, before its callback
 *  came? Text in `why` if not. */
bool history_was_synced(const struct history *h, const struct journal *j, char why[256]);

/** A delivery as the first n records leave it. */
struct standing {
    uint64_t num;
    uint8_t state;
    uint64_t batch; /* its newest `sent` */
};
/** All, by num; own (free()). */
struct standing *history_deliveries(const struct history *h, size_t n, size_t *ret_n);
