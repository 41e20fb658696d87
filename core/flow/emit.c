/*
 * emit.c - events of the gateway's own: what it says of itself is routed like all others.
 */
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/state.h"

struct emission {
    struct rec_receipt receipt; /* strings owned */
    void (*done)(void *ctx, int status);
    void *ctx;
};

bool flow_wants(const struct flow *f, sl_str topic)
{
    for (size_t i = 0; i < f->config->n_routes; i++)
        if (conf_route_matches(&f->config->routes[i], STR(CONFIG_SELF), topic))
            return true;
    return false;
}

static void emission_free(struct emission *e)
{
    free((char *)e->receipt.topic.ptr);
    free((char *)e->receipt.subject.ptr);
    free((char *)e->receipt.body.ptr);
    free(e);
}

static void on_durable(struct flow *f, struct commit *c, int status)
{
    struct emission *e = c->ctx;

    if (status == 0 && e->receipt.topic.len) {
        f->stats.emitted++;
        router_submit(&f->router, event_from_receipt(c->records[0].seq, &e->receipt));
    }
    e->done(e->ctx, status);
    emission_free(e);
}

static sl_str own(sl_str s)
{
    return (sl_str){ mem_dup(s), s.len };
}

void flow_emit(struct flow *f, const struct flow_event *event, const struct rec_state_item *fact,
               void (*done)(void *ctx, int status), void *ctx)
{
    struct emission *e = mem_zero(sizeof(*e));
    struct commit *c = commit_new(f, on_durable, e);

    e->done = done;
    e->ctx = ctx;
    if (event) {
        e->receipt = (struct rec_receipt){
            .origin = EO_EMITTED,
            .received_ms = clock_wall_ms(),
            .endpoint = STR(CONFIG_SELF),
            .topic = own(event->topic),
            .subject = own(event->subject),
            .body = own(event->body),
        };
        rec_receipt_encode(&commit_record(c, REC_RECEIPT)->payload, &e->receipt);
    }
    if (fact) {
        struct rec_state_item item = *fact;
        struct rec_state state = {
            .at_ms = clock_wall_ms(), .who = STR(CONFIG_SELF), .items = &item, .n_items = 1
        };
        rec_state_encode(&commit_record(c, REC_STATE)->payload, &state);
    }
    commit_go(c);
}
