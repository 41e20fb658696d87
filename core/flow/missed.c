/*
 * missed.c - see missed.h.
 */
#include "flow/missed.h"

#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/mem.h"
#include "flow/order.h"

#define UNLESS   "Sluice-Unless" /* headers of the receipt, for people to read as well */
#define SINCE    "Sluice-Since"
#define AGAIN_MS 1000

/* ---- what it says ---- */

void missed_encode(const struct missed *m, struct buf *to)
{
    sl_header headers[] = { { STR(UNLESS), m->unless }, { STR(SINCE), m->since } };

    rec_headers_encode(to, headers, 2);
}

struct missed missed_decode(sl_str headers)
{
    struct missed m = { 0 };
    sl_header *list;
    size_t n;

    if (!headers.len || rec_headers_decode(headers, &list, &n) < 0)
        return m;
    for (size_t i = 0; i < n; i++) {
        if (str_eq(list[i].name, STR(UNLESS)))
            m.unless = list[i].value;
        else if (str_eq(list[i].name, STR(SINCE)))
            m.since = list[i].value;
    }
    free(list);
    return m;
}

/** Is the topic one of the list? */
static bool names(sl_str list, sl_str topic)
{
    while (list.len) {
        const char *end = memchr(list.ptr, ' ', list.len);
        size_t n = end ? (size_t)(end - list.ptr) : list.len;

        if (str_eq((sl_str){ list.ptr, n }, topic))
            return true;
        n += end != NULL;
        list.ptr += n;
        list.len -= n;
    }
    return false;
}

uint64_t missed_known(const struct missed *m, sl_str endpoint, const struct store_came *came,
                      size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (names(m->unless, came[i].topic) && str_eq(came[i].endpoint, endpoint) &&
            came[i].version.len && version_compare(came[i].version, m->since) >= 0)
            return came[i].id;
    return 0;
}

/* ---- before it is mapped ---- */

static void ask(struct routing *rt);

static void on_again(void *ctx, bool closing)
{
    struct routing *rt = ctx;

    rt->cancelled |= closing;
    if (closing)
        router_store(rt);
    else
        ask(rt);
}

static void on_came(void *ctx, int status, const struct store_came *came, size_t n)
{
    struct routing *rt = ctx;
    struct missed m = missed_decode(rt->event->headers);
    uint64_t known = status < 0 ? 0 : missed_known(&m, rt->event->endpoint, came, n);

    if (status == UV_ECANCELED)
        on_again(rt, true);
    else if (status < 0)
        flow_later(rt->flow, AGAIN_MS, on_again, rt);
    else if (known)
        routed_duplicate(rt, known, STR("another event has said it already"));
    else
        routing_go(rt);
}

static void ask(struct routing *rt)
{
    int r = store_came(rt->flow->store, str_of(routing_subject(rt)), MISSED_LOOK, on_came, rt);

    if (r < 0)
        flow_later(rt->flow, r == UV_ECANCELED ? 0 : AGAIN_MS, on_again, rt);
}

static bool is_missed(const struct routing *rt)
{
    const struct event *e = rt->event;

    return e->origin == EO_RECONCILED && !e->again && !rt->undescribed && routing_subject(rt)[0] &&
           missed_decode(e->headers).since.len;
}

bool missed_ask(struct routing *rt)
{
    if (!is_missed(rt))
        return false;
    ask(rt);
    return true;
}

/* ---- what comes after all ---- */

/** Of an endpoint that sweeps, something that has a version. */
static bool may_be_late(const struct routing *rt)
{
    const struct event *e = rt->event;
    const struct lane *l = flow_lane(rt->flow, e->endpoint);
    const sl_feed *kind = l && l->adapter ? l->adapter->plugin->feeds : NULL;

    if (rt->late_asked || (e->origin != EO_WEBHOOK && e->origin != EO_POLLED) || e->again ||
        rt->undescribed || rt->waits || !rt->n_abouts || !rt->abouts[0].version[0])
        return false;
    for (; kind && kind->name; kind++)
        if (kind->flags & SL_FEED_SWEEP)
            return true;
    return false;
}

void missed_keys(const struct routing *rt, struct store_record *rec)
{
    sl_str parts[] = { STR("missed"), rt->event->endpoint, rt->event->topic,
                       str_of(routing_subject(rt)) };
    bool found = is_missed(rt);
    uint8_t full[DIGEST_SHA256];

    if (!found && !may_be_late(rt))
        return;
    digest_parts(parts, 4, full);
    struct store_key *k = &rec->keys[rec->n_keys++];
    *k = (struct store_key){ .refuse = !found, .only_asked = !found, .only_entered = found };
    memcpy(k->hash, full, sizeof(k->hash));
}

static void ask_late(struct routing *rt);

static void on_late_again(void *ctx, bool closing)
{
    struct routing *rt = ctx;

    rt->cancelled |= closing;
    if (closing)
        router_store(rt);
    else
        ask_late(rt);
}

static void on_late(void *ctx, int status, const struct store_came *came, size_t n)
{
    struct routing *rt = ctx;
    struct missed m = { rt->event->topic, str_of(rt->abouts[0].version) };
    uint64_t known = 0;

    if (status < 0) {
        flow_later(rt->flow, status == UV_ECANCELED ? 0 : AGAIN_MS, on_late_again, rt);
        return;
    }
    for (size_t i = 0; i < n && !known; i++)
        if (came[i].origin == EO_RECONCILED)
            known = missed_known(&m, rt->event->endpoint, &came[i], 1);
    rt->late_asked = true;
    rt->flow->stats.late += known != 0;
    if (known)
        routed_duplicate(rt, known, STR("it came after a sweep had found it"));
    else
        router_store(rt);
}

static void ask_late(struct routing *rt)
{
    int r = store_came(rt->flow->store, str_of(routing_subject(rt)), MISSED_LOOK, on_late, rt);

    if (r < 0)
        flow_later(rt->flow, r == UV_ECANCELED ? 0 : AGAIN_MS, on_late_again, rt);
}

void missed_refused(struct routing *rt)
{
    ask_late(rt);
}
