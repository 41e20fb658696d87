/*
 * test_after.c - `after`: what goes before a delivery of the same event, beside what that waits for
 * by itself, and over the end of the process.
 */
#include "clock_rig.h"

#include "flow/order.h"

enum { BEFORE, AFTER };

/** "after", topic t, goes after "before". */
static struct clock_rig *setup(void)
{
    static struct clock_rig r;
    static struct conf_route *before[1];

    clock_rig_init(&r);
    before[0] = clock_rig_route(&r, "before", "t");
    struct conf_route *after = clock_rig_route(&r, "after", "t");
    route_waits(after, before);
    return &r;
}

/* ---- the rule alone ---- */

static struct conf_route routes[4] = {
    { .name = "a" }, { .name = "b" }, { .name = "c" }, { .name = "d" }
};

/** Which of these rows, each of one route, is in the way of one of route d; 0: none. */
static unsigned in_the_way(struct conf_route *const *after, size_t n_after,
                           const struct conf_route *const *of, const enum delivery_state *states,
                           size_t n)
{
    struct gate_row rows[4];
    struct gate g = { .kind = GATE_AFTER, .known = true, .rows = rows, .n_rows = n };
    struct delivery d = { .route = &routes[3] };

    routes[3].after = (struct conf_route **)after;
    routes[3].n_after = n_after;
    for (size_t i = 0; i < n; i++)
        rows[i] = (struct gate_row){ .num = delivery_num(7, (unsigned)i + 1),
                                     .route = of[i],
                                     .state = (uint8_t)states[i] };
    const struct gate_row *row = after_in_the_way(&g, &d);
    CHECK_EQ(after_judge(&g, &d), row ? GATE_STAY : GATE_GO);
    return row ? delivery_ordinal(row->num) : 0;
}

static void
test_what_is_dead_or_not_over_goes_before_and_what_is_out_of_the_way_does_not(void **state)
{
    static const bool waited_for[DS__COUNT] = {
        [DS_READY] = true,   [DS_INFLIGHT] = true, [DS_WAITING] = true, [DS_PARKED] = true,
        [DS_UNKNOWN] = true, [DS_HELD] = true,     [DS_DEAD] = true,
    };
    struct conf_route *const after[] = { &routes[0] };
    const struct conf_route *const own[] = { &routes[0] }, *const other[] = { &routes[1] };

    (void)state;
    for (int s = 0; s < DS__COUNT; s++) {
        enum delivery_state states[] = { (enum delivery_state)s };
        CHECK_EQ(in_the_way(after, 1, own, states, 1), waited_for[s]);
        CHECK_EQ(in_the_way(after, 1, other, states, 1), 0);
    }
    CHECK_EQ(in_the_way(after, 1, NULL, NULL, 0), 0); /* nothing was made */
}

static void test_of_several_each_goes_before_and_so_does_what_stands_in_for_one(void **state)
{
    struct conf_route *const both[] = { &routes[0], &routes[1] };
    struct conf_route again = { .name = "a" }; /* of another configuration */
    const struct conf_route *const of[] = { &routes[0], &routes[1], &routes[2] };
    const struct conf_route *const renamed[] = { &again }, *const gone[] = { NULL };
    const enum delivery_state done[] = { DS_DELIVERED, DS_DELIVERED, DS_READY };
    const enum delivery_state second[] = { DS_DELIVERED, DS_READY, DS_READY };
    const enum delivery_state fell[] = { DS_SUPERSEDED, DS_DELIVERED, DS_READY };

    (void)state;
    CHECK_EQ(in_the_way(both, 2, of, done, 3), 0);
    CHECK_EQ(in_the_way(both, 2, of, second, 3), 2);
    CHECK_EQ(in_the_way(both, 2, renamed, second + 1, 1), 1);
    CHECK_EQ(in_the_way(both, 2, gone, second + 1, 1), 0);
    routes[0].fallback_route = &routes[2];
    CHECK_EQ(in_the_way(both, 2, of, fell, 3), 3);
    CHECK_EQ(in_the_way(both + 1, 1, of, fell, 3), 0); /* which it is not after */
    routes[0].fallback_route = NULL;
}

/* ---- with what it waits for by itself ---- */

static void test_one_that_waits_for_an_event_as_well_goes_when_both_are_over(void **state)
{
    static char *created[] = { "created" };
    static struct conf_hold wait = {
        .type = HOLD_WAIT_FOR, .until = created, .n_until = 1, .for_ms = HOUR, .then = HOLD_RELEASE
    };

    (void)state;
    for (int event_first = 0; event_first <= 1; event_first++) {
        struct clock_rig *r = setup();
        r->routes[AFTER].wait = &wait;
        r->config.n_holds = 1;
        r->kind = SL_REJECTED;
        clock_rig_up(r);
        uint64_t before = clock_rig_event(r, "t", "a"), after = before + 1;
        clock_rig_pass(r, SEC);
        CHECK_EQ(clock_rig_state(r, before), DS_DEAD);
        CHECK_EQ(clock_rig_state(r, after), DS_HELD);
        r->kind = SL_DELIVERED;
        for (int step = 0; step < 2; step++) {
            CHECK(clock_rig_state(r, after) != DS_DELIVERED);
            if (step == !event_first)
                clock_rig_event(r, "created", "a");
            else
                CHECK_EQ(clock_rig_decide(r, DECISION_REPLAY, before, NULL), 0);
            clock_rig_pass(r, SEC);
        }
        CHECK_EQ(clock_rig_state(r, before), DS_DELIVERED);
        CHECK_EQ(clock_rig_state(r, after), DS_DELIVERED);
        CHECK_EQ(r->delivers, 3);
        clock_rig_finish(r);
    }
}

/* ---- whenever the process ends ---- */

static void test_the_end_of_the_process_at_any_commit_lets_nothing_go_too_early(void **state)
{
    unsigned unknown = 0;

    (void)state;
    for (uint64_t commits = 1; commits <= 6; commits++) {
        struct clock_rig *r = setup();
        clock_rig_up(r);
        store_sim_crash_after(r->store,
                              commits); /* event, routing, then sent and outcome of each */
        clock_rig_begin_event(r, "shop", "t", "a");
        clock_rig_pass(r, 200);
        clock_rig_crash(r);
        clock_rig_up(r);
        clock_rig_pass(r, 10 * SEC);
        const struct tables *t = store_sim_tables(r->store);
        CHECK_EQ(t->n_rows, 2);
        uint64_t before = t->rows[0]->num, after = t->rows[1]->num;
        CHECK_VIEW(t->rows[0]->route, "before");
        if (clock_rig_state(r, before) == DS_HELD) { /* sent, and nobody knows what came of it */
            unknown++;
            CHECK_EQ(clock_rig_state(r, after), DS_READY);
            CHECK_EQ(t->rows[1]->first_sent_ms, 0);
            CHECK_EQ(clock_rig_decide(r, DECISION_ARRIVED, before, NULL), 0);
            clock_rig_pass(r, SEC);
        }
        CHECK_EQ(clock_rig_state(r, before), DS_DELIVERED);
        CHECK(clock_rig_state(r, after) == DS_DELIVERED || clock_rig_state(r, after) == DS_HELD);
        CHECK(r->delivers <= 2);
        CHECK(!r->flow->gates);
        clock_rig_finish(r);
    }
    CHECK_EQ(unknown, 1);
}

static void test_each_event_has_its_own_before_and_after(void **state)
{
    struct clock_rig *r = setup();
    char want[80] = "";

    (void)state;
    clock_rig_up(r);
    for (int i = 0; i < 3; i++) {
        uint64_t num = clock_rig_event(r, "t", "a");
        char name[32];
        for (unsigned k = 0; k < 2; k++) {
            delivery_name(num + k, name);
            strcat(strcat(want, name), " ");
        }
        clock_rig_pass(r, SEC);
    }
    CHECK_STR(r->log, want);
    clock_rig_finish(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_what_is_dead_or_not_over_goes_before_and_what_is_out_of_the_way_does_not),
        cmocka_unit_test(test_of_several_each_goes_before_and_so_does_what_stands_in_for_one),
        cmocka_unit_test(test_one_that_waits_for_an_event_as_well_goes_when_both_are_over),
        cmocka_unit_test(test_the_end_of_the_process_at_any_commit_lets_nothing_go_too_early),
        cmocka_unit_test(test_each_event_has_its_own_before_and_after),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
