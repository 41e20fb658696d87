/*
 * test_flow_reconcile.c - what a route has delivered, compared with what is there by an adapter
 * that the test plays.
 */
#include "flow_rig.h"

#include <jansson.h>

static struct flow_rig *setup(void)
{
    struct flow_rig *rig = rig_new();

    rig_route(rig, "order", "create", CRM, ACT_SAFE);
    rig_route(rig, "other", "other", CRM, ACT_SAFE);
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    rig_up(rig);
    return rig;
}

static uint64_t delivered(struct flow_rig *rig, const char *topic, const char *body)
{
    uint64_t num = rig_event(rig, topic, body);

    UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
    return num;
}

static int begin(struct flow_rig *rig, const char *route, uint32_t named)
{
    struct reconcile_ask ask = { .endpoint = "crm", .route = route, .named = named };
    struct fail fail = { 0 };

    return flow_reconcile(rig->flow, &ask, &fail);
}

static json_t *shown(struct flow_rig *rig)
{
    struct buf b = { 0 };
    json_t *o;

    CHECK(flow_reconcile_show(rig->flow, &b));
    o = json_loadb(b.data, b.len, 0, NULL);
    assert_non_null(o);
    buf_finish(&b);
    return o;
}

static const char *text(json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s ? s : "";
}

static long number(json_t *o, const char *name)
{
    return (long)json_integer_value(json_object_get(o, name));
}

static bool over(struct flow_rig *rig)
{
    json_t *o = shown(rig);
    bool r = strcmp(text(o, "state"), "running") != 0;

    json_decref(o);
    return r;
}

static void test_what_is_not_there_is_counted_and_named(void **state)
{
    static const uint32_t verdicts[] = { SL_COMPARED_SAME, SL_COMPARED_MISSING, SL_COMPARED_DIFFERS,
                                         0 };
    struct flow_rig *rig = setup();
    uint64_t b;

    (void)state;
    delivered(rig, "create", "a 1");
    b = delivered(rig, "create", "b 1");
    delivered(rig, "create", "c 1");
    delivered(rig, "create", "d 1");
    delivered(rig, "other", "e 1"); /* of another route */
    CHECK_EQ(begin(rig, "order", 10), 0);
    CHECK_EQ(begin(rig, "order", 10), UV_EBUSY);
    struct call *c = rig_call(rig, CRM);
    CHECK_EQ(c->kind, CALL_COMPARE);
    CHECK_EQ(c->n, 4);
    CHECK_STR(c->names[1], rig_name(b));
    CHECK(str_starts(c->batch->records[1].request, STR("request "))); /* as it was sent */
    rig_compared(c, verdicts, SL_OK);
    UNTIL(rig, over(rig));
    json_t *o = shown(rig), *found = json_object_get(o, "findings");
    CHECK_STR(text(o, "state"), "done");
    CHECK_EQ(number(o, "deliveries"), 4);
    CHECK_EQ(number(o, "arrived"), 1);
    CHECK_EQ(number(o, "missing"), 1);
    CHECK_EQ(number(o, "differing"), 1);
    CHECK_EQ(number(o, "unsure"), 1);
    CHECK_EQ(json_array_size(found), 3);
    CHECK_STR(text(json_array_get(found, 0), "delivery"), rig_name(b));
    CHECK_STR(text(json_array_get(found, 0), "what"), "missing");
    CHECK_STR(text(json_array_get(found, 0), "subject"), "b");
    CHECK_STR(text(json_array_get(found, 0), "text"), "the test");
    json_decref(o);
    rig_destroy(rig);
}

static void test_what_a_later_delivery_wrote_over_is_no_finding(void **state)
{
    static const uint32_t verdicts[] = { SL_COMPARED_DIFFERS, SL_COMPARED_SAME };
    struct flow_rig *rig = setup();

    (void)state;
    delivered(rig, "create", "a 1");
    delivered(rig, "create", "a 2");
    CHECK_EQ(begin(rig, "order", 10), 0);
    rig_compared(rig_call(rig, CRM), verdicts, SL_OK);
    UNTIL(rig, over(rig));
    json_t *o = shown(rig);
    CHECK_EQ(number(o, "arrived"), 1);
    CHECK_EQ(number(o, "differing"), 0);
    CHECK_EQ(number(o, "outdated"), 1);
    json_decref(o);
    rig_destroy(rig);
}

static void test_no_more_is_named_than_was_asked_for(void **state)
{
    static const uint32_t verdicts[] = { SL_COMPARED_MISSING, SL_COMPARED_MISSING,
                                         SL_COMPARED_MISSING };
    struct flow_rig *rig = setup();

    (void)state;
    delivered(rig, "create", "a 1");
    delivered(rig, "create", "b 1");
    delivered(rig, "create", "c 1");
    CHECK_EQ(begin(rig, "order", 1), 0);
    rig_compared(rig_call(rig, CRM), verdicts, SL_OK);
    UNTIL(rig, over(rig));
    json_t *o = shown(rig);
    CHECK_EQ(number(o, "missing"), 3);
    CHECK_EQ(json_array_size(json_object_get(o, "findings")), 1);
    json_decref(o);
    rig_destroy(rig);
}

/** How many records each call compares, of so many deliveries. */
static void check_calls(struct flow_rig *rig, const size_t *sizes)
{
    static uint32_t verdicts[205];
    long all = 0;

    for (size_t i = 0; i < 205; i++)
        verdicts[i] = SL_COMPARED_SAME;
    CHECK_EQ(begin(rig, "order", 10), 0);
    for (; *sizes; sizes++) {
        struct call *c = rig_call(rig, CRM);

        CHECK_EQ(c->n, *sizes);
        CHECK(str_starts(c->batch->records[c->n - 1].request, STR("request ")));
        all += (long)c->n;
        rig_compared(c, verdicts, SL_OK);
    }
    UNTIL(rig, over(rig));
    json_t *o = shown(rig);
    CHECK_EQ(number(o, "deliveries"), all);
    CHECK_EQ(number(o, "arrived"), all);
    json_decref(o);
}

static void test_as_many_are_compared_at_once_as_the_adapter_takes(void **state)
{
    struct flow_rig *rig = setup();
    uint64_t last = 0;
    char body[32];

    (void)state;
    for (int i = 0; i < 205; i++) {
        snprintf(body, sizeof(body), "s%d 1", i);
        last = rig_event(rig, "create", body);
    }
    UNTIL(rig, rig_state(rig, last) == DS_DELIVERED);
    check_calls(rig, (const size_t[]){ 200, 5, 0 });
    rig_compares_at_once = 1000;
    check_calls(rig, (const size_t[]){ 205, 0 });
    rig_compares_at_once = 203;
    check_calls(rig, (const size_t[]){ 203, 2, 0 });
    rig_compares_at_once = UINT32_MAX;
    rig_compares_bytes = 1; /* so the first step is enough */
    check_calls(rig, (const size_t[]){ 200, 5, 0 });
    rig_compares_at_once = 0;
    rig_compares_bytes = 0;
    rig_destroy(rig);
}

static void test_an_answer_that_was_lost_is_asked_for_again(void **state)
{
    static const uint32_t verdicts[] = { SL_COMPARED_MISSING }, good[] = { SL_COMPARED_SAME };
    struct flow_rig *rig = setup();

    (void)state;
    delivered(rig, "create", "a 1");
    CHECK_EQ(begin(rig, "order", 10), 0);
    rig_compared(rig_call(rig, CRM), verdicts, SL_E_NETWORK); /* nothing of it counts */
    rig_compared(rig_call(rig, CRM), good, SL_OK);
    UNTIL(rig, over(rig));
    json_t *o = shown(rig);
    CHECK_EQ(number(o, "arrived"), 1);
    CHECK_EQ(number(o, "missing"), 0);
    json_decref(o);
    rig_destroy(rig);
}

static void test_a_refusal_ends_it_and_another_may_begin(void **state)
{
    static const uint32_t none[] = { 0 };
    struct flow_rig *rig = setup();

    (void)state;
    delivered(rig, "create", "a 1");
    CHECK_EQ(begin(rig, "order", 10), 0);
    rig_compared(rig_call(rig, CRM), none, SL_E_INVALID);
    UNTIL(rig, over(rig));
    json_t *o = shown(rig);
    CHECK_STR(text(o, "state"), "failed");
    CHECK_STR(text(o, "error"), "the test");
    json_decref(o);
    CHECK_EQ(begin(rig, "nope", 10), UV_ENOENT);
    CHECK_EQ(begin(rig, "other", 10), 0);
    UNTIL(rig, over(rig)); /* it has delivered nothing */
    o = shown(rig);
    CHECK_STR(text(o, "state"), "done");
    CHECK_EQ(number(o, "deliveries"), 0);
    json_decref(o);
    rig_destroy(rig);
}

static void test_one_that_runs_ends_with_the_process(void **state)
{
    struct flow_rig *rig = setup();

    (void)state;
    delivered(rig, "create", "a 1");
    CHECK_EQ(begin(rig, "order", 10), 0);
    rig_call(rig, CRM); /* never answers */
    rig_crash(rig);
    rig_up(rig);
    struct buf b = { 0 };
    CHECK(!flow_reconcile_show(rig->flow, &b));
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_not_there_is_counted_and_named),
        cmocka_unit_test(test_what_a_later_delivery_wrote_over_is_no_finding),
        cmocka_unit_test(test_no_more_is_named_than_was_asked_for),
        cmocka_unit_test(test_as_many_are_compared_at_once_as_the_adapter_takes),
        cmocka_unit_test(test_an_answer_that_was_lost_is_asked_for_again),
        cmocka_unit_test(test_a_refusal_ends_it_and_another_may_begin),
        cmocka_unit_test(test_one_that_runs_ends_with_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
