/*
 * mapper_worker.c - the worker's side: one thread, blocking, one frame after the other.
 *
 * It dies of whatever is wrong with it or with the frames it gets; the daemon starts another.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "flow/map_jq.h"
#include "flow/map_wire.h"
#include "flow/mapper.h"

#define KEEP_BYTES (1024 * 1024) /* buffers larger than this are given back after a job */

/* A program by its digest; compiled at its first run. */
struct program {
    struct list node;
    uint8_t digest[DIGEST_SHA256];
    sl_str text;
    sl_str *names;
    size_t n_names;
    char *bytes;       /* own: text and names point into it */
    struct map_jq *jq; /* NULL: not compiled yet, or it does not compile */
    bool refused;
    struct buf why; /* ... and this is why */
};

struct worker {
    struct list programs[256]; /* by the digest's first byte */
    struct buf out;            /* frames to be written */
    struct buf payload;        /* of the frame at hand */
    uint64_t output;           /* bytes of output of one job */
    int64_t deadline_ms;       /* 0: no limit of CPU time */
};

static void die_nomem(void)
{
    _exit(WIRE_EXIT_NOMEM);
}

/* ---- frames ---- */

static void flush(struct worker *w)
{
    size_t done = 0;

    if (w->out.failed)
        die_nomem();
    while (done < w->out.len) {
        ssize_t n = send(WIRE_FD, w->out.data + done, w->out.len - done, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            exit(WIRE_EXIT_CLOSED);
        done += (size_t)n;
    }
    if (w->out.cap > KEEP_BYTES)
        buf_finish(&w->out);
    buf_clear(&w->out);
}

static void read_whole(char *to, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = recv(WIRE_FD, to, bytes, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            exit(WIRE_EXIT_CLOSED);
        to += n;
        bytes -= (size_t)n;
    }
}

/* The answer to the last job waits in `out` while the next header is there already, so that both go
 * in one write. */
static struct wire_header next_header(struct worker *w)
{
    char raw[WIRE_HEADER];
    ssize_t n = recv(WIRE_FD, raw, sizeof(raw), MSG_DONTWAIT);

    if (n == 0)
        exit(WIRE_EXIT_CLOSED);
    if (n < 0)
        n = 0;
    if ((size_t)n < sizeof(raw)) {
        flush(w);
        read_whole(raw + n, sizeof(raw) - (size_t)n);
    }
    return wire_header_of(raw);
}

static void say_begin(struct worker *w, uint64_t job, uint32_t run)
{
    size_t at = wire_begin(&w->out, WIRE_BEGIN, job);

    pack_u32(&w->out, run);
    wire_end(&w->out, at);
    flush(w);
}

static void need(bool ok)
{
    if (!ok)
        exit(WIRE_EXIT_PROTOCOL);
}

/* ---- programs ---- */

static struct program *find_program(struct worker *w, const uint8_t *digest)
{
    list_each (pos, &w->programs[digest[0]]) {
        struct program *p = list_entry(pos, struct program, node);

        if (memcmp(p->digest, digest, DIGEST_SHA256) == 0)
            return p;
    }
    return NULL;
}

static void program_destroy(struct program *p)
{
    list_remove(&p->node);
    map_jq_destroy(p->jq);
    buf_finish(&p->why);
    free(p->names);
    free(p->bytes);
    free(p);
}

/* The payload of PROGRAM behind its digest, or of CHECK. */
static struct program *program_of(const struct unpack *source)
{
    struct program *p = mem_zero(sizeof(*p));
    struct unpack u;
    uint32_t n;

    list_init(&p->node);
    p->bytes = mem_dup(
        (sl_str){ .ptr = (const char *)source->p, .len = (size_t)(source->end - source->p) });
    u = unpack_of((sl_str){ .ptr = p->bytes, .len = (size_t)(source->end - source->p) });
    n = unpack_u32(&u);
    need(n <= 1024);
    p->names = mem_array(n ? n : 1, sizeof(*p->names));
    p->n_names = n;
    for (uint32_t i = 0; i < n; i++)
        p->names[i] = unpack_str(&u);
    p->text = unpack_str(&u);
    need(unpack_done(&u));
    return p;
}

static void on_program(struct worker *w, struct unpack *u)
{
    uint8_t digest[DIGEST_SHA256];
    struct program *p;

    unpack_raw(u, digest, sizeof(digest));
    need(!u->bad);
    if (find_program(w, digest))
        return;
    p = program_of(u);
    memcpy(p->digest, digest, sizeof(digest));
    list_append(&w->programs[digest[0]], &p->node);
}

static void on_drop(struct worker *w, struct unpack *u)
{
    uint8_t digest[DIGEST_SHA256];
    struct program *p;

    unpack_raw(u, digest, sizeof(digest));
    need(unpack_done(u));
    if ((p = find_program(w, digest)))
        program_destroy(p);
}

static int compile(struct program *p)
{
    if (p->refused)
        return MAP_E_PROGRAM;
    if (!p->jq && map_jq_compile(&p->jq, p->text, p->names, p->n_names, &p->why) < 0) {
        p->refused = true;
        return MAP_E_PROGRAM;
    }
    return 0;
}

static void on_check(struct worker *w, struct unpack *u)
{
    struct program *p = program_of(u);
    size_t at = wire_begin(&w->out, WIRE_VERDICT, 0);

    pack_u32(&w->out, (uint32_t)compile(p));
    pack_str(&w->out, buf_view(&p->why));
    wire_end(&w->out, at);
    program_destroy(p);
}

/* ---- jobs ---- */

/* The deadline is the daemon's; this is for the case that the daemon cannot see to it. */
static void limit_cpu(int64_t deadline_ms)
{
    struct rusage used;
    struct rlimit limit;

    if (deadline_ms <= 0 || getrusage(RUSAGE_SELF, &used) < 0 || getrlimit(RLIMIT_CPU, &limit) < 0)
        return;
    limit.rlim_cur = (rlim_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec + 2 * deadline_ms / 1000 +
                              3);
    setrlimit(RLIMIT_CPU, &limit);
}

/* One run, appended to the answer. Returns what it took of the budget. */
static uint64_t do_run(struct worker *w, struct program *p, const struct map_doc *doc, sl_str vars,
                       uint64_t budget)
{
    size_t head = w->out.len, outputs;
    struct buf why = { 0 };
    int64_t n;

    pack_u32(&w->out, 0);
    pack_u32(&w->out, 0);
    outputs = w->out.len;
    n = compile(p);
    if (n < 0)
        buf_str(&why, buf_view(&p->why));
    else
        n = map_jq_run(p->jq, doc, vars, budget, &w->out, &why);
    if (p->jq && map_jq_spent(p->jq)) {
        map_jq_destroy(p->jq);
        p->jq = NULL;
    }
    outputs = w->out.len - outputs;
    wire_patch_u32(&w->out, head, (uint32_t)(n < 0 ? n : 0));
    wire_patch_u32(&w->out, head + 4, (uint32_t)(n < 0 ? 0 : n));
    pack_str(&w->out, buf_view(&why));
    buf_finish(&why);
    return outputs;
}

static void put_failure(struct worker *w, int status, sl_str why)
{
    pack_u32(&w->out, (uint32_t)status);
    pack_u32(&w->out, 0);
    pack_str(&w->out, why);
}

/* The answer grows in w->out; nothing may be flushed of it before it is whole, so BEGIN for a later
 * run goes around it. */
static void begin_later_run(struct worker *w, uint64_t job, uint32_t run)
{
    struct buf answer = w->out;

    w->out = (struct buf){ 0 };
    say_begin(w, job, run);
    buf_finish(&w->out);
    w->out = answer;
}

static void on_job(struct worker *w, uint64_t job, struct unpack *u)
{
    sl_str input = unpack_str(u);
    uint32_t n = unpack_u32(u);
    size_t at = wire_begin(&w->out, WIRE_DONE, job);
    uint64_t budget = w->output;
    struct buf why = { 0 };
    struct map_doc *doc;
    bool first = true;

    need(!u->bad);
    limit_cpu(w->deadline_ms);
    doc = map_doc_parse(input, &why);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t digest[DIGEST_SHA256];
        bool skip = unpack_u8(u);
        sl_str vars;

        unpack_raw(u, digest, sizeof(digest));
        vars = unpack_str(u);
        need(!u->bad);
        if (skip) {
            put_failure(w, MAP_E_KILLED, STR(""));
        } else if (!doc) {
            put_failure(w, MAP_E_INPUT, buf_view(&why));
        } else {
            struct program *p = find_program(w, digest);

            need(p != NULL);
            if (!first)
                begin_later_run(w, job, i);
            first = false;
            budget -= do_run(w, p, doc, vars, budget);
        }
    }
    need(unpack_done(u));
    map_doc_destroy(doc);
    buf_finish(&why);
    wire_end(&w->out, at);
}

/* ---- the process ---- */

static void set_limit(int what, rlim_t v)
{
    struct rlimit limit = { .rlim_cur = v, .rlim_max = v };

    setrlimit(what, &limit);
}

static void on_conf(struct worker *w, struct unpack *u)
{
    uint64_t memory = unpack_u64(u);

    w->output = unpack_u64(u);
    w->deadline_ms = unpack_i64(u);
    need(unpack_done(u));
#ifndef SLUICE_SANITIZED /* its shadow memory alone takes terabytes of addresses */
    if (memory > 0)
        set_limit(RLIMIT_AS, memory);
#else
    (void)memory;
#endif
}

static void harden(void)
{
    close_range(WIRE_FD + 1, ~0U, 0);
    clearenv();
    signal(SIGINT, SIG_IGN); /* Ctrl-C is the daemon's to handle; it ends the workers */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    set_limit(RLIMIT_CORE, 0);
#ifndef SLUICE_SANITIZED /* it reads /proc */
    set_limit(RLIMIT_FSIZE, 0);
    set_limit(RLIMIT_NOFILE, WIRE_FD + 1); /* nothing more can be opened */
#endif
}

static void on_frame(struct worker *w, const struct wire_header *h)
{
    struct unpack u;

    if (h->type == WIRE_JOB)
        say_begin(w, h->job, WIRE_FIRST);
    buf_clear(&w->payload);
    if (buf_reserve(&w->payload, h->bytes) < 0)
        die_nomem();
    read_whole(w->payload.data, h->bytes);
    u = unpack_of((sl_str){ .ptr = w->payload.data, .len = h->bytes });
    switch (h->type) {
    case WIRE_CONF:
        on_conf(w, &u);
        break;
    case WIRE_PROGRAM:
        on_program(w, &u);
        break;
    case WIRE_DROP:
        on_drop(w, &u);
        break;
    case WIRE_JOB:
        on_job(w, h->job, &u);
        break;
    case WIRE_CHECK:
        on_check(w, &u);
        break;
    default:
        need(false);
    }
    if (w->payload.cap > KEEP_BYTES)
        buf_finish(&w->payload);
}

int map_worker_main(void)
{
    static struct worker w; /* static: in reach of the leak checker when exit() ends it */

    harden();
    map_jq_init(die_nomem);
    for (size_t i = 0; i < sizeof(w.programs) / sizeof(w.programs[0]); i++)
        list_init(&w.programs[i]);
    w.output = UINT64_MAX / 2;
    wire_end(&w.out, wire_begin(&w.out, WIRE_HELLO, 0));
    for (;;) {
        struct wire_header h = next_header(&w);

        on_frame(&w, &h);
    }
}
