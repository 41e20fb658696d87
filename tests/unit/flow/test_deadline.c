/*
 * test_deadline.c - what must follow a delivery: met or missed, once, in time, each for itself.
 */
#include "clock_rig.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "../../sim/store_query.h"
#include "flow/deadline.h"

static struct conf_deadline deadline;

static struct clock_rig *setup(void)
{
    static struct clock_rig r;

    static char *topics[] = { "tracking", "parcel/*" };

    deadline = (struct conf_deadline){
        .expect = topics, .n_expect = 2, .within_ms = HOUR, .topic = "sla/missing"
    };
    clock_rig_init(&r);
    clock_rig_route(&r, "order", "order")->deadline = &deadline;
    r.routes[0].owner = "people";
    clock_rig_up(&r);
    return &r;
}

/** An order that is delivered; its deadline runs. */
static uint64_t order(struct clock_rig *r, const char *subject, const char *link)
{
    r->link = link;
    uint64_t num = clock_rig_event(r, "order", subject);
    clock_rig_pass(r, 50);
    CHECK_EQ(clock_rig_row(r, num)->state, DS_DELIVERED);
    assert_non_null(clock_rig_deadline(r, num));
    CHECK_EQ(clock_rig_deadline(r, num)->begun, 1);
    return num;
}

static void missed(const struct clock_rig *r, uint64_t num, int64_t from_ms, int64_t late_ms)
{
    const struct told *t = clock_rig_emitted(r, num, "sla/missing");

    assert_non_null(t);
    CHECK(t->at_ms >= from_ms);
    CHECK(t->at_ms - from_ms < late_ms);
    CHECK_EQ(clock_rig_deadline(r, num)->missed, 1);
    CHECK_EQ(clock_rig_deadline(r, num)->met, 0);
}

static void met(const struct clock_rig *r, uint64_t num)
{
    CHECK_EQ(clock_rig_deadline(r, num)->met, 1);
    CHECK_EQ(clock_rig_deadline(r, num)->missed, 0);
    assert_null(clock_rig_emitted(r, num, "sla"));
}

static void test_what_does_not_come_is_missed_once_at_its_time(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    uint64_t num = order(r, "a", NULL);
    int64_t due = clock_rig_deadline(r, num)->due_ms;
    clock_rig_pass(r, due - clock_wall_ms() - 1);
    CHECK(clock_rig_deadline(r, num)->open);
    clock_rig_pass(r, 30);
    missed(r, num, due, 30);
    clock_rig_pass(r, 3 * HOUR);
    missed(r, num, due, 30);
    CHECK_EQ(r->flow->stats.deadlines_missed, 1);
    clock_rig_finish(r);
}

static void test_a_warning_comes_before_and_the_deadline_goes_on(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    deadline.warn_percent = 80;
    uint64_t num = order(r, "a", NULL);
    struct deadline_row *d = clock_rig_deadline(r, num);
    int64_t due = d->due_ms;
    CHECK_EQ(d->next_ms, due - HOUR / 5);
    clock_rig_pass(r, d->next_ms - clock_wall_ms() + 30);
    CHECK_EQ(d->next_ms, due); /* it was warned */
    CHECK(d->open);
    CHECK_EQ(r->n_emits, 0);
    clock_rig_crash(r);
    clock_rig_up(r);
    clock_rig_pass(r, due - clock_wall_ms() + 30);
    missed(r, num, due, 30);
    clock_rig_finish(r);
}

static void test_what_comes_in_the_last_moment_meets_it_and_too_late_does_not(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    uint64_t in_time = order(r, "a", NULL), late = order(r, "b", NULL);
    clock_rig_pass(r, clock_rig_deadline(r, in_time)->due_ms - clock_wall_ms() - 40);
    clock_rig_event(r, "parcel/sent", "a");
    int64_t due = clock_rig_deadline(r, late)->due_ms;
    clock_rig_pass(r, due - clock_wall_ms() + 100);
    met(r, in_time);
    missed(r, late, due, 30);
    clock_rig_event(r, "tracking", "b");
    clock_rig_pass(r, SEC);
    missed(r, late, due, 30);
    CHECK_EQ(r->flow->stats.deadlines_met, 1);
    clock_rig_finish(r);
}

static void test_an_event_at_the_very_time_meets_it_or_is_too_late_but_never_both(void **state)
{
    (void)state;
    for (int64_t at = -12; at <= 12; at++) {
        struct clock_rig *r = setup();
        uint64_t num = order(r, "a", NULL);
        struct deadline_row *d = clock_rig_deadline(r, num);
        clock_rig_pass(r, d->due_ms - clock_wall_ms() + at);
        clock_rig_event(r, "tracking", "a");
        clock_rig_pass(r, SEC);
        CHECK(!d->open);
        CHECK_EQ(d->met + d->missed, 1);
        CHECK_EQ(r->n_emits, d->missed);
        clock_rig_finish(r);
    }
}

static void test_one_parcel_s_event_meets_that_parcel_s_deadline_alone(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    uint64_t one = order(r, "a", "PO-1"), two = order(r, "a", "PO-2"),
             three = order(r, "a", "PO-3");
    clock_rig_event_of(r, "crm", "tracking", "a ref PO-2"); /* it names the second */
    clock_rig_pass(r, 50);
    met(r, two);
    CHECK(clock_rig_deadline(r, one)->open && clock_rig_deadline(r, three)->open);
    clock_rig_event(r, "tracking", "a"); /* it names none: the first due */
    clock_rig_pass(r, 50);
    met(r, one);
    CHECK(clock_rig_deadline(r, three)->open);
    clock_rig_event(r, "tracking", "b"); /* of another order */
    clock_rig_event(r, "other", "a");    /* not what is expected */
    clock_rig_pass(r, 2 * HOUR);
    missed(r, three, clock_rig_deadline(r, three)->due_ms, 30);
    met(r, one);
    clock_rig_finish(r);
}

/* It came before there was a deadline that it could meet: again, it tells nothing of this one. */
static void test_a_repeated_event_meets_none(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    clock_rig_event(r, "tracking", "a at 1");
    uint64_t num = order(r, "a", NULL);
    clock_rig_event(r, "tracking", "a at 1");
    clock_rig_pass(r, SEC);
    CHECK_EQ(r->flow->stats.same_events, 1);
    CHECK(clock_rig_deadline(r, num)->open);
    clock_rig_event(r, "tracking", "a at 2");
    clock_rig_pass(r, SEC);
    met(r, num);
    clock_rig_finish(r);
}

static void test_a_restart_at_any_commit_ends_it_once(void **state)
{
    (void)state;
    for (uint64_t commits = 1; commits <= 4; commits++) {
        struct clock_rig *r = setup();
        uint64_t num = order(r, "a", NULL);
        int64_t due = clock_rig_deadline(r, num)->due_ms;
        clock_rig_pass(r, due - clock_wall_ms() - 10);
        store_sim_crash_after(r->store, commits);
        for (int i = 0; i < 100 && !store_sim_stopped(r->store); i++)
            clock_rig_pass(r, 1);
        clock_rig_crash(r);
        clock_rig_pass(r, 10 * SEC);
        clock_rig_up(r);
        clock_rig_pass(r, SEC);
        const struct told *t = clock_rig_emitted(r, num, "sla/missing");
        assert_non_null(t);
        CHECK(t->at_ms >= due);
        CHECK_EQ(clock_rig_deadline(r, num)->missed, 1);
        const struct event_row *e = NULL; /* and it is routed, also that of before */
        for (uint64_t id = 1; id <= store_sim_tables(r->store)->last; id++)
            if (tables_event(store_sim_tables(r->store), id))
                e = tables_event(store_sim_tables(r->store), id);
        CHECK_EQ(e->routed, 1);
        CHECK_EQ(e->receipt.cause, num);
        clock_rig_finish(r);
    }
}

static void test_a_clock_that_goes_back_does_not_end_it_early(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    uint64_t num = order(r, "a", NULL);
    int64_t due = clock_rig_deadline(r, num)->due_ms;
    clock_rig_pass(r, HOUR / 2);
    world_set_wall(-HOUR);
    clock_rig_pass(r, HOUR);
    CHECK(clock_rig_deadline(r, num)->open);
    clock_rig_pass(r, due - clock_wall_ms() + 30);
    missed(r, num, due, 30);
    world_set_wall(-3 * HOUR);
    clock_rig_pass(r, 4 * HOUR);
    missed(r, num, due, 30);
    clock_rig_finish(r);
}

/* ---- a great many ---- */

static struct {
    size_t n, first; /* first: all before are closed */
    int64_t began_ms;
    int64_t apart_us;
} many;

static int64_t due_of(size_t i)
{
    return many.began_ms + 60 * SEC + (int64_t)i * many.apart_us / 1000;
}

int __real_query_answer(struct store *s, struct query *q);
int __wrap_query_answer(struct store *s, struct query *q);

/** As the index answers: by its index of what is open and due, not by a look at all. */
int __wrap_query_answer(struct store *s, struct query *q)
{
    if (q->what != ASK_DUE || !many.n)
        return __real_query_answer(s, q);
    while (many.first < many.n && !tables_deadline(&s->t, many.first + 1)->open)
        many.first++;
    q->dues = room(s, q->limit * sizeof(*q->dues));
    q->horizon_ms = INT64_MAX;
    for (size_t i = many.first; i < many.n && q->n < q->limit; i++)
        if (tables_deadline(&s->t, i + 1)->open)
            q->dues[q->n++] = (struct store_due){ due_of(i), i + 1, true };
    if (q->n == q->limit)
        q->horizon_ms = q->dues[q->n - 1].at_ms;
    return 0;
}

static double cpu_s(void)
{
    struct timespec ts;

    syscall(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &ts); /* not the simulated one */
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void on_begun(struct flow *f, struct commit *c, int status)
{
    CHECK_EQ(status, 0);
    deadline_recorded(f, c);
}

static void begin_many(struct clock_rig *r)
{
    struct rec_deadline items[1000];

    for (size_t i = 0; i < many.n; i += 1000) {
        struct commit *c = commit_new(r->flow, on_begun, r);
        struct rec_deadlines rec = { .at_ms = clock_wall_ms(), .items = items, .n_items = 1000 };
        for (size_t k = 0; k < 1000; k++)
            items[k] = (struct rec_deadline){ .num = i + k + 1,
                                              .what = DEADLINE_BEGINS,
                                              .next_ms = due_of(i + k),
                                              .due_ms = due_of(i + k),
                                              .expect = STR("tracking"),
                                              .topic = STR("sla/missing"),
                                              .route = STR("order"),
                                              .subject = STR(""),
                                              .endpoint = STR("crm") };
        rec_deadlines_encode(&commit_record(c, REC_DEADLINE)->payload, &rec);
        commit_go(c);
    }
    clock_rig_pass(r, SEC);
}

/** N deadlines, so many a second: each to the second, with a restart in the middle. */
static void run_many(size_t n, int64_t apart_us)
{
    struct clock_rig *r = setup();
    double before = cpu_s();
    size_t most = 0, emitted = 0;
    int64_t latest = 0;

    many.n = n;
    many.first = 0;
    many.apart_us = apart_us;
    many.began_ms = clock_wall_ms();
    begin_many(r);
    int64_t end = due_of(n - 1) + SEC;
    bool again = false;
    while (clock_wall_ms() < end) {
        clock_rig_pass(r, 200);
        if (r->flow->due.heap.n > most)
            most = r->flow->due.heap.n;
        if (!again && r->n_emits > n / 2) {
            clock_rig_crash(r);
            clock_rig_up(r);
            again = true;
        }
    }
    CHECK(again);
    CHECK(most <= 4096 + 2 * 512);
    for (size_t i = 0; i < r->n_emits; i++) {
        int64_t late = r->emits[i].at_ms - due_of(r->emits[i].num - 1);
        emitted++;
        CHECK(late >= 0);
        latest = late > latest ? late : latest;
    }
    CHECK_EQ(emitted, n);
    for (size_t i = 0; i < n; i++)
        CHECK_EQ(tables_deadline(store_sim_tables(r->store), i + 1)->missed, 1);
    CHECK(latest < SEC);
    print_message("%zu deadlines, %" PRId64 " a second: %zu in memory at most, %" PRId64
                  " ms late at most, %.2f s of CPU\n",
                  n, 1000000 / apart_us, most, latest, cpu_s() - before);
    many.n = 0;
    clock_rig_finish(r);
}

static void test_very_many_are_each_missed_to_the_second_in_bounded_memory(void **state)
{
    (void)state;
    run_many(getenv("SLUICE_LONG") ? 1000000 : 20000, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_does_not_come_is_missed_once_at_its_time),
        cmocka_unit_test(test_a_warning_comes_before_and_the_deadline_goes_on),
        cmocka_unit_test(test_what_comes_in_the_last_moment_meets_it_and_too_late_does_not),
        cmocka_unit_test(test_an_event_at_the_very_time_meets_it_or_is_too_late_but_never_both),
        cmocka_unit_test(test_one_parcel_s_event_meets_that_parcel_s_deadline_alone),
        cmocka_unit_test(test_a_repeated_event_meets_none),
        cmocka_unit_test(test_a_restart_at_any_commit_ends_it_once),
        cmocka_unit_test(test_a_clock_that_goes_back_does_not_end_it_early),
        cmocka_unit_test(test_very_many_are_each_missed_to_the_second_in_bounded_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
