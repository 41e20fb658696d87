/*
 * map_proc.c - one life of a mapping worker.
 */
#include "flow/map_proc.h"

#include <signal.h>
#include <stdlib.h>
#include "base/buf.h"
#include "base/list.h"

#define READ_BYTES 65536
#define GRACE_MS   5 /* after a deadline: what lies in the socket already is read first */

struct map_proc {
    uv_process_t process;
    uv_pipe_t pipe;
    uv_timer_t timer;
    int held; /* open handles; freed at 0 */
    bool exited, eof;
    bool graced; /* the deadline passed; GRACE_MS run */
    struct map_death death;
    struct buf in; /* bytes read, not yet a whole frame */
    uint64_t max_frame;
    const struct map_proc_events *events;
    void *ctx;
};

struct sending {
    uv_write_t req;
    void (*release)(void *arg);
    void *arg;
};

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct map_proc *p = handle->data;

    if (--p->held > 0)
        return;
    if (p->events)
        p->events->closed(p->ctx);
    buf_finish(&p->in);
    free(p);
}

static void close_all(struct map_proc *p)
{
    uv_close((uv_handle_t *)&p->process, on_closed);
    uv_close((uv_handle_t *)&p->pipe, on_closed);
    uv_close((uv_handle_t *)&p->timer, on_closed);
}

/* Dead is who has both exited and said all: a DONE may lie in the socket when the exit is seen. */
static void check_gone(struct map_proc *p)
{
    if (!p->exited || !p->eof)
        return;
    close_all(p);
    p->events->gone(p->ctx, &p->death);
}

void map_proc_kill(struct map_proc *p)
{
    if (!p->exited) /* its id may be another's afterwards */
        uv_process_kill(&p->process, SIGKILL);
}

static void on_exit_seen(uv_process_t *process, int64_t exit_code, int signal_number)
{
    struct map_proc *p = process->data;

    p->exited = true;
    p->death.exit_code = exit_code;
    p->death.signal = signal_number;
    check_gone(p);
}

static void on_deadline(uv_timer_t *timer)
{
    struct map_proc *p = timer->data;

    if (!p->graced) { /* if this loop was late itself, the answer may be there */
        p->graced = true;
        uv_timer_start(&p->timer, on_deadline, GRACE_MS, 0);
        return;
    }
    p->death.timed_out = true;
    map_proc_kill(p);
}

void map_proc_deadline(struct map_proc *p, uint64_t ms)
{
    p->graced = false;
    if (ms > 0)
        uv_timer_start(&p->timer, on_deadline, ms, 0);
    else
        uv_timer_stop(&p->timer);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct map_proc *p = handle->data;

    (void)suggested;
    if (buf_reserve(&p->in, READ_BYTES) < 0)
        *ret = uv_buf_init(NULL, 0);
    else
        *ret = uv_buf_init(p->in.data + p->in.len, READ_BYTES);
}

/* All whole frames in p->in. */
static int take_frames(struct map_proc *p)
{
    size_t at = 0;
    int r = 0;

    while (r >= 0 && p->in.len - at >= WIRE_HEADER) {
        struct wire_header h = wire_header_of(p->in.data + at);

        if (h.bytes > p->max_frame)
            return UV_EPROTO;
        if (p->in.len - at - WIRE_HEADER < h.bytes)
            break;
        r = p->events->frame(p->ctx, &h,
                             (sl_str){ .ptr = p->in.data + at + WIRE_HEADER, .len = h.bytes });
        at += WIRE_HEADER + h.bytes;
    }
    buf_consume(&p->in, at);
    return r;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *unused)
{
    struct map_proc *p = stream->data;

    (void)unused;
    if (n > 0) {
        p->in.len += (size_t)n;
        n = take_frames(p);
    }
    if (n >= 0)
        return;
    uv_read_stop(stream); /* closed by the worker, or not to be understood: an end either way */
    p->death.unheard |= n == UV_ENOBUFS || n == UV_ENOMEM;
    p->eof = true;
    map_proc_kill(p);
    check_gone(p);
}

/* ---- sending ---- */

static void on_sent(uv_write_t *req, int status)
{
    struct sending *s = container_of(req, struct sending, req);

    (void)status; /* a failure shows as the end of the stream */
    s->release(s->arg);
    free(s);
}

void map_proc_send(struct map_proc *p, sl_str bytes, void (*release)(void *arg), void *arg)
{
    uv_buf_t b = uv_buf_init((char *)bytes.ptr, (unsigned)bytes.len);
    struct sending *s = malloc(sizeof(*s));
    int r = UV_ENOMEM;

    if (s) {
        s->release = release;
        s->arg = arg;
        r = uv_write(&s->req, (uv_stream_t *)&p->pipe, &b, 1, on_sent);
    }
    if (r == 0)
        return;
    free(s);
    release(arg);
    p->death.unheard |= r == UV_ENOMEM;
    map_proc_kill(p);
}

/* ---- the start ---- */

static int spawn(struct map_proc *p, uv_loop_t *loop, const char *exe)
{
    char *args[] = { (char *)"sluice", (char *)"map-worker", NULL }, *env[] = { NULL };
    uv_stdio_container_t stdio[WIRE_FD + 1] = {
        { .flags = UV_IGNORE },
        { .flags = UV_IGNORE },
        { .flags = UV_IGNORE },
        { .flags = UV_CREATE_PIPE | UV_READABLE_PIPE | UV_WRITABLE_PIPE,
          .data.stream = (uv_stream_t *)&p->pipe },
    };
    uv_process_options_t options = {
        .exit_cb = on_exit_seen,
        .file = exe,
        .args = args,
        .env = env,
        .cwd = "/",
        /* a session of its own: Ctrl-C and a signal to the daemon's group are not for workers,
         * which end with the daemon (PDEATHSIG) */
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = WIRE_FD + 1,
        .stdio = stdio,
    };

    return uv_spawn(loop, &p->process, &options);
}

int map_proc_start(struct map_proc **ret, uv_loop_t *loop, const char *exe, uint64_t max_frame,
                   const struct map_proc_events *events, void *ctx, struct fail *fail)
{
    struct map_proc *p = calloc(1, sizeof(*p));
    int r;

    if (!p)
        return fail_set(fail, UV_ENOMEM, "no memory");
    if ((r = uv_pipe_init(loop, &p->pipe, 0)) < 0) {
        free(p);
        return fail_set(fail, r, "no pipe for a mapping worker: %s", uv_strerror(r));
    }
    uv_timer_init(loop, &p->timer);
    p->process.data = p->pipe.data = p->timer.data = p;
    p->held = 3;
    p->max_frame = max_frame;
    p->ctx = ctx;
    if ((r = spawn(p, loop, exe)) == 0) {
        p->events = events;
        if (uv_read_start((uv_stream_t *)&p->pipe, on_alloc, on_read) < 0) {
            p->eof = true; /* its end is told as any other */
            map_proc_kill(p);
        }
        *ret = p;
        return 0;
    }
    close_all(p); /* uv_spawn leaves the process handle to be closed when it failed, too */
    return fail_set(fail, r, "cannot start a mapping worker (%s): %s", exe, uv_strerror(r));
}
