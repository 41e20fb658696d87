/*
 * test_record.c - the bytes of the log's records.
 */
#include "../check.h"

#include <stdlib.h>
#include <uv.h>
#include "store/record.h"

/* ---- one full record of each type ---- */

static struct rec_receipt a_receipt(void)
{
    return (struct rec_receipt){
        .origin = EO_EMITTED,
        .received_ms = -5,
        .cause = delivery_num(9, 3),
        .endpoint = STR("acme-shop"),
        .topic = STR("orders/paid"),
        .sender_id = STR("abc"),
        .headers = STR("h"),
        .body = STR("{\0}"),
        .subject = STR("order:1"),
    };
}

static struct rec_about abouts[] = { { STR("order:1"), STR("7") }, { STR("customer:2"), STR("") } };
static struct rec_ref waits[] = { { STR("byron"), STR("po"), STR("77") } };
static struct rec_delivery deliveries[] = {
    { .num = 4096,
      .id = { 1, 2 },
      .state = DS_READY,
      .priority = 3,
      .route = STR("r"),
      .piece = STR("p"),
      .endpoint = STR("byron"),
      .action = STR("order.submit"),
      .subject = STR("order:1"),
      .body = STR("{}") },
    { .num = 4097,
      .state = DS_HELD,
      .hold_type = STR("fraud"),
      .reason = STR("risk"),
      .next_ms = 77,
      .version = STR("2026-11-21T10:00:00.000Z"),
      .detail = STR("{\"evidence\":1}") },
};

static struct rec_routed a_routed(void)
{
    return (struct rec_routed){ .event = 1,
                                .at_ms = 2,
                                .duplicate_of = 3,
                                .note = STR("test"),
                                .abouts = abouts,
                                .n_abouts = 2,
                                .waits = waits,
                                .n_waits = 1,
                                .deliveries = deliveries,
                                .n_deliveries = 2 };
}

static struct rec_sent_item items[] = {
    { .num = 4096,
      .attempt = 2,
      .generation = 1,
      .key = STR("k"),
      .request = STR("bytes"),
      .digest = { 9 } },
    { .num = 4097, .attempt = 1, .key = STR("l") },
};

static struct rec_sent a_sent(void)
{
    return (struct rec_sent){
        .at_ms = 8, .endpoint = STR("byron"), .route = STR("r"), .items = items, .n_items = 2
    };
}

static struct rec_move moves[] = {
    { .num = 4096,
      .state = DS_WAITING,
      .burnt = 1,
      .attempt = 2,
      .generation = 1,
      .status = 503,
      .latency_ms = 12,
      .next_ms = 99,
      .reason = STR("busy"),
      .reference = STR("ref"),
      .hold_type = STR("h"),
      .set_priority = 4,
      .arrival = ARRIVAL_PERHAPS,
      .endpoint = STR("other"),
      .detail = STR("{\"by\":1}"),
      .body = STR("{}") },
};
static struct rec_link links[] = {
    { STR("byron"), STR("po"), STR("77"), STR("order:1"), 4096 },
};

static struct rec_moves some_moves(void)
{
    return (struct rec_moves){ .at_ms = 5,
                               .batch = 6,
                               .who = STR("adapter"),
                               .moves = moves,
                               .n_moves = 1,
                               .links = links,
                               .n_links = 1 };
}

static struct rec_checkpoint a_checkpoint(void)
{
    return (struct rec_checkpoint){ .batch = 6, .at_ms = 7, .done = 8, .token = STR("job-1") };
}

static struct rec_duplicate a_duplicate(void)
{
    return (struct rec_duplicate){ .original = 5,
                                   .same_body = 1,
                                   .received_ms = -9,
                                   .body_bytes = 4096,
                                   .endpoint = STR("acme-shop"),
                                   .topic = STR("orders/paid"),
                                   .sender_id = STR("abc") };
}

static struct rec_state_item facts[] = {
    { STR("pause-endpoint"), STR("byron"), STR("{\"paused\":true}") },
    { STR("issue"), STR("ab12"), STR("") },
};

static struct rec_state a_state(void)
{
    return (struct rec_state){
        .at_ms = 9, .who = STR("uid 0"), .why = STR("stock-taking"), .items = facts, .n_items = 2
    };
}

static struct rec_deadline ends[] = {
    { .num = 4096,
      .what = DEADLINE_BEGINS,
      .next_ms = 7,
      .due_ms = 8,
      .expect = STR("supplier/tracking\nfulfillments/*"),
      .topic = STR("sla/missing"),
      .owner = STR("risk"),
      .route = STR("r"),
      .subject = STR("order:1"),
      .endpoint = STR("byron") },
    { .num = 4097, .what = DEADLINE_MET, .event = 9 },
};

static struct rec_deadlines some_deadlines(void)
{
    return (struct rec_deadlines){ .at_ms = 5, .items = ends, .n_items = 2 };
}

static uint64_t erased[] = { 4, 1ull << 40 };

static struct rec_privacy a_privacy(void)
{
    return (struct rec_privacy){ .event = 9,
                                 .what = PRIVACY_ERASED,
                                 .at_ms = -5,
                                 .kind = PRIVACY_HAND_OUT,
                                 .due_ms = 77,
                                 .endpoint = STR("acme-shop"),
                                 .topic = STR("customers/redact"),
                                 .asked = STR("{\"customer\":\"1\"}"),
                                 .who = STR("uid 0"),
                                 .why = STR("sent by post"),
                                 .events = erased,
                                 .n_events = 2 };
}

static void encode(enum record_type type, struct buf *b)
{
    struct rec_privacy privacy = a_privacy();
    struct rec_deadlines deadlines = some_deadlines();
    struct rec_state state = a_state();
    struct rec_receipt receipt = a_receipt();
    struct rec_routed routed = a_routed();
    struct rec_sent sent = a_sent();
    struct rec_moves outcome = some_moves();
    struct rec_checkpoint checkpoint = a_checkpoint();
    struct rec_duplicate duplicate = a_duplicate();

    switch (type) {
    case REC_RECEIPT:
        rec_receipt_encode(b, &receipt);
        break;
    case REC_ROUTED:
        rec_routed_encode(b, &routed);
        break;
    case REC_SENT:
        rec_sent_encode(b, &sent);
        break;
    case REC_OUTCOME:
    case REC_DECISION:
        rec_moves_encode(b, &outcome);
        break;
    case REC_CHECKPOINT:
        rec_checkpoint_encode(b, &checkpoint);
        break;
    case REC_DUPLICATE:
        rec_duplicate_encode(b, &duplicate);
        break;
    case REC_STATE:
        rec_state_encode(b, &state);
        break;
    case REC_DEADLINE:
        rec_deadlines_encode(b, &deadlines);
        break;
    case REC_PRIVACY:
        rec_privacy_encode(b, &privacy);
        break;
    case REC_VOID: /* has no content */
        break;
    }
    CHECK(!b->failed);
}

/* Decode and forget. */
static int decodes(enum record_type type, sl_str s)
{
    struct rec_receipt receipt;
    struct rec_routed routed = { 0 };
    struct rec_sent sent = { 0 };
    struct rec_moves outcome = { 0 };
    struct rec_checkpoint checkpoint;
    struct rec_duplicate duplicate;
    struct rec_state state = { 0 };
    struct rec_deadlines deadlines = { 0 };
    struct rec_privacy privacy = { 0 };
    int r = UV_EINVAL;

    switch (type) {
    case REC_RECEIPT:
        return rec_receipt_decode(s, &receipt);
    case REC_ROUTED:
        r = rec_routed_decode(s, &routed);
        rec_routed_finish(&routed);
        break;
    case REC_SENT:
        r = rec_sent_decode(s, &sent);
        rec_sent_finish(&sent);
        break;
    case REC_OUTCOME:
    case REC_DECISION:
        r = rec_moves_decode(s, &outcome);
        rec_moves_finish(&outcome);
        break;
    case REC_CHECKPOINT:
        return rec_checkpoint_decode(s, &checkpoint);
    case REC_DUPLICATE:
        return rec_duplicate_decode(s, &duplicate);
    case REC_STATE:
        r = rec_state_decode(s, &state);
        rec_state_finish(&state);
        break;
    case REC_DEADLINE:
        r = rec_deadlines_decode(s, &deadlines);
        rec_deadlines_finish(&deadlines);
        break;
    case REC_PRIVACY:
        r = rec_privacy_decode(s, &privacy);
        rec_privacy_finish(&privacy);
        break;
    case REC_VOID:
        break;
    }
    return r;
}

/* ---- round trips ---- */

static void a_receipt_comes_back_as_it_was(void **state)
{
    struct rec_receipt r;
    struct buf b = { 0 };

    (void)state;
    encode(REC_RECEIPT, &b);
    CHECK_EQ(rec_receipt_decode(buf_view(&b), &r), 0);
    CHECK_EQ(r.origin, EO_EMITTED);
    CHECK_EQ(r.received_ms, -5);
    CHECK_EQ(r.cause, delivery_num(9, 3));
    CHECK_VIEW(r.endpoint, "acme-shop");
    CHECK_VIEW(r.topic, "orders/paid");
    CHECK_VIEW(r.sender_id, "abc");
    CHECK_VIEW(r.headers, "h");
    CHECK_VIEW(r.subject, "order:1");
    CHECK_EQ(r.body.len, 3);
    assert_memory_equal(r.body.ptr, "{\0}", 3);
    buf_finish(&b);
}

static void a_receipt_says_where_it_came_from_and_never_that_it_was_refused(void **state)
{
    static const uint8_t good[] = { EO_WEBHOOK, EO_EMITTED, EO_POLLED, EO_RECONCILED };
    static const uint8_t bad[] = { EO_DUPLICATE, EO__COUNT, 255 };
    struct rec_receipt r = a_receipt(), back;

    (void)state;
    for (size_t i = 0; i < sizeof(good) + sizeof(bad); i++) {
        struct buf b = { 0 };
        r.origin = i < sizeof(good) ? good[i] : bad[i - sizeof(good)];
        rec_receipt_encode(&b, &r);
        CHECK_EQ(rec_receipt_decode(buf_view(&b), &back), i < sizeof(good) ? 0 : UV_EINVAL);
        if (i < sizeof(good))
            CHECK_EQ(back.origin, r.origin);
        buf_finish(&b);
    }
}

static void a_receipt_written_as_it_comes_in_is_the_same(void **state)
{
    struct rec_receipt r = a_receipt(), head = a_receipt();
    sl_header h[] = { { STR("A"), STR("1") }, { STR("B"), STR("") } };
    struct rec_receipt_draft d;

    (void)state;
    for (size_t room = 0; room < 200; room += 13) { /* what was expected may be wrong */
        struct buf headers = { 0 }, whole = { 0 }, b = { 0 };
        rec_headers_encode(&headers, h, 2);
        r.headers = buf_view(&headers);
        rec_receipt_encode(&whole, &r);
        head.received_ms = 77;
        rec_receipt_begin(&d, &b, &head, room);
        rec_headers_encode(&b, &h[0], 1);
        rec_headers_encode(&b, &h[1], 1);
        rec_receipt_body(&d, &b);
        for (size_t i = 0; i < r.body.len; i++)
            buf_append(&b, r.body.ptr + i, 1);
        rec_receipt_end(&d, &b, r.received_ms);
        CHECK_EQ(b.failed, false);
        CHECK_EQ(b.len, whole.len);
        assert_memory_equal(b.data, whole.data, whole.len);
        buf_finish(&headers);
        buf_finish(&whole);
        buf_finish(&b);
    }
}

static void a_routed_record_comes_back_and_knows_where_its_states_stand(void **state)
{
    struct rec_routed r, in = a_routed();
    struct buf b = { 0 };

    (void)state;
    rec_routed_encode(&b, &in);
    b.data[in.deliveries[1].state_at] = DS_SUPERSEDED;
    CHECK_EQ(rec_routed_decode(buf_view(&b), &r), 0);
    CHECK_EQ(r.event, 1);
    CHECK_EQ(r.at_ms, 2);
    CHECK_EQ(r.duplicate_of, 3);
    CHECK_VIEW(r.note, "test");
    CHECK_EQ(r.n_abouts, 2);
    CHECK_VIEW(r.abouts[1].subject, "customer:2");
    CHECK_EQ(r.n_waits, 1);
    CHECK_VIEW(r.waits[0].id, "77");
    CHECK_EQ(r.n_deliveries, 2);
    CHECK_EQ(r.deliveries[0].num, 4096);
    assert_memory_equal(r.deliveries[0].id, deliveries[0].id, 16);
    CHECK_EQ(r.deliveries[0].state, DS_READY);
    CHECK_EQ(r.deliveries[0].priority, 3);
    CHECK_VIEW(r.deliveries[0].body, "{}");
    CHECK_EQ(r.deliveries[0].state_at, in.deliveries[0].state_at);
    CHECK_EQ(r.deliveries[1].state, DS_SUPERSEDED);
    CHECK_VIEW(r.deliveries[1].hold_type, "fraud");
    CHECK_VIEW(r.deliveries[1].reason, "risk");
    CHECK_EQ(r.deliveries[1].next_ms, 77);
    CHECK_VIEW(r.deliveries[1].version, "2026-11-21T10:00:00.000Z");
    CHECK_VIEW(r.deliveries[1].detail, "{\"evidence\":1}");
    rec_routed_finish(&r);
    buf_finish(&b);
}

static void a_sent_record_comes_back_as_it_was(void **state)
{
    struct rec_sent r;
    struct buf b = { 0 };

    (void)state;
    encode(REC_SENT, &b);
    CHECK_EQ(rec_sent_decode(buf_view(&b), &r), 0);
    CHECK_EQ(r.at_ms, 8);
    CHECK_VIEW(r.endpoint, "byron");
    CHECK_EQ(r.n_items, 2);
    CHECK_EQ(r.items[0].attempt, 2);
    CHECK_EQ(r.items[0].generation, 1);
    CHECK_VIEW(r.items[0].request, "bytes");
    CHECK_EQ(r.items[0].digest[0], 9);
    CHECK_VIEW(r.items[1].key, "l");
    CHECK_VIEW(r.items[1].request, "");
    rec_sent_finish(&r);
    buf_finish(&b);
}

static void moves_and_links_come_back_as_they_were(void **state)
{
    struct rec_moves r;
    struct buf b = { 0 };

    (void)state;
    encode(REC_OUTCOME, &b);
    CHECK_EQ(rec_moves_decode(buf_view(&b), &r), 0);
    CHECK_EQ(r.batch, 6);
    CHECK_VIEW(r.who, "adapter");
    CHECK_EQ(r.n_moves, 1);
    CHECK_EQ(r.moves[0].state, DS_WAITING);
    CHECK_EQ(r.moves[0].burnt, 1);
    CHECK_EQ(r.moves[0].attempt, 2);
    CHECK_EQ(r.moves[0].status, 503);
    CHECK_EQ(r.moves[0].latency_ms, 12);
    CHECK_EQ(r.moves[0].next_ms, 99);
    CHECK_EQ(r.moves[0].set_priority, 4);
    CHECK_EQ(r.moves[0].arrival, ARRIVAL_PERHAPS);
    CHECK_VIEW(r.moves[0].detail, "{\"by\":1}");
    CHECK_VIEW(r.moves[0].body, "{}");
    CHECK_VIEW(r.moves[0].reason, "busy");
    CHECK_VIEW(r.moves[0].reference, "ref");
    CHECK_VIEW(r.moves[0].endpoint, "other");
    CHECK_EQ(r.n_links, 1);
    CHECK_VIEW(r.links[0].subject, "order:1");
    CHECK_EQ(r.links[0].num, 4096);
    rec_moves_finish(&r);
    buf_finish(&b);
}

static void a_checkpoint_comes_back_as_it_was(void **state)
{
    struct rec_checkpoint r;
    struct buf b = { 0 };

    (void)state;
    encode(REC_CHECKPOINT, &b);
    CHECK_EQ(rec_checkpoint_decode(buf_view(&b), &r), 0);
    CHECK_EQ(r.batch, 6);
    CHECK_EQ(r.at_ms, 7);
    CHECK_EQ(r.done, 8);
    CHECK_VIEW(r.token, "job-1");
    buf_finish(&b);
}

static void a_duplicate_comes_back_and_has_its_places_fixed(void **state)
{
    struct rec_duplicate r;
    struct buf b = { 0 };

    (void)state;
    encode(REC_DUPLICATE, &b);
    CHECK_EQ(rec_duplicate_decode(buf_view(&b), &r), 0);
    CHECK_EQ(r.original, 5);
    CHECK_EQ(r.same_body, 1);
    CHECK_EQ(r.received_ms, -9);
    CHECK_EQ(r.body_bytes, 4096);
    CHECK_VIEW(r.endpoint, "acme-shop");
    CHECK_VIEW(r.topic, "orders/paid");
    CHECK_VIEW(r.sender_id, "abc");
    b.data[REC_DUPLICATE_ORIGINAL_AT] = 6;
    b.data[REC_DUPLICATE_SAME_BODY_AT] = 0;
    CHECK_EQ(rec_duplicate_decode(buf_view(&b), &r), 0);
    CHECK_EQ(r.original, 6);
    CHECK_EQ(r.same_body, 0);
    buf_finish(&b);
}

static void state_comes_back_as_it_was(void **state)
{
    struct rec_state r;
    struct buf b = { 0 };

    (void)state;
    encode(REC_STATE, &b);
    CHECK_EQ(rec_state_decode(buf_view(&b), &r), 0);
    CHECK_EQ(r.at_ms, 9);
    CHECK_VIEW(r.who, "uid 0");
    CHECK_VIEW(r.why, "stock-taking");
    CHECK_EQ(r.n_items, 2);
    CHECK_VIEW(r.items[0].space, "pause-endpoint");
    CHECK_VIEW(r.items[0].key, "byron");
    CHECK_VIEW(r.items[0].value, "{\"paused\":true}");
    CHECK_VIEW(r.items[1].value, "");
    rec_state_finish(&r);
    buf_finish(&b);
}

/* What the forms of version 2 have at the end of a delivery and of a move. */
#define ROUTED_ADDED (8 + 4 + 4)
#define MOVES_ADDED  (1 + 4 + 4 + 1)

static void what_is_asked_about_somebody_comes_back_as_it_was(void **state)
{
    struct rec_privacy r;
    struct buf b = { 0 };

    (void)state;
    encode(REC_PRIVACY, &b);
    CHECK_EQ(rec_privacy_decode(buf_view(&b), &r), 0);
    CHECK_EQ(r.event, 9);
    CHECK_EQ(r.what, PRIVACY_ERASED);
    CHECK_EQ(r.at_ms, -5);
    CHECK_EQ(r.kind, PRIVACY_HAND_OUT);
    CHECK_EQ(r.due_ms, 77);
    CHECK_VIEW(r.endpoint, "acme-shop");
    CHECK_VIEW(r.topic, "customers/redact");
    CHECK_VIEW(r.asked, "{\"customer\":\"1\"}");
    CHECK_VIEW(r.who, "uid 0");
    CHECK_VIEW(r.why, "sent by post");
    CHECK_EQ(r.n_events, 2);
    CHECK_EQ(r.events[1], 1ull << 40);
    rec_privacy_finish(&r);
    buf_finish(&b);
}

static void what_becomes_of_deadlines_comes_back_as_it_was(void **state)
{
    struct rec_deadlines r;
    struct buf b = { 0 };

    (void)state;
    encode(REC_DEADLINE, &b);
    CHECK_EQ(rec_deadlines_decode(buf_view(&b), &r), 0);
    CHECK_EQ(r.at_ms, 5);
    CHECK_EQ(r.n_items, 2);
    CHECK_EQ(r.items[0].what, DEADLINE_BEGINS);
    CHECK_EQ(r.items[0].next_ms, 7);
    CHECK_EQ(r.items[0].due_ms, 8);
    CHECK_VIEW(r.items[0].expect, "supplier/tracking\nfulfillments/*");
    CHECK_VIEW(r.items[0].topic, "sla/missing");
    CHECK_VIEW(r.items[0].owner, "risk");
    CHECK_VIEW(r.items[0].route, "r");
    CHECK_VIEW(r.items[0].subject, "order:1");
    CHECK_VIEW(r.items[0].endpoint, "byron");
    CHECK_EQ(r.items[1].num, 4097);
    CHECK_EQ(r.items[1].event, 9);
    rec_deadlines_finish(&r);
    buf_finish(&b);
}

static void a_routed_record_of_the_first_form_is_still_read(void **state)
{
    struct rec_delivery one = { .num = 4096, .state = DS_READY, .body = STR("{}") };
    struct rec_routed in = { .event = 1, .deliveries = &one, .n_deliveries = 1 }, out;
    struct buf b = { 0 };

    (void)state;
    rec_routed_encode(&b, &in);
    b.data[0] = 1;
    CHECK_EQ(decodes(REC_ROUTED, buf_view(&b)), UV_EINVAL); /* bytes left over */
    b.len -= ROUTED_ADDED;
    CHECK_EQ(rec_routed_decode(buf_view(&b), &out), 0);
    CHECK_VIEW(out.deliveries[0].body, "{}");
    CHECK_EQ(out.deliveries[0].next_ms, 0);
    CHECK_EQ(out.deliveries[0].version.len, 0);
    rec_routed_finish(&out);
    buf_finish(&b);
}

static void moves_of_the_first_form_are_still_read(void **state)
{
    struct rec_move one = { .num = 4096, .state = DS_DEAD, .endpoint = STR("byron") };
    struct rec_moves in = { .moves = &one, .n_moves = 1 }, out;
    struct buf b = { 0 };

    (void)state;
    rec_moves_encode(&b, &in);
    b.data[0] = 1;
    b.len -= MOVES_ADDED + 4;
    buf_append(&b, "\0\0\0", 4); /* no links */
    CHECK_EQ(rec_moves_decode(buf_view(&b), &out), 0);
    CHECK_VIEW(out.moves[0].endpoint, "byron");
    CHECK_EQ(out.moves[0].set_priority, 0);
    CHECK_EQ(out.moves[0].body.len, 0);
    rec_moves_finish(&out);
    buf_finish(&b);
}

/* ---- what is no record ---- */

/* Each cut lives in memory of its own size, so that a sanitizer sees a read past it. */
static void a_record_cut_anywhere_is_an_error(void **state)
{
    (void)state;
    for (int type = REC_RECEIPT; type <= REC_PRIVACY; type++) {
        if (type == REC_VOID)
            continue; /* has no content */
        struct buf b = { 0 };

        encode((enum record_type)type, &b);
        CHECK_EQ(decodes((enum record_type)type, buf_view(&b)), 0);
        for (size_t n = 0; n < b.len; n++) {
            char *cut = malloc(n ? n : 1);

            assert_non_null(cut);
            memcpy(cut, b.data, n);
            CHECK_EQ(decodes((enum record_type)type, (sl_str){ cut, n }), UV_EINVAL);
            free(cut);
        }
        buf_finish(&b);
    }
}

static void bytes_left_over_or_another_version_are_an_error(void **state)
{
    (void)state;
    for (int type = REC_RECEIPT; type <= REC_PRIVACY; type++) {
        if (type == REC_VOID)
            continue; /* has no content */
        struct buf b = { 0 };

        encode((enum record_type)type, &b);
        buf_char(&b, 'x');
        CHECK_EQ(decodes((enum record_type)type, buf_view(&b)), UV_EINVAL);
        b.len--;
        b.data[0]++;
        CHECK_EQ(decodes((enum record_type)type, buf_view(&b)), UV_EINVAL);
        buf_finish(&b);
    }
}

/* Any byte may be anything: the answer may be either, a crash or an endless allocation may not. */
static void no_byte_of_a_record_can_break_the_reader(void **state)
{
    static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };

    (void)state;
    for (int type = REC_RECEIPT; type <= REC_PRIVACY; type++) {
        if (type == REC_VOID)
            continue; /* has no content */
        struct buf b = { 0 };

        encode((enum record_type)type, &b);
        for (size_t i = 0; i < b.len; i++) {
            char was = b.data[i];

            for (size_t v = 0; v < sizeof(values); v++) {
                b.data[i] = (char)values[v];
                decodes((enum record_type)type, buf_view(&b));
            }
            b.data[i] = was;
        }
        buf_finish(&b);
    }
}

static void a_state_or_a_priority_out_of_range_is_an_error(void **state)
{
    struct rec_routed in = a_routed();
    struct buf b = { 0 };

    (void)state;
    rec_routed_encode(&b, &in);
    b.data[deliveries[0].state_at] = DS__COUNT;
    CHECK_EQ(decodes(REC_ROUTED, buf_view(&b)), UV_EINVAL);
    b.data[deliveries[0].state_at] = DS_READY;
    b.data[deliveries[0].state_at + 1] = 4;
    CHECK_EQ(decodes(REC_ROUTED, buf_view(&b)), UV_EINVAL);
    buf_finish(&b);
}

/* ---- names and headers ---- */

static void a_delivery_has_a_name_that_reads_back(void **state)
{
    static const char *const wrong[] = { "",
                                         ".",
                                         "1",
                                         "1.",
                                         ".1",
                                         "0.0",
                                         "1.4096",
                                         "01.0",
                                         "1.00",
                                         "-1.0",
                                         "1.0x",
                                         "1 .0",
                                         "9223372036854775807.0",
                                         "99999999999999999999999.0" };
    char name[32];
    uint64_t num = 0;

    (void)state;
    delivery_name(delivery_num(1042, 0), name);
    CHECK_STR(name, "1042.0");
    CHECK_EQ(delivery_parse(STR("1042.4095"), &num), 0);
    CHECK_EQ(delivery_event(num), 1042);
    CHECK_EQ(delivery_ordinal(num), 4095);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        CHECK_EQ(delivery_parse(str_of(wrong[i]), &num), UV_EINVAL);
}

static void headers_are_packed_and_unpacked(void **state)
{
    const sl_header in[] = { { STR("X-Shopify-Topic"), STR("orders/paid") },
                             { STR("a"), STR("") } };
    sl_header *h = NULL;
    struct buf b = { 0 };
    size_t n = 0;

    (void)state;
    rec_headers_encode(&b, in, 2);
    CHECK_EQ(rec_headers_decode(buf_view(&b), &h, &n), 0);
    CHECK_EQ(n, 2);
    CHECK_VIEW(h[0].name, "X-Shopify-Topic");
    CHECK_VIEW(h[0].value, "orders/paid");
    CHECK_VIEW(h[1].value, "");
    free(h);
    b.len--;
    CHECK_EQ(rec_headers_decode(buf_view(&b), &h, &n), UV_EINVAL);
    CHECK_EQ(rec_headers_decode(STR(""), &h, &n), 0);
    CHECK_EQ(n, 0);
    free(h);
    buf_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_about_somebody_comes_back_as_it_was),
        cmocka_unit_test(a_receipt_comes_back_as_it_was),
        cmocka_unit_test(a_receipt_says_where_it_came_from_and_never_that_it_was_refused),
        cmocka_unit_test(a_receipt_written_as_it_comes_in_is_the_same),
        cmocka_unit_test(a_routed_record_comes_back_and_knows_where_its_states_stand),
        cmocka_unit_test(a_sent_record_comes_back_as_it_was),
        cmocka_unit_test(moves_and_links_come_back_as_they_were),
        cmocka_unit_test(a_checkpoint_comes_back_as_it_was),
        cmocka_unit_test(a_duplicate_comes_back_and_has_its_places_fixed),
        cmocka_unit_test(state_comes_back_as_it_was),
        cmocka_unit_test(what_becomes_of_deadlines_comes_back_as_it_was),
        cmocka_unit_test(a_routed_record_of_the_first_form_is_still_read),
        cmocka_unit_test(moves_of_the_first_form_are_still_read),
        cmocka_unit_test(a_record_cut_anywhere_is_an_error),
        cmocka_unit_test(bytes_left_over_or_another_version_are_an_error),
        cmocka_unit_test(no_byte_of_a_record_can_break_the_reader),
        cmocka_unit_test(a_state_or_a_priority_out_of_range_is_an_error),
        cmocka_unit_test(a_delivery_has_a_name_that_reads_back),
        cmocka_unit_test(headers_are_packed_and_unpacked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
