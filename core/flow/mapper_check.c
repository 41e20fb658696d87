/*
 * mapper_check.c - compile programs for `sluice check`, in a worker of its own, blocking.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "flow/map_guard.h"
#include "flow/map_wire.h"
#include "flow/mapper.h"

#define PATIENCE_MS  10000 /* for one program */
#define MEMORY_BYTES (UINT64_C(512) << 20)
#define ANSWER_BYTES 65536 /* of a verdict, at most */

struct map_checker {
    char *exe;
    pid_t pid; /* 0: none is running */
    int fd;
};

static void end_child(struct map_checker *c)
{
    if (c->pid == 0)
        return;
    close(c->fd);
    kill(c->pid, SIGKILL);
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    c->pid = 0;
}

static int spawn_child(const char *exe, int fd, pid_t *ret)
{
    char *argv[] = { (char *)"sluice", (char *)"map-worker", NULL }, *envp[] = { NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    int r;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawn_file_actions_adddup2(&files, fd, WIRE_FD); /* first: `fd` may be below 3 */
    for (int i = 0; i < WIRE_FD; i++)
        posix_spawn_file_actions_addopen(&files, i, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_addclosefrom_np(&files, WIRE_FD + 1);
    r = posix_spawn(ret, exe, &files, &attr, argv, envp);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return -r;
}

/* Whole or not at all: 0, UV_ETIMEDOUT, UV_EOF (it died) or an error. */
static int send_all(int fd, sl_str s)
{
    while (s.len > 0) {
        ssize_t n = send(fd, s.ptr, s.len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? UV_ETIMEDOUT : UV_EOF;
        s.ptr += n;
        s.len -= (size_t)n;
    }
    return 0;
}

static int recv_all(int fd, char *to, size_t bytes, uint64_t until_ms)
{
    while (bytes > 0) {
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        uint64_t now = clock_mono_ms();
        int ready = now < until_ms ? poll(&wait, 1, (int)(until_ms - now)) : 0;
        ssize_t n;

        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return ready < 0 ? -errno : UV_ETIMEDOUT;
        n = recv(fd, to, bytes, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return UV_EOF;
        to += n;
        bytes -= (size_t)n;
    }
    return 0;
}

static int recv_frame(int fd, enum wire_type type, struct buf *payload, uint64_t until_ms)
{
    char raw[WIRE_HEADER];
    struct wire_header h;
    int r = recv_all(fd, raw, sizeof(raw), until_ms);

    if (r < 0)
        return r;
    h = wire_header_of(raw);
    if (h.type != type || h.bytes > ANSWER_BYTES)
        return UV_EPROTO;
    buf_clear(payload);
    if (buf_reserve(payload, h.bytes) < 0)
        return UV_ENOMEM;
    r = recv_all(fd, payload->data, h.bytes, until_ms);
    payload->len = r < 0 ? 0 : h.bytes;
    return r;
}

static int send_conf(int fd)
{
    struct buf b = { 0 };
    size_t at = wire_begin(&b, WIRE_CONF, 0);
    int r;

    pack_u64(&b, MEMORY_BYTES);
    pack_u64(&b, 0);
    pack_i64(&b, 0);
    wire_end(&b, at);
    r = b.failed ? UV_ENOMEM : send_all(fd, buf_view(&b));
    buf_finish(&b);
    return r;
}

static int start_child(struct map_checker *c, struct fail *fail)
{
    struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
    struct buf hello = { 0 };
    int pair[2], r;

    if (c->pid > 0)
        return 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return fail_set(fail, -errno, "no socket for a mapping worker: %s", uv_strerror(-errno));
    setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    r = spawn_child(c->exe, pair[1], &c->pid);
    close(pair[1]);
    if (r < 0) {
        close(pair[0]);
        c->pid = 0;
        return fail_set(fail, r, "cannot start a mapping worker (%s): %s", c->exe, uv_strerror(r));
    }
    c->fd = pair[0];
    r = recv_frame(c->fd, WIRE_HELLO, &hello, clock_mono_ms() + PATIENCE_MS);
    buf_finish(&hello);
    if (r == 0)
        r = send_conf(c->fd);
    if (r < 0) {
        end_child(c);
        return fail_set(fail, r, "the mapping worker does not start: %s", uv_strerror(r));
    }
    return 0;
}

int map_checker_open(struct map_checker **ret, const char *exe, struct fail *fail)
{
    struct map_checker *c = calloc(1, sizeof(*c));
    int r;

    if (!c || !(c->exe = str_dup(str_of(exe ? exe : "/proc/self/exe")))) {
        free(c);
        return fail_set(fail, UV_ENOMEM, "no memory");
    }
    if ((r = start_child(c, fail)) < 0) {
        map_checker_close(c);
        return r;
    }
    *ret = c;
    return 0;
}

/* 0 and the verdict in `answer`, or a code. */
static int ask(struct map_checker *c, sl_str text, const char *const *vars, struct buf *answer)
{
    struct buf frame = { 0 };
    size_t at = wire_begin(&frame, WIRE_CHECK, 0);
    uint32_t n = 0;
    int r;

    while (vars && vars[n])
        n++;
    pack_u32(&frame, n);
    for (uint32_t i = 0; i < n; i++)
        pack_str(&frame, str_of(vars[i]));
    pack_str(&frame, text);
    wire_end(&frame, at);
    r = frame.failed ? UV_ENOMEM : send_all(c->fd, buf_view(&frame));
    buf_finish(&frame);
    return r < 0 ? r : recv_frame(c->fd, WIRE_VERDICT, answer, clock_mono_ms() + PATIENCE_MS);
}

int map_checker_compile(struct map_checker *c, sl_str text, const char *const *vars,
                        struct fail *fail)
{
    struct buf answer = { 0 };
    struct unpack u;
    int r = map_guard(text, fail);

    if (r < 0 || (r = start_child(c, fail)) < 0)
        return r;
    r = ask(c, text, vars, &answer);
    if (r < 0) {
        end_child(c);
        if (r == UV_EOF)
            r = fail_set(fail, MAP_E_PROGRAM, "the program crashes the compiler of jq");
        else if (r == UV_ETIMEDOUT)
            r = fail_set(fail, MAP_E_PROGRAM, "the program does not compile within %d s",
                         PATIENCE_MS / 1000);
        else
            fail_set(fail, r, "the mapping worker does not answer: %s", uv_strerror(r));
    } else {
        u = unpack_of(buf_view(&answer));
        r = (int32_t)unpack_u32(&u);
        if (r < 0) {
            sl_str why = unpack_str(&u);

            fail_set(fail, r, STR_FMT, STR_ARG(why));
        }
    }
    buf_finish(&answer);
    return r;
}

void map_checker_close(struct map_checker *c)
{
    if (!c)
        return;
    end_child(c);
    free(c->exe);
    free(c);
}
