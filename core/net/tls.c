/*
 * tls.c - see tls.h.
 */
#include "net/tls.h"

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <uv.h>
#include "net/http_client.h"

/* The newest error of the queue as text, and an empty queue. */
static const char *queue_text(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *text = code ? ERR_reason_error_string(code) : NULL;

    ERR_clear_error();
    return text ? text : "unknown error";
}

int tls_ctx_create(SSL_CTX **ret, const char *ca_file, struct fail *fail)
{
    SSL_CTX *ctx;

    ERR_clear_error();
    ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION)) {
        SSL_CTX_free(ctx);
        return fail_set(fail, HTTP_E_TLS, "TLS: cannot set up OpenSSL: %s", queue_text());
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (ca_file ? !SSL_CTX_load_verify_file(ctx, ca_file)
                : !SSL_CTX_set_default_verify_paths(ctx)) {
        SSL_CTX_free(ctx);
        return fail_set(fail, HTTP_E_TLS, "TLS: cannot load CA certificates from %s: %s",
                        ca_file ? ca_file : "the system's folder", queue_text());
    }
    ERR_clear_error();
    *ret = ctx;
    return 0;
}

static bool is_address(const char *host)
{
    unsigned char out[16];

    return inet_pton(AF_INET, host, out) == 1 || inet_pton(AF_INET6, host, out) == 1;
}

/* Whom we expect: without this any certificate of any trusted CA would do. */
static bool expect_host(SSL *ssl, const char *host)
{
    if (is_address(host)) /* an address is no name: no SNI (RFC 6066) */
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

int tls_init(struct tls *t, SSL_CTX *ctx, const char *host)
{
    ERR_clear_error();
    *t = (struct tls){ .ssl = SSL_new(ctx) };
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    if (!t->ssl || !t->in || !t->out || !expect_host(t->ssl, host)) {
        BIO_free(t->in);
        BIO_free(t->out);
        SSL_free(t->ssl);
        *t = (struct tls){ 0 };
        ERR_clear_error();
        return UV_ENOMEM;
    }
    BIO_set_mem_eof_return(t->in, -1); /* empty means "later", not "the end" */
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_connect_state(t->ssl);
    return 0;
}

void tls_finish(struct tls *t)
{
    SSL_free(t->ssl);
    *t = (struct tls){ 0 };
}

int tls_feed(struct tls *t, const char *p, size_t n)
{
    return n <= INT_MAX && BIO_write(t->in, p, (int)n) == (int)n ? 0 : UV_ENOMEM;
}

void tls_take(struct tls *t, struct buf *out)
{
    size_t n = t->out ? BIO_ctrl_pending(t->out) : 0;
    int got;

    if (n == 0 || buf_reserve(out, n) < 0)
        return;
    got = BIO_read(t->out, out->data + out->len, n > INT_MAX ? INT_MAX : (int)n);
    if (got > 0)
        out->len += (size_t)got;
    out->data[out->len] = '\0';
}

/* OpenSSL said no. Fill why[] and forget its queue. */
static int refused(struct tls *t)
{
    long verify = SSL_get_verify_result(t->ssl);

    if (!t->up && verify != X509_V_OK)
        snprintf(t->why, sizeof(t->why), "TLS: certificate refused: %s (%ld)",
                 X509_verify_cert_error_string(verify), verify);
    else
        snprintf(t->why, sizeof(t->why), "TLS: %s", queue_text());
    ERR_clear_error();
    return HTTP_E_TLS;
}

int tls_handshake(struct tls *t)
{
    int r;

    ERR_clear_error();
    r = SSL_do_handshake(t->ssl);
    if (r == 1) {
        t->up = true;
        return 1;
    }
    r = SSL_get_error(t->ssl, r);
    return r == SSL_ERROR_WANT_READ || r == SSL_ERROR_WANT_WRITE ? 0 : refused(t);
}

int tls_read(struct tls *t, char *p, size_t cap)
{
    size_t n = 0;
    int r;

    ERR_clear_error();
    r = SSL_read_ex(t->ssl, p, cap > INT_MAX ? INT_MAX : cap, &n);
    if (r == 1)
        return (int)n;
    switch (SSL_get_error(t->ssl, r)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        return UV_EOF;
    default:
        return refused(t);
    }
}

int tls_write(struct tls *t, const char *p, size_t n)
{
    size_t done = 0;

    for (; n > 0; p += done, n -= done) {
        ERR_clear_error();
        if (SSL_write_ex(t->ssl, p, n, &done) != 1) /* memory never makes it wait */
            return refused(t);
    }
    return 0;
}

void tls_shutdown(struct tls *t)
{
    if (!t->ssl || !t->up)
        return;
    ERR_clear_error();
    SSL_shutdown(t->ssl);
    ERR_clear_error();
}
