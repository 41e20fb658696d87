/*
 * test_replay.c - a replay's pace, how it is kept, how two bodies differ, and what may be edited.
 */
#include "../check.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "flow/replay.h"
#include "flow/replay_diff.h"
#include "flow/row.h"

static void a_pace_is_kept_over_any_time(void **state)
{
    (void)state;
    CHECK_EQ(replay_due(0, 0, 0, 200), 200); /* none: as many as fit */
    CHECK_EQ(replay_due(0, 5, 1000, 200), 200);
    CHECK_EQ(replay_due(10, 0, 0, 200), 1);
    CHECK_EQ(replay_due(10, 99, 1, 200), 0);
    CHECK_EQ(replay_due(10, 100, 1, 200), 1);
    CHECK_EQ(replay_due(10, 1000, 1, 200), 10);
    CHECK_EQ(replay_due(1000000, 60000, 0, 200), 200);
    CHECK_EQ(replay_due(1, 10, 500, 200), 0);
}

static void who_decides_for_it_names_it(void **state)
{
    char out[80];

    (void)state;
    replay_who(7, "uid 0", out);
    CHECK_STR(out, "replay:7 uid 0");
}

static void it_reads_what_it_wrote(void **state)
{
    uint64_t known[] = { 0x3f2a9c01d4e7, 1 };
    struct replay r = {
        .id = 7,
        .state = REPLAY_STOPPED,
        .filter = { .state = "dead",
                    .route = "order-to-crm",
                    .error = "no \"sku\"",
                    .issue = 0x3f2a9c01d4e7,
                    .since_ms = 5,
                    .until_ms = 1700000000000,
                    .after = delivery_num(1042, 3) },
        .remap = true,
        .rate = 10,
        .max_failures = 100,
        .who = "uid 0",
        .why = "mended",
        .matched = 20,
        .done = 12,
        .refused = 1,
        .known = known,
        .n_known = 2,
        .end = "a new class of failure",
    };
    struct buf once = { 0 }, twice = { 0 };
    struct replay *again;

    (void)state;
    replay_encode(&r, &once);
    again = replay_decode(buf_view(&once));
    assert_non_null(again);
    CHECK_EQ(again->state, REPLAY_STOPPED);
    CHECK_EQ(again->filter.after, delivery_num(1042, 3));
    CHECK_EQ(again->filter.issue, 0x3f2a9c01d4e7);
    CHECK_STR(again->filter.error, "no \"sku\"");
    CHECK(again->filter.endpoint == NULL && again->route == NULL);
    CHECK_EQ(again->n_known, 2);
    replay_encode(again, &twice);
    CHECK_STR(twice.data, once.data);
    replay_free(again);
    CHECK(replay_decode(STR("{\"id\":7,\"state\":\"sleeping\"}")) == NULL);
    CHECK(replay_decode(STR("no json")) == NULL);
    buf_finish(&once);
    buf_finish(&twice);
}

static void differs(const char *before, const char *after, const char *wanted)
{
    struct buf b = { 0 };

    replay_diff(&b, str_of(before), str_of(after));
    CHECK_STR(b.data, wanted);
    buf_finish(&b);
}

static void two_bodies_differ_by_path(void **state)
{
    (void)state;
    differs("{\"a\":1,\"b\":[1,2]}", "{\"b\":[1,2],\"a\":1}", "[]");
    differs("{\"a\":1,\"b\":[1,2]}", "{\"a\":\"1\",\"b\":[1],\"c\":null}",
            "[{\"path\":\"/a\",\"before\":1,\"after\":\"1\"},"
            "{\"path\":\"/b/1\",\"before\":2},{\"path\":\"/c\",\"after\":null}]");
    differs("", "{}", "[{\"path\":\"\",\"after\":{}}]");
    differs("no json", "{}", "[{\"path\":\"\",\"before\":\"no json\",\"after\":{}}]");
    differs("", "", "[]");
}

static void only_what_has_not_arrived_is_edited(void **state)
{
    struct store_delivery row = { .state = DS_DEAD };
    char text[160];

    (void)state;
    CHECK_EQ(edit_check(&row, false, text), 0); /* never sent */
    row.first_sent_ms = 5;
    CHECK_EQ(edit_check(&row, false, text), UV_EINVAL);
    CHECK(strstr(text, "--force") != NULL);
    CHECK_EQ(edit_check(&row, true, text), 0);
    row.arrival = ARRIVAL_NO; /* refused for good */
    CHECK_EQ(edit_check(&row, false, text), 0);
    row.state = DS_HELD;
    row.hold_type = STR("unknown-outcome");
    CHECK_EQ(edit_check(&row, true, text), UV_EINVAL);
    CHECK(strstr(text, "find out first") != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pace_is_kept_over_any_time),
        cmocka_unit_test(who_decides_for_it_names_it),
        cmocka_unit_test(it_reads_what_it_wrote),
        cmocka_unit_test(two_bodies_differ_by_path),
        cmocka_unit_test(only_what_has_not_arrived_is_edited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
