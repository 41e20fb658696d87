/*
 * A route's other endpoint: what is given up at its own goes there, once it is known not to be
 * done.
 */
#include "base/clock.h"
#include "flow_rig.h"

static struct conf_target backup;

static struct flow_rig *setup(uint32_t action, unsigned on)
{
    struct flow_rig *rig = rig_new();

    struct conf_route *r = rig_route(rig, "r", "t", CRM, action);
    r->retry.max_attempts = 2;
    backup = (struct conf_target){ .kind = TARGET_SEND,
                                   .endpoint = &rig->endpoints[OTHER],
                                   .action = ACT_SEND,
                                   .retry = r->retry,
                                   .has_retry = true };
    r->fallback = &backup;
    r->fallback_on = on;
    return rig;
}

static void test_what_never_left_moves_with_its_key_and_with_fresh_attempts(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND, FALLBACK_EXHAUSTED);
    char key[40];

    (void)state;
    rig_up(rig);
    uint64_t a = rig_event(rig, "t", "a 1"), b;
    struct call *c = rig_call(rig, CRM);
    strcpy(key, c->keys[0]);
    rig_not_sent(c, 0);
    b = rig_event(rig, "t", "a 2"); /* of the same subject: behind it, wherever it is */
    rig_not_sent(rig_call(rig, CRM), 0);
    c = rig_call(rig, OTHER);
    CHECK_STR(c->keys[0], key);
    CHECK_EQ(c->attempt, 1);
    CHECK_EQ(rig_state(rig, a), DS_INFLIGHT);
    CHECK_STR(rig->endpoint, "other");
    CHECK(rig_quiet(rig, CRM));
    rig_answer(c, SL_DELIVERED);
    UNTIL(rig, rig_state(rig, a) == DS_DELIVERED);
    rig_answer(rig_call(rig, CRM), SL_DELIVERED); /* the next one begins at its own endpoint */
    UNTIL(rig, rig_state(rig, b) == DS_DELIVERED);
    rig_destroy(rig);
}

static void test_what_may_have_arrived_is_asked_for_first(void **state)
{
    static const struct {
        uint32_t verdict;
        int to;
    } cases[] = { { SL_CONFIRM_YES, CRM }, { SL_CONFIRM_NO, OTHER } };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct flow_rig *rig = setup(ACT_SAFE, FALLBACK_EXHAUSTED);
        rig_up(rig);
        uint64_t num = rig_event(rig, "t", "a 1");
        rig_answer(rig_call(rig, CRM), SL_RETRY); /* sent, harmless to repeat: and perhaps done */
        rig_answer(rig_call(rig, CRM), SL_RETRY);
        struct call *c = rig_call(rig, CRM);
        CHECK_EQ(c->kind, CALL_CONFIRM);
        CHECK_EQ(rig_state(rig, num), DS_UNKNOWN);
        CHECK(strstr(rig->reason, "before it goes to other, crm is asked") != NULL);
        rig_confirm(c, cases[i].verdict);
        if (cases[i].to == OTHER)
            rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
        UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
        CHECK_EQ(rig->fakes[OTHER].delivers, cases[i].to == OTHER);
        CHECK_EQ(rig->fakes[CRM].delivers, 2);
        rig_destroy(rig);
    }
}

static void test_where_nobody_can_tell_a_person_hands_it_over(void **state)
{
    static const uint32_t verdicts[] = { SL_CONFIRM_UNSURE, SL_CONFIRM_AGAIN };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct flow_rig *rig = setup(ACT_SAFE, FALLBACK_EXHAUSTED);
        rig_up(rig);
        uint64_t num = rig_event(rig, "t", "a 1");
        rig_answer(rig_call(rig, CRM), SL_RETRY);
        rig_answer(rig_call(rig, CRM), SL_RETRY);
        rig_confirm(rig_call(rig, CRM), verdicts[i]);
        UNTIL(rig, rig_state(rig, num) == DS_HELD);
        CHECK_STR(rig->hold_type, "unknown-outcome");
        CHECK_EQ(
            rig_decide(rig, DECISION_RELEASE, num, &(struct decide){ .endpoint = STR("other") }),
            0);
        rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
        UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
        rig_destroy(rig);
    }
}

static void test_what_is_rejected_moves_where_that_is_configured(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND, FALLBACK_REJECTED);

    (void)state;
    rig_up(rig);
    uint64_t num = rig_event(rig, "t", "a 1");
    rig_answer(rig_call(rig, CRM), SL_REJECTED);
    rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
    CHECK_EQ(rig->row.generation, 0);
    num = rig_event(rig, "t", "b 1");
    rig_not_sent(rig_call(rig, CRM), 0);
    rig_not_sent(rig_call(rig, CRM), 0);
    UNTIL(rig, rig_state(rig, num) == DS_DEAD); /* exhausted is not configured */
    CHECK_EQ(rig->fakes[OTHER].delivers, 1);
    rig_destroy(rig);
}

static void test_a_rejection_after_a_lost_answer_does_not_say_that_nothing_arrived(void **state)
{
    struct flow_rig *rig = setup(ACT_SAFE, FALLBACK_REJECTED);

    (void)state;
    rig_up(rig);
    uint64_t num = rig_event(rig, "t", "a 1");
    rig_answer(rig_call(rig, CRM), SL_RETRY);
    rig_answer(rig_call(rig, CRM), SL_REJECTED);
    struct call *c = rig_call(rig, CRM);
    CHECK_EQ(c->kind, CALL_CONFIRM);
    rig_confirm(c, SL_CONFIRM_YES);
    UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
    CHECK_EQ(rig->fakes[OTHER].delivers, 0);
    rig_destroy(rig);
}

static void test_a_dead_end_after_the_fallback_names_both_also_over_a_restart(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND, FALLBACK_EXHAUSTED);

    (void)state;
    rig_up(rig);
    uint64_t num = rig_event(rig, "t", "a 1");
    rig_not_sent(rig_call(rig, CRM), 0);
    rig_not_sent(rig_call(rig, CRM), 0);
    struct call *c = rig_call(rig, OTHER);
    rig_not_sent(c, 0);
    UNTIL(rig, rig_state(rig, num) == DS_WAITING || rig_state(rig, num) == DS_INFLIGHT);
    rig_crash(rig);
    rig_up(rig);
    c = rig_call(rig, OTHER);
    if (c->kind == CALL_CONFIRM) { /* it was out again at the crash */
        rig_confirm(c, SL_CONFIRM_NO);
    } else {
        CHECK_EQ(c->attempt, 2);
        rig_not_sent(c, 0);
    }
    UNTIL(rig, rig_state(rig, num) == DS_DEAD);
    CHECK_STR(rig->endpoint, "other");
    CHECK(strstr(rig->reason, "given up after ") == rig->reason);
    CHECK(strstr(rig->reason, "; before at crm: given up after 2 attempts: connection refused"));
    CHECK_EQ(rig->fakes[CRM].delivers, 2);
    rig_destroy(rig);
}

/* ---- a policy's end, which is what leads there ---- */

static void test_attempts_count_on_over_restarts(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND, 0);

    (void)state;
    rig->routes[0].retry.max_attempts = 3;
    rig_up(rig);
    uint64_t num = rig_event(rig, "t", "a 1");
    for (uint32_t i = 1; i <= 3; i++) {
        struct call *c = rig_call(rig, CRM);
        CHECK_EQ(c->kind, CALL_DELIVER);
        CHECK_EQ(c->attempt, i);
        rig_not_sent(c, 0);
        if (i == 3) {
            UNTIL(rig, rig_state(rig, num) == DS_DEAD);
        } else {
            UNTIL(rig, rig->flow->lanes[CRM]->retries == 1); /* it waits, in the log too */
            rig_crash(rig);
            rig_up(rig);
        }
    }
    CHECK(strstr(rig->reason, "given up after 3 attempts: ") != NULL);
    rig_destroy(rig);
}

static void test_the_age_counts_from_the_first_attempt_also_over_a_restart(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND, 0);

    (void)state;
    rig->routes[0].retry = (struct conf_retry){ .first_ms = 400, .cap_ms = 400, .max_age_ms = 900 };
    rig_up(rig);
    uint64_t num = rig_event(rig, "t", "a 1");
    struct call *c = rig_call(rig, CRM);
    int64_t first = clock_wall_ms();
    rig_not_sent(c, 0);
    UNTIL(rig, rig_state(rig, num) == DS_WAITING);
    rig_crash(rig);
    rig_up(rig);
    c = rig_call(rig, CRM);
    while (clock_wall_ms() < first + 900) /* the policy is at its end while this one is out */
        rig_turn(rig);
    rig_not_sent(c, 0);
    UNTIL(rig, rig_state(rig, num) == DS_DEAD);
    CHECK(strstr(rig->reason, "given up after 2 attempts: ") != NULL);
    rig_destroy(rig);
}

static void test_the_age_of_what_was_put_back_counts_on_over_a_restart(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND, 0);

    (void)state;
    rig->routes[0].retry = (struct conf_retry){ .first_ms = 100, .cap_ms = 100, .max_age_ms = 600 };
    rig_up(rig);
    uint64_t num = rig_event(rig, "t", "a 1");
    struct call *c = rig_call(rig, CRM);
    int64_t first = clock_wall_ms();
    rig_outcome(c, 0, SL_THROTTLED, 10); /* ready again, and no attempt of it burnt */
    rig_end(c);
    UNTIL(rig, rig->flow->lanes[CRM]->throttled == 1);
    rig_crash(rig);
    rig_up(rig);
    c = rig_call(rig, CRM);
    while (clock_wall_ms() < first + 600)
        rig_turn(rig);
    if (c->kind == CALL_CONFIRM) /* it was out again at the crash */
        rig_confirm(c, SL_CONFIRM_NO);
    else
        rig_not_sent(c, 0);
    UNTIL(rig, rig_state(rig, num) == DS_DEAD);
    int64_t again = clock_wall_ms(); /* what was decided upon begins anew, also over a restart */
    CHECK_EQ(rig_decide(rig, DECISION_REPLAY, num, &(struct decide){ 0 }), 0);
    rig_call(rig, CRM);
    rig_crash(rig);
    rig_up(rig);
    CHECK_EQ(rig_call(rig, CRM)->kind, CALL_CONFIRM);
    CHECK(rig_state(rig, num) == DS_UNKNOWN && rig->row.since_ms >= again);
    CHECK(flow_delivery(rig->flow, num)->since_ms == rig->row.since_ms);
    rig_destroy(rig);
}

static void test_what_is_held_there_is_still_the_fallbacks_after_a_restart(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND, FALLBACK_EXHAUSTED);

    (void)state;
    rig_up(rig);
    uint64_t num = rig_event(rig, "t", "a 1");
    rig_not_sent(rig_call(rig, CRM), 0);
    rig_not_sent(rig_call(rig, CRM), 0);
    rig_answer(rig_call(rig, OTHER), SL_UNKNOWN);
    rig_confirm(rig_call(rig, OTHER), SL_CONFIRM_UNSURE);
    UNTIL(rig, rig_state(rig, num) == DS_HELD);
    CHECK_STR(rig->hold_type, "unknown-outcome");
    rig_crash(rig);
    rig_up(rig);
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, num, NULL), 0);
    rig_answer(rig_call(rig, OTHER), SL_REJECTED);
    UNTIL(rig, rig_state(rig, num) == DS_DEAD);
    CHECK_STR(rig->endpoint, "other");
    CHECK(strstr(rig->reason, "; before at crm: given up after 2 attempts: ") != NULL);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_never_left_moves_with_its_key_and_with_fresh_attempts),
        cmocka_unit_test(test_what_may_have_arrived_is_asked_for_first),
        cmocka_unit_test(test_where_nobody_can_tell_a_person_hands_it_over),
        cmocka_unit_test(test_what_is_rejected_moves_where_that_is_configured),
        cmocka_unit_test(test_a_rejection_after_a_lost_answer_does_not_say_that_nothing_arrived),
        cmocka_unit_test(test_attempts_count_on_over_restarts),
        cmocka_unit_test(test_the_age_counts_from_the_first_attempt_also_over_a_restart),
        cmocka_unit_test(test_the_age_of_what_was_put_back_counts_on_over_a_restart),
        cmocka_unit_test(test_a_dead_end_after_the_fallback_names_both_also_over_a_restart),
        cmocka_unit_test(test_what_is_held_there_is_still_the_fallbacks_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
