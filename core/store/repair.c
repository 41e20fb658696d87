/*
 * repair.c - mending what a check found. Each damaged file goes to quarantine as it was: first a
 * second name there, then the new one in its place, so that a power cut loses neither.
 *
 * A lost record becomes a REC_VOID at its place, padded so that all others stay where they are: the
 * index has their places.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>
#include "store/check_int.h"
#include "store/disk.h"

#define COPY_BYTES (1u << 20)

struct repair {
    struct checker *c;
    char quarantine[CHECK_PATH];
    struct fail *fail;
};

static int fail_path(struct repair *p, int r, const char *path)
{
    return fail_set(p->fail, r, "%s: %s", path, uv_strerror(r));
}

/* What was done about every finding of a file. */
static void done(struct repair *p, const char *file, const char *text)
{
    for (size_t i = 0; i < p->c->report->n; i++)
        if (strcmp(p->c->report->findings[i].file, file) == 0)
            snprintf(p->c->report->findings[i].done, sizeof(p->c->report->findings[i].done), "%s",
                     text);
}

/* ---- quarantine ---- */

static int make_quarantine(struct repair *p)
{
    int r;

    snprintf(p->quarantine, sizeof(p->quarantine), "%s/quarantine", p->c->path);
    if (mkdir(p->quarantine, 0700) < 0 && errno != EEXIST)
        return fail_path(p, uv_translate_sys_error(errno), p->quarantine);
    r = store_disk->sync_dir(p->c->path);
    return r < 0 ? fail_path(p, r, p->c->path) : 0;
}

/* Another name for the file, in quarantine. A file that is not there is fine. */
static int keep(struct repair *p, const char *path)
{
    const char *name = strrchr(path, '/') + 1;
    char to[CHECK_PATH + 300];
    int r;

    for (unsigned n = 0; n < 1000; n++) {
        snprintf(to, sizeof(to), n ? "%s/%s.%u" : "%s/%s", p->quarantine, name, n);
        if (link(path, to) == 0) {
            r = store_disk->sync_dir(p->quarantine);
            return r < 0 ? fail_path(p, r, p->quarantine) : 0;
        }
        if (errno == ENOENT)
            return 0;
        if (errno != EEXIST)
            return fail_path(p, uv_translate_sys_error(errno), to);
    }
    return fail_path(p, UV_EEXIST, to);
}

static int put_away(struct repair *p, const char *path)
{
    int r = keep(p, path);

    if (r == 0 && (r = store_disk->remove(path)) == UV_ENOENT)
        r = 0;
    return r < 0 ? fail_path(p, r, path) : 0;
}

/* ---- a segment written anew ---- */

static int copy(int from, int to, uint64_t size)
{
    uint8_t *buf = malloc(COPY_BYTES);
    int r = buf ? 0 : UV_ENOMEM;

    for (uint64_t at = 0; r == 0 && at < size; at += COPY_BYTES) {
        ssize_t n = disk_read_some(from, buf, COPY_BYTES, at);

        r = n < 0 ? (int)n : disk_write(to, &(struct iovec){ buf, (size_t)n }, 1, at);
    }
    free(buf);
    return r;
}

/* The records of a gap, each void; the last takes what is left of the room. */
static int write_voids(struct repair *p, const struct check_gap *g, int fd)
{
    uint64_t at = g->offset, n = g->last - g->first + 1;
    uint32_t seed = segment_seed(p->c->log_id);
    uint8_t frame[SEGMENT_FRAME];
    int r = g->end && g->end - at < n * SEGMENT_FRAME ? UV_EILSEQ : 0; /* more than stood there */

    for (uint64_t i = 0; r == 0 && i < n; i++) {
        uint64_t room = i + 1 == n && g->end ? g->end - at : SEGMENT_FRAME;
        struct segment_record rec = { .seq = g->first + i,
                                      .epoch = g->epoch,
                                      .back = (uint32_t)(g->first + i - g->group),
                                      .type = REC_VOID,
                                      .last = true };
        char *pad = calloc(1, room);

        if (!pad)
            return UV_ENOMEM;
        rec.payload = (sl_str){ pad, room - SEGMENT_FRAME };
        segment_frame_write(frame, seed, &rec);
        r = disk_write(
            fd, (struct iovec[]){ { frame, SEGMENT_FRAME }, { pad, room - SEGMENT_FRAME } }, 2, at);
        free(pad);
        at += room;
    }
    /* What stood behind a lost end does not follow the voids by chance. */
    memset(frame, 0, sizeof(frame));
    if (r == 0 && !g->end)
        r = disk_write(fd, &(struct iovec){ frame, sizeof(frame) }, 1, at);
    return r;
}

static int fill(struct repair *p, struct check_segment *s, const char *path, int fd)
{
    uint8_t block[SEGMENT_HEAD];
    int from, r = 0;

    if (!s->missing) {
        if ((from = store_disk->open(path, O_RDONLY)) < 0)
            return from;
        r = copy(from, fd, s->size);
        store_disk->close(from);
    }
    if (r == 0 && (s->missing || s->bad_head)) {
        segment_head_write(&s->head, block);
        r = disk_write(fd, &(struct iovec){ block, sizeof(block) }, 1, 0);
    }
    for (size_t i = 0; r == 0 && i < s->n_gaps; i++)
        r = write_voids(p, &s->gaps[i], fd);
    return r == 0 ? store_disk->sync(fd) : r;
}

static int write_anew(struct repair *p, struct check_segment *s)
{
    char path[CHECK_PATH], tmp[CHECK_PATH + 8], dir[CHECK_PATH];
    int fd, r;

    snprintf(dir, sizeof(dir), "%s/log", p->c->path);
    snprintf(path, sizeof(path), "%s/log/%010u.seg", p->c->path, s->head.number);
    snprintf(tmp, sizeof(tmp), "%s.tmp", path);
    if ((fd = store_disk->open(tmp, O_RDWR | O_CREAT | O_TRUNC)) < 0)
        return fail_path(p, fd, tmp);
    r = fill(p, s, path, fd);
    store_disk->close(fd);
    if (r < 0)
        fail_path(p, r, tmp);
    if (r == 0)
        r = keep(p, path);
    if (r == 0 && ((r = store_disk->rename(tmp, path)) < 0 || (r = store_disk->sync_dir(dir)) < 0))
        fail_path(p, r, path);
    if (r < 0)
        store_disk->remove(tmp);
    return r;
}

static void tell_losses(struct repair *p, const struct check_segment *s)
{
    struct check_report *report = p->c->report;

    for (size_t g = 0; g < s->n_gaps; g++)
        for (uint64_t seq = s->gaps[g].first; seq <= s->gaps[g].last; seq++) {
            struct check_loss *more;

            if (report->lost++ >= CHECK_LOSSES_TOLD)
                continue;
            more = realloc(report->losses, (report->n_losses + 1) * sizeof(*more));
            if (!more)
                return;
            report->losses = more;
            more[report->n_losses].seq = seq;
            check_index_tell(p->c, seq, more[report->n_losses].what, sizeof(more->what));
            report->n_losses++;
        }
}

static int repair_log(struct repair *p)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < p->c->n_segments; i++) {
        struct check_segment *s = &p->c->segments[i];
        char name[80];

        if (!s->missing && !s->bad_head && !s->n_gaps)
            continue;
        check_segment_name(s->head.number, name);
        tell_losses(p, s);
        r = write_anew(p, s);
        if (r == 0)
            done(p, name,
                 s->missing  ? "written anew, every record of it void"
                 : s->n_gaps ? "moved to quarantine, written anew with void records in their place"
                             : "moved to quarantine, written anew; no record is lost");
    }
    return r;
}

/* ---- runs and the index ---- */

/* Every run that something was found about. */
static int repair_runs(struct repair *p)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < p->c->report->n; i++) {
        struct check_finding *f = &p->c->report->findings[i];
        char path[CHECK_PATH], file[sizeof(f->file)];

        if (f->todo != todo_run || f->done[0])
            continue;
        memcpy(file, f->file, sizeof(file));
        snprintf(path, sizeof(path), "%s/%s", p->c->path, file);
        if ((r = put_away(p, path)) == 0)
            done(p, file, "moved to quarantine; the daemon makes it again when it starts");
    }
    return r;
}

static int put_index_away(struct repair *p)
{
    static const char *const suffixes[] = { "-wal", "-shm", "" };
    char path[CHECK_PATH];
    int r = 0;

    check_index_close(p->c);
    for (size_t i = 0; r == 0 && i < 3; i++) {
        snprintf(path, sizeof(path), "%s/sluice.db%s", p->c->path, suffixes[i]);
        r = put_away(p, path);
    }
    if (r == 0 && (r = store_disk->sync_dir(p->c->path)) < 0)
        fail_path(p, r, p->c->path);
    return r;
}

/* An index that knows nothing and goes on where the log begins. */
static int begin_index(struct repair *p, uint64_t first)
{
    struct index *ix = NULL;
    int r = put_index_away(p);

    if (r == 0)
        r = index_open(&ix, p->c->path, NULL, p->c->log_id, UINT64_MAX, p->fail);
    if (r == 0 && (r = index_start_at(ix, first)) < 0)
        fail_path(p, r, p->c->path);
    index_close(ix);
    if (r == 0 && (r = store_disk->sync_dir(p->c->path)) < 0)
        fail_path(p, r, p->c->path);
    return r;
}

static int repair_index(struct repair *p)
{
    const uint64_t first = p->c->report->first;
    char text[160];
    int r;

    if (p->c->db_behind) {
        snprintf(text, sizeof(text),
                 "begun anew at record %llu: deliveries and links of the events before are lost",
                 (unsigned long long)first);
        r = begin_index(p, first);
    } else if (!p->c->db_bad) {
        return 0;
    } else if (first != 1) {
        snprintf(text, sizeof(text),
                 "left as it is: the log begins with record %llu, and what was before is in the "
                 "index alone; restore a backup",
                 (unsigned long long)first);
        r = 0;
    } else {
        snprintf(text, sizeof(text), "moved to quarantine; the daemon makes it again%s",
                 p->c->report->lost ? ", without what is lost" : " from the log, which is whole");
        r = put_index_away(p);
    }
    if (r == 0)
        done(p, "sluice.db", text);
    return r;
}

int store_repair(const char *path, struct check_report *ret, struct fail *fail)
{
    struct checker c = { .path = path, .lock_fd = -1, .report = ret };
    struct repair p = { .c = &c, .fail = fail };
    int r;

    *ret = (struct check_report){ 0 };
    if ((r = check_lock(&c, fail)) < 0 || (r = check_look(&c, fail)) < 0)
        goto out;
    if (ret->n && c.has_id && (r = make_quarantine(&p)) == 0 && (r = repair_log(&p)) == 0 &&
        (r = repair_runs(&p)) == 0)
        r = repair_index(&p);
out:
    check_finish(&c);
    return r;
}
