/*
 * map_guard.h - refuse jq programs that reach for what a mapping must not have: the environment,
 * further inputs, the clock, files, the worker itself.
 *
 * A scan over jq 1.6's own tokens. A forbidden name is refused where it would be called; it is free
 * as a field (.env), as an object's key ({env: 1}), as a variable ($input) and inside strings.
 */
#pragma once

#include "base/fail.h"
#include "sluice/types.h"

/** @return 0, or MAP_E_PROGRAM with `fail` ("line 2: now is not allowed, ...")
 *  @thread any */
int map_guard(sl_str program, struct fail *fail);
