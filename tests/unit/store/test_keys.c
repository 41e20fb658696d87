/*
 * The duplicate keys against a simple model: random steps, a seed each, reopened again and again.
 */
#include "../check.h"
#include "../rounds.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>
#include "base/digest.h"
#include "base/log.h"
#include "base/rng.h"
#include "store/disk.h"
#include "store/keyrun.h"
#include "store/keys.h"

#define MOST (1u << 16)

/* What the log would hold: each key, its segment. A key's hash is made of its place here. */
struct model_key {
    struct key_entry e;
    uint32_t segment;
    bool kept; /* its group was committed */
};

struct world {
    char dir[64];
    struct keys *k;
    struct rng rng;
    struct model_key *keys;
    size_t n, committed;
    uint32_t first, open; /* segments kept from; being written */
    uint64_t seq;
};

static void hash_of(uint64_t salt, uint64_t i, uint8_t out[16])
{
    uint8_t full[32];
    uint64_t in[2] = { salt, i };

    digest_sha256(in, sizeof(in), full);
    memcpy(out, full, 16);
}

static void remove_all(const char *dir)
{
    DIR *d = opendir(dir);

    for (struct dirent *e; (e = readdir(d));) {
        char path[400];

        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.')
            unlink(path);
    }
    closedir(d);
    rmdir(dir);
}

/* How many files' names end so. */
static size_t files(const char *dir, const char *end)
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

static void open_keys(struct world *w)
{
    struct fail fail = { 0 };

    CHECK_EQ(keys_open(&w->k, w->dir, w->first, w->open - 1, &fail), 0);
}

static void start(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof(*w));
    strcpy(w->dir, "/tmp/sluice-keys-XXXXXX");
    CHECK(mkdtemp(w->dir) != NULL);
    rng_seed(&w->rng, seed);
    w->keys = calloc(MOST, sizeof(*w->keys));
    w->first = w->open = 1;
    open_keys(w);
}

static void finish(struct world *w)
{
    keys_close(w->k);
    remove_all(w->dir);
    free(w->keys);
}

/* ---- steps ---- */

static void add(struct world *w)
{
    struct model_key *m = &w->keys[w->n];
    struct key_entry e;

    CHECK(w->n < MOST);
    hash_of((uintptr_t)w->keys, w->n, m->e.hash);
    m->e.seq = ++w->seq;
    m->e.value = rng_next(&w->rng);
    m->segment = w->open;
    CHECK_EQ(keys_find(w->k, m->e.hash, &e), 0);
    CHECK_EQ(keys_reserve(w->k, 1), 0);
    keys_add(w->k, &m->e);
    w->n++;
}

static void commit(struct world *w)
{
    keys_commit(w->k);
    w->committed = w->n;
}

static void rollback(struct world *w)
{
    keys_rollback(w->k);
    w->n = w->committed;
}

static void add_group(struct world *w, size_t n)
{
    while (n-- > 0)
        add(w);
    commit(w);
}

static void seal(struct world *w)
{
    CHECK_EQ(keys_seal(w->k, w->open), 0);
    CHECK_EQ(keys_newest(w->k), 0);
    w->open++;
}

static void work_all(struct world *w)
{
    while (keys_work_due(w->k))
        CHECK_EQ(keys_work(w->k), 1);
    CHECK_EQ(keys_work(w->k), 0);
}

/* As the log does at opening: what no run covers is added from its segments. */
static void add_segment(struct world *w, uint32_t segment)
{
    for (size_t i = 0; i < w->committed; i++)
        if (w->keys[i].segment == segment) {
            CHECK_EQ(keys_reserve(w->k, 1), 0);
            keys_add(w->k, &w->keys[i].e);
        }
    keys_commit(w->k);
}

static uint32_t reopen(struct world *w)
{
    uint32_t added = 0;

    rollback(w);
    keys_close(w->k);
    open_keys(w);
    for (uint32_t s = 0; (s = keys_missing(w->k, s)) != 0; added++) {
        add_segment(w, s);
        CHECK_EQ(keys_seal(w->k, s), 0);
    }
    add_segment(w, w->open);
    return added;
}

static void retire(struct world *w)
{
    if (w->first < w->open)
        keys_retire(w->k, ++w->first);
}

/* ---- what must hold ---- */

static void check_key(struct world *w, const struct model_key *m)
{
    struct key_entry e = { 0 };
    int r = keys_find(w->k, m->e.hash, &e);

    if (m->segment >= w->first)
        CHECK_EQ(r, 1);
    CHECK(r == 0 || r == 1); /* one that is gone may be remembered, as part of a wide run */
    if (r == 1) {
        CHECK(memcmp(e.hash, m->e.hash, 16) == 0);
        CHECK_EQ(e.seq, m->e.seq);
        CHECK_EQ(e.value, m->e.value);
    }
}

static void check_all(struct world *w)
{
    struct key_entry e;
    uint8_t hash[16];

    for (size_t i = 0; i < w->n; i++)
        check_key(w, &w->keys[i]);
    for (size_t i = 0; i < 200; i++) {
        hash_of((uintptr_t)w->keys, MOST + i, hash);
        CHECK_EQ(keys_find(w->k, hash, &e), 0);
    }
}

static void check_some(struct world *w)
{
    for (size_t i = 0; w->n && i < 20; i++)
        check_key(w, &w->keys[rng_below(&w->rng, w->n)]);
}

/* ---- tests ---- */

static void step(struct world *w)
{
    switch (rng_below(&w->rng, 12)) {
    case 0:
        for (uint64_t n = rng_below(&w->rng, 60); n > 0; n--)
            add(w);
        rollback(w);
        break;
    case 1:
    case 2:
        seal(w);
        break;
    case 3:
        if (rng_below(&w->rng, 3) == 0)
            retire(w);
        break;
    case 4:
        reopen(w);
        break;
    case 5:
    case 6:
    case 7:
        CHECK(keys_work(w->k) >= 0);
        break;
    default:
        add_group(w, rng_below(&w->rng, 60));
    }
}

static void test_random_steps_agree_with_a_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= part_of(12); seed++) {
        struct world w;

        start(&w, seed);
        for (unsigned i = 0; i < 400; i++) {
            step(&w);
            if (w.n > w.committed)
                commit(&w);
            check_some(&w);
        }
        check_all(&w);
        work_all(&w);
        check_all(&w);
        CHECK_EQ(reopen(&w), 0);
        check_all(&w);
        finish(&w);
    }
}

static void test_what_is_rolled_back_was_never_there(void **state)
{
    struct world w;
    struct key_entry e, gone;

    (void)state;
    start(&w, 1);
    add_group(&w, 100);
    for (unsigned i = 0; i < 1000; i++)
        add(&w); /* the table grows meanwhile */
    gone = w.keys[500].e;
    CHECK_EQ(keys_find(w.k, gone.hash, &e), 1);
    rollback(&w);
    CHECK_EQ(keys_find(w.k, gone.hash, &e), 0);
    CHECK_EQ(keys_newest(w.k), 100);
    check_all(&w);
    finish(&w);
}

static void test_few_filters_are_asked_however_long_the_log_is(void **state)
{
    struct world w;
    struct keys_stats s;

    (void)state;
    start(&w, 2);
    for (unsigned i = 0; i < 350; i++) {
        add_group(&w, 5);
        seal(&w);
        work_all(&w);
        keys_stats(w.k, &s);
        CHECK(s.runs <= 7 * 2 + i / 64);
        CHECK_EQ(s.tables, 0);
        CHECK_EQ(s.keys, w.n);
    }
    check_all(&w);
    CHECK_EQ(files(w.dir, ".keys"), s.runs);
    CHECK_EQ(reopen(&w), 0);
    check_all(&w);
    finish(&w);
}

static void test_a_segment_without_keys_is_covered_too(void **state)
{
    struct world w;

    (void)state;
    start(&w, 3);
    for (unsigned i = 0; i < 20; i++) {
        if (i % 5 == 4)
            add_group(&w, 3);
        seal(&w);
    }
    work_all(&w);
    CHECK_EQ(reopen(&w), 0);
    check_all(&w);
    finish(&w);
}

static void test_runs_go_with_the_newest_segment_they_cover(void **state)
{
    struct world w;
    struct keys_stats s;

    (void)state;
    start(&w, 4);
    for (unsigned i = 0; i < 20; i++) {
        add_group(&w, 10);
        seal(&w);
    }
    work_all(&w); /* 1-8, 9-16, 17, 18, 19, 20 */
    while (w.first < 8)
        retire(&w);
    CHECK_EQ(files(w.dir, ".keys"), 6);
    CHECK_EQ(reopen(&w), 0);
    CHECK_EQ(files(w.dir, ".keys"), 6);
    retire(&w);
    CHECK_EQ(files(w.dir, ".keys"), 5);
    keys_stats(w.k, &s);
    CHECK_EQ(s.runs, 5);
    check_all(&w);
    while (w.first < w.open)
        retire(&w);
    CHECK_EQ(files(w.dir, ".keys"), 0);
    CHECK_EQ(reopen(&w), 0);
    finish(&w);
}

static void test_keys_of_equal_beginning_are_told_apart(void **state)
{
    struct world w;
    struct key_entry e = { .hash = { 7, 7, 7, 7, 7, 7, 7, 7 } }, got;

    (void)state;
    start(&w, 5);
    CHECK_EQ(keys_reserve(w.k, 1000), 0);
    for (uint32_t i = 0; i < 1000; i++) { /* many pages begin with the same eight bytes */
        uint32_t v = i * 2654435761u;

        memcpy(e.hash + 8, &v, 4);
        e.seq = i + 1;
        keys_add(w.k, &e);
    }
    keys_commit(w.k);
    seal(&w);
    work_all(&w);
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t v = i * 2654435761u;

        memcpy(e.hash + 8, &v, 4);
        CHECK_EQ(keys_find(w.k, e.hash, &got), 1);
        CHECK_EQ(got.seq, i + 1);
        e.hash[15] = 1;
        CHECK_EQ(keys_find(w.k, e.hash, &got), 0);
        e.hash[15] = 0;
    }
    finish(&w);
}

static void test_a_filter_says_maybe_for_few_that_are_not_there(void **state)
{
    struct world w;
    struct keys_stats s;
    uint8_t hash[16];

    (void)state;
    start(&w, 6);
    add_group(&w, 30000);
    seal(&w);
    work_all(&w);
    for (uint64_t i = 0; i < 100000; i++) {
        struct key_entry e;

        hash_of((uintptr_t)w.keys, MOST + i, hash);
        CHECK_EQ(keys_find(w.k, hash, &e), 0);
    }
    keys_stats(w.k, &s);
    CHECK(s.filter_maybes < 1000); /* one in a hundred; it should be half of that */
    CHECK(s.reads <= s.filter_maybes &&
          s.reads + 10 > s.filter_maybes); /* some lie outside the run */
    finish(&w);
}

/* ---- damage ---- */

static void copy_tree(const char *from, const char *to)
{
    char cmd[300];

    snprintf(cmd, sizeof(cmd), "rm -rf %s && cp -r %s %s", to, from, to);
    CHECK_EQ(system(cmd), 0);
}

static void flip(const char *path, uint64_t at)
{
    int fd = open(path, O_RDWR);
    uint8_t b;

    CHECK(fd >= 0);
    CHECK_EQ(pread(fd, &b, 1, (off_t)at), 1);
    b ^= 0x10;
    CHECK_EQ(pwrite(fd, &b, 1, (off_t)at), 1);
    close(fd);
}

/* Keys are found, or it is said that they cannot be; and the next opening has all of them. */
static void check_damaged(struct world *w)
{
    bool said = false;

    for (size_t i = 0; i < w->n; i++) {
        struct key_entry e;
        int r = keys_find(w->k, w->keys[i].e.hash, &e);

        CHECK(r == 1 || r == UV_EILSEQ);
        said |= r == UV_EILSEQ;
    }
    if (said) {
        CHECK(keys_work_due(w->k));
        work_all(w);
        CHECK(reopen(w) > 0);
    }
    check_all(w);
}

static void test_a_byte_wrong_in_any_page_is_found(void **state)
{
    struct world w;
    char path[KEYRUN_PATH], saved[80];
    struct stat st;

    (void)state;
    start(&w, 7);
    add_group(&w, 3000);
    seal(&w);
    work_all(&w);
    keyrun_path(w.dir, 1, 1, path);
    CHECK_EQ(stat(path, &st), 0);
    snprintf(saved, sizeof(saved), "%s-saved", w.dir);
    copy_tree(w.dir, saved);
    for (uint64_t at = 0; at < (uint64_t)st.st_size; at += 512 * step_of(1)) {
        uint64_t byte = at + rng_below(&w.rng, 512);

        if (byte >= (uint64_t)st.st_size)
            break;
        keys_close(w.k);
        copy_tree(saved, w.dir);
        flip(path, byte);
        open_keys(&w);
        if (keys_missing(w.k, 1))
            CHECK_EQ(reopen(&w), 1);
        check_damaged(&w);
    }
    finish(&w);
    remove_all(saved);
}

static void test_a_run_cut_short_or_missing_is_made_again(void **state)
{
    struct world w;
    char path[KEYRUN_PATH];
    struct stat st;

    (void)state;
    start(&w, 8);
    add_group(&w, 1000);
    seal(&w);
    add_group(&w, 1000);
    seal(&w);
    keyrun_path(w.dir, 1, 1, path);
    for (unsigned i = 0; i < 20; i++) {
        work_all(&w);
        CHECK_EQ(stat(path, &st), 0);
        CHECK_EQ(truncate(path, (off_t)rng_below(&w.rng, (uint64_t)st.st_size)), 0);
        CHECK_EQ(reopen(&w), 1);
        check_all(&w);
    }
    work_all(&w);
    unlink(path);
    CHECK_EQ(reopen(&w), 1);
    check_all(&w);
    finish(&w);
}

static void test_leftovers_are_removed(void **state)
{
    static const char *const names[] = {
        "0000000003-0000000003.keys.tmp",
        "0000000001-0000000008.keys.tmp",
        "0000000040-0000000040.keys",
        "0000000001-0000000040.keys",
        "notes.txt",
        "1-2.keys",
    };
    struct world w;
    char path[160];

    (void)state;
    start(&w, 9);
    for (unsigned i = 0; i < 5; i++) {
        add_group(&w, 10);
        seal(&w);
    }
    work_all(&w);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", w.dir, names[i]);
        close(open(path, O_WRONLY | O_CREAT, 0600));
    }
    CHECK_EQ(reopen(&w), 0);
    check_all(&w);
    CHECK_EQ(files(w.dir, ".tmp"), 0);
    CHECK_EQ(files(w.dir, ".keys"), 5 + 1); /* what is not one of ours stays */
    CHECK_EQ(files(w.dir, ".txt"), 1);
    finish(&w);
}

static void test_what_a_merge_was_made_of_does_not_stand_beside_it(void **state)
{
    struct world w;
    char saved[80], cmd[300];

    (void)state;
    start(&w, 10);
    for (unsigned i = 0; i < 8; i++) {
        add_group(&w, 100);
        seal(&w);
        CHECK_EQ(keys_work(w.k), 1); /* written, not merged */
    }
    snprintf(saved, sizeof(saved), "%s-saved", w.dir);
    copy_tree(w.dir, saved);
    work_all(&w);
    CHECK_EQ(files(w.dir, ".keys"), 1);
    snprintf(cmd, sizeof(cmd), "cp %s/* %s/", saved, w.dir);
    CHECK_EQ(system(cmd), 0);
    CHECK_EQ(files(w.dir, ".keys"), 9);
    CHECK_EQ(reopen(&w), 0);
    CHECK_EQ(files(w.dir, ".keys"), 1);
    check_all(&w);
    /* The merged one damaged at its head, the parts there: they serve. */
    snprintf(cmd, sizeof(cmd), "cp %s/* %s/", saved, w.dir);
    CHECK_EQ(system(cmd), 0);
    snprintf(cmd, sizeof(cmd), "%s/0000000001-0000000008.keys", w.dir);
    flip(cmd, 30);
    CHECK_EQ(reopen(&w), 0);
    CHECK_EQ(files(w.dir, ".keys"), 8);
    CHECK_EQ(files(w.dir, ".bad"), 1);
    check_all(&w);
    finish(&w);
    remove_all(saved);
}

static void test_runs_made_again_in_the_middle_become_few(void **state)
{
    struct world w;
    struct keys_stats s;
    char path[KEYRUN_PATH];

    (void)state;
    start(&w, 11);
    for (unsigned i = 0; i < 130; i++) {
        add_group(&w, 3);
        seal(&w);
    }
    work_all(&w); /* 1-64, 65-128, 129, 130 */
    while (w.first < 5)
        retire(&w);
    keyrun_path(w.dir, 1, 64, path);
    unlink(path);
    CHECK_EQ(reopen(&w), 60);
    work_all(&w); /* seven of eight and what is left, put together; then the others */
    keys_stats(w.k, &s);
    CHECK(s.runs <= 6);
    check_all(&w);
    finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_steps_agree_with_a_model),
        cmocka_unit_test(test_what_is_rolled_back_was_never_there),
        cmocka_unit_test(test_few_filters_are_asked_however_long_the_log_is),
        cmocka_unit_test(test_a_segment_without_keys_is_covered_too),
        cmocka_unit_test(test_runs_go_with_the_newest_segment_they_cover),
        cmocka_unit_test(test_keys_of_equal_beginning_are_told_apart),
        cmocka_unit_test(test_a_filter_says_maybe_for_few_that_are_not_there),
        cmocka_unit_test(test_a_byte_wrong_in_any_page_is_found),
        cmocka_unit_test(test_a_run_cut_short_or_missing_is_made_again),
        cmocka_unit_test(test_leftovers_are_removed),
        cmocka_unit_test(test_what_a_merge_was_made_of_does_not_stand_beside_it),
        cmocka_unit_test(test_runs_made_again_in_the_middle_become_few),
    };

    log_setup(LOG_ERROR, LOG_TEXT); /* damage is what these are about */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
