#include "cli/reloader.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/orphans.h"
#include "cli/programs.h"
#include "host/host.h"

#define AGAIN_MS 20 /* not while the flow still reads what was left from before */

enum reload_state { IDLE, STARTING, COMPILING, COUNTING };

/** Who waits for a verdict. */
struct caller {
    struct list node;
    bool dry_run;
    admin_reloaded *cb; /* NULL: SIGHUP */
    void *ctx;
};

struct reloader {
    struct reloader_conf conf;
    enum reload_state state;
    bool dry_run;
    struct list waiting; /* for the next one */
    struct list callers; /* of this one */
    uv_timer_t timer;
    uv_work_t work;
    uint64_t began_ms;
    struct config *next;     /* read, and not in force yet */
    struct host_next *hosts; /* opened for it */
    struct orphan_list orphans;
    void (*closed)(void *ctx); /* NULL: not closing */
    void *closed_ctx;
};

static const struct logger log_ = { .room = "reload" };

static void start_soon(struct reloader *r, uint64_t ms);

/* ---- the verdict ---- */

static void reloader_end(struct reloader *r);

static void tell_all(struct reloader *r, int code, sl_str json)
{
    struct list callers = LIST_INIT(callers);

    list_splice(&callers, &r->callers);
    while (!list_empty(&callers)) {
        struct caller *c = list_entry(callers.next, struct caller, node);
        list_remove(&c->node);
        if (c->cb)
            c->cb(c->ctx, code, json);
        free(c);
    }
}

/** The end of one, however it went. */
static void verdict(struct reloader *r, int code, sl_str json)
{
    if (r->hosts)
        host_abandon(r->conf.host, r->hosts);
    config_destroy(r->next);
    orphans_finish(&r->orphans);
    r->hosts = NULL;
    r->next = NULL;
    r->orphans = (struct orphan_list){ 0 };
    programs_forget(r->conf.loaded->programs);
    if (!r->dry_run && code != UV_ECANCELED)
        watch_reloaded(r->conf.watch, code == 0);
    r->state = IDLE;
    tell_all(r, code, json);
    reloader_end(r);
}

static void put_error(struct buf *b, const struct config_error *e)
{
    buf_cstr(b, "{\"file\":");
    buf_json_str(b, str_of(e->file));
    buf_printf(b, ",\"line\":%u,\"column\":%u,\"text\":", e->line, e->column);
    buf_json_str(b, str_of(e->text));
    buf_char(b, '}');
}

/** RFC 9457, with what a program may want to know of it. */
static void refuse(struct reloader *r, const char *detail, const struct config_errors *errors,
                   const char *const *keys, size_t n_keys)
{
    struct buf b = { 0 };

    buf_cstr(&b, "{\"title\":\"Refused\",\"status\":422,\"ok\":false,\"detail\":");
    buf_json_str(&b, str_of(detail));
    buf_cstr(&b, ",\"errors\":[");
    for (size_t i = 0; errors && i < errors->n; i++) {
        buf_cstr(&b, i ? "," : "");
        put_error(&b, &errors->list[i]);
    }
    buf_cstr(&b, "],\"restart\":[");
    for (size_t i = 0; i < n_keys; i++)
        buf_printf(&b, "%s\"%s\"", i ? "," : "", keys[i]);
    buf_cstr(&b, "]}\n");
    verdict(r, UV_EINVAL, buf_view(&b));
    buf_finish(&b);
}

static void refuse_errors(struct reloader *r, struct config_errors *errors)
{
    struct buf text = { 0 };

    config_errors_print(&text, errors);
    buf_printf(&text, "%zu %s; the configuration stays as it was", errors->n,
               errors->n == 1 ? "error" : "errors");
    for (size_t i = 0; i < errors->n && !r->dry_run; i++)
        log_error(&log_, "refused: %s:%u:%u: %s", errors->list[i].file, errors->list[i].line,
                  errors->list[i].column, errors->list[i].text);
    refuse(r, text.data, errors, NULL, 0);
    buf_finish(&text);
    config_errors_finish(errors);
}

static void refuse_keys(struct reloader *r, const char *const *keys, size_t n)
{
    struct buf text = { 0 };

    for (size_t i = 0; i < n; i++)
        buf_printf(&text, "%s%s", i ? ", " : "", keys[i]);
    buf_printf(&text,
               "%s changed, and a running daemon cannot take %s over: restart it, or take "
               "the change back; the configuration stays as it was",
               n == 1 ? " has" : " have", n == 1 ? "that" : "these");
    if (!r->dry_run)
        log_error(&log_, "refused: %s", text.data);
    refuse(r, text.data, NULL, keys, n);
    buf_finish(&text);
}

static void refuse_text(struct reloader *r, const char *text)
{
    if (!r->dry_run)
        log_error(&log_, "refused: %s", text);
    refuse(r, text, NULL, NULL, 0);
}

/** Names of `a` that are not in `b`, as a JSON array of texts. */
static size_t put_missing(struct buf *b, const char *name, const struct config *a,
                          const struct config *other, bool routes)
{
    size_t n = 0, all = routes ? a->n_routes : a->n_endpoints;

    buf_printf(b, "%s\"%s\":[", b->data[b->len - 1] == '{' ? "" : ",", name);
    for (size_t i = 0; i < all; i++) {
        sl_str one = str_of(routes ? a->routes[i].name : a->endpoints[i].name);
        if (routes ? config_route(other, one) != NULL : config_endpoint(other, one) != NULL)
            continue;
        buf_cstr(b, n++ ? "," : "");
        buf_json_str(b, one);
    }
    buf_char(b, ']');
    return n;
}

static void put_changed(struct buf *b, const struct reloader *r)
{
    const struct config *before = r->conf.loaded->config, *next = r->next;
    size_t n = 0;

    buf_cstr(b, ",\"changed\":[");
    for (size_t i = 0; i < next->n_endpoints; i++) {
        sl_str name = str_of(next->endpoints[i].name);
        if (!host_next_opened(r->hosts, i) || !config_endpoint(before, name))
            continue;
        buf_cstr(b, n++ ? "," : "");
        buf_json_str(b, name);
    }
    buf_char(b, ']');
}

static void put_orphans(struct buf *b, const struct reloader *r)
{
    struct buf text = { 0 };

    buf_cstr(b, ",\"orphans\":[");
    for (size_t i = 0; i < r->orphans.n; i++) {
        const struct orphans *o = &r->orphans.at[i];
        buf_cstr(b, i ? ",{\"route\":" : "{\"route\":");
        buf_json_str(b, str_of(o->route));
        buf_cstr(b, ",\"endpoint\":");
        buf_json_str(b, str_of(o->endpoint));
        buf_printf(b, ",\"deliveries\":%lld,\"text\":", (long long)o->n);
        orphans_say(&text, o, r->dry_run);
        buf_json_str(b, buf_view(&text));
        if (!r->dry_run)
            log_warn(&log_, "%s", text.data);
        buf_clear(&text);
        buf_char(b, '}');
    }
    buf_finish(&text);
    buf_char(b, ']');
}

/** What has changed, or would; `next` and `hosts` are still there. */
static void put_changes(struct buf *b, const struct reloader *r)
{
    const struct config *before = r->conf.loaded->config, *next = r->next;

    buf_printf(b, "{\"ok\":true,\"dry_run\":%s,\"file\":", r->dry_run ? "true" : "false");
    buf_json_str(b, str_of(next->file));
    buf_cstr(b, ",\"endpoints\":{");
    put_missing(b, "added", next, before, false);
    put_missing(b, "removed", before, next, false);
    put_changed(b, r);
    buf_cstr(b, "},\"routes\":{");
    put_missing(b, "added", next, before, true);
    put_missing(b, "removed", before, next, true);
    buf_char(b, '}');
    put_orphans(b, r);
    buf_printf(b, ",\"took_ms\":%llu}", (unsigned long long)(clock_mono_ms() - r->began_ms));
}

/* ---- GO OVER ---- */

/** All of it is checked, and what is new is open: from here on nothing fails but memory. */
static void go_over(struct reloader *r, struct fail *fail)
{
    struct config *before = r->conf.loaded->config;
    size_t held;

    if (watch_prepare(r->conf.watch, r->next, fail) < 0)
        return;
    if (flow_reconfigure(r->conf.flow, r->next, host_next_adapters(r->hosts), &held) < 0) {
        fail_set(fail, UV_ENOMEM, "no memory for it");
        return;
    }
    host_commit(r->conf.host, r->hosts);
    r->hosts = NULL;
    r->conf.loaded->config = r->next;
    r->conf.changed(r->conf.ctx, r->next);
    r->next = NULL;
    config_destroy(before); /* what is under way may hold it a while longer */
    log_info(&log_, "done: %zu endpoints, %zu routes, %zu deliveries in memory are held now",
             r->conf.loaded->config->n_endpoints, r->conf.loaded->config->n_routes, held);
}

static void decide(struct reloader *r)
{
    struct fail fail = { 0 };
    struct buf b = { 0 };

    put_changes(&b, r); /* before: it compares with what is in force */
    if (!r->dry_run)
        go_over(r, &fail);
    if (fail.text[0])
        refuse_text(r, fail.text);
    else
        verdict(r, 0, buf_view(&b));
    buf_finish(&b);
}

/* ---- COUNT ---- */

static void on_places(void *ctx, int status, sl_str json)
{
    struct reloader *r = ctx;
    json_t *places = status == 0 ? json_loadb(json.ptr, json.len, 0, NULL) : NULL;

    if (r->closed) {
        json_decref(places);
        verdict(r, UV_ECANCELED, STR(""));
        return;
    }
    if (!places)
        log_warn(&log_, "what would be held cannot be counted: err=%s", uv_strerror(status));
    orphans_count(&r->orphans, r->next, places);
    json_decref(places);
    decide(r);
}

static void count(struct reloader *r)
{
    struct store_filter all = { .limit = 1 };
    struct fail fail = { 0 };

    if (host_prepare(r->conf.host, r->next, &r->hosts, &fail) < 0) {
        r->hosts = NULL;
        refuse_text(r, fail.text);
        return;
    }
    r->state = COUNTING;
    int err = store_report(r->conf.store, REPORT_PLACES, &all, on_places, r);
    if (err < 0)
        on_places(r, err, STR(""));
}

/* ---- READ and COMPILE ---- */

static void compile_in_thread(uv_work_t *work)
{
    programs_compile(container_of(work, struct reloader, work)->conf.loaded->programs);
}

/** Reads the file. True: it is good as far as is known, `next` has it. */
static bool read_file(struct reloader *r, struct config_errors *errors)
{
    return load_again(r->conf.loaded, r->conf.loaded->config->file, &r->next, errors) == 0;
}

static void take(struct reloader *r)
{
    const char *keys[CONFIG_RESTART_KEYS];
    size_t n = config_restart_keys(r->conf.loaded->config, r->next, keys);

    if (n)
        refuse_keys(r, keys, n);
    else
        count(r);
}

static void on_compiled(uv_work_t *work, int status)
{
    struct reloader *r = container_of(work, struct reloader, work);
    struct config_errors errors = { 0 };

    if (status < 0 || r->closed) {
        verdict(r, UV_ECANCELED, STR(""));
        return;
    }
    if (r->next && !programs_bad(r->conf.loaded->programs)) {
        take(r);
        return;
    }
    config_destroy(r->next); /* once more, for what is wrong with them and at which place */
    r->next = NULL;
    if (read_file(r, &errors))
        take(r); /* mended in this moment */
    else
        refuse_errors(r, &errors);
}

static void start(struct reloader *r)
{
    struct config_errors errors = { 0 };
    bool good = read_file(r, &errors);

    if (programs_unknown(r->conf.loaded->programs)) {
        config_errors_finish(&errors);
        r->state = COMPILING;
        uv_queue_work(r->conf.loop, &r->work, compile_in_thread, on_compiled);
    } else if (good) {
        take(r);
    } else {
        refuse_errors(r, &errors);
    }
}

/* ---- one after the other ---- */

static void on_timer(uv_timer_t *t)
{
    struct reloader *r = container_of(t, struct reloader, timer);

    if (r->closed) {
        verdict(r, UV_ECANCELED, STR(""));
    } else if (!flow_recovered(r->conf.flow)) {
        start_soon(r, AGAIN_MS);
    } else {
        r->began_ms = clock_mono_ms();
        start(r);
    }
}

static void start_soon(struct reloader *r, uint64_t ms)
{
    r->state = STARTING;
    uv_timer_start(&r->timer, on_timer, ms, 0);
}

/** All who want the same as the first of them. */
static void begin_next(struct reloader *r)
{
    struct list *first = list_first(&r->waiting);

    if (r->state != IDLE || !first)
        return;
    r->dry_run = list_entry(first, struct caller, node)->dry_run;
    list_each_safe (i, tmp, &r->waiting) {
        struct caller *c = list_entry(i, struct caller, node);
        if (c->dry_run != r->dry_run)
            continue;
        list_remove(&c->node);
        list_append(&r->callers, &c->node);
    }
    start_soon(r, 0);
}

void reloader_start(void *reloader, bool dry_run, admin_reloaded *cb, void *cb_ctx)
{
    struct reloader *r = reloader;
    struct caller *c;

    if (r->closed) {
        cb(cb_ctx, UV_ECANCELED, STR(""));
        return;
    }
    c = mem_zero(sizeof(*c));
    *c = (struct caller){ .dry_run = dry_run, .cb = cb, .ctx = cb_ctx };
    list_append(&r->waiting, &c->node);
    begin_next(r);
}

void reloader_hup(struct reloader *r)
{
    if (r->closed)
        return;
    log_info(&log_, "SIGHUP: the configuration is read again");
    reloader_start(r, false, NULL, NULL);
}

/* ---- life ---- */

struct reloader *reloader_create(const struct reloader_conf *conf)
{
    struct reloader *r = mem_zero(sizeof(*r));

    r->conf = *conf;
    list_init(&r->waiting);
    list_init(&r->callers);
    uv_timer_init(conf->loop, &r->timer);
    return r;
}

static void on_closed(uv_handle_t *h)
{
    struct reloader *r = container_of((uv_timer_t *)h, struct reloader, timer);
    void (*closed)(void *) = r->closed;
    void *ctx = r->closed_ctx;

    list_splice(&r->callers, &r->waiting);
    tell_all(r, UV_ECANCELED, STR(""));
    free(r);
    closed(ctx);
}

/** The next one, or the end. */
static void reloader_end(struct reloader *r)
{
    if (!r->closed)
        begin_next(r);
    else if (r->state == IDLE && !uv_is_closing((uv_handle_t *)&r->timer))
        uv_close((uv_handle_t *)&r->timer, on_closed);
}

void reloader_close(struct reloader *r, void (*cb)(void *ctx), void *ctx)
{
    r->closed = cb;
    r->closed_ctx = ctx;
    reloader_end(r);
}
