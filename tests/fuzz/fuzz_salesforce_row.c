/*
 * fuzz_salesforce_row.c - a record's body, with jansson as the second opinion: what the scanner
 * takes is JSON, its texts are jansson's, and as CSV it is read back cell by cell.
 */
#include "fuzz.h"

#include <jansson.h>
#include <string.h>
#include "csv.h"

/* {"Account": {"Ext__c": ...}} or {"Account.Ext__c": ...}: there, name and sub are one key. */
static json_t *value_of(const struct cell *c, json_t *root)
{
    if (c->sub.len == 0)
        return json_object_getn(root, c->name.ptr, c->name.len);
    if (c->sub.ptr == c->name.ptr + c->name.len + 1)
        return json_object_getn(root, c->name.ptr, c->name.len + 1 + c->sub.len);
    return json_object_getn(json_object_getn(root, c->name.ptr, c->name.len), c->sub.ptr,
                            c->sub.len);
}

static void check_cell(const struct cell *c, const struct text *decoded, json_t *root)
{
    json_t *value = value_of(c, root);

    switch (c->kind) {
    case CELL_NULL:
        PROMISE(json_is_null(value), "null");
        break;
    case CELL_BOOL:
        PROMISE(json_is_boolean(value), "bool");
        break;
    case CELL_NUMBER:
        PROMISE(json_is_number(value), "number");
        break;
    case CELL_TEXT:
        PROMISE(json_is_string(value) && json_string_length(value) == decoded->len &&
                    memcmp(json_string_value(value), decoded->len ? decoded->ptr : "",
                           decoded->len) == 0,
                "text");
        break;
    }
}

static void check_json(const struct row *row, sl_str body)
{
    json_error_t error;
    json_t *root = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, &error);
    struct text decoded = { 0 };

    if (!root) { /* jansson has limits of its own */
        enum json_error_code code = json_error_code(&error);

        PROMISE(code == json_error_numeric_overflow || code == json_error_duplicate_key, "%s",
                error.text);
        return;
    }
    for (size_t i = 0; i < row->n; i++) {
        text_clear(&decoded);
        cell_decode(&row->cells[i], &decoded);
        check_cell(&row->cells[i], &decoded, root);
    }
    text_finish(&decoded);
    json_decref(root);
}

/* As csv_row() writes it; line breaks become LF. */
static void expect(const struct cell *c, struct text *to)
{
    struct text decoded = { 0 };

    text_clear(to);
    cell_decode(c, &decoded);
    for (size_t i = 0; i < decoded.len; i++) {
        if (decoded.ptr[i] != '\r')
            text_char(to, decoded.ptr[i]);
        else if (i + 1 == decoded.len || decoded.ptr[i + 1] != '\n')
            text_char(to, '\n');
    }
    if (c->kind == CELL_NULL || decoded.len == 0)
        text_str(to, "#N/A");
    text_finish(&decoded);
}

static void check_csv(const struct row *row)
{
    struct columns columns = { 0 };
    struct text csv = { 0 }, scratch = { 0 }, want = { 0 };
    struct csv_reader r = { 0 };
    char why[256] = "";
    size_t at;

    if (columns_take(&columns, row, 1, why, sizeof(why)) != SL_OK) {
        PROMISE(why[0], "no reason");
        goto out;
    }
    csv_header(&csv, &columns);
    csv_row(&csv, &columns, row, 1, &scratch);
    PROMISE(!csv.failed, "memory");
    csv_open(&r, csv.ptr, csv.len);
    PROMISE(csv_next(&r) == 1 && r.n == row->n, "header");
    PROMISE(csv_next(&r) == 1 && r.n == row->n, "row");
    for (size_t i = 0; i < row->n; i++) {
        PROMISE(columns_find(&columns, row->cells[i].name, row->cells[i].sub, &at) == SL_OK, "it");
        expect(&row->cells[i], &want);
        PROMISE(r.fields[at].len == want.len && memcmp(r.fields[at].ptr, want.ptr, want.len) == 0,
                "cell %zu is not \"%s\"", i, want.ptr);
    }
    PROMISE(csv_next(&r) == 0, "a second row");
    csv_finish(&r);
out:
    columns_finish(&columns);
    text_finish(&csv);
    text_finish(&scratch);
    text_finish(&want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct row row; /* reused from body to body, as a batch does */
    sl_str body = whole(data, size);
    char why[256] = "";

    if (row_scan(&row, body, why, sizeof(why)) != SL_OK) {
        PROMISE(why[0], "no reason");
        return 0;
    }
    for (size_t i = 0; i < row.n; i++)
        PROMISE(within(row.cells[i].raw, body) && within(row.cells[i].name, body), "cell %zu", i);
    check_json(&row, body);
    if (row.n > 0)
        check_csv(&row);
    return 0;
}
