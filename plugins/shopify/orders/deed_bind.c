/*
 * deed_bind.c - a route's action of the engine of deed.h: its parameters, and what it costs.
 */
#include <stdlib.h>

#include "admin/admin.h"
#include "admin/points.h"
#include "orders/deed.h"
#include "shopify.h"

/* A parameter that was given, as the body's member would say it. NULL: it was not. */
static json_t *param_of(const sl_bind_in *in, const sl_option *o)
{
    sl_str text;
    int64_t n;

    switch (o->type) {
    case SL_OPT_BOOL:
        return in->values->num(in->params, o->name, &n) == SL_OK ? json_boolean(n != 0) : NULL;
    case SL_OPT_INT:
        return in->values->num(in->params, o->name, &n) == SL_OK ? json_integer(n) : NULL;
    case SL_OPT_STRINGS:
    case SL_OPT_MAP:
        return in->values->json(in->params, o->name, &text) == SL_OK
                   ? json_loadb(text.ptr, text.len, 0, NULL)
                   : NULL;
    default:
        return in->values->str(in->params, o->name, &text) == SL_OK
                   ? json_stringn(text.ptr, text.len)
                   : NULL;
    }
}

sl_status deed_bind(const struct deed_kind *kind, const sl_bind_in *in, void **ret_handle,
                    sl_fail *fail)
{
    struct deed_handle *h = calloc(1, sizeof(*h));

    if (h)
        h->params = json_object();
    if (!h || !h->params) {
        free(h);
        return shopify_fail(fail, SL_E_NO_MEMORY, "out of memory");
    }
    h->kind = kind;
    for (const sl_option *o = kind->params; o && o->name; o++) {
        json_t *value = param_of(in, o);

        if (value)
            json_object_set_new(h->params, o->name, value);
    }
    *ret_handle = h;
    return SL_OK;
}

void deed_unbind(void *handle)
{
    struct deed_handle *h = handle;

    if (h)
        json_decref(h->params);
    free(h);
}

/* Of the first question; what comes after it waits for its own points. */
uint32_t deed_cost(void *self, void *handle, const sl_record *record)
{
    const struct deed_kind *k = ((const struct deed_handle *)handle)->kind;
    int look = k->look && k->flags & DEED_LOOK_FIRST;

    (void)record;
    if (!look && !k->document)
        return POINTS_MUTATES;
    return admin_points(self, look ? k->look : k->document, NULL);
}
