/*
 * test_privacy.c - what an event may ask of the gateway, what is kept of that, and when somebody is
 * told that a request is late.
 */
#include "../check.h"

#include <stdlib.h>
#include <string.h>
#include "flow/privacy.h"

#define T0  INT64_C(1700000000000)
#define DAY (INT64_C(24) * 3600 * 1000)

static sl_status judged(const sl_ask *said)
{
    struct ask *a = calloc(1, sizeof(*a));
    sl_status r = ask_copy(a, said);

    ask_finish_all(a, r == SL_OK);
    return r;
}

static void who_asks_for_nobody_or_for_what_stands_everywhere_is_refused(void **state)
{
    sl_str subject = STR("order:acme/1"), value = STR("a@b.example"), shortest = STR("a@b");
    sl_str many[40];
    sl_ask ask = { .size = sizeof(ask), .kind = SL_ASK_ERASE };

    (void)state;
    CHECK_EQ(judged(&ask), SL_E_INVALID); /* nobody */
    ask.everything = 1;
    CHECK_EQ(judged(&ask), SL_OK);
    ask = (sl_ask){ .size = sizeof(ask), .kind = 9, .subjects = &subject, .n_subjects = 1 };
    CHECK_EQ(judged(&ask), SL_E_INVALID); /* of no kind */
    ask.kind = SL_ASK_HAND_OUT;
    CHECK_EQ(judged(&ask), SL_OK);
    ask.values = &value;
    ask.n_values = 1;
    CHECK_EQ(judged(&ask), SL_OK);
    ask.values = &shortest;
    CHECK_EQ(judged(&ask), SL_E_INVALID);
    for (size_t i = 0; i < 40; i++)
        many[i] = value;
    ask.values = many;
    ask.n_values = 40;
    CHECK_EQ(judged(&ask), SL_E_LIMIT);
    ask = (sl_ask){ .size = sizeof(ask), .kind = SL_ASK_STOP };
    CHECK_EQ(judged(&ask), SL_OK); /* which concerns nobody */
}

static void the_record_has_ids_and_sums_and_no_address(void **state)
{
    sl_str subjects[] = { STR("customer:acme/7"), STR("order:acme/1") };
    sl_str values[] = { STR("Ada@Example.com"), STR("+16135550100") };
    sl_ask said = { .size = sizeof(said),
                    .kind = SL_ASK_ERASE,
                    .who = STR("customer 7"),
                    .subjects = subjects,
                    .n_subjects = 2,
                    .values = values,
                    .n_values = 2 };
    struct ask *a = calloc(1, sizeof(*a));
    struct buf b = { 0 };

    (void)state;
    CHECK_EQ(ask_copy(a, &said), SL_OK);
    ask_json(&b, a);
    buf_char(&b, '\0');
    CHECK(strstr(b.data, "\"who\":\"customer 7\""));
    CHECK(strstr(b.data, "\"order:acme/1\""));
    CHECK(!strstr(b.data, "xample"));
    CHECK(!strstr(b.data, "6135550100"));
    /* of "ada@example.com", whatever its case was */
    CHECK(strstr(
        b.data,
        "\"values_sha256\":[\"b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72\""));
    buf_finish(&b);
    ask_finish_all(a, 1);
}

static void an_address_is_looked_for_as_forms_write_it_too(void **state)
{
    sl_str value = STR("ada+x@example.com");
    sl_ask said = { .size = sizeof(said), .kind = SL_ASK_ERASE, .values = &value, .n_values = 1 };
    struct ask *a = calloc(1, sizeof(*a));
    sl_str *forms;
    size_t n;

    (void)state;
    CHECK_EQ(ask_copy(a, &said), SL_OK);
    forms = ask_in_forms(a, &n);
    CHECK_EQ(n, 2);
    CHECK(str_eq(forms[0], value));
    CHECK(str_eq(forms[1], STR("ada%2Bx%40example.com")));
    for (size_t i = 0; i < n; i++)
        free((char *)forms[i].ptr);
    free(forms);
    ask_finish_all(a, 1);
}

static void somebody_is_told_seven_days_before_a_request_is_due(void **state)
{
    struct privacy_request r = {
        .id = 17, .kind = PRIVACY_HAND_OUT, .asked_ms = T0, .due_ms = T0 + PRIVACY_DUE_MS
    };
    char text[240];

    (void)state;
    CHECK(!privacy_is_late(&r, T0, text));
    CHECK(!privacy_is_late(&r, T0 + 23 * DAY - 1, text));
    CHECK(privacy_is_late(&r, T0 + 23 * DAY, text));
    CHECK(strstr(text, "sluice privacy export 17"));
    CHECK(strstr(text, "2023-12-14")); /* by then */
    r.kind = PRIVACY_ERASE;
    r.under_way = 3;
    CHECK(!privacy_is_late(&r, T0 + 22 * DAY, text));
    CHECK(privacy_is_late(&r, T0 + 24 * DAY, text));
    CHECK(strstr(text, "3 events of it are still under way"));
    r.error =
        (char *)"the event that asks cannot be read"; /* at once: nobody else will see to it */
    CHECK(privacy_is_late(&r, T0, text));
    CHECK(strstr(text, "cannot be read"));
    r.error = NULL;
    r.state = PRIVACY_DONE;
    CHECK(!privacy_is_late(&r, T0 + 28 * DAY, text));
    CHECK(privacy_is_late(&r, T0 + 29 * DAY, text));
    CHECK(strstr(text, "gone from the log"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_for_nobody_or_for_what_stands_everywhere_is_refused),
        cmocka_unit_test(the_record_has_ids_and_sums_and_no_address),
        cmocka_unit_test(an_address_is_looked_for_as_forms_write_it_too),
        cmocka_unit_test(somebody_is_told_seven_days_before_a_request_is_due),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
