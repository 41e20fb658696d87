/*
 * What may be decided of a delivery, by its state, its hold and its clock; nothing is written.
 */
#include "../check.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "flow/decide_state.h"

struct judged {
    int status;
    char text[160];
    bool move;
    uint8_t state;
};

/** `row` as it was read; texts are the caller's. */
static struct judged judge(enum decision what, struct store_delivery row, int64_t clock_ms,
                           const char *type)
{
    struct config config = { 0 };
    struct flow f = { .config = &config };
    struct decided result = { 0 };
    struct deciding a = { .flow = &f, .what = what, .results = &result, .n = 1 };
    struct choice c = { .all = &a, .what = what, .found = true, .clock_ms = clock_ms };
    struct judged j;

    a.why = a.endpoint = a.chosen = (char *)"";
    a.choices = &c;
    row.num = delivery_num(7, 0);
    c.row = row;
    c.type = (char *)type;
    decide_judge(&c);
    j = (struct judged){ .status = result.status, .move = c.move, .state = c.m.state };
    memcpy(j.text, result.text, sizeof(j.text));
    hold_verdict_finish(&c.verdict);
    return j;
}

static struct store_delivery standing(enum delivery_state state)
{
    return (struct store_delivery){ .state = state };
}

/** The states from which it may be decided so. */
static unsigned allowed(enum decision what)
{
    unsigned from = 0;

    for (unsigned s = 0; s < DS__COUNT; s++)
        if (s != DS_INFLIGHT && judge(what, standing((enum delivery_state)s), 0, NULL).move)
            from |= 1u << s;
    return from;
}

static void a_decision_is_for_some_states_alone(void **state)
{
    (void)state;
    CHECK_EQ(allowed(DECISION_DISCARD),
             1u << DS_DEAD | 1u << DS_HELD | 1u << DS_WAITING | 1u << DS_READY);
    CHECK_EQ(allowed(DECISION_REJECT), 1u << DS_HELD);
    CHECK_EQ(judge(DECISION_REJECT, standing(DS_HELD), 0, NULL).state, DS_DEAD);
    CHECK_EQ(judge(DECISION_DISCARD, standing(DS_DELIVERED), 0, NULL).status, UV_EINVAL);
    CHECK_STR(judge(DECISION_DISCARD, standing(DS_DELIVERED), 0, NULL).text,
              "it is delivered; only dead, held, ready or waiting ones can be discarded");
}

static void what_was_never_sent_cannot_have_arrived(void **state)
{
    struct store_delivery row = standing(DS_HELD);

    (void)state;
    CHECK(!judge(DECISION_ARRIVED, row, 0, NULL).move);
    row.first_sent_ms = 1000;
    CHECK_EQ(judge(DECISION_ARRIVED, row, 0, NULL).state, DS_DELIVERED);
}

static void a_clock_that_was_set_anew_decides_nothing(void **state)
{
    struct store_delivery row = standing(DS_HELD);
    const char *detail = "{\"hold\":\"fraud\",\"then\":\"reject\",\"for_ms\":5000}";

    (void)state;
    row.hold_type = STR("fraud");
    row.detail = str_of(detail);
    row.next_ms = 6000;
    CHECK_STR(judge(DECISION_CLOCK, row, 5000, NULL).text, "its clock was set anew");
    CHECK_EQ(judge(DECISION_CLOCK, row, 6000, NULL).state, DS_DEAD);
}

static void an_event_ends_the_hold_alone_that_it_was_meant_for(void **state)
{
    struct store_delivery row = standing(DS_HELD);

    (void)state;
    row.hold_type = STR("approval");
    CHECK_STR(judge(DECISION_REJECT, row, 0, "fraud").text, "it is not held as fraud any more");
    CHECK(judge(DECISION_REJECT, row, 0, "approval").move);
}

static void what_is_to_be_looked_up_is_not_decided_by_its_clock(void **state)
{
    struct store_delivery row = standing(DS_HELD);
    const char *detail =
        "{\"hold\":\"wait-for\",\"then\":\"lookup\",\"for_ms\":5000,"
        "\"until\":[\"orders/create\"]}";

    (void)state;
    row.hold_type = STR("wait-for");
    row.detail = str_of(detail);
    row.next_ms = 6000;
    struct judged j = judge(DECISION_CLOCK, row, 6000, NULL);
    CHECK_EQ(j.status, UV_EAGAIN);
    CHECK(!j.move);
    CHECK(judge(DECISION_REJECT, row, 0, NULL).move); /* a person may all the same */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_decision_is_for_some_states_alone),
        cmocka_unit_test(what_was_never_sent_cannot_have_arrived),
        cmocka_unit_test(a_clock_that_was_set_anew_decides_nothing),
        cmocka_unit_test(an_event_ends_the_hold_alone_that_it_was_meant_for),
        cmocka_unit_test(what_is_to_be_looked_up_is_not_decided_by_its_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
