/*
 * http_request.c - what a handler sees of a request, and the writing of its answer.
 */
#include <assert.h>
#include <stdlib.h>
#include "net/http_conn.h"

/* ---- reading ---- */

sl_str http_method(const struct http_request *r)
{
    return r->reader.head.method;
}

sl_str http_target(const struct http_request *r)
{
    return r->reader.head.target;
}

sl_str http_path(const struct http_request *r)
{
    return r->reader.head.path;
}

sl_str http_query(const struct http_request *r)
{
    return r->reader.head.query;
}

const sl_header *http_headers(const struct http_request *r, size_t *ret_n)
{
    *ret_n = r->reader.head.n_headers;
    return r->reader.head.headers;
}

sl_str http_header(const struct http_request *r, const char *name, bool *found)
{
    const struct http_head *h = &r->reader.head;
    sl_str want = str_of(name);

    for (size_t i = 0; i < h->n_headers; i++) {
        if (str_eq_nocase(h->headers[i].name, want)) {
            if (found)
                *found = true;
            return h->headers[i].value;
        }
    }
    if (found)
        *found = false;
    return STR("");
}

uint64_t http_body_length(const struct http_request *r, bool *ret_known)
{
    if (ret_known)
        *ret_known = !r->reader.head.chunked;
    return r->reader.head.length;
}

sl_str http_body(const struct http_request *r)
{
    return buf_view(&r->body);
}

char *http_body_steal(struct http_request *r, size_t *ret_len)
{
    return buf_steal(&r->body, ret_len);
}

void http_limit_body(struct http_request *r, uint64_t bytes)
{
    r->reader.body_max = bytes;
}

void http_set_data(struct http_request *r, void *data)
{
    r->data = data;
}

void *http_data(const struct http_request *r)
{
    return r->data;
}

sl_str http_peer(const struct http_request *r)
{
    return str_of(r->conn->peer.text);
}

/* Found out when somebody asks: for what is logged, not for every webhook. */
static void find_client(struct http_request *r)
{
    const struct http_server *s = r->conn->server;
    const struct remote *peer = &r->conn->peer;
    const struct http_head *h = &r->reader.head;
    struct ip ip;

    r->client_known = true;
    if (http_forwarded_client(&s->conf.trust, s->unix_sock ? NULL : &peer->ip, h->headers,
                              h->n_headers, &ip))
        ip_format(&ip, r->client);
    else
        memcpy(r->client, peer->text, sizeof(r->client));
}

sl_str http_client_address(const struct http_request *r)
{
    if (!r->client_known)
        find_client((struct http_request *)r);
    return str_of(r->client);
}

int64_t http_peer_uid(const struct http_request *r)
{
    return r->conn->peer.uid;
}

/* ---- life ---- */

struct http_request *request_create(struct conn *c)
{
    struct http_server *s = c->server;
    const struct http_server_conf *conf = &s->conf;
    struct http_request *r = s->spares;

    if (r) {
        s->spares = r->next;
        s->n_spares--;
    } else if (!(r = calloc(1, sizeof(*r)))) {
        return NULL;
    }
    http_reader_again(&r->reader, conf->max_head_bytes, conf->max_fields, conf->max_body_bytes,
                      conf->singletons);
    r->conn = c;
    r->data = NULL;
    r->client_known = false;
    return r;
}

static void request_free(struct http_request *r)
{
    http_reader_finish(&r->reader);
    free(r);
}

void request_destroy(struct http_server *s, struct http_request *r)
{
    if (!r)
        return;
    buf_finish(&r->body);
    r->conn = NULL;
    if (s->n_spares >= HTTP_SPARE_REQUESTS) {
        request_free(r);
        return;
    }
    r->next = s->spares;
    s->spares = r;
    s->n_spares++;
}

void requests_free(struct http_server *s)
{
    struct http_request *r;

    while ((r = s->spares)) {
        s->spares = r->next;
        request_free(r);
    }
    s->n_spares = 0;
}

/* ---- answering ---- */

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 301, "Moved Permanently" },
        { 302, "Found" },
        { 303, "See Other" },
        { 304, "Not Modified" },
        { 307, "Temporary Redirect" },
        { 308, "Permanent Redirect" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 406, "Not Acceptable" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 410, "Gone" },
        { 411, "Length Required" },
        { 412, "Precondition Failed" },
        { 413, "Content Too Large" },
        { 414, "URI Too Long" },
        { 415, "Unsupported Media Type" },
        { 417, "Expectation Failed" },
        { 421, "Misdirected Request" },
        { 422, "Unprocessable Content" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
        { 505, "HTTP Version Not Supported" },
        { 507, "Insufficient Storage" },
    };

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Status";
}

/* A handler's own header: not what the server writes itself, and nothing that could end its line
 * (values may stem from a plugin). */
static bool header_usable(const sl_header *h)
{
    static const char *const own[] = { "content-length", "transfer-encoding", "connection", "date",
                                       "keep-alive",     "upgrade",           "trailer",    NULL };

    for (const char *const *o = own; *o; o++)
        if (str_eq_nocase(h->name, str_of(*o)))
            return false;
    return http_is_token(h->name) && http_is_field_value(h->value);
}

static void add_header(struct buf *b, sl_str name, sl_str value)
{
    buf_str(b, name);
    buf_str(b, STR(": "));
    buf_str(b, value);
    buf_str(b, STR("\r\n"));
}

static void add_number(struct buf *b, uint64_t n)
{
    char text[20], *p = text + sizeof(text);

    do
        *--p = (char)('0' + n % 10);
    while (n /= 10);
    buf_append(b, p, (size_t)(text + sizeof(text) - p));
}

static void add_status(struct buf *b, int status)
{
    if (status == 200) {
        buf_str(b, STR("HTTP/1.1 200 OK\r\n"));
        return;
    }
    buf_str(b, STR("HTTP/1.1 "));
    add_number(b, (uint64_t)status);
    buf_char(b, ' ');
    buf_cstr(b, reason_of(status));
    buf_str(b, STR("\r\n"));
}

void reply_format(struct conn *c, const struct http_reply *reply, bool keep)
{
    const struct http_head *h = &c->request->reader.head;
    bool bare = reply->status == 204 || reply->status == 304;
    sl_header type = { STR("Content-Type"), str_of(reply->content_type) };
    struct buf *b = &c->server->answer;

    buf_clear(b);
    add_status(b, reply->status);
    buf_str(b, server_date(c->server));
    if (reply->content_type && header_usable(&type))
        add_header(b, type.name, type.value);
    if (!bare) { /* RFC 9110: a 204 has no Content-Length */
        buf_str(b, STR("Content-Length: "));
        add_number(b, reply->body.len);
        buf_str(b, STR("\r\n"));
    }
    if (!keep)
        buf_str(b, STR("Connection: close\r\n"));
    else if (h->minor == 0)
        buf_str(b, STR("Connection: keep-alive\r\n"));
    for (size_t i = 0; i < reply->n_headers; i++)
        if (header_usable(&reply->headers[i]))
            add_header(b, reply->headers[i].name, reply->headers[i].value);
    buf_str(b, STR("\r\n"));
    if (!bare && !str_eq(h->method, STR("HEAD")))
        buf_str(b, reply->body);
}

/* "/in/crm/outbound/S3CRET" -> "/in/crm": what follows may be the sender's secret. */
static sl_str loggable(sl_str path)
{
    size_t slashes = 0;

    for (size_t i = 0; i < path.len; i++)
        if (path.ptr[i] == '/' && ++slashes == 3)
            return (sl_str){ path.ptr, i };
    return path;
}

void http_reply(struct http_request *r, const struct http_reply *reply)
{
    struct conn *c = r->conn;
    bool keep = conn_may_keep(c) && !reply->close;

    assert(c->announced); /* answered once, and not after on_gone */
    assert(reply->status >= 200 && reply->status <= 599);
    if (reply->status >= 400)
        log_debug(&c->server->log, "%.*s %.*s: status=%d client=%.*s", STR_ARG(http_method(r)),
                  STR_ARG(loggable(http_path(r))), reply->status, STR_ARG(http_client_address(r)));
    reply_format(c, reply, keep);
    conn_send(c, keep);
}

void http_reply_text(struct http_request *r, int status, const char *text)
{
    http_reply(r, &(struct http_reply){ .status = status,
                                        .content_type = "text/plain; charset=utf-8",
                                        .body = str_of(text) });
}
