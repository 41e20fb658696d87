/*
 * pack.h - the byte form of records: little-endian integers and length-prefixed byte strings.
 *
 * Writing goes to a struct buf. Reading is bounded: a read past the end sets `bad`, gives zero or
 * an empty view, and every later read does the same; check `bad` once, at the end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"

void pack_u8(struct buf *b, uint8_t v);
void pack_u32(struct buf *b, uint32_t v);
void pack_u64(struct buf *b, uint64_t v);
void pack_i64(struct buf *b, int64_t v);
void pack_str(struct buf *b, sl_str s);                /* u32 length, bytes */
void pack_raw(struct buf *b, const void *p, size_t n); /* bytes alone: fixed-size fields */

struct unpack {
    const uint8_t *p, *end;
    bool bad;
};

struct unpack unpack_of(sl_str s);
uint8_t unpack_u8(struct unpack *u);
uint32_t unpack_u32(struct unpack *u);
uint64_t unpack_u64(struct unpack *u);
int64_t unpack_i64(struct unpack *u);
sl_str unpack_str(struct unpack *u); /* view into the source */
void unpack_raw(struct unpack *u, void *out, size_t n);
/** True when everything was read and nothing was bad. */
bool unpack_done(const struct unpack *u);
