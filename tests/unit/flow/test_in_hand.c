/*
 * test_in_hand.c - what a process had in hand when it ended is counted by the next one.
 */
#include "../check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "flow/in_hand.h"

static char dir[64];

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/in-hand-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    char path[80];

    (void)state;
    snprintf(path, sizeof(path), "%s/in-hand", dir);
    unlink(path);
    return rmdir(dir);
}

static struct in_hand *opened(void)
{
    struct in_hand *h = NULL;
    struct fail fail;

    CHECK_EQ(in_hand_open(&h, dir, &fail), 0);
    return h;
}

/* A process that ends with these deliveries in hand: nothing is dropped. */
static void process_ends_with(const uint64_t *nums, size_t n)
{
    struct in_hand *h = opened();

    in_hand_take(h, IN_HAND_DELIVERY, nums, n);
    in_hand_close(h);
}

static unsigned ends_of(enum in_hand_what what, uint64_t num)
{
    struct in_hand *h = opened();
    unsigned ends = in_hand_ends(h, what, num);

    in_hand_close(h);
    return ends;
}

static void test_nothing_is_suspected_at_first(void **state)
{
    (void)state;
    CHECK_EQ(ends_of(IN_HAND_DELIVERY, 7), 0);
    in_hand_take(NULL, IN_HAND_EVENT, (uint64_t[]){ 1 }, 1);
    in_hand_drop(NULL, 1);
    CHECK_EQ(in_hand_ends(NULL, IN_HAND_EVENT, 1), 0);
}

static void test_each_end_counts_what_was_in_hand_and_nothing_else(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        process_ends_with((uint64_t[]){ 7, 8 }, 2);
    CHECK_EQ(ends_of(IN_HAND_DELIVERY, 7), 3);
    CHECK_EQ(ends_of(IN_HAND_DELIVERY, 8), 3);
    CHECK_EQ(ends_of(IN_HAND_DELIVERY, 9), 0);
    CHECK_EQ(ends_of(IN_HAND_EVENT, 7), 0); /* an event's id is not a delivery's num */
}

static void test_what_goes_well_once_is_no_suspect_any_more(void **state)
{
    struct in_hand *h;

    (void)state;
    process_ends_with((uint64_t[]){ 7 }, 1);
    process_ends_with((uint64_t[]){ 7 }, 1);
    h = opened();
    in_hand_take(h, IN_HAND_DELIVERY, (uint64_t[]){ 7 }, 1);
    in_hand_drop(h, 1);
    CHECK_EQ(in_hand_ends(h, IN_HAND_DELIVERY, 7), 0);
    in_hand_close(h);
    process_ends_with((uint64_t[]){ 7 }, 1);
    CHECK_EQ(ends_of(IN_HAND_DELIVERY, 7), 1);
}

static void test_calls_nest_and_only_the_open_ones_are_counted(void **state)
{
    struct in_hand *h = opened();

    (void)state;
    in_hand_take(h, IN_HAND_DELIVERY, (uint64_t[]){ 1, 2 }, 2);
    in_hand_take(h, IN_HAND_EVENT, (uint64_t[]){ 3 }, 1);
    in_hand_drop(h, 1);
    in_hand_close(h);
    CHECK_EQ(ends_of(IN_HAND_EVENT, 3), 0);
    CHECK_EQ(ends_of(IN_HAND_DELIVERY, 1), 1);
    CHECK_EQ(ends_of(IN_HAND_DELIVERY, 2), 1);
}

static void test_more_than_fits_is_left_out_and_the_nesting_holds(void **state)
{
    struct in_hand *h = opened();
    uint64_t many[1500];

    (void)state;
    for (uint64_t i = 0; i < 1500; i++)
        many[i] = i + 1;
    in_hand_take(h, IN_HAND_DELIVERY, many, 1500);
    in_hand_drop(h, 1500);
    in_hand_take(h, IN_HAND_EVENT, (uint64_t[]){ 5 }, 1);
    in_hand_close(h);
    CHECK_EQ(ends_of(IN_HAND_EVENT, 5), 1);
    CHECK_EQ(ends_of(IN_HAND_DELIVERY, 1), 0);
}

static void test_what_was_set_aside_is_counted_anew(void **state)
{
    struct in_hand *h;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        process_ends_with((uint64_t[]){ 7 }, 1);
    h = opened();
    in_hand_forget(h, IN_HAND_DELIVERY, 7);
    in_hand_close(h);
    CHECK_EQ(ends_of(IN_HAND_DELIVERY, 7), 0);
}

static void test_a_file_of_something_else_is_begun_anew(void **state)
{
    char path[80];
    FILE *f;

    (void)state;
    snprintf(path, sizeof(path), "%s/in-hand", dir);
    f = fopen(path, "w");
    for (int i = 0; i < 100000; i++)
        fputc(0xff, f);
    fclose(f);
    CHECK_EQ(ends_of(IN_HAND_DELIVERY, UINT64_MAX), 0);
    process_ends_with((uint64_t[]){ 7 }, 1);
    CHECK_EQ(ends_of(IN_HAND_DELIVERY, 7), 1);
}

static void test_a_place_that_is_not_there_is_an_error_with_its_name(void **state)
{
    struct in_hand *h = NULL;
    struct fail fail;

    (void)state;
    CHECK(in_hand_open(&h, "/nonexistent", &fail) < 0);
    CHECK(strstr(fail.text, "/nonexistent/in-hand") != NULL);
}

static void test_a_poll_ends_out_of_turn(void **state)
{
    uint64_t feed = in_hand_num((sl_str){ "shop/orders", 11 }), num = 7;
    struct in_hand *h;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        h = opened();
        in_hand_take(h, IN_HAND_FEED, &feed, 1);
        in_hand_take(h, IN_HAND_DELIVERY, &num, 1);
        in_hand_drop(h, 1); /* the delivery: it went well */
        in_hand_close(h);
    }
    CHECK_EQ(ends_of(IN_HAND_FEED, feed), 3);
    CHECK_EQ(ends_of(IN_HAND_DELIVERY, 7), 0);
    h = opened();
    in_hand_take(h, IN_HAND_FEED, &feed, 1);
    in_hand_take(h, IN_HAND_DELIVERY, &num, 1);
    in_hand_end(h, IN_HAND_FEED, feed); /* within a call for the delivery */
    in_hand_end(h, IN_HAND_FEED, feed);
    CHECK_EQ(in_hand_ends(h, IN_HAND_FEED, feed), 0);
    in_hand_close(h); /* in the middle of that call */
    CHECK_EQ(ends_of(IN_HAND_FEED, feed), 0);
    CHECK_EQ(ends_of(IN_HAND_DELIVERY, 7), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_is_suspected_at_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_end_counts_what_was_in_hand_and_nothing_else,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_goes_well_once_is_no_suspect_any_more, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_calls_nest_and_only_the_open_ones_are_counted, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_more_than_fits_is_left_out_and_the_nesting_holds,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_was_set_aside_is_counted_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_of_something_else_is_begun_anew, setup,
                                        teardown),
        cmocka_unit_test(test_a_place_that_is_not_there_is_an_error_with_its_name),
        cmocka_unit_test_setup_teardown(test_a_poll_ends_out_of_turn, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
