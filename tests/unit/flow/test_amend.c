/*
 * What a held delivery says of who amended it: it goes where its detail goes, and back.
 */
#include "../check.h"

#include "base/mem.h"
#include "flow/hold.h"

static struct store_delivery row_of(const char *type, const char *detail)
{
    return (struct store_delivery){ .num = delivery_num(7, 0),
                                    .state = DS_HELD,
                                    .hold_type = str_of(type),
                                    .detail = str_of(detail) };
}

static void check(const char *type, const char *detail, unsigned by, const char *want)
{
    struct store_delivery row = row_of(type, detail);
    char *got = hold_amended(&row, delivery_num(by, 1));

    CHECK_STR(got, want);
    CHECK_EQ(hold_amended_by(str_of(got)), delivery_num(by, 1));
    free(got);
}

static void test_it_stands_behind_the_type_whatever_else_there_is(void **state)
{
    (void)state;
    check("fraud", "", 9, "{\"hold\":\"fraud\",\"amended_by\":\"9.1\"}");
    check("fraud", "{}", 9, "{\"hold\":\"fraud\",\"amended_by\":\"9.1\"}");
    check("fraud", "{\"hold\":\"fraud\",\"owner\":\"risk\",\"evidence\":{\"hold\":\"x\"}}", 9,
          "{\"hold\":\"fraud\",\"amended_by\":\"9.1\",\"owner\":\"risk\",\"evidence\":{\"hold\":"
          "\"x\"}}");
    check("fraud", "{\"group\":\"all\",\"hold\":\"fraud\"}", 9,
          "{\"group\":\"all\",\"hold\":\"fraud\",\"amended_by\":\"9.1\"}");
    check("orphaned", "{\"group\":\"all\"}", 9,
          "{\"hold\":\"orphaned\",\"amended_by\":\"9.1\",\"group\":\"all\"}");
}

static void test_a_second_change_takes_the_place_of_the_first(void **state)
{
    (void)state;
    check("fraud", "{\"hold\":\"fraud\",\"amended_by\":\"9.1\",\"owner\":\"risk\"}", 1043,
          "{\"hold\":\"fraud\",\"amended_by\":\"1043.1\",\"owner\":\"risk\"}");
    check("fraud", "{\"hold\":\"fraud\",\"amended_by\":\"9.1\"}", 10,
          "{\"hold\":\"fraud\",\"amended_by\":\"10.1\"}");
}

static void test_what_was_never_amended_or_says_so_in_its_evidence_is_not(void **state)
{
    (void)state;
    CHECK_EQ(hold_amended_by(STR("")), 0);
    CHECK_EQ(hold_amended_by(STR("{\"hold\":\"fraud\"}")), 0);
    CHECK_EQ(
        hold_amended_by(STR("{\"hold\":\"fraud\",\"evidence\":{\"a\":1,\"amended_by\":\"9.1\"}}")),
        0);
    CHECK_EQ(hold_amended_by(STR("{\"hold\":\"fraud\",\"amended_by\":\"nonsense\"}")), 0);
    CHECK_EQ(hold_amended_by(STR("{\"hold\":\"fraud\",\"amended_by\":\"9.1")), 0);
}

static void test_it_goes_along_when_a_group_moves_what_is_held(void **state)
{
    struct store_delivery row = row_of(
        "fraud", "{\"group\":\"a\",\"hold\":\"fraud\",\"amended_by\":\"9.1\"}");
    struct buf detail = { 0 };

    (void)state;
    buf_cstr(&detail, "{\"group\":\"b\"}");
    hold_carry(&detail, &row);
    CHECK_EQ(hold_amended_by(buf_view(&detail)), delivery_num(9, 1));
    buf_finish(&detail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_stands_behind_the_type_whatever_else_there_is),
        cmocka_unit_test(test_a_second_change_takes_the_place_of_the_first),
        cmocka_unit_test(test_what_was_never_amended_or_says_so_in_its_evidence_is_not),
        cmocka_unit_test(test_it_goes_along_when_a_group_moves_what_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
