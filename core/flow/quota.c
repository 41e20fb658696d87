#include "flow/quota.h"

#define ASK_MS  (15 * 60 * 1000) /* a spent one whose end nobody told: some are tried after this */
#define NEAR_MS 1000             /* ends of one window, as told twice: many tell whole seconds */

void quota_init(struct quota *q, int64_t limit, int64_t period_ms)
{
    *q = (struct quota){ .limit = limit, .period_ms = period_ms };
}

static int64_t at_least_one(int64_t n)
{
    return n > 0 ? n : 1;
}

static void roll(struct quota *q, int64_t wall_ms)
{
    if (q->period_ms && !q->reset_ms)
        q->reset_ms = wall_ms - wall_ms % q->period_ms + q->period_ms;
    if (!q->reset_ms || wall_ms < q->reset_ms)
        return;
    q->used = q->out;
    q->reset_ms = q->period_ms ? wall_ms - wall_ms % q->period_ms + q->period_ms : 0;
}

int64_t quota_wait(struct quota *q, int64_t calls, int64_t keep, int64_t wall_ms)
{
    if (!q->limit)
        return 0;
    roll(q, wall_ms);
    if (calls + keep > q->limit) /* too small for both */
        keep = q->limit > calls ? q->limit - calls : 0;
    if (q->used + calls + keep <= q->limit || (calls > q->limit && q->used == 0))
        return 0;
    if (q->reset_ms)
        return at_least_one(q->reset_ms - wall_ms);
    /* A window that slides, or one we know nothing of. */
    q->reset_ms = wall_ms + ASK_MS;
    return ASK_MS;
}

void quota_take(struct quota *q, int64_t calls, int64_t wall_ms)
{
    if (q->limit) {
        roll(q, wall_ms);
        q->used += calls;
    }
    q->out += calls;
}

void quota_heard(struct quota *q)
{
    q->out -= q->out > 0;
}

void quota_told(struct quota *q, int64_t limit, int64_t remaining, int64_t since, int64_t reset_ms,
                int64_t wall_ms)
{
    if (limit > 0)
        q->limit = limit;
    if (!q->limit || remaining < 0)
        return;
    roll(q, wall_ms);
    q->used = q->limit - remaining + (since > q->out ? since : q->out);
    if (reset_ms >= 0)
        q->reset_ms = wall_ms + at_least_one(reset_ms);
    else if (!q->period_ms && remaining > 0)
        q->reset_ms = 0; /* what was put off is over */
}

void quota_told_late(struct quota *q, int64_t limit, int64_t remaining, int64_t since,
                     int64_t reset_ms, int64_t wall_ms)
{
    struct quota before;

    roll(q, wall_ms);
    if (reset_ms >= 0 && wall_ms + reset_ms + NEAR_MS < q->reset_ms)
        return; /* of a window before the one that is known: it took its time */
    before = *q;
    quota_told(q, limit, remaining, since, reset_ms, wall_ms);
    if (q->used < before.used)
        *q = before;
    else if (q->reset_ms < before.reset_ms)
        q->reset_ms = before.reset_ms;
}
