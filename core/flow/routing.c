#include "flow/routing.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "flow/ask.h"
#include "flow/await.h"
#include "flow/program.h"
#include "flow/with.h"

#define MAX_REFS 32

static struct routing *routing_init(struct routing *rt, struct flow *f, struct event *e)
{
    memset(rt, 0, offsetof(struct routing, abouts));
    rt->flow = f;
    rt->event = e;
    list_init(&rt->node);
    list_init(&rt->behind);
    return rt;
}

struct routing *routing_new(struct flow *f, struct event *e)
{
    return routing_init(mem_grow(NULL, sizeof(struct routing)), f, e);
}

struct routing *routing_try_new(struct flow *f, struct event *e)
{
    struct routing *rt = malloc(sizeof(*rt));

    return rt ? routing_init(rt, f, e) : NULL;
}

void piece_free(struct piece *p)
{
    free(p->key);
    free(p->body);
    free(p->error);
    free(p->late);
    free(p->elsewhere);
    free(p->detail);
    group_chosen(&p->turn, false);
    free(p->held_detail);
    free(p->said);
}

static void add_ref(struct about_ref **refs, size_t *n, const sl_ref *ref)
{
    if (*n == MAX_REFS)
        return;
    *refs = mem_grow(*refs, (*n + 1) * sizeof(**refs));
    (*refs)[(*n)++] = (struct about_ref){ mem_dup(ref->kind), mem_dup(ref->id) };
}

static void forget_refs(struct about_ref **refs, size_t *n)
{
    for (size_t i = 0; i < *n; i++) {
        free((*refs)[i].kind);
        free((*refs)[i].id);
    }
    free(*refs);
    *refs = NULL;
    *n = 0;
}

/* What describe said, as if it had not. */
static void forget_description(struct routing *rt)
{
    for (size_t i = 0; i < rt->n_abouts; i++)
        free(rt->abouts[i].subject);
    forget_refs(&rt->refs, &rt->n_refs);
    forget_refs(&rt->learnt, &rt->n_learnt);
    free(rt->note);
    ask_finish_all(rt->asks, rt->n_asks);
    rt->asks = NULL;
    rt->n_asks = 0;
    rt->note = NULL;
    rt->n_abouts = 0;
}

/** What routing_map() made. */
static void forget_pieces(struct routing *rt)
{
    for (size_t i = 0; i < rt->n_pieces; i++)
        piece_free(&rt->pieces[i]);
    free(rt->pieces);
    free(rt->matched);
    rt->pieces = NULL;
    rt->matched = rt->run = NULL;
    rt->n_pieces = rt->n_matched = rt->n_run = 0;
    with_free(rt->with);
    rt->with = NULL;
    rt->lacks = false;
    config_unref(rt->config);
    rt->config = NULL;
}

void routing_free(struct routing *rt)
{
    await_free(rt);
    forget_description(rt);
    forget_pieces(rt);
    free(rt->turn);
    event_free(rt->event);
    free(rt);
}

/* ---- describe ---- */

static void set_note(struct routing *rt, sl_str text)
{
    free(rt->note);
    rt->note = mem_dup(text);
}

static char *put_text(char *to, sl_str s)
{
    if (s.len)
        memcpy(to, s.ptr, s.len);
    to[s.len] = '\0';
    return to + s.len + 1;
}

static void add_about(struct routing *rt, sl_str subject, sl_str version, sl_str event_key)
{
    struct about *a = &rt->abouts[rt->n_abouts++];

    a->subject = mem_grow(NULL, subject.len + version.len + event_key.len + 3);
    a->version = put_text(a->subject, subject);
    a->event_key = put_text(a->version, version);
    put_text(a->event_key, event_key);
}

static void on_subject(void *ctx, sl_str subject, sl_str version, sl_str event_key,
                       const sl_ref *refs, size_t n_refs)
{
    struct routing *rt = ctx;

    for (size_t i = 0; i < n_refs; i++)
        add_ref(&rt->refs, &rt->n_refs, &refs[i]);
    if (subject.len && rt->n_abouts < MAX_ABOUTS)
        add_about(rt, subject, version, event_key);
}

void routing_about(struct routing *rt, sl_str subject)
{
    on_subject(rt, subject, STR(""), STR(""), NULL, 0);
}

static void on_note(void *ctx, sl_str text)
{
    set_note(ctx, text);
}

static void on_link(void *ctx, const sl_ref *ref)
{
    struct routing *rt = ctx;

    add_ref(&rt->learnt, &rt->n_learnt, ref);
}

static sl_status on_ask(void *ctx, const sl_ask *ask)
{
    struct routing *rt = ctx;
    struct ask a;
    sl_status r;

    if (rt->n_asks == ASKS_MOST)
        return SL_E_LIMIT;
    if ((r = ask_copy(&a, ask)) < 0)
        return r;
    rt->asks = mem_grow(rt->asks, (rt->n_asks + 1) * sizeof(a));
    rt->asks[rt->n_asks++] = a;
    return SL_OK;
}

int routing_describe(struct routing *rt)
{
    struct event *e = rt->event;
    struct lane *l = flow_lane(rt->flow, e->endpoint);
    sl_describe_out out = {
        .size = sizeof(out),
        .ctx = rt,
        .subject = on_subject,
        .note = on_note,
        .link = on_link,
        .ask = on_ask,
    };
    sl_fail fail = { .size = sizeof(fail) };
    sl_event ev = {
        .size = sizeof(ev),
        .id = e->id,
        .received_ms = e->received_ms,
        .endpoint = e->endpoint,
        .topic = e->topic,
        .sender_id = e->sender_id,
        .body = e->body,
    };

    if (e->origin == EO_EMITTED || !l || !l->adapter->plugin->describe) {
        if (e->subject.len)
            routing_about(rt, e->subject);
        return 0;
    }
    if (in_hand_ends(rt->flow->in_hand, IN_HAND_EVENT, e->id) >= IN_HAND_ENDS) {
        in_hand_forget(rt->flow->in_hand, IN_HAND_EVENT, e->id);
        set_note(rt, STR("the process ended three times in a row while the adapter read it"));
        return UV_EINVAL;
    }
    in_hand_take(rt->flow->in_hand, IN_HAND_EVENT, &e->id, 1);
    sl_header *headers = NULL;
    int r = rec_headers_decode(e->headers, &headers, &ev.n_headers);
    if (r < 0)
        ev.n_headers = 0;
    ev.headers = headers;
    uint64_t began = clock_mono_us();
    sl_status status = SL_E_NO_MEMORY;
    if (r != UV_ENOMEM)
        status = l->adapter->plugin->describe(l->adapter->self, &ev, &out, &fail);
    adapter_measure(l->adapter, began, "describe");
    free(headers);
    in_hand_drop(rt->flow->in_hand, 1);
    if (status == SL_OK)
        return 0;
    if (status == SL_E_NO_MEMORY) {
        forget_description(rt);
        return UV_ENOMEM;
    }
    fail.text[sizeof(fail.text) - 1] = 0;
    set_note(rt, str_of(fail.text));
    return UV_EINVAL;
}

const char *routing_subject(const struct routing *rt)
{
    return rt->n_abouts ? rt->abouts[0].subject : "";
}

bool routing_event_key(const struct routing *rt, uint8_t out[16])
{
    const struct event *e = rt->event;
    sl_str parts[4 + 2 * MAX_ABOUTS];
    uint8_t full[DIGEST_SHA256];
    size_t n = 0;

    if (e->origin == EO_EMITTED || e->again || !rt->n_abouts)
        return false;
    parts[n++] = STR("event");
    parts[n++] = e->endpoint;
    parts[n++] = e->topic;
    for (size_t i = 0; i < rt->n_abouts; i++) {
        const struct about *a = &rt->abouts[i];
        parts[n++] = str_of(a->subject);
        if (a->event_key[0])
            parts[n++] = str_of(a->event_key);
        else if (a->version[0])
            parts[n++] = str_of(a->version);
        else
            return false;
    }
    digest_parts(parts, n, full);
    memcpy(out, full, 16);
    return true;
}

bool routing_key_of(struct flow *f, struct event *e, uint8_t out[16], char **ret_subject)
{
    struct routing *rt = mem_zero(sizeof(*rt));
    bool has;

    rt->flow = f;
    rt->event = e;
    has = routing_describe(rt) == 0 && routing_event_key(rt, out);
    *ret_subject = *routing_subject(rt) ? mem_str(routing_subject(rt)) : NULL;
    forget_description(rt);
    free(rt);
    return has;
}

/* ---- pieces ---- */

static struct piece *piece_add(struct routing *rt, const struct conf_route *r)
{
    rt->pieces = mem_grow(rt->pieces, (rt->n_pieces + 1) * sizeof(*rt->pieces));
    struct piece *p = &rt->pieces[rt->n_pieces++];
    *p = (struct piece){ .route = r };
    return p;
}

static void piece_error(struct routing *rt, const struct conf_route *r, const char *fmt, sl_str why)
{
    struct piece *p = piece_add(rt, r);
    struct buf b = { 0 };

    buf_cstr(&b, fmt);
    buf_str(&b, why);
    p->key = mem_str("");
    p->error = buf_steal(&b, NULL);
}

/** The text of a JSON string that the mapper gave, own; NULL: it is not a string. */
static char *json_text(struct routing *rt, sl_str json)
{
    json_t *j;
    char *text;

    if (!json.len || json.ptr[0] != '"')
        return NULL;
    /* NUL and all: nothing that a sender writes may look like want of memory, which is tried again
     */
    j = json_loadb(json.ptr, json.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    text = mem_str(json_string_value(j));
    rt->no_memory |= !j;
    json_decref(j);
    return text;
}

static const struct conf_target *choose_target(const struct conf_route *r, const char *choice)
{
    const struct conf_target *otherwise = NULL;

    for (size_t i = 0; i < r->n_targets; i++) {
        const struct conf_target *t = &r->targets[i];
        if (!t->when)
            otherwise = t;
        else if (choice && !strcmp(t->when, choice))
            return t;
    }
    return otherwise;
}

static bool same_key_before(const struct routing *rt, const struct conf_route *r, const char *key)
{
    for (size_t i = 0; i < rt->n_pieces; i++)
        if (rt->pieces[i].route == r && rt->pieces[i].key && !strcmp(rt->pieces[i].key, key))
            return true;
    return false;
}

/** A dead letter of its own: no piece shares its name, and so its delivery's id, with another. */
static void piece_again(struct routing *rt, const struct conf_route *r, const char *key)
{
    size_t size = strlen(key) + 16;
    char *name = mem_zero(size);
    unsigned n = 2;

    do
        snprintf(name, size, "%s (%u)", key, n++);
    while (same_key_before(rt, r, name));
    piece_error(rt, r, "split gave two pieces of the key ", str_of(key));
    free(rt->pieces[rt->n_pieces - 1].key);
    rt->pieces[rt->n_pieces - 1].key = name;
}

/** Outputs come in threes: key, choice, body. */
static void pieces_from(struct routing *rt, const struct conf_route *r, const struct map_result *m)
{
    for (size_t i = 0; i + 3 <= m->n_outputs; i += 3) {
        char *key = json_text(rt, m->outputs[i]);
        char *choice = json_text(rt, m->outputs[i + 1]);
        if (!key)
            key = mem_str("");
        if (same_key_before(rt, r, key)) {
            piece_again(rt, r, key);
            free(key);
        } else {
            struct piece *p = piece_add(rt, r);
            p->key = key;
            p->target = choose_target(r, choice);
            origin_find(rt, p);
            p->body = mem_dup(m->outputs[i + 2]);
            p->body_len = m->outputs[i + 2].len;
        }
        free(choice);
    }
}

static void note_errors(struct routing *rt, const struct conf_route *r, const struct map_result *m)
{
    if (rt->router && rt->config == rt->flow->config) /* of one that is gone nothing is learnt */
        router_route_result(rt->router, r, m->status == 0 ? STR("") : m->why);
}

static void on_mapped(void *ctx, const struct map_result *results, size_t n)
{
    struct routing *rt = ctx;

    for (size_t i = 0; i < n; i++) {
        rt->cancelled |= results[i].status == UV_ECANCELED;
        rt->no_memory |= results[i].status == UV_ENOMEM;
    }
    if (rt->cancelled || rt->no_memory) /* nothing may be concluded */
        n = 0;
    for (size_t i = 0; i < rt->n_run && i < n; i++) {
        const struct conf_route *r = rt->run[i];
        const struct map_result *m = &results[i];
        note_errors(rt, r, m);
        if (m->status == 0)
            pieces_from(rt, r, m);
        else
            piece_error(rt, r, "map: ", m->why);
    }
    rt->done(rt);
}

static void match(struct routing *rt)
{
    const struct config *c = rt->config;
    const struct event *e = rt->event;

    for (size_t i = 0; i < c->n_routes; i++) {
        const struct conf_route *r = &c->routes[i];
        if (e->only && strcmp(e->only, r->name))
            continue;
        if (!e->anyway && !conf_route_matches(r, e->endpoint, e->topic))
            continue;
        if (!rt->matched) {
            rt->matched = mem_array(2 * (c->n_routes - i), sizeof(*rt->matched));
            rt->run = rt->matched + (c->n_routes - i);
        }
        rt->matched[rt->n_matched++] = r;
    }
}

/** Nothing to run: the callback still must not come before the call returned. */
static void done_soon(struct routing *rt)
{
    list_append(&rt->flow->router.ready, &rt->node);
    router_wake(&rt->flow->router);
}

/** The adapter could not say what it is about: a dead letter for each route that wants it. */
static void refuse(struct routing *rt)
{
    match(rt);
    for (size_t i = 0; i < rt->n_matched; i++)
        piece_error(rt, rt->matched[i], "the event is not understood: ", str_of(rt->note));
}

/** What a program is told besides the body. */
void routing_vars(struct buf *to, const struct event *e)
{
    char when[32];

    clock_format(e->received_ms, when);
    buf_printf(to, "{\"received\":\"%s\",\"event\":{\"topic\":", when);
    buf_json_str(to, e->topic);
    buf_cstr(to, ",\"endpoint\":");
    buf_json_str(to, e->endpoint);
    buf_cstr(to, "},\"delivery\":null");
}

/** The rows that it is `with` are not there yet: it is held until then, or tells whoever asked. */
static void piece_waits(struct routing *rt, const struct conf_route *r, sl_str why)
{
    struct piece *p;

    piece_error(rt, r, "", why);
    p = &rt->pieces[rt->n_pieces - 1];
    p->paused = p->looks_up = true;
    p->detail = with_detail(1, r->owner);
    p->again_ms = with_next(rt->flow, 1);
    rt->lacks = true;
}

/** With its rows, if it has any: false, and its programs do not run. */
static bool put_rows(struct routing *rt, const struct conf_route *r, struct buf *vars)
{
    struct buf why = { 0 };
    struct map_result failed;
    enum with_says says;

    if (!r->n_with)
        return true;
    buf_char(vars, ',');
    says = with_rows(rt, r, vars, &why);
    if (says == WITH_WAITS) {
        piece_waits(rt, r, buf_view(&why));
    } else if (says == WITH_ERROR) {
        failed = (struct map_result){ .status = MAP_E_PROGRAM, .why = buf_view(&why) };
        note_errors(rt, r, &failed);
        piece_error(rt, r, "with: ", buf_view(&why));
    }
    buf_finish(&why);
    return says == WITH_ROWS;
}

/** What the routes' programs are to run on; own: runs_free(). */
struct runs {
    struct map_run list[MAX_ROUTES_PER_EVENT];
    struct buf vars[MAX_ROUTES_PER_EVENT]; /* of those that are `with` something */
    struct buf common;
    size_t n;
};

static void runs_add(struct runs *x, struct routing *rt, const struct conf_route *r)
{
    struct buf *vars = &x->vars[x->n];

    if (x->n == MAX_ROUTES_PER_EVENT) {
        piece_error(rt, r, "more than 64 routes match one event", STR(""));
        return;
    }
    if (!x->common.len)
        routing_vars(&x->common, rt->event);
    *vars = (struct buf){ 0 };
    buf_str(vars, buf_view(&x->common));
    if (put_rows(rt, r, vars)) {
        buf_char(vars, '}');
        rt->run[x->n] = r;
        x->list[x->n] = (struct map_run){ rt->flow->router.routes[r->index].program,
                                          buf_view(vars) };
        rt->no_memory |= vars->failed;
        x->n++;
    } else {
        buf_finish(vars);
    }
}

static void runs_finish(struct runs *x)
{
    for (size_t i = 0; i < x->n; i++)
        buf_finish(&x->vars[i]);
    buf_finish(&x->common);
}

void routing_run(struct routing *rt)
{
    const struct event *e = rt->event;
    struct runs runs = { .n = 0 };
    int r = 0;

    if (rt->config != rt->flow->config) { /* a reload came between: all of it anew */
        routing_map(rt);
        return;
    }
    for (size_t i = 0; i < rt->n_matched; i++) {
        const struct conf_route *route = rt->matched[i];
        if (program_needed(route) && rt->router && rt->router->routes[route->index].paused) {
            piece_error(rt, route, "its route is paused after: ",
                        str_of(rt->router->routes[route->index].last_error));
            rt->pieces[rt->n_pieces - 1].paused = true;
            continue;
        }
        if (program_needed(route)) {
            runs_add(&runs, rt, route);
            continue;
        }
        struct piece *p = piece_add(rt, route);
        p->key = mem_str("");
        p->target = &route->targets[0];
        p->body = mem_dup(e->body);
        p->body_len = e->body.len;
        origin_find(rt, p);
    }
    rt->n_run = runs.n;
    if (!rt->no_memory && runs.n > 0)
        r = mapper_run(rt->flow->mapper, e->body, runs.list, runs.n, on_mapped, rt);
    rt->no_memory |= r == UV_ENOMEM;
    rt->cancelled |= r == UV_ECANCELED; /* the mapper is closing: it is routed at the next start */
    if (r < 0 || rt->no_memory || runs.n == 0)
        done_soon(rt);
    runs_finish(&runs);
}

static bool wants_rows(const struct routing *rt)
{
    for (size_t i = 0; i < rt->n_matched; i++)
        if (rt->matched[i]->n_with)
            return true;
    return false;
}

void routing_map(struct routing *rt)
{
    forget_pieces(rt);
    rt->config = config_ref(rt->flow->config);
    rt->no_memory = false;
    if (rt->undescribed) {
        refuse(rt);
        done_soon(rt);
        return;
    }
    match(rt);
    if (wants_rows(rt) && with_begin(rt))
        return;
    if (rt->cancelled || rt->no_memory)
        done_soon(rt);
    else
        routing_run(rt);
}
