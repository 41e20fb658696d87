/*
 * Every delivery that is not final says why it does not go now.
 */
#include "base/clock.h"
#include "flow_rig.h"

static struct flow_rig *setup(uint32_t action)
{
    struct flow_rig *rig = rig_new();

    rig_route(rig, "r", "t", CRM, action);
    rig->endpoints[CRM].retry.first_ms = rig->routes[0].retry.first_ms = 60000;
    rig->routes[0].retry.cap_ms = 60000;
    return rig;
}

static struct why says(struct flow_rig *rig, uint64_t num, const char *text)
{
    struct why w;

    CHECK(flow_why(rig->flow, num, &w));
    if (!strstr(w.text, text))
        fail_msg("\"%s\" does not hold \"%s\"", w.text, text);
    return w;
}

static void test_behind_another_of_its_subject_it_names_that_one(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    char text[80];

    (void)state;
    rig_up(rig);
    uint64_t first = rig_event(rig, "t", "a 1"), second = rig_event(rig, "t", "a 2");
    struct call *c = rig_call(rig, CRM);
    says(rig, first, "is at it");
    delivery_name(first, text);
    strcat(text, " of the same subject goes first, it is inflight");
    says(rig, second, text);
    rig_outcome(c, 0, SL_RETRY, 20000);
    rig_end(c);
    UNTIL(rig, rig_state(rig, first) == DS_WAITING);
    struct why w = says(rig, first, "its 2nd attempt: the test");
    CHECK(w.until_ms >= clock_wall_ms() + 15000 && w.until_ms <= clock_wall_ms() + 60000);
    CHECK_EQ(says(rig, second, "it is waiting").until_ms, w.until_ms);
    rig_crash(rig);
    rig_up(rig);
    UNTIL(rig, flow_delivery(rig->flow, first));
    CHECK_EQ(says(rig, first, "its 2nd attempt: the test").until_ms, w.until_ms);
    rig_destroy(rig);
}

static void test_a_parked_lane_is_why_and_says_when_it_is_tried(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);

    (void)state;
    rig_up(rig);
    lane_park(rig->flow->lanes[CRM], STR("HTTP 401"), 90000);
    uint64_t num = rig_event(rig, "t", "a 1");
    UNTIL(rig, flow_delivery(rig->flow, num));
    struct why w = says(rig, num, "is parked: HTTP 401");
    CHECK(w.until_ms > clock_wall_ms() + 80000 && w.until_ms < clock_wall_ms() + 100000);
    rig_destroy(rig);
}

static void test_an_open_breaker_is_why_also_for_what_waits_for_less(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);

    (void)state;
    rig->endpoints[CRM].breaker.open_ms = rig->endpoints[CRM].breaker.open_max_ms = 600000;
    rig_up(rig);
    uint64_t num = rig_event(rig, "t", "a 1");
    rig_answer(rig_call(rig, CRM), SL_RETRY);
    UNTIL(rig, rig_state(rig, num) == DS_WAITING);
    breaker_trip(&rig->flow->lanes[CRM]->breaker, uv_now(&rig->loop), &rig->flow->rng);
    struct why w = says(rig, num, "the breaker of crm is open");
    CHECK(w.until_ms > clock_wall_ms() + 400000);
    rig_destroy(rig);
}

static void test_a_lost_answer_says_how_often_it_was_asked_for(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);

    (void)state;
    rig->endpoints[CRM].confirm_after_ms = 40;
    rig_up(rig);
    uint64_t num = rig_event(rig, "t", "a 1");
    rig_answer(rig_call(rig, CRM), SL_UNKNOWN);
    struct call *c = rig_call(rig, CRM);
    says(rig, num, "is being asked whether it arrived");
    c->confirmed(c->ctx, &(sl_confirmed){ .size = sizeof(sl_confirmed),
                                          .verdict = SL_CONFIRM_EARLY,
                                          .after_ms = 60000 });
    list_remove(&c->node);
    free(c);
    struct why w = says(rig, num, "(asked 1 time): the test");
    CHECK(w.until_ms > clock_wall_ms() + 50000);
    rig_destroy(rig);
}

static void test_held_ones_wait_for_a_person_and_final_ones_for_nothing(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    struct why w;

    (void)state;
    rig_up(rig);
    uint64_t a = rig_event(rig, "t", "a 1"), b = rig_event(rig, "t", "b 1");
    UNTIL(rig, rig->fakes[CRM].delivers == 2);
    rig_answer(rig_call(rig, CRM), SL_REVIEW);
    rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, a) == DS_HELD && rig_state(rig, b) == DS_DELIVERED);
    says(rig, a, "a person decides");
    CHECK(!flow_why(rig->flow, b, &w));
    CHECK_STR(w.text, "");
    rig_destroy(rig);
}

static void test_a_batch_that_gathers_says_until_when(void **state)
{
    struct flow_rig *rig = setup(ACT_BULK);

    (void)state;
    rig->endpoints[CRM].batch_age_ms = 60000;
    rig_up(rig);
    uint64_t num = rig_event(rig, "t", "a 1");
    UNTIL(rig, flow_delivery(rig->flow, num));
    struct why w = says(rig, num, "its batch gathers: 1 of 10 are there");
    CHECK(w.until_ms > clock_wall_ms() + 50000 && w.until_ms <= clock_wall_ms() + 60000);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_behind_another_of_its_subject_it_names_that_one),
        cmocka_unit_test(test_a_parked_lane_is_why_and_says_when_it_is_tried),
        cmocka_unit_test(test_an_open_breaker_is_why_also_for_what_waits_for_less),
        cmocka_unit_test(test_a_lost_answer_says_how_often_it_was_asked_for),
        cmocka_unit_test(test_held_ones_wait_for_a_person_and_final_ones_for_nothing),
        cmocka_unit_test(test_a_batch_that_gathers_says_until_when),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
