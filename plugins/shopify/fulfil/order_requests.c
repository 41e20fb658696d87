/*
 * order_requests.c - what a merchant and a fulfillment service ask of each other about fulfillment
 * orders, and what the service says of its work: requests submitted, accepted and rejected, their
 * cancellations too; progress reported; closed as what could not be finished.
 */
#include "fulfil/fulfil.h"
#include "fulfil/order_action.h"

#define MESSAGE                                                                   \
    {                                                                             \
        "message", BODY_TEXT, .min = 1, .max = 1000, .help = "for the other side" \
    }

/** One with an id and a message. */
#define MUTATION(operation, root)                                \
    "mutation " operation "($id: ID!, $message: String) { " root \
    "(id: $id, message: $message) {"                             \
    " fulfillmentOrder { id } userErrors { field message } } }"

static const struct body_member plain_body[] = { ORDER_WHICH, MESSAGE, { 0 } };
static const struct body_shape plain_shape = { .members = plain_body };

/* Of the shop's texts what is no failure of the body's. */
static const struct refusal_rule refusals[] = {
    { NULL, "must be of api type", REFUSAL_GOOD,
      "it is at a location of the merchant's own, and no service's" },
    { "FULFILLMENT_ORDER_UNSUPPORTED_ACTION", NULL, REFUSAL_STATE, NULL },
    { "FULFILLMENT_ORDER_STATUS_INVALID", NULL, REFUSAL_STATE, NULL },
    { "FULFILLMENT_ORDER_INVALID_FULFILLMENT_SERVICE_OWNERSHIP", NULL, REFUSAL_GOOD,
      "it is another service's" },
    { 0 },
};

static json_t *plain_variables(struct deed *d, const json_t *fo)
{
    json_t *to = json_pack("{s:s}", "id", text_at(fo, "id"));

    if (to && deed_take(d, to, "message", "message") < 0) {
        json_decref(to);
        return NULL;
    }
    return to;
}

/* ---- the merchant asks --------------------------------------------------------------------- */

static const struct body_member submit_body[] = {
    ORDER_WHICH,
    { "lines", BODY_OBJECT, .shape = &order_line_shape, .items = 250, .help = "these alone" },
    MESSAGE,
    { "notify", BODY_BOOL, .help = "the customer is written to once it is shipped" },
    { 0 },
};
static const struct body_shape submit_shape = { .members = submit_body };

const sl_option fulfillment_order_submit_params[] = {
    { "notify", SL_OPT_BOOL, 0, NULL, 0, 0, NULL,
      "the customer is written to once it is shipped, where the body does not say it" },
    { 0 },
};

static const char submit[] =
    "mutation FulfillmentOrderSubmitRequest($id: ID!, $lines: [FulfillmentOrderLineItemInput!],"
    " $message: String, $notify: Boolean) { fulfillmentOrderSubmitFulfillmentRequest(id: $id,"
    " fulfillmentOrderLineItems: $lines, message: $message, notifyCustomer: $notify) {"
    " submittedFulfillmentOrder { id } unsubmittedFulfillmentOrder { id }"
    " userErrors { field message } } }";

static enum order_state submit_state(struct deed *d, const json_t *fo)
{
    (void)d;
    if (order_is_requested(fo, "SUBMITTED") || order_is_requested(fo, "ACCEPTED"))
        return ORDER_DONE;
    return order_supports(fo, "REQUEST_FULFILLMENT") ? ORDER_CAN : ORDER_CANNOT;
}

static json_t *submit_variables(struct deed *d, const json_t *fo)
{
    json_t *to = plain_variables(d, fo), *lines = NULL;

    if (to && json_object_get(d->body, "lines") &&
        (!(lines = order_lines_input(d, fo)) || json_object_set_new(to, "lines", lines) < 0)) {
        json_decref(to);
        return NULL;
    }
    if (to)
        deed_take(d, to, "notify", "notify");
    return to;
}

static const struct order_kind submit_kind = {
    .kind = ORDER_KIND(submit, "fulfillmentOrderSubmitFulfillmentRequest", submit_shape,
                       fulfillment_order_submit_params, refusals),
    .verb = "requested",
    .state = submit_state,
    .variables = submit_variables,
};

DEED_ACTION(fulfillment_order_submit_request, submit_kind.kind, submit_shape, .scopes = FULFIL_ANY,
            .parent_key = deed_parent_key);

/* The answer still says ACCEPTED: that it is requested shows a moment later. */
static enum order_state take_back_state(struct deed *d, const json_t *fo)
{
    (void)d;
    if (order_is_requested(fo, "CANCELLATION_REQUESTED") ||
        order_is_requested(fo, "CANCELLATION_ACCEPTED"))
        return ORDER_DONE;
    return order_supports(fo, "REQUEST_CANCELLATION") ? ORDER_CAN : ORDER_CANNOT;
}

static const struct order_kind take_back_kind = {
    .kind = ORDER_KIND(
        MUTATION("FulfillmentOrderSubmitCancellation", "fulfillmentOrderSubmitCancellationRequest"),
        "fulfillmentOrderSubmitCancellationRequest", plain_shape, NULL, refusals),
    .verb = "requested to be cancelled",
    .human = 1, /* it is being shipped, or was */
    .state = take_back_state,
    .variables = plain_variables,
};

DEED_ACTION(fulfillment_order_submit_cancellation, take_back_kind.kind, plain_shape,
            .scopes = FULFIL_ANY, .parent_key = deed_parent_key);

/* ---- the service answers ------------------------------------------------------------------- */

static const struct body_member accept_body[] = {
    ORDER_WHICH,
    MESSAGE,
    { "estimated_shipped_at", BODY_TIME, .help = "when it should leave" },
    { 0 },
};
static const struct body_shape accept_shape = { .members = accept_body };

static const char accept[] =
    "mutation FulfillmentOrderAcceptRequest($id: ID!, $message: String, $at: DateTime) {"
    " fulfillmentOrderAcceptFulfillmentRequest(id: $id, message: $message,"
    " estimatedShippedAt: $at) { fulfillmentOrder { id } userErrors { field message } } }";

static enum order_state accept_state(struct deed *d, const json_t *fo)
{
    (void)d;
    if (order_is_requested(fo, "ACCEPTED") || order_is_requested(fo, "CANCELLATION_REQUESTED") ||
        order_is_requested(fo, "CANCELLATION_REJECTED"))
        return ORDER_DONE;
    return order_is_requested(fo, "SUBMITTED") ? ORDER_CAN : ORDER_CANNOT;
}

static json_t *accept_variables(struct deed *d, const json_t *fo)
{
    json_t *to = plain_variables(d, fo);

    if (to)
        deed_take(d, to, "estimated_shipped_at", "at");
    return to;
}

static const struct order_kind accept_kind = {
    .kind = ORDER_KIND(accept, "fulfillmentOrderAcceptFulfillmentRequest", accept_shape, NULL,
                       refusals),
    .verb = "accepted",
    .state = accept_state,
    .variables = accept_variables,
};

DEED_ACTION(fulfillment_order_accept_request, accept_kind.kind, accept_shape,
            .scopes = FULFIL_SERVICE, .parent_key = deed_parent_key);

#define REJECTIONS                                                                               \
    "INCORRECT_ADDRESS|INCORRECT_PRODUCT_INFO|INELIGIBLE_PRODUCT|"                               \
    "INTERNATIONAL_SHIPPING_UNAVAILABLE|INVALID_CONTACT_INFORMATION|INVALID_SKU|"                \
    "INVENTORY_OUT_OF_STOCK|MERCHANT_BLOCKED_OR_SUSPENDED|MISSING_CUSTOMS_INFO|ORDER_TOO_LARGE|" \
    "OTHER|PACKAGE_PREFERENCE_NOT_SET|PAYMENT_DECLINED|UNDELIVERABLE_DESTINATION"

static const struct body_member reject_body[] = {
    ORDER_WHICH,
    { "reason", BODY_ENUM, .of = REJECTIONS, .help = "why; without it: OTHER" },
    MESSAGE,
    { 0 },
};
static const struct body_shape reject_shape = { .members = reject_body };

const sl_option fulfillment_order_reject_params[] = {
    { "reason", SL_OPT_ENUM, 0, NULL, 0, 0, REJECTIONS, "why, where the body does not say it" },
    { 0 },
};

static const char reject[] =
    "mutation FulfillmentOrderRejectRequest($id: ID!, $reason: FulfillmentOrderRejectionReason,"
    " $message: String) { fulfillmentOrderRejectFulfillmentRequest(id: $id, reason: $reason,"
    " message: $message) { fulfillmentOrder { id } userErrors { field message } } }";

static enum order_state reject_state(struct deed *d, const json_t *fo)
{
    (void)d;
    if (order_is_requested(fo, "REJECTED"))
        return ORDER_DONE;
    return order_is_requested(fo, "SUBMITTED") ? ORDER_CAN : ORDER_CANNOT;
}

static json_t *reject_variables(struct deed *d, const json_t *fo)
{
    const char *reason = text_at(d->body, "reason");
    json_t *to = plain_variables(d, fo);

    if (to)
        json_object_set_new(to, "reason", json_string(*reason ? reason : "OTHER"));
    return to;
}

static const struct order_kind reject_kind = {
    .kind = ORDER_KIND(reject, "fulfillmentOrderRejectFulfillmentRequest", reject_shape,
                       fulfillment_order_reject_params, refusals),
    .verb = "rejected",
    .state = reject_state,
    .variables = reject_variables,
};

DEED_ACTION(fulfillment_order_reject_request, reject_kind.kind, reject_shape,
            .scopes = FULFIL_SERVICE, .parent_key = deed_parent_key);

/* One that is named may be asked for before its state shows the request. */
static int may_be_asked(const struct deed *d, const json_t *fo)
{
    return order_is_requested(fo, "CANCELLATION_REQUESTED") ||
           (order_is_requested(fo, "ACCEPTED") && json_object_get(d->body, "fulfillment_order_id"));
}

static enum order_state let_go_state(struct deed *d, const json_t *fo)
{
    if (order_is_requested(fo, "CANCELLATION_ACCEPTED"))
        return ORDER_DONE;
    return may_be_asked(d, fo) ? ORDER_CAN : ORDER_CANNOT;
}

static const struct order_kind let_go_kind = {
    .kind = ORDER_KIND(
        MUTATION("FulfillmentOrderAcceptCancellation", "fulfillmentOrderAcceptCancellationRequest"),
        "fulfillmentOrderAcceptCancellationRequest", plain_shape, NULL, refusals),
    .verb = "accepted to be cancelled",
    .state = let_go_state,
    .variables = plain_variables,
};

DEED_ACTION(fulfillment_order_accept_cancellation, let_go_kind.kind, plain_shape,
            .scopes = FULFIL_SERVICE, .parent_key = deed_parent_key);

static enum order_state keep_state(struct deed *d, const json_t *fo)
{
    if (order_is_requested(fo, "CANCELLATION_REJECTED"))
        return ORDER_DONE;
    return may_be_asked(d, fo) ? ORDER_CAN : ORDER_CANNOT;
}

static const struct order_kind keep_kind = {
    .kind = ORDER_KIND(
        MUTATION("FulfillmentOrderRejectCancellation", "fulfillmentOrderRejectCancellationRequest"),
        "fulfillmentOrderRejectCancellationRequest", plain_shape, NULL, refusals),
    .verb = "kept from being cancelled",
    .state = keep_state,
    .variables = plain_variables,
};

DEED_ACTION(fulfillment_order_reject_cancellation, keep_kind.kind, plain_shape,
            .scopes = FULFIL_SERVICE, .parent_key = deed_parent_key);

/* ---- the service's work -------------------------------------------------------------------- */

static enum order_state close_state(struct deed *d, const json_t *fo)
{
    (void)d;
    if (order_is(fo, "INCOMPLETE"))
        return ORDER_DONE;
    return order_is(fo, "IN_PROGRESS") && !order_is_requested(fo, "UNSUBMITTED") ? ORDER_CAN
                                                                                 : ORDER_CANNOT;
}

static const struct order_kind close_kind = {
    .kind = ORDER_KIND(MUTATION("FulfillmentOrderClose", "fulfillmentOrderClose"),
                       "fulfillmentOrderClose", plain_shape, NULL, refusals),
    .verb = "closed as incomplete",
    .state = close_state,
    .variables = plain_variables,
};

DEED_ACTION(fulfillment_order_close, close_kind.kind, plain_shape, .scopes = FULFIL_SERVICE,
            .parent_key = deed_parent_key);

static const struct body_member progress_body[] = {
    ORDER_WHICH,
    { "notes", BODY_TEXT, .min = 1, .max = 1000, .help = "how far it is" },
    { 0 },
};
static const struct body_shape progress_shape = { .members = progress_body };

static const char progress[] =
    "mutation FulfillmentOrderReportProgress($id: ID!,"
    " $report: FulfillmentOrderReportProgressInput) { fulfillmentOrderReportProgress(id: $id,"
    " progressReport: $report) { fulfillmentOrder { id } userErrors { code field message } } }";

/* What can be marked as open again has had its progress reported. */
static enum order_state progress_state(struct deed *d, const json_t *fo)
{
    if (order_supports(fo, "MARK_AS_OPEN") &&
        (deed_sent_before(d) || !json_object_get(d->body, "notes")))
        return ORDER_DONE;
    return order_supports(fo, "REPORT_PROGRESS") ? ORDER_CAN : ORDER_CANNOT;
}

static json_t *progress_variables(struct deed *d, const json_t *fo)
{
    return json_pack("{s:s,s:{s:O*}}", "id", text_at(fo, "id"), "report", "reasonNotes",
                     json_object_get(d->body, "notes"));
}

static const struct order_kind progress_kind = {
    .kind = ORDER_KIND(progress, "fulfillmentOrderReportProgress", progress_shape, NULL, refusals),
    .verb = "reported",
    .state = progress_state,
    .variables = progress_variables,
};

DEED_ACTION(fulfillment_order_report_progress, progress_kind.kind, progress_shape,
            .scopes = FULFIL_ANY, .parent_key = deed_parent_key);
