/*
 * peer.c - see peer.h.
 */
#include "peer.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

struct peer_conn {
    struct list link;
    struct peer *peer;
    uv_tcp_t tcp;
    uv_idle_t drip;
    SSL *ssl;
    struct buf in;
    struct buf dripping;
    enum peer_then then;
    unsigned held;
    bool closing;
};

struct out {
    uv_write_t req;
    char bytes[];
};

static void on_closed(uv_handle_t *handle)
{
    struct peer_conn *c = handle->data;

    if (--c->held > 0)
        return;
    SSL_free(c->ssl);
    buf_finish(&c->in);
    buf_finish(&c->dripping);
    free(c);
}

static void end(struct peer_conn *c, enum peer_then how);

static void on_written(uv_write_t *req, int status)
{
    (void)status;
    free(container_of(req, struct out, req));
}

static void send_raw(struct peer_conn *c, const char *p, size_t n)
{
    struct out *o = malloc(sizeof(*o) + n);
    uv_buf_t b;

    memcpy(o->bytes, p, n);
    b = uv_buf_init(o->bytes, (unsigned)n);
    if (uv_write(&o->req, (uv_stream_t *)&c->tcp, &b, 1, on_written) < 0)
        free(o);
}

static void flush(struct peer_conn *c)
{
    char bytes[16384];
    int n;

    while (c->ssl && (n = BIO_read(SSL_get_wbio(c->ssl), bytes, sizeof(bytes))) > 0)
        send_raw(c, bytes, (size_t)n);
}

static void send_bytes(struct peer_conn *c, const char *p, size_t n)
{
    if (n == 0)
        return;
    if (!c->ssl) {
        send_raw(c, p, n);
        return;
    }
    while (n > 0) {
        int took = SSL_write(c->ssl, p, n > 16384 ? 16384 : (int)n);

        if (took <= 0)
            abort();
        p += took;
        n -= (size_t)took;
        flush(c);
    }
}

/* Pending writes are tried by uv_write() at once and tests' answers are small, so closing loses
 * nothing that the socket's buffer can hold. */
static void end(struct peer_conn *c, enum peer_then how)
{
    if (c->closing)
        return;
    c->closing = true;
    c->peer->open--;
    list_remove(&c->link);
    if (c->ssl && how == PEER_CLOSE) {
        SSL_shutdown(c->ssl);
        flush(c);
    }
    if (how == PEER_RESET)
        uv_tcp_close_reset(&c->tcp, on_closed);
    else
        uv_close((uv_handle_t *)&c->tcp, on_closed);
    uv_close((uv_handle_t *)&c->drip, on_closed);
}

static void on_drip(uv_idle_t *idle)
{
    struct peer_conn *c = idle->data;

    send_bytes(c, c->dripping.data, 1);
    buf_consume(&c->dripping, 1);
    if (c->dripping.len > 0)
        return;
    uv_idle_stop(idle);
    if (c->then != PEER_KEEP)
        end(c, c->then);
}

static void play(struct peer_conn *c)
{
    struct peer *p = c->peer;
    struct peer_line line;

    p->requests++;
    if (p->line == p->n_lines)
        return;
    line = p->script[p->line++];
    if (line.drip) {
        c->then = line.then;
        buf_append(&c->dripping, line.bytes, line.len);
        uv_idle_start(&c->drip, on_drip);
        return;
    }
    send_bytes(c, line.bytes, line.len);
    if (line.then != PEER_KEEP)
        end(c, line.then);
}

/* Bytes of the first request in `in`, 0 while it is not whole. */
static size_t request_len(const struct buf *in)
{
    const char *head = in->len > 0 ? strstr(in->data, "\r\n\r\n") : NULL;
    const char *field;
    size_t n;

    if (!head)
        return 0;
    n = (size_t)(head - in->data) + 4;
    field = strstr(in->data, "Content-Length: ");
    if (field && field < head)
        n += strtoul(field + 16, NULL, 10);
    return n <= in->len ? n : 0;
}

static void on_bytes(struct peer_conn *c, const char *p, size_t n)
{
    size_t whole;

    buf_append(&c->peer->heard, p, n);
    if (c->peer->early) {
        send_bytes(c, c->peer->early, strlen(c->peer->early));
        end(c, PEER_CLOSE);
        return;
    }
    buf_append(&c->in, p, n);
    while (!c->closing && (whole = request_len(&c->in)) > 0) {
        buf_consume(&c->in, whole);
        play(c);
    }
}

static void on_cipher(struct peer_conn *c, const char *p, size_t n)
{
    char plain[16384];
    bool was_up = SSL_is_init_finished(c->ssl);
    const char *name;
    int r;

    BIO_write(SSL_get_rbio(c->ssl), p, (int)n);
    ERR_clear_error();
    while ((r = SSL_read(c->ssl, plain, sizeof(plain))) > 0 && !c->closing)
        on_bytes(c, plain, (size_t)r);
    if (c->closing)
        return;
    if (!was_up && SSL_is_init_finished(c->ssl)) {
        c->peer->handshakes++;
        name = SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name);
        snprintf(c->peer->sni, sizeof(c->peer->sni), "%s", name ? name : "");
    }
    flush(c);
    r = SSL_get_error(c->ssl, r);
    if (r == SSL_ERROR_ZERO_RETURN)
        c->peer->notified++;
    if (r != SSL_ERROR_WANT_READ)
        end(c, PEER_CLOSE);
    ERR_clear_error();
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    static char bytes[65536]; /* libuv reads and reports in one go */

    (void)handle;
    (void)hint;
    *buf = uv_buf_init(bytes, sizeof(bytes));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct peer_conn *c = stream->data;

    if (n < 0)
        end(c, PEER_CUT);
    else if (n > 0 && !c->closing && c->ssl)
        on_cipher(c, buf->base, (size_t)n);
    else if (n > 0 && !c->closing)
        on_bytes(c, buf->base, (size_t)n);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct peer *p = server->data;
    struct peer_conn *c = calloc(1, sizeof(*c));

    (void)status;
    c->peer = p;
    c->tcp.data = c->drip.data = c;
    uv_tcp_init(p->loop, &c->tcp);
    uv_idle_init(p->loop, &c->drip);
    c->held = 2;
    uv_accept(server, (uv_stream_t *)&c->tcp);
    list_append(&p->conns, &c->link);
    p->accepted++;
    p->open++;
    if (p->tls) {
        BIO *in = BIO_new(BIO_s_mem());

        BIO_set_mem_eof_return(in, -1);
        c->ssl = SSL_new(p->tls);
        SSL_set_bio(c->ssl, in, BIO_new(BIO_s_mem()));
        SSL_set_accept_state(c->ssl);
    }
    if (p->resets || p->closes) {
        end(c, p->resets ? PEER_RESET : PEER_CUT);
        return;
    }
    if (p->greets)
        send_raw(c, p->greets, strlen(p->greets));
    if (!p->deaf)
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

void peer_open(struct peer *p, uv_loop_t *loop, SSL_CTX *tls, const char *address)
{
    struct sockaddr_storage bound;
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;
    int len = sizeof(bound);

    *p = (struct peer){ .loop = loop, .tls = tls };
    list_init(&p->conns);
    uv_tcp_init(loop, &p->server);
    p->server.data = p;
    if (address && strchr(address, ':')) {
        uv_ip6_addr(address, 0, &in6);
        uv_tcp_bind(&p->server, (struct sockaddr *)&in6, 0);
    } else {
        uv_ip4_addr(address ? address : "127.0.0.1", 0, &in4);
        uv_tcp_bind(&p->server, (struct sockaddr *)&in4, 0);
    }
    if (uv_listen((uv_stream_t *)&p->server, 64, on_connection) < 0)
        abort();
    uv_tcp_getsockname(&p->server, (struct sockaddr *)&bound, &len);
    p->port = ntohs(((struct sockaddr_in *)&bound)->sin_port); /* the same place in both */
}

void peer_say_bytes(struct peer *p, const char *bytes, size_t len, enum peer_then then, bool drip)
{
    if (p->n_lines == PEER_LINES)
        abort();
    p->script[p->n_lines++] =
        (struct peer_line){ .bytes = bytes, .len = len, .then = then, .drip = drip };
}

void peer_say(struct peer *p, const char *bytes, enum peer_then then)
{
    peer_say_bytes(p, bytes, strlen(bytes), then, false);
}

void peer_shout(struct peer *p, const char *bytes)
{
    list_each (pos, &p->conns)
        send_bytes(list_entry(pos, struct peer_conn, link), bytes, strlen(bytes));
}

void peer_drop(struct peer *p, enum peer_then how)
{
    while (!list_empty(&p->conns))
        end(list_entry(list_first(&p->conns), struct peer_conn, link), how);
}

void peer_fin(struct peer *p)
{
    list_each (pos, &p->conns) {
        uv_os_fd_t fd;

        uv_fileno((uv_handle_t *)&list_entry(pos, struct peer_conn, link)->tcp, &fd);
        shutdown(fd, SHUT_WR);
    }
}

void peer_close(struct peer *p)
{
    peer_drop(p, PEER_CUT);
    uv_close((uv_handle_t *)&p->server, NULL);
}

void peer_finish(struct peer *p)
{
    buf_finish(&p->heard);
}
