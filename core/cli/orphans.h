/*
 * orphans.h - live deliveries that a configuration has no place for: they would be held.
 *
 * Thread: loop, or where there is none.
 */
#pragma once

#include <jansson.h>
#include "base/buf.h"
#include "config/config.h"

enum orphan_why { ORPHAN_NOT, ORPHAN_ROUTE, ORPHAN_ENDPOINT, ORPHAN_TARGET };

/** Of one route to one endpoint. */
struct orphans {
    char *route, *endpoint; /* own */
    enum orphan_why why;
    int64_t n;
};

struct orphan_list {
    struct orphans *at; /* own */
    size_t n;
    int64_t total;
};

/** @param places  what REPORT_PLACES says; anything else counts nothing */
void orphans_count(struct orphan_list *ret, const struct config *c, json_t *places);
void orphans_finish(struct orphan_list *list);
/** "12 deliveries of route X to Y would be held as orphaned: ..." */
void orphans_say(struct buf *b, const struct orphans *o, bool would);
