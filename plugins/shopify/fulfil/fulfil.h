/*
 * fulfil.h - the actions of this room: fulfilments, and the fulfillment orders they are made of.
 */
#pragma once

#include "actions.h"

/* access scopes: of fulfillment orders wherever they are, and of our own service's */
#define FULFIL_ANY                                                        \
    "read_orders|write_orders write_merchant_managed_fulfillment_orders|" \
    "write_assigned_fulfillment_orders|write_third_party_fulfillment_orders"
#define FULFIL_SERVICE "read_orders|write_orders write_assigned_fulfillment_orders"

/* create.c */
extern const sl_option fulfillment_create_params[];
extern const struct shopify_action fulfillment_create_action;

/* fulfillment.c */
extern const sl_option fulfillment_tracking_params[];
extern const struct shopify_action fulfillment_tracking_action, fulfillment_cancel_action,
    fulfillment_event_action;

/* order_actions.c */
extern const sl_option fulfillment_order_hold_params[], fulfillment_order_release_params[],
    fulfillment_order_move_params[];
extern const struct shopify_action fulfillment_order_hold_action, fulfillment_order_release_action,
    fulfillment_order_move_action, fulfillment_order_split_action;

/* order_requests.c */
extern const sl_option fulfillment_order_submit_params[], fulfillment_order_reject_params[];
extern const struct shopify_action fulfillment_order_submit_request_action,
    fulfillment_order_submit_cancellation_action, fulfillment_order_accept_request_action,
    fulfillment_order_reject_request_action, fulfillment_order_accept_cancellation_action,
    fulfillment_order_reject_cancellation_action, fulfillment_order_close_action,
    fulfillment_order_report_progress_action;
