/*
 * daemon.h - `sluice run`: wires the rooms together, runs the loop, and takes them apart again.
 */
#pragma once

#include "config/config.h"

/** Runs until SIGTERM or SIGINT (a second one ends it at once). Returns the exit code. */
int daemon_run(const struct config *config);
