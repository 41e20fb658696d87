/*
 * routed.c - what was made of an event becomes durable, and only then stands before the lanes.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "flow/await.h"
#include "flow/behind.h"
#include "flow/dead_event.h"
#include "flow/due.h"
#include "flow/failover.h"
#include "flow/feed.h"
#include "flow/missed.h"
#include "flow/order.h"
#include "flow/privacy.h"
#include "flow/routing.h"
#include "store/restore.h"

#define AGAIN_MS    1000        /* a store that had no room is asked again */
#define ROUTED_ROOM 255         /* bytes of the record of an event that made nothing, and some */
#define KEEP_BYTES  (32u << 20) /* of bodies that stay in memory until they are sent */

/** What came of the event before a store was restored stays held until a person has looked: no
 *  clock runs, no event releases it. */
static void hold_plainly(const struct piece *p, struct rec_delivery *rd)
{
    rd->state = DS_HELD;
    if (p->target->kind == TARGET_HOLD) {
        rd->hold_type = str_of(p->target->text);
        rd->reason = STR("held by the route's choice");
    } else {
        rd->hold_type = str_of(p->route->hold->type);
        rd->reason = STR("the route holds every delivery");
    }
}

/** As await.c found. */
static void hold(const struct piece *p, struct rec_delivery *rd)
{
    const struct conf_hold *h = p->held;

    rd->state = DS_HELD;
    rd->hold_type = str_of(h->type);
    rd->detail = str_of(p->held_detail);
    rd->next_ms = h->for_ms ? clock_wall_ms() + h->for_ms : 0;
    if (p->said)
        rd->reason = str_of(p->said);
    else
        rd->reason = p->target->kind == TARGET_HOLD ? STR("held by the route's choice")
                                                    : STR("the route holds every delivery");
}

bool routing_restored(const struct routing *rt)
{
    const struct event *e = rt->event;
    uint64_t first = e->cause ? delivery_event(e->cause) : e->id;

    return !rt->remap && first <= store_restored_to(rt->flow->store);
}

/** What a person has said, else what its event is: what should have come before gives way to what
 *  comes now. */
static uint8_t priority_of(const struct routing *rt, const struct conf_route *r)
{
    if (rt->remap && rt->remap->set_priority)
        return rt->remap->set_priority - 1;
    return rt->event->origin == EO_RECONCILED ? conf_route_reconciled(r) : (uint8_t)r->priority;
}

static void fill_delivery(const struct routing *rt, const struct piece *p, unsigned ordinal,
                          struct rec_delivery *rd)
{
    const struct conf_target *t = p->target;

    *rd = (struct rec_delivery){
        .num = delivery_num(rt->event->id, ordinal),
        .state = DS_READY,
        .priority = priority_of(rt, p->route),
        .route = str_of(p->route->name),
        .piece = str_of(p->key),
        .subject = str_of(routing_subject(rt)),
        .version = str_of(rt->n_abouts ? rt->abouts[0].version : NULL),
        .body = { p->body, p->body_len },
    };
    delivery_hash(rt->event, rd->route, rd->piece, rd->id);
    rd->detail = str_of(p->detail);
    if (t && t->kind == TARGET_SEND) {
        rd->endpoint = str_of(t->endpoint->name);
        rd->action = str_of(t->endpoint->plugin->actions[t->action].name);
    }
    if (p->looks_up) {
        rd->state = DS_HELD;
        rd->hold_type = STR(HOLD_LOOK_UP);
        rd->reason = str_of(p->error);
        rd->next_ms = routing_restored(rt) ? 0 : p->again_ms; /* then a person lets it go */
    } else if (p->paused) {
        rd->state = DS_HELD;
        rd->hold_type = STR("route-paused");
        rd->reason = str_of(p->error);
    } else if (p->error) {
        rd->state = DS_DEAD;
        rd->reason = str_of(p->error);
    } else if (t->kind == TARGET_DEAD) {
        rd->state = DS_DEAD;
        rd->reason = str_of(t->text);
    } else if (p->rejected) {
        rd->state = DS_DEAD;
        rd->reason = str_of(p->said);
    } else if (p->elsewhere) { /* its route's own hold it has been through */
        rd->state = DS_HELD;
        rd->hold_type = STR(HOLD_INTERLOCK);
        rd->reason = str_of(p->elsewhere);
    } else if (p->held) {
        hold(p, rd);
    } else if (routing_restored(rt) && (t->kind == TARGET_HOLD || p->route->hold)) {
        hold_plainly(p, rd);
    } else if (routing_restored(rt)) {
        rd->state = DS_HELD;
        rd->hold_type = STR(RESTORE_HOLD);
        rd->reason = STR(
            "the event stood in the backup that was restored: what became of it since "
            "is not known");
    } else {
        rd->reason = str_of(p->said);
    }
    if (p->late && (rd->state == DS_READY || rd->state == DS_HELD)) {
        rd->state = DS_SUPERSEDED;
        rd->hold_type = STR("");
        rd->reason = str_of(p->late);
    }
}

/** What may have arrived at one endpoint, and would go to another now - that is no member any more,
 *  or only stood in - goes there when a person says that it has not. */
static char *may_be_at_another(const struct remap *m, const struct piece *p)
{
    const char *at = p->error || !p->target || p->target->kind != TARGET_SEND
                         ? NULL
                         : remap_may_be_at(m, str_of(p->key), p->target->endpoint->name);
    struct buf b = { 0 };

    if (!at)
        return NULL;
    buf_printf(&b,
               "%s may have it, and this one goes to another endpoint: release it if you know "
               "that it has nothing, else reject it",
               at);
    return buf_steal(&b, NULL);
}

/** Which member of its group gets a piece: decided once, whatever happens to the record. */
static void choose_members(struct routing *rt)
{
    for (size_t i = 0; i < rt->n_pieces; i++) {
        struct piece *p = &rt->pieces[i];
        struct buf detail = { 0 };
        uint8_t id[16];
        struct group_ask ask = { .route = p->route,
                                 .subject = str_of(routing_subject(rt)),
                                 .piece = str_of(p->key),
                                 .id = id };
        if (p->error || !p->target || p->target->kind != TARGET_GROUP)
            continue;
        delivery_hash(rt->event, str_of(p->route->name), ask.piece, id);
        if (rt->remap)
            ask.sticky = remap_sent_to(rt->remap, ask.piece);
        p->target = group_choose(rt->flow, p->target, &ask, &detail, &p->turn);
        p->detail = buf_steal(&detail, NULL);
    }
    for (size_t i = 0; rt->remap && i < rt->n_pieces; i++) {
        struct piece *p = &rt->pieces[i];
        if (p->stands_in) /* it may come here again */
            continue;
        p->detail = remap_detail(rt->remap, p->detail);
        p->elsewhere = may_be_at_another(rt->remap, p);
        p->stands_in = true;
    }
}

/** once: subject - the log marks a delivery whose key is known as superseded. */
static void add_once_keys(struct routing *rt, const struct rec_routed *routed,
                          struct store_record *rec)
{
    for (size_t i = 0; i < routed->n_deliveries; i++) {
        const struct rec_delivery *rd = &routed->deliveries[i];
        const struct conf_route *r = rt->pieces[i].route;
        uint8_t full[DIGEST_SHA256];
        sl_str parts[] = { STR("once"), rd->route, rd->subject, rd->piece };
        if (!r->once || !rd->subject.len || rd->state == DS_DEAD || rd->state == DS_SUPERSEDED ||
            (rt->event->again && !(rt->remap && remap_takes_once(rt->remap, rd->piece))))
            continue;
        digest_parts(parts, 4, full);
        struct store_key *k = &rec->keys[rec->n_keys++];
        *k = (struct store_key){ .mark_at = rd->state_at, .mark_value = DS_SUPERSEDED };
        memcpy(k->hash, full, 16);
    }
}

struct routed_ctx {
    struct routing *rt;
    struct rec_routed routed; /* arrays owned, views into rt */
    struct older *older;      /* coalesce.c: what it supersedes; NULL: nothing */
};

static void routed_free(struct routed_ctx *rc)
{
    free(rc->routed.abouts);
    free(rc->routed.waits);
    free(rc->routed.deliveries);
    free(rc);
}

/** Made again, of an event whose deliveries fill the window, perhaps because they wait for it. All
 *  that is older is in memory; a claim that finds it again knows its num. */
static bool is_awaited(const struct routing *rt, const struct window *w, uint64_t num)
{
    return rt->remap && delivery_event(num) == delivery_event(w->last);
}

/** At most half of what the others leave: a lane whose remote hangs does not take the others' room,
 *  and one that is closed needs none. */
static bool may_keep(const struct lane *l, size_t len)
{
    uint64_t others = l->flow->kept_bytes - l->kept_bytes;

    return others < KEEP_BYTES && 2 * (l->kept_bytes + len) <= KEEP_BYTES - others &&
           lane_usable(l, NULL);
}

static void deliver_to_lane(struct flow *f, const struct routing *rt, const struct rec_delivery *rd,
                            const struct piece *p)
{
    struct lane *l = rd->endpoint.len ? lane_named(f, rd->endpoint) : &f->nowhere;

    if (flow_delivery(f, rd->num))
        return; /* a claim has seen it before we heard that it is durable */
    if (behind_keeps(f, p->route, rd->subject, rd->piece, rd->num)) {
        l->outside++;
        return;
    }
    if (!is_awaited(rt, &l->windows[rd->priority], rd->num) &&
        !lane_admits(l, rd->priority, rd->num)) {
        f->lowered |= rd->priority != (uint8_t)p->route->priority;
        if (f->beyond || rt->remap) /* what is made late may be older than what is in memory */
            behind_missed(f, p->route, rd->subject, rd->piece, rd->num);
        return;
    }
    struct delivery *d = mem_zero(sizeof(*d));
    d->num = rd->num;
    memcpy(d->id, rd->id, sizeof(d->id));
    d->state = rd->state;
    d->priority = rd->priority;
    d->generation = rt->remap ? remap_generation(rt->remap, rd->piece) : 0;
    d->doubt = rt->remap && remap_in_doubt(rt->remap, rd);
    d->received_ms = rt->event->received_ms;
    d->next_ms = rd->next_ms;
    d->route = p->route;
    d->target = p->target && p->target->kind == TARGET_SEND ? p->target : NULL;
    d->trial = p->turn.trial;
    d->subject = mem_dup(rd->subject);
    d->piece = mem_dup(rd->piece);
    d->topic = mem_dup(rt->event->topic);
    d->body_len = rd->body.len;
    if (d->state == DS_READY && may_keep(l, rd->body.len)) {
        delivery_set_body(d, rd->body);
        d->kept = true;
        f->kept_bytes += rd->body.len;
        l->kept_bytes += rd->body.len;
    }
    d->lane = l;
    bool orphan = rt->config != f->config && !delivery_repoint(d); /* a reload came between */
    if (orphan) { /* where its route is still there it keeps its place in the order */
        d->route = config_route(f->config, str_of(p->route->name));
        d->target = NULL;
        d->settling = d->state != DS_HELD;
    }
    lane_add(l, d);
    if (orphan && d->state != DS_HELD)
        recover_orphan(d);
    lane_pump_soon(l);
}

static void on_routed(struct flow *f, struct commit *c, int status);

void routed_duplicate(struct routing *rt, uint64_t original, sl_str note)
{
    struct routed_ctx *rc = mem_zero(sizeof(*rc));
    struct commit *c = commit_new(rt->flow, on_routed, rc);

    rt->flow->stats.same_events++;
    rc->rt = rt;
    rc->routed = (struct rec_routed){
        .event = rt->event->id, .at_ms = clock_wall_ms(), .duplicate_of = original, .note = note
    };
    rec_routed_encode(&commit_record(c, REC_ROUTED)->payload, &rc->routed);
    commit_go(c);
}

/** One of them, as the log marked it. */
static void apply_one(struct flow *f, const struct routing *rt, const struct rec_delivery *rd,
                      const struct piece *p, uint8_t state)
{
    struct lane *l = rd->endpoint.len ? flow_lane(f, rd->endpoint) : NULL;
    struct delivery named = { .num = rd->num, .subject = (char *)rd->subject.ptr };

    if (state == DS_DEAD) {
        f->stats.routing_errors++;
        dead_notice(f, l, &named, p->route, rd->reason);
    }
    if (state == DS_HELD)
        due_add(f, false, rd->num, rd->next_ms);
    if (state == DS_HELD && p->held)
        hold_notice(f, l, &named, p->route, rd->hold_type, rd->detail, rd->reason);
    else if (state == DS_HELD && !p->looks_up) /* which needs nobody */
        flow_notice(f, NOTICE_HELD, l, &named, p->route, rd->reason);
    latest_made(f, p->route, rd, (enum delivery_state)state);
    if (state == DS_READY || state == DS_HELD)
        deliver_to_lane(f, rt, rd, p);
    order_moved(f, &(struct order_move){ .num = rd->num,
                                         .route = p->route,
                                         .subject = rd->subject,
                                         .piece = rd->piece,
                                         .state = (enum delivery_state)state });
    if (state == DS_READY)
        coalesce_made(f, p->route, rd);
    if (state == DS_READY || state == DS_HELD)
        overtake_made(f, p->route, rd);
}

/** Deliveries of the record, in memory where there is room. */
static void routed_apply(struct flow *f, struct routed_ctx *rc, const struct store_record *rec)
{
    struct routing *rt = rc->rt;
    struct gate *gate = NULL;
    uint8_t *states;

    f->stats.routed++;
    if (rc->routed.duplicate_of)
        return; /* its pieces were delivered as the original's */
    states = mem_array(rt->n_pieces + 1, 1);
    for (size_t i = 0; i < rt->n_pieces; i++)
        states[i] = (uint8_t)rec->payload.data[rc->routed.deliveries[i].state_at];
    if (!rt->event->first_ordinal)
        gate = gate_open(f, &rc->routed, states);
    for (size_t i = 0; i < rt->n_pieces; i++) {
        apply_one(f, rt, &rc->routed.deliveries[i], &rt->pieces[i], states[i]);
        group_chosen(&rt->pieces[i].turn, states[i] == DS_READY || states[i] == DS_HELD);
    }
    gate_opened(gate);
    free(states);
}

static void on_again(void *ctx, bool closing)
{
    struct routing *rt = ctx;

    rt->cancelled |= closing;
    router_store(rt);
}

/** The same event was routed before under another sender's id, or a sweep has found something of
 *  its subject before. */
static void take_refusal(struct routing *rt, const struct store_record *rec)
{
    for (size_t i = 0; i < rec->n_keys; i++)
        if (rec->keys[i].known && rec->keys[i].refuse && !rec->keys[i].only_asked) {
            routed_duplicate(rt, rec->keys[i].value, STR(""));
            return;
        }
    missed_refused(rt);
}

static void on_routed(struct flow *f, struct commit *c, int status)
{
    struct routed_ctx *rc = c->ctx;
    struct routing *rt = rc->rt;
    const struct store_record *rec = &c->records[0];

    coalesce_end(f, rc->older, c, status);
    rc->older = NULL;
    if (status == 0 && rec->refused) {
        await_end(rt, c, status); /* what it released stands beside it, and was not refused */
        routed_free(rc);
        take_refusal(rt, rec);
        return;
    }
    if (status == 0) {
        f->stats.missed += rt->event->origin == EO_RECONCILED && !rc->routed.duplicate_of &&
                           !rt->event->again;
        routed_apply(f, rc, rec);
        dead_event_recorded(f, c);
        links_recorded(rt);
        if (!rt->event->again)
            feeds_hear(f, rt->event->endpoint, rt->event->topic);
        if (!rc->routed.duplicate_of)
            privacy_recorded(rt);
        if (rt->waits)
            links_stored(rt);
    } else if (status == UV_ENOSPC || status == UV_ENOBUFS || status == UV_ENOMEM) {
        routed_free(rc);
        flow_later(f, AGAIN_MS, on_again, rt);
        return;
    }
    /* Any other failure latched the store: it stays unrouted, and the next start routes it. */
    await_end(rt, c, status);
    if (rt->remap)
        remap_routed(rt->remap, rc->routed.n_deliveries ? rc->routed.deliveries[0].num : 0, status);
    routed_free(rc);
    routing_end(rt);
}

/** Pieces that go nowhere, or that stand already, are not made. */
static void drop_pieces(struct routing *rt)
{
    size_t n = 0;

    for (size_t i = 0; i < rt->n_pieces; i++) {
        struct piece *p = &rt->pieces[i];
        if ((!p->error && p->target && p->target->kind == TARGET_DROP) ||
            (rt->remap && !remap_wants(rt->remap, p->key)))
            piece_free(p);
        else
            rt->pieces[n++] = *p;
    }
    rt->n_pieces = n;
}

/** Those that others wait for are numbered first: none waits for a later number, which may be
 * beyond the window. */
static void rank_pieces(struct routing *rt)
{
    struct piece *ranked;
    size_t n = 0;
    uint32_t most = 0;

    for (size_t i = 0; i < rt->n_pieces; i++)
        if (rt->pieces[i].route->rank > most)
            most = rt->pieces[i].route->rank;
    if (!most)
        return;
    ranked = mem_array(rt->n_pieces, sizeof(*ranked));
    for (uint32_t rank = 0; rank <= most; rank++)
        for (size_t i = 0; i < rt->n_pieces; i++)
            if (rt->pieces[i].route->rank == rank)
                ranked[n++] = rt->pieces[i];
    free(rt->pieces);
    rt->pieces = ranked;
}

/** An event has room for so many deliveries; what is beyond is one dead letter, and seen. */
static void cut_pieces(struct routing *rt)
{
    size_t room = DELIVERY_ORDINAL_MAX + 1 - rt->event->first_ordinal;
    struct buf text = { 0 };

    if (rt->event->first_ordinal > DELIVERY_ORDINAL_MAX)
        room = 0;
    if (rt->n_pieces <= room)
        return;
    log_error(&rt->router->log, "event %" PRIu64 ": %zu pieces, and room for %zu", rt->event->id,
              rt->n_pieces, room);
    for (size_t i = room; i < rt->n_pieces; i++)
        piece_free(&rt->pieces[i]);
    buf_printf(&text, "an event makes %u deliveries at most, and this one would make %zu more",
               DELIVERY_ORDINAL_MAX + 1, rt->n_pieces - room + 1);
    rt->n_pieces = room;
    if (room) {
        struct piece *last = &rt->pieces[room - 1];
        const struct conf_route *route = last->route;
        piece_free(last);
        *last = (struct piece){ .route = route, .key = mem_str("") };
        last->error = buf_steal(&text, NULL);
    }
    buf_finish(&text);
}

/* NULL for none: most events are about one thing and make little. */
static void *array_of(size_t n, size_t size)
{
    return n ? mem_array(n, size) : NULL;
}

static void fill_routed(struct routing *rt, struct rec_routed *routed)
{
    size_t n_waits = rt->waits ? rt->n_refs : 0;

    *routed = (struct rec_routed){
        .event = rt->event->id,
        .at_ms = clock_wall_ms(),
        .note = str_of(rt->note),
        .abouts = array_of(rt->n_abouts, sizeof(*routed->abouts)),
        .n_abouts = rt->n_abouts,
        .waits = array_of(n_waits, sizeof(*routed->waits)),
        .n_waits = n_waits,
        .deliveries = array_of(rt->n_pieces, sizeof(*routed->deliveries)),
        .n_deliveries = rt->n_pieces,
    };
    for (size_t i = 0; i < rt->n_abouts; i++)
        routed->abouts[i] = (struct rec_about){ str_of(rt->abouts[i].subject),
                                                str_of(rt->abouts[i].version) };
    for (size_t i = 0; i < routed->n_waits; i++)
        routed->waits[i] = (struct rec_ref){ rt->event->endpoint, str_of(rt->refs[i].kind),
                                             str_of(rt->refs[i].id) };
    for (size_t i = 0; i < rt->n_pieces; i++)
        fill_delivery(rt, &rt->pieces[i], rt->event->first_ordinal + (unsigned)i,
                      &routed->deliveries[i]);
}

static void on_map_again(void *ctx, bool closing)
{
    struct routing *rt = ctx;

    rt->cancelled |= closing;
    if (closing)
        router_store(rt);
    else
        routing_map(rt);
}

/** There is nothing to be written of it: it is over, or comes here again. */
static bool is_settled(struct routing *rt)
{
    if (rt->no_memory && !rt->cancelled) {
        log_warn(&rt->router->log, "no memory to map event %" PRIu64 ": it waits for %d ms",
                 rt->event->id, AGAIN_MS);
        flow_later(rt->flow, AGAIN_MS, on_map_again, rt);
        return true;
    }
    if (rt->cancelled) { /* closing: it is routed at the next start */
        if (rt->remap)
            remap_routed(rt->remap, 0, UV_ECANCELED);
    } else if (rt->waits && rt->remap) { /* it was routed once: its link has gone since */
        remap_routed(rt->remap, 0, UV_ENOENT);
    } else if (rt->remap && rt->config && !config_route(rt->config, str_of(rt->event->only))) {
        remap_routed(rt->remap, 0, UV_ENOENT); /* a reload removed its route meanwhile */
    } else if (rt->lacks && rt->remap && rt->remap->by_clock) {
        remap_routed(rt->remap, 0, UV_ETIMEDOUT);
    } else if (rt->waits && rt->event->waited) { /* nothing new: it goes on waiting */
        links_stored(rt);
    } else {
        return false;
    }
    routing_end(rt);
    return true;
}

void router_store(struct routing *rt)
{
    uint8_t key[16];

    if (is_settled(rt))
        return;
    drop_pieces(rt);
    rank_pieces(rt);
    cut_pieces(rt);
    if (latest_ask(rt)) /* it comes here again */
        return;
    if (rt->cancelled) {
        router_store(rt);
        return;
    }
    choose_members(rt);
    if (await_ask(rt)) /* it comes here again */
        return;
    struct routed_ctx *rc = mem_zero(sizeof(*rc));
    rc->rt = rt;
    fill_routed(rt, &rc->routed);

    struct commit *c = commit_new(rt->flow, on_routed, rc);
    struct store_record *rec = commit_record(c, REC_ROUTED);
    buf_alloc(&rec->payload, ROUTED_ROOM);
    rec_routed_encode(&rec->payload, &rc->routed);
    rec->keys = mem_array(rc->routed.n_deliveries + 1 + MISSED_KEYS, sizeof(*rec->keys));
    if (!rt->waits && !rt->undescribed && routing_event_key(rt, key)) {
        struct store_key *k = &rec->keys[rec->n_keys++];
        *k = (struct store_key){ .refuse = true, .value = rt->event->id };
        memcpy(k->hash, key, sizeof(key));
    }
    missed_keys(rt, rec);
    add_once_keys(rt, &rc->routed, rec);
    privacy_record(rt, c); /* directly behind it, with which it is refused; `rec` may have moved */
    dead_event_record(rt, &rc->routed, c); /* `rec` may have moved */
    links_record(rt, c);
    if (!rt->remap)
        rc->older = coalesce_record(rt->flow, &rc->routed, c);
    if (rt->remap) {
        remap_record(rt->remap, &rc->routed, &commit_record(c, REC_DECISION)->payload);
        dead_event_record_fallen(rt, c);
    }
    await_record(rt, c);
    commit_go(c);
}
