/*
 * segment.c - the bytes of a segment file.
 */
#include "store/segment.h"

#include <endian.h>
#include <string.h>
#include <uv.h>
#include "base/crc.h"

#define FORMAT    1u
#define FLAG_LAST 1u

static const char magic[8] = "SLUICSEG";

static void put16(uint8_t *p, uint16_t v)
{
    v = htole16(v);
    memcpy(p, &v, sizeof(v));
}

static void put32(uint8_t *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof(v));
}

static void put64(uint8_t *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));
}

static uint16_t get16(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return le16toh(v);
}

static uint32_t get32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static uint64_t get64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

/* ---- head ---- */

void segment_head_write(const struct segment_head *h, uint8_t out[SEGMENT_HEAD])
{
    memset(out, 0, SEGMENT_HEAD);
    memcpy(out, magic, sizeof(magic));
    put32(out + 8, FORMAT);
    put32(out + 12, h->number);
    memcpy(out + 16, h->log_id, sizeof(h->log_id));
    put64(out + 32, h->first);
    put64(out + 40, (uint64_t)h->begun_ms);
    put32(out + 48, h->epoch);
    put32(out + SEGMENT_HEAD - 4, crc32c(0, out, SEGMENT_HEAD - 4));
}

int segment_head_read(const uint8_t in[SEGMENT_HEAD], struct segment_head *ret)
{
    if (memcmp(in, magic, sizeof(magic)) != 0 ||
        get32(in + SEGMENT_HEAD - 4) != crc32c(0, in, SEGMENT_HEAD - 4))
        return UV_EILSEQ;
    if (get32(in + 8) != FORMAT)
        return UV_ENOTSUP;
    ret->number = get32(in + 12);
    memcpy(ret->log_id, in + 16, sizeof(ret->log_id));
    ret->first = get64(in + 32);
    ret->begun_ms = (int64_t)get64(in + 40);
    ret->epoch = get32(in + 48);
    return ret->number == 0 || ret->first == 0 ? UV_EILSEQ : 0;
}

uint32_t segment_seed(const uint8_t log_id[16])
{
    return crc32c(0, log_id, 16);
}

/* ---- records ---- */

const uint8_t *segment_key(const struct segment_record *rec, size_t i, uint64_t *ret_value)
{
    const uint8_t *p = rec->keys + i * SEGMENT_KEY;

    *ret_value = get64(p + 16);
    return p;
}

void segment_key_write(uint8_t *p, size_t i, const uint8_t hash[16], uint64_t value)
{
    p += SEGMENT_FRAME + i * SEGMENT_KEY;
    memcpy(p, hash, 16);
    put64(p + 16, value);
}

static uint32_t check_sum(uint32_t seed, const uint8_t *p, size_t n_keys, sl_str payload)
{
    uint32_t crc = crc32c(seed, p, 4);

    crc = crc32c(crc, p + 8, SEGMENT_FRAME - 8 + n_keys * SEGMENT_KEY);
    return crc32c(crc, payload.ptr, payload.len);
}

void segment_frame_write(uint8_t *p, uint32_t seed, const struct segment_record *rec)
{
    put32(p, (uint32_t)(SEGMENT_FRAME + rec->n_keys * SEGMENT_KEY + rec->payload.len));
    put64(p + 8, rec->seq);
    put32(p + 16, rec->epoch);
    put32(p + 20, rec->back);
    p[24] = rec->type;
    p[25] = rec->last ? FLAG_LAST : 0;
    put16(p + 26, rec->n_keys);
    put32(p + 28, 0);
    put32(p + 4, check_sum(seed, p, rec->n_keys, rec->payload));
}

/* Cheap, so that bytes which are no record cost neither memory nor a check sum. */
static bool plausible(const uint8_t *p, const struct segment_expect *x)
{
    uint64_t seq = get64(p + 8), len = get32(p);
    uint64_t least = SEGMENT_FRAME + (uint64_t)get16(p + 26) * SEGMENT_KEY;

    return seq >= x->least && seq <= x->most && get32(p + 16) >= x->epoch && get32(p + 20) < seq &&
           len >= least && len <= SEGMENT_RECORD_MOST;
}

int segment_read(struct window *w, uint32_t seed, uint64_t off, const struct segment_expect *x,
                 struct segment_record *ret)
{
    const uint8_t *p;
    size_t len, before;
    struct segment_record rec;
    int r = window_get(w, off, SEGMENT_FRAME, &p);

    if (r < 0)
        return r;
    if (!plausible(p, x))
        return UV_EILSEQ;
    len = get32(p);
    if ((r = window_get(w, off, len, &p)) < 0)
        return r;
    rec = (struct segment_record){
        .seq = get64(p + 8),
        .epoch = get32(p + 16),
        .back = get32(p + 20),
        .type = p[24],
        .last = p[25] & FLAG_LAST,
        .n_keys = get16(p + 26),
        .keys = p + SEGMENT_FRAME,
    };
    before = SEGMENT_FRAME + rec.n_keys * SEGMENT_KEY;
    rec.payload = (sl_str){ (const char *)p + before, len - before };
    if (get32(p + 4) != check_sum(seed, p, rec.n_keys, rec.payload))
        return UV_EILSEQ;
    *ret = rec;
    return 0;
}

/* The next place in the window whose bytes may be a record's; NULL: none. Most of what is looked
 * through was never written to: no frame begins with a length of 0. */
static const uint8_t *next_plausible(const uint8_t *p, size_t n, const struct segment_expect *x)
{
    static const uint8_t blank[512];
    const uint8_t *end = p + n;

    while (p + SEGMENT_FRAME <= end)
        if (get32(p) == 0 && p + sizeof(blank) <= end && !memcmp(p, blank, sizeof(blank)))
            p += sizeof(blank);
        else if (plausible(p, x))
            return p;
        else
            p += 8;
    return NULL;
}

int segment_seek(struct window *w, uint32_t seed, uint64_t *off, const struct segment_expect *x,
                 struct segment_record *ret)
{
    uint64_t at = (*off + 7) & ~UINT64_C(7);
    int r = 0;

    for (;;) {
        const uint8_t *p, *found;
        size_t have;

        if ((r = window_get(w, at, SEGMENT_FRAME, &p)) < 0)
            return r;
        have = window_have(w, at);
        found = next_plausible(p, have, x);
        if (!found) {
            at += (have - SEGMENT_FRAME + 8) & ~(size_t)7;
            continue;
        }
        at += (uint64_t)(found - p);
        r = segment_read(w, seed, at, x, ret);
        if (r != UV_EILSEQ && r != UV_EOF) {
            *off = at;
            return r;
        }
        at += 8;
    }
}

int64_t segment_walk(const void *image, size_t n,
                     void (*fn)(void *ctx, const struct segment_record *rec), void *ctx)
{
    struct segment_head head;
    struct segment_record rec;
    struct segment_expect x;
    struct window w;
    uint64_t off = SEGMENT_HEAD;
    int64_t found = 0;
    uint32_t seed;
    int r = n < SEGMENT_HEAD ? UV_EILSEQ : segment_head_read(image, &head);

    if (r < 0)
        return r;
    seed = segment_seed(head.log_id);
    x = (struct segment_expect){ head.first, head.first, head.epoch };
    window_init_bytes(&w, image, n);
    for (;;) {
        r = segment_read(&w, seed, off, &x, &rec);
        if (r == UV_EILSEQ || r == UV_EOF) {
            x.most = UINT64_MAX - 1;
            r = segment_seek(&w, seed, &off, &x, &rec);
        }
        if (r < 0)
            return found;
        if (fn)
            fn(ctx, &rec);
        off += segment_record_bytes(&rec);
        x = (struct segment_expect){ rec.seq + 1, rec.seq + 1, rec.epoch };
        found++;
    }
}
