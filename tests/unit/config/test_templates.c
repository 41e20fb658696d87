/*
 * test_templates.c - many endpoints of one kind: templates, routes from all of them, and back to
 * the one that an event is from.
 */
#include "fake.h"

#include "config/values.h"

#define SHOPS                                                                               \
    "templates:\n"                                                                          \
    "  warehouse:\n"                                                                        \
    "    adapter: supplier-http\n"                                                          \
    "    base_url: 'https://${name}.example/${name}'\n"                                     \
    "    retry: { first: 2s, max_age: 1h }\n"                                               \
    "    rate: { per_second: 4, burst: 8 }\n"                                               \
    "endpoints:\n"                                                                          \
    "  north: { template: warehouse }\n"                                                    \
    "  south: { template: warehouse, rate: { burst: 2 }, base_url: 'https://s.example' }\n" \
    "  crm: { adapter: salesforce, instance: 'https://x.example',"                          \
    " auth: { client_id: a, username: b, key: { file: crm.pem } } }\n"                      \
    "routes:\n"

static int enter(void **state)
{
    (void)state;
    scratch_enter();
    scratch_write("crm.pem", "PRIVATE\n", 0600);
    setenv("ONE", "first", 1);
    setenv("TWO", "second", 1);
    return 0;
}

static int leave(void **state)
{
    (void)state;
    scratch_leave();
    return fake_bound == 0 ? 0 : -1; /* every handle was given back */
}

static void an_endpoint_has_its_templates_keys_beside_its_own(void **state)
{
    struct config *c = load_good(SHOPS
                                 "- { name: r, from: { endpoint: crm, topic: t },"
                                 " to: { drop: true } }\n");
    const struct conf_endpoint *north = config_endpoint(c, STR("north"));
    const struct conf_endpoint *south = config_endpoint(c, STR("south"));

    (void)state;
    CHECK_STR(north->template, "warehouse");
    CHECK_STR(north->adapter, "supplier-http");
    CHECK_STR(str_param(north->settings, "base_url").ptr, "https://north.example/north");
    CHECK_EQ(north->rate_milli_per_s, 4000);
    CHECK_EQ(north->burst, 8);
    CHECK_EQ(north->retry.max_age_ms, 3600000);
    CHECK_STR(str_param(south->settings, "base_url").ptr, "https://s.example");
    CHECK_EQ(south->rate_milli_per_s, 4000); /* of the template, beside the burst of its own */
    CHECK_EQ(south->burst, 2);
    CHECK(!config_endpoint(c, STR("crm"))->template);
    CHECK(!config_endpoint(c, STR("warehouse")));
    config_destroy(c);
}

static void a_secret_of_its_own_takes_the_place_of_the_templates(void **state)
{
    struct config *c = load_good(
        "templates:\n"
        "  shop: { adapter: shopify, shop: '${name}.example', webhook_secret: { env: ONE } }\n"
        "endpoints:\n"
        "  a: { template: shop }\n"
        "  b: { template: shop, webhook_secret: { file: crm.pem } }\n"
        "routes:\n"
        "- { name: r, from: { endpoint: a, topic: t }, to: { drop: true } }\n");
    sl_str secret;

    (void)state;
    CHECK_EQ(config_values_api()->secret(config_endpoint(c, STR("a"))->settings, "webhook_secret",
                                         0, &secret),
             SL_OK);
    CHECK_STR(secret.ptr, "first");
    CHECK_EQ(config_values_api()->secret(config_endpoint(c, STR("b"))->settings, "webhook_secret",
                                         0, &secret),
             SL_OK);
    CHECK_STR(secret.ptr, "PRIVATE");
    config_destroy(c);
}

static void a_route_takes_the_events_of_all_endpoints_of_a_template(void **state)
{
    struct config *c = load_good(SHOPS
                                 "- { name: one, from: { template: warehouse, topic: [a/b, c/*] },"
                                 " to: { drop: true } }\n"
                                 "- name: two\n"
                                 "  from:\n"
                                 "    - { endpoint: crm, topic: x }\n"
                                 "    - { template: warehouse, topic: y }\n"
                                 "  to: { drop: true }\n");
    const struct conf_route *one = &c->routes[0], *two = &c->routes[1];

    (void)state;
    CHECK_STR(one->from_names, "north, south");
    CHECK(conf_route_matches(one, STR("north"), STR("a/b")));
    CHECK(conf_route_matches(one, STR("south"), STR("c/d")));
    CHECK(!conf_route_matches(one, STR("south"), STR("y")));
    CHECK(!conf_route_matches(one, STR("crm"), STR("a/b")));
    CHECK_STR(two->from_names, "crm, north, south");
    CHECK(conf_route_matches(two, STR("crm"), STR("x")));
    CHECK(conf_route_matches(two, STR("south"), STR("y")));
    CHECK(!conf_route_matches(two, STR("crm"), STR("y")));
    config_destroy(c);
}

static void what_leads_to_the_origin_may_lead_to_each_that_can_do_it(void **state)
{
    struct config *c = load_good(SHOPS
                                 "- { name: all, from: { endpoint: crm, topic: t }, to: origin,"
                                 " action: order.submit }\n"
                                 "- name: some\n"
                                 "  from: { endpoint: crm, topic: t }\n"
                                 "  to:\n"
                                 "    choose: .x\n"
                                 "    cases: { back: origin, crm: { endpoint: crm, action: upsert,"
                                 " object: O, external_id: E } }\n"
                                 "    else: { origin: warehouse }\n"
                                 "  action: order.submit\n");
    const struct conf_target *t = &c->routes[0].targets[0];

    (void)state;
    CHECK_EQ(t->kind, TARGET_ORIGIN);
    CHECK_EQ(t->n_members, 2);
    CHECK_EQ(t->members[0].kind, TARGET_SEND);
    CHECK_STR(t->members[0].endpoint->name, "north");
    CHECK_STR(t->members[1].endpoint->name, "south");
    CHECK(t->members[1].handle);
    CHECK_EQ(t->members[1].retry.first_ms, 2000); /* its endpoint's */
    CHECK(conf_route_send(&c->routes[0], 1) == &t->members[1]);
    CHECK(!conf_route_send(&c->routes[0], 2));
    CHECK_EQ(c->routes[1].n_targets, 3);
    CHECK_EQ(c->routes[1].targets[0].kind, TARGET_ORIGIN);
    CHECK_EQ(c->routes[1].targets[1].kind, TARGET_SEND);
    CHECK_EQ(c->routes[1].targets[2].n_members, 2);
    config_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_endpoint_has_its_templates_keys_beside_its_own),
        cmocka_unit_test(a_secret_of_its_own_takes_the_place_of_the_templates),
        cmocka_unit_test(a_route_takes_the_events_of_all_endpoints_of_a_template),
        cmocka_unit_test(what_leads_to_the_origin_may_lead_to_each_that_can_do_it),
    };

    return cmocka_run_group_tests(tests, enter, leave);
}
