/*
 * test_retain.c - of old events what is needed stays and the rest goes, in slices, wherever they
 * are cut.
 */
#include "retain_box.h"

#include <stdlib.h>
#include <string.h>
#include "store/check.h"
#include "torture.h"

/* Every statement goes by a key: a scan would cost as much as the store is large. */
static void no_statement_reads_a_whole_table(void **state)
{
    struct index_round round = { .event = 1 };
    struct box b;

    (void)state;
    box_start(&b);
    CHECK_EQ(index_retain_round(b.ix, &round, 0), 0);
    for (int i = 0; i < RETAIN__COUNT; i++) {
        sqlite3_stmt *st = NULL;
        struct buf sql = { 0 };

        buf_printf(&sql, "EXPLAIN QUERY PLAN %s", sqlite3_sql(b.ix->retain[i]));
        CHECK_EQ(sql_prepare(b.ix->db, &st, sql.data), 0);
        while (sql_row(st) > 0) {
            const char *step = (const char *)sqlite3_column_text(st, 3);

            if (strncmp(step, "SCAN", 4) == 0)
                fail_msg("%s: %s", sqlite3_sql(b.ix->retain[i]), step);
        }
        sqlite3_finalize(st);
        buf_finish(&sql);
    }
    box_finish(&b);
}

/* ---- what stays ---- */

static void what_is_still_needed_stays_when_its_segment_goes(void **state)
{
    static const struct {
        const char *name;
        int state;
        bool stays;
    } orders[] = {
        { "delivered", DS_DELIVERED, false },
        { "dead", DS_DEAD, true },
        { "held", DS_HELD, true },
        { "inflight", DS_INFLIGHT, true },
        { "unknown", DS_UNKNOWN, true },
        { "waiting", DS_WAITING, true },
        { "ready", DS_READY, true },
        { "discarded", DS_DISCARDED, false },
        { "superseded", DS_SUPERSEDED, false },
    };
    enum { N = sizeof(orders) / sizeof(orders[0]) };
    struct rec_ref wait = { STR("byron"), STR("po"), STR("none") };
    uint64_t id[N], unrouted, waits, alone;
    struct box b;

    (void)state;
    box_start(&b);
    for (size_t i = 0; i < N; i++)
        id[i] = box_order(&b, orders[i].name, orders[i].state);
    unrouted = box_event(&b, "unrouted");
    waits = box_event(&b, "waits");
    box_put(
        &b,
        encoded(REC_ROUTED, &(struct rec_routed){ .event = waits, .waits = &wait, .n_waits = 1 }),
        NULL);
    alone = box_event(&b, "alone");
    box_routed(&b, alone, NULL, 0);
    CHECK_EQ(b.l->n_segments, 1);
    box_fill(&b, 4);
    box_apply(&b);
    check_counts(&b);
    b.wall = T0 + b.step_ms + KEEP;
    box_pass(&b, 2 * HOUR);
    CHECK_EQ(reclog_first(b.l), b.retain.retired);
    CHECK(reclog_first(b.l) > alone);
    for (size_t i = 0; i < N; i++) {
        CHECK_EQ(all_rows(&b, id[i]) > 0, orders[i].stays);
        CHECK_EQ(ask_event(&b, id[i]), orders[i].stays ? 0 : UV_ENOENT);
        if (orders[i].stays) {
            CHECK_EQ(b.q.event.n_deliveries, 1);
            CHECK_EQ(memcmp(b.q.event.receipt.body.ptr, orders[i].name, strlen(orders[i].name)), 0);
            CHECK_EQ(b.q.event.receipt.body.len, 2999);
            CHECK_VIEW(b.q.event.receipt.sender_id, orders[i].name);
        }
    }
    CHECK_EQ(ask_event(&b, unrouted), 0);
    CHECK_EQ(ask_event(&b, waits), 0);
    CHECK_EQ(rows_of(&b, "waits", "event", waits, waits), 1);
    CHECK_EQ(all_rows(&b, alone), 0);
    CHECK(!has_link(&b, "delivered"));
    CHECK(has_link(&b, "dead"));
    /* of the batches only the one that is under way */
    CHECK_EQ(rows_of(&b, "batches", "id", 0, b.retain.retired - 1), 1);
    CHECK_EQ(rows_of(&b, "batches", "id", id[3], id[4]), 1);
    check_counts(&b);
    box_finish(&b);
}

static void what_is_young_stays_whole(void **state)
{
    uint64_t id;
    struct box b;

    (void)state;
    box_start(&b);
    box_fill(&b, 3);
    id = box_order(&b, "young", DS_DELIVERED);
    box_fill(&b, 5);
    box_apply(&b);
    b.wall = T0 + b.step_ms + KEEP;
    box_pass(&b, b.step_ms / 2);
    CHECK_EQ(reclog_first(b.l), b.l->segments[0].first);
    CHECK_EQ(b.l->segments[0].number, 2);
    CHECK_EQ(index_kept_from(b.ix), reclog_first(b.l));
    CHECK_EQ(all_rows(&b, id), 8);
    CHECK(has_link(&b, "young"));
    CHECK_EQ(box_count(&b, "SELECT min(id) FROM events"), index_kept_from(b.ix));
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM receipts"), 0);
    check_counts(&b);
    box_finish(&b);
}

static void duplicates_go_with_the_rest_and_are_no_longer_refused(void **state)
{
    struct store_record again;
    bool refused;
    uint64_t id, dup;
    struct box b;

    (void)state;
    box_start(&b);
    id = box_event(&b, "one");
    again = receipt("acme", "orders/paid", "one", "{}");
    rec_duplicate_encode(&again.duplicate, &(struct rec_duplicate){ .received_ms = T0 });
    dup = box_put(&b, again, &refused);
    CHECK(refused);
    box_routed(&b, id, NULL, 0);
    box_put(&b,
            encoded(REC_ROUTED,
                    &(struct rec_routed){ .event = box_event(&b, "same"), .duplicate_of = id }),
            NULL);
    box_fill(&b, 3);
    box_apply(&b);
    check_counts(&b);
    CHECK_EQ(b.ix->now.same_id, 1);
    CHECK_EQ(b.ix->now.same_event, 1);
    b.wall = T0 + b.step_ms + KEEP;
    box_pass(&b, HOUR / 2);
    CHECK_EQ(b.l->segments[0].number, 2);
    CHECK_EQ(rows_of(&b, "events", "id", id, dup), 0);
    CHECK_EQ(b.ix->now.same_id, 0);
    CHECK_EQ(b.ix->now.same_event, 0);
    check_counts(&b);
    box_put(&b, receipt("acme", "orders/paid", "one", "{}"), &refused);
    CHECK(!refused);
    box_finish(&b);
}

/* ---- links ---- */

static void a_link_stays_as_long_as_the_record_that_wrote_it_last(void **state)
{
    struct box b;
    uint64_t id;

    (void)state;
    box_start(&b);
    id = box_order(&b, "once", DS_DELIVERED);
    box_order(&b, "again", DS_DELIVERED);
    box_fill(&b, 4);
    box_moved(&b, delivery_num(id, 0), DS_DELIVERED, 0, T0 + 3 * b.step_ms + HOUR / 2, "again");
    box_fill(&b, 6);
    box_apply(&b);
    b.wall = T0 + b.step_ms + KEEP;
    box_pass(&b, 2 * HOUR); /* a round among it */
    CHECK(b.l->segments[0].number >= 2 && b.l->segments[0].number < 4);
    CHECK(!has_link(&b, "once"));
    CHECK(has_link(&b, "again"));
    box_pass(&b, 4 * HOUR);
    CHECK_EQ(b.l->n_segments, 1);
    CHECK(!has_link(&b, "again"));
    box_finish(&b);
}

/* ---- what stayed, later ---- */

static void what_stayed_goes_when_its_last_move_is_as_old(void **state)
{
    uint64_t dead, other, num;
    struct box b;

    (void)state;
    box_start(&b);
    dead = box_order(&b, "dead", DS_DEAD);
    other = box_order(&b, "other", DS_DEAD);
    num = delivery_num(dead, 0);
    box_fill(&b, 4);
    box_apply(&b);
    b.wall = T0 + 3 * b.step_ms + KEEP;
    box_pass(&b, 3 * HOUR);
    CHECK_EQ(b.l->n_segments, 1);
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM receipts"), 2);
    box_moved(&b, num, DS_DISCARDED, 0, T0 + 3 * b.step_ms + HOUR / 2, "");
    box_apply(&b);
    box_pass(&b, 3 * HOUR); /* the segment that says so is kept */
    CHECK_EQ(ask_event(&b, dead), 0);
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM receipts"), 2);
    box_fill(&b, 3);
    box_apply(&b);
    box_pass(&b, 8 * HOUR);
    CHECK_EQ(b.l->n_segments, 1);
    CHECK_EQ(ask_event(&b, dead), UV_ENOENT);
    CHECK_EQ(all_rows(&b, dead), 0);
    CHECK(!has_link(&b, "dead"));
    CHECK_EQ(ask_event(&b, other), 0);
    CHECK(has_link(&b, "other"));
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM receipts"), 1);
    check_counts(&b);
    box_finish(&b);
}

static void a_batch_that_was_under_way_goes_with_its_deliveries(void **state)
{
    uint64_t id, batch;
    struct box b;

    (void)state;
    box_start(&b);
    id = box_order(&b, "flying", DS_INFLIGHT);
    batch = (uint64_t)reclog_last(b.l);
    box_fill(&b, 3);
    box_apply(&b);
    b.wall = T0 + 2 * b.step_ms + KEEP;
    box_pass(&b, 3 * HOUR);
    CHECK_EQ(rows_of(&b, "batches", "id", 0, UINT32_MAX), 1);
    CHECK_EQ(rows_of(&b, "batches", "id", batch, batch), 1);
    box_moved(&b, delivery_num(id, 0), DS_DELIVERED, batch, T0, "");
    box_apply(&b);
    box_pass(&b, 3 * HOUR);
    CHECK_EQ(all_rows(&b, id), 0);
    CHECK_EQ(rows_of(&b, "batches", "id", 0, UINT32_MAX), 0);
    check_counts(&b);
    box_finish(&b);
}

static void what_was_dealt_with_late_stays_a_while_longer(void **state)
{
    uint64_t soon, late;
    struct box b;

    (void)state;
    box_start(&b);
    soon = box_order(&b, "soon", DS_HELD);
    late = box_order(&b, "late", DS_HELD);
    box_moved(&b, delivery_num(soon, 0), DS_DELIVERED, 0, T0 + HOUR, "");
    box_fill(&b, 2);
    box_moved(&b, delivery_num(late, 0), DS_DELIVERED, 0, T0 + 6 * DAY, "");
    b.l->segments[1].begun_ms = T0 + HOUR;
    box_apply(&b);
    b.wall = T0 + HOUR + KEEP;
    box_pass(&b, HOUR / 2);
    CHECK_EQ(b.l->n_segments, 1);
    CHECK_EQ(ask_event(&b, soon), UV_ENOENT);
    CHECK_EQ(ask_event(&b, late), 0);
    box_finish(&b);
}

/* ---- slices ---- */

static void a_slice_has_at_most_256_rows_whatever_an_event_has(void **state)
{
    enum { DELIVERIES = 600, MOVES = 900, BATCHES = 700 };
    struct rec_delivery *d = calloc(DELIVERIES, sizeof(*d));
    int before, changes, most = 0, slices = 0;
    uint64_t id;
    struct box b;

    (void)state;
    box_start(&b);
    id = box_event(&b, "large");
    for (unsigned i = 0; i < DELIVERIES; i++)
        d[i] = delivery(id, i, "byron");
    box_routed(&b, id, d, DELIVERIES);
    for (unsigned i = 0; i < DELIVERIES; i++)
        box_moved(&b, d[i].num, DS_DELIVERED, 0, T0, "");
    for (unsigned i = 0; i < MOVES; i++)
        box_moved(&b, d[7].num, DS_DELIVERED, 0, T0, "");
    for (unsigned i = 0; i < BATCHES; i++)
        box_sent(&b, 1);
    for (unsigned i = 0; i < 700; i++)
        box_routed(&b, box_put(&b, receipt("acme", "t", NULL, "{}"), NULL), NULL, 0);
    b.step_ms = 1;
    box_fill(&b, b.l->n_segments + 1);
    box_apply(&b);
    check_counts(&b);
    b.wall = T0 + HOUR + KEEP;
    for (int n = 0; b.l->n_segments > 1; n++) {
        uint64_t rows = b.ix->retained_rows;

        CHECK(n < 1000);
        before = sqlite3_total_changes(b.ix->db);
        CHECK(retain_step(&b.retain, b.wall, b.mono) >= 0);
        changes = sqlite3_total_changes(b.ix->db) - before;
        CHECK(changes <= 256 + 1 + 4); /* the position, the counts */
        CHECK(b.ix->retained_rows - rows <= 256);
        most = changes > most ? changes : most;
        slices += changes > 0;
        check_counts(&b);
        box_keeper(&b);
        b.mono += 100;
    }
    CHECK(most > 200);
    CHECK(slices > 20);
    CHECK_EQ(all_rows(&b, id), 0);
    CHECK_EQ(rows_of(&b, "batches", "id", 0, reclog_first(b.l) - 1), 0);
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM moves"), 0);
    CHECK_EQ(box_count(&b, "SELECT coalesce(min(id), 1 << 30) FROM events") >=
                 (int)reclog_first(b.l),
             1);
    free(d);
    box_finish(&b);
}

static void no_check_finds_anything(struct box *b)
{
    struct check_report report;
    struct fail fail = { 0 };

    CHECK_EQ(store_check(b->rig.dir, &report, &fail), 0);
    for (size_t i = 0; i < report.n; i++)
        print_error("%s: %s\n", report.findings[i].file, report.findings[i].what);
    CHECK_EQ(report.n, 0);
    CHECK(!report.compared); /* what has gone is missed by nobody */
    check_report_finish(&report);
}

static void a_kill_between_slices_loses_nothing_and_it_goes_on(void **state)
{
    uint64_t dead[40], from, kills = 0;
    char key[32];
    struct box b;

    (void)state;
    box_start(&b);
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof(key), "dead %d", i);
        dead[i] = box_order(&b, key, DS_DEAD);
        for (int n = 0; n < 5; n++) {
            snprintf(key, sizeof(key), "done %d %d", i, n);
            box_order(&b, key, DS_DELIVERED);
        }
    }
    b.step_ms = 1;
    box_fill(&b, b.l->n_segments + 1);
    box_apply(&b);
    b.wall = T0 + HOUR + KEEP;
    while (b.l->n_segments > 1) {
        from = index_kept_from(b.ix);
        b.mono += 1000;
        CHECK(retain_step(&b.retain, b.wall, b.mono) >= 0);
        CHECK(index_kept_from(b.ix) >= from);
        from = index_kept_from(b.ix);
        check_counts(&b);
        for (int i = 0; i < 40; i++)
            CHECK_EQ(ask_event(&b, dead[i]), 0);
        box_kill(&b);
        CHECK_EQ(index_kept_from(b.ix), from);
        if (kills == 2 || kills == 20)
            no_check_finds_anything(&b);
        if (kills++ % 2) { /* so that some wait for each other */
            retain_step(&b.retain, b.wall, b.mono);
            box_keeper(&b);
        }
        CHECK(kills < 2000);
    }
    CHECK(kills > 10);
    for (int i = 0; i < 40; i++) {
        CHECK_EQ(ask_event(&b, dead[i]), 0);
        snprintf(key, sizeof(key), "dead %d", i);
        CHECK_VIEW(b.q.event.receipt.sender_id, key);
    }
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM receipts"), 40);
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM deliveries WHERE state <> 7"), 0);
    check_counts(&b);
    box_finish(&b);
}

/* An event and its routing, which says nothing about anything. */
static void put_bare(struct box *b)
{
    uint64_t id = box_put(b, receipt("acme", "t", NULL, "{}"), NULL);

    box_put(b, encoded(REC_ROUTED, &(struct rec_routed){ .event = id, .at_ms = T0 }), NULL);
}

/* The slices until the first segment has gone; the process ends after each, and a check is made. */
static unsigned check_after_each_slice(struct box *b)
{
    unsigned slices = 0;

    b->step_ms = 1;
    box_fill(b, 2);
    box_apply(b);
    b->wall = T0 + HOUR + KEEP;
    while (b->l->n_segments > 1) {
        b->mono += 1000;
        CHECK(retain_step(&b->retain, b->wall, b->mono) >= 0);
        no_check_finds_anything(b);
        box_keeper(b);
        box_kill(b);
        no_check_finds_anything(b);
        check_counts(b);
        CHECK(++slices < 500);
    }
    return slices;
}

/* 256 rows of events alone; then 32 events with 7 rows each beside their own, which is 256, too. */
static void a_check_after_any_slice_finds_nothing(void **state)
{
    struct box b;

    (void)state;
    box_start(&b);
    for (int i = 0; i < 300; i++)
        put_bare(&b);
    CHECK_EQ(b.l->n_segments, 1);
    CHECK(check_after_each_slice(&b) >= 2);
    box_finish(&b);
    box_start(&b);
    for (int i = 0; i < 32; i++) {
        uint64_t id = box_put(&b, receipt("acme", "t", NULL, "{}"), NULL);
        struct rec_delivery d = delivery(id, 0, "byron");

        box_routed(&b, id, &d, 1);
        box_moved(&b, d.num, DS_DISCARDED, box_sent(&b, d.num), T0, "");
    }
    box_apply(&b);
    CHECK_EQ(all_rows(&b, 1), 8);
    CHECK_EQ(b.l->n_segments, 1);
    CHECK(check_after_each_slice(&b) >= 2);
    box_finish(&b);
}

/* More batches under way than a slice looks at, between one event that goes and the next. */
static void batches_that_stay_do_not_stop_the_slices(void **state)
{
    enum { N = 300 };
    uint64_t id, next;
    struct rec_delivery *d = calloc(N, sizeof(*d));
    int slices = 0;
    struct box b;

    (void)state;
    box_start(&b);
    id = box_event(&b, "flying");
    for (unsigned i = 0; i < N; i++)
        d[i] = delivery(id, i, "byron");
    box_routed(&b, id, d, N);
    put_bare(&b);
    for (unsigned i = 0; i < N; i++)
        box_sent(&b, d[i].num);
    put_bare(&b);
    box_apply(&b);
    next = reclog_last(b.l);
    while (index_retain(b.ix, next, T0 + KEEP, T0 + KEEP) > 0)
        CHECK(++slices < 50);
    CHECK_EQ(index_kept_from(b.ix), next + 1);
    CHECK_EQ(rows_of(&b, "batches", "id", 0, next), N);
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM events"), 1);
    CHECK_EQ(ask_event(&b, id), 0);
    check_counts(&b);
    free(d);
    box_finish(&b);
}

/* Each allocation of a slice fails in turn: it is as if it had not been tried. */
static void a_slice_without_memory_is_tried_again_and_loses_nothing(void **state)
{
    uint64_t dead[12], last, failed = 0;
    int r = 1;
    char key[32];
    struct box b;

    (void)state;
    box_start(&b);
    for (int i = 0; i < 12; i++) {
        snprintf(key, sizeof(key), "dead %d", i);
        dead[i] = box_order(&b, key, DS_DEAD);
        snprintf(key, sizeof(key), "done %d", i);
        box_order(&b, key, DS_DELIVERED);
    }
    box_apply(&b);
    last = reclog_last(b.l);
    for (uint64_t n = 1; r != 0; n++) {
        torture_arm(TORTURE_OWN | TORTURE_SQLITE, n, false);
        r = index_retain(b.ix, last, T0 + KEEP, T0 + KEEP);
        failed += torture_disarm() && r < 0;
        CHECK(r >= 0 || r == UV_ENOMEM);
        check_counts(&b);
    }
    CHECK(failed > 50);
    for (int i = 0; i < 12; i++) {
        snprintf(key, sizeof(key), "dead %d", i);
        CHECK_EQ(ask_event(&b, dead[i]), 0);
        CHECK_VIEW(b.q.event.receipt.sender_id, key);
        CHECK_EQ(box_moved(&b, delivery_num(dead[i], 0), DS_DISCARDED, 0, T0, "") > 0, 1);
    }
    box_apply(&b);
    for (uint64_t n = 1, done = 0; !done; n++) {
        struct index_round round = { 0 };

        torture_arm(TORTURE_OWN | TORTURE_SQLITE, n, false);
        while ((r = index_retain_round(b.ix, &round, T0 + KEEP)) > 0)
            ;
        done = !torture_disarm() && r == 0;
        CHECK(r >= 0 || r == UV_ENOMEM);
        check_counts(&b);
    }
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM receipts"), 0);
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM deliveries"), 0);
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM links"), 0);
    box_finish(&b);
}

static void put_fact(struct box *b, const char *space, const char *key, int64_t at_ms)
{
    struct rec_state_item item = { str_of(space), str_of(key), STR("1") };

    box_put(b,
            encoded(REC_STATE, &(struct rec_state){ .at_ms = at_ms, .items = &item, .n_items = 1 }),
            NULL);
}

static void of_facts_that_age_the_old_go(void **state)
{
    struct box b;

    (void)state;
    box_start(&b);
    box_order(&b, "one", DS_DELIVERED);
    put_fact(&b, "aged/acme/x", "old", T0);
    put_fact(&b, "aged/acme/x", "told again", T0);
    put_fact(&b, "kept/acme/x", "old", T0);
    put_fact(&b, "aged0", "old", T0); /* another space */
    put_fact(&b, "aged", "old", T0);
    box_fill(&b, 4);
    put_fact(&b, "aged/acme/x", "told again", T0 + 2 * KEEP);
    box_apply(&b);
    b.wall = T0 + KEEP - HOUR;
    box_pass(&b, HOUR / 2);
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM state WHERE space = 'aged/acme/x'"), 2);
    b.wall = T0 + KEEP + b.step_ms;
    box_pass(&b, 2 * HOUR);
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM state"), 4);
    CHECK_EQ(box_count(&b,
                       "SELECT count(*) FROM state WHERE space = 'aged/acme/x'"
                       " AND key = 'told again'"),
             1);
    box_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_statement_reads_a_whole_table),
        cmocka_unit_test(what_is_still_needed_stays_when_its_segment_goes),
        cmocka_unit_test(what_is_young_stays_whole),
        cmocka_unit_test(duplicates_go_with_the_rest_and_are_no_longer_refused),
        cmocka_unit_test(a_link_stays_as_long_as_the_record_that_wrote_it_last),
        cmocka_unit_test(of_facts_that_age_the_old_go),
        cmocka_unit_test(what_stayed_goes_when_its_last_move_is_as_old),
        cmocka_unit_test(a_batch_that_was_under_way_goes_with_its_deliveries),
        cmocka_unit_test(what_was_dealt_with_late_stays_a_while_longer),
        cmocka_unit_test(a_slice_has_at_most_256_rows_whatever_an_event_has),
        cmocka_unit_test(a_kill_between_slices_loses_nothing_and_it_goes_on),
        cmocka_unit_test(a_check_after_any_slice_finds_nothing),
        cmocka_unit_test(batches_that_stay_do_not_stop_the_slices),
        cmocka_unit_test(a_slice_without_memory_is_tried_again_and_loses_nothing),
    };

    torture_sqlite();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
