/*
 * health.c - may anything leave a lane at all? Park, breaker, a breaker opened by hand; and what of
 * that outlives the process.
 *
 * What was chosen before and waits for its token when the lane closes goes back, unburnt.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/confirm.h"
#include "flow/pace.h"

#define SPACE          "lane"
#define BLOCK_KEPT_MS  5000 /* a shorter wait that a remote asked for is not worth a record */
#define KEEP_AGAIN_MS  100  /* after a want of memory */
#define STORE_AGAIN_MS 1000

/* ---- those that wait for their token ---- */

const char *lane_closed_for(const struct batch *b)
{
    const struct lane *l = b->lane;

    if (l->parked && !b->probe)
        return "its endpoint was parked meanwhile";
    if (l->breaker.by_hand)
        return "the breaker was opened by hand meanwhile";
    if (b->breaker_trips != b->breaker->trips)
        return "the breaker opened meanwhile";
    return NULL;
}

static void unsend_closed(struct lane *l)
{
    list_each_safe (i, tmp, &l->paced) {
        struct batch *b = list_entry(i, struct batch, paced_node);
        const char *why = lane_closed_for(b);
        if (why)
            batch_unsend(b, why);
    }
}

/* ---- park ---- */

void lane_park(struct lane *l, sl_str why, int64_t ms)
{
    bool before = l->parked;

    l->parked = true;
    l->parked_until = uv_now(l->flow->loop) + (uint64_t)(ms > 0 ? ms : l->conf->park_probe_ms);
    snprintf(l->park_why, sizeof(l->park_why), STR_FMT, STR_ARG(why));
    lane_keep(l, STR("adapter"), why);
    if (before)
        return;
    log_warn(&l->log, "parked: %s", l->park_why);
    flow_notice(l->flow, NOTICE_PARKED, l, NULL, NULL, str_of(l->park_why));
    unsend_closed(l);
}

void lane_park_on(struct lane *l)
{
    l->parked_until = uv_now(l->flow->loop) + (uint64_t)l->conf->park_probe_ms;
}

void lane_unpark(struct lane *l)
{
    if (!l->parked)
        return;
    l->parked = false;
    log_info(&l->log, "no longer parked");
    flow_notice(l->flow, NOTICE_UNPARKED, l, NULL, NULL, str_of(l->park_why));
    lane_keep(l, STR("lane"), STR(""));
}

/* ---- the breaker ---- */

static size_t n_actions(const struct lane *l)
{
    const sl_action *a = l->conf->plugin->actions;
    size_t n = 0;

    while (a && a[n].name)
        n++;
    return n;
}

void lane_breakers(struct lane *l)
{
    const struct conf_breaker *c = &l->conf->breaker;
    struct breaker_conf conf = {
        .window_ms = (uint64_t)c->window_ms,
        .min_calls = c->min_calls,
        .failure_percent = c->failure_percent,
        .open_ms = (uint64_t)c->open_ms,
        .open_max_ms = (uint64_t)c->open_max_ms,
        .probes = c->probes,
    };
    size_t n = n_actions(l);

    if (l->breaker.conf.probes)
        breaker_change(&l->breaker, &conf);
    else
        breaker_init(&l->breaker, &conf);
    if (c->per_action && !l->actions && n) { /* kept from then on: batches point there */
        l->actions = mem_array(n, sizeof(*l->actions));
        for (size_t i = 0; i < n; i++)
            breaker_init(&l->actions[i], &conf);
        return;
    }
    for (size_t i = 0; l->actions && i < n; i++)
        breaker_change(&l->actions[i], &conf);
}

/** What is under way says nothing of the endpoint's breaker. */
static void leave_action(struct lane *l, struct breaker **b, uint64_t *trips_then)
{
    if (!*b || *b == &l->breaker)
        return;
    *b = &l->breaker;
    *trips_then = UINT64_MAX;
}

void lane_breakers_drop(struct lane *l)
{
    list_each (i, &l->batches) {
        struct batch *b = list_entry(i, struct batch, node);
        leave_action(l, &b->breaker, &b->breaker_trips);
    }
    list_each (i, &l->confirming) {
        struct confirm *c = list_entry(i, struct confirm, node);
        leave_action(l, &c->breaker, &c->breaker_trips);
    }
    free(l->actions);
    l->actions = NULL;
}

struct breaker *lane_breaker(struct lane *l, const struct conf_target *t)
{
    return t && l->actions && l->conf && l->conf->breaker.per_action ? &l->actions[t->action]
                                                                     : &l->breaker;
}

/** "of order.submit ", or nothing. */
static void breaker_name(const struct lane *l, const struct breaker *b, char ret[80])
{
    ret[0] = '\0';
    if (b != &l->breaker)
        snprintf(ret, 80, "of %.70s ", l->conf->plugin->actions[b - l->actions].name);
}

void lane_forget(struct breaker *b, uint64_t trips_then)
{
    if (b->trips == trips_then)
        breaker_forget(b);
}

void lane_result(struct lane *l, struct breaker *b, uint64_t trips_then, bool good)
{
    char name[80], text[160];

    if (b->trips != trips_then || !l->conf)
        return; /* it left before the breaker last opened */
    enum breaker_state before = b->state;
    breaker_name(l, b, name);
    if (breaker_result(b, good, uv_now(l->flow->loop), &l->flow->rng)) {
        log_warn(&l->log, "breaker %sopened, next try in %" PRIu64 " ms", name,
                 b->open_until - uv_now(l->flow->loop));
        snprintf(text, sizeof(text), "%s%stoo many failures or slow answers", name,
                 name[0] ? ": " : "");
        if (before == BREAKER_CLOSED)
            flow_notice(l->flow, NOTICE_BREAKER_OPEN, l, NULL, NULL, str_of(text));
        lane_keep(l, STR("lane"), str_of(text));
        unsend_closed(l);
    } else if (before == BREAKER_HALF_OPEN && b->state == BREAKER_CLOSED) {
        log_info(&l->log, "breaker %sclosed", name);
        budget_relax(&l->budget);
        flow_notice(l->flow, NOTICE_BREAKER_CLOSED, l, NULL, NULL, STR(""));
        lane_keep(l, STR("lane"), STR(""));
    }
}

/* ---- by hand ---- */

int flow_trip(struct flow *f, sl_str endpoint, sl_str who, sl_str why)
{
    struct lane *l = flow_lane(f, endpoint);
    char text[sizeof(l->trip_why) + sizeof(l->trip_who) + 32];

    if (!l)
        return UV_ENOENT;
    bool before = l->breaker.state != BREAKER_CLOSED;
    breaker_hold(&l->breaker);
    snprintf(l->trip_who, sizeof(l->trip_who), STR_FMT, STR_ARG(who));
    snprintf(l->trip_why, sizeof(l->trip_why), STR_FMT, STR_ARG(why));
    l->tripped_ms = clock_wall_ms();
    snprintf(text, sizeof(text), "opened by hand by %s%s%s", l->trip_who, why.len ? ": " : "",
             l->trip_why);
    log_warn(&l->log, "breaker %s", text);
    if (!before)
        flow_notice(f, NOTICE_BREAKER_OPEN, l, NULL, NULL, str_of(text));
    lane_keep(l, who, why);
    unsend_closed(l);
    lane_pump(l);
    return 0;
}

int flow_reset(struct flow *f, sl_str endpoint, sl_str who)
{
    struct lane *l = flow_lane(f, endpoint);

    if (!l)
        return UV_ENOENT;
    if (l->breaker.state != BREAKER_CLOSED)
        flow_notice(f, NOTICE_BREAKER_CLOSED, l, NULL, NULL, STR("closed by hand"));
    breaker_reset(&l->breaker);
    for (size_t i = 0; l->actions && i < n_actions(l); i++)
        breaker_reset(&l->actions[i]);
    log_info(&l->log, "breaker closed by hand");
    lane_keep(l, who, STR("closed by hand"));
    lane_pump(l);
    return 0;
}

int flow_unpark(struct flow *f, sl_str endpoint)
{
    struct lane *l = flow_lane(f, endpoint);

    if (!l)
        return UV_ENOENT;
    lane_unpark(l);
    lane_pump(l);
    return 0;
}

/* ---- what outlives the process ---- */

static int64_t wall_of(const struct lane *l, uint64_t mono_ms)
{
    return clock_wall_ms() + (int64_t)(mono_ms - uv_now(l->flow->loop));
}

static void put_text(struct buf *b, const char *name, const char *text)
{
    buf_printf(b, ",\"%s\":", name);
    buf_json_str(b, str_of(text)); /* which may be cut within a character */
}

char *lane_state_save(const struct lane *l)
{
    uint64_t now = uv_now(l->flow->loop);
    struct buf b = { 0 };

    if (l->bucket.blocked_until > now + BLOCK_KEPT_MS)
        buf_printf(&b, ",\"blocked_until\":%" PRId64, wall_of(l, l->bucket.blocked_until));
    if (!l->breaker.by_hand && l->breaker.state == BREAKER_OPEN)
        buf_printf(&b, ",\"breaker\":{\"trips\":%u,\"until\":%" PRId64 "}", l->breaker.trips_in_row,
                   wall_of(l, l->breaker.open_until));
    if (l->parked) {
        buf_printf(&b, ",\"parked\":{\"until\":%" PRId64, wall_of(l, l->parked_until));
        put_text(&b, "why", l->park_why);
        buf_char(&b, '}');
    }
    pace_save(l, &b);
    if (l->breaker.by_hand) {
        buf_printf(&b, ",\"tripped\":{\"at\":%" PRId64, l->tripped_ms);
        put_text(&b, "by", l->trip_who);
        put_text(&b, "why", l->trip_why);
        buf_char(&b, '}');
    }
    if (b.len) {
        buf_char(&b, '}');
        if (!b.failed)
            b.data[0] = '{';
    }
    if (b.failed) {
        buf_finish(&b);
        return NULL;
    }
    return b.len ? buf_steal(&b, NULL) : mem_str("");
}

/** Without memory nothing is known to have changed: what was written stands until there is some. */
static void on_keep_again(void *ctx, bool closing)
{
    if (!closing)
        lane_keep(ctx, STR("lane"), STR(""));
}

/** A store that had no room is asked again, whatever the lane's state is by then. */
static void on_kept(struct flow *f, void *ctx, int status)
{
    struct lane *l = ctx;

    if (status != UV_ENOSPC && status != UV_ENOBUFS && status != UV_ENOMEM)
        return;
    free(l->kept);
    l->kept = mem_str("?"); /* nothing that a lane says */
    flow_later(f, STORE_AGAIN_MS, on_keep_again, l);
}

void lane_keep(struct lane *l, sl_str who, sl_str why)
{
    char *text;

    if (!l->conf || l->flow->closing)
        return;
    text = lane_state_save(l);
    if (!text) {
        flow_later(l->flow, KEEP_AGAIN_MS, on_keep_again, l);
        return;
    }
    if (strcmp(text, l->kept ? l->kept : "") == 0) {
        free(text);
        return;
    }
    free(l->kept);
    l->kept = text;
    flow_fact(l->flow,
              &(struct flow_fact){ .space = STR(SPACE),
                                   .key = str_of(l->name),
                                   .value = str_of(text),
                                   .who = who,
                                   .why = why },
              on_kept, l);
}

/** Of the wall clock, as the loop's; now at the earliest, and `most` ms from now at the latest: the
 *  clock may have been put back. */
static uint64_t mono_of(const struct lane *l, const json_t *wall, int64_t most)
{
    int64_t in = json_integer_value(wall) - clock_wall_ms();

    in = in < 0 ? 0 : in < most ? in : most;
    return uv_now(l->flow->loop) + (uint64_t)in;
}

static void copy_text(const json_t *o, const char *name, char *to, size_t size)
{
    const char *s = json_string_value(json_object_get(o, name));

    snprintf(to, size, "%s", s ? s : "");
}

void lane_state_restore(struct lane *l, sl_str json)
{
    const struct conf_endpoint *e = l->conf;
    json_t *root = json_loadb(json.ptr, json.len, 0, NULL), *o;
    uint64_t now = uv_now(l->flow->loop);

    if ((o = json_object_get(root, "tripped"))) {
        copy_text(o, "by", l->trip_who, sizeof(l->trip_who));
        copy_text(o, "why", l->trip_why, sizeof(l->trip_why));
        l->tripped_ms = json_integer_value(json_object_get(o, "at"));
        breaker_hold(&l->breaker);
    } else if ((o = json_object_get(root, "breaker"))) {
        breaker_restore(&l->breaker,
                        mono_of(l, json_object_get(o, "until"), e->breaker.open_max_ms * 2),
                        (uint32_t)json_integer_value(json_object_get(o, "trips")));
    }
    if (l->breaker.state != BREAKER_CLOSED)
        flow_notice(l->flow, NOTICE_BREAKER_OPEN, l, NULL, NULL, STR(LANE_RESTORED));
    if ((o = json_object_get(root, "parked"))) {
        l->parked = true;
        copy_text(o, "why", l->park_why, sizeof(l->park_why));
        l->parked_until = mono_of(l, json_object_get(o, "until"), QUOTA_DAY_MS);
        flow_notice(l->flow, NOTICE_PARKED, l, NULL, NULL, str_of(l->park_why));
    }
    if ((o = json_object_get(root, "blocked_until")))
        bucket_block(&l->bucket, mono_of(l, o, QUOTA_DAY_MS), now);
    pace_restore(l, root);
    free(l->kept);
    l->kept = mem_dup(json);
    json_decref(root);
}

static void on_states(void *ctx, int status, const struct store_state *states, size_t n)
{
    struct flow *f = ctx;

    if (status == UV_ECANCELED)
        return;
    if (status < 0)
        log_error(&f->log, "cannot read how the endpoints stood: err=%s", uv_strerror(status));
    for (size_t i = 0; status == 0 && i < n; i++) {
        struct lane *l = flow_lane(f, states[i].key);
        if (l && states[i].value.len)
            lane_state_restore(l, states[i].value);
    }
    recover_read(f);
    recover_step_done(f);
}

void lane_states_read(struct flow *f)
{
    f->unread++; /* nothing leaves before */
    if (store_state_list(f->store, STR(SPACE), on_states, f) == 0)
        recover_step(f);
    else
        f->unread--;
}
