/*
 * bulk.c - a batch as one Bulk API 2.0 upsert job: the states of job.h, and what moves them.
 *
 * What makes it safe against lost answers and crashes: an Open job does nothing at all, so up to
 * the close a job can be dropped and made anew; the job's id is durable before the upload, and the
 * intent to close before the close, so from then on the job itself is asked how far it came.
 * upload.c has the way up to the close, poll.c what comes behind it, ledger.c the checkpoints.
 */
#include "job.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reap.h"
#include "transport.h"

#define TRANSFER_MS  600000              /* an upload or a result file; Salesforce's own limit */
#define MAX_RESULT   (UINT64_C(1) << 30) /* a result file: the upload with every value quoted */
#define PARKED_MS    60000               /* between questions while the endpoint is no good */
#define MAX_RESTARTS 1                   /* new jobs for one batch before it goes to the retry */

/* ---- states and their moves ---------------------------------------------------------------- */

#define BIT(state) (1u << (state))
#define ANEW       (BIT(JOB_WRITING) | BIT(JOB_INTENDING) | BIT(JOB_BARRED)) /* job_new() */
#define LOST       (ANEW | BIT(JOB_GATHERING))                               /* job_lost() */

static const struct {
    const char *name;
    uint32_t next;
} states[JOB__COUNT] = {
    [JOB_SCANNING] = { "scanning", ANEW | BIT(JOB_ASKING) | BIT(JOB_FETCHING) },
    [JOB_WRITING] = { "writing", ANEW },
    [JOB_BARRED] = { "barred", BIT(JOB_INTENDING) | BIT(JOB_LISTING) | BIT(JOB_BARRED) },
    [JOB_LISTING] = { "listing", ANEW | BIT(JOB_SIFTING) },
    [JOB_SIFTING] = { "sifting", ANEW | BIT(JOB_LISTING) | BIT(JOB_REMOVING) },
    [JOB_REMOVING] = { "removing", ANEW },
    [JOB_INTENDING] = { "intending", BIT(JOB_CREATING) },
    [JOB_CREATING] = { "creating", BIT(JOB_NOTING) | BIT(JOB_BARRED) },
    [JOB_NOTING] = { "noting", BIT(JOB_UPLOADING) | BIT(JOB_ABORTING) },
    [JOB_UPLOADING] = { "uploading", ANEW | BIT(JOB_SEALING) | BIT(JOB_ABORTING) },
    [JOB_SEALING] = { "sealing", BIT(JOB_CLOSING) | BIT(JOB_ABORTING) },
    [JOB_CLOSING] = { "closing", LOST | BIT(JOB_CLOSED) | BIT(JOB_WAITING) | BIT(JOB_ABORTING) },
    [JOB_CLOSED] = { "closed", BIT(JOB_WAITING) | BIT(JOB_ABORTING) },
    [JOB_WAITING] = { "waiting", BIT(JOB_ASKING) | BIT(JOB_FETCHING) | BIT(JOB_GATHERING) },
    [JOB_ASKING] = { "asking", LOST | BIT(JOB_WAITING) | BIT(JOB_CLOSING) | BIT(JOB_ENDING) |
                                   BIT(JOB_ABORTING) },
    [JOB_ENDING] = { "ending", BIT(JOB_FETCHING) },
    [JOB_FETCHING] = { "fetching", LOST | BIT(JOB_JOINING) | BIT(JOB_WAITING) },
    [JOB_JOINING] = { "joining", BIT(JOB_FETCHING) | BIT(JOB_WAITING) | BIT(JOB_GATHERING) },
    [JOB_GATHERING] = { "gathering", ANEW | BIT(JOB_LOOKING) },
    [JOB_LOOKING] = { "looking", ANEW | BIT(JOB_GATHERING) | BIT(JOB_WAITING) },
    [JOB_ABORTING] = { "aborting", LOST },
    [JOB_SETTLING] = { "settling", 0 },
};

void job_enter(struct job *j, enum job_state next)
{
    bool guarded = gate_guards(j->state) && !gate_guards(next);

    assert(next == JOB_SETTLING || (states[j->state].next & BIT(next)));
    j->state = next;
    if (guarded)
        gate_wake(j->sf, j);
}

/* ---- life ---------------------------------------------------------------------------------- */

void job_free(struct job *j)
{
    const sl_host *h = j->sf->host;

    bool guarded = gate_guards(j->state);
    struct salesforce *sf = j->sf;

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
    text_finish(&j->search.page);
    text_finish(&j->look.path);
    free(j->told);
    free(j);
    if (guarded)
        gate_wake(sf, NULL);
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

    if (j->sf->delete_jobs && j->ended && j->id[0] && SL_HAS(sl_done, done, settled))
        reap_settled(j->sf, j->id, done);
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
void job_settle(struct job *j, uint32_t kind, const struct answer *a, uint32_t not_sent,
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

/* Before a close nothing runs, whatever was sent. */
void job_retry(struct job *j, const struct answer *a, const char *why)
{
    job_settle(j, SL_RETRY, a, !j->may_run, why);
}

void job_settle_by_job(struct job *j)
{
    j->ending = (struct ending){ .by_job = true };
    job_enter(j, JOB_SETTLING);
    j->at = 0;
    job_later(j, 0);
}

void job_park(struct job *j, const char *why, int64_t after_ms)
{
    if (j->id[0])
        reap_later(j->sf, j->id);
    j->done->park(j->done->ctx, str_of(why), after_ms);
    job_finish(j);
}

/* What was learnt of the job before does not count for the next one. */
static void forget_job(struct job *j)
{
    j->id[0] = j->born[0] = '\0';
    j->resumed = j->uploaded = j->may_run = j->ended = j->failed = j->field_searched = false;
    j->processed = j->errors = -1;
    memset(j->in_file, 0, sizeof(j->in_file));
    j->delay_ms = transport_first_poll_ms(j->sf);
    for (size_t i = 0; i < j->batch->n_records; i++)
        j->told[i] &= RECORD_TOLD;
}

/* Before the upload nothing has happened; a new job is like the first. */
void job_new(struct job *j)
{
    forget_job(j);
    if (j->n_open == 0) {
        job_finish(j);
    } else if (j->csv.len > 0 && j->n_sent == j->n_open) {
        job_create(j);
    } else {
        text_clear(&j->csv);
        job_enter(j, JOB_WRITING);
        j->at = 0;
        job_later(j, 0);
    }
}

void job_restart(struct job *j, const struct answer *a, const char *why)
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
    j->delay_ms = j->sf->poll_first_ms;
    if (j->n_open == 0 && !j->resumed)
        job_finish(j);
    else if (!j->resumed)
        job_new(j);
    else if (j->step == STEP_CREATING)
        orphans_seek(j, THEN_NEW, "");
    else if (j->step == STEP_ENDED)
        job_fetch(j);
    else
        job_ask(j);
}

static void after_write(struct job *j)
{
    j->n_sent = j->n_open;
    if (j->n_open == 0)
        job_finish(j);
    else
        job_create(j);
}

static void after_join(struct job *j, bool torn)
{
    results_finish(&j->results);
    if (torn)
        job_wait(j, 0);
    else if (results_complete(j) || ++j->file == RESULT__COUNT)
        results_read(j);
    else
        job_fetch(j);
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
    case JOB_BARRED:
        if (j->search.wanted)
            orphans_turn(j);
        else
            job_create(j);
        break;
    case JOB_SIFTING:
        sift_turn(j);
        break;
    case JOB_GATHERING:
        look_turn(j);
        break;
    case JOB_WAITING:
        if (j->look.on) {
            job_enter(j, JOB_GATHERING);
            look_turn(j);
        } else if (j->ended)
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

/* The request is not made anew here: comes last in its caller. */
static void call_job(struct job *j, const char *method, const char *type, const char *accept,
                     sl_str body)
{
    bool transfer = j->state == JOB_UPLOADING || j->state == JOB_FETCHING;

    j->call.sf = j->sf;
    j->call.method = str_of(method);
    j->call.type = type;
    j->call.accept = accept;
    j->call.body = body;
    j->call.total_ms = transfer ? TRANSFER_MS : 0;
    j->call.max_answer = j->state == JOB_FETCHING ? MAX_RESULT : 0;
    j->call.cb = on_answer;
    j->call.ctx = j;
    call_start(&j->call);
}

void job_send(struct job *j, enum job_state state, const char *method, const char *path,
              const char *type, const char *accept, sl_str body)
{
    sl_str version = j->sf->api_version;

    job_enter(j, state);
    j->call = (struct call){ 0 };
    snprintf(j->call.path, sizeof(j->call.path), "/services/data/v%.*s/jobs/ingest%s%s%s",
             (int)version.len, version.ptr, j->id[0] ? "/" : "", j->id, path);
    call_job(j, method, type, accept, body);
}

void job_query(struct job *j, const char *path)
{
    job_enter(j, JOB_LOOKING);
    j->call = (struct call){ .long_path = path };
    call_job(j, "GET", NULL, "application/json", (sl_str){ 0 });
}

/* ---- all answers --------------------------------------------------------------------------- */

/* The endpoint is no good now, but the job runs, or its results lie there: it is kept, since its
 * rows must not go again. Other batches find out by their own creates, and park the endpoint. */
static void stay(struct job *j, const struct answer *a)
{
    if (!j->park_told)
        sf_log(j->sf, SL_LOG_WARN, "job %s is kept, and asked again later: %s", j->id, a->why);
    j->park_told = true;
    if (j->state == JOB_LOOKING)
        look_answered(j, a);
    else
        job_wait(j, a->after_ms > PARKED_MS ? a->after_ms : PARKED_MS);
}

static void on_answer(void *ctx, const struct answer *a)
{
    struct job *j = ctx;

    if (a->verdict == ANSWER_CANCELLED) {
        job_free(j); /* the host closes: resume() will go on */
        return;
    }
    if (a->verdict == ANSWER_PARK && j->state != JOB_ABORTING && j->state != JOB_LISTING) {
        if (j->may_run)
            stay(j, a);
        else
            job_park(j, a->why, a->after_ms);
        return;
    }
    switch (j->state) {
    case JOB_LISTING:
        list_answered(j, a);
        break;
    case JOB_LOOKING:
        look_answered(j, a);
        break;
    case JOB_CREATING:
        create_answered(j, a);
        break;
    case JOB_UPLOADING:
        upload_answered(j, a);
        break;
    case JOB_CLOSING:
        close_answered(j, a);
        break;
    case JOB_ASKING:
        ask_answered(j, a);
        break;
    case JOB_FETCHING:
        fetch_answered(j, a);
        break;
    case JOB_ABORTING:
        abort_answered(j, a);
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
    j->processed = j->errors = -1;
    j->keys.are_ids = strcmp(action->external_id, "Id") == 0;
    j->delay_ms = sf->poll_first_ms;
    j->started_ms = sf->host->mono_ms(sf->host->ctx);
    j->next = sf->jobs;
    if (j->next)
        j->next->prev = j;
    sf->jobs = j;
    if (token)
        ledger_read(j, *token);
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
