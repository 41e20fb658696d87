/*
 * intake.c - a webhook comes in: path, signature, duplicate; durable; answered.
 *
 * Nothing of the body is understood here. The order of checks is size (the server), path, method
 * and head (the adapter's verify), signature over the raw bytes, then the log.
 */
#include "flow/intake.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "flow/state.h"

#define REFUSED_NOTICE_MS 60000

/** A keyed HMAC per secret, made once. */
struct key_ring {
    UT_hash_handle hh;
    struct hmac *hmac;
    size_t len;
    char secret[];
};

struct arrival {
    struct flow *flow;
    struct http_request *req; /* NULL once the peer is gone */
    struct lane *lane;
    bool committing;
    sl_verdict verdict;
};

void intake_finish(struct flow *f)
{
    struct key_ring *k, *tmp;

    HASH_ITER (hh, f->rings, k, tmp) {
        HASH_DEL(f->rings, k);
        hmac_destroy(k->hmac);
        explicit_bzero(k->secret, k->len);
        free(k);
    }
}

static struct hmac *keyed(struct flow *f, sl_str secret)
{
    struct key_ring *k;

    HASH_FIND(hh, f->rings, secret.ptr, secret.len, k);
    if (k)
        return k->hmac;
    k = calloc(1, sizeof(*k) + secret.len);
    if (!k)
        return NULL;
    k->hmac = hmac_create(secret.ptr, secret.len);
    if (!k->hmac) {
        free(k);
        return NULL;
    }
    k->len = secret.len;
    memcpy(k->secret, secret.ptr, secret.len);
    HASH_ADD_KEYPTR(hh, f->rings, k->secret, k->len, k);
    return k->hmac;
}

/* ---- answers ---- */

static void refuse(struct arrival *a, struct http_request *r, int status, const char *text)
{
    static const sl_header again = { { "Retry-After", 11 }, { "10", 2 } };
    struct buf body = { 0 };
    struct http_reply reply = { .status = status, .content_type = "text/plain" };

    buf_printf(&body, "%s\n", text);
    reply.body = buf_view(&body);
    if (status == 503) {
        reply.headers = &again;
        reply.n_headers = 1;
    }
    free(a);
    http_reply(r, &reply);
    buf_finish(&body);
}

static void refuse_full(struct flow *f, struct arrival *a, struct http_request *r, const char *why)
{
    int64_t now = clock_wall_ms();

    f->stats.refused++;
    if (now - f->refused_noticed_ms > REFUSED_NOTICE_MS) {
        f->refused_noticed_ms = now;
        log_error(&f->log, "webhooks are refused with 503: %s", why);
        flow_notice(f, NOTICE_REFUSING, a->lane, NULL, NULL, str_of(why));
    }
    refuse(a, r, 503, "not now, try again");
}

static void acknowledge(struct arrival *a)
{
    const sl_ack *ack = a->lane->adapter->plugin->ack;
    struct http_reply reply = { .status = 200 };

    if (ack) {
        reply.status = (int)ack->status;
        reply.content_type = ack->content_type;
        reply.body = str_of(ack->body);
    }
    if (a->req)
        http_reply(a->req, &reply);
    free(a);
}

/* ---- the head ---- */

/** "/in/acme-shop/rest" -> "acme-shop", "/rest". False: not an intake path. */
static bool split_path(sl_str path, sl_str *endpoint, sl_str *rest)
{
    sl_str prefix = STR("/in/");

    if (!str_starts(path, prefix))
        return false;
    sl_str after = { path.ptr + prefix.len, path.len - prefix.len };
    const char *slash = memchr(after.ptr, '/', after.len);
    endpoint->ptr = after.ptr;
    endpoint->len = slash ? (size_t)(slash - after.ptr) : after.len;
    rest->ptr = after.ptr + endpoint->len;
    rest->len = after.len - endpoint->len;
    return endpoint->len > 0;
}

static void verify_failed(struct flow *f, struct arrival *a, struct http_request *r,
                          sl_status status, sl_fail *fail)
{
    fail->text[sizeof(fail->text) - 1] = 0;
    if (status == SL_E_NOT_FOUND) {
        f->stats.unknown_path++;
        refuse(a, r, 404, "no such path");
    } else if (status == SL_E_UNSUPPORTED) {
        f->stats.malformed++;
        refuse(a, r, 405, "this method is not taken here");
    } else {
        f->stats.malformed++;
        refuse(a, r, 400, fail->text[0] ? fail->text : "malformed");
    }
}

static void on_head(void *ctx, struct http_request *r)
{
    struct flow *f = ctx;
    struct arrival *a = calloc(1, sizeof(*a));
    sl_str endpoint, rest;
    sl_fail fail = { .size = sizeof(fail) };

    f->stats.requests++;
    if (!a) {
        f->stats.refused++;
        http_reply_text(r, 503, "out of memory");
        return;
    }
    a->flow = f;
    a->req = r;
    if (!split_path(http_path(r), &endpoint, &rest) || !(a->lane = flow_lane(f, endpoint)) ||
        !a->lane->adapter->plugin->verify) {
        f->stats.unknown_path++;
        refuse(a, r, 404, "no such endpoint; webhooks go to /in/{endpoint}");
        return;
    }
    if (f->draining) {
        refuse_full(f, a, r, "shutting down");
        return;
    }
    sl_head head = {
        .size = sizeof(head), .method = http_method(r), .rest = rest, .query = http_query(r)
    };
    head.headers = http_headers(r, &head.n_headers);
    a->verdict.size = sizeof(a->verdict);
    const struct adapter *ad = a->lane->adapter;
    uint64_t began = clock_mono_us();
    sl_status status = ad->plugin->verify(ad->self, &head, &a->verdict, &fail);
    adapter_measure(ad, began, "verify");
    if (status < 0) {
        verify_failed(f, a, r, status, &fail);
        return;
    }
    if (a->lane->conf->max_body)
        http_limit_body(r, a->lane->conf->max_body);
    http_set_data(r, a);
}

/* ---- the body is whole ---- */

/** All secrets are tried, always: the time says nothing about which one fits. */
static bool signature_fits(struct arrival *a, sl_str body)
{
    const sl_verdict *v = &a->verdict;
    bool fits = v->scheme == SL_SIGNED_NOT;

    if (fits)
        return true;
    for (size_t i = 0; i < v->n_secrets && i < SL_VERIFY_MAX_SECRETS; i++) {
        uint8_t mac[DIGEST_SHA256];
        struct hmac *h = keyed(a->flow, v->secrets[i]);
        if (!h || hmac_begin(h) < 0)
            continue;
        hmac_update(h, body.ptr, body.len);
        hmac_end(h, mac);
        fits |= digest_equal(mac, sizeof(mac), v->signature, v->signature_len);
    }
    return fits;
}

/** What may be kept of the head: not credentials. */
static void keep_headers(struct buf *out, const struct http_request *r)
{
    static const char *const secret[] = { "authorization", "cookie", "proxy-authorization" };
    size_t n, kept = 0;
    const sl_header *h = http_headers(r, &n);
    sl_header *keep = mem_array(n ? n : 1, sizeof(*keep));

    for (size_t i = 0; i < n; i++) {
        bool drop = false;
        for (size_t k = 0; k < sizeof(secret) / sizeof(secret[0]); k++)
            drop |= str_eq_nocase(h[i].name, str_of(secret[k]));
        if (!drop)
            keep[kept++] = h[i];
    }
    rec_headers_encode(out, keep, kept);
    free(keep);
}

static void on_received(struct flow *f, struct commit *c, int status)
{
    struct arrival *a = c->ctx;
    const struct store_record *rec = &c->records[0];

    if (status < 0) {
        if (a->req)
            refuse_full(f, a, a->req, uv_strerror(status));
        else
            free(a);
        return;
    }
    if (rec->refused) {
        f->stats.duplicates++;
        acknowledge(a);
        return;
    }
    f->stats.received++;
    acknowledge(a); /* first: what reads the event now may be slow, or end the process */
    struct rec_receipt receipt;
    if (rec_receipt_decode(buf_view(&rec->payload), &receipt) == 0)
        router_submit(&f->router, event_from_receipt(rec->seq, &receipt));
}

static void receipt_key(struct store_record *rec, sl_str endpoint, sl_str sender_id)
{
    uint8_t full[DIGEST_SHA256];
    sl_str parts[] = { STR("receipt"), endpoint, sender_id };

    if (!sender_id.len)
        return;
    digest_parts(parts, 3, full);
    rec->keys = mem_array(1, sizeof(*rec->keys));
    rec->n_keys = 1;
    rec->keys[0].refuse = true;
    memcpy(rec->keys[0].hash, full, 16);
}

static void on_end(void *ctx, struct http_request *r)
{
    struct flow *f = ctx;
    struct arrival *a = http_data(r);
    sl_str body = http_body(r);

    if (!signature_fits(a, body)) {
        f->stats.bad_signature++;
        log_debug(&f->log, "bad signature for endpoint %s", a->lane->conf->name);
        refuse(a, r, 401, "signature does not match");
        return;
    }
    struct buf headers = { 0 };
    keep_headers(&headers, r);
    struct rec_receipt receipt = {
        .origin = EO_WEBHOOK,
        .received_ms = clock_wall_ms(),
        .endpoint = str_of(a->lane->conf->name),
        .topic = a->verdict.topic,
        .sender_id = a->verdict.sender_id,
        .headers = buf_view(&headers),
        .body = body,
    };
    struct commit *c = commit_new(f, on_received, a);
    struct store_record *rec = commit_record(c, REC_RECEIPT);
    rec_receipt_encode(&rec->payload, &receipt);
    receipt_key(rec, receipt.endpoint, receipt.sender_id);
    buf_finish(&headers);
    a->committing = true;
    int err = commit_offer(c);
    if (err < 0)
        refuse_full(f, a, r,
                    err == UV_ENOSPC    ? "the disk is nearly full"
                    : err == UV_ENOBUFS ? "the store's queue is full"
                                        : "the store cannot write");
}

static void on_gone(void *ctx, struct http_request *r)
{
    struct arrival *a = http_data(r);

    (void)ctx;
    /* With a commit under way it ends in on_received: the event is taken all the same. */
    if (a && a->committing)
        a->req = NULL;
    else
        free(a);
}

static void on_refused(void *ctx, int status, const char *why)
{
    struct flow *f = ctx;

    (void)why;
    f->stats.requests++;
    if (status == 413)
        f->stats.too_large++;
    else
        f->stats.malformed++;
}

const struct http_handler flow_intake = {
    .on_head = on_head,
    .on_end = on_end,
    .on_gone = on_gone,
    .on_refused = on_refused,
};
