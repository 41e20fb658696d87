/*
 * Which member of a group gets a delivery, and what is said of it.
 */
#include "group_rig.h"

/** The member chosen for this subject; it counts unless it is to be given back. */
static const char *choose(struct group_rig *g, const char *subject, bool counts, char detail[600])
{
    static const uint8_t id[16] = { 1 };
    struct group_ask ask = {
        .route = &g->rig.routes[0], .subject = str_of(subject), .piece = STR(""), .id = id
    };
    struct buf b = { 0 };
    struct group_turn turn;
    const struct conf_target *t = group_choose(g->rig.flow, &g->rig.targets[0], &ask, &b, &turn);

    group_chosen(&turn, counts);
    if (detail)
        snprintf(detail, 600, "%s", b.data);
    buf_finish(&b);
    return t->endpoint->name;
}

static struct lane *lane(struct group_rig *g, int endpoint)
{
    return g->rig.flow->lanes[endpoint];
}

static void test_failover_takes_the_first_that_is_healthy_and_says_why(void **state)
{
    struct group_rig *g = group_rig(GROUP_FAILOVER, 2, ACT_SEND);
    char detail[600];

    (void)state;
    rig_up(&g->rig);
    CHECK_STR(choose(g, "a", true, detail), "crm");
    CHECK_STR(detail,
              "{\"group\":\"both\",\"chosen\":\"crm\",\"because\":\"the first that is "
              "healthy\",\"others\":[{\"endpoint\":\"other\",\"why\":\"it comes later\"}]}");
    lane_park(lane(g, CRM), STR("HTTP 401"), 60000);
    CHECK_STR(choose(g, "a", true, detail), "other");
    CHECK_STR(detail,
              "{\"group\":\"both\",\"chosen\":\"other\",\"because\":\"the first that is "
              "healthy\",\"others\":[{\"endpoint\":\"crm\",\"why\":\"it is parked: HTTP "
              "401\"}]}");
    lane_park(lane(g, OTHER), STR("no"), 60000);
    CHECK_STR(choose(g, "a", true, detail), "crm");
    CHECK(strstr(detail, "no member is healthy") != NULL);
    group_rig_finish(g);
}

static void test_weights_are_exact_over_their_sum(void **state)
{
    struct group_rig *g = group_rig(GROUP_WEIGHTED, 3, ACT_SEND);
    unsigned got[3] = { 0 };

    (void)state;
    g->members[0].weight = 5;
    g->members[1].weight = 3;
    g->members[2].weight = 2;
    rig_up(&g->rig);
    for (int i = 0; i < 1000; i++) {
        const char *name = choose(g, "a", true, NULL);
        got[!strcmp(name, "crm") ? 0 : !strcmp(name, "other") ? 1 : 2]++;
        if (i % 10 == 9) {
            CHECK_EQ(got[0], 5 * (i + 1) / 10);
            CHECK_EQ(got[1], 3 * (i + 1) / 10);
            CHECK_EQ(got[2], 2 * (i + 1) / 10);
        }
    }
    group_rig_finish(g);
}

static void test_a_turn_that_came_to_nothing_is_given_back(void **state)
{
    struct group_rig *g = group_rig(GROUP_ROUND_ROBIN, 3, ACT_SEND);

    (void)state;
    rig_up(&g->rig);
    for (int i = 0; i < 5; i++) {
        CHECK_STR(choose(g, "a", false, NULL), "crm");
        CHECK_STR(choose(g, "a", true, NULL), "crm");
        CHECK_STR(choose(g, "a", true, NULL), "other");
        CHECK_STR(choose(g, "a", false, NULL), "shop");
        CHECK_STR(choose(g, "a", true, NULL), "shop");
    }
    group_rig_finish(g);
}

static void test_a_hash_is_stable_and_only_what_the_lost_one_had_moves(void **state)
{
    struct group_rig *g = group_rig(GROUP_HASH, 3, ACT_SEND);
    const char *before[300];
    unsigned n[3] = { 0 };
    char subject[20];

    (void)state;
    rig_up(&g->rig);
    for (int i = 0; i < 300; i++) {
        snprintf(subject, sizeof(subject), "order:%d", i);
        before[i] = choose(g, subject, true, NULL);
        CHECK(choose(g, subject, true, NULL) == before[i]);
        n[!strcmp(before[i], "crm") ? 0 : !strcmp(before[i], "other") ? 1 : 2]++;
    }
    CHECK(n[0] > 70 && n[1] > 70 && n[2] > 70);
    lane_park(lane(g, OTHER), STR("no"), 60000);
    for (int i = 0; i < 300; i++) {
        snprintf(subject, sizeof(subject), "order:%d", i);
        const char *now = choose(g, subject, true, NULL);
        CHECK(strcmp(now, "other") != 0);
        if (strcmp(before[i], "other") != 0)
            CHECK(now == before[i]);
    }
    group_rig_finish(g);
}

static void test_the_shortest_backlog_counts_what_is_not_in_memory(void **state)
{
    struct group_rig *g = group_rig(GROUP_LEAST, 2, ACT_SEND);
    char detail[600];

    (void)state;
    rig_up(&g->rig);
    CHECK_STR(choose(g, "a", true, NULL), "crm");
    CHECK_STR(choose(g, "a", true, NULL), "other"); /* equal: who was chosen less */
    lane(g, CRM)->outside = 3;
    CHECK_STR(choose(g, "a", true, NULL), "other");
    lane(g, OTHER)->outside = 5;
    CHECK_STR(choose(g, "a", true, detail), "crm");
    CHECK(strstr(detail, "the shortest backlog: 3") != NULL);
    CHECK(strstr(detail, "its backlog: 5") != NULL);
    group_rig_finish(g);
}

static void test_a_backlog_beyond_the_window_counts_after_a_restart(void **state)
{
    struct group_rig *g = group_rig(GROUP_LEAST, 2, ACT_SEND);
    char body[20];

    (void)state;
    g->rig.config.window = 2;
    g->rig.endpoints[CRM].park_probe_ms = g->rig.endpoints[OTHER].park_probe_ms = 600000;
    g->group.failover_after_ms = 600000;
    rig_up(&g->rig);
    lane_park(lane(g, CRM), STR("no"), 600000);
    lane_park(lane(g, OTHER), STR("no"), 600000);
    for (int i = 0; i < 20; i++) {
        snprintf(body, sizeof(body), "s%d 1", i);
        rig_event(&g->rig, "t", body);
    }
    UNTIL(&g->rig, g->rig.flow->stats.routed == 20);
    uint64_t there = lane_backlog(lane(g, CRM));
    CHECK(there >= 10);
    rig_crash(&g->rig);
    rig_up(&g->rig);
    UNTIL(&g->rig, g->rig.flow->recovered);
    CHECK_EQ(lane_backlog(lane(g, CRM)), there);
    group_rig_finish(g);
}

static void test_the_breaker_of_the_groups_action_counts_and_that_of_another_does_not(void **state)
{
    struct group_rig *g = group_rig(GROUP_FAILOVER, 2, ACT_SEND);
    char detail[600];

    (void)state;
    g->rig.endpoints[CRM].breaker.per_action = true;
    g->rig.endpoints[CRM].breaker.open_ms = g->rig.endpoints[CRM].breaker.open_max_ms = 600000;
    rig_up(&g->rig);
    breaker_trip(&lane(g, CRM)->actions[ACT_SAFE], uv_now(&g->rig.loop), &g->rig.flow->rng);
    CHECK_STR(choose(g, "a", true, NULL), "crm");
    breaker_trip(&lane(g, CRM)->actions[ACT_SEND], uv_now(&g->rig.loop), &g->rig.flow->rng);
    CHECK_STR(choose(g, "a", true, detail), "other");
    CHECK(strstr(detail, "its breaker of send is open") != NULL);
    group_rig_finish(g);
}

static void test_one_that_comes_back_gets_new_work_only_after_a_while(void **state)
{
    struct group_rig *g = group_rig(GROUP_FAILOVER, 2, ACT_SEND);
    char detail[600];

    (void)state;
    g->group.back_after_ms = 600000;
    rig_up(&g->rig);
    lane_park(lane(g, CRM), STR("no"), 600000);
    CHECK_STR(choose(g, "a", true, NULL), "other");
    lane_unpark(lane(g, CRM));
    CHECK_STR(choose(g, "a", true, detail), "other");
    CHECK(strstr(detail, "not for long enough yet") != NULL);
    g->group.back_after_ms = 20;
    UNTIL(&g->rig, !strcmp(choose(g, "a", true, NULL), "crm"));
    group_rig_finish(g);
}

static void test_a_subject_stays_where_its_earlier_delivery_waits(void **state)
{
    struct group_rig *g = group_rig(GROUP_ROUND_ROBIN, 2, ACT_SEND);

    (void)state;
    rig_up(&g->rig);
    uint64_t first = rig_event(&g->rig, "t", "a 1");
    rig_call(&g->rig, CRM);
    uint64_t second = rig_event(&g->rig, "t", "a 2"), other = rig_event(&g->rig, "t", "b 1");
    rig_call(&g->rig, OTHER);
    UNTIL(&g->rig, flow_delivery(g->rig.flow, second));
    CHECK_STR(flow_delivery(g->rig.flow, first)->lane->name, "crm");
    CHECK_STR(flow_delivery(g->rig.flow, second)->lane->name, "crm");
    CHECK_STR(flow_delivery(g->rig.flow, other)->lane->name, "other");
    CHECK_EQ(rig_state(&g->rig, second), DS_READY);
    CHECK_STR(g->rig.endpoint, "crm");
    group_rig_finish(g);
}

static void test_the_choice_survives_a_restart(void **state)
{
    struct group_rig *g = group_rig(GROUP_ROUND_ROBIN, 2, ACT_SEND);

    (void)state;
    rig_up(&g->rig);
    lane_park(lane(g, CRM), STR("no"), 60000);
    uint64_t num = rig_event(&g->rig, "t", "a 1");
    rig_call(&g->rig, OTHER);
    rig_crash(&g->rig);
    rig_up(&g->rig);
    struct call *c = rig_call(&g->rig, OTHER);
    CHECK_EQ(c->kind, CALL_CONFIRM);
    rig_confirm(c, SL_CONFIRM_NO);
    rig_answer(rig_call(&g->rig, OTHER), SL_DELIVERED);
    UNTIL(&g->rig, rig_state(&g->rig, num) == DS_DELIVERED);
    CHECK_EQ(g->rig.fakes[CRM].delivers, 0);
    group_rig_finish(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failover_takes_the_first_that_is_healthy_and_says_why),
        cmocka_unit_test(test_weights_are_exact_over_their_sum),
        cmocka_unit_test(test_a_turn_that_came_to_nothing_is_given_back),
        cmocka_unit_test(test_a_hash_is_stable_and_only_what_the_lost_one_had_moves),
        cmocka_unit_test(test_the_shortest_backlog_counts_what_is_not_in_memory),
        cmocka_unit_test(test_a_backlog_beyond_the_window_counts_after_a_restart),
        cmocka_unit_test(test_the_breaker_of_the_groups_action_counts_and_that_of_another_does_not),
        cmocka_unit_test(test_one_that_comes_back_gets_new_work_only_after_a_while),
        cmocka_unit_test(test_a_subject_stays_where_its_earlier_delivery_waits),
        cmocka_unit_test(test_the_choice_survives_a_restart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
