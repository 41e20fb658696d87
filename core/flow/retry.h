/*
 * retry.h - when a failed delivery is tried again: exponential, with full jitter, never before what
 * the remote asked for; and when it is given up.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rng.h"
#include "config/config.h"

/** Delay before the next attempt after `failures` failed ones (from 1), in ms: uniform in
 *  [0, min(cap, first * 2^(failures-1))], at least `not_before_ms` (Retry-After) plus up to a
 * tenth. */
int64_t retry_delay(const struct conf_retry *conf, uint32_t failures, int64_t not_before_ms,
                    struct rng *rng);

/** Is this enough? `age_ms`: since its first attempt. `delay_ms`: what retry_delay said. */
bool retry_exhausted(const struct conf_retry *conf, uint32_t attempts, int64_t age_ms,
                     int64_t delay_ms);
