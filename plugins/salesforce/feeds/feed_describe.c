/*
 * feed_describe.c - what an event of a feed is about: its record; and what makes two of them one.
 */
#include "feed.h"

#include <jansson.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iso_time.h"

/* A row may be read as CSV or as JSON, which do not write numbers and times alike. */
static void add_value(struct text *all, const json_t *value)
{
    const char *s = json_string_value(value);
    char at[TIME_TEXT_SIZE], *end;
    double d;

    if (json_is_number(value)) {
        text_printf(all, "%.15g", json_number_value(value));
    } else if (!s) {
        text_str(all, json_is_null(value) ? "" : "?");
    } else if (time_normalise(str_of(s), at) == SL_OK) {
        text_str(all, at);
    } else if (*s && (d = strtod(s, &end), !*end)) {
        text_printf(all, "%.15g", d);
    } else {
        text_str(all, s);
    }
    text_char(all, '\n');
}

static void key_of(const char *at, const json_t *record, char *ret, size_t size)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    struct text all = { 0 };
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)record, name, value)
    {
        text_str(&all, name);
        text_char(&all, '=');
        add_value(&all, value);
    }
    SHA256((const unsigned char *)(all.ptr ? all.ptr : ""), all.len, digest);
    text_finish(&all);
    snprintf(ret, size, "%s/", at);
    for (size_t i = 0; i < 8; i++)
        snprintf(ret + strlen(ret), size - strlen(ret), "%02x", digest[i]);
}

sl_status feed_describe(const sl_event *event, const sl_describe_out *out, sl_fail *fail)
{
    json_t *root = json_loadb(event->body.ptr ? event->body.ptr : "", event->body.len, 0, NULL);
    const json_t *record = json_object_get(root, "record");
    bool stock = !record;
    const char *object = json_string_value(json_object_get(root, "object"));
    const char *id = json_string_value(json_object_get(stock ? root : record, stock ? "id" : "Id"));
    const char *stamp = json_string_value(
        json_object_get(stock ? root : record, stock ? "changed_at" : "SystemModstamp"));
    char subject[256], key[64], at[TIME_TEXT_SIZE];
    sl_status r = SL_OK;

    if (!object || !id || !stamp) {
        /* no feed's: nothing is known of it */
    } else if (time_normalise(str_of(stamp), at) < 0) {
        r = sf_fail(fail, SL_E_INVALID, "the row's SystemModstamp is no time: \"%.60s\"", stamp);
    } else {
        say(subject, sizeof(subject), "salesforce:%s/%s", object, id);
        key_of(at, stock ? root : record, key, sizeof(key));
        out->subject(out->ctx, str_of(subject), str_of(at), str_of(key), NULL, 0);
    }
    json_decref(root);
    return r;
}
