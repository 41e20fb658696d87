/*
 * recall.c - what outcomes of an endpoint had it remember: sl_host.recall.
 */
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "host/instance.h"

struct recall {
    struct instance *instance;
    sl_recall_cb cb;
    void *ctx;
};

static void on_recalled(void *ctx, int status, const struct store_state *states, size_t n)
{
    struct recall *l = ctx;
    struct instance *in = l->instance;
    uint64_t began = clock_mono_us();
    sl_fact *facts = mem_array(n + 1, sizeof(*facts));

    for (size_t i = 0; i < n; i++)
        facts[i] = (sl_fact){ states[i].key, states[i].value };
    if (in->closing || status == UV_ECANCELED)
        l->cb(l->ctx, SL_E_CANCELLED, NULL, 0);
    else if (status < 0)
        l->cb(l->ctx, status == UV_ENOMEM ? SL_E_NO_MEMORY : SL_E_INTERNAL, NULL, 0);
    else
        l->cb(l->ctx, SL_OK, facts, n);
    instance_measured(in, began, "an answer about facts");
    free(facts);
    free(l);
    instance_release(in);
}

sl_status instance_recall(void *ctx, sl_str space, sl_str prefix, sl_str after, sl_recall_cb cb,
                          void *cb_ctx)
{
    struct instance *in = ctx;
    struct recall *l;
    struct buf full = { 0 };
    int r;

    if (in->closing || !in->host->store)
        return SL_E_CANCELLED;
    if (!space.len)
        return SL_E_INVALID;
    flow_fact_space(&full, str_of(in->name), space);
    l = mem_zero(sizeof(*l));
    *l = (struct recall){ in, cb, cb_ctx };
    r = store_state_page(in->host->store, buf_view(&full), prefix, after, SL_RECALL_MAX,
                         on_recalled, l);
    buf_finish(&full);
    if (r < 0) {
        free(l);
        return r == UV_ENOMEM ? SL_E_NO_MEMORY : SL_E_CANCELLED;
    }
    in->held++;
    return SL_OK;
}
