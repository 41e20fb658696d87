/*
 * check.h - a store that nobody has open, looked through for damage, and mended.
 *
 * Blocking, for a tool that does nothing else: reads all of the store, and for the comparison of
 * the index with the log writes a second index below TMPDIR (or /var/tmp).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fail.h"

struct check_finding {
    char file[80];        /* below the store's folder */
    uint64_t offset;      /* UINT64_MAX: none */
    uint64_t first, last; /* records; 0: none */
    char what[240];
    const char *todo; /* what a person does about it */
    char done[160];   /* by store_repair(); empty: nothing */
};

/** A record that is lost, and what the index knows of it. */
struct check_loss {
    uint64_t seq;
    char what[240]; /* "event: acme-shop orders/create, 2 deliveries"; empty: nothing is known */
};

struct check_report {
    struct check_finding *findings;
    size_t n, cap;
    struct check_loss *losses; /* store_repair()'s: at most CHECK_LOSSES_TOLD of them ... */
    size_t n_losses;
    uint64_t lost; /* ... and how many in all */

    /* what was looked through */
    uint64_t segments, bytes, records, voids, first, last;
    uint64_t runs, keys;
    uint64_t events, watermark;
    bool compared; /* every row of the index, with one made from the log */
};
#define CHECK_LOSSES_TOLD 10000

/** Look, change nothing. 0: `ret` says what was found; or with `fail` UV_EBUSY (it is open),
 *  UV_ENOENT (there is no store), UV_ENOMEM, or an I/O code of what is no damage. Finish `ret`
 *  always. */
int store_check(const char *path, struct check_report *ret, struct fail *fail);
/** Look, write damaged records off, put what is damaged into <path>/quarantine. As store_check().
 *  It may be run again after any failure, power cuts included. */
int store_repair(const char *path, struct check_report *ret, struct fail *fail);
void check_report_finish(struct check_report *r);
