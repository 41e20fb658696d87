/*
 * compare_value.c - one field: what was sent as text, and what the REST API gives as JSON.
 */
#include "compare.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "iso_time.h"
#include "rows/record_id.h"

#define SHOWN 60 /* characters of a value */

const json_t *compare_field(const json_t *record, sl_str path)
{
    const char *dot = path.len ? memchr(path.ptr, '.', path.len) : NULL, *key;
    sl_str name = { path.ptr, dot ? (size_t)(dot - path.ptr) : path.len };
    json_t *value;

    json_object_foreach((json_t *)record, key, value)
    {
        if (!str_same_nocase(str_of(key), name))
            continue;
        return dot ? compare_field(value, (sl_str){ dot + 1, path.len - name.len - 1 }) : value;
    }
    return NULL;
}

/* A whole text as a number. */
static bool number_of(sl_str s, double *ret)
{
    char text[64], *end;

    if (s.len == 0 || s.len >= sizeof(text))
        return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    *ret = strtod(text, &end);
    return end == text + s.len && *ret - *ret == 0 /* finite */;
}

/* As doubles go through texts. */
static bool near(double a, double b)
{
    double off = a > b ? a - b : b - a, size = b > 0 ? b : -b;

    return off <= 1e-9 * (size > 1 ? size : 1);
}

static sl_str trimmed(sl_str s)
{
    while (s.len > 0 && strchr(" \t\r\n", s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && strchr(" \t\r\n", s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* Line breaks leave as LF, and may come back as CR LF. */
static bool same_text(sl_str a, sl_str b)
{
    size_t i = 0, k = 0;

    a = trimmed(a); /* as Salesforce does it */
    b = trimmed(b);
    for (;;) {
        while (i < a.len && a.ptr[i] == '\r')
            i++;
        while (k < b.len && b.ptr[k] == '\r')
            k++;
        if (i == a.len || k == b.len)
            return i == a.len && k == b.len;
        if (a.ptr[i++] != b.ptr[k++])
            return false;
    }
}

static bool same_time(sl_str a, sl_str b)
{
    char at[TIME_TEXT_SIZE], bt[TIME_TEXT_SIZE];

    return time_normalise(a, at) == SL_OK && time_normalise(b, bt) == SL_OK && !strcmp(at, bt);
}

static bool same_id(sl_str a, sl_str b)
{
    char whole_a[RECORD_ID_SIZE], whole_b[RECORD_ID_SIZE];

    return record_id(a, whole_a) && record_id(b, whole_b) && !strcmp(whole_a, whole_b);
}

static bool same_string(sl_str sent, sl_str there)
{
    bool mail = sent.len > 0 && memchr(sent.ptr, '@', sent.len);

    return same_text(sent, there) || same_time(sent, there) || same_id(sent, there) ||
           (mail && str_same_nocase(trimmed(sent), trimmed(there)));
}

bool compare_value(sl_str sent, const json_t *there)
{
    double a, b;

    if (trimmed(sent).len == 0)
        return !there || json_is_null(there) || json_is_false(there) ||
               (json_is_string(there) && json_string_length(there) == 0);
    if (json_is_boolean(there))
        return json_is_true(there) ? str_is_nocase(sent, "true") || str_is(sent, "1")
                                   : str_is_nocase(sent, "false") || str_is(sent, "0");
    if (json_is_number(there)) {
        b = json_number_value(there);
        return number_of(trimmed(sent), &a) && near(a, b);
    }
    return json_is_string(there) &&
           same_string(sent, (sl_str){ json_string_value(there), json_string_length(there) });
}

/* Digits that could be a text as well count as written: "0012", "+49". */
static bool reads_as_number(sl_str s)
{
    size_t i = s.len > 0 && s.ptr[0] == '-';

    return i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9' &&
           !(s.ptr[i] == '0' && i + 1 < s.len && s.ptr[i + 1] >= '0' && s.ptr[i + 1] <= '9');
}

/* Of more than 15 digits a double knows no more: ids would all be the same. */
static bool same_number(sl_str sent, sl_str there)
{
    double a, b;

    return sent.len <= 15 && reads_as_number(sent) && reads_as_number(there) &&
           number_of(sent, &a) && number_of(there, &b) && near(a, b);
}

static bool same_truth(sl_str sent, sl_str there)
{
    if (str_is_nocase(there, "true"))
        return str_is_nocase(sent, "true") || str_is(sent, "1");
    return str_is_nocase(there, "false") &&
           (sent.len == 0 || str_is_nocase(sent, "false") || str_is(sent, "0"));
}

bool compare_text(sl_str sent, sl_str there)
{
    return same_string(sent, there) || same_number(trimmed(sent), trimmed(there)) ||
           same_truth(trimmed(sent), there);
}

void compare_show_text(sl_str there, struct text *to)
{
    char shown[4 * SHOWN];
    double number;

    if (there.len == 0) {
        text_str(to, "nothing");
        return;
    }
    say(shown, sizeof(shown), "%.*s", (int)(there.len < SHOWN ? there.len : SHOWN), there.ptr);
    text_printf(to, number_of(there, &number) ? "%s" : "\"%s\"", shown);
}

void compare_show(const json_t *there, struct text *to)
{
    char shown[4 * SHOWN];
    char *dumped = NULL;

    if (json_is_string(there)) {
        say(shown, sizeof(shown), "%.*s", SHOWN, json_string_value(there));
        text_printf(to, "\"%s\"", shown);
    } else if (there && !json_is_null(there)) {
        dumped = json_dumps(there, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        text_str(to, dumped ? dumped : "?");
    } else {
        text_str(to, "nothing");
    }
    free(dumped);
}
