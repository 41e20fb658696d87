/*
 * return_process.c - return.process: what came back is put somewhere, and its money goes back. The
 * shop leaves the return open: it is closed behind it, if the body says so. There is no key: what
 * has no answer is looked for by what was put where since.
 */
#include <stdlib.h>
#include <string.h>

#include "body_table.h"
#include "orders/deed.h"
#include "orders/orders.h"

#define DISPOSITIONS "RESTOCKED|NOT_RESTOCKED|MISSING|PROCESSING_REQUIRED"

static const struct body_member line_members[] = {
    { "return_line_item_id", BODY_ID, .of = "ReturnLineItem", .help = "the return's line" },
    { "line_item_id", BODY_ID, .of = "LineItem", .help = "or the order's line" },
    { "sku", BODY_TEXT, .min = 1, .max = 255, .help = "or its SKU" },
    { "quantity", BODY_WHOLE, BODY_REQUIRED, 1, 1000000, .help = "pieces" },
    { "disposition", BODY_ENUM, .of = DISPOSITIONS, .help = "what becomes of them" },
    { "location_id", BODY_ID, .of = "Location", .help = "where" },
    { 0 },
};
static const struct body_shape line_shape = { .members = line_members,
                                              .one_of = "return_line_item_id|line_item_id|sku" };
static const struct body_member transaction_members[] = {
    { "parent_id", BODY_ID, BODY_REQUIRED, .of = "OrderTransaction",
      .help = "the sale or capture" },
    { "amount", BODY_AMOUNT, BODY_REQUIRED, .help = "in `currency`" },
    { 0 },
};
static const struct body_shape transaction = { .members = transaction_members };
static const struct body_member members[] = {
    { "return_id", BODY_ID, BODY_REQUIRED, .of = "Return", .help = "the return" },
    { "lines", BODY_OBJECT, .shape = &line_shape, .items = 250,
      .help = "what came back; without them: all of it" },
    { "disposition", BODY_ENUM, .of = DISPOSITIONS, .help = "of lines that do not say it" },
    { "location_id", BODY_ID, .of = "Location", .help = "of lines that do not say it" },
    { "money", BODY_ENUM, .of = "suggested|given|none",
      .help = "suggested: what the shop says is due for the lines; given: transactions; none. "
              "Without it: given if there are transactions, else none" },
    { "transactions", BODY_OBJECT, .shape = &transaction, .items = 250, .help = "for given" },
    { "currency", BODY_TEXT, .min = 3, .max = 3, .help = "of the transactions: the buyer's" },
    { "shipping", BODY_ENUM, .of = "full", .help = "all of the shipping goes back as well" },
    { "note", BODY_TEXT, .min = 1, .max = 5000, .help = "the order's timeline shows it" },
    { "notify", BODY_BOOL, .help = "the shop writes to the customer; without it: no" },
    { "close", BODY_BOOL, .help = "the return is closed behind it; without it: it stays open" },
    { 0 },
};
static const struct body_shape shape = { .members = members };

const sl_option return_process_params[] = {
    { "disposition", SL_OPT_ENUM, 0, NULL, 0, 0, DISPOSITIONS,
      "what becomes of what came back, where the body does not say it" },
    { "money", SL_OPT_ENUM, 0, NULL, 0, 0, "suggested|given|none",
      "what is paid back, where the body does not say it" },
    { "notify", SL_OPT_BOOL, 0, NULL, 0, 0, NULL,
      "the shop writes to the customer, where the body does not say it" },
    { "close", SL_OPT_BOOL, 0, NULL, 0, 0, NULL,
      "the return is closed behind it, where the body does not say it" },
    { 0 },
};

static const char return_process[] =
    "mutation ReturnProcess($input: ReturnProcessInput!) { returnProcess(input: $input) {"
    " return { id status } userErrors { code field message } } }";
static const char return_close[] =
    "mutation ReturnClose($id: ID!) { returnClose(id: $id) { return { id status }"
    " userErrors { code field message } } }";
static const char return_state[] = "query ReturnState($id: ID!) { return(id: $id) { id status } }";
static const char return_lines[] =
    "query ReturnToProcess($id: ID!, $after: String) { return(id: $id) { id status order { id }"
    " returnLineItems(first: 50, after: $after) { nodes { id processableQuantity processedQuantity"
    " ... on ReturnLineItem { fulfillmentLineItem { id lineItem { id sku } } } }"
    " pageInfo { hasNextPage endCursor } }"
    " reverseFulfillmentOrders(first: 10) { nodes { id lineItems(first: 50) { nodes { id"
    " totalQuantity fulfillmentLineItem { id }"
    " dispositions { id quantity type createdAt } } } } } } }";
static const char suggested_refund[] =
    "query SuggestedReturnRefund($id: ID!, $lines: [RefundLineItemInput!], $shipping: Boolean) {"
    " order(id: $id) { id suggestedRefund(refundLineItems: $lines, refundShipping: $shipping) {"
    " suggestedTransactions { parentTransaction { id }"
    " amountSet { presentmentMoney { amount currencyCode } } } } } }";

static const struct refusal_rule refusals[] = {
    { "NOT_FOUND", NULL, REFUSAL_GOOD, "return_id: the shop has no such return" },
    { "INVALID_STATE", NULL, REFUSAL_STATE, NULL },
    { NULL, "Return status is invalid", REFUSAL_STATE, NULL },
    { "NOTIFICATION_FAILED", NULL, REFUSAL_STATE, NULL },
    { NULL, "invalid quantity", REFUSAL_STATE,
      "lines: so many are not left to process; were they processed already?" },
    { NULL, "greater than net payment received", REFUSAL_GOOD,
      "transactions: was it refunded already?" },
    { 0 },
};

/* ---- small things -------------------------------------------------------------------------- */

static json_int_t whole(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

static const char *text(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    return s ? s : "";
}

/* A line's own, or the body's. */
static json_t *said(const struct deed *d, const json_t *line, const char *name)
{
    json_t *own = json_object_get(line, name);

    return own ? own : json_object_get(d->body, name);
}

static int is_of(const json_t *line, const json_t *returned)
{
    const json_t *item = json_object_get(json_object_get(returned, "fulfillmentLineItem"),
                                         "lineItem");

    if (json_object_get(line, "return_line_item_id"))
        return json_equal(json_object_get(line, "return_line_item_id"),
                          json_object_get(returned, "id"));
    if (json_object_get(line, "line_item_id"))
        return json_equal(json_object_get(line, "line_item_id"), json_object_get(item, "id"));
    return json_equal(json_object_get(line, "sku"), json_object_get(item, "sku"));
}

static json_t *returned_lines(const struct deed *d)
{
    return json_object_get(d->own, "returned");
}

/* ---- was it done? -------------------------------------------------------------------------- */

/* Pieces of a return's line that were put there since, of all reverse fulfilment orders. */
static json_int_t put_since(const struct deed *d, const json_t *returned, const char *type)
{
    const json_t *shipped = json_object_get(json_object_get(returned, "fulfillmentLineItem"), "id");
    const json_t *reverse = json_object_get(d->own, "reverse");
    json_int_t n = 0;

    for (size_t i = 0; i < json_array_size(reverse); i++) {
        const json_t *one = json_array_get(reverse, i);
        const json_t *put = json_object_get(one, "dispositions");

        if (!json_equal(json_object_get(json_object_get(one, "fulfillmentLineItem"), "id"),
                        shipped))
            continue;
        for (size_t k = 0; k < json_array_size(put); k++) {
            const json_t *p = json_array_get(put, k);

            if (strcmp(text(p, "type"), type) == 0 && deed_since(d, text(p, "createdAt")))
                n += whole(p, "quantity");
        }
    }
    return n;
}

/* One line: done since, not done, or nobody can tell. */
static enum deed_seen line_done(const struct deed *d, const json_t *line)
{
    const char *type = json_string_value(said(d, line, "disposition"));
    const json_t *returned = returned_lines(d);
    json_int_t put = 0, processed = 0, left = 0, wanted = whole(line, "quantity");

    for (size_t i = 0; i < json_array_size(returned); i++) {
        const json_t *one = json_array_get(returned, i);

        if (!is_of(line, one))
            continue;
        put += type ? put_since(d, one, type) : 0;
        processed += whole(one, "processedQuantity");
        left += whole(one, "processableQuantity");
    }
    if (type)
        return put >= wanted ? SEEN_DONE : SEEN_NOT;
    if (processed < wanted)
        return SEEN_NOT;
    return left < wanted ? SEEN_DONE : SEEN_HUMAN;
}

static enum deed_seen all_done(struct deed *d)
{
    const json_t *lines = json_object_get(d->own, "lines");
    size_t done = 0;

    for (size_t i = 0; i < json_array_size(lines); i++) {
        enum deed_seen one = line_done(d, json_array_get(lines, i));

        if (one == SEEN_HUMAN) {
            deed_say(d,
                     "lines[%zu]: an answer was lost, and so many were processed, but perhaps by "
                     "somebody else: if it was done, reject this; else release it",
                     i);
            return SEEN_HUMAN;
        }
        done += one == SEEN_DONE;
    }
    return done && done == json_array_size(lines) ? SEEN_DONE : SEEN_NOT;
}

/* ---- the input ----------------------------------------------------------------------------- */

/* Where pieces of a return's line are put: on its reverse fulfilment order, whose room goes down.
 * NULL: there is no room for them. */
static json_t *dispositions(struct deed *d, const json_t *line, const json_t *returned,
                            json_int_t pieces)
{
    const json_t *shipped = json_object_get(json_object_get(returned, "fulfillmentLineItem"), "id");
    const json_t *reverse = json_object_get(d->own, "reverse");
    json_t *to = json_array();

    for (size_t i = 0; i < json_array_size(reverse) && pieces > 0; i++) {
        json_t *one = json_array_get(reverse, i);
        json_int_t room = whole(one, "room"), n = room < pieces ? room : pieces;

        if (n <= 0 ||
            !json_equal(json_object_get(json_object_get(one, "fulfillmentLineItem"), "id"),
                        shipped))
            continue;
        json_array_append_new(to,
                              json_pack("{s:O,s:I,s:O,s:O*}", "reverseFulfillmentOrderLineItemId",
                                        json_object_get(one, "id"), "quantity", n,
                                        "dispositionType", said(d, line, "disposition"),
                                        "locationId", said(d, line, "location_id")));
        json_object_set_new(one, "room", json_integer(room - n));
        pieces -= n;
    }
    if (pieces > 0) {
        json_decref(to);
        return NULL;
    }
    return to;
}

/* Take a line's pieces from the return's. */
static int take_pieces(struct deed *d, size_t at, const json_t *line, json_t *to, json_t *refund)
{
    json_int_t left = whole(line, "quantity");
    json_t *returned = returned_lines(d);

    for (size_t i = 0; i < json_array_size(returned) && left > 0; i++) {
        json_t *one = json_array_get(returned, i), *input, *put;
        json_int_t there = whole(one, "processableQuantity"), n = there < left ? there : left;

        if (n <= 0 || !is_of(line, one))
            continue;
        input = json_pack("{s:O,s:I}", "id", json_object_get(one, "id"), "quantity", n);
        if (said(d, line, "disposition")) {
            put = dispositions(d, line, one, n);
            if (!put) {
                json_decref(input);
                deed_say(d,
                         "lines[%zu].disposition: the return has no pieces left to put "
                         "anywhere; leave it out",
                         at);
                return -1;
            }
            json_object_set_new(input, "dispositions", put);
        }
        json_array_append_new(to, input);
        json_array_append_new(
            refund,
            json_pack(
                "{s:O,s:I}", "lineItemId",
                json_object_get(
                    json_object_get(json_object_get(one, "fulfillmentLineItem"), "lineItem"), "id"),
                "quantity", n));
        json_object_set_new(one, "processableQuantity", json_integer(there - n));
        left -= n;
    }
    if (left == 0)
        return 0;
    deed_say(d, "lines[%zu].quantity: %lld wanted, %lld left to process", at,
             (long long)whole(line, "quantity"), (long long)(whole(line, "quantity") - left));
    return -1;
}

static enum deed_seen make_input(struct deed *d)
{
    const json_t *lines = json_object_get(d->own, "lines");
    json_t *to = json_array(), *refund = json_array();

    json_object_set_new(json_object_get(d->variables, "input"), "returnLineItems", to);
    json_object_set_new(d->own, "refund", refund);
    for (size_t i = 0; i < json_array_size(lines); i++)
        if (take_pieces(d, i, json_array_get(lines, i), to, refund) < 0)
            return SEEN_NEVER;
    if (json_array_size(to))
        return SEEN_NOT;
    deed_say(d, "return_id: nothing of the return is left to process");
    return SEEN_NEVER;
}

static const char *money_of(const struct deed *d)
{
    const char *money = json_string_value(json_object_get(d->body, "money"));

    return money ? money : json_object_get(d->body, "transactions") ? "given" : "none";
}

static void set_transactions(struct deed *d, json_t *list)
{
    json_object_set_new(json_object_get(d->variables, "input"), "financialTransfer",
                        json_pack("{s:{s:o}}", "issueRefund", "orderTransactions", list));
}

static json_t *given_transactions(const struct deed *d)
{
    const json_t *from = json_object_get(d->body, "transactions");
    json_t *to = json_array();

    for (size_t i = 0; i < json_array_size(from); i++) {
        const json_t *one = json_array_get(from, i);

        json_array_append_new(to, json_pack("{s:O,s:{s:O,s:O}}", "parentId",
                                            json_object_get(one, "parent_id"), "transactionAmount",
                                            "amount", json_object_get(one, "amount"),
                                            "currencyCode", json_object_get(d->body, "currency")));
    }
    return to;
}

static sl_status read(struct deed *d)
{
    int given = json_object_get(d->body, "transactions") != NULL;
    json_t *input = json_pack("{s:O}", "returnId", json_object_get(d->body, "return_id"));

    if (given != (strcmp(money_of(d), "given") == 0) ||
        (given && !json_object_get(d->body, "currency"))) {
        json_decref(input);
        return deed_wrong(d, "transactions: money: given wants them, with their currency");
    }
    d->own = json_pack("{s:[],s:[]}", "returned", "reverse");
    d->variables = json_pack("{s:o}", "input", input);
    if (!d->own || !d->variables || deed_take(d, input, "note", "note") < 0 ||
        deed_take(d, input, "notify", "notifyCustomer") < 0)
        return SL_E_NO_MEMORY;
    if (json_object_get(d->body, "shipping"))
        json_object_set_new(input, "refundShipping", json_pack("{s:b}", "fullRefund", 1));
    if (given)
        set_transactions(d, given_transactions(d));
    return SL_OK;
}

/* ---- the state ----------------------------------------------------------------------------- */

static json_t *look_variables(const struct deed *d)
{
    return json_pack("{s:O,s:s*}", "id", json_object_get(d->body, "return_id"), "after", d->cursor);
}

static void learn_reverse(struct deed *d, const json_t *orders)
{
    json_t *to = json_object_get(d->own, "reverse");

    for (size_t i = 0; i < json_array_size(orders); i++)
        json_array_extend(
            to, json_object_get(json_object_get(json_array_get(orders, i), "lineItems"), "nodes"));
    for (size_t i = 0; i < json_array_size(to); i++) {
        json_t *one = json_array_get(to, i);
        const json_t *put = json_object_get(one, "dispositions");
        json_int_t room = whole(one, "totalQuantity");

        for (size_t k = 0; k < json_array_size(put); k++)
            room -= whole(json_array_get(put, k), "quantity");
        json_object_set_new(one, "room", json_integer(room));
    }
}

/* The body's lines; without them, whatever of the return is not processed yet. */
static void choose_lines(struct deed *d)
{
    json_t *lines = json_object_get(d->body, "lines"), *to;
    const json_t *returned = returned_lines(d);

    if (lines) {
        json_object_set(d->own, "lines", lines);
        return;
    }
    to = json_array();
    for (size_t i = 0; i < json_array_size(returned); i++) {
        const json_t *one = json_array_get(returned, i);

        if (whole(one, "processableQuantity") > 0)
            json_array_append_new(to, json_pack("{s:O,s:O}", "return_line_item_id",
                                                json_object_get(one, "id"), "quantity",
                                                json_object_get(one, "processableQuantity")));
    }
    json_object_set_new(d->own, "lines", to);
}

static enum deed_seen judge_whole(struct deed *d, const char *status)
{
    int again = deed_sent_before(d) || d->cb || d->refused != REFUSAL_NONE;
    int all = json_object_get(d->body, "lines") == NULL;
    enum deed_seen done = SEEN_NOT;

    choose_lines(d);
    if (again && all)
        done = json_array_size(json_object_get(d->own, "lines")) == 0 ? SEEN_DONE : SEEN_NOT;
    else if (again)
        done = all_done(d);
    if (done == SEEN_DONE && json_is_true(json_object_get(d->body, "close")) &&
        strcmp(status, "CLOSED") != 0)
        return SEEN_REST;
    if (done != SEEN_NOT || d->cb || d->refused != REFUSAL_NONE)
        return done;
    if (strcmp(status, "OPEN") != 0) {
        deed_say(d, "return_id: the return is %.20s: only one that is OPEN is processed%s", status,
                 strcmp(status, "REQUESTED") == 0 ? "; approve it first" : "");
        return SEEN_NEVER;
    }
    return make_input(d);
}

static enum deed_seen judge(struct deed *d, const json_t *data)
{
    const json_t *it = json_object_get(data, "return");
    const json_t *items = json_object_get(it, "returnLineItems");

    if (!json_is_object(it)) {
        deed_say(d, "return_id: the shop has no such return");
        return SEEN_NEVER;
    }
    deed_refers(d, text(it, "id"));
    if (!d->cursor) { /* the first page, and perhaps of a further look */
        json_array_clear(returned_lines(d));
        json_array_clear(json_object_get(d->own, "reverse"));
        learn_reverse(d, json_object_get(json_object_get(it, "reverseFulfillmentOrders"), "nodes"));
    }
    json_object_set(d->own, "order", json_object_get(json_object_get(it, "order"), "id"));
    json_array_extend(returned_lines(d), json_object_get(items, "nodes"));
    if (deed_next_page(d, json_object_get(items, "pageInfo")))
        return SEEN_MORE;
    return judge_whole(d, text(it, "status"));
}

/* ---- its money ----------------------------------------------------------------------------- */

static int is_zero(const char *amount)
{
    return amount[strspn(amount, "0.")] == '\0';
}

static void on_suggested(struct deed *d, const json_t *data)
{
    const json_t *due = json_object_get(json_object_get(data, "order"), "suggestedRefund");
    const json_t *list = json_object_get(due, "suggestedTransactions");
    json_t *to = json_array();

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        json_t *money = json_object_get(json_object_get(one, "amountSet"), "presentmentMoney");
        json_t *parent = json_object_get(json_object_get(one, "parentTransaction"), "id");

        if (parent && !is_zero(text(money, "amount")))
            json_array_append_new(
                to, json_pack("{s:O,s:O}", "parentId", parent, "transactionAmount", money));
    }
    if (json_array_size(to))
        set_transactions(d, json_incref(to));
    json_decref(to);
    deed_do(d);
}

static void before(struct deed *d)
{
    if (strcmp(money_of(d), "suggested") != 0) {
        deed_do(d);
        return;
    }
    deed_ask(d, suggested_refund,
             json_pack("{s:O,s:O,s:b}", "id", json_object_get(d->own, "order"), "lines",
                       json_object_get(d->own, "refund"), "shipping",
                       json_object_get(d->body, "shipping") != NULL),
             on_suggested);
}

/* ---- and it is closed ---------------------------------------------------------------------- */

static void on_state(struct deed *d, const json_t *data)
{
    if (strcmp(text(json_object_get(data, "return"), "status"), "CLOSED") == 0)
        deed_done(d);
    else
        deed_review(d);
}

static void on_closed(struct deed *d, const json_t *data)
{
    const json_t *errors = json_object_get(json_object_get(data, "returnClose"), "userErrors");
    char why[200];

    if (refusal_of(errors, NULL, why, sizeof(why)) == REFUSAL_NONE) {
        deed_done(d);
        return;
    }
    deed_say(d, "the return was processed and is not closed: %s", why);
    deed_ask(d, return_state, json_pack("{s:O}", "id", json_object_get(d->body, "return_id")),
             on_state);
}

static void close_it(struct deed *d)
{
    deed_ask(d, return_close, json_pack("{s:O}", "id", json_object_get(d->body, "return_id")),
             on_closed);
}

static void resume(struct deed *d, const json_t *token)
{
    (void)token; /* that there is one says that it was processed */
    deed_refers(d, text(d->body, "return_id"));
    close_it(d);
}

static void after(struct deed *d, const json_t *payload)
{
    (void)payload;
    if (json_is_true(json_object_get(d->body, "close")))
        deed_checkpoint(d, json_pack("{s:i}", "v", 1), close_it);
    else
        deed_done(d);
}

static const struct deed_kind kind = {
    .shape = &shape,
    .params = return_process_params,
    .flags = DEED_LOOK_FIRST,
    .document = return_process,
    .root = "returnProcess",
    .object = "return",
    .link = "return",
    .refusals = refusals,
    .read = read,
    .look = return_lines,
    .look_variables = look_variables,
    .judge = judge,
    .before = before,
    .after = after,
    .resume = resume,
};

DEED_ACTION(return_process, kind, shape, .scopes = "write_returns read_orders|write_orders");
