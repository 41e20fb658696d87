/*
 * bulk.c - a batch as one Bulk API 2.0 upsert job: the state machine of job.h.
 *
 * What makes it safe against lost answers and crashes: an Open job does nothing at all, so up to
 * the close a job can be dropped and made anew; the job's id is durable before the upload, and the
 * intent to close before the close, so from then on the job itself is asked how far it came. The
 * functions stand in the order they happen.
 */
#include "job.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRANSFER_MS  600000              /* an upload or a result file; Salesforce's own limit */
#define MAX_RESULT   (UINT64_C(1) << 30) /* a result file: the upload with every value quoted */
#define MAX_RESTARTS 1                   /* new jobs for one batch before it goes to the retry */
#define JSON_TYPE    "application/json; charset=UTF-8"

static void job_create(struct job *j);
static void job_ask(struct job *j);
static void job_wait(struct job *j, int64_t at_least_ms);
static void job_fetch(struct job *j);

/* ---- states and their moves ---------------------------------------------------------------- */

#define BIT(state) (1u << (state))

static const struct {
    const char *name;
    uint32_t next;
} states[JOB__COUNT] = {
    [JOB_SCANNING] = { "scanning", BIT(JOB_WRITING) | BIT(JOB_ASKING) },
    [JOB_WRITING] = { "writing", BIT(JOB_CREATING) },
    [JOB_CREATING] = { "creating", BIT(JOB_NOTING) | BIT(JOB_CREATING) },
    [JOB_NOTING] = { "noting", BIT(JOB_UPLOADING) },
    [JOB_UPLOADING] = { "uploading", BIT(JOB_SEALING) | BIT(JOB_ABORTING) | BIT(JOB_CREATING) },
    [JOB_SEALING] = { "sealing", BIT(JOB_CLOSING) | BIT(JOB_ABORTING) },
    [JOB_CLOSING] = { "closing",
                      BIT(JOB_WAITING) | BIT(JOB_CREATING) | BIT(JOB_WRITING) | BIT(JOB_ABORTING) },
    [JOB_WAITING] = { "waiting", BIT(JOB_ASKING) | BIT(JOB_FETCHING) },
    [JOB_ASKING] = { "asking", BIT(JOB_WAITING) | BIT(JOB_CLOSING) | BIT(JOB_FETCHING) |
                                   BIT(JOB_ABORTING) | BIT(JOB_WRITING) | BIT(JOB_CREATING) },
    [JOB_FETCHING] = { "fetching", BIT(JOB_JOINING) | BIT(JOB_WAITING) | BIT(JOB_WRITING) },
    [JOB_JOINING] = { "joining", BIT(JOB_FETCHING) | BIT(JOB_WAITING) },
    [JOB_ABORTING] = { "aborting", BIT(JOB_CREATING) | BIT(JOB_WRITING) },
    [JOB_SETTLING] = { "settling", 0 },
};

void job_enter(struct job *j, enum job_state next)
{
    assert(next == JOB_SETTLING || (states[j->state].next & BIT(next)));
    j->state = next;
}

/* ---- life ---------------------------------------------------------------------------------- */

void job_free(struct job *j)
{
    const sl_host *h = j->sf->host;

    if (j->timer)
        h->timer_cancel(h->ctx, j->timer);
    if (j->prev)
        j->prev->next = j->next;
    else if (j->sf->jobs == j)
        j->sf->jobs = j->next;
    if (j->next)
        j->next->prev = j->prev;
    keys_finish(&j->keys);
    columns_finish(&j->columns);
    row_finish(&j->row);
    text_finish(&j->csv);
    text_finish(&j->value);
    results_finish(&j->results);
    free(j->told);
    free(j);
}

void bulk_close(struct salesforce *sf)
{
    while (sf->jobs)
        job_free(sf->jobs);
}

/* The batch is the host's again. */
static void job_finish(struct job *j)
{
    const sl_done *done = j->done;

    sf_log(j->sf, SL_LOG_DEBUG, "batch %llu: %zu records, done%s%s",
           (unsigned long long)j->batch->id, j->batch->n_records, j->id[0] ? ", job " : "", j->id);
    job_free(j);
    done->finish(done->ctx);
}

void job_tell(struct job *j, size_t index, const sl_outcome *o)
{
    assert(!(j->told[index] & RECORD_TOLD));
    j->told[index] |= RECORD_TOLD;
    j->n_open--;
    j->done->outcome(j->done->ctx, index, o);
}

/* ---- turns --------------------------------------------------------------------------------- */

static void on_turn(void *ctx);

void job_later(struct job *j, int64_t ms)
{
    const sl_host *h = j->sf->host;

    /* 0 comes only when the host is closing: then close() frees the job */
    j->timer = h->timer(h->ctx, ms, on_turn, j);
}

/* All open records hear the same. */
static void job_settle(struct job *j, uint32_t kind, const struct answer *a, uint32_t not_sent,
                       const char *why)
{
    j->ending = (struct ending){ .kind = kind, .not_sent = not_sent };
    if (a) {
        j->ending.status = a->status;
        j->ending.after_ms = a->after_ms;
    }
    say(j->ending.why, sizeof(j->ending.why), "%s", why);
    job_enter(j, JOB_SETTLING);
    j->at = 0;
    job_later(j, 0);
}

static void job_retry(struct job *j, const struct answer *a, const char *why)
{
    bool unsent = a && a->verdict == ANSWER_NOT_SENT && j->state <= JOB_UPLOADING;

    job_settle(j, SL_RETRY, a, unsent, why);
}

/* The endpoint as a whole is no good. */
static void job_park(struct job *j, const char *why, int64_t after_ms)
{
    j->done->park(j->done->ctx, str_of(why), after_ms);
    job_finish(j);
}

/* Before the upload nothing has happened; a new job is like the first. */
static void job_new(struct job *j)
{
    j->id[0] = '\0';
    j->uploaded = j->ended = j->failed = false;
    j->delay_ms = j->sf->poll_first_ms;
    if (j->n_open == 0) {
        job_finish(j);
    } else if (j->csv.len > 0) {
        job_create(j);
    } else {
        job_enter(j, JOB_WRITING);
        j->at = 0;
        job_later(j, 0);
    }
}

static void job_restart(struct job *j, const struct answer *a, const char *why)
{
    if (j->restarts++ < MAX_RESTARTS) {
        sf_log(j->sf, SL_LOG_INFO, "batch %llu gets a new job: %s",
               (unsigned long long)j->batch->id, why);
        job_new(j);
    } else {
        job_retry(j, a, why);
    }
}

static void after_scan(struct job *j)
{
    if (j->n_open == 0)
        job_finish(j);
    else if (j->resumed)
        job_ask(j);
    else
        job_new(j);
}

static void after_write(struct job *j)
{
    if (j->n_open == 0)
        job_finish(j);
    else
        job_create(j);
}

static void after_join(struct job *j, bool torn)
{
    results_finish(&j->results);
    if (torn) {
        job_wait(j, 0);
    } else if (++j->file < RESULT__COUNT) {
        job_fetch(j);
    } else {
        j->ending = (struct ending){ .by_job = true };
        job_enter(j, JOB_SETTLING);
        j->at = 0;
        job_later(j, 0);
    }
}

static void settle_turn(struct job *j)
{
    /* first the look for the field that a failed job names, then the telling */
    if (j->ending.by_job && !j->field_searched) {
        if (turn_find_field(j)) {
            j->field_searched = true;
            j->at = 0;
        }
        job_later(j, 0);
    } else if (turn_settle(j)) {
        job_finish(j);
    } else {
        job_later(j, 0);
    }
}

static void on_turn(void *ctx)
{
    struct job *j = ctx;
    bool torn = false;

    j->timer = 0;
    switch (j->state) {
    case JOB_SCANNING:
        if (turn_scan(j))
            after_scan(j);
        else
            job_later(j, 0);
        break;
    case JOB_WRITING:
        if (turn_write(j))
            after_write(j);
        else
            job_later(j, 0);
        break;
    case JOB_WAITING:
        if (j->ended)
            job_fetch(j);
        else
            job_ask(j);
        break;
    case JOB_JOINING:
        if (turn_join(j, &torn))
            after_join(j, torn);
        else
            job_later(j, 0);
        break;
    case JOB_SETTLING:
        settle_turn(j);
        break;
    default:
        assert(!"a timer in this state");
    }
}

/* ---- requests ------------------------------------------------------------------------------ */

static void on_answer(void *ctx, const struct answer *a);

/* The next request, in the state that waits for its answer. `path`: behind .../jobs/ingest. Comes
 * last in its caller. */
static void job_send(struct job *j, enum job_state state, const char *method, const char *path,
                     const char *type, const char *accept, sl_str body)
{
    bool transfer = state == JOB_UPLOADING || state == JOB_FETCHING;
    sl_str version = j->sf->api_version;

    job_enter(j, state);
    j->call = (struct call){ .sf = j->sf,
                             .method = str_of(method),
                             .type = type,
                             .accept = accept,
                             .body = body,
                             .total_ms = transfer ? TRANSFER_MS : 0,
                             .max_answer = state == JOB_FETCHING ? MAX_RESULT : 0,
                             .cb = on_answer,
                             .ctx = j };
    snprintf(j->call.path, sizeof(j->call.path), "/services/data/v%.*s/jobs/ingest%s%s%s",
             (int)version.len, version.ptr, j->id[0] ? "/" : "", j->id, path);
    call_start(&j->call);
}

static void job_create(struct job *j)
{
    char body[512];

    snprintf(body, sizeof(body),
             "{\"object\":\"%s\",\"operation\":\"upsert\",\"externalIdFieldName\":\"%s\","
             "\"contentType\":\"CSV\",\"columnDelimiter\":\"COMMA\",\"lineEnding\":\"LF\"}",
             j->action->object, j->action->external_id);
    j->id[0] = '\0';
    j->started_ms = j->sf->host->mono_ms(j->sf->host->ctx);
    text_clear(&j->value);
    text_str(&j->value, body); /* lives on while the call waits for a token */
    job_send(j, JOB_CREATING, "POST", "", JSON_TYPE, "application/json", text_view(&j->value));
}

/* An id goes into URLs and into the checkpoint: 15 or 18 letters and digits. */
static bool take_id(struct job *j, const char *id)
{
    size_t n = id ? strlen(id) : 0;

    if (n == 0 || n >= JOB_ID_SIZE)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = ascii_lower(id[i]);

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
            return false;
    }
    memcpy(j->id, id, n + 1);
    return true;
}

/* ---- checkpoints --------------------------------------------------------------------------- */

static void job_upload(struct job *j);
static void job_close(struct job *j);
static void job_abort(struct job *j, bool then_restart);

static void on_durable(void *ctx, sl_status status)
{
    struct job *j = ctx;

    if (status < 0)
        job_retry(j, NULL, "the checkpoint could not be stored, so the job was not started");
    else if (j->state == JOB_NOTING)
        job_upload(j);
    else
        job_close(j);
}

static void job_note(struct job *j, enum job_state state)
{
    char token[128];

    job_enter(j, state);
    snprintf(token, sizeof(token), "{\"v\":1,\"job\":\"%s\",\"step\":\"%s\"}", j->id,
             state == JOB_NOTING ? "created" : "closed");
    j->done->checkpoint(j->done->ctx, str_of(token), 0, on_durable, j);
}

/* What resume() was given. A token that is not understood leaves no id: then a new job is made,
 * which an upsert may. */
static void read_token(struct job *j, sl_str token)
{
    json_t *root = json_loadb(token.ptr ? token.ptr : "", token.len, 0, NULL);
    const char *step = json_string_value(json_object_get(root, "step"));

    if (json_integer_value(json_object_get(root, "v")) == 1 && step &&
        take_id(j, json_string_value(json_object_get(root, "job")))) {
        j->resumed = true;
        j->uploaded = strcmp(step, "closed") == 0;
    } else {
        sf_log(j->sf, SL_LOG_WARN, "batch %llu: its checkpoint is not understood; a new job",
               (unsigned long long)j->batch->id);
    }
    json_decref(root);
}

/* ---- CREATING, UPLOADING, CLOSING ---------------------------------------------------------- */

static void on_created(struct job *j, const struct answer *a)
{
    json_t *root;
    bool ok;

    switch (a->verdict) {
    case ANSWER_OK:
        root = json_loadb(a->body.ptr ? a->body.ptr : "", a->body.len, 0, NULL);
        ok = take_id(j, json_string_value(json_object_get(root, "id")));
        json_decref(root);
        if (ok)
            job_note(j, JOB_NOTING);
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

static void job_upload(struct job *j)
{
    job_send(j, JOB_UPLOADING, "PUT", "/batches", "text/csv; charset=UTF-8", NULL,
             text_view(&j->csv));
}

static void on_uploaded(struct job *j, const struct answer *a)
{
    switch (a->verdict) {
    case ANSWER_OK:
        j->uploaded = true;
        job_note(j, JOB_SEALING);
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

static void job_close(struct job *j)
{
    job_send(j, JOB_CLOSING, "PATCH", "", JSON_TYPE, "application/json",
             str_of("{\"state\":\"UploadComplete\"}"));
}

/* Whatever came back, or did not: only the job itself can say whether it runs. */
static void on_close_answered(struct job *j, const struct answer *a)
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

/* ---- WAITING, ASKING ----------------------------------------------------------------------- */

static void job_wait(struct job *j, int64_t at_least_ms)
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

static void job_ask(struct job *j)
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

static void on_asked(struct job *j, const struct answer *a)
{
    if (a->verdict == ANSWER_OK)
        on_state(j, a->body);
    else if (a->verdict == ANSWER_NOT_FOUND)
        job_restart(j, a, a->why);
    else
        job_wait(j, a->after_ms);
}

/* ---- FETCHING ------------------------------------------------------------------------------ */

static void job_fetch(struct job *j)
{
    char path[64];

    snprintf(path, sizeof(path), "/%s", result_paths[j->file]);
    job_send(j, JOB_FETCHING, "GET", path, NULL, "text/csv", (sl_str){ 0 });
}

static void on_fetched(struct job *j, const struct answer *a)
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

/* ---- ABORTING ------------------------------------------------------------------------------ */

/* j->why says what for. */
static void job_abort(struct job *j, bool then_restart)
{
    j->then_restart = then_restart;
    job_send(j, JOB_ABORTING, "PATCH", "", JSON_TYPE, "application/json",
             str_of("{\"state\":\"Aborted\"}"));
}

static void on_aborted(struct job *j)
{
    char why[sizeof(j->why)];

    memcpy(why, j->why, sizeof(why));
    if (j->then_restart)
        job_restart(j, NULL, why);
    else
        job_retry(j, NULL, why);
}

/* ---- all answers --------------------------------------------------------------------------- */

static void on_answer(void *ctx, const struct answer *a)
{
    struct job *j = ctx;

    if (a->verdict == ANSWER_CANCELLED) {
        job_free(j); /* the host closes: resume() will go on */
        return;
    }
    if (a->verdict == ANSWER_PARK && j->state != JOB_ABORTING) {
        job_park(j, a->why, a->after_ms);
        return;
    }
    switch (j->state) {
    case JOB_CREATING:
        on_created(j, a);
        break;
    case JOB_UPLOADING:
        on_uploaded(j, a);
        break;
    case JOB_CLOSING:
        on_close_answered(j, a);
        break;
    case JOB_ASKING:
        on_asked(j, a);
        break;
    case JOB_FETCHING:
        on_fetched(j, a);
        break;
    case JOB_ABORTING:
        on_aborted(j);
        break;
    default:
        assert(!"an answer in this state");
    }
}

/* ---- the adapter's deliver() and resume() -------------------------------------------------- */

static void job_begin(struct salesforce *sf, const struct action *action, const sl_batch *batch,
                      const sl_done *done, const sl_str *token)
{
    struct job *j = calloc(1, sizeof(*j));
    size_t key;

    if (j)
        j->told = calloc(batch->n_records + 1, 1);
    if (!j || !j->told ||
        columns_add(&j->columns, str_of(action->external_id), (sl_str){ 0 }, &key) < 0) {
        if (j) {
            columns_finish(&j->columns);
            free(j->told);
        }
        free(j);
        done->park(done->ctx, str_of("out of memory"), 0);
        done->finish(done->ctx);
        return;
    }
    j->sf = sf;
    j->action = action;
    j->batch = batch;
    j->done = done;
    j->n_open = batch->n_records;
    j->delay_ms = sf->poll_first_ms;
    j->started_ms = sf->host->mono_ms(sf->host->ctx);
    j->next = sf->jobs;
    if (j->next)
        j->next->prev = j;
    sf->jobs = j;
    if (token)
        read_token(j, *token);
    job_later(j, 0);
}

void bulk_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done)
{
    job_begin(self, handle, batch, done, NULL);
}

void bulk_resume(void *self, void *handle, const sl_batch *batch, sl_str token, const sl_done *done)
{
    job_begin(self, handle, batch, done, &token);
}
