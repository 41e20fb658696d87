/*
 * find.c - see find.h.
 *
 * A finder is what two of `with` that ask the same share. Its rows:
 *
 *   QUEUED (for the next question) -> OUT (in one) -> KNOWN (kept), or gone when it failed
 *
 * The first that is queued opens a gap of GATHER_MS in which others come to it. A question that is
 * out for longer than SLOW_MS makes nobody else wait: its answer is there when they come again.
 */
#include "flow/find.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "flow/lookup.h"
#include "flow/pace.h"

#define GATHER_MS   50
#define CALLS_MOST  2 /* questions of one finder under way */
#define SLOW_MS     1000
#define FIRST_MS    1000
#define LONGEST_MS  60000
#define LATER_MS    3600000 /* at the latest, whatever a remote asks for */
#define ABSENT_MS   30000   /* what is not there is believed for so long, at most */
#define KEPT_ROWS   200000
#define KEPT_BYTES  (32u << 20)
#define ROW_BYTES   200 /* of memory, beside its texts */
#define KEY_BYTES   4096
#define QUESTION_ID (UINT64_C(1) << 63) /* for the pace: no delivery has such a number */

enum row_state { ROW_QUEUED, ROW_OUT, ROW_KNOWN };

struct row {
    UT_hash_handle hh; /* finder.rows, by key */
    struct finder *finder;
    char *key;
    char *json, *error; /* own; both NULL: it is not there */
    enum row_state state;
    uint64_t at_ms;    /* KNOWN: since then */
    size_t bytes;      /* KNOWN: counted */
    struct list wants; /* struct find_key: who waits for it */
    struct list node;  /* finder.queue, or finds.kept */
};

struct find_call {
    struct list node; /* finder.calls */
    struct finder *finder;
    struct adapter *adapter;     /* share */
    const struct config *config; /* share: what the handle is of */
    struct row **rows;
    sl_str *keys; /* of `rows`, for the adapter */
    size_t n;
    uint64_t began_ms;
    uint64_t purges; /* of the finder, when it began */
};

struct finder {
    UT_hash_handle hh; /* finds.all, by id */
    uint8_t id[16];
    struct flow *flow;
    uint64_t serial;
    char *name;                   /* own: of the endpoint */
    const struct config *config;  /* share */
    const struct conf_with *with; /* of it: the newest that asked */
    const struct adapter *asked;  /* whose rows they are; only compared */
    struct row *rows;
    struct list queue;
    size_t queued;
    uint64_t queued_ms; /* since when there is one */
    bool timer;         /* it is looked at again */
    struct list calls;
    size_t n_calls;
    uint64_t purges;
    uint64_t ill_until, ill_ms; /* a question failed: none before; the wait after the next */
    char ill_why[300];
};

struct finds {
    struct finder *all;
    struct list kept; /* struct row: the oldest use first */
    size_t n_kept;
    uint64_t bytes;
    uint64_t serials;
};

static uint64_t now_ms(const struct flow *f)
{
    return uv_now(f->loop);
}

/* ---- rows ---- */

static void row_free(struct row *r)
{
    struct finds *all = r->finder->flow->finds;

    HASH_DEL(r->finder->rows, r);
    if (r->state != ROW_OUT)
        list_remove(&r->node);
    if (r->state == ROW_KNOWN) {
        all->n_kept--;
        all->bytes -= r->bytes;
    }
    r->finder->queued -= r->state == ROW_QUEUED;
    free(r->key);
    free(r->json);
    free(r->error);
    free(r);
}

static void row_keep(struct row *r)
{
    struct finds *all = r->finder->flow->finds;

    r->state = ROW_KNOWN;
    r->at_ms = now_ms(r->finder->flow);
    r->bytes = ROW_BYTES + strlen(r->key) + (r->json ? strlen(r->json) : 0) +
               (r->error ? strlen(r->error) : 0);
    all->n_kept++;
    all->bytes += r->bytes;
    list_append(&all->kept, &r->node);
}

/** What is over the bound goes, but not what is in use in this turn. */
static void keep_bounds(struct finds *all)
{
    while (all->n_kept > KEPT_ROWS || all->bytes > KEPT_BYTES)
        row_free(list_entry(all->kept.next, struct row, node));
}

static struct row *row_find(struct finder *x, sl_str key)
{
    struct row *r;

    HASH_FIND(hh, x->rows, key.ptr, key.len, r);
    return r;
}

static struct row *row_queue(struct finder *x, const char *key)
{
    struct row *r = mem_zero(sizeof(*r));

    r->finder = x;
    r->key = mem_str(key);
    list_init(&r->wants);
    list_append(&x->queue, &r->node);
    HASH_ADD_KEYPTR(hh, x->rows, r->key, strlen(r->key), r);
    if (x->queued++ == 0)
        x->queued_ms = now_ms(x->flow);
    return r;
}

/** Is it still believed? */
static bool is_good(const struct row *r, const struct find_ask *a)
{
    uint64_t for_ms = (uint64_t)a->with->for_ms, age = now_ms(r->finder->flow) - r->at_ms;

    if (r->json)
        return age < for_ms;
    return !a->fresh && age < for_ms && age < ABSENT_MS;
}

static void forget_known(struct finder *x)
{
    struct row *r, *tmp;

    x->purges++;
    HASH_ITER (hh, x->rows, r, tmp)
        if (r->state == ROW_KNOWN)
            row_free(r);
}

/* ---- those who ask ---- */

static void take_row(struct find_key *k, const struct row *r)
{
    k->row = r->json ? mem_str(r->json) : NULL;
    k->error = r->error ? mem_str(r->error) : NULL;
}

void find_drop(struct find_ask *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->keys[i].awaited) {
            list_remove(&a->keys[i].node);
            a->keys[i].awaited = false;
        }
    a->pending = 0;
}

void find_finish(struct find_ask *a)
{
    find_drop(a);
    list_remove(&a->node);
    for (size_t i = 0; i < a->n; i++) {
        free(a->keys[i].key);
        free(a->keys[i].row);
        free(a->keys[i].error);
    }
    free(a->keys);
    free(a->why);
    a->keys = NULL;
    a->why = NULL;
    a->n = 0;
}

/** Those whose question is answered, one way or the other, are told when nothing is under way. */
static void tell(struct list *ready)
{
    while (!list_empty(ready)) {
        struct find_ask *a = list_entry(ready->next, struct find_ask, node);
        list_remove(&a->node);
        a->done(a);
    }
}

static void answer_wants(struct row *r, struct list *ready)
{
    while (!list_empty(&r->wants)) {
        struct find_key *k = list_entry(r->wants.next, struct find_key, node);
        struct find_ask *a = k->ask;
        list_remove(&k->node);
        k->awaited = false;
        take_row(k, r);
        if (--a->pending == 0)
            list_append(ready, &a->node);
    }
}

static void fail_wants(struct row *r, const char *why, bool refused, struct list *ready)
{
    while (!list_empty(&r->wants)) {
        struct find_ask *a = list_entry(r->wants.next, struct find_key, node)->ask;
        find_drop(a);
        a->why = mem_str(why);
        a->refused = refused;
        list_append(ready, &a->node);
    }
}

/* ---- asking ---- */

static void look(struct finder *x);

/** It is not asked for a while, and nobody waits for it. */
static void fall_ill(struct finder *x, int64_t after_ms, sl_str why)
{
    uint64_t now = now_ms(x->flow);
    struct list ready = LIST_INIT(ready);

    if (!x->ill_ms)
        log_warn(&x->flow->log, "%s cannot be asked for rows, what needs them waits: " STR_FMT,
                 x->name, STR_ARG(why));
    x->ill_ms = x->ill_ms ? x->ill_ms * 2 : FIRST_MS;
    if (x->ill_ms > LONGEST_MS)
        x->ill_ms = LONGEST_MS;
    x->ill_until = now + x->ill_ms;
    if (after_ms > (int64_t)x->ill_ms)
        x->ill_until = now + (uint64_t)(after_ms < LATER_MS ? after_ms : LATER_MS);
    snprintf(x->ill_why, sizeof(x->ill_why), STR_FMT, STR_ARG(why));
    while (!list_empty(&x->queue)) {
        struct row *r = list_entry(x->queue.next, struct row, node);
        fail_wants(r, x->ill_why, false, &ready);
        row_free(r);
    }
    tell(&ready);
}

static void call_free(struct find_call *c)
{
    list_remove(&c->node);
    c->finder->n_calls--;
    adapter_unref(c->adapter);
    config_unref(c->config);
    free(c->rows);
    free(c->keys);
    free(c);
}

/** All that is known now; what has no row of its own is not there. */
static void call_found(struct find_call *c, const sl_found *a, struct list *ready)
{
    struct finder *x = c->finder;

    for (size_t i = 0; i < a->n_rows; i++) {
        const sl_found_row *told = &a->rows[i];
        struct row *r = row_find(x, told->key);
        if (!r || r->state != ROW_OUT || r->json || r->error)
            continue;
        if (told->error.len)
            r->error = mem_dup(told->error);
        else if (told->row.len)
            r->json = mem_dup(told->row);
    }
    for (size_t i = 0; i < c->n; i++) {
        answer_wants(c->rows[i], ready);
        if (c->purges == x->purges)
            row_keep(c->rows[i]);
        else
            row_free(c->rows[i]);
    }
    if (x->ill_ms)
        log_info(&x->flow->log, "%s is asked for rows again", x->name);
    x->ill_ms = x->ill_until = 0;
}

static void call_failed(struct find_call *c, const sl_found *a, struct list *ready)
{
    bool refused = a->verdict == SL_FIND_REFUSED;
    char *why = mem_dup(a->why.len ? a->why : STR("no reason given"));

    for (size_t i = 0; i < c->n; i++) {
        fail_wants(c->rows[i], why, refused, ready);
        row_free(c->rows[i]);
    }
    free(why);
}

static void on_answer(void *ctx, const sl_found *a)
{
    struct find_call *c = ctx;
    struct finder *x = c->finder;
    struct list ready = LIST_INIT(ready);
    struct lane *l = flow_lane(x->flow, str_of(x->name));
    bool again = a->verdict != SL_FIND_DONE && a->verdict != SL_FIND_REFUSED;

    if (x->flow->draining) { /* what waits is routed at the next start */
        call_free(c);
        return;
    }
    if (a->verdict == SL_FIND_DONE)
        call_found(c, a, &ready);
    else
        call_failed(c, a, &ready);
    call_free(c);
    if (l)
        pace_unused(l);
    if (again)
        fall_ill(x, a->after_ms, a->why.len ? a->why : STR("no reason given"));
    tell(&ready);
    keep_bounds(x->flow->finds);
    look(x);
}

static void ask(struct finder *x, struct lane *l)
{
    const sl_find *find = x->with->endpoint->plugin->find;
    struct find_call *c = mem_zero(sizeof(*c));
    struct adapter *a = adapter_ref(l->adapter);
    uint64_t began;

    *c = (struct find_call){ .finder = x,
                             .adapter = adapter_ref(a),
                             .config = config_ref(x->config),
                             .began_ms = now_ms(x->flow),
                             .purges = x->purges };
    c->rows = mem_array(find->keys, sizeof(*c->rows));
    c->keys = mem_array(find->keys, sizeof(*c->keys));
    while (c->n < find->keys && !list_empty(&x->queue)) {
        struct row *r = list_entry(x->queue.next, struct row, node);
        list_remove(&r->node);
        x->queued--;
        r->state = ROW_OUT;
        c->keys[c->n] = str_of(r->key);
        c->rows[c->n++] = r;
    }
    x->queued_ms = c->began_ms;
    list_append(&x->calls, &c->node);
    x->n_calls++;
    x->flow->stats.find_calls++;
    x->flow->stats.find_keys += c->n;
    began = clock_mono_us();
    find->ask(a->self, x->with->handle, c->keys, c->n, on_answer, c); /* c may be gone after it */
    adapter_measure(a, began, "find");
    adapter_unref(a);
}

/** Why nobody may be asked; NULL: the lane is open. */
static const char *closed(struct finder *x, struct lane *l, char text[300])
{
    if (!l || !l->adapter)
        snprintf(text, 300, "endpoint %s is no longer in the configuration", x->name);
    else if (l->pause)
        snprintf(text, 300, "%s is paused", x->name);
    else if (l->parked && !lookup_may_ask(l))
        snprintf(text, 300, "%s is parked: %s", x->name, l->park_why);
    else if (!lookup_may_ask(l))
        snprintf(text, 300, "the breaker of %s is open", x->name);
    else
        return NULL;
    return text;
}

static void on_later(void *ctx, bool closing)
{
    struct finder *x = ctx;

    x->timer = false;
    if (!closing)
        look(x);
}

static void later(struct finder *x, uint64_t ms)
{
    if (x->timer)
        return;
    x->timer = true;
    flow_later(x->flow, ms, on_later, x);
}

/** What is queued goes, if the lane lets it. */
static void look(struct finder *x)
{
    uint64_t now = now_ms(x->flow), wait;
    struct lane *l = flow_lane(x->flow, str_of(x->name));
    char text[300];

    if (x->timer || x->flow->draining || x->flow->closing)
        return;
    while (x->queued && x->n_calls < CALLS_MOST) {
        bool full = x->queued >= x->with->endpoint->plugin->find->keys;
        if (!full && now < x->queued_ms + GATHER_MS) {
            later(x, x->queued_ms + GATHER_MS - now);
            return;
        }
        if (closed(x, l, text)) {
            fall_ill(x, 0, str_of(text));
            return;
        }
        if ((wait = pace_question(l, QUESTION_ID | x->serial, now))) {
            later(x, wait < SLOW_MS ? wait : SLOW_MS);
            return;
        }
        ask(x, l);
    }
}

/* ---- finders ---- */

static struct finder *finder_of(struct flow *f, const struct conf_with *w)
{
    struct finder *x = NULL;

    if (f->finds)
        HASH_FIND(hh, f->finds->all, w->id, sizeof(w->id), x);
    return x;
}

static struct finder *finder_get(struct flow *f, const struct find_ask *a)
{
    struct finder *x = finder_of(f, a->with);
    struct lane *l = flow_lane(f, str_of(a->with->endpoint->name));

    if (!f->finds) {
        f->finds = mem_zero(sizeof(*f->finds));
        list_init(&f->finds->kept);
    }
    if (!x) {
        x = mem_zero(sizeof(*x));
        memcpy(x->id, a->with->id, sizeof(x->id));
        x->flow = f;
        x->serial = ++f->finds->serials;
        x->name = mem_str(a->with->endpoint->name);
        list_init(&x->queue);
        list_init(&x->calls);
        HASH_ADD(hh, f->finds->all, id, sizeof(x->id), x);
    }
    if (x->with != a->with) {
        config_unref(x->config);
        x->config = config_ref(a->config);
        x->with = a->with;
    }
    if (l && x->asked != l->adapter) { /* a reload gave the endpoint other settings */
        forget_known(x);
        x->asked = l->adapter;
    }
    return x;
}

static bool is_slow(const struct finder *x)
{
    const struct find_call *first = list_empty(&x->calls)
                                        ? NULL
                                        : list_entry(x->calls.next, struct find_call, node);
    uint64_t now = now_ms(x->flow);

    return (first && now >= first->began_ms + SLOW_MS) ||
           (x->queued && now >= x->queued_ms + SLOW_MS);
}

static void say_slow(const struct finder *x, struct buf *b)
{
    buf_printf(b, "%s has not answered yet", x->name);
}

bool find_ready(struct flow *f, const struct conf_with *w, char **ret_why, int64_t *ret_ms)
{
    struct finder *x = finder_of(f, w);
    uint64_t now = now_ms(f);
    struct buf why = { 0 };

    *ret_ms = FIRST_MS;
    if (!x)
        return true;
    if (now < x->ill_until) {
        buf_cstr(&why, x->ill_why);
        *ret_ms = (int64_t)(x->ill_until - now);
    } else if (is_slow(x)) {
        say_slow(x, &why);
    } else {
        return true;
    }
    *ret_why = buf_steal(&why, NULL);
    return false;
}

/* ---- asked ---- */

int find_keys(struct find_ask *a, sl_str json)
{
    json_t *list = json_loadb(json.ptr, json.len, 0, NULL), *one;
    size_t i;

    if (!json_is_array(list)) {
        json_decref(list);
        return UV_EINVAL;
    }
    a->keys = mem_array(json_array_size(list) + 1, sizeof(*a->keys));
    json_array_foreach(list, i, one)
    {
        const char *key = json_string_value(one);
        if (!key || !key[0] || json_string_length(one) > KEY_BYTES)
            continue; /* no row can have it */
        a->keys[a->n++] = (struct find_key){ .ask = a, .key = mem_str(key) };
    }
    json_decref(list);
    return 0;
}

/** What is kept is taken; how many are not. */
static size_t take_known(struct finder *x, struct find_ask *a)
{
    size_t lacking = 0;

    for (size_t i = 0; i < a->n; i++) {
        struct find_key *k = &a->keys[i];
        struct row *r = row_find(x, str_of(k->key));
        if (r && r->state == ROW_KNOWN && is_good(r, a)) {
            take_row(k, r);
            list_remove(&r->node);
            list_append(&x->flow->finds->kept, &r->node);
        } else {
            k->awaited = true;
            lacking++;
        }
    }
    return lacking;
}

/** Those that lack are queued; `waits`: and awaited. */
static void want(struct finder *x, struct find_ask *a, bool waits)
{
    for (size_t i = 0; i < a->n; i++) {
        struct find_key *k = &a->keys[i];
        struct row *r = k->awaited ? row_find(x, str_of(k->key)) : NULL;
        if (!k->awaited)
            continue;
        if (r && r->state == ROW_KNOWN) { /* not believed any more */
            row_free(r);
            r = NULL;
        }
        r = r ? r : row_queue(x, k->key);
        k->awaited = waits;
        if (!waits)
            continue;
        list_append(&r->wants, &k->node);
        a->pending++;
    }
}

static void forget_awaited(struct find_ask *a)
{
    for (size_t i = 0; i < a->n; i++)
        a->keys[i].awaited = false;
}

bool find_begin(struct flow *f, struct find_ask *a)
{
    struct finder *x = finder_get(f, a);
    struct buf why = { 0 };
    size_t lacking;
    bool slow;

    list_init(&a->node);
    lacking = take_known(x, a);
    f->stats.find_hits += a->n - lacking;
    if (!lacking)
        return false;
    if (now_ms(f) < x->ill_until) {
        forget_awaited(a);
        a->why = mem_str(x->ill_why);
        return false;
    }
    slow = is_slow(x);
    want(x, a, !slow);
    if (slow) {
        say_slow(x, &why);
        a->why = buf_steal(&why, NULL);
    }
    later(x, x->queued >= x->with->endpoint->plugin->find->keys ? 0 : GATHER_MS);
    return !slow;
}

void find_purge(struct flow *f, sl_str topic)
{
    struct finder *x, *tmp;

    if (!f->finds)
        return;
    HASH_ITER (hh, f->finds->all, x, tmp)
        if (conf_topic_matches(x->with->purge_on, x->with->n_purge_on, topic))
            forget_known(x);
}

void find_forget(struct flow *f)
{
    struct finder *x, *tmp;

    if (!f->finds)
        return;
    HASH_ITER (hh, f->finds->all, x, tmp)
        forget_known(x);
}

void finds_close(struct flow *f)
{
    struct finder *x, *next;
    struct row *r, *tmp;

    if (!f->finds)
        return;
    HASH_ITER (hh, f->finds->all, x, next) {
        while (!list_empty(&x->calls))
            call_free(list_entry(x->calls.next, struct find_call, node));
        HASH_ITER (hh, x->rows, r, tmp)
            row_free(r);
        HASH_DEL(f->finds->all, x);
        config_unref(x->config);
        free(x->name);
        free(x);
    }
    free(f->finds);
    f->finds = NULL;
}
