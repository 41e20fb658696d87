#include "flow/privacy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "flow/pause.h"

#define LOOK_MS  1000
#define AGAIN_MS 1000
#define TURN_MS  5000 /* between two records that make the log begin another segment */
#define PAGE     1000
#define DAY      (INT64_C(24) * 3600 * 1000)
#define NEAR_MS  (7 * DAY) /* before it is due somebody is told */

/* ---- the list ---- */

struct privacy_request *privacy_find(const struct flow *f, uint64_t id)
{
    list_each (n, &f->privacy->requests) {
        struct privacy_request *r = list_entry(n, struct privacy_request, node);
        if (r->id == id)
            return r;
    }
    return NULL;
}

static void request_free(struct privacy_request *r)
{
    list_remove(&r->node);
    free(r->endpoint);
    free(r->error);
    free(r);
}

static struct privacy_request *request_add(struct privacy *p, uint64_t id, sl_str endpoint)
{
    struct privacy_request *r = mem_zero(sizeof(*r));

    r->id = id;
    r->endpoint = mem_dup(endpoint);
    list_append(&p->requests, &r->node);
    return r;
}

void privacy_write(struct flow *f, const struct rec_privacy *rec,
                   void (*cb)(struct flow *f, struct commit *c, int status), void *ctx)
{
    struct commit *c = commit_new(f, cb, ctx);

    rec_privacy_encode(&commit_record(c, REC_PRIVACY)->payload, rec);
    commit_go(c);
}

/* ---- asked ---- */

static void record_request(struct commit *c, const struct event *e, const struct ask *a)
{
    struct buf asked = { 0 };
    struct store_record *rec = commit_record(c, REC_PRIVACY);
    int64_t now = clock_wall_ms();

    ask_json(&asked, a);
    rec->follows = true; /* one that came before under another id has asked already */
    rec_privacy_encode(&rec->payload,
                       &(struct rec_privacy){
                           .event = e->id,
                           .what = PRIVACY_ASKED,
                           .at_ms = now,
                           .kind = a->kind == SL_ASK_ERASE ? PRIVACY_ERASE : PRIVACY_HAND_OUT,
                           .due_ms = now + PRIVACY_DUE_MS,
                           .endpoint = e->endpoint,
                           .topic = e->topic,
                           .asked = buf_view(&asked),
                       });
    rec->payload.failed |= asked.failed;
    buf_finish(&asked);
}

/* One request of an event: what it asks twice is the same. */
static const struct ask *request_of(const struct routing *rt)
{
    for (size_t i = 0; i < rt->n_asks; i++)
        if (rt->asks[i].kind != SL_ASK_STOP)
            return &rt->asks[i];
    return NULL;
}

static const struct ask *stop_of(const struct routing *rt)
{
    for (size_t i = 0; i < rt->n_asks; i++)
        if (rt->asks[i].kind == SL_ASK_STOP)
            return &rt->asks[i];
    return NULL;
}

void privacy_record(struct routing *rt, struct commit *c)
{
    const struct ask *a;

    if (rt->remap || rt->waits || rt->event->again)
        return;
    if ((a = request_of(rt)))
        record_request(c, rt->event, a);
    if ((a = stop_of(rt)))
        pause_record(rt->flow, rt->event->endpoint, rt->event->id, str_of(a->why), c);
}

/* With the first one that is at work: whoever set store.keep counts on it for all others. */
static void tell_of_keep(const struct flow *f)
{
    const struct config *conf = f->config;
    char keep[24], within[24];

    list_each (n, &f->privacy->requests)
        if (list_entry(n, struct privacy_request, node)->kind == PRIVACY_ERASE)
            return;
    if (conf->keep_ms <= conf->erase_within_ms)
        return;
    units_format_duration(conf->keep_ms, keep);
    units_format_duration(conf->erase_within_ms, within);
    log_warn(&f->privacy->log,
             "somebody is to be erased: the log keeps what came before a request for "
             "store.erase_within (%s) alone, whoever's it is, and not for store.keep (%s); what is "
             "open or dead stays",
             within, keep);
}

void privacy_recorded(struct routing *rt)
{
    struct flow *f = rt->flow;
    const struct ask *a;

    if (rt->remap || rt->waits || rt->event->again)
        return;
    if ((a = request_of(rt)) && !privacy_find(f, rt->event->id)) {
        struct privacy_request *r;

        if (a->kind == SL_ASK_ERASE)
            tell_of_keep(f);
        r = request_add(f->privacy, rt->event->id, rt->event->endpoint);
        r->kind = a->kind == SL_ASK_ERASE ? PRIVACY_ERASE : PRIVACY_HAND_OUT;
        r->asked_ms = clock_wall_ms();
        r->due_ms = r->asked_ms + PRIVACY_DUE_MS;
        log_info(&f->privacy->log, "asked to %s: event=%" PRIu64 " endpoint=%s",
                 r->kind == PRIVACY_ERASE ? "erase" : "hand out", r->id, r->endpoint);
    }
    if ((a = stop_of(rt)))
        pause_told(f, rt->event->endpoint, rt->event->id, str_of(a->why));
}

/* ---- in time ---- */

static void on_ended(struct flow *f, struct commit *c, int status)
{
    uint64_t *id = c->ctx;
    struct privacy_request *r = privacy_find(f, *id);

    free(id);
    if (!r)
        return;
    r->writing = false;
    if (status == 0) {
        log_info(&f->privacy->log, "the log has nothing of it any more: event=%" PRIu64, r->id);
        request_free(r);
    }
}

static void on_turned(struct flow *f, struct commit *c, int status)
{
    uint64_t *id = c->ctx;
    struct privacy_request *r = privacy_find(f, *id);

    (void)status;
    if (r)
        r->writing = false;
    free(id);
}

static void write_about(struct flow *f, struct privacy_request *r, enum privacy_what what,
                        int64_t now, void (*cb)(struct flow *f, struct commit *c, int status))
{
    uint64_t *id = mem_zero(sizeof(*id));

    *id = r->id;
    r->writing = true;
    privacy_write(f, &(struct rec_privacy){ .event = r->id, .what = (uint8_t)what, .at_ms = now },
                  cb, id);
}

/* A log that nothing is written to would keep its newest segment: a record is written for that. */
static void look_at_log(struct flow *f, struct privacy_request *r, int64_t now)
{
    struct store_stats s;

    store_stats(f->store, &s);
    if (s.first_seq > r->last) {
        write_about(f, r, PRIVACY_ENDED, now, on_ended);
    } else if (now >= r->log_due_ms && now >= r->next_ms) {
        r->next_ms = now + TURN_MS;
        write_about(f, r, PRIVACY_TURN, now, on_turned);
    }
}

static void look(struct privacy *p)
{
    int64_t now = clock_wall_ms();

    list_each_safe (n, tmp, &p->requests) {
        struct privacy_request *r = list_entry(n, struct privacy_request, node);
        if (r->writing || r->kind != PRIVACY_ERASE)
            continue;
        if (r->state == PRIVACY_DONE)
            look_at_log(p->flow, r, now);
        else if (!p->erasing && now >= r->next_ms)
            erase_begin(p, r);
    }
}

static void on_look(void *ctx, bool closing)
{
    struct privacy *p = ctx;

    if (closing)
        return;
    if (p->read && p->flow->recovered && !p->flow->draining)
        look(p);
    flow_later(p->flow, LOOK_MS, on_look, p);
}

/* ---- over a restart ---- */

struct reading {
    struct privacy *privacy;
    uint64_t after;
};

static void read_page(struct reading *rd);

static void on_again(void *ctx, bool closing)
{
    if (closing)
        free(ctx);
    else
        read_page(ctx);
}

static void take(struct privacy *p, const struct store_privacy *s)
{
    struct privacy_request *r = privacy_find(p->flow, s->event);

    if (!r)
        r = request_add(p, s->event, s->endpoint);
    r->kind = s->kind;
    r->state = s->state;
    r->asked_ms = s->asked_ms;
    r->due_ms = s->due_ms;
    r->log_due_ms = s->log_due_ms;
    r->last = s->last;
}

static void on_page(void *ctx, int status, const struct store_privacy *s, size_t n)
{
    struct reading *rd = ctx;
    struct privacy *p = rd->privacy;

    if (status == UV_ECANCELED) {
        free(rd);
        return;
    }
    if (status < 0) {
        log_error(&p->log, "cannot read what was asked about persons, asking again: err=%s",
                  uv_strerror(status));
        flow_later(p->flow, AGAIN_MS, on_again, rd);
        return;
    }
    for (size_t i = 0; i < n; i++)
        take(p, &s[i]);
    if (n == PAGE) {
        rd->after = s[n - 1].event;
        read_page(rd);
        return;
    }
    p->read = true;
    free(rd);
}

static void read_page(struct reading *rd)
{
    int r = store_privacy_list(rd->privacy->flow->store, rd->after, true, PAGE, on_page, rd);

    if (r == UV_ECANCELED)
        free(rd);
    else if (r < 0)
        flow_later(rd->privacy->flow, AGAIN_MS, on_again, rd);
}

void privacy_open(struct flow *f)
{
    struct privacy *p = mem_zero(sizeof(*p));
    struct reading *rd = mem_zero(sizeof(*rd));

    p->flow = f;
    p->log = (struct logger){ .room = "flow", .name = "privacy" };
    list_init(&p->requests);
    f->privacy = p;
    rd->privacy = p;
    read_page(rd);
    flow_later(f, LOOK_MS, on_look, p);
}

void privacy_close(struct flow *f)
{
    struct privacy *p = f->privacy;

    if (!p)
        return;
    erase_drop(p);
    while (!list_empty(&p->requests))
        request_free(list_entry(p->requests.next, struct privacy_request, node));
    free(p);
    f->privacy = NULL;
}

/* ---- by an operator ---- */

struct handed {
    uint64_t id;
    void (*cb)(void *ctx, int status);
    void *ctx;
};

static void on_handed(struct flow *f, struct commit *c, int status)
{
    struct handed *h = c->ctx;
    struct privacy_request *r = f->privacy ? privacy_find(f, h->id) : NULL;

    if (r)
        r->writing = false;
    if (r && status == 0) {
        f->privacy->done++;
        request_free(r);
    }
    h->cb(h->ctx, status);
    free(h);
}

int flow_privacy_done(struct flow *f, uint64_t id, sl_str who, sl_str why,
                      void (*cb)(void *ctx, int status), void *ctx)
{
    struct privacy_request *r = privacy_find(f, id);
    struct handed *h;

    if (!f->privacy->read)
        return UV_EAGAIN;
    if (!r)
        return UV_ENOENT;
    if (r->kind != PRIVACY_HAND_OUT)
        return UV_EINVAL;
    if (r->writing)
        return UV_EBUSY;
    h = mem_zero(sizeof(*h));
    *h = (struct handed){ id, cb, ctx };
    r->writing = true;
    privacy_write(
        f,
        &(struct rec_privacy){
            .event = id, .what = PRIVACY_DONE, .at_ms = clock_wall_ms(), .who = who, .why = why },
        on_handed, h);
    return 0;
}

/* ---- what watchers read ---- */

static void day_of(int64_t ms, char out[32])
{
    clock_format(ms, out);
    out[10] = '\0';
}

bool privacy_is_late(const struct privacy_request *r, int64_t now_ms, char text[240])
{
    char day[32];

    day_of(r->due_ms, day);
    if (r->state == PRIVACY_DONE) {
        snprintf(text, 240,
                 "what event %" PRIu64
                 " asked to erase must be gone from the log by %s, and is not",
                 r->id, day);
        return now_ms >= r->due_ms - DAY;
    }
    if (r->error)
        snprintf(text, 240, "what event %" PRIu64 " asks to erase by %s: %s", r->id, day, r->error);
    else if (r->kind == PRIVACY_ERASE)
        snprintf(text, 240,
                 "event %" PRIu64 " asks to erase by %s, and %" PRIu64
                 " events of it are still under way: deliver or discard them",
                 r->id, day, r->under_way);
    else
        snprintf(text, 240,
                 "event %" PRIu64
                 " asks for what is held about a customer, by %s: sluice privacy export %" PRIu64,
                 r->id, day, r->id);
    return r->error || now_ms >= r->due_ms - NEAR_MS;
}

void flow_privacy_each(const struct flow *f, void (*cb)(void *ctx, const struct privacy_status *s),
                       void *ctx)
{
    int64_t now = clock_wall_ms();

    list_each (n, &f->privacy->requests) {
        const struct privacy_request *r = list_entry(n, struct privacy_request, node);
        struct privacy_status s = { .id = r->id,
                                    .kind = r->kind,
                                    .state = r->state,
                                    .endpoint = r->endpoint,
                                    .under_way = r->under_way,
                                    .error = r->error ? r->error : "" };

        s.late = privacy_is_late(r, now, s.text);
        cb(ctx, &s);
    }
}

void flow_privacy_stats(const struct flow *f, struct privacy_stats *ret)
{
    *ret = (struct privacy_stats){ .erased = f->privacy->erased, .done = f->privacy->done };
    list_each (n, &f->privacy->requests) {
        const struct privacy_request *r = list_entry(n, struct privacy_request, node);
        ret->hand_out += r->kind == PRIVACY_HAND_OUT;
        ret->erase += r->kind == PRIVACY_ERASE && r->state == PRIVACY_ASKED;
        ret->log += r->kind == PRIVACY_ERASE && r->state == PRIVACY_DONE;
        ret->under_way += r->under_way;
    }
}
