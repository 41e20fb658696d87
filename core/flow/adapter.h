/*
 * adapter.h - an endpoint as the flow sees it: the plugin's table, its opened instance, its conf.
 * The host makes them; the flow only calls through them.
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
};

/** After a call of the plugin that began at `began_us`. */
static inline void adapter_measure(const struct adapter *a, uint64_t began_us, const char *what)
{
    if (a->measured)
        a->measured(a->host_ctx, began_us, what);
}
