/*
 * metafields.c - metafields.set. Up to 25 metafields a call, of as many deliveries as there is room
 * for; a call is done as a whole or not at all. Which of them the shop refuses stands in its
 * errors: those are told, and the others go again without them.
 *
 * Writing the same again does no harm. Where a digest is compared the second time is refused as
 * stale: then the value is read, and what stands there as it was to be was done.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "body_table.h"
#include "orders/deed.h"
#include "orders/orders.h"
#include "orders/owner.h"
#include "shopify.h"

#define WHY_SIZE 480

static const struct body_member field_members[] = {
    { "namespace", BODY_TEXT, .min = 3, .max = 255, .help = "without it: the app's own" },
    { "key", BODY_TEXT, BODY_REQUIRED, 2, 64, .help = "the metafield's key" },
    { "type", BODY_TEXT, .min = 1, .max = 100,
      .help = "such as single_line_text_field; without it: the definition's" },
    { "value", BODY_JSON, BODY_REQUIRED, .help = "a text; anything else is written as JSON" },
    { "compare_digest", BODY_TEXT, .min = 1, .max = 255,
      .help = "only if this is what is there: its compareDigest as it was read" },
    { "must_be_new", BODY_BOOL, .help = "only if there is none yet" },
    { 0 },
};
static const struct body_shape field_shape = { .members = field_members };
static const struct body_member members[] = {
    OWNER_MEMBERS,
    { "metafields", BODY_OBJECT, BODY_REQUIRED, .shape = &field_shape, .items = METAFIELDS_AT_ONCE,
      .help = "of that owner; all of them are written, or none" },
    { 0 },
};
static const struct body_shape shape = { .members = members, .one_of = OWNER_ONE_OF };

static const char metafields_set[] =
    "mutation MetafieldsSet($metafields: [MetafieldsSetInput!]!) {"
    " metafieldsSet(metafields: $metafields) { metafields { id key namespace }"
    " userErrors { code elementIndex field message } } }";
static const char metafield_of[] =
    "query MetafieldOf($id: ID!, $namespace: String, $key: String!) { node(id: $id) { id"
    " ... on HasMetafields { metafield(namespace: $namespace, key: $key) { id value } } } }";

static const struct refusal_rule refusals[] = {
    { "STALE_OBJECT", NULL, REFUSAL_STATE,
      "somebody has changed it since compare_digest was read: read it again" },
    { "INVALID_COMPARE_DIGEST", NULL, REFUSAL_GOOD, "compare_digest: it is not one of the shop's" },
    { "TAKEN", NULL, REFUSAL_STATE, "there is one already" },
    { "APP_NOT_AUTHORIZED", NULL, REFUSAL_GOOD, "the app may not write this owner or namespace" },
    { "INVALID_TYPE", NULL, REFUSAL_GOOD, "type: it is not the definition's, or there is none" },
    { 0 },
};

/** A record of the batch. */
struct item {
    json_t *fields; /* own: MetafieldsSetInput of each; NULL: it was told */
    size_t at, n;   /* its part of the call that is under way; n 0: none */
    int stale;      /* refused as such: its values are read */
    char why[WHY_SIZE];
};

/** A batch under way. */
struct setting {
    struct shopify *s;
    uint32_t priority; /* of its questions */
    const sl_done *done;
    size_t n;
    int single;   /* one delivery a call: which one was refused could not be told */
    size_t asked; /* the stale item, and the field of it, that is asked about */
    size_t field;
    struct item items[];
};

static void send(struct setting *w);

/* ---- outcomes ------------------------------------------------------------------------------ */

static sl_str view(const char *s)
{
    return (sl_str){ s, s ? strlen(s) : 0 };
}

static const char *text(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    return s ? s : "";
}

static void tell(struct setting *w, size_t i, sl_outcome o)
{
    o.size = sizeof(o);
    w->done->outcome(w->done->ctx, i, &o);
    json_decref(w->items[i].fields);
    w->items[i].fields = NULL;
    w->items[i].n = 0;
}

static void tell_refused(struct setting *w, size_t i, const char *why)
{
    tell(w, i, (sl_outcome){ .kind = SL_REJECTED, .status = 200, .why = view(why) });
}

static void finish(struct setting *w)
{
    const sl_done *done = w->done;

    for (size_t i = 0; i < w->n; i++)
        json_decref(w->items[i].fields);
    free(w);
    done->finish(done->ctx);
}

/* What could not be sent at all says nothing of any of them. */
static void tell_rest(struct setting *w, sl_outcome o)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->items[i].fields)
            tell(w, i, o);
    finish(w);
}

static void no_data(struct setting *w, const struct admin_answer *a, int wrote)
{
    sl_outcome o = { .after_ms = a->after_ms, .status = a->status, .why = view(a->why) };

    if (a->verdict == ADMIN_PARK) {
        w->done->park(w->done->ctx, view(a->why), a->after_ms);
        finish(w);
        return;
    }
    if (a->verdict == ADMIN_PERHAPS && wrote) {
        o.kind = SL_UNKNOWN;
        for (size_t i = 0; i < w->n; i++)
            if (w->items[i].n)
                tell(w, i, o);
        send(w);
        return;
    }
    o.kind = a->verdict == ADMIN_THROTTLED ? SL_THROTTLED : SL_RETRY;
    o.not_sent = 1;
    tell_rest(w, o);
}

/* ---- the bodies ---------------------------------------------------------------------------- */

/* A metafield's value is a text, whatever its type. A decimal as a number was through a double. */
static json_t *value_text(json_t *value, char *why, size_t at)
{
    char *all;
    json_t *to;

    if (json_is_string(value))
        return json_incref(value);
    if (json_is_real(value)) {
        snprintf(why, WHY_SIZE,
                 "metafields[%zu].value: a decimal is given as text, such as "
                 "\"19.90\"",
                 at);
        return NULL;
    }
    all = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    to = all ? json_string(all) : NULL;
    free(all);
    if (!to)
        snprintf(why, WHY_SIZE, "metafields[%zu].value: it cannot be written as JSON", at);
    return to;
}

static json_t *field_input(json_t *owner, const json_t *from, char *why, size_t at)
{
    json_t *digest = json_object_get(from, "compare_digest"), *to, *value;
    int is_new = json_is_true(json_object_get(from, "must_be_new"));

    if (digest && is_new) {
        snprintf(why, WHY_SIZE, "metafields[%zu]: compare_digest, or must_be_new, not both", at);
        return NULL;
    }
    value = value_text(json_object_get(from, "value"), why, at);
    if (!value)
        return NULL;
    to = json_pack("{s:O,s:O,s:O*,s:O*,s:o,s:O*}", "ownerId", owner, "key",
                   json_object_get(from, "key"), "namespace", json_object_get(from, "namespace"),
                   "type", json_object_get(from, "type"), "value", value, "compareDigest", digest);
    if (is_new)
        json_object_set_new(to, "compareDigest", json_null()); /* absent is no comparison */
    return to;
}

/* Own; NULL: `why`. */
static json_t *read_fields(sl_str body, char *why)
{
    json_t *taken = NULL, *list, *owner, *to;

    if (body_take(body, &shape, &taken, why, WHY_SIZE) < 0)
        return NULL;
    owner = owner_of(taken);
    list = json_object_get(taken, "metafields");
    to = json_array();
    if (!owner)
        snprintf(why, WHY_SIZE, "id: it wants a GID, such as gid://shopify/Order/450789469");
    for (size_t i = 0; i < json_array_size(list) && owner && to; i++) {
        json_t *one = field_input(owner, json_array_get(list, i), why, i);

        if (one && json_array_append_new(to, one) == 0)
            continue;
        owner = NULL;
    }
    json_decref(taken);
    if (!owner) {
        json_decref(to);
        return NULL;
    }
    return to;
}

/* ---- what is stale: is it as it was to be? --------------------------------------------------- */

static void ask_stale(struct setting *w);

static void on_stale(void *ctx, const struct admin_answer *a)
{
    struct setting *w = ctx;
    struct item *item = &w->items[w->asked];
    const json_t *there, *wanted;

    if (a->verdict != ADMIN_OK) {
        no_data(w, a, 0);
        return;
    }
    wanted = json_array_get(item->fields, w->field);
    there = json_object_get(json_object_get(a->data, "node"), "metafield");
    if (!json_is_object(there) ||
        !json_equal(json_object_get(there, "value"), json_object_get(wanted, "value"))) {
        tell_refused(w, w->asked, item->why);
        w->field = 0;
    } else if (++w->field >= json_array_size(item->fields)) {
        tell(w, w->asked,
             (sl_outcome){
                 .kind = SL_DELIVERED, .status = 200, .reference = view(text(there, "id")) });
        w->field = 0;
    }
    ask_stale(w);
}

static void ask_stale(struct setting *w)
{
    const json_t *field;
    json_t *variables;

    for (w->asked = 0; w->asked < w->n; w->asked++)
        if (w->items[w->asked].stale && w->items[w->asked].fields)
            break;
    if (w->asked == w->n) {
        send(w);
        return;
    }
    field = json_array_get(w->items[w->asked].fields, w->field);
    variables = json_pack("{s:O,s:O,s:O*}", "id", json_object_get(field, "ownerId"), "key",
                          json_object_get(field, "key"), "namespace",
                          json_object_get(field, "namespace"));
    if (admin_ask_as(w->s, w->priority, metafield_of, variables, on_stale, w) < 0)
        tell_rest(w, (sl_outcome){ .kind = SL_RETRY,
                                   .not_sent = 1,
                                   .why = view("the request could not be made") });
}

/* ---- the call ------------------------------------------------------------------------------ */

/* Which of the call's metafields an error is about; -1: it does not say. */
static long element_of(const json_t *error)
{
    const json_t *index = json_object_get(error, "elementIndex");
    const char *part = json_string_value(json_array_get(json_object_get(error, "field"), 1));
    char *end;
    long n;

    if (json_is_integer(index))
        return (long)json_integer_value(index);
    if (!part || !*part)
        return -1;
    n = strtol(part, &end, 10);
    return *end ? -1 : n;
}

/* The errors of one delivery, each with its own place in it. */
static json_t *errors_of(const struct item *item, const json_t *errors)
{
    json_t *to = json_array();

    for (size_t i = 0; i < json_array_size(errors); i++) {
        const json_t *error = json_array_get(errors, i);
        const json_t *field = json_object_get(error, "field");
        long at = element_of(error);
        json_t *copy;

        if (at < (long)item->at || at >= (long)(item->at + item->n))
            continue;
        copy = json_pack("{s:O*,s:O*,s:[so]}", "code", json_object_get(error, "code"), "message",
                         json_object_get(error, "message"), "field", "metafields",
                         json_sprintf("%ld", at - (long)item->at));
        for (size_t k = 2; k < json_array_size(field); k++)
            json_array_append(json_object_get(copy, "field"), json_array_get(field, k));
        json_array_append_new(to, copy);
    }
    return to;
}

static void be_refused(struct setting *w, size_t i, const json_t *errors)
{
    struct item *item = &w->items[i];
    enum refusal why = refusal_of(errors, refusals, item->why, sizeof(item->why));

    if (why == REFUSAL_STATE)
        item->stale = 1;
    else if (why == REFUSAL_LATER || why == REFUSAL_DOUBT)
        tell(w, i, (sl_outcome){ .kind = SL_RETRY, .not_sent = 1, .why = view(item->why) });
    else
        tell_refused(w, i, item->why);
}

/* Whose errors they are; what has none goes again, without the others. */
static void take_errors(struct setting *w, const json_t *errors)
{
    size_t members = 0, last = 0, blamed = 0;

    for (size_t i = 0; i < w->n; i++) {
        struct item *item = &w->items[i];
        json_t *own;

        if (!item->n)
            continue;
        members++;
        last = i;
        own = errors_of(item, errors);
        if (json_array_size(own)) {
            blamed++;
            be_refused(w, i, own);
        }
        json_decref(own);
        item->n = 0;
    }
    if (!blamed && members == 1)
        be_refused(w, last, errors);
    else if (!blamed)
        w->single = 1;
}

static void be_done(struct setting *w, const json_t *written)
{
    for (size_t i = 0; i < w->n; i++) {
        const json_t *first = json_array_get(written, w->items[i].at);

        if (w->items[i].n)
            tell(w, i,
                 (sl_outcome){
                     .kind = SL_DELIVERED, .status = 200, .reference = view(text(first, "id")) });
    }
}

static void refused_whole(struct setting *w, const struct admin_answer *a)
{
    size_t members = 0;

    for (size_t i = 0; i < w->n; i++)
        members += w->items[i].n != 0;
    for (size_t i = 0; i < w->n; i++) {
        if (w->items[i].n && members == 1)
            tell_refused(w, i, a->why);
        w->items[i].n = 0;
    }
    w->single = 1;
}

static void on_set(void *ctx, const struct admin_answer *a)
{
    struct setting *w = ctx;
    const json_t *payload = json_object_get(a->data, "metafieldsSet");
    const json_t *errors = json_object_get(payload, "userErrors");

    if (a->verdict == ADMIN_REFUSED) {
        refused_whole(w, a);
    } else if (a->verdict != ADMIN_OK) {
        no_data(w, a, 1);
        return;
    } else if (json_array_size(errors)) {
        take_errors(w, errors);
    } else if (json_is_array(json_object_get(payload, "metafields"))) {
        be_done(w, json_object_get(payload, "metafields"));
    } else {
        struct admin_answer odd = { .verdict = ADMIN_PERHAPS,
                                    .why = "HTTP 200, and neither metafields nor errors in it" };
        no_data(w, &odd, 1);
        return;
    }
    ask_stale(w);
}

/* The same metafield twice in a call: the later delivery waits for the next one. */
static int is_in(const json_t *call, const json_t *fields)
{
    for (size_t i = 0; i < json_array_size(fields); i++)
        for (size_t k = 0; k < json_array_size(call); k++) {
            const json_t *a = json_array_get(fields, i), *b = json_array_get(call, k);

            if (strcmp(text(a, "ownerId"), text(b, "ownerId")) == 0 &&
                strcmp(text(a, "key"), text(b, "key")) == 0 &&
                strcmp(text(a, "namespace"), text(b, "namespace")) == 0)
                return 1;
        }
    return 0;
}

/* The next call, in the order of the batch; its end when nothing is left. */
static void send(struct setting *w)
{
    json_t *call = json_array();
    size_t taken = 0;

    for (size_t i = 0; i < w->n && call && !(w->single && taken); i++) {
        struct item *item = &w->items[i];
        size_t n = json_array_size(item->fields);

        if (!item->fields)
            continue;
        if (json_array_size(call) + n > METAFIELDS_AT_ONCE || is_in(call, item->fields))
            break;
        item->at = json_array_size(call);
        item->n = n;
        json_array_extend(call, item->fields);
        taken++;
    }
    if (call && taken == 0) {
        json_decref(call);
        finish(w);
        return;
    }
    if (admin_ask_as(w->s, w->priority, metafields_set, json_pack("{s:o}", "metafields", call),
                     on_set, w) < 0)
        tell_rest(w, (sl_outcome){ .kind = SL_RETRY,
                                   .not_sent = 1,
                                   .why = view("the request could not be made") });
}

/* ---- deliver ------------------------------------------------------------------------------- */

static void deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done)
{
    struct setting *w = calloc(1, sizeof(*w) + batch->n_records * sizeof(w->items[0]));

    (void)handle;
    if (!w) {
        for (size_t i = 0; i < batch->n_records; i++)
            done->outcome(done->ctx, i,
                          &(sl_outcome){ .size = sizeof(sl_outcome),
                                         .kind = SL_RETRY,
                                         .not_sent = 1,
                                         .why = view("out of memory") });
        done->finish(done->ctx);
        return;
    }
    w->s = self;
    w->priority = admin_priority(batch);
    w->done = done;
    w->n = batch->n_records;
    for (size_t i = 0; i < w->n; i++) {
        struct item *item = &w->items[i];

        item->fields = read_fields(batch->records[i].request, item->why);
        if (!item->fields)
            tell_refused(w, i, item->why[0] ? item->why : "out of memory");
    }
    send(w);
}

static sl_status bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail)
{
    (void)in, (void)fail;
    *ret_handle = NULL;
    return SL_OK;
}

static void unbind(void *handle)
{
    (void)handle;
}

const struct shopify_action metafields_set_action = {
    .body = &shape, .bind = bind, .unbind = unbind, .deliver = deliver
};
