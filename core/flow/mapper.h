/*
 * mapper.h - jq programs, run in child processes that may die.
 *
 * libjq can abort, loop for ever and read the environment, so it never runs in the daemon. A worker
 * is this same binary, started with an empty environment, closed descriptors, limits of memory and
 * CPU, and a socketpair. An input is parsed once for all its programs. The worker says BEGIN before
 * each job and each further program of it, so a death charges that run alone: after two it fails
 * with MAP_E_KILLED. The job's other programs still give their results (a job that killed eight
 * workers is given up whole), and the other jobs under way move on uncharged. A run, with its
 * compilation, has a deadline of wall time (SIGKILL); a job has a cap on output.
 *
 * Numbers: jq 1.6 keeps doubles. Members named "id", "*_id" and "*_ids" (their array members too)
 * that hold integers, and every integer beyond 2^53, reach the program as strings of their exact
 * digits. `int64("123")` makes a value that is written as a JSON number with those digits; it is
 * for output only: a program that computes with it or turns it into text (tojson, "\(...)") fails.
 * Other numbers are written as jq writes them.
 *
 * Thread: loop; callbacks on the loop, never before the call returned.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include <sluice/sluice.h>
#include "base/buf.h"
#include "base/fail.h"

struct mapper;
struct map_program; /* shared, counted; one per distinct text */

struct mapper_conf {
    const char *exe;      /* this binary; NULL: /proc/self/exe. Run as: exe map-worker */
    uint32_t workers;     /* processes */
    uint32_t outstanding; /* jobs sent to the workers at once, the rest queue here: 16 */
    int64_t deadline_ms;  /* of one program's run on one input */
    uint64_t memory;      /* RLIMIT_AS of a worker, bytes */
    uint64_t output;      /* bytes of output of one job at most */
};

#define MAP_E_PROGRAM (-5101) /* the program raised an error, or did not compile */
#define MAP_E_INPUT   (-5102) /* the input is not JSON, or too deep (64) */
#define MAP_E_KILLED  (-5103) /* it killed its worker, or ran past its deadline, twice */
#define MAP_E_OUTPUT  (-5104) /* more output than allowed */

/** Starts the workers. 0 or a negative code with `fail`; after a failure the loop must still run,
 * for handles to close. SIGPIPE is ignored from then on if its disposition was the default. The
 * calling thread must live as long as the mapper: its end would kill the workers. */
int mapper_open(struct mapper **ret, uv_loop_t *loop, const struct mapper_conf *conf,
                struct fail *fail);
/** Ends the workers, fails what is under way with UV_ECANCELED, then `cb`; all later, from the
 * loop. Programs may be put afterwards. */
void mapper_close(struct mapper *m, void (*cb)(void *ctx), void *ctx);

/** The program for this text; compiled once by each worker at its first use (16 ms). `vars`: names
 *  of the variables that runs give, NULL-terminated, e.g. {"received", NULL}; part of its identity.
 *  NULL: no memory. */
struct map_program *map_program_get(struct mapper *m, sl_str text, const char *const *vars);
void map_program_put(struct map_program *p); /* NULL is fine; the workers drop it after the last */

struct map_run {
    struct map_program *program;
    sl_str vars; /* JSON object with a value for each variable; empty: none */
};

/** One program's result; views borrowed during the callback. */
struct map_result {
    int status; /* 0, MAP_E_PROGRAM, MAP_E_INPUT, MAP_E_KILLED, MAP_E_OUTPUT, UV_ECANCELED,
                   UV_ENOMEM */
    const sl_str *outputs; /* JSON texts, in order; empty unless status is 0 */
    size_t n_outputs;
    sl_str why; /* the program's own message, one line */
};

typedef void (*map_cb)(void *ctx, const struct map_result *results, size_t n);

/** Run all programs on one input (copied). The callback runs exactly once, with n results in
 *  order. 0 or UV_ENOMEM / UV_ECANCELED (closing); then no callback. */
int mapper_run(struct mapper *m, sl_str input, const struct map_run *runs, size_t n, map_cb cb,
               void *ctx);

struct mapper_stats {
    uint64_t jobs, errors, deaths, killed_jobs, queued;
    uint32_t workers_up;
};
void mapper_stats(const struct mapper *m, struct mapper_stats *ret);

/** For `sluice check`: is this text allowed, and does it compile? Refused with a message that says
 *  why: env, $ENV, input, inputs, debug, stderr, input_filename, import, include, now, localtime,
 *  halt, halt_error and their kin (map_guard.c has the list); the workers refuse the same.
 * Blocking, in a child process of its own that lives until map_checker_close(). 0, or MAP_E_PROGRAM
 * with `fail`, or a negative libuv code. */
struct map_checker;
int map_checker_open(struct map_checker **ret, const char *exe, struct fail *fail);
int map_checker_compile(struct map_checker *c, sl_str text, const char *const *vars,
                        struct fail *fail);
void map_checker_close(struct map_checker *c);

/** The worker's main function: `sluice map-worker`, descriptor 3 is its socket. Returns the exit
 *  code. */
int map_worker_main(void);
