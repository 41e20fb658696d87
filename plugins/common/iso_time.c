/*
 * iso_time.c - times as remotes write them, as UTC text that sorts.
 */
#include "iso_time.h"

#include <inttypes.h>

/* Reads exactly `digits` digits; advances. -1: not there. */
static int number(const char **p, const char *end, int digits)
{
    int n = 0;

    if (end - *p < digits)
        return -1;
    for (int i = 0; i < digits; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return -1;
        n = n * 10 + (**p - '0');
    }
    return n;
}

/* One of two bytes, which is skipped and returned; else 0. */
static int accept(const char **p, const char *end, char one, char other)
{
    if (*p == end || (**p != one && **p != other))
        return 0;
    return *(*p)++;
}

/* Days since 1970-01-01 in the Gregorian calendar, years counted from March. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = y / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468, era = z / 146097, of_era = z - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * of_year + 2) / 153;

    *day = (int)(of_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = (int)(y + era * 400 + (*month <= 2));
}

/* ".123456" as milliseconds, cut; 0 if there is no fraction, -1 if it is malformed. */
static int fraction(const char **p, const char *end)
{
    int ms = 0, n = 0;

    if (!accept(p, end, '.', '.'))
        return 0;
    for (; *p < end && **p >= '0' && **p <= '9'; (*p)++, n++)
        if (n < 3)
            ms = ms * 10 + (**p - '0');
    if (n == 0 || n > 9)
        return -1;
    for (; n < 3; n++)
        ms *= 10;
    return ms;
}

/* "Z", "+01:00", "-0330" as seconds east of UTC. */
static int offset(const char **p, const char *end, int *ret)
{
    int sign, hours, minutes;

    if (accept(p, end, 'Z', 'z')) {
        *ret = 0;
        return 0;
    }
    sign = accept(p, end, '+', '-');
    if (!sign)
        return -1;
    hours = number(p, end, 2);
    accept(p, end, ':', ':');
    minutes = number(p, end, 2);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
        return -1;
    *ret = (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return 0;
}

static void write_digits(char *at, int n, int digits)
{
    for (; digits-- > 0; n /= 10)
        at[digits] = (char)('0' + n % 10);
}

static int days_in_month(int year, int month)
{
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 ? 28 + leap : 30 + (month + (month > 7)) % 2;
}

sl_status time_normalise(sl_str text, char ret[TIME_TEXT_SIZE])
{
    const char *p = text.ptr, *end = text.ptr + text.len;
    int year, month, day, hour, minute, second, ms, east;
    int64_t t, days;

    year = number(&p, end, 4);
    if (year < 1970 || !accept(&p, end, '-', '-') || (month = number(&p, end, 2)) < 1 ||
        month > 12 || !accept(&p, end, '-', '-') || (day = number(&p, end, 2)) < 1 ||
        day > days_in_month(year, month) ||
        (!accept(&p, end, 'T', 't') && !accept(&p, end, ' ', ' ')))
        return SL_E_INVALID;
    hour = number(&p, end, 2);
    if (hour < 0 || hour > 23 || !accept(&p, end, ':', ':') || (minute = number(&p, end, 2)) < 0 ||
        minute > 59 || !accept(&p, end, ':', ':') || (second = number(&p, end, 2)) < 0 ||
        second > 60)
        return SL_E_INVALID;
    ms = fraction(&p, end);
    if (ms < 0 || offset(&p, end, &east) < 0 || p != end)
        return SL_E_INVALID;

    t = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - east;
    if (t < 0)
        return SL_E_INVALID;
    days = t / 86400;
    t %= 86400;
    date_of(days, &year, &month, &day);
    if (year > 9999)
        return SL_E_INVALID;
    write_digits(ret, year, 4);
    write_digits(ret + 5, month, 2);
    write_digits(ret + 8, day, 2);
    write_digits(ret + 11, (int)(t / 3600), 2);
    write_digits(ret + 14, (int)(t / 60 % 60), 2);
    write_digits(ret + 17, (int)(t % 60), 2);
    write_digits(ret + 20, ms, 3);
    ret[4] = ret[7] = '-';
    ret[10] = 'T';
    ret[13] = ret[16] = ':';
    ret[19] = '.';
    ret[23] = 'Z';
    ret[24] = '\0';
    return SL_OK;
}
