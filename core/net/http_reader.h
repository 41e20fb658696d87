/*
 * http_reader.h - one request's bytes in, its head and body out: the guards and llhttp in the order
 * in which the bytes must pass them. No sockets, no time.
 *
 * Two readers look at every head, the guard and llhttp; a request is refused unless they agree on
 * its framing. llhttp never sees a byte beyond the request, nor its trailers.
 */
#pragma once

#include <llhttp.h>
#include "base/buf.h"
#include "net/http_guard.h"

#if LLHTTP_STRICT_MODE != 1
#error "llhttp must be compiled with -DLLHTTP_STRICT_MODE=1, and so must what includes its header"
#endif

#define HTTP_READER_KEEPS 4096

enum http_stage {
    HTTP_STAGE_HEAD,    /* up to the empty line */
    HTTP_STAGE_FIXED,   /* a body of Content-Length */
    HTTP_STAGE_CHUNK,   /* a chunk's header */
    HTTP_STAGE_DATA,    /* a chunk's data and its CRLF */
    HTTP_STAGE_TRAILER, /* after the last chunk */
    HTTP_STAGE_END,     /* the request is whole */
    HTTP_STAGE_BAD,     /* refused: nothing more is read */
    HTTP_STAGE__COUNT
};

/** Invariant: `head` is valid from HTTP_STEP_HEAD on; its texts are views into `raw`, its headers
 *  are `fields`. */
struct http_reader {
    enum http_stage stage;
    const char *const *singletons; /* borrowed */
    uint64_t body_max;             /* may be changed until the first byte of the body */
    uint64_t body_bytes;           /* received on the wire after the head */
    struct http_head head;
    struct http_refusal refusal; /* at HTTP_STEP_BAD */

    llhttp_t ll;
    struct http_gate gate;
    struct http_budget budget;
    struct buf raw;     /* the head as received; own */
    sl_header *fields;  /* own */
    uint32_t n_fields;  /* there is room for */
    struct buf trailer; /* own */
    uint64_t left;      /* HTTP_STAGE_FIXED: bytes to come */
    /* what llhttp's callbacks saw in the last run; nothing is done inside them */
    sl_str seen_body;
    bool seen_head, seen_chunk, seen_chunk_end, seen_end;
};

enum http_step {
    HTTP_STEP_MORE, /* all was taken, more is needed */
    HTTP_STEP_HEAD, /* r->head is complete */
    HTTP_STEP_BODY, /* *ret_piece is a piece of the decoded body, a view into the input */
    HTTP_STEP_END,  /* the request is whole; the rest of the input belongs to the next one */
    HTTP_STEP_BAD,  /* r->refusal says why; the connection cannot be used any more */
};

void http_reader_init(struct http_reader *r, uint32_t max_head, uint32_t max_fields,
                      uint64_t max_body, const char *const *singletons);
/** The same for a reader that has been used; it keeps its memory, up to HTTP_READER_KEEPS bytes. */
void http_reader_again(struct http_reader *r, uint32_t max_head, uint32_t max_fields,
                       uint64_t max_body, const char *const *singletons);
void http_reader_finish(struct http_reader *r);

/** Take bytes from *p up to `end`, moving *p, until there is something to say. Call it again until
 *  it says MORE, END or BAD. */
enum http_step http_reader_step(struct http_reader *r, const char **p, const char *end,
                                sl_str *ret_piece);

/** After HTTP_STEP_HEAD: is a body announced? */
bool http_reader_has_body(const struct http_reader *r);
/** After HTTP_STEP_HEAD: bytes of the body that are still to come; 0 for a chunked one. */
uint64_t http_reader_left(const struct http_reader *r);
/** After HTTP_STEP_HEAD: has every byte of the request been taken? A chunked one has at its END. */
bool http_reader_is_whole(const struct http_reader *r);
