/*
 * record.c - the bytes of the log's records.
 *
 * Every record begins with the version of its form. A reader refuses a version it does not know,
 * and refuses bytes left over: a record is understood wholly or not at all.
 */
#include "store/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#define RECORD_VERSION 1
#define ROUTED_VERSION 2 /* a delivery has a clock, a version and a detail */
#define MOVES_VERSION  2 /* a move may change priority, detail, body and arrival */

const char *const delivery_state_names[DS__COUNT] = {
    [DS_READY] = "ready",         [DS_INFLIGHT] = "inflight", [DS_WAITING] = "waiting",
    [DS_PARKED] = "parked",       [DS_UNKNOWN] = "unknown",   [DS_HELD] = "held",
    [DS_DELIVERED] = "delivered", [DS_DEAD] = "dead",         [DS_SUPERSEDED] = "superseded",
    [DS_DISCARDED] = "discarded",
};

/* ---- names ---- */

void delivery_name(uint64_t num, char out[32])
{
    snprintf(out, 32, "%" PRIu64 ".%u", delivery_event(num), delivery_ordinal(num));
}

/* A number without sign or leading zeros at the front of `s`, cut off from it. */
static int parse_number(sl_str *s, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    size_t n = 0;

    while (n < s->len && s->ptr[n] >= '0' && s->ptr[n] <= '9') {
        v = v * 10 + (uint64_t)(s->ptr[n] - '0');
        if (v > max)
            return UV_EINVAL;
        n++;
    }
    if (n == 0 || (n > 1 && s->ptr[0] == '0'))
        return UV_EINVAL;
    s->ptr += n;
    s->len -= n;
    *ret = v;
    return 0;
}

int delivery_parse(sl_str name, uint64_t *ret_num)
{
    uint64_t event, ordinal;

    if (parse_number(&name, INT64_MAX >> DELIVERY_ORDINAL_BITS, &event) < 0 || event == 0)
        return UV_EINVAL;
    if (name.len < 2 || name.ptr[0] != '.')
        return UV_EINVAL;
    name.ptr++;
    name.len--;
    if (parse_number(&name, DELIVERY_ORDINAL_MAX, &ordinal) < 0 || name.len != 0)
        return UV_EINVAL;
    *ret_num = delivery_num(event, (unsigned)ordinal);
    return 0;
}

/* ---- help for reading ---- */

/* A record whose form may be one of several, up to `newest`. */
static struct unpack begin_upto(sl_str s, uint8_t newest, uint8_t *ret_version)
{
    struct unpack u = unpack_of(s);

    *ret_version = unpack_u8(&u);
    if (*ret_version < 1 || *ret_version > newest)
        u.bad = true;
    return u;
}

static struct unpack begin(sl_str s)
{
    uint8_t version;

    return begin_upto(s, RECORD_VERSION, &version);
}

/* How many elements follow, and zeroed memory for them. `least` is the size of the smallest one
 * in bytes, so that a forged count never asks for more memory than the record itself justifies. */
static size_t unpack_array(struct unpack *u, size_t least, size_t size, void **ret, int *err)
{
    uint32_t n = unpack_u32(u);

    *ret = NULL;
    if (u->bad || n == 0)
        return 0;
    if (n > (size_t)(u->end - u->p) / least) {
        u->bad = true;
        return 0;
    }
    *ret = calloc(n, size);
    if (!*ret) {
        *err = UV_ENOMEM;
        u->bad = true;
        return 0;
    }
    return n;
}

static uint8_t unpack_upto(struct unpack *u, uint8_t max)
{
    uint8_t v = unpack_u8(u);

    if (v > max)
        u->bad = true;
    return v;
}

static int verdict(const struct unpack *u, int err)
{
    return err ? err : unpack_done(u) ? 0 : UV_EINVAL;
}

/* ---- receipt ---- */

#define RECEIPT_TIME_AT 2 /* after version and origin */

static void receipt_fields(struct buf *b, const struct rec_receipt *r)
{
    pack_u8(b, RECORD_VERSION);
    pack_u8(b, r->origin);
    pack_i64(b, r->received_ms);
    pack_u64(b, r->cause);
    pack_str(b, r->endpoint);
    pack_str(b, r->topic);
    pack_str(b, r->sender_id);
    pack_str(b, r->subject);
}

/* The length of what was written since `at` goes before it, where its place was kept. */
static void patch_length(struct buf *b, size_t at)
{
    uint64_t n = b->len - at;

    if (n > UINT32_MAX)
        b->failed = true;
    if (b->failed)
        return;
    for (size_t i = 0; i < 4; i++)
        b->data[at - 4 + i] = (char)(n >> (8 * i));
}

void rec_receipt_begin(struct rec_receipt_draft *d, struct buf *b, const struct rec_receipt *r,
                       size_t room)
{
    buf_alloc(b, 64 + r->endpoint.len + r->topic.len + r->sender_id.len + r->subject.len + room);
    receipt_fields(b, r);
    pack_u32(b, 0);
    d->headers_at = d->body_at = b->len;
}

void rec_receipt_body(struct rec_receipt_draft *d, struct buf *b)
{
    patch_length(b, d->headers_at);
    pack_u32(b, 0);
    d->body_at = b->len;
}

void rec_receipt_end(const struct rec_receipt_draft *d, struct buf *b, int64_t received_ms)
{
    patch_length(b, d->body_at);
    if (b->failed)
        return;
    for (size_t i = 0; i < 8; i++)
        b->data[RECEIPT_TIME_AT + i] = (char)((uint64_t)received_ms >> (8 * i));
}

void rec_receipt_encode(struct buf *b, const struct rec_receipt *r)
{
    buf_reserve(b, 64 + r->endpoint.len + r->topic.len + r->sender_id.len + r->subject.len +
                       r->headers.len + r->body.len);
    receipt_fields(b, r);
    pack_str(b, r->headers);
    pack_str(b, r->body);
}

int rec_receipt_decode(sl_str s, struct rec_receipt *ret)
{
    struct unpack u = begin(s);
    struct rec_receipt r = { 0 };

    r.origin = unpack_upto(&u, EO_RECONCILED);
    u.bad |= r.origin == EO_DUPLICATE;
    r.received_ms = unpack_i64(&u);
    r.cause = unpack_u64(&u);
    r.endpoint = unpack_str(&u);
    r.topic = unpack_str(&u);
    r.sender_id = unpack_str(&u);
    r.subject = unpack_str(&u);
    r.headers = unpack_str(&u);
    r.body = unpack_str(&u);
    if (!unpack_done(&u))
        return UV_EINVAL;
    *ret = r;
    return 0;
}

/* ---- duplicate ---- */

void rec_duplicate_encode(struct buf *b, const struct rec_duplicate *r)
{
    pack_u8(b, RECORD_VERSION);
    pack_u64(b, r->original);
    pack_u8(b, r->same_body);
    pack_i64(b, r->received_ms);
    pack_u64(b, r->body_bytes);
    pack_str(b, r->endpoint);
    pack_str(b, r->topic);
    pack_str(b, r->sender_id);
}

int rec_duplicate_decode(sl_str s, struct rec_duplicate *ret)
{
    struct unpack u = begin(s);
    struct rec_duplicate r = { 0 };

    r.original = unpack_u64(&u);
    r.same_body = unpack_upto(&u, 1);
    r.received_ms = unpack_i64(&u);
    r.body_bytes = unpack_u64(&u);
    r.endpoint = unpack_str(&u);
    r.topic = unpack_str(&u);
    r.sender_id = unpack_str(&u);
    if (!unpack_done(&u))
        return UV_EINVAL;
    *ret = r;
    return 0;
}

/* ---- routed ---- */

static void delivery_encode(struct buf *b, size_t start, struct rec_delivery *d)
{
    pack_u64(b, d->num);
    pack_raw(b, d->id, sizeof(d->id));
    d->state_at = (uint32_t)(b->len - start);
    pack_u8(b, d->state);
    pack_u8(b, d->priority);
    pack_str(b, d->route);
    pack_str(b, d->piece);
    pack_str(b, d->endpoint);
    pack_str(b, d->action);
    pack_str(b, d->subject);
    pack_str(b, d->hold_type);
    pack_str(b, d->reason);
    pack_str(b, d->body);
    pack_i64(b, d->next_ms);
    pack_str(b, d->version);
    pack_str(b, d->detail);
}

static void delivery_decode(struct unpack *u, sl_str s, uint8_t version, struct rec_delivery *d)
{
    d->num = unpack_u64(u);
    unpack_raw(u, d->id, sizeof(d->id));
    d->state_at = (uint32_t)((const char *)u->p - s.ptr);
    d->state = unpack_upto(u, DS__COUNT - 1);
    d->priority = unpack_upto(u, 3);
    d->route = unpack_str(u);
    d->piece = unpack_str(u);
    d->endpoint = unpack_str(u);
    d->action = unpack_str(u);
    d->subject = unpack_str(u);
    d->hold_type = unpack_str(u);
    d->reason = unpack_str(u);
    d->body = unpack_str(u);
    if (version < 2)
        return;
    d->next_ms = unpack_i64(u);
    d->version = unpack_str(u);
    d->detail = unpack_str(u);
}

void rec_routed_encode(struct buf *b, struct rec_routed *r)
{
    size_t start = b->len;

    pack_u8(b, ROUTED_VERSION);
    pack_u64(b, r->event);
    pack_i64(b, r->at_ms);
    pack_u64(b, r->duplicate_of);
    pack_str(b, r->note);
    pack_u32(b, (uint32_t)r->n_abouts);
    for (size_t i = 0; i < r->n_abouts; i++) {
        pack_str(b, r->abouts[i].subject);
        pack_str(b, r->abouts[i].version);
    }
    pack_u32(b, (uint32_t)r->n_waits);
    for (size_t i = 0; i < r->n_waits; i++) {
        pack_str(b, r->waits[i].endpoint);
        pack_str(b, r->waits[i].kind);
        pack_str(b, r->waits[i].id);
    }
    pack_u32(b, (uint32_t)r->n_deliveries);
    for (size_t i = 0; i < r->n_deliveries; i++)
        delivery_encode(b, start, &r->deliveries[i]);
}

int rec_routed_decode(sl_str s, struct rec_routed *ret)
{
    uint8_t version;
    struct unpack u = begin_upto(s, ROUTED_VERSION, &version);
    struct rec_routed r = { 0 };
    int err = 0;

    r.event = unpack_u64(&u);
    r.at_ms = unpack_i64(&u);
    r.duplicate_of = unpack_u64(&u);
    r.note = unpack_str(&u);
    r.n_abouts = unpack_array(&u, 8, sizeof(*r.abouts), (void **)&r.abouts, &err);
    for (size_t i = 0; i < r.n_abouts; i++) {
        r.abouts[i].subject = unpack_str(&u);
        r.abouts[i].version = unpack_str(&u);
    }
    r.n_waits = unpack_array(&u, 12, sizeof(*r.waits), (void **)&r.waits, &err);
    for (size_t i = 0; i < r.n_waits; i++) {
        r.waits[i].endpoint = unpack_str(&u);
        r.waits[i].kind = unpack_str(&u);
        r.waits[i].id = unpack_str(&u);
    }
    r.n_deliveries = unpack_array(&u, 58, sizeof(*r.deliveries), (void **)&r.deliveries, &err);
    for (size_t i = 0; i < r.n_deliveries; i++)
        delivery_decode(&u, s, version, &r.deliveries[i]);
    err = verdict(&u, err);
    if (err)
        rec_routed_finish(&r);
    else
        *ret = r;
    return err;
}

void rec_routed_finish(struct rec_routed *r)
{
    free(r->abouts);
    free(r->waits);
    free(r->deliveries);
    *r = (struct rec_routed){ 0 };
}

/* ---- sent ---- */

void rec_sent_encode(struct buf *b, const struct rec_sent *r)
{
    pack_u8(b, RECORD_VERSION);
    pack_i64(b, r->at_ms);
    pack_str(b, r->endpoint);
    pack_str(b, r->route);
    pack_u32(b, (uint32_t)r->n_items);
    for (size_t i = 0; i < r->n_items; i++) {
        const struct rec_sent_item *item = &r->items[i];

        pack_u64(b, item->num);
        pack_u32(b, item->attempt);
        pack_u32(b, item->generation);
        pack_str(b, item->key);
        pack_str(b, item->request);
        pack_raw(b, item->digest, sizeof(item->digest));
    }
}

int rec_sent_decode(sl_str s, struct rec_sent *ret)
{
    struct unpack u = begin(s);
    struct rec_sent r = { 0 };
    int err = 0;

    r.at_ms = unpack_i64(&u);
    r.endpoint = unpack_str(&u);
    r.route = unpack_str(&u);
    r.n_items = unpack_array(&u, 56, sizeof(*r.items), (void **)&r.items, &err);
    for (size_t i = 0; i < r.n_items; i++) {
        struct rec_sent_item *item = &r.items[i];

        item->num = unpack_u64(&u);
        item->attempt = unpack_u32(&u);
        item->generation = unpack_u32(&u);
        item->key = unpack_str(&u);
        item->request = unpack_str(&u);
        unpack_raw(&u, item->digest, sizeof(item->digest));
    }
    err = verdict(&u, err);
    if (err)
        rec_sent_finish(&r);
    else
        *ret = r;
    return err;
}

void rec_sent_finish(struct rec_sent *r)
{
    free(r->items);
    *r = (struct rec_sent){ 0 };
}

/* ---- outcome and decision ---- */

static void move_encode(struct buf *b, const struct rec_move *m)
{
    pack_u64(b, m->num);
    pack_u8(b, m->state);
    pack_u8(b, m->burnt);
    pack_u32(b, m->attempt);
    pack_u32(b, m->generation);
    pack_u32(b, m->status);
    pack_u32(b, m->latency_ms);
    pack_i64(b, m->next_ms);
    pack_str(b, m->reason);
    pack_str(b, m->reference);
    pack_str(b, m->hold_type);
    pack_str(b, m->endpoint);
    pack_u8(b, m->set_priority);
    pack_str(b, m->detail);
    pack_str(b, m->body);
    pack_u8(b, m->arrival);
}

static void move_decode(struct unpack *u, uint8_t version, struct rec_move *m)
{
    m->num = unpack_u64(u);
    m->state = unpack_upto(u, DS__COUNT - 1);
    m->burnt = unpack_upto(u, BURNT_ANEW);
    m->attempt = unpack_u32(u);
    m->generation = unpack_u32(u);
    m->status = unpack_u32(u);
    m->latency_ms = unpack_u32(u);
    m->next_ms = unpack_i64(u);
    m->reason = unpack_str(u);
    m->reference = unpack_str(u);
    m->hold_type = unpack_str(u);
    m->endpoint = unpack_str(u);
    if (version < 2)
        return;
    m->set_priority = unpack_upto(u, 4);
    m->detail = unpack_str(u);
    m->body = unpack_str(u);
    m->arrival = unpack_upto(u, ARRIVAL_PERHAPS);
}

void rec_moves_encode(struct buf *b, const struct rec_moves *r)
{
    pack_u8(b, MOVES_VERSION);
    pack_i64(b, r->at_ms);
    pack_u64(b, r->batch);
    pack_str(b, r->who);
    pack_u32(b, (uint32_t)r->n_moves);
    for (size_t i = 0; i < r->n_moves; i++)
        move_encode(b, &r->moves[i]);
    pack_u32(b, (uint32_t)r->n_links);
    for (size_t i = 0; i < r->n_links; i++) {
        pack_str(b, r->links[i].endpoint);
        pack_str(b, r->links[i].kind);
        pack_str(b, r->links[i].id);
        pack_str(b, r->links[i].subject);
        pack_u64(b, r->links[i].num);
    }
}

int rec_moves_decode(sl_str s, struct rec_moves *ret)
{
    uint8_t version;
    struct unpack u = begin_upto(s, MOVES_VERSION, &version);
    struct rec_moves r = { 0 };
    int err = 0;

    r.at_ms = unpack_i64(&u);
    r.batch = unpack_u64(&u);
    r.who = unpack_str(&u);
    r.n_moves = unpack_array(&u, 50, sizeof(*r.moves), (void **)&r.moves, &err);
    for (size_t i = 0; i < r.n_moves; i++)
        move_decode(&u, version, &r.moves[i]);
    r.n_links = unpack_array(&u, 24, sizeof(*r.links), (void **)&r.links, &err);
    for (size_t i = 0; i < r.n_links; i++) {
        r.links[i].endpoint = unpack_str(&u);
        r.links[i].kind = unpack_str(&u);
        r.links[i].id = unpack_str(&u);
        r.links[i].subject = unpack_str(&u);
        r.links[i].num = unpack_u64(&u);
    }
    err = verdict(&u, err);
    if (err)
        rec_moves_finish(&r);
    else
        *ret = r;
    return err;
}

void rec_moves_finish(struct rec_moves *r)
{
    free(r->moves);
    free(r->links);
    *r = (struct rec_moves){ 0 };
}

/* ---- checkpoint ---- */

void rec_checkpoint_encode(struct buf *b, const struct rec_checkpoint *r)
{
    pack_u8(b, RECORD_VERSION);
    pack_u64(b, r->batch);
    pack_i64(b, r->at_ms);
    pack_u32(b, r->done);
    pack_str(b, r->token);
}

int rec_checkpoint_decode(sl_str s, struct rec_checkpoint *ret)
{
    struct unpack u = begin(s);
    struct rec_checkpoint r = { 0 };

    r.batch = unpack_u64(&u);
    r.at_ms = unpack_i64(&u);
    r.done = unpack_u32(&u);
    r.token = unpack_str(&u);
    if (!unpack_done(&u))
        return UV_EINVAL;
    *ret = r;
    return 0;
}

/* ---- state ---- */

void rec_state_encode(struct buf *b, const struct rec_state *r)
{
    pack_u8(b, RECORD_VERSION);
    pack_i64(b, r->at_ms);
    pack_str(b, r->who);
    pack_str(b, r->why);
    pack_u32(b, (uint32_t)r->n_items);
    for (size_t i = 0; i < r->n_items; i++) {
        pack_str(b, r->items[i].space);
        pack_str(b, r->items[i].key);
        pack_str(b, r->items[i].value);
    }
}

int rec_state_decode(sl_str s, struct rec_state *ret)
{
    struct unpack u = begin(s);
    struct rec_state r = { 0 };
    int err = 0;

    r.at_ms = unpack_i64(&u);
    r.who = unpack_str(&u);
    r.why = unpack_str(&u);
    r.n_items = unpack_array(&u, 12, sizeof(*r.items), (void **)&r.items, &err);
    for (size_t i = 0; i < r.n_items; i++) {
        r.items[i].space = unpack_str(&u);
        r.items[i].key = unpack_str(&u);
        r.items[i].value = unpack_str(&u);
    }
    err = verdict(&u, err);
    if (err)
        rec_state_finish(&r);
    else
        *ret = r;
    return err;
}

void rec_state_finish(struct rec_state *r)
{
    free(r->items);
    *r = (struct rec_state){ 0 };
}

/* ---- headers ---- */

void rec_headers_encode(struct buf *b, const sl_header *h, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        pack_str(b, h[i].name);
        pack_str(b, h[i].value);
    }
}

int rec_headers_decode(sl_str s, sl_header **ret, size_t *ret_n)
{
    struct unpack u = unpack_of(s);
    size_t n = 0, room = 0;
    sl_header *h = NULL, *more;

    do {
        if (n == room) {
            room = room ? room * 2 : 16;
            if (!(more = realloc(h, room * sizeof(*h)))) {
                free(h);
                return UV_ENOMEM;
            }
            h = more;
        }
        if (u.p == u.end)
            break;
        h[n].name = unpack_str(&u);
        h[n].value = unpack_str(&u);
        n++;
    } while (!u.bad);
    if (u.bad) {
        free(h);
        return UV_EINVAL;
    }
    *ret = h;
    *ret_n = n;
    return 0;
}
