/*
 * test_fail.c - reasons.
 */
#include "../check.h"

#include <string.h>
#include "base/fail.h"

static void setting_keeps_code_and_text_and_returns_the_code(void **state)
{
    struct fail fail = { 0 };

    (void)state;
    CHECK_EQ(fail_set(&fail, -22, "%s is %d", "port", 7), -22);
    CHECK_EQ(fail.code, -22);
    CHECK_STR(fail.text, "port is 7");
    CHECK_EQ(fail_set(NULL, -12, "nobody asks"), -12);
    fail_prefix(NULL, "nobody asks");
}

static void the_text_is_one_line(void **state)
{
    struct fail fail = { 0 };

    (void)state;
    fail_set(&fail, -1, "a\nb\r\nc");
    CHECK_STR(fail.text, "a b  c");
}

static void prefixes_stack_up_and_may_use_the_text_itself(void **state)
{
    struct fail fail = { 0 };

    (void)state;
    fail_set(&fail, -1, "no such adapter");
    fail_prefix(&fail, "endpoint %s", "byron");
    fail_prefix(&fail, "line %d", 12);
    CHECK_STR(fail.text, "line 12: endpoint byron: no such adapter");
    fail_set(&fail, -1, "[%s]", fail.text);
    CHECK_STR(fail.text, "[line 12: endpoint byron: no such adapter]");
}

static void long_texts_are_cut_at_a_whole_character(void **state)
{
    struct fail fail = { 0 };
    char text[1000];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    fail_set(&fail, -1, "%s", text);
    CHECK_EQ(strlen(fail.text), sizeof(fail.text) - 1);
    fail_prefix(&fail, "%s", text);
    CHECK_EQ(strlen(fail.text), sizeof(fail.text) - 1);

    for (size_t i = 0; i < sizeof(text) - 2; i += 2)
        memcpy(text + i, "\xc3\xa9", 2); /* e with acute */
    text[sizeof(text) - 2] = '\0';
    fail_set(&fail, -1, "%s", text);
    CHECK_EQ(strlen(fail.text), sizeof(fail.text) - 2); /* 399 would split one */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setting_keeps_code_and_text_and_returns_the_code),
        cmocka_unit_test(the_text_is_one_line),
        cmocka_unit_test(prefixes_stack_up_and_may_use_the_text_itself),
        cmocka_unit_test(long_texts_are_cut_at_a_whole_character),
    };

    return cmocka_run_group_tests_name("base/fail", tests, NULL, NULL);
}
