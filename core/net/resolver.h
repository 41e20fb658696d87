/*
 * resolver.h - host names to addresses, off the loop, remembered for a while.
 *
 * One look-up a name at a time: those who ask meanwhile join it, so a slow name server takes one
 * thread of libuv's pool and not all. When the server fails, addresses up to five minutes past
 * their time are used. @thread loop
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include "base/list.h"

#define RESOLVER_ADDRESSES 8 /* of a name; the rest is ignored */
#define RESOLVER_NAMES     64
#define RESOLVER_KEEP_MS   30000
#define RESOLVER_STALE_MS  300000

union address {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

struct addresses {
    union address at[RESOLVER_ADDRESSES]; /* without a port */
    unsigned n;
};

struct resolver {
    uv_loop_t *loop;
    struct list names;
    unsigned n_names;
    unsigned held; /* look-ups under way: libuv owns their memory until they report */
    bool closing;
    void (*on_idle)(struct resolver *); /* closing, and `held` is 0 now; not called by close */
};

/** Somebody waits for a name. Embedded; linked while waiting. `found` is NULL on error. */
struct resolver_wait {
    struct list link;
    void (*cb)(struct resolver_wait *w, int status, const struct addresses *found);
};

void resolver_init(struct resolver *r, uv_loop_t *loop, void (*on_idle)(struct resolver *));
/** Forget all names; cancels what can be cancelled. `held` tells whether on_idle will come. Nobody
 *  waits any more (the caller's duty). */
void resolver_close(struct resolver *r);

/** `host`: a name or an address. 1: *ret is filled at once, 0: w->cb runs later, once, unless
 *  cancelled; or a negative code. */
int resolver_ask(struct resolver *r, const char *host, struct resolver_wait *w,
                 struct addresses *ret);
/** The look-up goes on and its result is remembered. Not waiting: nothing happens. */
void resolver_cancel(struct resolver_wait *w);
/** The addresses were of no use: ask again next time. */
void resolver_forget(struct resolver *r, const char *host);
