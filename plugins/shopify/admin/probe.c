/*
 * probe.c - would it work? The token, whose shop it is, the version served, the points that are
 * left; then of each route the scopes that its action needs. One question, asked once; changes
 * nothing.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions.h"
#include "admin/admin_int.h"
#include "shopify.h"

#define LOW_PCT   10
#define LINE_SIZE 1000

static const char who_are_we[] =
    "query { shop { name myshopifyDomain plan { publicDisplayName } }"
    " currentAppInstallation { accessScopes { handle } } }";

struct probing {
    struct shopify *s;
    const char *scopes; /* of a route's action; NULL: */
    int is_route;       /* ... it says none, or the endpoint is asked about */
    const sl_probe_out *out;
};

__attribute__((format(printf, 3, 4))) static void find(const struct probing *p, uint32_t level,
                                                       const char *format, ...)
{
    char line[LINE_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    p->out->finding(p->out->ctx, level, (sl_str){ line, strlen(line) });
}

static void finish(struct probing *p)
{
    const sl_probe_out *out = p->out;

    if (p->s->admin)
        p->s->admin->probing = NULL;
    free(p);
    out->finish(out->ctx);
}

void probe_close(struct admin *a)
{
    free(a->probing);
    a->probing = NULL;
}

/* ---- scopes -------------------------------------------------------------------------------- */

static int same(const char *a, const char *b, size_t len)
{
    return strlen(a) == len && memcmp(a, b, len) == 0;
}

/* Who may write may read. */
static int covers(const char *granted, const char *scope, size_t len)
{
    return same(granted, scope, len) ||
           (len > 5 && memcmp(scope, "read_", 5) == 0 && strncmp(granted, "write_", 6) == 0 &&
            same(granted + 6, scope + 5, len - 5));
}

static int is_granted(const json_t *granted, const char *scope, size_t len)
{
    const json_t *one;
    size_t i;

    json_array_foreach(granted, i, one)
    {
        const char *handle = json_string_value(json_object_get(one, "handle"));
        if (handle && covers(handle, scope, len))
            return 1;
    }
    return 0;
}

/* "write_orders", or "read_products|write_products": one of them. */
static int has_one_of(const json_t *granted, const char *term, size_t len)
{
    while (len > 0) {
        size_t n = 0;

        while (n < len && term[n] != '|')
            n++;
        if (is_granted(granted, term, n))
            return 1;
        term += n + (n < len);
        len -= n + (n < len);
    }
    return 0;
}

static void check_scopes(struct probing *p, const json_t *granted)
{
    unsigned missing = 0;

    for (const char *term = p->scopes; *term;) {
        size_t len = strcspn(term, " ");
        int one_of = memchr(term, '|', len) != NULL;

        if (len > 0 && !has_one_of(granted, term, len)) {
            missing++;
            find(p, SL_FINDING_ERROR,
                 "the app lacks the scope %.*s%s: add it to the app's scopes, release a version of "
                 "the app with it, and have the shop accept it",
                 (int)len, term, one_of ? " (one of these)" : "");
        }
        term += len;
        term += strspn(term, " ");
    }
    if (!missing)
        find(p, SL_FINDING_GOOD, "the app has the scopes that this needs: %s", p->scopes);
}

/* What resolve() asks for; without it these events wait. */
static void check_resolving(struct probing *p, const json_t *granted)
{
    static const char *const asked[][2] = {
        { "fulfillment_orders/* and fulfillment_holds/*",
          "read_merchant_managed_fulfillment_orders|read_assigned_fulfillment_orders|"
          "read_third_party_fulfillment_orders" },
        { "returns/*", "read_returns" },
    };

    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
        if (!has_one_of(granted, asked[i][1], strlen(asked[i][1])))
            find(p, SL_FINDING_WARN,
                 "events %s would wait, should the shop send any: to ask whose they are the app "
                 "lacks the scope %s%s",
                 asked[i][0], asked[i][1], strchr(asked[i][1], '|') ? " (one of these)" : "");
}

static void list_scopes(struct probing *p, const json_t *granted)
{
    char all[LINE_SIZE - 100] = "";
    const json_t *one;
    size_t i, len = 0;

    json_array_foreach(granted, i, one)
    {
        const char *handle = json_string_value(json_object_get(one, "handle"));
        if (handle && len < sizeof(all) - 1)
            len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", len ? ", " : "", handle);
    }
    find(p, *all ? SL_FINDING_GOOD : SL_FINDING_WARN, "scopes: %s", *all ? all : "none");
    if (is_granted(granted, "read_orders", 11) && !is_granted(granted, "read_all_orders", 15))
        find(p, SL_FINDING_WARN,
             "without the scope read_all_orders the shop shows only orders of the last 60 days");
}

/* ---- the endpoint -------------------------------------------------------------------------- */

static void check_version(const struct probing *p)
{
    const struct shopify *s = p->s;
    const char *served = s->admin->served;

    if (!*served)
        find(p, SL_FINDING_WARN, "the shop does not say which version of the Admin API it serves");
    else if (same(served, s->version.ptr, s->version.len))
        find(p, SL_FINDING_GOOD, "version %s of the Admin API", served);
    else
        find(p, SL_FINDING_WARN,
             "the shop serves version %s of the Admin API, not %.*s: set admin.version to one that "
             "is supported",
             served, (int)s->version.len, s->version.ptr);
}

static void check_shop(const struct probing *p, const json_t *data)
{
    const json_t *shop = json_object_get(data, "shop");
    const char *name = json_string_value(json_object_get(shop, "name"));
    const char *domain = json_string_value(json_object_get(shop, "myshopifyDomain"));
    const json_t *plan = json_object_get(shop, "plan");
    const char *plan_name = json_string_value(json_object_get(plan, "publicDisplayName"));

    if (domain && !same(domain, p->s->shop.ptr, p->s->shop.len))
        find(p, SL_FINDING_ERROR, "the credentials are of the shop %.100s, not of %.*s", domain,
             (int)p->s->shop.len, p->s->shop.ptr);
    else
        find(p, SL_FINDING_GOOD, "asked by %s: shop %.100s%s%.60s%s",
             token_kind(p->s->admin->token), name ? name : "without a name",
             plan_name ? " (plan " : "", plan_name ? plan_name : "", plan_name ? ")" : "");
}

static void check_points(const struct probing *p)
{
    long long left = p->s->admin->left, most = p->s->admin->most;

    if (left < 0 || most <= 0)
        find(p, SL_FINDING_WARN, "the shop does not say how many points are left");
    else
        find(p, left * 100 < most * LOW_PCT ? SL_FINDING_WARN : SL_FINDING_GOOD,
             "%lld of %lld points are left", left, most);
}

/* ---- asking -------------------------------------------------------------------------------- */

static void on_answer(void *ctx, const struct admin_answer *a)
{
    struct probing *p = ctx;
    const json_t *app = json_object_get(a->data, "currentAppInstallation");
    const json_t *granted = json_object_get(app, "accessScopes");

    if (a->verdict != ADMIN_OK) {
        find(p, SL_FINDING_ERROR, "%s", a->why);
    } else if (p->is_route) {
        check_scopes(p, granted);
    } else {
        check_shop(p, a->data);
        if (token_has_unused(p->s->admin->token))
            find(p, SL_FINDING_WARN, TOKEN_UNUSED);
        check_version(p);
        list_scopes(p, granted);
        check_resolving(p, granted);
        check_points(p);
    }
    finish(p);
}

static void ask(void *ctx)
{
    struct probing *p = ctx;
    sl_status r;

    if (!p->s->admin) {
        find(p, p->is_route ? SL_FINDING_ERROR : SL_FINDING_GOOD,
             "no credentials of the Admin API: it takes webhooks, and asks the shop nothing");
        finish(p);
        return;
    }
    if (p->is_route && !p->scopes) {
        finish(p);
        return;
    }
    r = admin_ask(p->s, who_are_we, json_object(), on_answer, p);
    if (r == SL_OK)
        return;
    if (r == SL_E_UNSUPPORTED)
        find(p, SL_FINDING_WARN,
             "not tried: each use of a refresh token gives another one, which only the running "
             "daemon stores");
    else
        find(p, SL_FINDING_ERROR, "the shop could not be asked");
    finish(p);
}

void shopify_probe(void *self, void *handle, const sl_probe_out *out)
{
    struct shopify *s = self;
    struct probing *p = calloc(1, sizeof(*p));

    if (p)
        *p = (struct probing){ .s = s,
                               .scopes = handle ? shopify_scopes(handle) : NULL,
                               .is_route = handle != NULL,
                               .out = out };
    if (p && s->admin)
        s->admin->probing = p;
    /* nothing is told before this returns; 0: the host is closing */
    if (p && s->host->timer(s->host->ctx, 0, ask, p))
        return;
    if (p && s->admin)
        s->admin->probing = NULL;
    free(p);
    if (!p) {
        static const char why[] = "out of memory";
        out->finding(out->ctx, SL_FINDING_ERROR, (sl_str){ why, sizeof(why) - 1 });
        out->finish(out->ctx);
    }
}
