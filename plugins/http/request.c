/*
 * request.c - prepare(): the request of a delivery, made once and frozen, and read back.
 */
#include "http.h"

#include <stdlib.h>
#include <string.h>

static const sl_str methods[] = { { "POST", 4 }, { "PUT", 3 }, { "PATCH", 5 }, { "DELETE", 6 } };

static int is_method(sl_str s)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (s.len == methods[i].len && memcmp(s.ptr, methods[i].ptr, s.len) == 0)
            return 1;
    return 0;
}

/* ---- reading back -------------------------------------------------------------------------- */

/* The next line, without its end; `text` is moved past it. 0: there is no whole line. */
static int next_line(sl_str *text, sl_str *ret)
{
    const char *end = text->len > 0 ? memchr(text->ptr, '\n', text->len) : NULL;

    if (!end)
        return 0;
    *ret = (sl_str){ text->ptr, (size_t)(end - text->ptr) };
    text->len -= ret->len + 1;
    text->ptr = end + 1;
    return 1;
}

static int parse_first(sl_str line, struct request *to)
{
    const char *blank = line.len > 0 ? memchr(line.ptr, ' ', line.len) : NULL;

    to->method = (sl_str){ line.ptr, blank ? (size_t)(blank - line.ptr) : line.len };
    to->path = blank ? (sl_str){ blank + 1, line.len - to->method.len - 1 } : (sl_str){ "", 0 };
    if (!is_method(to->method) || (blank && (to->path.len == 0 || *to->path.ptr != '/')))
        return 0;
    for (size_t i = 0; i < to->path.len; i++)
        if (to->path.ptr[i] <= ' ' || to->path.ptr[i] > '~')
            return 0;
    return to->path.len <= MAX_PATH;
}

static int parse_header(sl_str line, sl_header *to)
{
    const char *colon = memchr(line.ptr, ':', line.len);

    if (!colon)
        return 0;
    to->name = (sl_str){ line.ptr, (size_t)(colon - line.ptr) };
    if (!header_is_token(to->name.ptr, to->name.len) || line.len < to->name.len + 2 ||
        colon[1] != ' ')
        return 0;
    to->value = (sl_str){ colon + 2, line.len - to->name.len - 2 };
    for (size_t i = 0; i < to->value.len; i++)
        if ((unsigned char)to->value.ptr[i] < ' ' || to->value.ptr[i] == 0x7f)
            return 0;
    return 1;
}

sl_status request_parse(sl_str text, struct request *ret)
{
    sl_str line;

    ret->n_headers = 0;
    if (!next_line(&text, &line) || !parse_first(line, ret))
        return SL_E_INVALID;
    for (;;) {
        if (!next_line(&text, &line))
            return SL_E_INVALID;
        if (line.len == 0)
            break;
        if (ret->n_headers == REQUEST_MAX_HEADERS ||
            !parse_header(line, &ret->headers[ret->n_headers++]))
            return SL_E_INVALID;
    }
    ret->body = text;
    return SL_OK;
}

/* ---- making -------------------------------------------------------------------------------- */

/* All before the body. */
static sl_status write_head(FILE *out, const struct action *a, const sl_record *record,
                            char why[WHY_SIZE])
{
    struct fields f = { .record = record };
    sl_status r = SL_OK;
    long begin;

    fwrite(a->method.ptr, 1, a->method.len, out);
    if (a->path.len > 0)
        fputc(' ', out);
    begin = ftell(out);
    r = template_write(out, a->path, TEMPLATE_PATH, &f, why);
    if (r == SL_OK && ftell(out) - begin > MAX_PATH) {
        snprintf(why, WHY_SIZE, "path: longer than %d bytes with its values", MAX_PATH);
        r = SL_E_INVALID;
    }
    fputc('\n', out);
    for (size_t i = 0; r == SL_OK && i < a->headers.n; i++) {
        const sl_header *h = &a->headers.list[i];

        if (!template_is(h->value))
            continue;
        fprintf(out, "%.*s: ", (int)h->name.len, h->name.ptr);
        r = template_write(out, h->value, TEMPLATE_HEADER, &f, why);
        fputc('\n', out);
    }
    fputc('\n', out);
    json_decref(f.body);
    return r;
}

/* Own; NULL with `*ret`: why not. */
static char *make_head(const struct action *a, const sl_record *record, size_t *ret_len,
                       sl_status *ret, char why[WHY_SIZE])
{
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_len);
    int failed;

    *ret = SL_E_NO_MEMORY;
    snprintf(why, WHY_SIZE, "no memory for the request");
    if (!out)
        return NULL;
    *ret = write_head(out, a, record, why);
    failed = ferror(out);
    failed |= fclose(out) != 0;
    if (failed && *ret == SL_OK)
        *ret = SL_E_NO_MEMORY;
    if (*ret == SL_OK)
        return text;
    free(text);
    return NULL;
}

/* A body is being made by the action's program; then the request is whole. */
struct making {
    sl_prepare_cb cb;
    void *cb_ctx;
    char *head; /* own */
    size_t head_len;
};

static void tell(sl_prepare_cb cb, void *cb_ctx, sl_status status, const char *why)
{
    cb(cb_ctx, status, (sl_str){ NULL, 0 }, (sl_str){ why, strlen(why) });
}

static void tell_whole(sl_prepare_cb cb, void *cb_ctx, const char *head, size_t head_len,
                       sl_str body)
{
    char *whole = malloc(head_len + body.len);

    if (!whole) {
        tell(cb, cb_ctx, SL_E_NO_MEMORY, "no memory for the request");
        return;
    }
    memcpy(whole, head, head_len);
    if (body.len > 0)
        memcpy(whole + head_len, body.ptr, body.len);
    cb(cb_ctx, SL_OK, (sl_str){ whole, head_len + body.len }, (sl_str){ NULL, 0 });
    free(whole);
}

static void on_transformed(void *ctx, sl_status status, sl_str output, sl_str why)
{
    struct making *m = ctx;

    if (status == SL_OK)
        tell_whole(m->cb, m->cb_ctx, m->head, m->head_len, output);
    else
        m->cb(m->cb_ctx, status, (sl_str){ NULL, 0 }, why);
    free(m->head);
    free(m);
}

static json_t *text_of(sl_str s)
{
    return json_stringn(s.len > 0 ? s.ptr : "", s.len);
}

/* {"delivery": {...}}; own. Nothing in it changes between attempts. */
static char *delivery_vars(const sl_record *r)
{
    json_t *vars = json_pack("{s:{s:o,s:o,s:o,s:o}}", "delivery", "key", text_of(r->key), "subject",
                             text_of(r->subject), "piece", text_of(r->piece), "topic",
                             text_of(r->topic));
    char *text = vars ? json_dumps(vars, JSON_COMPACT) : NULL;

    json_decref(vars);
    return text;
}

/* `head` becomes the making's. */
static void make_body(const struct http *h, const struct action *a, const sl_record *record,
                      char *head, size_t head_len, sl_prepare_cb cb, void *cb_ctx)
{
    struct making *m = malloc(sizeof(*m));
    char *vars = delivery_vars(record);
    sl_status r = SL_E_NO_MEMORY;

    if (m)
        *m = (struct making){ cb, cb_ctx, head, head_len };
    if (m && vars)
        r = h->host->transform(h->host->ctx, a->body, record->body, (sl_str){ vars, strlen(vars) },
                               on_transformed, m);
    free(vars);
    if (r == SL_OK)
        return;
    free(head);
    free(m);
    tell(cb, cb_ctx, r, "body could not be run");
}

void http_prepare(void *self, void *handle, const sl_record *record, sl_prepare_cb cb, void *cb_ctx)
{
    const struct action *a = handle;
    /* what is deleted, or taken back, stands in the path */
    int bare = a->method.len == 6 || a->kind == ACTION_CANCEL;
    char why[WHY_SIZE], *head;
    size_t head_len;
    sl_status r;

    head = make_head(a, record, &head_len, &r, why);
    if (!head) {
        tell(cb, cb_ctx, r, why);
        return;
    }
    if (a->body.len > 0) {
        make_body(self, a, record, head, head_len, cb, cb_ctx);
        return;
    }
    tell_whole(cb, cb_ctx, head, head_len, bare ? (sl_str){ NULL, 0 } : record->body);
    free(head);
}
