/*
 * batch_done.c - what the adapter says of a batch that is with it (OUT): outcomes, checkpoints,
 * that the lane parks, that it is finished. The way of the batch is batch.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/chain.h"
#include "flow/pace.h"

static void done_outcome(void *ctx, size_t index, const sl_outcome *o)
{
    struct batch *b = ctx;

    if (b->finished || index >= b->n || b->items[index].told)
        return; /* a plugin's mistake: the first word counts */
    struct batch_item *it = &b->items[index];
    it->told = true;
    it->kind = o->kind;
    it->narrow = o->kind == SL_RETRY && SL_HAS(sl_outcome, o, narrow);
    settle_outcome(it->d, o, it->d->attempts + 1,
                   (uint32_t)(uv_now(b->lane->flow->loop) - b->started_ms), &it->move);
    extras_link(&b->extras, it->d, o->links, o->n_links);
    extras_emit(&b->extras, it->d, o->emits, o->n_emits,
                SL_HAS(sl_outcome, o, found) && o->found == SL_FOUND_BY_RECONCILIATION);
    if (SL_HAS(sl_outcome, o, facts))
        extras_facts(&b->extras, it->d, o->facts);
    if (o->kind == SL_THROTTLED) /* at once: others of the lane must not leave meanwhile */
        pace_refused(b->lane, b->cost / (uint32_t)b->n, o->after_ms);
}

struct checkpoint {
    struct batch *batch;
    sl_durable_cb cb;
    void *cb_ctx;
};

static void on_checkpoint_durable(struct flow *f, struct commit *c, int status)
{
    struct checkpoint *cp = c->ctx;

    struct batch *b = cp->batch;

    (void)f;
    if (b->adapter->open)
        cp->cb(cp->cb_ctx, status < 0 ? SL_E_INTERNAL : SL_OK);
    free(cp);
    if (--b->checkpoints == 0 && b->finished)
        batch_settle(b);
}

static void done_checkpoint(void *ctx, sl_str token, uint32_t done, sl_durable_cb cb, void *cb_ctx)
{
    struct batch *b = ctx;
    struct checkpoint *cp = mem_zero(sizeof(*cp));
    struct commit *c = commit_new(b->lane->flow, on_checkpoint_durable, cp);
    struct rec_checkpoint rec = {
        .batch = b->id, .at_ms = clock_wall_ms(), .done = done, .token = token
    };

    *cp = (struct checkpoint){ b, cb, cb_ctx };
    b->checkpoints++;
    rec_checkpoint_encode(&commit_record(c, REC_CHECKPOINT)->payload, &rec);
    commit_go(c);
}

static void done_park(void *ctx, sl_str why, int64_t after_ms)
{
    struct batch *b = ctx;

    b->parks = true;
    b->park_ms = after_ms;
    snprintf(b->park_why, sizeof(b->park_why), STR_FMT, STR_ARG(why));
}

static void done_settled(void *ctx, sl_durable_cb cb, void *cb_ctx)
{
    struct batch *b = ctx;

    if (b->finished)
        return;
    b->settled = cb;
    b->settled_ctx = cb_ctx;
}

static void done_finish(void *ctx)
{
    struct batch *b = ctx;

    if (b->finished)
        return;
    b->finished = true;
    if (!b->checkpoints)
        batch_settle(b);
}

void batch_listen(struct batch *b)
{
    b->done = (sl_done){
        .size = sizeof(b->done),
        .ctx = b,
        .outcome = done_outcome,
        .checkpoint = done_checkpoint,
        .park = done_park,
        .finish = done_finish,
        .settled = done_settled,
    };
}
