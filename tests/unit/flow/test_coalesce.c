/*
 * test_coalesce.c - `coalesce`: of a route, subject and piece only the newest goes out. What races
 * with it, is refused, finds no room or ends early neither loses one nor sends two.
 */
#include "clock_rig.h"

/** "r", topic t, is paused: what it makes stays ready and was never sent. */
static struct clock_rig *setup(const char *by)
{
    static struct clock_rig r;

    clock_rig_init(&r);
    struct conf_route *route = clock_rig_route(&r, "r", "t");
    route->ordered = true;
    route->coalesce = COALESCE_SUBJECT;
    route->coalesce_by = (char *)by;
    clock_rig_up(&r);
    clock_rig_pause(&r, "r", PAUSE_BEGINS);
    return &r;
}

static void go_on(struct clock_rig *r)
{
    clock_rig_pause(r, "r", PAUSE_ENDS);
    clock_rig_pass(r, SEC);
}

/** Once, and for the sake of that one. */
static void gave_way(const struct clock_rig *r, uint64_t num, uint64_t newer)
{
    const struct told *t = clock_rig_moved(r, num, "router");
    char name[32];

    assert_non_null(t);
    CHECK_EQ(t->state, DS_SUPERSEDED);
    CHECK_EQ(clock_rig_state(r, num), DS_SUPERSEDED);
    delivery_name(newer, name);
    CHECK(strstr(t->reason, "a newer one, ") == t->reason && strstr(t->reason, name) != NULL);
}

static void test_each_of_a_subject_gives_way_to_the_next_and_other_subjects_do_not(void **state)
{
    struct clock_rig *r = setup(NULL);
    uint64_t a[4];

    (void)state;
    uint64_t b = clock_rig_event(r, "t", "b");
    for (size_t i = 0; i < 4; i++)
        a[i] = clock_rig_event(r, "t", "a");
    uint64_t none[] = { clock_rig_event(r, "t", "-"), clock_rig_event(r, "t", "-") };
    clock_rig_pass(r, SEC);
    for (size_t i = 0; i < 3; i++)
        gave_way(r, a[i], a[i + 1]);
    go_on(r);
    CHECK_EQ(clock_rig_state(r, a[3]), DS_DELIVERED);
    CHECK_EQ(clock_rig_state(r, b), DS_DELIVERED);
    CHECK_EQ(clock_rig_state(r, none[0]), DS_DELIVERED); /* about nothing that could be newer */
    CHECK_EQ(clock_rig_state(r, none[1]), DS_DELIVERED);
    CHECK_EQ(r->delivers, 4);
    clock_rig_finish(r);
}

/* ---- coalesce: { by: ... } ---- */

static void test_by_a_key_the_newest_of_each_key_goes_out(void **state)
{
    struct clock_rig *r = setup(".sku");

    (void)state;
    uint64_t x1 = clock_rig_event(r, "t", "a /x"), y1 = clock_rig_event(r, "t", "a /y");
    uint64_t x2 = clock_rig_event(r, "t", "a /x"), other = clock_rig_event(r, "t", "b /x");
    uint64_t x3 = clock_rig_event(r, "t", "a /x"), case_of_it = clock_rig_event(r, "t", "a /X");
    clock_rig_pass(r, SEC);
    gave_way(r, x1, x2);
    gave_way(r, x2, x3);
    go_on(r);
    const uint64_t sent[] = { y1, other, x3, case_of_it };
    for (size_t i = 0; i < 4; i++)
        CHECK_EQ(clock_rig_state(r, sent[i]), DS_DELIVERED);
    CHECK_VIEW(clock_rig_row(r, x3)->piece, "x");
    CHECK_EQ(r->delivers, 4);
    clock_rig_finish(r);
}

static void
test_an_event_whose_key_cannot_be_told_is_a_dead_letter_and_supersedes_none(void **state)
{
    struct clock_rig *r = setup(".sku");

    (void)state;
    uint64_t x = clock_rig_event(r, "t", "a /x"), lost = clock_rig_event(r, "t", "a");
    clock_rig_pass(r, SEC);
    CHECK_EQ(clock_rig_state(r, lost), DS_DEAD);
    CHECK_VIEW(clock_rig_row(r, lost)->reason, "map: it names no key");
    CHECK_EQ(clock_rig_state(r, x), DS_READY);
    go_on(r);
    CHECK_EQ(clock_rig_state(r, x), DS_DELIVERED);
    clock_rig_finish(r);
}

static void test_after_a_restart_the_keys_of_what_was_there_are_known(void **state)
{
    struct clock_rig *r = setup(".sku");

    (void)state;
    r->config.window = 1; /* all but the first are in the index alone */
    uint64_t y = clock_rig_event(r, "t", "a /y"), x1 = clock_rig_event(r, "t", "a /x");
    uint64_t x2 = clock_rig_event(r, "t", "a /x");
    clock_rig_crash(r);
    clock_rig_up(r);
    uint64_t x3 = clock_rig_event(r, "t", "a /x");
    go_on(r);
    clock_rig_pass(r, 10 * SEC);
    CHECK_EQ(clock_rig_state(r, x1), DS_SUPERSEDED);
    CHECK_EQ(clock_rig_state(r, x2), DS_SUPERSEDED);
    CHECK_EQ(clock_rig_state(r, x3), DS_DELIVERED);
    CHECK_EQ(clock_rig_state(r, y), DS_DELIVERED);
    CHECK_EQ(r->delivers, 2);
    clock_rig_finish(r);
}

/* ---- what goes wrong on the way ---- */

static void check_crash_after(uint64_t commits, const char *by, const char *body)
{
    struct clock_rig *r = setup(by);
    uint64_t older = clock_rig_event(r, "t", body);

    store_sim_crash_after(r->store, commits); /* the event's, its routing's with the move */
    clock_rig_begin_event(r, "shop", "t", body);
    clock_rig_pass(r, 200);
    CHECK_EQ(clock_rig_state(r, older), commits == 1 ? DS_READY : DS_SUPERSEDED);
    clock_rig_crash(r);
    clock_rig_up(r);
    go_on(r);
    clock_rig_pass(r, 10 * SEC);
    CHECK_EQ(clock_rig_moved(r, older, "router")->state, DS_SUPERSEDED);
    CHECK_EQ(clock_rig_state(r, older), DS_SUPERSEDED);
    CHECK_EQ(r->delivers, 1);
    clock_rig_finish(r);
}

static void test_the_end_of_the_process_leaves_the_older_one_or_the_newer_one(void **state)
{
    (void)state;
    for (uint64_t commits = 1; commits <= 3; commits++) {
        check_crash_after(commits, NULL, "a");
        check_crash_after(commits, ".sku", "a /x");
    }
}

static void test_without_room_for_the_newer_one_the_older_one_is_as_it_was(void **state)
{
    struct clock_rig *r = setup(NULL);

    (void)state;
    uint64_t older = clock_rig_event(r, "t", "a");
    clock_rig_begin_event(r, "shop", "t", "a");
    while (!r->last_event)
        world_turn(&r->w);
    uint64_t newer = delivery_num(r->last_event, 0);
    store_sim_faults(r->store, true); /* no append finds room */
    clock_rig_pass(r, 200);
    const struct delivery *d = flow_delivery(r->flow, older);
    CHECK(d && d->state == DS_READY && !d->settling && !list_empty(&d->pile_node));
    CHECK_EQ(clock_rig_state(r, newer), DS__COUNT);
    store_sim_faults(r->store, false);
    clock_rig_pass(r, 5 * SEC);
    gave_way(r, older, newer);
    go_on(r);
    CHECK_EQ(clock_rig_state(r, newer), DS_DELIVERED);
    CHECK_EQ(r->delivers, 1);
    clock_rig_finish(r);
}

/* Its own event, under another sender's id: nothing is made, and nothing is superseded. */
static void test_the_same_event_again_supersedes_nothing(void **state)
{
    struct clock_rig *r = setup(NULL);

    (void)state;
    uint64_t first = clock_rig_event(r, "t", "a at 5");
    uint64_t again = clock_rig_event(r, "t", "a at 5");
    clock_rig_pass(r, SEC);
    CHECK_EQ(r->flow->stats.same_events, 1);
    CHECK_EQ(clock_rig_state(r, again), DS__COUNT);
    CHECK_EQ(clock_rig_state(r, first), DS_READY);
    CHECK(!flow_delivery(r->flow, first)->settling);
    go_on(r);
    CHECK_EQ(clock_rig_state(r, first), DS_DELIVERED);
    CHECK_EQ(r->delivers, 1);
    clock_rig_finish(r);
}

/* The older one is discarded while the newer one is made: one of the two ends it, once. */
static void test_of_a_person_and_a_newer_one_one_ends_it(void **state)
{
    unsigned discarded = 0;

    (void)state;
    for (int64_t ahead = 0; ahead <= 16; ahead++) {
        struct clock_rig *r = setup(NULL);
        uint64_t older = clock_rig_event(r, "t", "a");
        clock_rig_begin_event(r, "shop", "t", "a");
        if (ahead)
            clock_rig_pass(r, ahead);
        int said = clock_rig_decide(r, DECISION_DISCARD, older, NULL);
        clock_rig_pass(r, SEC);
        go_on(r);
        uint64_t newer = delivery_num(r->last_event, 0);
        if (said == 0) {
            discarded++;
            CHECK_EQ(clock_rig_state(r, older), DS_DISCARDED);
            assert_null(clock_rig_moved(r, older, "router"));
        } else {
            gave_way(r, older, newer);
        }
        CHECK_EQ(clock_rig_state(r, newer), DS_DELIVERED);
        CHECK_EQ(r->delivers, 1);
        clock_rig_finish(r);
    }
    CHECK(discarded > 0 && discarded < 17);
}

/* Moved by a person where it could not be touched: it is superseded as it comes to its gate. */
static void test_what_was_being_decided_upon_gives_way_once_it_is_free(void **state)
{
    struct clock_rig *r = setup(NULL);

    (void)state;
    uint64_t older = clock_rig_event(r, "t", "a");
    struct delivery *d = flow_delivery(r->flow, older);
    d->deciding = true; /* somebody's answer is not there yet */
    lane_place(d);
    uint64_t newer = clock_rig_event(r, "t", "a");
    clock_rig_pass(r, SEC);
    CHECK_EQ(clock_rig_state(r, older), DS_READY);
    d->deciding = false; /* refused, say */
    lane_place(d);
    clock_rig_pass(r, SEC);
    gave_way(r, older, newer);
    go_on(r);
    CHECK_EQ(clock_rig_state(r, newer), DS_DELIVERED);
    CHECK_EQ(r->delivers, 1);
    clock_rig_finish(r);
}

/* It was not to be sent before, so nothing had to give way to it. */
static void test_a_newer_one_that_is_held_supersedes_when_it_is_released(void **state)
{
    static struct conf_hold hold = { .type = "approval" };

    (void)state;
    for (int released = 0; released <= 1; released++) {
        struct clock_rig *r = setup(NULL);
        uint64_t older = clock_rig_event(r, "t", "a");
        r->routes[0].hold = &hold;
        r->config.n_holds = 1;
        uint64_t held = clock_rig_event(r, "t", "a");
        clock_rig_pass(r, SEC);
        CHECK_EQ(clock_rig_state(r, older), DS_READY);
        CHECK_EQ(clock_rig_state(r, held), DS_HELD);
        CHECK_EQ(clock_rig_decide(r, released ? DECISION_RELEASE : DECISION_REJECT, held, NULL), 0);
        clock_rig_pass(r, SEC);
        if (released)
            gave_way(r, older, held);
        go_on(r);
        CHECK_EQ(clock_rig_state(r, released ? held : older), DS_DELIVERED);
        CHECK_EQ(r->delivers, 1);
        clock_rig_finish(r);
    }
}

/* Sent in vain, dead, replayed: it had its turn before what came since, and goes before it. */
static void test_what_is_sent_again_is_as_old_as_it_is(void **state)
{
    struct clock_rig *r = setup(NULL);

    (void)state;
    r->kind = SL_REJECTED;
    clock_rig_pause(r, "r", PAUSE_ENDS);
    uint64_t dead = clock_rig_event(r, "t", "a");
    clock_rig_pass(r, SEC);
    CHECK_EQ(clock_rig_state(r, dead), DS_DEAD);
    clock_rig_pause(r, "r", PAUSE_BEGINS);
    uint64_t newer = clock_rig_event(r, "t", "a");
    CHECK_EQ(clock_rig_decide(r, DECISION_REPLAY, dead, NULL), 0);
    clock_rig_pass(r, SEC);
    CHECK_EQ(clock_rig_state(r, newer), DS_READY);
    r->kind = SL_DELIVERED;
    go_on(r);
    CHECK_EQ(clock_rig_state(r, newer), DS_DELIVERED);
    CHECK(clock_rig_state(r, dead) == DS_SUPERSEDED || clock_rig_state(r, dead) == DS_DELIVERED);
    clock_rig_finish(r);
}

/* With the newest gone, the one that was left is the newest again. */
static void test_what_is_discarded_makes_nobody_give_way(void **state)
{
    struct clock_rig *r = setup(NULL);

    (void)state;
    uint64_t older = clock_rig_event(r, "t", "a");
    struct delivery *d = flow_delivery(r->flow, older);
    d->deciding = true;
    lane_place(d);
    uint64_t newer = clock_rig_event(r, "t", "a");
    CHECK_EQ(clock_rig_decide(r, DECISION_DISCARD, newer, NULL), 0);
    d->deciding = false;
    lane_place(d);
    go_on(r);
    CHECK_EQ(clock_rig_state(r, older), DS_DELIVERED);
    CHECK_EQ(clock_rig_state(r, newer), DS_DISCARDED);
    clock_rig_finish(r);
}

static void test_what_was_sent_is_never_taken_back_and_the_newest_follows_it(void **state)
{
    struct clock_rig *r = setup(NULL);

    (void)state;
    r->kind = SL_RETRY;
    uint64_t sent = clock_rig_event(r, "t", "a");
    clock_rig_pause(r, "r", PAUSE_ENDS);
    clock_rig_pass(r, 200);
    CHECK_EQ(clock_rig_state(r, sent), DS_WAITING);
    uint64_t between = clock_rig_event(r, "t", "a"), newest = clock_rig_event(r, "t", "a");
    clock_rig_pass(r, 100);
    CHECK(clock_rig_state(r, sent) != DS_SUPERSEDED);
    gave_way(r, between, newest);
    clock_rig_crash(r); /* what is read back was sent all the same */
    clock_rig_up(r);
    r->kind = SL_DELIVERED;
    clock_rig_pass(r, 10 * SEC);
    CHECK_EQ(clock_rig_state(r, sent), DS_DELIVERED);
    CHECK_EQ(clock_rig_state(r, newest), DS_DELIVERED);
    clock_rig_finish(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_of_a_subject_gives_way_to_the_next_and_other_subjects_do_not),
        cmocka_unit_test(test_by_a_key_the_newest_of_each_key_goes_out),
        cmocka_unit_test(
            test_an_event_whose_key_cannot_be_told_is_a_dead_letter_and_supersedes_none),
        cmocka_unit_test(test_after_a_restart_the_keys_of_what_was_there_are_known),
        cmocka_unit_test(test_the_end_of_the_process_leaves_the_older_one_or_the_newer_one),
        cmocka_unit_test(test_without_room_for_the_newer_one_the_older_one_is_as_it_was),
        cmocka_unit_test(test_the_same_event_again_supersedes_nothing),
        cmocka_unit_test(test_of_a_person_and_a_newer_one_one_ends_it),
        cmocka_unit_test(test_what_was_being_decided_upon_gives_way_once_it_is_free),
        cmocka_unit_test(test_a_newer_one_that_is_held_supersedes_when_it_is_released),
        cmocka_unit_test(test_what_is_sent_again_is_as_old_as_it_is),
        cmocka_unit_test(test_what_is_discarded_makes_nobody_give_way),
        cmocka_unit_test(test_what_was_sent_is_never_taken_back_and_the_newest_follows_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
