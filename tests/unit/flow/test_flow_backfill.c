/*
 * test_flow_backfill.c - a back-fill with a real store: it goes on over failures, restarts and
 * reloads, and ends when its adapter or a person says so.
 */
#include "flow_rig.h"

#include "flow/backfill.h"

static struct flow_rig *setup(void)
{
    struct flow_rig *rig = rig_new();
    struct fail fail;

    rig_route(rig, "stock", "stock", CRM, ACT_SEND);
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    rig_up(rig);
    UNTIL(rig, rig->flow->feeds_known);
    CHECK_EQ(flow_backfill(rig->flow,
                           &(struct backfill_ask){ .endpoint = "shop",
                                                   .topics = "stock",
                                                   .since_ms = 1000,
                                                   .until_ms = 2000,
                                                   .who = STR("ada") },
                           &fail),
             0);
    return rig;
}

static struct feed *backfill_of(struct flow_rig *rig)
{
    return feed_of_backfill(rig->flow, "shop");
}

static void reconfigure(struct flow_rig *rig, const struct config *next, struct adapter **adapters)
{
    size_t orphans;

    CHECK_EQ(flow_reconfigure(rig->flow, next, adapters, &orphans), 0);
}

static void on_stored(void *ctx, sl_status status)
{
    CHECK_EQ(status, SL_OK);
    *(bool *)ctx = true;
}

static void test_it_is_polled_until_its_adapter_has_all_of_it(void **state)
{
    struct flow_rig *rig = setup();
    struct call *c = rig_call(rig, SHOP);
    sl_missed m = { .size = sizeof(m), .topic = STR("stock"), .body = STR("a 1") };
    bool stored = false;

    (void)state;
    CHECK_STR(c->token, "");
    CHECK_EQ(c->poll->emit_missed(c->poll->ctx, &m), SL_OK);
    c->poll->checkpoint(c->poll->ctx, STR("half"), on_stored, &stored);
    UNTIL(rig, stored);
    rig_polled(c, SL_OK, 1);
    c = rig_call(rig, SHOP);
    CHECK_STR(c->token, "half");
    rig_polled(c, SL_OK, 0);
    CHECK_EQ(backfill_of(rig)->job->state, BACKFILL_DONE);
    CHECK_EQ(backfill_of(rig)->job->found, 1);
    UNTIL(rig, rig->fakes[CRM].records == 1);
    CHECK(rig_quiet(rig, SHOP));
    rig_destroy(rig);
}

static void test_a_crash_lets_it_go_on_from_its_cursor(void **state)
{
    struct flow_rig *rig = setup();
    struct call *c = rig_call(rig, SHOP);
    bool stored = false;

    (void)state;
    c->poll->checkpoint(c->poll->ctx, STR("half"), on_stored, &stored);
    UNTIL(rig, stored);
    rig_crash(rig);
    rig_up(rig);
    c = rig_call(rig, SHOP);
    CHECK_STR(c->token, "half");
    CHECK_STR(backfill_of(rig)->job->who, "ada");
    rig_polled(c, SL_OK, 0);
    rig_destroy(rig);
}

static void test_it_waits_for_its_endpoint_to_come_back(void **state)
{
    struct flow_rig *rig = setup();
    struct adapter *adapters[RIG_ENDPOINTS];
    struct call *c = rig_call(rig, SHOP);
    struct config without = rig->config;
    struct buf shown = { 0 };

    (void)state;
    for (size_t i = 0; i < RIG_ENDPOINTS; i++)
        adapters[i] = &rig->adapters[i];
    CHECK_EQ(SHOP, 0);
    without.endpoints++;
    without.n_endpoints--;
    reconfigure(rig, &without, adapters + 1);
    rig_polled(c, SL_E_NETWORK, 0); /* the question was under way */
    CHECK_EQ(backfill_of(rig)->failures, 1);
    CHECK_EQ(backfill_of(rig)->job->state, BACKFILL_RUNS);
    flow_backfills_json(rig->flow, &shown);
    buf_char(&shown, 0);
    CHECK(strstr(shown.data, "its endpoint is gone"));
    buf_finish(&shown);
    backfill_of(rig)->next_ms = 0;
    reconfigure(rig, &rig->config, adapters);
    rig_polled(rig_call(rig, SHOP), SL_OK, 0);
    CHECK_EQ(backfill_of(rig)->job->state, BACKFILL_DONE);
    rig_destroy(rig);
}

static void test_a_person_ends_it_in_the_middle(void **state)
{
    struct flow_rig *rig = setup();
    struct call *c = rig_call(rig, SHOP);
    sl_missed m = { .size = sizeof(m), .topic = STR("stock"), .body = STR("a 1") };

    (void)state;
    CHECK_EQ(flow_backfill_cancel(rig->flow, "shop"), 0);
    CHECK_EQ(c->poll->emit_missed(c->poll->ctx, &m), SL_E_CANCELLED);
    CHECK_EQ(c->poll->progress(c->poll->ctx, 1, 2, STR("orders")), SL_E_CANCELLED);
    rig_polled(c, SL_E_CANCELLED, 0);
    CHECK_EQ(backfill_of(rig)->job->state, BACKFILL_CANCELLED);
    CHECK(rig_quiet(rig, SHOP));
    CHECK_EQ(flow_backfill_cancel(rig->flow, "shop"), UV_ENOENT);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_polled_until_its_adapter_has_all_of_it),
        cmocka_unit_test(test_a_crash_lets_it_go_on_from_its_cursor),
        cmocka_unit_test(test_it_waits_for_its_endpoint_to_come_back),
        cmocka_unit_test(test_a_person_ends_it_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
