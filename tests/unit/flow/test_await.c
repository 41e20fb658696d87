/*
 * test_await.c - what waits for an event: released or rejected by one that comes, or came before;
 * once, over restarts, and by nothing that is not about it.
 */
#include "clock_rig.h"

static char *topics[] = { "risk", "review/*" }, *created[] = { "created" };
static struct conf_hold hold, wait;

static struct clock_rig *setup(void)
{
    static struct clock_rig r;

    hold = (struct conf_hold){ .type = "fraud",
                               .until = topics,
                               .n_until = 2,
                               .when = "low",
                               .reject_when = "high",
                               .for_ms = 2 * HOUR,
                               .then = HOLD_REJECT };
    wait = (struct conf_hold){ .type = HOLD_WAIT_FOR,
                               .until = created,
                               .n_until = 1,
                               .for_ms = 30 * SEC,
                               .then = HOLD_RELEASE,
                               .index = 1 };
    clock_rig_init(&r);
    clock_rig_route(&r, "order", "order")->hold = &hold;
    r.config.n_holds = 2;
    return &r;
}

static void is_by(const struct clock_rig *r, uint64_t num, enum delivery_state state, uint64_t by)
{
    char who[32];

    snprintf(who, sizeof(who), "event %llu", (unsigned long long)delivery_event(by));
    const struct told *t = clock_rig_moved(r, num, who);
    assert_non_null(t);
    CHECK_EQ(t->state, state);
}

static void test_an_event_releases_rejects_or_says_nothing(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    clock_rig_up(r);
    uint64_t a = clock_rig_event(r, "order", "a"), b = clock_rig_event(r, "order", "b");
    uint64_t c = clock_rig_event(r, "order", "c");
    uint64_t low = clock_rig_event(r, "risk", "a low"), high = clock_rig_event(r, "risk", "b high");
    clock_rig_event(r, "risk", "c medium"); /* not clear */
    clock_rig_event(r, "other", "c low");   /* not what is waited for */
    clock_rig_event(r, "risk", "d low");    /* of another subject */
    clock_rig_pass(r, SEC);
    is_by(r, a, DS_READY, low);
    CHECK_EQ(clock_rig_row(r, a)->state, DS_DELIVERED);
    is_by(r, b, DS_DEAD, high);
    CHECK_EQ(clock_rig_row(r, c)->state, DS_HELD);
    CHECK_EQ(r->delivers, 1);
    uint64_t both = clock_rig_event(r, "review/7", "c low high"); /* who rejects goes before */
    clock_rig_pass(r, SEC);
    is_by(r, c, DS_DEAD, both);
    clock_rig_finish(r);
}

static void test_what_came_before_counts_and_its_newest_word_holds(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    clock_rig_up(r);
    clock_rig_event(r, "risk", "a high");
    clock_rig_event(r, "risk", "a low");
    clock_rig_event(r, "risk", "a medium");
    clock_rig_event(r, "risk", "b low");
    clock_rig_event(r, "risk", "b high");
    uint64_t a = clock_rig_event(r, "order", "a"), b = clock_rig_event(r, "order", "b");
    clock_rig_pass(r, SEC);
    CHECK_EQ(clock_rig_row(r, a)->state, DS_DELIVERED);
    CHECK_EQ(clock_rig_row(r, b)->state, DS_DEAD);
    CHECK_EQ(r->delivers, 1);
    clock_rig_finish(r);
}

static void test_one_event_ends_all_that_waits_for_it(void **state)
{
    struct clock_rig *r = setup();
    uint64_t nums[50];

    (void)state;
    clock_rig_up(r);
    for (size_t i = 0; i < 50; i++)
        nums[i] = clock_rig_event(r, "order", "a");
    uint64_t low = clock_rig_event(r, "risk", "a low");
    clock_rig_pass(r, 10 * SEC);
    for (size_t i = 0; i < 50; i++) {
        is_by(r, nums[i], DS_READY, low);
        CHECK_EQ(clock_rig_row(r, nums[i])->state, DS_DELIVERED);
    }
    CHECK_EQ(r->delivers, 50);
    clock_rig_finish(r);
}

/* The event and the clock at the same moment: one of them decides. */
static void test_of_an_event_and_the_clock_one_decides(void **state)
{
    unsigned by_clock = 0;

    (void)state;
    for (int64_t at = -15; at <= 15; at++) {
        struct clock_rig *r = setup();
        clock_rig_up(r);
        uint64_t a = clock_rig_event(r, "order", "a");
        clock_rig_pass(r, clock_rig_row(r, a)->next_ms - clock_wall_ms() + at);
        uint64_t low = clock_rig_event(r, "risk", "a low");
        clock_rig_pass(r, SEC);
        if (clock_rig_moved(r, a, "clock")) {
            by_clock++;
            CHECK_EQ(clock_rig_row(r, a)->state, DS_DEAD);
            CHECK_EQ(r->delivers, 0);
        } else {
            is_by(r, a, DS_READY, low);
            CHECK_EQ(clock_rig_row(r, a)->state, DS_DELIVERED);
            CHECK_EQ(r->delivers, 1);
        }
        clock_rig_finish(r);
    }
    CHECK(by_clock > 5 && by_clock < 26);
}

/* The release, its effect, and the end of the process at each commit between. */
static void test_a_crash_at_any_commit_loses_no_release_and_doubles_none(void **state)
{
    (void)state;
    for (uint64_t commits = 1; commits <= 5; commits++) {
        struct clock_rig *r = setup();
        clock_rig_up(r);
        uint64_t a = clock_rig_event(r, "order", "a");
        store_sim_crash_after(r->store, commits); /* the event's, its routing's, `sent`, outcome */
        clock_rig_begin_event(r, "shop", "risk", "a low");
        clock_rig_pass(r, 200);
        CHECK(r->delivers <= 1);
        clock_rig_crash(r);
        clock_rig_up(r);
        clock_rig_pass(r, 10 * SEC);
        const struct row *row = clock_rig_row(r, a);
        if (row->state == DS_HELD) /* sent, and nobody knows what came of it: that alone */
            CHECK_STR(row->hold_type.ptr, "unknown-outcome");
        else
            CHECK_EQ(row->state, DS_DELIVERED);
        CHECK(r->delivers <= 1);
        assert_non_null(clock_rig_moved(r, a, "event "));
        clock_rig_finish(r);
    }
}

static void test_a_wait_ends_with_its_topic_or_its_time_and_then_the_hold_begins(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    hold.n_until = 0;
    r->routes[0].wait = &wait;
    clock_rig_up(r);
    clock_rig_event(r, "created", "a");
    uint64_t a = clock_rig_event(r, "order", "a"); /* it came: nothing to wait for */
    CHECK_STR(clock_rig_row(r, a)->hold_type.ptr, "fraud");
    uint64_t b = clock_rig_event(r, "order", "b"), c = clock_rig_event(r, "order", "c");
    CHECK_STR(clock_rig_row(r, b)->hold_type.ptr, HOLD_WAIT_FOR);
    int64_t due = clock_rig_row(r, c)->next_ms;
    clock_rig_pass(r, 10 * SEC);
    clock_rig_event(r, "created", "b");
    clock_rig_pass(r, 50);
    CHECK_STR(clock_rig_row(r, b)->hold_type.ptr, "fraud");
    int64_t left = clock_rig_row(r, b)->next_ms - clock_wall_ms();
    CHECK(left > 2 * HOUR - SEC && left <= 2 * HOUR);
    clock_rig_crash(r);
    clock_rig_pass(r, 5 * SEC);
    clock_rig_up(r);
    clock_rig_pass(r, due - clock_wall_ms() - 1);
    CHECK_STR(clock_rig_row(r, c)->hold_type.ptr, HOLD_WAIT_FOR);
    clock_rig_pass(r, 50);
    CHECK_STR(clock_rig_row(r, c)->hold_type.ptr, "fraud");
    clock_rig_pass(r, 2 * HOUR + SEC);
    const uint64_t all[] = { a, b, c };
    for (size_t i = 0; i < 3; i++)
        CHECK_EQ(clock_rig_row(r, all[i])->state, DS_DEAD);
    CHECK_EQ(r->delivers, 0);
    clock_rig_finish(r);
}

/* A webhook comes again under another id, and what it says counts now: it did not when it came. */
static void test_a_repeated_event_ends_nothing_even_if_it_ended_nothing_before(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    hold.n_until = 0;
    clock_rig_up(r);
    clock_rig_event(r, "risk", "a at 1 low");
    uint64_t a = clock_rig_event(r, "order", "a");
    clock_rig_crash(r);
    hold.n_until = 2;
    clock_rig_up(r);
    clock_rig_event(r, "risk", "a at 1 low");
    clock_rig_pass(r, SEC);
    CHECK_EQ(r->flow->stats.same_events, 1);
    CHECK_EQ(clock_rig_row(r, a)->state, DS_HELD);
    uint64_t low = clock_rig_event(r, "risk", "a at 2 low");
    clock_rig_pass(r, SEC);
    is_by(r, a, DS_READY, low);
    CHECK_EQ(r->delivers, 1);
    clock_rig_finish(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_event_releases_rejects_or_says_nothing),
        cmocka_unit_test(test_what_came_before_counts_and_its_newest_word_holds),
        cmocka_unit_test(test_one_event_ends_all_that_waits_for_it),
        cmocka_unit_test(test_of_an_event_and_the_clock_one_decides),
        cmocka_unit_test(test_a_crash_at_any_commit_loses_no_release_and_doubles_none),
        cmocka_unit_test(test_a_wait_ends_with_its_topic_or_its_time_and_then_the_hold_begins),
        cmocka_unit_test(test_a_repeated_event_ends_nothing_even_if_it_ended_nothing_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
