/*
 * test_routes.c - routes and groups of configurations that load: targets, parameters, policies,
 * what they wait for.
 */
#include "fake.h"

#include "config/values.h"

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

static int enter(void **state)
{
    (void)state;
    scratch_enter();
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

static void a_route_says_what_its_programs_are_to_see(void **state)
{
    struct config *c = load_good(
        TWO_ENDS
        "- name: r\n"
        "  from: { endpoint: k, topic: t }\n"
        "  to: { drop: true }\n"
        "  when: '$with.prices != {}'\n"
        "  with:\n"
        "    prices: { endpoint: crm, keys: '[.sku]', find: PricebookEntry, fields: [UnitPrice] }\n"
        "    same: { endpoint: crm, keys: '[.other]', fields: [UnitPrice], find: PricebookEntry,\n"
        "            for: 1h, purge_on: products/update }\n"
        "    other: { endpoint: crm, keys: '[.sku]', find: PricebookEntry, fields: [Id] }\n");
    const struct conf_route *r = &c->routes[0];

    (void)state;
    CHECK_EQ(r->n_with, 3);
    CHECK_STR(r->with[0].name, "prices");
    CHECK_STR(r->with[0].endpoint->name, "crm");
    CHECK_STR(r->with[0].keys, "[.sku]");
    CHECK_EQ(r->with[0].for_ms, 600000);
    CHECK_EQ(r->with[0].n_purge_on, 0);
    CHECK_EQ(r->with[1].for_ms, 3600000);
    CHECK(conf_topic_matches(r->with[1].purge_on, r->with[1].n_purge_on, STR("products/update")));
    /* what asks the same shares what was found, whatever it does with it */
    CHECK(!memcmp(r->with[0].id, r->with[1].id, sizeof(r->with[0].id)));
    CHECK(memcmp(r->with[0].id, r->with[2].id, sizeof(r->with[0].id)) != 0);
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

static void one_route_takes_events_of_several_endpoints(void **state)
{
    struct config *c = load_good(
        TWO_ENDS
        "- name: r\n"
        "  from:\n"
        "    - { endpoint: k, topic: [a, b/*] }\n"
        "    - { endpoint: crm, topic: c }\n"
        "    - { endpoint: k, topic: d }\n"
        "  to: { endpoint: byron }\n"
        "  fallback: { route: s }\n"
        "- name: s\n"
        "  from: [{ endpoint: crm, topic: [c, x] }, { endpoint: k, topic: y }]\n"
        "  to: { endpoint: byron }\n"
        "- name: t\n"
        "  from: [{ endpoint: byron, topic: q }, { endpoint: crm, topic: c }]\n"
        "  to: { endpoint: byron }\n"
        "  after: r\n"
        "- { name: u, from: [{ endpoint: k, topic: a }], to: { endpoint: byron } }\n");
    const struct conf_route *r = &c->routes[0], *s = &c->routes[1], *t = &c->routes[2],
                            *u = &c->routes[3];
    struct conf_from from;

    (void)state;
    CHECK(conf_route_matches(r, STR("k"), STR("a")) && conf_route_matches(r, STR("k"), STR("b/x")));
    CHECK(conf_route_matches(r, STR("crm"), STR("c")) && conf_route_matches(r, STR("k"), STR("d")));
    CHECK(!conf_route_matches(r, STR("crm"), STR("a")) &&
          !conf_route_matches(r, STR("k"), STR("c")));
    CHECK_STR(r->from_names, "k, crm");
    CHECK(conf_route_from(r, 2, &from) && !conf_route_from(r, 3, &from));
    CHECK(r->fallback_route == s);              /* in whatever order */
    CHECK(t->n_after == 1 && t->after[0] == r); /* they meet in crm's c */
    CHECK(u->n_also == 0 && conf_route_matches(u, STR("k"), STR("a")));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_says_what_its_programs_are_to_see),
        cmocka_unit_test(a_route_says_what_its_deliveries_wait_for),
        cmocka_unit_test(a_preset_is_a_policy_by_its_name_and_single_values_stand_over_it),
        cmocka_unit_test(a_route_says_how_urgent_is_what_was_missed),
        cmocka_unit_test(a_fallback_is_one_more_target_with_its_own_action_and_policy),
        cmocka_unit_test(a_fallback_may_be_a_group_or_another_route),
        cmocka_unit_test(a_route_may_leave_out_the_only_action_there_is),
        cmocka_unit_test(one_route_takes_events_of_several_endpoints),
        cmocka_unit_test(parameters_come_from_the_case_then_from_to_then_from_the_route),
        cmocka_unit_test(overtakes_finds_the_route_that_holds),
        cmocka_unit_test(a_group_is_its_members_in_the_order_of_the_file),
        cmocka_unit_test(a_groups_cancel_is_a_name_or_an_action_with_its_parameters),
        cmocka_unit_test(a_routes_group_binds_the_action_for_each_member),
        cmocka_unit_test(retries_are_the_routes_then_the_endpoints_then_the_default),
    };

    return cmocka_run_group_tests(tests, enter, leave);
}
