/*
 * test_quick.c - how batches gather: by count and age, sooner where few wait and these go cheaply,
 * at once what is critical; by the configuration, and by the adapter where that is silent.
 */
#include "batch_rig.h"

#include <stdio.h>

static void come(const char *topic, size_t n)
{
    static unsigned serial;
    char body[16];

    for (size_t i = 0; i < n; i++) {
        snprintf(body, sizeof(body), "s%u", ++serial);
        clock_rig_event(&rig, topic, body);
    }
}

/** Three go quickly, eight are a large batch, that gathers for a minute. */
static void setup(void)
{
    batch_rig_init();
    gathering =
        (sl_batching){ .quick_records = 3, .records = 8, .age_ms = 60000, .quick_ms = 10000 };
}

static void test_few_leave_when_the_oldest_of_them_is_quick_old(void **state)
{
    (void)state;
    setup();
    clock_rig_up(&rig);
    come("t0", 2);
    clock_rig_pass(&rig, 9000);
    come("t0", 1);
    CHECK_EQ(n_outs, 0);
    clock_rig_pass(&rig, 2000);
    CHECK_EQ(n_outs, 1);
    CHECK_EQ(outs[0].batch->n_records, 3);
    clock_rig_finish(&rig);
}

static void test_more_than_a_few_wait_for_the_large_batch(void **state)
{
    (void)state;
    setup();
    clock_rig_up(&rig);
    come("t0", 4);
    clock_rig_pass(&rig, 58000);
    CHECK_EQ(n_outs, 0);
    clock_rig_pass(&rig, 3000);
    CHECK_EQ(n_outs, 1); /* by age */
    CHECK_EQ(outs[0].batch->n_records, 4);
    come("t0", 8);
    clock_rig_pass(&rig, 500);
    CHECK_EQ(n_outs, 2); /* by count */
    CHECK_EQ(outs[1].batch->n_records, 8);
    come("t0", 9); /* what is left over are few again */
    clock_rig_pass(&rig, 500);
    CHECK_EQ(n_outs, 3);
    clock_rig_pass(&rig, 8000);
    CHECK_EQ(n_outs, 3);
    clock_rig_pass(&rig, 3000);
    CHECK_EQ(n_outs, 4);
    CHECK_EQ(outs[3].batch->n_records, 1);
    clock_rig_finish(&rig);
}

static void test_what_is_critical_leaves_at_once(void **state)
{
    (void)state;
    setup();
    rig.routes[0].priority = PRIORITY_CRITICAL;
    clock_rig_up(&rig);
    come("t0", 1);
    clock_rig_pass(&rig, 500);
    CHECK_EQ(n_outs, 1);
    clock_rig_finish(&rig);
}

static void test_without_a_cheap_way_what_is_critical_gathers_too(void **state)
{
    (void)state;
    setup();
    gathering.quick_records = 0;
    rig.routes[0].priority = PRIORITY_CRITICAL;
    clock_rig_up(&rig);
    come("t0", 1);
    clock_rig_pass(&rig, 58000);
    CHECK_EQ(n_outs, 0);
    clock_rig_pass(&rig, 3000);
    CHECK_EQ(n_outs, 1);
    clock_rig_finish(&rig);
}

static void test_the_configuration_stands_above_the_adapter(void **state)
{
    (void)state;
    setup();
    rig.endpoints[CRM].batch_age_ms = 5000;
    rig.endpoints[CRM].batch_quick_ms = 0;
    rig.endpoints[CRM].batch_records = 5;
    clock_rig_up(&rig);
    come("t0", 1); /* not one after the other: at once means just that */
    clock_rig_pass(&rig, 100);
    CHECK_EQ(n_outs, 1);
    rig.endpoints[CRM].batch_quick_ms = 2000;
    batch_rig_crash();
    clock_rig_up(&rig);
    clock_rig_pass(&rig, 30000);
    while (n_outs)
        answer_well(0);
    come("t0", 4);
    clock_rig_pass(&rig, 4000);
    CHECK_EQ(n_outs, 0);
    clock_rig_pass(&rig, 2000);
    CHECK_EQ(n_outs, 1); /* its age */
    come("t0", 5);
    clock_rig_pass(&rig, 100);
    CHECK_EQ(n_outs, 2); /* its count */
    clock_rig_finish(&rig);
}

static void test_quick_is_never_later_than_the_age(void **state)
{
    (void)state;
    setup();
    rig.endpoints[CRM].batch_age_ms = 1000; /* an old file, that says nothing of quick */
    clock_rig_up(&rig);
    come("t0", 1);
    clock_rig_pass(&rig, 1200);
    CHECK_EQ(n_outs, 1);
    clock_rig_finish(&rig);
}

static void test_the_age_of_a_batch_is_that_of_its_oldest_whatever_left_before(void **state)
{
    (void)state;
    setup();
    clock_rig_up(&rig);
    come("t0", 7);
    clock_rig_pass(&rig, 50000);
    come("t1", 1); /* another batch */
    CHECK_EQ(n_outs, 0);
    come("t0", 1); /* full */
    clock_rig_pass(&rig, 100);
    CHECK_EQ(n_outs, 1);
    come("t0", 5);
    clock_rig_pass(&rig, 20000);
    CHECK_EQ(n_outs, 2); /* t1's, quickly */
    clock_rig_pass(&rig, 38000);
    CHECK_EQ(n_outs, 2); /* the five are not a minute old */
    clock_rig_pass(&rig, 3000);
    CHECK_EQ(n_outs, 3);
    clock_rig_finish(&rig);
}

static void test_what_waits_to_gather_says_until_when(void **state)
{
    struct why why;

    (void)state;
    setup();
    clock_rig_up(&rig);
    uint64_t num = comes("t0", "a");
    CHECK(flow_why(rig.flow, num, &why));
    CHECK_STR(why.text, "its batch gathers: 1 of 8 are there");
    CHECK(why.until_ms > clock_wall_ms() + 9000 && why.until_ms <= clock_wall_ms() + 10000);
    clock_rig_finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_leave_when_the_oldest_of_them_is_quick_old),
        cmocka_unit_test(test_more_than_a_few_wait_for_the_large_batch),
        cmocka_unit_test(test_what_is_critical_leaves_at_once),
        cmocka_unit_test(test_without_a_cheap_way_what_is_critical_gathers_too),
        cmocka_unit_test(test_the_configuration_stands_above_the_adapter),
        cmocka_unit_test(test_quick_is_never_later_than_the_age),
        cmocka_unit_test(test_the_age_of_a_batch_is_that_of_its_oldest_whatever_left_before),
        cmocka_unit_test(test_what_waits_to_gather_says_until_when),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
