/*
 * api_replay.c - replays as jobs: begun, looked at, cancelled; the dry run of one; a payload
 * edited.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "admin/api.h"
#include "base/log.h"
#include "base/mem.h"

#define PLAN_MOST     200
#define PLAN_USUAL    50
#define FAILURES_MOST 100 /* a replay that is not told otherwise stops after so many */

static const struct logger log_ = { .room = "admin" };

/* ---- reading ---- */

struct asked {
    json_t *body; /* own; the texts below are its */
    struct replay_ask ask;
    uint64_t *nums; /* own */
    size_t n;
    bool dry_run;
    uint32_t limit;
};

static void asked_finish(struct asked *a)
{
    ask_finish(&a->ask.filter);
    json_decref(a->body);
    free(a->nums);
}

static int read_filter(struct asked *a, json_t *filter, struct fail *fail)
{
    unsigned allowed = ASK_DELIVERIES;
    const char *name;
    json_t *value;
    int r;

    if (!json_is_object(filter))
        return fail_set(fail, UV_EINVAL, "\"filter\" must be an object of texts");
    json_object_foreach(filter, name, value)
    {
        if (!json_is_string(value))
            return fail_set(fail, UV_EINVAL, "filter: \"%.40s\" must be a text", name);
        if ((r = ask_set(&a->ask.filter, allowed, name, json_string_value(value), fail)) < 0) {
            fail_prefix(fail, "filter");
            return r;
        }
    }
    return 0;
}

static int read_ids(struct asked *a, json_t *ids, struct fail *fail)
{
    size_t i, n = json_array_size(ids);
    json_t *id;

    if (!json_is_array(ids) || n == 0 || n > PLAN_MOST)
        return fail_set(fail, UV_EINVAL, "\"ids\" must be a list of 1 to %d ids", PLAN_MOST);
    a->nums = mem_array(n, sizeof(*a->nums));
    json_array_foreach(ids, i, id)
    {
        const char *name = json_string_value(id);
        if (!name || delivery_parse(str_of(name), &a->nums[a->n++]) < 0)
            return fail_set(fail, UV_EINVAL, "an id is a text like \"1042.0\"");
    }
    return 0;
}

static int read_number(json_t *value, const char *name, int64_t most, uint64_t *ret,
                       struct fail *fail)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > most)
        return fail_set(fail, UV_EINVAL, "\"%s\" must be a whole number from 0 to %" PRId64, name,
                        most);
    *ret = (uint64_t)json_integer_value(value);
    return 0;
}

static int read_flag(json_t *value, const char *name, bool *ret, struct fail *fail)
{
    if (!json_is_boolean(value))
        return fail_set(fail, UV_EINVAL, "\"%s\" must be true or false", name);
    *ret = json_is_true(value);
    return 0;
}

static int read_member(struct asked *a, const char *name, json_t *value, struct fail *fail)
{
    bool text = strcmp(name, "route") == 0 || strcmp(name, "why") == 0;
    uint64_t n = 0;
    int r;

    if (text && (!json_is_string(value) || json_string_length(value) > 1024))
        return fail_set(fail, UV_EINVAL, "\"%s\" must be a text of at most 1024 bytes", name);
    if (strcmp(name, "filter") == 0)
        return read_filter(a, value, fail);
    if (strcmp(name, "ids") == 0)
        return read_ids(a, value, fail);
    if (strcmp(name, "dry_run") == 0)
        return read_flag(value, name, &a->dry_run, fail);
    if (strcmp(name, "remap") == 0)
        return read_flag(value, name, &a->ask.remap, fail);
    if (strcmp(name, "priority") == 0)
        return ask_priority(value, &a->ask.set_priority, fail);
    if (strcmp(name, "max_failures") == 0)
        return read_number(value, name, INT32_MAX, &a->ask.max_failures, fail);
    if (strcmp(name, "rate") == 0) {
        r = read_number(value, name, 1000000, &n, fail);
        a->ask.rate = (uint32_t)n;
        return r;
    }
    if (strcmp(name, "limit") == 0) {
        r = read_number(value, name, PLAN_MOST, &n, fail);
        a->limit = (uint32_t)n;
        return r;
    }
    if (!text)
        return fail_set(fail, UV_EINVAL,
                        "unknown member \"%.40s\"; there are: filter, ids, route, remap, "
                        "priority, rate, max_failures, why, dry_run, limit",
                        name);
    if (*name == 'r')
        a->ask.route = json_string_value(value);
    else
        a->ask.why = (sl_str){ json_string_value(value), json_string_length(value) };
    return 0;
}

/** What does not go together. */
static int check(const struct call *c, const struct asked *a, struct fail *fail)
{
    const struct store_filter *f = &a->ask.filter;

    if (f->state && strcmp(f->state, "dead") && strcmp(f->state, "discarded"))
        return fail_set(fail, UV_EINVAL, "filter: a replay is of what is dead or discarded, not %s",
                        f->state);
    if (a->n && !a->dry_run)
        return fail_set(fail, UV_EINVAL, "\"ids\" are for a dry run; POST /v1/decide replays them");
    if (!a->ask.route && !a->dry_run && !json_object_get(a->body, "filter"))
        return fail_set(fail, UV_EINVAL,
                        "say which dead letters: a \"filter\"; an empty one means all of them");
    if (!a->ask.route)
        return 0;
    if (a->n || a->ask.remap || f->state || f->route || f->endpoint || f->subject || f->topic ||
        f->hold_type || f->error || f->issue)
        return fail_set(fail, UV_EINVAL,
                        "\"route\" gives old events to a route: besides, only since and until of "
                        "the filter, rate, max_failures, why and dry_run have a meaning");
    if (!f->since_ms)
        return fail_set(fail, UV_EINVAL, "old events for a route: say since when (filter.since)");
    if (!config_route(c->admin->conf.config, str_of(a->ask.route)))
        return fail_set(fail, UV_ENOENT, "there is no route \"%.80s\"", a->ask.route);
    return 0;
}

static int read_body(const struct call *c, struct asked *a, struct fail *fail)
{
    sl_str body = http_body(c->request);
    const char *name;
    json_t *value;
    int r;

    a->ask.max_failures = FAILURES_MOST;
    a->limit = PLAN_USUAL;
    a->ask.who = str_of(c->who);
    a->body = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(a->body))
        return fail_set(fail, UV_EINVAL, "wanted a JSON object");
    json_object_foreach(a->body, name, value)
    {
        if ((r = read_member(a, name, value, fail)) < 0)
            return r;
    }
    return check(c, a, fail);
}

/* ---- one as it stands: the job and its books ---- */

struct showing {
    struct call *call;
    uint64_t id;
    int status; /* of the answer */
};

static void on_books(void *ctx, int status, sl_str json)
{
    struct showing *s = ctx;
    struct buf job = { 0 };
    json_t *o, *books = NULL;
    char *text = NULL;

    if (status == 0)
        status = flow_replay_show(s->call->admin->conf.flow, s->id, &job);
    o = status == 0 ? json_loadb(job.data, job.len, 0, NULL) : NULL;
    if (o && (books = json_loadb(json.ptr, json.len, 0, NULL)) && json_object_update(o, books) == 0)
        text = json_dumps(o, JSON_COMPACT);
    if (text)
        call_json(s->call, s->status, str_of(text));
    else if (status == UV_ENOENT)
        call_problem(s->call, 404, "there is no replay %" PRIu64, s->id);
    else
        call_failed(s->call, status < 0 ? status : UV_ENOMEM);
    free(text);
    json_decref(books);
    json_decref(o);
    buf_finish(&job);
    free(s);
}

static void show(struct call *c, uint64_t id, int status)
{
    struct store_filter f = { .id = id, .limit = 1 };
    struct showing *s = mem_zero(sizeof(*s));
    int r;

    *s = (struct showing){ c, id, status };
    r = store_report(c->admin->conf.store, REPORT_REPLAY, &f, on_books, s);
    if (r < 0)
        on_books(s, r, STR(""));
}

/* ---- POST /v1/replay ---- */

static void on_plan(void *ctx, int status, sl_str json)
{
    if (status < 0)
        call_failed(ctx, status);
    else
        call_json(ctx, 200, json);
}

static void on_begun(void *ctx, int status, uint64_t id)
{
    struct call *c = ctx;

    if (status < 0) {
        call_failed(c, status);
        return;
    }
    log_info(&log_, "replay: id=%" PRIu64 " who=%s", id, c->who);
    show(c, id, 202);
}

void api_replay(struct call *c)
{
    struct flow *f = c->admin->conf.flow;
    struct asked a = { 0 };
    struct fail fail = { 0 };
    int r = read_body(c, &a, &fail);

    if (r < 0)
        call_problem(c, r == UV_ENOENT ? 404 : 400, "%s", fail.text);
    else if (a.dry_run)
        r = flow_replay_plan(f, &a.ask, a.nums, a.n, a.limit, on_plan, c);
    else
        r = flow_replay(f, &a.ask, on_begun, c);
    if (r == UV_EBUSY)
        call_problem(c, 409, "as many replays are running as may; see: sluice replay status");
    else if (r == UV_EAGAIN)
        call_problem(c, 503, "the daemon has just started, and reads its replays; ask again");
    else if (r < 0 && !fail.text[0])
        call_failed(c, r);
    asked_finish(&a);
}

/* ---- GET /v1/replays ---- */

void api_replays(struct call *c)
{
    struct buf b = { 0 };

    flow_replay_show(c->admin->conf.flow, 0, &b);
    if (b.failed)
        call_failed(c, UV_ENOMEM);
    else
        call_json(c, 200, buf_view(&b));
    buf_finish(&b);
}

/** The number in the path; 0: told that it is none. */
static uint64_t named(struct call *c)
{
    char *end;
    uint64_t id = strtoull(c->name, &end, 10);

    if (*end || !id || c->name[0] < '0' || c->name[0] > '9') {
        call_problem(c, 400, "a replay's id is a number such as 7, not \"%.60s\"", c->name);
        return 0;
    }
    return id;
}

void api_replay_show(struct call *c)
{
    uint64_t id = named(c);

    if (id)
        show(c, id, 200);
}

static void on_cancelled(void *ctx, int status, uint64_t id)
{
    if (status < 0)
        call_failed(ctx, status);
    else
        show(ctx, id, 200);
}

void api_replay_cancel(struct call *c)
{
    uint64_t id = named(c);
    int r;

    if (!id)
        return;
    r = flow_replay_cancel(c->admin->conf.flow, id, str_of(c->who), on_cancelled, c);
    if (r == UV_ENOENT)
        call_problem(c, 404, "there is no replay %" PRIu64, id);
    else if (r == UV_EALREADY)
        call_problem(c, 409, "replay %" PRIu64 " has ended already", id);
}

/* ---- POST /v1/deliveries/{id}/edit ---- */

static void on_edited(void *ctx, const struct decided *results, size_t n)
{
    struct call *c = ctx;
    const struct decided *d = results;
    struct buf b = { 0 };

    (void)n;
    if (d->status == UV_ENOENT)
        call_problem(c, 404, "there is no delivery %s", c->name);
    else if (d->status == UV_EINVAL || d->status == UV_EBUSY)
        call_problem(c, 409, "%s", d->text);
    else if (d->status < 0)
        call_failed(c, d->status);
    if (d->status < 0)
        return;
    log_info(&log_, "edited: delivery=%s who=%s", c->name, c->who);
    buf_cstr(&b, "{\"id\":");
    buf_json_str(&b, str_of(c->name));
    buf_cstr(&b, ",\"status\":\"done\",\"text\":");
    buf_json_str(&b, str_of(d->text));
    buf_char(&b, '}');
    call_json(c, 200, buf_view(&b));
    buf_finish(&b);
}

struct edit {
    sl_str body, why, to;
    bool force;
};

static int read_edit(json_t *o, struct edit *e, struct fail *fail)
{
    json_error_t error;
    const char *name;
    json_t *value, *payload;

    json_object_foreach(o, name, value)
    {
        sl_str *text = !strcmp(name, "body")  ? &e->body
                       : !strcmp(name, "why") ? &e->why
                       : !strcmp(name, "to")  ? &e->to
                                              : NULL;
        if (!strcmp(name, "force") && json_is_boolean(value))
            e->force = json_is_true(value);
        else if (!text || !json_is_string(value))
            return fail_set(fail, UV_EINVAL,
                            "wanted \"body\" (the payload as text), \"why\", and perhaps \"to\", "
                            "\"force\"; not \"%.40s\"",
                            name);
        else
            *text = (sl_str){ json_string_value(value), json_string_length(value) };
    }
    if (!e->why.len || e->why.len > 1024)
        return fail_set(fail, UV_EINVAL, "say why, in at most 1024 bytes: it is kept");
    payload = json_loadb(e->body.ptr ? e->body.ptr : "", e->body.len,
                         JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    json_decref(payload);
    if (!payload)
        return fail_set(fail, UV_EINVAL, "the payload is not JSON: %s, line %d, column %d",
                        error.text, error.line, error.column);
    return 0;
}

void api_edit(struct call *c)
{
    sl_str body = http_body(c->request);
    json_t *o = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, NULL);
    struct fail fail = { 0 };
    struct edit e = { 0 };
    uint64_t num;
    int r = 0;

    if (delivery_parse(str_of(c->name), &num) < 0) {
        call_problem(c, 400, "a delivery's id is like 1042.0, not \"%.60s\"", c->name);
    } else if (!json_is_object(o)) {
        call_problem(c, 400, "wanted a JSON object with \"body\" and \"why\"");
    } else if (read_edit(o, &e, &fail) < 0) {
        call_problem(c, 400, "%s", fail.text);
    } else {
        struct decide d = {
            .what = DECISION_EDIT,
            .who = str_of(c->who),
            .why = e.why,
            .endpoint = e.to,
            .force = e.force,
            .body = e.body,
            .nums = &num,
            .n = 1,
        };
        r = flow_decide(c->admin->conf.flow, &d, on_edited, c);
    }
    if (r < 0)
        call_failed(c, r);
    json_decref(o);
}
