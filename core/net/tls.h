/*
 * tls.h - the client's side of TLS 1.2 and 1.3 without a socket: bytes of the wire go in and out
 * through memory, so it runs on any loop and never blocks.
 *
 * The peer's certificate is always verified: its chain against the roots, and its name (or, for an
 * address, its IP SAN) against the host that was asked for. Revocation is not checked.
 * @thread loop
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/buf.h"
#include "base/fail.h"

/** The shared part, one for many connections; SSL_CTX_free() it. `ca_file`: PEM, NULL for the
 *  system's roots. 0, or HTTP_E_TLS with `fail`. */
int tls_ctx_create(SSL_CTX **ret, const char *ca_file, struct fail *fail);

/** One connection. All zero is valid: nothing to finish. */
struct tls {
    SSL *ssl;
    BIO *in, *out; /* owned by `ssl` */
    bool up;       /* the handshake is complete */
    char why[200]; /* after HTTP_E_TLS: for the operator */
};

/** `host`: a name, or an IPv4 or IPv6 address without brackets; borrowed for the call. 0 or
 *  UV_ENOMEM. */
int tls_init(struct tls *t, SSL_CTX *ctx, const char *host);
/** NULL-safe in its parts; sends nothing: see tls_shutdown(). */
void tls_finish(struct tls *t);

/** Bytes that came from the wire. 0 or UV_ENOMEM. */
int tls_feed(struct tls *t, const char *p, size_t n);
/** Append to `out` what must go to the wire now. Call it after each function below. */
void tls_take(struct tls *t, struct buf *out);

/** 1: up, 0: more bytes are needed, HTTP_E_TLS: refused. */
int tls_handshake(struct tls *t);
/** Decrypted bytes: their number, 0: more are needed, UV_EOF: the peer said close_notify,
 *  HTTP_E_TLS. */
int tls_read(struct tls *t, char *p, size_t cap);
/** Encrypt all of it. 0 or HTTP_E_TLS. */
int tls_write(struct tls *t, const char *p, size_t n);
/** Say close_notify, if there is anybody to say it to. */
void tls_shutdown(struct tls *t);
