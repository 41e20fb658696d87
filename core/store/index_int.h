/*
 * index_int.h - what the files of the index share: index.c, index_apply.c, index_query.c,
 * index_report.c.
 */
#pragma once

#include <jansson.h>
#include "store/index.h"
#include "store/sql.h"

enum index_stmt {
    IX_BEGIN,
    IX_COMMIT,
    IX_POSITION,
    /* apply */
    IX_EVENT_ADD,
    IX_EVENT_GET,
    IX_EVENT_ROUTED,
    IX_ABOUT_ADD,
    IX_ABOUT_CLEAR,
    IX_WAIT_ADD,
    IX_WAIT_CLEAR,
    IX_DELIVERY_ADD,
    IX_BODY_ADD,
    IX_BODY_FREEZE,
    IX_DELIVERY_STAND,
    IX_DELIVERY_SENT,
    IX_DELIVERY_MOVE,
    IX_ATTEMPT_ADD,
    IX_ATTEMPT_END,
    IX_MOVE_ADD,
    IX_LINK_ADD,
    IX_BATCH_ADD,
    IX_BATCH_TOKEN,
    IX_COUNT,
    /* query */
    IX_CLAIM,
    IX_DELIVERY_GET,
    IX_BODY_GET,
    IX_EVENT_DELIVERIES,
    IX_UNROUTED,
    IX_WAITING,
    IX_LINK_GET,
    IX_BATCH_GET,
    IX_BATCH_OPEN,
    IX__COUNT
};

struct index {
    sqlite3 *db;
    sqlite3_stmt *st[IX__COUNT];
    struct reclog_reader *log;
    uint64_t watermark, committed; /* the former runs ahead while a transaction is open */
    uint64_t events, committed_events;
    int wal_pages;
    bool failed;        /* as the log's */
    struct buf scratch; /* of index_apply.c */
};

extern const char *const index_sql[IX__COUNT];

/** First 16 bytes of a hash over a link's name. */
void index_link_hash(sl_str endpoint, sl_str kind, sl_str id, uint8_t out[16]);

/** Fill `d` from a row of IX_CLAIM's columns, views copied into the arena. */
void index_row_delivery(sqlite3_stmt *st, struct arena *arena, struct store_delivery *d);

/** The receipt of an event, its payload copied into the arena. 0, UV_ENOENT or a code. */
int index_receipt(struct index *ix, uint64_t id, struct arena *arena, struct rec_receipt *ret);

/** Prepare SELECT `columns` FROM deliveries with the filter's conditions, ordered and limited. */
int index_filter_deliveries(struct index *ix, const char *columns, const struct store_filter *f,
                            sqlite3_stmt **ret);
uint32_t index_limit(uint32_t limit); /* 1..1000 */

int index_report(struct index *ix, struct query *q);
