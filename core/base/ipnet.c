/*
 * ipnet.c - see ipnet.h.
 */
#include "base/ipnet.h"

#include <arpa/inet.h>
#include <string.h>
#include <uv.h>
#include "base/buf.h"

static const uint8_t v4_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

int ip_parse(sl_str text, struct ip *ret)
{
    char copy[INET6_ADDRSTRLEN];
    struct ip ip;

    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.ptr, '\0', text.len))
        return UV_EINVAL;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    memcpy(ip.byte, v4_prefix, sizeof(v4_prefix));
    if (inet_pton(AF_INET, copy, ip.byte + sizeof(v4_prefix)) != 1 &&
        inet_pton(AF_INET6, copy, ip.byte) != 1)
        return UV_EINVAL;
    *ret = ip;
    return 0;
}

bool ip_is_v4(const struct ip *ip)
{
    return memcmp(ip->byte, v4_prefix, sizeof(v4_prefix)) == 0;
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
    return memcmp(a->byte, b->byte, sizeof(a->byte)) == 0;
}

void ip_format(const struct ip *ip, char out[IP_TEXT])
{
    bool v4 = ip_is_v4(ip);

    inet_ntop(v4 ? AF_INET : AF_INET6, ip->byte + (v4 ? sizeof(v4_prefix) : 0), out, IP_TEXT);
}

/* Do the addresses agree in their first `bits` bits? */
static bool same_prefix(const struct ip *a, const struct ip *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    uint8_t mask = (uint8_t)(0xff00u >> rest);

    return memcmp(a->byte, b->byte, whole) == 0 &&
           (rest == 0 || ((a->byte[whole] ^ b->byte[whole]) & mask) == 0);
}

static int parse_bits(sl_str text, unsigned most, unsigned *ret)
{
    unsigned n = 0;

    if (text.len == 0 || text.len > 3 || (text.len > 1 && text.ptr[0] == '0'))
        return UV_EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return UV_EINVAL;
        n = n * 10 + (unsigned)(text.ptr[i] - '0');
    }
    *ret = n;
    return n <= most ? 0 : UV_EINVAL;
}

int ipnet_parse(sl_str text, struct ipnet *ret)
{
    const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
    size_t len = slash ? (size_t)(slash - text.ptr) : text.len;
    struct ipnet net;
    struct ip low = { 0 };
    unsigned most, bits;
    int r = ip_parse((sl_str){ text.ptr, len }, &net.ip);

    if (r < 0)
        return r;
    most = bits = memchr(text.ptr, ':', len) ? 128 : 32;
    if (slash && (r = parse_bits((sl_str){ slash + 1, text.len - len - 1 }, most, &bits)) < 0)
        return r;
    net.bits = (uint8_t)(bits + 128 - most);
    memcpy(low.byte, net.ip.byte, net.bits / 8);
    if (net.bits % 8)
        low.byte[net.bits / 8] = net.ip.byte[net.bits / 8] & (uint8_t)(0xff00u >> (net.bits % 8));
    if (!ip_equal(&low, &net.ip))
        return UV_EINVAL;
    *ret = net;
    return 0;
}

bool ipnet_has(const struct ipnet *net, const struct ip *ip)
{
    return same_prefix(&net->ip, ip, net->bits);
}
