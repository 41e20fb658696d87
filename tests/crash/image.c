/*
 * image.c - a disk that could have come of a journal.
 *
 * A file's durable operations are its first ones, for a sync covers all before it. The rest is
 * played into a copy, the page cache; what of that reached the disk before the power went is drawn
 * sector by sector, with what the cache held at a moment between.
 */
#include "journal_int.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/rng.h"

struct bytes {
    uint8_t *p;
    size_t n, cap; /* zero from n to cap */
};

struct maker {
    const struct journal *j;
    size_t cut;
    struct rng rng;
    unsigned drop, tear; /* of 100 un-synced writes */
};

/* ---- bytes ---- */

static void resize(struct bytes *b, size_t n)
{
    if (n > b->cap) {
        size_t cap = b->cap ? b->cap : 4096;

        while (cap < n)
            cap *= 2;
        b->p = need(realloc(b->p, cap));
        memset(b->p + b->cap, 0, cap - b->cap);
        b->cap = cap;
    }
    if (n < b->n)
        memset(b->p + n, 0, b->n - n);
    b->n = n;
}

static void grow(struct bytes *b, size_t n)
{
    if (n > b->n)
        resize(b, n);
}

static void play(struct bytes *b, const struct op *op)
{
    switch (op->type) {
    case OP_WRITE:
        grow(b, op->at + op->n);
        memcpy(b->p + op->at, op->data, op->n);
        break;
    case OP_TRUNCATE:
        resize(b, op->at);
        break;
    case OP_ALLOCATE:
        grow(b, op->at);
        break;
    default:
        break;
    }
}

/* ---- what of the page cache reached the disk ---- */

static bool chance(struct maker *m, unsigned of_100)
{
    return rng_below(&m->rng, 100) < of_100;
}

/* One sector as the cache holds it now. */
static void write_back(struct bytes *disk, const struct bytes *cache, size_t sector)
{
    size_t from = sector * SECTOR, to = from + SECTOR;

    if (to > cache->n)
        to = cache->n;
    if (from >= to)
        return;
    grow(disk, to);
    memcpy(disk->p + from, cache->p + from, to - from);
}

/* Some of its sectors: the first ones (mostly), the last ones, or any. */
static void tear(struct maker *m, struct bytes *disk, const struct bytes *cache,
                 const struct op *op)
{
    size_t first = op->at / SECTOR, last = (op->at + op->n - 1) / SECTOR;
    size_t at = first + rng_below(&m->rng, last - first + 1);
    unsigned how = (unsigned)rng_below(&m->rng, 5);

    for (size_t s = first; s <= last; s++)
        if (how < 3 ? s < at : how == 3 ? s > at : chance(m, 50))
            write_back(disk, cache, s);
}

static void maybe_write(struct maker *m, struct bytes *disk, const struct bytes *cache,
                        const struct op *op)
{
    if (!chance(m, m->drop)) {
        if (chance(m, m->tear))
            tear(m, disk, cache, op);
        else
            for (size_t s = op->at / SECTOR; s <= (op->at + op->n - 1) / SECTOR; s++)
                write_back(disk, cache, s);
    }
    if (m->drop < 100 && chance(m, 25)) /* the size alone: zeros where the bytes are missing */
        grow(disk, op->at + op->n);
}

static void maybe_play(struct maker *m, struct bytes *disk, const struct bytes *cache,
                       const struct op *op)
{
    if (op->type == OP_WRITE)
        maybe_write(m, disk, cache, op);
    else if (!chance(m, m->drop))
        play(disk, op);
}

/* ---- one file ---- */

static size_t durable_before(const struct maker *m, int file, const char *dir)
{
    size_t covers = 0;

    for (size_t i = 0; i < m->cut; i++) {
        const struct op *op = &m->j->ops[i];

        if (dir ? op->type == OP_SYNC_DIR && strcmp(op->name, dir) == 0
                : op->type == OP_SYNC && op->file == file)
            covers = op->covers > covers ? op->covers : covers;
    }
    return covers;
}

static bool changes_file(const struct op *op, int file)
{
    return op->file == file &&
           (op->type == OP_WRITE || op->type == OP_TRUNCATE || op->type == OP_ALLOCATE);
}

static struct bytes make_file(struct maker *m, int file)
{
    const struct file *f = &m->j->files[file];
    size_t durable = durable_before(m, file, NULL), i;
    struct bytes disk = { 0 }, cache = { 0 };

    grow(&disk, f->base_n);
    if (f->base_n)
        memcpy(disk.p, f->base, f->base_n);
    for (i = 0; i < durable; i++)
        if (changes_file(&m->j->ops[i], file))
            play(&disk, &m->j->ops[i]);
    grow(&cache, disk.n);
    if (disk.n)
        memcpy(cache.p, disk.p, disk.n);
    for (; i < m->cut; i++)
        if (changes_file(&m->j->ops[i], file)) {
            play(&cache, &m->j->ops[i]);
            maybe_play(m, &disk, &cache, &m->j->ops[i]);
        }
    free(cache.p);
    return disk;
}

static void put_file(struct maker *m, const char *dir, const char *name, int file)
{
    struct bytes b = make_file(m, file);
    char path[512];
    size_t done = 0;
    int fd;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        die("cannot make", path);
    while (done < b.n) {
        ssize_t n = write(fd, b.p + done, b.n - done);

        if (n <= 0)
            die("cannot write", path);
        done += (size_t)n;
    }
    close(fd);
    free(b.p);
}

/* ---- names ---- */

/* "" for the directory itself, "log" for log/x. */
static void dir_of(const char *name, char out[256])
{
    const char *slash = strrchr(name, '/');

    snprintf(out, 256, "%.*s", slash ? (int)(slash - name) : 0, name);
}

static bool changes_names(const struct op *op)
{
    return op->type == OP_CREATE || op->type == OP_RENAME || op->type == OP_REMOVE;
}

static bool changes_dir(const struct op *op, const char *dir)
{
    char in[256];

    if (!changes_names(op))
        return false;
    dir_of(op->to ? op->to : op->name, in);
    return strcmp(in, dir) == 0;
}

void names_play(struct names *t, const struct op *op)
{
    if (op->type == OP_CREATE)
        names_set(t, op->name, op->file);
    else
        names_remove(t, op->name);
    if (op->type == OP_RENAME)
        names_set(t, op->to, op->file);
}

/* Changes of one directory: those synced, and the first few of the rest. */
static void play_names(struct maker *m, struct names *t, const char *dir)
{
    size_t durable = durable_before(m, -1, dir), loose = 0, left;

    for (size_t i = durable; i < m->cut; i++)
        loose += changes_dir(&m->j->ops[i], dir);
    left = m->drop >= 100 ? 0 : m->drop == 0 ? loose : rng_below(&m->rng, loose + 1);
    for (size_t i = 0; i < m->cut; i++) {
        if (!changes_dir(&m->j->ops[i], dir))
            continue;
        if (i >= durable && left-- == 0)
            break;
        names_play(t, &m->j->ops[i]);
    }
}

static void make_names(struct maker *m, struct names *t, struct names *dirs)
{
    char dir[256];

    for (size_t i = 0; i < m->j->base.n; i++) {
        names_set(t, m->j->base.at[i].name, m->j->base.at[i].file);
        dir_of(m->j->base.at[i].name, dir);
        names_set(dirs, dir, 0);
    }
    names_set(dirs, "", 0);
    for (size_t i = 0; i < m->cut; i++)
        if (changes_names(&m->j->ops[i])) {
            dir_of(m->j->ops[i].name, dir);
            names_set(dirs, dir, 0);
        }
    for (size_t i = 0; i < dirs->n; i++)
        play_names(m, t, dirs->at[i].name);
}

/* ---- the whole ---- */

/* Some images keep all, some nothing, most some; half of them much, but torn. */
static void draw_style(struct maker *m)
{
    unsigned style = (unsigned)rng_below(&m->rng, 8);

    m->drop = style == 0 ? 100 : style == 1 ? 0 : (unsigned)rng_below(&m->rng, style < 4 ? 95 : 10);
    m->tear = style <= 1 ? 0 : (unsigned)rng_below(&m->rng, 40) + (style < 4 ? 0 : 60);
}

static void make_image(struct maker *m, const char *to, struct names *names)
{
    struct names dirs = { 0 };
    char path[512];

    make_names(m, names, &dirs);
    if (mkdir(to, 0700) < 0)
        die("cannot make", to);
    for (size_t i = 0; i < dirs.n; i++) {
        snprintf(path, sizeof(path), "%s/%s", to, dirs.at[i].name);
        if (dirs.at[i].name[0] && mkdir(path, 0700) < 0)
            die("cannot make", path);
    }
    for (size_t i = 0; i < names->n; i++)
        put_file(m, to, names->at[i].name, names->at[i].file);
    names_finish(&dirs);
}

void journal_image(const struct journal *j, size_t cut, uint64_t seed, const char *to)
{
    struct maker m = { .j = j, .cut = cut < j->n_ops ? cut : j->n_ops };
    struct names names = { 0 };

    rng_seed(&m.rng, seed);
    draw_style(&m);
    make_image(&m, to, &names);
    names_finish(&names);
}

void image_of_cache(const struct journal *j, size_t cut, const char *to, struct names *ret_names)
{
    struct maker m = { .j = j, .cut = cut };

    rng_seed(&m.rng, 0);
    make_image(&m, to, ret_names);
}
