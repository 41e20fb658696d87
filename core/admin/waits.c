/*
 * waits.c - why deliveries do not go now.
 *
 * The text is copied, not parsed and printed again: a list may be long, a body large, and the loop
 * has other work. A delivery is an object whose first member is "id", a text such as "1042.0".
 */
#include "admin/waits.h"

#include <string.h>
#include "base/clock.h"

#define DEPTH_MAX 32

struct frame {
    uint64_t num; /* 0: no delivery */
    sl_str state;
};

struct scan {
    sl_str json;
    size_t at;
    struct frame frames[DEPTH_MAX];
    size_t depth;
    sl_str key; /* the member whose value comes; empty: none */
};

/* From its first quote to its last one; `at` is left behind it. */
static sl_str string_at(struct scan *s)
{
    size_t from = s->at++;

    while (s->at < s->json.len && s->json.ptr[s->at] != '"')
        s->at += s->json.ptr[s->at] == '\\' ? 2 : 1;
    s->at++;
    if (s->at > s->json.len)
        s->at = s->json.len;
    return (sl_str){ s->json.ptr + from, s->at - from };
}

static struct frame *frame_of(struct scan *s)
{
    return s->depth && s->depth <= DEPTH_MAX ? &s->frames[s->depth - 1] : NULL;
}

static void on_string(struct scan *s)
{
    char before = s->at ? s->json.ptr[s->at - 1] : '\0';
    sl_str text = string_at(s);
    struct frame *f = frame_of(s);
    sl_str inner = { text.ptr + 1, text.len > 1 ? text.len - 2 : 0 };

    if (!f)
        return;
    if (before == ':' && str_eq(s->key, STR("\"state\"")))
        f->state = inner;
    s->key = before == ':' ? STR("") : text;
}

/* The text of an object that begins with "id" and a delivery's name. */
static uint64_t num_at(const struct scan *s)
{
    static const char begin[] = "{\"id\":\"";
    sl_str rest = { s->json.ptr + s->at, s->json.len - s->at };
    uint64_t num = 0;

    if (!str_starts(rest, STR(begin)))
        return 0;
    rest.ptr += sizeof(begin) - 1;
    rest.len -= sizeof(begin) - 1;
    const char *end = memchr(rest.ptr, '"', rest.len);
    if (!end || delivery_parse((sl_str){ rest.ptr, (size_t)(end - rest.ptr) }, &num) < 0)
        return 0;
    return num;
}

static bool is_final(sl_str state)
{
    for (int i = 0; i < DS__COUNT; i++)
        if (str_eq(state, str_of(delivery_state_names[i])))
            return delivery_state_final((enum delivery_state)i);
    return true;
}

static void put_one(struct buf *out, const struct frame *f, waits_ask *ask, void *ctx)
{
    struct why w = { .text = "" };
    char when[32];

    if (!f || !f->num || is_final(f->state))
        return;
    if (!ask(ctx, f->num, &w))
        snprintf(w.text, sizeof(w.text),
                 "it waits on disk, behind older ones of its subject or of its lane");
    buf_cstr(out, ",\"waits_for\":{\"text\":");
    buf_json_str(out, str_of(w.text));
    buf_cstr(out, ",\"until\":");
    if (w.until_ms)
        clock_format(w.until_ms, when);
    if (w.until_ms)
        buf_printf(out, "\"%s\"}", when);
    else
        buf_cstr(out, "null}");
}

void waits_put(struct buf *out, sl_str json, waits_ask *ask, void *ctx)
{
    struct scan s = { .json = json };
    size_t copied = 0;

    while (s.at < json.len) {
        char c = json.ptr[s.at];
        if (c == '"') {
            on_string(&s);
            continue;
        }
        if (c == '{' && ++s.depth <= DEPTH_MAX)
            s.frames[s.depth - 1] = (struct frame){ .num = num_at(&s) };
        if (c == '}' && s.depth) {
            buf_append(out, json.ptr + copied, s.at - copied);
            copied = s.at;
            put_one(out, frame_of(&s), ask, ctx);
            s.depth--;
        }
        s.at++;
    }
    buf_append(out, json.ptr + copied, json.len - copied);
}
