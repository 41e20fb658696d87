/*
 * record.h - what the log holds: the records, their C form and their bytes.
 *
 * A record never changes. Its number in the log (seq, from 1, no gaps) is its identity: an event's
 * id is its receipt's seq, a batch's id is the seq of its `sent` record.
 *
 * Decoded records borrow from the bytes they were decoded from; their arrays are owned by the
 * record: record_finish().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sluice/sluice.h>
#include "base/buf.h"
#include "base/pack.h"

enum record_type {
    REC_RECEIPT = 1, /* an event as received, emitted, polled or found */
    REC_ROUTED = 2,  /* what was made of an event: its subjects and deliveries */
    REC_SENT = 3,    /* deliveries about to be sent, as one batch: durable before the first byte */
    REC_OUTCOME = 4, /* what came of them, and links */
    REC_CHECKPOINT = 5, /* where a long remote job stands */
    REC_DECISION = 6,   /* an operator's or the host's move of deliveries, with who and why */
    REC_DUPLICATE = 7,  /* a receipt whose key was known: that it came, not what */
    REC_VOID = 8,       /* in place of records that were damaged and written off; nothing follows */
    REC_STATE = 9,      /* small facts that outlive the process: pauses, acknowledgements ... */
    REC_DEADLINE = 10,  /* deadlines that begin, are met or missed */
    REC_PRIVACY = 11,   /* what a person asks to be erased or handed out, and how far that is */
};

enum delivery_state {
    DS_READY = 0,
    DS_INFLIGHT = 1,
    DS_WAITING = 2, /* for next_ms */
    DS_PARKED =
        3, /* shown for a ready one whose lane is parked or whose breaker is open; never stored */
    DS_UNKNOWN = 4, /* sent, no understood answer; asked for again at next_ms */
    DS_HELD = 5,
    DS_DELIVERED = 6, /* this and what follows are final */
    DS_DEAD = 7,
    DS_SUPERSEDED = 8,
    DS_DISCARDED = 9,
    DS__COUNT
};

extern const char *const delivery_state_names[DS__COUNT];

static inline bool delivery_state_final(enum delivery_state s)
{
    return s >= DS_DELIVERED;
}

/** A delivery's number: its event's id and its place among the event's deliveries. Rising with the
 *  event, so it orders deliveries by arrival. Shown to people as "1042.0". */
#define DELIVERY_ORDINAL_BITS 12
#define DELIVERY_ORDINAL_MAX  ((1u << DELIVERY_ORDINAL_BITS) - 1)

static inline uint64_t delivery_num(uint64_t event, unsigned ordinal)
{
    return event << DELIVERY_ORDINAL_BITS | ordinal;
}
static inline uint64_t delivery_event(uint64_t num)
{
    return num >> DELIVERY_ORDINAL_BITS;
}
static inline unsigned delivery_ordinal(uint64_t num)
{
    return num & DELIVERY_ORDINAL_MAX;
}
/** "1042.0"; `out` holds 32 bytes. */
void delivery_name(uint64_t num, char out[32]);
/** 0 or UV_EINVAL. */
int delivery_parse(sl_str name, uint64_t *ret_num);

enum event_origin {
    EO_WEBHOOK = 0,
    EO_EMITTED = 1,
    EO_POLLED = 2,
    EO_DUPLICATE = 3,  /* in the index: a receipt that was refused; a receipt never says so */
    EO_RECONCILED = 4, /* emitted by a sweep or a back-fill: it should have come before */
    EO__COUNT
};

struct rec_receipt {
    uint8_t origin; /* enum event_origin */
    int64_t received_ms;
    uint64_t cause; /* the delivery (its num) whose outcome emitted it; 0: none */
    sl_str endpoint, topic, sender_id;
    sl_str headers; /* pairs: str name, str value, packed */
    sl_str body;
    sl_str subject; /* of the cause, for an emitted event; else empty */
};

/** A receipt that was refused. The log fills in the first two as it decides, so their places are
 *  fixed: after the version byte. */
struct rec_duplicate {
    uint64_t original; /* the record that brought the key */
    uint8_t same_body; /* the key's kept value is this one's: see store_key.value */
    int64_t received_ms;
    uint64_t body_bytes;
    sl_str endpoint, topic, sender_id;
};
#define REC_DUPLICATE_ORIGINAL_AT  1
#define REC_DUPLICATE_SAME_BODY_AT 9

struct rec_delivery {
    uint64_t num;
    uint8_t id[16];   /* first 16 bytes of SHA-256(event, route, piece) */
    uint8_t state;    /* READY, HELD, DEAD; the log writes SUPERSEDED over it (store_key.mark) */
    uint8_t priority; /* 0 critical, 1 high, 2 normal, 3 low */
    sl_str route, piece, endpoint, action, subject;
    sl_str hold_type;  /* for HELD */
    sl_str reason;     /* for HELD, DEAD */
    sl_str body;       /* JSON that goes to the adapter */
    int64_t next_ms;   /* for HELD: when its clock runs out; 0: it has none */
    sl_str version;    /* of the event, as the adapter describes it; may be empty */
    sl_str detail;     /* a JSON object for people: evidence, choices, reasons; may be empty */
    uint32_t state_at; /* set by encode: offset of the state byte in the payload */
};

struct rec_about {
    sl_str subject, version;
};

struct rec_ref { /* a link that the event waits for */
    sl_str endpoint, kind, id;
};

struct rec_routed {
    uint64_t event;
    int64_t at_ms;
    uint64_t
        duplicate_of; /* an earlier event with the same event key: then no deliveries; 0: none */
    sl_str note;      /* why nothing came of it, test flag ...; may be empty */
    struct rec_about *abouts;
    size_t n_abouts;
    struct rec_ref *waits; /* non-empty: the event waits for these, and is routed again */
    size_t n_waits;
    struct rec_delivery *deliveries;
    size_t n_deliveries;
};

struct rec_sent_item {
    uint64_t num;
    uint32_t attempt; /* from 1 */
    uint32_t generation;
    sl_str key;         /* idempotency key */
    sl_str request;     /* frozen bytes; empty: equal to the body, or frozen by an earlier record */
    uint8_t digest[32]; /* of the request */
};

struct rec_sent {
    int64_t at_ms;
    sl_str endpoint, route;
    struct rec_sent_item *items;
    size_t n_items;
};

/** May what was sent have arrived at the delivery's endpoint, although nobody said so? */
enum delivery_arrival {
    ARRIVAL_KEEP = 0, /* as before; of a delivery that was never sent: no; else: perhaps */
    ARRIVAL_NO = 1,   /* nothing of it is there */
    ARRIVAL_PERHAPS = 2,
};

#define BURNT_ANEW 2

struct rec_move {
    uint64_t num;
    uint8_t state;       /* after it */
    uint8_t burnt;       /* 1: counts as an attempt; 0: the attempt's number is used again;
                            BURNT_ANEW: its attempts count from 0 again, at another endpoint */
    uint32_t attempt;    /* which it ends; 0: none was under way */
    uint32_t generation; /* after it */
    uint32_t status;     /* protocol's status; 0: none */
    uint32_t latency_ms;
    int64_t next_ms;      /* wall clock, for WAITING and UNKNOWN, and HELD with a clock; else 0 */
    uint8_t set_priority; /* 1 + the priority after it; 0: unchanged */
    sl_str reason, reference, hold_type;
    sl_str endpoint; /* the delivery's endpoint after it; empty: unchanged. At another one it was
                        never sent, and what was frozen for the one before is not sent there */
    sl_str detail;   /* as rec_delivery's; empty: unchanged */
    sl_str body;     /* an edited one; empty: unchanged. Its generation is a new one, so that what
                        was frozen of the old body is not sent */
    uint8_t arrival; /* enum delivery_arrival */
};

struct rec_link {
    sl_str endpoint, kind, id, subject;
    uint64_t num; /* of the delivery whose outcome it is */
};
/** In a link's num, the ordinal of one that an event told, or that was asked for it: it goes with
 *  the event, and leaves a delivery's link that is there its delivery. */
#define REC_LINK_LEARNT DELIVERY_ORDINAL_MAX

/** Who decided what a restore decides. Everything before the last such record stood in the backup.
 */
#define REC_WHO_RESTORE "restore"

/** REC_OUTCOME and REC_DECISION. */
struct rec_moves {
    int64_t at_ms;
    uint64_t batch; /* whose outcome it is; 0: none */
    sl_str who;     /* "operator:uid 0", "adapter", "recovery" ... */
    struct rec_move *moves;
    size_t n_moves;
    struct rec_link *links;
    size_t n_links;
};

struct rec_checkpoint {
    uint64_t batch;
    int64_t at_ms;
    uint32_t done;
    sl_str token;
};

/** One fact: the newest of a space and key holds. */
struct rec_state_item {
    sl_str space, key;
    sl_str value; /* JSON; empty: there is none any more */
};

struct rec_state {
    int64_t at_ms;
    sl_str who, why;
    struct rec_state_item *items;
    size_t n_items;
};

/* Encoding appends to `b`; check b->failed. rec_routed_encode fills each delivery's state_at. */
void rec_receipt_encode(struct buf *b, const struct rec_receipt *r);
/** A receipt encoded as it comes in, the body last: rec_receipt_begin() writes what stands before
 *  the headers, with room for so many bytes to follow; then rec_headers_encode(), as often as
 *  wanted; rec_receipt_body(); the body's bytes by buf_append(); rec_receipt_end(). `b` is empty
 *  before. `r` without headers and body. */
struct rec_receipt_draft {
    size_t headers_at, body_at; /* the first byte of each */
};
#define REC_LENGTH_BYTES 4 /* of the body: between the two */
void rec_receipt_begin(struct rec_receipt_draft *d, struct buf *b, const struct rec_receipt *r,
                       size_t room);
void rec_receipt_body(struct rec_receipt_draft *d, struct buf *b);
void rec_receipt_end(const struct rec_receipt_draft *d, struct buf *b, int64_t received_ms);
void rec_duplicate_encode(struct buf *b, const struct rec_duplicate *r);
void rec_routed_encode(struct buf *b, struct rec_routed *r);
void rec_sent_encode(struct buf *b, const struct rec_sent *r);
void rec_moves_encode(struct buf *b, const struct rec_moves *r);
void rec_checkpoint_encode(struct buf *b, const struct rec_checkpoint *r);
/** What becomes of a delivery's deadline. */
enum deadline_what {
    DEADLINE_BEGINS = 0, /* with its delivery's outcome; one that is open goes on instead */
    DEADLINE_WARNED = 1, /* its owner was told that it is near */
    DEADLINE_MET = 2,    /* what was expected has come */
    DEADLINE_MISSED = 3, /* it has not; the event that says so is in the same append */
    DEADLINE__COUNT
};

struct rec_deadline {
    uint64_t num;    /* of its delivery */
    uint8_t what;    /* enum deadline_what */
    int64_t next_ms; /* BEGINS, WARNED: when there is something to do */
    /* BEGINS: */
    int64_t due_ms;
    sl_str expect; /* topics, a line each */
    sl_str topic;  /* of the event that says that it was missed */
    sl_str owner, route, subject, endpoint;
    /* MET: */
    uint64_t event;
};

struct rec_deadlines {
    int64_t at_ms;
    struct rec_deadline *items;
    size_t n_items;
};

void rec_deadlines_encode(struct buf *b, const struct rec_deadlines *r);
int rec_deadlines_decode(sl_str s, struct rec_deadlines *ret);
void rec_deadlines_finish(struct rec_deadlines *r);

/** What is asked about a person: an event's adapter says so, see sl_ask in sluice.h. */
enum privacy_kind { PRIVACY_ERASE = 1, PRIVACY_HAND_OUT = 2, PRIVACY_KIND__END };

enum privacy_what {
    PRIVACY_ASKED = 0,  /* with the routing of the event that asks */
    PRIVACY_ERASED = 1, /* these events: nothing of theirs stands in the index any more */
    PRIVACY_DONE = 2,   /* all of them are; or what was asked for is handed out */
    PRIVACY_ENDED = 3,  /* the log has none of it either */
    PRIVACY_TURN = 4,   /* nothing but a record: the log's newest segment is to be followed */
    PRIVACY__COUNT
};

struct rec_privacy {
    uint64_t event; /* that asks: the request's id */
    uint8_t what;
    int64_t at_ms;
    uint8_t kind;   /* ASKED: enum privacy_kind */
    int64_t due_ms; /* ASKED: it must have ended; DONE: the log's segments go; 0: nothing is left */
    sl_str endpoint, topic; /* ASKED */
    sl_str asked;           /* ASKED: a JSON object of ids and hashes, nothing personal */
    sl_str who, why;        /* DONE, by a person */
    uint64_t *events;       /* ERASED */
    size_t n_events;
};

/** The hold type of a delivery of which nothing but that it was is known any more. */
#define HOLD_ERASED "erased"

void rec_privacy_encode(struct buf *b, const struct rec_privacy *r);
int rec_privacy_decode(sl_str s, struct rec_privacy *ret);
void rec_privacy_finish(struct rec_privacy *r);

void rec_state_encode(struct buf *b, const struct rec_state *r);

/* Decoding: 0, UV_EINVAL (not a whole, valid record) or UV_ENOMEM. Views borrow from `s`. */
int rec_receipt_decode(sl_str s, struct rec_receipt *ret);
int rec_duplicate_decode(sl_str s, struct rec_duplicate *ret);
int rec_routed_decode(sl_str s, struct rec_routed *ret);
int rec_sent_decode(sl_str s, struct rec_sent *ret);
int rec_moves_decode(sl_str s, struct rec_moves *ret);
int rec_checkpoint_decode(sl_str s, struct rec_checkpoint *ret);
int rec_state_decode(sl_str s, struct rec_state *ret);
void rec_routed_finish(struct rec_routed *r);
void rec_sent_finish(struct rec_sent *r);
void rec_moves_finish(struct rec_moves *r);
void rec_state_finish(struct rec_state *r);

/** Headers as a packed string and back. Names are stored as received. */
void rec_headers_encode(struct buf *b, const sl_header *h, size_t n);
/** 0 with *ret owned (free()), or UV_EINVAL / UV_ENOMEM. */
int rec_headers_decode(sl_str s, sl_header **ret, size_t *ret_n);
