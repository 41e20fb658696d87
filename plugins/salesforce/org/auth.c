/*
 * auth.c - the session: a signed assertion (or a client secret) for a token, one request for all
 * who wait.
 */
#include "salesforce.h"

#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_PATH "/services/oauth2/token"
#define ASSERTION_LIFE                                                         \
    180 /* seconds; Salesforce refuses what lies further ahead than 3 to 5 min \
         */
#define MIN_KEY_BITS 2048

/* ---- the key ------------------------------------------------------------------------------- */

/* An encrypted key would make OpenSSL ask on the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *ctx)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}

/* Who keeps both in one file has a chance to mix them up. Without a certificate: yes. */
static bool goes_with_certificate(sl_str pem, EVP_PKEY *key)
{
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
    bool ok = !cert || X509_check_private_key(cert, key) == 1;

    X509_free(cert);
    BIO_free(bio);
    ERR_clear_error();
    return ok;
}

sl_status auth_open(struct salesforce *sf, sl_fail *fail)
{
    const sl_host *h = sf->host;
    sl_str pem;
    BIO *bio;

    sf->session.waiting_end = &sf->session.waiting;
    if (sf->flow == FLOW_CLIENT_CREDENTIALS)
        return h->values->secret(h->settings, "auth.client_secret", 0, &sf->client_secret) ==
                           SL_OK &&
                       sf->client_secret.len > 0
                   ? SL_OK
                   : sf_fail(fail, SL_E_INVALID,
                             "auth.client_secret is not given; flow client_credentials needs it");
    if (h->values->secret(h->settings, "auth.key", 0, &pem) < 0)
        return sf_fail(fail, SL_E_INVALID,
                       "auth.key is not given; flow jwt needs the private key whose certificate "
                       "the app holds");
    bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    sf->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    if (!sf->key || !EVP_PKEY_is_a(sf->key, "RSA"))
        return sf_fail(fail, SL_E_INVALID,
                       "auth.key is not an RSA private key in PEM without a passphrase "
                       "(-----BEGIN PRIVATE KEY-----)");
    if (!goes_with_certificate(pem, sf->key))
        return sf_fail(
            fail, SL_E_INVALID,
            "auth.key: the certificate that stands in it belongs to another key; give the "
            "key that was made with the certificate which the app holds");
    if (EVP_PKEY_get_bits(sf->key) < MIN_KEY_BITS)
        return sf_fail(fail, SL_E_INVALID, "auth.key has %d bits; Salesforce wants %d or more",
                       EVP_PKEY_get_bits(sf->key), MIN_KEY_BITS);
    return SL_OK;
}

static void wipe(char **secret)
{
    if (*secret)
        OPENSSL_cleanse(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}

void auth_close(struct salesforce *sf)
{
    EVP_PKEY_free(sf->key);
    wipe(&sf->session.token);
    free(sf->session.base);
}

/* ---- the request --------------------------------------------------------------------------- */

/* Base64 as in URLs, no padding (RFC 7515). */
static void add_base64url(struct text *to, const void *data, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const uint8_t *p = data;

    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                     (left > 2 ? p[i + 2] : 0);

        for (size_t k = 0; k < (left > 2 ? 4 : left + 1); k++)
            text_char(to, digits[v >> (18 - 6 * k) & 63]);
    }
}

static void add_form_value(struct text *to, sl_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        char low = ascii_lower(c);

        if ((low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
            c == '_' || c == '~')
            text_char(to, c);
        else
            text_printf(to, "%%%02X", (uint8_t)c);
    }
}

/* {"iss": ..., "sub": ..., "aud": ..., "exp": ...}, base64url */
static void add_claims(const struct salesforce *sf, struct text *to)
{
    int64_t exp = sf->host->wall_ms(sf->host->ctx) / 1000 + ASSERTION_LIFE;
    json_t *claims = json_pack("{s:s%, s:s%, s:s%, s:I}", "iss", sf->client_id.ptr,
                               sf->client_id.len, "sub", sf->username.ptr, sf->username.len, "aud",
                               sf->audience.ptr, sf->audience.len, "exp", (json_int_t)exp);
    char *json = claims ? json_dumps(claims, JSON_COMPACT) : NULL;

    if (json)
        add_base64url(to, json, strlen(json));
    else
        to->failed = true;
    free(json);
    json_decref(claims);
}

static bool sign_rs256(EVP_PKEY *key, const struct text *input, struct text *to)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t signature[2048]; /* keys up to 16384 bits */
    size_t len = sizeof(signature);
    bool ok;

    ok = ctx && EVP_PKEY_get_size(key) <= (int)sizeof(signature) &&
         EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
         EVP_DigestSign(ctx, signature, &len, (const uint8_t *)input->ptr, input->len) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    if (ok)
        add_base64url(to, signature, len);
    return ok;
}

static bool make_assertion(const struct salesforce *sf, struct text *to)
{
    static const char header[] = "{\"alg\":\"RS256\"}";
    struct text signature = { 0 };
    bool ok;

    add_base64url(to, header, strlen(header));
    text_char(to, '.');
    add_claims(sf, to);
    ok = !to->failed && sign_rs256(sf->key, to, &signature);
    if (ok) {
        text_char(to, '.');
        text_add(to, signature.ptr, signature.len);
    }
    ok = ok && !to->failed && !signature.failed;
    text_finish(&signature);
    return ok;
}

static bool make_form(const struct salesforce *sf, struct text *to)
{
    struct text assertion = { 0 };
    bool ok = true;

    if (sf->flow == FLOW_CLIENT_CREDENTIALS) {
        text_str(to, "grant_type=client_credentials&client_id=");
        add_form_value(to, sf->client_id);
        text_str(to, "&client_secret=");
        add_form_value(to, sf->client_secret);
    } else {
        ok = make_assertion(sf, &assertion);
        text_str(to, "grant_type=");
        add_form_value(to, str_of("urn:ietf:params:oauth:grant-type:jwt-bearer"));
        text_str(to, "&assertion=");
        text_add(to, assertion.ptr, assertion.len);
        text_finish(&assertion);
    }
    return ok && !to->failed;
}

/* ---- the answer ---------------------------------------------------------------------------- */

/* Tokens go into a header, base into URLs: nothing but visible ASCII. */
static bool is_visible(const char *s)
{
    if (!s || !*s)
        return false;
    for (; *s; s++)
        if (*s <= ' ' || *s > '~')
            return false;
    return true;
}

/* A token that came over https must not travel over http. */
static bool base_is_safe(const struct salesforce *sf, const char *base)
{
    bool plain = sf->login.len > 7 && memcmp(sf->login.ptr, "http://", 7) == 0;

    return is_visible(base) && !strpbrk(base, "?#@\\\"<>") &&
           (strncmp(base, "https://", 8) == 0 || (plain && strncmp(base, "http://", 7) == 0));
}

/* ".../id/{org}/{user}"; one user for all tokens of an endpoint */
static void keep_user(struct session *s, const char *id)
{
    const char *last = id ? strrchr(id, '/') : NULL;

    if (last && is_salesforce_id(str_of(last + 1)))
        say(s->user, sizeof(s->user), "%s", last + 1);
}

static bool keep_token(struct salesforce *sf, sl_str body)
{
    struct session *s = &sf->session;
    json_t *root = json_loadb(body.ptr ? body.ptr : "", body.len, 0, NULL);
    const char *token = json_string_value(json_object_get(root, "access_token"));
    const char *base = json_string_value(json_object_get(root, "instance_url"));
    bool ok = is_visible(token) && base_is_safe(sf, base);

    if (ok) {
        wipe(&s->token);
        free(s->base);
        s->token = strdup(token);
        s->base = strdup(base);
        ok = s->token && s->base;
        if (ok && s->base[strlen(s->base) - 1] == '/')
            s->base[strlen(s->base) - 1] = '\0';
        s->generation++;
        keep_user(s, json_string_value(json_object_get(root, "id")));
    }
    if (!ok)
        wipe(&s->token);
    json_decref(root);
    return ok;
}

/* All who wait go on, or learn why not. Each may free itself, and start another call. */
static void release(struct salesforce *sf, const struct answer *refusal)
{
    struct session *s = &sf->session;
    struct call *call = s->waiting;

    s->waiting = NULL;
    s->waiting_end = &s->waiting;
    while (call) {
        struct call *next = call->next;

        call->next = NULL;
        if (refusal)
            call_refused(call, refusal);
        else
            call_ready(call);
        call = next;
    }
}

static void on_token(void *ctx, const sl_http_answer *a)
{
    struct salesforce *sf = ctx;
    struct answer answer;

    sf->session.asking = false;
    errors_of_oauth(a, &answer);
    auth_explain(sf, a, &answer);
    if (answer.verdict == ANSWER_OK && !keep_token(sf, a->body)) {
        answer.verdict = ANSWER_BUSY;
        say(answer.why, sizeof(answer.why),
            "the login's answer holds no usable access_token and instance_url");
    }
    if (answer.verdict == ANSWER_OK)
        sf_log(sf, SL_LOG_DEBUG, "new session at %s", sf->session.base);
    release(sf, answer.verdict == ANSWER_OK ? NULL : &answer);
}

static sl_status ask(struct salesforce *sf)
{
    const sl_host *h = sf->host;
    struct text url = { 0 }, form = { 0 };
    sl_header headers[] = {
        { str_of("Content-Type"), str_of("application/x-www-form-urlencoded") },
        { str_of("Accept"), str_of("application/json") },
    };
    sl_http_request r = { .size = sizeof(r), .method = str_of("POST") };
    sl_status status = SL_E_NO_MEMORY;

    text_add(&url, sf->login.ptr, sf->login.len);
    text_str(&url, TOKEN_PATH);
    if (make_form(sf, &form) && !url.failed) {
        r.url = text_view(&url);
        r.body = text_view(&form);
        r.headers = headers;
        r.n_headers = sizeof(headers) / sizeof(headers[0]);
        status = h->http(h->ctx, &r, on_token, sf);
    }
    if (form.ptr)
        OPENSSL_cleanse(form.ptr, form.cap);
    text_finish(&form);
    text_finish(&url);
    return status;
}

void auth_wait(struct salesforce *sf, struct call *call)
{
    struct session *s = &sf->session;
    struct answer refusal = { .verdict = ANSWER_NOT_SENT, .why = "no token request could be made" };
    sl_status status;

    if (s->token) {
        call_ready(call);
        return;
    }
    call->next = NULL;
    *s->waiting_end = call;
    s->waiting_end = &call->next;
    if (s->asking)
        return;
    status = ask(sf);
    if (status == SL_OK) {
        s->asking = true;
        return;
    }
    if (status == SL_E_CANCELLED)
        refusal.verdict = ANSWER_CANCELLED;
    release(sf, &refusal);
}

void auth_drop(struct salesforce *sf, uint64_t generation)
{
    if (generation == sf->session.generation)
        wipe(&sf->session.token);
}
