/*
 * A store with a great many deadlines: how it opens, what it keeps in memory, how exact it is. Two
 * thousand in CI; SLUICE_LONG: a million, and the figures.
 */
#include "flow_rig.h"

#include "base/clock.h"
#include "flow/deadline.h"

static struct {
    size_t n, soon; /* soon: so many of them run out while it is watched; the first of all */
    int64_t from_ms;
    int64_t apart_us;
    size_t written;
} many;

static int64_t due_of(size_t i)
{
    return i < many.soon ? many.from_ms + (int64_t)i * many.apart_us / 1000
                         : many.from_ms + 86400000 + (int64_t)i;
}

static void on_written(struct flow *f, struct commit *c, int status)
{
    CHECK_EQ(status, 0);
    deadline_recorded(f, c);
    many.written += 1000;
}

static void write_page(struct flow_rig *rig, size_t from)
{
    struct commit *c = commit_new(rig->flow, on_written, rig);
    struct rec_deadline *items = mem_array(1000, sizeof(*items));
    struct rec_deadlines rec = { .at_ms = clock_wall_ms(), .items = items, .n_items = 1000 };

    for (size_t i = 0; i < 1000; i++)
        items[i] = (struct rec_deadline){ .num = delivery_num(1000000 + from + i, 0),
                                          .what = DEADLINE_BEGINS,
                                          .next_ms = due_of(from + i),
                                          .due_ms = due_of(from + i),
                                          .expect = STR("supplier/tracking"),
                                          .topic = STR("sla/missing"),
                                          .owner = STR("people"),
                                          .route = STR("r"),
                                          .subject = STR("order:acme.myshopify.com/450789469"),
                                          .endpoint = STR("crm") };
    rec_deadlines_encode(&commit_record(c, REC_DEADLINE)->payload, &rec);
    free(items);
    commit_go(c);
}

static long rss_mb(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long size = 0, resident = 0;

    if (f && fscanf(f, "%ld %ld", &size, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return resident * 4 / 1024;
}

static uint64_t indexed_after(const struct flow_rig *rig)
{
    struct store_stats s;

    store_stats(rig->store, &s);
    return s.log_seq - s.index_seq;
}

static void fill(struct flow_rig *rig, size_t from, size_t to)
{
    many.written = from;
    for (size_t i = from; i < to; i += 1000) {
        write_page(rig, i);
        UNTIL(rig, many.written + 16000 > i);
    }
    UNTIL(rig, many.written == to);
    for (int i = 0; i < 1200 && indexed_after(rig); i++) { /* at a low priority */
        uint64_t until = uv_hrtime() + 1000000000;
        while (indexed_after(rig) && uv_hrtime() < until)
            rig_turn(rig);
    }
    CHECK_EQ(indexed_after(rig), 0);
}

static void test_very_many_deadlines_cost_no_memory_and_are_exact_to_the_second(void **state)
{
    struct flow_rig *rig = rig_new();
    bool is_long = getenv("SLUICE_LONG") != NULL;
    int64_t worst = 0, start_ms;
    size_t most = 0;

    (void)state;
    rig_route(rig, "r", "t", CRM, ACT_SEND);
    rig_up(rig);
    many.n = is_long ? 1000000 : 3000;
    many.soon = is_long ? 5000 : 1000;
    many.apart_us = is_long ? 1000 : 200;
    many.from_ms = clock_wall_ms();
    uint64_t t = uv_hrtime();
    fill(rig, many.soon, many.n);
    int64_t fill_ms = (int64_t)((uv_hrtime() - t) / 1000000);
    rig_crash(rig);
    long before_mb = rss_mb();
    t = uv_hrtime();
    rig_up(rig);
    start_ms = (int64_t)((uv_hrtime() - t) / 1000000);
    many.from_ms = clock_wall_ms() + (is_long ? 3000 : 20);
    fill(rig, 0, many.soon);
    int64_t from = clock_wall_ms(), end = due_of(many.soon - 1) + 20000;
    while (clock_wall_ms() < end && rig->flow->stats.deadlines_missed < many.soon) {
        int64_t due = due_of(rig->flow->stats.deadlines_missed);
        rig_turn(rig);
        int64_t late = clock_wall_ms() - (due > from ? due : from);
        worst = late > worst ? late : worst;
        if (rig->flow->due.heap.n > most)
            most = rig->flow->due.heap.n;
    }
    CHECK_EQ(rig->flow->stats.deadlines_missed, many.soon);
    CHECK(most <= 4096 + 2 * 512);
    CHECK(worst < (is_long ? 1000 : 10000)); /* a busy machine's; test_deadline.c is exact */
    print_message("%zu deadlines: written and indexed in %" PRId64 " ms, opened in %" PRId64
                  " ms, %ld MB more, %zu in memory at most; %zu ran out, %" PRId64
                  " ms late at most\n",
                  many.n, fill_ms, start_ms, rss_mb() - before_mb, most, many.soon, worst);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_very_many_deadlines_cost_no_memory_and_are_exact_to_the_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
