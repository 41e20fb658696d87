/*
 * resolve.h - what a foreign id belongs to, asked at the endpoint that named it: events of which
 * only references are known, and that no link finds, wait in the store (links.c); meanwhile the
 * first reference of each is asked for. What is answered is written as links, durably, and a link
 * wakes what waits for it. So nothing here need outlive the process: the next start finds what
 * waits, and asks again.
 *
 *   QUEUED -> OUT (in a question, with others) -> STORING (its link) -> gone
 *     ^  \_ RESTING: the endpoint did not know it, and may only be late
 *     |__ the question failed: its endpoint is not asked for a while (1 s doubling to 1 min)
 *
 * Questions take tokens of the endpoint's lane, and are not asked while that is paused, parked or
 * its breaker open. Other events pass those that wait.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/state.h"

struct resolver;

/** Ask what this belongs to, for an event that waits for it. Twice is once. */
void resolve_want(struct flow *f, sl_str endpoint, sl_str kind, sl_str id, uint64_t event);
/** How many references of an endpoint are not known yet, and why it cannot be asked, and for how
 *  long; NULL: it can. */
size_t resolve_wanted(const struct flow *f, sl_str endpoint, const char **ret_why,
                      uint64_t *ret_ill_ms);
void resolvers_close(struct flow *f); /* no answer comes any more */
