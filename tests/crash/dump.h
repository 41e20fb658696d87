/*
 * dump.h - a log opened without its store, an index built from it, and two indexes compared.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "base/fail.h"
#include "history.h"
#include "store/index.h"
#include "store/log.h"

struct opened_log {
    struct reclog *log;
    struct reclog_reader *reader;
    uint64_t first, last;
};

bool log_open_alone(struct opened_log *l, const char *dir, struct fail *fail);
void log_close_alone(struct opened_log *l);

struct index_builder {
    struct index *index;
    char dir[96];
    unsigned open; /* records in the transaction */
};

bool builder_start(struct index_builder *b, struct opened_log *l, struct fail *fail);
int builder_apply(struct index_builder *b, const struct reclog_record *rec);
void builder_end(struct index_builder *b); /* commits and closes; the directory stays */
void builder_remove(struct index_builder *b);

/** Every row of every table of sluice.db in two directories; places in the log only with `places`.
 *  Text if they differ. */
bool dump_same(const char *dir, const char *other, bool places, char *why, size_t size);
/** sluice.db's deliveries and what they should be, by num. */
bool dump_deliveries_match(const char *dir, const struct standing *want, size_t n, char *why,
                           size_t size);
