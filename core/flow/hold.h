/*
 * hold.h - what a held delivery carries (the detail of its row): who decides, what the choices are,
 * what they rest on, and what happens when its clock runs out.
 *
 *   {"hold":"fraud","owner":"risk","then":"escalate","for_ms":7200000,"escalate_to":"lead",
 *    "until":["orders/risk_assessment_changed"],"to":"byron",
 *    "choices":[{"name":"release","do":"release"},{"name":"reject","do":"reject"}],
 *    "evidence":{...}}
 *
 * It is made when the delivery is held and says all that is needed later: a changed configuration
 * changes nothing of it. `evidence` stands last, so that no number in it is printed anew; of a
 * delivery that waits for an event, `next` stands there: the hold that comes after.
 */
#pragma once

#include "flow/hold_fill.h"
#include "flow/state.h"

#define HOLD_EVIDENCE_MAX (16u << 10) /* bytes; what is longer is left out, and that is said */

/* Of a hold that an adapter asked for (hold_asked.h): its endpoint, and what a person chose. */
#define HOLD_ASKED_BY "asked_by"
#define HOLD_ANSWER   "answer"

/** Own text. `before`: a detail whose members go before, or empty; `evidence`: JSON, or empty;
 * `lack`: why there is none, or empty; `next`: a detail. */
char *hold_detail(const struct conf_hold *h, const struct conf_route *r, sl_str before,
                  sl_str evidence, sl_str lack, sl_str next);

/** What is to become of a held delivery. Texts are owned: hold_verdict_finish(). */
struct hold_verdict {
    enum delivery_state state;         /* READY, DEAD, or HELD: under another type, or escalated */
    char *to;                          /* READY: the endpoint, if it has none; NULL: its own */
    char *reason, *hold_type, *detail; /* NULL: as whoever decided says, none, unchanged */
    char *body;                        /* what was filled in is in it; NULL: as it was */
    size_t body_len;
    int64_t next_ms;
    bool overdue;
    bool asks; /* nothing is decided: what it waits for is to be looked up, see lookup.h */
};

/** Its clock ran out. `cannot`: why it cannot be released; empty: try. */
void hold_ran_out(const struct flow *f, const struct store_delivery *row, int64_t now_ms,
                  const char *cannot, struct hold_verdict *ret);
/** Own text: "orders/create has not come within 30s" */
char *hold_late(const struct store_delivery *row);

/** What a person decides. */
struct hold_word {
    sl_str choice; /* one of its choices; empty: its usual way */
    bool release;  /* else: reject; a choice says so itself */
    sl_str why;
    struct hold_fill fill;
};
/** It is released or rejected. 0, or UV_EINVAL with `text`. */
int hold_chosen(const struct store_delivery *row, const struct hold_word *word, int64_t now_ms,
                struct hold_verdict *ret, char text[160]);
void hold_verdict_finish(struct hold_verdict *v);

/** What the detail says of the row's hold, its evidence aside, whose numbers may be of any size.
 * NULL: nothing. Own: json_decref(). */
json_t *hold_read(const struct store_delivery *row);
/** The same of whatever hold it speaks of, or spoke of last. */
json_t *hold_read_any(sl_str detail);

/** What a held row's hold says goes on in `detail`, an object that takes the old detail's place. */
void hold_carry(struct buf *detail, const struct store_delivery *row);

/** The detail of a held row whose body is another delivery's from now on: that one stands in it as
 *  `amended_by`. Own text. */
char *hold_amended(const struct store_delivery *row, uint64_t by);
uint64_t hold_amended_by(sl_str detail); /* 0: by none */

/** The owner its detail names, own; NULL: none. */
char *hold_owner(sl_str detail);
/** "2h", "90s": as people write it. */
const char *hold_duration(int64_t ms, char out[24]);

/** The hold of this type of a route or one of its targets; NULL: none. */
const struct conf_hold *hold_of(const struct conf_route *r, sl_str type);
