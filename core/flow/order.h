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

enum gate_kind { GATE_NEWER, GATE_OVERTAKE, GATE_AFTER, GATE__COUNT };

enum gate_verdict {
    GATE_GO,
    GATE_STAY,
    GATE_TAKEN /* it is being moved, and does not go at all */
};

/** Another delivery, as the store had it or as it has moved since. */
struct gate_row {
    uint64_t num;
    const struct conf_route *route; /* NULL: it is gone from the configuration */
    uint8_t state;
    bool sent;           /* GATE_OVERTAKE: it was, or may have been */
    uint64_t amended_by; /* GATE_OVERTAKE: hold_amended_by() */
    char *piece;         /* own */
};

/** Deliveries that wait for the same. */
struct gate {
    UT_hash_handle hh; /* flow.gates, by key */
    uint8_t key[16];   /* of the kind and what it asks about */
    enum gate_kind kind;
    struct flow *flow;
    uint64_t event;                /* GATE_AFTER */
    char *route, *subject, *piece; /* GATE_NEWER; own */
    struct list waiting;           /* struct delivery.gate_node */
    bool asking, again; /* the store is being asked; what it says may be too old by then */
    bool known;         /* `rows` are there */
    bool kept;          /* not to be freed for want of deliveries */
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

/** What it waits for at its gate; NULL: nothing that is known. */
const struct gate_row *gate_waits_for(const struct delivery *d);

why_cause why_gate;

/* after.c */
bool after_wanted(const struct delivery *d);
enum gate_verdict after_judge(const struct gate *g, struct delivery *d);
const struct gate_row *after_in_the_way(const struct gate *g, const struct delivery *d);
/** What stands in for one that others wait for has a later number than they, and may be beyond a
 *  window that they fill: it comes into memory. `rows`: as they are now. */
void after_fetch(const struct gate *g, const struct store_delivery *rows, size_t n);
void after_say(const struct gate *g, const struct delivery *d, struct why *w);

/* overtake.c */
void overtake_key(const char *route, sl_str subject, uint8_t out[16]);
bool overtake_wanted(const struct delivery *d);
enum gate_verdict overtake_judge(const struct gate *g, struct delivery *d);
const struct gate_row *overtake_in_the_way(const struct gate *g, const struct delivery *d);
void overtake_say(const struct gate *g, const struct delivery *d, struct why *w);
/** Something is being done with what it may close: to be looked at again soon. */
bool overtake_busy(const struct gate *g);
/** What is held beyond the window comes into memory, so that nobody decides about it meanwhile. */
void overtake_fetch(struct flow *f, const struct store_delivery *rows, size_t n);
bool overtake_sent(const struct store_delivery *row);
/** It leaves memory, or goes back. Harmless when it was never kept. */
void overtake_forget(struct delivery *d);

/* amend.c */
/** Held ones get its body; with `ends` it is superseded by that, and does not go; else it comes to
 *  its gate again when that is durable. */
void amend_start(struct delivery *d, const uint64_t *held, size_t n, bool ends);

/* overtake.c, as its order is made late, or comes back from the dead */
/** One of an overtaken route is durable: later ones that found nothing of it look again. */
void overtake_made(struct flow *f, const struct conf_route *r, const struct rec_delivery *rd);
void overtake_moved(struct flow *f, const struct order_move *m);

/* coalesce.c */
bool newer_wanted(const struct delivery *d);
enum gate_verdict newer_judge(const struct gate *g, struct delivery *d);
void newer_say(const struct gate *g, const struct delivery *d, struct why *w);

struct older;
/** What the deliveries of `routed` supersede goes into the same append, right behind their own
 *  record. NULL: nothing; else coalesce_end() it. */
struct older *coalesce_record(struct flow *f, const struct rec_routed *routed, struct commit *c);
/** A newer one is durable and known to latest.c. */
void coalesce_made(struct flow *f, const struct conf_route *r, const struct rec_delivery *rd);
/** The same of one that was held or dead, and is to be sent now. */
void coalesce_moved(struct flow *f, const struct order_move *m);
/** Memory follows, or all is as before. NULL is fine. */
void coalesce_end(struct flow *f, struct older *o, const struct commit *c, int status);

/* latest.c */
/** Negative: `a` is older. Numbers, or times with a zone; 0 also when they cannot be compared. */
int version_compare(sl_str a, sl_str b);
/** Find those pieces that come late: `late` of them says so. True: the store is asked, and
 *  router_store() is called again. */
bool latest_ask(struct routing *rt);
void latest_made(struct flow *f, const struct conf_route *r, const struct rec_delivery *rd,
                 enum delivery_state state);
void latest_moved(struct flow *f, const struct order_move *m);
/** The newest num of a chain that may be sent or was, or one that is newer `than` this. False:
 *  neither is known; ask the store, and latest_read() the answer. */
bool latest_newest(struct flow *f, const uint8_t key[16], uint64_t than, uint64_t *ret);
void latest_read(struct flow *f, const uint8_t key[16], const struct store_delivery *rows,
                 size_t n);
/** Around each question whose answer latest_read() gets: what dies meanwhile may stand in it. */
void latest_asked(struct flow *f);
void latest_answered(struct flow *f);
void latest_finish(struct flow *f);

/* dead.c: on_dead */

/** The oldest dead letter that blocks a chain; 0: none. */
uint64_t dead_first(const struct flow *f, const uint8_t key[16]);
/** Find what blocks: at start (`before` is NULL), before any lane sends, and what more does, or no
 * longer, by a new configuration. */
void dead_load(struct flow *f, const struct config *before);
void dead_moved(struct flow *f, const struct order_move *m);
void dead_finish(struct flow *f);
/** NOTICE_DEAD, which says also what it blocks. */
void dead_notice(struct flow *f, const struct lane *l, const struct delivery *d,
                 const struct conf_route *route, sl_str reason);
why_cause why_dead;
