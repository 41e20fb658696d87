/*
 * check_order.c - the properties of order: what may not leave before what, and what may stay back
 * for ever, since it waits for a person.
 */
#include <inttypes.h>
#include <string.h>
#include "flow/hold.h"
#include "flow/order.h"
#include "sim.h"

#define NAME(num) (num) >> DELIVERY_ORDINAL_BITS, (unsigned)((num)&DELIVERY_ORDINAL_MAX)
#define NAME_FMT  "%" PRIu64 ".%u"

static const struct conf_route *route_of(const struct sim *s, const struct row *r)
{
    return config_route(&s->config, r->route);
}

static bool blocks(const struct sim *s, const struct row *r)
{
    return r->state == DS_DEAD && route_of(s, r)->on_dead == ON_DEAD_BLOCK;
}

/** Does this one go first by `after`? */
static bool goes_before(const struct sim *s, const struct row *r, const struct row *other)
{
    const struct conf_route *route = route_of(s, r), *a;

    for (size_t i = 0; i < route->n_after; i++)
        for (a = route->after[i]; a; a = a->fallback_route)
            if (str_eq(str_of(a->name), other->route))
                return true;
    return false;
}

static bool in_the_way(const struct row *r)
{
    return r->state <= DS_DEAD && r->state != DS_DELIVERED;
}

/* ---- what leaves ---- */

/** Nothing earlier of its route and subject may be live, or dead where that blocks; but what came
 * in late, or was brought back by a person, may have come after this one had been chosen. */
static void check_chain(struct sim *s, const struct batch_row *sent, const struct row *row)
{
    if (!row->own || !route_of(s, row)->ordered)
        return;
    for (const struct row *r = row->own->first; r != row; r = r->chain) {
        if (!delivery_state_final(r->state) &&
            (r->live_ms < row->live_ms || r->live_ms + SLACK_MS < sent->at_ms))
            world_fail(&s->w, "order: " NAME_FMT " overtakes " NAME_FMT ", which is %s",
                       NAME(row->num), NAME(r->num), delivery_state_names[r->state]);
        if (blocks(s, r) && r->moved_ms + SLACK_MS < sent->at_ms)
            world_fail(&s->w, "on_dead: " NAME_FMT " passes " NAME_FMT ", which is dead",
                       NAME(row->num), NAME(r->num));
    }
}

/** At its first attempt. What was discarded and brought back may come too late; so may what a
 * replay makes of an old event. */
static void check_after(struct sim *s, const struct batch_row *sent, const struct row *row)
{
    const struct event_row *e = tables_event(s->t, delivery_event(row->num));

    if (row->attempts || !e)
        return;
    for (uint32_t i = 0; i < e->n_rows; i++) {
        const struct row *r = e->rows[i];
        if (!r || !goes_before(s, row, r) || !in_the_way(r) || r->revived ||
            (r->given && r->live_ms > row->live_ms))
            continue;
        if (r->live_ms + SLACK_MS < sent->at_ms)
            world_fail(&s->w, "after: " NAME_FMT " goes before " NAME_FMT ", which is %s",
                       NAME(row->num), NAME(r->num), delivery_state_names[r->state]);
    }
}

/** It says already what this one has to say, or something newer. */
static bool says_it(const struct sim *s, const struct row *r, const struct row *other)
{
    return route_of(s, r)->overtakes_amends && hold_amended_by(other->detail) >= r->num;
}

/** And was not sent before. */
static bool is_amended(const struct sim *s, const struct row *r, const struct row *other)
{
    return says_it(s, r, other) && !other->first_sent_ms && !other->attempts;
}

/** Does this one wait for that, since its route overtakes the other's? Not if it has amended it,
 * and goes because of others that were sent. */
static bool follows(const struct sim *s, const struct row *r, const struct row *other)
{
    const struct conf_route *o = route_of(s, r)->overtakes;

    return o && r->subject.len && other->num < r->num && str_eq(other->subject, r->subject) &&
           str_eq(other->route, str_of(o->name)) && !delivery_state_final(other->state) &&
           !is_amended(s, r, other);
}

/** It left only now; this one had gone past it before. */
static bool left_as_well(const struct sim *s, const struct batch_row *sent, const struct row *row,
                         const struct row *other)
{
    return says_it(s, row, other) && other->sent_times <= 1 &&
           other->first_sent_ms + SLACK_MS >= sent->at_ms;
}

/** At its first attempt. */
static void check_overtake(struct sim *s, const struct batch_row *sent, const struct row *row)
{
    for (size_t i = 0; i < s->t->n_rows && route_of(s, row)->overtakes; i++) {
        const struct row *r = s->t->rows[i];
        if (row->sent_times <= 1 && follows(s, row, r) && !r->revived &&
            !book_of(s, r->num)->human && r->live_ms + SLACK_MS < sent->at_ms &&
            !left_as_well(s, sent, row, r))
            world_fail(&s->w, "overtakes: " NAME_FMT " goes before " NAME_FMT ", which is %s",
                       NAME(row->num), NAME(r->num), delivery_state_names[r->state]);
    }
}

/** Only the newest goes out, as far as nobody decided otherwise; what may have arrived before it
 * was mapped again counts as sent. */
static void check_coalesce(struct sim *s, const struct batch_row *sent, const struct row *row)
{
    if (!route_of(s, row)->coalesce || row->attempts || row->sent_times > 1 ||
        book_of(s, row->num)->human || (row->instead && row->arrival == ARRIVAL_PERHAPS))
        return;
    for (const struct row *r = row->chain; row->own && r; r = r->chain)
        if (r->state == DS_READY && r->live_ms + SLACK_MS < sent->at_ms &&
            !book_of(s, r->num)->human)
            world_fail(&s->w, "coalesce: " NAME_FMT " goes, and " NAME_FMT " is newer",
                       NAME(row->num), NAME(r->num));
}

void check_turn(struct sim *s, const sl_batch *b, const struct row *row)
{
    const struct batch_row *sent = tables_batch(s->t, b->id);

    if (!sent)
        return;
    check_chain(s, sent, row);
    check_after(s, sent, row);
    check_coalesce(s, sent, row);
    check_overtake(s, sent, row);
}

/** When a dead one is sent again after all, or mapped again, somebody wants just that. */
static bool was_wanted(const struct sim *s, const struct row *r)
{
    const struct book *k = book_of((struct sim *)s, r->num);

    return k->human || r->instead || k->sent_again;
}

/** What was made after something newer never goes out, if that was to, or had: decisions aside. */
static void check_version(struct sim *s, const struct row *row)
{
    for (const struct row *r = row->own->first; r; r = r->chain)
        if (r->state == DS_DELIVERED && r->version.len && r->made < row->made &&
            !was_wanted(s, r) && version_compare(row->version, r->version) < 0)
            world_fail(&s->w, "late: " NAME_FMT " was sent after " NAME_FMT ", which is newer",
                       NAME(row->num), NAME(r->num));
}

void check_versions(struct sim *s)
{
    for (size_t i = 0; i < s->t->n_rows; i++) {
        const struct row *row = s->t->rows[i];
        if (route_of(s, row)->latest && row->state == DS_DELIVERED && row->own &&
            row->version.len && !was_wanted(s, row))
            check_version(s, row);
    }
}

/* ---- what may stay ---- */

/** Its clock will move it, and for good. The first that it says is of itself, the second of the
 * hold that comes after. */
static bool is_ticking(const struct row *r)
{
    static const char then[] = "\"then\":", escalate[] = "\"escalate\"";
    const char *says = r->detail.len ? strstr(r->detail.ptr, then) : NULL;

    return r->next_ms && !(says && str_starts(str_of(says + strlen(then)), str_of(escalate)));
}

/** What is before it waits for a person, or for what does. */
static bool is_kept_back(const struct sim *s, const struct row *r)
{
    const struct event_row *e = tables_event(s->t, delivery_event(r->num));

    if (r->state == DS_HELD)
        return !is_ticking(r);
    for (uint32_t i = 0; e && i < e->n_rows && !r->first_sent_ms; i++) {
        const struct row *other = e->rows[i];
        if (other && goes_before(s, r, other) && in_the_way(other) &&
            (other->state == DS_DEAD || other->stays))
            return true;
    }
    for (size_t i = 0; i < s->t->n_rows && route_of(s, r)->overtakes && !r->first_sent_ms; i++)
        if (follows(s, r, s->t->rows[i]) && s->t->rows[i]->stays)
            return true;
    if (!r->own || !route_of(s, r)->ordered)
        return false;
    for (const struct row *other = r->own->first; other != r; other = other->chain)
        if (blocks(s, other))
            return true;
    return r->own->head && r->own->head != r && r->own->head->stays;
}

static void later(int64_t *since, int64_t ms)
{
    if (ms > *since)
        *since = ms;
}

bool check_is_behind(const struct sim *s, const struct row *r, int64_t *since)
{
    const struct event_row *e = tables_event(s->t, delivery_event(r->num));

    for (uint32_t i = 0; e && i < e->n_rows; i++) {
        const struct row *other = e->rows[i];
        if (!other || !goes_before(s, r, other))
            continue;
        if (in_the_way(other))
            return true;
        later(since, other->moved_ms);
    }
    for (size_t i = 0; route_of(s, r)->overtakes && i < s->t->n_rows; i++) {
        const struct row *other = s->t->rows[i];
        if (follows(s, r, other))
            return true;
        if (str_eq(other->subject, r->subject))
            later(since, other->moved_ms);
    }
    for (const struct row *other = r->own ? r->own->first : NULL; other && other != r;
         other = other->chain) {
        if (blocks(s, other))
            return true;
        later(since, other->moved_ms);
    }
    return false;
}

/** One thing leads to another: until nothing more follows. */
static void mark(const struct sim *s)
{
    bool more = true;

    for (size_t i = 0; i < s->t->n_rows; i++)
        s->t->rows[i]->stays = false;
    while (more) {
        more = false;
        for (size_t i = 0; i < s->t->n_rows; i++) {
            struct row *r = s->t->rows[i];
            if (r->stays || delivery_state_final(r->state) || !is_kept_back(s, r))
                continue;
            r->stays = more = true;
        }
    }
}

const struct row *check_stuck(const struct sim *s)
{
    mark(s);
    for (size_t i = 0; i < s->t->n_rows; i++)
        if (!delivery_state_final(s->t->rows[i]->state) && !s->t->rows[i]->stays)
            return s->t->rows[i];
    return NULL;
}
