/*
 * reloader.h - a running daemon takes its configuration file over again, or keeps what it has and
 * says why.
 *
 *   READ (loop) -> COMPILE what programs are new (a thread) -> READ again if one is bad
 *     -> COUNT what would lose its place (store) -> GO OVER (loop, at once) -> verdict
 *
 * One at a time; who asks meanwhile gets the verdict of the next one. Nothing is changed before the
 * whole was checked and what is new was opened.
 *
 * Thread: loop.
 */
#pragma once

#include "admin/admin.h"
#include "cli/load.h"

struct reloader;

struct reloader_conf {
    uv_loop_t *loop;
    struct loaded_config *loaded; /* borrowed; `config` of it is replaced by a reload */
    struct host *host;
    struct flow *flow;
    struct store *store;
    struct watch *watch;
    void *ctx;
    /** The flow has gone over: whoever else holds the old configuration takes the new one, before
     *  this returns. */
    void (*changed)(void *ctx, const struct config *config);
};

struct reloader *reloader_create(const struct reloader_conf *conf);
/** For the admin: see admin.h. */
void reloader_start(void *reloader, bool dry_run, admin_reloaded *cb, void *cb_ctx);
/** By SIGHUP: the verdict goes to the log. */
void reloader_hup(struct reloader *r);
/** No more of them; `cb` when none is under way. Who waits is told. Then it is gone. */
void reloader_close(struct reloader *r, void (*cb)(void *ctx), void *ctx);
