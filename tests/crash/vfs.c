/*
 * vfs.c - the layer under SQLite: a VFS over "unix" that is the default one.
 */
#include <errno.h>
#include <sqlite3.h>
#include <string.h>
#include <uv.h>
#include "journal.h"
#include "layer.h"

struct vfile {
    sqlite3_file base;
    int file; /* the journal's number, -1: not in it */
    unsigned where;
    sqlite3_file *real;
};

static sqlite3_vfs *unix_vfs, shim;
static _Thread_local int last_errno;

/* ---- files ---- */

static struct vfile *of(sqlite3_file *f)
{
    return (struct vfile *)f;
}

/* The layer's code as SQLite's, errno kept for xGetLastError. */
static int fails(int code, int sqlite_code)
{
    last_errno = -code;
    if (code == UV_ENOSPC)
        return SQLITE_FULL;
    return sqlite_code;
}

static int v_close(sqlite3_file *f)
{
    return of(f)->real->pMethods ? of(f)->real->pMethods->xClose(of(f)->real) : SQLITE_OK;
}

static int v_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    struct vfile *v = of(f);
    struct todo todo = { .n = (size_t)n };
    int r = layer_enter(CALL_READ, v->where, &todo);

    if (r < 0)
        return fails(r, SQLITE_IOERR_READ);
    r = v->real->pMethods->xRead(v->real, p, n, at);
    if (todo.flip)
        ((uint8_t *)p)[n / 2] ^= 0x10;
    if (r == SQLITE_OK && todo.n < (size_t)n) {
        memset((uint8_t *)p + todo.n, 0, (size_t)n - todo.n);
        return SQLITE_IOERR_SHORT_READ;
    }
    return r;
}

/* The VFS's own promise is a whole write: a short one is one that fails after a part. */
static int v_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    struct vfile *v = of(f);
    struct todo todo = { .n = (size_t)n };
    int r = layer_enter(CALL_WRITE, v->where, &todo);
    size_t size = todo.then ? todo.n : (size_t)n;

    if (r < 0)
        return fails(r, SQLITE_IOERR_WRITE);
    journal_lock();
    r = size ? v->real->pMethods->xWrite(v->real, p, (int)size, at) : SQLITE_OK;
    if (r == SQLITE_OK)
        journal_wrote(v->file, &(struct iovec){ .iov_base = (void *)p, .iov_len = size }, 1,
                      (uint64_t)at, size);
    journal_unlock();
    return r == SQLITE_OK && todo.then ? fails(todo.then, SQLITE_IOERR_WRITE) : r;
}

static int v_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    struct vfile *v = of(f);
    struct todo todo = { 0 };
    int r = layer_enter(CALL_TRUNCATE, v->where, &todo);

    if (r < 0)
        return fails(r, SQLITE_IOERR_TRUNCATE);
    journal_lock();
    r = v->real->pMethods->xTruncate(v->real, size);
    if (r == SQLITE_OK)
        journal_resized(v->file, OP_TRUNCATE, (uint64_t)size);
    journal_unlock();
    return r;
}

static int v_sync(sqlite3_file *f, int flags)
{
    struct vfile *v = of(f);
    size_t began = journal_at();
    struct todo todo = { 0 };
    int r = layer_enter(CALL_SYNC, v->where, &todo);

    if (r < 0)
        return fails(r, SQLITE_IOERR_FSYNC);
    r = v->real->pMethods->xSync(v->real, flags); /* a new file's directory, too */
    if (r != SQLITE_OK || layer_lies(LIE_SYNC))
        return r;
    journal_lock();
    journal_synced(v->file, NULL, began);
    journal_unlock();
    return SQLITE_OK;
}

static int v_file_size(sqlite3_file *f, sqlite3_int64 *ret)
{
    return of(f)->real->pMethods->xFileSize(of(f)->real, ret);
}

static int v_lock(sqlite3_file *f, int level)
{
    return of(f)->real->pMethods->xLock(of(f)->real, level);
}

static int v_unlock(sqlite3_file *f, int level)
{
    return of(f)->real->pMethods->xUnlock(of(f)->real, level);
}

static int v_check_reserved(sqlite3_file *f, int *ret)
{
    return of(f)->real->pMethods->xCheckReservedLock(of(f)->real, ret);
}

/* No hints of the size: they would change the file beside the journal. */
static int v_control(sqlite3_file *f, int op, void *arg)
{
    if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE)
        return SQLITE_NOTFOUND;
    return of(f)->real->pMethods->xFileControl(of(f)->real, op, arg);
}

static int v_sector_size(sqlite3_file *f)
{
    return of(f)->real->pMethods->xSectorSize(of(f)->real);
}

static int v_characteristics(sqlite3_file *f)
{
    return of(f)->real->pMethods->xDeviceCharacteristics(of(f)->real);
}

static int v_shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **ret)
{
    return of(f)->real->pMethods->xShmMap(of(f)->real, region, size, extend, ret);
}

static int v_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return of(f)->real->pMethods->xShmLock(of(f)->real, offset, n, flags);
}

static void v_shm_barrier(sqlite3_file *f)
{
    of(f)->real->pMethods->xShmBarrier(of(f)->real);
}

static int v_shm_unmap(sqlite3_file *f, int remove)
{
    return of(f)->real->pMethods->xShmUnmap(of(f)->real, remove);
}

/* Version 2: no memory-mapped pages, which would be read beside the layer. */
static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = v_close,
    .xRead = v_read,
    .xWrite = v_write,
    .xTruncate = v_truncate,
    .xSync = v_sync,
    .xFileSize = v_file_size,
    .xLock = v_lock,
    .xUnlock = v_unlock,
    .xCheckReservedLock = v_check_reserved,
    .xFileControl = v_control,
    .xSectorSize = v_sector_size,
    .xDeviceCharacteristics = v_characteristics,
    .xShmMap = v_shm_map,
    .xShmLock = v_shm_lock,
    .xShmBarrier = v_shm_barrier,
    .xShmUnmap = v_shm_unmap,
};

/* ---- the file system ---- */

static int v_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *ret_flags)
{
    struct vfile *v = of(f);
    struct todo todo = { 0 };
    const char *name;
    int r;

    (void)vfs;
    *v = (struct vfile){ .file = -1, .real = (sqlite3_file *)(v + 1) };
    journal_lock();
    name = journal_name(path);
    journal_unlock();
    v->where = name ? layer_where(name) : 0;
    r = layer_enter(CALL_OPEN, v->where, &todo);
    if (r < 0)
        return fails(r, SQLITE_CANTOPEN);
    journal_lock();
    r = unix_vfs->xOpen(unix_vfs, path, v->real, flags, ret_flags);
    if (v->real->pMethods)
        v->base.pMethods = &methods;
    if (r == SQLITE_OK && name)
        v->file = journal_opened(name);
    journal_unlock();
    return r;
}

static int v_delete(sqlite3_vfs *vfs, const char *path, int sync_dir)
{
    const char *name;
    struct todo todo = { 0 };
    int r;

    (void)vfs;
    journal_lock();
    name = journal_name(path);
    journal_unlock();
    r = layer_enter(CALL_REMOVE, layer_where(name), &todo);
    if (r < 0)
        return fails(r, SQLITE_IOERR_DELETE);
    journal_lock();
    r = unix_vfs->xDelete(unix_vfs, path, 0);
    if (r == SQLITE_OK && name)
        journal_removed(name);
    if (r == SQLITE_OK && name && sync_dir && !layer_lies(LIE_SYNC_DIR))
        journal_synced(-1, "", journal_now());
    journal_unlock();
    return r;
}

static int v_last_error(sqlite3_vfs *vfs, int n, char *text)
{
    int err = last_errno;

    (void)vfs;
    last_errno = 0;
    return err ? err : unix_vfs->xGetLastError(unix_vfs, n, text);
}

void layer_install_vfs(void)
{
    unix_vfs = sqlite3_vfs_find(NULL);
    shim = *unix_vfs;
    shim.zName = "crash";
    shim.szOsFile = (int)sizeof(struct vfile) + unix_vfs->szOsFile;
    shim.xOpen = v_open;
    shim.xDelete = v_delete;
    shim.xGetLastError = v_last_error;
    sqlite3_vfs_register(&shim, 1);
}
