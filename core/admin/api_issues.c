/*
 * api_issues.c - what dead letters have in common: listed, shown, and what people say of them.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "admin/api.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/fingerprint.h"

static const struct logger log_ = { .room = "admin" };

static void on_list(void *ctx, int status, sl_str json)
{
    if (status < 0)
        call_failed(ctx, status);
    else
        call_json(ctx, 200, json);
}

void api_issues(struct call *c)
{
    struct store_filter filter;
    struct fail fail = { 0 };
    int r;

    if (ask_query(&filter, ASK_ISSUE_STATE | ASK_ROUTE | ASK_ENDPOINT | ASK_LIMIT,
                  http_query(c->request), &fail) < 0) {
        call_problem(c, 400, "%s", fail.text);
        return;
    }
    r = store_report(c->admin->conf.store, REPORT_ISSUES, &filter, on_list, c);
    ask_finish(&filter);
    if (r < 0)
        call_failed(c, r);
}

/* ---- one ---- */

static void on_one(void *ctx, int status, sl_str json)
{
    struct call *c = ctx;

    if (status == UV_ENOENT)
        call_problem(c, 404, "there is no issue %.60s", c->name);
    else
        on_list(c, status, json);
}

/** The issue that the path names; 0: told that it is none. */
static uint64_t named(struct call *c)
{
    uint64_t id = 0;

    if (fingerprint_parse(str_of(c->name), &id) < 0)
        call_problem(c, 400, "an issue's id is like 3f2a9c01d4e7, not \"%.60s\"", c->name);
    return id;
}

static void show(struct call *c, uint64_t id, void (*cb)(void *ctx, int status, sl_str json),
                 void *ctx)
{
    struct store_filter filter = { .id = id, .limit = 1 };
    int r = store_report(c->admin->conf.store, REPORT_ISSUE, &filter, cb, ctx);

    if (r < 0)
        cb(ctx, r, STR(""));
}

void api_issue(struct call *c)
{
    uint64_t id = named(c);

    if (id)
        show(c, id, on_one, c);
}

/* ---- what people say of it ---- */

/** It is looked for first, then the word is written down, then it is shown as it stands. */
struct word {
    struct call *call;
    uint64_t id;
    const char *state;
    char *why;
};

static void word_free(struct word *w)
{
    free(w->why);
    free(w);
}

static void on_shown(void *ctx, int status, sl_str json)
{
    struct word *w = ctx;

    on_one(w->call, status, json);
    word_free(w);
}

static void on_written(struct flow *f, void *ctx, int status)
{
    struct word *w = ctx;

    (void)f;
    if (status < 0) {
        call_failed(w->call, status);
        word_free(w);
        return;
    }
    log_info(&log_, "issue: id=%s state=%s who=%s", w->call->name, w->state, w->call->who);
    show(w->call, w->id, on_shown, w);
}

static void on_found(void *ctx, int status, sl_str json)
{
    struct word *w = ctx;
    struct buf value = { 0 };

    if (status < 0) {
        on_shown(w, status, json);
        return;
    }
    buf_printf(&value, "{\"state\":\"%s\"}", w->state);
    flow_fact(w->call->admin->conf.flow,
              &(struct flow_fact){ .space = STR("issue"),
                                   .key = str_of(w->call->name),
                                   .value = buf_view(&value),
                                   .who = str_of(w->call->who),
                                   .why = str_of(w->why) },
              on_written, w);
    buf_finish(&value);
}

/** {"why":"..."}, which may be left out. */
static int read_why(struct call *c, char **ret, struct fail *fail)
{
    sl_str body = http_body(c->request);
    json_t *j = body.len ? json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, NULL)
                         : json_object();
    json_t *why = json_object_get(j, "why");
    int r = 0;

    if (!json_is_object(j) || json_object_size(j) != (why ? 1u : 0u))
        r = fail_set(fail, UV_EINVAL, "wanted a JSON object with \"why\" alone");
    else if (why && (!json_is_string(why) || json_string_length(why) > 1024))
        r = fail_set(fail, UV_EINVAL, "\"why\" must be a text of at most 1024 bytes");
    else
        *ret = mem_str(why ? json_string_value(why) : "");
    json_decref(j);
    return r;
}

static void say(struct call *c, const char *state)
{
    struct fail fail = { 0 };
    uint64_t id = named(c);
    char *why = NULL;

    if (!id)
        return;
    if (read_why(c, &why, &fail) < 0) {
        call_problem(c, 400, "%s", fail.text);
        return;
    }
    struct word *w = mem_zero(sizeof(*w));
    *w = (struct word){ .call = c, .id = id, .state = state, .why = why };
    show(c, id, on_found, w);
}

void api_issue_ack(struct call *c)
{
    say(c, "acknowledged");
}

void api_issue_resolve(struct call *c)
{
    say(c, "resolved");
}

void api_issue_reopen(struct call *c)
{
    say(c, "open");
}
