/*
 * fuzz_http_request.c - requests on one connection, as one read and cut into pieces: the same
 * requests are understood, or the same refusal is given, however the bytes were cut.
 *
 * Input: a byte for the largest piece, a byte for the limits, then what the peer sends.
 */
#include "fuzz.h"

#include <string.h>
#include "base/buf.h"
#include "net/http_reader.h"

#define MAX_REQUESTS 4 /* of one connection */

static const char *const singletons[] = { "x-shopify-topic", "shopify-*", NULL };

struct limits {
    uint32_t head, fields;
    uint64_t body;
};

/* What was understood, as text. */
struct run {
    struct http_reader reader;
    struct limits limits;
    struct buf said;
    struct buf body; /* of the request under way; what a refusal leaves behind does not count */
    unsigned requests;
};

static void begin(struct run *r)
{
    http_reader_init(&r->reader, r->limits.head, r->limits.fields, r->limits.body, singletons);
    buf_clear(&r->body);
}

static void say_head(struct run *r)
{
    const struct http_head *h = &r->reader.head;
    sl_str raw = buf_view(&r->reader.raw);

    PROMISE(within(h->method, raw) && within(h->target, raw) && within(h->path, raw), "head");
    buf_printf(&r->said, STR_FMT " " STR_FMT " ? " STR_FMT " 1.%d keep=%d expect=%d body=%d\n",
               STR_ARG(h->method), STR_ARG(h->path), STR_ARG(h->query), h->minor, h->keep_alive,
               h->expect_continue, http_reader_has_body(&r->reader));
    for (size_t i = 0; i < h->n_headers; i++) {
        PROMISE(within(h->headers[i].name, raw) && within(h->headers[i].value, raw), "header");
        PROMISE(http_is_token(h->headers[i].name), "name");
        PROMISE(http_is_field_value(h->headers[i].value), "value");
        buf_printf(&r->said, STR_FMT "=" STR_FMT "\n", STR_ARG(h->headers[i].name),
                   STR_ARG(h->headers[i].value));
    }
}

/* The request is whole, or the input is at its end. */
static void say_body(struct run *r, const char *how)
{
    PROMISE(r->body.len <= r->limits.body, "a body of %zu bytes", r->body.len);
    buf_printf(&r->said, "%s %zu ", how, r->body.len);
    buf_str(&r->said, buf_view(&r->body));
}

/* False: nothing more is read. */
static bool feed(struct run *r, const char *p, const char *end)
{
    enum http_step step = HTTP_STEP_HEAD;
    const char *start = p;
    sl_str piece;

    while (step != HTTP_STEP_MORE) {
        piece = STR("");
        step = http_reader_step(&r->reader, &p, end, &piece);
        PROMISE(p >= start && p <= end, "took what is not there");
        if (step == HTTP_STEP_HEAD) {
            say_head(r);
        } else if (step == HTTP_STEP_BODY) {
            PROMISE(piece.len > 0, "an empty piece");
            buf_str(&r->body, piece);
        } else if (step == HTTP_STEP_BAD) {
            PROMISE(r->reader.refusal.status >= 400 && r->reader.refusal.why, "no reason");
            buf_printf(&r->said, "refused %d", r->reader.refusal.status);
            return false;
        } else if (step == HTTP_STEP_END) {
            say_body(r, "whole");
            http_reader_finish(&r->reader);
            begin(r);
            if (++r->requests == MAX_REQUESTS)
                return false;
            if (p == end)
                return true;
        }
    }
    PROMISE(p == end, "wants more, but left some");
    return true;
}

/* Each piece is a copy of its own, so that a read past it is seen. */
static void run(struct run *r, sl_str bytes, size_t max_piece)
{
    bool more = true;

    begin(r);
    for (size_t at = 0, n; more && at < bytes.len; at += n) {
        char *piece;

        n = bytes.len - at < max_piece ? bytes.len - at : max_piece;
        piece = malloc(n);
        memcpy(piece, bytes.ptr + at, n);
        more = feed(r, piece, piece + n);
        free(piece);
    }
    if (more)
        say_body(r, "so far");
    http_reader_finish(&r->reader);
    buf_finish(&r->body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct limits limits[] = { { 32768, 100, 1 << 20 }, { 256, 6, 48 } };
    struct input in = { data, data + size };
    size_t max_piece = 1 + take_u8(&in) % 64;
    const struct limits *l = &limits[take_u8(&in) & 1];
    struct run once = { .limits = *l }, cut = { .limits = *l };

    run(&once, rest(&in), SIZE_MAX);
    run(&cut, rest(&in), max_piece);
    PROMISE(str_eq(buf_view(&once.said), buf_view(&cut.said)),
            "\n--- as one\n" STR_FMT "\n--- cut\n" STR_FMT, STR_ARG(buf_view(&once.said)),
            STR_ARG(buf_view(&cut.said)));
    buf_finish(&once.said);
    buf_finish(&cut.said);
    return 0;
}
