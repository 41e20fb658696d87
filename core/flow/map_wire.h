/*
 * map_wire.h - the frames between the daemon and a mapping worker (both the same binary, so there
 * is no version). Integers little endian.
 *
 * A frame is a header - payload bytes (u32), type (u8), job (u64, else 0) - and the payload. The
 * worker answers the header of a JOB before it reads the rest, so that an input too large for its
 * memory is charged to the job that brought it.
 */
#pragma once

#include "base/digest.h"
#include "base/pack.h"

#define WIRE_HEADER 13
#define WIRE_FD     3

enum wire_type {
    /* to the worker */
    WIRE_CONF = 1, /* u64 memory, u64 output, i64 deadline_ms */
    WIRE_PROGRAM,  /* digest, u32 n, n names of variables, text */
    WIRE_DROP,     /* digest */
    WIRE_JOB,      /* input, u32 n, n x { u8 skip, digest, vars } */
    WIRE_CHECK,    /* as WIRE_PROGRAM, without the digest */
    /* from the worker */
    WIRE_HELLO = 64,
    WIRE_BEGIN,   /* job; u32 index of the run, WIRE_FIRST: the first that is not skipped */
    WIRE_DONE,    /* job; n x { i32 status, u32 outputs, the outputs, why }, skipped ones too */
    WIRE_VERDICT, /* i32 status, why */
};

#define WIRE_FIRST UINT32_MAX

/* How a worker ends by itself; other codes and signals are crashes. */
enum wire_exit { WIRE_EXIT_CLOSED = 0, WIRE_EXIT_PROTOCOL = 70, WIRE_EXIT_NOMEM = 71 };

static inline void wire_patch_u32(struct buf *b, size_t at, uint32_t v)
{
    if (!b->failed)
        for (size_t i = 0; i < 4; i++)
            b->data[at + i] = (char)(uint8_t)(v >> (8 * i));
}

/** Starts a frame at the end of `b`; returns where, for wire_end(). */
static inline size_t wire_begin(struct buf *b, enum wire_type type, uint64_t job)
{
    size_t start = b->len;

    pack_u32(b, 0);
    pack_u8(b, (uint8_t)type);
    pack_u64(b, job);
    return start;
}

/** A frame past 4 GiB sets b->failed. */
static inline void wire_end(struct buf *b, size_t start)
{
    if (!b->failed && b->len - start - WIRE_HEADER > UINT32_MAX)
        b->failed = true;
    wire_patch_u32(b, start, (uint32_t)(b->len - start - WIRE_HEADER));
}

struct wire_header {
    uint32_t bytes; /* of the payload */
    uint8_t type;
    uint64_t job;
};

/** @param raw WIRE_HEADER bytes */
static inline struct wire_header wire_header_of(const char *raw)
{
    struct unpack u = unpack_of((sl_str){ .ptr = raw, .len = WIRE_HEADER });
    struct wire_header h;

    h.bytes = unpack_u32(&u);
    h.type = unpack_u8(&u);
    h.job = unpack_u64(&u);
    return h;
}
