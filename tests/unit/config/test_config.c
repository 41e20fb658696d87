/*
 * test_config.c - whole configurations that load: what they come out as.
 */
#include "fake.h"

#include <sys/stat.h>
#include "config/values.h"
#include "sample.h"

static int enter(void **state)
{
    (void)state;
    scratch_enter();
    mkdir("maps", 0755);
    scratch_write("maps/order-to-opportunity.jq", "{Name: .name}\n", 0644);
    scratch_write("crm.pem", "PRIVATE\n", 0600);
    setenv("SHOPIFY_SECRET", "hush", 1);
    return 0;
}

static int leave(void **state)
{
    (void)state;
    scratch_leave();
    return fake_bound == 0 ? 0 : -1; /* every handle was given back */
}

static sl_str secret_of(const sl_values *v, const char *name, uint32_t index)
{
    sl_str s = { 0 };

    CHECK_EQ(config_values_api()->secret(v, name, index, &s), SL_OK);
    return s;
}

static void the_endpoints_of_the_sample_are_read(void **state)
{
    struct config *c = load_good(SAMPLE);
    struct conf_endpoint *shop = config_endpoint(c, STR("acme-shop"));
    struct conf_endpoint *crm = config_endpoint(c, STR("crm"));
    struct conf_endpoint *byron = config_endpoint(c, STR("byron"));

    (void)state;
    CHECK_EQ(c->n_endpoints, 3);
    CHECK_STR(c->store_path, "/var/lib/sluice");
    CHECK_STR(shop->adapter, "shopify");
    CHECK(shop->plugin == &fake_plugins[0]);
    CHECK_EQ(shop->line, 3);
    CHECK_EQ(shop->column, 3);
    CHECK_VIEW(str_param(shop->settings, "shop"), "acme.myshopify.com");
    CHECK_VIEW(secret_of(shop->settings, "webhook_secret", 0), "hush");
    CHECK_VIEW(secret_of(crm->settings, "auth.key", 0), "PRIVATE"); /* no newline at the end */
    CHECK_EQ(crm->batch_records, 5000);
    CHECK_EQ(crm->batch_age_ms, 60000);
    CHECK_EQ(crm->rate_milli_per_s, 0);
    CHECK_EQ(byron->rate_milli_per_s, 5000);
    CHECK_EQ(byron->burst, 10);
    CHECK_EQ(byron->index, 2);
    CHECK(config_endpoint(c, STR("byro")) == NULL);
    config_destroy(c);
}

static void the_routes_of_the_sample_are_read(void **state)
{
    struct config *c = load_good(SAMPLE);
    struct conf_route *crm = config_route(c, STR("order-to-crm"));
    struct conf_route *supplier = config_route(c, STR("order-to-supplier"));

    (void)state;
    CHECK_EQ(c->n_routes, 2);
    CHECK_STR(crm->map, "{Name: .name}\n");
    CHECK_EQ(crm->n_targets, 1);
    CHECK_EQ(crm->targets[0].kind, TARGET_SEND);
    CHECK_STR(crm->targets[0].endpoint->name, "crm");
    CHECK_EQ(crm->targets[0].action, 0);
    CHECK_VIEW(str_param(crm->targets[0].params, "object"), "Opportunity");
    CHECK(crm->targets[0].handle != NULL && crm->targets[0].handle != crm->targets[0].params);
    CHECK_EQ(crm->once, false);
    CHECK_EQ(crm->retry.max_age_ms, 24 * 3600 * 1000);
    CHECK_STR(crm->owner, "crm-team");
    CHECK_STR(supplier->choose, ".key");
    CHECK_EQ(supplier->n_targets, 2);
    CHECK_STR(supplier->targets[0].when, "Byron Gears");
    CHECK_STR(supplier->targets[0].endpoint->name, "byron");
    CHECK(supplier->targets[0].handle == supplier->targets[0].params); /* it has no bind() */
    CHECK(supplier->targets[1].when == NULL);
    CHECK_EQ(supplier->targets[1].kind, TARGET_HOLD);
    CHECK_STR(supplier->targets[1].text, "unmapped-sku");
    CHECK_STR(supplier->hold->type, "fraud");
    CHECK_EQ(supplier->priority, PRIORITY_CRITICAL);
    CHECK_EQ(supplier->once, true); /* the action says so */
    CHECK_EQ(supplier->retry.max_age_ms, INT64_C(72) * 3600 * 1000);
    CHECK_EQ(supplier->ordered, true);
    config_destroy(c);
}

static void every_default_is_filled_in(void **state)
{
    struct config *c = load_good("endpoints: { k: { adapter: kinds } }\n");
    struct conf_endpoint *e = &c->endpoints[0];

    (void)state;
    CHECK_STR(c->file, "t.yaml");
    CHECK_STR(c->listen, "127.0.0.1:8080");
    CHECK_STR(c->admin_listen, "127.0.0.1:8081");
    CHECK_STR(c->admin_socket, "/var/lib/sluice/admin.sock");
    CHECK(c->admin_token == NULL);
    CHECK_STR(c->store_path, "/var/lib/sluice");
    CHECK_EQ(c->store_queue, 64 << 20);
    CHECK_EQ(c->disk_reserve, 256 << 20);
    CHECK_EQ(c->keep_ms, INT64_C(28) * 24 * 3600 * 1000);
    CHECK_EQ(c->n_plugin_dirs, 2);
    CHECK_STR(c->plugin_dirs[0], "/usr/lib/sluice/plugins");
    CHECK_STR(c->plugin_dirs[1], "/usr/local/lib/sluice/plugins");
    CHECK_STR(c->log_level, "info");
    CHECK_STR(c->log_format, "text");
    CHECK_EQ(c->max_body, 2 << 20);
    CHECK_EQ(c->max_connections, 16384);
    CHECK_EQ(c->max_per_address, 1024);
    CHECK_EQ(c->unix_mode, 0660);
    CHECK_EQ(c->n_trusted, 2);
    CHECK_EQ(c->trust_unix, true);
    CHECK_EQ(c->forwarded, CONF_FORWARDED_X);
    CHECK_EQ(c->drain_ms, 30000);
    CHECK_EQ(c->workers, 2);
    CHECK_EQ(c->worker_deadline_ms, 5000);
    CHECK_EQ(c->worker_memory, 512 << 20);
    CHECK_EQ(c->worker_output, 16 << 20);
    CHECK_EQ(c->window, 10000);
    CHECK(c->alerts.url == NULL && c->alerts.headers_json == NULL);
    CHECK_EQ(c->alerts.repeat_ms, 15 * 60000);
    CHECK_EQ(e->rate_milli_per_s, 0);
    CHECK_EQ(e->burst, 1);
    CHECK_EQ(e->concurrency, 8);
    CHECK_EQ(e->batch_records, 0);
    CHECK_EQ(e->batch_bytes, 0);
    CHECK_EQ(e->batch_age_ms, -1); /* as the adapter says */
    CHECK_EQ(e->batch_quick_ms, -1);
    CHECK_EQ(e->has_retry, false);
    CHECK_EQ(e->retry.first_ms, 1000);
    CHECK_EQ(e->retry.cap_ms, 300000);
    CHECK_EQ(e->retry.max_age_ms, 86400000);
    CHECK_EQ(e->retry.max_attempts, 0);
    CHECK_EQ(e->breaker.window_ms, 60000);
    CHECK_EQ(e->breaker.min_calls, 10);
    CHECK_EQ(e->breaker.failure_percent, 50);
    CHECK_EQ(e->breaker.slow_ms, 30000);
    CHECK_EQ(e->breaker.open_ms, 30000);
    CHECK_EQ(e->breaker.open_max_ms, 300000);
    CHECK_EQ(e->breaker.probes, 3);
    CHECK_EQ(e->park_probe_ms, 60000);
    CHECK_EQ(e->confirm_after_ms, 2000);
    CHECK_EQ(e->confirm_for_ms, 86400000);
    CHECK_EQ(e->connect_ms, 5000);
    CHECK_EQ(e->first_byte_ms, 30000);
    CHECK_EQ(e->total_ms, 60000);
    CHECK(e->ca_file == NULL);
    CHECK_EQ(e->max_body, 0);
    CHECK_EQ(e->max_answer, 16 << 20);
    config_destroy(c);
}

static void what_is_given_takes_the_place_of_the_default(void **state)
{
    struct config *c = load_good(
        "listen: unix:run/in.sock\n"
        "admin: { listen: none, socket: run/a.sock, token: { env: "
        "SHOPIFY_SECRET } }\n"
        "store: { path: state, queue: 1MiB }\n"
        "plugins: [build/plugins, /opt/p]\n"
        "log:\n" /* all of a block may be commented out */
        "alerts: { url: 'https://hooks.example/x/', headers: "
        "{ Authorization: { env: SHOPIFY_SECRET }, X: y } }\n"
        "endpoints:\n"
        "  k:\n"
        "    adapter: kinds\n"
        "    rate: { per_second: 2.125 }\n"
        "    timeout: { total: 4s }\n"
        "    breaker: { open: 10m }\n");

    (void)state;
    CHECK_STR(c->listen, "unix:run/in.sock");
    CHECK(c->admin_listen == NULL);
    CHECK_STR(c->admin_socket, "run/a.sock");
    CHECK_STR(c->admin_token, "hush");
    CHECK_STR(c->store_path, "state");
    CHECK_EQ(c->store_queue, 1 << 20);
    CHECK_EQ(c->n_plugin_dirs, 2);
    CHECK_STR(c->plugin_dirs[0], "build/plugins");
    CHECK_STR(c->alerts.url, "https://hooks.example/x");
    CHECK_STR(c->alerts.headers_json, "{\"Authorization\":\"hush\",\"X\":\"y\"}");
    CHECK_EQ(c->endpoints[0].rate_milli_per_s, 2125);
    CHECK_EQ(c->endpoints[0].burst, 3); /* a second's worth, rounded up */
    CHECK_EQ(c->endpoints[0].connect_ms, 4000);
    CHECK_EQ(c->endpoints[0].first_byte_ms, 4000);
    CHECK_EQ(c->endpoints[0].breaker.slow_ms, 2000);
    CHECK_EQ(c->endpoints[0].breaker.open_max_ms, 600000);
    config_destroy(c);
}

static void paths_are_relative_to_the_configurations_folder(void **state)
{
    struct config_errors errors;
    struct config *c = NULL;

    (void)state;
    scratch_write("maps/t.yaml", "store: { path: ../state }\n", 0644);
    CHECK_EQ(config_load("maps/t.yaml", &fake_env, &c, &errors), 0);
    CHECK_STR(c->store_path, "maps/../state");
    CHECK_STR(c->admin_socket, "maps/../state/admin.sock");
    config_destroy(c);
}

static void the_plugins_folders_can_be_read_before_the_adapters_are_known(void **state)
{
    struct config_errors errors;
    char **dirs = NULL;

    (void)state;
    scratch_write("p.yaml", "plugins: [p]\nnonsense: 5\nendpoints: 7\n", 0644);
    CHECK_EQ(config_plugin_dirs("p.yaml", &dirs, &errors), 0);
    CHECK_STR(dirs[0], "p");
    CHECK(dirs[1] == NULL);
    free(dirs[0]);
    free(dirs);
    scratch_write("p.yaml", "", 0644);
    CHECK_EQ(config_plugin_dirs("p.yaml", &dirs, &errors), 0);
    CHECK_STR(dirs[1], "/usr/local/lib/sluice/plugins");
    CHECK(dirs[2] == NULL);
    free(dirs[0]);
    free(dirs[1]);
    free(dirs);
    CHECK_EQ(config_plugin_dirs("none.yaml", &dirs, &errors), UV_ENOENT);
    CHECK_STR(errors.list[0].text, "cannot read \"none.yaml\": no such file or directory");
    config_errors_finish(&errors);
    scratch_write("p.yaml", "plugins: 5\n", 0644);
    CHECK_EQ(config_plugin_dirs("p.yaml", &dirs, &errors), UV_EINVAL);
    config_errors_finish(&errors);
}

static void the_admin_socket_is_found_without_a_secret_or_a_right_file(void **state)
{
    struct config_errors errors;
    char *path = NULL;

    (void)state;
    scratch_write("s.yaml", "admin: { socket: run/a.sock, token: { file: none } }\nnonsense: 5\n",
                  0644);
    CHECK_EQ(config_admin_socket("s.yaml", &path, &errors), 0);
    CHECK(strlen(path) >= 10 && strcmp(path + strlen(path) - 10, "run/a.sock") == 0);
    free(path);
    scratch_write("s.yaml", "store: { path: /srv/state }\nendpoints: 7\n", 0644);
    CHECK_EQ(config_admin_socket("s.yaml", &path, &errors), 0);
    CHECK_STR(path, "/srv/state/admin.sock");
    free(path);
    scratch_write("s.yaml", "", 0644);
    CHECK_EQ(config_admin_socket("s.yaml", &path, &errors), 0);
    CHECK_STR(path, "/var/lib/sluice/admin.sock");
    free(path);
    CHECK_EQ(config_admin_socket("none.yaml", &path, &errors), UV_ENOENT);
    config_errors_finish(&errors);
    scratch_write("s.yaml", "admin: { socket: [ 5 ] }\n", 0644);
    CHECK_EQ(config_admin_socket("s.yaml", &path, &errors), UV_EINVAL);
    config_errors_finish(&errors);
}

static void check_loads_again(const sl_plugin *plugin)
{
    struct config_env env = fake_env;
    struct config_errors errors;
    struct config *c = NULL;
    struct buf b = { 0 };

    env.skip_secrets = true;
    config_print_reference(&b, plugin);
    scratch_write("reference.yaml", b.data, 0644);
    if (config_load("reference.yaml", &env, &c, &errors) != 0)
        fail_msg("refused:\n%s\nof\n%s", printed(&errors), b.data);
    CHECK_EQ(c->n_endpoints, plugin ? 1 : 0);
    CHECK_EQ(c->n_routes > 0, plugin && plugin->actions);
    CHECK_EQ(c->window, 10000);
    buf_finish(&b);
    config_destroy(c);
}

static void the_reference_of_every_key_loads_again(void **state)
{
    (void)state;
    check_loads_again(NULL);
    for (size_t i = 0; i < 4; i++)
        check_loads_again(&fake_plugins[i]);
}

static void every_commented_key_of_the_reference_loads_too(void **state)
{
    struct config_errors errors;
    struct config_env env = fake_env;
    struct config *c = NULL;
    struct buf b = { 0 };

    (void)state;
    env.skip_secrets = true;
    config_print_reference(&b, &fake_plugins[2]);
    for (char *p = b.data; (p = strchr(p, '#')); p++)
        if (p[1] != ' ') /* a comment has a space, a key has none */
            *p = ' ';
    for (char *p = b.data; (p = strstr(p, "\n ")); p++) { /* one column back */
        char *key = p + 1 + strspn(p + 1, " ");

        if ((key - p - 1) % 2)
            memmove(key - 1, key, strlen(key) + 1);
    }
    scratch_write("all.yaml", b.data, 0644);
    if (config_load("all.yaml", &env, &c, &errors) != 0)
        fail_msg("refused:\n%s\nof\n%s", printed(&errors), b.data);
    CHECK_STR(c->alerts.url, "https://api.example.com");
    CHECK_EQ(c->endpoints[0].rate_milli_per_s, 5000);
    CHECK_STR(c->routes[0].hold->type, "fraud");
    CHECK_STR(c->routes[0].when, ".");
    buf_finish(&b);
    config_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_endpoints_of_the_sample_are_read),
        cmocka_unit_test(the_routes_of_the_sample_are_read),
        cmocka_unit_test(every_default_is_filled_in),
        cmocka_unit_test(what_is_given_takes_the_place_of_the_default),
        cmocka_unit_test(paths_are_relative_to_the_configurations_folder),
        cmocka_unit_test(the_plugins_folders_can_be_read_before_the_adapters_are_known),
        cmocka_unit_test(the_admin_socket_is_found_without_a_secret_or_a_right_file),
        cmocka_unit_test(the_reference_of_every_key_loads_again),
        cmocka_unit_test(every_commented_key_of_the_reference_loads_too),
    };

    return cmocka_run_group_tests(tests, enter, leave);
}
