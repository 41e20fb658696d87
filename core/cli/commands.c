/*
 * commands.c - the table of all commands; the help texts are its.
 */
#include <stddef.h>
#include "cli/command.h"
#include "cli/remote.h"

#define OPTIONS(name) static const struct cli_option name[]
#define OPTION_ENDPOINT                             \
    {                                               \
        "endpoint", "NAME", "only of this endpoint" \
    }
#define OPTION_ROUTE                          \
    {                                         \
        "route", "NAME", "only of this route" \
    }
#define OPTION_SUBJECT                                                      \
    {                                                                       \
        "subject", "SUBJECT", "only of this subject, such as order:SHOP/ID" \
    }
#define OPTION_TOPIC                           \
    {                                          \
        "topic", "TOPIC", "only of this topic" \
    }
#define OPTION_TYPE                                                        \
    {                                                                      \
        "type", "TYPE", "only holds of this type, such as unknown-outcome" \
    }
#define OPTION_ERROR                                           \
    {                                                          \
        "error", "TEXT", "only with this text in their reason" \
    }
#define OPTION_ISSUE                                          \
    {                                                         \
        "issue", "ISSUE", "only of this one of sluice issues" \
    }
#define OPTION_SINCE                                                                       \
    {                                                                                      \
        "since", "WHEN", "only what came to stand so since: 2h (ago), or an RFC 3339 time" \
    }
#define OPTION_UNTIL                            \
    {                                           \
        "until", "WHEN", "only what did before" \
    }
#define OPTION_LIMIT                                       \
    {                                                      \
        "limit", "N", "at most N, 1 to 1000 (default 100)" \
    }
#define OPTION_AFTER                          \
    {                                         \
        "after", "ID", "go on after this one" \
    }
#define OPTION_PRIORITY                                                                \
    {                                                                                  \
        "priority", "NAME",                                                            \
            "critical, high, normal or low (default: low, so live traffic goes first)" \
    }
#define OPTION_WHY                              \
    {                                           \
        "why", "TEXT", "kept with the decision" \
    }
#define OPTION_ALL                                \
    {                                             \
        "all", NULL, "all that the filters leave" \
    }
#define OPTION_DRY_RUN                               \
    {                                                \
        "dry-run", NULL, "say which, change nothing" \
    }

OPTIONS(check_options) = {
    { "no-secrets", NULL, "do not read secrets: for a check on another machine" },
    { "online", NULL,
      "ask each endpoint whether it would work: login, rights, objects and keys of the routes; "
      "nothing is sent" },
    { 0 }
};
OPTIONS(reference_options) = {
    { "plugins", "FOLDER", "where the adapters are (default: as the configuration says)" },
    { "schema", NULL,
      "as JSON Schema: the adapters' keys, and what the bodies of their actions must be" },
    { 0 }
};
OPTIONS(reload_options) = { { "dry-run", NULL,
                              "say what it would change and what would be held, change nothing" },
                            OPTION_SOCKET,
                            { 0 } };
OPTIONS(pause_options) = { OPTION_WHY, OPTION_SOCKET, { 0 } };
OPTIONS(drain_options) = {
    OPTION_WHY, { "timeout", "TIME", "wait so long at most (default 60s)" }, OPTION_SOCKET, { 0 }
};
OPTIONS(plain_options) = { OPTION_SOCKET, { 0 } };
OPTIONS(events_options) = { { "duplicates", NULL,
                              "only what repeats another event: by its id or by what it says" },
                            OPTION_ENDPOINT,
                            OPTION_TOPIC,
                            OPTION_SUBJECT,
                            OPTION_AFTER,
                            OPTION_LIMIT,
                            OPTION_SOCKET,
                            { 0 } };
OPTIONS(deliveries_options) = {
    { "state", "STATE",
      "ready, inflight, waiting, unknown, held, delivered, dead, superseded, discarded" },
    OPTION_ENDPOINT,
    OPTION_ROUTE,
    OPTION_SUBJECT,
    OPTION_TOPIC,
    OPTION_TYPE,
    OPTION_ERROR,
    OPTION_ISSUE,
    OPTION_SINCE,
    OPTION_UNTIL,
    OPTION_AFTER,
    OPTION_LIMIT,
    OPTION_SOCKET,
    { 0 }
};
OPTIONS(dead_options) = { OPTION_ENDPOINT, OPTION_ROUTE, OPTION_SUBJECT, OPTION_TOPIC,
                          OPTION_ERROR,    OPTION_ISSUE, OPTION_SINCE,   OPTION_UNTIL,
                          OPTION_AFTER,    OPTION_LIMIT, OPTION_SOCKET,  { 0 } };
#define OPTION_OWNER                            \
    {                                           \
        "owner", "NAME", "only what he decides" \
    }
#define OPTION_SET                                                                           \
    {                                                                                        \
        "set", "FIELD=VALUE", "what the choice lets you fill in; may be given several times" \
    }
#define OPTION_CHOICE                                                            \
    {                                                                            \
        "choice", "NAME", "one of the choices its hold offers: see held show ID" \
    }
OPTIONS(deadlines_options) = { { "overdue", NULL, "those that were missed" },
                               OPTION_OWNER,
                               OPTION_ENDPOINT,
                               OPTION_ROUTE,
                               OPTION_SUBJECT,
                               OPTION_AFTER,
                               OPTION_LIMIT,
                               OPTION_SOCKET,
                               { 0 } };
OPTIONS(held_options) = { OPTION_OWNER, { "overdue", NULL, "only those whose clock ran out" },
                          OPTION_TYPE,  OPTION_ENDPOINT,
                          OPTION_ROUTE, OPTION_SUBJECT,
                          OPTION_TOPIC, OPTION_ERROR,
                          OPTION_ISSUE, OPTION_SINCE,
                          OPTION_UNTIL, OPTION_AFTER,
                          OPTION_LIMIT, OPTION_SOCKET,
                          { 0 } };
OPTIONS(replay_options) = {
    OPTION_ALL,
    OPTION_ROUTE,
    OPTION_ENDPOINT,
    OPTION_SUBJECT,
    OPTION_TOPIC,
    OPTION_ERROR,
    OPTION_ISSUE,
    OPTION_SINCE,
    OPTION_UNTIL,
    { "remap", NULL, "run the route's program again on the original event" },
    { "force", NULL, "also what was delivered: send it again, under the same key" },
    OPTION_PRIORITY,
    { "rate", "N/s", "with --all: so many a second, as a job; see sluice replay" },
    OPTION_WHY,
    OPTION_DRY_RUN,
    OPTION_SOCKET,
    { 0 }
};
OPTIONS(discard_options) = { OPTION_ALL,   OPTION_ROUTE, OPTION_ENDPOINT, OPTION_SUBJECT,
                             OPTION_TOPIC, OPTION_ERROR, OPTION_ISSUE,    OPTION_SINCE,
                             OPTION_UNTIL, OPTION_WHY,   OPTION_DRY_RUN,  OPTION_SOCKET,
                             { 0 } };
OPTIONS(release_options) = { OPTION_ALL,
                             OPTION_TYPE,
                             OPTION_ROUTE,
                             OPTION_ENDPOINT,
                             OPTION_SUBJECT,
                             OPTION_TOPIC,
                             OPTION_ERROR,
                             OPTION_ISSUE,
                             OPTION_SINCE,
                             OPTION_UNTIL,
                             { "to", "ENDPOINT", "where to send what has no endpoint yet" },
                             OPTION_CHOICE,
                             OPTION_SET,
                             OPTION_WHY,
                             OPTION_DRY_RUN,
                             OPTION_SOCKET,
                             { 0 } };
OPTIONS(reject_options) = { OPTION_CHOICE,   OPTION_ALL,     OPTION_TYPE,  OPTION_ROUTE,
                            OPTION_ENDPOINT, OPTION_SUBJECT, OPTION_TOPIC, OPTION_ERROR,
                            OPTION_ISSUE,    OPTION_SINCE,   OPTION_UNTIL, OPTION_WHY,
                            OPTION_DRY_RUN,  OPTION_SOCKET,  { 0 } };
OPTIONS(choose_options) = { OPTION_SET, OPTION_WHY, OPTION_DRY_RUN, OPTION_SOCKET, { 0 } };
OPTIONS(trip_options) = { OPTION_WHY, OPTION_SOCKET, { 0 } };
OPTIONS(arrived_options) = { OPTION_WHY, OPTION_DRY_RUN, OPTION_SOCKET, { 0 } };
OPTIONS(move_options) = { { "to", "ENDPOINT", "another member of its group" },
                          { "not-arrived", NULL,
                            "you know that the one before has nothing of it; else it only moves "
                            "when that is certain" },
                          OPTION_WHY,
                          OPTION_DRY_RUN,
                          OPTION_SOCKET,
                          { 0 } };
OPTIONS(replays_options) = {
    { "route", "NAME",
      "only of this route; with --since and no other filter: old events that the route was not given" },
    { "since", "WHEN",
      "only what died since: 2h (ago), or an RFC 3339 time; of events: was received since" },
    OPTION_UNTIL,
    OPTION_ENDPOINT,
    OPTION_SUBJECT,
    OPTION_TOPIC,
    OPTION_ERROR,
    OPTION_ISSUE,
    { "dead", NULL, "all dead letters; with --route and --since alone: dead letters all the same" },
    { "remap", NULL, "run the route's program again on the original event" },
    OPTION_PRIORITY,
    { "rate", "N/s", "so many a second (default: as fast as they are decided)" },
    { "max-failures", "N", "stop when more have died again (default 100; 0: no bound)" },
    { "wait", NULL, "until it has ended" },
    { "limit", "N", "a dry run looks at N of them, 1 to 200 (default 50)" },
    OPTION_WHY,
    OPTION_DRY_RUN,
    OPTION_SOCKET,
    { 0 }
};
OPTIONS(edit_options) = {
    { "body", "FILE", "the new payload, JSON; - for standard input" },
    { "to", "ENDPOINT", "where to send what has no endpoint" },
    { "force", NULL, "it was sent and not refused for good, and you know that it did not arrive" },
    OPTION_WHY,
    OPTION_SOCKET,
    { 0 }
};
OPTIONS(duplicates_options) = { { "endpoint", "NAME", "whose books; required" },
                                { "list", "FILE", "write the merge list: a line a set, merge: no" },
                                { "csv", "FILE", "write all as CSV, a line a contact" },
                                OPTION_SOCKET,
                                { 0 } };
OPTIONS(reconcile_options) = { { "endpoint", "NAME", "where to look" },
                               { "route", "NAME", "whose deliveries" },
                               { "since", "WHEN",
                                 "only what was delivered since: 24h (ago), or an RFC 3339 time" },
                               { "until", "WHEN", "only what was before" },
                               { "limit", "N", "name so many of what is not right (default 50)" },
                               OPTION_SOCKET,
                               { 0 } };
OPTIONS(webhooks_options) = { { "endpoint", "NAME", "only those of this endpoint" },
                              { "since", "WHEN",
                                "received since: 7d (ago, the default), or an RFC 3339 time" },
                              { "until", "WHEN", "received before" },
                              OPTION_SOCKET,
                              { 0 } };
OPTIONS(backfill_options) = { { "endpoint", "NAME", "whose past" },
                              { "topic", "TOPIC",
                                "orders/create, orders/*, or several with a space "
                                "between" },
                              { "since", "WHEN",
                                "what happened since: 90d (ago), or an RFC 3339 time" },
                              { "until", "WHEN", "only what was before; without it: until now" },
                              { "cancel", NULL, "stop the one that runs; what it found stays" },
                              { "no-wait", NULL, "do not show how far it is" },
                              OPTION_SOCKET,
                              { 0 } };
OPTIONS(issues_options) = { { "state", "STATE", "open, acknowledged or resolved" },
                            OPTION_ROUTE,
                            OPTION_ENDPOINT,
                            OPTION_LIMIT,
                            OPTION_SOCKET,
                            { 0 } };
OPTIONS(export_options) = { { "output", "FILE", "write it there, for its owner's eyes alone" },
                            OPTION_SOCKET,
                            { 0 } };
OPTIONS(why_options) = { OPTION_WHY, OPTION_SOCKET, { 0 } };
OPTIONS(try_options) = { { "endpoint", "NAME", "where it would come from" },
                         { "topic", "TOPIC", "its topic, such as orders/create" },
                         { "header", "'NAME: VALUE'",
                           "a header of it; may be given several times" },
                         OPTION_SOCKET,
                         { 0 } };
#define OPTION_STORE                                                               \
    {                                                                              \
        "store", "FOLDER", "the state folder (default: as the configuration says)" \
    }
OPTIONS(db_check_options) = { OPTION_STORE, { 0 } };
OPTIONS(db_repair_options) = { { "yes", NULL, "do it: what is damaged is written off" },
                               OPTION_STORE,
                               { 0 } };
OPTIONS(db_backup_options) = { OPTION_SOCKET, OPTION_STORE, { 0 } };
OPTIONS(db_restore_options) = { { "replace", NULL, "there is a store already: move it aside" },
                                { "repair", NULL, "it has damage: write that off first" },
                                OPTION_STORE,
                                { 0 } };

const struct command commands[] = {
    { "run", NULL, "run the daemon in the foreground", NULL, command_run },
    { "check", NULL, "check the configuration, all of it", check_options, command_check },
    { "reload", NULL, "the running daemon reads its configuration again, or says why not",
      reload_options, command_reload },
    { "reference", "[ADAPTER...]", "every key of a configuration, commented", reference_options,
      command_reference },
    { "status", NULL, "how things stand: readiness, endpoints, alerts", plain_options,
      command_status },
    { "events list", NULL, "events, newest first", events_options, command_events_list },
    { "events show", "ID", "one event: headers, body, what was made of it", plain_options,
      command_events_show },
    { "deliveries list", NULL, "deliveries, oldest first", deliveries_options,
      command_deliveries_list },
    { "deliveries show", "ID", "one delivery: attempts, moves, body, request", plain_options,
      command_deliveries_show },
    { "deliveries move", "ID...", "to another member of its group", move_options,
      command_deliveries_move },
    { "deliveries edit", "ID", "another payload for a dead or held one, and send it", edit_options,
      command_deliveries_edit },
    { "dead list", NULL, "dead letters: not tried again by themselves", dead_options,
      command_dead_list },
    { "dead show", "ID", "one of them, with every attempt's error", plain_options,
      command_deliveries_show },
    { "dead replay", "[ID...]", "try dead letters again", replay_options, command_dead_replay },
    { "dead discard", "[ID...]", "give dead letters up", discard_options, command_dead_discard },
    { "held list", NULL, "what waits for a human", held_options, command_held_list },
    { "held show", "ID", "one of them", plain_options, command_deliveries_show },
    { "held", "CHOICE ID...", "one of the choices that their hold offers", choose_options,
      command_held_choose },
    { "held release", "[ID...]", "let them go on; an unknown outcome: send it again",
      release_options, command_held_release },
    { "held reject", "[ID...]", "make dead letters of them", reject_options, command_held_reject },
    { "held arrived", "ID...", "an unknown outcome: it did arrive", arrived_options,
      command_held_arrived },
    { "held send-again", "ID...", "an unknown outcome: it did not arrive; the same key again",
      arrived_options, command_held_again },
    { "replay", "[ID...]", "dead letters again, or old events to a new route, as a job",
      replays_options, command_replay },
    { "replay status", "[ID]", "replays, and what became of one", plain_options,
      command_replay_status },
    { "replay cancel", "ID", "stop one; what it sent again goes on", plain_options,
      command_replay_cancel },
    { "issues", NULL, "what dead letters have in common, newest first", issues_options,
      command_issues },
    { "issues show", "ISSUE", "one of them, with an example and its newest dead letters",
      plain_options, command_issues_show },
    { "issues ack", "ISSUE", "somebody looks after it", why_options, command_issues_ack },
    { "issues resolve", "ISSUE", "it is mended; it is open again when it comes again", why_options,
      command_issues_resolve },
    { "issues reopen", "ISSUE", "it is not mended after all", why_options, command_issues_reopen },
    { "deadlines list", NULL, "what must follow deliveries, and has not come yet",
      deadlines_options, command_deadlines_list },
    { "groups", NULL, "groups: how their members are, what each has and got", plain_options,
      command_groups },
    { "endpoints list", NULL, "endpoints with their breakers and queues", plain_options,
      command_endpoints_list },
    { "endpoints trip", "NAME", "open its breaker until it is reset: stop sending", trip_options,
      command_endpoints_trip },
    { "endpoints reset", "NAME", "close its breaker: send again", plain_options,
      command_endpoints_reset },
    { "endpoints unpark", "NAME", "its credentials or quota are mended: try now", plain_options,
      command_endpoints_unpark },
    { "endpoints pause", "NAME", "nothing new leaves for it; events go on being stored",
      pause_options, command_endpoints_pause },
    { "endpoints drain", "NAME", "the same, and wait until nothing is under way", drain_options,
      command_endpoints_drain },
    { "endpoints resume", "NAME", "a paused or drained one goes on", pause_options,
      command_endpoints_resume },
    { "report duplicates", NULL, "people whom an endpoint has more than once, and who would stay",
      duplicates_options, command_report_duplicates },
    { "report reconcile", NULL, "did what a route delivered arrive, and does it say what was sent?",
      reconcile_options, command_report_reconcile },
    { "report webhooks", NULL,
      "by endpoint and day: what came by itself, what was missed, late, repaired", webhooks_options,
      command_report_webhooks },
    { "privacy", NULL, "what was asked about persons: to be erased, or to be handed out",
      plain_options, command_privacy },
    { "privacy show", "ID", "one of them: whom it is about, and how far it is", plain_options,
      command_privacy_show },
    { "privacy export", "ID", "the file of what is held about whom, JSON", export_options,
      command_privacy_export },
    { "privacy done", "ID", "it has been handed out", why_options, command_privacy_done },
    { "backfill", NULL,
      "bring what happened before an endpoint was there; without options: how far",
      backfill_options, command_backfill },
    { "feeds", NULL, "what is asked for at endpoints again and again, and how far it has come",
      plain_options, command_feeds },
    { "poll", "ENDPOINT FEED", "poll one of an endpoint's feeds now, and wait for its end",
      plain_options, command_poll },
    { "routes list", NULL, "routes, and which of them are paused", plain_options,
      command_routes_list },
    { "routes pause", "NAME", "nothing of it leaves, whatever the endpoint", pause_options,
      command_routes_pause },
    { "routes drain", "NAME", "the same, and wait until nothing is under way", drain_options,
      command_routes_drain },
    { "routes resume", "NAME", "a route paused by hand, or by its errors, goes on", pause_options,
      command_routes_resume },
    { "try", "[FILE|-]", "what would be made of this payload? nothing is stored or sent",
      try_options, command_try },
    { "db check", NULL, "look through the store for damage, while no daemon runs", db_check_options,
      command_db_check },
    { "db repair", NULL, "write damaged records off, set damaged files aside", db_repair_options,
      command_db_repair },
    { "db backup", "FOLDER", "a consistent copy of the store, while the daemon serves",
      db_backup_options, command_db_backup },
    { "db restore", "FOLDER", "a backup in the store's place; nothing is sent by itself after it",
      db_restore_options, command_db_restore },
    { "version", NULL, "print the version", NULL, command_version },
    { 0 },
};
