/*
 * test_map_numbers.c - whole numbers on their way into jq.
 */
#include "../check.h"

#include <stdlib.h>
#include "flow/map_numbers.h"
#include "flow/mapper.h"

static void becomes(const char *json, const char *want)
{
    struct buf out = { 0 };
    struct fail fail = { 0 };
    int r = map_numbers(str_of(json), &out, &fail);

    if (r < 0)
        print_error("%s: %s\n", json, fail.text);
    CHECK_EQ(r, 0);
    CHECK_VIEW(buf_view(&out), want);
    buf_finish(&out);
}

static void stays(const char *json)
{
    becomes(json, json);
}

/* The text is in exactly fitting memory, so that a read past it is seen by the sanitizer. */
static void refused(const char *json, const char *want)
{
    struct buf out = { 0 };
    struct fail fail = { 0 };
    size_t n = strlen(json);
    char *copy = malloc(n ? n : 1);

    memcpy(copy, json, n);
    CHECK_EQ(map_numbers((sl_str){ .ptr = copy, .len = n }, &out, &fail), MAP_E_INPUT);
    CHECK_STR(fail.text, want);
    free(copy);
    buf_finish(&out);
}

static void integers_of_id_members_become_strings(void **state)
{
    (void)state;
    becomes("{\"id\":1}", "{\"id\":\"1\"}");
    becomes("{ \"customer_id\" : -15 , \"x\":2}", "{ \"customer_id\" : \"-15\" , \"x\":2}");
    becomes("{\"_id\":7,\"a\":{\"id\":8}}", "{\"_id\":\"7\",\"a\":{\"id\":\"8\"}}");
    becomes("{\"id\":0}", "{\"id\":\"0\"}");
}

static void integers_in_arrays_of_ids_become_strings(void **state)
{
    (void)state;
    becomes("{\"line_ids\":[1, 2,[3]],\"n\":[4]}",
            "{\"line_ids\":[\"1\", \"2\",[\"3\"]],\"n\":[4]}");
    stays("{\"x_ids\":[{\"n\":1},{\"n\":[2]}]}");
    becomes("{\"x_ids\":[{\"n\":1},2]}", "{\"x_ids\":[{\"n\":1},\"2\"]}");
    becomes("{\"x_ids\":[],\"id\":3,\"y\":[3]}", "{\"x_ids\":[],\"id\":\"3\",\"y\":[3]}");
}

static void other_names_are_left_alone(void **state)
{
    (void)state;
    stays("{\"paid\":1,\"ids\":2,\"Id\":3,\"idx\":4,\"i\":5,\"\":6,\"d\":7,\"grid\":[1]}");
    stays("{\"id\":\"1\",\"a_id\":null,\"b_id\":true}");
    stays("[1,\"id\",2]");
}

static void names_spelt_with_escapes_count_as_they_read(void **state)
{
    (void)state;
    becomes("{\"\\u0069d\":1}", "{\"\\u0069d\":\"1\"}");
    becomes("{\"order\\u005fi\\u0064\":1}", "{\"order\\u005fi\\u0064\":\"1\"}");
    stays("{\"\\\"id\":1,\"\\u0100id\":2,\"\\nid\":3}");
    becomes("{\"\\\"_id\":1}", "{\"\\\"_id\":\"1\"}");
}

static void integers_beyond_2_to_the_53_become_strings_anywhere(void **state)
{
    (void)state;
    stays("9007199254740992");
    stays("[-9007199254740992]");
    becomes("9007199254740993", "\"9007199254740993\"");
    becomes("[-9007199254740993,820982911946154508]",
            "[\"-9007199254740993\",\"820982911946154508\"]");
    becomes("{\"n\":123456789012345678901234567890}", "{\"n\":\"123456789012345678901234567890\"}");
}

static void fractions_exponents_and_minus_zero_are_left_alone(void **state)
{
    (void)state;
    stays("{\"id\":1.5,\"a_id\":1e3,\"b_id\":-0,\"c_id\":1E+2,\"d_id\":0.10}");
    stays("[19.90,12345678901234567890.5,1e400]");
}

static void strings_are_skipped_whatever_they_hold(void **state)
{
    (void)state;
    stays(
        "[\"9007199254740993\",\"\\\"id\\\":9007199254740993\",\"\\\\\",\"\\ud800\",\"\xc3\xa4\"]");
}

static void what_is_not_json_is_refused_with_its_place(void **state)
{
    (void)state;
    refused("", "the input is empty");
    refused(" ", "byte 1: the text is empty");
    refused("{", "byte 1: a member's name in quotes is missing");
    refused("[1", "byte 2: the text ends too early");
    refused("[1,", "byte 3: the text ends too early");
    refused("[1,]", "byte 3: not a JSON value");
    refused("{\"a\":1,}", "byte 7: a member's name in quotes is missing");
    refused("{\"a\" 1}", "byte 5: ':' is missing after a member's name");
    refused("{\"a\":1]", "byte 6: ',' or '}' is missing");
    refused("[1}", "byte 2: ',' or ']' is missing");
    refused("nan", "byte 0: not a JSON value");
    refused("nul", "byte 0: not a JSON value");
    refused("'a'", "byte 0: not a JSON value");
    refused("01", "byte 1: something follows the JSON text");
    refused("1.", "byte 2: a digit is missing in a number");
    refused("-", "byte 1: a digit is missing in a number");
    refused("1e+", "byte 3: a digit is missing in a number");
    refused("\"a", "byte 2: the text ends inside a string");
    refused("\"a\\", "byte 2: an escape that JSON does not have");
    refused("\"\\u12", "byte 1: an escape that JSON does not have");
    refused("\"\\x\"", "byte 1: an escape that JSON does not have");
    refused("\"a\nb\"", "byte 2: a control character inside a string");
    refused("{} {}", "byte 3: something follows the JSON text");
}

static void depth_is_bounded_at_64(void **state)
{
    struct buf json = { 0 };

    (void)state;
    for (int i = 0; i < 64; i++)
        buf_char(&json, '[');
    for (int i = 0; i < 64; i++)
        buf_char(&json, ']');
    stays(json.data);
    buf_clear(&json);
    for (int i = 0; i < 65; i++)
        buf_cstr(&json, "{\"a\":");
    refused(json.data, "byte 320: arrays and objects deeper than 64");
    buf_finish(&json);
}

static void what_encloses_is_known_again_after_what_it_enclosed(void **state)
{
    (void)state;
    becomes("{\"x_ids\":[[[[{\"a\":[1,{\"b_ids\":[2]},3]},4],5],6],7],\"y\":[8]}",
            "{\"x_ids\":[[[[{\"a\":[1,{\"b_ids\":[\"2\"]},3]},\"4\"],\"5\"],\"6\"],\"7\"],"
            "\"y\":[8]}");
}

static void a_text_cut_anywhere_is_refused(void **state)
{
    static const char text[] =
        "{\"id\":12,\"a\":[true,null,-1.5e3],\"b\\u0041\":{\"c\":\"\\\"x\"}}";

    (void)state;
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        char *copy = malloc(n ? n : 1);
        struct buf out = { 0 };

        memcpy(copy, text, n);
        CHECK_EQ(map_numbers((sl_str){ .ptr = copy, .len = n }, &out, NULL), MAP_E_INPUT);
        free(copy);
        buf_finish(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_of_id_members_become_strings),
        cmocka_unit_test(integers_in_arrays_of_ids_become_strings),
        cmocka_unit_test(other_names_are_left_alone),
        cmocka_unit_test(names_spelt_with_escapes_count_as_they_read),
        cmocka_unit_test(integers_beyond_2_to_the_53_become_strings_anywhere),
        cmocka_unit_test(fractions_exponents_and_minus_zero_are_left_alone),
        cmocka_unit_test(strings_are_skipped_whatever_they_hold),
        cmocka_unit_test(what_is_not_json_is_refused_with_its_place),
        cmocka_unit_test(depth_is_bounded_at_64),
        cmocka_unit_test(what_encloses_is_known_again_after_what_it_enclosed),
        cmocka_unit_test(a_text_cut_anywhere_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
