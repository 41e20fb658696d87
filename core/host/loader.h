/*
 * loader.h - finds, checks and loads plugins: NAME.so in one of the configured folders.
 *
 * A plugin runs inside the daemon, so it is loaded only from those folders, and only if nobody but
 * root or the daemon's own user could have written it: the file and every folder above it. It is
 * opened once, without following a link, checked by that descriptor and loaded by it.
 *
 * Thread: loop, or before there is one.
 */
#pragma once

#include <stddef.h>
#include <sluice/sluice.h>
#include "base/fail.h"

struct plugins;

/** @param dirs absolute paths, NULL-terminated; copied. Nothing is loaded yet. Never fails. */
struct plugins *plugins_open(char *const *dirs);
void plugins_close(struct plugins *p); /* after the last instance was closed; NULL is fine */

/** The plugin of this name; loaded at the first question. NULL with `fail`:
 *  UV_ENOENT (in none of the folders), UV_EPERM (others could write it), UV_EINVAL (not a plugin,
 *  another ABI, a broken table). The table is a copy in the host's size, valid until
 *  plugins_close(). */
const sl_plugin *plugins_find(struct plugins *p, const char *name, struct fail *fail);

/** Names of the files in the folders, for "did you mean" and `plugin ls`; NULL ends. Borrowed. */
const char *plugins_name(struct plugins *p, size_t index);
