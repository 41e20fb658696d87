/*
 * answer.c - see answer.h.
 */
#include "admin/answer.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define TEXT_SIZE  240 /* of what the shop wrote, in a why */
#define ID_SIZE    80  /* of X-Request-Id */
#define MAX_DEPTH  8   /* of the objects and arrays of an `errors` */
#define FIGURE_MAX 1e9

__attribute__((format(printf, 3, 4))) static void
say(struct admin_answer *to, enum admin_verdict verdict, const char *format, ...)
{
    va_list args;

    to->verdict = verdict;
    va_start(args, format);
    vsnprintf(to->why, sizeof(to->why), format, args);
    va_end(args);
}

/** How many bytes the character at `s` has; 0: it is none, or was cut. */
static size_t character(const unsigned char *s)
{
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;

    if (n > 1 && (s[0] < 0xc2 || s[0] > 0xf4))
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

/** One line of whole characters, though pieces of it were cut. */
static void clean(char *s)
{
    char *to = s;

    for (size_t n; *s; s += n ? n : 1) {
        n = character((unsigned char *)s);
        if (n == 1)
            *to++ = (unsigned char)*s < ' ' || *s == 0x7f ? ' ' : *s;
        for (size_t i = 0; n > 1 && i < n; i++)
            *to++ = s[i];
    }
    *to = '\0';
}

sl_str answer_header(const sl_http_answer *a, const char *name)
{
    for (size_t i = 0; i < a->n_headers; i++)
        if (a->headers[i].name.len == strlen(name) &&
            strncasecmp(a->headers[i].name.ptr, name, a->headers[i].name.len) == 0)
            return a->headers[i].value;
    return (sl_str){ 0 };
}

/* What the shop's support asks for first. */
static void add_request_id(const sl_http_answer *a, struct admin_answer *to)
{
    sl_str id = answer_header(a, "X-Request-Id");
    char tail[ID_SIZE + 20];
    size_t len, room;

    if (to->verdict == ADMIN_OK || id.len == 0 || id.len > ID_SIZE)
        return;
    for (size_t i = 0; i < id.len; i++)
        if (!isalnum((unsigned char)id.ptr[i]) && !strchr("-_.,", id.ptr[i]))
            return;
    if (strstr(to->why, "request id"))
        return;
    snprintf(tail, sizeof(tail), " (request id %.*s)", (int)id.len, id.ptr);
    room = sizeof(to->why) - 1 - strlen(tail);
    len = strlen(to->why);
    if (len > room) {
        to->why[room] = '\0';
        clean(to->why);
        len = strlen(to->why);
    }
    snprintf(to->why + len, sizeof(to->why) - len, "%s", tail);
}

/* ---- the text of `errors` ------------------------------------------------------------------ */

static void add(char text[TEXT_SIZE], const char *before, const char *s)
{
    size_t len = strlen(text);

    if (len < TEXT_SIZE - 1)
        snprintf(text + len, TEXT_SIZE - len, "%s%s", before, s);
}

/* A string, an array of strings or of {message}, an object of any of these: by its JSON type. */
static void add_errors(char text[TEXT_SIZE], const char *before, const json_t *errors, int depth)
{
    const char *key, *message = json_string_value(json_object_get(errors, "message"));
    json_t *value;
    size_t i;

    if (depth > MAX_DEPTH || strlen(text) >= TEXT_SIZE - 2)
        return;
    if (json_is_string(errors)) {
        add(text, before, json_string_value(errors));
    } else if (message) {
        add(text, before, message);
    } else if (json_is_array(errors)) {
        json_array_foreach(errors, i, value) add_errors(text, i ? "; " : before, value, depth + 1);
    } else if (json_is_object(errors)) {
        json_object_foreach((json_t *)errors, key, value)
        {
            add(text, before, key);
            add_errors(text, ": ", value, depth + 1);
            before = "; ";
        }
    }
}

/** `errors` of a body, whatever its form; else what a token endpoint says; else nothing. */
static void text_of(const json_t *root, char text[TEXT_SIZE])
{
    const char *said = json_string_value(json_object_get(root, "error_description"));

    text[0] = '\0';
    add_errors(text, "", json_object_get(root, "errors"), 0);
    if (!text[0] && said)
        add(text, "", said);
    if (!text[0] && json_is_string(json_object_get(root, "error")))
        add(text, "", json_string_value(json_object_get(root, "error")));
    clean(text);
}

/* ---- no answer, or one that is not 200 ----------------------------------------------------- */

static void of_failure(const sl_http_answer *a, int writes, struct admin_answer *to)
{
    int n = (int)(a->why.len < 200 ? a->why.len : 200);
    const char *why = a->why.len ? a->why.ptr : "";

    if (a->error == SL_E_TLS && !a->sent)
        say(to, ADMIN_PARK, "TLS: %.*s: check admin.url, and ca_file where a proxy signs", n, why);
    else if (a->sent && writes)
        say(to, ADMIN_PERHAPS, "no whole answer: %.*s", n, why);
    else
        say(to, ADMIN_NOT_DONE, "%s%.*s", a->sent ? "no whole answer: " : "", n, why);
}

struct status_rule {
    uint32_t status;
    enum admin_verdict verdict; /* of a write; of a question PERHAPS is NOT_DONE */
    int64_t after_ms;
    const char *text;
};

static const struct status_rule statuses[] = {
    { 401, ADMIN_PARK, 0, "the shop does not take the access token: was the app removed?" },
    { 402, ADMIN_PARK, PARK_SLOWLY_MS, "the shop is frozen: its bill is to be paid" },
    { 403, ADMIN_PARK, 0,
      "the access token may not do this: `sluice check --online` names scopes" },
    { 404, ADMIN_PARK, 0, "no such shop, or no such admin.version" },
    { 405, ADMIN_REFUSED, 0, "not allowed there" },
    { 406, ADMIN_REFUSED, 0, "not acceptable" },
    { 408, ADMIN_PERHAPS, 0, "the shop waited for the request in vain" },
    { 409, ADMIN_PERHAPS, 0, "somebody else changes the same just now" },
    { 413, ADMIN_REFUSED, 0, "the request is too large" },
    { 414, ADMIN_REFUSED, 0, "the address is too long" },
    { 415, ADMIN_REFUSED, 0, "not this type of body" },
    { 422, ADMIN_REFUSED, 0, "the shop does not take what is in it" },
    { 423, ADMIN_PARK, PARK_SLOWLY_MS, "the shop is locked: its owner has to ask Shopify" },
    { 430, ADMIN_PARK, PARK_BLOCKED_MS,
      "Shopify takes our requests for an attack: have somebody look at what is sent, and ask "
      "Shopify" },
    { 501, ADMIN_REFUSED, 0, "this shop does not offer it" },
    { 502, ADMIN_PERHAPS, 0, "a gateway at Shopify failed" },
    { 503, ADMIN_PERHAPS, 0, "Shopify is not available" },
    { 504, ADMIN_PERHAPS, 0,
      "Shopify gave up waiting for itself: whether it was done is not known" },
    { 530, ADMIN_NOT_DONE, 0, "the shop's name is not found at Shopify's edge" },
    { 540, ADMIN_NOT_DONE, 0, "switched off for a while" },
    { 783, ADMIN_REFUSED, 0, "the body cannot be read" },
};

static const struct status_rule *rule_of(uint32_t status, struct status_rule *other)
{
    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++)
        if (statuses[i].status == status)
            return &statuses[i];
    *other = (struct status_rule){ .status = status, .verdict = ADMIN_PERHAPS, .text = "" };
    if (status >= 300 && status < 400) {
        other->verdict = ADMIN_PARK;
        other->text = "the shop sends elsewhere: check shop and admin.url";
    } else if (status >= 400 && status < 500) {
        other->verdict = ADMIN_REFUSED;
        other->text = "the shop refuses the request";
    } else if (status >= 500) {
        other->text = "an error within Shopify";
    }
    return other;
}

static void of_status(const sl_http_answer *a, const json_t *root, int writes,
                      struct admin_answer *to)
{
    struct status_rule other;
    const struct status_rule *rule = rule_of(a->status, &other);
    enum admin_verdict verdict = rule->verdict;
    char text[TEXT_SIZE];

    if (a->status == 429) {
        to->after_ms = a->retry_after_ms > THROTTLED_MS ? a->retry_after_ms : THROTTLED_MS;
        say(to, ADMIN_THROTTLED, "HTTP 429: too many requests");
        return;
    }
    text_of(root, text);
    if (verdict == ADMIN_PERHAPS && !writes)
        verdict = ADMIN_NOT_DONE;
    to->after_ms = rule->after_ms;
    if (verdict == ADMIN_PERHAPS || verdict == ADMIN_NOT_DONE)
        to->after_ms = a->retry_after_ms > 0 ? a->retry_after_ms : 0;
    say(to, verdict, "HTTP %u%s%s%s%s", a->status, *rule->text ? ": " : "", rule->text,
        *text ? ": " : "", text);
}

/* ---- a 200 --------------------------------------------------------------------------------- */

static int64_t figure(const json_t *o, const char *name, double times)
{
    const json_t *v = json_object_get(o, name);
    double d = json_is_number(v) ? json_number_value(v) : -1; /* floats and integers alike */

    return d >= 0 && d <= FIGURE_MAX ? (int64_t)(d * times) : -1;
}

static void of_cost(const json_t *cost, struct admin_cost *to)
{
    const json_t *bucket = json_object_get(cost, "throttleStatus");

    to->requested = figure(cost, "requestedQueryCost", 1);
    to->actual = figure(cost, "actualQueryCost", 1);
    to->most = figure(bucket, "maximumAvailable", 1);
    to->left = figure(bucket, "currentlyAvailable", 1);
    to->restore_milli = figure(bucket, "restoreRate", 1000);
}

/* Until the whole of what it costs is there. */
static int64_t throttled_for(const struct admin_cost *c)
{
    int64_t ms = 0;

    if (c->restore_milli > 0 && c->requested > c->left && c->left >= 0)
        ms = (c->requested - c->left) * 1000000 / c->restore_milli;
    return ms > THROTTLED_MOST ? THROTTLED_MOST : ms > THROTTLED_MS ? ms : THROTTLED_MS;
}

/* Did anything of it take place? A root field that failed is null. */
static int has_data(const json_t *data)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)data, name, value) if (!json_is_null(value)) return 1;
    return 0;
}

enum code_class { CODE_OTHER, CODE_THROTTLED, CODE_DENIED, CODE_INACTIVE, CODE_BROKEN, CODE_COST };

static enum code_class class_of(const char *code)
{
    static const struct {
        const char *code;
        enum code_class is;
    } codes[] = {
        { "THROTTLED", CODE_THROTTLED },    { "ACCESS_DENIED", CODE_DENIED },
        { "SHOP_INACTIVE", CODE_INACTIVE }, { "INTERNAL_SERVER_ERROR", CODE_BROKEN },
        { "TIMEOUT", CODE_BROKEN },         { "SERVICE_UNAVAILABLE", CODE_BROKEN },
        { "MAX_COST_EXCEEDED", CODE_COST },
    };

    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
        if (strcmp(code, codes[i].code) == 0)
            return codes[i].is;
    return CODE_OTHER;
}

/* undefinedField, argumentNotAccepted, variableMismatch: of the validation against the schema */
static int is_of_schema(const char *code)
{
    return code[0] >= 'a' && code[0] <= 'z';
}

static const char *code_of(const json_t *error)
{
    const json_t *extensions = json_object_get(error, "extensions");
    const char *code = json_string_value(json_object_get(extensions, "code"));

    return code ? code : "";
}

/* The error that decides: one of the whole before one of a part. */
static const json_t *gravest(const json_t *errors)
{
    const json_t *one, *found = json_array_get(errors, 0);
    size_t i;

    json_array_foreach(errors, i, one) if (class_of(code_of(one)) == CODE_THROTTLED) return one;
    json_array_foreach(errors, i, one)
    {
        enum code_class is = class_of(code_of(one));
        if (is == CODE_DENIED || is == CODE_INACTIVE || is == CODE_BROKEN)
            return one;
    }
    return found;
}

static void of_denied(const json_t *error, const char *text, struct admin_answer *to)
{
    const json_t *extensions = json_object_get(error, "extensions");
    const char *needs = json_string_value(json_object_get(extensions, "requiredAccess"));

    if (needs)
        say(to, ADMIN_PARK, "ACCESS_DENIED: give the app what it lacks: %.160s (%s)", needs, text);
    else
        say(to, ADMIN_PARK, "ACCESS_DENIED: the app lacks a scope: %s", text);
}

/* Errors of the whole: what was not executed, and what nobody knows. */
static void of_errors(const json_t *errors, int writes, const struct admin_cost *cost,
                      struct admin_answer *to)
{
    const json_t *first = gravest(errors);
    const json_t *id = json_object_get(json_object_get(first, "extensions"), "requestId");
    const char *code = code_of(first);
    enum code_class is = class_of(code);
    char text[TEXT_SIZE] = "";

    add_errors(text, "", errors, 0);
    clean(text);
    if (is == CODE_THROTTLED) {
        to->after_ms = throttled_for(cost);
        say(to, ADMIN_THROTTLED, "the shop's points are spent");
    } else if (writes && has_data(to->data)) {
        say(to, ADMIN_PERHAPS, "an error beside data: %.40s%s%s", code, *code ? ": " : "", text);
    } else if (is == CODE_DENIED) {
        of_denied(first, text, to);
    } else if (is == CODE_INACTIVE) {
        to->after_ms = PARK_SLOWLY_MS;
        say(to, ADMIN_PARK, "SHOP_INACTIVE: the shop is closed or frozen: %s", text);
    } else if (is == CODE_BROKEN) {
        say(to, writes ? ADMIN_PERHAPS : ADMIN_NOT_DONE, "%s: %s", code, text);
        if (json_is_string(id) && !strstr(to->why, json_string_value(id)))
            snprintf(to->why + strlen(to->why), sizeof(to->why) - strlen(to->why),
                     " (request id %.60s)", json_string_value(id));
    } else if (is == CODE_COST) {
        say(to, ADMIN_REFUSED, "MAX_COST_EXCEEDED: one document may cost 1000 points: %s", text);
    } else if (is_of_schema(code)) {
        say(to, ADMIN_REFUSED,
            "the document does not fit the version that the shop serves: %.40s: %s", code, text);
    } else {
        say(to, ADMIN_REFUSED, "%.60s%s%s", code, *code ? ": " : "", *text ? text : "errors");
    }
}

static void of_body(const json_t *root, int writes, const struct admin_cost *cost,
                    struct admin_answer *to)
{
    const json_t *errors = json_object_get(root, "errors");
    char text[TEXT_SIZE];

    to->data = json_object_get(root, "data");
    if (json_is_null(to->data))
        to->data = NULL;
    if (json_is_array(errors) && json_array_size(errors) > 0) {
        to->errors = errors;
        of_errors(errors, writes, cost, to);
    } else if (json_is_string(errors) || json_object_size(errors) > 0) {
        text_of(root, text); /* in the manner of REST: the request as such was refused */
        say(to, writes && has_data(to->data) ? ADMIN_PERHAPS : ADMIN_REFUSED, "%s",
            *text ? text : "errors");
    } else if (json_is_object(to->data)) {
        to->verdict = ADMIN_OK;
    } else {
        say(to, writes ? ADMIN_PERHAPS : ADMIN_NOT_DONE,
            "HTTP 200, and no answer of the Admin API in it");
    }
}

json_t *answer_read(const sl_http_answer *a, int writes, struct admin_answer *ret,
                    struct admin_cost *cost)
{
    json_t *root = NULL;

    *ret = (struct admin_answer){ .status = a->status };
    *cost = (struct admin_cost){ -1, -1, -1, -1, -1 };
    if (a->error < 0) {
        of_failure(a, writes, ret);
    } else {
        root = json_loadb(a->body.len ? a->body.ptr : "", a->body.len, 0, NULL);
        ret->cost = json_object_get(json_object_get(root, "extensions"), "cost");
        of_cost(ret->cost, cost);
        if (a->status >= 200 && a->status < 300)
            of_body(root, writes, cost, ret);
        else
            of_status(a, root, writes, ret);
        add_request_id(a, ret);
    }
    clean(ret->why);
    return root;
}

/* ---- the token endpoint -------------------------------------------------------------------- */

static const char *help_of(const char *code)
{
    static const struct {
        const char *code, *help;
    } codes[] = {
        { "app_not_installed",
          "the app is not installed in this shop: install it from the Dev Dashboard, and check "
          "that `shop` is the right one" },
        { "shop_not_permitted",
          "client credentials are for shops of the app's own organisation: this shop is in "
          "another one, and needs a token with admin.refresh_token, or an app of its own" },
        { "invalid_client",
          "admin.client_id and admin.client_secret do not go together: take both from the app's "
          "settings" },
        { "application_cannot_be_found",
          "no app has this admin.client_id: take it from the app's settings" },
        { "invalid_grant",
          "the refresh token is spent, expired or of another app: install the app anew and give "
          "the new admin.refresh_token" },
        { "invalid_request", "Shopify does not understand the request for a token" },
        { "unsupported_grant_type", "the app may not get tokens this way" },
    };

    for (size_t i = 0; code && i < sizeof(codes) / sizeof(*codes); i++)
        if (strcmp(code, codes[i].code) == 0)
            return codes[i].help;
    return NULL;
}

static void of_refusal(const sl_http_answer *a, const json_t *root, struct admin_answer *to)
{
    const char *code = json_string_value(json_object_get(root, "error"));
    const char *help = help_of(code);
    char text[TEXT_SIZE];

    text_of(root, text);
    if (a->status == 429) {
        to->after_ms = a->retry_after_ms > THROTTLED_MS ? a->retry_after_ms : THROTTLED_MS;
        say(to, ADMIN_THROTTLED, "no access token: HTTP 429");
    } else if (a->status >= 500 || a->status == 408) {
        to->after_ms = a->retry_after_ms > 0 ? a->retry_after_ms : 0;
        say(to, ADMIN_NOT_DONE, "no access token: HTTP %u", a->status);
    } else if (help) {
        say(to, ADMIN_PARK, "no access token: %s: %s%s%s", code, help,
            strcmp(text, code) ? "; Shopify says: " : "", strcmp(text, code) ? text : "");
    } else if (a->status == 404) {
        say(to, ADMIN_PARK, "no access token: HTTP 404: there is no such shop: check `shop`");
    } else {
        say(to, ADMIN_PARK, "no access token: HTTP %u%s%.60s%s%s", a->status, code ? ": " : "",
            code ? code : "", *text ? ": " : "", text);
    }
}

json_t *answer_read_oauth(const sl_http_answer *a, struct admin_answer *ret)
{
    json_t *root = NULL;

    *ret = (struct admin_answer){ .status = a->status };
    if (a->error < 0) {
        of_failure(a, 0, ret); /* a request for a token does nothing in the shop */
    } else {
        root = json_loadb(a->body.len ? a->body.ptr : "", a->body.len, 0, NULL);
        if (a->status != 200)
            of_refusal(a, root, ret);
        else if (!json_is_object(root))
            say(ret, ADMIN_NOT_DONE, "no access token: HTTP 200, and no JSON in it");
        add_request_id(a, ret);
    }
    clean(ret->why);
    return root;
}
