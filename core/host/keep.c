/*
 * keep.c - what an adapter remembers over restarts: links that its outcomes wrote, and small facts
 * that it keeps by itself (REC_STATE, a space for each endpoint).
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "host/instance.h"

#define MOST_LINKED 4096
#define MOST_NAME   64
#define MOST_VALUE  65536
#define SPACE       "kept/"

/* ---- links ---- */

struct service_linked {
    struct instance *instance;
    sl_linked_cb cb;
    void *ctx;
};

static void on_linked(void *ctx, int status, const sl_str *subjects, size_t n)
{
    struct service_linked *l = ctx;
    struct instance *in = l->instance;
    uint64_t began = clock_mono_us();

    if (in->closing || status == UV_ECANCELED)
        l->cb(l->ctx, SL_E_CANCELLED, NULL, 0);
    else if (status < 0)
        l->cb(l->ctx, status == UV_ENOMEM ? SL_E_NO_MEMORY : SL_E_INTERNAL, NULL, 0);
    else
        l->cb(l->ctx, SL_OK, subjects, n);
    instance_measured(in, began, "an answer about links");
    free(l);
    instance_release(in);
}

sl_status instance_linked(void *ctx, const sl_ref *refs, size_t n, sl_linked_cb cb, void *cb_ctx)
{
    struct instance *in = ctx;
    struct service_linked *l;
    struct rec_ref *asked;
    int r;

    if (in->closing || !in->host->store)
        return SL_E_CANCELLED;
    if (n == 0 || n > MOST_LINKED)
        return n == 0 ? SL_E_INVALID : SL_E_LIMIT;
    asked = mem_array(n, sizeof(*asked));
    for (size_t i = 0; i < n; i++)
        asked[i] = (struct rec_ref){ str_of(in->name), refs[i].kind, refs[i].id };
    l = mem_zero(sizeof(*l));
    *l = (struct service_linked){ in, cb, cb_ctx };
    r = store_links(in->host->store, asked, n, on_linked, l);
    free(asked);
    if (r < 0) {
        free(l);
        return r == UV_ENOMEM ? SL_E_NO_MEMORY : SL_E_CANCELLED;
    }
    in->held++;
    return SL_OK;
}

/* ---- facts that it keeps ---- */

struct service_keep {
    struct instance *instance;
    sl_durable_cb cb;
    sl_kept_cb kept; /* or this */
    void *ctx;
    char name[MOST_NAME + 1];
};

static bool is_name(sl_str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789._-", name.ptr[i]) || !name.ptr[i])
            return false;
    return name.len > 0 && name.len <= MOST_NAME;
}

/** "kept/acme-shop" */
static sl_str space_of(const struct instance *in, struct buf *to)
{
    buf_printf(to, SPACE "%s", in->name);
    return buf_view(to);
}

static sl_status can_keep(const struct instance *in, sl_str name)
{
    if (in->closing || !in->adapter.open)
        return SL_E_CANCELLED;
    if (!is_name(name))
        return SL_E_INVALID;
    return in->host->store && in->adapter.lane ? SL_OK : SL_E_UNSUPPORTED;
}

static sl_status status_of(const struct instance *in, int r)
{
    if (in->closing || r == UV_ECANCELED)
        return SL_E_CANCELLED;
    return r == 0 ? SL_OK : r == UV_ENOMEM ? SL_E_NO_MEMORY : SL_E_INTERNAL;
}

static struct service_keep *keep_new(struct instance *in, sl_str name, void *ctx)
{
    struct service_keep *k = mem_zero(sizeof(*k));

    k->instance = in;
    k->ctx = ctx;
    memcpy(k->name, name.ptr, name.len);
    in->held++;
    return k;
}

static void on_keep(struct flow *f, void *ctx, int r)
{
    struct service_keep *k = ctx;
    struct instance *in = k->instance;
    uint64_t began = clock_mono_us();

    (void)f;
    k->cb(k->ctx, status_of(in, r));
    instance_measured(in, began, "that something is kept");
    free(k);
    instance_release(in);
}

sl_status instance_keep(void *ctx, sl_str name, sl_str value, sl_durable_cb cb, void *cb_ctx)
{
    struct instance *in = ctx;
    struct buf space = { 0 };
    json_t *text = NULL;
    char *json = NULL;
    sl_status r = can_keep(in, name);

    if (r < 0)
        return r;
    if (value.len > MOST_VALUE)
        return SL_E_LIMIT;
    if (value.len) {
        text = json_stringn(value.ptr, value.len);
        json = text ? json_dumps(text, JSON_ENCODE_ANY) : NULL;
        json_decref(text);
        if (!json)
            return SL_E_INVALID; /* it is no UTF-8 */
    }
    struct service_keep *k = keep_new(in, name, cb_ctx);
    k->cb = cb;
    flow_fact(lane_flow(in->adapter.lane),
              &(struct flow_fact){ .space = space_of(in, &space),
                                   .key = str_of(k->name),
                                   .value = json ? str_of(json) : STR(""),
                                   .who = STR("adapter") },
              on_keep, k);
    buf_finish(&space);
    free(json);
    return SL_OK;
}

static void on_kept(void *ctx, int r, const struct store_state *states, size_t n)
{
    struct service_keep *k = ctx;
    struct instance *in = k->instance;
    uint64_t began = clock_mono_us();
    json_t *text = NULL;

    for (size_t i = 0; r == 0 && i < n; i++)
        if (str_eq(states[i].key, str_of(k->name)) && states[i].value.len)
            text = json_loadb(states[i].value.ptr, states[i].value.len, JSON_DECODE_ANY, NULL);
    k->kept(k->ctx, status_of(in, r),
            (sl_str){ json_string_value(text), json_string_length(text) });
    instance_measured(in, began, "what was kept");
    json_decref(text);
    free(k);
    instance_release(in);
}

sl_status instance_kept(void *ctx, sl_str name, sl_kept_cb cb, void *cb_ctx)
{
    struct instance *in = ctx;
    struct buf space = { 0 };
    sl_status status = can_keep(in, name);

    if (status < 0)
        return status;
    struct service_keep *k = keep_new(in, name, cb_ctx);
    k->kept = cb;
    int r = store_state_list(in->host->store, space_of(in, &space), on_kept, k);
    buf_finish(&space);
    if (r < 0) {
        in->held--;
        free(k);
        return r == UV_ENOMEM ? SL_E_NO_MEMORY : SL_E_CANCELLED;
    }
    return SL_OK;
}
