/*
 * test_append.c - opening, appending, keys, and what a full or failing disk does.
 */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a disk that fails: these stand before libc's for SQLite as well ---- */

static atomic_bool sync_fails;
static atomic_int syncs_failed;

static int sync_or_fail(long call, int fd)
{
    if (atomic_load(&sync_fails)) {
        atomic_fetch_add(&syncs_failed, 1);
        errno = EIO;
        return -1;
    }
    return (int)syscall(call, fd);
}

__attribute__((visibility("default"))) int fsync(int fd);
__attribute__((visibility("default"))) int fdatasync(int fd);

int fsync(int fd)
{
    return sync_or_fail(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return sync_or_fail(SYS_fdatasync, fd);
}

/* ---- many appends at once ---- */

struct many {
    struct store_append a[64];
    struct store_record r[64];
    struct rig *rig;
    size_t asked, answered;
    int status[64];
};

static struct many many; /* one test at a time */

static void on_one(struct store_append *a, int status)
{
    size_t i = (size_t)(a - many.a);

    CHECK_EQ(i, many.answered); /* in order */
    many.status[i] = status;
    many.rig->done = ++many.answered == many.asked;
}

/* Submit all in one iteration of the loop, wait for all. */
static void append_many(struct rig *rig, size_t n, struct store_record (*make)(size_t i))
{
    many = (struct many){ .rig = rig, .asked = n };
    rig->done = false;
    for (size_t i = 0; i < n; i++) {
        many.r[i] = make(i);
        many.a[i] = (struct store_append){ .records = &many.r[i], .n = 1, .cb = on_one };
        CHECK_EQ(store_append(rig->s, &many.a[i], false), 0);
        CHECK_EQ(many.answered, 0); /* never before the call returned */
    }
}

static void finish_many(void)
{
    for (size_t i = 0; i < many.asked; i++)
        store_append_finish(&many.a[i]);
}

/* ---- keys ---- */

static struct store_record in_pairs(size_t i)
{
    char id[32];

    snprintf(id, sizeof(id), "id-%zu", i / 2);
    return receipt("shop", "orders/paid", id, "{}");
}

static void a_key_is_known_within_the_group_that_brings_it(void **state)
{
    struct rig rig;
    struct store_stats stats;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    append_many(&rig, 64, in_pairs);
    rig_wait(&rig);
    for (size_t i = 0; i < 64; i++) {
        CHECK_EQ(many.status[i], 0);
        CHECK_EQ(many.r[i].refused, i % 2);
        CHECK_EQ(many.r[i].seq, i % 2 ? 0 : i / 2 + 1);
        CHECK_EQ(many.r[i].keys[0].known, i % 2);
        CHECK_EQ(many.r[i].keys[0].first, i / 2 + 1);
    }
    finish_many();
    store_stats(rig.s, &stats);
    CHECK_EQ(stats.records, 32);
    CHECK_EQ(stats.duplicates, 32);
    CHECK_EQ(stats.log_seq, 32);
    CHECK_EQ(stats.queue_bytes, 0);
    CHECK(stats.commits >= 1 && stats.commits < 64);
    rig_finish(&rig);
}

static void a_key_is_known_after_a_reopening(void **state)
{
    struct store_record again;
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    CHECK_EQ(rig_receipt(&rig, "shop", "t", "one", "{}"), 1);
    CHECK_EQ(rig_receipt(&rig, "shop", "t", "two", "{}"), 2);
    rig_reopen(&rig);
    again = receipt("shop", "t", "one", "{}");
    CHECK_EQ(rig_append(&rig, &again, 1), 0);
    CHECK(again.refused);
    CHECK_EQ(again.seq, 0);
    CHECK_EQ(rig_receipt(&rig, "shop", "t", "three", "{}"), 3);
    rig_finish(&rig);
}

/* A routed record whose second delivery goes out once for each subject. */
static struct store_record once_per_subject(uint64_t event, const char *key)
{
    struct rec_delivery d[] = { delivery(event, 0, "byron"), delivery(event, 1, "byron") };
    struct rec_routed rec = { .event = event, .deliveries = d, .n_deliveries = 2 };
    struct store_record r = encoded(REC_ROUTED, &rec);

    add_key(&r, key, false, d[1].state_at, DS_SUPERSEDED);
    return r;
}

static void a_known_key_that_does_not_refuse_marks_the_payload(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    CHECK_EQ(rig_receipt(&rig, "shop", "t", "one", "{}"), 1);
    CHECK_EQ(rig_receipt(&rig, "shop", "t", "two", "{}"), 2);
    rig_put(&rig, once_per_subject(1, "once"));
    rig_put(&rig, once_per_subject(2, "once"));
    CHECK_EQ(rig_get(&rig, delivery_num(1, 1)), 0);
    CHECK_EQ(rig.d[0].state, DS_READY);
    CHECK_EQ(rig_get(&rig, delivery_num(2, 0)), 0);
    CHECK_EQ(rig.d[0].state, DS_READY);
    CHECK_EQ(rig_get(&rig, delivery_num(2, 1)), 0);
    CHECK_EQ(rig.d[0].state, DS_SUPERSEDED);
    rig_finish(&rig);
}

static void a_key_keeps_the_value_it_came_with(void **state)
{
    struct store_record r;
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    r = receipt("shop", "t", "one", "{}");
    r.keys[0].value = 42;
    CHECK_EQ(rig_append(&rig, &r, 1), 0);
    r = receipt("shop", "t", "one", "{}");
    r.keys[0].value = 43;
    many = (struct many){ .rig = &rig, .asked = 1, .r = { r } };
    many.a[0] = (struct store_append){ .records = &many.r[0], .n = 1, .cb = on_one };
    rig.done = false;
    CHECK_EQ(store_append(rig.s, &many.a[0], false), 0);
    rig_wait(&rig);
    CHECK(many.r[0].refused);
    CHECK_EQ(many.r[0].keys[0].value, 42);
    finish_many();
    rig_finish(&rig);
}

static void a_record_with_several_refusing_keys_takes_none_when_one_is_known(void **state)
{
    struct store_record r;
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    rig_receipt(&rig, "shop", "t", "known", "{}");
    r = receipt("shop", "t", "fresh", "{}");
    add_key(&r, "known", true, 0, 0);
    CHECK_EQ(rig_append(&rig, &r, 1), 0);
    CHECK(r.refused);
    CHECK_EQ(rig_receipt(&rig, "shop", "t", "fresh", "{}"), 2); /* still free */
    rig_finish(&rig);
}

static void a_refused_record_does_not_hold_back_the_others_of_its_append(void **state)
{
    struct store_record r[3];
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    rig_receipt(&rig, "shop", "t", "known", "{}");
    r[0] = receipt("shop", "t", "a", "{}");
    r[1] = receipt("shop", "t", "known", "{}");
    r[2] = receipt("shop", "t", "b", "{}");
    CHECK_EQ(rig_append(&rig, r, 3), 0);
    CHECK_EQ(r[0].seq, 2);
    CHECK(r[1].refused);
    CHECK_EQ(r[2].seq, 3);
    rig_finish(&rig);
}

static void a_key_that_is_only_asked_for_is_not_entered(void **state)
{
    struct store_record r;
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    for (int round = 1; round <= 2; round++) { /* nobody brings it */
        r = receipt("shop", "t", round == 1 ? "a" : "b", "{}");
        add_key(&r, "swept", true, 0, 0);
        r.keys[1].only_asked = true;
        CHECK_EQ(rig_append(&rig, &r, 1), 0);
        CHECK(!r.refused);
    }
    for (int round = 1; round <= 2; round++) { /* entered once, and no second time refused */
        r = receipt("shop", "t", round == 1 ? "c" : "d", "{}");
        add_key(&r, "swept", false, 0, 'x');
        r.keys[1].only_entered = true;
        CHECK_EQ(rig_append(&rig, &r, 1), 0);
        CHECK(!r.refused);
    }
    rig_reopen(&rig);
    r = receipt("shop", "t", "e", "{}");
    add_key(&r, "swept", true, 0, 0);
    r.keys[1].only_asked = true;
    CHECK_EQ(rig_append(&rig, &r, 1), 0);
    CHECK(r.refused);
    rig_finish(&rig);
}

/* ---- limits ---- */

static struct store_record large(size_t i)
{
    static char body[1024];

    (void)i;
    memset(body, 'x', sizeof(body) - 1);
    return receipt("shop", "t", NULL, body);
}

/* One more, outside append_many(); what it returns is store_append()'s. */
static int append_one_more(struct rig *rig, bool internal)
{
    size_t i = many.asked;
    int r;

    many.r[i] = large(i);
    many.a[i] = (struct store_append){ .records = &many.r[i], .n = 1, .cb = on_one };
    r = store_append(rig->s, &many.a[i], internal);
    if (r == 0)
        many.asked++;
    else
        store_append_finish(&many.a[i]);
    return r;
}

static void a_full_queue_refuses_all_but_internal_appends(void **state)
{
    struct rig rig;
    int r = 0;

    (void)state;
    rig_start(&rig);
    rig.conf.max_queue_bytes = 40000;
    rig_must_open(&rig);
    append_many(&rig, 16, large);
    while (r == 0 && many.asked < 60)
        r = append_one_more(&rig, false);
    CHECK_EQ(r, UV_ENOBUFS);
    CHECK_EQ(append_one_more(&rig, true), 0);
    rig_wait(&rig);
    for (size_t i = 0; i < many.asked; i++)
        CHECK_EQ(many.status[i], 0);
    finish_many();
    CHECK(rig_receipt(&rig, "shop", "t", NULL, "{}") > 0); /* and then there is room again */
    rig_finish(&rig);
}

static void below_the_reserve_only_internal_appends_are_admitted(void **state)
{
    struct store_record r = receipt("shop", "t", "one", "{}");
    struct store_append a = { .records = &r, .n = 1, .cb = on_one };
    struct store_stats stats;
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig.conf.disk_reserve = UINT64_MAX;
    rig_must_open(&rig);
    store_stats(rig.s, &stats);
    CHECK(stats.disk_low);
    CHECK_EQ(store_append(rig.s, &a, false), UV_ENOSPC);
    many = (struct many){ .rig = &rig, .asked = 1, .r = { r } };
    many.a[0] = (struct store_append){ .records = &many.r[0], .n = 1, .cb = on_one };
    rig.done = false;
    CHECK_EQ(store_append(rig.s, &many.a[0], true), 0);
    rig_wait(&rig);
    CHECK_EQ(many.status[0], 0);
    finish_many();
    rig_finish(&rig);
}

static void a_malformed_append_is_refused_before_it_reaches_the_disk(void **state)
{
    struct store_record r = receipt("shop", "t", NULL, "{}");
    struct store_append a = { .records = &r, .n = 1, .cb = on_one };
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    add_key(&r, "k", false, (uint32_t)r.payload.len, 1);
    CHECK_EQ(store_append(rig.s, &a, false), UV_EINVAL);
    store_append_finish(&a);
    CHECK_EQ(store_append(rig.s, &a, false), UV_EINVAL); /* no payload */
    rig_finish(&rig);
}

/* ---- closing ---- */

static struct store_record plain(size_t i)
{
    (void)i;
    return receipt("shop", "t", NULL, "{}");
}

static void on_closed_last(void *ctx)
{
    struct rig *rig = ctx;

    CHECK_EQ(many.answered, 64);
    rig->s = NULL;
}

static void closing_finishes_what_was_submitted_and_takes_no_more(void **state)
{
    struct store_record r = plain(0);
    struct store_append a = { .records = &r, .n = 1, .cb = on_one };
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    append_many(&rig, 64, plain);
    store_close(rig.s, on_closed_last, &rig);
    CHECK_EQ(store_append(rig.s, &a, true), UV_ECANCELED);
    store_append_finish(&a);
    uv_run(&rig.loop, UV_RUN_DEFAULT);
    CHECK(rig.s == NULL);
    for (size_t i = 0; i < 64; i++)
        CHECK_EQ(many.status[i], 0);
    finish_many();
    rig_must_open(&rig);
    CHECK_EQ(rig_receipt(&rig, "shop", "t", NULL, "{}"), 65);
    rig_finish(&rig);
}

static void an_idle_store_keeps_no_loop_alive(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    rig_receipt(&rig, "shop", "t", NULL, "{}");
    CHECK_EQ(uv_run(&rig.loop, UV_RUN_DEFAULT), 0);
    rig_finish(&rig);
}

/* ---- who may open it ---- */

/* A process that holds the store until it is killed. */
static pid_t hold_store(struct rig *rig)
{
    int ready[2];
    char byte;
    pid_t pid;

    CHECK_EQ(pipe(ready), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        byte = rig_open(rig) == 0 ? 'y' : 'n';
        if (write(ready[1], &byte, 1) == 1)
            pause();
        _exit(1);
    }
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    CHECK_EQ(byte, 'y');
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void a_second_process_is_told_who_has_the_store(void **state)
{
    char text[32];
    struct rig rig;
    pid_t pid;

    (void)state;
    rig_start(&rig);
    pid = hold_store(&rig);
    CHECK_EQ(rig_open(&rig), UV_EBUSY);
    snprintf(text, sizeof(text), "process %ld", (long)pid);
    assert_non_null(strstr(rig.fail.text, text));
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    rig_must_open(&rig);
    rig_finish(&rig);
}

static void run_sql(const struct rig *rig, const char *file, const char *sql)
{
    char path[128];
    sqlite3 *db;

    rig_path(rig, file, path);
    CHECK_EQ(sqlite3_open(path, &db), SQLITE_OK);
    CHECK_EQ(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void a_newer_schema_is_refused_and_both_versions_are_named(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    rig_close(&rig);
    run_sql(&rig, "sluice.db", "PRAGMA user_version=99");
    CHECK_EQ(rig_open(&rig), UV_ENOTSUP);
    assert_non_null(strstr(rig.fail.text, "sluice.db"));
    assert_non_null(strstr(rig.fail.text, "version 99"));
    assert_non_null(strstr(rig.fail.text, "up to version"));
    rig_finish(&rig);
}

static void a_log_of_the_earlier_form_is_refused_and_left_alone(void **state)
{
    char path[128];
    struct rig rig;

    (void)state;
    rig_start(&rig);
    run_sql(&rig, "log.db", "CREATE TABLE records(x)");
    CHECK_EQ(rig_open(&rig), UV_ENOTSUP);
    assert_non_null(strstr(rig.fail.text, "log.db"));
    assert_non_null(strstr(rig.fail.text, "earlier form"));
    rig_path(&rig, "log", path);
    CHECK(access(path, F_OK) < 0);
    rig_finish(&rig);
}

/* Change a byte of the first place in the log's first segment that holds `text`. */
static void damage_at(const struct rig *rig, const char *text)
{
    static char image[1 << 20];
    char path[128], *at;
    ssize_t n;
    int fd;

    rig_path(rig, "log/0000000001.seg", path);
    fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    n = pread(fd, image, sizeof(image), 0);
    at = n > 0 ? memmem(image, (size_t)n, text, strlen(text)) : NULL;
    assert_non_null(at);
    CHECK_EQ(pwrite(fd, "#", 1, at - image), 1);
    close(fd);
}

static void
damage_is_counted_where_the_index_has_passed_it_and_refused_where_it_has_not(void **state)
{
    struct store_stats stats;
    char path[128];
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    for (int i = 1; i <= 9; i++) {
        char body[32];

        snprintf(body, sizeof(body), "\"body-%d\"", i);
        CHECK_EQ(rig_receipt(&rig, "shop", "t", NULL, body), i);
    }
    rig_close(&rig);
    damage_at(&rig, "body-5");
    rig_must_open(&rig);
    store_stats(rig.s, &stats);
    CHECK_EQ(stats.damaged, 1);
    CHECK_EQ(stats.log_seq, 9);
    CHECK_EQ(rig_event(&rig, 4), 0);
    CHECK(rig_event(&rig, 5) < 0); /* one event cannot be shown ... */
    CHECK_EQ(rig_event(&rig, 6), 0);
    store_stats(rig.s, &stats);
    CHECK(!stats.failed); /* ... and that is all */
    CHECK_EQ(rig_receipt(&rig, "shop", "t", NULL, "{}"), 10);
    rig_close(&rig);
    rig_path(&rig, "sluice.db", path);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(rig_open(&rig), UV_EILSEQ);
    assert_non_null(strstr(rig.fail.text, "0000000001.seg"));
    assert_non_null(strstr(rig.fail.text, "records 5 to 5"));
    assert_non_null(strstr(rig.fail.text, "sluice db repair"));
    rig_finish(&rig);
}

static void a_path_that_cannot_be_made_is_named(void **state)
{
    char path[128];
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_path(&rig, "no/such/parent", path);
    rig.conf.path = path;
    CHECK_EQ(rig_open(&rig), UV_ENOENT);
    assert_non_null(strstr(rig.fail.text, path));
    rig_finish(&rig);
}

/* ---- a failing disk ---- */

static void a_failed_fsync_is_not_retried_and_latches_the_store(void **state)
{
    struct store_record r[2];
    struct store_stats stats;
    uint8_t was;
    struct rig rig;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    rig_receipt(&rig, "shop", "t", "one", "{}");
    rig_put(&rig, once_per_subject(1, "once"));
    r[0] = receipt("shop", "t", "two", "{}");
    r[1] = once_per_subject(1, "once"); /* to be marked, and unmarked */
    r[1].keys[0].value = 7;
    was = (uint8_t)r[1].payload.data[r[1].keys[0].mark_at];
    many = (struct many){ .rig = &rig, .asked = 1 };
    many.a[0] = (struct store_append){ .records = r, .n = 2, .cb = on_one };
    rig.done = false;
    atomic_store(&syncs_failed, 0);
    atomic_store(&sync_fails, true);
    CHECK_EQ(store_append(rig.s, &many.a[0], false), 0);
    rig_wait(&rig);
    CHECK_EQ(many.status[0], UV_EIO);
    CHECK_EQ(r[0].seq, 0);
    CHECK(!r[1].keys[0].known);
    CHECK_EQ(r[1].keys[0].value, 7);
    CHECK_EQ((uint8_t)r[1].payload.data[r[1].keys[0].mark_at], was);
    store_stats(rig.s, &stats);
    CHECK(stats.failed);
    CHECK_EQ(stats.log_seq, 2);
    CHECK_EQ(store_append(rig.s, &many.a[0], true), UV_EIO);
    CHECK_EQ(atomic_load(&syncs_failed), 1);
    atomic_store(&sync_fails, false);
    CHECK_EQ(store_append(rig.s, &many.a[0], true), UV_EIO); /* it stays so */
    store_append_finish(&many.a[0]);
    CHECK_EQ(rig_event(&rig, 1), 0); /* what is there can still be read */
    rig_reopen(&rig);
    store_stats(rig.s, &stats);
    CHECK(!stats.failed);
    CHECK(rig_receipt(&rig, "shop", "t", "three", "{}") >= 3);
    rig_finish(&rig);
}

static void write_ballast(const struct rig *rig, size_t bytes)
{
    char path[128], block[4096] = { 1 };
    int fd;

    rig_path(rig, "ballast", path);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    while (bytes > 0 && write(fd, block, sizeof(block)) > 0)
        bytes -= sizeof(block);
    close(fd);
}

static void a_full_disk_refuses_and_recovers_without_a_restart(void **state)
{
    char body[4096], path[128];
    struct store_stats stats;
    uint64_t acked = 0;
    struct rig rig;
    int r = 0;

    (void)state;
    memset(body, 'x', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    rig_start(&rig);
    if (mount("none", rig.dir, "tmpfs", 0, "size=6m") < 0) {
        rig_finish(&rig);
        skip();
    }
    write_ballast(&rig, 3 << 20);
    rig_must_open(&rig);
    while (r == 0) {
        struct store_record rec = receipt("shop", "t", NULL, body);

        r = rig_append(&rig, &rec, 1);
        if (r == 0)
            CHECK_EQ(rec.seq, ++acked);
    }
    CHECK_EQ(r, UV_ENOSPC);
    CHECK(acked > 10);
    store_stats(rig.s, &stats);
    CHECK(!stats.failed);
    CHECK(stats.disk_low);
    CHECK_EQ(rig_report(&rig, REPORT_EVENTS, (struct store_filter){ .limit = 5 }), 0);
    rig_path(&rig, "ballast", path);
    CHECK_EQ(unlink(path), 0);
    for (int i = 0; i < 6000 && stats.disk_low; i++) { /* it looks once a second */
        uv_sleep(10);
        store_stats(rig.s, &stats);
    }
    CHECK(!stats.disk_low);
    CHECK_EQ(rig_receipt(&rig, "shop", "t", NULL, "{}"), acked + 1);
    /* the index goes on by itself, too, from the log: what it was handed is gone */
    for (r = UV_ENOSPC; r == UV_ENOSPC; uv_sleep(10))
        r = rig_event(&rig, acked + 1);
    CHECK_EQ(r, 0);
    rig_reopen(&rig);
    CHECK_EQ(rig_event(&rig, acked), 0);
    CHECK_EQ(rig.body.len, sizeof(body) - 1);
    CHECK_EQ(rig_receipt(&rig, "shop", "t", NULL, "{}"), acked + 2);
    rig_close(&rig);
    CHECK_EQ(umount(rig.dir), 0);
    rig_finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_known_within_the_group_that_brings_it),
        cmocka_unit_test(a_key_is_known_after_a_reopening),
        cmocka_unit_test(a_known_key_that_does_not_refuse_marks_the_payload),
        cmocka_unit_test(a_key_that_is_only_asked_for_is_not_entered),
        cmocka_unit_test(a_key_keeps_the_value_it_came_with),
        cmocka_unit_test(a_record_with_several_refusing_keys_takes_none_when_one_is_known),
        cmocka_unit_test(a_refused_record_does_not_hold_back_the_others_of_its_append),
        cmocka_unit_test(a_full_queue_refuses_all_but_internal_appends),
        cmocka_unit_test(below_the_reserve_only_internal_appends_are_admitted),
        cmocka_unit_test(a_malformed_append_is_refused_before_it_reaches_the_disk),
        cmocka_unit_test(closing_finishes_what_was_submitted_and_takes_no_more),
        cmocka_unit_test(an_idle_store_keeps_no_loop_alive),
        cmocka_unit_test(a_second_process_is_told_who_has_the_store),
        cmocka_unit_test(a_newer_schema_is_refused_and_both_versions_are_named),
        cmocka_unit_test(a_log_of_the_earlier_form_is_refused_and_left_alone),
        cmocka_unit_test(
            damage_is_counted_where_the_index_has_passed_it_and_refused_where_it_has_not),
        cmocka_unit_test(a_path_that_cannot_be_made_is_named),
        cmocka_unit_test(a_failed_fsync_is_not_retried_and_latches_the_store),
        cmocka_unit_test(a_full_disk_refuses_and_recovers_without_a_restart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
