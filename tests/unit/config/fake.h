/*
 * fake.h - adapters that exist only here, a scratch folder, and a load of a text.
 */
#pragma once

#include "../check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>
#include "base/mem.h"
#include "config/config.h"

/** Counts what must balance. */
extern int fake_bound, fake_checked;

/** Adapters: shopify (source only), salesforce (two actions, bind), supplier-http (one action, no
 *  bind), kinds (a setting of each type), clash (a setting of core's name). A jq program that holds
 *  "BAD" does not compile. */
extern const struct config_env fake_env;
extern const sl_plugin fake_plugins[];

/** Chdir to a new folder below /tmp; remove it. */
void scratch_enter(void);
void scratch_leave(void);
void scratch_write(const char *name, const char *text, unsigned mode);

/** Load `text` as "t.yaml"; the configuration, or fails the test with the mistakes. */
struct config *load_good(const char *text);
/** Load a text that must be refused: the mistakes as printed, without source lines: own. */
char *load_bad(const char *text);
/** All that config_errors_print says: own. */
char *printed(const struct config_errors *errors);

/** A setting that is there, as a view. */
sl_str str_param(const sl_values *v, const char *name);
