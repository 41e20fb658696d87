/*
 * text.h - a growing text, and bounded texts for the operator.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sluice/types.h>

/** Invariant: ptr[len] is NUL once anything was added. An addition that finds no memory sets
 *  `failed` and changes nothing: check once, at the end. All zero is a valid, empty text. */
struct text {
    char *ptr;
    size_t len, cap;
    bool failed;
};

void text_finish(struct text *t); /* frees and wipes nothing; usable again */
void text_clear(struct text *t);  /* len = 0, keeps the memory */
void text_add(struct text *t, const char *p, size_t n);
void text_str(struct text *t, const char *s);
void text_char(struct text *t, char c);
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Percent-encoded, but for what stands in URLs by itself. */
void text_escaped(struct text *t, sl_str s);

static inline sl_str text_view(const struct text *t)
{
    return (sl_str){ t->ptr, t->len };
}

sl_str str_of(const char *s); /* a view of a C string; NULL: empty */
bool str_is(sl_str s, const char *literal);
bool str_is_nocase(sl_str s, const char *literal);  /* ASCII */
bool str_same_nocase(sl_str a, sl_str b);           /* ASCII */
bool str_has_nocase(sl_str s, const char *literal); /* ASCII: contains */
char ascii_lower(char c);

/** Bytes of the UTF-8 character at the front, 1 to 4; 0: there is none, or it is not valid. */
size_t utf8_length(const char *p, const char *end);

/** snprintf for a line that a person reads: control characters become blanks, and what does not
 *  fit is cut at a character's border. */
void say(char *to, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
