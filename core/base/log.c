/*
 * log.c - one line, one write.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"

#define LINE_MAX_BYTES 8192
#define NAME_MAX_BYTES 256

static const char *const level_names[LOG__COUNT] = { "error", "warn", "info", "debug", "trace" };

/* Settings of the process, as standard error is. Atomic for the threads that read them. */
static atomic_int current_level = LOG_INFO;
static atomic_int current_format = LOG_TEXT;

void log_setup(enum log_level level, enum log_format format)
{
    atomic_store(&current_level, level);
    atomic_store(&current_format, format);
}

enum log_level log_level(void)
{
    return (enum log_level)atomic_load_explicit(&current_level, memory_order_relaxed);
}

int log_level_of(const char *name)
{
    for (int i = 0; i < LOG__COUNT; i++)
        if (name && strcmp(name, level_names[i]) == 0)
            return i;
    return -1;
}

/* ---- a line under construction: what does not fit is left out, whole characters at a time ---- */

struct line {
    char data[LINE_MAX_BYTES];
    size_t len, room; /* len <= room; room leaves space for what ends the line */
    bool full;
};

static void put(struct line *l, const char *p, size_t n)
{
    if (l->full || n > l->room - l->len) {
        l->full = true; /* nothing after a gap, or the line would lie */
        return;
    }
    memcpy(l->data + l->len, p, n);
    l->len += n;
}

static void put_cstr(struct line *l, const char *s)
{
    put(l, s, strlen(s));
}

/* C0, DEL and C1 steer terminals; a newline would forge a line. */
static bool is_control(const unsigned char *p, size_t n)
{
    return n == 1 ? p[0] < 0x20 || p[0] == 0x7f : n == 2 && p[0] == 0xc2 && p[1] < 0xa0;
}

/* Text form: \n, \t and \xNN stand for what must not appear. */
static void put_plain(struct line *l, const char *s)
{
    size_t left = strlen(s), n;
    char hex[8];

    for (; left > 0 && !l->full; s += n, left -= n) {
        n = str_utf8((sl_str){ .ptr = s, .len = left });
        if (n > 0 && !is_control((const unsigned char *)s, n)) {
            put(l, s, n);
            continue;
        }
        n = 1; /* the second byte of a C1 control is no valid start, so it is escaped next */
        snprintf(hex, sizeof(hex), "\\x%02x", (unsigned char)*s);
        put_cstr(l, *s == '\n' ? "\\n" : *s == '\t' ? "\\t" : *s == '\r' ? "\\r" : hex);
    }
}

/* Inside a JSON string. */
static void put_json(struct line *l, const char *s)
{
    size_t left = strlen(s), n;
    char one[8];

    for (; left > 0 && !l->full; s += n, left -= n) {
        n = str_utf8((sl_str){ .ptr = s, .len = left });
        if (n == 0) {
            put_cstr(l, "\xef\xbf\xbd");
            n = 1;
        } else if (*s == '"' || *s == '\\') {
            put(l, (char[]){ '\\', *s }, 2);
        } else if (*s == '\n') {
            put_cstr(l, "\\n");
        } else if (is_control((const unsigned char *)s, n)) {
            snprintf(one, sizeof(one), "\\u%04x", (unsigned char)s[n - 1]);
            put_cstr(l, one);
        } else {
            put(l, s, n);
        }
    }
}

/* A name never fills the line: the text that follows must find its place, and JSON its end. */
static void put_name(struct line *l, const char *name, void (*put_as)(struct line *, const char *))
{
    size_t room = l->room;

    l->room = l->len + NAME_MAX_BYTES;
    put_as(l, name);
    l->room = room;
    l->full = false;
}

static void put_json_member(struct line *l, const char *lead, const char *value)
{
    put_cstr(l, lead);
    put_name(l, value, put_json);
    put_cstr(l, "\"");
}

static void build_json(struct line *l, const struct logger *from, enum log_level level,
                       const char *time, const char *text)
{
    put_json_member(l, "{\"time\":\"", time);
    put_json_member(l, ",\"level\":\"", level_names[level]);
    if (from && from->room)
        put_json_member(l, ",\"room\":\"", from->room);
    if (from && from->name)
        put_json_member(l, ",\"name\":\"", from->name);
    put_cstr(l, ",\"text\":\"");
    put_json(l, text);
    memcpy(l->data + l->len, "\"}", 2);
    l->len += 2;
}

static void build_text(struct line *l, const struct logger *from, enum log_level level,
                       const char *time, const char *text)
{
    put_cstr(l, time);
    put_cstr(l, " ");
    put_cstr(l, level_names[level]);
    put_cstr(l, " ");
    if (from && from->room) {
        put_name(l, from->room, put_plain);
        if (from->name) {
            put_cstr(l, " ");
            put_name(l, from->name, put_plain);
        }
        put_cstr(l, ": ");
    }
    put_plain(l, text);
}

void log_line(const struct logger *l, enum log_level level, const char *fmt, ...)
{
    struct line line;
    char text[LINE_MAX_BYTES], time[32];
    int saved = errno; /* logging on the way out of a failure must not change its reason */
    ssize_t n;
    va_list ap;

    line.len = 0;
    line.full = false;
    line.room = sizeof(line.data) - 3; /* "}\n */
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    clock_format(clock_wall_ms(), time);
    if (atomic_load_explicit(&current_format, memory_order_relaxed) == LOG_JSON)
        build_json(&line, l, level, time, text);
    else
        build_text(&line, l, level, time, text);
    line.data[line.len++] = '\n';
    do
        n = write(STDERR_FILENO, line.data, line.len);
    while (n < 0 && errno == EINTR);
    errno = saved;
}
