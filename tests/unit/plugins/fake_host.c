/*
 * fake_host.c - the host's services over a list of pending callbacks and a virtual clock.
 */
#include "fake_host.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fake_facts.h"
#include "fake_host_parts.h"
#include "fake_keep.h"
#include "fake_links.h"
#include "fake_values.h"

#define MAX_JOBS    256
#define MAX_SCRIPT  256
#define MAX_TURNS   100000 /* of one run(): a plugin that polls for ever fails instead of hanging */
#define MAX_HEADERS 16

enum job_kind { JOB_HTTP, JOB_TIMER, JOB_TRANSFORM, JOB_DURABLE, JOB_LINKED, JOB_KEPT, JOB_RECALL };

struct job {
    enum job_kind kind;
    uint64_t id; /* rising: breaks ties of the due time; 0: the slot is free */
    int64_t due; /* monotonic ms; INT64_MAX: never */
    union {
        sl_http_cb http;
        sl_timer_cb timer;
        sl_transform_cb transform;
        sl_durable_cb durable;
        sl_linked_cb linked;
        sl_kept_cb kept;
        sl_recall_cb recalled;
    } cb;
    void *cb_ctx;
    struct fake_exchange exchange;
    sl_status status;
    char *output, *why;
};

struct fake_host {
    sl_budget budget; /* the last one told; size 0: none */
    sl_host table;
    sl_values *values;
    int64_t now, wall_offset, poll_soon_ms;
    size_t polls_soon;
    uint64_t next_id;
    struct job jobs[MAX_JOBS];
    struct fake_exchange script[MAX_SCRIPT];
    size_t n_script, used;
    char *last_log, *last_body, *last_url;
    size_t last_body_len;
    sl_status transform_status;
    const char *transform_output, *transform_why;
    char *program, *input, *vars;
    struct fake_links *links;
    struct fake_keep *kept;
    sl_status keep_answers;
    uint32_t last_cost;
    uint32_t priorities;
    struct fake_facts *facts;
};

/* ---- small things -------------------------------------------------------------------------- */

sl_str fake_str(const char *s)
{
    return (sl_str){ s, s ? strlen(s) : 0 };
}

char *fake_copy(sl_str s)
{
    char *c = malloc(s.len + 1);

    assert_non_null(c);
    if (s.len > 0)
        memcpy(c, s.ptr, s.len);
    c[s.len] = '\0';
    return c;
}

void fake_replace(char **field, sl_str s)
{
    char *c = fake_copy(s);

    free(*field);
    *field = c;
}

static struct job *job_add(struct fake_host *f, enum job_kind kind, int64_t due, void *cb_ctx)
{
    for (size_t i = 0; i < MAX_JOBS; i++) {
        struct job *j = &f->jobs[i];

        if (j->id != 0)
            continue;
        *j = (struct job){ .kind = kind, .id = ++f->next_id, .due = due, .cb_ctx = cb_ctx };
        return j;
    }
    fail_msg("more than %d callbacks under way", MAX_JOBS);
    return NULL;
}

void fake_host_durable(struct fake_host *f, sl_durable_cb cb, void *cb_ctx, sl_status status)
{
    struct job *j = job_add(f, JOB_DURABLE, f->now, cb_ctx);

    j->cb.durable = cb;
    j->status = status;
}

void fake_host_check_no_secret(const struct fake_host *f, sl_str text, const char *where)
{
    fake_values_check_no_secret(f->values, text, where);
}

/* ---- services ------------------------------------------------------------------------------ */

static void host_log(void *ctx, uint32_t level, sl_str text)
{
    struct fake_host *f = ctx;

    CHECK(level <= SL_LOG_DEBUG);
    fake_values_check_no_secret(f->values, text, "a log line");
    fake_replace(&f->last_log, text);
}

static int64_t host_wall_ms(void *ctx)
{
    return fake_host_wall_ms(ctx);
}

static uint64_t host_mono_ms(void *ctx)
{
    return (uint64_t)((struct fake_host *)ctx)->now;
}

/* The same bytes in every run: a failing test fails again. */
static void host_random(void *ctx, void *out, size_t n)
{
    struct fake_host *f = ctx;
    uint8_t *p = out;

    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(f->next_id * 31 + i * 7 + 1);
}

/* Is this "Name: value" among the headers? With a NULL value: is the name? */
static bool has_header(const sl_http_request *r, const char *name, size_t name_len,
                       const char *value, size_t value_len)
{
    for (size_t i = 0; i < r->n_headers; i++) {
        const sl_header *h = &r->headers[i];

        if (h->name.len != name_len || strncasecmp(h->name.ptr, name, name_len) != 0)
            continue;
        if (!value || (h->value.len == value_len && memcmp(h->value.ptr, value, value_len) == 0))
            return true;
    }
    return false;
}

static void check_headers(const sl_http_request *r, const char *lines)
{
    for (const char *line = lines; line && *line;) {
        size_t len = strcspn(line, "\n");
        const char *colon = memchr(line, ':', len);

        if (*line == '!') {
            if (has_header(r, line + 1, len - 1, NULL, 0))
                fail_msg("header %.*s was sent", (int)len - 1, line + 1);
        } else {
            CHECK(colon && (size_t)(colon - line) + 2 <= len);
            if (!has_header(r, line, (size_t)(colon - line), colon + 2,
                            len - (size_t)(colon - line) - 2))
                fail_msg("header \"%.*s\" was not sent", (int)len, line);
        }
        line += len + (line[len] == '\n');
    }
}

static void check_text(const char *what, sl_str got, const char *want)
{
    if (want && (got.len != strlen(want) || (got.len > 0 && memcmp(got.ptr, want, got.len) != 0)))
        fail_msg("%s is \"%.*s\", expected \"%s\"", what, (int)got.len, got.ptr, want);
}

static sl_status host_http(void *ctx, const sl_http_request *req, sl_http_cb cb, void *cb_ctx)
{
    struct fake_host *f = ctx;
    const struct fake_exchange *x;
    struct job *j;

    CHECK(req->size == sizeof(*req) && cb);
    fake_replace(&f->last_url, req->url);
    fake_replace(&f->last_body, req->body);
    f->last_body_len = req->body.len;
    f->last_cost = req->cost;
    f->priorities |= 1u << req->priority;
    if (f->used == f->n_script)
        fail_msg("request not in the script: %.*s %.*s", (int)req->method.len, req->method.ptr,
                 (int)req->url.len, req->url.ptr);
    x = &f->script[f->used++];
    check_text("the method", req->method, x->method);
    check_text("the URL", req->url, x->url);
    check_text("the request's body", req->body, x->body);
    check_headers(req, x->headers);
    j = job_add(f, JOB_HTTP, x->never ? INT64_MAX : f->now + x->delay_ms, cb_ctx);
    j->cb.http = cb;
    j->exchange = *x;
    return SL_OK;
}

static uint64_t host_timer(void *ctx, int64_t ms, sl_timer_cb cb, void *cb_ctx)
{
    struct fake_host *f = ctx;
    struct job *j;

    CHECK(ms >= 0 && cb);
    j = job_add(f, JOB_TIMER, f->now + ms, cb_ctx);
    j->cb.timer = cb;
    return j->id;
}

static void host_timer_cancel(void *ctx, uint64_t timer)
{
    struct fake_host *f = ctx;

    for (size_t i = 0; i < MAX_JOBS; i++)
        if (f->jobs[i].id == timer && timer != 0 && f->jobs[i].kind == JOB_TIMER)
            f->jobs[i].id = 0;
}

static sl_status host_transform(void *ctx, sl_str program, sl_str input, sl_str vars,
                                sl_transform_cb cb, void *cb_ctx)
{
    struct fake_host *f = ctx;
    struct job *j;

    fake_replace(&f->program, program);
    fake_replace(&f->input, input);
    fake_replace(&f->vars, vars);
    j = job_add(f, JOB_TRANSFORM, f->now, cb_ctx);
    j->cb.transform = cb;
    j->status = f->transform_status;
    j->output = fake_copy(f->transform_output ? fake_str(f->transform_output) : input);
    j->why = fake_copy(fake_str(f->transform_why));
    return SL_OK;
}

/* ---- the clock ----------------------------------------------------------------------------- */

static size_t split_headers(const char *lines, sl_header *ret)
{
    size_t n = 0;

    for (const char *line = lines; line && *line;) {
        size_t len = strcspn(line, "\n");
        const char *colon = memchr(line, ':', len);

        CHECK(colon && n < MAX_HEADERS);
        ret[n].name = (sl_str){ line, (size_t)(colon - line) };
        ret[n].value = (sl_str){ colon + 2, len - (size_t)(colon - line) - 2 };
        n++;
        line += len + (line[len] == '\n');
    }
    return n;
}

static void host_poll_soon(void *ctx, int64_t ms)
{
    struct fake_host *f = ctx;

    f->poll_soon_ms = ms;
    f->polls_soon++;
}

size_t fake_host_polls_soon(const struct fake_host *f, int64_t *ret_ms)
{
    *ret_ms = f->poll_soon_ms;
    return f->polls_soon;
}

static sl_status host_linked(void *ctx, const sl_ref *refs, size_t n, sl_linked_cb cb, void *cb_ctx)
{
    struct fake_host *f = ctx;
    struct job *j = job_add(f, JOB_LINKED, f->now, cb_ctx);

    j->cb.linked = cb;
    j->output = fake_links_ask(refs, n);
    return SL_OK;
}

static sl_status host_keep(void *ctx, sl_str name, sl_str value, sl_durable_cb cb, void *cb_ctx)
{
    struct fake_host *f = ctx;

    CHECK(name.len > 0 && name.len <= 64);
    if (f->keep_answers == SL_OK)
        fake_keep_put(&f->kept, name, value);
    fake_host_durable(f, cb, cb_ctx, f->keep_answers);
    return SL_OK;
}

static sl_status host_kept(void *ctx, sl_str name, sl_kept_cb cb, void *cb_ctx)
{
    struct fake_host *f = ctx;
    struct job *j = job_add(f, JOB_KEPT, f->now, cb_ctx);

    j->cb.kept = cb;
    j->output = strdup(fake_keep_get(f->kept, name));
    return SL_OK;
}

void fake_host_keep_answers(struct fake_host *f, sl_status status)
{
    f->keep_answers = status;
}

const char *fake_host_kept(const struct fake_host *f, const char *name)
{
    return fake_keep_get(f->kept, fake_str(name));
}

void fake_host_keep(struct fake_host *f, const char *name, const char *value)
{
    fake_keep_put(&f->kept, fake_str(name), fake_str(value));
}

uint32_t fake_host_priorities(const struct fake_host *f)
{
    return f->priorities;
}

uint32_t fake_host_last_cost(const struct fake_host *f)
{
    return f->last_cost;
}

static sl_status host_recall(void *ctx, sl_str space, sl_str prefix, sl_str after, sl_recall_cb cb,
                             void *cb_ctx)
{
    struct fake_host *f = ctx;
    struct job *j = job_add(f, JOB_RECALL, f->now, cb_ctx);

    j->cb.recalled = cb;
    j->output = fake_facts_ask(space, prefix, after);
    return SL_OK;
}

void fake_host_tell_facts(struct fake_host *f, const sl_facts *facts)
{
    fake_facts_tell(&f->facts, facts);
}

static void answer_http(const struct job *j, int32_t error)
{
    const struct fake_exchange *x = &j->exchange;
    sl_header headers[MAX_HEADERS];
    sl_http_answer a = { .size = sizeof(a), .error = error, .retry_after_ms = -1 };

    if (error == SL_OK) {
        CHECK(x->status >= 100);
        a.sent = 1;
        a.status = x->status;
        a.headers = headers;
        a.n_headers = split_headers(x->answer_headers, headers);
        a.body = fake_str(x->answer);
        if (x->retry_after_ms > 0)
            a.retry_after_ms = x->retry_after_ms;
    } else {
        a.sent = error == SL_E_CANCELLED ? 1 : x->sent;
        a.why = fake_str("scripted failure");
    }
    j->cb.http(j->cb_ctx, &a);
}

static void job_run(struct fake_host *f, struct job *slot)
{
    struct job j = *slot;

    slot->id = 0; /* free before the callback, which may add jobs */
    if (j.due > f->now)
        f->now = j.due;
    switch (j.kind) {
    case JOB_HTTP:
        answer_http(&j, j.exchange.error);
        break;
    case JOB_TIMER:
        j.cb.timer(j.cb_ctx);
        break;
    case JOB_TRANSFORM:
        j.cb.transform(j.cb_ctx, j.status, j.status == SL_OK ? fake_str(j.output) : fake_str(NULL),
                       fake_str(j.why));
        break;
    case JOB_DURABLE:
        j.cb.durable(j.cb_ctx, j.status);
        break;
    case JOB_LINKED:
        fake_links_answer(f->links, strdup(j.output), SL_OK, j.cb.linked, j.cb_ctx);
        break;
    case JOB_KEPT:
        j.cb.kept(j.cb_ctx, SL_OK, fake_str(j.output));
        break;
    case JOB_RECALL:
        fake_facts_answer(f->facts, strdup(j.output), SL_OK, j.cb.recalled, j.cb_ctx);
        break;
    }
    free(j.output);
    free(j.why);
}

static struct job *job_next(struct fake_host *f)
{
    struct job *next = NULL;

    for (size_t i = 0; i < MAX_JOBS; i++) {
        struct job *j = &f->jobs[i];

        if (j->id == 0 || j->due == INT64_MAX)
            continue;
        if (!next || j->due < next->due || (j->due == next->due && j->id < next->id))
            next = j;
    }
    return next;
}

static void run_until(struct fake_host *f, int64_t end)
{
    struct job *j;
    int turns = 0;

    while ((j = job_next(f)) && j->due <= end) {
        if (++turns > MAX_TURNS)
            fail_msg("callbacks go on for ever");
        job_run(f, j);
    }
}

void fake_host_run(struct fake_host *f)
{
    run_until(f, INT64_MAX - 1);
}

void fake_host_run_for(struct fake_host *f, int64_t ms)
{
    int64_t end = f->now + ms;

    run_until(f, end);
    f->now = end;
}

/* ---- what the remote says is left ---------------------------------------------------------- */

static void host_budget(void *ctx, const sl_budget *budget)
{
    struct fake_host *f = ctx;

    CHECK_EQ(budget->size, sizeof(*budget));
    f->budget = *budget;
}

const sl_budget *fake_host_budget(const struct fake_host *f)
{
    return f->budget.size ? &f->budget : NULL;
}

/* ---- life ---------------------------------------------------------------------------------- */

struct fake_host *fake_host_create(const char *endpoint, const sl_option *table,
                                   const struct fake_setting *settings)
{
    struct fake_host *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->values = fake_values_create(table, settings);
    f->now = 1000;
    f->wall_offset = INT64_C(1795166132000) - f->now; /* 2026-11-20T09:15:32Z */
    f->last_log = fake_copy(fake_str(""));
    f->last_url = fake_copy(fake_str(""));
    f->last_body = fake_copy(fake_str(""));
    f->program = fake_copy(fake_str(""));
    f->input = fake_copy(fake_str(""));
    f->vars = fake_copy(fake_str(""));
    f->table = (sl_host){
        .size = sizeof(f->table),
        .abi_minor = SL_ABI_MINOR,
        .ctx = f,
        .settings = f->values,
        .values = &fake_values_api,
        .endpoint = fake_str(endpoint),
        .log = host_log,
        .wall_ms = host_wall_ms,
        .mono_ms = host_mono_ms,
        .random = host_random,
        .http = host_http,
        .timer = host_timer,
        .timer_cancel = host_timer_cancel,
        .transform = host_transform,
        .linked = host_linked,
        .recall = host_recall,
        .poll_soon = host_poll_soon,
        .keep = host_keep,
        .kept = host_kept,
        .budget = host_budget,
    };
    return f;
}

void fake_host_destroy(struct fake_host *f)
{
    if (!f)
        return;
    if (f->used != f->n_script)
        fail_msg("%zu of %zu scripted requests were made", f->used, f->n_script);
    CHECK_EQ(fake_host_pending(f), 0);
    fake_values_destroy(f->values);
    free(f->last_log);
    free(f->last_url);
    free(f->last_body);
    free(f->program);
    free(f->input);
    free(f->vars);
    fake_links_free(f->links);
    fake_keep_free(f->kept);
    fake_facts_free(f->facts);
    free(f);
}

void fake_host_link(struct fake_host *f, const char *kind, const char *id, const char *subject)
{
    fake_links_add(&f->links, fake_str(kind), fake_str(id), fake_str(subject));
}

const sl_host *fake_host_table(struct fake_host *f)
{
    return &f->table;
}

void *fake_host_open(struct fake_host *f, const sl_plugin *plugin)
{
    sl_fail fail = { .size = sizeof(fail) };
    void *self = NULL;

    if (plugin->open(&f->table, &self, &fail) != SL_OK)
        fail_msg("open: %s", fail.text);
    return self;
}

void fake_host_close(struct fake_host *f, const sl_plugin *plugin, void *self)
{
    for (size_t i = 0; i < MAX_JOBS; i++) {
        struct job j = f->jobs[i];

        if (j.id == 0 || j.kind == JOB_TIMER)
            continue;
        f->jobs[i].id = 0;
        if (j.kind == JOB_HTTP)
            answer_http(&j, SL_E_CANCELLED);
        else if (j.kind == JOB_TRANSFORM)
            j.cb.transform(j.cb_ctx, SL_E_CANCELLED, fake_str(NULL), fake_str("closing"));
        else if (j.kind == JOB_LINKED)
            fake_links_answer(NULL, strdup(""), SL_E_CANCELLED, j.cb.linked, j.cb_ctx);
        else if (j.kind == JOB_KEPT)
            j.cb.kept(j.cb_ctx, SL_E_CANCELLED, fake_str(NULL));
        else if (j.kind == JOB_RECALL)
            fake_facts_answer(NULL, strdup(""), SL_E_CANCELLED, j.cb.recalled, j.cb_ctx);
        free(j.output);
        free(j.why);
    }
    plugin->close(self);
    if (fake_host_pending(f) > 0)
        fail_msg("%zu timers or requests left after close()", fake_host_pending(f));
}

void fake_host_expect(struct fake_host *f, const struct fake_exchange *x)
{
    CHECK(f->n_script < MAX_SCRIPT);
    f->script[f->n_script++] = *x;
}

int64_t fake_host_wall_ms(const struct fake_host *f)
{
    return f->now + f->wall_offset;
}

size_t fake_host_requests(const struct fake_host *f)
{
    return f->used;
}

size_t fake_host_pending(const struct fake_host *f)
{
    size_t n = 0;

    for (size_t i = 0; i < MAX_JOBS; i++)
        n += f->jobs[i].id != 0;
    return n;
}

const char *fake_host_last_log(const struct fake_host *f)
{
    return f->last_log;
}

sl_str fake_host_last_body(const struct fake_host *f)
{
    return (sl_str){ f->last_body, f->last_body_len };
}

const char *fake_host_last_url(const struct fake_host *f)
{
    return f->last_url;
}

void fake_host_transform(struct fake_host *f, sl_status status, const char *output, const char *why)
{
    f->transform_status = status;
    f->transform_output = output;
    f->transform_why = why;
}

const char *fake_host_program(const struct fake_host *f)
{
    return f->program;
}

const char *fake_host_input(const struct fake_host *f)
{
    return f->input;
}

const char *fake_host_vars(const struct fake_host *f)
{
    return f->vars;
}

char *fake_read_file(const char *dir, const char *name, size_t *ret_len)
{
    char path[4096];
    char *text;
    size_t room = 1 << 20, len;
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    text = malloc(room);
    assert_non_null(text);
    len = fread(text, 1, room - 1, file);
    CHECK(len < room - 1 && !ferror(file));
    fclose(file);
    text[len] = '\0';
    if (ret_len)
        *ret_len = len;
    return text;
}
