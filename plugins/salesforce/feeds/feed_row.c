/*
 * feed_row.c - a feed's statement, its rows as bodies of events, and times.
 */
#include "feed.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "iso_time.h"
#include "org/when.h"

/* ---- times --------------------------------------------------------------------------------- */

void feed_time(int64_t wall_ms, char ret[32])
{
    time_t s = (time_t)(wall_ms / 1000);
    char text[96];
    struct tm tm;

    gmtime_r(&s, &tm);
    snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(wall_ms % 1000));
    say(ret, 32, "%.24s", text);
}

static int64_t ms_of(const char *text)
{
    int64_t ms;

    return when_iso(str_of(text), &ms) ? ms : 0;
}

void feed_earlier(const char *from, int64_t ms, char ret[32])
{
    int64_t at = from[0] ? ms_of(from) : 0;

    if (at > ms)
        feed_time(at - ms, ret);
    else
        ret[0] = '\0';
}

void feed_later(char a[32], const char *b)
{
    if (strcmp(b, a) > 0)
        say(a, 32, "%s", b);
}

/* ---- the statement ------------------------------------------------------------------------- */

void feed_soql(const struct feed *f, const char *from, unsigned limit, struct text *ret)
{
    const char *joint = " WHERE ";

    text_str(ret, "SELECT ");
    for (size_t i = 0; i < f->n_columns; i++)
        text_printf(ret, "%s%s", i ? ", " : "", f->columns[i]);
    text_printf(ret, " FROM %s", f->object);
    if (from[0]) {
        text_printf(ret, "%sSystemModstamp >= %s", joint, from);
        joint = " AND ";
    }
    if (f->where)
        text_printf(ret, "%s(%s)", joint, f->where);
    if (limit)
        text_printf(ret, " LIMIT %u", limit);
}

/* ---- bodies -------------------------------------------------------------------------------- */

static json_t *value_of(sl_str field)
{
    return field.len ? json_stringn(field.ptr, field.len) : json_null();
}

/* As a number, if it is one: stock is counted. */
static json_t *number_of(sl_str field)
{
    char text[64], *end;
    double d;

    if (field.len == 0 || field.len >= sizeof(text))
        return value_of(field);
    memcpy(text, field.ptr, field.len);
    text[field.len] = '\0';
    d = strtod(text, &end);
    if (*end || !(d > -1e15 && d < 1e15))
        return value_of(field);
    return d == (double)(int64_t)d ? json_integer((json_int_t)d) : json_real(d);
}

static json_t *stock_of(const struct feed *f, const sl_str *fields)
{
    char at[TIME_TEXT_SIZE] = "";
    json_t *o = json_object();

    time_normalise(fields[FEED_STAMP], at);
    json_object_set_new(o, "sku", value_of(fields[f->sku]));
    json_object_set_new(o, "location", f->location ? value_of(fields[f->location]) : json_null());
    json_object_set_new(o, "available", number_of(fields[f->available]));
    json_object_set_new(o, "changed_at", json_string(at));
    json_object_set_new(o, "object", json_string(f->object));
    json_object_set_new(o, "id", value_of(fields[FEED_ID]));
    return o;
}

static json_t *record_of(const struct feed *f, const sl_str *fields)
{
    json_t *o = json_object(), *record = json_object();

    for (size_t i = 0; i < f->n_columns; i++)
        json_object_set_new(record, f->columns[i], value_of(fields[i]));
    json_object_set_new(o, "object", json_string(f->object));
    json_object_set_new(o, "record", record);
    return o;
}

char *feed_body(const struct feed *f, const sl_str *fields)
{
    json_t *o = f->stock ? stock_of(f, fields) : record_of(f, fields);
    char *body = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(15));

    json_decref(o);
    return body;
}
