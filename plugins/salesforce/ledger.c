/*
 * ledger.c - checkpoints: what is durable of a job, and what a restart makes of it.
 */
#include "job.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

bool job_take_id(struct job *j, const char *id)
{
    if (!is_salesforce_id(str_of(id))) /* it goes into URLs and into the checkpoint */
        return false;
    memcpy(j->id, id, strlen(id) + 1);
    return true;
}

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

void ledger_note(struct job *j, enum job_state state)
{
    char token[128];

    job_enter(j, state);
    snprintf(token, sizeof(token), "{\"v\":1,\"job\":\"%s\",\"step\":\"%s\"}", j->id,
             state == JOB_NOTING ? "created" : "closed");
    j->done->checkpoint(j->done->ctx, str_of(token), 0, on_durable, j);
}

/* What resume() was given. A token that is not understood leaves no id: then a new job is made,
 * which an upsert may. */
void ledger_read(struct job *j, sl_str token)
{
    json_t *root = json_loadb(token.ptr ? token.ptr : "", token.len, 0, NULL);
    const char *step = json_string_value(json_object_get(root, "step"));

    if (json_integer_value(json_object_get(root, "v")) == 1 && step &&
        job_take_id(j, json_string_value(json_object_get(root, "job")))) {
        j->resumed = true;
        j->uploaded = strcmp(step, "closed") == 0;
    } else {
        sf_log(j->sf, SL_LOG_WARN, "batch %llu: its checkpoint is not understood; a new job",
               (unsigned long long)j->batch->id);
    }
    json_decref(root);
}
