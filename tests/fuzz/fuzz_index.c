/*
 * fuzz_index.c - any records applied to an index: each is taken or refused, and when all are
 * forgotten again the index stands where it stood and answers as before.
 *
 * Input: for each record a byte for its type, two for its length, then its bytes.
 */
#include "fuzz.h"

#include <string.h>
#include <unistd.h>
#include <uv.h>
#include "store/index.h"

#define MAX_RECORDS 32

static struct index *ix;
static uint64_t stood;

static int on_query(struct index *index)
{
    struct query *q = calloc(1, sizeof(*q));
    int status;

    q->type = QUERY_UNROUTED;
    q->limit = 10;
    index_answer(index, q);
    status = q->status;
    query_destroy(q);
    return status;
}

static int apply(uint64_t seq, enum record_type type, sl_str payload)
{
    struct reclog_record rec = { .seq = seq, .pos = seq, .type = type, .payload = payload };

    return index_apply(ix, &rec);
}

/* A few true records, so that those of the input find something to be about. */
static void begin_with_some(void)
{
    struct buf b = { 0 };
    struct rec_delivery d[2] = {
        { .num = delivery_num(1, 0),
          .priority = 2,
          .route = STR("r"),
          .endpoint = STR("e"),
          .action = STR("do"),
          .subject = STR("order/1"),
          .body = STR("{}") },
        { .num = delivery_num(1, 1),
          .state = DS_HELD,
          .route = STR("r"),
          .endpoint = STR("e"),
          .action = STR("do"),
          .hold_type = STR("why"),
          .body = STR("{}") },
    };
    struct rec_sent_item item = { .num = d[0].num, .attempt = 1, .key = STR("k") };

    PROMISE(index_begin(ix) == 0, "begin");
    rec_receipt_encode(&b, &(struct rec_receipt){ .received_ms = 1,
                                                  .endpoint = STR("shop"),
                                                  .topic = STR("a/b"),
                                                  .body = STR("{}") });
    PROMISE(apply(1, REC_RECEIPT, buf_view(&b)) == 0, "receipt");
    buf_clear(&b);
    rec_routed_encode(&b, &(struct rec_routed){ .event = 1, .deliveries = d, .n_deliveries = 2 });
    PROMISE(apply(2, REC_ROUTED, buf_view(&b)) == 0, "routed");
    buf_clear(&b);
    rec_sent_encode(&b,
                    &(struct rec_sent){
                        .endpoint = STR("e"), .route = STR("r"), .items = &item, .n_items = 1 });
    PROMISE(apply(3, REC_SENT, buf_view(&b)) == 0, "sent");
    PROMISE(index_commit(ix) == 0, "commit");
    buf_finish(&b);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static char dir[] = "/tmp/sluice-fuzz-index-XXXXXX";
    struct fail fail = { 0 };
    char path[64];

    (void)argc, (void)argv;
    PROMISE(mkdtemp(dir), "a folder");
    PROMISE(index_open(&ix, dir, NULL, (const uint8_t *)"a log's own name", 1 << 20, &fail) == 0,
            "%s", fail.text);
    begin_with_some();
    stood = index_watermark(ix);
    /* open, but without names: nothing is left when the run ends */
    for (const char *const *name =
             (const char *const[]){ "sluice.db", "sluice.db-wal", "sluice.db-shm", NULL };
         *name; name++) {
        snprintf(path, sizeof(path), "%s/%s", dir, *name);
        unlink(path);
    }
    rmdir(dir);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, data + size };
    uint64_t seq = stood;

    PROMISE(index_begin(ix) == 0, "begin");
    for (int i = 0; i < MAX_RECORDS && in.p < in.end; i++) {
        uint8_t type = take_u8(&in) % 10;
        size_t len = take_u8(&in), left;
        char *payload;
        int r;

        len |= (size_t)take_u8(&in) << 8;
        left = (size_t)(in.end - in.p);
        len = len < left ? len : left;
        payload = malloc(len);
        memcpy(payload, in.p, len);
        in.p += len;
        r = apply(seq + 1, type, (sl_str){ payload, len });
        PROMISE(r == 0 || r == UV_EINVAL, "%s for a record of type %u", uv_err_name(r), type);
        seq += r == 0;
        PROMISE(index_watermark(ix) == seq, "a watermark of %llu",
                (unsigned long long)index_watermark(ix));
        free(payload);
        if (r != 0)
            break;
    }
    PROMISE(on_query(ix) == 0, "a question");
    index_rollback(ix);
    PROMISE(index_watermark(ix) == stood && on_query(ix) == 0, "not as before");
    return 0;
}
