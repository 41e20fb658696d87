/*
 * keys_open.c - what is there at opening: runs to be used, leftovers of unfinished steps to be
 * removed, damaged runs to be set aside.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "store/disk.h"
#include "store/keys_int.h"

struct found {
    uint32_t first, last;
};

struct listing {
    struct found *found;
    size_t n, cap;
};

static void remove_file(const char *dir, const char *name)
{
    char path[KEYRUN_PATH];
    int r;

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
        return;
    if ((r = store_disk->remove(path)) < 0)
        log_warn(&keys_logger, "cannot remove a leftover: file=%s err=%s", path, uv_err_name(r));
}

static void remove_run(const char *dir, const struct found *f)
{
    char path[KEYRUN_PATH];
    int r;

    keyrun_path(dir, f->first, f->last, path);
    if ((r = store_disk->remove(path)) < 0)
        log_warn(&keys_logger, "cannot remove a leftover: file=%s err=%s", path, uv_err_name(r));
}

void keys_set_aside(const char *dir, uint32_t first, uint32_t last, int why)
{
    char path[KEYRUN_PATH], bad[KEYRUN_PATH + 8];
    int r;

    keyrun_path(dir, first, last, path);
    snprintf(bad, sizeof(bad), "%s.bad", path);
    if ((r = store_disk->rename(path, bad)) < 0)
        log_warn(&keys_logger, "cannot set a damaged run aside: file=%s err=%s", path,
                 uv_err_name(r));
    log_warn(&keys_logger, "run is damaged, its keys are read from the log again: file=%s err=%s",
             bad, uv_err_name(why));
}

/* ---- the directory ---- */

/* "0000000001-0000000008.keys", then `rest`. */
static bool parse_name(const char *name, struct found *ret, const char **rest)
{
    int len = 0;

    if (sscanf(name, "%10u-%10u.keys%n", &ret->first, &ret->last, &len) != 2 || len != 26)
        return false;
    *rest = name + len;
    return ret->first > 0 && ret->first <= ret->last;
}

static int listing_add(struct listing *l, const struct found *f)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 32;
        struct found *more = realloc(l->found, cap * sizeof(*more));

        if (!more)
            return UV_ENOMEM;
        l->found = more;
        l->cap = cap;
    }
    l->found[l->n++] = *f;
    return 0;
}

static int look_at(struct keys *k, const char *name, struct listing *l)
{
    struct found f;
    const char *rest;

    if (!parse_name(name, &f, &rest))
        return 0;
    if (strcmp(rest, ".tmp") == 0 || (strcmp(rest, ".bad") == 0 && f.last < k->opened_first)) {
        remove_file(k->dir, name);
        return 0;
    }
    if (*rest)
        return 0;
    if (f.last < k->opened_first || k->opened_last < k->opened_first || f.last > k->opened_last) {
        if (f.last > k->opened_last)
            log_warn(&keys_logger, "run of segments that are not there is removed: file=%s/%s",
                     k->dir, name);
        remove_file(k->dir, name);
        return 0;
    }
    return listing_add(l, &f);
}

static int list(struct keys *k, struct listing *l)
{
    DIR *d = opendir(k->dir);
    int r = 0;

    if (!d)
        return uv_translate_sys_error(errno);
    for (struct dirent *e; r == 0 && (e = readdir(d));)
        r = look_at(k, e->d_name, l);
    closedir(d);
    return r;
}

/* ---- the runs ---- */

/* The widest first: what a merge made before what it was made of. */
static int by_width(const void *va, const void *vb)
{
    const struct found *a = va, *b = vb;
    uint32_t wa = a->last - a->first, wb = b->last - b->first;

    if (wa != wb)
        return wa > wb ? -1 : 1;
    return a->first < b->first ? -1 : a->first > b->first;
}

static bool overlaps(const struct keys *k, const struct found *f)
{
    for (size_t i = 0; i < k->n_runs; i++)
        if (f->first <= k->runs[i].run->last && f->last >= k->runs[i].run->first)
            return true;
    return false;
}

static int load(struct keys *k, const struct found *f)
{
    struct keyrun *run;
    int r;

    if (overlaps(k, f)) {
        remove_run(k->dir, f); /* what it holds is in a larger one */
        return 0;
    }
    if ((r = keys_reserve_run(k)) < 0)
        return r;
    r = keyrun_open(&run, k->dir, f->first, f->last);
    if (r == UV_EILSEQ || r == UV_EOF || r == UV_ENOTSUP || r == UV_EIO) {
        keys_set_aside(k->dir, f->first, f->last, r);
        return 0;
    }
    if (r == 0)
        keys_put_run(k, run);
    return r;
}

static int load_all(struct keys *k)
{
    struct listing l = { 0 };
    int r = list(k, &l);

    if (r == 0 && l.n)
        qsort(l.found, l.n, sizeof(*l.found), by_width);
    for (size_t i = 0; r == 0 && i < l.n; i++)
        r = load(k, &l.found[i]);
    free(l.found);
    return r;
}

int keys_open(struct keys **ret, const char *dir, uint32_t first, uint32_t last, struct fail *fail)
{
    struct keys *k = calloc(1, sizeof(*k));
    int r = UV_ENOMEM;

    if (!k)
        return fail_set(fail, r, "keys of the log: no memory");
    if (uv_mutex_init(&k->lock) < 0) {
        free(k);
        return fail_set(fail, r, "keys of the log: no memory");
    }
    k->opened_first = k->first = first;
    k->opened_last = k->newest_sealed = last;
    k->dir = strdup(dir);
    k->page = malloc(KEYRUN_PAGE);
    if (!k->dir || !k->page || keytable_create(&k->newest, 0) < 0 || (r = load_all(k)) < 0) {
        keys_close(k);
        return fail_set(fail, r, "keys of the log in %s: %s", dir, uv_strerror(r));
    }
    keys_commit(k);
    *ret = k;
    return 0;
}

static bool covered(const struct keys *k, uint32_t segment)
{
    for (size_t i = 0; i < k->n_runs; i++)
        if (segment >= k->runs[i].run->first && segment <= k->runs[i].run->last)
            return true;
    for (size_t i = 0; i < k->n_tables; i++)
        if (k->tables[i]->segment == segment)
            return true;
    return false;
}

uint32_t keys_missing(const struct keys *k, uint32_t from)
{
    uint32_t segment = from > k->opened_first ? from : k->opened_first;

    for (; segment && segment <= k->opened_last; segment++)
        if (!covered(k, segment))
            return segment;
    return 0;
}
