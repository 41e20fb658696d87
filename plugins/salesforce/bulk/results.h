/*
 * results.h - the three result files of a job, row by row.
 */
#pragma once

#include "rows/csv.h"

enum result_file { RESULT_SUCCESSFUL, RESULT_FAILED, RESULT_UNPROCESSED, RESULT__COUNT };

/** Last part of the file's path: "successfulResults". */
extern const char *const result_paths[RESULT__COUNT];

struct results {
    enum result_file file;
    char *text; /* own; the reader works in it */
    struct csv_reader csv;
    size_t key, id, error; /* column numbers */
    size_t width;          /* columns of the header; a shorter row is torn */
    bool open;
};

struct result {
    sl_str key;   /* as the file shows it */
    sl_str id;    /* sf__Id: not in UNPROCESSED; may be empty in FAILED */
    sl_str error; /* sf__Error: FAILED only */
};

/**
 * Take a file's bytes (copied) and read its header. An empty file has no rows.
 * @param why  filled on error
 * @return SL_OK; SL_E_INVALID: not such a file; SL_E_NO_MEMORY
 */
sl_status results_open(struct results *r, enum result_file file, sl_str body,
                       const char *external_id, char *why, size_t why_size);
/** 1: `ret` is the next row, valid until the next call; 0: the end; less: torn file. */
int results_next(struct results *r, struct result *ret);
void results_finish(struct results *r); /* all zero is fine */
