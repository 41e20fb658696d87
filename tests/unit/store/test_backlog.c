/*
 * What is asked of the index where much waits in it.
 */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void three_events(struct rig *rig)
{
    for (int i = 0; i < 3; i++) {
        uint64_t event = rig_receipt(rig, "acme-shop", "orders/paid", NULL, "{\"id\":1}");
        struct rec_delivery d[2] = { delivery(event, 0, "byron"), delivery(event, 1, "other") };

        d[1].priority = 0;
        rig_routed(rig, event, d, 2);
    }
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

struct bodies {
    uv_loop_t *loop;
    char text[200];
    size_t n;
};

static void on_bodies(void *ctx, int status, const struct store_body *b, size_t n)
{
    struct bodies *to = ctx;

    CHECK_EQ(status, 0);
    for (size_t i = 0; i < n; i++) {
        size_t at = strlen(to->text);
        snprintf(to->text + at, sizeof(to->text) - at, "%d:" STR_FMT ":" STR_FMT " ",
                 (int)delivery_event(b[i].num), STR_ARG(b[i].body), STR_ARG(b[i].request));
    }
    to->n = n;
    uv_stop(to->loop);
}

static void bodies_come_together_in_the_order_asked_for_without_those_that_are_not(void **state)
{
    const uint64_t nums[] = { delivery_num(3, 0), delivery_num(77, 0), delivery_num(1, 0) };
    struct bodies got = { 0 };
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    three_events(&rig);
    send_with(&rig, nums[2], 0, "first");
    got.loop = &rig.loop;
    CHECK_EQ(store_bodies(rig.s, nums, 3, true, on_bodies, &got), 0);
    uv_run(&rig.loop, UV_RUN_DEFAULT);
    CHECK_EQ(got.n, 2);
    CHECK_STR(got.text, "3:{\"total\":19.90}: 1:{\"total\":19.90}:first ");
    send_with(&rig, nums[2], 1, "");
    got.text[0] = '\0';
    CHECK_EQ(store_bodies(rig.s, nums + 2, 1, true, on_bodies, &got), 0);
    uv_run(&rig.loop, UV_RUN_DEFAULT);
    CHECK_STR(got.text, "1:{\"total\":19.90}: "); /* of another generation */
    rig_finish(&rig);
}

static void a_selection_out_of_a_backlog_is_in_order_over_its_lanes(void **state)
{
    enum { EACH = 4000, EVENTS = 4 };
    struct rec_delivery *d = calloc(EACH, sizeof(*d));
    struct store_filter f = { .state = "ready", .limit = 10 };
    char pieces[EACH][8];
    uint64_t event = 0, done;
    struct rig rig;

    (void)state;
    assert_non_null(d);
    rig_start(&rig);
    rig_must_open(&rig);
    three_events(&rig);
    done = delivery_num(1, 0);
    uint64_t batch = rig_sent(&rig, &done, 1, 1);
    rig_move(&rig, (struct rec_move){ .num = done, .state = DS_DELIVERED, .attempt = 1 }, batch);
    for (int e = 0; e < EVENTS; e++) {
        event = rig_receipt(&rig, "acme-shop", "orders/paid", NULL, "{}");
        for (unsigned i = 0; i < EACH; i++) {
            d[i] = delivery(event, i, i % 2 ? "nord" : "byron");
            d[i].priority = (uint8_t)(i % 4);
            snprintf(pieces[i], sizeof(pieces[i]), "%u", i);
            d[i].piece = str_of(pieces[i]);
        }
        rig_routed(&rig, event, d, EACH);
    }
    CHECK_EQ(rig_select(&rig, f), 0);
    CHECK_EQ(rig.n, 10);
    CHECK_EQ(rig.nums[0], delivery_num(1, 1)); /* of those before, what is not done */
    for (size_t i = 1; i < rig.n; i++)
        CHECK(rig.nums[i] > rig.nums[i - 1]);
    f.endpoint = "nord";
    f.after = delivery_num(event, 100);
    CHECK_EQ(rig_select(&rig, f), 0);
    CHECK_EQ(rig.n, 10);
    for (size_t i = 0; i < rig.n; i++)
        CHECK_EQ(rig.nums[i], delivery_num(event, 101 + 2 * (unsigned)i));
    f.state = "inflight"; /* few, beside many */
    f.after = 0;
    CHECK_EQ(rig_select(&rig, f), 0);
    CHECK_EQ(rig.n, 0);
    rig_finish(&rig);
    free(d);
}

/* Without its index, as after a kill -9 with the index far behind: nobody waits at the opening. */
static void an_index_that_is_far_behind_catches_up_while_the_store_takes_more(void **state)
{
    enum { EVENTS = 300 };
    struct store_stats before, stats;
    char path[128];
    struct rig rig;
    uint64_t id;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    for (int i = 0; i < EVENTS / 3; i++)
        three_events(&rig);
    store_stats(rig.s, &before);
    rig_close(&rig);
    rig_path(&rig, "sluice.db", path);
    CHECK_EQ(remove(path), 0);

    rig.conf.catch_up_ms = 0;
    rig_must_open(&rig);
    id = rig_receipt(&rig, "acme-shop", "orders/paid", "new", "{}");
    CHECK_EQ(id, before.log_seq + 1);
    CHECK_EQ(rig_claim(&rig, "byron", 2, delivery_num(id - 2, 0) - 1, 10), 0);
    CHECK_EQ(rig.n, 1); /* what was last is known as soon as anything is answered */
    CHECK_EQ(rig_event(&rig, id), 0);
    store_stats(rig.s, &stats);
    CHECK_EQ(stats.index_seq, id);
    rig_reopen(&rig);
    CHECK_EQ(rig_event(&rig, id), 0);
    rig_finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_come_together_in_the_order_asked_for_without_those_that_are_not),
        cmocka_unit_test(a_selection_out_of_a_backlog_is_in_order_over_its_lanes),
        cmocka_unit_test(an_index_that_is_far_behind_catches_up_while_the_store_takes_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
