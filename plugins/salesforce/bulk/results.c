/*
 * results.c - result files: which columns count, which rows there are.
 *
 * Rows come in any order and their values are echoed as Salesforce understood them, so only the
 * external id column joins them with what was sent.
 */
#include "results.h"

#include <stdlib.h>
#include <string.h>

#define NONE SIZE_MAX

const char *const result_paths[RESULT__COUNT] = {
    "successfulResults",
    "failedResults",
    "unprocessedrecords",
};

void results_finish(struct results *r)
{
    csv_finish(&r->csv);
    free(r->text);
    *r = (struct results){ 0 };
}

static size_t column_of(const struct results *r, const char *name)
{
    for (size_t i = 0; i < r->csv.n; i++)
        if (str_is_nocase(r->csv.fields[i], name))
            return i;
    return NONE;
}

static const char *read_header(struct results *r, const char *external_id)
{
    r->key = column_of(r, external_id);
    r->id = r->file == RESULT_UNPROCESSED ? NONE : column_of(r, "sf__Id");
    r->error = r->file == RESULT_FAILED ? column_of(r, "sf__Error") : NONE;
    if (r->key == NONE)
        return external_id;
    if (r->file != RESULT_UNPROCESSED && r->id == NONE)
        return "sf__Id";
    return r->file == RESULT_FAILED && r->error == NONE ? "sf__Error" : NULL;
}

sl_status results_open(struct results *r, enum result_file file, sl_str body,
                       const char *external_id, char *why, size_t why_size)
{
    const char *missing;
    int got;

    *r = (struct results){ .file = file };
    if (body.len == 0)
        return SL_OK;
    r->text = malloc(body.len);
    if (!r->text) {
        say(why, why_size, "out of memory");
        return SL_E_NO_MEMORY;
    }
    memcpy(r->text, body.ptr, body.len);
    csv_open(&r->csv, r->text, body.len);
    got = csv_next(&r->csv);
    if (got == 0)
        return SL_OK;
    missing = got > 0 ? read_header(r, external_id) : NULL;
    if (got < 0 || missing) {
        say(why, why_size, "%s %s%s", result_paths[file],
            missing ? "lacks the column " : "is not CSV", missing ? missing : "");
        results_finish(r);
        return SL_E_INVALID;
    }
    r->width = r->csv.n;
    r->open = true;
    return SL_OK;
}

static sl_str field(const struct results *r, size_t column)
{
    return column < r->csv.n ? r->csv.fields[column] : (sl_str){ 0 };
}

int results_next(struct results *r, struct result *ret)
{
    int got = r->open ? csv_next(&r->csv) : 0;

    if (got > 0 && r->csv.n < r->width)
        return SL_E_INVALID;
    if (got > 0)
        *ret = (struct result){ field(r, r->key), field(r, r->id), field(r, r->error) };
    return got;
}
