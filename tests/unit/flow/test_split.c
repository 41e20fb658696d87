/*
 * test_split.c - what a split gives: each piece has a name of its own, and so a delivery of its
 * own, also where the program gives one key twice.
 */
#include "clock_rig.h"

static struct clock_rig *setup(void)
{
    static struct clock_rig r;

    clock_rig_init(&r);
    struct conf_route *route = clock_rig_route(&r, "r", "t");
    route->split = (char *)".lines[]";
    route->ordered = route->once = true;
    clock_rig_up(&r);
    return &r;
}

/** The i-th delivery of an event: its piece, and what became of it. No two have one id. */
static const struct row *check_piece(const struct clock_rig *r, uint64_t first, unsigned i,
                                     const char *piece, enum delivery_state state)
{
    const struct row *row = clock_rig_row(r, first + i);

    assert_non_null(row);
    CHECK_VIEW(row->piece, piece);
    CHECK_EQ(row->state, state);
    for (unsigned k = 0; k < i; k++)
        CHECK(memcmp(row->id, clock_rig_row(r, first + k)->id, sizeof(row->id)) != 0);
    return row;
}

static void test_a_key_that_comes_twice_is_sent_once_and_seen_as_a_dead_letter(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    uint64_t num = clock_rig_event(r, "t", "a /x/y/x/x");
    clock_rig_pass(r, SEC);
    check_piece(r, num, 0, "x", DS_DELIVERED);
    check_piece(r, num, 1, "y", DS_DELIVERED);
    const struct row *second = check_piece(r, num, 2, "x (2)", DS_DEAD);
    CHECK_VIEW(second->reason, "split gave two pieces of the key x");
    const struct row *third = check_piece(r, num, 3, "x (3)", DS_DEAD);
    CHECK_VIEW(third->reason, "split gave two pieces of the key x");
    assert_null(clock_rig_row(r, num + 4));
    CHECK_EQ(r->delivers, 2);
    clock_rig_finish(r);
}

static void test_a_key_that_looks_like_a_second_one_is_no_ones_name_but_its_own(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    uint64_t num = clock_rig_event(r, "t", "a /x (2)/x/x");
    clock_rig_pass(r, SEC);
    check_piece(r, num, 0, "x (2)", DS_DELIVERED);
    check_piece(r, num, 1, "x", DS_DELIVERED);
    check_piece(r, num, 2, "x (3)", DS_DEAD);
    num = clock_rig_event(r, "t", "b /x/x/x (2)");
    clock_rig_pass(r, SEC);
    check_piece(r, num, 0, "x", DS_DELIVERED);
    check_piece(r, num, 1, "x (2)", DS_DEAD);
    const struct row *real = check_piece(r, num, 2, "x (2) (2)", DS_DEAD); /* and is not lost */
    CHECK_VIEW(real->reason, "split gave two pieces of the key x (2)");
    clock_rig_finish(r);
}

static void test_two_routes_may_give_the_same_key(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    clock_rig_crash(r);
    clock_rig_route(r, "second", "t")->split = (char *)".lines[]";
    clock_rig_up(r);
    uint64_t num = clock_rig_event(r, "t", "a /x");
    clock_rig_pass(r, SEC);
    check_piece(r, num, 0, "x", DS_DELIVERED);
    check_piece(r, num, 1, "x", DS_DELIVERED);
    clock_rig_finish(r);
}

/* The same pieces by the same names: nothing is made twice, nothing is sent twice. */
static void test_the_end_of_the_process_in_between_makes_the_same_pieces(void **state)
{
    (void)state;
    for (uint64_t commits = 1; commits <= 4; commits++) {
        struct clock_rig *r = setup();
        store_sim_crash_after(r->store, commits);
        clock_rig_begin_event(r, "shop", "t", "a /x/x");
        clock_rig_pass(r, 200);
        clock_rig_crash(r);
        clock_rig_up(r);
        clock_rig_pass(r, 10 * SEC);
        const struct tables *t = store_sim_tables(r->store);
        CHECK_EQ(t->n_rows, 2);
        CHECK_VIEW(t->rows[0]->piece, "x");
        CHECK_VIEW(t->rows[1]->piece, "x (2)");
        CHECK_EQ(t->rows[1]->state, DS_DEAD);
        CHECK(r->delivers <= 1);
        CHECK(t->rows[0]->state == DS_DELIVERED || t->rows[0]->state == DS_HELD);
        clock_rig_finish(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_that_comes_twice_is_sent_once_and_seen_as_a_dead_letter),
        cmocka_unit_test(test_a_key_that_looks_like_a_second_one_is_no_ones_name_but_its_own),
        cmocka_unit_test(test_two_routes_may_give_the_same_key),
        cmocka_unit_test(test_the_end_of_the_process_in_between_makes_the_same_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
