/*
 * await_ends.c - what an event ends: holds that it releases or rejects, deadlines that it meets;
 * and the records of that. Before it: await.c.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/await_state.h"
#include "flow/deadline.h"
#include "flow/hold.h"

#define BUSY_MS 50

void await_forget_held(struct await *w)
{
    for (size_t i = 0; i < w->n_held; i++)
        free(w->held[i].type);
    free(w->held);
    for (size_t i = 0; i < w->n_met; i++)
        deadline_free(w->rt->flow, w->met[i]);
    free(w->met);
    w->held = NULL;
    w->met = NULL;
    w->n_held = w->n_met = 0;
}

/* ---- DECIDE ---- */

static void on_prepared(void *ctx, struct deciding *a, const struct rec_moves *moves)
{
    struct await *w = ctx;

    w->deciding = a;
    buf_clear(&w->decision);
    if (flow_decide_busy(a)) { /* somebody else is about to move one of them: look again then */
        await_end(w->rt, NULL, UV_EAGAIN);
        await_forget_held(w);
        await_again(w, await_ask_ends, BUSY_MS);
        return;
    }
    if (moves->n_moves)
        rec_moves_encode(&w->decision, moves);
    await_settle(w);
}

static void on_decided(void *ctx, const struct decided *results, size_t n)
{
    (void)ctx;
    (void)results;
    (void)n;
}

static void decide(struct await *w)
{
    const struct event *e = w->rt->event;
    uint64_t *nums = mem_array(w->n_held + 1, sizeof(*nums));
    enum decision *each = mem_array(w->n_held + 1, sizeof(*each));
    const char **types = mem_array(w->n_held + 1, sizeof(*types));
    struct buf who = { 0 }, why = { 0 };
    bool rejects = true;
    size_t n = 0;

    for (size_t i = 0; i < w->n_held; i++)
        for (size_t k = 0; k < w->n_judged; k++)
            if (w->judged[k].hold == w->held[i].hold && w->judged[k].what != JUDGED_STAYS) {
                nums[n] = w->held[i].num;
                types[n] = w->held[i].type;
                each[n] = w->judged[k].what == JUDGED_REJECT ? DECISION_REJECT : DECISION_RELEASE;
                rejects &= each[n++] == DECISION_REJECT;
            }
    buf_printf(&who, "event %" PRIu64, e->id);
    buf_printf(&why, "%sevent %" PRIu64 ": " STR_FMT, rejects ? "rejected by " : "", e->id,
               STR_ARG(e->topic));
    struct decide d = { .who = buf_view(&who),
                        .why = buf_view(&why),
                        .nums = nums,
                        .n = n,
                        .each = each,
                        .types = types,
                        .prepared = on_prepared };
    if (!n || flow_decide(w->rt->flow, &d, on_decided, w) < 0)
        await_settle(w);
    free(nums);
    free(each);
    free(types);
    buf_finish(&who);
    buf_finish(&why);
}

/* ---- ENDS ---- */

static bool is_expected(const struct store_deadline *d, sl_str topic)
{
    sl_str rest = d->expect;

    while (rest.len) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        sl_str one = { rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len };
        char *text = mem_dup(one);
        bool fits = conf_topic_matches(&text, 1, topic);
        free(text);
        if (fits)
            return true;
        rest.ptr += one.len + (end != NULL);
        rest.len -= one.len + (end != NULL);
    }
    return false;
}

/** All that it is known to come of; else the first due of its subject: one event, one parcel.
 * False: one of them is about to end otherwise. */
static bool meet(struct await *w, const struct store_ends *e)
{
    bool linked = false;

    w->met = mem_array(e->n_deadlines + 1, sizeof(*w->met));
    for (size_t i = 0; i < e->n_deadlines; i++) {
        const struct store_deadline *d = &e->deadlines[i];
        if (!is_expected(d, w->rt->event->topic) || (!d->linked && (linked || w->n_met)))
            continue;
        linked |= d->linked;
        if (!deadline_take(w->rt->flow, d->num))
            return false;
        w->met[w->n_met++] = d->num;
    }
    return true;
}

static void add_held(struct await *w, const struct store_delivery *row)
{
    struct flow *f = w->rt->flow;
    const struct conf_hold *h = hold_of(config_route(w->rt->config, row->route), row->hold_type);

    if (!h || !conf_topic_matches(h->until, h->n_until, w->rt->event->topic))
        return;
    if (delivery_event(row->num) <= store_restored_to(f->store) ||
        delivery_event(row->num) == w->rt->event->id)
        return; /* what was held in the backup may have been sent since: a person decides */
    w->held = mem_grow(w->held, (w->n_held + 1) * sizeof(*w->held));
    w->held[w->n_held++] =
        (struct held_row){ .num = row->num, .type = mem_dup(row->hold_type), .hold = h };
    await_add_judged(w, h);
}

static void on_ends(void *ctx, int status, const struct store_ends *e)
{
    struct await *w = ctx;

    if (await_failed(w, status, await_ask_ends))
        return;
    w->n_judged = 0;
    await_forget_held(w);
    if (!meet(w, e)) {
        await_forget_held(w);
        await_again(w, await_ask_ends, BUSY_MS);
        return;
    }
    for (size_t i = 0; i < e->n_held; i++)
        add_held(w, &e->held[i]);
    if (w->n_judged)
        await_judge(w, w->rt->event->body, w->rt->event->received_ms, decide, await_ask_ends);
    else
        await_settle(w);
}

static bool is_awaited(const struct config *c, sl_str topic)
{
    for (size_t i = 0; i < c->n_routes; i++) {
        const struct conf_route *r = &c->routes[i];
        const struct conf_hold *holds[] = { r->hold, r->wait };
        for (size_t k = 0; k < 2; k++)
            if (holds[k] && conf_topic_matches(holds[k]->until, holds[k]->n_until, topic))
                return true;
        for (size_t k = 0; k < r->n_targets; k++) {
            const struct conf_hold *h = r->targets[k].hold;
            if (h && conf_topic_matches(h->until, h->n_until, topic))
                return true;
        }
        if (r->deadline && conf_topic_matches(r->deadline->expect, r->deadline->n_expect, topic))
            return true;
    }
    return false;
}

bool await_may_end(const struct routing *rt)
{
    return rt->n_abouts && !rt->remap && !rt->undescribed &&
           is_awaited(rt->flow->config, rt->event->topic);
}

void await_ask_ends(struct await *w)
{
    struct routing *rt = w->rt;
    sl_str subjects[MAX_ABOUTS];
    struct rec_ref *refs;
    int r;

    if (!await_may_end(rt)) {
        await_settle(w);
        return;
    }
    refs = mem_array(rt->n_refs + 1, sizeof(*refs));
    for (size_t i = 0; i < rt->n_abouts; i++)
        subjects[i] = str_of(rt->abouts[i].subject);
    for (size_t i = 0; i < rt->n_refs; i++)
        refs[i] = (struct rec_ref){ rt->event->endpoint, str_of(rt->refs[i].kind),
                                    str_of(rt->refs[i].id) };
    r = store_ends(rt->flow->store, subjects, rt->n_abouts, rt->event->cause, refs, rt->n_refs,
                   on_ends, w);
    free(refs);
    await_failed(w, r, await_ask_ends);
}

/* ---- the records ---- */

/* The event may repeat another, which only the log knows: then it ends nothing, even if that one
 * found nothing to end. But what was looked up is the source's word of now: it lets go even what a
 * known event did not. */
void await_record(struct routing *rt, struct commit *c)
{
    struct await *w = rt->await;
    struct rec_deadlines rec = { .at_ms = clock_wall_ms() };
    struct store_record *to;

    if (!w)
        return;
    w->at_decision = w->at_met = 0;
    if (w->n_met) {
        rec.items = mem_array(w->n_met, sizeof(*rec.items));
        for (size_t i = 0; i < w->n_met; i++)
            rec.items[rec.n_items++] = (struct rec_deadline){ .num = w->met[i],
                                                              .what = DEADLINE_MET,
                                                              .event = rt->event->id };
        w->at_met = c->append.n;
        to = commit_record(c, REC_DEADLINE);
        to->follows = true;
        rec_deadlines_encode(&to->payload, &rec);
        free(rec.items);
    }
    if (w->decision.len) {
        w->at_decision = c->append.n;
        to = commit_record(c, REC_DECISION);
        to->follows = rt->event->origin != EO_POLLED;
        buf_str(&to->payload, buf_view(&w->decision));
    }
}

void await_end(struct routing *rt, const struct commit *c, int status)
{
    struct await *w = rt->await;
    struct deciding *a = w ? w->deciding : NULL;

    if (!w)
        return;
    if (c && status == 0 && w->at_met && !c->records[w->at_met].refused)
        rt->flow->stats.deadlines_met += w->n_met;
    for (size_t i = 0; i < w->n_met; i++)
        deadline_free(rt->flow, w->met[i]);
    w->n_met = 0;
    if (status == 0 && (!c || !w->at_decision || c->records[w->at_decision].refused))
        status = UV_ECANCELED;
    w->deciding = NULL;
    w->at_decision = w->at_met = 0; /* a duplicate's record, which may follow, has none of them */
    if (a)
        flow_decided(a, status);
}
