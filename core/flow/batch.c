/*
 * batch.c - the way of a batch: bodies loaded, requests frozen, `sent` durable, out with the
 * adapter, outcomes settled. The functions stand in the order they happen; what the
 * adapter says meanwhile is batch_done.c.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "flow/chain.h"
#include "flow/pace.h"
#include "flow/parents.h"
#include "flow/pause.h"

#define LOAD_AGAIN_MS 2000

static_assert(PRIORITY_CRITICAL == SL_PRIORITY_CRITICAL && PRIORITY_HIGH == SL_PRIORITY_HIGH &&
                  PRIORITY_NORMAL == SL_PRIORITY_NORMAL && PRIORITY_LOW == SL_PRIORITY_LOW,
              "adapters see the same numbers");

static const char *const batch_state_names[BATCH__COUNT] = {
    "loading", "preparing", "sending", "paced", "out", "settling",
};

static void batch_prepare(struct batch *b);
static void batch_freeze(struct batch *b);
static void batch_deliver(struct batch *b);
static bool batch_compact(struct batch *b);

static void batch_enter(struct batch *b, enum batch_state next)
{
    assert(next == b->state + 1 || (b->state == BATCH_LOADING && next >= BATCH_OUT));
    log_trace(&b->lane->log, "batch of %zu: %s -> %s", b->n, batch_state_names[b->state],
              batch_state_names[next]);
    b->state = next;
}

static struct batch *batch_new(struct lane *l, struct delivery **members, size_t n)
{
    struct batch *b = mem_zero(sizeof(*b));

    b->lane = l;
    b->adapter = adapter_ref(l->adapter);
    b->config = config_ref(l->flow->config);
    b->route = members[0]->route;
    b->target = members[0]->target;
    b->items = mem_array(n, sizeof(*b->items));
    b->n = n;
    for (size_t i = 0; i < n; i++) {
        b->items[i].batch = b;
        b->items[i].d = members[i];
        members[i]->batch = b;
    }
    b->breaker = lane_breaker(l, b->target);
    b->breaker_trips = b->breaker->trips;
    b->probe = l->parked;
    b->priority = members[0]->priority;
    b->cost = 1;
    list_append(&l->batches, &b->node);
    list_init(&b->paced_node);
    l->under_way++;
    l->critical += b->priority == PRIORITY_CRITICAL;
    return b;
}

void batch_free(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        move_free(&b->items[i].move);
        parents_release(&b->items[i]);
        if (b->items[i].d)
            b->items[i].d->batch = NULL;
    }
    list_remove(&b->node);
    list_remove(&b->paced_node);
    extras_free(&b->extras);
    adapter_unref(b->adapter);
    config_unref(b->config);
    free(b->items);
    free(b->records);
    free(b->choices);
    free(b->token);
    free(b);
}

/** Its tokens are taken, or it will not take them. */
static void keep_promise(struct batch *b)
{
    if (!b->promised)
        return;
    b->promised = false;
    b->lane->promised -= b->cost;
    b->lane->leaving--;
}

/** The batch is over: its slot is free. */
static void batch_end(struct batch *b)
{
    struct lane *l = b->lane;

    l->under_way--;
    l->critical -= b->priority == PRIORITY_CRITICAL;
    l->narrow_out &= !b->narrow;
    keep_promise(b);
    pace_unused(l);
    batch_free(b);
    lane_pump(l);
    flow_check_idle(l->flow);
}

/** Out of the batch, and nothing is done with it. */
static struct delivery *let_go(struct batch_item *it)
{
    struct delivery *d = it->d;

    d->batch = NULL;
    it->d = NULL;
    parents_release(it);
    return d;
}

/** Back to where it came from, as if it had not been taken. */
static void put_back(struct batch_item *it)
{
    struct delivery *d = let_go(it);

    lane_enter(d, DS_READY);
    lane_place(d);
}

/** Those that are to be: the last one first, as each goes to the front of its pile. True: some are
 *  left. */
static bool put_back_marked(struct batch *b)
{
    for (size_t i = b->n; i-- > 0;)
        if (b->items[i].back)
            put_back(&b->items[i]);
    return batch_compact(b);
}

/** All of it; the batch is over. What was made for it alone is forgotten. */
static void put_all_back(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        if (b->items[i].freeze)
            lane_drop_bytes(b->items[i].d);
        b->items[i].back = true;
    }
    put_back_marked(b);
}

/** The same, but not at once: what failed would fail again. In the log it stays ready. */
static void put_back_later(struct batch_item *it)
{
    struct delivery *d = let_go(it);

    d->next_ms = clock_wall_ms() + LOAD_AGAIN_MS;
    lane_enter(d, DS_WAITING);
    lane_place(d);
}

/** Drop the items whose `d` is gone; ends the batch when none is left. True: go on. */
static bool batch_compact(struct batch *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n; i++)
        if (b->items[i].d)
            b->items[n++] = b->items[i];
    b->n = n;
    if (n)
        return true;
    lane_forget(b->breaker, b->breaker_trips);
    batch_end(b);
    return false;
}

/** The adapter is closed, the process ends: all stays as the log has it. */
static void batch_abandon(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        let_go(&b->items[i]);
    batch_compact(b);
}

/* ---- LOADING: bodies that are not in memory ---- */

static void batch_go_on(struct batch *b);

static void loaded(struct batch *b)
{
    if (--b->pending == 0 && batch_compact(b)) {
        if (b->resumed)
            batch_go_on(b);
        else
            batch_prepare(b);
    }
}

/** What it holds is known now: others of the lane may begin. */
static void batch_go_on(struct batch *b)
{
    struct lane *l = b->lane;

    for (size_t i = 0; i < b->n; i++)
        parents_claim(&b->items[i]);
    batch_deliver(b);
    lane_pump_soon(l);
}

/** One of a batch that was sent before: it may be done, so it is not simply sent again. */
static void unknown_now(struct batch_item *it)
{
    uint64_t id = it->batch->id;
    struct delivery *d = let_go(it);
    struct rec_move *m = mem_zero(sizeof(*m));
    struct extras none = { 0 };
    sl_outcome o = { .size = sizeof(o),
                     .kind = SL_UNKNOWN,
                     .why = STR("its body could not be read to resume its batch") };

    settle_outcome(d, &o, d->attempts + 1, 0, m);
    d->settling = true;
    settle_write(d->lane, id, "recovery", m, 1, &none, NULL, NULL);
}

static void not_loaded(struct batch_item *it, int status)
{
    struct batch *b = it->batch;

    if (b->lane->flow->draining || status == UV_ECANCELED) {
        let_go(it); /* as the log has it */
        return;
    }
    log_error(&b->lane->log, "cannot read the body of delivery %" PRIu64 ".%u: %s",
              delivery_event(it->d->num), delivery_ordinal(it->d->num), uv_strerror(status));
    if (b->resumed)
        unknown_now(it);
    else
        put_back_later(it);
}

void batch_loaded(struct batch_item *it, int status)
{
    struct batch *b = it->batch;

    it->d->loading = NULL;
    if (status < 0)
        not_loaded(it, status);
    loaded(b);
}

static void batch_load(struct batch *b)
{
    b->pending = 1; /* held until all are asked for */
    fetch_batch(b);
    loaded(b);
}

void batch_start(struct lane *l, struct delivery **members, size_t n, struct pile *from)
{
    struct batch *b = batch_new(l, members, n);

    b->promised = true; /* by the pump */
    b->cost = from->cost;
    b->narrow = from->narrow > 0;
    l->narrow_out |= b->narrow;
    l->leaving++;
    for (size_t i = 0; i < n; i++)
        parents_claim(
            &b->items[i]); /* those that are known: the pump has seen that they are free */
    batch_load(b);
}

/* ---- PREPARING: the adapter freezes the requests ---- */

static void fill_record(struct batch *b, size_t i, sl_record *r, char name[32])
{
    struct delivery *d = b->items[i].d;

    *r = (sl_record){
        .size = sizeof(*r),
        .attempt = d->attempts + 1,
        .delivery = str_of(name),
        .key = str_of(b->items[i].key),
        .subject = str_of(d->subject),
        .piece = str_of(d->piece),
        .topic = str_of(d->topic),
        .body = { d->body, d->body_len },
        .request = { d->request ? d->request : d->body, d->request ? d->request_len : d->body_len },
        .first_sent_ms = d->first_sent_ms,
        .last_sent_ms = d->last_sent_ms,
    };
}

/** What people chose for its records; most batches have nothing of it. */
static void fill_choices(struct batch *b)
{
    free(b->choices);
    b->choices = NULL;
    for (size_t i = 0; i < b->n; i++) {
        if (!b->items[i].d->answer)
            continue;
        if (!b->choices)
            b->choices = mem_array(b->n, sizeof(*b->choices));
        b->choices[i] = str_of(b->items[i].d->answer);
    }
}

/** Records stay where they are until the batch is freed: the names live behind them. */
static void fill_records(struct batch *b)
{
    free(b->records);
    b->records = mem_zero(b->n * (sizeof(sl_record) + 32));
    char *names = (char *)(b->records + b->n);
    int64_t oldest = b->items[0].d->received_ms;
    for (size_t i = 0; i < b->n; i++) {
        struct delivery *d = b->items[i].d;
        char *name = names + i * 32;
        delivery_name(d->num, name);
        delivery_key(d, b->items[i].key);
        fill_record(b, i, &b->records[i], name);
        oldest = d->received_ms < oldest ? d->received_ms : oldest;
    }
    fill_choices(b);
    b->sl = (sl_batch){ .size = sizeof(b->sl),
                        .id = b->id,
                        .records = b->records,
                        .n_records = b->n,
                        .oldest_ms = oldest,
                        .priority = b->priority,
                        .choices = b->choices };
}

/** No request can be made of it: a dead letter. */
static void not_prepared(struct batch_item *it, sl_str why)
{
    struct delivery *d = let_go(it);
    struct rec_move *m = mem_zero(sizeof(*m));
    struct extras none = { 0 };
    struct buf text = { 0 };

    buf_printf(&text, "request: " STR_FMT, STR_ARG(why));
    *m = (struct rec_move){ .num = d->num, .state = DS_DEAD, .generation = d->generation };
    m->reason.ptr = buf_steal(&text, &m->reason.len);
    d->settling = true;
    settle_write(d->lane, 0, "adapter", m, 1, &none, NULL, NULL);
}

static bool is_body(const struct delivery *d, sl_str request)
{
    return request.ptr == d->body && request.len == d->body_len;
}

static void on_prepared(void *ctx, sl_status status, sl_str request, sl_str why)
{
    struct batch_item *it = ctx;
    struct batch *b = it->batch;

    if (!it->awaited)
        return; /* a plugin's mistake: the first word counts */
    it->awaited = false;
    if (status >= 0) {
        if (!is_body(it->d, request)) /* which stands in the log already */
            delivery_set_request(it->d, request);
    } else if (status != SL_E_CANCELLED && status != SL_E_NO_MEMORY)
        not_prepared(it, why);
    else if (b->lane->flow->draining)
        let_go(it); /* the host is closing: it stays ready in the log */
    else
        put_back_later(it);
    if (--b->pending == 0 && batch_compact(b))
        batch_freeze(b);
}

static void batch_prepare(struct batch *b)
{
    const struct adapter *a = b->adapter;

    batch_enter(b, BATCH_PREPARING);
    if (!a->open) {
        batch_abandon(b);
        return;
    }
    batch_keep_apart(b);
    if (!put_back_marked(b))
        return;
    batch_group(b);
    fill_records(b);
    b->pending = 1;
    for (size_t i = 0; a->plugin->prepare && i < b->n; i++) {
        if (b->items[i].d->request)
            continue;
        b->pending++;
        b->items[i].freeze = b->items[i].awaited = true;
        struct in_hand *in_hand = b->lane->flow->in_hand;
        in_hand_take(in_hand, IN_HAND_DELIVERY, &b->items[i].d->num, 1);
        uint64_t began = clock_mono_us();
        a->plugin->prepare(a->self, b->target->handle, &b->records[i], on_prepared, &b->items[i]);
        adapter_measure(a, began, "prepare");
        in_hand_drop(in_hand, 1);
    }
    if (--b->pending == 0 && batch_compact(b))
        batch_freeze(b);
}

/* ---- SENDING: keys and requests are durable before the first byte leaves ---- */

static void unsend_paused(struct batch *b)
{
    struct buf why = { 0 };

    pause_say(&why, pause_here(b->lane, b->route));
    batch_unsend(b, why.data);
    buf_finish(&why);
}

static void on_sent_durable(struct flow *f, struct commit *c, int status)
{
    struct batch *b = c->ctx;

    if (status == UV_ECANCELED) {
        batch_abandon(b);
        return;
    }
    if (status < 0) {
        log_error(&b->lane->log, "cannot record what is to be sent, nothing was sent: err=%s",
                  uv_strerror(status));
        lane_park(b->lane, STR("the store cannot write"), 5000);
        put_all_back(b);
        return;
    }
    b->id = c->records[0].seq;
    for (size_t i = 0; i < b->n; i++)
        b->items[i].d->batch_id = b->id;
    batch_enter(b, BATCH_PACED);
    lane_pace(b);
    if (f->draining)
        batch_unsend(b, "the gateway was stopped");
    else if (b->lane->removed)
        batch_unsend(b, "its endpoint was removed from the configuration");
    else if (lane_closed_for(b))
        batch_unsend(b, lane_closed_for(b));
    else if (pause_here(b->lane, b->route))
        unsend_paused(b);
    else
        lane_pump(b->lane);
}

/** Now that the requests are there: what do they cost? */
static void count_cost(struct batch *b)
{
    const struct adapter *a = b->adapter;
    uint64_t cost = 0;

    if (!SL_HAS(sl_plugin, a->plugin, cost))
        return;
    for (size_t i = 0; i < b->n; i++)
        cost += a->plugin->cost(a->self, b->target->handle, &b->records[i]);
    cost = cost < 1 ? 1 : cost < SL_COST_MAX ? cost : SL_COST_MAX;
    b->lane->promised += (uint32_t)cost - b->cost;
    b->cost = (uint32_t)cost;
    if (b->items[0].d->target == b->target && !b->items[0].d->stale)
        lane_pile(b->items[0].d)->cost = b->cost; /* the next one's, as far as anybody knows */
}

static void batch_freeze(struct batch *b)
{
    struct rec_sent sent = {
        .at_ms = clock_wall_ms(),
        .endpoint = str_of(b->lane->name),
        .route = str_of(b->route->name),
        .n_items = b->n,
    };

    if (lane_closed_for(b)) { /* nothing is written of it yet */
        put_all_back(b);
        return;
    }
    sent.items = mem_array(b->n, sizeof(*sent.items));
    struct commit *c = commit_new(b->lane->flow, on_sent_durable, b);
    batch_enter(b, BATCH_SENDING);
    fill_records(b);
    count_cost(b);
    pace_mark(b->lane);
    for (size_t i = 0; i < b->n; i++) {
        struct rec_sent_item *it = &sent.items[i];
        struct delivery *d = b->items[i].d;
        *it = (struct rec_sent_item){
            .num = d->num,
            .attempt = d->attempts + 1,
            .generation = d->generation,
            .key = str_of(b->items[i].key),
        };
        if (b->items[i].freeze)
            it->request = (sl_str){ d->request, d->request_len };
        digest_sha256(b->records[i].request.ptr, b->records[i].request.len, it->digest);
    }
    rec_sent_encode(&commit_record(c, REC_SENT)->payload, &sent);
    free(sent.items);
    commit_go(c);
}

/* ---- OUT: with the adapter ---- */

static size_t take_in_hand(struct in_hand *h, const struct batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        in_hand_take(h, IN_HAND_DELIVERY, &b->items[i].d->num, 1);
    return b->n;
}

static void batch_deliver(struct batch *b)
{
    const struct adapter *a = b->adapter;
    struct in_hand *in_hand = b->lane->flow->in_hand; /* the batch may be gone afterwards */

    if (!a->open) {
        batch_abandon(b);
        return;
    }
    batch_enter(b, BATCH_OUT);
    fill_records(b);
    b->started_ms = uv_now(b->lane->flow->loop);
    for (size_t i = 0; i < b->n && !b->resumed; i++) {
        struct delivery *d = b->items[i].d;
        d->last_sent_ms = b->started_wall_ms;
        if (!d->first_sent_ms)
            d->first_sent_ms = b->started_wall_ms;
    }
    b->lane->attempts += b->n;
    batch_listen(b);
    size_t taken = take_in_hand(in_hand, b);
    uint64_t began = clock_mono_us();
    bool resumed = b->resumed;
    if (resumed)
        a->plugin->resume(a->self, b->target->handle, &b->sl, (sl_str){ b->token, b->token_len },
                          &b->done);
    else
        a->plugin->deliver(a->self, b->target->handle, &b->sl, &b->done);
    adapter_measure(a, began, resumed ? "resume" : "deliver");
    in_hand_drop(in_hand, taken);
}

void batch_go(struct batch *b)
{
    list_remove(&b->paced_node);
    keep_promise(b);
    b->started_wall_ms = clock_wall_ms();
    for (size_t i = 0; i < b->n; i++)
        if (!b->items[i].d->since_ms)
            b->items[i].d->since_ms = b->started_wall_ms;
    batch_deliver(b);
}

void batch_resume(struct lane *l, uint64_t id, struct delivery **members, size_t n, sl_str token)
{
    struct batch *b = batch_new(l, members, n);

    b->id = id;
    b->resumed = true;
    b->token = mem_dup(token);
    b->token_len = token.len;
    log_info(&l->log, "resuming batch %" PRIu64 " of %zu from its checkpoint", id, n);
    batch_load(b);
}

/* ---- SETTLING ---- */

/** What nobody told: unburnt when the lane parks, else unknown. */
static void settle_untold(struct batch *b, struct batch_item *it)
{
    struct delivery *d = it->d;

    if (b->parks || b->unsent) {
        it->move = (struct rec_move){
            .num = d->num,
            .state = DS_READY,
            .attempt = d->attempts + 1,
            .generation = d->generation,
            .arrival = d->doubt ? ARRIVAL_PERHAPS : ARRIVAL_NO,
        };
        it->move.reason.ptr = mem_str(b->park_why);
        it->move.reason.len = strlen(b->park_why);
        it->kind = 0;
        return;
    }
    sl_outcome o = { .size = sizeof(o),
                     .kind = SL_UNKNOWN,
                     .why = STR("the adapter gave no outcome") };
    it->kind = SL_UNKNOWN;
    settle_outcome(d, &o, d->attempts + 1, (uint32_t)(uv_now(b->lane->flow->loop) - b->started_ms),
                   &it->move);
}

static void feed_breaker(struct batch *b)
{
    struct lane *l = b->lane;
    bool good = false, bad = false;

    for (size_t i = 0; i < b->n; i++) {
        uint32_t k = b->items[i].kind;
        good |= k == SL_DELIVERED || k == SL_REJECTED || k == SL_REVIEW;
        bad |= (k == SL_RETRY && !b->items[i].narrow) || k == SL_UNKNOWN; /* rows, not the remote */
    }
    if (good && b->n == 1 && l->conf->breaker.slow_ms &&
        (int64_t)(uv_now(l->flow->loop) - b->started_ms) > l->conf->breaker.slow_ms)
        good = false, bad = true;
    if (good || bad)
        budget_result(&l->budget, good);
    if (good || bad)
        lane_result(b->lane, b->breaker, b->breaker_trips, good);
    else
        lane_forget(b->breaker, b->breaker_trips);
}

static void on_batch_settled(struct flow *f, int status, void *ctx)
{
    struct batch *b = ctx;

    (void)f;
    if (status < 0) {
        /* The outcome could not be written: in the log they are sent without one, so they stay in
         * flight here, too, and the next start asks for them. */
        log_error(&b->lane->log, "outcomes could not be recorded: err=%s", uv_strerror(status));
        for (size_t i = 0; i < b->n; i++)
            let_go(&b->items[i]);
    }
    for (size_t i = 0; i < b->n; i++)
        b->items[i].d = NULL; /* applied, and perhaps freed */
    if (b->settled && b->adapter->open)
        b->settled(b->settled_ctx, status < 0 ? SL_E_INTERNAL : SL_OK);
    batch_end(b);
}

void batch_settle(struct batch *b)
{
    struct lane *l = b->lane;
    struct rec_move *moves = mem_array(b->n, sizeof(*moves));

    batch_enter(b, BATCH_SETTLING);
    for (size_t i = 0; i < b->n; i++) {
        struct batch_item *it = &b->items[i];
        if (!it->told)
            settle_untold(b, it);
        it->d->settling = true;
        moves[i] = it->move;
        it->move = (struct rec_move){ 0 };
    }
    feed_breaker(b);
    if (b->parks)
        lane_park(l, str_of(b->park_why), b->park_ms);
    else if (b->probe && !b->unsent)
        lane_unpark(l);
    settle_write(l, b->id, "adapter", moves, b->n, &b->extras, on_batch_settled, b);
}

void batch_unsend(struct batch *b, const char *why)
{
    list_remove(&b->paced_node);
    b->unsent = true;
    snprintf(b->park_why, sizeof(b->park_why), "not sent: %s", why);
    batch_enter(b, BATCH_OUT);
    batch_settle(b);
}
