/*
 * daemon.h - `sluice run`: wires the rooms together, runs the loop, and takes them apart again.
 */
#pragma once

#include "cli/load.h"

/** Log as this configuration says. */
void daemon_log(const struct config *c);
/** Runs until SIGTERM or SIGINT (a second one ends it at once). SIGHUP, or who asks the admin,
 * makes it read its configuration again: l->config may be another one afterwards. Returns the exit
 * code. */
int daemon_run(struct loaded_config *l);
