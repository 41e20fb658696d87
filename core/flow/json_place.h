/*
 * json_place.h - where a value stands in a JSON text, so that it alone is replaced and every other
 * byte stays as it came: no number is printed anew.
 *
 * Thread: any.
 */
#pragma once

#include "base/buf.h"

/** The text with the value at this JSON pointer (RFC 6901) replaced; a member that an object has
 *  not got is added to it.
 *  @param json     JSON, checked by the caller, no member twice; borrowed
 *  @param pointer  "/shipping_address/zip"; not empty
 *  @param value    JSON
 *  @param out      appended to
 *  @return 0; UV_ENOENT: there is no such place, and nothing was appended */
int json_place_set(sl_str json, sl_str pointer, sl_str value, struct buf *out);
