/*
 * fuzz_http_chunks.c - a chunked body, with a decoder of a page as the second opinion: what the
 * reader calls whole, the decoder reads to the same bytes and the same end; what is plain and
 * within the limits, the reader does call whole. However it was cut.
 *
 * Input: a byte for the largest piece, a byte for the limit, then what follows the head.
 */
#include "fuzz.h"

#include <string.h>
#include "base/buf.h"
#include "net/http_reader.h"

static const char head[] =
    "POST /in/shop HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

struct body {
    struct buf bytes;
    size_t used;
    bool whole;
};

/* ---- the reader ---- */

static bool feed(struct http_reader *r, struct body *b, const char *p, size_t n)
{
    const char *at = p, *end = p + n;
    sl_str piece = STR("");

    for (;;) {
        enum http_step step = http_reader_step(r, &at, end, &piece);

        if (step == HTTP_STEP_BODY) {
            PROMISE(piece.len > 0 && piece.ptr >= p && piece.ptr + piece.len <= end, "a piece");
            buf_str(&b->bytes, piece);
        } else if (step != HTTP_STEP_HEAD) {
            b->used += (size_t)(at - p);
            b->whole = step == HTTP_STEP_END;
            return step == HTTP_STEP_MORE;
        }
    }
}

static struct body read_all(sl_str wire, uint64_t body_max, size_t max_piece)
{
    struct http_reader r;
    struct body b = { 0 };
    bool more;

    http_reader_init(&r, 32768, 100, body_max, NULL);
    more = feed(&r, &b, head, sizeof(head) - 1);
    PROMISE(more, "the head alone");
    b.used = 0;
    for (size_t at = 0, n; more && at < wire.len; at += n) {
        char *piece;

        n = wire.len - at < max_piece ? wire.len - at : max_piece;
        piece = malloc(n);
        memcpy(piece, wire.ptr + at, n);
        more = feed(&r, &b, piece, n);
        free(piece);
    }
    PROMISE(b.bytes.len <= body_max, "%zu bytes", b.bytes.len);
    http_reader_finish(&r);
    return b;
}

/* ---- the second opinion ---- */

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Where the line at `at` ends, behind its CRLF; 0: it does not. */
static size_t line_end(sl_str w, size_t at)
{
    const char *crlf = memmem(w.ptr + at, w.len - at, "\r\n", 2);

    return crlf ? (size_t)(crlf - w.ptr) + 2 : 0;
}

/* By RFC 9112, 7.1; *ret_plain: no extensions, no trailers, no more digits than needed. */
static struct body decode(sl_str w, bool *ret_plain)
{
    struct body b = { 0 };
    size_t at = 0, end;

    *ret_plain = true;
    while ((end = line_end(w, at)) > 0) {
        size_t n = 0, digits = 0;

        for (; at < end && digit(w.ptr[at]) >= 0 && n <= SIZE_MAX >> 4; at++, digits++)
            n = n * 16 + (size_t)digit(w.ptr[at]);
        *ret_plain &= at + 2 == end && digits <= 4;
        if (digits == 0 || (at + 2 < end && digit(w.ptr[at]) >= 0))
            return b;
        at = end;
        if (n == 0)
            break;
        if (n > w.len || w.len - at < n + 2 || memcmp(w.ptr + at + n, "\r\n", 2) != 0)
            return b;
        buf_append(&b.bytes, w.ptr + at, n);
        at += n + 2;
    }
    if (end == 0)
        return b;
    while ((end = line_end(w, at)) > at + 2) {
        *ret_plain = false; /* a trailer */
        at = end;
    }
    b.used = end;
    b.whole = end > 0;
    return b;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, data + size };
    size_t max_piece = 1 + take_u8(&in) % 64;
    uint64_t body_max = take_u8(&in) & 1 ? 40 : 1 << 20;
    struct body once = read_all(rest(&in), body_max, SIZE_MAX);
    struct body cut = read_all(rest(&in), body_max, max_piece), other;
    bool plain;

    other = decode(rest(&in), &plain);
    PROMISE(once.whole == cut.whole, "as one %d, cut %d", once.whole, cut.whole);
    if (once.whole) {
        PROMISE(once.used == cut.used && str_eq(buf_view(&once.bytes), buf_view(&cut.bytes)),
                "cut");
        PROMISE(other.whole && other.used == once.used, "ends at %zu, not at %zu", other.used,
                once.used);
        PROMISE(str_eq(buf_view(&once.bytes), buf_view(&other.bytes)), "other bytes");
    } else {
        PROMISE(!(other.whole && plain && other.bytes.len <= body_max), "refused, and is plain");
    }
    buf_finish(&once.bytes);
    buf_finish(&cut.bytes);
    buf_finish(&other.bytes);
    return 0;
}
