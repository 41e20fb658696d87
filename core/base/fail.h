/*
 * fail.h - why something could not be done: a code for the program, a text for the operator.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

/** Filled by functions that load, parse or open; untouched on success. The caller owns it. */
struct fail {
    int code;       /* a negative libuv code (UV_EINVAL ...); 0 while nothing failed */
    char text[400]; /* one line, no newline, names what is wrong and what would be right */
};

/** Record `code` and a formatted text; returns `code`, so `return fail_set(...)` reads well.
 *  `fail` may be NULL. Long texts are cut. @thread any */
int fail_set(struct fail *fail, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** Put "prefix: " before the text already there. @thread any */
void fail_prefix(struct fail *fail, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
