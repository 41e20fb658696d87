/*
 * detail.c - see detail.h.
 */
#include "store/detail.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "store/sql.h"

#define FELL "fallback"

static json_t *read_object(sl_str text)
{
    json_t *o = text.len ? json_loadb(text.ptr, text.len, 0, NULL) : NULL;

    if (json_is_object(o))
        return o;
    json_decref(o);
    return NULL;
}

/** What `next` says besides, to the letter: others look for how it ends. */
static void put_rest(struct buf *b, sl_str next, json_t *now, bool said)
{
    char *text = said ? json_dumps(now, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;

    if (text)
        next = str_of(text);
    if (json_object_size(now))
        buf_char(b, ',');
    buf_append(b, next.ptr + 1, next.len - 1);
    free(text);
}

static char *follow(json_t *fell, json_t *now, sl_str next)
{
    json_t *says = json_incref(json_object_get(now, FELL));
    struct buf b = { 0 };
    char *text;

    if (json_is_object(says))
        json_object_update(fell, says);
    json_object_del(now, FELL);
    text = json_dumps(fell, JSON_COMPACT);
    buf_printf(&b, "{\"" FELL "\":%s", text ? text : "{}");
    put_rest(&b, next, now, says != NULL);
    free(text);
    json_decref(says);
    return buf_steal(&b, NULL);
}

char *detail_follow(sl_str before, sl_str next)
{
    json_t *was = read_object(before);
    json_t *fell = json_object_get(was, FELL);
    json_t *now = json_is_object(fell) ? read_object(next) : NULL;
    char *text = now ? follow(fell, now, next) : NULL;

    json_decref(now);
    json_decref(was);
    return text;
}

static sl_str value(sqlite3_value *v)
{
    const char *p = (const char *)sqlite3_value_text(v);
    size_t n = (size_t)sqlite3_value_bytes(v);

    return (sl_str){ .ptr = p ? p : "", .len = p ? n : 0 };
}

static void on_follow(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    char *text = detail_follow(value(v[0]), value(v[1]));

    (void)n;
    if (text)
        sqlite3_result_text(ctx, text, -1, free);
    else
        sqlite3_result_value(ctx, v[1]);
}

int detail_register(sqlite3 *db)
{
    int rc = sqlite3_create_function(db, "detail_follow", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
                                     NULL, on_follow, NULL, NULL);

    return rc == SQLITE_OK ? 0 : sql_code(db, rc);
}
