/*
 * poll.c - a job behind its close: asking how far it is, and fetching its result files.
 */
#include "job.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "transport.h"

/* Records in no file that are looked up although sending them again would do no harm; beyond it the
 * calls cost more than another job. */
#define LOOK_MOST 2000

/* ---- WAITING, ASKING ----------------------------------------------------------------------- */

/* It must not come to life after its records went out again; and whatever of it ran, ran. */
static void time_out(struct job *j)
{
    if (j->look.on) {
        look_end(j);
        return;
    }
    say(j->why, sizeof(j->why), "job %s did not give its results within job_timeout (%lld s)",
        j->id, (long long)j->sf->job_timeout_ms / 1000);
    if (!j->ended)
        job_abort(j, false);
    else if (j->action->op == OP_INSERT)
        look_begin(j, LOOK_RETRY, j->why);
    else
        job_retry(j, NULL, j->why);
}

void job_wait(struct job *j, int64_t at_least_ms)
{
    struct salesforce *sf = j->sf;
    uint64_t now = sf->host->mono_ms(sf->host->ctx);
    int64_t ms = j->delay_ms > at_least_ms ? j->delay_ms : at_least_ms;

    if (now - j->started_ms >= (uint64_t)sf->job_timeout_ms) {
        time_out(j);
        return;
    }
    j->delay_ms = j->delay_ms * 2 < sf->poll_cap_ms ? j->delay_ms * 2 : sf->poll_cap_ms;
    job_enter(j, JOB_WAITING);
    job_later(j, ms);
}

void job_lost(struct job *j, const char *why)
{
    char copy[sizeof(j->why)];

    say(copy, sizeof(copy), "%s", why);
    if (j->may_run && j->action->op == OP_INSERT)
        look_begin(j, LOOK_RESTART, copy);
    else /* the same again does no harm */
        job_restart(j, NULL, copy);
}

void job_ask(struct job *j)
{
    job_send(j, JOB_ASKING, "GET", "", NULL, "application/json", (sl_str){ 0 });
}

enum remote_state { REMOTE_OPEN, REMOTE_RUNNING, REMOTE_ENDED, REMOTE_ABORTED, REMOTE_ODD };

static int64_t count_of(const json_t *root, const char *name)
{
    const json_t *n = json_object_get(root, name);

    return json_is_integer(n) ? (int64_t)json_integer_value(n) : -1;
}

static void read_end(struct job *j, const json_t *root, bool failed)
{
    const char *why = json_string_value(json_object_get(root, "errorMessage"));

    j->failed = failed;
    j->processed = count_of(root, "numberRecordsProcessed");
    j->errors = count_of(root, "numberRecordsFailed");
    say(j->failure, sizeof(j->failure), "%s", why ? why : "no reason given");
}

static enum remote_state remote_state(struct job *j, sl_str body)
{
    json_t *root = json_loadb(body.ptr ? body.ptr : "", body.len, 0, NULL);
    sl_str state = str_of(json_string_value(json_object_get(root, "state")));
    const char *born = json_string_value(json_object_get(root, "createdDate"));
    enum remote_state r = REMOTE_ODD;

    if (str_is(state, "Open")) {
        r = REMOTE_OPEN;
    } else if (str_is(state, "UploadComplete") || str_is(state, "InProgress")) {
        r = REMOTE_RUNNING;
    } else if (str_is(state, "Aborted")) {
        r = REMOTE_ABORTED;
    } else if (str_is(state, "JobComplete") || str_is(state, "Failed")) {
        r = REMOTE_ENDED;
        read_end(j, root, str_is(state, "Failed"));
    }
    if (born)
        say(j->born, sizeof(j->born), "%s", born);
    json_decref(root);
    return r;
}

static void on_state(struct job *j, sl_str body)
{
    switch (remote_state(j, body)) {
    case REMOTE_OPEN:
        if (j->uploaded) {
            job_close(j);
        } else { /* the upload may be there in part, and cannot be made twice */
            say(j->why, sizeof(j->why), "job %s was left open, perhaps half uploaded", j->id);
            job_abort(j, true);
        }
        break;
    case REMOTE_ENDED:
        text_finish(&j->csv);
        if (!j->resumed)
            transport_saw_job(j->sf, j->sf->host->mono_ms(j->sf->host->ctx) - j->started_ms);
        j->ended = true;
        j->file = RESULT_SUCCESSFUL;
        j->delay_ms = j->sf->poll_first_ms;
        ledger_note(j, JOB_ENDING);
        break;
    case REMOTE_ABORTED:
        say(j->why, sizeof(j->why), "job %s was aborted", j->id);
        job_lost(j, j->why);
        break;
    default:
        job_wait(j, 0);
    }
}

void ask_answered(struct job *j, const struct answer *a)
{
    if (a->verdict == ANSWER_OK)
        on_state(j, a->body);
    else if (a->verdict == ANSWER_NOT_FOUND)
        job_lost(j, a->why);
    else
        job_wait(j, a->after_ms);
}

/* ---- FETCHING ------------------------------------------------------------------------------ */

void job_fetch(struct job *j)
{
    char path[64];

    snprintf(path, sizeof(path), "/%s", result_paths[j->file]);
    job_send(j, JOB_FETCHING, "GET", path, NULL, "text/csv", (sl_str){ 0 });
}

void fetch_answered(struct job *j, const struct answer *a)
{
    sl_str body = a->body;

    if (a->verdict == ANSWER_NOT_FOUND) {
        job_lost(j, a->why); /* results are kept for seven days */
        return;
    }
    if (a->verdict == ANSWER_REFUSED && j->failed)
        body = (sl_str){ 0 }; /* a job that never began has no results to give */
    else if (a->verdict != ANSWER_OK) {
        job_wait(j, a->after_ms);
        return;
    }
    if (results_open(&j->results, j->file, body, j->action->external_id, j->why, sizeof(j->why)) <
        0) {
        sf_log(j->sf, SL_LOG_WARN, "job %s: %s; fetched again", j->id, j->why);
        job_wait(j, 0);
        return;
    }
    j->in_file[j->file] = 0;
    job_enter(j, JOB_JOINING);
    job_later(j, 0);
}

/* ---- the sum ------------------------------------------------------------------------------- */

/* Successful, failed and unprocessed are what was sent, and as many as the job itself says. */
static bool counts_agree(const struct job *j)
{
    int64_t good = (int64_t)j->in_file[RESULT_SUCCESSFUL];
    int64_t bad = (int64_t)j->in_file[RESULT_FAILED];
    size_t all = j->in_file[RESULT_UNPROCESSED] + (size_t)(good + bad);

    return (j->processed < 0 || j->processed == good + bad) &&
           (j->errors < 0 || j->errors == bad) && (j->n_sent == 0 || j->n_sent == all);
}

bool results_complete(const struct job *j)
{
    return j->n_open == 0 && counts_agree(j);
}

static size_t n_missing(const struct job *j)
{
    size_t n = 0;

    for (size_t i = 0; i < j->batch->n_records; i++)
        n += !(j->told[i] & (RECORD_TOLD | RECORD_UNPROCESSED));
    return n;
}

bool job_never_ran(const struct job *j)
{
    return j->failed && j->processed <= 0 &&
           j->in_file[RESULT_SUCCESSFUL] + j->in_file[RESULT_FAILED] == 0;
}

void results_read(struct job *j)
{
    size_t missing = n_missing(j);

    if (!counts_agree(j))
        sf_log(
            j->sf, SL_LOG_WARN,
            "job %s: %zu rows were sent; its files have %zu successful, %zu failed, %zu "
            "unprocessed, and it says that it processed %lld, %lld of them failed; in no file: %zu",
            j->id, j->n_sent, j->in_file[RESULT_SUCCESSFUL], j->in_file[RESULT_FAILED],
            j->in_file[RESULT_UNPROCESSED], (long long)j->processed, (long long)j->errors, missing);
    if (missing > 0 && !job_never_ran(j) && (j->action->op == OP_INSERT || missing <= LOOK_MOST)) {
        look_begin(j, LOOK_TELL, "");
        return;
    }
    job_settle_by_job(j);
}
