/*
 * hold_fill.h - what a choice of a hold lets whoever decides fill in, and the payload with it: the
 * address that the customer gave on the phone, say.
 *
 * Thread: loop.
 */
#pragma once

#include <jansson.h>
#include "base/buf.h"
#include "config/config.h"

#define HOLD_VALUE_MAX 1024 /* bytes of one value */

/** What was filled in, for a delivery with this payload. */
struct hold_fill {
    sl_str set;  /* JSON: { NAME: TEXT, ... }; empty: nothing */
    sl_str body; /* only looked at when there is something */
};

/** Its fields as a member "set" of the choice in a hold's detail; nothing if it has none. */
void hold_fill_put(struct buf *b, const struct conf_choice *c);
/** The payload with the values in their places.
 *  @param choice  as it stands in the detail; NULL: no choice was named
 *  @param body    the payload; empty: nothing is to be filled in, and nothing was
 *  @param names   "zip, city": of what was filled in, appended
 *  @return 0, or UV_EINVAL with `text` saying what is wrong */
int hold_fill(const json_t *choice, const struct hold_fill *fill, struct buf *body,
              struct buf *names, char text[160]);
