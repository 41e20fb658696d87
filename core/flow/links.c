/*
 * links.c - events of which only references are known: they wait until a link says what they are
 * about, and are routed once, with the first link that does. Outcomes write links, events that know
 * both the subject and the foreign id do, and the endpoint they came from is asked (resolve.h).
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "flow/resolve.h"
#include "flow/routing.h"

#define AGAIN_MS 1000

/** Events that wait for one link; what has stopped waiting may still be named. */
struct waiting_ref {
    UT_hash_handle hh; /* router.waiting, by key */
    uint8_t key[16];
    uint64_t *events;
    size_t n;
};

/** An event that waits for a link. It is here from before the links are asked for, so that a link
 *  written meanwhile finds it, and goes with the first one: it is routed once. */
struct waiting_event {
    UT_hash_handle hh; /* router.waiting_events, by id */
    uint64_t id;
    bool storing; /* it is not durable yet that it waits */
    bool woken;   /* and a link of it was written meanwhile */
};

/** One that began to wait while the start is still looking for those from before: it is none of
 *  them, also if it came before the start. */
struct begun_here {
    UT_hash_handle hh; /* router.begun_here, by id */
    uint64_t id;
};

static void ref_key(sl_str endpoint, sl_str kind, sl_str id, uint8_t out[16])
{
    uint8_t full[DIGEST_SHA256];
    sl_str parts[] = { endpoint, kind, id };

    digest_parts(parts, 3, full);
    memcpy(out, full, 16);
}

static struct waiting_event *waiting_event(struct router *r, uint64_t id)
{
    struct waiting_event *we;

    HASH_FIND(hh, r->waiting_events, &id, sizeof(id), we);
    return we;
}

static void stop_waiting(struct router *r, uint64_t id)
{
    struct waiting_event *we = waiting_event(r, id);

    if (!we)
        return;
    HASH_DEL(r->waiting_events, we);
    free(we);
}

bool links_begun_here(const struct router *r, uint64_t id)
{
    struct begun_here *b;

    HASH_FIND(hh, r->begun_here, &id, sizeof(id), b);
    return b;
}

static void note_begun(struct router *r, uint64_t id)
{
    struct begun_here *b;

    if (!r->looking || links_begun_here(r, id))
        return;
    b = mem_zero(sizeof(*b));
    b->id = id;
    HASH_ADD(hh, r->begun_here, id, sizeof(b->id), b);
}

void links_looked(struct router *r)
{
    struct begun_here *b, *tmp;

    r->looking = false;
    HASH_ITER (hh, r->begun_here, b, tmp) {
        HASH_DEL(r->begun_here, b);
        free(b);
    }
}

/** From now on a link that is written finds it. */
static void begin_waiting(struct routing *rt)
{
    struct router *r = rt->router;
    struct waiting_event *we = mem_zero(sizeof(*we));

    if (!rt->event->waited)
        note_begun(r, rt->event->id);
    we->id = rt->event->id;
    we->storing = true;
    HASH_ADD(hh, r->waiting_events, id, sizeof(we->id), we);
    for (size_t i = 0; i < rt->n_refs; i++) {
        struct waiting_ref *w;
        uint8_t key[16];
        ref_key(rt->event->endpoint, str_of(rt->refs[i].kind), str_of(rt->refs[i].id), key);
        HASH_FIND(hh, r->waiting, key, sizeof(key), w);
        if (!w) {
            w = mem_zero(sizeof(*w));
            memcpy(w->key, key, sizeof(key));
            HASH_ADD(hh, r->waiting, key, sizeof(w->key), w);
        }
        w->events = mem_grow(w->events, (w->n + 1) * sizeof(*w->events));
        w->events[w->n++] = we->id;
    }
}

static void wake_event(struct router *r, uint64_t id)
{
    struct waiting_event *we = waiting_event(r, id);

    if (!we)
        return; /* another link of it was faster */
    if (we->storing) {
        we->woken = true;
        return;
    }
    stop_waiting(r, id);
    router_fetch(r, id);
}

void links_stored(struct routing *rt)
{
    struct waiting_event *we = waiting_event(rt->router, rt->event->id);

    if (!we)
        return;
    we->storing = false;
    if (we->woken)
        wake_event(rt->router, we->id);
}

void router_link_written(struct router *r, sl_str endpoint, sl_str kind, sl_str id)
{
    struct waiting_ref *w;
    uint8_t key[16];

    if (!r->waiting)
        return;
    ref_key(endpoint, kind, id, key);
    HASH_FIND(hh, r->waiting, key, sizeof(key), w);
    if (!w)
        return;
    HASH_DEL(r->waiting, w);
    for (size_t i = 0; i < w->n; i++)
        wake_event(r, w->events[i]);
    free(w->events);
    free(w);
}

uint64_t router_waiting(const struct router *r)
{
    return HASH_COUNT(r->waiting_events);
}

void links_close(struct router *r)
{
    struct waiting_ref *w, *tmp;
    struct waiting_event *we, *next;

    links_looked(r);
    HASH_ITER (hh, r->waiting, w, tmp) {
        HASH_DEL(r->waiting, w);
        free(w->events);
        free(w);
    }
    HASH_ITER (hh, r->waiting_events, we, next) {
        HASH_DEL(r->waiting_events, we);
        free(we);
    }
}

/* ---- asking ---- */

static void ask(struct routing *rt);

static void on_ask_again(void *ctx, bool closing)
{
    struct routing *rt = ctx;

    rt->cancelled |= closing;
    ask(rt);
}

/** Nobody knows yet: its endpoint is asked, unless a link was written while this was looked up. */
static void ask_endpoint(const struct routing *rt)
{
    const struct waiting_event *we = waiting_event(rt->router, rt->event->id);

    if (rt->waits && !rt->cancelled && !rt->remap && we && !we->woken)
        resolve_want(rt->flow, rt->event->endpoint, str_of(rt->refs[0].kind),
                     str_of(rt->refs[0].id), rt->event->id);
}

static void on_links(void *ctx, int status, const sl_str *subjects, size_t n)
{
    struct routing *rt = ctx;

    if (status < 0 && status != UV_ECANCELED) {
        flow_later(rt->flow, AGAIN_MS, on_ask_again, rt);
        return;
    }
    for (size_t i = 0; status == 0 && i < n && !rt->n_abouts; i++)
        if (subjects[i].len)
            routing_about(rt, subjects[i]);
    rt->waits = !rt->n_abouts;
    if (status == UV_ECANCELED)
        rt->cancelled = true;
    ask_endpoint(rt);
    if (!rt->waits || rt->cancelled)
        stop_waiting(rt->router, rt->event->id);
    if (rt->waits || rt->cancelled)
        router_store(rt);
    else if (routing_turn(rt))
        routing_map(rt);
}

static void ask(struct routing *rt)
{
    struct rec_ref *refs = mem_array(rt->n_refs, sizeof(*refs));
    int r = UV_ECANCELED;

    for (size_t i = 0; i < rt->n_refs; i++)
        refs[i] = (struct rec_ref){ rt->event->endpoint, str_of(rt->refs[i].kind),
                                    str_of(rt->refs[i].id) };
    if (!rt->cancelled)
        r = store_links(rt->flow->store, refs, rt->n_refs, on_links, rt);
    free(refs);
    if (r < 0)
        on_links(rt, r, NULL, 0);
}

/** What is made again is about what it was about, also when the link has gone since. */
static bool known_before(struct routing *rt)
{
    sl_str subject = rt->remap ? rt->remap->row->subject : STR("");

    if (!subject.len)
        return false;
    routing_about(rt, subject);
    return true;
}

bool links_ask(struct routing *rt)
{
    if (rt->n_abouts || !rt->n_refs)
        return false;
    if (known_before(rt))
        return !routing_turn(rt);
    begin_waiting(rt);
    ask(rt);
    return true;
}

/* ---- what an event says itself ---- */

static bool tells(const struct routing *rt)
{
    return rt->n_learnt && rt->n_abouts && !rt->event->again;
}

void links_record(const struct routing *rt, struct commit *c)
{
    struct rec_moves rec = { .at_ms = clock_wall_ms(), .who = STR("event") };
    struct store_record *to;

    if (!tells(rt))
        return;
    rec.links = mem_array(rt->n_learnt, sizeof(*rec.links));
    for (size_t i = 0; i < rt->n_learnt; i++)
        rec.links[rec.n_links++] = (struct rec_link){
            .endpoint = rt->event->endpoint,
            .kind = str_of(rt->learnt[i].kind),
            .id = str_of(rt->learnt[i].id),
            .subject = str_of(routing_subject(rt)),
            .num = delivery_num(rt->event->id, REC_LINK_LEARNT),
        };
    to = commit_record(c, REC_DECISION);
    to->follows = true;
    rec_moves_encode(&to->payload, &rec);
    free(rec.links);
}

void links_recorded(const struct routing *rt)
{
    for (size_t i = 0; tells(rt) && i < rt->n_learnt; i++)
        router_link_written(rt->router, rt->event->endpoint, str_of(rt->learnt[i].kind),
                            str_of(rt->learnt[i].id));
}
