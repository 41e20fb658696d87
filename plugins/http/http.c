/*
 * http.c - the adapter's tables, its opening and its end.
 */
#include "http.h"

#include <stdlib.h>

static void http_close(void *self)
{
    http_finish(self);
    free(self);
}

static sl_status http_open(const sl_host *host, void **ret_self, sl_fail *fail)
{
    struct http *h = calloc(1, sizeof(*h));
    sl_status r;

    if (!h)
        return SL_E_NO_MEMORY;
    h->host = host;
    r = http_check(host->settings, host->values, fail);
    if (r == SL_OK)
        r = http_load(h, fail);
    if (r < 0) {
        http_close(h);
        return r;
    }
    *ret_self = h;
    return SL_OK;
}

static const sl_action actions[] = {
    { .name = "request.send",
      .batch_records = 1,
      .params = http_params,
      .help = "send a request for each delivery" },
    { .name = "request.cancel",
      .flags = SL_ACTION_CANCEL,
      .batch_records = 1,
      .params = cancel_params,
      .help = "take back what was sent, for a group's interlock" },
    { 0 },
};

static uint32_t http_cost(void *self, void *handle, const sl_record *record)
{
    const struct action *a = handle;

    (void)self;
    (void)record;
    return a->cost;
}

static const sl_plugin plugin = {
    .size = sizeof(plugin),
    .abi_minor = 1,
    .name = "http",
    .version = SLUICE_VERSION,
    .help = "any endpoint that takes JSON over HTTP: a chat, a pager, an ERP",
    .settings = http_settings,
    .actions = actions,
    .bind = http_bind,
    .unbind = http_unbind,
    .check = http_check,
    .open = http_open,
    .close = http_close,
    .prepare = http_prepare,
    .deliver = http_deliver,
    .confirm = http_confirm,
    .cost = http_cost,
};

const sl_plugin *sl_plugin_v0(void)
{
    return &plugin;
}
