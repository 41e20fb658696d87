/* test_shopify_idempotent.c - keys of mutations that the shop does once. */
#include <ctype.h>
#include <string.h>

#include "../check.h"
#include "admin/idempotent.h"

#define DAY INT64_C(86400000)

static sl_str view(const char *s)
{
    return (sl_str){ s, strlen(s) };
}

static const char *key(const char *delivery, const char *step, uint32_t renewal)
{
    static char keys[4][IDEMPOTENT_KEY_SIZE];
    static unsigned at;
    char *to = keys[at++ % 4];

    CHECK_EQ(idempotent_key(view(delivery), view(step), renewal, to), SL_OK);
    return to;
}

static void test_a_key_is_the_same_for_ever(void **state)
{
    (void)state;
    assert_string_equal(key("k-0", "refund", 0), key("k-0", "refund", 0));
    /* a gateway of another version must send what this one has sent */
    assert_string_equal(key("1QZ5-0", "refund", 0), "5cee8c0f-ce7b-8a8e-90cb-5d24077eec79");
}

static void test_a_key_has_the_form_of_a_uuid(void **state)
{
    const char *k = key("k-0", "set/0", 1);

    (void)state;
    CHECK_EQ(strlen(k), 36);
    for (size_t i = 0; i < 36; i++)
        if (i == 8 || i == 13 || i == 18 || i == 23)
            CHECK(k[i] == '-');
        else
            CHECK(isxdigit((unsigned char)k[i]) && !isupper((unsigned char)k[i]));
    CHECK(k[14] == '8');
    CHECK(strchr("89ab", k[19]) != NULL);
}

static void test_another_delivery_step_or_renewal_has_another_key(void **state)
{
    (void)state;
    CHECK(strcmp(key("k-0", "refund", 0), key("k-1", "refund", 0)) != 0);
    CHECK(strcmp(key("k-0", "refund", 0), key("k-0", "restock", 0)) != 0);
    CHECK(strcmp(key("k-0", "refund", 0), key("k-0", "refund", 1)) != 0);
    CHECK(strcmp(key("k-0", "refund", 1), key("k-0", "refund", 11)) != 0);
    CHECK(strcmp(key("k-0r", "efund", 0), key("k-0", "refund", 0)) != 0);
}

static void test_after_a_day_less_some_minutes_keys_are_not_counted_upon(void **state)
{
    (void)state;
    CHECK(idempotent_lives(0, 5 * DAY)); /* nothing was sent yet */
    CHECK(idempotent_lives(DAY, DAY));
    CHECK(idempotent_lives(DAY, 2 * DAY - 600001));
    CHECK(!idempotent_lives(DAY, 2 * DAY - 600000));
    CHECK(!idempotent_lives(DAY, 9 * DAY));
    CHECK(idempotent_lives(2 * DAY, DAY)); /* a clock that was set back */
}

static void test_a_code_says_whether_another_key_is_needed(void **state)
{
    (void)state;
    CHECK_EQ(idempotent_after("IDEMPOTENCY_CONCURRENT_REQUEST"), IDEMPOTENT_SAME);
    CHECK_EQ(idempotent_after("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"), IDEMPOTENT_NEW);
    CHECK_EQ(idempotent_after("CHANGE_FROM_QUANTITY_STALE"), IDEMPOTENT_REREAD);
    CHECK_EQ(idempotent_after("IDEMPOTENCY_KEY_PARAMETER_MISMATCH"), IDEMPOTENT_MISUSED);
    CHECK_EQ(idempotent_after("INVALID_LOCATION"), IDEMPOTENT_NOTHING);
    CHECK_EQ(idempotent_after(NULL), IDEMPOTENT_NOTHING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_is_the_same_for_ever),
        cmocka_unit_test(test_a_key_has_the_form_of_a_uuid),
        cmocka_unit_test(test_another_delivery_step_or_renewal_has_another_key),
        cmocka_unit_test(test_after_a_day_less_some_minutes_keys_are_not_counted_upon),
        cmocka_unit_test(test_a_code_says_whether_another_key_is_needed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
