/*
 * http_retry_after.c - when a remote wants to be asked again. Part of http_client.h.
 */
#include <time.h>
#include "net/http_client.h"

#define RETRY_MAX_MS 3600000

sl_str http_result_header(const struct http_result *r, const char *name)
{
    sl_str want = str_of(name);

    for (size_t i = 0; i < r->n_headers; i++)
        if (str_eq_nocase(r->headers[i].name, want))
            return r->headers[i].value;
    return (sl_str){ .ptr = "", .len = 0 };
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "2", "2.0", "0.25": ms, rounded up so that nobody comes early; -1: not a number. */
static int64_t parse_seconds(sl_str s)
{
    int64_t ms = 0, unit = 1000;
    bool more = false;
    size_t i = 0;

    for (; i < s.len && is_digit(s.ptr[i]); i++) {
        ms = ms * 10 + (s.ptr[i] - '0') * 1000;
        if (ms > RETRY_MAX_MS)
            ms = RETRY_MAX_MS;
    }
    if (i == 0)
        return -1;
    if (i == s.len)
        return ms;
    if (s.ptr[i++] != '.' || i == s.len)
        return -1;
    for (; i < s.len && is_digit(s.ptr[i]); i++) {
        unit /= 10;
        ms += (s.ptr[i] - '0') * unit;
        more |= unit == 0 && s.ptr[i] != '0';
    }
    if (i < s.len)
        return -1;
    ms += more;
    return ms > RETRY_MAX_MS ? RETRY_MAX_MS : ms;
}

/* ---- HTTP dates (RFC 9110, 5.6.7): one form to write, three to read ---- */

struct cursor {
    sl_str s;
    bool bad;
};

static void expect(struct cursor *c, const char *text)
{
    sl_str want = str_of(text);

    if (c->bad || !str_starts(c->s, want)) {
        c->bad = true;
        return;
    }
    c->s = (sl_str){ .ptr = c->s.ptr + want.len, .len = c->s.len - want.len };
}

static int digits(struct cursor *c, size_t n)
{
    int v = 0;

    for (size_t i = 0; i < n; i++) {
        if (c->bad || c->s.len == 0 || !is_digit(c->s.ptr[0])) {
            c->bad = true;
            return 0;
        }
        v = v * 10 + (c->s.ptr[0] - '0');
        c->s = (sl_str){ .ptr = c->s.ptr + 1, .len = c->s.len - 1 };
    }
    return v;
}

static int month(struct cursor *c)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int i = 0; i < 12; i++) {
        sl_str name = { .ptr = names + i * 3, .len = 3 };

        if (!c->bad && str_starts(c->s, name)) {
            c->s = (sl_str){ .ptr = c->s.ptr + 3, .len = c->s.len - 3 };
            return i;
        }
    }
    c->bad = true;
    return 0;
}

static void day_name(struct cursor *c, bool *ret_long)
{
    static const char *const names[] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
                                         "Thursday", "Friday", "Saturday" };

    for (size_t i = 0; i < 7; i++) {
        sl_str name = str_of(names[i]), brief = { .ptr = names[i], .len = 3 };

        *ret_long = str_starts(c->s, name);
        if (*ret_long || str_starts(c->s, brief)) {
            expect(c, *ret_long ? names[i] : "");
            if (!*ret_long)
                c->s = (sl_str){ .ptr = c->s.ptr + 3, .len = c->s.len - 3 };
            return;
        }
    }
    c->bad = true;
}

static void time_of_day(struct cursor *c, struct tm *tm)
{
    tm->tm_hour = digits(c, 2);
    expect(c, ":");
    tm->tm_min = digits(c, 2);
    expect(c, ":");
    tm->tm_sec = digits(c, 2);
}

/* A two-digit year is the one less than 50 years ahead. */
static int full_year(int yy, int64_t wall_ms)
{
    time_t now = (time_t)(wall_ms / 1000);
    struct tm tm;
    int year;

    if (!gmtime_r(&now, &tm))
        return 1900 + yy;
    year = (tm.tm_year + 1900) / 100 * 100 + yy;
    return year > tm.tm_year + 1900 + 50 ? year - 100 : year;
}

static int days_of(int year, int mon)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    return days[mon] + (mon == 1 && (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)));
}

/* 0, or -1 when it is no date. */
static int parse_date(sl_str s, int64_t wall_ms, int64_t *ret_s)
{
    struct cursor c = { .s = s };
    struct tm tm = { 0 };
    bool long_name = false;
    int year;

    day_name(&c, &long_name);
    if (!c.bad && c.s.len > 0 && c.s.ptr[0] == ' ') { /* Sun Nov  6 08:49:37 1994 */
        expect(&c, " ");
        tm.tm_mon = month(&c);
        expect(&c, " ");
        if (c.s.len > 0 && c.s.ptr[0] == ' ') {
            expect(&c, " ");
            tm.tm_mday = digits(&c, 1);
        } else {
            tm.tm_mday = digits(&c, 2);
        }
        expect(&c, " ");
        time_of_day(&c, &tm);
        expect(&c, " ");
        year = digits(&c, 4);
    } else {
        const char *between = long_name ? "-" : " "; /* Sunday, 06-Nov-94 08:49:37 GMT */

        expect(&c, ", "); /* Sun, 06 Nov 1994 08:49:37 GMT */
        tm.tm_mday = digits(&c, 2);
        expect(&c, between);
        tm.tm_mon = month(&c);
        expect(&c, between);
        year = long_name ? full_year(digits(&c, 2), wall_ms) : digits(&c, 4);
        expect(&c, " ");
        time_of_day(&c, &tm);
        expect(&c, " GMT");
    }
    if (c.bad || c.s.len > 0 || year < 1970 || tm.tm_mday < 1 ||
        tm.tm_mday > days_of(year, tm.tm_mon) || tm.tm_hour > 23 || tm.tm_min > 59 ||
        tm.tm_sec > 60)
        return -1;
    tm.tm_year = year - 1900;
    *ret_s = (int64_t)timegm(&tm);
    return 0;
}

static int64_t parse_delay(sl_str value, int64_t wall_ms)
{
    int64_t at_s, ms;

    value = str_trim(value);
    if (value.len == 0)
        return -1;
    if (is_digit(value.ptr[0]))
        return parse_seconds(value);
    if (parse_date(value, wall_ms, &at_s) < 0)
        return -1;
    ms = at_s * 1000 - wall_ms;
    return ms < 0 ? 0 : ms > RETRY_MAX_MS ? RETRY_MAX_MS : ms;
}

int64_t http_retry_after_ms(const struct http_result *r, int64_t wall_ms)
{
    int64_t ms = parse_delay(http_result_header(r, "retry-after"), wall_ms);

    if (ms < 0)
        ms = parse_delay(http_result_header(r, "x-retry-after"), wall_ms);
    if (ms < 0 && r->status == 429)
        ms = parse_seconds(str_trim(http_result_header(r, "x-ratelimit-reset")));
    return ms;
}
