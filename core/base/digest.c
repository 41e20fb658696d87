/*
 * digest.c - SHA-256, HMAC, hexadecimal and base64.
 */
#include "base/digest.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* Fetching an algorithm costs more than hashing a webhook, so both are fetched once and then only
 * read. They live as long as the process. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256_md;
static EVP_MAC *hmac;

/* Each thread's own context: making one costs as much as the digest of a short text. It ends with
 * its thread. */
static _Thread_local EVP_MD_CTX *kept;
static pthread_key_t kept_end;

static void must(bool ok)
{
    if (ok)
        return;
    fprintf(stderr, "sluice: OpenSSL cannot compute SHA-256, giving up\n");
    abort();
}

static void free_kept(void *ctx)
{
    EVP_MD_CTX_free(ctx);
}

static void fetch(void)
{
    sha256_md = EVP_MD_fetch(NULL, "SHA256", NULL);
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    must(sha256_md && hmac && pthread_key_create(&kept_end, free_kept) == 0);
}

static EVP_MD_CTX *md_create(void)
{
    EVP_MD_CTX *ctx;

    pthread_once(&once, fetch);
    ctx = EVP_MD_CTX_new();
    must(ctx && EVP_DigestInit_ex2(ctx, sha256_md, NULL));
    return ctx;
}

/* This thread's, begun. */
static EVP_MD_CTX *md_begin(void)
{
    if (kept) {
        must(EVP_DigestInit_ex2(kept, sha256_md, NULL));
    } else {
        kept = md_create();
        must(pthread_setspecific(kept_end, kept) == 0);
    }
    return kept;
}

static void md_end(EVP_MD_CTX *ctx, uint8_t out[DIGEST_SHA256])
{
    must(EVP_DigestFinal_ex(ctx, out, NULL));
}

void digest_sha256(const void *p, size_t n, uint8_t out[DIGEST_SHA256])
{
    EVP_MD_CTX *ctx = md_begin();

    must(EVP_DigestUpdate(ctx, p, n));
    md_end(ctx, out);
}

/* Small pieces on their way into a digest, together. */
struct gather {
    EVP_MD_CTX *ctx;
    size_t len;
    uint8_t bytes[512];
};

static void gather_flush(struct gather *g)
{
    must(EVP_DigestUpdate(g->ctx, g->bytes, g->len));
    g->len = 0;
}

static void gather_put(struct gather *g, const void *p, size_t n)
{
    if (n > sizeof(g->bytes) - g->len)
        gather_flush(g);
    if (n > sizeof(g->bytes)) {
        must(EVP_DigestUpdate(g->ctx, p, n));
    } else if (n > 0) {
        memcpy(g->bytes + g->len, p, n);
        g->len += n;
    }
}

void digest_parts(const sl_str *parts, size_t n, uint8_t out[DIGEST_SHA256])
{
    struct gather g;

    g.ctx = md_begin();
    g.len = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t len = (uint32_t)parts[i].len;
        uint8_t prefix[4] = { (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)(len >> 16),
                              (uint8_t)(len >> 24) };

        gather_put(&g, prefix, sizeof(prefix));
        gather_put(&g, parts[i].ptr, parts[i].len);
    }
    gather_flush(&g);
    md_end(g.ctx, out);
}

/* ---- in pieces ---- */

struct sha256 {
    EVP_MD_CTX *ctx;
};

struct sha256 *sha256_create(void)
{
    struct sha256 *h = malloc(sizeof(*h));

    must(h);
    h->ctx = md_create();
    return h;
}

void sha256_destroy(struct sha256 *h)
{
    if (h)
        EVP_MD_CTX_free(h->ctx);
    free(h);
}

void sha256_begin(struct sha256 *h)
{
    must(EVP_DigestInit_ex2(h->ctx, sha256_md, NULL));
}

void sha256_update(struct sha256 *h, const void *p, size_t n)
{
    must(EVP_DigestUpdate(h->ctx, p, n));
}

void sha256_end(struct sha256 *h, uint8_t out[DIGEST_SHA256])
{
    must(EVP_DigestFinal_ex(h->ctx, out, NULL));
}

/* ---- HMAC ---- */

struct hmac {
    EVP_MAC_CTX *ctx; /* keyed; each message starts it anew without the key's schedule */
};

struct hmac *hmac_create(const void *key, size_t key_len)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){ "SHA256" }, 0),
        OSSL_PARAM_construct_end(),
    };
    struct hmac *h = calloc(1, sizeof(*h));

    if (!h)
        return NULL;
    pthread_once(&once, fetch);
    h->ctx = EVP_MAC_CTX_new(hmac);
    /* a NULL key would mean "the key of before" */
    if (!h->ctx || !EVP_MAC_init(h->ctx, key_len > 0 ? key : (const void *)"", key_len, params)) {
        hmac_destroy(h);
        return NULL;
    }
    return h;
}

void hmac_destroy(struct hmac *h)
{
    if (!h)
        return;
    EVP_MAC_CTX_free(h->ctx); /* wipes the key */
    free(h);
}

struct hmac *hmac_fork(const struct hmac *h)
{
    struct hmac *fork = calloc(1, sizeof(*fork));

    if (fork && !(fork->ctx = EVP_MAC_CTX_dup(h->ctx))) {
        free(fork);
        return NULL;
    }
    return fork;
}

int hmac_begin(struct hmac *h)
{
    return EVP_MAC_init(h->ctx, NULL, 0, NULL) ? 0 : UV_ENOMEM;
}

void hmac_update(struct hmac *h, const void *p, size_t n)
{
    if (n > 0)
        must(EVP_MAC_update(h->ctx, p, n));
}

void hmac_end(struct hmac *h, uint8_t out[DIGEST_SHA256])
{
    size_t len = 0;

    must(EVP_MAC_final(h->ctx, out, &len, DIGEST_SHA256) && len == DIGEST_SHA256);
}

bool digest_equal(const void *a, size_t alen, const void *b, size_t blen)
{
    return alen == blen && (alen == 0 || CRYPTO_memcmp(a, b, alen) == 0);
}

/* ---- text forms ---- */

void hex_encode(const void *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = p;

    for (size_t i = 0; i < n; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int hex_decode(sl_str s, uint8_t *out, size_t out_len)
{
    if (s.len % 2 != 0 || s.len / 2 != out_len)
        return UV_EINVAL;
    for (size_t i = 0; i < out_len; i++) {
        int high = hex_value(s.ptr[2 * i]), low = hex_value(s.ptr[2 * i + 1]);

        if (high < 0 || low < 0)
            return UV_EINVAL;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

static const char base64_std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t encode64(const char *alphabet, bool pad, const void *p, size_t n, char *out)
{
    const uint8_t *bytes = p;
    char *start = out;

    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v = (uint32_t)bytes[i] << 16;

        v |= left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        v |= left > 2 ? bytes[i + 2] : 0;
        *out++ = alphabet[v >> 18];
        *out++ = alphabet[v >> 12 & 63];
        if (left > 1)
            *out++ = alphabet[v >> 6 & 63];
        else if (pad)
            *out++ = '=';
        if (left > 2)
            *out++ = alphabet[v & 63];
        else if (pad)
            *out++ = '=';
    }
    *out = '\0';
    return (size_t)(out - start);
}

size_t base64_encode(const void *p, size_t n, char *out)
{
    return encode64(base64_std, true, p, n, out);
}

size_t base64url_encode(const void *p, size_t n, char *out)
{
    return encode64(base64_url, false, p, n, out);
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(sl_str s, uint8_t *out, size_t out_cap)
{
    size_t pads = 0, digits, bytes;
    uint32_t v = 0;

    if (s.len % 4 != 0 || s.len / 4 > INT32_MAX / 3)
        return UV_EINVAL;
    while (pads < 2 && pads < s.len && s.ptr[s.len - 1 - pads] == '=')
        pads++;
    digits = s.len - pads;
    bytes = s.len / 4 * 3 - pads;
    if (bytes > out_cap)
        return UV_ENOBUFS;
    for (size_t i = 0; i < digits; i++) {
        int value = base64_value(s.ptr[i]);

        if (value < 0)
            return UV_EINVAL;
        v = v << 6 | (uint32_t)value;
        if (i % 4 > 0)
            *out++ = (uint8_t)(v >> (6 - 2 * (i % 4)));
    }
    /* one text for one value: the bits a pad leaves over must be zero */
    if (pads > 0 && (v & (pads == 2 ? 15 : 3)) != 0)
        return UV_EINVAL;
    return (int)bytes;
}
