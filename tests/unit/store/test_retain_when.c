/*
 * test_retain_when.c - when a segment goes: not before it may, whatever the clock says; and a real
 * store that lives with it.
 */
#include "retain_box.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "store/check.h"
#include "store/disk.h"

/* ---- the log ---- */

static void no_segment_goes_that_a_backup_holds(void **state)
{
    struct box b;

    (void)state;
    box_start(&b);
    box_fill(&b, 4);
    box_apply(&b);
    b.wall = T0 + 3 * b.step_ms + KEEP;
    reclog_hold(b.l, true);
    box_pass(&b, HOUR);
    CHECK_EQ(b.l->n_segments, 4);
    CHECK_EQ(b.l->segments[0].number, 1);
    reclog_hold(b.l, false);
    box_keeper(&b);
    box_pass(&b, HOUR);
    CHECK_EQ(b.l->n_segments, 1);
    box_finish(&b);
}

static void no_segment_goes_that_the_index_has_not_applied(void **state)
{
    struct box b;

    (void)state;
    box_start(&b);
    box_fill(&b, 2);
    box_apply(&b);
    box_fill(&b, 5);
    b.wall = T0 + 9 * b.step_ms + KEEP;
    box_pass(&b, HOUR);
    CHECK_EQ(b.l->segments[0].number, 2);
    box_apply(&b);
    box_pass(&b, HOUR);
    CHECK_EQ(b.l->segments[0].number, 5);
    box_finish(&b);
}

/* What the index says must be on the disk before the log forgets it: a power cut takes back what
 * is not. */
static void no_segment_goes_before_the_index_is_on_the_disk(void **state)
{
    sqlite3_stmt *st = NULL;
    struct fail fail = { 0 };
    char path[128];
    sqlite3 *db;
    struct box b;

    (void)state;
    box_start(&b);
    rig_path(&b.rig, "sluice.db", path);
    box_fill(&b, 3);
    box_apply(&b);
    CHECK_EQ(sql_open(&db, path, SQL_READER, false, &fail), 0);
    CHECK_EQ(sql_exec(db, "BEGIN"), 0);
    CHECK_EQ(sql_prepare(db, &st, "SELECT count(*) FROM events"), 0);
    CHECK_EQ(sql_row(st), 1); /* it holds the checkpoint back */
    b.wall = T0 + 2 * b.step_ms + KEEP;
    box_pass(&b, HOUR);
    CHECK(index_kept_from(b.ix) > b.l->segments[0].last);
    CHECK_EQ(b.l->n_segments, 3);
    sqlite3_finalize(st);
    sqlite3_close(db);
    box_pass(&b, HOUR);
    CHECK_EQ(b.l->n_segments, 1);
    box_finish(&b);
}

static void a_receipt_that_cannot_be_read_holds_nothing_up(void **state)
{
    uint64_t id;
    struct box b;

    (void)state;
    box_start(&b);
    id = box_order(&b, "dead", DS_DEAD);
    box_fill(&b, 3);
    box_apply(&b);
    CHECK_EQ(sql_exec(b.ix->db, "UPDATE events SET pos = pos + 8 WHERE id = 1"), 0);
    b.wall = T0 + 2 * b.step_ms + KEEP;
    box_pass(&b, HOUR);
    CHECK_EQ(b.l->n_segments, 1);
    CHECK_EQ(id, 1);
    CHECK_EQ(ask_event(&b, id), UV_EILSEQ);
    CHECK_EQ(all_rows(&b, id), 8);
    box_finish(&b);
}

static bool lists(struct box *b, bool waiting, uint64_t id, uint64_t after)
{
    struct query q = { .type = QUERY_UNROUTED, .waiting = waiting, .after = after, .limit = 10 };
    bool found;

    index_answer(b->ix, &q);
    CHECK_EQ(q.status, 0);
    CHECK(q.n <= 1);
    found = q.n == 1 && q.nums[0] == id;
    free(q.nums);
    arena_finish(&q.arena);
    return found;
}

static bool report_says(struct box *b, uint64_t id, const char *what)
{
    struct query q = { .type = QUERY_REPORT, .what = REPORT_EVENT, .filter = { .id = id } };
    bool says;

    index_answer(b->ix, &q);
    CHECK_EQ(q.status, 0);
    says = strstr(q.json, what) != NULL;
    free(q.json);
    arena_finish(&q.arena);
    return says;
}

/* It is named, passed over and called damaged, not late: there is nothing to ask for again. */
static void what_was_lost_unrouted_is_told_apart_from_what_can_be_had(void **state)
{
    struct rec_ref wait = { STR("byron"), STR("po"), STR("none") };
    uint64_t unrouted, waits;
    struct box b;

    (void)state;
    box_start(&b);
    unrouted = box_event(&b, "unrouted");
    waits = box_event(&b, "waits");
    box_put(
        &b,
        encoded(REC_ROUTED, &(struct rec_routed){ .event = waits, .waits = &wait, .n_waits = 1 }),
        NULL);
    box_fill(&b, 3);
    box_apply(&b);
    CHECK_EQ(sql_exec(b.ix->db, "UPDATE events SET pos = pos + 8 WHERE id <= 2"), 0);
    CHECK(report_says(&b, unrouted, "see sluice db check"));
    b.wall = T0 + 2 * b.step_ms + KEEP;
    box_pass(&b, HOUR);
    CHECK_EQ(b.l->n_segments, 1);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(ask_event(&b, unrouted), UV_EILSEQ);
        CHECK_EQ(ask_event(&b, waits), UV_EILSEQ);
        CHECK(report_says(&b, unrouted, "damaged on disk when old events went"));
        CHECK(report_says(&b, waits, "damaged on disk when old events went"));
        CHECK(lists(&b, false, unrouted, 0));
        CHECK(lists(&b, true, waits, 0));
        CHECK(!lists(&b, false, unrouted, unrouted));
        CHECK_EQ(box_count(&b, "SELECT count(*) FROM receipts WHERE length(payload) = 0"), 2);
        box_kill(&b);
        box_pass(&b, 3 * HOUR); /* a round among it */
    }
    box_finish(&b);
}

/* ---- a disk that does not give what it has ---- */

static int disk_says; /* to the next `disk_times` calls */
static unsigned disk_times;

static int open_or_not(const char *path, int flags)
{
    if (!disk_times || disk_says == UV_EIO)
        return disk_system.open(path, flags);
    disk_times--;
    return disk_says;
}

static ssize_t read_or_not(int fd, void *p, size_t n, uint64_t at)
{
    if (!disk_times || disk_says != UV_EIO)
        return disk_system.read(fd, p, n, at);
    disk_times--;
    return UV_EIO;
}

/* The status of the event after steps that the disk says that to, `times` times. */
static int kept_after(int says, unsigned times)
{
    struct disk disk = disk_system;
    unsigned failed = 0;
    struct box b;
    int r;

    disk.open = open_or_not;
    disk.read = read_or_not;
    box_start(&b);
    box_order(&b, "dead", DS_DEAD);
    box_fill(&b, 3);
    box_apply(&b);
    b.wall = T0 + b.step_ms + KEEP;
    b.mono += HOUR;
    disk_says = says;
    disk_times = times;
    store_disk = &disk;
    while (index_kept_from(b.ix) < 2) {
        CHECK(failed < 20);
        r = retain_step(&b.retain, b.wall, b.mono);
        CHECK(r != UV_EIO); /* which would be the store's end */
        failed += r < 0;
        if (r < 0)
            CHECK_EQ(retain_due_ms(&b.retain, b.mono), 1000);
        b.mono += 1000;
    }
    store_disk = &disk_system;
    CHECK(failed == times || says == UV_EIO);
    CHECK(failed > 0);
    box_keeper(&b);
    box_pass(&b, HOUR / 2);
    CHECK_EQ(b.l->segments[0].number, 2);
    r = ask_event(&b, 1);
    if (r == 0)
        CHECK_VIEW(b.q.event.receipt.sender_id, "dead");
    box_finish(&b);
    return r;
}

static void a_receipt_that_cannot_be_read_now_is_read_later(void **state)
{
    (void)state;
    CHECK_EQ(kept_after(UV_EMFILE, 5), 0);
    CHECK_EQ(kept_after(UV_ENFILE, 1), 0);
    CHECK_EQ(kept_after(UV_EACCES, 12), 0);
    CHECK_EQ(kept_after(UV_EIO, 1), 0);
    CHECK_EQ(kept_after(UV_EIO, 2), 0);
    CHECK_EQ(kept_after(UV_EIO, UINT32_MAX), UV_EILSEQ);
}

/* ---- clocks ---- */

static void a_clock_a_year_ahead_costs_a_day_an_hour(void **state)
{
    uint64_t was;
    struct box b;

    (void)state;
    box_start(&b);
    b.step_ms = 6 * HOUR;
    box_fill(&b, 24);
    box_apply(&b);
    b.wall = T0 + 6 * DAY; /* nothing is old */
    box_pass(&b, 8 * HOUR);
    CHECK_EQ(b.l->segments[0].number, 1);
    b.wall += 365 * DAY;
    b.retain.may_ms = 0;
    box_pass(&b, HOUR);
    was = b.l->segments[0].number;
    CHECK(was >= 4 && was <= 5); /* a day of it, of five and a half */
    b.wall -= 365 * DAY;
    box_pass(&b, 8 * HOUR);
    CHECK_EQ(b.l->segments[0].number, was);
    box_finish(&b);
}

static void a_restart_grants_nothing_to_a_clock_that_is_ahead(void **state)
{
    struct box b;

    (void)state;
    box_start(&b);
    b.step_ms = 6 * HOUR;
    box_fill(&b, 24);
    box_apply(&b);
    for (int i = 0; i < 20; i++) {
        b.wall = T0 + 365 * DAY;
        box_kill(&b);
        box_pass(&b, HOUR / 60);
    }
    CHECK(b.l->segments[0].number <= 3);
    box_finish(&b);
}

static void a_clock_that_is_behind_lets_nothing_go(void **state)
{
    struct box b;

    (void)state;
    box_start(&b);
    box_fill(&b, 4);
    box_apply(&b);
    b.wall = 0;
    box_pass(&b, 2 * DAY);
    CHECK_EQ(b.l->n_segments, 4);
    CHECK_EQ(box_count(&b, "SELECT kept_from FROM position"), 0);
    box_finish(&b);
}

/* Half of it has gone: the other half waits until there is a time again. */
static void a_clock_set_back_stops_what_has_begun(void **state)
{
    uint64_t from;
    int64_t rows;
    struct box b;

    (void)state;
    box_start(&b);
    for (int i = 0; i < 70; i++)
        box_put(&b, receipt("acme", "t", NULL, "{}"), NULL);
    for (int i = 0; i < 100; i++)
        box_routed(&b, box_put(&b, receipt("acme", "t", NULL, "{}"), NULL), NULL, 0);
    box_fill(&b, 3);
    box_apply(&b);
    b.wall = T0 + 2 * b.step_ms + KEEP;
    b.mono += HOUR;
    while ((from = index_kept_from(b.ix)) < 2)
        CHECK_EQ(retain_step(&b.retain, b.wall, b.mono), 0);
    CHECK(from < b.l->segments[0].last);
    rows = box_count(&b, "SELECT count(*) FROM events");
    b.wall = 0;
    box_pass(&b, HOUR / 2);
    CHECK_EQ(index_kept_from(b.ix), from);
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM events"), rows);
    b.wall = T0 + 2 * b.step_ms + KEEP;
    box_pass(&b, HOUR / 2);
    CHECK(b.l->segments[0].number >= 2);
    check_counts(&b);
    box_finish(&b);
}

static void a_time_to_come_in_the_log_does_not_stop_it_for_ever(void **state)
{
    struct box b;

    (void)state;
    box_start(&b);
    box_fill(&b, 6);
    box_apply(&b);
    b.l->segments[1].begun_ms += 365 * DAY; /* a clock was wrong for two segments */
    b.l->segments[2].begun_ms += 365 * DAY;
    b.wall = T0 + 2 * b.step_ms + KEEP;
    box_pass(&b, HOUR / 2);
    CHECK_EQ(b.l->n_segments, 6); /* the fourth is not old: nor are they, for all it can tell */
    b.wall = T0 + 5 * b.step_ms + KEEP;
    box_pass(&b, DAY);
    CHECK_EQ(b.l->n_segments, 1);
    box_finish(&b);
}

/* ---- a real store ---- */

static void no_check_finds_anything(struct rig *rig)
{
    struct check_report report;
    struct fail fail = { 0 };

    CHECK_EQ(store_check(rig->dir, &report, &fail), 0);
    for (size_t i = 0; i < report.n; i++)
        print_error("%s: %s\n", report.findings[i].file, report.findings[i].what);
    CHECK_EQ(report.n, 0);
    CHECK(report.first > 1);
    check_report_finish(&report);
}

static struct store_stats stats_of(struct rig *rig)
{
    struct store_stats st;

    store_stats(rig->s, &st);
    return st;
}

/* A store that keeps nothing, in use until so many records have gone. The dead letter's event. */
static uint64_t use_up(struct rig *rig, uint64_t gone)
{
    char body[2000] = "";
    struct rec_delivery d;
    uint64_t dead, batch;

    memset(body, 'x', sizeof(body) - 1);
    rig->conf.segment_bytes = 64u << 10;
    rig->conf.keep_ms = 1;
    rig_must_open(rig);
    dead = rig_receipt(rig, "acme", "orders/paid", "the dead one", "{\"id\":1}");
    d = delivery(dead, 0, "byron");
    rig_routed(rig, dead, &d, 1);
    batch = rig_sent(rig, &d.num, 1, 1);
    rig_move(rig, (struct rec_move){ .num = d.num, .state = DS_DEAD, .burnt = 1, .attempt = 1 },
             batch);
    for (unsigned i = 0; i < 200000 && stats_of(rig).first_seq <= gone; i++)
        rig_routed(rig, rig_receipt(rig, "acme", "orders/paid", NULL, body), NULL, 0);
    CHECK(stats_of(rig).first_seq > gone);
    return dead;
}

static void a_store_in_use_lets_old_events_go_and_stays_whole(void **state)
{
    struct rig rig;
    uint64_t dead, first;

    (void)state;
    rig_start(&rig);
    dead = use_up(&rig, 400);
    CHECK_EQ(rig_event(&rig, dead), 0);
    CHECK_STR(rig.body.data, "{\"id\":1}");
    CHECK_EQ(rig_event(&rig, dead + 4), UV_ENOENT);
    first = stats_of(&rig).first_seq;
    rig_close(&rig);
    no_check_finds_anything(&rig);
    rig_must_open(&rig);
    CHECK(stats_of(&rig).first_seq >= first);
    CHECK_EQ(rig_event(&rig, dead), 0);
    CHECK_STR(rig.body.data, "{\"id\":1}");
    CHECK_EQ(rig_get(&rig, delivery_num(dead, 0)), 0);
    rig_finish(&rig);
}

static void a_lost_index_is_named_with_what_it_knew_and_can_be_begun_anew(void **state)
{
    static const char *const files[] = { "sluice.db", "sluice.db-wal", "sluice.db-shm" };
    struct check_report report;
    struct fail fail = { 0 };
    struct rig rig;
    uint64_t dead, last;
    char path[128];

    (void)state;
    rig_start(&rig);
    dead = use_up(&rig, 100);
    rig_close(&rig);
    for (size_t i = 0; i < 3; i++) {
        rig_path(&rig, files[i], path);
        unlink(path);
    }
    CHECK_EQ(rig_open(&rig), UV_EINVAL);
    CHECK(strstr(rig.fail.text, "sluice db repair") != NULL);
    CHECK(strstr(rig.fail.text, "restore") != NULL);
    CHECK_EQ(store_check(rig.dir, &report, &fail), 0);
    CHECK_EQ(report.n, 1);
    check_report_finish(&report);
    CHECK_EQ(store_repair(rig.dir, &report, &fail), 0);
    CHECK_EQ(report.n, 1);
    CHECK(strstr(report.findings[0].done, "lost") != NULL);
    check_report_finish(&report);
    no_check_finds_anything(&rig);
    rig.conf.keep_ms = DAY;
    rig_must_open(&rig);
    last = stats_of(&rig).log_seq;
    CHECK_EQ(rig_event(&rig, last - 1), 0);
    CHECK_EQ(rig_event(&rig, dead), UV_ENOENT);
    rig_finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_segment_goes_that_a_backup_holds),
        cmocka_unit_test(no_segment_goes_that_the_index_has_not_applied),
        cmocka_unit_test(no_segment_goes_before_the_index_is_on_the_disk),
        cmocka_unit_test(a_receipt_that_cannot_be_read_holds_nothing_up),
        cmocka_unit_test(what_was_lost_unrouted_is_told_apart_from_what_can_be_had),
        cmocka_unit_test(a_receipt_that_cannot_be_read_now_is_read_later),
        cmocka_unit_test(a_clock_a_year_ahead_costs_a_day_an_hour),
        cmocka_unit_test(a_restart_grants_nothing_to_a_clock_that_is_ahead),
        cmocka_unit_test(a_clock_that_is_behind_lets_nothing_go),
        cmocka_unit_test(a_clock_set_back_stops_what_has_begun),
        cmocka_unit_test(a_time_to_come_in_the_log_does_not_stop_it_for_ever),
        cmocka_unit_test(a_store_in_use_lets_old_events_go_and_stays_whole),
        cmocka_unit_test(a_lost_index_is_named_with_what_it_knew_and_can_be_begun_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
