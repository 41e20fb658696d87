/*
 * http_reader.c - see http_reader.h.
 *
 * llhttp is stopped (HPE_PAUSED) after each chunk header and each chunk, because the positions of
 * these are needed to count what it does not report.
 */
#include "net/http_reader.h"

#include <stdlib.h>

/* ---- llhttp's callbacks: they only take notes ---- */

static struct http_reader *reader_of(llhttp_t *ll)
{
    return ll->data;
}

static int on_head(llhttp_t *ll)
{
    reader_of(ll)->seen_head = true;
    return 0;
}

static int on_body(llhttp_t *ll, const char *p, size_t n)
{
    reader_of(ll)->seen_body = (sl_str){ p, n };
    return 0;
}

static int on_chunk(llhttp_t *ll)
{
    reader_of(ll)->seen_chunk = true;
    return HPE_PAUSED;
}

static int on_chunk_end(llhttp_t *ll)
{
    reader_of(ll)->seen_chunk_end = true;
    return HPE_PAUSED;
}

static int on_end(llhttp_t *ll)
{
    reader_of(ll)->seen_end = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_chunk_header = on_chunk,
    .on_chunk_complete = on_chunk_end,
    .on_message_complete = on_end,
};

/* ---- life ---- */

void http_reader_init(struct http_reader *r, uint32_t max_head, uint32_t max_fields,
                      uint64_t max_body, const char *const *singletons)
{
    *r = (struct http_reader){ .singletons = singletons, .body_max = max_body };
    http_gate_init(&r->gate, max_head, max_fields, false);
    llhttp_init(&r->ll, HTTP_REQUEST, &settings);
    r->ll.data = r;
}

void http_reader_again(struct http_reader *r, uint32_t max_head, uint32_t max_fields,
                       uint64_t max_body, const char *const *singletons)
{
    struct buf raw = r->raw;
    sl_header *fields = r->fields;
    uint32_t n_fields = r->n_fields;

    buf_finish(&r->trailer);
    if (raw.cap > HTTP_READER_KEEPS)
        buf_finish(&raw);
    if (n_fields * sizeof(*fields) > HTTP_READER_KEEPS) {
        free(fields);
        fields = NULL;
        n_fields = 0;
    }
    http_reader_init(r, max_head, max_fields, max_body, singletons);
    buf_clear(&raw);
    r->raw = raw;
    r->fields = fields;
    r->n_fields = n_fields;
}

void http_reader_finish(struct http_reader *r)
{
    free(r->fields);
    r->fields = NULL;
    r->n_fields = 0;
    r->head = (struct http_head){ 0 };
    buf_finish(&r->raw);
    buf_finish(&r->trailer);
    r->stage = HTTP_STAGE_BAD;
}

bool http_reader_has_body(const struct http_reader *r)
{
    return r->head.chunked || r->head.length > 0;
}

uint64_t http_reader_left(const struct http_reader *r)
{
    return r->stage == HTTP_STAGE_FIXED ? r->left : 0;
}

bool http_reader_is_whole(const struct http_reader *r)
{
    return r->stage == HTTP_STAGE_END || (r->stage == HTTP_STAGE_FIXED && r->left == 0);
}

static enum http_step refuse(struct http_reader *r, struct http_refusal no)
{
    r->stage = HTTP_STAGE_BAD;
    r->refusal = no;
    return HTTP_STEP_BAD;
}

static enum http_step refuse_as(struct http_reader *r, int status, const char *why)
{
    return refuse(r, (struct http_refusal){ status, why });
}

/* Let llhttp read; returns how many bytes it took. False in *ok: it refused. */
static size_t run_llhttp(struct http_reader *r, const char *p, size_t n, bool *ok)
{
    llhttp_errno_t err;

    r->seen_body = STR("");
    r->seen_head = r->seen_chunk = r->seen_chunk_end = r->seen_end = false;
    err = llhttp_execute(&r->ll, p, n);
    *ok = err == HPE_OK || err == HPE_PAUSED;
    if (err == HPE_OK)
        return n;
    n = (size_t)(llhttp_get_error_pos(&r->ll) - p);
    if (err == HPE_PAUSED)
        llhttp_resume(&r->ll);
    return n;
}

/* ---- the head ---- */

/* Both readers must have understood the same. */
static bool readers_agree(struct http_reader *r)
{
    const struct http_head *h = &r->head;
    const llhttp_t *ll = &r->ll;

    return ll->http_major == 1 && ll->http_minor == h->minor && !ll->upgrade &&
           str_eq(str_of(llhttp_method_name(ll->method)), h->method) &&
           !(ll->flags & F_CHUNKED) == !h->chunked &&
           (r->seen_end || !(ll->flags & F_CONTENT_LENGTH) == !h->has_length) &&
           (h->chunked || ll->content_length == h->length) &&
           r->seen_end == !http_reader_has_body(r);
}

static bool fields_for(struct http_reader *r, uint32_t n)
{
    if (n <= r->n_fields)
        return true;
    n = n < 16 ? 16 : n;
    free(r->fields);
    r->fields = malloc(n * sizeof(*r->fields));
    r->n_fields = r->fields ? n : 0;
    return r->fields != NULL;
}

static enum http_step head_complete(struct http_reader *r)
{
    sl_str raw = buf_view(&r->raw);
    struct http_refusal no;
    bool ok;

    if (!fields_for(r, r->gate.lines)) /* the request line's is spare */
        return refuse_as(r, 503, "out of memory");
    no = http_head_read(&r->head, raw, r->fields, r->singletons);
    if (no.status)
        return refuse(r, no);
    if (run_llhttp(r, raw.ptr, raw.len, &ok) != raw.len || !ok || !r->seen_head)
        return refuse_as(r, 400, "bad request");
    if (!readers_agree(r))
        return refuse_as(r, 400, "ambiguous request");
    r->left = r->head.length;
    r->stage = r->head.chunked ? HTTP_STAGE_CHUNK : HTTP_STAGE_FIXED;
    return HTTP_STEP_HEAD;
}

static enum http_step step_head(struct http_reader *r, const char **p, const char *end)
{
    struct http_refusal no = { 0 };
    size_t n = http_gate_take(&r->gate, *p, (size_t)(end - *p), &no);

    buf_append(&r->raw, *p, n);
    *p += n;
    if (no.status)
        return refuse(r, no);
    if (r->raw.failed)
        return refuse_as(r, 503, "out of memory");
    return r->gate.done ? head_complete(r) : HTTP_STEP_MORE;
}

/* ---- the body ---- */

static enum http_step step_fixed(struct http_reader *r, const char **p, const char *end,
                                 sl_str *ret_piece)
{
    size_t n = (size_t)(end - *p);
    bool ok;

    if (r->head.length > r->body_max)
        return refuse_as(r, 413, "body too large");
    if (r->left == 0) {
        r->stage = HTTP_STAGE_END;
        return HTTP_STEP_END;
    }
    if (n == 0)
        return HTTP_STEP_MORE;
    if (n > r->left)
        n = (size_t)r->left;
    if (run_llhttp(r, *p, n, &ok) != n || !ok || r->seen_body.len != n ||
        r->seen_end != (n == r->left))
        return refuse_as(r, 400, "bad body");
    r->left -= n;
    r->body_bytes += n;
    *p += n;
    *ret_piece = r->seen_body;
    return HTTP_STEP_BODY;
}

static enum http_step step_chunk(struct http_reader *r, const char **p, const char *end)
{
    struct http_refusal no;
    size_t n;
    bool ok;

    if (r->budget.wire == 0)
        http_budget_init(&r->budget, r->body_max);
    if (*p == end)
        return HTTP_STEP_MORE;
    n = run_llhttp(r, *p, (size_t)(end - *p), &ok);
    r->body_bytes += n;
    *p += n;
    if ((no = http_budget_line(&r->budget, n)).status)
        return refuse(r, no);
    if (!ok)
        return refuse_as(r, 400, "bad chunk header");
    if (!r->seen_chunk)
        return HTTP_STEP_MORE;
    if ((no = http_budget_chunk(&r->budget, r->ll.content_length)).status)
        return refuse(r, no);
    r->stage = r->ll.content_length > 0 ? HTTP_STAGE_DATA : HTTP_STAGE_TRAILER;
    if (r->stage == HTTP_STAGE_TRAILER)
        http_gate_init(&r->gate, HTTP_MAX_TRAILERS, r->gate.max_fields, true);
    return HTTP_STEP_MORE; /* step() goes on while there are bytes */
}

static enum http_step step_data(struct http_reader *r, const char **p, const char *end,
                                sl_str *ret_piece)
{
    struct http_refusal no;
    size_t n;
    bool ok;

    if (*p == end)
        return HTTP_STEP_MORE;
    n = run_llhttp(r, *p, (size_t)(end - *p), &ok);
    r->body_bytes += n;
    *p += n;
    if ((no = http_budget_data(&r->budget, n)).status)
        return refuse(r, no);
    if (!ok)
        return refuse_as(r, 400, "bad chunk");
    if (r->seen_chunk_end)
        r->stage = HTTP_STAGE_CHUNK;
    *ret_piece = r->seen_body;
    return r->seen_body.len > 0 ? HTTP_STEP_BODY : HTTP_STEP_MORE;
}

static enum http_step step_trailer(struct http_reader *r, const char **p, const char *end)
{
    struct http_refusal no = { 0 };
    size_t n = http_gate_take(&r->gate, *p, (size_t)(end - *p), &no);

    buf_append(&r->trailer, *p, n);
    r->body_bytes += n;
    *p += n;
    if (no.status)
        return refuse(r, no);
    if (r->trailer.failed)
        return refuse_as(r, 503, "out of memory");
    if (!r->gate.done)
        return HTTP_STEP_MORE;
    no = http_trailers_check(buf_view(&r->trailer));
    buf_finish(&r->trailer);
    if (no.status)
        return refuse(r, no);
    r->stage = HTTP_STAGE_END;
    return HTTP_STEP_END;
}

enum http_step http_reader_step(struct http_reader *r, const char **p, const char *end,
                                sl_str *ret_piece)
{
    enum http_step step = HTTP_STEP_MORE;

    do {
        switch (r->stage) {
        case HTTP_STAGE_HEAD:
            step = step_head(r, p, end);
            break;
        case HTTP_STAGE_FIXED:
            step = step_fixed(r, p, end, ret_piece);
            break;
        case HTTP_STAGE_CHUNK:
            step = step_chunk(r, p, end);
            break;
        case HTTP_STAGE_DATA:
            step = step_data(r, p, end, ret_piece);
            break;
        case HTTP_STAGE_TRAILER:
            step = step_trailer(r, p, end);
            break;
        case HTTP_STAGE_END:
            return HTTP_STEP_END;
        default:
            return HTTP_STEP_BAD;
        }
    } while (step == HTTP_STEP_MORE && *p < end);
    return step;
}
