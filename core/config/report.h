/*
 * report.h - mistakes gathered while a configuration is checked, and what to suggest.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "base/buf.h"
#include "config/config.h"

#define REPORT_MAX 50 /* mistakes given back; the number of further ones is told */

struct report_span {
    size_t start, end; /* bytes of the source */
};

/** All zero but `file` and `source` is a valid, empty report. */
struct report {
    const char *file; /* borrowed */
    sl_str source;    /* borrowed; may be empty */
    struct config_error *list;
    size_t n, cap;
    struct report_span *hidden; /* what must not be shown: text where a secret was expected */
    size_t n_hidden;
    /* While a table's default is read: where its mistakes are placed, and what stands before them;
     * NULL: the nodes' own places. */
    const char *instead;
    unsigned instead_line, instead_column;
};

/** Record a mistake at a place (0, 0: none). Control bytes in the text become spaces. */
void report_at(struct report *r, unsigned line, unsigned column, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/** Never show these bytes of the source. */
void report_hide(struct report *r, size_t start, size_t end);
/** Never show anything of the source's line. */
void report_hide_line(struct report *r, unsigned line);

/** Sorted by place, doubles dropped, at most REPORT_MAX and a line that counts the rest; the
 *  report is empty afterwards. */
void report_finish(struct report *r, struct config_errors *ret);

/** Text for a message: in quotes, cut after 60 bytes, control bytes replaced. `out` holds 96. */
const char *report_quote(sl_str s, char out[96]);

/* ---- did you mean ---- */

/** Starts as { .given = name }; offers are borrowed. */
struct nearest {
    sl_str given;
    sl_str name; /* the best so far; len 0: nothing is near */
    unsigned distance;
};

/** True when this offer is the best so far, and near enough. */
bool nearest_offer(struct nearest *n, sl_str name);
