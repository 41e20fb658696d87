/*
 * A store of many small segments and runs: damage anywhere is found, mended, and then gone.
 */
#include "../rounds.h"
#include "rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/rng.h"
#include "store/check.h"

#define RECEIPTS 300u
#define SEGMENT  (64u << 10)

static struct rig rig;
static struct rng rng;
static char saved[80];
static unsigned segments; /* how many there are */

/* Opened twice, so that each sealed segment has its keys in a run. */
static void fill(void)
{
    char body[1600], id[32], cmd[300];
    struct check_report r;

    rig_start(&rig);
    rig.conf.segment_bytes = SEGMENT;
    rng_seed(&rng, 1);
    memset(body, 'b', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    rig_must_open(&rig);
    for (unsigned i = 0; i < RECEIPTS; i++) {
        snprintf(id, sizeof(id), "id-%u", i);
        CHECK_EQ(rig_receipt(&rig, "shop", "orders/create", id, body), i + 1);
    }
    rig_reopen(&rig);
    rig_close(&rig);
    snprintf(saved, sizeof(saved), "%s-saved", rig.dir);
    snprintf(cmd, sizeof(cmd), "cp -r %s %s", rig.dir, saved);
    CHECK_EQ(system(cmd), 0);
    CHECK_EQ(store_check(rig.dir, &r, NULL), 0);
    segments = (unsigned)r.segments;
    CHECK(segments > 6);
    check_report_finish(&r);
}

static void as_new(void)
{
    char cmd[300];

    snprintf(cmd, sizeof(cmd), "rm -rf %s && cp -r %s %s", rig.dir, saved, rig.dir);
    CHECK_EQ(system(cmd), 0);
}

static void finish(void)
{
    char cmd[200];

    rig_finish(&rig);
    snprintf(cmd, sizeof(cmd), "rm -rf %s", saved);
    CHECK_EQ(system(cmd), 0);
}

static struct check_report look(bool repair)
{
    struct check_report r;
    struct fail fail = { 0 };
    int err = repair ? store_repair(rig.dir, &r, &fail) : store_check(rig.dir, &r, &fail);

    if (err < 0)
        print_error("%s\n", fail.text);
    CHECK_EQ(err, 0);
    return r;
}

static size_t findings(void)
{
    struct check_report r = look(false);
    size_t n = r.n;

    check_report_finish(&r);
    return n;
}

static void path_of(const char *name, char out[400])
{
    snprintf(out, 400, "%s/%s", rig.dir, name);
}

static uint64_t size_of(const char *name)
{
    char path[400];
    struct stat st;

    path_of(name, path);
    CHECK_EQ(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

/* The byte as it was. */
static uint8_t flip(const char *name, uint64_t at)
{
    char path[400];
    uint8_t b, was;
    int fd;

    path_of(name, path);
    fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    CHECK_EQ(pread(fd, &b, 1, (off_t)at), 1);
    was = b;
    b ^= (uint8_t)(1u << rng_below(&rng, 8));
    CHECK_EQ(pwrite(fd, &b, 1, (off_t)at), 1);
    close(fd);
    return was;
}

/* Repair; the store opens; every event is there, in the log too unless it was lost. */
static uint64_t mend(void)
{
    struct check_report r = look(true);
    uint64_t lost = r.lost, unreadable = 0;

    CHECK(r.n > 0);
    for (size_t i = 0; i < r.n; i++)
        CHECK(r.findings[i].done[0]);
    for (size_t i = 0; i < r.n_losses; i++)
        CHECK(strstr(r.losses[i].what, "shop orders/create") != NULL);
    check_report_finish(&r);
    CHECK_EQ(findings(), 0);
    rig_must_open(&rig);
    for (uint64_t id = 1; id <= RECEIPTS; id++) {
        int err = rig_event(&rig, id);

        if (err == 0)
            CHECK_EQ(rig.event_id, id);
        unreadable += err != 0;
    }
    CHECK_EQ(unreadable, lost);
    CHECK_EQ(rig_receipt(&rig, "shop", "orders/create", "another", "x"), RECEIPTS + 1);
    rig_close(&rig);
    CHECK_EQ(findings(), 0);
    return lost;
}

/* ---- tests ---- */

static void test_a_whole_store_has_no_finding_and_stays_as_it_is(void **state)
{
    char cmd[400];
    struct check_report r;

    (void)state;
    fill();
    r = look(false);
    CHECK_EQ(r.n, 0);
    CHECK_EQ(r.records, RECEIPTS);
    CHECK_EQ(r.events, RECEIPTS);
    CHECK_EQ(r.keys, RECEIPTS);
    CHECK_EQ(r.first, 1);
    CHECK_EQ(r.last, RECEIPTS);
    CHECK(r.compared);
    CHECK(r.runs > 0);
    check_report_finish(&r);
    snprintf(cmd, sizeof(cmd), "diff -r -x sluice.db-shm %s %s", rig.dir, saved);
    CHECK_EQ(system(cmd), 0);
    r = look(true); /* nothing to mend */
    CHECK_EQ(r.n, 0);
    check_report_finish(&r);
    CHECK_EQ(system(cmd), 0);
    finish();
}

static void test_a_wrong_byte_in_any_page_of_a_segment_is_found_and_mended(void **state)
{
    (void)state;
    fill();
    for (unsigned s = 1; s <= segments; s++) {
        char name[80];
        uint64_t size;

        snprintf(name, sizeof(name), "log/%010u.seg", s);
        size = size_of(name);
        for (uint64_t page = 0; page < size; page += 4096 * step_of(1)) {
            uint64_t at = page + rng_below(&rng, 4096);
            uint8_t was = flip(name, at);

            if (findings() == 0) {
                CHECK_EQ(was, 0); /* padding, or room that no record has */
            } else if (rng_below(&rng, 4) == 0 || page == 0) {
                CHECK(mend() <= 3);
            }
            as_new();
        }
    }
    finish();
}

static void test_a_wrong_byte_in_any_page_of_a_run_is_found_and_costs_nothing(void **state)
{
    DIR *d;
    char dir[100];

    (void)state;
    fill();
    snprintf(dir, sizeof(dir), "%s/log", saved);
    d = opendir(dir);
    for (struct dirent *e; (e = readdir(d));) {
        char name[300];

        if (!strstr(e->d_name, ".keys"))
            continue;
        snprintf(name, sizeof(name), "log/%s", e->d_name);
        for (uint64_t page = 0; page < size_of(name); page += 4096 * step_of(1)) {
            uint64_t left = size_of(name) - page;

            flip(name, page + rng_below(&rng, left < 4096 ? left : 4096));
            CHECK(findings() > 0);
            CHECK_EQ(mend(), 0);
            as_new();
        }
    }
    closedir(d);
    finish();
}

static void test_segments_cut_or_missing_are_found_and_mended(void **state)
{
    (void)state;
    fill();
    for (unsigned s = 1; s <= segments; s++)
        for (unsigned how = 0; how < 3; how++) {
            char name[80], path[400];

            snprintf(name, sizeof(name), "log/%010u.seg", s);
            path_of(name, path);
            if (how == 0 && s == 1) {
                continue; /* a log that begins later looks like one whose oldest part has gone */
            } else if (how == 0) {
                CHECK_EQ(unlink(path), 0);
            } else {
                CHECK_EQ(truncate(path, how == 1 ? 0 : (off_t)(4096 + rng_below(&rng, 8000))), 0);
            }
            CHECK(findings() > 0);
            CHECK(mend() > 0);
            as_new();
        }
    finish();
}

static void test_an_index_that_says_something_else_is_found_and_made_again(void **state)
{
    static const char *const changes[] = {
        "UPDATE events SET topic = 'orders/paid' WHERE id = 77",
        "DELETE FROM events WHERE id = 100",
        "UPDATE position SET watermark = 200",
        "INSERT INTO links VALUES(x'00', 'e', 'k', 'i', 's', 4096, 0)",
    };

    (void)state;
    fill();
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        char path[400];
        sqlite3 *db;

        path_of("sluice.db", path);
        CHECK_EQ(sqlite3_open(path, &db), SQLITE_OK);
        CHECK_EQ(sqlite3_exec(db, changes[i], NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        CHECK(findings() > 0);
        {
            struct check_report r = look(true);

            CHECK_EQ(r.lost, 0);
            check_report_finish(&r);
        }
        rig_must_open(&rig);
        CHECK_EQ(rig_event(&rig, 100), 0);
        rig_close(&rig);
        CHECK_EQ(findings(), 0);
        as_new();
    }
    finish();
}

static void test_a_store_in_use_is_refused(void **state)
{
    struct check_report r;
    struct fail fail = { 0 };

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    CHECK_EQ(store_check(rig.dir, &r, &fail), UV_EBUSY);
    check_report_finish(&r);
    CHECK(strstr(fail.text, "in use by process") != NULL);
    CHECK_EQ(store_repair(rig.dir, &r, &fail), UV_EBUSY);
    check_report_finish(&r);
    rig_close(&rig);
    CHECK_EQ(store_check("/nonexistent", &r, &fail), UV_ENOENT);
    check_report_finish(&r);
    rig_finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_store_has_no_finding_and_stays_as_it_is),
        cmocka_unit_test(test_a_wrong_byte_in_any_page_of_a_segment_is_found_and_mended),
        cmocka_unit_test(test_a_wrong_byte_in_any_page_of_a_run_is_found_and_costs_nothing),
        cmocka_unit_test(test_segments_cut_or_missing_are_found_and_mended),
        cmocka_unit_test(test_an_index_that_says_something_else_is_found_and_made_again),
        cmocka_unit_test(test_a_store_in_use_is_refused),
    };

    log_setup(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
