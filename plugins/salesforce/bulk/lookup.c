/*
 * lookup.c - records of which no result file knows: are they written all the same?
 *
 * GET /query with the keys of the open records, some hundred at a time. What is found decides by
 * what the operation wants: a record with the key of an insert is there; one with the Id of a
 * delete is not deleted; and what an upsert or an update names was written by this job if our user
 * wrote it last, later than the job was made. Times have whole seconds, so what was written in the
 * very second of the job's creation proves nothing: that record goes again, which does no harm.
 */
#include "job.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "org/when.h"

#define TURN_ROWS  200
#define TURN_BYTES 131072
#define CHUNK_KEYS 200
#define MAX_PATH   8000 /* of 16,384 bytes of URI and headers together */

static bool by_id(const struct job *j)
{
    return str_is_nocase(str_of(j->action->external_id), "Id");
}

/* ---- GATHERING: the next chunk's keys ------------------------------------------------------ */

static void add_encoded(struct text *to, sl_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i], lower = ascii_lower(c);

        if ((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-')
            text_char(to, c);
        else
            text_printf(to, "%%%02X", (unsigned)(uint8_t)c);
    }
}

/* As a literal of SOQL: numbers bare, text in quotes with its escapes. */
static void add_literal(struct text *to, const struct cell *cell, struct text *scratch)
{
    bool quoted = cell->kind == CELL_TEXT;

    text_clear(scratch);
    cell_decode(cell, scratch);
    if (quoted)
        text_str(to, "%27");
    for (size_t i = 0; i < scratch->len; i++) {
        char c = scratch->ptr[i];

        if (c == '\\' || c == '\'')
            text_str(to, "%5C");
        if (c == '\n' || c == '\r')
            text_str(to, c == '\n' ? "%5Cn" : "%5Cr");
        else
            add_encoded(to, (sl_str){ &c, 1 });
    }
    if (quoted)
        text_str(to, "%27");
    to->failed |= scratch->failed;
}

static void begin_chunk(struct job *j)
{
    struct text *path = &j->look.path;
    const char *key = j->action->external_id;

    text_clear(path);
    text_printf(path, "/services/data/v%.*s/query?q=SELECT+Id%s%s,SystemModstamp,LastModifiedById+",
                (int)j->sf->api_version.len, j->sf->api_version.ptr, by_id(j) ? "" : ",",
                by_id(j) ? "" : key);
    text_printf(path, "FROM+%s+WHERE+%s+IN+(", j->action->object, key);
    j->look.from = j->at;
    j->look.n = 0;
}

static const struct cell *key_cell(const struct job *j)
{
    for (size_t i = 0; i < j->row.n; i++)
        if (j->row.cells[i].sub.len == 0 &&
            str_is_nocase(j->row.cells[i].name, j->action->external_id))
            return &j->row.cells[i];
    return NULL;
}

static void add_key(struct job *j, size_t index)
{
    const struct cell *cell;

    if (row_scan(&j->row, j->batch->records[index].request, j->why, sizeof(j->why)) < 0)
        return;
    cell = key_cell(j);
    if (!cell)
        return;
    if (j->look.n++ > 0)
        text_char(&j->look.path, ',');
    add_literal(&j->look.path, cell, &j->value);
    j->told[index] |= RECORD_ASKED;
}

static void send_chunk(struct job *j)
{
    text_char(&j->look.path, ')');
    if (j->look.path.failed) {
        look_end(j);
        return;
    }
    job_query(j, j->look.path.ptr);
}

void look_turn(struct job *j)
{
    size_t rows = TURN_ROWS, bytes = TURN_BYTES;

    if (j->look.n == 0)
        begin_chunk(j);
    for (; j->at < j->batch->n_records; j->at++) {
        size_t len = j->batch->records[j->at].request.len;

        if (j->look.n >= CHUNK_KEYS || j->look.path.len >= MAX_PATH)
            break;
        if (j->told[j->at] & (RECORD_TOLD | RECORD_UNPROCESSED | RECORD_LOOKED | RECORD_ASKED))
            continue;
        if (rows == 0 || bytes == 0) {
            job_later(j, 0);
            return;
        }
        rows--;
        bytes -= len < bytes ? len : bytes;
        add_key(j, j->at);
    }
    if (j->look.n > 0)
        send_chunk(j);
    else
        look_end(j);
}

/* ---- LOOKING ------------------------------------------------------------------------------- */

static const json_t *member(const json_t *record, const char *name)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)record, key, value)
    {
        if (str_is_nocase(str_of(key), name))
            return value;
    }
    return NULL;
}

static sl_str key_text(const json_t *value, char scratch[64])
{
    if (json_is_string(value))
        return str_of(json_string_value(value));
    if (json_is_integer(value))
        snprintf(scratch, 64, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(scratch, 64, "%.0f", json_real_value(value));
    else
        scratch[0] = '\0';
    return str_of(scratch);
}

enum trace { TRACE_OLDER, TRACE_OURS, TRACE_UNSURE };

/* Was it written since the job was made, and by us? */
static enum trace trace_of(const struct job *j, const json_t *record)
{
    const char *stamp = json_string_value(member(record, "SystemModstamp"));
    const char *by = json_string_value(member(record, "LastModifiedById"));
    const char *user = j->sf->session.user;
    int64_t written, born;

    if (!when_iso(str_of(stamp), &written) || !when_iso(str_of(j->born), &born))
        return TRACE_UNSURE;
    if (written < born)
        return TRACE_OLDER;
    if (written > born && by && strlen(by) >= 15 && strlen(user) >= 15 &&
        strncmp(by, user, 15) == 0)
        return TRACE_OURS;
    return TRACE_UNSURE;
}

static void judge(struct job *j, size_t index, const json_t *record)
{
    const char *id = json_string_value(member(record, "Id"));
    enum operation op = j->action->op;
    enum trace trace = op == OP_UPSERT || op == OP_UPDATE ? trace_of(j, record) : TRACE_UNSURE;

    j->told[index] |= RECORD_LOOKED;
    if (op == OP_INSERT || trace == TRACE_OURS)
        job_tell_delivered(j, index, str_of(id));
    else if (op == OP_DELETE || trace == TRACE_OLDER)
        j->told[index] |= RECORD_ABSENT;
}

static bool judge_found(struct job *j, const json_t *root)
{
    const json_t *records = json_object_get(root, "records"), *record;
    char scratch[64];
    uint32_t index;
    size_t i;

    if (!json_is_array(records) || !json_is_true(json_object_get(root, "done")))
        return false;
    json_array_foreach(records, i, record)
    {
        sl_str key = key_text(member(record, j->action->external_id), scratch);

        if (keys_find(&j->keys, key, &index) == SL_OK && (j->told[index] & RECORD_ASKED) &&
            !(j->told[index] & RECORD_TOLD))
            judge(j, index, record);
    }
    return true;
}

/* Of those that were asked for, the others are not there. */
static void judge_absent(struct job *j)
{
    for (size_t i = j->look.from; i < j->at; i++) {
        bool asked = j->told[i] & RECORD_ASKED;

        j->told[i] &= (uint8_t)~RECORD_ASKED;
        if (!asked || (j->told[i] & (RECORD_TOLD | RECORD_LOOKED)))
            continue;
        j->told[i] |= RECORD_LOOKED;
        if (j->action->op == OP_DELETE)
            job_tell_delivered(j, i, (sl_str){ 0 });
        else
            j->told[i] |= RECORD_ABSENT;
    }
}

static void forget_chunk(struct job *j)
{
    for (size_t i = j->look.from; i < j->at; i++)
        j->told[i] &= (uint8_t)~RECORD_ASKED;
    j->at = j->look.from;
    j->look.n = 0;
}

void look_answered(struct job *j, const struct answer *a)
{
    json_t *root;
    bool read;

    if (a->verdict == ANSWER_REFUSED || a->verdict == ANSWER_NOT_FOUND) {
        sf_log(j->sf, SL_LOG_WARN, "batch %llu: its records cannot be looked up: %s",
               (unsigned long long)j->batch->id, a->why);
        forget_chunk(j);
        look_end(j);
        return;
    }
    root = a->verdict == ANSWER_OK
               ? json_loadb(a->body.ptr ? a->body.ptr : "", a->body.len, 0, NULL)
               : NULL;
    read = root && judge_found(j, root);
    json_decref(root);
    if (!read) {
        forget_chunk(j);
        job_wait(j, a->after_ms);
        return;
    }
    judge_absent(j);
    j->look.n = 0;
    job_enter(j, JOB_GATHERING);
    job_later(j, 0);
}

/* ---- begin and end ------------------------------------------------------------------------- */

void look_begin(struct job *j, enum look_then then, const char *why)
{
    j->look.on = true;
    j->look.then = then;
    j->look.n = 0;
    say(j->look.why, sizeof(j->look.why), "%s", why);
    j->at = 0;
    j->started_ms = j->sf->host->mono_ms(j->sf->host->ctx);
    j->delay_ms = j->sf->poll_first_ms;
    job_enter(j, JOB_GATHERING);
    job_later(j, 0);
}

void look_end(struct job *j)
{
    char why[sizeof(j->look.why)];

    memcpy(why, j->look.why, sizeof(why));
    j->look.on = false;
    text_finish(&j->look.path);
    switch (j->look.then) {
    case LOOK_RESTART:
        job_restart(j, NULL, why);
        break;
    case LOOK_RETRY:
        job_retry(j, NULL, why);
        break;
    default:
        job_settle_by_job(j);
    }
}
