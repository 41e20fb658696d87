/*
 * flood.c - many signed webhooks at once, for test_overload.py: every connection keeps so many
 * requests under way, whatever comes back.
 *
 *   flood PORT SECRET FIRST CONNECTIONS DEPTH SECONDS [BYTES]
 *
 * Requests have the ids and orders FIRST, FIRST + 1, ... The first DEPTH of a connection go out
 * without an answer to any of them; then one for each answer, until SECONDS are over; it ends when
 * all that was sent is answered. What is on a connection that the gateway closed is not sent again;
 * another one takes its place. Prints one JSON object: sent, ok, refused (503), other, lost (no
 * answer), seconds (to the end of the sending), ok_in_time (within them), worst_refusal_ms,
 * quarters (`ok` of each quarter of the time).
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
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/digest.h"

#define BODY_MOST  (64 << 10)
#define DEPTH_MOST 64
#define PATIENCE_S 60 /* after the sending, for the answers */

struct conn {
    int fd;
    char *out; /* what the socket has not taken */
    size_t out_len;
    char in[4096];
    size_t in_len;
    bool last;                /* the gateway closes it after this answer */
    unsigned under_way, next; /* places in `since_us`, a ring */
    int64_t since_us[DEPTH_MOST];
};

static struct {
    int port, epoll;
    struct hmac *hmac;
    uint64_t number, first;
    unsigned depth;
    size_t n_conns, body_len;
    char *body;
    size_t request_most;
    struct conn *conns;
    int64_t start_us, end_us;
    uint64_t sent, ok, ok_in_time, refused, other, lost, quarters[4];
    int64_t worst_refusal_us;
} f;

static void die(const char *what)
{
    fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- requests ---- */

/* {"id":00000000012345,"note":"xxx..."}: all of one length. */
static void make_body(void)
{
    memset(f.body, 'x', f.body_len);
    memcpy(f.body, "{\"id\":00000000000000,\"note\":\"", 29);
    memcpy(f.body + f.body_len - 2, "\"}", 2);
}

static size_t make_request(char *out)
{
    char number[15], signature[64];
    uint8_t mac[DIGEST_SHA256];
    size_t n;

    snprintf(number, sizeof(number), "1%013" PRIu64, f.number);
    memcpy(f.body + 6, number, 14);
    if (hmac_begin(f.hmac) < 0)
        die("hmac");
    hmac_update(f.hmac, f.body, f.body_len);
    hmac_end(f.hmac, mac);
    base64_encode(mac, sizeof(mac), signature);
    n = (size_t)sprintf(out,
                        "POST /in/acme-shop HTTP/1.1\r\nHost: gateway\r\n"
                        "Content-Type: application/json\r\nX-Shopify-Topic: orders/create\r\n"
                        "X-Shopify-Shop-Domain: example.myshopify.com\r\n"
                        "X-Shopify-Webhook-Id: flood-%" PRIu64
                        "\r\n"
                        "X-Shopify-Hmac-Sha256: %s\r\nContent-Length: %zu\r\n\r\n",
                        f.number++, signature, f.body_len);
    memcpy(out + n, f.body, f.body_len);
    return n + f.body_len;
}

/* ---- connections ---- */

static void watch(struct conn *c, int op)
{
    struct epoll_event e = { .events = EPOLLIN | (c->out_len ? EPOLLOUT : 0u), .data.ptr = c };

    if (epoll_ctl(f.epoll, op, c->fd, &e) < 0)
        die("epoll");
}

static void dial(struct conn *c)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)f.port) };
    int on = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0 ||
        (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS))
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    watch(c, EPOLL_CTL_ADD);
}

static void ask(struct conn *c)
{
    c->since_us[(c->next + c->under_way++) % f.depth] = now_us();
    c->out_len += make_request(c->out + c->out_len);
    f.sent++;
}

static void flush(struct conn *c)
{
    ssize_t n = c->out_len ? send(c->fd, c->out, c->out_len, MSG_NOSIGNAL) : 0;
    bool before = c->out_len > 0;

    if (n > 0) {
        memmove(c->out, c->out + n, c->out_len - (size_t)n);
        c->out_len -= (size_t)n;
    }
    if (before)
        watch(c, EPOLL_CTL_MOD);
}

static void fill(struct conn *c)
{
    while (now_us() < f.end_us && c->under_way < f.depth)
        ask(c);
    flush(c);
}

/* The gateway has closed it. */
static void again(struct conn *c)
{
    close(c->fd);
    f.lost += c->under_way;
    c->under_way = 0;
    c->out_len = c->in_len = 0;
    c->last = false;
    c->fd = -1;
    if (now_us() < f.end_us) {
        dial(c);
        fill(c);
    }
}

static void count(struct conn *c, int status)
{
    int64_t now = now_us(), took = now - c->since_us[c->next], all = f.end_us - f.start_us;

    c->next = (c->next + 1) % f.depth;
    c->under_way--;
    if (status == 503) {
        f.refused++;
        if (took > f.worst_refusal_us)
            f.worst_refusal_us = took;
    } else if (status != 200) {
        f.other++;
    } else {
        f.ok++;
        if (now < f.end_us) {
            f.ok_in_time++;
            f.quarters[(now - f.start_us) * 4 / all]++;
        }
    }
}

/* One answer off the front of what came; none of ours has a body but a refusal. */
static bool take_answer(struct conn *c)
{
    char *end, *length;
    size_t n;
    int status;

    c->in[c->in_len] = 0;
    end = strstr(c->in, "\r\n\r\n");
    if (!end || c->under_way == 0 || sscanf(c->in, "HTTP/1.1 %d", &status) != 1)
        return false;
    length = strstr(c->in, "Content-Length: ");
    n = (size_t)(end + 4 - c->in) + (length && length < end ? strtoul(length + 16, NULL, 10) : 0);
    if (n > c->in_len)
        return false;
    *end = 0;
    c->last = strstr(c->in, "Connection: close") != NULL;
    memmove(c->in, c->in + n, c->in_len - n);
    c->in_len -= n;
    count(c, status);
    return true;
}

static void on_ready(struct conn *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - 1 - c->in_len, 0);

    if (n > 0)
        c->in_len += (size_t)n;
    while (!c->last && take_answer(c))
        ;
    if (c->last || n == 0 || (n < 0 && errno != EAGAIN))
        again(c);
    else
        fill(c);
}

/* ---- all of it ---- */

static uint64_t under_way(void)
{
    return f.sent - f.ok - f.refused - f.other - f.lost;
}

static void run(void)
{
    struct epoll_event events[256];

    while (now_us() < f.end_us || (under_way() && now_us() < f.end_us + PATIENCE_S * 1000000)) {
        int n = epoll_wait(f.epoll, events, 256, 100);

        for (int i = 0; i < n; i++)
            on_ready(events[i].data.ptr);
    }
}

int main(int argc, char **argv)
{
    if (argc < 7)
        return 2;
    f.port = atoi(argv[1]);
    f.hmac = hmac_create(argv[2], strlen(argv[2]));
    f.number = f.first = strtoull(argv[3], NULL, 10);
    f.n_conns = strtoul(argv[4], NULL, 10);
    f.depth = (unsigned)strtoul(argv[5], NULL, 10);
    f.body_len = argc > 7 ? strtoul(argv[7], NULL, 10) : 4096;
    if (!f.hmac || f.depth < 1 || f.depth > DEPTH_MOST || f.body_len < 64 || f.body_len > BODY_MOST)
        return 2;
    f.request_most = f.body_len + 1024;
    f.body = malloc(f.body_len);
    f.conns = calloc(f.n_conns, sizeof(*f.conns));
    f.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!f.body || !f.conns || f.epoll < 0)
        die("memory");
    make_body();
    f.start_us = now_us();
    f.end_us = f.start_us + (int64_t)(strtod(argv[6], NULL) * 1e6);
    for (size_t i = 0; i < f.n_conns; i++) {
        f.conns[i].out = malloc(f.depth * f.request_most);
        if (!f.conns[i].out)
            die("memory");
        dial(&f.conns[i]);
        fill(&f.conns[i]);
    }
    run();
    printf("{\"sent\":%" PRIu64 ",\"ok\":%" PRIu64 ",\"ok_in_time\":%" PRIu64
           ",\"refused\":%" PRIu64 ",\"other\":%" PRIu64 ",\"lost\":%" PRIu64
           ",\"unanswered\":%" PRIu64
           ",\"seconds\":%.3f,\"worst_refusal_ms\":%.1f,\"quarters\":[%" PRIu64 ",%" PRIu64
           ",%" PRIu64 ",%" PRIu64 "]}\n",
           f.sent, f.ok, f.ok_in_time, f.refused, f.other, f.lost, under_way(),
           (double)(f.end_us - f.start_us) / 1e6, (double)f.worst_refusal_us / 1e3, f.quarters[0],
           f.quarters[1], f.quarters[2], f.quarters[3]);
    return 0;
}
