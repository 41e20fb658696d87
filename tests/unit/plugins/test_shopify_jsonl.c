/*
 * test_shopify_jsonl.c - the file of a bulk operation: wherever it is cut, and from whichever root
 * it is gone on with, the same roots come of it; what is no such file is named with its place.
 */
#include "../check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulk/jsonl.h"

static const struct jsonl_child table[] = {
    { NULL, "Line", "lines" }, { NULL, "Note", "notes" }, { "Line", "Tax", "taxes" }, { 0 }
};

/* Three roots: children of two kinds, one of a child, escaped slashes, a root without children. */
static const char whole[] =
    "{\"id\":\"gid:\\/\\/shopify\\/Order\\/1\",\"name\":\"#1\\u00e9\"}\n"
    "{\"id\":\"gid:\\/\\/shopify\\/Line\\/10\",\"__typename\":\"Line\",\"sku\":\"a\\/b\","
    "\"__parentId\":\"gid:\\/\\/shopify\\/Order\\/1\"}\n"
    "{\"id\":\"gid:\\/\\/shopify\\/Line\\/11\",\"__typename\":\"Line\",\"__parentId\":"
    "\"gid://shopify/Order/1\"}\n"
    "{\"__typename\":\"Tax\",\"rate\":1,\"__parentId\":\"gid://shopify/Line/10\"}\r\n"
    "{\"__typename\":\"Note\",\"__parentId\":\"gid://shopify/Order/1\"}\n"
    "{\"id\":\"gid://shopify/Order/2\"}\n"
    "\n"
    "{\"id\":\"gid://shopify/Order/3\"}\n"
    "{\"id\":\"gid://shopify/Line/30\",\"__typename\":\"Line\",\"__parentId\":"
    "\"gid://shopify/Order/3\"}\n";

#define NONE     "{\"nodes\":[],\"pageInfo\":{\"hasNextPage\":false}}"
#define OF(text) "{\"nodes\":[" text "],\"pageInfo\":{\"hasNextPage\":false}}"

static const char *const roots[] = {
    "{\"id\":\"gid://shopify/Order/1\",\"name\":\"#1\xc3\xa9\",\"lines\":" OF(
        "{\"id\":\"gid://shopify/Line/10\",\"__typename\":\"Line\",\"sku\":\"a/b\",\"taxes\":" OF(
            "{\"__typename\":\"Tax\",\"rate\":1}") "},"
                                                   "{\"id\":\"gid://shopify/Line/11\",\"__typename\":\"Line\",\"taxes\":" NONE
                                                   "}") ",\"notes\":" OF("{\"__typename\":\"Note\"}") "}",
    "{\"id\":\"gid://shopify/Order/2\",\"lines\":" NONE ",\"notes\":" NONE "}",
    "{\"id\":\"gid://shopify/Order/3\",\"lines\":" OF(
        "{\"id\":\"gid://shopify/Line/30\",\"__typename\":\"Line\",\"taxes\":" NONE
        "}") ",\"notes\":" NONE "}",
};

struct run {
    struct jsonl j;
    size_t n;
    int64_t offsets[8];
};

static struct run begin(int64_t offset)
{
    return (struct run){ .j = { .table = table, .offset = offset, .line_at = offset } };
}

/* All that there is now; `first`: the number of the first root that comes. */
static enum jsonl_next take(struct run *r, size_t first)
{
    enum jsonl_next next;
    json_t *root;

    while ((next = jsonl_next(&r->j, &root)) == JSONL_ROOT) {
        char *text = json_dumps(root, JSON_COMPACT);

        assert_true(first + r->n < sizeof(roots) / sizeof(*roots));
        CHECK_STR(text, roots[first + r->n]);
        r->offsets[r->n++] = r->j.offset;
        free(text);
        json_decref(root);
    }
    return next;
}

/* One file in one piece; how many roots, or -1 with `why`. */
static int read_all(const char *text, char why[200])
{
    struct jsonl j = { .table = table };
    enum jsonl_next next;
    json_t *root = NULL;
    int n = 0;

    CHECK_EQ(jsonl_add(&j, text, strlen(text)), 0);
    jsonl_end(&j);
    while ((next = jsonl_next(&j, &root)) == JSONL_ROOT) {
        json_decref(root);
        n++;
    }
    snprintf(why, 200, "%s", j.why);
    CHECK_EQ(next, j.why[0] ? JSONL_BAD : JSONL_END);
    CHECK_EQ(jsonl_next(&j, &root), next); /* and so it stays */
    jsonl_finish(&j);
    return next == JSONL_BAD ? -1 : n;
}

static void cut_at_every_byte_the_same_roots_come(void **state)
{
    (void)state;
    for (size_t at = 0; at <= strlen(whole); at++) {
        struct run r = begin(0);

        CHECK_EQ(jsonl_add(&r.j, whole, at), 0);
        CHECK_EQ(take(&r, 0), JSONL_MORE);
        CHECK_EQ(jsonl_add(&r.j, whole + at, strlen(whole) - at), 0);
        CHECK_EQ(take(&r, 0), JSONL_MORE);
        CHECK_EQ(r.n, 2); /* the third may have more children */
        jsonl_end(&r.j);
        CHECK_EQ(take(&r, 0), JSONL_END);
        CHECK_EQ(r.n, 3);
        jsonl_finish(&r.j);
    }
}

static void byte_by_byte_the_same_roots_come(void **state)
{
    struct run r = begin(0);

    (void)state;
    for (size_t i = 0; i < strlen(whole); i++) {
        CHECK_EQ(jsonl_add(&r.j, whole + i, 1), 0);
        CHECK_EQ(take(&r, 0), JSONL_MORE);
    }
    jsonl_end(&r.j);
    CHECK_EQ(take(&r, 0), JSONL_END);
    CHECK_EQ(r.n, 3);
    CHECK_EQ(r.j.offset, strlen(whole));
    CHECK(r.j.room <= 65536); /* what was read is let go of */
    jsonl_finish(&r.j);
}

static void from_each_roots_offset_the_rest_comes(void **state)
{
    struct run r = begin(0);

    (void)state;
    jsonl_add(&r.j, whole, strlen(whole));
    jsonl_end(&r.j);
    CHECK_EQ(take(&r, 0), JSONL_END);
    for (size_t k = 0; k < 3; k++) {
        struct run rest = begin(r.offsets[k]);

        CHECK(k == 0 || r.offsets[k] > r.offsets[k - 1]);
        jsonl_add(&rest.j, whole + r.offsets[k], strlen(whole) - (size_t)r.offsets[k]);
        jsonl_end(&rest.j);
        CHECK_EQ(take(&rest, k + 1), JSONL_END);
        CHECK_EQ(rest.n, 2 - k);
        for (size_t i = 0; i < rest.n; i++)
            CHECK_EQ(rest.offsets[i], r.offsets[k + 1 + i]);
        jsonl_finish(&rest.j);
    }
    jsonl_finish(&r.j);
}

static void the_last_line_needs_no_end_and_blank_ones_are_nothing(void **state)
{
    char why[200];

    (void)state;
    CHECK_EQ(read_all("", why), 0);
    CHECK_EQ(read_all("\n \r\n\t\n", why), 0);
    CHECK_EQ(read_all("{\"id\":\"1\"}", why), 1);
    CHECK_EQ(read_all("{\"id\":\"1\"}\n{\"id\":\"2\"}", why), 2);
    CHECK_EQ(read_all("\n{\"id\":\"1\"}\n\n{\"id\":\"2\"}\n\n", why), 2);
}

static void what_is_no_such_file_is_named_with_its_place(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "{\"id\":\"1\"}\n{\"id\":\"2\",\n", "at byte 11: " },
        { "{\"id\":\"1\"}\n[1]\n", "at byte 11: a line is no object" },
        { "{\"id\":\"1\"}\n{\"id\":\"2\"}{\"id\":\"3\"}\n", "at byte 11: " },
        { "{\"id\":\"1\"}\n{\"id\":\"2\",\"id\":\"3\"}\n", "at byte 11: duplicate" },
        /* a child before its parent, of another root, of nothing */
        { "{\"__typename\":\"Line\",\"__parentId\":\"1\"}\n{\"id\":\"1\"}\n",
          "at byte 0: a child whose parent does not stand before it" },
        { "{\"id\":\"1\"}\n{\"id\":\"2\"}\n{\"__typename\":\"Line\",\"__parentId\":\"1\"}\n",
          "at byte 22: a child whose parent does not stand before it" },
        { "{\"id\":\"1\"}\n{\"__typename\":\"Line\",\"__parentId\":null}\n",
          "at byte 11: a child whose parent does not stand before it" },
        /* of a type that was not asked for, or not there */
        { "{\"id\":\"1\"}\n{\"__typename\":\"Fish\",\"__parentId\":\"1\"}\n",
          "at byte 11: a child of a type that was not asked for" },
        { "{\"id\":\"1\"}\n{\"__parentId\":\"1\"}\n",
          "at byte 11: a child of a type that was not asked for" },
        { "{\"id\":\"1\"}\n{\"__typename\":\"Tax\",\"__parentId\":\"1\"}\n",
          "at byte 11: a child of a type that was not asked for" },
        { "{\"id\":\"1\",\"lines\":5}\n{\"__typename\":\"Line\",\"__parentId\":\"1\"}\n",
          "at byte 21: a parent has something else where its children belong" },
    };
    char why[200];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CHECK_EQ(read_all(cases[i].text, why), -1);
        if (strncmp(why, cases[i].why, strlen(cases[i].why)) != 0)
            fail_msg("%zu: %s", i, why);
    }
}

/* Its end may never come: what is kept for it is bounded. */
static void a_line_without_an_end_is_refused(void **state)
{
    struct run r = begin(0);
    char *piece = malloc(1 << 20);
    enum jsonl_next next = JSONL_MORE;
    int n = 0;

    (void)state;
    memset(piece, 'x', 1 << 20);
    while (next == JSONL_MORE && n++ < 20) {
        jsonl_add(&r.j, piece, 1 << 20);
        next = take(&r, 0);
    }
    CHECK_EQ(next, JSONL_BAD);
    CHECK_EQ(n, (JSONL_LINE_MAX >> 20) + 1);
    CHECK_STR(r.j.why, "at byte 0: a line is longer than 4 MiB");
    jsonl_finish(&r.j);
    free(piece);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_at_every_byte_the_same_roots_come),
        cmocka_unit_test(byte_by_byte_the_same_roots_come),
        cmocka_unit_test(from_each_roots_offset_the_rest_comes),
        cmocka_unit_test(the_last_line_needs_no_end_and_blank_ones_are_nothing),
        cmocka_unit_test(what_is_no_such_file_is_named_with_its_place),
        cmocka_unit_test(a_line_without_an_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
