/*
 * fuzz_shopify_callbacks.c - a question that Shopify asks of a fulfilment service: any path and
 * query. It is answered at once or refused, never both; what is read of a query is what the text
 * says, in its bounds; and without the secret nothing is found.
 *
 * Input: the path behind /in/{endpoint}, a line's end, then the query. "$" in the path stands for
 * the secret.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sluice/sluice.h>

#include "../unit/plugins/fake_host.h"
#include "base/buf.h"
#include "receive/callbacks.h"

#define SECRET "between-us-and-them"

static const struct fake_setting settings[] = { { "shop", "acme.myshopify.com" },
                                                { "webhook_secret", "sandbox-app-secret-current" },
                                                { "callbacks.path_secret", SECRET },
                                                { 0 } };

static const sl_plugin *plugin;
static struct fake_host *host;
static void *self;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    plugin = sl_plugin_v0();
    host = fake_host_create("acme", plugin->settings, settings); /* for as long as the process */
    self = fake_host_open(host, plugin);
    fake_host_link(host, "order_name", "#1042", "order:acme.myshopify.com/1");
    return 0;
}

static void on_served(void *ctx, const sl_served *a)
{
    int *calls = ctx;

    ++*calls;
    PROMISE(a->status == 200 || a->status == 503, "status %u", a->status);
    PROMISE(a->body.len > 1 && a->body.ptr[0] == '{' && a->body.ptr[a->body.len - 1] == '}',
            "no JSON");
}

/** Each "$" is the secret. */
static bool fill_in(sl_str path, struct buf *to)
{
    bool any = false;

    for (size_t i = 0; i < path.len; i++) {
        if (path.ptr[i] == '$')
            buf_cstr(to, SECRET);
        else
            buf_char(to, path.ptr[i]);
        any |= path.ptr[i] == '$';
    }
    return any;
}

static void check_query(sl_str text)
{
    static struct callback_query q;

    if (!callback_query_read(text, &q))
        return;
    PROMISE(q.n_names <= CALLBACK_MAX_NAMES, "%zu names", q.n_names);
    PROMISE(memchr(q.shop, '\0', sizeof(q.shop)) && memchr(q.sku, '\0', sizeof(q.sku)), "no end");
    PROMISE(q.has_sku || !q.sku[0], "a SKU that was not asked for");
    for (size_t i = 0; i < q.n_names; i++) {
        sl_str name = str_of(q.names[i]), order = callback_order_name(name);

        PROMISE(order.len <= name.len && order.ptr == name.ptr, "another order");
        for (size_t k = 0; k < i; k++)
            PROMISE(strcmp(q.names[k], q.names[i]) != 0, "twice");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t n = line ? (size_t)(line - data) : size;
    struct buf path = { 0 };
    bool secret = fill_in(whole(data, n), &path);
    sl_head head = { .size = sizeof(head),
                     .method = fake_str("GET"),
                     .rest = buf_view(&path),
                     .query = line ? whole(line + 1, size - n - 1) : (sl_str){ "", 0 } };
    sl_fail fail = { .size = sizeof(fail) };
    int calls = 0;
    sl_status r = plugin->serve(self, &head, on_served, &calls, &fail);

    fake_host_run(host);
    PROMISE(calls == (r == SL_OK), "%d answers, status %d", calls, r);
    PROMISE(r != SL_OK || secret || memmem(path.data, path.len, SECRET, strlen(SECRET)),
            "answered without the secret");
    check_query(head.query);
    buf_finish(&path);
    return 0;
}
