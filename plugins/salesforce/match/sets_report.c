/*
 * sets_report.c - the report "duplicates" of an endpoint: a fresh index, then sets, while no batch
 * changes it.
 */
#include <stdlib.h>

#include "contact.h"
#include "sets.h"

struct sets_job {
    struct contacts *all;
    struct sets *sets; /* NULL until the index is there */
    sl_report_cb cb;
    void *ctx;
    uint64_t timer; /* 0: none */
};

static void sets_end(struct sets_job *j, sl_status status, sl_str json, const char *why)
{
    struct contacts *all = j->all;

    all->report = NULL;
    contacts_go_on(all);
    j->cb(j->ctx, status, json, str_of(why));
    sets_destroy(j->sets);
    free(j);
}

static void on_turn(void *ctx)
{
    struct sets_job *j = ctx;
    const sl_host *h = j->all->sf->host;
    const char *json;
    size_t len;

    j->timer = 0;
    if (!sets_turn(j->sets)) {
        j->timer = h->timer(h->ctx, 0, on_turn, j); /* 0: closing, sets_close() ends it */
        return;
    }
    json = sets_json(j->sets, &len);
    if (json)
        sets_end(j, SL_OK, (sl_str){ json, len }, NULL);
    else
        sets_end(j, SL_E_NO_MEMORY, (sl_str){ 0 }, "out of memory");
}

static void on_index(void *ctx, const struct crm_failure *f)
{
    struct sets_job *j = ctx;
    const sl_host *h = j->all->sf->host;

    if (f) {
        sets_end(j, SL_E_NETWORK, (sl_str){ 0 }, f->why);
        return;
    }
    j->sets = sets_create(&j->all->crm.ix, j->all->sf->session.base);
    if (j->sets)
        j->timer = h->timer(h->ctx, 0, on_turn, j);
    else
        sets_end(j, SL_E_NO_MEMORY, (sl_str){ 0 }, "out of memory");
}

bool sets_begin(struct contacts *all)
{
    if (!all->report)
        return false;
    crm_want(&all->crm, on_index, all->report);
    return true;
}

void sets_close(struct contacts *all)
{
    struct sets_job *j = all->report;
    const sl_host *h = all->sf->host;

    if (!j)
        return;
    if (j->timer)
        h->timer_cancel(h->ctx, j->timer);
    all->report = NULL;
    j->cb(j->ctx, SL_E_CANCELLED, (sl_str){ 0 }, str_of("the endpoint is being closed"));
    sets_destroy(j->sets);
    free(j);
}

static void refuse(sl_report_cb cb, void *ctx, sl_status status, const char *why)
{
    cb(ctx, status, (sl_str){ 0 }, str_of(why));
}

void sets_report(void *self, sl_str name, sl_report_cb cb, void *cb_ctx)
{
    struct contacts *all = ((struct salesforce *)self)->contacts;
    struct sets_job *j;

    if (!str_is(name, "duplicates")) {
        refuse(cb, cb_ctx, SL_E_NOT_FOUND, "there is no such report; there is: duplicates");
    } else if (!all->crm.external_id) {
        refuse(cb, cb_ctx, SL_E_UNSUPPORTED,
               "contacts.external_id of the endpoint is not given; the report wants it");
    } else if (all->report) {
        refuse(cb, cb_ctx, SL_E_LIMIT, "the report is being made already");
    } else if (!(j = calloc(1, sizeof(*j)))) {
        refuse(cb, cb_ctx, SL_E_NO_MEMORY, "out of memory");
    } else {
        *j = (struct sets_job){ .all = all, .cb = cb, .ctx = cb_ctx };
        all->report = j;
        if (!all->queue)
            sets_begin(all);
    }
}
