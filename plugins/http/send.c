/*
 * send.c - the action request.send: add what is secret, send, read the answer.
 *
 * The one question behind every line here: can the remote have acted? If not, the request may go
 * again. If perhaps, it goes again only when a repetition does no harm; else the outcome is unknown
 * and a person decides.
 */
#include "http.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/** One request under way; the host answers it exactly once, at the latest when it closes. */
struct call {
    struct http *h;
    const sl_done *done;
    uint32_t attempt;
};

#define LITERAL(s) ((sl_str){ (s), sizeof(s) - 1 })

/* ---- outcomes ------------------------------------------------------------------------------ */

/* Tell the record's outcome and end the batch. */
static void end(const sl_done *done, const sl_outcome *o)
{
    done->outcome(done->ctx, 0, o);
    done->finish(done->ctx);
}

static void end_plain(const sl_done *done, uint32_t kind, uint32_t not_sent, const char *why)
{
    end(done, &(sl_outcome){ .size = sizeof(sl_outcome),
                             .kind = kind,
                             .not_sent = not_sent,
                             .why = { why, strlen(why) } });
}

static void end_park(struct call *c, const sl_http_answer *a, const char *text)
{
    char why[WHY_SIZE];

    answer_why(a, text, NULL, why);
    c->done->park(c->done->ctx, (sl_str){ why, strlen(why) }, answer_wait(a));
    c->done->finish(c->done->ctx);
}

/* RETRY, THROTTLED, UNKNOWN, and REJECTED without a reason. */
static void end_kind(struct call *c, const sl_http_answer *a, uint32_t kind, const char *text)
{
    int again = kind == SL_RETRY || kind == SL_THROTTLED;
    char why[WHY_SIZE];

    answer_why(a, text, NULL, why);
    end(c->done, &(sl_outcome){ .size = sizeof(sl_outcome),
                                .kind = kind,
                                .after_ms = again ? answer_wait(a) : 0,
                                .status = a->status,
                                .not_sent = kind == SL_RETRY && a->error < 0 && !a->sent,
                                .why = { why, strlen(why) } });
}

/* The remote may have acted: only if a repetition does no harm it is sent again. */
static void end_perhaps(struct call *c, const sl_http_answer *a, const char *text)
{
    end_kind(c, a, c->h->idempotent ? SL_RETRY : SL_UNKNOWN, text);
}

static void end_rejected(struct call *c, const sl_http_answer *a, const char *text)
{
    json_t *root = c->h->has_reason ? answer_parse(a) : NULL;
    char why[WHY_SIZE];

    answer_why(a, text, answer_at(root, c->h->reason), why);
    json_decref(root);
    end(c->done, &(sl_outcome){ .size = sizeof(sl_outcome),
                                .kind = SL_REJECTED,
                                .status = a->status,
                                .why = { why, strlen(why) } });
}

static void end_delivered(struct call *c, const sl_http_answer *a, const char *text,
                          const char *reference)
{
    char why[WHY_SIZE];

    answer_why(a, text, NULL, why);
    end(c->done, &(sl_outcome){ .size = sizeof(sl_outcome),
                                .kind = SL_DELIVERED,
                                .status = a->status,
                                .why = { why, strlen(why) },
                                .reference = { reference, strlen(reference) } });
}

/* An accepted status; does the body say so too, as far as it is asked? */
static void end_accepted(struct call *c, const sl_http_answer *a)
{
    const struct http *h = c->h;
    json_t *root = h->has_ok || h->has_reference ? answer_parse(a) : NULL;
    json_t *ok = h->has_ok ? answer_at(root, h->ok) : NULL;
    int yes = !h->has_ok || json_is_true(ok), no = json_is_false(ok), known;
    char reference[REFERENCE_SIZE] = "";

    known = !h->has_reference || answer_reference(answer_at(root, h->reference), reference);
    json_decref(root);
    if (no)
        end_rejected(c, a, "accepted.ok is false");
    else if (!yes)
        end_perhaps(c, a, "the answer does not hold true at accepted.ok");
    else if (!known)
        end_perhaps(c, a, "the answer holds no id at accepted.reference");
    else
        end_delivered(c, a, "", reference);
}

/* ---- the answer ---------------------------------------------------------------------------- */

/* 503 with Retry-After is no outcome here: the remote says that it does nothing now. */
static void on_meaning(struct call *c, const sl_http_answer *a, struct rest_meaning m)
{
    switch (m.kind) {
    case MEANS_PARK:
        end_park(c, a, m.text);
        break;
    case MEANS_PERHAPS:
        end_perhaps(c, a, m.text);
        break;
    case MEANS_BUSY:
        end_kind(c, a, SL_THROTTLED, m.text);
        break;
    case MEANS_INVALID: /* one request that cannot be made is no reason to park all others */
        end_kind(c, a, SL_REJECTED, "the request cannot be made: see base_url, path, headers");
        break;
    case SL_REJECTED:
        end_rejected(c, a, m.text);
        break;
    default:
        end_kind(c, a, m.kind, m.text);
    }
}

/* What the operator configured stands before what HTTP says in general - but for one case: a
 * remote that honours keys may answer a resend with 409 while it still works on the first. */
static void on_status(struct call *c, const sl_http_answer *a)
{
    const struct http *h = c->h;
    uint32_t status = a->status;

    if (status_in(&h->accepted, status))
        end_accepted(c, a);
    else if (status_in(&h->duplicate, status))
        end_delivered(c, a, "it was there already", "");
    else if (status == 409 && c->attempt > 1 && h->idempotency_header.len > 0)
        end_perhaps(c, a, "the remote knows the key");
    else if (status_in(&h->rejected, status))
        end_rejected(c, a, "");
    else
        on_meaning(c, a, rest_meaning_of_status(a));
}

/* GraphQL says in the body what is left, and refuses for pace there, too: then 1. */
static int on_points(struct call *c, const sl_http_answer *a)
{
    json_t *root = c->h->has_points ? answer_parse(a) : NULL;
    json_t *status = root ? answer_at(root, c->h->points) : NULL;
    int64_t after_ms = 0;
    int throttled;

    budget_of_points(c->h->host, status);
    throttled = budget_throttled(root, status, &after_ms);
    json_decref(root);
    if (throttled)
        end(c->done, &(sl_outcome){ .size = sizeof(sl_outcome),
                                    .kind = SL_THROTTLED,
                                    .after_ms = after_ms,
                                    .status = a->status,
                                    .why = LITERAL("THROTTLED") });
    return throttled;
}

static void on_http(void *ctx, const sl_http_answer *a)
{
    struct call *c = ctx;

    budget_of_headers(c->h->host, a);
    if (a->error < 0)
        on_meaning(c, a, rest_meaning_of_error(a));
    else if (!on_points(c, a))
        on_status(c, a);
    free(c);
}

/* ---- the request --------------------------------------------------------------------------- */

/* The endpoint's headers, the action's, the request's own, and those of the gateway. */
#define ALL_HEADERS (2 * REST_MAX_HEADERS + 5)

struct heads {
    sl_header list[ALL_HEADERS];
    size_t n;
    char timestamp[24];
    char signature[SIGNATURE_SIZE];
};

static int name_same(sl_str a, sl_str b)
{
    return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

/* The first of a name stays: so they are put in order of their rank. */
static void put(struct heads *to, sl_str name, sl_str value)
{
    for (size_t i = 0; i < to->n; i++)
        if (name_same(to->list[i].name, name))
            return;
    to->list[to->n++] = (sl_header){ name, value };
}

static sl_status put_signature(struct heads *to, const struct http *h, sl_str key, sl_str body)
{
    int64_t now_s = h->host->wall_ms(h->host->ctx) / 1000;
    sl_str timestamp = { to->timestamp, 0 };
    sl_status r;

    if (h->n_keys == 0)
        return SL_OK;
    timestamp.len = (size_t)snprintf(to->timestamp, sizeof(to->timestamp), "%" PRId64,
                                     now_s); /* of try */
    r = sign(h->keys, h->n_keys, key, timestamp, body, to->signature);
    put(to, LITERAL("webhook-id"), key);
    put(to, LITERAL("webhook-timestamp"), timestamp);
    put(to, LITERAL("webhook-signature"), (sl_str){ to->signature, strlen(to->signature) });
    return r;
}

/* `key`: for the remote that honours keys; empty: none. `id`: what is signed for. */
static sl_status put_all(struct heads *to, const struct http *h, const struct action *a,
                         const struct request *q, sl_str key, sl_str id)
{
    sl_status r;

    to->n = 0;
    if (h->idempotency_header.len > 0 && key.len > 0)
        put(to, h->idempotency_header, key);
    if ((r = put_signature(to, h, id, q->body)) < 0)
        return r;
    for (size_t i = 0; i < q->n_headers; i++)
        put(to, q->headers[i].name, q->headers[i].value);
    for (size_t i = 0; i < a->headers.n; i++)
        if (!template_is(a->headers.list[i].value))
            put(to, a->headers.list[i].name, a->headers.list[i].value);
    for (size_t i = 0; i < h->headers.n; i++)
        put(to, h->headers.list[i].name, h->headers.list[i].value);
    if (q->body.len > 0)
        put(to, LITERAL("Content-Type"), LITERAL("application/json"));
    return SL_OK;
}

/* Own; NULL: no memory. */
static char *url_of(const struct http *h, sl_str path, size_t *ret_len)
{
    const sl_str parts[] = { h->base_url, h->secret_path, path };
    char *url = malloc(h->base_url.len + h->secret_path.len + path.len + 1);

    *ret_len = 0;
    for (size_t i = 0; url && i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i].len > 0)
            memcpy(url + *ret_len, parts[i].ptr, parts[i].len);
        *ret_len += parts[i].len;
    }
    return url;
}

sl_status question_send(struct http *h, const struct action *a, sl_str method, sl_str path,
                        sl_http_cb cb, void *ctx)
{
    const struct http unsigned_one = { .host = h->host,
                                       .headers = h->headers }; /* no key, no signature: it reads */
    const struct request q = { .method = method };
    struct heads heads;
    sl_http_request r = {
        .size = sizeof(r), .method = method, .headers = heads.list, .max_answer = MAX_ANSWER
    };
    sl_status status = put_all(&heads, &unsigned_one, a, &q, (sl_str){ NULL, 0 },
                               (sl_str){ NULL, 0 });
    size_t len;
    char *url;

    if (status < 0)
        return status;
    url = url_of(h, path, &len);
    if (!url)
        return SL_E_NO_MEMORY;
    r.url = (sl_str){ url, len };
    r.n_headers = heads.n;
    status = h->host->http(h->host->ctx, &r, cb, ctx);
    free(url);
    return status;
}

static sl_status send_whole(struct http *h, const struct request *q, const struct heads *heads,
                            sl_http_cb cb, void *ctx)
{
    sl_http_request r = { .size = sizeof(r),
                          .method = q->method,
                          .headers = heads->list,
                          .n_headers = heads->n,
                          .body = q->body,
                          .max_answer = MAX_ANSWER };
    char *url = url_of(h, q->path, &r.url.len);
    sl_status status;

    if (!url)
        return SL_E_NO_MEMORY;
    r.url.ptr = url;
    status = h->host->http(h->host->ctx, &r, cb, ctx);
    free(url);
    return status;
}

static sl_status call_send(struct call *c, const struct action *a, const struct request *q,
                           sl_str key)
{
    struct heads heads;
    sl_status status = put_all(&heads, c->h, a, q, key, key);

    return status < 0 ? status : send_whole(c->h, q, &heads, on_http, c);
}

sl_status extra_send(struct http *h, const struct action *a, const struct request *q, sl_str id,
                     sl_http_cb cb, void *ctx)
{
    struct heads heads;
    sl_status status = put_all(&heads, h, a, q, (sl_str){ NULL, 0 }, id);

    return status < 0 ? status : send_whole(h, q, &heads, cb, ctx);
}

/* One record a request, as the action's batch_records says. */
void http_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done)
{
    const sl_record *record = batch->records;
    struct request q;
    struct call *c;
    sl_status r;

    if (((const struct action *)handle)->kind == ACTION_CANCEL) {
        http_cancel(self, handle, record, done);
        return;
    }
    if (request_parse(record->request, &q) < 0) {
        end_plain(done, SL_REJECTED, 0, "the frozen request is not one of this adapter");
        return;
    }
    c = malloc(sizeof(*c));
    if (!c) {
        end_plain(done, SL_RETRY, 1, "no memory");
        return;
    }
    *c = (struct call){ self, done, record->attempt };
    r = call_send(c, handle, &q, record->key);
    if (r == SL_OK)
        return;
    free(c);
    /* one request that cannot be made is no reason to park all others */
    if (r == SL_E_INVALID)
        end_plain(done, SL_REJECTED, 0, "the request cannot be made: see base_url, path, headers");
    else
        end_plain(done, SL_RETRY, 1, "the request could not be made now");
}
