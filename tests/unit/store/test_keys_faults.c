/*
 * The duplicate keys when the disk is full or lies, when memory runs out, and while a keeper works
 * beside the one who asks.
 */
#include "../check.h"
#include "../rounds.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>
#include "base/log.h"
#include "base/rng.h"
#include "store/disk.h"
#include "store/keys.h"
#include "torture.h"

#define SEGMENTS 12u
#define IN_EACH  300u

/* ---- a disk that refuses the nth call that changes something ---- */

static struct {
    atomic_uint_fast64_t calls, nth, times; /* nth 0: none */
    int code;
} faults;

static int fault(void)
{
    uint64_t now = ++faults.calls, nth = faults.nth;

    return nth && now >= nth && now < nth + faults.times ? faults.code : 0;
}

static ssize_t write_or_fail(int fd, const struct iovec *v, int n, uint64_t at)
{
    int r = fault();

    return r ? r : disk_system.write(fd, v, n, at);
}

static int sync_or_fail(int fd)
{
    (void)fd;
    return fault();
}

static int sync_dir_or_fail(const char *path)
{
    (void)path;
    return fault();
}

static int rename_or_fail(const char *from, const char *to)
{
    int r = fault();

    return r ? r : disk_system.rename(from, to);
}

static int open_or_fail(const char *path, int flags)
{
    int r = fault();

    return r ? r : disk_system.open(path, flags);
}

static struct disk disk;

static void disk_fails(uint64_t nth, uint64_t times, int code)
{
    faults.calls = 0;
    faults.nth = nth;
    faults.times = times;
    faults.code = code;
}

/* ---- the keys of segments 1..SEGMENTS ---- */

static struct key_entry entry_of(uint32_t segment, uint32_t i)
{
    struct key_entry e = { .seq = (uint64_t)segment * IN_EACH + i, .value = i };
    struct rng rng;
    uint64_t a, b;

    rng_seed(&rng, e.seq);
    a = rng_next(&rng);
    b = rng_next(&rng);
    memcpy(e.hash, &a, 8);
    memcpy(e.hash + 8, &b, 8);
    return e;
}

static char dir[64];

static void start(void)
{
    strcpy(dir, "/tmp/sluice-keysf-XXXXXX");
    CHECK(mkdtemp(dir) != NULL);
}

static void clear(bool all)
{
    DIR *d = opendir(dir);

    for (struct dirent *e; (e = readdir(d));) {
        char path[400];

        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.')
            unlink(path);
    }
    closedir(d);
    if (all)
        rmdir(dir);
}

static int add_segment(struct keys *k, uint32_t segment)
{
    int r = keys_reserve(k, IN_EACH);

    if (r < 0)
        return r;
    for (uint32_t i = 0; i < IN_EACH; i++) {
        struct key_entry e = entry_of(segment, i);

        keys_add(k, &e);
    }
    keys_commit(k);
    return 0;
}

/* Open, add what is missing, write and merge all; whatever fails is tried again, up to a bound.
 * How often something failed, or a code. */
static int life(struct keys **ret, unsigned tries)
{
    struct keys *k = NULL;
    unsigned failed = 0;
    int r;

    while ((r = keys_open(&k, dir, 1, SEGMENTS, NULL)) < 0)
        if (++failed > tries)
            return r;
    for (uint32_t s = 0; (s = keys_missing(k, s)) != 0;) {
        while (add_segment(k, s) < 0)
            CHECK(++failed <= tries);
        while (keys_seal(k, s) < 0)
            CHECK(++failed <= tries);
    }
    while (keys_work_due(k)) {
        r = keys_work(k);
        CHECK(r != 0);
        if (r < 0 && ++failed > tries)
            break;
    }
    *ret = k;
    return (int)failed;
}

static void check_all(struct keys *k)
{
    for (uint32_t s = 1; s <= SEGMENTS; s++)
        for (uint32_t i = 0; i < IN_EACH; i++) {
            struct key_entry e = entry_of(s, i), got;

            CHECK_EQ(keys_find(k, e.hash, &got), 1);
            CHECK_EQ(got.seq, e.seq);
            e.hash[3] ^= 1;
            CHECK_EQ(keys_find(k, e.hash, &got), 0);
        }
}

static size_t files(const char *end)
{
    DIR *d = opendir(dir);
    size_t n = 0;

    for (struct dirent *e; (e = readdir(d));) {
        size_t len = strlen(e->d_name);

        n += len > strlen(end) && strcmp(e->d_name + len - strlen(end), end) == 0;
    }
    closedir(d);
    return n;
}

/* ---- tests ---- */

static void test_a_step_the_disk_refuses_is_taken_again(void **state)
{
    static const int codes[] = { UV_ENOSPC, UV_EIO };

    (void)state;
    store_disk = &disk;
    start();
    for (size_t c = 0; c < 2; c++)
        for (uint64_t nth = 1;; nth += step_of(1)) {
            struct keys *k;
            int failed;

            disk_fails(nth, 1, codes[c]);
            failed = life(&k, 5);
            CHECK(failed == 0 || failed == 1);
            if (failed == 0 && faults.calls < nth) {
                keys_close(k);
                break; /* it makes fewer calls than that */
            }
            check_all(k);
            CHECK_EQ(files(".tmp"), 0);
            keys_close(k);
            disk_fails(0, 0, 0);
            CHECK_EQ(life(&k, 0), 0); /* and what it left can be opened */
            check_all(k);
            keys_close(k);
            clear(false);
        }
    disk_fails(0, 0, 0);
    clear(true);
}

static void test_a_full_disk_leaves_the_keys_in_memory(void **state)
{
    struct keys *k;
    struct keys_stats s;

    (void)state;
    store_disk = &disk;
    start();
    CHECK_EQ(keys_open(&k, dir, 1, 0, NULL), 0);
    disk_fails(1, UINT64_MAX / 2, UV_ENOSPC);
    for (uint32_t i = 1; i <= SEGMENTS; i++) {
        CHECK_EQ(add_segment(k, i), 0);
        CHECK_EQ(keys_seal(k, i), 0);
        CHECK_EQ(keys_work(k), UV_ENOSPC);
    }
    keys_stats(k, &s);
    CHECK_EQ(s.tables, SEGMENTS);
    check_all(k);
    disk_fails(0, 0, 0);
    while (keys_work_due(k))
        CHECK_EQ(keys_work(k), 1);
    keys_stats(k, &s);
    CHECK_EQ(s.tables, 0);
    CHECK_EQ(s.keys, SEGMENTS * IN_EACH);
    check_all(k);
    keys_close(k);
    clear(true);
}

static void test_every_allocation_may_fail(void **state)
{
    bool failed = true;

    (void)state;
    store_disk = &disk_system;
    start();
    for (uint64_t n = 1; failed; n += step_of(1)) {
        struct keys *k;

        torture_arm(TORTURE_OWN, n, false);
        CHECK(life(&k, 3) >= 0);
        failed = torture_disarm();
        check_all(k);
        keys_close(k);
        CHECK_EQ(life(&k, 0), 0);
        check_all(k);
        keys_close(k);
        clear(false);
    }
    clear(true);
}

/* ---- two threads ---- */

struct pair {
    struct keys *k;
    atomic_bool over;
    atomic_uint sealed;
};

static void keeper(void *ctx)
{
    struct pair *p = ctx;
    uint32_t gone = 0;

    while (!atomic_load(&p->over) || keys_work_due(p->k)) {
        uint32_t sealed = atomic_load(&p->sealed);

        CHECK(keys_work(p->k) >= 0);
        if (sealed > gone + 30)
            keys_retire(p->k, ++gone);
    }
}

static void test_the_one_who_asks_and_the_keeper_do_not_meet(void **state)
{
    struct pair p = { 0 };
    struct rng rng;
    uv_thread_t t;

    (void)state;
    store_disk = &disk_system;
    start();
    rng_seed(&rng, 1);
    CHECK_EQ(keys_open(&p.k, dir, 1, 0, NULL), 0);
    CHECK_EQ(uv_thread_create(&t, keeper, &p), 0);
    for (uint32_t s = 1; s <= 120; s++) {
        CHECK_EQ(add_segment(p.k, s), 0);
        CHECK_EQ(keys_seal(p.k, s), 0);
        atomic_store(&p.sealed, s);
        for (unsigned i = 0; i < 300; i++) {
            uint32_t back = (uint32_t)rng_below(&rng, s < 30 ? s : 30);
            struct key_entry e = entry_of(s - back, (uint32_t)rng_below(&rng, IN_EACH)), got;
            struct keys_stats stats;

            CHECK_EQ(keys_find(p.k, e.hash, &got), 1);
            CHECK_EQ(got.seq, e.seq);
            e.hash[5] ^= 8;
            CHECK_EQ(keys_find(p.k, e.hash, &got), 0);
            if (i % 50 == 0)
                keys_stats(p.k, &stats);
        }
    }
    atomic_store(&p.over, true);
    uv_thread_join(&t);
    keys_close(p.k);
    clear(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_step_the_disk_refuses_is_taken_again),
        cmocka_unit_test(test_a_full_disk_leaves_the_keys_in_memory),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_the_one_who_asks_and_the_keeper_do_not_meet),
    };

    log_setup(LOG_ERROR, LOG_TEXT);
    disk = disk_system;
    disk.write = write_or_fail;
    disk.sync = sync_or_fail;
    disk.sync_dir = sync_dir_or_fail;
    disk.rename = rename_or_fail;
    disk.open = open_or_fail;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
