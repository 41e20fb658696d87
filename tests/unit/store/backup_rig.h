/*
 * backup_rig.h - a store, its backup and what is restored of it, below one folder.
 */
#pragma once

#include "rig.h"

#include <sys/types.h>
#include "store/backup.h"
#include "store/check.h"
#include "store/restore.h"

extern struct rig rig;
/* Backups go to `dir`, restored stores to `target`, both below `base`. */
extern char base[80], dir[120], target[120];

void start(void);
void finish(void);
void clear(const char *path); /* with all that is in it */
/** Receipts of nearly a kilobyte, with ids from `from` on. */
void fill(unsigned n, unsigned from);

/** How a backup ended. */
struct over {
    bool done;
    enum backup_state state;
    int code;
    uint64_t first, last;
    char text[400];
};
void on_over(void *ctx, const struct backup_status *st);
struct over backup(const char *path);
void must_backup(void);

int restore_with(bool replace, struct restore_report *r, struct fail *fail);
int restore(bool replace);
struct restore_report must_restore(bool replace);
void open_restored(void); /* the rig goes on with the restored store */

size_t findings(const char *path); /* of a check */
bool is_there(const char *folder, const char *name);
void flip(const char *folder, const char *name, uint64_t at); /* a bit */

/** SIGKILL after so long; the child's status. */
int kill_after(pid_t child, uint64_t us);
