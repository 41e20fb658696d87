/*
 * `wait_for: { else: lookup }`: what has not come is asked for at the source.
 */
#include "flow_rig.h"

/** "join", topic paid, waits for "create" of its subject; "order" takes that. Holds last 20 ms. */
static struct flow_rig *setup(void)
{
    static char *until[] = { "create" };
    static struct conf_hold wait = {
        .type = "wait-for", .until = until, .n_until = 1, .for_ms = 20, .then = HOLD_LOOKUP
    };
    struct flow_rig *rig = rig_new();

    rig_route(rig, "join", "paid", OTHER, ACT_SEND)->wait = &wait;
    rig_route(rig, "order", "create", CRM, ACT_SEND);
    rig->fakes[CRM].auto_kind = rig->fakes[OTHER].auto_kind = SL_DELIVERED;
    return rig;
}

static void test_what_is_found_is_an_event_and_lets_it_go(void **state)
{
    struct flow_rig *rig = setup();
    uint64_t paid, late;

    (void)state;
    rig_up(rig);
    paid = rig_event(rig, "paid", "a 7");
    struct call *call = rig_call(rig, SHOP);
    CHECK_STR(call->names[0], "create");
    CHECK_STR(call->names[1], "a");
    CHECK_EQ(rig_state(rig, paid), DS_HELD);
    rig_look_up(call, SL_LOOKUP_FOUND, "a 5");
    UNTIL(rig, rig_state(rig, paid) == DS_DELIVERED);
    CHECK_EQ(rig->fakes[CRM].records, 1);
    CHECK_EQ(rig->flow->stats.looked_up, 1);

    late = rig_event(rig, "create", "a 5"); /* the webhook after all: no second order */
    UNTIL(rig, rig->flow->stats.same_events == 1);
    CHECK_EQ(rig_state(rig, late), DS__COUNT);
    CHECK_EQ(rig->fakes[CRM].records, 1);
    CHECK(!rig->flow->lookups);
    rig_destroy(rig);
}

static void test_what_the_source_does_not_know_makes_a_dead_letter(void **state)
{
    struct flow_rig *rig = setup();
    uint64_t paid;

    (void)state;
    rig_up(rig);
    paid = rig_event(rig, "paid", "a 7");
    rig_look_up(rig_call(rig, SHOP), SL_LOOKUP_NONE, "");
    UNTIL(rig, rig_state(rig, paid) == DS_DEAD);
    CHECK_STR(rig->reason, "create has not come within 20ms, and shop has none: the test");
    CHECK_EQ(rig->notices[NOTICE_DEAD], 1);
    rig_destroy(rig);
}

static void test_what_came_while_it_was_asked_for_is_not_made_again(void **state)
{
    struct flow_rig *rig = setup();
    uint64_t paid;

    (void)state;
    rig_up(rig);
    paid = rig_event(rig, "paid", "a 7");
    struct call *call = rig_call(rig, SHOP);
    rig_event(rig, "create", "a 5");
    UNTIL(rig, rig_state(rig, paid) == DS_DELIVERED);
    rig_look_up(call, SL_LOOKUP_FOUND, "a 6");
    UNTIL(rig, !rig->flow->lookups);
    CHECK_EQ(rig->flow->stats.looked_up, 0);
    CHECK_EQ(rig->fakes[CRM].records, 1);
    rig_destroy(rig);
}

static void test_without_an_answer_it_is_asked_again_later_and_after_a_crash_at_once(void **state)
{
    struct flow_rig *rig = setup();
    uint64_t paid;

    (void)state;
    rig_up(rig);
    paid = rig_event(rig, "paid", "a 7");
    rig_call(rig, SHOP);
    rig_crash(rig);
    rig_up(rig);
    CHECK_EQ(rig_state(rig, paid), DS_HELD);
    rig_look_up(rig_call(rig, SHOP), SL_LOOKUP_AGAIN, "");
    UNTIL(rig, rig_state(rig, paid) == DS_HELD && strstr(rig->reason, "again in 1s: the test"));
    CHECK(!rig->flow->lookups && rig_quiet(rig, SHOP));
    rig_event(rig, "create", "a 5"); /* it need not be found to let it go */
    UNTIL(rig, rig_state(rig, paid) == DS_DELIVERED);
    rig_destroy(rig);
}

static void test_what_is_found_and_means_nothing_gives_it_up_in_the_end(void **state)
{
    struct flow_rig *rig = setup();
    uint64_t paid;

    (void)state;
    rig_up(rig);
    paid = rig_event(rig, "paid", "a 7");
    rig_look_up(rig_call(rig, SHOP), SL_LOOKUP_FOUND, "?");
    UNTIL(rig, rig_state(rig, paid) == DS_HELD && rig->row.next_ms &&
                   strstr(rig->reason, "it was looked up at shop"));
    CHECK(rig_quiet(rig, SHOP)); /* and not asked again */
    rig_crash(rig);
    rig_up(rig);
    CHECK(rig_quiet(rig, SHOP));
    CHECK_EQ(rig_state(rig, paid), DS_HELD);
    rig_destroy(rig);
}

/* The webhook came while its route did not wait: it is known, and what is found is the same. */
static void test_what_is_found_lets_it_go_even_if_it_is_known(void **state)
{
    struct flow_rig *rig = setup();
    struct conf_hold *wait = rig->routes[0].wait;
    uint64_t paid;

    (void)state;
    rig_up(rig);
    paid = rig_event(rig, "paid", "a 7");
    rig_call(rig, SHOP);
    rig_crash(rig);
    rig->routes[0].wait = NULL;
    rig_up(rig);
    rig_event(rig, "create", "a 5");
    UNTIL(rig, rig->fakes[CRM].records == 1);
    CHECK_EQ(rig_state(rig, paid), DS_HELD);
    rig_crash(rig);
    rig->routes[0].wait = wait;
    rig_up(rig);
    rig_look_up(rig_call(rig, SHOP), SL_LOOKUP_FOUND, "a 5");
    UNTIL(rig, rig_state(rig, paid) == DS_DELIVERED);
    CHECK_EQ(rig->flow->stats.same_events, 1);
    CHECK_EQ(rig->fakes[CRM].records, 1);
    rig_destroy(rig);
}

static void test_a_breaker_that_nothing_else_would_close_does_not_keep_it_back(void **state)
{
    struct flow_rig *rig = setup();
    uint64_t paid;

    (void)state;
    rig_up(rig);
    breaker_restore(&rig->flow->lanes[SHOP]->breaker, uv_now(&rig->loop), 1);
    paid = rig_event(rig, "paid", "a 7");
    rig_look_up(rig_call(rig, SHOP), SL_LOOKUP_FOUND, "a 5");
    UNTIL(rig, rig_state(rig, paid) == DS_DELIVERED);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_found_is_an_event_and_lets_it_go),
        cmocka_unit_test(test_what_the_source_does_not_know_makes_a_dead_letter),
        cmocka_unit_test(test_what_came_while_it_was_asked_for_is_not_made_again),
        cmocka_unit_test(test_without_an_answer_it_is_asked_again_later_and_after_a_crash_at_once),
        cmocka_unit_test(test_what_is_found_and_means_nothing_gives_it_up_in_the_end),
        cmocka_unit_test(test_what_is_found_lets_it_go_even_if_it_is_known),
        cmocka_unit_test(test_a_breaker_that_nothing_else_would_close_does_not_keep_it_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
