/*
 * http_server.c - a listener, its connections, and their end.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "net/http_conn.h"

#define ACCEPTS_A_TURN 64

void http_server_defaults(struct http_server_conf *conf)
{
    static const char *const singletons[] = { "idempotency-key", "webhook-*", "x-shopify-*", NULL };

    *conf = (struct http_server_conf){
        .unix_mode = 0660,
        .max_connections = 4096,
        .max_head_bytes = 32768,
        .max_fields = 100,
        .max_body_bytes = 2u << 20,
        .head_ms = 5000,
        .body_ms = 10000,
        .idle_ms = 15000,
        .write_ms = 10000,
        .singletons = singletons,
    };
}

/* ---- accepting ---- */

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void spare_open(struct http_server *s)
{
    if (s->spare_fd < 0)
        s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void spare_close(struct http_server *s)
{
    if (s->spare_fd >= 0)
        close(s->spare_fd);
    s->spare_fd = -1;
}

static void accept_start(struct http_server *s)
{
    if (s->accepting || s->draining || s->n_conns >= s->conf.max_connections ||
        uv_is_active((uv_handle_t *)&s->accept_timer))
        return;
    s->accepting = uv_poll_start(&s->poll, UV_READABLE, on_acceptable) == 0;
}

static void accept_stop(struct http_server *s)
{
    s->accepting = false;
    uv_poll_stop(&s->poll);
}

static void on_accept_again(uv_timer_t *timer)
{
    struct http_server *s = timer->data;

    spare_open(s); /* first, or the next connection would take its place */
    if (s->spare_fd < 0)
        uv_timer_start(&s->accept_timer, on_accept_again, HTTP_ACCEPT_MS, 0);
    else
        accept_start(s);
}

/* No descriptor: what waits stays in the backlog, and the spare one is given up so that the rest of
 * the daemon can still open a file. */
static void accept_pause(struct http_server *s, int err)
{
    accept_stop(s);
    uv_timer_start(&s->accept_timer, on_accept_again, HTTP_ACCEPT_MS, 0);
    spare_close(s);
    if (s->starved)
        return; /* said before */
    s->starved = true;
    log_warn(&s->log, "cannot accept connections, they wait: err=%s open=%u", uv_err_name(err),
             s->n_conns);
}

static void accept_some(struct http_server *s)
{
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct remote peer;
        int fd;

        if (s->n_conns >= s->conf.max_connections) {
            accept_stop(s);
            return;
        }
        fd = listen_accept(s, &peer);
        if (fd == UV_EAGAIN)
            return;
        if (fd == UV_EMFILE || fd == UV_ENFILE || fd == UV_ENOMEM || fd == UV_ENOBUFS) {
            accept_pause(s, fd);
            return;
        }
        if (fd < 0)
            continue;            /* that one connection failed, such as by ECONNABORTED */
        conn_open(s, fd, &peer); /* what cannot be served is closed */
        s->starved = false;
    }
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    struct http_server *s = poll->data;

    (void)events;
    if (status < 0)
        accept_pause(s, status);
    else
        accept_some(s);
}

/* ---- the end ---- */

static void server_maybe_free(struct http_server *s)
{
    void (*cb)(void *ctx) = s->on_closed;
    void *ctx = s->on_closed_ctx;

    if (s->held > 0 || s->n_conns > 0)
        return;
    requests_free(s);
    buf_finish(&s->answer);
    free(s);
    if (cb)
        cb(ctx);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_server *s = handle->data;

    s->held--;
    server_maybe_free(s);
}

/* No further connections; the drain timer is the last handle, so that the server lives until all of
 * them are gone. */
static void server_stop_accepting(struct http_server *s)
{
    accept_stop(s);
    uv_close((uv_handle_t *)&s->poll, on_handle_closed);
    uv_close((uv_handle_t *)&s->accept_timer, on_handle_closed);
    listen_close(s);
    spare_close(s);
}

static void server_end(struct http_server *s)
{
    if (s->closing)
        return;
    s->closing = true;
    uv_close((uv_handle_t *)&s->drain_timer, on_handle_closed);
    uv_close((uv_handle_t *)&s->next_turn, on_handle_closed);
    list_each_safe (pos, tmp, &s->conns)
        conn_close(list_entry(pos, struct conn, link));
}

static void on_drain_timeout(uv_timer_t *timer)
{
    server_end(timer->data);
}

void server_on_conn_freed(struct http_server *s)
{
    if (!s->draining) {
        accept_start(s);
        return;
    }
    if (s->n_conns == 0)
        server_end(s);
    server_maybe_free(s);
}

void http_server_close(struct http_server *s, uint32_t ms, void (*cb)(void *ctx), void *ctx)
{
    if (cb) {
        s->on_closed = cb;
        s->on_closed_ctx = ctx;
    }
    if (!s->draining) {
        if (s->accepting && ms > 0)
            accept_some(s); /* who waits in the backlog may have sent a request already */
        s->draining = true;
        server_stop_accepting(s);
        list_each_safe (pos, tmp, &s->conns)
            conn_drain(list_entry(pos, struct conn, link));
    }
    if (ms == 0 || s->n_conns == 0)
        server_end(s);
    else if (!s->closing)
        uv_timer_start(&s->drain_timer, on_drain_timeout, ms, 0);
}

/* ---- the beginning ---- */

/* libuv writes with plain write(2): a peer that is gone must be an error, not the end of the
 * daemon. A disposition that somebody chose is left alone. */
static void ignore_sigpipe(void)
{
    struct sigaction now;

    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

/* Once the handles exist the server leaves through http_server_close(). */
static int server_init_handles(struct http_server *s, struct fail *fail)
{
    int r = uv_poll_init(s->loop, &s->poll, s->fd);

    if (r < 0)
        return fail_set(fail, r, "cannot listen on %s: %s", s->name, uv_strerror(r));
    uv_timer_init(s->loop, &s->accept_timer);
    uv_timer_init(s->loop, &s->drain_timer);
    uv_idle_init(s->loop, &s->next_turn);
    s->poll.data = s->accept_timer.data = s->drain_timer.data = s->next_turn.data = s;
    s->held = 4;
    return 0;
}

int http_server_open(struct http_server **ret, uv_loop_t *loop, const struct http_server_conf *conf,
                     const struct http_handler *handler, void *ctx, struct fail *fail)
{
    struct http_server *s = calloc(1, sizeof(*s));
    const char *listen = conf->listen ? conf->listen : "";
    int r;

    if (!s)
        return fail_set(fail, UV_ENOMEM, "out of memory");
    *s = (struct http_server){ .loop = loop, .conf = *conf, .handler = handler, .ctx = ctx };
    s->fd = s->spare_fd = -1;
    list_init(&s->conns);
    list_init(&s->later);
    s->log = (struct logger){ .room = "net", .name = s->name };
    if (strlen(listen) >= sizeof(s->name))
        r = fail_set(fail, UV_EINVAL, "listen address is too long");
    else
        r = 0;
    snprintf(s->name, sizeof(s->name), "%s", listen);
    s->conf.listen = s->name;
    if (r < 0 || (r = listen_open(s, fail)) < 0 || (r = server_init_handles(s, fail)) < 0) {
        listen_close(s);
        free(s);
        return r;
    }
    ignore_sigpipe();
    spare_open(s);
    accept_start(s);
    *ret = s;
    return 0;
}

void http_server_change(struct http_server *s, const struct http_server_conf *conf)
{
    s->conf.max_connections = conf->max_connections;
    s->conf.max_per_address = conf->max_per_address;
    s->conf.max_body_bytes = conf->max_body_bytes;
    s->conf.trust = conf->trust;
    accept_start(s);
}

/* ---- facts ---- */

int http_server_port(const struct http_server *s)
{
    struct sockaddr_storage addr = { 0 };
    socklen_t len = sizeof(addr);

    if (s->unix_sock || s->fd < 0 || getsockname(s->fd, (struct sockaddr *)&addr, &len) < 0)
        return 0;
    return ntohs(addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&addr)->sin6_port
                                            : ((struct sockaddr_in *)&addr)->sin_port);
}

uint32_t http_server_connections(const struct http_server *s)
{
    return s->n_conns;
}

uint64_t http_server_turned_away(const struct http_server *s)
{
    return s->turned_away;
}

sl_str server_date(struct http_server *s)
{
    /* not strftime(): the names must not follow a locale */
    static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    int64_t now_s = clock_wall_ms() / 1000;
    time_t t = (time_t)now_s;
    struct tm tm;

    if (now_s != s->date_s) {
        s->date_s = now_s;
        gmtime_r(&t, &tm);
        s->date_len = (size_t)snprintf(s->date, sizeof(s->date),
                                       "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n",
                                       days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
                                       tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    }
    return (sl_str){ s->date, s->date_len };
}
