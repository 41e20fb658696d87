/*
 * compare_bulk.c - thousands of delivered records beside the org's, with one bulk query.
 *
 *   GATHERING (keys and fields, in turns) - the query: rows are compared as they come - TELLING
 *   (what did not come, in turns)
 *
 * Held are the keys of the chunk, which go into one SOQL text, and one page of rows; the requests
 * are the host's.
 */
#include <stdlib.h>
#include <string.h>

#include "comparison.h"
#include "query.h"

#define MAX_SOQL    100000 /* characters of a statement; bytes are never fewer */
#define TURN        200    /* records */
#define TELL_TURN   500
#define BULK_CALLS  5 /* create, two polls, a page, delete */
#define PATIENCE_MS 300000
#define REST_KEYS   200
#define REST_PATH   7500 /* bytes of keys in one address */

/* ---- GATHERING ----------------------------------------------------------------------------- */

/* Does it go into the statement with what is there? */
static bool fits(const struct comparison *c, size_t literal)
{
    static const char words[] = "SELECT  FROM  WHERE  IN ()";

    return sizeof(words) + c->columns.len + strlen(c->action->object) +
               strlen(c->action->external_id) + c->literals.len + literal + 1 <=
           MAX_SOQL;
}

/* False: the statement is full, and the record belongs to the next one. */
static bool take_record(struct comparison *c, size_t i)
{
    size_t columns = c->columns.len, n_columns = c->n_columns, keys = c->keys.text.len;
    struct text literal = { 0 };
    bool ok = true;

    if (!compare_gather(c, i))
        return true;
    compare_literal(c, &literal);
    if (c->n_literals > 0 && (c->columns_full || !fits(c, literal.len))) {
        c->columns.len = columns;
        c->n_columns = n_columns;
        c->keys.text.len = keys;
        ok = false;
    } else {
        if (c->n_literals++ > 0)
            text_char(&c->literals, ',');
        text_add(&c->literals, literal.ptr, literal.len);
        text_clear(&c->path);
        text_escaped(&c->path, text_view(&literal));
        c->path_bytes += c->path.len + 1;
        if (keys_add(&c->keys, c->wanted[i].key_at, (uint32_t)i) < 0)
            c->literals.failed = true;
    }
    c->literals.failed |= literal.failed;
    text_finish(&literal);
    return ok;
}

static size_t rest_calls(const struct comparison *c)
{
    size_t by_keys = (c->n_literals + REST_KEYS - 1) / REST_KEYS;
    size_t by_path = (c->path_bytes + REST_PATH - 1) / REST_PATH;

    return by_keys > by_path ? by_keys : by_path;
}

static void ask(struct comparison *c);

static void gather_turn(struct comparison *c)
{
    size_t left = c->batch->n_records - c->from, end = c->n + TURN;
    bool full = false;

    for (; !full && c->n < left && c->n < end; c->n += !full)
        full = !take_record(c, c->n);
    if (!full && c->n < left) {
        compare_later(c, gather_turn);
        return;
    }
    if (c->literals.failed || c->columns.failed || c->keys.text.failed) {
        compare_finish(c, SL_E_NO_MEMORY, "no memory for a query");
    } else if (c->n_literals == 0) {
        compare_next_chunk(c);
    } else if (rest_calls(c) <= BULK_CALLS) {
        c->rest_end = c->from + c->n;
        compare_by_rest(c);
    } else {
        ask(c);
    }
}

/* ---- the query ----------------------------------------------------------------------------- */

static void chain_repetitions(struct comparison *c)
{
    keys_sort(&c->keys);
    for (size_t i = c->keys.n; i-- > 1;)
        if (keys_repeats(&c->keys, i))
            c->wanted[c->keys.items[i - 1].record].next = c->keys.items[i].record + 1;
}

/* The columns as query.h wants them. */
static bool list_columns(struct comparison *c)
{
    text_clear(&c->names);
    text_add(&c->names, c->columns.ptr, c->columns.len);
    free(c->columns_list);
    c->columns_list = calloc(c->n_columns + 1, sizeof(*c->columns_list));
    if (c->names.failed || !c->columns_list)
        return false;
    c->key_column = compare_column(c, str_of(c->action->external_id));
    char *p = c->names.ptr;
    for (size_t i = 0; i < c->n_columns; i++) {
        c->columns_list[i] = p;
        p = strchr(p, ',');
        if (p)
            *p++ = '\0';
    }
    return true;
}

static bool on_row(void *ctx, const sl_str *fields)
{
    struct comparison *c = ctx;
    uint32_t at;

    if (keys_find(&c->keys, fields[c->key_column], &at) < 0)
        return true;
    c->fields = fields;
    for (uint32_t next = at + 1; next; next = c->wanted[next - 1].next)
        if (c->wanted[next - 1].found++ == 0)
            compare_tell_fields(c, next - 1);
    c->fields = NULL;
    return true;
}

static void tell_turn(struct comparison *c)
{
    for (size_t end = c->at + TELL_TURN; c->at < c->n && c->at < end; c->at++)
        if (!c->wanted[c->at].bad)
            compare_tell_count(c, c->at);
    if (c->at < c->n)
        compare_later(c, tell_turn);
    else
        compare_next_chunk(c);
}

static void on_end(void *ctx, const struct query_end *end)
{
    struct comparison *c = ctx;

    c->at = 0;
    if (end->ok) {
        tell_turn(c);
    } else if (end->verdict != ANSWER_PARK) {
        /* REST knows fields that a bulk query does not, says what is wrong with a question, and is
           there when the day's query jobs are used up */
        sf_log(c->sf, SL_LOG_INFO, "records are compared by REST, not by a bulk query: %s",
               end->why);
        c->rest_end = c->from + c->n;
        compare_later(c, compare_by_rest);
    } else {
        compare_finish(c, errors_status(end->verdict), end->why);
    }
}

static void ask(struct comparison *c)
{
    struct text soql = { 0 };
    struct query_ask q = {
        .row = on_row, .end = on_end, .ctx = c, .turn_rows = TURN, .patience_ms = PATIENCE_MS
    };
    struct query *started = NULL;

    chain_repetitions(c);
    text_str(&soql, "SELECT ");
    text_add(&soql, c->columns.ptr, c->columns.len);
    text_printf(&soql, " FROM %s WHERE %s IN (", c->action->object, c->action->external_id);
    text_add(&soql, c->literals.ptr, c->literals.len);
    text_char(&soql, ')');
    text_finish(&c->literals); /* it stands in the query now */
    if (!soql.failed && list_columns(c)) {
        q.soql = soql.ptr;
        q.columns = c->columns_list;
        started = query_start(c->sf, &q);
    }
    text_finish(&soql);
    if (!started)
        compare_finish(c, SL_E_NO_MEMORY, "no memory for a query");
}

void compare_by_bulk(struct comparison *c)
{
    compare_begin_chunk(c);
    c->n = 0;
    text_clear(&c->literals);
    c->n_literals = c->path_bytes = 0;
    c->keys.are_ids = str_is_nocase(str_of(c->action->external_id), "Id");
    gather_turn(c);
}
