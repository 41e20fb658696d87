/*
 * rest_answer.c - reading a remote's answers, and what is said of them.
 */
#include "rest.h"

#include <string.h>

int status_means_account(uint32_t status)
{
    return status == 401 || status == 402 || status == 403 || status == 423 || status == 430;
}

json_t *answer_parse(const sl_http_answer *a)
{
    return a->body.len > 0 ? json_loadb(a->body.ptr, a->body.len,
                                        JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL)
                           : NULL;
}

/* One step of a pointer: "~1" is '/', "~0" is '~'. */
static json_t *step(json_t *at, const char *token, size_t len)
{
    char name[256];
    size_t n = 0, index = 0;

    if (len >= sizeof(name))
        return NULL;
    for (size_t i = 0; i < len; i++) {
        if (token[i] == '~' && i + 1 < len)
            name[n++] = token[++i] == '1' ? '/' : '~';
        else
            name[n++] = token[i];
    }
    if (!json_is_array(at))
        return json_object_getn(at, name, n);
    if (n == 0 || n > 9 || (n > 1 && name[0] == '0'))
        return NULL;
    for (size_t i = 0; i < n; i++) {
        if (name[i] < '0' || name[i] > '9')
            return NULL;
        index = index * 10 + (size_t)(name[i] - '0');
    }
    return json_array_get(at, index);
}

json_t *answer_at(json_t *root, sl_str pointer)
{
    const char *p = pointer.ptr, *end = pointer.ptr + pointer.len;

    while (root && p < end) {
        const char *token = p + 1; /* past the '/' */
        const char *slash = memchr(token, '/', (size_t)(end - token));

        p = slash ? slash : end;
        root = step(root, token, (size_t)(p - token));
    }
    return root;
}

int answer_reference(const json_t *value, char ret[REFERENCE_SIZE])
{
    const char *s = json_string_value(value);
    size_t len = json_string_length(value);

    if (json_is_integer(value)) {
        snprintf(ret, REFERENCE_SIZE, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return 1;
    }
    if (!s || len == 0 || len >= REFERENCE_SIZE || strlen(s) != len)
        return 0;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] < ' ')
            return 0;
    memcpy(ret, s, len + 1);
    return 1;
}

void answer_why(const sl_http_answer *a, const char *text, const json_t *reason, char ret[WHY_SIZE])
{
    const char *more = json_string_value(reason);
    int n;

    if (a->error < 0)
        n = snprintf(ret, WHY_SIZE, "%s%s%.*s", text, *text ? ": " : "",
                     (int)(a->why.len < WHY_SIZE ? a->why.len : WHY_SIZE), a->why.ptr);
    else
        n = snprintf(ret, WHY_SIZE, "HTTP %u%s%s%s%s", a->status, *text ? ", " : "", text,
                     more ? ": " : "", more ? more : "");
    if (n >= WHY_SIZE) { /* cut: not in the middle of a character */
        n = WHY_SIZE - 1;
        while (n > 0 && ((unsigned char)ret[n - 1] & 0xC0) == 0x80)
            n--;
        if (n > 0 && (unsigned char)ret[n - 1] >= 0xC0)
            n--;
        ret[n] = '\0';
    }
    for (char *p = ret; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
}

int64_t answer_wait(const sl_http_answer *a)
{
    return a->retry_after_ms > 0 ? a->retry_after_ms : 0;
}
