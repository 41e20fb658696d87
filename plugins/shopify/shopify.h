/*
 * shopify.h - what the files of the shopify adapter share.
 */
#pragma once

#include <jansson.h>
#include <sluice/sluice.h>

#include "iso_time.h"

struct admin;

struct shopify {
    const sl_host *host;
    sl_str shop; /* "acme.myshopify.com"; view into the settings */
    sl_str secrets[SL_VERIFY_MAX_SECRETS];
    size_t n_secrets;     /* at least 1; none of them empty */
    struct admin *admin;  /* own: the Admin API's client; NULL: no credentials, it is not asked */
    sl_str version;       /* of the Admin API; empty: it is not asked */
    sl_str admin_url;     /* empty: https://<shop> */
    sl_str path_secret;   /* of callbacks; empty: there are none */
    int64_t settle_ms;    /* until then a draft order that is not found may be there */
    json_t *items;        /* own: {"SKU": inventory item}; stock/items.c */
    json_t *places;       /* own: {"location's name": GID}, asked for at places_ms; places.c */
    int64_t places_ms;    /* monotonic */
    struct past *pasts;   /* back-fills under way: bulk/backfill.c */
    struct push *pushes;  /* under way: stock/set.c */
    struct draft *drafts; /* under way: draft.c */
    struct deed *deeds;   /* under way: orders/deed.c */
    struct requests *requests; /* under way: receive/requests.c */
    struct audit *audits;      /* under way: audit/audit.c */
    struct feed_poll *polls;   /* under way: feeds/feed.c */
    int64_t lag_told_ms;       /* webhooks lag: the host was told so last */
    char parent[80];           /* what deed_parent_key() said last */
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

/* ---- resolve.c, as sluice.h documents it ---- */

/** Can the shop be asked whose a fulfilment order is? */
int shopify_resolves(const struct shopify *s);
void shopify_resolve(void *self, const sl_ref *refs, size_t n, sl_resolve_cb cb, void *cb_ctx);
/** What an event asks of the gateway itself, if it is one of the topics that do (compliance.c). An
 *  error as describe() gives it. */
sl_status shopify_ask(const struct shopify *s, const sl_event *event, const sl_describe_out *out,
                      sl_fail *fail);

/* ---- lookup.c, as sluice.h documents them ---- */

sl_status shopify_can_look_up(const sl_values *values, const sl_values_api *api, sl_str topic,
                              sl_fail *fail);
void shopify_lookup(void *self, const sl_lookup *what, sl_lookup_cb cb, void *cb_ctx);

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
    const char *name; /* path of the order's or the fulfilment's name; NULL: it is not read */
    int resolved;     /* its subject stands in: the order of its first reference is, once known */
};

#define TOPIC_MAX_RULES 4

/** The rules that fit the topic, in their order. A topic that no row knows has one: the generic
 *  rule. The first rule whose id is in the body holds. Returns how many, at least 1. */
size_t topic_rules(sl_str topic, const struct topic_rule *ret[TOPIC_MAX_RULES]);

#define TOPIC_MAX_NAMES 24

/** The members of a body that describe() reads by a topic's rules; views into these. */
struct topic_names {
    sl_str at[TOPIC_MAX_NAMES];
    size_t n;
    uint64_t bits; /* topic_name_bit() of each */
    int all;       /* there are more: any may be one */
};

void topic_names(const struct topic_rule *const *rules, size_t n, struct topic_names *ret);
int topic_is_named(const struct topic_names *names, sl_str name);

/** One of 64, by length and first letter: a name whose bit is not set is none of them. */
static inline uint64_t topic_name_bit(sl_str name)
{
    return UINT64_C(1) << ((name.len * 5 + (name.len ? (unsigned char)name.ptr[0] : 0)) & 63);
}

static inline int topic_reads(const struct topic_names *names, sl_str name)
{
    return (names->bits & topic_name_bit(name)) != 0 && topic_is_named(names, name);
}

/* ---- skim.c ---- */

#define SKIM_MAX_DEPTH 64 /* of a body; Shopify's own stay below 12 */
#define SKIM_MAX_KEPT  24

/** What was kept of a body's top object: the members that topic_reads(), and those whose name has
 *  an escape in it. Views into the body. */
struct skimmed {
    struct skimmed_member {
        sl_str name;  /* without its quotes, escapes as they stand */
        sl_str value; /* its text, not empty; a string with its quotes */
    } at[SKIM_MAX_KEPT];
    size_t n;    /* may be more than there is room for: then only skim_text() has them all */
    int escaped; /* a name has an escape in it */
};

/** SL_OK; SL_E_INVALID: not a JSON object in its structure, SL_E_LIMIT: too deep; then `*ret_at` is
 *  the byte where. What is stepped over is not checked further, and values are not either. */
sl_status skim(sl_str body, const struct topic_names *names, struct skimmed *ret, size_t *ret_at);

/** The kept members of a body that was skimmed well, as the text of an object. `to`: room for the
 *  body's length and 2. Returns the text's length. */
size_t skim_text(sl_str body, const struct topic_names *names, char *to);

/* ---- body.c ---- */

enum value_kind { VALUE_NONE, VALUE_INTEGER, VALUE_STRING, VALUE_TRUE, VALUE_OTHER };

/** A value at a path; a view into the body or what was parsed of it. */
struct value {
    enum value_kind kind;
    sl_str text;        /* a string's bytes; an integer as it stands, or empty ... */
    json_int_t integer; /* ... and then it is this */
};

/** What describe() reads of a body. */
struct body {
    struct skimmed skimmed;
    struct value plain[SKIM_MAX_KEPT]; /* of each member, unless they had to be parsed: */
    json_t *root;                      /* own, or NULL */
};

/** SL_OK, SL_E_INVALID or SL_E_NO_MEMORY; then `fail` has the text, which names the place and never
 *  quotes the body, and there is nothing to finish. `body` must outlive what is read. */
sl_status body_read(struct body *b, sl_str body, const struct topic_names *names, sl_fail *fail);
void body_finish(struct body *b);

/** The values of the first alternative that has any; absent and null are none. Returns how many. */
size_t body_find(const struct body *b, sl_str path, struct value *ret, size_t room);
