/*
 * fuzz_salesforce_refusal.c - a record's refusal, in both forms, and an object's description: what
 * is said of them is one bounded line, and choices are JSON. The first byte says which it is.
 */
#include "fuzz.h"

#include <jansson.h>
#include <string.h>
#include "org/description.h"
#include "rows/row_errors.h"

static const struct row_about about = { "Contact", "Ext__c" };

static void check_verdict(struct row_verdict *v, sl_str text)
{
    json_t *choices = v->choices.len ? json_loadb(v->choices.ptr, v->choices.len, 0, NULL) : NULL;

    PROMISE(v->kind == SL_RETRY || v->kind == SL_REVIEW || v->kind == SL_REJECTED, "%zu bytes",
            text.len);
    PROMISE(v->why[0] && strlen(v->why) < sizeof(v->why) && !strchr(v->why, '\n'), "%zu bytes",
            text.len);
    PROMISE(v->kind == SL_REVIEW || (v->choices.len == 0 && v->evidence.len == 0), "%zu bytes",
            text.len);
    PROMISE(v->choices.len == 0 || json_array_size(choices) >= 3, "%zu bytes", text.len);
    PROMISE(v->evidence.len < 16 << 10, "%zu bytes", text.len);
    json_decref(choices);
    row_verdict_finish(v);
}

static void one_row(sl_str text)
{
    struct row_refusal r;
    struct row_verdict v;

    row_refusal_parse(text, &r);
    PROMISE(r.code.len + r.message.len <= text.len && r.n_fields <= ROW_REFUSAL_FIELDS, "%zu bytes",
            text.len);
    row_refusal_judge(&r, &about, &v);
    check_verdict(&v, text);
}

static void one_answer(sl_str text)
{
    json_t *errors = json_loadb(text.ptr, text.len, 0, NULL);
    struct row_verdict v;

    if (!errors)
        return;
    row_errors_judge(errors, &about, &v);
    check_verdict(&v, text);
    json_decref(errors);
}

static void one_description(sl_str text)
{
    struct description d = { 0 };
    struct reading r;
    int turns = 0, s;

    PROMISE(reading_open(&r, text) == SL_OK, "%zu bytes", text.len);
    do
        s = reading_turn(&r, &d);
    while (s > 0 && ++turns < 1000);
    PROMISE(s <= 0, "%zu bytes", text.len);
    PROMISE(s == SL_OK || d.n == 0, "%zu bytes", text.len);
    for (size_t i = 0; i < d.n; i++)
        PROMISE(description_field(&d, str_of(d.fields[i].name)) != NULL || !d.fields[i].name[0],
                "%zu bytes", text.len);
    description_finish(&d);
    reading_finish(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sl_str text;

    if (size == 0)
        return 0;
    text = (sl_str){ (const char *)data + 1, size - 1 };
    if (data[0] == 'r')
        one_row(text);
    else if (data[0] == 'j')
        one_answer(text);
    else
        one_description(text);
    return 0;
}
