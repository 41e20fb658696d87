/*
 * retain.c - which segment of the log goes, and when.
 */
#include "store/retain.h"

#include <inttypes.h>
#include <uv.h>
#include "base/log.h"

#define HOUR          (INT64_C(3600) * 1000)
#define DAY           (24 * HOUR)
#define SPEED         24        /* times as fast as it came may the log go ... */
#define MAY_MOST      (7 * DAY) /* ... and what one segment, however long it took, costs of that */
#define JUMP          HOUR      /* of the clock, worth a word */
#define LOOK_MOST_MS  60000
#define LOOK_LEAST_MS 10
#define KEEPER_MS     20 /* the keeper takes to recycle a segment */
#define HELD_MS       1000
#define RETRY_MS      1000

static const struct logger logger = { .room = "store", .name = "retain" };

static int64_t clamp(int64_t v, int64_t least, int64_t most)
{
    return v < least ? least : v > most ? most : v;
}

void retain_init(struct retain *r, struct reclog *log, struct index *ix, int64_t keep_ms,
                 int64_t wall_ms, uint64_t mono_ms)
{
    *r = (struct retain){ .log = log,
                          .ix = ix,
                          .keep_ms = keep_ms,
                          .wall_ms = wall_ms,
                          .mono_ms = mono_ms,
                          .next_ms = mono_ms,
                          .slice_ms = mono_ms,
                          .round_ms = mono_ms + HOUR };
}

uint64_t retain_due_ms(const struct retain *r, uint64_t mono_ms)
{
    if (index_erasures(r->ix) != r->erasures)
        return 0;
    return r->next_ms > mono_ms ? r->next_ms - mono_ms : 0;
}

static void pass_time(struct retain *r, int64_t wall_ms, uint64_t mono_ms)
{
    int64_t passed = (int64_t)(mono_ms - r->mono_ms), jumped = wall_ms - r->wall_ms - passed;

    if (jumped > JUMP)
        log_warn(&logger,
                 "the clock went ahead by %" PRId64
                 " minutes: if it is wrong now, mend it soon; "
                 "what counts as too old goes, %d days of it in a day",
                 jumped / 60000, SPEED);
    r->may_ms = clamp(r->may_ms + SPEED * clamp(passed, 0, DAY), 0, MAY_MOST);
    r->wall_ms = wall_ms;
    r->mono_ms = mono_ms;
}

static uint64_t look_after(const struct retain *r)
{
    return (uint64_t)clamp(r->keep_ms / 1000, LOOK_LEAST_MS, LOOK_MOST_MS);
}

/* ---- a segment ---- */

/* May this one go? Once it has begun to, it may, as long as there is a time when it ended. If not,
 * *ret_after: look again then. */
static bool may_go(struct retain *r, const struct reclog_span *span, uint64_t *ret_after)
{
    int64_t cost = clamp(span->ended_ms - span->begun_ms, 0, MAY_MOST);

    *ret_after = look_after(r);
    if (span->ended_ms == INT64_MAX)
        return false;
    if (r->granted && r->segment == span->segment)
        return true;
    if (index_watermark(r->ix) < span->last)
        return false;
    if (index_kept_from(r->ix) <= span->first) {
        if (span->ended_ms > r->wall_ms - r->keep_ms && span->first > r->erased)
            return false;
        if (cost > r->may_ms) {
            *ret_after = (uint64_t)clamp((cost - r->may_ms) / SPEED + 1, 1, LOOK_MOST_MS);
            return false;
        }
        r->may_ms -= cost;
    }
    r->granted = true;
    r->segment = span->segment;
    return true;
}

/* All its events are dealt with. What the index has of them must be as durable as the log was. */
static int retire(struct retain *r, const struct reclog_span *span)
{
    int err = index_settle(r->ix);

    if (err <= 0) {
        r->next_ms = r->mono_ms + RETRY_MS;
        return err;
    }
    r->granted = false;
    r->retired = span->last + 1;
    reclog_retire(r->log, r->retired);
    r->next_ms = r->mono_ms + KEEPER_MS;
    return 1;
}

static int let_go(struct retain *r, const struct reclog_span *span)
{
    int err = 0;

    if (index_kept_from(r->ix) <= span->last)
        err = index_retain(r->ix, span->last, span->ended_ms, span->ended_ms + r->keep_ms / 4);
    return err == 0 ? retire(r, span) : err < 0 ? err : 0;
}

/* ---- a round ---- */

/* What is said of it in a segment that is kept keeps it: so it goes `keep` after its last move. */
static int go_round(struct retain *r, const struct reclog_span *oldest)
{
    int64_t before = r->wall_ms - r->keep_ms;
    int err;

    if (oldest->begun_ms < before)
        before = oldest->begun_ms;
    err = index_retain_round(r->ix, &r->round, before);
    if (err == 0) {
        r->round = (struct index_round){ 0 };
        r->round_ms = r->mono_ms + HOUR;
    }
    return err < 0 ? err : 0;
}

/* ---- what was erased ---- */

/* 1: the keeper has work; 0; or a code. */
static int look_at_erased(struct retain *r, const struct reclog_span *oldest, bool sealed)
{
    bool shreds = index_erases(r->ix) && !r->shreds;
    int err = index_erased_upto(r->ix, r->wall_ms, &r->erased, &r->erased_ms);

    r->erasures = index_erasures(r->ix);
    if (err < 0)
        return err;
    if (shreds)
        reclog_shred(r->log);
    r->shreds |= shreds;
    if (r->erased && !sealed && oldest->first <= r->erased)
        reclog_turn(r->log);
    return shreds;
}

/* No later than when more of it must go; what must and does not is looked at soon. */
static uint64_t sooner(const struct retain *r, uint64_t after)
{
    int64_t due = r->erased_ms - r->wall_ms;

    if (!after || !r->erased_ms)
        return after;
    due = due > RETRY_MS ? due : RETRY_MS;
    return (uint64_t)due < after ? (uint64_t)due : after;
}

/* ---- a step ---- */

int retain_step(struct retain *r, int64_t wall_ms, uint64_t mono_ms)
{
    struct reclog_span oldest;
    uint64_t after;
    bool sealed;
    int err, work;

    pass_time(r, wall_ms, mono_ms);
    if (retain_due_ms(r, mono_ms))
        return 0;
    sealed = reclog_oldest(r->log, wall_ms, &oldest);
    after = look_after(r);
    err = work = look_at_erased(r, &oldest, sealed);
    if (err < 0)
        after = RETRY_MS;
    else if (sealed && oldest.last < r->retired)
        after = HELD_MS; /* the keeper has not come to it, or a backup holds it */
    else if (sealed && may_go(r, &oldest, &after)) {
        err = let_go(r, &oldest);
        work |= err > 0;
        after = 0;
    }
    if (err >= 0 && after && index_kept_from(r->ix) && mono_ms >= r->round_ms) {
        err = go_round(r, &oldest);
        after = r->round_ms > mono_ms ? after : 0;
    }
    after = sooner(r, after);
    if (after)
        r->next_ms = mono_ms + after;
    else
        r->slice_ms = mono_ms;
    if (err < 0)
        r->next_ms = mono_ms + RETRY_MS;
    return err < 0 ? err : work;
}
