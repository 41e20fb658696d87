/*
 * refund.c - refund.create. What is refunded is asked of the shop (suggestedRefund) before the
 * first attempt and frozen: asked again after the refund it would say something else. The shop does
 * it once by its key, which it forgets after a day.
 */
#include <string.h>

#include "body_table.h"
#include "orders/deed.h"
#include "orders/order_lines.h"
#include "orders/orders.h"

static const struct body_member line_members[] = {
    { "line_item_id", BODY_ID, .of = "LineItem", .help = "the order's line" },
    { "sku", BODY_TEXT, .min = 1, .max = 255,
      .help = "or its SKU, if one line of the order has it" },
    { "quantity", BODY_WHOLE, BODY_REQUIRED, 1, 1000000, .help = "pieces" },
    { "restock", BODY_ENUM, .of = "RETURN|CANCEL|NO_RESTOCK",
      .help = "RETURN: they came back; CANCEL: never shipped; without it: NO_RESTOCK" },
    { "location_id", BODY_ID, .of = "Location", .help = "where they are restocked" },
    { 0 },
};
static const struct body_shape line = { .members = line_members, .one_of = "line_item_id|sku" };
static const struct body_member duty_members[] = {
    { "duty_id", BODY_ID, BODY_REQUIRED, .of = "Duty", .help = "the order's duty" },
    { "type", BODY_ENUM, .of = "FULL|PROPORTIONAL", .help = "how much of it" },
    { 0 },
};
static const struct body_shape duty = { .members = duty_members };
static const struct body_member transaction_members[] = {
    { "parent_id", BODY_ID, BODY_REQUIRED, .of = "OrderTransaction",
      .help = "the sale or capture" },
    { "gateway", BODY_TEXT, BODY_REQUIRED, 1, 255, .help = "of that transaction, as it says" },
    { "amount", BODY_AMOUNT, BODY_REQUIRED, .help = "in the currency of the refund" },
    { 0 },
};
static const struct body_shape transaction = { .members = transaction_members };
static const struct body_member members[] = {
    { "order_id", BODY_ID, .of = "Order", .help = "without it: the order that the event is about" },
    { "lines", BODY_OBJECT, .shape = &line, .items = 250, .help = "what is taken back" },
    { "shipping", BODY_ENUM, .of = "full", .help = "all of the shipping that is left" },
    { "shipping_amount", BODY_AMOUNT, .help = "or so much of it" },
    { "duties", BODY_OBJECT, .shape = &duty, .items = 250, .help = "duties that are refunded" },
    { "money", BODY_ENUM, .of = "suggested|given|none",
      .help = "suggested: what the shop says is due; given: transactions; none: no money moves. "
              "Without it: given if there are transactions, else suggested" },
    { "transactions", BODY_OBJECT, .shape = &transaction, .items = 250, .help = "for given" },
    { "currency", BODY_TEXT, .min = 3, .max = 3, .help = "of the amounts, if not the shop's" },
    { "allow_over_refunding", BODY_BOOL, .help = "more than was paid; without it: no" },
    { "note", BODY_TEXT, .min = 1, .max = 5000, .help = "the order's timeline shows it" },
    { "notify", BODY_BOOL, .help = "the shop writes to the customer; without it: no" },
    { "processed_at", BODY_TIME, .help = "when it happened, if not now" },
    { 0 },
};
static const struct body_shape shape = { .members = members };

const sl_option refund_create_params[] = {
    { "money", SL_OPT_ENUM, 0, NULL, 0, 0, "suggested|given|none",
      "what is paid back, where the body does not say it" },
    { "notify", SL_OPT_BOOL, 0, NULL, 0, 0, NULL,
      "the shop writes to the customer, where the body does not say it" },
    { 0 },
};

static const char refund_create[] =
    "mutation RefundCreate($input: RefundInput!, $key: String!) {"
    " refundCreate(input: $input) @idempotent(key: $key) {"
    " refund { id } userErrors { field message } } }";
static const char suggested_refund[] =
    "query SuggestedRefund($id: ID!, $lines: [RefundLineItemInput!], $shipping: Boolean,"
    " $amount: Money, $duties: [RefundDutyInput!]) { order(id: $id) { id"
    " suggestedRefund(refundLineItems: $lines, refundShipping: $shipping, shippingAmount: $amount,"
    " refundDuties: $duties) {"
    " amountSet { shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } }"
    " suggestedTransactions { gateway parentTransaction { id }"
    " amountSet { shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } } }"
    " } } }";
static const char refunds_of[] =
    "query RefundsOfOrder($id: ID!) { order(id: $id) { id refunds(first: 250) { id createdAt"
    " totalRefundedSet { shopMoney { amount currencyCode } } } } }";

static const struct refusal_rule refusals[] = {
    { NULL, "greater than net payment received", REFUSAL_GOOD,
      "was it refunded already? Ask for less, or say allow_over_refunding: true" },
    { NULL, "cannot refund more items than were purchased", REFUSAL_GOOD,
      "lines: so many are not left; were they refunded already?" },
    { NULL, "require a parent_id", REFUSAL_GOOD,
      "transactions: parent_id is the sale or capture of this order; money: suggested finds it" },
    { NULL, "Order does not exist", REFUSAL_GOOD, "order_id: the shop has no such order" },
    { 0 },
};

/* ---- the input ----------------------------------------------------------------------------- */

static json_t *line_input(const json_t *from)
{
    const json_t *restock = json_object_get(from, "restock");
    json_t *to = json_pack("{s:O,s:O,s:O*}", "lineItemId", json_object_get(from, "line_item_id"),
                           "quantity", json_object_get(from, "quantity"), "locationId",
                           json_object_get(from, "location_id"));

    json_object_set_new(to, "restockType",
                        json_string(restock ? json_string_value(restock) : "NO_RESTOCK"));
    return to;
}

/* Of the body's list `name`, each by `make`; nothing without one. */
static int set_list(struct deed *d, json_t *input, const char *name, const char *as,
                    json_t *(*make)(const json_t *from))
{
    const json_t *list = json_object_get(d->body, name);
    json_t *to = json_array();
    int r = 0;

    for (size_t i = 0; i < json_array_size(list); i++)
        r |= json_array_append_new(to, make(json_array_get(list, i)));
    if (json_array_size(to))
        r |= json_object_set(input, as, to);
    json_decref(to);
    return r;
}

static json_t *duty_input(const json_t *from)
{
    return json_pack("{s:O,s:O*}", "dutyId", json_object_get(from, "duty_id"), "refundType",
                     json_object_get(from, "type"));
}

static json_t *transaction_input(const json_t *from)
{
    return json_pack("{s:s,s:O,s:O,s:O}", "kind", "REFUND", "gateway",
                     json_object_get(from, "gateway"), "amount", json_object_get(from, "amount"),
                     "parentId", json_object_get(from, "parent_id"));
}

static json_t *shipping_input(const struct deed *d)
{
    json_t *amount = json_object_get(d->body, "shipping_amount");

    return amount ? json_pack("{s:O}", "amount", amount) : json_pack("{s:b}", "fullRefund", 1);
}

/* Once every line has its id. */
static sl_status make_input(struct deed *d)
{
    json_t *input = json_pack("{s:O}", "orderId", json_object_get(d->body, "order_id"));
    json_t *transactions;
    int r = 0;

    d->variables = json_pack("{s:o}", "input", input);
    if (!d->variables)
        return SL_E_NO_MEMORY;
    r |= set_list(d, input, "lines", "refundLineItems", line_input);
    r |= set_list(d, input, "duties", "refundDuties", duty_input);
    r |= set_list(d, input, "transactions", "transactions", transaction_input);
    if (json_object_get(d->body, "shipping") || json_object_get(d->body, "shipping_amount"))
        r |= json_object_set_new(input, "shipping", shipping_input(d));
    r |= deed_take(d, input, "note", "note") | deed_take(d, input, "notify", "notify") |
         deed_take(d, input, "currency", "currency") |
         deed_take(d, input, "processed_at", "processedAt") |
         deed_take(d, input, "allow_over_refunding", "allowOverRefunding");
    transactions = json_object_get(input, "transactions");
    for (size_t i = 0; i < json_array_size(transactions); i++)
        r |= json_object_set(json_array_get(transactions, i), "orderId",
                             json_object_get(d->body, "order_id"));
    return r ? SL_E_NO_MEMORY : SL_OK;
}

static const char *money_of(const struct deed *d)
{
    const char *money = json_string_value(json_object_get(d->body, "money"));

    return money ? money : json_object_get(d->body, "transactions") ? "given" : "suggested";
}

static sl_status read(struct deed *d)
{
    int given = json_object_get(d->body, "transactions") != NULL;
    int wants = strcmp(money_of(d), "given") == 0;

    if (deed_take_order(d) < 0)
        return SL_E_INVALID;
    if (given != wants)
        return deed_wrong(d, wants ? "transactions: money: given wants them"
                                   : "transactions: they want money: given");
    if (json_object_get(d->body, "shipping") && json_object_get(d->body, "shipping_amount"))
        return deed_wrong(d, "shipping: it is full, or shipping_amount says how much");
    if (!given && !json_object_get(d->body, "lines") && !json_object_get(d->body, "duties") &&
        !json_object_get(d->body, "shipping") && !json_object_get(d->body, "shipping_amount"))
        return deed_wrong(d,
                          "it wants lines, shipping, shipping_amount, duties or transactions: "
                          "nothing is refunded");
    d->variables = json_object(); /* made when the lines are known */
    return SL_OK;
}

/* ---- what is due --------------------------------------------------------------------------- */

static int is_zero(const char *amount)
{
    return !amount || amount[strspn(amount, "0.")] == '\0';
}

/* The buyer's money where it is not the shop's, and the currency is not said otherwise. */
static const char *which_money(struct deed *d, const json_t *set)
{
    const char *shop = json_string_value(
        json_object_get(json_object_get(set, "shopMoney"), "currencyCode"));
    const char *presented = json_string_value(
        json_object_get(json_object_get(set, "presentmentMoney"), "currencyCode"));
    const char *said = json_string_value(json_object_get(d->body, "currency"));

    if (!presented || !shop || strcmp(presented, shop) == 0 || (said && strcmp(said, shop) == 0))
        return "shopMoney";
    return "presentmentMoney";
}

static json_t *suggested(struct deed *d, const json_t *one, const char *money)
{
    const json_t *amount = json_object_get(
        json_object_get(json_object_get(one, "amountSet"), money), "amount");
    json_t *parent = json_object_get(json_object_get(one, "parentTransaction"), "id");

    if (is_zero(json_string_value(amount)))
        return NULL;
    return json_pack("{s:s,s:O,s:O,s:O*,s:O}", "kind", "REFUND", "gateway",
                     json_object_get(one, "gateway"), "amount", amount, "parentId", parent,
                     "orderId", json_object_get(d->body, "order_id"));
}

static void on_suggested(struct deed *d, const json_t *data)
{
    const json_t *due = json_object_get(json_object_get(data, "order"), "suggestedRefund");
    const json_t *set = json_object_get(due, "amountSet");
    const json_t *list = json_object_get(due, "suggestedTransactions");
    json_t *input = json_object_get(d->variables, "input"), *to = json_array();
    const char *money = which_money(d, set);
    const json_t *whole = json_object_get(set, money);

    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *one = suggested(d, json_array_get(list, i), money);

        if (one)
            json_array_append_new(to, one);
    }
    if (!json_is_object(due)) {
        deed_say(d, "order_id: the shop has no such order, or suggests no refund of it");
        deed_reject(d);
    } else if (json_array_size(to) == 0 &&
               !is_zero(json_string_value(json_object_get(whole, "amount")))) {
        deed_say(d,
                 "the shop says that %s is due, and no transaction to pay it back by: give "
                 "transactions, or say money: none",
                 json_string_value(json_object_get(whole, "amount")));
        deed_reject(d);
    } else {
        if (json_array_size(to))
            json_object_set(input, "transactions", to);
        if (strcmp(money, "presentmentMoney") == 0)
            json_object_set(input, "currency", json_object_get(whole, "currencyCode"));
        deed_frozen(d);
    }
    json_decref(to);
}

static void ask_suggested(struct deed *d)
{
    const json_t *input = json_object_get(d->variables, "input");

    deed_ask(d, suggested_refund,
             json_pack("{s:O,s:O*,s:b,s:O*,s:O*}", "id", json_object_get(d->body, "order_id"),
                       "lines", json_object_get(input, "refundLineItems"), "shipping",
                       json_object_get(d->body, "shipping") != NULL, "amount",
                       json_object_get(d->body, "shipping_amount"), "duties",
                       json_object_get(input, "refundDuties")),
             on_suggested);
}

static void with_lines(struct deed *d)
{
    json_decref(d->variables);
    d->variables = NULL;
    if (make_input(d) < 0) {
        deed_say(d, "out of memory");
        deed_retry(d);
    } else if (strcmp(money_of(d), "suggested") == 0) {
        ask_suggested(d);
    } else {
        deed_frozen(d);
    }
}

static void freeze(struct deed *d)
{
    order_lines_find(d, json_object_get(d->body, "lines"), with_lines);
}

/* ---- its state, when the shop has forgotten the key ---------------------------------------- */

static json_t *look_variables(const struct deed *d)
{
    return json_pack("{s:O}", "id",
                     json_object_get(json_object_get(d->variables, "input"), "orderId"));
}

static enum deed_seen judge(struct deed *d, const json_t *data)
{
    const json_t *refunds = json_object_get(json_object_get(data, "order"), "refunds");

    for (size_t i = 0; i < json_array_size(refunds); i++) {
        const json_t *one = json_array_get(refunds, i);
        const json_t *money = json_object_get(json_object_get(one, "totalRefundedSet"),
                                              "shopMoney");

        if (!deed_since(d, json_string_value(json_object_get(one, "createdAt"))))
            continue;
        deed_say(d,
                 "an answer was lost more than a day ago, and the order has a refund of %s %s "
                 "since (%s): if it is this one, reject this; else release it",
                 json_string_value(json_object_get(money, "amount")),
                 json_string_value(json_object_get(money, "currencyCode")),
                 json_string_value(json_object_get(one, "id")));
        return SEEN_HUMAN;
    }
    return SEEN_NOT;
}

static const struct deed_kind kind = {
    .shape = &shape,
    .params = refund_create_params,
    .flags = DEED_REPEATABLE | DEED_CREATES | DEED_FROZEN,
    .document = refund_create,
    .root = "refundCreate",
    .object = "refund",
    .link = "refund",
    .step = "refund",
    .refusals = refusals,
    .read = read,
    .freeze = freeze,
    .look = refunds_of,
    .look_variables = look_variables,
    .judge = judge,
};

DEED_ACTION(refund_create, kind, shape, .scopes = "write_orders");
