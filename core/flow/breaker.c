#include "flow/breaker.h"

#include <assert.h>
#include <string.h>

#define BY_HAND_MS (3600 * 1000) /* nothing to wait for; it is looked at again all the same */

const char *const breaker_state_names[BREAKER__COUNT] = { "closed", "open", "half-open" };

static const unsigned legal_moves[BREAKER__COUNT] = {
    [BREAKER_CLOSED] = 1u << BREAKER_OPEN,
    [BREAKER_OPEN] = 1u << BREAKER_HALF_OPEN | 1u << BREAKER_CLOSED, /* closed: by hand */
    [BREAKER_HALF_OPEN] = 1u << BREAKER_OPEN | 1u << BREAKER_CLOSED,
};

static void enter(struct breaker *b, enum breaker_state next)
{
    assert(legal_moves[b->state] & 1u << next);
    b->state = next;
    b->probes_out = b->probes_good = 0;
    if (next == BREAKER_CLOSED) {
        memset(b->slots, 0, sizeof(b->slots));
        b->trips_in_row = 0;
    }
}

void breaker_init(struct breaker *b, const struct breaker_conf *conf)
{
    *b = (struct breaker){ .conf = *conf };
    if (b->conf.probes == 0)
        b->conf.probes = 1;
}

void breaker_change(struct breaker *b, const struct breaker_conf *conf)
{
    if (conf->window_ms != b->conf.window_ms) /* its slots are counted otherwise */
        memset(b->slots, 0, sizeof(b->slots));
    b->conf = *conf;
    if (b->conf.probes == 0)
        b->conf.probes = 1;
}

static uint64_t slot_ms(const struct breaker *b)
{
    uint64_t ms = b->conf.window_ms / BREAKER_SLOTS;
    return ms ? ms : 1;
}

static void count(struct breaker *b, bool good, uint64_t now_ms)
{
    uint64_t epoch = now_ms / slot_ms(b) + 1; /* + 1: an unused slot has epoch 0 */
    unsigned i = epoch % BREAKER_SLOTS;

    if (b->slots[i].epoch != epoch) {
        b->slots[i].epoch = epoch;
        b->slots[i].calls = b->slots[i].failures = 0;
    }
    b->slots[i].calls++;
    b->slots[i].failures += !good;
}

static bool too_many_failures(const struct breaker *b, uint64_t now_ms)
{
    uint64_t epoch = now_ms / slot_ms(b) + 1;
    uint64_t calls = 0, failures = 0;

    for (unsigned i = 0; i < BREAKER_SLOTS; i++) {
        if (b->slots[i].epoch + BREAKER_SLOTS <= epoch)
            continue;
        calls += b->slots[i].calls;
        failures += b->slots[i].failures;
    }
    return calls >= b->conf.min_calls && failures * 100 >= calls * b->conf.failure_percent;
}

static void open_now(struct breaker *b, uint64_t now_ms, struct rng *rng)
{
    uint64_t ms = b->conf.open_ms;

    for (uint32_t i = 0; i < b->trips_in_row && ms < b->conf.open_max_ms; i++)
        ms *= 2;
    if (ms > b->conf.open_max_ms)
        ms = b->conf.open_max_ms;
    b->open_until = now_ms + ms + rng_below(rng, ms / 10 + 1);
    if (b->state != BREAKER_OPEN)
        enter(b, BREAKER_OPEN);
    b->trips_in_row++;
    b->trips++;
}

uint64_t breaker_wait(const struct breaker *b, uint64_t now_ms)
{
    if (b->by_hand)
        return BY_HAND_MS;
    if (b->state == BREAKER_OPEN && now_ms < b->open_until)
        return b->open_until - now_ms;
    if (b->state == BREAKER_HALF_OPEN && b->probes_out + b->probes_good >= b->conf.probes)
        return 100; /* a probe's result changes the state; this is only a fallback */
    return 0;
}

uint64_t breaker_ask(struct breaker *b, uint64_t now_ms)
{
    uint64_t wait = breaker_wait(b, now_ms);

    if (wait)
        return wait;
    if (b->state == BREAKER_OPEN)
        enter(b, BREAKER_HALF_OPEN);
    if (b->state == BREAKER_HALF_OPEN)
        b->probes_out++;
    return 0;
}

bool breaker_result(struct breaker *b, bool good, uint64_t now_ms, struct rng *rng)
{
    switch (b->state) {
    case BREAKER_CLOSED:
        count(b, good, now_ms);
        if (good || !too_many_failures(b, now_ms))
            return false;
        open_now(b, now_ms, rng);
        return true;
    case BREAKER_HALF_OPEN:
        if (b->probes_out)
            b->probes_out--;
        if (!good) {
            open_now(b, now_ms, rng);
            return true;
        }
        if (++b->probes_good >= b->conf.probes)
            enter(b, BREAKER_CLOSED);
        return false;
    default:
        return false; /* a call from before it opened */
    }
}

void breaker_forget(struct breaker *b)
{
    if (b->state == BREAKER_HALF_OPEN && b->probes_out)
        b->probes_out--;
}

void breaker_trip(struct breaker *b, uint64_t now_ms, struct rng *rng)
{
    open_now(b, now_ms, rng);
}

void breaker_hold(struct breaker *b)
{
    if (b->state != BREAKER_OPEN)
        enter(b, BREAKER_OPEN);
    if (!b->by_hand)
        b->trips++;
    b->by_hand = true;
}

void breaker_restore(struct breaker *b, uint64_t open_until, uint32_t trips_in_row)
{
    enter(b, BREAKER_OPEN);
    b->open_until = open_until;
    b->trips_in_row = trips_in_row < 32 ? trips_in_row : 32;
    b->trips++;
}

void breaker_reset(struct breaker *b)
{
    b->by_hand = false;
    if (b->state != BREAKER_CLOSED)
        enter(b, BREAKER_CLOSED);
}
