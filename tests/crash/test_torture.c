/*
 * test_torture.c - the store when memory runs out, at each of its allocations in turn.
 *
 * SLUICE_LONG=1 takes every allocation of SQLite's too, not a part of them.
 */
#include "../unit/check.h"
#include "../unit/rounds.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include "box.h"
#include "checker.h"
#include "layer.h"
#include "torture.h"
#include "workload.h"

#define EVENTS 6

struct trial {
    char dir[96];
    struct box box;
    struct history history;
    int opened, worked;
    unsigned asked, answered, refused, odd;
    int odd_status;
    struct buf reports; /* one after the other, those that were given */
};

/* What the reports say when nothing fails. */
static struct buf whole_reports;

/* ---- questions: each is answered, or says that there is no memory ---- */

static void answered(struct trial *t, int status)
{
    t->answered++;
    t->refused += status == UV_ENOMEM;
    if (status < 0 && status != UV_ENOMEM && status != UV_ENOENT) {
        t->odd++;
        t->odd_status = status;
    }
    t->box.done = t->answered == t->asked;
}

static void on_claim(void *ctx, int status, const struct store_delivery *d, size_t n)
{
    (void)d;
    (void)n;
    answered(ctx, status);
}

static void on_delivery(void *ctx, int status, const struct store_delivery *d, sl_str body,
                        sl_str request)
{
    (void)d;
    (void)body;
    (void)request;
    answered(ctx, status);
}

static void on_event(void *ctx, int status, const struct store_event *e)
{
    (void)e;
    answered(ctx, status);
}

static void on_nums(void *ctx, int status, const uint64_t *nums, size_t n)
{
    (void)nums;
    (void)n;
    answered(ctx, status);
}

static void on_links(void *ctx, int status, const sl_str *subjects, size_t n)
{
    (void)subjects;
    (void)n;
    answered(ctx, status);
}

static void on_batch(void *ctx, int status, sl_str token, const uint64_t *nums, size_t n)
{
    (void)token;
    on_nums(ctx, status, nums, n);
}

static void on_report(void *ctx, int status, sl_str json)
{
    struct trial *t = ctx;

    torture_pause();
    if (status == 0)
        buf_str(&t->reports, json);
    buf_char(&t->reports, '\n');
    torture_resume();
    answered(t, status);
}

static void asked(struct trial *t, int r)
{
    t->asked++;
    if (r < 0)
        answered(t, r);
}

static void ask_everything(struct trial *t)
{
    struct store_filter all = { .limit = 100 }, one = { .id = 1, .limit = 10 };
    struct rec_ref ref = { STR("acme"), STR("order"), STR("1") };
    uint64_t num = delivery_num(1, 0);
    struct store *s = t->box.s;

    all.state = "delivered";
    asked(t, store_claim(s, STR("acme"), 2, 0, 100, on_claim, t));
    asked(t, store_delivery_get(s, num, on_delivery, t));
    asked(t, store_event_get(s, 1, on_event, t));
    asked(t, store_unrouted(s, true, 0, 100, on_nums, t));
    asked(t, store_links(s, &ref, 1, on_links, t));
    asked(t, store_batch_get(s, 5, on_batch, t));
    asked(t, store_select(s, &all, on_nums, t));
    asked(t, store_report(s, REPORT_SUMMARY, NULL, on_report, t));
    asked(t, store_report(s, REPORT_EVENTS, NULL, on_report, t));
    asked(t, store_report(s, REPORT_EVENT, &one, on_report, t));
    asked(t, store_report(s, REPORT_DELIVERIES, &all, on_report, t));
    one.id = num;
    asked(t, store_report(s, REPORT_DELIVERY, &one, on_report, t));
    t->box.done = t->answered == t->asked;
    box_wait(&t->box);
}

/* ---- one trial ---- */

static struct trial *trial_start(void)
{
    struct trial *t = calloc(1, sizeof(*t));

    assert_non_null(t);
    scratch_make(t->dir);
    box_start(&t->box, t->dir);
    t->box.conf.segment_bytes = 6 << 10; /* a head and a few records: the keeper has much to do */
    return t;
}

/* Nothing fails any more: the store goes on, or says that it has failed. */
static void must_be_usable(struct trial *t)
{
    struct store_record rec = make_receipt("after", 1, 0x70000000, 0);
    struct store_append a = { .records = &rec, .n = 1 };
    int r = box_append(&t->box, &a, false);

    if (r < 0) {
        CHECK_EQ(r, UV_EIO);
        CHECK(box_stats(&t->box).failed);
    } else {
        history_add(&t->history, &a, 0x70000000, 0);
    }
    store_append_finish(&a);
}

/* All that was acknowledged is in the directory, and no more. */
static void must_hold(struct trial *t, uint64_t n)
{
    struct check c = { .dir = t->dir, .history = &t->history, .acked = t->history.n, .seed = n };
    struct finding finding;
    bool ok = check_image(&c, &finding);

    if (!ok)
        print_error("allocation %" PRIu64 ": %s, left in %s\n", n, finding.text, t->dir);
    CHECK(ok);
}

static void play(struct trial *t, bool closes_without)
{
    struct workload w;

    t->opened = box_open(&t->box);
    if (t->opened < 0)
        return;
    workload_start(&w, &t->history, 3, 0);
    t->worked = workload_run(&w, &t->box, EVENTS);
    ask_everything(t);
    if (closes_without)
        box_close(&t->box);
}

/* A report is refused, or says all. */
static void must_be_whole(const struct trial *t, uint64_t n)
{
    sl_str got = buf_view(&t->reports), want = buf_view(&whole_reports);

    while (got.len && want.len) {
        const char *end = memchr(got.ptr, '\n', got.len), *stop = memchr(want.ptr, '\n', want.len);
        size_t a = (size_t)(end - got.ptr), b = (size_t)(stop - want.ptr);

        if (a && (a != b || memcmp(got.ptr, want.ptr, a) != 0))
            print_error("allocation %" PRIu64 ": a report lacks something:\n%.*s\n%.*s\n", n,
                        (int)a, got.ptr, (int)b, want.ptr);
        CHECK(a == 0 || (a == b && memcmp(got.ptr, want.ptr, a) == 0));
        got = (sl_str){ end + 1, got.len - a - 1 };
        want = (sl_str){ stop + 1, want.len - b - 1 };
    }
}

/* True if the nth allocation was reached. */
static bool one_trial(unsigned kinds, uint64_t n, bool lasting)
{
    struct trial *t = trial_start();
    bool hit;

    torture_arm(kinds, n, lasting);
    play(t, lasting);
    hit = torture_disarm();
    if (t->opened < 0 && t->opened != UV_ENOMEM)
        print_error("allocation %" PRIu64 ": opening: %s: %s\n", n, uv_err_name(t->opened),
                    t->box.fail.text);
    CHECK(t->opened == 0 || t->opened == UV_ENOMEM);
    CHECK(t->worked == 0 || t->worked == UV_ENOMEM);
    CHECK_EQ(t->answered, t->asked);
    if (t->odd)
        print_error("allocation %" PRIu64 ": a question: %s\n", n, uv_err_name(t->odd_status));
    CHECK_EQ(t->odd, 0);
    if (!hit)
        CHECK(t->opened == 0 && t->worked == 0 && t->refused == 0);
    if (t->box.s)
        must_be_usable(t);
    CHECK(box_finish(&t->box));
    must_hold(t, n);
    if (kinds == TORTURE_JANSSON && n == 0)
        whole_reports = t->reports;
    else if (kinds == TORTURE_JANSSON)
        must_be_whole(t, n);
    if (n)
        buf_finish(&t->reports);
    history_finish(&t->history);
    scratch_remove(t->dir);
    free(t);
    return hit;
}

static void torture(unsigned kinds, bool lasting, uint64_t step)
{
    uint64_t n = 1;

    while (one_trial(kinds, n, lasting))
        n += step;
    print_message("%" PRIu64 " allocations\n", n - 1);
    CHECK(n > 1);
}

static void the_store_copes_with_any_one_allocation_that_fails(void **state)
{
    (void)state;
    torture(TORTURE_OWN, false, step_of(1));
}

static void the_store_copes_with_no_memory_from_any_allocation_on(void **state)
{
    (void)state;
    torture(TORTURE_OWN, true, step_of(1));
}

static void the_store_copes_when_sqlite_finds_no_memory(void **state)
{
    (void)state;
    torture(TORTURE_SQLITE, false, step_of(67));
}

static void the_store_copes_when_sqlite_finds_none_any_more(void **state)
{
    (void)state;
    torture(TORTURE_SQLITE | TORTURE_OWN, true, step_of(97));
}

static void reports_cope_with_no_memory(void **state)
{
    (void)state;
    one_trial(TORTURE_JANSSON, 0, false);
    CHECK(whole_reports.len > 1000);
    torture(TORTURE_JANSSON, false, step_of(11));
    buf_finish(&whole_reports);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_store_copes_with_any_one_allocation_that_fails),
        cmocka_unit_test(the_store_copes_with_no_memory_from_any_allocation_on),
        cmocka_unit_test(the_store_copes_when_sqlite_finds_no_memory),
        cmocka_unit_test(the_store_copes_when_sqlite_finds_none_any_more),
        cmocka_unit_test(reports_cope_with_no_memory),
    };

    torture_sqlite();
    json_set_alloc_funcs(torture_jansson_malloc, free);
    layer_install();
    cmocka_set_test_filter(getenv("SLUICE_TEST")); /* NULL: all */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
