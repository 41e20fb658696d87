/*
 * url.c - see url.h.
 */
#include "net/url.h"

#include <arpa/inet.h>
#include <uv.h>
#include "base/buf.h"

#define URL_MAX   8000 /* bytes: a request line of http_guard.h holds it */
#define HOST_MAX  253
#define LABEL_MAX 63

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static sl_str from(sl_str s, size_t at)
{
    return (sl_str){ .ptr = s.ptr + at, .len = s.len - at };
}

static bool starts_nocase(sl_str s, sl_str prefix)
{
    return s.len >= prefix.len && str_eq_nocase((sl_str){ s.ptr, prefix.len }, prefix);
}

/* Only what may stand in a URL unescaped; the rest is a mistake that the operator should see. */
static int check_bytes(sl_str s, struct fail *fail)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c <= 0x20 || c >= 0x7f || strchr("\"<>\\^`{|}", c))
            return fail_set(fail, UV_EINVAL,
                            "URL: byte 0x%02x at position %zu must be percent-encoded", c, i + 1);
        if (c == '#')
            return fail_set(fail, UV_EINVAL, "URL: a fragment (#...) is never sent; leave it out");
        if (c == '%' && (i + 2 >= s.len || !is_hex(s.ptr[i + 1]) || !is_hex(s.ptr[i + 2])))
            return fail_set(fail, UV_EINVAL, "URL: '%%' at position %zu needs two hex digits",
                            i + 1);
    }
    return 0;
}

static bool is_address(int family, sl_str host)
{
    unsigned char out[16];
    char text[INET6_ADDRSTRLEN];

    if (host.len == 0 || host.len >= sizeof(text))
        return false;
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    return inet_pton(family, text, out) == 1;
}

/* Letters, digits, '-' and '_' in labels of 1 to 63. A name whose last label is a number would be
 * an address in one of the old spellings (127.1, 0x7f.1): then it must be a proper one. */
static bool is_host(sl_str host)
{
    size_t label = 0, start = 0;

    if (host.len == 0 || host.len > HOST_MAX)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];

        if (c == '.') {
            if (label == 0)
                return false;
            label = 0;
            start = i + 1;
            continue;
        }
        if (!is_alpha(c) && !is_digit(c) && c != '-' && c != '_')
            return false;
        if (++label > LABEL_MAX)
            return false;
    }
    if (label == 0)
        return false;
    return !is_digit(host.ptr[start]) || is_address(AF_INET, host);
}

static int parse_port(sl_str s, uint16_t *ret, struct fail *fail)
{
    uint32_t port = 0;

    for (size_t i = 0; i < s.len; i++)
        port = is_digit(s.ptr[i]) && port <= 65535 ? port * 10 + (uint32_t)(s.ptr[i] - '0') : 65536;
    if (s.len == 0 || s.len > 5 || port == 0 || port > 65535)
        return fail_set(fail, UV_EINVAL, "URL: port \"" STR_FMT "\" is not 1 to 65535",
                        s.len > 20 ? 20 : (int)s.len, s.ptr);
    *ret = (uint16_t)port;
    return 0;
}

static int parse_authority(sl_str s, struct url *url, struct fail *fail)
{
    size_t host = 0, end;

    if (memchr(s.ptr, '@', s.len))
        return fail_set(fail, UV_EINVAL, "URL: no user or password here; use a header");
    url->ipv6 = s.len > 0 && s.ptr[0] == '[';
    if (url->ipv6) {
        const char *close = memchr(s.ptr, ']', s.len);

        if (!close)
            return fail_set(fail, UV_EINVAL, "URL: '[' without ']'");
        host = 1;
        end = (size_t)(close - s.ptr);
    } else {
        const char *colon = memchr(s.ptr, ':', s.len);

        end = colon ? (size_t)(colon - s.ptr) : s.len;
    }
    url->host = (sl_str){ .ptr = s.ptr + host, .len = end - host };
    if (url->ipv6 ? !is_address(AF_INET6, url->host) : !is_host(url->host))
        return fail_set(fail, UV_EINVAL, "URL: \"" STR_FMT "\" is not a host name or address",
                        url->host.len > 200 ? 200 : (int)url->host.len, url->host.ptr);
    s = from(s, url->ipv6 ? end + 1 : end);
    if (s.len == 0)
        return 0;
    if (s.ptr[0] != ':')
        return fail_set(fail, UV_EINVAL, "URL: expected ':' or '/' after the address");
    return parse_port(from(s, 1), &url->port, fail);
}

int url_parse(sl_str s, struct url *ret, struct fail *fail)
{
    struct url url = { .target = STR("/") };
    size_t end = 0;
    int r;

    if (s.len > URL_MAX)
        return fail_set(fail, UV_EINVAL, "URL: %zu bytes is too long (%d at most)", s.len, URL_MAX);
    if (starts_nocase(s, STR("https://"))) {
        url.tls = true;
        url.port = 443;
        s = from(s, 8);
    } else if (starts_nocase(s, STR("http://"))) {
        url.port = 80;
        s = from(s, 7);
    } else {
        return fail_set(fail, UV_EINVAL, "URL: must start with https:// or http://");
    }
    if ((r = check_bytes(s, fail)) < 0)
        return r;
    while (end < s.len && s.ptr[end] != '/' && s.ptr[end] != '?')
        end++;
    if ((r = parse_authority((sl_str){ s.ptr, end }, &url, fail)) < 0)
        return r;
    if (end < s.len) {
        url.target = from(s, end);
        if (url.target.ptr[0] == '?')
            return fail_set(fail, UV_EINVAL, "URL: a query needs a path before it: \"/?...\"");
    }
    *ret = url;
    return 0;
}
