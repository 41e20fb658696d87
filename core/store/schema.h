/*
 * schema.h - the shape of the index's file and how an older shape becomes today's.
 *
 * A file carries its kind (application_id) and the version of its shape (user_version). Each step
 * of a migration is one transaction that ends with its version, so a killed migration goes on
 * where it stopped. A version newer than ours is refused: its meaning is not known; so is one from
 * before the oldest we lead on from. Nothing is changed in what is refused.
 */
#pragma once

#include <sqlite3.h>
#include "base/fail.h"

struct schema {
    const char *kind; /* for messages: "log", "index" */
    int application_id;
    int oldest; /* the version a new file gets first; files from before it are refused */
    const char *const *steps; /* steps[0] makes version `oldest`, steps[i] leads from oldest + i - 1
                                 to the next; never edited once released */
    int version;              /* the newest */
};

extern const struct schema schema_index;

/** Create or migrate, on a writer's connection. 0, UV_EINVAL (not our file), UV_ENOTSUP (newer) or
 *  an I/O code, with `fail` naming `path` and what would be right. */
int schema_apply(const struct schema *schema, sqlite3 *db, const char *path, struct fail *fail);
