/*
 * salesforce.c - the adapter's tables, its checks, its opening and its end.
 */
#include "salesforce.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulk/reap.h"
#include "collections/collections.h"
#include "feeds/feed.h"
#include "match/contacts.h"
#include "match/sets.h"
#include "org/describe.h"
#include "query/compare.h"
#include "query/find.h"
#include "query/query.h"
#include "rows/chosen.h"
#include "rows/keys.h"
#include "rows/parents.h"
#include "transport.h"

#define BATCH_RECORDS  10000    /* one of Salesforce's internal batches */
#define BATCH_BYTES    90000000 /* an upload may have 100 MB; as CSV the bodies get smaller */
#define CONTACT_BATCH  200      /* one call of sObject Collections */
#define CONTACT_BYTES  4000000
#define ACTION_CONTACT OP__COUNT /* its place in the table of actions */
#define MIN_VERSION    46 /* Bulk API 2.0 exists since 41, the upsert of Collections since 46 */
#define MAX_VERSION    999

static const sl_option settings[] = {
    { "instance", SL_OPT_URL, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
      "the org's My Domain, such as https://acme.my.salesforce.com" },
    { "login", SL_OPT_URL, 0, NULL, 0, 0, NULL,
      "where tokens are asked for; without it the instance" },
    { "api_version", SL_OPT_STRING, 0, "66.0", 0, 0, NULL, "version of the REST API" },
    { "auth.flow", SL_OPT_ENUM, 0, "jwt", 0, 0, "jwt|client_credentials",
      "how the endpoint logs in" },
    { "auth.client_id", SL_OPT_STRING, 0, NULL, 0, 0, NULL, "consumer key of the app" },
    { "auth.username", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "jwt: Salesforce username of the integration user" },
    { "auth.audience", SL_OPT_STRING, 0, "https://login.salesforce.com", 0, 0, NULL,
      "jwt: for a sandbox https://test.salesforce.com" },
    { "auth.key", SL_OPT_SECRET, 0, NULL, 0, 0, NULL,
      "jwt: RSA private key in PEM, whose certificate the app holds" },
    { "auth.client_secret", SL_OPT_SECRET, 0, NULL, 0, 0, NULL,
      "client_credentials: consumer secret of the app" },
    { "poll.first", SL_OPT_DURATION, 0, "2s", 10, 3600000, NULL,
      "wait before a job is first asked for; doubles" },
    { "poll.cap", SL_OPT_DURATION, 0, "30s", 10, 3600000, NULL, "longest wait between questions" },
    { "job_timeout", SL_OPT_DURATION, 0, "2h", 1000, 86400000, NULL,
      "a job without results after this is given up and its records go again" },
    { "delete_jobs", SL_OPT_BOOL, 0, "false", 0, 0, NULL,
      "delete a job once all that it told is stored: one call a job, and the org's list stays "
      "short" },
    { "receive.organization_id", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "the org whose Outbound Messages are taken, such as 00D5g00000Org01EAB" },
    { "receive.path_secret", SL_OPT_SECRETS, 0, NULL, 0, 0, NULL,
      "Outbound Messages are taken at /in/<endpoint>/outbound/<this>; 16 characters or more" },
    { "receive.callout_secret", SL_OPT_SECRETS, 0, NULL, 0, 0, NULL,
      "callouts at /in/<endpoint>/callout: key of the HMAC-SHA256 of their body" },
    { "receive.callout_header", SL_OPT_STRING, 0, "X-Signature-SHA256", 0, 0, NULL,
      "the header that has it, in base64 or hexadecimal" },
    { "receive.callout_token", SL_OPT_SECRETS, 0, NULL, 0, 0, NULL,
      "callouts that cannot sign: Authorization: Bearer <this>" },
    { "receive.follow", SL_OPT_STRINGS, 0, NULL, 0, 0, NULL,
      "objects whose callouts are answered with 202 and where to ask what becomes of them, such as [Quote]" },
    { "describe_every", SL_OPT_DURATION, 0, "1h", 0, 604800000, NULL,
      "how long what an object's fields are like is believed; records that would fail by it are "
      "refused before they leave. 0s: it is not asked" },
    { "limits_every", SL_OPT_DURATION, 0, "15m", 0, 86400000, NULL,
      "while there is traffic, how often what is left of the org's limits is asked; 0s: never" },
    { "contacts.external_id", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "contact.upsert: the field of Contact for the shop's id (External ID, Unique)" },
    { "contacts.tax_id", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "contact.upsert: the field of Account with the tax id, such as Tax_Id__c" },
    { "contacts.country", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "contact.upsert: country of phone numbers that do not say it, such as DE" },
    { "contacts.freemail", SL_OPT_STRINGS, 0, NULL, 0, 0, NULL,
      "contact.upsert: more e-mail domains that are no company's" },
    { "contacts.refresh", SL_OPT_DURATION, 0, "15m", 1000, 604800000, NULL,
      "contact.upsert: how old what is known of the org's contacts may be" },
    { "contacts.most", SL_OPT_INT, 0, "1000000", 1, 20000000, NULL,
      "contact.upsert: contacts in memory, half a kilobyte each" },
    { "urgent_after", SL_OPT_DURATION, 0, "5m", 0, 86400000, NULL,
      "older records are written at once (Collections) even where a bulk job is a little cheaper; "
      "0s: never" },
    { 0 },
};

#define WRITES SL_ACTION_IDEMPOTENT, BATCH_RECORDS, BATCH_BYTES
#define STATES SL_ACTION_IDEMPOTENT | SL_ACTION_UPSERT, BATCH_RECORDS, BATCH_BYTES

/* in the order of enum operation */
static const sl_action actions[] = {
    { "upsert", STATES, operation_params[OP_UPSERT], "insert or update records by an external id" },
    { "insert", WRITES, operation_params[OP_INSERT],
      "insert records that have a unique external id" },
    { "update", STATES, operation_params[OP_UPDATE], "update records by their Id" },
    { "delete", WRITES, operation_params[OP_DELETE],
      "delete records by their Id, into the recycle bin" },
    { "contact.upsert", SL_ACTION_IDEMPOTENT | SL_ACTION_UPSERT, CONTACT_BATCH, CONTACT_BYTES,
      contact_params, "update the Contact that a person is already, or create one, or ask" },
    { 0 },
};

/* ---- small things -------------------------------------------------------------------------- */

void sf_log(const struct salesforce *sf, uint32_t level, const char *format, ...)
{
    char line[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    sf->host->log(sf->host->ctx, level, str_of(line));
}

sl_status sf_fail(sl_fail *fail, sl_status status, const char *format, ...)
{
    va_list args;

    if (!fail)
        return status;
    va_start(args, format);
    vsnprintf(fail->text, sizeof(fail->text), format, args);
    va_end(args);
    return status;
}

static int shown(sl_str s)
{
    return (int)(s.len < 120 ? s.len : 120);
}

/* ---- checks -------------------------------------------------------------------------------- */

/* "66.0" */
static bool is_version(sl_str v)
{
    unsigned n = 0;
    size_t i = 0;

    for (; i < v.len && i < 4 && v.ptr[i] >= '0' && v.ptr[i] <= '9'; i++)
        n = n * 10 + (unsigned)(v.ptr[i] - '0');
    return n >= MIN_VERSION && n <= MAX_VERSION && v.len == i + 2 && v.ptr[i] == '.' &&
           v.ptr[i + 1] == '0';
}

/* Host and port of a URL, and what follows. */
static sl_str host_of(sl_str url, sl_str *ret_rest)
{
    const char *p = memmem(url.ptr, url.len, "://", 3), *end = url.ptr + url.len, *slash;

    p = p ? p + 3 : url.ptr;
    slash = memchr(p, '/', (size_t)(end - p));
    *ret_rest = slash ? (sl_str){ slash, (size_t)(end - slash) } : (sl_str){ end, 0 };
    return (sl_str){ p, (size_t)((slash ? slash : end) - p) };
}

static bool starts(sl_str s, const char *with)
{
    return s.len >= strlen(with) && str_is_nocase((sl_str){ s.ptr, strlen(with) }, with);
}

/* 127.0.0.1, and not 127.0.0.1.example.com */
static bool is_loopback(sl_str host)
{
    const char *colon = host.len > 0 ? memrchr(host.ptr, ':', host.len) : NULL;

    if (colon && host.ptr[host.len - 1] != ']') /* the port */
        host.len = (size_t)(colon - host.ptr);
    if (str_is_nocase(host, "localhost") || str_is(host, "[::1]"))
        return true;
    for (size_t i = 0; i < host.len; i++)
        if (host.ptr[i] != '.' && (host.ptr[i] < '0' || host.ptr[i] > '9'))
            return false;
    return starts(host, "127.");
}

static sl_status check_url(const char *name, sl_str url, sl_fail *fail)
{
    sl_str rest, host = host_of(url, &rest);

    if (starts(url, "http://") && !is_loopback(host))
        return sf_fail(fail, SL_E_INVALID,
                       "%s: \"%.*s\" must be https; http is for tests on this machine only", name,
                       shown(url), url.ptr);
    if (rest.len > 0 && !str_is(rest, "/"))
        return sf_fail(fail, SL_E_INVALID,
                       "%s: \"%.*s\" has a path; it reads https://acme.my.salesforce.com", name,
                       shown(url), url.ptr);
    if (str_has_nocase(host, ".lightning.force.com"))
        return sf_fail(fail, SL_E_INVALID,
                       "%s: \"%.*s\" is not an API host; it reads https://acme.my.salesforce.com",
                       name, shown(url), url.ptr);
    return SL_OK;
}

static sl_status need(const sl_values *v, const sl_values_api *api, const char *name,
                      const char *flow, sl_fail *fail)
{
    sl_str s;

    if (api->str(v, name, &s) == SL_OK && s.len > 0)
        return SL_OK;
    return sf_fail(fail, SL_E_INVALID, "%s is not given; auth.flow %s needs it", name, flow);
}

static sl_status check_auth(const sl_values *v, const sl_values_api *api, sl_str login,
                            sl_fail *fail)
{
    sl_str flow, rest, host = host_of(login, &rest);
    sl_status r = api->str(v, "auth.flow", &flow);

    if (r < 0)
        return sf_fail(fail, r, "auth.flow is not given");
    if (str_is(flow, "jwt")) {
        if ((r = need(v, api, "auth.client_id", "jwt", fail)) < 0 ||
            (r = need(v, api, "auth.username", "jwt", fail)) < 0)
            return r;
        return need(v, api, "auth.audience", "jwt", fail);
    }
    if (str_is_nocase(host, "login.salesforce.com") || str_is_nocase(host, "test.salesforce.com"))
        return sf_fail(fail, SL_E_INVALID,
                       "login: %.*s does not know client_credentials; leave `login` out, so that "
                       "the My Domain is asked",
                       shown(host), host.ptr);
    return need(v, api, "auth.client_id", "client_credentials", fail);
}

/* Secrets are looked at by open(): a check may run without them. */
static sl_status check(const sl_values *v, const sl_values_api *api, sl_fail *fail)
{
    sl_str instance, login, version;
    int64_t first, cap;
    sl_status r;

    if ((r = api->str(v, "instance", &instance)) < 0)
        return sf_fail(fail, r, "instance is not given");
    if (api->str(v, "login", &login) < 0)
        login = instance;
    if ((r = check_url("instance", instance, fail)) < 0 ||
        (r = check_url("login", login, fail)) < 0)
        return r;
    if ((r = api->str(v, "api_version", &version)) < 0 || !is_version(version))
        return sf_fail(fail, SL_E_INVALID,
                       "api_version: it reads \"66.0\", without a v; %d.0 is the oldest",
                       MIN_VERSION);
    if (api->num(v, "poll.first", &first) == SL_OK && api->num(v, "poll.cap", &cap) == SL_OK &&
        first > cap)
        return sf_fail(fail, SL_E_INVALID, "poll.first is longer than poll.cap");
    if ((r = receive_check(v, api, fail)) < 0)
        return r;
    return check_auth(v, api, login, fail);
}

/* ---- the action ---------------------------------------------------------------------------- */

static void unbind(void *handle)
{
    operation_unbind(handle);
}

static sl_status bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail)
{
    struct action *a;
    sl_status r;

    if (in->action == ACTION_CONTACT)
        return contacts_bind(in, ret_handle, fail);
    r = operation_bind((enum operation)in->action, in, &a, fail);
    if (r == SL_OK)
        *ret_handle = a;
    return r;
}

static sl_str row_key(void *self, void *handle, sl_str body)
{
    struct salesforce *sf = self;
    const struct action *a = handle;
    char why[64];
    sl_status r;

    text_clear(&sf->row_key);
    if (contacts_is(handle)) {
        contacts_row_key(sf, body, &sf->row_key);
        return text_view(&sf->row_key);
    }
    r = row_scan(&sf->row, body, why, sizeof(why));
    if (r == SL_OK)
        r = key_of(&sf->row, a->external_id, &sf->row_key, why, sizeof(why));
    /* without a key it will be rejected by itself: it is in nobody's way */
    return r == SL_OK ? text_view(&sf->row_key) : (sl_str){ 0 };
}

static sl_str parent_key(void *self, void *handle, sl_str body)
{
    struct salesforce *sf = self;
    char why[64];

    text_clear(&sf->parent);
    if (contacts_is(handle)) /* its account comes out later; but one person is one at a time */
        contacts_row_key(sf, body, &sf->parent);
    else if (row_scan(&sf->row, body, why, sizeof(why)) == SL_OK)
        parent_key_of(handle, &sf->row, &sf->parent);
    return sf->parent.failed ? (sl_str){ 0 } : text_view(&sf->parent);
}

static sl_status check_action(const sl_values *v, const sl_values_api *api, uint32_t action,
                              sl_fail *fail)
{
    return action == ACTION_CONTACT ? contacts_check(v, api, fail) : SL_OK;
}

/* ---- life ---------------------------------------------------------------------------------- */

static void salesforce_close(void *self)
{
    struct salesforce *sf = self;

    if (!sf)
        return;
    bulk_close(sf);
    reap_close(sf);
    feed_close(sf);
    contacts_close(sf);
    collections_close(sf);
    compare_close(sf);
    query_close(sf);
    chosen_close(sf);
    describe_close(sf);
    limits_close(sf);
    probe_close(sf);
    find_close(sf);
    auth_close(sf);
    receive_close(sf);
    text_finish(&sf->row_key);
    text_finish(&sf->parent);
    row_finish(&sf->row);
    free(sf);
}

static void read_settings(struct salesforce *sf)
{
    const sl_host *h = sf->host;
    const sl_values_api *v = h->values;
    sl_str flow = { 0 };

    if (v->str(h->settings, "login", &sf->login) < 0)
        v->str(h->settings, "instance", &sf->login);
    v->str(h->settings, "api_version", &sf->api_version);
    v->str(h->settings, "auth.flow", &flow);
    sf->flow = str_is(flow, "jwt") ? FLOW_JWT : FLOW_CLIENT_CREDENTIALS;
    v->str(h->settings, "auth.client_id", &sf->client_id);
    v->str(h->settings, "auth.username", &sf->username);
    v->str(h->settings, "auth.audience", &sf->audience);
    v->num(h->settings, "poll.first", &sf->poll_first_ms);
    v->num(h->settings, "poll.cap", &sf->poll_cap_ms);
    v->num(h->settings, "job_timeout", &sf->job_timeout_ms);
    v->num(h->settings, "urgent_after", &sf->urgent_after_ms);
    v->num(h->settings, "delete_jobs", &sf->delete_jobs);
    v->num(h->settings, "describe_every", &sf->describe_every_ms);
    v->num(h->settings, "limits_every", &sf->limits_every_ms);
}

static void deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done)
{
    limits_traffic(self);
    if (contacts_is(handle))
        contacts_deliver(self, handle, batch, done);
    else
        chosen_deliver(self, handle, batch, done);
}

static void resume(void *self, void *handle, const sl_batch *batch, sl_str token,
                   const sl_done *done)
{
    if (contacts_is(handle)) /* makes no checkpoints: the token is another action's */
        contacts_deliver(self, handle, batch, done);
    else
        chosen_resume(self, handle, batch, token, done);
}

static sl_status salesforce_open(const sl_host *host, void **ret_self, sl_fail *fail)
{
    struct salesforce *sf = calloc(1, sizeof(*sf));
    sl_status r = SL_E_NO_MEMORY;

    if (!sf)
        goto out;
    sf->host = host;
    sf->transport = transport_deliver;
    sf->collection_rows = COLLECTION_ROWS;
    if ((r = check(host->settings, host->values, fail)) < 0)
        goto out;
    read_settings(sf);
    if ((r = auth_open(sf, fail)) < 0 || (r = receive_open(sf, fail)) < 0 ||
        (r = contacts_open(sf, fail)) < 0)
        goto out;
    *ret_self = sf;
    return SL_OK;
out:
    salesforce_close(sf);
    return r;
}

static const sl_plugin plugin = {
    .size = sizeof(plugin),
    .abi_minor = 3,
    .name = "salesforce",
    .version = SLUICE_VERSION,
    .help = "a Salesforce org: writes records by Bulk API 2.0 and sObject Collections",
    .settings = settings,
    .actions = actions,
    .bind = bind,
    .unbind = unbind,
    .check = check,
    .open = salesforce_open,
    .close = salesforce_close,
    .verify = receive_verify,
    .unpack = receive_unpack,
    .describe = receive_describe,
    .deliver = deliver,
    .resume = resume,
    .row_key = row_key,
    .probe = probe,
    .feeds = feed_kinds,
    .bind_feed = feed_bind,
    .unbind_feed = feed_unbind,
    .poll = feed_start,
    .check_action = check_action,
    .report = sets_report,
    .find = &salesforce_find,
    .parent_key = parent_key,
    .batching = transport_batching,
    .compare = compare_start,
    .comparing = compare_comparing,
    .forget = contacts_forget,
};

const sl_plugin *sl_plugin_v0(void)
{
    return &plugin;
}
