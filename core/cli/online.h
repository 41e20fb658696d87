/*
 * online.h - `sluice check --online`: the adapters of the endpoints are opened in this process,
 * each is asked whether it would work, and closed again. Nothing is sent, no store and no daemon is
 * needed.
 */
#pragma once

#include <jansson.h>
#include "config/config.h"

/**
 * Ask them all, side by side; a bounded time each.
 * @return own: [{"endpoint", "adapter", "asked": bool, "findings": [{"route"?, "action"?,
 *         "level": "good", "warn" or "error", "text"}]}]
 */
json_t *online_ask(const struct config *config);
/** Did any find an error? */
bool online_failed(json_t *answers);
/** As a table, to standard output. */
void online_print(json_t *answers);
