/*
 * test_flow_missed.c - what a sweep finds that should have come by itself: taken once, whatever of
 * it comes before, meanwhile or after all. Bodies are "SUBJECT VERSION".
 */
#include "flow_rig.h"

#include "flow/feed.h"

enum { LIVE, SWEEP };

struct sweep {
    struct flow_rig *rig;
    struct conf_feed feed;
    int stored;
};

static struct sweep setup(void)
{
    struct sweep s = { .rig = rig_new(),
                       .feed = { .name = (char *)"orders",
                                 .kind = SWEEP,
                                 .every_ms = 20,
                                 .at_minute = -1,
                                 .alert_after = 2 } };

    rig_route(s.rig, "paid", "paid", CRM, ACT_SEND);
    rig_route(s.rig, "updated", "updated", CRM, ACT_SEND);
    s.rig->fakes[CRM].auto_kind = SL_DELIVERED;
    return s;
}

static void up(struct sweep *s)
{
    s->rig->endpoints[SHOP].feeds = &s->feed;
    s->rig->endpoints[SHOP].n_feeds = 1;
    rig_up(s->rig);
}

static void on_stored(void *ctx, sl_status status)
{
    struct sweep *s = ctx;

    CHECK_EQ(status, SL_OK);
    s->stored++;
}

static sl_status emit(struct call *c, const char *topic, const char *body, const char *unless,
                      const char *since)
{
    sl_missed m = { .size = sizeof(m),
                    .topic = str_of(topic),
                    .body = str_of(body),
                    .unless = str_of(unless),
                    .since = str_of(since) };

    return c->poll->emit_missed(c->poll->ctx, &m);
}

/** Both at once, and their checkpoint. */
static void store(struct sweep *s, struct call *c)
{
    int before = s->stored;

    c->poll->checkpoint(c->poll->ctx, STR("here"), on_stored, s);
    UNTIL(s->rig, s->stored == before + 1);
}

static const struct flow_stats *stats(struct sweep *s)
{
    return &s->rig->flow->stats;
}

static struct feed *feed_of(struct sweep *s)
{
    return s->rig->flow->feeds;
}

static void routed(struct sweep *s, uint64_t n)
{
    UNTIL(s->rig, stats(s)->routed == n);
}

static size_t delivered(struct sweep *s)
{
    return s->rig->fakes[CRM].records;
}

static void test_what_has_come_is_not_stored_though_its_version_is_another(void **state)
{
    struct sweep s = setup();
    struct store_stats before, after;
    struct call *c;

    (void)state;
    up(&s);
    c = rig_call(s.rig, SHOP);
    rig_event(s.rig, "paid", "a 10");
    UNTIL(s.rig, s.rig->flow->lanes[CRM]->delivered == 1);
    store_stats(s.rig->store, &before);
    CHECK_EQ(emit(c, "paid", "a 15", "paid", "9"), SL_OK); /* paid since 9: it came with 10 */
    CHECK_EQ(emit(c, "updated", "a 10", "updated paid", "10"), SL_OK);
    store(&s, c);
    store_stats(s.rig->store, &after);
    CHECK_EQ(after.records - before.records, 1); /* the cursor */
    rig_polled(c, SL_OK, 1000);
    CHECK_EQ(feed_of(&s)->rows, 0);
    CHECK_EQ(feed_of(&s)->known, 2);
    CHECK_EQ(delivered(&s), 1);
    rig_destroy(s.rig);
}

static void test_what_has_not_come_is_taken_once(void **state)
{
    struct sweep s = setup();
    struct call *c;

    (void)state;
    up(&s);
    c = rig_call(s.rig, SHOP);
    rig_event(s.rig, "paid", "a 10");
    UNTIL(s.rig, delivered(&s) == 1);
    emit(c, "updated", "a 12", "updated", "12"); /* newer than all that is known */
    emit(c, "paid", "b 12", "paid", "11");       /* another one's */
    emit(c, "paid", "a 20", "paid", "18");       /* paid a second time */
    store(&s, c);
    UNTIL(s.rig, delivered(&s) == 4);
    CHECK_EQ(stats(&s)->missed, 3);
    emit(c, "updated", "a 12", "updated", "12"); /* the next sweep */
    emit(c, "paid", "b 13", "paid", "11");
    emit(c, "paid", "a 21", "paid", "18");
    store(&s, c);
    rig_polled(c, SL_OK, 1000);
    CHECK_EQ(feed_of(&s)->rows, 3);
    CHECK_EQ(feed_of(&s)->known, 3);
    CHECK_EQ(stats(&s)->missed, 3);
    CHECK_EQ(delivered(&s), 4);
    rig_destroy(s.rig);
}

static void test_of_two_in_one_page_the_second_is_covered_by_the_first(void **state)
{
    struct sweep s = setup();
    struct call *c;

    (void)state;
    up(&s);
    c = rig_call(s.rig, SHOP);
    emit(c, "paid", "a 12", "paid", "11");
    emit(c, "updated", "a 12", "updated paid", "12");
    store(&s, c);
    rig_polled(c, SL_OK, 1000);
    routed(&s, 2);
    CHECK_EQ(stats(&s)->missed, 1);
    CHECK_EQ(stats(&s)->same_events, 1);
    UNTIL(s.rig, delivered(&s) == 1);
    rig_destroy(s.rig);
}

static void test_a_webhook_that_comes_after_all_is_done_no_second_time(void **state)
{
    struct sweep s = setup();
    struct call *c;

    (void)state;
    up(&s);
    c = rig_call(s.rig, SHOP);
    emit(c, "paid", "a 15", "paid", "10");
    store(&s, c);
    rig_polled(c, SL_OK, 1000);
    UNTIL(s.rig, delivered(&s) == 1);
    rig_event(s.rig, "paid", "a 10"); /* as it was sent first: older */
    rig_event(s.rig, "paid", "a 15"); /* as old as what was found */
    routed(&s, 3);
    CHECK_EQ(stats(&s)->late, 1); /* the second has its event key */
    CHECK_EQ(stats(&s)->same_events, 2);
    rig_event(s.rig, "updated", "a 10"); /* another topic's */
    rig_event(s.rig, "paid", "b 10");    /* another one's */
    rig_event(s.rig, "paid", "a 16");    /* and paid once more */
    UNTIL(s.rig, delivered(&s) == 4);
    CHECK_EQ(stats(&s)->late, 1);
    rig_destroy(s.rig);
}

static void test_a_late_webhook_is_known_over_a_restart(void **state)
{
    struct sweep s = setup();
    struct call *c;

    (void)state;
    up(&s);
    c = rig_call(s.rig, SHOP);
    emit(c, "paid", "a 15", "paid", "10");
    store(&s, c);
    rig_polled(c, SL_OK, 1000);
    UNTIL(s.rig, delivered(&s) == 1);
    rig_crash(s.rig);
    rig_up(s.rig);
    rig_event(s.rig, "paid", "a 10");
    UNTIL(s.rig, stats(&s)->late == 1);
    CHECK_EQ(delivered(&s), 1);
    rig_destroy(s.rig);
}

/* The webhook is stored, and not routed yet, when the sweep's is: the index knows nothing of it. */
static void test_a_webhook_that_comes_meanwhile_is_not_doubled(void **state)
{
    struct sweep s = setup();
    struct call *c;

    (void)state;
    up(&s);
    c = rig_call(s.rig, SHOP);
    for (int round = 1; round <= 20; round++) {
        char webhook[32], found[32];

        snprintf(webhook, sizeof(webhook), "a%d 10", round);
        snprintf(found, sizeof(found), "a%d 12", round);
        emit(c, "paid", found, "paid", "10");
        if (round % 2)
            rig_event(s.rig, "paid", webhook);
        c->poll->checkpoint(c->poll->ctx, STR("here"), on_stored, &s);
        for (int turn = 0; turn < round / 4; turn++)
            rig_turn(s.rig);
        if (round % 2 == 0)
            rig_event(s.rig, "paid", webhook);
        UNTIL(s.rig, s.stored == round);
        UNTIL(s.rig, delivered(&s) == (size_t)round);
    }
    rig_polled(c, SL_OK, 1000);
    UNTIL(s.rig, stats(&s)->routed == stats(&s)->same_events + 20);
    CHECK_EQ(delivered(&s), 20);
    rig_destroy(s.rig);
}

static void test_without_a_version_the_event_key_says_whether_it_is_known(void **state)
{
    struct sweep s = setup();
    struct call *c;

    (void)state;
    up(&s);
    c = rig_call(s.rig, SHOP);
    rig_event(s.rig, "paid", "a 10");
    UNTIL(s.rig, delivered(&s) == 1);
    CHECK_EQ(emit(c, "paid", "a 10", "", ""), SL_OK);
    CHECK_EQ(emit(c, "paid", "b 10", "", ""), SL_OK);
    CHECK_EQ(emit(c, "paid", "b 10", "", "9"), SL_E_INVALID);
    store(&s, c);
    rig_polled(c, SL_OK, 1000);
    UNTIL(s.rig, delivered(&s) == 2);
    CHECK_EQ(feed_of(&s)->known, 1);
    CHECK_EQ(feed_of(&s)->rows, 1);
    rig_destroy(s.rig);
}

/* ---- when it begins by itself ---- */

static void test_a_sweep_begins_with_the_process_and_soon_after_a_refusal(void **state)
{
    struct sweep s = setup();
    struct lane *l;
    int64_t now;

    (void)state;
    s.feed.every_ms = 900000;
    up(&s);
    rig_polled(rig_call(s.rig, SHOP), SL_OK, 0);
    UNTIL(s.rig, feed_of(&s)->runs == 1);
    rig_crash(s.rig);
    rig_up(s.rig); /* nobody took what came meanwhile */
    rig_polled(rig_call(s.rig, SHOP), SL_OK, 0);
    UNTIL(s.rig, feed_of(&s)->runs == 1);
    now = clock_wall_ms();
    CHECK(feed_of(&s)->next_ms > now + 800000);
    l = s.rig->flow->lanes[SHOP];
    lane_poll_soon(l, 10000);
    CHECK_EQ(feed_of(&s)->next_ms, feed_of(&s)->began_ms + 60000); /* not within a minute */
    feed_of(&s)->began_ms -= 300000;
    lane_poll_soon(l, 10000);
    CHECK(feed_of(&s)->next_ms <= clock_wall_ms() + 10000);
    s.feed.at_minute = 120; /* a nightly one stays where it is */
    feed_of(&s)->next_ms = now + 800000;
    lane_poll_soon(l, 10000);
    CHECK_EQ(feed_of(&s)->next_ms, now + 800000);
    rig_destroy(s.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_has_come_is_not_stored_though_its_version_is_another),
        cmocka_unit_test(test_what_has_not_come_is_taken_once),
        cmocka_unit_test(test_of_two_in_one_page_the_second_is_covered_by_the_first),
        cmocka_unit_test(test_a_webhook_that_comes_after_all_is_done_no_second_time),
        cmocka_unit_test(test_a_late_webhook_is_known_over_a_restart),
        cmocka_unit_test(test_a_webhook_that_comes_meanwhile_is_not_doubled),
        cmocka_unit_test(test_without_a_version_the_event_key_says_whether_it_is_known),
        cmocka_unit_test(test_a_sweep_begins_with_the_process_and_soon_after_a_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
