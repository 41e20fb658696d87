/*
 * api_backup.c - a backup of the store: begun, and how it goes.
 */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include "admin/api.h"
#include "base/clock.h"
#include "store/backup.h"

static void put_time(struct buf *b, const char *name, int64_t ms)
{
    char when[32];

    clock_format(ms, when);
    buf_printf(b, ms ? ",\"%s\":\"%s\"" : ",\"%s\":null", name, when);
}

static void answer(struct call *c, int status)
{
    static const char *const states[] = { "none", "running", "done", "failed" };
    struct backup_status st;
    struct buf b = { 0 };

    store_backup_status(c->admin->conf.store, &st);
    buf_printf(&b, "{\"state\":\"%s\",\"folder\":", states[st.state]);
    buf_json_str(&b, str_of(st.dir));
    buf_printf(&b, ",\"bytes\":%" PRIu64 ",\"total\":%" PRIu64, st.bytes, st.total);
    put_time(&b, "began_at", st.began_ms);
    put_time(&b, "ended_at", st.ended_ms);
    if (st.state == BACKUP_DONE)
        buf_printf(&b,
                   ",\"files\":%" PRIu64 ",\"first\":%" PRIu64 ",\"last\":%" PRIu64
                   ",\"watermark\":%" PRIu64,
                   st.files, st.first, st.last, st.watermark);
    buf_cstr(&b, ",\"error\":");
    if (st.state == BACKUP_FAILED)
        buf_json_str(&b, str_of(st.text));
    else
        buf_cstr(&b, "null");
    buf_char(&b, '}');
    call_json(c, status, buf_view(&b));
    buf_finish(&b);
}

void api_backup_status(struct call *c)
{
    answer(c, 200);
}

static void begin(struct call *c, const char *folder)
{
    int r = store_backup(c->admin->conf.store, folder, NULL, NULL);

    if (r == UV_EBUSY)
        call_problem(c, 409, "a backup is under way: GET /v1/backup says how far it is");
    else if (r == UV_EINVAL)
        call_problem(c, 400, "\"folder\" must be an absolute path, not \"%.200s\"", folder);
    else if (r == UV_EIO)
        call_problem(c, 503, "the store has failed; it is backed up after a restart");
    else if (r < 0)
        call_failed(c, r);
    else
        answer(c, 202);
}

void api_backup(struct call *c)
{
    sl_str body = http_body(c->request);
    json_error_t error;
    json_t *o = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, &error);
    const char *folder = json_string_value(json_object_get(o, "folder"));

    if (!o)
        call_problem(c, 400, "the body is not JSON: %s, line %d", error.text, error.line);
    else if (!folder || json_object_size(o) != 1)
        call_problem(c, 400, "wanted {\"folder\":\"/an/absolute/path\"}");
    else
        begin(c, folder);
    json_decref(o);
}
