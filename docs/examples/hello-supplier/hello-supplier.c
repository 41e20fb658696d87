/*
 * hello-supplier.c - a complete adapter in one file: a supplier that takes an order by POST and can
 * be asked whether it has one. See docs/plugins.md.
 *
 *   cc -std=c11 -Wall -Wextra -shared -fPIC -fvisibility=hidden -I include \
 *      -o hello-supplier.so docs/examples/hello-supplier/hello-supplier.c
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sluice/sluice.h>

#define TEXT(s)   ((sl_str){ (s), sizeof(s) - 1 })
#define SETTLE_MS 2000 /* how long the supplier's books may be behind */

/* One endpoint. Nothing else may be kept: no globals, since one plugin serves many endpoints. */
struct supplier {
    const sl_host *host;
    sl_str base_url; /* a view, valid as long as the instance */
};

static const sl_option settings[] = {
    { "base_url", SL_OPT_URL, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
      "where the supplier's API begins" },
    { "token", SL_OPT_SECRET, 0, NULL, 0, 0, NULL, "sent as Authorization: Bearer" },
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

/* ---- one HTTP call, for deliver and confirm ---- */

struct call {
    const sl_done *done;     /* deliver */
    sl_confirm_cb confirmed; /* confirm */
    void *confirmed_ctx;
    sl_str key;      /* a view into the record, valid until the end is told */
    int64_t sent_ms; /* when the newest attempt left */
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

    if (!a->error && a->status == 200) {
        answer.verdict = SL_CONFIRM_YES;
        answer.reference = c->key;
    } else if (!a->error && a->status == 404) {
        /* A "no" lets the order go again, so it must not be one that came too early. */
        const sl_host *h = c->supplier->host;
        if (h->wall_ms(h->ctx) - c->sent_ms >= SETTLE_MS)
            answer.verdict = SL_CONFIRM_NO;
    }
    c->confirmed(c->confirmed_ctx, &answer);
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
                            .confirmed_ctx = cb_ctx,
                            .key = r->key,
                            .sent_ms = r->last_sent_ms,
                            .supplier = self };
    sl_str path = { suffix, strlen(suffix) };
    if (!c || start(self, c, "GET", path, (sl_str){ 0 }, on_asked) < 0) {
        free(c);
        cb(cb_ctx, &later);
    }
}

/* ---- the table ---- */

static const sl_plugin plugin = {
    .size = sizeof(plugin),
    .abi_minor = 1,
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
};

SL_EXPORT const sl_plugin *sl_plugin_v0(void)
{
    return &plugin;
}
