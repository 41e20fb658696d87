/*
 * test_shopify_bulk.c - a bulk operation: begun, waited for, its file read in pieces; what the shop
 * and the file's storage may say instead; closed in every state.
 */
#include "fake_host.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulk/bulk.h"
#include "shopify.h"

#define URL      "https://acme.myshopify.com/admin/api/2026-10/graphql.json"
#define FILE_URL "https://storage.example.com/bulk/7.jsonl?sig=a"
#define OP       "gid://shopify/BulkOperation/7"
#define ROOT1    "{\"id\":\"1\"}\n"
#define CHILD1   "{\"id\":\"10\",\"__typename\":\"Line\",\"__parentId\":\"1\"}\n"
#define ROOT2    "{\"id\":\"2\"}\n"
#define ALL      ROOT1 CHILD1 ROOT2
#define COMPLETED(objects, size, url)                 \
    "{\"data\":{\"bulkOperation\":{\"id\":\"" OP      \
    "\",\"status\":\"COMPLETED\",\"errorCode\":null," \
    "\"rootObjectCount\":\"" objects "\",\"fileSize\":" size ",\"url\":" url "}}}"
#define STATUS(status, code, objects)                                      \
    "{\"data\":{\"bulkOperation\":{\"id\":\"" OP "\",\"status\":\"" status \
    "\",\"errorCode\":" code ",\"rootObjectCount\":\"" objects             \
    "\",\"fileSize\":null,\"url\":null}}}"
#define STARTED                                                             \
    "{\"data\":{\"bulkOperationRunQuery\":{\"bulkOperation\":{\"id\":\"" OP \
    "\",\"status\":"                                                        \
    "\"CREATED\"},\"userErrors\":[]}}}"
#define REFUSED(code)                                                                                \
    "{\"data\":{\"bulkOperationRunQuery\":{\"bulkOperation\":null,\"userErrors\":[{\"code\":\"" code \
    "\",\"field\":[\"query\"],\"message\":\"the shop's words\"}]}}}"

static const struct fake_setting settings[] = { { "shop", "acme.myshopify.com" },
                                                { "webhook_secret", "sandbox-app-secret-current" },
                                                { "admin.version", "2026-10" },
                                                { "admin.token", "shpat_secret" },
                                                { 0 } };
static const struct jsonl_child table[] = { { NULL, "Line", "lines" }, { 0 } };

struct rig {
    const sl_plugin *plugin;
    struct fake_host *host;
    void *self;
    struct bulk *bulk;
    char told[1 << 12]; /* a line each */
    struct bulk_mark mark;
    int64_t after_ms;
    int n, close_at; /* the so manieth that is told; 0: never */
    int lost, park, over;
};

static int setup(void **state)
{
    struct rig *x = calloc(1, sizeof(*x));

    x->plugin = sl_plugin_v0();
    x->host = fake_host_create("acme", x->plugin->settings, settings);
    x->self = fake_host_open(x->host, x->plugin);
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct rig *x = *state;

    if (x->bulk)
        bulk_close(x->bulk);
    fake_host_close(x->host, x->plugin, x->self);
    fake_host_destroy(x->host);
    free(x);
    return 0;
}

static void note(struct rig *x, const struct bulk_told *t)
{
    static const char *const names[] = { "started", "runs", "root", "ends", "fails" };
    size_t at = strlen(x->told);
    const char *id = json_string_value(json_object_get(t->root, "id"));
    size_t lines = json_array_size(json_object_get(json_object_get(t->root, "lines"), "nodes"));

    if (t->what == BULK_ROOT)
        snprintf(x->told + at, sizeof(x->told) - at, "root %s+%zu @%" PRId64 "\n", id, lines,
                 t->mark.offset);
    else
        snprintf(x->told + at, sizeof(x->told) - at, "%s%s%s\n", names[t->what],
                 t->what == BULK_FAILS ? ": " : "", t->what == BULK_FAILS ? t->why : "");
}

static void on_told(void *ctx, const struct bulk_told *t)
{
    struct rig *x = ctx;

    CHECK(!x->over);
    note(x, t);
    x->mark = t->mark;
    x->after_ms = t->after_ms;
    x->lost = t->lost;
    x->park = t->park;
    x->over = t->what == BULK_ENDS || t->what == BULK_FAILS;
    if (++x->n == x->close_at) {
        bulk_close(x->bulk);
        x->bulk = NULL;
        x->over = 1;
    } else if (!x->over) {
        bulk_next(x->bulk);
    }
}

static void start(struct rig *x, const struct bulk_mark *mark)
{
    static const struct bulk_mark none;

    x->told[0] = '\0';
    x->n = x->over = 0;
    x->bulk = bulk_open(x->self, "{orders{edges{node{id}}}}", table, mark ? mark : &none, on_told,
                        x);
    assert_non_null(x->bulk);
    CHECK_EQ(x->n, 0); /* not before it returned */
}

static void run(struct rig *x, const struct bulk_mark *mark)
{
    start(x, mark);
    fake_host_run(x->host);
    CHECK(x->over);
    if (x->bulk)
        bulk_close(x->bulk);
    x->bulk = NULL;
}

static const struct bulk_mark known = { .operation = OP };

static void says(struct rig *x, const char *answer)
{
    FAKE_EXPECT(x->host, .method = "POST", .url = URL, .status = 200, .answer = answer);
}

static void piece(struct rig *x, const char *range, uint32_t status, const char *headers,
                  const char *answer)
{
    FAKE_EXPECT(x->host, .method = "GET", .url = FILE_URL, .headers = range, .status = status,
                .answer_headers = headers, .answer = answer);
}

/* ---- tests --------------------------------------------------------------------------------- */

static void an_operation_is_begun_waited_for_and_read(void **state)
{
    struct rig *x = *state;
    int64_t began = fake_host_wall_ms(x->host);

    says(x, STARTED);
    says(x, STATUS("CREATED", "null", "0"));
    says(x, STATUS("RUNNING", "null", "1"));
    says(x, COMPLETED("2", "\"71\"", "\"" FILE_URL "\""));
    /* a signed address is asked without the shop's token */
    piece(x, "Range: bytes=0-131071\n!X-Shopify-Access-Token", 206, NULL, ALL);
    run(x, NULL);
    CHECK_STR(x->told, "started\nruns\nruns\nroot 1+1 @60\nroot 2+0 @71\nends\n");
    CHECK_EQ(strlen(ALL), 71);
    CHECK_EQ(fake_host_wall_ms(x->host) - began, 1000 + 2000 + 4000); /* rarer and rarer */
    CHECK_STR(x->mark.operation, OP);
    CHECK_EQ(x->mark.offset, 71);
}

static void the_query_asks_for_children_beside_their_parent(void **state)
{
    struct rig *x = *state;

    says(x, REFUSED("INVALID"));
    run(x, NULL);
    CHECK(strstr(fake_host_last_body(x->host).ptr, "groupObjects: true"));
    CHECK(strstr(fake_host_last_body(x->host).ptr, "{orders{edges{node{id}}}}"));
}

static void a_shop_whose_places_are_taken_is_asked_a_minute_later(void **state)
{
    struct rig *x = *state;

    says(x, REFUSED("LIMIT_REACHED"));
    run(x, NULL);
    CHECK_STR(x->told, "fails: no bulk operation: the shop's words\n");
    CHECK_EQ(x->after_ms, 60000);
    says(x, REFUSED("OPERATION_IN_PROGRESS"));
    run(x, NULL);
    CHECK_EQ(x->after_ms, 60000);
    says(x, REFUSED("INVALID"));
    run(x, NULL);
    CHECK_EQ(x->after_ms, 0);
    CHECK(!x->lost && !x->park && !x->mark.operation[0]);
    says(x, "{\"data\":{\"bulkOperationRunQuery\":{\"bulkOperation\":null,\"userErrors\":[]}}}");
    run(x, NULL);
    CHECK_STR(x->told, "fails: no bulk operation in the answer\n");
}

static void one_that_ends_otherwise_is_lost(void **state)
{
    static const struct {
        const char *answer, *why;
    } cases[] = {
        { STATUS("FAILED", "\"TIMEOUT\"", "3"), "the shop's bulk operation is FAILED: TIMEOUT" },
        { STATUS("CANCELED", "null", "3"), "the shop's bulk operation is CANCELED" },
        { STATUS("EXPIRED", "null", "3"), "the shop's bulk operation is EXPIRED" },
        { "{\"data\":{\"bulkOperation\":null}}",
          "the shop does not know its bulk operation any more" },
        { "{\"data\":{\"bulkOperation\":{}}}", "the shop's bulk operation is gone" },
        { COMPLETED("2", "null", "null"), "the bulk operation's file is not there any more" },
    };
    struct rig *x = *state;
    char text[200];

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        says(x, cases[i].answer);
        run(x, &known);
        snprintf(text, sizeof(text), "fails: %s\n", cases[i].why);
        CHECK_STR(x->told, text);
        CHECK(x->lost && !x->park);
    }
}

static void of_nothing_there_is_no_file(void **state)
{
    struct rig *x = *state;

    says(x, COMPLETED("0", "null", "null"));
    run(x, &known);
    CHECK_STR(x->told, "ends\n");
}

static void a_token_that_is_refused_is_for_a_person(void **state)
{
    struct rig *x = *state;

    FAKE_EXPECT(x->host, .url = URL, .status = 401, .answer = "{\"errors\":\"Invalid API key\"}");
    run(x, &known);
    CHECK(x->park && !x->lost);
    FAKE_EXPECT(x->host, .url = URL, .error = SL_E_NETWORK);
    run(x, &known);
    CHECK(!x->park && !x->lost);
    CHECK_STR(x->mark.operation, OP);
}

static void the_file_comes_in_pieces_of_any_length(void **state)
{
    struct rig *x = *state;

    says(x, COMPLETED("2", "\"71\"", "\"" FILE_URL "\""));
    piece(x, "Range: bytes=0-131071", 206, "Content-Range: bytes 0-4/71", "{\"id\"");
    piece(x, "Range: bytes=5-131076", 206, "Content-Range: bytes 5-70/71", &ALL[5]);
    run(x, &known);
    CHECK_STR(x->told, "root 1+1 @60\nroot 2+0 @71\nends\n");
}

static void a_restart_reads_on_at_a_root(void **state)
{
    struct bulk_mark mark = { .operation = OP, .offset = 60 };
    struct rig *x = *state;

    says(x, COMPLETED("2", "\"71\"", "\"" FILE_URL "\""));
    piece(x, "Range: bytes=60-131131", 206, "Content-Range: bytes 60-70/71", ROOT2);
    run(x, &mark);
    CHECK_STR(x->told, "root 2+0 @71\nends\n");
    mark.offset = 71; /* all was read, and nobody has heard of it */
    says(x, COMPLETED("2", "\"71\"", "\"" FILE_URL "\""));
    piece(x, "Range: bytes=71-131142", 416, "Content-Range: bytes */71", "");
    run(x, &mark);
    CHECK_STR(x->told, "ends\n");
}

static void a_storage_without_ranges_gives_the_whole(void **state)
{
    struct bulk_mark mark = { .operation = OP, .offset = 60 };
    struct rig *x = *state;

    says(x, COMPLETED("2", "\"71\"", "\"" FILE_URL "\""));
    piece(x, NULL, 200, NULL, ALL);
    run(x, &known);
    CHECK_STR(x->told, "root 1+1 @60\nroot 2+0 @71\nends\n");
    says(x, COMPLETED("2", "\"71\"", "\"" FILE_URL "\""));
    piece(x, NULL, 200, NULL, ALL);
    run(x, &mark);
    CHECK_STR(x->told, "root 2+0 @71\nends\n");
    says(x, COMPLETED("2", "\"71\"", "\"" FILE_URL "\""));
    piece(x, NULL, 200, NULL, ROOT1);
    run(x, &mark);
    CHECK_STR(x->told, "fails: the bulk operation's file is shorter than it was\n");
    CHECK(x->lost);
}

/* Never "that was all" while the shop or the storage says that there is more. */
static void a_file_that_ends_early_is_no_end(void **state)
{
    struct rig *x = *state;

    says(x, COMPLETED("2", "\"71\"", "\"" FILE_URL "\""));
    piece(x, NULL, 206, NULL, ROOT1 CHILD1);
    piece(x, "Range: bytes=60-131131", 206, NULL, "");
    run(x, &known);
    CHECK_STR(x->told, "fails: the bulk operation's file ends at byte 60 of 71\n");
    CHECK(!x->lost);
    says(x, COMPLETED("2", "\"71\"", "\"" FILE_URL "\""));
    piece(x, NULL, 206, NULL, ROOT1 CHILD1);
    piece(x, NULL, 416, NULL, "");
    run(x, &known);
    CHECK_STR(x->told, "fails: the bulk operation's file is shorter than the shop says\n");
    CHECK(x->lost);
    says(x, COMPLETED("2", "null", "\"" FILE_URL "\""));
    piece(x, NULL, 206, "Content-Range: bytes 11-90/99", ROOT1);
    run(x, &known);
    CHECK_STR(x->told,
              "fails: another piece of the bulk operation's file came than was asked for\n");
}

static void a_refused_address_is_asked_for_anew_once(void **state)
{
    struct rig *x = *state;

    says(x, COMPLETED("2", "\"71\"", "\"" FILE_URL "\""));
    piece(x, NULL, 403, NULL, "<Error/>");
    says(x, COMPLETED("2", "\"71\"", "\"" FILE_URL "\""));
    piece(x, "Range: bytes=0-131071", 206, NULL, ROOT1);
    piece(x, "Range: bytes=11-131082", 403, NULL, "<Error/>"); /* again, after a piece */
    says(x, COMPLETED("2", "\"71\"", "\"" FILE_URL "\""));
    piece(x, "Range: bytes=11-131082", 206, NULL, CHILD1 ROOT2);
    run(x, &known);
    CHECK_STR(x->told, "root 1+1 @60\nroot 2+0 @71\nends\n");

    says(x, COMPLETED("2", "\"71\"", "\"" FILE_URL "\""));
    piece(x, NULL, 403, NULL, "<Error/>");
    says(x, COMPLETED("2", "\"71\"", "\"" FILE_URL "\""));
    piece(x, NULL, 403, NULL, "<Error/>");
    run(x, &known);
    CHECK_STR(x->told, "fails: the bulk operation's file: HTTP 403\n");
    CHECK(x->lost);
}

static void a_storage_that_is_busy_is_asked_again_later(void **state)
{
    struct rig *x = *state;
    static const uint32_t moments[] = { 408, 429, 500, 503 };

    for (size_t i = 0; i < 4; i++) {
        says(x, COMPLETED("2", "\"71\"", "\"" FILE_URL "\""));
        FAKE_EXPECT(x->host, .url = FILE_URL, .status = moments[i], .retry_after_ms = 7000);
        run(x, &known);
        CHECK(!x->lost);
        CHECK_EQ(x->after_ms, 7000);
    }
    says(x, COMPLETED("2", "\"71\"", "\"" FILE_URL "\""));
    FAKE_EXPECT(x->host, .url = FILE_URL, .error = SL_E_NETWORK);
    run(x, &known);
    CHECK(!x->lost);
    CHECK(strstr(x->told, "fails: the bulk operation's file: "));
}

static void a_torn_file_is_told_with_its_place(void **state)
{
    struct rig *x = *state;

    says(x, COMPLETED("2", "\"32\"", "\"" FILE_URL "\""));
    piece(x, NULL, 206, "Content-Range: bytes 0-31/32", ROOT1 ROOT2 "{\"id\":\"3\",");
    run(x, &known);
    CHECK(strstr(x->told, "root 1+0 @11\n"));
    CHECK(strstr(x->told, "fails: at byte 22: "));
    CHECK(!x->lost);
}

/* In each callback, and between any two of them; the fake finds what is left under way. */
static void it_can_be_closed_at_any_time(void **state)
{
    struct rig *x = *state;

    for (x->close_at = 1; x->close_at <= 3; x->close_at++) {
        says(x, STARTED);
        if (x->close_at > 1)
            says(x, STATUS("RUNNING", "null", "1"));
        if (x->close_at > 2) {
            says(x, COMPLETED("2", "\"71\"", "\"" FILE_URL "\""));
            piece(x, NULL, 206, NULL, ALL);
        }
        run(x, NULL);
        CHECK_EQ(x->n, x->close_at);
    }
    x->close_at = 0;
    start(x, NULL); /* before it has asked for anything */
    bulk_close(x->bulk);
    x->bulk = NULL;
    fake_host_run(x->host);
    CHECK_EQ(x->n, 0);
    for (int step = 0; step < 3; step++) { /* while it waits for an answer */
        FAKE_EXPECT(x->host, .url = URL, .status = 200, .delay_ms = step == 0 ? 500 : 0,
                    .answer = STARTED);
        if (step > 0)
            FAKE_EXPECT(x->host, .url = URL, .status = 200, .delay_ms = step == 1 ? 500 : 0,
                        .answer = COMPLETED("2", "\"71\"", "\"" FILE_URL "\""));
        if (step > 1)
            FAKE_EXPECT(x->host, .url = FILE_URL, .status = 206, .delay_ms = 500, .answer = ALL);
        start(x, NULL);
        fake_host_run_for(x->host, step == 0 ? 100 : 1100);
        CHECK(fake_host_pending(x->host) > 0);
        CHECK_EQ(x->n, step > 0);
        bulk_close(x->bulk);
        x->bulk = NULL;
        fake_host_run(x->host);
        CHECK_EQ(x->n, step > 0);
    }
    says(x, STARTED);
    start(x, NULL); /* while it waits for the next look */
    fake_host_run_for(x->host, 500);
    CHECK_EQ(x->n, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_operation_is_begun_waited_for_and_read),
        TEST(the_query_asks_for_children_beside_their_parent),
        TEST(a_shop_whose_places_are_taken_is_asked_a_minute_later),
        TEST(one_that_ends_otherwise_is_lost),
        TEST(of_nothing_there_is_no_file),
        TEST(a_token_that_is_refused_is_for_a_person),
        TEST(the_file_comes_in_pieces_of_any_length),
        TEST(a_restart_reads_on_at_a_root),
        TEST(a_storage_without_ranges_gives_the_whole),
        TEST(a_file_that_ends_early_is_no_end),
        TEST(a_refused_address_is_asked_for_anew_once),
        TEST(a_storage_that_is_busy_is_asked_again_later),
        TEST(a_torn_file_is_told_with_its_place),
        TEST(it_can_be_closed_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
