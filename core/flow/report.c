/*
 * report.c - a report that an adapter makes for people.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "flow/state.h"

struct report {
    struct adapter *adapter; /* share */
    void (*cb)(void *ctx, sl_status status, sl_str text);
    void *ctx;
};

static void on_report(void *ctx, sl_status status, sl_str json, sl_str why)
{
    struct report *r = ctx;

    r->cb(r->ctx, status, status == SL_OK ? json : why);
    adapter_unref(r->adapter);
    free(r);
}

int flow_report(struct flow *f, sl_str endpoint, sl_str name,
                void (*cb)(void *ctx, sl_status status, sl_str text), void *ctx)
{
    struct lane *l = flow_lane(f, endpoint);
    struct report *r;
    struct adapter *a;
    uint64_t began;

    if (!l)
        return UV_ENOENT;
    a = l->adapter;
    if (!SL_HAS(sl_plugin, a->plugin, report))
        return UV_ENOTSUP;
    if (!a->open)
        return UV_EAGAIN;
    r = mem_zero(sizeof(*r));
    *r = (struct report){ adapter_ref(a), cb, ctx };
    adapter_ref(a);
    began = clock_mono_us();
    a->plugin->report(a->self, name, on_report, r); /* r may be gone after it */
    adapter_measure(a, began, "report");
    adapter_unref(a);
    return 0;
}
