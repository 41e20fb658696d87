/*
 * feed.c - one poll of a feed.
 *
 *   ASKING - (up to REST_ROWS rows: TELLING | more: READING, a bulk query) - STORING ... - (told)
 *
 * The first question is a REST query with a limit. An answer that is full means that there may be
 * more, in no order: then all of it is read by a bulk query, whose pages come in turns. Rows are
 * emitted a few at a time; each STORE_ROWS of them become durable with the cursor as it was, since
 * pages have no order, and the last of them with the new one.
 */
#include "feed.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iso_time.h"
#include "org/when.h"
#include "query/compare.h"
#include "query/query.h"

#define REST_ROWS   500
#define TURN_ROWS   50 /* each is described as it is emitted */
#define STORE_ROWS  500
#define STORE_BYTES (1 << 20)

enum next { NEXT_GO_ON, NEXT_FINISH }; /* after a checkpoint */

struct feed_poll {
    struct salesforce *sf;
    const struct feed *feed;
    const sl_poll_out *out;
    struct feed_poll *prev, *next_poll; /* sf->polls */
    char upto[32];                      /* the cursor: RFC 3339 in UTC; "": none */
    char newest[32];                    /* of the rows, and of Salesforce's clock */
    struct call call;                   /* ASKING */
    struct text path;
    json_t *page;        /* own: TELLING */
    size_t at;           /* its rows told */
    struct query *query; /* READING; gone with its end */
    struct query_end end;
    bool ended; /* the bulk query has: `end` */
    bool storing;
    size_t emitted, bytes; /* since the last checkpoint */
    size_t turn;           /* rows in this turn */
    enum next next;
    char why[600]; /* a row could not be emitted; "" */
    uint64_t timer;
};

/* ---- life ---------------------------------------------------------------------------------- */

static void poll_free(struct feed_poll *p)
{
    const sl_host *h = p->sf->host;

    if (p->timer)
        h->timer_cancel(h->ctx, p->timer);
    if (p->prev)
        p->prev->next_poll = p->next_poll;
    else
        p->sf->polls = p->next_poll;
    if (p->next_poll)
        p->next_poll->prev = p->prev;
    text_finish(&p->path);
    json_decref(p->page);
    free(p);
}

void feed_close(struct salesforce *sf)
{
    while (sf->polls)
        poll_free(sf->polls);
}

static void finish(struct feed_poll *p, sl_status status, const char *why, int64_t after_ms)
{
    const sl_poll_out *out = p->out;
    char text[600];

    say(text, sizeof(text), "%s", why);
    poll_free(p);
    out->finish(out->ctx, status, str_of(text), after_ms);
}

/* ---- STORING ------------------------------------------------------------------------------- */

static void go_on(struct feed_poll *p);

static void on_stored(void *ctx, sl_status status)
{
    struct feed_poll *p = ctx;

    p->storing = false;
    p->emitted = p->bytes = 0;
    if (status != SL_OK) {
        if (p->query && !p->ended)
            query_cancel(p->query);
        finish(p, status, "what was found could not be stored", 0);
    } else if (p->next == NEXT_FINISH) {
        finish(p, SL_OK, "", 0);
    } else {
        go_on(p);
    }
}

static void store(struct feed_poll *p, const char *upto, enum next next)
{
    char cursor[300];

    snprintf(cursor, sizeof(cursor), "{\"v\":1,\"object\":\"%s\",\"upto\":\"%s\"}", p->feed->object,
             upto);
    p->storing = true;
    p->next = next;
    p->out->checkpoint(p->out->ctx, str_of(upto[0] ? cursor : ""), on_stored, p);
}

/* All rows were told: on from Salesforce's time as it was asked. */
static void store_last(struct feed_poll *p)
{
    feed_later(p->newest, p->upto);
    store(p, p->newest, NEXT_FINISH);
}

/* ---- rows ---------------------------------------------------------------------------------- */

static void tell_row(struct feed_poll *p, const sl_str *fields)
{
    char at[TIME_TEXT_SIZE];
    char *body = feed_body(p->feed, fields);
    sl_status r = body ? p->out->emit(p->out->ctx, str_of(p->feed->topic), str_of(body))
                       : SL_E_NO_MEMORY;

    p->turn++;
    if (r == SL_OK) {
        p->emitted++;
        p->bytes += strlen(body);
    } else {
        say(p->why, sizeof(p->why), "%s %.*s could not be taken over (%d)", p->feed->object,
            (int)fields[FEED_ID].len, fields[FEED_ID].len ? fields[FEED_ID].ptr : "", r);
    }
    free(body);
    if (time_normalise(fields[FEED_STAMP], at) == SL_OK)
        feed_later(p->newest, at);
}

static bool is_full(const struct feed_poll *p)
{
    return p->emitted >= STORE_ROWS || p->bytes >= STORE_BYTES;
}

static void on_turn(void *ctx)
{
    struct feed_poll *p = ctx;

    p->timer = 0;
    go_on(p);
}

static void later(struct feed_poll *p)
{
    p->timer = p->sf->host->timer(p->sf->host->ctx, 0, on_turn, p);
}

/* ---- READING: a bulk query ----------------------------------------------------------------- */

static bool on_row(void *ctx, const sl_str *fields)
{
    struct feed_poll *p = ctx;

    tell_row(p, fields);
    if (p->why[0])
        return false;
    if (p->turn >= TURN_ROWS || is_full(p)) {
        query_hold(p->query);
        later(p);
    }
    return true;
}

static void on_end(void *ctx, const struct query_end *end)
{
    struct feed_poll *p = ctx;

    p->ended = true;
    p->query = NULL;
    p->end = *end;
    if (!p->timer && !p->storing)
        later(p);
}

static void end_of_query(struct feed_poll *p)
{
    char created[TIME_TEXT_SIZE];

    if (p->why[0]) {
        finish(p, SL_E_INVALID, p->why, 0);
    } else if (!p->end.ok) {
        finish(p, errors_status(p->end.verdict), p->end.why, p->end.after_ms);
    } else {
        if (time_normalise(str_of(p->end.created), created) == SL_OK)
            feed_later(p->newest, created);
        store_last(p);
    }
}

static void begin_query(struct feed_poll *p)
{
    struct text soql = { 0 };
    char from[32];
    struct query_ask ask = { .all = p->feed->deleted,
                             .columns = (const char *const *)p->feed->columns,
                             .row = on_row,
                             .end = on_end,
                             .ctx = p };

    feed_earlier(p->upto, p->feed->overlap_ms, from);
    feed_soql(p->feed, from, 0, &soql);
    ask.soql = soql.ptr;
    p->query = soql.failed ? NULL : query_start(p->sf, &ask);
    text_finish(&soql);
    if (!p->query)
        finish(p, SL_E_NO_MEMORY, "no memory for a query", 0);
}

/* ---- TELLING: the rows of one answer ------------------------------------------------------- */

static void text_of(const json_t *value, struct text *to)
{
    char *dumped = NULL;

    if (json_is_string(value))
        text_add(to, json_string_value(value), json_string_length(value));
    else if (value && !json_is_null(value))
        dumped = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    if (dumped)
        text_str(to, dumped);
    free(dumped);
}

static void tell_record(struct feed_poll *p, const json_t *record)
{
    size_t n = p->feed->n_columns;
    sl_str *fields = calloc(n, sizeof(*fields));
    size_t *from = calloc(n + 1, sizeof(*from));
    struct text all = { 0 };

    for (size_t i = 0; fields && from && i < n; i++) {
        text_of(compare_field(record, str_of(p->feed->columns[i])), &all);
        from[i + 1] = all.len;
    }
    if (fields && from && !all.failed) {
        for (size_t i = 0; i < n; i++)
            fields[i] = (sl_str){ all.ptr + from[i], from[i + 1] - from[i] };
        tell_row(p, fields);
    } else {
        say(p->why, sizeof(p->why), "no memory for a row");
    }
    text_finish(&all);
    free(fields);
    free(from);
}

static void tell_page(struct feed_poll *p)
{
    const json_t *records = json_object_get(p->page, "records");

    while (p->at < json_array_size(records) && p->turn < TURN_ROWS && !is_full(p) && !p->why[0])
        tell_record(p, json_array_get(records, p->at++));
    if (p->why[0])
        finish(p, SL_E_INVALID, p->why, 0);
    else if (p->at == json_array_size(records))
        store_last(p);
    else
        later(p);
}

/* A new turn: what is full is stored first. */
static void go_on(struct feed_poll *p)
{
    p->turn = 0;
    if (is_full(p))
        store(p, p->upto, NEXT_GO_ON);
    else if (p->page)
        tell_page(p);
    else if (p->ended)
        end_of_query(p);
    else
        query_go_on(p->query);
}

/* ---- ASKING -------------------------------------------------------------------------------- */

/* Salesforce's clock, or ours if that is behind it: one that runs ahead would skip rows. */
static void take_date(struct feed_poll *p, const struct answer *a)
{
    int64_t now = p->sf->host->wall_ms(p->sf->host->ctx), at;
    char text[32];

    for (size_t i = 0; i < a->n_headers; i++) {
        if (!str_is_nocase(a->headers[i].name, "Date") || !when_http(a->headers[i].value, &at))
            continue;
        feed_time(at < now ? at : now, text);
        feed_later(p->newest, text);
    }
}

static void on_asked(void *ctx, const struct answer *a)
{
    struct feed_poll *p = ctx;

    if (a->verdict != ANSWER_OK && !a->too_large) {
        finish(p, errors_status(a->verdict), a->why, a->after_ms);
        return;
    }
    if (!a->too_large)
        p->page = json_loadb(a->body.ptr ? a->body.ptr : "", a->body.len, 0, NULL);
    if (!a->too_large && !json_is_array(json_object_get(p->page, "records"))) {
        finish(p, SL_E_PROTOCOL, "Salesforce's answer to the query holds no records", 0);
        return;
    }
    if (a->too_large || json_array_size(json_object_get(p->page, "records")) >= REST_ROWS ||
        json_is_false(json_object_get(p->page, "done"))) {
        json_decref(p->page);
        p->page = NULL;
        begin_query(p);
        return;
    }
    take_date(p, a);
    tell_page(p);
}

static void ask(struct feed_poll *p)
{
    struct text soql = { 0 };
    sl_str version = p->sf->api_version;
    char from[32];

    feed_earlier(p->upto, p->feed->overlap_ms, from);
    feed_soql(p->feed, from, REST_ROWS, &soql);
    text_printf(&p->path, "/services/data/v%.*s/query%s?q=", (int)version.len, version.ptr,
                p->feed->deleted ? "All" : "");
    text_escaped(&p->path, text_view(&soql));
    if (soql.failed || p->path.failed) {
        text_finish(&soql);
        finish(p, SL_E_NO_MEMORY, "no memory for a query", 0);
        return;
    }
    text_finish(&soql);
    p->call = (struct call){ .sf = p->sf,
                             .method = str_of("GET"),
                             .long_path = p->path.ptr,
                             .accept = "application/json",
                             .max_answer = STORE_BYTES,
                             .cb = on_asked,
                             .ctx = p };
    call_start(&p->call);
}

/* ---- the beginning ------------------------------------------------------------------------- */

/* Of the same object: of another one it says nothing. */
static void read_cursor(struct feed_poll *p, sl_str cursor)
{
    json_t *o = json_loadb(cursor.ptr ? cursor.ptr : "", cursor.len, 0, NULL);
    const char *object = json_string_value(json_object_get(o, "object"));
    const char *upto = json_string_value(json_object_get(o, "upto"));
    char at[TIME_TEXT_SIZE];

    if (object && upto && str_same_nocase(str_of(object), str_of(p->feed->object)) &&
        time_normalise(str_of(upto), at) == SL_OK)
        say(p->upto, sizeof(p->upto), "%s", at);
    json_decref(o);
}

void feed_start(void *self, void *handle, sl_str cursor, const sl_poll_out *out)
{
    struct salesforce *sf = self;
    struct feed_poll *p = calloc(1, sizeof(*p));

    if (!p) {
        out->finish(out->ctx, SL_E_NO_MEMORY, str_of("no memory for a poll"), 0);
        return;
    }
    p->sf = sf;
    p->feed = handle;
    p->out = out;
    p->next_poll = sf->polls;
    if (sf->polls)
        sf->polls->prev = p;
    sf->polls = p;
    read_cursor(p, cursor);
    if (!p->upto[0] && p->feed->from_now) {
        feed_time(sf->host->wall_ms(sf->host->ctx), p->newest);
        store_last(p);
    } else {
        ask(p);
    }
}
