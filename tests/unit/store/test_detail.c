/*
 * test_detail.c - what is told of a delivery, over its moves.
 */
#include "../check.h"

#include <stdlib.h>
#include "base/buf.h"
#include "store/detail.h"

static void check_follow(const char *before, const char *next, const char *expected)
{
    char *all = detail_follow(str_of(before), str_of(next));

    if (expected)
        CHECK_STR(all ? all : "as it is", expected);
    else
        CHECK(all == NULL);
    free(all);
}

static void what_fell_back_from_nothing_tells_the_newest_as_it_is(void **state)
{
    (void)state;
    check_follow("", "{\"group\":\"a\"}", NULL);
    check_follow("{\"hold\":\"fallback\"}", "{\"group\":\"a\"}", NULL);
    check_follow("{\"fallback\":7}", "{\"group\":\"a\"}", NULL);
    check_follow("not JSON, \"fallback\"", "{\"group\":\"a\"}", NULL);
    check_follow("{\"fallback\":{\"from\":\"a\"}}", "not JSON", NULL);
}

static void what_it_fell_back_from_stays_first_and_the_rest_to_the_letter(void **state)
{
    (void)state;
    check_follow("{\"choices\":[],\"fallback\":{\"from\":\"a\"}}",
                 "{\"evidence\":{\"total\":0.10},\"cancel\":true}",
                 "{\"fallback\":{\"from\":\"a\"},\"evidence\":{\"total\":0.10},\"cancel\":true}");
    check_follow("{\"fallback\":{\"from\":\"a\"}}", "{}", "{\"fallback\":{\"from\":\"a\"}}");
}

static void what_falls_again_tells_both(void **state)
{
    (void)state;
    check_follow("{\"fallback\":{\"route\":\"r\",\"delivery\":\"1.0\",\"because\":\"x\"}}",
                 "{\"group\":\"g\",\"fallback\":{\"to_route\":\"s\",\"because\":\"y\"}}",
                 "{\"fallback\":{\"route\":\"r\",\"delivery\":\"1.0\",\"because\":\"y\","
                 "\"to_route\":\"s\"},\"group\":\"g\"}");
    check_follow("{\"fallback\":{\"route\":\"r\"}}", "{\"fallback\":{\"from\":\"a\"}}",
                 "{\"fallback\":{\"route\":\"r\",\"from\":\"a\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fell_back_from_nothing_tells_the_newest_as_it_is),
        cmocka_unit_test(what_it_fell_back_from_stays_first_and_the_rest_to_the_letter),
        cmocka_unit_test(what_falls_again_tells_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
