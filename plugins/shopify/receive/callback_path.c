/*
 * callback_path.c - what a question of Shopify's to a fulfilment service says: path and query.
 */
#include <stdlib.h>
#include <string.h>

#include "receive/callbacks.h"

#define PREFIX     "/callbacks"
#define SUFFIX     ".json"
#define MIN_SECRET 16

static const struct {
    const char *name;
    enum callback_what what;
} calls[] = {
    { "fetch_stock", CALLBACK_STOCK },
    { "fetch_tracking_numbers", CALLBACK_TRACKING },
    { "fulfillment_order_notification", CALLBACK_NOTIFICATION },
};

static int is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

sl_status callbacks_open(struct shopify *s, sl_fail *fail)
{
    sl_str secret;

    if (s->host->values->secret(s->host->settings, CALLBACKS_SETTING, 0, &secret) != SL_OK)
        return SL_OK;
    if (secret.len < MIN_SECRET)
        return shopify_fail(
            fail, SL_E_INVALID,
            "callbacks.path_secret: it has %zu characters; it wants at least %d, so "
            "that nobody guesses the address",
            secret.len, MIN_SECRET);
    for (size_t i = 0; i < secret.len; i++)
        if (!is_word(secret.ptr[i]) && !(secret.ptr[i] >= 'A' && secret.ptr[i] <= 'Z'))
            return shopify_fail(fail, SL_E_INVALID,
                                "callbacks.path_secret: it goes into an address; it wants letters, "
                                "digits, '-' and '_' alone");
    s->path_secret = secret;
    return SL_OK;
}

/* ---- the path ---- */

/* The part up to the next '/', which is taken off. */
static sl_str take_part(sl_str *rest)
{
    const char *slash = rest->len ? memchr(rest->ptr, '/', rest->len) : NULL;
    sl_str part = { rest->ptr, slash ? (size_t)(slash - rest->ptr) : rest->len };

    rest->ptr += part.len + (slash != NULL);
    rest->len -= part.len + (slash != NULL);
    return part;
}

/* In a time that says nothing of where they differ. */
static int same_secret(sl_str given, sl_str secret)
{
    unsigned char differ = given.len != secret.len || secret.len == 0;

    for (size_t i = 0; i < given.len && secret.len; i++)
        differ |= (unsigned char)(given.ptr[i] ^ secret.ptr[i % secret.len]);
    return !differ;
}

static enum callback_what call_of(sl_str name)
{
    size_t suffix = strlen(SUFFIX);

    if (name.len > suffix && memcmp(name.ptr + name.len - suffix, SUFFIX, suffix) == 0)
        name.len -= suffix;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (name.len == strlen(calls[i].name) && memcmp(name.ptr, calls[i].name, name.len) == 0)
            return calls[i].what;
    return CALLBACK_UNKNOWN;
}

int callback_service_is_sane(sl_str service)
{
    for (size_t i = 0; i < service.len; i++)
        if (!is_word(service.ptr[i]))
            return 0;
    return service.len <= CALLBACK_MAX_SERVICE;
}

enum callback_what callback_of(sl_str path_secret, sl_str rest, sl_str *ret_service)
{
    size_t prefix = strlen(PREFIX);
    sl_str secret, part;

    *ret_service = (sl_str){ 0 };
    if (rest.len < prefix || memcmp(rest.ptr, PREFIX, prefix) != 0 ||
        (rest.len > prefix && rest.ptr[prefix] != '/'))
        return CALLBACK_NONE;
    if (rest.len == prefix)
        return CALLBACK_UNKNOWN;
    rest.ptr += prefix + 1;
    rest.len -= prefix + 1;
    secret = take_part(&rest);
    if (!same_secret(secret, path_secret))
        return CALLBACK_UNKNOWN;
    part = take_part(&rest);
    if (rest.len) {
        *ret_service = part;
        part = take_part(&rest);
    }
    if (rest.len || !callback_service_is_sane(*ret_service))
        return CALLBACK_UNKNOWN;
    return call_of(part);
}

sl_str callback_order_name(sl_str name)
{
    size_t n = name.len;

    while (n > 0 && name.ptr[n - 1] >= '0' && name.ptr[n - 1] <= '9')
        n--;
    if (n == name.len)
        return name;
    if (n > 1 && name.ptr[n - 1] == '.')
        return (sl_str){ name.ptr, n - 1 };
    if (n > 2 && name.ptr[n - 1] == 'F' && name.ptr[n - 2] == '-')
        return (sl_str){ name.ptr, n - 2 };
    return name;
}

/* ---- the query ---- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* With a NUL behind it. 0: an escape that is none, a control character, or too long. */
static int decode(sl_str s, char *ret, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i] == '+' ? ' ' : s.ptr[i];

        if (c == '%') {
            int high = i + 2 < s.len ? hex(s.ptr[i + 1]) : -1, low;

            low = high >= 0 ? hex(s.ptr[i + 2]) : -1;
            if (low < 0)
                return 0;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if ((unsigned char)c < ' ' || n + 1 >= size)
            return 0;
        ret[n++] = c;
    }
    ret[n] = '\0';
    return 1;
}

/* Twice is once. */
static int read_name(sl_str value, struct callback_query *q)
{
    char *name = q->names[q->n_names];
    size_t i = 0;

    if (!decode(value, name, sizeof(q->names[0])))
        return 0;
    while (i < q->n_names && strcmp(q->names[i], name) != 0)
        i++;
    q->n_names += i == q->n_names;
    return 1;
}

static int read_pair(sl_str pair, struct callback_query *q)
{
    const char *equals = pair.len ? memchr(pair.ptr, '=', pair.len) : NULL;
    sl_str value = { equals ? equals + 1 : NULL,
                     equals ? pair.len - (size_t)(equals + 1 - pair.ptr) : 0 };
    char name[32];

    if (!equals || !decode((sl_str){ pair.ptr, (size_t)(equals - pair.ptr) }, name, sizeof(name)))
        return 1; /* none that we know */
    if (strcmp(name, "shop") == 0)
        return decode(value, q->shop, sizeof(q->shop));
    if (strcmp(name, "sku") == 0)
        return q->has_sku = decode(value, q->sku, sizeof(q->sku));
    if (strcmp(name, "order_names[]") != 0 || q->n_names == CALLBACK_MAX_NAMES)
        return 1;
    return read_name(value, q);
}

int callback_query_read(sl_str query, struct callback_query *ret)
{
    *ret = (struct callback_query){ 0 };
    while (query.len) {
        const char *end = memchr(query.ptr, '&', query.len);
        size_t len = end ? (size_t)(end - query.ptr) : query.len;

        if (!read_pair((sl_str){ query.ptr, len }, ret))
            return 0;
        len += end != NULL;
        query.ptr += len;
        query.len -= len;
    }
    return 1;
}
