/*
 * index_copy.c - sluice.db copied while it goes on, a slice at a time: SQLite keeps up what was
 * copied already with what is written meanwhile, because the same connection writes both.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <uv.h>
#include "store/disk.h"
#include "store/index_int.h"

struct index_copy {
    sqlite3 *to;
    sqlite3_backup *backup;
};

void index_copy_close(struct index_copy *c)
{
    if (!c)
        return;
    if (c->backup)
        sqlite3_backup_finish(c->backup);
    sqlite3_close(c->to);
    free(c);
}

/* Whoever asked for the copy syncs it: not this thread, others wait for it. */
static int open_target(struct index_copy *c, const char *path)
{
    int fd = store_disk->open(path, O_RDWR | O_CREAT | O_EXCL), rc;

    if (fd < 0)
        return fd;
    store_disk->close(fd);
    rc = sqlite3_open_v2(path, &c->to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK)
        return c->to ? sql_code(c->to, rc) : UV_ENOMEM;
    sqlite3_extended_result_codes(c->to, 1);
    return sql_exec(c->to,
                    "PRAGMA page_size=4096; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
                    "PRAGMA locking_mode=EXCLUSIVE; PRAGMA cache_size=-8192;");
}

int index_copy_open(struct index_copy **ret, struct index *ix, const char *path)
{
    struct index_copy *c = calloc(1, sizeof(*c));
    int r;

    if (!c)
        return UV_ENOMEM;
    r = open_target(c, path);
    if (r == 0) {
        c->backup = sqlite3_backup_init(c->to, "main", ix->db, "main");
        r = c->backup ? 0 : sql_code(c->to, sqlite3_errcode(c->to));
    }
    if (r < 0)
        index_copy_close(c);
    else
        *ret = c;
    return r;
}

int index_copy_step(struct index_copy *c, unsigned pages, uint64_t *ret_bytes, uint64_t *ret_total)
{
    int rc = sqlite3_backup_step(c->backup, (int)pages), all, left;

    all = sqlite3_backup_pagecount(c->backup);
    left = sqlite3_backup_remaining(c->backup);
    *ret_total = (uint64_t)all * 4096;
    *ret_bytes = (uint64_t)(all - left) * 4096;
    if (rc == SQLITE_OK || rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
        return 1;
    if (rc != SQLITE_DONE)
        return sql_code(c->to, rc);
    rc = sqlite3_backup_finish(c->backup);
    c->backup = NULL;
    return rc == SQLITE_OK ? 0 : sql_code(c->to, rc);
}
