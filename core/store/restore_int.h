/*
 * restore_int.h - what the parts of a restore share.
 *
 *   restore.c       folders and files, and the one step
 *   restore_hold.c  what is not to be sent
 *   restore_forgets.c  what was erased since
 */
#pragma once

#include "store/restore.h"

/** Hold all that would be sent by the store at `path`, and mark it as restored. */
int restore_hold(const char *path, struct restore_report *report, struct fail *fail);
/** What the store at `old` knows of erasures asked for since the backup, of which the report has
 *  time and last record. */
void restore_forgets(const char *old, struct restore_report *report);
