/*
 * replay_diff.h - how one JSON document differs from another, for people.
 */
#pragma once

#include "base/buf.h"

#define REPLAY_DIFF_MOST 50 /* differences that are told */

/** Append an array of {"path":"/lines/0/sku","before":..,"after":..}; a side that has nothing there
 *  lacks its member. Empty: they say the same. What is no JSON differs as a whole. */
void replay_diff(struct buf *out, sl_str before, sl_str after);
