/*
 * verify.c - what the head of a webhook says: topic, ids, the claimed signature.
 *
 * Shopify signs the body only, so everything else here is a hint that picks a rule; it is checked
 * for form, never trusted for truth.
 */
#include "receive/callbacks.h"
#include "shopify.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SIGNATURE_TEXT 44 /* base64 of 32 bytes */
#define MAX_TOPIC      128
#define MAX_SENDER_ID  128
#define NOTIFICATION   "fulfillment_service/notification"

/* Shopify's newer "Events" send the same things without the prefix; the presence of the signature
 * under the short name tells the two apart. */
struct names {
    const char *signature, *topic, *shop, *webhook_id;
    const char *action; /* NULL: the topic says it */
};

static const struct names classic = { "X-Shopify-Hmac-Sha256", "X-Shopify-Topic",
                                      "X-Shopify-Shop-Domain", "X-Shopify-Webhook-Id" };
static const struct names plain = { "shopify-hmac-sha256", "shopify-topic", "shopify-shop-domain",
                                    "shopify-webhook-id", "shopify-action" };

/* "Product" and "update" make "product/update"; what is not here stays as it is spelt. */
#define CHANGES(resource) resource "/create", resource "/update", resource "/delete"
static const char *const event_topics[] = {
    CHANGES("product"),     CHANGES("product_variant"), CHANGES("collection"),
    CHANGES("order"),       CHANGES("draft_order"),     CHANGES("customer"),
    CHANGES("company"),     CHANGES("company_contact"), CHANGES("company_location"),
    CHANGES("fulfillment"), CHANGES("refund"),          CHANGES("return"),
    CHANGES("location"),    CHANGES("inventory_item"),  CHANGES("inventory_level"),
    CHANGES("metaobject"),  CHANGES("discount"),        CHANGES("checkout"),
};

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

/* ---- events without a prefix ---- */

/* "ProductVariant" -> "product_variant"; 0: no bare name, or too long. */
static int snake(sl_str name, char *ret, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        int upper = c >= 'A' && c <= 'Z';

        if (!upper && c != '_' && !(c >= 'a' && c <= 'z'))
            return 0;
        if (n + 3 > size)
            return 0;
        if (upper && i > 0 && name.ptr[i - 1] != '_' &&
            !(name.ptr[i - 1] >= 'A' && name.ptr[i - 1] <= 'Z'))
            ret[n++] = '_';
        ret[n++] = (char)(upper ? c | 0x20 : c);
    }
    ret[n] = '\0';
    return n > 0;
}

/* A resource and what was done with it, as a topic of ours: static storage, or `*topic` as it is.
 * 0: it is no name. */
static int make_event_topic(sl_str *topic, sl_str action)
{
    char text[MAX_TOPIC + 24], resource[MAX_TOPIC], verb[16];

    if (!snake(*topic, resource, sizeof(resource)))
        return 0;
    if (!snake(action, verb, sizeof(verb)))
        return 1;
    snprintf(text, sizeof(text), "%s/%s", resource, verb);
    for (size_t i = 0; i < sizeof(event_topics) / sizeof(event_topics[0]); i++)
        if (strcmp(text, event_topics[i]) == 0)
            *topic = (sl_str){ event_topics[i], strlen(event_topics[i]) };
    return 1;
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
    sl_str shop = { NULL, 0 }, action = { NULL, 0 };

    /* a fulfilment service is notified at an address of its own, whatever its headers say */
    if ((!v->topic.len && (r = single(head, names->topic, &v->topic, fail)) < 0) ||
        (r = single(head, names->shop, &shop, fail)) < 0 ||
        (r = single(head, names->webhook_id, &v->sender_id, fail)) < 0)
        return r;
    if (v->topic.len == 0)
        return shopify_fail(fail, SL_E_INVALID, "header %s is missing", names->topic);
    if (names->action && (r = single(head, names->action, &action, fail)) < 0)
        return r;
    if (!topic_is_sane(v->topic) && !(names->action && make_event_topic(&v->topic, action)))
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
    sl_str service;

    switch (callback_of(s->path_secret, head->rest, &service)) {
    case CALLBACK_NONE:
        break;
    case CALLBACK_UNKNOWN:
        return SL_E_NOT_FOUND;
    case CALLBACK_NOTIFICATION:
        v.topic = (sl_str){ NOTIFICATION, strlen(NOTIFICATION) };
        break;
    default:
        return shopify_fail(fail, SL_E_UNSUPPORTED, "it is asked by GET");
    }
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
