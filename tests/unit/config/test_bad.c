/*
 * test_bad.c - bad configurations, each with its exact message; and files that are damaged at
 * random.
 */
#include "fake.h"

#include <dirent.h>
#include "base/rng.h"
#include "sample.h"

#define MUTATIONS 2000

static int enter(void **state)
{
    (void)state;
    scratch_enter();
    scratch_write("open.key", "s3cret\n", 0644);
    scratch_write("crm.pem", "PRIVATE\n", 0600);
    setenv("SHOPIFY_SECRET", "hush", 1);
    unsetenv("NOT_SET");
    return 0;
}

static int leave(void **state)
{
    (void)state;
    scratch_leave();
    return fake_bound == 0 ? 0 : -1;
}

static char *slurp(const char *path)
{
    FILE *f = fopen(path, "r");
    struct buf b = { 0 };
    char chunk[4096];
    size_t n;

    if (!f)
        fail_msg("cannot open %s", path);
    buf_reserve(&b, 1);
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_append(&b, chunk, n);
    fclose(f);
    return buf_steal(&b, NULL);
}

/* FIXTURES/NN-name.yaml, loaded from the scratch folder under its own name. */
static void check_fixture(const char *name)
{
    char path[512];
    struct config_errors errors;
    struct config *c = NULL;
    char *yaml, *want, *got;

    snprintf(path, sizeof(path), FIXTURES "/%s", name);
    yaml = slurp(path);
    strcpy(strrchr(path, '.'), ".expected");
    want = slurp(path);
    scratch_write(name, yaml, 0644);
    CHECK_EQ(config_load(name, &fake_env, &c, &errors), UV_EINVAL);
    got = printed(&errors);
    if (getenv("PRINT_MESSAGES")) /* to write a new fixture by */
        printf("%s", got);
    else
        CHECK_STR(got, want);
    config_errors_finish(&errors);
    free(yaml);
    free(want);
    free(got);
}

static void every_bad_configuration_gets_its_exact_message(void **state)
{
    DIR *folder = opendir(FIXTURES);
    struct dirent *entry;
    int n = 0;

    (void)state;
    assert_non_null(folder);
    while ((entry = readdir(folder)))
        if (strstr(entry->d_name, ".yaml")) {
            check_fixture(entry->d_name);
            n++;
        }
    closedir(folder);
    CHECK(n >= 15);
}

static void expect(const char *text, const char *want)
{
    char *got = load_bad(text);

    CHECK_STR(got, want);
    free(got);
}

static void the_whole_document_is_checked_first(void **state)
{
    (void)state;
    expect("", "1:1: the file is empty; wanted \"endpoints\" and \"routes\"\n");
    expect("# nothing\n", "1:1: the file is empty; wanted \"endpoints\" and \"routes\"\n");
    expect("- a\n", "1:1: wanted a mapping with \"endpoints\" and \"routes\", found a list\n");
    expect("log: { level: info }\n---\nlog: { level: info }\n",
           "3:1: a second document; one file holds one\n");
    expect("log: { level: \"\xff\" }\n", "1:16: byte 0xff is not UTF-8; save the file as UTF-8\n");
    expect("log: { level: \x01 }\n", "1:15: control character 0x01; only text belongs here\n");
    expect("log: { level: !!str info }\n",
           "1:15: a tag (!name) is not allowed here; leave it out\n");
    expect("log: &a { level: info }\n",
           "1:6: an anchor (&name) is not allowed here; leave it out\n");
    expect("? [a]\n: b\n", "1:3: a key must be a plain name\n");
    expect("endpoints: 5\nroutes: { a: b }\n",
           "1:12: \"endpoints\" wants a mapping of names to endpoints, found \"5\"\n"
           "2:9: \"routes\" wants a list, each route with \"- name: ...\"; found a mapping\n");
}

static void deep_nesting_and_large_files_are_refused(void **state)
{
    struct buf b = { 0 };
    char *got;

    (void)state;
    buf_cstr(&b, "log: ");
    for (int i = 0; i < 40; i++)
        buf_char(&b, '[');
    got = load_bad(b.data);
    CHECK_STR(got, "1:37: nested more than 32 deep\n");
    free(got);
    buf_clear(&b);
    while (b.len <= 1024 * 1024)
        buf_cstr(&b, "# a long comment that says nothing at all\n");
    got = load_bad(b.data);
    CHECK_STR(got, "0:0: \"t.yaml\" is larger than 1024 KiB\n");
    free(got);
    buf_finish(&b);
}

static void a_file_that_is_not_there_is_named(void **state)
{
    struct config_errors errors;
    struct config *c = NULL;
    char *got;

    (void)state;
    CHECK_EQ(config_load("none.yaml", &fake_env, &c, &errors), UV_EINVAL);
    got = printed(&errors);
    CHECK_STR(got, "none.yaml: error: cannot read \"none.yaml\": no such file or directory\n");
    free(got);
    config_errors_finish(&errors);
}

static void misplaced_keys_are_sent_to_their_place(void **state)
{
    (void)state;
    expect("endpoints: { k: { adapter: kinds, per_second: 5 } }\n",
           "1:35: unknown key \"per_second\"; it goes inside \"rate\": { per_second: ... }\n");
    expect("endpoints: { k: { adapter: kinds, rate.burst: 5 } }\n",
           "1:35: unknown key \"rate.burst\"; it goes inside \"rate\": { burst: ... }\n");
    expect("endpoints: { k: { adapter: kinds, rate: { concurrency: 5 } } }\n",
           "1:43: unknown key \"concurrency\"; it does not belong inside \"rate\" but beside it\n");
    expect("endpoints: { k: { adapter: kinds, rate: { wonders: 5 } } }\n",
           "1:43: unknown key \"wonders\"; allowed here: per_second, burst, kind, reserve\n");
    expect(
        "endpoints: { k: { adapter: kinds, rate: 5 } }\n",
        "1:41: \"rate\" wants a mapping, found a single value; allowed here: per_second, burst, kind, reserve\n");
}

static void adapters_are_held_to_their_tables(void **state)
{
    (void)state;
    expect("endpoints: { k: { adapter: clash } }\n",
           "1:28: adapter \"clash\" has a setting \"rate\", which is a key of Sluice's own; the "
           "adapter must name it otherwise\n");
    expect("endpoints: { k: { adapter: broken } }\n",
           "1:14: the default of \"wait\" is broken: \"wait\" wants a duration such as \"250ms\", "
           "\"30s\", \"5m\", \"24h\" or \"7d\", found \"60\"; a unit is missing: \"60s\"?\n");
    expect("endpoints: { k: { adapter: refused } }\n",
           "1:28: adapter \"refused\": refused.so can be written by others\n");
    expect("endpoints: { k: { adapter: quickbooks } }\n",
           "1:28: unknown adapter \"quickbooks\"; there are: shopify, salesforce, supplier-http, "
           "kinds\n");
    expect("endpoints: { k: { adapter: kinds, string: fail } }\n",
           "1:14: endpoint \"k\": \"string\" must not say fail\n");
    expect("endpoints: { K_: { adapter: kinds }, l: 5, m: { rate: { burst: 0 } } }\n",
           "1:14: endpoint name \"K_\": wanted 1 to 63 of a-z, 0-9 and \"-\", beginning with a "
           "letter or digit\n"
           "1:38: endpoint \"l\" wants a mapping with at least \"adapter\", found \"5\"\n"
           "1:44: \"adapter\" is missing: which type of system this is\n"
           "1:64: \"rate.burst\" is \"0\", out of range; wanted a value from 1 to 1000000\n");
    expect("store: { keep: 3d }\nendpoints: { k: { adapter: kinds } }\n",
           "1:16: \"store.keep\" is \"3d\", out of range; wanted a value from 7d to 3650d\n");
}

static void settings_that_do_not_fit_together_are_refused(void **state)
{
    (void)state;
    expect(
        "endpoints:\n"
        "  k:\n"
        "    adapter: kinds\n"
        "    rate: { burst: 5 }\n"
        "    timeout: { connect: 10s, total: 5s }\n"
        "    breaker: { open: 10s, open_max: 5s }\n"
        "    retry: { first: 10m }\n"
        "    tls: { ca_file: none.pem }\n"
        "listen: none\n"
        "admin: { listen: 'unix:a' }\n",
        "4:20: \"rate.burst\" needs \"rate.per_second\" beside it\n"
        "5:25: \"timeout.connect\" (10s) is longer than \"timeout.total\" (5s)\n"
        "6:37: \"breaker.open_max\" is shorter than \"breaker.open\"\n"
        "7:21: \"retry.first\" is longer than \"retry.cap\"\n"
        "8:21: \"tls.ca_file\": cannot read \"none.pem\"\n"
        "9:9: \"listen\" must be an address: without it no webhook comes in\n"
        "10:18: \"admin.listen\" is for TCP; the socket is \"admin.socket\"\n");
    expect("listen: localhost:80\n",
           "1:9: \"listen\" wants an address such as 127.0.0.1:8080 or unix:/run/sluice.sock, "
           "found \"localhost:80\"\n");
}

#define ENDS                                                                           \
    "endpoints:\n"                                                                     \
    "  shop: { adapter: shopify, shop: s, webhook_secret: { env: SHOPIFY_SECRET } }\n" \
    "  crm: { adapter: salesforce, instance: 'https://x.example',"                     \
    " auth: { client_id: a, username: b, key: { file: crm.pem } } }\n"                 \
    "  byron: { adapter: supplier-http, base_url: 'https://b.example' }\n"             \
    "routes:\n"
#define FROM "from: { endpoint: shop, topic: t }, "

static void routes_are_checked_to_the_last_key(void **state)
{
    (void)state;
    expect(ENDS "- { name: a, " FROM "to: { endpoint: crm } }\n",
           "6:50: \"action\" is missing; adapter \"salesforce\" has: upsert, insert\n");
    expect(ENDS "- { name: a, " FROM "to: { endpoint: crm, action: upset, objekt: A } }\n",
           "6:79: adapter \"salesforce\" has no action \"upset\"; did you mean \"upsert\"?\n");
    expect(ENDS "- { name: a, " FROM "to: { endpoint: byron, action: fly } }\n",
           "6:81: adapter \"supplier-http\" has no action \"fly\"; it has: order.submit\n");
    expect(ENDS "- { name: a, " FROM "to: { endpoint: shop } }\n",
           "6:50: endpoint \"shop\" cannot be sent to: adapter \"shopify\" only receives\n");
    expect(ENDS "- { name: a, " FROM "to: { endpoint: crm, action: insert, objekt: A } }\n",
           "6:87: unknown key \"objekt\"; did you mean \"object\"?\n");
    expect(ENDS "- { name: a, " FROM "to: { endpoint: crm, action: insert, object: Nope } }\n",
           "6:50: action \"insert\": there is no object Nope\n");
    expect(ENDS "- { name: a, " FROM "to: { endpoint: byron, urgent: 1 } }\n",
           "6:81: \"urgent\" wants true or false, found \"1\"\n");
    expect(
        ENDS "- { name: a, " FROM "urgent: 1, colour: 2, to: { endpoint: byron } }\n",
        "6:58: \"urgent\" wants true or false, found \"1\"\n"
        "6:61: unknown key \"colour\"; allowed here: to, action, hold, fallback, overtakes, with, "
        "name, from, when, split, map, priority, reconciliation, owner ...\n");
    expect(
        ENDS "- { name: a, " FROM "to: { hold: a, drop: true } }\n",
        "6:65: a target is one of { endpoint: NAME }, { group: NAME }, origin, { hold: TYPE }, { dead: REASON } or "
        "{ drop: true }, not two at once\n");
    expect(ENDS "- { name: a, " FROM "to: { hold: Not A Name } }\n",
           "6:62: \"hold\" wants the type of the hold, a name such as fraud or unmapped-sku, found "
           "\"Not A Name\"\n");
    expect(ENDS "- { name: a, " FROM "to: { drop: maybe } }\n",
           "6:62: \"drop\" wants true, found \"maybe\"\n");
    expect(
        ENDS "- { name: a, " FROM "}\n",
        "6:3: \"to\" is missing: { endpoint: NAME }, { group: NAME }, origin, { hold: TYPE }, { dead: REASON } or "
        "{ drop: true }\n");
    expect(ENDS "- 5\n", "6:3: a route is a mapping, found \"5\"\n");
}

static void names_and_topics_of_routes_are_checked(void **state)
{
    (void)state;
    expect(ENDS "- { name: a, " FROM
                "to: { drop: true } }\n"
                "- { name: a, " FROM
                "to: { drop: true } }\n"
                "- { name: A, " FROM "to: { drop: true } }\n",
           "7:11: a second route named \"a\"; the first is on line 6\n"
           "8:11: route name \"A\": wanted 1 to 63 of a-z, 0-9 and \"-\", beginning with a letter "
           "or digit\n");
    expect(ENDS "- { name: a, from: { endpoint: nobody, topic: a*b }, to: { drop: true } }\n",
           "6:32: unknown endpoint \"nobody\"; it stands nowhere under \"endpoints\"\n"
           "6:47: \"from.topic\" is \"a*b\"; a \"*\" stands only at the end of a topic\n");
    expect(ENDS "- { name: a, from: { endpoint: shop, topic: [] }, to: { drop: true } }\n",
           "6:3: route \"a\" takes nothing: \"from.topic\" is empty, and no route falls back to "
           "it; name a topic\n");
}

static void alerts_come_from_sluice_by_topics_that_there_are(void **state)
{
    (void)state;
    expect(ENDS
           "- { name: a, from: { endpoint: sluice, topic: alert/deadletter }, "
           "to: { drop: true } }\n"
           "- { name: b, from: { endpoint: sluice, topic: orders/* }, to: { drop: true } }\n",
           "6:47: no alert has the topic \"alert/deadletter\"; did you mean "
           "\"alert/dead-letter\"?\n"
           "7:47: no alert has the topic \"orders/*\"; from \"sluice\" come alert/dead-letter, "
           "alert/breaker-open ... : see the operator's guide\n");
    expect("endpoints: { sluice: { adapter: supplier-http, base_url: 'https://b.example' } }\n",
           "1:14: an endpoint cannot be named \"sluice\": that is where alerts come from\n");
}

static void choices_are_checked(void **state)
{
    (void)state;
    expect(
        ENDS "- { name: a, " FROM "to: { cases: {} , else: { drop: true } } }\n",
        "6:50: the target is missing: { endpoint: NAME }, { group: NAME }, origin, { hold: TYPE }, { dead: REASON } or "
        "{ drop: true }\n"
        "6:56: \"cases\" needs \"choose\" beside it, the jq program that chooses\n"
        "6:68: \"else\" needs \"choose\" beside it, the jq program that chooses\n");
    expect(
        ENDS "- { name: a, " FROM "to: { choose: .key, endpoint: byron, else: { drop: true } } }\n",
        "6:56: \"choose\" needs \"cases\": { VALUE: { endpoint: NAME }, ... }\n"
        "6:70: \"endpoint\" cannot stand beside \"choose\"; put it into \"cases\" or \"else\"\n");
    expect(
        ENDS
        "- name: a\n"
        "  from: { endpoint: shop, topic: t }\n"
        "  to:\n"
        "    choose: .key\n"
        "    cases:\n"
        "      x: { endpoint: byron, object: A }\n"
        "      y: { hold: }\n"
        "      x: { endpoint: byron }\n"
        "      z: byron\n"
        "    else: { endpoint: byrom }\n",
        "11:29: unknown key \"object\"; allowed here: endpoint, group, origin, action, hold, dead, drop, urgent\n"
        "12:12: \"hold\" wants the type of the hold, a name such as fraud or unmapped-sku, "
        "found nothing\n"
        "13:7: \"x\" is given twice; the first is on line 11\n"
        "14:10: a target is { endpoint: NAME }, { group: NAME }, origin, { hold: TYPE }, { dead: REASON } or { drop: true "
        "}, found \"byron\"\n"
        "15:23: unknown endpoint \"byrom\"; did you mean \"byron\"?\n");
}

static void at_most_fifty_mistakes_are_told_in_order(void **state)
{
    struct config_errors errors;
    struct config *c = NULL;
    struct buf b = { 0 };

    (void)state;
    for (int i = 0; i < 60; i++)
        buf_printf(&b, "wonder%d: 1\n", i);
    scratch_write("t.yaml", b.data, 0644);
    CHECK_EQ(config_load("t.yaml", &fake_env, &c, &errors), UV_EINVAL);
    CHECK_EQ(errors.n, 51);
    for (unsigned i = 0; i < 50; i++)
        CHECK_EQ(errors.list[i].line, i + 1);
    CHECK_STR(errors.list[50].text, "and 10 more");
    config_errors_finish(&errors);
    buf_finish(&b);
}

/* ---- damage ---- */

static const char interesting[] = "{}[]:,-&*!|>'\"%@`#?~\n\t \\$0\x01\xff";

static void mutate(struct rng *rng, struct buf *b)
{
    size_t at = (size_t)rng_below(rng, b->len);
    size_t n = (size_t)rng_below(rng, 12) + 1;
    char copy[16];

    if (at + n > b->len)
        n = b->len - at;
    memcpy(copy, b->data + at, n);
    switch (rng_below(rng, 5)) {
    case 0:
        b->data[at] = interesting[rng_below(rng, sizeof(interesting) - 1)];
        break;
    case 1:
        b->data[at] = (char)rng_below(rng, 256);
        break;
    case 2: /* cut out */
        memmove(b->data + at, b->data + at + n, b->len - at - n);
        b->len -= n;
        break;
    case 3: /* repeat at the end */
        buf_append(b, copy, n);
        break;
    case 4: /* copy elsewhere */
        at = (size_t)rng_below(rng, b->len);
        if (at + n <= b->len)
            memcpy(b->data + at, copy, n);
        break;
    }
}

static void a_damaged_file_is_refused_or_loads_but_never_crashes(void **state)
{
    struct rng rng;
    int loaded = 0;

    (void)state;
    rng_seed(&rng, 20261121);
    for (int i = 0; i < MUTATIONS; i++) {
        struct buf b = { 0 };
        struct config_errors errors;
        struct config *c = NULL;
        FILE *f = fopen("t.yaml", "w");

        buf_cstr(&b, SAMPLE);
        for (uint64_t n = rng_below(&rng, 6) + 1; n > 0 && b.len > 1; n--)
            mutate(&rng, &b);
        assert_non_null(f);
        fwrite(b.data, 1, b.len, f);
        fclose(f);
        if (config_load("t.yaml", &fake_env, &c, &errors) == 0) {
            loaded++;
            CHECK_EQ(errors.n, 0);
        } else {
            CHECK(errors.n > 0 && c == NULL);
            free(printed(&errors));
        }
        config_destroy(c);
        config_errors_finish(&errors);
        buf_finish(&b);
    }
    CHECK_EQ(fake_bound, 0);
    CHECK(loaded < MUTATIONS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bad_configuration_gets_its_exact_message),
        cmocka_unit_test(the_whole_document_is_checked_first),
        cmocka_unit_test(deep_nesting_and_large_files_are_refused),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(misplaced_keys_are_sent_to_their_place),
        cmocka_unit_test(adapters_are_held_to_their_tables),
        cmocka_unit_test(settings_that_do_not_fit_together_are_refused),
        cmocka_unit_test(routes_are_checked_to_the_last_key),
        cmocka_unit_test(names_and_topics_of_routes_are_checked),
        cmocka_unit_test(alerts_come_from_sluice_by_topics_that_there_are),
        cmocka_unit_test(choices_are_checked),
        cmocka_unit_test(at_most_fifty_mistakes_are_told_in_order),
        cmocka_unit_test(a_damaged_file_is_refused_or_loads_but_never_crashes),
    };

    return cmocka_run_group_tests(tests, enter, leave);
}
