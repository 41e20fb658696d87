/*
 * test_map_guard.c - what a mapping may not say, and where the same words are free.
 */
#include "../check.h"

#include <stdlib.h>
#include "base/buf.h"
#include "flow/map_guard.h"
#include "flow/mapper.h"

static int guard(const char *text, struct fail *fail)
{
    size_t n = strlen(text);
    char *copy = malloc(n ? n : 1);
    int r;

    memcpy(copy, text, n);
    r = map_guard((sl_str){ .ptr = copy, .len = n }, fail);
    free(copy);
    return r;
}

static void allowed(const char *text)
{
    struct fail fail = { 0 };
    int r = guard(text, &fail);

    if (r < 0)
        print_error("%s: %s\n", text, fail.text);
    CHECK_EQ(r, 0);
}

static void refused(const char *text, const char *want)
{
    struct fail fail = { 0 };
    int r = guard(text, &fail);

    if (r == 0)
        print_error("not refused: %s\n", text);
    CHECK_EQ(r, MAP_E_PROGRAM);
    if (!strstr(fail.text, want))
        print_error("%s: %s\n", text, fail.text);
    CHECK(strstr(fail.text, want) != NULL);
}

static const char *const words[] = {
    "env",       "input",         "inputs",  "input_filename", "input_line_number", "debug",
    "stderr",    "import",        "include", "module",         "modulemeta",        "now",
    "localtime", "strflocaltime", "halt",    "halt_error",     "get_search_list",
};

/* Each word in each place, %s standing for it. */
static void each_word(void (*check)(const char *text, const char *word), const char *const *places,
                      size_t n)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        for (size_t k = 0; k < n; k++) {
            struct buf b = { 0 };

            buf_printf(&b, places[k], words[i], words[i]); /* a place may name it twice */
            check(b.data, words[i]);
            buf_finish(&b);
        }
}

static void check_refused(const char *text, const char *word)
{
    struct buf want = { 0 };

    buf_printf(&want, "%s is not allowed", word);
    refused(text, want.data);
    buf_finish(&want);
}

static void check_allowed(const char *text, const char *word)
{
    (void)word;
    allowed(text);
}

static void every_forbidden_word_is_refused_wherever_it_is_called(void **state)
{
    static const char *const places[] = {
        "%s",
        ".a | %s",
        "[%s]",
        "[1, %s]",
        "(1,%s)",
        "{a: %s}",
        "{a: 1 | %s}",
        "{(%s): 1}",
        "{a: [1, %s]}",
        "{a: 1, b: (2, %s)}",
        "{\"x\": 1, \"a\\(%s)\": 1}",
        "\"x\\(%s)y\"",
        "\"\\(\"\\(%s)\")\"",
        "@json \"\\(%s)\"",
        "{\"a\\(1, %s)\": 1}",
        "# comment\n%s",
        "\"a\\\"\" | %s",
        "{a: if 1, %s then 1 else 2 end}",
        "if %s then 1 else 2 end",
        "def f: %s; f",
        "def f(g): g; f(%s)",
        ".[%s]",
        ".a?.b[] |= %s",
        ". as $x | %s",
        "1e5,%s",
        "-%s",
        "try %s catch .",
        "{a: 1}, %s",
        ". %s",
        "..%s",
    };

    (void)state;
    each_word(check_refused, places, sizeof(places) / sizeof(places[0]));
}

static void the_same_words_are_free_as_names_and_in_strings(void **state)
{
    static const char *const places[] = {
        ".%s",
        ".a.%s.b",
        ".a?.%s?",
        ".[0].%s",
        ".\"%s\"",
        ".[\"%s\"]",
        "\"%s\"",
        "\"a \\\" %s\"",
        "\"\\(.a) %s\"",
        "{%s: 1}",
        "{%s}",
        "{a: 1, %s: 2}",
        "{a: (1, 2), %s: .%s}",
        "{a: {b: 1}, %s: 3}",
        "{a: \"\\(1)\", %s: 3}",
        "{ # comment\n %s: 1}",
        ". as {%s: $x} | $x",
        ". as [$a, {b: $b, %s: $c}] | $c",
        "# %s",
        "1 # %s\n| 2",
        ". as $%s | $%s",
        "my_%s",
        "%s2",
        "{$%s}",
    };

    (void)state;
    each_word(check_allowed, places, sizeof(places) / sizeof(places[0]));
}

static void the_environment_is_refused_as_a_variable_too(void **state)
{
    (void)state;
    refused("$ENV", "$ENV is not allowed");
    refused("$ENV.PATH", "$ENV is not allowed");
    refused("$ ENV.PATH", "$ENV is not allowed");
    refused("$ # x\n ENV", "$ENV is not allowed");
    refused("{$ENV}", "$ENV is not allowed");
    refused("\"\\($ENV)\"", "$ENV is not allowed");
    refused("$__prog_args", "$__prog_args is not allowed");
    allowed(".ENV | {ENV: 1} | $__loc__ | $received | \"$ENV\"");
}

static void a_refusal_names_line_and_remedy(void **state)
{
    struct fail fail = { 0 };

    (void)state;
    CHECK_EQ(guard(".a\n| \"x\ny\"\n| now", &fail), MAP_E_PROGRAM);
    CHECK_STR(fail.text,
              "line 4: now is not allowed: use $received: a mapping gives the same result "
              "whenever it runs");
}

static void what_is_not_closed_is_refused(void **state)
{
    (void)state;
    refused("(", "not closed");
    refused("if . then 1", "not closed");
    refused("\"abc", "a string has no end");
    refused("\"abc\\", "a string has no end");
    refused("\"abc\\(1", "not closed");
    refused(".a) | (.b", "a bracket closes that was not opened");
    refused("[1)", "a bracket closes that was not opened");
    refused("{]", "a bracket closes that was not opened");
}

static void a_nul_byte_and_endless_nesting_are_refused(void **state)
{
    struct fail fail = { 0 };
    struct buf b = { 0 };

    (void)state;
    CHECK_EQ(map_guard((sl_str){ .ptr = ".a\0env", .len = 6 }, &fail), MAP_E_PROGRAM);
    CHECK(strstr(fail.text, "NUL"));
    for (int i = 0; i < 300; i++)
        buf_char(&b, '(');
    refused(b.data, "nested too deep");
    buf_finish(&b);
}

static void ordinary_programs_pass(void **state)
{
    (void)state;
    allowed("");
    allowed(
        ". as $o | .line_items | group_by(.vendor)[] | {key: (.[0].vendor // \"none\"), body: "
        "{order: $o, lines: .}}");
    allowed("if .a then {a: 1, b} elif .c then [.d[1:2]] else empty end");
    allowed("reduce .[] as [$a, $b] ({}; .[$a] += $b) | to_entries | map(select(.value > 1.5e3))");
    allowed("def f($x; y): {if: 1, end: 2, \"\\(y)\": $x}; f(1; .x) | @base64 \"a\\(.b)c\"");
    allowed(".. | numbers, .5, 1.e2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_forbidden_word_is_refused_wherever_it_is_called),
        cmocka_unit_test(the_same_words_are_free_as_names_and_in_strings),
        cmocka_unit_test(the_environment_is_refused_as_a_variable_too),
        cmocka_unit_test(a_refusal_names_line_and_remedy),
        cmocka_unit_test(what_is_not_closed_is_refused),
        cmocka_unit_test(a_nul_byte_and_endless_nesting_are_refused),
        cmocka_unit_test(ordinary_programs_pass),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
