/*
 * test_lookup.c - the pace of look-ups: each takes a token of its endpoint, and comes again later
 * when there is none, in turn with the deliveries that go there.
 */
#include "clock_rig.h"

#define JOINS 6

/** "join", topic paid of crm, waits 20 ms for "create" and looks it up at crm then; "order" sends
 *  there, too: one call a second, and none beforehand. */
static struct clock_rig *setup(void)
{
    static char *until[] = { "create" };
    static struct conf_hold wait = {
        .type = HOLD_WAIT_FOR, .until = until, .n_until = 1, .for_ms = 20, .then = HOLD_LOOKUP
    };
    static struct clock_rig r;

    clock_rig_init(&r);
    r.endpoints[CRM].rate_milli_per_s = 1000;
    struct conf_route *join = clock_rig_route(&r, "join", "paid");
    join->from_endpoint = "crm";
    join->wait = &wait;
    clock_rig_route(&r, "order", "order");
    r.config.n_holds = 1;
    clock_rig_up(&r);
    return &r;
}

static void joins(struct clock_rig *r)
{
    char subject[8];

    for (int i = 0; i < JOINS; i++) {
        snprintf(subject, sizeof(subject), "j%d", i);
        clock_rig_event_of(r, "crm", "paid", subject);
    }
}

static void test_a_look_up_takes_a_token(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    joins(r);
    clock_rig_pass(r, 500);
    CHECK_EQ(r->lookups, 1);
    for (uint64_t n = 2; n <= JOINS; n++) {
        clock_rig_pass(r, SEC);
        CHECK(r->lookups <= n);
    }
    clock_rig_pass(r, 2 * SEC); /* next to no token is lost between two */
    CHECK_EQ(r->lookups, JOINS);
    CHECK_EQ(r->delivers, 0);
    CHECK(!r->flow->lookups);
    clock_rig_finish(r);
}

static void test_look_ups_and_deliveries_take_turns(void **state)
{
    struct clock_rig *r = setup();
    char subject[8];

    (void)state;
    for (int i = 0; i < 40; i++) {
        snprintf(subject, sizeof(subject), "o%d", i);
        clock_rig_event(r, "order", subject);
    }
    joins(r);
    clock_rig_pass(r, 20 * SEC);
    CHECK_EQ(r->lookups, JOINS);
    CHECK(r->delivers >= 12); /* of 20 tokens, and none is lost between them */
    CHECK(r->lookups + r->delivers <= 22);
    clock_rig_finish(r);
}

static void test_nothing_is_looked_up_while_the_remote_wants_to_be_left_alone(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    lane_refused(r->flow->lanes[CRM], 30 * SEC);
    joins(r);
    clock_rig_pass(r, 29 * SEC);
    CHECK_EQ(r->lookups, 0);
    clock_rig_pass(r, 10 * SEC);
    CHECK_EQ(r->lookups, JOINS);
    clock_rig_finish(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_look_up_takes_a_token),
        cmocka_unit_test(test_look_ups_and_deliveries_take_turns),
        cmocka_unit_test(test_nothing_is_looked_up_while_the_remote_wants_to_be_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
