/*
 * ledger.c - checkpoints: what is durable of a job, and what a restart makes of it.
 */
#include "job.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "org/when.h"

bool job_take_id(struct job *j, const char *id)
{
    if (!is_salesforce_id(str_of(id))) /* it goes into URLs and into the checkpoint */
        return false;
    memcpy(j->id, id, strlen(id) + 1);
    return true;
}

/* ---- storing ------------------------------------------------------------------------------- */

static const struct {
    enum step step;
    const char *name;
} steps[JOB__COUNT] = {
    [JOB_INTENDING] = { STEP_CREATING, "creating" }, [JOB_NOTING] = { STEP_CREATED, "created" },
    [JOB_SEALING] = { STEP_CLOSING, "closing" },     [JOB_CLOSED] = { STEP_CLOSED, "closed" },
    [JOB_ENDING] = { STEP_ENDED, "ended" },
};

static void on_durable(void *ctx, sl_status status)
{
    static const char why[] = "the checkpoint could not be stored, so the job was not started";
    struct job *j = ctx;

    switch (j->state) {
    case JOB_INTENDING:
        if (status < 0)
            job_retry(j, NULL, why);
        else
            create_send(j);
        break;
    case JOB_NOTING:
    case JOB_SEALING:
        if (status < 0) {
            say(j->why, sizeof(j->why), "%s", why);
            job_abort(j, false);
        } else if (j->state == JOB_NOTING) {
            job_upload(j);
        } else {
            job_close(j);
        }
        break;
    case JOB_CLOSED: /* it only spares a restart a question: the step before it says enough */
        job_wait(j, 0);
        break;
    default:
        job_fetch(j);
    }
}

static json_t *token_of(const struct job *j, enum job_state state)
{
    json_t *t = json_pack("{s:i, s:s}", "v", 2, "step", steps[state].name);

    if (state == JOB_INTENDING) {
        json_object_set_new(t, "since", json_integer(j->intent.since_ms));
        json_object_set_new(t, "at", json_integer(j->intent.at_ms));
        json_object_set_new(t, "exact", json_boolean(j->intent.exact));
        return t;
    }
    json_object_set_new(t, "job", json_string(j->id));
    if (j->n_sent > 0)
        json_object_set_new(t, "rows", json_integer((json_int_t)j->n_sent));
    if (state == JOB_ENDING) {
        json_object_set_new(t, "state", json_string(j->failed ? "Failed" : "JobComplete"));
        json_object_set_new(t, "processed", json_integer(j->processed));
        json_object_set_new(t, "errors", json_integer(j->errors));
        json_object_set_new(t, "since", json_string(j->born));
        json_object_set_new(t, "why", json_string(j->failure));
    }
    return t;
}

void ledger_note(struct job *j, enum job_state state)
{
    json_t *token;
    char *text;

    job_enter(j, state);
    if (state == JOB_INTENDING) {
        j->intent.at_ms = when_now(j->sf);
        if (!j->intent.since_ms)
            j->intent.since_ms = j->intent.at_ms;
        j->intent.exact = j->sf->ahead_known;
    }
    j->step = steps[state].step;
    token = token_of(j, state);
    text = token ? json_dumps(token, JSON_COMPACT) : NULL;
    json_decref(token);
    if (!text) {
        on_durable(j, SL_E_NO_MEMORY);
        return;
    }
    j->done->checkpoint(j->done->ctx, str_of(text), (uint32_t)(j->batch->n_records - j->n_open),
                        on_durable, j);
    free(text);
}

/* ---- reading ------------------------------------------------------------------------------- */

static enum step step_of(int version, const char *name)
{
    if (!name)
        return STEP_NONE;
    if (version == 1) { /* there it said what was about to be done */
        if (strcmp(name, "created") == 0)
            return STEP_CREATED;
        return strcmp(name, "closed") == 0 ? STEP_CLOSING : STEP_NONE;
    }
    for (size_t i = 0; version == 2 && i < JOB__COUNT; i++)
        if (steps[i].name && strcmp(steps[i].name, name) == 0)
            return steps[i].step;
    return STEP_NONE;
}

static int64_t number(const json_t *t, const char *name, int64_t otherwise)
{
    const json_t *n = json_object_get(t, name);

    return json_is_integer(n) ? (int64_t)json_integer_value(n) : otherwise;
}

static void read_end(struct job *j, const json_t *t)
{
    const char *state = json_string_value(json_object_get(t, "state"));
    const char *why = json_string_value(json_object_get(t, "why"));
    const char *since = json_string_value(json_object_get(t, "since"));

    j->ended = true;
    j->failed = state && strcmp(state, "Failed") == 0;
    j->processed = number(t, "processed", -1);
    j->errors = number(t, "errors", -1);
    say(j->failure, sizeof(j->failure), "%s", why ? why : "");
    say(j->born, sizeof(j->born), "%s", since ? since : "");
}

/* A step without the id that belongs to it is none. */
static void read_step(struct job *j, const json_t *t)
{
    j->step = step_of((int)number(t, "v", 0), json_string_value(json_object_get(t, "step")));
    if (j->step == STEP_CREATING) {
        j->intent.at_ms = number(t, "at", 0);
        j->intent.since_ms = number(t, "since", j->intent.at_ms);
        j->intent.exact = json_is_true(json_object_get(t, "exact"));
        if (j->intent.at_ms <= 0)
            j->step = STEP_NONE;
    } else if (!job_take_id(j, json_string_value(json_object_get(t, "job")))) {
        j->step = STEP_NONE;
    }
}

void ledger_read(struct job *j, sl_str token)
{
    json_t *t = json_loadb(token.ptr ? token.ptr : "", token.len, 0, NULL);

    read_step(j, t);
    if (j->step == STEP_NONE) {
        j->id[0] = '\0';
        sf_log(j->sf, SL_LOG_WARN, "batch %llu: its checkpoint is not understood; a new job",
               (unsigned long long)j->batch->id);
    }
    j->n_sent = (size_t)number(t, "rows", 0);
    j->resumed = j->step != STEP_NONE;
    j->uploaded = j->step >= STEP_CLOSING;
    j->may_run = j->uploaded;
    if (j->step == STEP_ENDED)
        read_end(j, t);
    json_decref(t);
}
