/*
 * http_call.c - one call: from its configuration to the bytes of a request, and its result.
 */
#include "net/http_call.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include "net/http_guard.h"
#include "net/url.h"

const char *const http_phase_names[HTTP_PHASE__COUNT] = {
    [HTTP_PHASE_QUEUE] = "queue",     [HTTP_PHASE_DNS] = "dns",
    [HTTP_PHASE_CONNECT] = "connect", [HTTP_PHASE_TLS] = "tls",
    [HTTP_PHASE_SEND] = "send",       [HTTP_PHASE_WAIT] = "wait",
    [HTTP_PHASE_DONE] = "done",       [HTTP_PHASE_RECEIVE] = "receive",
};

/* Fields that say where the message ends, and whom it is for: ours alone. */
static int check_header(const sl_header *h, struct fail *fail)
{
    static const char *const ours[] = { "host", "content-length", "connection",
                                        "transfer-encoding" };

    if (!http_is_token(h->name))
        return fail_set(fail, UV_EINVAL, "header name \"" STR_FMT "\" is not a token",
                        h->name.len > 100 ? 100 : (int)h->name.len, h->name.ptr);
    for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
        if (str_eq_nocase(h->name, str_of(ours[i])))
            return fail_set(fail, UV_EINVAL, "header %s is set by the client itself", ours[i]);
    if (!http_is_field_value(h->value))
        return fail_set(fail, UV_EINVAL, "header " STR_FMT ": control byte in its value",
                        STR_ARG(h->name));
    return 0;
}

static int check(const struct http_call_conf *conf, struct fail *fail)
{
    int r;

    if (!http_is_token(conf->method) || str_eq_nocase(conf->method, STR("CONNECT")))
        return fail_set(fail, UV_EINVAL, "method \"" STR_FMT "\" cannot be sent",
                        conf->method.len > 40 ? 40 : (int)conf->method.len, conf->method.ptr);
    for (size_t i = 0; i < conf->n_headers; i++)
        if ((r = check_header(&conf->headers[i], fail)) < 0)
            return r;
    return 0;
}

static bool has_header(const struct http_call_conf *conf, sl_str name)
{
    for (size_t i = 0; i < conf->n_headers; i++)
        if (str_eq_nocase(conf->headers[i].name, name))
            return true;
    return false;
}

static void format_request(struct buf *b, const struct http_call_conf *conf, const struct url *url)
{
    bool posts = str_eq(conf->method, STR("POST")) || str_eq(conf->method, STR("PUT")) ||
                 str_eq(conf->method, STR("PATCH"));

    buf_reserve(b, 512 + url->target.len + conf->body.len);
    buf_printf(b, STR_FMT " " STR_FMT " HTTP/1.1\r\n", STR_ARG(conf->method), STR_ARG(url->target));
    buf_printf(b, url->ipv6 ? "Host: [" STR_FMT "]" : "Host: " STR_FMT, STR_ARG(url->host));
    if (url->port != (url->tls ? 443 : 80))
        buf_printf(b, ":%u", url->port);
    buf_cstr(b, "\r\n");
    if (!has_header(conf, STR("user-agent")))
        buf_cstr(b, "User-Agent: sluice/" SLUICE_VERSION "\r\n");
    for (size_t i = 0; i < conf->n_headers; i++) {
        buf_str(b, conf->headers[i].name);
        buf_cstr(b, ": ");
        buf_str(b, conf->headers[i].value);
        buf_cstr(b, "\r\n");
    }
    if (posts || conf->body.len > 0)
        buf_printf(b, "Content-Length: %zu\r\n", conf->body.len);
    buf_cstr(b, "\r\n");
    buf_str(b, conf->body);
}

static void copy_host(char *to, sl_str host)
{
    for (size_t i = 0; i < host.len; i++)
        to[i] = host.ptr[i] >= 'A' && host.ptr[i] <= 'Z' ? (char)(host.ptr[i] + 32) : host.ptr[i];
    to[host.len] = '\0';
}

int call_create(struct http_call **ret, struct http_client *c, const struct http_call_conf *conf,
                struct fail *fail)
{
    struct http_call *call;
    struct url url;
    int r;

    if ((r = url_parse(conf->url, &url, fail)) < 0 || (r = check(conf, fail)) < 0)
        return r;
    call = calloc(1, sizeof(*call));
    if (!call)
        return fail_set(fail, UV_ENOMEM, "no memory for a request");
    list_init(&call->link);
    list_init(&call->due);
    call->client = c;
    call->tls = url.tls;
    call->port = url.port;
    copy_host(call->host, url.host);
    format_request(&call->request, conf, &url);
    call->total_ms = conf->total_ms ? conf->total_ms : c->conf.total_ms;
    http_answer_init(&call->answer, str_eq(conf->method, STR("HEAD")), c->conf.max_answer_head,
                     conf->max_answer ? conf->max_answer : c->conf.max_answer);
    if (call->request.failed) {
        call_destroy(call);
        return fail_set(fail, UV_ENOMEM, "no memory for a request");
    }
    *ret = call;
    return 0;
}

void call_destroy(struct http_call *call)
{
    if (!call)
        return;
    list_remove(&call->link);
    list_remove(&call->due);
    if (call->request.data)
        OPENSSL_cleanse(call->request.data, call->request.len); /* it holds credentials */
    buf_finish(&call->request);
    http_answer_finish(&call->answer);
    free(call);
}

void call_vdone(struct http_call *call, int error, enum http_phase phase, const char *fmt,
                va_list ap)
{
    struct http_client *c = call->client;

    call->wire = NULL;
    call->result.error = error;
    call->result.phase = phase;
    call->result.total_ms = (uint32_t)(uv_now(c->loop) - call->started_ms);
    if (fmt)
        vsnprintf(call->result.why, sizeof(call->result.why), fmt, ap);
    list_remove(&call->due);
    list_remove(&call->link);
    list_append(&c->ready, &call->link);
    client_wake(c);
}

void call_done(struct http_call *call, int error, enum http_phase phase, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    call_vdone(call, error, phase, fmt, ap);
    va_end(ap);
}

void call_deliver(struct http_call *call)
{
    const struct http_answer *a = &call->answer;

    if (call->result.error == 0) {
        call->result.status = a->status;
        call->result.headers = a->headers;
        call->result.n_headers = a->n_headers;
        call->result.body = buf_view(&a->body);
    }
    call->cb(call->ctx, &call->result);
    call_destroy(call);
}
