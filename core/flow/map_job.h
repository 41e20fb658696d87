/*
 * map_job.h - a mapper's programs and jobs as things of their own: their frames, their results,
 * what deaths did to them. No worker and no loop is known here; mapper.c moves jobs about.
 */
#pragma once

#include "base/list.h"
#include "flow/map_proc.h"
#include "flow/mapper.h"

struct map_program {
    struct list node; /* mapper.programs */
    struct mapper *m; /* NULL once that is gone */
    unsigned refs;
    uint8_t digest[DIGEST_SHA256];
    struct buf frame;    /* PROGRAM, ready to be sent */
    unsigned held;       /* refs, and sends that borrow `frame`; freed at 0 */
    uint64_t known_to[]; /* per slot: the life (slot.life) that has it */
};

struct map_job_run {
    struct map_program *program;
    size_t skip_at; /* where the frame says "skip" */
    uint8_t deaths;
    bool killed;
    char why[120];
};

struct map_job {
    struct list node; /* queue, a slot's jobs, or mapper.canceled */
    uint64_t id;
    unsigned held; /* 1 until its callback, and 1 a send that borrows `frame` */
    unsigned deaths;
    struct buf frame;
    map_cb cb;
    void *ctx;
    struct map_result *results; /* n, behind the runs */
    size_t n;
    struct map_job_run runs[];
};

/** One with refs = held = 1, not linked; NULL: no memory. */
struct map_program *map_program_create(const uint8_t *digest, sl_str text, const char *const *vars,
                                       size_t n_vars, uint32_t slots);
void map_program_digest(sl_str text, const char *const *vars, size_t n_vars, uint8_t *ret);
void map_program_release(void *program); /* one of `held` */

/** NULL: no memory. Takes a reference to each program; give them back before the last release. */
struct map_job *map_job_create(uint64_t id, sl_str input, const struct map_run *runs, size_t n,
                               map_cb cb, void *ctx);
void map_job_release(void *job); /* one of `held` */

/** Set `results`: from the payload of a DONE, views into it (0, or UV_EPROTO with nothing
 *  allocated), or to one status for every run that was not killed. */
int map_job_read(struct map_job *j, sl_str payload);
void map_job_fill(struct map_job *j, int status);
void map_job_forget_outputs(struct map_job *j);

/** The job was at work, at run `at` (WIRE_FIRST: the first that is not skipped), when its worker
 *  died. Marks what is not to be tried again. True when nothing of the job is left to try. */
bool map_job_charge(struct map_job *j, uint32_t at, const struct map_death *d,
                    const struct mapper_conf *conf);
