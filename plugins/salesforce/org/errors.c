/*
 * errors.c - the tables of refusals.
 */
#include "errors.h"

#include <jansson.h>
#include <string.h>

#define QUOTA_PARK_MS 900000 /* the daily limit is a rolling window: it frees up bit by bit */
#define THROTTLE_MS   10000
#define LOGIN_WAIT_MS 60000

/* ---- jobs ---------------------------------------------------------------------------------- */

bool errors_job_is_permanent(const char *message)
{
    static const char *const names[] = { "ClientInputError", "InvalidBatch", "InvalidEntity",
                                         "UnsupportedContentType" };
    sl_str m = str_of(message);

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (m.len >= strlen(names[i]) &&
            str_is_nocase((sl_str){ m.ptr, strlen(names[i]) }, names[i]))
            return true;
    return false;
}

sl_str errors_job_field(const char *message)
{
    static const char *const leads[] = { "Field name not found", "Unable to find relationship",
                                         "foreign key references" };
    const char *at = NULL;
    size_t n;

    for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]) && !at; i++) {
        at = strcasestr(message, leads[i]);
        at = at ? at + strlen(leads[i]) : NULL;
    }
    if (!at)
        return (sl_str){ 0 };
    at += strspn(at, " :");
    n = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:");
    while (n > 0 && at[n - 1] == '.') /* "Name. Batch will not be retried." */
        n--;
    return (sl_str){ at, n };
}

/* ---- HTTP ---------------------------------------------------------------------------------- */

static void set(struct answer *to, enum verdict verdict, int64_t after_ms)
{
    to->verdict = verdict;
    to->after_ms = after_ms;
}

/* What never became an HTTP answer. */
static void of_failure(const sl_http_answer *a, struct answer *ret)
{
    const char *what = "the connection to Salesforce failed";

    if (a->error == SL_E_CANCELLED) {
        set(ret, ANSWER_CANCELLED, 0);
        what = "closing";
    } else if (a->error == SL_E_TLS) {
        set(ret, ANSWER_PARK, 0);
        what =
            "TLS with Salesforce failed; check the host's name, the certificates this machine "
            "trusts and its clock";
    } else {
        set(ret, a->sent ? ANSWER_LOST : ANSWER_NOT_SENT, 0);
        if (a->error == SL_E_TIMEOUT)
            what = "Salesforce did not answer in time";
        else if (a->error == SL_E_DNS)
            what = "Salesforce's host name cannot be resolved";
        else if (a->error == SL_E_PROTOCOL)
            what = "Salesforce's answer is not HTTP";
        else if (a->error == SL_E_LIMIT)
            what = "Salesforce's answer is too large";
    }
    say(ret->why, sizeof(ret->why), "%s: %.*s", what, (int)(a->why.len < 300 ? a->why.len : 300),
        a->why.ptr);
}

struct refusal {
    char code[64];
    char message[400];
};

/* [{"errorCode": ..., "message": ...}]; anything else, HTML among it, leaves both empty. */
static void read_refusal(sl_str body, struct refusal *ret)
{
    json_t *root, *first;
    const char *code, *message;

    *ret = (struct refusal){ 0 };
    root = body.len > 0 ? json_loadb(body.ptr, body.len, 0, NULL) : NULL;
    first = json_is_array(root) ? json_array_get(root, 0) : root;
    code = json_string_value(json_object_get(first, "errorCode"));
    message = json_string_value(json_object_get(first, "message"));
    if (code)
        say(ret->code, sizeof(ret->code), "%s", code);
    if (message)
        say(ret->message, sizeof(ret->message), "%s", message);
    json_decref(root);
}

static void of_403(const struct refusal *r, struct answer *ret)
{
    if (!str_is_nocase(str_of(r->code), "REQUEST_LIMIT_EXCEEDED"))
        set(ret, ANSWER_PARK, 0);
    else if (str_has_nocase(str_of(r->message), "Concurrent"))
        set(ret, ANSWER_THROTTLED, THROTTLE_MS);
    else
        set(ret, ANSWER_PARK, QUOTA_PARK_MS);
}

/* 400 on /jobs is the request's fault, except for these. */
static void of_400(const struct refusal *r, struct answer *ret)
{
    static const char *const park[] = { "FEATURENOTENABLED", "INVALIDUSER", "INVALIDVERSION",
                                        "API_DISABLED_FOR_ORG", "HTTPSREQUIRED" };

    set(ret, ANSWER_REFUSED, 0);
    if (str_is_nocase(str_of(r->code), "EXCEEDEDQUOTA"))
        set(ret, ANSWER_PARK, QUOTA_PARK_MS);
    else if (str_is_nocase(str_of(r->code), "UNKNOWN_EXCEPTION"))
        set(ret, ANSWER_BUSY, 0);
    for (size_t i = 0; i < sizeof(park) / sizeof(park[0]); i++)
        if (str_is_nocase(str_of(r->code), park[i]))
            set(ret, ANSWER_PARK, 0);
}

static void of_status(uint32_t status, const struct refusal *r, struct answer *ret)
{
    if (status == 400)
        of_400(r, ret);
    else if (status == 401)
        set(ret, ANSWER_EXPIRED, 0);
    else if (status == 403)
        of_403(r, ret);
    else if (status == 404)
        set(ret, ANSWER_NOT_FOUND, 0);
    else if (status == 429)
        set(ret, ANSWER_THROTTLED, THROTTLE_MS);
    else if (status == 408 || status >= 500)
        set(ret, ANSWER_BUSY, 0);
    else if (status == 409 || status == 412)
        set(ret, ANSWER_REFUSED, 0);
    else /* 3xx: a wrong instance; 402, 405, 410, 413, 415, 420, 423: not curable by sending */
        set(ret, ANSWER_PARK, 0);
}

/* What an operator should look at, where the answer alone does not say so. */
static const char *hint_of(const struct answer *a, const struct refusal *r)
{
    if (a->status >= 300 && a->status < 400)
        return "; check `instance`: a redirect means another host";
    if (a->status == 410)
        return "; this api_version is retired";
    if (a->status == 413)
        return "; lower the endpoint's batch.bytes";
    if (a->status == 420)
        return "; the org was deleted or has expired";
    if (a->status == 403 && a->after_ms == 0)
        return "; check the integration user's permissions (API Enabled, the object and its fields)";
    if (str_is_nocase(str_of(r->code), "REQUEST_LIMIT_EXCEEDED") && a->verdict == ANSWER_PARK)
        return "; the org's daily API requests are used up";
    return "";
}

void errors_of_api(const sl_http_answer *a, struct answer *ret)
{
    struct refusal r;

    *ret = (struct answer){ .status = a->status,
                            .body = a->body,
                            .headers = a->headers,
                            .n_headers = a->n_headers,
                            .too_large = a->error == SL_E_LIMIT };
    if (a->error != SL_OK) {
        of_failure(a, ret);
        return;
    }
    if (a->status >= 200 && a->status < 300)
        return;
    read_refusal(a->body, &r);
    of_status(a->status, &r, ret);
    if ((ret->verdict == ANSWER_THROTTLED || ret->verdict == ANSWER_BUSY) && a->retry_after_ms > 0)
        ret->after_ms = a->retry_after_ms;
    if (r.code[0] || r.message[0])
        say(ret->why, sizeof(ret->why), "Salesforce answers %u %s: %s%s", (unsigned)a->status,
            r.code, r.message, hint_of(ret, &r));
    else
        say(ret->why, sizeof(ret->why), "Salesforce answers %u%s", (unsigned)a->status,
            hint_of(ret, &r));
}

/* ---- the token endpoint -------------------------------------------------------------------- */

static const struct {
    const char *error;
    const char *text; /* must stand in error_description; NULL: any */
    const char *check;
} oauth_hints[] = {
    { "invalid_grant", "approved this consumer",
      "pre-authorise auth.username for the app (permission set or profile)" },
    { "invalid_grant", "audience",
      "auth.audience is https://login.salesforce.com, for a sandbox https://test.salesforce.com" },
    { "invalid_grant", "expired authorization code",
      "this machine's clock; the assertion was too old or too new" },
    { "invalid_grant", "assertion", "auth.key must belong to the certificate uploaded to the app" },
    { "invalid_grant", "not supported on this domain",
      "client credentials work on the My Domain only: set `instance`, and no `login`" },
    { "invalid_grant", "no client credentials user", "set a Run As user in the app's policies" },
    { "invalid_grant", "ip restricted",
      "allow this machine's address in the user's profile (Login IP Ranges), or relax IP "
      "restrictions in the app's policies" },
    { "invalid_grant", "authentication failure", "auth.username; the user may be locked" },
    { "invalid_grant", NULL, "auth.username, auth.key, auth.audience and the app's policies" },
    { "invalid_app_access", NULL, "give the user the app's permission set or profile" },
    { "invalid_client_id", NULL,
      "auth.client_id is the app's consumer key; a new app takes some minutes to be known, and a "
      "sandbox knows only its own (`login`)" },
    { "invalid_client", NULL, "auth.client_id and auth.client_secret" },
    { "unsupported_grant_type", NULL, "the app must have this flow enabled; see auth.flow" },
    { "inactive_user", NULL, "the user is frozen or inactive" },
    { "inactive_org", NULL, "the org is locked or expired" },
};

static const char *oauth_hint(const char *error, const char *description)
{
    for (size_t i = 0; i < sizeof(oauth_hints) / sizeof(oauth_hints[0]); i++)
        if (strcmp(error, oauth_hints[i].error) == 0 &&
            (!oauth_hints[i].text || strcasestr(description, oauth_hints[i].text)))
            return oauth_hints[i].check;
    return "the endpoint's auth settings";
}

static void oauth_refusal(const sl_http_answer *a, struct answer *ret)
{
    json_t *root = a->body.len > 0 ? json_loadb(a->body.ptr, a->body.len, 0, NULL) : NULL;
    const char *error = json_string_value(json_object_get(root, "error"));
    const char *text = json_string_value(json_object_get(root, "error_description"));

    if (error && strcmp(error, "rate_limit_exceeded") == 0)
        set(ret, ANSWER_THROTTLED, LOGIN_WAIT_MS);
    else
        set(ret, ANSWER_PARK, 0);
    if (error)
        say(ret->why, sizeof(ret->why), "Salesforce refuses the login: %s: %.200s; check: %s",
            error, text ? text : "(no description)", oauth_hint(error, text ? text : ""));
    else
        say(ret->why, sizeof(ret->why),
            "the login answers %u; check: `login` and `instance` name a Salesforce host",
            (unsigned)a->status);
    json_decref(root);
}

void errors_of_oauth(const sl_http_answer *a, struct answer *ret)
{
    *ret = (struct answer){ .status = a->status, .body = a->body };
    if (a->error != SL_OK) {
        of_failure(a, ret);
        if (ret->verdict == ANSWER_LOST)
            ret->verdict = ANSWER_NOT_SENT; /* the records were not */
        return;
    }
    if (a->status >= 200 && a->status < 300)
        return;
    if (a->status == 429 || a->status == 408 || a->status >= 500) {
        of_status(a->status, &(struct refusal){ 0 }, ret);
        if (a->retry_after_ms > 0)
            ret->after_ms = a->retry_after_ms;
        say(ret->why, sizeof(ret->why), "the login answers %u", (unsigned)a->status);
        return;
    }
    oauth_refusal(a, ret);
}

/* ---- questions ------------------------------------------------------------------------------ */

sl_status errors_status(enum verdict v)
{
    switch (v) {
    case ANSWER_CANCELLED:
        return SL_E_CANCELLED;
    case ANSWER_NOT_SENT:
    case ANSWER_LOST:
        return SL_E_NETWORK;
    case ANSWER_BUSY:
    case ANSWER_THROTTLED:
        return SL_E_LIMIT;
    default:
        return SL_E_INVALID;
    }
}
