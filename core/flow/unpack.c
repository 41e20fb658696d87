/*
 * unpack.c - a request that holds several events, as its adapter tells them apart; see unpack.h.
 *
 * No memory for any of it is an answer, never an end: a peer decides how much there is.
 */
#include "flow/unpack.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/crc.h"
#include "base/digest.h"
#include "flow/progress.h"

#define MAX_EVENTS 1000
#define MAX_BYTES  (16u << 20) /* of their receipts */
#define FIRST_ROOM 16

/* ---- the receipt's key ---- */

/* The sender's id is known by its hash; with it, in place of a second one, that it came again. */
void receipt_key(struct store_record *rec, struct store_key *key, const struct rec_duplicate *dup,
                 uint64_t crc)
{
    uint8_t full[DIGEST_SHA256];
    sl_str parts[] = { STR("receipt"), dup->endpoint, dup->sender_id };

    if (!dup->sender_id.len)
        return;
    digest_parts(parts, 3, full);
    *key = (struct store_key){ .refuse = true, .value = crc };
    memcpy(key->hash, full, sizeof(key->hash));
    rec->keys = key;
    rec->n_keys = 1;
    buf_alloc(&rec->duplicate, 48 + dup->endpoint.len + dup->topic.len + dup->sender_id.len);
    rec_duplicate_encode(&rec->duplicate, dup);
}

/* ---- what the adapter says ---- */

static sl_status fails(struct unpacked *u, sl_status status)
{
    if (u->failed == SL_OK)
        u->failed = status;
    return status;
}

/* For one more. The records point to their keys: those move with them. */
static bool grow(struct unpacked *u)
{
    size_t room = u->room ? 2 * u->room : FIRST_ROOM;
    struct store_record *records;
    struct store_key *keys;

    if (u->n < u->room)
        return true;
    if (!(records = realloc(u->records, room * sizeof(*records))))
        return false;
    u->records = records;
    if (!(keys = realloc(u->keys, room * sizeof(*keys))))
        return false;
    u->keys = keys;
    u->room = room;
    for (size_t i = 0; i < u->n; i++)
        if (records[i].n_keys)
            records[i].keys = &keys[i];
    return true;
}

static sl_status on_event(void *ctx, sl_str topic, sl_str sender_id, sl_str body)
{
    struct unpacked *u = ctx;
    struct rec_receipt receipt = {
        .origin = EO_WEBHOOK,
        .received_ms = u->now_ms,
        .endpoint = u->in->endpoint,
        .topic = topic,
        .sender_id = sender_id,
        .headers = u->in->headers,
        .body = body,
    };
    struct rec_duplicate dup = {
        .received_ms = u->now_ms,
        .body_bytes = body.len,
        .endpoint = u->in->endpoint,
        .topic = topic,
        .sender_id = sender_id,
    };

    if (u->failed != SL_OK)
        return u->failed;
    if (!topic.len)
        return fails(u, SL_E_INVALID);
    u->bytes += u->in->headers.len + topic.len + sender_id.len + body.len;
    if (u->n == MAX_EVENTS || u->bytes > MAX_BYTES)
        return fails(u, SL_E_LIMIT);
    if (!grow(u))
        return fails(u, SL_E_NO_MEMORY);
    struct store_record *rec = &u->records[u->n];
    *rec = (struct store_record){ .type = REC_RECEIPT };
    rec_receipt_encode(&rec->payload, &receipt);
    receipt_key(rec, &u->keys[u->n], &dup, crc64(0, body.ptr, body.len));
    u->n++;
    return rec->payload.failed || rec->duplicate.failed ? fails(u, SL_E_NO_MEMORY) : SL_OK;
}

static sl_status on_answer(void *ctx, const sl_ack *ack)
{
    struct unpacked *u = ctx;

    if (ack->status < 200 || ack->status > 299)
        return fails(u, SL_E_INVALID);
    free(u->content_type);
    free(u->body);
    u->content_type = ack->content_type ? strdup(ack->content_type) : NULL;
    u->body = ack->body ? strdup(ack->body) : NULL;
    u->status = (int)ack->status;
    u->answered = true;
    u->follows = false;
    if ((ack->content_type && !u->content_type) || (ack->body && !u->body))
        return fails(u, SL_E_NO_MEMORY);
    return SL_OK;
}

static sl_status on_follow(void *ctx)
{
    struct unpacked *u = ctx;
    const struct conf_endpoint *e = u->in->adapter->conf;

    if (!e->status_url || !e->status_secret)
        return SL_E_UNSUPPORTED;
    u->follows = true;
    u->answered = false;
    return SL_OK;
}

/* ---- all of it ---- */

sl_status unpack(const struct unpack_in *in, struct unpacked **ret, sl_fail *fail)
{
    const struct adapter *a = in->adapter;
    struct unpacked *u = calloc(1, sizeof(*u));
    sl_unpack_out out = {
        .size = sizeof(out), .ctx = u, .event = on_event, .answer = on_answer, .follow = on_follow
    };
    uint64_t began;
    sl_status status;

    if (!u)
        return SL_E_NO_MEMORY;
    u->in = in;
    u->now_ms = clock_wall_ms();
    began = clock_mono_us();
    status = a->plugin->unpack(a->self, in->head, in->body, &out, fail);
    adapter_measure(a, began, "unpack");
    u->in = NULL; /* it is gone with this call */
    if (u->failed != SL_OK)
        status = u->failed;
    if (status < 0) {
        unpacked_free(u);
        return status;
    }
    *ret = u;
    return SL_OK;
}

void unpacked_free(struct unpacked *u)
{
    if (!u)
        return;
    for (size_t i = 0; i < u->n; i++) {
        buf_finish(&u->records[i].payload);
        buf_finish(&u->records[i].duplicate);
    }
    free(u->records);
    free(u->keys);
    free(u->content_type);
    free(u->body);
    buf_finish(&u->progress);
    free(u);
}

/* The first event, or the one that it repeats. */
static void answer_progress(struct unpacked *u, const struct conf_endpoint *e,
                            struct http_reply *reply)
{
    const struct store_record *rec = &u->records[0];
    struct rec_receipt receipt;
    struct buf url = { 0 };
    bool known = u->n > 0 && e->status_secret &&
                 rec_receipt_decode(buf_view(&rec->payload), &receipt) == 0 &&
                 progress_address(e, rec->refused ? u->keys[0].first : rec->seq, receipt.sender_id,
                                  &url) == 0;

    buf_cstr(&u->progress, "{\"status\":\"accepted\"");
    if (known) {
        buf_cstr(&u->progress, ",\"status_url\":");
        buf_json_str(&u->progress, buf_view(&url));
    }
    buf_char(&u->progress, '}');
    buf_finish(&url);
    reply->status = 202;
    reply->content_type = "application/json";
    reply->body = u->progress.failed ? STR("{\"status\":\"accepted\"}") : buf_view(&u->progress);
}

void unpacked_answer(struct unpacked *u, const struct conf_endpoint *e, struct http_reply *reply)
{
    if (u->follows) {
        answer_progress(u, e, reply);
        return;
    }
    if (!u->answered)
        return;
    reply->status = u->status;
    reply->content_type = u->content_type;
    reply->body = str_of(u->body);
}
