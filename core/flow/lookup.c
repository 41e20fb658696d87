/*
 * lookup.c - see lookup.h.
 *
 *   READ (the held row) -> ASK (the adapter of the endpoint that the route takes its events from)
 *   -> DECIDE: one append with what becomes of the delivery and, if it was found, the event.
 *
 * What was found is routed as what was polled: its key tells that the webhook, if it comes after
 * all, is no second event, and the delivery is let go by it as by that. Asking does no harm, so
 * nothing is written of it before there is an answer: after a crash it is asked again.
 */
#include "flow/lookup.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/due.h"
#include "flow/group.h"
#include "flow/pace.h"

#define AT_ONCE    16 /* questions, of all endpoints */
#define MOST       8  /* attempts */
#define FIRST_MS   1000
#define LONGEST_MS (5 * 60 * 1000)
#define LATER_MS   (60 * 60 * 1000) /* at the latest, whatever a remote asks for */
#define ROUTED_MS  (60 * 1000)      /* what was found lets it go before that */
#define BUSY_MS    50
#define AGAIN_MS   1000

#define CANNOT UINT32_MAX /* verdict: nobody can be asked any more */

struct lookup {
    UT_hash_handle hh; /* flow.lookups, by num */
    uint64_t num;
    int64_t clock_ms; /* of the hold, when it began */
    struct flow *flow;
    struct adapter *adapter;          /* share; NULL: not asked */
    char *endpoint, *topic, *subject; /* own */
    uint32_t verdict;                 /* SL_LOOKUP_*; 0: no answer yet */
    int64_t after_ms;
    char *why, *body; /* own */
    size_t body_len;
    struct deciding *deciding;
};

static void lookup_free(struct lookup *x)
{
    HASH_DEL(x->flow->lookups, x);
    adapter_unref(x->adapter);
    free(x->endpoint);
    free(x->topic);
    free(x->subject);
    free(x->why);
    free(x->body);
    free(x);
}

void lookups_close(struct flow *f)
{
    struct lookup *x, *tmp;

    HASH_ITER (hh, f->lookups, x, tmp)
        lookup_free(x);
}

/** Its clock is looked at again then, as if it had run out just now. */
static void later(struct lookup *x, int64_t ms)
{
    due_again(x->flow, false, x->num, x->clock_ms, ms);
    lookup_free(x);
}

/* ---- what its detail says ---- */

#define THEN    "\"then\":\"lookup\""
#define LOOKUPS ",\"lookups\":"

/** Where THEN stands; what is before it are texts of our own, with every quote escaped. */
static const char *find_then(sl_str detail)
{
    for (size_t i = 0; i + strlen(THEN) <= detail.len; i++)
        if (memcmp(detail.ptr + i, THEN, strlen(THEN)) == 0)
            return detail.ptr + i;
    return NULL;
}

static uint32_t tries_of(sl_str detail)
{
    json_t *j = json_loadb(detail.ptr, detail.len, 0, NULL);
    uint32_t n = (uint32_t)json_integer_value(json_object_get(j, "lookups"));

    json_decref(j);
    return n;
}

/** The same with so many attempts made; 0: it was found, and is not looked up again. Own. */
static char *detail_after(sl_str detail, uint32_t tries)
{
    const char *then = find_then(detail), *rest, *end = detail.ptr + detail.len;
    struct buf b = { 0 };

    if (!then)
        return NULL;
    rest = then + strlen(THEN);
    if ((size_t)(end - rest) > strlen(LOOKUPS) && !memcmp(rest, LOOKUPS, strlen(LOOKUPS)))
        for (rest += strlen(LOOKUPS); rest < end && *rest >= '0' && *rest <= '9';)
            rest++;
    buf_append(&b, detail.ptr, (size_t)(then - detail.ptr));
    if (tries)
        buf_printf(&b, THEN LOOKUPS "%u", tries);
    else
        buf_cstr(&b, "\"then\":\"reject\"");
    buf_append(&b, rest, (size_t)(end - rest));
    return buf_steal(&b, NULL);
}

/* ---- what it means ---- */

static int64_t delay(const struct lookup *x, uint32_t tries)
{
    int64_t ms = FIRST_MS;

    for (uint32_t i = 1; i < tries && ms < LONGEST_MS; i++)
        ms *= 2;
    if (ms > LONGEST_MS)
        ms = LONGEST_MS;
    if (x->after_ms > ms)
        ms = x->after_ms < LATER_MS ? x->after_ms : LATER_MS;
    return ms;
}

/** It stays held. */
static void hold_on(const struct store_delivery *row, uint32_t tries, int64_t next_ms,
                    struct hold_verdict *v)
{
    v->state = DS_HELD;
    v->hold_type = mem_dup(row->hold_type);
    v->detail = detail_after(row->detail, tries);
    v->next_ms = next_ms;
}

void lookup_verdict(const struct lookup *x, const struct store_delivery *row, int64_t now_ms,
                    struct hold_verdict *v)
{
    uint32_t tries = tries_of(row->detail) + 1;
    char *late = hold_late(row), text[24];
    struct buf reason = { 0 };

    *v = (struct hold_verdict){ .state = DS_DEAD };
    buf_cstr(&reason, late);
    free(late);
    switch (x->verdict) {
    case SL_LOOKUP_FOUND:
        hold_on(row, 0, now_ms + ROUTED_MS, v);
        buf_printf(&reason, ": it was looked up at %s", x->endpoint);
        break;
    case SL_LOOKUP_NONE:
        buf_printf(&reason, ", and %s has none: %s", x->endpoint, x->why);
        break;
    case CANNOT:
        buf_printf(&reason, ", and it cannot be looked up any more: %s", x->why);
        break;
    default:
        if (tries >= MOST) {
            buf_printf(&reason, ", and could not be looked up in %u attempts: %s", tries, x->why);
            break;
        }
        hold_on(row, tries, now_ms + delay(x, tries), v);
        buf_printf(&reason, "; looked up again in %s: %s", hold_duration(delay(x, tries), text),
                   x->why);
        break;
    }
    v->reason = buf_steal(&reason, NULL);
}

/* ---- DECIDE ---- */

static void decide(struct lookup *x);

static void on_decide_again(void *ctx, bool closing)
{
    if (!closing) /* else lookups_close() frees it */
        decide(ctx);
}

static void on_decided(void *ctx, const struct decided *results, size_t n)
{
    struct lookup *x = ctx;
    int status = n ? results[0].status : 0;

    if (status == UV_EBUSY)
        flow_later(x->flow, BUSY_MS, on_decide_again, x);
    else if (status == UV_ENOSPC || status == UV_ENOBUFS || status == UV_ENOMEM)
        flow_later(x->flow, AGAIN_MS, on_decide_again, x);
    else
        lookup_free(x); /* done; or it came meanwhile, or somebody decided */
}

static struct rec_receipt receipt_of(const struct lookup *x)
{
    return (struct rec_receipt){
        .origin = EO_POLLED,
        .received_ms = clock_wall_ms(),
        .endpoint = str_of(x->endpoint),
        .topic = str_of(x->topic),
        .body = { x->body, x->body_len },
    };
}

static void on_durable(struct flow *f, struct commit *c, int status)
{
    struct lookup *x = c->ctx;
    struct event *e = NULL;
    struct rec_receipt receipt;

    if (status == 0 && c->append.n > 1) {
        rec_receipt_decode(buf_view(&c->records[1].payload), &receipt);
        e = event_from_receipt(c->records[1].seq, &receipt);
        f->stats.looked_up++;
    }
    flow_decided(x->deciding, status); /* x may be gone after it */
    if (status == 0 && c->append.n > 1)
        router_submit(&f->router, e);
}

static void on_prepared(void *ctx, struct deciding *a, const struct rec_moves *moves)
{
    struct lookup *x = ctx;
    struct rec_receipt receipt = receipt_of(x);

    if (!moves->n_moves) {
        flow_decided(a, 0);
        return;
    }
    x->deciding = a;
    struct commit *c = commit_new(x->flow, on_durable, x);
    rec_moves_encode(&commit_record(c, REC_DECISION)->payload, moves);
    if (x->verdict == SL_LOOKUP_FOUND)
        rec_receipt_encode(&commit_record(c, REC_RECEIPT)->payload, &receipt);
    commit_go(c);
}

static void decide(struct lookup *x)
{
    struct decide d = {
        .what = DECISION_LOOKED_UP,
        .who = STR("lookup"),
        .nums = &x->num,
        .n = 1,
        .clocks = &x->clock_ms,
        .prepared = on_prepared,
        .lookup = x,
    };

    flow_decide(x->flow, &d, on_decided, x);
}

/* ---- ASK ---- */

static void on_answer(void *ctx, const sl_looked_up *a)
{
    struct lookup *x = ctx;

    if (x->flow->draining) { /* the next start asks again */
        lookup_free(x);
        return;
    }
    x->verdict = a->verdict;
    x->after_ms = a->after_ms;
    x->why = mem_dup(a->why);
    x->body = mem_dup(a->body);
    x->body_len = a->body.len;
    decide(x);
}

static void cannot(struct lookup *x, const char *why)
{
    x->verdict = CANNOT;
    x->why = mem_str(why);
    decide(x);
}

static void ask(struct lookup *x, struct lane *l)
{
    struct adapter *a = adapter_ref(l->adapter);
    sl_lookup what = { .size = sizeof(what),
                       .topic = str_of(x->topic),
                       .subject = str_of(x->subject) };
    struct in_hand *in_hand = x->flow->in_hand;
    uint64_t began;

    x->adapter = adapter_ref(a);
    in_hand_take(in_hand, IN_HAND_DELIVERY, &x->num, 1);
    began = clock_mono_us();
    a->plugin->lookup(a->self, &what, on_answer, x); /* x may be gone after it */
    adapter_measure(a, began, "lookup");
    in_hand_drop(in_hand, 1);
    adapter_unref(a);
}

/** The process ends whenever its adapter looks this one up: no more. */
static bool ends_the_process(const struct lookup *x)
{
    struct in_hand *in_hand = x->flow->in_hand;

    if (in_hand_ends(in_hand, IN_HAND_DELIVERY, x->num) < IN_HAND_ENDS)
        return false;
    in_hand_forget(in_hand, IN_HAND_DELIVERY, x->num);
    return true;
}

/** A question does no harm, and there may be nothing to send that would find out whether the
 *  endpoint is well again: it is asked when a delivery would be tried. */
bool lookup_may_ask(const struct lane *l)
{
    uint64_t now = uv_now(l->flow->loop);

    if (l->pause || l->breaker.by_hand || !l->adapter->open)
        return false;
    if (l->parked)
        return now >= l->parked_until;
    return l->breaker.state != BREAKER_OPEN || now >= l->breaker.open_until;
}

/** Whom, and for what? */
static void begin(struct lookup *x, const struct store_delivery *row)
{
    struct flow *f = x->flow;
    const struct conf_route *r = config_route(f->config, row->route);
    json_t *j = json_loadb(row->detail.ptr, row->detail.len, 0, NULL);
    const char *topic = json_string_value(json_array_get(json_object_get(j, "until"), 0));
    struct lane *l = r && r->from_endpoint ? flow_lane(f, str_of(r->from_endpoint)) : NULL;
    uint64_t wait = 0;

    x->topic = mem_str(topic ? topic : "");
    x->subject = mem_dup(row->subject);
    x->endpoint = mem_str(r && r->from_endpoint ? r->from_endpoint : "");
    json_decref(j);
    if (!l || !x->topic[0])
        cannot(x, "its route is no longer in the configuration");
    else if (!l->adapter || !l->adapter->plugin->lookup)
        cannot(x, "the adapter of its endpoint does not offer it");
    else if (ends_the_process(x))
        cannot(x, "the process ended three times in a row while it was looked up");
    else if (!lookup_may_ask(l))
        later(x, AGAIN_MS);
    else if ((wait = pace_question(l, x->num, uv_now(f->loop))))
        later(x, (int64_t)wait);
    else
        ask(x, l);
}

/* ---- READ ---- */

static void on_row(void *ctx, int status, const struct store_delivery *row, sl_str body,
                   sl_str request)
{
    struct lookup *x = ctx;

    (void)body;
    (void)request;
    if (status == UV_ECANCELED) {
        lookup_free(x);
    } else if (status < 0) {
        later(x, AGAIN_MS);
    } else if (row->state != DS_HELD || row->next_ms != x->clock_ms) {
        x->flow->due.horizon_ms = 0; /* the store knows what its clock says now */
        lookup_free(x);
    } else {
        begin(x, row);
    }
}

void lookup_start(struct flow *f, uint64_t num, int64_t clock_ms)
{
    struct lookup *x;

    HASH_FIND(hh, f->lookups, &num, sizeof(num), x);
    if (x || HASH_COUNT(f->lookups) >= AT_ONCE) {
        due_again(f, false, num, clock_ms, AGAIN_MS);
        return;
    }
    x = mem_zero(sizeof(*x));
    x->flow = f;
    x->num = num;
    x->clock_ms = clock_ms;
    HASH_ADD(hh, f->lookups, num, sizeof(x->num), x);
    if (store_delivery_get(f->store, num, on_row, x) < 0)
        later(x, AGAIN_MS);
}
