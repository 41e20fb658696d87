/*
 * duplicates.c - from Salesforce's matches, or from ids in a text, to choices.
 */
#include "duplicates.h"

#include <stdlib.h>
#include <string.h>

#define MAX_MATCHES 10  /* with MAX_FIELDS and MAX_VALUE below what a hold carries, 16 KiB */
#define MAX_FIELDS  8   /* of a match that are shown */
#define MAX_VALUE   120 /* characters of one */

/* ---- ids ----------------------------------------------------------------------------------- */

static size_t id_length(const char *p, const char *end)
{
    size_t n = 0;

    while (p + n < end &&
           ((ascii_lower(p[n]) >= 'a' && ascii_lower(p[n]) <= 'z') || (p[n] >= '0' && p[n] <= '9')))
        n++;
    return n == 15 || n == 18 ? n : 0;
}

static bool is_id(const char *s)
{
    return s && *s && id_length(s, s + strlen(s)) == strlen(s);
}

sl_str duplicates_chosen(sl_str choice)
{
    size_t lead = strlen(CHOICE_USE);
    sl_str id = { 0 };

    if (choice.len > lead && memcmp(choice.ptr, CHOICE_USE, lead) == 0)
        id = (sl_str){ choice.ptr + lead, choice.len - lead };
    return id.len > 0 && id_length(id.ptr, id.ptr + id.len) == id.len ? id : (sl_str){ 0 };
}

/* ---- matches ------------------------------------------------------------------------------- */

static void set_text(json_t *to, const char *name, const char *value)
{
    if (value && *value && strlen(value) <= MAX_VALUE)
        json_object_set_new(to, name, json_string(value));
}

/* The plain fields of a record that Salesforce sends along, if it was asked to. */
static json_t *shown_fields(const json_t *record)
{
    json_t *out = json_object();
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)record, name, value)
    {
        if (json_object_size(out) < MAX_FIELDS && json_is_string(value) &&
            strcmp(name, "Id") != 0 && json_string_length(value) <= MAX_VALUE)
            json_object_set(out, name, value);
    }
    return out;
}

static bool is_there(const json_t *matches, const char *id)
{
    size_t i;
    json_t *m;

    json_array_foreach(matches, i, m) if (strcmp(json_string_value(json_object_get(m, "id")), id) ==
                                          0) return true;
    return false;
}

static void add_match(json_t *matches, const json_t *result, const json_t *match)
{
    const json_t *record = json_object_get(match, "record");
    const char *id = json_string_value(json_object_get(record, "Id"));
    json_t *confidence = json_object_get(match, "matchConfidence"), *m, *fields;

    if (!is_id(id) || is_there(matches, id) || json_array_size(matches) == MAX_MATCHES)
        return;
    m = json_object();
    set_text(m, "id", id);
    set_text(m, "object",
             json_string_value(json_object_get(json_object_get(record, "attributes"), "type")));
    set_text(m, "rule", json_string_value(json_object_get(result, "rule")));
    if (json_is_number(confidence))
        json_object_set_new(m, "confidence",
                            json_integer((json_int_t)json_number_value(confidence)));
    fields = shown_fields(record);
    if (json_object_size(fields) > 0)
        json_object_set(m, "fields", fields);
    json_decref(fields);
    json_array_append_new(matches, m);
}

/* Salesforce spells the key `duplicateResut`; some day it may not. */
static const json_t *result_of(const json_t *error)
{
    const json_t *found = json_object_get(error, "duplicateResut");

    return found ? found : json_object_get(error, "duplicateResult");
}

static void matches_of(const json_t *found, json_t *matches)
{
    size_t i, k;
    json_t *result, *match;

    json_array_foreach(json_object_get(found, "matchResults"), i, result)
        json_array_foreach(json_object_get(result, "matchRecords"), k, match)
            add_match(matches, result, match);
}

/* "more than one record found for external id field: [001..., 001...]" */
static void matches_in_text(sl_str text, const char *object, json_t *matches)
{
    const char *p = text.len > 0 ? memchr(text.ptr, '[', text.len) : NULL;
    const char *end = p ? text.ptr + text.len : NULL;
    char id[24];

    while (p && p < end && *p != ']') {
        size_t n = id_length(p, end);

        if (n > 0 && json_array_size(matches) < MAX_MATCHES) {
            json_t *m = json_object();

            say(id, sizeof(id), "%.*s", (int)n, p);
            set_text(m, "id", id);
            set_text(m, "object", object);
            json_array_append_new(matches, m);
        }
        p += n > 0 ? n : 1;
    }
}

/* ---- choices ------------------------------------------------------------------------------- */

static void add_choice(json_t *choices, const char *name, const char *text, const char *does)
{
    json_array_append_new(choices,
                          json_pack("{s:s, s:s, s:s}", "name", name, "text", text, "do", does));
}

/* "it is Contact 0035g...: LastName Lovelace, Email ada@example.com (Contact_MR, 100 %)" */
static void add_use(json_t *choices, const json_t *match, const char *object)
{
    const char *id = json_string_value(json_object_get(match, "id"));
    const char *type = json_string_value(json_object_get(match, "object"));
    const char *rule = json_string_value(json_object_get(match, "rule"));
    const char *name, *lead = ": ";
    char choice[40], line[600];
    struct text text = { 0 };
    json_t *value;

    say(choice, sizeof(choice), CHOICE_USE "%s", id);
    text_printf(&text, "it is %s %s", type ? type : object, id);
    json_object_foreach(json_object_get(match, "fields"), name, value)
    {
        text_printf(&text, "%s%s %s", lead, name, json_string_value(value));
        lead = ", ";
    }
    if (rule)
        text_printf(&text, " (%s)", rule);
    say(line, sizeof(line), "%s", text.ptr ? text.ptr : "");
    text_finish(&text);
    add_choice(choices, choice, line, "release");
}

static void put_json(struct text *to, const json_t *value)
{
    char *json = json_dumps(value, JSON_COMPACT);

    text_clear(to);
    if (json)
        text_str(to, json);
    free(json);
}

static void put_choices(const json_t *matches, bool can_save, const char *object, struct text *to)
{
    json_t *choices = json_array(), *match;
    size_t i;

    json_array_foreach(matches, i, match) add_use(choices, match, object);
    if (can_save)
        add_choice(choices, CHOICE_CREATE, "it is another one: save it beside them", "release");
    add_choice(choices, "release", "send it again as it is, once the records or the rule changed",
               "release");
    add_choice(choices, "reject", "drop it", "reject");
    put_json(to, choices);
    json_decref(choices);
}

void duplicates_describe(const struct row_refusal *r, const json_t *error,
                         const struct row_about *about, struct row_verdict *ret)
{
    const json_t *found = result_of(error);
    bool is_person = strcmp(about->object, "Contact") == 0 || strcmp(about->object, "Lead") == 0;
    json_t *matches = json_array(), *evidence = json_object();
    bool can_save = json_is_true(json_object_get(found, "allowSave"));

    ret->hold_type = is_person ? "contact-merge" : "duplicate";
    if (found)
        matches_of(found, matches);
    else
        matches_in_text(r->message, about->object, matches);
    if (json_array_size(matches) > 0) {
        put_choices(matches, can_save, about->object, &ret->choices);
        set_text(evidence, "object", about->object);
        set_text(evidence, "duplicate_rule",
                 json_string_value(json_object_get(found, "duplicateRule")));
        json_object_set(evidence, "matches", matches);
        put_json(&ret->evidence, evidence);
    }
    json_decref(matches);
    json_decref(evidence);
}
