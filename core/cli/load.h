/*
 * load.h - from a file name to a checked configuration, with the plugins and the jq checker wired
 * in.
 */
#pragma once

#include <stdbool.h>
#include "config/config.h"
#include "host/loader.h"

struct programs;

struct loaded_config {
    struct config *config;
    struct plugins *plugins;   /* must outlive the configuration */
    struct programs *programs; /* the jq programs that were compiled, and are good */
};

/** Checks the whole; mistakes go to standard error, as many as there are. Returns EXIT_DONE with
 *  *ret filled, or EXIT_CONFIG. `ret_errors` (may be NULL) takes the errors instead of printing. */
int load_config(const char *file, bool skip_secrets, struct loaded_config *ret,
                struct config_errors *ret_errors);
void unload_config(struct loaded_config *l);

/* ---- once more, in a running daemon ---- */

/** The same file again, with the plugins that are loaded. Compiles nothing: a program that is not
 *  known yet is taken for good and noted; see programs.h. 0 with *ret own, or UV_EINVAL
 * with `errors` filled. */
int load_again(struct loaded_config *l, const char *file, struct config **ret,
               struct config_errors *errors);
