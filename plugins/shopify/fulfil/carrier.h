/*
 * carrier.h - the tracking companies that Shopify knows. It makes a tracking link of a number only
 * if the company is spelt as on its list, to the letter.
 */
#pragma once

#include <stddef.h>

/** The listed spelling of a company, compared without case and by the names that suppliers use for
 *  it ("UPSN"); NULL: it is not on the list. Static storage. */
const char *carrier_name(const char *company);
