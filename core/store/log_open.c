/*
 * log_open.c - opening the log: which segments there are, where the newest one's durable records
 * end, which keys they brought.
 *
 * Behind the end of the newest segment may stand the torn rest of a group that was never
 * acknowledged: it is cut, which is to say written over later. But a record that is followed by one
 * of a later group was durable once: then the bytes between are damaged, and no cut is made.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "store/disk.h"
#include "store/log_int.h"

/* How far a record behind a damaged place may be numbered. */
#define SEQ_AHEAD (UINT64_C(1) << 28)

static int fail_file(struct fail *fail, int r, const char *path)
{
    return fail_set(fail, r, "%s: %s", path, uv_strerror(r));
}

/* ---- the directory ---- */

static int make_dir(struct reclog *l, const char *above, struct fail *fail)
{
    int r = 0;

    if (mkdir(l->dir, 0700) == 0)
        r = store_disk->sync_dir(above);
    else if (errno != EEXIST)
        r = uv_translate_sys_error(errno);
    return r < 0 ? fail_file(fail, r, l->dir) : 0;
}

/* "0000000012" and a suffix: the number; 0: another file. */
static uint32_t number_of(const char *name, const char *suffix)
{
    uint64_t n = 0;

    for (int i = 0; i < 10; i++) {
        if (name[i] < '0' || name[i] > '9')
            return 0;
        n = 10 * n + (uint64_t)(name[i] - '0');
    }
    return strcmp(name + 10, suffix) == 0 && n < UINT32_MAX ? (uint32_t)n : 0;
}

static int add_segment(struct reclog *l, uint32_t number)
{
    int r = log_reserve_segment(l);

    if (r == 0)
        l->segments[l->n_segments++].number = number;
    return r;
}

static int add_spare(struct reclog *l, uint32_t name)
{
    char path[LOG_PATH_MOST];

    if (name >= l->next_spare)
        l->next_spare = name + 1;
    if (l->n_spares < LOG_SPARES_MOST) {
        l->spares[l->n_spares++] = name;
        return 0;
    }
    log_spare_path(l, name, path);
    return store_disk->remove(path);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = ((const struct log_segment *)a)->number;
    uint32_t y = ((const struct log_segment *)b)->number;

    return x < y ? -1 : x > y;
}

static int list_dir(struct reclog *l, struct fail *fail)
{
    DIR *dir = opendir(l->dir);
    struct dirent *e;
    int r = dir ? 0 : uv_translate_sys_error(errno);

    while (r == 0 && (e = readdir(dir))) {
        uint32_t number = number_of(e->d_name, ".seg"), name = number_of(e->d_name, ".spare");

        if (number)
            r = add_segment(l, number);
        else if (name)
            r = add_spare(l, name);
    }
    if (dir)
        closedir(dir);
    if (l->n_segments)
        qsort(l->segments, l->n_segments, sizeof(*l->segments), by_number);
    return r < 0 ? fail_file(fail, r, l->dir) : 0;
}

/* ---- heads ---- */

static int open_segment(const struct reclog *l, uint32_t number, int flags, int *ret_fd,
                        uint64_t *ret_size, struct fail *fail)
{
    char path[LOG_PATH_MOST];
    struct stat st;
    int fd;

    log_segment_path(l, number, path);
    fd = store_disk->open(path, flags);
    if (fd < 0)
        return fail_file(fail, fd, path);
    if (fstat(fd, &st) < 0) {
        store_disk->close(fd);
        return fail_file(fail, uv_translate_sys_error(errno), path);
    }
    *ret_fd = fd;
    *ret_size = (uint64_t)st.st_size;
    return 0;
}

/* What a head says must fit its name, its log and its place. */
static int check_head(struct reclog *l, size_t i, const uint8_t *block, struct fail *fail)
{
    struct log_segment *seg = &l->segments[i];
    struct segment_head head;
    char path[LOG_PATH_MOST];
    int r = segment_head_read(block, &head);

    log_segment_path(l, seg->number, path);
    if (r == UV_ENOTSUP)
        return fail_set(fail, r, "%s is of a newer format; use the newer program that wrote it",
                        path);
    if (r < 0 || head.number != seg->number)
        return fail_set(fail, UV_EILSEQ,
                        "%s is damaged at byte 0: it has no valid head; restore it from a backup, "
                        "or run `sluice db repair`",
                        path);
    if (i > 0 && memcmp(head.log_id, l->id, sizeof(l->id)) != 0)
        return fail_set(fail, UV_EINVAL, "%s belongs to another log than the segments before it",
                        path);
    if (i > 0 && (seg->number != seg[-1].number + 1 || head.first < seg[-1].first))
        return fail_set(fail, UV_EILSEQ,
                        "%s does not follow segment %u: a segment is missing; restore it from a "
                        "backup, or run `sluice db repair`",
                        path, seg[-1].number);
    memcpy(l->id, head.log_id, sizeof(l->id));
    seg->first = head.first;
    seg->begun_ms = head.begun_ms;
    if (i > 0)
        seg[-1].last = head.first - 1;
    if (head.epoch > l->epoch)
        l->epoch = head.epoch;
    return 0;
}

static int read_heads(struct reclog *l, struct fail *fail)
{
    uint8_t block[SEGMENT_HEAD];
    int r = 0;

    for (size_t i = 0; i < l->n_segments && r == 0; i++) {
        uint64_t size;
        int fd = -1;

        if ((r = open_segment(l, l->segments[i].number, O_RDONLY, &fd, &size, fail)) < 0)
            break;
        memset(block, 0, sizeof(block));
        r = disk_read(fd, block, sizeof(block), 0);
        if (r == UV_EOF)
            r = 0; /* an empty file has no head; check_head() says so */
        r = r < 0 ? fail_file(fail, r, l->dir) : check_head(l, i, block, fail);
        store_disk->close(fd);
    }
    l->seed = segment_seed(l->id);
    return r;
}

/* ---- records ---- */

struct scan {
    struct reclog *l;
    const struct log_segment *seg;
    struct window w;
    uint64_t off, seq;   /* the next record, and where it should be */
    uint32_t epoch;      /* of the newest record */
    uint32_t epoch_most; /* of any, torn ones too */
    bool newest;         /* the segment being written: it may end in a torn group */

    /* the append under way */
    bool in_append;
    uint64_t append_group;
    uint32_t append_epoch;

    /* what is whole so far */
    uint64_t tail_off, tail_seq;   /* the next record's */
    uint64_t group_off, group_seq; /* where the newest group begins, and with which record */
};

static int take_keys(struct scan *s, const struct segment_record *rec)
{
    /* A newest segment whose keys are in a run already takes no record more. */
    size_t n = s->newest && s->l->keys_sealed ? 0 : rec->n_keys;
    int r = n ? keys_reserve(s->l->keys, n) : 0;

    for (size_t i = 0; i < n && r == 0; i++) {
        struct key_entry e = { .seq = rec->seq };

        memcpy(e.hash, segment_key(rec, i, &e.value), sizeof(e.hash));
        keys_add(s->l->keys, &e);
    }
    return r;
}

/* All records of an append come from one group. */
static bool belongs(const struct scan *s, const struct segment_record *rec)
{
    return !s->in_append ||
           (rec->epoch == s->append_epoch && rec->seq - rec->back == s->append_group);
}

static int accept_record(struct scan *s, const struct segment_record *rec)
{
    int r = take_keys(s, rec);

    if (r < 0)
        return r;
    if (rec->seq - rec->back != s->group_seq || rec->epoch != s->epoch) {
        s->group_seq = rec->seq - rec->back;
        s->group_off = s->off;
    }
    s->in_append = !rec->last;
    s->append_group = rec->seq - rec->back;
    s->append_epoch = rec->epoch;
    s->epoch = rec->epoch;
    if (rec->epoch > s->epoch_most)
        s->epoch_most = rec->epoch;
    s->off += segment_record_bytes(rec);
    s->seq = rec->seq + 1;
    if (rec->last) {
        keys_commit(s->l->keys);
        s->tail_off = s->off;
        s->tail_seq = s->seq;
    }
    return 0;
}

/* Nothing valid stands where the next record should be. Look for one that proves that it was there
 * once. 1: it was, *ret_off and *ret_seq are where records go on; 0: it was not; or a code. */
static int look_ahead(struct scan *s, uint64_t *ret_off, uint64_t *ret_seq)
{
    struct segment_expect x = { .least = s->seq, .most = s->seq + SEQ_AHEAD, .epoch = s->epoch };
    struct segment_record rec;
    uint64_t at = s->off;
    bool proven = false;
    int r;

    if (!s->newest)
        x.most = s->seg->last;
    *ret_seq = 0;
    while ((r = segment_seek(&s->w, s->l->seed, &at, &x, &rec)) == 0) {
        if (rec.epoch > s->epoch_most)
            s->epoch_most = rec.epoch;
        if (rec.seq > s->seq && *ret_seq == 0) {
            *ret_off = at;
            *ret_seq = rec.seq;
        }
        /* A sealed segment was durable as a whole. */
        proven = proven || rec.seq - rec.back > s->seq || (!s->newest && rec.seq > s->seq);
        if (proven && !s->newest)
            break;
        at += segment_record_bytes(&rec);
    }
    return r < 0 && r != UV_EOF ? r : proven && *ret_seq;
}

/* 1: go on behind the damage; 0: the end; or a code. */
static int pass_damage(struct scan *s)
{
    struct reclog_damage d = { .segment = s->seg->number, .offset = s->off, .first = s->seq };
    uint64_t off = 0, seq = 0;
    int r = look_ahead(s, &off, &seq);

    if (r < 0 || (r == 0 && s->newest))
        return r;
    d.last = r ? seq - 1 : s->seg->last;
    log_add_damage(s->l, &d);
    keys_commit(s->l->keys); /* of an append that has lost its end */
    s->in_append = false;
    s->tail_off = s->off = off;
    s->tail_seq = s->seq = seq;
    return r;
}

static int scan_segment(struct scan *s)
{
    int r = 0;

    s->off = s->tail_off = s->group_off = SEGMENT_HEAD;
    s->seq = s->tail_seq = s->seg->first;
    while (r >= 0 && (s->newest || s->seq <= s->seg->last)) {
        struct segment_expect x = { .least = s->seq, .most = s->seq, .epoch = s->epoch };
        struct segment_record rec;

        r = segment_read(&s->w, s->l->seed, s->off, &x, &rec);
        if (r == 0 && belongs(s, &rec)) {
            r = accept_record(s, &rec);
            continue;
        }
        if (r < 0 && r != UV_EILSEQ && r != UV_EOF)
            break;
        if ((r = pass_damage(s)) == 0)
            break;
    }
    if (s->newest)
        keys_rollback(s->l->keys); /* of the append that is cut */
    else
        keys_commit(s->l->keys);
    return r < 0 ? r : 0;
}

/* ---- keys of segments that no run covers ---- */

static int load_keys(struct reclog *l, const struct log_segment *seg, struct fail *fail)
{
    struct scan s = { .l = l, .seg = seg };
    uint64_t size;
    int fd, r = open_segment(l, seg->number, O_RDONLY, &fd, &size, fail);

    if (r < 0)
        return r;
    window_init(&s.w, WINDOW_RUN, fd, size);
    r = scan_segment(&s);
    window_finish(&s.w);
    store_disk->close(fd);
    if (r == 0)
        r = keys_seal(l->keys, seg->number);
    if (r < 0)
        return fail_set(fail, r, "%s/%010u.seg: %s", l->dir, seg->number, uv_strerror(r));
    while (r == 0 && keys_work_due(l->keys) && keys_work(l->keys) > 0)
        ; /* a log without its key files does not come into memory all at once */
    return 0;
}

static int load_all_keys(struct reclog *l, struct fail *fail)
{
    const struct log_segment *newest = &l->segments[l->n_segments - 1];
    uint32_t number = l->segments[0].number;
    int r = keys_open(&l->keys, l->dir, number, newest->number, fail);

    while (r == 0 && (number = keys_missing(l->keys, number)) != 0 && number < newest->number) {
        log_info(&log_logger, "keys are read from the records: file=%s/%010u.seg", l->dir, number);
        r = load_keys(l, &l->segments[number - l->segments[0].number], fail);
        number++;
    }
    /* Sealed, and the next segment was never begun. */
    l->keys_sealed = r == 0 && number == 0;
    return r;
}

/* ---- the newest segment ---- */

/* Write what may be in memory only, as bytes the system takes for written, and sync it. */
static int write_anew(struct reclog *l, struct scan *s, int fd)
{
    uint64_t at = s->group_off;
    int r = 0;

    while (at < s->tail_off && r == 0) {
        uint64_t n = s->tail_off - at < WINDOW_RUN ? s->tail_off - at : WINDOW_RUN;
        const uint8_t *p;

        r = window_get(&s->w, at, (size_t)n, &p);
        if (r == 0)
            r = log_code(disk_write(fd, &(struct iovec){ (void *)(uintptr_t)p, (size_t)n }, 1, at));
        at += n;
    }
    if (r == 0 || r == UV_ENOSPC)
        r = store_disk->sync(fd);
    return r < 0 ? r : store_disk->sync_dir(l->dir);
}

static int open_newest(struct reclog *l, struct fail *fail)
{
    struct scan s = { .l = l, .seg = &l->segments[l->n_segments - 1], .newest = true };
    uint64_t size;
    int fd, r = open_segment(l, s.seg->number, O_RDWR, &fd, &size, fail);

    if (r < 0)
        return r;
    l->fd = fd;
    l->number = s.seg->number;
    l->begun_ms = s.seg->begun_ms;
    window_init(&s.w, WINDOW_RUN, fd, size);
    r = scan_segment(&s);
    if (r == 0)
        r = write_anew(l, &s, fd);
    window_finish(&s.w);
    if (r < 0)
        return fail_set(fail, r, "%s/%010u.seg: %s", l->dir, l->number, uv_strerror(r));
    if (s.epoch_most > l->epoch)
        l->epoch = s.epoch_most;
    l->end = l->durable_end = s.tail_off;
    atomic_store(&l->last, s.tail_seq - 1);
    return 0;
}

static int begin_log(struct reclog *l, struct fail *fail)
{
    int r = uv_random(NULL, NULL, l->id, sizeof(l->id), 0, NULL);

    l->seed = segment_seed(l->id);
    l->epoch = 1;
    if (r < 0)
        return fail_file(fail, r, l->dir);
    if ((r = keys_open(&l->keys, l->dir, 1, 0, fail)) == 0 && (r = log_begin_segment(l)) < 0)
        fail_set(fail, r, "%s: cannot begin a log: %s", l->dir, uv_strerror(r));
    return r;
}

static int open_log(struct reclog *l, struct fail *fail)
{
    int r = read_heads(l, fail);

    if (r == 0)
        r = load_all_keys(l, fail);
    if (r == 0)
        r = open_newest(l, fail);
    l->epoch++;
    return r;
}

/* ---- open, close ---- */

/* The log of the first releases' forerunner: nothing of it is touched. */
static int refuse_old_form(const char *dir, struct fail *fail)
{
    char path[LOG_PATH_MOST];

    snprintf(path, sizeof(path), "%s/log.db", dir);
    if (access(path, F_OK) < 0)
        return 0;
    return fail_set(fail, UV_ENOTSUP,
                    "%s is the log of an earlier form, which this program does not read; "
                    "nothing was changed: use the program that wrote it, or another state folder",
                    path);
}

int reclog_open(struct reclog **ret, const struct reclog_conf *conf, struct fail *fail)
{
    struct reclog *l = calloc(1, sizeof(*l));
    int r;

    if (!l)
        return fail_set(fail, UV_ENOMEM, "no memory");
    l->fd = -1;
    l->prepared = l->making = LOG_NO_SPARE;
    l->next_spare = 1;
    l->segment_bytes = conf->segment_bytes;
    l->segment_ms = conf->segment_ms;
    if (uv_mutex_init(&l->lock))
        abort(); /* libuv's own only fails so, too */
    l->dir = malloc(strlen(conf->dir) + sizeof("/log"));
    if (!l->dir) {
        r = fail_set(fail, UV_ENOMEM, "no memory");
        goto out;
    }
    sprintf(l->dir, "%s/log", conf->dir);
    if ((r = refuse_old_form(conf->dir, fail)) < 0 || (r = make_dir(l, conf->dir, fail)) < 0 ||
        (r = list_dir(l, fail)) < 0)
        goto out;
    r = l->n_segments ? open_log(l, fail) : begin_log(l, fail);
    if (r < 0)
        goto out;
    l->in_memory = l->number;
    *ret = l;
    return 0;
out:
    reclog_close(l);
    return r;
}

void reclog_close(struct reclog *l)
{
    if (!l)
        return;
    if (l->fd >= 0)
        store_disk->close(l->fd);
    if (l->prepared.fd >= 0)
        store_disk->close(l->prepared.fd);
    if (l->making.fd >= 0)
        store_disk->close(l->making.fd);
    keys_close(l->keys);
    uv_mutex_destroy(&l->lock);
    free(l->segments);
    free(l->frames);
    free(l->iov);
    free(l->undo);
    free(l->dir);
    free(l);
}
