/*
 * http_conn.c - one connection: its states, in the order they happen.
 *
 *   IDLE -> HEAD -> BODY -> WAIT -> REPLY -> IDLE ...      and from REPLY -> LINGER -> CLOSING
 *
 * One request is in flight. What arrives behind it waits in `in` (16 KiB, then reading stops) and
 * is looked at from on_written(), never from within http_reply().
 */
#include "net/http_conn.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BIT(n) (1u << (n))

static const char *const conn_state_names[CONN__COUNT] = {
    "idle", "head", "body", "wait", "reply", "linger", "closing",
};

static const unsigned conn_moves[CONN__COUNT] = {
    [CONN_IDLE] = BIT(CONN_HEAD) | BIT(CONN_CLOSING),
    [CONN_HEAD] = BIT(CONN_BODY) | BIT(CONN_REPLY) | BIT(CONN_CLOSING),
    [CONN_BODY] = BIT(CONN_WAIT) | BIT(CONN_REPLY) | BIT(CONN_CLOSING),
    [CONN_WAIT] = BIT(CONN_REPLY) | BIT(CONN_CLOSING),
    [CONN_REPLY] = BIT(CONN_IDLE) | BIT(CONN_LINGER) | BIT(CONN_CLOSING),
    [CONN_LINGER] = BIT(CONN_CLOSING),
};

static void conn_enter(struct conn *c, enum conn_state next)
{
    assert(conn_moves[c->state] & BIT(next)); /* the table of legal moves */
    log_trace(&c->server->log, "peer %s: %s -> %s", c->peer.text, conn_state_names[c->state],
              conn_state_names[next]);
    c->state = next;
}

/* ---- small things ---- */

static void on_timeout(uv_timer_t *timer);
static void conn_eat(struct conn *c, const char **p, const char *end);
static void conn_refuse(struct conn *c, int status, const char *why);
static void conn_next(struct conn *c);

/* Never 0: libuv 1.44 runs such a timer in the same turn for ever. */
static void timer_start(struct conn *c, uint64_t ms)
{
    c->timer_ms = uv_now(c->server->loop) + ms;
    uv_timer_start(&c->timer, on_timeout, ms ? ms : 1, 0);
}

/* One limit at a time. A timer that runs out earlier stays: it is set again then, which is every
 * few seconds instead of several times a request. */
static void conn_arm(struct conn *c, uint64_t ms)
{
    c->deadline_ms = uv_now(c->server->loop) + ms;
    if (!uv_is_active((uv_handle_t *)&c->timer) || c->timer_ms > c->deadline_ms)
        timer_start(c, ms);
}

static size_t in_waiting(const struct conn *c)
{
    return c->in.len - c->in_pos;
}

static void in_drop(struct conn *c)
{
    buf_finish(&c->in);
    c->in_pos = 0;
}

/* Keep bytes that came behind the request in flight. */
static void in_keep(struct conn *c, const char *p, size_t n)
{
    if (c->in_pos > 0) {
        buf_consume(&c->in, c->in_pos);
        c->in_pos = 0;
    }
    buf_append(&c->in, p, n);
    if (c->in.failed)
        conn_close(c);
}

/* ---- reading ---- */

/* What may come with the next read: the rest of a body, and not too much behind it, for that is
 * kept while the request is answered. */
static size_t conn_room(const struct conn *c)
{
    uint64_t room = HTTP_BEHIND_BYTES;

    if (c->state == CONN_WAIT || c->state == CONN_REPLY)
        room -= in_waiting(c); /* conn_pace() stopped the reading before this is 0 */
    else if (c->state == CONN_BODY)
        room += http_reader_left(&c->request->reader);
    else if (c->state == CONN_LINGER)
        room = HTTP_READ_BYTES;
    return room < HTTP_READ_BYTES ? (size_t)room : HTTP_READ_BYTES;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct conn *c = handle->data;

    (void)suggested;
    *ret = uv_buf_init(c->server->read_buf, (unsigned)conn_room(c));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

/* Read, unless the room behind the request in flight is full, or others are to be heard first. */
static void conn_pace(struct conn *c)
{
    bool full = (c->state == CONN_WAIT || c->state == CONN_REPLY) &&
                in_waiting(c) >= HTTP_BEHIND_BYTES;
    bool want = c->state != CONN_CLOSING && !c->eof && !full && !c->tired;

    if (want == c->reading)
        return;
    c->reading = want;
    if (!want)
        uv_read_stop(&c->u.stream);
    else if (uv_read_start(&c->u.stream, on_alloc, on_read) < 0)
        conn_close(c);
}

/* Throw away what arrives after the last answer, up to a bound. */
static void conn_discard(struct conn *c, size_t n)
{
    c->discarded += n;
    if (c->discarded > HTTP_LINGER_BYTES)
        conn_close(c);
}

static void conn_input(struct conn *c, const char *p, size_t n)
{
    const char *end = p + n;

    if (c->state == CONN_LINGER) {
        conn_discard(c, n);
        return;
    }
    conn_eat(c, &p, end);
    if (p == end || c->state == CONN_CLOSING)
        return;
    if (c->state == CONN_REPLY && !c->keep)
        return; /* nothing that follows is looked at */
    in_keep(c, p, (size_t)(end - p));
}

/* The peer sends no more. An answer that is owed is still given: it may have shut one side only. */
static void conn_ended(struct conn *c)
{
    c->eof = true;
    c->reading = false; /* libuv stopped */
    if (c->state != CONN_WAIT && c->state != CONN_REPLY)
        conn_close(c);
}

/* ---- what waits for the next turn of the loop ---- */

static void on_next_turn(uv_idle_t *idle)
{
    struct http_server *s = idle->data;
    struct list now; /* what joins meanwhile waits another turn */

    uv_idle_stop(idle);
    list_init(&now);
    list_splice(&now, &s->later);
    while (!list_empty(&now)) {
        struct conn *c = list_entry(list_first(&now), struct conn, later_link);
        bool written = c->written;

        list_remove(&c->later_link);
        c->written = c->tired = false;
        if (written)
            conn_next(c);
        else
            conn_pace(c);
    }
}

static void conn_later(struct conn *c)
{
    list_remove(&c->later_link);
    list_append(&c->server->later, &c->later_link);
    uv_idle_start(&c->server->next_turn, on_next_turn);
}

/* libuv reads on at once after a full read, up to 32 times. */
static void conn_count_read(struct conn *c, bool full)
{
    c->full_reads = full ? c->full_reads + 1 : 0;
    if (c->full_reads < HTTP_READS_A_TURN)
        return;
    c->full_reads = 0;
    c->tired = true;
    conn_later(c);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *c = stream->data;

    if (c->state == CONN_CLOSING)
        return;
    if (n > 0)
        conn_count_read(c, (size_t)n == buf->len);
    if (n == UV_EOF)
        conn_ended(c);
    else if (n < 0)
        conn_close(c);
    else if (n > 0)
        conn_input(c, buf->base, (size_t)n);
    conn_pace(c);
}

/* ---- IDLE -> HEAD -> BODY -> WAIT ---- */

/* IDLE -> HEAD: the first byte of a request. */
static void conn_begin(struct conn *c)
{
    conn_enter(c, CONN_HEAD);
    conn_arm(c, c->server->conf.head_ms);
    c->request = request_create(c);
    if (!c->request)
        conn_close(c);
}

/* "100 Continue": the send buffer is empty here, so a short write means a broken peer. */
static void send_continue(struct conn *c)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    uv_buf_t buf = uv_buf_init((char *)text, sizeof(text) - 1);

    if (uv_try_write(&c->u.stream, &buf, 1) != (int)buf.len)
        conn_close(c);
}

/* HEAD -> BODY: the handler sees the request, and may answer at once. */
static void conn_head_done(struct conn *c)
{
    struct http_request *r = c->request;

    conn_enter(c, CONN_BODY);
    c->since_ms = uv_now(c->server->loop);
    conn_arm(c, c->server->conf.body_ms);
    c->announced = true;
    c->server->handler->on_head(c->server->ctx, r);
    if (c->state != CONN_BODY)
        return;
    if (r->reader.head.length > r->reader.body_max)
        conn_refuse(c, 413, "body too large");
    else if (r->reader.head.expect_continue && http_reader_has_body(&r->reader))
        send_continue(c);
}

static void conn_piece(struct conn *c, sl_str piece)
{
    const struct http_handler *handler = c->server->handler;
    struct http_request *r = c->request;

    if (!handler->streams) {
        buf_append(&r->body, piece.ptr, piece.len);
        if (r->body.failed) {
            conn_refuse(c, 503, "out of memory");
            return;
        }
    }
    if (handler->on_body)
        handler->on_body(c->server->ctx, r, piece.ptr, piece.len);
}

/* BODY -> WAIT: the request is whole, the handler owes the answer. */
static void conn_whole(struct conn *c)
{
    conn_enter(c, CONN_WAIT);
    c->deadline_ms = HTTP_NEVER;
    c->server->handler->on_end(c->server->ctx, c->request);
}

static bool conn_hungry(const struct conn *c)
{
    return c->state == CONN_IDLE || c->state == CONN_HEAD || c->state == CONN_BODY;
}

/* Feed the request in the making until it needs more bytes or is out of our hands. */
static void conn_eat(struct conn *c, const char **p, const char *end)
{
    enum http_step step = HTTP_STEP_END;
    sl_str piece;

    while (conn_hungry(c) && step != HTTP_STEP_MORE) {
        if (c->state == CONN_IDLE) {
            if (*p == end)
                break;
            conn_begin(c);
            continue;
        }
        step = http_reader_step(&c->request->reader, p, end, &piece);
        c->behind = *p < end;
        if (step == HTTP_STEP_HEAD)
            conn_head_done(c);
        else if (step == HTTP_STEP_BODY)
            conn_piece(c, piece);
        else if (step == HTTP_STEP_END)
            conn_whole(c);
        else if (step == HTTP_STEP_BAD)
            conn_refuse(c, c->request->reader.refusal.status, c->request->reader.refusal.why);
    }
    c->behind = false;
}

/* ---- -> REPLY ---- */

/* The handler is not owed anything any more, and is told if it did not answer. */
static void conn_give_up(struct conn *c)
{
    if (!c->announced)
        return;
    c->announced = false;
    c->server->handler->on_gone(c->server->ctx, c->request);
}

/* Whose request it is. A head that was refused says nothing that counts. */
static sl_str conn_client(const struct conn *c)
{
    return c->announced ? http_client_address(c->request) : str_of(c->peer.text);
}

/* The server's own answer to what it does not take; always the last one. */
static void conn_refuse(struct conn *c, int status, const char *why)
{
    static const sl_header allow = { { "Allow", 5 },
                                     { "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", 44 } };
    struct http_server *s = c->server;
    char text[80];
    int n = snprintf(text, sizeof(text), "%s\n", why);
    struct http_reply reply = {
        .status = status,
        .content_type = "text/plain; charset=utf-8",
        .body = { text, (size_t)n },
        .headers = &allow,
        .n_headers = status == 405,
    };

    log_debug(&s->log, "refused: status=%d why=\"%s\" client=%.*s", status, why,
              STR_ARG(conn_client(c)));
    conn_give_up(c);
    if (s->handler->on_refused)
        s->handler->on_refused(s->ctx, status, why);
    reply_format(c, &reply, false);
    conn_send(c, false);
}

bool conn_is_whole(const struct conn *c)
{
    return c->state == CONN_WAIT ||
           (c->state == CONN_BODY && http_reader_is_whole(&c->request->reader));
}

bool conn_may_keep(const struct conn *c)
{
    return conn_is_whole(c) && c->request->reader.head.keep_alive && !c->server->draining &&
           (!c->eof || in_waiting(c) > 0);
}

static void on_written(uv_write_t *req, int status);
static void conn_idle(struct conn *c);

/* Send by the loop what is left of the answer; what follows happens in on_written(). */
static void conn_write_rest(struct conn *c, size_t written)
{
    struct buf *answer = &c->server->answer;
    uv_buf_t buf;

    conn_arm(c, c->server->conf.write_ms);
    c->out = *answer;
    *answer = (struct buf){ 0 };
    buf = uv_buf_init(c->out.data + written, (unsigned)(c->out.len - written));
    if (uv_write(&c->write, &c->u.stream, &buf, 1, on_written) < 0)
        conn_close(c);
}

/* The answer is out. What came behind the request has to wait for a turn of the loop: of requests
 * that came together one is answered in each, so that nobody can keep the loop to himself. */
static void conn_written(struct conn *c)
{
    if (!c->behind && in_waiting(c) == 0) {
        conn_idle(c);
        return;
    }
    conn_arm(c, c->server->conf.write_ms);
    c->written = true;
    conn_later(c);
}

/* BODY, WAIT or HEAD (refused) -> REPLY. An answer that the socket takes whole needs no turn of the
 * loop. */
void conn_send(struct conn *c, bool keep)
{
    struct buf *answer = &c->server->answer;
    uv_buf_t buf = uv_buf_init(answer->data, (unsigned)answer->len);
    int n = UV_EAGAIN;

    c->announced = false;
    c->keep = keep;
    c->abrupt = !conn_is_whole(c);
    conn_enter(c, CONN_REPLY);
    if (answer->failed)
        n = UV_ENOMEM;
    else if (keep && !c->eof)
        n = uv_try_write(&c->u.stream, &buf, 1);
    if (n >= 0 && (size_t)n == answer->len)
        conn_written(c);
    else if (n >= 0 || n == UV_EAGAIN)
        conn_write_rest(c, n > 0 ? (size_t)n : 0);
    else
        conn_close(c);
    if (answer->cap > HTTP_SPARE_ANSWER)
        buf_finish(answer);
}

/* ---- REPLY -> IDLE ---- */

/* Look at what came behind the last request. The input may be replaced meanwhile only by in_keep(),
 * which is not reached from here: the bytes stay where they are. */
static void conn_pump(struct conn *c)
{
    const char *start = c->in.data + c->in_pos, *p = start;

    if (in_waiting(c) == 0)
        return;
    conn_eat(c, &p, c->in.data + c->in.len);
    c->in_pos += (size_t)(p - start);
    if (in_waiting(c) == 0)
        in_drop(c);
}

/* Back to IDLE; nothing is read and nobody called here. */
static void conn_idle(struct conn *c)
{
    request_destroy(c->server, c->request);
    c->request = NULL;
    conn_enter(c, CONN_IDLE);
    conn_arm(c, c->server->draining ? HTTP_DRAIN_IDLE_MS : c->server->conf.idle_ms);
}

static void conn_next(struct conn *c)
{
    conn_idle(c);
    conn_pump(c);
    if (c->eof && conn_hungry(c))
        conn_close(c);
    conn_pace(c);
}

/* ---- REPLY -> LINGER ---- */

/* Is there something in the socket that the loop has not read yet? */
static bool unread(const struct conn *c)
{
    uv_os_fd_t fd;
    char byte;

    return uv_fileno(&c->u.handle, &fd) == 0 && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
    struct conn *c = req->data;

    if (status < 0)
        conn_close(c);
}

/* Closing with unread bytes would reset the connection and could take the answer with it: end our
 * side, and give the peer a moment to read and go. */
static void conn_linger(struct conn *c)
{
    in_drop(c);
    conn_enter(c, CONN_LINGER);
    conn_arm(c, HTTP_LINGER_MS);
    if (uv_shutdown(&c->shutdown, &c->u.stream, on_shutdown) < 0)
        conn_close(c);
    conn_pace(c);
}

static void on_written(uv_write_t *req, int status)
{
    struct conn *c = req->data;

    if (c->state != CONN_REPLY)
        return; /* closing: libuv still reports writes, even with status 0 */
    request_destroy(c->server, c->request);
    c->request = NULL;
    buf_finish(&c->out);
    if (status < 0)
        conn_close(c);
    else if (c->keep)
        conn_next(c);
    else if (!c->eof && (c->abrupt || unread(c)))
        conn_linger(c);
    else
        conn_close(c);
}

/* ---- limits, and the end ---- */

/* The body may take body_ms, and more for what has arrived: a slow sender keeps its time as long as
 * it is above the floor. */
static void body_timeout(struct conn *c)
{
    uint64_t allowed = c->server->conf.body_ms +
                       c->request->reader.body_bytes * 1000 / HTTP_BODY_FLOOR;
    uint64_t used = uv_now(c->server->loop) - c->since_ms;

    if (used < allowed)
        conn_arm(c, allowed - used);
    else
        conn_refuse(c, 408, "body too slow");
}

static void on_timeout(uv_timer_t *timer)
{
    struct conn *c = timer->data;
    uint64_t now = uv_now(c->server->loop);

    if (c->deadline_ms == HTTP_NEVER)
        return;
    if (now < c->deadline_ms)
        timer_start(c, c->deadline_ms - now);
    else if (c->state == CONN_HEAD)
        conn_refuse(c, 408, "head too slow");
    else if (c->state == CONN_BODY)
        body_timeout(c);
    else
        conn_close(c);
}

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    struct http_server *s = c->server;

    if (--c->held > 0)
        return;
    list_remove(&c->link);
    request_destroy(s, c->request);
    buf_finish(&c->in);
    buf_finish(&c->out);
    address_leave(s, c->address);
    free(c);
    s->n_conns--;
    server_on_conn_freed(s);
}

void conn_close(struct conn *c)
{
    if (c->state == CONN_CLOSING)
        return;
    conn_enter(c, CONN_CLOSING);
    conn_give_up(c);
    c->reading = false;
    list_remove(&c->later_link);
    uv_close(&c->u.handle, on_closed);
    uv_close((uv_handle_t *)&c->timer, on_closed);
}

void conn_drain(struct conn *c)
{
    if (c->state == CONN_IDLE)
        conn_arm(c, HTTP_DRAIN_IDLE_MS);
}

/* ---- the beginning ---- */

static int conn_adopt(struct conn *c, int fd)
{
    int r;

    if (c->server->unix_sock) {
        uv_pipe_init(c->server->loop, &c->u.pipe, 0);
        r = uv_pipe_open(&c->u.pipe, fd);
    } else {
        uv_tcp_init(c->server->loop, &c->u.tcp);
        r = uv_tcp_open(&c->u.tcp, fd);
        uv_tcp_nodelay(&c->u.tcp, 1);
    }
    return r;
}

int conn_open(struct http_server *s, int fd, const struct remote *peer)
{
    struct address *address;
    struct conn *c;
    int r;

    if (!address_enter(s, peer, &address)) {
        address_turn_away(s, fd, peer);
        return UV_EBUSY;
    }
    c = calloc(1, sizeof(*c));
    if (!c) {
        address_leave(s, address);
        close(fd);
        return UV_ENOMEM;
    }
    c->server = s;
    c->peer = *peer;
    c->address = address;
    c->write.data = c->shutdown.data = c;
    uv_timer_init(s->loop, &c->timer);
    r = conn_adopt(c, fd);
    c->u.handle.data = c->timer.data = c;
    c->held = 2;
    list_append(&s->conns, &c->link);
    list_init(&c->later_link);
    s->n_conns++;
    if (r < 0) {
        close(fd);
        conn_close(c);
        return r;
    }
    conn_arm(c, s->conf.idle_ms);
    conn_pace(c);
    return 0;
}
