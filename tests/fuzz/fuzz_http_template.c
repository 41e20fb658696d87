/*
 * fuzz_http_template.c - a path or a header with values of a body that a sender wrote.
 *
 * Input: a byte that chooses the kind, the template up to a NUL, the body. What is checked and
 * written stays what it is to be: a path has only characters of a path and no segment that climbs,
 * a header no control character; and what is written twice is the same.
 */
#include "fuzz.h"

#include <string.h>
#include "http.h"

static void path_is_one(const char *s, size_t n, sl_str text)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];

        PROMISE(c > ' ' && c < 0x7f && !strchr("\"#<>\\^`{|}", c), "byte 0x%02x of %.*s", c, (int)n,
                s);
    }
    if (memmem(text.ptr, text.len, "..", 2) || memmem(text.ptr, text.len, "/.", 2))
        return; /* the configuration says so itself */
    PROMISE(!memmem(s, n, "/../", 4) && !memmem(s, n, "/./", 3), "%.*s", (int)n, s);
}

static void header_is_one(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        PROMISE((unsigned char)s[i] >= ' ' && s[i] != 0x7f, "byte 0x%02x", (unsigned char)s[i]);
}

static sl_status write_once(sl_str text, int kind, const sl_record *r, char **ret, size_t *ret_len)
{
    struct fields f = { .record = r };
    char why[WHY_SIZE] = "";
    FILE *out = open_memstream(ret, ret_len);
    sl_status status = template_write(out, text, kind, &f, why);

    fclose(out);
    json_decref(f.body);
    PROMISE(status != SL_E_INVALID || why[0], "no reason");
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, data + size };
    int kind = take_u8(&in) % 2 ? TEMPLATE_PATH : TEMPLATE_HEADER;
    sl_str all = rest(&in), text = { all.ptr, strnlen(all.ptr, all.len) };
    size_t after = text.len + (text.len < all.len);
    sl_record r = { .size = sizeof(r),
                    .key = { "k-1", 3 },
                    .subject = { "order:acme/1", 12 },
                    .piece = { "Byron Gears", 11 },
                    .topic = { "orders/paid", 11 },
                    .body = { all.ptr + after, all.len - after } };
    sl_fail fail = { .size = sizeof(fail) };
    char *one = NULL, *two = NULL;
    size_t n = 0, m = 0;

    if (template_check("path", text, kind, &fail) < 0) {
        PROMISE(fail.text[0], "no reason");
        return 0;
    }
    if (write_once(text, kind, &r, &one, &n) == SL_OK) {
        if (kind == TEMPLATE_PATH)
            path_is_one(one, n, text);
        else
            header_is_one(one, n);
        PROMISE(write_once(text, kind, &r, &two, &m) == SL_OK && m == n && !memcmp(one, two, n),
                "twice");
    }
    free(one);
    free(two);
    return 0;
}
