/*
 * seal.c - what is kept of tokens, encrypted: "1:" and hex of nonce, ciphertext and tag. The key is
 * of the app's client secret, which stands in no store.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/token.h"
#include "shopify.h"

#define NONCE  12
#define TAG    16
#define FORM   "1:"
#define DOMAIN "sluice/shopify/tokens/1"

static int key_of(sl_str secret, unsigned char key[32])
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    unsigned n = 0;
    int good = c && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1 &&
               EVP_DigestUpdate(c, DOMAIN, sizeof(DOMAIN)) == 1 &&
               EVP_DigestUpdate(c, secret.ptr, secret.len) == 1 &&
               EVP_DigestFinal_ex(c, key, &n) == 1 && n == 32;

    EVP_MD_CTX_free(c);
    return good;
}

int seal_digest(sl_str text, char ret[SEAL_DIGEST_SIZE])
{
    unsigned char d[EVP_MAX_MD_SIZE];

    if (EVP_Digest(text.ptr, text.len, d, NULL, EVP_sha256(), NULL) != 1)
        return 0;
    for (int i = 0; i < (SEAL_DIGEST_SIZE - 1) / 2; i++)
        snprintf(ret + 2 * i, 3, "%02x", d[i]);
    return 1;
}

void seal_wipe(char *text)
{
    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

static char *in_hex(const unsigned char *bytes, size_t n)
{
    char *text = malloc(sizeof(FORM) + 2 * n);

    if (!text)
        return NULL;
    strcpy(text, FORM);
    for (size_t i = 0; i < n; i++)
        sprintf(text + strlen(FORM) + 2 * i, "%02x", bytes[i]);
    return text;
}

char *seal_close(const struct shopify *s, sl_str secret, const char *text)
{
    size_t len = strlen(text);
    unsigned char key[32], *all = malloc(NONCE + len + TAG);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    char *sealed = NULL;
    int n = 0, m = 0;

    if (all && c && key_of(secret, key)) {
        s->host->random(s->host->ctx, all, NONCE);
        if (EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, all) == 1 &&
            EVP_EncryptUpdate(c, all + NONCE, &n, (const unsigned char *)text, (int)len) == 1 &&
            EVP_EncryptFinal_ex(c, all + NONCE + n, &m) == 1 && (size_t)(n + m) == len &&
            EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG, all + NONCE + len) == 1)
            sealed = in_hex(all, NONCE + len + TAG);
    }
    OPENSSL_cleanse(key, sizeof(key));
    EVP_CIPHER_CTX_free(c);
    free(all);
    return sealed;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Own; *ret_n bytes. NULL: it is not of this form. */
static unsigned char *of_hex(sl_str sealed, size_t *ret_n)
{
    size_t form = strlen(FORM), n = sealed.len > form ? (sealed.len - form) / 2 : 0;
    unsigned char *bytes;

    if (n < NONCE + TAG || (sealed.len - form) % 2 || memcmp(sealed.ptr, FORM, form) != 0)
        return NULL;
    bytes = malloc(n);
    for (size_t i = 0; bytes && i < n; i++) {
        int high = digit(sealed.ptr[form + 2 * i]), low = digit(sealed.ptr[form + 2 * i + 1]);

        if (high < 0 || low < 0) {
            free(bytes);
            return NULL;
        }
        bytes[i] = (unsigned char)(high << 4 | low);
    }
    *ret_n = n;
    return bytes;
}

char *seal_open(sl_str secret, sl_str sealed)
{
    size_t n = 0, len;
    unsigned char key[32], *all = of_hex(sealed, &n);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    char *text = NULL;
    int out = 0, more = 0, good;

    if (!all || !c || !key_of(secret, key))
        goto out;
    len = n - NONCE - TAG;
    text = calloc(1, len + 1);
    good = text && EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, all) == 1 &&
           EVP_DecryptUpdate(c, (unsigned char *)text, &out, all + NONCE, (int)len) == 1 &&
           EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG, all + NONCE + len) == 1 &&
           EVP_DecryptFinal_ex(c, (unsigned char *)text + out, &more) == 1;
    if (!good || strlen(text) != len) {
        if (text)
            OPENSSL_cleanse(text, len);
        free(text);
        text = NULL;
    }
out:
    OPENSSL_cleanse(key, sizeof(key));
    EVP_CIPHER_CTX_free(c);
    free(all);
    return text;
}
