/*
 * points.h - what a document will cost, before it is asked: the shop debits the whole of its
 * *requested* cost first, and refuses it if that is not there.
 *
 * Two sources: a model of the published rules, which reproduces nearly all recorded figures, and
 * what the shop said of the same document the last time, which corrects it. Nothing rests on
 * either: a wrong figure costs a refusal (THROTTLED, nothing was done) or a short wait, and the
 * next answer says better.
 *
 * Pure; no clock.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#define POINTS_MOST    1000 /* of one document, whatever the bucket holds */
#define POINTS_KNOWN   64   /* documents that are remembered */
#define POINTS_MUTATES 10   /* of a mutation, at least */

/** By the model: at least 1. Text that is no document costs something, too. */
uint32_t points_of(const char *document, const json_t *variables);

/** What was learnt of documents. All zero: nothing. */
struct points {
    struct {
        uint64_t document; /* its hash; 0: none */
        int32_t beyond;    /* what the shop said, less the model */
    } known[POINTS_KNOWN];
};

/** What is expected of one question. */
struct points_guess {
    uint64_t document; /* its hash */
    uint32_t model;
    uint32_t cost; /* by the model and what was learnt; 1 to POINTS_MOST */
};

struct points_guess points_predict(const struct points *p, const char *document,
                                   const json_t *variables);
/** The shop debited `requested` for it; negative: it did not say. */
void points_learn(struct points *p, const struct points_guess *guess, int64_t requested);
