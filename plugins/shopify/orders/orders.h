/*
 * orders.h - the actions of this room: orders, their refunds, returns, tags, metafields and notes,
 * and whatever else by a document of the operator's own.
 */
#pragma once

#include "actions.h"

extern const sl_option order_cancel_params[], order_note_params[];
extern const struct shopify_action order_cancel_action, order_note_action;

extern const sl_option refund_create_params[];
extern const struct shopify_action refund_create_action;

extern const sl_option return_process_params[];
extern const struct shopify_action return_create_action, return_request_action,
    return_approve_action, return_decline_action, return_process_action, return_close_action,
    return_reopen_action, return_cancel_action;

extern const struct shopify_action tags_add_action, tags_remove_action;

#define METAFIELDS_AT_ONCE 25      /* of one call */
#define METAFIELDS_BYTES   8000000 /* likewise; the shop takes 10 MB */
extern const struct shopify_action metafields_set_action;

extern const sl_option graphql_params[];
extern const struct shopify_action graphql_action;
