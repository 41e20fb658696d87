/*
 * test_crash.c - a process that is killed at any moment keeps what it was told is durable.
 *
 * This shows that an acknowledgement comes after the commit; that the commit reaches the platter is
 * beyond a killed process (the page cache survives it).
 */
#include "rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/rng.h"

#define ROUNDS      20
#define OUTSTANDING 8

/* ---- the child: appends without end, prints what is durable ---- */

struct slot {
    struct store_append a;
    struct store_record r;
};

static struct rig child;
static struct slot slots[OUTSTANDING];
static int report_fd;

static void on_durable(struct store_append *a, int status);

static void append_slot(struct slot *slot)
{
    char body[512];
    int n = (int)(sizeof(body) - 1);

    memset(body, 'x', (size_t)n);
    body[n] = '\0';
    slot->r = receipt("shop", "orders/paid", NULL, body);
    slot->a = (struct store_append){ .records = &slot->r, .n = 1, .cb = on_durable };
    if (store_append(child.s, &slot->a, false) < 0)
        _exit(2);
}

static void on_durable(struct store_append *a, int status)
{
    struct slot *slot = container_of(a, struct slot, a);
    uint64_t seq = slot->r.seq;

    if (status < 0 || write(report_fd, &seq, sizeof(seq)) != sizeof(seq))
        _exit(2);
    store_append_finish(a);
    append_slot(slot);
}

static void run_child(const struct rig *rig, int fd)
{
    report_fd = fd;
    child = *rig;
    if (uv_loop_init(&child.loop) < 0 || rig_open(&child) < 0)
        _exit(2);
    for (int i = 0; i < OUTSTANDING; i++)
        append_slot(&slots[i]);
    uv_run(&child.loop, UV_RUN_DEFAULT);
    _exit(2);
}

/* Kill it after a while; the newest number that it was told is durable. */
static uint64_t one_round(const struct rig *rig, unsigned wait_us, uint64_t newest)
{
    uint64_t seq;
    int fds[2], status;
    pid_t pid;

    CHECK_EQ(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(fds[0]);
        run_child(rig, fds[1]);
    }
    close(fds[1]);
    /* the first one says that it is under way */
    CHECK_EQ(read(fds[0], &seq, sizeof(seq)), sizeof(seq));
    newest = seq > newest ? seq : newest;
    usleep(wait_us);
    kill(pid, SIGKILL);
    while (read(fds[0], &seq, sizeof(seq)) == sizeof(seq))
        newest = seq > newest ? seq : newest;
    close(fds[0]);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return newest;
}

static void what_was_acknowledged_is_there_after_kill_9(void **state)
{
    uint64_t newest = 0;
    struct store_stats stats;
    struct rng rng;
    struct rig rig;

    (void)state;
    rng_seed(&rng, 20);
    rig_start(&rig);
    for (int round = 0; round < ROUNDS; round++) {
        newest = one_round(&rig, (unsigned)rng_below(&rng, 40000), newest);
        rig_must_open(&rig);
        store_stats(rig.s, &stats);
        CHECK(stats.log_seq >= newest);
        CHECK_EQ(stats.index_seq, stats.log_seq);
        CHECK_EQ(rig_event(&rig, newest), 0);
        CHECK_EQ(rig.body.len, 511);
        rig_close(&rig);
        newest = stats.log_seq;
    }
    print_message("%d kills, %llu records\n", ROUNDS, (unsigned long long)newest);
    rig_finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_is_there_after_kill_9),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
