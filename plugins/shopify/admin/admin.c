/*
 * admin.c - see admin.h. A question's way: it waits for a token, then for its points (the host lets
 * it go when they are there), is answered, and once asked again with a new token where the shop did
 * not take the old one.
 */
#include "admin/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin_int.h"
#include "admin/answer.h"
#include "shopify.h"

#define URL_SIZE   512
#define LITERAL(s) ((sl_str){ (s), sizeof(s) - 1 })

struct asked {
    struct token_wait wait; /* first */
    struct shopify *s;
    admin_cb cb;
    sl_http_cb raw; /* or this, of REST */
    void *ctx;
    char *body; /* own; NULL: of REST ... */
    char *path; /* own: ... this */
    uint32_t priority;
    struct points_guess guess;
    uint64_t generation; /* of the token that it was asked with */
    int writes, renewed;
    int starting;     /* nobody is called back before it has begun: an error is returned */
    sl_status failed; /* ... this */
};

static void asked_free(struct asked *q)
{
    if (q)
        free(q->body);
    if (q)
        free(q->path);
    free(q);
}

/* Without an answer that could be handed on. */
static void asked_end(struct asked *q, const struct admin_answer *a)
{
    sl_http_answer none = { .size = sizeof(none),
                            .error = SL_E_NETWORK,
                            .why = { a->why, strlen(a->why) },
                            .retry_after_ms = a->after_ms > 0 ? a->after_ms : -1 };

    if (q->raw)
        q->raw(q->ctx, &none);
    else
        q->cb(q->ctx, a);
    asked_free(q);
}

/* ---- what an answer says beside its data ---- */

/* What is left of the bucket, which all who have this shop share, and what it took. */
static void tell_budget(const struct shopify *s, const struct admin_answer *a,
                        const struct admin_cost *c)
{
    sl_budget budget = { .size = sizeof(budget),
                         .kind = SL_BUDGET_POINTS,
                         .limit = c->most,
                         .remaining = c->left,
                         .restore_milli = c->restore_milli,
                         .reset_ms = -1,
                         .has_taken = c->actual >= 0 || a->verdict == ADMIN_THROTTLED,
                         .taken = c->actual >= 0 ? c->actual : 0 };

    if (c->most < 0 || c->left < 0 || c->restore_milli < 0 || !SL_HAS(sl_host, s->host, budget))
        return;
    s->admin->left = c->left;
    s->admin->most = c->most;
    s->host->budget(s->host->ctx, &budget);
}

/* Once for each version that is not the one asked for. */
static void note_version(struct shopify *s, const sl_http_answer *a)
{
    sl_str v = answer_header(a, "X-Shopify-API-Version");
    char text[240];
    int n;

    if (v.len == 0 || v.len >= VERSION_SIZE)
        return;
    for (size_t i = 0; i < v.len; i++)
        if (v.ptr[i] <= ' ' || v.ptr[i] > '~')
            return;
    if (strlen(s->admin->served) == v.len && memcmp(s->admin->served, v.ptr, v.len) == 0)
        return;
    snprintf(s->admin->served, VERSION_SIZE, "%.*s", (int)v.len, v.ptr);
    if (v.len == s->version.len && memcmp(v.ptr, s->version.ptr, v.len) == 0)
        return;
    n = snprintf(
        text, sizeof(text),
        "the shop serves version %.*s of the Admin API, not %.*s: that one has ended, or is "
        "not there yet; set admin.version to one that is supported",
        (int)v.len, v.ptr, (int)s->version.len, s->version.ptr);
    s->host->log(s->host->ctx, SL_LOG_WARN, (sl_str){ text, (size_t)n });
}

/* ---- the answer ---- */

/* 1: it is asked again. A 401 can also mean that no token of this app will do: not twice. */
static int renew(struct asked *q, uint32_t status)
{
    struct token *t = q->s->admin->token;

    if (status != 401 || q->renewed || !token_drop(t, q->generation))
        return 0;
    q->renewed = 1;
    token_get(t, &q->wait);
    return 1;
}

static void on_rest(struct asked *q, const sl_http_answer *a)
{
    if (a->error == SL_OK && renew(q, a->status))
        return;
    q->raw(q->ctx, a);
    asked_free(q);
}

static void on_answer(void *ctx, const sl_http_answer *a)
{
    struct asked *q = ctx;
    struct shopify *s = q->s;
    struct admin_answer answer;
    struct admin_cost cost;
    json_t *root;

    if (a->error == SL_OK)
        note_version(s, a);
    if (q->raw) {
        on_rest(q, a);
        return;
    }
    root = answer_read(a, q->writes, &answer, &cost);
    if (a->error == SL_OK) {
        points_learn(&s->admin->points, &q->guess, cost.requested);
        tell_budget(s, &answer, &cost);
    }
    if (!renew(q, answer.status))
        asked_end(q, &answer);
    json_decref(root);
}

/* ---- the question ---- */

static sl_status send(struct asked *q)
{
    const struct shopify *s = q->s;
    sl_header headers[] = { { LITERAL("Content-Type"), LITERAL("application/json") },
                            { LITERAL("Accept"), LITERAL("application/json") },
                            { LITERAL("X-Shopify-Access-Token"), token_now(s->admin->token) } };
    char url[URL_SIZE];
    sl_str base = s->admin_url.len ? s->admin_url : s->shop;
    int n = snprintf(url, sizeof(url), "%s%.*s/admin/api/%.*s/%s",
                     s->admin_url.len ? "" : "https://", (int)base.len, base.ptr,
                     (int)s->version.len, s->version.ptr, q->path ? q->path : "graphql.json");
    sl_http_request request = { .size = sizeof(request),
                                .method = q->body ? LITERAL("POST") : LITERAL("GET"),
                                .url = { url, (size_t)n },
                                .headers = headers + !q->body,
                                .n_headers = q->body ? 3 : 2,
                                .body = { q->body, q->body ? strlen(q->body) : 0 },
                                .cost = q->guess.cost,
                                .priority = q->priority };

    q->generation = token_generation(s->admin->token);
    return n < URL_SIZE ? s->host->http(s->host->ctx, &request, on_answer, q) : SL_E_LIMIT;
}

static void on_token(struct token_wait *w, const struct admin_answer *refusal)
{
    struct asked *q = (struct asked *)w;
    struct admin_answer failed = { .verdict = ADMIN_NOT_DONE, .why = "no request could be made" };
    sl_status r = refusal ? SL_E_UNSUPPORTED : send(q);

    if (r == SL_OK)
        return;
    if (q->starting)
        q->failed = r;
    else
        asked_end(q, refusal ? refusal : &failed);
}

/* Does a document write? Its first word says so. */
static int is_mutation(const char *document)
{
    document += strspn(document, " \t\r\n,");
    while (*document == '#') {
        document += strcspn(document, "\n");
        document += strspn(document, " \t\r\n,");
    }
    return strncmp(document, "mutation", 8) == 0 || strncmp(document, "fragment", 8) == 0;
}

static struct asked *asked_new(struct shopify *s, const char *document, const json_t *variables)
{
    json_t *all = json_pack("{s:s,s:O}", "query", document, "variables", variables);
    struct asked *q = calloc(1, sizeof(*q));

    if (q) {
        q->body = all ? json_dumps(all, JSON_COMPACT) : NULL;
        q->s = s;
        q->wait.ready = on_token;
        q->writes = is_mutation(document);
        q->guess = points_predict(&s->admin->points, document, variables);
    }
    json_decref(all);
    if (q && q->body)
        return q;
    asked_free(q);
    return NULL;
}

/* Takes `q` over. */
static sl_status begin(struct asked *q)
{
    sl_status r;

    q->starting = 1;
    token_get(q->s->admin->token, &q->wait);
    r = q->failed; /* else it may have gone already: nothing of it is touched but by its answer */
    q->starting = 0;
    if (r < 0)
        asked_free(q);
    return r;
}

sl_status admin_ask_as(struct shopify *s, uint32_t priority, const char *document,
                       json_t *variables, admin_cb cb, void *ctx)
{
    struct asked *q = s->admin && variables ? asked_new(s, document, variables) : NULL;

    json_decref(variables);
    if (!q)
        return s->admin ? SL_E_NO_MEMORY : SL_E_UNSUPPORTED;
    q->cb = cb;
    q->ctx = ctx;
    q->priority = priority;
    if (s->admin->first)
        *s->admin->first = q->guess.cost;
    s->admin->first = NULL;
    return begin(q);
}

sl_status admin_get(struct shopify *s, const char *path, sl_http_cb cb, void *ctx)
{
    struct asked *q = s->admin ? calloc(1, sizeof(*q)) : NULL;

    if (q)
        q->path = strdup(path);
    if (!q || !q->path) {
        free(q);
        return s->admin ? SL_E_NO_MEMORY : SL_E_UNSUPPORTED;
    }
    q->s = s;
    q->wait.ready = on_token;
    q->raw = cb;
    q->ctx = ctx;
    return begin(q);
}

sl_status admin_ask(struct shopify *s, const char *document, json_t *variables, admin_cb cb,
                    void *ctx)
{
    return admin_ask_as(s, SL_PRIORITY_NORMAL, document, variables, cb, ctx);
}

uint32_t admin_priority(const sl_batch *batch)
{
    int says = batch->size >= offsetof(sl_batch, priority) + sizeof(batch->priority);

    return says ? batch->priority : SL_PRIORITY_NORMAL; /* 0 is critical: not SL_HAS() */
}

uint32_t admin_points(const struct shopify *s, const char *document, const json_t *variables)
{
    return s->admin ? points_predict(&s->admin->points, document, variables).cost : 1;
}

void admin_note_first(struct shopify *s, uint32_t *ret_points)
{
    if (s->admin)
        s->admin->first = ret_points;
}

/* ---- an endpoint ---- */

int admin_is_set(const sl_values *settings, const sl_values_api *values)
{
    static const char *const names[] = { "admin.token", "admin.client_id", "admin.client_secret",
                                         "admin.refresh_token" };
    sl_str any;

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (SL_HAS(sl_values_api, values, given)) {
            if (values->given(settings, names[i]))
                return 1;
        } else if (values->str(settings, names[i], &any) == SL_OK ||
                   values->secret(settings, names[i], 0, &any) == SL_OK) {
            return 1;
        }
    return 0;
}

/* "2026-10", "unstable" */
static int version_is_sane(sl_str v)
{
    if (v.len == 8 && memcmp(v.ptr, "unstable", 8) == 0)
        return 1;
    for (size_t i = 0; i < v.len; i++)
        if (i == 4 ? v.ptr[i] != '-' : v.ptr[i] < '0' || v.ptr[i] > '9')
            return 0;
    return v.len == 7;
}

sl_status admin_check(const sl_values *settings, const sl_values_api *values, sl_fail *fail)
{
    sl_str version = { 0 };
    int has_given = SL_HAS(sl_values_api, values, given);

    if (values->str(settings, "admin.version", &version) == SL_OK && !version_is_sane(version))
        return shopify_fail(fail, SL_E_INVALID,
                            "admin.version: a version of the Admin API reads " ADMIN_VERSION);
    if (!has_given)
        return SL_OK;
    if (values->given(settings, "admin.version") && !admin_is_set(settings, values))
        return shopify_fail(fail, SL_E_INVALID,
                            "admin.version: there are no credentials beside it: give "
                            "admin.client_id and admin.client_secret, or admin.token");
    if (values->given(settings, "admin.client_id") !=
        values->given(settings, "admin.client_secret"))
        return shopify_fail(fail, SL_E_INVALID,
                            "admin.client_id and admin.client_secret go together: one is missing");
    if (values->given(settings, "admin.refresh_token") &&
        !values->given(settings, "admin.client_id"))
        return shopify_fail(fail, SL_E_INVALID,
                            "admin.refresh_token: it needs admin.client_id and "
                            "admin.client_secret beside it");
    return SL_OK;
}

sl_status admin_open(struct shopify *s, sl_fail *fail)
{
    struct token *token = NULL;
    sl_status r = token_open(s, &token, fail);

    if (r < 0 || !token)
        return r;
    s->admin = calloc(1, sizeof(*s->admin));
    if (!s->admin) {
        token_close(token);
        return SL_E_NO_MEMORY;
    }
    s->admin->token = token;
    s->admin->left = s->admin->most = -1;
    return s->host->values->str(s->host->settings, "admin.version", &s->version);
}

void admin_close(struct shopify *s)
{
    if (!s->admin)
        return;
    probe_close(s->admin);
    token_close(s->admin->token);
    free(s->admin);
    s->admin = NULL;
}
