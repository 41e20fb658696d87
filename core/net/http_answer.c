/*
 * http_answer.c - see http_answer.h.
 */
#include "net/http_answer.h"

#include <stdlib.h>
#include <uv.h>
#include "net/http_guard.h"

/* What chunking may cost: a chunk of one byte takes five more. Chunk extensions, padding and
 * trailers reach no callback of llhttp, so they are counted as what is not body. */
#define FRAMING_FREE   65536
#define FRAMING_FACTOR 8
#define RESERVE_MAX    (256u * 1024) /* of a promised body; the rest when it comes */

static int bad(struct http_answer *a, int code, const char *why)
{
    a->stage = ANSWER_BAD;
    a->why = why;
    return code;
}

/* ---- llhttp's side ---- */

static int on_head(llhttp_t *ll)
{
    struct http_answer *a = ll->data;

    a->seen_head = true;
    return a->no_body ? 1 : 0;
}

static int on_trailer(llhttp_t *ll, const char *p, size_t n)
{
    struct http_answer *a = ll->data;

    (void)p;
    (void)n;
    if (a->seen_head)
        a->keep = false; /* discarded; not worth trusting what follows */
    return 0;
}

static int on_body(llhttp_t *ll, const char *p, size_t n)
{
    struct http_answer *a = ll->data;

    if (n > a->max_body - a->body.len) {
        a->body_error = bad(a, UV_E2BIG, "answer body too large");
        return -1;
    }
    buf_append(&a->body, p, n);
    if (a->body.failed) {
        a->body_error = bad(a, UV_ENOMEM, "no memory for the answer");
        return -1;
    }
    return 0;
}

/* A chunk that cannot fit need not be waited for. */
static int on_chunk(llhttp_t *ll)
{
    struct http_answer *a = ll->data;

    if (ll->content_length <= a->max_body - a->body.len)
        return 0;
    a->body_error = bad(a, UV_E2BIG, "answer body too large");
    return -1;
}

static int on_end(llhttp_t *ll)
{
    struct http_answer *a = ll->data;

    a->seen_end = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_headers_complete = on_head,
    .on_header_field = on_trailer,
    .on_body = on_body,
    .on_chunk_header = on_chunk,
    .on_message_complete = on_end,
};

/* ---- the head, read here ---- */

void http_answer_init(struct http_answer *a, bool to_head, uint32_t max_head, uint64_t max_body)
{
    *a = (struct http_answer){ .to_head = to_head, .max_head = max_head, .max_body = max_body };
}

void http_answer_finish(struct http_answer *a)
{
    free(a->headers);
    buf_finish(&a->raw);
    buf_finish(&a->body);
    *a = (struct http_answer){ 0 };
}

/* One byte of the raw head: only CRLF ends a line. 1: the empty line, 0, or negative. */
static int head_byte(struct http_answer *a, char c, char before)
{
    static const char start[] = "HTTP/1.";

    if (++a->head_bytes > a->max_head)
        return bad(a, UV_E2BIG, "answer head too large");
    if (a->lines == 0 && a->line_bytes < sizeof(start) - 1 && c != start[a->line_bytes])
        return bad(a, UV_EPROTO, "not an HTTP/1 answer");
    if (c == '\n') {
        if (before != '\r')
            return bad(a, UV_EPROTO, "LF without CR in the head");
        if (a->line_bytes == 0)
            return 1;
        a->line_bytes = 0;
        a->lines++;
        return 0;
    }
    if (before == '\r')
        return bad(a, UV_EPROTO, "CR without LF in the head");
    if (c != '\r')
        a->line_bytes++;
    return 0;
}

/* "HTTP/1.1 200 OK" or "HTTP/1.1 200" */
static int read_status_line(struct http_answer *a, sl_str line)
{
    const char *p = line.ptr;

    if (line.len < 12 || (p[7] != '0' && p[7] != '1') || p[8] != ' ')
        return bad(a, UV_EPROTO, "malformed status line");
    a->minor = p[7] - '0';
    a->status = 0;
    for (int i = 9; i < 12; i++) {
        if (p[i] < '0' || p[i] > '9')
            return bad(a, UV_EPROTO, "malformed status");
        a->status = a->status * 10 + (p[i] - '0');
    }
    if (a->status < 100 || a->status > 599 || (line.len > 12 && p[12] != ' '))
        return bad(a, UV_EPROTO, "malformed status");
    if (!http_is_field_value((sl_str){ p + 12, line.len - 12 }))
        return bad(a, UV_EPROTO, "control byte in the status line");
    return 0;
}

static int read_length(struct http_answer *a, sl_str value)
{
    uint64_t n = 0;

    if (a->has_length)
        return bad(a, UV_EPROTO, "two Content-Length fields");
    if (value.len == 0 || value.len > 18)
        return bad(a, UV_EPROTO, "malformed Content-Length");
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return bad(a, UV_EPROTO, "malformed Content-Length");
        n = n * 10 + (uint64_t)(value.ptr[i] - '0');
    }
    a->has_length = true;
    a->length = n;
    return 0;
}

static void read_connection(struct http_answer *a, sl_str value)
{
    while (value.len > 0) {
        const char *comma = memchr(value.ptr, ',', value.len);
        size_t n = comma ? (size_t)(comma - value.ptr) : value.len;
        sl_str token = str_trim((sl_str){ value.ptr, n });

        a->saw_close |= str_eq_nocase(token, STR("close"));
        a->saw_keep |= str_eq_nocase(token, STR("keep-alive"));
        n += comma != NULL;
        value = (sl_str){ value.ptr + n, value.len - n };
    }
}

static int read_field(struct http_answer *a, sl_str line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    sl_header h;

    if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
        return bad(a, UV_EPROTO, "folded header line");
    if (!colon)
        return bad(a, UV_EPROTO, "header line without a colon");
    h.name = (sl_str){ line.ptr, (size_t)(colon - line.ptr) };
    h.value = str_trim((sl_str){ colon + 1, line.len - h.name.len - 1 });
    if (!http_is_token(h.name))
        return bad(a, UV_EPROTO, "malformed header name");
    if (!http_is_field_value(h.value))
        return bad(a, UV_EPROTO, "control byte in a header");
    a->headers[a->n_headers++] = h;
    if (str_eq_nocase(h.name, STR("content-length")))
        return read_length(a, h.value);
    if (str_eq_nocase(h.name, STR("transfer-encoding"))) {
        if (a->chunked || !str_eq_nocase(h.value, STR("chunked")))
            return bad(a, UV_EPROTO, "transfer coding other than chunked");
        a->chunked = true;
    }
    if (str_eq_nocase(h.name, STR("connection")))
        read_connection(a, h.value);
    return 0;
}

static int read_head(struct http_answer *a)
{
    const char *p = a->raw.data, *end;
    int r;

    a->headers = calloc(a->lines, sizeof(*a->headers)); /* the status line is one of them */
    if (!a->headers)
        return bad(a, UV_ENOMEM, "no memory for the answer");
    for (uint32_t i = 0; i < a->lines; i++, p = end + 2) {
        sl_str line;

        end = strstr(p, "\r\n"); /* head_byte() saw `lines` of them; a NUL hides the rest */
        if (!end)
            return bad(a, UV_EPROTO, "NUL in the head");
        line = (sl_str){ p, (size_t)(end - p) };
        if ((r = i == 0 ? read_status_line(a, line) : read_field(a, line)) < 0)
            return r;
    }
    return 0;
}

/* ---- from head to body ---- */

static int check_framing(struct http_answer *a)
{
    bool framed = a->chunked || a->has_length;

    if (a->chunked && a->has_length)
        return bad(a, UV_EPROTO, "Content-Length and Transfer-Encoding together");
    if (a->chunked && a->minor == 0)
        return bad(a, UV_EPROTO, "Transfer-Encoding in HTTP/1.0");
    if (a->status == 101)
        return bad(a, UV_EPROTO, "the server switched protocols unasked (101)");
    if (a->status < 200)
        return framed ? bad(a, UV_EPROTO, "a body announced with a 1xx") : 0;
    a->no_body = a->to_head || a->status == 204 || a->status == 304;
    a->by_close = !framed && !a->no_body;
    a->keep = a->minor == 1 ? !a->saw_close : a->saw_keep && !a->saw_close;
    /* An answer that may not have a body but announces one, and every answer to HEAD, may be
     * followed by bytes that a careless server sends anyway. */
    if (a->by_close || a->to_head || (a->no_body && (a->chunked || a->length > 0)))
        a->keep = false;
    if (!a->no_body && a->length > a->max_body)
        return bad(a, UV_E2BIG, "answer body too large");
    return 0;
}

/* A 1xx: forget it and wait for the next head. */
static int skip_interim(struct http_answer *a)
{
    if (++a->interim > HTTP_MAX_INTERIM)
        return bad(a, UV_EPROTO, "too many 1xx answers");
    free(a->headers);
    a->headers = NULL;
    a->n_headers = 0;
    a->lines = 0;
    a->saw_close = a->saw_keep = false;
    buf_clear(&a->raw);
    return 0;
}

/* llhttp's second opinion. 1: the answer is whole, 0: a body follows. */
static int feed_head(struct http_answer *a)
{
    llhttp_errno_t r;

    llhttp_init(&a->ll, HTTP_RESPONSE, &settings);
    a->ll.data = a;
    r = llhttp_execute(&a->ll, a->raw.data, a->raw.len);
    if ((r != HPE_OK && r != HPE_PAUSED) || !a->seen_head || a->ll.status_code != a->status)
        return bad(a, UV_EPROTO, "malformed head");
    if ((r == HPE_PAUSED) != a->seen_end ||
        a->seen_end != (a->no_body || (a->has_length && a->length == 0)))
        return bad(a, UV_EPROTO, "ambiguous framing");
    if (a->seen_end) {
        a->stage = ANSWER_END;
        return 1;
    }
    if (a->chunked != !!(a->ll.flags & F_CHUNKED) ||
        a->has_length != !!(a->ll.flags & F_CONTENT_LENGTH) ||
        (a->has_length && a->ll.content_length != a->length))
        return bad(a, UV_EPROTO, "ambiguous framing");
    if (a->has_length &&
        buf_reserve(&a->body, a->length > RESERVE_MAX ? RESERVE_MAX : (size_t)a->length) < 0)
        return bad(a, UV_ENOMEM, "no memory for the answer");
    a->stage = ANSWER_BODY;
    return 0;
}

static int end_head(struct http_answer *a)
{
    int r;

    if ((r = read_head(a)) < 0 || (r = check_framing(a)) < 0)
        return r;
    return a->status < 200 ? skip_interim(a) : feed_head(a);
}

/* 1: whole, 0, or negative; *ret_used bytes were taken. */
static int feed_raw_head(struct http_answer *a, const char *p, size_t n, size_t *ret_used)
{
    char before = a->raw.len > 0 ? a->raw.data[a->raw.len - 1] : 0;
    size_t i = 0;
    int r = 0;

    while (i < n && r == 0) {
        r = head_byte(a, p[i], before);
        before = p[i++];
    }
    *ret_used = i;
    if (r < 0)
        return r;
    buf_append(&a->raw, p, i);
    if (a->raw.failed)
        return bad(a, UV_ENOMEM, "no memory for the answer");
    return r == 1 ? end_head(a) : 0;
}

static int feed_body(struct http_answer *a, const char *p, size_t n, size_t *ret_used)
{
    llhttp_errno_t r = llhttp_execute(&a->ll, p, n);

    *ret_used = n;
    if (a->body_error)
        return a->body_error;
    if (r == HPE_PAUSED && a->seen_end)
        *ret_used = (size_t)(llhttp_get_error_pos(&a->ll) - p);
    else if (r != HPE_OK)
        return bad(a, UV_EPROTO, "malformed body");
    a->wire += *ret_used;
    if (a->wire > FRAMING_FREE + (FRAMING_FACTOR + 1) * (uint64_t)a->body.len)
        return bad(a, UV_EPROTO, "too much chunk framing");
    if (!a->seen_end)
        return 0;
    a->stage = ANSWER_END;
    return 1;
}

int http_answer_feed(struct http_answer *a, const char *p, size_t n, size_t *ret_used)
{
    size_t used = 0, taken = 0;
    int r = 0;

    a->started |= n > 0;
    while (used < n && r == 0 && a->stage != ANSWER_END) {
        if (a->stage == ANSWER_BAD)
            r = UV_EPROTO;
        else if (a->stage == ANSWER_HEAD)
            r = feed_raw_head(a, p + used, n - used, &taken);
        else
            r = feed_body(a, p + used, n - used, &taken);
        used += taken;
    }
    *ret_used = used;
    return r;
}

int http_answer_eof(struct http_answer *a)
{
    if (a->stage != ANSWER_BODY || !a->by_close)
        return UV_EOF;
    a->stage = ANSWER_END;
    return 1;
}
