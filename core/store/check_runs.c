/*
 * check_runs.c - every page of every run by its check sum, and every key of the log in its run.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "store/check_int.h"

static void name_of(const struct keyrun *run, char out[80])
{
    snprintf(out, 80, KEYRUN_SEGMENTS, "log", run->first, run->last);
}

static int open_run(struct checker *c, uint32_t first, uint32_t last)
{
    struct check_run *more = realloc(c->runs, (c->n_runs + 1) * sizeof(*more));
    struct keyrun *run;
    char dir[CHECK_PATH], name[80];
    int r;

    if (!more)
        return UV_ENOMEM;
    c->runs = more;
    snprintf(dir, sizeof(dir), "%s/log", c->path);
    snprintf(name, sizeof(name), KEYRUN_SEGMENTS, "log", first, last);
    r = keyrun_open(&run, dir, first, last);
    c->report->runs++;
    if (r == UV_EILSEQ || r == UV_EOF) {
        check_add(c, name, 0, 0, 0, todo_run, "%s",
                  r == UV_EOF ? "the file is cut short" : "head, filter or fences are damaged");
        return 0;
    }
    if (r < 0)
        return r;
    c->runs[c->n_runs++] = (struct check_run){ .run = run };
    return 0;
}

int check_runs_open(struct checker *c, struct fail *fail)
{
    char path[CHECK_PATH];
    DIR *d;
    int r = 0;

    snprintf(path, sizeof(path), "%s/log", c->path);
    d = opendir(path);
    for (struct dirent *e; d && r == 0 && (e = readdir(d));) {
        uint32_t first, last;
        int len = 0;

        if (sscanf(e->d_name, "%10u-%10u.keys%n", &first, &last, &len) == 2 && len == 26 &&
            !e->d_name[26])
            r = open_run(c, first, last);
    }
    if (d)
        closedir(d);
    return r < 0 ? fail_set(fail, r, "%s: %s", path, uv_strerror(r)) : 0;
}

static int check_key(struct checker *c, struct check_run *x, const uint8_t *hash, uint64_t value,
                     uint64_t seq)
{
    uint8_t page[KEYRUN_PAGE];
    struct key_entry e;
    uint64_t reads = 0;
    char name[80];
    int r;

    if (x->bad)
        return 0;
    r = keyrun_find(x->run, hash, page, &e, &reads);
    if (r < 0) {
        x->bad = true; /* its page is told of when all are read */
        return r == UV_ENOMEM ? r : 0;
    }
    x->in_log++;
    if (x->wrong || (r == 1 && (e.seq > seq || (e.seq == seq && e.value == value))))
        return 0;
    x->wrong = true;
    name_of(x->run, name);
    check_add(c, name, NO_OFFSET, seq, seq, todo_run, "a key of this record is %s",
              r == 0 ? "not in it" : "another's in it");
    return 0;
}

int check_runs_record(struct checker *c, uint32_t segment, const struct segment_record *rec)
{
    int r = 0;

    c->report->keys += rec->n_keys;
    for (size_t i = 0; rec->n_keys && i < c->n_runs; i++) {
        if (segment < c->runs[i].run->first || segment > c->runs[i].run->last)
            continue;
        for (size_t k = 0; r == 0 && k < rec->n_keys; k++) {
            uint64_t value;
            const uint8_t *hash = segment_key(rec, k, &value);

            r = check_key(c, &c->runs[i], hash, value, rec->seq);
        }
    }
    return r;
}

/* Keys of records that the log keeps. */
static void count_page(struct check_run *x, const uint8_t *page, int n, uint64_t first)
{
    for (int i = 0; i < n; i++) {
        struct key_entry e;

        keyrun_entry(page, (size_t)i, &e);
        x->in_run += e.seq >= first;
    }
}

static void read_run(struct checker *c, struct check_run *x)
{
    uint8_t page[KEYRUN_PAGE];
    char name[80];

    name_of(x->run, name);
    for (uint64_t p = 0; p < x->run->n_pages; p++) {
        int r = keyrun_read(x->run, p, 1, page);

        if (r == 0)
            r = keyrun_check_page(x->run, p, page);
        if (r < 0) {
            check_add(c, name, (p + 1) * KEYRUN_PAGE, 0, 0, todo_run, "a page is damaged: %s",
                      uv_strerror(r));
            x->bad = true;
        } else {
            count_page(x, page, r, c->report->first);
        }
    }
}

/* Was every record of its segments read? Else it may know more than the log. */
static bool whole(const struct checker *c, const struct keyrun *run)
{
    for (size_t i = 0; i < c->n_segments; i++) {
        const struct check_segment *s = &c->segments[i];

        if (s->head.number >= run->first && s->head.number <= run->last && (s->n_gaps || s->voids))
            return false;
    }
    return true;
}

int check_runs_close(struct checker *c)
{
    char name[80];

    for (size_t i = 0; i < c->n_runs; i++) {
        struct check_run *x = &c->runs[i];

        read_run(c, x);
        name_of(x->run, name);
        if (!x->bad && !x->wrong && x->in_run > x->in_log && whole(c, x->run)) {
            x->wrong = true;
            check_add(c, name, NO_OFFSET, 0, 0, todo_run,
                      "it has %llu keys that no record of the log brought",
                      (unsigned long long)(x->in_run - x->in_log));
        }
    }
    return 0;
}
