/*
 * shopify_fixture.c - see shopify_fixture.h.
 */
#include "shopify_fixture.h"

#include <stdlib.h>
#include <string.h>

const sl_plugin *plugin;

static const struct fake_setting settings[] = {
    { "shop", SHOP },
    { "webhook_secret", "sandbox-app-secret-current" },
    { "webhook_secret", "sandbox-app-secret-previous" },
    { 0 },
};

int shopify_setup(void **state)
{
    struct fixture *x = calloc(1, sizeof(*x));

    assert_non_null(x);
    plugin = sl_plugin_v0();
    x->host = fake_host_create("acme", plugin->settings, settings);
    x->self = fake_host_open(x->host, plugin);
    *state = x;
    return 0;
}

int shopify_teardown(void **state)
{
    struct fixture *x = *state;

    fake_host_close(x->host, plugin, x->self);
    fake_host_destroy(x->host);
    free(x);
    return 0;
}

size_t split(const char *const *lines, sl_header *ret)
{
    size_t n = 0;

    for (; lines[n]; n++) {
        const char *colon = strchr(lines[n], ':');

        CHECK(colon && n < MAX_HEADERS);
        ret[n].name = (sl_str){ lines[n], (size_t)(colon - lines[n]) };
        ret[n].value = fake_str(colon + 2);
    }
    return n;
}
