/*
 * sql.c - the little of SQLite that the store needs.
 */
#include "store/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

static uv_once_t once = UV_ONCE_INIT;

/* The two threads would meet on SQLite's global memory counters with every allocation. */
static void configure(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* too late is no harm */
}

/* Create the file ourselves: SQLite would take the umask's mode, and -wal and -shm copy it. */
static int create_file(const char *path, struct fail *fail)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return fail_set(fail, uv_translate_sys_error(errno), "%s: %s", path,
                        uv_strerror(uv_translate_sys_error(errno)));
    close(fd);
    return 0;
}

int sql_open(sqlite3 **ret, const char *path, enum sql_mode mode, bool full_sync, struct fail *fail)
{
    int flags = mode == SQL_WRITER ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    char pragmas[320];
    sqlite3 *db = NULL;
    int r;

    uv_once(&once, configure);
    if (mode == SQL_WRITER && (r = create_file(path, fail)) < 0)
        return r;
    r = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (r != SQLITE_OK) {
        r = sql_code(db, r);
        fail_set(fail, r, "%s: %s", path, db ? sqlite3_errmsg(db) : "no memory");
        sqlite3_close(db);
        return r;
    }
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, 5000);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (mode == SQL_WRITER)
        snprintf(pragmas, sizeof(pragmas),
                 "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=%s;"
                 "PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-16384; PRAGMA temp_store=MEMORY;"
                 /* what is deleted in a page that is written anyway is zeroed there */
                 "PRAGMA secure_delete=FAST;",
                 full_sync ? "FULL" : "NORMAL");
    else
        snprintf(pragmas, sizeof(pragmas), "PRAGMA query_only=1; PRAGMA cache_size=-4096;");
    r = sql_exec(db, pragmas);
    if (r < 0) {
        fail_set(fail, r, "%s: %s", path, sqlite3_errmsg(db));
        sqlite3_close(db);
        return r;
    }
    *ret = db;
    return 0;
}

void sql_close(sqlite3 *db)
{
    sqlite3_close(db);
}

/* An I/O error that only says that there was no room for a write. A failed sync is never that,
 * whatever errno says: what it lost is not known. */
static bool no_room(sqlite3 *db, int rc)
{
    int err = db ? sqlite3_system_errno(db) : 0;

    if (rc == SQLITE_IOERR_SHMSIZE)
        return true;
    return (rc == SQLITE_IOERR_WRITE || rc == SQLITE_IOERR_TRUNCATE) &&
           (err == ENOSPC || err == EDQUOT || err == EFBIG);
}

int sql_code(sqlite3 *db, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_FULL:
        return UV_ENOSPC;
    case SQLITE_NOMEM:
        return UV_ENOMEM;
    case SQLITE_BUSY:
        return UV_EBUSY;
    case SQLITE_INTERRUPT: /* a handler's only: see index_answer() */
        return UV_ETIMEDOUT;
    case SQLITE_TOOBIG:
        return UV_E2BIG;
    case SQLITE_IOERR:
        if (rc == SQLITE_IOERR_NOMEM)
            return UV_ENOMEM;
        return no_room(db, rc) ? UV_ENOSPC : UV_EIO;
    default:
        return UV_EIO;
    }
}

int sql_exec(sqlite3 *db, const char *sql)
{
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : sql_code(db, rc);
}

void sql_rollback(sqlite3 *db)
{
    if (!sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}

int sql_prepare(sqlite3 *db, sqlite3_stmt **ret, const char *sql)
{
    int rc = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);

    return rc == SQLITE_OK ? 0 : sql_code(db, rc);
}

int sql_run(sqlite3_stmt *st)
{
    int rc;

    do
        rc = sqlite3_step(st);
    while (rc == SQLITE_ROW);
    rc = rc == SQLITE_DONE ? 0 : sql_code(sqlite3_db_handle(st), rc);
    sqlite3_reset(st);
    return rc;
}

int sql_row(sqlite3_stmt *st)
{
    int rc = sqlite3_step(st);

    if (rc == SQLITE_ROW)
        return 1;
    rc = sql_code(sqlite3_db_handle(st), rc);
    sqlite3_reset(st);
    return rc;
}

void sql_bind_text(sqlite3_stmt *st, int at, sl_str s)
{
    sqlite3_bind_text64(st, at, s.len ? s.ptr : "", s.len, SQLITE_STATIC, SQLITE_UTF8);
}

void sql_bind_bytes(sqlite3_stmt *st, int at, sl_str s)
{
    sqlite3_bind_blob64(st, at, s.len ? s.ptr : "", s.len, SQLITE_STATIC);
}

sl_str sql_view(sqlite3_stmt *st, int column)
{
    const char *p = sqlite3_column_blob(st, column); /* bytes as they are: also of a text */
    size_t n = (size_t)sqlite3_column_bytes(st, column);

    return (sl_str){ .ptr = p ? p : "", .len = p ? n : 0 };
}
