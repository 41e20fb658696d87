/*
 * sluice/sluice.h - the Sluice plugin ABI, version 0.4
 *
 * A plugin is a shared object that exports exactly one symbol, sl_plugin_v0(), and provides one
 * adapter: a type of remote system (a shop, a CRM, a supplier). The host opens it once for each
 * configured endpoint. Include <sluice/...> and nothing else of Sluice.
 *
 * Rules that hold everywhere
 *   - Size first. Every table begins with `size`, the sizeof its builder knew. The reader copies
 *     the smaller of the two sizes into a zeroed table; ask SL_HAS() before using a field that a
 *     later minor version added. Fields are appended, never moved, retyped or removed.
 *   - Threads. Every function here, in both directions, is called on the host's one loop thread.
 *     A callback must return within 5 ms; the host measures each one, and counts and names those
 *     that do not. Nothing may block: no sockets, no files, no sleeping - use the host's services.
 *   - No call-back before return. A host function never calls the plugin's callback before it has
 *     returned itself; the callback runs in a later turn of the loop.
 *   - Memory. The side that allocated frees. What is passed in is borrowed for the call unless it
 *     says otherwise; copy what you keep. JSON crosses the border as text (UTF-8).
 *   - Never keep mutable globals: state hangs from `self`, since one plugin serves many endpoints.
 *   - The ABI is 0.x: until it is 1.0 a host accepts a plugin only of its own minor or older, and
 *     an incompatible change raises the number in the symbol's name.
 */
#ifndef SLUICE_SLUICE_H
#define SLUICE_SLUICE_H

#include <sluice/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SL_ABI_MAJOR 0
#define SL_ABI_MINOR 4

#define SL_EXPORT __attribute__((visibility("default")))

/** Does this table, of this type, reach as far as this field - and is the field set? */
#define SL_HAS(type, table, field) \
    ((table)->size >= offsetof(type, field) + sizeof((table)->field) && (table)->field)

/* ---- status codes -------------------------------------------------------------------------- */

#define SL_OK            0
#define SL_E_INVALID     (-1) /* an argument, a setting or an input is wrong */
#define SL_E_NOT_FOUND   (-2)
#define SL_E_NO_MEMORY   (-3)
#define SL_E_LIMIT       (-4) /* a limit of size or number was reached */
#define SL_E_UNSUPPORTED (-5)
#define SL_E_NETWORK     (-6) /* the connection failed or was cut */
#define SL_E_TIMEOUT     (-7)
#define SL_E_TLS         (-8) /* handshake or certificate */
#define SL_E_DNS         (-9)
#define SL_E_PROTOCOL    (-10) /* the peer's bytes are not what the protocol allows */
#define SL_E_CANCELLED   (-11) /* the host is closing */
#define SL_E_INTERNAL    (-12)

/** Where a function can say why it failed. The host provides it; the plugin fills `text`, one line
 *  that names what is wrong and what would be right. */
typedef struct sl_fail {
    uint32_t size;
    uint32_t _reserved;
    char text[512]; /* NUL-terminated UTF-8 */
} sl_fail;

typedef struct sl_header {
    sl_str name, value;
} sl_header;

/* ---- options: settings of an endpoint, parameters of an action ------------------------------ */

/* One table drives parsing, range checks, defaults, the error with its line and column, the
 * documentation and the JSON Schema. Dotted names nest: "auth.flow" is `auth: { flow: ... }`. */

#define SL_OPT_STRING   1  /* UTF-8 text */
#define SL_OPT_INT      2  /* whole number within [min, max] */
#define SL_OPT_BOOL     3  /* true, false */
#define SL_OPT_DURATION 4  /* "250ms" "30s" "5m" "24h" "7d"; in milliseconds, [min, max] */
#define SL_OPT_SIZE     5  /* "64KiB" "1MiB"; in bytes, [min, max] */
#define SL_OPT_ENUM     6  /* one of `choices`, separated by '|' */
#define SL_OPT_URL      7  /* http or https, no user info or fragment; without a trailing '/' */
#define SL_OPT_SECRET   8  /* { env: NAME }, { file: PATH } or { credential: NAME }; secret() */
#define SL_OPT_SECRETS  9  /* one secret or a list of up to 8; secret() */
#define SL_OPT_STRINGS  10 /* a list of texts; json() gives an array */
#define SL_OPT_INTS     11 /* a list of whole numbers within [min, max]; json() gives an array */
#define SL_OPT_MAP      12 /* text to text or secret; json() fills secrets in: do not log it */
#define SL_OPT_JQ       13 /* a jq program, or { file: PATH }; compiled by `sluice check` */
#define SL_OPT_POINTER  14 /* a JSON Pointer (RFC 6901), such as /order/id */

#define SL_OPT_REQUIRED 0x1u /* flag: must be given */

typedef struct sl_option {
    const char *name;    /* dotted path; the last entry of a table has NULL here */
    uint32_t type;       /* SL_OPT_* */
    uint32_t flags;      /* SL_OPT_REQUIRED */
    const char *deflt;   /* as it would stand in the file; NULL: none */
    int64_t min, max;    /* for numbers, durations (ms), sizes (bytes); both 0: no limit */
    const char *choices; /* for SL_OPT_ENUM: "a|b|c" */
    const char *help;    /* one line for the operator */
} sl_option;

/** Checked values of one option table; an opaque object of the host, alive as long as the handle
 *  or the instance it was given to. */
typedef struct sl_values sl_values;

/** Read values. Every `name` must stand in the option table that the values were checked with.
 *  The views stay valid as long as the sl_values. */
typedef struct sl_values_api {
    uint32_t size;
    uint32_t _reserved;
    /** STRING, ENUM, URL, JQ (its text), POINTER. SL_E_NOT_FOUND: not given and no default. */
    sl_status (*str)(const sl_values *v, const char *name, sl_str *ret);
    /** INT, BOOL (0, 1), DURATION (ms), SIZE (bytes). */
    sl_status (*num)(const sl_values *v, const char *name, int64_t *ret);
    /** STRINGS, INTS, MAP as JSON text. */
    sl_status (*json)(const sl_values *v, const char *name, sl_str *ret);
    /** SECRET, or the index-th of SECRETS; SL_E_NOT_FOUND past the last. Not there during `check`
     *  without secrets: then SL_E_NOT_FOUND too. Never log it. */
    sl_status (*secret)(const sl_values *v, const char *name, uint32_t index, sl_str *ret);
    /** 1: it stands in the configuration, a secret also where secrets are not read; 0: it has its
     *  default, or no value. @since 0.4 */
    uint32_t (*given)(const sl_values *v, const char *name);
} sl_values_api;

/* ---- events -------------------------------------------------------------------------------- */

/** An event as stored: immutable. Borrowed for the call. */
typedef struct sl_event {
    uint32_t size;
    uint32_t _reserved;
    uint64_t id;         /* its number in the log */
    int64_t received_ms; /* wall clock, ms since 1970 UTC */
    sl_str endpoint;     /* configured name of the endpoint it came from */
    sl_str topic;        /* "orders/create" */
    sl_str sender_id;    /* the sender's id of the delivery; empty: none */
    const sl_header *headers;
    size_t n_headers;
    sl_str body; /* raw, as received */
} sl_event;

/** A reference to something known under a foreign id, such as a fulfilment order's GID. */
typedef struct sl_ref {
    sl_str kind; /* "fulfillment_order", "po" */
    sl_str id;
} sl_ref;

/* What an event may ask of the gateway itself. @since 0.4 */
/** Erase what is known of somebody: out of the index, the caches and, within the time that the
 *  operator has set, the log. What is still to be sent is sent first; the operator sees what waits.
 */
#define SL_ASK_ERASE 1
/** Somebody wants to know what is known of her: an operator's task, with the file made for him. */
#define SL_ASK_HAND_OUT 2
/** The remote takes nothing from us any more (the app was removed, the contract ended): deliveries
 *  to the endpoint pause, with `why`, until an operator resumes it. Events are taken as before. */
#define SL_ASK_STOP 3

/** Whom or what it concerns; all is copied. An event is concerned if it, or what caused it, is
 * about one of `subjects` or what one of `refs` is linked to; or if one of `values` stands in it or
 * in what was made of it. @since 0.4 */
typedef struct sl_ask {
    uint32_t size;
    uint32_t kind; /* SL_ASK_* */
    /** For the record, which outlives everything: whom, by the sender's own id ("customer 191167").
     *  No name, no address. */
    sl_str who;
    sl_str why;             /* STOP: for the operator */
    const sl_str *subjects; /* as describe() gives them */
    size_t n_subjects;
    const sl_ref *refs;
    size_t n_refs;
    /** Texts that name the person wherever they stand, as words and whatever their case: e-mail
     *  addresses, telephone numbers; at least 5 bytes. They are searched for in events of this
     *  endpoint and of endpoints of other adapters, not in those of another shop. The record keeps
     *  their SHA-256 alone. */
    const sl_str *values;
    size_t n_values;
    uint32_t everything; /* 1: all that came from this endpoint, besides */
    uint32_t _reserved;
} sl_ask;

/** What describe() says of an event. One call of `subject` for each thing the event is about. */
typedef struct sl_describe_out {
    uint32_t size;
    uint32_t _reserved;
    void *ctx;
    /** `subject`: "order:acme.myshopify.com/450789469"; empty when only references are known: the
     *  event then waits for the link of one of them.
     *  `version`: which of two events of one subject is newer. Versions are compared byte by byte,
     *  so give a form whose order as text is its order in time (RFC 3339 in UTC, always with
     *  milliseconds); empty: none.
     *  `event_key`: what makes two events the same although their sender's ids differ; empty: the
     *  host takes (endpoint, topic, subject, version), and no key if version is empty. */
    void (*subject)(void *ctx, sl_str subject, sl_str version, sl_str event_key, const sl_ref *refs,
                    size_t n_refs);
    /** A fact for the operator: the event's test flag, or why nothing could be said of it. */
    void (*note)(void *ctx, sl_str text);
    /** The body says that this foreign id belongs to the event's first subject: a later event that
     *  names the id alone finds it, for as long as a link is kept (`store.keep`). Copied; at most
     * 32 of one event. @since 0.4 */
    void (*link)(void *ctx, const sl_ref *ref);
    /** What the event asks of the gateway, beside what routes make of it; up to 4 times. It is
     *  durable with the event's routing. What is asked twice is done twice, with nothing to find.
     *  SL_E_INVALID: of no kind, or ERASE and HAND_OUT of nothing and nobody; SL_E_LIMIT.
     *  @since 0.4 */
    sl_status (*ask)(void *ctx, const sl_ask *ask);
} sl_describe_out;

/* ---- intake -------------------------------------------------------------------------------- */

/** The head of a request at /in/{endpoint}[/rest], before its body is read. */
typedef struct sl_head {
    uint32_t size;
    uint32_t _reserved;
    sl_str method; /* "POST" */
    sl_str rest;   /* what follows /in/{endpoint}, with its '/', without the query; may be empty */
    sl_str query;  /* without '?' */
    const sl_header *headers; /* names as received: compare without case */
    size_t n_headers;
} sl_head;

#define SL_SIGNED_NOT         0 /* accept without a signature (only if the adapter's settings allow it) */
#define SL_SIGNED_HMAC_SHA256 1 /* HMAC-SHA-256 over the raw body */

#define SL_VERIFY_MAX_SECRETS 8

/** What verify() wants. The views must stay valid until the request ends: they point into the head
 *  or into `self`. */
typedef struct sl_verdict {
    uint32_t size;
    uint32_t scheme;       /* SL_SIGNED_* */
    sl_str topic;          /* required */
    sl_str sender_id;      /* the receipt key's part; empty: the event has no receipt key */
    uint8_t signature[64]; /* decoded bytes of the claimed signature */
    size_t signature_len;  /* 0: missing or malformed; the host still computes, then refuses */
    size_t n_secrets;
    sl_str secrets[SL_VERIFY_MAX_SECRETS]; /* all are tried */
} sl_verdict;

/** The constant answer to an accepted webhook, sent once it is durable. */
typedef struct sl_ack {
    uint32_t size;
    uint32_t status;          /* 200 */
    const char *content_type; /* NULL: none */
    const char *body;         /* NULL: empty */
} sl_ack;

/** The answer to a question; borrowed for the call. @since 0.4 */
typedef struct sl_served {
    uint32_t size;
    uint32_t status;          /* 200 to 599; 503 is told with a Retry-After */
    const char *content_type; /* NULL: application/json */
    sl_str body;
} sl_served;

typedef void (*sl_serve_cb)(void *ctx, const sl_served *answer);

/** What unpack() makes of one request. Valid for its call. @since 0.3 */
typedef struct sl_unpack_out {
    uint32_t size;
    uint32_t _reserved;
    void *ctx;
    /** One event of the request; all is copied. `topic` is required; `sender_id` as verify() would
     *  say it, the receipt key's part: of an event whose key is known only that it came again is
     *  noted, while the others are taken. SL_E_INVALID: no topic; SL_E_LIMIT: more than 1,000
     *  events or 16 MiB of one request; SL_E_NO_MEMORY. An error is unpack()'s as well, whatever
     *  that returns. */
    sl_status (*event)(void *ctx, sl_str topic, sl_str sender_id, sl_str body);
    /** The answer once all is durable, in place of the plugin's `ack`; copied, the last one holds.
     *  SL_E_INVALID: its status is not of 200 to 299; SL_E_NO_MEMORY: unpack()'s as well. */
    sl_status (*answer)(void *ctx, const sl_ack *ack);
    /** Answer 202 and {"status":"accepted","status_url":"..."} in JSON, in place of both: where the
     *  sender can ask what becomes of the first event. SL_E_UNSUPPORTED: the endpoint has no
     *  `status`; answer otherwise. */
    sl_status (*follow)(void *ctx);
} sl_unpack_out;

/* ---- deliveries ---------------------------------------------------------------------------- */

#define SL_ACTION_IDEMPOTENT 0x1u /* sending a record again is harmless, whatever happened */
#define SL_ACTION_ONCE       0x2u /* default of the route's `once: subject` (orders are money) */
#define SL_ACTION_UPSERT \
    0x4u /* it writes the whole state of a thing: default of the route's `latest_by: version` */
/** It takes back what was sent under the record's key: a group's `interlock.cancel`, never a
 * route's action. Harmless to repeat, and not prepared. DELIVERED: nothing of it is there, or not
 * any more; REJECTED: it is there and stays; all else: it is asked again. @since 0.2 */
#define SL_ACTION_CANCEL 0x8u

/** A named thing the adapter can do. The table ends with a NULL name. */
typedef struct sl_action {
    const char *name;        /* "order.submit" */
    uint32_t flags;          /* SL_ACTION_* */
    uint32_t batch_records;  /* most records in one batch; 1: no batching */
    uint64_t batch_bytes;    /* most body bytes in one batch; 0: no limit */
    const sl_option *params; /* keys that a route's `to:` may carry; NULL: none */
    const char *help;
} sl_action;

/** How an action's batches gather, unless the endpoint's `batch` says otherwise: what batching()
 *  fills in. All 0: a batch leaves at once, with what is there, up to `batch_records`. Not fields
 *  of sl_action: that stands in an array, and has no size. @since 0.3 */
typedef struct sl_batching {
    uint32_t size;
    /** Up to so many records go cheaply, and soon, without a large batch: where no more than these
     *  wait they leave `quick_ms` after the oldest of them came. What is critical leaves at once
     *  then, however many there are. 0: there is no such way. */
    uint32_t quick_records;
    uint32_t records; /* so many leave without waiting for more; 0: batch_records */
    /** The remote works on so many records at a time: those of one parent_key() stand in one of
     *  these chunks, where that is possible. They stand beside each other in any case. 0: no chunks
     */
    uint32_t chunk;
    int64_t age_ms;   /* how long a batch gathers that is larger than quick_records */
    int64_t quick_ms; /* at most age_ms counts */
} sl_batching;

/** One delivery, as the adapter sees it. */
typedef struct sl_record {
    uint32_t size;
    uint32_t attempt; /* 1 for the first */
    sl_str delivery;  /* the delivery's name for people, "1042.0" */
    sl_str key; /* idempotency key, [0-9A-Za-z_-]{1,32}; the same over retry, restart, replay */
    sl_str subject;
    sl_str piece;   /* the piece's business key; may be empty */
    sl_str topic;   /* of the event */
    sl_str body;    /* what map/split made of the event: JSON */
    sl_str request; /* frozen by prepare() before the first attempt; without prepare(): = body */
    int64_t first_sent_ms; /* wall clock of the first attempt; 0 on the first */
    int64_t last_sent_ms;  /* of the newest attempt, as far as the host remembers; 0 on the first */
} sl_record;

/* How soon the operator wants a delivery to leave. @since 0.3 */
#define SL_PRIORITY_CRITICAL 0
#define SL_PRIORITY_HIGH     1
#define SL_PRIORITY_NORMAL   2
#define SL_PRIORITY_LOW      3

/** Records that go together, in a frozen order. A single delivery is a batch of one. What a later
 *  minor knows of a record is appended here: sl_record stands in an array, whose step an older
 *  plugin has compiled in. */
typedef struct sl_batch {
    uint32_t size;
    uint32_t _reserved;
    uint64_t id; /* stable over restart */
    const sl_record *records;
    size_t n_records;
    int64_t oldest_ms; /* wall clock: when the oldest record's event was received @since 0.3 */
    uint32_t priority; /* SL_PRIORITY_*, of them all @since 0.3 */
    uint32_t _reserved2;
    /** One for each record: the name of the choice that a person took when this adapter's endpoint
     *  last asked about it (sl_outcome.choices); empty: none. It holds over retry and restart,
     *  until SL_REVIEW asks anew. NULL: of no record. @since 0.3 */
    const sl_str *choices;
} sl_batch;

#define SL_DELIVERED 1 /* done; `reference` is the remote's id */
#define SL_RETRY     2 /* not done, or harmless to repeat: again by policy, not before `after_ms` */
#define SL_THROTTLED 3 /* refused for pace (429): not done, burns no attempt; the lane waits */
#define SL_REJECTED  4 /* refused for good: dead letter with `why` */
#define SL_REVIEW    5 /* a human must choose: held with `why` */
#define SL_UNKNOWN   6 /* sent, no understood answer: confirm() before anything is resent */

typedef struct sl_link {
    sl_str kind; /* "po" */
    sl_str id;   /* the remote's id */
} sl_link;

/** A new event that an outcome causes; stored in the same record as the outcome. */
typedef struct sl_emit {
    sl_str topic; /* "supplier/accepted" */
    sl_str body;  /* JSON; found by reconciliation: in the form of the webhook that did not come */
} sl_emit;

/** Something that an endpoint remembers. Stands in arrays, and so has no size. @since 0.4 */
typedef struct sl_fact {
    sl_str key;   /* not empty, at most 1,024 bytes of UTF-8 */
    sl_str value; /* at most 4,096 bytes of UTF-8; empty: it is forgotten */
} sl_fact;

/** What an outcome has its endpoint remember, durable with the outcome: for recall(). The newest
 *  value of a key holds; those of one route and subject are told in the order of their events.
 *  @since 0.4 */
typedef struct sl_facts {
    uint32_t size;
    uint32_t _reserved;
    sl_str space; /* of keys of one kind: [a-z0-9_/-], at most 128 bytes. Those of one that begins
                     with "aged/" are forgotten `store.keep` after they were told last */
    const sl_fact *facts;
    size_t n_facts; /* at most 1,000 */
} sl_facts;

/* How the emitted events of an outcome came to be known. */
#define SL_FOUND_LIVE 0 /* as they happened; a poll for what is new is live as well */
/** By a sweep, a back-fill, an audit: they should have come before. They are described like
 *  webhooks, so that one that did come is the same event, and what is made of them gives way to
 *  live traffic. @since 0.2 */
#define SL_FOUND_BY_RECONCILIATION 1

typedef struct sl_outcome {
    uint32_t size;
    uint32_t kind;     /* SL_DELIVERED ... SL_UNKNOWN */
    int64_t after_ms;  /* for RETRY, THROTTLED: not before; 0: the policy decides */
    uint32_t status;   /* protocol's status code, for the attempt's line; 0: none */
    uint32_t not_sent; /* 1: the first byte of the request never left (RETRY; REVIEW @since 0.3) */
    sl_str why;        /* for the operator; no secrets */
    sl_str reference;  /* the remote's id */
    const sl_link *links;
    size_t n_links;
    const sl_emit *emits;
    size_t n_emits;
    uint32_t found; /* SL_FOUND_*: all of `emits` @since 0.2 */
    uint32_t _reserved;
    /* REVIEW only: what a person is to decide. @since 0.3 */
    /** The type of the hold: [a-z0-9-], at most 40 ("contact-merge"); empty, or one that means
     *  something to the host ("interlock", "orphaned", ...): "review". */
    sl_str hold_type;
    /** What there is to choose, a JSON array of {"name": TEXT, "do": "release" or "reject",
     *  "text"?: TEXT}: names up to 80 bytes, texts up to 600, at most 32. A released delivery comes
     *  again with the name in sl_batch.choices. Empty, or of another form: release and reject. */
    sl_str choices;
    /** What the decision rests on: any JSON up to 16 KiB, shown to the letter; empty: none. No
     *  secrets. */
    sl_str evidence;
    /** For RETRY: again in a batch of at most so many records, of which one at a time is in flight
     *  at the endpoint: for rows that were in each other's way, or in somebody else's. It holds
     *  until the record has another outcome than RETRY or THROTTLED, and is kept in memory only:
     *  after a restart the record goes in any batch. 0: in any batch, or as it was said last.
     *  @since 0.3 */
    uint32_t narrow;
    uint32_t _reserved2;
    const sl_facts *facts; /* of any kind of outcome; NULL: none @since 0.4 */
} sl_outcome;

typedef void (*sl_durable_cb)(void *ctx, sl_status status);

/** How deliver() and resume() answer. Valid until finish() was called. */
typedef struct sl_done {
    uint32_t size;
    uint32_t _reserved;
    void *ctx;
    /** The outcome of record `index`; once for each record. What is never told by finish() counts
     *  as unknown. Views borrowed for the call. */
    void (*outcome)(void *ctx, size_t index, const sl_outcome *o);
    /** A long remote job: store `token` (up to 64 KiB) and how many records are done. `cb` runs
     *  when it is durable; only then make the next step that cannot be repeated. After a crash
     *  resume() gets the newest token. */
    void (*checkpoint)(void *ctx, sl_str token, uint32_t done, sl_durable_cb cb, void *cb_ctx);
    /** The endpoint cannot be used at all (credentials, quota, certificate): every record without
     *  an outcome goes back unburnt, and the lane parks; tried again after `after_ms` (0: the
     *  host's probe interval). Then call finish(). */
    void (*park)(void *ctx, sl_str why, int64_t after_ms);
    /** The end; exactly once, last. */
    void (*finish)(void *ctx);
    /** Call back once all that was told is durable (SL_OK), or cannot be made so by this process
     *  (an error): what a restart could need of the remote may be cleared away only then. Once,
     *  before finish(); `cb` runs after it, with no batch any more, and not when the instance is
     *  closed before. @since 0.3 */
    void (*settled)(void *ctx, sl_durable_cb cb, void *cb_ctx);
} sl_done;

#define SL_CONFIRM_YES    1 /* it arrived: `reference` */
#define SL_CONFIRM_NO     2 /* it did not: may be sent again */
#define SL_CONFIRM_EARLY  3 /* ask again after `after_ms` */
#define SL_CONFIRM_UNSURE 4 /* cannot tell: a human decides */
#define SL_CONFIRM_AGAIN  5 /* cannot tell, but there the same again does no harm: send it */

/** The answer of confirm(); exactly once. outcome fields as in sl_outcome (links and emits count
 *  for YES only). */
typedef struct sl_confirmed {
    uint32_t size;
    uint32_t verdict; /* SL_CONFIRM_* */
    int64_t after_ms;
    sl_str why;
    sl_str reference;
    const sl_link *links;
    size_t n_links;
    const sl_emit *emits;
    size_t n_emits;
    uint32_t found; /* SL_FOUND_*: all of `emits` @since 0.2 */
    uint32_t _reserved;
} sl_confirmed;

typedef void (*sl_confirm_cb)(void *ctx, const sl_confirmed *answer);

/** The answer of prepare(): the request's bytes to freeze, or an error that makes a dead letter.
 *  After SL_E_NO_MEMORY and SL_E_CANCELLED it is asked again later. `request` may be the view
 *  record->body itself: the body is the request. Nothing is stored beside it then, and prepare() is
 *  asked before each attempt, so that it has to be so for good. */
typedef void (*sl_prepare_cb)(void *ctx, sl_status status, sl_str request, sl_str why);

/* ---- looking an event up ------------------------------------------------------------------- */

/** Which event has not come: as describe() would say of it. Borrowed for the call. @since 0.2 */
typedef struct sl_lookup {
    uint32_t size;
    uint32_t _reserved;
    sl_str topic;   /* "orders/create" */
    sl_str subject; /* as describe() gave it of another event */
} sl_lookup;

#define SL_LOOKUP_FOUND 1 /* it has happened: `body` is the event's, in the form of a webhook's */
#define SL_LOOKUP_NONE  2 /* it has not: the remote knows none */
#define SL_LOOKUP_AGAIN \
    3 /* it could not be asked, or did not answer: again, not before `after_ms` */

/** The answer of lookup(); views borrowed for the call. @since 0.2 */
typedef struct sl_looked_up {
    uint32_t size;
    uint32_t verdict; /* SL_LOOKUP_* */
    int64_t after_ms; /* for AGAIN; 0: the host decides */
    sl_str why;       /* for the operator; no secrets */
    sl_str body;      /* for FOUND */
} sl_looked_up;

typedef void (*sl_lookup_cb)(void *ctx, const sl_looked_up *answer);

/* ---- asking what a foreign id belongs to ---------------------------------------------------- */

#define SL_RESOLVE_MAX 50 /* references of one question */

/** What is known of one reference. Stands in arrays, and so has no size. @since 0.4 */
typedef struct sl_resolved_ref {
    sl_str subject; /* what it belongs to, as describe() says it; empty: the remote does not know
                       it: it is asked again some times, since that may only be late ... */
    sl_str
        otherwise; /* ... and then this is what its events are about; empty: nothing, they wait */
} sl_resolved_ref;

#define SL_RESOLVE_DONE  1 /* all that were asked are answered */
#define SL_RESOLVE_AGAIN 2 /* it could not be asked, or did not answer: again */

/** The answer of resolve(); views borrowed for the call. @since 0.4 */
typedef struct sl_resolved {
    uint32_t size;
    uint32_t verdict;            /* SL_RESOLVE_* */
    int64_t after_ms;            /* for AGAIN: not before; 0: the host decides */
    sl_str why;                  /* for AGAIN: for the operator; no secrets */
    const sl_resolved_ref *refs; /* for DONE: one for each that was asked, in their order */
} sl_resolved;

typedef void (*sl_resolve_cb)(void *ctx, const sl_resolved *answer);

/* ---- polling: what the remote does not send by itself -------------------------------------- */

/** What it finds should have come before: it is found by reconciliation, not live. @since 0.3 */
#define SL_FEED_SWEEP 0x1u

#define SL_FEED_MAX_CURSOR 65536   /* bytes */
#define SL_FEED_MAX_EVENTS 1000    /* between two checkpoints ... */
#define SL_FEED_MAX_BYTES  4194304 /* ... topics and bodies of these */

/** A kind of feed that the adapter offers: something of its remote that is asked for again and
 *  again. The table ends with a NULL name. @since 0.3 */
typedef struct sl_feed {
    const char *name;        /* "stock" */
    const sl_option *params; /* keys that an endpoint's feed of this kind may carry; NULL: none */
    const char *help;
    uint32_t flags; /* SL_FEED_* */
    uint32_t _reserved;
} sl_feed;

/** An event that should have come by itself, as a sweep finds it: in the form of the webhook, and
 *  yet with other bytes, and often a later version, so that no event key tells that it is there.
 *  Views borrowed for the call. @since 0.4 */
typedef struct sl_missed {
    uint32_t size;
    uint32_t _reserved;
    sl_str topic, body; /* as emit() takes them */
    /** Topics with a space between, in which an event about the same subject, of the version
     * `since` or newer, says the same: then it was not missed. The reverse holds as well: an event
     * of its own topic and subject that comes later, and whose version is not newer than this
     * one's, is a duplicate of it. `since` empty: the event key alone decides. */
    sl_str unless;
    sl_str since; /* as describe() gives versions */
} sl_missed;

/** What a back-fill is to bring: what happened in [since_ms, until_ms), wall clock. Views valid
 *  until finish(). @since 0.4 */
typedef struct sl_backfill {
    uint32_t size;
    uint32_t _reserved;
    sl_str topics; /* one, a beginning before a "*", or several with a space between */
    int64_t since_ms, until_ms;
} sl_backfill;

/** How poll() answers. Valid until finish() was called; views borrowed for the call. All of it
 *  may be called in any turn of the loop. @since 0.3 */
typedef struct sl_poll_out {
    uint32_t size;
    uint32_t _reserved;
    void *ctx;
    sl_str feed; /* its configured name */
    /** Something was found: an event of this endpoint. It is described like a webhook, at once and
     *  when it is routed, and what is known by its event key already is not stored again: so
     * reading somewhat more than was asked for costs nothing but the reading. It is durable with
     * the next checkpoint. SL_E_LIMIT: SL_FEED_MAX_EVENTS or _BYTES are reached - checkpoint()
     * first, then emit it again; SL_E_INVALID: no topic, or one event of more than
     * SL_FEED_MAX_BYTES. */
    sl_status (*emit)(void *ctx, sl_str topic, sl_str body);
    /** All that was emitted and `cursor` (UTF-8 text, at most SL_FEED_MAX_CURSOR bytes) become
     *  durable together; the next poll, also of another process, begins with this cursor. `cb` runs
     *  once, when they are, and not before there is room for them: wait for it before going on.
     *  With anything but SL_OK nothing of it was stored: then finish(). One at a time. */
    void (*checkpoint)(void *ctx, sl_str cursor, sl_durable_cb cb, void *cb_ctx);
    /** The end; exactly once, last, and not while a checkpoint is under way. What was emitted since
     *  the last one is dropped: the next poll finds it again. SL_OK, or an error with `why` for the
     *  operator: it is tried again later and later. `after_ms`: the next one not before; 0: as
     *  the configuration says. */
    void (*finish)(void *ctx, sl_status status, sl_str why, int64_t after_ms);
    /** As emit(), of what should have come by itself: found by reconciliation, whatever the feed's
     *  flags. What is known is not stored. SL_E_INVALID also: `since` without `unless`. @since 0.4
     */
    sl_status (*emit_missed)(void *ctx, const sl_missed *m);
    /** Of a back-fill, for people: how much of how much (0: not known), of "orders" or "bytes";
     *  copied. SL_OK; SL_E_CANCELLED: somebody has ended the back-fill, or a reload its adapter:
     *  finish() with that. Of a poll: ignored. @since 0.4 */
    sl_status (*progress)(void *ctx, uint64_t done, uint64_t total, sl_str of);
    /** Something is not as it should be, and somebody has to look at it: what, and what to do, one
     *  line without secrets; cut at 1,000 bytes. The last one of a poll counts. It stands, as an
     *  alert to the feed's owner, until a poll of this feed ends well without one. Of a back-fill:
     *  ignored. @since 0.4 */
    void (*finding)(void *ctx, sl_str text);
} sl_poll_out;

/* ---- comparing: is what was delivered still there, as it was sent? --------------------------- */

#define SL_COMPARED_SAME    1 /* it is there, and says what was sent */
#define SL_COMPARED_MISSING 2 /* there is none */
#define SL_COMPARED_DIFFERS 3 /* it is there and says something else */
#define SL_COMPARED_UNSURE  4 /* it cannot be told of this one */

/** How compare() answers. Valid until finish() was called; views borrowed for the call.
 *  @since 0.3 */
typedef struct sl_compare_out {
    uint32_t size;
    uint32_t _reserved;
    void *ctx;
    /** Of record `index`: SL_COMPARED_*, and for the operator what is other: "Amount: sent 19.90,
     *  there 25.00"; no secrets. What is told of a record twice counts as told last; what is never
     *  told counts as unsure. */
    void (*record)(void *ctx, size_t index, uint32_t verdict, sl_str text);
    /** The end; exactly once, last. With an error nothing that was told counts, and the same
     *  records are asked for again, but after SL_E_INVALID, SL_E_UNSUPPORTED and SL_E_CANCELLED:
     *  `why` says what is wrong. */
    void (*finish)(void *ctx, sl_status status, sl_str why);
} sl_compare_out;

/** How much compare() takes at a time: what comparing() fills in. @since 0.3 */
typedef struct sl_comparing {
    uint32_t size;
    uint32_t records; /* at most; below 200: 200. The host gives no more than 5000 */
    /** Bytes of `request`, from which on no more are gathered: a batch may be larger by what its
     *  last 200 records have. 0, or more than the host holds (16 MiB): as much as it holds. */
    uint64_t bytes;
} sl_comparing;

/* ---- host services ------------------------------------------------------------------------- */

typedef struct sl_http_request {
    uint32_t size;
    uint32_t _reserved;
    sl_str method;            /* "POST" */
    sl_str url;               /* absolute; https, or http where the endpoint's url says http */
    const sl_header *headers; /* Host, Content-Length and Connection are the host's */
    size_t n_headers;
    sl_str body;         /* copied before http() returns */
    int64_t total_ms;    /* 0: the endpoint's timeout.total */
    uint64_t max_answer; /* bytes of body at most; 0: the endpoint's limit */
    /** Tokens of the endpoint's rate that the call takes. It leaves at once with what its delivery
     *  has paid (sl_plugin.cost); else it waits, after http() has returned, until they are there,
     *  and is copied as a whole for that. 0: one, and it leaves at once in any case. @since 0.4 */
    uint32_t cost;
    /** SL_PRIORITY_*: of a call that waits; what is more urgent goes first, deliveries included.
     *  @since 0.4 */
    uint32_t priority;
} sl_http_request;

typedef struct sl_http_answer {
    uint32_t size;
    int32_t error;   /* SL_OK: a whole answer came; else SL_E_* */
    uint32_t sent;   /* 1: the first byte of the request may have left: not done is not certain */
    uint32_t status; /* 100..599; 0 if error */
    const sl_header *headers;
    size_t n_headers;
    sl_str body;
    sl_str why;             /* on error: what happened, for the operator */
    int64_t retry_after_ms; /* from Retry-After (seconds or date) or its known cousins; -1: none */
} sl_http_answer;

typedef void (*sl_http_cb)(void *ctx, const sl_http_answer *answer);
typedef void (*sl_timer_cb)(void *ctx);
typedef void (*sl_transform_cb)(void *ctx, sl_status status, sl_str output, sl_str why);
/** The answer of linked(): for each reference, in order, the subject that it was linked to, or an
 *  empty view. On an error there are none. Views borrowed for the call. @since 0.3 */
typedef void (*sl_linked_cb)(void *ctx, sl_status status, const sl_str *subjects, size_t n);
/** The answer of kept(): the value, empty if there is none. Borrowed for the call. @since 0.4 */
typedef void (*sl_kept_cb)(void *ctx, sl_status status, sl_str value);

#define SL_RECALL_MAX 1000 /* facts of one answer */

/** The answer of recall(), by rising key. `n` below SL_RECALL_MAX: there are no more behind them.
 *  On an error there are none. Views borrowed for the call. @since 0.4 */
typedef void (*sl_recall_cb)(void *ctx, sl_status status, const sl_fact *facts, size_t n);

#define SL_BUDGET_REQUESTS 1 /* calls in a window: X-RateLimit-*, RateLimit */
#define SL_BUDGET_LEAKY    2 /* slots that leak: X-Shopify-Shop-Api-Call-Limit */
#define SL_BUDGET_POINTS   3 /* points that are restored: GraphQL's throttleStatus */
#define SL_BUDGET_QUOTA    4 /* calls a day: Sforce-Limit-Info */

#define SL_BUDGET_MAX 1000000000000 /* figures above it are not believed */
#define SL_COST_MAX   1000000       /* tokens of one batch */

/** What a remote says is left for us, in whole calls, slots or points. */
typedef struct sl_budget {
    uint32_t size;
    uint32_t kind;         /* SL_BUDGET_* */
    int64_t limit;         /* how much there can be; 0: not said */
    int64_t remaining;     /* how much was left when it was said; -1: not said */
    int64_t restore_milli; /* thousandths that come back a second; 0: not said */
    int64_t reset_ms;      /* from now until there is all of it again; -1: not said */
    /** 1: `taken` is what the answered call took in the end; the rest of its cost is given back.
     *  @since 0.4 */
    uint32_t has_taken;
    uint32_t _reserved;
    int64_t taken; /* tokens @since 0.4 */
} sl_budget;

#define SL_LOG_ERROR 0
#define SL_LOG_WARN  1
#define SL_LOG_INFO  2
#define SL_LOG_DEBUG 3

/** Services of the host for one opened instance. Valid from open() to the end of close(). */
typedef struct sl_host {
    uint32_t size;
    uint32_t abi_minor; /* of the host */
    void *ctx;          /* pass it to every function */
    const sl_values *settings;
    const sl_values_api *values;
    sl_str endpoint; /* this endpoint's configured name */

    void (*log)(void *ctx, uint32_t level, sl_str text);
    int64_t (*wall_ms)(void *ctx);
    uint64_t (*mono_ms)(void *ctx);
    void (*random)(void *ctx, void *out, size_t n);

    /** One HTTP exchange, accounted to the endpoint's lane; redirects are not followed. The
     *  callback runs exactly once unless an error is returned here (SL_E_INVALID, SL_E_NO_MEMORY,
     *  SL_E_CANCELLED while closing).
     *  At close() what is still under way is called back with SL_E_CANCELLED. */
    sl_status (*http)(void *ctx, const sl_http_request *req, sl_http_cb cb, void *cb_ctx);

    /** Call back once, `ms` from now. Returns a number for timer_cancel; 0 while closing. At
     * close() timers end without a callback. */
    uint64_t (*timer)(void *ctx, int64_t ms, sl_timer_cb cb, void *cb_ctx);
    void (*timer_cancel)(void *ctx, uint64_t timer);

    /** Run a jq program (an SL_OPT_JQ value) on JSON in a mapping worker. Exactly one output is
     *  expected; more or none is an error. Ids beyond 2^53 reach the program as strings (see the
     *  operator's guide). Variables: $delivery {key, subject, piece, topic, attempt} if `vars`, a
     *  JSON object, says so. */
    sl_status (*transform)(void *ctx, sl_str program, sl_str input, sl_str vars, sl_transform_cb cb,
                           void *cb_ctx);

    /** What the remote says is left: the lane's pace follows it, and so sees the use by others.
     *  Call it from the callback of the answer that says so: what was sent since is taken off. An
     *  endpoint's own limits are not raised by it, unless its `rate.kind` is the same. @since 0.2
     */
    void (*budget)(void *ctx, const sl_budget *budget);

    /** What outcomes of this endpoint have linked (sl_outcome.links): an adapter's memory over
     *  restarts, as long as a link is kept (`store.keep` after it was written last). At most 4,096
     *  references, copied. The callback runs exactly once unless an error is returned here:
     *  SL_E_INVALID, SL_E_LIMIT, SL_E_NO_MEMORY, SL_E_CANCELLED (closing, or still in open()). A
     *  link is found once its outcome is durable. @since 0.3 */
    sl_status (*linked)(void *ctx, const sl_ref *refs, size_t n, sl_linked_cb cb, void *cb_ctx);

    /** What comes from the remote lags, or some of it is known to be lost: the endpoint's feeds of
     *  kinds with SL_FEED_SWEEP that have an `every` are polled within `ms` (at least 1 s), though
     *  not within a minute of their last beginning. May be called at any time, and often; does
     *  nothing where there is no such feed. @since 0.4 */
    void (*poll_soon)(void *ctx, int64_t ms);

    /** Keep a small fact of this endpoint over restarts and reloads, such as a credential that
     *  changes with each use. `name`: [a-z0-9._-], up to 64; `value`: UTF-8 text of up to 64 KiB,
     *  empty: there is none any more; both are copied. `cb` runs once it is durable, or with an
     *  error, and then it may be there or not; exactly once unless an error is returned here:
     *  SL_E_INVALID, SL_E_LIMIT, SL_E_CANCELLED (closing, or still in open()), SL_E_UNSUPPORTED
     *  (there is no store: a check). No listing shows it, but it stands in the store and its
     *  backups as it was given: encrypt what is secret. @since 0.4 */
    sl_status (*keep)(void *ctx, sl_str name, sl_str value, sl_durable_cb cb, void *cb_ctx);
    /** What was kept under this name last, by whatever instance of this endpoint; what is durable
     * is found. Errors and callback as of keep(). @since 0.4 */
    sl_status (*kept)(void *ctx, sl_str name, sl_kept_cb cb, void *cb_ctx);

    /** What outcomes of this endpoint have told to remember (sl_outcome.facts): the keys of a space
     *  that begin with `prefix` (may be empty), beyond `after` (empty: from the first). The
     *  callback runs exactly once unless an error is returned here: SL_E_INVALID, SL_E_NO_MEMORY,
     *  SL_E_CANCELLED (closing, or still in open()). A fact is found once its outcome is durable.
     *  @since 0.4 */
    sl_status (*recall)(void *ctx, sl_str space, sl_str prefix, sl_str after, sl_recall_cb cb,
                        void *cb_ctx);
} sl_host;

/* ---- asking whether it would work ---------------------------------------------------------- */

/* How grave a finding is. @since 0.3 */
#define SL_FINDING_GOOD  0 /* it was looked at and is right: what it is, in a few words */
#define SL_FINDING_WARN  1 /* it works, and somebody should look at it */
#define SL_FINDING_ERROR 2 /* it does not work: what is wrong, and what would be right */

/** How probe() answers; valid until finish() was called, or the instance is closed. @since 0.3 */
typedef struct sl_probe_out {
    uint32_t size;
    uint32_t _reserved;
    void *ctx;
    /** As often as there is something to say; `text`: one line, no secrets. */
    void (*finding)(void *ctx, uint32_t level, sl_str text);
    /** The end; exactly once, last. */
    void (*finish)(void *ctx);
} sl_probe_out;

/* ---- reports: what the remote holds, for people --------------------------------------------- */

/** The answer of report(): SL_OK with JSON, or an error with `why`. Views borrowed for the call.
 *  @since 0.3 */
typedef void (*sl_report_cb)(void *ctx, sl_status status, sl_str json, sl_str why);

/* ---- what a body must be ------------------------------------------------------------------- */

/** The answer of body_schema(): a JSON object. Borrowed for the call. @since 0.4 */
typedef void (*sl_schema_cb)(void *ctx, sl_str json);

/* ---- the plugin ---------------------------------------------------------------------------- */

/** An action with a route's parameters, made by bind() when a configuration is checked. */
typedef struct sl_bind_in {
    uint32_t size;
    uint32_t action;         /* index into `actions` */
    const sl_values *params; /* checked against the action's table; valid until unbind() */
    const sl_values_api *values;
} sl_bind_in;

/* ---- looking rows up by keys ---- */

/** What is known of one key. Stands in arrays, and so has no size. @since 0.3 */
typedef struct sl_found_row {
    sl_str key;   /* as it was asked, byte for byte */
    sl_str row;   /* JSON of any kind; empty: there is none, or `error` says more */
    sl_str error; /* it cannot be used, one line: two rows have the key; empty: it can */
} sl_found_row;

#define SL_FIND_DONE    1 /* all is known: a key without a row is not there */
#define SL_FIND_AGAIN   2 /* not asked, or not answered: again, not before `after_ms` */
#define SL_FIND_REFUSED 3 /* the question is wrong: an unknown object or field */

/** The answer of sl_find.ask(); views borrowed for the call. @since 0.3 */
typedef struct sl_found {
    uint32_t size;
    uint32_t verdict; /* SL_FIND_* */
    int64_t after_ms; /* for AGAIN; 0: the host decides */
    sl_str why;       /* AGAIN, REFUSED: for the operator; no secrets */
    const sl_found_row *rows;
    size_t n_rows;
} sl_found;

typedef void (*sl_find_cb)(void *ctx, const sl_found *answer);

/** Rows that a remote is asked for by their keys: what a route's `with` needs. Static storage. The
 *  host gathers the keys of many events, keeps what it was told for a while, and takes a token of
 *  the endpoint's lane for each question; an HTTP call beyond the first takes another.
 *  @since 0.3 */
typedef struct sl_find {
    uint32_t size;
    uint32_t keys; /* most keys of one question, 1 to 10,000 */
    /** What a `with` may carry beside the host's own keys (endpoint, keys, for, purge_on). */
    const sl_option *params;
    /** As sl_plugin.bind, while a configuration is checked; `action` is 0. NULL: the handle is the
     *  parameters. Two that say the same share what was found. */
    sl_status (*bind)(const sl_bind_in *in, void **ret_handle, sl_fail *fail);
    void (*unbind)(void *handle);
    /** Ask for these keys: no two are the same, none is empty, at most `keys` of them. They and the
     *  handle stay valid until `cb`, which runs exactly once, perhaps at once; after close() it
     *  never runs. Several questions may be under way. @thread loop */
    void (*ask)(void *self, void *handle, const sl_str *keys, size_t n_keys, sl_find_cb cb,
                void *cb_ctx);
} sl_find;

typedef struct sl_plugin {
    uint32_t size;      /* sizeof(sl_plugin) when the plugin was built; always first */
    uint32_t abi_minor; /* the least host minor it can run with */
    const char *name;   /* the adapter's name in the configuration: [a-z0-9-]+ */
    const char *version;
    const char *help; /* one line */

    /* Plugin level: pure, no network, no secrets. */
    const sl_option *settings; /* keys an endpoint of this adapter may carry; NULL: none */
    const sl_action *actions;  /* NULL: only a source */
    /** Check what the table cannot (say: `object` and `external_id` fit together) and make a
     *  handle. NULL: parameters are read through the handle = sl_values alone. */
    sl_status (*bind)(const sl_bind_in *in, void **ret_handle, sl_fail *fail);
    void (*unbind)(void *handle);
    /** Check an endpoint's settings as a whole, secrets aside. NULL: the table is enough. A `fail`
     *  that begins with a setting's name and a colon is reported at that setting's place. */
    sl_status (*check)(const sl_values *settings, const sl_values_api *values, sl_fail *fail);

    /* An instance: one endpoint. */
    sl_status (*open)(const sl_host *host, void **ret_self, sl_fail *fail);
    /** After the last call. Requests still under way are cancelled by the host first. */
    void (*close)(void *self);

    /* As a source. */
    /** NULL: the endpoint takes no webhooks (404). SL_E_NOT_FOUND: unknown path (404);
     *  SL_E_INVALID: malformed (400, `fail` says why); SL_E_UNSUPPORTED: wrong method (405). */
    sl_status (*verify)(void *self, const sl_head *head, sl_verdict *ret, sl_fail *fail);
    const sl_ack *ack; /* NULL: 200, empty */
    /** NULL: events have no subject. An error makes the event unroutable: listed with `fail`. */
    sl_status (*describe)(void *self, const sl_event *event, const sl_describe_out *out,
                          sl_fail *fail);

    /* As a destination. `handle` is what bind() made. */
    /** Freeze the request's bytes before the first attempt; `record` is borrowed for the call, `cb`
     *  runs exactly once. NULL: the body is the request. */
    void (*prepare)(void *self, void *handle, const sl_record *record, sl_prepare_cb cb,
                    void *cb_ctx);
    /** Send. The batch stays valid until done->finish(). Nothing left may be sent before this. */
    void (*deliver)(void *self, void *handle, const sl_batch *batch, const sl_done *done);
    /** Go on with a batch whose newest checkpoint is `token`. NULL: such a batch is unknown. */
    void (*resume)(void *self, void *handle, const sl_batch *batch, sl_str token,
                   const sl_done *done);
    /** Did this record arrive? `record` is borrowed for the call. NULL: cannot be asked. */
    void (*confirm)(void *self, void *handle, const sl_record *record, sl_confirm_cb cb,
                    void *cb_ctx);
    /** A key such that two records of one key never share a batch. NULL, or an empty view: none.
     *  The view stays valid until the next call. */
    sl_str (*row_key)(void *self, void *handle, sl_str body);
    /** Tokens of the endpoint's rate that sending this record takes: points of a query, calls of a
     *  job. Pure and quick; asked for once its request is frozen. NULL, or 0 for all of them: 1 for
     *  a batch. @since 0.2 */
    uint32_t (*cost)(void *self, void *handle, const sl_record *record);

    /* Plugin level as well. */
    /** Can an endpoint with these settings, which check() has passed, do this action? NULL: all of
     *  them. @since 0.2 */
    sl_status (*check_action)(const sl_values *settings, const sl_values_api *values,
                              uint32_t action, sl_fail *fail);

    /* As a source, of which can be asked what has not come. @since 0.2 */
    /** Can an endpoint of these settings look up events of this topic? Plugin level: pure, without
     *  secrets. SL_OK, or an error with `fail`: why not, and what would be right. NULL: all topics,
     *  if there is a lookup(). */
    sl_status (*can_look_up)(const sl_values *settings, const sl_values_api *values, sl_str topic,
                             sl_fail *fail);
    /** Look up an event. `what` is borrowed for the call; `cb` runs exactly once. What is found is
     *  described like a webhook: its event key must be the one of the webhook, which may come
     * still. NULL: nothing can be looked up. */
    void (*lookup)(void *self, const sl_lookup *what, sl_lookup_cb cb, void *cb_ctx);

    /* As a source, whose requests hold several events. */
    /** What a request holds; `body` is whole and its signature was right. `head` is the one that
     *  verify() saw; of its verdict the topic and the sender's id are not looked at. What
     * out->event was told is made durable as one, each event with a receipt key of its own; none is
     * fine. Then the request is answered. Pure and quick. SL_E_INVALID: malformed (400, `fail` says
     *  why), SL_E_LIMIT: too much of it (413), SL_E_NO_MEMORY: not now (503): nothing is kept.
     *  NULL: the body is the event. @since 0.3 */
    sl_status (*unpack)(void *self, const sl_head *head, sl_str body, const sl_unpack_out *out,
                        sl_fail *fail);

    /* As a source that is asked again and again. @since 0.3 */
    const sl_feed *feeds; /* NULL: it has none */
    /** As bind() and unbind(), for a feed: in->action is the index into `feeds`. */
    sl_status (*bind_feed)(const sl_bind_in *in, void **ret_handle, sl_fail *fail);
    void (*unbind_feed)(void *handle);
    /** Ask for what is new. `cursor` is what the last checkpoint of this feed said, of whatever
     *  configuration; empty: there was none; borrowed for the call. `handle` is what bind_feed()
     *  made and, as `out`, valid until out->finish(). One poll of a feed at a time; those of
     *  several feeds may be under way at once. Not called while the endpoint is paused, parked or
     *  its breaker open. */
    void (*poll)(void *self, void *handle, sl_str cursor, const sl_poll_out *out);

    /* As a destination whose records are in each other's way. @since 0.3 */
    /** A key such that two batches in flight at an endpoint never hold records of one key: what the
     *  remote locks while it writes them, such as their parent. Records of one batch may share it.
     *  Compared byte by byte over all actions and routes of the endpoint; in flight is from the
     *  choice of the batch until its outcomes are stored, over a restart too where the batch is
     *  resumed. Pure and quick (some microseconds): asked for once for each body. NULL, or an empty
     *  view: none. The view stays valid until the next call. */
    sl_str (*parent_key)(void *self, void *handle, sl_str body);
    /** How an action's batches gather; `handle` is what bind() made of a route's parameters. Plugin
     *  level: pure. `ret` comes with its size and all else 0. NULL: at once. */
    void (*batching)(uint32_t action, const void *handle, sl_batching *ret);
    /** Would it work? Asks the remote, and changes nothing there: `sluice check --online`.
     * `handle`: NULL for the endpoint (credentials, address, version, what is left of its limits),
     * first; if that found no error, then what bind() made, for each route's action. One question
     * at a time; after 30 s for an endpoint it is closed without an answer. The instance does
     * nothing else. NULL: it cannot be asked. @since 0.3 */
    void (*probe)(void *self, void *handle, const sl_probe_out *out);

    /** Rows by their keys, for routes' `with`. NULL: it has none. @since 0.3 */
    const sl_find *find;

    /** For people. Look through what the remote holds and say what was found, as `sluice report
     * NAME` prints it; changes nothing there. `cb` runs exactly once, in close() at the latest.
     *  SL_E_NOT_FOUND: there is no report of this name; SL_E_UNSUPPORTED: the endpoint is not set
     * up for it; SL_E_LIMIT: one is being made. NULL: it makes none. @since 0.3 */
    void (*report)(void *self, sl_str name, sl_report_cb cb, void *cb_ctx);

    /* As a destination whose books can be compared. */
    /** Compare what was sent with what is there. `batch` has up to 200 records, or as many as
     *  comparing() says, that were delivered with the action of `handle`, of which `delivery` and
     *  `request` are filled in; it is valid until out->finish(). Reads only. NULL: it cannot be
     *  compared. @since 0.3 */
    void (*compare)(void *self, void *handle, const sl_batch *batch, const sl_compare_out *out);
    /** How much compare() takes at a time; `handle` is what bind() made of a route's parameters.
     *  Plugin level: pure. `ret` comes with its size and all else 0. NULL: 200 records.
     *  @since 0.3 */
    void (*comparing)(const void *handle, sl_comparing *ret);

    /** What the body of a record must be for this action (an index into `actions`): a JSON Schema
     *  (2020-12), told by one call of `cb` before this returns; no call: anything goes, or there is
     *  no memory. The adapter checks bodies by itself, before it sends anything: this is for people
     *  and their tools. Plugin level: pure. NULL: no action says. @since 0.4 */
    void (*body_schema)(uint32_t action, sl_schema_cb cb, void *cb_ctx);
    /** Is this subject, "order:acme.myshopify.com/450789469", one of this endpoint's? For routes
     * that lead `to: origin`. Pure and quick: asked while an event is routed. NULL: only events
     * that came from the endpoint are its own. @since 0.4 */
    int (*owns)(void *self, sl_str subject);

    /* As a source whose bodies name foreign ids alone. */
    /** What do these belong to? Asked when describe() gave references without a subject, and no
     *  link knows the first of them: at most SL_RESOLVE_MAX, no two the same, of many events. What
     *  is answered is kept as links, and the events that wait for them are routed. `refs` are
     *  borrowed for the call; `cb` runs exactly once, perhaps at once. Reads only. NULL: such
     *  events wait for a link. @since 0.4 */
    void (*resolve)(void *self, const sl_ref *refs, size_t n, sl_resolve_cb cb, void *cb_ctx);

    /* As a source that is asked. */
    /** A question by GET or HEAD at /in/{endpoint}[/rest], not stored and no event: unsigned, so
     *  something in its path or headers must show that it may be asked. `head` is borrowed for the
     *  call. SL_OK: `cb` runs exactly once, perhaps at once, not after close(); within a second,
     *  say, since 64 are answered at a time, of all endpoints. SL_E_NOT_FOUND (404),
     *  SL_E_INVALID (400, `fail` says why), SL_E_UNSUPPORTED (405), SL_E_NO_MEMORY (503): it does
     *  not run. Nothing is sent anywhere for it. NULL: no questions are taken. @since 0.4 */
    sl_status (*serve)(void *self, const sl_head *head, sl_serve_cb cb, void *cb_ctx,
                       sl_fail *fail);

    /* As whoever keeps something in memory. */
    /** Somebody is to be forgotten (SL_ASK_ERASE), at whatever endpoint that was asked: drop what
     * is kept in memory about the values and references, and what may hold them. Called again for
     *  the same as the rest is erased. NULL: it keeps nothing of the kind. @since 0.4 */
    void (*forget)(void *self, const sl_ask *what);

    /* As a source of which more can be had than it has sent. @since 0.4 */
    /** Can an endpoint of these settings back-fill these topics (sl_backfill.topics)? Plugin level:
     *  pure, without secrets. SL_OK, or an error with `fail`: why not, and what would be right. */
    sl_status (*can_backfill)(const sl_values *settings, const sl_values_api *values, sl_str topics,
                              sl_fail *fail);
    /** Bring what is there, as a poll does: found by emit_missed(), which drops what is known, with
     *  a checkpoint now and then. It may take days: after a restart it is called again with the
     *  newest cursor. finish(SL_OK) with `after_ms` 0: that was all; with `after_ms`: call again
     *  then; an error: called again later and later. One at a time, beside polls. NULL: there is
     *  nothing to be had. */
    void (*backfill)(void *self, const sl_backfill *what, sl_str cursor, const sl_poll_out *out);
    /** As probe(), for a feed of the endpoint: `handle` is what bind_feed() made. Asked after the
     *  endpoint itself, if that found no error. NULL: feeds are not asked about. @since 0.4 */
    void (*probe_feed)(void *self, void *handle, const sl_probe_out *out);
} sl_plugin; /* append above this line; never reorder, retype or remove */

/** The one exported symbol; the digit is the ABI major. Static storage. */
SL_EXPORT const sl_plugin *sl_plugin_v0(void);

#ifdef __cplusplus
}
#endif

#endif
