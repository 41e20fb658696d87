/*
 * admin.c - the listeners, who may ask, and which handler answers.
 *
 * Everything that needs no body is decided when the head is there: host, token, path, method. So
 * what is refused is refused before its body is read.
 */
#include "admin/admin.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "admin/api.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"

const struct api_route api_routes[] = {
    { "GET", "/livez", api_livez },
    { "GET", "/readyz", api_readyz },
    { "GET", "/metrics", api_metrics },
    { "GET", "/v1/status", api_status },
    { "GET", "/v1/events", api_events },
    { "GET", "/v1/events/{}", api_event },
    { "GET", "/v1/deliveries", api_deliveries },
    { "GET", "/v1/deliveries/{}", api_delivery },
    { "POST", "/v1/deliveries/{}/edit", api_edit },
    { "POST", "/v1/replay", api_replay },
    { "GET", "/v1/replays", api_replays },
    { "GET", "/v1/replays/{}", api_replay_show },
    { "POST", "/v1/replays/{}/cancel", api_replay_cancel },
    { "GET", "/v1/issues", api_issues },
    { "GET", "/v1/issues/{}", api_issue },
    { "POST", "/v1/issues/{}/ack", api_issue_ack },
    { "POST", "/v1/issues/{}/resolve", api_issue_resolve },
    { "POST", "/v1/issues/{}/reopen", api_issue_reopen },
    { "GET", "/v1/deadlines", api_deadlines },
    { "POST", "/v1/decide", api_decide },
    { "GET", "/v1/groups", api_groups },
    { "POST", "/v1/try", api_try },
    { "GET", "/v1/places", api_places },
    { "POST", "/v1/reload", api_reload },
    { "GET", "/v1/backup", api_backup_status },
    { "POST", "/v1/backup", api_backup },
    { "POST", "/v1/endpoints/{}/trip", api_trip },
    { "POST", "/v1/endpoints/{}/reset", api_reset },
    { "POST", "/v1/endpoints/{}/unpark", api_unpark },
    { "POST", "/v1/endpoints/{}/pause", api_pause },
    { "POST", "/v1/endpoints/{}/drain", api_drain },
    { "POST", "/v1/endpoints/{}/resume", api_resume },
    { "GET", "/v1/feeds", api_feeds },
    { "GET", "/v1/webhooks", api_webhooks },
    { "GET", "/v1/privacy", api_privacy },
    { "GET", "/v1/privacy/{}", api_privacy_show },
    { "GET", "/v1/privacy/{}/events", api_privacy_events },
    { "POST", "/v1/privacy/{}/done", api_privacy_done },
    { "GET", "/v1/reconcile", api_reconcile_show },
    { "POST", "/v1/reconcile", api_reconcile },
    { "POST", "/v1/endpoints/{}/poll", api_poll },
    { "GET", "/v1/backfills", api_backfills },
    { "POST", "/v1/backfills", api_backfill },
    { "POST", "/v1/backfills/{}/cancel", api_backfill_cancel },
    { "POST", "/v1/endpoints/{}/report", api_report },
    { "GET", "/v1/routes", api_route_list },
    { "POST", "/v1/routes/{}/pause", api_pause },
    { "POST", "/v1/routes/{}/drain", api_drain },
    { "POST", "/v1/routes/{}/resume", api_resume },
    { 0 },
};

#define GET_BODY_BYTES 4096

static const sl_header api_headers[] = {
    { STR("Cache-Control"), STR("no-store") },
    { STR("X-Content-Type-Options"), STR("nosniff") },
};
#define N_API_HEADERS (sizeof(api_headers) / sizeof(api_headers[0]))

/* ---- the end of a call ---- */

/** What is still asked of the store or the flow keeps the admin's memory, not its closing. */
static void release(struct admin *a)
{
    if (!a->closed || a->servers || a->calls)
        return;
    free(a->tcp_host);
    free(a);
}

static void call_end(struct call *c)
{
    struct admin *a = c->admin;

    free(c->name);
    free(c);
    a->calls--;
    release(a);
}

static void answer(struct call *c, int status, const char *type, sl_str body)
{
    if (c->state != CALL_ABANDONED)
        http_reply(c->request, &(struct http_reply){
                                   .status = status,
                                   .content_type = type,
                                   .body = body,
                                   .headers = api_headers,
                                   .n_headers = N_API_HEADERS,
                               });
    call_end(c);
}

void call_json(struct call *c, int status, sl_str json)
{
    answer(c, status, "application/json", json);
}

void call_text(struct call *c, int status, const char *type, sl_str body)
{
    answer(c, status, type, body);
}

void call_problem(struct call *c, int status, const char *fmt, ...)
{
    char detail[640];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(detail, sizeof(detail), fmt, ap);
    va_end(ap);
    if (c->state != CALL_ABANDONED)
        problem_reply(c->request, status, api_headers, N_API_HEADERS, detail);
    call_end(c);
}

void call_failed(struct call *c, int code)
{
    if (code == UV_ECANCELED)
        call_problem(c, 503, "the daemon is shutting down");
    else if (code == UV_ENOSPC)
        call_problem(c, 503, "the disk is full; ask again when there is room");
    else if (code == UV_ETIMEDOUT)
        call_problem(c, 503,
                     "too much had to be looked through, and it was given up; narrow it down: by "
                     "state or by subject");
    else
        call_problem(c, 500, "the store could not answer: %s", uv_strerror(code));
}

/* ---- who may ask ---- */

static bool is_address(sl_str host)
{
    struct in6_addr address;
    char text[64];

    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = (sl_str){ host.ptr + 1, host.len - 2 };
    if (host.len >= sizeof(text))
        return false;
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

/** "host" of "host:port". */
static sl_str without_port(sl_str host)
{
    for (size_t i = host.len; i-- > 0;) {
        if (host.ptr[i] == ':')
            return (sl_str){ host.ptr, i };
        if (host.ptr[i] < '0' || host.ptr[i] > '9')
            break;
    }
    return host;
}

/** A page of a foreign site that made its name point here sends that name: it is turned away. */
static bool host_is_ours(const struct admin *a, sl_str host)
{
    static const char *const always[] = { "localhost", "127.0.0.1", "[::1]" };

    host = without_port(host);
    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
        if (str_eq_nocase(host, str_of(always[i])))
            return true;
    return str_eq_nocase(host, str_of(a->tcp_host)) || (a->tcp_any && is_address(host));
}

static bool token_is_right(const char *token, sl_str given)
{
    if (given.len < 7 || !str_eq_nocase((sl_str){ given.ptr, 7 }, STR("Bearer ")))
        return false;
    given = str_trim((sl_str){ given.ptr + 7, given.len - 7 });
    return digest_equal(given.ptr, given.len, token, strlen(token));
}

/** May this be asked over TCP? If not, it was answered. */
static bool admit_tcp(struct admin *a, struct http_request *r)
{
    static const sl_header bearer = { STR("WWW-Authenticate"), STR("Bearer realm=\"sluice\"") };
    const char *token = a->conf.config->admin_token;

    if (!host_is_ours(a, http_header(r, "host", NULL))) {
        problem_reply(r, 421, NULL, 0,
                      "this host name is not served; use localhost or the address of admin.listen");
        return false;
    }
    if (!str_starts(http_path(r), STR("/v1/")))
        return true;
    if (!token || !*token) {
        problem_reply(r, 403, NULL, 0,
                      "admin.token is not set in the configuration, so over TCP only /livez, "
                      "/readyz and /metrics answer; use the unix socket or set it");
        return false;
    }
    if (!token_is_right(token, http_header(r, "authorization", NULL))) {
        problem_reply(r, 401, &bearer, 1,
                      "wanted \"Authorization: Bearer TOKEN\" with admin.token");
        return false;
    }
    return true;
}

/* ---- which handler ---- */

/** Does the path fit? *ret_name is what stands for {}. */
static bool path_fits(const char *pattern, sl_str path, sl_str *ret_name)
{
    const char *hole = strstr(pattern, "{}");

    if (!hole)
        return str_eq(path, str_of(pattern));
    sl_str before = { pattern, (size_t)(hole - pattern) }, after = str_of(hole + 2);
    if (path.len <= before.len + after.len || !str_starts(path, before) ||
        memcmp(path.ptr + path.len - after.len, after.ptr, after.len) != 0)
        return false;
    sl_str name = { path.ptr + before.len, path.len - before.len - after.len };
    if (memchr(name.ptr, '/', name.len))
        return false;
    *ret_name = name;
    return true;
}

static const struct api_route *find_route(struct http_request *r, sl_str *ret_name)
{
    const struct api_route *other = NULL;

    for (const struct api_route *p = api_routes; p->path; p++) {
        if (!path_fits(p->path, http_path(r), ret_name))
            continue;
        if (str_eq(http_method(r), str_of(p->method)))
            return p;
        other = p;
    }
    if (other) {
        sl_header allow = { STR("Allow"), str_of(other->method) };
        char text[64];
        snprintf(text, sizeof(text), "this path takes %s", other->method);
        problem_reply(r, 405, &allow, 1, text);
    } else {
        problem_reply(r, 404, NULL, 0, "there is no such path");
    }
    return NULL;
}

static void name_caller(struct call *c, bool tcp)
{
    int64_t uid = tcp ? -1 : http_peer_uid(c->request);

    if (tcp)
        snprintf(c->who, sizeof(c->who), "token");
    else if (uid < 0)
        snprintf(c->who, sizeof(c->who), "uid unknown");
    else
        snprintf(c->who, sizeof(c->who), "uid %lld", (long long)uid);
}

static void on_head(void *ctx, struct http_request *r)
{
    struct listener *l = ctx;
    sl_str name = STR("");

    if (l->tcp && !admit_tcp(l->admin, r))
        return;
    const struct api_route *route = find_route(r, &name);
    if (!route)
        return;
    char *decoded = ask_decode(name, false);
    if (!decoded) {
        problem_reply(r, 400, NULL, 0, "the path holds a malformed % escape");
        return;
    }
    if (str_eq(str_of(route->method), STR("GET")))
        http_limit_body(r, GET_BODY_BYTES); /* some of them answer without a token */
    struct call *c = mem_zero(sizeof(*c));
    *c = (struct call){ .admin = l->admin, .request = r, .route = route, .name = decoded };
    name_caller(c, l->tcp);
    l->admin->calls++;
    http_set_data(r, c);
}

static void on_end(void *ctx, struct http_request *r)
{
    struct call *c = http_data(r);

    (void)ctx;
    c->state = CALL_WORKING;
    c->route->run(c);
}

static void on_gone(void *ctx, struct http_request *r)
{
    struct call *c = http_data(r);

    (void)ctx;
    if (!c)
        return;
    c->request = NULL;
    if (c->state == CALL_READING)
        call_end(c);
    else
        c->state = CALL_ABANDONED;
}

static const struct http_handler handler = { .on_head = on_head,
                                             .on_end = on_end,
                                             .on_gone = on_gone };

/* ---- opening and closing ---- */

static int listen_on(struct listener *l, const char *where, struct fail *fail)
{
    struct http_server_conf conf;
    int r;

    http_server_defaults(&conf);
    conf.listen = where;
    conf.unix_mode = 0660;
    conf.max_body_bytes = API_BODY_BYTES;
    conf.max_connections = 256;
    r = http_server_open(&l->server, l->admin->conf.loop, &conf, &handler, l, fail);
    if (r < 0)
        fail_prefix(fail, "admin");
    l->admin->servers += r == 0;
    return r;
}

static void set_tcp_host(struct admin *a, const char *listen)
{
    sl_str host = without_port(str_of(listen));

    a->tcp_host = mem_dup(host);
    a->tcp_any = str_eq(host, STR("0.0.0.0")) || str_eq(host, STR("[::]"));
}

static void on_half_closed(void *ctx)
{
    (void)ctx;
}

int admin_open(struct admin **ret, const struct admin_conf *conf, struct fail *fail)
{
    struct admin *a = mem_zero(sizeof(*a));
    struct buf where = { 0 };
    int r;

    *a = (struct admin){
        .conf = *conf,
        .tcp = { .admin = a, .tcp = true },
        .local = { .admin = a },
        .started_ms = clock_mono_ms(),
    };
    buf_printf(&where, "unix:%s", conf->config->admin_socket);
    r = listen_on(&a->local, where.data, fail);
    buf_finish(&where);
    if (r == 0 && conf->config->admin_listen) {
        set_tcp_host(a, conf->config->admin_listen);
        r = listen_on(&a->tcp, conf->config->admin_listen, fail);
    }
    if (r == 0)
        *ret = a;
    else if (a->servers)
        admin_close(a, on_half_closed, NULL); /* the loop's next turns free it */
    else
        free(a);
    return r;
}

void admin_change(struct admin *a, const struct config *config)
{
    a->conf.config = config;
}

int admin_port(const struct admin *a)
{
    return a->tcp.server ? http_server_port(a->tcp.server) : 0;
}

static void on_server_closed(void *ctx)
{
    struct admin *a = ctx;
    void (*closed)(void *) = a->closed;
    void *closed_ctx = a->ctx;

    if (--a->servers)
        return;
    release(a);
    closed(closed_ctx);
}

void admin_close(struct admin *a, void (*cb)(void *ctx), void *ctx)
{
    a->closed = cb;
    a->ctx = ctx;
    if (a->tcp.server)
        http_server_close(a->tcp.server, 1000, on_server_closed, a);
    http_server_close(a->local.server, 1000, on_server_closed, a);
}
