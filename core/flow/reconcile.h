/*
 * reconcile.h - did what was delivered arrive, and does it still say what was sent? Deliveries of
 * one route to one endpoint, page by page, compared by the endpoint's adapter.
 *
 *   SELECT (delivered ones) <-> READ (what was sent) -> COMPARE (a page: as many as the adapter
 *   takes at once, up to 5000 with 16 MiB of requests)
 *   -> SIFT (is a difference one, or has a newer delivery written over it?) -> SELECT ...
 *
 * Nothing is sent and nothing is written: what is found is counted, and the first of it named. One
 * at a time; the last one stays to be looked at until the next begins.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/state.h"

void reconcile_close(struct flow *f);
