/*
 * http_wire.c - one connection of the client: name, TCP, TLS, request, answer, and again.
 *
 * Functions stand in the order in which things happen. What ends a call goes through wire_fail() or
 * end_call(); what ends the connection goes through wire_close().
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include "net/http_call.h"

#define BIT(n) (1u << (n))

static const unsigned moves[WIRE__COUNT] = {
    [WIRE_RESOLVE] = BIT(WIRE_CONNECT) | BIT(WIRE_CLOSING),
    [WIRE_CONNECT] = BIT(WIRE_NEXT) | BIT(WIRE_HANDSHAKE) | BIT(WIRE_SEND) | BIT(WIRE_CLOSING),
    [WIRE_NEXT] = BIT(WIRE_CONNECT) | BIT(WIRE_CLOSING),
    [WIRE_HANDSHAKE] = BIT(WIRE_SEND) | BIT(WIRE_CLOSING),
    [WIRE_SEND] = BIT(WIRE_WAIT) | BIT(WIRE_RECEIVE) | BIT(WIRE_CLOSING),
    [WIRE_WAIT] = BIT(WIRE_RECEIVE) | BIT(WIRE_CLOSING),
    [WIRE_RECEIVE] = BIT(WIRE_IDLE) | BIT(WIRE_CLOSING),
    [WIRE_IDLE] = BIT(WIRE_SEND) | BIT(WIRE_CLOSING),
};

static const enum http_phase phases[WIRE__COUNT] = {
    [WIRE_RESOLVE] = HTTP_PHASE_DNS,     [WIRE_CONNECT] = HTTP_PHASE_CONNECT,
    [WIRE_NEXT] = HTTP_PHASE_CONNECT,    [WIRE_HANDSHAKE] = HTTP_PHASE_TLS,
    [WIRE_SEND] = HTTP_PHASE_SEND,       [WIRE_WAIT] = HTTP_PHASE_WAIT,
    [WIRE_RECEIVE] = HTTP_PHASE_RECEIVE, [WIRE_IDLE] = HTTP_PHASE_DONE,
    [WIRE_CLOSING] = HTTP_PHASE_DONE,
};

static void dial(struct wire *w);
static void start_call(struct wire *w);
static void write_more(struct wire *w);
static void on_end(struct wire *w, int status, bool clean);

static void enter(struct wire *w, enum wire_state next)
{
    assert(moves[w->state] & BIT(next)); /* the table of legal moves */
    w->state = next;
}

static uint64_t now_ms(const struct wire *w)
{
    return uv_now(w->client->loop);
}

/* How long the phase took that ends now. */
static uint32_t lap(struct wire *w)
{
    uint64_t began = w->phase_ms;

    w->phase_ms = now_ms(w);
    return (uint32_t)(w->phase_ms - began);
}

/* ---- the end, which may come in every state ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct wire *w = handle->data;
    struct http_client *c = w->client;

    if (--w->held > 0 || w->state != WIRE_CLOSING) {
        if (w->state == WIRE_NEXT)
            dial(w);
        return;
    }
    tls_finish(&w->tls);
    buf_finish(&w->out);
    buf_finish(&w->next);
    free(w);
    client_on_wire_freed(c);
}

/* close_notify, or the alert that says why not: as far as the socket takes it at once. */
static void say_goodbye(struct wire *w)
{
    uv_buf_t bye;

    if (!w->use_tls || !w->connected)
        return;
    tls_shutdown(&w->tls);
    tls_take(&w->tls, &w->next);
    if (w->writing || w->next.len == 0 || w->next.failed)
        return;
    bye = uv_buf_init(w->next.data, (unsigned)w->next.len);
    uv_try_write((uv_stream_t *)&w->tcp, &bye, 1);
}

void wire_close(struct wire *w)
{
    bool tcp_open = w->state != WIRE_NEXT; /* there it is closing already */

    if (w->state == WIRE_CLOSING)
        return;
    say_goodbye(w);
    enter(w, WIRE_CLOSING);
    w->call = NULL;
    resolver_cancel(&w->resolve);
    list_remove(&w->link);
    w->client->n_wires--;
    w->client->n_closing++;
    if (tcp_open)
        uv_close((uv_handle_t *)&w->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&w->timer, on_handle_closed);
    client_wake(w->client); /* there is room for another */
}

void wire_fail(struct wire *w, int error, const char *fmt, ...)
{
    struct http_call *call = w->call;
    va_list ap;

    w->call = NULL;
    if (call) {
        va_start(ap, fmt);
        call_vdone(call, error, phases[w->state], fmt, ap);
        va_end(ap);
    }
    wire_close(w);
}

static void on_timer(uv_timer_t *timer)
{
    struct wire *w = timer->data;
    const struct http_client_conf *conf = &w->client->conf;

    switch (w->state) {
    case WIRE_RESOLVE:
        wire_fail(w, UV_ETIMEDOUT, "%s not resolved within %u ms", w->host, conf->connect_ms);
        break;
    case WIRE_CONNECT:
        if (w->next_address < w->addresses.n && now_ms(w) < w->connect_until_ms) {
            /* its share of the time is over */
            enter(w, WIRE_NEXT);
            uv_close((uv_handle_t *)&w->tcp, on_handle_closed);
            break;
        }
        resolver_forget(&w->client->resolver, w->host);
        wire_fail(w, UV_ETIMEDOUT, "not connected to %s:%u within %u ms", w->host, w->port,
                  conf->connect_ms);
        break;
    case WIRE_HANDSHAKE:
        wire_fail(w, UV_ETIMEDOUT, "TLS handshake with %s not complete within %u ms", w->host,
                  conf->connect_ms);
        break;
    case WIRE_WAIT:
        wire_fail(w, UV_ETIMEDOUT, "no answer within %u ms", conf->first_byte_ms);
        break;
    default:
        wire_close(w); /* idle for long enough */
    }
}

/* ---- a name becomes a connection ---- */

static void on_resolved(struct resolver_wait *wait, int status, const struct addresses *found)
{
    struct wire *w = container_of(wait, struct wire, resolve);

    w->call->result.dns_ms = lap(w);
    if (status < 0) {
        wire_fail(w, status, "%s: %s", w->host, uv_strerror(status));
        return;
    }
    w->addresses = *found;
    dial(w);
}

int wire_open(struct http_client *c, struct http_call *call)
{
    struct wire *w = calloc(1, sizeof(*w));
    int r;

    if (!w)
        return UV_ENOMEM;
    w->client = c;
    memcpy(w->host, call->host, sizeof(w->host));
    w->port = call->port;
    w->use_tls = call->tls;
    w->call = call;
    call->wire = w;
    uv_tcp_init(c->loop, &w->tcp);
    uv_timer_init(c->loop, &w->timer);
    w->tcp.data = w->timer.data = w;
    w->held = 2;
    list_append(&c->wires, &w->link);
    c->n_wires++;
    w->phase_ms = now_ms(w);
    w->connect_until_ms = w->phase_ms + c->conf.connect_ms;
    uv_timer_start(&w->timer, on_timer, c->conf.connect_ms, 0);
    w->resolve.cb = on_resolved;
    r = resolver_ask(&c->resolver, w->host, &w->resolve, &w->addresses);
    if (r < 0)
        wire_fail(w, r, "%s: %s", w->host, uv_strerror(r));
    else if (r == 1)
        dial(w);
    return 0;
}

static void dial_failed(struct wire *w, int status)
{
    char text[INET6_ADDRSTRLEN] = "";

    if (w->next_address < w->addresses.n) {
        enter(w, WIRE_NEXT);
        uv_timer_stop(&w->timer);
        uv_close((uv_handle_t *)&w->tcp, on_handle_closed);
        return;
    }
    uv_ip_name(&w->addresses.at[w->next_address - 1].sa, text, sizeof(text));
    resolver_forget(&w->client->resolver, w->host);
    wire_fail(w, status, "connect to %s (%s) port %u: %s", w->host, text, w->port,
              uv_strerror(status));
}

static void on_connected(uv_connect_t *req, int status)
{
    struct wire *w = req->data;

    if (w->state != WIRE_CONNECT || status == UV_ECANCELED)
        return; /* closing, or its time was over: then another is dialled */
    if (status < 0)
        dial_failed(w, status);
    else
        start_call(w);
}

/* RESOLVE, NEXT -> CONNECT: the next address, with its share of what is left of connect_ms. */
static void dial(struct wire *w)
{
    union address *a = &w->addresses.at[w->next_address++];
    uint64_t left = w->connect_until_ms > now_ms(w) ? w->connect_until_ms - now_ms(w) : 1;
    int r;

    if (w->state == WIRE_NEXT) {
        uv_tcp_init(w->client->loop, &w->tcp);
        w->held++;
    }
    enter(w, WIRE_CONNECT);
    left = left / (w->addresses.n - w->next_address + 1);
    uv_timer_start(&w->timer, on_timer, left > 0 ? left : 1, 0);
    if (a->sa.sa_family == AF_INET6)
        a->in6.sin6_port = htons(w->port);
    else
        a->in.sin_port = htons(w->port);
    w->connect.data = w;
    r = uv_tcp_connect(&w->connect, &w->tcp, &a->sa, on_connected);
    if (r < 0)
        dial_failed(w, r);
}

/* ---- bytes in ---- */

/* RECEIVE -> IDLE or CLOSING: the answer is whole. `clean`: and nothing stands behind it. */
static void end_call(struct wire *w, bool clean)
{
    struct http_call *call = w->call;
    bool keep = clean && call->answer.keep && !w->writing && !w->write_error &&
                w->taken == call->request.len && w->next.len == 0;

    w->call = NULL;
    call_done(call, 0, HTTP_PHASE_DONE, NULL);
    if (!keep || w->client->closing) {
        wire_close(w);
        return;
    }
    enter(w, WIRE_IDLE);
    list_remove(&w->link);
    list_prepend(&w->client->wires, &w->link);
    uv_timer_start(&w->timer, on_timer, w->client->conf.idle_ms, 0);
}

/* Decrypted bytes. */
static void on_bytes(struct wire *w, const char *p, size_t n)
{
    struct http_call *call = w->call;
    size_t used;
    int r;

    if (w->state == WIRE_IDLE) {
        wire_close(w); /* nobody asked */
        return;
    }
    if (w->state != WIRE_RECEIVE) {
        call->result.wait_ms = w->state == WIRE_WAIT ? lap(w) : 0;
        uv_timer_stop(&w->timer);
        enter(w, WIRE_RECEIVE);
    }
    r = http_answer_feed(&call->answer, p, n, &used);
    if (r < 0)
        wire_fail(w, r, "%s", call->answer.why);
    else if (r == 1)
        end_call(w, used == n);
}

static void on_cipher(struct wire *w, const char *p, size_t n)
{
    struct http_client *c = w->client;
    int r = tls_feed(&w->tls, p, n);

    if (r == 0 && w->state == WIRE_HANDSHAKE)
        r = tls_handshake(&w->tls);
    tls_take(&w->tls, &w->next);
    if (r < 0) {
        wire_fail(w, r, "%s", r == HTTP_E_TLS ? w->tls.why : "no memory for TLS");
        return;
    }
    if (w->state == WIRE_HANDSHAKE) {
        write_more(w);
        if (r == 0 || w->state != WIRE_HANDSHAKE)
            return;
        w->call->result.tls_ms = lap(w);
        start_call(w);
    }
    while (w->state != WIRE_CLOSING &&
           (r = tls_read(&w->tls, c->plain_buf, sizeof(c->plain_buf))) > 0)
        on_bytes(w, c->plain_buf, (size_t)r);
    if (w->state == WIRE_CLOSING)
        return;
    tls_take(&w->tls, &w->next);
    if (r == UV_EOF)
        on_end(w, UV_EOF, true);
    else if (r < 0)
        wire_fail(w, r, "%s", w->tls.why);
    else
        write_more(w);
}

/* No more bytes. `clean`: the peer said so in a way that nobody else could have. */
static void on_end(struct wire *w, int status, bool clean)
{
    const char *how = status != UV_EOF                    ? uv_strerror(status)
                      : w->use_tls && w->tls.up && !clean ? "closed without TLS close_notify"
                                                          : "connection closed";

    if (w->state == WIRE_IDLE) {
        wire_close(w);
        return;
    }
    if (w->state == WIRE_HANDSHAKE) {
        wire_fail(w, status, "during the TLS handshake: %s", how);
        return;
    }
    if (status == UV_EOF && clean && http_answer_eof(&w->call->answer) == 1) {
        end_call(w, false);
        return;
    }
    wire_fail(w, status, "%s %s", how,
              w->call->answer.started ? "in the middle of the answer" : "before an answer");
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct wire *w = handle->data;

    (void)hint;
    *buf = uv_buf_init(w->client->read_buf, sizeof(w->client->read_buf));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct wire *w = stream->data;

    if (w->state == WIRE_CLOSING || n == 0)
        return;
    if (n < 0)
        on_end(w, (int)n, !w->use_tls);
    else if (w->use_tls)
        on_cipher(w, buf->base, (size_t)n);
    else
        on_bytes(w, buf->base, (size_t)n);
}

/* ---- bytes out ---- */

/* SEND -> WAIT: the request is out, the peer now owes us an answer. */
static void wait_for_answer(struct wire *w)
{
    enter(w, WIRE_WAIT);
    w->phase_ms = now_ms(w);
    uv_timer_start(&w->timer, on_timer, w->client->conf.first_byte_ms, 0);
}

/* The peer takes no more. Before the first byte of a request that is harmless; after it, the peer
 * may have answered nevertheless: read on. */
static void on_write_failed(struct wire *w, int status)
{
    struct http_call *call = w->call;

    buf_clear(&w->out);
    buf_clear(&w->next);
    if (w->state == WIRE_HANDSHAKE || w->state == WIRE_IDLE) {
        wire_fail(w, status, "during the TLS handshake: %s", uv_strerror(status));
        return;
    }
    if (call->result.sent) {
        w->write_error = status;
        if (w->state == WIRE_SEND)
            wait_for_answer(w);
        return;
    }
    if (!w->reused || w->state != WIRE_SEND) {
        wire_fail(w, status, "nothing was sent: %s", uv_strerror(status));
        return;
    }
    w->call = NULL;
    client_requeue(w->client, call);
    wire_close(w);
}

/* Put the next piece of the request into `next`. False: there is none. */
static bool take_slice(struct wire *w)
{
    struct buf *request = w->call ? &w->call->request : NULL;
    size_t n;
    int r = 0;

    if (!request || w->write_error || (w->state != WIRE_SEND && w->state != WIRE_RECEIVE))
        return false;
    n = request->len - w->taken;
    if (n == 0) {
        if (w->state == WIRE_SEND)
            wait_for_answer(w);
        return false;
    }
    n = n < WIRE_SLICE_BYTES ? n : WIRE_SLICE_BYTES;
    if (w->use_tls) {
        r = tls_write(&w->tls, request->data + w->taken, n);
        tls_take(&w->tls, &w->next);
    } else {
        buf_append(&w->next, request->data + w->taken, n);
    }
    w->taken += n;
    if (r == 0 && !w->next.failed)
        return true;
    wire_fail(w, r < 0 ? r : UV_ENOMEM, "%s", r < 0 ? w->tls.why : "no memory to send");
    return false;
}

static void on_written(uv_write_t *req, int status)
{
    struct wire *w = req->data;

    w->writing = false;
    w->burst = 0;
    if (w->state == WIRE_CLOSING)
        return; /* libuv still reports writes, even with status 0 */
    buf_clear(&w->out);
    if (status < 0)
        on_write_failed(w, status);
    else
        write_more(w);
}

/* Write `out`. The first attempt asks the kernel itself: if it takes nothing, nothing was sent. */
static int write_out(struct wire *w)
{
    uv_buf_t piece = uv_buf_init(w->out.data, (unsigned)w->out.len);
    bool request = w->call && w->taken > 0; /* else it is TLS alone */
    int n = 0;

    if (w->burst++ < WIRE_BURST)
        n = uv_try_write((uv_stream_t *)&w->tcp, &piece, 1);
    if (n == UV_EAGAIN)
        n = 0;
    if (n >= 0 && request)
        w->call->result.sent = true; /* libuv will try again by itself: say yes from here on */
    if (n == (int)piece.len) {
        buf_clear(&w->out);
        return 0;
    }
    if (n >= 0) {
        piece = uv_buf_init(w->out.data + n, (unsigned)(w->out.len - (size_t)n));
        w->write.data = w;
        n = uv_write(&w->write, (uv_stream_t *)&w->tcp, &piece, 1, on_written);
        w->writing = n == 0;
    }
    if (n < 0)
        on_write_failed(w, n);
    return n;
}

/* All that may be written now: what TLS has to say first, then the request. */
static void write_more(struct wire *w)
{
    while (!w->writing && w->state != WIRE_CLOSING) {
        if (w->next.failed) {
            wire_fail(w, UV_ENOMEM, "no memory to send");
            return;
        }
        if (w->next.len == 0 && !take_slice(w)) {
            w->burst = 0;
            return;
        }
        if (w->next.len > 0) {
            struct buf empty = w->out;

            w->out = w->next;
            w->next = empty;
        }
        if (write_out(w) < 0)
            return;
    }
}

/* ---- a call on a connection ---- */

/* CONNECT, HANDSHAKE -> SEND, by way of HANDSHAKE with TLS. */
static void start_call(struct wire *w)
{
    int r = 0;

    if (!w->connected) {
        w->connected = true;
        w->call->result.connect_ms = lap(w);
        uv_tcp_nodelay(&w->tcp, 1);
        if (w->use_tls && (r = tls_init(&w->tls, w->client->tls, w->host)) < 0)
            w->use_tls = false; /* nothing to say goodbye with */
        if (r == 0)
            r = uv_read_start((uv_stream_t *)&w->tcp, on_alloc, on_read);
        if (r < 0) {
            wire_fail(w, r, "%s", uv_strerror(r));
            return;
        }
    }
    if (w->use_tls && !w->tls.up) {
        enter(w, WIRE_HANDSHAKE);
        uv_timer_start(&w->timer, on_timer,
                       w->connect_until_ms > now_ms(w) ? w->connect_until_ms - now_ms(w) : 1, 0);
        if (tls_handshake(&w->tls) < 0) { /* the hello */
            wire_fail(w, HTTP_E_TLS, "%s", w->tls.why);
            return;
        }
        tls_take(&w->tls, &w->next);
    } else {
        enter(w, WIRE_SEND);
        uv_timer_stop(&w->timer);
    }
    write_more(w);
}

bool wire_fits(const struct wire *w, const struct http_call *call)
{
    return w->state == WIRE_IDLE && w->port == call->port && w->use_tls == call->tls &&
           strcmp(w->host, call->host) == 0;
}

bool wire_alive(struct wire *w)
{
    uv_os_fd_t fd;
    char c;

    if (uv_fileno((uv_handle_t *)&w->tcp, &fd) < 0)
        return false;
    return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
}

void wire_use(struct wire *w, struct http_call *call)
{
    w->call = call;
    call->wire = w;
    call->result.reused = w->reused = true;
    w->taken = 0;
    w->phase_ms = now_ms(w);
    enter(w, WIRE_SEND);
    uv_timer_stop(&w->timer);
    write_more(w);
}
