/*
 * adapter.h - an endpoint as the flow sees it: the plugin's table, its opened instance, its conf.
 * The host makes them; the flow only calls through them.
 *
 * A lane has one. A reload may give it another: the old one is retired then, and the host closes it
 * when the last that began with it has ended. So whoever keeps an adapter beyond a turn of the loop
 * holds a reference.
 */
#pragma once

#include "base/clock.h"
#include "config/config.h"

struct lane;

struct adapter {
    const sl_plugin *plugin;
    void *self; /* what open() gave */
    bool open;  /* between open() and close(): else nothing is called */
    const struct conf_endpoint *conf;
    struct lane *lane; /* set by the flow; the host charges HTTP calls to it */
    /** The host's: a function of the plugin ran since `began_us`, perhaps for too long. May be
     * NULL. */
    void (*measured)(void *host_ctx, uint64_t began_us, const char *what);
    void *host_ctx;
    unsigned refs; /* batches, questions and webhooks that use it */
    bool retired;  /* no lane has it any more */
    /** The host's: it is retired and nobody uses it. May be NULL. */
    void (*unused)(void *host_ctx);
};

static inline struct adapter *adapter_ref(struct adapter *a)
{
    a->refs++;
    return a;
}

static inline void adapter_unref(struct adapter *a)
{
    if (a && --a->refs == 0 && a->retired && a->unused)
        a->unused(a->host_ctx);
}

/** Its lane has another one now, or none. */
static inline void adapter_retire(struct adapter *a)
{
    a->retired = true;
    if (a->refs == 0 && a->unused)
        a->unused(a->host_ctx);
}

/** After a call of the plugin that began at `began_us`. */
static inline void adapter_measure(const struct adapter *a, uint64_t began_us, const char *what)
{
    if (a->measured)
        a->measured(a->host_ctx, began_us, what);
}
