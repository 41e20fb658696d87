/* fake_keep.h - what the fake host keeps for an adapter: between its files only. */
#pragma once

#include <sluice/sluice.h>

struct fake_keep;

/** An empty value forgets it. */
void fake_keep_put(struct fake_keep **all, sl_str name, sl_str value);
/** "" if there is none. Borrowed. */
const char *fake_keep_get(const struct fake_keep *all, sl_str name);
void fake_keep_free(struct fake_keep *all);
