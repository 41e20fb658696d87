/*
 * `to: origin`: what concerns a subject goes to the endpoint that it is from.
 */
#include "flow_rig.h"

static struct conf_target members[RIG_ENDPOINTS];

/** A route that leads back to one of the first `n` of: crm, other, shop. */
static struct flow_rig *setup(size_t n)
{
    static const int order[] = { CRM, OTHER, SHOP };
    struct flow_rig *rig = rig_new();
    struct conf_route *r = rig_route(rig, "r", "t", CRM, ACT_SEND);

    for (size_t i = 0; i < n; i++)
        members[i] = (struct conf_target){ .kind = TARGET_SEND,
                                           .endpoint = &rig->endpoints[order[i]],
                                           .action = ACT_SEND,
                                           .retry = r->retry,
                                           .has_retry = true };
    r->targets[0] =
        (struct conf_target){ .kind = TARGET_ORIGIN, .members = members, .n_members = n };
    rig->fakes[CRM].owns = "a";
    rig->fakes[OTHER].owns = "b";
    return rig;
}

static void test_it_goes_to_the_endpoint_whose_subject_it_is(void **state)
{
    struct flow_rig *rig = setup(2);

    (void)state;
    rig_up(rig);
    uint64_t b = rig_event(rig, "t", "b 1"), a = rig_event(rig, "t", "a 1");
    rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
    rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, b) == DS_DELIVERED);
    CHECK_STR(rig->endpoint, "other");
    UNTIL(rig, rig_state(rig, a) == DS_DELIVERED);
    CHECK_STR(rig->endpoint, "crm");
    rig_destroy(rig);
}

static void test_it_goes_back_to_who_sent_it_before_anybody_is_asked(void **state)
{
    struct flow_rig *rig = setup(3);

    (void)state;
    rig_up(rig);
    uint64_t a = rig_event(rig, "t", "a 1"); /* crm's own, but from shop */
    rig_answer(rig_call(rig, SHOP), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, a) == DS_DELIVERED);
    CHECK_STR(rig->endpoint, "shop");
    CHECK_EQ(rig->fakes[CRM].delivers, 0);
    rig_destroy(rig);
}

static void test_what_is_nobodys_is_a_dead_letter_that_says_who_was_asked(void **state)
{
    struct flow_rig *rig = setup(2);

    (void)state;
    rig_up(rig);
    uint64_t c = rig_event(rig, "t", "c 1");
    UNTIL(rig, rig_state(rig, c) == DS_DEAD);
    CHECK(strstr(rig->reason, "its subject, \"c\", is of none of the endpoints that can"));
    CHECK(strstr(rig->reason, "crm, other"));
    CHECK(rig_quiet(rig, CRM));
    rig_destroy(rig);
}

static void test_after_a_crash_it_is_still_there(void **state)
{
    struct flow_rig *rig = setup(2);

    (void)state;
    rig_up(rig);
    uint64_t b = rig_event(rig, "t", "b 1");
    rig_call(rig, OTHER);
    rig_crash(rig);
    rig_up(rig);
    rig_confirm(rig_call(rig, OTHER), SL_CONFIRM_NO);
    rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, b) == DS_DELIVERED);
    CHECK_EQ(rig->fakes[CRM].delivers, 0);
    rig_destroy(rig);
}

static void test_each_that_may_get_critical_work_keeps_a_share_for_it(void **state)
{
    struct flow_rig *rig = setup(2);

    (void)state;
    rig->routes[0].priority = PRIORITY_CRITICAL;
    rig_up(rig);
    CHECK(rig->flow->lanes[CRM]->has_critical);
    CHECK(rig->flow->lanes[OTHER]->has_critical);
    CHECK(!rig->flow->lanes[SHOP]->has_critical);
    rig_destroy(rig);
}

static void test_a_reload_that_removes_it_holds_what_waits_and_ends_what_is_under_way(void **state)
{
    struct flow_rig *rig = setup(2);
    struct adapter *adapters[RIG_ENDPOINTS];
    struct conf_target one = rig->targets[0];
    struct conf_route route = rig->routes[0];
    struct config without = rig->config;
    size_t orphans;

    (void)state;
    rig_up(rig);
    uint64_t first = rig_event(rig, "t", "b 1"), second;
    struct call *c = rig_call(rig, OTHER);
    lane_park(rig->flow->lanes[OTHER], STR("x"), 60000);
    second = rig_event(rig, "t", "b 2");
    UNTIL(rig, flow_delivery(rig->flow, second));

    for (size_t i = 0; i < RIG_ENDPOINTS; i++)
        adapters[i] = &rig->adapters[i];
    one.n_members = 1; /* crm is left */
    route.targets = &one;
    without.routes = &route;
    without.n_routes = 1;
    without.n_endpoints = OTHER;
    CHECK_EQ(flow_reconfigure(rig->flow, &without, adapters, &orphans), 0);
    CHECK_EQ(orphans, 1);
    UNTIL(rig, rig_state(rig, second) == DS_HELD);
    CHECK_STR(rig->hold_type, "orphaned");
    rig_answer(c, SL_DELIVERED);
    UNTIL(rig, rig_state(rig, first) == DS_DELIVERED);
    uint64_t third = rig_event(rig, "t", "b 3");
    UNTIL(rig, rig_state(rig, third) == DS_DEAD);
    CHECK(strstr(rig->reason, "of none of the endpoints that can send: crm"));
    CHECK_EQ(rig->fakes[CRM].delivers, 0);

    adapters[OTHER]->retired = false; /* as a new instance would be */
    CHECK_EQ(flow_reconfigure(rig->flow, &rig->config, adapters, &orphans), 0);
    CHECK(rig_quiet(rig, OTHER));
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, second, NULL), 0);
    rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, second) == DS_DELIVERED);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_goes_to_the_endpoint_whose_subject_it_is),
        cmocka_unit_test(test_it_goes_back_to_who_sent_it_before_anybody_is_asked),
        cmocka_unit_test(test_what_is_nobodys_is_a_dead_letter_that_says_who_was_asked),
        cmocka_unit_test(test_after_a_crash_it_is_still_there),
        cmocka_unit_test(test_each_that_may_get_critical_work_keeps_a_share_for_it),
        cmocka_unit_test(test_a_reload_that_removes_it_holds_what_waits_and_ends_what_is_under_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
