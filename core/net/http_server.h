/*
 * http_server.h - an HTTP/1.1 server over libuv and llhttp, made to stand behind a reverse proxy
 * and in front of anything.
 *
 * One request is in flight on a connection; pipelined bytes wait (16 KiB at most, then reading
 * stops). Guards before and behind llhttp refuse what it lets through (see http_guard.h); after any
 * parse error the connection closes. All limits are total, none is per byte.
 *
 * Thread: all functions and callbacks run on the loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include <sluice/sluice.h>
#include "base/buf.h"
#include "base/fail.h"
#include "net/forwarded.h"

struct http_server;
struct http_request;

struct http_server_conf {
    const char *listen;       /* "127.0.0.1:8080", "[::1]:0", "unix:/run/sluice/in.sock" */
    unsigned unix_mode;       /* permissions of a unix socket, e.g. 0660 */
    uint32_t max_connections; /* further ones wait in the backlog */
    uint32_t max_per_address; /* further ones are answered 503 and closed; 0: no limit. IPv6
                                 counts by /64. Not for who is trusted, nor a unix socket */
    struct http_trust trust;  /* whose word on the client's address counts; borrowed until closed,
                                 or changed */
    uint32_t max_head_bytes;  /* whole head, 32 KiB */
    uint32_t max_fields;      /* 100 */
    uint64_t max_body_bytes;  /* default; a handler may lower or raise it per request */
    uint32_t head_ms;         /* first byte of a request to its complete head: 5 s */
    uint32_t body_ms;         /* head to the complete body, plus its size at 8 KiB/s: 10 s */
    uint32_t idle_ms;         /* keep-alive: 15 s */
    uint32_t write_ms;        /* the peer must take the answer within: 10 s */
    uint32_t send_bytes;      /* what the kernel keeps of answers that a peer does not take, and */
    uint32_t receive_bytes;   /* of requests not yet read; 0: megabytes, as it likes. Small ones
                                 let write_ms begin early, but make answers slow over far lines */
    const char *const *singletons; /* NULL-terminated, lower case; a trailing '*' is a prefix. These
                                      headers may stand once, besides the built-in ones (see
                                      http_guard.h). Borrowed until closed */
};

/** The defaults above; `listen` NULL; 4096 connections, no limit per address, nobody trusted, 2 MiB
 *  of body, mode 0660; singletons idempotency-key, webhook-*, x-shopify-*. */
void http_server_defaults(struct http_server_conf *conf);

/** What the owner of a server implements. */
struct http_handler {
    /** The head is complete and valid. The handler may answer at once (http_reply), lower the body
     *  limit, or just return: the body follows. With Expect: 100-continue the "100 Continue" goes
     *  out after this returned without an answer. */
    void (*on_head)(void *ctx, struct http_request *r);
    /** A piece of the (decoded) body as it arrives; it is appended to the request's body as well,
     *  unless `streams` is set. The bytes are borrowed for the call. The handler may answer: the
     *  rest of the body is then thrown away, and no further callback is made. May be NULL. */
    void (*on_body)(void *ctx, struct http_request *r, const char *p, size_t n);
    /** The body is complete: answer now or later. */
    void (*on_end)(void *ctx, struct http_request *r);
    /** No answer can be given any more: forget `r` (it is freed after this). The connection is
     *  gone, or the server itself refused the rest of the request (then on_refused follows). A peer
     *  that merely shut its sending side is not gone. Never called after http_reply(). */
    void (*on_gone)(void *ctx, struct http_request *r);
    /** A request was refused by the server itself with this status (parse error, limit, time-out);
     *  for counting. `why` is a short constant reason. May be NULL. */
    void (*on_refused)(void *ctx, int status, const char *why);
    /** The body is not gathered: on_body is handed each piece as a view into what was read, and
     *  http_body() stays empty. The limit of the body (http_limit_body) holds all the same. */
    bool streams;
};

/** Listen. `conf` is copied; `handler` and `ctx` are borrowed until closed. 0 or a negative libuv
 *  code with `fail` filled. A unix socket left by a process that died is replaced; it is removed on
 *  closing. SIGPIPE is ignored from then on if its disposition was the default. */
int http_server_open(struct http_server **ret, uv_loop_t *loop, const struct http_server_conf *conf,
                     const struct http_handler *handler, void *ctx, struct fail *fail);

/** Other limits of connections and bodies and other trust from now on; what else `conf` says is not
 *  looked at. Connections beyond a lower limit stay. */
void http_server_change(struct http_server *s, const struct http_server_conf *conf);

/** The port that was bound (after listen "...:0"), 0 for a unix socket. */
int http_server_port(const struct http_server *s);
uint32_t http_server_connections(const struct http_server *s);
/** Connections that were turned away since the beginning, by max_per_address. */
uint64_t http_server_turned_away(const struct http_server *s);

/** Stop accepting, close idle connections (after 100 ms: a request may be on its way), finish
 * requests under way with "Connection: close", for at most `ms`; then close. `cb` runs once all is
 * freed, never before this returns. Calling it again with 0 ends it now (`cb` may be NULL then: the
 * first one stays). */
void http_server_close(struct http_server *s, uint32_t ms, void (*cb)(void *ctx), void *ctx);

/* ---- a request: valid from on_head to http_reply() or on_gone ---- */

sl_str http_method(const struct http_request *r);
sl_str http_target(const struct http_request *r); /* as received, origin form: "/in/shop?x=1" */
sl_str http_path(const struct http_request *r);   /* without the query; not percent-decoded */
sl_str http_query(const struct http_request *r);  /* without '?' */
const sl_header *http_headers(const struct http_request *r, size_t *ret_n);
/** First header of that name, compared without case; empty view when absent, *found may be NULL. */
sl_str http_header(const struct http_request *r, const char *name, bool *found);
/** From on_head on: the body's length as announced, 0 without a body. *ret_known (may be NULL) is
 *  false for a chunked body, whose length nobody knows yet. It is not above the limit once on_body
 *  or on_end is called. */
uint64_t http_body_length(const struct http_request *r, bool *ret_known);
/** Body so far, in one piece; the memory is the request's. Empty when the handler `streams`. */
sl_str http_body(const struct http_request *r);
/** Take the body's memory over (own, free()); the request's body is then empty. After on_end. */
char *http_body_steal(struct http_request *r, size_t *ret_len);
/** For on_head: the most this request's body may have. */
void http_limit_body(struct http_request *r, uint64_t bytes);
/** For handlers: a pointer of their own. */
void http_set_data(struct http_request *r, void *data);
void *http_data(const struct http_request *r);
/** Peer address as text, without the port; "unix" for a unix socket. */
sl_str http_peer(const struct http_request *r);
/** The address of the client, as text: the peer, or, when the peer is a trusted proxy, whom its
 *  X-Forwarded-For or Forwarded header names (see forwarded.h). */
sl_str http_client_address(const struct http_request *r);
/** For a unix socket: the peer's uid, or -1. */
int64_t http_peer_uid(const struct http_request *r);

struct http_reply {
    int status;
    const char *content_type; /* NULL: none */
    sl_str body;              /* copied */
    const sl_header *headers; /* further ones; copied */
    size_t n_headers;
    bool close; /* close the connection after it */
};

/** Answer; once, with a status of 200 to 599. Date, Content-Length and Connection are the server's;
 *  headers of these names or with unusable bytes are left out. If the body has not arrived whole
 *  the connection closes after the answer. No callback runs within this. */
void http_reply(struct http_request *r, const struct http_reply *reply);
/** The same for a plain status with a short text body. */
void http_reply_text(struct http_request *r, int status, const char *text);
