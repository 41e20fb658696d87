/*
 * choose.c - the costs, and what urgency and scarcity make of them.
 */
#include "choose.h"

#define JOB_CALLS      4    /* create, upload, close, one result file: no row has failed */
#define EVEN           1000 /* shares and prices are in thousandths */
#define CALLS_SCARCE   200  /* of the day's calls left: questions are put off */
#define CALLS_PLENTY   500  /* ... from here on urgency may cost all it is worth */
#define CALLS_FEW      100  /* ... and up to here nothing */
#define BATCHES_SCARCE 200  /* of the day's batches left: they begin to count */

/* How much dearer in calls Collections may be. */
#define WORTH_CRITICAL 5000
#define WORTH_AGED     2000
#define WORTH_BATCH    10000 /* of the very last batch */

/* ---- what they cost ------------------------------------------------------------------------ */

static uint32_t calls_for(size_t amount, size_t each)
{
    size_t n = amount / each + (amount % each > 0);

    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

uint32_t choose_collections_calls(size_t rows, size_t bytes)
{
    uint32_t by_rows = calls_for(rows, COLLECTION_ROWS);
    uint32_t by_bytes = calls_for(bytes, COLLECTION_BYTES);

    return by_rows > by_bytes ? by_rows : by_bytes;
}

/* What is left, in thousandths of all there is. */
static int64_t share(int64_t left, int64_t limit)
{
    if (limit <= 0)
        return EVEN;
    return left <= 0 ? 0 : left >= limit ? EVEN : left * EVEN / limit;
}

static int64_t calls_share(const struct choose_in *in)
{
    return share(in->left.calls, in->left.calls_limit);
}

int64_t choose_first_poll_ms(const struct choose_in *in)
{
    int64_t ms = in->poll_first_ms;

    if (calls_share(in) < CALLS_SCARCE && in->job_ms > ms)
        ms = in->job_ms < in->poll_cap_ms ? in->job_ms : in->poll_cap_ms;
    return ms;
}

/* How often a job is asked until it has ended: the wait doubles up to the cap. */
static uint32_t expected_polls(const struct choose_in *in)
{
    int64_t wait = choose_first_poll_ms(in), at = wait;
    uint32_t polls = 1;

    while (at < in->job_ms && wait > 0 && wait < in->poll_cap_ms) {
        wait = wait * 2 < in->poll_cap_ms ? wait * 2 : in->poll_cap_ms;
        at += wait;
        polls++;
    }
    if (at < in->job_ms && wait > 0)
        polls += calls_for((size_t)(in->job_ms - at), (size_t)wait);
    return polls;
}

uint32_t choose_bulk_calls(const struct choose_in *in)
{
    return JOB_CALLS + expected_polls(in) + in->deletes_jobs;
}

uint32_t choose_even_rows(const struct choose_in *in)
{
    return choose_bulk_calls(in) * COLLECTION_ROWS;
}

int64_t choose_expected_job_ms(int64_t expected_ms, int64_t took_ms)
{
    return expected_ms + (took_ms - expected_ms) / 4;
}

/* ---- what they are worth ------------------------------------------------------------------- */

static bool is_aged(const struct choose_in *in)
{
    return in->urgent_after_ms > 0 && in->age_ms >= in->urgent_after_ms;
}

/* What is above the even price, as far as calls are left for it. */
static int64_t affordable(const struct choose_in *in, int64_t worth)
{
    int64_t left = calls_share(in);

    if (left >= CALLS_PLENTY)
        return worth;
    if (left <= CALLS_FEW)
        return EVEN;
    return EVEN + (worth - EVEN) * (left - CALLS_FEW) / (CALLS_PLENTY - CALLS_FEW);
}

static int64_t worth_of_batches(const struct choose_in *in)
{
    int64_t left = share(in->left.batches, in->left.batches_limit);

    if (left >= BATCHES_SCARCE)
        return EVEN;
    return EVEN + (WORTH_BATCH - EVEN) * (BATCHES_SCARCE - left) / BATCHES_SCARCE;
}

/* The greatest worth that counts for this batch, and why. */
static int64_t worth(const struct choose_in *in, enum choose_reason *ret_reason)
{
    int64_t best = EVEN, batches = worth_of_batches(in);

    *ret_reason = CHOSEN_BY_CALLS;
    if (is_aged(in)) {
        best = WORTH_AGED;
        *ret_reason = CHOSEN_BY_AGE;
    }
    if (in->critical) {
        best = WORTH_CRITICAL;
        *ret_reason = CHOSEN_AS_CRITICAL;
    }
    if (batches > best) {
        best = batches;
        *ret_reason = CHOSEN_BY_BATCHES_LEFT;
    }
    return best;
}

/* No batch is left for a job, or no call for the dearer of the two. */
static bool is_forced(const struct choose_in *in, struct choice *c)
{
    const struct day_left *left = &in->left;
    bool batches_gone = left->batches_limit > 0 &&
                        left->batches < (int64_t)calls_for(in->rows, BULK_BATCH_ROWS);
    bool too_dear = left->calls_limit > 0 && left->calls < (int64_t)c->collections_calls &&
                    c->collections_calls > c->bulk_calls;

    if (batches_gone) { /* a job would stand there with rows in no result file */
        c->transport = TRANSPORT_COLLECTIONS;
        c->reason = CHOSEN_BY_BATCHES_LEFT;
    } else if (too_dear) {
        c->transport = TRANSPORT_BULK;
        c->reason = CHOSEN_BY_CALLS_LEFT;
    }
    return batches_gone || too_dear;
}

struct choice choose_transport(const struct choose_in *in)
{
    struct choice c = { .transport = in->wanted,
                        .reason = CHOSEN_BY_ROUTE,
                        .collections_calls = choose_collections_calls(in->rows, in->bytes),
                        .bulk_calls = choose_bulk_calls(in) };
    int64_t price = (int64_t)c.collections_calls * EVEN, most;
    enum choose_reason why;

    if (in->wanted != TRANSPORT_AUTO || is_forced(in, &c))
        return c;
    most = worth(in, &why);
    c.transport = TRANSPORT_COLLECTIONS;
    c.reason = CHOSEN_BY_CALLS;
    if (c.collections_calls <= c.bulk_calls)
        return c;
    c.reason = why;
    if (price <= (int64_t)c.bulk_calls * affordable(in, most))
        return c;
    c.transport = TRANSPORT_BULK;
    c.reason = price <= (int64_t)c.bulk_calls * most ? CHOSEN_BY_CALLS_LEFT : CHOSEN_BY_CALLS;
    return c;
}

const char *choose_reason_text(enum choose_reason reason)
{
    static const char *const texts[CHOSEN__COUNT] = {
        [CHOSEN_BY_ROUTE] = "the route's transport says so",
        [CHOSEN_BY_CALLS] = "it takes fewer calls",
        [CHOSEN_AS_CRITICAL] = "it is critical and is written at once",
        [CHOSEN_BY_AGE] = "it has waited long and is written at once",
        [CHOSEN_BY_BATCHES_LEFT] = "few of the day's bulk batches are left",
        [CHOSEN_BY_CALLS_LEFT] = "few of the day's calls are left",
    };

    return texts[reason];
}
