/*
 * verify.c - what the head of a webhook says: topic, ids, the claimed signature.
 *
 * Shopify signs the body only, so everything else here is a hint that picks a rule; it is checked
 * for form, never trusted for truth.
 */
#include "shopify.h"

#include <string.h>
#include <strings.h>

#define SIGNATURE_TEXT 44 /* base64 of 32 bytes */
#define MAX_TOPIC      128
#define MAX_SENDER_ID  128

/* Shopify's newer "Events" send the same things without the prefix; the presence of the signature
 * under the short name tells the two apart. */
struct names {
    const char *signature, *topic, *shop, *webhook_id;
};

static const struct names classic = { "X-Shopify-Hmac-Sha256", "X-Shopify-Topic",
                                      "X-Shopify-Shop-Domain", "X-Shopify-Webhook-Id" };
static const struct names plain = { "shopify-hmac-sha256", "shopify-topic", "shopify-shop-domain",
                                    "shopify-webhook-id" };

static int equal_nocase(sl_str a, sl_str b)
{
    return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Strict: 43 digits and one '=', the four spare bits zero. One signature has one spelling only. */
static size_t decode_signature(sl_str text, uint8_t ret[32])
{
    uint32_t bits = 0;
    size_t n = 0;
    int have = 0;

    if (text.len != SIGNATURE_TEXT || text.ptr[SIGNATURE_TEXT - 1] != '=')
        return 0;
    for (size_t i = 0; i < SIGNATURE_TEXT - 1; i++) {
        int d = base64_digit(text.ptr[i]);

        if (d < 0)
            return 0;
        bits = bits << 6 | (uint32_t)d;
        have += 6;
        if (have >= 8) {
            have -= 8;
            ret[n++] = (uint8_t)(bits >> have);
        }
    }
    return (bits & 3) == 0 ? n : 0; /* 43 x 6 = 258 bits, 32 x 8 = 256 */
}

/* "orders/create", and "customer.tags_added" as Shopify spells a few. */
static int topic_is_sane(sl_str t)
{
    size_t separators = 0;

    if (t.len == 0 || t.len > MAX_TOPIC)
        return 0;
    for (size_t i = 0; i < t.len; i++) {
        char c = t.ptr[i];

        if (c == '/' || c == '.') {
            if (i == 0 || i == t.len - 1)
                return 0;
            separators++;
        } else if ((c < 'a' || c > 'z') && c != '_') {
            return 0;
        }
    }
    return separators == 1;
}

/* A header that may be there once. Absent: `ret` stays empty. */
static sl_status single(const sl_head *head, const char *name, sl_str *ret, sl_fail *fail)
{
    size_t times;
    const sl_header *h = shopify_header(head->headers, head->n_headers, name, &times);

    if (times > 1)
        return shopify_fail(fail, SL_E_INVALID, "header %s is there %zu times, expected once", name,
                            times);
    *ret = h ? h->value : (sl_str){ NULL, 0 };
    return SL_OK;
}

static sl_status read_hints(const struct shopify *s, const sl_head *head, const struct names *names,
                            sl_verdict *v, sl_fail *fail)
{
    sl_status r;
    sl_str shop = { NULL, 0 };

    if ((r = single(head, names->topic, &v->topic, fail)) < 0 ||
        (r = single(head, names->shop, &shop, fail)) < 0 ||
        (r = single(head, names->webhook_id, &v->sender_id, fail)) < 0)
        return r;
    if (v->topic.len == 0)
        return shopify_fail(fail, SL_E_INVALID, "header %s is missing", names->topic);
    if (!topic_is_sane(v->topic))
        return shopify_fail(fail, SL_E_INVALID, "header %s is not of the form \"orders/create\"",
                            names->topic);
    if (v->sender_id.len > MAX_SENDER_ID)
        return shopify_fail(fail, SL_E_INVALID, "header %s is longer than %d bytes",
                            names->webhook_id, MAX_SENDER_ID);
    if (shop.len > 0 && !equal_nocase(shop, s->shop))
        return shopify_fail(fail, SL_E_INVALID,
                            "the webhook is from another shop than the configured %.*s: the "
                            "subscription points to the wrong endpoint",
                            (int)s->shop.len, s->shop.ptr);
    return SL_OK;
}

sl_status shopify_verify(void *self, const sl_head *head, sl_verdict *ret, sl_fail *fail)
{
    const struct shopify *s = self;
    const struct names *names = &classic;
    const sl_header *signature;
    sl_verdict v = { .size = sizeof(v), .scheme = SL_SIGNED_HMAC_SHA256 };
    size_t times;
    sl_status r;

    if (head->method.len != 4 || memcmp(head->method.ptr, "POST", 4) != 0)
        return shopify_fail(fail, SL_E_UNSUPPORTED, "webhooks come by POST");
    if (shopify_header(head->headers, head->n_headers, plain.signature, &times))
        names = &plain;
    r = read_hints(s, head, names, &v, fail);
    if (r < 0)
        return r;
    /* no signature, a malformed one, or two to choose from: length 0, and the host refuses */
    signature = shopify_header(head->headers, head->n_headers, names->signature, &times);
    if (signature && times == 1)
        v.signature_len = decode_signature(signature->value, v.signature);
    v.n_secrets = s->n_secrets;
    memcpy(v.secrets, s->secrets, sizeof(v.secrets));
    *ret = v;
    return SL_OK;
}
