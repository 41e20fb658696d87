/*
 * replay_state.c - a replay as JSON: what is written of it, and what people see.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "flow/replay.h"
#include "store/fingerprint.h"

const char *const replay_state_names[REPLAY__COUNT] = { "running", "done", "stopped", "cancelled" };

static const struct text {
    const char *name;
    size_t at;
} texts[] = {
    { "state", offsetof(struct store_filter, state) },
    { "route", offsetof(struct store_filter, route) },
    { "endpoint", offsetof(struct store_filter, endpoint) },
    { "subject", offsetof(struct store_filter, subject) },
    { "topic", offsetof(struct store_filter, topic) },
    { "hold_type", offsetof(struct store_filter, hold_type) },
    { "error", offsetof(struct store_filter, error) },
};
#define N_TEXTS (sizeof(texts) / sizeof(texts[0]))

static const char **text_of(const struct store_filter *f, size_t i)
{
    return (const char **)((char *)f + texts[i].at);
}

void replay_free(struct replay *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < N_TEXTS; i++)
        free((char *)*text_of(&r->filter, i));
    free(r->route);
    free(r->who);
    free(r->why);
    free(r->known);
    free(r->nums);
    free(r);
}

/* ---- writing ---- */

static void put_text(json_t *o, const char *name, const char *text)
{
    if (text && *text)
        json_object_set_new(o, name, json_string(text));
}

static void put_int(json_t *o, const char *name, uint64_t n)
{
    json_object_set_new(o, name, json_integer((json_int_t)n));
}

static json_t *filter_json(const struct store_filter *f)
{
    json_t *o = json_object();
    char name[FINGERPRINT_HEX];

    for (size_t i = 0; i < N_TEXTS; i++)
        put_text(o, texts[i].name, *text_of(f, i));
    fingerprint_name(f->issue, name);
    put_text(o, "issue", f->issue ? name : NULL);
    put_int(o, "since_ms", (uint64_t)f->since_ms);
    put_int(o, "until_ms", (uint64_t)f->until_ms);
    put_int(o, "after", f->after);
    return o;
}

void replay_encode(const struct replay *r, struct buf *out)
{
    json_t *o = json_object(), *known = json_array();
    char *text;

    put_int(o, "id", r->id);
    put_text(o, "state", replay_state_names[r->state]);
    json_object_set_new(o, "filter", filter_json(&r->filter));
    put_text(o, "route", r->route);
    json_object_set_new(o, "remap", json_boolean(r->remap));
    put_text(o, "priority", priority_names[r->priority]);
    put_int(o, "rate", r->rate);
    put_int(o, "max_failures", r->max_failures);
    put_text(o, "who", r->who);
    put_text(o, "why", r->why);
    put_int(o, "started_ms", (uint64_t)r->started_ms);
    put_int(o, "ended_ms", (uint64_t)r->ended_ms);
    put_int(o, "log_seq", r->log_seq);
    put_int(o, "matched", r->matched);
    put_int(o, "done", r->done);
    put_int(o, "refused", r->refused);
    put_int(o, "edits_lost", r->edits_lost);
    put_text(o, "end", r->end);
    for (size_t i = 0; i < r->n_known; i++) {
        char name[FINGERPRINT_HEX];
        fingerprint_name(r->known[i], name);
        json_array_append_new(known, json_string(name));
    }
    json_object_set_new(o, "known", known);
    text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    if (text)
        buf_cstr(out, text);
    else
        out->failed = true;
    free(text);
}

/* ---- reading ---- */

static uint64_t get_int(json_t *o, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(o, name));

    return n < 0 ? 0 : (uint64_t)n;
}

static char *get_text(json_t *o, const char *name)
{
    return mem_str(json_string_value(json_object_get(o, name)));
}

static void get_filter(json_t *o, struct store_filter *f)
{
    const char *issue = json_string_value(json_object_get(o, "issue"));

    for (size_t i = 0; i < N_TEXTS; i++)
        *text_of(f, i) = get_text(o, texts[i].name);
    if (issue)
        fingerprint_parse(str_of(issue), &f->issue);
    f->since_ms = (int64_t)get_int(o, "since_ms");
    f->until_ms = (int64_t)get_int(o, "until_ms");
    f->after = get_int(o, "after");
}

static void get_known(json_t *list, struct replay *r)
{
    size_t i, n = json_array_size(list);
    json_t *name;

    r->known = mem_array(n ? n : 1, sizeof(*r->known));
    json_array_foreach(list, i, name)
    {
        const char *text = json_string_value(name);
        if (text && fingerprint_parse(str_of(text), &r->known[r->n_known]) == 0)
            r->n_known++;
    }
}

struct replay *replay_decode(sl_str json)
{
    json_t *o = json_loadb(json.ptr, json.len, 0, NULL);
    const char *state = json_string_value(json_object_get(o, "state"));
    const char *end = json_string_value(json_object_get(o, "end"));
    struct replay *r = mem_zero(sizeof(*r));

    list_init(&r->node);
    r->id = get_int(o, "id");
    r->state = REPLAY__COUNT;
    for (int i = 0; state && i < REPLAY__COUNT; i++)
        if (strcmp(replay_state_names[i], state) == 0)
            r->state = (enum replay_state)i;
    if (!r->id || r->state == REPLAY__COUNT) {
        json_decref(o);
        replay_free(r);
        return NULL;
    }
    get_filter(json_object_get(o, "filter"), &r->filter);
    get_known(json_object_get(o, "known"), r);
    r->route = get_text(o, "route");
    r->remap = json_is_true(json_object_get(o, "remap"));
    r->priority = priority_parse(json_string_value(json_object_get(o, "priority")), PRIORITY_LOW);
    r->rate = (uint32_t)get_int(o, "rate");
    r->max_failures = get_int(o, "max_failures");
    r->who = get_text(o, "who");
    r->why = get_text(o, "why");
    r->started_ms = (int64_t)get_int(o, "started_ms");
    r->ended_ms = (int64_t)get_int(o, "ended_ms");
    r->log_seq = get_int(o, "log_seq");
    r->matched = get_int(o, "matched");
    r->done = get_int(o, "done");
    r->refused = get_int(o, "refused");
    r->edits_lost = get_int(o, "edits_lost");
    snprintf(r->end, sizeof(r->end), "%s", end ? end : "");
    json_decref(o);
    return r;
}
