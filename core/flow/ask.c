#include "flow/ask.h"

#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/mem.h"

#define TEXTS_MOST   10000
#define VALUES_MOST  32
#define VALUE_LEAST  5   /* bytes: a shorter one stands everywhere */
#define TEXT_MOST    512 /* of one of them */
#define SUBJECTS_SAY 200 /* in the record; of further ones the number */

static sl_str own(sl_str s)
{
    return (sl_str){ mem_dup(s), s.len };
}

static sl_str *own_all(const sl_str *texts, size_t n)
{
    sl_str *all = mem_array(n ? n : 1, sizeof(*all));

    for (size_t i = 0; i < n; i++)
        all[i] = own(texts[i]);
    return all;
}

static bool too_long(const sl_str *texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (texts[i].len > TEXT_MOST)
            return true;
    return false;
}

static sl_status judge(const sl_ask *a)
{
    if (a->kind < SL_ASK_ERASE || a->kind > SL_ASK_STOP)
        return SL_E_INVALID;
    if (a->kind != SL_ASK_STOP && !a->everything && !a->n_subjects && !a->n_refs && !a->n_values)
        return SL_E_INVALID;
    for (size_t i = 0; i < a->n_values; i++)
        if (a->values[i].len < VALUE_LEAST)
            return SL_E_INVALID;
    if (a->n_subjects > TEXTS_MOST || a->n_refs > TEXTS_MOST || a->n_values > VALUES_MOST ||
        too_long(a->subjects, a->n_subjects) || too_long(a->values, a->n_values))
        return SL_E_LIMIT;
    return SL_OK;
}

sl_status ask_copy(struct ask *ret, const sl_ask *said)
{
    sl_status r = judge(said);

    if (r < 0)
        return r;
    *ret = (struct ask){
        .kind = said->kind,
        .everything = said->everything != 0,
        .who = mem_dup(said->who),
        .why = mem_dup(said->why),
        .subjects = own_all(said->subjects, said->n_subjects),
        .n_subjects = said->n_subjects,
        .values = own_all(said->values, said->n_values),
        .n_values = said->n_values,
        .refs = mem_array(said->n_refs ? said->n_refs : 1, sizeof(*ret->refs)),
        .n_refs = said->n_refs,
    };
    for (size_t i = 0; i < said->n_refs; i++)
        ret->refs[i] = (sl_ref){ own(said->refs[i].kind), own(said->refs[i].id) };
    return SL_OK;
}

static void free_all(sl_str *texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free((char *)texts[i].ptr);
    free(texts);
}

void ask_finish_all(struct ask *asks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct ask *a = &asks[i];

        free(a->who);
        free(a->why);
        free_all(a->subjects, a->n_subjects);
        free_all(a->values, a->n_values);
        for (size_t k = 0; k < a->n_refs; k++) {
            free((char *)a->refs[k].kind.ptr);
            free((char *)a->refs[k].id.ptr);
        }
        free(a->refs);
    }
    free(asks);
}

sl_ask ask_said(const struct ask *a)
{
    return (sl_ask){ .size = sizeof(sl_ask),
                     .kind = a->kind,
                     .who = str_of(a->who),
                     .why = str_of(a->why),
                     .subjects = a->subjects,
                     .n_subjects = a->n_subjects,
                     .refs = a->refs,
                     .n_refs = a->n_refs,
                     .values = a->values,
                     .n_values = a->n_values,
                     .everything = a->everything };
}

/* ---- for the record ---- */

static void put_hash(struct buf *b, sl_str value)
{
    uint8_t sum[DIGEST_SHA256];
    struct buf lower = { 0 };

    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];

        buf_char(&lower, c >= 'A' && c <= 'Z' ? (char)(c | 32) : c);
    }
    digest_sha256(lower.data, lower.len, sum);
    buf_char(b, '"');
    for (size_t i = 0; i < sizeof(sum); i++)
        buf_printf(b, "%02x", sum[i]);
    buf_char(b, '"');
    b->failed |= lower.failed;
    buf_finish(&lower);
}

void ask_json(struct buf *b, const struct ask *a)
{
    size_t said = a->n_subjects < SUBJECTS_SAY ? a->n_subjects : SUBJECTS_SAY;

    buf_cstr(b, "{\"who\":");
    buf_json_str(b, str_of(a->who));
    buf_printf(b, ",\"everything\":%s,\"subjects\":[", a->everything ? "true" : "false");
    for (size_t i = 0; i < said; i++) {
        buf_cstr(b, i ? "," : "");
        buf_json_str(b, a->subjects[i]);
    }
    buf_printf(b, "],\"further_subjects\":%zu,\"references\":[", a->n_subjects - said);
    for (size_t i = 0; i < a->n_refs && i < SUBJECTS_SAY; i++) {
        buf_cstr(b, i ? ",{\"kind\":" : "{\"kind\":");
        buf_json_str(b, a->refs[i].kind);
        buf_cstr(b, ",\"id\":");
        buf_json_str(b, a->refs[i].id);
        buf_char(b, '}');
    }
    buf_cstr(b, "],\"values_sha256\":[");
    for (size_t i = 0; i < a->n_values; i++) {
        buf_cstr(b, i ? "," : "");
        put_hash(b, a->values[i]);
    }
    buf_cstr(b, "]}");
}

/* ---- as it stands in forms ---- */

static void put_in_form(struct buf *b, sl_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '@')
            buf_cstr(b, "%40");
        else if (s.ptr[i] == '+')
            buf_cstr(b, "%2B");
        else
            buf_char(b, s.ptr[i]);
}

sl_str *ask_in_forms(const struct ask *a, size_t *ret_n)
{
    sl_str *all = mem_array(2 * a->n_values + 1, sizeof(*all));
    size_t n = 0;

    for (size_t i = 0; i < a->n_values; i++) {
        struct buf b = { 0 };

        all[n++] = own(a->values[i]);
        put_in_form(&b, a->values[i]);
        if (b.len != a->values[i].len)
            all[n++] = own(buf_view(&b));
        buf_finish(&b);
    }
    *ret_n = n;
    return all;
}
