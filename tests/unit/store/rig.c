/*
 * rig.c - a real store in a directory of its own, driven step by step.
 */
#include "rig.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/digest.h"

/* ---- life ---- */

void rig_start(struct rig *rig)
{
    *rig = (struct rig){ 0 };
    snprintf(rig->dir, sizeof(rig->dir), "/tmp/sluice-store-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    CHECK_EQ(uv_loop_init(&rig->loop), 0);
    store_defaults(&rig->conf);
    rig->conf.path = rig->dir;
    rig->conf.disk_reserve = 0;
    rig->conf.segment_bytes = 1u << 20;
}

int rig_open(struct rig *rig)
{
    rig->fail = (struct fail){ 0 };
    return store_open(&rig->s, &rig->loop, &rig->conf, &rig->fail);
}

void rig_must_open(struct rig *rig)
{
    int r = rig_open(rig);

    if (r < 0)
        print_error("%s\n", rig->fail.text);
    CHECK_EQ(r, 0);
}

static void on_closed(void *ctx)
{
    ((struct rig *)ctx)->done = true;
}

void rig_wait(struct rig *rig)
{
    while (!rig->done)
        CHECK(uv_run(&rig->loop, UV_RUN_ONCE) || rig->done);
}

void rig_close(struct rig *rig)
{
    rig->done = false;
    store_close(rig->s, on_closed, rig);
    rig_wait(rig);
    rig->s = NULL;
}

void rig_reopen(struct rig *rig)
{
    rig_close(rig);
    rig_must_open(rig);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void rig_finish(struct rig *rig)
{
    if (rig->s)
        rig_close(rig);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    CHECK_EQ(uv_loop_close(&rig->loop), 0);
    nftw(rig->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    buf_finish(&rig->text);
    buf_finish(&rig->body);
    buf_finish(&rig->request);
}

void rig_path(const struct rig *rig, const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", rig->dir, name);
}

/* ---- records ---- */

void add_key(struct store_record *r, const char *name, bool refuse, uint32_t mark_at,
             uint8_t mark_value)
{
    uint8_t hash[DIGEST_SHA256];
    struct store_key *k;

    r->keys = realloc(r->keys, (r->n_keys + 1) * sizeof(*r->keys));
    assert_non_null(r->keys);
    k = &r->keys[r->n_keys++];
    *k = (struct store_key){ .refuse = refuse, .mark_at = mark_at, .mark_value = mark_value };
    digest_sha256(name, strlen(name), hash);
    memcpy(k->hash, hash, sizeof(k->hash));
}

struct store_record encoded(enum record_type type, const void *rec)
{
    struct store_record r = { .type = type };

    switch (type) {
    case REC_RECEIPT:
        rec_receipt_encode(&r.payload, rec);
        break;
    case REC_ROUTED:
        rec_routed_encode(&r.payload, (struct rec_routed *)rec);
        break;
    case REC_SENT:
        rec_sent_encode(&r.payload, rec);
        break;
    case REC_OUTCOME:
    case REC_DECISION:
        rec_moves_encode(&r.payload, rec);
        break;
    case REC_CHECKPOINT:
        rec_checkpoint_encode(&r.payload, rec);
        break;
    case REC_DUPLICATE:
        rec_duplicate_encode(&r.payload, rec);
        break;
    case REC_STATE:
        rec_state_encode(&r.payload, rec);
        break;
    case REC_PRIVACY:
        rec_privacy_encode(&r.payload, rec);
        break;
    case REC_DEADLINE:
        rec_deadlines_encode(&r.payload, rec);
        break;
    case REC_VOID:
        break;
    }
    CHECK(!r.payload.failed);
    return r;
}

struct store_record receipt(const char *endpoint, const char *topic, const char *id,
                            const char *body)
{
    struct store_record r = encoded(REC_RECEIPT, &(struct rec_receipt){
                                                     .origin = EO_WEBHOOK,
                                                     .received_ms = 1700000000000,
                                                     .endpoint = str_of(endpoint),
                                                     .topic = str_of(topic),
                                                     .sender_id = str_of(id),
                                                     .body = str_of(body),
                                                 });
    if (id)
        add_key(&r, id, true, 0, 0);
    return r;
}

struct rec_delivery delivery(uint64_t event, unsigned ordinal, const char *endpoint)
{
    return (struct rec_delivery){
        .num = delivery_num(event, ordinal),
        .id = { (uint8_t)event, (uint8_t)ordinal, 7, (uint8_t)(ordinal >> 8) },
        .state = DS_READY,
        .priority = 2,
        .route = STR("order-to-supplier"),
        .piece = STR("Byron Gears"),
        .endpoint = str_of(endpoint),
        .action = STR("order.submit"),
        .subject = STR("order:acme/1"),
        .body = STR("{\"total\":19.90}"),
    };
}

/* ---- appending ---- */

struct pending {
    struct store_append a;
    struct rig *rig;
};

static void on_appended(struct store_append *a, int status)
{
    struct rig *rig = container_of(a, struct pending, a)->rig;

    rig->status = status;
    rig->done = true;
}

int rig_append(struct rig *rig, struct store_record *r, size_t n)
{
    struct pending p = { .a = { .records = r, .n = n, .cb = on_appended }, .rig = rig };
    int err;

    rig->done = false;
    err = store_append(rig->s, &p.a, false);
    if (err == 0) {
        rig_wait(rig);
        err = rig->status;
    }
    store_append_finish(&p.a);
    return err;
}

uint64_t rig_put(struct rig *rig, struct store_record r)
{
    CHECK_EQ(rig_append(rig, &r, 1), 0);
    CHECK(!r.refused);
    return r.seq;
}

uint64_t rig_receipt(struct rig *rig, const char *endpoint, const char *topic, const char *id,
                     const char *body)
{
    return rig_put(rig, receipt(endpoint, topic, id, body));
}

uint64_t rig_routed(struct rig *rig, uint64_t event, struct rec_delivery *d, size_t n)
{
    struct rec_about about = { .subject = STR("order:acme/1"), .version = STR("v1") };
    struct rec_routed rec = { .event = event,
                              .at_ms = 1700000000100,
                              .abouts = &about,
                              .n_abouts = 1,
                              .deliveries = d,
                              .n_deliveries = n };

    return rig_put(rig, encoded(REC_ROUTED, &rec));
}

uint64_t rig_sent(struct rig *rig, const uint64_t *nums, size_t n, uint32_t attempt)
{
    struct rec_sent_item items[64] = { 0 };
    struct rec_sent rec = { .at_ms = 1700000000200 + attempt,
                            .endpoint = STR("byron"),
                            .route = STR("order-to-supplier"),
                            .items = items,
                            .n_items = n };

    for (size_t i = 0; i < n; i++)
        items[i] = (struct rec_sent_item){
            .num = nums[i], .attempt = attempt, .key = STR("key-0"), .request = STR("frozen")
        };
    return rig_put(rig, encoded(REC_SENT, &rec));
}

uint64_t rig_move(struct rig *rig, struct rec_move m, uint64_t batch)
{
    struct rec_moves rec = {
        .at_ms = 1700000000300, .batch = batch, .who = STR("adapter"), .moves = &m, .n_moves = 1
    };

    return rig_put(rig, encoded(REC_OUTCOME, &rec));
}

/* ---- asking ---- */

static void answered(struct rig *rig, int status)
{
    rig->status = status;
    rig->done = true;
}

static int ask(struct rig *rig, int err)
{
    if (err < 0)
        return err;
    rig_wait(rig);
    return rig->status;
}

static void fresh(struct rig *rig)
{
    rig->done = false;
    rig->n = 0;
    buf_clear(&rig->text);
    buf_clear(&rig->body);
    buf_clear(&rig->request);
}

static void set(struct buf *b, sl_str s)
{
    buf_clear(b);
    buf_str(b, s);
    buf_char(b, '\0');
    b->len--;
}

/* Copy views one by one; the text must not move below them, so it is reserved at once. */
static sl_str keep(struct rig *rig, sl_str s)
{
    size_t at = rig->text.len;

    CHECK(at + s.len < rig->text.cap);
    buf_str(&rig->text, s);
    return (sl_str){ rig->text.data + at, s.len };
}

static void keep_deliveries(struct rig *rig, const struct store_delivery *d, size_t n)
{
    CHECK(n <= 256);
    buf_reserve(&rig->text, 64 << 10);
    rig->n = n;
    for (size_t i = 0; i < n; i++) {
        struct store_delivery *to = &rig->d[i];

        *to = d[i];
        to->route = keep(rig, d[i].route);
        to->piece = keep(rig, d[i].piece);
        to->endpoint = keep(rig, d[i].endpoint);
        to->action = keep(rig, d[i].action);
        to->subject = keep(rig, d[i].subject);
        to->topic = keep(rig, d[i].topic);
        to->hold_type = keep(rig, d[i].hold_type);
        to->reason = keep(rig, d[i].reason);
        to->version = keep(rig, d[i].version);
        to->detail = keep(rig, d[i].detail);
    }
}

static void on_claim(void *ctx, int status, const struct store_delivery *d, size_t n)
{
    keep_deliveries(ctx, d, n);
    answered(ctx, status);
}

int rig_claim(struct rig *rig, const char *endpoint, uint8_t priority, uint64_t after,
              uint32_t limit)
{
    fresh(rig);
    return ask(rig, store_claim(rig->s, str_of(endpoint), priority, after, limit, on_claim, rig));
}

static void on_get(void *ctx, int status, const struct store_delivery *d, sl_str body,
                   sl_str request)
{
    struct rig *rig = ctx;

    if (d)
        keep_deliveries(rig, d, 1);
    set(&rig->body, body);
    set(&rig->request, request);
    answered(rig, status);
}

int rig_get(struct rig *rig, uint64_t num)
{
    fresh(rig);
    return ask(rig, store_delivery_get(rig->s, num, on_get, rig));
}

static void on_event(void *ctx, int status, const struct store_event *e)
{
    struct rig *rig = ctx;

    if (e) {
        rig->event_id = e->id;
        rig->event_deliveries = e->n_deliveries;
        set(&rig->body, e->receipt.body);
    }
    answered(rig, status);
}

int rig_event(struct rig *rig, uint64_t id)
{
    fresh(rig);
    return ask(rig, store_event_get(rig->s, id, on_event, rig));
}

static void on_nums(void *ctx, int status, const uint64_t *nums, size_t n)
{
    struct rig *rig = ctx;

    CHECK(n <= 256);
    if (n)
        memcpy(rig->nums, nums, n * sizeof(*nums));
    rig->n = n;
    answered(rig, status);
}

int rig_unrouted(struct rig *rig, bool waiting)
{
    fresh(rig);
    return ask(rig, store_unrouted(rig->s, waiting, 0, 256, on_nums, rig));
}

int rig_select(struct rig *rig, struct store_filter f)
{
    fresh(rig);
    return ask(rig, store_select(rig->s, &f, on_nums, rig));
}

static void on_links(void *ctx, int status, const sl_str *subjects, size_t n)
{
    struct rig *rig = ctx;

    CHECK_EQ(n, 1);
    set(&rig->text, subjects[0]);
    answered(rig, status);
}

int rig_link(struct rig *rig, struct rec_ref ref)
{
    fresh(rig);
    return ask(rig, store_links(rig->s, &ref, 1, on_links, rig));
}

static void on_states(void *ctx, int status, const struct store_state *states, size_t n)
{
    struct rig *rig = ctx;

    buf_clear(&rig->text);
    for (size_t i = 0; i < n; i++)
        buf_printf(&rig->text, STR_FMT "=" STR_FMT " at %lld by " STR_FMT ": " STR_FMT "\n",
                   STR_ARG(states[i].key), STR_ARG(states[i].value), (long long)states[i].at_ms,
                   STR_ARG(states[i].who), STR_ARG(states[i].why));
    buf_char(&rig->text, '\0');
    rig->n = n;
    answered(rig, status);
}

int rig_state(struct rig *rig, const char *space)
{
    fresh(rig);
    return ask(rig, store_state_list(rig->s, str_of(space), on_states, rig));
}

int rig_state_page(struct rig *rig, const char *space, const char *prefix, const char *after,
                   uint32_t limit)
{
    fresh(rig);
    return ask(rig, store_state_page(rig->s, str_of(space), str_of(prefix), str_of(after), limit,
                                     on_states, rig));
}

static void on_batch(void *ctx, int status, sl_str token, const uint64_t *nums, size_t n)
{
    struct rig *rig = ctx;

    set(&rig->text, token);
    on_nums(rig, status, nums, n);
}

int rig_batch(struct rig *rig, uint64_t batch)
{
    fresh(rig);
    return ask(rig, store_batch_get(rig->s, batch, on_batch, rig));
}

static void on_report(void *ctx, int status, sl_str json)
{
    set(&((struct rig *)ctx)->text, json);
    answered(ctx, status);
}

int rig_report(struct rig *rig, enum store_report what, struct store_filter f)
{
    fresh(rig);
    return ask(rig, store_report(rig->s, what, &f, on_report, rig));
}
