/*
 * log_read.c - reading the log: one after the other, and single ones by their place.
 *
 * A segment may be recycled while it is read. Its records' numbers tell, and after anything that
 * looks like damage the list of segments is asked first.
 */
#include <fcntl.h>
#include <stdlib.h>
#include "store/disk.h"
#include "store/log_int.h"

/* A segment's file, open, with a piece of it. */
struct file {
    uint32_t number; /* 0: none */
    struct window w;
};

struct reclog_reader {
    struct reclog *l;
    struct file run, single; /* sequential; by place */
    uint64_t next;           /* the record that stands at `off` in `run`; 0: unknown */
    uint64_t off;
};

int reclog_reader_open(struct reclog_reader **ret, struct reclog *l)
{
    struct reclog_reader *r = calloc(1, sizeof(*r));

    if (!r)
        return UV_ENOMEM;
    r->l = l;
    window_init(&r->run.w, WINDOW_RUN, -1, 0);
    window_init(&r->single.w, WINDOW_SINGLE, -1, 0);
    *ret = r;
    return 0;
}

static void file_drop(struct file *f)
{
    if (f->number)
        store_disk->close(f->w.fd);
    f->number = 0;
    window_move(&f->w, -1, 0);
}

void reclog_reader_close(struct reclog_reader *r)
{
    if (!r)
        return;
    file_drop(&r->run);
    file_drop(&r->single);
    window_finish(&r->run.w);
    window_finish(&r->single.w);
    free(r);
}

/* Have a segment open, and know how far it goes now. UV_ENOENT: it is not kept any more. */
static int file_take(struct reclog *l, struct file *f, uint32_t number)
{
    char path[LOG_PATH_MOST];
    uint64_t limit;
    int fd;

    if (!log_segment_limit(l, number, &limit)) {
        if (f->number == number)
            file_drop(f);
        return UV_ENOENT;
    }
    if (f->number != number) {
        file_drop(f);
        log_segment_path(l, number, path);
        fd = store_disk->open(path, O_RDONLY);
        if (fd < 0)
            return log_segment_limit(l, number, &limit) ? fd : UV_ENOENT;
        f->number = number;
        window_move(&f->w, fd, limit);
    }
    f->w.limit = limit;
    return 0;
}

/* What was read is no record: gone, or damaged? */
static int verdict(struct reclog *l, struct file *f)
{
    uint64_t limit;

    if (log_segment_limit(l, f->number, &limit))
        return UV_EILSEQ;
    file_drop(f);
    return UV_ENOENT;
}

static bool is_none(int r)
{
    return r == UV_EILSEQ || r == UV_EOF;
}

static struct reclog_record as_read(uint32_t number, uint64_t off, const struct segment_record *rec)
{
    return (struct reclog_record){ .seq = rec->seq,
                                   .pos = (uint64_t)number << 32 | off,
                                   .type = (enum record_type)rec->type,
                                   .payload = rec->payload };
}

/* ---- one after the other ---- */

/* Nothing valid stands where record `seq` should be. Go to the next that is there. UV_EILSEQ when
 * `wanted` is one of those between, else 0 and the place is right for what follows. */
static int skip_damage(struct reclog_reader *r, const struct log_segment *seg, uint64_t seq,
                       uint64_t wanted)
{
    uint64_t last = seg->last == UINT64_MAX ? reclog_last(r->l) : seg->last;
    struct segment_expect x = { .least = seq + 1, .most = last };
    struct segment_record rec;
    uint64_t at = r->off;
    int err = verdict(r->l, &r->run);

    if (err != UV_EILSEQ)
        return err;
    err = seq < last ? segment_seek(&r->run.w, r->l->seed, &at, &x, &rec) : UV_EOF;
    if (err < 0 && !is_none(err))
        return err;
    if (err == 0)
        last = rec.seq - 1;
    log_add_damage(r->l,
                   &(struct reclog_damage){
                       .segment = seg->number, .offset = r->off, .first = seq, .last = last });
    r->next = err == 0 ? rec.seq : 0;
    r->off = at;
    return wanted <= last ? UV_EILSEQ : 0;
}

/* The segment that holds `seq`, from its beginning if the place is not in it. */
static int find_place(struct reclog_reader *r, uint64_t seq, struct log_segment *seg)
{
    int err;

    if (!log_find_segment(r->l, seq, seg))
        return UV_ENOENT;
    if (r->run.number != seg->number || r->next == 0 || r->next > seq || r->next < seg->first) {
        if (r->run.number != seg->number)
            file_drop(&r->run);
        r->next = seg->first;
        r->off = SEGMENT_HEAD;
    }
    if ((err = file_take(r->l, &r->run, seg->number)) < 0)
        r->next = 0;
    return err;
}

/* Record `seq` in the window: walk there from the place. */
static int load(struct reclog_reader *r, uint64_t seq, struct segment_record *rec,
                uint64_t *ret_off)
{
    struct log_segment seg;
    int err = find_place(r, seq, &seg);

    while (err == 0) {
        struct segment_expect x = { .least = r->next, .most = r->next };

        err = segment_read(&r->run.w, r->l->seed, r->off, &x, rec);
        if (err == 0) {
            *ret_off = r->off;
            r->off += segment_record_bytes(rec);
            r->next = rec->seq + 1;
            if (rec->seq == seq)
                return 0;
        } else if (is_none(err)) {
            err = skip_damage(r, &seg, r->next, seq);
            if (err == 0 && r->next == 0)
                return UV_EILSEQ;
        }
    }
    return err;
}

int reclog_read(struct reclog_reader *r, uint64_t first, uint32_t limit, reclog_fn *fn, void *ctx)
{
    uint64_t last = reclog_last(r->l);
    int n = 0;

    for (uint64_t seq = first; seq <= last && (uint32_t)n < limit; seq++, n++) {
        struct segment_record rec;
        struct reclog_record out;
        uint64_t off = 0;
        int err = load(r, seq, &rec, &off);

        if (err < 0)
            return n && err == UV_EILSEQ ? n : err; /* the next call says it */
        out = as_read(r->run.number, off, &rec);
        if ((err = fn(ctx, &out)) != 0)
            return err;
    }
    return n;
}

/* ---- by place ---- */

int reclog_read_at(struct reclog_reader *r, uint64_t pos, uint64_t seq, reclog_fn *fn, void *ctx)
{
    uint32_t number = (uint32_t)(pos >> 32);
    uint64_t off = pos & UINT32_MAX;
    struct segment_expect x = { .least = seq, .most = seq };
    struct segment_record rec;
    struct log_segment seg;
    struct reclog_record out;
    int err;

    if (seq == 0 || seq > reclog_last(r->l) || !log_find_segment(r->l, seq, &seg) ||
        seg.number != number)
        return UV_ENOENT;
    if ((err = file_take(r->l, &r->single, number)) < 0)
        return err;
    err = segment_read(&r->single.w, r->l->seed, off, &x, &rec);
    if (is_none(err)) {
        err = verdict(r->l, &r->single);
        if (err == UV_EILSEQ)
            log_add_damage(r->l, &(struct reclog_damage){
                                     .segment = number, .offset = off, .first = seq, .last = seq });
    }
    if (err < 0)
        return err;
    out = as_read(number, off, &rec);
    return fn(ctx, &out);
}
