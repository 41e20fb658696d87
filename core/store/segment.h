/*
 * segment.h - the bytes of a segment file: a head block, then records, each found valid or not by
 * itself. Numbers are little endian.
 *
 * Head block, 4096 bytes:
 *     0  magic "SLUICSEG"          8  u32 format, 1         12  u32 number, as in the file's name
 *    16  log id, 16 bytes         32  u64 first record      40  i64 wall ms of its beginning
 *    48  u32 epoch of it          52  zeros               4092  u32 CRC32C of all before
 *
 * Record, padded with zeros to 8 bytes:
 *     0  u32 length without padding            4  u32 CRC32C of all but itself and the padding
 *     8  u64 seq      16  u32 epoch           20  u32 back: seq minus the first seq of its group
 *    24  u8 type      25  u8 flags (1: last of its append)  26  u16 n_keys  28  u32 zero
 *    32  n_keys times { hash 16, value 8 }, then the payload
 *
 * The check sum begins with the log's id, so no bytes that a sender can choose look like a record.
 * A file is used again without being cleared: seq and epoch tell its older records apart. The epoch
 * rises with each opening and after each group that failed. All before a record's group was durable
 * when the record was written; that is what `back` proves.
 *
 * Nothing here keeps state. @thread any
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sluice/types.h>
#include "store/window.h"

#define SEGMENT_HEAD        4096u
#define SEGMENT_FRAME       32u /* of a record, before its keys */
#define SEGMENT_KEY         24u
#define SEGMENT_RECORD_MOST (1u << 30)
#define SEGMENT_KEYS_MOST   65535u

struct segment_head {
    uint8_t log_id[16];
    uint32_t number, epoch;
    uint64_t first;
    int64_t begun_ms;
};

void segment_head_write(const struct segment_head *h, uint8_t out[SEGMENT_HEAD]);
/** 0; UV_EILSEQ: not a head block, or damaged; UV_ENOTSUP: of a newer format. */
int segment_head_read(const uint8_t in[SEGMENT_HEAD], struct segment_head *ret);

/** What check sums of this log's records begin with. */
uint32_t segment_seed(const uint8_t log_id[16]);

struct segment_record {
    uint64_t seq;
    uint32_t epoch, back;
    uint8_t type; /* enum record_type */
    bool last;    /* of its append */
    uint16_t n_keys;
    const uint8_t *keys; /* n_keys times SEGMENT_KEY bytes */
    sl_str payload;
};

/** Bytes it takes, padding included. */
static inline uint64_t segment_record_size(size_t n_keys, size_t payload_len)
{
    return (SEGMENT_FRAME + (uint64_t)n_keys * SEGMENT_KEY + payload_len + 7) & ~UINT64_C(7);
}

static inline uint64_t segment_record_bytes(const struct segment_record *rec)
{
    return segment_record_size(rec->n_keys, rec->payload.len);
}

/** The i-th key (16 bytes of hash) and its value. */
const uint8_t *segment_key(const struct segment_record *rec, size_t i, uint64_t *ret_value);
/** Put the i-th key behind the frame at `p`. */
void segment_key_write(uint8_t *p, size_t i, const uint8_t hash[16], uint64_t value);
/** Write the frame of `rec` at `p`, its keys stand behind it already; `rec->keys` is not used. */
void segment_frame_write(uint8_t *p, uint32_t seed, const struct segment_record *rec);

/** Which record is looked for. */
struct segment_expect {
    uint64_t least, most; /* seq */
    uint32_t epoch;       /* at least */
};

/** The record at `off`; views into the window. 0; UV_EOF or UV_EILSEQ: none that is expected; or
 *  UV_ENOMEM or an I/O code. */
int segment_read(struct window *w, uint32_t seed, uint64_t off, const struct segment_expect *x,
                 struct segment_record *ret);
/** The next one at *off or behind it, wherever it begins; *off is its place. As segment_read(),
 *  UV_EOF alone for none. Reads to the end if it must. */
int segment_seek(struct window *w, uint32_t seed, uint64_t *off, const struct segment_expect *x,
                 struct segment_record *ret);

/** Walk an image of a segment as opening does: records that follow each other, and those behind
 *  damaged places. How many were valid; UV_EILSEQ, UV_ENOTSUP: no head. For tests and fuzzing. */
int64_t segment_walk(const void *image, size_t n,
                     void (*fn)(void *ctx, const struct segment_record *rec), void *ctx);
