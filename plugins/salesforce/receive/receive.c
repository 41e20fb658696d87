/*
 * receive.c - see receive.h. An Outbound Message carries no proof of its sender: the secret is in
 * its address, and the organisation in it must be ours. A callout is signed, or has a token.
 */
#include "receive.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "callout.h"
#include "feeds/feed.h"
#include "iso_time.h"
#include "outbound.h"
#include "rows/row.h"
#include "salesforce.h"

#define OUTBOUND   "/outbound/"
#define CALLOUT    "/callout"
#define PROCESSING "/processing"
#define MIN_SECRET 16
#define MAX_TOPIC  160
#define MAX_TEXT   256

/* ---- settings ------------------------------------------------------------------------------ */

static sl_status check_follow(sl_str json, json_t **ret, sl_fail *fail)
{
    json_t *list = json_loadb(json.ptr, json.len, 0, NULL);
    sl_status r = list ? SL_OK : sf_fail(fail, SL_E_NO_MEMORY, "out of memory");

    for (size_t i = 0; i < json_array_size(list) && r == SL_OK; i++) {
        const char *name = json_string_value(json_array_get(list, i));

        if (!is_api_name(str_of(name ? name : "")))
            r = sf_fail(fail, SL_E_INVALID,
                        "receive.follow: \"%.80s\" is not an API name; it reads Quote",
                        name ? name : "");
    }
    if (r == SL_OK && ret)
        *ret = json_incref(list);
    json_decref(list);
    return r;
}

sl_status receive_check(const sl_values *v, const sl_values_api *api, sl_fail *fail)
{
    char whole[RECORD_ID_SIZE];
    sl_str id, follow;
    sl_status r;

    if (api->json(v, "receive.follow", &follow) == SL_OK &&
        (r = check_follow(follow, NULL, fail)) < 0)
        return r;

    if (api->str(v, "receive.organization_id", &id) == SL_OK &&
        (!record_id(id, whole) || memcmp(whole, "00D", 3) != 0))
        return sf_fail(fail, SL_E_INVALID,
                       "receive.organization_id: it is an organisation's id, which begins with 00D "
                       "and has 15 or 18 characters (Setup, Company Information)");
    return SL_OK;
}

static bool is_for_paths(sl_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            c != '-' && c != '_')
            return false;
    }
    return true;
}

static sl_status read_secrets(const sl_host *h, const char *name, sl_str *to, size_t *ret_n,
                              sl_fail *fail)
{
    size_t n = 0;

    while (n < SL_VERIFY_MAX_SECRETS &&
           h->values->secret(h->settings, name, (uint32_t)n, &to[n]) == SL_OK) {
        if (to[n].len < MIN_SECRET)
            return sf_fail(fail, SL_E_INVALID, "%s: entry %zu has fewer than %d characters", name,
                           n + 1, MIN_SECRET);
        n++;
    }
    *ret_n = n;
    return SL_OK;
}

sl_status receive_open(struct salesforce *sf, sl_fail *fail)
{
    const sl_host *h = sf->host;
    struct receive *in = &sf->receive;
    sl_str id, follow;
    sl_status r;

    if (h->values->json(h->settings, "receive.follow", &follow) == SL_OK &&
        (r = check_follow(follow, &in->follow, fail)) < 0)
        return r;
    if ((r = read_secrets(h, "receive.path_secret", in->paths, &in->n_paths, fail)) < 0 ||
        (r = read_secrets(h, "receive.callout_token", in->tokens, &in->n_tokens, fail)) < 0 ||
        (r = read_secrets(h, "receive.callout_secret", in->keys, &in->n_keys, fail)) < 0)
        return r;
    h->values->str(h->settings, "receive.callout_header", &in->signature_header);
    if (h->values->str(h->settings, "receive.organization_id", &id) == SL_OK)
        record_id(id, in->organization);
    if (in->n_paths && !in->organization[0])
        return sf_fail(fail, SL_E_INVALID,
                       "receive.organization_id is missing beside receive.path_secret: an Outbound "
                       "Message proves its sender by both");
    for (size_t i = 0; i < in->n_paths; i++)
        if (!is_for_paths(in->paths[i]))
            return sf_fail(fail, SL_E_INVALID,
                           "receive.path_secret: entry %zu has characters that an address would "
                           "have to escape; take letters, digits, - and _",
                           i + 1);
    return SL_OK;
}

void receive_close(struct salesforce *sf)
{
    json_decref(sf->receive.follow);
    sf->receive.follow = NULL;
}

/* ---- verify -------------------------------------------------------------------------------- */

/* The time tells which one it was of those that are right, and nothing of one that is wrong. */
static bool is_one_of(sl_str claimed, const sl_str *secrets, size_t n)
{
    bool is = false;

    for (size_t i = 0; i < n; i++)
        is |= claimed.len == secrets[i].len &&
              CRYPTO_memcmp(claimed.ptr, secrets[i].ptr, claimed.len) == 0;
    return is;
}

/* A header that may be there once: false if it is there twice. Absent: `ret` stays empty. */
static bool single(const sl_head *head, sl_str name, sl_str *ret)
{
    unsigned times = 0;

    for (size_t i = 0; i < head->n_headers; i++)
        if (str_same_nocase(head->headers[i].name, name) && times++ == 0)
            *ret = head->headers[i].value;
    return times <= 1;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'                      ? c - '0'
           : (c = ascii_lower(c)) >= 'a' && c <= 'f' ? c - 'a' + 10
                                                     : -1;
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

/* 32 bytes in 64 hexadecimal digits or in 44 characters of base64, as Apex writes either. */
static size_t decode_signature(sl_str s, uint8_t ret[32])
{
    uint32_t bits = 0;
    size_t n = 0;
    int have = 0, per = s.len == 64 ? 4 : 6;
    size_t digits = s.len == 64 ? 64 : 43;

    if (s.len != 64 && (s.len != 44 || s.ptr[43] != '='))
        return 0;
    for (size_t i = 0; i < digits; i++) {
        int d = per == 4 ? hex_digit(s.ptr[i]) : base64_digit(s.ptr[i]);

        if (d < 0)
            return 0;
        bits = bits << per | (uint32_t)d;
        have += per;
        if (have >= 8) {
            have -= 8;
            ret[n++] = (uint8_t)(bits >> have);
        }
    }
    return n;
}

/* No secret and no signature: the host refuses it as it refuses all bad ones. */
static void refuse(sl_verdict *v)
{
    v->scheme = SL_SIGNED_HMAC_SHA256;
    v->signature_len = v->n_secrets = 0;
}

static void verify_callout(const struct receive *in, const sl_head *head, sl_verdict *v)
{
    const sl_str bearer = str_of("Bearer ");
    sl_str signature = { 0 }, token = { 0 };

    refuse(v);
    if (!single(head, in->signature_header, &signature) ||
        !single(head, str_of("Authorization"), &token))
        return;
    if (in->n_keys && signature.len) {
        v->signature_len = decode_signature(signature, v->signature);
        v->n_secrets = in->n_keys;
        memcpy(v->secrets, in->keys, sizeof(in->keys));
    } else if (token.len > bearer.len &&
               str_same_nocase((sl_str){ token.ptr, bearer.len }, bearer) &&
               is_one_of((sl_str){ token.ptr + bearer.len, token.len - bearer.len }, in->tokens,
                         in->n_tokens)) {
        v->scheme = SL_SIGNED_NOT;
    }
}

static bool is_outbound(const struct receive *in, sl_str rest)
{
    size_t n = strlen(OUTBOUND);

    return in->n_paths && rest.len > n && memcmp(rest.ptr, OUTBOUND, n) == 0 &&
           is_one_of((sl_str){ rest.ptr + n, rest.len - n }, in->paths, in->n_paths);
}

static bool is_callout(const struct receive *in, sl_str rest)
{
    return (in->n_keys || in->n_tokens) && str_is(rest, CALLOUT);
}

sl_status receive_verify(void *self, const sl_head *head, sl_verdict *ret, sl_fail *fail)
{
    const struct salesforce *sf = self;
    const struct receive *in = &sf->receive;
    bool outbound = is_outbound(in, head->rest);

    if (!outbound && !is_callout(in, head->rest))
        return SL_E_NOT_FOUND;
    if (!str_is(head->method, "POST"))
        return sf_fail(fail, SL_E_UNSUPPORTED, "messages and callouts come by POST");
    if (outbound)
        ret->scheme = SL_SIGNED_NOT; /* its path was the proof; its organisation is the other */
    else
        verify_callout(in, head, ret);
    return SL_OK;
}

/* ---- unpack -------------------------------------------------------------------------------- */

static sl_status on_notification(void *ctx, const struct notification *n)
{
    const sl_unpack_out *out = ctx;
    char topic[MAX_TOPIC];

    say(topic, sizeof(topic), "outbound/%.*s", (int)n->object.len, n->object.ptr);
    return out->event(out->ctx, str_of(topic), n->id, n->json);
}

static bool follows(const struct receive *in, sl_str object)
{
    const json_t *one;
    size_t i;

    json_array_foreach(
        in->follow, i,
        one) if (str_same_nocase(object, str_of(json_string_value(one)))) return true;
    return false;
}

/* "quote/processing": the first of the events that say how it goes on; those that say how it ended
 * come from where it is done. */
static sl_status tell_processing(const struct callout *c, const sl_unpack_out *out)
{
    char topic[MAX_TOPIC], own[MAX_TEXT];
    json_t *body = json_pack("{s:s,s:s%,s:s,s:s%,s:O?}", "status", "processing", "object",
                             c->object.ptr, c->object.len, "id", c->id, "event_id", c->event_id.ptr,
                             c->event_id.len, "occurred_at",
                             json_object_get(c->root, "occurredAt"));
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    sl_status r = SL_E_NO_MEMORY;

    say(topic, sizeof(topic), "%.*s" PROCESSING, (int)c->object.len, c->object.ptr);
    for (char *p = topic; *p; p++)
        *p = ascii_lower(*p);
    say(own, sizeof(own), "%.*s" PROCESSING, (int)c->event_id.len, c->event_id.ptr);
    if (text)
        r = out->event(out->ctx, str_of(topic), str_of(own), str_of(text));
    json_decref(body);
    free(text);
    return r;
}

static sl_status answer_callout(struct salesforce *sf, const struct callout *c,
                                const sl_unpack_out *out)
{
    /* an empty answer upsets a Flow */
    static const sl_ack ack = {
        .size = sizeof(sl_ack), .status = 200, .content_type = "application/json", .body = "{}"
    };
    sl_status r;

    if (!follows(&sf->receive, c->object))
        return out->answer(out->ctx, &ack);
    r = tell_processing(c, out);
    if (r == SL_OK)
        r = out->follow(out->ctx);
    if (r != SL_E_UNSUPPORTED)
        return r;
    if (!sf->receive.warned)
        sf_log(
            sf, SL_LOG_WARN,
            "receive.follow: nobody can ask what becomes of a callout, since the endpoint has no "
            "status: { url, secret }; callouts are answered with {}");
    sf->receive.warned = true;
    return out->answer(out->ctx, &ack);
}

static sl_status unpack_callout(struct salesforce *sf, sl_str body, const sl_unpack_out *out,
                                sl_fail *fail)
{
    struct callout c;
    char topic[MAX_TOPIC];
    sl_status r = callout_read(&c, body, fail);

    if (r < 0)
        return r;
    say(topic, sizeof(topic), "callout/%.*s/%s", (int)c.object.len, c.object.ptr, c.change);
    r = out->event(out->ctx, str_of(topic), c.event_id, body);
    if (r == SL_OK)
        r = answer_callout(sf, &c, out);
    callout_finish(&c);
    return r;
}

sl_status receive_unpack(void *self, const sl_head *head, sl_str body, const sl_unpack_out *out,
                         sl_fail *fail)
{
    struct salesforce *sf = self;
    sl_status r;

    if (str_is(head->rest, CALLOUT))
        return unpack_callout(sf, body, out, fail);
    r = outbound_read(body, str_of(sf->receive.organization), on_notification, (void *)out, fail);
    return r < 0 ? r : out->answer(out->ctx, &outbound_ack);
}

/* ---- describe ------------------------------------------------------------------------------ */

/* When the record was last written, as far as it says so; "" else. */
static void version_of(const json_t *fields, const char *otherwise, char ret[TIME_TEXT_SIZE])
{
    static const char *const names[] = { "SystemModstamp", "LastModifiedDate" };

    ret[0] = '\0';
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *at = json_string_value(json_object_get(fields, names[i]));
        if (at && time_normalise(str_of(at), ret) == SL_OK)
            return;
    }
    if (otherwise)
        time_normalise(str_of(otherwise), ret);
}

/* Its own id is the event's key: two writes of one second have the same version. */
static void tell(const sl_describe_out *out, const char *object, const char *id,
                 const char *version, const char *kind, const char *event)
{
    char subject[MAX_TEXT], key[MAX_TEXT];

    say(subject, sizeof(subject), "salesforce:%s/%s", object, id);
    say(key, sizeof(key), "%s:%s", kind, event);
    out->subject(out->ctx, str_of(subject), str_of(version), str_of(key), NULL, 0);
}

static sl_status describe_notification(const sl_event *event, const sl_describe_out *out,
                                       sl_fail *fail)
{
    json_t *root = json_loadb(event->body.ptr ? event->body.ptr : "", event->body.len, 0, NULL);
    const json_t *record = json_object_get(root, "record");
    const char *object = json_string_value(json_object_get(root, "object"));
    const char *own = json_string_value(json_object_get(root, "notification_id"));
    const char *id = json_string_value(json_object_get(record, "Id"));
    char version[TIME_TEXT_SIZE];
    sl_status r = SL_OK;

    if (object && own && id) {
        version_of(record, NULL, version);
        tell(out, object, id, version, "notification", own);
    } else {
        r = sf_fail(fail, SL_E_INVALID, "the notification has no object, id or record");
    }
    json_decref(root);
    return r;
}

static sl_status describe_callout(const sl_event *event, const sl_describe_out *out, sl_fail *fail)
{
    char version[TIME_TEXT_SIZE], object[MAX_TEXT], own[MAX_TEXT];
    struct callout c;
    sl_status r = callout_read(&c, event->body, fail);

    if (r < 0)
        return r;
    version_of(c.fields, json_string_value(json_object_get(c.root, "occurredAt")), version);
    say(object, sizeof(object), "%.*s", (int)c.object.len, c.object.ptr);
    say(own, sizeof(own), "%.*s", (int)c.event_id.len, c.event_id.ptr);
    tell(out, object, c.id, version, "callout", own);
    callout_finish(&c);
    return SL_OK;
}

static sl_status describe_processing(const sl_event *event, const sl_describe_out *out,
                                     sl_fail *fail)
{
    json_t *root = json_loadb(event->body.ptr ? event->body.ptr : "", event->body.len, 0, NULL);
    const char *object = json_string_value(json_object_get(root, "object"));
    const char *own = json_string_value(json_object_get(root, "event_id"));
    const char *id = json_string_value(json_object_get(root, "id"));
    char version[TIME_TEXT_SIZE];
    sl_status r = SL_OK;

    if (object && own && id) {
        version_of(NULL, json_string_value(json_object_get(root, "occurred_at")), version);
        tell(out, object, id, version, "processing", own);
    } else {
        r = sf_fail(fail, SL_E_INVALID, "the event has no object, id or event_id");
    }
    json_decref(root);
    return r;
}

static bool ends(sl_str s, const char *with)
{
    size_t n = strlen(with);

    return s.len > n && memcmp(s.ptr + s.len - n, with, n) == 0;
}

static bool begins(sl_str s, const char *with)
{
    return s.len > strlen(with) && memcmp(s.ptr, with, strlen(with)) == 0;
}

sl_status receive_describe(void *self, const sl_event *event, const sl_describe_out *out,
                           sl_fail *fail)
{
    (void)self;
    if (begins(event->topic, "outbound/"))
        return describe_notification(event, out, fail);
    if (begins(event->topic, "callout/"))
        return describe_callout(event, out, fail);
    if (ends(event->topic, PROCESSING))
        return describe_processing(event, out, fail);
    return feed_describe(event, out, fail);
}
