/*
 * instance.h - one opened endpoint, between the files of the host: host.c opens and closes it,
 * call.c makes its HTTP calls, keep.c remembers for it.
 */
#pragma once

#include <uthash.h>
#include "base/list.h"
#include "base/log.h"
#include "flow/flow.h"
#include "host/host.h"
#include "net/http_client.h"
#include "store/store.h"

/** A jq program an instance has asked for; kept so that the workers keep it compiled. */
struct kept_program {
    UT_hash_handle hh;
    struct map_program *program;
    size_t len;
    char text[];
};

struct host_timer {
    UT_hash_handle hh; /* instance.timers, by id */
    uint64_t id;
    struct instance *instance;
    uv_timer_t uv;
    sl_timer_cb cb;
    void *ctx;
};

/** One opened endpoint. `held` counts what must end before the plugin may be closed. */
struct instance {
    struct list node; /* host.instances */
    struct host *host;
    char *name;                /* own; the endpoint's */
    char *ca_file;             /* own; NULL: the system's */
    const sl_values *settings; /* share: the plugin reads them as long as it is open */
    struct adapter adapter;
    sl_host table;
    struct http_client *client;
    struct kept_program *programs;
    struct host_timer *timers;
    uint64_t next_timer;
    const struct service_call *answered; /* whose answer is being told */
    struct list waiting;                 /* calls that wait for their tokens: call.c */
    size_t held;
    bool closing;
    struct logger log;
    struct host_stats stats;
    uint64_t slow_logged_ms;
};

struct host {
    uv_loop_t *loop;
    struct mapper *mapper;
    struct store *store;       /* NULL: no links are known */
    struct adapter **adapters; /* own; one per endpoint */
    size_t n;                  /* ... of these */
    struct list instances;     /* own; those that end as well */
    size_t open;
    bool closing;
    void (*cb)(void *ctx);
    void *ctx;
};

/** What is under way for it has ended: the last of them closes it. */
void instance_release(struct instance *in);
/** A callback of the plugin ran since `began_us`. */
void instance_measured(void *ctx, uint64_t began_us, const char *what);

/* ---- services of sl_host, as sluice.h documents them; ctx: the instance ---- */

/* call.c */
sl_status instance_http(void *ctx, const sl_http_request *req, sl_http_cb cb, void *cb_ctx);
void instance_budget(void *ctx, const sl_budget *budget);
/** It closes: what waits for tokens leaves now, to be cancelled. */
void instance_flush(struct instance *in);

/* keep.c */
sl_status instance_linked(void *ctx, const sl_ref *refs, size_t n, sl_linked_cb cb, void *cb_ctx);
sl_status instance_keep(void *ctx, sl_str name, sl_str value, sl_durable_cb cb, void *cb_ctx);
sl_status instance_kept(void *ctx, sl_str name, sl_kept_cb cb, void *cb_ctx);

/* recall.c */
sl_status instance_recall(void *ctx, sl_str space, sl_str prefix, sl_str after, sl_recall_cb cb,
                          void *cb_ctx);
