/*
 * ipnet.h - IP addresses and networks as numbers. IPv4 is kept as ::ffff:a.b.c.d, so that an
 * address has one form however it came in. No names, no zones. @thread any
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sluice/types.h>

#define IP_TEXT 48 /* bytes of an address as text, with its NUL */

struct ip {
    uint8_t byte[16];
};

/** A network: the addresses whose first `bits` bits are those of `ip`. */
struct ipnet {
    struct ip ip;
    uint8_t bits; /* 0 to 128 */
};

/** "192.0.2.1" or "2001:db8::1", nothing else. 0, or UV_EINVAL with *ret untouched. */
int ip_parse(sl_str text, struct ip *ret);
/** As people write it; IPv4 without the prefix. */
void ip_format(const struct ip *ip, char out[IP_TEXT]);
bool ip_is_v4(const struct ip *ip);
bool ip_equal(const struct ip *a, const struct ip *b);

/** An address, or "10.0.0.0/8". 0, or UV_EINVAL: also when bits beyond the prefix are set, which is
 *  more often a slip than meant. */
int ipnet_parse(sl_str text, struct ipnet *ret);
bool ipnet_has(const struct ipnet *net, const struct ip *ip);
