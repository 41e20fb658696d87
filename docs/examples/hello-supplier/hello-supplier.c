/*
 * hello-supplier.c - a complete adapter in one file: a supplier that takes an order by POST, can be
 * asked whether it has one, and tells by webhook what becomes of it. See docs/plugins.md.
 *
 *   cc -std=c11 -Wall -Wextra -shared -fPIC -fvisibility=hidden -I include \
 *      -o hello-supplier.so docs/examples/hello-supplier/hello-supplier.c
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sluice/sluice.h>

#define TEXT(s)   ((sl_str){ (s), sizeof(s) - 1 })
#define SETTLE_MS 2000 /* how long the supplier's books may be behind */
#define KEY_MAX   32   /* bytes of our keys: [0-9A-Za-z_-]{1,32} */
#define ACCEPTED  "order/accepted"
#define SUBJECT   "supplier-order:" /* and the key under which the order was sent */
#define LINK      "order"           /* kind of the link from that key to the order's own subject */
#define PARCEL    "parcel/"         /* topics of what is told of parcels */

/* One endpoint. Nothing else may be kept: no globals, since one plugin serves many endpoints. */
struct supplier {
    const sl_host *host;
    sl_str base_url, webhook_secret; /* views, valid as long as the instance */
};

static const sl_option settings[] = {
    { "base_url", SL_OPT_URL, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
      "where the supplier's API begins" },
    { "token", SL_OPT_SECRET, 0, NULL, 0, 0, NULL, "sent as Authorization: Bearer" },
    { "webhook_secret", SL_OPT_SECRET, 0, NULL, 0, 0, NULL,
      "with which the supplier signs its webhooks; not given: there are none" },
    { 0 },
};

/* ONCE: a route sends one order for each subject and piece, whatever events match. Not IDEMPOTENT:
 * a second POST would be a second order, so a lost answer is asked for by confirm(). */
static const sl_action actions[] = {
    { .name = "order.submit",
      .flags = SL_ACTION_ONCE,
      .batch_records = 1,
      .help = "submit one order" },
    { 0 },
};

static sl_status hello_open(const sl_host *host, void **ret_self, sl_fail *fail)
{
    struct supplier *s = calloc(1, sizeof(*s));

    (void)fail;
    if (!s)
        return SL_E_NO_MEMORY;
    s->host = host;
    host->values->str(host->settings, "base_url", &s->base_url); /* required: it is there */
    host->values->secret(host->settings, "webhook_secret", 0, &s->webhook_secret);
    *ret_self = s;
    return SL_OK;
}

static void hello_close(void *self)
{
    free(self); /* calls under way were called back before, with SL_E_CANCELLED */
}

/* ---- prepare: the bytes that every attempt sends ---- */

/* Our key becomes the first member of the order, so that the supplier can be asked by it. It needs
 * no escaping: it is [0-9A-Za-z_-]{1,32}. */
static void hello_prepare(void *self, void *handle, const sl_record *r, sl_prepare_cb cb,
                          void *cb_ctx)
{
    (void)self;
    (void)handle;
    if (r->body.len < 3 || r->body.ptr[0] != '{') {
        cb(cb_ctx, SL_E_INVALID, (sl_str){ 0 }, TEXT("the map must give an object with members"));
        return;
    }
    size_t size = r->body.len + r->key.len + 32;
    char *text = malloc(size);
    if (!text) {
        cb(cb_ctx, SL_E_NO_MEMORY, (sl_str){ 0 }, TEXT("out of memory"));
        return;
    }
    int n = snprintf(text, size, "{\"external_id\":\"%.*s\",%.*s", (int)r->key.len, r->key.ptr,
                     (int)r->body.len - 1, r->body.ptr + 1);
    cb(cb_ctx, SL_OK, (sl_str){ text, (size_t)n }, (sl_str){ 0 }); /* copied before it returns */
    free(text);
}

/* ---- one HTTP call, for deliver, confirm and lookup ---- */

struct call {
    const sl_done *done;     /* deliver */
    sl_confirm_cb confirmed; /* confirm */
    sl_lookup_cb looked_up;  /* lookup */
    void *cb_ctx;            /* of the last two */
    sl_str key; /* a view into the record, valid until the end is told; of a lookup into ... */
    char text[KEY_MAX + 1]; /* ... this, a copy: what is looked up is borrowed for the call alone */
    int64_t sent_ms;        /* when the newest attempt left */
    struct supplier *supplier;
};

static sl_status start(struct supplier *s, struct call *c, const char *method, sl_str suffix,
                       sl_str body, sl_http_cb cb)
{
    const sl_host *h = s->host;
    char url[1024], bearer[1024];
    sl_header headers[2] = { { TEXT("Content-Type"), TEXT("application/json") } };
    sl_str token;
    size_t n = 1;

    int len = snprintf(url, sizeof(url), "%.*s/orders%.*s", (int)s->base_url.len, s->base_url.ptr,
                       (int)suffix.len, suffix.ptr);
    if (len < 0 || (size_t)len >= sizeof(url))
        return SL_E_LIMIT;
    if (h->values->secret(h->settings, "token", 0, &token) == SL_OK) {
        int k = snprintf(bearer, sizeof(bearer), "Bearer %.*s", (int)token.len, token.ptr);
        if (k < 0 || (size_t)k >= sizeof(bearer))
            return SL_E_LIMIT;
        headers[n++] = (sl_header){ TEXT("Authorization"), { bearer, (size_t)k } };
    }
    sl_http_request req = {
        .size = sizeof(req),
        .method = { method, strlen(method) },
        .url = { url, (size_t)len },
        .headers = headers,
        .n_headers = n,
        .body = body,
    };
    return h->http(h->ctx, &req, cb, c);
}

/* ---- deliver ---- */

static void finish(const sl_done *done, uint32_t kind, const sl_http_answer *a, sl_str why,
                   sl_str reference)
{
    sl_outcome o = { .size = sizeof(o), .kind = kind, .why = why, .reference = reference };
    sl_link link = { TEXT(LINK), reference }; /* later webhooks that have the key find the order */

    if (kind == SL_DELIVERED) {
        o.links = &link;
        o.n_links = 1;
    }

    if (a) {
        o.status = a->status;
        o.after_ms = a->retry_after_ms > 0 ? a->retry_after_ms : 0;
        o.not_sent = a->error && !a->sent;
    }
    done->outcome(done->ctx, 0, &o);
    done->finish(done->ctx);
}

static void on_submitted(void *ctx, const sl_http_answer *a)
{
    struct call *c = ctx;
    const sl_done *done = c->done;
    sl_str key = c->key;

    free(c);
    if (a->error && !a->sent) {
        finish(done, SL_RETRY, a, a->why, (sl_str){ 0 }); /* not a byte left */
    } else if (a->error) {
        finish(done, SL_UNKNOWN, a, a->why, (sl_str){ 0 });
    } else if (a->status == 200 || a->status == 201) {
        finish(done, SL_DELIVERED, a, TEXT("accepted"), key);
    } else if (a->status == 401 || a->status == 403) {
        done->park(done->ctx, TEXT("the supplier refuses the token"), 0); /* burns no attempt */
        done->finish(done->ctx);
    } else if (a->status == 429) {
        finish(done, SL_THROTTLED, a, TEXT("too fast"), (sl_str){ 0 });
    } else if (a->status >= 400 && a->status < 500) {
        finish(done, SL_REJECTED, a, TEXT("refused for good"), (sl_str){ 0 });
    } else {
        finish(done, SL_UNKNOWN, a, TEXT("an answer that says nothing"), (sl_str){ 0 });
    }
}

static void hello_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done)
{
    const sl_record *r = &batch->records[0]; /* batch_records is 1 */
    struct call *c = calloc(1, sizeof(*c));

    (void)handle;
    if (c) {
        c->done = done;
        c->key = r->key;
    }
    if (!c || start(self, c, "POST", (sl_str){ 0 }, r->request, on_submitted) < 0) {
        free(c);
        finish(done, SL_RETRY, NULL, TEXT("the request could not be made"), (sl_str){ 0 });
    }
}

/* ---- confirm ---- */

static void on_asked(void *ctx, const sl_http_answer *a)
{
    struct call *c = ctx;
    sl_confirmed answer = { .size = sizeof(answer), .verdict = SL_CONFIRM_EARLY };
    sl_link link = { TEXT(LINK), c->key };

    if (!a->error && a->status == 200) {
        answer.verdict = SL_CONFIRM_YES;
        answer.reference = c->key;
        answer.links = &link;
        answer.n_links = 1;
    } else if (!a->error && a->status == 404) {
        /* A "no" lets the order go again, so it must not be one that came too early. */
        const sl_host *h = c->supplier->host;
        if (h->wall_ms(h->ctx) - c->sent_ms >= SETTLE_MS)
            answer.verdict = SL_CONFIRM_NO;
    }
    c->confirmed(c->cb_ctx, &answer);
    free(c);
}

static void hello_confirm(void *self, void *handle, const sl_record *r, sl_confirm_cb cb,
                          void *cb_ctx)
{
    struct call *c = calloc(1, sizeof(*c));
    sl_confirmed later = { .size = sizeof(later), .verdict = SL_CONFIRM_EARLY };
    char suffix[64];

    (void)handle;
    snprintf(suffix, sizeof(suffix), "/@%.*s", (int)r->key.len, r->key.ptr);
    if (c)
        *c = (struct call){ .confirmed = cb,
                            .cb_ctx = cb_ctx,
                            .key = r->key,
                            .sent_ms = r->last_sent_ms,
                            .supplier = self };
    sl_str path = { suffix, strlen(suffix) };
    if (!c || start(self, c, "GET", path, (sl_str){ 0 }, on_asked) < 0) {
        free(c);
        cb(cb_ctx, &later);
    }
}

/* ---- as a source: the supplier's webhooks ---- */

static int is_named(sl_str name, const char *wanted)
{
    return name.len == strlen(wanted) && !strncasecmp(name.ptr, wanted, name.len);
}

static int hex_digit(char c)
{
    const char *at = c ? strchr("0123456789abcdef", c) : NULL;

    return at ? (int)(at - "0123456789abcdef") : -1;
}

/* 32 bytes, or none at all: all bad signatures look alike. */
static size_t decode_hex(sl_str text, uint8_t ret[32])
{
    if (text.len != 64)
        return 0;
    for (size_t i = 0; i < 32; i++) {
        int high = hex_digit(text.ptr[2 * i]), low = hex_digit(text.ptr[2 * i + 1]);
        if (high < 0 || low < 0)
            return 0;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return 32;
}

static sl_status hello_verify(void *self, const sl_head *head, sl_verdict *ret, sl_fail *fail)
{
    struct supplier *s = self;
    sl_verdict v = { .size = sizeof(v), .scheme = SL_SIGNED_HMAC_SHA256, .n_secrets = 1 };

    if (!s->webhook_secret.len)
        return SL_E_NOT_FOUND;
    if (!is_named(head->method, "POST"))
        return SL_E_UNSUPPORTED;
    for (size_t i = 0; i < head->n_headers; i++) {
        const sl_header *h = &head->headers[i];
        if (is_named(h->name, "X-Topic"))
            v.topic = h->value;
        else if (is_named(h->name, "X-Event-Id"))
            v.sender_id = h->value; /* the same on each retry of one webhook */
        else if (is_named(h->name, "X-Signature"))
            v.signature_len = decode_hex(h->value, v.signature);
    }
    if (!v.topic.len || !v.sender_id.len) {
        snprintf(fail->text, sizeof(fail->text), "X-Topic or X-Event-Id is missing");
        return SL_E_INVALID;
    }
    v.secrets[0] = s->webhook_secret; /* the host computes the HMAC, and compares */
    *ret = v;
    return SL_OK;
}

static int is_key_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '-';
}

/* The key under which the order was sent, of the supplier's order: {..., "external_id":"...", ...}.
 * Inside a JSON text every quote has a backslash before it, so the name is found nowhere else; an
 * adapter that reads more than this parses. */
static int find_key(sl_str body, sl_str *ret)
{
    static const char name[] = "\"external_id\"";
    const char *at = body.ptr, *end = body.ptr + body.len;

    while (at < end && ((size_t)(end - at) < strlen(name) || memcmp(at, name, strlen(name)) != 0))
        at++;
    if (at == end)
        return 0;
    for (at += strlen(name); at < end && (*at == ' ' || *at == ':'); at++)
        ;
    if (at == end || *at++ != '"')
        return 0;
    ret->ptr = at;
    while (at < end && is_key_char(*at))
        at++;
    ret->len = (size_t)(at - ret->ptr);
    return at < end && *at == '"' && ret->len > 0 && ret->len <= KEY_MAX;
}

/* What is told of a parcel is about the order that it belongs to, as its shop names it: that is
 * where `to: origin` leads. It waits until the order's own answer has come.
 *
 * Else the event is about the supplier's order. It is accepted once, and that is what its event key
 * says: the webhook, the same webhook under another id, and what lookup() finds are one event. It
 * may be shipped in parts: there the sender's id alone tells one webhook from another. */
static sl_status hello_describe(void *self, const sl_event *ev, const sl_describe_out *out,
                                sl_fail *fail)
{
    char subject[sizeof(SUBJECT) + KEY_MAX];
    sl_str key, none = { 0 };

    (void)self;
    if (!find_key(ev->body, &key)) {
        snprintf(fail->text, sizeof(fail->text), "no order of ours: external_id is missing");
        return SL_E_INVALID;
    }
    if (ev->topic.len > strlen(PARCEL) && !memcmp(ev->topic.ptr, PARCEL, strlen(PARCEL))) {
        sl_ref order = { TEXT(LINK), key };
        out->subject(out->ctx, none, none, none, &order, 1);
        return SL_OK;
    }
    int n = snprintf(subject, sizeof(subject), SUBJECT "%.*s", (int)key.len, key.ptr);
    out->subject(out->ctx, (sl_str){ subject, (size_t)n }, none,
                 is_named(ev->topic, ACCEPTED) ? key : none, NULL, 0); /* copied */
    return SL_OK;
}

/* ---- lookup: what has not come ---- */

/* An order that is there was accepted, whatever has become of it since. Of no other event can that
 * be said: a webhook says what was, and the supplier can only be asked for what is. */
static sl_status hello_can_look_up(const sl_values *values, const sl_values_api *api, sl_str topic,
                                   sl_fail *fail)
{
    (void)values;
    (void)api;
    if (is_named(topic, ACCEPTED))
        return SL_OK;
    snprintf(fail->text, sizeof(fail->text),
             "of this supplier " ACCEPTED " alone can be looked up");
    return SL_E_UNSUPPORTED;
}

static void on_looked_up(void *ctx, const sl_http_answer *a)
{
    struct call *c = ctx;
    sl_looked_up answer = { .size = sizeof(answer), .verdict = SL_LOOKUP_AGAIN };
    sl_str key;

    if (a->error) {
        answer.why = a->why;
    } else if (a->status == 404) { /* final: what waits for it is given up */
        answer.verdict = SL_LOOKUP_NONE;
        answer.why = TEXT("the supplier has no such order");
    } else if (a->status != 200 || !find_key(a->body, &key) || key.len != c->key.len ||
               memcmp(key.ptr, c->key.ptr, key.len) != 0) {
        answer.after_ms = a->retry_after_ms > 0 ? a->retry_after_ms : 0;
        answer.why = TEXT("an answer that says nothing");
    } else { /* the supplier shows an order in the form of its webhooks: describe() reads it next */
        answer.verdict = SL_LOOKUP_FOUND;
        answer.body = a->body;
    }
    c->looked_up(c->cb_ctx, &answer);
    free(c);
}

/* The key in a subject that describe() gave: it goes into a URL, so nothing else may be in it. */
static int key_of(sl_str subject, char ret[KEY_MAX + 1])
{
    const size_t n = strlen(SUBJECT);

    if (subject.len <= n || subject.len > n + KEY_MAX || memcmp(subject.ptr, SUBJECT, n) != 0)
        return 0;
    for (size_t i = n; i < subject.len; i++)
        if (!is_key_char(subject.ptr[i]))
            return 0;
    memcpy(ret, subject.ptr + n, subject.len - n);
    ret[subject.len - n] = '\0';
    return 1;
}

static void not_asked(sl_lookup_cb cb, void *cb_ctx, uint32_t verdict, sl_str why)
{
    cb(cb_ctx, &(sl_looked_up){ .size = sizeof(sl_looked_up), .verdict = verdict, .why = why });
}

static void hello_lookup(void *self, const sl_lookup *what, sl_lookup_cb cb, void *cb_ctx)
{
    struct call *c = calloc(1, sizeof(*c));
    char suffix[KEY_MAX + 3];

    if (!c) {
        not_asked(cb, cb_ctx, SL_LOOKUP_AGAIN, TEXT("out of memory"));
        return;
    }
    *c = (struct call){ .looked_up = cb, .cb_ctx = cb_ctx, .supplier = self };
    if (!key_of(what->subject, c->text)) {
        free(c);
        not_asked(cb, cb_ctx, SL_LOOKUP_NONE, TEXT("it is about no order of this supplier"));
        return;
    }
    c->key = (sl_str){ c->text, strlen(c->text) };
    int n = snprintf(suffix, sizeof(suffix), "/@%s", c->text);
    if (start(self, c, "GET", (sl_str){ suffix, (size_t)n }, (sl_str){ 0 }, on_looked_up) < 0) {
        free(c);
        not_asked(cb, cb_ctx, SL_LOOKUP_AGAIN, TEXT("the question could not be asked"));
    }
}

/* ---- the table ---- */

static const sl_plugin plugin = {
    .size = sizeof(plugin),
    .abi_minor = 1,           /* an older host looks nothing up, and does all else */
    .name = "hello-supplier", /* the file must be called hello-supplier.so */
    .version = "0.1.0",
    .help = "the example of the plugin author's guide",
    .settings = settings,
    .actions = actions,
    .open = hello_open,
    .close = hello_close,
    .prepare = hello_prepare,
    .deliver = hello_deliver,
    .confirm = hello_confirm,
    .verify = hello_verify,
    .describe = hello_describe,
    .can_look_up = hello_can_look_up,
    .lookup = hello_lookup,
};

SL_EXPORT const sl_plugin *sl_plugin_v0(void)
{
    return &plugin;
}
