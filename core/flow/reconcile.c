#include "flow/reconcile.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/feed.h"
#include "flow/pace.h"

#define STEP       200  /* deliveries that are read at once */
#define MOST       5000 /* that are compared at once, whatever the adapter would take */
#define MOST_BYTES ((uint64_t)16 << 20)
#define QUESTION   ((UINT64_C(1) << 62) - 1) /* its place in the lane's queue of questions */
#define ATTEMPTS   4                         /* of one page */
#define AGAIN_MS   1000                      /* after the first; doubles */

enum reconcile_state { RECONCILE_RUNNING, RECONCILE_DONE, RECONCILE_FAILED };
static const char *const state_names[] = { "running", "done", "failed" };

static const char *const verdict_names[] = { [SL_COMPARED_SAME] = "arrived",
                                             [SL_COMPARED_MISSING] = "missing",
                                             [SL_COMPARED_DIFFERS] = "differs",
                                             [SL_COMPARED_UNSURE] = "unsure" };
#define VERDICTS (SL_COMPARED_UNSURE + 1)

/** One delivery that is not there as it was sent. */
struct finding {
    uint64_t num;
    uint32_t verdict;
    char *subject, *text; /* own */
};

/** One delivery of the page in hand. */
struct compared {
    uint64_t num;
    char name[32];
    char *request; /* own: what was sent */
    size_t request_len;
    uint32_t verdict; /* 0: nothing was said */
    char *text;       /* own */
};

struct reconcile {
    struct flow *flow;
    uint64_t id;
    enum reconcile_state state;
    char *endpoint, *route; /* own */
    int64_t since_ms, until_ms, began_ms, ended_ms;
    uint32_t named; /* findings to keep, at most */
    struct lane *lane;
    struct adapter *adapter;     /* share */
    const struct config *config; /* share: what the target is of */
    const struct conf_target *target;
    uint64_t after;             /* nums beyond this one */
    struct compared *page;      /* own, `most` of them */
    size_t most, n, at;         /* of the page; the one that is read or sifted */
    uint64_t bytes, most_bytes; /* of requests in hand */
    sl_record *records;         /* own, likewise */
    sl_batch batch;
    sl_compare_out out;
    uint32_t attempt;
    uint64_t deliveries, outdated, counts[VERDICTS];
    struct finding *findings; /* own */
    size_t n_findings;
    char *error; /* own */
};

/* ---- its end ---- */

static void page_drop(struct reconcile *x)
{
    for (size_t i = 0; i < x->n; i++) {
        free(x->page[i].request);
        free(x->page[i].text);
        x->page[i] = (struct compared){ 0 };
    }
    x->n = x->at = 0;
    x->bytes = 0;
}

static void let_go(struct reconcile *x)
{
    page_drop(x);
    free(x->page);
    free(x->records);
    x->page = NULL;
    x->records = NULL;
    adapter_unref(x->adapter);
    config_unref(x->config);
    x->adapter = NULL;
    x->config = NULL;
    x->target = NULL;
}

static void reconcile_free(struct reconcile *x)
{
    if (!x)
        return;
    let_go(x);
    for (size_t i = 0; i < x->n_findings; i++) {
        free(x->findings[i].subject);
        free(x->findings[i].text);
    }
    free(x->findings);
    free(x->endpoint);
    free(x->route);
    free(x->error);
    free(x);
}

void reconcile_close(struct flow *f)
{
    reconcile_free(f->reconcile);
    f->reconcile = NULL;
}

static void end(struct reconcile *x, const char *error)
{
    x->state = error ? RECONCILE_FAILED : RECONCILE_DONE;
    x->error = error ? mem_str(error) : NULL;
    x->ended_ms = clock_wall_ms();
    let_go(x);
    log_info(&x->flow->log,
             "reconciliation %s: endpoint=%s route=%s deliveries=%" PRIu64 " missing=%" PRIu64
             " differing=%" PRIu64 "%s%s",
             state_names[x->state], x->endpoint, x->route, x->deliveries,
             x->counts[SL_COMPARED_MISSING], x->counts[SL_COMPARED_DIFFERS], error ? " err=" : "",
             error ? error : "");
}

static bool failed(struct reconcile *x, int status)
{
    if (status >= 0)
        return false;
    end(x, status == UV_ECANCELED ? "the gateway was stopped" : uv_strerror(status));
    return true;
}

static void select_page(struct reconcile *x);

/* ---- SIFT ---- */

static void add_finding(struct reconcile *x, const struct compared *c, sl_str subject)
{
    x->counts[c->verdict]++;
    if (x->n_findings >= x->named)
        return;
    x->findings = mem_grow(x->findings, (x->n_findings + 1) * sizeof(*x->findings));
    x->findings[x->n_findings++] = (struct finding){ .num = c->num,
                                                     .verdict = c->verdict,
                                                     .subject = mem_dup(subject),
                                                     .text = mem_str(c->text ? c->text : "") };
}

static void sift(struct reconcile *x);

static void on_about(void *ctx, int status, const struct store_delivery *d, size_t n)
{
    struct reconcile *x = ctx;
    const struct compared *c = &x->page[x->at];

    if (failed(x, status))
        return;
    if (n && d[0].num > c->num)
        x->outdated++; /* what it wrote was written over, or is about to be */
    else
        add_finding(x, c, n ? d[0].subject : STR(""));
    x->at++;
    sift(x);
}

static void on_row(void *ctx, int status, const struct store_delivery *d, sl_str body,
                   sl_str request)
{
    struct reconcile *x = ctx;
    struct store_about about = { .route = str_of(x->route), .standing = true, .limit = 1 };

    (void)body;
    (void)request;
    if (failed(x, status))
        return;
    about.subject = d->subject;
    about.piece = d->piece;
    failed(x, store_about(x->flow->store, &about, on_about, x));
}

/** Those that are not as they were sent are looked at one by one: they are few. */
static void sift(struct reconcile *x)
{
    for (; x->at < x->n; x->at++) {
        struct compared *c = &x->page[x->at];

        if (!c->verdict)
            c->verdict = SL_COMPARED_UNSURE;
        if (c->verdict == SL_COMPARED_SAME) {
            x->counts[SL_COMPARED_SAME]++;
            continue;
        }
        failed(x, store_delivery_get(x->flow->store, c->num, on_row, x));
        return;
    }
    page_drop(x);
    select_page(x);
}

/* ---- COMPARE ---- */

static void compare(struct reconcile *x);

static void on_again(void *ctx, bool closing)
{
    if (!closing) /* else reconcile_close() frees it */
        compare(ctx);
}

static void on_compared(void *ctx, size_t index, uint32_t verdict, sl_str text)
{
    struct reconcile *x = ctx;

    if (x->state != RECONCILE_RUNNING || index >= x->n || !verdict || verdict >= VERDICTS)
        return;
    x->page[index].verdict = verdict;
    free(x->page[index].text);
    x->page[index].text = mem_dup(text);
}

static void on_finish(void *ctx, sl_status status, sl_str why)
{
    struct reconcile *x = ctx;
    struct buf text = { 0 };

    if (x->state != RECONCILE_RUNNING)
        return;
    if (status == SL_OK) {
        x->attempt = 0;
        sift(x);
        return;
    }
    if (status != SL_E_INVALID && status != SL_E_UNSUPPORTED && status != SL_E_CANCELLED &&
        ++x->attempt < ATTEMPTS) {
        flow_later(x->flow, AGAIN_MS << x->attempt, on_again, x);
        return;
    }
    buf_str(&text, why.len ? why : STR("the adapter gave no reason"));
    end(x, text.data);
    buf_finish(&text);
}

static void fill_records(struct reconcile *x)
{
    for (size_t i = 0; i < x->n; i++) {
        struct compared *c = &x->page[i];

        delivery_name(c->num, c->name);
        x->records[i] = (sl_record){ .size = sizeof(sl_record),
                                     .attempt = 1,
                                     .delivery = str_of(c->name),
                                     .request = { c->request, c->request_len } };
    }
    x->batch = (sl_batch){ .size = sizeof(x->batch), .records = x->records, .n_records = x->n };
    x->out = (sl_compare_out){
        .size = sizeof(x->out), .ctx = x, .record = on_compared, .finish = on_finish
    };
}

static void compare(struct reconcile *x)
{
    struct adapter *a = x->adapter;
    const char *closed = feed_closed_for(x->lane);
    uint64_t wait, began;

    if (closed || !a->open) {
        end(x, closed ? closed : "its endpoint is being closed");
        return;
    }
    wait = pace_question(x->lane, QUESTION, uv_now(x->flow->loop));
    if (wait) {
        flow_later(x->flow, wait, on_again, x);
        return;
    }
    fill_records(x);
    adapter_ref(a);
    began = clock_mono_us();
    a->plugin->compare(a->self, x->target->handle, &x->batch, &x->out);
    adapter_measure(a, began, "compare");
    adapter_unref(a);
}

/* ---- READ, SELECT ---- */

/** The page is full, or the last one: compare it; nothing in it: all is compared. */
static void select_done(struct reconcile *x)
{
    x->at = 0;
    if (x->n > 0)
        compare(x);
    else
        end(x, NULL);
}

static void on_bodies(void *ctx, int status, const struct store_body *b, size_t n)
{
    struct reconcile *x = ctx;

    if (failed(x, status))
        return;
    for (size_t i = 0; i < n; i++) { /* in the order asked for; one may be gone meanwhile */
        struct compared *c = &x->page[x->at];
        sl_str sent = b[i].request.len ? b[i].request : b[i].body;

        for (; x->at < x->n && c->num != b[i].num; c = &x->page[++x->at]) {
            c->verdict = SL_COMPARED_UNSURE;
            c->text = mem_str("what was sent is no longer kept");
        }
        if (x->at == x->n)
            break;
        c->request = mem_dup(sent);
        c->request_len = sent.len;
        x->bytes += sent.len;
        x->at++;
    }
    select_page(x);
}

static void on_nums(void *ctx, int status, const uint64_t *nums, size_t n)
{
    struct reconcile *x = ctx;

    if (failed(x, status))
        return;
    if (x->flow->draining && (n || x->n)) {
        end(x, "the gateway was stopped");
        return;
    }
    if (!n) {
        select_done(x);
        return;
    }
    x->at = x->n;
    for (size_t i = 0; i < n && x->n < x->most; i++)
        x->page[x->n++].num = nums[i];
    x->deliveries += x->n - x->at;
    x->after = x->page[x->n - 1].num;
    failed(x, store_bodies(x->flow->store, nums, x->n - x->at, true, on_bodies, x));
}

static void select_page(struct reconcile *x)
{
    size_t room = x->most - x->n;
    struct store_filter filter = { .state = "delivered",
                                   .endpoint = x->endpoint,
                                   .route = x->route,
                                   .since_ms = x->since_ms,
                                   .until_ms = x->until_ms,
                                   .after = x->after,
                                   .limit = room < STEP ? (uint32_t)room : STEP };

    if (room == 0 || x->bytes >= x->most_bytes)
        select_done(x);
    else
        failed(x, store_select(x->flow->store, &filter, on_nums, x));
}

/* ---- by hand, and what is shown ---- */

/** Where the route sends at this endpoint; NULL with `fail`. */
static const struct conf_target *target_of(struct flow *f, const struct reconcile_ask *ask,
                                           struct lane **ret_lane, struct fail *fail)
{
    const struct conf_route *r = config_route(f->config, str_of(ask->route));
    struct lane *l = flow_lane(f, str_of(ask->endpoint));
    const struct conf_target *t = r && l ? find_target(r, l, STR("")) : NULL;

    *ret_lane = l;
    if (!l)
        fail_set(fail, UV_ENOENT, "there is no endpoint \"%.80s\"", ask->endpoint);
    else if (!r)
        fail_set(fail, UV_ENOENT, "there is no route \"%.80s\"", ask->route);
    else if (!t)
        fail_set(fail, UV_ENOENT, "route %.80s sends nothing to %.80s", ask->route, ask->endpoint);
    else if (!l->adapter || !l->adapter->plugin->compare)
        fail_set(fail, UV_EINVAL, "adapter %s cannot compare what was sent with what is there",
                 l->conf->adapter);
    else
        return t;
    return NULL;
}

/** Room for as many as the adapter takes at once. */
static void make_room(struct reconcile *x)
{
    sl_comparing how = { .size = sizeof(how) };

    if (SL_HAS(sl_plugin, x->adapter->plugin, comparing))
        x->adapter->plugin->comparing(x->target->handle, &how);
    x->most = how.records < STEP ? STEP : how.records < MOST ? how.records : MOST;
    x->most_bytes = how.bytes && how.bytes < MOST_BYTES ? how.bytes : MOST_BYTES;
    x->page = mem_zero(x->most * sizeof(*x->page));
    x->records = mem_zero(x->most * sizeof(*x->records));
}

int flow_reconcile(struct flow *f, const struct reconcile_ask *ask, struct fail *fail)
{
    struct lane *l;
    const struct conf_target *t;
    struct reconcile *x;

    if (f->reconcile && f->reconcile->state == RECONCILE_RUNNING)
        return fail_set(fail, UV_EBUSY, "one is running already, of route %s", f->reconcile->route);
    t = target_of(f, ask, &l, fail);
    if (!t)
        return fail->code;
    const char *closed = f->started ? feed_closed_for(l) : "the gateway is starting";
    if (closed)
        return fail_set(fail, UV_EAGAIN, "it cannot be asked now: %s", closed);
    reconcile_close(f);
    x = mem_zero(sizeof(*x));
    x->flow = f;
    x->id = ++f->reconciles;
    x->endpoint = mem_str(ask->endpoint);
    x->route = mem_str(ask->route);
    x->since_ms = ask->since_ms;
    x->until_ms = ask->until_ms;
    x->named = ask->named;
    x->began_ms = clock_wall_ms();
    x->lane = l;
    x->adapter = adapter_ref(l->adapter);
    x->config = config_ref(f->config);
    x->target = t;
    make_room(x);
    f->reconcile = x;
    select_page(x);
    return 0;
}

static void put_time(struct buf *b, const char *name, int64_t ms)
{
    char text[32];

    clock_format(ms, text);
    buf_printf(b, ms ? ",\"%s\":\"%s\"" : ",\"%s\":null", name, text);
}

static void put_finding(struct buf *b, const struct finding *d)
{
    char name[32];

    delivery_name(d->num, name);
    buf_printf(b, "{\"delivery\":\"%s\",\"what\":\"%s\",\"subject\":", name,
               verdict_names[d->verdict]);
    buf_json_str(b, str_of(d->subject));
    buf_cstr(b, ",\"text\":");
    buf_json_str(b, str_of(d->text));
    buf_char(b, '}');
}

bool flow_reconcile_show(const struct flow *f, struct buf *b)
{
    const struct reconcile *x = f->reconcile;

    if (!x)
        return false;
    buf_printf(b, "{\"id\":%" PRIu64 ",\"state\":\"%s\",\"endpoint\":", x->id,
               state_names[x->state]);
    buf_json_str(b, str_of(x->endpoint));
    buf_cstr(b, ",\"route\":");
    buf_json_str(b, str_of(x->route));
    put_time(b, "since", x->since_ms);
    put_time(b, "until", x->until_ms);
    put_time(b, "began_at", x->began_ms);
    put_time(b, "ended_at", x->ended_ms);
    buf_printf(b,
               ",\"deliveries\":%" PRIu64 ",\"arrived\":%" PRIu64 ",\"missing\":%" PRIu64
               ",\"differing\":%" PRIu64 ",\"unsure\":%" PRIu64 ",\"outdated\":%" PRIu64
               ",\"error\":",
               x->deliveries, x->counts[SL_COMPARED_SAME], x->counts[SL_COMPARED_MISSING],
               x->counts[SL_COMPARED_DIFFERS], x->counts[SL_COMPARED_UNSURE], x->outdated);
    if (x->error)
        buf_json_str(b, str_of(x->error));
    else
        buf_cstr(b, "null");
    buf_cstr(b, ",\"findings\":[");
    for (size_t i = 0; i < x->n_findings; i++) {
        buf_cstr(b, i ? "," : "");
        put_finding(b, &x->findings[i]);
    }
    buf_cstr(b, "]}");
    return true;
}
