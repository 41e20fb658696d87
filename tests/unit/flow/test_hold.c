/*
 * test_hold.c - what a hold carries, what its clock and its choices make of it, and what is filled
 * in.
 */
#include "../check.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "flow/hold.h"
#include "flow/json_place.h"

#define T0   INT64_C(1700000000000)
#define HOUR INT64_C(3600000)

static struct config config = { .alerts = { .repeat_ms = 60000 } };
static struct flow flow = { .config = &config };
static struct conf_route route = { .name = "r", .owner = "sales" };

static struct conf_field fields[] = {
    { .name = "zip", .path = "/ship/zip", .label = "postcode", .pattern = "[0-9]{5}" },
    { .name = "floor", .path = "/ship/floor", .as = FIELD_NUMBER, .optional = true },
    { .name = "gift", .path = "/gift", .as = FIELD_BOOLEAN, .optional = true },
};
static struct conf_choice choices[] = {
    { .name = "good", .release = true, .to = "byron", .text = "the customer \"was called\"" },
    { .name = "bad" },
    { .name = "corrected", .release = true, .fields = fields, .n_fields = 3 },
};

/** A row held so; `detail`: own. */
static struct store_delivery row_of(const struct conf_hold *h, sl_str evidence, char **ret_detail)
{
    char *detail = hold_detail(h, &route, STR(""), evidence, STR(""), STR(""));

    *ret_detail = detail;
    return (struct store_delivery){ .num = delivery_num(7, 0),
                                    .state = DS_HELD,
                                    .endpoint = STR("crm"),
                                    .hold_type = str_of(h->type),
                                    .generation = 2,
                                    .detail = str_of(detail) };
}

static struct conf_hold hold_for(int64_t for_ms, enum hold_then then)
{
    return (struct conf_hold){
        .type = "fraud", .for_ms = for_ms, .then = then, .choices = choices, .n_choices = 3
    };
}

/* ---- its clock ---- */

static void test_a_clock_releases_or_rejects_and_says_how_long_it_was(void **state)
{
    struct conf_hold h = hold_for(2 * HOUR, HOLD_RELEASE);
    struct hold_verdict v;
    char *detail;

    (void)state;
    struct store_delivery row = row_of(&h, STR(""), &detail);
    hold_ran_out(&flow, &row, T0, "", &v);
    CHECK_EQ(v.state, DS_READY);
    CHECK_STR(v.reason, "fraud: nobody decided within 2h");
    assert_null(v.to);
    hold_verdict_finish(&v);
    free(detail);

    h.then = HOLD_REJECT;
    row = row_of(&h, STR(""), &detail);
    hold_ran_out(&flow, &row, T0, "", &v);
    CHECK_EQ(v.state, DS_DEAD);
    CHECK_STR(v.reason, "fraud: nobody decided within 2h");
    hold_verdict_finish(&v);
    free(detail);
}

static void test_escalated_it_is_held_on_under_its_new_owner_and_the_evidence_stays(void **state)
{
    struct conf_hold h = hold_for(HOUR, HOLD_ESCALATE);
    struct hold_verdict v;
    char *detail;

    (void)state;
    h.escalate_to = "boss";
    struct store_delivery row = row_of(&h, STR("{\"total\":12.10,\"id\":12345678901234567890}"),
                                       &detail);
    hold_ran_out(&flow, &row, T0, "", &v);
    CHECK_EQ(v.state, DS_HELD);
    CHECK(v.overdue);
    CHECK_EQ(v.next_ms, T0 + HOUR); /* its own time is longer than what is repeated */
    CHECK_STR(v.hold_type, "fraud");
    CHECK_STR(v.reason, "overdue: nobody decided within 1h; boss decides");
    assert_non_null(strstr(v.detail, "\"owner\":\"boss\""));
    assert_non_null(strstr(v.detail, "\"overdue\":true"));
    assert_non_null(
        strstr(v.detail, ",\"evidence\":{\"total\":12.10,\"id\":12345678901234567890}}"));
    free(detail);
    detail = mem_str(v.detail);
    hold_verdict_finish(&v);

    /* and once more: the same, an hour later; the choices are still there */
    row.detail = str_of(detail);
    hold_ran_out(&flow, &row, T0 + HOUR, "", &v);
    CHECK_EQ(v.next_ms, T0 + 2 * HOUR);
    CHECK_STR(v.detail, detail);
    hold_verdict_finish(&v);
    struct hold_word word = { .choice = STR("good") };
    char text[160];
    CHECK_EQ(hold_chosen(&row, &word, T0, &v, text), 0);
    CHECK_STR(v.to, "byron");
    hold_verdict_finish(&v);
    free(detail);
}

static void test_a_short_clock_is_told_again_no_more_often_than_alerts_are(void **state)
{
    struct conf_hold h = hold_for(500, HOLD_ESCALATE);
    struct hold_verdict v;
    char *detail;

    (void)state;
    struct store_delivery row = row_of(&h, STR(""), &detail);
    hold_ran_out(&flow, &row, T0, "", &v);
    CHECK_EQ(v.next_ms, T0 + 60000);
    hold_verdict_finish(&v);
    free(detail);
}

static void test_what_cannot_go_is_escalated_whatever_its_clock_says(void **state)
{
    struct conf_hold h = hold_for(HOUR, HOLD_RELEASE);
    struct hold_verdict v;
    char *detail;

    (void)state;
    struct store_delivery row = row_of(&h, STR(""), &detail);
    hold_ran_out(&flow, &row, T0, "it has no endpoint", &v);
    CHECK_EQ(v.state, DS_HELD);
    CHECK_STR(v.reason,
              "overdue: nobody decided within 1h; it cannot be released by itself: it "
              "has no endpoint; sales decides");
    hold_verdict_finish(&v);
    free(detail);
}

static void test_behind_a_wait_the_hold_of_the_route_begins_with_its_own_clock(void **state)
{
    struct conf_hold wait = { .type = HOLD_WAIT_FOR,
                              .until = (char *[]){ "orders/create" },
                              .n_until = 1,
                              .for_ms = 30000,
                              .then = HOLD_RELEASE };
    struct conf_hold h = hold_for(2 * HOUR, HOLD_REJECT);
    char *next = hold_detail(&h, &route, STR(""), STR("{\"a\":1.50}"), STR(""), STR(""));
    char *detail = hold_detail(&wait, &route, STR(""), STR(""), STR(""), str_of(next));
    struct store_delivery row = { .hold_type = STR(HOLD_WAIT_FOR), .detail = str_of(detail) };
    struct hold_verdict v;

    (void)state;
    hold_ran_out(&flow, &row, T0, "", &v);
    CHECK_EQ(v.state, DS_HELD);
    CHECK_STR(v.hold_type, "fraud");
    CHECK_STR(v.detail, next);
    CHECK_EQ(v.next_ms, T0 + 2 * HOUR); /* from now on, not from when it began to wait */
    hold_verdict_finish(&v);

    /* escalated instead, it still knows what comes after */
    hold_ran_out(&flow, &row, T0, "no place", &v);
    CHECK_EQ(v.state, DS_HELD);
    CHECK_STR(v.hold_type, HOLD_WAIT_FOR);
    char *overdue = mem_str(v.detail);
    hold_verdict_finish(&v);
    row.detail = str_of(overdue);
    CHECK_EQ(hold_chosen(&row, &(struct hold_word){ .release = true }, T0, &v, (char[160]){ 0 }),
             0);
    CHECK_STR(v.detail, next);
    hold_verdict_finish(&v);
    free(overdue);

    wait.then = HOLD_REJECT;
    free(detail);
    detail = hold_detail(&wait, &route, STR(""), STR(""), STR(""), str_of(next));
    row.detail = str_of(detail);
    hold_ran_out(&flow, &row, T0, "", &v);
    CHECK_EQ(v.state, DS_DEAD);
    CHECK_STR(v.reason, "orders/create has not come within 30s");
    hold_verdict_finish(&v);
    free(detail);
    free(next);
}

static void test_a_detail_of_an_earlier_hold_says_nothing_of_this_one(void **state)
{
    struct conf_hold h = hold_for(HOUR, HOLD_REJECT);
    struct hold_verdict v;
    char *detail;

    (void)state;
    struct store_delivery row = row_of(&h, STR(""), &detail);
    row.hold_type = STR("review");
    hold_ran_out(&flow, &row, T0, "", &v);
    CHECK_EQ(v.state, DS_HELD); /* not rejected: nobody said so of this one */
    hold_verdict_finish(&v);
    free(detail);
}

/* ---- its choices ---- */

static int choose(const struct store_delivery *row, const char *name, const char *set,
                  const char *body, struct hold_verdict *v, char text[160])
{
    struct hold_word word = { .choice = str_of(name),
                              .release = true,
                              .why = STR("called"),
                              .fill = { str_of(set), str_of(body) } };

    return hold_chosen(row, &word, T0, v, text);
}

static void test_a_choice_says_where_to_and_what_it_is_not_is_named(void **state)
{
    struct conf_hold h = hold_for(0, HOLD_STAYS);
    struct hold_verdict v;
    char *detail, text[160];

    (void)state;
    struct store_delivery row = row_of(&h, STR(""), &detail);
    CHECK_EQ(choose(&row, "good", "", "", &v, text), 0);
    CHECK_EQ(v.state, DS_READY);
    CHECK_STR(v.to, "byron");
    assert_null(v.body);
    hold_verdict_finish(&v);
    CHECK_EQ(choose(&row, "bad", "", "", &v, text), 0);
    CHECK_EQ(v.state, DS_DEAD);
    hold_verdict_finish(&v);
    CHECK_EQ(choose(&row, "perhaps", "", "", &v, text), UV_EINVAL);
    CHECK_STR(text, "it has no choice \"perhaps\"; there are: good, bad, corrected");
    free(detail);
}

static void test_what_is_filled_in_stands_in_the_payload_and_nothing_else_changes(void **state)
{
    struct conf_hold h = hold_for(0, HOLD_STAYS);
    struct hold_verdict v;
    char *detail, text[160];

    (void)state;
    struct store_delivery row = row_of(&h, STR(""), &detail);
    CHECK_EQ(choose(&row, "corrected", "{\"zip\":\"01067\",\"floor\":\"3.50\",\"gift\":\"true\"}",
                    "{ \"id\": 12345678901234567890, \"ship\": {\"zip\":\"1067\", \"a\":1.10} }",
                    &v, text),
             0);
    CHECK_EQ(v.state, DS_READY);
    CHECK_STR(v.body,
              "{ \"id\": 12345678901234567890, \"ship\": {\"zip\":\"01067\", "
              "\"a\":1.10,\"floor\":3.50} ,\"gift\":true}");
    CHECK_EQ(v.body_len, strlen(v.body));
    assert_non_null(
        strstr(v.reason, "edited: called (zip, floor, gift); the body before had SHA-256 "));
    hold_verdict_finish(&v);
    free(detail);
}

static void refused(const char *choice, const char *set, const char *body, const char *wanted)
{
    struct conf_hold h = hold_for(0, HOLD_STAYS);
    struct hold_verdict v;
    char *detail, text[160] = "";
    struct store_delivery row = row_of(&h, STR(""), &detail);

    CHECK_EQ(choose(&row, choice, set, body, &v, text), UV_EINVAL);
    CHECK_STR(text, wanted);
    assert_null(v.body);
    assert_null(v.reason);
    free(detail);
}

static void test_a_value_that_is_wrong_is_named_and_changes_nothing(void **state)
{
    static const char body[] = "{\"ship\":{\"zip\":\"1\"}}";

    (void)state;
    refused("corrected", "", body, "zip (postcode) is to be filled in: --set zip=VALUE");
    refused("corrected", "{\"gift\":\"true\"}", body,
            "zip (postcode) is to be filled in: --set zip=VALUE");
    refused("corrected", "{\"zip\":\"1067\"}", body,
            "zip (postcode): wanted [0-9]{5}, found \"1067\"");
    refused("corrected", "{\"zip\":\"010671\"}", body,
            "zip (postcode): wanted [0-9]{5}, found \"010671\"");
    refused("corrected", "{\"zip\":\"01067\",\"floor\":\"three\"}", body,
            "floor: wanted a number, found \"three\"");
    refused("corrected", "{\"zip\":\"01067\",\"gift\":\"yes\"}", body,
            "gift: wanted true or false, found \"yes\"");
    refused("corrected", "{\"zip\":\"01067\",\"city\":\"x\"}", body,
            "it has no field \"city\" to fill in; there are: zip, floor, gift");
    refused("corrected", "{\"zip\":\"01067\"}", "{\"ship\":null}",
            "zip (postcode): the payload has no place /ship/zip");
    refused("corrected", "{\"zip\":\"01067\"}", "a,b",
            "its payload is not JSON: nothing can be filled in");
    refused("good", "{\"zip\":\"01067\"}", body, "this choice lets nothing be filled in");
    refused("", "{\"zip\":\"01067\"}", body, "what is filled in belongs to a choice: name it");
}

static void test_what_may_have_arrived_is_not_edited(void **state)
{
    struct conf_hold h = hold_for(0, HOLD_STAYS);
    struct hold_verdict v;
    char *detail, text[160];

    (void)state;
    struct store_delivery row = row_of(&h, STR(""), &detail);
    row.first_sent_ms = T0;
    row.arrival = ARRIVAL_PERHAPS;
    CHECK(store_in_doubt(&row));
    CHECK_EQ(choose(&row, "corrected", "{\"zip\":\"01067\"}", "{\"ship\":{}}", &v, text),
             UV_EINVAL);
    assert_non_null(strstr(text, "may have arrived"));
    assert_null(v.body);
    free(detail);
}

/* ---- places in a JSON text ---- */

static void place(const char *json, const char *pointer, const char *wanted)
{
    struct buf out = { 0 };
    int r = json_place_set(str_of(json), str_of(pointer), STR("9"), &out);

    CHECK_EQ(r, wanted ? 0 : UV_ENOENT);
    CHECK_EQ(out.len, wanted ? strlen(wanted) : 0);
    if (wanted)
        assert_memory_equal(out.data, wanted, out.len);
    buf_finish(&out);
}

static void test_a_value_is_found_wherever_it_stands(void **state)
{
    (void)state;
    place("{\"a\":1}", "/a", "{\"a\":9}");
    place(" {\t\"a\" : [ 1 , {\"b\":\"}]\\\"\"} ] }", "/a/1/b", " {\t\"a\" : [ 1 , {\"b\":9} ] }");
    place("{\"a\":[1,[2,3],4]}", "/a/1", "{\"a\":[1,9,4]}");
    place("{\"a\":[1,[2,3],4]}", "/a/2", "{\"a\":[1,[2,3],9]}");
    place("[true]", "/0", "[9]");
    place("{\"x\":{\"a\":0},\"a\":{\"a\":1}}", "/a/a", "{\"x\":{\"a\":0},\"a\":{\"a\":9}}");
    place("{\"a/b\":1,\"m~n\":2}", "/a~1b", "{\"a/b\":9,\"m~n\":2}");
    place("{\"a/b\":1,\"m~n\":2}", "/m~0n", "{\"a/b\":1,\"m~n\":9}");
    place("{\"\\u0061\":1}", "/a", "{\"\\u0061\":9}");
    place("{\"s\":\"x\\\\\",\"a\":-1.5e3}", "/a", "{\"s\":\"x\\\\\",\"a\":9}");
    place("{\"\":1}", "/", "{\"\":9}");
}

static void test_a_member_that_is_not_there_is_added_and_nothing_else(void **state)
{
    (void)state;
    place("{}", "/a", "{\"a\":9}");
    place("{ }", "/a", "{ \"a\":9}");
    place("{\"b\":{\"c\":1}}", "/b/a\"", "{\"b\":{\"c\":1,\"a\\\"\":9}}");
    place("{\"b\":{}}", "/b/a", "{\"b\":{\"a\":9}}");
    place("{\"b\":1}", "/b/a", NULL);
    place("{\"b\":1}", "/c/a", NULL);
    place("[1]", "/1", NULL);
    place("[1]", "/-", NULL);
    place("[1]", "/00", NULL);
    place("[1]", "/a", NULL);
    place("7", "/a", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_clock_releases_or_rejects_and_says_how_long_it_was),
        cmocka_unit_test(test_escalated_it_is_held_on_under_its_new_owner_and_the_evidence_stays),
        cmocka_unit_test(test_a_short_clock_is_told_again_no_more_often_than_alerts_are),
        cmocka_unit_test(test_what_cannot_go_is_escalated_whatever_its_clock_says),
        cmocka_unit_test(test_behind_a_wait_the_hold_of_the_route_begins_with_its_own_clock),
        cmocka_unit_test(test_a_detail_of_an_earlier_hold_says_nothing_of_this_one),
        cmocka_unit_test(test_a_choice_says_where_to_and_what_it_is_not_is_named),
        cmocka_unit_test(test_what_is_filled_in_stands_in_the_payload_and_nothing_else_changes),
        cmocka_unit_test(test_a_value_that_is_wrong_is_named_and_changes_nothing),
        cmocka_unit_test(test_what_may_have_arrived_is_not_edited),
        cmocka_unit_test(test_a_value_is_found_wherever_it_stands),
        cmocka_unit_test(test_a_member_that_is_not_there_is_added_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
