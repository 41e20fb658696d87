/*
 * http_answer.h - one answer's bytes in, its head and body out. No sockets, no time.
 *
 * The raw head is gathered and read here, strictly; then llhttp reads it again, and both must agree
 * on the framing, since llhttp 8.1.0 alone forgives too much (folded lines, two-digit statuses).
 * llhttp cuts the body. A 1xx is skipped, at most HTTP_MAX_INTERIM times.
 *
 * Every verdict depends on the bytes alone, not on how they were cut into reads; only the budget of
 * chunk framing is looked at once a read.
 */
#pragma once

#include <llhttp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sluice/sluice.h>
#include "base/buf.h"

#if LLHTTP_STRICT_MODE != 1
#error "llhttp must be compiled with -DLLHTTP_STRICT_MODE=1, and so must what includes its header"
#endif

#define HTTP_MAX_INTERIM 8 /* 1xx before the answer */

enum answer_stage {
    ANSWER_HEAD,
    ANSWER_BODY,
    ANSWER_END, /* whole */
    ANSWER_BAD, /* nothing more is read */
    ANSWER__COUNT
};

/** Invariant: from ANSWER_BODY on, `status` and `headers` (views into `raw`) are valid. */
struct http_answer {
    enum answer_stage stage;
    int status;
    sl_header *headers; /* own */
    size_t n_headers;
    struct buf body; /* own; decoded */
    bool keep;       /* the connection may be used again, as far as the answer says */
    bool started;    /* a byte has come */
    const char *why; /* at ANSWER_BAD: a constant text */

    uint32_t max_head;
    uint64_t max_body;
    bool to_head; /* the answer to a HEAD */
    struct buf raw;
    uint32_t head_bytes; /* all heads, the skipped ones too */
    uint32_t line_bytes; /* of the line under way */
    uint32_t lines;
    unsigned interim;
    int minor; /* HTTP/1.minor */
    bool chunked, has_length, no_body, by_close;
    bool saw_close, saw_keep;
    uint64_t length;
    uint64_t wire; /* bytes after the head */
    llhttp_t ll;
    bool seen_head, seen_end; /* what llhttp reported */
    int body_error;           /* from its body callback */
};

void http_answer_init(struct http_answer *a, bool to_head, uint32_t max_head, uint64_t max_body);
void http_answer_finish(struct http_answer *a);

/** Take bytes. 1: the answer is whole (*ret_used of them belonged to it), 0: all taken, more are
 *  needed, or UV_EPROTO, UV_E2BIG, UV_ENOMEM with a->why. */
int http_answer_feed(struct http_answer *a, const char *p, size_t n, size_t *ret_used);
/** The peer ended the stream cleanly. 1: that completes the answer; else UV_EOF. */
int http_answer_eof(struct http_answer *a);
