/*
 * test_backup.c - a store copied while it is written to: whole, refused, killed.
 */
#include "backup_rig.h"

#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/rng.h"
#include "store/disk.h"
#include "store/index.h"
#include "store/manifest.h"

/* ---- the copy ---- */

static void test_a_backup_made_while_records_come_has_all_that_was_acknowledged_before(void **state)
{
    struct over o = { 0 };
    unsigned more = 0;

    (void)state;
    start();
    rig_must_open(&rig);
    fill(400, 0);
    CHECK_EQ(store_backup(rig.s, dir, on_over, &o), 0);
    while (!o.done)
        fill(1, 400 + more++);
    CHECK_EQ(o.state, BACKUP_DONE);
    CHECK_EQ(o.first, 1);
    CHECK(o.last >= 400);
    CHECK(more > 1);
    fill(20, 400 + more); /* these are not in it */
    rig_close(&rig);
    CHECK_EQ(findings(dir), 0);

    struct restore_report r = must_restore(false);

    CHECK(r.last == o.last);
    restore_report_finish(&r);
    open_restored();
    CHECK(store_restored_to(rig.s) >= o.last);
    for (uint64_t id = 1; id <= o.last; id++)
        CHECK_EQ(rig_event(&rig, id), 0);
    for (unsigned i = 0; i < 400; i += 13) { /* duplicates are known still */
        char id[32];
        struct store_record rec;

        snprintf(id, sizeof(id), "id-%u", i);
        rec = receipt("shop", "orders/create", id, "{}");
        CHECK_EQ(rig_append(&rig, &rec, 1), 0);
        CHECK(rec.refused);
    }
    fill(1, 100000);
    rig_close(&rig);
    CHECK_EQ(findings(target), 0);
    finish();
}

static uint64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st;
    uint64_t n;

    CHECK_EQ(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    CHECK_EQ(sqlite3_step(st), SQLITE_ROW);
    n = (uint64_t)sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return n;
}

static void apply(struct index *ix, uint64_t seq)
{
    struct store_record r = receipt("shop", "orders/create", NULL, "{\"total\":\"1\"}");
    struct reclog_record rec = { .seq = seq, .pos = seq, .type = r.type };

    rec.payload = buf_view(&r.payload);
    CHECK_EQ(index_apply(ix, &rec), 0);
    buf_finish(&r.payload);
}

static void test_an_index_copied_page_by_page_while_it_is_written_is_the_index(void **state)
{
    static const uint8_t log_id[16] = { 7 };
    struct index_copy *copy;
    struct index *ix;
    uint64_t seq = 0, bytes, total, steps = 0, held;
    char path[200];
    sqlite3 *db;
    int r;

    (void)state;
    start();
    CHECK_EQ(index_open(&ix, base, NULL, log_id, 1u << 20, NULL), 0);
    CHECK_EQ(index_begin(ix), 0);
    while (seq < 5000)
        apply(ix, ++seq);
    CHECK_EQ(index_commit(ix), 0);
    snprintf(path, sizeof(path), "%s/copy.db", base);
    CHECK_EQ(index_copy_open(&copy, ix, path), 0);
    while ((r = index_copy_step(copy, 3, &bytes, &total)) > 0) {
        CHECK(bytes <= total);
        CHECK_EQ(index_begin(ix), 0);
        held = seq;
        for (int i = 0; i < 20; i++)
            apply(ix, ++seq);
        if (++steps % 5 == 0) { /* what is rolled back is not in it */
            index_rollback(ix);
            seq = held;
        } else {
            CHECK_EQ(index_commit(ix), 0);
        }
        if (steps % 7 == 0)
            CHECK_EQ(index_tidy(ix), 0);
    }
    CHECK_EQ(r, 0);
    CHECK(steps > 20);
    index_copy_close(copy);
    CHECK_EQ(sqlite3_open(path, &db), SQLITE_OK);
    CHECK_EQ(number(db, "SELECT watermark FROM position"), seq);
    CHECK_EQ(number(db, "SELECT count(*) FROM events"), seq);
    CHECK_EQ(number(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"),
             1);
    sqlite3_close(db);
    index_close(ix);
    finish();
}

static void test_what_cannot_be_backed_up_is_said_and_leaves_nothing(void **state)
{
    struct over o, second = { 0 };
    char path[200];

    (void)state;
    start();
    rig_must_open(&rig);
    fill(10, 0);
    CHECK_EQ(store_backup(rig.s, "relative", NULL, NULL), UV_EINVAL);
    snprintf(path, sizeof(path), "%s/no/backup", base);
    o = backup(path);
    CHECK_EQ(o.state, BACKUP_FAILED);
    CHECK_EQ(o.code, UV_ENOENT);
    o = backup(rig.dir); /* not empty */
    CHECK_EQ(o.code, UV_EEXIST);
    CHECK(strstr(o.text, "not an empty folder") != NULL);

    CHECK_EQ(mkdir(dir, 0700), 0);
    o = (struct over){ 0 };
    CHECK_EQ(store_backup(rig.s, dir, on_over, &o), 0);
    CHECK_EQ(store_backup(rig.s, dir, on_over, &second), UV_EBUSY);
    while (!o.done)
        uv_run(&rig.loop, UV_RUN_ONCE);
    CHECK_EQ(o.state, BACKUP_DONE);
    CHECK(!second.done);
    o = backup(dir);
    CHECK_EQ(o.code, UV_EEXIST);
    rig_close(&rig);

    rig.conf.disk_reserve = UINT64_C(1) << 60;
    rig_must_open(&rig);
    snprintf(path, sizeof(path), "%s/second", base);
    o = backup(path);
    CHECK_EQ(o.code, UV_ENOSPC);
    CHECK(access(path, F_OK) < 0);
    finish();
}

static unsigned opens_left;

static int failing_open(const char *path, int flags)
{
    if (strncmp(path, base, strlen(base)) == 0 && (flags & O_CREAT) && opens_left-- == 0)
        return UV_ENOSPC;
    return disk_system.open(path, flags);
}

static void test_a_disk_that_refuses_any_file_of_it_leaves_the_folder_as_it_was(void **state)
{
    struct disk disk = disk_system;
    struct over o = { 0 };
    unsigned n = 0;

    (void)state;
    start();
    disk.open = failing_open;
    store_disk = &disk;
    rig_must_open(&rig);
    fill(200, 0);
    while (o.state != BACKUP_DONE) {
        opens_left = n++;
        o = backup(dir);
        if (o.state == BACKUP_DONE)
            break;
        CHECK(o.text[0]);
        CHECK(access(dir, F_OK) < 0);
        fill(1, 1000 + n); /* the store goes on */
    }
    CHECK(n > 5);
    rig_close(&rig);
    store_disk = &disk_system;
    CHECK_EQ(findings(dir), 0);
    CHECK_EQ(findings(rig.dir), 0);
    finish();
}

static void test_a_store_closed_in_the_middle_of_a_backup_leaves_no_half_of_it(void **state)
{
    (void)state;
    start();
    rig_must_open(&rig);
    fill(300, 0);
    for (unsigned turns = 0; turns < 12; turns++) {
        struct over o = { 0 };

        CHECK_EQ(store_backup(rig.s, dir, on_over, &o), 0);
        for (unsigned i = 0; i < turns; i++)
            fill(1, 1000 * (turns + 1) + i);
        rig_close(&rig);
        CHECK(o.done);
        CHECK_EQ(is_there(dir, MANIFEST), o.state == BACKUP_DONE);
        if (o.state != BACKUP_DONE) {
            CHECK_EQ(o.code, UV_ECANCELED);
            CHECK(access(dir, F_OK) < 0);
        }
        clear(dir);
        rig_must_open(&rig);
    }
    finish();
}

/* ---- killed ---- */

static void test_a_backup_killed_at_any_moment_is_whole_or_none(void **state)
{
    struct rng rng;
    unsigned whole = 0, none = 0, tries = 0;

    (void)state;
    start();
    rng_seed(&rng, 6);
    rig_must_open(&rig);
    fill(200, 0);
    rig_close(&rig);
    while (whole < 2 || none < 5) {
        pid_t child = fork();

        if (child == 0) {
            rig_must_open(&rig);
            CHECK_EQ(store_backup(rig.s, dir, NULL, NULL), 0);
            uv_run(&rig.loop, UV_RUN_DEFAULT);
            _exit(0);
        }
        /* until both were seen, however slow the machine is */
        tries++;
        kill_after(child, rng_below(&rng, whole < 2 ? 40000 * tries : 30000));
        if (is_there(dir, MANIFEST)) {
            CHECK_EQ(store_backup_verify(dir, NULL), 0);
            CHECK_EQ(findings(dir), 0);
            whole++;
        } else {
            CHECK_EQ(restore(false), UV_ENOENT);
            none++;
        }
        clear(dir);
    }
    CHECK_EQ(findings(rig.dir), 0);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_a_backup_made_while_records_come_has_all_that_was_acknowledged_before),
        cmocka_unit_test(test_an_index_copied_page_by_page_while_it_is_written_is_the_index),
        cmocka_unit_test(test_what_cannot_be_backed_up_is_said_and_leaves_nothing),
        cmocka_unit_test(test_a_disk_that_refuses_any_file_of_it_leaves_the_folder_as_it_was),
        cmocka_unit_test(test_a_store_closed_in_the_middle_of_a_backup_leaves_no_half_of_it),
        cmocka_unit_test(test_a_backup_killed_at_any_moment_is_whole_or_none),
    };

    log_setup(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
