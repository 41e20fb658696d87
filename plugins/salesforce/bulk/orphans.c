/*
 * orphans.c - jobs of ours whose id was never learnt: the answer to a create was lost, or a crash
 * came before the id was durable. Such a job is empty and does nothing, but it stands Open in the
 * org's list for a day.
 *
 * Salesforce gives a job no name of the client's choice, so it is known by all that is known of it:
 * Open, made by our user, for this object, operation and field, within the time in which the create
 * can have been carried out - and no job that one of our batches has. For that no create of ours
 * may be under way while the list is read, and none begins: see gate_wake().
 */
#include "job.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "org/when.h"
#include "reap.h"

#define TURN_JOBS 100
#define MAX_PAGES 200 /* of 1,000 jobs */
#define MAX_TRIES 3
#define SETTLE_MS 500
#define NEAR_MS   60000  /* Date has whole seconds, and answers take a while */
#define FAR_MS    900000 /* the clocks were never compared */
#define LATE_MS   600000 /* Salesforce's own limit for a request */

/* ---- the gate ------------------------------------------------------------------------------ */

#define BIT(state) (1u << (state))
#define MAKES      (BIT(JOB_INTENDING) | BIT(JOB_CREATING))
#define SEARCHES   (BIT(JOB_LISTING) | BIT(JOB_SIFTING) | BIT(JOB_REMOVING))

/* Is another job of the endpoint in one of these states, or waiting to search? */
static bool others_in(const struct job *j, uint32_t states, bool or_wanting)
{
    for (const struct job *o = j->sf->jobs; o; o = o->next)
        if (o != j && ((BIT(o->state) & states) ||
                       (or_wanting && o->state == JOB_BARRED && o->search.wanted && !o->timer)))
            return true;
    return false;
}

bool gate_may_create(const struct job *j)
{
    return !others_in(j, SEARCHES, true);
}

bool gate_guards(enum job_state state)
{
    return (BIT(state) & (MAKES | SEARCHES)) != 0;
}

void gate_wake(struct salesforce *sf, const struct job *but)
{
    for (struct job *o = sf->jobs; o; o = o->next)
        if (o != but && o->state == JOB_BARRED && !o->timer)
            job_later(o, 0);
}

/* ---- the list ------------------------------------------------------------------------------ */

static void search_page(struct job *j)
{
    char query[LOCATOR_SIZE + 64];

    snprintf(query, sizeof(query), "?jobType=V2Ingest%s%s",
             j->search.locator[0] ? "&queryLocator=" : "", j->search.locator);
    j->id[0] = '\0';
    job_send(j, JOB_LISTING, "GET", query, NULL, "application/json", (sl_str){ 0 });
}

void orphans_seek(struct job *j, enum search_then then, const char *why)
{
    j->search = (struct search){ .wanted = true, .then = then };
    say(j->search.why, sizeof(j->search.why), "%s", why);
    job_enter(j, JOB_BARRED);
    /* meanwhile what is on its way there arrives, and after a start the other batches come back */
    job_later(j, j->sf->poll_first_ms > SETTLE_MS ? j->sf->poll_first_ms : SETTLE_MS);
}

void orphans_turn(struct job *j)
{
    if (others_in(j, SEARCHES | MAKES, false))
        return; /* gate_wake() calls again */
    j->search.locator[0] = '\0';
    j->search.n_found = 0;
    j->search.pages = 0;
    search_page(j);
}

static void search_end(struct job *j)
{
    char why[sizeof(j->search.why)];
    enum search_then then = j->search.then;

    memcpy(why, j->search.why, sizeof(why));
    text_finish(&j->search.page);
    j->search.wanted = false;
    if (then == THEN_RESTART)
        job_restart(j, NULL, why);
    else
        job_new(j);
}

/* It stays a suspicion: the next checkpoint carries it on. */
static void search_fail(struct job *j, const char *why)
{
    if (++j->search.tries < MAX_TRIES) {
        job_enter(j, JOB_BARRED);
        job_later(j, j->delay_ms);
        return;
    }
    sf_log(
        j->sf, SL_LOG_WARN,
        "batch %llu: a job may have been made whose id is not known, and the list of jobs cannot "
        "be had (%s); if there is one, it is empty and Salesforce removes it after 24 hours",
        (unsigned long long)j->batch->id, why);
    search_end(j);
}

void list_answered(struct job *j, const struct answer *a)
{
    if (a->verdict != ANSWER_OK) {
        if (a->verdict == ANSWER_PARK || a->verdict == ANSWER_REFUSED ||
            a->verdict == ANSWER_NOT_FOUND)
            j->search.tries = MAX_TRIES; /* the create that follows says what is wrong */
        search_fail(j, a->why);
        return;
    }
    text_clear(&j->search.page);
    text_add(&j->search.page, a->body.ptr ? a->body.ptr : "", a->body.len);
    j->search.at = 0;
    job_enter(j, JOB_SIFTING);
    job_later(j, 0);
}

/* ---- one page ------------------------------------------------------------------------------ */

static bool same_user(const char *a, const char *b)
{
    return a && strlen(a) >= 15 && strlen(b) >= 15 && strncmp(a, b, 15) == 0;
}

static bool in_window(const struct job *j, const char *created)
{
    int64_t ms, slack = j->intent.exact ? NEAR_MS : FAR_MS;

    return created && when_iso(str_of(created), &ms) && ms >= j->intent.since_ms - slack &&
           ms <= j->intent.at_ms + LATE_MS + slack;
}

static bool is_known(const struct job *j, const char *id)
{
    for (const struct job *o = j->sf->jobs; o; o = o->next)
        if (strcmp(o->id, id) == 0)
            return true;
    return reap_has(j->sf, id);
}

static bool is_orphan(const struct job *j, const json_t *info)
{
    const struct action *a = j->action;
    const char *id = json_string_value(json_object_get(info, "id"));
    const char *field = json_string_value(json_object_get(info, "externalIdFieldName"));
    const char *operation = json_string_value(json_object_get(info, "operation"));

    return id && is_salesforce_id(str_of(id)) &&
           str_is(str_of(json_string_value(json_object_get(info, "state"))), "Open") &&
           str_is_nocase(str_of(json_string_value(json_object_get(info, "object"))), a->object) &&
           str_is(str_of(operation), operation_names[a->op]) &&
           (a->op != OP_UPSERT || str_is_nocase(str_of(field), a->external_id)) &&
           same_user(json_string_value(json_object_get(info, "createdById")),
                     j->sf->session.user) &&
           in_window(j, json_string_value(json_object_get(info, "createdDate"))) &&
           !is_known(j, id);
}

static void on_removed(void *ctx)
{
    struct job *j = ctx;

    if (j->search.n_found > 0) {
        j->search.n_found--;
        reap_start(j->sf, j->search.found[j->search.n_found], true, on_removed, j);
        return;
    }
    j->intent = (struct intent){ 0 };
    search_end(j);
}

static void search_done(struct job *j)
{
    sf_log(j->sf, j->search.n_found > 0 ? SL_LOG_INFO : SL_LOG_DEBUG,
           "batch %llu: of jobs whose id was never learnt, %zu are in the org's list%s",
           (unsigned long long)j->batch->id, j->search.n_found,
           j->search.n_found > 0 ? " and are removed" : "");
    job_enter(j, JOB_REMOVING);
    on_removed(j);
}

/* Where the next page is; false: this was the last. `rest`: what follows the records. */
static bool next_page(struct job *j, size_t head, sl_str rest)
{
    static const char lead[] = "queryLocator=";
    struct text frame = { 0 };
    json_t *root;
    const char *url, *at;
    size_t n = 0;

    text_add(&frame, j->search.page.ptr, head);
    text_add(&frame, rest.ptr, rest.len);
    root = frame.failed ? NULL : json_loadb(frame.ptr, frame.len, 0, NULL);
    url = json_string_value(json_object_get(root, "nextRecordsUrl"));
    at = url ? strstr(url, lead) : NULL;
    if (at) {
        at += strlen(lead);
        n = strcspn(at, "& \r\n#");
    }
    if (n > 0 && n < LOCATOR_SIZE) {
        memcpy(j->search.locator, at, n);
        j->search.locator[n] = '\0';
    }
    json_decref(root);
    text_finish(&frame);
    return n > 0 && n < LOCATOR_SIZE && ++j->search.pages < MAX_PAGES;
}

/* Behind the "[" of the records. 0: there is none. */
static size_t records_begin(const struct text *page)
{
    static const char name[] = "\"records\"";
    const char *at = page->len > 0 ? memmem(page->ptr, page->len, name, strlen(name)) : NULL;
    const char *open = at ? memchr(at, '[', (size_t)(page->ptr + page->len - at)) : NULL;

    return open ? (size_t)(open - page->ptr) + 1 : 0;
}

/* The next of the records; NULL: no more. SL_E_INVALID by `ret_status`: this is no list. */
static json_t *next_info(struct job *j, sl_status *ret_status)
{
    const struct text *page = &j->search.page;
    json_error_t error;
    json_t *info;

    while (j->search.at < page->len && strchr(" ,\t\r\n", page->ptr[j->search.at]))
        j->search.at++;
    *ret_status = SL_OK;
    if (j->search.at < page->len && page->ptr[j->search.at] == ']')
        return NULL;
    info = json_loadb(page->ptr + j->search.at, page->len - j->search.at, JSON_DISABLE_EOF_CHECK,
                      &error);
    if (!info)
        *ret_status = SL_E_INVALID;
    else
        j->search.at += (size_t)error.position;
    return info;
}

void sift_turn(struct job *j)
{
    size_t begin = records_begin(&j->search.page);
    sl_status status = begin > 0 && !j->search.page.failed ? SL_OK : SL_E_INVALID;
    json_t *info = NULL;

    if (j->search.at == 0)
        j->search.at = begin;
    for (size_t i = 0; status == SL_OK && i < TURN_JOBS; i++) {
        info = next_info(j, &status);
        if (!info)
            break;
        if (is_orphan(j, info) && j->search.n_found < MAX_ORPHANS)
            snprintf(j->search.found[j->search.n_found++], JOB_ID_SIZE, "%s",
                     json_string_value(json_object_get(info, "id")));
        json_decref(info);
    }
    if (status < 0)
        search_fail(j, "it is no list of jobs");
    else if (info)
        job_later(j, 0);
    else if (next_page(
                 j, begin,
                 (sl_str){ j->search.page.ptr + j->search.at, j->search.page.len - j->search.at }))
        search_page(j);
    else
        search_done(j);
}
