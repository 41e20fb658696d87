/*
 * test_flow_feeds.c - feeds with a real store: what a poll finds is stored once, with its cursor,
 * whatever ends the process; the endpoint's state and the feed's own failures say when it is asked.
 */
#include "flow_rig.h"

#include "flow/feed.h"

enum { LIVE, SWEEP };

struct poll_rig {
    struct flow_rig *rig;
    struct conf_feed feed;
    int stored; /* checkpoints called back ... */
    sl_status status;
};

/** Events "stock" of shop go to crm, which takes them. The feed is due each 20 ms. */
static struct poll_rig setup(uint32_t kind)
{
    struct poll_rig p = { .rig = rig_new(),
                          .feed = { .name = (char *)"stock",
                                    .kind = kind,
                                    .every_ms = 20,
                                    .at_minute = -1,
                                    .alert_after = 2 } };

    rig_route(p.rig, "stock", "stock", CRM, ACT_SEND);
    p.rig->fakes[CRM].auto_kind = SL_DELIVERED;
    return p;
}

static void up(struct poll_rig *p)
{
    p->rig->endpoints[SHOP].feeds = &p->feed;
    p->rig->endpoints[SHOP].n_feeds = 1;
    rig_up(p->rig);
}

static void on_stored(void *ctx, sl_status status)
{
    struct poll_rig *p = ctx;

    p->stored++;
    p->status = status;
}

static void checkpoint(struct poll_rig *p, struct call *c, const char *cursor)
{
    int before = p->stored;

    c->poll->checkpoint(c->poll->ctx, str_of(cursor), on_stored, p);
    CHECK_EQ(p->stored, before); /* not before it returned */
    UNTIL(p->rig, p->stored == before + 1);
    CHECK_EQ(p->status, SL_OK);
}

static sl_status emit(struct call *c, const char *body)
{
    return c->poll->emit(c->poll->ctx, STR("stock"), str_of(body));
}

static struct feed *feed_of(struct poll_rig *p)
{
    return p->rig->flow->feeds;
}

static void test_what_is_found_is_routed_and_the_next_poll_goes_on_from_there(void **state)
{
    struct poll_rig p = setup(LIVE);
    struct call *c;

    (void)state;
    up(&p);
    c = rig_call(p.rig, SHOP);
    CHECK_STR(c->token, "");
    CHECK_EQ(emit(c, "a 1"), SL_OK);
    CHECK_EQ(emit(c, "b 1"), SL_OK);
    checkpoint(&p, c, "here");
    rig_polled(c, SL_OK, 0);
    UNTIL(p.rig, p.rig->fakes[CRM].records == 2);
    c = rig_call(p.rig, SHOP);
    CHECK_STR(c->token, "here");
    rig_polled(c, SL_OK, 0);
    CHECK_EQ(p.rig->flow->stats.polled, 2);
    rig_destroy(p.rig);
}

static void test_what_an_overlap_brings_again_is_stored_no_second_time(void **state)
{
    struct poll_rig p = setup(LIVE);
    struct store_stats before, after;
    struct call *c;

    (void)state;
    up(&p);
    c = rig_call(p.rig, SHOP);
    emit(c, "a 1");
    emit(c, "a 1"); /* nor within one checkpoint */
    checkpoint(&p, c, "1");
    UNTIL(p.rig, p.rig->fakes[CRM].records == 1);
    store_stats(p.rig->store, &before);
    emit(c, "a 1");
    emit(c, "a 2");
    checkpoint(&p, c, "2");
    rig_polled(c, SL_OK, 1000);
    UNTIL(p.rig, p.rig->fakes[CRM].records == 2);
    store_stats(p.rig->store, &after);
    CHECK_EQ(after.duplicates - before.duplicates, 1);
    CHECK_EQ(feed_of(&p)->rows, 2);
    CHECK_EQ(feed_of(&p)->known, 2);
    CHECK_EQ(p.rig->flow->stats.same_events, 0); /* the router saw none of them */
    rig_destroy(p.rig);
}

static void test_what_a_webhook_said_already_makes_no_second_delivery(void **state)
{
    struct poll_rig p = setup(SWEEP);
    struct call *c;

    (void)state;
    up(&p);
    c = rig_call(p.rig, SHOP);
    rig_event(p.rig, "stock", "a 1");
    UNTIL(p.rig, p.rig->fakes[CRM].records == 1);
    emit(c, "a 1");
    emit(c, "b 1"); /* this one did not come */
    checkpoint(&p, c, "1");
    rig_polled(c, SL_OK, 1000);
    UNTIL(p.rig, p.rig->fakes[CRM].records == 2);
    CHECK_EQ(feed_of(&p)->known, 1);
    CHECK_EQ(p.rig->flow->stats.same_events, 0); /* it was not even stored */
    rig_destroy(p.rig);
}

static void test_a_sweep_finds_what_should_have_come_before(void **state)
{
    struct poll_rig p = setup(SWEEP);
    struct call *c;

    (void)state;
    up(&p);
    p.rig->fakes[CRM].auto_kind = 0;
    c = rig_call(p.rig, SHOP);
    emit(c, "a 1");
    checkpoint(&p, c, "1");
    rig_polled(c, SL_OK, 1000);
    c = rig_call(p.rig, CRM);
    struct delivery *d = p.rig->flow->deliveries;
    CHECK_EQ(d->priority, PRIORITY_LOW); /* live traffic goes first */
    rig_answer(c, SL_DELIVERED);
    rig_destroy(p.rig);
}

static void test_a_crash_before_the_checkpoint_leaves_nothing_and_after_it_all(void **state)
{
    struct poll_rig p = setup(LIVE);
    struct call *c;

    (void)state;
    up(&p);
    c = rig_call(p.rig, SHOP);
    emit(c, "a 1");
    checkpoint(&p, c, "1");
    UNTIL(p.rig, p.rig->fakes[CRM].records == 1);
    emit(c, "b 1");
    rig_crash(p.rig);
    rig_up(p.rig);
    c = rig_call(p.rig, SHOP);
    CHECK_STR(c->token, "1");
    CHECK_EQ(p.rig->fakes[CRM].records, 1);
    emit(c, "a 1"); /* the overlap */
    emit(c, "b 1");
    checkpoint(&p, c, "2");
    rig_polled(c, SL_OK, 1000);
    UNTIL(p.rig, p.rig->fakes[CRM].records == 2);
    CHECK_EQ(feed_of(&p)->rows, 1);
    rig_destroy(p.rig);
}

static void on_summary(void *ctx, int status, sl_str json)
{
    long *ret = ctx;

    CHECK_EQ(status, 0);
    CHECK_EQ(sscanf(json.ptr, "{\"events\":%ld", ret), 1);
}

static long events_kept(struct flow_rig *rig)
{
    long n = -1;

    CHECK_EQ(store_report(rig->store, REPORT_SUMMARY, NULL, on_summary, &n), 0);
    UNTIL(rig, n >= 0);
    return n;
}

static void test_a_crash_while_it_is_being_stored_makes_no_doubles(void **state)
{
    struct poll_rig p = setup(LIVE);
    struct call *c;
    char body[32];

    (void)state;
    up(&p);
    for (int round = 0; round < 4; round++) {
        c = rig_call(p.rig, SHOP);
        for (int i = 0; i < 50; i++) {
            snprintf(body, sizeof(body), "s%d 1", i);
            CHECK_EQ(emit(c, body), SL_OK);
        }
        c->poll->checkpoint(c->poll->ctx, STR("x"), on_stored, &p);
        for (int turn = 0; turn < round; turn++)
            rig_turn(p.rig);
        rig_crash(p.rig);
        rig_up(p.rig);
    }
    c = rig_call(p.rig, SHOP);
    for (int i = 0; i < 50; i++) {
        snprintf(body, sizeof(body), "s%d 1", i);
        emit(c, body);
    }
    checkpoint(&p, c, "y");
    rig_polled(c, SL_OK, 1000);
    CHECK_EQ(events_kept(p.rig), 50);
    rig_destroy(p.rig);
}

static void test_what_is_in_memory_is_bounded(void **state)
{
    struct poll_rig p = setup(LIVE);
    char *big = mem_zero(SL_FEED_MAX_BYTES + 2), body[32];
    struct call *c;

    (void)state;
    up(&p);
    c = rig_call(p.rig, SHOP);
    for (int i = 0; i < SL_FEED_MAX_EVENTS; i++) {
        snprintf(body, sizeof(body), "s%d 1", i);
        CHECK_EQ(emit(c, body), SL_OK);
    }
    CHECK_EQ(emit(c, "more 1"), SL_E_LIMIT);
    checkpoint(&p, c, "1");
    CHECK_EQ(emit(c, "more 1"), SL_OK);
    checkpoint(&p, c, "2");
    memset(big, 'x', SL_FEED_MAX_BYTES / 2);
    CHECK_EQ(emit(c, big), SL_OK);
    CHECK_EQ(emit(c, big), SL_E_LIMIT);
    memset(big, 'x', SL_FEED_MAX_BYTES + 1);
    CHECK_EQ(emit(c, big), SL_E_INVALID);
    CHECK_EQ(c->poll->emit(c->poll->ctx, STR(""), STR("a")), SL_E_INVALID);
    rig_polled(c, SL_OK, 1000);
    CHECK_EQ(feed_of(&p)->rows, SL_FEED_MAX_EVENTS + 1); /* the rest was not made durable */
    free(big);
    rig_destroy(p.rig);
}

static void test_a_cursor_beyond_the_limit_is_refused_with_what_was_found(void **state)
{
    struct poll_rig p = setup(LIVE);
    char *cursor = mem_zero(SL_FEED_MAX_CURSOR + 2);
    struct call *c;

    (void)state;
    memset(cursor, 'x', SL_FEED_MAX_CURSOR + 1);
    up(&p);
    c = rig_call(p.rig, SHOP);
    emit(c, "a 1");
    c->poll->checkpoint(c->poll->ctx, str_of(cursor), on_stored, &p);
    UNTIL(p.rig, p.stored == 1);
    CHECK_EQ(p.status, SL_E_LIMIT);
    rig_polled(c, SL_E_LIMIT, 0);
    CHECK_EQ(feed_of(&p)->rows, 0);
    CHECK(!feed_of(&p)->cursor);
    free(cursor);
    rig_destroy(p.rig);
}

static void test_one_poll_at_a_time(void **state)
{
    struct poll_rig p = setup(LIVE);
    const char *waits;
    struct call *c;

    (void)state;
    up(&p);
    c = rig_call(p.rig, SHOP);
    for (int i = 0; i < 15; i++) /* three periods and more */
        rig_turn(p.rig);
    CHECK(c->node.next == &p.rig->fakes[SHOP].calls);
    CHECK_EQ(flow_poll(p.rig->flow, STR("shop"), STR("stock"), &waits), UV_EALREADY);
    rig_polled(c, SL_OK, 0);
    c = rig_call(p.rig, SHOP);
    rig_polled(c, SL_OK, 1000);
    rig_destroy(p.rig);
}

static void test_an_event_that_it_listens_for_has_it_polled_at_once(void **state)
{
    struct poll_rig p = setup(LIVE);
    char *on[] = { (char *)"stoc*" };
    uint64_t runs;

    (void)state;
    p.feed.every_ms = INT64_C(3600) * 1000;
    p.feed.on = on;
    p.feed.n_on = 1;
    rig_route(p.rig, "other", "other", CRM, ACT_SEND);
    up(&p);
    rig_polled(rig_call(p.rig, SHOP), SL_OK, 0);
    UNTIL(p.rig, feed_of(&p)->runs == 1);
    rig_event(p.rig, "other", "a 1");
    UNTIL(p.rig, p.rig->fakes[CRM].records == 1);
    CHECK(feed_of(&p)->next_ms > feed_of(&p)->began_ms + 1000);

    rig_event(p.rig, "stock", "a 1");
    struct call *c = rig_call(p.rig, SHOP);
    runs = feed_of(&p)->runs;
    rig_event(p.rig, "stock", "b 1"); /* it may have looked there before: once more */
    UNTIL(p.rig, p.rig->fakes[CRM].records == 3);
    rig_polled(c, SL_OK, 0);
    rig_polled(rig_call(p.rig, SHOP), SL_OK, 0);
    UNTIL(p.rig, feed_of(&p)->runs == runs + 2);
    CHECK(feed_of(&p)->next_ms > feed_of(&p)->began_ms + 1000);
    rig_destroy(p.rig);
}

static void test_failures_put_it_off_and_are_told_once(void **state)
{
    struct poll_rig p = setup(LIVE);
    const char *waits;

    (void)state;
    up(&p);
    for (uint32_t i = 1; i <= 3; i++) {
        rig_polled(rig_call(p.rig, SHOP), SL_E_NETWORK, 0);
        CHECK_EQ(feed_of(&p)->failures, i);
        CHECK_EQ(p.rig->notices[NOTICE_FEED], i >= 2);
        CHECK(rig_quiet(p.rig, SHOP)); /* not after its 20 ms */
        CHECK_EQ(flow_poll(p.rig->flow, STR("shop"), STR("stock"), &waits), 0);
    }
    rig_polled(rig_call(p.rig, SHOP), SL_OK, 0);
    CHECK_EQ(feed_of(&p)->failures, 0);
    CHECK(!feed_of(&p)->error);
    rig_destroy(p.rig);
}

static void find(struct call *c, const char *text)
{
    c->poll->finding(c->poll->ctx, str_of(text));
}

static void test_a_finding_stands_until_a_poll_ends_well_without_one(void **state)
{
    struct poll_rig p = setup(LIVE);
    struct call *c;

    (void)state;
    up(&p);
    c = rig_call(p.rig, SHOP);
    find(c, "one");
    find(c, "two is missing");
    checkpoint(&p, c, "1");
    CHECK(!feed_of(&p)->finding); /* not before it ends well */
    rig_polled(c, SL_OK, 0);
    CHECK_STR(feed_of(&p)->finding, "two is missing");
    CHECK_EQ(p.rig->notices[NOTICE_FINDING], 1);

    c = rig_call(p.rig, SHOP);
    checkpoint(&p, c, "2");
    rig_polled(c, SL_E_NETWORK, 0); /* this says nothing of it */
    CHECK_STR(feed_of(&p)->finding, "two is missing");

    rig_crash(p.rig); /* and another process knows it */
    rig_up(p.rig);
    c = rig_call(p.rig, SHOP);
    CHECK_STR(feed_of(&p)->finding, "two is missing");
    find(c, "two is missing");
    rig_polled(c, SL_OK, 0);
    CHECK_EQ(p.rig->notices[NOTICE_FINDING], 2); /* each poll: its alert is repeated now and then */

    rig_polled(rig_call(p.rig, SHOP), SL_OK, 0);
    CHECK(!feed_of(&p)->finding);
    CHECK_EQ(p.rig->notices[NOTICE_FINDING], 2);
    rig_destroy(p.rig);
}

static void test_a_paused_or_parked_endpoint_is_not_asked(void **state)
{
    struct poll_rig p = setup(LIVE);
    const char *waits = NULL;
    struct lane *l;

    (void)state;
    up(&p);
    rig_polled(rig_call(p.rig, SHOP), SL_OK, 0);
    l = p.rig->flow->lanes[SHOP];
    lane_park(l, STR("HTTP 401"), 60000);
    UNTIL(p.rig, rig_quiet(p.rig, SHOP));
    CHECK_EQ(flow_poll(p.rig->flow, STR("shop"), STR("stock"), &waits), UV_EAGAIN);
    CHECK_STR(waits, "its endpoint is parked");
    lane_unpark(l);
    UNTIL(p.rig, !list_empty(&p.rig->fakes[SHOP].calls));
    CHECK_EQ(flow_poll(p.rig->flow, STR("shop"), STR("none"), &waits), UV_ENOENT);
    rig_destroy(p.rig);
}

static void test_a_reload_keeps_the_cursor_and_forgets_a_feed_that_is_gone(void **state)
{
    struct poll_rig p = setup(LIVE);
    struct conf_feed other;
    struct config next;
    struct adapter *adapters[RIG_ENDPOINTS];
    struct call *c;
    size_t orphans;

    (void)state;
    up(&p);
    c = rig_call(p.rig, SHOP);
    emit(c, "a 1");
    checkpoint(&p, c, "1");
    for (size_t i = 0; i < RIG_ENDPOINTS; i++)
        adapters[i] = &p.rig->adapters[i];
    next = p.rig->config;
    p.rig->endpoints[SHOP].n_feeds = 0; /* removed while it is polled */
    CHECK_EQ(flow_reconfigure(p.rig->flow, &next, adapters, &orphans), 0);
    CHECK_EQ(emit(c, "b 1"), SL_E_CANCELLED);
    rig_polled(c, SL_OK, 0);
    CHECK(!feed_of(&p));
    other = p.feed;
    p.rig->endpoints[SHOP].feeds = &other; /* and there again */
    p.rig->endpoints[SHOP].n_feeds = 1;
    CHECK_EQ(flow_reconfigure(p.rig->flow, &p.rig->config, adapters, &orphans), 0);
    c = rig_call(p.rig, SHOP);
    CHECK_STR(c->token, "1");
    rig_polled(c, SL_OK, 1000);
    rig_destroy(p.rig);
}

static void test_a_clock_that_was_set_back_is_found_out(void **state)
{
    struct poll_rig p = setup(LIVE);
    struct adapter *adapters[RIG_ENDPOINTS];
    int64_t day = INT64_C(86400) * 1000;
    size_t orphans;

    (void)state;
    up(&p);
    rig_polled(rig_call(p.rig, SHOP), SL_OK, 0);
    UNTIL(p.rig, feed_of(&p)->runs == 1);
    feed_of(&p)->began_ms += day;
    feed_of(&p)->next_ms += day;
    for (size_t i = 0; i < RIG_ENDPOINTS; i++)
        adapters[i] = &p.rig->adapters[i];
    CHECK_EQ(flow_reconfigure(p.rig->flow, &p.rig->config, adapters, &orphans), 0);
    rig_polled(rig_call(p.rig, SHOP), SL_OK, 1000);
    rig_destroy(p.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_found_is_routed_and_the_next_poll_goes_on_from_there),
        cmocka_unit_test(test_what_an_overlap_brings_again_is_stored_no_second_time),
        cmocka_unit_test(test_what_a_webhook_said_already_makes_no_second_delivery),
        cmocka_unit_test(test_a_sweep_finds_what_should_have_come_before),
        cmocka_unit_test(test_a_crash_before_the_checkpoint_leaves_nothing_and_after_it_all),
        cmocka_unit_test(test_a_crash_while_it_is_being_stored_makes_no_doubles),
        cmocka_unit_test(test_what_is_in_memory_is_bounded),
        cmocka_unit_test(test_a_cursor_beyond_the_limit_is_refused_with_what_was_found),
        cmocka_unit_test(test_one_poll_at_a_time),
        cmocka_unit_test(test_an_event_that_it_listens_for_has_it_polled_at_once),
        cmocka_unit_test(test_failures_put_it_off_and_are_told_once),
        cmocka_unit_test(test_a_finding_stands_until_a_poll_ends_well_without_one),
        cmocka_unit_test(test_a_paused_or_parked_endpoint_is_not_asked),
        cmocka_unit_test(test_a_reload_keeps_the_cursor_and_forgets_a_feed_that_is_gone),
        cmocka_unit_test(test_a_clock_that_was_set_back_is_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
