/*
 * What closes a lane: by hand, by the remote, by failures; that nothing leaves then, not even what
 * waits for its token already; and that it outlives the process.
 */
#include "flow_rig.h"

#include "torture.h"

static struct flow_rig *setup(void)
{
    struct flow_rig *rig = rig_new();

    rig_route(rig, "r", "t", CRM, ACT_SEND)->ordered = false;
    return rig;
}

static struct lane *crm(struct flow_rig *rig)
{
    return rig->flow->lanes[CRM];
}

static void says(struct flow_rig *rig, uint64_t num, const char *part)
{
    struct why w;

    CHECK(flow_why(rig->flow, num, &w));
    if (!strstr(w.text, part))
        fail_msg("\"%s\" does not say \"%s\"", w.text, part);
}

static void again(struct flow_rig *rig)
{
    rig_crash(rig);
    rig_up(rig);
}

static void a_trip_by_hand_holds_until_it_is_reset_by_hand_and_over_a_restart(void **state)
{
    struct flow_rig *rig = setup();

    (void)state;
    rig_up(rig);
    CHECK_EQ(flow_trip(rig->flow, STR("crm"), STR("uid 7"), STR("their stock count")), 0);
    CHECK_EQ(flow_trip(rig->flow, STR("nobody"), STR("uid 7"), STR("")), UV_ENOENT);
    uint64_t num = rig_event(rig, "t", "a 1");
    CHECK(rig_quiet(rig, CRM)); /* 60 ms; an ordinary one would be tried after 50 */
    says(rig, num, "opened by hand by uid 7: their stock count");
    again(rig);
    CHECK(crm(rig)->breaker.by_hand);
    CHECK(rig_quiet(rig, CRM));
    says(rig, num, "opened by hand by uid 7: their stock count");
    CHECK_EQ(rig->notices[NOTICE_BREAKER_OPEN], 2);
    CHECK_EQ(flow_reset(rig->flow, STR("crm"), STR("uid 7")), 0);
    rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
    CHECK_EQ(rig->row.attempts, 1); /* nothing was burnt */
    again(rig);
    CHECK_EQ(crm(rig)->breaker.state, BREAKER_CLOSED);
    rig_destroy(rig);
}

static void a_park_and_what_a_remote_asked_for_outlive_the_process(void **state)
{
    struct flow_rig *rig = setup();

    (void)state;
    rig_up(rig);
    uint64_t num = rig_event(rig, "t", "a 1");
    struct call *c = rig_call(rig, CRM);
    c->done->park(c->done->ctx, STR("HTTP 401"), 600000);
    rig_end(c);
    UNTIL(rig, rig_state(rig, num) == DS_READY);
    CHECK_EQ(rig->row.attempts, 0);
    again(rig);
    CHECK(crm(rig)->parked);
    CHECK(rig_quiet(rig, CRM));
    says(rig, num, "crm is parked: HTTP 401");
    CHECK_EQ(flow_unpark(rig->flow, STR("crm")), 0);
    c = rig_call(rig, CRM);
    rig_outcome(c, 0, SL_THROTTLED, 600000);
    rig_end(c);
    UNTIL(rig, rig_state(rig, num) == DS_READY);
    CHECK_EQ(rig->row.attempts, 0); /* a 429 burns none */
    again(rig);
    CHECK(!crm(rig)->parked);
    CHECK(rig_quiet(rig, CRM));
    says(rig, num, "asked to be left alone");
    rig_destroy(rig);
}

/** A reason is cut to its place, perhaps within a character. */
static void a_park_with_a_long_reason_outlives_the_process_too(void **state)
{
    struct flow_rig *rig = setup();
    char why[301];

    (void)state;
    why[0] = 'x';
    for (size_t i = 1; i + 3 <= sizeof(why); i += 2)
        memcpy(why + i, "\xc3\xa4", 3); /* with its NUL */
    rig_up(rig);
    lane_park(crm(rig), str_of(why), 600000);
    again(rig);
    CHECK(crm(rig)->parked);
    CHECK(strncmp(crm(rig)->park_why, why, 200) == 0);
    CHECK_EQ(flow_trip(rig->flow, STR("crm"), STR("uid 7"), str_of(why)), 0);
    again(rig);
    CHECK(crm(rig)->parked && crm(rig)->breaker.by_hand);
    CHECK_STR(crm(rig)->trip_who, "uid 7");
    rig_destroy(rig);
}

static void without_memory_nothing_that_was_written_is_taken_back(void **state)
{
    struct flow_rig *rig = setup();
    char *text;

    (void)state;
    rig_up(rig);
    lane_park(crm(rig), STR("HTTP 401"), 600000);
    for (uint64_t n = 1;; n++) {
        torture_arm(TORTURE_OWN, n, false);
        text = lane_state_save(crm(rig));
        bool failed = torture_disarm();
        CHECK_EQ(text == NULL, failed);
        free(text);
        if (!failed)
            break;
    }
    torture_arm(TORTURE_OWN, 1, false);
    CHECK_EQ(flow_trip(rig->flow, STR("crm"), STR("uid 7"), STR("stock count")), 0);
    CHECK(torture_disarm());
    CHECK(strstr(crm(rig)->kept, "parked") && !strstr(crm(rig)->kept, "tripped"));
    UNTIL(rig,
          strstr(crm(rig)->kept, "tripped")); /* there is some again: it is written after all */
    again(rig);
    CHECK(crm(rig)->parked && crm(rig)->breaker.by_hand);
    rig_destroy(rig);
}

static void an_open_breaker_is_open_after_a_restart(void **state)
{
    struct flow_rig *rig = setup();

    (void)state;
    rig->endpoints[CRM].breaker = (struct conf_breaker){ .window_ms = 60000,
                                                         .min_calls = 1,
                                                         .failure_percent = 50,
                                                         .open_ms = 600000,
                                                         .open_max_ms = 600000,
                                                         .probes = 1 };
    rig_up(rig);
    uint64_t num = rig_event(rig, "t", "a 1");
    rig_answer(rig_call(rig, CRM), SL_RETRY);
    UNTIL(rig, rig_state(rig, num) == DS_WAITING);
    again(rig);
    CHECK_EQ(crm(rig)->breaker.state, BREAKER_OPEN);
    CHECK(crm(rig)->breaker.open_until > uv_now(&rig->loop) + 500000);
    CHECK(rig_quiet(rig, CRM));
    rig_destroy(rig);
}

static void what_waits_for_its_token_goes_back_when_the_lane_closes(void **state)
{
    struct flow_rig *rig = setup();

    (void)state;
    rig->endpoints[CRM].rate_milli_per_s = 500;
    rig->endpoints[CRM].burst = 1;
    rig_up(rig);
    uint64_t first = rig_event(rig, "t", "a 1");
    struct call *c = rig_call(rig, CRM);
    /* One more gets leave, and then its token is spent by a call nobody counted upon. */
    crm(rig)->bucket.level = crm(rig)->bucket.capacity;
    uint64_t second = rig_event(rig, "t", "b 1");
    UNTIL(rig, crm(rig)->leaving == 1);
    bucket_charge(&crm(rig)->bucket, 1, uv_now(&rig->loop));
    UNTIL(rig, !list_empty(&crm(rig)->paced));
    CHECK_EQ(rig_state(rig, second), DS_INFLIGHT);
    c->done->park(c->done->ctx, STR("HTTP 403"), 600000);
    rig_end(c);
    UNTIL(rig, rig_state(rig, second) == DS_READY);
    CHECK_EQ(rig->row.attempts, 0);
    UNTIL(rig, rig_state(rig, first) == DS_READY);
    CHECK(rig_quiet(rig, CRM));
    says(rig, second, "parked");
    rig_destroy(rig);
}

static void an_action_that_fails_does_not_stop_the_others(void **state)
{
    struct flow_rig *rig = setup();

    (void)state;
    rig_route(rig, "other", "u", CRM, ACT_SAFE);
    rig->endpoints[CRM].breaker = (struct conf_breaker){ .window_ms = 60000,
                                                         .min_calls = 1,
                                                         .failure_percent = 50,
                                                         .open_ms = 600000,
                                                         .open_max_ms = 600000,
                                                         .probes = 1,
                                                         .per_action = true };
    rig_up(rig);
    uint64_t bad = rig_event(rig, "t", "a 1");
    rig_answer(rig_call(rig, CRM), SL_RETRY);
    UNTIL(rig, rig_state(rig, bad) == DS_WAITING);
    CHECK_EQ(rig->notices[NOTICE_BREAKER_OPEN], 1);
    CHECK_EQ(crm(rig)->breaker.state, BREAKER_CLOSED);
    UNTIL(rig, flow_delivery(rig->flow, bad)->state == DS_READY);
    says(rig, bad, "the breaker of crm for send is open");
    uint64_t good = rig_event(rig, "u", "b 1");
    struct call *c = rig_call(rig, CRM);
    char name[32];
    delivery_name(good, name);
    CHECK_STR(c->names[0], name);
    rig_answer(c, SL_DELIVERED);
    crm(rig)->actions[ACT_SEND].open_until = uv_now(&rig->loop);
    lane_pump(crm(rig));
    rig_answer(rig_call(rig, CRM), SL_DELIVERED); /* the probe */
    UNTIL(rig, rig_state(rig, bad) == DS_DELIVERED);
    CHECK_EQ(rig->notices[NOTICE_BREAKER_CLOSED], 1);
    rig_destroy(rig);
}

/** One delivery, by one HTTP call. */
static void one_call(struct flow_rig *rig, const char *body)
{
    uint64_t num = rig_event(rig, "t", body);
    struct call *c = rig_call(rig, CRM);
    struct lane_ticket ticket;

    lane_leaves(crm(rig), &ticket);
    lane_heard(crm(rig), &ticket);
    rig_answer(c, SL_DELIVERED);
    UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
}

static void what_was_spent_is_spent_after_a_restart(void **state)
{
    struct flow_rig *rig = setup();

    (void)state;
    rig->endpoints[CRM].rate_milli_per_s = 1; /* nothing comes back in the test's time */
    rig->endpoints[CRM].burst = 8;
    rig->endpoints[CRM].quota_per_day = 10;
    rig_up(rig);
    CHECK_EQ(crm(rig)->bucket.level, 8000);
    one_call(rig, "a 1");
    one_call(rig, "b 1");
    one_call(rig, "c 1");
    CHECK_EQ(crm(rig)->bucket.level, 5000);
    CHECK_EQ(crm(rig)->day.used, 3);
    again(rig);
    CHECK(crm(rig)->bucket.level <= 5000);
    CHECK(crm(rig)->bucket.level >= 2900); /* what is not written down is a quarter of it at most */
    CHECK_EQ(crm(rig)->day.used, 3);
    rig_crash(rig);
    rig->endpoints[CRM].quota_per_day = 0; /* the configuration has none any more */
    rig_up(rig);
    CHECK_EQ(crm(rig)->day.limit, 0);
    rig_destroy(rig);
}

static void whatever_was_refused_for_pace_the_lane_is_quiet(void **state)
{
    struct flow_rig *rig = setup();

    (void)state;
    rig_up(rig);
    lane_refused(crm(rig), 600000); /* a question's answer, say */
    uint64_t num = rig_event(rig, "t", "a 1");
    CHECK(rig_quiet(rig, CRM));
    says(rig, num, "asked to be left alone");
    again(rig);
    CHECK(rig_quiet(rig, CRM));
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trip_by_hand_holds_until_it_is_reset_by_hand_and_over_a_restart),
        cmocka_unit_test(a_park_and_what_a_remote_asked_for_outlive_the_process),
        cmocka_unit_test(a_park_with_a_long_reason_outlives_the_process_too),
        cmocka_unit_test(without_memory_nothing_that_was_written_is_taken_back),
        cmocka_unit_test(an_open_breaker_is_open_after_a_restart),
        cmocka_unit_test(an_action_that_fails_does_not_stop_the_others),
        cmocka_unit_test(what_waits_for_its_token_goes_back_when_the_lane_closes),
        cmocka_unit_test(what_was_spent_is_spent_after_a_restart),
        cmocka_unit_test(whatever_was_refused_for_pace_the_lane_is_quiet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
