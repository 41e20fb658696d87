/*
 * config.h - a checked configuration: what the YAML file says, with every default filled in, every
 * reference resolved and every action bound.
 *
 * The file is checked whole before anything starts. Each mistake is reported with file, line,
 * column, what is wrong and what would be right; as many as there are, not only the first.
 *
 * Ownership: a struct config owns everything it points to, except adapters' tables. After a reload
 * what is under way goes on with the configuration that it began with, and shares it: config_ref().
 * Thread: loop (or before there is one).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sluice/sluice.h>
#include "base/buf.h"
#include "base/fail.h"
#include "base/ipnet.h"

/* ---- what the checker needs of the rooms above it ---- */

struct config_env {
    void *ctx;
    /** The adapter's plugin, or NULL with `fail` saying why: UV_ENOENT when there is none of this
     *  name (the nearest is offered then), any other code when it was refused, and why. */
    const sl_plugin *(*adapter)(void *ctx, const char *name, struct fail *fail);
    /** Names of the adapters there are, for "did you mean"; index from 0, NULL ends. */
    const char *(*adapter_name)(void *ctx, size_t index);
    /** Compile a jq program; 0, or a negative code with `fail` (jq's own message). NULL: not
     *  compiled. */
    int (*compile)(void *ctx, sl_str program, struct fail *fail);
    bool skip_secrets; /* do not read env, files and credentials: a check on another machine */
};

/** One mistake. `line` and `column` count from 1; 0: not at a place in a file. */
struct config_error {
    char *file;
    unsigned line, column;
    char *text;   /* "unknown key \"retires\"; did you mean \"retries\"?" */
    char *source; /* the line in the file, what may be a secret starred out; NULL: not shown */
};

struct config_errors {
    struct config_error *list;
    size_t n;
};

/** "sluice.yaml:14:7: error: text" per mistake, with the line and a caret below. */
void config_errors_print(struct buf *out, const struct config_errors *errors);
void config_errors_finish(struct config_errors *errors);

/* ---- the result ---- */

enum priority { PRIORITY_CRITICAL, PRIORITY_HIGH, PRIORITY_NORMAL, PRIORITY_LOW, PRIORITY__COUNT };
extern const char *const priority_names[PRIORITY__COUNT];
/** By its name; `otherwise` when there is none of this name (NULL). */
uint8_t priority_parse(const char *name, uint8_t otherwise);

struct conf_retry {
    int64_t first_ms;      /* 1 s */
    int64_t cap_ms;        /* 5 min */
    int64_t max_age_ms;    /* from the first attempt: 24 h; 72 h for a critical route without one */
    uint32_t max_attempts; /* 0: only the age counts; default 0 */
};

struct conf_breaker {
    int64_t window_ms;        /* 60 s */
    uint32_t min_calls;       /* 10 */
    uint32_t failure_percent; /* 50 */
    int64_t slow_ms;     /* a call slower than this counts as failed; default = timeout.total / 2 */
    int64_t open_ms;     /* 30 s, doubling */
    int64_t open_max_ms; /* 300 s */
    uint32_t probes;     /* 3 at once in half-open; as many successes close it */
    bool per_action;     /* each action has its own */
};

/** What is asked for at an endpoint again and again. */
struct conf_feed {
    char *name;
    uint32_t kind;        /* index into plugin->feeds */
    int64_t every_ms;     /* 0: once a day at ... */
    int at_minute;        /* ... this minute of the day, UTC; -1: not given */
    char *owner;          /* may be NULL */
    uint32_t alert_after; /* failures in a row: 3 */
    char **on;            /* topics: an event of the endpoint has it polled at once, besides */
    size_t n_on;
    sl_values *params;
    void *handle; /* what bind_feed() made; = params when the plugin has none */
    bool bound;
};

struct conf_endpoint {
    char *name;
    char *adapter;
    char *template; /* that it is made of; NULL: none */
    const sl_plugin *plugin;
    sl_values *settings; /* the adapter's own settings */
    uint64_t
        rate_milli_per_s;   /* tokens per 1000 s: "per_second" x 1000, so 0.5 is 500; 0: no limit */
    uint32_t burst;         /* at least 1; not given: a second's worth, rounded up */
    int rate_kind;          /* 0 requests, 1 leaky, 2 points: as flow/bucket.h counts them */
    uint32_t rate_reserve;  /* percent of bucket and quota that stay for critical work: 10 */
    int64_t quota_per_day;  /* calls; 0: no limit */
    uint32_t concurrency;   /* batches under way at once: 8 */
    uint32_t batch_records; /* 0: the action's */
    uint64_t batch_bytes;   /* 0: the action's */
    /* Only for actions that batch; below 0: as the adapter's batching() says */
    int64_t batch_age_ms;   /* how long a batch gathers */
    int64_t batch_quick_ms; /* ... and one that is small enough to go cheaply */
    struct conf_retry retry;
    bool has_retry;
    uint32_t retry_percent; /* of its calls may be retries: 20; 0 and 100: no bound */
    struct conf_breaker breaker;
    int64_t park_probe_ms;    /* 60 s */
    int64_t confirm_after_ms; /* first question about an unknown outcome: 2 s, doubling to 5 min */
    int64_t confirm_for_ms;   /* "too early" or no answer for longer than this: a human: 24 h */
    uint32_t connect_ms, first_byte_ms, total_ms; /* timeout: { connect, first_byte, total } */
    char *ca_file;                                /* tls: { ca_file } */
    uint64_t max_body;                            /* of a webhook; 0: limits.body */
    uint64_t max_answer;                          /* of the remote's answers: 16 MiB */
    char *status_url;                             /* of flow/progress.h; NULL: nobody may ask */
    char *status_secret; /* with it; NULL also in a check without secrets */
    struct conf_feed *feeds;
    size_t n_feeds;
    unsigned line, column;
    size_t index; /* in config.endpoints */
};

/** The type of what `wait_for` holds: no person is needed. */
#define HOLD_WAIT_FOR "wait-for"
/** The same of what waits because a row that its route is `with` could not be looked up yet. */
#define HOLD_LOOK_UP "look-up"

/** LOOKUP: of wait_for - what has not come is asked for. */
enum hold_then { HOLD_STAYS, HOLD_RELEASE, HOLD_REJECT, HOLD_ESCALATE, HOLD_LOOKUP };

enum field_as { FIELD_TEXT, FIELD_NUMBER, FIELD_BOOLEAN }; /* as the option table says */

/** What a choice lets a person fill in. */
struct conf_field {
    char *name;
    char *path;    /* a JSON pointer into the payload */
    char *label;   /* for people; may be NULL */
    char *pattern; /* POSIX extended, for the whole value; NULL: any */
    enum field_as as;
    bool optional;
};

/** What a person may choose for a held delivery. */
struct conf_choice {
    char *name;
    bool release; /* else: reject */
    char *to;     /* the endpoint that a release sends to; NULL: its own */
    char *text;   /* what it means; may be NULL */
    unsigned line, column;
    struct conf_field *fields;
    size_t n_fields;
};

/** What a held delivery waits for, and what happens when nothing comes. A route's `wait_for` is one
 *  too. */
struct conf_hold {
    char *type; /* fraud, contact-merge, address, unmapped-sku, approval, own ones */
    char *
        *until; /* topics, exact or a prefix before "*": an event of the same subject may end it */
    size_t n_until;
    char *when, *reject_when; /* jq over that event; NULL: any event releases, none rejects */
    int64_t for_ms;           /* its clock; 0: none */
    enum hold_then then;      /* STAYS only without a clock */
    char *owner;              /* NULL: the route's */
    char *escalate_to;        /* NULL: the owner stays */
    char *evidence;           /* jq over the event that was held; may be NULL */
    char *to;                 /* in a target: the endpoint that a release sends to; NULL: none */
    struct conf_choice *choices;
    size_t n_choices;
    size_t index; /* below config.n_holds */
};

/** After a delivery: what must follow, and the event that says that it has not. */
struct conf_deadline {
    char **expect; /* topics, as conf_hold.until */
    size_t n_expect;
    int64_t within_ms;
    char *topic;           /* of the event that is emitted when it is missed */
    unsigned warn_percent; /* of the time; 0: no warning */
};

/* ---- groups: endpoints that can do the same job ---- */

enum group_policy {
    GROUP_FAILOVER,    /* the first that is healthy, in the order of the file */
    GROUP_WEIGHTED,    /* in turn, each as often as its weight says */
    GROUP_ROUND_ROBIN, /* in turn */
    GROUP_LEAST,       /* who has the shortest backlog */
    GROUP_HASH,        /* by the key, always the same one */
    GROUP_POLICY__COUNT
};
extern const char *const group_policy_names[GROUP_POLICY__COUNT];

enum group_key { GROUP_KEY_SUBJECT, GROUP_KEY_PIECE };

#define GROUP_MEMBERS_MAX 32

struct conf_member {
    struct conf_endpoint *endpoint;
    uint32_t weight; /* 1 without its own */
};

struct conf_target;

struct conf_group {
    char *name;
    enum group_policy policy;
    enum group_key key; /* for GROUP_HASH */
    struct conf_member *members;
    size_t n_members;
    int64_t failover_after_ms;   /* a breaker open for longer: what waits moves: 30 s */
    int64_t back_after_ms;       /* well again for so long: new work goes to it: 30 s */
    int64_t ask_after_ms;        /* in doubt for longer: a person is asked; 0: confirm_for_ms */
    struct conf_target *cancels; /* own; how each member takes back what is in doubt; NULL: it is
                                    only asked */
    unsigned line, column;
    size_t index; /* in config.groups */
};

/** ORIGIN: where the event's subject is from. */
enum target_kind {
    TARGET_SEND,
    TARGET_HOLD,
    TARGET_DEAD,
    TARGET_DROP,
    TARGET_GROUP,
    TARGET_ORIGIN
};

struct conf_target {
    enum target_kind kind;
    char *when;                     /* the choice that leads here; NULL: `else`, or the only one */
    struct conf_endpoint *endpoint; /* for SEND */
    uint32_t action;                /* index into plugin->actions */
    sl_values *params;
    void *handle;             /* what bind() made; = params when the plugin has no bind */
    bool bound;               /* bind() made the handle: unbind() gets it */
    char *text;               /* HOLD: the hold's type; DEAD: the reason */
    struct conf_hold *hold;   /* HOLD */
    struct conf_group *group; /* GROUP, and SEND of a member: the group; else NULL */
    /* own; GROUP: a SEND for each of group->members, in order; ORIGIN: for each endpoint that an
     * event may be from */
    struct conf_target *members;
    size_t n_members;
    struct conf_retry retry; /* SEND: the route's, over this endpoint's, over the default */
    bool has_retry;          /* it was settled: always, but in a configuration made by hand */
};

/** Rows of another system that a route's programs see as $with.NAME. */
struct conf_with {
    char *name;
    struct conf_endpoint *endpoint; /* who is asked: its adapter has `find` */
    char *keys;                     /* jq over the event: a list of keys */
    int64_t for_ms;                 /* how long a row is believed */
    char **purge_on;                /* topics whose events end that */
    size_t n_purge_on;
    sl_values *params;
    void *handle;   /* what sl_find.bind() made; = params when it has none */
    bool bound;     /* bind() made the handle: unbind() gets it */
    uint8_t id[16]; /* the same for two that ask the same */
};

enum on_dead { ON_DEAD_GO, ON_DEAD_BLOCK };
enum coalesce { COALESCE_NONE, COALESCE_SUBJECT };

/** When a delivery goes to its route's fallback. */
#define FALLBACK_EXHAUSTED 1u
#define FALLBACK_REJECTED  2u

/** What a route takes of one endpoint. */
struct conf_from {
    char *endpoint;
    char **topics; /* exact, or a prefix before a trailing "*" */
    size_t n_topics;
};

struct conf_route {
    char *name;
    char *from_endpoint;
    char **topics; /* exact, or a prefix before a trailing "*" */
    size_t n_topics;
    struct conf_from *also; /* own; of further endpoints; read all of it by conf_route_from() */
    size_t n_also;
    char *from_names;       /* "crm, shop"; NULL: from_endpoint alone */
    struct conf_with *with; /* own; what the programs see as $with */
    size_t n_with;
    char *when, *split, *map, *choose; /* jq texts; NULL: not given */
    struct conf_target *targets;       /* choose == NULL: exactly one */
    size_t n_targets;
    enum priority priority;
    uint8_t reconciled;             /* 1 + enum priority of what a reconciliation found; 0: low */
    char *owner;                    /* may be NULL */
    bool ordered;                   /* default true */
    bool once;                      /* once: subject; default: the action's SL_ACTION_ONCE */
    struct conf_hold *hold;         /* hold every delivery of the route; NULL: no */
    struct conf_hold *wait;         /* wait_for: an earlier topic of the same subject; NULL: no */
    struct conf_deadline *deadline; /* NULL: none */
    struct conf_retry retry;        /* of its first target that sends */
    bool has_retry;
    /* after: deliveries of these routes of the same event first. `rank`: the longest line of routes
     * that go before it; an event's deliveries are numbered by it, so that none waits for a later
     * number. */
    struct conf_route **after;
    size_t n_after;
    uint32_t rank;
    char **after_names;
    char *overtakes_name; /* as long as it is not resolved; NULL also for the short form */
    unsigned after_line, after_column, overtakes_line, overtakes_column;
    bool overtakes_given;         /* overtakes: held, or { route, held } */
    bool overtakes_amends;        /* held: amend - what is held goes out with this one's body */
    struct conf_route *overtakes; /* whose held deliveries of its subject it closes; NULL: none */
    bool overtaken;               /* by another one */
    enum coalesce coalesce;       /* only the newest of a subject and piece goes out */
    char *coalesce_by;            /* jq over the event that names its one piece; NULL: not given */
    bool latest;                  /* latest_by: version; default: the actions' SL_ACTION_UPSERT */
    enum on_dead on_dead; /* block: a dead letter holds back the later ones of its subject */
    char *dead_event;     /* topic of an event for each that dies; NULL: none */
    /* Where it goes when all is spent: to another endpoint, or to a member of a group; or its event
     * through another route. NULL: nowhere. */
    struct conf_target *fallback; /* own; SEND or GROUP */
    struct conf_route *fallback_route;
    char *fallback_name;  /* own: of that route */
    unsigned fallback_on; /* FALLBACK_* */
    unsigned fallback_line, fallback_column;
    unsigned line, column;
    size_t index;
};

/** The endpoint that events of the gateway's own come from: alerts. No other has this name. */
#define CONFIG_SELF  "sluice"
#define CONFIG_ALERT "alert/"            /* the beginning of their topics */
extern const char *const alert_topics[]; /* all; NULL ends */

struct conf_alerts {
    char *url;                   /* NULL: none */
    char *headers_json;          /* JSON object text; NULL: none */
    int64_t repeat_ms;           /* the same alert again at the earliest after: 15 min */
    char *owner;                 /* of what no route answers for; NULL: nobody */
    int64_t breaker_open_ms;     /* a breaker is told when it is open for so long: 1 min */
    int64_t backlog_ms;          /* 15 min */
    int64_t lag_ms;              /* 1 min */
    int64_t unattended_ms;       /* 4 h */
    uint32_t signature_failures; /* of one endpoint in five minutes: 10; 0: never told */
};

/** Which header names the client behind a trusted proxy. */
enum conf_forwarded { CONF_FORWARDED_NONE, CONF_FORWARDED_X, CONF_FORWARDED_RFC };

struct config {
    char *file;
    char *listen;          /* "127.0.0.1:8080" or "unix:/path" */
    unsigned unix_mode;    /* of listen's socket: 0660 */
    struct ipnet *trusted; /* proxies whose word on the client's address counts */
    size_t n_trusted;
    bool trust_unix;    /* who comes by listen's socket is one of them */
    int forwarded;      /* enum conf_forwarded */
    char *admin_listen; /* "127.0.0.1:8081"; NULL: none */
    char *admin_socket; /* NULL: <store.path>/admin.sock */
    char *admin_token;  /* for TCP; NULL: TCP serves only health and metrics */
    char *store_path;
    uint64_t store_queue;    /* 64 MiB */
    uint64_t disk_reserve;   /* 256 MiB */
    int64_t keep_ms;         /* of events: 28 days */
    int64_t erase_within_ms; /* what was to be erased, in the log: 28 days */
    char **plugin_dirs;
    size_t n_plugin_dirs;
    char *log_level, *log_format;
    uint64_t max_body;          /* 2 MiB */
    uint32_t max_connections;   /* 16384 */
    uint32_t max_per_address;   /* connections of one address: 1024; 0: no limit */
    int64_t drain_ms;           /* SIGTERM: 30 s */
    uint32_t workers;           /* mapping workers: 2 */
    int64_t worker_deadline_ms; /* per event: 5 s */
    uint64_t worker_memory;     /* 512 MiB */
    uint64_t worker_output;     /* 16 MiB per event */
    uint64_t window;            /* deliveries of a lane kept in memory: 10,000 */
    struct conf_alerts alerts;
    struct conf_endpoint *endpoints;
    size_t n_endpoints;
    struct conf_route *routes;
    size_t n_routes;
    size_t n_holds; /* of all routes and targets */
    unsigned refs;  /* who holds it beside its owner */
    bool left;      /* its owner has destroyed it: the last of them frees it */
    struct conf_group *groups;
    size_t n_groups;
};

/** Read and check. 0 with *ret owned and `errors` empty; or UV_EINVAL with `errors` filled (call
 *  config_errors_finish), a file that is not there included. Without memory it aborts, as mem.h
 *  says. Relative paths in the file are relative to its folder. */
int config_load(const char *file, const struct config_env *env, struct config **ret,
                struct config_errors *errors);
/** NULL is fine; unbinds handles, wipes secrets. With references left the last of them does it. */
void config_destroy(struct config *c);
/** Hold it a while longer than its owner may; returns it. */
const struct config *config_ref(const struct config *c);
void config_unref(const struct config *c); /* NULL is fine */

#define CONFIG_RESTART_KEYS 13
/** The keys of which a running daemon keeps what it was started with, and that are others in `b`.
 *  Returns how many; the names are static. */
size_t config_restart_keys(const struct config *a, const struct config *b,
                           const char *ret[CONFIG_RESTART_KEYS]);

/** Only the top-level `plugins:` folders, leniently: needed before adapters are known. 0 or
 *  UV_EINVAL / UV_ENOENT with `errors`. The array ends with NULL; own. */
int config_plugin_dirs(const char *file, char ***ret, struct config_errors *errors);

/** Only the path of the admin socket, leniently and without reading a secret: for commands that
 * talk to the daemon. Codes as above; *ret is own. */
int config_admin_socket(const char *file, char **ret, struct config_errors *errors);

struct conf_endpoint *config_endpoint(const struct config *c, sl_str name); /* NULL: none */
struct conf_route *config_route(const struct config *c, sl_str name);       /* NULL: none */
struct conf_group *config_group(const struct config *c, sl_str name);       /* NULL: none */
/** The i-th target of a route that sends, a group's members counted one by one; NULL past the
 *  last. Those outside groups come first, its fallback - or that one's members - last. */
const struct conf_target *conf_route_send(const struct conf_route *r, size_t i);
/** Of what it makes of events that a reconciliation found, and that did not come by themselves. */
static inline uint8_t conf_route_reconciled(const struct conf_route *r)
{
    return r->reconciled ? r->reconciled - 1 : PRIORITY_LOW;
}
/** The route's fallback at this endpoint: its target, or its group's member; NULL: it is not there.
 */
const struct conf_target *conf_fallback_at(const struct conf_route *r,
                                           const struct conf_endpoint *e);
/** The i-th endpoint that it takes events of, and which; false past the last. */
bool conf_route_from(const struct conf_route *r, size_t i, struct conf_from *ret);
bool conf_route_matches(const struct conf_route *r, sl_str endpoint, sl_str topic);
/** Is it one of these, exact or a prefix before "*"? */
bool conf_topic_matches(char *const *topics, size_t n, sl_str topic);

/** Hold settings longer than their configuration lives; NULL is fine. Returns them. */
const sl_values *config_values_ref(const sl_values *v);
void config_values_unref(const sl_values *v);
/** Do they say the same, secrets included, whether given or by default? */
bool config_values_equal(const sl_values *a, const sl_values *b);

/** Reading of sl_values, for plugins (host) and for ourselves. */
const sl_values_api *config_values_api(void);

/** The commented reference of every key: core's tables and one adapter's (NULL: core alone), as
 *  YAML text. */
void config_print_reference(struct buf *out, const sl_plugin *plugin);
/** The same for several adapters; core's keys of an endpoint and of a route stand with the first.
 *  `conf/sluice.sample.yaml` is made by it. */
void config_print_references(struct buf *out, const sl_plugin *const *plugins, size_t n);
/** JSON Schemas of these adapters, under "$defs": {ADAPTER: {settings, actions: {NAME: {to, body}},
 *  feeds, with}}; `body`: what an action wants, where the adapter says so. */
void config_print_schema(struct buf *out, const sl_plugin *const *plugins, size_t n);
