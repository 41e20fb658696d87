/*
 * progress.h - whoever sent an event may ask what becomes of it, at an address that nobody can
 * guess: <status.url>/in/<endpoint>/status/<event>-<mac>. The mac is over the event and its
 * sender's id, so the address is the same when the event comes again, and nothing is kept for it:
 * the answer is what the store knows.
 */
#pragma once

#include "base/buf.h"
#include "config/config.h"

struct flow;

#define PROGRESS_PATH "/status/" /* behind /in/{endpoint} */

/** Append the address of an event. The endpoint has `status`. */
int progress_address(const struct conf_endpoint *e, uint64_t event, sl_str sender_id,
                     struct buf *to); /* 0 or UV_ENOMEM */

/** `status`: of HTTP; `body`: JSON, borrowed. */
typedef void (*progress_cb)(void *ctx, int status, sl_str body);

/** Ask about `name`, what stands behind PROGRESS_PATH; copied. 0, and the callback comes once,
 * never before this returned; UV_ENOENT: no such event; UV_EBUSY: too many ask at once; or a code
 * of the store. */
int progress_ask(struct flow *f, const struct conf_endpoint *e, sl_str name, progress_cb cb,
                 void *ctx);
