/*
 * turns.c - the work that grows with the batch, in pieces that keep well below the 5 ms a callback
 * may take.
 */
#include "job.h"

#include <string.h>

#include "org/describe.h"
#include "rows/outcome.h"

#define TURN_ROWS  200
#define TURN_BYTES 131072
#define MAX_CSV    100000000 /* bytes of an upload, Salesforce's limit before its base64 */
#define NO_MEMORY  "out of memory"

/* What one turn may still do. */
struct budget {
    size_t rows, bytes;
};

static bool spend(struct budget *b, size_t bytes)
{
    if (b->rows == 0 || b->bytes == 0)
        return false;
    b->rows--;
    b->bytes -= bytes < b->bytes ? bytes : b->bytes;
    return true;
}

static sl_str request_of(const struct job *j, size_t index)
{
    return j->batch->records[index].request;
}

static void tell(struct job *j, size_t index, uint32_t kind, uint32_t not_sent, const char *why)
{
    job_tell(
        j, index,
        &(sl_outcome){
            .size = sizeof(sl_outcome), .kind = kind, .not_sent = not_sent, .why = str_of(why) });
}

/* ---- SCANNING ------------------------------------------------------------------------------ */

static void scan_record(struct job *j, size_t i)
{
    size_t at = j->keys.text.len;
    sl_status r;

    if ((r = row_scan(&j->row, request_of(j, i), j->why, sizeof(j->why))) == SL_OK &&
        (r = operation_check(j->action, &j->row, j->why, sizeof(j->why))) == SL_OK &&
        (r = csv_check(&j->row, j->why, sizeof(j->why))) == SL_OK &&
        (r = describe_check(j->sf, j->action, &j->row, j->why, sizeof(j->why))) == SL_OK &&
        (r = key_of(&j->row, j->action->external_id, &j->keys.text, j->why, sizeof(j->why))) ==
            SL_OK)
        r = columns_take(&j->columns, &j->row, ++j->serial, j->why, sizeof(j->why));
    if (r == SL_OK)
        r = keys_add(&j->keys, at, (uint32_t)i);
    if (r == SL_OK)
        return;
    if (j->keys.text.len > at)
        j->keys.text.len = at;
    if (r == SL_E_INVALID || (r == SL_E_LIMIT && j->columns.n <= 1))
        tell(j, i, SL_REJECTED, 0, j->why);
    else /* a batch with fewer different fields takes it */
        tell(j, i, SL_RETRY, 1, r == SL_E_LIMIT ? j->why : NO_MEMORY);
}

/* Two rows of one key in a job would both be refused. The host keeps them apart by row_key(). */
static void refuse_repeated(struct job *j)
{
    keys_sort(&j->keys);
    for (size_t i = 1; i < j->keys.n; i++)
        if (keys_repeats(&j->keys, i))
            tell(j, j->keys.items[i].record, SL_RETRY, 1,
                 "another record of the same external id goes first");
}

bool turn_scan(struct job *j)
{
    struct budget b = { TURN_ROWS, TURN_BYTES };

    for (; j->at < j->batch->n_records; j->at++) {
        if (!spend(&b, request_of(j, j->at).len))
            return false;
        scan_record(j, j->at);
    }
    if (b.rows < TURN_ROWS && j->keys.n > TURN_ROWS)
        return false; /* sorting 10,000 keys takes 2.5 ms: a turn of its own */
    refuse_repeated(j);
    return true;
}

/* ---- WRITING ------------------------------------------------------------------------------- */

bool turn_write(struct job *j)
{
    struct budget b = { TURN_ROWS, TURN_BYTES };
    size_t before;

    if (j->at == 0)
        csv_header(&j->csv, &j->columns);
    for (; j->at < j->batch->n_records; j->at++) {
        if (!spend(&b, request_of(j, j->at).len))
            return false;
        if (j->told[j->at] & RECORD_TOLD)
            continue;
        before = j->csv.len;
        if (row_scan(&j->row, request_of(j, j->at), j->why, sizeof(j->why)) < 0)
            j->csv.failed = true; /* it was fine before: no memory */
        else
            csv_row(&j->csv, &j->columns, &j->row, ++j->serial, &j->value);
        if (!j->csv.failed && j->csv.len <= MAX_CSV)
            continue;
        j->csv.len = before;
        tell(j, j->at, SL_RETRY, 1,
             j->csv.failed ? NO_MEMORY : "the upload reached Salesforce's limit of 100 MB");
        j->csv.failed = false;
    }
    return true;
}

/* ---- JOINING ------------------------------------------------------------------------------- */

void job_tell_delivered(struct job *j, size_t index, sl_str id)
{
    struct outcome told;

    outcome_delivered(&told, j->action, id);
    job_tell(j, index, &told.o);
}

static void tell_refused(struct job *j, size_t index, sl_str sf_id, sl_str error)
{
    struct row_about about = { j->action->object, j->action->external_id };
    struct row_refusal refusal;
    struct row_verdict v;
    struct outcome told;
    sl_str id;

    if (operation_was_done(j->action, error, &id)) {
        job_tell_delivered(j, index, id.len > 0 ? id : sf_id);
        return;
    }
    row_refusal_parse(error, &refusal);
    row_refusal_judge(&refusal, &about, &v);
    if (v.fields)
        describe_doubt(j->sf, j->action->object);
    outcome_refused(&told, &v);
    job_tell(j, index, &told.o);
    row_verdict_finish(&v);
}

bool turn_join(struct job *j, bool *ret_torn)
{
    struct budget b = { TURN_ROWS, TURN_BYTES };
    struct result row;
    uint32_t index;
    int got;

    while (spend(&b, 0)) {
        const char *from = j->results.csv.p;

        got = results_next(&j->results, &row);
        if (got <= 0) {
            *ret_torn = got < 0;
            return true;
        }
        j->in_file[j->file]++;
        b.bytes -= (size_t)(j->results.csv.p - from) < b.bytes ? (size_t)(j->results.csv.p - from)
                                                               : b.bytes;
        if (keys_find(&j->keys, row.key, &index) < 0 || (j->told[index] & RECORD_TOLD))
            continue;
        if (j->file == RESULT_SUCCESSFUL)
            job_tell_delivered(j, index, row.id);
        else if (j->file == RESULT_FAILED)
            tell_refused(j, index, row.id, row.error);
        else
            j->told[index] |= RECORD_UNPROCESSED;
    }
    return false;
}

/* ---- SETTLING ------------------------------------------------------------------------------ */

/* Is it a parent by this relationship, be it called "Who" or "Lead:Who"? */
static bool is_parent_by(const struct cell *c, sl_str relationship)
{
    const char *colon = memchr(c->name.ptr, ':', c->name.len);
    sl_str name = c->name;

    if (colon)
        name = (sl_str){ colon + 1, (size_t)(name.ptr + name.len - colon - 1) };
    return c->sub.len > 0 && str_same_nocase(name, relationship);
}

/* "Account.Ext__c" as a cell has it, or "Account" alone */
static bool record_has(struct job *j, size_t index, sl_str field)
{
    const char *dot = field.len > 0 ? memchr(field.ptr, '.', field.len) : NULL;
    sl_str name = field, sub = { 0 };

    if (dot) {
        name.len = (size_t)(dot - field.ptr);
        sub = (sl_str){ dot + 1, field.len - name.len - 1 };
    }
    if (row_scan(&j->row, request_of(j, index), j->why, sizeof(j->why)) < 0)
        return false;
    for (size_t i = 0; i < j->row.n; i++)
        if ((str_same_nocase(j->row.cells[i].name, name) &&
             str_same_nocase(j->row.cells[i].sub, sub)) ||
            (!dot && is_parent_by(&j->row.cells[i], name)))
            return true;
    return false;
}

bool turn_find_field(struct job *j)
{
    struct budget b = { TURN_ROWS, TURN_BYTES };
    sl_str field = { 0 };

    if (j->failed && errors_job_is_permanent(j->failure))
        field = errors_job_field(j->failure);
    j->nobody_has_it = true;
    for (; field.len > 0 && j->at < j->batch->n_records; j->at++) {
        if (!spend(&b, request_of(j, j->at).len))
            return false;
        if (!(j->told[j->at] & RECORD_TOLD) && record_has(j, j->at, field)) {
            j->nobody_has_it = false;
            return true;
        }
    }
    return true;
}

/* A failed job whose rows would fail again. One record with an unknown field fails the whole job:
 * the innocent go again without it. */
static void tell_failed_for_good(struct job *j, size_t index)
{
    sl_str field = errors_job_field(j->failure);
    char why[700];

    if (field.len > 0 && !j->nobody_has_it && !record_has(j, index, field)) {
        say(why, sizeof(why), "another record of job %s has the unknown field %.*s", j->id,
            (int)field.len, field.ptr);
        tell(j, index, SL_RETRY, 0, why);
        return;
    }
    if (field.len > 0)
        describe_doubt(j->sf, j->action->object);
    say(why, sizeof(why), "Salesforce refuses the whole job %s: %s%s", j->id, j->failure,
        field.len == 0 ? ""
                       : "; correct the name in the route's map, or give the integration user "
                         "access to the field");
    tell(j, index, SL_REJECTED, 0, why);
}

/* What is known of a record without a result, and whether it is certain that it was not done. */
static bool evidence(const struct job *j, size_t index, char *why, size_t size)
{
    uint8_t told = j->told[index];

    if (job_never_ran(j)) {
        say(why, size, "job %s failed before its first row: %s", j->id, j->failure);
        return true;
    }
    if (told & RECORD_UNPROCESSED) {
        say(why, size, "Salesforce did not process it in job %s%s%s", j->id, j->failed ? ": " : "",
            j->failed ? j->failure : "");
        return true;
    }
    say(why, size, "in no result file of job %s (the org's daily batches may be used up)%s%s%s",
        j->id, j->failed ? ", which failed: " : "", j->failed ? j->failure : "",
        told & RECORD_ABSENT   ? "; looked up: it was not done"
        : told & RECORD_LOOKED ? "; looked up: it cannot be told whether it was done"
                               : "");
    return told & RECORD_ABSENT;
}

static void tell_by_job(struct job *j, size_t index)
{
    char why[900];
    bool not_done;

    if (j->failed && errors_job_is_permanent(j->failure)) {
        tell_failed_for_good(j, index);
        return;
    }
    not_done = evidence(j, index, why, sizeof(why));
    tell(j, index, SL_RETRY, not_done, why);
}

bool turn_settle(struct job *j)
{
    struct budget b = { TURN_ROWS, TURN_BYTES };
    sl_outcome all = { .size = sizeof(all),
                       .kind = j->ending.kind,
                       .after_ms = j->ending.after_ms,
                       .status = j->ending.status,
                       .not_sent = j->ending.not_sent,
                       .why = str_of(j->ending.why) };

    for (; j->at < j->batch->n_records; j->at++) {
        if (j->told[j->at] & RECORD_TOLD)
            continue;
        if (!spend(&b, j->ending.by_job ? request_of(j, j->at).len : 0))
            return false;
        if (j->ending.by_job)
            tell_by_job(j, j->at);
        else
            job_tell(j, j->at, &all);
    }
    return true;
}
