/*
 * record_privacy.c - the bytes of what is asked about a person, and how far that is.
 */
#include <stdlib.h>
#include <uv.h>
#include "store/record.h"

#define VERSION 1

void rec_privacy_encode(struct buf *b, const struct rec_privacy *r)
{
    pack_u8(b, VERSION);
    pack_u64(b, r->event);
    pack_u8(b, r->what);
    pack_i64(b, r->at_ms);
    pack_u8(b, r->kind);
    pack_i64(b, r->due_ms);
    pack_str(b, r->endpoint);
    pack_str(b, r->topic);
    pack_str(b, r->asked);
    pack_str(b, r->who);
    pack_str(b, r->why);
    pack_u32(b, (uint32_t)r->n_events);
    for (size_t i = 0; i < r->n_events; i++)
        pack_u64(b, r->events[i]);
}

int rec_privacy_decode(sl_str s, struct rec_privacy *ret)
{
    struct unpack u = unpack_of(s);
    struct rec_privacy r = { 0 };

    if (unpack_u8(&u) != VERSION)
        return UV_EINVAL;
    r.event = unpack_u64(&u);
    r.what = unpack_u8(&u);
    r.at_ms = unpack_i64(&u);
    r.kind = unpack_u8(&u);
    r.due_ms = unpack_i64(&u);
    r.endpoint = unpack_str(&u);
    r.topic = unpack_str(&u);
    r.asked = unpack_str(&u);
    r.who = unpack_str(&u);
    r.why = unpack_str(&u);
    r.n_events = unpack_u32(&u);
    if (u.bad || r.what >= PRIVACY__COUNT || r.kind >= PRIVACY_KIND__END ||
        r.n_events != (size_t)(u.end - u.p) / 8)
        return UV_EINVAL;
    r.events = calloc(r.n_events ? r.n_events : 1, sizeof(*r.events));
    if (!r.events)
        return UV_ENOMEM;
    for (size_t i = 0; i < r.n_events; i++)
        r.events[i] = unpack_u64(&u);
    if (!unpack_done(&u)) {
        rec_privacy_finish(&r);
        return UV_EINVAL;
    }
    *ret = r;
    return 0;
}

void rec_privacy_finish(struct rec_privacy *r)
{
    free(r->events);
    *r = (struct rec_privacy){ 0 };
}
