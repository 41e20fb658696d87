/*
 * http_guard.h - what is checked around llhttp 8.1.0, which alone is not strict enough.
 *
 * G1  the raw head, before llhttp: only CRLF ends a line, no folding, no control bytes
 * G2  fields: names are tokens, one Host on 1.1, singletons stand once, '_' is not '-'
 * G3  framing: method and version allow-lists, Content-Length or exactly "chunked", never both
 * G4  chunked bodies: budgets of wire bytes, extensions and chunks
 * G5  trailers: counted, capped, discarded; a framing field there is an error
 * G6  the server closes on any parse error and never resynchronises
 *
 * Every verdict depends on the bytes alone, not on how they were cut into reads: the gate and the
 * budget go byte by byte, and the rest looks at a complete head.
 *
 * No loop, no state beyond the arguments, nothing is allocated. @thread any
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sluice/sluice.h>

#define HTTP_MAX_LINE       8192  /* bytes of a request line or a field line, without CRLF */
#define HTTP_MAX_TRAILERS   8192  /* bytes of a trailer section */
#define HTTP_MAX_EXTENSIONS 1024  /* bytes of chunk extensions (and padding) in a message */
#define HTTP_MAX_CHUNKS     65536 /* in a message */

/** Why not: the status to answer with and a short constant reason. status 0: nothing wrong. */
struct http_refusal {
    int status;
    const char *why;
};

/** A token by RFC 9110: one or more of letters, digits and !#$%&'*+-.^_`|~ */
bool http_is_token(sl_str s);
/** No control byte but HTAB: what may stand in a field's value. */
bool http_is_field_value(sl_str s);

/* ---- G1 and G5: the raw gate over a head or a trailer section ---- */

/** Watches raw bytes up to the empty line. `trailer`: there is no request line, and an empty line
 *  at once is a whole (empty) section. */
struct http_gate {
    uint32_t max_bytes, max_fields;
    uint32_t bytes, lines; /* taken so far; complete, non-empty lines */
    uint32_t line_bytes;   /* of the line under way */
    uint8_t leading;       /* CRLFs before the request line: one is forgiven */
    bool trailer, cr, done;
};

void http_gate_init(struct http_gate *g, uint32_t max_bytes, uint32_t max_fields, bool trailer);
/** Take bytes until the section is complete (g->done) or refused; returns how many were taken.
 *  400, 414 (request line), 431; *ret is untouched while all is well. */
size_t http_gate_take(struct http_gate *g, const char *p, size_t n, struct http_refusal *ret);

/* ---- G2 and G3: a complete head ---- */

/** Views into the raw head. */
struct http_head {
    sl_str method, target, path, query;
    int minor;          /* HTTP/1.minor: 0 or 1 */
    sl_header *headers; /* the caller's array, in the order received; values without outer blanks */
    size_t n_headers;
    bool chunked;
    bool has_length;
    uint64_t length;      /* Content-Length; 0 without one */
    bool keep_alive;      /* by version and Connection */
    bool expect_continue; /* HTTP/1.1 with Expect: 100-continue */
};

/**
 * Read a head that passed the gate.
 * @param raw        from the first byte the gate took to the empty line
 * @param headers    room for gate.lines - 1 fields; borrowed by *h
 * @param singletons NULL-terminated lower-case names that may stand once, or prefixes ending in
 *                   '*'; besides Host, Content-Length, Content-Type, Transfer-Encoding,
 *                   Authorization and Expect. May be NULL.
 * @return status 0, or 400, 405 (method), 413 (Content-Length beyond all bounds), 417, 501
 *         (transfer coding), 505; *h is then filled in part: method and minor are views or empty
 */
struct http_refusal http_head_read(struct http_head *h, sl_str raw, sl_header *headers,
                                   const char *const *singletons);

/** A trailer section that passed the gate: 0, or 400 when a line is no field or names a framing
 *  field. */
struct http_refusal http_trailers_check(sl_str raw);

/* ---- G4: the budget of a chunked body, counted outside llhttp, which hides these bytes ---- */

struct http_budget {
    uint64_t body_max;
    uint64_t wire, body; /* bytes from the first chunk on; of these decoded (promised by headers) */
    uint64_t line;       /* bytes of the chunk header under way */
    uint32_t chunks, extensions;
};

void http_budget_init(struct http_budget *b, uint64_t body_max);
/** n bytes of a chunk header that is not complete yet. 400 or 413. */
struct http_refusal http_budget_line(struct http_budget *b, uint64_t n);
/** The chunk header is complete (all its bytes were counted) and promises `size`; 0 is the last. */
struct http_refusal http_budget_chunk(struct http_budget *b, uint64_t size);
/** n bytes of chunk data or of the CRLF after it. */
struct http_refusal http_budget_data(struct http_budget *b, uint64_t n);
