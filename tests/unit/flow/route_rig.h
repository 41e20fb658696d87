/*
 * route_rig.h - what tests of either rig write into routes.
 */
#pragma once

#include "config/config.h"

/** `r` waits for what `before` names, of the same event; that lives as long as `r`. */
static inline void route_waits(struct conf_route *r, struct conf_route **before)
{
    r->after = before;
    r->n_after = 1;
    r->rank = 1;
}
