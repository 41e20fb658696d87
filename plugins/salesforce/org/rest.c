/*
 * rest.c - one authorised call: the token, one renewal on 401, the limits header.
 */
#include "salesforce.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "when.h"

#define MAX_HEADERS    6
#define USAGE_WARN_PCT 80
#define USAGE_CALM_PCT 70 /* warned again only after it had come down to this */

/* "api-usage=18/5000; per-app-api-usage=...": how much of the org's daily requests is used */
static void note_usage(struct salesforce *sf, const sl_http_answer *a)
{
    char line[160] = "";
    const char *at = line;
    char *end;
    unsigned long long used, of;

    for (size_t i = 0; i < a->n_headers; i++) {
        sl_str v = a->headers[i].value;

        if (str_is_nocase(a->headers[i].name, "Sforce-Limit-Info"))
            say(line, sizeof(line), "%.*s", (int)(v.len < 159 ? v.len : 159), v.ptr);
    }
    while ((at = strstr(at, "api-usage=")) && at > line && at[-1] == '-') /* the app's own share */
        at++;
    if (!at)
        return;
    at += strlen("api-usage=");
    used = strtoull(at, &end, 10);
    if (end == at || *end != '/')
        return;
    of = strtoull(end + 1, NULL, 10);
    if (of == 0 || of > 1000000000000 || used > 1000000000000)
        return;
    usage_note(&sf->usage, (int64_t)used, sf->host->wall_ms(sf->host->ctx));
    sf->limits.heard_ms = sf->host->mono_ms(sf->host->ctx);
    sf->limits.calls_left = used < of ? (int64_t)(of - used) : 0;
    sf->limits.calls_max = (int64_t)of;
    if (SL_HAS(sl_host, sf->host, budget))
        sf->host->budget(sf->host->ctx,
                         &(sl_budget){ .size = sizeof(sl_budget),
                                       .kind = SL_BUDGET_QUOTA,
                                       .limit = (int64_t)of,
                                       .remaining = used < of ? (int64_t)(of - used) : 0,
                                       .reset_ms = -1 });
    if (used * 100 <= of * USAGE_CALM_PCT)
        sf->session.usage_warned = false;
    if (used * 100 <= of * USAGE_WARN_PCT || sf->session.usage_warned)
        return;
    sf->session.usage_warned = true;
    sf_log(sf, SL_LOG_WARN,
           "%llu of the org's %llu daily API requests are used; beyond them Salesforce refuses all "
           "calls and the endpoint parks",
           used, of);
}

/* The day's calls are used up: when will there be some again? It is tried before, too. */
static void say_when(struct salesforce *sf, struct answer *a)
{
    int64_t now = sf->host->wall_ms(sf->host->ctx), limit = sf->limits.calls_max;
    int64_t at = usage_room_at(&sf->usage, limit > 100 ? limit / 100 : 1, now);
    size_t len = strlen(a->why);
    time_t seconds = (time_t)(at / 1000);
    struct tm utc;

    if (at && gmtime_r(&seconds, &utc))
        say(a->why + len, sizeof(a->why) - len,
            "; by what is known of the last 24 hours there is room again at about %02d:%02d UTC "
            "(in %lld min)",
            utc.tm_hour, utc.tm_min, (long long)((at - now) / 60000));
    else
        say(a->why + len, sizeof(a->why) - len,
            "; each call leaves the window 24 hours after it came, so there is room again within "
            "that time");
}

static void on_answer(void *ctx, const sl_http_answer *a)
{
    struct call *call = ctx;
    struct salesforce *sf = call->sf;
    struct answer answer;

    if (a->error == SL_OK) {
        note_usage(sf, a);
        when_learn(sf, a);
    }
    errors_of_api(a, &answer);
    if (answer.verdict == ANSWER_PARK && str_has_nocase(str_of(answer.why), "TotalRequests"))
        say_when(sf, &answer);
    if (answer.verdict == ANSWER_EXPIRED) {
        auth_drop(sf, call->generation);
        if (!call->renewed) {
            call->renewed = true;
            auth_wait(sf, call);
            return;
        }
        /* 401 can also mean that this session may never use the API: no second renewal */
        answer.verdict = ANSWER_PARK;
        say(answer.why + strlen(answer.why), sizeof(answer.why) - strlen(answer.why),
            "; a new session fared no better: check the app's scopes (api), the user's permission "
            "API Enabled, and that `instance` is this org's");
    }
    call->cb(call->ctx, &answer);
}

void call_refused(struct call *call, const struct answer *answer)
{
    call->cb(call->ctx, answer);
}

void call_ready(struct call *call)
{
    struct salesforce *sf = call->sf;
    const sl_host *h = sf->host;
    struct text url = { 0 }, bearer = { 0 };
    sl_header headers[MAX_HEADERS];
    struct answer failed = { .verdict = ANSWER_NOT_SENT, .why = "no request could be made" };
    sl_http_request r = { .size = sizeof(r), .method = call->method, .headers = headers };
    sl_status status = SL_E_NO_MEMORY;
    char batch[32];

    text_str(&url, sf->session.base);
    text_str(&url, call->long_path ? call->long_path : call->path);
    text_str(&bearer, "Bearer ");
    text_str(&bearer, sf->session.token);
    headers[r.n_headers++] = (sl_header){ str_of("Authorization"), text_view(&bearer) };
    /* shows up as changeOrigin in change events: own writes can be told apart */
    headers[r.n_headers++] = (sl_header){ str_of("Sforce-Call-Options"), str_of("client=sluice") };
    if (call->type)
        headers[r.n_headers++] = (sl_header){ str_of("Content-Type"), str_of(call->type) };
    if (call->duplicates)
        headers[r.n_headers++] = (sl_header){ str_of("Sforce-Duplicate-Rule-Header"),
                                              str_of("allowSave=true") };
    if (call->accept)
        headers[r.n_headers++] = (sl_header){ str_of("Accept"), str_of(call->accept) };
    if (call->page_rows) {
        snprintf(batch, sizeof(batch), "batchSize=%u", call->page_rows);
        headers[r.n_headers++] = (sl_header){ str_of("Sforce-Query-Options"), str_of(batch) };
    }
    r.url = text_view(&url);
    r.body = call->body;
    r.total_ms = call->total_ms;
    r.max_answer = call->max_answer;
    call->generation = sf->session.generation;
    if (!url.failed && !bearer.failed)
        status = h->http(h->ctx, &r, on_answer, call);
    text_finish(&url);
    if (bearer.ptr)
        OPENSSL_cleanse(bearer.ptr, bearer.cap);
    text_finish(&bearer);
    if (status == SL_OK)
        return;
    if (status == SL_E_CANCELLED)
        failed.verdict = ANSWER_CANCELLED;
    call->cb(call->ctx, &failed);
}

void call_start(struct call *call)
{
    call->renewed = false;
    auth_wait(call->sf, call);
}
