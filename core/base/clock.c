/*
 * clock.c - the two clocks, and calendar time as text.
 */
#include "base/clock.h"

#include <stdbool.h>
#include <time.h>
#include <uv.h>

#define YEAR_0_MS    INT64_C(-62167219200000) /* 0000-01-01T00:00:00.000Z */
#define DAY_MS       INT64_C(86400000)
#define YEAR_9999_MS INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

uint64_t clock_mono_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

int64_t clock_wall_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void write_digits(char *at, unsigned n, int digits)
{
    for (; digits-- > 0; n /= 10)
        at[digits] = (char)('0' + n % 10);
}

/* "2026-11-20", from the days since 0000-01-01. Years are counted from March, so that the day that
 * comes and goes is the last one. */
static void write_date(char *at, unsigned days)
{
    unsigned shifted = days + 146097 - 60; /* since March of the year -400; a cycle is 400 years */
    unsigned of_era = shifted % 146097;
    unsigned y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * y + y / 4 - y / 100);
    unsigned m = (5 * of_year + 2) / 153; /* 0: March */
    unsigned year = shifted / 146097 * 400 + y + (m >= 10) - 400;

    write_digits(at, year, 4);
    write_digits(at + 5, m < 10 ? m + 3 : m - 9, 2);
    write_digits(at + 8, of_year - (153 * m + 2) / 5 + 1, 2);
    at[4] = at[7] = '-';
}

/* "09:15:32.000Z" and the end of the text. */
static void write_time(char *at, unsigned ms)
{
    unsigned s = ms / 1000;

    write_digits(at, s / 3600, 2);
    write_digits(at + 3, s / 60 % 60, 2);
    write_digits(at + 6, s % 60, 2);
    write_digits(at + 9, ms % 1000, 3);
    at[2] = at[5] = ':';
    at[8] = '.';
    at[12] = 'Z';
    at[13] = '\0';
}

void clock_format(int64_t wall_ms, char out[32])
{
    int64_t days;

    if (wall_ms < YEAR_0_MS)
        wall_ms = YEAR_0_MS;
    if (wall_ms > YEAR_9999_MS)
        wall_ms = YEAR_9999_MS;
    days = (wall_ms - YEAR_0_MS) / DAY_MS; /* since 0000-01-01 */
    write_date(out, (unsigned)days);
    out[10] = 'T';
    write_time(out + 11, (unsigned)((wall_ms - YEAR_0_MS) % DAY_MS));
}

/* ---- reading ---- */

struct cursor {
    const char *p, *end;
};

static bool take_digits(struct cursor *c, int n, int *ret)
{
    int value = 0;

    if (c->end - c->p < n)
        return false;
    for (int i = 0; i < n; i++) {
        if (c->p[i] < '0' || c->p[i] > '9')
            return false;
        value = value * 10 + (c->p[i] - '0');
    }
    c->p += n;
    *ret = value;
    return true;
}

static bool take_char(struct cursor *c, const char *one_of)
{
    if (c->p == c->end)
        return false;
    for (; *one_of; one_of++) {
        if (*c->p == *one_of) {
            c->p++;
            return true;
        }
    }
    return false;
}

/* ".123456" to 123; no dot at all is 0. A dot alone is wrong. */
static bool take_fraction(struct cursor *c, int *ret_ms)
{
    int weight = 100, digit;

    *ret_ms = 0;
    if (!take_char(c, "."))
        return true;
    if (!take_digits(c, 1, &digit))
        return false;
    do {
        *ret_ms += digit * weight;
        weight /= 10;
    } while (take_digits(c, 1, &digit));
    return true;
}

static bool take_zone(struct cursor *c, int *ret_minutes)
{
    int sign = c->p < c->end && *c->p == '-' ? -1 : 1;
    int hours, minutes;

    *ret_minutes = 0;
    if (take_char(c, "Zz"))
        return true;
    if (!take_char(c, "+-") || !take_digits(c, 2, &hours))
        return false;
    take_char(c, ":");
    if (!take_digits(c, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_minutes = sign * (hours * 60 + minutes);
    return true;
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Days from 1970-01-01 to a date of the years 0 to 9999. */
static int64_t days_to(int year, int month, int day)
{
    int past = year - 1; /* whole years; -1 for year 0, which is a leap year */
    int64_t leaps = year > 0 ? past / 4 - past / 100 + past / 400 : -1;
    int64_t days = (int64_t)past * 365 + leaps - 719162; /* 0001-01-01 to 1970-01-01 */

    for (int m = 1; m < month; m++)
        days += days_in_month(year, m);
    return days + day - 1;
}

int clock_parse(const char *s, uint64_t len, int64_t *ret)
{
    struct cursor c = { .p = s, .end = s + len };
    int year, month, day, hour, minute, second, ms, zone;
    int64_t seconds;

    if (!take_digits(&c, 4, &year) || !take_char(&c, "-") || !take_digits(&c, 2, &month) ||
        !take_char(&c, "-") || !take_digits(&c, 2, &day))
        return UV_EINVAL;
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return UV_EINVAL;
    if (!take_char(&c, "Tt ") || !take_digits(&c, 2, &hour) || !take_char(&c, ":") ||
        !take_digits(&c, 2, &minute) || !take_char(&c, ":") || !take_digits(&c, 2, &second))
        return UV_EINVAL;
    if (hour > 23 || minute > 59 || second > 60) /* 60: a leap second, read as the next one */
        return UV_EINVAL;
    if (!take_fraction(&c, &ms) || !take_zone(&c, &zone) || c.p != c.end)
        return UV_EINVAL;
    seconds = days_to(year, month, day) * 86400 + hour * 3600 + (minute - zone) * 60 + second;
    *ret = seconds * 1000 + ms;
    return 0;
}
