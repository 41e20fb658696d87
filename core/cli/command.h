/*
 * command.h - the subcommands: one table, one function each.
 */
#pragma once

#include <stdbool.h>
#include "base/buf.h"

struct command;

/** What every command was told. */
struct cli {
    const struct command *command;
    const char *file; /* -c; default /etc/sluice/sluice.yaml */
    bool json;        /* --json */
    int argc;         /* what follows the command's name and the common options */
    char **argv;
};

/** An option of a command: "--endpoint NAME" or a flag. The table ends with a NULL name. */
struct cli_option {
    const char *name;  /* "endpoint" */
    const char *value; /* "NAME"; NULL: a flag */
    const char *help;
};

struct command {
    const char *name;      /* "dead replay" */
    const char *arguments; /* "[ID...]"; NULL: none */
    const char *help;      /* one line */
    const struct cli_option *options;
    int (*run)(struct cli *cli); /* returns an exit code */
};

/** The table, ended by a NULL name. */
extern const struct command commands[];

/** The last value of an option given on the command line; NULL: not given. A flag gives "". */
const char *cli_value(const struct cli *cli, const char *name);
/** The index-th value of an option that may be repeated, in the order given; NULL: no more. */
const char *cli_value_at(const struct cli *cli, const char *name, size_t index);

int command_run(struct cli *cli);
int command_check(struct cli *cli);
int command_reference(struct cli *cli);
int command_db_check(struct cli *cli);
int command_db_repair(struct cli *cli);
int command_db_backup(struct cli *cli);
int command_db_restore(struct cli *cli);
int command_version(struct cli *cli);
/** What writes into a store leaves files that its daemon must be able to open. EXIT_DONE, or
 *  EXIT_REFUSED: root, and the store is another user's; told. */
int command_as_owner(const struct cli *cli, const char *store);
