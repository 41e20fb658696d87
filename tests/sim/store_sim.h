/*
 * store_sim.h - core/store/store.h in memory: one thread, no disk, everything by the simulated
 * clock and a seed. It promises what store.h promises and no more: appends become durable after a
 * while, all of one together, and are called back later still, in order; a question is answered by
 * what was durable at some moment between asking and answering. So a crash can come at any commit,
 * with or without its callback.
 */
#pragma once

#include "store/store.h"
#include "tables.h"
#include "world.h"

struct store_plan {
    int64_t slow_ms;         /* the longest that a step takes */
    unsigned full_per_mille; /* appends that find no room */
    unsigned deaf_per_mille; /* questions that are not answered but with a code */
};

/** What becomes durable is shown, in order, before anybody is called back. */
typedef void store_seen(void *ctx, uint64_t seq, enum record_type type, sl_str payload);

/** It outlives crashes: store_open() is not part of it. */
struct store *store_sim_create(struct world *w, const struct store_plan *plan, store_seen *seen,
                               void *ctx);
void store_sim_destroy(struct store *s);
const struct tables *store_sim_tables(const struct store *s);
void store_sim_faults(struct store *s, bool on); /* full and deaf, as planned, or not at all */
uint64_t store_sim_commits(const struct store *s);

/** Stop dead right after so many commits from now; 0: not. */
void store_sim_crash_after(struct store *s, uint64_t commits);
bool store_sim_stopped(const struct store *s);
/** The process is gone: nothing that is not durable becomes so, and who waits hears
 *  UV_ECANCELED. Until store_sim_start() everything is refused. */
void store_sim_crash(struct store *s);
void store_sim_start(struct store *s);
