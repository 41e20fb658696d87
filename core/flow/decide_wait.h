/*
 * decide_wait.h - a decision about a delivery whose last move is still on its way to the log waits
 * for it, and is judged by what it became: whoever sees a delivery as held may decide about it.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/state.h"

#define DECIDE_WAIT_MS 2000 /* at most; a full disk holds a write up for longer */

struct decide_wait {
    struct list node; /* flow.decide_waits */
    uint64_t num;
    uint64_t until_ms; /* monotonic */
    void (*done)(struct decide_wait *w);
};

/** True: a move of this delivery is being written. Then `done` comes once, when it no longer is,
 *  when it took too long, or at the flow's end; never before this returned. */
bool decide_wait(struct flow *f, struct decide_wait *w, uint64_t num,
                 void (*done)(struct decide_wait *w));
