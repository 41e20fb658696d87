/*
 * hold_asked.h - a hold that an adapter asked for (SL_REVIEW): its type, its choices, what they
 * rest on, and the answer that the adapter gets back.
 *
 *   {"hold":"contact-merge","owner":"crm-team","asked_by":"crm",
 *    "choices":[{"name":"use:0035g...","do":"release","text":"it is Ada Lovelace"}, ...],
 *    "evidence":{...}}
 *
 * Once somebody chose, `answer` stands in it, and stays there until the adapter asks anew.
 */
#pragma once

#include <sluice/sluice.h>

#include "flow/delivery.h"
#include "store/store.h"

/** The hold type and the detail, both own. What the adapter gave and what cannot be shown is left
 *  out: without a usable type it is "review", without usable choices they are the usual two. */
void hold_asked(const struct delivery *d, const sl_outcome *o, char **ret_type, char **ret_detail);

/** Is it held by an adapter's question? */
bool hold_is_asked(const struct store_delivery *row);

/** What was answered to the adapter of this endpoint; own. NULL: nothing. */
char *hold_answer(sl_str detail, sl_str endpoint);
