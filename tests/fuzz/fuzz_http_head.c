/*
 * fuzz_http_head.c - the gate over a raw head or trailer section, and the fields in it: the same
 * verdict however the bytes are cut, and of a head that is let through every guard's promise holds.
 *
 * Input: a byte for the largest piece, a byte for limits and kind, then the bytes.
 */
#include "fuzz.h"

#include <string.h>
#include "base/buf.h"
#include "net/http_guard.h"

static const char *const singletons[] = { "x-shopify-topic", "shopify-*", NULL };

struct verdict {
    struct http_gate gate;
    struct http_refusal refusal;
    size_t taken;
};

/* Each piece is a copy of its own, so that a read past it is seen. */
static struct verdict run(sl_str bytes, uint8_t flags, size_t max_piece)
{
    struct verdict v = { 0 };

    http_gate_init(&v.gate, flags & 1 ? 200 : 32768, flags & 2 ? 4 : 100, flags & 4);
    while (v.taken < bytes.len && !v.gate.done && v.refusal.status == 0) {
        size_t n = bytes.len - v.taken < max_piece ? bytes.len - v.taken : max_piece, used;
        char *piece = malloc(n);

        memcpy(piece, bytes.ptr + v.taken, n);
        used = http_gate_take(&v.gate, piece, n, &v.refusal);
        PROMISE(used <= n && (used == n || v.gate.done || v.refusal.status), "used %zu of %zu",
                used, n);
        v.taken += used;
        free(piece);
    }
    return v;
}

static void check_same(const struct verdict *a, const struct verdict *b)
{
    PROMISE(a->refusal.status == b->refusal.status && a->refusal.why == b->refusal.why, "%d and %d",
            a->refusal.status, b->refusal.status);
    PROMISE(a->gate.done == b->gate.done, "done");
    if (a->refusal.status == 0)
        PROMISE(a->taken == b->taken && a->gate.lines == b->gate.lines, "%zu and %zu", a->taken,
                b->taken);
}

static size_t times(const struct http_head *h, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < h->n_headers; i++)
        n += str_eq_nocase(h->headers[i].name, str_of(name));
    return n;
}

static void check_head(const struct http_head *h, sl_str raw)
{
    PROMISE(within(h->method, raw) && within(h->target, raw) && within(h->path, raw) &&
                within(h->query, raw),
            "views");
    PROMISE(h->minor == 0 || h->minor == 1, "1.%d", h->minor);
    PROMISE(http_is_token(h->method) && h->path.len > 0, "request line");
    for (size_t i = 0; i < h->n_headers; i++) {
        PROMISE(within(h->headers[i].name, raw) && within(h->headers[i].value, raw), "field");
        PROMISE(http_is_token(h->headers[i].name), "name");
        PROMISE(http_is_field_value(h->headers[i].value), "value");
    }
    PROMISE(times(h, "host") <= 1 && (h->minor == 0 || times(h, "host") == 1), "Host");
    PROMISE(times(h, "x-shopify-topic") <= 1 && times(h, "authorization") <= 1, "singletons");
    PROMISE(!(h->chunked && h->has_length), "two framings");
    PROMISE(!h->chunked || h->minor == 1, "chunks on 1.0");
    PROMISE(times(h, "transfer-encoding") == h->chunked &&
                times(h, "content-length") == h->has_length,
            "a framing field that does not frame");
    PROMISE(h->has_length || h->length == 0, "a length from nowhere");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, data + size };
    size_t max_piece = 1 + take_u8(&in) % 64;
    uint8_t flags = take_u8(&in);
    struct verdict once = run(rest(&in), flags, SIZE_MAX), cut = run(rest(&in), flags, max_piece);
    struct http_refusal refusal;
    struct http_head head;
    sl_header *fields;
    sl_str raw;

    check_same(&once, &cut);
    PROMISE(once.refusal.status == 0 || (once.refusal.status >= 400 && once.refusal.why),
            "no reason");
    if (!once.gate.done || once.refusal.status)
        return 0;
    raw = (sl_str){ rest(&in).ptr, once.taken };
    if (once.gate.trailer) {
        refusal = http_trailers_check(raw);
        PROMISE(refusal.status == 0 || (refusal.status == 400 && refusal.why), "%d",
                refusal.status);
        return 0;
    }
    fields = calloc(once.gate.lines, sizeof(*fields));
    refusal = http_head_read(&head, raw, fields, singletons);
    PROMISE(refusal.status == 0 || (refusal.status >= 400 && refusal.why), "no reason");
    if (refusal.status == 0)
        check_head(&head, raw);
    free(fields);
    return 0;
}
