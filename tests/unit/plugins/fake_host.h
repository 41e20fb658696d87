/*
 * fake_host.h - a host for one plugin instance in a unit test: settings from a C table, scripted
 * HTTP answers, time that only moves when told to, canned jq results.
 *
 * It keeps the ABI's promises and checks the plugin's: no callback runs before the host function
 * that takes it has returned; a setting that is not in the option table, a request that was not
 * scripted, a second finish(), an outcome told twice, a timer left after close() and a secret in a
 * log line or a `why` all fail the test.
 *
 * One thread; strings in the tables are borrowed and must outlive the fake.
 */
#pragma once

#include <stdbool.h>
#include <sluice/sluice.h>

#include "../check.h"

/* ---- values -------------------------------------------------------------------------------- */

/** One setting, as text: numbers "5", booleans "true", durations "2s", sizes "1MiB", lists and maps
 *  as JSON. A secret's text is the secret; SECRETS take several entries of one name, in order. The
 *  array ends with a NULL name. What is not given has the option table's default. */
struct fake_setting {
    const char *name, *value;
};

/** Own; every name is checked against the table, required ones must be there. */
sl_values *fake_values_create(const sl_option *table, const struct fake_setting *settings);
void fake_values_destroy(sl_values *v);
extern const sl_values_api fake_values_api;

/* ---- the host ------------------------------------------------------------------------------ */

/** One expected request and its answer. NULL and 0: not looked at; no answer body. */
struct fake_exchange {
    const char *method;  /* exact */
    const char *url;     /* exact */
    const char *headers; /* lines "Name: value", each must be sent; "!Name": must not be there */
    const char *body;    /* exact */

    int32_t error; /* SL_E_*: no answer; `sent` says whether a byte may have left */
    uint32_t sent; /* counts for errors; an answer is always sent */
    uint32_t status;
    const char *answer_headers; /* lines "Name: value" */
    const char *answer;         /* body */
    int64_t retry_after_ms;     /* 0: none */
    int64_t delay_ms;           /* virtual time until the answer */
    bool never;                 /* no answer until the host closes */
};

struct fake_host;

/** A fake at wall clock 2026-11-20T09:15:32.000Z, monotonic clock 1000 ms. */
struct fake_host *fake_host_create(const char *endpoint, const sl_option *table,
                                   const struct fake_setting *settings);
/** Fails the test if a scripted exchange was not used or anything is still under way. */
void fake_host_destroy(struct fake_host *f);
const sl_host *fake_host_table(struct fake_host *f);

/** plugin->open() that must succeed; plugin->close() as the host does it: requests under way are
 *  called back with SL_E_CANCELLED first, and no timer may be left after it. */
void *fake_host_open(struct fake_host *f, const sl_plugin *plugin);
void fake_host_close(struct fake_host *f, const sl_plugin *plugin, void *self);

/** Script one more exchange; they are used in this order. The struct is copied. */
void fake_host_expect(struct fake_host *f, const struct fake_exchange *x);
#define FAKE_EXPECT(f, ...) fake_host_expect((f), &(struct fake_exchange){ __VA_ARGS__ })

/** Run callbacks in the order of their due times, moving the clocks, until nothing is due any more
 *  (exchanges marked `never` aside), or up to `ms` from now. */
void fake_host_run(struct fake_host *f);
void fake_host_run_for(struct fake_host *f, int64_t ms);

const sl_budget *fake_host_budget(const struct fake_host *f); /* the last one told; NULL: none */
int64_t fake_host_wall_ms(const struct fake_host *f);
size_t fake_host_requests(const struct fake_host *f); /* made so far */
size_t fake_host_pending(const struct fake_host *f);  /* callbacks not yet run, timers included */
const char *fake_host_last_log(const struct fake_host *f); /* "" before the first */
/** Body of the last request, copied; for what an exact string cannot express. */
sl_str fake_host_last_body(const struct fake_host *f);
const char *fake_host_last_url(const struct fake_host *f);

/** How often the plugin called poll_soon(), and the last time asked for. */
size_t fake_host_polls_soon(const struct fake_host *f, int64_t *ret_ms);
/** What linked() finds from now on. */
void fake_host_link(struct fake_host *f, const char *kind, const char *id, const char *subject);

/** What keep() answers from now on: an error, and nothing is kept; SL_OK. */
void fake_host_keep_answers(struct fake_host *f, sl_status status);
/** What is kept under a name; "" if nothing is. What an adapter kept stays when it is closed and
 *  opened again. */
const char *fake_host_kept(const struct fake_host *f, const char *name);
/** Keep it, as an instance before would have. */
void fake_host_keep(struct fake_host *f, const char *name, const char *value);
/** Tokens that the last request said it costs; 0: it said nothing. */
uint32_t fake_host_last_cost(const struct fake_host *f);
/** Every priority that a request had so far: bit SL_PRIORITY_*. */
uint32_t fake_host_priorities(const struct fake_host *f);

/** What transform() answers from now on. Output NULL: the input itself. */
void fake_host_transform(struct fake_host *f, sl_status status, const char *output,
                         const char *why);
/** What the last transform() was given: NUL-terminated copies, "" before the first. */
const char *fake_host_program(const struct fake_host *f);
const char *fake_host_input(const struct fake_host *f);
const char *fake_host_vars(const struct fake_host *f);

/* ---- collectors ---------------------------------------------------------------------------- */

#define FAKE_MAX_RECORDS 512
#define FAKE_MAX_LINKS   8

struct fake_outcome {
    uint32_t told; /* 0: no outcome */
    uint32_t kind; /* SL_DELIVERED ... */
    int64_t after_ms;
    uint32_t status, not_sent, narrow;
    char *why, *reference; /* NUL-terminated copies */
    char *hold_type, *choices, *evidence;
    size_t n_links, n_emits;
    char *link_kind[FAKE_MAX_LINKS], *link_id[FAKE_MAX_LINKS];
    char *emit_topic[FAKE_MAX_LINKS], *emit_body[FAKE_MAX_LINKS];
};

/** Collects what deliver(), resume() or confirm() say; everything is copied. Hand `done` to the
 *  plugin. `withhold_after`: durable callbacks of checkpoints after this many are never run (a
 *  crash at that point); -1: all run, each in a later turn. */
struct fake_done {
    sl_done done;
    struct fake_host *host;
    size_t n_records;
    int withhold_after;
    struct fake_outcome outcomes[FAKE_MAX_RECORDS];
    size_t n_checkpoints;
    char *token; /* the newest, NUL-terminated copy; NULL before the first */
    size_t token_len;
    uint32_t token_done;
    bool finished, parked;
    /* what it asked to learn; set one of the two to have the outcomes lost, or never known of */
    sl_durable_cb settled;
    void *settled_ctx;
    bool not_settled, never_settled;
    char *park_why;
    int64_t park_after_ms;
};

void fake_done_init(struct fake_done *d, struct fake_host *f, size_t n_records);
void fake_done_finish(struct fake_done *d); /* frees the copies */

struct fake_confirmed {
    struct fake_host *host;
    int calls;
    uint32_t verdict;
    struct fake_outcome outcome; /* after_ms, why, reference, links, emits */
};
/** An sl_confirm_cb; ctx is a zeroed struct fake_confirmed with `host` set. */
void fake_on_confirmed(void *ctx, const sl_confirmed *answer);
void fake_confirmed_finish(struct fake_confirmed *c);

struct fake_looked_up {
    struct fake_host *host;
    int calls;
    uint32_t verdict;
    int64_t after_ms;
    char *why, *body; /* NUL-terminated copies */
};
/** An sl_lookup_cb; ctx is a zeroed struct fake_looked_up with `host` set. */
void fake_on_looked_up(void *ctx, const sl_looked_up *answer);
void fake_looked_up_finish(struct fake_looked_up *l);

struct fake_prepared {
    int calls;
    sl_status status;
    char *request, *why; /* NUL-terminated copies */
};
/** An sl_prepare_cb; ctx is a zeroed struct fake_prepared. */
void fake_on_prepared(void *ctx, sl_status status, sl_str request, sl_str why);
void fake_prepared_finish(struct fake_prepared *p);

sl_str fake_str(const char *s); /* a view of a C string; NULL: empty */

/** A whole file of the test data (DATA_DIR), own, NUL-terminated; fails the test if not there. */
char *fake_read_file(const char *dir, const char *name, size_t *ret_len);
