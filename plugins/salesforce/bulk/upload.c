/*
 * upload.c - a job up to its close: create, upload, close, and the abort of one that nobody needs.
 */
#include "job.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "reap.h"

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
    if (gate_may_create(j))
        ledger_note(j, JOB_INTENDING);
    else
        job_enter(j, JOB_BARRED);
}

void create_send(struct job *j)
{
    j->started_ms = j->sf->host->mono_ms(j->sf->host->ctx);
    text_clear(&j->value);
    add_spec(j->action, &j->value); /* lives on while the call waits for a token */
    job_send(j, JOB_CREATING, "POST", "", JSON_TYPE, "application/json", text_view(&j->value));
}

static void on_created(struct job *j, const struct answer *a)
{
    json_t *root = json_loadb(a->body.ptr ? a->body.ptr : "", a->body.len, 0, NULL);
    bool ok = job_take_id(j, json_string_value(json_object_get(root, "id")));
    const char *born = json_string_value(json_object_get(root, "createdDate"));

    say(j->born, sizeof(j->born), "%s", born ? born : "");
    json_decref(root);
    if (!ok) {
        orphans_seek(j, THEN_RESTART, "Salesforce's answer to the new job holds no job id");
        return;
    }
    if (j->intent.since_ms == j->intent.at_ms) /* else an earlier one was not accounted for */
        j->intent = (struct intent){ 0 };
    reap_leftovers(j->sf);
    ledger_note(j, JOB_NOTING);
}

/* A gateway in between gave up waiting, or the server broke off: it may have been done. */
static bool may_be_made(const struct answer *a)
{
    return a->verdict == ANSWER_LOST ||
           (a->verdict == ANSWER_BUSY &&
            (a->status == 500 || a->status == 502 || a->status == 504));
}

void create_answered(struct job *j, const struct answer *a)
{
    if (may_be_made(a)) {
        orphans_seek(j, THEN_RESTART, a->why);
        return;
    }
    switch (a->verdict) {
    case ANSWER_OK:
        on_created(j, a);
        break;
    case ANSWER_NOT_FOUND:
        say(j->why, sizeof(j->why), "%s; check api_version, and that `instance` is an API host",
            a->why);
        job_park(j, j->why, 0);
        break;
    case ANSWER_REFUSED:
        say(j->why, sizeof(j->why),
            "%s; check the route's object (%s) and external_id (%s), and that the integration user "
            "may see them",
            a->why, j->action->object, j->action->external_id);
        job_settle(j, SL_REJECTED, a, 0, j->why);
        break;
    case ANSWER_THROTTLED:
        job_settle(j, SL_THROTTLED, a, 0, a->why);
        break;
    default:
        job_retry(j, a, a->why);
    }
}

/* ---- UPLOADING ----------------------------------------------------------------------------- */

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
    case ANSWER_NOT_FOUND:
        job_restart(j, a, a->why);
        break;
    case ANSWER_THROTTLED: /* no call more than needed now: the empty job is removed later */
        reap_later(j->sf, j->id);
        job_settle(j, SL_THROTTLED, a, 0, a->why);
        break;
    case ANSWER_LOST:    /* stored, in part or not: there is no second PUT for a job */
    case ANSWER_REFUSED: /* "Found multiple contents for job", or a state it should not have */
        say(j->why, sizeof(j->why), "%s", a->why);
        job_abort(j, true);
        break;
    default:
        say(j->why, sizeof(j->why), "%s", a->why);
        job_abort(j, false);
    }
}

/* ---- CLOSING ------------------------------------------------------------------------------- */

void job_close(struct job *j)
{
    j->may_run = true;
    job_send(j, JOB_CLOSING, "PATCH", "", JSON_TYPE, "application/json",
             str_of("{\"state\":\"UploadComplete\"}"));
}

/* Whatever came back, or did not: only the job itself can say whether it runs. */
void close_answered(struct job *j, const struct answer *a)
{
    if (a->verdict == ANSWER_NOT_FOUND) {
        job_lost(j, a->why);
        return;
    }
    if (a->verdict == ANSWER_OK) {
        text_finish(&j->csv); /* a rare new job writes it again */
        ledger_note(j, JOB_CLOSED);
        return;
    }
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

void abort_answered(struct job *j, const struct answer *a)
{
    char why[sizeof(j->why)];

    memcpy(why, j->why, sizeof(why));
    if (a->verdict != ANSWER_OK && a->verdict != ANSWER_NOT_FOUND && a->verdict != ANSWER_REFUSED)
        reap_later(j->sf, j->id);
    else if (a->verdict == ANSWER_OK && j->sf->delete_jobs && !j->may_run) /* it tells nothing */
        reap_start(j->sf, j->id, false, NULL, NULL);
    if (j->then_restart)
        job_restart(j, NULL, why);
    else if (j->may_run && j->action->op == OP_INSERT)
        look_begin(j, LOOK_RETRY, why);
    else
        job_retry(j, NULL, why);
}
