/*
 * collections_turns.c - the work on the records, in pieces that keep well below the 5 ms a callback
 * may take.
 */
#include "collection.h"

#include <string.h>
#include <strings.h>

#include "org/describe.h"

#define TURN_ROWS  200
#define TURN_BYTES 131072
#define NO_MEMORY  "out of memory"
#define BODY_HEAD  "{\"allOrNone\":false,\"records\":["
#define BODY_TAIL  "]}"

/* What one turn may still do. */
struct budget {
    size_t rows, bytes;
};

static bool spend(struct budget *b, size_t bytes)
{
    if (b->rows == 0 || b->bytes == 0)
        return false;
    b->rows--;
    b->bytes -= bytes < b->bytes ? bytes : b->bytes;
    return true;
}

static sl_str request_of(const struct collection *c, size_t record)
{
    return c->batch->records[record].request;
}

static void tell(struct collection *c, size_t record, uint32_t kind, uint32_t not_sent,
                 const char *why)
{
    collection_tell(
        c, record,
        &(sl_outcome){
            .size = sizeof(sl_outcome), .kind = kind, .not_sent = not_sent, .why = str_of(why) });
}

/* ---- BUILDING ------------------------------------------------------------------------------ */

/* Two cells of one field? As a CSV would find it. */
static sl_status check_columns(struct collection *c)
{
    sl_status r = columns_take(&c->columns, &c->row, ++c->serial, c->why, sizeof(c->why));

    if (r != SL_E_LIMIT)
        return r;
    columns_finish(&c->columns); /* it was the union of many that was too long */
    return columns_take(&c->columns, &c->row, ++c->serial, c->why, sizeof(c->why));
}

/* A call was refused since the object has no such field: nor has it for these. */
static sl_status check_unknown(struct collection *c)
{
    for (size_t i = 0; i < c->row.n; i++) {
        sl_str name = c->row.cells[i].name;

        for (size_t k = 0; k < c->n_unknown; k++) {
            if (!str_is_nocase(name, c->unknown[k]))
                continue;
            say(c->why, sizeof(c->why),
                "INVALID_FIELD: %s has no field %s for the integration user: correct the name in "
                "the route's map, or give the user access to the field",
                c->action->object, c->unknown[k]);
            return SL_E_INVALID;
        }
    }
    return SL_OK;
}

/* The row of a record, and its key at the end of c->keys. */
static sl_status read_row(struct collection *c, size_t record)
{
    sl_status r;

    if ((r = row_scan(&c->row, request_of(c, record), c->why, sizeof(c->why))) < 0 ||
        (r = operation_check(c->action, &c->row, c->why, sizeof(c->why))) < 0 ||
        (r = describe_check(c->sf, c->action, &c->row, c->why, sizeof(c->why))) < 0 ||
        (r = check_columns(c)) < 0 || (r = check_unknown(c)) < 0)
        return r;
    if (sobject_is_twofold(&c->row, c->why, sizeof(c->why)))
        return SL_E_INVALID;
    return key_of(&c->row, c->action->external_id, &c->keys, c->why, sizeof(c->why));
}

static sl_str key_from(const struct collection *c, size_t at)
{
    return (sl_str){ c->keys.ptr + at, c->keys.len - at };
}

/* The id that names the record of the row in hand, as it came in. */
static void add_own_id(const struct collection *c, struct text *to)
{
    for (size_t i = 0; i < c->row.n; i++)
        if (c->row.cells[i].sub.len == 0 && str_is_nocase(c->row.cells[i].name, "Id"))
            cell_decode(&c->row.cells[i], to);
}

static uint32_t hash_of(sl_str s)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (uint8_t)s.ptr[i]) * 16777619u;
    return h;
}

/* Two rows of one key in a call would both be refused. */
static bool is_repeated(const struct collection *c, sl_str key, uint32_t hash, size_t key_at)
{
    for (size_t i = 0; i < c->n; i++) {
        size_t from = c->members[i].key_at;
        size_t len = (i + 1 < c->n ? c->members[i + 1].key_at : key_at) - from;

        if (c->members[i].hash == hash && len == key.len &&
            memcmp(c->keys.ptr + from, key.ptr, len) == 0)
            return true;
    }
    return false;
}

static void write_row(struct collection *c)
{
    if (c->n > 0)
        text_char(&c->body, ',');
    if (c->action->op == OP_DELETE) {
        add_own_id(c, &c->body); /* letters and digits: nothing to escape in a URL */
        return;
    }
    if (c->n == 0)
        text_str(&c->body, BODY_HEAD);
    sobject_write(&c->body, c->action, describe_known(c->sf, c->action->object), &c->row,
                  &c->value);
}

enum added { ADDED, LEFT_OUT, FULL };

/* Put a record into the call. FULL: not this one; it goes by the next. */
static enum added add_record(struct collection *c, size_t record)
{
    size_t key_at = c->keys.len, body_at = c->body.len;
    sl_status r = read_row(c, record);
    enum added added = ADDED;
    sl_str key;

    if (r < 0) {
        c->keys.len = key_at;
        c->keys.failed = false;
        if (r == SL_E_INVALID || r == SL_E_LIMIT)
            tell(c, record, SL_REJECTED, 0, c->why);
        else
            tell(c, record, SL_RETRY, 1, NO_MEMORY);
        return LEFT_OUT;
    }
    key = key_from(c, key_at);
    if (is_repeated(c, key, hash_of(key), key_at)) {
        c->keys.len = key_at;
        return FULL;
    }
    write_row(c);
    if (c->body.failed) {
        tell(c, record, SL_RETRY, 1, NO_MEMORY);
        added = LEFT_OUT;
    } else if (c->n > 0 && c->body.len > COLLECTION_BYTES) {
        added = FULL;
    }
    if (added != ADDED) {
        c->body.len = body_at;
        c->body.failed = c->value.failed = false;
        c->keys.len = key_at;
        return added;
    }
    c->members[c->n++] = (struct member){ (uint32_t)record, hash_of(key), key_at };
    return ADDED;
}

static size_t rows_most(const struct collection *c)
{
    size_t most = c->rows_most < c->sf->collection_rows ? c->rows_most : c->sf->collection_rows;

    return most > 0 ? most : 1;
}

bool collection_build(struct collection *c)
{
    struct budget b = { TURN_ROWS, TURN_BYTES };

    for (; c->at < c->batch->n_records && c->n < rows_most(c); c->at++) {
        if (c->told[c->at])
            continue;
        if (!spend(&b, request_of(c, c->at).len))
            return false;
        if (add_record(c, c->at) == FULL)
            break;
    }
    if (c->action->op != OP_DELETE)
        text_str(&c->body, BODY_TAIL);
    return true;
}

/* ---- READING ------------------------------------------------------------------------------- */

static bool is_limit(const json_t *error)
{
    static const char *const codes[] = { "LIMIT_EXCEEDED", "REQUEST_RUNNING_TOO_LONG",
                                         "QUERY_TIMEOUT" };
    const char *code = json_string_value(json_object_get(error, "statusCode"));
    const char *message = json_string_value(json_object_get(error, "message"));

    if (!code)
        code = json_string_value(json_object_get(error, "errorCode"));
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if ((code && str_is_nocase(str_of(code), codes[i])) ||
            (message && str_has_nocase(str_of(message), codes[i]) &&
             !str_has_nocase(str_of(message), "REQUEST_LIMIT_EXCEEDED")))
            return true;
    return message && (str_has_nocase(str_of(message), "LimitException") ||
                       str_has_nocase(str_of(message), "CPU time limit"));
}

static json_t *element_of(sl_str text)
{
    return json_loadb(text.ptr, text.len, 0, NULL);
}

/* All of a call shares one transaction: when that was too much, every element says so. */
bool collection_was_limited(struct collection *c)
{
    struct elements e = c->elements;
    bool limited = c->n > 0;
    sl_str text;

    /* the first that was written, or failed by itself, ends it: mostly the first of all */
    while (limited && elements_next(&e, &text)) {
        json_t *element = element_of(text);
        const json_t *error = json_array_get(json_object_get(element, "errors"), 0);
        const char *message = json_string_value(json_object_get(error, "message"));

        limited = json_is_false(json_object_get(element, "success")) && is_limit(error);
        if (limited)
            say(c->why, sizeof(c->why), "%s", message ? message : "too much for one transaction");
        json_decref(element);
    }
    return limited;
}

static void tell_delivered(struct collection *c, size_t record, sl_str id)
{
    struct outcome told;

    outcome_delivered(&told, c->action, id);
    collection_tell(c, record, &told.o);
}

static sl_str string_of(const json_t *object, const char *name)
{
    const json_t *s = json_object_get(object, name);

    return (sl_str){ json_string_value(s), json_string_length(s) };
}

/* "CODE:message", as a result file of a job has it. */
static bool was_done(struct collection *c, const json_t *error, sl_str *ret_id)
{
    sl_str code = string_of(error, "statusCode"), message = string_of(error, "message");

    if (code.len == 0)
        code = string_of(error, "errorCode");
    text_clear(&c->value);
    text_add(&c->value, code.ptr, code.len);
    text_char(&c->value, ':');
    text_add(&c->value, message.ptr, message.len);
    return !c->value.failed && operation_was_done(c->action, text_view(&c->value), ret_id);
}

/* `a`: of a call that was refused as a whole; else NULL. */
static void tell_errors(struct collection *c, size_t record, const json_t *errors,
                        const struct answer *a)
{
    struct row_about about = { c->action->object, c->action->external_id };
    struct row_verdict v;
    struct outcome told;
    sl_str id = { 0 };
    bool done_before = json_array_size(errors) == 1 && was_done(c, json_array_get(errors, 0), &id);

    if (done_before && id.len == 0 && /* of a delete: the error does not name it */
        row_scan(&c->row, request_of(c, record), c->why, sizeof(c->why)) == SL_OK) {
        text_clear(&c->value);
        add_own_id(c, &c->value);
        id = text_view(&c->value);
    }
    if (done_before) {
        tell_delivered(c, record, id);
        return;
    }
    row_errors_judge(errors, &about, &v);
    if (v.fields)
        describe_doubt(c->sf, c->action->object);
    outcome_refused(&told, &v);
    if (a)
        told.o.status = a->status;
    collection_tell(c, record, &told.o);
    row_verdict_finish(&v);
}

static void tell_element(struct collection *c, size_t i, sl_str text)
{
    size_t record = c->members[i].record;
    json_t *element = element_of(text);
    const json_t *success = json_object_get(element, "success");
    const json_t *errors = json_object_get(element, "errors");
    sl_str id = string_of(element, "id");

    if (json_is_true(success) && (id.len == 0 || is_salesforce_id(id)))
        tell_delivered(c, record, id);
    else if (json_is_false(success) && json_is_array(errors))
        tell_errors(c, record, errors, NULL);
    else /* done or not: again is harmless */
        tell(c, record, SL_RETRY, 0, "what Salesforce says of this record is not understood");
    json_decref(element);
}

bool collection_read(struct collection *c)
{
    struct budget b = { TURN_ROWS, TURN_BYTES };
    sl_str text;

    while (c->read < c->n) {
        const char *from = c->elements.p;

        if (!spend(&b, 0))
            return false;
        if (!elements_next(&c->elements, &text))
            return true; /* not reached: they were counted */
        tell_element(c, c->read++, text);
        b.bytes -= (size_t)(c->elements.p - from) < b.bytes ? (size_t)(c->elements.p - from)
                                                            : b.bytes;
    }
    return true;
}

/* ---- a call that was refused as a whole ---------------------------------------------------- */

static json_t *errors_of(sl_str body)
{
    json_t *root = body.len > 0 ? json_loadb(body.ptr, body.len, 0, NULL) : NULL;

    if (json_is_object(json_array_get(root, 0)))
        return root;
    json_decref(root);
    return NULL;
}

bool collection_refused_by_limit(sl_str body)
{
    json_t *errors = errors_of(body);
    bool limit = errors && is_limit(json_array_get(errors, 0));

    json_decref(errors);
    return limit;
}

/* "No such column 'Foo__c' on sobject of type Contact": the field, kept for all that follows. */
bool collection_learn_field(struct collection *c, sl_str body)
{
    static const char lead[] = "No such column '";
    json_t *errors = errors_of(body);
    const char *message = json_string_value(json_object_get(json_array_get(errors, 0), "message"));
    const char *at = message ? strcasestr(message, lead) : NULL;
    size_t n = at ? strcspn(at + strlen(lead), "'") : 0;
    bool learnt = n > 0 && n < sizeof(c->unknown[0]) && c->n_unknown < COLLECTION_FIELDS;

    if (learnt)
        say(c->unknown[c->n_unknown], sizeof(c->unknown[0]), "%.*s", (int)n, at + strlen(lead));
    for (size_t i = 0; learnt && i < c->n_unknown; i++)
        learnt = strcasecmp(c->unknown[i], c->unknown[c->n_unknown]) != 0;
    c->n_unknown += learnt;
    json_decref(errors);
    return learnt;
}

void collection_tell_refused(struct collection *c, size_t record, const struct answer *a)
{
    json_t *errors = errors_of(a->body);

    if (errors)
        tell_errors(c, record, errors, a);
    else
        collection_tell(c, record,
                        &(sl_outcome){ .size = sizeof(sl_outcome),
                                       .kind = SL_REJECTED,
                                       .status = a->status,
                                       .why = str_of(a->why) });
    json_decref(errors);
}

/* ---- ENDING -------------------------------------------------------------------------------- */

bool collection_end(struct collection *c)
{
    struct budget b = { TURN_ROWS, TURN_BYTES };

    for (size_t i = 0; i < c->batch->n_records; i++) {
        if (c->told[i])
            continue;
        if (!spend(&b, 0))
            return false;
        collection_tell(c, i,
                        &(sl_outcome){ .size = sizeof(sl_outcome),
                                       .kind = c->ending.kind,
                                       .after_ms = c->ending.after_ms,
                                       .status = c->ending.status,
                                       .not_sent = c->ending.kind == SL_RETRY &&
                                                   (c->ending.not_sent || i >= c->at),
                                       .why = str_of(c->why) });
    }
    return true;
}
