/*
 * auth_help.c - a refused login, seen beside this endpoint's settings and clock: which of them it
 * is.
 */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "salesforce.h"
#include "when.h"

#define SKEW_S 60 /* clocks may differ by less without harm */

static void add(struct answer *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct answer *a, const char *format, ...)
{
    char more[400];
    size_t len = strlen(a->why);
    va_list args;

    va_start(args, format);
    vsnprintf(more, sizeof(more), format, args);
    va_end(args);
    say(a->why + len, sizeof(a->why) - len, "; %s", more);
}

/* ---- sandbox or production ----------------------------------------------------------------- */

static bool is_sandbox(const struct salesforce *sf)
{
    sl_str instance = { 0 };

    sf->host->values->str(sf->host->settings, "instance", &instance);
    return str_has_nocase(instance, ".sandbox.") || str_has_nocase(instance, "--") ||
           str_has_nocase(sf->login, "//test.salesforce.com");
}

static void explain_audience(const struct salesforce *sf, struct answer *a)
{
    bool wants_test = is_sandbox(sf),
         has_test = str_has_nocase(sf->audience, "test.salesforce.com");

    if (wants_test && !has_test)
        add(a, "it is %.*s, and this instance is a sandbox: set https://test.salesforce.com",
            (int)sf->audience.len, sf->audience.ptr);
    else if (!wants_test && has_test)
        add(a, "it is %.*s, and this instance is no sandbox: set https://login.salesforce.com",
            (int)sf->audience.len, sf->audience.ptr);
    else
        add(a, "it is %.*s", (int)sf->audience.len, sf->audience.ptr);
}

/* ---- the clock ----------------------------------------------------------------------------- */

/* How far this clock is ahead of the answer's Date, in seconds; 0: it says none. */
static int64_t ahead_s(const struct salesforce *sf, const sl_http_answer *a)
{
    int64_t theirs = 0;

    for (size_t i = 0; i < a->n_headers; i++)
        if (str_is_nocase(a->headers[i].name, "Date") && when_http(a->headers[i].value, &theirs))
            return (sf->host->wall_ms(sf->host->ctx) - theirs) / 1000;
    return 0;
}

static void explain_clock(const struct salesforce *sf, const sl_http_answer *a, struct answer *to)
{
    int64_t ahead = ahead_s(sf, a);

    if (ahead > SKEW_S || ahead < -SKEW_S)
        add(to, "it is %lld s %s Salesforce's: set it by NTP",
            (long long)(ahead > 0 ? ahead : -ahead), ahead > 0 ? "ahead of" : "behind");
}

/* ---- the key ------------------------------------------------------------------------------- */

/* SHA-256 of the public half, to be compared with the certificate that the app holds. */
static bool fingerprint(EVP_PKEY *key, char out[65])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t *der = NULL, digest[32];
    unsigned n = 0;
    int len = i2d_PUBKEY(key, &der);
    bool ok = len > 0 && EVP_Digest(der, (size_t)len, digest, &n, EVP_sha256(), NULL) == 1 &&
              n == 32;

    OPENSSL_free(der);
    for (size_t i = 0; ok && i < 32; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[ok ? 64 : 0] = '\0';
    return ok;
}

static void explain_key(const struct salesforce *sf, struct answer *a)
{
    char print[65];

    if (sf->key && fingerprint(sf->key, print))
        add(a,
            "this key's public half has SHA-256 %s; of the certificate: openssl x509 -in app.crt "
            "-noout -pubkey | openssl pkey -pubin -outform der | sha256sum",
            print);
}

/* ---- all ----------------------------------------------------------------------------------- */

void auth_explain(const struct salesforce *sf, const sl_http_answer *a, struct answer *to)
{
    sl_str why = str_of(to->why);

    if (to->verdict != ANSWER_PARK || a->error != SL_OK)
        return;
    if (str_has_nocase(why, "audience "))
        explain_audience(sf, to);
    else if (str_has_nocase(why, "expired authorization code"))
        explain_clock(sf, a, to);
    else if (str_has_nocase(why, "invalid assertion"))
        explain_key(sf, to);
    else if (str_has_nocase(why, "approved"))
        add(to, "the username is %.*s", (int)(sf->username.len < 100 ? sf->username.len : 100),
            sf->username.len ? sf->username.ptr : "");
}
