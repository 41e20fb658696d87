/*
 * contacts_measure.h - how often matching is right, on the worlds of contacts_world.h: for the test
 * and for the bench.
 */
#pragma once

#include "contacts_world.h"
#include "match/index.h"

#define CONTACTS_SEEDS 5

extern const uint64_t contacts_seeds[CONTACTS_SEEDS];

/** Records, by what became of them. known: the CRM has the person; found: it was matched, or is
 *  among the candidates of a question. */
struct contacts_measure {
    int automatic, right, known, found, asked, asked_right, created, doubled, ambiguous,
        ambiguous_automatic;
    double us; /* for one record */
};

struct contacts_measure contacts_measure(uint64_t seed);
/** The world's CRM into an index. */
void contacts_load(struct match_index *ix, const struct world *w);
double share(int part, int of);
