/*
 * fuzz_map_guard.c - jq programs before a mapping worker sees them. An accepted program stays
 * accepted with white space around it, and is refused once it also calls what is forbidden.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "flow/map_guard.h"

static int with(const char *before, sl_str program, const char *after)
{
    struct buf b = { 0 };
    int r;

    buf_cstr(&b, before);
    buf_str(&b, program);
    buf_cstr(&b, after);
    r = map_guard(buf_view(&b), NULL);
    buf_finish(&b);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sl_str program = whole(data, size);
    struct fail fail = { 0 };

    if (map_guard(program, &fail) < 0) {
        PROMISE(fail.code < 0 && fail.text[0], "no reason");
        return 0;
    }
    PROMISE(with(" \n", program, "") == 0, "a blank before it");
    PROMISE(with("env | ", program, "") < 0, "env before it");
    PROMISE(with("\"\\(input)\" | ", program, "") < 0, "input inside a string before it");
    return 0;
}
