/*
 * index_came.c - how events came, by endpoint and day: by webhook, or found by reconciliation
 * because they had not; and which of the latter came after all.
 */
#include "store/index_int.h"

#include <stdio.h>
#include <uv.h>
#include "base/clock.h"
#include "store/reply.h"

#define DAY_MS INT64_C(86400000)
#define DAYS   7 /* unless told */

static json_t *day_row(struct index *ix, sqlite3_stmt *st)
{
    int64_t repaired = sqlite3_column_int64(st, 3), late = sqlite3_column_int64(st, 4);
    json_t *o = json_object();
    char day[32];

    (void)ix;
    clock_format(sqlite3_column_int64(st, 1) * DAY_MS, day);
    reply_set_column(o, "endpoint", st, 0);
    reply_set_text(o, "day", (sl_str){ day, 10 });
    reply_set_int(o, "came", sqlite3_column_int64(st, 2));
    reply_set_int(o, "repaired", repaired);
    reply_set_int(o, "late", late);
    reply_set_int(o, "missed", repaired - late);
    return o;
}

int report_came(struct index *ix, struct query *q)
{
    const struct store_filter *f = &q->filter;
    int64_t since_ms = f->since_ms ? f->since_ms : clock_wall_ms() - DAYS * DAY_MS;
    sqlite3_stmt *st = NULL;
    uint64_t first = 0;
    int r = index_first_since(ix, since_ms, &first);

    if (r == 0)
        r = sql_prepare(
            ix->db, &st,
            "SELECT endpoint, received_ms / 86400000, sum(origin = 0), sum(origin = 4),"
            " sum(origin = 4 AND EXISTS (SELECT 1 FROM events w WHERE w.duplicate_of = e.id"
            "  AND w.duplicate_of <> 0 AND w.origin = 0))"
            " FROM events e WHERE id >= ?1 AND received_ms >= ?2 AND (?3 = 0 OR received_ms < ?3)"
            " AND origin IN (0, 4) AND routed = 1 AND duplicate_of = 0"
            " AND (?4 = '' OR endpoint = ?4) GROUP BY 1, 2 ORDER BY 2, 1");
    if (r == 0) {
        sql_bind_u64(st, 1, first);
        sqlite3_bind_int64(st, 2, since_ms);
        sqlite3_bind_int64(st, 3, f->until_ms);
        sql_bind_text(st, 4, str_of(f->endpoint ? f->endpoint : ""));
    }
    return reply_list(ix, q, st, r, day_row);
}
