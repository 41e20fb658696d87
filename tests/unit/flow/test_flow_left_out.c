/*
 * What was left to the index, or waits at a gate, is looked at again by whatever it waited for: by
 * a simulated clock, so that each of these is the same every time.
 */
#include "../../sim/store_query.h"
#include "clock_rig.h"
#include "flow/behind.h"
#include "flow/order.h"

#define WINDOW   2
#define SUBJECTS 8

static struct conf_hold approval = { .type = "approval" };

static struct clock_rig *setup(void)
{
    struct clock_rig *r = mem_zero(sizeof(*r));

    clock_rig_init(r);
    r->config.window = WINDOW;
    return r;
}

static void teardown(struct clock_rig *r)
{
    clock_rig_finish(r);
    free(r);
}

static struct window *window_of(struct clock_rig *r)
{
    return &r->flow->lanes[CRM]->windows[PRIORITY_NORMAL];
}

/** Events of so many subjects, whose names begin so; the event of each. */
static void events(struct clock_rig *r, const char *prefix, uint64_t ids[SUBJECTS])
{
    for (int i = 0; i < SUBJECTS; i++) {
        char subject[8];
        snprintf(subject, sizeof(subject), "%s%d", prefix, i);
        ids[i] = delivery_event(clock_rig_event(r, "t", subject));
    }
}

static struct conf_route *route_after(struct clock_rig *r, const char *name, struct conf_route **a)
{
    struct conf_route *b = clock_rig_route(r, name, "t");

    route_waits(b, a);
    return b;
}

/* ---- what it waited for moves ---- */

static void test_what_waits_for_what_stands_in_for_another_is_read_again(void **state)
{
    struct clock_rig *r = setup();
    struct conf_route *a = clock_rig_route(r, "a", "t"), *f;
    uint64_t ids[SUBJECTS];

    (void)state;
    route_after(r, "b", &a);
    f = clock_rig_route(r, "f", "f");
    f->hold = &approval;
    a->fallback_route = f;
    a->fallback_on = FALLBACK_REJECTED;
    r->kind = SL_REJECTED;
    clock_rig_up(r);
    events(r, "s", ids);
    clock_rig_pass(r, 5 * SEC);
    for (int i = 0; i < SUBJECTS; i++) {
        CHECK_EQ(clock_rig_state(r, delivery_num(ids[i], 0)), DS_SUPERSEDED);
        CHECK_EQ(clock_rig_state(r, delivery_num(ids[i], 1)), DS_READY);
        CHECK_EQ(clock_rig_state(r, delivery_num(ids[i], 2)), DS_HELD);
    }
    CHECK(window_of(r)->out_from);

    r->kind = SL_DELIVERED;
    for (int i = 0; i < SUBJECTS; i++)
        CHECK_EQ(clock_rig_decide(r, DECISION_RELEASE, delivery_num(ids[i], 2), NULL), 0);
    clock_rig_pass(r, 120 * SEC);
    for (int i = 0; i < SUBJECTS; i++)
        CHECK_EQ(clock_rig_state(r, delivery_num(ids[i], 1)), DS_DELIVERED);
    CHECK_EQ(window_of(r)->out_from, 0);
    teardown(r);
}

static void test_by_a_configuration_that_lets_it_go_it_is_read_again(void **state)
{
    struct clock_rig *r = setup();
    struct conf_route *a = clock_rig_route(r, "a", "t");
    uint64_t ids[SUBJECTS];
    size_t orphaned = 0;

    (void)state;
    a->hold = &approval;
    route_after(r, "b", &a);
    clock_rig_up(r);
    events(r, "s", ids);
    clock_rig_pass(r, 5 * SEC);
    CHECK_EQ(r->delivers, 0);
    CHECK(window_of(r)->out_from);

    struct config next = r->config;
    struct conf_route routes[2] = { r->routes[0], r->routes[1] };
    next.refs = 0;
    next.routes = routes;
    routes[1].n_after = 0;
    CHECK_EQ(flow_reconfigure(r->flow, &next, r->table, &orphaned), 0);
    CHECK_EQ(orphaned, 0);
    clock_rig_pass(r, 60 * SEC);
    CHECK_EQ(r->delivers, SUBJECTS);
    CHECK_EQ(window_of(r)->out_from, 0);
    teardown(r);
}

/** The first of "a" is held, those behind it are known to its chain alone. By another configuration
 *  they are the window's to read; it is asking already, and that fails. */
static void test_a_window_that_asks_in_vain_does_not_forget_from_where_it_is_to_look(void **state)
{
    struct clock_rig *r = setup();
    uint64_t ids[SUBJECTS];
    size_t orphaned, gone;

    (void)state;
    clock_rig_route(r, "r", "t")->ordered = true;
    r->kind = SL_REVIEW;
    clock_rig_up(r);
    clock_rig_event(r, "t", "a");
    clock_rig_pass(r, SEC);
    r->kind = SL_DELIVERED;
    for (int i = 0; i < 8; i++)
        clock_rig_event(r, "t", "a");
    clock_rig_pass(r, 5 * SEC);
    CHECK_EQ(r->flow->n_behind, 1);
    CHECK_EQ(r->delivers, 1);
    CHECK(!window_of(r)->spilled);

    clock_rig_stop(r, false, "crm", PAUSE_BEGINS);
    events(r, "s", ids);
    r->store->plan.slow_ms = 100;
    for (gone = 0; gone < SUBJECTS && !window_of(r)->claiming; gone++) /* so that there is room */
        CHECK_EQ(clock_rig_decide(r, DECISION_DISCARD, delivery_num(ids[gone], 0), NULL), 0);
    CHECK(window_of(r)->claiming);
    r->store->plan = (struct store_plan){ .deaf_per_mille = 1000 };
    store_sim_faults(r->store, true);
    clock_rig_pass(r, 100);
    store_sim_faults(r->store, false);
    CHECK(window_of(r)->claiming);

    struct config next = r->config;
    struct conf_route routes[1] = { r->routes[0] };
    next.refs = 0;
    next.routes = routes;
    routes[0].ordered = false;
    CHECK_EQ(flow_reconfigure(r->flow, &next, r->table, &orphaned), 0);
    CHECK_EQ(r->flow->n_behind, 0);
    clock_rig_stop(r, false, "crm", PAUSE_ENDS);
    clock_rig_pass(r, 60 * SEC);
    CHECK_EQ(r->delivers, 1 + 8 + SUBJECTS - gone);
    teardown(r);
}

/* ---- a chain over two lanes ---- */

struct pair {
    struct conf_group group;
    struct conf_member members[2];
    struct conf_target parts[2];
};

/** crm, then shop. */
static void send_to_both(struct clock_rig *r, struct pair *p, struct conf_route *route)
{
    static const int order[] = { CRM, SHOP };

    *p = (struct pair){ .group = { .name = "both",
                                   .policy = GROUP_FAILOVER,
                                   .members = p->members,
                                   .n_members = 2,
                                   .failover_after_ms = HOUR } };
    for (int i = 0; i < 2; i++) {
        struct conf_endpoint *e = &r->endpoints[order[i]];
        p->members[i] = (struct conf_member){ .endpoint = e, .weight = 1 };
        p->parts[i] =
            (struct conf_target){ .kind = TARGET_SEND, .endpoint = e, .group = &p->group };
    }
    *route->targets = (struct conf_target){
        .kind = TARGET_GROUP, .group = &p->group, .members = p->parts, .n_members = 2
    };
    r->config.groups = &p->group;
    r->config.n_groups = 1;
}

/** The chain of "a" is left out with its first, and has one at a lane whose window has read all
 *  there is and never came to it. */
static void test_what_a_chain_had_at_another_member_is_not_forgotten_with_it(void **state)
{
    struct clock_rig *r = setup();
    struct conf_route *route = clock_rig_route(r, "p", "t");
    uint64_t ids[SUBJECTS], first, there;
    struct pair pair;

    (void)state;
    route->ordered = true;
    send_to_both(r, &pair, route);
    clock_rig_up(r);
    clock_rig_stop(r, true, "p", PAUSE_BEGINS);
    events(r, "s", ids);
    first = clock_rig_event(r, "t", "a");
    for (int i = 0; i < 3; i++)
        clock_rig_event(r, "t", "a");
    events(r, "x", ids);
    while (!r->flow->n_behind)
        world_turn(&r->w);
    CHECK_EQ(flow_trip(r->flow, STR("crm"), STR("a person"), STR("")), 0);
    there = clock_rig_event(r, "t", "a");
    CHECK(str_eq(clock_rig_row(r, there)->endpoint, STR("shop")));
    assert_null(flow_delivery(r->flow, there));
    CHECK_EQ(flow_reset(r->flow, STR("crm"), STR("a person")), 0);
    clock_rig_pass(r, 10 * SEC);
    CHECK_EQ(r->flow->n_behind, 0);
    assert_null(flow_delivery(r->flow, first));

    clock_rig_stop(r, true, "p", PAUSE_ENDS);
    clock_rig_pass(r, 120 * SEC);
    CHECK_EQ(clock_rig_state(r, first), DS_DELIVERED);
    CHECK_EQ(clock_rig_state(r, there), DS_DELIVERED);
    CHECK_EQ(r->delivers, 2 * SUBJECTS + 5);
    teardown(r);
}

static void test_what_waits_for_a_member_that_is_out_from_the_start_moves(void **state)
{
    struct clock_rig *r = setup();
    struct conf_route *route = clock_rig_route(r, "p", "t");
    uint64_t nums[3];
    struct pair pair;

    (void)state;
    send_to_both(r, &pair, route);
    clock_rig_route(r, "q", "u")->on_dead = ON_DEAD_BLOCK; /* read at the start, too */
    r->routes[1].ordered = true;
    r->endpoints[CRM].rate_milli_per_s = 1;
    clock_rig_up(r);
    for (int i = 0; i < 3; i++)
        nums[i] = clock_rig_event(r, "t", "a");
    clock_rig_stop(r, false, "crm", PAUSE_BEGINS);
    clock_rig_crash(r);
    CHECK_EQ(r->delivers, 1);
    pair.group.failover_after_ms = 0;
    r->store->plan.slow_ms = 100;
    clock_rig_up(r);
    clock_rig_pass(r, 10 * SEC);
    CHECK_EQ(r->delivers, 3);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(clock_rig_state(r, nums[i]), DS_DELIVERED);
    CHECK(str_eq(clock_rig_row(r, nums[2])->endpoint, STR("shop")));
    teardown(r);
}

/** It falls back to an endpoint that is removed while this is being written. */
static void test_what_falls_back_to_an_endpoint_that_has_gone_is_held_there(void **state)
{
    struct clock_rig *r = setup();
    struct conf_route *route = clock_rig_route(r, "p", "t");
    struct conf_target other = { .kind = TARGET_SEND, .endpoint = &r->endpoints[SHOP] };
    struct conf_endpoint crm = r->endpoints[CRM];
    struct conf_target target = { .kind = TARGET_SEND, .endpoint = &crm };
    struct conf_route without;
    struct config next = r->config;
    size_t orphaned;

    (void)state;
    route->fallback = &other;
    route->fallback_on = FALLBACK_REJECTED;
    r->kind = SL_REJECTED;
    r->store->plan.slow_ms = 100;
    clock_rig_up(r);
    uint64_t num = clock_rig_event(r, "t", "a");
    while (!r->delivers)
        world_turn(&r->w);
    CHECK_EQ(clock_rig_state(r, num), DS_INFLIGHT);

    crm.index = 0;
    without = *route;
    without.fallback = NULL;
    without.targets = &target;
    next.refs = 0;
    next.endpoints = &crm;
    next.n_endpoints = 1;
    next.routes = &without;
    next.n_routes = 1;
    CHECK_EQ(flow_reconfigure(r->flow, &next, &r->table[CRM], &orphaned), 0);
    clock_rig_pass(r, 5 * SEC);
    CHECK(str_eq(clock_rig_row(r, num)->endpoint, STR("shop")));
    CHECK_EQ(clock_rig_state(r, num), DS_HELD);

    r->kind = SL_DELIVERED;
    CHECK_EQ(flow_reconfigure(r->flow, &r->config, r->table, &orphaned), 0);
    clock_rig_pass(r, 5 * SEC);
    CHECK_EQ(clock_rig_decide(r, DECISION_RELEASE, num, NULL), 0);
    clock_rig_pass(r, 5 * SEC);
    CHECK_EQ(clock_rig_state(r, num), DS_DELIVERED);
    teardown(r);
}

/* ---- what is read meanwhile ---- */

/** Without crm, as if it had been removed while nothing ran. Nothing is recovered yet. */
static void up_without_crm(struct clock_rig *r, struct config *without)
{
    struct fail fail = { 0 };

    *without = r->config;
    without->refs = 0;
    without->n_endpoints = CRM;
    store_sim_start(r->store);
    r->adapters[SHOP].open = true;
    CHECK_EQ(flow_open(&r->flow,
                       &(struct flow_conf){ .loop = &r->w.loop,
                                            .store = r->store,
                                            .config = without,
                                            .adapters = r->table,
                                            .seed = 1 },
                       &fail),
             0);
    r->up = true;
}

/** One that is held at crm; the store takes its time, each `time` another one. */
static uint64_t held_at_crm(struct clock_rig *r, uint64_t time)
{
    uint64_t num;

    clock_rig_route(r, "p", "t")->hold = &approval;
    clock_rig_up(r);
    num = clock_rig_event(r, "t", "a");
    clock_rig_crash(r);
    r->store->plan.slow_ms = 100;
    rng_seed(&r->store->rng, time);
    return num;
}

static void test_what_is_decided_while_a_removed_endpoint_is_read_is_not_held_again(void **state)
{
    (void)state;
    for (uint64_t time = 0; time < 20; time++) {
        struct clock_rig *r = setup();
        uint64_t num = held_at_crm(r, time);
        struct config without;
        up_without_crm(r, &without);
        CHECK_EQ(clock_rig_decide(r, DECISION_DISCARD, num, NULL), 0);
        clock_rig_pass(r, 2 * SEC);
        assert_null(flow_delivery(r->flow, num));
        teardown(r);
    }
}

static void test_what_is_discarded_as_its_endpoint_comes_back_is_not_held_again(void **state)
{
    (void)state;
    for (uint64_t time = 0; time < 40; time++) {
        struct clock_rig *r = setup();
        uint64_t num = held_at_crm(r, time);
        struct config without;
        size_t orphaned;

        up_without_crm(r, &without);
        clock_rig_pass(r, 2 * SEC);
        r->adapters[CRM].open = true;
        clock_rig_begin_decide(r, DECISION_DISCARD, num, NULL);
        while (!r->flow->appends && !r->answered)
            world_turn(&r->w);
        CHECK_EQ(flow_reconfigure(r->flow, &r->config, r->table, &orphaned), 0);
        clock_rig_pass(r, 2 * SEC);
        CHECK(r->answered && r->decided.status == 0);
        assert_null(flow_delivery(r->flow, num));
        teardown(r);
    }
}

/** What is in memory stays there, though the window has gone back before it: order asks for what is
 *  made late of the same subject. */
static void test_a_window_that_goes_back_says_that_what_is_in_memory_is_beyond_it(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    clock_rig_route(r, "p", "t")->hold = &approval;
    clock_rig_up(r);
    clock_rig_event(r, "t", "a");
    clock_rig_pass(r, 100);
    windows_look_from(r->flow, UINT64_MAX);
    CHECK(!r->flow->beyond);
    windows_look_from(r->flow, 1);
    CHECK(r->flow->beyond);
    teardown(r);
}

/* ---- gates ---- */

/** Another delivery of the event, as the gate learns of it: the store is asked. */
static void make_it_ask(struct clock_rig *r, uint64_t event)
{
    struct order_move m = { .num = delivery_num(event, 9),
                            .route = &r->routes[0],
                            .subject = STR("a"),
                            .state = DS_READY };

    order_moved(r->flow, &m);
    CHECK(r->flow->gates->asking);
}

/** The one of route "b" waits at a gate for the one of "a", the first, which is held. */
static uint64_t waits_at_a_gate(struct clock_rig *r, struct conf_route **a)
{
    uint64_t first;

    *a = clock_rig_route(r, "a", "t");
    (*a)->hold = &approval;
    route_after(r, "b", a);
    clock_rig_up(r);
    first = clock_rig_event(r, "t", "a");
    clock_rig_pass(r, 100);
    return first;
}

static void on_closed(void *ctx)
{
    (void)ctx;
}

static void test_a_gate_that_nobody_waits_at_ends_when_the_store_takes_no_question(void **state)
{
    struct clock_rig *r = setup();
    struct conf_route *a;
    uint64_t first = waits_at_a_gate(r, &a);

    (void)state;
    CHECK(r->flow->gates);
    r->store->plan = (struct store_plan){ .deaf_per_mille = 1000 };
    store_sim_faults(r->store, true);
    make_it_ask(r, delivery_event(first));
    clock_rig_pass(r, 100);
    store_sim_faults(r->store, false); /* and it is asked again in a second */
    gate_leave(flow_delivery(r->flow, first + 1));
    CHECK(r->flow->gates);
    store_close(r->store, on_closed, NULL);
    clock_rig_pass(r, 2 * SEC);
    assert_null(r->flow->gates);
    teardown(r);
}

/** What the gate knows is older than what it asks about. */
static void test_another_configuration_does_not_judge_by_an_answer_that_is_too_old(void **state)
{
    struct clock_rig *r = setup();
    struct conf_route *a;
    uint64_t first = waits_at_a_gate(r, &a);
    size_t orphaned;

    (void)state;
    r->flow->gates->rows[0].state = DS_DELIVERED; /* as it would be, had it been made again since */
    make_it_ask(r, delivery_event(first));
    CHECK_EQ(flow_reconfigure(r->flow, &r->config, r->table, &orphaned), 0);
    clock_rig_pass(r, 10 * SEC);
    CHECK_EQ(r->delivers, 0);
    CHECK_EQ(clock_rig_decide(r, DECISION_RELEASE, first, NULL), 0);
    clock_rig_pass(r, 10 * SEC);
    CHECK_EQ(r->delivers, 2);
    teardown(r);
}

static void test_what_loses_its_route_waits_at_no_gate_that_is_being_asked_about(void **state)
{
    struct clock_rig *r = setup();
    struct conf_route *a;
    struct config next;
    uint64_t first = waits_at_a_gate(r, &a);
    size_t orphaned;

    (void)state;
    make_it_ask(r, delivery_event(first));
    next = r->config;
    next.refs = 0;
    next.n_routes = 1;
    CHECK_EQ(flow_reconfigure(r->flow, &next, r->table, &orphaned), 0);
    CHECK_EQ(orphaned, 1);
    assert_null(flow_delivery(r->flow, first + 1)->gate);
    clock_rig_pass(r, SEC);
    CHECK_EQ(clock_rig_state(r, first + 1), DS_HELD);
    teardown(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_waits_for_what_stands_in_for_another_is_read_again),
        cmocka_unit_test(test_by_a_configuration_that_lets_it_go_it_is_read_again),
        cmocka_unit_test(test_a_window_that_asks_in_vain_does_not_forget_from_where_it_is_to_look),
        cmocka_unit_test(test_what_falls_back_to_an_endpoint_that_has_gone_is_held_there),
        cmocka_unit_test(test_what_a_chain_had_at_another_member_is_not_forgotten_with_it),
        cmocka_unit_test(test_what_waits_for_a_member_that_is_out_from_the_start_moves),
        cmocka_unit_test(test_what_is_decided_while_a_removed_endpoint_is_read_is_not_held_again),
        cmocka_unit_test(test_what_is_discarded_as_its_endpoint_comes_back_is_not_held_again),
        cmocka_unit_test(test_a_window_that_goes_back_says_that_what_is_in_memory_is_beyond_it),
        cmocka_unit_test(test_a_gate_that_nobody_waits_at_ends_when_the_store_takes_no_question),
        cmocka_unit_test(test_what_loses_its_route_waits_at_no_gate_that_is_being_asked_about),
        cmocka_unit_test(test_another_configuration_does_not_judge_by_an_answer_that_is_too_old),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
