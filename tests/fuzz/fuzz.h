/*
 * fuzz.h - what every target shares: the promise it checks, and bytes taken from the input.
 *
 * A target checks more than "does not crash": what it promises stands at the top of its file.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sluice/types.h>

/** libFuzzer's entry: `data` is exactly `size` bytes, so ASan sees a read past them. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/** Called once before the first input, where a target has it. Returns 0. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

/** A promise, kept in every build: a broken one ends the run, and libFuzzer keeps the input. */
#define PROMISE(condition, ...)                                                     \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: broken: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                           \
            fputc('\n', stderr);                                                    \
            abort();                                                                \
        }                                                                           \
    } while (0)

/** What is left of an input. */
struct input {
    const uint8_t *p, *end;
};

/** The next byte; 0 when there is none. */
static inline uint8_t take_u8(struct input *in)
{
    return in->p < in->end ? *in->p++ : 0;
}

/** All that is left. */
static inline sl_str rest(const struct input *in)
{
    return (sl_str){ .ptr = (const char *)in->p, .len = (size_t)(in->end - in->p) };
}

/** All the input as a view. */
static inline sl_str whole(const uint8_t *data, size_t size)
{
    return (sl_str){ .ptr = (const char *)data, .len = size };
}

/** Does the view lie within these bytes? An empty one does anywhere. */
static inline int within(sl_str view, sl_str bytes)
{
    return view.len == 0 || (view.ptr >= bytes.ptr && view.ptr + view.len <= bytes.ptr + bytes.len);
}
