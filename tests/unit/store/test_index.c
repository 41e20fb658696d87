/*
 * test_index.c - what the index makes of the log, and how it stays with it.
 */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void remove_index(const struct rig *rig)
{
    static const char *const files[] = { "sluice.db", "sluice.db-wal", "sluice.db-shm" };
    char path[128];

    for (int i = 0; i < 3; i++) {
        rig_path(rig, files[i], path);
        unlink(path);
    }
}

static void copy_file(const struct rig *rig, const char *from, const char *to)
{
    char a[128], b[128], block[4096];
    FILE *in, *out;
    size_t n;

    rig_path(rig, from, a);
    rig_path(rig, to, b);
    in = fopen(a, "rb");
    out = fopen(b, "wb");
    CHECK(in && out);
    while ((n = fread(block, 1, sizeof(block), in)) > 0)
        CHECK_EQ(fwrite(block, 1, n, out), n);
    fclose(in);
    CHECK_EQ(fclose(out), 0);
}

/* ---- claims ---- */

/* Three events, each with one delivery to byron and one to other, urgent. */
static void three_events(struct rig *rig)
{
    for (int i = 0; i < 3; i++) {
        uint64_t event = rig_receipt(rig, "acme-shop", "orders/paid", NULL, "{\"id\":1}");
        struct rec_delivery d[2] = { delivery(event, 0, "byron"), delivery(event, 1, "other") };

        d[1].priority = 0;
        rig_routed(rig, event, d, 2);
    }
}

static void a_claim_gives_live_deliveries_by_number_and_pages(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    three_events(&rig); /* events 1, 3, 5 */
    CHECK_EQ(rig_claim(&rig, "byron", 2, 0, 2), 0);
    CHECK_EQ(rig.n, 2);
    CHECK_EQ(rig.d[0].num, delivery_num(1, 0));
    CHECK_EQ(rig.d[1].num, delivery_num(3, 0));
    CHECK_VIEW(rig.d[0].route, "order-to-supplier");
    CHECK_VIEW(rig.d[0].piece, "Byron Gears");
    CHECK_VIEW(rig.d[0].endpoint, "byron");
    CHECK_VIEW(rig.d[0].action, "order.submit");
    CHECK_VIEW(rig.d[0].subject, "order:acme/1");
    CHECK_VIEW(rig.d[0].topic, "orders/paid");
    CHECK_EQ(rig.d[0].state, DS_READY);
    CHECK_EQ(rig.d[0].id[2], 7);
    CHECK_EQ(rig.d[0].received_ms, 1700000000000);
    CHECK_EQ(rig.d[0].body_bytes, strlen("{\"total\":19.90}"));
    CHECK_EQ(rig.d[0].batch, 0);
    CHECK_EQ(rig_claim(&rig, "byron", 2, rig.d[1].num, 2), 0);
    CHECK_EQ(rig.n, 1);
    CHECK_EQ(rig.d[0].num, delivery_num(5, 0));
    CHECK_EQ(rig_claim(&rig, "byron", 0, 0, 10), 0);
    CHECK_EQ(rig.n, 0);
    CHECK_EQ(rig_claim(&rig, "other", 0, 0, 10), 0);
    CHECK_EQ(rig.n, 3);
    rig_move(&rig, (struct rec_move){ .num = delivery_num(3, 1), .state = DS_DELIVERED }, 0);
    CHECK_EQ(rig_claim(&rig, "other", 0, 0, 10), 0);
    CHECK_EQ(rig.n, 2);
    rig_finish(&rig);
}

static void a_held_delivery_without_an_endpoint_is_claimed_by_none(void **state)
{
    struct rec_delivery d;
    struct rig rig;
    uint64_t event;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    event = rig_receipt(&rig, "acme-shop", "orders/paid", NULL, "{}");
    d = delivery(event, 0, "");
    d.state = DS_HELD;
    d.hold_type = STR("unmapped-sku");
    d.reason = STR("no case for \"Gears\"");
    rig_routed(&rig, event, &d, 1);
    CHECK_EQ(rig_claim(&rig, "", 2, 0, 10), 0);
    CHECK_EQ(rig.n, 1);
    CHECK_VIEW(rig.d[0].hold_type, "unmapped-sku");
    CHECK_VIEW(rig.d[0].reason, "no case for \"Gears\"");
    /* an operator chooses: it moves to an endpoint, and is a ready one there */
    rig_move(&rig, (struct rec_move){ .num = d.num, .state = DS_READY, .endpoint = STR("byron") },
             0);
    CHECK_EQ(rig_claim(&rig, "", 2, 0, 10), 0);
    CHECK_EQ(rig.n, 0);
    CHECK_EQ(rig_claim(&rig, "byron", 2, 0, 10), 0);
    CHECK_EQ(rig.n, 1);
    CHECK_VIEW(rig.d[0].hold_type, "");
    rig_finish(&rig);
}

/* ---- the life of a delivery ---- */

static void what_was_sent_is_in_flight_after_a_reopening(void **state)
{
    uint64_t nums[2], batch;
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    three_events(&rig);
    nums[0] = delivery_num(1, 0);
    nums[1] = delivery_num(3, 0);
    batch = rig_sent(&rig, nums, 2, 1);
    rig_reopen(&rig);
    CHECK_EQ(rig_claim(&rig, "byron", 2, 0, 10), 0);
    CHECK_EQ(rig.n, 3);
    CHECK_EQ(rig.d[0].state, DS_INFLIGHT);
    CHECK_EQ(rig.d[0].batch, batch);
    CHECK_EQ(rig.d[0].first_sent_ms, 1700000000201);
    CHECK_EQ(rig.d[2].state, DS_READY);
    CHECK_EQ(rig_get(&rig, nums[0]), 0);
    CHECK_STR(rig.body.data, "{\"total\":19.90}");
    CHECK_STR(rig.request.data, "frozen");
    CHECK_EQ(rig_batch(&rig, batch), 0);
    CHECK_EQ(rig.n, 2);
    CHECK_EQ(rig.text.len, 0);
    rig_finish(&rig);
}

static void attempts_count_when_burnt_and_the_rest_is_kept(void **state)
{
    uint64_t num = delivery_num(1, 0), batch;
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    three_events(&rig);
    batch = rig_sent(&rig, &num, 1, 1);
    rig_move(&rig,
             (struct rec_move){ .num = num,
                                .state = DS_WAITING,
                                .attempt = 1,
                                .burnt = 1,
                                .next_ms = 1700000009000,
                                .reason = STR("503") },
             batch);
    CHECK_EQ(rig_get(&rig, num), 0);
    CHECK_EQ(rig.d[0].state, DS_WAITING);
    CHECK_EQ(rig.d[0].attempts, 1);
    CHECK_EQ(rig.d[0].next_ms, 1700000009000);
    CHECK_EQ(rig.d[0].batch, 0);
    CHECK_VIEW(rig.d[0].reason, "503");
    batch = rig_sent(&rig, &num, 1, 2);
    rig_move(&rig,
             (struct rec_move){ .num = num, .state = DS_READY, .attempt = 2, .reason = STR("401") },
             batch);
    CHECK_EQ(rig_get(&rig, num), 0);
    CHECK_EQ(rig.d[0].attempts, 1); /* a park burns nothing */
    CHECK_EQ(rig.d[0].next_ms, 0);
    CHECK_EQ(rig.d[0].first_sent_ms, 1700000000201);
    rig_finish(&rig);
}

static uint64_t send_with(struct rig *rig, uint64_t num, uint32_t generation, const char *request)
{
    struct rec_sent_item item = { .num = num,
                                  .attempt = 1,
                                  .generation = generation,
                                  .key = STR("k"),
                                  .request = str_of(request) };
    struct rec_sent rec = { .at_ms = 1, .items = &item, .n_items = 1 };

    return rig_put(rig, encoded(REC_SENT, &rec));
}

static void a_request_stays_frozen_for_its_generation(void **state)
{
    uint64_t num = delivery_num(1, 0);
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    three_events(&rig);
    CHECK_EQ(rig_get(&rig, num), 0);
    CHECK_EQ(rig.request.len, 0);
    send_with(&rig, num, 0, "first");
    send_with(&rig, num, 0, "");
    CHECK_EQ(rig_get(&rig, num), 0);
    CHECK_STR(rig.request.data, "first");
    send_with(&rig, num, 1, "");
    CHECK_EQ(rig_get(&rig, num), 0);
    CHECK_EQ(rig.request.len, 0); /* the body itself, under a new key */
    send_with(&rig, num, 2, "third");
    CHECK_EQ(rig_get(&rig, num), 0);
    CHECK_STR(rig.request.data, "third");
    rig_finish(&rig);
}

static void a_batch_has_its_newest_token_and_its_open_members(void **state)
{
    uint64_t nums[] = { delivery_num(1, 0), delivery_num(3, 0), delivery_num(5, 0) }, batch;
    struct rec_checkpoint c = { .at_ms = 1, .done = 1, .token = STR("job-7/created") };
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    three_events(&rig);
    batch = rig_sent(&rig, nums, 3, 1);
    c.batch = batch;
    rig_put(&rig, encoded(REC_CHECKPOINT, &c));
    c.token = STR("job-7/uploaded");
    rig_put(&rig, encoded(REC_CHECKPOINT, &c));
    rig_move(&rig, (struct rec_move){ .num = nums[1], .state = DS_DELIVERED, .attempt = 1 }, batch);
    CHECK_EQ(rig_batch(&rig, batch), 0);
    CHECK_STR(rig.text.data, "job-7/uploaded");
    CHECK_EQ(rig.n, 2);
    CHECK_EQ(rig.nums[0], nums[0]);
    CHECK_EQ(rig.nums[1], nums[2]);
    CHECK_EQ(rig_batch(&rig, 1), UV_ENOENT);
    rig_finish(&rig);
}

/* ---- events and links ---- */

static void an_event_waits_for_its_link_and_is_routed_again(void **state)
{
    struct rec_ref ref = { STR("byron"), STR("po"), STR("77") };
    struct rec_link link = { STR("byron"), STR("po"), STR("77"), STR("order:acme/1"), 0 };
    struct rec_moves outcome = { .at_ms = 1, .who = STR("adapter"), .links = &link, .n_links = 1 };
    struct rec_routed routed = { .waits = &ref, .n_waits = 1 };
    struct rec_delivery d;
    struct rig rig;
    uint64_t id;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    id = rig_receipt(&rig, "byron", "tracking", NULL, "{}");
    CHECK_EQ(rig_unrouted(&rig, false), 0);
    CHECK_EQ(rig.n, 1);
    CHECK_EQ(rig.nums[0], id);
    routed.event = id;
    rig_put(&rig, encoded(REC_ROUTED, &routed));
    CHECK_EQ(rig_unrouted(&rig, false), 0);
    CHECK_EQ(rig.n, 0);
    CHECK_EQ(rig_unrouted(&rig, true), 0);
    CHECK_EQ(rig.n, 1);
    CHECK_EQ(rig_link(&rig, ref), 0);
    CHECK_EQ(rig.text.len, 0);
    rig_put(&rig, encoded(REC_OUTCOME, &outcome));
    CHECK_EQ(rig_link(&rig, ref), 0);
    CHECK_STR(rig.text.data, "order:acme/1");
    d = delivery(id, 0, "acme-shop");
    rig_routed(&rig, id, &d, 1);
    CHECK_EQ(rig_unrouted(&rig, true), 0);
    CHECK_EQ(rig.n, 0);
    CHECK_EQ(rig_event(&rig, id), 0);
    CHECK_EQ(rig.event_deliveries, 1);
    rig_finish(&rig);
}

static void an_event_comes_back_with_its_raw_body(void **state)
{
    struct rig rig;
    uint64_t id;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    id = rig_receipt(&rig, "shop", "t", NULL, "{\"total\":19.90,\"id\":820982911946154508}");
    CHECK_EQ(rig_event(&rig, id), 0);
    CHECK_EQ(rig.event_id, id);
    CHECK_EQ(rig.event_deliveries, 0);
    CHECK_STR(rig.body.data, "{\"total\":19.90,\"id\":820982911946154508}");
    CHECK_EQ(rig_event(&rig, id + 1), UV_ENOENT);
    CHECK_EQ(rig_get(&rig, delivery_num(id, 0)), UV_ENOENT);
    rig_finish(&rig);
}

static void a_selection_matches_exactly_and_pages(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    three_events(&rig);
    CHECK_EQ(rig_select(&rig, (struct store_filter){ .limit = 1000 }), 0);
    CHECK_EQ(rig.n, 6);
    CHECK_EQ(rig_select(&rig, (struct store_filter){ .endpoint = "other",
                                                     .state = "ready",
                                                     .topic = "orders/paid",
                                                     .after = delivery_num(1, 1),
                                                     .limit = 1 }),
             0);
    CHECK_EQ(rig.n, 1);
    CHECK_EQ(rig.nums[0], delivery_num(3, 1));
    CHECK_EQ(rig_select(&rig, (struct store_filter){ .subject = "order:acme/2", .limit = 9 }), 0);
    CHECK_EQ(rig.n, 0);
    CHECK_EQ(rig_select(&rig, (struct store_filter){ .state = "asleep", .limit = 9 }), UV_EINVAL);
    rig_move(&rig, (struct rec_move){ .num = delivery_num(3, 0), .state = DS_DEAD }, 0);
    CHECK_EQ(rig_select(&rig, (struct store_filter){ .state = "dead", .limit = 9 }), 0);
    CHECK_EQ(rig.n, 1);
    rig_finish(&rig);
}

/* ---- the index and its log ---- */

static void an_index_that_was_lost_is_built_from_the_log(void **state)
{
    uint64_t num = delivery_num(3, 0), batch;
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    three_events(&rig);
    batch = rig_sent(&rig, &num, 1, 1);
    rig_close(&rig);
    remove_index(&rig);
    rig_must_open(&rig);
    CHECK_EQ(rig_claim(&rig, "byron", 2, 0, 10), 0);
    CHECK_EQ(rig.n, 3);
    CHECK_EQ(rig.d[1].state, DS_INFLIGHT);
    CHECK_EQ(rig.d[1].batch, batch);
    rig_finish(&rig);
}

static void an_older_index_catches_up_over_many_transactions(void **state)
{
    struct store_record r[300];
    struct store_stats stats;
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    three_events(&rig);
    rig_close(&rig);
    copy_file(&rig, "sluice.db", "older.db");
    rig_must_open(&rig);
    for (int round = 0; round < 10; round++) { /* 3,000: several of the index's transactions */
        for (int i = 0; i < 300; i++)
            r[i] = receipt("shop", "t", NULL, "{}");
        CHECK_EQ(rig_append(&rig, r, 300), 0);
    }
    rig_close(&rig);
    remove_index(&rig);
    copy_file(&rig, "older.db", "sluice.db");
    rig_must_open(&rig);
    store_stats(rig.s, &stats);
    CHECK_EQ(stats.log_seq, 3006);
    CHECK_EQ(stats.index_seq, 3006);
    CHECK_EQ(rig_event(&rig, 3006), 0);
    CHECK_EQ(rig_claim(&rig, "byron", 2, 0, 10), 0);
    CHECK_EQ(rig.n, 3);
    rig_finish(&rig);
}

static void an_index_ahead_of_its_log_is_refused(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    rig_receipt(&rig, "shop", "t", NULL, "{}");
    rig_close(&rig);
    copy_file(&rig, "log/0000000001.seg", "older.seg");
    rig_must_open(&rig);
    rig_receipt(&rig, "shop", "t", NULL, "{}");
    rig_close(&rig);
    copy_file(&rig, "older.seg", "log/0000000001.seg");
    CHECK_EQ(rig_open(&rig), UV_EINVAL);
    assert_non_null(strstr(rig.fail.text, "record 2"));
    assert_non_null(strstr(rig.fail.text, "ends at 1"));
    rig_finish(&rig);
}

static void an_index_of_another_log_is_refused(void **state)
{
    char path[128];
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    rig_receipt(&rig, "shop", "t", NULL, "{}");
    rig_close(&rig);
    rig_path(&rig, "log/0000000001.seg", path);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(rig_open(&rig), UV_EINVAL);
    assert_non_null(strstr(rig.fail.text, "another log"));
    rig_finish(&rig);
}

/* The flow would not do this; a disk can. */
static void a_record_that_cannot_be_understood_stops_the_opening(void **state)
{
    struct store_record r = { .type = REC_SENT };
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    rig_receipt(&rig, "shop", "t", NULL, "{}");
    buf_cstr(&r.payload, "\x07");
    CHECK_EQ(rig_append(&rig, &r, 1), 0);
    CHECK_EQ(rig_event(&rig, 1), UV_EIO);
    rig_close(&rig);
    CHECK_EQ(rig_open(&rig), UV_EINVAL);
    assert_non_null(strstr(rig.fail.text, "cannot be understood"));
    rig_finish(&rig);
}

/* ---- what a query sees ---- */

struct nested {
    struct store_append a;
    struct store_record r;
    struct rig *rig;
};

static void on_nested_claim(void *ctx, int status, const struct store_delivery *d, size_t n)
{
    struct rig *rig = ctx;

    CHECK_EQ(status, 0);
    CHECK_EQ(n, 1);
    CHECK_EQ(d[0].num, delivery_num(1, 0));
    rig->done = true;
}

static void on_routed(struct store_append *a, int status)
{
    struct nested *n = container_of(a, struct nested, a);

    CHECK_EQ(status, 0);
    CHECK_EQ(store_claim(n->rig->s, STR("byron"), 2, 0, 10, on_nested_claim, n->rig), 0);
}

static void a_query_sees_what_was_called_back_before_it(void **state)
{
    struct rec_delivery d;
    struct rec_routed rec = { .deliveries = &d, .n_deliveries = 1 };
    struct nested n = { .a = { .n = 1, .cb = on_routed } };
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    rec.event = rig_receipt(&rig, "acme-shop", "orders/paid", NULL, "{}");
    d = delivery(rec.event, 0, "byron");
    n.r = encoded(REC_ROUTED, &rec);
    n.a.records = &n.r;
    n.rig = &rig;
    rig.done = false;
    CHECK_EQ(store_append(rig.s, &n.a, false), 0);
    rig_wait(&rig);
    store_append_finish(&n.a);
    rig_finish(&rig);
}

/* ---- what lanes, holds and replays remember ---- */

static uint64_t put_state(struct rig *rig, const char *space, const char *key, const char *value)
{
    struct rec_state_item item = { str_of(space), str_of(key), str_of(value) };

    return rig_put(rig, encoded(REC_STATE, &(struct rec_state){ .at_ms = 5,
                                                                .who = STR("uid 0"),
                                                                .why = STR("stock"),
                                                                .items = &item,
                                                                .n_items = 1 }));
}

static void the_newest_fact_of_a_key_holds_until_it_is_cleared(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    put_state(&rig, "pause-endpoint", "crest", "{}");
    put_state(&rig, "pause-endpoint", "byron", "{\"n\":1}");
    put_state(&rig, "pause-endpoint", "byron", "{\"n\":2}");
    put_state(&rig, "pause-route", "byron", "{\"n\":3}");
    rig_reopen(&rig);
    CHECK_EQ(rig_state(&rig, "pause-endpoint"), 0);
    CHECK_STR(rig.text.data,
              "byron={\"n\":2} at 5 by uid 0: stock\n"
              "crest={} at 5 by uid 0: stock\n");
    put_state(&rig, "pause-endpoint", "byron", "");
    CHECK_EQ(rig_state(&rig, "pause-endpoint"), 0);
    CHECK_EQ(rig.n, 1);
    CHECK_EQ(rig_state(&rig, "nothing"), 0);
    CHECK_EQ(rig.n, 0);
    rig_finish(&rig);
}

static void a_page_of_facts_begins_with_a_prefix_behind_a_key(void **state)
{
    static const char *const keys[] = { "A\n", "A-1\n", "A\xf0\x9f\x98\x80\n", "B\n", "a\n" };
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        put_state(&rig, "kept/x", keys[i], "1");
    put_state(&rig, "kept/y", "A\n", "2");
    CHECK_EQ(rig_state_page(&rig, "kept/x", "", "", 10), 0);
    CHECK_EQ(rig.n, 5);
    CHECK_EQ(rig_state_page(&rig, "kept/x", "A", "", 10), 0);
    CHECK_EQ(rig.n, 3);
    CHECK_EQ(rig_state_page(&rig, "kept/x", "A\n", "", 10), 0);
    CHECK_STR(rig.text.data, "A\n=1 at 5 by uid 0: stock\n");
    CHECK_EQ(rig_state_page(&rig, "kept/x", "A", "A\n", 1), 0);
    CHECK_STR(rig.text.data, "A-1\n=1 at 5 by uid 0: stock\n");
    CHECK_EQ(rig_state_page(&rig, "kept/x", "", "A-1\n", 2), 0);
    CHECK_STR(rig.text.data,
              "A\xf0\x9f\x98\x80\n=1 at 5 by uid 0: stock\nB\n=1 at 5 by uid 0: stock\n");
    CHECK_EQ(rig_state_page(&rig, "kept/x", "C", "", 10), 0);
    CHECK_EQ(rig.n, 0);
    rig_finish(&rig);
}

/* What an event tells of a link says nothing of the delivery that wrote it. */
static void a_link_that_an_event_tells_keeps_its_delivery(void **state)
{
    struct rec_link link = { STR("byron"), STR("po"), STR("9"), STR("order:1"), .num = 77 };
    struct rec_moves rec = { .at_ms = 1, .who = STR("adapter"), .links = &link, .n_links = 1 };
    struct rec_ref ref = { STR("byron"), STR("po"), STR("9") };
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    rig_put(&rig, encoded(REC_OUTCOME, &rec));
    link.subject = STR("order:2");
    link.num = delivery_num(3, REC_LINK_LEARNT);
    rig_put(&rig, encoded(REC_DECISION, &rec));
    CHECK_EQ(rig_link(&rig, ref), 0);
    CHECK_STR(rig.text.data, "order:2");
    rig_put(&rig, encoded(REC_DECISION, &rec)); /* again, and of one that was never there */
    link.id = STR("10");
    rig_put(&rig, encoded(REC_DECISION, &rec));
    ref.id = STR("10");
    CHECK_EQ(rig_link(&rig, ref), 0);
    CHECK_STR(rig.text.data, "order:2");
    rig_finish(&rig);
}

static void a_move_may_change_priority_detail_and_body(void **state)
{
    struct rec_delivery d;
    struct rig rig;
    uint64_t id;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    id = rig_receipt(&rig, "shop", "t", NULL, "{}");
    d = delivery(id, 0, "byron");
    d.priority = 1;
    d.next_ms = 44;
    d.version = STR("v1");
    d.detail = STR("{\"a\":1}");
    rig_routed(&rig, id, &d, 1);
    CHECK_EQ(rig_get(&rig, d.num), 0);
    CHECK_EQ(rig.d[0].next_ms, 44);
    CHECK_VIEW(rig.d[0].version, "v1");
    CHECK_VIEW(rig.d[0].detail, "{\"a\":1}");
    rig_move(&rig, (struct rec_move){ .num = d.num, .state = DS_DEAD }, 0);
    rig_move(&rig,
             (struct rec_move){ .num = d.num,
                                .state = DS_READY,
                                .generation = 1,
                                .set_priority = 1 + 3,
                                .detail = STR("{\"a\":2}"),
                                .body = STR("{\"mended\":true}") },
             0);
    CHECK_EQ(rig_get(&rig, d.num), 0);
    CHECK_EQ(rig.d[0].priority, 3);
    CHECK_EQ(rig.d[0].body_bytes, strlen("{\"mended\":true}"));
    CHECK_VIEW(rig.d[0].detail, "{\"a\":2}");
    CHECK_STR(rig.body.data, "{\"mended\":true}");
    CHECK_EQ(rig_claim(&rig, "byron", 1, 0, 10), 0);
    CHECK_EQ(rig.n, 0);
    CHECK_EQ(rig_claim(&rig, "byron", 3, 0, 10), 0);
    CHECK_EQ(rig.n, 1);
    rig_finish(&rig);
}

static void at_another_endpoint_it_was_never_sent(void **state)
{
    uint64_t num = delivery_num(1, 0);
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    three_events(&rig);
    send_with(&rig, num, 0, "for the first");
    rig_move(&rig, (struct rec_move){ .num = num, .state = DS_WAITING, .arrival = ARRIVAL_PERHAPS },
             0);
    CHECK_EQ(rig_get(&rig, num), 0);
    CHECK(store_in_doubt(&rig.d[0]));
    rig_move(&rig, (struct rec_move){ .num = num, .state = DS_WAITING, .arrival = ARRIVAL_NO }, 0);
    CHECK_EQ(rig_get(&rig, num), 0);
    CHECK(rig.d[0].first_sent_ms != 0 && !store_in_doubt(&rig.d[0]));
    CHECK_STR(rig.request.data, "for the first");
    rig_move(&rig, (struct rec_move){ .num = num, .state = DS_READY, .endpoint = STR("another") },
             0);
    CHECK_EQ(rig_get(&rig, num), 0);
    CHECK_EQ(rig.d[0].first_sent_ms, 0);
    CHECK_EQ(rig.d[0].arrival, 0);
    CHECK_EQ(rig.request.len, 0);
    send_with(&rig, num, 0, "for the other"); /* under the same key */
    CHECK_EQ(rig_get(&rig, num), 0);
    CHECK_STR(rig.request.data, "for the other");
    rig_finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_claim_gives_live_deliveries_by_number_and_pages),
        cmocka_unit_test(a_held_delivery_without_an_endpoint_is_claimed_by_none),
        cmocka_unit_test(what_was_sent_is_in_flight_after_a_reopening),
        cmocka_unit_test(attempts_count_when_burnt_and_the_rest_is_kept),
        cmocka_unit_test(a_request_stays_frozen_for_its_generation),
        cmocka_unit_test(a_batch_has_its_newest_token_and_its_open_members),
        cmocka_unit_test(an_event_waits_for_its_link_and_is_routed_again),
        cmocka_unit_test(an_event_comes_back_with_its_raw_body),
        cmocka_unit_test(a_selection_matches_exactly_and_pages),
        cmocka_unit_test(an_index_that_was_lost_is_built_from_the_log),
        cmocka_unit_test(an_older_index_catches_up_over_many_transactions),
        cmocka_unit_test(an_index_ahead_of_its_log_is_refused),
        cmocka_unit_test(an_index_of_another_log_is_refused),
        cmocka_unit_test(a_record_that_cannot_be_understood_stops_the_opening),
        cmocka_unit_test(the_newest_fact_of_a_key_holds_until_it_is_cleared),
        cmocka_unit_test(a_page_of_facts_begins_with_a_prefix_behind_a_key),
        cmocka_unit_test(a_link_that_an_event_tells_keeps_its_delivery),
        cmocka_unit_test(a_move_may_change_priority_detail_and_body),
        cmocka_unit_test(at_another_endpoint_it_was_never_sent),
        cmocka_unit_test(a_query_sees_what_was_called_back_before_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
