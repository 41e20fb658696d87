/*
 * probe.c - would it work? Login, address, version, permission, limits; then each route's object
 * and its key. Asks, and writes nothing. The functions stand in the order they happen.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "describe.h"
#include "match/contacts.h"

#define LOW_PCT      10
#define MAX_REQUIRED 8
#define KEY_LENGTH   36 /* what an id of a shop, or a UUID, needs */

struct probing {
    struct salesforce *sf;
    const struct action *action; /* NULL: the endpoint */
    struct action contacts;      /* what `contact.upsert` comes to */
    char contacts_key[96];
    const sl_probe_out *out;
    struct call call;
};

/* ---- saying -------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void find(struct probing *p, uint32_t level,
                                                       const char *format, ...)
{
    char line[900], safe[900];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    say(safe, sizeof(safe), "%s", line);
    p->out->finding(p->out->ctx, level, str_of(safe));
}

static void finish(struct probing *p)
{
    const sl_probe_out *out = p->out;

    probe_close(p->sf);
    out->finish(out->ctx);
}

void probe_close(struct salesforce *sf)
{
    free(sf->probing);
    sf->probing = NULL;
}

/* An answer that is no good. True: that was the end. */
static bool ends_it(struct probing *p, const struct answer *a)
{
    if (a->verdict == ANSWER_OK)
        return false;
    if (a->verdict == ANSWER_CANCELLED) { /* too late to be told */
        probe_close(p->sf);
        return true;
    }
    find(p, SL_FINDING_ERROR, "%s", a->why);
    finish(p);
    return true;
}

/* ---- the endpoint -------------------------------------------------------------------------- */

/* Comes last in its caller. */
static void ask(struct probing *p, const char *what, call_cb cb)
{
    sl_str version = p->sf->api_version;

    p->call = (struct call){
        .sf = p->sf, .method = str_of("GET"), .accept = "application/json", .cb = cb, .ctx = p
    };
    if (*what)
        snprintf(p->call.path, sizeof(p->call.path), "/services/data/v%.*s%s", (int)version.len,
                 version.ptr, what);
    else
        snprintf(p->call.path, sizeof(p->call.path), "/services/data");
    call_start(&p->call);
}

static void on_versions(void *ctx, const struct answer *a);
static void on_limits(void *ctx, const struct answer *a);

/* The list of versions is given to anybody, so that a wrong version is told from a missing right.
 */
static void on_versions(void *ctx, const struct answer *a)
{
    struct probing *p = ctx;
    struct salesforce *sf = p->sf;
    json_t *all, *one;
    const char *version, *newest = NULL;
    bool known = false;
    size_t i;

    if (ends_it(p, a))
        return;
    if (sf->flow == FLOW_JWT)
        find(p, SL_FINDING_GOOD, "logged in as %.*s at %s", (int)sf->username.len, sf->username.ptr,
             sf->session.base);
    else
        find(p, SL_FINDING_GOOD, "logged in at %s", sf->session.base);
    all = json_loadb(a->body.ptr ? a->body.ptr : "", a->body.len, 0, NULL);
    json_array_foreach(all, i, one)
    {
        version = json_string_value(json_object_get(one, "version"));
        known |= version && str_is(sf->api_version, version);
        newest = version ? version : newest;
    }
    if (!newest)
        find(p, SL_FINDING_ERROR,
             "%s/services/data gives no list of API versions: `instance` is "
             "not a Salesforce API host",
             sf->session.base);
    else if (!known)
        find(p, SL_FINDING_ERROR,
             "api_version %.*s is not one of this org's; the newest there is %s",
             (int)sf->api_version.len, sf->api_version.ptr, newest);
    else
        find(p, SL_FINDING_GOOD, "api_version %.*s (the newest there is %s)",
             (int)sf->api_version.len, sf->api_version.ptr, newest);
    json_decref(all);
    if (known)
        ask(p, "/limits", on_limits);
    else
        finish(p);
}

static void say_left(struct probing *p, const char *what, int64_t left, int64_t max)
{
    if (left < 0 || max < 0)
        return;
    find(p, left * 100 < max * LOW_PCT ? SL_FINDING_WARN : SL_FINDING_GOOD,
         "%lld of %lld %s are left", (long long)left, (long long)max, what);
}

static void on_limits(void *ctx, const struct answer *a)
{
    struct probing *p = ctx;
    struct limits l = { 0 };

    if (ends_it(p, a))
        return;
    if (limits_read(a->body, &l)) {
        say_left(p, "API requests in 24 hours", l.calls_left, l.calls_max);
        say_left(p, "batches of bulk ingest in 24 hours", l.batches_left, l.batches_max);
        say_left(p, "MB of data storage", l.storage_left_mb, l.storage_max_mb);
    } else {
        find(p, SL_FINDING_WARN, "what is left of the org's limits is not said");
    }
    finish(p);
}

/* ---- a route ------------------------------------------------------------------------------- */

static const char *may(const struct action *a, const struct description *d)
{
    switch (a->op) {
    case OP_INSERT:
        return d->createable ? NULL : "create";
    case OP_UPDATE:
        return d->updateable ? NULL : "update";
    case OP_UPSERT:
        return !d->createable ? "create" : d->updateable ? NULL : "update";
    default:
        return d->deletable ? NULL : "delete";
    }
}

static void check_key(struct probing *p, const struct description *d)
{
    const struct action *a = p->action;
    const struct field_info *f = description_field(d, str_of(a->external_id));

    if (str_is_nocase(str_of(a->external_id), "Id"))
        return;
    if (!f)
        find(p, SL_FINDING_ERROR,
             "external_id: %s has no field %s, or the integration user has no access to it: create "
             "it (text, External ID, Unique), or give access",
             a->object, a->external_id);
    else if (!(f->flags & (FIELD_EXTERNAL_ID | FIELD_ID_LOOKUP)))
        find(p, SL_FINDING_ERROR,
             "external_id: %s.%s is not an External ID: tick External ID and Unique at the field",
             a->object, f->name);
    else if (!(f->flags & FIELD_CREATEABLE))
        find(p, SL_FINDING_ERROR,
             "external_id: %s.%s cannot be written by the integration user: give it edit access to "
             "the field",
             a->object, f->name);
    else if (!(f->flags & FIELD_UNIQUE))
        find(p, a->op == OP_INSERT ? SL_FINDING_ERROR : SL_FINDING_WARN,
             "external_id: %s.%s is not Unique: two records of one key make every later upsert of "
             "it fail; tick Unique at the field",
             a->object, f->name);
    else if (f->length > 0 && f->length < KEY_LENGTH)
        find(p, SL_FINDING_WARN,
             "external_id: %s.%s takes %u characters only; longer keys would be "
             "refused",
             a->object, f->name, (unsigned)f->length);
    else
        find(p, SL_FINDING_GOOD, "external_id: %s.%s is an External ID, unique and writable",
             a->object, f->name);
}

/* What a map must set. */
static void say_required(struct probing *p, const struct description *d)
{
    struct text names = { 0 };
    size_t n = 0;

    for (size_t i = 0; i < d->n; i++) {
        if (!(d->fields[i].flags & FIELD_REQUIRED))
            continue;
        if (n++ < MAX_REQUIRED)
            text_printf(&names, "%s%s", names.len ? ", " : "", d->fields[i].name);
    }
    if (n > 0)
        find(p, SL_FINDING_GOOD, "a new %s needs %s%s: the route's map must set it",
             p->action->object, names.ptr ? names.ptr : "", n > MAX_REQUIRED ? ", ..." : "");
    text_finish(&names);
}

static void on_object(void *ctx, const struct description *d, const struct answer *refusal)
{
    struct probing *p = ctx;
    const struct action *a = p->action;
    const char *lacks = d ? may(a, d) : NULL;

    if (refusal) {
        ends_it(p, refusal);
        return;
    }
    if (lacks)
        find(
            p, SL_FINDING_ERROR,
            "the integration user may not %s a %s: give its profile or a permission set that right",
            lacks, a->object);
    else
        find(p, SL_FINDING_GOOD, "%s: %s is allowed", a->object, operation_names[a->op]);
    check_key(p, d);
    if (a->op == OP_UPSERT || a->op == OP_INSERT)
        say_required(p, d);
    finish(p);
}

/* ---- the adapter's probe() ----------------------------------------------------------------- */

static void begin(void *ctx)
{
    struct probing *p = ctx;

    if (p->action)
        describe_get(p->sf, p->action->object, false, on_object, p);
    else
        ask(p, "", on_versions);
}

/* Matching asks for contacts of its own accord; what it writes is a Contact by the shop's id. */
static void take_contacts(struct probing *p)
{
    const sl_host *h = p->sf->host;
    sl_str key = { 0 };

    h->values->str(h->settings, "contacts.external_id", &key);
    say(p->contacts_key, sizeof(p->contacts_key), "%.*s", (int)key.len, key.len ? key.ptr : "");
    p->contacts = (struct action){ .op = OP_UPSERT,
                                   .object = (char *)"Contact",
                                   .external_id = p->contacts_key };
    p->action = &p->contacts;
}

void probe(void *self, void *handle, const sl_probe_out *out)
{
    struct salesforce *sf = self;
    struct probing *p = calloc(1, sizeof(*p));

    if (p)
        *p = (struct probing){ .sf = sf, .action = handle, .out = out };
    if (p && contacts_is(handle))
        take_contacts(p);
    sf->probing = p;
    /* nothing is told before this returns; 0: the host is closing */
    if (p && sf->host->timer(sf->host->ctx, 0, begin, p))
        return;
    probe_close(sf);
    if (!p) {
        out->finding(out->ctx, SL_FINDING_ERROR, str_of("out of memory"));
        out->finish(out->ctx);
    }
}
