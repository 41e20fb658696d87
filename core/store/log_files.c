/*
 * log_files.c - names of the log's files, the list of its segments and of what is damaged.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "store/log_int.h"

const struct logger log_logger = { .room = "store", .name = "log" };

void log_segment_path(const struct reclog *l, uint32_t number, char out[LOG_PATH_MOST])
{
    snprintf(out, LOG_PATH_MOST, "%s/%010u.seg", l->dir, number);
}

void log_spare_path(const struct reclog *l, uint32_t name, char out[LOG_PATH_MOST])
{
    snprintf(out, LOG_PATH_MOST, "%s/%010u.spare", l->dir, name);
}

int log_code(int r)
{
    return r == -EDQUOT ? UV_ENOSPC : r;
}

/* ---- the list ---- */

int log_reserve_segment(struct reclog *l)
{
    int r = 0;

    uv_mutex_lock(&l->lock);
    if (l->n_segments == l->cap_segments) {
        size_t cap = l->cap_segments ? 2 * l->cap_segments : 64;
        struct log_segment *more = realloc(l->segments, cap * sizeof(*more));

        if (more) {
            l->segments = more;
            l->cap_segments = cap;
        } else {
            r = UV_ENOMEM;
        }
    }
    uv_mutex_unlock(&l->lock);
    return r;
}

void log_push_segment(struct reclog *l, const struct log_segment *seg)
{
    uv_mutex_lock(&l->lock);
    if (l->n_segments)
        l->segments[l->n_segments - 1].last = seg->first - 1;
    l->segments[l->n_segments++] = *seg;
    l->durable_end = SEGMENT_HEAD;
    uv_mutex_unlock(&l->lock);
}

/* Under the lock: the last one that begins at or before `seq`. */
static const struct log_segment *segment_of(const struct reclog *l, uint64_t seq)
{
    size_t low = 0, high = l->n_segments;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (l->segments[mid].first <= seq)
            low = mid + 1;
        else
            high = mid;
    }
    return low ? &l->segments[low - 1] : NULL;
}

bool log_find_segment(struct reclog *l, uint64_t seq, struct log_segment *ret)
{
    const struct log_segment *seg;

    uv_mutex_lock(&l->lock);
    seg = segment_of(l, seq);
    if (seg) {
        *ret = *seg;
        if (seg == &l->segments[l->n_segments - 1])
            ret->last = UINT64_MAX; /* it still grows */
    }
    uv_mutex_unlock(&l->lock);
    return seg != NULL;
}

bool log_segment_limit(struct reclog *l, uint32_t number, uint64_t *ret)
{
    bool found = false;

    uv_mutex_lock(&l->lock);
    if (l->n_segments && number >= l->segments[0].number &&
        number <= l->segments[l->n_segments - 1].number) {
        found = true;
        *ret = number == l->segments[l->n_segments - 1].number ? l->durable_end : UINT32_MAX;
    }
    uv_mutex_unlock(&l->lock);
    return found;
}

uint64_t reclog_first(struct reclog *l)
{
    uint64_t first;

    uv_mutex_lock(&l->lock);
    first = l->segments[0].first;
    uv_mutex_unlock(&l->lock);
    return first;
}

bool reclog_oldest(struct reclog *l, int64_t now_ms, struct reclog_span *ret)
{
    bool sealed;
    size_t i = 1;

    uv_mutex_lock(&l->lock);
    sealed = l->n_segments > 1;
    while (i < l->n_segments && l->segments[i].begun_ms > now_ms)
        i++;
    *ret = (struct reclog_span){ .segment = l->segments[0].number,
                                 .first = l->segments[0].first,
                                 .last = sealed ? l->segments[0].last : 0,
                                 .begun_ms = l->segments[0].begun_ms,
                                 .ended_ms = i < l->n_segments ? l->segments[i].begun_ms
                                                               : INT64_MAX };
    uv_mutex_unlock(&l->lock);
    return sealed;
}

/* The newest of them may have been sealed since: then what follows `last` in it is whole, too. */
int reclog_files(struct reclog *l, uint64_t last, struct reclog_file **ret, size_t *ret_n)
{
    struct reclog_file *files;
    size_t n = 0;

    uv_mutex_lock(&l->lock);
    files = malloc(l->n_segments * sizeof(*files));
    for (size_t i = 0; files && i < l->n_segments; i++)
        if (i == 0 || l->segments[i].first <= last)
            files[n++] = (struct reclog_file){ l->segments[i].number, i + 1 == l->n_segments
                                                                          ? l->durable_end
                                                                          : UINT64_MAX };
    uv_mutex_unlock(&l->lock);
    *ret = files;
    *ret_n = n;
    return files ? 0 : UV_ENOMEM;
}

/* ---- damage ---- */

static bool known_damage(const struct reclog *l, const struct reclog_damage *d)
{
    for (size_t i = 0; i < l->n_damages; i++)
        if (d->first >= l->damages[i].first && d->last <= l->damages[i].last)
            return true;
    return false;
}

void log_add_damage(struct reclog *l, const struct reclog_damage *d)
{
    bool news;

    uv_mutex_lock(&l->lock);
    news = l->n_damages < LOG_DAMAGES_MOST && !known_damage(l, d);
    if (news)
        l->damages[l->n_damages++] = *d;
    uv_mutex_unlock(&l->lock);
    if (news)
        log_error(&log_logger,
                  "log is damaged: file=%s/%010u.seg offset=%" PRIu64 " first=%" PRIu64
                  " last=%" PRIu64,
                  l->dir, d->segment, d->offset, d->first, d->last);
}

bool reclog_damage(struct reclog *l, size_t i, struct reclog_damage *ret)
{
    bool found;

    uv_mutex_lock(&l->lock);
    found = i < l->n_damages;
    if (found)
        *ret = l->damages[i];
    uv_mutex_unlock(&l->lock);
    return found;
}

void reclog_stats(struct reclog *l, struct reclog_stats *ret)
{
    struct keys_stats keys;

    keys_stats(l->keys, &keys);
    *ret = (struct reclog_stats){ .last = reclog_last(l), .keys_bytes = keys.bytes };
    uv_mutex_lock(&l->lock);
    ret->first = l->segments[0].first;
    ret->segments = (uint32_t)l->n_segments;
    for (size_t i = 0; i < l->n_damages; i++)
        ret->damaged += l->damages[i].last - l->damages[i].first + 1;
    uv_mutex_unlock(&l->lock);
}
