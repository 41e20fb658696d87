/*
 * url.h - absolute http and https URLs, strict.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sluice/types.h>
#include "base/fail.h"

/** Views into the source. */
struct url {
    bool tls;
    sl_str host;   /* without brackets */
    bool ipv6;     /* the host is an IPv6 literal */
    uint16_t port; /* 80, 443 or as given */
    sl_str target; /* "/path?query"; "/" when the URL has none (then not a view into the source) */
};

/** 0, or UV_EINVAL with `fail`: user info, fragment, control bytes, spaces, bad port or scheme. */
int url_parse(sl_str s, struct url *ret, struct fail *fail);
