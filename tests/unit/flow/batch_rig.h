/*
 * batch_rig.h - on the clock rig an adapter whose batches the test answers: records with parents,
 * narrow answers, batches that gather. A body is "SUBJECT", or "SUBJECT #PARENT". Each test program
 * has the whole of it.
 */
#pragma once

#include "clock_rig.h"

#define MOST_OUT 16

/** A batch that is with the adapter. */
struct out {
    const sl_batch *batch;
    const sl_done *done;
    bool resumed;
};

static struct clock_rig rig;
static struct out outs[MOST_OUT]; /* the oldest first */
static size_t n_outs;
static sl_batching gathering; /* what batching() says */

static sl_str parent_key(void *self, void *handle, sl_str body)
{
    const char *at = body.len ? memchr(body.ptr, '#', body.len) : NULL;

    (void)self;
    (void)handle;
    return at ? (sl_str){ at, body.len - (size_t)(at - body.ptr) } : STR("");
}

static void batching(uint32_t action, const void *handle, sl_batching *ret)
{
    (void)handle;
    (void)action;
    CHECK_EQ(ret->size, sizeof(*ret));
    ret->quick_records = gathering.quick_records;
    ret->records = gathering.records;
    ret->chunk = gathering.chunk;
    ret->age_ms = gathering.age_ms;
    ret->quick_ms = gathering.quick_ms;
}

static void take_out(const sl_batch *b, const sl_done *done, bool resumed)
{
    assert_true(n_outs < MOST_OUT);
    outs[n_outs++] = (struct out){ b, done, resumed };
}

static void deliver_later(void *self, void *handle, const sl_batch *b, const sl_done *done)
{
    (void)self;
    (void)handle;
    take_out(b, done, false);
}

static void resume_later(void *self, void *handle, const sl_batch *b, sl_str token,
                         const sl_done *done)
{
    (void)self;
    (void)handle;
    (void)token;
    take_out(b, done, true);
}

static const sl_action batch_actions[] = {
    { .name = "bulk", .flags = SL_ACTION_IDEMPOTENT, .batch_records = 10 },
    { 0 },
};

static const sl_plugin batch_plugin = {
    .size = sizeof(batch_plugin),
    .name = "fake",
    .actions = batch_actions,
    .deliver = deliver_later,
    .resume = resume_later,
    .parent_key = parent_key,
    .batching = batching,
};

/** Before clock_rig_up(): routes r0, r1, r2 take t0, t1, t2 to "crm", all ordered. */
static void batch_rig_init(void)
{
    static const char *const names[] = { "r0", "r1", "r2" }, *const topics[] = { "t0", "t1", "t2" };

    n_outs = 0;
    gathering = (sl_batching){ 0 };
    clock_rig_init(&rig);
    rig.endpoints[CRM].plugin = &batch_plugin;
    rig.endpoints[CRM].batch_age_ms = rig.endpoints[CRM].batch_quick_ms = -1;
    for (size_t i = 0; i < 3; i++)
        clock_rig_route(&rig, names[i], topics[i])->ordered = true;
}

/** The records of the i-th batch out, by subject and as they stand: "a b". */
static inline const char *subjects(size_t i)
{
    static char text[400];

    text[0] = '\0';
    for (size_t k = 0; i < n_outs && k < outs[i].batch->n_records; k++) {
        const sl_record *r = &outs[i].batch->records[k];
        size_t at = strlen(text);
        snprintf(text + at, sizeof(text) - at, "%s" STR_FMT, k ? " " : "", STR_ARG(r->subject));
    }
    return text;
}

/** All of the i-th hear the same; it is over, and a moment passes. */
static inline void answer(size_t i, const sl_outcome *o)
{
    struct out out = outs[i];

    assert_true(i < n_outs);
    memmove(&outs[i], &outs[i + 1], (--n_outs - i) * sizeof(outs[0]));
    for (size_t k = 0; k < out.batch->n_records; k++)
        out.done->outcome(out.done->ctx, k, o);
    out.done->finish(out.done->ctx);
    clock_rig_pass(&rig, 100);
}

static inline void answer_well(size_t i)
{
    answer(i, &(sl_outcome){ .size = sizeof(sl_outcome), .kind = SL_DELIVERED });
}

static inline void answer_narrow(size_t i, uint32_t narrow)
{
    answer(i, &(sl_outcome){ .size = sizeof(sl_outcome),
                             .kind = SL_RETRY,
                             .why = STR("locked"),
                             .narrow = narrow });
}

/** Routed, and whatever leaves by it has left. */
static inline uint64_t comes(const char *topic, const char *body)
{
    uint64_t num = clock_rig_event(&rig, topic, body);

    clock_rig_pass(&rig, 100);
    return num;
}

static inline void batch_rig_crash(void)
{
    clock_rig_crash(&rig);
    n_outs = 0;
}
