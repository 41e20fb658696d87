#include "flow/delivery.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/mem.h"
#include "flow/parents.h"
#include "flow/state.h"

void delivery_set_body(struct delivery *d, sl_str body)
{
    free(d->body);
    d->body = mem_dup(body);
    parents_unlearn(d);
    /* body_len is what a pile counted: it never changes, and both come from the same record */
    d->body_len = body.len;
}

void delivery_set_request(struct delivery *d, sl_str request)
{
    free(d->request);
    d->request = mem_dup(request);
    d->request_len = request.len;
}

void delivery_drop_bytes(struct delivery *d)
{
    free(d->body);
    free(d->request);
    d->body = d->request = NULL;
    d->request_len = 0;
}

void delivery_set_why(struct delivery *d, sl_str why)
{
    free(d->why);
    d->why = why.len ? mem_dup(why) : NULL;
}

void delivery_key(const struct delivery *d, char out[40])
{
    char id[32];

    base64url_encode(d->id, sizeof(d->id), id);
    snprintf(out, 40, "%s-%u", id, d->generation);
}

void delivery_hash(const struct event *e, sl_str route, sl_str piece, uint8_t out[16])
{
    uint8_t full[DIGEST_SHA256];
    char number[24], received[24];

    snprintf(number, sizeof(number), "%" PRIu64, e->id);
    snprintf(received, sizeof(received), "%" PRId64, e->received_ms);
    sl_str parts[] = { str_of(number), str_of(received), e->endpoint, e->sender_id, route, piece };
    digest_parts(parts, sizeof(parts) / sizeof(parts[0]), full);
    memcpy(out, full, 16);
}

void delivery_free(struct delivery *d)
{
    if (!d)
        return;
    delivery_drop_bytes(d);
    config_unref(d->stale);
    free(d->subject);
    free(d->piece);
    free(d->topic);
    free(d->why);
    free(d->fallen);
    free(d->answer);
    free(d);
}
