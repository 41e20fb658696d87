/*
 * hold_asked.c - see hold_asked.h.
 */
#include "flow/hold_asked.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "flow/failover.h"
#include "flow/fallback.h"
#include "flow/hold.h"
#include "flow/routing.h"
#include "flow/settle.h"
#include "store/restore.h"

#define USUAL_TYPE  "review"
#define TYPE_MAX    40
#define CHOICES_MAX 32
#define NAME_MAX_   80
#define TEXT_MAX    600

/** Types that mean something to the flow itself. */
static bool is_reserved(sl_str type)
{
    static const char *const own_types[] = { HOLD_INTERLOCK, HOLD_UNKNOWN, HOLD_FALLBACK,
                                             HOLD_WAIT_FOR,  REMAPPED,     RESTORE_HOLD,
                                             "orphaned",     "poison",     "route-paused" };

    for (size_t i = 0; i < sizeof(own_types) / sizeof(own_types[0]); i++)
        if (str_eq(type, str_of(own_types[i])))
            return true;
    return false;
}

static bool is_type(sl_str type)
{
    if (!type.len || type.len > TYPE_MAX || is_reserved(type))
        return false;
    for (size_t i = 0; i < type.len; i++) {
        char c = type.ptr[i];
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-')
            return false;
    }
    return true;
}

/** One line for a person: nothing that moves a cursor. */
static bool is_line(const json_t *text, size_t most)
{
    const char *s = json_string_value(text);
    size_t n = json_string_length(text);

    if (!s || !n || n > most)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            return false;
    return true;
}

static bool is_choice(const json_t *c)
{
    const json_t *text = json_object_get(c, "text");
    const char *does = json_string_value(json_object_get(c, "do"));

    return is_line(json_object_get(c, "name"), NAME_MAX_) && (!text || is_line(text, TEXT_MAX)) &&
           does && (!strcmp(does, "release") || !strcmp(does, "reject"));
}

static void put_one(struct buf *b, const json_t *c)
{
    static const char *const members[] = { "name", "do", "text" };

    for (size_t i = 0; i < 3; i++) {
        const char *value = json_string_value(json_object_get(c, members[i]));
        if (!value)
            continue;
        buf_printf(b, "%s\"%s\":", i ? "," : "{", members[i]);
        buf_json_str(b, str_of(value));
    }
    buf_char(b, '}');
}

/** All of them, or the usual two. */
static void put_choices(struct buf *b, sl_str text)
{
    json_t *choices = text.len ? json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL)
                               : NULL;
    size_t n = json_is_array(choices) ? json_array_size(choices) : 0;
    bool good = n > 0 && n <= CHOICES_MAX;

    for (size_t i = 0; good && i < n; i++)
        good = is_choice(json_array_get(choices, i));
    buf_cstr(b, ",\"choices\":[");
    for (size_t i = 0; good && i < n; i++) {
        buf_cstr(b, i ? "," : "");
        put_one(b, json_array_get(choices, i));
    }
    if (!good)
        buf_cstr(b,
                 "{\"name\":\"release\",\"do\":\"release\"},"
                 "{\"name\":\"reject\",\"do\":\"reject\"}");
    buf_char(b, ']');
    json_decref(choices);
}

/** To the letter: numbers of any size are in it. */
static void put_evidence(struct buf *b, sl_str text)
{
    json_t *j = text.len && text.len <= HOLD_EVIDENCE_MAX
                    ? json_loadb(text.ptr, text.len,
                                 JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL)
                    : NULL;

    if (j) {
        buf_cstr(b, ",\"evidence\":");
        buf_str(b, text);
    } else if (text.len > HOLD_EVIDENCE_MAX) {
        buf_printf(b, ",\"evidence_lacks\":\"it is longer than %u KiB\"", HOLD_EVIDENCE_MAX >> 10);
    } else if (text.len) {
        buf_cstr(b, ",\"evidence_lacks\":\"what the adapter gave is not JSON\"");
    }
    json_decref(j);
}

static bool has_asking(const sl_outcome *o)
{
    return o->size >= offsetof(sl_outcome, evidence) + sizeof(o->evidence);
}

void hold_asked(const struct delivery *d, const sl_outcome *o, char **ret_type, char **ret_detail)
{
    bool asks = has_asking(o);
    sl_str type = asks && is_type(o->hold_type) ? o->hold_type : STR(USUAL_TYPE);
    const struct conf_target *t = d->target;
    struct buf b = { 0 };

    buf_char(&b, '{');
    if (t && t->group) { /* first: group_of_detail() */
        buf_printf(&b, "\"group\":\"%s\",\"chosen\":", t->group->name);
        buf_json_str(&b, str_of(d->lane->name));
        buf_char(&b, ',');
    }
    buf_printf(&b, "\"hold\":\"" STR_FMT "\"", STR_ARG(type));
    if (d->route && d->route->owner) {
        buf_cstr(&b, ",\"owner\":");
        buf_json_str(&b, str_of(d->route->owner));
    }
    buf_cstr(&b, ",\"asked_by\":");
    buf_json_str(&b, str_of(d->lane->name));
    put_choices(&b, asks ? o->choices : STR(""));
    if (asks)
        put_evidence(&b, o->evidence);
    buf_char(&b, '}');
    *ret_type = mem_dup(type);
    *ret_detail = buf_steal(&b, NULL);
}

bool hold_is_asked(const struct store_delivery *row)
{
    json_t *says = hold_read(row);
    bool is = json_object_get(says, HOLD_ASKED_BY) != NULL;

    json_decref(says);
    return is || str_eq(row->hold_type, STR(USUAL_TYPE));
}

char *hold_answer(sl_str detail, sl_str endpoint)
{
    static const char name[] = "\"" HOLD_ANSWER "\":\"";
    json_t *says = NULL;
    const char *by, *answer;
    char *text = NULL;

    if (detail.len && memmem(detail.ptr, detail.len, name, sizeof(name) - 1))
        says = hold_read_any(detail);
    by = json_string_value(json_object_get(says, HOLD_ASKED_BY));
    answer = json_string_value(json_object_get(says, HOLD_ANSWER));
    if (by && answer && str_eq(endpoint, str_of(by)))
        text = mem_str(answer);
    json_decref(says);
    return text;
}
