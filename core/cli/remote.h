/*
 * remote.h - the commands that talk to the running daemon, and what they share.
 */
#pragma once

#include <jansson.h>
#include "cli/command.h"

#define OPTION_SOCKET                                                                      \
    {                                                                                      \
        "socket", "PATH", "the daemon's admin socket (default: as the configuration says)" \
    }

int command_status(struct cli *cli);
int command_events_list(struct cli *cli);
int command_events_show(struct cli *cli);
int command_deliveries_list(struct cli *cli);
int command_deliveries_move(struct cli *cli);
int command_groups(struct cli *cli);
int command_deliveries_show(struct cli *cli); /* "dead show" and "held show" as well */
int command_dead_list(struct cli *cli);
int command_held_list(struct cli *cli);
int command_deadlines_list(struct cli *cli);
int command_dead_replay(struct cli *cli);
int command_dead_discard(struct cli *cli);
int command_held_release(struct cli *cli);
int command_held_reject(struct cli *cli);
int command_held_arrived(struct cli *cli);
int command_held_again(struct cli *cli);
int command_held_choose(struct cli *cli);
int command_replay(struct cli *cli);
int command_replay_status(struct cli *cli);
int command_replay_cancel(struct cli *cli);
int command_deliveries_edit(struct cli *cli);
int command_issues(struct cli *cli);
int command_issues_show(struct cli *cli);
int command_issues_ack(struct cli *cli);
int command_issues_resolve(struct cli *cli);
int command_issues_reopen(struct cli *cli);
int command_endpoints_list(struct cli *cli);
int command_endpoints_trip(struct cli *cli);
int command_endpoints_reset(struct cli *cli);
int command_endpoints_unpark(struct cli *cli);
int command_endpoints_pause(struct cli *cli);
int command_endpoints_drain(struct cli *cli);
int command_endpoints_resume(struct cli *cli);
int command_report_duplicates(struct cli *cli);
int command_report_reconcile(struct cli *cli);
int command_report_webhooks(struct cli *cli);
int command_privacy(struct cli *cli);
int command_privacy_show(struct cli *cli);
int command_privacy_export(struct cli *cli);
int command_privacy_done(struct cli *cli);
int command_backfill(struct cli *cli);
int command_feeds(struct cli *cli);
int command_poll(struct cli *cli);
int command_routes_list(struct cli *cli);
int command_routes_pause(struct cli *cli);
int command_routes_drain(struct cli *cli);
int command_routes_resume(struct cli *cli);
int command_try(struct cli *cli);
int command_reload(struct cli *cli);

/** Tells what is wrong with the command line; EXIT_USAGE. */
int command_usage(const struct cli *cli, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/** A message to standard error, after what was printed so far. */
void tell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** The one argument a command wants; NULL: told. */
const char *command_one(const struct cli *cli, const char *what);

/** GET `path` and the one argument, which is `what`; printed by `print`, or as it is with --json.
 * An exit code. */
int command_show(struct cli *cli, const char *what, const char *path, void (*print)(json_t *o));

/** Deliveries as a table to standard output. */
void print_deliveries(json_t *list);
/** Events as a table. */
void print_events(json_t *list);
/** Who paused it, since when and why. */
void pause_note(struct buf *b, json_t *paused);
/** Feeds as a table. */
void print_feeds(json_t *feeds);
/** Those that are paused, as a table; nothing when none is. */
void print_paused_routes(json_t *routes);
/** "name     value" lines; nothing for an empty or missing text. */
void print_field(const char *name, const char *value);
void print_member(json_t *o, const char *name, const char *member);
/* held.c */
void print_hold(json_t *d);     /* what a held delivery carries */
void print_deadline(json_t *d); /* what must follow it, if anything */
/** A heading and a body below it; nothing when it is empty. */
void print_body(const char *heading, const char *body);
