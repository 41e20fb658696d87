/*
 * call.c - the HTTP calls of an adapter, each accounted to its endpoint's lane: at once by what its
 * delivery has paid, or as its tokens come.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "host/instance.h"

struct service_call {
    struct instance *instance;
    struct lane *lane; /* it was accounted to; NULL: none */
    struct lane_ticket ticket;
    sl_http_cb cb;
    void *ctx;
    /* while it waits for its tokens */
    struct list node; /* instance.waiting */
    struct lane_call waits;
    struct http_call_conf conf; /* views into `copy` ... */
    sl_header *headers;         /* own */
    char *copy;                 /* own */
};

static int32_t status_of(int error)
{
    switch (error) {
    case 0:
        return SL_OK;
    case UV_ETIMEDOUT:
        return SL_E_TIMEOUT;
    case UV_ECANCELED:
        return SL_E_CANCELLED;
    case UV_EPROTO:
        return SL_E_PROTOCOL;
    case UV_E2BIG:
        return SL_E_LIMIT;
    case UV_ENOMEM:
        return SL_E_NO_MEMORY;
    case HTTP_E_TLS:
        return SL_E_TLS;
    default:
        return error <= UV_EAI_ADDRFAMILY && error >= UV_EAI_SOCKTYPE - 20 ? SL_E_DNS
                                                                           : SL_E_NETWORK;
    }
}

static void call_free(struct service_call *call)
{
    free(call->headers);
    free(call->copy);
    free(call);
}

static void on_answer(void *ctx, const struct http_result *r)
{
    struct service_call *call = ctx;
    struct instance *in = call->instance;
    uint64_t began = clock_mono_us();
    sl_http_answer a = {
        .size = sizeof(a),
        .error = status_of(r->error),
        .sent = r->sent,
        .status = r->error ? 0 : (uint32_t)r->status,
        .headers = r->headers,
        .n_headers = r->n_headers,
        .body = r->body,
        .why = str_of(r->why),
        .retry_after_ms = r->error ? -1 : http_retry_after_ms(r, clock_wall_ms()),
    };

    if (call->lane)
        lane_heard(call->lane, &call->ticket);
    if (call->lane && a.status == 429) /* whatever was asked: all others would be refused, too */
        lane_refused(call->lane, a.retry_after_ms);
    in->answered = call;
    call->cb(call->ctx, &a);
    in->answered = NULL;
    instance_measured(in, began, "an HTTP answer");
    call_free(call);
}

/* ---- one that waits ---- */

static sl_str keep_text(char **at, sl_str s)
{
    sl_str kept = { *at, s.len };

    if (s.len)
        memcpy(*at, s.ptr, s.len);
    *at += s.len;
    return kept;
}

/** All that the request borrows becomes the call's own. */
static void keep_request(struct service_call *call)
{
    struct http_call_conf *c = &call->conf;
    size_t room = c->method.len + c->url.len + c->body.len + 1;
    char *at;

    for (size_t i = 0; i < c->n_headers; i++)
        room += c->headers[i].name.len + c->headers[i].value.len;
    at = call->copy = mem_array(room, 1);
    call->headers = mem_array(c->n_headers + 1, sizeof(*call->headers));
    c->method = keep_text(&at, c->method);
    c->url = keep_text(&at, c->url);
    c->body = keep_text(&at, c->body);
    for (size_t i = 0; i < c->n_headers; i++) {
        call->headers[i].name = keep_text(&at, c->headers[i].name);
        call->headers[i].value = keep_text(&at, c->headers[i].value);
    }
    c->headers = call->headers;
}

static int start(struct service_call *call)
{
    struct instance *in = call->instance;
    struct fail fail = { 0 };
    int r = http_client_call(in->client, &call->conf, on_answer, call, &fail);

    if (r < 0)
        log_error(&in->log, "the adapter asked for an impossible request: %s", fail.text);
    else
        in->stats.calls++;
    return r;
}

/** It could not even be started, and its http() has returned long ago. */
static void on_not_started(void *ctx)
{
    struct service_call *call = ctx;

    on_answer(call, &(struct http_result){ .error = UV_EINVAL, .why = "an impossible request" });
}

/** Its tokens are taken. */
static void on_leaves(struct lane_call *waits, const struct lane_ticket *ticket)
{
    struct service_call *call = container_of(waits, struct service_call, waits);
    const sl_host *table = &call->instance->table;

    list_remove(&call->node);
    call->ticket = *ticket;
    if (start(call) < 0 && !table->timer(call->instance, 0, on_not_started, call))
        on_not_started(call);
}

void instance_flush(struct instance *in)
{
    while (!list_empty(&in->waiting)) {
        struct service_call *call = list_entry(in->waiting.next, struct service_call, node);
        lane_call_now(call->lane, &call->waits);
    }
}

/* ---- the service ---- */

sl_status instance_http(void *ctx, const sl_http_request *req, sl_http_cb cb, void *cb_ctx)
{
    struct instance *in = ctx;
    uint32_t cost = SL_HAS(sl_http_request, req, cost) ? req->cost : 0;
    struct service_call *call;

    if (in->closing)
        return SL_E_CANCELLED;
    call = mem_zero(sizeof(*call));
    *call = (struct service_call){ .instance = in, .cb = cb, .ctx = cb_ctx };
    call->conf = (struct http_call_conf){
        .method = req->method,
        .url = req->url,
        .headers = req->headers,
        .n_headers = req->n_headers,
        .body = req->body,
        .total_ms = req->total_ms > 0 ? (uint32_t)req->total_ms : 0,
        .max_answer = req->max_answer,
    };
    call->lane = in->adapter.lane;
    if (call->lane && cost) {
        call->waits.cost = cost < SL_COST_MAX ? cost : SL_COST_MAX;
        call->waits.priority = req->priority < PRIORITY__COUNT ? (uint8_t)req->priority : 0;
        call->waits.go = on_leaves;
        if (!lane_call_leaves(call->lane, &call->waits, &call->ticket)) {
            keep_request(call);
            list_append(&in->waiting, &call->node);
            return SL_OK;
        }
    } else if (call->lane) {
        lane_leaves(call->lane, &call->ticket);
    }
    int r = start(call);
    if (r < 0) {
        if (call->lane)
            lane_heard(call->lane, &call->ticket);
        call_free(call);
        return r == UV_ENOMEM ? SL_E_NO_MEMORY : SL_E_INVALID;
    }
    return SL_OK;
}

/* ---- what an answer says is left ---- */

void instance_budget(void *ctx, const sl_budget *budget)
{
    struct instance *in = ctx;
    sl_budget b = { 0 };

    memcpy(&b, budget, budget->size < sizeof(b) ? budget->size : sizeof(b));
    if (in->adapter.lane)
        lane_budget(in->adapter.lane, &b, in->answered ? &in->answered->ticket : NULL);
}
