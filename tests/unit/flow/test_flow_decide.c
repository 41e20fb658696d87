/*
 * Decisions: about what is just being written, and what whoever decides fills in.
 */
#include "flow_rig.h"

#include "flow/decide_wait.h"

static struct flow_rig *setup(void)
{
    struct flow_rig *rig = rig_new();

    rig_route(rig, "r", "t", CRM, ACT_SEND);
    return rig;
}

struct decision_seen {
    struct decided result;
    size_t done;
};

static void on_decided(void *ctx, const struct decided *results, size_t n)
{
    struct decision_seen *seen = ctx;

    CHECK_EQ(n, 1);
    seen->result = results[0];
    seen->done++;
}

static void begin(struct flow_rig *rig, enum decision what, uint64_t num,
                  struct decision_seen *seen)
{
    struct decide d = { .what = what, .who = STR("test"), .nums = &num, .n = 1 };

    *seen = (struct decision_seen){ 0 };
    CHECK_EQ(flow_decide(rig->flow, &d, on_decided, seen), 0);
    CHECK_EQ(seen->done, 0);
}

/** Answered, and the move is not written yet. */
static uint64_t being_written(struct flow_rig *rig, uint32_t kind)
{
    uint64_t num = rig_event(rig, "t", "a 1");

    rig_answer(rig_call(rig, CRM), kind);
    CHECK(flow_delivery(rig->flow, num)->settling);
    return num;
}

static void test_a_decision_waits_for_the_write_that_is_under_way(void **state)
{
    struct flow_rig *rig = setup();
    struct decision_seen seen;

    (void)state;
    rig_up(rig);
    uint64_t num = being_written(rig, SL_REVIEW);
    begin(rig, DECISION_RELEASE, num, &seen);
    UNTIL(rig, seen.done);
    CHECK_EQ(seen.result.status, 0);
    rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
    CHECK_EQ(rig->fakes[CRM].delivers, 2);
    CHECK(list_empty(&rig->flow->decide_waits));
    rig_destroy(rig);
}

static void test_it_is_judged_by_what_was_written(void **state)
{
    struct flow_rig *rig = setup();
    struct decision_seen seen;

    (void)state;
    rig_up(rig);
    uint64_t num = being_written(rig, SL_REJECTED);
    begin(rig, DECISION_RELEASE, num, &seen);
    UNTIL(rig, seen.done);
    CHECK_EQ(seen.result.status, UV_EINVAL);
    assert_non_null(strstr(seen.result.text, "it is dead"));
    CHECK_EQ(rig_state(rig, num), DS_DEAD);
    rig_destroy(rig);
}

static void test_a_write_that_takes_too_long_is_not_waited_for(void **state)
{
    struct flow_rig *rig = setup();
    struct decision_seen seen;

    (void)state;
    rig_up(rig);
    rig->flow->lanes[CRM]->parked = true;
    rig->flow->lanes[CRM]->parked_until = UINT64_MAX;
    uint64_t num = rig_event(rig, "t", "a 1");
    UNTIL(rig, flow_delivery(rig->flow, num));
    flow_delivery(rig->flow, num)->settling = true; /* and it does not end */
    begin(rig, DECISION_DISCARD, num, &seen);
    struct decide_wait *w = list_entry(rig->flow->decide_waits.next, struct decide_wait, node);
    CHECK(w->until_ms > uv_hrtime() / 1000000 + DECIDE_WAIT_MS / 2);
    for (int i = 0; i < 10; i++)
        rig_turn(rig);
    CHECK_EQ(seen.done, 0);
    w->until_ms = 0;
    UNTIL(rig, seen.done);
    CHECK_EQ(seen.result.status, UV_EBUSY);
    flow_delivery(rig->flow, num)->settling = false;
    CHECK_EQ(rig_decide(rig, DECISION_DISCARD, num, NULL), 0);
    rig_destroy(rig);
}

static void test_the_end_of_the_process_ends_the_wait(void **state)
{
    struct flow_rig *rig = setup();
    struct decision_seen seen;

    (void)state;
    rig_up(rig);
    uint64_t num = being_written(rig, SL_REVIEW);
    flow_delivery(rig->flow, num)->settling = true;
    begin(rig, DECISION_RELEASE, num, &seen);
    rig_crash(rig);
    CHECK_EQ(seen.done, 1);
    CHECK(seen.result.status < 0);
    rig_up(rig);
    CHECK_EQ(rig_state(rig, num), DS_HELD);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_decision_waits_for_the_write_that_is_under_way),
        cmocka_unit_test(test_it_is_judged_by_what_was_written),
        cmocka_unit_test(test_a_write_that_takes_too_long_is_not_waited_for),
        cmocka_unit_test(test_the_end_of_the_process_ends_the_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
