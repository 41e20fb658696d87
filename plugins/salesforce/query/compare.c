/*
 * compare.c - a batch of delivered records beside the org's.
 *
 *   GATHERING (a chunk's keys and fields, one turn) - ASKING (one query) - TELLING (one turn) - ...
 */
#include "comparison.h"

#include <stdlib.h>
#include <string.h>

#include "match/contacts.h"
#include "rows/operation.h"

#define CHUNK       200  /* records, by REST */
#define FEW         400  /* which REST asks for with fewer calls than any bulk query */
#define MAX_TAKEN   4000 /* records at a time */
#define TAKEN_BYTES (UINT64_C(8) << 20)
#define MAX_COLUMNS 200
#define MAX_PATH    8000 /* of 16,384 bytes of URI and headers together */
#define MAX_NAMED   4    /* fields that differ, of one record */
#define MAX_ANSWER  (4 << 20)

/* ---- life ---------------------------------------------------------------------------------- */

static void comparison_free(struct comparison *c)
{
    const sl_host *h = c->sf->host;

    if (c->timer)
        h->timer_cancel(h->ctx, c->timer);
    if (c->prev)
        c->prev->next = c->next;
    else
        c->sf->comparisons = c->next;
    if (c->next)
        c->next->prev = c->prev;
    text_finish(&c->path);
    keys_finish(&c->keys);
    text_finish(&c->value);
    text_finish(&c->line);
    text_finish(&c->columns);
    text_finish(&c->literals);
    text_finish(&c->names);
    free(c->columns_list);
    free(c->wanted);
    row_finish(&c->row);
    json_decref(c->page);
    free(c);
}

void compare_close(struct salesforce *sf)
{
    while (sf->comparisons)
        comparison_free(sf->comparisons);
}

void compare_finish(struct comparison *c, sl_status status, const char *why)
{
    const sl_compare_out *out = c->out;
    char text[600];

    say(text, sizeof(text), "%s", why);
    comparison_free(c);
    out->finish(out->ctx, status, str_of(text));
}

void compare_tell(struct comparison *c, size_t i, uint32_t verdict, const char *text)
{
    c->out->record(c->out->ctx, c->from + i, verdict, str_of(text));
}

static sl_str request_of(const struct comparison *c, size_t i)
{
    return c->batch->records[c->from + i].request;
}

/* ---- GATHERING ----------------------------------------------------------------------------- */

/* "Account.ERP_No__c"; false: it cannot be selected ("Lead:Who.Email"). */
static bool path_of(const struct cell *cell, struct text *to)
{
    text_clear(to);
    text_add(to, cell->name.ptr, cell->name.len);
    if (cell->sub.len) {
        text_char(to, '.');
        text_add(to, cell->sub.ptr, cell->sub.len);
    }
    return !to->failed && !memchr(cell->name.ptr, ':', cell->name.len);
}

int compare_column(const struct comparison *c, sl_str path)
{
    const char *p = c->columns.ptr, *end = p + c->columns.len;

    for (int at = 0; p < end; at++) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        if (str_same_nocase((sl_str){ p, (size_t)((comma ? comma : end) - p) }, path))
            return at;
        p = comma ? comma + 1 : end;
    }
    return -1;
}

/* Salesforce refuses a field that is named twice. */
static void add_column(struct comparison *c, sl_str path)
{
    if (compare_column(c, path) >= 0)
        return;
    if (c->n_columns == MAX_COLUMNS) {
        c->columns_full = true;
        return;
    }
    if (c->columns.len)
        text_char(&c->columns, ',');
    text_add(&c->columns, path.ptr, path.len);
    c->n_columns++;
}

static const struct cell *key_cell(const struct comparison *c)
{
    for (size_t i = 0; i < c->row.n; i++)
        if (c->row.cells[i].sub.len == 0 &&
            str_is_nocase(c->row.cells[i].name, c->action->external_id))
            return &c->row.cells[i];
    return NULL;
}

bool compare_gather(struct comparison *c, size_t i)
{
    struct wanted *w = &c->wanted[i];

    *w = (struct wanted){ .key_at = c->keys.text.len };
    if (row_scan(&c->row, request_of(c, i), c->why, sizeof(c->why)) < 0 ||
        key_of(&c->row, c->action->external_id, &c->keys.text, c->why, sizeof(c->why)) < 0) {
        compare_tell(c, i, SL_COMPARED_UNSURE, c->why);
        w->bad = true;
        return false;
    }
    w->key_len = c->keys.text.len - w->key_at;
    for (size_t k = 0; k < c->row.n; k++)
        if (path_of(&c->row.cells[k], &c->value))
            add_column(c, text_view(&c->value));
    return true;
}

/* Numbers bare, text in quotes. */
void compare_literal(struct comparison *c, struct text *soql)
{
    const struct cell *cell = key_cell(c);

    text_clear(&c->value);
    cell_decode(cell, &c->value);
    if (cell->kind == CELL_TEXT)
        text_char(soql, '\'');
    for (size_t i = 0; i < c->value.len; i++) {
        char b = c->value.ptr[i];
        if (b == '\\' || b == '\'')
            text_char(soql, '\\');
        text_char(soql, b);
    }
    if (cell->kind == CELL_TEXT)
        text_char(soql, '\'');
    soql->failed |= c->value.failed;
}

static void add_literal(struct comparison *c)
{
    struct text soql = { 0 };

    compare_literal(c, &soql);
    text_escaped(&c->path, text_view(&soql));
    c->path.failed |= soql.failed;
    text_finish(&soql);
}

/* As many keys as go into one address; the rest is of the next chunk. False: there is none. */
static bool write_path(struct comparison *c)
{
    sl_str version = c->sf->api_version;
    size_t n = 0, keys = 0;

    text_clear(&c->path);
    text_printf(&c->path, "/services/data/v%.*s/query?q=SELECT+", (int)version.len, version.ptr);
    text_add(&c->path, c->columns.ptr, c->columns.len);
    text_printf(&c->path, "+FROM+%s+WHERE+%s+IN+(", c->action->object, c->action->external_id);
    for (; n < c->n && (keys == 0 || c->path.len < MAX_PATH); n++) {
        if (c->wanted[n].bad || row_scan(&c->row, request_of(c, n), c->why, sizeof(c->why)) < 0)
            continue;
        if (keys++ > 0)
            text_char(&c->path, ',');
        add_literal(c);
    }
    text_char(&c->path, ')');
    c->n = n;
    return keys > 0;
}

static void on_asked(void *ctx, const struct answer *a);

void compare_begin_chunk(struct comparison *c)
{
    c->n_columns = 0;
    c->columns_full = false;
    c->keys.n = 0;
    text_clear(&c->keys.text);
    text_clear(&c->columns);
    add_column(c, str_of("Id"));
    add_column(c, str_of(c->action->external_id));
}

void compare_by_rest(struct comparison *c)
{
    c->n = c->rest_end - c->from < CHUNK ? c->rest_end - c->from : CHUNK;
    compare_begin_chunk(c);
    for (size_t i = 0; i < c->n; i++) {
        compare_gather(c, i);
        if (c->columns_full && i > 0)
            c->n = i; /* it is of the next chunk: none of its fields may be left out */
    }
    if (!write_path(c)) {
        compare_next_chunk(c);
        return;
    }
    if (c->path.failed || c->keys.text.failed || c->columns.failed) {
        compare_finish(c, SL_E_NO_MEMORY, "no memory for a query");
        return;
    }
    c->call = (struct call){ .sf = c->sf,
                             .method = str_of("GET"),
                             .long_path = c->path.ptr,
                             .accept = "application/json",
                             .max_answer = MAX_ANSWER,
                             .cb = on_asked,
                             .ctx = c };
    call_start(&c->call);
}

static void on_turn(void *ctx)
{
    struct comparison *c = ctx;

    c->timer = 0;
    c->turn(c);
}

void compare_later(struct comparison *c, void (*turn)(struct comparison *c))
{
    c->turn = turn;
    c->timer = c->sf->host->timer(c->sf->host->ctx, 0, on_turn, c);
}

/* Few are asked for by REST at once; of many the cost is counted. */
static void ask_chunk(struct comparison *c)
{
    if (c->from >= c->rest_end && c->batch->n_records - c->from <= FEW)
        c->rest_end = c->batch->n_records;
    if (c->from < c->rest_end)
        compare_by_rest(c);
    else
        compare_by_bulk(c);
}

void compare_next_chunk(struct comparison *c)
{
    json_decref(c->page);
    c->page = NULL;
    c->from += c->n;
    if (c->from == c->batch->n_records)
        compare_finish(c, SL_OK, "");
    else
        compare_later(c, ask_chunk);
}

/* ---- TELLING ------------------------------------------------------------------------------- */

static bool is_key(const struct comparison *c, const struct wanted *w, const json_t *value)
{
    sl_str key = { c->keys.text.ptr + w->key_at, w->key_len };
    char text[32] = "";

    if (json_is_integer(value))
        snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, sizeof(text), "%.15g", json_real_value(value));
    return !w->bad &&
           str_same_nocase(key, text[0] ? str_of(text) : str_of(json_string_value(value)));
}

static void find_rows(struct comparison *c)
{
    const json_t *records = json_object_get(c->page, "records");
    size_t k;
    json_t *row;

    json_array_foreach((json_t *)records, k, row)
    {
        const json_t *value = compare_field(row, str_of(c->action->external_id));

        for (size_t i = 0; i < c->n; i++) {
            struct wanted *w = &c->wanted[i];
            if (!is_key(c, w, value))
                continue;
            w->there = w->there ? w->there : row;
            w->found++;
        }
    }
}

/* Does the field say what `value` does? */
static bool field_same(const struct comparison *c, const struct wanted *w, int column, sl_str path)
{
    return c->fields ? compare_text(text_view(&c->value), c->fields[column])
                     : compare_value(text_view(&c->value), compare_field(w->there, path));
}

/* "Amount: sent 19.90, there 25.0" */
static void add_difference(struct comparison *c, const struct wanted *w, int column, sl_str path)
{
    text_printf(&c->line, "%.*s: sent ", (int)path.len, path.ptr);
    if (c->value.len)
        text_printf(&c->line, "\"%.*s\"", (int)(c->value.len < 60 ? c->value.len : 60),
                    c->value.ptr);
    else
        text_str(&c->line, "nothing");
    text_str(&c->line, ", there ");
    if (c->fields)
        compare_show_text(c->fields[column], &c->line);
    else
        compare_show(compare_field(w->there, path), &c->line);
}

/* How many fields say something else; `line` names the first of them. */
static unsigned differences(struct comparison *c, const struct wanted *w)
{
    struct text path = { 0 };
    unsigned n = 0;

    text_clear(&c->line);
    for (size_t k = 0; k < c->row.n; k++) {
        const struct cell *cell = &c->row.cells[k];
        int column = path_of(cell, &path) ? compare_column(c, text_view(&path)) : -1;

        if (column < 0 || str_is_nocase(text_view(&path), c->action->external_id))
            continue;
        text_clear(&c->value);
        cell_decode(cell, &c->value);
        if (field_same(c, w, column, text_view(&path)) || ++n > MAX_NAMED)
            continue;
        text_str(&c->line, n > 1 ? "; " : "");
        add_difference(c, w, column, text_view(&path));
    }
    if (n > MAX_NAMED)
        text_printf(&c->line, "; and %u more", n - MAX_NAMED);
    text_finish(&path);
    return n;
}

bool compare_tell_count(struct comparison *c, size_t i)
{
    const struct wanted *w = &c->wanted[i];
    const char *key = c->keys.text.ptr + w->key_at;
    char text[700];

    if (w->found == 0) {
        say(text, sizeof(text), "no %s has %s %.*s", c->action->object, c->action->external_id,
            (int)w->key_len, key);
        compare_tell(c, i, SL_COMPARED_MISSING, text);
    } else if (w->found > 1) {
        say(text, sizeof(text), "%u records of %s have %s %.*s; the field is not unique", w->found,
            c->action->object, c->action->external_id, (int)w->key_len, key);
        compare_tell(c, i, SL_COMPARED_DIFFERS, text);
    }
    return w->found != 1;
}

void compare_tell_fields(struct comparison *c, size_t i)
{
    char text[700];

    if (row_scan(&c->row, request_of(c, i), c->why, sizeof(c->why)) < 0) {
        compare_tell(c, i, SL_COMPARED_UNSURE, c->why);
    } else if (differences(c, &c->wanted[i]) > 0) {
        say(text, sizeof(text), "%s", c->line.ptr ? c->line.ptr : "");
        compare_tell(c, i, SL_COMPARED_DIFFERS, text);
    } else {
        compare_tell(c, i, SL_COMPARED_SAME, "");
    }
}

static void on_asked(void *ctx, const struct answer *a)
{
    struct comparison *c = ctx;

    if (a->verdict != ANSWER_OK) {
        compare_finish(c, errors_status(a->verdict), a->why);
        return;
    }
    c->page = json_loadb(a->body.ptr ? a->body.ptr : "", a->body.len, 0, NULL);
    if (!json_is_array(json_object_get(c->page, "records")) ||
        json_is_false(json_object_get(c->page, "done"))) {
        compare_finish(c, SL_E_PROTOCOL,
                       "Salesforce's answer does not hold all the records asked for");
        return;
    }
    find_rows(c);
    for (size_t i = 0; i < c->n; i++)
        if (!c->wanted[i].bad && !compare_tell_count(c, i))
            compare_tell_fields(c, i);
    compare_next_chunk(c);
}

/* ---- the beginning ------------------------------------------------------------------------- */

void compare_start(void *self, void *handle, const sl_batch *batch, const sl_compare_out *out)
{
    struct salesforce *sf = self;
    const struct action *action = handle;
    struct comparison *c;

    if (contacts_is(handle) || action->op == OP_DELETE) {
        out->finish(out->ctx, SL_E_UNSUPPORTED,
                    str_of("only what an upsert, insert or update wrote can be compared: a delete "
                           "has taken it away, and contact.upsert chooses its record itself"));
        return;
    }
    c = calloc(1, sizeof(*c));
    if (c)
        c->wanted = calloc(batch->n_records + 1, sizeof(*c->wanted));
    if (!c || !c->wanted) {
        free(c);
        out->finish(out->ctx, SL_E_NO_MEMORY, str_of("no memory for a comparison"));
        return;
    }
    c->sf = sf;
    c->action = action;
    c->batch = batch;
    c->out = out;
    c->next = sf->comparisons;
    if (sf->comparisons)
        sf->comparisons->prev = c;
    sf->comparisons = c;
    ask_chunk(c);
}

void compare_comparing(const void *handle, sl_comparing *ret)
{
    (void)handle;
    ret->records = MAX_TAKEN;
    ret->bytes = TAKEN_BYTES;
}
