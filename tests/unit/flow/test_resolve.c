/*
 * test_resolve.c - what a foreign id belongs to is asked at the endpoint that named it: once for
 * many events, again until there is an answer, over a restart; and what an event tells itself is
 * not asked for.
 */
#include "clock_rig.h"

#include "flow/resolve.h"

static struct clock_rig rig;
static struct {
    uint32_t verdict;      /* of each answer; 0: none comes */
    bool unknown;          /* the remote knows nothing of it */
    const char *otherwise; /* then */
    unsigned asked;
    size_t ids; /* of the last question */
    char last[40];
} remote;

/** "9" belongs to "order-9". */
static void resolve(void *self, const sl_ref *refs, size_t n, sl_resolve_cb cb, void *ctx)
{
    sl_resolved_ref found[SL_RESOLVE_MAX];
    char texts[SL_RESOLVE_MAX][60];
    sl_resolved a = {
        .size = sizeof(a), .verdict = remote.verdict, .why = STR("the test"), .refs = found
    };

    (void)self;
    CHECK(n > 0 && n <= SL_RESOLVE_MAX);
    remote.asked++;
    remote.ids = n;
    for (size_t i = 0; i < n; i++) {
        CHECK(str_eq(refs[i].kind, STR("po")));
        snprintf(remote.last, sizeof(remote.last), STR_FMT, STR_ARG(refs[i].id));
        snprintf(texts[i], sizeof(texts[i]), "order-%s", remote.last);
        found[i] = (sl_resolved_ref){ .subject = str_of(remote.unknown ? "" : texts[i]),
                                      .otherwise = str_of(remote.otherwise) };
    }
    if (remote.verdict)
        cb(ctx, &a);
}

static const sl_plugin *fake;

/** "SUBJECT tells ID": the event says itself that the id belongs to its subject. */
static sl_status describe(void *self, const sl_event *e, const sl_describe_out *out, sl_fail *fail)
{
    char text[120], id[40] = "";
    sl_ref ref = { STR("po"), { 0 } };

    snprintf(text, sizeof(text), STR_FMT, STR_ARG(e->body));
    if (sscanf(text, "%*s tells %39s", id) == 1) {
        ref.id = str_of(id);
        out->link(out->ctx, &ref);
    }
    return fake->describe(self, e, out, fail);
}

static struct clock_rig *setup(void)
{
    static sl_plugin plugin;

    memset(&remote, 0, sizeof(remote));
    remote.verdict = SL_RESOLVE_DONE;
    clock_rig_init(&rig);
    clock_rig_route(&rig, "late", "t")->from_endpoint = "crm";
    fake = rig.endpoints[CRM].plugin;
    plugin = *fake;
    plugin.describe = describe;
    plugin.resolve = resolve;
    rig.endpoints[CRM].plugin = rig.adapters[CRM].plugin = &plugin;
    clock_rig_up(&rig);
    return &rig;
}

static uint64_t comes(struct clock_rig *r, const char *body)
{
    return clock_rig_event_of(r, "crm", "t", body);
}

static void check_delivered(struct clock_rig *r, uint64_t num, const char *subject)
{
    const struct row *row;

    clock_rig_pass(r, 20); /* less than questions are gathered for */
    row = clock_rig_row(r, num);
    assert_non_null(row);
    CHECK_EQ(row->state, DS_DELIVERED);
    CHECK(str_eq(row->subject, str_of(subject)));
}

static void test_events_of_one_id_are_asked_for_once_and_go_in_their_order(void **state)
{
    struct clock_rig *r = setup();
    char want[80], a[32], b[32];

    (void)state;
    clock_rig_begin_event(r, "crm", "t", "- ref 9");
    clock_rig_begin_event(r, "crm", "t", "- ref 9");
    uint64_t other = comes(r, "order-1");
    check_delivered(r, other, "order-1"); /* not held up by what waits */
    clock_rig_pass(r, SEC);
    CHECK_EQ(remote.asked, 1);
    CHECK_EQ(remote.ids, 1);
    uint64_t first = delivery_num(delivery_event(other) - 2, 0), second = first + (1 << 12);
    check_delivered(r, first, "order-9");
    check_delivered(r, second, "order-9");
    delivery_name(first, a);
    delivery_name(second, b);
    snprintf(want, sizeof(want), "%s %s ", a, b);
    CHECK_HAS(r->log, want);

    /* a link is there now */
    check_delivered(r, comes(r, "- ref 9"), "order-9");
    clock_rig_crash(r);
    clock_rig_up(r);
    check_delivered(r, comes(r, "- ref 9"), "order-9");
    CHECK_EQ(remote.asked, 1);
    CHECK_EQ(router_waiting(&r->flow->router), 0);
    clock_rig_finish(r);
}

static void test_many_ids_go_into_one_question(void **state)
{
    struct clock_rig *r = setup();
    char body[20];

    (void)state;
    for (int i = 0; i < 2 * SL_RESOLVE_MAX; i++) {
        snprintf(body, sizeof(body), "- ref %d", i);
        clock_rig_begin_event(r, "crm", "t", body);
    }
    clock_rig_pass(r, 2 * SEC);
    CHECK_EQ(remote.asked, 2);
    CHECK_EQ(remote.ids, SL_RESOLVE_MAX);
    CHECK_EQ(r->delivers, 2 * SL_RESOLVE_MAX);
    clock_rig_finish(r);
}

static void test_it_is_asked_again_until_there_is_an_answer_over_a_restart(void **state)
{
    struct clock_rig *r = setup();
    const char *why;
    uint64_t ill_ms;

    (void)state;
    remote.verdict = SL_RESOLVE_AGAIN;
    uint64_t num = comes(r, "- ref 9");
    clock_rig_pass(r, 20 * SEC); /* at once, after 1 s, 2, 4, 8 */
    CHECK_EQ(remote.asked, 5);
    CHECK_EQ(resolve_wanted(r->flow, STR("crm"), &why, &ill_ms), 1);
    CHECK_STR(why, "the test");
    CHECK(ill_ms >= 15 * SEC && ill_ms <= 20 * SEC); /* since the first failure */
    CHECK_EQ(router_waiting(&r->flow->router), 1);

    clock_rig_crash(r);
    clock_rig_up(r);
    clock_rig_pass(r, 500);
    CHECK_EQ(remote.asked, 6);
    remote.verdict = SL_RESOLVE_DONE;
    clock_rig_pass(r, 2 * SEC);
    check_delivered(r, num, "order-9");
    CHECK_EQ(resolve_wanted(r->flow, STR("crm"), &why, &ill_ms), 0);
    assert_null(why);
    CHECK_EQ(ill_ms, 0);
    clock_rig_finish(r);
}

static void test_an_answer_that_never_comes_is_asked_for_again_by_the_next_start(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    remote.verdict = 0;
    uint64_t num = comes(r, "- ref 9");
    clock_rig_pass(r, SEC);
    CHECK_EQ(remote.asked, 1);
    clock_rig_crash(r);
    remote.verdict = SL_RESOLVE_DONE;
    clock_rig_up(r);
    clock_rig_pass(r, SEC);
    check_delivered(r, num, "order-9");
    clock_rig_finish(r);
}

static void test_what_the_remote_does_not_know_stands_for_itself_in_the_end(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    remote.unknown = true;
    remote.otherwise = "thing-9";
    uint64_t num = comes(r, "- ref 9");
    clock_rig_pass(r, 10 * SEC);
    assert_null(clock_rig_row(r, num)); /* it may only be late */
    clock_rig_pass(r, 10 * SEC);
    CHECK_EQ(remote.asked, 5);
    check_delivered(r, num, "thing-9");

    remote.otherwise = NULL;
    num = comes(r, "- ref 8");
    clock_rig_pass(r, 60 * SEC);
    CHECK_EQ(remote.asked, 10);
    assert_null(clock_rig_row(r, num));
    CHECK_EQ(router_waiting(&r->flow->router), 1);
    remote.unknown = false; /* hours later */
    clock_rig_pass(r, HOUR);
    check_delivered(r, num, "order-8");
    clock_rig_finish(r);
}

static void test_a_paused_endpoint_is_not_asked(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    clock_rig_stop(r, false, "crm", PAUSE_BEGINS);
    comes(r, "- ref 9");
    clock_rig_pass(r, 10 * SEC);
    CHECK_EQ(remote.asked, 0);
    clock_rig_stop(r, false, "crm", PAUSE_ENDS);
    clock_rig_pass(r, 2 * SEC);
    CHECK_EQ(remote.asked, 1);
    CHECK_EQ(r->delivers, 1);
    clock_rig_finish(r);
}

static void test_what_an_event_tells_itself_is_not_asked_for(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    remote.verdict = SL_RESOLVE_AGAIN;
    uint64_t before = comes(r, "- ref 9");
    clock_rig_pass(r, SEC);
    unsigned asked = remote.asked;
    CHECK(asked > 0);
    comes(r, "order-5 tells 9");
    clock_rig_pass(r, SEC);
    check_delivered(r, before, "order-5"); /* which was waiting for it */
    check_delivered(r, comes(r, "- ref 9"), "order-5");
    clock_rig_finish(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_of_one_id_are_asked_for_once_and_go_in_their_order),
        cmocka_unit_test(test_many_ids_go_into_one_question),
        cmocka_unit_test(test_it_is_asked_again_until_there_is_an_answer_over_a_restart),
        cmocka_unit_test(test_an_answer_that_never_comes_is_asked_for_again_by_the_next_start),
        cmocka_unit_test(test_what_the_remote_does_not_know_stands_for_itself_in_the_end),
        cmocka_unit_test(test_a_paused_endpoint_is_not_asked),
        cmocka_unit_test(test_what_an_event_tells_itself_is_not_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
