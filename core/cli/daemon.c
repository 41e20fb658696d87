#include "cli/daemon.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>
#include "admin/admin.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/exit.h"
#include "cli/reloader.h"
#include "flow/flow.h"
#include "host/host.h"
#include "net/http_server.h"
#include "store/store.h"
#include "watch/watch.h"

#define STACK_BYTES (512u << 10) /* the kernel maps 132 KiB; JSON and YAML may nest deeper */

struct daemon {
    uv_loop_t loop;
    const struct config *config;
    struct store *store;
    struct mapper *mapper;
    struct host *host;
    struct flow *flow;
    struct watch *watch;
    struct http_server *intake;
    struct admin *admin;
    struct in_hand *in_hand;
    struct loaded_config *loaded;
    struct reloader *reloader;
    uv_signal_t term, interrupt, hangup;
    bool stopping;
};

static const struct logger log_ = { .room = "daemon" };

/* ---- down, each step after the one before has ended ---- */

static void on_watch_closed(void *ctx)
{
    struct daemon *d = ctx;

    uv_close((uv_handle_t *)&d->term, NULL);
    uv_close((uv_handle_t *)&d->interrupt, NULL);
    uv_close((uv_handle_t *)&d->hangup, NULL);
}

static void on_store_closed(void *ctx)
{
    struct daemon *d = ctx;

    flow_destroy(d->flow);
    in_hand_close(d->in_hand);
    host_destroy(d->host);
    watch_close(d->watch, 2000, on_watch_closed, d);
}

static void on_mapper_closed(void *ctx)
{
    struct daemon *d = ctx;

    store_close(d->store, on_store_closed, d);
}

static void on_host_closed(void *ctx)
{
    struct daemon *d = ctx;

    mapper_close(d->mapper, on_mapper_closed, d);
}

static void on_admin_closed(void *ctx)
{
    struct daemon *d = ctx;

    host_close(d->host, on_host_closed, d);
}

static void on_idle(void *ctx)
{
    struct daemon *d = ctx;

    admin_close(d->admin, on_admin_closed, d);
}

static void on_intake_closed(void *ctx)
{
    struct daemon *d = ctx;

    watch_attach_intake(d->watch, NULL);
    flow_drain(d->flow, (uint64_t)d->config->drain_ms, on_idle, d);
}

static void on_reloader_closed(void *ctx)
{
    struct daemon *d = ctx;

    d->reloader = NULL;
    http_server_close(d->intake, 5000, on_intake_closed, d);
}

static void on_hangup(uv_signal_t *s, int number)
{
    struct daemon *d = s->data;

    (void)number;
    if (d->reloader)
        reloader_hup(d->reloader);
}

static void on_signal(uv_signal_t *s, int number)
{
    struct daemon *d = s->data;

    if (d->stopping) {
        log_warn(&log_, "second signal: leaving at once; nothing acknowledged is lost");
        _exit(EXIT_FAILED);
    }
    d->stopping = true;
    log_info(&log_, "signal %d: draining for at most %lld ms", number,
             (long long)d->config->drain_ms);
    watch_draining(d->watch);
    reloader_close(d->reloader, on_reloader_closed, d);
}

/* ---- up ---- */

/* A stack that has to grow when there is no address space left ends the process by a fault that
 * looks like any other: it grows now, by more than is ever wanted, and stays so. */
static __attribute__((noinline)) void grow_stack(void)
{
    volatile char room[STACK_BYTES];

    for (size_t at = 0; at < sizeof(room); at += 4096)
        room[at] = 0;
}

static void secure_process(void)
{
    struct rlimit none = { 0, 0 };

    /* Secrets are in memory: no core file holds them. */
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN); /* until it can be followed; a terminal that goes ends nothing */
    mem_watch_deaths();
    grow_stack();
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static int open_store(struct daemon *d, struct fail *fail)
{
    struct store_conf conf;

    store_defaults(&conf);
    conf.path = d->config->store_path;
    conf.max_queue_bytes = d->config->store_queue;
    conf.disk_reserve = d->config->disk_reserve;
    conf.keep_ms = d->config->keep_ms;
    return store_open(&d->store, &d->loop, &conf, fail);
}

static int open_mapper(struct daemon *d, struct fail *fail)
{
    const struct config *c = d->config;

    return mapper_open(&d->mapper, &d->loop,
                       &(struct mapper_conf){
                           .workers = c->workers,
                           .outstanding = 16,
                           .deadline_ms = c->worker_deadline_ms,
                           .memory = c->worker_memory,
                           .output = c->worker_output,
                       },
                       fail);
}

static int open_flow(struct daemon *d, struct fail *fail)
{
    int r = in_hand_open(&d->in_hand, d->config->store_path, fail);

    if (r < 0)
        return r;
    return flow_open(&d->flow,
                     &(struct flow_conf){
                         .loop = &d->loop,
                         .store = d->store,
                         .mapper = d->mapper,
                         .config = d->config,
                         .adapters = host_adapters(d->host),
                         .watch = watch_notices(d->watch),
                         .in_hand = d->in_hand,
                     },
                     fail);
}

/* Connections may not take the descriptors that the store, the workers and the endpoints need. */
static uint32_t connections_possible(const struct config *c)
{
    struct rlimit files;
    uint64_t reserve = 64 + 2 * (uint64_t)c->workers, room;

    for (size_t i = 0; i < c->n_endpoints; i++)
        reserve += c->endpoints[i].concurrency;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == RLIM_INFINITY)
        return c->max_connections;
    if (reserve > files.rlim_cur / 2)
        reserve = files.rlim_cur / 2;
    room = files.rlim_cur - reserve;
    if (room >= c->max_connections)
        return c->max_connections;
    log_warn(&log_,
             "limits.connections is %u, the limit of open files (%llu) leaves room for %llu; raise "
             "it (systemd: LimitNOFILE=)",
             c->max_connections, (unsigned long long)files.rlim_cur, (unsigned long long)room);
    return (uint32_t)room;
}

static void limits_of(const struct config *c, struct http_server_conf *conf)
{
    conf->max_body_bytes = c->max_body;
    conf->max_connections = connections_possible(c);
    conf->max_per_address = c->max_per_address;
    conf->trust = (struct http_trust){
        .nets = c->trusted,
        .n_nets = c->n_trusted,
        .unix_peers = c->trust_unix,
        .header = c->forwarded == CONF_FORWARDED_X     ? HTTP_FORWARDED_X
                  : c->forwarded == CONF_FORWARDED_RFC ? HTTP_FORWARDED_RFC
                                                       : HTTP_FORWARDED_NONE,
    };
}

static int open_intake(struct daemon *d, struct fail *fail)
{
    static const char *const singletons[] = { "x-shopify-*", "shopify-*", "webhook-*",
                                              "idempotency-key", NULL };
    const struct config *c = d->config;
    struct http_server_conf conf;

    http_server_defaults(&conf);
    conf.listen = c->listen;
    conf.unix_mode = c->unix_mode;
    limits_of(c, &conf);
    /* Answers are a line, and a sender that gives up after 5 s takes none later. */
    conf.write_ms = 5000;
    conf.send_bytes = 4096;
    conf.receive_bytes = 131072;
    conf.singletons = singletons;
    int r = http_server_open(&d->intake, &d->loop, &conf, &flow_intake, d->flow, fail);
    if (r == 0)
        watch_attach_intake(d->watch, d->intake);
    return r;
}

/* ---- over to another configuration ---- */

static void on_changed(void *ctx, const struct config *config)
{
    struct daemon *d = ctx;
    struct http_server_conf conf;

    d->config = config;
    daemon_log(config);
    http_server_defaults(&conf);
    limits_of(config, &conf);
    http_server_change(d->intake, &conf);
    watch_change(d->watch, config);
    admin_change(d->admin, config);
}

static void reload(void *ctx, bool dry_run, admin_reloaded *cb, void *cb_ctx)
{
    struct daemon *d = ctx;

    if (d->reloader)
        reloader_start(d->reloader, dry_run, cb, cb_ctx);
    else
        cb(cb_ctx, UV_ECANCELED, STR(""));
}

static void create_reloader(struct daemon *d)
{
    d->reloader = reloader_create(&(struct reloader_conf){
        .loop = &d->loop,
        .loaded = d->loaded,
        .host = d->host,
        .flow = d->flow,
        .store = d->store,
        .watch = d->watch,
        .ctx = d,
        .changed = on_changed,
    });
}

static int open_all(struct daemon *d, struct fail *fail)
{
    int r;

    if ((r = open_store(d, fail)) < 0 || (r = open_mapper(d, fail)) < 0 ||
        (r = watch_open(&d->watch, &d->loop, d->config, fail)) < 0 ||
        (r = host_open(&d->host, &d->loop, d->config, d->mapper, fail)) < 0 ||
        (r = open_flow(d, fail)) < 0)
        return r;
    host_use_store(d->host, d->store);
    watch_attach(d->watch, d->flow, d->store, d->mapper);
    struct admin_conf admin = {
        .loop = &d->loop,
        .config = d->config,
        .flow = d->flow,
        .store = d->store,
        .watch = d->watch,
        .reload = reload,
        .reload_ctx = d,
    };
    create_reloader(d);
    if ((r = open_intake(d, fail)) < 0)
        return r;
    return admin_open(&d->admin, &admin, fail);
}

static void watch_signal(struct daemon *d, uv_signal_t *s, uv_signal_cb cb, int number)
{
    uv_signal_init(&d->loop, s);
    s->data = d;
    uv_signal_start(s, cb, number);
}

void daemon_log(const struct config *c)
{
    int level = log_level_of(c->log_level);

    log_setup(level < 0 ? LOG_INFO : (enum log_level)level,
              c->log_format && c->log_format[0] == 'j' ? LOG_JSON : LOG_TEXT);
}

int daemon_run(struct loaded_config *l)
{
    const struct config *config = l->config;
    struct daemon d = { .loaded = l, .config = config };
    struct fail fail = { 0 };

    secure_process();
    uv_loop_init(&d.loop);
    if (open_all(&d, &fail) < 0) {
        log_error(&log_, "cannot start: %s", fail.text);
        _exit(EXIT_FAILED); /* nothing was taken yet: the process's end closes and frees the rest */
    }
    watch_signal(&d, &d.term, on_signal, SIGTERM);
    watch_signal(&d, &d.interrupt, on_signal, SIGINT);
    watch_signal(&d, &d.hangup, on_hangup, SIGHUP);
    int port = http_server_port(d.intake);
    log_info(&log_, "ready: intake on %s%s, pid %d", config->listen, port ? "" : " (unix)",
             getpid());
    uv_run(&d.loop, UV_RUN_DEFAULT);
    int r = uv_loop_close(&d.loop);
    if (r < 0)
        log_warn(&log_, "something was left open: err=%s", uv_strerror(r));
    log_info(&log_, "stopped");
    return EXIT_DONE;
}
