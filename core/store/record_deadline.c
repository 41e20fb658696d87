/*
 * record_deadline.c - the bytes of what becomes of deadlines.
 */
#include <stdlib.h>
#include <uv.h>
#include "store/record.h"

#define VERSION    1
#define ITEM_LEAST 57 /* bytes of an item without its texts */

void rec_deadlines_encode(struct buf *b, const struct rec_deadlines *r)
{
    pack_u8(b, VERSION);
    pack_i64(b, r->at_ms);
    pack_u32(b, (uint32_t)r->n_items);
    for (size_t i = 0; i < r->n_items; i++) {
        const struct rec_deadline *d = &r->items[i];

        pack_u64(b, d->num);
        pack_u8(b, d->what);
        pack_i64(b, d->next_ms);
        pack_i64(b, d->due_ms);
        pack_u64(b, d->event);
        pack_str(b, d->expect);
        pack_str(b, d->topic);
        pack_str(b, d->owner);
        pack_str(b, d->route);
        pack_str(b, d->subject);
        pack_str(b, d->endpoint);
    }
}

static void item_decode(struct unpack *u, struct rec_deadline *d)
{
    d->num = unpack_u64(u);
    d->what = unpack_u8(u);
    u->bad |= d->what >= DEADLINE__COUNT;
    d->next_ms = unpack_i64(u);
    d->due_ms = unpack_i64(u);
    d->event = unpack_u64(u);
    d->expect = unpack_str(u);
    d->topic = unpack_str(u);
    d->owner = unpack_str(u);
    d->route = unpack_str(u);
    d->subject = unpack_str(u);
    d->endpoint = unpack_str(u);
}

int rec_deadlines_decode(sl_str s, struct rec_deadlines *ret)
{
    struct unpack u = unpack_of(s);
    struct rec_deadlines r = { 0 };

    if (unpack_u8(&u) != VERSION)
        return UV_EINVAL;
    r.at_ms = unpack_i64(&u);
    r.n_items = unpack_u32(&u);
    if (u.bad || r.n_items > (size_t)(u.end - u.p) / ITEM_LEAST)
        return UV_EINVAL;
    r.items = calloc(r.n_items ? r.n_items : 1, sizeof(*r.items));
    if (!r.items)
        return UV_ENOMEM;
    for (size_t i = 0; i < r.n_items; i++)
        item_decode(&u, &r.items[i]);
    if (!unpack_done(&u)) {
        rec_deadlines_finish(&r);
        return UV_EINVAL;
    }
    *ret = r;
    return 0;
}

void rec_deadlines_finish(struct rec_deadlines *r)
{
    free(r->items);
    *r = (struct rec_deadlines){ 0 };
}
