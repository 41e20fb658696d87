/*
 * What the tables hold does not depend on which records share a transaction: a delivery that is
 * sent and answered within one leaves what it leaves when the two lie apart.
 */
#include "../check.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <uv.h>
#include "base/buf.h"
#include "store/index.h"

#define RECORDS 16

static struct buf payloads[RECORDS];
static enum record_type types[RECORDS];
static size_t n_records;

static struct buf *add(enum record_type type)
{
    assert_true(n_records < RECORDS);
    types[n_records] = type;
    buf_clear(&payloads[n_records]);
    return &payloads[n_records++];
}

static void add_event(unsigned n)
{
    struct rec_delivery d[4];
    uint64_t event = n_records + 1;

    for (unsigned i = 0; i < n; i++)
        d[i] = (struct rec_delivery){ .num = delivery_num(event, i),
                                      .priority = 2,
                                      .route = STR("r"),
                                      .endpoint = STR("e"),
                                      .action = STR("do"),
                                      .subject = STR("order/1"),
                                      .body = STR("{\"a\":1}") };
    rec_receipt_encode(add(REC_RECEIPT), &(struct rec_receipt){ .received_ms = 1,
                                                                .endpoint = STR("shop"),
                                                                .topic = STR("a/b"),
                                                                .body = STR("{}") });
    rec_routed_encode(
        add(REC_ROUTED),
        &(struct rec_routed){ .event = event, .at_ms = 2, .deliveries = d, .n_deliveries = n });
}

/* Gives the batch. */
static uint64_t add_sent(uint64_t num, uint32_t attempt, const char *request)
{
    struct rec_sent_item item = {
        .num = num, .attempt = attempt, .key = STR("k"), .request = str_of(request)
    };

    rec_sent_encode(add(REC_SENT), &(struct rec_sent){ .at_ms = 10 * attempt,
                                                       .endpoint = STR("e"),
                                                       .route = STR("r"),
                                                       .items = &item,
                                                       .n_items = 1 });
    return n_records;
}

static void add_move(enum record_type type, uint64_t batch, struct rec_move m)
{
    struct rec_moves rec = { .at_ms = 1000 + (int64_t)n_records,
                             .batch = batch,
                             .who = STR("adapter"),
                             .moves = &m,
                             .n_moves = 1 };

    rec_moves_encode(add(type), &rec);
}

static struct rec_move outcome(uint64_t num, enum delivery_state state, uint32_t attempt)
{
    return (struct rec_move){ .num = num,
                              .state = (uint8_t)state,
                              .attempt = attempt,
                              .burnt = 1,
                              .status = 200,
                              .latency_ms = 7,
                              .next_ms = state == DS_WAITING ? 5000 : 0,
                              .reason = STR("said so"),
                              .reference = STR("ref-1") };
}

/* ---- applied in groups, and written down ---- */

static int on_row(void *ctx, int n, char **values, char **names)
{
    struct buf *to = ctx;

    for (int i = 0; i < n; i++)
        buf_printf(to, "%s=%s ", names[i], values[i] ? values[i] : "NULL");
    buf_char(to, '\n');
    return 0;
}

static void dump(const char *dir, struct buf *to)
{
    static const char *const tables[] = { "deliveries", "attempts", "moves", "bodies" };
    char path[128], sql[200];
    sqlite3 *db;

    snprintf(path, sizeof(path), "%s/sluice.db", dir);
    CHECK_EQ(sqlite3_open(path, &db), SQLITE_OK);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        snprintf(sql, sizeof(sql), "SELECT * FROM %s ORDER BY 1, 2, 3", tables[i]);
        CHECK_EQ(sqlite3_exec(db, sql, on_row, to, NULL), SQLITE_OK);
    }
    CHECK_EQ(sqlite3_exec(db, "SELECT * FROM counts WHERE n <> 0", on_row, to, NULL), SQLITE_OK);
    CHECK_EQ(sqlite3_exec(db, "SELECT id, hex(members), hex(token), done FROM batches", on_row, to,
                          NULL),
             SQLITE_OK);
    sqlite3_close(db);
}

/** All tables after the records, so many of them a transaction. */
static char *applied(size_t group)
{
    char dir[] = "/tmp/sluice-index-XXXXXX", path[64];
    static const char *const files[] = { "sluice.db", "sluice.db-wal", "sluice.db-shm" };
    struct fail fail = { 0 };
    struct buf text = { 0 };
    struct index *ix;

    assert_non_null(mkdtemp(dir));
    CHECK_EQ(index_open(&ix, dir, NULL, (const uint8_t *)"a log's own name", 1000, &fail), 0);
    for (size_t i = 0; i < n_records; i++) {
        if (i % group == 0)
            CHECK_EQ(index_begin(ix), 0);
        CHECK_EQ(index_apply(ix, &(struct reclog_record){ .seq = i + 1,
                                                          .pos = i + 1,
                                                          .type = types[i],
                                                          .payload = buf_view(&payloads[i]) }),
                 0);
        if (i % group == group - 1 || i + 1 == n_records)
            CHECK_EQ(index_commit(ix), 0);
    }
    index_close(ix);
    dump(dir, &text);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        remove(path);
    }
    remove(dir);
    return buf_steal(&text, NULL);
}

/** The same however they are grouped; `what` must be found in it. */
static void check_groups(const char *what)
{
    char *alone = applied(1);

    assert_non_null(strstr(alone, what));
    for (size_t group = 2; group <= n_records + 1; group++) {
        char *text = applied(group);
        assert_string_equal(text, alone);
        free(text);
    }
    free(alone);
    for (size_t i = 0; i < n_records; i++)
        buf_finish(&payloads[i]);
    n_records = 0;
}

/* ---- stories ---- */

static void sent_and_delivered(void **state)
{
    uint64_t num = delivery_num(1, 0), batch;

    (void)state;
    add_event(1);
    batch = add_sent(num, 1, "frozen");
    add_move(REC_OUTCOME, batch, outcome(num, DS_DELIVERED, 1));
    check_groups("state=6 priority=2 attempts=1 ");
}

static void a_batch_of_one_is_gone_with_its_outcome(void **state)
{
    uint64_t num = delivery_num(1, 0), batch;

    (void)state;
    add_event(2);
    batch = add_sent(num, 1, "");
    add_sent(delivery_num(1, 1), 1, "");
    add_move(REC_OUTCOME, batch, outcome(num, DS_DEAD, 1));
    char *text = applied(100);
    assert_null(strstr(text, "id=3 hex(members)"));
    assert_non_null(strstr(text, "id=4 hex(members)"));
    free(text);
    check_groups("state=1 ");
}

static void retried_and_thrown_back_and_sent_again(void **state)
{
    uint64_t num = delivery_num(1, 0), batch;

    (void)state;
    add_event(1);
    batch = add_sent(num, 1, "one");
    add_move(REC_OUTCOME, batch, outcome(num, DS_WAITING, 1));
    batch = add_sent(num, 2, "");
    struct rec_move back = outcome(num, DS_READY, 2);
    back.burnt = 0;
    add_move(REC_OUTCOME, batch, back);
    batch = add_sent(num, 2, "two");
    add_move(REC_OUTCOME, batch, outcome(num, DS_DELIVERED, 2));
    check_groups("reference=ref-1");
}

static void fails_over_with_its_outcome(void **state)
{
    uint64_t num = delivery_num(1, 0), batch;

    (void)state;
    add_event(1);
    batch = add_sent(num, 1, "of the first member");
    struct rec_move over = outcome(num, DS_READY, 1);
    over.endpoint = STR("f");
    over.generation = 1;
    over.detail = STR("{\"why\":1}");
    add_move(REC_OUTCOME, batch, over);
    add_sent(num, 2, "of the second");
    check_groups("endpoint=f ");
}

static void a_checkpoint_finds_its_batch(void **state)
{
    uint64_t num = delivery_num(1, 0), batch;

    (void)state;
    add_event(1);
    batch = add_sent(num, 1, "");
    rec_checkpoint_encode(
        add(REC_CHECKPOINT),
        &(struct rec_checkpoint){ .batch = batch, .at_ms = 3, .done = 4, .token = STR("job") });
    check_groups("hex(token)=6A6F62 done=4");
}

static void what_is_decided_meanwhile_finds_it_in_flight(void **state)
{
    uint64_t num = delivery_num(1, 0), batch;

    (void)state;
    add_event(1);
    batch = add_sent(num, 1, "frozen");
    add_move(REC_DECISION, 0,
             (struct rec_move){ .num = num, .state = DS_HELD, .reason = STR("wait") });
    add_move(REC_OUTCOME, batch, outcome(num, DS_DELIVERED, 1));
    check_groups("state=6 ");
}

static void sent_twice_without_an_outcome_between(void **state)
{
    uint64_t num = delivery_num(1, 0), batch;

    (void)state;
    add_event(1);
    add_sent(num, 1, "first");
    batch = add_sent(num, 1, "second");
    add_move(REC_OUTCOME, batch, outcome(num, DS_DELIVERED, 1));
    check_groups("request=second");
}

static void a_delivery_that_is_not_known_leaves_its_batch_alone(void **state)
{
    uint64_t num = delivery_num(77, 0), batch;

    (void)state;
    add_event(1);
    batch = add_sent(num, 1, "");
    add_move(REC_OUTCOME, batch, outcome(num, DS_DELIVERED, 1));
    check_groups("id=3 hex(members)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sent_and_delivered),
        cmocka_unit_test(a_batch_of_one_is_gone_with_its_outcome),
        cmocka_unit_test(retried_and_thrown_back_and_sent_again),
        cmocka_unit_test(fails_over_with_its_outcome),
        cmocka_unit_test(a_checkpoint_finds_its_batch),
        cmocka_unit_test(what_is_decided_meanwhile_finds_it_in_flight),
        cmocka_unit_test(sent_twice_without_an_outcome_between),
        cmocka_unit_test(a_delivery_that_is_not_known_leaves_its_batch_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
