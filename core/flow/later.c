/*
 * later.c - things that wait for a later turn of the loop: a store that had no room is asked again,
 * a refusal is reported. The flow's end ends the wait, so none of them outlives it.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "flow/state.h"

struct later {
    struct list node; /* flow.laters */
    struct flow *flow;
    uv_timer_t timer;
    void (*cb)(void *ctx, bool closing);
    void *ctx;
};

static void on_closed(uv_handle_t *h)
{
    struct later *l = container_of((uv_timer_t *)h, struct later, timer);
    struct flow *f = l->flow;

    free(l);
    flow_release(f);
}

static void end(struct later *l, bool closing)
{
    list_remove(&l->node);
    uv_close((uv_handle_t *)&l->timer, on_closed);
    l->cb(l->ctx, closing);
}

static void on_timer(uv_timer_t *t)
{
    end(container_of(t, struct later, timer), false);
}

void flow_later(struct flow *f, uint64_t ms, void (*cb)(void *ctx, bool closing), void *ctx)
{
    struct later *l = mem_zero(sizeof(*l));

    l->flow = f;
    l->cb = cb;
    l->ctx = ctx;
    list_append(&f->laters, &l->node);
    uv_timer_init(f->loop, &l->timer);
    uv_timer_start(&l->timer, on_timer, ms, 0);
    f->handles++;
}

void laters_close(struct flow *f)
{
    while (!list_empty(&f->laters)) /* ending one may begin another */
        end(list_entry(f->laters.next, struct later, node), true);
}
