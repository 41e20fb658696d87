/*
 * http_peer.c - see http_peer.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http_peer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"

#define PATIENCE_MS 30000

/* ---- the handler ---- */

static void answer(struct rig *g, struct http_request *r)
{
    struct http_reply reply = g->reply;
    char text[200];

    if (!reply.body.ptr) {
        snprintf(text, sizeof(text), "%.*s %.60s", STR_ARG(http_method(r)), http_path(r).ptr);
        text[http_method(r).len + 1 + (http_path(r).len < 60 ? http_path(r).len : 60)] = '\0';
        reply.body = str_of(text);
    }
    http_reply(r, &reply);
}

static void on_head(void *ctx, struct http_request *r)
{
    struct rig *g = ctx;

    g->heads++;
    g->piece_bytes = 0;
    buf_clear(&g->streamed);
    g->peer_uid = http_peer_uid(r);
    snprintf(g->peer, sizeof(g->peer), STR_FMT, STR_ARG(http_peer(r)));
    snprintf(g->client, sizeof(g->client), STR_FMT, STR_ARG(http_client_address(r)));
    assert_null(http_data(r));
    http_set_data(r, g);
    if (g->limit_body >= 0)
        http_limit_body(r, (uint64_t)g->limit_body);
    if (g->when == ANSWER_AT_HEAD)
        answer(g, r);
}

static void on_body(void *ctx, struct http_request *r, const char *p, size_t n)
{
    struct rig *g = ctx;
    sl_str body = http_body(r);

    assert_true(n > 0);
    if (g->streams) {
        assert_int_equal(body.len, 0);
        buf_append(&g->streamed, p, n);
    } else {
        assert_true(body.len >= n);
        assert_memory_equal(body.ptr + body.len - n, p, n);
    }
    g->piece_bytes += n;
    if (g->when == ANSWER_AT_BODY)
        answer(g, r);
}

static void on_end(void *ctx, struct http_request *r)
{
    struct rig *g = ctx;

    sl_str body = g->streams ? buf_view(&g->streamed) : http_body(r);
    bool known;
    uint64_t length = http_body_length(r, &known);

    g->ends++;
    assert_int_equal(g->piece_bytes, body.len);
    assert_true(!known || length == body.len);
    assert_ptr_equal(http_data(r), g);
    buf_printf(&g->seen, STR_FMT " " STR_FMT "[" STR_FMT "] ", STR_ARG(http_method(r)),
               STR_ARG(http_target(r)), STR_ARG(body));
    if (g->when == ANSWER_NEVER)
        g->held = r;
    else
        answer(g, r);
}

static void on_gone(void *ctx, struct http_request *r)
{
    struct rig *g = ctx;

    assert_ptr_equal(http_data(r), g);
    g->gones++;
    if (g->held == r)
        g->held = NULL;
}

static void on_refused(void *ctx, int status, const char *why)
{
    struct rig *g = ctx;

    g->refusals++;
    g->refused_status = status;
    g->refused_why = why;
}

static const struct http_handler handler = {
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_gone = on_gone,
    .on_refused = on_refused,
};

static const struct http_handler streaming_handler = {
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_gone = on_gone,
    .on_refused = on_refused,
    .streams = true,
};

/* ---- the rig ---- */

void rig_defaults(struct http_server_conf *conf)
{
    http_server_defaults(conf);
    conf->listen = "127.0.0.1:0";
}

static void open_with(struct rig *g, const struct http_server_conf *conf,
                      const struct http_handler *how)
{
    struct fail fail = { 0 };

    *g = (struct rig){ .limit_body = -1, .reply = { .status = 200 }, .streams = how->streams };
    assert_int_equal(uv_loop_init(&g->loop), 0);
    if (http_server_open(&g->server, &g->loop, conf, how, g, &fail) < 0)
        fail_msg("%s", fail.text);
}

void rig_open(struct rig *g, const struct http_server_conf *conf)
{
    open_with(g, conf, &handler);
}

void rig_open_streaming(struct rig *g, const struct http_server_conf *conf)
{
    open_with(g, conf, &streaming_handler);
}

void rig_on_closed(void *ctx)
{
    struct rig *g = ctx;

    g->closed++;
    g->server = NULL;
}

void rig_finish(struct rig *g)
{
    if (g->server) {
        http_server_close(g->server, 0, g->closed ? NULL : rig_on_closed, g);
        rig_until(g, &g->closed, 1);
    }
    uv_run(&g->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&g->loop), 0);
    buf_finish(&g->seen);
    buf_finish(&g->streamed);
}

void rig_turn(struct rig *g)
{
    uv_run(&g->loop, UV_RUN_NOWAIT);
}

/* A turn that does not burn the processor while nothing happens. */
static void rig_wait(struct rig *g, uint64_t start_ms)
{
    struct pollfd fd = { .fd = uv_backend_fd(&g->loop), .events = POLLIN };

    if (clock_mono_ms() - start_ms > PATIENCE_MS)
        fail_msg("nothing happened for %d ms", PATIENCE_MS);
    rig_turn(g);
    poll(&fd, 1, 1);
}

void rig_until(struct rig *g, const int *counter, int n)
{
    uint64_t start = clock_mono_ms();

    while (*counter < n)
        rig_wait(g, start);
}

void rig_until_connections(struct rig *g, uint32_t n)
{
    uint64_t start = clock_mono_ms();

    while (http_server_connections(g->server) != n)
        rig_wait(g, start);
}

void rig_for(struct rig *g, unsigned ms)
{
    uint64_t start = clock_mono_ms();

    while (clock_mono_ms() - start < ms)
        rig_wait(g, start);
}

/* ---- the peer ---- */

static void peer_open(struct peer *p, int family)
{
    *p = (struct peer){ 0 };
    p->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(p->fd >= 0);
}

void peer_connect_from(struct peer *p, const struct rig *g, const char *address)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_addr = { htonl(INADDR_LOOPBACK) },
                              .sin_port = htons((uint16_t)http_server_port(g->server)) };
    struct sockaddr_in from;
    int on = 1;

    peer_open(p, AF_INET);
    assert_int_equal(uv_ip4_addr(address, 0, &from), 0);
    assert_int_equal(bind(p->fd, (struct sockaddr *)&from, sizeof(from)), 0);
    assert_int_equal(connect(p->fd, (struct sockaddr *)&to, sizeof(to)), 0);
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void peer_connect(struct peer *p, const struct rig *g)
{
    peer_connect_from(p, g, "127.0.0.1");
}

void peer_connect_unix(struct peer *p, const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    peer_open(p, AF_UNIX);
    assert_int_equal(connect(p->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
}

bool peer_send(struct peer *p, struct rig *g, const char *bytes, size_t n)
{
    uint64_t start = clock_mono_ms();

    while (n > 0) {
        ssize_t sent = send(p->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent < 0 && errno != EAGAIN)
            return false;
        if (sent > 0) {
            bytes += sent;
            n -= (size_t)sent;
            start = clock_mono_ms();
        }
        rig_turn(g);
        peer_read(p);
        if (clock_mono_ms() - start > PATIENCE_MS)
            fail_msg("the server takes no more bytes");
    }
    return true;
}

bool peer_text(struct peer *p, struct rig *g, const char *text)
{
    return peer_send(p, g, text, strlen(text));
}

void peer_read(struct peer *p)
{
    char chunk[65536];
    ssize_t n;

    while (!p->eof && !p->error) {
        n = recv(p->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
        if (n > 0)
            buf_append(&p->got, chunk, (size_t)n);
        else if (n == 0)
            p->eof = true;
        else if (errno == EAGAIN)
            return;
        else
            p->error = errno;
    }
}

int peer_count(const struct peer *p, const char *text)
{
    const char *at = p->got.data, *end = at + p->got.len;
    size_t len = strlen(text);
    int n = 0;

    while (at && (at = memmem(at, (size_t)(end - at), text, len)) != NULL) {
        n++;
        at += len;
    }
    return n;
}

void peer_expect(struct peer *p, struct rig *g, const char *text, int times)
{
    uint64_t start = clock_mono_ms();

    for (peer_read(p); peer_count(p, text) < times; peer_read(p)) {
        if (p->eof || p->error)
            fail_msg("closed (%s) before \"%s\" x %d; received: %s", strerror(p->error), text,
                     times, p->got.data ? p->got.data : "");
        rig_wait(g, start);
    }
}

void peer_expect_eof(struct peer *p, struct rig *g)
{
    uint64_t start = clock_mono_ms();

    for (peer_read(p); !p->eof; peer_read(p)) {
        if (p->error)
            fail_msg("reset (%s); received: %s", strerror(p->error),
                     p->got.data ? p->got.data : "");
        rig_wait(g, start);
    }
}

void peer_statuses(const struct peer *p, char *out, size_t cap)
{
    static const char mark[] = "HTTP/1.1 ";
    const char *at = p->got.data;
    size_t len = 0;

    out[0] = '\0';
    while (at && (at = strstr(at, mark)) != NULL && len + 5 < cap) {
        at += sizeof(mark) - 1;
        len += (size_t)snprintf(out + len, cap - len, "%s%.3s", len ? " " : "", at);
    }
}

void peer_close(struct peer *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    buf_finish(&p->got);
}

/* ---- both ---- */

void open_default(struct rig *g, struct peer *p)
{
    struct http_server_conf conf;

    rig_defaults(&conf);
    rig_open(g, &conf);
    peer_connect(p, g);
}

void close_both(struct rig *g, struct peer *p)
{
    peer_close(p);
    rig_finish(g);
}

void reply_text(struct rig *g, const char *text)
{
    struct http_request *r = g->held;

    assert_non_null(r);
    g->held = NULL;
    http_reply_text(r, 200, text);
}
