/*
 * journal.c - recording; the images are image.c's.
 */
#include "journal_int.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct journal *current;

void die(const char *what, const char *about)
{
    fprintf(stderr, "crash test: %s: %s\n", what, about);
    abort();
}

void *need(void *p)
{
    if (!p)
        die("no memory", "");
    return p;
}

/* ---- files and names ---- */

static int add_file(struct journal *j, const char *name)
{
    struct file *f;

    if (j->n_files == j->cap_files) {
        j->cap_files = j->cap_files ? 2 * j->cap_files : 16;
        j->files = need(realloc(j->files, j->cap_files * sizeof(*j->files)));
    }
    f = &j->files[j->n_files];
    *f = (struct file){ .name = need(strdup(name)) };
    return (int)j->n_files++;
}

int names_find(const struct names *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->at[i].name, name) == 0)
            return (int)i;
    return -1;
}

void names_set(struct names *t, const char *name, int file)
{
    int i = names_find(t, name);

    if (i >= 0) {
        t->at[i].file = file;
        return;
    }
    t->at = need(realloc(t->at, (t->n + 1) * sizeof(*t->at)));
    t->at[t->n++] = (struct name){ .name = need(strdup(name)), .file = file };
}

/* The file it named, or -1. */
int names_remove(struct names *t, const char *name)
{
    int i = names_find(t, name), file;

    if (i < 0)
        return -1;
    file = t->at[i].file;
    free(t->at[i].name);
    t->at[i] = t->at[--t->n];
    return file;
}

void names_finish(struct names *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->at[i].name);
    free(t->at);
    *t = (struct names){ 0 };
}

/* ---- begin, end ---- */

static void load_file(struct journal *j, const char *path, const char *name, size_t size)
{
    int file = add_file(j, name), fd = open(path, O_RDONLY | O_CLOEXEC);
    struct file *f = &j->files[file];

    f->base = need(malloc(size ? size : 1));
    f->base_n = size;
    if (fd < 0 || read(fd, f->base, size) != (ssize_t)size)
        die("cannot read", path);
    close(fd);
    names_set(&j->base, name, file);
    names_set(&j->now, name, file);
}

/* -shm is SQLite's shared memory, made anew by the first to open; lock holds nothing. */
static bool of_no_weight(const char *name)
{
    const char *end = strrchr(name, '-');

    return strcmp(name, "lock") == 0 || (end && strcmp(end, "-shm") == 0);
}

static void load_dir(struct journal *j, const char *dir, const char *prefix)
{
    DIR *d = opendir(dir);

    if (!d)
        return; /* not made yet */
    for (struct dirent *e; (e = readdir(d));) {
        char path[512], name[256];
        struct stat st;

        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        snprintf(name, sizeof(name), "%s%s", prefix, e->d_name);
        if (e->d_name[0] == '.' || of_no_weight(e->d_name) || lstat(path, &st) < 0)
            continue;
        if (S_ISDIR(st.st_mode)) {
            strcat(name, "/");
            load_dir(j, path, name);
        } else if (S_ISREG(st.st_mode)) {
            load_file(j, path, name, (size_t)st.st_size);
        }
    }
    closedir(d);
}

static struct journal *make_current(struct journal *j)
{
    journal_lock();
    if (current)
        die("two journals at once", j->dir);
    current = j;
    journal_unlock();
    return j;
}

struct journal *journal_begin(const char *dir)
{
    struct journal *j = need(calloc(1, sizeof(*j)));

    j->dir = need(strdup(dir));
    load_dir(j, dir, "");
    return make_current(j);
}

static void *copy(const void *p, size_t n)
{
    void *to = need(malloc(n ? n : 1));

    if (n)
        memcpy(to, p, n);
    return to;
}

static void copy_ops(struct journal *to, const struct journal *from, size_t n)
{
    to->ops = need(calloc(n + 1, sizeof(*to->ops)));
    to->n_ops = n;
    to->cap_ops = n + 1;
    for (size_t i = 0; i < n; i++) {
        const struct op *op = &from->ops[i];

        to->ops[i] = *op;
        to->ops[i].name = op->name ? need(strdup(op->name)) : NULL;
        to->ops[i].to = op->to ? need(strdup(op->to)) : NULL;
        to->ops[i].data = op->data ? copy(op->data, op->n) : NULL;
    }
}

struct journal *journal_resume(const struct journal *from, size_t cut, const char *dir)
{
    struct journal *j = need(calloc(1, sizeof(*j)));

    j->dir = need(strdup(dir));
    copy_ops(j, from, cut);
    for (size_t i = 0; i < from->n_files; i++) {
        const struct file *f = &from->files[i];
        struct file *to;

        add_file(j, f->name);
        to = &j->files[i];
        to->base = copy(f->base, f->base_n);
        to->base_n = f->base_n;
    }
    for (size_t i = 0; i < from->base.n; i++)
        names_set(&j->base, from->base.at[i].name, from->base.at[i].file);
    image_of_cache(j, cut, dir, &j->now);
    return make_current(j);
}

void journal_end(struct journal *j)
{
    journal_lock();
    if (current == j)
        current = NULL;
    journal_unlock();
}

void journal_destroy(struct journal *j)
{
    if (!j)
        return;
    journal_end(j);
    for (size_t i = 0; i < j->n_ops; i++) {
        free(j->ops[i].name);
        free(j->ops[i].to);
        free(j->ops[i].data);
    }
    for (size_t i = 0; i < j->n_files; i++) {
        free(j->files[i].name);
        free(j->files[i].base);
    }
    names_finish(&j->base);
    names_finish(&j->now);
    free(j->files);
    free(j->ops);
    free(j->dir);
    free(j);
}

/* ---- reading ---- */

size_t journal_now(void)
{
    return current ? current->n_ops : 0;
}

size_t journal_at(void)
{
    size_t n;

    journal_lock();
    n = journal_now();
    journal_unlock();
    return n;
}

size_t journal_length(const struct journal *j)
{
    return j->n_ops;
}

const struct op *journal_op(const struct journal *j, size_t i)
{
    return &j->ops[i];
}

const char *journal_file_name(const struct journal *j, int file)
{
    return file < 0 ? "" : j->files[file].name;
}

void journal_print(const struct journal *j, size_t cut, size_t n)
{
    static const char *const names[OP__COUNT] = { "create",   "rename", "remove", "write",
                                                  "truncate", "alloc",  "sync",   "sync_dir" };

    for (size_t i = cut > n ? cut - n : 0; i < cut; i++) {
        const struct op *op = &j->ops[i];

        fprintf(stderr, "  %zu %-8s %s %s%s at=%llu n=%zu covers=%zu\n", i, names[op->type],
                op->name ? op->name : journal_file_name(j, op->file), op->to ? "-> " : "",
                op->to ? op->to : "", (unsigned long long)op->at, op->n, op->covers);
    }
}

/* ---- recording ---- */

void journal_lock(void)
{
    pthread_mutex_lock(&lock);
}

void journal_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

const char *journal_name(const char *path)
{
    size_t n;

    if (!current || !path)
        return NULL;
    n = strlen(current->dir);
    if (strncmp(path, current->dir, n) != 0 || (path[n] && path[n] != '/'))
        return NULL;
    for (path += n; *path == '/'; path++)
        ;
    return path;
}

static struct op *push(enum op_type type, int file, const char *name)
{
    struct journal *j = current;
    struct op *op;

    if (j->n_ops == j->cap_ops) {
        j->cap_ops = j->cap_ops ? 2 * j->cap_ops : 1024;
        j->ops = need(realloc(j->ops, j->cap_ops * sizeof(*j->ops)));
    }
    op = &j->ops[j->n_ops++];
    *op = (struct op){ .type = type, .file = file, .name = name ? need(strdup(name)) : NULL };
    return op;
}

int journal_opened(const char *name)
{
    int i = names_find(&current->now, name), file;

    if (i >= 0)
        return current->now.at[i].file;
    file = add_file(current, name);
    names_set(&current->now, name, file);
    push(OP_CREATE, file, name);
    return file;
}

void journal_wrote(int file, const struct iovec *v, int n, uint64_t at, size_t total)
{
    struct op *op;
    size_t done = 0;

    if (!current || file < 0 || total == 0)
        return;
    op = push(OP_WRITE, file, NULL);
    op->at = at;
    op->n = total;
    op->data = need(malloc(total));
    for (int i = 0; i < n && done < total; i++) {
        size_t part = v[i].iov_len < total - done ? v[i].iov_len : total - done;

        if (part)
            memcpy(op->data + done, v[i].iov_base, part);
        done += part;
    }
}

void journal_resized(int file, enum op_type how, uint64_t size)
{
    if (current && file >= 0)
        push(how, file, NULL)->at = size;
}

void journal_renamed(const char *name, const char *to)
{
    int file = names_remove(&current->now, name);
    struct op *op = push(OP_RENAME, file, name);

    op->to = need(strdup(to));
    names_set(&current->now, to, file);
}

void journal_removed(const char *name)
{
    push(OP_REMOVE, names_remove(&current->now, name), name);
}

void journal_synced(int file, const char *name, size_t began)
{
    if (current && (name || file >= 0))
        push(name ? OP_SYNC_DIR : OP_SYNC, file, name)->covers = began;
}
