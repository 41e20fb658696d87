/*
 * clock.c - the two clocks, and calendar time as text.
 */
#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <uv.h>

#define YEAR_0_MS    INT64_C(-62167219200000) /* 0000-01-01T00:00:00.000Z */
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

void clock_format(int64_t wall_ms, char out[32])
{
    struct tm tm;
    time_t seconds;
    int64_t ms;

    if (wall_ms < YEAR_0_MS)
        wall_ms = YEAR_0_MS;
    if (wall_ms > YEAR_9999_MS)
        wall_ms = YEAR_9999_MS;
    ms = (wall_ms % 1000 + 1000) % 1000;
    seconds = (time_t)((wall_ms - ms) / 1000);
    gmtime_r(&seconds, &tm);
    /* the remainders tell the compiler that nothing is cut */
    snprintf(out, 32, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)(tm.tm_year + 1900) % 10000,
             (unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100,
             (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100,
             (unsigned)ms % 1000);
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
