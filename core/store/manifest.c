/*
 * manifest.c - backup.json, and files copied with their sums.
 */
#include "store/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>
#include "base/buf.h"
#include "base/clock.h"
#include "store/disk.h"

#define VERSION    1
#define SLICE      (4u << 20)
#define SYNC_EVERY (8u << 20) /* so that a disk in use never has much to write at once */
#define PATH_MOST  4096

int manifest_add(struct manifest *m, const struct manifest_file *file)
{
    if (m->n == m->cap) {
        size_t cap = m->cap ? 2 * m->cap : 64;
        struct manifest_file *more = realloc(m->files, cap * sizeof(*more));

        if (!more)
            return UV_ENOMEM;
        m->files = more;
        m->cap = cap;
    }
    m->files[m->n++] = *file;
    m->bytes += file->bytes;
    return 0;
}

void manifest_finish(struct manifest *m)
{
    free(m->files);
    *m = (struct manifest){ 0 };
}

/* ---- writing ---- */

static char *to_text(const struct manifest *m)
{
    json_t *files = json_array(), *all;
    char hex[2 * DIGEST_SHA256 + 1], id[33], when[32];
    char *text;

    for (size_t i = 0; i < m->n; i++) {
        hex_encode(m->files[i].sum, DIGEST_SHA256, hex);
        json_array_append_new(files, json_pack("{s:s, s:I, s:s}", "name", m->files[i].name, "bytes",
                                               (json_int_t)m->files[i].bytes, "sha256", hex));
    }
    hex_encode(m->log_id, 16, id);
    clock_format(m->made_ms, when);
    all = json_pack("{s:i, s:s, s:I, s:s, s:I, s:I, s:I, s:o}", "version", VERSION, "made_at", when,
                    "made_ms", (json_int_t)m->made_ms, "log", id, "first", (json_int_t)m->first,
                    "last", (json_int_t)m->last, "watermark", (json_int_t)m->watermark, "files",
                    files);
    text = json_dumps(all, JSON_INDENT(1));
    json_decref(all);
    return text;
}

static int write_text(const char *path, const char *text)
{
    int fd = store_disk->open(path, O_RDWR | O_CREAT | O_TRUNC), r;

    if (fd < 0)
        return fd;
    r = disk_write(fd, &(struct iovec){ (void *)text, strlen(text) }, 1, 0);
    if (r == 0)
        r = store_disk->sync(fd);
    store_disk->close(fd);
    return r;
}

int manifest_write(const struct manifest *m, const char *dir, struct fail *fail)
{
    char path[PATH_MOST], tmp[PATH_MOST];
    char *text = to_text(m);
    int r = text ? 0 : UV_ENOMEM;

    snprintf(path, sizeof(path), "%s/" MANIFEST, dir);
    snprintf(tmp, sizeof(tmp), "%s/" MANIFEST ".tmp", dir);
    if (r == 0)
        r = write_text(tmp, text);
    if (r == 0)
        r = store_disk->rename(tmp, path);
    if (r == 0)
        r = store_disk->sync_dir(dir);
    if (r < 0) {
        store_disk->remove(tmp);
        store_disk->remove(path);
        fail_set(fail, r, "%s: %s", path, uv_strerror(r));
    }
    free(text);
    return r;
}

/* ---- reading ---- */

/* Whoever could write the manifest cannot have files written elsewhere by it. */
static bool name_fits(const char *name)
{
    unsigned a, b;
    int len = 0;

    if (strcmp(name, "sluice.db") == 0)
        return true;
    if (sscanf(name, "log/%10u.seg%n", &a, &len) == 1 && len == 18 && !name[len])
        return true;
    len = 0;
    return sscanf(name, "log/%10u-%10u.keys%n", &a, &b, &len) == 2 && len == 30 && !name[len];
}

static bool number(json_t *o, const char *name, uint64_t *ret)
{
    json_t *v = json_object_get(o, name);

    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return false;
    *ret = (uint64_t)json_integer_value(v);
    return true;
}

static bool bytes_of(json_t *o, const char *name, uint8_t *out, size_t n)
{
    const char *text = json_string_value(json_object_get(o, name));

    return text && hex_decode(str_of(text), out, n) == 0;
}

static int from_json(struct manifest *m, json_t *all)
{
    uint64_t made = 0;
    json_t *file;
    size_t i;
    int r = 0;

    if (!bytes_of(all, "log", m->log_id, 16) || !number(all, "first", &m->first) ||
        !number(all, "last", &m->last) || !number(all, "watermark", &m->watermark) ||
        !number(all, "made_ms", &made))
        return UV_EINVAL;
    m->made_ms = (int64_t)made;
    json_array_foreach(json_object_get(all, "files"), i, file)
    {
        const char *name = json_string_value(json_object_get(file, "name"));
        struct manifest_file f = { 0 };

        if (!name || !name_fits(name) || !number(file, "bytes", &f.bytes) ||
            !bytes_of(file, "sha256", f.sum, sizeof(f.sum)))
            return UV_EINVAL;
        snprintf(f.name, sizeof(f.name), "%s", name);
        if ((r = manifest_add(m, &f)) < 0)
            return r;
    }
    return m->n ? 0 : UV_EINVAL;
}

int manifest_read(struct manifest *ret, const char *dir, struct fail *fail)
{
    char path[PATH_MOST];
    json_error_t error;
    uint64_t version = 0;
    json_t *all;
    int r;

    *ret = (struct manifest){ 0 };
    snprintf(path, sizeof(path), "%s/" MANIFEST, dir);
    if (access(path, R_OK) < 0) {
        r = uv_translate_sys_error(errno);
        if (r == UV_ENOENT)
            return fail_set(fail, r,
                            "%s has no " MANIFEST ": it is no backup, or one that was not finished",
                            dir);
        return fail_set(fail, r, "%s: %s", path, uv_strerror(r));
    }
    all = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (all && number(all, "version", &version) && version > VERSION)
        r = fail_set(fail, UV_ENOTSUP, "%s is of version %" PRIu64 "; use the newer program", path,
                     version);
    else if (!all || version != VERSION || (r = from_json(ret, all)) < 0)
        r = fail_set(fail, UV_EINVAL, "%s is damaged, or not one of a backup", path);
    json_decref(all);
    return r;
}

/* ---- copying ---- */

void copier_init(struct copier *c)
{
    *c = (struct copier){ .from = -1, .to = -1 };
    c->sha = sha256_create();
    c->buf = malloc(SLICE);
    if (!c->buf)
        abort();
}

void copier_finish(struct copier *c)
{
    copier_close(c);
    sha256_destroy(c->sha);
    free(c->buf);
}

void copier_close(struct copier *c)
{
    if (c->from >= 0)
        store_disk->close(c->from);
    if (c->to >= 0)
        store_disk->close(c->to);
    c->from = c->to = -1;
}

int copier_open(struct copier *c, const char *from, const char *to, uint64_t bytes)
{
    struct stat st;
    int fd = store_disk->open(from, O_RDONLY);

    if (fd < 0)
        return fd;
    c->from = fd;
    c->at = c->unsynced = 0;
    c->end = bytes == UINT64_MAX && fstat(fd, &st) == 0 ? (uint64_t)st.st_size : bytes;
    sha256_begin(c->sha);
    if (to && (fd = store_disk->open(to, O_RDWR | O_CREAT | O_EXCL)) < 0) {
        copier_close(c);
        return fd;
    }
    if (to)
        c->to = fd;
    return 0;
}

static int copy_slice(struct copier *c)
{
    uint64_t left = c->end - c->at;
    size_t n = left < SLICE ? (size_t)left : SLICE;
    int r = disk_read(c->from, c->buf, n, c->at);

    if (r < 0)
        return r;
    sha256_update(c->sha, c->buf, n);
    if (c->to >= 0)
        r = disk_write(c->to, &(struct iovec){ c->buf, n }, 1, c->at);
    c->at += n;
    c->unsynced += n;
    if (r == 0 && (c->unsynced >= SYNC_EVERY || c->at == c->end)) {
        r = store_disk->sync(c->to >= 0 ? c->to : c->from);
        c->unsynced = 0;
    }
    return r;
}

int copier_step(struct copier *c, struct manifest_file *ret)
{
    int r = copy_slice(c);

    if (r == 0 && c->at < c->end)
        return 1;
    if (r == 0) {
        ret->bytes = c->end;
        sha256_end(c->sha, ret->sum);
    }
    copier_close(c);
    return r;
}
