/*
 * client.h - one question to the running daemon, over its unix socket, and its answer.
 *
 * Blocking; one connection a question. What goes wrong is told on standard error here, so a command
 * only passes the exit code on.
 */
#pragma once

#include <jansson.h>
#include "base/buf.h"
#include "cli/command.h"

struct answer {
    struct buf text; /* the body as it came: numbers in it are never printed anew */
    json_t *json;    /* the same, parsed */
};

/** EXIT_DONE with *ret filled (answer_finish() it), or another code and nothing to free. */
int client_get(struct cli *cli, const char *target, struct answer *ret);
/** Takes `body` over; NULL: an empty one. */
int client_post(struct cli *cli, const char *target, json_t *body, struct answer *ret);
/** Is a daemon there to be asked? EXIT_DONE (or it will be told why not), EXIT_NO_DAEMON, without a
 *  word; EXIT_CONFIG: told. */
int client_look(struct cli *cli);
void answer_finish(struct answer *a);

/** For --json: the body as it came, and a newline. */
void answer_print(const struct answer *a);

/** Append "?name=value" or "&name=value", encoded; nothing when `value` is NULL. */
void target_param(struct buf *target, const char *name, const char *value);
/** Append one segment of a path, encoded. */
void target_segment(struct buf *target, const char *name);

/* ---- the parts, for their tests ---- */

/** Takes a whole answer apart. 0, or UV_EPROTO: cut short, or not HTTP. *ret_body is a view. */
int client_parse(sl_str answer, int *ret_status, sl_str *ret_body);
/** What an HTTP status means for the exit code. */
int client_exit_code(int status);
