/*
 * http_listen.c - the listening socket: address text, TCP and unix sockets, accept.
 *
 * Plain system calls instead of uv_listen(): libuv answers a lack of descriptors by accepting and
 * closing what waits, and cannot stop accepting; here it waits in the backlog.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "net/http_conn.h"

#define BACKLOG 511
/* Accepted sockets inherit it. */
static void bound_buffers(const struct http_server *s)
{
    int out = (int)s->conf.send_bytes, in = (int)s->conf.receive_bytes;

    if (out)
        setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &out, sizeof(out));
    if (in)
        setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &in, sizeof(in));
}

/* "127.0.0.1:8080" or "[::1]:8080". */
static int parse_address(const char *text, struct sockaddr_storage *ret, struct fail *fail)
{
    const char *colon = strrchr(text, ':');
    bool v6 = text[0] == '[';
    char host[64], *end;
    size_t len = colon ? (size_t)(colon - text) : 0;
    long port;

    if (!colon || len >= sizeof(host) || (v6 && (len < 2 || text[len - 1] != ']')))
        return fail_set(fail, UV_EINVAL,
                        "listen address \"%s\": expected ADDRESS:PORT, "
                        "[IPV6]:PORT or unix:PATH",
                        text);
    snprintf(host, sizeof(host), "%.*s", (int)(v6 ? len - 2 : len), v6 ? text + 1 : text);
    errno = 0;
    port = strtol(colon + 1, &end, 10);
    if (colon[1] < '0' || colon[1] > '9' || *end || errno || port > 65535)
        return fail_set(fail, UV_EINVAL, "listen address \"%s\": port must be 0 to 65535", text);
    if ((v6 ? uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)ret)
            : uv_ip4_addr(host, (int)port, (struct sockaddr_in *)ret)) < 0)
        return fail_set(fail, UV_EINVAL,
                        "listen address \"%s\": \"%s\" is no IP address (names are not looked up)",
                        text, host);
    return 0;
}

static int open_tcp(struct http_server *s, struct fail *fail)
{
    struct sockaddr_storage addr = { 0 };
    int r = parse_address(s->name, &addr, fail), on = 1;
    socklen_t len = addr.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                               : sizeof(struct sockaddr_in);

    if (r < 0)
        return r;
    s->fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bound_buffers(s);
    if (s->fd < 0 || setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(s->fd, (struct sockaddr *)&addr, len) < 0 || listen(s->fd, BACKLOG) < 0)
        return fail_set(fail, -errno, "cannot listen on %s: %s", s->name, strerror(errno));
    return 0;
}

/* A socket file may be left from a killed process: it goes if nobody answers there. Nothing else is
 * ever removed. */
static int clear_stale(const struct sockaddr_un *addr, struct fail *fail)
{
    struct stat st;
    int fd, err;

    if (lstat(addr->sun_path, &st) < 0)
        return 0; /* bind() will say what else is wrong */
    if (!S_ISSOCK(st.st_mode))
        return fail_set(fail, UV_EEXIST, "cannot listen on %s: the file exists and is no socket",
                        addr->sun_path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail_set(fail, -errno, "cannot listen on %s: %s", addr->sun_path, strerror(errno));
    err = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? errno : 0;
    close(fd);
    if (err != ECONNREFUSED)
        return fail_set(fail, UV_EADDRINUSE,
                        "cannot listen on %s: another process listens there%s%s", addr->sun_path,
                        err ? ", it seems: " : "", err ? strerror(err) : "");
    unlink(addr->sun_path);
    return 0;
}

static int open_unix(struct http_server *s, const char *path, struct fail *fail)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    struct stat st;
    int r;

    if (!path[0] || strlen(path) >= sizeof(addr.sun_path))
        return fail_set(fail, UV_EINVAL,
                        "listen address \"%s\": expected unix:PATH of at most %zu bytes", s->name,
                        sizeof(addr.sun_path) - 1);
    strcpy(addr.sun_path, path);
    if ((r = clear_stale(&addr, fail)) < 0)
        return r;
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* fchmod() before bind() is the mode the file is born with: it is never wider than asked */
    if (s->fd < 0 || fchmod(s->fd, s->conf.unix_mode) < 0 ||
        bind(s->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        return fail_set(fail, -errno, "cannot listen on %s: %s", path, strerror(errno));
    if (lstat(path, &st) == 0) {
        s->unix_dev = st.st_dev;
        s->unix_ino = st.st_ino;
    }
    bound_buffers(s);
    if (chmod(path, s->conf.unix_mode) < 0 || listen(s->fd, BACKLOG) < 0)
        return fail_set(fail, -errno, "cannot listen on %s: %s", path, strerror(errno));
    return 0;
}

int listen_open(struct http_server *s, struct fail *fail)
{
    s->unix_sock = strncmp(s->name, "unix:", 5) == 0;
    return s->unix_sock ? open_unix(s, s->name + 5, fail) : open_tcp(s, fail);
}

void listen_close(struct http_server *s)
{
    struct stat st;

    if (s->fd < 0)
        return;
    if (s->unix_ino && lstat(s->name + 5, &st) == 0 && st.st_dev == s->unix_dev &&
        st.st_ino == s->unix_ino)
        unlink(s->name + 5);
    close(s->fd);
    s->fd = -1;
}

static int64_t uid_of(int fd)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ? -1 : (int64_t)cred.uid;
}

static void read_ip(const struct sockaddr_storage *addr, struct ip *ret)
{
    static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

    if (addr->ss_family == AF_INET6) {
        memcpy(ret->byte, &((const struct sockaddr_in6 *)addr)->sin6_addr, sizeof(ret->byte));
    } else {
        memcpy(ret->byte, v4_prefix, sizeof(v4_prefix));
        memcpy(ret->byte + sizeof(v4_prefix), &((const struct sockaddr_in *)addr)->sin_addr, 4);
    }
}

int listen_accept(struct http_server *s, struct remote *ret_peer)
{
    struct sockaddr_storage addr = { 0 };
    socklen_t len = sizeof(addr);
    int fd;

    do
        fd = accept4(s->fd, (struct sockaddr *)&addr, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    *ret_peer = (struct remote){ .uid = -1 };
    if (s->unix_sock) {
        strcpy(ret_peer->text, "unix");
        ret_peer->uid = uid_of(fd);
    } else {
        read_ip(&addr, &ret_peer->ip);
        ip_format(&ret_peer->ip, ret_peer->text);
    }
    return fd;
}
