/*
 * reap.c - PATCH Aborted, DELETE, and a list of those that must wait for a better moment.
 */
#include "reap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TRIES     2
#define MAX_LEFTOVERS 64

struct reap {
    struct salesforce *sf;
    struct reap *prev, *next;
    struct call call;
    char id[JOB_ID_SIZE];
    bool open; /* to be aborted first */
    unsigned tries;
    reap_cb cb;
    void *ctx;
};

struct leftover {
    struct leftover *next;
    char id[JOB_ID_SIZE];
};

static void reap_free(struct reap *r)
{
    if (r->prev)
        r->prev->next = r->next;
    else if (r->sf->reaps == r)
        r->sf->reaps = r->next;
    if (r->next)
        r->next->prev = r->prev;
    free(r);
}

static void reap_end(struct reap *r)
{
    reap_cb cb = r->cb;
    void *ctx = r->ctx;

    reap_free(r);
    if (cb)
        cb(ctx);
}

static void reap_step(struct reap *r);

static void on_answer(void *ctx, const struct answer *a)
{
    struct reap *r = ctx;

    switch (a->verdict) {
    case ANSWER_CANCELLED:
        reap_free(r); /* the host closes: whoever waits is freed too */
        return;
    case ANSWER_OK:
        if (r->open) {
            r->open = false;
            r->tries = 0;
            reap_step(r);
            return;
        }
        break;
    case ANSWER_LOST:
    case ANSWER_BUSY:
    case ANSWER_NOT_SENT:
        if (++r->tries < MAX_TRIES) {
            reap_step(r);
            return;
        }
        break;
    default: /* gone, or it lives on: then it is not for us to end it */
        break;
    }
    sf_log(r->sf, SL_LOG_DEBUG, "job %s: %s%s", r->id,
           a->verdict == ANSWER_OK ? "deleted" : "left to Salesforce: ", a->why);
    reap_end(r);
}

static void reap_step(struct reap *r)
{
    sl_str version = r->sf->api_version;

    r->call = (struct call){ .sf = r->sf,
                             .method = str_of(r->open ? "PATCH" : "DELETE"),
                             .accept = "application/json",
                             .cb = on_answer,
                             .ctx = r };
    if (r->open) {
        r->call.type = JSON_TYPE;
        r->call.body = str_of("{\"state\":\"Aborted\"}");
    }
    snprintf(r->call.path, sizeof(r->call.path), "/services/data/v%.*s/jobs/ingest/%s",
             (int)version.len, version.ptr, r->id);
    call_start(&r->call);
}

static struct reap *reap_new(struct salesforce *sf, const char *id, bool open)
{
    struct reap *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    *r = (struct reap){ .sf = sf, .open = open, .next = sf->reaps };
    snprintf(r->id, sizeof(r->id), "%s", id);
    if (r->next)
        r->next->prev = r;
    sf->reaps = r;
    return r;
}

void reap_start(struct salesforce *sf, const char *id, bool open, reap_cb cb, void *ctx)
{
    struct reap *r = reap_new(sf, id, open);

    if (r) {
        r->cb = cb;
        r->ctx = ctx;
        reap_step(r);
    } else if (cb) {
        cb(ctx);
    }
}

/* Without the outcomes its results are needed again, by the next process. */
static void on_settled(void *ctx, sl_status status)
{
    struct reap *r = ctx;

    if (status < 0)
        reap_end(r);
    else
        reap_step(r);
}

void reap_settled(struct salesforce *sf, const char *id, const sl_done *done)
{
    struct reap *r = reap_new(sf, id, false);

    if (r)
        done->settled(done->ctx, on_settled, r);
}

/* ---- later --------------------------------------------------------------------------------- */

void reap_later(struct salesforce *sf, const char *id)
{
    struct leftover *l;
    size_t n = 0;

    for (l = sf->leftovers; l; l = l->next)
        n++;
    if (n >= MAX_LEFTOVERS || !id[0])
        return;
    l = calloc(1, sizeof(*l));
    if (!l)
        return;
    snprintf(l->id, sizeof(l->id), "%s", id);
    l->next = sf->leftovers;
    sf->leftovers = l;
}

void reap_leftovers(struct salesforce *sf)
{
    struct leftover *all = sf->leftovers, *next;

    sf->leftovers = NULL;
    for (; all; all = next) {
        next = all->next;
        reap_start(sf, all->id, true, NULL, NULL);
        free(all);
    }
}

bool reap_has(const struct salesforce *sf, const char *id)
{
    for (const struct leftover *l = sf->leftovers; l; l = l->next)
        if (strcmp(l->id, id) == 0)
            return true;
    for (const struct reap *r = sf->reaps; r; r = r->next)
        if (strcmp(r->id, id) == 0)
            return true;
    return false;
}

void reap_close(struct salesforce *sf)
{
    struct leftover *next;

    while (sf->reaps)
        reap_free(sf->reaps);
    for (; sf->leftovers; sf->leftovers = next) {
        next = sf->leftovers->next;
        free(sf->leftovers);
    }
}
