#include "flow/budget.h"

#define SLOT_MS (BUDGET_WINDOW_MS / BUDGET_SLOTS)

void budget_init(struct budget *b, uint32_t percent)
{
    *b = (struct budget){ .percent = percent };
}

static bool in_window(const struct budget *b, size_t i, uint64_t now_ms)
{
    return b->slots[i].epoch + BUDGET_SLOTS > now_ms / SLOT_MS;
}

/* The slot of now, emptied when it was of an earlier round. */
static size_t slot_of(struct budget *b, uint64_t now_ms)
{
    uint64_t epoch = now_ms / SLOT_MS;
    size_t i = (size_t)(epoch % BUDGET_SLOTS);

    if (b->slots[i].epoch != epoch) {
        b->slots[i].epoch = epoch;
        b->slots[i].calls = b->slots[i].retries = 0;
    }
    return i;
}

void budget_call(struct budget *b, uint64_t now_ms)
{
    b->slots[slot_of(b, now_ms)].calls++;
}

void budget_result(struct budget *b, bool good)
{
    if (!good)
        b->well = 0;
    else if (b->well < BUDGET_WELL)
        b->well++;
}

void budget_relax(struct budget *b)
{
    b->well = BUDGET_WELL;
}

void budget_counts(const struct budget *b, uint64_t now_ms, uint32_t *ret_retries,
                   uint32_t *ret_calls)
{
    *ret_retries = *ret_calls = 0;
    for (size_t i = 0; i < BUDGET_SLOTS; i++) {
        if (!in_window(b, i, now_ms))
            continue;
        *ret_retries += b->slots[i].retries;
        *ret_calls += b->slots[i].calls;
    }
}

/* Retries of the newest two slots; and when the older of them that has one is new no more. */
static uint32_t newest(const struct budget *b, uint64_t now_ms, uint64_t *ret_wait)
{
    uint64_t now = now_ms / SLOT_MS, oldest = now;
    uint32_t n = 0;

    for (size_t i = 0; i < BUDGET_SLOTS; i++) {
        if (b->slots[i].epoch + 1 < now || !b->slots[i].retries)
            continue;
        n += b->slots[i].retries;
        if (b->slots[i].epoch < oldest)
            oldest = b->slots[i].epoch;
    }
    *ret_wait = (oldest + 2) * SLOT_MS - now_ms;
    return n;
}

uint64_t budget_take(struct budget *b, uint64_t now_ms)
{
    bool bound = b->percent > 0 && b->percent < 100 && b->well < BUDGET_WELL;
    uint32_t retries, calls;
    uint64_t wait;

    budget_counts(b, now_ms, &retries, &calls);
    if (bound && newest(b, now_ms, &wait) >= BUDGET_FLOOR &&
        (retries + 1) * UINT64_C(100) > (calls + 1) * (uint64_t)b->percent)
        return wait;
    b->slots[slot_of(b, now_ms)].retries++;
    return 0;
}
