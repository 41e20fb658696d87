/* test_flow_calls.c - calls that cost more than a token wait for theirs, the urgent ones first. */
#include "flow/pace.h"
#include "flow_rig.h"

#define BURST 20

struct waiting {
    struct lane_call call;
    bool gone;
    unsigned place; /* which to leave */
    struct lane_ticket ticket;
};

static unsigned gone;

static void on_go(struct lane_call *c, const struct lane_ticket *ticket)
{
    struct waiting *w = container_of(c, struct waiting, call);

    CHECK(!w->gone);
    w->gone = true;
    w->place = ++gone;
    w->ticket = *ticket;
}

static bool leaves(struct lane *l, struct waiting *w, uint32_t cost, uint8_t priority)
{
    *w = (struct waiting){ .call = { .cost = cost, .priority = priority, .go = on_go } };
    return lane_call_leaves(l, &w->call, &w->ticket);
}

static struct lane *up(struct flow_rig *rig, uint64_t rate_milli)
{
    rig_route(rig, "r", "orders/create", CRM, ACT_SAFE);
    rig->endpoints[CRM].rate_milli_per_s = rate_milli;
    rig->endpoints[CRM].burst = BURST;
    rig_up(rig);
    gone = 0;
    return rig->flow->lanes[CRM];
}

/** Those that wait have a token in a time that is short, yet none for all. */
static void calls_wait_for_their_tokens_in_the_order_of_their_urgency(void **state)
{
    struct flow_rig *rig = rig_new();
    struct lane *l = up(rig, 100000);
    struct waiting first, low, normal, urgent;

    (void)state;
    CHECK(leaves(l, &first, BURST, PRIORITY_NORMAL)); /* the whole bucket */
    CHECK_EQ(first.ticket.bucket.cost, BURST * 1000);
    CHECK(!leaves(l, &low, 12, PRIORITY_LOW));
    CHECK(!leaves(l, &normal, 12, PRIORITY_NORMAL));
    CHECK(!leaves(l, &urgent, 12, PRIORITY_CRITICAL));
    CHECK_EQ(l->promised, 36);
    CHECK_EQ(gone, 0);
    UNTIL(rig, low.gone);
    CHECK_EQ(urgent.place, 1);
    CHECK_EQ(normal.place, 2);
    CHECK_EQ(low.place, 3);
    CHECK_EQ(l->promised, 0);
    CHECK_EQ(l->leaving, 0);
    rig_destroy(rig);
}

/** A batch that sets out leaves them what they were promised. */
static void what_a_waiting_call_was_promised_is_not_given_to_a_batch(void **state)
{
    struct flow_rig *rig = rig_new();
    struct lane *l = up(rig, 1000);
    struct waiting first, dear;

    (void)state;
    CHECK(leaves(l, &first, BURST - 3, PRIORITY_NORMAL));
    CHECK(!leaves(l, &dear, BURST - 2, PRIORITY_NORMAL)); /* quarter of a minute */
    rig_event(rig, "orders/create", "order:1 1");
    CHECK(rig_quiet(rig, CRM));
    lane_call_now(l, &dear.call);
    CHECK(dear.gone);
    rig_destroy(rig);
}

static void a_deliverys_first_call_has_paid_and_the_rest_is_given_back(void **state)
{
    struct flow_rig *rig = rig_new();
    struct lane *l = up(rig, 1000);
    struct waiting first;
    int64_t level;

    (void)state;
    CHECK_EQ(pace_take(l, 10, uv_now(&rig->loop)), 0); /* as a batch does */
    level = l->bucket.level;
    CHECK(leaves(l, &first, 4, PRIORITY_NORMAL));
    CHECK_EQ(l->prepaid, 0);
    CHECK_EQ(l->prepaid_tokens, 0);
    CHECK_EQ(first.ticket.bucket.cost, 4000);
    CHECK(l->bucket.level >= level + 6000);
    rig_destroy(rig);
}

/** A delivery set out with less than its first call costs: it may not go on credit. */
static void a_first_call_that_costs_more_waits_for_the_rest(void **state)
{
    struct flow_rig *rig = rig_new();
    struct lane *l = up(rig, 100000);
    struct waiting first, dear;

    (void)state;
    CHECK(leaves(l, &first, BURST, PRIORITY_NORMAL)); /* nothing is left */
    UNTIL(rig, pace_take(l, 1, uv_now(&rig->loop)) == 0);
    CHECK(!leaves(l, &dear, 15, PRIORITY_NORMAL));
    CHECK_EQ(dear.call.paid, 1);
    CHECK(l->promised >= 14);
    UNTIL(rig, dear.gone);
    CHECK_EQ(dear.ticket.bucket.cost, 15000);
    CHECK_EQ(l->promised, 0);
    CHECK(l->bucket.level >= 0);
    rig_destroy(rig);
}

static void what_a_call_took_in_the_end_is_what_it_cost(void **state)
{
    struct flow_rig *rig = rig_new();
    struct lane *l = up(rig, 1000);
    struct waiting first;
    sl_budget said = { .size = sizeof(said),
                       .kind = SL_BUDGET_POINTS,
                       .remaining = -1,
                       .reset_ms = -1,
                       .has_taken = 1,
                       .taken = 3 };
    int64_t level;

    (void)state;
    CHECK(leaves(l, &first, 10, PRIORITY_NORMAL));
    level = l->bucket.level;
    lane_heard(l, &first.ticket);
    lane_budget(l, &said, &first.ticket);
    CHECK(l->bucket.level >= level + 7000);
    CHECK(l->bucket.level < level + 8000);
    rig_destroy(rig);
}

static void a_lane_that_is_stopped_lets_what_has_begun_end(void **state)
{
    struct flow_rig *rig = rig_new();
    struct lane *l = up(rig, 100000);
    struct waiting first, next;

    (void)state;
    CHECK(leaves(l, &first, BURST, PRIORITY_NORMAL));
    CHECK(!leaves(l, &next, 5, PRIORITY_NORMAL));
    flow_drain(rig->flow, 5000, NULL, NULL);
    UNTIL(rig, next.gone);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_wait_for_their_tokens_in_the_order_of_their_urgency),
        cmocka_unit_test(what_a_waiting_call_was_promised_is_not_given_to_a_batch),
        cmocka_unit_test(a_deliverys_first_call_has_paid_and_the_rest_is_given_back),
        cmocka_unit_test(a_first_call_that_costs_more_waits_for_the_rest),
        cmocka_unit_test(what_a_call_took_in_the_end_is_what_it_cost),
        cmocka_unit_test(a_lane_that_is_stopped_lets_what_has_begun_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
