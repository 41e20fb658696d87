#include "admin/admin.h"

#include <stdlib.h>
#include "base/mem.h"
#include "net/http_server.h"

struct admin {
    struct admin_conf conf;
    struct http_server *tcp, *local;
    size_t open;
    void (*cb)(void *ctx);
    void *ctx;
};

static void on_head(void *ctx, struct http_request *r)
{
    (void)ctx;
    (void)r;
}

static void on_end(void *ctx, struct http_request *r)
{
    struct admin *a = ctx;
    struct buf b = { 0 };
    sl_str path = http_path(r);

    if (str_eq(path, STR("/livez"))) {
        http_reply_text(r, 200, "ok\n");
    } else if (str_eq(path, STR("/readyz"))) {
        bool ready = watch_ready(a->conf.watch, &b);
        http_reply_text(r, ready ? 200 : 503, ready ? "ok\n" : b.data);
    } else if (str_eq(path, STR("/metrics"))) {
        watch_metrics(a->conf.watch, &b);
        http_reply(r, &(struct http_reply){ .status = 200,
                                            .content_type = "text/plain; version=0.0.4",
                                            .body = buf_view(&b) });
    } else {
        http_reply_text(r, 404, "no such path\n");
    }
    buf_finish(&b);
}

static void on_gone(void *ctx, struct http_request *r)
{
    (void)ctx;
    (void)r;
}

static const struct http_handler handler = { .on_head = on_head, .on_end = on_end,
                                             .on_gone = on_gone };

static int listen_on(struct admin *a, const char *where, struct http_server **ret, struct fail *fail)
{
    struct http_server_conf conf;

    http_server_defaults(&conf);
    conf.listen = where;
    conf.unix_mode = 0660;
    conf.max_body_bytes = 8 << 20;
    int r = http_server_open(ret, a->conf.loop, &conf, &handler, a, fail);
    a->open += r == 0;
    return r;
}

int admin_open(struct admin **ret, const struct admin_conf *conf, struct fail *fail)
{
    struct admin *a = mem_zero(sizeof(*a));
    struct buf where = { 0 };
    int r;

    a->conf = *conf;
    buf_printf(&where, "unix:%s", conf->config->admin_socket);
    r = listen_on(a, where.data, &a->local, fail);
    buf_finish(&where);
    if (r == 0 && conf->config->admin_listen)
        r = listen_on(a, conf->config->admin_listen, &a->tcp, fail);
    if (r == 0)
        *ret = a;
    return r;
}

int admin_port(const struct admin *a)
{
    return a->tcp ? http_server_port(a->tcp) : 0;
}

static void on_closed(void *ctx)
{
    struct admin *a = ctx;

    if (--a->open)
        return;
    a->cb(a->ctx);
    free(a);
}

void admin_close(struct admin *a, void (*cb)(void *ctx), void *ctx)
{
    a->cb = cb;
    a->ctx = ctx;
    if (a->tcp)
        http_server_close(a->tcp, 1000, on_closed, a);
    http_server_close(a->local, 1000, on_closed, a);
}
