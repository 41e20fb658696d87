/*
 * report.c - mistakes gathered while a configuration is checked, and what to suggest.
 */
#include "config/report.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "base/units.h"

#define GATHER_MAX 1000 /* mistakes kept before sorting: a broken file of 1 MiB has many */
#define SHOWN_MAX  120  /* bytes of a source line that are shown */

static void plain_line(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = ' ';
}

void report_at(struct report *r, unsigned line, unsigned column, const char *fmt, ...)
{
    struct buf text = { 0 };
    va_list ap;

    if (r->n >= GATHER_MAX)
        return;
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 16;
        r->list = mem_grow(r->list, r->cap * sizeof(*r->list));
    }
    if (r->instead) {
        line = r->instead_line;
        column = r->instead_column;
        buf_cstr(&text, r->instead);
    }
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    r->list[r->n] = (struct config_error){
        .file = mem_str(r->file),
        .line = line,
        .column = column,
        .text = mem_str(text.data ? text.data : ""),
    };
    plain_line(r->list[r->n++].text);
    buf_finish(&text);
}

void report_hide(struct report *r, size_t start, size_t end)
{
    if (r->instead || start >= end)
        return;
    r->hidden = mem_grow(r->hidden, (r->n_hidden + 1) * sizeof(*r->hidden));
    r->hidden[r->n_hidden++] = (struct report_span){ .start = start, .end = end };
}

/* The bytes of line `line` (from 1), without its end. False: there is no such line. */
static bool line_span(sl_str source, unsigned line, struct report_span *ret)
{
    size_t start = 0, end;

    for (unsigned i = 1; line > 0 && i < line; i++) {
        const char *newline = memchr(source.ptr + start, '\n', source.len - start);

        if (!newline)
            return false;
        start = (size_t)(newline - source.ptr) + 1;
    }
    if (line == 0 || start >= source.len)
        return false;
    for (end = start; end < source.len && source.ptr[end] != '\n' && source.ptr[end] != '\r';)
        end++;
    *ret = (struct report_span){ .start = start, .end = end };
    return true;
}

void report_hide_line(struct report *r, unsigned line)
{
    struct report_span span;

    if (line_span(r->source, line, &span))
        report_hide(r, span.start, span.end);
}

/* The source's line for the caret; hidden bytes as stars, nothing when all of it is hidden. */
static char *shown_line(const struct report *r, unsigned line)
{
    struct report_span span;
    char *text;

    if (!line_span(r->source, line, &span) || span.end == span.start)
        return NULL;
    text = mem_dup((sl_str){ .ptr = r->source.ptr + span.start, .len = span.end - span.start });
    for (size_t i = 0; i < r->n_hidden; i++) {
        const struct report_span *h = &r->hidden[i];

        if (h->start <= span.start && h->end >= span.end) {
            free(text);
            return NULL;
        }
        for (size_t at = h->start > span.start ? h->start : span.start;
             at < h->end && at < span.end; at++)
            text[at - span.start] = '*';
    }
    plain_line(text);
    return text;
}

static int by_place(const void *a, const void *b)
{
    const struct config_error *x = a, *y = b;

    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    if (x->column != y->column)
        return x->column < y->column ? -1 : 1;
    return strcmp(x->text, y->text);
}

static void error_finish(struct config_error *e)
{
    free(e->file);
    free(e->text);
    free(e->source);
}

void report_finish(struct report *r, struct config_errors *ret)
{
    size_t kept = 0, more;

    if (r->n > 0)
        qsort(r->list, r->n, sizeof(*r->list), by_place);
    for (size_t i = 0; i < r->n; i++) {
        if (kept > 0 && by_place(&r->list[kept - 1], &r->list[i]) == 0)
            error_finish(&r->list[i]);
        else
            r->list[kept++] = r->list[i];
    }
    more = kept > REPORT_MAX ? kept - REPORT_MAX : 0;
    for (size_t i = REPORT_MAX; i < kept; i++)
        error_finish(&r->list[i]);
    r->n = kept - more;
    for (size_t i = 0; i < r->n; i++)
        r->list[i].source = shown_line(r, r->list[i].line);
    if (more > 0) /* there is room: more than REPORT_MAX had been gathered */
        report_at(r, 0, 0, "and %zu more", more);
    *ret = (struct config_errors){ .list = r->list, .n = r->n };
    free(r->hidden);
    *r = (struct report){ .file = r->file, .source = r->source };
}

/* ---- showing ---- */

/* "  3 |   retires: 5" and a caret below; long lines are cut to what stands around the place. */
static void print_source(struct buf *out, const struct config_error *e)
{
    sl_str line = str_of(e->source);
    size_t at = 0; /* the byte where the caret goes */
    size_t from = 0, to;
    int width;

    for (unsigned c = 1; c < e->column && at < line.len; c++) {
        size_t n = str_utf8((sl_str){ .ptr = line.ptr + at, .len = line.len - at });

        at += n ? n : 1;
    }
    if (line.len > SHOWN_MAX && at > SHOWN_MAX / 2)
        from = at - SHOWN_MAX / 2;
    while (from > 0 && from < line.len && ((unsigned char)line.ptr[from] & 0xc0) == 0x80)
        from--;
    to = line.len - from > SHOWN_MAX ? from + SHOWN_MAX : line.len;
    while (to < line.len && ((unsigned char)line.ptr[to] & 0xc0) == 0x80)
        to++;
    width = snprintf(NULL, 0, "%u", e->line);
    buf_printf(out, "  %u | %.*s\n", e->line, (int)(to - from), line.ptr + from);
    buf_printf(out, "  %*s | ", width, "");
    while (from < at) {
        size_t n = str_utf8((sl_str){ .ptr = line.ptr + from, .len = line.len - from });

        from += n ? n : 1;
        buf_char(out, ' ');
    }
    buf_cstr(out, "^\n");
}

void config_errors_print(struct buf *out, const struct config_errors *errors)
{
    for (size_t i = 0; i < errors->n; i++) {
        const struct config_error *e = &errors->list[i];

        if (e->line > 0)
            buf_printf(out, "%s:%u:%u: error: %s\n", e->file, e->line, e->column, e->text);
        else
            buf_printf(out, "%s: error: %s\n", e->file, e->text);
        if (e->source && e->column > 0)
            print_source(out, e);
    }
}

void config_errors_finish(struct config_errors *errors)
{
    if (!errors)
        return;
    for (size_t i = 0; i < errors->n; i++)
        error_finish(&errors->list[i]);
    free(errors->list);
    *errors = (struct config_errors){ 0 };
}

const char *report_quote(sl_str s, char out[96])
{
    size_t n = 0;

    while (n < s.len) {
        size_t more = str_utf8((sl_str){ .ptr = s.ptr + n, .len = s.len - n });

        if (n + (more ? more : 1) > 60)
            break;
        n += more ? more : 1;
    }
    snprintf(out, 96, "\"%.*s%s\"", (int)n, s.ptr, n < s.len ? "..." : "");
    plain_line(out);
    return out;
}

/* ---- did you mean ---- */

bool nearest_offer(struct nearest *n, sl_str name)
{
    unsigned limit = n->given.len < 6 ? 1 : n->given.len < 9 ? 2 : 3;
    unsigned distance = units_edit_distance(n->given, name, limit);

    if (distance > limit || (n->name.len > 0 && distance >= n->distance))
        return false;
    n->name = name;
    n->distance = distance;
    return true;
}
