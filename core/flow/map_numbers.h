/*
 * map_numbers.h - keep whole numbers exact on their way into jq.
 *
 * jq 1.6 holds every number in a double, and ids pass 2^53. So the text is rewritten before jq
 * parses it: integers that are members named "id", "*_id" or "*_ids" (or stand in arrays that are),
 * and integers beyond 2^53 anywhere, become strings of their own digits. "-0", fractions and
 * exponents stay as they are. Nothing else of the text changes, white space neither.
 */
#pragma once

#include "base/buf.h"
#include "base/fail.h"

#define MAP_DEPTH_MAX 64 /* arrays and objects inside one another */

/** Check that `json` is one JSON text (RFC 8259; the bytes of strings may be any but control
 *  characters) not deeper than MAP_DEPTH_MAX, and append it to `out`, rewritten.
 *  @param out   on failure it may hold a part of the text; out->failed tells of missing memory
 *  @return 0, MAP_E_INPUT with `fail` ("byte 17: ..."), or UV_ENOMEM
 *  @thread any */
int map_numbers(sl_str json, struct buf *out, struct fail *fail);
