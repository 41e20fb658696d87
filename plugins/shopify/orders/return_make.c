/*
 * return_make.c - return.create and return.request. Only what was shipped can come back, by the ids
 * of its shipment's lines: they are found from the order's line or its SKU. There is no key: what
 * has no answer is looked for among the order's returns, by its lines and its time.
 */
#include <stdlib.h>
#include <string.h>

#include "body_table.h"
#include "orders/deed.h"
#include "orders/orders.h"

#define REASONS                                                                           \
    "COLOR|DEFECTIVE|NOT_AS_DESCRIBED|OTHER|SIZE_TOO_LARGE|SIZE_TOO_SMALL|STYLE|UNKNOWN|" \
    "UNWANTED|WRONG_ITEM"
#define WHICH "fulfillment_line_item_id|line_item_id|sku"
#define WHY   "reason|reason_definition_id" /* the shop refuses a line with neither */
#define LINE_MEMBERS                                                                  \
    { "fulfillment_line_item_id", BODY_ID, .of = "FulfillmentLineItem",               \
      .help = "the shipment's line" },                                                \
        { "line_item_id", BODY_ID, .of = "LineItem", .help = "or the order's line" }, \
        { "sku", BODY_TEXT, .min = 1, .max = 255, .help = "or its SKU" },             \
        { "quantity", BODY_WHOLE, BODY_REQUIRED, 1, 1000000, .help = "pieces" },      \
        { "reason", BODY_ENUM, .of = REASONS, .help = "why" },                        \
        { "reason_definition_id", BODY_ID, .of = "ReturnReasonDefinition",            \
          .help = "or one of the shop's own reasons" },                               \
    {                                                                                 \
        "restocking_fee_percentage", BODY_AMOUNT, .help = "as text: \"10\""           \
    }

static const struct body_member create_line_members[] = {
    LINE_MEMBERS,
    { "note", BODY_TEXT, .min = 1, .max = 255, .help = "more of the reason" },
    { 0 },
};
static const struct body_shape create_line = { .members = create_line_members,
                                               .one_of = WHICH,
                                               .any_of = WHY };
static const struct body_member request_line_members[] = {
    LINE_MEMBERS,
    { "customer_note", BODY_TEXT, .min = 1, .max = 300, .help = "what the customer says" },
    { 0 },
};
static const struct body_shape request_line = { .members = request_line_members,
                                                .one_of = WHICH,
                                                .any_of = WHY };
static const struct body_member fee_members[] = {
    { "amount", BODY_AMOUNT, BODY_REQUIRED, .help = "as text" },
    { "currency", BODY_TEXT, BODY_REQUIRED, 3, 3, .help = "of it, such as EUR" },
    { 0 },
};
static const struct body_shape fee = { .members = fee_members };
static const struct body_member create_members[] = {
    { "order_id", BODY_ID, .of = "Order", .help = "without it: the order that the event is about" },
    { "lines", BODY_OBJECT, BODY_REQUIRED, .shape = &create_line, .items = 250,
      .help = "what comes back" },
    { "shipping_fee", BODY_OBJECT, .shape = &fee, .help = "that the customer pays" },
    { "requested_at", BODY_TIME, .help = "when the customer asked, if not now" },
    { 0 },
};
static const struct body_shape create_shape = { .members = create_members };
static const struct body_member request_members[] = {
    { "order_id", BODY_ID, .of = "Order", .help = "without it: the order that the event is about" },
    { "lines", BODY_OBJECT, BODY_REQUIRED, .shape = &request_line, .items = 250,
      .help = "what is to come back" },
    { "shipping_fee", BODY_OBJECT, .shape = &fee, .help = "that the customer pays" },
    { 0 },
};
static const struct body_shape request_shape = { .members = request_members };

#define FIELDS "{ return { id status } userErrors { code field message } } }"

static const char return_create[] =
    "mutation ReturnCreate($returnInput: ReturnInput!) {"
    " returnCreate(returnInput: $returnInput) " FIELDS;
static const char return_request[] =
    "mutation ReturnRequest($input: ReturnRequestInput!) {"
    " returnRequest(input: $input) " FIELDS;
/* the newest returns stand on each page of what can come back: one question for both */
static const char returnable[] =
    "query Returnable($id: ID!, $after: String) {"
    " order(id: $id) { id returns(first: 10, reverse: true) { nodes { id status createdAt"
    " returnLineItems(first: 50) { nodes { quantity ... on ReturnLineItem {"
    " fulfillmentLineItem { id lineItem { id sku } } } } } } } }"
    " returnableFulfillments(orderId: $id, first: 10, after: $after) { nodes { id"
    " returnableFulfillmentLineItems(first: 50) { nodes { quantity fulfillmentLineItem {"
    " id lineItem { id sku } } } pageInfo { hasNextPage } } }"
    " pageInfo { hasNextPage endCursor } } }";

static const struct refusal_rule refusals[] = {
    { "NOT_FOUND", NULL, REFUSAL_GOOD, "order_id, or a line's id: the shop has no such thing" },
    { "NOTIFICATION_FAILED", NULL, REFUSAL_STATE, NULL },
    { NULL, "invalid quantity", REFUSAL_GOOD, "lines: so many cannot come back" },
    { 0 },
};

/* ---- a body's line, and what the shop has ---------------------------------------------------- */

/* Is this FulfillmentLineItem of the line? */
static int is_of(const json_t *line, const json_t *shipped)
{
    const json_t *of = json_object_get(shipped, "lineItem");
    const json_t *id = json_object_get(line, "fulfillment_line_item_id");
    const json_t *item = json_object_get(line, "line_item_id");

    if (id)
        return json_equal(id, json_object_get(shipped, "id"));
    if (item)
        return json_equal(item, json_object_get(of, "id"));
    return json_equal(json_object_get(line, "sku"), json_object_get(of, "sku"));
}

static json_int_t quantity_of(const json_t *o)
{
    return json_integer_value(json_object_get(o, "quantity"));
}

/* Do all the lines of a body come back with this return, and nothing else? */
static int is_this(const json_t *lines, const json_t *it)
{
    const json_t *nodes = json_object_get(json_object_get(it, "returnLineItems"), "nodes");
    json_int_t wanted = 0, there = 0;

    for (size_t k = 0; k < json_array_size(nodes); k++)
        there += quantity_of(json_array_get(nodes, k));
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        json_int_t of = 0;

        for (size_t k = 0; k < json_array_size(nodes); k++) {
            const json_t *node = json_array_get(nodes, k);

            if (is_of(line, json_object_get(node, "fulfillmentLineItem")))
                of += quantity_of(node);
        }
        if (of < quantity_of(line))
            return 0;
        wanted += quantity_of(line);
    }
    return wanted == there;
}

/* A return of the same since this was sent. */
static const json_t *find_made(const struct deed *d, const json_t *data)
{
    const json_t *nodes = json_object_get(
        json_object_get(json_object_get(data, "order"), "returns"), "nodes");

    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *it = json_array_get(nodes, i);

        if (deed_since(d, json_string_value(json_object_get(it, "createdAt"))) &&
            is_this(json_object_get(d->body, "lines"), it))
            return it;
    }
    return NULL;
}

/* ---- the input ----------------------------------------------------------------------------- */

static json_t *line_input(const json_t *line, json_t *shipped, json_int_t quantity)
{
    const char *percent = json_string_value(json_object_get(line, "restocking_fee_percentage"));
    json_t *to = json_pack("{s:O,s:I,s:O*,s:O*,s:O*,s:O*}", "fulfillmentLineItemId",
                           json_object_get(shipped, "id"), "quantity", quantity, "returnReason",
                           json_object_get(line, "reason"), "returnReasonDefinitionId",
                           json_object_get(line, "reason_definition_id"), "returnReasonNote",
                           json_object_get(line, "note"), "customerNote",
                           json_object_get(line, "customer_note"));

    if (percent)
        json_object_set_new(to, "restockingFee",
                            json_pack("{s:f}", "percentage", strtod(percent, NULL)));
    return to;
}

/* Take the line's pieces from what can come back: d->own's list, whose quantities go down. */
static json_int_t take_pieces(struct deed *d, const json_t *line, json_t *to)
{
    json_int_t left = quantity_of(line);

    for (size_t i = 0; i < json_array_size(d->own) && left > 0; i++) {
        json_t *one = json_array_get(d->own, i);
        json_t *shipped = json_object_get(one, "fulfillmentLineItem");
        json_int_t there = quantity_of(one), n = there < left ? there : left;

        if (n <= 0 || !is_of(line, shipped))
            continue;
        json_array_append_new(to, line_input(line, shipped, n));
        json_object_set_new(one, "quantity", json_integer(there - n));
        left -= n;
    }
    return left;
}

static json_t *input_of(const struct deed *d)
{
    return json_object_get(d->variables,
                           strcmp(d->kind->root, "returnCreate") == 0 ? "returnInput" : "input");
}

static enum deed_seen make_lines(struct deed *d)
{
    const json_t *lines = json_object_get(d->body, "lines");
    json_t *to = json_array();

    json_object_set_new(input_of(d), "returnLineItems", to);
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        json_int_t lacks = take_pieces(d, line, to);

        if (lacks == 0)
            continue;
        deed_say(d,
                 "lines[%zu].quantity: %lld wanted, %lld can come back: only what was shipped, and "
                 "is in no other return",
                 i, (long long)quantity_of(line), (long long)(quantity_of(line) - lacks));
        return SEEN_NEVER;
    }
    return SEEN_NOT;
}

static sl_status read(struct deed *d)
{
    int create = strcmp(d->kind->root, "returnCreate") == 0;
    const json_t *paid = json_object_get(d->body, "shipping_fee");
    json_t *input;

    if (deed_take_order(d) < 0)
        return SL_E_INVALID;
    input = json_pack("{s:O}", "orderId", json_object_get(d->body, "order_id"));
    d->own = json_array(); /* what can come back, as far as it was read */
    d->variables = json_pack("{s:o}", create ? "returnInput" : "input", input);
    if (!d->own || !d->variables || deed_take(d, input, "requested_at", "requestedAt") < 0)
        return SL_E_NO_MEMORY;
    if (paid)
        json_object_set_new(input, "returnShippingFee",
                            json_pack("{s:{s:O,s:O}}", "amount", "amount",
                                      json_object_get(paid, "amount"), "currencyCode",
                                      json_object_get(paid, "currency")));
    return SL_OK;
}

static json_t *look_variables(const struct deed *d)
{
    return json_pack("{s:O,s:s*}", "id", json_object_get(d->body, "order_id"), "after", d->cursor);
}

/* One page of it; a shipment of more than 50 lines is a person's. */
static int learn(struct deed *d, const json_t *fulfillments)
{
    const json_t *nodes = json_object_get(fulfillments, "nodes");
    int whole = 1;

    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *items = json_object_get(json_array_get(nodes, i),
                                              "returnableFulfillmentLineItems");

        json_array_extend(d->own, json_object_get(items, "nodes"));
        if (json_is_true(json_object_get(json_object_get(items, "pageInfo"), "hasNextPage")))
            whole = 0;
    }
    return whole;
}

static enum deed_seen judge(struct deed *d, const json_t *data)
{
    const json_t *fulfillments = json_object_get(data, "returnableFulfillments");
    const json_t *made = find_made(d, data);

    if (!json_is_object(json_object_get(data, "order"))) {
        deed_say(d, "order_id: the shop has no such order");
        return SEEN_NEVER;
    }
    if (made) {
        deed_refers(d, json_string_value(json_object_get(made, "id")));
        return SEEN_DONE;
    }
    if (d->cb || d->refused)
        return SEEN_NOT; /* there is none of it: that is all that was asked */
    if (!learn(d, fulfillments)) {
        deed_say(d, "a shipment of the order has more than 50 lines: make the return in the shop");
        return SEEN_HUMAN;
    }
    if (deed_next_page(d, json_object_get(fulfillments, "pageInfo")))
        return SEEN_MORE;
    return make_lines(d);
}

#define MAKE_KIND(name, root_, shape_)                                                     \
    static const struct deed_kind name##_kind = { .shape = &(shape_),                      \
                                                  .flags = DEED_LOOK_FIRST | DEED_CREATES, \
                                                  .document = name,                        \
                                                  .root = root_,                           \
                                                  .object = "return",                      \
                                                  .link = "return",                        \
                                                  .refusals = refusals,                    \
                                                  .read = read,                            \
                                                  .look = returnable,                      \
                                                  .look_variables = look_variables,        \
                                                  .judge = judge };                        \
    DEED_ACTION(name, name##_kind, shape_, .scopes = "write_returns read_orders|write_orders")

MAKE_KIND(return_create, "returnCreate", create_shape);
MAKE_KIND(return_request, "returnRequest", request_shape);
