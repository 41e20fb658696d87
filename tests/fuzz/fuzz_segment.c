/*
 * fuzz_segment.c - a segment file of any bytes, and a true one whose bytes were changed here and
 * there: what is read is what was written, record by record, and all that stands before the first
 * change is found.
 *
 * Input: a byte that chooses. 0: the rest is the file. Else the rest is a list of steps, each a
 * byte that says what and a byte that says how much: records are written (1 to 199), then bytes
 * changed (200 and above).
 */
#include "fuzz.h"

#include <string.h>
#include <uv.h>
#include "store/segment.h"

#define MAX_RECORDS 64
#define ROOM        (SEGMENT_HEAD + MAX_RECORDS * 1024)

static uint8_t image[ROOM];

struct written {
    uint64_t at, seq;
    uint32_t epoch;
    uint64_t bytes;
};

struct truth {
    const uint8_t *copy; /* as it was written */
    struct written records[MAX_RECORDS];
    size_t n, end;
    size_t whole;         /* records before the first change */
    size_t read, in_turn; /* found; of these from the beginning without a gap */
    uint64_t last;        /* seq */
};

/* Any bytes: what is found lies within and rises. */
static void on_any(void *ctx, const struct segment_record *rec)
{
    uint64_t *last = ctx;

    PROMISE(rec->seq > *last && rec->back < rec->seq, "seq %llu after %llu",
            (unsigned long long)rec->seq, (unsigned long long)*last);
    PROMISE(within(rec->payload, whole(image, ROOM)), "payload");
    *last = rec->seq;
}

static void on_true(void *ctx, const struct segment_record *rec)
{
    struct truth *t = ctx;
    const uint8_t *frame = rec->keys - SEGMENT_FRAME;
    size_t i = 0;

    while (i < t->n && t->records[i].seq != rec->seq)
        i++;
    PROMISE(i < t->n, "seq %llu was never written", (unsigned long long)rec->seq);
    PROMISE(frame == image + t->records[i].at, "seq %llu at another place",
            (unsigned long long)rec->seq);
    PROMISE(rec->epoch == t->records[i].epoch && segment_record_bytes(rec) == t->records[i].bytes,
            "another frame");
    PROMISE(memcmp(rec->keys, t->copy + t->records[i].at + SEGMENT_FRAME,
                   rec->n_keys * SEGMENT_KEY + rec->payload.len) == 0,
            "other bytes");
    PROMISE(rec->seq > t->last, "not rising");
    t->last = rec->seq;
    t->in_turn += t->read == i && t->in_turn == t->read;
    t->read++;
}

/* One more record: its size, keys, group and epoch by the two bytes. */
static void write_record(struct truth *t, const struct segment_head *head, uint8_t what, uint8_t n)
{
    struct written *w = &t->records[t->n];
    struct segment_record rec = {
        .seq = head->first + t->n,
        .epoch = t->n ? w[-1].epoch + (what == 199) : head->epoch,
        .back = t->n ? (uint32_t)(what % 3 ? 0 : t->n % 4) : 0,
        .type = 1 + what % 8,
        .last = what & 1,
        .n_keys = what % 4,
    };
    uint8_t *p = image + t->end, *payload = p + SEGMENT_FRAME + rec.n_keys * SEGMENT_KEY;

    memset(payload, what, n);
    for (size_t i = 0; i < rec.n_keys; i++)
        segment_key_write(p, i, (const uint8_t *)"0123456789abcdef", n);
    rec.payload = (sl_str){ (const char *)payload, n };
    segment_frame_write(p, segment_seed(head->log_id), &rec);
    *w = (struct written){ t->end, rec.seq, rec.epoch, segment_record_bytes(&rec) };
    t->end += w->bytes;
    t->n++;
}

static size_t change(struct truth *t, uint8_t what, uint8_t n, uint8_t by)
{
    size_t at = SEGMENT_HEAD + ((size_t)(what - 200) << 8 | n) % (t->end - SEGMENT_HEAD);

    image[at] ^= by;
    return by ? at : t->end;
}

static void steps(struct input *in)
{
    static const struct segment_head head = { "a log's own name", 7, 3, 1000, 1 };
    struct truth t = { .end = SEGMENT_HEAD };
    uint8_t *copy;
    size_t first;
    int64_t found;

    memset(image, 0, sizeof(image));
    segment_head_write(&head, image);
    while (in->p < in->end && *in->p < 200 && t.n < MAX_RECORDS) {
        uint8_t what = take_u8(in);

        write_record(&t, &head, what, take_u8(in));
    }
    if (t.n == 0)
        return;
    copy = malloc(t.end);
    memcpy(copy, image, t.end);
    t.copy = copy;
    first = t.end;
    while (in->p < in->end) {
        uint8_t what = take_u8(in), n = take_u8(in);
        size_t at = what >= 200 ? change(&t, what, n, take_u8(in)) : t.end;

        first = at < first ? at : first;
    }
    while (t.whole < t.n && t.records[t.whole].at + t.records[t.whole].bytes <= first)
        t.whole++;
    found = segment_walk(image, t.end, on_true, &t);
    PROMISE(found == (int64_t)t.read && t.in_turn >= t.whole, "%lld found, %zu in turn of %zu",
            (long long)found, t.in_turn, t.whole);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, data + size };
    uint64_t last = 0;
    size_t n;

    if (take_u8(&in) != 0) {
        steps(&in);
        return 0;
    }
    n = rest(&in).len < ROOM ? rest(&in).len : ROOM;
    memcpy(image, in.p, n);
    segment_walk(image, n, on_any, &last);
    return 0;
}
