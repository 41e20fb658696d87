/*
 * test_due.c - the one clock of all that waits for a time: what is held with a clock is decided
 * then, to the second, whatever happens meanwhile.
 */
#include "../../sim/store_query.h"
#include "clock_rig.h"

#include "flow/due.h"

static struct conf_hold hold = { .type = "fraud", .for_ms = HOUR, .then = HOLD_REJECT };

static struct clock_rig *setup(void)
{
    static struct clock_rig r;

    clock_rig_init(&r);
    clock_rig_route(&r, "held", "t")->hold = &hold;
    r.config.n_holds = 1;
    clock_rig_up(&r);
    return &r;
}

/** Decided by its clock, once, at its time and less than `late_ms` after. */
static void in_time(const struct clock_rig *r, uint64_t num, int64_t due_ms, int64_t late_ms)
{
    const struct told *t = clock_rig_moved(r, num, "clock");

    assert_non_null(t);
    CHECK_EQ(t->state, DS_DEAD);
    CHECK(t->at_ms >= due_ms);
    CHECK(t->at_ms - due_ms < late_ms);
}

static void test_each_clock_runs_out_at_its_time_to_the_millisecond(void **state)
{
    struct clock_rig *r = setup();
    uint64_t nums[20];
    int64_t due[20];

    (void)state;
    for (size_t i = 0; i < 20; i++) {
        nums[i] = clock_rig_event(r, "t", "a");
        due[i] = clock_rig_row(r, nums[i])->next_ms;
        CHECK(due[i] > clock_wall_ms() + HOUR - SEC);
        clock_rig_pass(r, (int64_t)(17 * i * i));
    }
    clock_rig_pass(r, due[0] - clock_wall_ms() - 1);
    CHECK_EQ(clock_rig_row(r, nums[0])->state, DS_HELD);
    clock_rig_pass(r, due[19] - due[0] + SEC);
    for (size_t i = 0; i < 20; i++)
        in_time(r, nums[i], due[i], 30); /* what the store takes for it */
    clock_rig_finish(r);
}

static void test_a_restart_in_the_middle_loses_none_and_what_ran_out_meanwhile_is_seen(void **state)
{
    struct clock_rig *r = setup();
    uint64_t nums[3];
    int64_t due[3];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        nums[i] = clock_rig_event(r, "t", "a");
        due[i] = clock_rig_row(r, nums[i])->next_ms;
        clock_rig_pass(r, 10 * 60 * SEC);
    }
    clock_rig_crash(r); /* half an hour has passed */
    clock_rig_pass(r, 5 * 60 * SEC);
    clock_rig_up(r);
    for (size_t i = 0; i < 3; i++)
        CHECK_EQ(clock_rig_row(r, nums[i])->state, DS_HELD);
    clock_rig_pass(r, due[0] - clock_wall_ms() + SEC);
    in_time(r, nums[0], due[0], 30);
    clock_rig_crash(r);
    clock_rig_pass(r, 11 * 60 * SEC); /* the second runs out while nothing lives */
    int64_t started = clock_wall_ms();
    clock_rig_up(r);
    clock_rig_pass(r, SEC);
    in_time(r, nums[1], started, SEC);
    CHECK_EQ(clock_rig_row(r, nums[2])->state, DS_HELD);
    clock_rig_pass(r, due[2] - clock_wall_ms() + SEC);
    in_time(r, nums[2], due[2], 30);
    clock_rig_finish(r);
}

static void test_a_clock_that_goes_back_ends_nothing_early_and_nothing_twice(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    uint64_t first = clock_rig_event(r, "t", "a");
    int64_t due = clock_rig_row(r, first)->next_ms;
    clock_rig_pass(r, HOUR - 5 * SEC);
    world_set_wall(-2 * HOUR);
    clock_rig_pass(r, 10 * SEC);
    CHECK_EQ(clock_rig_row(r, first)->state, DS_HELD); /* its time is two hours away again */
    uint64_t next = clock_rig_event(r, "t", "b");      /* and this one's comes before */
    int64_t due_next = clock_rig_row(r, next)->next_ms;
    CHECK(due_next < due);
    clock_rig_pass(r, due_next - clock_wall_ms() + SEC);
    in_time(r, next, due_next, 30);
    CHECK_EQ(clock_rig_row(r, first)->state, DS_HELD);
    clock_rig_pass(r, due - clock_wall_ms() + SEC);
    in_time(r, first, due, 30);
    world_set_wall(-2 * HOUR);
    clock_rig_pass(r, 3 * HOUR);
    in_time(r, first, due, 30);
    clock_rig_finish(r);
}

static void test_a_clock_that_is_set_forward_is_noticed_within_a_second(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    uint64_t num = clock_rig_event(r, "t", "a");
    int64_t due = clock_rig_row(r, num)->next_ms;
    world_set_wall(2 * HOUR);
    int64_t set = clock_wall_ms();
    CHECK(set > due);
    clock_rig_pass(r, 2 * SEC);
    in_time(r, num, set, SEC + 30);
    clock_rig_finish(r);
}

static void test_one_that_is_busy_as_its_time_comes_keeps_no_other_waiting(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    uint64_t busy = clock_rig_event(r, "t", "a"), other = clock_rig_event(r, "t", "b");
    flow_delivery(r->flow, busy)->settling = true; /* a remote is asked about it, say */
    world_set_wall(2 * HOUR);                      /* both ring at once */
    int64_t set = clock_wall_ms();
    clock_rig_pass(r, 5 * SEC);
    in_time(r, other, set, SEC + 30);
    CHECK_EQ(clock_rig_row(r, busy)->state, DS_HELD);
    int64_t free_again = clock_wall_ms();
    flow_delivery(r->flow, busy)->settling = false;
    clock_rig_pass(r, SEC);
    in_time(r, busy, free_again, 100);
    clock_rig_finish(r);
}

static void test_what_is_set_anew_runs_by_its_new_time_alone(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    hold.then = HOLD_ESCALATE;
    uint64_t num = clock_rig_event(r, "t", "a");
    int64_t due = clock_rig_row(r, num)->next_ms;
    clock_rig_pass(r, HOUR + SEC);
    const struct told *t = clock_rig_moved(r, num, "clock");
    assert_non_null(t);
    CHECK_EQ(t->state, DS_HELD);
    CHECK(clock_rig_row(r, num)->next_ms >= due + HOUR);
    CHECK(clock_rig_row(r, num)->next_ms < due + HOUR + 30);
    clock_rig_crash(r); /* it is read again, and has not run out again */
    clock_rig_up(r);
    clock_rig_pass(r, 30 * 60 * SEC);
    CHECK_EQ(r->n_moves, 1);
    clock_rig_pass(r, 31 * 60 * SEC);
    CHECK_EQ(r->n_moves, 2);
    hold.then = HOLD_REJECT;
    clock_rig_finish(r);
}

static void test_more_than_memory_holds_are_found_as_their_time_comes(void **state)
{
    struct clock_rig *r = setup();
    enum { N = 4700 };
    static uint64_t nums[N];
    static int64_t due[N];
    size_t most = 0;

    (void)state;
    for (size_t i = 0; i < N; i++) {
        nums[i] = clock_rig_event(r, "t", "-");
        due[i] = clock_rig_row(r, nums[i])->next_ms;
        if (r->flow->due.heap.n > most)
            most = r->flow->due.heap.n;
    }
    CHECK(due[N - 1] < due[0] + HOUR);
    while (clock_wall_ms() < due[N - 1] + SEC) {
        clock_rig_pass(r, 10 * SEC);
        if (r->flow->due.heap.n > most)
            most = r->flow->due.heap.n;
    }
    CHECK(most <= 4097);
    for (size_t i = 0; i < N; i++) {
        const struct row *row = clock_rig_row(r, nums[i]);
        CHECK_EQ(row->state, DS_DEAD);
        CHECK(row->moved_ms - (due[i] - (clock_wall_ms() - world_now())) < SEC);
        CHECK(row->moved_ms >= due[i] - (clock_wall_ms() - world_now()));
    }
    CHECK_EQ(r->n_moves, N);
    clock_rig_finish(r);
}

static void test_a_store_that_takes_nothing_is_asked_at_a_pace_and_nothing_is_lost(void **state)
{
    struct clock_rig *r = setup();
    uint64_t nums[600];

    (void)state;
    for (size_t i = 0; i < 600; i++) /* more than a page */
        nums[i] = clock_rig_event(r, "t", "-");
    int64_t first = clock_rig_row(r, nums[0])->next_ms;
    clock_rig_crash(r); /* so that it knows of a page alone */
    clock_rig_up(r);
    clock_rig_pass(r, first - clock_wall_ms() - SEC);
    store_sim_faults(r->store, true); /* all appends find it full */
    uint64_t before = r->w.ordered;
    clock_rig_pass(r, 20 * SEC);
    CHECK_EQ(r->n_moves, 0);
    /* steps of the store: each is read and tried once a second, and not without a rest */
    CHECK(r->w.ordered - before > 18000);
    CHECK(r->w.ordered - before < 35000);
    store_sim_faults(r->store, false);
    int64_t better = clock_wall_ms();
    clock_rig_pass(r, 10 * SEC);
    for (size_t i = 0; i < 600; i++)
        in_time(r, nums[i], better, 3 * SEC);
    clock_rig_finish(r);
}

static void test_what_is_looked_at_again_needs_nothing_else_to_be_due(void **state)
{
    struct clock_rig *r = setup();
    uint64_t gone = delivery_num(999, 0);

    (void)state;
    clock_rig_pass(r, SEC);
    due_again(r->flow, false, gone, clock_wall_ms(), 500);
    CHECK_EQ(r->flow->due.again, 1);
    clock_rig_pass(r, 499);
    CHECK_EQ(r->flow->due.again, 1);
    clock_rig_pass(r, SEC);
    CHECK_EQ(r->flow->due.again, 0);
    CHECK_EQ(r->flow->due.heap.n, 0);
    clock_rig_finish(r);
}

/** When it got into this state; fails if it never did. */
static int64_t moved_at(const struct clock_rig *r, uint64_t num, enum delivery_state state)
{
    for (size_t i = 0; i < r->n_moves; i++)
        if (r->moves[i].num == num && r->moves[i].state == (uint8_t)state)
            return r->moves[i].at_ms;
    fail_msg("%llu was never %s", (unsigned long long)num, delivery_state_names[state]);
    return 0;
}

/** Given up and held with a clock that has run out, until the other route has it. */
static void test_many_that_go_by_another_route_at_once_do_not_wait_for_each_other(void **state)
{
    struct clock_rig *r = setup();
    struct conf_route *a;
    uint64_t first;

    (void)state;
    clock_rig_crash(r);
    a = clock_rig_route(r, "a", "u");
    a->fallback_route = clock_rig_route(r, "b", "nothing");
    a->fallback_on = FALLBACK_REJECTED;
    r->endpoints[CRM].concurrency = 20;
    clock_rig_up(r);
    r->kind = SL_REJECTED;
    r->store->plan.slow_ms = 100;
    for (char i = 0; i < 20; i++)
        clock_rig_begin_event(r, "shop", "u", (char[]){ (char)('a' + i % 18), 0 });
    clock_rig_pass(r, 20 * SEC);
    first = r->last_event - 19;
    for (uint64_t i = 0; i < 20; i++) {
        uint64_t num = delivery_num(first + i, 0);
        int64_t held = moved_at(r, num, DS_HELD), over = moved_at(r, num, DS_SUPERSEDED);
        CHECK(over - held < 3 * SEC / 2);
        CHECK_EQ(clock_rig_row(r, num + 1)->state, DS_DEAD); /* which was given it */
    }
    clock_rig_finish(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_looked_at_again_needs_nothing_else_to_be_due),
        cmocka_unit_test(test_each_clock_runs_out_at_its_time_to_the_millisecond),
        cmocka_unit_test(
            test_a_restart_in_the_middle_loses_none_and_what_ran_out_meanwhile_is_seen),
        cmocka_unit_test(test_a_clock_that_goes_back_ends_nothing_early_and_nothing_twice),
        cmocka_unit_test(test_a_clock_that_is_set_forward_is_noticed_within_a_second),
        cmocka_unit_test(test_one_that_is_busy_as_its_time_comes_keeps_no_other_waiting),
        cmocka_unit_test(test_what_is_set_anew_runs_by_its_new_time_alone),
        cmocka_unit_test(test_more_than_memory_holds_are_found_as_their_time_comes),
        cmocka_unit_test(test_a_store_that_takes_nothing_is_asked_at_a_pace_and_nothing_is_lost),
        cmocka_unit_test(test_many_that_go_by_another_route_at_once_do_not_wait_for_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
