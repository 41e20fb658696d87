/*
 * test_admit.c - what is refused before it is queued, on a disk that is slow or hangs: by the
 * clock, with no answer from the disk.
 */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "store/disk.h"
#include "store/store_int.h"

#define APPENDS_MOST 64

/* ---- a disk whose syncs wait until they are let go ---- */

static struct disk slow;
static uv_mutex_t gate;
static uv_cond_t gate_moved;
static bool gate_closed;
static unsigned at_gate;

static int sync_at_gate(int fd)
{
    uv_mutex_lock(&gate);
    at_gate++;
    uv_cond_broadcast(&gate_moved);
    while (gate_closed)
        uv_cond_wait(&gate_moved, &gate);
    at_gate--;
    uv_mutex_unlock(&gate);
    return disk_system.sync(fd);
}

static void move_gate(bool closed)
{
    uv_mutex_lock(&gate);
    gate_closed = closed;
    uv_cond_broadcast(&gate_moved);
    uv_mutex_unlock(&gate);
}

static void wait_for_sync(void)
{
    uv_mutex_lock(&gate);
    while (at_gate == 0)
        uv_cond_wait(&gate_moved, &gate);
    uv_mutex_unlock(&gate);
}

/* ---- appends under way ---- */

static struct {
    struct rig *rig;
    struct store_append a[APPENDS_MOST];
    struct store_record r[APPENDS_MOST];
    size_t n, answered;
} way;

static void on_answer(struct store_append *a, int status)
{
    CHECK_EQ(status, 0);
    store_append_finish(a);
    way.rig->done = ++way.answered == way.n;
}

static int submit(size_t body_bytes, bool internal)
{
    char *body = calloc(1, body_bytes + 1);
    int r;

    assert_non_null(body);
    memset(body, 'x', body_bytes);
    way.r[way.n] = receipt("shop", "orders/paid", NULL, body);
    free(body);
    way.a[way.n] = (struct store_append){ .records = &way.r[way.n], .n = 1, .cb = on_answer };
    r = store_append(way.rig->s, &way.a[way.n], internal);
    if (r == 0)
        way.n++;
    else
        store_append_finish(&way.a[way.n]);
    return r;
}

static void start(struct rig *rig)
{
    memset(&way, 0, sizeof(way));
    way.rig = rig;
    uv_mutex_init(&gate);
    uv_cond_init(&gate_moved);
    at_gate = 0;
    gate_closed = false;
    slow = disk_system;
    slow.sync = sync_at_gate;
    store_disk = &slow;
    rig_start(rig);
    rig_must_open(rig);
}

static void finish(struct rig *rig)
{
    rig_finish(rig);
    store_disk = &disk_system;
    uv_cond_destroy(&gate_moved);
    uv_mutex_destroy(&gate);
}

/* One append whose sync hangs. */
static void hang(struct rig *rig)
{
    move_gate(true);
    rig->done = false;
    CHECK_EQ(submit(100, false), 0);
    uv_run(&rig->loop, UV_RUN_NOWAIT); /* publishes it */
    wait_for_sync();
}

static void let_go(struct rig *rig)
{
    move_gate(false);
    rig_wait(rig);
}

/* As if the commit under way had begun so long ago. */
static void age(struct rig *rig, uint64_t ms)
{
    atomic_store(&rig->s->group_since_us, clock_mono_us() - ms * 1000);
}

/* ---- tests ---- */

static void a_sync_that_hangs_leads_to_refusals_within_three_seconds(void **state)
{
    struct store_stats st;
    struct rig rig;

    (void)state;
    start(&rig);
    CHECK_EQ(store_wait_ms(rig.s), 0);
    hang(&rig);
    CHECK_EQ(submit(100, false), 0); /* it has only just begun */
    age(&rig, 2900);
    CHECK(store_wait_ms(rig.s) >= 2900);
    age(&rig, 3100);
    CHECK_EQ(submit(100, false), UV_EAGAIN);
    CHECK_EQ(submit(100, true), 0); /* what is known must not be lost */
    store_stats(rig.s, &st);
    CHECK(st.wait_ms >= 3100);
    CHECK(!st.failed);
    let_go(&rig);
    CHECK_EQ(way.answered, 3);
    finish(&rig);
}

static void the_wait_counts_on_by_the_clock_alone(void **state)
{
    uint64_t before;
    struct rig rig;

    (void)state;
    start(&rig);
    hang(&rig);
    before = store_wait_ms(rig.s);
    uv_sleep(30);
    CHECK(store_wait_ms(rig.s) >= before + 30);
    let_go(&rig);
    finish(&rig);
}

static void what_is_queued_counts_in_groups_of_the_usual_length(void **state)
{
    struct rig rig;

    (void)state;
    start(&rig);
    hang(&rig);
    age(&rig, 0);
    atomic_store(&rig.s->group_us, 1000000);
    CHECK(store_wait_ms(rig.s) >= 1000 && store_wait_ms(rig.s) < 1900);
    CHECK_EQ(submit(9u << 20, true), 0); /* more than one group holds */
    CHECK(store_wait_ms(rig.s) >= 2000 && store_wait_ms(rig.s) < 2900);
    CHECK_EQ(submit(9u << 20, true), 0);
    CHECK_EQ(submit(100, false), UV_EAGAIN);
    let_go(&rig);
    finish(&rig);
}

/* Else a store that was slow once would refuse for ever. */
static void with_nothing_queued_an_append_is_let_in_however_slow_the_last_was(void **state)
{
    struct rig rig;

    (void)state;
    start(&rig);
    atomic_store(&rig.s->group_us, 60000000);
    CHECK_EQ(store_wait_ms(rig.s), 0);
    rig.done = false;
    CHECK_EQ(submit(100, false), 0);
    CHECK_EQ(submit(100, false), UV_EAGAIN);
    rig_wait(&rig);
    CHECK(atomic_load(&rig.s->group_us) < 60000000);
    finish(&rig);
}

static void a_queue_full_of_bytes_is_full_whatever_the_wait(void **state)
{
    struct rig rig;

    (void)state;
    start(&rig);
    CHECK_EQ(rig.conf.max_queue_bytes, 32u << 20);
    hang(&rig);
    while (way.n < 5)
        CHECK_EQ(submit(7u << 20, way.n == 4), 0);
    CHECK_EQ(submit(7u << 20, false), UV_ENOBUFS);
    CHECK_EQ(submit(100, true), 0);
    let_go(&rig);
    finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sync_that_hangs_leads_to_refusals_within_three_seconds),
        cmocka_unit_test(the_wait_counts_on_by_the_clock_alone),
        cmocka_unit_test(what_is_queued_counts_in_groups_of_the_usual_length),
        cmocka_unit_test(with_nothing_queued_an_append_is_let_in_however_slow_the_last_was),
        cmocka_unit_test(a_queue_full_of_bytes_is_full_whatever_the_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
