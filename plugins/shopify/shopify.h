/*
 * shopify.h - what the files of the shopify adapter share.
 */
#pragma once

#include <jansson.h>
#include <sluice/sluice.h>

struct shopify {
    const sl_host *host;
    sl_str shop; /* "acme.myshopify.com"; view into the settings */
    sl_str secrets[SL_VERIFY_MAX_SECRETS];
    size_t n_secrets; /* at least 1; none of them empty */
};

/** Fill fail->text, printf-like, and return `status`. NULL `fail` is fine. */
__attribute__((format(printf, 3, 4))) sl_status shopify_fail(sl_fail *fail, sl_status status,
                                                             const char *format, ...);

/** The value of a header, its name compared without case; n: how often it is there. NULL: not. */
const sl_header *shopify_header(const sl_header *headers, size_t n_headers, const char *name,
                                size_t *ret_times);

/* the adapter's verify() and describe(), as sluice.h documents them */
sl_status shopify_verify(void *self, const sl_head *head, sl_verdict *ret, sl_fail *fail);
sl_status shopify_describe(void *self, const sl_event *event, const sl_describe_out *out,
                           sl_fail *fail);

/* ---- topics.c ---- */

/** A foreign id in a body. An integer there becomes gid://shopify/<type>/<integer>. */
struct topic_ref {
    const char *kind, *type;
    const char *path;
};

#define TOPIC_MAX_REFS 3

/**
 * How to read the bodies of a topic. A path is names with dots between, a "*" for every element of
 * an array, and "|" before an alternative that counts when what stands before it is absent or null.
 * A list of paths has spaces between; its values are joined by '/'.
 */
struct topic_rule {
    const char *topic;   /* "orders/edited", or "orders/" for the rest of a resource */
    const char *kind;    /* of the subject; NULL: the topic's resource */
    const char *id;      /* list of paths, all needed; NULL: the shop itself */
    const char *version; /* path of a time; NULL: none */
    const char *key;     /* list of paths that name the happening, "@version" among them; NULL: the
                            host's default (subject and version) */
    struct topic_ref refs[TOPIC_MAX_REFS];
};

/** The index-th rule that fits the topic, counted from 0, then NULL. A topic that no row knows has
 *  one: the generic rule. The first rule whose id is in the body holds. */
const struct topic_rule *topic_rule(sl_str topic, size_t index);

#define TOPIC_MAX_NAMES 24

/** The members of a topic's bodies that describe() reads; views into the rules. */
struct topic_names {
    sl_str at[TOPIC_MAX_NAMES];
    size_t n;
    uint64_t bits; /* see topics.c: which lengths and first letters there are */
    int all;       /* there are more: any may be one */
};

void topic_names(sl_str topic, struct topic_names *ret);
int topic_reads(const struct topic_names *names, sl_str name);

/* ---- skim.c ---- */

#define SKIM_MAX_DEPTH 64 /* of a body; Shopify's own stay below 12 */

/** The body's top object with only the members that topic_reads(). `ret`: own, free() its ptr.
 *  SL_E_INVALID: not a JSON object in its structure, SL_E_LIMIT: too deep, SL_E_NO_MEMORY; then
 *  `*ret_at` is the byte where. What is stepped over is not checked further. */
sl_status skim(sl_str body, sl_str topic, sl_str *ret, size_t *ret_at);

/* ---- time.c ---- */

#define TIME_TEXT_SIZE sizeof("2026-11-20T09:15:32.000Z")

/** An ISO 8601 time with an offset ("2026-11-20T10:15:32+01:00", "Z", a fraction) as RFC 3339 in
 *  UTC with ms, which sorts as text. SL_E_INVALID, `ret` untouched: not such a time. */
sl_status time_normalise(sl_str text, char ret[TIME_TEXT_SIZE]);
