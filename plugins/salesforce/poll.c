/*
 * poll.c - a job behind its close: asking how far it is, and fetching its result files.
 */
#include "job.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* ---- WAITING, ASKING ----------------------------------------------------------------------- */

void job_wait(struct job *j, int64_t at_least_ms)
{
    struct salesforce *sf = j->sf;
    uint64_t now = sf->host->mono_ms(sf->host->ctx);
    int64_t ms = j->delay_ms > at_least_ms ? j->delay_ms : at_least_ms;

    if (now - j->started_ms >= (uint64_t)sf->job_timeout_ms) {
        say(j->why, sizeof(j->why), "job %s did not give its results within job_timeout (%lld s)",
            j->id, (long long)sf->job_timeout_ms / 1000);
        if (j->ended)
            job_retry(j, NULL, j->why);
        else /* it must not come to life after its records went out again */
            job_abort(j, false);
        return;
    }
    j->delay_ms = j->delay_ms * 2 < sf->poll_cap_ms ? j->delay_ms * 2 : sf->poll_cap_ms;
    job_enter(j, JOB_WAITING);
    job_later(j, ms);
}

void job_ask(struct job *j)
{
    job_send(j, JOB_ASKING, "GET", "", NULL, "application/json", (sl_str){ 0 });
}

enum remote_state { REMOTE_OPEN, REMOTE_RUNNING, REMOTE_ENDED, REMOTE_ABORTED, REMOTE_ODD };

static enum remote_state remote_state(struct job *j, sl_str body)
{
    json_t *root = json_loadb(body.ptr ? body.ptr : "", body.len, 0, NULL);
    const char *text = json_string_value(json_object_get(root, "state"));
    const char *failure = json_string_value(json_object_get(root, "errorMessage"));
    sl_str state = str_of(text);
    enum remote_state r = REMOTE_ODD;

    if (str_is(state, "Open")) {
        r = REMOTE_OPEN;
    } else if (str_is(state, "UploadComplete") || str_is(state, "InProgress")) {
        r = REMOTE_RUNNING;
    } else if (str_is(state, "Aborted")) {
        r = REMOTE_ABORTED;
    } else if (str_is(state, "JobComplete") || str_is(state, "Failed")) {
        r = REMOTE_ENDED;
        j->failed = *text == 'F';
        say(j->failure, sizeof(j->failure), "%s", failure ? failure : "no reason given");
    }
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
        j->ended = true;
        j->file = RESULT_SUCCESSFUL;
        j->delay_ms = j->sf->poll_first_ms;
        job_fetch(j);
        break;
    case REMOTE_ABORTED:
        say(j->why, sizeof(j->why), "job %s was aborted", j->id);
        job_restart(j, NULL, j->why);
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
        job_restart(j, a, a->why);
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
        job_restart(j, a, a->why);
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
    job_enter(j, JOB_JOINING);
    job_later(j, 0);
}
