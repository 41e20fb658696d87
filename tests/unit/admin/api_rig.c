#include "api_rig.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/mem.h"
#include "flow/mapper.h"
#include "watch/watch.h"

/* ---- an adapter that takes what it is given ---- */

static void deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done)
{
    struct api_rig *g = self;

    (void)handle;
    for (size_t i = 0; i < batch->n_records; i++) {
        sl_outcome out = { .size = sizeof(out), .kind = SL_DELIVERED };
        done->outcome(done->ctx, i, &out);
        g->delivered++;
    }
    done->finish(done->ctx);
}

static const sl_action actions[] = {
    { .name = "order.submit", .batch_records = 1 },
    { 0 },
};

static const sl_plugin plugin = {
    .size = sizeof(plugin),
    .name = "fake",
    .version = "1",
    .actions = actions,
    .deliver = deliver,
};

/* ---- up and down ---- */

static void configure(struct api_rig *g)
{
    static char *topics[] = { "orders/create" };

    g->endpoint = (struct conf_endpoint){
        .name = "byron",
        .adapter = "fake",
        .plugin = &plugin,
        .burst = 1,
        .concurrency = 8,
        .breaker = { .window_ms = 60000,
                     .min_calls = 10,
                     .failure_percent = 50,
                     .slow_ms = 60000,
                     .open_ms = 30000,
                     .open_max_ms = 300000,
                     .probes = 3 },
        .park_probe_ms = 60000,
        .confirm_after_ms = 2000,
        .confirm_for_ms = 60000,
        .total_ms = 60000,
        .max_answer = 1 << 20,
    };
    g->target = (struct conf_target){ .kind = TARGET_SEND, .endpoint = &g->endpoint };
    g->route = (struct conf_route){
        .name = "order-to-supplier",
        .from_endpoint = "byron",
        .topics = topics,
        .n_topics = 1,
        .targets = &g->target,
        .n_targets = 1,
        .priority = PRIORITY_NORMAL,
        .retry = { .first_ms = 1000, .cap_ms = 1000, .max_age_ms = 60000 },
    };
    snprintf(g->socket, sizeof(g->socket), "%s/admin.sock", g->store.dir);
    g->config = (struct config){
        .file = "sluice.yaml",
        .listen = "127.0.0.1:0",
        .admin_listen = "127.0.0.1:0",
        .admin_socket = g->socket,
        .store_path = g->store.dir,
        .max_body = 1 << 20,
        .window = 1000,
        .endpoints = &g->endpoint,
        .n_endpoints = 1,
        .routes = &g->route,
        .n_routes = 1,
    };
    g->adapter =
        (struct adapter){ .plugin = &plugin, .self = g, .open = true, .conf = &g->endpoint };
}

void api_start(struct api_rig *g, void (*fill)(struct rig *store))
{
    struct adapter *adapter = &g->adapter;
    struct fail fail = { 0 };
    struct mapper_conf mapper = {
        .workers = 1, .outstanding = 4, .deadline_ms = 5000, .memory = 512u << 20, .output = 1 << 20
    };

    *g = (struct api_rig){ 0 };
    rig_start(&g->store);
    rig_must_open(&g->store);
    if (fill)
        fill(&g->store);
    configure(g);
    CHECK_EQ(mapper_open(&g->mapper, &g->store.loop, &mapper, &fail), 0);
    CHECK_EQ(watch_open(&g->watch, &g->store.loop, &g->config, &fail), 0);
    struct flow_conf flow = { .loop = &g->store.loop,
                              .store = g->store.s,
                              .mapper = g->mapper,
                              .config = &g->config,
                              .adapters = &adapter,
                              .watch = watch_notices(g->watch),
                              .seed = 1 };
    CHECK_EQ(flow_open(&g->flow, &flow, &fail), 0);
    watch_attach(g->watch, g->flow, g->store.s, g->mapper);
    struct admin_conf admin = { .loop = &g->store.loop,
                                .config = &g->config,
                                .flow = g->flow,
                                .store = g->store.s,
                                .watch = g->watch };
    if (admin_open(&g->admin, &admin, &fail) < 0)
        fail_msg("%s", fail.text);
    api_until(g, flow_recovered(g->flow));
}

static void on_closed(void *ctx)
{
    ((struct api_rig *)ctx)->closed++;
}

void api_finish(struct api_rig *g)
{
    admin_close(g->admin, on_closed, g);
    api_until(g, g->closed == 1);
    flow_drain(g->flow, 1000, on_closed, g);
    api_until(g, g->closed == 2);
    mapper_close(g->mapper, on_closed, g);
    api_until(g, g->closed == 3);
    rig_close(&g->store);
    flow_destroy(g->flow);
    watch_close(g->watch, 0, on_closed, g);
    api_until(g, g->closed == 4);
    CHECK_EQ(access(g->socket, F_OK), -1);
    buf_finish(&g->answer);
    rig_finish(&g->store); /* checks that the loop closes clean */
}

/* ---- clients ---- */

static int connect_unix(struct api_rig *g)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(to.sun_path, g->socket, strlen(g->socket));
    CHECK_EQ(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static int connect_tcp(struct api_rig *g)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)admin_port(g->admin)),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CHECK_EQ(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void send_request(struct api_rig *g, int fd, const char *method, const char *target,
                         const char *headers, const char *body)
{
    struct buf b = { 0 };

    buf_printf(&b, "%s %s HTTP/1.1\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n%s", method,
               target, strlen(body), headers, body);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (size_t at = 0; at < b.len;) {
        ssize_t n = send(fd, b.data + at, b.len - at, MSG_NOSIGNAL);
        if (n > 0)
            at += (size_t)n;
        else
            uv_run(&g->store.loop, UV_RUN_NOWAIT);
    }
    buf_finish(&b);
}

static void read_answer(struct api_rig *g, int fd)
{
    char piece[4096];
    ssize_t n = -1;

    buf_clear(&g->answer);
    api_until(g, (n = recv(fd, piece, sizeof(piece), 0)) == 0 ||
                     (n > 0 && (buf_append(&g->answer, piece, (size_t)n), false)));
    close(fd);
    CHECK(g->answer.len > 12);
    g->status = atoi(g->answer.data + 9);
    g->body = strstr(g->answer.data, "\r\n\r\n");
    CHECK(g->body != NULL);
    g->body += 4;
}

void api_ask(struct api_rig *g, const char *method, const char *target, const char *body)
{
    int fd = connect_unix(g);

    send_request(g, fd, method, target, "Host: localhost\r\n", body);
    read_answer(g, fd);
}

void api_ask_tcp(struct api_rig *g, const char *method, const char *target, const char *headers)
{
    int fd = connect_tcp(g);

    send_request(g, fd, method, target, headers, "");
    read_answer(g, fd);
}

void api_leave(struct api_rig *g, const char *method, const char *target, const char *body)
{
    int fd = connect_unix(g);

    send_request(g, fd, method, target, "Host: localhost\r\n", body);
    close(fd);
}
