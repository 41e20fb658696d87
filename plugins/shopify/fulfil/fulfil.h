/*
 * fulfil.h - the actions of this room: fulfilments, and the fulfillment orders they are made of.
 */
#pragma once

#include "actions.h"

/* create.c */
extern const sl_option fulfillment_create_params[];
extern const struct shopify_action fulfillment_create_action;
