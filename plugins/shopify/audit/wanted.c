/*
 * wanted.c - the parameters of a feed of subscriptions, when a configuration is checked.
 */
#include "audit/wanted.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/audit.h"
#include "shopify.h"

#define MOST_TOPICS 200
#define MOST_FILTER 65535 /* bytes; the platform's limit */

const sl_option audit_params[] = {
    { "topics", SL_OPT_STRINGS, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
      "what the shop must have subscriptions of, made through the Admin API, such as [orders/create, "
      "orders/paid]; not those of the app's configuration file" },
    { "url", SL_OPT_URL, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
      "where the shop reaches the gateway, such as https://hooks.example.com/in/acme-shop; without a "
      "path, /in/ENDPOINT is added" },
    { "filter", SL_OPT_MAP, 0, NULL, 0, 0, NULL,
      "topic to its filter, such as { orders/paid: \"total_price:>=100\" }; others have none" },
    { "include_fields", SL_OPT_MAP, 0, NULL, 0, 0, NULL,
      "topic to the fields of its body, such as { orders/paid: \"id, updated_at, total_price\" }; "
      "others have whole bodies" },
    { "recreate", SL_OPT_BOOL, 0, "false", 0, 0, NULL,
      "make again what is missing, and put right what was altered; else somebody is told" },
    { 0 },
};

void wanted_unbind(void *handle)
{
    struct wanted *w = handle;

    if (!w)
        return;
    for (size_t i = 0; i < w->n; i++) {
        free(w->topics[i].topic);
        free(w->topics[i].name);
        free(w->topics[i].filter);
        json_decref(w->topics[i].fields);
    }
    free(w->topics);
    free(w->url);
    free(w);
}

char *wanted_url(const struct wanted *w, sl_str endpoint)
{
    const char *host = strstr(w->url, "://");
    size_t room = strlen(w->url) + endpoint.len + sizeof("/in/");
    char *url = malloc(room);

    if (url && host && !strchr(host + 3, '/'))
        snprintf(url, room, "%s/in/%.*s", w->url, (int)endpoint.len, endpoint.ptr);
    else if (url)
        snprintf(url, room, "%s", w->url);
    return url;
}

/* ---- fields ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

json_t *wanted_fields(const json_t *list)
{
    size_t n = json_array_size(list), used = 0;
    const char **texts = calloc(n + 1, sizeof(*texts));
    json_t *sorted = json_array();

    for (size_t i = 0; texts && i < n; i++)
        if ((texts[used] = json_string_value(json_array_get(list, i))))
            used++;
    if (texts)
        qsort(texts, used, sizeof(*texts), by_text);
    for (size_t i = 0; texts && i < used; i++)
        if (i == 0 || strcmp(texts[i], texts[i - 1]) != 0)
            json_array_append_new(sorted, json_string(texts[i]));
    if (!texts) {
        json_decref(sorted);
        sorted = NULL;
    }
    free(texts);
    return sorted;
}

/* "id, updated_at" */
static json_t *split_fields(const char *text)
{
    json_t *list = json_array(), *sorted;

    while (*text) {
        size_t skip = strspn(text, ", \t"), len = strcspn(text + skip, ", \t");

        if (len > 0)
            json_array_append_new(list, json_stringn(text + skip, len));
        text += skip + len;
    }
    sorted = wanted_fields(list);
    json_decref(list);
    return sorted;
}

/* "order_edit" has "order_edit.order_id" in it. */
static int has_field(const json_t *fields, const char *path, size_t len)
{
    const json_t *one;
    size_t i;

    json_array_foreach(fields, i, one)
    {
        size_t n = json_string_length(one);

        if (n <= len && memcmp(json_string_value(one), path, n) == 0 &&
            (n == len || path[n] == '.'))
            return 1;
    }
    return 0;
}

/* One of the alternatives "a|b.c". */
static int has_one_of(const json_t *fields, const char *paths, size_t len)
{
    while (len > 0) {
        const char *end = memchr(paths, '|', len);
        size_t n = end ? (size_t)(end - paths) : len;

        if (memchr(paths, '*', n) || has_field(fields, paths, n))
            return 1;
        paths += n + (end != NULL);
        len -= n + (end != NULL);
    }
    return 0;
}

/* What the adapter reads of the topic's body must be in it. */
static sl_status check_fields(const struct wanted_topic *t, sl_fail *fail)
{
    const struct topic_rule *rules[TOPIC_MAX_RULES];

    topic_rules((sl_str){ t->topic, strlen(t->topic) }, rules);
    for (const char *at = rules[0]->id ? rules[0]->id : ""; *at; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");

        if (!has_one_of(t->fields, at, len))
            return shopify_fail(fail, SL_E_INVALID,
                                "include_fields: %s lacks \"%.*s\", by which it is known what a "
                                "webhook is about",
                                t->topic, (int)strcspn(at, " |"), at);
        at += len;
    }
    if (rules[0]->version && !has_one_of(t->fields, rules[0]->version, strlen(rules[0]->version)))
        return shopify_fail(
            fail, SL_E_INVALID,
            "include_fields: %s lacks \"%.*s\": without it the shop drops changes as "
            "repetitions, and their order is not known",
            t->topic, (int)strcspn(rules[0]->version, "|"), rules[0]->version);
    return SL_OK;
}

/* What a filter looks at must be in the body, or nothing is ever sent. */
static sl_status check_filter(const struct wanted_topic *t, sl_fail *fail)
{
    const char *word = t->filter;
    int quoted = 0;

    if (strlen(t->filter) > MOST_FILTER)
        return shopify_fail(fail, SL_E_INVALID, "filter: that of %s is longer than 65535 bytes",
                            t->topic);
    for (const char *at = t->filter; *at && json_array_size(t->fields) > 0; at++) {
        quoted ^= *at == '"' || *at == '\'';
        if (!quoted && *at == ':' && at > word && !has_field(t->fields, word, (size_t)(at - word)))
            return shopify_fail(fail, SL_E_INVALID,
                                "filter: that of %s looks at \"%.*s\", which is not among its "
                                "include_fields: the shop would send nothing",
                                t->topic, (int)(at - word), word);
        if (!isalnum((unsigned char)*at) && *at != '_' && *at != '.')
            word = at + 1;
    }
    return SL_OK;
}

/* ---- topics ---- */

static int is_compliance(const char *topic)
{
    return strcmp(topic, "customers/data_request") == 0 || strcmp(topic, "customers/redact") == 0 ||
           strcmp(topic, "shop/redact") == 0;
}

static sl_status read_topic(struct wanted *w, const char *text, sl_fail *fail)
{
    struct wanted_topic *t = &w->topics[w->n];
    size_t len = strlen(text);

    if (len == 0 || len > 100 || strspn(text, "abcdefghijklmnopqrstuvwxyz_./") != len ||
        !strpbrk(text, "./"))
        return shopify_fail(fail, SL_E_INVALID,
                            "topics: \"%.80s\" is no topic, such as orders/create", text);
    if (is_compliance(text))
        return shopify_fail(
            fail, SL_E_INVALID,
            "topics: %s stands in the app's configuration file only (compliance_topics)"
            ", and cannot be seen; leave it out",
            text);
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->topics[i].topic, text) == 0)
            return shopify_fail(fail, SL_E_INVALID, "topics: %s is listed twice", text);
    *t = (struct wanted_topic){
        .topic = strdup(text), .name = strdup(text), .filter = strdup(""), .fields = json_array()
    };
    w->n++;
    if (!t->topic || !t->name || !t->filter || !t->fields)
        return shopify_fail(fail, SL_E_NO_MEMORY, "out of memory");
    for (char *c = t->name; *c; c++)
        *c = *c == '/' || *c == '.' ? '_' : (char)toupper((unsigned char)*c);
    return SL_OK;
}

static sl_status read_topics(const sl_bind_in *in, struct wanted *w, sl_fail *fail)
{
    sl_str text;
    json_t *list, *one;
    sl_status r = in->values->json(in->params, "topics", &text);
    size_t i;

    if (r < 0)
        return shopify_fail(fail, r, "topics is not given");
    list = json_loadb(text.ptr, text.len, 0, NULL);
    w->topics = calloc(json_array_size(list) + 1, sizeof(*w->topics));
    if (!list || !w->topics)
        r = shopify_fail(fail, SL_E_NO_MEMORY, "out of memory");
    else if (json_array_size(list) == 0 || json_array_size(list) > MOST_TOPICS)
        r = shopify_fail(fail, SL_E_INVALID, "topics: it wants 1 to %d of them", MOST_TOPICS);
    json_array_foreach(list, i, one) if (r == SL_OK)
        r = read_topic(w, json_string_value(one), fail);
    json_decref(list);
    return r;
}

static struct wanted_topic *topic_of(struct wanted *w, const char *topic)
{
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->topics[i].topic, topic) == 0)
            return &w->topics[i];
    return NULL;
}

/* A map of topics to texts. */
static sl_status read_map(const sl_bind_in *in, struct wanted *w, const char *param, sl_fail *fail)
{
    sl_str text;
    json_t *map, *one;
    const char *topic;
    sl_status r = SL_OK;

    if (in->values->json(in->params, param, &text) < 0)
        return SL_OK;
    map = json_loadb(text.ptr, text.len, 0, NULL);
    json_object_foreach(map, topic, one)
    {
        struct wanted_topic *t = topic_of(w, topic);

        if (!t) {
            r = shopify_fail(fail, SL_E_INVALID, "%s: %.80s is not among the topics", param, topic);
            break;
        }
        if (strcmp(param, "filter") == 0) {
            free(t->filter);
            t->filter = strdup(json_string_value(one));
        } else {
            json_decref(t->fields);
            t->fields = split_fields(json_string_value(one));
        }
        if (!t->filter || !t->fields) {
            r = shopify_fail(fail, SL_E_NO_MEMORY, "out of memory");
            break;
        }
    }
    json_decref(map);
    return r;
}

static sl_status read_url(const sl_bind_in *in, struct wanted *w, sl_fail *fail)
{
    sl_str url;
    sl_status r = in->values->str(in->params, "url", &url);

    if (r < 0)
        return shopify_fail(fail, r, "url is not given");
    if (url.len < 9 || memcmp(url.ptr, "https://", 8) != 0)
        return shopify_fail(fail, SL_E_INVALID,
                            "url: \"%.*s\" is not https; Shopify calls nothing else",
                            (int)(url.len < 200 ? url.len : 200), url.ptr);
    w->url = strndup(url.ptr, url.len);
    return w->url ? SL_OK : shopify_fail(fail, SL_E_NO_MEMORY, "out of memory");
}

sl_status wanted_bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail)
{
    struct wanted *w = calloc(1, sizeof(*w));
    int64_t recreate = 0;
    sl_status r;

    if (!w)
        return shopify_fail(fail, SL_E_NO_MEMORY, "out of memory");
    in->values->num(in->params, "recreate", &recreate);
    w->recreate = recreate != 0;
    if ((r = read_url(in, w, fail)) == SL_OK && (r = read_topics(in, w, fail)) == SL_OK &&
        (r = read_map(in, w, "filter", fail)) == SL_OK)
        r = read_map(in, w, "include_fields", fail);
    for (size_t i = 0; r == SL_OK && i < w->n; i++) {
        if (json_array_size(w->topics[i].fields) > 0)
            r = check_fields(&w->topics[i], fail);
        if (r == SL_OK)
            r = check_filter(&w->topics[i], fail);
    }
    if (r < 0) {
        wanted_unbind(w);
        return r;
    }
    *ret_handle = w;
    return SL_OK;
}
