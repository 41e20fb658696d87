/*
 * workload.h - what a gateway does to its store, by seed: receipts of several senders with their
 * keys, some of them twice, routings, sendings, checkpoints, outcomes with what they emit,
 * decisions; many at once, so that groups form.
 *
 * Which records, in which order, follows from the seed alone; how they fall into groups does not,
 * for the store's threads are real.
 */
#pragma once

#include "base/rng.h"
#include "box.h"
#include "history.h"

#define SENDERS 3

struct workload {
    struct box *box;
    struct history *history; /* grows with each callback */
    struct rng rng;
    unsigned events; /* still to come from outside */
    unsigned most;   /* appends under way */
    uint64_t retire; /* records below may go; 0: all stay. What the index holds durably, at most */

    struct list todo; /* struct step */
    unsigned under_way, target;
    unsigned next_id[SENDERS];
    uint32_t next_token;
    unsigned refused, failed; /* records; appends */
    int last_error;
};

/** To be called once per history; `first_id` keeps the ids of one apart from those of another. */
void workload_start(struct workload *w, struct history *h, uint64_t seed, unsigned first_id);
/** Open already: take in `events` and bring everything as far as it goes. After an append fails
 *  nothing more is begun. The first error, or 0. */
int workload_run(struct workload *w, struct box *box, unsigned events);

/** One receipt with its key, own. `big` bytes of body at least. */
struct store_record make_receipt(const char *sender, unsigned id, uint32_t token, unsigned big);
void make_key(struct store_record *rec, const char *name, bool refuse, uint64_t value);
