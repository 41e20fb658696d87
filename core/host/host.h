/*
 * host.h - opens one instance of an adapter for each endpoint and serves it: HTTP, timers, jq,
 * settings, log. The host side of include/sluice/.
 *
 * A reload opens the instances that are new or changed beside the others; once the flow has gone
 * over, those that no lane has any more are closed as soon as nothing is under way with them.
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
struct store;

struct host_stats {
    uint64_t slow_callbacks; /* of plugins, over 5 ms */
    uint64_t calls;          /* HTTP */
};

/** Open every endpoint of the configuration. `mapper`: NULL where nothing is transformed. 0, or a
 * negative code with `fail` naming the endpoint.
 */
int host_open(struct host **ret, uv_loop_t *loop, const struct config *config,
              struct mapper *mapper, struct fail *fail);
/** Where links are looked up (sl_host.linked); without it the service refuses. Outlives the host's
 *  close. */
void host_use_store(struct host *h, struct store *store);
/** One per endpoint of the configuration, in its order; the host's, until host_destroy() or the
 * next host_commit(). `self` is NULL once its instance was closed. */
struct adapter **host_adapters(struct host *h);
void host_stats(const struct host *h, size_t endpoint, struct host_stats *ret);
/** The instances of another configuration: those that are the same, and new ones. */
struct host_next;
/** Open what is new or changed. 0 with *ret own: host_commit() or host_abandon() it; or a negative
 *  code with `fail` naming the endpoint, and nothing has changed. */
int host_prepare(struct host *h, const struct config *next, struct host_next **ret,
                 struct fail *fail);
/** One per next->endpoints[i]. Borrowed. */
struct adapter **host_next_adapters(struct host_next *n);
/** Was the i-th opened for this one? Else it is the instance that was there. */
bool host_next_opened(const struct host_next *n, size_t i);
/** The flow has gone over. */
void host_commit(struct host *h, struct host_next *n);
/** It has not, and will not. */
void host_abandon(struct host *h, struct host_next *n);
/** Open now, those that wait for their end included. */
size_t host_instances(const struct host *h);

/** Cancel what is under way (the plugins are told), close every instance; then `cb`. */
void host_close(struct host *h, void (*cb)(void *ctx), void *ctx);
/** After host_close() has called back and the flow is gone. */
void host_destroy(struct host *h);
