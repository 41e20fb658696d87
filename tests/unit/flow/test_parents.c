/*
 * test_parents.c - parent_key: two batches in flight at an endpoint never hold records of one
 * parent; and narrow: what was in somebody's way goes in small batches, one at a time.
 */
#include "batch_rig.h"

#include <stdio.h>

/* ---- parents ---- */

static void test_a_record_waits_for_the_batch_that_has_its_parent_and_others_pass(void **state)
{
    struct why why;

    (void)state;
    batch_rig_init();
    clock_rig_up(&rig);
    comes("t0", "a #P");
    uint64_t b = comes("t0", "b #P");
    comes("t0", "c #Q");
    comes("t1", "d #P"); /* of another route */
    comes("t1", "e");
    CHECK_EQ(n_outs, 3);
    CHECK_STR(subjects(0), "a");
    CHECK_STR(subjects(1), "c");
    CHECK_STR(subjects(2), "e");
    CHECK(flow_why(rig.flow, b, &why));
    CHECK(strstr(why.text, "in flight with the same parent") != NULL);
    struct lane_stats stats;
    flow_lane_stats(rig.flow, CRM, &stats);
    CHECK_EQ(stats.ready, 2);
    CHECK(stats.oldest_ms > 0); /* what waits for a parent waits */
    answer_well(1);
    CHECK_EQ(n_outs, 2); /* another parent's */
    answer_well(0);
    CHECK_EQ(n_outs, 2);
    CHECK_STR(subjects(1), "b"); /* and not d, which came later */
    answer_well(1);
    CHECK_STR(subjects(1), "d");
    CHECK_EQ(clock_rig_row(&rig, b)->attempts, 1); /* waiting burnt none */
    clock_rig_finish(&rig);
}

static void test_records_of_one_batch_share_a_parent(void **state)
{
    (void)state;
    batch_rig_init();
    gathering.age_ms = 1000;
    clock_rig_up(&rig);
    comes("t0", "a #P");
    comes("t0", "b #P");
    comes("t0", "c #Q");
    clock_rig_pass(&rig, 1000);
    CHECK_EQ(n_outs, 1);
    CHECK_STR(subjects(0), "a b c");
    comes("t0", "d #P");
    comes("t0", "e #P");
    comes("t0", "f #R");
    clock_rig_pass(&rig, 1000);
    CHECK_EQ(n_outs, 2);
    CHECK_STR(subjects(1), "f");
    answer_well(0);
    CHECK_EQ(n_outs, 2);
    CHECK_STR(subjects(1), "d e"); /* at once: they have gathered for long enough */
    clock_rig_finish(&rig);
}

static void test_records_of_one_parent_stand_side_by_side_in_one_chunk(void **state)
{
    static const char *const bodies[] = { "a #P", "b #Q", "c #R", "d #P", "e",
                                          "f #Q", "g #P", "h",    "i #Q" };

    (void)state;
    batch_rig_init();
    gathering.age_ms = 1000;
    gathering.chunk = 4;
    clock_rig_up(&rig);
    for (size_t i = 0; i < 9; i++)
        comes("t0", bodies[i]);
    clock_rig_pass(&rig, 1000);
    CHECK_EQ(n_outs, 1);
    CHECK_STR(subjects(0), "a d g c b f i e h"); /* c fills the first chunk up */
    answer_well(0);
    gathering.chunk = 0;
    batch_rig_crash();
    clock_rig_up(&rig);
    for (size_t i = 0; i < 9; i++)
        comes("t0", bodies[i]);
    clock_rig_pass(&rig, 1000);
    CHECK_STR(subjects(0), "a d g b f i c e h");
    clock_rig_finish(&rig);
}

static void test_order_of_a_subject_holds_whatever_the_parents_are(void **state)
{
    (void)state;
    batch_rig_init();
    clock_rig_up(&rig);
    comes("t0", "x #P");
    comes("t0", "a #P");
    comes("t0", "a #Q"); /* behind the one that waits for P */
    CHECK_EQ(n_outs, 1);
    answer_well(0);
    CHECK_EQ(n_outs, 1);
    CHECK_STR(subjects(0), "a");
    CHECK(str_eq(outs[0].batch->records[0].body, STR("a #P")));
    answer_well(0);
    CHECK(str_eq(outs[0].batch->records[0].body, STR("a #Q")));
    clock_rig_finish(&rig);
}

static void test_bodies_that_are_read_back_put_no_parent_into_two_batches(void **state)
{
    uint64_t num[8];
    char body[16];

    (void)state;
    batch_rig_init();
    clock_rig_up(&rig);
    clock_rig_stop(&rig, false, "crm", PAUSE_BEGINS);
    for (size_t i = 0; i < 8; i++) {
        snprintf(body, sizeof(body), "s%zu #%s", i, i % 4 ? "P" : "Q");
        num[i] = comes(i % 2 ? "t1" : "t0", body);
    }
    batch_rig_crash();
    clock_rig_up(&rig);
    clock_rig_stop(&rig, false, "crm", PAUSE_ENDS);
    clock_rig_pass(&rig, 1000);
    size_t rounds = 0, done = 0;
    for (; n_outs && rounds < 8; rounds++) {
        for (size_t i = 0; i < n_outs; i++)
            for (size_t k = 0; k < i; k++) /* at most one has P, and one Q */
                CHECK(parent_key(NULL, NULL, outs[i].batch->records[0].body).ptr[1] !=
                      parent_key(NULL, NULL, outs[k].batch->records[0].body).ptr[1]);
        done += outs[0].batch->n_records;
        answer_well(0);
    }
    CHECK_EQ(done, 8);
    for (size_t i = 0; i < 8; i++) {
        CHECK_EQ(clock_rig_state(&rig, num[i]), DS_DELIVERED);
        CHECK_EQ(clock_rig_row(&rig, num[i])->attempts, 1);
    }
    clock_rig_finish(&rig);
}

static void on_durable(void *ctx, sl_status status)
{
    CHECK_EQ(status, SL_OK);
    *(bool *)ctx = true;
}

static void test_a_batch_that_goes_on_after_a_restart_still_has_its_parents(void **state)
{
    bool durable = false;

    (void)state;
    batch_rig_init();
    clock_rig_up(&rig);
    comes("t0", "a #P");
    uint64_t b = comes("t1", "b #P");
    outs[0].done->checkpoint(outs[0].done->ctx, STR("job"), 0, on_durable, &durable);
    clock_rig_pass(&rig, 1000);
    CHECK(durable);
    batch_rig_crash();
    clock_rig_up(&rig);
    clock_rig_pass(&rig, 1000);
    CHECK_EQ(n_outs, 1);
    CHECK(outs[0].resumed);
    CHECK_EQ(clock_rig_state(&rig, b), DS_READY);
    answer_well(0);
    CHECK_EQ(n_outs, 1);
    CHECK_STR(subjects(0), "b");
    clock_rig_finish(&rig);
}

/** Each time P is free again a critical one is there. */
static void test_who_was_passed_too_often_has_its_parent_kept(void **state)
{
    unsigned passed = 0;
    char body[16];

    (void)state;
    batch_rig_init();
    rig.routes[0].priority = PRIORITY_CRITICAL;
    rig.routes[1].priority = PRIORITY_LOW;
    clock_rig_up(&rig);
    comes("t0", "c0 #P");
    uint64_t low = comes("t1", "low #P");
    for (; passed < 10; passed++) {
        snprintf(body, sizeof(body), "c%u #P", passed + 1);
        comes("t0", body);
        comes("t1", "other"); /* low ones have their turns, and this one has not */
        CHECK_EQ(n_outs, 2);
        answer_well(1);
        answer_well(0);
        if (!strcmp(subjects(0), "low"))
            break;
    }
    CHECK(passed < 10);
    answer_well(0);
    CHECK_EQ(clock_rig_state(&rig, low), DS_DELIVERED);
    CHECK_EQ(n_outs, 1); /* and the critical one that was kept waiting for it */
    clock_rig_finish(&rig);
}

static void test_a_parent_is_not_kept_for_a_paused_route(void **state)
{
    char body[16];

    (void)state;
    batch_rig_init();
    rig.routes[0].priority = PRIORITY_CRITICAL;
    rig.routes[1].priority = PRIORITY_LOW;
    clock_rig_up(&rig);
    comes("t0", "c0 #P");
    comes("t1", "low #P");
    clock_rig_pause(&rig, "r1", PAUSE_BEGINS);
    for (unsigned i = 1; i < 10; i++) {
        snprintf(body, sizeof(body), "c%u #P", i);
        comes("t0", body);
        answer_well(0);
        CHECK_EQ(n_outs, 1);
        CHECK_EQ(subjects(0)[0], 'c');
    }
    answer_well(0);
    CHECK_EQ(n_outs, 0);
    clock_rig_pause(&rig, "r1", PAUSE_ENDS);
    clock_rig_pass(&rig, 1000);
    CHECK_STR(subjects(0), "low");
    clock_rig_finish(&rig);
}

static void test_what_waits_for_a_parent_can_be_discarded(void **state)
{
    (void)state;
    batch_rig_init();
    clock_rig_up(&rig);
    comes("t0", "a #P");
    uint64_t b = comes("t0", "b #P"), c = comes("t0", "c #P");
    CHECK_EQ(clock_rig_decide(&rig, DECISION_DISCARD, b, NULL), 0);
    answer_well(0);
    CHECK_EQ(n_outs, 1);
    CHECK_STR(subjects(0), "c");
    answer_well(0);
    CHECK_EQ(clock_rig_state(&rig, b), DS_DISCARDED);
    CHECK_EQ(clock_rig_state(&rig, c), DS_DELIVERED);
    clock_rig_finish(&rig);
}

/* ---- narrow ---- */

static void test_narrow_records_go_in_small_batches_one_at_a_time(void **state)
{
    static const char *const bodies[] = { "a #1", "b #2", "c #3", "d #4", "e #5" };

    (void)state;
    batch_rig_init();
    gathering.age_ms = 1000;
    clock_rig_up(&rig);
    for (size_t i = 0; i < 5; i++)
        comes("t0", bodies[i]);
    clock_rig_pass(&rig, 1000);
    CHECK_STR(subjects(0), "a b c d e");
    answer_narrow(0, 2);
    clock_rig_pass(&rig, 5000);
    CHECK_EQ(n_outs, 1);
    CHECK_EQ(outs[0].batch->n_records, 2);
    comes("t0", "x"); /* in no narrow batch, and not kept back by one */
    clock_rig_pass(&rig, 1000);
    CHECK_EQ(n_outs, 2);
    CHECK_STR(subjects(1), "x");
    answer_well(1);
    answer_well(0);
    CHECK_EQ(n_outs, 1);
    CHECK_EQ(outs[0].batch->n_records, 2);
    CHECK_EQ(outs[0].batch->records[0].attempt, 2);
    answer_narrow(0, 1); /* narrower still */
    clock_rig_pass(&rig, 5000);
    CHECK_EQ(n_outs, 1);
    CHECK_EQ(outs[0].batch->n_records, 1);
    for (size_t left = 3; left > 0; left--) {
        CHECK_EQ(n_outs, 1);
        CHECK_EQ(outs[0].batch->n_records, 1);
        answer_well(0);
        clock_rig_pass(&rig, 5000);
    }
    CHECK_EQ(n_outs, 0);
    clock_rig_finish(&rig);
}

static void test_a_restart_forgets_that_a_record_was_narrow(void **state)
{
    (void)state;
    batch_rig_init();
    gathering.age_ms = 1000;
    clock_rig_up(&rig);
    comes("t0", "a");
    comes("t0", "b");
    clock_rig_pass(&rig, 1000);
    answer_narrow(0, 1);
    batch_rig_crash();
    clock_rig_up(&rig);
    clock_rig_pass(&rig, 10000);
    CHECK_EQ(n_outs, 1);
    CHECK_EQ(outs[0].batch->n_records, 2);
    clock_rig_finish(&rig);
}

static void test_rows_in_each_others_way_open_no_breaker(void **state)
{
    (void)state;
    batch_rig_init();
    rig.endpoints[CRM].breaker.min_calls = 2;
    clock_rig_up(&rig);
    comes("t0", "a");
    for (int i = 0; i < 6; i++) {
        answer_narrow(0, 1);
        clock_rig_pass(&rig, 5000);
        CHECK_EQ(n_outs, 1);
    }
    clock_rig_finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_record_waits_for_the_batch_that_has_its_parent_and_others_pass),
        cmocka_unit_test(test_records_of_one_batch_share_a_parent),
        cmocka_unit_test(test_records_of_one_parent_stand_side_by_side_in_one_chunk),
        cmocka_unit_test(test_order_of_a_subject_holds_whatever_the_parents_are),
        cmocka_unit_test(test_bodies_that_are_read_back_put_no_parent_into_two_batches),
        cmocka_unit_test(test_a_batch_that_goes_on_after_a_restart_still_has_its_parents),
        cmocka_unit_test(test_who_was_passed_too_often_has_its_parent_kept),
        cmocka_unit_test(test_a_parent_is_not_kept_for_a_paused_route),
        cmocka_unit_test(test_what_waits_for_a_parent_can_be_discarded),
        cmocka_unit_test(test_narrow_records_go_in_small_batches_one_at_a_time),
        cmocka_unit_test(test_a_restart_forgets_that_a_record_was_narrow),
        cmocka_unit_test(test_rows_in_each_others_way_open_no_breaker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
