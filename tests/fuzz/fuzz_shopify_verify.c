/*
 * fuzz_shopify_verify.c - the head of a webhook: what verify() makes of any headers, and a
 * signature made here in the place of a given one passes with the secret it was made with, and with
 * none once a bit of it or of the body is another.
 *
 * Input: a byte that chooses the secret (none of ours, too), a byte that chooses a bit, then lines
 * "Name: value", an empty line and the body. The value "@" of a header stands for the signature.
 */
#include "fuzz.h"

#include <string.h>
#include <sluice/sluice.h>

#include "../unit/plugins/fake_host.h"
#include "base/buf.h"
#include "base/digest.h"

#define MAX_HEADERS 32
#define SECRETS     3

static const struct fake_setting settings[] = {
    { "shop", "acme.myshopify.com" },
    { "webhook_secret", "the-one-in-use" },
    { "webhook_secret", "the-one-before" },
    { "webhook_secret", "x" },
    { 0 },
};

static const sl_plugin *plugin;
static void *self;
static struct hmac *keyed[SECRETS + 1]; /* the last: of somebody else */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct fake_host *host; /* lives as long as the process */

    (void)argc, (void)argv;
    plugin = sl_plugin_v0();
    host = fake_host_create("acme", plugin->settings, settings);
    self = fake_host_open(host, plugin);
    for (int i = 0; i < SECRETS; i++)
        keyed[i] = hmac_create(settings[1 + i].value, strlen(settings[1 + i].value));
    keyed[SECRETS] = hmac_create("stranger", 8);
    return 0;
}

static void sign(struct hmac *h, sl_str body, uint8_t out[DIGEST_SHA256])
{
    PROMISE(hmac_begin(h) == 0, "hmac");
    hmac_update(h, body.ptr, body.len);
    hmac_end(h, out);
}

/* Lines up to an empty one; what follows is the body. */
static size_t read_headers(sl_str *text, sl_str signature, sl_header *headers, bool *ret_signed)
{
    size_t n = 0;

    *ret_signed = false;
    while (text->len > 0) {
        const char *nl = memchr(text->ptr, '\n', text->len);
        sl_str line = { text->ptr, nl ? (size_t)(nl - text->ptr) : text->len };
        const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;
        size_t step = line.len + (nl != NULL);

        *text = (sl_str){ text->ptr + step, text->len - step };
        if (!colon || n == MAX_HEADERS)
            break;
        headers[n].name = (sl_str){ line.ptr, (size_t)(colon - line.ptr) };
        headers[n].value = str_trim((sl_str){ colon + 1, line.len - headers[n].name.len - 1 });
        if (str_eq(headers[n].value, STR("@"))) {
            headers[n].value = signature;
            *ret_signed = true;
        }
        n++;
    }
    return n;
}

/* The value of the one header that carries the signature; length 0: none, or not one. */
static sl_str claimed(const sl_header *headers, size_t n)
{
    const char *const names[] = { "Shopify-Hmac-Sha256", "X-Shopify-Hmac-Sha256" };
    sl_str found = STR("");

    for (size_t k = 0; k < 2; k++) {
        size_t times = 0;

        for (size_t i = 0; i < n; i++)
            if (str_eq_nocase(headers[i].name, str_of(names[k]))) {
                times++;
                found = headers[i].value;
            }
        if (times > 0)
            return times == 1 ? found : STR("");
    }
    return found;
}

static bool passes(const sl_verdict *v, sl_str body)
{
    for (size_t i = 0; i < v->n_secrets; i++) {
        struct hmac *h = hmac_create(v->secrets[i].ptr, v->secrets[i].len);
        uint8_t mac[DIGEST_SHA256];
        bool equal;

        sign(h, body, mac);
        equal = digest_equal(mac, sizeof(mac), v->signature, v->signature_len);
        hmac_destroy(h);
        if (equal)
            return true;
    }
    return false;
}

/* verify() has not refused: is it right about the signature? */
static void check_verdict(const sl_verdict *v, const sl_header *headers, size_t n)
{
    uint8_t bytes[64];
    sl_str text = claimed(headers, n);
    int len = text.len == 44 ? base64_decode(text, bytes, sizeof(bytes)) : -1;

    PROMISE(v->scheme == SL_SIGNED_HMAC_SHA256 && v->topic.len > 0, "scheme, topic");
    PROMISE(v->n_secrets == SECRETS, "%zu secrets", v->n_secrets);
    if (len == DIGEST_SHA256)
        PROMISE(v->signature_len == DIGEST_SHA256 &&
                    memcmp(v->signature, bytes, DIGEST_SHA256) == 0,
                "another signature");
    else
        PROMISE(v->signature_len == 0, "a signature of nothing");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, data + size };
    uint8_t who = take_u8(&in) % (SECRETS + 1), flip = take_u8(&in);
    const char *gap = memmem(in.p, (size_t)(in.end - in.p), "\n\n", 2);
    sl_str text = rest(&in),
           body = gap ? whole((const uint8_t *)gap + 2, (size_t)(in.end - (const uint8_t *)gap) - 2)
                      : STR("");
    sl_header headers[MAX_HEADERS];
    char encoded[4 * 11 + 1];
    uint8_t mac[DIGEST_SHA256];
    sl_verdict v = { .size = sizeof(v) };
    sl_fail fail = { .size = sizeof(fail) };
    sl_head head = { .size = sizeof(head), .method = fake_str("POST"), .headers = headers };
    bool ours, good;

    sign(keyed[who], body, mac);
    if (flip < 128)
        mac[flip / 8] ^= (uint8_t)(1 << flip % 8);
    base64_encode(mac, sizeof(mac), encoded);
    head.n_headers = read_headers(&text, str_of(encoded), headers, &ours);
    if (plugin->verify(self, &head, &v, &fail) < 0) {
        PROMISE(fail.text[0] && memchr(fail.text, '\0', sizeof(fail.text)), "no reason");
        return 0;
    }
    check_verdict(&v, headers, head.n_headers);
    good = ours && who < SECRETS && flip >= 128 &&
           str_eq(claimed(headers, head.n_headers), str_of(encoded));
    PROMISE(passes(&v, body) == good || !ours, "who %u, flip %u: %d", who, flip, !good);
    return 0;
}
