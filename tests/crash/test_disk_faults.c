/*
 * test_disk_faults.c - every call to the disk made to fail in turn: while the store opens, runs and
 * closes.
 *
 * Whatever fails: a caller is told a code it can act on; after a lost sync or write the store is
 * latched and touches that file's sync no more; a full disk refuses and recovers by itself; and
 * nothing that was acknowledged is missing, neither after a restart nor after a power cut.
 */
#include "../unit/check.h"
#include "../unit/rounds.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "box.h"
#include "checker.h"
#include "layer.h"
#include "workload.h"

#define BEFORE 12 /* events in the store before the fault */
#define EVENTS 16

enum moment { AT_OPENING, RUNNING };

struct trial {
    char dir[96];
    struct box box;
    struct journal *journal;
    struct history history;
    struct workload work;
    int opened, worked, settled;
    bool failed, hit;
    uint64_t seed; /* of the power cut */
    char about[160];
};

/* ---- life of a trial ---- */

static struct trial *trial_start(void)
{
    struct trial *t = calloc(1, sizeof(*t));

    assert_non_null(t);
    layer_fault(NULL);
    scratch_make(t->dir);
    t->journal = journal_begin(t->dir);
    box_start(&t->box, t->dir);
    t->box.conf.segment_bytes = 8 << 10;
    return t;
}

static void trial_fill(struct trial *t)
{
    CHECK_EQ(box_open(&t->box), 0);
    workload_start(&t->work, &t->history, 5, 0);
    CHECK_EQ(workload_run(&t->work, &t->box, BEFORE), 0);
}

static void must(struct trial *t, bool ok, const char *what)
{
    if (!ok)
        print_error("%s: %s (opened %d, worked %d, failed %d), left in %s\n", t->about, what,
                    t->opened, t->worked, t->failed, t->dir);
    CHECK(ok);
}

static void check(struct trial *t, const char *dir, const char *what)
{
    struct check c = {
        .dir = dir, .history = &t->history, .acked = t->history.n, .seed = 1, .loose = t->failed
    };
    struct finding finding;

    if (!check_image(&c, &finding)) {
        print_error("%s: %s: %s, left in %s\n", t->about, what, finding.text, dir);
        journal_print(t->journal, journal_length(t->journal), 20);
        CHECK(false);
    }
}

/* All that was acknowledged is there: after a power cut now, and for a process that comes next. */
static void trial_finish(struct trial *t)
{
    char dir[160];

    layer_fault(NULL);
    CHECK(box_finish(&t->box));
    journal_end(t->journal);
    snprintf(dir, sizeof(dir), "%s-cut", t->dir);
    journal_image(t->journal, SIZE_MAX, t->seed, dir);
    check(t, dir, "after a power cut");
    scratch_remove(dir);
    check(t, t->dir, "after a restart");
    journal_destroy(t->journal);
    history_finish(&t->history);
    scratch_remove(t->dir);
    free(t);
}

/* ---- one fault ---- */

static int append_one(struct trial *t, unsigned id, bool internal)
{
    uint32_t token = t->work.next_token++;
    struct store_record rec = make_receipt("single", id, token, 0);
    struct store_append a = { .records = &rec, .n = 1 };
    int r = box_append(&t->box, &a, internal);

    if (r == 0)
        history_add(&t->history, &a, token, journal_at());
    store_append_finish(&a);
    return r;
}

/* The fault is over: a store that is not latched goes on, without a restart. */
static void must_go_on(struct trial *t)
{
    int r = append_one(t, 1, true);

    t->failed = box_stats(&t->box).failed;
    if (t->failed)
        must(t, r == UV_EIO, "a latched store must refuse with EIO");
    else
        must(t, r == 0, "the store must go on when the fault is over");
}

static void play(struct trial *t, enum moment moment, const struct fault *f)
{
    if (moment == AT_OPENING) {
        box_close(&t->box);
        layer_fault(f);
        t->opened = box_open(&t->box);
    } else {
        layer_fault(f);
    }
    if (t->opened == 0)
        t->worked = workload_run(&t->work, &t->box, EVENTS);
    if (t->opened == 0)
        t->settled = box_settle(&t->box); /* the index has met the fault, too */
    t->hit = layer_hits() > 0;
}

static bool one_fault(enum moment moment, const struct fault *f)
{
    struct trial *t = trial_start();
    bool hit, lasting = f->times > 1;

    snprintf(t->about, sizeof(t->about), "%s %s in %u, %s from %" PRIu64 " on, %zu bytes",
             call_names[f->call], uv_err_name(f->code ? f->code : UV_EOF), f->where,
             moment == RUNNING ? "running" : "opening", f->nth, f->bytes);
    t->seed = f->nth;
    trial_fill(t);
    play(t, moment, f);
    if (t->opened < 0) {
        must(t, t->opened == f->code, "opening must fail with the disk's code");
        must(t, t->box.fail.text[0], "opening must say why");
    } else {
        t->failed = box_stats(&t->box).failed;
        must(t, t->worked == 0 || t->worked == UV_ENOSPC || t->worked == UV_EIO,
             "an append must fail with a code to act on");
        must(t, t->settled == 0 || t->settled == UV_ENOSPC || t->settled == UV_EIO,
             "a question must fail with a code to act on");
        must(t, (t->worked != UV_EIO && t->settled != UV_EIO) || t->failed, "EIO must latch");
        if (f->call == CALL_SYNC && t->hit && f->where == IN_LOG && t->worked)
            must(t, t->failed, "a lost sync must latch");
        if (f->call == CALL_SYNC && lasting)
            box_close(&t->box);
        if (f->call == CALL_SYNC && t->failed)
            must(t, layer_calls_after_hit(CALL_SYNC, f->where) == 0, "no sync may be tried again");
        layer_fault(NULL);
        if (t->box.s)
            must_go_on(t);
    }
    hit = t->hit;
    trial_finish(t);
    return hit;
}

/* How many such calls there are while nothing fails; counted once for each moment. */
static uint64_t calls_in_peace(enum moment moment, enum call call, unsigned where)
{
    static uint64_t seen[2][CALL__COUNT][3];
    static bool counted[2];
    struct fault none = { .call = call, .where = where, .nth = UINT64_MAX, .times = 1 };
    uint64_t n = 0;

    if (!counted[moment]) {
        struct trial *t = trial_start();

        trial_fill(t);
        play(t, moment, &none);
        for (unsigned c = 0; c < CALL__COUNT; c++)
            for (unsigned i = 0; i < 3; i++)
                seen[moment][c][i] = layer_calls(c, 1u << i);
        counted[moment] = true;
        trial_finish(t);
    }
    for (unsigned i = 0; i < 3; i++)
        n += where & 1u << i ? seen[moment][call][i] : 0;
    return n;
}

/* Each of them in turn, until there are no more. How many there are. A step that is far beyond the
 * last one is not taken: it would be a whole trial without a fault. */
static uint64_t every(enum moment moment, struct fault f, uint64_t step)
{
    for (f.nth = 1; one_fault(moment, &f); f.nth += step)
        if (step > 1 && f.nth + step > 2 * calls_in_peace(moment, f.call, f.where) + 2)
            return f.nth + step - 1;
    return f.nth - 1;
}

/* ---- syncs ---- */

static void a_sync_of_the_log_that_fails_latches_the_store(void **state)
{
    struct fault f = { .call = CALL_SYNC, .where = IN_LOG, .times = 1, .code = UV_EIO };
    uint64_t n;

    (void)state;
    n = every(RUNNING, f, step_of(1));
    f.times = UINT64_MAX;
    every(RUNNING, f, step_of(1));
    print_message("%" PRIu64 " syncs\n", n);
    CHECK(n > 3);
}

/* Of so few events the index is synced when the store closes. Nobody is told: the log has it all.
 */
static bool one_fault_closing(const struct fault *f)
{
    struct trial *t = trial_start();
    bool hit;

    snprintf(t->about, sizeof(t->about), "closing, index sync %" PRIu64, f->nth);
    t->seed = f->nth;
    trial_fill(t);
    CHECK_EQ(workload_run(&t->work, &t->box, EVENTS), 0);
    CHECK_EQ(box_settle(&t->box), 0);
    layer_fault(f);
    box_close(&t->box);
    hit = layer_hits() > 0;
    if (hit)
        must(t, layer_calls_after_hit(CALL_SYNC, IN_INDEX) == 0, "no sync may be tried again");
    trial_finish(t);
    return hit;
}

static void a_sync_of_the_index_that_fails_loses_nothing(void **state)
{
    struct fault f = { .call = CALL_SYNC, .where = IN_INDEX, .code = UV_EIO };
    uint64_t n = 0;

    (void)state;
    for (unsigned lasting = 0; lasting < 2; lasting++) {
        f.times = lasting ? UINT64_MAX : 1;
        for (f.nth = 1; one_fault_closing(&f); f.nth++)
            n++;
    }
    print_message("%" PRIu64 " syncs\n", n);
    CHECK(n > 0);
}

static void a_sync_that_fails_as_the_store_opens_is_told(void **state)
{
    struct fault f = { .call = CALL_SYNC, .where = IN_LOG, .times = 1, .code = UV_EIO };

    (void)state;
    CHECK(every(AT_OPENING, f, step_of(1)) > 0);
    f.where = IN_INDEX;
    every(AT_OPENING, f, step_of(1));
    f.times = UINT64_MAX;
    every(AT_OPENING, f, step_of(1));
    f.call = CALL_SYNC_DIR;
    f.where = IN_LOG;
    CHECK(every(AT_OPENING, f, step_of(1)) > 0);
}

/* ---- the log's files, as segments come and go ---- */

static void a_segment_that_cannot_be_made_loses_nothing(void **state)
{
    static const enum call calls[] = { CALL_OPEN,     CALL_ALLOCATE, CALL_RENAME,
                                       CALL_SYNC_DIR, CALL_REMOVE,   CALL_TRUNCATE };
    static const unsigned places[] = { IN_LOG, IN_KEYS };
    static const int codes[] = { UV_EIO, UV_ENOSPC };

    (void)state;
    for (size_t c = 0; c < sizeof(calls) / sizeof(calls[0]); c++)
        for (size_t i = 0; i < 4; i++) {
            struct fault f = {
                .call = calls[c], .where = places[i / 2], .times = 1, .code = codes[i % 2]
            };
            uint64_t n, opening;

            if (step_of(1) > 1 && i != c % 2 && i != 3 - c % 2)
                continue; /* each place with one code */
            n = every(RUNNING, f, step_of(3));
            opening = every(AT_OPENING, f, step_of(5));
            f.times = UINT64_MAX;
            every(RUNNING, f, step_of(11));
            print_message("%s of %s: %" PRIu64 " running, %" PRIu64 " opening\n",
                          call_names[f.call], f.where == IN_LOG ? "segments" : "runs", n, opening);
        }
}

/* Keys are written by the keeper, when it comes to it: on a busy machine the store may be closed
 * before. */
static uint64_t every_by_keeper(struct fault f)
{
    uint64_t n = 0;

    for (int turn = 0; turn < 10 && n <= 1; turn++)
        n = every(RUNNING, f, step_of(3));
    return n;
}

static void a_run_of_keys_that_cannot_be_written_loses_nothing(void **state)
{
    struct fault f = { .call = CALL_WRITE, .where = IN_KEYS, .times = 1, .code = UV_EIO };

    (void)state;
    CHECK(every_by_keeper(f) > 1);
    f.code = UV_ENOSPC;
    f.times = UINT64_MAX;
    every(RUNNING, f, step_of(3));
    f.call = CALL_SYNC;
    f.times = 1;
    f.code = UV_EIO;
    CHECK(every_by_keeper(f) > 1);
}

/* ---- writes ---- */

static void a_write_to_the_log_that_fails_loses_nothing(void **state)
{
    struct fault f = { .call = CALL_WRITE, .where = IN_LOG, .times = 1, .code = UV_EIO };
    uint64_t n;

    (void)state;
    n = every(RUNNING, f, step_of(1));
    f.times = UINT64_MAX;
    every(RUNNING, f, step_of(3));
    print_message("%" PRIu64 " writes\n", n);
    CHECK(n > 3);
}

static void a_full_disk_refuses_and_loses_nothing(void **state)
{
    struct fault f = { .call = CALL_WRITE, .where = IN_LOG, .times = 1, .code = UV_ENOSPC };

    (void)state;
    CHECK(every(RUNNING, f, step_of(1)) > 3);
    f.times = UINT64_MAX;
    every(RUNNING, f, step_of(3));
}

static void a_write_that_fails_half_way_loses_nothing(void **state)
{
    static const size_t bytes[] = { 1, 31, 100, 512, 5000 };
    struct fault f = { .kind = FAULT_PARTIAL, .call = CALL_WRITE, .where = IN_LOG, .times = 1 };

    (void)state;
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
        f.bytes = bytes[i];
        f.code = i % 2 ? UV_EIO : UV_ENOSPC;
        every(RUNNING, f, step_of(4));
    }
}

static void short_writes_are_written_on(void **state)
{
    static const size_t bytes[] = { 1, 7, 32, 511, 512, 513, 4096 };
    struct fault f = { .kind = FAULT_SHORT, .call = CALL_WRITE, .where = IN_LOG, .nth = 1 };

    (void)state;
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
        struct trial *t = trial_start();

        snprintf(t->about, sizeof(t->about), "writes of %zu bytes", bytes[i]);
        trial_fill(t);
        f.bytes = bytes[i];
        f.times = bytes[i] < 32 ? 300 : UINT64_MAX;
        play(t, RUNNING, &f);
        must(t, t->worked == 0 && !box_stats(&t->box).failed, "a short write is no failure");
        trial_finish(t);
    }
}

static void a_write_to_the_index_that_fails_loses_nothing(void **state)
{
    struct fault f = { .call = CALL_WRITE, .where = IN_INDEX, .times = 1, .code = UV_EIO };

    (void)state;
    CHECK(every(RUNNING, f, step_of(5)) > 3);
    f.code = UV_ENOSPC;
    every(RUNNING, f, step_of(5));
    f.times = UINT64_MAX;
    every(RUNNING, f, step_of(17));
    every(AT_OPENING, f, step_of(17));
}

/* ---- reading ---- */

static void on_event(void *ctx, int status, const struct store_event *e)
{
    struct trial *t = ctx;

    (void)e;
    t->box.status = status;
    t->box.done = true;
}

static int ask_event(struct trial *t, uint64_t id)
{
    int r;

    t->box.done = false;
    r = store_event_get(t->box.s, id, on_event, t);
    if (r < 0)
        return r;
    box_wait(&t->box);
    return t->box.status;
}

/* Which of the first events' bodies cannot be had; all others can. */
static unsigned unreadable(struct trial *t, uint64_t *ret_id, int *ret_code)
{
    unsigned n = 0;

    for (size_t i = 0; i < t->history.n; i++) {
        int r;

        if (t->history.at[i].type != REC_RECEIPT)
            continue;
        r = ask_event(t, i + 1);
        if (r == 0)
            continue;
        n++;
        *ret_id = i + 1;
        *ret_code = r;
    }
    return n;
}

static void a_read_that_fails_costs_one_answer(void **state)
{
    struct fault f = { .call = CALL_READ, .where = IN_LOG, .times = 1, .code = UV_EIO };

    (void)state;
    for (unsigned flip = 0; flip < 2; flip++) {
        struct trial *t = trial_start();

        trial_fill(t);
        box_close(&t->box);
        CHECK_EQ(box_open(&t->box), 0); /* nothing of it is in memory */
        f.kind = flip ? FAULT_FLIP : FAULT_CODE;
        for (f.nth = 1;; f.nth += 2) {
            uint64_t id = 0;
            int code = 0;
            unsigned n;

            layer_fault(&f);
            n = unreadable(t, &id, &code);
            snprintf(t->about, sizeof(t->about), "%s in read %" PRIu64, flip ? "a bit" : "EIO",
                     f.nth);
            if (n)
                must(t, code == UV_EILSEQ, "a record that cannot be read must say so");
            must(t, n <= 2, "the others must be answered");
            must(t, !box_stats(&t->box).failed, "one record must not fail the store");
            if (layer_hits() == 0)
                break;
        }
        layer_fault(NULL);
        CHECK(f.nth > 5);
        CHECK_EQ(append_one(t, 1, false), 0);
        trial_finish(t);
    }
}

/* ---- a full disk as a sender and an operator meet it ---- */

static void a_store_on_a_full_disk_recovers_when_there_is_room(void **state)
{
    struct fault f = { .call = CALL_WRITE,
                       .where = IN_LOG | IN_INDEX,
                       .nth = 1,
                       .times = UINT64_MAX,
                       .code = UV_ENOSPC };
    struct trial *t = trial_start();
    uint64_t until;

    (void)state;
    trial_fill(t);
    CHECK_EQ(box_settle(&t->box), 0);
    layer_fault(&f);
    CHECK_EQ(append_one(t, 1, false), UV_ENOSPC);
    CHECK(box_stats(&t->box).disk_low);
    CHECK_EQ(append_one(t, 2, false), UV_ENOSPC);
    CHECK_EQ(append_one(t, 3, true), UV_ENOSPC);
    CHECK_EQ(ask_event(t, 1), 0); /* reads go on */
    CHECK(!box_stats(&t->box).failed);
    layer_fault(NULL);
    CHECK_EQ(append_one(t, 4, true), 0);
    until = uv_hrtime() + 60 * UINT64_C(1000000000);
    while (box_stats(&t->box).disk_low && uv_hrtime() < until)
        uv_sleep(20);
    CHECK_EQ(append_one(t, 5, false), 0);
    CHECK_EQ(workload_run(&t->work, &t->box, EVENTS), 0);
    CHECK_EQ(box_settle(&t->box), 0);
    trial_finish(t);
}

/* ---- slow ---- */

struct flood {
    struct store_append a[400];
    struct store_record rec[400];
    struct trial *t;
    uint32_t token;
    unsigned sent, answered;
};

static struct flood flood;

static void on_flood(struct store_append *a, int status)
{
    CHECK_EQ(status, 0);
    history_add(&flood.t->history, a, flood.token + (uint32_t)(a - flood.a), journal_at());
    store_append_finish(a);
    flood.t->box.done = ++flood.answered == flood.sent;
}

/* Receipts until the queue is full, small ones at the end: then no other has room. */
static void flood_store(struct trial *t)
{
    unsigned big = 900;

    flood = (struct flood){ .t = t, .token = t->work.next_token };
    for (unsigned i = 0; i < 400; i++) {
        int r;

        flood.rec[i] = make_receipt("flood", i, flood.token + i, big);
        flood.a[i] = (struct store_append){ .records = &flood.rec[i], .n = 1, .cb = on_flood };
        r = store_append(t->box.s, &flood.a[i], false);
        if (r < 0) {
            CHECK_EQ(r, UV_ENOBUFS);
            store_append_finish(&flood.a[i]);
            if (!big)
                break;
            big = 0;
            i--;
            continue;
        }
        flood.sent++;
    }
    t->work.next_token += flood.sent;
    CHECK(flood.sent > 20 && flood.sent < 400);
}

static void a_sync_that_hangs_holds_up_no_question_and_fills_the_queue_only(void **state)
{
    struct fault f = {
        .kind = FAULT_HANG, .call = CALL_SYNC, .where = IN_LOG, .nth = 1, .times = 1
    };
    struct trial *t = trial_start();

    (void)state;
    t->box.conf.max_queue_bytes = 64 << 10;
    trial_fill(t);
    CHECK_EQ(box_settle(&t->box), 0);
    layer_fault(&f);
    flood_store(t);
    CHECK_EQ(ask_event(t, 1), 0); /* publishes as well */
    layer_wait_hang();
    for (unsigned i = 0; i < 20; i++)
        CHECK_EQ(ask_event(t, 1), 0);
    CHECK_EQ(flood.answered, 0);
    CHECK_EQ(append_one(t, 9, false), UV_ENOBUFS);
    layer_release();
    t->box.done = false;
    box_wait(&t->box);
    CHECK_EQ(flood.answered, flood.sent);
    CHECK_EQ(append_one(t, 9, false), 0);
    trial_finish(t);
}

static void a_slow_sync_slows_only_the_acknowledgement(void **state)
{
    struct fault f = {
        .kind = FAULT_SLOW, .call = CALL_SYNC, .where = IN_LOG, .nth = 1, .times = 3, .ms = 200
    };
    struct trial *t = trial_start();

    (void)state;
    trial_fill(t);
    play(t, RUNNING, &f);
    must(t, t->hit && t->worked == 0, "slow is no failure");
    CHECK(box_stats(&t->box).commit_us_max >= 200000);
    trial_finish(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sync_of_the_log_that_fails_latches_the_store),
        cmocka_unit_test(a_sync_of_the_index_that_fails_loses_nothing),
        cmocka_unit_test(a_sync_that_fails_as_the_store_opens_is_told),
        cmocka_unit_test(a_segment_that_cannot_be_made_loses_nothing),
        cmocka_unit_test(a_run_of_keys_that_cannot_be_written_loses_nothing),
        cmocka_unit_test(a_write_to_the_log_that_fails_loses_nothing),
        cmocka_unit_test(a_full_disk_refuses_and_loses_nothing),
        cmocka_unit_test(a_write_that_fails_half_way_loses_nothing),
        cmocka_unit_test(short_writes_are_written_on),
        cmocka_unit_test(a_write_to_the_index_that_fails_loses_nothing),
        cmocka_unit_test(a_read_that_fails_costs_one_answer),
        cmocka_unit_test(a_store_on_a_full_disk_recovers_when_there_is_room),
        cmocka_unit_test(a_sync_that_hangs_holds_up_no_question_and_fills_the_queue_only),
        cmocka_unit_test(a_slow_sync_slows_only_the_acknowledgement),
    };

    const char *only = getenv("SLUICE_TEST"); /* NULL: all */

#ifdef ROUNDS_TSAN
    if (!only && !getenv("SLUICE_LONG"))
        only =
            "*sync*"; /* where its threads wait for each other; the rest is what the files hold */
#endif
    layer_install();
    cmocka_set_test_filter(only);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
