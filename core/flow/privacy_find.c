/*
 * privacy_find.c - what a request is after, read from the event that asks; and for an operator the
 * events that are found.
 */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "flow/privacy.h"

/* Other shops of the same kind have customers of their own, some with the same address. */
static void set_apart(struct flow *f, struct sought *s, sl_str endpoint)
{
    const struct conf_endpoint *own = config_endpoint(f->config, endpoint);

    s->apart = mem_array(f->config->n_endpoints + 1, sizeof(*s->apart));
    for (size_t i = 0; own && i < f->config->n_endpoints; i++) {
        const struct conf_endpoint *e = &f->config->endpoints[i];

        if (e != own && e->plugin == own->plugin)
            s->apart[s->n_apart++] = str_of(e->name);
    }
}

int sought_read(struct flow *f, const struct store_event *e, uint32_t kind, struct sought *ret)
{
    struct event *event = event_from_receipt(e->id, &e->receipt);
    struct routing *rt = event ? routing_try_new(f, event) : NULL;
    struct sought s = { 0 };
    int r = UV_ENOMEM;

    if (!rt) {
        event_free(event);
        return r;
    }
    if ((r = routing_describe(rt)) == 0 || r == UV_EINVAL) {
        s.asks = rt->asks;
        s.n_asks = rt->n_asks;
        rt->asks = NULL;
        rt->n_asks = 0;
        r = UV_ENOENT;
    }
    for (size_t i = 0; i < s.n_asks && !s.ask; i++)
        s.ask = s.asks[i].kind == kind ? &s.asks[i] : NULL;
    if (s.ask) {
        s.endpoint = mem_dup(event->endpoint);
        s.values = ask_in_forms(s.ask, &s.n_values);
        s.refs = mem_array(s.ask->n_refs + 1, sizeof(*s.refs));
        for (size_t i = 0; i < s.ask->n_refs; i++)
            s.refs[i] = (struct rec_ref){ str_of(s.endpoint), s.ask->refs[i].kind,
                                          s.ask->refs[i].id };
        set_apart(f, &s, event->endpoint);
        *ret = s;
        r = 0;
    } else {
        sought_finish(&s);
    }
    routing_free(rt);
    return r;
}

void sought_finish(struct sought *s)
{
    ask_finish_all(s->asks, s->n_asks);
    for (size_t i = 0; i < s->n_values; i++)
        free((char *)s->values[i].ptr);
    free(s->values);
    free(s->refs);
    free(s->apart);
    free(s->endpoint);
    *s = (struct sought){ 0 };
}

struct store_private sought_query(const struct sought *s)
{
    return (struct store_private){ .endpoint = str_of(s->endpoint),
                                   .subjects = s->ask->subjects,
                                   .n_subjects = s->ask->n_subjects,
                                   .values = s->values,
                                   .n_values = s->n_values,
                                   .refs = s->refs,
                                   .n_refs = s->ask->n_refs,
                                   .apart = s->apart,
                                   .n_apart = s->n_apart,
                                   .all = s->ask->everything };
}

/* ---- for an operator ---- */

struct looking {
    struct flow *flow;
    uint64_t id, after;
    uint32_t kind;
    struct sought sought;
    void (*cb)(void *ctx, int status, const uint64_t *events, size_t n, uint64_t next);
    void *ctx;
};

static void looking_end(struct looking *l, int status, const uint64_t *events, size_t n,
                        uint64_t next)
{
    l->cb(l->ctx, status, events, n, next);
    sought_finish(&l->sought);
    free(l);
}

static void on_found(void *ctx, int status, const struct store_found *found, size_t n,
                     const uint64_t *stopped, size_t n_stopped, uint64_t next)
{
    struct looking *l = ctx;
    uint64_t *events = mem_array(n + 1, sizeof(*events));

    (void)stopped;
    (void)n_stopped;
    for (size_t i = 0; i < n; i++)
        events[i] = found[i].event;
    looking_end(l, status, events, n, next);
    free(events);
}

static void on_event(void *ctx, int status, const struct store_event *e)
{
    struct looking *l = ctx;
    struct store_private what;
    struct store_stats stats;
    int r = status;

    if (r == 0)
        r = sought_read(l->flow, e, l->kind, &l->sought);
    if (r == 0) {
        store_stats(l->flow->store, &stats);
        what = sought_query(&l->sought);
        what.after = l->after;
        what.until = stats.log_seq;
        r = store_private_find(l->flow->store, &what, on_found, l);
    }
    if (r < 0)
        looking_end(l, r, NULL, 0, 0);
}

int flow_privacy_events(struct flow *f, uint64_t id, uint8_t kind, uint64_t after,
                        void (*cb)(void *ctx, int status, const uint64_t *events, size_t n,
                                   uint64_t next),
                        void *ctx)
{
    struct looking *l = mem_zero(sizeof(*l));
    int r;

    *l =
        (struct looking){ .flow = f, .id = id, .after = after, .kind = kind, .cb = cb, .ctx = ctx };
    r = store_event_get(f->store, id, on_event, l);
    if (r < 0)
        free(l);
    return r;
}
