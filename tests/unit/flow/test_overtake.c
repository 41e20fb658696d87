/*
 * test_overtake.c - a cancel, or a change, and the order it overtakes: what it waits for, what it
 * closes or amends, and that there are both or neither, whenever the process ends.
 */
#include "clock_rig.h"

#include "flow/order.h"
#include "store/restore.h"

enum { ORDER, CANCEL };

static struct conf_hold hold;

/** "cancel", topic u, overtakes "order", topic t, whose deliveries are held for a person. */
static struct clock_rig *setup(void)
{
    static struct clock_rig r;

    hold = (struct conf_hold){ .type = "fraud" };
    clock_rig_init(&r);
    struct conf_route *order = clock_rig_route(&r, "order", "t");
    struct conf_route *cancel = clock_rig_route(&r, "cancel", "u");
    order->hold = &hold;
    order->ordered = order->overtaken = cancel->ordered = true;
    cancel->overtakes = order;
    r.config.n_holds = 1;
    return &r;
}

/* ---- the rules alone: a gate's rows, and one that waits there ---- */

static struct gate_row rows[4];
static struct gate gate;

/** The gate of the cancels of subject "a", which knows these rows. */
static void gate_of(struct clock_rig *r, size_t n)
{
    gate = (struct gate){
        .kind = GATE_OVERTAKE, .flow = r->flow, .known = true, .rows = rows, .n_rows = n
    };
}

static void row_of(size_t i, unsigned event, enum delivery_state state, const char *piece)
{
    rows[i] = (struct gate_row){ .num = delivery_num(event, 0),
                                 .state = (uint8_t)state,
                                 .piece = (char *)piece };
}

/** One of route "cancel" that is in no lane: it is judged, and goes nowhere. */
static struct delivery *waiter(struct clock_rig *r, unsigned event, const char *piece)
{
    struct delivery *d = mem_zero(sizeof(*d));

    d->num = delivery_num(event, 0);
    d->state = DS_READY;
    d->route = &r->routes[CANCEL];
    d->lane = r->flow->lanes[CRM];
    d->subject = mem_str("a");
    d->piece = mem_str(piece);
    list_init(&d->passed_node);
    list_init(&d->pile_node);
    return d;
}

/** The event of what it waits for; 0: nothing is in its way. */
static uint64_t in_the_way(const struct delivery *d)
{
    const struct gate_row *row = overtake_in_the_way(&gate, d);

    return row ? delivery_event(row->num) : 0;
}

static void test_it_waits_for_what_is_older_and_live_and_for_nothing_else(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    clock_rig_up(r);
    struct delivery *d = waiter(r, 500, "");
    gate_of(r, 1);
    for (int s = 0; s < DS__COUNT; s++) { /* none is in memory: held ones neither */
        row_of(0, 499, (enum delivery_state)s, "");
        CHECK_EQ(in_the_way(d), delivery_state_final((enum delivery_state)s) ? 0 : 499);
        row_of(0, 501, (enum delivery_state)s, "");
        CHECK_EQ(in_the_way(d), 0);
    }
    delivery_free(d);
    clock_rig_finish(r);
}

static void test_what_is_held_is_closed_unless_it_was_sent_or_somebody_is_at_it(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    clock_rig_up(r);
    uint64_t num = clock_rig_event(r, "t", "a");
    clock_rig_pass(r, SEC);
    unsigned event = (unsigned)delivery_event(num);
    struct delivery *held = flow_delivery(r->flow, num), *d = waiter(r, event + 9, "");
    gate_of(r, 1);
    row_of(0, event, DS_HELD, "");
    CHECK_EQ(in_the_way(d), 0);
    held->settling = true;
    CHECK_EQ(in_the_way(d), event);
    CHECK(overtake_busy(&gate));
    held->settling = false;
    held->deciding = true;
    CHECK_EQ(in_the_way(d), event);
    held->deciding = false;
    CHECK(!overtake_busy(&gate));
    held->attempts = 1;
    CHECK_EQ(in_the_way(d), event);
    held->attempts = 0;
    held->doubt = true;
    CHECK_EQ(in_the_way(d), event);
    held->doubt = false;
    rows[0].sent = true; /* by a process before */
    CHECK_EQ(in_the_way(d), event);
    rows[0].sent = false;
    held->state = DS_READY; /* released: memory knows it before the store says so */
    CHECK_EQ(in_the_way(d), event);
    CHECK_EQ(overtake_judge(&gate, d), GATE_STAY);
    held->state = DS_HELD;
    delivery_free(d);
    clock_rig_finish(r);
}

static void test_a_piece_is_about_its_own_and_a_whole_is_about_all(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    clock_rig_up(r);
    struct delivery *x = waiter(r, 500, "x"), *whole = waiter(r, 500, "");
    gate_of(r, 1);
    row_of(0, 400, DS_READY, "y");
    CHECK_EQ(in_the_way(x), 0);
    CHECK_EQ(in_the_way(whole), 400);
    row_of(0, 400, DS_READY, "");
    CHECK_EQ(in_the_way(x), 400);
    delivery_free(x);
    delivery_free(whole);
    clock_rig_finish(r);
}

static void
test_a_change_of_a_piece_that_is_there_is_about_it_and_a_new_one_follows_all(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    r->routes[CANCEL].overtakes_amends = true;
    clock_rig_up(r);
    struct delivery *x = waiter(r, 500, "x"), *z = waiter(r, 500, "z");
    gate_of(r, 2);
    row_of(0, 400, DS_DELIVERED, "x");
    row_of(1, 400, DS_READY, "y");
    CHECK_EQ(in_the_way(x), 0);
    CHECK_EQ(in_the_way(z), 400); /* it would pass what the order is held for */
    row_of(1, 400, DS_DEAD, "y");
    CHECK_EQ(in_the_way(z), 0);
    row_of(0, 600, DS_READY, "x"); /* which is younger, and no counterpart */
    row_of(1, 400, DS_READY, "y");
    CHECK_EQ(in_the_way(x), 400);
    delivery_free(x);
    delivery_free(z);
    clock_rig_finish(r);
}

static void test_what_a_newer_change_has_amended_is_in_no_older_ones_way(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    r->routes[CANCEL].overtakes_amends = true;
    clock_rig_up(r);
    struct delivery *d = waiter(r, 500, "");
    gate_of(r, 1);
    row_of(0, 400, DS_HELD, ""); /* beyond the window */
    CHECK_EQ(in_the_way(d), 400);
    rows[0].amended_by = delivery_num(499, 0);
    CHECK_EQ(in_the_way(d), 400);
    rows[0].amended_by = delivery_num(500, 0);
    CHECK_EQ(in_the_way(d), 0);
    rows[0].amended_by = delivery_num(501, 0);
    CHECK_EQ(in_the_way(d), 0);
    rows[0].sent = true; /* with what the newer one says: this one follows it */
    CHECK_EQ(in_the_way(d), 400);
    r->routes[CANCEL].overtakes_amends = false; /* a cancel ends it, whatever it says */
    rows[0].sent = false;
    CHECK_EQ(in_the_way(d), 400);
    delivery_free(d);
    clock_rig_finish(r);
}

static void test_what_was_sent_or_may_have_been_is_known_by_its_row(void **state)
{
    struct store_delivery never = { .state = DS_HELD, .hold_type = STR("fraud") };
    struct store_delivery sent = never, tried = never, restored = never;

    (void)state;
    sent.first_sent_ms = 1;
    tried.attempts = 1;
    restored.hold_type = STR(RESTORE_HOLD);
    CHECK(!overtake_sent(&never));
    CHECK(overtake_sent(&sent) && overtake_sent(&tried) && overtake_sent(&restored));
}

/* ---- what has passed, and comes back ---- */

/** It went past its gate, since nothing of its order was there. */
static struct delivery *passed(struct clock_rig *r, unsigned event)
{
    struct delivery *d = waiter(r, event, "");

    gate_of(r, 0);
    CHECK_EQ(overtake_judge(&gate, d), GATE_GO);
    CHECK(d->passed && r->flow->passed);
    d->gates_passed = GATE__COUNT;
    d->settling = true; /* it is placed by somebody else */
    return d;
}

static bool called_back(struct clock_rig *r, struct delivery *d, const char *route, unsigned event,
                        const char *subject)
{
    const struct conf_route made = { .name = (char *)route, .overtaken = true };
    struct rec_delivery rd = { .num = delivery_num(event, 0), .subject = str_of(subject) };

    HASH_ADD(hh, r->flow->deliveries, num, sizeof(d->num), d);
    overtake_made(r->flow, &made, &rd);
    HASH_DEL(r->flow->deliveries, d);
    CHECK_EQ(d->passed == NULL, d->gates_passed == GATE_OVERTAKE);
    return !d->passed;
}

static void test_an_older_order_that_is_made_late_calls_back_what_passed_it_unsent(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    clock_rig_up(r);
    struct delivery *d = passed(r, 500), *before = passed(r, 300);
    CHECK(!called_back(r, d, "order", 501, "a")); /* which is about what comes after it */
    CHECK(!called_back(r, d, "order", 400, "b"));
    CHECK(!called_back(r, d, "other", 400, "a"));
    CHECK(!called_back(r, d, "order", 400, ""));
    d->first_sent_ms = 1;
    CHECK(!called_back(r, d, "order", 400, "a"));
    d->first_sent_ms = 0;
    CHECK(called_back(r, d, "order", 400, "a"));
    CHECK(before->passed && before->gates_passed == GATE__COUNT);
    overtake_forget(before);
    overtake_forget(before);
    overtake_forget(d);
    CHECK(!r->flow->passed);
    delivery_free(d);
    delivery_free(before);
    clock_rig_finish(r);
}

/** The order's event knows only a reference; its subject becomes known after the cancel's. */
static void test_an_order_whose_link_comes_late_is_closed_by_the_cancel_that_waits(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    clock_rig_route(r, "linker", "link");
    r->routes[ORDER].from_endpoint = "crm"; /* whose references its own deliveries' links are */
    clock_rig_up(r);
    clock_rig_pause(r, "cancel", PAUSE_BEGINS);
    uint64_t order = clock_rig_event_of(r, "crm", "t", "- ref 7");
    CHECK_EQ(clock_rig_state(r, order), DS__COUNT); /* it waits for the link */
    uint64_t cancel = clock_rig_event(r, "u", "a");
    clock_rig_pass(r, SEC);
    CHECK_EQ(flow_delivery(r->flow, cancel)->gates_passed, GATE__COUNT);
    r->link = "7";
    clock_rig_event(r, "link", "a");
    clock_rig_pass(r, SEC);
    CHECK_EQ(clock_rig_state(r, order), DS_DISCARDED);
    CHECK_EQ(clock_rig_state(r, cancel), DS_SUPERSEDED);
    clock_rig_pause(r, "cancel", PAUSE_ENDS);
    clock_rig_pass(r, SEC);
    CHECK_EQ(r->delivers, 1); /* the link's */
    CHECK(!r->flow->passed && !r->flow->gates);
    clock_rig_finish(r);
}

/** A window of one that is full of something else, as they come: both are in the index alone, and
 *  the held one is read since the cancel asks for it. */
static void test_in_a_window_of_one_a_cancel_closes_what_is_held_beyond_it(void **state)
{
    struct clock_rig *r = setup();
    uint64_t full;

    (void)state;
    clock_rig_route(r, "full", "v");
    r->config.window = 1;
    clock_rig_up(r);
    clock_rig_stop(r, false, "crm", PAUSE_BEGINS);
    full = clock_rig_event(r, "v", "b");
    clock_rig_event(r, "v", "c");
    uint64_t order = clock_rig_event(r, "t", "a"), cancel = clock_rig_event(r, "u", "a");
    assert_non_null(flow_delivery(r->flow, full));
    assert_null(flow_delivery(r->flow, order));
    assert_null(flow_delivery(r->flow, cancel));
    clock_rig_pass(r, 10 * SEC);
    CHECK_EQ(clock_rig_state(r, order), DS_HELD); /* the lane is paused: nothing makes room */
    clock_rig_stop(r, false, "crm", PAUSE_ENDS);
    clock_rig_pass(r, 10 * SEC);
    CHECK_EQ(clock_rig_state(r, order), DS_DISCARDED);
    CHECK_EQ(clock_rig_state(r, cancel), DS_SUPERSEDED);
    CHECK_EQ(r->delivers, 2); /* what filled it */
    CHECK(!r->flow->passed && !r->flow->gates);
    clock_rig_finish(r);
}

/** What was dead may have arrived, so the cancel goes; but not before it, once it is sent again. */
static void test_an_order_that_comes_back_from_the_dead_calls_back_what_passed_it(void **state)
{
    struct clock_rig *r = setup();
    char want[80], names[2][32];

    (void)state;
    clock_rig_up(r);
    uint64_t order = clock_rig_event(r, "t", "a");
    CHECK_EQ(clock_rig_decide(r, DECISION_REJECT, order, NULL), 0);
    CHECK_EQ(clock_rig_state(r, order), DS_DEAD);
    clock_rig_pause(r, "order", PAUSE_BEGINS);
    clock_rig_pause(r, "cancel", PAUSE_BEGINS);
    uint64_t cancel = clock_rig_event(r, "u", "a");
    clock_rig_pass(r, SEC);
    CHECK_EQ(flow_delivery(r->flow, cancel)->gates_passed, GATE__COUNT);
    CHECK_EQ(clock_rig_decide(r, DECISION_REPLAY, order, NULL), 0);
    clock_rig_pause(r, "cancel", PAUSE_ENDS);
    clock_rig_pass(r, SEC);
    CHECK_EQ(r->delivers, 0);
    clock_rig_pause(r, "order", PAUSE_ENDS);
    clock_rig_pass(r, SEC);
    delivery_name(order, names[0]);
    delivery_name(cancel, names[1]);
    snprintf(want, sizeof(want), "%s %s ", names[0], names[1]);
    assert_string_equal(r->log, want);
    clock_rig_finish(r);
}

/* ---- whenever the process ends, and whoever else decides ---- */

static void test_a_cancel_and_the_end_of_the_process_leave_both_or_neither(void **state)
{
    (void)state;
    for (uint64_t commits = 1; commits <= 4; commits++) {
        struct clock_rig *r = setup();
        clock_rig_up(r);
        uint64_t order = clock_rig_event(r, "t", "a");
        store_sim_crash_after(r->store, commits); /* the event's, its routing's, the moves' */
        clock_rig_begin_event(r, "shop", "u", "a");
        clock_rig_pass(r, 200);
        bool closed = clock_rig_state(r, order) == DS_DISCARDED;
        CHECK_EQ(closed, commits >= 3);
        clock_rig_crash(r);
        clock_rig_up(r);
        clock_rig_pass(r, 10 * SEC);
        const struct told *t = clock_rig_moved(r, order, "router"); /* once */
        assert_non_null(t);
        CHECK_EQ(t->state, DS_DISCARDED);
        CHECK_EQ(clock_rig_state(r, order), DS_DISCARDED);
        CHECK_EQ(r->delivers, 0);
        clock_rig_finish(r);
    }
}

static void test_a_change_and_the_end_of_the_process_amend_once(void **state)
{
    (void)state;
    for (uint64_t commits = 1; commits <= 4; commits++) {
        struct clock_rig *r = setup();
        r->routes[CANCEL].overtakes_amends = true;
        clock_rig_up(r);
        uint64_t order = clock_rig_event(r, "t", "a");
        store_sim_crash_after(r->store, commits);
        clock_rig_begin_event(r, "shop", "u", "a as changed");
        clock_rig_pass(r, 200);
        clock_rig_crash(r);
        clock_rig_up(r);
        clock_rig_pass(r, 10 * SEC);
        const struct row *row = clock_rig_row(r, order);
        CHECK_EQ(row->state, DS_HELD);
        CHECK_EQ(row->generation, 1);
        CHECK_VIEW(row->body, "a as changed");
        CHECK(row->edited);
        CHECK_EQ(r->delivers, 0);
        CHECK_EQ(clock_rig_decide(r, DECISION_RELEASE, order, NULL), 0);
        clock_rig_pass(r, SEC);
        CHECK_EQ(row->state, DS_DELIVERED);
        CHECK_EQ(r->delivers, 1);
        clock_rig_finish(r);
    }
}

/* A person who releases the order while the cancel comes: one of them is first. */
static void test_of_a_cancel_and_a_person_one_is_first(void **state)
{
    unsigned closed = 0;

    (void)state;
    for (int64_t ahead = 0; ahead <= 24; ahead++) {
        struct clock_rig *r = setup();
        clock_rig_up(r);
        uint64_t order = clock_rig_event(r, "t", "a");
        clock_rig_begin_event(r, "shop", "u", "a");
        if (ahead)
            clock_rig_pass(r, ahead);
        int said = clock_rig_decide(r, DECISION_RELEASE, order, NULL);
        clock_rig_pass(r, SEC);
        uint64_t cancel = delivery_num(r->last_event, 0);
        if (clock_rig_state(r, order) == DS_DISCARDED) {
            closed++;
            CHECK(said < 0);
            CHECK_EQ(clock_rig_state(r, cancel), DS_SUPERSEDED);
            CHECK_EQ(r->delivers, 0);
        } else {
            CHECK_EQ(said, 0);
            CHECK_EQ(clock_rig_state(r, order), DS_DELIVERED);
            CHECK_EQ(clock_rig_state(r, cancel), DS_DELIVERED);
            CHECK_EQ(r->delivers, 2);
        }
        CHECK(!r->flow->gates);
        clock_rig_finish(r);
    }
    CHECK(closed > 3 && closed < 24); /* both have been seen */
}

static void test_of_two_cancels_one_closes_and_the_other_finds_nothing_sent(void **state)
{
    struct clock_rig *r = setup();
    uint64_t cancel[2];

    (void)state;
    r->routes[CANCEL].ordered = false; /* the gate alone keeps them apart */
    clock_rig_up(r);
    uint64_t order = clock_rig_event(r, "t", "a");
    for (size_t i = 0; i < 2; i++) {
        clock_rig_begin_event(r, "shop", "u", "a");
        while (!r->last_event)
            world_turn(&r->w);
        cancel[i] = delivery_num(r->last_event, 0);
    }
    clock_rig_pass(r, SEC);
    CHECK_EQ(clock_rig_moved(r, order, "router")->state, DS_DISCARDED);
    for (size_t i = 0; i < 2; i++) {
        const struct told *t = clock_rig_moved(r, cancel[i], "router");
        assert_non_null(t);
        CHECK_EQ(t->state, DS_SUPERSEDED);
    }
    CHECK_EQ(r->delivers, 0);
    clock_rig_finish(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_waits_for_what_is_older_and_live_and_for_nothing_else),
        cmocka_unit_test(test_what_is_held_is_closed_unless_it_was_sent_or_somebody_is_at_it),
        cmocka_unit_test(test_a_piece_is_about_its_own_and_a_whole_is_about_all),
        cmocka_unit_test(
            test_a_change_of_a_piece_that_is_there_is_about_it_and_a_new_one_follows_all),
        cmocka_unit_test(test_what_a_newer_change_has_amended_is_in_no_older_ones_way),
        cmocka_unit_test(test_what_was_sent_or_may_have_been_is_known_by_its_row),
        cmocka_unit_test(test_an_older_order_that_is_made_late_calls_back_what_passed_it_unsent),
        cmocka_unit_test(test_an_order_whose_link_comes_late_is_closed_by_the_cancel_that_waits),
        cmocka_unit_test(test_in_a_window_of_one_a_cancel_closes_what_is_held_beyond_it),
        cmocka_unit_test(test_an_order_that_comes_back_from_the_dead_calls_back_what_passed_it),
        cmocka_unit_test(test_a_cancel_and_the_end_of_the_process_leave_both_or_neither),
        cmocka_unit_test(test_a_change_and_the_end_of_the_process_amend_once),
        cmocka_unit_test(test_of_a_cancel_and_a_person_one_is_first),
        cmocka_unit_test(test_of_two_cancels_one_closes_and_the_other_finds_nothing_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
