/*
 * log.c - appending to the log: a group's keys are decided, its records framed around the payloads
 * where they lie, written with one call and synced with one.
 */
#include "store/log_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "store/disk.h"
#include "store/store.h"

#define UNDO_FIRST 64

const uint8_t *reclog_id(const struct reclog *l)
{
    return l->id;
}

uint64_t reclog_last(struct reclog *l)
{
    return atomic_load(&l->last);
}

/* ---- memory for a group: none is asked for once the largest has been seen ---- */

struct need {
    size_t records, keys;
    uint64_t bytes; /* at most */
};

static struct need measure(const struct list *group)
{
    struct need n = { 0 };

    list_each (node, group) {
        const struct store_append *a = list_entry(node, struct store_append, node);

        for (size_t i = 0; i < a->n; i++) {
            const struct store_record *rec = &a->records[i];
            size_t most = rec->payload.len;

            if (rec->duplicate.len > most)
                most = rec->duplicate.len;
            n.records++;
            n.keys += rec->n_keys;
            n.bytes += segment_record_size(rec->n_keys, most);
        }
    }
    return n;
}

static int make_room(struct reclog *l, const struct need *n)
{
    size_t frames = n->records * (SEGMENT_FRAME + 7) + n->keys * SEGMENT_KEY + 8;
    size_t iov = 2 * n->records + 2;

    if (frames > l->frames_cap) {
        free(l->frames);
        l->frames = malloc(frames);
        l->frames_cap = l->frames ? frames : 0;
    }
    if (iov > l->cap_iov) {
        free(l->iov);
        l->iov = malloc(iov * sizeof(*l->iov));
        l->cap_iov = l->iov ? iov : 0;
    }
    if (!l->frames || !l->iov)
        return UV_ENOMEM;
    return n->keys ? keys_reserve(l->keys, n->keys) : 0;
}

/* ---- undo ---- */

static int push_undo(struct reclog *l, struct log_undo undo)
{
    if (l->n_undo == l->cap_undo) {
        size_t cap = l->cap_undo ? 2 * l->cap_undo : UNDO_FIRST;
        struct log_undo *more = realloc(l->undo, cap * sizeof(*more));

        if (!more)
            return UV_ENOMEM;
        l->undo = more;
        l->cap_undo = cap;
    }
    l->undo[l->n_undo++] = undo;
    return 0;
}

static void undo_all(struct reclog *l)
{
    while (l->n_undo > 0) {
        const struct log_undo *u = &l->undo[--l->n_undo];

        if (u->key)
            u->key->value = u->value;
        else
            *u->at = u->was;
    }
}

static void reset_results(struct list *group)
{
    list_each (node, group) {
        struct store_append *a = list_entry(node, struct store_append, node);

        for (size_t i = 0; i < a->n; i++) {
            a->records[i].seq = 0;
            a->records[i].refused = false;
            for (size_t k = 0; k < a->records[i].n_keys; k++) {
                a->records[i].keys[k].known = false;
                a->records[i].keys[k].first = 0;
            }
        }
    }
}

/* ---- keys ---- */

/* 1: known, with `first` and `value` filled; 0: not; or a code. */
static int find_key(struct reclog *l, struct store_key *k, uint64_t *ret_asked)
{
    struct key_entry e;
    int r = keys_find(l->keys, k->hash, &e);

    if (r <= 0)
        return r;
    if ((r = push_undo(l, (struct log_undo){ .key = k, .value = k->value })) < 0)
        return r;
    *ret_asked = k->value;
    k->known = true;
    k->first = e.seq;
    k->value = e.value;
    return 1;
}

static void enter_key(struct reclog *l, struct store_key *k)
{
    struct key_entry e = { .seq = l->next, .value = k->value };

    memcpy(e.hash, k->hash, sizeof(e.hash));
    keys_add(l->keys, &e);
    k->first = l->next;
}

static int write_mark(struct reclog *l, struct store_record *rec, const struct store_key *k)
{
    uint8_t *at = (uint8_t *)rec->payload.data + k->mark_at;
    int r = push_undo(l, (struct log_undo){ .at = at, .was = *at });

    if (r == 0)
        *at = k->mark_value;
    return r;
}

/* Fill in what the log knows and the sender's record of a duplicate does not. */
static void describe_duplicate(struct store_record *rec, const struct store_key *k, bool same_body)
{
    uint8_t *p = (uint8_t *)rec->duplicate.data;

    for (int i = 0; i < 8; i++)
        p[REC_DUPLICATE_ORIGINAL_AT + i] = (uint8_t)(k->first >> (8 * i));
    p[REC_DUPLICATE_SAME_BODY_AT] = same_body;
}

/* Is a `refuse` key known? Then the record takes none. */
static int decide_refusal(struct reclog *l, struct store_record *rec)
{
    for (size_t i = 0; i < rec->n_keys; i++) {
        struct store_key *k = &rec->keys[i];
        uint64_t asked = 0;
        int r = k->refuse ? find_key(l, k, &asked) : 0;

        if (r < 0)
            return r;
        if (r > 0 && !rec->refused) {
            rec->refused = true;
            if (rec->duplicate.len)
                describe_duplicate(rec, k, asked == k->value);
        }
    }
    return 0;
}

/* Decide a record's keys; those that stay unknown are entered for it. */
static int decide(struct reclog *l, struct store_record *rec)
{
    uint64_t asked;
    int r = decide_refusal(l, rec);

    for (size_t i = 0; i < rec->n_keys && r == 0 && !rec->refused; i++) {
        struct store_key *k = &rec->keys[i];

        /* With one key nothing can have changed since it was looked for. */
        if (!k->refuse || rec->n_keys > 1)
            r = find_key(l, k, &asked);
        if (r == 0 && !k->only_asked)
            enter_key(l, k);
        else if (r > 0)
            r = k->refuse || k->only_entered ? 0 : write_mark(l, rec, k);
    }
    return r < 0 ? r : 0;
}

/* ---- framing ---- */

/* One record: the padding of the one before, the frame and the keys lie together. */
static void frame(struct reclog *l, const struct store_record *rec, bool last)
{
    const struct buf *payload = rec->refused ? &rec->duplicate : &rec->payload;
    uint8_t *start = l->frames + l->frames_len, *p = start + l->pad;
    struct segment_record out = {
        .seq = rec->seq,
        .epoch = l->epoch,
        .back = (uint32_t)(rec->seq - atomic_load_explicit(&l->last, memory_order_relaxed) - 1),
        .type = rec->refused ? REC_DUPLICATE : (uint8_t)rec->type,
        .last = last,
        .payload = buf_view(payload),
    };
    uint64_t bytes;
    size_t n;

    memset(start, 0, l->pad);
    for (size_t i = 0; i < rec->n_keys && !rec->refused; i++)
        if (!rec->keys[i].known && !rec->keys[i].only_asked)
            segment_key_write(p, out.n_keys++, rec->keys[i].hash, rec->keys[i].value);
    segment_frame_write(p, l->seed, &out);
    n = SEGMENT_FRAME + out.n_keys * SEGMENT_KEY;
    l->iov[l->n_iov++] = (struct iovec){ start, l->pad + n };
    l->iov[l->n_iov++] = (struct iovec){ payload->data, payload->len };
    l->frames_len += l->pad + n;
    bytes = segment_record_bytes(&out);
    l->pad = (size_t)(bytes - n - payload->len);
    l->group_bytes += bytes;
}

static bool is_written(const struct store_record *rec)
{
    return !rec->refused || rec->duplicate.len > 0;
}

static int put_append(struct reclog *l, struct store_append *a, struct reclog_result *res)
{
    size_t last = 0;

    for (size_t i = 0; i < a->n; i++) {
        struct store_record *rec = &a->records[i];
        int r = 0;

        if (rec->follows && i > 0 && a->records[i - 1].refused)
            rec->refused = true;
        else if ((r = decide(l, rec)) < 0)
            return r;
        else
            res->refused += rec->refused;
        if (is_written(rec)) {
            rec->seq = l->next++;
            res->records++;
            last = i;
        }
    }
    for (size_t i = 0; i < a->n; i++)
        if (is_written(&a->records[i]))
            frame(l, &a->records[i], i == last);
    return 0;
}

/* Whole pages are written: of a part of one that is not in memory the kernel would have to read the
 * rest first. The next group begins over these zeros. */
static void fill_page(struct reclog *l)
{
    static const uint8_t zeros[LOG_PAGE];
    uint64_t end = l->end + l->group_bytes, left = (LOG_PAGE - end % LOG_PAGE) % LOG_PAGE;

    if (left && end + left <= l->segment_bytes)
        l->iov[l->n_iov++] = (struct iovec){ (void *)(uintptr_t)zeros, left };
}

static int put_group(struct reclog *l, struct list *group, struct reclog_result *res)
{
    l->next = atomic_load(&l->last) + 1;
    l->n_undo = l->n_iov = l->frames_len = l->pad = 0;
    l->group_bytes = 0;
    list_each (node, group) {
        int r = put_append(l, list_entry(node, struct store_append, node), res);

        if (r < 0)
            return r;
    }
    if (l->pad) {
        memset(l->frames + l->frames_len, 0, l->pad);
        l->iov[l->n_iov++] = (struct iovec){ l->frames + l->frames_len, l->pad };
    }
    fill_page(l);
    return 0;
}

/* ---- writing ---- */

/* Part of a group may be in the file, whole records perhaps: nothing may take them for ours. The
 * next group is of another epoch; until it comes the first frame says nothing. */
static void forget_group(struct reclog *l)
{
    uint8_t none[SEGMENT_FRAME] = { 0 };

    l->epoch++;
    disk_write(l->fd, &(struct iovec){ none, sizeof(none) }, 1, l->end);
}

static int write_group(struct reclog *l)
{
    int r = log_code(disk_write(l->fd, l->iov, l->n_iov, l->end));

    if (r == UV_ENOSPC || r == UV_ENOMEM) {
        forget_group(l);
        return r;
    }
    if (r == 0)
        r = store_disk->sync(l->fd);
    if (r < 0) {
        atomic_store(&l->failed, true);
        log_error(&log_logger, "log cannot be written: file=%s/%010u.seg err=%s", l->dir, l->number,
                  uv_err_name(r));
    }
    return r < 0 ? UV_EIO : 0;
}

/* It is durable: readers may go up to here. */
static void publish(struct reclog *l)
{
    l->end += l->group_bytes;
    uv_mutex_lock(&l->lock);
    l->durable_end = l->end;
    uv_mutex_unlock(&l->lock);
    atomic_store(&l->last, l->next - 1);
}

/* ---- the next segment ---- */

static struct log_spare take_prepared(struct reclog *l)
{
    struct log_spare spare;

    uv_mutex_lock(&l->lock);
    spare = l->prepared;
    l->prepared = LOG_NO_SPARE;
    uv_mutex_unlock(&l->lock);
    return spare;
}

static void give_back(struct reclog *l, struct log_spare spare)
{
    struct log_spare other;

    uv_mutex_lock(&l->lock);
    other = l->prepared;
    l->prepared = spare;
    uv_mutex_unlock(&l->lock);
    if (other.fd >= 0)
        store_disk->close(other.fd);
}

/* Head first, durable under its name before any record: a segment without a head is damaged. */
static int establish(struct reclog *l, const struct log_spare *spare, const struct segment_head *h)
{
    uint8_t block[SEGMENT_HEAD];
    char from[LOG_PATH_MOST], to[LOG_PATH_MOST];
    int r;

    segment_head_write(h, block);
    log_spare_path(l, spare->name, from);
    log_segment_path(l, h->number, to);
    r = log_code(disk_write(spare->fd, &(struct iovec){ block, sizeof(block) }, 1, 0));
    if (r == UV_ENOSPC)
        return r;
    if (r == 0)
        r = store_disk->sync(spare->fd);
    if (r == 0 && (r = log_code(store_disk->rename(from, to))) == UV_ENOSPC)
        return r;
    if (r == 0)
        r = store_disk->sync_dir(l->dir);
    if (r < 0)
        atomic_store(&l->failed, true);
    return r < 0 ? UV_EIO : 0;
}

int log_begin_segment(struct reclog *l)
{
    uint64_t first = atomic_load(&l->last) + 1;
    struct log_segment seg = { l->number + 1, .first = first, .begun_ms = clock_wall_ms() };
    struct segment_head head = {
        .number = seg.number, .first = first, .epoch = l->epoch, .begun_ms = seg.begun_ms
    };
    struct log_spare spare;
    int r = log_reserve_segment(l);

    if (r < 0)
        return r;
    memcpy(head.log_id, l->id, sizeof(head.log_id));
    spare = take_prepared(l);
    if (spare.fd < 0 && (r = log_make_spare(l, &spare)) < 0)
        return r;
    if ((r = establish(l, &spare, &head)) < 0) {
        give_back(l, spare);
        return r;
    }
    if (l->fd >= 0)
        store_disk->close(l->fd);
    l->fd = spare.fd;
    l->number = seg.number;
    l->begun_ms = seg.begun_ms;
    l->end = SEGMENT_HEAD;
    l->keys_sealed = false;
    atomic_store(&l->turns, false);
    log_push_segment(l, &seg);
    return 0;
}

/* The newest segment's keys may be sealed already, by a roll that found no room for the next. */
static int roll(struct reclog *l)
{
    int r = 0;

    if (!l->keys_sealed)
        r = keys_seal(l->keys, l->number);
    if (r < 0)
        return r;
    l->keys_sealed = true;
    return log_begin_segment(l);
}

static bool is_full(const struct reclog *l, const struct need *n)
{
    if (l->keys_sealed)
        return true;
    if (l->end == SEGMENT_HEAD)
        return false; /* a group larger than a segment has one for itself */
    if (atomic_load(&l->turns))
        return true;
    if (l->segment_ms && clock_wall_ms() - l->begun_ms > l->segment_ms)
        return true; /* old events go by the segment: what little comes must not keep them */
    return l->end + n->bytes > l->segment_bytes || keys_newest(l->keys) >= LOG_KEYS_MOST;
}

/* ---- append ---- */

int reclog_append(struct reclog *l, struct list *group, struct reclog_result *ret)
{
    struct reclog_result res = { 0 };
    struct need need = measure(group);
    uint64_t started;
    int r = atomic_load(&l->failed) ? UV_EIO : 0;

    reset_results(group);
    if (r == 0 && is_full(l, &need))
        r = roll(l);
    if (r == 0)
        r = make_room(l, &need);
    if (r < 0)
        return r;
    r = put_group(l, group, &res);
    started = clock_mono_us();
    if (r == 0 && l->n_iov)
        r = write_group(l);
    res.commit_us = clock_mono_us() - started;
    if (r < 0) {
        undo_all(l);
        keys_rollback(l->keys);
        reset_results(group);
        return r == UV_EILSEQ ? UV_EIO : r;
    }
    keys_commit(l->keys);
    publish(l);
    *ret = res;
    return 0;
}
