/*
 * actions.c - the table of actions, and which of them a route has bound.
 */
#include "actions.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/points.h"
#include "body_table.h"
#include "drafts/draft.h"
#include "fulfil/fulfil.h"
#include "orders/orders.h"
#include "receive/callbacks.h"
#include "receive/remember.h"
#include "shopify.h"
#include "stock/stock.h"

const sl_action shopify_actions[] = {
    { "draft_order.create", 0, 1, 0, draft_params,
      "a draft order with a checkout link, of a quote's lines" },
    { "fulfillment.create", 0, 1, 0, fulfillment_create_params,
      "what a supplier has shipped becomes fulfilments with their tracking" },
    { "fulfillment.tracking", 0, 1, 0, fulfillment_tracking_params,
      "a fulfilment gets another tracking" },
    { "fulfillment.cancel", 0, 1, 0, NULL,
      "a fulfilment is cancelled: what it held is to be fulfilled again" },
    { "fulfillment.event", 0, 1, 0, NULL,
      "what has become of a parcel: in transit, delivered, ..." },
    { "fulfillment_order.hold", 0, 1, 0, fulfillment_order_hold_params,
      "fulfillment orders are held, whole or some lines of one" },
    { "fulfillment_order.release", 0, 1, 0, fulfillment_order_release_params,
      "holds of this app are released, and nobody else's" },
    { "fulfillment_order.move", 0, 1, 0, fulfillment_order_move_params,
      "fulfillment orders go to another location" },
    { "fulfillment_order.split", 0, 1, 0, NULL,
      "lines of a fulfillment order become one of their own" },
    { "fulfillment_order.submit_request", 0, 1, 0, fulfillment_order_submit_params,
      "a fulfillment service is asked to fulfil" },
    { "fulfillment_order.submit_cancellation", 0, 1, 0, NULL,
      "a fulfillment service is asked not to fulfil" },
    { "fulfillment_order.accept_request", 0, 1, 0, NULL,
      "as a fulfillment service: it will be fulfilled" },
    { "fulfillment_order.reject_request", 0, 1, 0, fulfillment_order_reject_params,
      "as a fulfillment service: it will not" },
    { "fulfillment_order.accept_cancellation", 0, 1, 0, NULL,
      "as a fulfillment service: it will not be fulfilled any more" },
    { "fulfillment_order.reject_cancellation", 0, 1, 0, NULL,
      "as a fulfillment service: it is too late to cancel" },
    { "fulfillment_order.close", 0, 1, 0, NULL,
      "as a fulfillment service: what is left could not be fulfilled" },
    { "fulfillment_order.report_progress", 0, 1, 0, NULL, "work on fulfillment orders has begun" },
    { "order.cancel", 0, 1, 0, order_cancel_params,
      "an order is cancelled, and its money goes where the body says" },
    { "refund.create", SL_ACTION_IDEMPOTENT, 1, 0, refund_create_params,
      "money, shipping and pieces of an order are refunded" },
    { "inventory.set", SL_ACTION_IDEMPOTENT | SL_ACTION_UPSERT, STOCK_ROWS, 0, stock_set_params,
      "stock levels are written, never over what the shop has changed meanwhile" },
    { "inventory.adjust", SL_ACTION_IDEMPOTENT, 1, 0, stock_adjust_params,
      "so many more or fewer of what is in stock, once" },
    { "order.note", 0, 1, 0, order_note_params, "a note of an order is added to, or replaced" },
    { "tags.add", SL_ACTION_IDEMPOTENT, 1, 0, NULL, "tags are added; what is there stays" },
    { "tags.remove", SL_ACTION_IDEMPOTENT, 1, 0, NULL, "tags are taken away" },
    { "return.create", 0, 1, 0, NULL, "a return of shipped pieces, open at once" },
    { "return.request", 0, 1, 0, NULL, "a return that is to be approved" },
    { "return.approve", 0, 1, 0, NULL, "a requested return is approved, and open" },
    { "return.decline", 0, 1, 0, NULL, "a requested return is declined" },
    { "return.process", 0, 1, 0, return_process_params,
      "what came back is put somewhere, and its money goes back" },
    { "return.close", 0, 1, 0, NULL, "a return is closed" },
    { "return.reopen", 0, 1, 0, NULL, "a closed return is open again" },
    { "return.cancel", 0, 1, 0, NULL, "a return is cancelled" },
    { "draft_order.update", SL_ACTION_IDEMPOTENT, 1, 0, NULL, "a draft order is changed" },
    { "draft_order.invoice", 0, 1, 0, NULL, "a draft order's invoice is mailed" },
    { "draft_order.complete", 0, 1, 0, draft_complete_params, "a draft order becomes an order" },
    { "metafields.set", SL_ACTION_IDEMPOTENT, METAFIELDS_AT_ONCE, METAFIELDS_BYTES, NULL,
      "metafields are written, those of several deliveries in one call" },
    { "graphql", 0, 1, 0, graphql_params, "a document of the operator's own" },
    { "callback.stock", SL_ACTION_IDEMPOTENT | SL_ACTION_UPSERT, 20, 0, callback_params,
      "what a fulfilment service tells Shopify of its stock when it is asked" },
    { "callback.tracking", SL_ACTION_IDEMPOTENT, 20, 0, callback_params,
      "tracking numbers that a fulfilment service tells Shopify when it is asked" },
    { 0 },
};

/* one for each row above, in its order */
/* clang-format off */
static const struct shopify_action *const doers[] = {
    &draft_action,
    &fulfillment_create_action,
    &fulfillment_tracking_action,
    &fulfillment_cancel_action,
    &fulfillment_event_action,
    &fulfillment_order_hold_action,
    &fulfillment_order_release_action,
    &fulfillment_order_move_action,
    &fulfillment_order_split_action,
    &fulfillment_order_submit_request_action,
    &fulfillment_order_submit_cancellation_action,
    &fulfillment_order_accept_request_action,
    &fulfillment_order_reject_request_action,
    &fulfillment_order_accept_cancellation_action,
    &fulfillment_order_reject_cancellation_action,
    &fulfillment_order_close_action,
    &fulfillment_order_report_progress_action,
    &order_cancel_action,
    &refund_create_action,
    &stock_set_action,
    &stock_adjust_action,
    &order_note_action,
    &tags_add_action,
    &tags_remove_action,
    &return_create_action,
    &return_request_action,
    &return_approve_action,
    &return_decline_action,
    &return_process_action,
    &return_close_action,
    &return_reopen_action,
    &return_cancel_action,
    &draft_update_action,
    &draft_invoice_action,
    &draft_complete_action,
    &metafields_set_action,
    &graphql_action,
    &callback_stock_action,
    &callback_tracking_action,
};
/* clang-format on */

static_assert(sizeof(doers) / sizeof(*doers) + 1 ==
                  sizeof(shopify_actions) / sizeof(*shopify_actions),
              "each action has a doer");

/** What bind() makes. */
struct bound {
    const struct shopify_action *action;
    void *handle;    /* the action's own */
    uint32_t points; /* of the first question of its last delivery; 0: it had none yet */
    int batches;     /* several records are one question */
};

sl_status shopify_bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail)
{
    struct bound *b = calloc(1, sizeof(*b));
    sl_status r;

    if (!b)
        return shopify_fail(fail, SL_E_NO_MEMORY, "out of memory");
    b->action = doers[in->action];
    b->batches = shopify_actions[in->action].batch_records > 1;
    r = b->action->bind(in, &b->handle, fail);
    if (r < 0) {
        free(b);
        return r;
    }
    *ret_handle = b;
    return SL_OK;
}

void shopify_unbind(void *handle)
{
    struct bound *b = handle;

    b->action->unbind(b->handle);
    free(b);
}

sl_status shopify_check_action(const sl_values *settings, const sl_values_api *values,
                               uint32_t action, sl_fail *fail)
{
    if (doers[action]->local) {
        if (!SL_HAS(sl_values_api, values, given) || values->given(settings, CALLBACKS_SETTING))
            return SL_OK;
        return shopify_fail(fail, SL_E_INVALID,
                            "it needs callbacks: { path_secret: ... }, or nobody can ask for it");
    }
    if (admin_is_set(settings, values))
        return SL_OK;
    return shopify_fail(fail, SL_E_INVALID,
                        "it needs admin: { client_id: ..., client_secret: ... } to write to the "
                        "shop");
}

void shopify_body_schema(uint32_t action, sl_schema_cb cb, void *cb_ctx)
{
    const struct body_shape *shape = doers[action]->body;
    json_t *schema = shape ? body_schema(shape) : NULL;
    char *text = schema ? json_dumps(schema, JSON_COMPACT) : NULL;

    if (text)
        cb(cb_ctx, (sl_str){ text, strlen(text) });
    free(text);
    json_decref(schema);
}

void shopify_prepare(void *self, void *handle, const sl_record *record, sl_prepare_cb cb,
                     void *cb_ctx)
{
    const struct bound *b = handle;

    if (b->action->prepare)
        b->action->prepare(self, b->handle, record, cb, cb_ctx);
    else
        cb(cb_ctx, SL_OK, record->body, (sl_str){ 0 });
}

void shopify_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done)
{
    struct bound *b = handle;

    admin_note_first(self, &b->points);
    b->action->deliver(self, b->handle, batch, done);
    admin_note_first(self, NULL);
}

void shopify_resume(void *self, void *handle, const sl_batch *batch, sl_str token,
                    const sl_done *done)
{
    const struct bound *b = handle;

    if (b->action->resume)
        b->action->resume(self, b->handle, batch, token, done);
    else
        done->finish(done->ctx); /* without an outcome: unknown */
}

sl_str shopify_row_key(void *self, void *handle, sl_str body)
{
    const struct bound *b = handle;

    return b->action->row_key ? b->action->row_key(self, b->handle, body) : (sl_str){ 0 };
}

sl_str shopify_parent_key(void *self, void *handle, sl_str body)
{
    const struct bound *b = handle;

    return b->action->parent_key ? b->action->parent_key(self, b->handle, body) : (sl_str){ 0 };
}

uint32_t shopify_cost(void *self, void *handle, const sl_record *record)
{
    const struct bound *b = handle;

    if (b->action->local || b->batches)
        return 0; /* it is not asked for, or a batch's call waits for what it costs */
    if (b->action->cost)
        return b->action->cost(self, b->handle, record);
    return b->points ? b->points : POINTS_MUTATES;
}

void shopify_batching(uint32_t action, const void *handle, sl_batching *ret)
{
    (void)handle;
    ret->age_ms = doers[action]->gathers_ms;
}

const char *shopify_scopes(const void *handle)
{
    return ((const struct bound *)handle)->action->scopes;
}

void shopify_confirm(void *self, void *handle, const sl_record *record, sl_confirm_cb cb,
                     void *cb_ctx)
{
    static const char why[] = "it cannot be looked up in the shop whether it was done";
    const struct bound *b = handle;

    if (b->action->confirm)
        b->action->confirm(self, b->handle, record, cb, cb_ctx);
    else
        cb(cb_ctx, &(sl_confirmed){ .size = sizeof(sl_confirmed),
                                    .verdict = SL_CONFIRM_UNSURE,
                                    .why = { why, sizeof(why) - 1 } });
}
