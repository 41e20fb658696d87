/*
 * map_numbers.c - one pass over JSON text, no tree.
 */
#include "flow/map_numbers.h"

#include "flow/mapper.h"

/* Bit 0 of `objects` and `ids` stands for the innermost container; a push shifts left. */
struct scan {
    const char *start, *p, *end;
    const char *copied; /* all before it is in `out` already */
    struct buf *out;
    uint64_t objects; /* 1: an object, 0: an array */
    uint64_t ids;     /* 1: an array whose integers are ids */
    unsigned depth;
    bool id;         /* the value that comes next is an id */
    const char *why; /* set: the scan failed at p */
};

static bool refuse(struct scan *s, const char *why)
{
    s->why = why;
    return false;
}

static void skip_space(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
        s->p++;
}

static bool at(const struct scan *s, char c)
{
    return s->p < s->end && *s->p == c;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ---- strings and keys ---- */

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* p stands behind a backslash. The character it means, 0 for one that is not ASCII or a control,
 * -1 when this is no escape; *n is its length. */
static int escape_value(const char *p, const char *end, size_t *n)
{
    int v = 0, digit;

    *n = 1;
    if (p == end)
        return -1;
    if (*p == '"' || *p == '\\' || *p == '/')
        return *p;
    if (*p != 'u')
        return strchr("bfnrt", *p) && *p ? 0 : -1;
    if (end - p < 5)
        return -1;
    *n = 5;
    for (int i = 1; i <= 4; i++) {
        if ((digit = hex_value(p[i])) < 0)
            return -1;
        v = v * 16 + digit;
    }
    return v < 0x80 ? v : 0;
}

/* p stands at the opening quote; afterwards behind the closing one. */
static bool scan_string(struct scan *s)
{
    const char *p = s->p + 1;
    size_t n;

    for (;;) {
        while (p < s->end && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\')
            p++;
        s->p = p;
        if (p == s->end)
            return refuse(s, "the text ends inside a string");
        if (*p == '"') {
            s->p++;
            return true;
        }
        if (*p != '\\')
            return refuse(s, "a control character inside a string");
        if (escape_value(p + 1, s->end, &n) < 0)
            return refuse(s, "an escape that JSON does not have");
        p += 1 + n;
    }
}

/* "id", "*_id", "*_ids": the last four characters decide. The key is spelt with escapes at the
 * sender's will, so it is compared as it reads. @param key between its quotes, already checked */
static bool key_is_id(const char *key, const char *end)
{
    char tail[4] = { 0 };
    size_t count = 0, n;

    if (!memchr(key, '\\', (size_t)(end - key)) && end - key > 4)
        key = end - 4, count = 1; /* more stands before; only the tail matters */
    while (key < end) {
        int c = (unsigned char)*key++;

        if (c == '\\') {
            c = escape_value(key, end, &n);
            key += n;
        }
        memmove(tail, tail + 1, 3);
        tail[3] = (char)c;
        count++;
    }
    if (count == 2)
        return tail[2] == 'i' && tail[3] == 'd';
    return (tail[1] == '_' && tail[2] == 'i' && tail[3] == 'd') || memcmp(tail, "_ids", 4) == 0;
}

static bool scan_key(struct scan *s)
{
    const char *key;

    skip_space(s);
    if (!at(s, '"'))
        return refuse(s, "a member's name in quotes is missing");
    key = s->p + 1;
    if (!scan_string(s))
        return false;
    s->id = key_is_id(key, s->p - 1);
    skip_space(s);
    if (!at(s, ':'))
        return refuse(s, "':' is missing after a member's name");
    s->p++;
    return true;
}

/* ---- numbers ---- */

/* @param digits without sign, no leading zero */
static bool beyond_double(const char *digits, size_t n)
{
    static const char limit[] = "9007199254740992"; /* 2^53 */

    return n > 16 || (n == 16 && memcmp(digits, limit, 16) > 0);
}

static void quote_number(struct scan *s, const char *number)
{
    buf_append(s->out, s->copied, (size_t)(number - s->copied));
    buf_char(s->out, '"');
    buf_append(s->out, number, (size_t)(s->p - number));
    buf_char(s->out, '"');
    s->copied = s->p;
}

static bool scan_digits(struct scan *s)
{
    if (s->p == s->end || !is_digit(*s->p))
        return refuse(s, "a digit is missing in a number");
    while (s->p < s->end && is_digit(*s->p))
        s->p++;
    return true;
}

static bool scan_number(struct scan *s)
{
    const char *number = s->p, *digits;
    bool whole = true;

    if (*s->p == '-')
        s->p++;
    digits = s->p;
    if (at(s, '0'))
        s->p++; /* no digit may follow: the caller finds it where ',' should be */
    else if (!scan_digits(s))
        return false;
    size_t n = (size_t)(s->p - digits);
    if (at(s, '.')) {
        whole = false;
        s->p++;
        if (!scan_digits(s))
            return false;
    }
    if (at(s, 'e') || at(s, 'E')) {
        whole = false;
        s->p++;
        if (at(s, '+') || at(s, '-'))
            s->p++;
        if (!scan_digits(s))
            return false;
    }
    if (whole && !(*digits == '0' && digits != number) && (s->id || beyond_double(digits, n)))
        quote_number(s, number);
    return true;
}

/* ---- values ---- */

static bool scan_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return refuse(s, "not a JSON value");
    s->p += n;
    return true;
}

static bool scan_scalar(struct scan *s)
{
    switch (*s->p) {
    case '"':
        return scan_string(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    default:
        if (*s->p == '-' || is_digit(*s->p))
            return scan_number(s);
        return refuse(s, "not a JSON value");
    }
}

static bool push(struct scan *s, bool object)
{
    if (s->depth == MAP_DEPTH_MAX)
        return refuse(s, "arrays and objects deeper than 64");
    s->depth++;
    s->objects = s->objects << 1 | object;
    s->ids = s->ids << 1 | (!object && s->id);
    s->p++;
    return true;
}

static void pop(struct scan *s)
{
    s->depth--;
    s->objects >>= 1;
    s->ids >>= 1;
    s->p++;
}

/* Behind a value: close what closes, up to the next ',' (then *more, and p at the next value) or
 * the end of the outermost container. */
static bool scan_after(struct scan *s, bool *more)
{
    *more = false;
    while (s->depth > 0) {
        bool object = s->objects & 1;

        skip_space(s);
        if (at(s, object ? '}' : ']')) {
            pop(s);
            continue;
        }
        if (!at(s, ','))
            return refuse(s, s->p == s->end ? "the text ends too early"
                             : object       ? "',' or '}' is missing"
                                            : "',' or ']' is missing");
        s->p++;
        *more = true;
        if (object)
            return scan_key(s);
        s->id = s->ids & 1;
        return true;
    }
    return true;
}

static bool scan_text(struct scan *s)
{
    bool more = true;

    while (more) {
        skip_space(s);
        if (s->p == s->end)
            return refuse(s, s->depth ? "the text ends too early" : "the text is empty");
        if (*s->p == '{' || *s->p == '[') {
            bool object = *s->p == '{';

            if (!push(s, object))
                return false;
            skip_space(s);
            if (!at(s, object ? '}' : ']')) {
                if (object && !scan_key(s))
                    return false;
                if (!object)
                    s->id = s->ids & 1;
                continue;
            }
            pop(s);
        } else if (!scan_scalar(s)) {
            return false;
        }
        if (!scan_after(s, &more))
            return false;
    }
    skip_space(s);
    return s->p == s->end || refuse(s, "something follows the JSON text");
}

int map_numbers(sl_str json, struct buf *out, struct fail *fail)
{
    struct scan s = {
        .start = json.ptr, .p = json.ptr, .copied = json.ptr, .end = json.ptr + json.len, .out = out
    };

    if (json.len == 0)
        return fail_set(fail, MAP_E_INPUT, "the input is empty");
    if (!scan_text(&s))
        return fail_set(fail, MAP_E_INPUT, "byte %zu: %s", (size_t)(s.p - s.start), s.why);
    buf_append(out, s.copied, (size_t)(s.end - s.copied));
    return out->failed ? UV_ENOMEM : 0;
}
