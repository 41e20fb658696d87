/*
 * idempotent.c - see idempotent.h.
 */
#include "admin/idempotent.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPARE_MS 600000 /* clocks differ, and a request takes its time */

/* Each part with its length, or "a" + "bc" were "ab" + "c". */
static int eat(EVP_MD_CTX *c, sl_str part)
{
    unsigned char len[8];

    for (int i = 0; i < 8; i++)
        len[i] = (unsigned char)((uint64_t)part.len >> (56 - 8 * i));
    return EVP_DigestUpdate(c, len, sizeof(len)) == 1 &&
           EVP_DigestUpdate(c, part.ptr ? part.ptr : "", part.len) == 1;
}

sl_status idempotent_key(sl_str delivery_key, sl_str step, uint32_t renewal,
                         char ret[IDEMPOTENT_KEY_SIZE])
{
    static const char domain[] = "sluice/shopify/idempotent/1";
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    unsigned char d[EVP_MAX_MD_SIZE];
    char times[12];
    int good;

    snprintf(times, sizeof(times), "%u", renewal);
    good = c && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1 &&
           eat(c, (sl_str){ domain, sizeof(domain) - 1 }) && eat(c, delivery_key) && eat(c, step) &&
           eat(c, (sl_str){ times, strlen(times) }) && EVP_DigestFinal_ex(c, d, NULL) == 1;
    EVP_MD_CTX_free(c);
    if (!good)
        return SL_E_NO_MEMORY;
    d[6] = (unsigned char)((d[6] & 0x0f) | 0x80); /* version 8, RFC 9562 */
    d[8] = (unsigned char)((d[8] & 0x3f) | 0x80); /* its variant */
    snprintf(ret, IDEMPOTENT_KEY_SIZE,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", d[0], d[1],
             d[2], d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12], d[13], d[14],
             d[15]);
    return SL_OK;
}

int idempotent_lives(int64_t first_sent_ms, int64_t now_ms)
{
    return first_sent_ms <= 0 || now_ms - first_sent_ms < IDEMPOTENT_LIFE_MS - SPARE_MS;
}

enum idempotent_next idempotent_after(const char *code)
{
    static const struct {
        const char *code;
        enum idempotent_next next;
    } codes[] = {
        { "IDEMPOTENCY_CONCURRENT_REQUEST", IDEMPOTENT_SAME },
        { "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", IDEMPOTENT_NEW },
        { "IDEMPOTENCY_KEY_PARAMETER_MISMATCH", IDEMPOTENT_MISUSED },
        { "CHANGE_FROM_QUANTITY_STALE", IDEMPOTENT_REREAD },
    };

    for (size_t i = 0; code && i < sizeof(codes) / sizeof(*codes); i++)
        if (strcmp(code, codes[i].code) == 0)
            return codes[i].next;
    return IDEMPOTENT_NOTHING;
}
