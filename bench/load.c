/*
 * load.c - replays requests that were made before over keep-alive connections, as fast as they are
 * answered.
 *
 *   bench-load PORT FILE [CONNECTIONS]
 *
 * FILE holds whole HTTP/1.1 requests, each after its length (4 bytes, little endian). Every
 * connection to 127.0.0.1 has one request under way. Each request is sent once. Prints one JSON
 * object: requests, seconds, requests_per_s, p50_ms, p99_ms, max_ms, not_200, and this program's
 * own cpu_us per request. A connection that breaks ends the run with code 1: it is no load test
 * then.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MOST 1024
#define ANSWER_MOST      16384

struct conn {
    int fd;
    const char *out; /* what is left of the request */
    size_t out_len;
    char in[ANSWER_MOST];
    size_t in_len;
    int64_t started_us;
};

static struct {
    const char *file;
    size_t len, at; /* of the next request in the file */
    uint32_t *took_us;
    size_t done, under_way, not_200;
    int epoll;
    struct conn conns[CONNECTIONS_MOST];
} load;

static void die(const char *what)
{
    fprintf(stderr, "bench-load: %s: %s\n", what, errno ? strerror(errno) : "unexpected");
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void send_more(struct conn *c)
{
    ssize_t n = write(c->fd, c->out, c->out_len);

    if (n < 0 && errno != EAGAIN)
        die("write");
    if (n > 0) {
        c->out += n;
        c->out_len -= (size_t)n;
    }
}

/* The file's next request on this connection; false: there is none. */
static bool send_next(struct conn *c)
{
    uint32_t len;

    if (load.at + sizeof(len) > load.len)
        return false;
    memcpy(&len, load.file + load.at, sizeof(len));
    load.at += sizeof(len);
    if (len > load.len - load.at)
        die("the file is cut");
    c->out = load.file + load.at;
    c->out_len = len;
    load.at += len;
    c->in_len = 0;
    c->started_us = now_us();
    load.under_way++;
    send_more(c);
    return true;
}

/* Bytes of the whole answer, or 0 while its length is not known. */
static size_t answer_len(struct conn *c)
{
    const char *end, *length;

    c->in[c->in_len] = '\0';
    end = strstr(c->in, "\r\n\r\n");
    if (!end)
        return 0;
    length = strcasestr(c->in, "\r\ncontent-length:");
    if (!length || length > end)
        die("an answer without Content-Length");
    return (size_t)(end + 4 - c->in) + strtoul(length + 17, NULL, 10);
}

static void on_readable(struct conn *c)
{
    ssize_t n = read(c->fd, c->in + c->in_len, ANSWER_MOST - 1 - c->in_len);
    size_t whole;

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        errno = n ? errno : ECONNRESET;
        die("read");
    }
    c->in_len += (size_t)n;
    whole = answer_len(c);
    if (whole == 0 || c->in_len < whole)
        return;
    load.took_us[load.done++] = (uint32_t)(now_us() - c->started_us);
    load.under_way--;
    if (strncmp(c->in, "HTTP/1.1 200", 12) != 0)
        load.not_200++;
    send_next(c);
}

static void open_conn(struct conn *c, int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        die("connect");
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0 ||
        epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &ev) < 0)
        die("epoll");
}

static void run(void)
{
    struct epoll_event events[256];

    while (load.under_way) {
        int n = epoll_wait(load.epoll, events, 256, 30000);

        if (n == 0)
            errno = ETIMEDOUT;
        if (n <= 0)
            die("waiting for answers");
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;

            if (c->out_len && (events[i].events & EPOLLOUT))
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
        "{\"requests\":%zu,\"seconds\":%.3f,\"requests_per_s\":%.0f,\"p50_ms\":%.2f,"
        "\"p99_ms\":%.2f,\"max_ms\":%.2f,\"not_200\":%zu,\"cpu_us\":%.1f}\n",
        load.done, s, (double)load.done / s, load.took_us[load.done / 2] / 1e3,
        load.took_us[load.done * 99 / 100] / 1e3, load.took_us[load.done - 1] / 1e3, load.not_200,
        cpu_us / (double)load.done);
}

static void map_file(const char *name)
{
    struct stat st;
    int fd = open(name, O_RDONLY);

    if (fd < 0 || fstat(fd, &st) < 0)
        die(name);
    load.len = (size_t)st.st_size;
    load.file = mmap(NULL, load.len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (load.file == MAP_FAILED)
        die(name);
    close(fd);
    load.took_us = calloc(load.len / 16 + 1, sizeof(*load.took_us));
    if (!load.took_us)
        die("memory");
}

int main(int argc, char **argv)
{
    int connections = argc > 3 ? atoi(argv[3]) : 64;
    int64_t started_us;

    if (argc < 3 || connections < 1 || connections > CONNECTIONS_MOST) {
        fprintf(stderr, "usage: bench-load PORT FILE [CONNECTIONS]\n");
        return 2;
    }
    map_file(argv[2]);
    load.epoll = epoll_create1(0);
    for (int i = 0; i < connections; i++)
        open_conn(&load.conns[i], atoi(argv[1]));
    started_us = now_us();
    for (int i = 0; i < connections && send_next(&load.conns[i]); i++)
        ;
    run();
    if (!load.done)
        die("no requests");
    report(now_us() - started_us);
    return 0;
}
