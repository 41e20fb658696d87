/*
 * forwarded.c - see forwarded.h.
 */
#include "net/forwarded.h"

#include <string.h>
#include "base/buf.h"
#include "net/http_guard.h"

bool http_trusts(const struct http_trust *t, const struct ip *ip)
{
    for (size_t i = 0; i < t->n_nets; i++)
        if (ipnet_has(&t->nets[i], ip))
            return true;
    return false;
}

/* ":8080"; of an obfuscated port (RFC 7239, 6.3) nothing is understood. */
static bool is_port(sl_str s)
{
    if (s.len < 2 || s.len > 6 || s.ptr[0] != ':')
        return false;
    for (size_t i = 1; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return true;
}

/* "[2001:db8::1]" or "[2001:db8::1]:4711" */
static bool read_bracketed(sl_str s, struct ip *ret)
{
    const char *end = memchr(s.ptr, ']', s.len);
    size_t len = end ? (size_t)(end - s.ptr) : 0;
    sl_str rest = { s.ptr + len + 1, s.len - len - 1 };

    return end && (rest.len == 0 || is_port(rest)) &&
           memchr(s.ptr + 1, ':', len - 1) && /* and no IPv4 */
           ip_parse((sl_str){ s.ptr + 1, len - 1 }, ret) == 0;
}

/* "192.0.2.1" or "192.0.2.1:4711" */
static bool read_v4(sl_str s, struct ip *ret)
{
    const char *colon = memchr(s.ptr, ':', s.len);
    size_t len = colon ? (size_t)(colon - s.ptr) : s.len;

    return (!colon || is_port((sl_str){ colon, s.len - len })) &&
           ip_parse((sl_str){ s.ptr, len }, ret) == 0;
}

/* An element of X-Forwarded-For: an address, some write a port behind it. */
static bool read_x(sl_str s, struct ip *ret)
{
    if (s.len == 0)
        return false;
    if (s.ptr[0] == '[')
        return read_bracketed(s, ret);
    return read_v4(s, ret) || ip_parse(s, ret) == 0;
}

/* The node of RFC 7239: IPv4, or IPv6 in brackets, which must be quoted; "unknown" and "_hidden"
 * are no address. */
static bool read_node(sl_str s, struct ip *ret)
{
    bool quoted = s.len >= 2 && s.ptr[0] == '"' && s.ptr[s.len - 1] == '"';

    if (quoted)
        s = (sl_str){ s.ptr + 1, s.len - 2 };
    else if (!http_is_token(s))
        return false; /* a ':' or '[' is allowed in quotes only */
    if (s.len == 0)
        return false;
    return s.ptr[0] == '[' ? read_bracketed(s, ret) : read_v4(s, ret);
}

static bool is_value(sl_str s)
{
    if (s.len < 2 || s.ptr[0] != '"')
        return http_is_token(s);
    return s.ptr[s.len - 1] == '"' && !memchr(s.ptr + 1, '"', s.len - 2);
}

/* An element of Forwarded: pairs between semicolons, of these one "for". */
static bool read_rfc(sl_str s, struct ip *ret)
{
    bool found = false;

    while (s.len > 0) {
        const char *semicolon = memchr(s.ptr, ';', s.len), *equals;
        size_t len = semicolon ? (size_t)(semicolon - s.ptr) : s.len;
        sl_str pair = str_trim((sl_str){ s.ptr, len }), name, value;

        equals = pair.len ? memchr(pair.ptr, '=', pair.len) : NULL;
        if (!equals)
            return false;
        name = (sl_str){ pair.ptr, (size_t)(equals - pair.ptr) };
        value = (sl_str){ equals + 1, pair.len - name.len - 1 };
        if (!http_is_token(name) || !is_value(value))
            return false;
        if (str_eq_nocase(name, STR("for"))) {
            if (found || !read_node(value, ret))
                return false;
            found = true;
        }
        len += semicolon != NULL;
        s = (sl_str){ s.ptr + len, s.len - len };
    }
    return found;
}

/* The last element of a list, cut off its end; commas in quotes do not count. *ret_more: there are
 * others. False: it cannot be told where it begins. */
static bool cut_last(sl_str *list, sl_str *ret, bool *ret_more)
{
    size_t i = list->len, quotes = 0;

    for (; i > 0; i--) {
        char c = list->ptr[i - 1];

        if (c == '\\')
            return false; /* an escape: nothing an address needs */
        if (c == '"')
            quotes++;
        else if (c == ',' && quotes % 2 == 0)
            break;
    }
    *ret = str_trim((sl_str){ list->ptr + i, list->len - i });
    *ret_more = i > 0;
    list->len = i > 0 ? i - 1 : 0;
    return quotes % 2 == 0;
}

/* Walk one field's list from its right end. True: go on with the field before it. */
static bool walk(const struct http_trust *t, sl_str list, struct ip *at, bool *known)
{
    bool x = t->header == HTTP_FORWARDED_X, more = true;

    while (more) {
        struct ip hop;
        sl_str element;

        if (!cut_last(&list, &element, &more) ||
            !(x ? read_x(element, &hop) : read_rfc(element, &hop)))
            return false;
        *at = hop;
        *known = true;
        if (!http_trusts(t, &hop))
            return false;
    }
    return true;
}

bool http_forwarded_client(const struct http_trust *t, const struct ip *peer,
                           const sl_header *headers, size_t n_headers, struct ip *ret)
{
    sl_str name = t->header == HTTP_FORWARDED_X ? STR("x-forwarded-for") : STR("forwarded");
    bool known = false;
    struct ip at;

    if (t->header == HTTP_FORWARDED_NONE || !(peer ? http_trusts(t, peer) : t->unix_peers))
        return false;
    for (size_t i = n_headers; i > 0; i--)
        if (str_eq_nocase(headers[i - 1].name, name) && !walk(t, headers[i - 1].value, &at, &known))
            break;
    if (known)
        *ret = at;
    return known;
}
