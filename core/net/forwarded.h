/*
 * forwarded.h - whose request a proxy passes on.
 *
 * Only what a trusted proxy says is believed, and of that only what it can know: a list of hops is
 * read from its right end, the trusted proxies' own entries, up to the first address that is not
 * trusted. What stands further left was written by who knows whom. Exactly one header is read, the
 * one the proxies are known to set: the other would reach us as the client sent it.
 *
 * No loop, nothing is allocated. @thread any
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sluice/sluice.h>
#include "base/ipnet.h"

enum http_forwarded {
    HTTP_FORWARDED_NONE, /* no header is read */
    HTTP_FORWARDED_X,    /* X-Forwarded-For */
    HTTP_FORWARDED_RFC,  /* Forwarded (RFC 7239) */
};

/** Who is believed; borrowed. All zero: nobody. */
struct http_trust {
    const struct ipnet *nets;
    size_t n_nets;
    bool unix_peers; /* who comes by a unix socket */
    enum http_forwarded header;
};

bool http_trusts(const struct http_trust *t, const struct ip *ip);

/**
 * The client's address as the trusted hops tell it.
 * @param peer  the connection's other side; NULL for a unix socket
 * @param ret   the address; untouched unless true is returned
 * @return false: the peer is the client, as far as is known - it is not trusted, or the headers say
 *         nothing that can be understood
 */
bool http_forwarded_client(const struct http_trust *t, const struct ip *peer,
                           const sl_header *headers, size_t n_headers, struct ip *ret);
