/*
 * Bodies that are not in memory: asked for together, ahead of their time, and never an old one.
 */
#include "flow_rig.h"

#define MANY 60

static struct flow_rig *setup(uint32_t action)
{
    struct flow_rig *rig = rig_new();

    rig_route(rig, "r", "t", CRM, action);
    return rig;
}

/** So many wait in the index when the lane starts. */
static void with_backlog(struct flow_rig *rig, int n)
{
    char body[40];

    rig_up(rig);
    rig->adapters[CRM].lane->parked = true;
    rig->adapters[CRM].lane->parked_until = UINT64_MAX;
    for (int i = 0; i < n; i++) {
        snprintf(body, sizeof(body), "s%d 1", i);
        rig_event(rig, "t", body);
    }
    UNTIL(rig, rig->flow->stats.routed == (uint64_t)n);
    rig_crash(rig);
    rig_up(rig);
}

static sl_str body_out(struct flow_rig *rig)
{
    return rig_call(rig, CRM)->batch->records[0].body;
}

static void
test_a_backlog_is_read_in_few_questions_and_each_goes_out_with_its_own_body(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    char want[40];

    (void)state;
    rig->endpoints[CRM].concurrency = 1;
    with_backlog(rig, MANY);
    for (int i = 0; i < MANY; i++) {
        snprintf(want, sizeof(want), "s%d 1", i);
        assert_true(str_eq(body_out(rig), str_of(want)));
        rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    }
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == MANY);
    CHECK(rig->flow->fetches < 5);
    rig_destroy(rig);
}

static void test_what_is_read_ahead_is_counted_and_bounded(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    struct delivery *d, *tmp;

    (void)state;
    rig->endpoints[CRM].concurrency = 1;
    with_backlog(rig, 10);
    rig_call(rig, CRM);
    CHECK_EQ(rig->flow->ahead_bytes, 9 * strlen("s1 1"));
    HASH_ITER (hh, rig->flow->deliveries, d, tmp)
        if (d->state == DS_READY)
            lane_drop_bytes(d);
    CHECK_EQ(rig->flow->ahead_bytes, 0);
    rig->flow->ahead_bytes = UINT32_MAX; /* other lanes have taken all the room */
    uint64_t before = rig->flow->fetches;
    for (int i = 0; i < 10; i++)
        rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 10);
    CHECK_EQ(rig->flow->fetches, before + 9); /* each for itself */
    CHECK_EQ(rig->flow->ahead_bytes, UINT32_MAX);
    rig_destroy(rig);
}

static void test_a_batch_asks_for_all_its_bodies_at_once(void **state)
{
    struct flow_rig *rig = setup(ACT_BULK);

    (void)state;
    rig->endpoints[CRM].concurrency = 1;
    with_backlog(rig, 10);
    struct call *c = rig_call(rig, CRM);
    CHECK_EQ(c->n, 10);
    assert_true(str_eq(c->batch->records[9].body, STR("s9 1")));
    CHECK_EQ(rig->flow->fetches, 1);
    rig_answer(c, SL_DELIVERED);
    rig_destroy(rig);
}

static void test_bytes_that_were_dropped_are_read_again(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);

    (void)state;
    rig->endpoints[CRM].concurrency = 1;
    with_backlog(rig, 3);
    rig_call(rig, CRM);
    struct list *first = rig->flow->lanes[CRM]->piles.next;
    struct pile *p = list_entry(first, struct pile, node);
    struct delivery *d = list_entry(p->ready.next, struct delivery, pile_node);
    assert_non_null(d->body); /* ahead of its time */
    lane_drop_bytes(d);
    rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    assert_true(str_eq(body_out(rig), STR("s1 1")));
    rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 3);
    rig_destroy(rig);
}

static void test_an_answer_from_before_a_change_means_nothing(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);

    (void)state;
    rig->endpoints[CRM].concurrency = 1;
    with_backlog(rig, 2);
    struct delivery *d, *tmp, *last = NULL;
    HASH_ITER (hh, rig->flow->deliveries, d, tmp)
        last = !last || d->num > last->num ? d : last;
    UNTIL(rig, last->fetch || last->body);
    /* It is changed while its body is on its way: what comes is not what it is now. */
    delivery_drop_bytes(last);
    last->fetch = rig->flow->fetches + 1;
    lane_drop_bytes(last);
    CHECK_EQ(last->fetch, 0);
    rig_call(rig, CRM);
    assert_null(last->body);
    rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    assert_true(str_eq(body_out(rig), STR("s1 1")));
    rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    rig_destroy(rig);
}

static void test_a_store_that_closes_meanwhile_leaves_nothing_behind(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);

    (void)state;
    with_backlog(rig, MANY);
    rig_crash(rig); /* with questions on their way */
    rig_up(rig);
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    while (!rig_quiet(rig, CRM)) {
        struct call *c = rig_call(rig, CRM);
        if (c->kind == CALL_CONFIRM) /* it was out at the crash */
            rig_confirm(c, SL_CONFIRM_YES);
        else
            rig_answer(c, SL_DELIVERED);
    }
    UNTIL(rig, rig->flow->lanes[CRM]->counts[DS_READY] == 0);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_a_backlog_is_read_in_few_questions_and_each_goes_out_with_its_own_body),
        cmocka_unit_test(test_what_is_read_ahead_is_counted_and_bounded),
        cmocka_unit_test(test_a_batch_asks_for_all_its_bodies_at_once),
        cmocka_unit_test(test_bytes_that_were_dropped_are_read_again),
        cmocka_unit_test(test_an_answer_from_before_a_change_means_nothing),
        cmocka_unit_test(test_a_store_that_closes_meanwhile_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
