/*
 * load.c - signed webhooks with ids of their own over keep-alive connections to 127.0.0.1.
 *
 *   bench-load sign TEMPLATE SECRET COUNT FILE    the signatures of orders 0 ... COUNT - 1
 *   bench-load run PORT TEMPLATE FILE [OPTIONS]   as fast as they are answered, or at a fixed rate
 *   bench-load idle PORT TEMPLATE FILE [OPTIONS]  one request a connection, then all stay open
 * until standard input ends
 *
 *   --connections N (64)  --first N (0): number of the first order
 *   --seconds S: sends no longer than that  --requests N: sends no more than that
 *   --rate R: request k is due at k / R seconds, answered or not what came before; its time counts
 *             from there, so that waiting for a free connection is part of it
 *
 * Every connection has one request under way. Prints one JSON object: requests, seconds,
 * requests_per_s, p50_ms, p99_ms, max_ms, not_200, this program's own cpu_us per request, and by
 * the monotonic clock when it started (start_us);
 * `idle` prints one when all are open and another, {"closed":N}, at the end. A connection that
 * breaks or an answer that takes 30 seconds ends it with code 1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "requests.h"

#define CONNECTIONS_MOST 20000
#define UNDER_WAY_MOST   64 /* idle: requests at once while the connections open */
#define ANSWER_MOST      2048
#define ANSWER_MS        30000

struct conn {
    int fd;
    char *request;
    size_t sent;
    char in[ANSWER_MOST];
    size_t in_len;
    int64_t due_us;
};

static struct {
    struct requests *requests;
    size_t request_bytes;
    uint64_t first, most; /* orders; how many */
    size_t n_conns, under_way_most;
    double rate;      /* 0: closed loop */
    int64_t start_us; /* clock's */
    int64_t end_us;   /* nothing is sent from then on */

    struct conn *conns;
    uint32_t *idle; /* a ring of the connections that have nothing under way */
    size_t idle_head, n_idle;
    uint32_t *took_us;
    size_t sent, done, under_way, not_200;
    int epoll;
} load;

static void die(const char *what)
{
    fprintf(stderr, "bench-load: %s: %s\n", what, errno ? strerror(errno) : "unexpected");
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

/* ---- one connection ---- */

static void push_idle(struct conn *c)
{
    load.idle[(load.idle_head + load.n_idle++) % load.n_conns] = (uint32_t)(c - load.conns);
}

static struct conn *pop_idle(void)
{
    struct conn *c = &load.conns[load.idle[load.idle_head]];

    load.idle_head = (load.idle_head + 1) % load.n_conns;
    load.n_idle--;
    return c;
}

static void send_more(struct conn *c)
{
    ssize_t n = send(c->fd, c->request + c->sent, load.request_bytes - c->sent, MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN)
        die("write");
    if (n > 0)
        c->sent += (size_t)n;
}

static void send_next(struct conn *c, int64_t due_us)
{
    requests_write(load.requests, load.first + load.sent, c->request);
    load.sent++;
    load.under_way++;
    c->sent = 0;
    c->in_len = 0;
    c->due_us = due_us;
    send_more(c);
}

/* Bytes of the whole answer, or 0 while its length is not known. */
static size_t answer_len(const struct conn *c)
{
    static const char name[] = "content-length:";
    const char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4), *line = c->in;

    if (!end)
        return 0;
    while (line < end) {
        if ((*line | 0x20) == 'c' && strncasecmp(line, name, sizeof(name) - 1) == 0)
            return (size_t)(end + 4 - c->in) + strtoul(line + sizeof(name) - 1, NULL, 10);
        line = (const char *)memchr(line, '\n', (size_t)(end + 2 - line)) + 1;
    }
    die("an answer without Content-Length");
    return 0;
}

static void on_readable(struct conn *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_len, ANSWER_MOST - c->in_len, 0);
    size_t whole;

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        errno = n ? errno : ECONNRESET;
        die("read");
    }
    c->in_len += (size_t)n;
    whole = answer_len(c);
    if (whole == 0 && c->in_len < ANSWER_MOST)
        return;
    if (whole > ANSWER_MOST || c->in_len > whole)
        die("an answer that is too long");
    if (c->in_len < whole)
        return;
    load.took_us[load.done++] = (uint32_t)(now_us() - c->due_us);
    load.under_way--;
    if (memcmp(c->in, "HTTP/1.1 200", 12) != 0)
        load.not_200++;
    push_idle(c);
}

static void open_conn(struct conn *c, int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };
    int one = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->request = need(requests_buffer(load.requests));
    c->sent = load.request_bytes;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0 ||
        epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &ev) < 0)
        die("epoll");
    push_idle(c);
}

/* ---- the run ---- */

/* When the next request is due; INT64_MAX: there is none any more. */
static int64_t next_due_us(int64_t now)
{
    int64_t due = now;

    if (load.rate > 0)
        due = load.start_us + (int64_t)((double)load.sent * 1e6 / load.rate);
    return load.sent < load.most && due < load.end_us ? due : INT64_MAX;
}

/* Sends what is due and can go. How long there is nothing to send, in us: at most ANSWER_MS. */
static int64_t send_due(void)
{
    int64_t now = now_us(), due = next_due_us(now);

    while (due <= now && load.n_idle && load.under_way < load.under_way_most) {
        send_next(pop_idle(), due);
        if (load.rate <= 0)
            now = now_us();
        due = next_due_us(now);
    }
    if (due <= now || due - now > ANSWER_MS * 1000)
        return ANSWER_MS * 1000; /* only an answer makes the next one possible */
    return due - now;
}

static void run(void)
{
    struct epoll_event events[256];

    for (;;) {
        int64_t wait_us = send_due();
        struct timespec wait = { wait_us / 1000000, wait_us % 1000000 * 1000 };
        if (!load.under_way && next_due_us(now_us()) == INT64_MAX)
            return;

        int n = epoll_pwait2(load.epoll, events, 256, &wait, NULL);
        if (n == 0 && wait_us == ANSWER_MS * 1000)
            errno = ETIMEDOUT;
        if (n < 0 || (n == 0 && wait_us == ANSWER_MS * 1000))
            die("waiting for answers");
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;

            if (c->sent < load.request_bytes && (events[i].events & EPOLLOUT))
                send_more(c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                on_readable(c);
        }
    }
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void report(int64_t took_us)
{
    struct rusage use;
    double s = (double)took_us / 1e6, cpu_us;

    getrusage(RUSAGE_SELF, &use);
    cpu_us = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 +
             (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
    qsort(load.took_us, load.done, sizeof(*load.took_us), by_value);
    printf(
        "{\"requests\":%zu,\"seconds\":%.3f,\"requests_per_s\":%.0f,\"p50_ms\":%.3f,"
        "\"p99_ms\":%.3f,\"max_ms\":%.3f,\"not_200\":%zu,\"cpu_us\":%.1f,\"start_us\":%" PRId64
        "}\n",
        load.done, s, (double)load.done / s, load.took_us[load.done / 2] / 1e3,
        load.took_us[load.done * 99 / 100] / 1e3, load.took_us[load.done - 1] / 1e3, load.not_200,
        cpu_us / (double)load.done, load.start_us);
    fflush(stdout);
}

/* Holds the connections until standard input ends, then counts those the server has closed. */
static void hold(void)
{
    size_t closed = 0;
    char c;

    while (read(STDIN_FILENO, &c, 1) > 0)
        ;
    for (size_t i = 0; i < load.n_conns; i++) {
        struct linger at_once = { .l_onoff = 1 };
        ssize_t n = recv(load.conns[i].fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);

        closed += n >= 0 || errno != EAGAIN;
        /* no TIME_WAIT: the ports are wanted again */
        setsockopt(load.conns[i].fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        close(load.conns[i].fd);
    }
    printf("{\"closed\":%zu}\n", closed);
}

/* ---- the command line ---- */

static int usage(void)
{
    fprintf(stderr,
            "usage: bench-load sign TEMPLATE SECRET COUNT FILE\n"
            "       bench-load run|idle PORT TEMPLATE FILE [--connections N] [--first N]\n"
            "                  [--seconds S] [--requests N] [--rate R]\n");
    return 2;
}

static double options(int argc, char **argv)
{
    static const struct option known[] = { { "connections", required_argument, NULL, 'c' },
                                           { "first", required_argument, NULL, 'f' },
                                           { "seconds", required_argument, NULL, 's' },
                                           { "requests", required_argument, NULL, 'n' },
                                           { "rate", required_argument, NULL, 'r' },
                                           { 0 } };
    double seconds = 1e6;
    int o;

    load.n_conns = 64;
    load.most = UINT64_MAX;
    while ((o = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (o == 'c')
            load.n_conns = strtoul(optarg, NULL, 10);
        else if (o == 'f')
            load.first = strtoull(optarg, NULL, 10);
        else if (o == 's')
            seconds = strtod(optarg, NULL);
        else if (o == 'n')
            load.most = strtoull(optarg, NULL, 10);
        else if (o == 'r')
            load.rate = strtod(optarg, NULL);
        else
            exit(usage());
    }
    if (!load.n_conns || load.n_conns > CONNECTIONS_MOST)
        exit(usage());
    return seconds;
}

static void prepare(const char *file, double seconds)
{
    int64_t there = requests_use(load.requests, file);

    if (there < 0)
        exit(1);
    if ((uint64_t)there <= load.first)
        die("no signatures are left");
    if (load.most > (uint64_t)there - load.first)
        load.most = (uint64_t)there - load.first;
    load.request_bytes = requests_bytes(load.requests);
    load.took_us = need(calloc(load.most, sizeof(*load.took_us)));
    load.conns = need(calloc(load.n_conns, sizeof(*load.conns)));
    load.idle = need(calloc(load.n_conns, sizeof(*load.idle)));
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    load.end_us = (int64_t)(seconds * 1e6);
    prctl(PR_SET_TIMERSLACK, 1000ul); /* or a paced request would leave 50 us late */
}

int main(int argc, char **argv)
{
    bool idle = argc > 1 && strcmp(argv[1], "idle") == 0;
    double seconds;
    int port;

    if (argc == 6 && strcmp(argv[1], "sign") == 0) {
        load.requests = requests_open(argv[2]);
        return load.requests && requests_sign(load.requests, argv[3], strtoull(argv[4], NULL, 10),
                                              argv[5]) == 0
                   ? 0
                   : 1;
    }
    if (argc < 5 || (!idle && strcmp(argv[1], "run") != 0))
        return usage();
    port = atoi(argv[2]);
    load.requests = requests_open(argv[3]);
    if (!load.requests)
        return 1;
    seconds = options(argc - 4, argv + 4);
    if (idle)
        load.most = load.n_conns;
    prepare(argv[4], seconds);
    load.under_way_most = idle ? UNDER_WAY_MOST : load.n_conns;
    for (size_t i = 0; i < load.n_conns; i++)
        open_conn(&load.conns[i], port);
    load.start_us = now_us();
    load.end_us += load.start_us;
    run();
    errno = 0;
    if (!load.done)
        die("no requests");
    report(now_us() - load.start_us);
    if (idle)
        hold();
    return 0;
}
