/*
 * outbound.c - see outbound.h. The XML is libexpat's; here is where it may stand and what is kept.
 */
#include "outbound.h"

#include <expat.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "rows/record_id.h"
#include "rows/row.h"
#include "text.h"

#define MAX_DEPTH  16   /* a message has 7 */
#define MAX_FIELDS 2000 /* of one notification */

#define BETWEEN ' ' /* a namespace and a name: as expat hands them over */
#define SOAP    "http://schemas.xmlsoap.org/soap/envelope/ "
#define OUT     "http://soap.sforce.com/2005/09/outbound "
#define XSI     "http://www.w3.org/2001/XMLSchema-instance "
#define RECORDS "urn:sobject." /* enterprise.soap.sforce.com, partner... */

const sl_ack outbound_ack = {
    .size = sizeof(sl_ack),
    .status = 200,
    .content_type = "text/xml",
    .body =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
        "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\">"
        "<soapenv:Body>"
        "<notificationsResponse xmlns=\"http://soap.sforce.com/2005/09/outbound\">"
        "<Ack>true</Ack></notificationsResponse></soapenv:Body></soapenv:Envelope>",
};

enum place {
    AT_START,
    AT_ENVELOPE,
    AT_BODY,
    AT_MESSAGE,
    AT_ORGANIZATION,
    AT_ACTION,
    AT_NOTIFICATION,
    AT_ID,
    AT_RECORD,
    AT_FIELD,
    AT__COUNT
};

static const enum place parents[AT__COUNT] = {
    [AT_ENVELOPE] = AT_START,       [AT_BODY] = AT_ENVELOPE,       [AT_MESSAGE] = AT_BODY,
    [AT_ORGANIZATION] = AT_MESSAGE, [AT_ACTION] = AT_MESSAGE,      [AT_NOTIFICATION] = AT_MESSAGE,
    [AT_ID] = AT_NOTIFICATION,      [AT_RECORD] = AT_NOTIFICATION, [AT_FIELD] = AT_RECORD,
};

struct reader {
    XML_Parser xml;
    sl_str organization;
    notification_cb each;
    void *ctx;
    sl_fail *fail;
    sl_status status;
    enum place at;
    unsigned depth;
    unsigned skipping; /* elements deep in what is stepped over; 0: not */
    unsigned messages, notifications;
    struct text text;                     /* of the element that is being read */
    char organization_id[RECORD_ID_SIZE]; /* "" until it was read, and was the right one */
    char action_id[RECORD_ID_SIZE], id[RECORD_ID_SIZE]; /* likewise */
    char object[81], field[81];
    json_t *record; /* own; NULL: no sObject yet */
    size_t fields;
    bool nested; /* the field has elements in it: it is no text */
};

/* ---- stopping ------------------------------------------------------------------------------ */

__attribute__((format(printf, 3, 4))) static void stop(struct reader *r, sl_status status,
                                                       const char *format, ...)
{
    va_list args;
    size_t n;

    if (r->status != SL_OK)
        return;
    r->status = status;
    XML_StopParser(r->xml, XML_FALSE);
    if (!r->fail)
        return;
    say(r->fail->text, sizeof(r->fail->text),
        "Outbound Message, line %lu: ", (unsigned long)XML_GetCurrentLineNumber(r->xml));
    n = strlen(r->fail->text);
    va_start(args, format);
    vsnprintf(r->fail->text + n, sizeof(r->fail->text) - n, format, args);
    va_end(args);
}

static void no_memory(struct reader *r)
{
    stop(r, SL_E_NO_MEMORY, "out of memory");
}

/* ---- elements begin ------------------------------------------------------------------------ */

/* The part of a name behind its namespace. */
static const char *local(const char *name)
{
    const char *at = strrchr(name, BETWEEN);

    return at ? at + 1 : name;
}

static const char *attribute(const char *const *atts, const char *name)
{
    for (; *atts; atts += 2)
        if (strcmp(atts[0], name) == 0)
            return atts[1];
    return NULL;
}

static void enter(struct reader *r, enum place at)
{
    r->at = at;
    text_clear(&r->text);
}

static void step_over(struct reader *r)
{
    r->skipping = 1;
}

static void begin_notification(struct reader *r)
{
    if (!r->organization_id[0] || !r->action_id[0]) {
        stop(r, SL_E_INVALID, "a Notification stands before OrganizationId and ActionId");
        return;
    }
    r->id[0] = '\0';
    r->fields = 0;
    enter(r, AT_NOTIFICATION);
}

/* xsi:type="sf:Opportunity" */
static void begin_record(struct reader *r, const char *const *atts)
{
    const char *type = attribute(atts, XSI "type");
    const char *colon = type ? strchr(type, ':') : NULL;
    sl_str object = str_of(colon ? colon + 1 : type ? type : "");

    if (r->record) {
        stop(r, SL_E_INVALID, "a Notification has two sObjects");
    } else if (!is_api_name(object)) {
        stop(r, SL_E_INVALID, "an sObject's xsi:type does not name an object, such as sf:Quote");
    } else if (!(r->record = json_object())) {
        no_memory(r);
    } else {
        memcpy(r->object, object.ptr, object.len);
        r->object[object.len] = '\0';
        enter(r, AT_RECORD);
    }
}

static void begin_field(struct reader *r, const char *name, const char *const *atts)
{
    const char *nil = attribute(atts, XSI "nil");
    sl_str field = str_of(local(name));

    if (strncmp(name, RECORDS, strlen(RECORDS)) != 0 || !is_api_name(field)) {
        stop(r, SL_E_INVALID, "%.100s is not a field of an sObject", local(name));
        return;
    }
    if (++r->fields > MAX_FIELDS) {
        stop(r, SL_E_INVALID, "a Notification has more than %d fields", MAX_FIELDS);
        return;
    }
    if (nil && (strcmp(nil, "true") == 0 || strcmp(nil, "1") == 0)) {
        step_over(r);
        return;
    }
    memcpy(r->field, field.ptr, field.len);
    r->field[field.len] = '\0';
    r->nested = false;
    enter(r, AT_FIELD);
}

static void in_message(struct reader *r, const char *name)
{
    if (strcmp(name, OUT "OrganizationId") == 0)
        enter(r, AT_ORGANIZATION);
    else if (strcmp(name, OUT "ActionId") == 0)
        enter(r, AT_ACTION);
    else if (strcmp(name, OUT "Notification") == 0)
        begin_notification(r);
    else
        step_over(r); /* SessionId, a live credential, and two URLs */
}

static void in_notification(struct reader *r, const char *name, const char *const *atts)
{
    if (strcmp(name, OUT "Id") == 0)
        enter(r, AT_ID);
    else if (strcmp(name, OUT "sObject") == 0)
        begin_record(r, atts);
    else
        step_over(r);
}

static void in_body(struct reader *r, const char *name)
{
    if (strcmp(name, OUT "notifications") != 0)
        stop(r, SL_E_INVALID, "the SOAP body holds %.100s, not notifications", local(name));
    else if (++r->messages > 1)
        stop(r, SL_E_INVALID, "there are two messages in it");
    else
        enter(r, AT_MESSAGE);
}

static void on_start(void *ctx, const char *name, const char **attributes)
{
    struct reader *r = ctx;
    const char *const *atts = (const char *const *)attributes;

    if (++r->depth > MAX_DEPTH) {
        stop(r, SL_E_INVALID, "elements stand %d deep", MAX_DEPTH + 1);
        return;
    }
    if (r->skipping) {
        r->skipping++;
        return;
    }
    switch (r->at) {
    case AT_START:
        if (strcmp(name, SOAP "Envelope") == 0)
            enter(r, AT_ENVELOPE);
        else
            stop(r, SL_E_INVALID, "it is no SOAP 1.1 envelope: it begins with %.100s", local(name));
        break;
    case AT_ENVELOPE:
        if (strcmp(name, SOAP "Body") == 0)
            enter(r, AT_BODY);
        else
            step_over(r);
        break;
    case AT_BODY:
        in_body(r, name);
        break;
    case AT_MESSAGE:
        in_message(r, name);
        break;
    case AT_NOTIFICATION:
        in_notification(r, name, atts);
        break;
    case AT_RECORD:
        begin_field(r, name, atts);
        break;
    default: /* an id or a field */
        r->nested = true;
        step_over(r);
        break;
    }
}

static void on_text(void *ctx, const char *p, int n)
{
    struct reader *r = ctx;

    if (!r->skipping &&
        (r->at == AT_ORGANIZATION || r->at == AT_ACTION || r->at == AT_ID || r->at == AT_FIELD))
        text_add(&r->text, p, (size_t)n);
    if (r->text.failed)
        no_memory(r);
}

/* ---- elements end -------------------------------------------------------------------------- */

static void take_id(struct reader *r, const char *what, char ret[RECORD_ID_SIZE])
{
    if (!record_id(text_view(&r->text), ret))
        stop(r, SL_E_INVALID, "%s is not an id of 15 or 18 characters", what);
}

static void take_organization(struct reader *r)
{
    take_id(r, "OrganizationId", r->organization_id);
    if (r->status == SL_OK && !str_is(r->organization, r->organization_id))
        stop(r, SL_E_INVALID,
             "it is from the organisation %s, not from the configured %.*s: the message of another "
             "org or sandbox is sent here",
             r->organization_id, (int)r->organization.len, r->organization.ptr);
}

/* A field that comes again is a list. */
static void take_field(struct reader *r)
{
    json_t *value, *there = json_object_get(r->record, r->field);
    int failed;

    if (r->nested) /* a compound: its parts are fields of their own */
        return;
    value = json_stringn(r->text.len ? r->text.ptr : "", r->text.len);
    if (!value) {
        no_memory(r);
        return;
    }
    if (!there) {
        failed = json_object_set_new(r->record, r->field, value);
    } else if (json_is_array(there)) {
        failed = json_array_append_new(there, value);
    } else {
        json_t *list = json_array();

        failed = json_array_append(list, there) < 0 ? -1 : 0;
        failed |= json_array_append_new(list, value);
        failed |= json_object_set_new(r->record, r->field, list);
    }
    if (failed)
        no_memory(r);
}

/* The record's own id is one form only, whatever was sent. */
static void name_record(struct reader *r)
{
    const char *id = json_string_value(json_object_get(r->record, "Id"));
    char whole[RECORD_ID_SIZE];

    if (!id || !record_id(str_of(id), whole))
        stop(r, SL_E_INVALID, "the sObject of Notification %s has no Id", r->id);
    else if (json_object_set_new(r->record, "Id", json_string(whole)) < 0)
        no_memory(r);
}

static void tell(struct reader *r)
{
    json_t *all = json_pack("{s:s,s:s,s:s,s:s,s:O}", "organization_id", r->organization_id,
                            "action_id", r->action_id, "notification_id", r->id, "object",
                            r->object, "record", r->record);
    char *json = all ? json_dumps(all, JSON_COMPACT) : NULL;
    struct notification n = { str_of(r->id), str_of(r->object), str_of(json) };
    sl_status status;

    json_decref(all);
    if (!json) {
        no_memory(r);
        return;
    }
    r->notifications++;
    status = r->each(r->ctx, &n);
    free(json);
    if (status < 0)
        stop(r, status, "it holds too much");
}

static void end_notification(struct reader *r)
{
    if (!r->id[0])
        stop(r, SL_E_INVALID, "a Notification has no Id");
    else if (!r->record)
        stop(r, SL_E_INVALID, "Notification %s has no sObject", r->id);
    else
        name_record(r);
    if (r->status == SL_OK)
        tell(r);
    json_decref(r->record);
    r->record = NULL;
}

static void on_end(void *ctx, const char *name)
{
    struct reader *r = ctx;

    (void)name;
    r->depth--;
    if (r->skipping) {
        r->skipping--;
        return;
    }
    if (r->status != SL_OK)
        return;
    switch (r->at) {
    case AT_ORGANIZATION:
        take_organization(r);
        break;
    case AT_ACTION:
        take_id(r, "ActionId", r->action_id);
        break;
    case AT_ID:
        take_id(r, "a Notification's Id", r->id);
        break;
    case AT_FIELD:
        take_field(r);
        break;
    case AT_NOTIFICATION:
        end_notification(r);
        break;
    default:
        break;
    }
    r->at = parents[r->at];
}

/* ---- the whole ----------------------------------------------------------------------------- */

static void on_doctype(void *ctx, const char *name, const char *system, const char *public,
                       int has_subset)
{
    (void)name;
    (void)system;
    (void)public;
    (void)has_subset;
    stop(ctx, SL_E_INVALID, "a DOCTYPE is not taken");
}

static void parse(struct reader *r, sl_str body)
{
    enum XML_Error error;

    XML_SetUserData(r->xml, r);
    XML_SetElementHandler(r->xml, on_start, on_end);
    XML_SetCharacterDataHandler(r->xml, on_text);
    XML_SetStartDoctypeDeclHandler(r->xml, on_doctype);
    if (XML_Parse(r->xml, body.ptr, (int)body.len, 1) == XML_STATUS_OK || r->status != SL_OK)
        return;
    error = XML_GetErrorCode(r->xml);
    if (error == XML_ERROR_NO_MEMORY)
        no_memory(r);
    else
        stop(r, SL_E_INVALID, "%s", XML_ErrorString(error));
}

sl_status outbound_read(sl_str body, sl_str organization, notification_cb each, void *ctx,
                        sl_fail *fail)
{
    struct reader r = { .organization = organization, .each = each, .ctx = ctx, .fail = fail };

    if (body.len == 0 || body.len > INT32_MAX)
        return SL_E_INVALID;
    r.xml = XML_ParserCreateNS(NULL, BETWEEN);
    if (!r.xml)
        return SL_E_NO_MEMORY;
    parse(&r, body);
    if (r.status == SL_OK && r.notifications == 0)
        stop(&r, SL_E_INVALID, "there is no Notification in it");
    json_decref(r.record);
    text_finish(&r.text);
    XML_ParserFree(r.xml);
    return r.status;
}
