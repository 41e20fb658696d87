/*
 * fail.c - why something could not be done.
 */
#include "base/fail.h"

#include <stdio.h>
#include <string.h>

/* Store a text as one line, cut at a whole character. */
static void keep(struct fail *fail, const char *text)
{
    size_t n = strlen(text);

    if (n >= sizeof(fail->text)) {
        n = sizeof(fail->text) - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--;
    }
    memcpy(fail->text, text, n);
    fail->text[n] = '\0';
    for (char *p = fail->text; *p; p++)
        if (*p == '\n' || *p == '\r')
            *p = ' ';
}

int fail_set(struct fail *fail, int code, const char *fmt, ...)
{
    char text[sizeof(fail->text) + 4]; /* room to see where a cut character begins */
    va_list ap;

    if (!fail)
        return code;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap); /* not in place: an argument may be the old text */
    va_end(ap);
    fail->code = code;
    keep(fail, text);
    return code;
}

void fail_prefix(struct fail *fail, const char *fmt, ...)
{
    char text[2 * sizeof(fail->text) + 4];
    va_list ap;
    size_t n;

    if (!fail)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(fail->text), fmt, ap);
    va_end(ap);
    n = strlen(text);
    snprintf(text + n, sizeof(text) - n, ": %s", fail->text);
    keep(fail, text);
}
