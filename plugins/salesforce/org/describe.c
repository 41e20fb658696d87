/*
 * describe.c - asking, waiting, keeping.
 */
#include "describe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BODY  (UINT64_C(32) << 20)
#define ANSWER_MS 10000
#define FAILED_MS 300000 /* nobody waits again for so long */
#define DOUBT_MS  15000  /* as often may it be asked anew for a refusal's sake */

struct waiter {
    struct waiter *next;
    described_cb cb;
    void *ctx;
};

enum described_state { NOT_ASKED, ASKING, READING };

struct described {
    struct described *next;
    struct salesforce *sf;
    char *object;
    enum described_state state;
    bool known, doubted;
    bool tried;        /* at least once; asked_ms counts */
    uint64_t asked_ms; /* monotonic */
    struct description d;
    struct answer refusal; /* of the last time, unless `known` is newer */
    struct call call;
    struct reading reading;
    uint64_t timer;
    struct waiter *waiters;
};

/* ---- life ---------------------------------------------------------------------------------- */

static struct described *find(struct salesforce *sf, const char *object)
{
    for (struct described *e = sf->described; e; e = e->next)
        if (str_is_nocase(str_of(object), e->object))
            return e;
    return NULL;
}

static struct described *find_or_make(struct salesforce *sf, const char *object)
{
    struct described *e = find(sf, object);

    if (e)
        return e;
    e = calloc(1, sizeof(*e));
    if (!e || !(e->object = strdup(object))) {
        free(e);
        return NULL;
    }
    e->sf = sf;
    e->next = sf->described;
    sf->described = e;
    return e;
}

static void waiting_close(struct salesforce *sf);

void describe_close(struct salesforce *sf)
{
    while (sf->described) {
        struct described *e = sf->described;

        sf->described = e->next;
        if (e->timer)
            sf->host->timer_cancel(sf->host->ctx, e->timer);
        while (e->waiters) {
            struct waiter *w = e->waiters;

            e->waiters = w->next;
            free(w);
        }
        reading_finish(&e->reading);
        description_finish(&e->d);
        free(e->object);
        free(e);
    }
    waiting_close(sf);
}

/* ---- asking -------------------------------------------------------------------------------- */

static uint64_t now_ms(const struct salesforce *sf)
{
    return sf->host->mono_ms(sf->host->ctx);
}

/* All who wait hear of it; each may ask again. */
static void tell(struct described *e, bool ok)
{
    struct waiter *w = e->waiters;

    e->state = NOT_ASKED;
    e->waiters = NULL;
    while (w) {
        struct waiter *next = w->next;

        w->cb(w->ctx, ok ? &e->d : NULL, ok ? NULL : &e->refusal);
        free(w);
        w = next;
    }
}

static void failed(struct described *e, const struct answer *a, const char *why)
{
    e->refusal = *a;
    e->refusal.body = (sl_str){ 0 };
    say(e->refusal.why, sizeof(e->refusal.why), "%s", why);
    if (a->verdict != ANSWER_CANCELLED)
        sf_log(e->sf, SL_LOG_INFO,
               "%s cannot be described, so its records are not checked before they leave: %s",
               e->object, e->refusal.why);
    tell(e, false);
}

static void on_reading(void *ctx)
{
    struct described *e = ctx;
    struct description fresh = { 0 };
    int r = reading_turn(&e->reading, &fresh);

    e->timer = 0;
    if (r > 0) {
        e->timer = e->sf->host->timer(e->sf->host->ctx, 0, on_reading, e);
        return; /* 0: the host is closing, and nobody is told any more */
    }
    reading_finish(&e->reading);
    if (r < 0) {
        failed(e, &(struct answer){ .verdict = ANSWER_BUSY },
               r == SL_E_NO_MEMORY ? "out of memory" : "the answer is no description of an object");
        return;
    }
    description_finish(&e->d);
    e->d = fresh;
    e->known = true;
    e->doubted = false;
    tell(e, true);
}

static void on_described(void *ctx, const struct answer *a)
{
    struct described *e = ctx;

    if (a->verdict == ANSWER_OK && reading_open(&e->reading, a->body) == SL_OK) {
        e->state = READING;
        e->timer = e->sf->host->timer(e->sf->host->ctx, 0, on_reading, e);
    } else if (a->verdict == ANSWER_NOT_FOUND) {
        char why[300];

        say(why, sizeof(why), "there is no object %s, or the integration user has no access to it",
            e->object);
        failed(e, a, why);
    } else {
        failed(e, a, a->verdict == ANSWER_OK ? "out of memory" : a->why);
    }
}

static void ask(struct described *e)
{
    sl_str version = e->sf->api_version;

    e->state = ASKING;
    e->tried = true;
    e->asked_ms = now_ms(e->sf);
    e->call = (struct call){ .sf = e->sf,
                             .method = str_of("GET"),
                             .accept = "application/json",
                             .total_ms = ANSWER_MS,
                             .max_answer = MAX_BODY,
                             .cb = on_described,
                             .ctx = e };
    snprintf(e->call.path, sizeof(e->call.path), "/services/data/v%.*s/sobjects/%s/describe",
             (int)version.len, version.ptr, e->object);
    call_start(&e->call);
}

/* Is what is known, or that nothing is, good enough for now? */
static bool is_current(const struct described *e, bool fresh)
{
    uint64_t age = now_ms(e->sf) - e->asked_ms;

    if (!e->tried || fresh)
        return false;
    if (!e->known)
        return age < FAILED_MS;
    return age < (e->doubted ? DOUBT_MS : (uint64_t)e->sf->describe_every_ms);
}

void describe_get(struct salesforce *sf, const char *object, bool fresh, described_cb cb, void *ctx)
{
    static const struct answer no_memory = { .verdict = ANSWER_NOT_SENT, .why = "out of memory" };
    struct described *e = find_or_make(sf, object);
    struct waiter *w;

    if (!e) {
        cb(ctx, NULL, &no_memory);
        return;
    }
    if (e->state == NOT_ASKED && is_current(e, fresh)) {
        cb(ctx, e->known ? &e->d : NULL, e->known ? NULL : &e->refusal);
        return;
    }
    w = calloc(1, sizeof(*w));
    if (!w) {
        cb(ctx, NULL, &no_memory);
        return;
    }
    *w = (struct waiter){ e->waiters, cb, ctx };
    e->waiters = w;
    if (e->state == NOT_ASKED)
        ask(e);
}

const struct description *describe_known(struct salesforce *sf, const char *object)
{
    struct described *e = find(sf, object);

    return e && e->known ? &e->d : NULL;
}

void describe_doubt(struct salesforce *sf, const char *object)
{
    struct described *e = find(sf, object);

    if (e)
        e->doubted = true;
}

sl_status describe_check(struct salesforce *sf, const struct action *a, const struct row *row,
                         char *why, size_t why_size)
{
    const struct description *d = describe_known(sf, a->object);
    sl_status r = d ? description_check(d, a, row, why, why_size) : SL_OK;

    if (r < 0)
        describe_doubt(sf, a->object);
    return r;
}

/* ---- deliveries that wait ------------------------------------------------------------------ */

struct waiting {
    struct waiting *prev, *next;
    struct salesforce *sf;
    void *handle;
    const sl_batch *batch;
    const sl_done *done;
};

static void waiting_free(struct waiting *w)
{
    if (w->prev)
        w->prev->next = w->next;
    else
        w->sf->waiting = w->next;
    if (w->next)
        w->next->prev = w->prev;
    free(w);
}

static void waiting_close(struct salesforce *sf)
{
    while (sf->waiting)
        waiting_free(sf->waiting);
}

static void go_on(struct waiting *w)
{
    struct waiting was = *w;

    waiting_free(w);
    was.sf->transport(was.sf, was.handle, was.batch, was.done);
}

static void on_described_first(void *ctx, const struct description *d, const struct answer *refusal)
{
    struct waiting *w = ctx;

    (void)d;
    if (refusal && refusal->verdict == ANSWER_CANCELLED)
        waiting_free(w); /* the host closes: the batch is the next process's */
    else
        go_on(w);
}

void describe_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done)
{
    struct salesforce *sf = self;
    const struct action *a = handle;
    struct waiting *w = NULL;

    if (sf->describe_every_ms > 0 && a->op != OP_DELETE)
        w = calloc(1, sizeof(*w));
    if (!w) {
        sf->transport(sf, handle, batch, done);
        return;
    }
    *w = (struct waiting){
        .next = sf->waiting, .sf = sf, .handle = handle, .batch = batch, .done = done
    };
    if (w->next)
        w->next->prev = w;
    sf->waiting = w;
    describe_get(sf, a->object, false, on_described_first, w);
}
