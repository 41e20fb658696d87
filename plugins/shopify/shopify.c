/*
 * shopify.c - the adapter's tables, its opening and its end.
 */
#include "shopify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "actions.h"
#include "admin/admin.h"
#include "audit/audit.h"
#include "bulk/backfill.h"
#include "drafts/draft.h"
#include "feed_kinds.h"
#include "feeds/feeds.h"
#include "orders/deed.h"
#include "receive/callbacks.h"
#include "receive/requests.h"
#include "stock/stock.h"

#define SHOP_SUFFIX ".myshopify.com"
#define MAX_SHOP    80

static const sl_option settings[] = {
    { "shop", SL_OPT_STRING, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
      "the shop's permanent domain, such as acme.myshopify.com" },
    { "webhook_secret", SL_OPT_SECRETS, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
      "the app's client secret; several while one is being rotated, or for webhooks made by hand" },
    { "admin.client_id", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "the Admin API, of which the shop is asked and to which is written: the app's client id" },
    { "admin.client_secret", SL_OPT_SECRETS, 0, NULL, 0, 0, NULL,
      "the app's client secret; while it is being rotated the new one first, then the old one" },
    { "admin.refresh_token", SL_OPT_SECRET, 0, NULL, 0, 0, NULL,
      "of an app whose tokens are refreshed: the first one; those that follow are stored" },
    { "admin.token", SL_OPT_SECRET, 0, NULL, 0, 0, NULL,
      "an access token that does not end; not used where admin.client_id stands" },
    { "admin.version", SL_OPT_STRING, 0, ADMIN_VERSION, 0, 0, NULL,
      "the Admin API's version; that it is served is checked" },
    { "admin.url", SL_OPT_URL, 0, NULL, 0, 0, NULL, "where it is, if not at the shop's domain" },
    { "admin.settle", SL_OPT_DURATION, 0, "2m", 0, 3600000, NULL,
      "how long its search may lag: a draft order that is not found by then is not there" },
    { CALLBACKS_SETTING, SL_OPT_SECRET, 0, NULL, 0, 0, NULL,
      "Shopify asks fulfilment services at /in/ENDPOINT/callbacks/SECRET/SERVICE: at least 16 "
      "letters, digits, '-' and '_'" },
    { 0 },
};

sl_status shopify_fail(sl_fail *fail, sl_status status, const char *format, ...)
{
    va_list args;

    if (!fail)
        return status;
    va_start(args, format);
    vsnprintf(fail->text, sizeof(fail->text), format, args);
    va_end(args);
    return status;
}

const sl_header *shopify_header(const sl_header *headers, size_t n_headers, const char *name,
                                size_t *ret_times)
{
    const sl_header *first = NULL;
    size_t len = strlen(name);

    *ret_times = 0;
    for (size_t i = 0; i < n_headers; i++) {
        if (headers[i].name.len != len || strncasecmp(headers[i].name.ptr, name, len) != 0)
            continue;
        if ((*ret_times)++ == 0)
            first = &headers[i];
    }
    return first;
}

static int shop_is_sane(sl_str shop)
{
    size_t suffix = strlen(SHOP_SUFFIX), name;

    if (shop.len <= suffix || shop.len > MAX_SHOP ||
        memcmp(shop.ptr + shop.len - suffix, SHOP_SUFFIX, suffix) != 0)
        return 0;
    name = shop.len - suffix;
    for (size_t i = 0; i < name; i++) {
        char c = shop.ptr[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && (c != '-' || i == 0))
            return 0;
    }
    return 1;
}

static sl_status check(const sl_values *values, const sl_values_api *api, sl_fail *fail)
{
    sl_str shop;
    sl_status r = api->str(values, "shop", &shop);

    if (r < 0)
        return shopify_fail(fail, r, "shop is not given");
    if (!shop_is_sane(shop))
        return shopify_fail(fail, SL_E_INVALID,
                            "shop: \"%.*s\" is not a shop's permanent domain; it reads "
                            "acme" SHOP_SUFFIX
                            ", in lower case, without https:// and not the "
                            "shop's own domain",
                            (int)(shop.len < 200 ? shop.len : 200), shop.ptr);
    return admin_check(values, api, fail);
}

static void shopify_close(void *self)
{
    if (self) {
        drafts_close(self);
        stock_close(self);
        deeds_close(self);
        feed_close(self);
        requests_close(self);
        audit_close(self);
        backfill_close(self);
        admin_close(self);
    }
    free(self);
}

static sl_status read_secrets(struct shopify *s, sl_fail *fail)
{
    const sl_host *h = s->host;
    sl_str secret;

    while (s->n_secrets < SL_VERIFY_MAX_SECRETS &&
           h->values->secret(h->settings, "webhook_secret", (uint32_t)s->n_secrets, &secret) ==
               SL_OK) {
        /* anyone can sign with an empty key */
        if (secret.len == 0)
            return shopify_fail(fail, SL_E_INVALID, "webhook_secret: entry %zu is empty",
                                s->n_secrets + 1);
        s->secrets[s->n_secrets++] = secret;
    }
    if (s->n_secrets == 0)
        return shopify_fail(fail, SL_E_INVALID, "webhook_secret holds no secret");
    return SL_OK;
}

static sl_status shopify_open(const sl_host *host, void **ret_self, sl_fail *fail)
{
    struct shopify *s = calloc(1, sizeof(*s));
    sl_status r = SL_E_NO_MEMORY;

    if (!s)
        goto out;
    s->host = host;
    if ((r = check(host->settings, host->values, fail)) < 0 || (r = read_secrets(s, fail)) < 0 ||
        (r = callbacks_open(s, fail)) < 0)
        goto out;
    host->values->str(host->settings, "shop", &s->shop);
    host->values->str(host->settings, "admin.url", &s->admin_url);
    host->values->num(host->settings, "admin.settle", &s->settle_ms);
    if ((r = admin_open(s, fail)) < 0)
        goto out;
    *ret_self = s;
    return SL_OK;
out:
    shopify_close(s);
    return r;
}

/* "order:acme.myshopify.com/450789469", "shop:acme.myshopify.com" */
static int shopify_owns(void *self, sl_str subject)
{
    const struct shopify *s = self;
    const char *colon = subject.len ? memchr(subject.ptr, ':', subject.len) : NULL;
    size_t at = colon ? (size_t)(colon - subject.ptr) + 1 : subject.len;

    return subject.len >= at + s->shop.len &&
           memcmp(subject.ptr + at, s->shop.ptr, s->shop.len) == 0 &&
           (subject.len == at + s->shop.len || subject.ptr[at + s->shop.len] == '/');
}

static const sl_ack ack = { .size = sizeof(ack), .status = 200 };

static const sl_plugin plugin = {
    .size = sizeof(plugin),
    .abi_minor = 1, /* an older host looks nothing up */
    .name = "shopify",
    .version = SLUICE_VERSION,
    .help = "a Shopify shop: takes what it says, does in it what suppliers and the CRM decide",
    .settings = settings,
    .actions = shopify_actions,
    .bind = shopify_bind,
    .unbind = shopify_unbind,
    .check = check,
    .open = shopify_open,
    .close = shopify_close,
    .verify = shopify_verify,
    .ack = &ack,
    .describe = shopify_describe,
    .prepare = shopify_prepare,
    .deliver = shopify_deliver,
    .resume = shopify_resume,
    .row_key = shopify_row_key,
    .parent_key = shopify_parent_key,
    .confirm = shopify_confirm,
    .check_action = shopify_check_action,
    .can_look_up = shopify_can_look_up,
    .lookup = shopify_lookup,
    .resolve = shopify_resolve,
    .serve = shopify_serve,
    .body_schema = shopify_body_schema,
    .cost = shopify_cost,
    .batching = shopify_batching,
    .probe = shopify_probe,
    .owns = shopify_owns,
    .can_backfill = shopify_can_backfill,
    .backfill = shopify_backfill,
    .feeds = shopify_feeds,
    .bind_feed = shopify_bind_feed,
    .unbind_feed = shopify_unbind_feed,
    .poll = shopify_poll,
    .probe_feed = shopify_probe_feed,
};

const sl_plugin *sl_plugin_v0(void)
{
    return &plugin;
}
