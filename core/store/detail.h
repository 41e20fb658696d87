/*
 * detail.h - what is told of a delivery besides its state, over its moves.
 *
 * A move's detail is told instead of the one before; but what the delivery fell back from stays, in
 * all that becomes of it: its member "fallback", which then stands first. What the move says itself
 * of its fallback goes over that, name by name.
 */
#pragma once

#include <sqlite3.h>
#include <sluice/types.h>

/** The detail after a move with `next`, which is not empty; own. NULL: `next` as it is. */
char *detail_follow(sl_str before, sl_str next);

/** The same as a function of SQL: detail_follow(before, next). 0 or a code. */
int detail_register(sqlite3 *db);
