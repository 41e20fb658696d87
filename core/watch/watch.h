/*
 * watch.h - metrics, readiness and alerts: what the flow says, for those who watch.
 *
 * Thread: loop.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>
#include "base/buf.h"
#include "base/fail.h"
#include "config/config.h"
#include "flow/flow.h"
#include "flow/mapper.h"
#include "net/http_server.h"
#include "store/store.h"

struct watch;

/** Open the alert sender (its own HTTP client) if the configuration names a URL. */
int watch_open(struct watch **ret, uv_loop_t *loop, const struct config *config, struct fail *fail);
/** Before a reload: what `config` needs is opened, nothing else is changed. 0 or a code with
 * `fail`. */
int watch_prepare(struct watch *w, const struct config *config, struct fail *fail);
/** Alerts go where this one says from now on; borrowed until the next. After watch_prepare(). */
void watch_change(struct watch *w, const struct config *config);
/** Count a reload's verdict. */
void watch_reloaded(struct watch *w, bool done);
/** What the metrics read; all borrowed, until watch_close(). Call once all are open. */
void watch_attach(struct watch *w, struct flow *flow, struct store *store, struct mapper *mapper);
/** The intake listener, for its connections; borrowed until this is called with NULL. */
void watch_attach_intake(struct watch *w, const struct http_server *intake);
/** The flow's notices go here: one log line and at most one POST per thing and repeat interval. */
struct flow_watch watch_notices(struct watch *w);
/** Prometheus text, version 0.0.4. */
void watch_metrics(struct watch *w, struct buf *out);
/** Ready to take webhooks? If not, one reason a line in `why`. */
bool watch_ready(struct watch *w, struct buf *why);
/** Not ready from now on: the process is shutting down. */
void watch_draining(struct watch *w);
/** JSON array of the alerts that stand ("stands": true) or came within `repeat`: alert, endpoint,
 * route, owner, subject, delivery, text, count, since, last. */
void watch_alerts(struct watch *w, struct buf *out);
/** Sends what is still to be sent for at most `ms`; then `cb`. */
void watch_close(struct watch *w, uint64_t ms, void (*cb)(void *ctx), void *ctx);
