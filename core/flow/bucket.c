#include "flow/bucket.h"

void bucket_init(struct bucket *b, uint64_t rate_milli, uint32_t burst, uint64_t now_ms)
{
    *b = (struct bucket){
        .rate_milli = rate_milli,
        .capacity = (int64_t)(burst ? burst : 1) * 1000,
        .at_ms = now_ms,
    };
    b->level = b->capacity;
}

static void refill(struct bucket *b, uint64_t now_ms)
{
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

    /* Enough to fill it whatever the level: no overflow after a long sleep. */
    uint64_t missing = (uint64_t)(b->capacity - b->level);
    if (elapsed >= missing * 1000 / b->rate_milli + 1) {
        b->level = b->capacity;
        b->remainder = 0;
        return;
    }
    uint64_t gained = elapsed * b->rate_milli + b->remainder;
    b->level += (int64_t)(gained / 1000);
    b->remainder = gained % 1000;
    if (b->level >= b->capacity) {
        b->level = b->capacity;
        b->remainder = 0;
    }
}

void bucket_change(struct bucket *b, uint64_t rate_milli, uint32_t burst, uint64_t now_ms)
{
    int64_t capacity = (int64_t)(burst ? burst : 1) * 1000;

    if (rate_milli == b->rate_milli && capacity == b->capacity)
        return;
    if (b->rate_milli)
        refill(b, now_ms);
    if (!b->rate_milli)
        b->level = b->blocked_until ? 0 : capacity; /* nothing was counted */
    else if (b->level > 0)
        b->level = b->level * capacity / b->capacity;
    b->rate_milli = rate_milli;
    b->capacity = capacity;
    b->at_ms = now_ms;
    b->remainder = 0;
}

uint64_t bucket_wait(struct bucket *b, uint32_t cost, uint64_t now_ms)
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
    int64_t need = (int64_t)cost * 1000;
    if (need > b->capacity)
        need = b->capacity;
    if (b->level >= need)
        return 0;
    uint64_t lacking = (uint64_t)(need - b->level) * 1000 - b->remainder;
    return (lacking + b->rate_milli - 1) / b->rate_milli;
}

uint64_t bucket_take(struct bucket *b, uint32_t cost, uint64_t now_ms)
{
    uint64_t wait = bucket_wait(b, cost, now_ms);

    if (wait == 0 && b->rate_milli)
        b->level -= (int64_t)cost * 1000;
    return wait;
}

void bucket_charge(struct bucket *b, uint32_t cost, uint64_t now_ms)
{
    if (!b->rate_milli)
        return;
    refill(b, now_ms);
    b->level -= (int64_t)cost * 1000;
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
}
