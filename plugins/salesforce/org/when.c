/*
 * when.c - dates of two kinds, and the difference of two clocks.
 */
#include "when.h"

#include <stdio.h>
#include <string.h>

#include "salesforce.h"

#define DAY_MS 86400000

/* Days since 1970 of a date in the Gregorian calendar; years from March on, so that the leap day is
 * the last. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year, era = y / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool moment(int year, int month, int day, int hour, int minute, int second, int64_t *ret_ms)
{
    if (year < 1970 || year > 9999 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 ||
        hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
        return false;
    *ret_ms = days_of(year, month, day) * DAY_MS +
              (((int64_t)hour * 60 + minute) * 60 + second) * 1000;
    return true;
}

bool when_http(sl_str text, int64_t *ret_ms)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char line[40], name[4];
    int day, year, hour, minute, second, end = 0;
    const char *at;

    if (text.len >= sizeof(line))
        return false;
    say(line, sizeof(line), "%.*s", (int)text.len, text.ptr ? text.ptr : "");
    if (sscanf(line, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT%n", &day, name, &year, &hour, &minute,
               &second, &end) != 6 ||
        end == 0)
        return false;
    at = strlen(name) == 3 ? strstr(months, name) : NULL;
    if (!at || (at - months) % 3 != 0)
        return false;
    return moment(year, (int)(at - months) / 3 + 1, day, hour, minute, second, ret_ms);
}

bool when_iso(sl_str text, int64_t *ret_ms)
{
    char line[40];
    int year, month, day, hour, minute, second, ms, end = 0;
    int64_t at;

    if (text.len >= sizeof(line))
        return false;
    say(line, sizeof(line), "%.*s", (int)text.len, text.ptr ? text.ptr : "");
    if (sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d.%3d%n", &year, &month, &day, &hour, &minute, &second,
               &ms, &end) != 7 ||
        (strcmp(line + end, "+0000") != 0 && strcmp(line + end, "Z") != 0) || ms < 0)
        return false;
    if (!moment(year, month, day, hour, minute, second, &at))
        return false;
    *ret_ms = at + ms;
    return true;
}

void when_learn(struct salesforce *sf, const sl_http_answer *a)
{
    int64_t theirs;

    for (size_t i = 0; i < a->n_headers; i++) {
        if (!str_is_nocase(a->headers[i].name, "Date") || !when_http(a->headers[i].value, &theirs))
            continue;
        sf->ahead_ms = theirs - sf->host->wall_ms(sf->host->ctx);
        sf->ahead_known = true;
    }
}

int64_t when_now(const struct salesforce *sf)
{
    return sf->host->wall_ms(sf->host->ctx) + sf->ahead_ms;
}
