/*
 * map_proc.h - one life of a mapping worker, from the daemon's side: process, socket, deadline.
 *
 * Owns the handles of that life; who wants another worker starts another. It ends by itself (a
 * crash), by map_proc_kill() or by its deadline; all that it said before is delivered first.
 *
 * Thread: loop, and the same thread for the whole life: the kernel kills a worker whose starting
 * thread ends.
 */
#pragma once

#include <uv.h>
#include "base/fail.h"
#include "flow/map_wire.h"

struct map_proc;

struct map_death {
    bool timed_out; /* its deadline passed */
    bool unheard;   /* there was no memory here for what it said or was to be told: its own fault
                     * it is not */
    int signal;     /* that ended it, or 0 */
    int64_t exit_code;
};

/* Never called before the call that led to it returned, but for `frame`s within one read. */
struct map_proc_events {
    /** A frame from the worker; `payload` is borrowed for the call. Negative: it makes no sense,
     * and the worker is killed. */
    int (*frame)(void *ctx, const struct wire_header *header, sl_str payload);
    /** It is dead; nothing can be sent any more. Called once. */
    void (*gone)(void *ctx, const struct map_death *death);
    /** The last call: its handles are closed, and `proc` is freed. */
    void (*closed)(void *ctx);
};

/** @param max_frame  bytes of payload that the worker may send at most
 *  @return 0, or a negative libuv code; then no event comes */
int map_proc_start(struct map_proc **ret, uv_loop_t *loop, const char *exe, uint64_t max_frame,
                   const struct map_proc_events *events, void *ctx, struct fail *fail);

/** Send bytes that stay borrowed until `release(arg)`, which is called exactly once, later or
 * before the return, whatever happens. What cannot be sent kills the worker. */
void map_proc_send(struct map_proc *p, sl_str bytes, void (*release)(void *arg), void *arg);
/** Kill it unless this is called again within `ms`; 0: no deadline. */
void map_proc_deadline(struct map_proc *p, uint64_t ms);
void map_proc_kill(struct map_proc *p);
