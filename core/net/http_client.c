/*
 * http_client.c - see http_client.h. The pool, the queue, the ready list and the deadlines; a
 * connection's life is in http_wire.c.
 *
 * All that callers notice happens in on_turn(): callbacks, then calls are given connections. So no
 * callback runs before the function that caused it has returned, and none recurses.
 */
#include <stdlib.h>
#include "net/http_call.h"

static void maybe_finish(struct http_client *c);
static void on_turn(uv_idle_t *handle);
static void on_deadline(uv_timer_t *timer);

void http_client_defaults(struct http_client_conf *conf)
{
    *conf = (struct http_client_conf){
        .connect_ms = 5000,
        .first_byte_ms = 30000,
        .total_ms = 60000,
        .idle_ms = 30000,
        .max_connections = 8,
        .max_answer = 16u << 20,
        .max_answer_head = 64u << 10,
    };
}

static void on_resolver_idle(struct resolver *r)
{
    maybe_finish(container_of(r, struct http_client, resolver));
}

int http_client_open(struct http_client **ret, uv_loop_t *loop, const struct http_client_conf *conf,
                     struct fail *fail)
{
    struct http_client *c = calloc(1, sizeof(*c));
    int r;

    if (!c)
        return fail_set(fail, UV_ENOMEM, "no memory for an HTTP client");
    if (conf->like) {
        SSL_CTX_up_ref(conf->like->tls);
        c->tls = conf->like->tls;
    } else if ((r = tls_ctx_create(&c->tls, conf->ca_file, fail)) < 0) {
        free(c);
        return r;
    }
    c->loop = loop;
    c->conf = *conf;
    c->conf.ca_file = NULL; /* read, and not ours to keep */
    c->conf.like = NULL;
    if (c->conf.max_connections == 0)
        c->conf.max_connections = 1;
    resolver_init(&c->resolver, loop, on_resolver_idle);
    list_init(&c->queue);
    list_init(&c->ready);
    list_init(&c->due);
    list_init(&c->wires);
    uv_idle_init(loop, &c->turn);
    uv_timer_init(loop, &c->deadline);
    c->turn.data = c->deadline.data = c;
    *ret = c;
    return 0;
}

void http_client_change(struct http_client *c, const struct http_client_conf *conf)
{
    c->conf = *conf;
    c->conf.ca_file = NULL;
    c->conf.like = NULL;
    if (c->conf.max_connections == 0)
        c->conf.max_connections = 1;
    uv_idle_start(&c->turn, on_turn); /* what waits for a connection may get one */
}

/* ---- deadlines ---- */

static void arm_deadline(struct http_client *c)
{
    struct http_call *first;
    uint64_t now = uv_now(c->loop);

    if (list_empty(&c->due)) {
        uv_timer_stop(&c->deadline);
        return;
    }
    first = list_entry(list_first(&c->due), struct http_call, due);
    uv_timer_start(&c->deadline, on_deadline,
                   first->deadline_ms > now ? first->deadline_ms - now : 1, 0);
}

/* Mostly all have the same total_ms, so the place is at the end. */
static void add_deadline(struct http_client *c, struct http_call *call)
{
    struct list *at = &c->due;

    call->started_ms = uv_now(c->loop);
    call->deadline_ms = call->started_ms + call->total_ms;
    while (at->prev != &c->due &&
           list_entry(at->prev, struct http_call, due)->deadline_ms > call->deadline_ms)
        at = at->prev;
    list_insert_before(at, &call->due);
    if (list_first(&c->due) == &call->due)
        arm_deadline(c);
}

static void on_deadline(uv_timer_t *timer)
{
    struct http_client *c = timer->data;

    while (!list_empty(&c->due)) {
        struct http_call *call = list_entry(list_first(&c->due), struct http_call, due);

        if (call->deadline_ms > uv_now(c->loop))
            break;
        if (call->wire)
            wire_fail(call->wire, UV_ETIMEDOUT, "not done within %u ms", call->total_ms);
        else
            call_done(call, UV_ETIMEDOUT, HTTP_PHASE_QUEUE, "no free connection within %u ms",
                      call->total_ms);
    }
    arm_deadline(c);
}

/* ---- calls ---- */

int http_client_call(struct http_client *c, const struct http_call_conf *conf, http_call_cb cb,
                     void *ctx, struct fail *fail)
{
    struct http_call *call;
    int r;

    if (c->closing)
        return fail_set(fail, UV_ECANCELED, "the HTTP client is closing");
    if ((r = call_create(&call, c, conf, fail)) < 0)
        return r;
    call->cb = cb;
    call->ctx = ctx;
    uv_update_time(c->loop); /* the caller may have been busy, or the loop not run yet */
    add_deadline(c, call);
    list_append(&c->queue, &call->link);
    client_wake(c);
    return 0;
}

void client_requeue(struct http_client *c, struct http_call *call)
{
    call->wire = NULL;
    call->result.reused = false;
    list_prepend(&c->queue, &call->link);
    client_wake(c);
}

/* The last used of the connections that fit: so the others grow old and are closed. */
static struct wire *find_idle(struct http_client *c, const struct http_call *call)
{
    list_each_safe (pos, tmp, &c->wires) {
        struct wire *w = list_entry(pos, struct wire, link);

        if (!wire_fits(w, call))
            continue;
        if (wire_alive(w))
            return w;
        wire_close(w);
    }
    return NULL;
}

/* Give up the idle connection that was used least recently: it leads elsewhere. */
static bool evict(struct http_client *c)
{
    for (struct list *pos = c->wires.prev; pos != &c->wires; pos = pos->prev) {
        struct wire *w = list_entry(pos, struct wire, link);

        if (w->state == WIRE_IDLE) {
            wire_close(w);
            return true;
        }
    }
    return false;
}

/* Give calls connections, in order, while there are any. */
static void pump(struct http_client *c)
{
    while (!list_empty(&c->queue)) {
        struct http_call *call = list_entry(list_first(&c->queue), struct http_call, link);
        struct wire *w = find_idle(c, call);
        int r = 0;

        if (!w && c->n_wires >= c->conf.max_connections && !evict(c))
            return;
        list_remove(&call->link);
        if (w)
            wire_use(w, call);
        else if ((r = wire_open(c, call)) < 0)
            call_done(call, r, HTTP_PHASE_CONNECT, "no memory for a connection");
    }
}

/* ---- turns ---- */

void client_wake(struct http_client *c)
{
    if (!c->finishing)
        uv_idle_start(&c->turn, on_turn);
}

static void deliver(struct http_client *c)
{
    struct list ready;

    list_init(&ready);
    list_splice(&ready, &c->ready); /* what callbacks add waits for the next turn */
    while (!list_empty(&ready)) {
        struct http_call *call = list_entry(list_first(&ready), struct http_call, link);

        list_remove(&call->link);
        call_deliver(call);
    }
}

static void on_turn(uv_idle_t *handle)
{
    struct http_client *c = handle->data;

    uv_idle_stop(handle);
    deliver(c);
    if (!c->closing)
        pump(c);
    if (list_empty(&c->due))
        arm_deadline(c); /* nothing to wait for: do not keep the loop alive */
    maybe_finish(c);
}

uint32_t http_client_connections(const struct http_client *c)
{
    return c->n_wires;
}

/* ---- the end ---- */

void http_client_close(struct http_client *c, void (*cb)(void *ctx), void *ctx)
{
    if (c->closing)
        return;
    c->closing = true;
    c->on_closed = cb;
    c->on_closed_ctx = ctx;
    while (!list_empty(&c->queue))
        call_done(list_entry(list_first(&c->queue), struct http_call, link), UV_ECANCELED,
                  HTTP_PHASE_QUEUE, "the client was closed");
    while (!list_empty(&c->wires))
        wire_fail(list_entry(list_first(&c->wires), struct wire, link), UV_ECANCELED,
                  "the client was closed");
    resolver_close(&c->resolver);
    client_wake(c);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_client *c = handle->data;
    void (*cb)(void *) = c->on_closed;
    void *ctx = c->on_closed_ctx;

    if (--c->held > 0)
        return;
    SSL_CTX_free(c->tls);
    free(c);
    if (cb)
        cb(ctx);
}

/* Closing, and nothing is under way any more: the client's own handles go last. */
static void maybe_finish(struct http_client *c)
{
    if (!c->closing || c->finishing || c->n_closing > 0 || c->resolver.held > 0 ||
        !list_empty(&c->ready) || !list_empty(&c->wires))
        return;
    c->finishing = true;
    c->held = 2;
    uv_close((uv_handle_t *)&c->turn, on_handle_closed);
    uv_close((uv_handle_t *)&c->deadline, on_handle_closed);
}

void client_on_wire_freed(struct http_client *c)
{
    c->n_closing--;
    maybe_finish(c);
}
