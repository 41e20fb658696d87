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

static sl_str str_param(const sl_values *v, const char *name)
{
    sl_str s = { 0 };

    CHECK_EQ(config_values_api()->str(v, name, &s), SL_OK);
    return s;
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

static void a_route_says_what_its_deliveries_wait_for(void **state)
{
    struct config *c = load_good(
        "endpoints: { s: { adapter: shopify, shop: a.example, webhook_secret: { env: "
        "SHOPIFY_SECRET } }, b: { adapter: supplier-http, base_url: https://b.example } }\n"
        "routes:\n"
        "- name: r\n"
        "  from: { endpoint: s, topic: orders/paid }\n"
        "  to: { choose: .x, cases: { a: { endpoint: b } }, else: { hold: { type: unmapped-sku, "
        "to: b, for: 1h, then: release } } }\n"
        "  hold: { type: fraud, until: [orders/risk, o/*], when: .ok, reject_when: .bad, for: 2h, "
        "then: escalate, owner: risk, escalate_to: lead, evidence: '{a: .b}', choices: [{ name: "
        "good, do: release, to: b, text: all well }, { name: bad, do: reject }] }\n"
        "  deadline: { expect: supplier/tracking, within: 48h, else: sla/missing, warn: 80% }\n"
        "- name: w\n"
        "  from: { endpoint: s, topic: orders/paid }\n"
        "  to: { endpoint: b }\n"
        "  hold: approval\n"
        "  wait_for: { topic: orders/create, within: 30s, else: dead }\n");
    const struct conf_route *r = &c->routes[0];
    const struct conf_hold *h = r->hold, *t = r->targets[1].hold, *w = c->routes[1].wait;

    (void)state;
    CHECK_EQ(c->n_holds, 4);
    CHECK_STR(h->type, "fraud");
    CHECK_EQ(h->n_until, 2);
    CHECK(conf_topic_matches(h->until, 2, STR("o/x")));
    CHECK(!conf_topic_matches(h->until, 2, STR("orders/ris")));
    CHECK_STR(h->when, ".ok");
    CHECK_STR(h->reject_when, ".bad");
    CHECK_EQ(h->for_ms, 2 * 3600 * 1000);
    CHECK_EQ(h->then, HOLD_ESCALATE);
    CHECK_STR(h->owner, "risk");
    CHECK_STR(h->escalate_to, "lead");
    CHECK_STR(h->evidence, "{a: .b}");
    CHECK_EQ(h->n_choices, 2);
    CHECK_STR(h->choices[0].name, "good");
    CHECK(h->choices[0].release && !h->choices[1].release);
    CHECK_STR(h->choices[0].to, "b");
    CHECK_STR(t->type, "unmapped-sku");
    CHECK_STR(t->to, "b");
    CHECK_EQ(t->then, HOLD_RELEASE);
    CHECK_EQ(r->deadline->within_ms, INT64_C(48) * 3600 * 1000);
    CHECK_STR(r->deadline->expect[0], "supplier/tracking");
    CHECK_STR(r->deadline->topic, "sla/missing");
    CHECK_EQ(r->deadline->warn_percent, 80);
    CHECK(r->wait == NULL && c->routes[1].deadline == NULL);
    CHECK_STR(w->type, HOLD_WAIT_FOR);
    CHECK_STR(w->until[0], "orders/create");
    CHECK_EQ(w->for_ms, 30000);
    CHECK_EQ(w->then, HOLD_REJECT);
    CHECK_STR(c->routes[1].hold->type, "approval");
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
    CHECK_EQ(e->batch_age_ms, 0);
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

#define TWO_ENDS                                                        \
    "endpoints:\n"                                                      \
    "  k: { adapter: kinds }\n"                                         \
    "  crm: { adapter: salesforce, instance: 'https://x.example',"      \
    " auth: { client_id: a, username: b, key: { file: crm.pem } } }\n"  \
    "  byron: { adapter: supplier-http, base_url: 'https://b.example'," \
    " retry: { first: 2s, max_age: 1h } }\n"                            \
    "routes:\n"

#define HOURS    INT64_C(3600000)
#define RETRY(i) c->routes[i].targets[0].retry

static void a_preset_is_a_policy_by_its_name_and_single_values_stand_over_it(void **state)
{
    struct config *c = load_good(
        "endpoints:\n"
        "  k: { adapter: kinds }\n"
        "  byron: { adapter: supplier-http, base_url: 'https://b.example', retry: bulk }\n"
        "  nord: { adapter: supplier-http, base_url: 'https://n.example', retry: { first: 3s } }\n"
        "routes:\n"
        "- { name: a, from: { endpoint: k, topic: t }, to: { endpoint: byron } }\n"
        "- { name: b, from: { endpoint: k, topic: t }, to: { endpoint: byron }, retry: { max_age: 6h } }\n"
        "- { name: c, from: { endpoint: k, topic: t }, to: { endpoint: nord }, retry: interactive }\n"
        "- { name: d, from: { endpoint: k, topic: t }, to: { endpoint: nord }, retry: { preset: inventory,"
        " max_attempts: 4 }, priority: critical }\n"
        "- { name: e, from: { endpoint: k, topic: t }, to: { endpoint: nord }, priority: critical }\n"
        "- { name: f, from: { endpoint: k, topic: t }, to: { endpoint: byron }, priority: critical }\n"
        "- { name: g, from: { endpoint: k, topic: t }, to: { endpoint: nord }, priority: critical,"
        " retry: standard }\n"
        "- { name: h, from: { endpoint: k, topic: t }, priority: critical, to: { choose: .x, cases: {"
        " a: { endpoint: byron }, b: { endpoint: nord } }, else: { drop: true } } }\n");

    (void)state;
    CHECK_EQ(RETRY(0).first_ms, 10000);
    CHECK_EQ(RETRY(0).cap_ms, 1800000);
    CHECK_EQ(RETRY(0).max_age_ms, 168 * HOURS);
    CHECK_EQ(RETRY(1).first_ms, 10000);
    CHECK_EQ(RETRY(1).max_age_ms, 6 * HOURS);
    CHECK_EQ(RETRY(2).first_ms, 200);
    CHECK_EQ(RETRY(2).cap_ms, 5000);
    CHECK_EQ(RETRY(2).max_age_ms, 60000);
    CHECK_EQ(RETRY(3).cap_ms, 30000);
    CHECK_EQ(RETRY(3).max_age_ms, 900000); /* given by the name */
    CHECK_EQ(RETRY(3).max_attempts, 4);
    CHECK_EQ(RETRY(4).first_ms, 3000);
    CHECK_EQ(RETRY(4).max_age_ms, 72 * HOURS); /* nobody gave one */
    CHECK_EQ(RETRY(5).max_age_ms, 168 * HOURS);
    CHECK_EQ(RETRY(6).first_ms, 1000);
    CHECK_EQ(RETRY(6).max_age_ms, 72 * HOURS);
    CHECK_EQ(c->routes[7].targets[0].retry.first_ms, 10000); /* each target's own endpoint */
    CHECK_EQ(c->routes[7].targets[1].retry.first_ms, 3000);
    CHECK_EQ(c->routes[7].targets[1].retry.max_age_ms, 72 * HOURS);
    config_destroy(c);
}

static void a_route_says_how_urgent_is_what_was_missed(void **state)
{
    struct config *c = load_good(
        TWO_ENDS
        "- { name: a, from: { endpoint: k, topic: t }, to: { endpoint: byron }, priority: critical }\n"
        "- { name: b, from: { endpoint: k, topic: t }, to: { endpoint: byron }, priority: low,"
        " reconciliation: { priority: critical } }\n"
        "- { name: c, from: { endpoint: k, topic: t }, to: { endpoint: byron },"
        " reconciliation: { priority: normal } }\n");

    (void)state;
    CHECK_EQ(conf_route_reconciled(&c->routes[0]), PRIORITY_LOW); /* however urgent it is live */
    CHECK_EQ(conf_route_reconciled(&c->routes[1]), PRIORITY_CRITICAL);
    CHECK_EQ(conf_route_reconciled(&c->routes[2]), PRIORITY_NORMAL);
    config_destroy(c);
}

static void a_fallback_is_one_more_target_with_its_own_action_and_policy(void **state)
{
    struct config *c = load_good(
        TWO_ENDS
        "- name: r\n"
        "  from: { endpoint: k, topic: a }\n"
        "  to: { endpoint: crm, action: upsert, object: Account, external_id: A__c }\n"
        "  fallback: { endpoint: byron, on: [exhausted, rejected], urgent: true }\n"
        "- { name: s, from: { endpoint: k, topic: a }, to: { endpoint: crm, action: upsert,"
        " object: Account, external_id: A__c }, fallback: { endpoint: byron } }\n");
    const struct conf_target *t = c->routes[0].fallback;

    (void)state;
    CHECK_STR(t->endpoint->name, "byron");
    CHECK_EQ(c->routes[0].fallback_on, FALLBACK_EXHAUSTED | FALLBACK_REJECTED);
    CHECK_EQ(c->routes[1].fallback_on, FALLBACK_EXHAUSTED);
    CHECK_EQ(t->retry.first_ms, 2000); /* of its own endpoint */
    CHECK(t->has_retry);
    CHECK(conf_route_send(&c->routes[0], 1) == t);
    CHECK(conf_route_send(&c->routes[0], 2) == NULL);
    config_destroy(c);
}

static void a_fallback_may_be_a_group_or_another_route(void **state)
{
    struct config *c = load_good(
        "groups: { some: { members: [byron, second] } }\n"
        "endpoints:\n"
        "  k: { adapter: kinds }\n"
        "  crm: { adapter: salesforce, instance: 'https://x.example',"
        " auth: { client_id: a, username: b, key: { file: crm.pem } } }\n"
        "  byron: { adapter: supplier-http, base_url: 'https://b.example' }\n"
        "  second: { adapter: supplier-http, base_url: 'https://b.example' }\n"
        "routes:\n"
        "- { name: r, from: { endpoint: k, topic: a }, to: { endpoint: crm, action: upsert,"
        " object: Account, external_id: A__c }, fallback: { group: some, urgent: true } }\n"
        "- { name: s, from: { endpoint: k, topic: a }, to: { endpoint: crm, action: upsert,"
        " object: Account, external_id: A__c }, fallback: { route: t, on: rejected } }\n"
        "- { name: t, from: { endpoint: k, topic: [] }, to: { endpoint: byron },"
        " fallback: { endpoint: second } }\n");
    const struct conf_target *t = c->routes[0].fallback;

    (void)state;
    CHECK_EQ(t->n_members, 2);
    CHECK(conf_route_send(&c->routes[0], 1) == &t->members[0]);
    CHECK(conf_route_send(&c->routes[0], 2) == &t->members[1]);
    CHECK(conf_route_send(&c->routes[0], 3) == NULL);
    CHECK(t->members[1].has_retry);
    CHECK(conf_fallback_at(&c->routes[0], t->members[1].endpoint) == &t->members[1]);
    CHECK(conf_fallback_at(&c->routes[0], conf_route_send(&c->routes[0], 0)->endpoint) == NULL);
    CHECK(c->routes[1].fallback_route == &c->routes[2]);
    CHECK_EQ(c->routes[1].fallback_on, FALLBACK_REJECTED);
    CHECK(!conf_route_matches(&c->routes[2], STR("k"), STR("a"))); /* only what falls to it */
    config_destroy(c);
}

static void a_route_may_leave_out_the_only_action_there_is(void **state)
{
    struct config *c = load_good(TWO_ENDS
                                 "- name: r\n"
                                 "  from: { endpoint: k, topic: [a/b, c/*] }\n"
                                 "  to: { endpoint: byron }\n"
                                 "  once: never\n");
    struct conf_route *r = &c->routes[0];

    (void)state;
    CHECK_EQ(r->targets[0].action, 0);
    CHECK_EQ(r->once, false);
    CHECK_EQ(r->n_topics, 2);
    CHECK(conf_route_matches(r, STR("k"), STR("a/b")));
    CHECK(!conf_route_matches(r, STR("k"), STR("a/bc")));
    CHECK(conf_route_matches(r, STR("k"), STR("c/")));
    CHECK(conf_route_matches(r, STR("k"), STR("c/d/e")));
    CHECK(!conf_route_matches(r, STR("crm"), STR("a/b")));
    config_destroy(c);
}

static void parameters_come_from_the_case_then_from_to_then_from_the_route(void **state)
{
    struct config *c = load_good(TWO_ENDS
                                 "- name: r\n"
                                 "  from: { endpoint: k, topic: a }\n"
                                 "  object: Route\n"
                                 "  to:\n"
                                 "    choose: .key\n"
                                 "    action: upsert\n"
                                 "    external_id: To\n"
                                 "    cases:\n"
                                 "      one: { endpoint: crm }\n"
                                 "      two: { endpoint: crm, object: Case, external_id: Case }\n"
                                 "      3: { endpoint: crm, action: insert }\n"
                                 "      four: { dead: no such shop }\n"
                                 "    else: { drop: true }\n");
    struct conf_route *r = &c->routes[0];

    (void)state;
    CHECK_EQ(r->n_targets, 5);
    CHECK_VIEW(str_param(r->targets[0].params, "object"), "Route");
    CHECK_VIEW(str_param(r->targets[0].params, "external_id"), "To");
    CHECK_VIEW(str_param(r->targets[1].params, "object"), "Case");
    CHECK_VIEW(str_param(r->targets[1].params, "external_id"), "Case");
    CHECK_STR(r->targets[2].when, "3");
    CHECK_EQ(r->targets[2].action, 1);
    CHECK_VIEW(str_param(r->targets[2].params, "object"), "Route");
    CHECK_EQ(r->targets[3].kind, TARGET_DEAD);
    CHECK_STR(r->targets[3].text, "no such shop");
    CHECK_EQ(r->targets[4].kind, TARGET_DROP);
    config_destroy(c);
}

static void overtakes_finds_the_route_that_holds(void **state)
{
    struct config *c = load_good(
        "endpoints:\n"
        "  k: { adapter: kinds }\n"
        "  other: { adapter: kinds }\n"
        "  byron: { adapter: supplier-http, base_url: 'https://b.example' }\n"
        "routes:\n"
        "  - { name: cancel, from: { endpoint: k, topic: c }, to: { endpoint: byron },"
        " overtakes: held }\n"
        "  - { name: change, from: { endpoint: k, topic: u }, to: { endpoint: byron },"
        " overtakes: { held: amend } }\n"
        "  - { name: order, from: { endpoint: k, topic: t }, to: { endpoint: byron }, hold: fraud }\n"
        "  - { name: theirs, from: { endpoint: other, topic: t }, to: { endpoint: byron },"
        " hold: fraud }\n"
        "  - { name: plain, from: { endpoint: k, topic: p }, to: { endpoint: byron } }\n");
    const struct conf_route *order = config_route(c, STR("order"));
    const struct conf_route *cancel = config_route(c, STR("cancel"));
    const struct conf_route *change = config_route(c, STR("change"));

    (void)state;
    CHECK(cancel->overtakes == order && !cancel->overtakes_amends);
    CHECK(change->overtakes == order && change->overtakes_amends);
    CHECK(order->overtaken && !config_route(c, STR("plain"))->overtaken);
    config_destroy(c);
}

#define THREE_SUPPLIERS                                                    \
    "endpoints:\n"                                                         \
    "  k: { adapter: kinds }\n"                                            \
    "  byron: { adapter: supplier-http, base_url: 'https://b.example',"    \
    " retry: { first: 2s } }\n"                                            \
    "  crest: { adapter: supplier-http, base_url: 'https://c.example' }\n" \
    "  dale: { adapter: supplier-http, base_url: 'https://d.example' }\n"

static void a_group_is_its_members_in_the_order_of_the_file(void **state)
{
    struct config *c = load_good(
        THREE_SUPPLIERS
        "groups:\n"
        "  usual: { members: [crest, byron] }\n"
        "  shared: { policy: weighted, failover_after: 5s,\n"
        "    health: { back_after: 1m }, interlock: { ask_after: 2h },\n"
        "    members: [{ endpoint: byron, weight: 3 }, dale] }\n"
        "  steady: { policy: hash, key: piece, members: [byron, dale] }\n");
    const struct conf_group *usual = config_group(c, STR("usual"));
    const struct conf_group *shared = config_group(c, STR("shared"));

    (void)state;
    CHECK_EQ(c->n_groups, 3);
    CHECK_EQ(usual->policy, GROUP_FAILOVER);
    CHECK_EQ(usual->n_members, 2);
    CHECK_STR(usual->members[0].endpoint->name, "crest");
    CHECK_STR(usual->members[1].endpoint->name, "byron");
    CHECK_EQ(usual->failover_after_ms, 30000);
    CHECK_EQ(usual->back_after_ms, 30000);
    CHECK_EQ(usual->ask_after_ms, 0);
    CHECK_EQ(shared->policy, GROUP_WEIGHTED);
    CHECK_EQ(shared->members[0].weight, 3);
    CHECK_EQ(shared->members[1].weight, 1);
    CHECK_EQ(shared->failover_after_ms, 5000);
    CHECK_EQ(shared->back_after_ms, 60000);
    CHECK_EQ(shared->ask_after_ms, 7200000);
    CHECK_EQ(config_group(c, STR("steady"))->key, GROUP_KEY_PIECE);
    CHECK(config_group(c, STR("byron")) == NULL);
    config_destroy(c);
}

static void a_groups_cancel_is_a_name_or_an_action_with_its_parameters(void **state)
{
    struct config *c = load_good(
        "endpoints:\n"
        "  byron: { adapter: supplier-http, base_url: 'https://b.example', cancel: { path: /c } }\n"
        "  crest: { adapter: supplier-http, base_url: 'https://c.example', cancel: { path: /c } }\n"
        "groups:\n"
        "  plain: { members: [byron, crest], interlock: { cancel: order.cancel } }\n"
        "  more:\n"
        "    members: [byron, crest]\n"
        "    interlock: { ask_after: 1h, cancel: { action: order.cancel, reason: late, wait: 5s } }\n"
        "  none: { members: [byron] }\n");
    const struct conf_group *plain = config_group(c, STR("plain"));
    const struct conf_group *more = config_group(c, STR("more"));

    (void)state;
    CHECK(config_group(c, STR("none"))->cancels == NULL);
    for (size_t i = 0; i < 2; i++) {
        CHECK(plain->cancels[i].endpoint == plain->members[i].endpoint);
        CHECK_EQ(plain->cancels[i].action, 1);
        CHECK(values_get(plain->cancels[i].params, "reason")->from == VALUE_NONE);
        CHECK_EQ(values_get(plain->cancels[i].params, "wait")->num, 2000);
        CHECK_EQ(more->cancels[i].action, 1);
        CHECK_VIEW(str_param(more->cancels[i].params, "reason"), "late");
        CHECK_EQ(values_get(more->cancels[i].params, "wait")->num, 5000);
    }
    CHECK_EQ(more->ask_after_ms, 3600000);
    config_destroy(c);
}

static void a_routes_group_binds_the_action_for_each_member(void **state)
{
    struct config *c = load_good(THREE_SUPPLIERS
                                 "groups: { usual: { members: [byron, crest] } }\n"
                                 "routes:\n"
                                 "- name: r\n"
                                 "  from: { endpoint: k, topic: a }\n"
                                 "  urgent: true\n"
                                 "  to:\n"
                                 "    choose: .key\n"
                                 "    cases: { one: { group: usual }, two: { endpoint: dale } }\n"
                                 "    else: { group: usual, urgent: false }\n");
    const struct conf_route *r = &c->routes[0];
    int64_t urgent = -1;

    (void)state;
    CHECK_EQ(r->n_targets, 3);
    CHECK_EQ(r->targets[0].kind, TARGET_GROUP);
    CHECK_EQ(r->targets[0].n_members, 2);
    CHECK_STR(r->targets[0].members[1].endpoint->name, "crest");
    CHECK(r->targets[0].members[1].group == config_group(c, STR("usual")));
    CHECK_EQ(config_values_api()->num(r->targets[0].members[1].params, "urgent", &urgent), SL_OK);
    CHECK_EQ(urgent, 1);
    CHECK_EQ(config_values_api()->num(r->targets[2].members[1].params, "urgent", &urgent), SL_OK);
    CHECK_EQ(urgent, 0);
    CHECK_STR(conf_route_send(r, 0)->endpoint->name, "dale"); /* outside groups first */
    CHECK_STR(conf_route_send(r, 1)->endpoint->name, "byron");
    CHECK(conf_route_send(r, 5) == NULL);
    CHECK_EQ(r->once, true); /* by the members' action */
    config_destroy(c);
}

static void retries_are_the_routes_then_the_endpoints_then_the_default(void **state)
{
    struct config *c = load_good(TWO_ENDS
                                 "- { name: a, from: { endpoint: k, topic: t }, to: { endpoint: "
                                 "byron }, retry: { cap: 10s, max_attempts: 4 } }\n"
                                 "- { name: b, from: { endpoint: k, topic: t }, to: { endpoint: k "
                                 "}, priority: critical, retry: { max_age: 5m } }\n"
                                 "- { name: c, from: { endpoint: k, topic: t }, to: { endpoint: "
                                 "byron }, priority: critical }\n"
                                 "- { name: d, from: { endpoint: k, topic: t }, to: { endpoint: k "
                                 "}, priority: critical, retry: { first: 3s } }\n");

    (void)state;
    CHECK_EQ(c->routes[0].retry.first_ms, 2000);
    CHECK_EQ(c->routes[0].retry.cap_ms, 10000);
    CHECK_EQ(c->routes[0].retry.max_age_ms, 3600000);
    CHECK_EQ(c->routes[0].retry.max_attempts, 4);
    CHECK_EQ(c->routes[0].has_retry, true);
    CHECK_EQ(c->routes[1].retry.max_age_ms, 300000);
    CHECK_EQ(c->routes[2].retry.max_age_ms, 3600000); /* the operator's word on the endpoint */
    CHECK_EQ(c->routes[3].retry.max_age_ms, INT64_C(72) * 3600000);
    CHECK_EQ(c->routes[3].retry.first_ms, 3000);
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
        cmocka_unit_test(a_route_says_what_its_deliveries_wait_for),
        cmocka_unit_test(every_default_is_filled_in),
        cmocka_unit_test(what_is_given_takes_the_place_of_the_default),
        cmocka_unit_test(paths_are_relative_to_the_configurations_folder),
        cmocka_unit_test(a_preset_is_a_policy_by_its_name_and_single_values_stand_over_it),
        cmocka_unit_test(a_route_says_how_urgent_is_what_was_missed),
        cmocka_unit_test(a_fallback_is_one_more_target_with_its_own_action_and_policy),
        cmocka_unit_test(a_fallback_may_be_a_group_or_another_route),
        cmocka_unit_test(a_route_may_leave_out_the_only_action_there_is),
        cmocka_unit_test(parameters_come_from_the_case_then_from_to_then_from_the_route),
        cmocka_unit_test(overtakes_finds_the_route_that_holds),
        cmocka_unit_test(a_group_is_its_members_in_the_order_of_the_file),
        cmocka_unit_test(a_groups_cancel_is_a_name_or_an_action_with_its_parameters),
        cmocka_unit_test(a_routes_group_binds_the_action_for_each_member),
        cmocka_unit_test(retries_are_the_routes_then_the_endpoints_then_the_default),
        cmocka_unit_test(the_plugins_folders_can_be_read_before_the_adapters_are_known),
        cmocka_unit_test(the_admin_socket_is_found_without_a_secret_or_a_right_file),
        cmocka_unit_test(the_reference_of_every_key_loads_again),
        cmocka_unit_test(every_commented_key_of_the_reference_loads_too),
    };

    return cmocka_run_group_tests(tests, enter, leave);
}
