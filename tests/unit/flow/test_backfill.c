/*
 * test_backfill.c - what happened before, brought on demand, with a real store: begun, gone on with
 * over crashes and reloads, cancelled, refused; beside feeds and beside another one.
 */
#include "flow_rig.h"

#include "base/clock.h"
#include "flow/backfill.h"
#include "flow/feed.h"

enum { LIVE, SWEEP };

struct past {
    struct flow_rig *rig;
    struct conf_feed feed;
    struct fail fail;
    int stored;
    sl_status status; /* of that */
};

/** Events "paid" of shop go to crm, which takes them. */
static struct past setup(void)
{
    struct past p = { .rig = rig_new() };

    rig_route(p.rig, "paid", "paid", CRM, ACT_SAFE); /* a crash repeats it */
    p.rig->fakes[CRM].auto_kind = SL_DELIVERED;
    return p;
}

static struct past ready(void)
{
    struct past p = setup();

    rig_up(p.rig);
    UNTIL(p.rig, p.rig->flow->feeds_known);
    return p;
}

static int begin(struct past *p, const char *endpoint, const char *topics)
{
    struct backfill_ask ask = { endpoint, topics, 1000, 2000, STR("ada") };

    return flow_backfill(p->rig->flow, &ask, &p->fail);
}

static struct call *find(struct flow_rig *rig, int endpoint, enum call_kind kind)
{
    const struct list *calls = &rig->fakes[endpoint].calls;

    for (struct list *at = calls->next; at != calls; at = at->next)
        if (list_entry(at, struct call, node)->kind == kind)
            return list_entry(at, struct call, node);
    return NULL;
}

static struct call *call(struct past *p, int endpoint)
{
    UNTIL(p->rig, find(p->rig, endpoint, CALL_BACKFILL));
    return find(p->rig, endpoint, CALL_BACKFILL);
}

static void on_stored(void *ctx, sl_status status)
{
    struct past *p = ctx;

    p->stored++;
    p->status = status;
}

static sl_status emit(struct call *c, const char *body)
{
    sl_missed m = { .size = sizeof(m),
                    .topic = STR("paid"),
                    .body = str_of(body),
                    .unless = STR("paid"),
                    .since = STR("5") };

    return c->poll->emit_missed(c->poll->ctx, &m);
}

static sl_status checkpoint(struct past *p, struct call *c, const char *cursor)
{
    int before = p->stored;

    c->poll->checkpoint(c->poll->ctx, str_of(cursor), on_stored, p);
    UNTIL(p->rig, p->stored == before + 1);
    return p->status;
}

static sl_status progress(struct call *c, uint64_t done, uint64_t total)
{
    return c->poll->progress(c->poll->ctx, done, total, STR("orders"));
}

/** Does what is shown of all of them have this in it? */
static bool shows(struct past *p, const char *text)
{
    struct buf b = { 0 };
    bool has;

    flow_backfills_json(p->rig->flow, &b);
    buf_char(&b, '\0');
    has = strstr(b.data, text) != NULL;
    if (!has)
        print_message("%s\n", b.data);
    buf_finish(&b);
    return has;
}

static struct feed *feed_of(struct past *p, const char *endpoint)
{
    return feed_of_backfill(p->rig->flow, endpoint);
}

/** What puts it off is over. */
static void hurry(struct past *p)
{
    feed_of(p, "shop")->next_ms = 0;
    feeds_change(p->rig->flow);
}

static void again(struct past *p)
{
    rig_crash(p->rig);
    rig_up(p->rig);
    UNTIL(p->rig, p->rig->flow->feeds_known);
}

/* ---- its way ---- */

static void test_it_is_asked_for_brought_and_over(void **state)
{
    struct past p = ready();
    struct call *c;

    (void)state;
    CHECK(shows(&p, "[]"));
    CHECK_EQ(begin(&p, "shop", "paid orders/*"), 0);
    c = call(&p, SHOP);
    CHECK_STR(c->names[0], "paid orders/*");
    CHECK_STR(c->token, "");
    CHECK(shows(&p, "\"state\":\"running\",\"topics\":\"paid orders/*\",\"who\":\"ada\""));
    CHECK_EQ(emit(c, "a 9"), SL_OK);
    CHECK_EQ(emit(c, "b 9"), SL_OK);
    CHECK_EQ(progress(c, 1, 4), SL_OK);
    CHECK(shows(&p, "\"of\":\"orders\",\"waits\":\"\",\"error\":\"\",\"done\":1,\"total\":4"));
    CHECK_EQ(checkpoint(&p, c, "half"), SL_OK);
    CHECK(shows(&p, "\"found\":2,\"known\":0"));
    rig_polled(c, SL_OK, 1); /* not yet all */
    c = call(&p, SHOP);
    CHECK_STR(c->token, "half");
    emit(c, "b 9");
    emit(c, "c 9");
    CHECK_EQ(checkpoint(&p, c, "whole"), SL_OK);
    CHECK(shows(&p, "\"found\":3,\"known\":1"));
    rig_polled(c, SL_OK, 0);
    CHECK(shows(&p, "\"state\":\"done\""));
    UNTIL(p.rig, p.rig->fakes[CRM].records == 3);
    CHECK(rig_quiet(p.rig, SHOP));
    again(&p);
    UNTIL(p.rig, feed_of(&p, "shop"));
    CHECK(shows(&p, "\"state\":\"done\""));
    CHECK(shows(&p, "\"found\":3,\"known\":1"));
    CHECK(rig_quiet(p.rig, SHOP));
    rig_destroy(p.rig);
}

static void test_what_it_finds_gives_way_to_live_traffic(void **state)
{
    struct past p = ready();
    struct call *c;

    (void)state;
    p.rig->fakes[CRM].auto_kind = 0;
    begin(&p, "shop", "paid");
    c = call(&p, SHOP);
    emit(c, "a 9");
    checkpoint(&p, c, "1");
    c = rig_call(p.rig, CRM);
    CHECK_EQ(p.rig->flow->deliveries->priority, PRIORITY_LOW);
    rig_answer(c, SL_DELIVERED);
    rig_destroy(p.rig);
}

static void test_a_crash_goes_on_at_the_last_checkpoint(void **state)
{
    struct past p = ready();
    struct call *c;

    (void)state;
    begin(&p, "shop", "paid");
    again(&p); /* begun is durable, though nothing was asked yet */
    c = call(&p, SHOP);
    emit(c, "a 9");
    checkpoint(&p, c, "1");
    progress(c, 7, 9);
    emit(c, "b 9");
    checkpoint(&p, c, "2");
    emit(c, "c 9");
    again(&p);
    c = call(&p, SHOP);
    CHECK_STR(c->token, "2");
    CHECK_STR(c->names[0], "paid");
    CHECK(shows(&p, "\"done\":7,\"total\":9"));
    emit(c, "b 9"); /* an adapter may go back somewhat */
    emit(c, "c 9");
    checkpoint(&p, c, "3");
    rig_polled(c, SL_OK, 0);
    CHECK_EQ(feed_of(&p, "shop")->job->known, 1);
    UNTIL(p.rig, p.rig->fakes[CRM].records >= 3);
    rig_destroy(p.rig);
}

static void test_another_one_takes_the_place_of_the_last(void **state)
{
    struct past p = ready();
    struct call *c;

    (void)state;
    begin(&p, "shop", "paid");
    c = call(&p, SHOP);
    checkpoint(&p, c, "1");
    rig_polled(c, SL_OK, 0);
    CHECK_EQ(begin(&p, "shop", "orders/*"), 0);
    c = call(&p, SHOP);
    CHECK_STR(c->token, "");
    CHECK_STR(c->names[0], "orders/*");
    again(&p);
    c = call(&p, SHOP);
    CHECK_STR(c->token, "");
    CHECK_STR(c->names[0], "orders/*");
    rig_polled(c, SL_OK, 0);
    rig_destroy(p.rig);
}

static void test_two_endpoints_have_each_their_own(void **state)
{
    struct past p = ready();
    struct call *shop, *other;

    (void)state;
    CHECK_EQ(begin(&p, "shop", "paid"), 0);
    CHECK_EQ(begin(&p, "other", "orders/*"), 0);
    shop = call(&p, SHOP);
    other = call(&p, OTHER);
    checkpoint(&p, shop, "s");
    checkpoint(&p, other, "o");
    again(&p);
    CHECK_STR(call(&p, SHOP)->token, "s");
    CHECK_STR(call(&p, OTHER)->token, "o");
    CHECK_EQ(flow_backfill_cancel(p.rig->flow, "shop"), 0);
    CHECK_EQ(progress(call(&p, SHOP), 1, 1), SL_E_CANCELLED);
    CHECK_EQ(progress(call(&p, OTHER), 1, 1), SL_OK);
    CHECK(shows(&p, "\"endpoint\":\"shop\",\"state\":\"cancelled\""));
    CHECK(shows(&p, "\"endpoint\":\"other\",\"state\":\"running\""));
    rig_destroy(p.rig);
}

/* ---- beside feeds ---- */

static void with_feed(struct past *p)
{
    p->feed = (struct conf_feed){ .name = (char *)"paid",
                                  .kind = SWEEP,
                                  .every_ms = 3600000,
                                  .at_minute = -1,
                                  .alert_after = 2 };
    p->rig->endpoints[SHOP].feeds = &p->feed;
    p->rig->endpoints[SHOP].n_feeds = 1;
}

static void test_its_cursor_and_a_feeds_are_two(void **state)
{
    struct past p = setup();
    const char *waits;
    struct call *c;

    (void)state;
    with_feed(&p);
    rig_up(p.rig);
    UNTIL(p.rig, find(p.rig, SHOP, CALL_POLL));
    begin(&p, "shop", "paid");
    checkpoint(&p, find(p.rig, SHOP, CALL_POLL), "feed");
    checkpoint(&p, call(&p, SHOP), "past");
    again(&p);
    c = call(&p, SHOP);
    CHECK_STR(c->token, "past");
    UNTIL(p.rig, find(p.rig, SHOP, CALL_POLL));
    CHECK_STR(find(p.rig, SHOP, CALL_POLL)->token, "feed");
    /* it is no feed that could be polled by hand, or that a refusal brings nearer */
    CHECK_EQ(flow_poll(p.rig->flow, STR("shop"), STR(BACKFILL_NAME), &waits), UV_ENOENT);
    lane_poll_soon(p.rig->flow->lanes[SHOP], 1000);
    rig_polled(c, SL_OK, 0);
    CHECK(shows(&p, "\"state\":\"done\""));
    CHECK(find(p.rig, SHOP, CALL_POLL)); /* and goes on */
    rig_destroy(p.rig);
}

/* Both read the same orders at the same time: in one checkpoint, or in two of which neither is
 * routed when the other is stored. */
static void test_what_a_sweep_finds_too_is_told_once(void **state)
{
    struct past p = setup();
    struct call *sweep, *past;

    (void)state;
    with_feed(&p);
    rig_up(p.rig);
    UNTIL(p.rig, find(p.rig, SHOP, CALL_POLL));
    sweep = find(p.rig, SHOP, CALL_POLL);
    begin(&p, "shop", "paid");
    past = call(&p, SHOP);
    for (int round = 1; round <= 10; round++) {
        char body[32], later[32];

        snprintf(body, sizeof(body), "a%d 9", round);
        snprintf(later, sizeof(later), "a%d 1%d", round, round % 2); /* it was changed between */
        emit(sweep, body);
        emit(past, round < 6 ? body : later);
        sweep->poll->checkpoint(sweep->poll->ctx, STR("x"), on_stored, &p);
        for (int turn = 0; turn < round % 3; turn++)
            rig_turn(p.rig);
        past->poll->checkpoint(past->poll->ctx, STR("y"), on_stored, &p);
        UNTIL(p.rig, p.stored == 2 * round);
    }
    UNTIL(p.rig, p.rig->fakes[CRM].records >= 10);
    UNTIL(p.rig, p.rig->flow->stats.routed ==
                     p.rig->flow->stats.polled); /* those that are duplicates as well */
    CHECK(rig_quiet(p.rig, CRM));
    CHECK_EQ(p.rig->fakes[CRM].records, 10);
    rig_polled(sweep, SL_OK, 0);
    rig_polled(past, SL_OK, 0);
    rig_destroy(p.rig);
}

/* ---- it ends otherwise ---- */

static void test_cancelled_it_stops_at_its_next_word(void **state)
{
    struct past p = ready();
    struct call *c;

    (void)state;
    CHECK_EQ(flow_backfill_cancel(p.rig->flow, "shop"), UV_ENOENT);
    begin(&p, "shop", "paid");
    c = call(&p, SHOP);
    emit(c, "a 9");
    CHECK_EQ(checkpoint(&p, c, "1"), SL_OK);
    CHECK_EQ(flow_backfill_cancel(p.rig->flow, "shop"), 0);
    CHECK_EQ(flow_backfill_cancel(p.rig->flow, "shop"), UV_ENOENT);
    CHECK_EQ(emit(c, "b 9"), SL_E_CANCELLED);
    CHECK_EQ(progress(c, 1, 2), SL_E_CANCELLED);
    CHECK_EQ(checkpoint(&p, c, "2"), SL_E_CANCELLED);
    CHECK_EQ(begin(&p, "shop", "paid"), UV_EALREADY);
    CHECK(strstr(p.fail.text, "is coming to its end"));
    rig_polled(c, SL_E_CANCELLED, 0);
    CHECK(shows(&p, "\"state\":\"cancelled\""));
    CHECK_EQ(feed_of(&p, "shop")->failures, 0);
    UNTIL(p.rig, p.rig->fakes[CRM].records == 1); /* what it found stays */
    again(&p);
    UNTIL(p.rig, feed_of(&p, "shop"));
    CHECK(shows(&p, "\"state\":\"cancelled\""));
    CHECK(rig_quiet(p.rig, SHOP));
    rig_destroy(p.rig);
}

static void test_cancelled_between_two_calls_there_is_no_other(void **state)
{
    struct past p = ready();

    (void)state;
    begin(&p, "shop", "paid");
    rig_polled(call(&p, SHOP), SL_E_NETWORK, 0);
    CHECK(shows(&p, "\"error\":\"the test\""));
    CHECK_EQ(flow_backfill_cancel(p.rig->flow, "shop"), 0);
    hurry(&p);
    CHECK(rig_quiet(p.rig, SHOP));
    CHECK_EQ(begin(&p, "shop", "paid"), 0); /* another one need not wait */
    rig_polled(call(&p, SHOP), SL_OK, 0);
    rig_destroy(p.rig);
}

static void test_failures_put_it_off_and_are_told_once(void **state)
{
    struct past p = ready();
    struct buf text = { 0 };

    (void)state;
    begin(&p, "shop", "paid");
    for (uint32_t i = 1; i <= 4; i++) {
        rig_polled(call(&p, SHOP), SL_E_NETWORK, 0);
        CHECK_EQ(feed_of(&p, "shop")->failures, i);
        CHECK(feed_of(&p, "shop")->next_ms > clock_wall_ms() + 5000);
        CHECK_EQ(p.rig->notices[NOTICE_FEED], i >= 3);
        CHECK_EQ(flow_backfill_fails(p.rig->flow, "shop", &text), i >= 3);
        hurry(&p);
    }
    buf_char(&text, '\0');
    CHECK(strstr(text.data, "the back-fill of shop has failed 3 times in a row: the test"));
    call(&p, SHOP);
    CHECK(shows(&p, "\"error\":\"\"")); /* it is tried again just now */
    rig_polled(call(&p, SHOP), SL_OK, 1);
    CHECK(!flow_backfill_fails(p.rig->flow, "shop", &text));
    rig_polled(call(&p, SHOP), SL_OK, 0);
    CHECK(shows(&p, "\"state\":\"done\""));
    buf_finish(&text);
    rig_destroy(p.rig);
}

static void test_a_paused_endpoint_is_not_asked(void **state)
{
    struct past p = ready();
    struct lane *l = p.rig->flow->lanes[SHOP];

    (void)state;
    lane_park(l, STR("HTTP 401"), 60000);
    CHECK_EQ(begin(&p, "shop", "paid"), 0);
    CHECK(rig_quiet(p.rig, SHOP));
    CHECK(shows(&p, "\"waits\":\"its endpoint is parked\""));
    lane_unpark(l);
    rig_polled(call(&p, SHOP), SL_OK, 0);
    rig_destroy(p.rig);
}

static void test_what_cannot_be_done_is_refused_with_what_would_be_right(void **state)
{
    static const struct {
        const char *endpoint, *topics, *says;
        int code;
    } cases[] = {
        { "nowhere", "paid", "there is no endpoint \"nowhere\"", UV_ENOENT },
        { "other", "paid", "adapter \"fake\" of \"other\" has nothing to back-fill from",
          UV_ENOTSUP },
        { "shop", "", "topics are such as orders/create", UV_EINVAL },
        { "shop", "orders/\"x\"", "topics are such as orders/create", UV_EINVAL },
        { "shop", "none", "there are orders and nothing else", UV_EINVAL },
    };
    struct past p = setup();
    sl_plugin poor = *p.rig->endpoints[OTHER].plugin;
    struct backfill_ask late = { "shop", "paid", 2000, 2000, STR("ada") };

    (void)state;
    poor.backfill = NULL;
    p.rig->endpoints[OTHER].plugin = &poor;
    rig_up(p.rig);
    UNTIL(p.rig, p.rig->flow->feeds_known);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CHECK_EQ(begin(&p, cases[i].endpoint, cases[i].topics), cases[i].code);
        CHECK(strstr(p.fail.text, cases[i].says));
    }
    CHECK_EQ(flow_backfill(p.rig->flow, &late, &p.fail), UV_EINVAL);
    CHECK(strstr(p.fail.text, "not before"));
    CHECK(shows(&p, "[]"));
    p.rig->flow->feeds_known = false; /* one of the process before may be running */
    CHECK_EQ(begin(&p, "shop", "paid"), UV_EALREADY);
    CHECK(strstr(p.fail.text, "is starting"));
    p.rig->flow->feeds_known = true;
    CHECK_EQ(begin(&p, "shop", "paid"), 0);
    CHECK_EQ(begin(&p, "shop", "paid"), UV_EALREADY);
    CHECK(strstr(p.fail.text, "is running"));
    rig_polled(call(&p, SHOP), SL_OK, 0);
    rig_destroy(p.rig);
}

/* ---- reloads ---- */

static void go_over(struct past *p, struct config *next, struct adapter **adapters)
{
    size_t orphans;

    CHECK_EQ(flow_reconfigure(p->rig->flow, next, adapters, &orphans), 0);
}

static void adapters_of(struct past *p, struct adapter **ret)
{
    for (size_t i = 0; i < RIG_ENDPOINTS; i++)
        ret[i] = &p->rig->adapters[i];
}

static void test_an_endpoint_that_is_gone_stops_it_and_brings_it_back(void **state)
{
    struct adapter *adapters[RIG_ENDPOINTS];
    struct past p = ready();
    struct adapter fresh;
    struct config less = p.rig->config;
    struct call *c;

    (void)state;
    adapters_of(&p, adapters);
    fresh = p.rig->adapters[OTHER];
    begin(&p, "other", "paid");
    c = call(&p, OTHER);
    CHECK_EQ(checkpoint(&p, c, "1"), SL_OK);
    less.n_endpoints = OTHER;
    go_over(&p, &less, adapters);
    CHECK(shows(&p, "\"waits\":\"its endpoint is gone\""));
    CHECK_EQ(progress(c, 1, 2), SL_E_CANCELLED);
    CHECK_EQ(checkpoint(&p, c, "2"), SL_E_CANCELLED);
    rig_polled(c, SL_E_CANCELLED, 0);
    CHECK_EQ(feed_of(&p, "other")->failures, 0);
    CHECK(shows(&p, "\"state\":\"running\""));
    fresh.refs = 0;
    fresh.retired = false;
    p.rig->adapters[OTHER] = fresh;
    go_over(&p, &p.rig->config, adapters);
    c = call(&p, OTHER);
    CHECK_STR(c->token, "1");
    rig_polled(c, SL_OK, 0);
    CHECK(shows(&p, "\"state\":\"done\",\"topics\":\"paid\""));
    rig_destroy(p.rig);
}

/* As when its token is another one. */
static void test_an_endpoint_that_is_opened_anew_goes_on_with_it(void **state)
{
    struct adapter *adapters[RIG_ENDPOINTS], other;
    struct past p = ready();
    struct config next = p.rig->config;
    struct call *c;

    (void)state;
    adapters_of(&p, adapters);
    begin(&p, "shop", "paid");
    c = call(&p, SHOP);
    CHECK_EQ(checkpoint(&p, c, "1"), SL_OK);
    other = p.rig->adapters[SHOP];
    other.refs = 0;
    adapters[SHOP] = &other;
    go_over(&p, &next, adapters);
    CHECK_EQ(progress(c, 1, 2), SL_E_CANCELLED);
    CHECK_EQ(emit(c, "a 9"), SL_E_CANCELLED);
    rig_polled(c, SL_E_CANCELLED, 0);
    CHECK_EQ(feed_of(&p, "shop")->failures, 0);
    c = call(&p, SHOP);
    CHECK_STR(c->token, "1");
    CHECK_EQ(progress(c, 1, 2), SL_OK);
    CHECK_EQ(other.refs > 0, true);
    rig_polled(c, SL_OK, 0);
    other.open = false;
    rig_destroy(p.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_asked_for_brought_and_over),
        cmocka_unit_test(test_what_it_finds_gives_way_to_live_traffic),
        cmocka_unit_test(test_a_crash_goes_on_at_the_last_checkpoint),
        cmocka_unit_test(test_another_one_takes_the_place_of_the_last),
        cmocka_unit_test(test_two_endpoints_have_each_their_own),
        cmocka_unit_test(test_its_cursor_and_a_feeds_are_two),
        cmocka_unit_test(test_what_a_sweep_finds_too_is_told_once),
        cmocka_unit_test(test_cancelled_it_stops_at_its_next_word),
        cmocka_unit_test(test_cancelled_between_two_calls_there_is_no_other),
        cmocka_unit_test(test_failures_put_it_off_and_are_told_once),
        cmocka_unit_test(test_a_paused_endpoint_is_not_asked),
        cmocka_unit_test(test_what_cannot_be_done_is_refused_with_what_would_be_right),
        cmocka_unit_test(test_an_endpoint_that_is_gone_stops_it_and_brings_it_back),
        cmocka_unit_test(test_an_endpoint_that_is_opened_anew_goes_on_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
