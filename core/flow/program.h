/*
 * program.h - a route's when, split, map and choose as one jq program.
 *
 * Its outputs come in threes, one three a piece: the key (text), the choice (text or null), the
 * body. Each part was compiled by itself when the configuration was checked, so putting them
 * together in brackets cannot break out of its place.
 */
#pragma once

#include <stdbool.h>
#include "base/buf.h"
#include "config/config.h"

/** The variables of every program: $received (RFC 3339), $event (in a route: { topic, endpoint }),
 *  $delivery (an object, or null in a route, where there is none yet) and $with (what the route has
 * looked up; null where there is no route).
 */
extern const char *const program_vars[];

/** False: the event's body goes as it is, byte for byte. */
bool program_needed(const struct conf_route *r);
void program_compose(struct buf *b, const struct conf_route *r);
/** Of a route that has a `with`: one list of keys for each of them; nothing, if the route makes
 *  nothing of the event whatever the rows say. */
void program_compose_keys(struct buf *b, const struct conf_route *r);
