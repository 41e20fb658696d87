/*
 * test_supplier_http_settings.c - what the supplier-http adapter says of settings, before anything
 * is sent.
 */
#include "supplier_fixture.h"

#include <string.h>

/* ---- settings ------------------------------------------------------------------------------ */

static void check_refused(const struct fake_setting *settings, const char *text)
{
    const sl_plugin *plugin = sl_plugin_v0();
    sl_values *v = fake_values_create(plugin->settings, settings);
    sl_fail fail = { .size = sizeof(fail) };

    if (plugin->check(v, &fake_values_api, &fail) == SL_OK)
        fail_msg("taken, expected: %s", text);
    CHECK_HAS(fail.text, text);
    fake_values_destroy(v);
}

#define REFUSED(text, ...) \
    check_refused((const struct fake_setting[]){ BASIC, __VA_ARGS__, { 0 } }, (text))

static void settings_that_do_not_fit_are_refused_with_what_would(void **state)
{
    (void)state;
    REFUSED("submit.path must begin with '/'", { "submit.path", "orders" });
    REFUSED("{key} is the only one", { "submit.path", "/orders/{id}" });
    REFUSED("{key} is the only one", { "submit.path", "/orders/{key" });
    REFUSED("column 8", { "submit.path", "/orders }" });
    REFUSED("cannot stand in a URL", { "submit.path", "/orders#x" });
    REFUSED("confirm.path must begin", { "confirm.path", "orders/{key}" });
    REFUSED("confirm.path must hold {key}", { "confirm.path", "/orders" });
    REFUSED("not a header's name", { "submit.idempotency_header", "Order Key" });
    REFUSED("not a header's name", { "headers", "{\"A:\":\"b\"}" });
    REFUSED("written by the gateway", { "headers", "{\"content-length\":\"5\"}" });
    REFUSED("is not one line", { "headers", "{\"A\":\"b\\r\\nC: d\"}" });
    REFUSED("201 is among", { "submit.rejected.status", "[201, 400]" });
    REFUSED("is empty", { "submit.accepted.status", "[]" });
    REFUSED("needs confirm.path", { "submit.duplicate.status", "[409]" });
    REFUSED("404 is in confirm.missing", LOOKUP, { "confirm.found.status", "[200, 404]" });
}

static void orders_are_sent_once_per_subject_and_one_a_request(void **state)
{
    const sl_action *a = sl_plugin_v0()->actions;

    (void)state;
    CHECK_STR(a[0].name, "order.submit");
    CHECK_EQ(a[0].flags, SL_ACTION_ONCE);
    CHECK_EQ(a[0].batch_records, 1);
    CHECK_STR(a[1].name, "order.cancel");
    CHECK_EQ(a[1].flags, SL_ACTION_CANCEL);
    assert_null(a[2].name);
}

static void a_cancel_needs_its_path_with_the_key(void **state)
{
    const sl_plugin *plugin = sl_plugin_v0();
    sl_values *v = fake_values_create(plugin->settings, basic);
    sl_fail fail = { .size = sizeof(fail) };

    (void)state;
    CHECK_EQ(plugin->check_action(v, &fake_values_api, 0, &fail), SL_OK);
    CHECK(plugin->check_action(v, &fake_values_api, 1, &fail) < 0);
    CHECK_HAS(fail.text, "\"cancel.path\" is not set");
    fake_values_destroy(v);
    REFUSED("cancel.path: it must hold {key}", { "cancel.path", "/orders/cancel" });
    REFUSED("cancel.path must begin", { "cancel.path", "orders/{key}" });
    REFUSED("404 is among", CANCEL, { "cancel.done.status", "[200, 404]" });
    REFUSED("cancel.missing.status: 409 is among", CANCEL, { "cancel.missing.status", "[409]" });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_that_do_not_fit_are_refused_with_what_would),
        cmocka_unit_test(orders_are_sent_once_per_subject_and_one_a_request),
        cmocka_unit_test(a_cancel_needs_its_path_with_the_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
