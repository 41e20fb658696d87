/*
 * describe.c - what an event is about, read from its body by the rules of topics.c.
 */
#include "receive/callbacks.h"
#include "shopify.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feeds/feeds.h"

#define MAX_ID    128 /* bytes of one id */
#define MAX_TEXT  512 /* of a subject, an event key, a reference */
#define MAX_FOUND 16  /* values that one path may give */

/* Room that text is put into piece by piece; what did not fit is remembered, not cut. */
struct text {
    char bytes[MAX_TEXT];
    size_t len;
    int overflow;
};

static void start(struct text *t)
{
    t->len = 0;
    t->overflow = 0;
}

static void put(struct text *t, const char *bytes, size_t len)
{
    if (len > sizeof(t->bytes) - t->len) {
        t->overflow = 1;
        return;
    }
    memcpy(t->bytes + t->len, bytes, len);
    t->len += len;
}

static void put_str(struct text *t, const char *s)
{
    put(t, s, strlen(s));
}

static sl_str view(const struct text *t)
{
    return (sl_str){ t->bytes, t->len };
}

/* ---- ids and lists of them ----------------------------------------------------------------- */

static int id_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '-' || c == '.';
}

/* An id as it stands in a subject: an integer's digits, the digits of a GID, a token. 0: no id. */
static int put_id(struct text *t, const struct value *value)
{
    const char *s = value->text.ptr, *slash, *query;
    size_t len = value->text.len;
    char digits[24];

    if (value->kind == VALUE_INTEGER && len == 0) {
        snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT, value->integer);
        put_str(t, digits);
        return 1;
    }
    if (value->kind != VALUE_STRING && value->kind != VALUE_INTEGER)
        return 0;
    if (len > 6 && memcmp(s, "gid://", 6) == 0) {
        query = memchr(s, '?', len);
        len = query ? (size_t)(query - s) : len;
        slash = memrchr(s, '/', len);
        len -= (size_t)(slash + 1 - s);
        s = slash + 1;
    }
    if (len == 0 || len > MAX_ID)
        return 0;
    for (size_t i = 0; i < len; i++)
        if (!id_char(s[i]))
            return 0;
    put(t, s, len);
    return 1;
}

/* A list of paths as values joined by '/'. Returns how many were there; `*ret_paths`: of how many.
 * What is absent stands as "-". */
static size_t put_list(struct text *t, const struct body *body, const char *list,
                       const char *version, size_t *ret_paths)
{
    size_t found = 0, paths = 0;

    for (const char *p = list; *p; paths++) {
        size_t len = strcspn(p, " ");
        struct value value;
        int there;

        if (paths > 0)
            put(t, "/", 1);
        if (len == 8 && memcmp(p, "@version", 8) == 0) {
            there = *version != '\0';
            put_str(t, version);
        } else {
            there = body_find(body, (sl_str){ p, len }, &value, 1) == 1 && put_id(t, &value);
        }
        if (!there)
            put(t, "-", 1);
        found += there != 0;
        p += len + (p[len] == ' ');
    }
    *ret_paths = paths;
    return found;
}

/* ---- what the rule says -------------------------------------------------------------------- */

/* "order:acme.myshopify.com/450789469". 0: the body lacks the id that this rule needs. */
static int make_subject(const struct shopify *s, const struct topic_rule *rule, sl_str topic,
                        const struct body *body, struct text *ret)
{
    const char *sep = memchr(topic.ptr, '/', topic.len);
    size_t paths, found;

    start(ret);
    if (!sep)
        sep = memchr(topic.ptr, '.', topic.len);
    if (rule->kind)
        put_str(ret, rule->kind);
    else
        put(ret, topic.ptr, sep ? (size_t)(sep - topic.ptr) : topic.len);
    put(ret, ":", 1);
    put(ret, s->shop.ptr, s->shop.len);
    if (!rule->id)
        return 1;
    put(ret, "/", 1);
    found = put_list(ret, body, rule->id, "", &paths);
    return found == paths;
}

/* an event whose body has no id: its header names the resource */
static const struct topic_rule by_header = { .topic = "" };

/* "gid://shopify/ProductVariant/5" of the header: "variant:acme.myshopify.com/5". */
static int subject_of_header(const struct shopify *s, const sl_event *event, struct text *ret)
{
    static const char prefix[] = "gid://shopify/";
    size_t times, at = sizeof(prefix) - 1, end;
    const sl_header *h = shopify_header(event->headers, event->n_headers, "shopify-resource-id",
                                        &times);
    struct value id = { .kind = VALUE_STRING };
    char c;

    if (!h || times != 1 || h->value.len <= at || memcmp(h->value.ptr, prefix, at) != 0)
        return 0;
    id.text = h->value;
    start(ret);
    for (end = at; end < h->value.len && (c = h->value.ptr[end]) != '/'; end++) {
        if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
            return 0;
        if (c < 'a' && end > at)
            put(ret, "_", 1);
        c |= 0x20;
        put(ret, &c, 1);
    }
    if (end == h->value.len)
        return 0;
    if (ret->len == 15 && memcmp(ret->bytes, "product_variant", 15) == 0) {
        start(ret); /* as the webhooks' topics call it */
        put_str(ret, "variant");
    }
    put(ret, ":", 1);
    put(ret, s->shop.ptr, s->shop.len);
    put(ret, "/", 1);
    return ret->len > s->shop.len + 2 && put_id(ret, &id);
}

/* The version's text, or "" - and then a note, if something stands there that is no time. */
static void make_version(const struct topic_rule *rule, const struct body *body,
                         const sl_describe_out *out, char ret[TIME_TEXT_SIZE])
{
    static const char note[] = "the time that orders its versions cannot be read: no version";
    struct value value;

    ret[0] = '\0';
    if (!rule->version ||
        body_find(body, (sl_str){ rule->version, strlen(rule->version) }, &value, 1) == 0)
        return;
    if (value.kind != VALUE_STRING || time_normalise(value.text, ret) < 0)
        out->note(out->ctx, (sl_str){ note, sizeof(note) - 1 });
}

/* "orders/updated", "products/update": a change, of which a second may bring several. */
static int is_change(sl_str topic)
{
    static const char *const ends[] = { "/updated", "/update" };

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        size_t n = strlen(ends[i]);
        if (topic.len > n && memcmp(topic.ptr + topic.len - n, ends[i], n) == 0)
            return 1;
    }
    return 0;
}

/* updated_at has whole seconds: two different changes of one second are told apart by their bodies,
 * while the same body under another id is still the same event. */
static void put_change(struct text *t, const char *version, sl_str body)
{
    unsigned char digest[32];
    char hex[3];

    put_str(t, version);
    put(t, "/", 1);
    EVP_Digest(body.ptr, body.len, digest, NULL, EVP_sha256(), NULL);
    for (int i = 0; i < 16; i++) {
        snprintf(hex, sizeof(hex), "%02x", digest[i]);
        put(t, hex, 2);
    }
}

/* Its topic and shop stand in the key: one order edit is one event, but not the same thing as a
 * transaction of the same number. Empty: the host's default. */
static void make_key(const struct shopify *s, const struct topic_rule *rule, sl_str topic,
                     const struct body *body, const char *version, sl_str raw, struct text *ret)
{
    size_t paths;

    start(ret);
    if (!rule->key && *version && is_change(topic))
        put_change(ret, version, raw);
    if (!rule->key)
        return;
    put(ret, topic.ptr, topic.len);
    put(ret, ":", 1);
    put(ret, s->shop.ptr, s->shop.len);
    put(ret, "/", 1);
    if (put_list(ret, body, rule->key, version, &paths) == 0)
        ret->len = 0; /* nothing tells it apart: no key of its own */
}

/* The reference's id as links know it: always a GID. 0: not an id. */
static int make_ref(const struct topic_ref *ref, const struct value *value, struct text *ret)
{
    const char *s = value->text.ptr;
    size_t len = value->text.len;

    start(ret);
    if (value->kind == VALUE_STRING && len > 6 && memcmp(s, "gid://", 6) == 0) {
        for (size_t i = 0; i < len; i++)
            if (s[i] <= ' ' || s[i] > '~')
                return 0;
        put(ret, s, len);
        return 1;
    }
    put_str(ret, "gid://shopify/");
    put_str(ret, ref->type);
    put(ret, "/", 1);
    return put_id(ret, value);
}

struct refs {
    sl_ref list[MAX_FOUND];
    struct text ids[MAX_FOUND];
    size_t n;
};

static void make_refs(const struct topic_rule *rule, const struct body *body, struct refs *ret)
{
    struct value found[MAX_FOUND];

    ret->n = 0;
    for (size_t i = 0; i < TOPIC_MAX_REFS && rule->refs[i].kind; i++) {
        const struct topic_ref *ref = &rule->refs[i];
        size_t n = body_find(body, (sl_str){ ref->path, strlen(ref->path) }, found, MAX_FOUND);

        for (size_t k = 0; k < n && ret->n < MAX_FOUND; k++) {
            struct text *id = &ret->ids[ret->n];
            size_t before = 0;

            if (!make_ref(ref, &found[k], id) || id->overflow)
                continue;
            while (before < ret->n && (ret->list[before].id.len != id->len ||
                                       memcmp(ret->list[before].id.ptr, id->bytes, id->len) != 0))
                before++;
            if (before < ret->n)
                continue; /* named already: an event links a thing once */
            ret->list[ret->n].kind = (sl_str){ ref->kind, strlen(ref->kind) };
            ret->list[ret->n++].id = view(id);
        }
    }
}

/** The body names both the order and, say, the return: the next event may name the return alone. */
static void tell_links(const struct refs *refs, const sl_describe_out *out)
{
    for (size_t i = 0; i < refs->n && SL_HAS(sl_describe_out, out, link); i++)
        out->link(out->ctx, &refs->list[i]);
}

/* ---- notes --------------------------------------------------------------------------------- */

/* The order's name leads from what a fulfilment service is asked to the order. */
static void tell_name(const struct shopify *s, const struct topic_rule *rule, sl_str topic,
                      const struct body *body, const sl_describe_out *out)
{
    struct value name;
    sl_ref ref = { .kind = { CALLBACK_NAME_KIND, strlen(CALLBACK_NAME_KIND) } };

    if (!rule->name || !s->path_secret.len || !SL_HAS(sl_describe_out, out, link) ||
        body_find(body, (sl_str){ rule->name, strlen(rule->name) }, &name, 1) == 0 ||
        name.kind != VALUE_STRING || name.text.len > CALLBACK_MAX_NAME)
        return;
    ref.id = topic.ptr[0] == 'f' ? callback_order_name(name.text) : name.text;
    if (ref.id.len)
        out->link(out->ctx, &ref);
}

static void note_tests(const sl_event *event, const struct body *body, const sl_describe_out *out)
{
    struct value test;
    size_t times;
    const sl_header *h = shopify_header(event->headers, event->n_headers, "X-Shopify-Test", &times);

    if (h && h->value.len == 4 && memcmp(h->value.ptr, "true", 4) == 0)
        out->note(out->ctx, (sl_str){ "test", 4 });
    else if (body_find(body, (sl_str){ "test", 4 }, &test, 1) == 1 && test.kind == VALUE_TRUE)
        out->note(out->ctx, (sl_str){ "test", 4 });
}

sl_status shopify_describe(void *self, const sl_event *event, const sl_describe_out *out,
                           sl_fail *fail)
{
    const struct shopify *s = self;
    const struct topic_rule *rules[TOPIC_MAX_RULES], *rule = NULL;
    size_t n_rules = topic_rules(event->topic, rules);
    struct topic_names names;
    struct text subject, key;
    struct refs refs;
    char version[TIME_TEXT_SIZE];
    sl_status r = SL_OK;
    struct body body;

    feed_saw(self, event);
    topic_names(rules, n_rules, &names);
    if ((r = body_read(&body, event->body, &names, fail)) < 0)
        return r;
    for (size_t i = 0; i < n_rules && !rule; i++)
        if (make_subject(s, rules[i], event->topic, &body, &subject))
            rule = rules[i];
    if (!rule && subject_of_header(s, event, &subject))
        rule = &by_header;
    if (!rule) {
        r = shopify_fail(fail, SL_E_INVALID, "the body of %.*s has no id at %s",
                         (int)(event->topic.len < 100 ? event->topic.len : 100), event->topic.ptr,
                         rules[0]->id);
        goto out;
    }
    make_version(rule, &body, out, version);
    make_key(s, rule, event->topic, &body, version, event->body, &key);
    make_refs(rule, &body, &refs);
    if (subject.overflow || key.overflow) {
        r = shopify_fail(fail, SL_E_LIMIT, "the ids in the body are longer than %d bytes",
                         MAX_TEXT);
        goto out;
    }
    if ((r = shopify_ask(s, event, out, fail)) < 0)
        goto out;
    note_tests(event, &body, out);
    if (rule->resolved && refs.n && shopify_resolves(s)) {
        start(&subject); /* its order's, which a link or the shop says */
        start(&key);
        version[0] = '\0';
    } else if (!rule->resolved) {
        tell_links(&refs, out);
    }
    tell_name(s, rule, event->topic, &body, out);
    out->subject(out->ctx, view(&subject), (sl_str){ version, strlen(version) }, view(&key),
                 refs.list, refs.n);
out:
    body_finish(&body);
    return r;
}
