#include "cli/online.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "base/log.h"
#include "base/mem.h"
#include "cli/table.h"
#include "host/host.h"

#define ENDPOINT_MS 30000

/** What an endpoint is asked about one after the other: itself, then each of its feeds and its
 *  routes' actions. */
struct question {
    const struct conf_feed *feed;     /* NULL: no feed */
    const struct conf_route *route;   /* NULL: no route */
    const struct conf_target *target; /* NULL: likewise */
};

struct asked {
    struct online *all;
    const struct conf_endpoint *endpoint;
    struct adapter *adapter; /* NULL: it could not be opened */
    json_t *answer;          /* borrowed: in online.answers */
    struct question *questions;
    size_t n, at;
    bool error, over;
    sl_probe_out out;
    uv_timer_t timer; /* the bound */
    uv_timer_t next;  /* the next question leaves in a turn of its own */
};

struct online {
    uv_loop_t loop;
    const struct config *config;
    struct host *host;
    struct asked *asked;
    size_t n, open;
    json_t *answers;
};

/* ---- findings ---- */

static void add_finding(struct asked *a, const char *level, sl_str text)
{
    const struct question *q = &a->questions[a->at < a->n ? a->at : 0];
    struct buf clean = { 0 };
    json_t *f = json_object();

    clean_text(&clean, text);
    if (q->feed)
        json_object_set_new(f, "feed", json_string(q->feed->name));
    if (q->route) {
        json_object_set_new(f, "route", json_string(q->route->name));
        json_object_set_new(
            f, "action", json_string(q->target->endpoint->plugin->actions[q->target->action].name));
    }
    json_object_set_new(f, "level", json_string(level));
    json_object_set_new(f, "text", json_stringn(clean.data ? clean.data : "", clean.len));
    json_array_append_new(json_object_get(a->answer, "findings"), f);
    a->error |= strcmp(level, "error") == 0;
    buf_finish(&clean);
}

static void on_finding(void *ctx, uint32_t level, sl_str text)
{
    static const char *const names[] = { "good", "warn", "error" };
    struct asked *a = ctx;

    if (!a->over)
        add_finding(a, names[level < 3 ? level : 2], text);
}

/* ---- one question after the other ---- */

static void on_host_closed(void *ctx)
{
    (void)ctx;
}

/** It has said all it will: the last one closes the host. */
static void endpoint_over(struct asked *a)
{
    struct online *o = a->all;

    if (a->over)
        return;
    a->over = true;
    uv_close((uv_handle_t *)&a->timer, NULL);
    uv_close((uv_handle_t *)&a->next, NULL);
    if (--o->open == 0)
        host_close(o->host, on_host_closed, o);
}

static void on_next(uv_timer_t *timer)
{
    struct asked *a = timer->data;
    const struct question *q = &a->questions[a->at];
    const struct adapter *adapter = a->adapter;

    if (q->feed)
        adapter->plugin->probe_feed(adapter->self, q->feed->handle, &a->out);
    else
        adapter->plugin->probe(adapter->self, q->target ? q->target->handle : NULL, &a->out);
}

static void on_finish(void *ctx)
{
    struct asked *a = ctx;

    if (a->over)
        return;
    /* what does not let the endpoint itself in says nothing of its routes */
    if ((a->at == 0 && a->error) || a->at + 1 == a->n) {
        endpoint_over(a);
        return;
    }
    a->at++;
    uv_timer_start(&a->next, on_next, 0, 0);
}

static void on_late(uv_timer_t *timer)
{
    struct asked *a = timer->data;

    add_finding(a, "error",
                STR("no answer within 30 s: is the address right, and reachable from here?"));
    endpoint_over(a);
}

/* ---- what there is to ask ---- */

static void add_question(struct asked *a, const struct question *q)
{
    a->questions = mem_grow(a->questions, (a->n + 1) * sizeof(*a->questions));
    a->questions[a->n++] = *q;
}

static void find_questions(struct asked *a)
{
    const struct config *c = a->all->config;
    const struct conf_target *t;

    add_question(a, &(struct question){ 0 });
    for (size_t i = 0; i < a->endpoint->n_feeds && a->endpoint->plugin->probe_feed; i++)
        add_question(a, &(struct question){ .feed = &a->endpoint->feeds[i] });
    for (size_t r = 0; r < c->n_routes; r++)
        for (size_t i = 0; (t = conf_route_send(&c->routes[r], i)); i++)
            if (t->endpoint == a->endpoint)
                add_question(a, &(struct question){ .route = &c->routes[r], .target = t });
}

/** Opened beside the others. */
static void open_endpoint(struct asked *a)
{
    struct config one = *a->all->config;
    struct host_next *next;
    struct fail fail = { 0 };

    one.endpoints = (struct conf_endpoint *)a->endpoint;
    one.n_endpoints = 1;
    if (host_prepare(a->all->host, &one, &next, &fail) < 0) {
        add_finding(a, "error", str_of(fail.text));
        return;
    }
    a->adapter = host_next_adapters(next)[0];
    host_commit(a->all->host, next);
}

static void ask_endpoint(struct asked *a)
{
    struct online *o = a->all;

    uv_timer_init(&o->loop, &a->timer);
    uv_timer_init(&o->loop, &a->next);
    a->timer.data = a->next.data = a;
    open_endpoint(a);
    if (!a->adapter || !a->adapter->plugin->probe) {
        endpoint_over(a);
        return;
    }
    json_object_set_new(a->answer, "asked", json_true());
    a->out = (sl_probe_out){
        .size = sizeof(a->out), .ctx = a, .finding = on_finding, .finish = on_finish
    };
    uv_timer_start(&a->timer, on_late, ENDPOINT_MS, 0);
    uv_timer_start(&a->next, on_next, 0, 0);
}

/* ---- all ---- */

static void start(struct online *o)
{
    const struct config *c = o->config;

    o->n = c->n_endpoints;
    o->asked = mem_array(o->n ? o->n : 1, sizeof(*o->asked));
    o->open = o->n + 1; /* held until all have been asked */
    for (size_t i = 0; i < o->n; i++) {
        struct asked *a = &o->asked[i];
        a->all = o;
        a->endpoint = &c->endpoints[i];
        a->answer = json_pack("{s:s, s:s, s:b, s:[]}", "endpoint", a->endpoint->name, "adapter",
                              a->endpoint->plugin->name, "asked", 0, "findings");
        json_array_append_new(o->answers, a->answer);
        find_questions(a);
        ask_endpoint(a);
    }
    if (--o->open == 0)
        host_close(o->host, on_host_closed, o);
}

json_t *online_ask(const struct config *config)
{
    struct online o = { .config = config, .answers = json_array() };
    struct config none = *config;
    struct fail fail = { 0 };

    none.n_endpoints = 0;
    signal(SIGPIPE, SIG_IGN);
    log_setup(LOG_ERROR, LOG_TEXT); /* what adapters note besides is not asked for */
    uv_loop_init(&o.loop);
    if (host_open(&o.host, &o.loop, &none, NULL, &fail) == 0) { /* of nothing: it cannot fail */
        start(&o);
        uv_run(&o.loop, UV_RUN_DEFAULT);
        host_destroy(o.host);
    }
    uv_loop_close(&o.loop);
    for (size_t i = 0; i < o.n; i++)
        free(o.asked[i].questions);
    free(o.asked);
    return o.answers;
}

/* ---- telling ---- */

bool online_failed(json_t *answers)
{
    json_t *a, *f;
    size_t i, k;

    json_array_foreach(answers, i, a)
        json_array_foreach(json_object_get(a, "findings"), k,
                           f) if (strcmp(json_text(f, "level"), "error") == 0) return true;
    return false;
}

static void print_row(struct table *t, json_t *answer, json_t *finding)
{
    const char *level = json_text(finding, "level"), *route = json_text(finding, "route");
    const char *feed = json_text(finding, "feed");

    table_cell(t, json_text(answer, "endpoint"));
    table_cell(t, *route ? route : *feed ? feed : "-");
    table_cell(t, strcmp(level, "error") == 0 ? "ERROR" : level);
    table_cell(t, json_text(finding, "text"));
}

void online_print(json_t *answers)
{
    struct table t;
    json_t *a, *f;
    size_t i, k;

    table_init(&t, "ENDPOINT|ROUTE|RESULT|WHAT");
    json_array_foreach(answers, i, a)
    {
        json_t *findings = json_object_get(a, "findings");

        json_array_foreach(findings, k, f) print_row(&t, a, f);
        if (json_array_size(findings))
            continue;
        table_cell(&t, json_text(a, "endpoint"));
        table_cell(&t, "-");
        table_cell(&t, "-");
        table_cell(&t, json_is_true(json_object_get(a, "asked")) ? "it has nothing to say"
                                                                 : "its adapter cannot be asked");
    }
    if (json_array_size(answers))
        table_print(&t);
    table_finish(&t);
}
