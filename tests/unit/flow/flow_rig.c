#include "flow_rig.h"

#include <ftw.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/digest.h"

/* ---- the adapter ---- */

static struct call *call_new(struct fake *f, enum call_kind kind)
{
    struct call *c = mem_zero(sizeof(*c));

    c->kind = kind;
    list_append(&f->calls, &c->node);
    return c;
}

static void call_over(struct call *c)
{
    list_remove(&c->node);
    free(c);
}

static void note_record(struct call *c, size_t i, const sl_record *r)
{
    snprintf(c->names[i], sizeof(c->names[i]), STR_FMT, STR_ARG(r->delivery));
    snprintf(c->keys[i], sizeof(c->keys[i]), STR_FMT, STR_ARG(r->key));
    c->attempt = r->attempt;
}

static struct call *batch_call(struct fake *f, enum call_kind kind, const sl_batch *b,
                               const sl_done *done)
{
    struct call *c = call_new(f, kind);

    c->batch = b;
    c->done = done;
    c->n = b->n_records;
    for (size_t i = 0; i < c->n && i < 10; i++)
        note_record(c, i, &b->records[i]);
    return c;
}

static void fake_deliver(void *self, void *handle, const sl_batch *b, const sl_done *done)
{
    struct fake *f = self;

    (void)handle;
    f->delivers++;
    f->records += b->n_records;
    for (size_t i = 0; i < b->n_records; i++) {
        size_t at = strlen(f->log);
        snprintf(f->log + at, sizeof(f->log) - at, STR_FMT " ", STR_ARG(b->records[i].delivery));
    }
    struct call *c = batch_call(f, CALL_DELIVER, b, done);
    if (f->auto_kind)
        rig_answer(c, f->auto_kind);
}

static void fake_resume(void *self, void *handle, const sl_batch *b, sl_str token,
                        const sl_done *done)
{
    struct fake *f = self;

    (void)handle;
    f->resumes++;
    struct call *c = batch_call(f, CALL_RESUME, b, done);
    snprintf(c->token, sizeof(c->token), STR_FMT, STR_ARG(token));
}

static void fake_confirm(void *self, void *handle, const sl_record *r, sl_confirm_cb cb, void *ctx)
{
    struct fake *f = self;
    struct call *c = call_new(f, CALL_CONFIRM);

    (void)handle;
    f->confirms++;
    note_record(c, 0, r);
    c->confirmed = cb;
    c->ctx = ctx;
}

static void fake_lookup(void *self, const sl_lookup *what, sl_lookup_cb cb, void *ctx)
{
    struct call *c = call_new(self, CALL_LOOKUP);

    snprintf(c->names[0], sizeof(c->names[0]), STR_FMT, STR_ARG(what->topic));
    snprintf(c->names[1], sizeof(c->names[1]), STR_FMT, STR_ARG(what->subject));
    c->looked_up = cb;
    c->ctx = ctx;
}

static int fake_owns(void *self, sl_str subject)
{
    struct fake *f = self;

    return f->owns && str_eq(subject, str_of(f->owns));
}

uint32_t rig_compares_at_once;
uint64_t rig_compares_bytes;

static void fake_poll(void *self, void *handle, sl_str cursor, const sl_poll_out *out)
{
    struct call *c = call_new(self, CALL_POLL);

    (void)handle;
    snprintf(c->token, sizeof(c->token), STR_FMT, STR_ARG(cursor));
    c->poll = out;
}

/** Topics "none" cannot be had. */
static sl_status fake_can_backfill(const sl_values *settings, const sl_values_api *values,
                                   sl_str topics, sl_fail *fail)
{
    (void)settings;
    (void)values;
    if (!str_eq(topics, STR("none")))
        return SL_OK;
    snprintf(fail->text, sizeof(fail->text), "there are orders and nothing else");
    return SL_E_UNSUPPORTED;
}

static void fake_backfill(void *self, const sl_backfill *what, sl_str cursor,
                          const sl_poll_out *out)
{
    struct call *c = call_new(self, CALL_BACKFILL);

    CHECK(what->since_ms < what->until_ms);
    snprintf(c->token, sizeof(c->token), STR_FMT, STR_ARG(cursor));
    snprintf(c->names[0], sizeof(c->names[0]), STR_FMT, STR_ARG(what->topics));
    c->poll = out;
}

static void fake_compare(void *self, void *handle, const sl_batch *b, const sl_compare_out *out)
{
    struct call *c = call_new(self, CALL_COMPARE);

    (void)handle;
    c->batch = b;
    c->compare = out;
    c->n = b->n_records;
    for (size_t i = 0; i < c->n && i < 10; i++)
        note_record(c, i, &b->records[i]);
}

static void fake_comparing(const void *handle, sl_comparing *ret)
{
    (void)handle;
    CHECK_EQ(ret->size, sizeof(*ret));
    ret->records = rig_compares_at_once;
    ret->bytes = rig_compares_bytes;
}

/** The request is made at once: the callback comes inside prepare(). */
static void fake_prepare(void *self, void *handle, const sl_record *r, sl_prepare_cb cb, void *ctx)
{
    struct fake *f = self;
    char text[64];

    (void)handle;
    f->prepares++;
    if (f->prepares_without_memory) {
        f->prepares_without_memory--;
        cb(ctx, SL_E_NO_MEMORY, STR(""), STR("no memory"));
        return;
    }
    if (r->body.len && r->body.ptr[0] == '!') {
        cb(ctx, SL_E_INVALID, STR(""), STR("cannot be made"));
        return;
    }
    if (r->body.len && r->body.ptr[0] == '=') {
        cb(ctx, SL_OK, r->body, STR(""));
        return;
    }
    snprintf(text, sizeof(text), "request " STR_FMT, STR_ARG(r->key));
    cb(ctx, SL_OK, str_of(text), STR(""));
}

/** What follows '#' in a body. */
static sl_str fake_row_key(void *self, void *handle, sl_str body)
{
    const char *at = body.len ? memchr(body.ptr, '#', body.len) : NULL;

    (void)self;
    (void)handle;
    return at ? (sl_str){ at, body.len - (size_t)(at - body.ptr) } : STR("");
}

unsigned rig_no_memory;

static sl_status fake_describe(void *self, const sl_event *e, const sl_describe_out *out,
                               sl_fail *fail)
{
    char subject[64] = "", version[64] = "", text[160];

    (void)self;
    snprintf(text, sizeof(text), STR_FMT, STR_ARG(e->body));
    sscanf(text, "%63s %63s", subject, version);
    if (!strcmp(subject, "?")) {
        snprintf(fail->text, sizeof(fail->text), "what is this");
        return SL_E_INVALID;
    }
    if (!strcmp(subject, "ref")) {
        sl_ref refs[] = { { STR("po"), str_of(version) }, { STR("po2"), str_of(version) } };
        out->subject(out->ctx, STR(""), STR(""), STR(""), refs, 2);
    } else {
        out->subject(out->ctx, str_of(subject), strcmp(version, "-") ? str_of(version) : STR(""),
                     STR(""), NULL, 0);
    }
    return rig_no_memory && rig_no_memory-- ? SL_E_NO_MEMORY : SL_OK;
}

static sl_status fake_verify(void *self, const sl_head *head, sl_verdict *ret, sl_fail *fail)
{
    sl_verdict v = { .size = sizeof(v), .scheme = SL_SIGNED_HMAC_SHA256, .n_secrets = 2 };

    (void)self;
    (void)fail;
    v.secrets[0] = STR(RIG_SECRET);
    v.secrets[1] = STR(RIG_OLD_SECRET);
    for (size_t i = 0; i < head->n_headers; i++) {
        const sl_header *h = &head->headers[i];
        if (str_eq_nocase(h->name, STR("X-Topic")))
            v.topic = h->value;
        else if (str_eq_nocase(h->name, STR("X-Id")))
            v.sender_id = h->value;
        else if (str_eq_nocase(h->name, STR("X-Sig")) && hex_decode(h->value, v.signature, 32) == 0)
            v.signature_len = 32;
    }
    if (!v.topic.len)
        return SL_E_INVALID;
    *ret = v;
    return SL_OK;
}

static const sl_action actions[] = {
    { .name = "send", .batch_records = 1 },
    { .name = "safe", .batch_records = 1, .flags = SL_ACTION_IDEMPOTENT },
    { .name = "bulk", .batch_records = 10 },
    { .name = "once", .batch_records = 1, .flags = SL_ACTION_ONCE },
    { 0 },
};

static const sl_feed feeds[] = {
    { .name = "live" },
    { .name = "sweep", .flags = SL_FEED_SWEEP },
    { 0 },
};

static const sl_plugin plugin = {
    .size = sizeof(plugin),
    .name = "fake",
    .actions = actions,
    .verify = fake_verify,
    .describe = fake_describe,
    .prepare = fake_prepare,
    .deliver = fake_deliver,
    .resume = fake_resume,
    .confirm = fake_confirm,
    .row_key = fake_row_key,
    .lookup = fake_lookup,
    .owns = fake_owns,
    .feeds = feeds,
    .poll = fake_poll,
    .compare = fake_compare,
    .comparing = fake_comparing,
    .can_backfill = fake_can_backfill,
    .backfill = fake_backfill,
};

void rig_outcome(struct call *c, size_t i, uint32_t kind, int64_t after_ms)
{
    sl_outcome o = {
        .size = sizeof(o), .kind = kind, .after_ms = after_ms, .why = STR("the test")
    };

    c->done->outcome(c->done->ctx, i, &o);
}

void rig_end(struct call *c)
{
    const sl_done *done = c->done;

    call_over(c);
    done->finish(done->ctx);
}

void rig_answer(struct call *c, uint32_t kind)
{
    for (size_t i = 0; i < c->n; i++)
        rig_outcome(c, i, kind, 0);
    rig_end(c);
}

void rig_not_sent(struct call *c, int64_t after_ms)
{
    sl_outcome o = { .size = sizeof(o),
                     .kind = SL_RETRY,
                     .after_ms = after_ms,
                     .not_sent = 1,
                     .why = STR("connection refused") };

    c->done->outcome(c->done->ctx, 0, &o);
    rig_end(c);
}

void rig_confirm(struct call *c, uint32_t verdict)
{
    sl_confirmed a = { .size = sizeof(a), .verdict = verdict, .after_ms = 20 };
    sl_confirm_cb cb = c->confirmed;
    void *ctx = c->ctx;

    call_over(c);
    cb(ctx, &a);
}

void rig_look_up(struct call *c, uint32_t verdict, const char *body)
{
    sl_looked_up a = {
        .size = sizeof(a), .verdict = verdict, .why = STR("the test"), .body = str_of(body)
    };
    sl_lookup_cb cb = c->looked_up;
    void *ctx = c->ctx;

    call_over(c);
    cb(ctx, &a);
}

void rig_compared(struct call *c, const uint32_t *verdicts, sl_status status)
{
    const sl_compare_out *out = c->compare;

    for (size_t i = 0; i < c->n; i++)
        if (verdicts[i])
            out->record(out->ctx, i, verdicts[i], STR("the test"));
    call_over(c);
    out->finish(out->ctx, status, STR("the test"));
}

void rig_polled(struct call *c, sl_status status, int64_t after_ms)
{
    const sl_poll_out *out = c->poll;

    call_over(c);
    out->finish(out->ctx, status, status < 0 ? STR("the test") : STR(""), after_ms);
}

/* ---- life ---- */

static void on_tick(uv_timer_t *t)
{
    (void)t;
}

void rig_init(struct flow_rig *rig)
{
    static const char *const names[] = { "shop", "crm", "other" };

    log_setup(LOG_ERROR, LOG_TEXT);
    *rig = (struct flow_rig){ 0 };
    snprintf(rig->dir, sizeof(rig->dir), "/tmp/sluice-flow-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    uv_loop_init(&rig->loop);
    uv_timer_init(&rig->loop, &rig->tick);
    uv_timer_start(&rig->tick, on_tick, 5, 5);
    for (size_t i = 0; i < RIG_ENDPOINTS; i++) {
        rig->endpoints[i] = (struct conf_endpoint){
            .name = (char *)names[i],
            .adapter = "fake",
            .plugin = &plugin,
            .burst = 1,
            .concurrency = 4,
            .breaker = { .window_ms = 60000,
                         .min_calls = 1000,
                         .failure_percent = 50,
                         .open_ms = 50,
                         .open_max_ms = 100,
                         .probes = 1 },
            .park_probe_ms = 50,
            .confirm_after_ms = 20,
            .confirm_for_ms = 60000,
            .index = i,
        };
        list_init(&rig->fakes[i].calls);
    }
    rig->config = (struct config){
        .window = 100,
        .endpoints = rig->endpoints,
        .n_endpoints = RIG_ENDPOINTS,
        .routes = rig->routes,
    };
}

struct flow_rig *rig_new(void)
{
    struct flow_rig *rig = mem_zero(sizeof(*rig));

    rig_init(rig);
    return rig;
}

struct conf_route *rig_route(struct flow_rig *rig, const char *name, const char *topic,
                             int endpoint, uint32_t action)
{
    size_t i = rig->config.n_routes++;
    struct conf_route *r = &rig->routes[i];

    rig->targets[i] = (struct conf_target){ .kind = TARGET_SEND,
                                            .endpoint = &rig->endpoints[endpoint],
                                            .action = action };
    *r = (struct conf_route){
        .name = mem_str(name),
        .from_endpoint = "shop",
        .topics = mem_array(1, sizeof(char *)),
        .n_topics = 1,
        .targets = &rig->targets[i],
        .n_targets = 1,
        .priority = PRIORITY_NORMAL,
        .ordered = true,
        .once = actions[action].flags & SL_ACTION_ONCE,
        .retry = { .first_ms = 10, .cap_ms = 20, .max_age_ms = 60000 },
        .index = i,
    };
    r->topics[0] = mem_str(topic);
    return r;
}

static void on_notice(void *ctx, const struct notice *n)
{
    ((struct flow_rig *)ctx)->notices[n->kind]++;
}

void rig_up(struct flow_rig *rig)
{
    struct adapter *adapters[RIG_ENDPOINTS];
    struct store_conf conf;
    struct fail fail = { 0 };

    store_defaults(&conf);
    conf.path = rig->dir;
    conf.disk_reserve = 0;
    if (rig->max_queue_bytes)
        conf.max_queue_bytes = rig->max_queue_bytes;
    CHECK_EQ(store_open(&rig->store, &rig->loop, &conf, &fail), 0);
    for (size_t i = 0; i < RIG_ENDPOINTS; i++) {
        rig->adapters[i] = (struct adapter){
            .plugin = &plugin, .self = &rig->fakes[i], .open = true, .conf = &rig->endpoints[i]
        };
        adapters[i] = &rig->adapters[i];
    }
    CHECK_EQ(flow_open(&rig->flow,
                       &(struct flow_conf){ .loop = &rig->loop,
                                            .store = rig->store,
                                            .config = &rig->config,
                                            .adapters = adapters,
                                            .watch = { rig, on_notice },
                                            .seed = 7 },
                       &fail),
             0);
    UNTIL(rig, flow_recovered(rig->flow));
}

static void on_store_closed(void *ctx)
{
    struct flow_rig *rig = ctx;

    flow_destroy(rig->flow);
    rig->done = true;
}

static void calls_over(struct flow_rig *rig)
{
    for (size_t i = 0; i < RIG_ENDPOINTS; i++)
        while (!list_empty(&rig->fakes[i].calls))
            call_over(list_entry(rig->fakes[i].calls.next, struct call, node));
}

void rig_crash(struct flow_rig *rig)
{
    for (size_t i = 0; i < RIG_ENDPOINTS; i++)
        rig->adapters[i].open = false;
    if (rig->late)
        list_remove(&rig->late->node);
    calls_over(rig);
    rig->flow->draining = true;
    rig->done = false;
    store_close(rig->store, on_store_closed, rig);
    if (rig->late)
        rig_answer(rig->late, SL_DELIVERED);
    rig->late = NULL;
    UNTIL(rig, rig->done);
    calls_over(rig); /* begun while the store closed: nobody is there for their answers */
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void rig_finish(struct flow_rig *rig)
{
    rig_crash(rig);
    uv_close((uv_handle_t *)&rig->tick, NULL);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    CHECK_EQ(uv_loop_close(&rig->loop), 0);
    nftw(rig->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    for (size_t i = 0; i < rig->config.n_routes; i++) {
        free(rig->routes[i].name);
        free(rig->routes[i].topics[0]);
        free(rig->routes[i].topics);
    }
}

void rig_destroy(struct flow_rig *rig)
{
    rig_finish(rig);
    free(rig);
}

void rig_turn(struct flow_rig *rig)
{
    uv_run(&rig->loop, UV_RUN_ONCE);
}

/* ---- what the test does ---- */

const char *rig_name(uint64_t num)
{
    static char name[32];

    delivery_name(num, name);
    return name;
}

static void on_event(struct flow *f, struct commit *c, int status)
{
    struct flow_rig *rig = c->ctx;
    struct rec_receipt receipt;

    CHECK_EQ(status, 0);
    rig->last_event = c->records[0].seq;
    rec_receipt_decode(buf_view(&c->records[0].payload), &receipt);
    router_submit(&f->router, event_from_receipt(rig->last_event, &receipt));
    rig->done = true;
}

uint64_t rig_event(struct flow_rig *rig, const char *topic, const char *body)
{
    struct commit *c = commit_new(rig->flow, on_event, rig);
    struct rec_receipt receipt = {
        .origin = EO_WEBHOOK,
        .received_ms = clock_wall_ms(),
        .endpoint = STR("shop"),
        .topic = str_of(topic),
        .body = str_of(body),
    };

    rec_receipt_encode(&commit_record(c, REC_RECEIPT)->payload, &receipt);
    rig->done = false;
    commit_go(c);
    UNTIL(rig, rig->done);
    return delivery_num(rig->last_event, 0);
}

struct call *rig_call(struct flow_rig *rig, int endpoint)
{
    UNTIL(rig, !list_empty(&rig->fakes[endpoint].calls));
    return list_entry(rig->fakes[endpoint].calls.next, struct call, node);
}

bool rig_quiet(struct flow_rig *rig, int endpoint)
{
    uint64_t until = uv_hrtime() / 1000000 + 60;

    while (uv_hrtime() / 1000000 < until && list_empty(&rig->fakes[endpoint].calls))
        rig_turn(rig);
    return list_empty(&rig->fakes[endpoint].calls);
}

static void on_row(void *ctx, int status, const struct store_delivery *d, sl_str body,
                   sl_str request)
{
    struct flow_rig *rig = ctx;

    (void)body;
    rig->done = true;
    rig->stored_request = request.len;
    rig->row = (struct store_delivery){ .state = DS__COUNT };
    if (status < 0)
        return;
    rig->row = *d;
    snprintf(rig->reason, sizeof(rig->reason), STR_FMT, STR_ARG(d->reason));
    snprintf(rig->hold_type, sizeof(rig->hold_type), STR_FMT, STR_ARG(d->hold_type));
    snprintf(rig->endpoint, sizeof(rig->endpoint), STR_FMT, STR_ARG(d->endpoint));
}

enum delivery_state rig_state(struct flow_rig *rig, uint64_t num)
{
    rig->done = false;
    CHECK_EQ(store_delivery_get(rig->store, num, on_row, rig), 0);
    UNTIL(rig, rig->done);
    return rig->row.state;
}

static void on_decided(void *ctx, const struct decided *results, size_t n)
{
    struct flow_rig *rig = ctx;

    CHECK_EQ(n, 1);
    rig->decided = results[0];
    rig->done = true;
}

int rig_decide(struct flow_rig *rig, enum decision what, uint64_t num, const struct decide *more)
{
    struct decide d = more ? *more : (struct decide){ 0 };

    d.what = what;
    d.who = STR("test");
    d.nums = &num;
    d.n = 1;
    rig->done = false;
    CHECK_EQ(flow_decide(rig->flow, &d, on_decided, rig), 0);
    UNTIL(rig, rig->done);
    return rig->decided.status;
}
