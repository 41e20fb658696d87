/*
 * One delivery's way: order, outcomes, unknown, throttle, park, breaker, batches, restart.
 */
#include "flow_rig.h"

static struct flow_rig *setup(uint32_t action)
{
    struct flow_rig *rig = rig_new();

    rig_route(rig, "r", "t", CRM, action);
    return rig;
}

static void test_one_subject_goes_in_order_and_others_pass(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    uint64_t a1, a2, b;

    (void)state;
    rig_up(rig);
    a1 = rig_event(rig, "t", "a 1");
    a2 = rig_event(rig, "t", "a 2");
    b = rig_event(rig, "t", "b 1");
    UNTIL(rig, rig->fakes[CRM].delivers == 2);
    CHECK_EQ(rig_state(rig, a2), DS_READY);
    struct call *first = rig_call(rig, CRM);
    rig_answer(first, SL_RETRY); /* it waits, and still holds a2 back */
    UNTIL(rig, rig->fakes[CRM].delivers == 3);
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    while (!list_empty(&rig->fakes[CRM].calls))
        rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, a2) == DS_DELIVERED);
    CHECK_EQ(rig_state(rig, a1), DS_DELIVERED);
    CHECK_EQ(rig_state(rig, b), DS_DELIVERED);
    rig_destroy(rig);
}

static void test_unknown_is_asked_for_before_anything_is_sent_again(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    uint64_t num;

    (void)state;
    rig_up(rig);
    num = rig_event(rig, "t", "a 1");
    rig_end(rig_call(rig, CRM)); /* nothing told: unknown */
    struct call *c = rig_call(rig, CRM);
    CHECK_EQ(c->kind, CALL_CONFIRM);
    CHECK_EQ(rig_state(rig, num), DS_UNKNOWN);
    rig_confirm(c, SL_CONFIRM_EARLY);
    c = rig_call(rig, CRM);
    CHECK_EQ(c->kind, CALL_CONFIRM);
    rig_confirm(c, SL_CONFIRM_NO);
    c = rig_call(rig, CRM);
    CHECK_EQ(c->kind, CALL_DELIVER);
    CHECK_EQ(c->attempt, 2);
    rig_answer(c, SL_UNKNOWN);
    c = rig_call(rig, CRM);
    rig_confirm(c, SL_CONFIRM_YES);
    UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
    CHECK_EQ(rig->fakes[CRM].delivers, 2);
    CHECK_EQ(rig->row.generation, 0);

    num = rig_event(rig, "t", "b 1");
    rig_answer(rig_call(rig, CRM), SL_UNKNOWN);
    rig_confirm(rig_call(rig, CRM), SL_CONFIRM_UNSURE);
    UNTIL(rig, rig_state(rig, num) == DS_HELD);
    CHECK_STR(rig->hold_type, "unknown-outcome");
    CHECK_EQ(rig_decide(rig, DECISION_ARRIVED, num, NULL), 0);
    CHECK_EQ(rig_state(rig, num), DS_DELIVERED);
    CHECK_EQ(rig->fakes[CRM].delivers, 3);
    rig_destroy(rig);
}

static void
test_a_person_sends_again_only_what_nobody_could_tell_and_under_the_same_key(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    char key[40];

    (void)state;
    rig_up(rig);
    uint64_t num = rig_event(rig, "t", "a 1");
    struct call *c = rig_call(rig, CRM);
    strcpy(key, c->keys[0]);
    rig_answer(c, SL_UNKNOWN);
    rig_confirm(rig_call(rig, CRM), SL_CONFIRM_UNSURE);
    UNTIL(rig, rig_state(rig, num) == DS_HELD);
    CHECK_EQ(rig_decide(rig, DECISION_AGAIN, num, NULL), 0);
    c = rig_call(rig, CRM);
    CHECK_EQ(c->kind, CALL_DELIVER);
    CHECK_STR(c->keys[0], key);
    CHECK_EQ(c->attempt, 2);
    rig_answer(c, SL_REVIEW);
    UNTIL(rig, rig_state(rig, num) == DS_HELD);
    CHECK_EQ(rig_decide(rig, DECISION_AGAIN, num, NULL), UV_EINVAL);
    CHECK(strstr(rig->decided.text, "held as review") != NULL);
    rig_destroy(rig);
}

static void test_what_was_out_at_a_crash_is_unknown_and_not_sent_again(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    uint64_t num;

    (void)state;
    rig_up(rig);
    num = rig_event(rig, "t", "a 1");
    rig_call(rig, CRM);
    rig_crash(rig);
    rig_up(rig);
    struct call *c = rig_call(rig, CRM);
    CHECK_EQ(c->kind, CALL_CONFIRM);
    rig_confirm(c, SL_CONFIRM_YES);
    UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
    CHECK_EQ(rig->fakes[CRM].delivers, 1);
    rig_destroy(rig);
}

static void test_a_throttled_one_burns_no_attempt_and_the_lane_waits(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    uint64_t num;

    (void)state;
    rig_up(rig);
    num = rig_event(rig, "t", "a 1");
    struct call *c = rig_call(rig, CRM);
    uint64_t told_ms = uv_now(&rig->loop);
    rig_outcome(c, 0, SL_THROTTLED, 150);
    rig_outcome(c, 0, SL_DELIVERED, 0); /* the first word counts */
    rig_end(c);
    rig_event(rig, "t", "b 1");
    c = rig_call(rig, CRM);
    CHECK(uv_now(&rig->loop) >= told_ms + 150);
    CHECK_EQ(c->attempt, 1);
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    rig_answer(c, SL_DELIVERED);
    UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
    CHECK_EQ(rig->row.attempts, 1);
    rig_destroy(rig);
}

static void on_no_matter(void *ctx, sl_status status)
{
    (void)ctx;
    (void)status;
}

static void test_a_throttled_lane_waits_from_the_moment_that_it_is_told(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);

    (void)state;
    rig_up(rig);
    rig_event(rig, "t", "a 1");
    struct call *c = rig_call(rig, CRM);
    /* its outcomes are not written before the checkpoint is durable */
    c->done->checkpoint(c->done->ctx, STR("x"), 0, on_no_matter, NULL);
    rig_outcome(c, 0, SL_THROTTLED, 60000);
    CHECK(bucket_wait(&rig->flow->lanes[CRM]->bucket, 1, uv_now(&rig->loop)) > 0);
    rig_end(c);
    rig_event(rig, "t", "b 1");
    CHECK(rig_quiet(rig, CRM));
    rig_destroy(rig);
}

static void test_who_waits_for_a_token_does_not_spend_its_turn(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    struct lane *l;
    uint32_t before[PRIORITY__COUNT];

    (void)state;
    rig_route(rig, "l", "low", CRM, ACT_SEND)->priority = PRIORITY_LOW;
    rig->endpoints[CRM].rate_milli_per_s = 100; /* a token in 10 s */
    rig_up(rig);
    l = rig->flow->lanes[CRM];
    rig_event(rig, "t", "a 1");
    rig_answer(rig_call(rig, CRM), SL_DELIVERED); /* the burst */
    rig_event(rig, "t", "b 1");
    rig_event(rig, "low", "c 1");
    UNTIL(rig, l->counts[DS_READY] == 2 && l->delivered == 1);
    memcpy(before, l->credits, sizeof(before));
    for (int i = 0; i < 3; i++) {
        lane_pump(l);
        assert_memory_equal(l->credits, before, sizeof(before));
    }
    rig_destroy(rig);
}

static void test_a_parked_lane_sends_one_probe_and_goes_on_when_it_works(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    uint64_t a;

    (void)state;
    rig_up(rig);
    a = rig_event(rig, "t", "a 1");
    struct call *c = rig_call(rig, CRM);
    c->done->park(c->done->ctx, STR("no credit"), 0);
    rig_end(c);
    for (int i = 0; i < 3; i++) {
        char body[16];
        snprintf(body, sizeof(body), "x%d 1", i);
        rig_event(rig, "t", body);
    }
    c = rig_call(rig, CRM);
    CHECK(c->node.next == &rig->fakes[CRM].calls); /* alone */
    CHECK_EQ(rig->notices[NOTICE_PARKED], 1);
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    rig_answer(c, SL_DELIVERED);
    UNTIL(rig, rig->fakes[CRM].records == 5);
    CHECK_EQ(rig->notices[NOTICE_UNPARKED], 1);
    UNTIL(rig, rig_state(rig, a) == DS_DELIVERED);
    CHECK_EQ(rig->row.attempts, 1);
    rig_destroy(rig);
}

static void test_a_parked_lane_with_nothing_to_send_asks_a_question_as_probe(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    uint64_t a, b;

    (void)state;
    rig_up(rig);
    a = rig_event(rig, "t", "a 1");
    b = rig_event(rig, "t", "b 1");
    UNTIL(rig, rig->fakes[CRM].delivers == 2);
    rig_answer(rig_call(rig, CRM), SL_UNKNOWN);
    rig_answer(rig_call(rig, CRM), SL_UNKNOWN);
    UNTIL(rig, rig->flow->lanes[CRM]->counts[DS_UNKNOWN] == 2);
    lane_park(rig->flow->lanes[CRM], STR("credentials"), 60);
    struct call *c = rig_call(rig, CRM);
    CHECK_EQ(c->kind, CALL_CONFIRM);
    CHECK(c->node.next == &rig->fakes[CRM].calls);
    rig_confirm(c, SL_CONFIRM_YES);
    CHECK_EQ(rig->notices[NOTICE_UNPARKED], 1);
    rig_confirm(rig_call(rig, CRM), SL_CONFIRM_YES);
    UNTIL(rig, rig_state(rig, a) == DS_DELIVERED && rig_state(rig, b) == DS_DELIVERED);
    rig_destroy(rig);
}

static void test_an_open_breaker_lets_one_probe_out_and_closes_on_success(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);

    (void)state;
    rig->endpoints[CRM].breaker.min_calls = 2;
    rig_up(rig);
    rig_event(rig, "t", "a 1");
    rig_event(rig, "t", "b 1");
    rig_event(rig, "t", "c 1");
    UNTIL(rig, rig->fakes[CRM].delivers == 3);
    rig_answer(rig_call(rig, CRM), SL_RETRY);
    rig_answer(rig_call(rig, CRM), SL_RETRY);
    CHECK_EQ(rig->notices[NOTICE_BREAKER_OPEN], 1);
    rig_answer(rig_call(rig, CRM), SL_RETRY); /* from before: it counts no more */
    struct call *c = rig_call(rig, CRM);
    CHECK(rig_quiet(rig, OTHER));
    CHECK(c->node.next == &rig->fakes[CRM].calls); /* one probe */
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    rig_answer(c, SL_DELIVERED);
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 3);
    CHECK_EQ(rig->notices[NOTICE_BREAKER_CLOSED], 1);
    rig_destroy(rig);
}

static void old_at_once(struct lane *l)
{
    list_each (i, &l->piles)
        list_entry(i, struct pile, node)->age_ms = 1;
    lane_pump(l);
}

static void test_a_batch_goes_by_count_or_age_without_two_of_one_row(void **state)
{
    struct flow_rig *rig = setup(ACT_BULK);
    char body[32];

    (void)state;
    rig->endpoints[CRM].batch_age_ms = 600000; /* none is old before it is meant to be */
    rig_up(rig);
    for (int i = 0; i < 10; i++) {
        snprintf(body, sizeof(body), "s%d 1 #%d", i, i == 9 ? 0 : i);
        rig_event(rig, "t", body);
    }
    struct call *c = rig_call(rig, CRM); /* full */
    CHECK_EQ(c->n, 9);                   /* the tenth has the first one's row */
    CHECK(rig_quiet(rig, OTHER));
    rig_answer(c, SL_DELIVERED);
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 9);
    old_at_once(rig->flow->lanes[CRM]);
    c = rig_call(rig, CRM); /* by age */
    CHECK_EQ(c->n, 1);
    rig_outcome(c, 0, SL_REJECTED, 0);
    rig_end(c);
    UNTIL(rig, rig->flow->lanes[CRM]->dead == 1);
    CHECK_EQ(rig->notices[NOTICE_DEAD], 1);
    rig_destroy(rig);
}

static bool told;

static void on_checkpoint(void *ctx, sl_status status)
{
    CHECK_EQ(status, SL_OK);
    told = true;
    if (ctx)
        rig_answer(ctx, SL_DELIVERED); /* finish inside the callback */
}

static void test_a_batch_is_resumed_from_its_checkpoint_with_who_is_left(void **state)
{
    struct flow_rig *rig = setup(ACT_BULK);
    uint64_t nums[3];

    (void)state;
    rig->endpoints[CRM].batch_age_ms = 600000; /* until all of them are there */
    rig_up(rig);
    nums[0] = rig_event(rig, "t", "a 1");
    nums[1] = rig_event(rig, "t", "b 1");
    nums[2] = rig_event(rig, "t", "c 1");
    UNTIL(rig, rig->flow->lanes[CRM]->counts[DS_READY] == 3);
    old_at_once(rig->flow->lanes[CRM]);
    struct call *c = rig_call(rig, CRM);
    CHECK_EQ(c->n, 3);
    told = false;
    c->done->checkpoint(c->done->ctx, STR("job 7"), 1, on_checkpoint, NULL);
    CHECK(!told);
    UNTIL(rig, told);
    char key[40];
    snprintf(key, sizeof(key), "%s", c->keys[1]);
    rig_crash(rig);
    rig_up(rig);
    c = rig_call(rig, CRM);
    CHECK_EQ(c->kind, CALL_RESUME);
    CHECK_EQ(c->n, 3);
    CHECK_STR(c->token, "job 7");
    CHECK_STR(c->keys[1], key);
    told = false;
    c->done->checkpoint(c->done->ctx, STR("job 7 done"), 3, on_checkpoint, c);
    UNTIL(rig, told);
    for (int i = 0; i < 3; i++)
        UNTIL(rig, rig_state(rig, nums[i]) == DS_DELIVERED);
    CHECK_EQ(rig->fakes[CRM].delivers, 1);
    CHECK_EQ(rig->fakes[CRM].prepares, 3); /* frozen once */
    rig_destroy(rig);
}

static void test_an_adapter_hears_how_urgent_a_batch_is_and_how_old(void **state)
{
    struct flow_rig *rig = rig_new();
    uint64_t nums[3];
    struct delivery *second;

    (void)state;
    rig_route(rig, "r", "t", CRM, ACT_BULK)->priority = PRIORITY_HIGH;
    rig->endpoints[CRM].batch_age_ms = 600000; /* until all of them are there */
    rig_up(rig);
    nums[0] = rig_event(rig, "t", "a 1");
    nums[1] = rig_event(rig, "t", "b 1");
    nums[2] = rig_event(rig, "t", "c 1");
    UNTIL(rig, rig->flow->lanes[CRM]->counts[DS_READY] == 3);
    HASH_FIND(hh, rig->flow->deliveries, &nums[1], sizeof(nums[1]), second);
    second->received_ms -= 60000; /* it waited for a retry, say */
    old_at_once(rig->flow->lanes[CRM]);
    struct call *c = rig_call(rig, CRM);
    CHECK_EQ(c->n, 3);
    CHECK_EQ(c->batch->priority, SL_PRIORITY_HIGH);
    CHECK_EQ(c->batch->oldest_ms, second->received_ms);
    told = false;
    c->done->checkpoint(c->done->ctx, STR("job 7"), 1, on_checkpoint, NULL);
    UNTIL(rig, told);
    rig_crash(rig);
    rig_up(rig);
    c = rig_call(rig, CRM);
    CHECK_EQ(c->kind, CALL_RESUME);
    CHECK_EQ(c->batch->priority, SL_PRIORITY_HIGH);
    CHECK_EQ(rig_state(rig, nums[0]), DS_INFLIGHT);
    CHECK_EQ(c->batch->oldest_ms, rig->row.received_ms); /* the log knows the second's own */
    rig_answer(c, SL_DELIVERED);
    for (int i = 0; i < 3; i++)
        UNTIL(rig, rig_state(rig, nums[i]) == DS_DELIVERED);
    rig_destroy(rig);
}

static void test_what_no_request_can_be_made_of_is_dead_and_the_next_goes(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    uint64_t bad, next;

    (void)state;
    rig_up(rig);
    bad = rig_event(rig, "t", "!a 1");
    next = rig_event(rig, "t", "!a 2");
    UNTIL(rig, rig_state(rig, bad) == DS_DEAD && rig_state(rig, next) == DS_DEAD);
    CHECK_EQ(rig->fakes[CRM].delivers, 0);
    CHECK_EQ(rig->flow->lanes[CRM]->under_way, 0);
    rig_destroy(rig);
}

static void test_without_memory_to_read_an_event_it_waits_and_is_no_dead_letter(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    uint64_t nums[3];

    (void)state;
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    rig_up(rig);
    rig_no_memory = 1;
    nums[0] = rig_event(rig, "t", "a 1");
    nums[1] = rig_event(rig, "t", "a 2");
    nums[2] = rig_event(rig, "t", "b 1");
    for (int i = 0; i < 3; i++)
        UNTIL(rig, rig_state(rig, nums[i]) == DS_DELIVERED);
    CHECK_EQ(rig_no_memory, 0);
    CHECK_EQ(rig->notices[NOTICE_DEAD], 0);
    CHECK_EQ(rig->flow->router.queued, 0);
    CHECK(strstr(rig->fakes[CRM].log, "1.0 ") < strstr(rig->fakes[CRM].log, "2.0 "));
    rig_destroy(rig);
}

static void test_without_memory_to_prepare_a_delivery_it_waits_and_is_no_dead_letter(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    uint64_t num;

    (void)state;
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    rig_up(rig);
    rig->fakes[CRM].prepares_without_memory = 2;
    num = rig_event(rig, "t", "a 1");
    UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
    CHECK_EQ(rig->fakes[CRM].prepares, 3);
    CHECK_EQ(rig->fakes[CRM].delivers, 1);
    CHECK_EQ(rig->notices[NOTICE_DEAD], 0);
    rig_destroy(rig);
}

/* prepare() gives the body itself: beside it nothing is stored, over a retry and a crash. */
static void test_a_body_that_is_the_request_is_stored_once(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    uint64_t nums[2];

    (void)state;
    rig_up(rig);
    nums[0] = rig_event(rig, "t", "=a 1");
    for (int i = 0; i < 3; i++) {
        struct call *c = rig_call(rig, CRM);

        CHECK_EQ(c->kind, CALL_DELIVER);
        CHECK_EQ(c->batch->records[0].request.len, 4);
        CHECK_EQ(memcmp(c->batch->records[0].request.ptr, "=a 1", 4), 0);
        if (i < 2)
            rig_not_sent(c, 1);
        else
            rig_answer(c, SL_DELIVERED);
        if (i == 1) {
            rig_crash(rig);
            rig_up(rig);
        }
    }
    UNTIL(rig, rig_state(rig, nums[0]) == DS_DELIVERED);
    CHECK_EQ(rig->stored_request, 0);
    nums[1] = rig_event(rig, "t", "a 1");
    rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, nums[1]) == DS_DELIVERED);
    CHECK(rig->stored_request > 0); /* another one is kept, as ever */
    rig_destroy(rig);
}

static void test_the_end_finds_deliveries_in_every_state(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);

    (void)state;
    rig_up(rig);
    rig_event(rig, "t", "a 1");
    rig_event(rig, "t", "b 1");
    rig_event(rig, "t", "c 1");
    UNTIL(rig, rig->fakes[CRM].delivers == 3);
    rig_answer(rig_call(rig, CRM), SL_REVIEW);
    rig_answer(rig_call(rig, CRM), SL_UNKNOWN);
    UNTIL(rig, rig->fakes[CRM].confirms == 1); /* asked, never answered */
    rig_destroy(rig);
}

static void test_an_answer_that_the_store_refuses_is_asked_for_at_the_next_start(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    uint64_t num;

    (void)state;
    rig_up(rig);
    num = rig_event(rig, "t", "a 1");
    rig->late = rig_call(rig, CRM);
    /* A checkpoint under way and finish() at once: neither is called back too early. */
    rig->late->done->checkpoint(rig->late->done->ctx, STR("x"), 0, on_checkpoint, NULL);
    rig_crash(rig);
    rig_up(rig);
    struct call *c = rig_call(rig, CRM);
    CHECK_EQ(c->kind, CALL_RESUME);
    rig_answer(c, SL_DELIVERED);
    UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
    CHECK_EQ(rig->fakes[CRM].delivers, 1);
    rig_destroy(rig);
}

static void on_settled(void *ctx, sl_status status)
{
    *(sl_status *)ctx = status;
}

static void test_an_adapter_learns_when_what_it_told_is_durable(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    sl_status settled = 1; /* not yet */
    uint64_t num;

    (void)state;
    rig_up(rig);
    num = rig_event(rig, "t", "a 1");
    struct call *c = rig_call(rig, CRM);
    c->done->settled(c->done->ctx, on_settled, &settled);
    rig_outcome(c, 0, SL_DELIVERED, 0);
    for (int i = 0; i < 20; i++)
        rig_turn(rig);
    CHECK_EQ(settled, 1); /* nothing is durable before finish() */
    rig_end(c);
    CHECK_EQ(settled, 1);
    UNTIL(rig, settled != 1);
    CHECK_EQ(settled, SL_OK);
    rig_crash(rig); /* at once: it is in the log */
    rig_up(rig);
    UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
    CHECK_EQ(rig->fakes[CRM].delivers, 1);
    CHECK_EQ(rig->fakes[CRM].confirms, 0);
    rig_destroy(rig);
}

static void test_an_adapter_never_hears_that_what_was_lost_is_durable(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    sl_status settled = 1;

    (void)state;
    rig_up(rig);
    rig_event(rig, "t", "a 1");
    rig->late = rig_call(rig, CRM); /* answered when the store takes nothing any more */
    rig->late->done->settled(rig->late->done->ctx, on_settled, &settled);
    rig_crash(rig);
    CHECK(settled != SL_OK);
    rig_up(rig);
    rig_destroy(rig);
}

static void on_idle(void *ctx)
{
    *(bool *)ctx = true;
}

static void test_a_drain_ends_when_nothing_is_under_way_and_starts_nothing(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    bool idle = false;
    uint64_t next;

    (void)state;
    rig_up(rig);
    rig_event(rig, "t", "a 1");
    next = rig_event(rig, "t", "a 2");
    struct call *c = rig_call(rig, CRM);
    flow_drain(rig->flow, 60000, on_idle, &idle);
    CHECK(rig_quiet(rig, OTHER));
    CHECK(!idle);
    rig_answer(c, SL_DELIVERED);
    UNTIL(rig, idle);
    CHECK_EQ(rig_state(rig, next), DS_READY);
    CHECK_EQ(rig->fakes[CRM].delivers, 1);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_subject_goes_in_order_and_others_pass),
        cmocka_unit_test(test_unknown_is_asked_for_before_anything_is_sent_again),
        cmocka_unit_test(
            test_a_person_sends_again_only_what_nobody_could_tell_and_under_the_same_key),
        cmocka_unit_test(test_what_was_out_at_a_crash_is_unknown_and_not_sent_again),
        cmocka_unit_test(test_a_throttled_one_burns_no_attempt_and_the_lane_waits),
        cmocka_unit_test(test_a_throttled_lane_waits_from_the_moment_that_it_is_told),
        cmocka_unit_test(test_who_waits_for_a_token_does_not_spend_its_turn),
        cmocka_unit_test(test_a_parked_lane_sends_one_probe_and_goes_on_when_it_works),
        cmocka_unit_test(test_a_parked_lane_with_nothing_to_send_asks_a_question_as_probe),
        cmocka_unit_test(test_an_open_breaker_lets_one_probe_out_and_closes_on_success),
        cmocka_unit_test(test_a_batch_goes_by_count_or_age_without_two_of_one_row),
        cmocka_unit_test(test_a_batch_is_resumed_from_its_checkpoint_with_who_is_left),
        cmocka_unit_test(test_an_adapter_hears_how_urgent_a_batch_is_and_how_old),
        cmocka_unit_test(test_what_no_request_can_be_made_of_is_dead_and_the_next_goes),
        cmocka_unit_test(test_an_answer_that_the_store_refuses_is_asked_for_at_the_next_start),
        cmocka_unit_test(test_an_adapter_learns_when_what_it_told_is_durable),
        cmocka_unit_test(test_an_adapter_never_hears_that_what_was_lost_is_durable),
        cmocka_unit_test(test_a_drain_ends_when_nothing_is_under_way_and_starts_nothing),
        cmocka_unit_test(test_without_memory_to_read_an_event_it_waits_and_is_no_dead_letter),
        cmocka_unit_test(test_a_body_that_is_the_request_is_stored_once),
        cmocka_unit_test(test_without_memory_to_prepare_a_delivery_it_waits_and_is_no_dead_letter),
        cmocka_unit_test(test_the_end_finds_deliveries_in_every_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
