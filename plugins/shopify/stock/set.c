/*
 * set.c - the action `inventory.set`: levels as a supplier or the ERP says them.
 *
 *   bodies -> items of their SKUs -> what is there -> checkpoint -> inventorySetQuantities
 *
 * A level is only written over what was read (`changeFromQuantity`): where the shop has sold or
 * corrected something in between, the mutation is refused, that level is read again, and what has
 * changed stays in what is written. The rows are a checkpoint before they are sent: after a crash
 * the same rows go out with the same idempotency key, and nothing is read into them that they
 * have done themselves.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/idempotent.h"
#include "shopify.h"
#include "stock/stock.h"

#define WHY_SIZE   400
#define LATER      1000 /* ms; rows that collided with another writer's, or whose answer was lost */
#define LATER_MOST 5    /* times in a batch's life; then its levels are read anew */
#define GATHERS    1000 /* ms; one level costs as many calls and nearly as many points as 250 */

static const char set_quantities[] =
    "mutation InventorySetQuantities($input: InventorySetQuantitiesInput!, $key: String!) {"
    " inventorySetQuantities(input: $input) @idempotent(key: $key) {"
    " inventoryAdjustmentGroup { id } userErrors { code field message } } }";

/** One batch under way. */
struct push {
    struct push *next, **link; /* in shopify.pushes */
    struct shopify *s;
    const struct set_handle *h;
    const sl_batch *batch;
    const sl_done *done;
    uint32_t priority;      /* of its questions */
    json_t **bodies;        /* own, one for each record */
    json_t *skus, *places;  /* own: {"SKU": item}, {"name": location} */
    struct stock_row *rows; /* own */
    size_t n;
    size_t sent[STOCK_ROWS]; /* rows of the mutation, in its order */
    size_t n_sent;
    json_t *input; /* own: of the mutation */
    unsigned renewal, rounds, later;
    uint64_t timer; /* 0: none */
};

/* ---- life ---------------------------------------------------------------------------------- */

static sl_str view(const char *s)
{
    return (sl_str){ s, s ? strlen(s) : 0 };
}

static void push_free(struct push *p)
{
    if (p->timer)
        p->s->host->timer_cancel(p->s->host->ctx, p->timer);
    *p->link = p->next;
    if (p->next)
        p->next->link = p->link;
    for (size_t i = 0; p->bodies && i < p->batch->n_records; i++)
        json_decref(p->bodies[i]);
    free(p->bodies);
    free(p->rows);
    json_decref(p->skus);
    json_decref(p->places);
    json_decref(p->input);
    free(p);
}

void stock_close(struct shopify *s)
{
    while (s->pushes)
        push_free(s->pushes);
    json_decref(s->items);
    json_decref(s->places);
    s->items = s->places = NULL;
}

static struct push *push_new(struct shopify *s, const struct set_handle *h, const sl_batch *batch,
                             const sl_done *done)
{
    struct push *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    *p = (struct push){ .s = s,
                        .h = h,
                        .batch = batch,
                        .done = done,
                        .priority = admin_priority(batch),
                        .bodies = calloc(batch->n_records, sizeof(*p->bodies)),
                        .rows = calloc(batch->n_records, sizeof(*p->rows)),
                        .skus = json_object(),
                        .places = json_object(),
                        .next = s->pushes,
                        .link = &s->pushes };
    if (p->next)
        p->next->link = &p->next;
    s->pushes = p;
    if (p->bodies && p->rows && p->skus && p->places)
        return p;
    free(p->bodies);
    p->bodies = NULL;
    push_free(p);
    return NULL;
}

/* ---- outcomes ------------------------------------------------------------------------------ */

static void tell(struct push *p, struct stock_row *row, const sl_outcome *o)
{
    row->state = STOCK_TOLD;
    p->done->outcome(p->done->ctx, row->record, o);
}

static void finish(struct push *p)
{
    const sl_done *done = p->done;

    push_free(p);
    done->finish(done->ctx);
}

/* All that have no outcome yet, and the end. */
static void finish_with(struct push *p, const sl_outcome *o)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->rows[i].state != STOCK_TOLD)
            tell(p, &p->rows[i], o);
    finish(p);
}

/* Setting a level again is harmless: it is read anew before. */
static void finish_again(struct push *p, const char *why, int64_t after_ms, int not_sent)
{
    sl_outcome o = { .size = sizeof(o),
                     .kind = SL_RETRY,
                     .after_ms = after_ms,
                     .not_sent = (uint32_t)not_sent,
                     .why = view(why) };

    finish_with(p, &o);
}

static void reject(struct push *p, struct stock_row *row, const char *why)
{
    sl_outcome o = { .size = sizeof(o), .kind = SL_REJECTED, .status = 200, .why = view(why) };

    tell(p, row, &o);
}

/* An answer without data. */
static void finish_failed(struct push *p, const struct admin_answer *a)
{
    sl_outcome o = { .size = sizeof(o),
                     .kind = SL_RETRY,
                     .after_ms = a->after_ms,
                     .status = a->status,
                     .why = view(a->why) };
    size_t open = 0;

    for (size_t i = 0; i < p->n; i++)
        open += p->rows[i].state != STOCK_TOLD;
    if (a->verdict == ADMIN_PARK) {
        p->done->park(p->done->ctx, view(a->why), a->after_ms);
        finish(p);
        return;
    }
    if (a->verdict == ADMIN_THROTTLED)
        o.kind = SL_THROTTLED;
    else if (a->verdict == ADMIN_REFUSED && open == 1)
        o.kind = SL_REJECTED;
    else if (a->verdict == ADMIN_REFUSED)
        o.narrow = 1; /* one of them is the reason: each goes alone, and is refused alone */
    o.not_sent = a->verdict == ADMIN_NOT_DONE || o.narrow;
    finish_with(p, &o);
}

/* ---- what is written ----------------------------------------------------------------------- */

static void read_levels(struct push *p);
static void send(struct push *p);

static void on_later(void *ctx)
{
    struct push *p = ctx;

    p->timer = 0;
    send(p);
}

/* It is done, or is being done, or not: the same rows under the same key are done once. Read anew
 * they would not: what the shop has sold since they were written would be taken back. */
static void send_later(struct push *p, const char *why, int64_t after_ms)
{
    const sl_host *h = p->s->host;

    if (p->later++ < LATER_MOST)
        p->timer = h->timer(h->ctx, after_ms > LATER ? after_ms : LATER, on_later, p);
    if (!p->timer)
        finish_again(p, why, after_ms, 0);
}

/* "…: field: message" of a row that the shop does not take. */
static void reject_as_told(struct push *p, struct stock_row *row, const json_t *error)
{
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));
    char why[WHY_SIZE];

    snprintf(why, sizeof(why), "%.100s%s%.40s at %.40s: %.200s", row->sku ? "SKU " : "",
             row->sku ? row->sku : row->item + strlen(ITEM_GID), "",
             row->location + strlen(PLACE_GID),
             message ? message
             : code  ? code
                     : "refused");
    reject(p, row, why);
}

/* ["input", "quantities", "3", "changeFromQuantity"]: the row; NULL: it is about all of them. */
static struct stock_row *row_of(struct push *p, const json_t *error)
{
    const json_t *field = json_object_get(error, "field");
    const char *list = json_string_value(json_array_get(field, 1));
    const char *index = json_string_value(json_array_get(field, 2));
    char *end;
    unsigned long i;

    if (!list || strcmp(list, "quantities") != 0 || !index || !*index)
        return NULL;
    i = strtoul(index, &end, 10);
    return *end || i >= p->n_sent ? NULL : &p->rows[p->sent[i]];
}

static void mark_stale(struct push *p, struct stock_row *row)
{
    for (size_t i = 0; i < p->n_sent; i++)
        if ((!row || row == &p->rows[p->sent[i]]) && p->rows[p->sent[i]].state == STOCK_READY)
            p->rows[p->sent[i]].state = STOCK_STALE;
}

/** What the errors leave to do. */
struct refused {
    const char *again; /* all of it later: why; NULL: not */
    int renew;         /* the same, with another key */
};

/* What was done with the key is not known here: a level that is as it is to be may be our doing. */
static void mark_perhaps(struct push *p)
{
    for (size_t i = 0; i < p->n_sent; i++)
        p->rows[p->sent[i]].perhaps = 1;
}

static void take_error(struct push *p, const json_t *error, struct refused *to)
{
    const char *code = json_string_value(json_object_get(error, "code"));
    struct stock_row *row = row_of(p, error);

    switch (idempotent_after(code)) {
    case IDEMPOTENT_SAME:
        to->again = "the shop is busy with these levels";
        return;
    case IDEMPOTENT_MISUSED: /* the rows are part of the key: not of ours */
        mark_perhaps(p);
        to->renew = 1;
        return;
    case IDEMPOTENT_NEW:
        to->renew = 1;
        return;
    case IDEMPOTENT_REREAD:
        mark_stale(p, row);
        return;
    case IDEMPOTENT_NOTHING:
        break;
    }
    for (size_t i = 0; i < p->n_sent; i++)
        if ((!row || row == &p->rows[p->sent[i]]) && p->rows[p->sent[i]].state != STOCK_TOLD)
            reject_as_told(p, &p->rows[p->sent[i]], error);
}

static void tell_written(struct push *p, const json_t *payload)
{
    const char *group = json_string_value(
        json_object_get(json_object_get(payload, "inventoryAdjustmentGroup"), "id"));
    sl_outcome o = {
        .size = sizeof(o), .kind = SL_DELIVERED, .status = 200, .reference = view(group)
    };

    for (size_t i = 0; i < p->n_sent; i++)
        tell(p, &p->rows[p->sent[i]], &o);
    finish(p);
}

static void on_written(void *ctx, const struct admin_answer *a)
{
    struct push *p = ctx;
    const json_t *payload = json_object_get(a->data, "inventorySetQuantities");
    const json_t *errors = json_object_get(payload, "userErrors");
    struct refused refused = { 0 };

    if (a->verdict == ADMIN_PERHAPS) {
        send_later(p, a->why, a->after_ms);
        return;
    }
    if (a->verdict != ADMIN_OK) {
        finish_failed(p, a);
        return;
    }
    if (!json_is_object(payload)) {
        send_later(p, "an answer without inventorySetQuantities", 0);
        return;
    }
    if (json_array_size(errors) == 0) {
        tell_written(p, payload);
        return;
    }
    for (size_t i = 0; i < json_array_size(errors); i++)
        take_error(p, json_array_get(errors, i), &refused);
    p->renewal += refused.renew;
    if (refused.again)
        send_later(p, refused.again, 0);
    else if (++p->rounds > IDEMPOTENT_RENEWALS)
        finish_again(p, "these levels change in the shop faster than they can be set", LATER, 1);
    else
        read_levels(p); /* of what is stale; the rest is as it was read */
}

/* The key has the rows in it: other rows are another step. */
static void send(struct push *p)
{
    char *rows = json_dumps(json_object_get(p->input, "quantities"), JSON_COMPACT);
    char key[IDEMPOTENT_KEY_SIZE];
    json_t *variables = NULL;

    if (rows && idempotent_key(p->batch->records[0].key, view(rows), p->renewal, key) == SL_OK)
        variables = json_pack("{s:O,s:s}", "input", p->input, "key", key);
    free(rows);
    if (admin_ask_as(p->s, p->priority, set_quantities, variables, on_written, p) < 0)
        finish_again(p, "the request could not be made", 0, 1);
}

static void on_durable(void *ctx, sl_status status)
{
    struct push *p = ctx;

    if (status == SL_OK)
        send(p);
    else
        finish_again(p, "the rows could not be stored", 0, 1);
}

/* ---- the rows ------------------------------------------------------------------------------ */

/* [record, "item", "location", from or null, to]; in a token ids are their digits. */
static json_t *token_of(const struct push *p)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < p->n_sent; i++) {
        const struct stock_row *r = &p->rows[p->sent[i]];

        json_array_append_new(rows,
                              json_pack("[I,s,s,o,I]", (json_int_t)r->record,
                                        r->item + strlen(ITEM_GID), r->location + strlen(PLACE_GID),
                                        r->has_level ? json_integer(r->there) : json_null(),
                                        (json_int_t)r->want));
    }
    return json_pack("{s:i,s:o}", "renewal", (int)p->renewal, "rows", rows);
}

static json_t *input_of(const struct push *p)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < p->n_sent; i++) {
        const struct stock_row *r = &p->rows[p->sent[i]];

        if (json_array_append_new(
                rows, json_pack("{s:s,s:s,s:I,s:o}", "inventoryItemId", r->item, "locationId",
                                r->location, "quantity", (json_int_t)r->want, "changeFromQuantity",
                                r->has_level ? json_integer(r->there) : json_null())) < 0) {
            json_decref(rows);
            return NULL;
        }
    }
    return json_pack("{s:s,s:s,s:o}", "name", p->h->name, "reason", p->h->reason, "quantities",
                     rows);
}

static void tell_again(struct push *p, struct stock_row *row, const char *why)
{
    sl_outcome o = { .size = sizeof(o), .kind = SL_RETRY, .not_sent = 1, .why = view(why) };

    tell(p, row, &o);
}

static void tell_unchanged(struct push *p, struct stock_row *row)
{
    char why[64];
    sl_outcome o = { .size = sizeof(o), .kind = SL_DELIVERED, .status = 200 };

    snprintf(why, sizeof(why), "unchanged: the shop has %lld", (long long)row->there);
    o.why = view(why);
    tell(p, row, &o);
}

static void write_levels(struct push *p)
{
    json_t *token;
    char *text;

    p->n_sent = 0;
    for (size_t i = 0; i < p->n; i++) {
        struct stock_row *r = &p->rows[i];

        if (r->state == STOCK_TOLD)
            continue;
        if (r->moved)
            tell_again(p, r, r->wrong);
        else if (r->wrong)
            reject(p, r, r->wrong);
        else if (r->has_level && r->there == r->want)
            tell_unchanged(p, r);
        else
            p->sent[p->n_sent++] = i;
    }
    if (p->n_sent == 0) {
        finish(p);
        return;
    }
    json_decref(p->input);
    p->input = input_of(p);
    token = token_of(p);
    text = token && p->input ? json_dumps(token, JSON_COMPACT) : NULL;
    json_decref(token);
    if (text)
        p->done->checkpoint(p->done->ctx, view(text), 0, on_durable, p);
    else
        finish_again(p, "out of memory", 0, 1);
    free(text);
}

static void on_levels(void *ctx, const struct admin_answer *failed)
{
    if (failed)
        finish_failed(ctx, failed);
    else
        write_levels(ctx);
}

static void read_levels(struct push *p)
{
    stock_levels(p->s, p->priority, p->rows, p->n, p->h->name, on_levels, p);
}

/* ---- the bodies ---------------------------------------------------------------------------- */

static void on_places(void *ctx, const struct admin_answer *failed)
{
    struct push *p = ctx;
    char why[WHY_SIZE], names[200];

    if (failed) {
        finish_failed(p, failed);
        return;
    }
    for (size_t i = 0; i < p->n; i++) {
        struct stock_row *r = &p->rows[i];
        const char *id = r->place ? json_string_value(json_object_get(p->places, r->place)) : NULL;

        if (!r->place || r->state == STOCK_TOLD)
            continue;
        if (id) {
            snprintf(r->location, sizeof(r->location), "%s", id);
            continue;
        }
        stock_place_names(p->s, names, sizeof(names));
        snprintf(why, sizeof(why), "the shop has no location \"%.100s\"; there are: %s", r->place,
                 names);
        reject(p, r, why);
    }
    read_levels(p);
}

static void on_items(void *ctx, const struct admin_answer *failed)
{
    struct push *p = ctx;
    char why[WHY_SIZE];

    if (failed) {
        finish_failed(p, failed);
        return;
    }
    for (size_t i = 0; i < p->n; i++) {
        struct stock_row *r = &p->rows[i];
        const json_t *item = r->sku ? json_object_get(p->skus, r->sku) : NULL;

        if (!r->sku)
            continue;
        if (json_is_string(item)) {
            snprintf(r->item, sizeof(r->item), "%s", json_string_value(item));
            continue;
        }
        snprintf(why, sizeof(why),
                 json_is_false(item)
                     ? "several variants have the SKU \"%.255s\": give inventory_item_id"
                     : "no variant has the SKU \"%.255s\"",
                 r->sku);
        reject(p, r, why);
    }
    stock_places(p->s, p->priority, p->places, on_places, p);
}

/* A row of the record, or its outcome. */
static void take_body(struct push *p, size_t record)
{
    struct stock_row *r = &p->rows[p->n];
    char why[WHY_SIZE] = "";
    sl_status status = stock_take_body(p->h, p->batch->records[record].request, &p->bodies[record],
                                       r, why, sizeof(why));

    r->record = record;
    if (status == SL_E_NO_MEMORY) {
        tell_again(p, r, "out of memory");
        return;
    }
    if (status < 0) {
        reject(p, r, why);
        return;
    }
    r->state = STOCK_UNREAD;
    if ((r->sku && json_object_set_new(p->skus, r->sku, json_null()) < 0) ||
        (r->place && json_object_set_new(p->places, r->place, json_null()) < 0)) {
        tell_again(p, r, "out of memory");
        return;
    }
    p->n++;
}

/* One level is in a batch once: the shop refuses the whole of it otherwise. Nor do two batches at a
 * time have it: what one of them writes were a change in the shop to the other. */
static sl_str set_row_key(void *self, void *handle, sl_str body)
{
    static char key[2 * 255 + 16];
    json_t *o = json_loadb(body.ptr, body.len, 0, NULL);
    const char *names[] = { "sku", "inventory_item_id", "location", "location_id" };
    size_t n = 0;

    (void)self;
    (void)handle;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && n < sizeof(key); i++) {
        const char *s = json_string_value(json_object_get(o, names[i]));

        if (s)
            n += (size_t)snprintf(key + n, sizeof(key) - n, "%zu%s ", i, s);
    }
    json_decref(o);
    return (sl_str){ key, n < sizeof(key) ? n : sizeof(key) - 1 };
}

static struct push *begin(struct shopify *s, const struct set_handle *h, const sl_batch *batch,
                          const sl_done *done)
{
    struct push *p = push_new(s, h, batch, done);

    if (!p) {
        for (size_t i = 0; i < batch->n_records; i++)
            done->outcome(done->ctx, i,
                          &(sl_outcome){ .size = sizeof(sl_outcome),
                                         .kind = SL_RETRY,
                                         .not_sent = 1,
                                         .why = view("out of memory") });
        done->finish(done->ctx);
        return NULL;
    }
    for (size_t i = 0; i < batch->n_records; i++)
        take_body(p, i);
    return p;
}

static void set_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done)
{
    struct push *p = begin(self, handle, batch, done);

    if (p)
        stock_items(p->s, p->priority, p->skus, on_items, p);
}

/* ---- after a crash ------------------------------------------------------------------------- */

/* The rows as they were sent, or were about to be. False: it says something else. */
static int take_token(struct push *p, const json_t *token)
{
    const json_t *rows = json_object_get(token, "rows");

    p->renewal = (unsigned)json_integer_value(json_object_get(token, "renewal"));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *one = json_array_get(rows, i), *from = json_array_get(one, 3);
        json_int_t record = json_integer_value(json_array_get(one, 0));
        const char *item = json_string_value(json_array_get(one, 1));
        const char *location = json_string_value(json_array_get(one, 2));
        struct stock_row *r = NULL;

        for (size_t k = 0; k < p->n; k++)
            if ((json_int_t)p->rows[k].record == record)
                r = &p->rows[k];
        if (!r || !item || !location || strlen(item) > 20 || strlen(location) > 20 ||
            p->n_sent == STOCK_ROWS)
            return 0;
        snprintf(r->item, sizeof(r->item), ITEM_GID "%s", item);
        snprintf(r->location, sizeof(r->location), PLACE_GID "%s", location);
        r->has_level = json_is_integer(from);
        r->there = json_integer_value(from);
        r->want = json_integer_value(json_array_get(one, 4));
        r->state = STOCK_READY;
        p->sent[p->n_sent++] = (size_t)(r - p->rows);
    }
    return p->n_sent > 0;
}

/* What has no row in the token had its outcome, or none that was durable: it is read anew, alone.
 */
static void leave_others(struct push *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->rows[i].state == STOCK_UNREAD) {
            sl_outcome o = { .size = sizeof(o),
                             .kind = SL_RETRY,
                             .why = view("after a restart: its level is read anew") };
            tell(p, &p->rows[i], &o);
        }
}

static void set_resume(void *self, void *handle, const sl_batch *batch, sl_str token,
                       const sl_done *done)
{
    struct shopify *s = self;
    struct push *p = begin(s, handle, batch, done);
    json_t *j = json_loadb(token.ptr, token.len, 0, NULL);
    int known = p && take_token(p, j);

    json_decref(j);
    if (!p)
        return;
    if (!known ||
        !idempotent_lives(batch->records[0].first_sent_ms, s->host->wall_ms(s->host->ctx))) {
        finish_again(p, "after a restart: its level is read anew", 0, 0);
        return;
    }
    leave_others(p);
    p->input = input_of(p);
    if (p->input)
        send(p);
    else
        finish_again(p, "out of memory", 0, 1);
}

/* Setting it again is harmless. */
static void set_confirm(void *self, void *handle, const sl_record *record, sl_confirm_cb cb,
                        void *cb_ctx)
{
    (void)self;
    (void)handle;
    (void)record;
    cb(cb_ctx, &(sl_confirmed){ .size = sizeof(sl_confirmed), .verdict = SL_CONFIRM_AGAIN });
}

const struct shopify_action stock_set_action = {
    .body = &stock_set_shape,
    .bind = stock_set_bind,
    .unbind = stock_set_unbind,
    .deliver = set_deliver,
    .resume = set_resume,
    .row_key = set_row_key,
    .parent_key = set_row_key,
    .gathers_ms = GATHERS,
    .confirm = set_confirm,
    .scopes = "write_inventory read_products read_locations",
};
