/*
 * fingerprint.h - what makes two dead letters the same trouble: route, endpoint, class, and the
 * reason without what differs from one to the next.
 *
 * Fingerprints are kept in the index, so the rules here are part of its form: what is changed opens
 * every issue a second time.
 */
#pragma once

#include <stdint.h>
#include <sluice/types.h>
#include "base/buf.h"

#define FINGERPRINT_REASON 200 /* bytes of a reason that count */
#define FINGERPRINT_HEX    13  /* "3f2a9c01d4e7" and NUL */

/** Append a reason in which numbers, ids and times are "#", quoted strings "*", and what a program
 *  shows of a document "(*)"; one line, cut after FINGERPRINT_REASON bytes. */
void fingerprint_reason(struct buf *out, sl_str reason);
/** 48 bits, never 0. `reason` as fingerprint_reason() gives it. */
uint64_t fingerprint_of(sl_str route, sl_str endpoint, sl_str class_, sl_str reason);

void fingerprint_name(uint64_t id, char out[FINGERPRINT_HEX]);
/** 0 or UV_EINVAL. */
int fingerprint_parse(sl_str name, uint64_t *ret);
