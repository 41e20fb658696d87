/*
 * contact_ask.c - the question to a person: who it could be, why, and what there is to choose.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "contact.h"
#include "rows/duplicates.h"

#define HOLD_TYPE  "contact-merge"
#define MAX_SHOWN  120 /* characters of a value */
#define MAX_FIELDS 12  /* of the record */

static json_t *text_json(sl_str s)
{
    size_t n = s.len < MAX_SHOWN ? s.len : MAX_SHOWN;

    while (n > 0 && n < s.len && ((uint8_t)s.ptr[n] & 0xc0) == 0x80)
        n--;
    return json_stringn(s.ptr ? s.ptr : "", n);
}

static void set(json_t *to, const char *name, sl_str value)
{
    if (value.len > 0)
        json_object_set_new(to, name, text_json(value));
}

static json_t *candidate_json(const struct match *m, const char *base)
{
    const struct person *p = m->person;
    struct text reasons = { 0 };
    json_t *one = json_object();

    match_reasons(m, &reasons);
    set(one, "id", p->id);
    if (base)
        json_object_set_new(one, "url", json_sprintf("%s/%.*s", base, (int)p->id.len, p->id.ptr));
    json_object_set_new(one, "score", json_integer(m->score));
    set(one, "reasons", text_view(&reasons));
    set(one, "name", p->shown);
    set(one, "email", p->email);
    set(one, "phone", p->phone[0].len > 0 ? p->phone[0] : p->phone[1]);
    if (p->account)
        set(one, "company", p->account->name);
    set(one, "external_id", p->external_id);
    set(one, "created", p->created);
    text_finish(&reasons);
    return one;
}

/* The record as it is matched: what people compare. */
static json_t *record_json(const struct item *it)
{
    const struct person *p = it->who;
    json_t *one = json_object();

    set(one, "name", p->shown);
    set(one, "email", p->email);
    set(one, "phone", p->phone[0].len > 0 ? p->phone[0] : p->phone[1]);
    set(one, "company", p->company);
    set(one, "tax_id", p->tax_id);
    set(one, "external_id", p->external_id);
    return one;
}

static void add_choice(json_t *choices, const char *name, const char *what, const char *text)
{
    json_array_append_new(choices,
                          json_pack("{s:s, s:s, s:s}", "name", name, "do", what, "text", text));
}

static void add_candidate(json_t *choices, const struct match *m)
{
    const struct person *p = m->person;
    struct text reasons = { 0 };
    char name[40], text[500];

    match_reasons(m, &reasons);
    say(name, sizeof(name), CHOICE_USE "%.*s", (int)p->id.len, p->id.ptr);
    say(text, sizeof(text), "it is %.*s%s%.*s%s%.*s: %s",
        (int)(p->shown.len < 100 ? p->shown.len : 100), p->shown.ptr, p->email.len > 0 ? ", " : "",
        (int)p->email.len, p->email.ptr, p->account ? ", " : "",
        p->account ? (int)(p->account->name.len < 80 ? p->account->name.len : 80) : 0,
        p->account ? p->account->name.ptr : "", reasons.ptr ? reasons.ptr : "");
    add_choice(choices, name, "release", text);
    text_finish(&reasons);
}

void contact_ask(struct contact_batch *b, size_t i)
{
    struct item *it = &b->items[i];
    json_t *choices = json_array(), *matches = json_array(), *evidence;
    char *choices_text, *evidence_text, why[200];

    for (size_t k = 0; k < it->found.n; k++) {
        add_candidate(choices, &it->found.items[k]);
        json_array_append_new(matches,
                              candidate_json(&it->found.items[k], b->all->sf->session.base));
    }
    add_choice(choices, CHOICE_CREATE, "release", "it is somebody new: create a contact");
    add_choice(choices, "later", "release",
               "create a contact for now, and note the two for the merge list");
    add_choice(choices, "drop", "reject", "neither: do not write this record");
    evidence = json_pack("{s:o, s:o}", "record", record_json(it), "matches", matches);
    choices_text = json_dumps(choices, JSON_COMPACT);
    evidence_text = evidence ? json_dumps(evidence, JSON_COMPACT) : NULL;
    say(why, sizeof(why),
        "%zu contact%s could be this person; the best has %d points: choose one, or create",
        it->found.n, it->found.n == 1 ? "" : "s", it->found.n > 0 ? it->found.items[0].score : 0);
    contact_tell(b, i,
                 &(sl_outcome){ .size = sizeof(sl_outcome),
                                .kind = SL_REVIEW,
                                .not_sent = 1, /* people are asked before anything is written */
                                .why = str_of(why),
                                .hold_type = str_of(HOLD_TYPE),
                                .choices = str_of(choices_text),
                                .evidence = str_of(evidence_text) });
    free(choices_text);
    free(evidence_text);
    json_decref(choices);
    json_decref(evidence);
}
