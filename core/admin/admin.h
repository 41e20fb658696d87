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

#include <uv.h>
#include "base/fail.h"
#include "config/config.h"
#include "flow/flow.h"
#include "store/store.h"
#include "watch/watch.h"

struct admin;

struct admin_conf {
    uv_loop_t *loop;
    const struct config *config;
    struct flow *flow;
    struct store *store;
    struct watch *watch;
};

int admin_open(struct admin **ret, const struct admin_conf *conf, struct fail *fail);
/** Bound TCP port, 0: none. */
int admin_port(const struct admin *a);
void admin_close(struct admin *a, void (*cb)(void *ctx), void *ctx);
