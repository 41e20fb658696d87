/*
 * cancel.c - order.cancel. The shop takes the order and cancels it in a job of its own: the job is
 * followed to its end, over a restart as well, and what counts is the order's cancelledAt.
 */
#include <string.h>

#include "body_table.h"
#include "orders/deed.h"
#include "orders/orders.h"
#include "shopify.h"

#define TURNS   24
#define CAP_MS  30000
#define AT_ONCE 1000

static const struct body_member members[] = {
    { "order_id", BODY_ID, .of = "Order", .help = "without it: the order that the event is about" },
    { "reason", BODY_ENUM, .of = "CUSTOMER|DECLINED|FRAUD|INVENTORY|OTHER|STAFF",
      .help = "why; the order shows it" },
    { "restock", BODY_BOOL, .help = "its unshipped quantities become available again" },
    { "refund", BODY_ENUM, .of = "original|store_credit|none",
      .help = "where the money goes: the way it came, store credit, or it stays" },
    { "store_credit_expires_at", BODY_TIME, .help = "of store credit; without it: never" },
    { "notify", BODY_BOOL, .help = "the shop writes to the customer; without it: no" },
    { "staff_note", BODY_TEXT, .min = 1, .max = 255, .help = "for the shop's staff" },
    { 0 },
};
static const struct body_shape shape = { .members = members };

const sl_option order_cancel_params[] = {
    { "reason", SL_OPT_ENUM, 0, NULL, 0, 0, "CUSTOMER|DECLINED|FRAUD|INVENTORY|OTHER|STAFF",
      "why, where the body does not say it" },
    { "restock", SL_OPT_BOOL, 0, NULL, 0, 0, NULL,
      "unshipped quantities become available again, where the body does not say it" },
    { "refund", SL_OPT_ENUM, 0, NULL, 0, 0, "original|store_credit|none",
      "where the money goes, where the body does not say it" },
    { "notify", SL_OPT_BOOL, 0, NULL, 0, 0, NULL,
      "the shop writes to the customer, where the body does not say it" },
    { 0 },
};

static const char order_cancel[] =
    "mutation OrderCancel($orderId: ID!, $reason: OrderCancelReason!, $restock: Boolean!,"
    " $refundMethod: OrderCancelRefundMethodInput, $notifyCustomer: Boolean, $staffNote: String) {"
    " orderCancel(orderId: $orderId, reason: $reason, restock: $restock,"
    " refundMethod: $refundMethod, notifyCustomer: $notifyCustomer, staffNote: $staffNote) {"
    " job { id done } orderCancelUserErrors { code field message } } }";
/* since 2026-10 the job's result says why it has failed */
static const char order_cancel_told[] =
    "mutation OrderCancelTold($orderId: ID!, $reason: OrderCancelReason!, $restock: Boolean!,"
    " $refundMethod: OrderCancelRefundMethodInput, $notifyCustomer: Boolean, $staffNote: String) {"
    " orderCancel(orderId: $orderId, reason: $reason, restock: $restock,"
    " refundMethod: $refundMethod, notifyCustomer: $notifyCustomer, staffNote: $staffNote) {"
    " job { id done } jobResult { id } orderCancelUserErrors { code field message } } }";
static const char job_result[] =
    "query OrderCancelResult($id: ID!) { node(id: $id) { id ... on OrderCancelJobResult {"
    " status errors { code field message } } } }";
static const char order_state[] =
    "query OrderCancelled($id: ID!) { order(id: $id) { id cancelledAt } }";
static const char job_state[] =
    "query OrderCancelJob($job: ID!, $id: ID!) { job(id: $job) { id done }"
    " order(id: $id) { id cancelledAt } }";

static const struct refusal_rule refusals[] = {
    { NULL, "already been canceled", REFUSAL_DONE, NULL },
    { NULL, "outstanding fulfillments", REFUSAL_HUMAN,
      "stop or finish what is being shipped, then release this; or reject it" },
    { NULL, "has returns", REFUSAL_HUMAN,
      "an order with returns is refunded, not cancelled: close them and release this, or reject it" },
    { "NOT_FOUND", NULL, REFUSAL_GOOD, "order_id: the shop has no such order" },
    { "NO_REFUND_PERMISSION", NULL, REFUSAL_GOOD,
      "refund: the app's user may not refund; say none, or give the app write_orders" },
    { "NO_REFUND_TO_STORE_CREDIT_PERMISSION", NULL, REFUSAL_GOOD,
      "refund: the app may not give store credit (scope write_store_credit_account_transactions)" },
    { "STORE_CREDIT_REFUND_MISSING_CUSTOMER", NULL, REFUSAL_GOOD,
      "refund: the order has no customer to credit; say original" },
    { "STORE_CREDIT_REFUND_B2B_NOT_SUPPORTED", NULL, REFUSAL_GOOD,
      "refund: a company's order cannot be refunded to store credit; say original" },
    { "STORE_CREDIT_REFUND_EXPIRATION_IN_PAST", NULL, REFUSAL_GOOD,
      "store_credit_expires_at: it has passed" },
    { 0 },
};

static json_t *refund_method(const struct deed *d, const char *refund)
{
    const json_t *expires = json_object_get(d->body, "store_credit_expires_at");

    if (strcmp(refund, "store_credit") != 0)
        return json_pack("{s:b}", "originalPaymentMethodsRefund", strcmp(refund, "original") == 0);
    return json_pack("{s:{s:O*}}", "storeCreditRefund", "expiresAt", expires);
}

/* "unstable" is newer than all. */
static int tells_result(const struct deed *d)
{
    static const char since[] = "2026-10";
    sl_str v = d->s->version;

    return v.len >= sizeof(since) - 1 && memcmp(v.ptr, since, sizeof(since) - 1) >= 0;
}

static sl_status read(struct deed *d)
{
    const char *refund = json_string_value(json_object_get(d->body, "refund"));
    json_t *restock = json_object_get(d->body, "restock");

    d->mutation = tells_result(d) ? order_cancel_told : order_cancel;
    if (deed_take_order(d) < 0)
        return SL_E_INVALID;
    if (!refund)
        return deed_wrong(d, "refund: it is not given: original, store_credit or none");
    if (!restock)
        return deed_wrong(d, "restock: it is not given: true or false");
    d->variables = json_pack("{s:O,s:O,s:o}", "orderId", json_object_get(d->body, "order_id"),
                             "restock", restock, "refundMethod", refund_method(d, refund));
    if (!d->variables || deed_take(d, d->variables, "reason", "reason") < 0 ||
        deed_take(d, d->variables, "notify", "notifyCustomer") < 0 ||
        deed_take(d, d->variables, "staff_note", "staffNote") < 0)
        return SL_E_NO_MEMORY;
    if (json_object_get(d->variables, "reason"))
        return SL_OK;
    return json_object_set_new(d->variables, "reason", json_string("OTHER")) < 0 ? SL_E_NO_MEMORY
                                                                                 : SL_OK;
}

static json_t *look_variables(const struct deed *d)
{
    return json_pack("{s:O}", "id", json_object_get(d->variables, "orderId"));
}

static int is_cancelled(struct deed *d, const json_t *data)
{
    const json_t *order = json_object_get(data, "order");

    if (!json_is_string(json_object_get(order, "cancelledAt")))
        return 0;
    deed_refers(d, json_string_value(json_object_get(order, "id")));
    return 1;
}

static enum deed_seen judge(struct deed *d, const json_t *data)
{
    if (is_cancelled(d, data))
        return SEEN_DONE;
    if (json_is_object(json_object_get(data, "order")) && d->refused != REFUSAL_DONE)
        return SEEN_NOT;
    if (json_is_object(json_object_get(data, "order"))) {
        deed_say(d, "the shop says that it is cancelled already, and does not show it yet");
        return SEEN_EARLY; /* by a job that is under way, and may fail */
    }
    deed_say(d, "order_id: the shop has no such order");
    return SEEN_NEVER;
}

/* ---- its job ------------------------------------------------------------------------------- */

static void ask_job(struct deed *d);

static void on_why(struct deed *d, const json_t *data)
{
    char why[300];

    refusal_of(json_object_get(json_object_get(data, "node"), "errors"), NULL, why, sizeof(why));
    deed_say(d, "the shop's job ended and the order is not cancelled: %s",
             why[0] ? why : "its timeline says why");
    deed_review(d);
}

static void ask_why(struct deed *d)
{
    json_t *result = json_object_get(d->own, "result");

    if (json_is_string(result))
        deed_ask(d, job_result, json_pack("{s:O}", "id", result), on_why);
    else
        on_why(d, NULL);
}

/* A job that is not known any more has ended. */
static void on_job(struct deed *d, const json_t *data)
{
    const json_t *job = json_object_get(data, "job");
    int ended = !json_is_object(job) || json_is_true(json_object_get(job, "done"));
    int64_t wait = (int64_t)AT_ONCE << (d->turns < 5 ? d->turns : 5);

    if (ended && is_cancelled(d, data)) {
        deed_done(d);
    } else if (ended && d->turns > 3) {
        ask_why(d);
    } else if (d->turns++ < TURNS) {
        deed_later(d, wait > CAP_MS ? CAP_MS : wait, ask_job);
    } else {
        deed_say(d, "the shop's job that cancels the order has not ended");
        deed_unknown(d);
    }
}

static void ask_job(struct deed *d)
{
    deed_ask(d, job_state,
             json_pack("{s:O,s:O}", "job", json_object_get(d->own, "job"), "id",
                       json_object_get(d->variables, "orderId")),
             on_job);
}

static void resume(struct deed *d, const json_t *token)
{
    d->own = json_pack("{s:O*,s:O*}", "job", json_object_get(token, "job"), "result",
                       json_object_get(token, "result"));
    ask_job(d);
}

static void after(struct deed *d, const json_t *payload)
{
    json_t *job = json_object_get(json_object_get(payload, "job"), "id");
    json_t *result = json_object_get(json_object_get(payload, "jobResult"), "id");

    d->own = json_pack("{s:O,s:O*}", "job", job, "result", result);
    deed_checkpoint(d, json_pack("{s:i,s:O,s:O*}", "v", 1, "job", job, "result", result), ask_job);
}

static const struct deed_kind kind = {
    .shape = &shape,
    .params = order_cancel_params,
    .root = "orderCancel",
    .errors = "orderCancelUserErrors",
    .object = "job",
    .link = NULL,
    .refusals = refusals,
    .read = read,
    .look = order_state,
    .look_variables = look_variables,
    .judge = judge,
    .after = after,
    .resume = resume,
};

DEED_ACTION(order_cancel, kind, shape, .scopes = "write_orders");
