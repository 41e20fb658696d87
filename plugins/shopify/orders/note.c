/*
 * note.c - order.note. The shop only replaces a note: what is there is read first, and what stands
 * in it already is not added again.
 */
#include <stdlib.h>
#include <string.h>

#include "body_table.h"
#include "orders/deed.h"
#include "orders/orders.h"

static const struct body_member members[] = {
    { "order_id", BODY_ID, .of = "Order", .help = "without it: the order that the event is about" },
    { "note", BODY_TEXT, BODY_REQUIRED, 1, 5000, .help = "lines of text" },
    { "mode", BODY_ENUM, .of = "append|replace",
      .help = "behind what is there, or in its place; without it: append" },
    { 0 },
};
static const struct body_shape shape = { .members = members };

const sl_option order_note_params[] = {
    { "mode", SL_OPT_ENUM, 0, NULL, 0, 0, "append|replace",
      "behind the note that is there, or in its place; where the body does not say it" },
    { 0 },
};

static const char order_update[] =
    "mutation OrderNote($input: OrderInput!) { orderUpdate(input: $input) { order { id }"
    " userErrors { field message } } }";
static const char note_of[] = "query OrderNoteOf($id: ID!) { order(id: $id) { id note } }";

static const struct refusal_rule refusals[] = {
    { NULL, "Order does not exist", REFUSAL_GOOD, "order_id: the shop has no such order" },
    { 0 },
};

static sl_status read(struct deed *d)
{
    if (deed_take_order(d) < 0)
        return SL_E_INVALID;
    d->variables = json_pack("{s:{s:O}}", "input", "id", json_object_get(d->body, "order_id"));
    return SL_OK;
}

static json_t *look_variables(const struct deed *d)
{
    return json_pack("{s:O}", "id", json_object_get(d->body, "order_id"));
}

/* As whole lines of it. */
static int stands_in(const char *note, const char *text)
{
    size_t n = strlen(text);

    for (const char *at = note; (at = strstr(at, text)) != NULL; at++)
        if ((at == note || at[-1] == '\n') && (!at[n] || at[n] == '\n' || at[n] == '\r'))
            return 1;
    return 0;
}

static enum deed_seen judge(struct deed *d, const json_t *data)
{
    const json_t *order = json_object_get(data, "order");
    const char *there = json_string_value(json_object_get(order, "note"));
    const char *text = json_string_value(json_object_get(d->body, "note"));
    const char *mode = json_string_value(json_object_get(d->body, "mode"));
    int append = !mode || strcmp(mode, "append") == 0;

    if (!json_is_object(order)) {
        deed_say(d, "order_id: the shop has no such order");
        return SEEN_NEVER;
    }
    there = there ? there : "";
    if (append ? stands_in(there, text) : strcmp(there, text) == 0) {
        deed_refers(d, json_string_value(json_object_get(order, "id")));
        return SEEN_DONE;
    }
    json_object_set_new(json_object_get(d->variables, "input"), "note",
                        append && *there ? json_sprintf("%s\n%s", there, text) : json_string(text));
    return SEEN_NOT;
}

static const struct deed_kind kind = {
    .shape = &shape,
    .params = order_note_params,
    .flags = DEED_LOOK_FIRST,
    .document = order_update,
    .root = "orderUpdate",
    .object = "order",
    .refusals = refusals,
    .read = read,
    .look = note_of,
    .look_variables = look_variables,
    .judge = judge,
};

/* Of two that are read and written at once, one would be lost. */
DEED_ACTION(order_note, kind, shape, .scopes = "write_orders", .parent_key = deed_parent_key);
