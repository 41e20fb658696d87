/*
 * admin.c - see admin.h.
 */
#include "admin/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shopify.h"

#define URL_SIZE      512
#define LITERAL(s)    ((sl_str){ (s), sizeof(s) - 1 })
#define THROTTLED_MIN 1000 /* ms; what Shopify's own figures give is rarely less */

struct asked {
    struct shopify *s;
    admin_cb cb;
    void *ctx;
};

/* ---- the answer ---------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void
say(struct admin_answer *to, enum admin_verdict verdict, const char *format, ...)
{
    va_list args;

    to->verdict = verdict;
    va_start(args, format);
    vsnprintf(to->why, sizeof(to->why), format, args);
    va_end(args);
    for (char *p = to->why; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
}

static void of_failure(const sl_http_answer *a, struct admin_answer *to)
{
    int n = (int)(a->why.len < 200 ? a->why.len : 200);

    if (a->sent)
        say(to, ADMIN_PERHAPS, "no whole answer: %.*s", n, a->why.ptr);
    else if (a->error == SL_E_TLS)
        say(to, ADMIN_PARK, "TLS: %.*s", n, a->why.ptr);
    else
        say(to, ADMIN_NOT_DONE, "%.*s", n, a->why.ptr);
}

static void of_status(const sl_http_answer *a, struct admin_answer *to)
{
    switch (a->status) {
    case 401:
        say(to, ADMIN_PARK, "HTTP 401: the shop does not take admin.token: was the app removed?");
        return;
    case 403:
        say(to, ADMIN_PARK,
            "HTTP 403: admin.token may not do this: give the app the scopes "
            "write_draft_orders and read_products");
        return;
    case 404:
        say(to, ADMIN_PARK, "HTTP 404: no such shop, or no such admin.version");
        return;
    case 402:
    case 423:
        say(to, ADMIN_PARK, "HTTP %u: the shop is frozen or locked", a->status);
        return;
    case 429:
        to->after_ms = a->retry_after_ms > 0 ? a->retry_after_ms : THROTTLED_MIN;
        say(to, ADMIN_THROTTLED, "HTTP 429");
        return;
    default:
        if (a->status >= 300 && a->status < 500 && a->status != 408)
            say(to, ADMIN_REFUSED, "HTTP %u: the shop refuses the request", a->status);
        else
            say(to, ADMIN_PERHAPS, "HTTP %u", a->status);
    }
}

static double number_at(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);

    return json_is_number(v) ? json_number_value(v) : -1;
}

/* What is left of the bucket, which all who have this shop share. */
static void tell_budget(const struct shopify *s, const json_t *cost)
{
    const json_t *bucket = json_object_get(cost, "throttleStatus");
    sl_budget budget = { .size = sizeof(budget), .kind = SL_BUDGET_POINTS, .reset_ms = -1 };
    double most = number_at(bucket, "maximumAvailable"),
           left = number_at(bucket, "currentlyAvailable");
    double restore = number_at(bucket, "restoreRate");

    if (most < 0 || left < 0 || restore < 0 || most > 1e9 || left > 1e9 || restore > 1e9 ||
        !SL_HAS(sl_host, s->host, budget))
        return;
    budget.limit = (int64_t)most;
    budget.remaining = (int64_t)left;
    budget.restore_milli = (int64_t)(restore * 1000);
    s->host->budget(s->host->ctx, &budget);
}

/* Until the whole of what it costs is there. */
static int64_t throttled_for(const json_t *cost)
{
    const json_t *bucket = json_object_get(cost, "throttleStatus");
    double lacks = number_at(cost, "requestedQueryCost") - number_at(bucket, "currentlyAvailable");
    double restore = number_at(bucket, "restoreRate");
    double ms = restore > 0 ? lacks * 1000 / restore : 0;

    return ms > 60000 ? 60000 : ms > THROTTLED_MIN ? (int64_t)ms : THROTTLED_MIN;
}

/* Errors of the whole: what was not executed, and what nobody knows. */
static void of_errors(const json_t *root, const json_t *errors, struct admin_answer *to)
{
    const json_t *first = json_array_get(errors, 0);
    const json_t *extensions = json_object_get(first, "extensions");
    const char *code = json_string_value(json_object_get(extensions, "code"));
    const char *message = json_string_value(json_object_get(first, "message"));

    code = code ? code : "";
    message = message ? message : json_string_value(errors) ? json_string_value(errors) : "errors";
    if (strcmp(code, "THROTTLED") == 0) {
        to->after_ms = throttled_for(json_object_get(json_object_get(root, "extensions"), "cost"));
        say(to, ADMIN_THROTTLED, "the shop's points are spent");
    } else if (strcmp(code, "ACCESS_DENIED") == 0) {
        say(to, ADMIN_PARK, "admin.token lacks a scope: %.200s", message);
    } else if (strcmp(code, "SHOP_INACTIVE") == 0) {
        say(to, ADMIN_PARK, "the shop is not active: %.200s", message);
    } else if (strcmp(code, "INTERNAL_SERVER_ERROR") == 0 || strcmp(code, "TIMEOUT") == 0 ||
               json_is_object(json_object_get(root, "data"))) {
        say(to, ADMIN_PERHAPS, "%.40s: %.200s", code[0] ? code : "an error beside data", message);
    } else {
        say(to, ADMIN_REFUSED, "%.40s%s%.200s", code, code[0] ? ": " : "", message);
    }
}

static json_t *of_body(const struct shopify *s, const sl_http_answer *a, struct admin_answer *to)
{
    json_t *root = json_loadb(a->body.len ? a->body.ptr : "", a->body.len, 0, NULL);
    const json_t *errors = json_object_get(root, "errors");

    to->data = json_object_get(root, "data");
    to->cost = json_object_get(json_object_get(root, "extensions"), "cost");
    tell_budget(s, to->cost);
    if (errors && !json_is_null(errors) && !(json_is_array(errors) && json_array_size(errors) == 0))
        of_errors(root, errors, to);
    else if (json_is_object(to->data))
        to->verdict = ADMIN_OK;
    else
        say(to, ADMIN_PERHAPS, "HTTP 200, and no answer of the Admin API in it");
    return root;
}

static void on_answer(void *ctx, const sl_http_answer *a)
{
    struct asked asked = *(struct asked *)ctx;
    struct admin_answer answer = { .status = a->status };
    json_t *root = NULL;

    free(ctx);
    if (a->error < 0)
        of_failure(a, &answer);
    else if (a->status != 200)
        of_status(a, &answer);
    else
        root = of_body(asked.s, a, &answer);
    asked.cb(asked.ctx, &answer);
    json_decref(root);
}

/* ---- the question -------------------------------------------------------------------------- */

static sl_status send(struct shopify *s, const char *body, struct asked *asked)
{
    sl_header headers[] = { { LITERAL("Content-Type"), LITERAL("application/json") },
                            { LITERAL("Accept"), LITERAL("application/json") },
                            { LITERAL("X-Shopify-Access-Token"), s->token } };
    char url[URL_SIZE];
    sl_str base = s->admin_url.len ? s->admin_url : s->shop;
    int n = snprintf(url, sizeof(url), "%s%.*s/admin/api/%.*s/graphql.json",
                     s->admin_url.len ? "" : "https://", (int)base.len, base.ptr,
                     (int)s->version.len, s->version.ptr);
    sl_http_request request = { .size = sizeof(request),
                                .method = LITERAL("POST"),
                                .url = { url, (size_t)n },
                                .headers = headers,
                                .n_headers = 3,
                                .body = { body, strlen(body) } };

    return n < URL_SIZE ? s->host->http(s->host->ctx, &request, on_answer, asked) : SL_E_LIMIT;
}

sl_status admin_ask(struct shopify *s, const char *document, json_t *variables, admin_cb cb,
                    void *ctx)
{
    json_t *all = json_pack("{s:s,s:o}", "query", document, "variables", variables);
    char *body = all ? json_dumps(all, JSON_COMPACT) : NULL;
    struct asked *asked = malloc(sizeof(*asked));
    sl_status r = SL_E_NO_MEMORY;

    json_decref(all);
    if (body && asked) {
        *asked = (struct asked){ s, cb, ctx };
        r = send(s, body, asked);
    }
    if (r < 0)
        free(asked);
    free(body);
    return r;
}
