#include "host/instance.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "flow/program.h"

#define SLOW_US 5000

/* ---- what calls a plugin back from here is measured: answers, timers, jq results ---- */

void instance_measured(void *ctx, uint64_t began_us, const char *what)
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
    instance_measured(in, began, "a timer");
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
    instance_measured(in, began, "a jq result");
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
void instance_release(struct instance *in)
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
    instance_flush(in); /* they are cancelled with the others */
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
    in->adapter = (struct adapter){ .plugin = e->plugin,
                                    .conf = e,
                                    .measured = instance_measured,
                                    .unused = on_unused,
                                    .host_ctx = in };
    list_init(&in->waiting);
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
        .http = instance_http,
        .timer = service_timer,
        .timer_cancel = service_timer_cancel,
        .transform = service_transform,
        .budget = instance_budget,
        .linked = instance_linked,
        .keep = instance_keep,
        .kept = instance_kept,
        .poll_soon = service_poll_soon,
        .recall = instance_recall,
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
