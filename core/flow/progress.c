/*
 * progress.c - see progress.h. An event's deliveries and what they emitted say how it stands: the
 * newest emitted event whose topic ends in /ready or /failed (quote/ready), else a delivery that is
 * dead, else that all of them are delivered, or that no route took it; else it is being worked on.
 */
#include "flow/progress.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "flow/state.h"

#define MAC_BYTES   16
#define MAX_AT_ONCE 64 /* questions; a sender that polls in a hurry waits for its turn */
#define NONE        "{\"error\":\"no such event\"}"
#define NOT_NOW     "{\"error\":\"not now, try again\"}"

struct question {
    struct flow *flow;
    char *endpoint; /* own */
    struct hmac *hmac;
    uint64_t event;
    uint8_t claimed[MAC_BYTES];
    json_t *answer;  /* own: {"status", "why", "updated_at"} */
    uint64_t detail; /* the event whose body says more; 0: none */
    progress_cb cb;
    void *ctx;
};

/* ---- the address --------------------------------------------------------------------------- */

static void mac_of(struct hmac *h, const char *endpoint, uint64_t event, sl_str sender_id,
                   uint8_t ret[DIGEST_SHA256])
{
    char number[24];

    snprintf(number, sizeof(number), "%" PRIu64, event);
    hmac_update(h, "status", sizeof("status")); /* each with its NUL: nothing runs together */
    hmac_update(h, endpoint, strlen(endpoint) + 1);
    hmac_update(h, number, strlen(number) + 1);
    hmac_update(h, sender_id.ptr, sender_id.len);
    hmac_end(h, ret);
}

int progress_address(const struct conf_endpoint *e, uint64_t event, sl_str sender_id,
                     struct buf *to)
{
    struct hmac *h = hmac_create(e->status_secret, strlen(e->status_secret));
    uint8_t mac[DIGEST_SHA256];
    char hex[2 * MAC_BYTES + 1];

    if (!h || hmac_begin(h) < 0) {
        hmac_destroy(h);
        return UV_ENOMEM;
    }
    mac_of(h, e->name, event, sender_id, mac);
    hmac_destroy(h);
    hex_encode(mac, MAC_BYTES, hex);
    buf_printf(to, "%s/in/%s" PROGRESS_PATH "%" PRIu64 "-%s", e->status_url, e->name, event, hex);
    return to->failed ? UV_ENOMEM : 0;
}

/* "1042-0123...": false: nothing that we made. */
static bool parse(sl_str name, uint64_t *ret_event, uint8_t ret_mac[MAC_BYTES])
{
    uint64_t event = 0;
    size_t i = 0;

    for (; i < name.len && i < 19 && name.ptr[i] >= '0' && name.ptr[i] <= '9'; i++)
        event = event * 10 + (uint64_t)(name.ptr[i] - '0');
    if (i == 0 || i == name.len || name.ptr[0] == '0' || name.ptr[i] != '-' ||
        name.len != i + 1 + 2 * MAC_BYTES ||
        hex_decode((sl_str){ name.ptr + i + 1, 2 * MAC_BYTES }, ret_mac, MAC_BYTES) < 0)
        return false;
    *ret_event = event;
    return true;
}

/* ---- the end of a question ----------------------------------------------------------------- */

static void question_free(struct question *q)
{
    if (!q)
        return;
    hmac_destroy(q->hmac);
    json_decref(q->answer);
    free(q->endpoint);
    free(q);
}

static void end(struct question *q, int status, sl_str body)
{
    q->flow->progress_asked--;
    q->cb(q->ctx, status, body);
    question_free(q);
}

/* The store did not answer. */
static void end_without(struct question *q, int err)
{
    if (err == UV_ENOENT || err == UV_EILSEQ)
        end(q, 404, STR(NONE));
    else
        end(q, 503, STR(NOT_NOW));
}

static void end_with_answer(struct question *q)
{
    char *text = json_dumps(q->answer, JSON_COMPACT);

    if (text)
        end(q, 200, str_of(text));
    else
        end_without(q, UV_ENOMEM);
    free(text);
}

/* ---- how it stands ------------------------------------------------------------------------- */

/* The emitted event tells of itself: its members are the answer's. */
static void on_detail(void *ctx, int status, const struct store_event *e)
{
    struct question *q = ctx;
    json_t *body = status < 0 ? NULL
                              : json_loadb(e->receipt.body.len ? e->receipt.body.ptr : "",
                                           e->receipt.body.len, 0, NULL);

    if (status < 0 && status != UV_ENOENT && status != UV_EILSEQ) {
        end_without(q, status);
        return;
    }
    if (json_is_object(body))
        json_object_update_missing(q->answer, body);
    json_decref(body);
    end_with_answer(q);
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = s ? strlen(s) : 0, m = strlen(end);

    return n > m && strcmp(s + n - m, end) == 0;
}

static const char *text_at(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    return s ? s : "";
}

struct standing {
    bool live, ready;
    bool routed;             /* what it is for is known */
    const json_t *delivered; /* the newest delivery that is */
    const json_t *told;      /* the newest event that says ready, or failed */
    const json_t *dead;      /* the newest delivery that is */
};

static struct standing standing_of(const json_t *report)
{
    const json_t *emitted = json_object_get(report, "emitted");
    const json_t *deliveries = json_object_get(report, "deliveries");
    struct standing s = { 0 };

    for (size_t i = 0; i < json_array_size(emitted); i++) { /* by rising id */
        const json_t *one = json_array_get(emitted, i);
        const char *topic = text_at(one, "topic");

        if (!ends_with(topic, "/ready") && !ends_with(topic, "/failed"))
            continue;
        s.told = one;
        s.ready = ends_with(topic, "/ready");
    }
    for (size_t i = 0; i < json_array_size(deliveries); i++) {
        const json_t *one = json_array_get(deliveries, i);
        const char *state = text_at(one, "state");

        if (strcmp(state, "dead") == 0 || strcmp(state, "discarded") == 0)
            s.dead = one;
        else if (strcmp(state, "delivered") == 0)
            s.delivered = one;
        else if (strcmp(state, "superseded") != 0)
            s.live = true;
    }
    s.routed = strcmp(text_at(report, "routed"), "routed") == 0;
    return s;
}

static json_t *answer_of(const json_t *report, uint64_t *ret_detail)
{
    struct standing s = standing_of(report);
    json_t *answer = json_object();
    const char *status = "processing", *at = text_at(report, "received_at");

    if (s.told && (s.ready || !s.live)) { /* what failed and lives again was replayed */
        status = s.ready ? "ready" : "failed";
        at = text_at(s.told, "received_at");
        *ret_detail = (uint64_t)json_integer_value(json_object_get(s.told, "id"));
    } else if (s.dead && !s.live) {
        status = "failed";
        at = text_at(s.dead, "updated_at");
        json_object_set(answer, "why", json_object_get(s.dead, "reason"));
    } else if (s.delivered && !s.live) { /* its route has no more to say than that it is done */
        status = "ready";
        at = text_at(s.delivered, "updated_at");
    } else if (s.routed && !json_array_size(json_object_get(report, "deliveries"))) {
        status = "failed";
        json_object_set_new(answer, "why", json_string("no route made a delivery of it"));
    }
    json_object_set_new(answer, "status", json_string(status));
    json_object_set_new(answer, "updated_at", json_string(at));
    return answer;
}

static void on_report(void *ctx, int status, sl_str json)
{
    struct question *q = ctx;
    json_t *report = status < 0 ? NULL : json_loadb(json.ptr, json.len, 0, NULL);

    if (status < 0 || !report) {
        end_without(q, status < 0 ? status : UV_ENOMEM);
        return;
    }
    q->answer = answer_of(report, &q->detail);
    json_decref(report);
    if (!q->answer)
        end_without(q, UV_ENOMEM);
    else if (!q->detail)
        end_with_answer(q);
    else if ((status = store_event_get(q->flow->store, q->detail, on_detail, q)) < 0)
        end_without(q, status);
}

/* Nothing is said of an event, not even that it is there, before the address is known to be ours.
 */
static void on_event(void *ctx, int status, const struct store_event *e)
{
    struct question *q = ctx;
    struct store_filter filter = { .id = q->event };
    uint8_t mac[DIGEST_SHA256];

    if (status < 0) {
        end_without(q, status);
        return;
    }
    mac_of(q->hmac, q->endpoint, q->event, e->receipt.sender_id, mac);
    if (!str_eq(e->receipt.endpoint, str_of(q->endpoint)) ||
        !digest_equal(mac, MAC_BYTES, q->claimed, MAC_BYTES))
        end_without(q, UV_ENOENT);
    else if ((status = store_report(q->flow->store, REPORT_EVENT, &filter, on_report, q)) < 0)
        end_without(q, status);
}

int progress_ask(struct flow *f, const struct conf_endpoint *e, sl_str name, progress_cb cb,
                 void *ctx)
{
    struct question *q;
    int err = UV_ENOMEM;

    if (f->progress_asked >= MAX_AT_ONCE)
        return UV_EBUSY;
    q = calloc(1, sizeof(*q));
    if (!q)
        return UV_ENOMEM;
    *q = (struct question){ .flow = f, .cb = cb, .ctx = ctx };
    if (!e->status_secret || !parse(name, &q->event, q->claimed)) {
        err = UV_ENOENT;
        goto out;
    }
    q->endpoint = strdup(e->name);
    q->hmac = hmac_create(e->status_secret, strlen(e->status_secret));
    if (!q->endpoint || !q->hmac || hmac_begin(q->hmac) < 0)
        goto out;
    err = store_event_get(f->store, q->event, on_event, q);
    if (err < 0)
        goto out;
    f->progress_asked++;
    return 0;
out:
    question_free(q);
    return err;
}
