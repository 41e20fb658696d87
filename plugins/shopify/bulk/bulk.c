/*
 * bulk.c - see bulk.h. The file lies with a storage service that serves ranges; its address is
 * signed, and asked for again when it is refused.
 */
#include "bulk/bulk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "shopify.h"

#define PIECE      131072 /* bytes of the file that are asked for at once: some 1.5 ms to read */
#define LOOK_FIRST 1000   /* ms; doubling */
#define LOOK_LAST  30000
#define BUSY_MS    60000 /* other operations of the app take all places */
#define URL_SIZE   2048

static const char run_query[] =
    "mutation BulkQuery($query: String!) {"
    " bulkOperationRunQuery(query: $query, groupObjects: true) {"
    " bulkOperation { id status } userErrors { code field message } } }";
static const char by_id[] =
    "query BulkById($id: ID!) { bulkOperation(id: $id) {"
    " id status errorCode rootObjectCount fileSize url } }";

struct bulk {
    struct shopify *s;
    const char *query;
    struct jsonl lines;
    struct bulk_mark mark;
    char url[URL_SIZE]; /* "": not known */
    int64_t size, objects;
    int64_t wait_ms;
    uint64_t timer;
    int refused;  /* the address was, since a piece was read */
    int fetching; /* a question is under way: `b` lives until it is answered */
    int closed;
    bulk_cb cb;
    void *ctx;
};

/* ---- telling -------------------------------------------------------------------------------- */

static void tell(struct bulk *b, struct bulk_told t)
{
    t.mark = b->mark;
    t.objects = b->objects;
    t.size = b->size;
    b->cb(b->ctx, &t);
}

static void fail(struct bulk *b, const char *why, int64_t after_ms, int lost)
{
    tell(b,
         (struct bulk_told){ .what = BULK_FAILS, .why = why, .after_ms = after_ms, .lost = lost });
}

static void fail_asked(struct bulk *b, const struct admin_answer *a)
{
    tell(b, (struct bulk_told){ .what = BULK_FAILS,
                                .why = a->why,
                                .after_ms = a->after_ms,
                                .park = a->verdict == ADMIN_PARK });
}

/* An answer has come. Closed meanwhile: nobody wants it. */
static int came(struct bulk *b)
{
    b->fetching = 0;
    if (!b->closed)
        return 1;
    free(b);
    return 0;
}

static void later(struct bulk *b, int64_t ms, sl_timer_cb then)
{
    b->timer = b->s->host->timer(b->s->host->ctx, ms, then, b);
}

static const char *text_at(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    return s ? s : "";
}

/* ---- the operation -------------------------------------------------------------------------- */

static void look(struct bulk *b);
static void fetch(struct bulk *b);

static void on_look_timer(void *ctx)
{
    struct bulk *b = ctx;

    b->timer = 0;
    look(b);
}

static void take_status(struct bulk *b, const json_t *op)
{
    const char *status = text_at(op, "status"), *code = text_at(op, "errorCode");
    const char *url = text_at(op, "url");
    char why[200];

    b->objects = strtoll(text_at(op, "rootObjectCount"), NULL, 10);
    b->size = strtoll(text_at(op, "fileSize"), NULL, 10);
    if (strcmp(status, "CREATED") == 0 || strcmp(status, "RUNNING") == 0) {
        tell(b, (struct bulk_told){ .what = BULK_RUNS });
    } else if (strcmp(status, "COMPLETED") != 0) {
        snprintf(why, sizeof(why), "the shop's bulk operation is %.20s%s%.60s",
                 status[0] ? status : "gone", code[0] ? ": " : "", code);
        fail(b, why, 0, 1);
    } else if (!url[0] && b->objects > 0) {
        fail(b, "the bulk operation's file is not there any more", 0, 1);
    } else if (!url[0]) { /* of nothing there is no file */
        tell(b, (struct bulk_told){ .what = BULK_ENDS });
    } else if (strlen(url) >= sizeof(b->url)) {
        fail(b, "the address of the bulk operation's file is longer than 2 KB", 0, 1);
    } else {
        memcpy(b->url, url, strlen(url) + 1);
        fetch(b);
    }
}

static void on_status(void *ctx, const struct admin_answer *a)
{
    struct bulk *b = ctx;
    const json_t *op = json_object_get(a->data, "bulkOperation");

    if (!came(b))
        return;
    if (a->verdict != ADMIN_OK)
        fail_asked(b, a);
    else if (!json_is_object(op))
        fail(b, "the shop does not know its bulk operation any more", 0, 1);
    else
        take_status(b, op);
}

static void ask(struct bulk *b, const char *document, json_t *variables, admin_cb cb)
{
    b->fetching = 1;
    if (admin_ask_as(b->s, SL_PRIORITY_LOW, document, variables, cb, b) == SL_OK)
        return;
    b->fetching = 0;
    fail(b, "the shop could not be asked", 0, 0);
}

static void look(struct bulk *b)
{
    ask(b, by_id, json_pack("{s:s}", "id", b->mark.operation), on_status);
}

static void on_started(void *ctx, const struct admin_answer *a)
{
    struct bulk *b = ctx;
    const json_t *payload = json_object_get(a->data, "bulkOperationRunQuery");
    const json_t *error = json_array_get(json_object_get(payload, "userErrors"), 0);
    const char *id = text_at(json_object_get(payload, "bulkOperation"), "id");
    const char *code = text_at(error, "code");
    char why[300];

    if (!came(b))
        return;
    if (a->verdict != ADMIN_OK) {
        fail_asked(b, a);
    } else if (error) {
        snprintf(why, sizeof(why), "no bulk operation: %.200s", text_at(error, "message"));
        fail(b, why,
             strcmp(code, "OPERATION_IN_PROGRESS") == 0 || strcmp(code, "LIMIT_REACHED") == 0
                 ? BUSY_MS
                 : 0,
             0);
    } else if (!id[0] || strlen(id) >= sizeof(b->mark.operation)) {
        fail(b, "no bulk operation in the answer", 0, 0);
    } else {
        snprintf(b->mark.operation, sizeof(b->mark.operation), "%s", id);
        tell(b, (struct bulk_told){ .what = BULK_STARTED });
    }
}

/* ---- the file ------------------------------------------------------------------------------- */

static void pump(struct bulk *b);

static void on_turn(void *ctx)
{
    struct bulk *b = ctx;

    b->timer = 0;
    pump(b);
}

/* What was read, a root at a time; then the next piece. */
static void pump(struct bulk *b)
{
    json_t *root = NULL;

    switch (jsonl_next(&b->lines, &root)) {
    case JSONL_ROOT:
        b->mark.offset = b->lines.offset;
        tell(b, (struct bulk_told){ .what = BULK_ROOT, .root = root });
        json_decref(root);
        return;
    case JSONL_MORE:
        fetch(b);
        return;
    case JSONL_END:
        tell(b, (struct bulk_told){ .what = BULK_ENDS });
        return;
    case JSONL_BAD:
        fail(b, b->lines.why, 0, 0);
        return;
    }
}

/* Bytes of the file that were read. */
static int64_t read_so_far(const struct bulk *b)
{
    return b->lines.line_at + (int64_t)(b->lines.len - b->lines.taken);
}

/* The whole of it, where the service does not know ranges. */
static void take_whole(struct bulk *b, sl_str body)
{
    int64_t skip = read_so_far(b);

    if ((int64_t)body.len < skip) {
        fail(b, "the bulk operation's file is shorter than it was", 0, 1);
        return;
    }
    jsonl_add(&b->lines, body.ptr + skip, body.len - (size_t)skip);
    jsonl_end(&b->lines);
    pump(b);
}

/* How long the file is, as "Content-Range: bytes 0-99/1234" says; 0: it does not; -1: it is of
 * another place than `from`. */
static int64_t said_size(const sl_http_answer *a, int64_t from)
{
    size_t times;
    const sl_header *h = shopify_header(a->headers, a->n_headers, "Content-Range", &times);
    long long first = 0, last = 0, size = 0;
    char text[80];

    snprintf(text, sizeof(text), "%.*s", h ? (int)(h->value.len < 79 ? h->value.len : 79) : 0,
             h ? h->value.ptr : "");
    if (sscanf(text, "bytes %lld-%lld/%lld", &first, &last, &size) < 2)
        return 0;
    return first != from ? -1 : size > 0 ? size : 0;
}

static void take_piece(struct bulk *b, const sl_http_answer *a)
{
    int64_t said = said_size(a, read_so_far(b)), size = said > 0 ? said : b->size;
    char why[120];

    if (said < 0) {
        fail(b, "another piece of the bulk operation's file came than was asked for", 0, 0);
        return;
    }
    b->refused = 0;
    jsonl_add(&b->lines, a->body.ptr, a->body.len);
    if (read_so_far(b) >= size && (said || a->body.len < PIECE)) {
        jsonl_end(&b->lines);
    } else if (a->body.len == 0) {
        snprintf(why, sizeof(why), "the bulk operation's file ends at byte %lld of %lld",
                 (long long)read_so_far(b), (long long)size);
        fail(b, why, 0, 0);
        return;
    }
    pump(b);
}

/* Nothing is behind what was read: the last piece ended with the file. */
static void take_no_more(struct bulk *b)
{
    if (read_so_far(b) < b->size) {
        fail(b, "the bulk operation's file is shorter than the shop says", 0, 1);
        return;
    }
    jsonl_end(&b->lines);
    pump(b);
}

/* Of the address, not of the moment. */
static int is_refusal(uint32_t status)
{
    return status >= 400 && status < 500 && status != 408 && status != 429;
}

static void on_piece(void *ctx, const sl_http_answer *a)
{
    struct bulk *b = ctx;
    char why[300];

    if (!came(b))
        return;
    if (a->error == SL_OK && a->status == 206) {
        take_piece(b, a);
    } else if (a->error == SL_OK && a->status == 200) {
        take_whole(b, a->body);
    } else if (a->error == SL_OK && a->status == 416) {
        take_no_more(b);
    } else if (a->error == SL_OK && is_refusal(a->status) && !b->refused) {
        b->refused = 1; /* the address has its time */
        look(b);
    } else if (a->error == SL_OK) {
        snprintf(why, sizeof(why), "the bulk operation's file: HTTP %u", a->status);
        fail(b, why, a->retry_after_ms > 0 ? a->retry_after_ms : 0, is_refusal(a->status));
    } else {
        snprintf(why, sizeof(why), "the bulk operation's file: %.*s",
                 (int)(a->why.len < 200 ? a->why.len : 200), a->why.ptr ? a->why.ptr : "");
        fail(b, why, 0, 0);
    }
}

static void fetch(struct bulk *b)
{
    const sl_host *h = b->s->host;
    char range[64];
    int64_t from = read_so_far(b);
    int n = snprintf(range, sizeof(range), "bytes=%lld-%lld", (long long)from,
                     (long long)from + PIECE - 1);
    sl_header headers[] = { { { "Range", 5 }, { range, (size_t)n } } };
    sl_http_request request = { .size = sizeof(request),
                                .method = { "GET", 3 },
                                .url = { b->url, strlen(b->url) },
                                .headers = headers,
                                .n_headers = 1 };

    b->fetching = 1;
    if (h->http(h->ctx, &request, on_piece, b) == SL_OK)
        return;
    b->fetching = 0;
    fail(b, "the bulk operation's file could not be asked for", 0, 0);
}

/* ---- its life ------------------------------------------------------------------------------- */

static void begin(void *ctx)
{
    struct bulk *b = ctx;

    b->timer = 0;
    if (b->mark.operation[0])
        look(b);
    else
        ask(b, run_query, json_pack("{s:s}", "query", b->query), on_started);
}

struct bulk *bulk_open(struct shopify *s, const char *query, const struct jsonl_child *table,
                       const struct bulk_mark *mark, bulk_cb cb, void *ctx)
{
    struct bulk *b = calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    b->s = s;
    b->query = query;
    b->mark = *mark;
    b->lines.table = table;
    b->lines.offset = b->lines.line_at = mark->offset;
    b->wait_ms = LOOK_FIRST;
    b->cb = cb;
    b->ctx = ctx;
    later(b, 0, begin);
    if (b->timer)
        return b;
    free(b);
    return NULL;
}

void bulk_next(struct bulk *b)
{
    if (b->url[0]) {
        later(b, 0, on_turn); /* a root a turn: the loop is everybody's */
        return;
    }
    later(b, b->wait_ms, on_look_timer);
    b->wait_ms = b->wait_ms * 2 < LOOK_LAST ? b->wait_ms * 2 : LOOK_LAST;
}

void bulk_close(struct bulk *b)
{
    if (b->timer)
        b->s->host->timer_cancel(b->s->host->ctx, b->timer);
    jsonl_finish(&b->lines);
    memset(&b->lines, 0, sizeof(b->lines));
    b->timer = 0;
    b->closed = 1;
    if (!b->fetching)
        free(b);
}
