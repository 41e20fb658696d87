#include "clock_rig.h"

#include <stdio.h>

void __wrap_log_line(const struct logger *l, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

void __wrap_log_line(const struct logger *l, enum log_level level, const char *fmt, ...)
{
    (void)l;
    (void)level;
    (void)fmt;
}

/* ---- programs, without workers ---- */

#define MOST_KEYS 8

struct map_program {
    char *text;
    bool of_route; /* else of a hold ... */
    bool of_with;  /* ... or of a route's keys */
};

/** What one program gives. */
struct ran {
    sl_str outputs[3 * MOST_KEYS]; /* of a route: key, choice, body */
    char keys[MOST_KEYS][32];
};

struct map_program *map_program_get(struct mapper *m, sl_str text, const char *const *vars)
{
    struct map_program *p = mem_zero(sizeof(*p));

    (void)m;
    (void)vars;
    p->text = mem_dup((sl_str){ text.ptr + 2, text.len - 4 }); /* "(\n" and "\n)" */
    p->of_route = strstr(p->text, "$sluice_key") != NULL;
    p->of_with = strstr(p->text, "keys wants one list") != NULL;
    return p;
}

void map_program_put(struct map_program *p)
{
    if (p)
        free(p->text);
    free(p);
}

char clock_rig_vars[1000];

static void run_with(const char *body, struct ran *ran, struct map_result *ret)
{
    char *to = ran->keys[0];
    size_t n = 0;

    *to++ = '[';
    for (const char *at = strchr(body, '?'); at; at = strchr(at + 1, '?'))
        to += sprintf(to, "%s\"%.*s\"", n++ ? "," : "", (int)strcspn(at + 1, "? "), at + 1);
    *to++ = ']';
    *to = '\0';
    ran->outputs[0] = str_of(ran->keys[0]);
    *ret = (struct map_result){ .outputs = ran->outputs, .n_outputs = 1 };
}

static void run_hold(const struct map_program *p, const char *body, struct ran *ran,
                     struct map_result *ret)
{
    ran->outputs[0] = strstr(body, p->text) ? STR("true") : STR("false");
    *ret = (struct map_result){ .outputs = ran->outputs, .n_outputs = 1 };
}

static void run_route(sl_str input, const char *body, struct ran *ran, struct map_result *ret)
{
    const char *at = strchr(body, '/');
    size_t n = 0;

    for (; at && n < MOST_KEYS; at = strchr(at + 1, '/'), n++) {
        snprintf(ran->keys[n], sizeof(ran->keys[n]), "\"%.*s\"", (int)strcspn(at + 1, "/?"),
                 at + 1);
        ran->outputs[3 * n] = str_of(ran->keys[n]);
        ran->outputs[3 * n + 1] = STR("null");
        ran->outputs[3 * n + 2] = input;
    }
    *ret = (struct map_result){ .outputs = ran->outputs, .n_outputs = 3 * n };
    if (!n)
        *ret = (struct map_result){ .status = MAP_E_PROGRAM, .why = STR("it names no key") };
}

int mapper_run(struct mapper *m, sl_str input, const struct map_run *runs, size_t n, map_cb cb,
               void *ctx)
{
    struct map_result *results = mem_array(n, sizeof(*results));
    struct ran *ran = mem_array(n, sizeof(*ran));
    char *body = mem_dup(input);

    (void)m;
    for (size_t i = 0; i < n; i++) {
        if (runs[i].program->of_route) {
            snprintf(clock_rig_vars, sizeof(clock_rig_vars), STR_FMT, STR_ARG(runs[i].vars));
            run_route(input, body, &ran[i], &results[i]);
        } else if (runs[i].program->of_with)
            run_with(body, &ran[i], &results[i]);
        else
            run_hold(runs[i].program, body, &ran[i], &results[i]);
    }
    cb(ctx, results, n);
    free(body);
    free(ran);
    free(results);
    return 0;
}

/* ---- the adapter ---- */

static sl_status describe(void *self, const sl_event *e, const sl_describe_out *out, sl_fail *fail)
{
    char text[120], subject[40] = "", id[40] = "", version[40] = "";

    (void)self;
    (void)fail;
    snprintf(text, sizeof(text), STR_FMT, STR_ARG(e->body));
    sscanf(text, "%39s ref %39s", subject, id);
    sscanf(text, "%*s at %39s", version);
    sl_ref ref = { STR("po"), str_of(id) };
    out->subject(out->ctx, str_of(subject[0] == '-' ? "" : subject), str_of(version), STR(""), &ref,
                 id[0] ? 1 : 0);
    return SL_OK;
}

static void deliver(void *self, void *handle, const sl_batch *b, const sl_done *done)
{
    struct clock_rig *r = self;
    sl_outcome o = { .size = sizeof(o), .kind = r->kind, .why = str_of(r->why) };
    sl_link link = { STR("po"), str_of(r->link) };

    (void)handle;
    r->delivers++;
    if (r->link) {
        o.links = &link;
        o.n_links = 1;
    }
    for (size_t i = 0; i < b->n_records; i++) {
        size_t at = strlen(r->log);
        snprintf(r->log + at, sizeof(r->log) - at, STR_FMT " ", STR_ARG(b->records[i].delivery));
        done->outcome(done->ctx, i, &o);
    }
    done->finish(done->ctx);
}

static void lookup(void *self, const sl_lookup *what, sl_lookup_cb cb, void *ctx)
{
    struct clock_rig *r = self;

    (void)what;
    r->lookups++;
    cb(ctx, &(sl_looked_up){
                .size = sizeof(sl_looked_up), .verdict = SL_LOOKUP_NONE, .why = STR("the test") });
}

struct rig_find {
    struct rig_find *next;
    const sl_str *keys;
    size_t n;
    sl_find_cb cb;
    void *ctx;
};

static void answer_find(uint32_t verdict, const struct rig_find *q)
{
    sl_found_row rows[RIG_FIND_KEYS];
    char texts[RIG_FIND_KEYS][40];
    sl_found a = { .size = sizeof(a), .verdict = verdict, .why = STR("the test"), .rows = rows };

    for (size_t i = 0; i < q->n; i++) {
        sl_str key = q->keys[i];
        if (str_starts(key, STR("none")))
            continue;
        snprintf(texts[i], sizeof(texts[i]), "{\"k\":\"" STR_FMT "\"}", STR_ARG(key));
        rows[a.n_rows++] = str_starts(key, STR("two"))
                               ? (sl_found_row){ .key = key, .error = STR("two rows") }
                               : (sl_found_row){ .key = key, .row = str_of(texts[i]) };
    }
    q->cb(q->ctx, &a);
}

static void find(void *self, void *handle, const sl_str *keys, size_t n, sl_find_cb cb, void *ctx)
{
    struct clock_rig *r = self;
    struct rig_find q = { r->unanswered, keys, n, cb, ctx };

    (void)handle;
    CHECK(n > 0 && n <= RIG_FIND_KEYS);
    r->finds++;
    r->find_keys += n;
    if (r->find_verdict) {
        answer_find(r->find_verdict, &q);
        return;
    }
    r->unanswered = mem_zero(sizeof(q));
    *r->unanswered = q;
}

static void drop_finds(struct clock_rig *r, bool answer)
{
    while (r->unanswered) {
        struct rig_find *q = r->unanswered;
        r->unanswered = q->next;
        if (answer)
            answer_find(SL_FIND_DONE, q);
        free(q);
    }
}

void clock_rig_answer_finds(struct clock_rig *r)
{
    drop_finds(r, true);
}

static const sl_find finder = { .size = sizeof(finder), .keys = RIG_FIND_KEYS, .ask = find };

static const sl_action actions[] = { { .name = "send", .batch_records = 1 }, { 0 } };

static const sl_plugin plugin = {
    .size = sizeof(plugin),
    .name = "fake",
    .actions = actions,
    .describe = describe,
    .deliver = deliver,
    .lookup = lookup,
    .find = &finder,
};

/* ---- what became durable ---- */

static struct told *tell(struct told **list, size_t *n)
{
    if ((*n & (*n - 1)) == 0) /* a power of two, or none: full */
        *list = mem_grow(*list, (*n ? 2 * *n : 1) * sizeof(**list));
    (*list)[*n] = (struct told){ .at_ms = clock_wall_ms() };
    return &(*list)[(*n)++];
}

static void on_seen(void *ctx, uint64_t seq, enum record_type type, sl_str payload)
{
    struct clock_rig *r = ctx;
    struct rec_receipt receipt;
    struct rec_moves moves;

    (void)seq;
    if (type == REC_RECEIPT && rec_receipt_decode(payload, &receipt) == 0 &&
        receipt.origin == EO_EMITTED) {
        struct told *t = tell(&r->emits, &r->n_emits);
        t->num = receipt.cause;
        snprintf(t->topic, sizeof(t->topic), STR_FMT, STR_ARG(receipt.topic));
    }
    if ((type != REC_DECISION && type != REC_OUTCOME) || rec_moves_decode(payload, &moves) < 0)
        return;
    for (size_t i = 0; i < moves.n_moves; i++) {
        struct told *t = tell(&r->moves, &r->n_moves);
        t->num = moves.moves[i].num;
        t->state = moves.moves[i].state;
        snprintf(t->who, sizeof(t->who), STR_FMT, STR_ARG(moves.who));
        snprintf(t->reason, sizeof(t->reason), STR_FMT, STR_ARG(moves.moves[i].reason));
    }
    rec_moves_finish(&moves);
}

static const struct told *only(const struct told *list, size_t n, uint64_t num, const char *what,
                               bool emitted)
{
    const struct told *found = NULL;

    for (size_t i = 0; i < n; i++) {
        const char *is = emitted ? list[i].topic : list[i].who;
        if (list[i].num != num || strncmp(is, what, strlen(what)) != 0)
            continue;
        if (found)
            fail_msg("twice: %s of %llu", what, (unsigned long long)num);
        found = &list[i];
    }
    return found;
}

const struct told *clock_rig_moved(const struct clock_rig *r, uint64_t num, const char *who)
{
    return only(r->moves, r->n_moves, num, who, false);
}

const struct told *clock_rig_emitted(const struct clock_rig *r, uint64_t num, const char *topic)
{
    return only(r->emits, r->n_emits, num, topic, true);
}

struct row *clock_rig_row(const struct clock_rig *r, uint64_t num)
{
    return tables_row(store_sim_tables(r->store), num);
}

enum delivery_state clock_rig_state(const struct clock_rig *r, uint64_t num)
{
    const struct row *row = clock_rig_row(r, num);

    return row ? (enum delivery_state)row->state : DS__COUNT;
}

struct deadline_row *clock_rig_deadline(const struct clock_rig *r, uint64_t num)
{
    return tables_deadline(store_sim_tables(r->store), num);
}

/* ---- life ---- */

void clock_rig_init(struct clock_rig *r)
{
    static const struct conf_breaker breaker = { .window_ms = 60000,
                                                 .min_calls = 1000,
                                                 .failure_percent = 50,
                                                 .open_ms = 30000,
                                                 .open_max_ms = 60000,
                                                 .probes = 1 };
    static const char *const names[] = { "shop", "crm" };

    log_setup(LOG_ERROR, LOG_TEXT);
    *r = (struct clock_rig){ .plan = { .slow_ms = 3, .full_per_mille = 1000 },
                             .kind = SL_DELIVERED,
                             .find_verdict = SL_FIND_DONE,
                             .why = "the test" };
    world_init(&r->w, 7, false);
    for (size_t i = 0; i < CLOCK_ENDPOINTS; i++)
        r->endpoints[i] = (struct conf_endpoint){ .name = (char *)names[i],
                                                  .adapter = "fake",
                                                  .plugin = &plugin,
                                                  .burst = 1,
                                                  .concurrency = 8,
                                                  .breaker = breaker,
                                                  .park_probe_ms = 60000,
                                                  .index = i };
    r->config = (struct config){ .window = 1000,
                                 .endpoints = r->endpoints,
                                 .n_endpoints = CLOCK_ENDPOINTS,
                                 .routes = r->routes,
                                 .alerts = { .repeat_ms = HOUR } };
    r->store = store_sim_create(&r->w, &r->plan, on_seen, r);
    store_sim_faults(r->store, false);
}

struct conf_route *clock_rig_route(struct clock_rig *r, const char *name, const char *topic)
{
    size_t i = r->config.n_routes++;

    r->topics[i] = (char *)topic;
    r->targets[i] = (struct conf_target){ .kind = TARGET_SEND, .endpoint = &r->endpoints[CRM] };
    r->routes[i] = (struct conf_route){
        .name = (char *)name,
        .from_endpoint = "shop",
        .topics = &r->topics[i],
        .n_topics = 1,
        .targets = &r->targets[i],
        .n_targets = 1,
        .priority = PRIORITY_NORMAL,
        .retry = { .first_ms = 1000, .cap_ms = 2000, .max_age_ms = 86400000 },
        .index = i,
    };
    return &r->routes[i];
}

void clock_rig_up(struct clock_rig *r)
{
    struct fail fail = { 0 };

    store_sim_start(r->store);
    for (size_t i = 0; i < CLOCK_ENDPOINTS; i++) {
        r->adapters[i] = (struct adapter){
            .plugin = r->endpoints[i].plugin, .self = r, .open = true, .conf = &r->endpoints[i]
        };
        r->table[i] = &r->adapters[i];
    }
    CHECK_EQ(flow_open(&r->flow,
                       &(struct flow_conf){ .loop = &r->w.loop,
                                            .store = r->store,
                                            .config = &r->config,
                                            .adapters = r->table,
                                            .seed = 1 },
                       &fail),
             0);
    r->up = true;
    while (!flow_recovered(r->flow))
        world_turn(&r->w);
}

void clock_rig_crash(struct clock_rig *r)
{
    for (size_t i = 0; i < CLOCK_ENDPOINTS; i++)
        r->adapters[i].open = false;
    r->flow->draining = true;
    store_sim_crash(r->store);
    flow_destroy(r->flow);
    drop_finds(r, false);
    r->up = false;
    for (int i = 0; i < 3; i++)
        uv_run(&r->w.loop, UV_RUN_NOWAIT);
}

void clock_rig_finish(struct clock_rig *r)
{
    if (r->up)
        clock_rig_crash(r);
    store_sim_destroy(r->store);
    world_finish(&r->w);
    CHECK_STR(r->w.failure, "");
    free(r->moves);
    free(r->emits);
}

/* ---- what the test does ---- */

static void on_event(struct flow *f, struct commit *c, int status)
{
    struct clock_rig *r = c->ctx;

    if (status < 0)
        return; /* the process ended before */
    r->last_event = c->records[0].seq;
    router_receipt(&f->router, c->records[0].seq, &c->records[0].payload);
}

static bool is_routed(const struct clock_rig *r)
{
    const struct event_row *e = r->last_event
                                    ? tables_event(store_sim_tables(r->store), r->last_event)
                                    : NULL;

    return e && e->routed;
}

uint64_t clock_rig_event(struct clock_rig *r, const char *topic, const char *body)
{
    return clock_rig_event_of(r, "shop", topic, body);
}

void clock_rig_begin_event(struct clock_rig *r, const char *endpoint, const char *topic,
                           const char *body)
{
    struct commit *c = commit_new(r->flow, on_event, r);
    struct rec_receipt receipt = { .origin = EO_WEBHOOK,
                                   .received_ms = clock_wall_ms(),
                                   .endpoint = str_of(endpoint),
                                   .topic = str_of(topic),
                                   .body = str_of(body) };

    rec_receipt_encode(&commit_record(c, REC_RECEIPT)->payload, &receipt);
    r->last_event = 0;
    commit_go(c);
}

uint64_t clock_rig_event_of(struct clock_rig *r, const char *endpoint, const char *topic,
                            const char *body)
{
    clock_rig_begin_event(r, endpoint, topic, body);
    while (!is_routed(r))
        world_turn(&r->w);
    return delivery_num(r->last_event, 0);
}

static void on_decided(void *ctx, const struct decided *results, size_t n)
{
    struct clock_rig *r = ctx;

    CHECK_EQ(n, 1);
    r->decided = results[0];
    r->answered = true;
}

void clock_rig_begin_decide(struct clock_rig *r, enum decision what, uint64_t num,
                            const struct decide *more)
{
    struct decide d = more ? *more : (struct decide){ 0 };

    d.what = what;
    d.who = STR("test");
    d.nums = &num;
    d.n = 1;
    r->answered = false;
    CHECK_EQ(flow_decide(r->flow, &d, on_decided, r), 0);
}

int clock_rig_decide(struct clock_rig *r, enum decision what, uint64_t num,
                     const struct decide *more)
{
    clock_rig_begin_decide(r, what, num, more);
    while (!r->answered)
        world_turn(&r->w);
    return r->decided.status;
}

static void on_paused(void *ctx, int status)
{
    struct clock_rig *r = ctx;

    CHECK_EQ(status, 0);
    r->answered = true;
}

void clock_rig_pause(struct clock_rig *r, const char *route, enum pause_what what)
{
    clock_rig_stop(r, true, route, what);
}

void clock_rig_stop(struct clock_rig *r, bool route, const char *name, enum pause_what what)
{
    struct flow_pause p = {
        .what = what, .route = route, .name = str_of(name), .who = STR("test")
    };

    r->answered = false;
    CHECK_EQ(flow_pause(r->flow, &p, on_paused, r), 0);
    while (!r->answered)
        world_turn(&r->w);
}

static void nothing(void *ctx)
{
    (void)ctx;
}

void clock_rig_pass(struct clock_rig *r, int64_t ms)
{
    int64_t until = world_now() + ms;

    if (!r->up) {
        world_skip(&r->w, ms);
        return;
    }
    world_in(&r->w, ms, nothing, NULL); /* no turn goes further */
    while (world_now() < until)
        world_turn(&r->w);
}
