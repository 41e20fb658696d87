/*
 * fuzz_http_answer.c - a server's answer, as one read and cut into pieces: the same answer or the
 * same error comes of it, and the body keeps within its limit.
 *
 * Input: a byte for the largest piece, a byte for the request's method and the limits, then the
 * answer, after which the peer closes.
 */
#include "fuzz.h"

#include <string.h>
#include <uv.h>
#include "base/buf.h"
#include "net/http_answer.h"
#include "net/http_guard.h"

struct limits {
    bool to_head;
    uint32_t head;
    uint64_t body;
};

static void say_answer(struct buf *said, const struct http_answer *a, size_t used)
{
    sl_str raw = buf_view(&a->raw);

    PROMISE(a->status >= 200 && a->status <= 599, "status %d", a->status);
    buf_printf(said, "%d keep=%d used=%zu\n", a->status, a->keep, used);
    for (size_t i = 0; i < a->n_headers; i++) {
        PROMISE(within(a->headers[i].name, raw) && within(a->headers[i].value, raw), "header");
        PROMISE(http_is_token(a->headers[i].name), "name");
        PROMISE(http_is_field_value(a->headers[i].value), "value");
        buf_printf(said, STR_FMT "=" STR_FMT "\n", STR_ARG(a->headers[i].name),
                   STR_ARG(a->headers[i].value));
    }
    buf_str(said, buf_view(&a->body));
}

/* Each piece is a copy of its own, so that a read past it is seen. False: the budget of chunk
 * framing, which is looked at once a read, decided. */
static bool run(struct buf *said, sl_str bytes, const struct limits *l, size_t max_piece)
{
    struct http_answer a;
    size_t total = 0;
    bool comparable;
    int r = 0;

    http_answer_init(&a, l->to_head, l->head, l->body);
    for (size_t at = 0, n; r == 0 && at < bytes.len; at += n) {
        size_t used = 0;
        char *piece;

        n = bytes.len - at < max_piece ? bytes.len - at : max_piece;
        piece = malloc(n);
        memcpy(piece, bytes.ptr + at, n);
        r = http_answer_feed(&a, piece, n, &used);
        PROMISE(used <= n && (r != 0 || used == n), "used %zu of %zu", used, n);
        PROMISE(r >= 0 || a.why, "no reason");
        total += used;
        free(piece);
    }
    PROMISE(a.body.len <= l->body, "a body of %zu bytes", a.body.len);
    if (r == 0)
        r = http_answer_eof(&a);
    if (r == 1)
        say_answer(said, &a, total);
    else
        buf_printf(said, "%s", uv_err_name(r));
    comparable = r >= 0 || !a.why || !strstr(a.why, "framing");
    http_answer_finish(&a);
    return comparable;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, data + size };
    size_t max_piece = 1 + take_u8(&in) % 64;
    uint8_t flags = take_u8(&in);
    struct limits l = { .to_head = flags & 1,
                        .head = flags & 2 ? 128 : 32768,
                        .body = flags & 4 ? 24 : 1 << 20 };
    struct buf once = { 0 }, cut = { 0 };
    bool comparable = run(&once, rest(&in), &l, SIZE_MAX);

    comparable &= run(&cut, rest(&in), &l, max_piece);
    PROMISE(!comparable || str_eq(buf_view(&once), buf_view(&cut)),
            "\n--- as one\n" STR_FMT "\n--- cut\n" STR_FMT, STR_ARG(buf_view(&once)),
            STR_ARG(buf_view(&cut)));
    buf_finish(&once);
    buf_finish(&cut);
    return 0;
}
