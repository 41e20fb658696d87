/*
 * test_values.c - every type of option, good and bad, through the API that plugins have.
 */
#include "fake.h"

#include <sys/stat.h>

static int enter(void **state)
{
    (void)state;
    scratch_enter();
    scratch_write("good.key", "s3cret\r\n", 0600);
    scratch_write("two.key", "line\n\n", 0600);
    scratch_write("open.key", "s3cret", 0640);
    scratch_write("empty.key", "\n", 0600);
    scratch_write("p.jq", ".a", 0644);
    scratch_write("bad.jq", "BAD", 0644);
    mkdir("creds", 0700);
    scratch_write("creds/one", "fromsystemd", 0440);
    setenv("GOOD", "hush", 1);
    setenv("EMPTY", "", 1);
    unsetenv("MISSING");
    unsetenv("CREDENTIALS_DIRECTORY");
    return 0;
}

static int leave(void **state)
{
    (void)state;
    scratch_leave();
    return 0;
}

static struct config *with(const char *setting)
{
    char text[512];

    snprintf(text, sizeof(text), "endpoints:\n  k:\n    adapter: kinds\n    %s\n", setting);
    return load_good(text);
}

/* The one mistake of `setting`, without its line. */
static void refused(const char *setting, const char *want)
{
    char text[512], place[600];
    char *got;

    snprintf(text, sizeof(text), "endpoints:\n  k:\n    adapter: kinds\n    %s\n", setting);
    got = load_bad(text);
    snprintf(place, sizeof(place), "4:%s\n", want);
    CHECK_STR(got, place);
    free(got);
}

static void str_is(const char *setting, const char *name, const char *want)
{
    struct config *c = with(setting);
    sl_str s;

    CHECK_EQ(config_values_api()->str(c->endpoints[0].settings, name, &s), SL_OK);
    CHECK_VIEW(s, want);
    config_destroy(c);
}

static void num_is(const char *setting, const char *name, int64_t want)
{
    struct config *c = with(setting);
    int64_t n;

    CHECK_EQ(config_values_api()->num(c->endpoints[0].settings, name, &n), SL_OK);
    CHECK_EQ(n, want);
    config_destroy(c);
}

static void json_is(const char *setting, const char *name, const char *want)
{
    struct config *c = with(setting);
    sl_str s;

    CHECK_EQ(config_values_api()->json(c->endpoints[0].settings, name, &s), SL_OK);
    CHECK_VIEW(s, want);
    config_destroy(c);
}

static void secret_is(const char *setting, const char *name, uint32_t index, const char *want)
{
    struct config *c = with(setting);
    sl_str s;

    CHECK_EQ(config_values_api()->secret(c->endpoints[0].settings, name, index, &s), SL_OK);
    CHECK_VIEW(s, want);
    config_destroy(c);
}

static void defaults_are_read_like_values(void **state)
{
    (void)state;
    str_is("", "string", "a: b");
    num_is("", "int", 7);
    num_is("", "bool", 1);
    num_is("", "duration", 300000);
    num_is("", "size", 65536);
    str_is("", "enum", "blue");
    str_is("", "url", "https://example.com");
    json_is("", "strings", "[\"x\",\"y\"]");
    json_is("", "ints", "[200,201]");
    json_is("", "map", "{\"Accept\":\"application/json\"}");
    str_is("", "jq", ".");
    str_is("", "pointer", "/order/id");
}

static void texts_are_taken_as_they_stand(void **state)
{
    (void)state;
    str_is("string: \"x \\u00e4\"", "string", "x \xc3\xa4");
    str_is("string: 0123", "string", "0123");
    str_is("string: ''", "string", "");
    refused("string: [a]", "13: \"string\" wants a text, found a list");
    refused("string: { a: b }", "13: \"string\" wants a text, found a mapping");
    refused("string:", "5: \"string\" wants a text, found nothing");
    refused("string: \"a\\0b\"", "13: a text must not hold a NUL character");
}

static void whole_numbers_have_a_range(void **state)
{
    (void)state;
    num_is("int: -5", "int", -5);
    num_is("int: 10", "int", 10);
    refused("int: 11", "10: \"int\" is \"11\", out of range; wanted a value from -5 to 10");
    refused("int: -6", "10: \"int\" is \"-6\", out of range; wanted a value from -5 to 10");
    refused("int: 1.5", "10: \"int\" wants a whole number from -5 to 10, found \"1.5\"");
    refused("int: 0x5", "10: \"int\" wants a whole number from -5 to 10, found \"0x5\"");
    refused("int: \"5\"",
            "10: \"int\" wants a whole number from -5 to 10, found \"5\"; it is a "
            "text because of its quotes; leave them out");
    refused("int: 99999999999999999999",
            "10: \"int\" is \"99999999999999999999\", more than any number here can be");
}

static void booleans_are_true_and_false_only(void **state)
{
    (void)state;
    num_is("bool: false", "bool", 0);
    refused("bool: yes", "11: \"bool\" wants true or false, found \"yes\"");
    refused("bool: 'true'", "11: \"bool\" wants true or false, found \"true\"");
}

static void durations_and_sizes_need_their_units(void **state)
{
    (void)state;
    num_is("duration: 90s", "duration", 90000);
    refused("duration: 60",
            "15: \"duration\" wants a duration such as \"250ms\", \"30s\", \"5m\", "
            "\"24h\" or \"7d\", found \"60\"; a unit is missing: \"60s\"?");
    refused("duration: 500ms",
            "15: \"duration\" is \"500ms\", out of range; wanted a value from 1s to 1h");
    num_is("size: 2048", "size", 2048);
    refused("size: 2MB", "11: \"size\" wants a size such as \"64KiB\" or \"1MiB\", found \"2MB\"");
    refused("size: 2MiB",
            "11: \"size\" is \"2MiB\", out of range; wanted a value from 1KiB to 1MiB");
}

static void an_enum_is_one_of_its_choices(void **state)
{
    (void)state;
    str_is("enum: red", "enum", "red");
    refused("enum: gren",
            "11: \"enum\" wants one of red, green, blue, found \"gren\"; did you mean \"green\"?");
    refused("enum: ''", "11: \"enum\" wants one of red, green, blue, found \"\"");
}

static void addresses_are_http_without_user_or_fragment(void **state)
{
    static const char *const wanted =
        "10: \"url\" wants an address such as "
        "https://api.example.com, found ";
    static const struct {
        const char *url, *why;
    } bad[] = {
        { "ftp://x", "it begins with https:// or http://" },
        { "https://", "it names no host" },
        { "https://:80/", "it names no host" },
        { "https://x:0", "the port is a number from 1 to 65535" },
        { "https://x:65536/", "the port is a number from 1 to 65535" },
        { "https://x:y", "the port is a number from 1 to 65535" },
        { "https://x/a#b", "it must not have a fragment (#...)" },
        { "https://x/a b", "it must not hold spaces or other than ASCII characters" },
        { "https://[::1", "the IPv6 address has no ']'" },
    };
    char setting[128], want[256];

    (void)state;
    str_is("url: http://[::1]:8080/a/?q=1", "url", "http://[::1]:8080/a/?q=1");
    str_is("url: https://x.example/api//", "url", "https://x.example/api");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(setting, sizeof(setting), "url: '%s'", bad[i].url);
        snprintf(want, sizeof(want), "%s\"%s\"; %s", wanted, bad[i].url, bad[i].why);
        refused(setting, want);
    }
    refused("url: https://u:hunter2@x/",
            "10: \"url\": an address must not hold a user or a password");
}

static void secrets_come_from_the_environment_files_and_credentials(void **state)
{
    (void)state;
    secret_is("secret: { env: GOOD }", "secret", 0, "hush");
    secret_is("secret: { file: good.key }", "secret", 0, "s3cret");
    secret_is("secret: { file: two.key }", "secret", 0, "line\n");
    secret_is("secrets: [{ env: GOOD }, { file: good.key }]", "secrets", 1, "s3cret");
    secret_is("secrets: { env: GOOD }", "secrets", 0, "hush");
    setenv("CREDENTIALS_DIRECTORY", "creds", 1);
    secret_is("secret: { credential: one }", "secret", 0, "fromsystemd");
    refused("secret: { credential: two }",
            "27: \"secret\": cannot read \"creds/two\": no such file or directory");
    unsetenv("CREDENTIALS_DIRECTORY");
    refused("secret: { credential: one }",
            "27: \"secret\": no credentials here: $CREDENTIALS_DIRECTORY is not set; start the "
            "service by systemd with LoadCredential=one:PATH");
    refused("secret: { credential: ../one }",
            "27: \"secret\": a credential is named without a path, found \"../one\"");
    refused("secret: { env: EMPTY }",
            "20: \"secret\": the environment variable \"EMPTY\" is empty");
    refused("secret: { file: empty.key }", "21: \"secret\": the secret in \"empty.key\" is empty");
    refused("secret: { file: creds }", "21: \"secret\": \"creds\" is not a regular file");
    refused("secret: { file: open.key }",
            "21: \"secret\": the secret in \"open.key\" is open to other users (mode 0640); run: "
            "chmod 600 open.key");
    refused("secrets: []", "14: \"secrets\" wants 1 to 8 secrets, found 0");
}

/* A secret written into the file, or into a misspelt key, or into a broken line. */
static void a_secret_in_the_wrong_place_is_never_printed(void **state)
{
    static const char *const texts[] = {
        "endpoints: { k: { adapter: kinds, secret: hunter2, bogus: 1 } }\n",
        "endpoints: { k: { adapter: kinds, secert: hunter2 } }\n",
        "endpoints: { k: { adapter: kinds, secrets: [hunter2, { env: GOOD }], string: [] } }\n",
        "endpoints: { k: { adapter: kinds, secret: { text: hunter2 } } }\n",
        "endpoints: { k: { adapter: kinds, secret: { env: GOOD, value: hunter2 } } }\n",
        "endpoints: { k: { adapter: kinds, url: 'https://me:hunter2@x/' } }\n",
        "endpoints: { k: { adapter: kinds, api_token: hunter2 } }\n",
        "endpoints: { k: { adapter: salesforce, auth: hunter2 } }\n",
        "admin: { token: hunter2 }\n",
        "admin:\n  token: \"hunter2\nlisten: 5\n",
        "admin:\n  token: |\n    hunter2\n  bogus: 1\n",
    };
    struct config_errors errors;
    struct config *c = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *text;

        scratch_write("t.yaml", texts[i], 0644);
        CHECK_EQ(config_load("t.yaml", &fake_env, &c, &errors), UV_EINVAL);
        text = printed(&errors);
        if (strstr(text, "hunter2"))
            fail_msg("told the secret of\n%s\n%s", texts[i], text);
        free(text);
        config_errors_finish(&errors);
    }
}

static void secrets_are_not_read_when_they_are_skipped(void **state)
{
    struct config_env env = fake_env;
    struct config_errors errors;
    struct config *c = NULL;
    sl_str s;

    (void)state;
    env.skip_secrets = true;
    scratch_write("t.yaml",
                  "endpoints: { k: { adapter: kinds, secret: { env: MISSING }, map: { a: { file: "
                  "none }, b: c } } }\n",
                  0644);
    CHECK_EQ(config_load("t.yaml", &env, &c, &errors), 0);
    CHECK_EQ(config_values_api()->secret(c->endpoints[0].settings, "secret", 0, &s),
             SL_E_NOT_FOUND);
    CHECK_EQ(config_values_api()->json(c->endpoints[0].settings, "map", &s), SL_OK);
    CHECK_VIEW(s, "{\"b\":\"c\"}");
    config_destroy(c);
}

static void lists_and_maps_become_json(void **state)
{
    (void)state;
    json_is("strings: [\"a\\\"b\", 5, '']", "strings", "[\"a\\\"b\",\"5\",\"\"]");
    json_is("strings: []", "strings", "[]");
    refused("strings: a", "14: \"strings\" wants a list of texts such as [a, b], found \"a\"");
    refused("strings: [[a]]", "15: \"strings\" wants a list of texts such as [a, b], found a list");
    json_is("ints: [0100, 599]", "ints", "[100,599]");
    refused("ints: [99]", "12: \"ints\" is \"99\", out of range; wanted a value from 100 to 599");
    json_is("map: { X-Key: { env: GOOD }, \"b\\\"\": 1 }", "map",
            "{\"X-Key\":\"hush\",\"b\\\"\":\"1\"}");
    json_is("map: {}", "map", "{}");
    refused("map: [a]", "10: \"map\" wants a mapping of names to texts, found a list");
    refused("map: { a: [b] }",
            "15: \"map\" wants a mapping of names to texts, found a list; a "
            "member is a text, or a secret");
    refused(
        "map: { a: { env: MISSING } }",
        "22: \"a\": the environment variable \"MISSING\" is not set; set it, or take the secret "
        "from { file: PATH }");
}

static void jq_programs_are_texts_or_files_and_compile(void **state)
{
    (void)state;
    str_is("jq: '.a | .b'", "jq", ".a | .b");
    str_is("jq: { file: p.jq }", "jq", ".a");
    refused("jq: BAD", "9: \"jq\": the jq program is wrong: syntax error, unexpected BAD");
    refused("jq: { file: bad.jq }",
            "17: \"jq\": bad.jq: the jq program is wrong: syntax error, unexpected BAD");
    refused("jq: { file: none.jq }",
            "17: \"jq\": cannot read \"none.jq\": no such file or directory");
    refused("jq: { a: .b }",
            "9: \"jq\" wants a jq program as text, or { file: PATH }, found a "
            "mapping; braces of a program need quotes around them");
    refused("jq: ' '", "9: \"jq\" wants a jq program as text, or { file: PATH }, found \" \"");
}

static void pointers_follow_rfc_6901(void **state)
{
    (void)state;
    str_is("pointer: /a~1b/~0/0", "pointer", "/a~1b/~0/0");
    str_is("pointer: ''", "pointer", "");
    refused("pointer: a/b",
            "14: \"pointer\" wants a JSON Pointer such as /order/id, found "
            "\"a/b\"; it begins with '/'");
    refused("pointer: /a~2",
            "14: \"pointer\" wants a JSON Pointer such as /order/id, found "
            "\"/a~2\"; '~' is written ~0, and '/' inside a name ~1");
}

static void decimals_are_exact_to_a_thousandth(void **state)
{
    struct config *c = with("rate: { per_second: 0.5 }");

    (void)state;
    CHECK_EQ(c->endpoints[0].rate_milli_per_s, 500);
    CHECK_EQ(c->endpoints[0].burst, 1);
    config_destroy(c);
    refused("rate: { per_second: 0.0005 }",
            "25: \"rate.per_second\" wants a number such as 5 or 0.5, found \"0.0005\"");
    refused("rate: { per_second: 0 }",
            "25: \"rate.per_second\" is \"0\", out of range; wanted a value from 0.001 to 1000000");
    refused("rate: { per_second: 5. }",
            "25: \"rate.per_second\" wants a number such as 5 or 0.5, found \"5.\"");
}

static void names_and_types_that_the_table_has_not_are_refused(void **state)
{
    struct config *c = with("");
    const sl_values *v = c->endpoints[0].settings;
    const sl_values_api *api = config_values_api();
    sl_str s = STR("untouched");
    int64_t n = 4711;

    (void)state;
    CHECK_EQ(api->str(v, "nothing", &s), SL_E_INVALID);
    CHECK_EQ(api->str(v, "int", &s), SL_E_INVALID);
    CHECK_EQ(api->num(v, "string", &n), SL_E_INVALID);
    CHECK_EQ(api->json(v, "string", &s), SL_E_INVALID);
    CHECK_EQ(api->secret(v, "string", 0, &s), SL_E_INVALID);
    CHECK_EQ(api->secret(v, "secret", 0, &s), SL_E_NOT_FOUND);
    CHECK_VIEW(s, "untouched");
    CHECK_EQ(n, 4711);
    config_destroy(c);
    c = with("secrets: { env: GOOD }");
    CHECK_EQ(api->secret(c->endpoints[0].settings, "secrets", 1, &s), SL_E_NOT_FOUND);
    config_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_read_like_values),
        cmocka_unit_test(texts_are_taken_as_they_stand),
        cmocka_unit_test(whole_numbers_have_a_range),
        cmocka_unit_test(booleans_are_true_and_false_only),
        cmocka_unit_test(durations_and_sizes_need_their_units),
        cmocka_unit_test(an_enum_is_one_of_its_choices),
        cmocka_unit_test(addresses_are_http_without_user_or_fragment),
        cmocka_unit_test(secrets_come_from_the_environment_files_and_credentials),
        cmocka_unit_test(a_secret_in_the_wrong_place_is_never_printed),
        cmocka_unit_test(secrets_are_not_read_when_they_are_skipped),
        cmocka_unit_test(lists_and_maps_become_json),
        cmocka_unit_test(jq_programs_are_texts_or_files_and_compile),
        cmocka_unit_test(pointers_follow_rfc_6901),
        cmocka_unit_test(decimals_are_exact_to_a_thousandth),
        cmocka_unit_test(names_and_types_that_the_table_has_not_are_refused),
    };

    return cmocka_run_group_tests(tests, enter, leave);
}
