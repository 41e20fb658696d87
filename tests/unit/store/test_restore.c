/*
 * test_restore.c - a backup put back: silent, refused, killed.
 */
#include "backup_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"
#include "base/rng.h"
#include "store/manifest.h"

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

static void test_a_restore_killed_at_any_moment_leaves_the_old_store_or_the_new_one(void **state)
{
    struct rng rng;
    unsigned ended = 0, killed = 0, tries = 0;

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
        tries++;
        status = kill_after(child, rng_below(&rng, ended < 2 ? 60000 * tries : 30000));
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
        cmocka_unit_test(test_what_was_not_final_is_held_or_unknown_after_a_restore),
        cmocka_unit_test(test_a_folder_that_is_no_whole_backup_is_refused),
        cmocka_unit_test(test_a_restore_broken_off_between_two_names_is_no_empty_store),
        cmocka_unit_test(test_a_manifest_cut_anywhere_is_refused),
        cmocka_unit_test(test_a_store_that_is_there_is_moved_aside_or_left_alone),
        cmocka_unit_test(test_a_restore_killed_at_any_moment_leaves_the_old_store_or_the_new_one),
    };

    log_setup(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
