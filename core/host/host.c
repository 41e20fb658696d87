#include "host/host.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "flow/flow.h"
#include "flow/program.h"
#include "net/http_client.h"
#include "store/store.h"

#define SLOW_US     5000
#define MOST_LINKED 4096

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

static void instance_release(struct instance *in);

/* ---- what calls a plugin back from here is measured: answers, timers, jq results ---- */

static void measured(void *ctx, uint64_t began_us, const char *what)
{
    struct instance *in = ctx;
    uint64_t us = clock_mono_us() - began_us;

    if (us < SLOW_US)
        return;
    in->stats.slow_callbacks++;
    if (clock_mono_ms() - in->slow_logged_ms < 10000 && in->slow_logged_ms)
        return;
    in->slow_logged_ms = clock_mono_ms();
    log_warn(&in->log, "the adapter kept the loop for %" PRIu64 " ms in %s; 5 are allowed",
             us / 1000, what);
}

/* ---- small services ---- */

static void service_log(void *ctx, uint32_t level, sl_str text)
{
    static const enum log_level levels[] = { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
    struct instance *in = ctx;

    log_at(&in->log, level < 4 ? levels[level] : LOG_DEBUG, STR_FMT, STR_ARG(text));
}

static int64_t service_wall_ms(void *ctx)
{
    (void)ctx;
    return clock_wall_ms();
}

static uint64_t service_mono_ms(void *ctx)
{
    (void)ctx;
    return clock_mono_ms();
}

static void service_random(void *ctx, void *out, size_t n)
{
    (void)ctx;
    rng_system(out, n);
}

/* ---- HTTP ---- */

struct service_call {
    struct instance *instance;
    struct lane *lane; /* it was accounted to; NULL: none */
    struct lane_ticket ticket;
    sl_http_cb cb;
    void *ctx;
};

static int32_t status_of(int error)
{
    switch (error) {
    case 0:
        return SL_OK;
    case UV_ETIMEDOUT:
        return SL_E_TIMEOUT;
    case UV_ECANCELED:
        return SL_E_CANCELLED;
    case UV_EPROTO:
        return SL_E_PROTOCOL;
    case UV_E2BIG:
        return SL_E_LIMIT;
    case UV_ENOMEM:
        return SL_E_NO_MEMORY;
    case HTTP_E_TLS:
        return SL_E_TLS;
    default:
        return error <= UV_EAI_ADDRFAMILY && error >= UV_EAI_SOCKTYPE - 20 ? SL_E_DNS
                                                                           : SL_E_NETWORK;
    }
}

static void on_answer(void *ctx, const struct http_result *r)
{
    struct service_call *call = ctx;
    struct instance *in = call->instance;
    uint64_t began = clock_mono_us();
    sl_http_answer a = {
        .size = sizeof(a),
        .error = status_of(r->error),
        .sent = r->sent,
        .status = r->error ? 0 : (uint32_t)r->status,
        .headers = r->headers,
        .n_headers = r->n_headers,
        .body = r->body,
        .why = str_of(r->why),
        .retry_after_ms = r->error ? -1 : http_retry_after_ms(r, clock_wall_ms()),
    };

    if (call->lane)
        lane_heard(call->lane, &call->ticket);
    if (call->lane && a.status == 429) /* whatever was asked: all others would be refused, too */
        lane_refused(call->lane, a.retry_after_ms);
    in->answered = call;
    call->cb(call->ctx, &a);
    in->answered = NULL;
    measured(in, began, "an HTTP answer");
    free(call);
}

static sl_status service_http(void *ctx, const sl_http_request *req, sl_http_cb cb, void *cb_ctx)
{
    struct instance *in = ctx;
    struct fail fail = { 0 };
    struct http_call_conf conf = {
        .method = req->method,
        .url = req->url,
        .headers = req->headers,
        .n_headers = req->n_headers,
        .body = req->body,
        .total_ms = req->total_ms > 0 ? (uint32_t)req->total_ms : 0,
        .max_answer = req->max_answer,
    };

    if (in->closing)
        return SL_E_CANCELLED;
    struct service_call *call = mem_zero(sizeof(*call));
    *call = (struct service_call){ .instance = in, .cb = cb, .ctx = cb_ctx };
    int r = http_client_call(in->client, &conf, on_answer, call, &fail);
    if (r < 0) {
        log_error(&in->log, "the adapter asked for an impossible request: %s", fail.text);
        free(call);
        return r == UV_ENOMEM ? SL_E_NO_MEMORY : SL_E_INVALID;
    }
    in->stats.calls++;
    call->lane = in->adapter.lane;
    if (call->lane)
        lane_leaves(call->lane, &call->ticket);
    return SL_OK;
}

static void service_budget(void *ctx, const sl_budget *budget)
{
    struct instance *in = ctx;
    sl_budget b = { 0 };

    memcpy(&b, budget, budget->size < sizeof(b) ? budget->size : sizeof(b));
    if (in->adapter.lane)
        lane_budget(in->adapter.lane, &b, in->answered ? &in->answered->ticket : NULL);
}

static void service_poll_soon(void *ctx, int64_t ms)
{
    struct instance *in = ctx;

    if (in->adapter.lane && !in->closing)
        lane_poll_soon(in->adapter.lane, ms);
}

/* ---- timers ---- */

static void on_timer_closed(uv_handle_t *h)
{
    struct host_timer *t = container_of((uv_timer_t *)h, struct host_timer, uv);
    struct instance *in = t->instance;

    free(t);
    instance_release(in);
}

static void timer_end(struct host_timer *t)
{
    HASH_DEL(t->instance->timers, t);
    uv_close((uv_handle_t *)&t->uv, on_timer_closed);
}

static void on_timer(uv_timer_t *uv)
{
    struct host_timer *t = container_of(uv, struct host_timer, uv);
    struct instance *in = t->instance;
    uint64_t began = clock_mono_us();
    sl_timer_cb cb = t->cb;
    void *ctx = t->ctx;

    timer_end(t);
    cb(ctx);
    measured(in, began, "a timer");
}

static uint64_t service_timer(void *ctx, int64_t ms, sl_timer_cb cb, void *cb_ctx)
{
    struct instance *in = ctx;
    struct host_timer *t;

    if (in->closing)
        return 0;
    t = mem_zero(sizeof(*t));
    t->id = ++in->next_timer;
    t->instance = in;
    t->cb = cb;
    t->ctx = cb_ctx;
    uv_timer_init(in->host->loop, &t->uv);
    uv_update_time(in->host->loop);
    uv_timer_start(&t->uv, on_timer, ms > 0 ? (uint64_t)ms : 0, 0);
    in->held++;
    HASH_ADD(hh, in->timers, id, sizeof(t->id), t);
    return t->id;
}

static void service_timer_cancel(void *ctx, uint64_t id)
{
    struct instance *in = ctx;
    struct host_timer *t;

    HASH_FIND(hh, in->timers, &id, sizeof(id), t);
    if (t)
        timer_end(t);
}

/* ---- jq ---- */

struct service_transform {
    struct instance *instance;
    sl_transform_cb cb;
    void *ctx;
};

static void on_transformed(void *ctx, const struct map_result *r, size_t n)
{
    struct service_transform *t = ctx;
    struct instance *in = t->instance;
    uint64_t began = clock_mono_us();

    (void)n;
    if (r->status == UV_ECANCELED)
        t->cb(t->ctx, SL_E_CANCELLED, STR(""), STR("closing"));
    else if (r->status == UV_ENOMEM)
        t->cb(t->ctx, SL_E_NO_MEMORY, STR(""), STR("no memory for the result"));
    else if (r->status < 0)
        t->cb(t->ctx, SL_E_INVALID, STR(""), r->why);
    else if (r->n_outputs != 1)
        t->cb(t->ctx, SL_E_INVALID, STR(""), STR("the program must give exactly one output"));
    else
        t->cb(t->ctx, SL_OK, r->outputs[0], STR(""));
    measured(in, began, "a jq result");
    free(t);
    instance_release(in);
}

static struct map_program *program_of(struct instance *in, sl_str text)
{
    struct kept_program *k;

    HASH_FIND(hh, in->programs, text.ptr, text.len, k);
    if (k)
        return k->program;
    struct map_program *program = map_program_get(in->host->mapper, text, program_vars);
    if (!program)
        return NULL;
    k = mem_zero(sizeof(*k) + text.len);
    k->program = program;
    k->len = text.len;
    memcpy(k->text, text.ptr, text.len);
    HASH_ADD_KEYPTR(hh, in->programs, k->text, k->len, k);
    return program;
}

static sl_status service_transform(void *ctx, sl_str program, sl_str input, sl_str vars,
                                   sl_transform_cb cb, void *cb_ctx)
{
    struct instance *in = ctx;
    struct map_run run = { 0 };
    struct buf all = { 0 };

    if (in->closing || !in->host->mapper)
        return SL_E_CANCELLED;
    run.program = program_of(in, program);
    if (!run.program)
        return SL_E_NO_MEMORY;
    /* every program has both variables; the caller gives {"delivery": ...} or nothing */
    if (vars.len > 2 && vars.ptr[0] == '{')
        buf_printf(&all, "{\"received\":null,%.*s", (int)vars.len - 1, vars.ptr + 1);
    else
        buf_cstr(&all, "{\"received\":null,\"delivery\":null}");
    run.vars = buf_view(&all);
    struct service_transform *t = mem_zero(sizeof(*t));
    *t = (struct service_transform){ in, cb, cb_ctx };
    in->held++;
    int r = mapper_run(in->host->mapper, input, &run, 1, on_transformed, t);
    buf_finish(&all);
    if (r < 0) {
        in->held--;
        free(t);
        return r == UV_ENOMEM ? SL_E_NO_MEMORY : SL_E_CANCELLED;
    }
    return SL_OK;
}

/* ---- links ---- */

struct service_linked {
    struct instance *instance;
    sl_linked_cb cb;
    void *ctx;
};

static void on_linked(void *ctx, int status, const sl_str *subjects, size_t n)
{
    struct service_linked *l = ctx;
    struct instance *in = l->instance;
    uint64_t began = clock_mono_us();

    if (in->closing || status == UV_ECANCELED)
        l->cb(l->ctx, SL_E_CANCELLED, NULL, 0);
    else if (status < 0)
        l->cb(l->ctx, status == UV_ENOMEM ? SL_E_NO_MEMORY : SL_E_INTERNAL, NULL, 0);
    else
        l->cb(l->ctx, SL_OK, subjects, n);
    measured(in, began, "an answer about links");
    free(l);
    instance_release(in);
}

static sl_status service_linked(void *ctx, const sl_ref *refs, size_t n, sl_linked_cb cb,
                                void *cb_ctx)
{
    struct instance *in = ctx;
    struct service_linked *l;
    struct rec_ref *asked;
    int r;

    if (in->closing || !in->host->store)
        return SL_E_CANCELLED;
    if (n == 0 || n > MOST_LINKED)
        return n == 0 ? SL_E_INVALID : SL_E_LIMIT;
    asked = mem_array(n, sizeof(*asked));
    for (size_t i = 0; i < n; i++)
        asked[i] = (struct rec_ref){ str_of(in->name), refs[i].kind, refs[i].id };
    l = mem_zero(sizeof(*l));
    *l = (struct service_linked){ in, cb, cb_ctx };
    r = store_links(in->host->store, asked, n, on_linked, l);
    free(asked);
    if (r < 0) {
        free(l);
        return r == UV_ENOMEM ? SL_E_NO_MEMORY : SL_E_CANCELLED;
    }
    in->held++;
    return SL_OK;
}

/* ---- an instance's life ---- */

static void client_conf(const struct conf_endpoint *e, struct http_client_conf *conf)
{
    http_client_defaults(conf);
    conf->ca_file = e->ca_file;
    conf->connect_ms = e->connect_ms;
    conf->first_byte_ms = e->first_byte_ms;
    conf->total_ms = e->total_ms;
    conf->max_answer = e->max_answer;
    /* a token renewal or a question beside the batches */
    conf->max_connections = e->concurrency + 2;
}

static void instance_free(struct instance *in)
{
    list_remove(&in->node);
    config_values_unref(in->settings);
    free(in->name);
    free(in->ca_file);
    free(in);
}

/** Open, and nobody has been told of it: it can go as soon as it has ended. */
static bool is_spare(const struct instance *in)
{
    return in->adapter.retired && in->adapter.refs == 0;
}

static void all_closed(struct host *h)
{
    if (h->cb)
        h->cb(h->ctx);
}

/** The client, the timers and the transforms are over: now the plugin can go. */
static void instance_release(struct instance *in)
{
    struct kept_program *k, *tmp;
    struct host *h = in->host;

    if (--in->held || !in->closing)
        return;
    if (in->adapter.open)
        in->adapter.plugin->close(in->adapter.self);
    in->adapter.open = false; /* the flow calls nothing of it any more */
    in->adapter.self = NULL;
    HASH_ITER (hh, in->programs, k, tmp) {
        HASH_DEL(in->programs, k);
        map_program_put(k->program);
        free(k);
    }
    h->open--;
    if (!h->closing && is_spare(in))
        instance_free(in); /* else host_destroy() does */
    if (h->closing && h->open == 0)
        all_closed(h);
}

static void on_client_closed(void *ctx)
{
    instance_release(ctx);
}

static void instance_close(struct instance *in)
{
    struct host_timer *t, *tmp;

    if (in->closing)
        return;
    in->closing = true;
    HASH_ITER (hh, in->timers, t, tmp)
        timer_end(t);
    http_client_close(in->client, on_client_closed, in);
}

/** No lane has it any more, and what was under way with it has ended. */
static void on_unused(void *ctx)
{
    struct instance *in = ctx;

    log_debug(&in->log, "closed: a reload put another in its place, or none");
    instance_close(in);
}

static struct instance *instance_new(struct host *h, const struct conf_endpoint *e)
{
    struct instance *in = mem_zero(sizeof(*in));

    in->host = h;
    in->name = mem_str(e->name);
    in->ca_file = e->ca_file ? mem_str(e->ca_file) : NULL;
    in->settings = config_values_ref(e->settings);
    in->log = (struct logger){ .room = e->plugin->name, .name = in->name };
    in->adapter = (struct adapter){
        .plugin = e->plugin, .conf = e, .measured = measured, .unused = on_unused, .host_ctx = in
    };
    list_append(&h->instances, &in->node);
    return in;
}

static int open_plugin(struct instance *in, struct fail *fail)
{
    const sl_plugin *p = in->adapter.plugin;
    sl_fail why = { .size = sizeof(why) };

    in->table = (sl_host){
        .size = sizeof(in->table),
        .abi_minor = SL_ABI_MINOR,
        .ctx = in,
        .settings = in->settings,
        .values = config_values_api(),
        .endpoint = str_of(in->name),
        .log = service_log,
        .wall_ms = service_wall_ms,
        .mono_ms = service_mono_ms,
        .random = service_random,
        .http = service_http,
        .timer = service_timer,
        .timer_cancel = service_timer_cancel,
        .transform = service_transform,
        .budget = service_budget,
        .linked = service_linked,
        .poll_soon = service_poll_soon,
    };
    if (p->open(&in->table, &in->adapter.self, &why) < 0) {
        why.text[sizeof(why.text) - 1] = 0;
        in->adapter.self = NULL;
        return fail_set(fail, UV_EINVAL, "endpoint %s: adapter %s cannot open: %s", in->name,
                        p->name, why.text[0] ? why.text : "no reason given");
    }
    in->adapter.open = true;
    return 0;
}

/** Some other one that trusts the system's roots, so that they are read once. */
static struct http_client *trusts_system(struct host *h)
{
    list_each (i, &h->instances) {
        struct instance *in = list_entry(i, struct instance, node);
        if (in->client && !in->closing && !in->ca_file)
            return in->client;
    }
    return NULL;
}

/** NULL with `fail`: what of it was open is being closed. */
static struct instance *instance_open(struct host *h, const struct conf_endpoint *e,
                                      struct fail *fail)
{
    struct instance *in = instance_new(h, e);
    struct http_client_conf conf;

    client_conf(e, &conf);
    if (!e->ca_file)
        conf.like = trusts_system(h);
    if (http_client_open(&in->client, h->loop, &conf, fail) < 0) {
        fail_prefix(fail, "endpoint %s: ", e->name);
        instance_free(in);
        return NULL;
    }
    in->held = 1; /* the client */
    h->open++;
    if (open_plugin(in, fail) < 0) {
        in->adapter.retired = true;
        instance_close(in);
        return NULL;
    }
    return in;
}

/* ---- another configuration ---- */

struct host_next {
    const struct config *config; /* borrowed */
    struct adapter **adapters;   /* own */
    bool *opened;                /* own */
};

static struct instance *instance_of(struct adapter *a)
{
    return container_of(a, struct instance, adapter);
}

/** The one that was opened by just these settings; NULL: none. */
static struct instance *find_same(struct host *h, const struct conf_endpoint *e)
{
    for (size_t i = 0; i < h->n; i++) {
        struct instance *in = instance_of(h->adapters[i]);
        if (strcmp(in->name, e->name) == 0 && in->adapter.plugin == e->plugin &&
            str_eq(str_of(in->ca_file), str_of(e->ca_file)) &&
            config_values_equal(in->settings, e->settings))
            return in;
    }
    return NULL;
}

static void next_free(struct host_next *n)
{
    free(n->adapters);
    free(n->opened);
    free(n);
}

int host_prepare(struct host *h, const struct config *next, struct host_next **ret,
                 struct fail *fail)
{
    struct host_next *n = mem_zero(sizeof(*n));

    n->config = next;
    n->adapters = mem_array(next->n_endpoints + 1, sizeof(struct adapter *));
    n->opened = mem_array(next->n_endpoints + 1, sizeof(bool));
    for (size_t i = 0; i < next->n_endpoints; i++) {
        struct instance *in = find_same(h, &next->endpoints[i]);
        n->opened[i] = !in;
        if (!in && !(in = instance_open(h, &next->endpoints[i], fail))) {
            host_abandon(h, n);
            return fail->code;
        }
        n->adapters[i] = &in->adapter;
    }
    *ret = n;
    return 0;
}

struct adapter **host_next_adapters(struct host_next *n)
{
    return n->adapters;
}

bool host_next_opened(const struct host_next *n, size_t i)
{
    return n->opened[i];
}

void host_abandon(struct host *h, struct host_next *n)
{
    (void)h;
    for (size_t i = 0; i < n->config->n_endpoints && n->adapters[i]; i++)
        if (n->opened[i])
            adapter_retire(n->adapters[i]);
    next_free(n);
}

void host_commit(struct host *h, struct host_next *n)
{
    struct http_client_conf conf;

    for (size_t i = 0; i < n->config->n_endpoints; i++) {
        client_conf(&n->config->endpoints[i], &conf);
        http_client_change(instance_of(n->adapters[i])->client, &conf);
    }
    free(h->adapters);
    h->adapters = n->adapters;
    h->n = n->config->n_endpoints;
    n->adapters = NULL;
    next_free(n);
}

size_t host_instances(const struct host *h)
{
    return h->open;
}

/* ---- the host's life ---- */

void host_destroy(struct host *h)
{
    while (!list_empty(&h->instances))
        instance_free(list_entry(h->instances.next, struct instance, node));
    free(h->adapters);
    free(h);
}

void host_close(struct host *h, void (*cb)(void *ctx), void *ctx)
{
    h->cb = cb;
    h->ctx = ctx;
    h->closing = true;
    h->open++; /* held until every close has begun */
    list_each (i, &h->instances) {
        struct instance *in = list_entry(i, struct instance, node);
        if (in->client)
            instance_close(in);
    }
    if (--h->open == 0)
        all_closed(h);
}

int host_open(struct host **ret, uv_loop_t *loop, const struct config *config,
              struct mapper *mapper, struct fail *fail)
{
    struct host *h = mem_zero(sizeof(*h));
    struct host_next *n;
    int r;

    h->loop = loop;
    h->mapper = mapper;
    list_init(&h->instances);
    if ((r = host_prepare(h, config, &n, fail)) < 0)
        return r; /* the process ends: see daemon_run */
    host_commit(h, n);
    *ret = h;
    return 0;
}

void host_use_store(struct host *h, struct store *store)
{
    h->store = store;
}

struct adapter **host_adapters(struct host *h)
{
    return h->adapters;
}

void host_stats(const struct host *h, size_t endpoint, struct host_stats *ret)
{
    *ret = instance_of(h->adapters[endpoint])->stats;
}
