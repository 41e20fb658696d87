/*
 * adapter.h - an endpoint as the flow sees it: the plugin's table, its opened instance, its conf.
 * The host makes them; the flow only calls through them.
 */
#pragma once

#include "config/config.h"

struct lane;

struct adapter {
    const sl_plugin *plugin;
    void *self; /* what open() gave */
    bool open;  /* between open() and close(): else nothing is called */
    const struct conf_endpoint *conf;
    struct lane *lane; /* set by the flow; the host charges HTTP calls to it */
};
