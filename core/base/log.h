/*
 * log.h - lines for people and machines, on standard error.
 *
 * error: needs a person; warn: we coped; info: life of the daemon; debug: life of a job; trace:
 * states. Never bodies, keys or tokens.
 */
#pragma once

#include <inttypes.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE, LOG__COUNT };

enum log_format { LOG_TEXT, LOG_JSON };

/** A logger carries the name of its owner ("lane byron"), so nobody types it by hand.
 *  `name` is borrowed and must outlive the logger. */
struct logger {
    const char *room; /* "intake", "lane" ... */
    const char *name; /* which one, or NULL */
};

/** Process-wide settings; call before threads start. Defaults: info, text. */
void log_setup(enum log_level level, enum log_format format);
enum log_level log_level(void);
/** -1 when the name is not error|warn|info|debug|trace. */
int log_level_of(const char *name);

/** @thread any; one write(2) a line */
void log_line(const struct logger *l, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_at(l, level, ...)                    \
    do {                                         \
        if ((level) <= log_level())              \
            log_line((l), (level), __VA_ARGS__); \
    } while (0)
#define log_error(l, ...) log_at(l, LOG_ERROR, __VA_ARGS__)
#define log_warn(l, ...)  log_at(l, LOG_WARN, __VA_ARGS__)
#define log_info(l, ...)  log_at(l, LOG_INFO, __VA_ARGS__)
#define log_debug(l, ...) log_at(l, LOG_DEBUG, __VA_ARGS__)
#define log_trace(l, ...) log_at(l, LOG_TRACE, __VA_ARGS__)
