/*
 * api_decide.c - decisions about deliveries: by id, or all that a filter matches.
 *
 *   READ -> (GATHER a page -> DECIDE it) until there is none -> answer
 *
 * Page by page, so that the loop and the memory stay free however many match: those that matched
 * when it was asked, not what becomes so by the decisions themselves. Who asked may leave
 * meanwhile: what was decided is done all the same.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "admin/api.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define DECIDE_IDS     10000 /* in one question */
#define DECIDE_PAGE    500
#define DECIDE_RESULTS 1000 /* that the answer lists, of those that went well and of the others */

struct deciding {
    struct call *call;
    json_t *body; /* own; the texts below are its */
    enum decision what;
    sl_str why, to, choice;
    char *set; /* own; JSON: what is filled in */
    bool remap, force, dry_run, by_filter, not_arrived;
    uint8_t set_priority;       /* 1 + enum priority; 0: nothing is said of it */
    struct store_filter filter; /* own texts */
    uint64_t *nums;             /* own; rising, each once: the ids, or a page of the filter's */
    size_t n, at;               /* at: the first that is not decided yet */
    bool last;                  /* no page follows */
    size_t matched, done, failed;
    size_t listed_good, listed_bad;
    struct buf results; /* members of "results" so far */
};

static const struct logger log_ = { .room = "admin" };

static const char *const actions[] = {
    [DECISION_REPLAY] = "replay",    [DECISION_DISCARD] = "discard", [DECISION_RELEASE] = "release",
    [DECISION_REJECT] = "reject",    [DECISION_ARRIVED] = "arrived", [DECISION_MOVE] = "move",
    [DECISION_INTERLOCK] = NULL, /* nobody's but the group's */
    [DECISION_AGAIN] = "send-again",
};
#define N_ACTIONS (sizeof(actions) / sizeof(actions[0]))

/** The state that an action's filter means when it names none. */
static const char *const usual_state[] = { "dead", "dead",  "held", "held",
                                           "held", "ready", "held", "held" };

static void deciding_free(struct deciding *d)
{
    json_decref(d->body);
    free(d->set);
    ask_finish(&d->filter);
    free(d->nums);
    buf_finish(&d->results);
    free(d);
}

static void failed(struct deciding *d, int code)
{
    call_failed(d->call, code);
    deciding_free(d);
}

/* ---- READ ---- */

static int read_flag(json_t *value, const char *name, bool *ret, struct fail *fail)
{
    if (!json_is_boolean(value))
        return fail_set(fail, UV_EINVAL, "\"%s\" must be true or false", name);
    *ret = json_is_true(value);
    return 0;
}

static int read_text(json_t *value, const char *name, sl_str *ret, struct fail *fail)
{
    if (!json_is_string(value) || json_string_length(value) > 1024)
        return fail_set(fail, UV_EINVAL, "\"%s\" must be a text of at most 1024 bytes", name);
    *ret = (sl_str){ json_string_value(value), json_string_length(value) };
    return 0;
}

static int read_set(struct deciding *d, json_t *set, struct fail *fail)
{
    const char *name;
    json_t *value;

    if (!json_object_size(set) || json_object_size(set) > 16)
        return fail_set(fail, UV_EINVAL, "\"set\" must be an object of 1 to 16 texts");
    json_object_foreach(set, name, value)
    {
        if (!json_is_string(value))
            return fail_set(fail, UV_EINVAL, "set: \"%.40s\" must be a text", name);
    }
    d->set = json_dumps(set, JSON_COMPACT);
    return d->set ? 0 : fail_set(fail, UV_ENOMEM, "no memory");
}

static int read_action(struct deciding *d, json_t *value, struct fail *fail)
{
    const char *name = json_string_value(value);

    for (size_t i = 0; name && i < N_ACTIONS; i++)
        if (actions[i] && strcmp(actions[i], name) == 0) {
            d->what = (enum decision)i;
            return 0;
        }
    return fail_set(fail, UV_EINVAL,
                    "\"action\" must be one of replay, discard, release, reject, arrived, "
                    "send-again, move");
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static int read_ids(struct deciding *d, json_t *ids, struct fail *fail)
{
    size_t i, n = json_array_size(ids);
    json_t *id;

    if (!json_is_array(ids) || n == 0 || n > DECIDE_IDS)
        return fail_set(fail, UV_EINVAL, "\"ids\" must be a list of 1 to %d ids", DECIDE_IDS);
    d->nums = mem_array(n, sizeof(*d->nums));
    json_array_foreach(ids, i, id)
    {
        const char *name = json_string_value(id);
        if (!name || delivery_parse(str_of(name), &d->nums[i]) < 0)
            return fail_set(fail, UV_EINVAL, "an id is a text like \"1042.0\"%s%.40s%s",
                            name ? ", not \"" : "", name ? name : "", name ? "\"" : "");
    }
    qsort(d->nums, n, sizeof(*d->nums), compare);
    for (i = 0; i < n; i++)
        if (d->n == 0 || d->nums[d->n - 1] != d->nums[i])
            d->nums[d->n++] = d->nums[i];
    return 0;
}

static int read_filter(struct deciding *d, json_t *filter, struct fail *fail)
{
    const char *name;
    json_t *value;
    int r;

    if (!json_is_object(filter))
        return fail_set(fail, UV_EINVAL, "\"filter\" must be an object of texts");
    d->by_filter = true;
    json_object_foreach(filter, name, value)
    {
        if (!json_is_string(value))
            return fail_set(fail, UV_EINVAL, "filter: \"%.40s\" must be a text", name);
        r = ask_set(&d->filter, ASK_DELIVERIES, name, json_string_value(value), fail);
        if (r < 0) {
            fail_prefix(fail, "filter");
            return r;
        }
    }
    return 0;
}

static int read_member(struct deciding *d, const char *name, json_t *value, struct fail *fail)
{
    if (strcmp(name, "action") == 0)
        return read_action(d, value, fail);
    if (strcmp(name, "ids") == 0)
        return read_ids(d, value, fail);
    if (strcmp(name, "filter") == 0)
        return read_filter(d, value, fail);
    if (strcmp(name, "why") == 0)
        return read_text(value, name, &d->why, fail);
    if (strcmp(name, "choice") == 0)
        return read_text(value, name, &d->choice, fail);
    if (strcmp(name, "set") == 0)
        return read_set(d, value, fail);
    if (strcmp(name, "to") == 0)
        return read_text(value, name, &d->to, fail);
    if (strcmp(name, "remap") == 0)
        return read_flag(value, name, &d->remap, fail);
    if (strcmp(name, "force") == 0)
        return read_flag(value, name, &d->force, fail);
    if (strcmp(name, "priority") == 0)
        return ask_priority(value, &d->set_priority, fail);
    if (strcmp(name, "not_arrived") == 0)
        return read_flag(value, name, &d->not_arrived, fail);
    if (strcmp(name, "dry_run") == 0)
        return read_flag(value, name, &d->dry_run, fail);
    return fail_set(
        fail, UV_EINVAL,
        "unknown member \"%.40s\"; there are: action, ids, filter, why, to, choice, set, "
        "remap, force, priority, not_arrived, dry_run",
        name);
}

static int read_body(struct deciding *d, struct fail *fail)
{
    sl_str body = http_body(d->call->request);
    json_error_t error;
    const char *name;
    json_t *value;
    int r;

    d->body = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, &error);
    if (!d->body)
        return fail_set(fail, UV_EINVAL, "the body is not JSON: %s, line %d", error.text,
                        error.line);
    if (!json_is_object(d->body) || !json_object_get(d->body, "action"))
        return fail_set(fail, UV_EINVAL, "wanted a JSON object with \"action\"");
    json_object_foreach(d->body, name, value)
    {
        if ((r = read_member(d, name, value, fail)) < 0)
            return r;
    }
    if (d->by_filter == (d->nums != NULL))
        return fail_set(fail, UV_EINVAL, "wanted either \"ids\" or \"filter\"");
    if (d->what != DECISION_REPLAY && (d->remap || d->force || d->set_priority))
        return fail_set(fail, UV_EINVAL,
                        "\"remap\", \"force\" and \"priority\" are for \"replay\"");
    if (d->what == DECISION_REPLAY && !d->set_priority)
        d->set_priority = 1 + PRIORITY_LOW;
    if (d->choice.len && d->what != DECISION_RELEASE && d->what != DECISION_REJECT)
        return fail_set(fail, UV_EINVAL, "\"choice\" is for \"release\" and \"reject\"");
    if (d->set && (!d->choice.len || d->by_filter))
        return fail_set(fail, UV_EINVAL, "\"set\" wants \"choice\" and \"ids\" beside it");
    if (d->to.len && d->what != DECISION_RELEASE && d->what != DECISION_MOVE)
        return fail_set(fail, UV_EINVAL, "\"to\" is for \"release\" and \"move\"");
    if (!d->to.len && d->what == DECISION_MOVE)
        return fail_set(fail, UV_EINVAL, "\"move\" wants \"to\": the endpoint");
    if (d->not_arrived && d->what != DECISION_MOVE)
        return fail_set(fail, UV_EINVAL, "\"not_arrived\" is for \"move\"");
    if (d->to.len && !config_endpoint(d->call->admin->conf.config, d->to))
        return fail_set(fail, UV_EINVAL, "to: there is no endpoint \"%.80s\"", d->to.ptr);
    return 0;
}

/* ---- answer ---- */

static void finish(struct deciding *d)
{
    struct buf b = { 0 };

    buf_cstr(&b, "{\"results\":[");
    buf_str(&b, buf_view(&d->results));
    buf_printf(&b, "],\"done\":%zu,\"failed\":%zu,\"matched\":%zu,\"more\":%s,\"dry_run\":%s}",
               d->done, d->failed, d->matched,
               d->listed_good + d->listed_bad < d->matched ? "true" : "false",
               d->dry_run ? "true" : "false");
    if (!d->dry_run)
        log_info(&log_, "decided: action=%s who=%s done=%zu failed=%zu", actions[d->what],
                 d->call->who, d->done, d->failed);
    if (b.failed || d->results.failed)
        call_failed(d->call, UV_ENOMEM);
    else
        call_json(d->call, 200, buf_view(&b));
    buf_finish(&b);
    deciding_free(d);
}

static void put_result(struct deciding *d, const struct decided *r, const char *status)
{
    size_t *listed = r->status == 0 ? &d->listed_good : &d->listed_bad;
    char name[32];

    if (*listed == DECIDE_RESULTS)
        return;
    ++*listed;
    delivery_name(r->num, name);
    buf_printf(&d->results,
               "%s{\"id\":\"%s\",\"status\":\"%s\",\"text\":", d->results.len ? "," : "", name,
               status);
    buf_json_str(&d->results, str_of(r->text));
    buf_cstr(&d->results, r->status == 0 && r->edit_lost ? ",\"edit_lost\":true}" : "}");
}

/* ---- DECIDE ---- */

static void decide_page(struct deciding *d);
static void page_done(struct deciding *d);

static const char *word_of(int status)
{
    switch (status) {
    case 0:
        return "done";
    case UV_ENOENT:
        return "not_found";
    case UV_EINVAL:
        return "refused";
    case UV_EBUSY:
        return "busy";
    default:
        return "failed";
    }
}

static void on_decided(void *ctx, const struct decided *results, size_t n)
{
    struct deciding *d = ctx;

    for (size_t i = 0; i < n; i++) {
        bool good = results[i].status == 0;
        put_result(d, &results[i], good && d->dry_run ? "would" : word_of(results[i].status));
        d->done += good && !d->dry_run;
        d->failed += !good;
    }
    d->at += n;
    decide_page(d);
}

static void decide_page(struct deciding *d)
{
    size_t n = d->n - d->at < DECIDE_PAGE ? d->n - d->at : DECIDE_PAGE;
    struct decide decide = {
        .what = d->what,
        .who = str_of(d->call->who),
        .why = d->why,
        .endpoint = d->to,
        .choice = d->choice,
        .set = str_of(d->set),
        .remap = d->remap,
        .force = d->force,
        .set_priority = d->set_priority,
        .nothing_there = d->not_arrived,
        .dry_run = d->dry_run,
        .nums = d->nums + d->at,
        .n = n,
    };

    if (n == 0) {
        page_done(d);
        return;
    }
    int r = flow_decide(d->call->admin->conf.flow, &decide, on_decided, d);
    if (r == 0)
        return;
    if (d->done + d->failed == 0) {
        failed(d, r);
        return;
    }
    for (; d->at < d->n; d->at++, d->failed++)
        put_result(d,
                   &(struct decided){
                       .num = d->nums[d->at], .status = r, .text = "the daemon is shutting down" },
                   "failed");
    finish(d);
}

/* ---- GATHER ---- */

static void gathered(struct deciding *d)
{
    d->matched += d->n;
    d->at = 0;
    if (d->n == 0)
        finish(d);
    else if (d->dry_run && d->listed_good == DECIDE_RESULTS) /* the rest is counted */
        page_done(d);
    else
        decide_page(d);
}

static void on_page(void *ctx, int status, const uint64_t *nums, size_t n)
{
    struct deciding *d = ctx;

    if (status < 0 && d->matched == 0) {
        failed(d, status);
        return;
    }
    if (status < 0) { /* what was decided is told; the rest matches as before */
        log_warn(&log_, "a bulk decision ends before its time: err=%s", uv_strerror(status));
        d->failed++;
        finish(d);
        return;
    }
    if (n)
        memcpy(d->nums, nums, n * sizeof(*nums));
    d->n = n;
    d->last = n < DECIDE_PAGE;
    gathered(d);
}

static void gather(struct deciding *d)
{
    int r = store_select(d->call->admin->conf.store, &d->filter, on_page, d);

    if (r < 0)
        on_page(d, r, NULL, 0);
}

static void page_done(struct deciding *d)
{
    if (d->last) {
        finish(d);
        return;
    }
    d->filter.after = d->nums[d->n - 1];
    gather(d);
}

void api_decide(struct call *c)
{
    struct deciding *d = mem_zero(sizeof(*d));
    struct fail fail = { 0 };

    d->call = c;
    if (read_body(d, &fail) < 0) {
        call_problem(c, 400, "%s", fail.text);
        deciding_free(d);
        return;
    }
    if (!d->by_filter) {
        d->last = true;
        gathered(d);
        return;
    }
    if (!d->filter.state)
        d->filter.state = mem_str(usual_state[d->what]);
    if (!d->filter.hold_type && strcmp(d->filter.state, "held") == 0)
        d->filter.for_people = true; /* what waits for an event is meant only by its name */
    int64_t now = clock_wall_ms();
    if (!d->filter.until_ms || d->filter.until_ms > now)
        d->filter.until_ms = now + 1;
    d->filter.limit = DECIDE_PAGE;
    d->nums = mem_array(DECIDE_PAGE, sizeof(*d->nums));
    gather(d);
}
