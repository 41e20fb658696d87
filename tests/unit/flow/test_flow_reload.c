/*
 * Going over to another configuration: what waits, what is under way, what has lost its place.
 */
#include "flow_rig.h"

/** A further configuration: at first the rig's own, once more. */
struct generation {
    struct config config;
    struct conf_endpoint endpoints[RIG_ENDPOINTS];
    struct conf_route routes[8];
    struct conf_target targets[8];
    struct adapter *adapters[RIG_ENDPOINTS];
    struct adapter crm; /* a second instance, where the test wants one */
    struct fake fake;
    size_t orphaned;
};

static unsigned unused; /* adapters that nobody uses any more */

static void on_unused(void *ctx)
{
    (void)ctx;
    unused++;
}

static struct flow_rig *setup(uint32_t action)
{
    struct flow_rig *rig = rig_new();

    unused = 0;
    rig_route(rig, "r", "t", CRM, action);
    rig_route(rig, "s", "u", OTHER, ACT_SEND);
    rig_up(rig);
    rig->adapters[CRM].unused = rig->adapters[OTHER].unused = on_unused;
    return rig;
}

static struct generation *again(struct flow_rig *rig)
{
    struct generation *g = mem_zero(sizeof(*g));

    g->config = rig->config;
    g->config.refs = 0;
    g->config.endpoints = g->endpoints;
    g->config.routes = g->routes;
    memcpy(g->endpoints, rig->endpoints, sizeof(g->endpoints));
    memcpy(g->routes, rig->routes, sizeof(g->routes));
    memcpy(g->targets, rig->targets, sizeof(g->targets));
    for (size_t i = 0; i < g->config.n_routes; i++) {
        g->routes[i].targets = &g->targets[i];
        g->targets[i].endpoint = &g->endpoints[g->targets[i].endpoint->index];
    }
    for (size_t i = 0; i < RIG_ENDPOINTS; i++)
        g->adapters[i] = &rig->adapters[i];
    return g;
}

/** CRM gets an instance of its own in this one. */
static void other_instance(struct flow_rig *rig, struct generation *g)
{
    list_init(&g->fake.calls);
    g->crm = rig->adapters[CRM];
    g->crm.refs = 0;
    g->crm.self = &g->fake;
    g->adapters[CRM] = &g->crm;
}

/** The last one listed is gone. */
static void without_other(struct generation *g)
{
    g->config.n_endpoints = OTHER;
    g->config.n_routes = 1;
}

static void go_over(struct flow_rig *rig, struct generation *g)
{
    CHECK_EQ(flow_reconfigure(rig->flow, &g->config, g->adapters, &g->orphaned), 0);
}

static void teardown(struct flow_rig *rig, struct generation *g, struct generation *h)
{
    g->crm.open = false;
    rig_finish(rig);
    CHECK_EQ(rig->config.refs, 0);
    CHECK_EQ(g->config.refs, 0);
    free(g);
    free(h);
    free(rig);
}

static void what_waits_goes_on_in_its_order_and_the_old_one_is_let_go(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    struct generation *g = again(rig);
    uint64_t nums[3];
    char want[100] = "", name[32];

    (void)state;
    lane_park(rig->flow->lanes[CRM], STR("x"), 60000);
    for (int i = 0; i < 3; i++) {
        nums[i] = rig_event(rig, "t", (const char *[]){ "a 1", "b 1", "a 2" }[i]);
        UNTIL(rig, flow_delivery(rig->flow, nums[i]));
        delivery_name(nums[i], name);
        strcat(strcat(want, name), " ");
    }
    g->endpoints[CRM].concurrency = 1;
    go_over(rig, g);
    CHECK_EQ(g->orphaned, 0);
    CHECK_EQ(rig->config.refs, 0);
    CHECK(rig->flow->lanes[CRM]->parked);
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    CHECK_EQ(flow_unpark(rig->flow, STR("crm")), 0);
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 3);
    CHECK_STR(rig->fakes[CRM].log, want);
    CHECK_EQ(unused, 0);
    teardown(rig, g, NULL);
}

static void limits_hold_at_once_and_the_level_stays_in_proportion(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    struct generation *g = again(rig), *h;

    (void)state;
    g->endpoints[CRM].rate_milli_per_s = 1; /* nothing more comes in the test's time */
    g->endpoints[CRM].burst = 4;
    g->endpoints[CRM].concurrency = 1;
    go_over(rig, g);
    rig_event(rig, "t", "a 1");
    rig_event(rig, "t", "b 1");
    struct call *c = rig_call(rig, CRM);
    CHECK_EQ(rig->flow->lanes[CRM]->under_way, 1);
    CHECK_EQ(rig->flow->lanes[CRM]->bucket.level, 3000);
    breaker_trip(&rig->flow->lanes[CRM]->breaker, uv_now(&rig->loop), &rig->flow->rng);
    h = again(rig);
    h->endpoints[CRM] = g->endpoints[CRM];
    h->endpoints[CRM].burst = 8;
    h->endpoints[CRM].breaker.open_ms = 77;
    go_over(rig, h);
    CHECK_EQ(rig->flow->lanes[CRM]->bucket.level, 6000);
    CHECK_EQ(rig->flow->lanes[CRM]->breaker.state, BREAKER_OPEN);
    CHECK_EQ(rig->flow->lanes[CRM]->breaker.conf.open_ms, 77);
    CHECK_EQ(g->config.refs, 1); /* the batch's */
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    rig_answer(c, SL_DELIVERED);
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 2);
    CHECK_EQ(g->config.refs, 0);
    teardown(rig, g, h);
}

static void a_removed_route_holds_what_waits_until_it_is_back_and_released(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    struct generation *g = again(rig), *h = again(rig);

    (void)state;
    lane_park(rig->flow->lanes[OTHER], STR("x"), 60000);
    uint64_t num = rig_event(rig, "u", "a 1");
    UNTIL(rig, flow_delivery(rig->flow, num));
    g->config.n_routes = 1;
    go_over(rig, g);
    CHECK_EQ(g->orphaned, 1);
    UNTIL(rig, rig_state(rig, num) == DS_HELD);
    CHECK_STR(rig->hold_type, "orphaned");
    CHECK(strstr(rig->reason, "sluice held release"));
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, num, NULL), UV_EINVAL);
    go_over(rig, h);
    CHECK_EQ(flow_unpark(rig->flow, STR("other")), 0);
    CHECK(rig_quiet(rig, OTHER));
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, num, NULL), 0);
    rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
    teardown(rig, g, h);
}

static void a_removed_endpoint_ends_what_is_out_and_holds_the_rest(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    struct generation *g = again(rig), *h = again(rig), *gone = again(rig);
    uint64_t nums[4];

    (void)state;
    rig->flow->lanes[OTHER]->windows[PRIORITY_NORMAL].spilled = false;
    for (int i = 0; i < 4; i++)
        nums[i] = rig_event(rig, "u", (const char *[]){ "a 1", "a 2", "b 1", "c 1" }[i]);
    UNTIL(rig, rig->fakes[OTHER].delivers == 3); /* a 1, b 1, c 1 */
    without_other(g);
    go_over(rig, g);
    CHECK_EQ(g->orphaned, 1);
    CHECK_EQ(unused, 0); /* it still answers for three */
    CHECK_EQ(flow_lanes(rig->flow), 2);
    UNTIL(rig, rig_state(rig, nums[1]) == DS_HELD);
    rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, nums[0]) == DS_DELIVERED);
    rig_answer(rig_call(rig, OTHER), SL_RETRY); /* no more of that */
    UNTIL(rig, rig_state(rig, nums[2]) == DS_HELD);
    CHECK_STR(rig->hold_type, "orphaned");
    CHECK_EQ(rig->row.attempts, 1);
    CHECK_EQ(unused, 0);
    rig_answer(rig_call(rig, OTHER), SL_UNKNOWN);
    UNTIL(rig, rig_state(rig, nums[3]) == DS_HELD);
    CHECK(strstr(rig->reason, "its outcome is unknown"));
    UNTIL(rig, unused == 1);
    CHECK_EQ(rig->config.refs, 1); /* the removed lane's: its settings of then */
    without_other(gone);
    go_over(rig, gone);
    CHECK_EQ(rig->config.refs, 0); /* and at the next reload nobody's */
    CHECK_EQ(rig_state(rig, nums[1]), DS_HELD);

    h->adapters[OTHER]->retired = false; /* as a new instance would be */
    go_over(rig, h);
    CHECK_EQ(flow_lanes(rig->flow), 3);
    CHECK(rig_quiet(rig, OTHER));
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, nums[1], NULL), 0);
    rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, nums[1]) == DS_DELIVERED);
    CHECK_EQ(gone->config.refs, 0);
    teardown(rig, g, h);
    free(gone);
}

static void what_waits_on_disk_for_a_removed_endpoint_is_held_too(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    struct generation *g = again(rig);
    uint64_t num = 0;

    (void)state;
    lane_park(rig->flow->lanes[OTHER], STR("x"), 60000);
    rig->config.window = g->config.window = 2;
    for (int i = 0; i < 12; i++) {
        char body[16];
        snprintf(body, sizeof(body), "a %d", i);
        num = rig_event(rig, "u", body);
    }
    UNTIL(rig, rig->flow->stats.routed == 12);
    CHECK(rig->flow->lanes[OTHER]->windows[PRIORITY_NORMAL].spilled);
    without_other(g);
    go_over(rig, g);
    CHECK_EQ(g->orphaned, 2);
    UNTIL(rig, rig_state(rig, num) == DS_HELD);
    CHECK_STR(rig->hold_type, "orphaned");
    CHECK_EQ(rig->fakes[OTHER].delivers, 0);
    teardown(rig, g, NULL);
}

static void a_changed_endpoint_sends_by_its_new_instance_and_ends_by_the_old(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    struct generation *g = again(rig);

    (void)state;
    uint64_t first = rig_event(rig, "t", "a 1");
    struct call *old = rig_call(rig, CRM);
    other_instance(rig, g);
    go_over(rig, g);
    uint64_t second = rig_event(rig, "t", "b 1");
    UNTIL(rig, g->fake.delivers == 1);
    CHECK_EQ(rig->fakes[CRM].delivers, 1);
    CHECK_EQ(unused, 0);
    rig_answer(old, SL_UNKNOWN);
    UNTIL(rig, unused == 1);
    UNTIL(rig, g->fake.confirms == 1); /* the new one asks whether it arrived */
    CHECK_EQ(rig->fakes[CRM].confirms, 0);
    while (!list_empty(&g->fake.calls)) {
        struct call *c = list_entry(g->fake.calls.next, struct call, node);
        if (c->kind == CALL_CONFIRM)
            rig_confirm(c, SL_CONFIRM_YES);
        else
            rig_answer(c, SL_DELIVERED);
    }
    UNTIL(rig, rig_state(rig, first) == DS_DELIVERED);
    UNTIL(rig, rig_state(rig, second) == DS_DELIVERED);
    teardown(rig, g, NULL);
}

/** An endpoint's adapter becomes one with more actions, each with a breaker of its own. */
static void another_adapter_has_breakers_for_its_own_actions(void **state)
{
    static const sl_action more[] = {
        { .name = "a", .batch_records = 1 },    { .name = "b", .batch_records = 1 },
        { .name = "c", .batch_records = 1 },    { .name = "d", .batch_records = 1 },
        { .name = "e", .batch_records = 1 },    { .name = "f", .batch_records = 1 },
        { .name = "send", .batch_records = 1 }, { 0 },
    };
    struct flow_rig *rig = rig_new();
    struct generation *g;
    sl_plugin other;

    (void)state;
    unused = 0;
    rig_route(rig, "r", "t", CRM, ACT_SEND);
    rig_route(rig, "s", "u", OTHER, ACT_SEND);
    rig->endpoints[CRM].breaker.per_action = true;
    rig_up(rig);
    other = *rig->endpoints[CRM].plugin;
    other.actions = more;
    g = again(rig);
    other_instance(rig, g);
    g->crm.plugin = g->endpoints[CRM].plugin = &other;
    g->targets[0].action = 6;
    uint64_t first = rig_event(rig, "t", "a 1");
    struct call *old = rig_call(rig, CRM);
    go_over(rig, g);
    uint64_t second = rig_event(rig, "t", "b 1");
    UNTIL(rig, g->fake.delivers == 1);
    rig_answer(list_entry(g->fake.calls.next, struct call, node), SL_DELIVERED);
    rig_answer(old, SL_DELIVERED); /* of the adapter before: it says nothing of the new one */
    UNTIL(rig, rig_state(rig, first) == DS_DELIVERED);
    UNTIL(rig, rig_state(rig, second) == DS_DELIVERED);
    teardown(rig, g, NULL);
}

static void a_question_under_way_ends_by_what_it_began_with(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    struct generation *g = again(rig);

    (void)state;
    uint64_t num = rig_event(rig, "u", "a 1");
    rig_answer(rig_call(rig, OTHER), SL_UNKNOWN);
    struct call *question = rig_call(rig, OTHER);
    CHECK_EQ(question->kind, CALL_CONFIRM);
    without_other(g);
    go_over(rig, g);
    CHECK_EQ(g->orphaned, 0);
    CHECK_EQ(unused, 0);
    rig_confirm(question, SL_CONFIRM_EARLY);
    UNTIL(rig, rig_state(rig, num) == DS_HELD);
    CHECK_STR(rig->hold_type, "orphaned");
    UNTIL(rig, unused == 1);
    teardown(rig, g, NULL);
}

static void a_routing_that_began_before_ends_in_the_new_one(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    struct generation *g = again(rig), *h = again(rig);

    (void)state;
    uint64_t kept = rig_event(rig, "t", "a 1");
    UNTIL(rig, rig->flow->router.under_way == 1); /* what it made is on its way to the disk */
    go_over(rig, h);
    uint64_t lost = rig_event(rig, "u", "b 1");
    UNTIL(rig, rig->flow->router.under_way == 1);
    without_other(g);
    go_over(rig, g);
    rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, kept) == DS_DELIVERED);
    UNTIL(rig, rig_state(rig, lost) == DS_HELD);
    CHECK_STR(rig->hold_type, "orphaned");
    CHECK_EQ(rig->fakes[OTHER].delivers, 0);
    teardown(rig, g, h);
}

static void an_added_endpoint_waits_for_what_is_held_for_it_from_before(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    struct generation *g = again(rig), *h = again(rig);

    (void)state;
    lane_park(rig->flow->lanes[OTHER], STR("x"), 60000);
    uint64_t first = rig_event(rig, "u", "a 1");
    UNTIL(rig, flow_delivery(rig->flow, first));
    rig_crash(rig);
    rig->config.n_endpoints = OTHER; /* a start without it */
    rig->config.n_routes = 1;
    rig_up(rig);
    UNTIL(rig, rig_state(rig, first) == DS_HELD);
    go_over(rig, h);
    UNTIL(rig, !rig->flow->lanes[OTHER]->unread);
    uint64_t second = rig_event(rig, "u", "a 2"); /* the held one stands first, in order */
    UNTIL(rig, flow_delivery(rig->flow, second));
    CHECK(rig_quiet(rig, OTHER));
    CHECK_EQ(rig_state(rig, second), DS_READY);
    CHECK_EQ(rig_decide(rig, DECISION_DISCARD, first, NULL), 0);
    rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, second) == DS_DELIVERED);
    rig->config.n_routes = 2;
    teardown(rig, h, g);
}

static void order_can_be_switched_off_and_on(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    struct generation *g = again(rig), *h = again(rig);

    (void)state;
    rig_event(rig, "t", "a 1");
    rig_event(rig, "t", "a 2");
    rig_call(rig, CRM);
    CHECK(rig_quiet(rig, OTHER));
    CHECK_EQ(rig->fakes[CRM].delivers, 1);
    g->routes[0].ordered = false;
    go_over(rig, g);
    UNTIL(rig, rig->fakes[CRM].delivers == 2);
    go_over(rig, h);
    uint64_t third = rig_event(rig, "t", "a 3");
    UNTIL(rig, flow_delivery(rig->flow, third));
    CHECK(rig_quiet(rig, OTHER));
    CHECK_EQ(rig->fakes[CRM].delivers, 2);
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    while (!list_empty(&rig->fakes[CRM].calls))
        rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, third) == DS_DELIVERED);
    teardown(rig, g, h);
}

static void an_added_endpoint_is_read_though_its_window_was_filled_before(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    struct generation *h = again(rig);

    (void)state;
    h->config.window = 1;
    rig_crash(rig);
    rig->config.n_endpoints = OTHER;
    rig->config.n_routes = 1;
    rig_up(rig);
    go_over(rig, h);
    struct lane *l = rig->flow->lanes[OTHER];
    CHECK_EQ(l->unread, PRIORITY__COUNT);
    l->windows[PRIORITY_NORMAL].n++; /* moved here by a group that was quicker */
    UNTIL(rig, !l->unread);
    l->windows[PRIORITY_NORMAL].n--;
    rig->fakes[OTHER].auto_kind = SL_DELIVERED;
    uint64_t num = rig_event(rig, "u", "a 1");
    UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
    rig->config.n_routes = 2;
    teardown(rig, h, NULL);
}

static void what_was_discarded_while_its_route_was_gone_blocks_nothing(void **state)
{
    struct flow_rig *rig = setup(ACT_SEND);
    uint64_t dead, kept, later;

    (void)state;
    rig->routes[1].on_dead = ON_DEAD_BLOCK;
    struct generation *g = again(rig), *h = again(rig);
    dead = rig_event(rig, "u", "a 1");
    rig_answer(rig_call(rig, OTHER), SL_REJECTED);
    kept = rig_event(rig, "u", "b 1");
    rig_answer(rig_call(rig, OTHER), SL_REJECTED);
    UNTIL(rig, rig_state(rig, dead) == DS_DEAD && rig_state(rig, kept) == DS_DEAD);
    g->config.n_routes = 1;
    go_over(rig, g);
    CHECK_EQ(rig_decide(rig, DECISION_DISCARD, dead, NULL), 0);
    go_over(rig, h);
    rig->fakes[OTHER].auto_kind = SL_DELIVERED;
    later = rig_event(rig, "u", "b 2");
    dead = rig_event(rig, "u", "a 2");
    UNTIL(rig, rig_state(rig, dead) == DS_DELIVERED);
    CHECK_EQ(rig_state(rig, later), DS_READY); /* that one is dead still */
    CHECK_EQ(rig_decide(rig, DECISION_DISCARD, kept, NULL), 0);
    UNTIL(rig, rig_state(rig, later) == DS_DELIVERED);
    CHECK(!rig->flow->dead_chains);
    teardown(rig, g, h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_goes_on_in_its_order_and_the_old_one_is_let_go),
        cmocka_unit_test(limits_hold_at_once_and_the_level_stays_in_proportion),
        cmocka_unit_test(a_removed_route_holds_what_waits_until_it_is_back_and_released),
        cmocka_unit_test(a_removed_endpoint_ends_what_is_out_and_holds_the_rest),
        cmocka_unit_test(what_waits_on_disk_for_a_removed_endpoint_is_held_too),
        cmocka_unit_test(a_changed_endpoint_sends_by_its_new_instance_and_ends_by_the_old),
        cmocka_unit_test(another_adapter_has_breakers_for_its_own_actions),
        cmocka_unit_test(a_question_under_way_ends_by_what_it_began_with),
        cmocka_unit_test(a_routing_that_began_before_ends_in_the_new_one),
        cmocka_unit_test(an_added_endpoint_waits_for_what_is_held_for_it_from_before),
        cmocka_unit_test(order_can_be_switched_off_and_on),
        cmocka_unit_test(an_added_endpoint_is_read_though_its_window_was_filled_before),
        cmocka_unit_test(what_was_discarded_while_its_route_was_gone_blocks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
