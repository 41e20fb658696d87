/*
 * store_query.c - the loop's side of the queries: copy the question, stage it, call back.
 */
#include <stdlib.h>
#include <uv.h>
#include "store/store_int.h"

/* ---- asking ---- */

struct query *store_query_create(enum query_type type, void *ctx)
{
    struct query *q = calloc(1, sizeof(*q));

    if (!q)
        return NULL;
    q->type = type;
    q->ctx = ctx;
    list_init(&q->node);
    return q;
}

int store_query_submit(struct store *s, struct query *q)
{
    int r = s->phase != STORE_OPEN ? UV_ECANCELED : q->arena.failed ? UV_ENOMEM : 0;

    if (r < 0) {
        query_destroy(q);
        return r;
    }
    q->position = q->any_position ? 0 : s->seen_seq;
    store_stage(s, &s->staged_queries, &q->node);
    return 0;
}

int store_claim(struct store *s, sl_str endpoint, uint8_t priority, uint64_t after_num,
                uint32_t limit,
                void (*cb)(void *ctx, int status, const struct store_delivery *d, size_t n),
                void *ctx)
{
    struct query *q = store_query_create(QUERY_CLAIM, ctx);

    if (!q)
        return UV_ENOMEM;
    q->endpoint = arena_str(&q->arena, endpoint);
    q->priority = priority;
    q->after = after_num;
    q->limit = limit;
    q->cb.claim = cb;
    return store_query_submit(s, q);
}

int store_delivery_get(struct store *s, uint64_t num,
                       void (*cb)(void *ctx, int status, const struct store_delivery *d,
                                  sl_str body, sl_str request),
                       void *ctx)
{
    struct query *q = store_query_create(QUERY_DELIVERY, ctx);

    if (!q)
        return UV_ENOMEM;
    q->id = num;
    q->cb.delivery = cb;
    return store_query_submit(s, q);
}

int store_bodies(struct store *s, const uint64_t *nums, size_t n, bool newest,
                 void (*cb)(void *ctx, int status, const struct store_body *b, size_t n), void *ctx)
{
    struct query *q = store_query_create(QUERY_BODIES, ctx);

    if (!q)
        return UV_ENOMEM;
    q->bodies = arena_alloc(&q->arena, (n ? n : 1) * sizeof(*q->bodies));
    for (size_t i = 0; q->bodies && i < n; i++)
        q->bodies[i] = (struct store_body){ .num = nums[i] };
    q->n_bodies = n;
    q->any_position = !newest;
    q->cb.bodies = cb;
    return store_query_submit(s, q);
}

int store_event_get(struct store *s, uint64_t id,
                    void (*cb)(void *ctx, int status, const struct store_event *e), void *ctx)
{
    struct query *q = store_query_create(QUERY_EVENT, ctx);

    if (!q)
        return UV_ENOMEM;
    q->id = id;
    q->cb.event = cb;
    return store_query_submit(s, q);
}

int store_unrouted(struct store *s, bool waiting, uint64_t after, uint32_t limit,
                   void (*cb)(void *ctx, int status, const uint64_t *ids, size_t n), void *ctx)
{
    struct query *q = store_query_create(QUERY_UNROUTED, ctx);

    if (!q)
        return UV_ENOMEM;
    q->waiting = waiting;
    q->after = after;
    q->limit = limit;
    q->cb.nums = cb;
    return store_query_submit(s, q);
}

int store_links(struct store *s, const struct rec_ref *refs, size_t n,
                void (*cb)(void *ctx, int status, const sl_str *subjects, size_t n), void *ctx)
{
    struct query *q = store_query_create(QUERY_LINKS, ctx);

    if (!q)
        return UV_ENOMEM;
    q->refs = arena_alloc(&q->arena, n * sizeof(*refs));
    for (size_t i = 0; q->refs && i < n; i++)
        q->refs[i] = (struct rec_ref){
            .endpoint = arena_str(&q->arena, refs[i].endpoint),
            .kind = arena_str(&q->arena, refs[i].kind),
            .id = arena_str(&q->arena, refs[i].id),
        };
    q->n_refs = n;
    q->cb.links = cb;
    return store_query_submit(s, q);
}

int store_batch_get(struct store *s, uint64_t batch,
                    void (*cb)(void *ctx, int status, sl_str token, const uint64_t *nums, size_t n),
                    void *ctx)
{
    struct query *q = store_query_create(QUERY_BATCH, ctx);

    if (!q)
        return UV_ENOMEM;
    q->id = batch;
    q->cb.batch = cb;
    return store_query_submit(s, q);
}

int store_state_list(struct store *s, sl_str space,
                     void (*cb)(void *ctx, int status, const struct store_state *states, size_t n),
                     void *ctx)
{
    struct query *q = store_query_create(QUERY_STATE, ctx);

    if (!q)
        return UV_ENOMEM;
    q->space = arena_str(&q->arena, space);
    q->cb.states = cb;
    return store_query_submit(s, q);
}

int store_state_page(struct store *s, sl_str space, sl_str prefix, sl_str after, uint32_t limit,
                     void (*cb)(void *ctx, int status, const struct store_state *states, size_t n),
                     void *ctx)
{
    struct query *q = store_query_create(QUERY_STATE, ctx);

    if (!q)
        return UV_ENOMEM;
    q->space = arena_str(&q->arena, space);
    q->prefix = arena_str(&q->arena, prefix);
    q->from = arena_str(&q->arena, after);
    q->limit = limit;
    q->cb.states = cb;
    return store_query_submit(s, q);
}

int store_siblings(struct store *s, uint64_t event,
                   void (*cb)(void *ctx, int status, const struct store_delivery *d, size_t n),
                   void *ctx)
{
    struct query *q = store_query_create(QUERY_SIBLINGS, ctx);

    if (!q)
        return UV_ENOMEM;
    q->id = event;
    q->cb.claim = cb;
    return store_query_submit(s, q);
}

int store_dead(struct store *s, sl_str route, uint64_t after_num, uint32_t limit,
               void (*cb)(void *ctx, int status, const struct store_delivery *d, size_t n),
               void *ctx)
{
    struct query *q = store_query_create(QUERY_DEAD, ctx);

    if (!q)
        return UV_ENOMEM;
    q->made.route = arena_str(&q->arena, route);
    q->after = after_num;
    q->limit = limit;
    q->cb.claim = cb;
    return store_query_submit(s, q);
}

int store_about(struct store *s, const struct store_about *about,
                void (*cb)(void *ctx, int status, const struct store_delivery *d, size_t n),
                void *ctx)
{
    struct query *q = store_query_create(QUERY_ABOUT, ctx);

    if (!q)
        return UV_ENOMEM;
    q->made = *about;
    q->made.route = arena_str(&q->arena, about->route);
    q->made.subject = arena_str(&q->arena, about->subject);
    q->made.piece = arena_str(&q->arena, about->piece);
    q->limit = about->limit;
    q->cb.claim = cb;
    return store_query_submit(s, q);
}

int store_chain(struct store *s, const struct store_chain *chain,
                void (*cb)(void *ctx, int status, const struct store_delivery *d, size_t n),
                void *ctx)
{
    struct query *q = store_query_create(QUERY_CHAIN, ctx);

    if (!q)
        return UV_ENOMEM;
    q->made.route = arena_str(&q->arena, chain->route);
    q->made.subject = arena_str(&q->arena, chain->subject);
    q->made.piece = arena_str(&q->arena, chain->piece);
    q->after = chain->from;
    q->before = chain->before;
    q->limit = chain->limit;
    q->cb.claim = cb;
    return store_query_submit(s, q);
}

static const char *copy(struct arena *a, const char *text)
{
    return text ? arena_str(a, str_of(text)).ptr : NULL;
}

static void set_filter(struct query *q, const struct store_filter *f)
{
    struct store_filter none = { .limit = 1000 };

    q->filter = f ? *f : none;
    q->filter.state = copy(&q->arena, q->filter.state);
    q->filter.endpoint = copy(&q->arena, q->filter.endpoint);
    q->filter.route = copy(&q->arena, q->filter.route);
    q->filter.subject = copy(&q->arena, q->filter.subject);
    q->filter.topic = copy(&q->arena, q->filter.topic);
    q->filter.owner = copy(&q->arena, q->filter.owner);
    q->filter.hold_type = copy(&q->arena, q->filter.hold_type);
    q->filter.error = copy(&q->arena, q->filter.error);
    q->filter.piece = copy(&q->arena, q->filter.piece);
}

int store_report(struct store *s, enum store_report what, const struct store_filter *filter,
                 void (*cb)(void *ctx, int status, sl_str json), void *ctx)
{
    struct query *q = store_query_create(QUERY_REPORT, ctx);

    if (!q)
        return UV_ENOMEM;
    q->what = what;
    set_filter(q, filter);
    q->cb.report = cb;
    return store_query_submit(s, q);
}

int store_select(struct store *s, const struct store_filter *filter,
                 void (*cb)(void *ctx, int status, const uint64_t *nums, size_t n), void *ctx)
{
    struct query *q = store_query_create(QUERY_SELECT, ctx);

    if (!q)
        return UV_ENOMEM;
    set_filter(q, filter);
    q->cb.nums = cb;
    return store_query_submit(s, q);
}

static const char *const *copies(struct arena *a, const char *const *texts, size_t n)
{
    const char **own = texts ? arena_alloc(a, (n + 1) * sizeof(*own)) : NULL;

    for (size_t i = 0; own && i < n; i++)
        own[i] = copy(a, texts[i]);
    return own;
}

int store_backfill(struct store *s, const struct store_backfill *what,
                   void (*cb)(void *ctx, int status, const uint64_t *ids, size_t n, uint64_t next),
                   void *ctx)
{
    struct query *q = store_query_create(QUERY_BACKFILL, ctx);

    if (!q)
        return UV_ENOMEM;
    q->backfill = *what;
    q->backfill.endpoint = copy(&q->arena, what->endpoint);
    q->backfill.route = copy(&q->arena, what->route);
    q->backfill.topics = copies(&q->arena, what->topics, what->n_topics);
    q->backfill.endpoints = copies(&q->arena, what->endpoints, what->n_topics);
    q->cb.backfill = cb;
    return store_query_submit(s, q);
}

/* ---- about persons ---- */

int store_privacy_list(struct store *s, uint64_t after, bool open, uint32_t limit,
                       void (*cb)(void *ctx, int status, const struct store_privacy *p, size_t n),
                       void *ctx)
{
    struct query *q = store_query_create(QUERY_PRIVACY, ctx);

    if (!q)
        return UV_ENOMEM;
    q->after = after;
    q->waiting = open;
    q->limit = limit;
    q->cb.privacies = cb;
    return store_query_submit(s, q);
}

static sl_str *texts_of(struct arena *a, const sl_str *texts, size_t n)
{
    sl_str *own = arena_alloc(a, (n ? n : 1) * sizeof(*own));

    for (size_t i = 0; own && i < n; i++)
        own[i] = arena_str(a, texts[i]);
    return own;
}

static int by_text(const void *a, const void *b)
{
    return index_text_order(*(const sl_str *)a, *(const sl_str *)b);
}

int store_private_find(struct store *s, const struct store_private *what,
                       void (*cb)(void *ctx, int status, const struct store_found *found, size_t n,
                                  const uint64_t *stopped, size_t n_stopped, uint64_t next),
                       void *ctx)
{
    struct query *q = store_query_create(QUERY_PRIVATE, ctx);
    struct arena *a = q ? &q->arena : NULL;
    sl_str *subjects;

    if (!q)
        return UV_ENOMEM;
    q->private = *what;
    q->private.endpoint = arena_str(a, what->endpoint);
    q->private.subjects = subjects = texts_of(a, what->subjects, what->n_subjects);
    q->private.values = texts_of(a, what->values, what->n_values);
    q->private.apart = texts_of(a, what->apart, what->n_apart);
    q->refs = arena_alloc(a, (what->n_refs ? what->n_refs : 1) * sizeof(*q->refs));
    for (size_t i = 0; q->refs && i < what->n_refs; i++)
        q->refs[i] = (struct rec_ref){ .endpoint = arena_str(a, what->refs[i].endpoint),
                                       .kind = arena_str(a, what->refs[i].kind),
                                       .id = arena_str(a, what->refs[i].id) };
    q->n_refs = what->n_refs;
    q->private.refs = NULL;
    if (subjects && !a->failed)
        qsort(subjects, what->n_subjects, sizeof(*subjects), by_text);
    q->cb.found = cb;
    return store_query_submit(s, q);
}

int store_wipe(struct store *s, void (*cb)(void *ctx, int status, bool again), void *ctx)
{
    struct query *q = store_query_create(QUERY_WIPE, ctx);

    if (!q)
        return UV_ENOMEM;
    q->cb.wiped = cb;
    return store_query_submit(s, q);
}

/* ---- answered ---- */

void store_query_complete(struct query *q)
{
    const sl_str none = STR("");
    bool ok = q->status == 0;

    switch (q->type) {
    case QUERY_CLAIM:
    case QUERY_SIBLINGS:
    case QUERY_DEAD:
    case QUERY_ABOUT:
    case QUERY_CHAIN:
        q->cb.claim(q->ctx, q->status, q->deliveries, q->n);
        break;
    case QUERY_DELIVERY:
        q->cb.delivery(q->ctx, q->status, ok ? q->deliveries : NULL, ok ? q->body : none,
                       ok ? q->request : none);
        break;
    case QUERY_BODIES:
        q->cb.bodies(q->ctx, q->status, ok ? q->bodies : NULL, ok ? q->n_bodies : 0);
        break;
    case QUERY_EVENT:
        q->cb.event(q->ctx, q->status, ok ? &q->event : NULL);
        break;
    case QUERY_UNROUTED:
    case QUERY_SELECT:
        q->cb.nums(q->ctx, q->status, q->nums, q->n);
        break;
    case QUERY_BACKFILL:
        q->cb.backfill(q->ctx, q->status, q->nums, q->n, q->next);
        break;
    case QUERY_LINKS:
        q->cb.links(q->ctx, q->status, ok ? q->subjects : NULL, ok ? q->n_refs : 0);
        break;
    case QUERY_BATCH:
        q->cb.batch(q->ctx, q->status, ok ? q->token : none, q->nums, q->n);
        break;
    case QUERY_DUE:
        q->cb.due(q->ctx, q->status, q->dues, q->n, q->horizon_ms);
        break;
    case QUERY_DEADLINES:
        q->cb.deadlines(q->ctx, q->status, q->deadlines, q->n_deadlines);
        break;
    case QUERY_ENDS:
        q->cb.ends(q->ctx, q->status,
                   ok ? &(struct store_ends){ q->deliveries, q->n, q->deadlines, q->n_deadlines }
                      : NULL);
        break;
    case QUERY_CAME:
        q->cb.came(q->ctx, q->status, q->came, q->n);
        break;
    case QUERY_STATE:
        q->cb.states(q->ctx, q->status, q->states, q->n);
        break;
    case QUERY_PRIVACY:
        q->cb.privacies(q->ctx, q->status, q->privacies, q->n);
        break;
    case QUERY_PRIVATE:
        q->cb.found(q->ctx, q->status, q->found, q->n_found, q->nums, q->n, q->next);
        break;
    case QUERY_WIPE:
        q->cb.wiped(q->ctx, q->status, q->next != 0);
        break;
    case QUERY_REPORT:
        q->cb.report(q->ctx, q->status, ok ? (sl_str){ q->json, q->json_len } : none);
        break;
    }
    query_destroy(q);
}
