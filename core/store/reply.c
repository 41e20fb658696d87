/*
 * reply.c - what reports are put together with.
 */
#include "store/reply.h"

#include <stdio.h>
#include <uv.h>
#include "base/clock.h"

/* Every step would have to hand this on. */
static _Thread_local bool lacking;

void reply_begin(void)
{
    lacking = false;
}

void reply_lack(void)
{
    lacking = true;
}

void reply_put(json_t *o, const char *name, json_t *value)
{
    if (json_object_set_new_nocheck(o, name, value) < 0)
        lacking = true;
}

void reply_add(json_t *list, json_t *value)
{
    if (json_array_append_new(list, value) < 0)
        lacking = true;
}

json_t *reply_text(sl_str s, bool *ret_replaced)
{
    struct buf b = { 0 };
    size_t from = 0, at = 0, n;
    json_t *j;

    while (at < s.len) {
        n = str_utf8((sl_str){ s.ptr + at, s.len - at });
        if (n == 0) {
            buf_append(&b, s.ptr + from, at - from);
            buf_cstr(&b, "\xef\xbf\xbd");
            from = at + 1;
        }
        at += n ? n : 1;
    }
    if (ret_replaced)
        *ret_replaced = from > 0;
    if (from == 0)
        return json_stringn_nocheck(s.len ? s.ptr : "", s.len);
    buf_append(&b, s.ptr + from, s.len - from);
    j = b.failed ? NULL : json_stringn_nocheck(b.data, b.len);
    buf_finish(&b);
    return j;
}

void reply_set_text(json_t *o, const char *name, sl_str s)
{
    reply_put(o, name, reply_text(s, NULL));
}

void reply_set_column(json_t *o, const char *name, sqlite3_stmt *st, int column)
{
    reply_set_text(o, name, sql_view(st, column));
}

void reply_set_int(json_t *o, const char *name, int64_t v)
{
    reply_put(o, name, json_integer(v));
}

void reply_set_bool(json_t *o, const char *name, bool v)
{
    reply_put(o, name, json_boolean(v));
}

void reply_set_time(json_t *o, const char *name, int64_t ms)
{
    char out[32];

    clock_format(ms, out);
    reply_put(o, name, ms ? json_string(out) : json_null());
}

void reply_set_num(json_t *o, const char *name, uint64_t num)
{
    char out[32];

    delivery_name(num, out);
    reply_put(o, name, num ? json_string(out) : json_null());
}

void reply_set_state(json_t *o, sqlite3_stmt *st, int column)
{
    int state = sqlite3_column_int(st, column);

    reply_set_text(o, "state",
                   str_of(state >= 0 && state < DS__COUNT ? delivery_state_names[state] : "?"));
}

static bool parses(sl_str s)
{
    json_error_t err = { 0 };
    json_t *j = json_loadb(s.ptr, s.len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &err);

    /* It says nothing at all when some of its allocations fail. */
    if (!j && (!err.text[0] || json_error_code(&err) == json_error_out_of_memory))
        lacking = true;
    json_decref(j);
    return j != NULL;
}

/* Does it parse? Only asked, never printed again. Of other allocations that failed the parser says
 * that the text is wrong: a no is asked for twice. */
static bool is_json(sl_str s)
{
    return parses(s) || parses(s);
}

void reply_set_body(json_t *o, const char *name, sl_str body)
{
    char flag[64];
    bool replaced = false;

    reply_put(o, name, reply_text(body, &replaced));
    snprintf(flag, sizeof(flag), "%s_is_json", name);
    reply_set_bool(o, flag, is_json(body));
    snprintf(flag, sizeof(flag), "%s_replaced", name);
    reply_set_bool(o, flag, replaced);
}

/* ---- rows ---- */

int reply_rows(struct index *ix, const char *sql, const uint64_t *ids, int n_ids, reply_row *fn,
               json_t **ret)
{
    json_t *list = json_array();
    sqlite3_stmt *st = NULL;
    int r = sql_prepare(ix->db, &st, sql);

    for (int i = 0; r == 0 && i < n_ids; i++)
        sql_bind_u64(st, i + 1, ids[i]);
    while (r == 0 && (r = sql_row(st)) > 0) {
        reply_add(list, fn(ix, st));
        r = 0;
    }
    sqlite3_finalize(st);
    if (r < 0)
        json_decref(list);
    else
        *ret = list;
    return r;
}

int reply_one(struct index *ix, const char *sql, uint64_t id, reply_row *fn, json_t **ret)
{
    json_t *list = NULL;
    int r = reply_rows(ix, sql, &id, 1, fn, &list);

    if (r < 0)
        return r;
    *ret = json_incref(json_array_get(list, 0));
    json_decref(list);
    return *ret ? 0 : lacking ? UV_ENOMEM : UV_ENOENT;
}

int reply_list(struct index *ix, struct query *q, sqlite3_stmt *st, int r, reply_row *fn)
{
    json_t *list = json_array();

    while (r == 0 && (r = sql_row(st)) > 0) {
        reply_add(list, fn(ix, st));
        r = 0;
    }
    sqlite3_finalize(st);
    return reply_finish(q, list, r);
}

int reply_set_rows(struct index *ix, json_t *o, const char *name, const char *sql, uint64_t from,
                   uint64_t to, reply_row *fn)
{
    json_t *list = NULL;
    uint64_t ids[] = { from, to };
    int r = reply_rows(ix, sql, ids, to ? 2 : 1, fn, &list);

    if (r == 0)
        reply_put(o, name, list);
    return r;
}

static int print(const char *p, size_t n, void *ctx)
{
    buf_append(ctx, p, n);
    return ((struct buf *)ctx)->failed ? -1 : 0;
}

/* Into a buffer of our own, which remembers a failure: json_dumps() goes on after some. */
int reply_finish(struct query *q, json_t *j, int r)
{
    struct buf out = { 0 };

    if (r == 0 && (lacking || !j || json_dump_callback(j, print, &out, JSON_COMPACT) < 0))
        r = UV_ENOMEM;
    json_decref(j);
    if (r == 0 && !out.failed)
        q->json = buf_steal(&out, &q->json_len);
    else
        r = r < 0 ? r : UV_ENOMEM;
    buf_finish(&out);
    return r;
}
