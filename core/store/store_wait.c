/*
 * store_wait.c - the loop's side of the questions about what waits.
 */
#include <string.h>
#include <uv.h>
#include "store/store_int.h"

int store_due(struct store *s, uint32_t limit,
              void (*cb)(void *ctx, int status, const struct store_due *d, size_t n,
                         int64_t horizon_ms),
              void *ctx)
{
    struct query *q = store_query_create(QUERY_DUE, ctx);

    if (!q)
        return UV_ENOMEM;
    q->limit = limit;
    q->cb.due = cb;
    return store_query_submit(s, q);
}

int store_deadlines(struct store *s, const uint64_t *nums, size_t n,
                    void (*cb)(void *ctx, int status, const struct store_deadline *d, size_t n),
                    void *ctx)
{
    struct query *q = store_query_create(QUERY_DEADLINES, ctx);

    if (!q)
        return UV_ENOMEM;
    q->asked = arena_alloc(&q->arena, n * sizeof(*nums));
    if (q->asked && n)
        memcpy(q->asked, nums, n * sizeof(*nums));
    q->n_asked = n;
    q->cb.deadlines = cb;
    return store_query_submit(s, q);
}

int store_ends(struct store *s, const sl_str *subjects, size_t n, uint64_t cause,
               const struct rec_ref *refs, size_t n_refs,
               void (*cb)(void *ctx, int status, const struct store_ends *e), void *ctx)
{
    struct query *q = store_query_create(QUERY_ENDS, ctx);

    if (!q)
        return UV_ENOMEM;
    q->about = arena_alloc(&q->arena, n * sizeof(*subjects));
    for (size_t i = 0; q->about && i < n; i++)
        q->about[i] = arena_str(&q->arena, subjects[i]);
    q->refs = arena_alloc(&q->arena, n_refs * sizeof(*refs));
    for (size_t i = 0; q->refs && i < n_refs; i++)
        q->refs[i] = (struct rec_ref){
            .endpoint = arena_str(&q->arena, refs[i].endpoint),
            .kind = arena_str(&q->arena, refs[i].kind),
            .id = arena_str(&q->arena, refs[i].id),
        };
    q->n_about = n;
    q->n_refs = n_refs;
    q->id = cause;
    q->cb.ends = cb;
    return store_query_submit(s, q);
}

int store_came(struct store *s, sl_str subject, uint32_t limit,
               void (*cb)(void *ctx, int status, const struct store_came *c, size_t n), void *ctx)
{
    struct query *q = store_query_create(QUERY_CAME, ctx);

    if (!q)
        return UV_ENOMEM;
    q->space = arena_str(&q->arena, subject);
    q->limit = limit;
    q->cb.came = cb;
    return store_query_submit(s, q);
}
