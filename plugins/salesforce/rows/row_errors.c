/*
 * row_errors.c - the table of codes, and the words for each.
 */
#include "row_errors.h"

#include <string.h>

#include "duplicates.h"

#define STORAGE_WAIT_MS 900000 /* somebody has to make room */
#define MESSAGE_SHOWN   400    /* bytes of Salesforce's own text that are kept */

/* ---- the table ----------------------------------------------------------------------------- */

#define NARROW 1u /* fewer rows at once get through */
#define GONE   2u
#define WAIT   4u /* not before STORAGE_WAIT_MS */
#define FIELDS 8u

/* In `advice` stand {object}, {fields}, {max}: what a text in Salesforce's words lacks is put in
 * general words. The first line that fits counts; a code alone comes after its special cases. */
static const struct rule {
    const char *code;
    const char *text; /* must stand in the message; NULL: any */
    uint32_t kind, flags;
    const char *advice; /* NULL: Salesforce's text says it */
} rules[] = {
    /* contention and load: another time is enough */
    { "UNABLE_TO_LOCK_ROW", NULL, SL_RETRY, NARROW,
      "another transaction held this {object} or its parent; it goes again by itself" },
    { "SERVER_UNAVAILABLE", NULL, SL_RETRY, 0, NULL },
    { "REQUEST_RUNNING_TOO_LONG", NULL, SL_RETRY, NARROW,
      "triggers and flows of {object} took too long; it goes again with fewer rows beside it" },
    { "QUERY_TIMEOUT", NULL, SL_RETRY, NARROW, NULL },
    { "REQUEST_LIMIT_EXCEEDED", NULL, SL_RETRY, 0, NULL },
    { "STORAGE_LIMIT_EXCEEDED", NULL, SL_RETRY, WAIT,
      "the org's data storage is full: the admin makes room or buys some; it goes again until "
      "then" },
    { "EXCEEDED_QUOTA", NULL, SL_RETRY, WAIT, NULL },
    { "LIMIT_EXCEEDED", NULL, SL_RETRY, NARROW, NULL },
    { "UNKNOWN_EXCEPTION", NULL, SL_RETRY, 0,
      "a fault inside Salesforce; it goes again by itself. If it stays, the number in the text is "
      "what Salesforce's support asks for" },
    { "ALL_OR_NONE_OPERATION_ROLLED_BACK", NULL, SL_RETRY, 0, NULL },
    { "PROCESSING_HALTED", NULL, SL_RETRY, 0, NULL },
    /* a trigger that met one of them */
    { "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "UNABLE_TO_LOCK_ROW", SL_RETRY, NARROW,
      "a trigger met a locked record; it goes again by itself" },
    { "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "REQUEST_RUNNING_TOO_LONG", SL_RETRY, NARROW, NULL },
    { "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "QUERY_TIMEOUT", SL_RETRY, NARROW, NULL },
    { "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "LimitException", SL_RETRY, NARROW,
      "a trigger used up what one transaction may use; it goes again with fewer rows beside it. If "
      "it stays, the trigger's owner must make it work on many rows" },
    { "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", NULL, SL_REJECTED, 0,
      "a trigger or flow of the org failed; its owner finds it by the name in the text, then "
      "replay" },
    /* the parent is not there yet: its own delivery may still be under way */
    { "INVALID_FIELD", "Foreign key external ID", SL_RETRY, 0,
      "the parent is not there yet. If it comes by a route of its own, name that one in this "
      "route's `after`" },
    { "INVALID_FIELD", NULL, SL_REJECTED, FIELDS,
      "{object} has no field like this for the integration user: correct the name in the route's "
      "map, or give the user access to the field" },
    { "INVALID_FIELD_FOR_INSERT_UPDATE", NULL, SL_REJECTED, FIELDS,
      "{object} does not let {fields} be written: leave it out in the route's map" },
    /* several records could be meant: only a person can say which */
    { "DUPLICATES_DETECTED", NULL, SL_REVIEW, 0,
      "a duplicate rule of the org finds this {object} there already" },
    { "DUPLICATE_EXTERNAL_ID", NULL, SL_REVIEW, 0,
      "several records of {object} have this external id: merge them, and make the field unique" },
    { "DUPLICATE_VALUE", "Duplicate external id specified", SL_RETRY, NARROW,
      "the same external id stood twice in what was sent; they go one after the other" },
    { "DUPLICATE_VALUE", NULL, SL_REJECTED, 0,
      "another record of {object} has this value in a unique field: find it by the id in the text, "
      "and correct one of the two" },
    /* what the map makes */
    { "REQUIRED_FIELD_MISSING", NULL, SL_REJECTED, 0,
      "{object} needs {fields}: let the route's map set it, or the admin give it a default" },
    { "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", NULL, SL_REJECTED, 0,
      "{fields} of {object} takes listed values only: translate it in the route's map, or let the "
      "admin add the value (to the record type, too)" },
    { "BAD_VALUE_FOR_RESTRICTED_PICKLIST", NULL, SL_REJECTED, 0,
      "{fields} of {object} takes listed values only: translate it in the route's map, or let the "
      "admin add the value" },
    { "STRING_TOO_LONG", NULL, SL_REJECTED, FIELDS,
      "{fields} of {object} takes at most {max} characters: shorten it in the route's map" },
    { "NUMBER_OUTSIDE_VALID_RANGE", NULL, SL_REJECTED, 0,
      "the number in {fields} of {object} has more digits than the field" },
    { "INVALID_EMAIL_ADDRESS", NULL, SL_REJECTED, 0,
      "{fields} is no e-mail address to Salesforce: correct it at its source, or leave it out in "
      "the route's map" },
    { "INVALID_TYPE_ON_FIELD_IN_RECORD", NULL, SL_REJECTED, 0,
      "the value of {fields} has the wrong type for {object}: dates read 2026-11-20, times "
      "2026-11-20T10:15:00Z, numbers have a point" },
    { "MALFORMED_ID", NULL, SL_REJECTED, 0,
      "{fields} wants a Salesforce id of 15 or 18 letters and digits" },
    { "INVALID_CROSS_REFERENCE_KEY", NULL, SL_REJECTED, 0,
      "{fields} names a record that is not there, or that the integration user may not see: check "
      "the id, the sharing and the record type" },
    { "INVALID_ID_FIELD", NULL, SL_REJECTED, 0, NULL },
    { "FIELD_CUSTOM_VALIDATION_EXCEPTION", NULL, SL_REJECTED, 0,
      "a validation rule of {object} refuses it; the rule's words are the admin's" },
    { "FIELD_FILTER_VALIDATION_EXCEPTION", NULL, SL_REJECTED, 0,
      "the look-up filter of {fields} does not let this record be named" },
    { "FIELD_INTEGRITY_EXCEPTION", NULL, SL_REJECTED, 0,
      "{fields} of {object} does not go with the rest of the record (price book, currency, status), "
      "or is not in the org's list of states and countries" },
    { "STANDARD_PRICE_NOT_DEFINED", NULL, SL_REJECTED, 0,
      "the product has no entry in the standard price book: create that one first, in the same "
      "currency" },
    /* what the org allows */
    { "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", NULL, SL_REJECTED, 0,
      "the integration user may not use the record that {fields} names: give it access to the "
      "parent" },
    { "INSUFFICIENT_ACCESS", NULL, SL_REJECTED, 0,
      "the integration user may not write this {object}: check its permission set, the sharing and "
      "the record's owner" },
    { "ENTITY_IS_DELETED", NULL, SL_REJECTED, GONE,
      "the record, or one it names, is in the recycle bin: restore it, or correct the id" },
    { "ENTITY_IS_LOCKED", NULL, SL_REJECTED, 0,
      "the record is locked by an approval: replay when that is over" },
    { "INACTIVE_OWNER_OR_USER", NULL, SL_REJECTED, 0,
      "the owner is an inactive user: give the records another, or set OwnerId in the route's map" },
    { "OP_WITH_INVALID_USER_TYPE_EXCEPTION", NULL, SL_REJECTED, 0,
      "the user named cannot own a {object}: set OwnerId to a full user" },
    { "CANNOT_UPDATE_CONVERTED_LEAD", NULL, SL_REJECTED, 0,
      "the lead was converted: its contact, account and opportunity are what can be changed" },
    { "TRANSFER_REQUIRES_READ", NULL, SL_REJECTED, 0, NULL },
};

/* INSUFFICIENT_ACCESS also stands for INSUFFICIENT_ACCESS_OR_READONLY. */
static bool is_code(sl_str code, const char *want)
{
    static const char access[] = "INSUFFICIENT_ACCESS";

    if (strcmp(want, access) == 0 && code.len > strlen(access))
        return str_is_nocase((sl_str){ code.ptr, strlen(access) }, access) &&
               code.ptr[strlen(access)] == '_';
    return str_is_nocase(code, want);
}

static const struct rule *rule_of(const struct row_refusal *r)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (is_code(r->code, rules[i].code) &&
            (!rules[i].text || str_has_nocase(r->message, rules[i].text)))
            return &rules[i];
    return NULL;
}

/* ---- taking sf__Error apart ---------------------------------------------------------------- */

static bool is_code_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_field_char(char c)
{
    char low = ascii_lower(c);

    return (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
}

static sl_str trimmed(sl_str s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '['))
        s = (sl_str){ s.ptr + 1, s.len - 1 };
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == ']'))
        s.len--;
    return s;
}

/* "LastName, Email": false, and nothing kept, if there is anything else in it. */
static bool take_fields(sl_str list, struct row_refusal *ret)
{
    size_t n = 0;

    while (list.len > 0) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.ptr) : list.len;
        sl_str name = trimmed((sl_str){ list.ptr, len });

        for (size_t i = 0; i < name.len; i++)
            if (!is_field_char(name.ptr[i]))
                return false;
        if (name.len > 0 && n < ROW_REFUSAL_FIELDS)
            ret->fields[n++] = name;
        len += comma ? 1 : 0;
        list = (sl_str){ list.ptr + len, list.len - len };
    }
    ret->n_fields = n;
    return true;
}

/* "message:LastName --", "message:--" */
static void take_tail(sl_str rest, struct row_refusal *ret)
{
    sl_str list;
    size_t at = rest.len;

    ret->message = rest;
    if (rest.len < 3 || memcmp(rest.ptr + rest.len - 2, "--", 2) != 0)
        return;
    while (at > 0 && rest.ptr[at - 1] != ':')
        at--;
    if (at == 0)
        return;
    list = (sl_str){ rest.ptr + at, rest.len - 2 - at };
    if (take_fields(list, ret))
        ret->message.len = at - 1;
}

void row_refusal_parse(sl_str sf_error, struct row_refusal *ret)
{
    size_t n = 0;

    *ret = (struct row_refusal){ .message = sf_error };
    while (n < sf_error.len && is_code_char(sf_error.ptr[n]))
        n++;
    if (n == 0 || (n < sf_error.len && sf_error.ptr[n] != ':'))
        return;
    ret->code = (sl_str){ sf_error.ptr, n };
    if (n < sf_error.len)
        n++;
    take_tail((sl_str){ sf_error.ptr + n, sf_error.len - n }, ret);
}

/* ---- words --------------------------------------------------------------------------------- */

/* What the message itself names, where no field list came: "[LastName]" of a required field, what
 * follows the last ": " of a picklist's. */
static sl_str field_in_message(const struct row_refusal *r)
{
    const char *open = r->message.len ? memchr(r->message.ptr, '[', r->message.len) : NULL;
    const char *close = open ? memchr(open, ']', r->message.len - (size_t)(open - r->message.ptr))
                             : NULL;
    sl_str name = close ? (sl_str){ open + 1, (size_t)(close - open) - 1 } : (sl_str){ 0 };

    for (size_t i = 0; i < name.len; i++)
        if (!is_field_char(name.ptr[i]) && name.ptr[i] != ',' && name.ptr[i] != ' ')
            return (sl_str){ 0 };
    return name;
}

static void add_fields(struct text *to, const struct row_refusal *r)
{
    sl_str named = field_in_message(r);

    for (size_t i = 0; i < r->n_fields; i++) {
        text_str(to, i ? ", " : "");
        text_add(to, r->fields[i].ptr, r->fields[i].len);
    }
    if (r->n_fields == 0 && named.len > 0)
        text_add(to, named.ptr, named.len);
    else if (r->n_fields == 0)
        text_str(to, "the field in the text");
}

/* "(max length=80)" */
static void add_max(struct text *to, const struct row_refusal *r)
{
    static const char lead[] = "max length=";
    const char *at = memmem(r->message.ptr ? r->message.ptr : "", r->message.len, lead,
                            strlen(lead));
    const char *end = r->message.ptr + r->message.len;

    if (!at) {
        text_str(to, "its length in");
        return;
    }
    for (at += strlen(lead); at < end && *at >= '0' && *at <= '9'; at++)
        text_char(to, *at);
}

static void add_advice(struct text *to, const char *advice, const struct row_refusal *r,
                       const struct row_about *about)
{
    for (const char *p = advice; *p; p++) {
        if (*p != '{') {
            text_char(to, *p);
            continue;
        }
        if (strncmp(p, "{object}", 8) == 0)
            text_str(to, about->object);
        else if (strncmp(p, "{fields}", 8) == 0)
            add_fields(to, r);
        else
            add_max(to, r);
        p = strchr(p, '}');
    }
}

/* "CODE: what to do (Salesforce: its own words)" */
static void put_why(const struct row_refusal *r, const struct rule *rule,
                    const struct row_about *about, struct row_verdict *ret)
{
    struct text line = { 0 };
    int shown = (int)(r->message.len < MESSAGE_SHOWN ? r->message.len : MESSAGE_SHOWN);

    text_add(&line, r->code.ptr, r->code.len);
    if (rule && rule->advice) {
        text_str(&line, ": ");
        add_advice(&line, rule->advice, r, about);
        if (shown > 0)
            text_printf(&line, " (Salesforce: %.*s)", shown, r->message.ptr);
    } else if (shown > 0) {
        text_printf(&line, "%s%.*s", r->code.len ? ": " : "", shown, r->message.ptr);
        if (r->n_fields > 0) {
            text_str(&line, " (");
            add_fields(&line, r);
            text_char(&line, ')');
        }
    }
    say(ret->why, sizeof(ret->why), "%s",
        line.len > 0 ? line.ptr : "Salesforce refuses it and does not say why");
    text_finish(&line);
}

/* ---- judging ------------------------------------------------------------------------------- */

void row_verdict_finish(struct row_verdict *v)
{
    text_finish(&v->choices);
    text_finish(&v->evidence);
}

/* Another writer made the record between Salesforce's look and its write: the next try updates. */
static bool lost_a_race(const struct row_refusal *r, const struct row_about *about)
{
    char naming[128];

    if (!about->external_id || !str_is_nocase(r->code, "DUPLICATE_VALUE"))
        return false;
    say(naming, sizeof(naming), "duplicate value found: %s duplicates", about->external_id);
    return str_has_nocase(r->message, naming);
}

/* `error`: the element it was taken from; NULL: there is only the text. */
static void judge(const struct row_refusal *r, const json_t *error, const struct row_about *about,
                  struct row_verdict *ret)
{
    static const struct rule race = { .kind = SL_RETRY,
                                      .advice =
                                          "another writer made this {object} at the same moment; "
                                          "it goes again and updates it" };
    const struct rule *rule = lost_a_race(r, about) ? &race : rule_of(r);

    *ret = (struct row_verdict){ .kind = rule ? rule->kind : SL_REJECTED };
    if (rule) {
        ret->narrow = rule->flags & NARROW;
        ret->gone = rule->flags & GONE;
        ret->fields = rule->flags & FIELDS;
        ret->after_ms = rule->flags & WAIT ? STORAGE_WAIT_MS : 0;
    }
    put_why(r, rule, about, ret);
    if (ret->kind == SL_REVIEW)
        duplicates_describe(r, error, about, ret);
}

void row_refusal_judge(const struct row_refusal *r, const struct row_about *about,
                       struct row_verdict *ret)
{
    judge(r, NULL, about, ret);
}

/* One element; its texts stay alive as long as it. */
static void refusal_of(const json_t *error, struct row_refusal *ret)
{
    const json_t *fields = json_object_get(error, "fields"), *code, *message;
    size_t i;
    json_t *f;

    *ret = (struct row_refusal){ 0 };
    code = json_object_get(error, "statusCode"); /* inside an answer's results */
    if (!code)
        code = json_object_get(error, "errorCode");
    message = json_object_get(error, "message");
    ret->code = (sl_str){ json_string_value(code), json_string_length(code) };
    ret->message = (sl_str){ json_string_value(message), json_string_length(message) };
    json_array_foreach(fields, i, f) if (json_is_string(f) && ret->n_fields < ROW_REFUSAL_FIELDS)
        ret->fields[ret->n_fields++] = (sl_str){ json_string_value(f), json_string_length(f) };
}

static int gravity(uint32_t kind)
{
    return kind == SL_RETRY ? 0 : kind == SL_REVIEW ? 1 : 2;
}

void row_errors_judge(const json_t *errors, const struct row_about *about, struct row_verdict *ret)
{
    struct row_refusal r = { 0 };
    size_t n = json_is_array(errors) ? json_array_size(errors) : 0;

    judge(&r, NULL, about, ret); /* if nothing is said */
    for (size_t i = 0; i < n; i++) {
        struct row_verdict v;
        const json_t *error = json_array_get(errors, i);

        refusal_of(error, &r);
        judge(&r, error, about, &v);
        if (i == 0 || gravity(v.kind) > gravity(ret->kind)) {
            row_verdict_finish(ret);
            *ret = v;
        } else {
            row_verdict_finish(&v);
        }
    }
    if (n > 1) {
        size_t len = strlen(ret->why);

        say(ret->why + len, sizeof(ret->why) - len, "; %zu more errors", n - 1);
    }
}
