/*
 * options.c - core's own option tables, and where their values go.
 */
#include "config/options.h"

#include <assert.h>
#include <stdlib.h>
#include "base/mem.h"

#define MEMBER(type, member) offsetof(type, member), sizeof(((type *)0)->member)
#define BY_HAND              0, 0

#define KIB   INT64_C(1024)
#define MIB   (1024 * KIB)
#define GIB   (1024 * MIB)
#define SEC   INT64_C(1000)
#define MIN   (60 * SEC)
#define HOUR  (60 * MIN)
#define DAY   (24 * HOUR)
#define MILLI INT64_C(1000) /* of an OPT_MILLI */

#define RETRY_PRESETS "interactive|inventory|bulk|standard"

/* clang-format off: one option, one or two lines */

const struct field options_top[] = {
    { { "listen", OPT_LISTEN, 0, "127.0.0.1:8080", 0, 0, NULL,
        "where webhooks come in: an address and port, or unix:PATH" },
      MEMBER(struct config, listen) },
    { { "intake.trusted_proxies", SL_OPT_STRINGS, 0, "[127.0.0.0/8, '::1', unix]", 0, 0, NULL,
        "addresses, networks, unix: they may name the client, and have no limit of connections" },
      BY_HAND },
    { { "intake.forwarded", SL_OPT_ENUM, 0, "x-forwarded-for", 0, 0,
        "none|x-forwarded-for|forwarded", "the header these proxies name the client in" },
      MEMBER(struct config, forwarded) },
    { { "intake.mode", SL_OPT_STRING, 0, "\"0660\"", 0, 0, NULL,
        "permissions of listen's unix socket, octal" },
      BY_HAND },
    { { "admin.listen", OPT_LISTEN, 0, "127.0.0.1:8081", 0, 0, NULL,
        "health, metrics and the API over TCP; none: not at all" },
      MEMBER(struct config, admin_listen) },
    { { "admin.socket", OPT_PATH, 0, NULL, 0, 0, NULL,
        "the commands' socket; without it admin.sock in store.path" },
      MEMBER(struct config, admin_socket) },
    { { "admin.token", SL_OPT_SECRET, 0, NULL, 0, 0, NULL,
        "opens the API over TCP; without it TCP serves health and metrics only" },
      MEMBER(struct config, admin_token) },
    { { "store.path", OPT_PATH, 0, "/var/lib/sluice", 0, 0, NULL, "folder of all state" },
      MEMBER(struct config, store_path) },
    { { "store.queue", SL_OPT_SIZE, 0, "64MiB", MIB, 16 * GIB, NULL,
        "what may wait to be written before webhooks are refused" },
      MEMBER(struct config, store_queue) },
    { { "store.disk_reserve", SL_OPT_SIZE, 0, "256MiB", 0, 1024 * GIB, NULL,
        "free space below which webhooks are refused" },
      MEMBER(struct config, disk_reserve) },
    { { "store.keep", SL_OPT_DURATION, 0, "28d", 7 * DAY, 3650 * DAY, NULL,
        "how long events are kept, and duplicates of them known; what is open or dead stays. Once "
        "somebody is to be erased, store.erase_within bounds it for all" },
      MEMBER(struct config, keep_ms) },
    { { "store.erase_within", SL_OPT_DURATION, 0, "28d", 1000, 30 * DAY, NULL,
        "how long after it was asked for the log may still hold what was erased, whatever store.keep says" },
      MEMBER(struct config, erase_within_ms) },
    { { "plugins", OPT_PATHS, 0, "[/usr/lib/sluice/plugins, /usr/local/lib/sluice/plugins]", 0, 0,
        NULL, "folders where adapters are looked for" },
      BY_HAND },
    { { "log.level", SL_OPT_ENUM, 0, "info", 0, 0, "error|warn|info|debug|trace", "what is told" },
      MEMBER(struct config, log_level) },
    { { "log.format", SL_OPT_ENUM, 0, "text", 0, 0, "text|json", "for people or for machines" },
      MEMBER(struct config, log_format) },
    { { "limits.body", SL_OPT_SIZE, 0, "2MiB", KIB, 64 * MIB, NULL, "largest webhook" },
      MEMBER(struct config, max_body) },
    { { "limits.connections", SL_OPT_INT, 0, "16384", 1, 1000000, NULL,
        "open at once, as far as descriptors allow; further ones wait" },
      MEMBER(struct config, max_connections) },
    { { "limits.connections_per_address", SL_OPT_INT, 0, "1024", 0, 1000000, NULL,
        "of these by one address that is no trusted proxy; 0: no limit" },
      MEMBER(struct config, max_per_address) },
    { { "limits.drain", SL_OPT_DURATION, 0, "30s", 0, HOUR, NULL,
        "how long a stop waits for what is under way" },
      MEMBER(struct config, drain_ms) },
    { { "limits.window", SL_OPT_INT, 0, "10000", 1, 10000000, NULL,
        "deliveries of one endpoint kept in memory; the rest waits on disk" },
      MEMBER(struct config, window) },
    { { "workers.count", SL_OPT_INT, 0, "2", 1, 256, NULL, "processes that run jq programs" },
      MEMBER(struct config, workers) },
    { { "workers.deadline", SL_OPT_DURATION, 0, "5s", 10, 10 * MIN, NULL,
        "how long the programs may take for one event" },
      MEMBER(struct config, worker_deadline_ms) },
    { { "workers.memory", SL_OPT_SIZE, 0, "512MiB", 64 * MIB, 64 * GIB, NULL,
        "memory of one worker" },
      MEMBER(struct config, worker_memory) },
    { { "workers.output", SL_OPT_SIZE, 0, "16MiB", KIB, GIB, NULL,
        "what the programs may give for one event" },
      MEMBER(struct config, worker_output) },
    { { "alerts.url", SL_OPT_URL, 0, NULL, 0, 0, NULL, "gets each alert as a POST of JSON" },
      MEMBER(struct config, alerts.url) },
    { { "alerts.headers", SL_OPT_MAP, 0, NULL, 0, 0, NULL,
        "headers of that POST; a value may be a secret" },
      MEMBER(struct config, alerts.headers_json) },
    { { "alerts.repeat", SL_OPT_DURATION, 0, "15m", SEC, 30 * DAY, NULL,
        "the same alert again after this at the earliest" },
      MEMBER(struct config, alerts.repeat_ms) },
    { { "alerts.owner", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
        "who answers for what belongs to no route" },
      MEMBER(struct config, alerts.owner) },
    { { "alerts.breaker_open", SL_OPT_DURATION, 0, "1m", 0, DAY, NULL,
        "a breaker is told once it is open for so long" },
      MEMBER(struct config, alerts.breaker_open_ms) },
    { { "alerts.backlog_age", SL_OPT_DURATION, 0, "15m", SEC, 30 * DAY, NULL,
        "an endpoint is told when its oldest delivery waits for longer" },
      MEMBER(struct config, alerts.backlog_ms) },
    { { "alerts.lag", SL_OPT_DURATION, 0, "1m", SEC, 30 * DAY, NULL,
        "told when an event waits for longer to be routed" },
      MEMBER(struct config, alerts.lag_ms) },
    { { "alerts.hold_unattended", SL_OPT_DURATION, 0, "4h", SEC, 365 * DAY, NULL,
        "a held delivery is told again when nobody decided for so long" },
      MEMBER(struct config, alerts.unattended_ms) },
    { { "alerts.signature_failures", SL_OPT_INT, 0, "10", 0, 1000000, NULL,
        "so many bad signatures of one endpoint in five minutes are told; 0: never" },
      MEMBER(struct config, alerts.signature_failures) },
    { { NULL }, BY_HAND },
};

const struct field options_endpoint[] = {
    { { "rate.per_second", OPT_MILLI, 0, NULL, 1, 1000000 * MILLI, NULL,
        "calls a second, such as 5 or 0.5; without it there is no limit" },
      MEMBER(struct conf_endpoint, rate_milli_per_s) },
    { { "rate.burst", SL_OPT_INT, 0, NULL, 1, 1000000, NULL,
        "calls at once after a pause; without it per_second, rounded up" },
      MEMBER(struct conf_endpoint, burst) },
    { { "rate.kind", SL_OPT_ENUM, 0, "requests", 0, 0, "requests|leaky|points",
        "requests: our own limit; leaky, points: the remote's bucket, which its answers correct" },
      MEMBER(struct conf_endpoint, rate_kind) },
    { { "rate.reserve", SL_OPT_INT, 0, "10", 0, 90, NULL,
        "percent of rate and quota that stay for routes with priority critical, if there are any" },
      MEMBER(struct conf_endpoint, rate_reserve) },
    { { "quota.per_day", SL_OPT_INT, 0, NULL, 1, INT64_C(1000000000), NULL,
        "calls a day (UTC), corrected by what the remote says; spent, the endpoint waits for its end" },
      MEMBER(struct conf_endpoint, quota_per_day) },
    { { "concurrency", SL_OPT_INT, 0, "8", 1, 1024, NULL, "batches under way at once" },
      MEMBER(struct conf_endpoint, concurrency) },
    { { "batch.records", SL_OPT_INT, 0, NULL, 1, 1000000, NULL,
        "records in one batch; without it the adapter's default, or as many as the action allows" },
      MEMBER(struct conf_endpoint, batch_records) },
    { { "batch.bytes", SL_OPT_SIZE, 0, NULL, 1, GIB, NULL,
        "bytes in one batch; without it as many as the action allows" },
      MEMBER(struct conf_endpoint, batch_bytes) },
    { { "batch.age", SL_OPT_DURATION, 0, NULL, 0, DAY, NULL,
        "how long a batch gathers; without it the adapter's default, mostly 0s" },
      MEMBER(struct conf_endpoint, batch_age_ms) },
    { { "batch.quick", SL_OPT_DURATION, 0, NULL, 0, DAY, NULL,
        "how long a batch gathers that is small enough to go cheaply, where the adapter knows such a"
        " way; without it the adapter's default" },
      MEMBER(struct conf_endpoint, batch_quick_ms) },
    { { "retry.preset", SL_OPT_ENUM, 0, "standard", 0, 0, RETRY_PRESETS,
        "the values below by a name, which may also stand alone: retry: bulk. interactive: 200ms, 5s, 1m;"
        " inventory: 500ms, 30s, 15m; bulk: 10s, 30m, 7d" },
      BY_HAND },
    { { "retry.first", SL_OPT_DURATION, 0, "1s", 1, DAY, NULL, "first wait, doubled each time" },
      MEMBER(struct conf_endpoint, retry.first_ms) },
    { { "retry.cap", SL_OPT_DURATION, 0, "5m", 1, DAY, NULL, "longest wait" },
      MEMBER(struct conf_endpoint, retry.cap_ms) },
    { { "retry.max_age", SL_OPT_DURATION, 0, "24h", 1, 365 * DAY, NULL,
        "when a delivery is given up, from its first attempt; 72h for routes with priority critical" },
      MEMBER(struct conf_endpoint, retry.max_age_ms) },
    { { "retry.max_attempts", SL_OPT_INT, 0, "0", 0, 1000000, NULL, "0: only the age counts" },
      MEMBER(struct conf_endpoint, retry.max_attempts) },
    { { "retry.budget", SL_OPT_INT, 0, "20", 1, 100, NULL,
        "percent of its calls that may be retries while it is in trouble; 100: no bound" },
      MEMBER(struct conf_endpoint, retry_percent) },
    { { "breaker.window", SL_OPT_DURATION, 0, "60s", 100, HOUR, NULL, "failures are counted over" },
      MEMBER(struct conf_endpoint, breaker.window_ms) },
    { { "breaker.min_calls", SL_OPT_INT, 0, "10", 1, 100000, NULL, "fewer calls never open it" },
      MEMBER(struct conf_endpoint, breaker.min_calls) },
    { { "breaker.failure_percent", SL_OPT_INT, 0, "50", 1, 100, NULL, "this share opens it" },
      MEMBER(struct conf_endpoint, breaker.failure_percent) },
    { { "breaker.slow", SL_OPT_DURATION, 0, NULL, 1, DAY, NULL,
        "a slower call counts as failed; without it half of timeout.total" },
      MEMBER(struct conf_endpoint, breaker.slow_ms) },
    { { "breaker.open", SL_OPT_DURATION, 0, "30s", 10, DAY, NULL,
        "first pause of an open breaker, doubled each time" },
      MEMBER(struct conf_endpoint, breaker.open_ms) },
    { { "breaker.open_max", SL_OPT_DURATION, 0, "300s", 10, DAY, NULL, "longest pause" },
      MEMBER(struct conf_endpoint, breaker.open_max_ms) },
    { { "breaker.probes", SL_OPT_INT, 0, "3", 1, 100, NULL,
        "calls at once that try a breaker out; as many successes close it" },
      MEMBER(struct conf_endpoint, breaker.probes) },
    { { "breaker.per_action", SL_OPT_BOOL, 0, "false", 0, 0, NULL,
        "each action has a breaker of its own: one that fails does not stop the others" },
      MEMBER(struct conf_endpoint, breaker.per_action) },
    { { "park.probe", SL_OPT_DURATION, 0, "60s", 10, DAY, NULL,
        "how often a parked endpoint is tried again" },
      MEMBER(struct conf_endpoint, park_probe_ms) },
    { { "confirm.after", SL_OPT_DURATION, 0, "2s", 1, DAY, NULL,
        "first question after a lost answer, doubled up to 5m" },
      MEMBER(struct conf_endpoint, confirm_after_ms) },
    { { "confirm.for", SL_OPT_DURATION, 0, "24h", 1, 365 * DAY, NULL,
        "without a clear answer for so long a person decides" },
      MEMBER(struct conf_endpoint, confirm_for_ms) },
    { { "timeout.connect", SL_OPT_DURATION, 0, "5s", 1, HOUR, NULL, "name, TCP and TLS" },
      MEMBER(struct conf_endpoint, connect_ms) },
    { { "timeout.first_byte", SL_OPT_DURATION, 0, "30s", 1, HOUR, NULL,
        "from the request to the answer's first byte" },
      MEMBER(struct conf_endpoint, first_byte_ms) },
    { { "timeout.total", SL_OPT_DURATION, 0, "60s", 1, HOUR, NULL, "one call, all of it" },
      MEMBER(struct conf_endpoint, total_ms) },
    { { "tls.ca_file", OPT_PATH, 0, NULL, 0, 0, NULL,
        "trusted roots as PEM; without it the system's" },
      MEMBER(struct conf_endpoint, ca_file) },
    { { "limits.body", SL_OPT_SIZE, 0, NULL, KIB, 64 * MIB, NULL,
        "largest webhook; without it the limit of all" },
      MEMBER(struct conf_endpoint, max_body) },
    { { "limits.answer", SL_OPT_SIZE, 0, "16MiB", KIB, GIB, NULL, "largest answer" },
      MEMBER(struct conf_endpoint, max_answer) },
    { { "template", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
        "its keys are this endpoint's as well, where it has none of its own" },
      MEMBER(struct conf_endpoint, template) },
    { { "status.url", SL_OPT_URL, 0, NULL, 0, 0, NULL,
        "whoever sent an event asks here what becomes of it: the intake's public address, such as https://hooks.example.com" },
      MEMBER(struct conf_endpoint, status_url) },
    { { "status.secret", SL_OPT_SECRET, 0, NULL, 0, 0, NULL,
        "makes these addresses; another one makes the old ones unknown" },
      MEMBER(struct conf_endpoint, status_secret) },
    { { NULL }, BY_HAND },
};

const struct field options_feed[] = {
    { { "every", SL_OPT_DURATION, 0, NULL, SEC, 30 * DAY, NULL,
        "from one beginning to the next, such as 5m" },
      MEMBER(struct conf_feed, every_ms) },
    { { "at", SL_OPT_STRING, 0, NULL, 0, 0, NULL, "once a day instead, in UTC, such as \"02:00\"" },
      BY_HAND },
    { { "owner", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
        "who is told when it fails; without it alerts.owner" },
      MEMBER(struct conf_feed, owner) },
    { { "alert_after", SL_OPT_INT, 0, "3", 1, 1000, NULL,
        "he is told after so many failures in a row" },
      MEMBER(struct conf_feed, alert_after) },
    { { "on", SL_OPT_STRINGS, 0, NULL, 0, 0, NULL,
        "polled at once, besides, when an event of these topics of the endpoint comes: exact, or a beginning such as orders/*" },
      BY_HAND },
    { { NULL }, BY_HAND },
};

const struct field options_group[] = {
    { { "policy", SL_OPT_ENUM, 0, "failover", 0, 0,
        "failover|weighted|round-robin|least-pending|hash",
        "who gets a delivery, of those that are healthy" },
      MEMBER(struct conf_group, policy) },
    { { "key", SL_OPT_ENUM, 0, NULL, 0, 0, "subject|piece",
        "policy hash: what is always sent to the same one; without it the subject" },
      MEMBER(struct conf_group, key) },
    { { "failover_after", SL_OPT_DURATION, 0, "30s", 0, DAY, NULL,
        "a breaker open for longer: what waits moves on; at once when parked or paused" },
      MEMBER(struct conf_group, failover_after_ms) },
    { { "health.back_after", SL_OPT_DURATION, 0, "30s", 0, DAY, NULL,
        "well again for so long: new work goes to it; what has moved stays" },
      MEMBER(struct conf_group, back_after_ms) },
    { { "interlock.ask_after", SL_OPT_DURATION, 0, NULL, 1, 365 * DAY, NULL,
        "in doubt at one that is out for longer: a person decides; without it confirm.for" },
      MEMBER(struct conf_group, ask_after_ms) },
    { { "interlock.cancel", OPT_ACTION, 0, NULL, 0, 0, NULL,
        "an action, such as order.cancel, that takes back what is in doubt before another gets it; one"
        " with parameters: { action: request.cancel, path: ... }" },
      BY_HAND },
    { { NULL }, BY_HAND },
};

const struct field options_route[] = {
    { { "name", SL_OPT_STRING, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
        "a name of a-z, 0-9 and '-' that no other route has" },
      MEMBER(struct conf_route, name) },
    { { "from.endpoint", SL_OPT_STRING, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
        "the endpoint whose events it takes; template: NAME instead takes those of all its endpoints" },
      MEMBER(struct conf_route, from_endpoint) },
    { { "from.topic", OPT_TEXTS, SL_OPT_REQUIRED, "[]", 0, 0, NULL, /* given, but perhaps empty */
        "a topic such as orders/create, a beginning such as orders/*, or a list; [] for a fallback" },
      BY_HAND },
    { { "when", SL_OPT_JQ, 0, NULL, 0, 0, NULL, "only events for which this is true" },
      MEMBER(struct conf_route, when) },
    { { "split", SL_OPT_JQ, 0, NULL, 0, 0, NULL, "one delivery for each { key, body } it gives" },
      MEMBER(struct conf_route, split) },
    { { "map", SL_OPT_JQ, 0, NULL, 0, 0, NULL, "makes the body that is delivered" },
      MEMBER(struct conf_route, map) },
    { { "priority", SL_OPT_ENUM, 0, "normal", 0, 0, "critical|high|normal|low",
        "who goes first at an endpoint" },
      MEMBER(struct conf_route, priority) },
    { { "reconciliation.priority", SL_OPT_ENUM, 0, "low", 0, 0, "critical|high|normal|low",
        "the same for what a sweep or a back-fill of an adapter found" },
      BY_HAND },
    { { "owner", SL_OPT_STRING, 0, NULL, 0, 0, NULL, "who answers for it: alerts carry the name" },
      MEMBER(struct conf_route, owner) },
    { { "ordered", SL_OPT_BOOL, 0, "true", 0, 0, NULL,
        "deliveries about one subject go one after another" },
      MEMBER(struct conf_route, ordered) },
    { { "once", SL_OPT_ENUM, 0, NULL, 0, 0, "subject|never",
        "subject: at most once for each subject, whatever events match; without it as the action says" },
      BY_HAND },
    { { "retry.preset", SL_OPT_ENUM, 0, NULL, 0, 0, RETRY_PRESETS,
        "a policy by its name, which may also stand alone: retry: bulk; without it the endpoint's" },
      BY_HAND },
    { { "retry.first", SL_OPT_DURATION, 0, NULL, 1, DAY, NULL,
        "first wait; without it the endpoint's" },
      MEMBER(struct conf_route, retry.first_ms) },
    { { "retry.cap", SL_OPT_DURATION, 0, NULL, 1, DAY, NULL,
        "longest wait; without it the endpoint's" },
      MEMBER(struct conf_route, retry.cap_ms) },
    { { "retry.max_age", SL_OPT_DURATION, 0, NULL, 1, 365 * DAY, NULL,
        "when a delivery is given up; without it the endpoint's, or 72h for priority critical" },
      MEMBER(struct conf_route, retry.max_age_ms) },
    { { "retry.max_attempts", SL_OPT_INT, 0, NULL, 0, 1000000, NULL,
        "0: only the age counts; without it the endpoint's" },
      MEMBER(struct conf_route, retry.max_attempts) },
    { { "wait_for.topic", OPT_TEXTS, 0, NULL, 0, 0, NULL,
        "an earlier topic of the same subject that is to be routed first, such as orders/create" },
      BY_HAND },
    { { "wait_for.within", SL_OPT_DURATION, 0, NULL, 1, 365 * DAY, NULL,
        "how long a delivery waits for it" },
      BY_HAND },
    { { "wait_for.else", SL_OPT_ENUM, 0, "go", 0, 0, "go|dead|lookup",
        "what then; lookup: ask the source, where its adapter can" },
      BY_HAND },
    { { "deadline.expect", OPT_TEXTS, 0, NULL, 0, 0, NULL,
        "a topic that must follow a delivery, such as supplier/tracking" },
      BY_HAND },
    { { "deadline.within", SL_OPT_DURATION, 0, NULL, 1, 365 * DAY, NULL,
        "how soon after it was delivered" },
      BY_HAND },
    { { "deadline.else", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
        "the topic of the event that says it has not, such as sla/tracking-missing" },
      BY_HAND },
    { { "deadline.warn", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
        "its owner is told before, after this share of the time, such as 80%" },
      BY_HAND },
    { { "after", OPT_TEXTS, 0, "[]", 0, 0, NULL,
        "a route or a list: go when their deliveries of the same event are delivered" },
      BY_HAND },
    { { "on_dead", SL_OPT_ENUM, 0, "go", 0, 0, "go|block",
        "block: a dead letter holds back what comes after it of the same subject" },
      MEMBER(struct conf_route, on_dead) },
    { { "dead_event", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
        "each dead letter is an event of this topic as well, such as quote/failed" },
      MEMBER(struct conf_route, dead_event) },
    { { "coalesce.on", SL_OPT_ENUM, 0, "none", 0, 0, "none|subject",
        "subject: only the newest goes out; may also stand alone: coalesce: subject" },
      MEMBER(struct conf_route, coalesce) },
    { { "coalesce.by", SL_OPT_JQ, 0, NULL, 0, 0, NULL,
        "only the newest of a subject and this key goes out: over the event, it names the piece" },
      MEMBER(struct conf_route, coalesce_by) },
    { { "latest_by", SL_OPT_ENUM, 0, NULL, 0, 0, "version|none",
        "version: an event older than what was made already is superseded; without it as the action says" },
      BY_HAND },
    { { NULL }, BY_HAND },
};

const char *const keys_top[] = { "templates", "endpoints", "groups", "routes", NULL };
const char *const keys_endpoint[] = { "adapter", "feeds", NULL };
const char *const keys_feed[] = { "kind", NULL };
const char *const keys_group[] = { "members", NULL };
const char *const keys_route[] = { "to", "action", "hold", "fallback", "overtakes", "with", NULL };
const char *const keys_to[] = { "endpoint", "group", "action", "choose", "cases", "else",
                                "hold",     "dead",  "drop",   "origin", NULL };

const char *const keys_route_later[] = { "shadow", "batch", NULL };

/* clang-format on */

/* ---- values to members ---- */

static char *text_copy(const struct text *t)
{
    return t->data ? mem_dup((sl_str){ .ptr = t->data, .len = t->len }) : NULL;
}

static void store_number(void *member, size_t size, int64_t num)
{
    uint32_t narrow = (uint32_t)num;

    if (size == sizeof(bool)) {
        *(bool *)member = num != 0;
    } else if (size == sizeof(narrow)) {
        assert(num >= 0 && num <= UINT32_MAX); /* the tables' ranges see to it */
        memcpy(member, &narrow, sizeof(narrow));
    } else {
        assert(size == sizeof(num));
        memcpy(member, &num, sizeof(num));
    }
}

static void store_value(const struct value *v, const struct field *f, char *member)
{
    switch (f->option.type) {
    case SL_OPT_INT:
    case SL_OPT_BOOL:
    case SL_OPT_DURATION:
    case SL_OPT_SIZE:
    case OPT_MILLI:
        store_number(member, f->size, v->num);
        break;
    case SL_OPT_ENUM:
        if (f->size == sizeof(uint32_t)) {
            store_number(member, f->size, v->num);
            break;
        }
        *(char **)(void *)member = text_copy(&v->text);
        break;
    case SL_OPT_SECRET:
        *(char **)(void *)member = v->n_items ? text_copy(&v->items[0]) : NULL;
        break;
    default:
        *(char **)(void *)member = text_copy(&v->text);
        break;
    }
}

void fields_store(const sl_values *v, void *base)
{
    for (size_t i = 0; i < v->n; i++) {
        const struct field *f = (const struct field *)(const void *)v->list[i].option;

        if (v->list[i].from != VALUE_NONE && f->size > 0)
            store_value(&v->list[i], f, (char *)base + f->offset);
    }
}

char **value_list(const struct value *v, size_t *ret_n)
{
    char **list = mem_array(v->n_items + 1, sizeof(*list));

    for (size_t i = 0; i < v->n_items; i++)
        list[i] = text_copy(&v->items[i]);
    *ret_n = v->n_items;
    return list;
}
