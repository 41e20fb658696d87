/*
 * test_mapper_faults.c - programs that loop, crash and eat memory, and workers that are killed.
 */
#include "map_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include "base/log.h"
#include "torture.h"

#define ENDLESS "def f: f; f"
#define CRASH   "infinite | strftime(\"%c\")" /* an assertion of libjq 1.6 */

static struct mapper_stats stats_of(const struct rig *rig)
{
    struct mapper_stats s;

    mapper_stats(rig->m, &s);
    return s;
}

/* The processes whose parent is this one; returns how many. */
static size_t children(pid_t *ret, size_t room)
{
    DIR *dir = opendir("/proc");
    struct dirent *e;
    size_t n = 0;

    CHECK(dir != NULL);
    while ((e = readdir(dir)) && n < room) {
        char path[300], line[512] = "", *after;
        int pid = atoi(e->d_name), parent, fd;
        char state;

        snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
        if (pid <= 0 || (fd = open(path, O_RDONLY)) < 0)
            continue;
        ssize_t got = read(fd, line, sizeof(line) - 1);
        close(fd);
        after = got > 0 ? strrchr(line, ')') : NULL;
        if (after && sscanf(after, ") %c %d", &state, &parent) == 2 && parent == getpid() &&
            state != 'Z')
            ret[n++] = pid;
    }
    closedir(dir);
    return n;
}

static void an_endless_program_is_killed_twice_and_the_others_succeed(void **state)
{
    struct seen loop = { 0 }, good[15] = { 0 };
    struct rig rig;

    (void)state;
    rig_open(&rig, (struct mapper_conf){ .workers = 2, .deadline_ms = 700 });
    for (int i = 0; i < 7; i++)
        rig_start(&rig, ". + 1", "1", &good[i]);
    rig_start(&rig, ENDLESS, "1", &loop);
    for (int i = 7; i < 15; i++)
        rig_start(&rig, ". + 1", "1", &good[i]);
    for (int i = 0; i < 15; i++) {
        rig_wait(&rig, &good[i]);
        CHECK_EQ(good[i].status[0], 0);
        CHECK_VIEW(buf_view(&good[i].outputs[0]), "2");
        seen_finish(&good[i]);
    }
    rig_wait(&rig, &loop);
    CHECK_EQ(loop.status[0], MAP_E_KILLED);
    CHECK_VIEW(buf_view(&loop.why[0]), "ran past its deadline of 700 ms, twice");
    CHECK_EQ(stats_of(&rig).deaths, 2);
    CHECK_EQ(stats_of(&rig).killed_jobs, 1);
    CHECK_EQ(stats_of(&rig).jobs, 16);
    seen_finish(&loop);
    rig_close(&rig);
}

static void a_worker_that_no_memory_is_left_to_hear_costs_its_program_nothing(void **state)
{
    struct seen s = { 0 };
    struct rig rig;
    int left = 4; /* two deaths of its own would be the end of a program */

    (void)state;
    rig_open(&rig, (struct mapper_conf){ .workers = 1 });
    rig_start(&rig, "[range(100000)]", "1", &s);
    while (s.calls == 0) {
        bool armed = left > 0 && stats_of(&rig).workers_up == 1;

        if (armed)
            torture_arm(TORTURE_OWN, 1, false);
        uv_run(&rig.loop, UV_RUN_ONCE);
        left -= armed && torture_disarm();
    }
    CHECK_EQ(left, 0);
    CHECK_EQ(s.status[0], 0);
    CHECK_EQ(stats_of(&rig).deaths, 4);
    CHECK_EQ(stats_of(&rig).killed_jobs, 0);
    seen_finish(&s);
    rig_close(&rig);
}

static void a_crash_charges_its_own_run_and_spares_the_jobs_other_programs(void **state)
{
    struct map_run runs[4] = { 0 };
    struct seen s = { 0 };
    struct rig rig;

    (void)state;
    rig_open(&rig, (struct mapper_conf){ .workers = 1 });
    runs[0].program = rig_program(&rig, ".a");
    runs[1].program = rig_program(&rig, CRASH);
    runs[2].program = rig_program(&rig, ".a + 1");
    runs[3].program = rig_program(&rig, CRASH " | 1");
    CHECK_EQ(mapper_run(rig.m, STR("{\"a\":1}"), runs, 4, rig_on_result, &s), 0);
    for (int i = 0; i < 4; i++)
        map_program_put(runs[i].program);
    rig_wait(&rig, &s);
    CHECK_VIEW(buf_view(&s.outputs[0]), "1");
    CHECK_EQ(s.status[1], MAP_E_KILLED);
    CHECK_VIEW(buf_view(&s.why[1]), "killed its worker, twice: signal 6");
    CHECK_VIEW(buf_view(&s.outputs[2]), "2");
    CHECK_EQ(s.status[3], MAP_E_KILLED);
    CHECK_EQ(stats_of(&rig).deaths, 4);
    seen_finish(&s);
    rig_gives(&rig, ".", "1", "1");
    rig_close(&rig);
}

static void a_job_that_kills_worker_after_worker_is_given_up(void **state)
{
    struct map_run runs[8] = { 0 };
    struct seen s = { 0 };
    struct rig rig;

    (void)state;
    rig_open(&rig, (struct mapper_conf){ .workers = 1 });
    for (int i = 0; i < 8; i++)
        runs[i].program = rig_program(&rig, CRASH);
    CHECK_EQ(mapper_run(rig.m, STR("1"), runs, 8, rig_on_result, &s), 0);
    for (int i = 0; i < 8; i++)
        map_program_put(runs[i].program);
    rig_wait(&rig, &s);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(s.status[i], MAP_E_KILLED);
    CHECK_VIEW(buf_view(&s.why[3]), "killed its worker, twice: signal 6");
    CHECK(strstr(s.why[4].data, "given up") != NULL);
    CHECK_EQ(stats_of(&rig).deaths, 8);
    seen_finish(&s);
    rig_close(&rig);
}

#ifndef SLUICE_SANITIZED /* there memory is not limited, and the stack looks different */
static void a_memory_bomb_is_told_as_such(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, (struct mapper_conf){ .workers = 1, .memory = UINT64_C(128) << 20 });
    rig_fails(&rig, "[range(1e9)]", "1", MAP_E_KILLED, "used up its memory of 128 MiB, twice");
    rig_fails(&rig, "def f: 1 + f; f", "1", MAP_E_KILLED, "used up its memory of 128 MiB, twice");
    rig_fails(&rig, "reduce range(1000000) as $i (.; [.]) | 1", "1", MAP_E_KILLED,
              "killed its worker, twice: signal 11");
    rig_gives(&rig, ".", "1", "1");
    rig_close(&rig);
}

static void an_input_beyond_the_workers_memory_is_charged_to_its_job(void **state)
{
    struct buf json = { 0 };
    struct seen big = { 0 }, small = { 0 };
    struct rig rig;

    (void)state;
    buf_char(&json, '"');
    for (int i = 0; i < 80 * 1024; i++)
        buf_printf(&json, "%01024d", i);
    buf_char(&json, '"');
    rig_open(&rig, (struct mapper_conf){ .workers = 1, .memory = UINT64_C(64) << 20 });
    rig_start(&rig, ".", json.data, &big);
    rig_start(&rig, ".", "1", &small);
    rig_wait(&rig, &big);
    CHECK_EQ(big.status[0], MAP_E_KILLED);
    CHECK_VIEW(buf_view(&big.why[0]), "used up its memory of 64 MiB, twice");
    rig_wait(&rig, &small);
    CHECK_EQ(small.status[0], 0);
    seen_finish(&big);
    seen_finish(&small);
    buf_finish(&json);
    rig_close(&rig);
}

static void a_worker_has_neither_environment_nor_descriptors(void **state)
{
    struct rig rig;
    pid_t pid;
    char path[64], byte;
    int fd, open_here = dup(0); /* not close-on-exec */

    (void)state;
    rig_open(&rig, (struct mapper_conf){ .workers = 1 });
    rig_gives(&rig, ".", "1", "1");
    CHECK_EQ(children(&pid, 1), 1);
    snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
    CHECK((fd = open(path, O_RDONLY)) >= 0);
    CHECK_EQ(read(fd, &byte, 1), 0);
    close(fd);
    for (int i = 0; i < 64; i++) {
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, i);
        CHECK_EQ(readlink(path, &byte, 1) > 0, i <= 3);
    }
    close(open_here);
    rig_close(&rig);
}
#endif

static void killed_workers_lose_no_job(void **state)
{
    enum { JOBS = 200 };
    struct seen *s = mem_array(JOBS, sizeof(*s));
    uint64_t next = 20;
    pid_t pids[8];
    struct rig rig;

    (void)state;
    rig_open(&rig, (struct mapper_conf){ .workers = 2 });
    for (int i = 0; i < JOBS; i++) {
        char input[16];

        snprintf(input, sizeof(input), "%d", i);
        rig_start(&rig, "[range(20000)] | length", input, &s[i]);
    }
    while (stats_of(&rig).jobs < JOBS) {
        uv_run(&rig.loop, UV_RUN_ONCE);
        /* far enough apart that none strikes the same job twice */
        if (stats_of(&rig).jobs >= next && children(pids, 8) > 0) {
            CHECK_EQ(kill(pids[0], SIGKILL), 0);
            next += 40;
        }
    }
    for (int i = 0; i < JOBS; i++) {
        CHECK_EQ(s[i].calls, 1);
        CHECK_EQ(s[i].status[0], 0);
        CHECK_VIEW(buf_view(&s[i].outputs[0]), "20000");
        seen_finish(&s[i]);
    }
    CHECK(stats_of(&rig).deaths >= 3);
    CHECK_EQ(stats_of(&rig).killed_jobs, 0);
    free(s);
    rig_close(&rig);
}

static void closing_with_jobs_under_way_cancels_them(void **state)
{
    struct seen s[40] = { 0 }, late = { 0 };
    struct map_run run = { 0 };
    struct rig rig;

    (void)state;
    rig_open(&rig, (struct mapper_conf){ .workers = 2 });
    rig_gives(&rig, ".", "1", "1"); /* so that some are really at work */
    for (int i = 0; i < 40; i++)
        rig_start(&rig, ENDLESS, "1", &s[i]);
    for (int i = 0; i < 3; i++)
        uv_run(&rig.loop, UV_RUN_NOWAIT);
    run.program = rig_program(&rig, ".");
    mapper_close(rig.m, rig_on_closed, &rig);
    CHECK_EQ(mapper_run(rig.m, STR("1"), &run, 1, rig_on_result, &late), UV_ECANCELED);
    for (int i = 0; i < 40; i++)
        CHECK_EQ(s[i].calls, 0);
    uv_run(&rig.loop, UV_RUN_DEFAULT);
    CHECK(rig.closed);
    map_program_put(run.program);
    CHECK_EQ(uv_loop_close(&rig.loop), 0);
    CHECK_EQ(late.calls, 0);
    for (int i = 0; i < 40; i++) {
        CHECK_EQ(s[i].calls, 1);
        CHECK_EQ(s[i].status[0], UV_ECANCELED);
        seen_finish(&s[i]);
    }
}

static void close_in_callback(void *ctx, const struct map_result *results, size_t n)
{
    struct rig *rig = ctx;

    (void)results;
    (void)n;
    mapper_close(rig->m, rig_on_closed, rig);
}

static void a_callback_may_close_the_mapper(void **state)
{
    struct seen s[5] = { 0 };
    struct map_run run = { 0 };
    struct rig rig;

    (void)state;
    rig_open(&rig, (struct mapper_conf){ .workers = 1 });
    run.program = rig_program(&rig, ".");
    CHECK_EQ(mapper_run(rig.m, STR("1"), &run, 1, close_in_callback, &rig), 0);
    map_program_put(run.program);
    for (int i = 0; i < 5; i++)
        rig_start(&rig, ".", "1", &s[i]);
    uv_run(&rig.loop, UV_RUN_DEFAULT);
    CHECK(rig.closed);
    CHECK_EQ(uv_loop_close(&rig.loop), 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(s[i].calls, 1);
        CHECK_EQ(s[i].status[0], UV_ECANCELED);
        seen_finish(&s[i]);
    }
}

static void a_binary_that_cannot_be_started_fails_the_opening(void **state)
{
    struct mapper_conf conf = { .exe = "/nonexistent/sluice", .workers = 2 };
    struct fail fail = { 0 };
    struct mapper *m = NULL;
    uv_loop_t loop;

    (void)state;
    CHECK_EQ(uv_loop_init(&loop), 0);
    CHECK_EQ(mapper_open(&m, &loop, &conf, &fail), UV_ENOENT);
    CHECK(strstr(fail.text, "/nonexistent/sluice") != NULL);
    CHECK(m == NULL);
    uv_run(&loop, UV_RUN_DEFAULT); /* its handles close */
    CHECK_EQ(uv_loop_close(&loop), 0);
}

static void a_worker_that_dies_at_once_is_started_ever_more_slowly(void **state)
{
    struct seen s = { 0 };
    struct rig rig;
    uint64_t begun_ms;

    (void)state;
    rig_open(&rig, (struct mapper_conf){ .exe = "/bin/false", .workers = 1 });
    begun_ms = uv_now(&rig.loop);
    rig_start(&rig, ".", "1", &s);
    while (stats_of(&rig).deaths < 3) /* starts at 0, 100, 300 ms */
        uv_run(&rig.loop, UV_RUN_ONCE);
    CHECK(uv_now(&rig.loop) >= begun_ms + 300);
    CHECK_EQ(stats_of(&rig).deaths, 3);
    CHECK_EQ(stats_of(&rig).workers_up, 0);
    CHECK_EQ(stats_of(&rig).queued, 1);
    rig_close(&rig);
    CHECK_EQ(s.status[0], UV_ECANCELED);
    seen_finish(&s);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_endless_program_is_killed_twice_and_the_others_succeed),
    cmocka_unit_test(a_worker_that_no_memory_is_left_to_hear_costs_its_program_nothing),
    cmocka_unit_test(a_crash_charges_its_own_run_and_spares_the_jobs_other_programs),
    cmocka_unit_test(a_job_that_kills_worker_after_worker_is_given_up),
#ifndef SLUICE_SANITIZED
    cmocka_unit_test(a_memory_bomb_is_told_as_such),
    cmocka_unit_test(an_input_beyond_the_workers_memory_is_charged_to_its_job),
    cmocka_unit_test(a_worker_has_neither_environment_nor_descriptors),
#endif
    cmocka_unit_test(killed_workers_lose_no_job),
    cmocka_unit_test(closing_with_jobs_under_way_cancels_them),
    cmocka_unit_test(a_callback_may_close_the_mapper),
    cmocka_unit_test(a_binary_that_cannot_be_started_fails_the_opening),
    cmocka_unit_test(a_worker_that_dies_at_once_is_started_ever_more_slowly),
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "map-worker") == 0)
        return map_worker_main();
    log_setup(LOG_ERROR, LOG_TEXT); /* deaths are what these are about */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
