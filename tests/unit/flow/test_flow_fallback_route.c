/*
 * What is given up goes by another route: exactly once, only when it is known not to be done, and
 * over a crash at any point.
 */
#include "flow/routing.h"
#include "flow_rig.h"

enum { FIRST, STAND_IN };

/** "r" sends to crm, and by "stand-in" to other what is given up there. That one takes the events
 *  of `topic` by itself. */
static struct flow_rig *setup_topic(uint32_t action, unsigned on, const char *topic)
{
    struct flow_rig *rig = rig_new();

    struct conf_route *r = rig_route(rig, "r", "t", CRM, action);
    struct conf_route *b = rig_route(rig, "stand-in", topic, OTHER, ACT_SEND);
    r->retry.max_attempts = 2;
    r->fallback_route = b;
    r->fallback_on = on;
    return rig;
}

static struct flow_rig *setup(uint32_t action, unsigned on)
{
    return setup_topic(action, on, "u");
}

static void given_up(struct flow_rig *rig)
{
    rig_not_sent(rig_call(rig, CRM), 0);
    rig_not_sent(rig_call(rig, CRM), 0);
}

static char detail[1200];

static void on_detail(void *ctx, int status, const struct store_delivery *row, sl_str body,
                      sl_str request)
{
    bool *done = ctx;

    (void)body;
    (void)request;
    detail[0] = '\0';
    if (status == 0)
        snprintf(detail, sizeof(detail), STR_FMT, STR_ARG(row->detail));
    *done = true;
}

static void read_detail(struct flow_rig *rig, uint64_t num)
{
    bool done = false;

    CHECK_EQ(store_delivery_get(rig->store, num, on_detail, &done), 0);
    UNTIL(rig, done);
}

static void test_what_never_left_goes_by_the_other_route_and_is_no_dead_letter(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND, FALLBACK_EXHAUSTED);

    (void)state;
    rig_up(rig);
    uint64_t a = rig_event(rig, "t", "a 1"), b = a + 1;
    given_up(rig);
    struct call *c = rig_call(rig, OTHER);
    CHECK_EQ(c->attempt, 1);
    rig_answer(c, SL_DELIVERED);
    UNTIL(rig, rig_state(rig, b) == DS_DELIVERED);
    read_detail(rig, b);
    CHECK(strstr(detail, "\"route\":\"r\",\"delivery\":\"") != NULL);
    CHECK(strstr(detail, "given up after 2 attempts: connection refused") != NULL);
    CHECK_EQ(rig_state(rig, a), DS_SUPERSEDED);
    CHECK(strstr(rig->reason, "it went by route stand-in instead, as ") == rig->reason);
    CHECK(strstr(rig->reason, "given up after 2 attempts: connection refused") != NULL);
    CHECK_EQ(rig->notices[NOTICE_DEAD], 0);
    CHECK_EQ(rig->notices[NOTICE_HELD], 0);
    rig_destroy(rig);
}

static void test_the_event_is_not_given_to_a_route_that_has_it(void **state)
{
    struct flow_rig *rig = setup_topic(ACT_SEND, FALLBACK_EXHAUSTED, "t");

    (void)state;
    rig_up(rig);
    uint64_t a = rig_event(rig, "t", "a 1");
    rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
    given_up(rig);
    UNTIL(rig, rig_state(rig, a) == DS_SUPERSEDED);
    CHECK(strstr(rig->reason, "route stand-in has its event already, as ") == rig->reason);
    CHECK(rig_quiet(rig, OTHER));
    CHECK_EQ(rig->fakes[OTHER].delivers, 1);
    rig_destroy(rig);
}

static void test_where_the_other_route_is_dead_already_it_is_a_dead_letter(void **state)
{
    struct flow_rig *rig = setup_topic(ACT_SEND, FALLBACK_EXHAUSTED, "t");

    (void)state;
    rig_up(rig);
    uint64_t a = rig_event(rig, "t", "a 1");
    rig_answer(rig_call(rig, OTHER), SL_REJECTED);
    UNTIL(rig, rig_state(rig, a + 1) == DS_DEAD);
    given_up(rig);
    UNTIL(rig, rig_state(rig, a) == DS_DEAD);
    CHECK(strstr(rig->reason, "; route stand-in has its event as ") != NULL);
    CHECK(strstr(rig->reason, ", which is dead") != NULL);
    CHECK_EQ(rig->notices[NOTICE_DEAD], 2);
    CHECK_EQ(rig->fakes[OTHER].delivers, 1);
    rig_destroy(rig);
}

static void test_a_dead_letter_of_both_routes_is_told_by_the_first(void **state)
{
    struct flow_rig *rig = setup_topic(ACT_SEND, FALLBACK_EXHAUSTED, "t");
    char body[1200];

    (void)state;
    rig->routes[FIRST].dead_event = "gone";
    rig_route(rig, "teller", "gone", OTHER, ACT_SEND)->from_endpoint = "crm";
    rig_up(rig);
    uint64_t a = rig_event(rig, "t", "a 1");
    rig_answer(rig_call(rig, OTHER), SL_REJECTED);
    UNTIL(rig, rig_state(rig, a + 1) == DS_DEAD);
    given_up(rig);
    struct call *c = rig_call(rig, OTHER);
    CHECK(str_eq(c->batch->records[0].topic, STR("gone")));
    snprintf(body, sizeof(body), STR_FMT, STR_ARG(c->batch->records[0].body));
    CHECK(strstr(body, "; route stand-in has its event as ") != NULL);
    CHECK(strstr(body, "\"route\":\"r\",\"delivery\":\"") != NULL);
    rig_answer(c, SL_DELIVERED);
    UNTIL(rig, rig_state(rig, a) == DS_DEAD);
    CHECK(rig_quiet(rig, OTHER));
    rig_destroy(rig);
}

static void test_what_may_have_arrived_does_not_go_before_it_is_known(void **state)
{
    static const uint32_t verdicts[] = { SL_CONFIRM_YES, SL_CONFIRM_NO, SL_CONFIRM_UNSURE };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct flow_rig *rig = setup(ACT_SAFE, FALLBACK_EXHAUSTED);
        rig_up(rig);
        uint64_t a = rig_event(rig, "t", "a 1");
        rig_answer(rig_call(rig, CRM), SL_RETRY); /* sent, harmless to repeat: and perhaps done */
        rig_answer(rig_call(rig, CRM), SL_RETRY);
        struct call *c = rig_call(rig, CRM);
        CHECK_EQ(c->kind, CALL_CONFIRM);
        CHECK_EQ(rig_state(rig, a), DS_UNKNOWN);
        CHECK(strstr(rig->reason, "before it goes by route stand-in, crm is asked") != NULL);
        rig_confirm(c, verdicts[i]);
        if (verdicts[i] == SL_CONFIRM_YES) {
            UNTIL(rig, rig_state(rig, a) == DS_DELIVERED);
            CHECK_EQ(rig->fakes[OTHER].delivers, 0);
        } else if (verdicts[i] == SL_CONFIRM_NO) {
            rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
            UNTIL(rig, rig_state(rig, a) == DS_SUPERSEDED);
        } else { /* only with a person's leave */
            UNTIL(rig, rig_state(rig, a) == DS_HELD);
            CHECK_STR(rig->hold_type, "unknown-outcome");
            CHECK(rig_quiet(rig, OTHER));
            CHECK_EQ(rig_decide(rig, DECISION_RELEASE, a,
                                &(struct decide){ .endpoint = STR("stand-in") }),
                     0);
            rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
            UNTIL(rig, rig_state(rig, a) == DS_SUPERSEDED);
        }
        rig_destroy(rig);
    }
}

static void test_a_process_that_ends_in_between_leaves_it_to_the_next(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND, FALLBACK_REJECTED);

    (void)state;
    rig_up(rig);
    uint64_t a = rig_event(rig, "t", "a 1");
    struct call *c = rig_call(rig, CRM);
    UNTIL(rig, !rig->flow->due.reading);
    rig->flow->due.horizon_ms = 0; /* the clock stands still: what is due is left to the store, */
    uv_timer_stop(&rig->flow->due.timer); /* which nobody asks */
    rig_answer(c, SL_REJECTED);
    UNTIL(rig, rig_state(rig, a) == DS_HELD);
    rig_crash(rig);
    rig_up(rig);
    rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, a + 1) == DS_DELIVERED);
    CHECK_EQ(rig_state(rig, a), DS_SUPERSEDED);
    rig_crash(rig);
    rig_up(rig);
    CHECK(rig_quiet(rig, OTHER));
    CHECK_EQ(rig->fakes[CRM].delivers, 1);
    CHECK_EQ(rig->fakes[OTHER].delivers, 1);
    rig_destroy(rig);
}

static void test_the_other_route_has_its_own_order_and_the_next_one_begins_at_its_own(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND, FALLBACK_EXHAUSTED);

    (void)state;
    rig_up(rig);
    uint64_t a = rig_event(rig, "t", "a 1");
    rig_not_sent(rig_call(rig, CRM), 0);
    uint64_t b = rig_event(rig, "t", "a 2");
    rig_not_sent(rig_call(rig, CRM), 0);
    struct call *fell = rig_call(rig, OTHER), *next = rig_call(rig, CRM);
    rig_answer(next, SL_DELIVERED); /* it does not wait for the one that goes another way */
    UNTIL(rig, rig_state(rig, b) == DS_DELIVERED);
    rig_answer(fell, SL_DELIVERED);
    UNTIL(rig, rig_state(rig, a + 1) == DS_DELIVERED);
    rig_destroy(rig);
}

static void test_what_waits_for_a_route_waits_for_what_stands_in_for_it(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND, FALLBACK_EXHAUSTED);
    struct conf_route *after = rig_route(rig, "after", "t", SHOP, ACT_SEND), *before[1];

    (void)state;
    before[0] = &rig->routes[FIRST];
    route_waits(after, before);
    rig_up(rig);
    uint64_t a = rig_event(rig, "t", "a 1");
    given_up(rig);
    struct call *c = rig_call(rig, OTHER);
    UNTIL(rig, rig_state(rig, a) == DS_SUPERSEDED);
    CHECK(rig_quiet(rig, SHOP));
    rig_answer(c, SL_DELIVERED);
    rig_answer(rig_call(rig, SHOP), SL_DELIVERED);
    rig_destroy(rig);
}

/** Which stands behind it, beyond a window that it fills. */
static void test_what_fills_the_window_of_what_stands_in_for_it_still_waits_for_that(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND, FALLBACK_EXHAUSTED);
    struct conf_route *after = rig_route(rig, "after", "t", OTHER, ACT_SEND), *before[1];

    (void)state;
    rig_route(rig, "else", "v", OTHER, ACT_SEND);
    before[0] = &rig->routes[FIRST];
    route_waits(after, before);
    rig->config.window = 1;
    rig_up(rig);
    rig_event(rig, "v", "b 1");
    struct call *c = rig_call(rig, OTHER);
    uint64_t a = rig_event(rig, "t", "a 1");
    given_up(rig);
    UNTIL(rig, rig_state(rig, a) == DS_SUPERSEDED);
    rig_answer(c, SL_DELIVERED);
    rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, a + 2) == DS_DELIVERED);
    rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, a + 1) == DS_DELIVERED);
    rig_destroy(rig);
}

static void test_a_fallback_that_is_gone_leaves_a_dead_letter(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND, FALLBACK_EXHAUSTED);

    (void)state;
    rig_up(rig);
    uint64_t a = rig_event(rig, "t", "a 1");
    rig_not_sent(rig_call(rig, CRM), 0);
    struct call *c = rig_call(rig, CRM);
    rig_not_sent(c, 0);
    UNTIL(rig,
          flow_delivery(rig->flow, a)->state == DS_HELD); /* it cannot have been read yet ... */
    rig->routes[FIRST].fallback_route = NULL;             /* ... before somebody has taken it out */
    rig_crash(rig);
    rig_up(rig);
    UNTIL(rig, rig_state(rig, a) == DS_DEAD);
    CHECK_STR(rig->reason, "given up after 2 attempts: connection refused");
    CHECK_EQ(rig->notices[NOTICE_DEAD], 1);
    rig_destroy(rig);
}

static void test_what_it_stands_in_for_is_told_whatever_becomes_of_it(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND, FALLBACK_EXHAUSTED);

    (void)state;
    rig_up(rig);
    uint64_t b = rig_event(rig, "t", "a 1") + 1;
    given_up(rig);
    rig_answer(rig_call(rig, OTHER), SL_UNKNOWN);
    rig_confirm(rig_call(rig, OTHER), SL_CONFIRM_UNSURE);
    UNTIL(rig, rig_state(rig, b) == DS_HELD);
    read_detail(rig, b);
    CHECK(strstr(detail, "{\"fallback\":{\"route\":\"r\",\"delivery\":\"") == detail);
    CHECK(strstr(detail, "}},") == NULL && strstr(detail, ",\"choices\":[") != NULL);
    rig_destroy(rig);
}

/** Events of its subject that came meanwhile are newer than it, and may be many. */
static void test_it_goes_before_the_events_that_wait_to_be_routed(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND, FALLBACK_EXHAUSTED);

    (void)state;
    rig_up(rig);
    uint64_t a = rig_event(rig, "t", "a 1");
    rig_not_sent(rig_call(rig, CRM), 0);
    struct call *c = rig_call(rig, CRM);
    struct router *r = &rig->flow->router;
    r->resting = true; /* no event is routed */
    rig_event(rig, "t", "a 2");
    rig_event(rig, "t", "a 3");
    UNTIL(rig, r->queued == 2);
    int64_t oldest = router_oldest(r);
    rig_not_sent(c, 0);
    UNTIL(rig, r->queued == 3);
    const struct routing *first = list_entry(r->queue.next, struct routing, node);
    CHECK(first->remap != NULL);
    CHECK_EQ(first->event->id, delivery_event(a));
    CHECK_EQ(router_oldest(r), oldest); /* none of these waits for as long as that is old */
    r->resting = false;
    router_wake(r);
    rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, a) == DS_SUPERSEDED);
    rig_destroy(rig);
}

/** The other route would make it of its event again, as it was. Held, it stays so. */
static void refused_to_stand_in(struct flow_rig *rig, uint64_t num, const struct decide *more,
                                const char *why)
{
    struct decide to = *more;

    to.endpoint = STR("stand-in");
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, num, &to), UV_EINVAL);
    CHECK(strstr(rig->decided.text, why) == rig->decided.text);
    CHECK(strstr(rig->decided.text, "route stand-in would make it anew from its event") != NULL);
    CHECK_EQ(rig_state(rig, num), DS_HELD);
    CHECK(rig_quiet(rig, OTHER));
}

/** Its first attempt; ready with this payload. */
static uint64_t rejected_and_edited(struct flow_rig *rig, const char *body)
{
    uint64_t a = rig_event(rig, "t", "a 1");

    rig_answer(rig_call(rig, CRM), SL_REJECTED);
    UNTIL(rig, rig_state(rig, a) == DS_DEAD);
    CHECK_EQ(rig_decide(rig, DECISION_EDIT, a,
                        &(struct decide){ .why = STR("called"), .body = str_of(body) }),
             0);
    return a;
}

static void test_what_was_edited_goes_by_no_other_route(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND, FALLBACK_EXHAUSTED);

    (void)state;
    rig_up(rig);
    uint64_t a = rejected_and_edited(rig, "\"a 2\"");
    rig_not_sent(rig_call(rig, CRM), 0); /* its second attempt, and last */
    UNTIL(rig, rig_state(rig, a) == DS_DEAD);
    assert_non_null(strstr(rig->reason, "without what was edited"));
    CHECK(rig_quiet(rig, OTHER));
    rig_destroy(rig);
}

/** A person may hand it over no more than the engine does. */
static void test_what_was_edited_is_not_handed_over_by_a_person(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND, FALLBACK_EXHAUSTED);

    (void)state;
    rig_up(rig);
    uint64_t a = rejected_and_edited(rig, "\"a 22\"");
    rig_answer(rig_call(rig, CRM), SL_UNKNOWN);
    rig_confirm(rig_call(rig, CRM), SL_CONFIRM_UNSURE);
    UNTIL(rig, rig_state(rig, a) == DS_HELD);
    refused_to_stand_in(rig, a, &(struct decide){ 0 }, "its payload was edited");
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, a, NULL), 0); /* to where it is */
    struct call *c = rig_call(rig, CRM);
    CHECK_EQ(c->batch->records[0].body.len, strlen("\"a 22\""));
    rig_answer(c, SL_DELIVERED);
    UNTIL(rig, rig_state(rig, a) == DS_DELIVERED);
    CHECK_EQ(rig->fakes[OTHER].delivers, 0);
    rig_destroy(rig);
}

/** "r" is held for a person, and changes, topic c, amend what is held of it. */
static struct flow_rig *setup_amended(uint64_t *ret)
{
    static struct conf_hold hold = { .type = "fraud" };
    struct flow_rig *rig = setup(ACT_SEND, FALLBACK_EXHAUSTED);
    struct conf_route *change = rig_route(rig, "change", "c", CRM, ACT_SEND);

    rig->routes[FIRST].hold = &hold;
    rig->routes[FIRST].overtaken = true;
    change->overtakes = &rig->routes[FIRST];
    change->overtakes_amends = true;
    rig_up(rig);
    *ret = rig_event(rig, "t", "a 1");
    UNTIL(rig, rig_state(rig, *ret) == DS_HELD);
    uint64_t by = rig_event(rig, "c", "a 22");
    UNTIL(rig, rig_state(rig, by) == DS_SUPERSEDED);
    return rig;
}

static void test_what_a_change_amended_is_handed_to_no_other_route_by_anybody(void **state)
{
    uint64_t a;
    struct flow_rig *rig = setup_amended(&a);

    (void)state;
    refused_to_stand_in(rig, a, &(struct decide){ 0 }, "its payload was edited");
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, a, NULL), 0);
    struct call *c = rig_call(rig, CRM);
    CHECK_EQ(c->batch->records[0].body.len, strlen("a 22"));
    given_up(rig);
    UNTIL(rig, rig_state(rig, a) == DS_DEAD);
    CHECK(strstr(rig->reason, "given up after 2 attempts") == rig->reason);
    CHECK(strstr(rig->reason,
                 "; route stand-in would make it anew from its event, without what "
                 "was edited") != NULL);
    CHECK(rig_quiet(rig, OTHER));
    CHECK_EQ(rig->notices[NOTICE_DEAD], 1);
    rig_destroy(rig);
}

/** What is filled in with the very decision would be lost as well. */
static void test_what_is_filled_in_as_it_is_released_is_not_handed_over(void **state)
{
    static struct conf_field field = { .name = "zip", .path = "/zip" };
    static struct conf_choice choice = {
        .name = "mend", .release = true, .fields = &field, .n_fields = 1
    };
    static struct conf_hold hold = { .type = "address", .choices = &choice, .n_choices = 1 };
    struct flow_rig *rig = setup(ACT_SEND, FALLBACK_EXHAUSTED);

    (void)state;
    rig->routes[FIRST].hold = &hold;
    rig_up(rig);
    uint64_t a = rig_event(rig, "t", "{\"zip\":\"1\"}");
    UNTIL(rig, rig_state(rig, a) == DS_HELD);
    struct decide mend = { .choice = STR("mend"), .set = STR("{\"zip\":\"10115\"}") };
    refused_to_stand_in(rig, a, &mend, "its payload is edited");
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, a, &mend), 0);
    struct call *c = rig_call(rig, CRM);
    CHECK_EQ(c->batch->records[0].body.len, strlen("{\"zip\":\"10115\"}"));
    rig_answer(c, SL_DELIVERED);
    UNTIL(rig, rig_state(rig, a) == DS_DELIVERED);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_never_left_goes_by_the_other_route_and_is_no_dead_letter),
        cmocka_unit_test(test_the_event_is_not_given_to_a_route_that_has_it),
        cmocka_unit_test(test_where_the_other_route_is_dead_already_it_is_a_dead_letter),
        cmocka_unit_test(test_a_dead_letter_of_both_routes_is_told_by_the_first),
        cmocka_unit_test(test_what_may_have_arrived_does_not_go_before_it_is_known),
        cmocka_unit_test(test_a_process_that_ends_in_between_leaves_it_to_the_next),
        cmocka_unit_test(test_the_other_route_has_its_own_order_and_the_next_one_begins_at_its_own),
        cmocka_unit_test(test_what_waits_for_a_route_waits_for_what_stands_in_for_it),
        cmocka_unit_test(test_what_fills_the_window_of_what_stands_in_for_it_still_waits_for_that),
        cmocka_unit_test(test_what_was_edited_goes_by_no_other_route),
        cmocka_unit_test(test_what_was_edited_is_not_handed_over_by_a_person),
        cmocka_unit_test(test_what_a_change_amended_is_handed_to_no_other_route_by_anybody),
        cmocka_unit_test(test_what_is_filled_in_as_it_is_released_is_not_handed_over),
        cmocka_unit_test(test_a_fallback_that_is_gone_leaves_a_dead_letter),
        cmocka_unit_test(test_what_it_stands_in_for_is_told_whatever_becomes_of_it),
        cmocka_unit_test(test_it_goes_before_the_events_that_wait_to_be_routed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
