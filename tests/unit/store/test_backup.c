/*
 * A store copied while it is written to, and put back: whole, refused, killed, and silent.
 */
#include "rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"
#include "base/rng.h"
#include "store/backup.h"
#include "store/check.h"
#include "store/disk.h"
#include "store/index.h"
#include "store/manifest.h"
#include "store/restore.h"

static struct rig rig;
static char base[80], dir[120], target[120];

/* ---- help ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void clear(const char *path)
{
    nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Backups go to `dir`, restored stores to `target`, both below a folder of their own. */
static void start(void)
{
    rig_start(&rig);
    rig.conf.segment_bytes = 64u << 10;
    snprintf(base, sizeof(base), "%s-copies", rig.dir);
    CHECK_EQ(mkdir(base, 0700), 0);
    snprintf(dir, sizeof(dir), "%s/backup", base);
    snprintf(target, sizeof(target), "%s/store", base);
}

static void finish(void)
{
    rig_finish(&rig);
    clear(base);
}

struct over {
    bool done;
    enum backup_state state;
    int code;
    uint64_t first, last;
    char text[400];
};

static void on_over(void *ctx, const struct backup_status *st)
{
    struct over *o = ctx;

    o->done = true;
    o->state = st->state;
    o->code = st->code;
    o->first = st->first;
    o->last = st->last;
    snprintf(o->text, sizeof(o->text), "%s", st->text);
}

static struct over backup(const char *path)
{
    struct over o = { 0 };

    CHECK_EQ(store_backup(rig.s, path, on_over, &o), 0);
    while (!o.done)
        uv_run(&rig.loop, UV_RUN_ONCE);
    return o;
}

static void must_backup(void)
{
    struct over o = backup(dir);

    if (o.state != BACKUP_DONE)
        print_error("%s\n", o.text);
    CHECK_EQ(o.state, BACKUP_DONE);
}

static void fill(unsigned n, unsigned from)
{
    char body[1000], id[32];

    memset(body, 'b', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    for (unsigned i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "id-%u", from + i);
        rig_receipt(&rig, "shop", "orders/create", id, body);
    }
}

static int restore_with(bool replace, struct restore_report *r, struct fail *fail)
{
    const struct restore_conf conf = { .from = dir, .path = target, .replace = replace };

    *fail = (struct fail){ 0 };
    return store_restore(&conf, r, fail);
}

static int restore(bool replace)
{
    struct restore_report r;
    struct fail fail;
    int err = restore_with(replace, &r, &fail);

    CHECK(err == 0 || fail.text[0]);
    restore_report_finish(&r);
    return err;
}

static struct restore_report must_restore(bool replace)
{
    struct restore_report r;
    struct fail fail;

    if (restore_with(replace, &r, &fail) < 0)
        print_error("%s\n", fail.text);
    CHECK_EQ(fail.code, 0);
    CHECK_EQ(r.check.n, 0);
    return r;
}

/* The rig goes on with the restored store. */
static void open_restored(void)
{
    static char path[120];

    snprintf(path, sizeof(path), "%s", target);
    rig.conf.path = path;
    rig_must_open(&rig);
}

static size_t findings(const char *path)
{
    struct check_report r;
    struct fail fail = { 0 };
    size_t n;

    if (store_check(path, &r, &fail) < 0)
        print_error("%s\n", fail.text);
    CHECK_EQ(fail.code, 0);
    n = r.n;
    for (size_t i = 0; i < n; i++)
        print_error("%s: %s\n", r.findings[i].file, r.findings[i].what);
    check_report_finish(&r);
    return n;
}

static bool is_there(const char *folder, const char *name)
{
    char path[400];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void flip(const char *folder, const char *name, uint64_t at)
{
    char path[400];
    uint8_t b;
    int fd;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    CHECK_EQ(pread(fd, &b, 1, (off_t)at), 1);
    b ^= 1;
    CHECK_EQ(pwrite(fd, &b, 1, (off_t)at), 1);
    close(fd);
}

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

/* ---- what is restored sends nothing ---- */

static struct rec_move move(uint64_t num, enum delivery_state to)
{
    return (struct rec_move){
        .num = num,
        .state = (uint8_t)to,
        .next_ms = to == DS_WAITING || to == DS_UNKNOWN ? 1700000000500 : 0,
        .hold_type = to == DS_HELD ? STR("fraud") : STR(""),
        .reason = STR("because"),
    };
}

static void test_what_was_not_final_is_held_or_unknown_after_a_restore(void **state)
{
    static const enum delivery_state states[] = { DS_READY, DS_INFLIGHT,  DS_WAITING,  DS_UNKNOWN,
                                                  DS_HELD,  DS_DELIVERED, DS_DISCARDED };
    struct restore_report r;

    (void)state;
    start();
    rig_must_open(&rig);
    for (uint64_t i = 0; i < 7; i++) {
        uint64_t event = rig_receipt(&rig, "shop", "orders/create", NULL, "{}");
        struct rec_delivery d = delivery(event, 0, "byron");

        rig_routed(&rig, event, &d, 1);
        if (states[i] == DS_INFLIGHT || states[i] == DS_UNKNOWN)
            rig_sent(&rig, &d.num, 1, 1);
        if (states[i] != DS_READY && states[i] != DS_INFLIGHT)
            rig_move(&rig, move(d.num, states[i]), 0);
    }
    rig_receipt(&rig, "shop", "orders/create", NULL, "{}"); /* not routed */
    must_backup();
    rig_close(&rig);
    r = must_restore(false);
    CHECK_EQ(r.held, 2);
    CHECK_EQ(r.unknown, 2);
    CHECK_EQ(r.held_before, 1);
    CHECK_EQ(r.unrouted, 1);
    CHECK_EQ(r.aside[0], '\0');
    restore_report_finish(&r);
    CHECK(!is_there(target, "restoring"));

    open_restored();
    CHECK_EQ(rig_unrouted(&rig, false), 0);
    CHECK_EQ(rig.n, 1);
    CHECK(rig.nums[0] <= store_restored_to(rig.s));
    CHECK_EQ(rig_claim(&rig, "byron", 2, 0, 100), 0);
    CHECK_EQ(rig.n, 5);
    for (size_t i = 0; i < 5; i++) {
        enum delivery_state was = states[i], is = rig.d[i].state;

        if (was == DS_READY || was == DS_WAITING) {
            CHECK_EQ(is, DS_HELD);
            CHECK(str_eq(rig.d[i].hold_type, STR("restored")));
        } else if (was == DS_INFLIGHT || was == DS_UNKNOWN) {
            CHECK_EQ(is, DS_UNKNOWN);
        } else {
            CHECK_EQ(is, DS_HELD);
            CHECK(str_eq(rig.d[i].hold_type, STR("fraud")));
            CHECK(str_starts(rig.d[i].reason, STR("because; restored from a backup of ")));
        }
    }
    rig_close(&rig);
    CHECK_EQ(findings(target), 0); /* an index made of the log says the same */
    finish();
}

/* ---- refused ---- */

static void test_a_folder_that_is_no_whole_backup_is_refused(void **state)
{
    char manifest[200], moved[200], name[80];
    struct manifest m;

    (void)state;
    start();
    rig_must_open(&rig);
    fill(150, 0);
    must_backup();
    rig_close(&rig);
    CHECK_EQ(manifest_read(&m, dir, NULL), 0);
    CHECK(m.n > 2);
    for (size_t i = 0; i < m.n; i++) {
        snprintf(name, sizeof(name), "%s", m.files[i].name);
        flip(dir, name, m.files[i].bytes / 2);
        CHECK_EQ(restore(false), UV_EILSEQ);
        CHECK_EQ(store_backup_verify(dir, NULL), UV_EILSEQ);
        flip(dir, name, m.files[i].bytes / 2);
        snprintf(manifest, sizeof(manifest), "%s/%s", dir, name);
        snprintf(moved, sizeof(moved), "%s/moved", base);
        CHECK_EQ(rename(manifest, moved), 0);
        CHECK_EQ(restore(false), UV_EILSEQ);
        CHECK_EQ(rename(moved, manifest), 0);
    }
    CHECK_EQ(store_backup_verify(dir, NULL), 0);
    snprintf(manifest, sizeof(manifest), "%s/" MANIFEST, dir);
    snprintf(moved, sizeof(moved), "%s/moved", base);
    CHECK_EQ(rename(manifest, moved), 0);
    CHECK_EQ(restore(false), UV_ENOENT);
    CHECK_EQ(rename(moved, manifest), 0);

    snprintf(m.files[0].name, sizeof(m.files[0].name), "../sluice.db");
    CHECK_EQ(manifest_write(&m, dir, NULL), 0);
    CHECK_EQ(restore(false), UV_EINVAL);
    manifest_finish(&m);
    CHECK(access(target, F_OK) < 0); /* none of it made a store, or left a part of one */
    CHECK(!is_there(base, "store.restoring"));
    finish();
}

static void test_a_restore_broken_off_between_two_names_is_no_empty_store(void **state)
{
    char restoring[200];

    (void)state;
    start();
    rig_must_open(&rig);
    fill(3, 0);
    must_backup();
    rig_close(&rig);
    snprintf(restoring, sizeof(restoring), "%s.restoring", target);
    CHECK_EQ(mkdir(restoring, 0700), 0);
    rig.conf.path = target;
    CHECK_EQ(rig_open(&rig), UV_ENOENT);
    CHECK(strstr(rig.fail.text, "broken off") != NULL);
    CHECK(access(target, F_OK) < 0);
    CHECK_EQ(restore(false), 0);
    open_restored();
    finish();
}

static void test_a_manifest_cut_anywhere_is_refused(void **state)
{
    struct manifest m;
    char path[200];
    off_t size;

    (void)state;
    start();
    rig_must_open(&rig);
    fill(3, 0);
    must_backup();
    rig_close(&rig);
    snprintf(path, sizeof(path), "%s/" MANIFEST, dir);
    struct stat st;
    CHECK_EQ(stat(path, &st), 0);
    for (size = st.st_size - 1; size >= 0; size--) {
        struct fail fail = { 0 };

        CHECK_EQ(truncate(path, size), 0);
        CHECK_EQ(manifest_read(&m, dir, &fail), UV_EINVAL);
        CHECK(strstr(fail.text, MANIFEST) != NULL);
        manifest_finish(&m);
    }
    finish();
}

static void test_a_store_that_is_there_is_moved_aside_or_left_alone(void **state)
{
    struct restore_report r;
    char aside[4096];

    (void)state;
    start();
    rig_must_open(&rig);
    fill(50, 0);
    must_backup();
    fill(5, 50);
    rig_close(&rig);
    snprintf(target, sizeof(target), "%s", rig.dir);
    CHECK_EQ(restore(false), UV_EEXIST);
    CHECK_EQ(findings(target), 0);
    rig_must_open(&rig);
    CHECK_EQ(restore(true), UV_EBUSY);
    rig_close(&rig);
    CHECK_EQ(chmod(target, 0750), 0);
    r = must_restore(true);
    snprintf(aside, sizeof(aside), "%s", r.aside);
    restore_report_finish(&r);
    CHECK(str_starts(str_of(aside), str_of(target)));
    CHECK_EQ(findings(aside), 0);
    CHECK_EQ(findings(target), 0);
    struct stat st;
    CHECK_EQ(stat(target, &st), 0);
    CHECK_EQ(st.st_mode & 07777, 0750);
    rig_must_open(&rig);
    CHECK_EQ(rig_event(&rig, 50), 0);
    CHECK(rig_event(&rig, 52) != 0); /* 51 is the restore's own decision */
    rig_close(&rig);
    clear(aside);
    finish();
}

/* ---- killed ---- */

static void pause_us(long us)
{
    const struct timespec t = { .tv_nsec = us * 1000 };

    nanosleep(&t, NULL);
}

static void test_a_backup_killed_at_any_moment_is_whole_or_none(void **state)
{
    struct rng rng;
    unsigned whole = 0, none = 0;

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
        pause_us((long)rng_below(&rng, whole < 2 ? 200000 : 30000));
        kill(child, SIGKILL);
        CHECK_EQ(waitpid(child, NULL, 0), child);
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

static void test_a_restore_killed_at_any_moment_leaves_the_old_store_or_the_new_one(void **state)
{
    struct rng rng;
    unsigned ended = 0, killed = 0;

    (void)state;
    start();
    rng_seed(&rng, 5);
    rig_must_open(&rig);
    fill(60, 0);
    must_backup();
    rig_close(&rig);
    while (ended < 2 || killed < 8) {
        pid_t child = fork();
        int status;

        if (child == 0) {
            struct restore_report r;

            _exit(restore_with(true, &r, &(struct fail){ 0 }) < 0);
        }
        pause_us((long)rng_below(&rng, ended < 2 ? 300000 : 30000));
        kill(child, SIGKILL);
        CHECK_EQ(waitpid(child, &status, 0), child);
        ended += WIFEXITED(status);
        killed += WIFSIGNALED(status);
        if (WIFEXITED(status))
            CHECK_EQ(WEXITSTATUS(status), 0);
        if (access(target, F_OK) == 0)
            CHECK_EQ(findings(target), 0);
        else
            CHECK_EQ(ended, 0);
    }
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
        cmocka_unit_test(test_what_was_not_final_is_held_or_unknown_after_a_restore),
        cmocka_unit_test(test_a_folder_that_is_no_whole_backup_is_refused),
        cmocka_unit_test(test_a_manifest_cut_anywhere_is_refused),
        cmocka_unit_test(test_a_restore_broken_off_between_two_names_is_no_empty_store),
        cmocka_unit_test(test_a_store_that_is_there_is_moved_aside_or_left_alone),
        cmocka_unit_test(test_a_backup_killed_at_any_moment_is_whole_or_none),
        cmocka_unit_test(test_a_restore_killed_at_any_moment_leaves_the_old_store_or_the_new_one),
    };

    log_setup(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
