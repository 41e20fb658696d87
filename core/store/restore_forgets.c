/*
 * restore_forgets.c - erasures that the store in place knows and a backup does not: it was made
 * before they were asked for, and brings back what they erased.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>
#include "base/mem.h"
#include "store/restore_int.h"
#include "store/sql.h"

static const char forgotten[] =
    "SELECT json_group_array(json_object('event', event, 'endpoint', endpoint, 'topic',"
    " topic, 'asked_ms', asked_ms, 'asked', json(asked))) FROM (SELECT * FROM privacy"
    " WHERE kind = 1 AND (asked_ms > ?1 OR event > ?2) ORDER BY event)";

static int read_them(sqlite3 *db, struct restore_report *report)
{
    sqlite3_stmt *st = NULL;
    int r = sql_prepare(db, &st, forgotten);

    if (r == 0) {
        sqlite3_bind_int64(st, 1, report->made_ms);
        sql_bind_u64(st, 2, report->last);
        r = sql_row(st);
    }
    if (r > 0)
        report->forgotten = mem_dup(sql_view(st, 0));
    sqlite3_finalize(st);
    return r < 0 ? r : 0;
}

void restore_forgets(const char *old, struct restore_report *report)
{
    char path[4096 + 16];
    sqlite3 *db = NULL;
    struct fail fail;

    snprintf(path, sizeof(path), "%s/sluice.db", old);
    report->forgets_unknown = access(path, F_OK) < 0 ||
                              sql_open(&db, path, SQL_READER, false, &fail) < 0 ||
                              read_them(db, report) < 0;
    sql_close(db);
}
