/*
 * fuzz_salesforce_row.c - a record's body, with jansson as the second opinion: what the scanner
 * takes is JSON, its texts are jansson's, and as CSV and as an sObject it is read back cell by
 * cell.
 */
#include "fuzz.h"

#include <jansson.h>
#include <string.h>
#include "rows/csv.h"
#include "rows/sobject.h"

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

/* As both ways write it: line breaks become LF. `clear`: how null and the empty text are said. */
static void expect(const struct cell *c, const char *clear, struct text *to)
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
        text_str(to, clear);
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
        expect(&row->cells[i], "#N/A", &want);
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

static void check_member(const struct cell *c, json_t *record)
{
    json_t *value = json_object_getn(record, c->name.ptr, c->name.len);
    struct text want = { 0 };

    if (c->sub.len > 0)
        return;
    expect(c, "", &want);
    if (want.len == 0)
        PROMISE(json_is_null(value), "not cleared");
    else if (c->kind == CELL_TEXT)
        PROMISE(json_string_length(value) == want.len &&
                    memcmp(json_string_value(value), want.ptr, want.len) == 0,
                "not \"%s\"", want.ptr);
    else
        PROMISE(json_is_boolean(value) || json_is_number(value), "%s", want.ptr);
    text_finish(&want);
}

static void check_sobject(const struct row *row)
{
    static char object[] = "Contact", key[] = "Ext__c";
    const struct action action = { .op = OP_UPSERT, .object = object, .external_id = key };
    struct columns columns = { 0 };
    struct text json = { 0 }, scratch = { 0 };
    char why[256] = "";
    json_error_t error;
    json_t *record;

    if (columns_take(&columns, row, 1, why, sizeof(why)) == SL_OK &&
        !sobject_is_twofold(row, why, sizeof(why))) {
        sobject_write(&json, &action, NULL, row, &scratch);
        PROMISE(!json.failed, "memory");
        record = json_loadb(json.ptr, json.len, 0, &error);
        PROMISE(record || json_error_code(&error) == json_error_numeric_overflow, "%s", error.text);
        for (size_t i = 0; record && i < row->n; i++)
            check_member(&row->cells[i], record);
        json_decref(record);
    }
    columns_finish(&columns);
    text_finish(&json);
    text_finish(&scratch);
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
    check_sobject(&row);
    return 0;
}
