/*
 * callout.c - see callout.h.
 */
#include "callout.h"

#include <string.h>

#include "rows/row.h"
#include "salesforce.h"
#include "text.h"

#define MAX_EVENT_ID 128

static sl_str member(const json_t *root, const char *name)
{
    const json_t *value = json_object_get(root, name);

    return (sl_str){ json_string_value(value) ? json_string_value(value) : "",
                     json_string_length(value) };
}

/* Printable ASCII: it stands in tables, addresses and logs. */
static bool is_event_id(sl_str s)
{
    if (s.len == 0 || s.len > MAX_EVENT_ID)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
            return false;
    return true;
}

/* "UPDATE", "GAP_CREATE" */
static bool take_change(sl_str s, char ret[CHANGE_SIZE])
{
    if (s.len == 0 || s.len >= CHANGE_SIZE)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        ret[i] = ascii_lower(s.ptr[i]);
        if (!(ret[i] >= 'a' && ret[i] <= 'z') && ret[i] != '_')
            return false;
    }
    ret[s.len] = '\0';
    return true;
}

static sl_status take(struct callout *c, sl_fail *fail)
{
    c->event_id = member(c->root, "eventId");
    c->object = member(c->root, "object");
    c->fields = json_object_get(c->root, "fields");
    if (!is_event_id(c->event_id))
        return sf_fail(fail, SL_E_INVALID,
                       "eventId: it wants 1 to %d characters without blanks, the same when the "
                       "callout is repeated",
                       MAX_EVENT_ID);
    if (!is_api_name(c->object))
        return sf_fail(fail, SL_E_INVALID, "object: it wants an API name, such as Quote");
    if (!record_id(member(c->root, "id"), c->id))
        return sf_fail(fail, SL_E_INVALID, "id: it wants a record's id of 15 or 18 characters");
    if (!take_change(member(c->root, "changeType"), c->change))
        return sf_fail(fail, SL_E_INVALID, "changeType: it wants a word, such as UPDATE");
    if (!json_is_object(c->fields))
        return sf_fail(fail, SL_E_INVALID, "fields: it wants an object");
    return SL_OK;
}

sl_status callout_read(struct callout *c, sl_str body, sl_fail *fail)
{
    json_error_t error;
    sl_status r;

    *c = (struct callout){ 0 };
    c->root = json_loadb(body.len ? body.ptr : "", body.len, JSON_REJECT_DUPLICATES, &error);
    if (!c->root && json_error_code(&error) == json_error_out_of_memory)
        return SL_E_NO_MEMORY;
    if (!c->root) /* what it stands near is the sender's data: not for a log */
        return sf_fail(fail, SL_E_INVALID, "the callout's body is not JSON: %.*s at byte %d",
                       (int)(strstr(error.text, " near ")
                                 ? strstr(error.text, " near ") - error.text
                                 : (ptrdiff_t)strlen(error.text)),
                       error.text, error.position);
    if (!json_is_object(c->root)) {
        callout_finish(c);
        return sf_fail(fail, SL_E_INVALID,
                       "the callout's body is not a JSON object with eventId, object, id, "
                       "changeType, occurredAt and fields");
    }
    r = take(c, fail);
    if (r < 0)
        callout_finish(c);
    return r;
}

void callout_finish(struct callout *c)
{
    json_decref(c->root);
    *c = (struct callout){ 0 };
}
