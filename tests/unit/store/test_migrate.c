/*
 * test_migrate.c - an index of an earlier form becomes today's and keeps what it had.
 */
#include "../check.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>
#include "store/index.h"
#include "store/schema.h"
#include "store/sql.h"

#define LOG_ID "the log, its id." /* 16 bytes */

static char dir[64], path[96];

static void begin(void)
{
    snprintf(dir, sizeof(dir), "/tmp/sluice-migrate-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/sluice.db", dir);
}

static void end(void)
{
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    char name[128];

    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        remove(name);
    }
    CHECK_EQ(rmdir(dir), 0);
}

static void run(const char *sql)
{
    char *wrong = NULL;
    sqlite3 *db;

    CHECK_EQ(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &wrong) != SQLITE_OK)
        fail_msg("%s: %s", sql, wrong);
    sqlite3_close(db);
}

static int64_t number(const char *sql)
{
    sqlite3_stmt *st;
    sqlite3 *db;
    int64_t n;

    CHECK_EQ(sqlite3_open(path, &db), SQLITE_OK);
    CHECK_EQ(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    CHECK_EQ(sqlite3_step(st), SQLITE_ROW);
    n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return n;
}

/* Version 2 with one delivery in each of some states: num 4096 and up, by their state. */
static void make_version_2(void)
{
    struct schema older = schema_index;
    struct fail fail = { 0 };
    sqlite3 *db;

    older.version = 2;
    CHECK_EQ(sql_open(&db, path, SQL_WRITER, false, &fail), 0);
    CHECK_EQ(schema_apply(&older, db, path, &fail), 0);
    sql_close(db);
    run("UPDATE position SET watermark = 40, events = 1, log_id = CAST('" LOG_ID "' AS BLOB)");
    run("WITH s(n) AS (VALUES(0), (1), (2), (4), (5), (6), (7), (8))"
        " INSERT INTO deliveries(num, id, state, priority, received_ms, first_sent_ms, updated_ms,"
        " body_bytes, endpoint, route, piece, action, subject, topic, hold_type, reason)"
        " SELECT 4096 + n, zeroblob(15) || n, n, 2, 1000, n * 10, 2000, 2, 'byron', 'r', 'p' || n,"
        " 'order.submit', 'order:1', 'orders/paid', CASE n WHEN 5 THEN 'fraud' ELSE '' END,"
        " CASE n WHEN 7 THEN 'HTTP 422: no such sku 17' ELSE '' END FROM s");
    run("INSERT INTO batches(id, at_ms, endpoint, route, members)"
        " VALUES(9, 1500, 'byron', 'r', x'0010000000000000')");
    run("INSERT INTO attempts(num, batch, attempt, generation, key, digest, endpoint, sent_ms,"
        " ended_ms) VALUES(4102, 9, 1, 0, 'k', x'', 'byron', 1500, 1600)");
}

static uint64_t found(struct index *ix, struct store_filter f)
{
    struct query *q = calloc(1, sizeof(*q));
    uint64_t num;

    q->type = QUERY_SELECT;
    q->filter = f;
    index_answer(ix, q);
    CHECK_EQ(q->status, 0);
    num = q->n == 1 ? q->nums[0] : q->n ? UINT64_MAX : 0;
    query_destroy(q);
    return num;
}

static struct index *open_index(void)
{
    struct fail fail = { 0 };
    struct index *ix;

    if (index_open(&ix, dir, NULL, (const uint8_t *)LOG_ID, 1000, &fail) < 0)
        fail_msg("%s", fail.text);
    return ix;
}

static void version_2_becomes_todays_and_keeps_what_it_had(void **state)
{
    struct store_filter dead = { .state = "dead", .limit = 10 };
    struct index *ix;

    (void)state;
    begin();
    make_version_2();
    ix = open_index();
    CHECK_EQ(index_watermark(ix), 40);
    CHECK_EQ(found(ix, dead), 4103);
    dead.error = "NO SUCH sku"; /* it has no issue: its own reason is asked */
    CHECK_EQ(found(ix, dead), 4103);
    dead.error = "no such thing";
    CHECK_EQ(found(ix, dead), 0);
    CHECK_EQ(found(ix, (struct store_filter){ .state = "held", .hold_type = "fraud", .limit = 10 }),
             4101);
    index_close(ix);

    CHECK_EQ(number("PRAGMA user_version"), schema_index.version);
    CHECK_EQ(number("SELECT count(*) FROM deliveries"), 8);
    CHECK_EQ(number("SELECT migrated FROM position"), 40);
    CHECK_EQ(number("SELECT sum(since_ms) FROM deliveries"), 10 + 20 + 40 + 50); /* live ones */
    CHECK_EQ(number("SELECT sum(since_ms) FROM deliveries WHERE state > 5"), 0);
    index_close(open_index()); /* and once is enough */
    CHECK_EQ(number("SELECT migrated FROM position"), 40);
    end();
}

static void a_new_one_is_not_migrated(void **state)
{
    (void)state;
    begin();
    index_close(open_index());
    CHECK_EQ(number("SELECT migrated FROM position"), 0);
    CHECK_EQ(number("PRAGMA user_version"), schema_index.version);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_2_becomes_todays_and_keeps_what_it_had),
        cmocka_unit_test(a_new_one_is_not_migrated),
    };

    return cmocka_run_group_tests_name("store: migration", tests, NULL, NULL);
}
