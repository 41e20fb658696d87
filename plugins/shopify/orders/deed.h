/*
 * deed.h - one thing that is done in the shop: the course that all such actions share.
 *
 * A record's body becomes the variables of a mutation; the mutation is asked for; its userErrors
 * are read; and what has no answer is looked up before it is asked for again. What an action is
 * about stands in a `struct deed_kind`; what can be said of its state, in its judge().
 *
 *   deliver:  read -> (look -> judge) -> do -> errors -> done
 *   confirm:  read ->  look -> judge
 *   resume:   read -> resume()
 *
 * Everything runs on the host's loop. A deed belongs to the engine from its beginning to the one
 * call that ends it (deed_done and the like); it may not be touched after that.
 */
#pragma once

#include <jansson.h>
#include <sluice/sluice.h>

#include "actions.h"
#include "iso_time.h"
#include "orders/refusal.h"

struct shopify;

#define DEED_WHY   480
#define DEED_LINKS 60 /* of one delivery, at most */

/** What judge() makes of the shop's state. */
enum deed_seen {
    SEEN_NOT,   /* it is not done, and can be */
    SEEN_DONE,  /* it is: d->reference, if the state says it */
    SEEN_REST,  /* it is, and what follows it is not: after() does that */
    SEEN_NEVER, /* it cannot be done: d->why */
    SEEN_HUMAN, /* a person must choose: d->why */
    SEEN_EARLY, /* it is under way, or cannot be told yet: d->why */
    SEEN_MORE,  /* there is a further page: d->cursor was set */
    SEEN_PART,  /* some of it is done; the rest is not, and can be */
};

#define DEED_LOOK_FIRST 0x1u /* the state is read before the first attempt as well */
#define DEED_REPEATABLE 0x2u /* the same again does no harm: sl_action has SL_ACTION_IDEMPOTENT */
#define DEED_CREATES    0x4u /* its object is new: where that is in the answer, it was done */
#define DEED_FROZEN     0x8u /* the request is what prepare() made: the variables themselves */

struct deed;

/** An action. Static storage. */
struct deed_kind {
    const struct body_shape *shape; /* of its body; NULL: any object */
    const sl_option *params; /* keys of a route's `to:`, each a member of the body where that has
                                none; NULL: none */
    unsigned flags;          /* DEED_* */
    const char *document;    /* the mutation; NULL: read() has made it, d->mutation ... */
    const char *root;        /* ... and its field; NULL: a query's, all of them */
    const char *errors;      /* member of its payload with the errors; NULL: "userErrors" */
    const char *object;      /* member of it with an id that is there when it was done: "return" */
    const char *link;        /* kind of the link to that id; NULL: none */
    const char *step;        /* of its idempotent key; NULL: it has none */
    const char *key;         /* the document's variable for that; NULL: "key" */
    const struct refusal_rule *refusals; /* what the shop's errors mean; NULL: refused for good */
    /** The checked body (d->body) to d->variables; what judge() wants to know, to d->own. SL_OK;
     *  SL_E_INVALID with d->why, which names the member; SL_E_NO_MEMORY. */
    sl_status (*read)(struct deed *d);
    const char *look; /* the query for the state; NULL: it cannot be looked at */
    /** Its variables, own; NULL: no memory. */
    json_t *(*look_variables)(const struct deed *d);
    enum deed_seen (*judge)(struct deed *d, const json_t *data);
    /** DEED_FROZEN: the shop is asked for what is to be sent, until deed_frozen(). */
    void (*freeze)(struct deed *d);
    /** What comes between the state and the mutation, until deed_do(). NULL: nothing. */
    void (*before)(struct deed *d);
    /** It was done: what follows. NULL: deed_done(). */
    void (*after)(struct deed *d, const json_t *payload);
    /** After a restart: go on from what deed_checkpoint() has stored, borrowed. NULL: looked at. */
    void (*resume)(struct deed *d, const json_t *token);
};

/** A route's action with its parameters. */
struct deed_handle {
    const struct deed_kind *kind;
    json_t *params; /* own: members for the body */
};

/** One record under way, or one that is asked about. */
struct deed {
    struct deed *next, **link; /* in shopify.deeds */
    struct shopify *s;
    const struct deed_kind *kind;
    const sl_done *done;  /* of deliver() and resume(); NULL: */
    sl_confirm_cb cb;     /* of confirm(); NULL: */
    sl_prepare_cb freeze; /* of prepare() */
    void *cb_ctx;         /* of either */
    char key[33];
    uint32_t priority;                /* SL_PRIORITY_*: of its questions */
    int64_t first_ms, last_ms;        /* wall clock of the first and the newest attempt; 0: none */
    int64_t began_ms;                 /* likewise, of this one */
    json_t *body, *variables, *own;   /* own */
    const struct deed_handle *handle; /* borrowed */
    json_t *params;                   /* the handle's; borrowed */
    char *reference;                  /* own: the id in the shop; NULL: unknown yet */
    char *cursor;                     /* own: of the page that is looked at; NULL: the first */
    void (*then)(struct deed *d);     /* of the timer, or the checkpoint, that is under way */
    void (*step)(struct deed *d);     /* of several questions together */
    void (*answered)(struct deed *d, const json_t *data); /* of the question that is under way */
    const char *document;                                 /* of that question ... */
    json_t *asked;                                        /* ... and its variables: own */
    const char *mutation;                                 /* where the kind has none of its own */
    const char *look;             /* in place of the kind's query for the state; NULL: that one */
    char *emit_topic, *emit_body; /* own: an event when it was done; NULL: none */
    json_t *links;                /* own: [[kind, id]] beside the kind's own; NULL: none */
    char *subject;                /* own: what the event is about */
    char *choice;                 /* own: what a person has chosen; NULL: nothing */
    const char *choices;          /* static, what deed_review() offers; NULL: the host's */
    int64_t after_ms; /* of SEEN_EARLY and deed_retry(): not before; 0: by the route's policy */
    int part;         /* something of it was done, so that it does not count as not sent */
    uint64_t timer;
    unsigned turns, tries; /* the kind's own count; the engine's, of failures */
    unsigned renewal;      /* of its idempotency key */
    unsigned stage;        /* enum of deed.c */
    enum refusal refused;  /* the shop refused, and its state is looked at: */
    char why[DEED_WHY];    /* the text of that, or what judge() says */
};

/** A struct shopify_action of a kind; what else there is to say of it comes last: .scopes = "...".
 */
#define DEED_ACTION(name, kind_, shape_, ...)                                            \
    static sl_status name##_bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail) \
    {                                                                                    \
        return deed_bind(&(kind_), in, ret_handle, fail);                                \
    }                                                                                    \
    const struct shopify_action name##_action = { .body = &(shape_),                     \
                                                  .bind = name##_bind,                   \
                                                  .unbind = deed_unbind,                 \
                                                  .prepare = deed_prepare,               \
                                                  .deliver = deed_deliver,               \
                                                  .resume = deed_resume,                 \
                                                  .confirm = deed_confirm,               \
                                                  .cost = deed_cost,                     \
                                                  ##__VA_ARGS__ }

/** For an action's own bind(): the handle of `kind` with the parameters that are given. */
sl_status deed_bind(const struct deed_kind *kind, const sl_bind_in *in, void **ret_handle,
                    sl_fail *fail);
void deed_unbind(void *handle);
void deed_prepare(void *self, void *handle, const sl_record *record, sl_prepare_cb cb,
                  void *cb_ctx);
void deed_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done);
void deed_resume(void *self, void *handle, const sl_batch *batch, sl_str token,
                 const sl_done *done);
void deed_confirm(void *self, void *handle, const sl_record *record, sl_confirm_cb cb,
                  void *cb_ctx);
uint32_t deed_cost(void *self, void *handle, const sl_record *record);
/** The order that the body names: its state is read and then written, one at a time. */
sl_str deed_parent_key(void *self, void *handle, sl_str body);

/** At close, when no request is under way any more. */
void deeds_close(struct shopify *s);

/* ---- for judge() and read() ----------------------------------------------------------------- */

/** d->why, printf-like. */
__attribute__((format(printf, 2, 3))) void deed_say(struct deed *d, const char *format, ...);
/** d->why and SL_E_INVALID. */
__attribute__((format(printf, 2, 3))) sl_status deed_wrong(struct deed *d, const char *format, ...);
/** Keep the reference; no memory: it stays unknown. */
void deed_refers(struct deed *d, const char *id);
/** The body's member `name` as `as` of `to`, where it is there. 0, or -1: no memory. */
int deed_take(struct deed *d, json_t *to, const char *name, const char *as);
/** An event when it was done; no memory: none. */
void deed_emit(struct deed *d, const char *topic, const json_t *body);
/** What is linked to the delivery once it was done; the same again counts once. */
void deed_link(struct deed *d, const char *kind, const char *id);
/** All of them, as views; `to`: room for DEED_LINKS. Returns how many. */
size_t deed_links(const struct deed *d, sl_link *to);
/** The GID of the order: of the body's `order_id`, or what the event is about. 0: neither. */
#define DEED_GID 64
int deed_order(const struct deed *d, char ret[DEED_GID]);
/** Where the body has no order_id: what deed_order() says, as that. SL_E_INVALID with d->why. */
sl_status deed_take_order(struct deed *d);
/** A further page: d->cursor is its. */
int deed_next_page(struct deed *d, const json_t *page_info);
/** It was sent before: what is there may be of this very record. */
int deed_sent_before(const struct deed *d);
/** When it was sent first, clocks that differ allowed for; "" if that cannot be told. */
const char *deed_first(const struct deed *d, char ret[TIME_TEXT_SIZE]);
/** `when` (RFC 3339) is not before the first attempt, clocks that differ allowed for. */
int deed_since(const struct deed *d, const char *when);

/* ---- for after() and resume(): each of these ends, or goes on later ------------------------- */

void deed_frozen(struct deed *d); /* d->variables is what is to be sent */
void deed_do(struct deed *d);
void deed_done(struct deed *d);
void deed_retry(struct deed *d);   /* d->why; nothing of it was done */
void deed_review(struct deed *d);  /* d->why */
void deed_reject(struct deed *d);  /* d->why */
void deed_unknown(struct deed *d); /* d->why */
/** Look at the state; what judge() says of it ends the deed. */
void deed_look(struct deed *d);
/** Ask; `variables` is taken over. What is not data is dealt with. */
void deed_ask(struct deed *d, const char *document, json_t *variables,
              void (*answered)(struct deed *d, const json_t *data));
/** The same of another mutation than the kind's: without a whole answer the outcome is unknown. */
void deed_ask_to(struct deed *d, const char *document, json_t *variables,
                 void (*answered)(struct deed *d, const json_t *data));
void deed_later(struct deed *d, int64_t ms, void (*then)(struct deed *d));
/** Store `token` (own; taken over), then go on. A confirm goes on at once. */
void deed_checkpoint(struct deed *d, json_t *token, void (*then)(struct deed *d));
