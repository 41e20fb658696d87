/*
 * sign.c - signatures as the Standard Webhooks specification 1.0 describes them, with a shared
 * secret: HMAC-SHA-256 over "id.timestamp.body", in base64 after "v1,".
 */
#include "http.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX     "whsec_"
#define PREFIX_LEN (sizeof(PREFIX) - 1)

/* EVP_DecodeBlock is lenient; what does not encode to the same text again is not taken. */
static sl_status decode(sl_str s, struct signing_key *ret)
{
    unsigned char bytes[KEY_MAX + 3], again[(KEY_MAX + 3) / 3 * 4 + 1];
    size_t pad = 0;
    int n = -1;

    while (pad < 2 && s.len > pad && s.ptr[s.len - 1 - pad] == '=')
        pad++;
    if (s.len > 0 && s.len % 4 == 0 && s.len / 4 * 3 <= sizeof(bytes))
        n = EVP_DecodeBlock(bytes, (const unsigned char *)s.ptr, (int)s.len);
    if (n < 0 || (size_t)n < KEY_MIN + pad || (size_t)n > KEY_MAX + pad)
        return SL_E_INVALID;
    n -= (int)pad;
    if ((size_t)EVP_EncodeBlock(again, bytes, n) != s.len || memcmp(again, s.ptr, s.len) != 0)
        n = -1;
    if (n > 0) {
        memcpy(ret->bytes, bytes, (size_t)n);
        ret->len = (size_t)n;
    }
    OPENSSL_cleanse(bytes, sizeof(bytes));
    OPENSSL_cleanse(again, sizeof(again));
    return n > 0 ? SL_OK : SL_E_INVALID;
}

sl_status signing_key_parse(sl_str secret, struct signing_key *ret)
{
    if (secret.len < PREFIX_LEN || memcmp(secret.ptr, PREFIX, PREFIX_LEN) != 0)
        return SL_E_INVALID;
    return decode((sl_str){ secret.ptr + PREFIX_LEN, secret.len - PREFIX_LEN }, ret);
}

static char *add(char *to, sl_str s)
{
    if (s.len > 0)
        memcpy(to, s.ptr, s.len);
    return to + s.len;
}

sl_status sign(const struct signing_key *keys, size_t n_keys, sl_str id, sl_str timestamp,
               sl_str body, char ret[SIGNATURE_SIZE])
{
    size_t len = id.len + 1 + timestamp.len + 1 + body.len;
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int mac_len = 0;
    char *text = malloc(len), *to = ret, *at;

    if (!text)
        return SL_E_NO_MEMORY;
    at = add(text, id);
    *at++ = '.';
    at = add(at, timestamp);
    *at++ = '.';
    add(at, body);
    for (size_t i = 0; i < n_keys && i < MAX_KEYS; i++) {
        if (!HMAC(EVP_sha256(), keys[i].bytes, (int)keys[i].len, (const unsigned char *)text, len,
                  mac, &mac_len)) {
            free(text);
            return SL_E_NO_MEMORY;
        }
        if (i > 0)
            *to++ = ' ';
        memcpy(to, "v1,", 3);
        to += 3;
        to += EVP_EncodeBlock((unsigned char *)to, mac, (int)mac_len);
    }
    *to = '\0';
    free(text);
    return SL_OK;
}
