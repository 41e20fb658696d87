/*
 * order.h - what keeps a ready delivery back although it is the first of its chain: other routes'
 * deliveries of the same event (`after`), a dead letter of the same subject (`on_dead: block`).
 *
 * A gate is what deliveries wait at: it asks the store once what stands before them, since that may
 * be in another lane, beyond a window, or final, and follows the moves from then on. What it knows
 * is never more than the store says, so a restart finds the same. A delivery passes one gate after
 * the other, before it is sent for the first time; what was sent has passed them all.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/state.h"
#include "flow/why.h"

enum gate_kind { GATE_AFTER, GATE__COUNT };

/** Another delivery, as the store had it or as it has moved since. */
struct gate_row {
    uint64_t num;
    const struct conf_route *route; /* NULL: it is gone from the configuration */
    uint8_t state;
};

/** Deliveries that wait for the same. */
struct gate {
    UT_hash_handle hh; /* flow.gates, by key */
    uint8_t key[16];   /* of the kind and what it asks about */
    enum gate_kind kind;
    struct flow *flow;
    uint64_t event;      /* GATE_AFTER */
    struct list waiting; /* struct delivery.gate_node */
    bool asking, again;  /* the store is being asked; what it says may be too old by then */
    bool known;          /* `rows` are there */
    bool kept;           /* not to be freed for want of deliveries */
    struct gate_row *rows;
    size_t n_rows;
};

/* gate.c */

/** Is nothing in its way any more? If not it waits at a gate, and is put into its pile when it may
 *  pass. For a delivery that is ready; harmless when repeated. */
bool gate_pass(struct delivery *d);
void gate_leave(struct delivery *d); /* it waits no more, for whatever reason */

/** A delivery that others may wait for: made, moved, or decided upon. */
struct order_move {
    uint64_t num;
    const struct conf_route *route; /* NULL: nobody waits for it */
    sl_str subject, piece;
    enum delivery_state state; /* after it */
};
/** What is durable of it now. After memory has followed. */
void order_moved(struct flow *f, const struct order_move *m);

/** f->config is another one; routes of `before` are named for the last time. Piles are empty. */
void order_change(struct flow *f, const struct config *before);

/** What is known of an event's deliveries as they are made: no question is needed. Between the two
 *  they are put into their lanes. */
struct gate *gate_open(struct flow *f, const struct rec_routed *routed, const uint8_t *states);
void gate_opened(struct gate *g); /* NULL is fine */

why_cause why_gate;

/* after.c */
bool after_wanted(const struct delivery *d);
bool after_clear(const struct gate *g, const struct delivery *d); /* may it go? */
void after_say(const struct gate *g, const struct delivery *d, struct why *w);

/* dead.c: on_dead */

/** The oldest dead letter that blocks a chain; 0: none. */
uint64_t dead_first(const struct flow *f, const uint8_t key[16]);
/** Find what blocks: at start (`before` is NULL), before any lane sends, and what more does by a
 * new configuration. */
void dead_load(struct flow *f, const struct config *before);
void dead_moved(struct flow *f, const struct order_move *m);
void dead_finish(struct flow *f);
/** NOTICE_DEAD, which says also what it blocks. */
void dead_notice(struct flow *f, const struct lane *l, const struct delivery *d,
                 const struct conf_route *route, sl_str reason);
why_cause why_dead;
