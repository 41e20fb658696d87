/*
 * contacts.c - the action, its settings, and batches one after the other.
 */
#include "contact.h"

#include <stdlib.h>
#include <string.h>

#define TURN_RECORDS 50

const sl_option contact_params[] = {
    { "guests", SL_OPT_ENUM, 0, "match", 0, 0, "match|create|skip",
      "records with \"guest\": true: matched like others, always contacts of their own, or not "
      "written" },
    { 0 },
};

/* ---- the handle ---------------------------------------------------------------------------- */

sl_status contacts_bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail)
{
    struct contact_action *a = calloc(1, sizeof(*a));
    sl_str guests = { 0 };

    if (a)
        a->base.object = strdup("Contact");
    if (!a || !a->base.object) {
        free(a);
        return sf_fail(fail, SL_E_NO_MEMORY, "out of memory");
    }
    a->base.op = OP_CONTACT;
    in->values->str(in->params, "guests", &guests);
    a->guests = str_is(guests, "create") ? GUESTS_CREATE
                : str_is(guests, "skip") ? GUESTS_SKIP
                                         : GUESTS_MATCH;
    *ret_handle = a;
    return SL_OK;
}

static sl_status check_name(const sl_values *v, const sl_values_api *api, const char *name,
                            sl_fail *fail)
{
    sl_str s = { 0 };

    if (api->str(v, name, &s) < 0 || s.len == 0 || is_api_name(s))
        return SL_OK;
    return sf_fail(fail, SL_E_INVALID, "%s: \"%.*s\" is not an API name; it reads Ext_Id__c", name,
                   (int)(s.len < 120 ? s.len : 120), s.ptr);
}

sl_status contacts_check(const sl_values *v, const sl_values_api *api, sl_fail *fail)
{
    sl_str s = { 0 };
    sl_status r;

    if (api->str(v, "contacts.external_id", &s) < 0 || s.len == 0)
        return sf_fail(fail, SL_E_INVALID,
                       "contacts.external_id is not given; contact.upsert writes the shop's id of "
                       "a customer there: a field of Contact, External ID and Unique");
    if ((r = check_name(v, api, "contacts.external_id", fail)) < 0)
        return r;
    return check_name(v, api, "contacts.tax_id", fail);
}

void contacts_row_key(const struct salesforce *sf, sl_str body, struct text *to)
{
    struct contact_record r = { 0 };
    struct email e;
    char why[8];

    if (sf->contacts->crm.external_id &&
        record_read(&r, body, sf->contacts->crm.external_id, why, sizeof(why)) == SL_OK) {
        if (r.raw.email.len > 0 && email_normalise(r.raw.email, &e) == SL_OK && !e.role)
            text_add(to, e.text, e.len);
        else
            text_add(to, r.raw.external_id.ptr, r.raw.external_id.len);
    }
    record_finish(&r);
}

/* ---- a batch's life ------------------------------------------------------------------------ */

static void begin(void *ctx);

static void forget_people(struct contact_batch *b)
{
    for (size_t i = 0; i < b->batch->n_records; i++) {
        struct item *it = &b->items[i];

        if (it->who && it->in_index)
            index_drop(&b->all->crm.ix, it->who); /* it was not created, or nobody knows */
        else
            person_free(it->who);
        it->who = NULL;
    }
}

static void batch_free(struct contact_batch *b)
{
    const sl_host *h = b->all->sf->host;

    if (b->timer)
        h->timer_cancel(h->ctx, b->timer);
    record_finish(&b->record);
    text_finish(&b->body);
    text_finish(&b->scratch);
    free(b->items);
    free(b->asked);
    free(b);
}

void contact_later(struct contact_batch *b, void (*turn)(void *ctx))
{
    const sl_host *h = b->all->sf->host;

    b->timer = h->timer(h->ctx, 0, turn, b); /* 0: closing, contacts_close() frees it */
}

void contact_tell(struct contact_batch *b, size_t i, const sl_outcome *o)
{
    b->items[i].fate = FATE_TOLD;
    b->done->outcome(b->done->ctx, i, o);
}

void contact_tell_rest(struct contact_batch *b, uint32_t kind, int64_t after_ms, uint32_t status,
                       uint32_t not_sent, const char *why)
{
    for (size_t i = 0; i < b->batch->n_records; i++)
        if (b->items[i].fate != FATE_TOLD)
            contact_tell(b, i,
                         &(sl_outcome){ .size = sizeof(sl_outcome),
                                        .kind = kind,
                                        .after_ms = after_ms,
                                        .status = status,
                                        .not_sent = not_sent,
                                        .why = str_of(why) });
}

void contact_end(struct contact_batch *b)
{
    struct contacts *all = b->all;
    const sl_done *done = b->done;

    forget_people(b);
    all->queue = b->next;
    batch_free(b);
    if (!all->queue && all->crm.forgets) /* nobody uses it any more */
        crm_forget(&all->crm, false);
    if (!sets_begin(all))
        contacts_go_on(all);
    done->finish(done->ctx);
}

void contacts_go_on(struct contacts *all)
{
    if (all->queue)
        contact_later(all->queue, begin);
}

/* ---- WANTING, MATCHING --------------------------------------------------------------------- */

static void match_turn(void *ctx)
{
    struct contact_batch *b = ctx;

    b->timer = 0;
    for (unsigned n = 0; n < TURN_RECORDS && b->at < b->batch->n_records; n++, b->at++)
        contact_match(b, b->at);
    if (b->at < b->batch->n_records)
        contact_later(b, match_turn);
    else
        contact_recall(b);
}

static void on_index(void *ctx, const struct crm_failure *f)
{
    struct contact_batch *b = ctx;

    if (!f) {
        contact_later(b, match_turn);
        return;
    }
    if (f->verdict == ANSWER_PARK || f->verdict == ANSWER_REFUSED)
        b->done->park(b->done->ctx, str_of(f->why), f->after_ms);
    else
        contact_tell_rest(b, f->verdict == ANSWER_THROTTLED ? SL_THROTTLED : SL_RETRY, f->after_ms,
                          0, 1, f->why);
    contact_end(b);
}

static void begin(void *ctx)
{
    struct contact_batch *b = ctx;

    b->timer = 0;
    crm_want(&b->all->crm, on_index, b);
}

void contacts_deliver(struct salesforce *sf, const struct contact_action *action,
                      const sl_batch *batch, const sl_done *done)
{
    struct contacts *all = sf->contacts;
    struct contact_batch *b = calloc(1, sizeof(*b)), **at;

    if (b) {
        b->items = calloc(batch->n_records + 1, sizeof(*b->items));
        b->asked = calloc(batch->n_records + 1, sizeof(*b->asked));
    }
    if (!b || !b->items || !b->asked) {
        if (b) {
            free(b->items);
            free(b->asked);
        }
        free(b);
        done->park(done->ctx, str_of("out of memory"), 0);
        done->finish(done->ctx);
        return;
    }
    b->all = all;
    b->action = action;
    b->batch = batch;
    b->done = done;
    for (size_t i = 0; i < batch->n_records; i++)
        b->items[i].fate = FATE_ASK; /* not told */
    for (at = &all->queue; *at; at = &(*at)->next)
        ;
    *at = b;
    if (all->queue == b && !all->report)
        contact_later(b, begin);
}

/* ---- the endpoint's ------------------------------------------------------------------------ */

sl_status contacts_open(struct salesforce *sf, sl_fail *fail)
{
    sf->contacts = calloc(1, sizeof(*sf->contacts));
    if (!sf->contacts)
        return sf_fail(fail, SL_E_NO_MEMORY, "out of memory");
    sf->contacts->sf = sf;
    return crm_open(&sf->contacts->crm, sf, fail);
}

/* All, whoever is meant: who is in the CRM still is read from there again. */
void contacts_forget(void *self, const sl_ask *what)
{
    struct contacts *all = ((struct salesforce *)self)->contacts;

    (void)what;
    if (all)
        crm_forget(&all->crm, all->queue || all->report);
}

void contacts_close(struct salesforce *sf)
{
    struct contacts *all = sf->contacts;

    if (!all)
        return;
    while (all->queue) {
        struct contact_batch *b = all->queue;

        all->queue = b->next;
        forget_people(b);
        batch_free(b);
    }
    sets_close(all);
    crm_close(&all->crm);
    free(all);
    sf->contacts = NULL;
}
