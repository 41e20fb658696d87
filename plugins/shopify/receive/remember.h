/*
 * remember.h - actions that ask nothing of the shop: what a supplier says is remembered, until
 * Shopify asks for it (callbacks.h).
 */
#pragma once

#include "actions.h"

extern const sl_option callback_params[];
extern const struct shopify_action callback_stock_action, callback_tracking_action;
