/*
 * http_echo.c - the server alone, for tests with real proxies in front of it.
 *
 *   http-echo          listens on 127.0.0.1, prints its port, then one line for each whole request
 *   http-echo vectors  prints the table of http_vectors.h, one JSON object a line
 *
 * A request's line is "N METHOD TARGET HOST BODY", the body in hexadecimal ('-': empty). The same
 * line is the body of the answer, whose header X-Seen is N. Ends when its standard input does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "http_vectors.h"
#include "net/http_server.h"

#define BODY_BYTES 4096 /* as in test_http_vectors.c */

static void put_hex(struct buf *b, sl_str s)
{
    for (size_t i = 0; i < s.len; i++)
        buf_printf(b, "%02x", (unsigned char)s.ptr[i]);
}

/* ---- the table ---- */

static void put_vector(struct buf *b, const struct http_vector *v)
{
    struct buf bytes = { 0 };

    buf_append(&bytes, v->bytes, v->len);
    for (unsigned i = 0; i < v->times; i++)
        buf_cstr(&bytes, v->repeat);
    buf_cstr(&bytes, v->rest ? v->rest : "");
    buf_cstr(b, "{\"why\":");
    buf_json_str(b, str_of(v->why));
    buf_cstr(b, ",\"bytes\":\"");
    put_hex(b, buf_view(&bytes));
    buf_printf(b, "\",\"answers\":\"%s\",\"seen\":", v->answers);
    if (v->seen) {
        buf_char(b, '"');
        put_hex(b, str_of(v->seen));
        buf_char(b, '"');
    } else {
        buf_cstr(b, "null");
    }
    buf_cstr(b, "}\n");
    buf_finish(&bytes);
}

static int print_vectors(void)
{
    struct buf b = { 0 };

    for (size_t i = 0; i < n_http_vectors; i++)
        put_vector(&b, &http_vectors[i]);
    fwrite(b.data, 1, b.len, stdout);
    buf_finish(&b);
    return 0;
}

/* ---- the server ---- */

struct echo {
    uv_loop_t loop;
    struct http_server *server;
    uv_pipe_t input;
    unsigned n;
};

static void on_head(void *ctx, struct http_request *r)
{
    (void)ctx;
    (void)r;
}

static void on_gone(void *ctx, struct http_request *r)
{
    (void)ctx;
    (void)r;
}

static void on_end(void *ctx, struct http_request *r)
{
    struct echo *e = ctx;
    struct buf line = { 0 };
    char number[16];
    sl_str host = http_header(r, "host", NULL);

    snprintf(number, sizeof(number), "%u", ++e->n);
    buf_printf(&line, "%s " STR_FMT " " STR_FMT " " STR_FMT " ", number, STR_ARG(http_method(r)),
               STR_ARG(http_target(r)), STR_ARG(host.len ? host : STR("-")));
    if (http_body(r).len)
        put_hex(&line, http_body(r));
    else
        buf_char(&line, '-');
    buf_char(&line, '\n');
    fwrite(line.data, 1, line.len, stdout);
    fflush(stdout);
    http_reply(r, &(struct http_reply){
                      .status = 200,
                      .content_type = "text/plain",
                      .body = buf_view(&line),
                      .headers = &(sl_header){ STR("X-Seen"), str_of(number) },
                      .n_headers = 1,
                  });
    buf_finish(&line);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    static char ignored[64];

    (void)handle;
    (void)suggested;
    *ret = uv_buf_init(ignored, sizeof(ignored));
}

static void on_input(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct echo *e = stream->data;

    (void)buf;
    if (n >= 0)
        return;
    uv_close((uv_handle_t *)stream, NULL);
    http_server_close(e->server, 0, NULL, NULL);
}

static int serve(void)
{
    static const struct http_handler handler = { .on_head = on_head,
                                                 .on_end = on_end,
                                                 .on_gone = on_gone };
    static struct echo e;
    struct http_server_conf conf;
    struct fail fail = { 0 };

    uv_loop_init(&e.loop);
    http_server_defaults(&conf);
    conf.listen = "127.0.0.1:0";
    conf.max_body_bytes = BODY_BYTES;
    if (http_server_open(&e.server, &e.loop, &conf, &handler, &e, &fail) < 0) {
        fprintf(stderr, "http-echo: %s\n", fail.text);
        return 1;
    }
    uv_pipe_init(&e.loop, &e.input, 0);
    e.input.data = &e;
    uv_pipe_open(&e.input, 0);
    uv_read_start((uv_stream_t *)&e.input, on_alloc, on_input);
    printf("%d\n", http_server_port(e.server));
    fflush(stdout);
    uv_run(&e.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&e.loop) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    return argc > 1 && strcmp(argv[1], "vectors") == 0 ? print_vectors() : serve();
}
