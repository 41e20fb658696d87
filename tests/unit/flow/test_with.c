/*
 * test_with.c - rows that a route is `with`: few questions for many events, and what waits when
 * nobody answers. By a simulated clock.
 */
#include <stdio.h>

#include "clock_rig.h"
#include "flow/find.h"

static struct conf_with prices[2];

/** "r" of topic t is `with` prices at crm; "plain" takes the same events without. */
static struct clock_rig *setup_with(bool split)
{
    static struct clock_rig r;
    static char *purge[] = { "products/*" };
    struct conf_route *route;

    clock_rig_init(&r);
    prices[0] = (struct conf_with){ .name = "prices",
                                    .endpoint = &r.endpoints[CRM],
                                    .keys = "?",
                                    .for_ms = 600 * SEC,
                                    .purge_on = purge,
                                    .n_purge_on = 1,
                                    .id = { 1 } };
    route = clock_rig_route(&r, "r", "t");
    route->with = prices;
    route->n_with = 1;
    route->ordered = true;
    route->split = split ? (char *)".lines[]" : NULL;
    clock_rig_route(&r, "plain", "t");
    return &r;
}

static struct clock_rig *setup(void)
{
    struct clock_rig *r = setup_with(false);

    clock_rig_up(r);
    return r;
}

/** The delivery that route r made last of an event, whatever came of those before. */
static const struct row *last_of(struct clock_rig *r, uint64_t event)
{
    const struct row *row, *found = NULL;

    for (uint64_t i = 0; (row = clock_rig_row(r, delivery_num(event, (unsigned)i))); i++)
        if (str_eq(row->route, STR("r")))
            found = row;
    return found;
}

static void check_last(struct clock_rig *r, uint64_t event, enum delivery_state state,
                       const char *reason)
{
    const struct row *row = last_of(r, event);

    assert_non_null(row);
    CHECK_EQ(row->state, state);
    if (reason)
        CHECK_VIEW(row->reason, reason);
}

/** Its event's id. */
static uint64_t event(struct clock_rig *r, const char *body)
{
    clock_rig_event(r, "t", body);
    return r->last_event;
}

static void begin(struct clock_rig *r, const char *topic, const char *body)
{
    clock_rig_begin_event(r, "shop", topic, body);
}

/* ---- rows ---- */

static void test_a_program_sees_the_rows_of_its_keys(void **state)
{
    struct clock_rig *r = setup();
    uint64_t e = event(r, "a /?A?none?B");

    (void)state;
    CHECK(strstr(clock_rig_vars,
                 ",\"delivery\":null,\"with\":{\"prices\":{\"A\":{\"k\":\"A\"},"
                 "\"B\":{\"k\":\"B\"}}}}"));
    clock_rig_pass(r, SEC);
    check_last(r, e, DS_DELIVERED, NULL);
    CHECK_EQ(r->finds, 1);
    clock_rig_finish(r);
}

static void test_an_event_without_keys_asks_nobody(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    event(r, "a /");
    CHECK(strstr(clock_rig_vars, "\"with\":{\"prices\":{}}"));
    CHECK_EQ(r->finds, 0);
    clock_rig_finish(r);
}

static void test_three_hundred_events_within_a_moment_are_few_questions(void **state)
{
    struct clock_rig *r = setup();
    char body[40];

    (void)state;
    for (int i = 0; i < 300; i++) {
        snprintf(body, sizeof(body), "s%d /?K%d?K%d", i, i % 40, (i + 7) % 40);
        begin(r, "t", body);
    }
    clock_rig_pass(r, 5 * SEC);
    CHECK_EQ(r->delivers, 600); /* both routes, each */
    CHECK_EQ(r->find_keys, 40); /* each key once */
    CHECK(r->finds <= 40 / RIG_FIND_KEYS + 2);
    clock_rig_finish(r);
}

static void test_a_row_is_believed_for_its_time_and_its_absence_not_for_long(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    event(r, "a /?A?none");
    clock_rig_pass(r, 29 * SEC);
    event(r, "b /?A?none");
    CHECK_EQ(r->find_keys, 2);
    clock_rig_pass(r, 2 * SEC);
    event(r, "c /?A?none");
    CHECK_EQ(r->find_keys, 3); /* "none" again */
    clock_rig_pass(r, 570 * SEC);
    event(r, "d /?A");
    CHECK_EQ(r->find_keys, 4);
    clock_rig_finish(r);
}

static void test_an_event_of_such_a_topic_ends_what_was_believed(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    event(r, "a /?A");
    begin(r, "products/update", "p");
    clock_rig_pass(r, SEC);
    event(r, "b /?A");
    CHECK_EQ(r->find_keys, 2);
    begin(r, "customers/update", "c");
    clock_rig_pass(r, SEC);
    event(r, "c /?A");
    CHECK_EQ(r->find_keys, 2);
    clock_rig_finish(r);
}

static void test_an_answer_from_before_such_an_event_is_not_kept(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    r->find_verdict = 0;
    begin(r, "t", "a /?A");
    clock_rig_pass(r, 200);
    begin(r, "products/update", "p");
    clock_rig_pass(r, 200);
    clock_rig_answer_finds(r);
    r->find_verdict = SL_FIND_DONE;
    clock_rig_pass(r, 200);
    CHECK_EQ(r->delivers, 2); /* who asked before gets it */
    event(r, "b /?A");
    CHECK_EQ(r->finds, 2);
    clock_rig_finish(r);
}

/* ---- errors ---- */

static void test_a_row_that_cannot_be_used_makes_a_dead_letter_that_names_its_key(void **state)
{
    struct clock_rig *r = setup();
    uint64_t e = event(r, "a /?A?twofold");

    (void)state;
    check_last(r, e, DS_DEAD, "with: prices: twofold: two rows");
    clock_rig_finish(r);
}

static void test_a_wrong_question_makes_a_dead_letter(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    r->find_verdict = SL_FIND_REFUSED;
    uint64_t e = event(r, "a /?A");
    check_last(r, e, DS_DEAD, "with: prices: the test");
    r->find_verdict = SL_FIND_DONE; /* it was mended */
    CHECK_EQ(clock_rig_decide(r, DECISION_REPLAY, last_of(r, e)->num, NULL), 0);
    clock_rig_pass(r, SEC);
    check_last(r, e, DS_DELIVERED, NULL);
    clock_rig_finish(r);
}

static void test_what_was_not_there_is_asked_for_at_once_when_a_person_says_so(void **state)
{
    struct clock_rig *r = setup();
    uint64_t e = event(r, "a /?twofold");

    (void)state;
    CHECK_EQ(clock_rig_decide(r, DECISION_REPLAY, last_of(r, e)->num, NULL), 0);
    CHECK_EQ(r->finds, 2);
    clock_rig_finish(r);
}

/* ---- waiting ---- */

static void test_without_an_answer_its_route_waits_in_the_store_and_others_go(void **state)
{
    struct clock_rig *r = setup();
    uint64_t e, asked;

    (void)state;
    r->find_verdict = SL_FIND_AGAIN;
    e = event(r, "a /?A");
    clock_rig_pass(r, 500);
    CHECK_EQ(r->delivers, 1); /* plain */
    check_last(r, e, DS_HELD, "prices: the test");
    CHECK_VIEW(last_of(r, e)->hold_type, HOLD_LOOK_UP);
    asked = r->finds;
    event(r, "b /?B"); /* nobody is asked for a while: it is held at once */
    CHECK_EQ(r->finds, asked);

    clock_rig_pass(r, 120 * SEC);
    CHECK(r->finds > asked && r->finds <= asked + 12); /* 1, 2, 4 ... 60 s */
    check_last(r, e, DS_HELD, "prices: the test");
    r->find_verdict = SL_FIND_DONE;
    clock_rig_pass(r, 200 * SEC);
    check_last(r, e, DS_DELIVERED, NULL);
    CHECK_EQ(r->delivers, 4);
    CHECK_EQ(r->flow->with_retries, 0);
    clock_rig_finish(r);
}

static void test_what_waits_goes_on_after_a_crash(void **state)
{
    struct clock_rig *r = setup();
    uint64_t e;

    (void)state;
    r->find_verdict = SL_FIND_AGAIN;
    e = event(r, "a /?A");
    clock_rig_crash(r);
    r->find_verdict = SL_FIND_DONE;
    clock_rig_up(r);
    clock_rig_pass(r, 70 * SEC);
    check_last(r, e, DS_DELIVERED, NULL);
    CHECK_EQ(r->delivers, 2);
    clock_rig_finish(r);
}

static void test_an_answer_that_takes_long_keeps_nobody_for_longer_than_a_moment(void **state)
{
    struct clock_rig *r = setup();
    uint64_t e;

    (void)state;
    r->find_verdict = 0;
    begin(r, "t", "a /?A");
    clock_rig_pass(r, 900);
    CHECK_EQ(r->delivers, 0); /* its rows may come still */
    clock_rig_pass(r, 400);
    e = r->last_event;
    CHECK_EQ(r->delivers, 1);
    check_last(r, e, DS_HELD, "prices: crm has not answered within a moment");
    event(r, "b /?B"); /* and who comes now does not wait at all */
    check_last(r, r->last_event, DS_HELD, "prices: crm has not answered yet");
    clock_rig_pass(r, 300);
    CHECK_EQ(r->delivers, 2);

    clock_rig_answer_finds(r);
    r->find_verdict = SL_FIND_DONE;
    clock_rig_pass(r, 20 * SEC);
    check_last(r, e, DS_DELIVERED, NULL);
    CHECK_EQ(r->delivers, 4);
    CHECK_EQ(r->find_keys, 2); /* both were asked for once */
    clock_rig_finish(r);
}

static void test_a_crash_before_the_answer_loses_nothing(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    r->find_verdict = 0;
    begin(r, "t", "a /?A");
    clock_rig_pass(r, 500);
    clock_rig_crash(r);
    r->find_verdict = SL_FIND_DONE;
    clock_rig_up(r);
    clock_rig_pass(r, 5 * SEC);
    CHECK_EQ(r->delivers, 2);
    clock_rig_finish(r);
}

static void test_a_crash_while_what_waits_is_asked_for_again_loses_nothing(void **state)
{
    struct clock_rig *r = setup();
    uint64_t e;

    (void)state;
    r->find_verdict = SL_FIND_AGAIN;
    e = event(r, "a /?A");
    r->find_verdict = 0;
    for (int i = 0; i < 200 && !r->flow->with_retries; i++)
        clock_rig_pass(r, 100);
    CHECK_EQ(r->flow->with_retries, 1);
    clock_rig_pass(r, 100);
    clock_rig_crash(r);
    r->find_verdict = SL_FIND_DONE;
    clock_rig_up(r);
    clock_rig_pass(r, 70 * SEC);
    check_last(r, e, DS_DELIVERED, NULL);
    CHECK_EQ(r->delivers, 2);
    clock_rig_finish(r);
}

static void test_a_reload_while_an_event_waits_maps_it_by_the_new_configuration(void **state)
{
    struct clock_rig *r = setup();
    struct config next = r->config;
    struct conf_route routes[2];
    size_t orphaned;

    (void)state;
    r->find_verdict = 0;
    begin(r, "t", "a /?A");
    clock_rig_pass(r, 300);
    CHECK_EQ(r->finds, 1);
    clock_rig_vars[0] = '\0';
    memcpy(routes, r->routes, sizeof(routes));
    routes[0].with = NULL; /* it wants nothing any more */
    routes[0].n_with = 0;
    next.routes = routes;
    CHECK_EQ(flow_reconfigure(r->flow, &next, r->table, &orphaned), 0);
    clock_rig_answer_finds(r);
    clock_rig_pass(r, SEC);
    CHECK_EQ(r->delivers, 2);
    CHECK_STR(clock_rig_vars, ""); /* the body goes as it is */
    clock_rig_crash(r);
    clock_rig_finish(r);
}

static void test_the_later_of_a_subject_does_not_pass_one_that_waits(void **state)
{
    struct clock_rig *r = setup();
    uint64_t first, second;

    (void)state;
    event(r, "x /?B"); /* B is known */
    r->find_verdict = SL_FIND_AGAIN;
    first = event(r, "a /?A");
    second = event(r, "a /?B");
    clock_rig_pass(r, 3 * SEC);
    check_last(r, first, DS_HELD, NULL);
    check_last(r, second, DS_READY, NULL);
    r->find_verdict = SL_FIND_DONE;
    r->log[0] = '\0';
    clock_rig_pass(r, 70 * SEC);
    check_last(r, first, DS_DELIVERED, NULL);
    check_last(r, second, DS_DELIVERED, NULL);
    char want[80], one[32], two[32];
    delivery_name(last_of(r, first)->num, one);
    delivery_name(last_of(r, second)->num, two);
    snprintf(want, sizeof(want), "%s %s ", one, two);
    CHECK_STR(r->log, want);
    clock_rig_finish(r);
}

static void test_neither_do_the_pieces_of_a_later_one(void **state)
{
    struct clock_rig *r = setup_with(true);
    uint64_t first, second;
    char want[80], one[32], two[32];

    (void)state;
    clock_rig_up(r);
    event(r, "x /p?B");
    r->find_verdict = SL_FIND_AGAIN;
    first = event(r, "a /p?A");
    second = event(r, "a /p?B");
    check_last(r, second, DS_HELD, NULL);
    assert_non_null(strstr(last_of(r, second)->reason.ptr, "of the same subject goes first"));
    r->find_verdict = SL_FIND_DONE;
    clock_rig_pass(r, 3 * SEC);
    r->log[0] = '\0';
    clock_rig_pass(r, 200 * SEC);
    check_last(r, first, DS_DELIVERED, NULL);
    check_last(r, second, DS_DELIVERED, NULL);
    delivery_name(last_of(r, first)->num, one);
    delivery_name(last_of(r, second)->num, two);
    snprintf(want, sizeof(want), "%s %s ", one, two);
    CHECK(strstr(want, r->log) && r->log[0]); /* the first may have gone in the first seconds */
    clock_rig_finish(r);
}

static void test_a_person_who_releases_it_has_it_asked_for_at_once(void **state)
{
    struct clock_rig *r = setup();
    uint64_t e;

    (void)state;
    r->find_verdict = SL_FIND_AGAIN;
    e = event(r, "a /?A");
    clock_rig_pass(r, 1500);
    r->find_verdict = SL_FIND_DONE;
    CHECK_EQ(clock_rig_decide(r, DECISION_RELEASE, last_of(r, e)->num, NULL), 0);
    clock_rig_pass(r, 500);
    check_last(r, e, DS_DELIVERED, NULL);
    clock_rig_finish(r);
}

static void test_a_person_who_rejects_it_ends_it(void **state)
{
    struct clock_rig *r = setup();
    uint64_t e;

    (void)state;
    r->find_verdict = SL_FIND_AGAIN;
    e = event(r, "a /?A");
    CHECK_EQ(clock_rig_decide(r, DECISION_REJECT, last_of(r, e)->num, NULL), 0);
    r->find_verdict = SL_FIND_DONE;
    clock_rig_pass(r, 200 * SEC);
    check_last(r, e, DS_DEAD, "rejected by hand");
    clock_rig_finish(r);
}

/* ---- the lane ---- */

static void test_a_paused_endpoint_is_not_asked(void **state)
{
    struct clock_rig *r = setup();
    uint64_t e;

    (void)state;
    clock_rig_stop(r, false, "crm", PAUSE_BEGINS);
    e = event(r, "a /?A");
    check_last(r, e, DS_HELD, "prices: crm is paused");
    clock_rig_pass(r, 100 * SEC);
    CHECK_EQ(r->finds, 0);
    clock_rig_stop(r, false, "crm", PAUSE_ENDS);
    clock_rig_pass(r, 150 * SEC);
    check_last(r, e, DS_DELIVERED, NULL);
    clock_rig_finish(r);
}

static void test_each_question_takes_a_token(void **state)
{
    struct clock_rig *r = setup_with(false);

    (void)state;
    r->config.n_routes = 1; /* without "plain" */
    r->endpoints[CRM].rate_milli_per_s = 1000;
    clock_rig_up(r);
    begin(r, "t", "a /?A");
    clock_rig_pass(r, 300);
    CHECK_EQ(r->finds, 1);
    CHECK_EQ(r->delivers, 0); /* that was the only one */
    clock_rig_pass(r, SEC);
    CHECK_EQ(r->delivers, 1);
    clock_rig_finish(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_program_sees_the_rows_of_its_keys),
        cmocka_unit_test(test_an_event_without_keys_asks_nobody),
        cmocka_unit_test(test_three_hundred_events_within_a_moment_are_few_questions),
        cmocka_unit_test(test_a_row_is_believed_for_its_time_and_its_absence_not_for_long),
        cmocka_unit_test(test_an_event_of_such_a_topic_ends_what_was_believed),
        cmocka_unit_test(test_an_answer_from_before_such_an_event_is_not_kept),
        cmocka_unit_test(test_a_row_that_cannot_be_used_makes_a_dead_letter_that_names_its_key),
        cmocka_unit_test(test_a_wrong_question_makes_a_dead_letter),
        cmocka_unit_test(test_what_was_not_there_is_asked_for_at_once_when_a_person_says_so),
        cmocka_unit_test(test_without_an_answer_its_route_waits_in_the_store_and_others_go),
        cmocka_unit_test(test_what_waits_goes_on_after_a_crash),
        cmocka_unit_test(test_an_answer_that_takes_long_keeps_nobody_for_longer_than_a_moment),
        cmocka_unit_test(test_a_crash_before_the_answer_loses_nothing),
        cmocka_unit_test(test_a_crash_while_what_waits_is_asked_for_again_loses_nothing),
        cmocka_unit_test(test_a_reload_while_an_event_waits_maps_it_by_the_new_configuration),
        cmocka_unit_test(test_the_later_of_a_subject_does_not_pass_one_that_waits),
        cmocka_unit_test(test_neither_do_the_pieces_of_a_later_one),
        cmocka_unit_test(test_a_person_who_releases_it_has_it_asked_for_at_once),
        cmocka_unit_test(test_a_person_who_rejects_it_ends_it),
        cmocka_unit_test(test_a_paused_endpoint_is_not_asked),
        cmocka_unit_test(test_each_question_takes_a_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
