/*
 * flow_rig.h - the flow with a real store in a directory of its own, a configuration made by hand
 * and an adapter that the test plays: it sees each call and answers when it likes.
 *
 * The endpoint "shop" sends webhooks, signed with RIG_SECRET or RIG_OLD_SECRET: X-Sig has the HMAC
 * in hexadecimal, X-Id the sender's id, X-Topic the topic. A body is "SUBJECT VERSION" ("-": none),
 * or "ref ID" when only a reference is known. The routes have no programs, so no mapping worker is
 * needed.
 */
#pragma once

#include "../check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "base/mem.h"
#include "flow/state.h"
#include "route_rig.h"

#define RIG_SECRET     "a secret"
#define RIG_OLD_SECRET "the secret of before"

enum { SHOP, CRM, OTHER, RIG_ENDPOINTS };
enum { ACT_SEND, ACT_SAFE, ACT_BULK, ACT_ONCE }; /* plain, idempotent, batches of 10, once */
enum call_kind {
    CALL_DELIVER,
    CALL_RESUME,
    CALL_CONFIRM,
    CALL_LOOKUP,
    CALL_POLL,
    CALL_COMPARE,
    CALL_BACKFILL,
};

/** The flow called the adapter, which has not answered yet. */
struct call {
    struct list node;
    enum call_kind kind;
    const sl_batch *batch;
    const sl_done *done;
    sl_confirm_cb confirmed;
    sl_lookup_cb looked_up;        /* names: topic, subject */
    const sl_poll_out *poll;       /* token: its cursor; a back-fill's: names[0] the topics */
    const sl_compare_out *compare; /* batch, n, names */
    void *ctx;
    size_t n;
    char names[10][32], keys[10][40], token[32];
    uint32_t attempt;
};

/** So often describe() finds no memory, after it has said half. */
extern unsigned rig_no_memory;

struct fake { /* an adapter's instance */
    struct list calls;
    uint64_t delivers, resumes, confirms, prepares;
    unsigned prepares_without_memory; /* so many from now on say so */
    uint64_t records;                 /* handed to deliver() */
    uint32_t auto_kind;               /* not 0: deliver() answers at once with it */
    const char *owns;                 /* the one subject that is its own; NULL: none */
    char log[8192];                   /* names delivered, each with a blank */
};

struct flow_rig {
    uv_loop_t loop;
    uv_timer_t tick;
    char dir[64];
    struct store *store;
    struct flow *flow;
    struct config config;
    struct conf_endpoint endpoints[RIG_ENDPOINTS];
    struct conf_route routes[8];
    struct conf_target targets[8];
    struct adapter adapters[RIG_ENDPOINTS];
    struct fake fakes[RIG_ENDPOINTS];
    uint64_t notices[NOTICE__COUNT];
    uint64_t events, duplicates;
    uint64_t last_event; /* id */
    bool done;
    struct store_delivery row;
    char reason[200], hold_type[40], endpoint[40];
    size_t stored_request; /* bytes, of the row; 0: none beside the body */
    struct decided decided;
    uint64_t max_queue_bytes; /* of the store; 0: as usual */
    struct call *late;        /* is answered when the store takes nothing any more */
};

void rig_init(struct flow_rig *rig);
struct flow_rig *rig_new(void); /* own: rig_destroy() it, which is rig_finish() and its memory */
void rig_destroy(struct flow_rig *rig);
/** A route from shop's topic to an endpoint's action. Before rig_up(). */
struct conf_route *rig_route(struct flow_rig *rig, const char *name, const char *topic,
                             int endpoint, uint32_t action);
void rig_up(struct flow_rig *rig);
/** The process ends as by kill -9, as far as the log is concerned. */
void rig_crash(struct flow_rig *rig);
void rig_finish(struct flow_rig *rig); /* crash, and the loop closes without a rest */

/** A webhook; durable when this returns. Gives the num of its first delivery. */
uint64_t rig_event(struct flow_rig *rig, const char *topic, const char *body);
struct call *rig_call(struct flow_rig *rig, int endpoint); /* waits for the first open one */
bool rig_quiet(struct flow_rig *rig, int endpoint);        /* no call comes within 60 ms */
void rig_outcome(struct call *c, size_t i, uint32_t kind, int64_t after_ms);
void rig_end(struct call *c);                   /* finish() */
void rig_answer(struct call *c, uint32_t kind); /* every record, and finish() */
/** Of a single record not a byte left: to be retried, not before `after_ms`. */
void rig_not_sent(struct call *c, int64_t after_ms);
void rig_confirm(struct call *c, uint32_t verdict);
void rig_look_up(struct call *c, uint32_t verdict, const char *body);
extern uint32_t rig_compares_at_once; /* what comparing() says from now on; 0: nothing */
extern uint64_t rig_compares_bytes;
/** Each of the call's records so, and finish(). */
void rig_compared(struct call *c, const uint32_t *verdicts, sl_status status);
void rig_polled(struct call *c, sl_status status, int64_t after_ms); /* finish() */
enum delivery_state rig_state(struct flow_rig *rig, uint64_t num); /* in the index; rig->row too */
int rig_decide(struct flow_rig *rig, enum decision what, uint64_t num, const struct decide *more);
const char *rig_name(uint64_t num);  /* "1042.0"; until the next call */
void rig_turn(struct flow_rig *rig); /* one turn of the loop, at most 5 ms */

#define UNTIL(rig, cond)                                                  \
    do {                                                                  \
        uint64_t until_ = uv_hrtime() / 1000000 + 30000;                  \
        while (!(cond)) {                                                 \
            rig_turn(rig);                                                \
            if (uv_hrtime() / 1000000 > until_)                           \
                fail_msg("line %d: waited in vain for " #cond, __LINE__); \
        }                                                                 \
    } while (0)
