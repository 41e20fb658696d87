/*
 * hostile.c - a client that means no good, for test_hostile.py and test_connections.py.
 *
 *   hostile PORT throw MIB SEED CONNECTIONS
 *       a mix of hostile bytes, on connections that are opened anew as they end, until so many
 *       mebibytes were sent
 *
 *   hostile PORT slow KIND CONNECTIONS SECONDS
 *       KIND head or body: a byte every half a second; read: many requests, and no answer is taken;
 *       until all were closed by the server, or SECONDS have passed
 *
 *   hostile PORT idle CONNECTIONS
 *       open and silent, until the standard input ends
 *
 * All go to 127.0.0.1. "ready" is said when the connections are open; at the end one JSON object.
 * Its times are those after which the server closed one: since it began, or, of one that takes no
 * answers, since the server took nothing more of it.
 */
#include "hostile.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STUCK_MS 2000 /* a thrown one that nobody ends is ended by us */
#define DRIP_MS  500

struct conn {
    int fd; /* -1: over */
    uint64_t began_ms;
    size_t sent;
    bool all_sent, answered;
    struct load *load; /* throw */
};

static struct {
    struct sockaddr_in to;
    int epoll;
    struct conn *conns;
    int n_conns, n_open;
    uint64_t opened, closed_by_peer, sent;
    uint64_t first_ms, last_ms; /* throw aside: when the server closed them */
    uint64_t answers[6];        /* by class */
} h;

static void die(const char *what)
{
    fprintf(stderr, "hostile: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- one connection ---- */

/* `kernel_bytes`: what the kernel keeps of either direction; 0: as it likes. */
static void conn_open(struct conn *c, int kernel_bytes)
{
    struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c };

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    if (kernel_bytes) {
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &kernel_bytes, sizeof(kernel_bytes));
        setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &kernel_bytes, sizeof(kernel_bytes));
    }
    if (connect(c->fd, (struct sockaddr *)&h.to, sizeof(h.to)) < 0)
        die("connect");
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->began_ms = now_ms();
    c->sent = 0;
    c->all_sent = c->answered = false;
    h.opened++;
    h.n_open++;
    if (epoll_ctl(h.epoll, EPOLL_CTL_ADD, c->fd, &ev) < 0)
        die("epoll_ctl");
}

static void conn_close(struct conn *c, bool by_peer)
{
    uint64_t took = now_ms() - c->began_ms;

    close(c->fd);
    c->fd = -1;
    h.n_open--;
    if (!by_peer)
        return;
    h.closed_by_peer++;
    if (h.first_ms == 0 || took < h.first_ms)
        h.first_ms = took;
    if (took > h.last_ms)
        h.last_ms = took;
}

/* Take what there is. False: the peer has ended it. */
static bool conn_read(struct conn *c)
{
    static char in[65536];

    for (;;) {
        ssize_t n = read(c->fd, in, sizeof(in));

        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0)
            return false;
        if (!c->answered && n > 9 && in[9] >= '1' && in[9] <= '5')
            h.answers[in[9] - '0']++;
        c->answered = true;
    }
}

/* False: the peer has ended it. */
static bool conn_write(struct conn *c, const char *p, size_t n)
{
    ssize_t done = send(c->fd, p, n, MSG_NOSIGNAL);

    if (done < 0)
        return errno == EAGAIN;
    c->sent += (size_t)done;
    h.sent += (size_t)done;
    return true;
}

/* ---- throw ---- */

static bool load_send(struct conn *c)
{
    struct load *l = c->load;
    size_t all = l->prefix_len + l->fill;

    while (c->sent < all) {
        size_t at = c->sent, before = c->sent, n;
        const char *p;

        if (at < l->prefix_len) {
            p = l->prefix + at;
            n = l->prefix_len - at;
        } else {
            at = (at - l->prefix_len) % l->filler_len;
            p = l->filler + at;
            n = l->filler_len - at;
            n = n < all - c->sent ? n : all - c->sent;
        }
        if (!conn_write(c, p, n))
            return false;
        if (c->sent == before)
            return true; /* later */
    }
    c->all_sent = true;
    return true;
}

/* All is sent: most wait for the server's end, some end one side, some just go, or reset. */
static void after_all(struct conn *c, struct dice *d)
{
    struct linger reset = { .l_onoff = 1 };

    switch (dice_below(d, 8)) {
    case 0:
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)); /* fallthrough */
    case 1:
        conn_close(c, false);
        break;
    default:
        shutdown(c->fd, SHUT_WR);
    }
}

static void throw_event(struct conn *c, struct dice *d)
{
    bool alive = conn_read(c);

    if (alive && !c->all_sent) {
        alive = load_send(c);
        if (alive && c->all_sent)
            after_all(c, d);
    }
    if (!alive)
        conn_close(c, true);
}

static void throw_next(struct conn *c, struct dice *d)
{
    load_make(c->load, d);
    conn_open(c, 0);
}

static void throw_all(uint64_t bytes, uint64_t seed)
{
    struct epoll_event events[256];
    struct dice d = { seed };
    uint64_t swept_ms = now_ms();

    loads_init(&d);
    for (int i = 0; i < h.n_conns; i++) {
        h.conns[i].load = malloc(sizeof(*h.conns[i].load));
        if (!h.conns[i].load)
            die("memory");
        throw_next(&h.conns[i], &d);
    }
    while (h.sent < bytes) {
        int n = epoll_wait(h.epoll, events, 256, 100);

        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;

            if (c->fd >= 0)
                throw_event(c, &d);
        }
        if (now_ms() - swept_ms > 100)
            swept_ms = now_ms();
        else if (n > 0 && h.n_open == h.n_conns)
            continue;
        for (int i = 0; i < h.n_conns; i++) {
            struct conn *c = &h.conns[i];

            if (c->fd >= 0 && swept_ms - c->began_ms > STUCK_MS && swept_ms > c->began_ms)
                conn_close(c, false);
            if (c->fd < 0)
                throw_next(c, &d);
        }
    }
}

/* ---- slow ---- */

static const char slow_head[] =
    "POST /in/acme-shop HTTP/1.1\r\nHost: gateway\r\n"
    "X-Shopify-Shop-Domain: example.myshopify.com\r\n"
    "X-Shopify-Topic: orders/create\r\nX-Shopify-Webhook-Id: slow\r\n"
    "X-Shopify-Hmac-Sha256: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AA=\r\nContent-Length: 4000\r\n\r\n";
static char many[65536]; /* requests one behind the other, whole ones */

/* Send as many requests as the server takes; its answers stay where they are. */
static bool flood(struct conn *c)
{
    size_t before;

    do {
        size_t at = c->sent % sizeof(many);

        before = c->sent;
        if (!conn_write(c, many + at, sizeof(many) - at))
            return false;
        if (c->sent > before)
            c->began_ms = now_ms();
    } while (c->sent > before);
    return true;
}

static bool is_over(const struct conn *c)
{
    struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };

    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static bool slow_turn(struct conn *c, const char *kind)
{
    if (strcmp(kind, "read") == 0)
        return flood(c) && !is_over(c);
    return conn_read(c) && conn_write(c, "a", 1) && !is_over(c);
}

static bool due(uint64_t turn, const char *kind)
{
    return strcmp(kind, "read") == 0 || turn % (DRIP_MS / 50) == 0;
}

static void slow(const char *kind, uint64_t ms)
{
    static const char request[] =
        "GET /in/nobody HTTP/1.1\r\nHost: gateway\r\nX: aaaaaaaaaaaaaaaaa\r\n\r\n";
    uint64_t began = now_ms();

    _Static_assert(sizeof(many) % (sizeof(request) - 1) == 0, "whole requests");
    for (size_t at = 0; at < sizeof(many); at += sizeof(request) - 1)
        memcpy(many + at, request, sizeof(request) - 1);
    for (int i = 0; i < h.n_conns; i++) {
        struct conn *c = &h.conns[i];

        conn_open(c, strcmp(kind, "read") == 0 ? 8192 : 0);
        if (strcmp(kind, "read") != 0)
            conn_write(c, slow_head, strcmp(kind, "head") == 0 ? 60 : sizeof(slow_head) - 1);
    }
    printf("ready\n");
    fflush(stdout);
    for (uint64_t turn = 0; h.n_open > 0 && now_ms() - began < ms; turn++) {
        for (int i = 0; i < h.n_conns; i++) {
            struct conn *c = &h.conns[i];

            if (c->fd >= 0 && (due(turn, kind) ? !slow_turn(c, kind) : is_over(c)))
                conn_close(c, true);
        }
        poll(NULL, 0, 50);
    }
}

/* ---- idle ---- */

static void idle(void)
{
    struct pollfd input = { .fd = 0, .events = POLLIN };
    char byte;

    for (int i = 0; i < h.n_conns; i++)
        conn_open(&h.conns[i], 0);
    printf("ready\n");
    fflush(stdout);
    while (poll(&input, 1, 100) == 0 || read(0, &byte, 1) > 0)
        ;
    for (int i = 0; i < h.n_conns; i++)
        if (is_over(&h.conns[i]))
            conn_close(&h.conns[i], true);
}

/* ---- all of it ---- */

static void report(void)
{
    printf(
        "{\"sent\":%llu,\"opened\":%llu,\"closed_by_server\":%llu,\"open\":%d,\"first_ms\":%llu,"
        "\"last_ms\":%llu,\"answers\":[%llu,%llu,%llu,%llu]}\n",
        (unsigned long long)h.sent, (unsigned long long)h.opened,
        (unsigned long long)h.closed_by_peer, h.n_open, (unsigned long long)h.first_ms,
        (unsigned long long)h.last_ms, (unsigned long long)h.answers[2],
        (unsigned long long)h.answers[3], (unsigned long long)h.answers[4],
        (unsigned long long)h.answers[5]);
}

static int usage(void)
{
    fprintf(stderr,
            "usage: hostile PORT throw MIB SEED CONNECTIONS\n"
            "       hostile PORT slow head|body|read CONNECTIONS SECONDS\n"
            "       hostile PORT idle CONNECTIONS\n");
    return 2;
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[2] : "";
    bool throws = strcmp(what, "throw") == 0 && argc == 6;
    bool slows = strcmp(what, "slow") == 0 && argc == 6;
    bool idles = strcmp(what, "idle") == 0 && argc == 4;
    struct rlimit files;

    if (!throws && !slows && !idles)
        return usage();
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    h.to = (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)atoi(argv[1])),
                                 .sin_addr = { htonl(INADDR_LOOPBACK) } };
    h.epoll = epoll_create1(EPOLL_CLOEXEC);
    h.n_conns = atoi(argv[throws ? 5 : slows ? 4 : 3]);
    h.conns = calloc((size_t)h.n_conns, sizeof(*h.conns));
    if (!h.conns || h.n_conns < 1)
        return usage();
    if (throws)
        throw_all(strtoull(argv[3], NULL, 10) << 20, strtoull(argv[4], NULL, 10));
    else if (slows)
        slow(argv[3], strtoull(argv[5], NULL, 10) * 1000);
    else
        idle();
    report();
    return 0;
}
