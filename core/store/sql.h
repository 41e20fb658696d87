/*
 * sql.h - the little of SQLite that the store needs, answering with libuv's codes.
 *
 * A connection belongs to one thread at a time; it is opened without SQLite's own locks.
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/fail.h"

enum sql_mode {
    SQL_WRITER, /* the one connection that writes and checkpoints a file; creates it, mode 0600 */
    SQL_READER, /* sees what is committed, changes nothing, never checkpoints */
};

/** @param full_sync a commit waits for fsync; else only a checkpoint does. 0, or a code + fail. */
int sql_open(sqlite3 **ret, const char *path, enum sql_mode mode, bool full_sync,
             struct fail *fail);
void sql_close(sqlite3 *db); /* NULL is fine; statements first */

/** What a result code of `db` means: 0, UV_ENOSPC (no room: try later), UV_ENOMEM, UV_EBUSY, or
 *  UV_EIO for all that must not be tried again. Call it right after the failure. */
int sql_code(sqlite3 *db, int rc);

int sql_exec(sqlite3 *db, const char *sql);
/** Back out of an open transaction; does nothing when SQLite has done it by itself. */
void sql_rollback(sqlite3 *db);
int sql_prepare(sqlite3 *db, sqlite3_stmt **ret, const char *sql);
/** Run to the end and reset. */
int sql_run(sqlite3_stmt *st);
/** One row: 1 (there is one: sqlite3_reset() it after reading), 0 (none), or a code. */
int sql_row(sqlite3_stmt *st);

/* Views bound must stay valid until the statement is reset. Positions count from 1. */
void sql_bind_text(sqlite3_stmt *st, int at, sl_str s);
void sql_bind_bytes(sqlite3_stmt *st, int at, sl_str s);
static inline void sql_bind_u64(sqlite3_stmt *st, int at, uint64_t v)
{
    sqlite3_bind_int64(st, at, (sqlite3_int64)v);
}

/** Column as a view, valid until the next step or reset. Columns count from 0. */
sl_str sql_view(sqlite3_stmt *st, int column);
static inline uint64_t sql_u64(sqlite3_stmt *st, int column)
{
    return (uint64_t)sqlite3_column_int64(st, column);
}
