/*
 * admin.h - the admin HTTP API, on a unix socket for the commands and on TCP with a token.
 *
 * /livez, /readyz and /metrics are open on TCP; everything under /v1/ needs the token there
 * (Authorization: Bearer ...). On the unix socket the permissions (0660) decide, and the peer's uid
 * is written down with each decision. Errors are application/problem+json.
 *
 * Thread: loop.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>
#include "base/fail.h"
#include "config/config.h"
#include "flow/flow.h"
#include "store/store.h"
#include "watch/watch.h"

struct admin;

/** The verdict on a reload. @param code  0: gone over, `json` says what has changed; UV_EINVAL:
 * refused, `json` is the problem document; UV_ECANCELED: shutting down */
typedef void admin_reloaded(void *ctx, int code, sl_str json);

struct admin_conf {
    uv_loop_t *loop;
    const struct config *config;
    struct flow *flow;
    struct store *store;
    struct watch *watch;
    /** Read the configuration anew, and go over to it unless `dry_run`; `cb` comes once. NULL: it
     *  cannot be done. */
    void (*reload)(void *reload_ctx, bool dry_run, admin_reloaded *cb, void *cb_ctx);
    void *reload_ctx;
};

int admin_open(struct admin **ret, const struct admin_conf *conf, struct fail *fail);
/** Bound TCP port, 0: none. */
int admin_port(const struct admin *a);
/** The token, and whom decisions may name, are of this one from now on; borrowed until the next. */
void admin_change(struct admin *a, const struct config *config);
void admin_close(struct admin *a, void (*cb)(void *ctx), void *ctx);
