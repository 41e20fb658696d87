/*
 * collection.h - one batch on its way by sObject Collections. Private to collections.c and
 * collections_turns.c.
 */
#pragma once

#include "choose.h"
#include "collections.h"
#include "rows/csv.h"
#include "rows/keys.h"
#include "rows/outcome.h"
#include "rows/sobject.h"

enum collection_state {
    COLLECTION_BUILDING,
    COLLECTION_CALLING,
    COLLECTION_READING,
    COLLECTION_ENDING
};

/** A record of the call in hand. */
struct member {
    uint32_t record;
    uint32_t hash; /* of its key */
    size_t key_at; /* in `keys` */
};

#define COLLECTION_FIELDS 4 /* unknown fields that are kept in mind */

struct collection {
    struct salesforce *sf;
    const struct action *action;
    const sl_batch *batch;
    const sl_done *done;
    struct collection *prev, *next;
    enum collection_state state;
    struct call call;
    uint64_t timer; /* 0: none */

    bool *told;
    size_t n_open; /* records without an outcome */
    size_t at;     /* the next record to be put into a call. What is open before it is a member */
    struct member members[COLLECTION_ROWS];
    size_t n;
    size_t rows_most; /* in a call, after those that were refused */
    unsigned calls, refused;

    struct row row; /* scratch, as what follows */
    struct columns columns;
    uint64_t serial;
    struct text body, keys, value, answer;
    struct elements elements;
    size_t read;                         /* elements of the answer that were told */
    char unknown[COLLECTION_FIELDS][88]; /* fields that the object does not have */
    size_t n_unknown;
    char why[700];

    struct {
        uint32_t kind, status, not_sent;
        int64_t after_ms;
    } ending; /* what the rest hears, with `why` */
};

/* ---- collections.c ---- */

void collection_tell(struct collection *c, size_t record, const sl_outcome *o);

/* ---- collections_turns.c: each does a bounded piece; true: it is done ---- */

/** Fill members and body with what goes into the next call. */
bool collection_build(struct collection *c);
/** Does each element of the answer say that the call was too much for one transaction? Then c->why
 *  is what they say. */
bool collection_was_limited(struct collection *c);
/** Tell the members. */
bool collection_read(struct collection *c);
/** Tell the rest. */
bool collection_end(struct collection *c);

/* of the body of a call that was refused as a whole: */

/** Was it too much for one transaction? */
bool collection_refused_by_limit(sl_str body);
/** Keep the field that it says the object does not have: the records that have it are refused when
 *  the call is built anew. False: it names none, or one that was known. */
bool collection_learn_field(struct collection *c, sl_str body);
/** What it means for the call's only record. */
void collection_tell_refused(struct collection *c, size_t record, const struct answer *a);
