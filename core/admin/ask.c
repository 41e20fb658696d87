/*
 * ask.c - what a list is asked for: parameters of a query string, or members of a filter.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "admin/api.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/units.h"
#include "store/fingerprint.h"

#define ASK_VALUE_BYTES   1024
#define ASK_LIMIT_DEFAULT 100
#define ASK_LIMIT_MAX     1000

static const struct param {
    const char *name;
    unsigned bits;
    size_t text_at; /* offset of a text in the filter; 0: it is none */
} params[] = {
    { "endpoint", ASK_ENDPOINT, offsetof(struct store_filter, endpoint) },
    { "route", ASK_ROUTE, offsetof(struct store_filter, route) },
    { "topic", ASK_TOPIC, offsetof(struct store_filter, topic) },
    { "subject", ASK_SUBJECT, offsetof(struct store_filter, subject) },
    { "state", ASK_STATE, offsetof(struct store_filter, state) },
    { "hold_type", ASK_HOLD_TYPE, offsetof(struct store_filter, hold_type) },
    { "owner", ASK_OWNER, offsetof(struct store_filter, owner) },
    { "overdue", ASK_OVERDUE, 0 },
    { "for_people", ASK_FOR_PEOPLE, 0 },
    { "error", ASK_ERROR, offsetof(struct store_filter, error) },
    { "issue", ASK_ISSUE, 0 },
    { "state", ASK_ISSUE_STATE, offsetof(struct store_filter, state) },
    { "since", ASK_SINCE, 0 },
    { "until", ASK_UNTIL, 0 },
    { "after", ASK_AFTER_EVENT | ASK_AFTER_DELIVERY, 0 },
    { "limit", ASK_LIMIT, 0 },
    { "duplicates", ASK_DUPLICATES, 0 },
};
#define N_PARAMS (sizeof(params) / sizeof(params[0]))

static const char **text_of(struct store_filter *f, const struct param *p)
{
    return p->text_at ? (const char **)((char *)f + p->text_at) : NULL;
}

char *ask_decode(sl_str s, bool form)
{
    char *out = mem_zero(s.len + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        uint8_t byte = (uint8_t)s.ptr[i];
        if (byte == '%') {
            if (i + 2 >= s.len || hex_decode((sl_str){ s.ptr + i + 1, 2 }, &byte, 1) < 0) {
                free(out);
                return NULL;
            }
            i += 2;
        } else if (byte == '+' && form) {
            byte = ' ';
        }
        if (byte == 0) {
            free(out);
            return NULL;
        }
        out[n++] = (char)byte;
    }
    return out;
}

/* ---- one parameter ---- */

static int unknown(unsigned allowed, const char *name, struct fail *fail)
{
    struct buf wanted = { 0 };

    for (size_t i = 0; i < N_PARAMS; i++)
        if (params[i].bits & allowed)
            buf_printf(&wanted, "%s%s", wanted.len ? ", " : "", params[i].name);
    if (wanted.len)
        fail_set(fail, UV_EINVAL, "unknown parameter \"%.40s\"; there are: %s", name, wanted.data);
    else
        fail_set(fail, UV_EINVAL, "unknown parameter \"%.40s\"; this path takes none", name);
    buf_finish(&wanted);
    return UV_EINVAL;
}

/** Digits alone; no sign, no blank. */
static int number(const char *s, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;

    if (!*s)
        return UV_EINVAL;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return UV_EINVAL;
        unsigned digit = (unsigned)(*s - '0');
        if (v > (max - digit) / 10)
            return UV_EINVAL;
        v = v * 10 + digit;
    }
    *ret = v;
    return 0;
}

static int set_after(struct store_filter *f, bool delivery, const char *value, struct fail *fail)
{
    if (delivery && delivery_parse(str_of(value), &f->after) < 0)
        return fail_set(fail, UV_EINVAL,
                        "\"after\" must be the id of a delivery, such as 1042.0, not \"%.40s\"",
                        value);
    if (!delivery && (number(value, INT64_MAX, &f->after) < 0 || f->after == 0))
        return fail_set(fail, UV_EINVAL,
                        "\"after\" must be the id of an event, such as 1042, not \"%.40s\"", value);
    return 0;
}

static int set_limit(struct store_filter *f, const char *value, struct fail *fail)
{
    uint64_t v;

    if (number(value, ASK_LIMIT_MAX, &v) < 0 || v == 0)
        return fail_set(fail, UV_EINVAL, "\"limit\" must be 1 to %d, not \"%.40s\"", ASK_LIMIT_MAX,
                        value);
    f->limit = (uint32_t)v;
    return 0;
}

static int set_flag(bool *flag, const char *name, const char *value, struct fail *fail)
{
    if (strcmp(value, "true") && strcmp(value, "false"))
        return fail_set(fail, UV_EINVAL, "\"%s\" must be true or false, not \"%.40s\"", name,
                        value);
    *flag = *value == 't';
    return 0;
}

int ask_time(const char *name, const char *value, int64_t now_ms, int64_t *ret_ms,
             struct fail *fail)
{
    int64_t ago;

    if (units_duration(str_of(value), &ago) == 0 && ago < now_ms)
        *ret_ms = now_ms - ago;
    else if (clock_parse(value, strlen(value), ret_ms) < 0 || *ret_ms <= 0)
        return fail_set(fail, UV_EINVAL,
                        "\"%s\" must be a duration such as 2h (so long ago) or a time such as "
                        "2026-11-20T09:00:00Z, not \"%.40s\"",
                        name, value);
    return 0;
}

bool call_time(struct call *c, json_t *o, const char *name, int64_t *ret_ms)
{
    const char *text = json_string_value(json_object_get(o, name));
    struct fail fail = { 0 };

    if (!text || ask_time(name, text, clock_wall_ms(), ret_ms, &fail) == 0)
        return true;
    call_problem(c, 400, "%s", fail.text);
    return false;
}

static int check_state(const char *value, struct fail *fail)
{
    struct buf wanted = { 0 };
    bool found = false;

    for (int s = 0; s < DS__COUNT; s++) {
        if (s == DS_PARKED)
            continue; /* how a ready one of a parked endpoint is shown; never written down */
        found = found || strcmp(delivery_state_names[s], value) == 0;
        buf_printf(&wanted, "%s%s", wanted.len ? ", " : "", delivery_state_names[s]);
    }
    if (!found)
        fail_set(fail, UV_EINVAL, "\"state\" must be one of %s, not \"%.40s\"", wanted.data, value);
    buf_finish(&wanted);
    return found ? 0 : UV_EINVAL;
}

static int check_issue_state(const char *value, struct fail *fail)
{
    if (strcmp(value, "open") && strcmp(value, "acknowledged") && strcmp(value, "resolved"))
        return fail_set(fail, UV_EINVAL,
                        "\"state\" must be one of open, acknowledged, resolved, not \"%.40s\"",
                        value);
    return 0;
}

static int set_issue(struct store_filter *f, const char *value, struct fail *fail)
{
    if (fingerprint_parse(str_of(value), &f->issue) < 0)
        return fail_set(fail, UV_EINVAL,
                        "\"issue\" must be the id of an issue, such as 3f2a9c01d4e7, not "
                        "\"%.40s\"; see `sluice issues`",
                        value);
    return 0;
}

int ask_set(struct store_filter *f, unsigned allowed, const char *name, const char *value,
            struct fail *fail)
{
    const struct param *p = NULL;
    const char **text;
    int r;

    for (size_t i = 0; i < N_PARAMS; i++)
        if (params[i].bits & allowed && strcmp(params[i].name, name) == 0)
            p = &params[i];
    if (!p)
        return unknown(allowed, name, fail);
    if (p->bits & (ASK_AFTER_EVENT | ASK_AFTER_DELIVERY))
        return set_after(f, allowed & ASK_AFTER_DELIVERY, value, fail);
    if (p->bits & ASK_LIMIT)
        return set_limit(f, value, fail);
    if (p->bits & ASK_DUPLICATES)
        return set_flag(&f->duplicates, name, value, fail);
    if (p->bits & ASK_OVERDUE)
        return set_flag(&f->overdue, name, value, fail);
    if (p->bits & ASK_FOR_PEOPLE)
        return set_flag(&f->for_people, name, value, fail);
    if (p->bits & ASK_ISSUE)
        return set_issue(f, value, fail);
    if (p->bits & (ASK_SINCE | ASK_UNTIL))
        return ask_time(name, value, clock_wall_ms(),
                        p->bits & ASK_SINCE ? &f->since_ms : &f->until_ms, fail);
    if (!*value)
        return fail_set(fail, UV_EINVAL, "\"%s\" is empty; leave it out for any", name);
    if (strlen(value) > ASK_VALUE_BYTES)
        return fail_set(fail, UV_EINVAL, "\"%s\" has more than %d bytes", name, ASK_VALUE_BYTES);
    if (p->bits & ASK_STATE && (r = check_state(value, fail)) < 0)
        return r;
    if (p->bits & ASK_ISSUE_STATE && (r = check_issue_state(value, fail)) < 0)
        return r;
    text = text_of(f, p);
    if (*text)
        return fail_set(fail, UV_EINVAL, "\"%s\" is given twice", name);
    *text = mem_str(value);
    return 0;
}

/* ---- all of them ---- */

static int set_pair(struct store_filter *f, unsigned allowed, sl_str pair, struct fail *fail)
{
    const char *equals = memchr(pair.ptr, '=', pair.len);
    size_t at = equals ? (size_t)(equals - pair.ptr) : pair.len;
    sl_str raw = { pair.ptr + at + 1, equals ? pair.len - at - 1 : 0 };
    char *name = ask_decode((sl_str){ pair.ptr, at }, true);
    char *value = equals ? ask_decode(raw, true) : NULL;
    int r;

    if (!name || (equals && !value))
        r = fail_set(fail, UV_EINVAL, "the query holds a malformed %% escape");
    else if (!equals)
        r = fail_set(fail, UV_EINVAL, "parameter \"%.40s\" has no value; wanted NAME=VALUE", name);
    else
        r = ask_set(f, allowed, name, value, fail);
    free(name);
    free(value);
    return r;
}

int ask_query(struct store_filter *f, unsigned allowed, sl_str query, struct fail *fail)
{
    int r = 0;

    *f = (struct store_filter){ .limit = ASK_LIMIT_DEFAULT };
    while (r == 0 && query.len) {
        const char *amp = memchr(query.ptr, '&', query.len);
        size_t n = amp ? (size_t)(amp - query.ptr) : query.len;
        if (n)
            r = set_pair(f, allowed, (sl_str){ query.ptr, n }, fail);
        n += amp != NULL;
        query.ptr += n;
        query.len -= n;
    }
    if (r < 0)
        ask_finish(f);
    return r;
}

void ask_finish(struct store_filter *f)
{
    for (size_t i = 0; i < N_PARAMS; i++) {
        const char **text = text_of(f, &params[i]);
        if (!text)
            continue;
        free((char *)*text);
        *text = NULL;
    }
}

int ask_priority(json_t *value, uint8_t *ret, struct fail *fail)
{
    uint8_t p = priority_parse(json_string_value(value), PRIORITY__COUNT);

    if (p == PRIORITY__COUNT)
        return fail_set(fail, UV_EINVAL, "\"priority\" must be critical, high, normal or low");
    *ret = 1 + p;
    return 0;
}
