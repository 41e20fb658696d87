/*
 * mapper.c - jobs, programs and the workers' slots, on the loop.
 *
 * A job goes queue -> a slot's list (sent, in order) -> its callback. The first of a slot's list is
 * the one at work once its BEGIN came; when the worker dies, that one is charged, and all go back
 * to the queue's front as they were. A charged job is a suspect: its next worker gets no other job
 * while there is another worker.
 */
#include "flow/mapper.h"

#include <signal.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"
#include "flow/map_job.h"
#include "flow/map_proc.h"

#define STARTUP_MS       10000 /* until HELLO */
#define BEGIN_MS         2000  /* beyond the deadline, until BEGIN */
#define RECYCLE_JOBS     10000 /* libjq's memory grows: a fresh worker after so many */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS   5000
#define FRAME_SPARE      (1024 * 1024) /* what an answer may hold beside its outputs */

struct slot {
    struct mapper *m;
    struct map_proc *proc; /* NULL: dead, the timer runs */
    uint64_t life;         /* counts starts over all slots; never 0 */
    bool up;               /* HELLO came */
    bool retiring;         /* gets no more jobs; killed when idle */
    uint32_t jobs_sent;    /* in this life */
    bool worked;           /* in this life: a job began */
    struct list jobs;
    uint32_t n_jobs;
    uint32_t suspects; /* of those jobs */
    bool begun;        /* the first of jobs */
    uint32_t run;      /* ... this one of its runs */
    uv_timer_t restart;
    uint32_t backoff_ms;
};

struct mapper {
    uv_loop_t *loop;
    struct mapper_conf conf;
    char *exe;
    struct logger log;
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
    unsigned held; /* slot timers and living workers; freed at 0 */
    struct list programs;
    struct list queue;
    struct list canceled;
    uint32_t outstanding; /* jobs in slots */
    uint64_t last_job, last_life;
    struct mapper_stats stats;
    struct slot slots[];
};

static void dispatch(struct mapper *m);
static void slot_restart(struct slot *s, bool at_once);

/* ---- programs ---- */

struct map_program *map_program_get(struct mapper *m, sl_str text, const char *const *vars)
{
    uint8_t digest[DIGEST_SHA256];
    struct map_program *p;
    size_t n = 0;

    while (vars && vars[n])
        n++;
    map_program_digest(text, vars, n, digest);
    list_each (pos, &m->programs) {
        p = list_entry(pos, struct map_program, node);
        if (memcmp(p->digest, digest, sizeof(digest)) == 0) {
            p->refs++;
            return p;
        }
    }
    p = map_program_create(digest, text, vars, n, m->conf.workers);
    if (!p)
        return NULL;
    p->m = m;
    list_append(&m->programs, &p->node);
    return p;
}

static void free_frame(void *arg)
{
    struct buf *frame = arg;

    buf_finish(frame);
    free(frame);
}

static void send_drop(struct slot *s, const struct map_program *p)
{
    struct buf *frame = mem_zero(sizeof(*frame));
    size_t at = wire_begin(frame, WIRE_DROP, 0);

    pack_raw(frame, p->digest, sizeof(p->digest));
    wire_end(frame, at);
    if (frame->failed)
        free_frame(frame); /* then it keeps the program until it is recycled */
    else
        map_proc_send(s->proc, buf_view(frame), free_frame, frame);
}

void map_program_put(struct map_program *p)
{
    if (!p || --p->refs > 0)
        return;
    list_remove(&p->node);
    if (p->m && !p->m->closing)
        for (uint32_t i = 0; i < p->m->conf.workers; i++) {
            struct slot *s = &p->m->slots[i];

            if (s->proc && p->known_to[i] == s->life)
                send_drop(s, p);
        }
    map_program_release(p);
}

/* ---- jobs ---- */

static void job_finish(struct mapper *m, struct map_job *j)
{
    bool error = false, killed = false;

    for (size_t i = 0; i < j->n; i++) {
        error |= j->results[i].status < 0;
        killed |= j->results[i].status == MAP_E_KILLED;
    }
    m->stats.jobs++;
    m->stats.errors += error;
    m->stats.killed_jobs += killed;
    j->cb(j->ctx, j->results, j->n);
    map_job_forget_outputs(j);
    for (size_t i = 0; i < j->n; i++)
        map_program_put(j->runs[i].program);
    map_job_release(j);
}

int mapper_run(struct mapper *m, sl_str input, const struct map_run *runs, size_t n, map_cb cb,
               void *ctx)
{
    struct map_job *j;

    if (m->closing)
        return UV_ECANCELED;
    if (!(j = map_job_create(++m->last_job, input, runs, n, cb, ctx)))
        return UV_ENOMEM;
    list_append(&m->queue, &j->node);
    m->stats.queued++;
    dispatch(m);
    return 0;
}

/* ---- dispatch ---- */

static uint32_t load_of(const struct slot *s)
{
    return s->n_jobs + (s->suspects ? 1000000 : 0);
}

static struct slot *least_loaded(struct mapper *m)
{
    struct slot *best = NULL;

    for (uint32_t i = 0; i < m->conf.workers; i++) {
        struct slot *s = &m->slots[i];

        if (s->up && !s->retiring && (!best || load_of(s) < load_of(best)))
            best = s;
    }
    return best;
}

static void send_job(struct slot *s, struct map_job *j)
{
    for (size_t i = 0; i < j->n; i++) {
        struct map_program *p = j->runs[i].program;
        uint64_t *known = &p->known_to[s - s->m->slots];

        if (*known == s->life)
            continue;
        *known = s->life;
        p->held++;
        map_proc_send(s->proc, buf_view(&p->frame), map_program_release, p);
    }
    if (s->n_jobs == 0)
        map_proc_deadline(s->proc, (uint64_t)s->m->conf.deadline_ms + BEGIN_MS);
    list_append(&s->jobs, &j->node);
    s->n_jobs++;
    s->suspects += j->deaths > 0;
    s->m->outstanding++;
    s->retiring = ++s->jobs_sent >= RECYCLE_JOBS;
    j->held++;
    map_proc_send(s->proc, buf_view(&j->frame), map_job_release, j);
}

static void dispatch(struct mapper *m)
{
    struct list *first;
    struct slot *s;

    while (!m->closing && m->outstanding < m->conf.outstanding && (first = list_first(&m->queue)) &&
           (s = least_loaded(m))) {
        list_remove(first);
        m->stats.queued--;
        send_job(s, list_entry(first, struct map_job, node));
    }
}

/* ---- what a worker says ---- */

static void on_hello(struct slot *s)
{
    s->up = true;
    s->m->stats.workers_up++;
    map_proc_deadline(s->proc, 0);
    dispatch(s->m);
}

static int on_begin(struct slot *s, struct map_job *first, sl_str payload)
{
    struct unpack u = unpack_of(payload);
    uint32_t run = unpack_u32(&u);

    if (!unpack_done(&u) || (run != WIRE_FIRST && run >= first->n))
        return UV_EPROTO;
    s->begun = s->worked = true;
    s->run = run;
    map_proc_deadline(s->proc, (uint64_t)s->m->conf.deadline_ms);
    return 0;
}

static int on_done(struct slot *s, struct map_job *first, sl_str payload)
{
    struct mapper *m = s->m;

    if (!s->begun || map_job_read(first, payload) < 0)
        return UV_EPROTO;
    s->begun = false;
    s->n_jobs--;
    s->suspects -= first->deaths > 0;
    m->outstanding--;
    list_remove(&first->node);
    map_proc_deadline(s->proc, s->n_jobs ? (uint64_t)m->conf.deadline_ms + BEGIN_MS : 0);
    if (s->retiring && s->n_jobs == 0)
        map_proc_kill(s->proc);
    job_finish(m, first);
    dispatch(m);
    return 0;
}

static int on_frame(void *ctx, const struct wire_header *h, sl_str payload)
{
    struct slot *s = ctx;
    struct list *node = list_first(&s->jobs);
    struct map_job *first = node ? list_entry(node, struct map_job, node) : NULL;

    if (s->m->closing)
        return 0;
    if (h->type == WIRE_HELLO && !s->up) {
        on_hello(s);
        return 0;
    }
    if (!first || first->id != h->job)
        return UV_EPROTO;
    if (h->type == WIRE_BEGIN)
        return on_begin(s, first, payload);
    return h->type == WIRE_DONE ? on_done(s, first, payload) : UV_EPROTO;
}

/* ---- deaths ---- */

/* Put all of a slot's jobs but the one at work back to the front of the queue, in order. Returns
 * the one at work, or NULL. */
static struct map_job *take_back(struct slot *s)
{
    struct list *first = list_first(&s->jobs);
    struct map_job *working = NULL;

    s->m->outstanding -= s->n_jobs;
    if (s->begun) {
        working = list_entry(first, struct map_job, node);
        list_remove(first);
        s->n_jobs--;
    }
    s->m->stats.queued += s->n_jobs;
    list_splice(&s->jobs, &s->m->queue);
    list_splice(&s->m->queue, &s->jobs);
    s->begun = false;
    s->n_jobs = s->suspects = 0;
    return working;
}

static void on_gone(void *ctx, const struct map_death *death)
{
    struct slot *s = ctx;
    struct mapper *m = s->m;
    struct map_job *working;

    s->proc = NULL;
    m->stats.workers_up -= s->up;
    s->up = false;
    if (m->closing)
        return;
    working = take_back(s);
    if (!s->retiring || working) {
        m->stats.deaths++;
        log_warn(&m->log, "a worker died, another is started: signal=%d exit=%lld%s%s",
                 death->signal, (long long)death->exit_code,
                 death->timed_out ? " (its deadline passed)"
                 : death->unheard ? " (no memory to hear it)"
                                  : "",
                 working ? " at work" : "");
    }
    slot_restart(s, s->worked && !death->unheard);
    if (working && !death->unheard && map_job_charge(working, s->run, death, &m->conf)) {
        map_job_fill(working, MAP_E_KILLED);
        job_finish(m, working);
    } else if (working) {
        list_prepend(&m->queue, &working->node);
        m->stats.queued++;
    }
    dispatch(m);
}

/* ---- slots ---- */

static void check_closed(struct mapper *m)
{
    struct list *node;

    if (--m->held > 0)
        return;
    while ((node = list_first(&m->canceled))) {
        struct map_job *j = list_entry(node, struct map_job, node);

        list_remove(node);
        map_job_fill(j, UV_ECANCELED);
        job_finish(m, j);
    }
    while ((node = list_first(&m->programs))) {
        list_entry(node, struct map_program, node)->m = NULL;
        list_remove(node);
    }
    if (m->closed)
        m->closed(m->closed_ctx);
    free(m->exe);
    free(m);
}

static void on_proc_closed(void *ctx)
{
    struct slot *s = ctx;

    check_closed(s->m);
}

static const struct map_proc_events proc_events = {
    .frame = on_frame,
    .gone = on_gone,
    .closed = on_proc_closed,
};

static int slot_start(struct slot *s, struct fail *fail)
{
    struct mapper *m = s->m;
    struct buf *conf = mem_zero(sizeof(*conf));
    int r = map_proc_start(&s->proc, m->loop, m->exe, m->conf.output + FRAME_SPARE, &proc_events, s,
                           fail);

    if (r < 0) {
        free_frame(conf);
        return r;
    }
    m->held++;
    s->life = ++m->last_life;
    s->jobs_sent = 0;
    s->retiring = s->worked = false;
    map_proc_deadline(s->proc, STARTUP_MS);
    size_t at = wire_begin(conf, WIRE_CONF, 0);
    pack_u64(conf, m->conf.memory);
    pack_u64(conf, m->conf.output);
    pack_i64(conf, m->conf.deadline_ms);
    wire_end(conf, at);
    map_proc_send(s->proc, buf_view(conf), free_frame, conf);
    return 0;
}

static void on_restart(uv_timer_t *timer)
{
    struct slot *s = timer->data;
    struct fail fail = { 0 };

    if (slot_start(s, &fail) == 0)
        return;
    log_error(&s->m->log, "%s; tried again", fail.text);
    slot_restart(s, false);
}

/* A worker that dies before any job began in it would die again: wait longer each time. */
static void slot_restart(struct slot *s, bool at_once)
{
    if (at_once)
        s->backoff_ms = 0;
    else if (s->backoff_ms == 0)
        s->backoff_ms = BACKOFF_FIRST_MS;
    else
        s->backoff_ms = s->backoff_ms < BACKOFF_MAX_MS / 2 ? s->backoff_ms * 2 : BACKOFF_MAX_MS;
    uv_timer_start(&s->restart, on_restart, s->backoff_ms, 0);
}

/* ---- the mapper ---- */

static void apply_conf(struct mapper_conf *to, const struct mapper_conf *from)
{
    *to = *from;
    to->exe = NULL; /* the caller's; ours is mapper.exe */
    if (to->workers == 0)
        to->workers = 1;
    if (to->outstanding == 0)
        to->outstanding = 16;
    if (to->deadline_ms <= 0)
        to->deadline_ms = 1000;
    if (to->output == 0)
        to->output = UINT64_C(8) << 20;
}

/* A worker may die while a frame is being written to it. */
static void ignore_sigpipe(void)
{
    struct sigaction now;

    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

int mapper_open(struct mapper **ret, uv_loop_t *loop, const struct mapper_conf *conf,
                struct fail *fail)
{
    uint32_t workers = conf->workers ? conf->workers : 1;
    struct mapper *m = mem_zero(sizeof(*m) + workers * sizeof(m->slots[0]));
    int r = 0;

    ignore_sigpipe();
    m->loop = loop;
    apply_conf(&m->conf, conf);
    m->exe = mem_str(conf->exe ? conf->exe : "/proc/self/exe");
    m->log = (struct logger){ .room = "mapper" };
    list_init(&m->programs);
    list_init(&m->queue);
    list_init(&m->canceled);
    for (uint32_t i = 0; i < workers; i++) {
        struct slot *s = &m->slots[i];

        s->m = m;
        list_init(&s->jobs);
        uv_timer_init(loop, &s->restart);
        s->restart.data = s;
        m->held++;
        if (r == 0)
            r = slot_start(s, fail);
    }
    if (r < 0) {
        mapper_close(m, NULL, NULL);
        return r;
    }
    *ret = m;
    return 0;
}

static void on_slot_closed(uv_handle_t *timer)
{
    struct slot *s = timer->data;

    check_closed(s->m);
}

void mapper_close(struct mapper *m, void (*cb)(void *ctx), void *ctx)
{
    if (!m || m->closing)
        return;
    m->closing = true;
    m->closed = cb;
    m->closed_ctx = ctx;
    for (uint32_t i = 0; i < m->conf.workers; i++) {
        struct slot *s = &m->slots[i];

        list_splice(&m->canceled, &s->jobs);
        s->n_jobs = 0;
        uv_close((uv_handle_t *)&s->restart, on_slot_closed);
        if (s->proc)
            map_proc_kill(s->proc);
    }
    list_splice(&m->canceled, &m->queue);
    m->outstanding = 0;
    m->stats.queued = 0;
}

void mapper_stats(const struct mapper *m, struct mapper_stats *ret)
{
    *ret = m->stats;
}
