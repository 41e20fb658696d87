/*
 * dead_event.c - see dead_event.h. What dies at its endpoint is told with its outcome (settle.c),
 * what dies as it is made with the record of its routing: there is no moment at which one is
 * durable without the other.
 */
#include "flow/dead_event.h"

#include "base/clock.h"
#include "base/mem.h"

bool dead_event_wanted(const struct dead_letter *d)
{
    sl_str topic = str_of(d->route->dead_event);

    return topic.len && !str_eq(topic, d->topic);
}

void dead_event_body(const struct dead_letter *d, struct buf *to)
{
    char name[32];

    delivery_name(d->num, name);
    buf_cstr(to, "{\"status\":\"failed\",\"why\":");
    buf_json_str(to, d->why);
    buf_cstr(to, ",\"subject\":");
    buf_json_str(to, d->subject);
    buf_cstr(to, ",\"route\":");
    buf_json_str(to, str_of(d->route->name));
    buf_printf(to, ",\"delivery\":\"%s\"}", name);
}

static sl_str endpoint_of(const struct routing *rt, const struct conf_route *r, sl_str endpoint)
{
    const struct conf_target *t = conf_route_send(r, 0);

    if (endpoint.len)
        return endpoint;
    return t && t->endpoint ? str_of(t->endpoint->name) : rt->event->endpoint;
}

static void record_one(const struct routing *rt, const struct dead_letter *d, sl_str endpoint,
                       struct commit *c)
{
    struct buf body = { 0 };
    struct rec_receipt receipt;
    struct store_record *rec;

    if (!dead_event_wanted(d))
        return;
    dead_event_body(d, &body);
    receipt = (struct rec_receipt){
        .origin = EO_EMITTED,
        .received_ms = clock_wall_ms(),
        .cause = d->num,
        .endpoint = endpoint_of(rt, d->route, endpoint),
        .topic = str_of(d->route->dead_event),
        .subject = d->subject,
        .body = buf_view(&body),
    };
    rec = commit_record(c, REC_RECEIPT);
    rec->follows = true; /* of an event that was routed before nothing is made, and nothing died */
    rec_receipt_encode(&rec->payload, &receipt);
    rec->payload.failed |= body.failed;
    buf_finish(&body);
}

void dead_event_record(struct routing *rt, const struct rec_routed *routed, struct commit *c)
{
    for (size_t i = 0; i < routed->n_deliveries; i++) {
        const struct rec_delivery *rd = &routed->deliveries[i];

        if (rd->state == DS_DEAD)
            record_one(rt,
                       &(struct dead_letter){ .route = rt->pieces[i].route,
                                              .num = rd->num,
                                              .topic = rt->event->topic,
                                              .subject = rd->subject,
                                              .why = rd->reason },
                       rd->endpoint, c);
    }
}

void dead_event_record_fallen(struct routing *rt, struct commit *c)
{
    const struct remap *m = rt->remap;
    const struct conf_route *r = m->by.len && m->closed == DS_DEAD
                                     ? config_route(rt->flow->config, m->row->route)
                                     : NULL;

    if (r)
        record_one(rt,
                   &(struct dead_letter){ .route = r,
                                          .num = m->row->num,
                                          .topic = rt->event->topic,
                                          .subject = m->row->subject,
                                          .why = str_of(m->said) },
                   m->row->endpoint, c);
}

void dead_event_recorded(struct flow *f, const struct commit *c)
{
    struct rec_receipt receipt;

    for (size_t i = 0; i < c->append.n; i++) {
        if (c->records[i].type != REC_RECEIPT || c->records[i].refused ||
            rec_receipt_decode(buf_view(&c->records[i].payload), &receipt) < 0)
            continue;
        f->stats.emitted++;
        router_submit(&f->router, event_from_receipt(c->records[i].seq, &receipt));
    }
}
