/*
 * remap.c - a delivery made again from its event, with the route's program as it is now.
 *
 * What the route made besides it stands: its other pieces may have been sent, so a piece of theirs
 * is not made twice. The old delivery is closed in the same append that makes the new one, which
 * keeps the old one's key: id and generation. One after the other: each takes the event's next
 * ordinals, and those of a subject come in their order. Only fallbacks, and what waits for rows, of
 * different subjects have nothing to do with each other: some are made at once, so that none waits
 * for a hundred others.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/routing.h"

#define AT_ONCE 64 /* fallbacks, and what waits for rows */
#define LOOK_AT 64 /* of those that wait */

struct sibling {
    struct remap *remap;
    char *piece; /* own; NULL: not of this route, or it never was more than an error */
    uint64_t num;
    enum delivery_state state;
};

/** The route that makes it. */
static sl_str route_of(const struct remap *m)
{
    return m->by.len ? m->by : m->row->route;
}

static void begin_some(struct flow *f);

static void remap_end(struct remap *m, int status)
{
    struct flow *f = m->flow;

    list_remove(&m->node);
    for (size_t i = 0; i < m->n_siblings; i++)
        free(m->siblings[i].piece);
    free(m->siblings);
    m->siblings = NULL;
    m->n_siblings = 0;
    m->status = status;
    begin_some(f);
    m->done(m);
}

void remap_routed(struct remap *m, uint64_t first_num, int status)
{
    m->made = first_num;
    remap_end(m, status);
}

/* ---- what else was made of the event ---- */

static void route_it(struct remap *m)
{
    struct event *e = m->event;

    m->event = NULL;
    if (!m->backfill && !m->by.len)
        flow_resume_route(m->flow, m->row->route);
    e->only = mem_dup(route_of(m));
    e->anyway = m->by.len > 0;
    e->again = true;
    e->first_ordinal = (uint32_t)m->n_siblings;
    router_remap(&m->flow->router, e, m);
}

static void one_read(struct remap *m)
{
    if (--m->pending)
        return;
    if (m->status == 0 && m->there)
        m->status = UV_EEXIST;
    if (m->status == 0) {
        route_it(m);
        return;
    }
    event_free(m->event);
    m->event = NULL;
    remap_end(m, m->status);
}

static void on_sibling(void *ctx, int status, const struct store_delivery *row, sl_str body,
                       sl_str request)
{
    struct sibling *s = ctx;
    struct remap *m = s->remap;

    (void)body;
    (void)request;
    if (status < 0 && status != UV_ENOENT)
        m->status = status;
    else if (status == 0 && m->backfill)
        m->there |= str_eq(row->route, m->row->route);
    else if (status == 0 && str_eq(row->route, route_of(m)) &&
             (row->endpoint.len || row->state == DS_HELD || m->by.len))
        s->piece = mem_dup(row->piece);
    if (status == 0)
        s->state = row->state;
    one_read(m);
}

static void on_event(void *ctx, int status, const struct store_event *se)
{
    struct remap *m = ctx;

    if (status == 0 && !config_route(m->flow->config, route_of(m)))
        status = UV_ENOENT;
    if (status < 0) {
        remap_end(m, status);
        return;
    }
    m->event = event_from_receipt(se->id, &se->receipt);
    if (!m->event) {
        remap_end(m, UV_ENOMEM);
        return;
    }
    m->n_siblings = se->n_deliveries;
    m->siblings = mem_array(m->n_siblings ? m->n_siblings : 1, sizeof(*m->siblings));
    m->pending = 1;
    for (size_t i = 0; i < m->n_siblings; i++) {
        uint64_t num = delivery_num(se->id, (unsigned)i);
        m->siblings[i].remap = m;
        m->siblings[i].num = num;
        if (num == m->row->num)
            continue;
        int r = store_delivery_get(m->flow->store, num, on_sibling, &m->siblings[i]);
        if (r < 0)
            m->status = r;
        else
            m->pending++;
    }
    one_read(m);
}

static void remap_begin(struct remap *m)
{
    int r = m->flow->draining
                ? UV_ECANCELED
                : store_event_get(m->flow->store, delivery_event(m->row->num), on_event, m);

    if (r < 0)
        remap_end(m, r);
}

static bool apart(const struct remap *a, const struct remap *b)
{
    bool free = (a->by.len || a->by_clock) && (b->by.len || b->by_clock);

    return free && a->row->subject.len && b->row->subject.len &&
           delivery_event(a->row->num) != delivery_event(b->row->num) &&
           !str_eq(a->row->subject, b->row->subject);
}

/** Is it apart from all that are before it? */
static bool may_begin(const struct flow *f, const struct remap *m)
{
    list_each (i, &f->remaps) {
        const struct remap *before = list_entry(i, struct remap, node);
        if (before == m)
            break;
        if (!apart(before, m))
            return false;
    }
    return true;
}

static struct remap *next_one(const struct flow *f)
{
    size_t begun = 0, seen = 0;

    list_each (i, &f->remaps) {
        struct remap *m = list_entry(i, struct remap, node);
        if (begun == AT_ONCE || seen++ == LOOK_AT)
            break;
        if (!m->begun && may_begin(f, m))
            return m;
        begun += m->begun;
    }
    return NULL;
}

static void begin_some(struct flow *f)
{
    struct remap *m;

    if (f->remaps_begin)
        return; /* one ended at once: it is looked again */
    f->remaps_begin = true;
    while ((m = next_one(f))) {
        m->begun = true;
        remap_begin(m);
    }
    f->remaps_begin = false;
}

void remap_start(struct remap *m)
{
    list_append(&m->flow->remaps, &m->node);
    begin_some(m->flow);
}

/* ---- what the router asks ---- */

/** Does a piece of the fallback's stand for the one that was given up? Of a route that splits as
 *  its own does only the same one: the others went where they belong. */
static bool stands_for(const struct remap *m, const char *piece)
{
    return !m->row->piece.len || !piece[0] || str_eq(m->row->piece, str_of(piece));
}

bool remap_wants(const struct remap *m, const char *piece)
{
    if (m->by.len && !stands_for(m, piece))
        return false;
    if (!m->by.len && str_eq(m->row->piece, str_of(piece)))
        return true; /* it replaces that one */
    for (size_t i = 0; i < m->n_siblings; i++)
        if (m->siblings[i].piece && !strcmp(m->siblings[i].piece, piece))
            return false;
    return true;
}

bool remap_takes_once(const struct remap *m, sl_str piece)
{
    return m->backfill || m->by.len || !str_eq(m->row->piece, piece) ||
           (m->row->state == DS_DEAD && !m->row->endpoint.len);
}

uint32_t remap_generation(const struct remap *m, sl_str piece)
{
    return !m->backfill && !m->by.len && str_eq(m->row->piece, piece) ? m->row->generation : 0;
}

const char *remap_sent_to(const struct remap *m, sl_str piece)
{
    return m->row->first_sent_ms && !m->by.len && str_eq(m->row->piece, piece)
               ? m->row->endpoint.ptr
               : NULL;
}

bool remap_in_doubt(const struct remap *m, const struct rec_delivery *rd)
{
    return !m->backfill && !m->by.len && str_eq(m->row->piece, rd->piece) &&
           str_eq(m->row->endpoint, rd->endpoint) && store_in_doubt(m->row);
}

const char *remap_may_be_at(const struct remap *m, sl_str piece, const char *endpoint)
{
    const char *at = store_in_doubt(m->row) ? remap_sent_to(m, piece) : NULL;

    return at && strcmp(at, endpoint) != 0 ? at : NULL;
}

/* Who gave the event to the route, in the timeline of what came of it. */
static void backfill_moves(const struct remap *m, const struct rec_routed *routed,
                           struct rec_moves *rec)
{
    for (size_t i = 0; i < routed->n_deliveries; i++) {
        const struct rec_delivery *rd = &routed->deliveries[i];
        rec->moves[rec->n_moves++] = (struct rec_move){
            .num = rd->num,
            .state = rd->state,
            .next_ms = rd->next_ms,
            .reason = rd->reason.len ? rd->reason : m->why,
            .hold_type = rd->hold_type,
        };
    }
}

/* ---- fallback: its event goes by another route ---- */

char *remap_detail(const struct remap *m, char *detail)
{
    struct buf b = { 0 };
    char name[32];

    if (!m->by.len)
        return detail;
    if (detail && strlen(detail) > 2)
        buf_append(&b, detail, strlen(detail) - 1); /* without its bracket */
    delivery_name(m->row->num, name);
    buf_printf(&b, "%c\"fallback\":{\"route\":", b.len ? ',' : '{');
    buf_json_str(&b, m->row->route);
    buf_printf(&b, ",\"delivery\":\"%s\",\"because\":", name);
    buf_json_str(&b, m->why);
    buf_cstr(&b, "}}");
    free(detail);
    return buf_steal(&b, NULL);
}

/** The route's delivery that stands for it already; of several one that may still be done. */
static const struct sibling *there_already(const struct remap *m)
{
    const struct sibling *found = NULL;

    for (size_t i = 0; i < m->n_siblings; i++) {
        const struct sibling *s = &m->siblings[i];
        if (s->piece && stands_for(m, s->piece) && (!found || found->state == DS_DEAD))
            found = s;
    }
    return found;
}

/** Closed if another has it now, or had it before; else a dead letter, as without a fallback. */
static struct rec_move fallen_move(struct remap *m, const struct rec_routed *routed)
{
    const struct sibling *s = there_already(m);
    struct buf said = { 0 };
    char name[32] = "";

    m->closed = DS_SUPERSEDED;
    if (routed->n_deliveries) {
        delivery_name(routed->deliveries[0].num, name);
        buf_printf(&said, "it went by route " STR_FMT " instead, as %s: " STR_FMT, STR_ARG(m->by),
                   name, STR_ARG(m->why));
    } else if (s && s->state != DS_DEAD && s->state != DS_DISCARDED) {
        delivery_name(s->num, name);
        buf_printf(&said, "route " STR_FMT " has its event already, as %s: " STR_FMT,
                   STR_ARG(m->by), name, STR_ARG(m->why));
    } else {
        m->closed = DS_DEAD;
        buf_printf(&said, STR_FMT "; route " STR_FMT " ", STR_ARG(m->why), STR_ARG(m->by));
        if (s) {
            delivery_name(s->num, name);
            buf_printf(&said, "has its event as %s, which is %s", name,
                       delivery_state_names[s->state]);
        } else {
            buf_cstr(&said, "makes nothing of its event");
        }
    }
    free(m->said);
    m->said = buf_steal(&said, NULL);
    return (struct rec_move){ .num = m->row->num,
                              .state = m->closed,
                              .generation = m->row->generation,
                              .reason = str_of(m->said) };
}

void remap_record(struct remap *m, const struct rec_routed *routed, struct buf *out)
{
    struct rec_moves rec = {
        .at_ms = clock_wall_ms(),
        .who = m->who,
        .moves = mem_array(routed->n_deliveries + 1, sizeof(struct rec_move)),
    };

    if (m->backfill) {
        backfill_moves(m, routed, &rec);
        rec_moves_encode(out, &rec);
        free(rec.moves);
        return;
    }
    rec.n_moves = 1;
    if (m->by.len) {
        rec.moves[0] = fallen_move(m, routed);
        rec_moves_encode(out, &rec);
        free(rec.moves);
        return;
    }

    rec.moves[0] = (struct rec_move){
        .num = m->row->num,
        .state = DS_DISCARDED,
        .generation = m->row->generation,
        .hold_type = STR(REMAPPED),
        .reason = m->why.len ? m->why : STR("mapped again from its event"),
    };
    for (size_t i = 0; i < routed->n_deliveries; i++) {
        const struct rec_delivery *rd = &routed->deliveries[i];
        uint32_t generation = remap_generation(m, rd->piece);
        bool doubt = remap_in_doubt(m, rd);
        if (generation || doubt)
            rec.moves[rec.n_moves++] = (struct rec_move){
                .num = rd->num,
                .state = rd->state,
                .generation = generation,
                .next_ms = rd->next_ms,
                .reason = rd->reason,
                .hold_type = rd->hold_type,
                .arrival = doubt ? ARRIVAL_PERHAPS : ARRIVAL_KEEP,
            };
    }
    rec_moves_encode(out, &rec);
    free(rec.moves);
}
