/*
 * host.h - opens one instance of an adapter for each endpoint and serves it: HTTP, timers, jq,
 * settings, log. The host side of include/sluice/.
 *
 * Thread: loop.
 */
#pragma once

#include <uv.h>
#include "base/fail.h"
#include "config/config.h"
#include "flow/adapter.h"
#include "flow/mapper.h"

struct host;

struct host_stats {
    uint64_t slow_callbacks; /* of plugins, over 5 ms */
    uint64_t calls;          /* HTTP */
};

/** Open every endpoint of the configuration. 0, or a negative code with `fail` naming the endpoint.
 */
int host_open(struct host **ret, uv_loop_t *loop, const struct config *config,
              struct mapper *mapper, struct fail *fail);
/** One per config->endpoints[i], in that order; the host's, valid until host_destroy(). `self` is
 *  NULL once its instance was closed. */
struct adapter **host_adapters(struct host *h);
void host_stats(const struct host *h, size_t endpoint, struct host_stats *ret);
/** Cancel what is under way (the plugins are told), close every instance; then `cb`. */
void host_close(struct host *h, void (*cb)(void *ctx), void *ctx);
/** After host_close() has called back and the flow is gone. */
void host_destroy(struct host *h);
