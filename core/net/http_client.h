/*
 * http_client.h - an HTTP/1.1 client over libuv, llhttp and OpenSSL, one pool of connections for
 * one endpoint.
 *
 * It answers one question exactly: did the first byte of the request leave? If not, nothing was
 * done; if so, only a whole answer tells. Redirects are not followed. A 1xx is skipped (8 at most),
 * 101 is an error. A stale pooled connection is not silently retried once a byte was written:
 * before that it is replaced by a fresh one.
 *
 * The process must ignore SIGPIPE: libuv writes without guarding against it.
 *
 * Thread: all functions and callbacks run on the loop; names are resolved off it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include <sluice/sluice.h>
#include "base/buf.h"
#include "base/fail.h"

struct http_client;
struct http_call;

struct http_client_conf {
    const char *ca_file;      /* PEM; NULL: the system's roots */
    struct http_client *like; /* trust what this one trusts, and read no roots: they take a tenth of
                                 a second. Borrowed for the call; NULL: read them */
    uint32_t connect_ms;      /* name, TCP and TLS: 5 s */
    uint32_t first_byte_ms;   /* request written to the first byte of the answer: 30 s */
    uint32_t total_ms;        /* all of it: 60 s */
    uint32_t idle_ms;         /* keep a free connection for: 30 s */
    uint32_t max_connections; /* calls beyond it queue, within total_ms: 8 */
    uint64_t max_answer;      /* bytes of answer body: 16 MiB */
    uint32_t max_answer_head; /* 64 KiB */
};

void http_client_defaults(struct http_client_conf *conf);

enum http_phase {
    HTTP_PHASE_QUEUE, /* waiting for a connection */
    HTTP_PHASE_DNS,
    HTTP_PHASE_CONNECT,
    HTTP_PHASE_TLS,
    HTTP_PHASE_SEND,
    HTTP_PHASE_WAIT, /* for the first byte of the answer */
    HTTP_PHASE_RECEIVE,
    HTTP_PHASE_DONE,
    HTTP_PHASE__COUNT
};

extern const char *const http_phase_names[HTTP_PHASE__COUNT];

struct http_call_conf {
    sl_str method;
    sl_str url; /* http:// or https://, no user info; the whole is copied */
    const sl_header
        *headers; /* copied; Host, Content-Length, Connection, Transfer-Encoding refused */
    size_t n_headers;
    sl_str body;         /* copied; Content-Length is always sent with POST, PUT, PATCH */
    uint32_t total_ms;   /* 0: the client's */
    uint64_t max_answer; /* 0: the client's */
};

/** The result. Views are valid during the callback only. */
struct http_result {
    int error; /* 0: a whole answer; else UV_ECONNREFUSED, UV_ETIMEDOUT, UV_EAI_*, UV_EPROTO (bad
                  bytes), UV_E2BIG (answer too large), UV_ECONNRESET, UV_EOF, UV_ECANCELED, or
                  HTTP_E_TLS */
    bool sent; /* the first byte of the request may have left */
    enum http_phase phase; /* where it ended */
    int status;
    const sl_header *headers;
    size_t n_headers;
    sl_str body;
    char why[240]; /* on error: for the operator, e.g. "certificate has expired" */
    uint32_t dns_ms, connect_ms, tls_ms, wait_ms, total_ms;
    bool reused; /* on a pooled connection */
};

#define HTTP_E_TLS (-5001) /* handshake, certificate or name; why[] says which */

typedef void (*http_call_cb)(void *ctx, const struct http_result *result);

/** 0, or UV_ENOMEM, or HTTP_E_TLS with `fail` (CA file). `conf` is copied. */
int http_client_open(struct http_client **ret, uv_loop_t *loop, const struct http_client_conf *conf,
                     struct fail *fail);

/** Other times and limits for the calls that begin from now on; `ca_file` is not looked at. */
void http_client_change(struct http_client *c, const struct http_client_conf *conf);

/** Start. The callback runs exactly once, never before this returns. 0, or UV_EINVAL with `fail`
 *  (URL, headers), UV_ENOMEM, or UV_ECANCELED (the client is closing); then no callback.
 *  User-Agent is sent unless `headers` has one. */
int http_client_call(struct http_client *c, const struct http_call_conf *conf, http_call_cb cb,
                     void *ctx, struct fail *fail);

/** Cancel every call (UV_ECANCELED to each), close every connection; `cb` runs once all is freed.
 */
void http_client_close(struct http_client *c, void (*cb)(void *ctx), void *ctx);

uint32_t http_client_connections(const struct http_client *c);

/** First header of that name without case; empty view when absent. */
sl_str http_result_header(const struct http_result *r, const char *name);
/** Retry-After in ms (seconds or HTTP date against wall_ms), also x-retry-after; X-RateLimit-Reset
 *  as (fractional) seconds only with status 429. Clamped to 1 h; -1: none or not understood. */
int64_t http_retry_after_ms(const struct http_result *r, int64_t wall_ms);
