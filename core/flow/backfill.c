/*
 * backfill.c - see backfill.h.
 */
#include "flow/backfill.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"

#define ALERT_AFTER 3

const char *const backfill_states[] = { "running", "done", "cancelled" };

void backfill_free(struct backfill *b)
{
    if (!b)
        return;
    free(b->endpoint);
    free(b->topics);
    free(b->who);
    free(b->of);
    free(b);
}

/* The part that neither a configuration nor a fact has. */
static struct backfill *settle(struct backfill *b)
{
    b->conf = (struct conf_feed){
        .name = BACKFILL_NAME, .every_ms = 1000, .at_minute = -1, .alert_after = ALERT_AFTER
    };
    b->what = (sl_backfill){ .size = sizeof(b->what),
                             .topics = str_of(b->topics),
                             .since_ms = b->since_ms,
                             .until_ms = b->until_ms };
    return b;
}

static void put_text(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, ",\"%s\":", name);
    buf_json_str(out, str_of(value));
}

/** New, with the poll under way. */
static uint64_t found(const struct feed *d)
{
    return d->job->found + (d->poll ? poll_rows(d->poll) : 0);
}

static uint64_t known(const struct feed *d)
{
    return d->job->known + (d->poll ? poll_known(d->poll) : 0);
}

void backfill_put(const struct feed *d, struct buf *out)
{
    const struct backfill *b = d->job;

    buf_printf(out, ",\"backfill\":{\"state\":\"%s\"", backfill_states[b->state]);
    put_text(out, "topics", b->topics);
    put_text(out, "who", b->who);
    put_text(out, "of", b->of ? b->of : "");
    buf_printf(
        out,
        ",\"since\":%" PRId64 ",\"until\":%" PRId64 ",\"begun\":%" PRId64 ",\"ended\":%" PRId64
        ",\"done\":%" PRIu64 ",\"total\":%" PRIu64 ",\"found\":%" PRIu64 ",\"known\":%" PRIu64 "}",
        b->since_ms, b->until_ms, b->begun_ms, b->ended_ms, b->done, b->total, found(d), known(d));
}

static char *text_of(json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));

    return mem_str(text ? text : "");
}

static int64_t number_of(json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

struct backfill *backfill_take(sl_str key, sl_str value)
{
    json_t *fact = json_loadb(value.ptr, value.len, 0, NULL),
           *o = json_object_get(fact, "backfill");
    const char *state = json_string_value(json_object_get(o, "state"));
    const char *slash = memchr(key.ptr, '/', key.len);
    struct backfill *b = NULL;

    if (json_is_object(o) && slash) {
        b = mem_zero(sizeof(*b));
        b->endpoint = mem_dup((sl_str){ key.ptr, (size_t)(slash - key.ptr) });
        b->topics = text_of(o, "topics");
        b->who = text_of(o, "who");
        b->of = text_of(o, "of");
        b->since_ms = number_of(o, "since");
        b->until_ms = number_of(o, "until");
        b->begun_ms = number_of(o, "begun");
        b->ended_ms = number_of(o, "ended");
        b->done = (uint64_t)number_of(o, "done");
        b->total = (uint64_t)number_of(o, "total");
        b->found = (uint64_t)number_of(o, "found");
        b->known = (uint64_t)number_of(o, "known");
        for (int i = 0; i <= BACKFILL_CANCELLED; i++)
            if (state && !strcmp(state, backfill_states[i]))
                b->state = (enum backfill_state)i;
        settle(b);
    }
    json_decref(fact);
    return b;
}

bool backfill_polled(struct backfill *b, const struct polled *p, int64_t now_ms)
{
    b->found += p->rows;
    b->known += p->known;
    if (b->state == BACKFILL_RUNS && p->status == SL_OK && p->after_ms == 0) {
        b->state = BACKFILL_DONE;
        b->ended_ms = now_ms;
    }
    return b->state == BACKFILL_RUNS;
}

void backfill_failing(const struct feed *d, struct buf *ret)
{
    buf_printf(ret, "the back-fill of %s has failed %u times in a row: %s", d->job->endpoint,
               d->failures, d->error ? d->error : "it was not said why");
}

void backfill_progress(struct backfill *b, uint64_t done, uint64_t total, sl_str of)
{
    b->done = done;
    b->total = total;
    free(b->of);
    b->of = mem_dup(of);
}

/* ---- by hand -------------------------------------------------------------------------------- */

static bool is_sane(sl_str topics)
{
    for (size_t i = 0; i < topics.len; i++) {
        char c = topics.ptr[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !strchr("/_.-* ", c))
            return false;
    }
    return topics.len > 0 && topics.len < 1024;
}

/** Could it be done there? 0; UV_ENOENT, UV_ENOTSUP, UV_EINVAL, UV_EALREADY with `fail`. */
static int check(struct flow *f, const struct backfill_ask *ask, struct lane **ret,
                 struct fail *fail)
{
    struct lane *l = flow_lane(f, str_of(ask->endpoint));
    const sl_plugin *p = l && l->conf ? l->conf->plugin : NULL;
    struct feed *d = feed_of_backfill(f, ask->endpoint);
    sl_fail why = { .size = sizeof(why) };

    if (!l || !l->conf)
        return fail_set(fail, UV_ENOENT, "there is no endpoint \"%s\"", ask->endpoint);
    if (!p || !SL_HAS(sl_plugin, p, backfill) || !p->backfill)
        return fail_set(fail, UV_ENOTSUP, "adapter \"%s\" of \"%s\" has nothing to back-fill from",
                        l->conf->adapter, ask->endpoint);
    if (!f->feeds_known)
        return fail_set(fail, UV_EALREADY,
                        "the gateway is starting, and does not know yet what it was doing: in a "
                        "moment");
    if (d && d->job->state == BACKFILL_RUNS)
        return fail_set(fail, UV_EALREADY,
                        "a back-fill of \"%s\" is running; it can be cancelled first",
                        ask->endpoint);
    if (!is_sane(str_of(ask->topics)))
        return fail_set(fail, UV_EINVAL,
                        "topics are such as orders/create, orders/*, or several with a space "
                        "between");
    if (ask->since_ms >= ask->until_ms)
        return fail_set(fail, UV_EINVAL, "\"since\" is not before \"until\"");
    if (SL_HAS(sl_plugin, p, can_backfill) && p->can_backfill &&
        p->can_backfill(l->conf->settings, config_values_api(), str_of(ask->topics), &why) < 0)
        return fail_set(fail, UV_EINVAL, "%.500s", why.text);
    if (d && d->poll)
        return fail_set(fail, UV_EALREADY,
                        "the last back-fill of \"%s\" is coming to its end: in half a minute",
                        ask->endpoint);
    *ret = l;
    return 0;
}

int flow_backfill(struct flow *f, const struct backfill_ask *ask, struct fail *fail)
{
    struct lane *l;
    struct backfill *b;
    int r = check(f, ask, &l, fail);

    if (r < 0)
        return r;
    b = mem_zero(sizeof(*b));
    b->endpoint = mem_str(ask->endpoint);
    b->topics = mem_str(ask->topics);
    b->who = mem_dup(ask->who);
    b->since_ms = ask->since_ms;
    b->until_ms = ask->until_ms;
    b->begun_ms = clock_wall_ms();
    feed_add_backfill(f, settle(b), NULL);
    return 0;
}

int flow_backfill_cancel(struct flow *f, const char *endpoint)
{
    struct feed *d = feed_of_backfill(f, endpoint);

    if (!d || d->job->state != BACKFILL_RUNS)
        return UV_ENOENT;
    d->job->state = BACKFILL_CANCELLED;
    d->job->ended_ms = clock_wall_ms();
    feed_write_down(d);
    return 0;
}

static void put_time(struct buf *b, const char *name, int64_t ms)
{
    char text[32];

    clock_format(ms, text);
    buf_printf(b, ms ? ",\"%s\":\"%s\"" : ",\"%s\":null", name, text);
}

static void show(const struct feed *d, struct buf *out)
{
    const struct backfill *b = d->job;

    buf_cstr(out, "{\"endpoint\":");
    buf_json_str(out, str_of(b->endpoint));
    put_text(out, "state", backfill_states[b->state]);
    put_text(out, "topics", b->topics);
    put_text(out, "who", b->who);
    put_time(out, "since", b->since_ms);
    put_time(out, "until", b->until_ms);
    put_time(out, "begun_at", b->begun_ms);
    put_time(out, "ended_at", b->ended_ms);
    put_text(out, "of", b->of ? b->of : "");
    put_text(out, "waits", d->waits ? d->waits : d->lane ? "" : "its endpoint is gone");
    put_text(out, "error", d->error && !d->poll ? d->error : ""); /* it is tried again */
    buf_printf(out,
               ",\"done\":%" PRIu64 ",\"total\":%" PRIu64 ",\"found\":%" PRIu64
               ",\"known\":%" PRIu64 "}",
               b->done, b->total, found(d), known(d));
}

void flow_backfills_json(const struct flow *f, struct buf *out)
{
    struct feed *d, *tmp;
    bool any = false;

    buf_char(out, '[');
    HASH_ITER (hh, f->feeds, d, tmp) {
        if (!d->job)
            continue;
        if (any)
            buf_char(out, ',');
        show(d, out);
        any = true;
    }
    buf_char(out, ']');
}

bool flow_backfill_fails(const struct flow *f, const char *endpoint, struct buf *ret)
{
    const struct feed *d = feed_of_backfill(f, endpoint);

    if (!d || d->job->state != BACKFILL_RUNS || d->failures < ALERT_AFTER)
        return false;
    backfill_failing(d, ret);
    return true;
}
