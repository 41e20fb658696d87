/*
 * test_replay_job.c - a replay as a job of the loop: its pace, what stops it, and how it goes on
 * after a restart; by a simulated clock.
 */
#include "clock_rig.h"

#include <stdio.h>
#include "flow/replay.h"
#include "store/fingerprint.h"

static struct clock_rig rig;
static int64_t ahead_ms; /* of the wall clock, while the dead letters were made */

/* ---- what the index says of dead letters and of jobs, from the simulated store's tables ---- */

struct question {
    void (*nums)(void *ctx, int status, const uint64_t *nums, size_t n);
    void (*report)(void *ctx, int status, sl_str json);
    void *ctx;
    enum store_report what;
    uint64_t after, job;
    int64_t until_ms;
    uint32_t limit;
};

static uint64_t issue_of(const struct row *r)
{
    return fingerprint_of(r->route, r->endpoint, STR("rejected"), r->reason);
}

/** Did this job send it again? */
static bool is_of_job(const struct row *r, uint64_t job)
{
    char who[32];

    snprintf(who, sizeof(who), "replay:%llu ", (unsigned long long)job);
    for (size_t i = 0; i < rig.n_moves; i++)
        if (rig.moves[i].num == r->num && strncmp(rig.moves[i].who, who, strlen(who)) == 0)
            return true;
    return false;
}

static void tell_nums(const struct question *q)
{
    const struct tables *t = store_sim_tables(rig.store);
    uint64_t nums[1000];
    size_t n = 0;

    for (size_t i = 0; i < t->n_rows && n < q->limit; i++)
        if (t->rows[i]->state == DS_DEAD && t->rows[i]->num > q->after &&
            t->rows[i]->moved_ms + ahead_ms < q->until_ms)
            nums[n++] = t->rows[i]->num;
    q->nums(q->ctx, 0, nums, n);
}

static void tell_report(const struct question *q)
{
    const struct tables *t = store_sim_tables(rig.store);
    bool replay = q->what == REPORT_REPLAY;
    struct buf json = { 0 };
    char name[FINGERPRINT_HEX + 1] = "";
    size_t n = 0;

    buf_cstr(&json, replay ? "{\"dead_again\":[" : "[");
    for (size_t i = 0; i < t->n_rows; i++) {
        const struct row *r = t->rows[i];
        if (r->state != DS_DEAD || (replay && !is_of_job(r, q->job)))
            continue;
        fingerprint_name(issue_of(r), name);
        buf_printf(&json, "%s{\"issue\":\"%s\",\"count\":1,\"class\":\"rejected\",\"reason\":",
                   n++ ? "," : "", name);
        buf_json_str(&json, r->reason);
        buf_char(&json, '}');
    }
    buf_cstr(&json, replay ? "]}" : "]");
    q->report(q->ctx, 0, buf_view(&json));
    buf_finish(&json);
}

static void on_answer(void *ctx, bool closing)
{
    struct question *q = ctx;

    if (closing && q->nums)
        q->nums(q->ctx, UV_ECANCELED, NULL, 0);
    else if (closing)
        q->report(q->ctx, UV_ECANCELED, STR(""));
    else if (q->nums)
        tell_nums(q);
    else
        tell_report(q);
    free(q);
}

static int ask(const struct question *asked)
{
    struct question *q = mem_zero(sizeof(*q));

    *q = *asked;
    flow_later(rig.flow, 1, on_answer, q);
    return 0;
}

int __wrap_store_select(struct store *s, const struct store_filter *f,
                        void (*cb)(void *ctx, int status, const uint64_t *nums, size_t n),
                        void *ctx);
int __wrap_store_report(struct store *s, enum store_report what, const struct store_filter *f,
                        void (*cb)(void *ctx, int status, sl_str json), void *ctx);
int __wrap_store_backfill(struct store *s, const struct store_backfill *what,
                          void (*cb)(void *ctx, int status, const uint64_t *ids, size_t n,
                                     uint64_t next),
                          void *ctx);
int __real_store_report(struct store *s, enum store_report what, const struct store_filter *f,
                        void (*cb)(void *ctx, int status, sl_str json), void *ctx);

int __wrap_store_select(struct store *s, const struct store_filter *f,
                        void (*cb)(void *ctx, int status, const uint64_t *nums, size_t n),
                        void *ctx)
{
    (void)s;
    return ask(&(struct question){
        .nums = cb, .ctx = ctx, .after = f->after, .until_ms = f->until_ms, .limit = f->limit });
}

int __wrap_store_report(struct store *s, enum store_report what, const struct store_filter *f,
                        void (*cb)(void *ctx, int status, sl_str json), void *ctx)
{
    if (what == REPORT_SUMMARY)
        return __real_store_report(s, what, f, cb, ctx);
    return ask(&(struct question){ .report = cb, .ctx = ctx, .what = what, .job = f->id });
}

int __wrap_store_backfill(struct store *s, const struct store_backfill *what,
                          void (*cb)(void *ctx, int status, const uint64_t *ids, size_t n,
                                     uint64_t next),
                          void *ctx)
{
    (void)s;
    (void)what;
    (void)cb;
    (void)ctx;
    return UV_ECANCELED;
}

/* ---- help ---- */

#define N 100

static uint64_t nums[N];

/** A hundred dead letters, all of the same trouble. */
static void setup(void)
{
    clock_rig_init(&rig);
    clock_rig_route(&rig, "r", "t");
    clock_rig_up(&rig);
    ahead_ms = clock_wall_ms() - world_now();
    rig.kind = SL_REJECTED;
    rig.why = "no such sku";
    for (size_t i = 0; i < N; i++)
        nums[i] = clock_rig_event(&rig, "t", "-");
    clock_rig_pass(&rig, 10 * SEC);
    for (size_t i = 0; i < N; i++)
        CHECK_EQ(clock_rig_row(&rig, nums[i])->state, DS_DEAD);
    CHECK_EQ(rig.delivers, N);
    rig.delivers = 0;
}

static void on_begun(void *ctx, int status, uint64_t id)
{
    CHECK_EQ(status, 0);
    *(uint64_t *)ctx = id;
}

static uint64_t begin(uint32_t rate, uint64_t max_failures)
{
    struct replay_ask ask = {
        .rate = rate, .max_failures = max_failures, .who = STR("uid 0"), .why = STR("mended")
    };
    uint64_t id = 0;

    CHECK_EQ(flow_replay(rig.flow, &ask, on_begun, &id), 0);
    while (!id)
        world_turn(&rig.w);
    return id;
}

static const struct replay *job(void)
{
    assert_false(list_empty(&rig.flow->replays));
    return list_entry(rig.flow->replays.next, struct replay, node);
}

static size_t in_state(enum delivery_state s)
{
    size_t n = 0;

    for (size_t i = 0; i < N; i++)
        n += clock_rig_row(&rig, nums[i])->state == s;
    return n;
}

/* ---- tests ---- */

static void test_it_keeps_its_pace_whatever_the_wall_clock_does(void **state)
{
    (void)state;
    setup();
    rig.kind = SL_DELIVERED;
    begin(10, 0);
    int64_t began = world_now();
    for (int s = 1; s < 9; s++) {
        clock_rig_pass(&rig, began + s * SEC - world_now());
        CHECK(rig.delivers <= (uint64_t)(10 * s + 1));
        CHECK(rig.delivers >= (uint64_t)(10 * s - 3));
        if (s == 3)
            world_set_wall(-2 * HOUR);
        if (s == 5)
            world_set_wall(5 * HOUR);
    }
    CHECK_EQ(job()->state, REPLAY_RUNNING);
    clock_rig_pass(&rig, 3 * SEC);
    CHECK_EQ(job()->state, REPLAY_DONE);
    CHECK_EQ(job()->done, N);
    CHECK_EQ(job()->refused, 0);
    CHECK_EQ(rig.delivers, N);
    CHECK_EQ(in_state(DS_DELIVERED), N);
    clock_rig_finish(&rig);
}

static void test_without_a_pace_it_is_done_in_a_moment(void **state)
{
    (void)state;
    setup();
    rig.kind = SL_DELIVERED;
    begin(0, 0);
    clock_rig_pass(&rig, 2 * SEC);
    CHECK_EQ(job()->state, REPLAY_DONE);
    CHECK_EQ(in_state(DS_DELIVERED), N);
    clock_rig_finish(&rig);
}

static void test_the_trouble_it_began_with_does_not_stop_it_and_another_does(void **state)
{
    (void)state;
    setup();
    begin(20, 0); /* it still fails, as before */
    clock_rig_pass(&rig, 2 * SEC);
    CHECK_EQ(job()->state, REPLAY_RUNNING);
    CHECK(rig.delivers >= 35);
    rig.why = "the account is closed";
    clock_rig_pass(&rig, SEC);
    CHECK_EQ(job()->state, REPLAY_STOPPED);
    assert_non_null(strstr(job()->end, "a new class of failure: issue "));
    assert_non_null(strstr(job()->end, "(rejected): the account is closed"));
    uint64_t sent = rig.delivers;
    CHECK(sent < 50); /* what was on its way, and no more */
    clock_rig_pass(&rig, 60 * SEC);
    CHECK_EQ(rig.delivers, sent);
    clock_rig_crash(&rig); /* it stays stopped */
    clock_rig_up(&rig);
    clock_rig_pass(&rig, 60 * SEC);
    CHECK_EQ(job()->state, REPLAY_STOPPED);
    CHECK_EQ(rig.delivers, sent);
    clock_rig_finish(&rig);
}

static void test_more_failures_than_it_may_have_stop_it(void **state)
{
    (void)state;
    setup();
    begin(20, 10);
    clock_rig_pass(&rig, 5 * SEC);
    CHECK_EQ(job()->state, REPLAY_STOPPED);
    assert_non_null(strstr(job()->end, "died again, more than 10"));
    CHECK(rig.delivers > 10 && rig.delivers < 20);
    clock_rig_finish(&rig);
}

/* Killed at another commit each time: it goes on, at its pace, and nothing is sent twice. */
static void test_after_a_restart_it_goes_on_where_it_was(void **state)
{
    (void)state;
    for (uint64_t commits = 1; commits <= 9; commits++) {
        setup();
        rig.kind = SL_DELIVERED;
        uint64_t id = begin(50, 0);
        clock_rig_pass(&rig, 500);
        store_sim_crash_after(rig.store, commits);
        clock_rig_pass(&rig, SEC);
        CHECK(store_sim_stopped(rig.store));
        clock_rig_crash(&rig);
        uint64_t before = rig.delivers;
        clock_rig_pass(&rig, HOUR);
        clock_rig_up(&rig);
        int64_t up = world_now();
        clock_rig_pass(&rig, SEC / 2); /* no rush for the hour that was missed */
        CHECK(rig.delivers - before <= (uint64_t)((world_now() - up) * 50 / 1000 + 5));
        clock_rig_pass(&rig, 10 * SEC);
        CHECK_EQ(job()->id, id);
        CHECK_EQ(job()->state, REPLAY_DONE);
        CHECK_EQ(in_state(DS_DELIVERED) + in_state(DS_HELD), N);
        CHECK(in_state(DS_HELD) <= 8); /* sent when it was killed: a person is asked */
        CHECK(rig.delivers <= N && rig.delivers >= in_state(DS_DELIVERED));
        for (size_t i = 0; i < N; i++)
            assert_non_null(clock_rig_moved(&rig, nums[i], "replay:")); /* once */
        clock_rig_finish(&rig);
    }
}

static void on_cancelled(void *ctx, int status, uint64_t id)
{
    CHECK_EQ(status, 0);
    *(uint64_t *)ctx = id;
}

static void test_cancelled_it_sends_no_more(void **state)
{
    (void)state;
    setup();
    rig.kind = SL_DELIVERED;
    uint64_t id = begin(20, 0);
    clock_rig_pass(&rig, 2 * SEC);
    uint64_t told = 0;
    CHECK_EQ(flow_replay_cancel(rig.flow, id, STR("uid 0"), on_cancelled, &told), 0);
    CHECK_EQ(flow_replay_cancel(rig.flow, id, STR("uid 0"), on_cancelled, &told), UV_EALREADY);
    CHECK_EQ(told, 0);
    while (!told)
        world_turn(&rig.w);
    CHECK_EQ(told, id);
    clock_rig_crash(&rig); /* who was told so can rely on it */
    clock_rig_up(&rig);
    clock_rig_pass(&rig, 200);
    uint64_t sent = rig.delivers;
    CHECK(sent > 30 && sent < 50);
    clock_rig_pass(&rig, 60 * SEC);
    CHECK_EQ(rig.delivers, sent);
    CHECK_EQ(in_state(DS_DEAD), N - sent);
    CHECK_EQ(job()->state, REPLAY_CANCELLED);
    clock_rig_finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_keeps_its_pace_whatever_the_wall_clock_does),
        cmocka_unit_test(test_without_a_pace_it_is_done_in_a_moment),
        cmocka_unit_test(test_the_trouble_it_began_with_does_not_stop_it_and_another_does),
        cmocka_unit_test(test_more_failures_than_it_may_have_stop_it),
        cmocka_unit_test(test_after_a_restart_it_goes_on_where_it_was),
        cmocka_unit_test(test_cancelled_it_sends_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
