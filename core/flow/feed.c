/*
 * feed.c - when each feed is polled, and what is known of it over a restart and a reload.
 */
#include "flow/feed.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/backfill.h"
#include "flow/in_hand.h"
#include "flow/pace.h"

#define MINUTE_MS  INT64_C(60000)
#define DAY_MS     (1440 * MINUTE_MS)
#define AGAIN_MS   1000           /* what closes an endpoint is looked at again */
#define LOOK_MS    (30 * 1000)    /* the clock may be set: it is looked at so often */
#define WRITTEN_MS MINUTE_MS      /* that a poll found nothing is written so often */
#define FIRST_MS   INT64_C(10000) /* after the first failure; doubles */
#define LONGEST_MS (10 * MINUTE_MS)
#define HEARD_MS   1000                /* from one poll that an event asks for to the next */
#define QUESTIONS  (UINT64_C(1) << 62) /* above the numbers of deliveries */
#define HURRY_MS   MINUTE_MS           /* a sweep begins no sooner after its last beginning */

/* ---- when ---- */

int64_t feed_next(const struct conf_feed *c, int64_t began_ms, int64_t after_ms)
{
    int64_t next, at;

    if (c->at_minute >= 0) {
        at = c->at_minute * MINUTE_MS;
        next = after_ms - after_ms % DAY_MS + at;
        return next > after_ms ? next : next + DAY_MS;
    }
    if (!began_ms)
        return after_ms;
    next = began_ms + c->every_ms;
    if (next <= after_ms) /* those that it took too long for are left out */
        next += (after_ms - next) / c->every_ms * c->every_ms + c->every_ms;
    return next;
}

int64_t feed_backoff(uint32_t failures)
{
    int64_t ms = FIRST_MS;

    for (uint32_t i = 1; i < failures && ms < LONGEST_MS; i++)
        ms *= 2;
    return ms < LONGEST_MS ? ms : LONGEST_MS;
}

int64_t feed_poison_wait(unsigned ends)
{
    unsigned more = ends < IN_HAND_ENDS ? 0 : ends - IN_HAND_ENDS;

    return more < 7 ? LONGEST_MS << more : DAY_MS;
}

void feed_follow_clock(struct feed *d, int64_t now_ms)
{
    int64_t back = d->began_ms - now_ms;
    bool at_time = d->conf->at_minute >= 0 && !d->failures;

    if (back > 0) {
        d->began_ms = now_ms;
        d->next_ms -= back;
        d->look_ms -= d->look_ms ? back : 0;
        d->hurry_ms -= d->hurry_ms ? back : 0;
        d->written_ms -= back;
    }
    if (at_time && (back > 0 || d->next_ms > now_ms + DAY_MS))
        d->next_ms = feed_next(d->conf, now_ms, now_ms);
}

/* As for a look-up, a question may be what finds out that a parked endpoint is well again. */
const char *feed_closed_for(const struct lane *l)
{
    uint64_t now = uv_now(l->flow->loop);

    if (l->flow->draining)
        return "the gateway is being stopped";
    if (!l->adapter || !l->adapter->open)
        return "its endpoint is being closed";
    if (l->pause)
        return "its endpoint is paused";
    if (l->breaker.by_hand)
        return "its endpoint's breaker was opened by hand";
    if (l->parked && now < l->parked_until)
        return "its endpoint is parked";
    if (l->breaker.state == BREAKER_OPEN && now < l->breaker.open_until)
        return "its endpoint's breaker is open";
    return NULL;
}

static void begin(struct feed *d, int64_t now)
{
    d->look_ms = 0;
    d->hurry_ms = 0;
    d->waits = NULL;
    d->began_ms = now;
    d->last_rows = d->last_known = 0;
    poll_start(d);
}

/** It is due: begin, or say when to look again. */
static void try_begin(struct feed *d, int64_t now)
{
    uint64_t wait;

    d->waits = feed_closed_for(d->lane);
    if (d->waits) {
        d->look_ms = now + AGAIN_MS;
    } else if ((wait = pace_question(d->lane, d->number, uv_now(d->flow->loop)))) {
        d->waits = "its endpoint's rate";
        d->look_ms = now + (int64_t)wait;
    } else {
        begin(d, now);
    }
}

static bool is_over(const struct feed *d)
{
    return d->job && d->job->state != BACKFILL_RUNS;
}

static void on_tick(uv_timer_t *t);

static void tick(struct flow *f)
{
    struct feed *d, *tmp;
    int64_t now = clock_wall_ms(), next = now + LOOK_MS;

    if (f->draining)
        return;
    HASH_ITER (hh, f->feeds, d, tmp) {
        if (!d->conf || !d->read || d->poll || is_over(d))
            continue;
        feed_follow_clock(d, now);
        if (d->next_ms <= now && d->look_ms <= now && f->started)
            try_begin(d, now);
        if (d->poll || !d->conf)
            continue;
        int64_t at = d->look_ms > d->next_ms ? d->look_ms : d->next_ms;
        if (!f->started && at < now + AGAIN_MS)
            at = now + AGAIN_MS;
        next = at < next ? at : next;
    }
    if (f->feeds)
        uv_timer_start(&f->feed_timer, on_tick, next > now ? (uint64_t)(next - now) : 0, 0);
}

static void on_tick(uv_timer_t *t)
{
    tick(container_of(t, struct flow, feed_timer));
}

/** Not from within a call of the adapter. */
static void tick_soon(struct flow *f)
{
    if (!f->closing)
        uv_timer_start(&f->feed_timer, on_tick, 0, 0);
}

static bool is_sweep(const struct feed *d)
{
    return !d->job && d->lane->conf->plugin->feeds[d->conf->kind].flags & SL_FEED_SWEEP;
}

void lane_poll_soon(struct lane *l, int64_t ms)
{
    struct feed *d, *tmp;
    int64_t now = clock_wall_ms();
    bool sooner = false;

    HASH_ITER (hh, l->flow->feeds, d, tmp) {
        int64_t at = now + (ms < 1000 ? 1000 : ms);

        if (d->lane != l || !d->conf || d->conf->at_minute >= 0 || d->failures || !is_sweep(d))
            continue;
        if (at < d->began_ms + HURRY_MS)
            at = d->began_ms + HURRY_MS;
        d->hurry_ms = d->poll && (!d->hurry_ms || at < d->hurry_ms) ? at : d->hurry_ms;
        if (!d->read || d->poll || d->next_ms <= at)
            continue;
        d->next_ms = at;
        sooner = true;
    }
    if (sooner)
        tick_soon(l->flow);
}

/** An event of their endpoint: those that listen for it are polled, but no more than once a second;
 *  one that is being polled may have looked before, and is polled again. */
void feeds_hear(struct flow *f, sl_str endpoint, sl_str topic)
{
    struct feed *d, *tmp;
    int64_t now = clock_wall_ms(), at;

    if (!f->feeds_listen)
        return;
    HASH_ITER (hh, f->feeds, d, tmp) {
        if (!d->conf || d->failures || !conf_topic_matches(d->conf->on, d->conf->n_on, topic) ||
            !str_eq(str_of(d->lane->name), endpoint))
            continue;
        at = d->began_ms + HEARD_MS > now ? d->began_ms + HEARD_MS : now;
        if (d->poll)
            d->hurry_ms = d->hurry_ms && d->hurry_ms < at ? d->hurry_ms : at;
        else if (d->read && d->next_ms > at)
            d->next_ms = at;
    }
    tick_soon(f);
}

/* ---- what is written down ---- */

void feed_fact(const struct feed *d, sl_str cursor, struct buf *ret)
{
    buf_printf(ret, "{\"began\":%" PRId64 ",\"good\":%" PRId64 ",\"cursor\":", d->began_ms,
               d->good_ms);
    buf_json_str(ret, cursor);
    if (d->finding) {
        buf_cstr(ret, ",\"finding\":");
        buf_json_str(ret, str_of(d->finding));
    }
    if (d->job)
        backfill_put(d, ret);
    buf_char(ret, '}');
}

void feed_stored(struct feed *d, sl_str cursor)
{
    free(d->cursor);
    d->cursor = mem_dup(cursor);
    d->cursor_ms = d->written_ms = clock_wall_ms();
}

void feed_write_down(struct feed *d)
{
    struct buf value = { 0 };

    d->written_ms = clock_wall_ms();
    feed_fact(d, str_of(d->cursor), &value);
    flow_fact(d->flow,
              &(struct flow_fact){ .space = STR(FEED_SPACE),
                                   .key = str_of(d->key),
                                   .value = buf_view(&value),
                                   .who = STR("feed") },
              NULL, NULL);
    buf_finish(&value);
}

/* ---- the end of a poll ---- */

static void feed_free(struct feed *d)
{
    HASH_DEL(d->flow->feeds, d);
    free(d->key);
    free(d->cursor);
    free(d->error);
    free(d->finding);
    backfill_free(d->job);
    free(d);
}

static void tell_failing(struct feed *d)
{
    struct flow *f = d->flow;
    struct buf text = { 0 };

    if (d->job)
        backfill_failing(d, &text);
    else
        buf_printf(&text, "feed %s has failed %u times in a row: %s", d->conf->name, d->failures,
                   d->error);
    flow_notice_to(f, NOTICE_FEED, d->lane, NULL, NULL, str_of(d->conf->owner), buf_view(&text));
    buf_finish(&text);
}

static void count_failure(struct feed *d, const struct polled *p, int64_t now)
{
    int64_t wait = feed_backoff(++d->failures);

    if (p->after_ms > wait)
        wait = p->after_ms;
    d->error = p->why.len ? mem_dup(p->why) : mem_str("its adapter gave no reason");
    d->next_ms = now + wait;
    log_warn(&d->flow->log,
             "feed failed, polled again: feed=%s failures=%u delay_ms=%" PRId64 " err=%s", d->key,
             d->failures, wait, d->error);
    if (d->conf && d->failures == d->conf->alert_after) /* a back-fill's endpoint may be gone */
        tell_failing(d);
}

/** Did the process end again and again while it was polled? Then it is polled later and later: it
 *  may be what ends it. */
static void put_poison_off(struct feed *d, int64_t now)
{
    unsigned ends = in_hand_ends(d->flow->in_hand, IN_HAND_FEED, in_hand_num(str_of(d->key)));
    struct buf why = { 0 };
    int64_t wait = feed_poison_wait(ends);

    if (ends < IN_HAND_ENDS || !d->conf)
        return;
    buf_printf(&why, "the process ended %u times in a row while it was polled", ends);
    free(d->error);
    d->error = buf_steal(&why, NULL);
    d->failures = ends;
    d->next_ms = now + wait;
    log_error(&d->flow->log, "feed is put off: feed=%s delay_ms=%" PRId64 " err=%s", d->key, wait,
              d->error);
    tell_failing(d);
}

/** Its poll has ended: it is over, goes on at once, or is tried again. */
static void backfill_ended(struct feed *d, const struct polled *p, int64_t now)
{
    bool goes_on = backfill_polled(d->job, p, now);

    if (goes_on && p->status == SL_E_CANCELLED) {
        d->next_ms = now + AGAIN_MS; /* with the adapter that its endpoint has now, or will have */
        return;
    }
    if (goes_on && p->status != SL_OK) {
        count_failure(d, p, now);
        return;
    }
    d->failures = 0;
    d->good_ms = now;
    d->next_ms = now + p->after_ms;
    if (!goes_on) {
        log_info(&d->flow->log,
                 "back-fill %s: endpoint=%s topics=\"%s\" found=%" PRIu64 " known=%" PRIu64,
                 backfill_states[d->job->state], d->job->endpoint, d->job->topics, d->job->found,
                 d->job->known);
        feed_write_down(d);
    }
}

/** Told with each poll that finds it, so that its alert is repeated while it is so. True: it is
 *  another one than before. */
static bool take_finding(struct feed *d, sl_str text)
{
    bool other = !str_eq(str_of(d->finding), text);

    if (text.len)
        flow_notice_to(d->flow, NOTICE_FINDING, d->lane, NULL, NULL, str_of(d->conf->owner), text);
    if (other) {
        free(d->finding);
        d->finding = text.len ? mem_dup(text) : NULL;
    }
    return other;
}

void feed_polled(struct feed *d, const struct polled *p)
{
    int64_t now = clock_wall_ms();

    d->ended_ms = now;
    d->runs++;
    d->rows += p->rows;
    d->known += p->known;
    d->last_rows = p->rows;
    d->last_known = p->known;
    if (!d->conf && !d->job) {
        feed_free(d);
        return;
    }
    if (d->flow->draining && p->status != SL_OK)
        return; /* the next process asks again */
    free(d->error);
    d->error = NULL;
    if (d->job) {
        backfill_ended(d, p, now);
    } else if (p->status != SL_OK) {
        count_failure(d, p, now);
    } else {
        d->failures = 0;
        d->good_ms = now;
        d->next_ms = feed_next(d->conf, d->began_ms, now);
        if (d->hurry_ms && d->next_ms > d->hurry_ms)
            d->next_ms = d->hurry_ms;
        if (p->after_ms > 0 && d->next_ms < now + p->after_ms)
            d->next_ms = now + p->after_ms;
        if (take_finding(d, p->finding) || d->conf->at_minute >= 0 ||
            now - d->written_ms >= WRITTEN_MS)
            feed_write_down(d); /* nothing was stored: that it was looked for is worth a line */
    }
    tick_soon(d->flow);
}

/* ---- over a restart ---- */

static void ask(struct flow *f);

static void on_ask_again(void *ctx, bool closing)
{
    if (!closing)
        ask(ctx);
}

static void take(struct feed *d, const struct store_state *s)
{
    json_t *o = json_loadb(s->value.ptr, s->value.len, 0, NULL);
    const char *cursor = json_string_value(json_object_get(o, "cursor"));
    const char *finding = json_string_value(json_object_get(o, "finding"));

    d->cursor = cursor && *cursor ? mem_str(cursor) : NULL;
    d->finding = finding && *finding ? mem_str(finding) : NULL;
    d->cursor_ms = d->written_ms = s->at_ms;
    d->began_ms = json_integer_value(json_object_get(o, "began"));
    d->good_ms = json_integer_value(json_object_get(o, "good"));
    json_decref(o);
}

static struct feed *find(const struct flow *f, sl_str key)
{
    struct feed *d;

    HASH_FIND(hh, f->feeds, key.ptr, key.len, d);
    return d;
}

static void take_fact(struct flow *f, const struct store_state *s)
{
    struct feed *d = find(f, s->key);
    struct backfill *job = d ? NULL : backfill_take(s->key, s->value);

    if (job) {
        feed_add_backfill(f, job, "");
        d = find(f, s->key);
        d->read = false;
    }
    if (d && !d->read)
        take(d, s);
}

static void on_facts(void *ctx, int status, const struct store_state *states, size_t n)
{
    struct flow *f = ctx;
    struct feed *d, *tmp;
    int64_t now = clock_wall_ms();

    f->feeds_asked = false;
    if (status == UV_ECANCELED)
        return;
    if (status < 0) {
        log_error(&f->log, "cannot read where the feeds stand, asking again: err=%s",
                  uv_strerror(status));
        f->feeds_asked = true;
        flow_later(f, AGAIN_MS, on_ask_again, f);
        return;
    }
    f->feeds_known = true;
    for (size_t i = 0; i < n; i++)
        take_fact(f, &states[i]);
    HASH_ITER (hh, f->feeds, d, tmp) {
        if (d->read || (!d->conf && !d->job))
            continue;
        d->read = true;
        if (d->job) {
            put_poison_off(d, now);
            continue;
        }
        d->next_ms = feed_next(d->conf, d->began_ms, d->began_ms ? d->began_ms : now);
        /* nobody took what came while there was no process: it is looked for at once */
        if (is_sweep(d) && d->conf->at_minute < 0 && d->next_ms > now)
            d->next_ms = now;
        put_poison_off(d, now);
    }
    tick_soon(f);
}

static void ask(struct flow *f)
{
    int r = store_state_list(f->store, STR(FEED_SPACE), on_facts, f);

    if (r < 0 && r != UV_ECANCELED)
        flow_later(f, AGAIN_MS, on_ask_again, f);
}

void feeds_read(struct flow *f)
{
    struct feed *d, *tmp;
    bool unread = false;

    HASH_ITER (hh, f->feeds, d, tmp)
        unread |= !d->read;
    if ((!unread && f->feeds_known) || f->feeds_asked)
        return;
    f->feeds_asked = true;
    ask(f);
}

/* ---- the configuration ---- */

static void add(struct flow *f, struct lane *l, const struct conf_feed *c)
{
    struct buf key = { 0 };
    struct feed *d;

    buf_printf(&key, "%s/%s", l->name, c->name);
    d = find(f, buf_view(&key));
    if (!d) {
        d = mem_zero(sizeof(*d));
        d->key = buf_steal(&key, NULL);
        d->flow = f;
        d->number = QUESTIONS + f->feeds_made++;
        HASH_ADD_KEYPTR(hh, f->feeds, d->key, strlen(d->key), d);
    }
    buf_finish(&key);
    d->lane = l;
    d->conf = c;
    if (d->read && !d->poll && !d->failures)
        d->next_ms = feed_next(c, d->began_ms, d->began_ms ? d->began_ms : clock_wall_ms());
}

/** To its endpoint, if that is there and its adapter can do it. */
static void attach(struct feed *d)
{
    struct lane *l = flow_lane(d->flow, str_of(d->job->endpoint));
    const sl_plugin *p = l && l->conf ? l->conf->plugin : NULL;
    bool can = p && SL_HAS(sl_plugin, p, backfill) && p->backfill;

    d->lane = can ? l : NULL;
    d->conf = can ? &d->job->conf : NULL;
}

struct feed *feed_of_backfill(const struct flow *f, const char *endpoint)
{
    struct buf key = { 0 };
    struct feed *d;

    buf_printf(&key, "%s/%s", endpoint, BACKFILL_NAME);
    d = find(f, buf_view(&key));
    buf_finish(&key);
    return d;
}

void feed_add_backfill(struct flow *f, struct backfill *job, const char *cursor)
{
    struct feed *d = feed_of_backfill(f, job->endpoint);
    struct buf key = { 0 };

    if (d)
        feed_free(d);
    buf_printf(&key, "%s/%s", job->endpoint, BACKFILL_NAME);
    d = mem_zero(sizeof(*d));
    d->key = buf_steal(&key, NULL);
    d->flow = f;
    d->job = job;
    d->read = true;
    d->number = QUESTIONS + f->feeds_made++;
    HASH_ADD_KEYPTR(hh, f->feeds, d->key, strlen(d->key), d);
    attach(d);
    if (!cursor) /* what was begun goes on after a crash */
        feed_write_down(d);
    tick_soon(f);
}

void feeds_change(struct flow *f)
{
    struct feed *d, *tmp;

    HASH_ITER (hh, f->feeds, d, tmp) {
        d->conf = NULL;
        d->lane = NULL;
    }
    for (size_t i = 0; i < f->n_lanes; i++)
        for (size_t k = 0; k < f->lanes[i]->conf->n_feeds; k++)
            add(f, f->lanes[i], &f->lanes[i]->conf->feeds[k]);
    f->feeds_listen = false;
    HASH_ITER (hh, f->feeds, d, tmp) {
        if (d->job)
            attach(d);
        else if (!d->conf && !d->poll)
            feed_free(d);
        else if (d->conf)
            f->feeds_listen |= d->conf->n_on > 0;
    }
    feeds_read(f);
    tick_soon(f);
}

void feeds_open(struct flow *f)
{
    uv_timer_init(f->loop, &f->feed_timer);
    uv_handle_set_data((uv_handle_t *)&f->feed_timer, f);
    f->handles++;
    feeds_change(f);
}

void feeds_close(struct flow *f)
{
    struct feed *d, *tmp;

    HASH_ITER (hh, f->feeds, d, tmp) {
        if (d->poll)
            poll_drop(d->poll);
        feed_free(d);
    }
    uv_close((uv_handle_t *)&f->feed_timer, flow_on_closed);
}

/* ---- by hand, and what is shown ---- */

int flow_poll(struct flow *f, sl_str endpoint, sl_str feed, const char **ret_waits)
{
    struct buf key = { 0 };
    struct feed *d;

    buf_printf(&key, STR_FMT "/" STR_FMT, STR_ARG(endpoint), STR_ARG(feed));
    d = find(f, buf_view(&key));
    buf_finish(&key);
    if (!d || !d->conf || d->job)
        return UV_ENOENT;
    if (d->poll)
        return UV_EALREADY;
    *ret_waits = !d->read || !f->started ? "the gateway is starting" : feed_closed_for(d->lane);
    if (*ret_waits)
        return UV_EAGAIN;
    d->next_ms = clock_wall_ms();
    d->look_ms = 0;
    tick_soon(f);
    return 0;
}

void flow_feed_each(const struct flow *f, void (*cb)(void *ctx, const struct feed_stats *s),
                    void *ctx)
{
    struct feed *d, *tmp;

    HASH_ITER (hh, f->feeds, d, tmp) {
        if (!d->conf || d->job)
            continue;
        struct feed_stats s = {
            .endpoint = d->lane->name,
            .feed = d->conf->name,
            .kind = d->lane->conf->plugin->feeds[d->conf->kind].name,
            .owner = d->conf->owner ? d->conf->owner : "",
            .running = d->poll != NULL,
            .waits = d->waits && d->next_ms <= clock_wall_ms() ? d->waits : NULL,
            .error = d->error,
            .finding = d->finding,
            .unread = !d->read,
            .failures = d->failures,
            .alerted = d->failures >= d->conf->alert_after,
            .runs = d->runs,
            .rows = d->rows,
            .known = d->known,
            .last_rows = d->poll ? poll_rows(d->poll) : d->last_rows,
            .last_known = d->last_known,
            .began_ms = d->began_ms,
            .ended_ms = d->ended_ms,
            .good_ms = d->good_ms,
            .cursor_ms = d->cursor_ms,
            .next_ms = d->poll ? 0 : d->next_ms,
            .cursor = d->cursor ? d->cursor : "",
        };
        cb(ctx, &s);
    }
}
