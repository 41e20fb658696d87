/*
 * callout.h - what a Flow or Apex posts: {"eventId", "object", "id", "changeType", "occurredAt",
 * "fields"}.
 */
#pragma once

#include <jansson.h>
#include <sluice/sluice.h>

#include "rows/record_id.h"

#define CHANGE_SIZE 33

struct callout {
    json_t *root; /* own: callout_finish() */
    sl_str event_id, object;
    char id[RECORD_ID_SIZE];
    char change[CHANGE_SIZE]; /* lower case */
    json_t *fields;           /* borrowed from `root` */
};

/** SL_OK, SL_E_INVALID with `fail`, which names the member and what it wants, or SL_E_NO_MEMORY;
 *  then there is nothing to finish. */
sl_status callout_read(struct callout *c, sl_str body, sl_fail *fail);
void callout_finish(struct callout *c);
