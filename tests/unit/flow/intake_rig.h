/*
 * intake_rig.h - the intake over real sockets, into a real store, with a gate before the disk's
 * sync: it decides when something is durable. gate_init() first.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/digest.h"
#include "flow_rig.h"
#include "store/disk.h"

/* ---- the disk ---- */

static struct disk gated;
static uv_mutex_t gate;
static uv_cond_t opened;
static bool closed;      /* syncs wait */
static int sync_fails;   /* the next one gives this */
static unsigned at_gate; /* syncs that wait */

static inline int gated_sync(int fd)
{
    int r;

    uv_mutex_lock(&gate);
    at_gate++;
    while (closed)
        uv_cond_wait(&opened, &gate);
    at_gate--;
    r = sync_fails;
    sync_fails = 0;
    uv_mutex_unlock(&gate);
    return r ? r : disk_system.sync(fd);
}

static inline void gate_close(void)
{
    uv_mutex_lock(&gate);
    closed = true;
    uv_mutex_unlock(&gate);
}

static inline void gate_open(int with)
{
    uv_mutex_lock(&gate);
    closed = false;
    sync_fails = with;
    uv_cond_broadcast(&opened);
    uv_mutex_unlock(&gate);
}

static inline bool waits_at_gate(void)
{
    uv_mutex_lock(&gate);
    bool r = at_gate > 0;
    uv_mutex_unlock(&gate);
    return r;
}

/* ---- the listener, and who sends to it ---- */

struct in {
    struct flow_rig rig;
    struct http_server *server;
    int port;
    bool closed;
};

static inline void listen_up(struct in *in)
{
    struct http_server_conf conf;
    struct fail fail = { 0 };

    http_server_defaults(&conf);
    conf.listen = "127.0.0.1:0";
    CHECK_EQ(http_server_open(&in->server, &in->rig.loop, &conf, &flow_intake, in->rig.flow, &fail),
             0);
    in->port = http_server_port(in->server);
}

static inline struct in *setup(uint64_t max_queue_bytes)
{
    struct in *in = calloc(1, sizeof(*in));

    gate_open(0);
    rig_init(&in->rig);
    in->rig.max_queue_bytes = max_queue_bytes;
    rig_up(&in->rig);
    listen_up(in);
    return in;
}

static inline void on_closed(void *ctx)
{
    ((struct in *)ctx)->closed = true;
}

static inline void listen_down(struct in *in)
{
    in->closed = false;
    http_server_close(in->server, 0, on_closed, in);
    UNTIL(&in->rig, in->closed);
}

static inline void restart(struct in *in)
{
    listen_down(in);
    rig_crash(&in->rig);
    rig_up(&in->rig);
    listen_up(in);
}

static inline void teardown(struct in *in)
{
    listen_down(in);
    rig_finish(&in->rig);
    free(in);
}

static inline int dial(const struct in *in)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)in->port) };
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static inline void say(int fd, const char *p, size_t n)
{
    CHECK_EQ(send(fd, p, n, MSG_NOSIGNAL), (ssize_t)n);
}

static inline size_t head_of(char *out, size_t room, const char *id, const char *secret,
                             const char *body, size_t len)
{
    struct hmac *h = hmac_create(secret, strlen(secret));
    uint8_t mac[DIGEST_SHA256];
    char hex[2 * DIGEST_SHA256 + 1], line[80] = "";

    hmac_begin(h);
    hmac_update(h, body, len);
    hmac_end(h, mac);
    hmac_destroy(h);
    hex_encode(mac, sizeof(mac), hex);
    if (id)
        snprintf(line, sizeof(line), "X-Id: %s\r\n", id);
    return (size_t)snprintf(out, room,
                            "POST /in/shop HTTP/1.1\r\nHost: h\r\nAuthorization: hidden\r\n"
                            "X-Topic: t\r\nX-Sig: %s\r\n%sContent-Length: %zu\r\n\r\n",
                            hex, line, len);
}

/** One whole webhook in one write. */
static inline void post(int fd, const char *id, const char *secret, const char *body)
{
    char text[4096];
    size_t n = head_of(text, sizeof(text), id, secret, body, strlen(body));

    memcpy(text + n, body, strlen(body));
    say(fd, text, n + strlen(body));
}

/** What has been answered by now: 0 nothing, -1 closed, else the status; `text` holds 512. */
static inline int heard(int fd, char *text)
{
    ssize_t n = recv(fd, text, 511, MSG_DONTWAIT);
    int status = 0;

    if (n < 0)
        return errno == EAGAIN ? 0 : -1;
    if (n == 0)
        return -1;
    text[n] = 0;
    CHECK_EQ(sscanf(text, "HTTP/1.1 %d", &status), 1);
    return status;
}

static inline int answer(struct in *in, int fd)
{
    char text[512];
    int status = 0;

    UNTIL(&in->rig, (status = heard(fd, text)) != 0);
    return status;
}

static inline int send_one(struct in *in, const char *id, const char *secret, const char *body)
{
    int fd = dial(in);

    post(fd, id, secret, body);
    int status = answer(in, fd);
    close(fd);
    return status;
}

/* ---- what the store has ---- */

struct found {
    bool done;
    int status;
    char body[64], headers[256];
    size_t body_len;
    uint64_t crc;
};

static inline void on_found(void *ctx, int status, const struct store_event *e)
{
    struct found *f = ctx;

    f->done = true;
    f->status = status;
    if (status < 0)
        return;
    f->body_len = e->receipt.body.len;
    snprintf(f->body, sizeof(f->body), STR_FMT, STR_ARG(e->receipt.body));
    memcpy(f->headers, e->receipt.headers.ptr,
           e->receipt.headers.len < 256 ? e->receipt.headers.len : 256);
    f->crc = 0;
    for (size_t i = 0; i < e->receipt.body.len; i++)
        f->crc = f->crc * 31 + (unsigned char)e->receipt.body.ptr[i];
}

static inline struct found event_of(struct in *in, uint64_t id)
{
    struct found f = { 0 };

    CHECK_EQ(store_event_get(in->rig.store, id, on_found, &f), 0);
    UNTIL(&in->rig, f.done);
    return f;
}

static inline uint64_t log_seq(struct in *in)
{
    struct store_stats st;

    store_stats(in->rig.store, &st);
    return st.log_seq;
}

static inline void gate_init(void)
{
    uv_mutex_init(&gate);
    uv_cond_init(&opened);
    gated = disk_system;
    gated.sync = gated_sync;
    store_disk = &gated;
}
