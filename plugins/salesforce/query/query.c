/*
 * query.c - the state machine of query.h. The functions stand in the order they happen.
 */
#include "query.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows/csv.h"

#define JSON_TYPE    "application/json; charset=UTF-8"
#define TURN_ROWS    400
#define TURN_BYTES   131072
#define TRANSFER_MS  600000
#define MAX_PAGE     (UINT64_C(16) << 20) /* bytes; a larger page is asked for again in halves */
#define LEAST_PAGE   100                  /* rows */
#define MAX_LOCATOR  200
#define ID_SIZE      32
#define MAX_RESTARTS 1
#define NO_COLUMN    SIZE_MAX

enum query_state {
    QUERY_STARTING,
    QUERY_CREATING, /* POST */
    QUERY_WAITING,  /* a pause before the request of `next` */
    QUERY_ASKING,   /* GET the job */
    QUERY_FETCHING, /* GET a page */
    QUERY_READING,  /* its rows, in turns */
    QUERY_ABORTING, /* PATCH Aborted, whatever comes of it */
    QUERY_DELETING, /* DELETE, whatever comes of it */
};

struct query {
    struct salesforce *sf;
    struct query *prev, *next;
    struct query_ask ask;
    enum query_state state, after_wait;
    struct call call;
    uint64_t timer; /* 0: none */
    bool over;      /* the end was told, or is not wanted any more */
    bool held;
    bool running; /* the job is not in a final state, as far as is known */

    struct text body; /* of the create */
    char *soql;
    char id[ID_SIZE];
    char locator[MAX_LOCATOR]; /* of the page in hand; empty: the first */
    char next_locator[MAX_LOCATOR];
    uint32_t page_rows;
    char *page; /* own; the reader works in it */
    struct csv_reader csv;
    sl_str *fields; /* in the order of ask.columns */
    size_t *places; /* of each column in the page */
    size_t n_columns, width;
    uint64_t said;  /* rows that the page's head announces */
    uint64_t at;    /* rows read of the page in hand */
    uint64_t given; /* rows of it that row() had already, of an earlier fetch too */
    uint64_t rows;  /* given in all */
    unsigned restarts;
    uint64_t since_ms; /* monotonic: the last thing that went well */
    int64_t delay_ms;
    char created[40];
};

static void query_send(struct query *q, enum query_state state);

/* ---- life ---------------------------------------------------------------------------------- */

static void drop_page(struct query *q)
{
    csv_finish(&q->csv);
    free(q->page);
    q->page = NULL;
}

static void query_free(struct query *q)
{
    const sl_host *h = q->sf->host;

    if (q->timer)
        h->timer_cancel(h->ctx, q->timer);
    if (q->prev)
        q->prev->next = q->next;
    else if (q->sf->queries == q)
        q->sf->queries = q->next;
    if (q->next)
        q->next->prev = q->prev;
    drop_page(q);
    text_finish(&q->body);
    free(q->fields);
    free(q->places);
    free(q->soql);
    free(q);
}

void query_close(struct salesforce *sf)
{
    while (sf->queries)
        query_free(sf->queries);
}

/* What is left at Salesforce is taken away; its answer matters to nobody. */
static void query_leave(struct query *q)
{
    q->over = true;
    drop_page(q);
    if (!q->id[0])
        query_free(q);
    else
        query_send(q, q->running ? QUERY_ABORTING : QUERY_DELETING);
}

static void query_tell(struct query *q, const struct query_end *end)
{
    if (!q->over) {
        q->over = true;
        q->ask.end(q->ask.ctx, end);
    }
    query_leave(q);
}

static void query_fail(struct query *q, enum verdict verdict, int64_t after_ms, const char *why)
{
    struct query_end end = { .verdict = verdict, .after_ms = after_ms, .rows = q->rows };

    memcpy(end.created, q->created, sizeof(end.created));
    say(end.why, sizeof(end.why), "%s", why);
    if (verdict == ANSWER_PARK)
        q->id[0] = '\0'; /* no call more than needed: the job expires by itself */
    query_tell(q, &end);
}

static void query_done(struct query *q)
{
    struct query_end end = { .ok = true, .rows = q->rows };

    memcpy(end.created, q->created, sizeof(end.created));
    query_tell(q, &end);
}

/* ---- turns --------------------------------------------------------------------------------- */

static void on_turn(void *ctx);

static void query_later(struct query *q, int64_t ms)
{
    const sl_host *h = q->sf->host;

    q->timer = h->timer(h->ctx, ms, on_turn, q); /* 0: closing; query_close() frees it */
}

static void went_well(struct query *q)
{
    q->since_ms = q->sf->host->mono_ms(q->sf->host->ctx);
    q->delay_ms = q->sf->poll_first_ms;
}

/* Pause, then send the request of `next`. */
static void query_wait(struct query *q, enum query_state next, int64_t at_least_ms)
{
    int64_t ms = q->delay_ms > at_least_ms ? q->delay_ms : at_least_ms;

    q->delay_ms = q->delay_ms * 2 < q->sf->poll_cap_ms ? q->delay_ms * 2 : q->sf->poll_cap_ms;
    q->after_wait = next;
    q->state = QUERY_WAITING;
    query_later(q, ms);
}

/* The same again later, unless that has been said for too long. */
static void query_again(struct query *q, enum query_state next, const struct answer *a)
{
    uint64_t now = q->sf->host->mono_ms(q->sf->host->ctx);

    if (now - q->since_ms >= (uint64_t)q->ask.patience_ms)
        query_fail(q, a->verdict == ANSWER_OK ? ANSWER_BUSY : a->verdict, a->after_ms, a->why);
    else
        query_wait(q, next, a->after_ms);
}

/* A new job, as long as no row of the old one was given. */
static void query_restart(struct query *q, enum verdict verdict, const char *why)
{
    if (q->rows > 0 || q->given > 0 || q->restarts++ >= MAX_RESTARTS) {
        q->running = false;
        query_fail(q, verdict, 0, why);
        return;
    }
    sf_log(q->sf, SL_LOG_INFO, "a query gets a new job: %s", why);
    q->id[0] = q->locator[0] = '\0';
    query_send(q, QUERY_CREATING);
}

/* ---- requests ------------------------------------------------------------------------------ */

static void on_answer(void *ctx, const struct answer *a);

static void set_path(struct query *q, enum query_state state)
{
    sl_str version = q->sf->api_version;
    struct text locator = { 0 };
    char page[32 + MAX_LOCATOR * 3 + 16] = "";

    if (state == QUERY_FETCHING) {
        text_escaped(&locator, str_of(q->locator));
        snprintf(page, sizeof(page), "/results?maxRecords=%u%s%s", q->page_rows,
                 q->locator[0] ? "&locator=" : "", q->locator[0] ? locator.ptr : "");
        text_finish(&locator);
    }
    snprintf(q->call.path, sizeof(q->call.path), "/services/data/v%.*s/jobs/query%s%s%s",
             (int)version.len, version.ptr, q->id[0] ? "/" : "", q->id, page);
}

/* Comes last in its caller. */
static void query_send(struct query *q, enum query_state state)
{
    static const char *const methods[] = { [QUERY_CREATING] = "POST",
                                           [QUERY_ASKING] = "GET",
                                           [QUERY_FETCHING] = "GET",
                                           [QUERY_ABORTING] = "PATCH",
                                           [QUERY_DELETING] = "DELETE" };
    bool page = state == QUERY_FETCHING;
    bool sends = state == QUERY_CREATING || state == QUERY_ABORTING;

    q->state = state;
    q->call = (struct call){ .sf = q->sf,
                             .method = str_of(methods[state]),
                             .type = sends ? JSON_TYPE : NULL,
                             .accept = page                      ? "text/csv"
                                       : state != QUERY_DELETING ? "application/json"
                                                                 : NULL,
                             .total_ms = page ? TRANSFER_MS : 0,
                             .max_answer = page ? MAX_PAGE : 0,
                             .cb = on_answer,
                             .ctx = q };
    if (state == QUERY_CREATING)
        q->call.body = text_view(&q->body);
    else if (state == QUERY_ABORTING)
        q->call.body = str_of("{\"state\":\"Aborted\"}");
    set_path(q, state);
    call_start(&q->call);
}

/* ---- CREATING ------------------------------------------------------------------------------ */

/* Goes into URLs: 15 or 18 letters and digits. */
static bool take_id(struct query *q, const char *id)
{
    size_t n = id ? strlen(id) : 0;

    if (n == 0 || n >= ID_SIZE ||
        strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != n)
        return false;
    memcpy(q->id, id, n + 1);
    return true;
}

static void take_job(struct query *q, const struct answer *a)
{
    json_t *root = json_loadb(a->body.ptr ? a->body.ptr : "", a->body.len, 0, NULL);
    const char *created = json_string_value(json_object_get(root, "createdDate"));
    bool ok = take_id(q, json_string_value(json_object_get(root, "id")));

    say(q->created, sizeof(q->created), "%s", created ? created : "");
    json_decref(root);
    if (!ok) {
        query_fail(q, ANSWER_BUSY, 0, "Salesforce's answer to the new query job holds no job id");
        return;
    }
    q->running = true;
    if (q->over) {
        query_leave(q);
        return;
    }
    went_well(q);
    query_wait(q, QUERY_ASKING, 0);
}

static void on_created(struct query *q, const struct answer *a)
{
    if (q->over && a->verdict != ANSWER_OK) {
        query_leave(q);
        return;
    }
    switch (a->verdict) {
    case ANSWER_OK:
        take_job(q, a);
        break;
    case ANSWER_LOST: /* perhaps an orphan, which ends by itself and changes nothing */
    case ANSWER_BUSY:
    case ANSWER_NOT_SENT:
    case ANSWER_THROTTLED:
        query_again(q, QUERY_CREATING, a);
        break;
    default:
        query_fail(q, a->verdict, a->after_ms, a->why);
    }
}

/* ---- ASKING -------------------------------------------------------------------------------- */

static void on_state(struct query *q, const char *state)
{
    sl_str s = str_of(state);
    char why[200];

    if (str_is(s, "JobComplete")) {
        q->running = false;
        went_well(q);
        query_send(q, QUERY_FETCHING);
    } else if (str_is(s, "Failed")) {
        q->running = false;
        say(why, sizeof(why),
            "query job %s failed, and Salesforce does not say why; check its fields, its filters "
            "and what the user may see",
            q->id);
        query_fail(q, ANSWER_REFUSED, 0, why);
    } else if (str_is(s, "Aborted")) {
        say(why, sizeof(why), "query job %s was aborted by someone", q->id);
        query_restart(q, ANSWER_BUSY, why);
    } else {
        struct answer slow = { .verdict = ANSWER_OK };

        say(slow.why, sizeof(slow.why), "query job %s gave no results within %s(%lld s)", q->id,
            q->ask.patience_ms == q->sf->job_timeout_ms ? "job_timeout " : "",
            (long long)q->ask.patience_ms / 1000);
        query_again(q, QUERY_ASKING, &slow);
    }
}

static void on_asked(struct query *q, const struct answer *a)
{
    json_t *root;

    if (a->verdict == ANSWER_OK) {
        root = json_loadb(a->body.ptr ? a->body.ptr : "", a->body.len, 0, NULL);
        on_state(q, json_string_value(json_object_get(root, "state")));
        json_decref(root);
    } else if (a->verdict == ANSWER_NOT_FOUND) {
        query_restart(q, a->verdict, a->why);
    } else if (a->verdict == ANSWER_PARK) {
        query_fail(q, a->verdict, a->after_ms, a->why);
    } else {
        query_again(q, QUERY_ASKING, a);
    }
}

/* ---- FETCHING ------------------------------------------------------------------------------ */

static sl_str header_of(const struct answer *a, const char *name)
{
    for (size_t i = 0; i < a->n_headers; i++)
        if (str_is_nocase(a->headers[i].name, name))
            return a->headers[i].value;
    return (sl_str){ 0 };
}

/* Where the page ends and how many rows it has. */
static const char *take_heads(struct query *q, const struct answer *a)
{
    sl_str locator = header_of(a, "Sforce-Locator");
    sl_str rows = header_of(a, "Sforce-NumberOfRecords");
    char text[24];

    if (locator.len == 0 || locator.len >= MAX_LOCATOR)
        return "a page of results came without a usable Sforce-Locator, so that its end is not "
               "known; a proxy may have taken it away";
    memcpy(q->next_locator, locator.ptr, locator.len);
    q->next_locator[locator.len] = '\0';
    if (strcmp(q->next_locator, q->locator) == 0)
        return "a page of results names itself as the next one (Sforce-Locator)";
    say(text, sizeof(text), "%.*s", (int)(rows.len < 20 ? rows.len : 20), rows.len ? rows.ptr : "");
    q->said = rows.len > 0 ? strtoull(text, NULL, 10) : UINT64_MAX;
    return NULL;
}

/* NUL bytes have been seen in results. */
static size_t copy_without_nul(char *to, sl_str from)
{
    const char *p = from.ptr, *end = p + from.len, *nul;
    size_t n = 0;

    while (p < end) {
        nul = memchr(p, '\0', (size_t)(end - p));
        memcpy(to + n, p, (size_t)((nul ? nul : end) - p));
        n += (size_t)((nul ? nul : end) - p);
        p = nul ? nul + 1 : end;
    }
    return n;
}

/* Its header: where each column is. 1: there are rows perhaps; 0: an empty page; less: no page. */
static int read_header(struct query *q, char *why, size_t why_size)
{
    int got = csv_next(&q->csv);

    if (got <= 0) {
        say(why, why_size, "a page of results is not CSV");
        return got;
    }
    q->width = q->csv.n;
    for (size_t i = 0; i < q->n_columns; i++) {
        q->places[i] = NO_COLUMN;
        for (size_t k = 0; k < q->csv.n; k++)
            if (str_is_nocase(q->csv.fields[k], q->ask.columns[i]))
                q->places[i] = k;
        if (q->places[i] == NO_COLUMN) {
            say(why, why_size, "the results have no column %s", q->ask.columns[i]);
            return SL_E_NOT_FOUND;
        }
    }
    return 1;
}

static void take_page(struct query *q, const struct answer *a)
{
    struct answer torn = { .verdict = ANSWER_LOST };
    const char *wrong = take_heads(q, a);
    int got = 0;

    if (wrong) {
        query_fail(q, ANSWER_REFUSED, 0, wrong);
        return;
    }
    q->at = 0;
    q->page = malloc(a->body.len + 1);
    if (!q->page) {
        say(torn.why, sizeof(torn.why), "out of memory");
        query_again(q, QUERY_FETCHING, &torn);
        return;
    }
    csv_open(&q->csv, q->page, copy_without_nul(q->page, a->body));
    got = read_header(q, torn.why, sizeof(torn.why));
    if (got == SL_E_NOT_FOUND) {
        query_fail(q, ANSWER_REFUSED, 0, torn.why);
    } else if (got < 0) {
        drop_page(q);
        query_again(q, QUERY_FETCHING, &torn);
    } else {
        if (got == 0 && q->said == UINT64_MAX)
            q->said = 0;
        q->state = QUERY_READING;
        query_later(q, 0);
    }
}

static void on_fetched(struct query *q, const struct answer *a)
{
    if (a->verdict == ANSWER_OK) {
        take_page(q, a);
    } else if (a->verdict == ANSWER_NOT_FOUND) {
        query_restart(q, a->verdict, a->why);
    } else if (a->verdict == ANSWER_PARK || a->verdict == ANSWER_REFUSED) {
        query_fail(q, a->verdict, a->after_ms, a->why);
    } else if (a->too_large && q->page_rows > LEAST_PAGE) {
        q->page_rows /= 2;
        q->given = 0; /* none of a page that never came */
        query_send(q, QUERY_FETCHING);
    } else {
        query_again(q, QUERY_FETCHING, a);
    }
}

/* ---- READING ------------------------------------------------------------------------------- */

enum turn { TURN_MORE, TURN_DONE, TURN_TORN, TURN_STOPPED };

static enum turn read_rows(struct query *q)
{
    size_t bytes = 0;

    for (unsigned n = 0; n < q->ask.turn_rows && bytes < TURN_BYTES; n++) {
        const char *from = q->csv.p;
        int got;

        if (q->held)
            return TURN_MORE;
        got = q->said > 0 ? csv_next(&q->csv) : 0;
        if (got == 0)
            return q->said == UINT64_MAX || q->at == q->said ? TURN_DONE : TURN_TORN;
        if (got < 0 || q->csv.n != q->width)
            return TURN_TORN;
        bytes += (size_t)(q->csv.p - from);
        if (q->at++ < q->given)
            continue;
        q->given++;
        q->rows++;
        for (size_t i = 0; i < q->n_columns; i++)
            q->fields[i] = q->csv.fields[q->places[i]];
        if (!q->ask.row(q->ask.ctx, q->fields))
            return TURN_STOPPED;
    }
    return TURN_MORE;
}

static void next_page(struct query *q)
{
    drop_page(q);
    went_well(q);
    if (strcmp(q->next_locator, "null") == 0) {
        query_done(q);
        return;
    }
    memcpy(q->locator, q->next_locator, sizeof(q->locator));
    q->given = 0;
    query_send(q, QUERY_FETCHING);
}

static void read_turn(struct query *q)
{
    struct answer torn = { .verdict = ANSWER_LOST, .why = "a page of results ends too early" };

    switch (read_rows(q)) {
    case TURN_MORE:
        if (!q->held)
            query_later(q, 0);
        break;
    case TURN_DONE:
        next_page(q);
        break;
    case TURN_TORN:
        drop_page(q);
        query_again(q, QUERY_FETCHING, &torn);
        break;
    case TURN_STOPPED:
        query_fail(q, ANSWER_REFUSED, 0, "the reader wanted no more rows");
        break;
    }
}

static void on_turn(void *ctx)
{
    struct query *q = ctx;

    q->timer = 0;
    if (q->state == QUERY_READING)
        read_turn(q);
    else
        query_send(q, q->state == QUERY_WAITING ? q->after_wait : QUERY_CREATING);
}

/* ---- all answers --------------------------------------------------------------------------- */

static void on_answer(void *ctx, const struct answer *a)
{
    struct query *q = ctx;

    if (a->verdict == ANSWER_CANCELLED || q->state == QUERY_DELETING) {
        query_free(q);
    } else if (q->state == QUERY_ABORTING) {
        query_send(q, QUERY_DELETING);
    } else if (q->state == QUERY_CREATING) {
        on_created(q, a);
    } else if (q->over) { /* cancelled meanwhile */
        query_leave(q);
    } else if (q->state == QUERY_ASKING) {
        on_asked(q, a);
    } else {
        assert(q->state == QUERY_FETCHING);
        on_fetched(q, a);
    }
}

/* ---- the reader's side --------------------------------------------------------------------- */

static bool make_body(struct query *q)
{
    json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:s}", "operation",
                             q->ask.all ? "queryAll" : "query", "query", q->soql, "contentType",
                             "CSV", "columnDelimiter", "COMMA", "lineEnding", "LF");
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

    if (text)
        text_str(&q->body, text);
    free(text);
    json_decref(root);
    return text && !q->body.failed;
}

struct query *query_start(struct salesforce *sf, const struct query_ask *ask)
{
    struct query *q = calloc(1, sizeof(*q));

    if (!q)
        return NULL;
    q->sf = sf;
    q->ask = *ask;
    q->soql = strdup(ask->soql);
    q->ask.patience_ms = ask->patience_ms ? ask->patience_ms : sf->job_timeout_ms;
    q->ask.turn_rows = ask->turn_rows ? ask->turn_rows : TURN_ROWS;
    q->page_rows = ask->page_rows ? ask->page_rows : QUERY_PAGE_ROWS;
    while (ask->columns[q->n_columns])
        q->n_columns++;
    q->fields = calloc(q->n_columns + 1, sizeof(*q->fields));
    q->places = calloc(q->n_columns + 1, sizeof(*q->places));
    if (!q->soql || !q->fields || !q->places || !make_body(q)) {
        query_free(q);
        return NULL;
    }
    q->next = sf->queries;
    if (q->next)
        q->next->prev = q;
    sf->queries = q;
    went_well(q);
    query_later(q, 0);
    return q;
}

void query_hold(struct query *q)
{
    q->held = true;
}

void query_go_on(struct query *q)
{
    q->held = false;
    if (q->state == QUERY_READING && !q->timer)
        query_later(q, 0);
}

void query_cancel(struct query *q)
{
    const sl_host *h = q->sf->host;

    q->over = true;
    if (q->state != QUERY_STARTING && q->state != QUERY_WAITING && q->state != QUERY_READING)
        return; /* a request is out: its answer comes first */
    if (q->timer)
        h->timer_cancel(h->ctx, q->timer);
    q->timer = 0;
    query_leave(q);
}
