/*
 * test_mapper_check.c - programs compiled for `sluice check`.
 */
#include "map_rig.h"

static const char *const vars[] = { "received", NULL };

static void refused(struct map_checker *c, const char *text, const char *want)
{
    struct fail fail = { 0 };

    CHECK_EQ(map_checker_compile(c, str_of(text), vars, &fail), MAP_E_PROGRAM);
    CHECK_EQ(fail.code, MAP_E_PROGRAM);
    CHECK_STR(fail.text, want);
}

static void good_programs_pass_and_bad_ones_are_explained(void **state)
{
    struct map_checker *c = NULL;
    struct fail fail = { 0 };

    (void)state;
    CHECK_EQ(map_checker_open(&c, NULL, &fail), 0);
    CHECK_EQ(map_checker_compile(c, STR(".a | {b: $received, c: int64(.id)}"), vars, &fail), 0);
    CHECK_EQ(map_checker_compile(c, STR("{env: .env, \"input\": .[\"now\"]}"), NULL, &fail), 0);
    CHECK_STR(fail.text, "");
    refused(c, ".a | | .b", "line 1: syntax error, unexpected '|': .a | | .b");
    refused(c, "1,\n$price", "line 2: $price is not defined: $price");
    refused(c, "env.PATH", "line 1: env is not allowed: a mapping has no environment");
    refused(c, "import \"a\" as a; .", "line 1: import is not allowed: a mapping is one file");
    refused(c, ".a) | (.b", "line 1: a bracket closes that was not opened");
    refused(c, " # nothing", "the program has no expression (\".\" passes the input on)");
    CHECK_EQ(map_checker_compile(c, STR("."), vars, &fail), 0);
    map_checker_close(c);
    map_checker_close(NULL);
}

static void a_binary_that_is_no_worker_is_told(void **state)
{
    struct map_checker *c = NULL;
    struct fail fail = { 0 };

    (void)state;
    CHECK_EQ(map_checker_open(&c, "/nonexistent/sluice", &fail), UV_ENOENT);
    CHECK(strstr(fail.text, "/nonexistent/sluice") != NULL);
    memset(&fail, 0, sizeof(fail));
    CHECK(map_checker_open(&c, "/bin/true", &fail) < 0);
    CHECK(strstr(fail.text, "does not start") != NULL);
    CHECK(c == NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(good_programs_pass_and_bad_ones_are_explained),
    cmocka_unit_test(a_binary_that_is_no_worker_is_told),
};

MAP_RIG_MAIN(tests)
