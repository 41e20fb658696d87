/*
 * check_log.c - the log, segment by segment and record by record, as opening finds its way, but
 * without believing anything: what the heads say, what the next segment begins with and what the
 * index has applied must fit together.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>
#include "store/check_int.h"
#include "store/disk.h"

#define SEQ_AHEAD    (UINT64_C(1) << 28)
#define MISSING_MOST 100000u
#define LOST_MOST    (UINT64_C(1) << 22) /* records that the end of a log may have lost */

/* ---- which segments there are ---- */

static int by_number(const void *va, const void *vb)
{
    uint32_t a = ((const struct check_segment *)va)->head.number;
    uint32_t b = ((const struct check_segment *)vb)->head.number;

    return a < b ? -1 : a > b;
}

static int list_add(struct checker *c, uint32_t number, bool missing)
{
    struct check_segment *more = realloc(c->segments, (c->n_segments + 1) * sizeof(*c->segments));

    if (!more)
        return UV_ENOMEM;
    c->segments = more;
    more[c->n_segments++] = (struct check_segment){ .head = { .number = number },
                                                    .missing = missing };
    return 0;
}

/* Numbers between two that are there. */
static int add_missing(struct checker *c)
{
    size_t n = c->n_segments;
    int r = 0;

    for (size_t i = 1; i < n; i++)
        for (uint32_t k = c->segments[i - 1].head.number + 1;
             r == 0 && k < c->segments[i].head.number; k++)
            r = c->n_segments < n + MISSING_MOST ? list_add(c, k, true) : UV_E2BIG;
    qsort(c->segments, c->n_segments, sizeof(*c->segments), by_number);
    return r;
}

static int list_segments(struct checker *c, struct fail *fail)
{
    char dir[CHECK_PATH];
    DIR *d;
    int r = 0;

    snprintf(dir, sizeof(dir), "%s/log", c->path);
    d = opendir(dir);
    if (!d)
        return fail_set(fail, uv_translate_sys_error(errno), "%s: %s", dir, strerror(errno));
    for (struct dirent *e; r == 0 && (e = readdir(d));) {
        uint32_t number;
        int len = 0;

        if (sscanf(e->d_name, "%10u.seg%n", &number, &len) == 1 && len == 14 && !e->d_name[14] &&
            number)
            r = list_add(c, number, false);
    }
    closedir(d);
    if (r == 0 && c->n_segments) {
        qsort(c->segments, c->n_segments, sizeof(*c->segments), by_number);
        r = add_missing(c);
    }
    return r;
}

/* ---- heads ---- */

static int open_segment(const struct checker *c, struct check_segment *s, int *ret_fd)
{
    char path[CHECK_PATH];
    struct stat st;

    snprintf(path, sizeof(path), "%s/log/%010u.seg", c->path, s->head.number);
    *ret_fd = store_disk->open(path, O_RDONLY);
    if (*ret_fd < 0)
        return *ret_fd;
    s->size = fstat(*ret_fd, &st) < 0 ? 0 : (uint64_t)st.st_size;
    return 0;
}

static int read_head(struct checker *c, struct check_segment *s, struct fail *fail)
{
    uint8_t block[SEGMENT_HEAD] = { 0 };
    struct segment_head head;
    char name[80];
    int fd, r;

    check_segment_name(s->head.number, name);
    if (s->missing) {
        check_add(c, name, NO_OFFSET, 0, 0, todo_log, "the file is missing");
        return 0;
    }
    if ((r = open_segment(c, s, &fd)) < 0)
        return fail_set(fail, r, "%s/%s: %s", c->path, name, uv_strerror(r));
    r = disk_read(fd, block, sizeof(block), 0);
    store_disk->close(fd);
    if (r < 0 && r != UV_EOF)
        return fail_set(fail, r, "%s/%s: %s", c->path, name, uv_strerror(r));
    r = segment_head_read(block, &head);
    if (r == UV_ENOTSUP)
        return fail_set(fail, r, "%s/%s is of a newer format; use the newer program", c->path,
                        name);
    if (r == 0 && c->has_id && memcmp(head.log_id, c->log_id, 16) != 0)
        return fail_set(fail, UV_EINVAL,
                        "%s/%s belongs to another log than the segments before it: take it away",
                        c->path, name);
    if (r < 0 || head.number != s->head.number) {
        s->bad_head = true;
        check_add(c, name, 0, 0, 0, todo_log, "%s",
                  r < 0 ? "the head block is damaged" : "the head block is another segment's");
        return 0;
    }
    memcpy(c->log_id, head.log_id, 16);
    c->has_id = true;
    s->head = head;
    return 0;
}

/* ---- records ---- */

struct walk {
    struct checker *c;
    struct check_segment *s;
    struct window w;
    uint32_t seed;
    bool newest;
    uint64_t known_last; /* 0: it is the newest, or the next is not there */
    uint64_t limit;      /* no record of it is beyond */
    uint64_t off, seq;
    uint32_t epoch;
    uint64_t group;
    bool in_append;
    uint64_t whole; /* the newest record whose append is whole */
};

static bool is_none(int r)
{
    return r == UV_EILSEQ || r == UV_EOF;
}

static int on_record(struct walk *k, const struct segment_record *rec)
{
    struct checker *c = k->c;
    int r = check_runs_record(c, k->s->head.number, rec);

    if (r == 0)
        r = check_index_record(c, k->s->head.number, k->off, rec);
    if (rec->type == REC_VOID) {
        k->s->voids = true;
        c->report->voids++;
    }
    k->in_append = !rec->last;
    k->epoch = rec->epoch;
    k->group = rec->seq - rec->back;
    k->seq = rec->seq + 1;
    k->off += segment_record_bytes(rec);
    c->report->records++;
    if (rec->last)
        k->whole = rec->seq;
    return r;
}

static int add_gap(struct walk *k, uint64_t end, uint64_t last)
{
    struct check_segment *s = k->s;
    struct check_gap *more = realloc(s->gaps, (s->n_gaps + 1) * sizeof(*more));
    char name[80];

    if (!more)
        return UV_ENOMEM;
    s->gaps = more;
    more[s->n_gaps++] = (struct check_gap){ .offset = k->off,
                                            .end = end,
                                            .first = k->seq,
                                            .last = last,
                                            .epoch = k->epoch,
                                            .group = k->group ? k->group : k->seq };
    k->c->damaged = true;
    check_segment_name(s->head.number, name);
    if (!s->missing)
        check_add(k->c, name, k->off, k->seq, last, todo_log, "%s",
                  end ? "records cannot be read: the check sum is wrong"
                      : "records are missing at the end");
    k->seq = last + 1;
    k->off = end;
    k->in_append = false;
    k->whole = last;
    return 0;
}

/* Nothing valid stands here: is it the end? The index may have applied more. */
static int end_or_gap(struct walk *k)
{
    struct checker *c = k->c;

    if (k->known_last)
        return add_gap(k, 0, k->known_last);
    if (!k->newest || k->seq > c->watermark)
        return 0;
    if (c->watermark - k->seq < LOST_MOST)
        return add_gap(k, 0, c->watermark);
    c->db_bad = true;
    check_add(c, "sluice.db", NO_OFFSET, 0, 0, todo_index,
              "it stands at record %" PRIu64 ", but the log ends at %" PRIu64, c->watermark,
              k->seq - 1);
    return 0;
}

/* The record that stands behind what cannot be read, if anything proves that this was durable. 1:
 * gone on there; 0: the records end here; or a code. */
static int pass(struct walk *k)
{
    struct segment_expect x = { .least = k->seq + 1, .most = k->limit, .epoch = k->epoch };
    bool proven = !k->newest || k->seq <= k->c->watermark;
    uint64_t at = k->off, found = 0, found_seq = 0;
    struct segment_record rec;
    int r = UV_EOF;

    while (x.most >= x.least && (r = segment_seek(&k->w, k->seed, &at, &x, &rec)) == 0) {
        if (!found) {
            found = at;
            found_seq = rec.seq;
        }
        proven = proven || rec.seq - rec.back > k->seq;
        if (proven)
            return (r = add_gap(k, found, found_seq - 1)) < 0 ? r : 1;
        at += segment_record_bytes(&rec);
    }
    return is_none(r) ? end_or_gap(k) : r;
}

/* An append's records all come from one group. */
static bool belongs(const struct walk *k, const struct segment_record *rec)
{
    return !k->in_append || (rec->epoch == k->epoch && rec->seq - rec->back == k->group);
}

static int walk(struct walk *k)
{
    int r = 1;

    while (r > 0 && (!k->known_last || k->seq <= k->known_last)) {
        struct segment_expect x = { k->seq, k->seq, k->epoch };
        struct segment_record rec;

        r = segment_read(&k->w, k->seed, k->off, &x, &rec);
        if (r == 0 && belongs(k, &rec))
            r = (r = on_record(k, &rec)) < 0 ? r : 1;
        else if (r == 0 || is_none(r))
            r = pass(k);
    }
    if (r == 0 && !k->known_last && k->in_append)
        k->seq = k->whole + 1; /* the torn end of an append that nobody was told of */
    return r < 0 ? r : 0;
}

/* ---- heads that cannot be read ---- */

/* The first record that can be read says where the segment begins; what is lost before it is the
 * one before's. None can be read: the segment is as good as missing. */
static int find_first(struct checker *c, size_t i)
{
    struct check_segment *s = &c->segments[i];
    struct segment_expect x = { .least = 1, .most = UINT64_MAX - 1 };
    struct segment_record rec;
    struct window w;
    uint64_t at = SEGMENT_HEAD;
    int fd, r = open_segment(c, s, &fd);

    for (size_t n = i; n-- > 0 && x.least == 1;)
        if (c->segments[n].head.first)
            x.least = c->segments[n].head.first;
    for (size_t n = i + 1; n < c->n_segments; n++)
        if (!c->segments[n].missing && !c->segments[n].bad_head) {
            x.most = c->segments[n].head.first - 1;
            break;
        }
    if (r < 0)
        return r;
    window_init(&w, WINDOW_RUN, fd, s->size);
    r = segment_seek(&w, segment_seed(c->log_id), &at, &x, &rec);
    if (r == 0) {
        s->head.first = rec.seq;
        s->head.epoch = rec.epoch;
    }
    s->missing = is_none(r);
    window_finish(&w);
    store_disk->close(fd);
    return is_none(r) ? 0 : r;
}

/* What the head would say. */
static void make_head(struct checker *c, size_t i, const struct walk *k)
{
    struct check_segment *s = &c->segments[i];

    memcpy(s->head.log_id, c->log_id, 16);
    if (i > 0)
        s->head.begun_ms = s[-1].head.begun_ms;
    else if (c->n_segments > 1)
        s->head.begun_ms = s[1].head.begun_ms;
    if (!s->missing)
        return;
    if (i > 0) {
        s->head.first = s[-1].last + 1;
        s->head.epoch = s[-1].epoch;
    } else {
        s->head.first = s->head.number == 1 || !k->known_last ? 1 : k->known_last;
    }
}

/* ---- a segment ---- */

/* The last record of a segment, by the next one's beginning: of the one right before it exactly,
 * of others at most. */
static void find_limits(struct walk *k, size_t i)
{
    const struct checker *c = k->c;

    k->newest = i + 1 == c->n_segments;
    k->limit = UINT64_MAX - 1;
    for (size_t n = i + 1; n < c->n_segments; n++)
        if (!c->segments[n].missing) {
            k->limit = c->segments[n].head.first - 1;
            k->known_last = n == i + 1 ? k->limit : 0;
            break;
        }
}

static int walk_segment(struct walk *k)
{
    if (!k->s->missing)
        return walk(k);
    k->off = SEGMENT_HEAD;
    return end_or_gap(k);
}

static int check_segment(struct checker *c, size_t i, struct fail *fail)
{
    struct check_segment *s = &c->segments[i];
    struct walk k = { .c = c, .s = s, .seed = segment_seed(c->log_id), .off = SEGMENT_HEAD };
    int fd = -1, r = s->missing ? 0 : open_segment(c, s, &fd);

    if (r == 0) {
        window_init(&k.w, WINDOW_RUN, fd, s->size);
        find_limits(&k, i);
        if (k.newest)
            k.limit = s->head.first + SEQ_AHEAD;
        if (s->missing || s->bad_head)
            make_head(c, i, &k);
        k.seq = s->head.first;
        k.epoch = s->head.epoch;
        k.whole = k.seq - 1;
        if (i == 0) {
            c->report->first = k.seq;
            r = check_index_begin(c, fail);
        }
        if (r == 0)
            r = walk_segment(&k);
        window_finish(&k.w);
    }
    s->last = k.seq - 1;
    s->epoch = k.epoch;
    c->report->bytes += s->size;
    c->report->segments++;
    if (fd >= 0)
        store_disk->close(fd);
    if (r < 0 && fail && !fail->code)
        fail_set(fail, r, "%s/log/%010u.seg: %s", c->path, s->head.number, uv_strerror(r));
    return r;
}

int check_log(struct checker *c, struct fail *fail)
{
    int r = list_segments(c, fail);

    for (size_t i = 0; r == 0 && i < c->n_segments; i++)
        r = read_head(c, &c->segments[i], fail);
    if (r < 0)
        return r;
    if (!c->n_segments) {
        check_add(c, "log", NO_OFFSET, 0, 0, "restore a backup", "no segment is there%s",
                  c->watermark ? ", but an index of one" : "");
        return 0;
    }
    if (!c->has_id)
        c->has_id = check_index_log_id(c, c->log_id);
    if (!c->has_id) {
        check_add(c, "log", NO_OFFSET, 0, 0, "restore a backup",
                  "nothing says which log this is: no head block and no index can be read");
        c->damaged = true;
        return 0;
    }
    for (size_t i = 0; r == 0 && i < c->n_segments; i++)
        if (c->segments[i].bad_head)
            r = find_first(c, i);
    for (size_t i = 0; r == 0 && i < c->n_segments; i++)
        r = check_segment(c, i, fail);
    if (r == 0)
        c->report->last = c->segments[c->n_segments - 1].last;
    return r;
}
