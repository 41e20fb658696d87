/*
 * replay.c - see replay.h. A job takes one step after the other:
 *
 *   BOOKS (has something new failed?) -> PAGE (what is next?) -> DECIDE or GIVE -> KEEP -> later
 */
#include "flow/replay.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "store/fingerprint.h"

#define STEP_MOST  200 /* decided at once */
#define STEP_MS    100 /* between two steps */
#define AGAIN_MS   1000
#define STILL_MS   60000 /* that a step of one that was cancelled may take to end */
#define RUNNING    8     /* jobs at once */
#define REMEMBERED 50    /* jobs that have ended */

static void books(struct replay *r);

void replay_who(uint64_t id, const char *who, char out[80])
{
    snprintf(out, 80, "replay:%" PRIu64 " %.48s", id, who ? who : "");
}

uint64_t replay_due(uint32_t rate, uint64_t elapsed_ms, uint64_t released, uint64_t most)
{
    uint64_t allowed = rate ? elapsed_ms * rate / 1000 + 1 : released + most;
    uint64_t due = allowed > released ? allowed - released : 0;

    return due < most ? due : most;
}

static struct replay *find(const struct flow *f, uint64_t id)
{
    for (struct list *i = f->replays.next; i != &f->replays; i = i->next) {
        struct replay *r = list_entry(i, struct replay, node);
        if (r->id == id)
            return r;
    }
    return NULL;
}

/* ---- KEEP ---- */

static void keep(struct replay *r, void (*cb)(struct flow *f, void *ctx, int status), void *ctx)
{
    struct buf value = { 0 };
    char key[24];

    replay_encode(r, &value);
    snprintf(key, sizeof(key), "%" PRIu64, r->id);
    if (!value.failed)
        flow_fact(r->flow,
                  &(struct flow_fact){ .space = STR("replay"),
                                       .key = str_of(key),
                                       .value = buf_view(&value),
                                       .who = str_of(r->who),
                                       .why = str_of(r->why) },
                  cb, ctx);
    buf_finish(&value);
}

/** Those that ended long ago are forgotten, the oldest first. */
static void forget_old(struct flow *f)
{
    size_t ended = 0;

    list_each (i, &f->replays)
        ended += list_entry(i, struct replay, node)->state != REPLAY_RUNNING;
    list_each_safe (i, tmp, &f->replays) {
        struct replay *r = list_entry(i, struct replay, node);
        char key[24];
        if (ended <= REMEMBERED)
            break;
        if (r->state == REPLAY_RUNNING || r->ending || clock_wall_ms() - r->ended_ms < STILL_MS)
            continue;
        snprintf(key, sizeof(key), "%" PRIu64, r->id);
        flow_fact(f, &(struct flow_fact){ .space = STR("replay"), .key = str_of(key) }, NULL, NULL);
        list_remove(&r->node);
        replay_free(r);
        ended--;
    }
}

static void keep_end(struct replay *r);

static void on_keep_again(void *ctx, bool closing)
{
    if (!closing)
        keep_end(ctx);
}

/** Else it would go on at the next start. */
static void on_end_kept(struct flow *f, void *ctx, int status)
{
    struct replay *r = ctx;

    if (r->cancelled)
        r->cancelled(r->cancelled_ctx, status, r->id);
    r->cancelled = NULL;
    if (status < 0 && status != UV_ECANCELED)
        flow_later(f, AGAIN_MS, on_keep_again, r);
    else
        r->ending = false;
}

static void keep_end(struct replay *r)
{
    r->ending = true;
    keep(r, on_end_kept, r);
}

static void end(struct replay *r, enum replay_state state, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void end(struct replay *r, enum replay_state state, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(r->end, sizeof(r->end), fmt, ap);
    va_end(ap);
    r->state = state;
    r->ended_ms = clock_wall_ms();
    log_info(&r->flow->log, "replay %" PRIu64 " %s: done=%" PRIu64 " refused=%" PRIu64 "%s%s",
             r->id, replay_state_names[state], r->done, r->refused, r->end[0] ? " " : "", r->end);
    keep_end(r);
}

static void on_later(void *ctx, bool closing)
{
    struct replay *r = ctx;

    if (closing || r->flow->draining)
        return; /* it goes on at the next start */
    books(r);
}

static void later(struct replay *r, uint64_t ms)
{
    flow_later(r->flow, ms, on_later, r);
}

/** A question that was not answered: later again, unless the store is closing. */
static void ask_again(struct replay *r, int status)
{
    if (status == UV_ECANCELED)
        return;
    log_warn(&r->flow->log, "replay %" PRIu64 " waits: err=%s", r->id, uv_err_name(status));
    later(r, AGAIN_MS);
}

/* ---- the end of a step ---- */

static void on_kept(struct flow *f, void *ctx, int status)
{
    struct replay *r = ctx;

    (void)f;
    if (status == UV_ECANCELED)
        return;
    later(r, STEP_MS); /* not kept: the next step writes more */
}

static void step_done(struct replay *r)
{
    r->released += r->n;
    r->n = 0;
    keep(r, on_kept, r);
}

/** That was not about this one: it is tried again, not passed over. */
static bool is_passing(int status)
{
    return status < 0 && status != UV_EINVAL && status != UV_ENOENT && status != UV_EEXIST &&
           status != UV_EILSEQ;
}

/* ---- DECIDE: dead letters ---- */

static void on_decided(void *ctx, const struct decided *results, size_t n)
{
    struct replay *r = ctx;
    bool again = false;

    for (size_t i = 0; i < n; i++) {
        if (results[i].status == UV_ECANCELED)
            return;                             /* closing */
        again |= is_passing(results[i].status); /* from there on, as far as it is dead still */
        r->done += results[i].status == 0;
        r->edits_lost += results[i].status == 0 && results[i].edit_lost;
        if (results[i].status < 0)
            log_debug(&r->flow->log, "replay %" PRIu64 ": %" PRIu64 ".%u is not sent again: %s",
                      r->id, delivery_event(results[i].num), delivery_ordinal(results[i].num),
                      results[i].text);
        if (again)
            continue;
        r->refused += results[i].status < 0;
        if (results[i].num > r->filter.after)
            r->filter.after = results[i].num;
    }
    step_done(r);
}

static void decide(struct replay *r)
{
    struct decide d = {
        .what = DECISION_REPLAY,
        .who = str_of(r->who_text),
        .why = str_of(r->why),
        .remap = r->remap,
        .set_priority = 1 + r->priority,
        .nums = r->nums,
        .n = r->n,
    };
    int status = flow_decide(r->flow, &d, on_decided, r);

    if (status < 0)
        ask_again(r, status);
}

/* ---- GIVE: old events to a route ---- */

static void give_next(struct replay *r);

static void on_given(struct remap *m)
{
    struct replay *r = container_of(m, struct replay, give);

    if (m->status == UV_ECANCELED)
        return; /* closing */
    if (is_passing(m->status)) {
        later(r, AGAIN_MS); /* the step is made again, without those that are done */
        return;
    }
    if (m->status == 0)
        r->done++;
    else
        r->refused++;
    r->filter.after = r->nums[r->at++];
    give_next(r);
}

static void on_give(void *ctx, bool closing)
{
    struct replay *r = ctx;

    if (!closing && !r->flow->draining)
        remap_start(&r->give);
}

static void give_next(struct replay *r)
{
    if (r->at == r->n) {
        r->filter.after = r->next ? r->next : r->filter.after;
        step_done(r);
        return;
    }
    r->row = (struct store_delivery){
        .num = delivery_num(r->nums[r->at], DELIVERY_ORDINAL_MAX),
        .route = str_of(r->route),
    };
    r->give = (struct remap){
        .flow = r->flow,
        .row = &r->row,
        .who = str_of(r->who_text),
        .why = str_of(r->why),
        .backfill = true,
        .set_priority = 1 + r->priority,
        .done = on_given,
    };
    flow_later(r->flow, 0, on_give, r); /* what ends at once must not nest */
}

/* ---- PAGE ---- */

/** True: there is something to do with. */
static bool page(struct replay *r, int status, const uint64_t *nums, size_t n)
{
    if (status < 0) {
        ask_again(r, status);
        return false;
    }
    if (r->state != REPLAY_RUNNING) /* cancelled meanwhile */
        return false;
    if (n)
        memcpy(r->nums, nums, n * sizeof(*nums));
    r->n = n;
    r->at = 0;
    return true;
}

static void on_nums(void *ctx, int status, const uint64_t *nums, size_t n)
{
    struct replay *r = ctx;

    if (!page(r, status, nums, n))
        return;
    if (n == 0)
        end(r, REPLAY_DONE, "%s", "");
    else
        decide(r);
}

static void on_events(void *ctx, int status, const uint64_t *ids, size_t n, uint64_t next)
{
    struct replay *r = ctx;

    if (!page(r, status, ids, n))
        return;
    r->next = next;
    if (n == 0 && next == 0)
        end(r, REPLAY_DONE, "%s", "");
    else
        give_next(r);
}

/** Each topic with its endpoint: a topic of the one may be another thing of the other. */
static int
ask_of_several(struct flow *f, const struct conf_route *route, struct store_backfill *what,
               void (*cb)(void *ctx, int status, const uint64_t *ids, size_t n, uint64_t next),
               void *ctx)
{
    const char **topics, **endpoints;
    struct conf_from from;
    size_t n = 0, most = 0;
    int r;

    for (size_t i = 0; conf_route_from(route, i, &from); i++)
        most += from.n_topics;
    topics = mem_array(most + 1, sizeof(*topics));
    endpoints = mem_array(most + 1, sizeof(*endpoints));
    for (size_t i = 0; conf_route_from(route, i, &from); i++)
        for (size_t k = 0; k < from.n_topics; k++, n++) {
            topics[n] = from.topics[k];
            endpoints[n] = from.endpoint;
        }
    what->topics = topics;
    what->endpoints = endpoints;
    what->n_topics = n;
    r = store_backfill(f->store, what, cb, ctx);
    free(topics);
    free(endpoints);
    return r;
}

int replay_ask_events(struct replay *r, uint32_t most,
                      void (*cb)(void *ctx, int status, const uint64_t *ids, size_t n,
                                 uint64_t next),
                      void *ctx)
{
    const struct conf_route *route = config_route(r->flow->config, str_of(r->route));
    struct store_backfill what = {
        .route = r->route,
        .since_ms = r->filter.since_ms,
        .until_ms = r->filter.until_ms,
        .after = r->filter.after,
        .limit = most,
    };

    if (!route)
        return UV_ENOENT;
    if (route->n_also)
        return ask_of_several(r->flow, route, &what, cb, ctx);
    what.endpoint = route->from_endpoint;
    what.topics = (const char *const *)route->topics;
    what.n_topics = route->n_topics;
    return store_backfill(r->flow->store, &what, cb, ctx);
}

static void next_page(struct replay *r)
{
    uint64_t due = replay_due(r->rate, clock_mono_ms() - r->since_ms, r->released, STEP_MOST);
    int status;

    if (due == 0) {
        later(r, STEP_MS);
        return;
    }
    r->filter.limit = (uint32_t)due;
    status = r->route ? replay_ask_events(r, (uint32_t)due, on_events, r)
                      : store_select(r->flow->store, &r->filter, on_nums, r);
    if (status == UV_ENOENT)
        end(r, REPLAY_STOPPED, "route %.80s is no longer in the configuration", r->route);
    else if (status < 0)
        ask_again(r, status);
}

/* ---- BOOKS: what became of what was sent again ---- */

static bool is_known(const struct replay *r, const char *issue)
{
    uint64_t id = 0;

    if (!issue || fingerprint_parse(str_of(issue), &id) < 0)
        return true;
    for (size_t i = 0; i < r->n_known; i++)
        if (r->known[i] == id)
            return true;
    return false;
}

/** True: it ends here. */
static bool stops(struct replay *r, json_t *dead_again)
{
    uint64_t failures = 0;
    json_t *o;
    size_t i;

    json_array_foreach(dead_again, i, o)
    {
        const char *issue = json_string_value(json_object_get(o, "issue"));
        const char *reason = json_string_value(json_object_get(o, "reason"));
        const char *class_ = json_string_value(json_object_get(o, "class"));
        failures += (uint64_t)json_integer_value(json_object_get(o, "count"));
        if (is_known(r, issue))
            continue;
        end(r, REPLAY_STOPPED, "a new class of failure: issue %s (%s): %s", issue,
            class_ ? class_ : "", reason ? reason : "");
        return true;
    }
    if (!r->max_failures || failures <= r->max_failures)
        return false;
    end(r, REPLAY_STOPPED, "%" PRIu64 " of them died again, more than %" PRIu64, failures,
        r->max_failures);
    return true;
}

static void on_books(void *ctx, int status, sl_str json)
{
    struct replay *r = ctx;
    json_t *o;
    bool stopped;

    if (status < 0) {
        ask_again(r, status);
        return;
    }
    if (r->state != REPLAY_RUNNING)
        return;
    o = json_loadb(json.ptr, json.len, 0, NULL);
    stopped = stops(r, json_object_get(o, "dead_again"));
    json_decref(o);
    if (!stopped)
        next_page(r);
}

static void books(struct replay *r)
{
    struct store_filter f = { .id = r->id, .limit = 1 };
    int status;

    if (r->state != REPLAY_RUNNING)
        return;
    status = store_report(r->flow->store, REPORT_REPLAY, &f, on_books, r);
    if (status < 0)
        ask_again(r, status);
}

static void run(struct replay *r)
{
    replay_who(r->id, r->who, r->who_text);
    r->nums = mem_array(STEP_MOST, sizeof(*r->nums));
    r->since_ms = clock_mono_ms();
    r->released = 0;
    later(r, 0);
}

/* ---- begin ---- */

struct beginning {
    struct replay *replay;
    void (*cb)(void *ctx, int status, uint64_t id);
    void *ctx;
};

static void began(struct beginning *b, int status)
{
    if (status < 0)
        replay_free(b->replay);
    b->cb(b->ctx, status, status < 0 ? 0 : b->replay->id);
    free(b);
}

static void on_begun(struct flow *f, void *ctx, int status)
{
    struct beginning *b = ctx;
    struct replay *r = b->replay;

    if (status < 0) {
        list_remove(&r->node);
        began(b, status);
        return;
    }
    log_info(&f->log, "replay %" PRIu64 " begins: matched=%" PRIu64 " who=%s", r->id, r->matched,
             r->who);
    run(r);
    forget_old(f);
    began(b, 0);
}

/** What is being replayed is known: its issues, and how many. */
static void on_matched(void *ctx, int status, sl_str json)
{
    struct beginning *b = ctx;
    struct replay *r = b->replay;
    struct flow *f = r->flow;
    json_t *list, *o;
    size_t i;

    if (status < 0) {
        began(b, status);
        return;
    }
    list = json_loadb(json.ptr, json.len, 0, NULL);
    r->known = mem_array(json_array_size(list) + 1, sizeof(*r->known));
    json_array_foreach(list, i, o)
    {
        const char *issue = json_string_value(json_object_get(o, r->route ? "id" : "issue"));
        r->matched += r->route ? 0 : (uint64_t)json_integer_value(json_object_get(o, "count"));
        if (issue && fingerprint_parse(str_of(issue), &r->known[r->n_known]) == 0)
            r->n_known++;
    }
    json_decref(list);
    r->id = 1 +
            (list_empty(&f->replays) ? 0 : list_entry(f->replays.prev, struct replay, node)->id);
    list_append(&f->replays, &r->node);
    keep(r, on_begun, b);
}

static char *own(const char *text)
{
    return text && *text ? mem_str(text) : NULL;
}

struct replay *replay_new(struct flow *f, const struct replay_ask *ask)
{
    const struct store_filter *from = &ask->filter;
    struct replay *r = mem_zero(sizeof(*r));
    struct store_stats stats;

    store_stats(f->store, &stats);
    *r = (struct replay){
        .flow = f,
        .route = own(ask->route),
        .remap = ask->remap,
        .priority = ask->set_priority ? ask->set_priority - 1 : PRIORITY_LOW,
        .rate = ask->rate,
        .max_failures = ask->max_failures,
        .who = mem_dup(ask->who),
        .why = mem_dup(ask->why),
        .started_ms = clock_wall_ms(),
        .log_seq = stats.log_seq,
    };
    list_init(&r->node);
    r->filter = (struct store_filter){
        .state = ask->route ? NULL : mem_str(from->state ? from->state : "dead"),
        .route = own(from->route),
        .endpoint = own(from->endpoint),
        .subject = own(from->subject),
        .topic = own(from->topic),
        .hold_type = own(from->hold_type),
        .error = own(from->error),
        .issue = from->issue,
        .since_ms = from->since_ms,
        .until_ms = from->until_ms,
        .limit = 1000,
    };
    /* What dies while it runs is none of its: neither once more of it, nor what was mapped anew. */
    if (!r->filter.until_ms || r->filter.until_ms > r->started_ms)
        r->filter.until_ms = r->started_ms;
    return r;
}

int flow_replay(struct flow *f, const struct replay_ask *ask,
                void (*cb)(void *ctx, int status, uint64_t id), void *ctx)
{
    size_t running = 0;

    list_each (i, &f->replays)
        running += list_entry(i, struct replay, node)->state == REPLAY_RUNNING;
    if (f->draining)
        return UV_ECANCELED;
    if (!f->replays_read) /* its number may be one of theirs */
        return UV_EAGAIN;
    if (running >= RUNNING)
        return UV_EBUSY;
    if (ask->route && !config_route(f->config, str_of(ask->route)))
        return UV_ENOENT;
    struct replay *r = replay_new(f, ask);
    struct beginning *b = mem_zero(sizeof(*b));
    *b = (struct beginning){ r, cb, ctx };
    struct store_filter of_route = { .route = r->route, .limit = 1000 };
    int status = store_report(f->store, r->route ? REPORT_ISSUES : REPORT_REPLAYABLE,
                              r->route ? &of_route : &r->filter, on_matched, b);
    if (status < 0) {
        replay_free(r);
        free(b);
    }
    return status;
}

/* ---- end by hand, and looking ---- */

int flow_replay_cancel(struct flow *f, uint64_t id, sl_str who,
                       void (*cb)(void *ctx, int status, uint64_t id), void *ctx)
{
    struct replay *r = find(f, id);

    if (!r)
        return UV_ENOENT;
    if (r->state != REPLAY_RUNNING)
        return UV_EALREADY;
    r->cancelled = cb;
    r->cancelled_ctx = ctx;
    end(r, REPLAY_CANCELLED, "by " STR_FMT, STR_ARG(who));
    return 0;
}

int flow_replay_show(const struct flow *f, uint64_t id, struct buf *out)
{
    bool first = true;

    if (id) {
        const struct replay *r = find(f, id);
        if (r)
            replay_encode(r, out);
        return r ? 0 : UV_ENOENT;
    }
    buf_char(out, '[');
    for (struct list *i = f->replays.next; i != &f->replays; i = i->next) {
        if (!first)
            buf_char(out, ',');
        first = false;
        replay_encode(list_entry(i, struct replay, node), out);
    }
    buf_char(out, ']');
    return 0;
}

/* ---- over a restart ---- */

static void on_read_again(void *ctx, bool closing)
{
    if (!closing)
        replays_open(ctx);
}

static void on_states(void *ctx, int status, const struct store_state *states, size_t n)
{
    struct flow *f = ctx;

    if (status == UV_ECANCELED)
        return;
    if (status < 0) {
        log_error(&f->log, "replays of before cannot be read, asking again: err=%s",
                  uv_err_name(status));
        flow_later(f, AGAIN_MS, on_read_again, f);
        return;
    }
    f->replays_read = true;
    for (size_t i = 0; i < n; i++) {
        struct replay *r = replay_decode(states[i].value);
        struct list *at = &f->replays;
        if (!r)
            continue;
        r->flow = f;
        while (at->prev != &f->replays && list_entry(at->prev, struct replay, node)->id > r->id)
            at = at->prev; /* keys are texts: "10" comes before "9" */
        list_append(at, &r->node);
        if (r->state != REPLAY_RUNNING)
            continue;
        if (r->log_seq < store_restored_to(f->store))
            end(r, REPLAY_STOPPED, "the store was restored from a backup since");
        else
            run(r);
    }
}

void replays_open(struct flow *f)
{
    int r = store_state_list(f->store, STR("replay"), on_states, f);

    if (r < 0 && r != UV_ECANCELED)
        flow_later(f, AGAIN_MS, on_read_again, f);
}

void replays_close(struct flow *f)
{
    while (!list_empty(&f->replays)) {
        struct replay *r = list_entry(f->replays.next, struct replay, node);
        list_remove(&r->node);
        replay_free(r);
    }
}
