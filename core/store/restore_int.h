/*
 * restore_int.h - what the parts of a restore share.
 *
 *   restore.c       folders and files, and the one step
 *   restore_hold.c  what is not to be sent
 */
#pragma once

#include "store/restore.h"

/** Hold all that would be sent by the store at `path`, and mark it as restored. */
int restore_hold(const char *path, struct restore_report *report, struct fail *fail);
