/*
 * map_job.c - programs and jobs.
 */
#include "flow/map_job.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"

#define RUN_DEATHS 2 /* a run that killed so many workers is not tried again */
#define JOB_DEATHS 8 /* nor is anything of a job that did */

/* ---- programs ---- */

void map_program_release(void *arg)
{
    struct map_program *p = arg;

    if (--p->held > 0)
        return;
    buf_finish(&p->frame);
    free(p);
}

void map_program_digest(sl_str text, const char *const *vars, size_t n, uint8_t *ret)
{
    sl_str *parts = mem_array(n + 1, sizeof(*parts));

    parts[0] = text;
    for (size_t i = 0; i < n; i++)
        parts[i + 1] = str_of(vars[i]);
    digest_parts(parts, n + 1, ret);
    free(parts);
}

static void pack_program(struct map_program *p, sl_str text, const char *const *vars, size_t n)
{
    size_t at = wire_begin(&p->frame, WIRE_PROGRAM, 0);

    pack_raw(&p->frame, p->digest, sizeof(p->digest));
    pack_u32(&p->frame, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        pack_str(&p->frame, str_of(vars[i]));
    pack_str(&p->frame, text);
    wire_end(&p->frame, at);
}

struct map_program *map_program_create(const uint8_t *digest, sl_str text, const char *const *vars,
                                       size_t n_vars, uint32_t slots)
{
    struct map_program *p = calloc(1, sizeof(*p) + slots * sizeof(p->known_to[0]));

    if (!p)
        return NULL;
    p->refs = p->held = 1;
    list_init(&p->node);
    memcpy(p->digest, digest, sizeof(p->digest));
    pack_program(p, text, vars, n_vars);
    if (p->frame.failed) {
        map_program_release(p);
        return NULL;
    }
    return p;
}

/* ---- jobs ---- */

void map_job_release(void *arg)
{
    struct map_job *j = arg;

    if (--j->held > 0)
        return;
    buf_finish(&j->frame);
    free(j);
}

static void job_pack(struct map_job *j, sl_str input, const struct map_run *runs)
{
    size_t at = wire_begin(&j->frame, WIRE_JOB, j->id);

    pack_str(&j->frame, input);
    pack_u32(&j->frame, (uint32_t)j->n);
    for (size_t i = 0; i < j->n; i++) {
        j->runs[i].skip_at = j->frame.len;
        pack_u8(&j->frame, 0);
        pack_raw(&j->frame, runs[i].program->digest, DIGEST_SHA256);
        pack_str(&j->frame, runs[i].vars);
    }
    wire_end(&j->frame, at);
}

struct map_job *map_job_create(uint64_t id, sl_str input, const struct map_run *runs, size_t n,
                               map_cb cb, void *ctx)
{
    size_t each = sizeof(struct map_job_run) + sizeof(struct map_result);
    struct map_job *j = calloc(1, sizeof(*j) + n * each);

    if (!j)
        return NULL;
    j->id = id;
    j->held = 1;
    j->cb = cb;
    j->ctx = ctx;
    j->n = n;
    j->results = (struct map_result *)(j->runs + n);
    list_init(&j->node);
    job_pack(j, input, runs);
    if (j->frame.failed) {
        map_job_release(j);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        j->runs[i].program = runs[i].program;
        runs[i].program->refs++;
    }
    return j;
}

/* ---- results ---- */

/* Views of one run's outputs, allocated; moves `u` behind the run. */
static int read_result(struct unpack *u, struct map_result *ret)
{
    sl_str *outputs = NULL;
    uint32_t n;

    ret->status = (int32_t)unpack_u32(u);
    n = unpack_u32(u);
    if (u->bad || n > (size_t)(u->end - u->p) / 4)
        return UV_EPROTO;
    if (n > 0 && !(outputs = malloc(n * sizeof(*outputs))))
        ret->status = UV_ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        sl_str output = unpack_str(u);

        if (outputs)
            outputs[i] = output;
    }
    ret->outputs = outputs;
    ret->n_outputs = outputs ? n : 0;
    ret->why = unpack_str(u);
    return u->bad ? UV_EPROTO : 0;
}

void map_job_forget_outputs(struct map_job *j)
{
    for (size_t i = 0; i < j->n; i++) {
        free((void *)j->results[i].outputs);
        j->results[i].outputs = NULL;
        j->results[i].n_outputs = 0;
    }
}

int map_job_read(struct map_job *j, sl_str payload)
{
    struct unpack u = unpack_of(payload);
    int r = 0;

    for (size_t i = 0; i < j->n && r == 0; i++) {
        r = read_result(&u, &j->results[i]);
        if (r == 0 && j->runs[i].killed) {
            j->results[i].status = MAP_E_KILLED;
            j->results[i].why = str_of(j->runs[i].why);
        }
    }
    if (r == 0 && !unpack_done(&u))
        r = UV_EPROTO;
    if (r < 0)
        map_job_forget_outputs(j);
    return r;
}

/* The job is in no list any more and j->results are set: the callback, and the end of it. */
void map_job_fill(struct map_job *j, int status)
{
    for (size_t i = 0; i < j->n; i++) {
        bool killed = j->runs[i].killed;

        j->results[i] = (struct map_result){ .status = killed ? MAP_E_KILLED : status,
                                             .why = str_of(killed ? j->runs[i].why : "") };
    }
}

/* ---- deaths ---- */

static void describe_death(const struct mapper_conf *conf, const struct map_death *d, char *out,
                           size_t size)
{
    if (d->timed_out)
        snprintf(out, size, "ran past its deadline of %lld ms, twice",
                 (long long)conf->deadline_ms);
    else if (d->exit_code == WIRE_EXIT_NOMEM && d->signal == 0)
        snprintf(out, size, "used up its memory of %llu MiB, twice",
                 (unsigned long long)(conf->memory >> 20));
    else if (d->signal == SIGXCPU)
        snprintf(out, size, "used up its processor time, twice");
    else if (d->signal)
        snprintf(out, size, "killed its worker, twice: signal %d", d->signal);
    else
        snprintf(out, size, "ended its worker, twice: exit code %lld", (long long)d->exit_code);
}

static void run_kill(struct map_job *j, struct map_job_run *r, const char *why)
{
    r->killed = true;
    snprintf(r->why, sizeof(r->why), "%s", why);
    j->frame.data[r->skip_at] = 1;
}

bool map_job_charge(struct map_job *j, uint32_t at, const struct map_death *d,
                    const struct mapper_conf *conf)
{
    char why[120];
    bool left = false;

    describe_death(conf, d, why, sizeof(why));
    j->deaths++;
    for (size_t i = 0; i < j->n; i++) {
        struct map_job_run *r = &j->runs[i];

        if (r->killed)
            continue;
        if (at == WIRE_FIRST || at == i) { /* the first that is not skipped */
            at = (uint32_t)i;
            r->deaths++;
        }
        if (r->deaths >= RUN_DEATHS)
            run_kill(j, r, why);
        else if (j->deaths >= JOB_DEATHS)
            run_kill(j, r, "given up: other programs on this input kept killing workers");
        left |= !r->killed;
    }
    return !left;
}
