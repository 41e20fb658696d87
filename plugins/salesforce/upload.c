/*
 * upload.c - a job up to its close: create, upload, close, and the abort of one that nobody needs.
 */
#include "job.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define JSON_TYPE "application/json; charset=UTF-8"

/* ---- CREATING ------------------------------------------------------------------------------ */

static void add_spec(const struct action *a, struct text *to)
{
    text_printf(to, "{\"object\":\"%s\",\"operation\":\"%s\",", a->object, operation_names[a->op]);
    if (a->op == OP_UPSERT)
        text_printf(to, "\"externalIdFieldName\":\"%s\",", a->external_id);
    text_str(to, "\"contentType\":\"CSV\",\"columnDelimiter\":\"COMMA\",\"lineEnding\":\"LF\"}");
}

void job_create(struct job *j)
{
    j->id[0] = '\0';
    j->started_ms = j->sf->host->mono_ms(j->sf->host->ctx);
    text_clear(&j->value);
    add_spec(j->action, &j->value); /* lives on while the call waits for a token */
    job_send(j, JOB_CREATING, "POST", "", JSON_TYPE, "application/json", text_view(&j->value));
}

void create_answered(struct job *j, const struct answer *a)
{
    json_t *root;
    bool ok;

    switch (a->verdict) {
    case ANSWER_OK:
        root = json_loadb(a->body.ptr ? a->body.ptr : "", a->body.len, 0, NULL);
        ok = job_take_id(j, json_string_value(json_object_get(root, "id")));
        json_decref(root);
        if (ok)
            ledger_note(j, JOB_NOTING);
        else
            job_retry(j, a, "Salesforce's answer to the new job holds no job id");
        break;
    case ANSWER_LOST: /* perhaps an empty Open job somewhere, which goes by itself in a day */
        job_restart(j, a, a->why);
        break;
    case ANSWER_NOT_FOUND:
        say(j->why, sizeof(j->why), "%s; check api_version, and that `instance` is an API host",
            a->why);
        job_park(j, j->why, 0);
        break;
    case ANSWER_REFUSED:
        job_settle(j, SL_REJECTED, a, 0, a->why);
        break;
    case ANSWER_THROTTLED:
        job_settle(j, SL_THROTTLED, a, 0, a->why);
        break;
    default:
        job_retry(j, a, a->why);
    }
}

void job_upload(struct job *j)
{
    job_send(j, JOB_UPLOADING, "PUT", "/batches", "text/csv; charset=UTF-8", NULL,
             text_view(&j->csv));
}

void upload_answered(struct job *j, const struct answer *a)
{
    switch (a->verdict) {
    case ANSWER_OK:
        j->uploaded = true;
        ledger_note(j, JOB_SEALING);
        break;
    case ANSWER_LOST:    /* stored, in part or not: there is no second PUT for a job */
    case ANSWER_REFUSED: /* "Found multiple contents for job", or a state it should not have */
        say(j->why, sizeof(j->why), "%s", a->why);
        job_abort(j, true);
        break;
    case ANSWER_NOT_FOUND:
        job_restart(j, a, a->why);
        break;
    case ANSWER_THROTTLED: /* the job is left alone: no call more than needed */
        job_settle(j, SL_THROTTLED, a, 0, a->why);
        break;
    default:
        job_retry(j, a, a->why);
    }
}

void job_close(struct job *j)
{
    job_send(j, JOB_CLOSING, "PATCH", "", JSON_TYPE, "application/json",
             str_of("{\"state\":\"UploadComplete\"}"));
}

/* Whatever came back, or did not: only the job itself can say whether it runs. */
void close_answered(struct job *j, const struct answer *a)
{
    if (a->verdict == ANSWER_NOT_FOUND) {
        job_restart(j, a, a->why);
        return;
    }
    if (a->verdict == ANSWER_OK)
        text_finish(&j->csv); /* a rare new job writes it again */
    else
        sf_log(j->sf, SL_LOG_INFO, "job %s: the close is not certain, asking: %s", j->id, a->why);
    job_wait(j, a->after_ms);
}

/* ---- ABORTING ------------------------------------------------------------------------------ */

/* j->why says what for. */
void job_abort(struct job *j, bool then_restart)
{
    j->then_restart = then_restart;
    job_send(j, JOB_ABORTING, "PATCH", "", JSON_TYPE, "application/json",
             str_of("{\"state\":\"Aborted\"}"));
}

void abort_answered(struct job *j)
{
    char why[sizeof(j->why)];

    memcpy(why, j->why, sizeof(why));
    if (j->then_restart)
        job_restart(j, NULL, why);
    else
        job_retry(j, NULL, why);
}
