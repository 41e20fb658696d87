/*
 * supplier.c - the adapter's tables, its opening and its end.
 */
#include "supplier.h"

#include <stdlib.h>

static void supplier_close(void *self)
{
    struct supplier *s = self;

    if (!s)
        return;
    calls_finish(s);
    headers_finish(&s->headers);
    free(s);
}

static sl_status supplier_open(const sl_host *host, void **ret_self, sl_fail *fail)
{
    struct supplier *s = calloc(1, sizeof(*s));
    sl_status r;

    if (!s)
        return SL_E_NO_MEMORY;
    s->host = host;
    r = supplier_check(host->settings, host->values, fail);
    if (r == SL_OK)
        r = supplier_load(s, fail);
    if (r < 0) {
        supplier_close(s);
        return r;
    }
    *ret_self = s;
    return SL_OK;
}

static const sl_action actions[] = {
    { .name = "order.submit",
      .flags = SL_ACTION_ONCE,
      .batch_records = 1,
      .help = "submit an order by the endpoint's configured request" },
    { .name = "order.cancel",
      .flags = SL_ACTION_CANCEL,
      .batch_records = 1,
      .help = "take back an order that may be there, for a group's interlock" },
    { 0 },
};

enum { SUBMIT, CANCEL };

const char supplier_cancels = 0;

static sl_status supplier_bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail)
{
    static const char submits = 0;

    (void)fail;
    *ret_handle = (void *)(in->action == CANCEL ? &supplier_cancels : &submits);
    return SL_OK;
}

static sl_status supplier_check_action(const sl_values *settings, const sl_values_api *values,
                                       uint32_t action, sl_fail *fail)
{
    sl_str path;

    if (action != CANCEL || values->str(settings, "cancel.path", &path) == SL_OK)
        return SL_OK;
    return rest_fail(fail, SL_E_INVALID,
                     "its \"cancel.path\" is not set, such as /orders/@{key}/cancel");
}

static const sl_plugin plugin = {
    .size = sizeof(plugin),
    .abi_minor = 1,
    .name = "supplier-http",
    .version = SLUICE_VERSION,
    .help = "a supplier that takes orders by HTTP and JSON",
    .settings = supplier_settings,
    .actions = actions,
    .bind = supplier_bind,
    .check = supplier_check,
    .check_action = supplier_check_action,
    .open = supplier_open,
    .close = supplier_close,
    .prepare = supplier_prepare,
    .deliver = supplier_deliver,
    .confirm = supplier_confirm,
};

const sl_plugin *sl_plugin_v0(void)
{
    return &plugin;
}
