/*
 * event.c - an event on its way through the router: one block of bytes, the receipt as the log has
 * it, and views into them.
 */
#include <stdlib.h>
#include <string.h>
#include "flow/state.h"

void event_free(struct event *e)
{
    if (!e)
        return;
    free(e->only);
    free(e->bytes);
    free(e);
}

struct event *event_take(uint64_t id, struct buf *payload)
{
    struct rec_receipt r;
    struct event *e = rec_receipt_decode(buf_view(payload), &r) == 0 ? malloc(sizeof(*e)) : NULL;

    if (!e)
        return NULL;
    *e = (struct event){
        .id = id,
        .received_ms = r.received_ms,
        .origin = r.origin,
        .cause = r.cause,
        .endpoint = r.endpoint,
        .topic = r.topic,
        .sender_id = r.sender_id,
        .subject = r.subject,
        .headers = r.headers,
        .body = r.body,
        .held_bytes = payload->cap,
    };
    e->bytes = buf_steal(payload, NULL);
    return e;
}

struct event *event_from_receipt(uint64_t id, const struct rec_receipt *r)
{
    struct buf payload = { 0 };
    struct event *e = NULL;

    rec_receipt_encode(&payload, r);
    if (!payload.failed)
        e = event_take(id, &payload);
    buf_finish(&payload);
    return e;
}
