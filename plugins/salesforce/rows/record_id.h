/*
 * record_id.h - Salesforce's ids: 15 characters whose case counts, or 18, the last three of which
 * say the case of the others.
 */
#pragma once

#include <stdbool.h>
#include <sluice/sluice.h>

#define RECORD_ID_SIZE 19 /* with the NUL */

/** An id of either form, with the right last three if it has them; as 18 characters. False, `ret`
 *  untouched: it is none. */
bool record_id(sl_str id, char ret[RECORD_ID_SIZE]);
