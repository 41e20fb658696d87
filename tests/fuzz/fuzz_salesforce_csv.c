/*
 * fuzz_salesforce_csv.c - a Bulk API result file: fields lie within the text, and a row written
 * again is read as the same fields.
 */
#include "fuzz.h"

#include <string.h>
#include "rows/csv.h"

static void write_row(struct text *to, const struct csv_reader *r)
{
    for (size_t i = 0; i < r->n; i++) {
        if (i > 0)
            text_char(to, ',');
        csv_value(to, r->fields[i]);
    }
    text_char(to, '\n');
}

/* A row of one empty field is a blank line, and those are skipped. */
static int is_blank(const struct csv_reader *r)
{
    return r->n == 1 && r->fields[0].len == 0;
}

/* csv_value() makes line breaks LF; after one turn nothing may change any more. The line before the
 * row keeps a byte-order mark in its first field from being the text's. */
static void check_turns(const struct csv_reader *row)
{
    struct text first = { 0 }, copy = { 0 }, second = { 0 };
    struct csv_reader again;

    text_str(&first, "Id\n");
    write_row(&first, row);
    text_add(&copy, first.ptr, first.len);
    csv_open(&again, copy.ptr, copy.len);
    PROMISE(csv_next(&again) == 1 && again.n == 1, "%s", first.ptr);
    PROMISE(csv_next(&again) == 1 && again.n == row->n, "%s", first.ptr);
    text_str(&second, "Id\n");
    write_row(&second, &again);
    PROMISE(second.len == first.len && memcmp(second.ptr, first.ptr, first.len) == 0, "%s",
            first.ptr);
    PROMISE(csv_next(&again) == 0, "more than one row: %s", first.ptr);
    csv_finish(&again);
    text_finish(&first);
    text_finish(&copy);
    text_finish(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + !size);
    struct csv_reader r;
    int got;

    if (size > 0)
        memcpy(text, data, size);
    csv_open(&r, text, size);
    while ((got = csv_next(&r)) == 1) {
        PROMISE(r.n > 0, "a row without a field");
        for (size_t i = 0; i < r.n; i++)
            PROMISE(within(r.fields[i], (sl_str){ text, size }), "field %zu", i);
        if (!is_blank(&r))
            check_turns(&r);
    }
    PROMISE(got == 0 || got == SL_E_INVALID, "%d", got);
    csv_finish(&r);
    free(text);
    return 0;
}
