/*
 * map_rig.h - a mapper on a loop of its own, whose workers are the test program itself.
 */
#pragma once

#include "../check.h"

#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/mem.h"
#include "flow/mapper.h"

struct rig {
    uv_loop_t loop;
    struct mapper *m;
    bool closed;
};

/* What a job's callback saw, copied. Outputs and reasons are joined by newlines, one run after the
 * other. */
struct seen {
    unsigned calls;
    size_t n;
    int status[16];
    size_t n_outputs[16];
    struct buf outputs[16];
    struct buf why[16];
};

static inline void rig_open(struct rig *rig, struct mapper_conf conf)
{
    struct fail fail = { 0 };

    memset(rig, 0, sizeof(*rig));
    CHECK_EQ(uv_loop_init(&rig->loop), 0);
    if (conf.workers == 0)
        conf.workers = 1;
    if (conf.deadline_ms == 0)
        conf.deadline_ms = 20000;
    if (conf.memory == 0)
        conf.memory = UINT64_C(256) << 20;
    CHECK_EQ(mapper_open(&rig->m, &rig->loop, &conf, &fail), 0);
}

static inline void rig_on_closed(void *ctx)
{
    struct rig *rig = ctx;

    rig->closed = true;
}

static inline void rig_close(struct rig *rig)
{
    mapper_close(rig->m, rig_on_closed, rig);
    CHECK(!rig->closed);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    CHECK(rig->closed);
    CHECK_EQ(uv_loop_close(&rig->loop), 0);
}

static inline void seen_finish(struct seen *s)
{
    for (size_t i = 0; i < 16; i++) {
        buf_finish(&s->outputs[i]);
        buf_finish(&s->why[i]);
    }
    memset(s, 0, sizeof(*s));
}

static inline void rig_on_result(void *ctx, const struct map_result *results, size_t n)
{
    struct seen *s = ctx;

    s->calls++;
    s->n = n;
    for (size_t i = 0; i < n; i++) {
        s->status[i] = results[i].status;
        s->n_outputs[i] = results[i].n_outputs;
        for (size_t k = 0; k < results[i].n_outputs; k++) {
            if (k > 0)
                buf_char(&s->outputs[i], '\n');
            buf_str(&s->outputs[i], results[i].outputs[k]);
        }
        buf_str(&s->why[i], results[i].why);
    }
}

static inline void rig_wait(struct rig *rig, const struct seen *s)
{
    while (s->calls == 0)
        uv_run(&rig->loop, UV_RUN_ONCE);
    CHECK_EQ(s->calls, 1);
}

static inline struct map_program *rig_program(struct rig *rig, const char *text)
{
    static const char *const vars[] = { "received", NULL };
    struct map_program *p = map_program_get(rig->m, str_of(text), vars);

    CHECK(p != NULL);
    return p;
}

/* Start one program on one input. */
static inline void rig_start(struct rig *rig, const char *text, const char *input, struct seen *s)
{
    struct map_run run = { .program = rig_program(rig, text),
                           .vars = STR("{\"received\":\"2026-11-20T09:15:32Z\"}") };

    CHECK_EQ(mapper_run(rig->m, str_of(input), &run, 1, rig_on_result, s), 0);
    map_program_put(run.program);
    CHECK_EQ(s->calls, 0); /* never before the call returned */
}

static inline void rig_run(struct rig *rig, const char *text, const char *input, struct seen *s)
{
    seen_finish(s);
    rig_start(rig, text, input, s);
    rig_wait(rig, s);
    CHECK_EQ(s->n, 1);
}

/* One program, one input: these outputs. */
static inline void rig_gives(struct rig *rig, const char *text, const char *input, const char *want)
{
    struct seen s = { 0 };

    rig_run(rig, text, input, &s);
    if (s.status[0] != 0)
        print_error("%s: %s\n", text, s.why[0].data);
    CHECK_EQ(s.status[0], 0);
    CHECK_VIEW(buf_view(&s.outputs[0]), want);
    seen_finish(&s);
}

static inline void rig_fails(struct rig *rig, const char *text, const char *input, int status,
                             const char *why)
{
    struct seen s = { 0 };

    rig_run(rig, text, input, &s);
    CHECK_EQ(s.status[0], status);
    CHECK_EQ(s.n_outputs[0], 0);
    CHECK_VIEW(buf_view(&s.why[0]), why);
    seen_finish(&s);
}

/* The program's main: a test, or one of its workers. */
#define MAP_RIG_MAIN(tests)                                 \
    int main(int argc, char **argv)                         \
    {                                                       \
        if (argc > 1 && strcmp(argv[1], "map-worker") == 0) \
            return map_worker_main();                       \
        return cmocka_run_group_tests((tests), NULL, NULL); \
    }
