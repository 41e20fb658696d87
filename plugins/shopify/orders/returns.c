/*
 * returns.c - a return is asked for, approved, declined, closed, opened again, cancelled: what it
 * is to become is a state of it, so whether it was done can always be seen. Making and processing
 * one is in return_make.c and return_process.c.
 */
#include <string.h>

#include "body_table.h"
#include "orders/deed.h"
#include "orders/orders.h"

#define ID_MEMBER                                                                 \
    {                                                                             \
        "return_id", BODY_ID, BODY_REQUIRED, .of = "Return", .help = "the return" \
    }
#define NOTIFY_MEMBER                                                                  \
    {                                                                                  \
        "notify", BODY_BOOL, .help = "the shop writes to the customer; without it: no" \
    }

static const struct body_member plain_members[] = { ID_MEMBER, { 0 } };
static const struct body_shape plain = { .members = plain_members };
static const struct body_member approve_members[] = { ID_MEMBER, NOTIFY_MEMBER, { 0 } };
static const struct body_shape approve_shape = { .members = approve_members };
static const struct body_member decline_members[] = {
    ID_MEMBER,
    { "reason", BODY_ENUM, BODY_REQUIRED, .of = "FINAL_SALE|OTHER|RETURN_PERIOD_ENDED",
      .help = "why" },
    { "note", BODY_TEXT, .min = 1, .max = 500, .help = "for the customer" },
    NOTIFY_MEMBER,
    { 0 },
};
static const struct body_shape decline_shape = { .members = decline_members };

#define FIELDS "{ return { id status } userErrors { code field message } } }"

static const char return_approve[] =
    "mutation ReturnApproveRequest($input: ReturnApproveRequestInput!) {"
    " returnApproveRequest(input: $input) " FIELDS;
static const char return_decline[] =
    "mutation ReturnDeclineRequest($input: ReturnDeclineRequestInput!) {"
    " returnDeclineRequest(input: $input) " FIELDS;
static const char return_close[] = "mutation ReturnClose($id: ID!) { returnClose(id: $id) " FIELDS;
static const char return_reopen[] =
    "mutation ReturnReopen($id: ID!) { returnReopen(id: $id) " FIELDS;
static const char return_cancel[] =
    "mutation ReturnCancel($id: ID!) { returnCancel(id: $id) " FIELDS;
static const char return_state[] = "query ReturnState($id: ID!) { return(id: $id) { id status } }";

static const struct refusal_rule refusals[] = {
    { "NOT_FOUND", NULL, REFUSAL_GOOD, "return_id: the shop has no such return" },
    { "INVALID_STATE", NULL, REFUSAL_STATE, NULL },
    { NULL, "Return status is invalid", REFUSAL_STATE, NULL },
    { "NOTIFICATION_FAILED", NULL, REFUSAL_STATE, NULL },
    { 0 },
};

static sl_status read_id(struct deed *d)
{
    d->variables = json_pack("{s:O}", "id", json_object_get(d->body, "return_id"));
    return SL_OK;
}

static sl_status read_input(struct deed *d)
{
    json_t *input = json_pack("{s:O}", "id", json_object_get(d->body, "return_id"));

    d->variables = json_pack("{s:o}", "input", input);
    if (!d->variables)
        return SL_E_NO_MEMORY;
    return deed_take(d, input, "notify", "notifyCustomer") < 0 ||
                   deed_take(d, input, "reason", "declineReason") < 0 ||
                   deed_take(d, input, "note", "declineNote") < 0
               ? SL_E_NO_MEMORY
               : SL_OK;
}

static json_t *look_variables(const struct deed *d)
{
    return json_pack("{s:O}", "id", json_object_get(d->body, "return_id"));
}

/* `wanted`: states in which it was done, with blanks between. */
static enum deed_seen judge_status(struct deed *d, const json_t *data, const char *wanted)
{
    const json_t *it = json_object_get(data, "return");
    const char *status = json_string_value(json_object_get(it, "status"));
    size_t n = status ? strlen(status) : 0;

    if (!json_is_object(it)) {
        deed_say(d, "return_id: the shop has no such return");
        return SEEN_NEVER;
    }
    deed_refers(d, json_string_value(json_object_get(it, "id")));
    for (const char *c = wanted; n; c += strcspn(c, " "), c += strspn(c, " ")) {
        if (!*c)
            break;
        if (strcspn(c, " ") == n && memcmp(c, status, n) == 0)
            return SEEN_DONE;
    }
    return SEEN_NOT;
}

/* One that was closed since had been approved. */
static enum deed_seen judge_approved(struct deed *d, const json_t *data)
{
    return judge_status(d, data, "OPEN CLOSED");
}

static enum deed_seen judge_declined(struct deed *d, const json_t *data)
{
    return judge_status(d, data, "DECLINED");
}

static enum deed_seen judge_closed(struct deed *d, const json_t *data)
{
    return judge_status(d, data, "CLOSED");
}

static enum deed_seen judge_open(struct deed *d, const json_t *data)
{
    return judge_status(d, data, "OPEN");
}

static enum deed_seen judge_cancelled(struct deed *d, const json_t *data)
{
    return judge_status(d, data, "CANCELED");
}

#define STATE_KIND(name, shape_, root_, read_, judge_)                              \
    static const struct deed_kind name##_kind = { .shape = &(shape_),               \
                                                  .document = name,                 \
                                                  .root = root_,                    \
                                                  .object = "return",               \
                                                  .link = "return",                 \
                                                  .refusals = refusals,             \
                                                  .read = read_,                    \
                                                  .look = return_state,             \
                                                  .look_variables = look_variables, \
                                                  .judge = judge_ };                \
    DEED_ACTION(name, name##_kind, shape_, .scopes = "write_returns")

STATE_KIND(return_approve, approve_shape, "returnApproveRequest", read_input, judge_approved);
STATE_KIND(return_decline, decline_shape, "returnDeclineRequest", read_input, judge_declined);
STATE_KIND(return_close, plain, "returnClose", read_id, judge_closed);
STATE_KIND(return_reopen, plain, "returnReopen", read_id, judge_open);
STATE_KIND(return_cancel, plain, "returnCancel", read_id, judge_cancelled);
