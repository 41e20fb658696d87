/*
 * fuzz_record.c - bytes of the log: what a decoder takes, its encoder writes again byte for byte.
 *
 * Input: a byte that chooses the decoder, then the record. An older form is read, and written as
 * the newest: that is not compared.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "store/record.h"

static int receipt(sl_str s, struct buf *again)
{
    struct rec_receipt r;

    if (rec_receipt_decode(s, &r) < 0)
        return -1;
    PROMISE(within(r.body, s) && within(r.headers, s) && within(r.subject, s), "views");
    rec_receipt_encode(again, &r);
    return 0;
}

static int routed(sl_str s, struct buf *again)
{
    struct rec_routed r;

    if (rec_routed_decode(s, &r) < 0)
        return -1;
    for (size_t i = 0; i < r.n_deliveries; i++)
        PROMISE(within(r.deliveries[i].body, s) && r.deliveries[i].state < DS__COUNT, "delivery");
    rec_routed_encode(again, &r);
    rec_routed_finish(&r);
    return 0;
}

static int sent(sl_str s, struct buf *again)
{
    struct rec_sent r;

    if (rec_sent_decode(s, &r) < 0)
        return -1;
    for (size_t i = 0; i < r.n_items; i++)
        PROMISE(within(r.items[i].key, s) && within(r.items[i].request, s), "item");
    rec_sent_encode(again, &r);
    rec_sent_finish(&r);
    return 0;
}

static int moves(sl_str s, struct buf *again)
{
    struct rec_moves r;

    if (rec_moves_decode(s, &r) < 0)
        return -1;
    for (size_t i = 0; i < r.n_moves; i++)
        PROMISE(within(r.moves[i].reason, s) && r.moves[i].state < DS__COUNT, "move");
    for (size_t i = 0; i < r.n_links; i++)
        PROMISE(within(r.links[i].id, s) && within(r.links[i].subject, s), "link");
    rec_moves_encode(again, &r);
    rec_moves_finish(&r);
    return 0;
}

static int checkpoint(sl_str s, struct buf *again)
{
    struct rec_checkpoint r;

    if (rec_checkpoint_decode(s, &r) < 0)
        return -1;
    PROMISE(within(r.token, s), "token");
    rec_checkpoint_encode(again, &r);
    return 0;
}

static int duplicate(sl_str s, struct buf *again)
{
    struct rec_duplicate r;

    if (rec_duplicate_decode(s, &r) < 0)
        return -1;
    PROMISE(within(r.endpoint, s) && within(r.topic, s) && within(r.sender_id, s), "views");
    rec_duplicate_encode(again, &r);
    return 0;
}

static int state(sl_str s, struct buf *again)
{
    struct rec_state r;

    if (rec_state_decode(s, &r) < 0)
        return -1;
    for (size_t i = 0; i < r.n_items; i++)
        PROMISE(within(r.items[i].key, s) && within(r.items[i].value, s), "item");
    rec_state_encode(again, &r);
    rec_state_finish(&r);
    return 0;
}

static int deadlines(sl_str s, struct buf *again)
{
    struct rec_deadlines r;

    if (rec_deadlines_decode(s, &r) < 0)
        return -1;
    for (size_t i = 0; i < r.n_items; i++)
        PROMISE(within(r.items[i].expect, s) && r.items[i].what < DEADLINE__COUNT, "deadline");
    rec_deadlines_encode(again, &r);
    rec_deadlines_finish(&r);
    return 0;
}

static bool older_form(sl_str s, const struct buf *again)
{
    return s.len && again->len && s.ptr[0] < again->data[0];
}

static int headers(sl_str s, struct buf *again)
{
    sl_header *h;
    size_t n;

    if (rec_headers_decode(s, &h, &n) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        PROMISE(within(h[i].name, s) && within(h[i].value, s), "header");
    rec_headers_encode(again, h, n);
    free(h);
    return 0;
}

/* A delivery's name; what is read is written the same. */
static int name(sl_str s, struct buf *again)
{
    char text[32];
    uint64_t num;

    if (delivery_parse(s, &num) < 0)
        return -1;
    delivery_name(num, text);
    buf_cstr(again, text);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int (*const decoders[])(sl_str, struct buf *) = {
        receipt, routed, sent, moves, checkpoint, headers, name, duplicate, state, deadlines,
    };
    struct input in = { data, data + size };
    uint8_t chosen = take_u8(&in) % (sizeof(decoders) / sizeof(decoders[0]));
    struct buf again = { 0 };

    if (decoders[chosen](rest(&in), &again) == 0 &&
        (decoders[chosen] == headers || !older_form(rest(&in), &again)))
        PROMISE(str_eq(buf_view(&again), rest(&in)), "decoder %u", chosen);
    buf_finish(&again);
    return 0;
}
