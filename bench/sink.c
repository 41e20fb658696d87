/*
 * sink.c - the remote that deliveries go to: answers every POST at once, as told, and keeps time.
 *
 *   bench-sink PORT       prints {"listens":PORT}; ends with standard input
 *
 * A line on standard input tells it what to do; it begins with `open`:
 *   open              every request is answered 200
 *   go N              N more are answered, those that wait first; the rest waits without an answer.
 *                     When it is done prints {"answered":N,"seconds":S}: from the first of them
 *                     (from now, if some wait) to the last
 *   hang              no request is answered
 *   bucket RATE BURST 200 while the bucket has a token, else 429: RATE tokens a second, at most
 *                     BURST, full now
 *   report            {"requests","answered","refused","first_us","last_us"} since the last report;
 *                     times by the monotonic clock
 *   arrivals FILE     a line for each request since the start whose body begins with {"n":"DIGITS":
 *                     the number and when it came, in us by the monotonic clock
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MOST 4096
#define REQUEST_MOST     (256u << 10)
#define EVENTS           256

struct conn {
    int fd;
    char *in;
    size_t in_len;
    bool waits; /* a whole request came, and has no answer */
};

struct arrival {
    uint64_t number;
    int64_t us;
};

static struct {
    int listener, epoll;
    struct conn conns[CONNECTIONS_MOST]; /* by file descriptor */
    int waiting[CONNECTIONS_MOST];       /* connections, the oldest first */
    size_t n_waiting;

    int64_t left; /* requests to answer; -1: without end */
    bool timed, begun;
    int64_t go_us, go_n;

    double rate_per_us, burst, tokens; /* rate 0: no bucket */
    int64_t tokens_us;

    uint64_t requests, answered, refused;
    int64_t first_us, last_us;
    struct arrival *arrivals;
    size_t n_arrivals, arrivals_cap;

    char commands[4096];
    size_t commands_len;
} sink;

static void die(const char *what)
{
    fprintf(stderr, "bench-sink: %s: %s\n", what, errno ? strerror(errno) : "unexpected");
    exit(1);
}

static void *need(void *p)
{
    if (!p)
        die("memory");
    return p;
}

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- answers ---- */

static void reply(struct conn *c, bool good)
{
    static const char yes[] =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        "Content-Length: 11\r\n\r\n{\"ok\":true}";
    static const char no[] = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n";
    const char *text = good ? yes : no;
    ssize_t n = (ssize_t)strlen(text);

    c->waits = false;
    sink.answered += good;
    sink.refused += !good;
    if (send(c->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
        shutdown(c->fd, SHUT_RDWR); /* the peer has gone */
}

static bool has_token(int64_t now)
{
    if (sink.rate_per_us <= 0)
        return true;
    sink.tokens += (double)(now - sink.tokens_us) * sink.rate_per_us;
    if (sink.tokens > sink.burst)
        sink.tokens = sink.burst;
    sink.tokens_us = now;
    if (sink.tokens < 1)
        return false;
    sink.tokens -= 1;
    return true;
}

static void answer_waiting(int64_t now)
{
    size_t i = 0;

    while (i < sink.n_waiting && sink.left != 0) {
        struct conn *c = &sink.conns[sink.waiting[i++]];
        if (!c->waits)
            continue; /* it was closed meanwhile */
        if (sink.timed && !sink.begun) {
            sink.begun = true;
            sink.go_us = now;
        }
        reply(c, has_token(now));
        sink.left -= sink.left > 0;
    }
    sink.n_waiting -= i;
    memmove(sink.waiting, sink.waiting + i, sink.n_waiting * sizeof(*sink.waiting));
    if (sink.timed && sink.left == 0) {
        printf("{\"answered\":%" PRId64 ",\"seconds\":%.6f}\n", sink.go_n,
               (double)(now_us() - sink.go_us) / 1e6);
        fflush(stdout);
        sink.timed = false;
    }
}

/* ---- requests ---- */

static void note_arrival(const char *body, size_t len, int64_t now)
{
    static const char mark[] = "{\"n\":\"";
    const size_t mark_len = sizeof(mark) - 1;

    if (len < mark_len + 2 || memcmp(body, mark, mark_len) != 0)
        return;
    if (sink.n_arrivals == sink.arrivals_cap) {
        sink.arrivals_cap = sink.arrivals_cap ? 2 * sink.arrivals_cap : 65536;
        sink.arrivals = need(realloc(sink.arrivals, sink.arrivals_cap * sizeof(*sink.arrivals)));
    }
    sink.arrivals[sink.n_arrivals++] = (struct arrival){ strtoull(body + mark_len, NULL, 10), now };
}

/* Bytes of the request at the front, or 0: it is not whole. */
static size_t whole_request(struct conn *c, size_t *ret_body_at)
{
    char *end, *line;

    c->in[c->in_len] = '\0';
    if (!(end = strstr(c->in, "\r\n\r\n")))
        return 0;
    *ret_body_at = (size_t)(end + 4 - c->in);
    for (line = strstr(c->in, "\r\n"); line < end; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, "content-length:", 15) == 0) {
            size_t all = *ret_body_at + strtoull(line + 17, NULL, 10);
            if (all > REQUEST_MOST)
                die("a request that large");
            return all <= c->in_len ? all : 0;
        }
    die("a request without Content-Length");
    return 0;
}

static void on_request(struct conn *c, int64_t now)
{
    sink.requests++;
    sink.last_us = now;
    if (!sink.first_us)
        sink.first_us = now;
    c->waits = true;
    sink.waiting[sink.n_waiting++] = c->fd;
    answer_waiting(now);
}

static void forget(struct conn *c)
{
    size_t n = 0;

    for (size_t i = 0; i < sink.n_waiting; i++)
        if (sink.waiting[i] != c->fd)
            sink.waiting[n++] = sink.waiting[i];
    sink.n_waiting = n;
    close(c->fd);
    c->in_len = 0;
    c->waits = false;
}

static void on_readable(struct conn *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_len, REQUEST_MOST - c->in_len, 0);
    size_t bytes, body_at = 0;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        forget(c);
        return;
    }
    c->in_len += (size_t)n;
    if (c->waits || !(bytes = whole_request(c, &body_at)))
        return;
    int64_t now = now_us();
    note_arrival(c->in + body_at, bytes - body_at, now);
    c->in_len -= bytes;
    if (c->in_len)
        die("a second request before the first was answered");
    on_request(c, now);
}

static void on_connection(void)
{
    int one = 1, fd = accept4(sink.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (fd >= CONNECTIONS_MOST)
        die("so many connections");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    struct conn *c = &sink.conns[fd];
    c->fd = fd;
    if (!c->in)
        c->in = need(malloc(REQUEST_MOST + 1));
    if (epoll_ctl(sink.epoll, EPOLL_CTL_ADD, fd,
                  &(struct epoll_event){ .events = EPOLLIN, .data.fd = fd }) < 0)
        die("epoll_ctl");
}

/* ---- commands ---- */

static void report(void)
{
    printf("{\"requests\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"refused\":%" PRIu64
           ",\"first_us\":%" PRId64 ",\"last_us\":%" PRId64 "}\n",
           sink.requests, sink.answered, sink.refused, sink.first_us, sink.last_us);
    fflush(stdout);
    sink.requests = sink.answered = sink.refused = 0;
    sink.first_us = sink.last_us = 0;
}

static void write_arrivals(const char *name)
{
    FILE *f = fopen(name, "we");

    if (!f)
        die(name);
    for (size_t i = 0; i < sink.n_arrivals; i++)
        fprintf(f, "%" PRIu64 " %" PRId64 "\n", sink.arrivals[i].number, sink.arrivals[i].us);
    if (fclose(f) != 0)
        die(name);
    printf("{\"arrivals\":%zu}\n", sink.n_arrivals);
    fflush(stdout);
}

static void obey(char *line)
{
    char *word = strtok(line, " "), *a = word ? strtok(NULL, " ") : NULL, *b = strtok(NULL, " ");

    if (word && strcmp(word, "open") == 0) {
        sink.left = -1;
        sink.rate_per_us = 0;
    } else if (word && a && strcmp(word, "go") == 0) {
        sink.left = sink.go_n = strtoll(a, NULL, 10);
        sink.timed = true;
        sink.begun = false;
    } else if (word && strcmp(word, "hang") == 0) {
        sink.left = 0;
    } else if (word && b && strcmp(word, "bucket") == 0) {
        sink.rate_per_us = strtod(a, NULL) / 1e6;
        sink.tokens = sink.burst = strtod(b, NULL);
        sink.tokens_us = now_us();
        sink.left = -1;
    } else if (word && strcmp(word, "report") == 0) {
        report();
    } else if (word && a && strcmp(word, "arrivals") == 0) {
        write_arrivals(a);
    } else {
        errno = 0;
        die("a command that it does not know");
    }
    answer_waiting(now_us());
}

static bool on_commands(void)
{
    ssize_t n = read(STDIN_FILENO, sink.commands + sink.commands_len,
                     sizeof(sink.commands) - 1 - sink.commands_len);
    char *end;

    if (n <= 0)
        return false;
    sink.commands_len += (size_t)n;
    sink.commands[sink.commands_len] = '\0';
    while ((end = strchr(sink.commands, '\n'))) {
        *end = '\0';
        obey(sink.commands);
        sink.commands_len -= (size_t)(end + 1 - sink.commands);
        memmove(sink.commands, end + 1, sink.commands_len + 1);
    }
    return true;
}

/* ---- life ---- */

static void listen_at(int port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int one = 1;

    sink.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (sink.listener < 0 ||
        setsockopt(sink.listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(sink.listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
        listen(sink.listener, 1024) < 0)
        die("listen");
    sink.epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event in = { .events = EPOLLIN, .data.fd = sink.listener };
    if (sink.epoll < 0 || epoll_ctl(sink.epoll, EPOLL_CTL_ADD, sink.listener, &in) < 0)
        die("epoll");
    in.data.fd = STDIN_FILENO;
    if (epoll_ctl(sink.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &in) < 0)
        die("standard input must be a pipe");
    printf("{\"listens\":%d}\n", port);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];

    if (argc != 2) {
        fprintf(stderr, "usage: bench-sink PORT\n");
        return 2;
    }
    sink.left = -1;
    listen_at(atoi(argv[1]));
    for (;;) {
        int n = epoll_wait(sink.epoll, events, EVENTS, -1);
        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == STDIN_FILENO && !on_commands())
                return 0;
            if (fd == sink.listener)
                on_connection();
            else if (fd != STDIN_FILENO)
                on_readable(&sink.conns[fd]);
        }
    }
}
