/*
 * fuzz_map_numbers.c - JSON on its way into jq, with jansson as the second opinion: what jansson
 * reads, the rewriting takes (but for its depth) and leaves as JSON in which nothing changed but
 * integers that became strings of their own digits; rewriting it again changes nothing.
 */
#include "fuzz.h"

#include <jansson.h>
#include <string.h>
#include "flow/map_numbers.h"

/* jansson takes a NUL behind the text for its end. */
static json_t *load(sl_str text, size_t flags)
{
    if (memchr(text.ptr, '\0', text.len))
        return NULL;
    return json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL | flags, NULL);
}

static bool is_digits_of(const json_t *text, json_int_t n)
{
    char digits[24];

    snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT, n);
    return json_string_length(text) == strlen(digits) &&
           strcmp(json_string_value(text), digits) == 0;
}

static bool same(json_t *before, json_t *after)
{
    const char *key;
    json_t *value;
    size_t i;

    if (json_is_integer(before) && json_is_string(after))
        return is_digits_of(after, json_integer_value(before));
    if (json_typeof(before) != json_typeof(after))
        return false;
    if (json_is_array(before)) {
        json_array_foreach(before, i,
                           value) if (!same(value, json_array_get(after, i))) return false;
        return json_array_size(before) == json_array_size(after);
    }
    if (json_is_object(before)) {
        json_object_foreach(before, key,
                            value) if (!json_object_get(after, key) ||
                                       !same(value, json_object_get(after, key))) return false;
        return json_object_size(before) == json_object_size(after);
    }
    return json_equal(before, after);
}

static void check_rewritten(sl_str text, const struct buf *out)
{
    json_t *valid = load(text, JSON_DECODE_INT_AS_REAL), *before = load(text, 0), *after;
    struct buf twice = { 0 };

    if (valid) {
        after = load(buf_view(out), JSON_DECODE_INT_AS_REAL);
        PROMISE(after, "no longer JSON: " STR_FMT, STR_ARG(buf_view(out)));
        json_decref(after);
    }
    if (before) {
        after = load(buf_view(out), 0);
        PROMISE(after && same(before, after), "changed: " STR_FMT, STR_ARG(buf_view(out)));
        json_decref(after);
    }
    PROMISE(map_numbers(buf_view(out), &twice, NULL) == 0 &&
                str_eq(buf_view(out), buf_view(&twice)),
            "not settled: " STR_FMT, STR_ARG(buf_view(out)));
    buf_finish(&twice);
    json_decref(before);
    json_decref(valid);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sl_str text = size > 0 ? whole(data, size) : STR("");
    struct buf out = { 0 };
    struct fail fail = { 0 };
    json_t *valid;

    if (map_numbers(text, &out, &fail) == 0) {
        check_rewritten(text, &out);
    } else {
        PROMISE(fail.code < 0 && fail.text[0], "no reason");
        valid = load(text, JSON_DECODE_INT_AS_REAL);
        PROMISE(!valid || strstr(fail.text, "deeper"), "refused JSON: %s", fail.text);
        json_decref(valid);
    }
    buf_finish(&out);
    return 0;
}
