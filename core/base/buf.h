/*
 * buf.h - views and growing byte buffers.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sluice/types.h>

/* ---- views: sl_str is borrowed bytes, no NUL promised ---- */

#define STR(literal) ((sl_str){ .ptr = (literal), .len = sizeof(literal) - 1 })
#define STR_FMT      "%.*s"
#define STR_ARG(s)   (int)(s).len, (s).ptr

/** View of a C string; NULL gives the empty view. */
static inline sl_str str_of(const char *s)
{
    return (sl_str){ .ptr = s ? s : "", .len = s ? strlen(s) : 0 };
}

bool str_eq(sl_str a, sl_str b);
bool str_eq_nocase(sl_str a, sl_str b); /* ASCII */
bool str_starts(sl_str s, sl_str prefix);
sl_str str_trim(sl_str s); /* spaces and tabs at both ends */
/** Own copy with a NUL after it, free() it; NULL when out of memory. */
char *str_dup(sl_str s);
/** Bytes of the UTF-8 character at the front, 1 to 4; 0 when there is none or it is not valid. */
size_t str_utf8(sl_str s);

/* ---- buffer ----
 * Invariant: data[0..len) is valid; data[len] is NUL once anything was appended. An append that
 * finds no memory sets `failed` and changes nothing: check once, at the end. All zero is a valid,
 * empty buffer. */
struct buf {
    char *data;
    size_t len, cap;
    bool failed;
};

void buf_finish(struct buf *b);              /* frees; the buffer is empty and usable again */
void buf_clear(struct buf *b);               /* len = 0, keeps memory, clears `failed` */
int buf_reserve(struct buf *b, size_t more); /* 0, or UV_ENOMEM, then `failed` is set as well */
/** Room for exactly so many bytes in a buffer that has no memory yet: for what will not grow. */
int buf_alloc(struct buf *b, size_t n); /* 0 or UV_ENOMEM, likewise */
void buf_append(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, sl_str s);
void buf_cstr(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap);
/** Append as a JSON string with quotes; bytes that are not UTF-8 become U+FFFD. */
void buf_json_str(struct buf *b, sl_str s);
/** Drop n bytes from the front. */
void buf_consume(struct buf *b, size_t n);
/** Hand the memory over (own, free()); the buffer is empty afterwards. NULL when nothing was ever
 *  appended. `ret_len` may be NULL. */
char *buf_steal(struct buf *b, size_t *ret_len);

static inline sl_str buf_view(const struct buf *b)
{
    return (sl_str){ .ptr = b->data ? b->data : "", .len = b->len };
}
