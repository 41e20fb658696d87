/*
 * More than a lane keeps in memory, claims and what happens while they are under way, decisions.
 */
#include "flow_rig.h"

static struct flow_rig *setup(uint32_t action)
{
    struct flow_rig *rig = rig_new();

    rig_route(rig, "r", "t", CRM, action);
    return rig;
}

static uint64_t event_of(struct flow_rig *rig, const char *topic, const char *subject, int i)
{
    char body[40];

    snprintf(body, sizeof(body), "%s%d 1", subject, i);
    return rig_event(rig, topic, body);
}

static void each_once(const struct flow_rig *rig, size_t n)
{
    CHECK_EQ(rig->fakes[CRM].records, n);
    for (const char *p = rig->fakes[CRM].log, *end; *p; p = end + 1) {
        char name[32];
        end = strchr(p, ' ');
        assert_non_null(end);
        snprintf(name, sizeof(name), "%.*s ", (int)(end - p), p);
        for (const char *q = end + 1; *q; q = strchr(q, ' ') + 1)
            assert_int_not_equal(strncmp(q, name, strlen(name)), 0);
    }
}

static void test_fifty_in_a_window_of_four_each_go_once_also_over_a_restart(void **state)
{
    static const char *const topics[] = { "t", "high", "low" };
    struct flow_rig *rig = setup(ACT_SEND);

    (void)state;
    rig_route(rig, "h", "high", CRM, ACT_SEND)->priority = PRIORITY_HIGH;
    rig_route(rig, "l", "low", CRM, ACT_SEND)->priority = PRIORITY_LOW;
    rig->config.window = 4;
    rig_up(rig);
    rig->adapters[CRM].lane->parked = true;
    rig->adapters[CRM].lane->parked_until = UINT64_MAX;
    for (int i = 0; i < 50; i++)
        event_of(rig, topics[i % 3], "s", i);
    UNTIL(rig, rig->flow->stats.routed == 50);
    for (int p = PRIORITY_HIGH; p <= PRIORITY_LOW; p++)
        CHECK_EQ(rig->flow->lanes[CRM]->windows[p].n, 4);
    rig_crash(rig);
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    rig_up(rig);
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 50);
    each_once(rig, 50);
    for (int p = PRIORITY_HIGH; p <= PRIORITY_LOW; p++)
        UNTIL(rig, !rig->flow->lanes[CRM]->windows[p].spilled);
    event_of(rig, "t", "later", 1); /* and the lane takes new ones as before */
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 51);
    rig_destroy(rig);
}

static void test_new_deliveries_while_claims_run_are_neither_lost_nor_doubled(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);

    (void)state;
    rig->config.window = 4;
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    rig_up(rig);
    for (int i = 0; i < 300; i++)
        event_of(rig, "t", "s", i);
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 300);
    each_once(rig, 300);
    rig_destroy(rig);
}

static void test_what_is_left_out_behind_a_claim_is_claimed_again(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    struct window *w;

    (void)state;
    rig->config.window = 4;
    rig_up(rig);
    struct lane *l = rig->flow->lanes[CRM];
    w = &l->windows[PRIORITY_NORMAL];
    /* As if a claim were under way whose answer does not know this one ... */
    w->spilled = true;
    w->claiming = true;
    uint64_t num = event_of(rig, "t", "s", 1);
    UNTIL(rig, rig->flow->stats.routed == 1);
    assert_null(flow_delivery(rig->flow, num));
    CHECK_EQ(w->missed.n, 1);
    /* ... and ends beyond it: `gone` hides its row as a snapshot from before would. */
    w->claiming = false;
    w->missed.n = 0;
    lane_refill(l);
    CHECK(w->claiming);
    lane_gone(l, PRIORITY_NORMAL, num);
    w->missed.at[w->missed.n++] = num; /* room was made above */
    w->skipped++;
    rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
    UNTIL(rig, !w->spilled);
    CHECK(rig_quiet(rig, CRM));
    each_once(rig, 1);
    rig_destroy(rig);
}

static void test_what_left_memory_while_a_claim_runs_is_not_brought_back(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);

    (void)state;
    rig_up(rig);
    struct lane *l = rig->flow->lanes[CRM];
    struct window *w = &l->windows[PRIORITY_NORMAL];
    uint64_t num = event_of(rig, "t", "s", 1);
    rig_call(rig, CRM);
    /* A claim that still sees it in flight; meanwhile it leaves memory. */
    w->last = 0;
    w->spilled = true;
    lane_refill(l);
    CHECK(w->claiming);
    lane_gone(l, PRIORITY_NORMAL, num);
    struct delivery *d = flow_delivery(rig->flow, num);
    HASH_DELETE(hh, rig->flow->deliveries, d);
    UNTIL(rig, !w->claiming);
    assert_null(flow_delivery(rig->flow, num));
    HASH_ADD(hh, rig->flow->deliveries, num, sizeof(d->num), d);
    rig_destroy(rig);
}

/* ---- decisions ---- */

static void test_rejected_is_replayed_under_a_new_key_and_spilled_ones_are_discarded(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    uint64_t first, last = 0;

    (void)state;
    rig->config.window = 2;
    rig->endpoints[CRM].concurrency = 1;
    rig_up(rig);
    first = event_of(rig, "t", "s", 0);
    struct call *c = rig_call(rig, CRM);
    char key[40];
    snprintf(key, sizeof(key), "%s", c->keys[0]);
    for (int i = 1; i < 6; i++)
        last = event_of(rig, "t", "s", i);
    UNTIL(rig, rig->flow->stats.routed == 6);
    assert_null(flow_delivery(rig->flow, last));
    CHECK_EQ(rig_decide(rig, DECISION_DISCARD, last, NULL), 0);
    CHECK_EQ(rig_decide(rig, DECISION_DISCARD, first, NULL), UV_EBUSY);
    CHECK_EQ(rig_decide(rig, DECISION_REPLAY, last + 4096, NULL), UV_ENOENT);
    rig_answer(c, SL_REJECTED);
    UNTIL(rig, rig_state(rig, first) == DS_DEAD);
    CHECK_EQ(rig->row.generation, 1);
    CHECK_EQ(rig_decide(rig, DECISION_REPLAY, first, NULL), 0);
    do {
        c = rig_call(rig, CRM);
        if (strncmp(c->keys[0], key, 22))
            rig_answer(c, SL_DELIVERED);
    } while (strncmp(rig_call(rig, CRM)->keys[0], key, 22));
    c = rig_call(rig, CRM);
    CHECK(strcmp(c->keys[0], key)); /* the generation rose */
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    rig_answer(c, SL_DELIVERED);
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 5);
    CHECK_EQ(rig_state(rig, last), DS_DISCARDED);
    CHECK(rig_quiet(rig, CRM));
    CHECK_EQ(rig->fakes[CRM].records, 6);
    rig_destroy(rig);
}

static void test_discarding_what_held_a_subject_back_lets_the_next_go(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    uint64_t first, next;

    (void)state;
    rig_up(rig);
    first = rig_event(rig, "t", "a 1");
    next = rig_event(rig, "t", "a 2");
    rig_answer(rig_call(rig, CRM), SL_REVIEW);
    UNTIL(rig, rig_state(rig, first) == DS_HELD);
    CHECK(rig_quiet(rig, CRM));
    CHECK_EQ(rig_decide(rig, DECISION_DISCARD, first, NULL), 0);
    rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, next) == DS_DELIVERED);
    rig_destroy(rig);
}

struct two {
    int done;
    struct decided results[2];
};

static void on_one_of_two(void *ctx, const struct decided *results, size_t n)
{
    struct two *t = ctx;

    CHECK_EQ(n, 1);
    t->results[t->done++] = results[0];
}

static void test_discarding_all_in_memory_makes_room_for_what_is_in_the_index(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    uint64_t a, b;

    (void)state;
    rig->config.window = 2;
    rig_up(rig);
    struct lane *l = rig->adapters[CRM].lane;
    l->parked = true;
    l->parked_until = UINT64_MAX;
    a = rig_event(rig, "t", "a 1");
    b = rig_event(rig, "t", "b 1");
    rig_event(rig, "t", "c 1");
    UNTIL(rig, rig->flow->stats.routed == 3);
    CHECK_EQ(l->counts[DS_READY], 2);
    CHECK_EQ(rig_decide(rig, DECISION_DISCARD, a, NULL), 0);
    CHECK_EQ(rig_decide(rig, DECISION_DISCARD, b, NULL), 0);
    UNTIL(rig, l->counts[DS_READY] == 1);
    rig_destroy(rig);
}

static void test_of_two_decisions_at_once_one_is_told_it_is_busy(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    struct two t = { 0 };
    uint64_t num;

    (void)state;
    rig_up(rig);
    num = rig_event(rig, "t", "a 1");
    rig_answer(rig_call(rig, CRM), SL_REVIEW);
    UNTIL(rig, rig_state(rig, num) == DS_HELD);
    struct decide d = { .what = DECISION_RELEASE, .who = STR("x"), .nums = &num, .n = 1 };
    CHECK_EQ(flow_decide(rig->flow, &d, on_one_of_two, &t), 0);
    CHECK_EQ(flow_decide(rig->flow, &d, on_one_of_two, &t), 0);
    CHECK_EQ(t.done, 0);
    UNTIL(rig, t.done == 2);
    CHECK_EQ(t.results[0].status, UV_EBUSY);
    CHECK_EQ(t.results[1].status, 0);
    rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
    CHECK_EQ(rig->fakes[CRM].delivers, 2);
    rig_destroy(rig);
}

static void test_a_ready_one_is_not_sent_while_its_discarding_is_written(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    uint64_t num;

    (void)state;
    rig_up(rig);
    struct lane *l = rig->flow->lanes[CRM];
    l->parked = true;
    l->parked_until = UINT64_MAX;
    num = rig_event(rig, "t", "a 1");
    UNTIL(rig, flow_delivery(rig->flow, num));
    struct two t = { 0 };
    struct decide d = { .what = DECISION_DISCARD, .who = STR("x"), .nums = &num, .n = 1 };
    CHECK_EQ(flow_decide(rig->flow, &d, on_one_of_two, &t), 0);
    lane_unpark(l);
    lane_pump(l);
    UNTIL(rig, t.done == 1);
    CHECK_EQ(t.results[0].status, 0);
    CHECK(rig_quiet(rig, CRM));
    CHECK_EQ(rig_state(rig, num), DS_DISCARDED);
    rig_destroy(rig);
}

static void test_the_next_of_a_subject_does_not_go_while_it_is_being_discarded(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    uint64_t first, next;

    (void)state;
    rig_up(rig);
    first = rig_event(rig, "t", "a 1");
    next = rig_event(rig, "t", "a 2");
    struct call *c = rig_call(rig, CRM);
    struct two t = { 0 };
    struct decide d = { .what = DECISION_DISCARD, .who = STR("x"), .nums = &next, .n = 1 };
    CHECK_EQ(flow_decide(rig->flow, &d, on_one_of_two, &t), 0);
    rig_answer(c, SL_DELIVERED); /* its turn would come before the decision is durable */
    UNTIL(rig, t.done == 1);
    CHECK_EQ(t.results[0].status, 0);
    CHECK(rig_quiet(rig, CRM));
    CHECK_EQ(rig_state(rig, first), DS_DELIVERED);
    CHECK_EQ(rig_state(rig, next), DS_DISCARDED);
    rig_destroy(rig);
}

static void test_a_rejected_one_is_mapped_again_alone_and_keeps_its_key(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    uint64_t num;
    char id[24];

    (void)state;
    rig_up(rig);
    num = rig_event(rig, "t", "a 1");
    struct call *c = rig_call(rig, CRM);
    snprintf(id, sizeof(id), "%.22s", c->keys[0]);
    rig_answer(c, SL_REJECTED);
    UNTIL(rig, rig_state(rig, num) == DS_DEAD);
    CHECK_EQ(rig_decide(rig, DECISION_REPLAY, num, &(struct decide){ .remap = true }), 0);
    CHECK_EQ(rig_state(rig, num), DS_DISCARDED);
    c = rig_call(rig, CRM);
    CHECK_EQ(strncmp(c->keys[0], id, 22), 0);
    CHECK_STR(c->keys[0] + 22, "-1"); /* an edit of what was rejected */
    CHECK_EQ(rig_state(rig, num + 1), DS_INFLIGHT);
    CHECK_EQ(rig->row.generation, 1);
    rig_answer(c, SL_DELIVERED);
    UNTIL(rig, rig_state(rig, num + 1) == DS_DELIVERED);
    /* The old one stays closed, or it would be sent a second time under one key. */
    CHECK_EQ(rig_decide(rig, DECISION_REPLAY, num, &(struct decide){ .remap = true }), UV_EINVAL);
    CHECK_EQ(rig_decide(rig, DECISION_REPLAY, num, NULL), UV_EINVAL);
    CHECK(rig_quiet(rig, CRM));
    rig_destroy(rig);
}

static void test_what_lost_its_target_is_held_and_can_be_sent_elsewhere(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    uint64_t num;

    (void)state;
    rig_up(rig);
    lane_park(rig->flow->lanes[CRM], STR("x"), 60000);
    num = rig_event(rig, "t", "a 1");
    UNTIL(rig, rig->flow->stats.routed == 1);
    rig_crash(rig);
    rig->targets[0].endpoint = &rig->endpoints[OTHER];
    rig_up(rig);
    UNTIL(rig, rig_state(rig, num) == DS_HELD);
    CHECK_STR(rig->hold_type, "orphaned");
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, num, NULL), UV_EINVAL);
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, num, &(struct decide){ .endpoint = STR("other") }),
             0);
    rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
    CHECK_STR(rig->endpoint, "other");
    rig_destroy(rig);
}

/* ---- events ---- */

static void test_the_same_event_twice_makes_one_delivery_and_once_means_once(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);

    (void)state;
    rig_route(rig, "o", "o", CRM, ACT_ONCE);
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    rig_up(rig);
    rig_event(rig, "t", "a 1");
    rig_event(rig, "t", "a 1");
    rig_event(rig, "t", "a 2");
    UNTIL(rig, rig->flow->stats.routed == 3);
    CHECK_EQ(rig->flow->stats.same_events, 1);
    rig_event(rig, "o", "b 1");
    uint64_t again = rig_event(rig, "o", "b 2");
    UNTIL(rig, rig_state(rig, again) == DS_SUPERSEDED);
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 3);
    CHECK_EQ(rig->fakes[CRM].records, 3);
    rig_destroy(rig);
}

static void test_an_event_heard_of_after_its_claim_is_not_routed_twice(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    struct rec_receipt r = { .endpoint = STR("shop"), .topic = STR("t"), .body = STR("a -") };

    (void)state;
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    rig_up(rig);
    rig_event(rig, "t", "a -"); /* without a version there is no event key */
    router_submit(&rig->flow->router, event_from_receipt(rig->last_event, &r));
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 1);
    CHECK(rig_quiet(rig, CRM));
    CHECK_EQ(rig->flow->stats.routed, 1);
    rig_destroy(rig);
}

static void write_link(struct flow_rig *rig, struct delivery *d, const char *kind, const char *id)
{
    struct extras x = { 0 };
    sl_link link = { str_of(kind), str_of(id) };
    struct rec_move *m = mem_zero(sizeof(*m));

    (void)rig;
    *m = (struct rec_move){ .num = d->num, .state = DS_HELD };
    extras_link(&x, d, &link, 1);
    /* links belong to the endpoint that wrote them: the shop's here */
    free((char *)x.links[0].endpoint.ptr);
    x.links[0].endpoint = (sl_str){ mem_str("shop"), 4 };
    settle_write(d->lane, 0, "test", m, 1, &x, NULL, NULL);
}

static void test_an_event_that_waits_for_links_is_routed_once_with_the_first(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    struct conf_hold hold = { .type = "x" };

    (void)state;
    rig_route(rig, "hold", "h", OTHER, ACT_SEND)->hold = &hold;
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    rig_up(rig);
    uint64_t held = rig_event(rig, "h", "order 1");
    UNTIL(rig, flow_delivery(rig->flow, held));
    struct delivery *d = flow_delivery(rig->flow, held);
    rig_event(rig, "t", "ref 77");
    UNTIL(rig, rig->flow->stats.routed == 2);
    CHECK_EQ(router_waiting(&rig->flow->router), 1);
    rig_crash(rig);
    rig_up(rig);
    UNTIL(rig, router_waiting(&rig->flow->router) == 1);
    d = flow_delivery(rig->flow, held);
    write_link(rig, d, "po", "77");
    write_link(rig, d, "po2", "77");
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 1);
    CHECK(rig_quiet(rig, CRM));
    CHECK_EQ(rig->fakes[CRM].records, 1);
    CHECK_EQ(router_waiting(&rig->flow->router), 0);

    /* A link that is written while the event is being routed is not missed. */
    rig_event(rig, "t", "ref 78");
    write_link(rig, d, "po", "78");
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 2);
    CHECK(rig_quiet(rig, CRM));
    CHECK_EQ(rig->fakes[CRM].records, 2);
    rig_destroy(rig);
}

static void test_what_is_not_understood_is_a_dead_letter(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);

    (void)state;
    rig_up(rig);
    uint64_t num = rig_event(rig, "t", "? ");
    UNTIL(rig, rig_state(rig, num) == DS_DEAD);
    CHECK_STR(rig->reason, "the event is not understood: what is this");
    CHECK_EQ(rig->notices[NOTICE_DEAD], 1);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fifty_in_a_window_of_four_each_go_once_also_over_a_restart),
        cmocka_unit_test(test_new_deliveries_while_claims_run_are_neither_lost_nor_doubled),
        cmocka_unit_test(test_what_is_left_out_behind_a_claim_is_claimed_again),
        cmocka_unit_test(test_what_left_memory_while_a_claim_runs_is_not_brought_back),
        cmocka_unit_test(test_rejected_is_replayed_under_a_new_key_and_spilled_ones_are_discarded),
        cmocka_unit_test(test_discarding_what_held_a_subject_back_lets_the_next_go),
        cmocka_unit_test(test_discarding_all_in_memory_makes_room_for_what_is_in_the_index),
        cmocka_unit_test(test_of_two_decisions_at_once_one_is_told_it_is_busy),
        cmocka_unit_test(test_a_ready_one_is_not_sent_while_its_discarding_is_written),
        cmocka_unit_test(test_the_next_of_a_subject_does_not_go_while_it_is_being_discarded),
        cmocka_unit_test(test_a_rejected_one_is_mapped_again_alone_and_keeps_its_key),
        cmocka_unit_test(test_what_lost_its_target_is_held_and_can_be_sent_elsewhere),
        cmocka_unit_test(test_the_same_event_twice_makes_one_delivery_and_once_means_once),
        cmocka_unit_test(test_an_event_heard_of_after_its_claim_is_not_routed_twice),
        cmocka_unit_test(test_an_event_that_waits_for_links_is_routed_once_with_the_first),
        cmocka_unit_test(test_what_is_not_understood_is_a_dead_letter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
