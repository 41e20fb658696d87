/*
 * What waits for a member that is out moves; what may have arrived there does not.
 */
#include "group_rig.h"

static struct group_rig *setup(void)
{
    struct group_rig *g = group_rig(GROUP_FAILOVER, 2, ACT_SEND);

    g->rig.endpoints[CRM].park_probe_ms = 600000;
    return g;
}

static struct lane *lane(struct group_rig *g, int endpoint)
{
    return g->rig.flow->lanes[endpoint];
}

/** One that crm answers with a 500: perhaps it is there. */
static uint64_t refused_for_now(struct group_rig *g)
{
    uint64_t num = rig_event(&g->rig, "t", "a 1");
    struct call *c = rig_call(&g->rig, CRM);

    rig_outcome(c, 0, SL_RETRY, 20000);
    rig_end(c);
    UNTIL(&g->rig, rig_state(&g->rig, num) == DS_WAITING);
    return num;
}

/** One whose answer from crm is lost: the question that follows. */
static struct call *asked(struct group_rig *g, uint64_t *ret_num)
{
    *ret_num = rig_event(&g->rig, "t", "a 1");
    rig_answer(rig_call(&g->rig, CRM), SL_UNKNOWN);
    return rig_call(&g->rig, CRM);
}

static void test_what_waits_moves_and_keeps_its_key(void **state)
{
    struct group_rig *g = setup();
    char key[40];
    bool same_key = false;

    (void)state;
    g->rig.endpoints[CRM].concurrency = 1;
    rig_up(&g->rig);
    uint64_t first = rig_event(&g->rig, "t", "a 1");
    struct call *c = rig_call(&g->rig, CRM);
    snprintf(key, sizeof(key), "%s", c->keys[0]);
    uint64_t second = rig_event(&g->rig, "t", "b 1");
    UNTIL(&g->rig, flow_delivery(g->rig.flow, second));
    lane_park(lane(g, CRM), STR("HTTP 401"), 600000);
    rig_not_sent(c, 20000);
    for (int i = 0; i < 2; i++) { /* in whichever order */
        c = rig_call(&g->rig, OTHER);
        same_key |= !strcmp(c->keys[0], key);
        rig_answer(c, SL_DELIVERED);
    }
    CHECK(same_key);
    UNTIL(&g->rig, rig_state(&g->rig, second) == DS_DELIVERED);
    CHECK_STR(g->rig.endpoint, "other");
    UNTIL(&g->rig, rig_state(&g->rig, first) == DS_DELIVERED);
    CHECK_STR(g->rig.endpoint, "other");
    CHECK_EQ(g->rig.fakes[CRM].delivers, 1);
    CHECK_EQ(g->rig.fakes[OTHER].prepares, 2); /* its requests are its own */
    group_rig_finish(g);
}

static void test_what_is_not_in_memory_moves_too(void **state)
{
    struct group_rig *g = setup();
    char body[20];

    (void)state;
    g->rig.config.window = 3;
    rig_up(&g->rig);
    lane_park(lane(g, CRM), STR("no"), 600000);
    lane_park(lane(g, OTHER), STR("no"), 600000);
    for (int i = 0; i < 40; i++) {
        snprintf(body, sizeof(body), "s%d 1", i);
        rig_event(&g->rig, "t", body);
    }
    UNTIL(&g->rig, g->rig.flow->stats.routed == 40);
    CHECK(lane(g, CRM)->windows[PRIORITY_NORMAL].spilled);
    g->rig.fakes[OTHER].auto_kind = SL_DELIVERED;
    lane_unpark(lane(g, OTHER));
    lane_pump(lane(g, OTHER));
    UNTIL(&g->rig, g->rig.fakes[OTHER].records == 40);
    CHECK_EQ(g->rig.fakes[CRM].delivers, 0);
    CHECK_EQ(lane(g, CRM)->moved_away, 40);
    CHECK_EQ(lane(g, OTHER)->moved_here, 40);
    group_rig_finish(g);
}

/** The same once more, with its members the other way round. */
struct again {
    struct config config;
    struct conf_group group;
    struct conf_member members[2];
    struct conf_route routes[8];
    struct conf_target target, parts[2];
};

static void go_over(struct group_rig *g, struct again *a)
{
    struct adapter *adapters[RIG_ENDPOINTS];
    size_t orphaned = 0;

    a->config = g->rig.config;
    a->config.refs = 0;
    a->group = g->group;
    memcpy(a->routes, g->rig.routes, sizeof(a->routes));
    for (size_t i = 0; i < 2; i++) {
        a->members[i] = g->members[1 - i];
        a->parts[i] = g->parts[1 - i];
        a->parts[i].group = &a->group;
    }
    a->group.members = a->members;
    a->target = g->rig.targets[0];
    a->target.group = &a->group;
    a->target.members = a->parts;
    a->routes[0].targets = &a->target;
    a->config.routes = a->routes;
    a->config.groups = &a->group;
    for (size_t i = 0; i < RIG_ENDPOINTS; i++)
        adapters[i] = &g->rig.adapters[i];
    CHECK_EQ(flow_reconfigure(g->rig.flow, &a->config, adapters, &orphaned), 0);
    CHECK_EQ(orphaned, 0);
}

static void test_a_walk_goes_on_over_a_reload(void **state)
{
    struct group_rig *g = setup();
    struct again *a = mem_zero(sizeof(*a));
    char body[20];

    (void)state;
    g->rig.config.window = 3;
    rig_up(&g->rig);
    lane_park(lane(g, CRM), STR("no"), 600000);
    lane_park(lane(g, OTHER), STR("no"), 600000);
    for (int i = 0; i < 30; i++) {
        snprintf(body, sizeof(body), "s%d 1", i);
        rig_event(&g->rig, "t", body);
    }
    UNTIL(&g->rig, g->rig.flow->stats.routed == 30);
    g->rig.fakes[OTHER].auto_kind = SL_DELIVERED;
    lane_unpark(lane(g, OTHER));
    lane_pump(lane(g, OTHER));
    UNTIL(&g->rig, lane(g, CRM)->moved_away > 0);
    CHECK(g->rig.fakes[OTHER].records < 30);
    CHECK(lane(g, CRM)->walk != NULL); /* in the middle of it */
    go_over(g, a);
    UNTIL(&g->rig, g->rig.fakes[OTHER].records == 30);
    CHECK_EQ(lane(g, CRM)->moved_away, 30);
    CHECK_EQ(g->rig.fakes[CRM].delivers, 0);
    CHECK(rig_quiet(&g->rig, OTHER)); /* each of them once */
    CHECK_EQ(g->rig.fakes[OTHER].records, 30);
    group_rig_finish(g);
    CHECK_EQ(a->config.refs, 0);
    free(a);
}

static void test_what_may_have_arrived_stays(void **state)
{
    struct group_rig *g = setup();

    (void)state;
    rig_up(&g->rig);
    uint64_t num = refused_for_now(g);
    CHECK_EQ(g->rig.row.arrival, ARRIVAL_PERHAPS);
    lane_park(lane(g, CRM), STR("no"), 600000);
    CHECK(rig_quiet(&g->rig, OTHER));
    rig_crash(&g->rig);
    rig_up(&g->rig);
    lane_park(lane(g, CRM), STR("no"), 600000);
    CHECK(rig_quiet(&g->rig, OTHER));
    CHECK_EQ(rig_state(&g->rig, num), DS_WAITING);
    CHECK_STR(g->rig.endpoint, "crm");
    group_rig_finish(g);
}

static void test_an_unknown_one_moves_when_the_first_says_that_it_has_nothing(void **state)
{
    struct group_rig *g = setup();

    (void)state;
    rig_up(&g->rig);
    uint64_t num;
    struct call *c = asked(g, &num);
    CHECK_EQ(c->kind, CALL_CONFIRM);
    lane_park(lane(g, CRM), STR("no"), 600000); /* out, but it answers this */
    CHECK(rig_quiet(&g->rig, OTHER));
    rig_confirm(c, SL_CONFIRM_NO);
    c = rig_call(&g->rig, OTHER);
    CHECK_EQ(c->kind, CALL_DELIVER);
    rig_answer(c, SL_DELIVERED);
    UNTIL(&g->rig, rig_state(&g->rig, num) == DS_DELIVERED);
    CHECK_EQ(g->rig.fakes[CRM].delivers, 1);
    group_rig_finish(g);
}

static void test_one_that_has_it_keeps_it(void **state)
{
    struct group_rig *g = setup();

    (void)state;
    rig_up(&g->rig);
    uint64_t num;
    struct call *c = asked(g, &num);
    lane_park(lane(g, CRM), STR("no"), 600000);
    CHECK(rig_quiet(&g->rig, OTHER));
    rig_confirm(c, SL_CONFIRM_YES);
    UNTIL(&g->rig, rig_state(&g->rig, num) == DS_DELIVERED);
    CHECK_STR(g->rig.endpoint, "crm");
    CHECK(rig_quiet(&g->rig, OTHER));
    group_rig_finish(g);
}

static void test_in_doubt_for_too_long_a_person_decides(void **state)
{
    struct group_rig *g = setup();

    (void)state;
    g->group.ask_after_ms = 40;
    rig_up(&g->rig);
    uint64_t num = refused_for_now(g);
    lane_park(lane(g, CRM), STR("no"), 600000);
    UNTIL(&g->rig, rig_state(&g->rig, num) == DS_HELD);
    CHECK_STR(g->rig.hold_type, "interlock");
    CHECK_EQ(
        rig_decide(&g->rig, DECISION_RELEASE, num, &(struct decide){ .endpoint = STR("other") }),
        0);
    rig_answer(rig_call(&g->rig, OTHER), SL_DELIVERED);
    UNTIL(&g->rig, rig_state(&g->rig, num) == DS_DELIVERED);
    CHECK_STR(g->rig.endpoint, "other");
    group_rig_finish(g);
}

static void test_a_move_by_hand_obeys_the_interlock(void **state)
{
    struct group_rig *g = setup();
    struct decide to_other = { .endpoint = STR("other") }, to_shop = { .endpoint = STR("shop") };
    struct decide sure = { .endpoint = STR("other"), .nothing_there = true };

    (void)state;
    rig_up(&g->rig);
    uint64_t num = rig_event(&g->rig, "t", "a 1");
    struct call *c = rig_call(&g->rig, CRM);
    CHECK_EQ(rig_decide(&g->rig, DECISION_MOVE, num, &sure), UV_EBUSY);
    rig_outcome(c, 0, SL_RETRY, 20000);
    rig_end(c);
    UNTIL(&g->rig, rig_state(&g->rig, num) == DS_WAITING);
    CHECK_EQ(rig_decide(&g->rig, DECISION_MOVE, num, &to_shop), UV_EINVAL);
    CHECK_STR(g->rig.decided.text, "no group of its route has both crm and shop");
    CHECK_EQ(rig_decide(&g->rig, DECISION_MOVE, num, &to_other), UV_EINVAL);
    CHECK_STR(g->rig.decided.text,
              "crm may have it: it moves when that says no, or with "
              "--not-arrived if you know that it has nothing");
    CHECK_EQ(rig_decide(&g->rig, DECISION_MOVE, num, &sure), 0);
    rig_answer(rig_call(&g->rig, OTHER), SL_DELIVERED);
    UNTIL(&g->rig, rig_state(&g->rig, num) == DS_DELIVERED);
    group_rig_finish(g);
}

static void test_what_may_be_at_a_former_member_goes_to_no_other_by_mapping_it_again(void **state)
{
    struct group_rig *g = group_rig(GROUP_FAILOVER, 2, ACT_SAFE);
    struct flow_rig *rig = &g->rig;
    uint64_t num, again;

    (void)state;
    rig->routes[0].retry.max_attempts = 1;
    rig_up(rig);
    num = rig_event(rig, "t", "a 1");
    rig_answer(rig_call(rig, CRM), SL_UNKNOWN);
    UNTIL(rig, rig_state(rig, num) == DS_DEAD);
    rig_crash(rig);
    g->group.members++; /* without the first */
    rig->targets[0].members++;
    g->group.n_members = rig->targets[0].n_members = 1;
    rig_up(rig);
    again = num + 1;
    CHECK_EQ(rig_decide(rig, DECISION_REPLAY, num, &(struct decide){ .remap = true }), 0);
    UNTIL(rig, rig_state(rig, again) == DS_HELD);
    CHECK(rig_quiet(rig, OTHER));
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, again, NULL), 0);
    rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, again) == DS_DELIVERED);
    group_rig_finish(g);
}

/** Its first answer was lost: what the second says does not tell what the first did. */
static void test_what_was_refused_after_a_lost_answer_goes_to_no_other_when_replayed(void **state)
{
    struct group_rig *g = group_rig(GROUP_FAILOVER, 2, ACT_SAFE);
    struct flow_rig *rig = &g->rig;
    char key[40];

    (void)state;
    rig_up(rig);
    uint64_t num = rig_event(rig, "t", "a 1");
    struct call *c = rig_call(rig, CRM);
    snprintf(key, sizeof(key), "%s", c->keys[0]);
    rig_answer(c, SL_UNKNOWN);
    rig_answer(rig_call(rig, CRM), SL_REJECTED);
    UNTIL(rig, rig_state(rig, num) == DS_DEAD);
    CHECK_EQ(rig->row.arrival, ARRIVAL_PERHAPS);
    CHECK_EQ(rig_decide(rig, DECISION_REPLAY, num, NULL), 0);
    c = rig_call(rig, CRM);
    CHECK_STR(c->keys[0], key);
    rig_answer(c, SL_REJECTED);
    UNTIL(rig, rig_state(rig, num) == DS_DEAD);
    lane_park(lane(g, CRM), STR("no"), 600000);
    CHECK_EQ(rig_decide(rig, DECISION_REPLAY, num, NULL), 0);
    CHECK(rig_quiet(rig, OTHER));
    group_rig_finish(g);
}

static void test_a_subjects_order_holds_over_two_members(void **state)
{
    struct group_rig *g = setup();

    (void)state;
    rig_up(&g->rig);
    uint64_t first = rig_event(&g->rig, "t", "a 1");
    rig_answer(rig_call(&g->rig, CRM), SL_UNKNOWN);
    struct call *c = rig_call(&g->rig, CRM);
    lane_park(lane(g, CRM), STR("no"), 600000);
    uint64_t second = rig_event(&g->rig, "t", "a 2");
    UNTIL(&g->rig, flow_delivery(g->rig.flow, second));
    CHECK_STR(flow_delivery(g->rig.flow, second)->lane->name, "other");
    CHECK(rig_quiet(&g->rig, OTHER)); /* behind the one in doubt */
    rig_confirm(c, SL_CONFIRM_NO);
    struct call *at_other = rig_call(&g->rig, OTHER);
    CHECK_EQ(rig_state(&g->rig, first), DS_INFLIGHT);
    rig_answer(at_other, SL_DELIVERED);
    rig_answer(rig_call(&g->rig, OTHER), SL_DELIVERED);
    UNTIL(&g->rig, rig_state(&g->rig, second) == DS_DELIVERED);
    group_rig_finish(g);
}

static void test_an_open_breaker_moves_things_only_after_a_while_and_one_tries_it_out(void **state)
{
    struct group_rig *g = setup();

    (void)state;
    g->group.failover_after_ms = 80;
    g->rig.endpoints[CRM].breaker.open_ms = g->rig.endpoints[CRM].breaker.open_max_ms = 600000;
    rig_up(&g->rig);
    uint64_t a = rig_event(&g->rig, "t", "a 1");
    struct call *c = rig_call(&g->rig, CRM);
    uint64_t opened_ms = uv_now(&g->rig.loop);
    breaker_trip(&lane(g, CRM)->breaker, uv_now(&g->rig.loop), &g->rig.flow->rng);
    flow_notice(g->rig.flow, NOTICE_BREAKER_OPEN, lane(g, CRM), NULL, NULL, STR("the test"));
    rig_not_sent(c, 1);
    struct call *moved = rig_call(&g->rig, OTHER);
    CHECK(uv_now(&g->rig.loop) >= opened_ms + 80); /* not at once */
    rig_answer(moved, SL_DELIVERED);
    UNTIL(&g->rig, rig_state(&g->rig, a) == DS_DELIVERED);
    lane(g, CRM)->breaker.open_until = uv_now(&g->rig.loop);
    rig_event(&g->rig, "t", "b 1"); /* the trial */
    c = rig_call(&g->rig, CRM);
    rig_event(&g->rig, "t", "c 1"); /* one is enough */
    struct call *d = rig_call(&g->rig, OTHER);
    rig_answer(d, SL_DELIVERED);
    rig_answer(c, SL_DELIVERED);
    UNTIL(&g->rig, lane(g, CRM)->breaker.state == BREAKER_CLOSED);
    group_rig_finish(g);
}

/* ---- interlock.cancel ---- */

static struct conf_target cancels[2];

/** crm's breaker opens for a moment, which makes it out at once. */
static struct group_rig *setup_cancel(void)
{
    struct group_rig *g = setup();

    for (int i = 0; i < 2; i++)
        cancels[i] = (struct conf_target){ .kind = TARGET_SEND,
                                           .endpoint = g->members[i].endpoint,
                                           .action = ACT_SAFE };
    g->group.cancels = cancels;
    g->group.back_after_ms = 600000;
    g->rig.endpoints[CRM].breaker.open_ms = g->rig.endpoints[CRM].breaker.open_max_ms = 50;
    return g;
}

static void trip(struct group_rig *g)
{
    breaker_trip(&lane(g, CRM)->breaker, uv_now(&g->rig.loop), &g->rig.flow->rng);
    flow_notice(g->rig.flow, NOTICE_BREAKER_OPEN, lane(g, CRM), NULL, NULL, STR("the test"));
}

/** Sent to crm, and nobody knows whether it is there; crm is out. The cancel that it gets. */
static struct call *in_doubt(struct group_rig *g, uint64_t *ret_num, char key[40])
{
    *ret_num = rig_event(&g->rig, "t", "a 1");
    struct call *c = rig_call(&g->rig, CRM);
    snprintf(key, 40, "%s", c->keys[0]);
    rig_outcome(c, 0, SL_RETRY, 20000); /* a 500: perhaps it is there */
    rig_end(c);
    UNTIL(&g->rig, rig_state(&g->rig, *ret_num) == DS_WAITING);
    trip(g);
    c = rig_call(&g->rig, CRM);
    CHECK_EQ(c->kind, CALL_DELIVER);
    CHECK_STR(c->keys[0], key); /* what was sent under this one */
    CHECK_EQ(rig_state(&g->rig, *ret_num), DS_UNKNOWN);
    return c;
}

static void test_what_may_be_there_is_cancelled_before_another_gets_it(void **state)
{
    struct group_rig *g = setup_cancel();
    uint64_t num;
    char key[40];

    (void)state;
    rig_up(&g->rig);
    struct call *c = in_doubt(g, &num, key);
    CHECK(rig_quiet(&g->rig, OTHER));
    rig_answer(c, SL_RETRY); /* it was not heard: it is asked again */
    CHECK_EQ(g->rig.fakes[OTHER].delivers, 0);
    c = rig_call(&g->rig, CRM);
    rig_crash(&g->rig); /* it may be cancelled by now: so nothing else than that is asked */
    rig_up(&g->rig);
    c = rig_call(&g->rig, CRM);
    CHECK_EQ(c->kind, CALL_DELIVER);
    CHECK_STR(c->keys[0], key);
    CHECK_EQ(g->rig.fakes[CRM].confirms, 0);
    rig_answer(c, SL_DELIVERED);
    c = rig_call(&g->rig, OTHER);
    CHECK(strcmp(c->keys[0], key) != 0); /* the old one stands for what was cancelled */
    rig_answer(c, SL_DELIVERED);
    UNTIL(&g->rig, rig_state(&g->rig, num) == DS_DELIVERED);
    CHECK_STR(g->rig.endpoint, "other");
    group_rig_finish(g);
}

static void test_what_is_not_taken_back_is_a_persons(void **state)
{
    struct group_rig *g = setup_cancel();
    uint64_t num;
    char key[40];

    (void)state;
    rig_up(&g->rig);
    struct call *c = in_doubt(g, &num, key);
    rig_answer(c, SL_REJECTED);
    UNTIL(&g->rig, rig_state(&g->rig, num) == DS_HELD);
    CHECK_STR(g->rig.hold_type, "interlock");
    CHECK(strstr(g->rig.reason, "crm has it and does not take it back") == g->rig.reason);
    CHECK(rig_quiet(&g->rig, OTHER));
    CHECK_EQ(
        rig_decide(&g->rig, DECISION_RELEASE, num, &(struct decide){ .endpoint = STR("other") }),
        0);
    c = rig_call(&g->rig, OTHER);
    CHECK(strcmp(c->keys[0], key) != 0);
    rig_answer(c, SL_DELIVERED);
    UNTIL(&g->rig, rig_state(&g->rig, num) == DS_DELIVERED);
    group_rig_finish(g);
}

static void test_where_it_cannot_be_told_it_is_taken_back_before_a_person_is_asked(void **state)
{
    struct group_rig *g = setup_cancel();

    (void)state;
    rig_up(&g->rig);
    uint64_t num = rig_event(&g->rig, "t", "a 1");
    rig_answer(rig_call(&g->rig, CRM), SL_UNKNOWN);
    rig_confirm(rig_call(&g->rig, CRM), SL_CONFIRM_UNSURE);
    struct call *c = rig_call(&g->rig, CRM);
    CHECK_EQ(c->kind, CALL_DELIVER);
    CHECK_EQ(rig_state(&g->rig, num), DS_UNKNOWN);
    CHECK(strstr(g->rig.reason, "crm is asked to cancel it") != NULL);
    rig_answer(c, SL_DELIVERED);
    rig_answer(rig_call(&g->rig, OTHER), SL_DELIVERED);
    UNTIL(&g->rig, rig_state(&g->rig, num) == DS_DELIVERED);
    CHECK_EQ(g->rig.fakes[CRM].delivers, 2);
    group_rig_finish(g);
}

static void test_what_is_taken_back_after_the_last_attempt_is_given_up(void **state)
{
    struct group_rig *g = setup_cancel();

    (void)state;
    g->rig.routes[0].retry.max_attempts = 1;
    rig_up(&g->rig);
    uint64_t num = rig_event(&g->rig, "t", "a 1");
    rig_answer(rig_call(&g->rig, CRM), SL_UNKNOWN);
    rig_confirm(rig_call(&g->rig, CRM), SL_CONFIRM_UNSURE);
    struct call *c = rig_call(&g->rig, CRM);
    lane_park(lane(g, OTHER), STR("no"), 600000); /* no other gets it */
    rig_answer(c, SL_DELIVERED);
    UNTIL(&g->rig, rig_state(&g->rig, num) == DS_DEAD);
    CHECK(strstr(g->rig.reason, "given up after 1 attempts: crm has nothing of it") ==
          g->rig.reason);
    CHECK_EQ(rig_decide(&g->rig, DECISION_REPLAY, num, NULL), 0);
    rig_answer(rig_call(&g->rig, CRM), SL_DELIVERED);
    UNTIL(&g->rig, rig_state(&g->rig, num) == DS_DELIVERED);
    group_rig_finish(g);
}

static void test_a_group_may_stand_in_for_an_endpoint_and_fails_over_itself(void **state)
{
    struct group_rig *g = setup(); /* crm, other */
    struct conf_target own, *fallback = &g->rig.targets[0];

    (void)state;
    own = (struct conf_target){ .kind = TARGET_SEND,
                                .endpoint = &g->rig.endpoints[SHOP],
                                .action = ACT_SEND };
    g->rig.routes[0].targets = &own;
    g->rig.routes[0].fallback = fallback;
    g->rig.routes[0].fallback_on = FALLBACK_REJECTED;
    rig_up(&g->rig);
    uint64_t num = rig_event(&g->rig, "t", "a 1");
    rig_answer(rig_call(&g->rig, SHOP), SL_REJECTED);
    rig_not_sent(rig_call(&g->rig, CRM),
                 20000); /* its first member, which is given up before ... */
    UNTIL(&g->rig, rig_state(&g->rig, num) == DS_WAITING);
    CHECK_STR(g->rig.endpoint, "crm");
    rig_crash(&g->rig);
    rig_up(&g->rig);
    lane_park(lane(g, CRM), STR("no"), 600000); /* ... it ever got it: so it moves on */
    rig_answer(rig_call(&g->rig, OTHER), SL_REJECTED);
    UNTIL(&g->rig, rig_state(&g->rig, num) == DS_DEAD); /* once is enough */
    CHECK_STR(g->rig.endpoint, "other");
    CHECK_EQ(g->rig.fakes[SHOP].delivers, 1);
    CHECK_EQ(g->rig.fakes[CRM].delivers, 1);
    group_rig_finish(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_waits_moves_and_keeps_its_key),
        cmocka_unit_test(test_what_is_not_in_memory_moves_too),
        cmocka_unit_test(test_a_walk_goes_on_over_a_reload),
        cmocka_unit_test(test_what_may_have_arrived_stays),
        cmocka_unit_test(test_an_unknown_one_moves_when_the_first_says_that_it_has_nothing),
        cmocka_unit_test(test_one_that_has_it_keeps_it),
        cmocka_unit_test(test_in_doubt_for_too_long_a_person_decides),
        cmocka_unit_test(test_a_move_by_hand_obeys_the_interlock),
        cmocka_unit_test(test_what_may_be_at_a_former_member_goes_to_no_other_by_mapping_it_again),
        cmocka_unit_test(test_what_was_refused_after_a_lost_answer_goes_to_no_other_when_replayed),
        cmocka_unit_test(test_a_subjects_order_holds_over_two_members),
        cmocka_unit_test(test_what_may_be_there_is_cancelled_before_another_gets_it),
        cmocka_unit_test(test_what_is_not_taken_back_is_a_persons),
        cmocka_unit_test(test_what_is_taken_back_after_the_last_attempt_is_given_up),
        cmocka_unit_test(test_where_it_cannot_be_told_it_is_taken_back_before_a_person_is_asked),
        cmocka_unit_test(test_a_group_may_stand_in_for_an_endpoint_and_fails_over_itself),
        cmocka_unit_test(test_an_open_breaker_moves_things_only_after_a_while_and_one_tries_it_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
