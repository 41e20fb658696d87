/*
 * reason.c - see reason.h.
 */
#include "store/reason.h"

#include <string.h>
#include "store/fingerprint.h"
#include "store/sql.h"

#define TEXT_MOST                                                                  \
    256 /* bytes of a text that patterns are compared with; of longer ones none is \
         */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool is_blank(char c)
{
    return (unsigned char)c <= ' ';
}

void reason_text(struct buf *out, sl_str text)
{
    bool blank = false;

    for (size_t i = 0; i < text.len; i++) {
        if (!is_blank(text.ptr[i]))
            buf_char(out, lower(text.ptr[i]));
        else if (!blank)
            buf_char(out, ' ');
        blank = is_blank(text.ptr[i]);
    }
}

/* ---- in one reason ---- */

static bool has_at(sl_str s, size_t at, sl_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (at == s.len)
            return false;
        if (text.ptr[i] != ' ') {
            if (lower(s.ptr[at++]) != text.ptr[i])
                return false;
            continue;
        }
        if (!is_blank(s.ptr[at]))
            return false;
        while (at < s.len && is_blank(s.ptr[at]))
            at++;
    }
    return true;
}

bool reason_has(sl_str reason, sl_str text)
{
    const char first = text.len ? text.ptr[0] : '\0';

    for (size_t at = 0; at < reason.len; at++)
        if ((lower(reason.ptr[at]) == first || first == ' ') && has_at(reason, at, text))
            return true;
    return text.len == 0;
}

/* ---- in all of a pattern ---- */

/* What a sign of a pattern stands for. */
enum sign { LITERAL, NUMBER, ANYTHING };

/* "(*)" is a bracket and what follows it, of which the end may have been cut off. */
static enum sign sign_at(sl_str pattern, size_t at)
{
    char c = pattern.ptr[at];

    if (c == '*' || (c == ')' && at >= 2 && memcmp(pattern.ptr + at - 2, "(*", 2) == 0))
        return ANYTHING;
    return c == '#' ? NUMBER : LITERAL;
}

/* May it stand within what became "#", or was one? */
static bool in_number(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c < 0 || strchr("_-.:/+,#", c);
}

/* Without any sign that stands for something else, so that it is in each of them. */
static bool has_literally(sl_str pattern, sl_str text)
{
    for (size_t at = 0; at + text.len <= pattern.len; at++) {
        size_t i = 0;
        while (i < text.len && sign_at(pattern, at + i) == LITERAL &&
               lower(pattern.ptr[at + i]) == text.ptr[i])
            i++;
        if (i == text.len)
            return true;
    }
    return false;
}

/* The text may begin anywhere, also within what a sign stands for: `reached` says how much of it
 * may have come when the pattern has come so far. */
static bool may_have(sl_str pattern, sl_str text)
{
    bool reached[TEXT_MOST + 1] = { true };

    reached[1] = text.ptr[0] == ' '; /* blanks before and after a reason are not in its pattern */
    for (size_t at = 0; at < pattern.len; at++) {
        enum sign sign = sign_at(pattern, at);
        if (sign == ANYTHING || reached[text.len])
            return true;
        if (sign == NUMBER) {
            for (size_t i = 0; i < text.len; i++)
                reached[i + 1] |= reached[i] && in_number(text.ptr[i]);
            continue;
        }
        for (size_t i = text.len; i > 0; i--)
            reached[i] = reached[i - 1] && lower(pattern.ptr[at]) == text.ptr[i - 1];
    }
    return reached[text.len] || (reached[text.len - 1] && text.ptr[text.len - 1] == ' ');
}

enum reason_fit reason_fits(sl_str pattern, sl_str text)
{
    bool cut = pattern.len + 4 > FINGERPRINT_REASON; /* by as much as a character has */

    if (text.len == 0 || has_literally(pattern, text))
        return REASON_ALL;
    /* of an empty one more may be known since */
    if (cut || pattern.len == 0 || text.len > TEXT_MOST || may_have(pattern, text))
        return REASON_SOME;
    return REASON_NONE;
}

/* ---- for SQL ---- */

static sl_str value(sqlite3_value *v)
{
    const char *p = sqlite3_value_blob(v);
    size_t n = (size_t)sqlite3_value_bytes(v);

    return (sl_str){ .ptr = p ? p : "", .len = p ? n : 0 };
}

static void on_has(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    sqlite3_result_int(ctx, reason_has(value(v[0]), value(v[1])));
}

static void on_fits(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    sqlite3_result_int(ctx, reason_fits(value(v[0]), value(v[1])));
}

int reason_register(sqlite3 *db)
{
    const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
    int rc = sqlite3_create_function(db, "reason_has", 2, flags, NULL, on_has, NULL, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_create_function(db, "reason_fits", 2, flags, NULL, on_fits, NULL, NULL);
    return rc == SQLITE_OK ? 0 : sql_code(db, rc);
}
