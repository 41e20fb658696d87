/*
 * digest.h - SHA-256, streamed HMAC-SHA-256, hexadecimal and base64, over OpenSSL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sluice/types.h>

#define DIGEST_SHA256 32

/** Aborts when OpenSSL has no memory or no SHA-256. @thread any */
void digest_sha256(const void *p, size_t n, uint8_t out[DIGEST_SHA256]);
/** SHA-256 over parts, each preceded by its length as 4 bytes little endian, so that
 *  ("ab","c") and ("a","bc") differ. */
void digest_parts(const sl_str *parts, size_t n, uint8_t out[DIGEST_SHA256]);

/** SHA-256 of what comes in pieces, reused for many messages: begin (dropping one half fed), feed,
 *  take the result. Aborts as above. @thread one at a time */
struct sha256;
struct sha256 *sha256_create(void);
void sha256_destroy(struct sha256 *h); /* NULL is fine */
void sha256_begin(struct sha256 *h);
void sha256_update(struct sha256 *h, const void *p, size_t n);
void sha256_end(struct sha256 *h, uint8_t out[DIGEST_SHA256]);

/** A keyed HMAC-SHA-256 that is reused for many messages. @thread one at a time */
struct hmac;
struct hmac *hmac_create(const void *key, size_t key_len); /* NULL: no memory */
void hmac_destroy(struct hmac *h);                         /* NULL is fine */
/** Start a message (dropping one half fed), feed it, take the result. 0 or UV_ENOMEM. */
int hmac_begin(struct hmac *h);
void hmac_update(struct hmac *h, const void *p, size_t n);
void hmac_end(struct hmac *h, uint8_t out[DIGEST_SHA256]);

/** One of its own with the same key, for a message that comes in pieces while others use `h`.
 *  NULL: no memory. */
struct hmac *hmac_fork(const struct hmac *h);

/** Compare in constant time; unequal lengths differ at once. */
bool digest_equal(const void *a, size_t alen, const void *b, size_t blen);

/** out holds 2n+1 bytes. */
void hex_encode(const void *p, size_t n, char *out);
/** 0 or UV_EINVAL; the length must fit exactly. */
int hex_decode(sl_str s, uint8_t *out, size_t out_len);

/** Standard alphabet, padded. out holds 4*ceil(n/3)+1. Returns the length. */
size_t base64_encode(const void *p, size_t n, char *out);
/** Strict: padding required, nothing else. Returns bytes written, or UV_EINVAL / UV_ENOBUFS. */
int base64_decode(sl_str s, uint8_t *out, size_t out_cap);
/** URL-safe alphabet, no padding. out holds 4*ceil(n/3)+1. Returns the length. */
size_t base64url_encode(const void *p, size_t n, char *out);
