/* fake_host_parts.h - between the files of the fake host only. */
#pragma once

#include "fake_host.h"

/** What an outcome has the endpoint remember, for recall(). */
void fake_host_tell_facts(struct fake_host *f, const sl_facts *facts);
/** Own: as a C string. */
char *fake_copy(sl_str s);
void fake_replace(char **field, sl_str s);
/** Runs `cb` in a later turn, as what was stored (SL_OK) or could not be. */
void fake_host_durable(struct fake_host *f, sl_durable_cb cb, void *cb_ctx, sl_status status);
void fake_host_check_no_secret(const struct fake_host *f, sl_str text, const char *where);
