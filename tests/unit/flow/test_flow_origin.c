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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_goes_to_the_endpoint_whose_subject_it_is),
        cmocka_unit_test(test_it_goes_back_to_who_sent_it_before_anybody_is_asked),
        cmocka_unit_test(test_what_is_nobodys_is_a_dead_letter_that_says_who_was_asked),
        cmocka_unit_test(test_after_a_crash_it_is_still_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
