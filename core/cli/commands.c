#include "cli/command.h"

#include <stddef.h>

static const struct cli_option check_options[] = {
    { "no-secrets", NULL, "do not read secrets: for a check on another machine" }, { 0 }
};

const struct command commands[] = {
    { "run", NULL, "run the daemon in the foreground", NULL, command_run },
    { "check", NULL, "check the configuration, all of it", check_options, command_check },
    { "version", NULL, "print the version", NULL, command_version },
    { 0 },
};
