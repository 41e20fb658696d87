/*
 * crm.c - reading contacts and accounts.
 */
#include "crm.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LATE_S 300 /* transactions that began before the watermark may end so much later */

enum { A_ID, A_NAME, A_WEBSITE, A_DELETED, A_TAX };
enum {
    C_ID,
    C_FIRST,
    C_LAST,
    C_EMAIL,
    C_PHONE,
    C_MOBILE,
    C_ACCOUNT,
    C_COUNTRY,
    C_CREATED,
    C_DELETED,
    C_MASTER,
    C_EXTERNAL,
    C_COUNT
};

/* ---- settings ------------------------------------------------------------------------------ */

static char *own(const struct salesforce *sf, const char *name)
{
    sl_str s = { 0 };

    if (sf->host->values->str(sf->host->settings, name, &s) < 0 || s.len == 0)
        return NULL;
    return strndup(s.ptr, s.len);
}

static sl_status read_freemail(struct crm *c)
{
    sl_str text = { 0 };
    json_t *list, *one;
    size_t i;

    if (c->sf->host->values->json(c->sf->host->settings, "contacts.freemail", &text) < 0)
        return SL_OK;
    list = json_loadb(text.ptr, text.len, 0, NULL);
    c->freemail = calloc(json_array_size(list) + 1, sizeof(*c->freemail));
    json_array_foreach(list, i, one)
    {
        struct text domain = { 0 };

        domain_normalise(str_of(json_string_value(one)), &domain);
        if (c->freemail)
            c->freemail[i] = domain.ptr ? domain.ptr : strdup("");
        else
            text_finish(&domain);
    }
    json_decref(list);
    c->ix.freemail = (const char *const *)c->freemail;
    return c->freemail ? SL_OK : SL_E_NO_MEMORY;
}

sl_status crm_open(struct crm *c, struct salesforce *sf, sl_fail *fail)
{
    c->sf = sf;
    c->external_id = own(sf, "contacts.external_id");
    c->tax_id = own(sf, "contacts.tax_id");
    c->country = own(sf, "contacts.country");
    c->ix.country = c->country;
    c->refresh_ms = 0;
    sf->host->values->num(sf->host->settings, "contacts.refresh", &c->refresh_ms);
    sf->host->values->num(sf->host->settings, "contacts.most", &c->most);
    return read_freemail(c) < 0 ? sf_fail(fail, SL_E_NO_MEMORY, "out of memory") : SL_OK;
}

void crm_close(struct crm *c)
{
    if (c->timer)
        c->sf->host->timer_cancel(c->sf->host->ctx, c->timer);
    index_finish(&c->ix);
    for (char **one = c->freemail; one && *one; one++)
        free(*one);
    free(c->freemail);
    free(c->external_id);
    free(c->tax_id);
    free(c->country);
    *c = (struct crm){ 0 };
}

/* ---- rows ---------------------------------------------------------------------------------- */

static bool full(struct crm *c)
{
    c->too_many = (int64_t)c->ix.by_id.n >= c->most;
    return c->too_many;
}

static bool on_account(void *ctx, const sl_str *f)
{
    struct crm *c = ctx;

    if (str_is_nocase(f[A_DELETED], "true")) {
        index_remove_account(&c->ix, f[A_ID]);
        return true;
    }
    return index_put_account(&c->ix, f[A_ID], f[A_NAME], c->tax_id ? f[A_TAX] : (sl_str){ 0 },
                             f[A_WEBSITE]) == SL_OK;
}

static bool on_contact(void *ctx, const sl_str *f)
{
    struct crm *c = ctx;
    struct raw_person raw = { .id = f[C_ID],
                              .external_id = f[C_EXTERNAL],
                              .first = f[C_FIRST],
                              .last = f[C_LAST],
                              .email = f[C_EMAIL],
                              .phone = { f[C_PHONE], f[C_MOBILE] },
                              .account = f[C_ACCOUNT],
                              .country = f[C_COUNTRY],
                              .created = f[C_CREATED] };

    if (str_is_nocase(f[C_DELETED], "true")) {
        if (f[C_MASTER].len > 0)
            return index_merge(&c->ix, f[C_ID], f[C_EXTERNAL], f[C_MASTER]) == SL_OK;
        index_remove(&c->ix, f[C_ID]);
        return true;
    }
    for (size_t i = 0; i < C_COUNT; i++)
        raw.filled += f[i].len > 0;
    return !full(c) && index_put(&c->ix, &raw) == SL_OK;
}

/* ---- reading ------------------------------------------------------------------------------- */

static void on_read(void *ctx, const struct query_end *end);

/* Five minutes before "2026-11-20T10:15:00.000+0000", as SOQL writes it. */
static void watermark_of(const char *created, char *to, size_t size)
{
    struct tm tm = { 0 };
    time_t at;

    to[0] = '\0';
    if (!strptime(created, "%Y-%m-%dT%H:%M:%S", &tm))
        return;
    at = timegm(&tm) - LATE_S;
    gmtime_r(&at, &tm);
    strftime(to, size, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static void crm_end(struct crm *c, const struct crm_failure *failure)
{
    c->query = NULL;
    if (!failure) {
        c->loaded = true;
        c->stale = false;
        c->read_ms = c->sf->host->mono_ms(c->sf->host->ctx);
        memcpy(c->since, c->next_since, sizeof(c->since));
    }
    c->cb(c->ctx, failure);
}

static void crm_read(struct crm *c, bool contacts)
{
    const char *accounts[] = { "Id", "Name", "Website", "IsDeleted", c->tax_id, NULL };
    const char *people[] = { "Id",          "FirstName",   "LastName",       "Email",
                             "Phone",       "MobilePhone", "AccountId",      "MailingCountry",
                             "CreatedDate", "IsDeleted",   "MasterRecordId", c->external_id,
                             NULL };
    struct text soql = { 0 };
    struct query_ask ask = { .all = contacts || c->since[0],
                             .columns = c->columns,
                             .row = contacts ? on_contact : on_account,
                             .end = on_read,
                             .ctx = c };

    memcpy(c->columns, contacts ? people : accounts, contacts ? sizeof(people) : sizeof(accounts));
    text_str(&soql, "SELECT ");
    for (size_t i = 0; c->columns[i]; i++) {
        text_str(&soql, i > 0 ? ", " : "");
        text_str(&soql, c->columns[i]);
    }
    text_str(&soql, contacts ? " FROM Contact" : " FROM Account");
    if (c->since[0]) {
        text_str(&soql, " WHERE SystemModstamp >= ");
        text_str(&soql, c->since);
    } else if (contacts) { /* what the bin still knows of merges */
        text_str(&soql, " WHERE IsDeleted = false OR MasterRecordId != null");
    }
    ask.soql = soql.ptr;
    c->contacts = contacts;
    c->query = soql.failed ? NULL : query_start(c->sf, &ask);
    text_finish(&soql);
    if (!c->query)
        crm_end(c, &(struct crm_failure){ ANSWER_BUSY, 0, "out of memory" });
}

static void on_read(void *ctx, const struct query_end *end)
{
    struct crm *c = ctx;

    c->query = NULL;
    if (!end->ok) {
        if (c->too_many)
            say(c->why, sizeof(c->why),
                "the org has more contacts than contacts.most (%lld) lets into memory; about half "
                "a kilobyte each",
                (long long)c->most);
        else
            say(c->why, sizeof(c->why), "the %s of the org could not be read: %s",
                c->contacts ? "contacts" : "accounts", end->why);
        crm_end(c, &(struct crm_failure){ end->verdict, end->after_ms, c->why });
    } else if (!c->contacts) {
        watermark_of(end->created, c->next_since, sizeof(c->next_since));
        crm_read(c, true);
    } else {
        sf_log(c->sf, SL_LOG_DEBUG, "the index of contacts %s: %zu contacts, %zu accounts",
               c->loaded ? "is fresh" : "was read", c->ix.by_id.n, c->ix.accounts.n);
        crm_end(c, NULL);
    }
}

void crm_forget(struct crm *c, bool used)
{
    c->forgets = used;
    if (used)
        return;
    index_finish(&c->ix);
    c->ix.freemail = (const char *const *)c->freemail;
    c->ix.country = c->country;
    c->loaded = false;
    c->since[0] = '\0';
}

static void on_turn(void *ctx)
{
    struct crm *c = ctx;
    uint64_t now = c->sf->host->mono_ms(c->sf->host->ctx);

    c->timer = 0;
    if (c->forgets)
        crm_forget(c, false);
    if (c->loaded && !c->stale && now - c->read_ms < (uint64_t)c->refresh_ms)
        c->cb(c->ctx, NULL);
    else
        crm_read(c, false);
}

void crm_want(struct crm *c, crm_cb cb, void *ctx)
{
    const sl_host *h = c->sf->host;

    c->cb = cb;
    c->ctx = ctx;
    c->timer = h->timer(h->ctx, 0, on_turn, c); /* 0 when closing: then nobody waits */
}
