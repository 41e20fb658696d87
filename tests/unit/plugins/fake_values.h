/*
 * fake_values.h - what fake_host.c needs of the values beyond fake_host.h.
 */
#pragma once

#include "fake_host.h"

/** Fail the test if one of the secrets stands in the text. `where` is for the message. */
void fake_values_check_no_secret(const sl_values *v, sl_str text, const char *where);
