/*
 * shopify_past_rig.h - a shop's back-fill against a fake host: the host's side of it, and a shop
 * that answers with a bulk operation's file.
 */
#pragma once

#include "fake_host.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feeds/order.h"

#define URL      "https://acme.myshopify.com/admin/api/2026-10/graphql.json"
#define FILE_URL "https://storage.example.com/bulk/7.jsonl?sig=a"
#define OP       "gid://shopify/BulkOperation/7"
#define CLOCK    "{\"data\":{\"shop\":{\"timezoneOffsetMinutes\":60}}}"
#define STARTED                                                             \
    "{\"data\":{\"bulkOperationRunQuery\":{\"bulkOperation\":{\"id\":\"" OP \
    "\",\"status\":"                                                        \
    "\"CREATED\"},\"userErrors\":[]}}}"
#define RUNNING                                     \
    "{\"data\":{\"bulkOperation\":{\"id\":\"" OP    \
    "\",\"status\":\"RUNNING\",\"errorCode\":null," \
    "\"rootObjectCount\":\"2\",\"fileSize\":null,\"url\":null}}}"
#define LOST "{\"data\":{\"bulkOperation\":null}}"
#define COST                                                                       \
    "\"extensions\":{\"cost\":{\"requestedQueryCost\":50,\"actualQueryCost\":50,"  \
    "\"throttleStatus\":{\"maximumAvailable\":2000.0,\"currentlyAvailable\":1950," \
    "\"restoreRate\":100.0}}}"
#define MOST 64 /* answers of a test */

static const struct fake_setting settings[] = { { "shop", "acme.myshopify.com" },
                                                { "webhook_secret", "sandbox-app-secret-current" },
                                                { "admin.version", "2026-10" },
                                                { "admin.token", "shpat_secret" },
                                                { 0 } };
static const struct fake_setting without_admin[] = {
    { "shop", "acme.myshopify.com" }, { "webhook_secret", "sandbox-app-secret-current" }, { 0 }
};

struct rig {
    const sl_plugin *plugin;
    struct fake_host *host;
    void *self;
    char *answers[MOST]; /* own */
    size_t n_answers;
    char range[80]; /* of the file */
    sl_backfill what;
    sl_poll_out out;
    char told[1 << 13]; /* "topic order-id" a line */
    size_t emitted, pending, most_pending;
    size_t room;                    /* events between two checkpoints */
    size_t this_turn, bytes_a_turn; /* bytes told */
    char cursors[4000];             /* a line each */
    size_t checkpoints, fail_at;    /* the so manieth is not stored; 0: all are */
    sl_durable_cb cb;
    void *cb_ctx;
    int cancelled;
    uint64_t done, total;
    int finished;
    sl_status status;
    char why[600];
    int64_t after_ms;
};

static inline int setup_with(void **state, const struct fake_setting *given)
{
    struct rig *x = calloc(1, sizeof(*x));

    x->plugin = sl_plugin_v0();
    x->host = fake_host_create("acme", x->plugin->settings, given);
    x->self = fake_host_open(x->host, x->plugin);
    x->room = 1000;
    x->what = (sl_backfill){ .size = sizeof(x->what),
                             .topics = { "orders/*", 8 },
                             .since_ms = INT64_C(1793491200000), /* 2026-11-01 */
                             .until_ms = INT64_C(1795392000000) };
    *state = x;
    return 0;
}

static inline int setup(void **state)
{
    return setup_with(state, settings);
}

static inline int setup_without_admin(void **state)
{
    return setup_with(state, without_admin);
}

static inline int teardown(void **state)
{
    struct rig *x = *state;

    fake_host_close(x->host, x->plugin, x->self);
    fake_host_destroy(x->host);
    for (size_t i = 0; i < x->n_answers; i++)
        free(x->answers[i]);
    free(x);
    return 0;
}

/* ---- the host's side ----------------------------------------------------------------------- */

static inline void on_next_turn(void *ctx)
{
    struct rig *x = ctx;

    x->this_turn = 0;
}

static inline sl_status on_emit_missed(void *ctx, const sl_missed *m)
{
    struct rig *x = ctx;
    const sl_host *h = fake_host_table(x->host);
    json_t *body = json_loadb(m->body.ptr, m->body.len, 0, NULL);
    size_t at = strlen(x->told);

    CHECK(!x->finished);
    assert_true(json_is_object(body));
    if (x->cancelled) {
        json_decref(body);
        return SL_E_CANCELLED;
    }
    if (x->pending == x->room) {
        json_decref(body);
        return SL_E_LIMIT;
    }
    if (x->this_turn == 0) /* it runs before what the plugin puts off after it */
        h->timer(h->ctx, 0, on_next_turn, x);
    x->this_turn += m->body.len;
    if (x->this_turn > x->bytes_a_turn)
        x->bytes_a_turn = x->this_turn;
    x->emitted++;
    if (++x->pending > x->most_pending)
        x->most_pending = x->pending;
    if (at + 80 < sizeof(x->told))
        snprintf(x->told + at, sizeof(x->told) - at, "%.*s %lld\n", (int)m->topic.len, m->topic.ptr,
                 (long long)json_integer_value(json_object_get(body, "id")));
    json_decref(body);
    return SL_OK;
}

static inline void on_durable(void *ctx)
{
    struct rig *x = ctx;

    x->pending = 0;
    x->cb(x->cb_ctx, x->cancelled                   ? SL_E_CANCELLED
                     : x->checkpoints == x->fail_at ? SL_E_INTERNAL
                                                    : SL_OK);
}

static inline void on_checkpoint(void *ctx, sl_str cursor, sl_durable_cb cb, void *cb_ctx)
{
    struct rig *x = ctx;
    const sl_host *h = fake_host_table(x->host);
    size_t at = strlen(x->cursors);

    x->checkpoints++;
    if (at + cursor.len + 2 < sizeof(x->cursors))
        snprintf(x->cursors + at, sizeof(x->cursors) - at, "%.*s\n", (int)cursor.len, cursor.ptr);
    x->cb = cb;
    x->cb_ctx = cb_ctx;
    h->timer(h->ctx, 1, on_durable, x);
}

static inline void on_finish(void *ctx, sl_status status, sl_str why, int64_t after_ms)
{
    struct rig *x = ctx;

    x->finished++;
    x->status = status;
    x->after_ms = after_ms;
    snprintf(x->why, sizeof(x->why), "%.*s", (int)why.len, why.len ? why.ptr : "");
}

static inline sl_status on_progress(void *ctx, uint64_t done, uint64_t total, sl_str of)
{
    struct rig *x = ctx;

    CHECK(of.len == 6 && memcmp(of.ptr, "orders", 6) == 0);
    x->done = done;
    x->total = total;
    return x->cancelled ? SL_E_CANCELLED : SL_OK;
}

static inline void start(struct rig *x, const char *cursor)
{
    x->out = (sl_poll_out){ .size = sizeof(x->out),
                            .ctx = x,
                            .checkpoint = on_checkpoint,
                            .finish = on_finish,
                            .emit_missed = on_emit_missed,
                            .progress = on_progress };
    x->finished = 0;
    x->told[0] = x->cursors[0] = '\0';
    x->plugin->backfill(x->self, &x->what, (sl_str){ cursor, strlen(cursor) }, &x->out);
}

static inline void run(struct rig *x, const char *cursor)
{
    start(x, cursor);
    fake_host_run(x->host);
    CHECK_EQ(x->finished, 1);
}

/* ---- the shop's side ----------------------------------------------------------------------- */

static inline void expect_own(struct rig *x, const char *url, uint32_t status, char *answer)
{
    assert_true(x->n_answers < MOST);
    x->answers[x->n_answers++] = answer;
    FAKE_EXPECT(x->host, .url = url, .status = status, .answer = answer);
}

static inline void says(struct rig *x, const char *answer)
{
    FAKE_EXPECT(x->host, .method = "POST", .url = URL, .status = 200, .answer = answer);
}

/* An order of the recorded answers, as GraphQL gives it. */
static inline json_t *order(int number)
{
    json_t *o = json_load_file(DATA_DIR "/shopify-answer-order.json", 0, NULL);
    char id[60];

    assert_non_null(o);
    snprintf(id, sizeof(id), "gid://shopify/Order/%d", number);
    json_object_set_new(o, "id", json_string(id));
    return o;
}

static inline void add_line(char **file, json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT), *longer = NULL;

    CHECK(asprintf(&longer, "%s%s\n", *file, text) > 0);
    free(*file);
    free(text);
    json_decref(line);
    *file = longer;
}

/* As the bulk operation's file has it: its connections are lines of their own. `parts`: it has
 * fulfilments and refunds, which the file does not tell. */
static inline void put_order(char **file, int number, bool parts)
{
    static const char *const lists[] = { "lineItems", "shippingLines", "discountApplications" };
    static const char *const types[] = { "LineItem", "ShippingLine", NULL };
    json_t *o = order(number), *nodes[3], *child;
    char id[60];
    size_t i;

    snprintf(id, sizeof(id), "%s", json_string_value(json_object_get(o, "id")));
    for (size_t k = 0; k < 3; k++) {
        nodes[k] = json_incref(json_object_get(json_object_get(o, lists[k]), "nodes"));
        json_object_del(o, lists[k]);
    }
    json_object_set_new(o, "fulfillments", parts ? json_pack("[{s:s}]", "id", "f") : json_array());
    json_object_set_new(o, "refunds", json_array());
    add_line(file, o);
    for (size_t k = 0; k < 3; k++) {
        json_array_foreach(nodes[k], i, child)
        {
            json_t *line = json_copy(child);

            if (types[k])
                json_object_set_new(line, "__typename", json_string(types[k]));
            json_object_set_new(line, "__parentId", json_string(id));
            add_line(file, line);
        }
        json_decref(nodes[k]);
    }
}

/* The operation is over, and its file holds orders 1 to n from `first` on. */
static inline void expect_file(struct rig *x, int first, int last, bool parts)
{
    char *file = strdup(""), *done = NULL;

    for (int i = first; i <= last; i++)
        put_order(&file, i, parts);
    CHECK(asprintf(&done,
                   "{\"data\":{\"bulkOperation\":{\"id\":\"" OP
                   "\",\"status\":\"COMPLETED\",\"errorCode\":null,\"rootObjectCount\":\"%d\","
                   "\"fileSize\":null,\"url\":\"" FILE_URL "\"}}}",
                   last) > 0);
    expect_own(x, URL, 200, done);
    snprintf(x->range, sizeof(x->range), "Content-Range: bytes 0-%zu/%zu", strlen(file) - 1,
             strlen(file));
    assert_true(x->n_answers < MOST);
    x->answers[x->n_answers++] = file;
    FAKE_EXPECT(x->host, .url = FILE_URL, .status = 206, .answer = file,
                .answer_headers = strlen(file) < 131072 ? NULL : x->range);
}

static inline void expect_data(struct rig *x, json_t *data)
{
    char *text = json_dumps(data, JSON_COMPACT), *answer = NULL;

    CHECK(asprintf(&answer, "{\"data\":%s," COST "}", text) > 0);
    free(text);
    json_decref(data);
    expect_own(x, URL, 200, answer);
}

/* An order's fulfilments and refunds. */
static inline json_t *parts_of(int number)
{
    json_t *o = order(number), *one;

    one = json_pack("{s:O,s:O,s:O}", "id", json_object_get(o, "id"), "fulfillments",
                    json_object_get(o, "fulfillments"), "refunds", json_object_get(o, "refunds"));
    assert_non_null(one);
    json_decref(o);
    return one;
}

static inline size_t times(const char *text, const char *what)
{
    size_t n = 0;

    for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
        n++;
    return n;
}

static inline const char *query(struct rig *x)
{
    return fake_host_last_body(x->host).ptr;
}
