/*
 * test_reason.c - what is looked for in reasons, and what their patterns know of it.
 */
#include "../check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "store/fingerprint.h"
#include "store/reason.h"

static bool has(const char *reason, const char *text)
{
    struct buf b = { 0 };
    bool found;

    reason_text(&b, str_of(text));
    found = reason_has(str_of(reason), buf_view(&b));
    buf_finish(&b);
    return found;
}

static void a_text_is_found_without_regard_to_case_and_blanks(void **state)
{
    (void)state;
    CHECK(has("HTTP 422: no such SKU A-17", "no such sku"));
    CHECK(has("HTTP 422:\n\t no  such sku", "422: No Such"));
    CHECK(has("refused", "refused"));
    CHECK(has("refused", ""));
    CHECK(has("a reason ", " "));
    CHECK(has("caf\xc3\xa9 closed", "caf\xc3\xa9"));
    CHECK(!has("nosuch sku", "no such"));
    CHECK(!has("refuse", "refused"));
    CHECK(!has("", "refused"));
}

static void fits(const char *reason, const char *text, enum reason_fit wanted)
{
    struct buf pattern = { 0 }, b = { 0 };

    fingerprint_reason(&pattern, str_of(reason));
    reason_text(&b, str_of(text));
    if (reason_fits(buf_view(&pattern), buf_view(&b)) != wanted)
        fail_msg("\"%s\" in those like \"%s\" is not %d", text, reason, (int)wanted);
    buf_finish(&pattern);
    buf_finish(&b);
}

static void a_pattern_knows_what_is_in_all_of_them_and_what_in_none(void **state)
{
    char cut[400];

    (void)state;
    fits("HTTP 422: no such sku A-17", "no such SKU", REASON_ALL);
    fits("HTTP 422: no such sku A-17", "connection refused", REASON_NONE);
    fits("HTTP 422: no such sku A-17", "(", REASON_NONE);
    fits("HTTP 422: no such sku A-17", "sku B-18", REASON_NONE);
    fits("HTTP 422: no such sku A-17", "sku A-18", REASON_SOME);
    fits("HTTP 422: no such sku A-17", "17", REASON_SOME);
    fits("HTTP 422: no such sku A-17", "5: no such", REASON_SOME);
    fits("HTTP 422: no such sku A-17", "timeout", REASON_SOME); /* "A-timeout1" */
    fits("no field \"total price\" here", "total", REASON_SOME);
    fits("refused", "refused", REASON_ALL);
    fits("refused", "time", REASON_NONE);
    fits("refused ", "refused ", REASON_SOME);
    fits("", "refused", REASON_SOME);
    memset(cut, 'x', sizeof(cut));
    cut[sizeof(cut) - 1] = '\0';
    fits(cut, "refused", REASON_SOME);
    fits(cut, "xx", REASON_ALL);
}

/* ---- patterns never say what is not so ---- */

static unsigned draw(unsigned n)
{
    return (unsigned)rand() % n;
}

static void make_reason(struct buf *out)
{
    static const char *const parts[] = { "no such sku",
                                         "A-17",
                                         "422",
                                         "deadbeefcafe",
                                         "\"total\"",
                                         "'lines'",
                                         "({\"id\":1,...)",
                                         " ",
                                         "\n ",
                                         ":",
                                         "#",
                                         "*",
                                         "(*)",
                                         ")",
                                         "it's",
                                         "10.0.0.1:80",
                                         "Refused",
                                         "x1y",
                                         "\xc3\xa9t",
                                         "(\"cut" };

    buf_clear(out);
    for (unsigned i = draw(7); i > 0; i--)
        buf_cstr(out, parts[draw(sizeof(parts) / sizeof(parts[0]))]);
    buf_cstr(out, "");
}

static void a_pattern_never_says_what_is_not_so(void **state)
{
    struct buf one = { 0 }, other = { 0 }, pattern = { 0 }, text = { 0 };
    unsigned said[3] = { 0 };

    (void)state;
    srand(20261121);
    for (int i = 0; i < 40000; i++) {
        size_t from, n;
        make_reason(&one);
        make_reason(&other);
        buf_clear(&pattern);
        fingerprint_reason(&pattern, buf_view(&one));
        if (!other.len)
            continue;
        from = draw((unsigned)other.len);
        n = 1 + draw((unsigned)(other.len - from));
        buf_clear(&text);
        reason_text(&text, (sl_str){ other.data + from, n > 8 ? 8 : n });
        bool found = reason_has(buf_view(&one), buf_view(&text));
        enum reason_fit fit = reason_fits(buf_view(&pattern), buf_view(&text));
        if ((fit == REASON_ALL && !found) || (fit == REASON_NONE && found))
            fail_msg("\"%s\" in \"%s\" (%s): found %d, said %d", text.data, one.data,
                     pattern.data ? pattern.data : "", found, (int)fit);
        said[fit]++;
    }
    CHECK(said[REASON_NONE] > 1000 && said[REASON_SOME] > 1000 && said[REASON_ALL] > 1000);
    buf_finish(&one);
    buf_finish(&other);
    buf_finish(&pattern);
    buf_finish(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_found_without_regard_to_case_and_blanks),
        cmocka_unit_test(a_pattern_knows_what_is_in_all_of_them_and_what_in_none),
        cmocka_unit_test(a_pattern_never_says_what_is_not_so),
    };

    return cmocka_run_group_tests_name("store: reasons", tests, NULL, NULL);
}
