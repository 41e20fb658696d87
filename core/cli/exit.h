/*
 * exit.h - exit codes, the same for every command.
 */
#pragma once

enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_CONFIG = 3,
    EXIT_NOT_FOUND = 4,
    EXIT_REFUSED = 5,
    EXIT_NO_DAEMON = 6,
    EXIT_PARTIAL = 7, /* part of a bulk failed */
};
