/*
 * peer.h - a scripted HTTP server on the test's loop: raw bytes, plain or TLS.
 *
 * It reads a request up to its end (Content-Length) and plays the next line of its script. Without
 * a line left it says nothing more and keeps the connection open.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <uv.h>
#include "base/buf.h"
#include "base/list.h"

enum peer_then {
    PEER_KEEP,  /* wait for the next request */
    PEER_CLOSE, /* cleanly: close_notify, FIN */
    PEER_CUT,   /* FIN alone */
    PEER_RESET, /* RST */
};

struct peer_line {
    const char *bytes;
    size_t len; /* 0: a string */
    enum peer_then then;
    bool drip; /* byte by byte, one a turn */
};

#define PEER_LINES 64

struct peer {
    uv_loop_t *loop;
    uv_tcp_t server;
    uint16_t port;
    SSL_CTX *tls; /* borrowed; NULL: plain */
    struct peer_line script[PEER_LINES];
    unsigned n_lines, line;
    /* on each new connection, instead of reading */
    bool resets, closes, deaf; /* deaf: it never reads */
    const char *greets;        /* says this before it is asked */
    const char *early;         /* answers at the first byte of a request, and closes */
    /* what happened */
    unsigned accepted, open, requests, handshakes, notified; /* notified: close_notify came */
    struct buf heard;                                        /* all requests */
    char sni[256];
    struct list conns;
};

/** Listens on 127.0.0.1, or `address`, at a free port. */
void peer_open(struct peer *p, uv_loop_t *loop, SSL_CTX *tls, const char *address);
void peer_say(struct peer *p, const char *bytes, enum peer_then then);
void peer_say_bytes(struct peer *p, const char *bytes, size_t len, enum peer_then then, bool drip);
/** Say something on every open connection now, unasked. */
void peer_shout(struct peer *p, const char *bytes);
/** Close (or reset) every open connection now. */
void peer_drop(struct peer *p, enum peer_then how);
/** Send FIN on every open connection at once, without a turn of the loop. */
void peer_fin(struct peer *p);
void peer_close(struct peer *p);
/** After the loop is done. */
void peer_finish(struct peer *p);
