#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "flow/state.h"

void event_free(struct event *e)
{
    if (!e)
        return;
    free(e->endpoint);
    free(e->topic);
    free(e->sender_id);
    free(e->subject);
    free(e->body);
    free(e->headers);
    free(e->header_bytes);
    free(e);
}

struct event *event_from_receipt(uint64_t id, const struct rec_receipt *r)
{
    struct event *e = mem_zero(sizeof(*e));

    e->id = id;
    e->received_ms = r->received_ms;
    e->origin = r->origin;
    e->cause = r->cause;
    e->endpoint = mem_dup(r->endpoint);
    e->topic = mem_dup(r->topic);
    e->sender_id = mem_dup(r->sender_id);
    e->subject = mem_dup(r->subject);
    e->body = mem_dup(r->body);
    e->body_len = r->body.len;
    e->header_bytes = mem_dup(r->headers);
    if (r->headers.len && rec_headers_decode((sl_str){ e->header_bytes, r->headers.len },
                                             &e->headers, &e->n_headers) < 0)
        e->n_headers = 0;
    return e;
}
