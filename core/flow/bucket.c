#include "flow/bucket.h"

#define TOKEN       1000
#define LEARN_MS    10000 /* what others used fades over so long */
#define LEARN_LEAST 1000  /* nothing is learnt from less */
#define FADE_MS     20000 /* a surprise is forgotten over so long */
#define SPARE_MS    500   /* what all figures of so long say is believed */
#define SHARED_MS   60000 /* somebody else was here: they are expected back for so long */

const char *const bucket_kind_names[BUCKET__COUNT] = { "requests", "leaky", "points" };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void bucket_init(struct bucket *b, uint64_t rate_milli, uint32_t burst, uint64_t now_ms)
{
    *b = (struct bucket){
        .rate_milli = rate_milli,
        .capacity = (int64_t)(burst ? burst : 1) * TOKEN,
        .at_ms = now_ms,
    };
    b->level = b->capacity;
}

/** In a bucket of one token nothing can stay, so it is filled for longer and emptied wholly: two
 *  that follow each other are as much further apart. */
static bool is_small(const struct bucket *b)
{
    return b->capacity < 2 * TOKEN;
}

/** Where filling ends. */
static int64_t brim(const struct bucket *b)
{
    return is_small(b) ? b->capacity + b->margin : b->capacity;
}

/** What stays in it: for arrivals that come closer together than they left; and where there can be
 *  others, a token that they may have used unseen, and one more that they may use now. */
static int64_t stays(const struct bucket *b)
{
    int64_t others = b->fed ? TOKEN : 0;

    if (b->foreign || b->shared_until > b->at_ms)
        others = 2 * TOKEN;
    if (b->fed && b->capacity / 100 > others)
        others = b->capacity / 100;
    return b->margin + (others > b->surprise ? others : b->surprise);
}

/** Without news of others less and less is reckoned with: who waits until they leave enough asks
 * for nothing, and would not hear that they have gone. */
static void fade(struct bucket *b, uint64_t now_ms)
{
    if (!b->foreign || now_ms < b->foreign_ms + LEARN_MS)
        return;
    b->foreign /= 2;
    b->foreign_ms = now_ms;
}

static void refill(struct bucket *b, uint64_t now_ms)
{
    uint64_t rate = b->rate_milli - b->foreign;

    if (b->blocked_until) {
        if (now_ms < b->blocked_until)
            return;
        b->at_ms = b->blocked_until;
        b->blocked_until = 0;
    }
    if (now_ms <= b->at_ms)
        return;
    uint64_t elapsed = now_ms - b->at_ms;
    b->at_ms = now_ms;
    fade(b, now_ms);
    b->lowered += (int64_t)(elapsed < LEARN_MS ? elapsed * b->foreign / 1000 : 0);
    if (b->level >= brim(b))
        return;

    /* Enough to fill it whatever the level: no overflow after a long sleep. */
    uint64_t missing = (uint64_t)(brim(b) - b->level);
    if (elapsed >= missing * 1000 / rate + 1) {
        b->level = brim(b);
        b->remainder = b->lowered = 0;
        return;
    }
    uint64_t gained = elapsed * rate + b->remainder;
    b->level += (int64_t)(gained / 1000);
    b->remainder = gained % 1000;
    if (b->level >= brim(b)) {
        b->level = brim(b);
        b->remainder = b->lowered = 0;
    }
}

void bucket_change(struct bucket *b, uint64_t rate_milli, uint32_t burst, uint64_t now_ms)
{
    int64_t capacity = (int64_t)(burst ? burst : 1) * TOKEN;

    if (rate_milli == b->rate_milli && capacity == b->capacity)
        return;
    if (b->rate_milli)
        refill(b, now_ms);
    if (!b->rate_milli)
        b->level = b->blocked_until ? 0 : capacity; /* nothing was counted */
    else if (b->fed)
        b->level = least(b->level, capacity);
    else if (b->level > 0)
        b->level = least(b->level, b->capacity) * capacity / b->capacity; /* none beyond the brim */
    b->rate_milli = rate_milli;
    b->capacity = capacity;
    b->at_ms = now_ms;
    b->remainder = b->foreign = 0;
    b->told = b->fed = false;
    bucket_jitter(b, b->jitter_ms); /* as much time is another share of it */
}

void bucket_resize(struct bucket *b, uint64_t rate_milli, int64_t capacity, uint64_t now_ms)
{
    bool unlimited = !b->rate_milli;

    if (!unlimited)
        refill(b, now_ms);
    else if (!b->blocked_until)
        b->at_ms = now_ms;
    b->rate_milli = rate_milli;
    b->capacity = capacity < TOKEN ? TOKEN : capacity;
    if (unlimited)
        b->level = b->capacity;
    b->level = least(b->level, brim(b));
    if (b->foreign >= rate_milli)
        b->foreign = rate_milli - rate_milli / 20 - (rate_milli != 0);
}

uint64_t bucket_wait_keep(struct bucket *b, uint32_t cost, uint32_t promised, int64_t keep,
                          uint64_t now_ms)
{
    if (b->rate_milli)
        refill(b, now_ms);
    else if (b->blocked_until && now_ms >= b->blocked_until)
        b->blocked_until = 0;
    if (b->blocked_until)
        return b->blocked_until - now_ms;
    if (!b->rate_milli)
        return 0;

    /* A cost above the capacity waits for a full bucket and goes into debt, or it would starve. */
    int64_t all = ((int64_t)cost + promised) * TOKEN;
    int64_t need = least(all + keep + stays(b), brim(b));
    if (promised && (int64_t)cost * TOKEN + keep <= brim(b))
        all += keep;
    if (promised && all > brim(b))
        return UINT64_MAX;
    need = promised && all > need ? all : need;
    if (b->level >= need)
        return 0;
    uint64_t rate = b->rate_milli - b->foreign;
    uint64_t lacking = (uint64_t)(need - b->level) * 1000 - b->remainder;
    uint64_t wait = (lacking + rate - 1) / rate;
    return b->foreign && wait > LEARN_MS ? LEARN_MS : wait; /* it will be more than that: fade() */
}

uint64_t bucket_wait(struct bucket *b, uint32_t cost, uint64_t now_ms)
{
    return bucket_wait_keep(b, cost, 0, 0, now_ms);
}

uint64_t bucket_take(struct bucket *b, uint32_t cost, uint64_t now_ms)
{
    uint64_t wait = bucket_wait(b, cost, now_ms);

    if (wait)
        return wait;
    if (b->rate_milli && is_small(b))
        b->level -= b->margin;
    bucket_charge(b, cost, now_ms);
    return 0;
}

void bucket_charge(struct bucket *b, uint32_t cost, uint64_t now_ms)
{
    b->spent += (uint64_t)cost * TOKEN;
    if (!b->rate_milli)
        return;
    refill(b, now_ms);
    b->level -= (int64_t)cost * TOKEN;
}

uint64_t bucket_full_in(struct bucket *b, int64_t more, uint64_t now_ms)
{
    uint64_t blocked = b->blocked_until > now_ms ? b->blocked_until - now_ms : 0;

    if (!b->rate_milli)
        return 0;
    refill(b, now_ms);
    int64_t missing = b->capacity - b->level + more;
    return blocked + (missing > 0 ? (uint64_t)missing * 1000 / b->rate_milli + 1 : 0);
}

void bucket_lacks(struct bucket *b, uint64_t ms)
{
    uint64_t whole = (uint64_t)b->capacity;

    if (b->rate_milli && ms > whole * 1000 / b->rate_milli)
        b->level = 0;
    else if (b->rate_milli)
        b->level = (int64_t)(whole - ms * b->rate_milli / 1000);
}

void bucket_block(struct bucket *b, uint64_t until_ms, uint64_t now_ms)
{
    if (b->rate_milli)
        refill(b, now_ms);
    if (until_ms <= now_ms || until_ms <= b->blocked_until)
        return;
    if (b->rate_milli && b->level > 0) {
        b->level = 0;
        b->remainder = 0;
    }
    b->blocked_until = until_ms;
    b->told = false; /* what is gained meanwhile is not ours to count */
}

void bucket_jitter(struct bucket *b, uint64_t ms)
{
    uint64_t most = b->capacity < 2 * TOKEN ? 20 : 500; /* of one token every one waits for it */

    b->jitter_ms = ms;
    b->margin = (int64_t)((ms < most ? ms : most) * b->rate_milli / 1000);
    b->margin = least(b->margin, b->capacity / 20 > TOKEN ? b->capacity / 20 : TOKEN);
}

/* ---- fed back ---- */

/** What was used beside us between the figure before and this one. Of a bucket that was full
 *  meanwhile it is the least that it can have been: there was enough. */
static void learn(struct bucket *b, const struct bucket_ticket *t, int64_t left, uint64_t now_ms)
{
    uint64_t dt = now_ms - b->told_at;
    int64_t had = least(b->told_left + (int64_t)(dt * b->rate_milli / 1000), b->capacity);
    int64_t ours = (int64_t)(t->spent - b->told_spent) - (int64_t)(b->returned - b->told_returned);

    b->used_sum -= b->used_sum * (int64_t)(dt < LEARN_MS ? dt : LEARN_MS) / LEARN_MS;
    b->used_ms -= b->used_ms * (dt < LEARN_MS ? dt : LEARN_MS) / LEARN_MS;
    b->used_sum += had - ours - left;
    b->used_ms += dt;
    b->foreign = 0;
    b->foreign_ms = now_ms;
    int64_t sure = b->used_sum - TOKEN - (int64_t)b->out; /* these may count or not */
    if (b->used_ms >= LEARN_LEAST && sure > 0)
        b->foreign = (uint64_t)sure * 1000 / b->used_ms;
    if (b->foreign > b->rate_milli - b->rate_milli / 20) /* some are always tried */
        b->foreign = b->rate_milli - b->rate_milli / 20;
    if (b->foreign >= b->rate_milli)
        b->foreign = b->rate_milli - 1;
}

struct bucket_ticket bucket_leave(struct bucket *b, uint32_t cost, uint64_t pending,
                                  uint64_t now_ms)
{
    b->out += (uint64_t)cost * TOKEN;
    b->past[b->n_past % BUCKET_PAST].at_ms = now_ms;
    b->past[b->n_past++ % BUCKET_PAST].spent = b->spent - pending;
    return (struct bucket_ticket){ b->spent - pending, (uint64_t)cost * TOKEN, now_ms };
}

void bucket_heard(struct bucket *b, const struct bucket_ticket *t)
{
    b->out -= t->cost < b->out ? t->cost : b->out;
}

void bucket_return(struct bucket *b, uint64_t milli, uint64_t now_ms)
{
    b->returned += milli;
    if (!b->rate_milli || b->blocked_until)
        return;
    refill(b, now_ms);
    b->level = least(b->level + (int64_t)milli, brim(b));
}

void bucket_refused(struct bucket *b, uint32_t cost)
{
    b->used_sum += (int64_t)cost * TOKEN; /* others had it */
    b->shared_until = b->at_ms + SHARED_MS;
}

/** What was spent for calls that left so long after that one that it was let in before them. */
static uint64_t spent_after(const struct bucket *b, const struct bucket_ticket *t)
{
    uint64_t then = t->spent;

    for (uint64_t i = b->n_past; i > 0 && i + BUCKET_PAST > b->n_past; i--)
        if (b->past[(i - 1) % BUCKET_PAST].at_ms <= t->at_ms + b->jitter_ms) {
            if (b->past[(i - 1) % BUCKET_PAST].spent > then)
                then = b->past[(i - 1) % BUCKET_PAST].spent;
            break;
        }
    return b->spent - then;
}

/** What was spent for calls that left so shortly before that one that they may have been let in
 *  after it. */
static int64_t spent_before(const struct bucket *b, const struct bucket_ticket *t)
{
    uint64_t then = b->n_past > BUCKET_PAST ? b->past[b->n_past % BUCKET_PAST].spent : 0;

    for (uint64_t i = b->n_past; i > 0 && i + BUCKET_PAST > b->n_past; i--)
        if (b->past[(i - 1) % BUCKET_PAST].at_ms + b->jitter_ms < t->at_ms) {
            then = b->past[(i - 1) % BUCKET_PAST].spent;
            break;
        }
    return t->spent > t->cost + then ? (int64_t)(t->spent - t->cost - then) : 0;
}

/** There is more than we counted, if figure after figure says so: a single one may leave out calls
 *  that were overtaken on their way and are answered already. */
static void lift(struct bucket *b, int64_t fewest, bool raise, uint64_t now_ms)
{
    int64_t spare = fewest - b->level;

    b->fed |= raise;
    if (!raise)
        spare = least(spare, b->lowered);
    if (spare <= 0) {
        b->spare_ms = 0;
    } else if (!b->spare_ms) {
        b->spare_ms = now_ms;
        b->spare = spare;
    } else {
        b->spare = least(b->spare, spare);
        if (now_ms - b->spare_ms < SPARE_MS)
            return;
        b->level = least(b->level + b->spare, brim(b));
        b->lowered = b->lowered > b->spare ? b->lowered - b->spare : 0;
        b->spare_ms = 0;
    }
}

void bucket_told(struct bucket *b, const struct bucket_ticket *t, int64_t left, unsigned flags,
                 uint64_t now_ms)
{
    if (!b->rate_milli || b->blocked_until > now_ms || (b->told && t->spent < b->told_spent))
        return; /* it is older than what is known */
    refill(b, now_ms);
    uint64_t dt = b->told ? now_ms - b->told_at : 0;
    b->surprise -= b->surprise * (int64_t)(dt < FADE_MS ? dt : FADE_MS) / FADE_MS;
    if (b->told)
        learn(b, t, left, now_ms);

    /* It was written between the call's departure and now, and a part of a token is not told. Of
     * calls not answered yet nobody knows whether it counts them. */
    uint64_t after = b->spent - t->spent;
    int64_t fewest = left - (int64_t)(after > b->out ? after : b->out);
    int64_t most = left + TOKEN - (int64_t)(flags & BUCKET_TOLD_LATE ? 0 : spent_after(b, t)) +
                   (int64_t)((now_ms - t->at_ms) * (b->rate_milli - b->foreign) / 1000);
    if (b->level > most) {
        if (b->level - most > b->surprise)
            b->surprise = least(b->level - most, b->capacity / 20);
        if (b->level - most > TOKEN)
            b->shared_until = now_ms + SHARED_MS;
        int64_t level = b->foreign || b->level - most > TOKEN ? fewest : most;
        b->lowered += b->level - level;
        b->level = level;
        b->remainder = 0;
    }
    lift(b, fewest, flags & BUCKET_TOLD_RAISE, now_ms);
    /* Where learning begins, calls of ours that were overtaken must not look like another's. */
    b->told_left = b->told ? left : left - spent_before(b, t);
    b->told = true;
    b->told_at = now_ms;
    b->told_spent = t->spent;
    b->told_returned = b->returned;
}
