/*
 * privacy_erase.c - one erasure carried out: what is concerned is found part by part, stopped,
 * erased; until a whole round finds nothing.
 *
 * It keeps nothing over a restart: what is erased is not found again, so the next process begins
 * where this one ended.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/find.h"
#include "flow/privacy.h"

#define ROUND_LEAST_MS 5000   /* until what is under way is looked at again ... */
#define ROUND_MOST_MS  600000 /* ... doubling up to this */
#define FAILED_MS      60000
#define ERASE_MOST     64 /* events of one record */

struct erasing {
    struct privacy *privacy;
    uint64_t id; /* the request's */
    struct sought sought;
    bool own; /* the event that asked is dealt with: the last one */
    uint64_t after, until, next;
    uint64_t found, under_way; /* events, in this round */
    uint64_t *events;          /* to be erased now: own */
    size_t n_events, erased;
    char who[32];
};

static void find_next(struct erasing *e);
static void wipe(struct erasing *e);

static struct privacy_request *request_of(const struct erasing *e)
{
    return e->privacy ? privacy_find(e->privacy->flow, e->id) : NULL;
}

static void erasing_free(struct erasing *e)
{
    sought_finish(&e->sought);
    free(e->events);
    free(e);
}

/* Until its next look. */
static void rest(struct erasing *e, uint64_t ms)
{
    struct privacy_request *r = request_of(e);

    if (r)
        r->next_ms = clock_wall_ms() + (int64_t)ms;
    if (e->privacy)
        e->privacy->erasing = NULL;
    erasing_free(e);
}

static void fail(struct erasing *e, int status, const char *what)
{
    struct privacy_request *r = request_of(e);
    struct buf text = { 0 };

    if (r && status != UV_ECANCELED) {
        buf_printf(&text, "%s: %s", what, uv_strerror(status));
        free(r->error);
        r->error = buf_steal(&text, NULL);
        log_error(&e->privacy->log, "event=%" PRIu64 " asks to erase: %s", r->id, r->error);
    }
    rest(e, FAILED_MS);
}

void erase_drop(struct privacy *p)
{
    if (p->erasing) /* whoever is asked has been told, or is gone: nothing calls back */
        erasing_free(p->erasing);
    p->erasing = NULL;
}

/* ---- memory ---- */

static void forget(struct erasing *e)
{
    struct flow *f = e->privacy->flow;
    sl_ask said = ask_said(e->sought.ask);

    for (size_t i = 0; i < f->n_lanes; i++) {
        struct adapter *a = f->lanes[i]->adapter;
        uint64_t began = clock_mono_us();

        if (!a || !a->open || !SL_HAS(sl_plugin, a->plugin, forget))
            continue;
        a->plugin->forget(a->self, &said);
        adapter_measure(a, began, "forget");
    }
    find_forget(f);
}

/* ---- the end ---- */

static void on_done(struct flow *f, struct commit *c, int status)
{
    struct erasing *e = c->ctx;
    struct privacy_request *r = request_of(e);

    if (status < 0) {
        fail(e, status, "it cannot be written that it is done");
        return;
    }
    if (r) {
        r->state = PRIVACY_DONE;
        r->last = c->records[0].seq;
        r->log_due_ms = r->asked_ms + f->config->erase_within_ms;
        r->under_way = 0;
        r->next_ms = 0;
        f->privacy->done++;
        log_info(&f->privacy->log, "erased: event=%" PRIu64, r->id);
    }
    rest(e, 0);
}

static void on_wiped(void *ctx, int status, bool again)
{
    struct erasing *e = ctx;
    struct privacy_request *r = request_of(e);

    if (status < 0 || !r) {
        fail(e, status, "the index's free pages cannot be written over");
        return;
    }
    if (again) {
        wipe(e);
        return;
    }
    privacy_write(
        e->privacy->flow,
        &(struct rec_privacy){ .event = e->id,
                               .what = PRIVACY_DONE,
                               .at_ms = clock_wall_ms(),
                               .due_ms = r->asked_ms + e->privacy->flow->config->erase_within_ms,
                               .who = str_of(e->who) },
        on_done, e);
}

static void wipe(struct erasing *e)
{
    int r = store_wipe(e->privacy->flow->store, on_wiped, e);

    if (r < 0)
        fail(e, r, "the index's free pages cannot be written over");
}

/* ---- a part of what was found ---- */

static void erase_some(struct erasing *e);

static void on_erased(struct flow *f, struct commit *c, int status)
{
    struct erasing *e = c->ctx;

    if (status < 0) {
        fail(e, status, "it cannot be written what is erased");
        return;
    }
    (void)f;
    erase_some(e);
}

static void round_ends(struct erasing *e)
{
    struct privacy_request *r = request_of(e);

    if (r)
        r->under_way = e->under_way;
    if (r && e->under_way) {
        r->wait_ms = r->wait_ms ? 2 * r->wait_ms : ROUND_LEAST_MS;
        r->wait_ms = r->wait_ms < ROUND_MOST_MS ? r->wait_ms : ROUND_MOST_MS;
        rest(e, r->wait_ms);
    } else if (e->own || !r) {
        forget(e);
        wipe(e);
    } else {
        /* what was erased may have caused what came since: only a round with nothing is the last */
        e->own = e->found == 0;
        e->found = 0;
        e->after = 0;
        e->until = 0;
        find_next(e);
    }
}

static void erase_some(struct erasing *e)
{
    size_t n = e->n_events - e->erased < ERASE_MOST ? e->n_events - e->erased : ERASE_MOST;

    if (n) {
        e->erased += n;
        e->privacy->erased += n;
        privacy_write(e->privacy->flow,
                      &(struct rec_privacy){ .event = e->id,
                                             .what = PRIVACY_ERASED,
                                             .at_ms = clock_wall_ms(),
                                             .events = e->events + e->erased - n,
                                             .n_events = n },
                      on_erased, e);
        return;
    }
    e->after = e->next;
    if (e->next)
        find_next(e);
    else
        round_ends(e);
}

/* What could not be stopped keeps its event. */
static void on_stopped(void *ctx, const struct decided *results, size_t n)
{
    struct erasing *e = ctx;
    size_t kept = 0;

    for (size_t i = 0; i < e->n_events; i++) {
        bool stays = false;

        for (size_t k = 0; k < n && !stays; k++)
            stays = results[k].status < 0 && results[k].status != UV_ENOENT &&
                    delivery_event(results[k].num) == e->events[i];
        e->under_way += stays;
        if (!stays)
            e->events[kept++] = e->events[i];
    }
    e->n_events = kept;
    erase_some(e);
}

static bool is_to_go(const struct erasing *e, uint64_t event)
{
    for (size_t i = 0; i < e->n_events; i++)
        if (e->events[i] == event)
            return true;
    return false;
}

static void stop(struct erasing *e, const uint64_t *stopped, size_t n)
{
    uint64_t *nums = mem_array(n + 1, sizeof(*nums));
    struct decide d = { .what = DECISION_DISCARD,
                        .who = str_of(e->who),
                        .why = STR("erased, as a person has asked"),
                        .nums = nums };
    int r = 0;

    for (size_t i = 0; i < n; i++)
        if (is_to_go(e, delivery_event(stopped[i])))
            nums[d.n++] = stopped[i];
    if (d.n)
        r = flow_decide(e->privacy->flow, &d, on_stopped, e);
    free(nums);
    if (r < 0)
        fail(e, r, "what is held or dead of it cannot be discarded");
    else if (!d.n)
        erase_some(e);
}

static void on_found(void *ctx, int status, const struct store_found *found, size_t n,
                     const uint64_t *stopped, size_t n_stopped, uint64_t next)
{
    struct erasing *e = ctx;

    if (status < 0) {
        fail(e, status, "what is concerned cannot be looked for");
        return;
    }
    free(e->events);
    e->events = mem_array(n + 1, sizeof(*e->events));
    e->n_events = e->erased = 0;
    e->next = next;
    e->found += n;
    for (size_t i = 0; i < n; i++)
        if (found[i].under_way)
            e->under_way++;
        else
            e->events[e->n_events++] = found[i].event;
    stop(e, stopped, n_stopped);
}

static void find_next(struct erasing *e)
{
    struct store_private what = sought_query(&e->sought);
    struct store_stats stats;
    int r;

    if (!e->until) {
        store_stats(e->privacy->flow->store, &stats);
        e->until = stats.log_seq;
    }
    what.asks = e->id;
    what.after = e->after;
    what.until = e->until;
    if (e->own) { /* it alone, as one of its endpoint's */
        what.asks = 0;
        what.all = true;
        what.after = e->id - 1;
        what.until = e->id;
    }
    r = store_private_find(e->privacy->flow->store, &what, on_found, e);
    if (r < 0)
        fail(e, r, "what is concerned cannot be looked for");
}

/* ---- the beginning ---- */

static void on_event(void *ctx, int status, const struct store_event *ev)
{
    struct erasing *e = ctx;
    struct privacy_request *req;
    int r = status;

    if (r == UV_ENOENT) { /* it was the last one to be erased: what is left is the end */
        wipe(e);
        return;
    }
    if (r == 0)
        r = sought_read(e->privacy->flow, ev, SL_ASK_ERASE, &e->sought);
    if (r < 0) {
        fail(e, r,
             r == UV_ENOENT ? "its endpoint's adapter says no more what it asks for; is the "
                              "endpoint configured?"
                            : "the event that asks cannot be read");
        return;
    }
    if ((req = request_of(e))) {
        free(req->error);
        req->error = NULL;
    }
    forget(e);
    find_next(e);
}

void erase_begin(struct privacy *p, struct privacy_request *req)
{
    struct erasing *e = mem_zero(sizeof(*e));
    int r;

    e->privacy = p;
    e->id = req->id;
    snprintf(e->who, sizeof(e->who), "event %" PRIu64, e->id);
    p->erasing = e;
    r = store_event_get(p->flow->store, e->id, on_event, e);
    if (r < 0)
        fail(e, r, "the event that asks cannot be read");
}
