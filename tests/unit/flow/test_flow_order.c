/*
 * What goes before what: `after`, `on_dead`, `coalesce`, `latest_by`, `overtakes`.
 */
#include "flow/order.h"
#include "flow_rig.h"

static const char *why_of(struct flow_rig *rig, uint64_t num)
{
    static struct why why;

    return flow_why(rig->flow, num, &why) ? why.text : "(not in memory)";
}

#define CHECK_WHY(rig, num, part) UNTIL(rig, strstr(why_of(rig, num), part))

/* ---- after ---- */

/** Route "b", to OTHER, after route "a", to CRM; `b` stands first in the file. */
static struct flow_rig *setup_after(void)
{
    static struct conf_route *before[2];
    struct flow_rig *rig = rig_new();
    struct conf_route *b = rig_route(rig, "b", "t", OTHER, ACT_SEND);
    struct conf_route *a = rig_route(rig, "a", "t", CRM, ACT_SEND);

    before[0] = a;
    route_waits(b, before);
    return rig;
}

static void test_a_route_waits_for_another_ones_delivery_of_the_same_event(void **state)
{
    struct flow_rig *rig = setup_after();
    uint64_t a, other;

    (void)state;
    rig_up(rig);
    a = rig_event(rig, "t", "x 1");
    other = rig_event(rig, "t", "y 1");
    struct call *call = rig_call(rig, CRM);
    CHECK_STR(call->names[0], "1.0"); /* numbered first, though its route stands second */
    CHECK(rig_quiet(rig, OTHER));
    CHECK_WHY(rig, a + 1, "route a, whose delivery 1.0 is inflight");
    rig_answer(call, SL_RETRY);
    CHECK(rig_quiet(rig, OTHER));
    rig->fakes[CRM].auto_kind = rig->fakes[OTHER].auto_kind = SL_DELIVERED;
    while (!list_empty(&rig->fakes[CRM].calls))
        rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, other + 1) == DS_DELIVERED);
    UNTIL(rig, rig_state(rig, a + 1) == DS_DELIVERED);
    CHECK(rig->flow->gates == NULL);
    rig_destroy(rig);
}

static void
test_a_dead_one_before_it_keeps_it_back_over_a_restart_until_it_is_replayed(void **state)
{
    struct flow_rig *rig = setup_after();
    uint64_t a;

    (void)state;
    rig_up(rig);
    a = rig_event(rig, "t", "x 1");
    rig_answer(rig_call(rig, CRM), SL_REJECTED);
    UNTIL(rig, rig_state(rig, a) == DS_DEAD);
    CHECK(rig_quiet(rig, OTHER));
    CHECK_WHY(rig, a + 1, "route a, whose delivery 1.0 is a dead letter");
    rig_crash(rig);
    rig_up(rig);
    CHECK(rig_quiet(rig, OTHER));
    CHECK_WHY(rig, a + 1, "route a, whose delivery 1.0 is a dead letter");
    CHECK_EQ(rig_decide(rig, DECISION_REPLAY, a, NULL), 0);
    struct call *call = rig_call(rig, CRM);
    CHECK(rig_quiet(rig, OTHER));
    rig_answer(call, SL_DELIVERED);
    rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, a + 1) == DS_DELIVERED);
    rig_destroy(rig);
}

static void test_what_is_discarded_is_out_of_the_way_and_so_is_what_was_never_made(void **state)
{
    struct flow_rig *rig = setup_after();
    uint64_t a;

    (void)state;
    struct conf_route *c = rig_route(rig, "c", "u", OTHER, ACT_SEND);
    route_waits(c, rig->routes[0].after);
    rig_up(rig);
    a = rig_event(rig, "t", "x 1");
    rig_answer(rig_call(rig, CRM), SL_REJECTED);
    UNTIL(rig, rig_state(rig, a) == DS_DEAD);
    CHECK_EQ(rig_decide(rig, DECISION_DISCARD, a, NULL), 0);
    rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, a + 1) == DS_DELIVERED);

    a = rig_event(rig, "u", "x 2");
    rig_answer(rig_call(rig, OTHER), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, a) == DS_DELIVERED);
    rig_destroy(rig);
}

static void test_it_waits_for_what_a_dead_one_is_mapped_to_again(void **state)
{
    struct flow_rig *rig = setup_after();
    uint64_t a;

    (void)state;
    rig->config.window = 1;
    rig->targets[0].endpoint = &rig->endpoints[CRM]; /* both in one lane, whose window is full */
    rig_up(rig);
    a = rig_event(rig, "t", "x 1");
    rig_answer(rig_call(rig, CRM), SL_REJECTED);
    UNTIL(rig, rig_state(rig, a) == DS_DEAD);
    UNTIL(rig, flow_delivery(rig->flow, a + 1));
    CHECK_EQ(rig_decide(rig, DECISION_REPLAY, a, &(struct decide){ .remap = true }), 0);
    struct call *call = rig_call(rig, CRM);
    CHECK_STR(call->names[0], "1.2");
    CHECK_WHY(rig, a + 1, "route a, whose delivery 1.2 is inflight");
    rig_answer(call, SL_DELIVERED);
    call = rig_call(rig, CRM);
    CHECK_STR(call->names[0], "1.1");
    rig_answer(call, SL_DELIVERED);
    UNTIL(rig, rig_state(rig, a + 1) == DS_DELIVERED);
    rig_destroy(rig);
}

static void test_a_window_of_one_is_not_filled_by_what_waits(void **state)
{
    struct flow_rig *rig = setup_after();
    char body[16];
    uint64_t last = 0;

    (void)state;
    rig->config.window = 1;
    rig->targets[0].endpoint = &rig->endpoints[CRM];
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    rig_up(rig);
    for (int i = 0; i < 10; i++) {
        snprintf(body, sizeof(body), "x %d", i);
        last = rig_event(rig, "t", body);
    }
    UNTIL(rig, rig_state(rig, last + 1) == DS_DELIVERED);
    CHECK_EQ(rig->fakes[CRM].records, 20);
    rig_destroy(rig);
}

/* ---- on_dead ---- */

static struct flow_rig *setup_block(void)
{
    struct flow_rig *rig = rig_new();

    rig_route(rig, "r", "t", CRM, ACT_SEND)->on_dead = ON_DEAD_BLOCK;
    rig_route(rig, "s", "s", CRM, ACT_SEND);
    return rig;
}

static void test_a_dead_letter_blocks_its_own_subject_alone_until_it_is_discarded(void **state)
{
    struct flow_rig *rig = setup_block();
    uint64_t a1, a2, b, s;

    (void)state;
    rig_up(rig);
    a1 = rig_event(rig, "t", "a 1");
    a2 = rig_event(rig, "t", "a 2");
    rig_answer(rig_call(rig, CRM), SL_REJECTED);
    UNTIL(rig, rig_state(rig, a1) == DS_DEAD);
    CHECK(rig_quiet(rig, CRM));
    CHECK_WHY(rig, a2, "1.0 of the same subject is a dead letter");
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    b = rig_event(rig, "t", "b 1");
    s = rig_event(rig, "s", "a 3");
    UNTIL(rig, rig_state(rig, b) == DS_DELIVERED && rig_state(rig, s) == DS_DELIVERED);
    CHECK_EQ(rig_state(rig, a2), DS_READY);
    CHECK_EQ(rig_decide(rig, DECISION_DISCARD, a1, NULL), 0);
    UNTIL(rig, rig_state(rig, a2) == DS_DELIVERED);
    CHECK(rig->flow->dead_chains == NULL);
    rig_destroy(rig);
}

static void test_a_restart_finds_what_blocks_and_a_replay_goes_first(void **state)
{
    struct flow_rig *rig = setup_block();
    uint64_t a1, a2, a3;

    (void)state;
    rig_up(rig);
    a1 = rig_event(rig, "t", "a 1");
    rig_answer(rig_call(rig, CRM), SL_REJECTED);
    UNTIL(rig, rig_state(rig, a1) == DS_DEAD);
    a2 = rig_event(rig, "t", "a 2");
    UNTIL(rig, rig_state(rig, a2) == DS_READY);
    rig_crash(rig);
    rig_up(rig);
    CHECK(rig_quiet(rig, CRM));
    CHECK_WHY(rig, a2, "1.0 of the same subject is a dead letter");
    a3 = rig_event(rig, "t", "a 3");
    CHECK_EQ(rig_decide(rig, DECISION_REPLAY, a1, NULL), 0);
    struct call *call = rig_call(rig, CRM);
    CHECK_STR(call->names[0], "1.0");
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    rig_answer(call, SL_DELIVERED);
    UNTIL(rig, rig_state(rig, a3) == DS_DELIVERED);
    CHECK_EQ(rig_state(rig, a2), DS_DELIVERED);
    rig_destroy(rig);
}

static void test_more_dead_letters_of_one_subject_block_until_the_last_of_them_is_gone(void **state)
{
    struct flow_rig *rig = setup_block();
    uint64_t a1, a2, a3;

    (void)state;
    rig->routes[0].hold = mem_zero(sizeof(*rig->routes[0].hold));
    rig->routes[0].hold->type = "approval";
    rig_up(rig);
    a1 = rig_event(rig, "t", "a 1");
    a2 = rig_event(rig, "t", "a 2");
    a3 = rig_event(rig, "t", "a 3");
    UNTIL(rig, rig_state(rig, a3) == DS_HELD);
    CHECK_EQ(rig_decide(rig, DECISION_REJECT, a2, NULL), 0);
    CHECK_EQ(rig_decide(rig, DECISION_REJECT, a1, NULL), 0);
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, a3, NULL), 0);
    CHECK(rig_quiet(rig, CRM));
    CHECK_EQ(rig_decide(rig, DECISION_DISCARD, a1, NULL), 0);
    CHECK(rig_quiet(rig, CRM));
    CHECK_EQ(rig_decide(rig, DECISION_DISCARD, a2, NULL), 0);
    rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, a3) == DS_DELIVERED);
    free(rig->routes[0].hold);
    rig_destroy(rig);
}

/* ---- coalesce ---- */

static struct flow_rig *setup_coalesce(void)
{
    struct flow_rig *rig = rig_new();

    rig_route(rig, "r", "t", CRM, ACT_SEND)->coalesce = COALESCE_SUBJECT;
    rig->endpoints[CRM].concurrency = 1;
    return rig;
}

static void test_only_the_newest_goes_out_and_what_was_sent_is_not_touched(void **state)
{
    struct flow_rig *rig = setup_coalesce();
    uint64_t a1, a2, a3;

    (void)state;
    rig_up(rig);
    a1 = rig_event(rig, "t", "a 1");
    rig_call(rig, CRM);
    a2 = rig_event(rig, "t", "a 2");
    a3 = rig_event(rig, "t", "a 3");
    UNTIL(rig, rig_state(rig, a2) == DS_SUPERSEDED);
    CHECK(strstr(rig->reason, "a newer one, ") && strstr(rig->reason, rig_name(a3)));
    rig_answer(rig_call(rig, CRM), SL_RETRY); /* it may be sent again: it was sent */
    struct call *call = rig_call(rig, CRM);
    CHECK_STR(call->names[0], rig_name(a1));
    rig_answer(call, SL_DELIVERED);
    call = rig_call(rig, CRM);
    CHECK_STR(call->names[0], rig_name(a3));
    rig_answer(call, SL_DELIVERED);
    UNTIL(rig, rig_state(rig, a3) == DS_DELIVERED);
    CHECK_EQ(rig_state(rig, a1), DS_DELIVERED);
    rig_destroy(rig);
}

/** `crash`: what was known is forgotten, and asked for. */
static void check_beyond_the_window(bool crash)
{
    struct flow_rig *rig = setup_coalesce();
    uint64_t a1, a2, a3, b;

    rig->config.window = 1;
    rig_up(rig);
    b = rig_event(rig, "t", "b 1");
    rig_call(rig, CRM);
    a1 = rig_event(rig, "t", "a 1");
    a2 = rig_event(rig, "t", "a 2");
    a3 = rig_event(rig, "t", "a 3");
    UNTIL(rig, rig_state(rig, a3) == DS_READY);
    if (crash) {
        rig_crash(rig);
        rig_up(rig);
        rig_confirm(rig_call(rig, CRM), SL_CONFIRM_YES);
    } else {
        rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    }
    struct call *call = rig_call(rig, CRM);
    CHECK_STR(call->names[0], rig_name(a3));
    rig_answer(call, SL_DELIVERED);
    UNTIL(rig, rig_state(rig, a3) == DS_DELIVERED);
    CHECK_EQ(rig_state(rig, b), DS_DELIVERED);
    CHECK_EQ(rig_state(rig, a1), DS_SUPERSEDED);
    CHECK_EQ(rig_state(rig, a2), DS_SUPERSEDED);
    rig_destroy(rig);
}

static void test_an_older_one_beyond_the_window_is_superseded_too(void **state)
{
    (void)state;
    check_beyond_the_window(false);
    check_beyond_the_window(true);
}

/* ---- latest_by ---- */

static void test_versions_are_compared_as_numbers_or_as_times(void **state)
{
    (void)state;
    CHECK(version_compare(STR("9"), STR("10")) < 0);
    CHECK(version_compare(STR("010"), STR("10")) == 0);
    CHECK(version_compare(STR("2026-01-01T01:00:00+01:00"), STR("2026-01-01T00:00:01Z")) < 0);
    CHECK(version_compare(STR("2026-01-01T01:00:00+01:00"), STR("2026-01-01T00:00:00Z")) == 0);
    CHECK(version_compare(STR("b"), STR("a")) == 0); /* nobody knows */
    CHECK(version_compare(STR(""), STR("1")) == 0);
}

static struct flow_rig *setup_latest(void)
{
    struct flow_rig *rig = rig_new();

    rig_route(rig, "r", "t", CRM, ACT_SEND)->latest = true;
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    return rig;
}

static void test_an_event_that_is_older_than_what_was_made_is_never_sent(void **state)
{
    struct flow_rig *rig = setup_latest();
    uint64_t a5, a3, a4, a6;

    (void)state;
    rig_up(rig);
    a5 = rig_event(rig, "t", "a 5");
    a3 = rig_event(rig, "t", "a 3");
    UNTIL(rig, rig_state(rig, a3) == DS_SUPERSEDED);
    CHECK(strstr(rig->reason, "late: version 3 is older than 5 of ") &&
          strstr(rig->reason, rig_name(a5)));
    UNTIL(rig, rig_state(rig, a5) == DS_DELIVERED);
    rig_crash(rig);
    rig_up(rig);
    a4 = rig_event(rig, "t", "a 4");
    a6 = rig_event(rig, "t", "a 6");
    UNTIL(rig, rig_state(rig, a6) == DS_DELIVERED);
    CHECK_EQ(rig_state(rig, a4), DS_SUPERSEDED);
    CHECK_EQ(rig->fakes[CRM].records, 2);
    rig_destroy(rig);
}

static void test_what_died_or_was_discarded_makes_nothing_late(void **state)
{
    struct flow_rig *rig = setup_latest();
    uint64_t a5, a3, a2;

    (void)state;
    rig->fakes[CRM].auto_kind = SL_REJECTED;
    rig_up(rig);
    a5 = rig_event(rig, "t", "a 5");
    UNTIL(rig, rig_state(rig, a5) == DS_DEAD);
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    a3 = rig_event(rig, "t", "a 3");
    UNTIL(rig, rig_state(rig, a3) == DS_DELIVERED);
    a2 = rig_event(rig, "t", "a 2");
    UNTIL(rig, rig_state(rig, a2) == DS_SUPERSEDED);
    CHECK(strstr(rig->reason, "late: version 2 is older than 3 of ") &&
          strstr(rig->reason, rig_name(a3)));
    rig_destroy(rig);
}

/* ---- overtakes ---- */

/** "cancel", topic u, closes what "order", topic t, has held. */
static struct flow_rig *setup_overtakes(bool held)
{
    static struct conf_hold hold = { .type = "fraud" };
    struct flow_rig *rig = rig_new();
    struct conf_route *order = rig_route(rig, "order", "t", CRM, ACT_SEND);
    struct conf_route *cancel = rig_route(rig, "cancel", "u", CRM, ACT_SEND);

    order->hold = held ? &hold : NULL;
    order->overtaken = true;
    cancel->overtakes = order;
    return rig;
}

static void check_cancel_closes(bool crash)
{
    struct flow_rig *rig = setup_overtakes(true);
    uint64_t order, other, cancel, again;

    rig_up(rig);
    order = rig_event(rig, "t", "a 1");
    other = rig_event(rig, "t", "b 1");
    UNTIL(rig, rig_state(rig, other) == DS_HELD);
    if (crash) {
        rig_crash(rig);
        rig->config.window = 1;
        rig_up(rig);
    }
    cancel = rig_event(rig, "u", "a 2");
    UNTIL(rig, rig_state(rig, cancel) == DS_SUPERSEDED);
    CHECK(strstr(rig->reason, "nothing had been sent") && strstr(rig->reason, rig_name(order)));
    CHECK_EQ(rig_state(rig, order), DS_DISCARDED);
    CHECK(strstr(rig->reason, "closed by ") && strstr(rig->reason, rig_name(cancel)));
    CHECK_EQ(rig_state(rig, other), DS_HELD);
    again = rig_event(rig, "u", "a 3");
    UNTIL(rig, rig_state(rig, again) == DS_SUPERSEDED);
    CHECK_STR(rig->reason, "nothing had been sent");
    CHECK_EQ(rig->fakes[CRM].records, 0);
    rig_destroy(rig);
}

static void test_a_cancel_closes_the_held_order_and_need_not_be_sent(void **state)
{
    (void)state;
    check_cancel_closes(false);
    check_cancel_closes(true);
}

static void test_a_cancel_waits_for_an_order_that_may_have_been_sent_and_follows_it(void **state)
{
    struct flow_rig *rig = setup_overtakes(false);
    uint64_t order, cancel;

    (void)state;
    rig_up(rig);
    order = rig_event(rig, "t", "a 1");
    rig_end(rig_call(rig, CRM)); /* unknown */
    UNTIL(rig, rig_state(rig, order) == DS_UNKNOWN);
    struct call *call = rig_call(rig, CRM);
    cancel = rig_event(rig, "u", "a 2");
    CHECK_WHY(rig, cancel, "of route order, which it follows: it is unknown");
    rig_confirm(call, SL_CONFIRM_UNSURE);
    UNTIL(rig, rig_state(rig, order) == DS_HELD); /* it was sent: not to be closed */
    CHECK(rig_quiet(rig, CRM));
    CHECK_EQ(rig_state(rig, cancel), DS_READY);
    rig_crash(rig);
    rig_up(rig);
    CHECK(rig_quiet(rig, CRM));
    CHECK_EQ(rig_decide(rig, DECISION_ARRIVED, order, NULL), 0);
    call = rig_call(rig, CRM);
    CHECK_STR(call->names[0], rig_name(cancel));
    rig_answer(call, SL_DELIVERED);
    UNTIL(rig, rig_state(rig, cancel) == DS_DELIVERED);
    rig_destroy(rig);
}

static void test_a_cancel_of_what_was_never_made_goes_out(void **state)
{
    struct flow_rig *rig = setup_overtakes(true);
    uint64_t cancel;

    (void)state;
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    rig_up(rig);
    cancel = rig_event(rig, "u", "a 2");
    UNTIL(rig, rig_state(rig, cancel) == DS_DELIVERED);
    rig_destroy(rig);
}

static void check_change_amends(bool crash)
{
    struct flow_rig *rig = setup_overtakes(true);
    uint64_t order, other, change, again;

    rig->routes[1].overtakes_amends = true;
    rig_up(rig);
    order = rig_event(rig, "t", "a 1");
    other = rig_event(rig, "t", "b 1");
    UNTIL(rig, rig_state(rig, other) == DS_HELD);
    if (crash) {
        rig_crash(rig);
        rig->config.window = 1;
        rig_up(rig);
    }
    change = rig_event(rig, "u", "a 22");
    UNTIL(rig, rig_state(rig, change) == DS_SUPERSEDED);
    CHECK(strstr(rig->reason, "it amended ") && strstr(rig->reason, rig_name(order)));
    CHECK_EQ(rig_state(rig, order), DS_HELD);
    CHECK_STR(rig->hold_type, "fraud");
    CHECK(strstr(rig->reason, "amended by ") && strstr(rig->reason, rig_name(change)));
    CHECK_EQ(rig->row.generation, 1);
    CHECK_EQ(rig->row.body_bytes, 4);
    again = rig_event(rig, "u", "a 333");
    UNTIL(rig, rig_state(rig, again) == DS_SUPERSEDED);
    CHECK_EQ(rig_state(rig, order), DS_HELD);
    CHECK_EQ(rig->row.body_bytes, 5);
    CHECK_EQ(rig_state(rig, other), DS_HELD);
    CHECK_EQ(rig->row.generation, 0);
    if (crash) {
        rig_crash(rig);
        rig->config.window = 100;
        rig_up(rig);
    }
    CHECK(rig_quiet(rig, CRM));
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, order, NULL), 0);
    struct call *call = rig_call(rig, CRM);
    CHECK_STR(call->names[0], rig_name(order));
    CHECK(strstr(call->keys[0], "-2"));
    CHECK_EQ(call->batch->records[0].body.len, 5);
    change = rig_event(rig, "u", "a 4"); /* what was sent is changed after it */
    CHECK_WHY(rig, change, "of route order, which it follows: it is inflight");
    rig_answer(call, SL_DELIVERED);
    call = rig_call(rig, CRM);
    CHECK_STR(call->names[0], rig_name(change));
    rig_answer(call, SL_DELIVERED);
    UNTIL(rig, rig_state(rig, change) == DS_DELIVERED);
    CHECK(!rig->flow->gates && !rig->flow->passed);
    rig_destroy(rig);
}

static void test_a_change_amends_the_held_order_which_goes_out_as_the_newest_says(void **state)
{
    (void)state;
    check_change_amends(false);
    check_change_amends(true);
}

static void test_changes_that_come_at_once_amend_one_after_the_other(void **state)
{
    struct flow_rig *rig = setup_overtakes(true);
    uint64_t order, change[4];
    char body[8] = "a 1";

    (void)state;
    rig->routes[1].overtakes_amends = true;
    rig->routes[1].ordered = false; /* the gate alone keeps them apart */
    rig_up(rig);
    order = rig_event(rig, "t", body);
    for (int i = 0; i < 4; i++) {
        strcat(body, "1");
        change[i] = rig_event(rig, "u", body);
    }
    for (int i = 0; i < 4; i++)
        UNTIL(rig, rig_state(rig, change[i]) == DS_SUPERSEDED);
    CHECK_EQ(rig_state(rig, order), DS_HELD);
    CHECK_EQ(rig->row.body_bytes, 7);
    CHECK_EQ(rig->row.generation, 4);
    CHECK_EQ(rig->fakes[CRM].records, 0);
    rig_destroy(rig);
}

static void test_a_change_and_a_person_do_not_meet_over_one_order(void **state)
{
    struct flow_rig *rig = setup_overtakes(true);
    uint64_t order, change;

    (void)state;
    rig->routes[1].overtakes_amends = true;
    rig_up(rig);
    order = rig_event(rig, "t", "a 1");
    UNTIL(rig, rig_state(rig, order) == DS_HELD);
    change = rig_event(rig, "u", "a 22");
    int r = rig_decide(rig, DECISION_RELEASE, order, NULL);
    CHECK(r == 0 || r == UV_EBUSY);
    if (r == UV_EBUSY)
        UNTIL(rig, rig_decide(rig, DECISION_RELEASE, order, NULL) == 0);
    struct call *call = rig_call(rig, CRM);
    CHECK_STR(call->names[0], rig_name(order));
    bool amended = call->batch->records[0].body.len == 4;
    rig_answer(call, SL_DELIVERED);
    if (!amended) /* it was released before: the change is sent */
        rig_answer(rig_call(rig, CRM), SL_DELIVERED);
    UNTIL(rig, rig_state(rig, change) == (amended ? DS_SUPERSEDED : DS_DELIVERED));
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_route_waits_for_another_ones_delivery_of_the_same_event),
        cmocka_unit_test(
            test_a_dead_one_before_it_keeps_it_back_over_a_restart_until_it_is_replayed),
        cmocka_unit_test(test_what_is_discarded_is_out_of_the_way_and_so_is_what_was_never_made),
        cmocka_unit_test(test_it_waits_for_what_a_dead_one_is_mapped_to_again),
        cmocka_unit_test(test_a_window_of_one_is_not_filled_by_what_waits),
        cmocka_unit_test(test_a_dead_letter_blocks_its_own_subject_alone_until_it_is_discarded),
        cmocka_unit_test(test_a_restart_finds_what_blocks_and_a_replay_goes_first),
        cmocka_unit_test(
            test_more_dead_letters_of_one_subject_block_until_the_last_of_them_is_gone),
        cmocka_unit_test(test_only_the_newest_goes_out_and_what_was_sent_is_not_touched),
        cmocka_unit_test(test_an_older_one_beyond_the_window_is_superseded_too),
        cmocka_unit_test(test_versions_are_compared_as_numbers_or_as_times),
        cmocka_unit_test(test_an_event_that_is_older_than_what_was_made_is_never_sent),
        cmocka_unit_test(test_what_died_or_was_discarded_makes_nothing_late),
        cmocka_unit_test(test_a_cancel_closes_the_held_order_and_need_not_be_sent),
        cmocka_unit_test(test_a_cancel_waits_for_an_order_that_may_have_been_sent_and_follows_it),
        cmocka_unit_test(test_a_cancel_of_what_was_never_made_goes_out),
        cmocka_unit_test(test_a_change_amends_the_held_order_which_goes_out_as_the_newest_says),
        cmocka_unit_test(test_changes_that_come_at_once_amend_one_after_the_other),
        cmocka_unit_test(test_a_change_and_a_person_do_not_meet_over_one_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
