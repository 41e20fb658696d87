/*
 * store_query.c - the questions of store.h: how they are asked, and how who asked is called back.
 * What is answered is store_answer.c, and when, store_sim.c.
 */
#include "store_query.h"

#include <string.h>

void query_tell(struct query *q, int status)
{
    size_t n = status < 0 ? 0 : q->n;

    switch (q->what) {
    case ASK_CLAIM:
    case ASK_SIBLINGS:
    case ASK_DEAD:
    case ASK_ABOUT:
    case ASK_CHAIN:
        q->cb.claim(q->ctx, status, q->rows, n);
        break;
    case ASK_DELIVERY:
        q->cb.delivery(q->ctx, status, status < 0 ? NULL : q->rows, q->body, q->request);
        break;
    case ASK_BODIES:
        q->cb.bodies(q->ctx, status, q->bodies, n);
        break;
    case ASK_EVENT:
        q->cb.event(q->ctx, status, status < 0 ? NULL : &q->event);
        break;
    case ASK_NUMS:
    case ASK_SELECT:
        q->cb.nums(q->ctx, status, q->nums, n);
        break;
    case ASK_LINKS:
        q->cb.links(q->ctx, status, q->subjects, n);
        break;
    case ASK_BATCH:
        q->cb.batch(q->ctx, status, q->token, q->nums, n);
        break;
    case ASK_DUE:
        q->cb.due(q->ctx, status, q->dues, n, q->horizon_ms);
        break;
    case ASK_DEADLINES:
        q->cb.deadlines(q->ctx, status, q->deadlines, status < 0 ? 0 : q->n_deadlines);
        break;
    case ASK_ENDS:
        q->cb.ends(q->ctx, status,
                   status < 0 ? NULL
                              : &(struct store_ends){ q->rows, n, q->deadlines, q->n_deadlines });
        break;
    case ASK_CAME:
        q->cb.came(q->ctx, status, q->came, n);
        break;
    case ASK_STATE:
        q->cb.states(q->ctx, status, q->states, n);
        break;
    case ASK_BACKFILL:
        q->cb.backfill(q->ctx, status, q->nums, n, status < 0 ? 0 : q->next);
        break;
    case ASK_PRIVACY:
        q->cb.privacies(q->ctx, status, NULL, 0);
        break;
    case ASK_SUMMARY:
    case ASK_REPLAYABLE:
    case ASK_ISSUES:
    case ASK_REPLAY:
        q->cb.report(q->ctx, status, q->json);
        break;
    }
}

int store_claim(struct store *s, sl_str endpoint, uint8_t priority, uint64_t after_num,
                uint32_t limit,
                void (*cb)(void *ctx, int status, const struct store_delivery *d, size_t n),
                void *ctx)
{
    struct query *q = query_new(s, ASK_CLAIM, ctx);

    if (!q)
        return UV_ECANCELED;
    q->endpoint = arena_str(&s->t.arena, endpoint);
    q->priority = priority;
    q->after = after_num;
    q->limit = limit;
    q->cb.claim = cb;
    return 0;
}

int store_delivery_get(struct store *s, uint64_t num,
                       void (*cb)(void *ctx, int status, const struct store_delivery *d,
                                  sl_str body, sl_str request),
                       void *ctx)
{
    struct query *q = query_new(s, ASK_DELIVERY, ctx);

    if (!q)
        return UV_ECANCELED;
    q->id = num;
    q->cb.delivery = cb;
    return 0;
}

int store_bodies(struct store *s, const uint64_t *nums, size_t n, bool newest,
                 void (*cb)(void *ctx, int status, const struct store_body *b, size_t n), void *ctx)
{
    struct query *q = query_new(s, ASK_BODIES, ctx);

    (void)newest; /* there is no index behind */
    if (!q)
        return UV_ECANCELED;
    q->bodies = room(s, n * sizeof(*q->bodies));
    for (size_t i = 0; i < n; i++)
        q->bodies[i] = (struct store_body){ .num = nums[i] };
    q->n = n;
    q->cb.bodies = cb;
    return 0;
}

int store_siblings(struct store *s, uint64_t event,
                   void (*cb)(void *ctx, int status, const struct store_delivery *d, size_t n),
                   void *ctx)
{
    struct query *q = query_new(s, ASK_SIBLINGS, ctx);

    if (!q)
        return UV_ECANCELED;
    q->id = event;
    q->cb.claim = cb;
    return 0;
}

int store_dead(struct store *s, sl_str route, uint64_t after_num, uint32_t limit,
               void (*cb)(void *ctx, int status, const struct store_delivery *d, size_t n),
               void *ctx)
{
    struct query *q = query_new(s, ASK_DEAD, ctx);

    if (!q)
        return UV_ECANCELED;
    q->made.route = arena_str(&s->t.arena, route);
    q->after = after_num;
    q->limit = limit;
    q->cb.claim = cb;
    return 0;
}

int store_about(struct store *s, const struct store_about *about,
                void (*cb)(void *ctx, int status, const struct store_delivery *d, size_t n),
                void *ctx)
{
    struct query *q = query_new(s, ASK_ABOUT, ctx);

    if (!q)
        return UV_ECANCELED;
    q->made = *about;
    q->made.route = arena_str(&s->t.arena, about->route);
    q->made.subject = arena_str(&s->t.arena, about->subject);
    q->made.piece = arena_str(&s->t.arena, about->piece);
    q->limit = about->limit;
    q->cb.claim = cb;
    return 0;
}

int store_chain(struct store *s, const struct store_chain *chain,
                void (*cb)(void *ctx, int status, const struct store_delivery *d, size_t n),
                void *ctx)
{
    struct query *q = query_new(s, ASK_CHAIN, ctx);

    if (!q)
        return UV_ECANCELED;
    q->made.route = arena_str(&s->t.arena, chain->route);
    q->made.subject = arena_str(&s->t.arena, chain->subject);
    q->made.piece = arena_str(&s->t.arena, chain->piece);
    q->after = chain->from;
    q->before = chain->before;
    q->limit = chain->limit;
    q->cb.claim = cb;
    return 0;
}

int store_event_get(struct store *s, uint64_t id,
                    void (*cb)(void *ctx, int status, const struct store_event *e), void *ctx)
{
    struct query *q = query_new(s, ASK_EVENT, ctx);

    if (!q)
        return UV_ECANCELED;
    q->id = id;
    q->cb.event = cb;
    return 0;
}

int store_unrouted(struct store *s, bool waiting, uint64_t after, uint32_t limit,
                   void (*cb)(void *ctx, int status, const uint64_t *ids, size_t n), void *ctx)
{
    struct query *q = query_new(s, ASK_NUMS, ctx);

    if (!q)
        return UV_ECANCELED;
    q->waiting = waiting;
    q->after = after;
    q->limit = limit;
    q->cb.nums = cb;
    return 0;
}

int store_links(struct store *s, const struct rec_ref *refs, size_t n,
                void (*cb)(void *ctx, int status, const sl_str *subjects, size_t n), void *ctx)
{
    struct query *q = query_new(s, ASK_LINKS, ctx);

    if (!q)
        return UV_ECANCELED;
    q->refs = room(s, n * sizeof(*refs));
    q->n = n;
    for (size_t i = 0; i < n; i++)
        q->refs[i] = (struct rec_ref){ arena_str(&s->t.arena, refs[i].endpoint),
                                       arena_str(&s->t.arena, refs[i].kind),
                                       arena_str(&s->t.arena, refs[i].id) };
    q->cb.links = cb;
    return 0;
}

int store_batch_get(struct store *s, uint64_t batch,
                    void (*cb)(void *ctx, int status, sl_str token, const uint64_t *nums, size_t n),
                    void *ctx)
{
    struct query *q = query_new(s, ASK_BATCH, ctx);

    if (!q)
        return UV_ECANCELED;
    q->id = batch;
    q->cb.batch = cb;
    return 0;
}

int store_due(struct store *s, uint32_t limit,
              void (*cb)(void *ctx, int status, const struct store_due *d, size_t n,
                         int64_t horizon_ms),
              void *ctx)
{
    struct query *q = query_new(s, ASK_DUE, ctx);

    if (!q)
        return UV_ECANCELED;
    q->limit = limit;
    q->cb.due = cb;
    return 0;
}

int store_deadlines(struct store *s, const uint64_t *nums, size_t n,
                    void (*cb)(void *ctx, int status, const struct store_deadline *d, size_t n),
                    void *ctx)
{
    struct query *q = query_new(s, ASK_DEADLINES, ctx);

    if (!q)
        return UV_ECANCELED;
    q->nums = memcpy(room(s, n * sizeof(*nums)), nums, n * sizeof(*nums));
    q->n = n;
    q->cb.deadlines = cb;
    return 0;
}

int store_ends(struct store *s, const sl_str *subjects, size_t n, uint64_t cause,
               const struct rec_ref *refs, size_t n_refs,
               void (*cb)(void *ctx, int status, const struct store_ends *e), void *ctx)
{
    struct query *q = query_new(s, ASK_ENDS, ctx);

    if (!q)
        return UV_ECANCELED;
    q->about = room(s, (n + 1) * sizeof(*q->about));
    for (size_t i = 0; i < n; i++)
        q->about[i] = arena_str(&s->t.arena, subjects[i]);
    q->n_about = n;
    q->refs = room(s, (n_refs + 1) * sizeof(*refs));
    for (size_t i = 0; i < n_refs; i++)
        q->refs[i] = (struct rec_ref){ arena_str(&s->t.arena, refs[i].endpoint),
                                       arena_str(&s->t.arena, refs[i].kind),
                                       arena_str(&s->t.arena, refs[i].id) };
    q->n = n_refs;
    q->id = cause;
    q->cb.ends = cb;
    return 0;
}

int store_came(struct store *s, sl_str subject, uint32_t limit,
               void (*cb)(void *ctx, int status, const struct store_came *c, size_t n), void *ctx)
{
    struct query *q = query_new(s, ASK_CAME, ctx);

    if (!q)
        return UV_ECANCELED;
    q->endpoint = arena_str(&s->t.arena, subject);
    q->limit = limit;
    q->cb.came = cb;
    return 0;
}

int store_state_list(struct store *s, sl_str space,
                     void (*cb)(void *ctx, int status, const struct store_state *states, size_t n),
                     void *ctx)
{
    struct query *q = query_new(s, ASK_STATE, ctx);

    if (!q)
        return UV_ECANCELED;
    q->endpoint = arena_str(&s->t.arena, space);
    q->cb.states = cb;
    return 0;
}

static const char *keep(struct store *s, const char *text)
{
    return text ? arena_str(&s->t.arena, str_of(text)).ptr : NULL;
}

static void keep_filter(struct store *s, struct query *q, const struct store_filter *f)
{
    q->filter = *f;
    q->filter.state = keep(s, f->state);
    q->filter.endpoint = keep(s, f->endpoint);
    q->filter.route = keep(s, f->route);
    q->filter.subject = keep(s, f->subject);
    q->filter.topic = keep(s, f->topic);
    q->filter.piece = keep(s, f->piece);
}

int store_select(struct store *s, const struct store_filter *filter,
                 void (*cb)(void *ctx, int status, const uint64_t *nums, size_t n), void *ctx)
{
    struct query *q = query_new(s, ASK_SELECT, ctx);

    if (!q)
        return UV_ECANCELED;
    keep_filter(s, q, filter);
    q->cb.nums = cb;
    return 0;
}

int store_report(struct store *s, enum store_report what, const struct store_filter *filter,
                 void (*cb)(void *ctx, int status, sl_str json), void *ctx)
{
    enum asked asked = what == REPORT_SUMMARY      ? ASK_SUMMARY
                       : what == REPORT_REPLAYABLE ? ASK_REPLAYABLE
                       : what == REPORT_ISSUES     ? ASK_ISSUES
                                                   : ASK_REPLAY;
    struct query *q = asked != ASK_REPLAY || what == REPORT_REPLAY ? query_new(s, asked, ctx)
                                                                   : NULL;

    if (!q)
        return UV_ECANCELED; /* what only people ask for: nobody does here */
    if (filter)
        keep_filter(s, q, filter);
    q->cb.report = cb;
    return 0;
}

int store_privacy_list(struct store *s, uint64_t after, bool open, uint32_t limit,
                       void (*cb)(void *ctx, int status, const struct store_privacy *p, size_t n),
                       void *ctx)
{
    struct query *q = query_new(s, ASK_PRIVACY, ctx);

    (void)after;
    (void)open;
    (void)limit;
    if (!q)
        return UV_ECANCELED;
    q->cb.privacies = cb;
    return 0;
}

int store_private_find(struct store *s, const struct store_private *what,
                       void (*cb)(void *ctx, int status, const struct store_found *found, size_t n,
                                  const uint64_t *stopped, size_t n_stopped, uint64_t next),
                       void *ctx)
{
    (void)s;
    (void)what;
    (void)cb;
    (void)ctx;
    return UV_ENOTSUP;
}

int store_wipe(struct store *s, void (*cb)(void *ctx, int status, bool again), void *ctx)
{
    (void)s;
    (void)cb;
    (void)ctx;
    return UV_ENOTSUP;
}

int store_backfill(struct store *s, const struct store_backfill *what,
                   void (*cb)(void *ctx, int status, const uint64_t *ids, size_t n, uint64_t next),
                   void *ctx)
{
    struct query *q = query_new(s, ASK_BACKFILL, ctx);
    const char **topics, **endpoints;

    if (!q)
        return UV_ECANCELED;
    q->backfill = *what;
    q->backfill.route = keep(s, what->route);
    q->backfill.endpoint = keep(s, what->endpoint);
    q->backfill.topics = topics = room(s, (what->n_topics + 1) * sizeof(*topics));
    for (size_t i = 0; i < what->n_topics; i++)
        topics[i] = keep(s, what->topics[i]);
    if (what->endpoints) {
        q->backfill.endpoints = endpoints = room(s, (what->n_topics + 1) * sizeof(*endpoints));
        for (size_t i = 0; i < what->n_topics; i++)
            endpoints[i] = keep(s, what->endpoints[i]);
    }
    q->cb.backfill = cb;
    return 0;
}
