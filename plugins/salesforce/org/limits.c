/*
 * limits.c - what is left of the org's day: asked for while there is traffic, told to the host's
 * quota, kept for whoever chooses between the transports.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "salesforce.h"

#define ANSWER_MS 10000
#define HEARD_MS  60000

/* {"DailyApiRequests": {"Max": 100000, "Remaining": 99000}, ...} */
static void take(const json_t *root, const char *name, int64_t *max, int64_t *left)
{
    const json_t *one = json_object_get(root, name);
    const json_t *m = json_object_get(one, "Max"), *l = json_object_get(one, "Remaining");

    *max = json_is_integer(m) ? json_integer_value(m) : -1;
    *left = json_is_integer(l) ? json_integer_value(l) : -1;
    if (*left < -1)
        *left = 0;
}

bool limits_read(sl_str body, struct limits *ret)
{
    json_t *root = body.len > 0 ? json_loadb(body.ptr, body.len, 0, NULL) : NULL;
    bool ok = json_is_object(json_object_get(root, "DailyApiRequests"));

    if (ok) {
        take(root, "DailyApiRequests", &ret->calls_max, &ret->calls_left);
        take(root, "DailyBulkApiBatches", &ret->batches_max, &ret->batches_left);
        take(root, "DailyBulkV2QueryJobs", &ret->query_jobs_max, &ret->query_jobs_left);
        take(root, "DataStorageMB", &ret->storage_max_mb, &ret->storage_left_mb);
        ret->known = true;
    }
    json_decref(root);
    return ok;
}

static void warn_if_low(struct salesforce *sf, const char *what, int64_t left, int64_t max)
{
    if (left >= 0 && max > 0 && left * 20 < max)
        sf_log(sf, SL_LOG_WARN, "%lld of the org's %lld %s are left", (long long)left,
               (long long)max, what);
}

static void on_limits(void *ctx, const struct answer *a)
{
    struct salesforce *sf = ctx;
    struct limits *l = &sf->limits;

    l->asking = false;
    if (a->verdict != ANSWER_OK || !limits_read(a->body, l)) {
        if (a->verdict != ANSWER_CANCELLED)
            sf_log(sf, SL_LOG_DEBUG, "the org's limits are not known: %s", a->why);
        return;
    }
    warn_if_low(sf, "daily bulk batches", l->batches_left, l->batches_max);
    warn_if_low(sf, "daily bulk query jobs", l->query_jobs_left, l->query_jobs_max);
    warn_if_low(sf, "MB of data storage", l->storage_left_mb, l->storage_max_mb);
    /* what an answer's header says is newer: this may lag by minutes */
    if (l->heard_ms && sf->host->mono_ms(sf->host->ctx) - l->heard_ms < HEARD_MS)
        return;
    if (l->calls_max > 0 && l->calls_left >= 0 && SL_HAS(sl_host, sf->host, budget))
        sf->host->budget(sf->host->ctx, &(sl_budget){ .size = sizeof(sl_budget),
                                                      .kind = SL_BUDGET_QUOTA,
                                                      .limit = l->calls_max,
                                                      .remaining = l->calls_left,
                                                      .reset_ms = -1 });
}

void limits_traffic(struct salesforce *sf)
{
    struct limits *l = &sf->limits;
    uint64_t now = sf->host->mono_ms(sf->host->ctx);
    sl_str version = sf->api_version;

    if (sf->limits_every_ms == 0 || l->asking ||
        (l->asked_ms && now - l->asked_ms < (uint64_t)sf->limits_every_ms))
        return;
    if (!sf->limits_call && !(sf->limits_call = malloc(sizeof(*sf->limits_call))))
        return;
    l->asking = true;
    l->asked_ms = now;
    *sf->limits_call = (struct call){ .sf = sf,
                                      .method = str_of("GET"),
                                      .accept = "application/json",
                                      .total_ms = ANSWER_MS,
                                      .cb = on_limits,
                                      .ctx = sf };
    snprintf(sf->limits_call->path, sizeof(sf->limits_call->path), "/services/data/v%.*s/limits",
             (int)version.len, version.ptr);
    call_start(sf->limits_call);
}

void limits_close(struct salesforce *sf)
{
    free(sf->limits_call);
}
