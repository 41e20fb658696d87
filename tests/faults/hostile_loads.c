/*
 * hostile_loads.c - bytes that mean no good, by seed: nothing of it may become an event.
 */
#include <stdio.h>
#include <string.h>
#include "hostile.h"
#include "http_vectors.h"

#define POOL 262144

/* what goes on for as long as somebody reads */
static char noise[POOL], letters[POOL], extensions[POOL], fields[POOL], chunks[POOL];

#define SIGNED                                                                                 \
    "POST /in/acme-shop HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"       \
    "X-Shopify-Topic: orders/create\r\nX-Shopify-Shop-Domain: example.myshopify.com\r\n"       \
    "X-Shopify-Webhook-Id: hostile\r\nX-Shopify-Hmac-Sha256: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
    "AAAAAAAAAAA=\r\n"

uint64_t dice_roll(struct dice *d)
{
    uint64_t z = d->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint32_t dice_below(struct dice *d, uint32_t n)
{
    return (uint32_t)(dice_roll(d) % n);
}

static void repeat(char *pool, const char *text)
{
    size_t n = strlen(text);

    for (size_t at = 0; at < POOL; at += n)
        memcpy(pool + at, text, n < POOL - at ? n : POOL - at);
}

void loads_init(struct dice *d)
{
    for (size_t i = 0; i < POOL; i++)
        noise[i] = (char)dice_roll(d);
    repeat(letters, "a");
    repeat(extensions, ";extension=\"value\"");
    repeat(fields, "X-Hostile: yes\r\n");
    repeat(chunks, "1\r\na\r\n");
}

/* ---- putting one together ---- */

static void put(struct load *l, const void *p, size_t n)
{
    if (n > PREFIX_MOST - l->prefix_len)
        n = PREFIX_MOST - l->prefix_len;
    memcpy(l->prefix + l->prefix_len, p, n);
    l->prefix_len += n;
}

static void put_text(struct load *l, const char *text)
{
    put(l, text, strlen(text));
}

static void fill_with(struct load *l, const char *pool, size_t n)
{
    l->filler = pool;
    l->filler_len = POOL;
    l->fill = n;
}

/* Mostly little, now and then a lot. */
static size_t some_bytes(struct dice *d)
{
    switch (dice_below(d, 8)) {
    case 0:
        return 1u << 20;
    case 1:
    case 2:
        return 65536 + dice_below(d, 65536);
    default:
        return dice_below(d, 8192);
    }
}

static void put_vector(struct load *l, struct dice *d)
{
    const struct http_vector *v = &http_vectors[dice_below(d, (uint32_t)n_http_vectors)];

    put(l, v->bytes, v->len);
    for (unsigned i = 0; i < v->times; i++)
        put_text(l, v->repeat);
    put_text(l, v->rest ? v->rest : "");
}

static void mutate(struct load *l, struct dice *d)
{
    for (uint32_t n = 1 + dice_below(d, 8); n > 0 && l->prefix_len > 1; n--) {
        size_t at = dice_below(d, (uint32_t)l->prefix_len);

        switch (dice_below(d, 4)) {
        case 0:
            l->prefix[at] = (char)dice_roll(d);
            break;
        case 1:
            l->prefix[at] ^= (char)(1 << dice_below(d, 8));
            break;
        case 2: /* a byte goes */
            memmove(l->prefix + at, l->prefix + at + 1, --l->prefix_len - at);
            break;
        default: /* a piece stands twice */
            put(l, l->prefix + at, (l->prefix_len - at) / 2);
        }
    }
}

/* ---- the mix ---- */

static void random_bytes(struct load *l, struct dice *d)
{
    fill_with(l, noise + dice_below(d, POOL / 2), some_bytes(d));
    l->filler_len = POOL / 2;
}

static void mutated_vectors(struct load *l, struct dice *d)
{
    for (uint32_t n = 1 + dice_below(d, 3); n > 0; n--)
        put_vector(l, d);
    mutate(l, d);
}

static void half_a_request(struct load *l, struct dice *d)
{
    put_text(l, SIGNED "Content-Length: 4000\r\n\r\n");
    l->prefix_len = 1 + dice_below(d, (uint32_t)l->prefix_len);
}

static void a_wrong_signature(struct load *l, struct dice *d)
{
    char line[64];
    size_t n = some_bytes(d);

    put_text(l, SIGNED);
    snprintf(line, sizeof(line), "Content-Length: %zu\r\n\r\n", n);
    put_text(l, line);
    fill_with(l, letters, n);
}

static void a_huge_head(struct load *l, struct dice *d)
{
    put_text(l, SIGNED);
    fill_with(l, dice_below(d, 2) ? fields : letters, 65536 + some_bytes(d));
}

static void endless_extensions(struct load *l, struct dice *d)
{
    put_text(l, SIGNED "Transfer-Encoding: chunked\r\n\r\n5");
    fill_with(l, extensions, 65536 + some_bytes(d));
}

static void endless_chunks(struct load *l, struct dice *d)
{
    put_text(l, SIGNED "Transfer-Encoding: chunked\r\n\r\n");
    fill_with(l, chunks, some_bytes(d));
}

static void a_wrong_length(struct load *l, struct dice *d)
{
    static const char *const lengths[] = {
        "Content-Length: 3\r\n\r\n",
        "Content-Length: 99999999\r\n\r\n",
        "Content-Length: 184467440737095516160\r\n\r\n",
        "Content-Length: -1\r\n\r\n",
        "Content-Length: 10\r\nContent-Length: 20\r\n\r\n",
        "Content-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        "Transfer-Encoding: chunked\r\n\r\n7fffffff\r\n",
    };

    put_text(l, SIGNED);
    put_text(l, lengths[dice_below(d, sizeof(lengths) / sizeof(lengths[0]))]);
    fill_with(l, dice_below(d, 2) ? noise : letters, some_bytes(d));
}

static void a_tls_hello(struct load *l, struct dice *d)
{
    put(l, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
    put(l, noise + dice_below(d, 1024), 506);
    fill_with(l, noise, some_bytes(d));
}

static void a_preface_of_http_2(struct load *l, struct dice *d)
{
    put_text(l, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    put(l, "\0\0\0\x04\0\0\0\0\0", 9);
    fill_with(l, noise, some_bytes(d));
}

static void many_requests_at_once(struct load *l, struct dice *d)
{
    for (uint32_t n = 1 + dice_below(d, 400); n > 0; n--)
        put_text(l, "GET /in/nobody HTTP/1.1\r\nHost: a\r\n\r\n");
}

void load_make(struct load *l, struct dice *d)
{
    static void (*const mix[])(struct load * l, struct dice * d) = {
        random_bytes, mutated_vectors,     mutated_vectors,   half_a_request,
        a_huge_head,  endless_extensions,  endless_chunks,    a_wrong_length,
        a_tls_hello,  a_preface_of_http_2, a_wrong_signature, many_requests_at_once,
    };

    l->prefix_len = l->fill = 0;
    mix[dice_below(d, sizeof(mix) / sizeof(mix[0]))](l, d);
}
