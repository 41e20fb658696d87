/*
 * operation.c - the four operations: their parameters, and when a refusal means "done before".
 */
#include "operation.h"

#include <stdlib.h>
#include <string.h>

#include "parents.h"
#include "salesforce.h"

const char *const operation_names[OP__COUNT] = {
    [OP_UPSERT] = "upsert",
    [OP_INSERT] = "insert",
    [OP_UPDATE] = "update",
    [OP_DELETE] = "delete",
};

/* clang-format off */
#define OBJECT                                           \
    { "object", SL_OPT_STRING, SL_OPT_REQUIRED, NULL, 0, 0, NULL, \
      "API name of the object, such as Contact or My_Object__c" }
#define TRANSPORT                                        \
    { "transport", SL_OPT_ENUM, 0, "auto", 0, 0, TRANSPORT_CHOICES, \
      "bulk: a Bulk API 2.0 job a batch; collections: 200 records a call, written at once; " \
      "auto: the cheaper, unless it is urgent" }
/* clang-format on */

#define PARENT                                                                                     \
    {                                                                                              \
        "parent", SL_OPT_STRING, 0, NULL, 0, 0, NULL,                                              \
            "relationship column whose record is locked, such as Account or Site__r.Code__c: two " \
            "batches in flight never hold children of one; none: they may. Without it Account, "   \
            "Order, Opportunity or Quote where it belongs, else the first one"                     \
    }

const sl_option operation_params[OP__COUNT][7] = {
    [OP_UPSERT] = {
        OBJECT,
        { "external_id", SL_OPT_STRING, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
          "API name of its External ID field (tick Unique); every record must have it" },
        PARENT,
        TRANSPORT,
    },
    [OP_INSERT] = {
        OBJECT,
        { "external_id", SL_OPT_STRING, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
          "API name of a Unique External ID field that every record has: one whose answer is lost "
          "would else be made twice; use upsert if there is none that is Unique" },
        { "unique", SL_OPT_BOOL, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
          "true says that external_id is Unique in the org; if it is not, use upsert" },
        PARENT,
        TRANSPORT,
    },
    [OP_UPDATE] = { OBJECT, PARENT, TRANSPORT },
    [OP_DELETE] = {
        OBJECT,
        { "hard", SL_OPT_BOOL, 0, "false", 0, 0, NULL,
          "hardDelete, past the recycle bin: it cannot be taken back, and is refused" },
        TRANSPORT,
    },
};

/* ---- bind ---------------------------------------------------------------------------------- */

void operation_unbind(struct action *a)
{
    if (!a)
        return;
    free(a->object);
    free(a->external_id);
    free(a->parent);
    free(a);
}

static int shown(sl_str s)
{
    return (int)(s.len < 120 ? s.len : 120);
}

static sl_status take_name(const sl_bind_in *in, const char *name, const char *example, char **ret,
                           sl_fail *fail)
{
    sl_str s = { 0 };

    if (in->values->str(in->params, name, &s) < 0 || !is_api_name(s))
        return sf_fail(fail, SL_E_INVALID, "%s: \"%.*s\" is not an API name; it reads %s", name,
                       shown(s), s.len > 0 ? s.ptr : "", example);
    *ret = strndup(s.ptr, s.len);
    return *ret ? SL_OK : sf_fail(fail, SL_E_NO_MEMORY, "out of memory");
}

static sl_status take_parent(const sl_bind_in *in, enum operation op, char **ret, sl_fail *fail)
{
    sl_str s = { 0 };

    if (op == OP_DELETE || in->values->str(in->params, "parent", &s) < 0 || s.len == 0)
        return SL_OK;
    if (!is_parent_column(s))
        return sf_fail(fail, SL_E_INVALID,
                       "parent: \"%.*s\" is no relationship column; it reads Account, AccountId, "
                       "Site__r.Code__c, or none",
                       shown(s), s.ptr);
    *ret = strndup(s.ptr, s.len);
    return *ret ? SL_OK : sf_fail(fail, SL_E_NO_MEMORY, "out of memory");
}

/* An answer may be lost behind any request, and then the records go again. */
static sl_status check(enum operation op, const sl_bind_in *in, sl_fail *fail)
{
    int64_t said = 0;

    if (op == OP_INSERT && (in->values->num(in->params, "unique", &said) < 0 || !said))
        return sf_fail(fail, SL_E_INVALID,
                       "unique: an insert whose answer is lost is made twice unless the field of "
                       "external_id is Unique in the org; tick that there and say `unique: true`, "
                       "or use upsert");
    if (op == OP_DELETE && in->values->num(in->params, "hard", &said) == SL_OK && said)
        return sf_fail(fail, SL_E_INVALID,
                       "hard: a hardDelete passes the recycle bin by, and what a wrong map deletes "
                       "is gone; leave it out, and let the bin be emptied");
    return SL_OK;
}

static enum transport transport_of(const sl_bind_in *in)
{
    sl_str s = { 0 };

    if (in->values->str(in->params, "transport", &s) < 0 || str_is(s, "auto"))
        return TRANSPORT_AUTO;
    return str_is(s, "bulk") ? TRANSPORT_BULK : TRANSPORT_COLLECTIONS;
}

sl_status operation_bind(enum operation op, const sl_bind_in *in, struct action **ret,
                         sl_fail *fail)
{
    struct action *a;
    sl_status r = check(op, in, fail);

    if (r < 0)
        return r;
    a = calloc(1, sizeof(*a));
    if (!a)
        return sf_fail(fail, SL_E_NO_MEMORY, "out of memory");
    a->op = op;
    a->transport = transport_of(in);
    if ((r = take_name(in, "object", "Contact or My_Object__c", &a->object, fail)) < 0)
        goto out;
    if (op == OP_UPSERT || op == OP_INSERT) {
        r = take_name(in, "external_id", "Shopify_Customer_Id__c", &a->external_id, fail);
    } else {
        a->external_id = strdup("Id");
        r = a->external_id ? SL_OK : sf_fail(fail, SL_E_NO_MEMORY, "out of memory");
    }
    if (r < 0 || (r = take_parent(in, op, &a->parent, fail)) < 0)
        goto out;
    *ret = a;
    return SL_OK;
out:
    operation_unbind(a);
    return r;
}

/* ---- records ------------------------------------------------------------------------------- */

bool is_salesforce_id(sl_str id)
{
    if (id.len != 15 && id.len != 18)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = ascii_lower(id.ptr[i]);

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
            return false;
    }
    return true;
}

sl_status operation_check(const struct action *a, const struct row *row, char *why, size_t why_size)
{
    for (size_t i = 0; i < row->n; i++) {
        const struct cell *c = &row->cells[i];
        bool is_id = c->sub.len == 0 && str_is_nocase(c->name, "Id");

        if (a->op == OP_DELETE && !is_id) {
            say(why, why_size, "a delete takes the field Id alone; leave out %.*s",
                (int)c->name.len, c->name.ptr);
            return SL_E_INVALID;
        }
        if (a->op == OP_INSERT && is_id) {
            say(why, why_size, "an insert takes no Id: Salesforce gives it; use update or upsert");
            return SL_E_INVALID;
        }
        if (a->op == OP_UPSERT && is_id && !str_is_nocase(str_of(a->external_id), "Id")) {
            say(why, why_size,
                "an upsert by %s takes no Id beside it: leave one of the two out in the route's "
                "map, or use update, which goes by Id",
                a->external_id);
            return SL_E_INVALID;
        }
    }
    return SL_OK;
}

/* ---- refusals that mean: done before ------------------------------------------------------- */

static bool takes(sl_str *s, const char *lead)
{
    size_t n = strlen(lead);

    if (s->len < n || !str_is_nocase((sl_str){ s->ptr, n }, lead))
        return false;
    *s = (sl_str){ s->ptr + n, s->len - n };
    return true;
}

static bool is_name_char(char c)
{
    c = ascii_lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* "DUPLICATE_VALUE:duplicate value found: Ext__c duplicates value on record with id: 001..." names
 * the record that has our key, if the field is the one that names our records. */
static bool is_our_record(const struct action *a, sl_str error, sl_str *ret_id)
{
    sl_str field, id;

    if (!takes(&error, "DUPLICATE_VALUE:"))
        return false;
    while (takes(&error, " "))
        ;
    if (!takes(&error, "duplicate value found: "))
        return false;
    field = (sl_str){ error.ptr, 0 };
    while (field.len < error.len && is_name_char(error.ptr[field.len]))
        field.len++;
    error = (sl_str){ error.ptr + field.len, error.len - field.len };
    if (!str_is_nocase(field, a->external_id) ||
        !takes(&error, " duplicates value on record with id: "))
        return false;
    id = (sl_str){ error.ptr, 0 };
    while (id.len < error.len && is_name_char(error.ptr[id.len]))
        id.len++;
    if (!is_salesforce_id(id))
        return false;
    *ret_id = id;
    return true;
}

bool operation_was_done(const struct action *a, sl_str error, sl_str *ret_id)
{
    *ret_id = (sl_str){ 0 };
    if (a->op == OP_INSERT)
        return is_our_record(a, error, ret_id);
    return a->op == OP_DELETE && takes(&error, "ENTITY_IS_DELETED") &&
           (error.len == 0 || !is_name_char(error.ptr[0]));
}
