/*
 * reason.h - a text that is looked for in the reasons of dead letters.
 *
 * Their issues have the reasons without what differs (fingerprint.h), and there are few of them:
 * most say at once that all of theirs have the text, or none, so that few reasons are read.
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <sluice/types.h>
#include "base/buf.h"

enum reason_fit { REASON_NONE, REASON_SOME, REASON_ALL };

/** What is looked for, as the other two want it: without regard to case, and any blanks are one. */
void reason_text(struct buf *out, sl_str text);
/** Does it stand in the reason? `text` is of reason_text(). */
bool reason_has(sl_str reason, sl_str text);
/** In which of the reasons that fingerprint_reason() makes `pattern` of; SOME: they must be asked.
 */
enum reason_fit reason_fits(sl_str pattern, sl_str text);

/** The same two as functions of SQL: reason_has(reason, text), reason_fits(pattern, text). 0 or a
 *  code. */
int reason_register(sqlite3 *db);
