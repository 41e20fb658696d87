/*
 * What a sweep of an adapter found and should have come before: an event like the webhook's, whose
 * deliveries give way to live traffic.
 */
#include "flow_rig.h"

/** "sweep", topic due, goes to the shop itself; "order" takes what it finds, and what comes. */
static struct flow_rig *setup(uint8_t reconciled)
{
    struct flow_rig *rig = rig_new();

    rig_route(rig, "sweep", "due", SHOP, ACT_SEND);
    rig_route(rig, "order", "create", CRM, ACT_SEND)->reconciled = reconciled;
    rig->endpoints[CRM].concurrency = 1;
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    return rig;
}

static void keep_back(struct flow_rig *rig, bool back)
{
    struct lane *l = rig->adapters[CRM].lane;

    l->parked = back;
    l->parked_until = back ? UINT64_MAX : 0;
    if (!back)
        lane_pump_soon(l);
}

/** A sweep is done and found these; `size` is what its plugin knew of an outcome. */
static void sweep(struct flow_rig *rig, size_t size, const char *const *bodies, size_t n)
{
    sl_emit emits[8];
    sl_outcome o = { .size = (uint32_t)size,
                     .kind = SL_DELIVERED,
                     .emits = emits,
                     .n_emits = n,
                     .found = SL_FOUND_BY_RECONCILIATION };
    uint64_t before = rig->flow->stats.routed;

    for (size_t i = 0; i < n; i++)
        emits[i] = (sl_emit){ .topic = STR("create"), .body = str_of(bodies[i]) };
    rig_event(rig, "due", "sweep -");
    struct call *c = rig_call(rig, SHOP);
    c->done->outcome(c->done->ctx, 0, &o);
    rig_end(c);
    UNTIL(rig, rig->flow->stats.routed == before + 1 + n);
}

static const char *const found[] = { "a 1", "b 1", "c 1" };

/** The one about it that waits in memory for the CRM. */
static uint64_t about(const struct flow_rig *rig, const char *subject)
{
    struct delivery *d, *tmp;

    HASH_ITER (hh, rig->flow->deliveries, d, tmp)
        if (d->lane == rig->adapters[CRM].lane && !strcmp(d->subject, subject))
            return d->num;
    fail_msg("nothing about %s", subject);
    return 0;
}

static uint8_t priority_in_index(struct flow_rig *rig, uint64_t num)
{
    UNTIL(rig, rig_state(rig, num) == DS_READY);
    return rig->row.priority;
}

static void live_goes_before_what_a_sweep_found(void **state)
{
    struct flow_rig *rig = setup(0);
    char want[80];

    (void)state;
    rig_up(rig);
    keep_back(rig, true);
    sweep(rig, sizeof(sl_outcome), found, 3);
    for (size_t i = 0; i < 3; i++)
        CHECK_EQ(priority_in_index(rig, about(rig, (const char[]){ (char)('a' + i), 0 })),
                 PRIORITY_LOW);
    uint64_t first = about(rig, "a");
    uint64_t num = rig_event(rig, "create", "d 1");
    CHECK_EQ(priority_in_index(rig, num), PRIORITY_NORMAL);
    snprintf(want, sizeof(want), "%s ", rig_name(num));
    strcat(strcat(want, rig_name(first)), " ");
    keep_back(rig, false);
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 4);
    assert_memory_equal(rig->fakes[CRM].log, want, strlen(want));
    rig_destroy(rig);
}

static void a_route_may_say_another_priority_for_it(void **state)
{
    struct flow_rig *rig = setup(1 + PRIORITY_HIGH);

    (void)state;
    rig_up(rig);
    keep_back(rig, true);
    sweep(rig, sizeof(sl_outcome), found, 1);
    CHECK_EQ(priority_in_index(rig, about(rig, "a")), PRIORITY_HIGH);
    rig_destroy(rig);
}

static void what_came_is_not_made_again_and_what_was_found_is_no_second_event(void **state)
{
    struct flow_rig *rig = setup(0);
    uint64_t same;

    (void)state;
    rig_up(rig);
    rig_event(rig, "create", "a 1");
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 1);
    sweep(rig, sizeof(sl_outcome), found, 2); /* a, which came, and b, which did not */
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 2);
    CHECK_EQ(rig->flow->stats.same_events, 1);
    same = rig_event(rig, "create", "b 1"); /* the webhook after all */
    UNTIL(rig, rig->flow->stats.same_events == 2);
    CHECK_EQ(rig_state(rig, same), DS__COUNT);
    CHECK_EQ(rig->fakes[CRM].records, 2);
    rig_destroy(rig);
}

/** The i-th delivery that was made of events after this one. */
static uint64_t made_after(struct flow_rig *rig, uint64_t event, size_t i)
{
    for (uint64_t e = event + 1; e < event + 100; e++)
        if (rig_state(rig, delivery_num(e, 0)) != DS__COUNT && i-- == 0)
            return delivery_num(e, 0);
    fail_msg("there are not so many");
    return 0;
}

static const char *in_log(const struct flow_rig *rig, uint64_t num)
{
    return strstr(rig->fakes[CRM].log, rig_name(num));
}

static void it_stays_low_over_a_restart_and_in_a_window_that_is_full(void **state)
{
    static const char *const later[] = { "a 2", "b 2", "c 2", "d 2", "e 2", "f 2" };
    struct flow_rig *rig = setup(0);

    (void)state;
    rig->config.window = 2;
    rig_up(rig);
    keep_back(rig, true);
    sweep(rig, sizeof(sl_outcome), later, 6);
    uint64_t first = made_after(rig, rig->last_event, 5);
    uint64_t follower = rig_event(rig, "create", "f 3"); /* the one before it waits on disk */
    rig_event(rig, "create", "g 3");
    UNTIL(rig, rig->flow->stats.routed == 9);
    rig_crash(rig);
    rig_up(rig);
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 8);
    CHECK_EQ(rig->fakes[CRM].records, 8);
    CHECK(in_log(rig, first) < in_log(rig, follower));
    CHECK_EQ(rig_state(rig, first), DS_DELIVERED);
    CHECK_EQ(rig->row.priority, PRIORITY_LOW);
    rig_destroy(rig);
}

/** An outcome of a plugin that was built before there was `found`: an event that was caused. */
static void an_older_plugin_emits_as_it_did(void **state)
{
    struct flow_rig *rig = setup(0);

    (void)state;
    rig_up(rig);
    keep_back(rig, true);
    sweep(rig, offsetof(sl_outcome, found), found, 1);
    CHECK_EQ(priority_in_index(rig, about(rig, "sweep")),
             PRIORITY_NORMAL); /* its cause's subject */
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_goes_before_what_a_sweep_found),
        cmocka_unit_test(a_route_may_say_another_priority_for_it),
        cmocka_unit_test(what_came_is_not_made_again_and_what_was_found_is_no_second_event),
        cmocka_unit_test(it_stays_low_over_a_restart_and_in_a_window_that_is_full),
        cmocka_unit_test(an_older_plugin_emits_as_it_did),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
