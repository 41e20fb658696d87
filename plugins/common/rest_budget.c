/*
 * rest_budget.c - what an answer says is left: in headers that many remotes share, or in its body.
 */
#include "rest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define EPOCH_S  1000000000 /* a reset above it is a time, no span */
#define EPOCH_MS 1000000000000

/** The header's value as text, cut; false: it is not there. */
static int header_text(const sl_http_answer *a, const char *name, char ret[160])
{
    for (size_t i = 0; i < a->n_headers; i++) {
        sl_str n = a->headers[i].name, v = a->headers[i].value;

        if (n.len != strlen(name) || strncasecmp(n.ptr, name, n.len) != 0)
            continue;
        snprintf(ret, 160, "%.*s", (int)(v.len < 159 ? v.len : 159), v.ptr);
        return 1;
    }
    return 0;
}

/** A number that begins the text, such as 119 or 0.5; false: none, or it is no count. */
static int number_at(const char *text, double *ret)
{
    char *end;
    double n;

    text += strspn(text, " \t\"");
    if ((*text < '0' || *text > '9') && *text != '.')
        return 0;
    n = strtod(text, &end);
    if (end == text || !isfinite(n) || n < 0 || n > 1e15)
        return 0;
    *ret = n;
    return 1;
}

/** The value of a parameter of a structured field or of an older draft: r=50, "remaining=50". */
static int parameter(const char *text, const char *name, double *ret)
{
    size_t n = strlen(name);

    for (const char *at = text; (at = strstr(at, name)); at += n) {
        char before = at > text ? at[-1] : ';';

        if (at[n] == '=' && (before == ';' || before == ' ' || before == ','))
            return number_at(at + n + 1, ret);
    }
    return 0;
}

static int64_t reset_of(const sl_host *h, double n)
{
    if (n >= EPOCH_MS)
        n = n - (double)h->wall_ms(h->ctx);
    else if (n >= EPOCH_S)
        n = n * 1000 - (double)h->wall_ms(h->ctx);
    else
        n *= 1000;
    return n > 0 ? (int64_t)n : 0;
}

/** "32/40": slots in use, and how many there are. */
static int leaky(const sl_http_answer *a, sl_budget *b)
{
    char text[160], *slash;
    double used, limit;

    if (!header_text(a, "X-Shopify-Shop-Api-Call-Limit", text) || !(slash = strchr(text, '/')) ||
        !number_at(text, &used) || !number_at(slash + 1, &limit) || limit < 1)
        return 0;
    b->kind = SL_BUDGET_LEAKY;
    b->limit = (int64_t)limit;
    b->remaining = used < limit ? (int64_t)(limit - used) : 0;
    return 1;
}

/** RateLimit: "default";r=50;t=30 with RateLimit-Policy: "default";q=100;w=60, or the draft before:
 *  RateLimit: limit=100, remaining=50, reset=30. */
static int one_field(const sl_host *h, const sl_http_answer *a, sl_budget *b)
{
    char text[160], policy[160];
    double n;

    if (!header_text(a, "RateLimit", text) ||
        !(parameter(text, "r", &n) || parameter(text, "remaining", &n)))
        return 0;
    b->remaining = (int64_t)n;
    if (parameter(text, "t", &n) || parameter(text, "reset", &n))
        b->reset_ms = reset_of(h, n);
    if ((header_text(a, "RateLimit-Policy", policy) && parameter(policy, "q", &n)) ||
        parameter(text, "limit", &n))
        b->limit = (int64_t)n;
    return 1;
}

static int three_fields(const sl_host *h, const sl_http_answer *a, const char *prefix, sl_budget *b)
{
    char name[40], text[160];
    double n;

    snprintf(name, sizeof(name), "%s-Remaining", prefix);
    if (!header_text(a, name, text) || !number_at(text, &n))
        return 0;
    b->remaining = (int64_t)n;
    snprintf(name, sizeof(name), "%s-Limit", prefix);
    if (header_text(a, name, text) && number_at(text, &n))
        b->limit = (int64_t)n;
    snprintf(name, sizeof(name), "%s-Reset", prefix);
    if (header_text(a, name, text) && number_at(text, &n))
        b->reset_ms = reset_of(h, n);
    return 1;
}

void budget_of_headers(const sl_host *h, const sl_http_answer *a)
{
    sl_budget b = {
        .size = sizeof(b), .kind = SL_BUDGET_REQUESTS, .remaining = -1, .reset_ms = -1
    };

    if (a->error < 0 || !SL_HAS(sl_host, h, budget))
        return;
    if (leaky(a, &b) || one_field(h, a, &b) || three_fields(h, a, "RateLimit", &b) ||
        three_fields(h, a, "X-RateLimit", &b))
        h->budget(h->ctx, &b);
}

void budget_of_points(const sl_host *h, const json_t *status)
{
    const json_t *left = json_object_get(status, "currentlyAvailable");
    sl_budget b = { .size = sizeof(b), .kind = SL_BUDGET_POINTS, .reset_ms = -1 };

    if (!json_is_number(left) || !SL_HAS(sl_host, h, budget) || json_number_value(left) > 1e12)
        return;
    b.remaining = json_number_value(left) > 0 ? (int64_t)json_number_value(left) : 0;
    b.limit = (int64_t)json_number_value(json_object_get(status, "maximumAvailable"));
    b.restore_milli = (int64_t)(json_number_value(json_object_get(status, "restoreRate")) * 1000);
    if (b.limit >= 0 && b.restore_milli >= 0)
        h->budget(h->ctx, &b);
}

int budget_throttled(json_t *root, const json_t *status, int64_t *ret_after_ms)
{
    double asked, left, rate;
    json_t *one;
    size_t i;

    json_array_foreach(json_object_get(root, "errors"), i, one)
    {
        const char *code = json_string_value(
            json_object_get(json_object_get(one, "extensions"), "code"));

        if (!code || strcmp(code, "THROTTLED") != 0)
            continue;
        asked = json_number_value(json_object_get(
            json_object_get(json_object_get(root, "extensions"), "cost"), "requestedQueryCost"));
        left = json_number_value(json_object_get(status, "currentlyAvailable"));
        rate = json_number_value(json_object_get(status, "restoreRate"));
        *ret_after_ms = 1000;
        if (rate > 0 && asked > left && (asked - left) / rate < 3600)
            *ret_after_ms = (int64_t)((asked - left) / rate * 1000);
        if (*ret_after_ms < 1000)
            *ret_after_ms = 1000;
        return 1;
    }
    return 0;
}
