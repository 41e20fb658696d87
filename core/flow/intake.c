/*
 * intake.c - a webhook comes in: path, signature, duplicate; durable; answered.
 *
 * Nothing of the body is understood here. The order of checks is size (the server), path, room in
 * the store, method and head (the adapter's verify), signature over the raw bytes, then the log.
 *
 * A webhook is one struct arrival and one buffer, the receipt as the log will have it: its head is
 * encoded when it is there, the body's pieces behind it as they come, the log writes that buffer,
 * and the router's event takes it over. No memory for any of it is an answer, never an end.
 */
#include "flow/intake.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/crc.h"
#include "base/digest.h"
#include "flow/key_ring.h"
#include "flow/progress.h"
#include "flow/state.h"
#include "flow/unpack.h"

#define REFUSED_NOTICE_MS 60000
#define REFUSED_SWEEP_MS  10000      /* after a refusal: what was refused is looked for */
#define HEAD_ROOM         256        /* of a receipt, beside its body: what is added to the head */
#define SMALL_BODY        (64 << 10) /* room for so much is made before it is there */
/* Bodies that are not whole yet, all together: the large ones give way first. */
#define ARRIVING_BYTES       (32u << 20)
#define ARRIVING_LARGE_BYTES (24u << 20)
#define SERVED_MOST          64 /* questions that adapters answer, at once */

struct arrival {
    struct flow *flow;
    struct http_request *req; /* NULL once the peer is gone */
    struct lane *lane;
    struct adapter *adapter; /* share: the verdict may hold views into its settings */
    bool asks;               /* no event: a question about one, see progress.h ... */
    bool serves;             /* ... or one that its adapter answers */
    bool committing;         /* or its question is under way */
    bool in_pieces;          /* the body: `macs` have what came of it */
    uint64_t arriving;       /* counted in flow.arriving_bytes */
    uint64_t crc;            /* of the body so far */
    struct rec_receipt_draft draft;
    struct store_append append;
    struct store_record record; /* its payload: the receipt in the making */
    struct store_key key;
    struct unpacked *unpacked; /* own: several events of one request, in place of `record` */
    sl_verdict verdict;
    struct key_mac macs[SL_VERIFY_MAX_SECRETS];
};

/* ---- an arrival's end ---- */

static void arriving(struct arrival *a, uint64_t bytes)
{
    a->flow->arriving_bytes += bytes - a->arriving;
    a->arriving = bytes;
}

static void arrival_free(struct arrival *a)
{
    if (!a)
        return;
    arriving(a, 0);
    for (size_t i = 0; a->in_pieces && i < SL_VERIFY_MAX_SECRETS; i++)
        key_mac_give_back(&a->macs[i]);
    adapter_unref(a->adapter);
    unpacked_free(a->unpacked);
    buf_finish(&a->record.payload);
    buf_finish(&a->record.duplicate);
    free(a);
}

/* ---- answers ---- */

/* Ends the arrival, which may be NULL; `text` may be of it. */
static void refuse(struct arrival *a, struct http_request *r, int status, const char *text)
{
    static const sl_header again = { { "Retry-After", 11 }, { "10", 2 } };
    char line[sizeof(sl_fail) + 1];
    int n = snprintf(line, sizeof(line), "%s\n", text);
    struct http_reply reply = {
        .status = status,
        .content_type = "text/plain",
        .body = { line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1 },
        .headers = &again,
        .n_headers = status == 503,
    };

    arrival_free(a);
    http_reply(r, &reply);
}

/* Told once a minute, whatever comes. */
static void refuse_full(struct flow *f, struct arrival *a, struct lane *l, struct http_request *r,
                        const char *why)
{
    int64_t now = clock_wall_ms();

    f->stats.refused++;
    lane_poll_soon(l, REFUSED_SWEEP_MS);
    if (now - f->refused_noticed_ms > REFUSED_NOTICE_MS) {
        f->refused_noticed_ms = now;
        log_error(&f->log, "webhooks are refused with 503: %s", why);
        flow_notice(f, NOTICE_REFUSING, l, NULL, NULL, str_of(why));
    }
    refuse(a, r, 503, "not now, try again");
}

static const char *why_full(int err)
{
    switch (err) {
    case UV_ENOSPC:
        return "the disk is nearly full";
    case UV_ENOBUFS:
        return "the store's queue is full";
    case UV_EAGAIN:
        return "the disk is too slow: it would take more than 3 s to be durable";
    case UV_ENOMEM:
        return "out of memory";
    case UV_ECANCELED:
        return "shutting down";
    default:
        return "the store cannot write";
    }
}

static void acknowledge(struct arrival *a)
{
    const sl_ack *ack = a->adapter->plugin->ack;
    struct http_reply reply = { .status = 200 };
    struct http_request *r = a->req;

    if (ack) {
        reply.status = (int)ack->status;
        reply.content_type = ack->content_type;
        reply.body = str_of(ack->body);
    }
    if (a->unpacked)
        unpacked_answer(a->unpacked, a->adapter->conf, &reply);
    a->req = NULL;
    if (r)
        http_reply(r, &reply);
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

/* By verify() or unpack(). Its sender may be one that nobody looks at, so it is told here, too:
 * once a minute. */
static void not_taken(struct flow *f, struct arrival *a, struct http_request *r, sl_status status,
                      sl_fail *fail)
{
    int64_t now = clock_wall_ms();

    fail->text[sizeof(fail->text) - 1] = 0;
    if ((status == SL_E_LIMIT || status == SL_E_INVALID) &&
        now - f->malformed_noticed_ms > REFUSED_NOTICE_MS) {
        f->malformed_noticed_ms = now;
        log_warn(&f->log, "%s: a webhook is refused and not kept: %s", a->lane->name,
                 fail->text[0]          ? fail->text
                 : status == SL_E_LIMIT ? "there is too much in it"
                                        : "malformed");
    }
    if (status == SL_E_NOT_FOUND) {
        f->stats.unknown_path++;
        refuse(a, r, 404, "no such path");
    } else if (status == SL_E_UNSUPPORTED) {
        f->stats.malformed++;
        refuse(a, r, 405, "this method is not taken here");
    } else if (status == SL_E_LIMIT) {
        f->stats.too_large++;
        refuse(a, r, 413, fail->text[0] ? fail->text : "there is too much in it");
    } else {
        f->stats.malformed++;
        refuse(a, r, 400, fail->text[0] ? fail->text : "malformed");
    }
}

/** What may be kept of the head: not credentials. */
static bool keeps(sl_str name)
{
    switch (name.len) {
    case 6:
        return !str_eq_nocase(name, STR("cookie"));
    case 13:
        return !str_eq_nocase(name, STR("authorization"));
    case 19:
        return !str_eq_nocase(name, STR("proxy-authorization"));
    default:
        return true;
    }
}

/* All of the receipt that stands before its body. */
static int begin_receipt(struct arrival *a, const sl_head *head)
{
    struct buf *payload = &a->record.payload;
    struct rec_receipt receipt = {
        .origin = EO_WEBHOOK,
        .endpoint = str_of(a->lane->name),
        .topic = a->verdict.topic,
        .sender_id = a->verdict.sender_id,
    };
    uint64_t body = http_body_length(a->req, NULL);
    size_t room = HEAD_ROOM + (body < SMALL_BODY ? (size_t)body : SMALL_BODY);

    for (size_t i = 0; i < head->n_headers; i++)
        room += head->headers[i].name.len + head->headers[i].value.len + 8;
    rec_receipt_begin(&a->draft, payload, &receipt, room);
    for (size_t i = 0; i < head->n_headers; i++)
        if (keeps(head->headers[i].name))
            rec_headers_encode(payload, &head->headers[i], 1);
    rec_receipt_body(&a->draft, payload);
    arriving(a, payload->cap);
    return payload->failed ? UV_ENOMEM : 0;
}

/* The lane that a path names; NULL: none that takes webhooks. */
static struct lane *lane_at(struct flow *f, sl_str path, sl_str *rest)
{
    sl_str endpoint;
    struct lane *l = split_path(path, &endpoint, rest) ? flow_lane(f, endpoint) : NULL;

    return l && l->adapter->plugin->verify ? l : NULL;
}

/* ---- a question about an event ---- */

static bool is_question(const struct lane *l, const sl_head *head)
{
    return l->conf->status_secret && str_starts(head->rest, STR(PROGRESS_PATH)) &&
           (str_eq(head->method, STR("GET")) || str_eq(head->method, STR("HEAD")));
}

static void reply_progress(struct http_request *r, int status, sl_str body)
{
    static const sl_header headers[] = { { { "Cache-Control", 13 }, { "no-store", 8 } },
                                         { { "Retry-After", 11 }, { "2", 1 } } };

    http_reply(r, &(struct http_reply){ .status = status,
                                        .content_type = "application/json",
                                        .body = body,
                                        .headers = headers,
                                        .n_headers = status == 503 ? 2 : 1 });
}

static void on_progress(void *ctx, int status, sl_str body)
{
    struct arrival *a = ctx;
    struct http_request *r = a->req;
    struct flow *f = a->flow;

    arrival_free(a);
    if (r)
        reply_progress(r, status, body);
    f->appends--;
    flow_check_idle(f);
}

/* The question is whole. */
static void ask_progress(struct arrival *a, struct http_request *r)
{
    sl_str endpoint, rest;
    size_t skip = strlen(PROGRESS_PATH);
    int err;

    split_path(http_path(r), &endpoint, &rest);
    err = progress_ask(a->flow, a->adapter->conf, (sl_str){ rest.ptr + skip, rest.len - skip },
                       on_progress, a);
    if (err == 0) {
        a->committing = true;
        a->flow->appends++; /* what the flow's end waits for */
        return;
    }
    arrival_free(a);
    if (err == UV_ENOENT)
        reply_progress(r, 404, STR("{\"error\":\"no such event\"}"));
    else
        reply_progress(r, 503, STR("{\"error\":\"not now, try again\"}"));
}

/* ---- a question that the adapter answers ---- */

static bool is_served(const struct lane *l, const sl_head *head)
{
    return l->adapter->plugin->serve &&
           (str_eq(head->method, STR("GET")) || str_eq(head->method, STR("HEAD")));
}

static void reply_served(struct http_request *r, const sl_served *s)
{
    static const sl_header headers[] = { { { "Cache-Control", 13 }, { "no-store", 8 } },
                                         { { "Retry-After", 11 }, { "5", 1 } } };
    int status = s->status >= 200 && s->status <= 599 ? (int)s->status : 500;

    http_reply(r, &(struct http_reply){ .status = status,
                                        .content_type = s->content_type ? s->content_type
                                                                        : "application/json",
                                        .body = s->body,
                                        .headers = headers,
                                        .n_headers = status == 503 ? 2 : 1 });
}

/* No webhook is lost by it, so nobody is told. */
static void serve_later(struct arrival *a, struct http_request *r)
{
    arrival_free(a);
    reply_served(r, &(sl_served){ .status = 503, .body = STR("{\"error\":\"not now\"}") });
}

static void serve_ends(struct flow *f)
{
    f->serving--;
    f->appends--;
    flow_check_idle(f);
}

static void on_served(void *ctx, const sl_served *s)
{
    struct arrival *a = ctx;
    struct http_request *r = a->req;
    struct flow *f = a->flow;

    arrival_free(a);
    if (r)
        reply_served(r, s);
    serve_ends(f);
}

/* The question is whole. */
static void ask_adapter(struct arrival *a, struct http_request *r)
{
    struct flow *f = a->flow;
    struct adapter *adapter = adapter_ref(a->adapter);
    sl_head head = { .size = sizeof(head), .method = http_method(r), .query = http_query(r) };
    sl_fail fail = { .size = sizeof(fail) };
    sl_str endpoint;
    sl_status status;
    uint64_t began = clock_mono_us();

    split_path(http_path(r), &endpoint, &head.rest);
    head.headers = http_headers(r, &head.n_headers);
    a->committing = true;
    f->appends++; /* what the flow's end waits for */
    f->serving++;
    status = adapter->plugin->serve(adapter->self, &head, on_served, a, &fail); /* a may be gone */
    adapter_measure(adapter, began, "serve");
    adapter_unref(adapter);
    if (status == SL_OK)
        return;
    if (status == SL_E_NO_MEMORY)
        serve_later(a, r);
    else
        not_taken(f, a, r, status, &fail);
    serve_ends(f);
}

static void begin_question(struct arrival *a, struct http_request *r, bool serves)
{
    a->asks = true;
    a->serves = serves;
    http_limit_body(r, 0);
    http_set_data(r, a);
}

static void on_head(void *ctx, struct http_request *r)
{
    struct flow *f = ctx;
    sl_head head = { .size = sizeof(head), .method = http_method(r), .query = http_query(r) };
    struct lane *l = lane_at(f, http_path(r), &head.rest);
    sl_fail fail = { .size = sizeof(fail) };
    struct arrival *a = NULL;
    int err;

    f->stats.requests++;
    if (!l) {
        f->stats.unknown_path++;
        refuse(NULL, r, 404, "no such endpoint; webhooks go to /in/{endpoint}");
        return;
    }
    err = f->draining                           ? UV_ECANCELED
          : f->arriving_bytes >= ARRIVING_BYTES ? UV_ENOBUFS
                                                : store_admits(f->store, http_body_length(r, NULL));
    if (err == 0 && !(a = malloc(sizeof(*a))))
        err = UV_ENOMEM;
    if (err < 0) {
        refuse_full(f, NULL, l, r, why_full(err));
        return;
    }
    *a = (struct arrival){ .flow = f, .req = r, .lane = l, .adapter = adapter_ref(l->adapter) };
    if (is_question(l, &head) || is_served(l, &head)) {
        begin_question(a, r, !is_question(l, &head));
        return;
    }
    head.headers = http_headers(r, &head.n_headers);
    a->verdict.size = sizeof(a->verdict);
    uint64_t began = clock_mono_us();
    sl_status status = l->adapter->plugin->verify(l->adapter->self, &head, &a->verdict, &fail);
    adapter_measure(l->adapter, began, "verify");
    if (status < 0) {
        not_taken(f, a, r, status, &fail);
        return;
    }
    if (l->conf->max_body)
        http_limit_body(r, l->conf->max_body);
    if ((err = begin_receipt(a, &head)) < 0)
        refuse_full(f, a, l, r, why_full(err));
    else
        http_set_data(r, a);
}

/* ---- the body ---- */

static size_t n_secrets(const struct arrival *a)
{
    const sl_verdict *v = &a->verdict;

    if (v->scheme == SL_SIGNED_NOT)
        return 0;
    return v->n_secrets < SL_VERIFY_MAX_SECRETS ? v->n_secrets : SL_VERIFY_MAX_SECRETS;
}

/* The first piece is not all of it: each secret gets a HMAC of this body's own. */
static int begin_pieces(struct arrival *a)
{
    int err = 0;

    a->in_pieces = true;
    for (size_t i = 0; i < n_secrets(a) && err == 0; i++)
        err = key_mac_begin(&a->macs[i], key_ring_of(a->flow, a->verdict.secrets[i]));
    return err;
}

static int take_piece(struct arrival *a, const char *p, size_t n)
{
    struct buf *payload = &a->record.payload;
    size_t have = payload->len - a->draft.body_at;
    bool known;
    int err = 0;

    if (have + n > SMALL_BODY && a->flow->arriving_bytes + n > ARRIVING_LARGE_BYTES)
        return UV_ENOBUFS;
    if (have == 0 && !(http_body_length(a->req, &known) == n && known))
        err = begin_pieces(a);
    for (size_t i = 0; a->in_pieces && err == 0 && i < n_secrets(a); i++)
        hmac_update(a->macs[i].hmac, p, n);
    a->crc = crc64(a->crc, p, n);
    buf_append(payload, p, n);
    arriving(a, payload->cap);
    return payload->failed ? UV_ENOMEM : err;
}

static void on_body(void *ctx, struct http_request *r, const char *p, size_t n)
{
    struct flow *f = ctx;
    struct arrival *a = http_data(r);
    int err = n && !a->asks ? take_piece(a, p, n) : 0;

    if (err < 0)
        refuse_full(f, a, a->lane, r,
                    err == UV_ENOBUFS ? "too many large bodies at once" : why_full(err));
}

/* ---- the body is whole ---- */

/* The body's HMAC under one secret. */
static int mac_end(struct arrival *a, size_t i, uint8_t out[DIGEST_SHA256])
{
    const struct buf *payload = &a->record.payload;
    struct key_ring *ring;

    if (a->in_pieces) {
        hmac_end(a->macs[i].hmac, out);
        return 0;
    }
    ring = key_ring_of(a->flow, a->verdict.secrets[i]);
    if (!ring || hmac_begin(key_ring_hmac(ring)) < 0)
        return UV_ENOMEM;
    hmac_update(key_ring_hmac(ring), payload->data + a->draft.body_at,
                payload->len - a->draft.body_at);
    hmac_end(key_ring_hmac(ring), out);
    return 0;
}

static void count_signed(struct lane *l, size_t secret, size_t n)
{
    l->n_secrets = n;
    l->signed_by[secret].webhooks++;
    l->signed_by[secret].last_ms = clock_wall_ms();
}

/** One secret after the other, until one fits: the time tells the sender of a good signature which
 *  one, and the sender of a bad one nothing. 1, 0 or a code. */
static int signature_fits(struct arrival *a)
{
    const sl_verdict *v = &a->verdict;
    bool fits = v->scheme == SL_SIGNED_NOT;

    for (size_t i = 0; i < n_secrets(a) && !fits; i++) {
        uint8_t mac[DIGEST_SHA256];
        int err = mac_end(a, i, mac);
        if (err < 0)
            return err;
        fits = digest_equal(mac, sizeof(mac), v->signature, v->signature_len);
        if (fits)
            count_signed(a->lane, i, n_secrets(a));
    }
    return fits;
}

/* Answered first: what reads the event now may be slow, or end the process. */
static void taken(struct arrival *a)
{
    struct flow *f = a->flow;

    acknowledge(a);
    for (size_t i = 0; i < a->append.n; i++) {
        struct store_record *rec = &a->append.records[i];
        if (rec->refused) {
            f->stats.duplicates++;
        } else {
            f->stats.received++;
            router_receipt(&f->router, rec->seq, &rec->payload);
        }
    }
    arrival_free(a);
}

static void on_durable(struct store_append *append, int status)
{
    struct arrival *a = container_of(append, struct arrival, append);
    struct flow *f = a->flow;

    f->appends--;
    if (status < 0 && a->req)
        refuse_full(f, a, a->lane, a->req, why_full(status));
    else if (status < 0)
        arrival_free(a);
    else
        taken(a);
    flow_check_idle(f);
}

static int commit(struct arrival *a, struct store_record *records, size_t n)
{
    a->append = (struct store_append){ .records = records, .n = n, .cb = on_durable };
    arriving(a, 0); /* from now on it counts in the store */
    int err = store_append(a->flow->store, &a->append, false);
    if (err < 0)
        return err;
    a->committing = true;
    a->flow->appends++;
    return 0;
}

/* The body is the event. */
static int commit_body(struct arrival *a)
{
    struct store_record *rec = &a->record;
    struct rec_duplicate dup = {
        .received_ms = clock_wall_ms(),
        .body_bytes = rec->payload.len - a->draft.body_at,
        .endpoint = str_of(a->lane->name),
        .topic = a->verdict.topic,
        .sender_id = a->verdict.sender_id,
    };

    rec->type = REC_RECEIPT;
    rec_receipt_end(&a->draft, &rec->payload, dup.received_ms);
    receipt_key(rec, &a->key, &dup, a->crc);
    if (rec->payload.failed || rec->duplicate.failed)
        return UV_ENOMEM;
    return commit(a, rec, 1);
}

static sl_status unpack_body(struct arrival *a, struct http_request *r, sl_fail *fail)
{
    const struct buf *payload = &a->record.payload;
    size_t at = a->draft.body_at, headers = a->draft.headers_at;
    sl_head head = { .size = sizeof(head), .method = http_method(r), .query = http_query(r) };
    struct unpack_in in = {
        .adapter = a->adapter,
        .head = &head,
        .endpoint = str_of(a->lane->name),
        .body = { payload->data + at, payload->len - at },
        .headers = { payload->data + headers, at - REC_LENGTH_BYTES - headers },
    };
    sl_str endpoint;

    split_path(http_path(r), &endpoint, &head.rest);
    head.headers = http_headers(r, &head.n_headers);
    return unpack(&in, &a->unpacked, fail);
}

/* The body holds events, which its adapter tells apart. */
static void commit_events(struct arrival *a, struct http_request *r)
{
    sl_fail fail = { .size = sizeof(fail) };
    sl_status status = unpack_body(a, r, &fail);
    int err = 0;

    if (status < 0 && status != SL_E_NO_MEMORY) {
        not_taken(a->flow, a, r, status, &fail);
        return;
    }
    if (status == SL_OK && a->unpacked->n == 0) {
        acknowledge(a);
        arrival_free(a);
        return;
    }
    buf_finish(&a->record.payload); /* its memory is not counted any more */
    err = status < 0 ? UV_ENOMEM : commit(a, a->unpacked->records, a->unpacked->n);
    if (err < 0)
        refuse_full(a->flow, a, a->lane, r, why_full(err));
}

static void on_end(void *ctx, struct http_request *r)
{
    struct flow *f = ctx;
    struct arrival *a = http_data(r);
    int fits, err;

    if (a->asks) {
        if (!a->serves)
            ask_progress(a, r);
        else if (f->serving < SERVED_MOST)
            ask_adapter(a, r);
        else
            serve_later(a, r);
        return;
    }
    fits = signature_fits(a);
    if (fits == 0) {
        f->stats.bad_signature++;
        a->lane->bad_signatures++;
        log_debug(&f->log, "bad signature for endpoint %s", a->lane->name);
        refuse(a, r, 401, "signature does not match");
        return;
    }
    if (fits > 0 && a->adapter->plugin->unpack) {
        commit_events(a, r);
        return;
    }
    err = fits < 0 ? fits : commit_body(a);
    if (err < 0)
        refuse_full(f, a, a->lane, r, why_full(err));
}

static void on_gone(void *ctx, struct http_request *r)
{
    struct arrival *a = http_data(r);

    (void)ctx;
    /* With a commit under way it ends in on_durable: the event is taken all the same. */
    if (a && a->committing)
        a->req = NULL;
    else
        arrival_free(a);
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
    .on_body = on_body,
    .on_end = on_end,
    .on_gone = on_gone,
    .on_refused = on_refused,
    .streams = true,
};
