/*
 * URLs: what is read, and what is refused.
 */
#include "../check.h"

#include <stdio.h>
#include <uv.h>
#include "base/buf.h"
#include "net/url.h"

static void a_good_url_is_cut_into_its_parts(void **state)
{
    static const struct {
        const char *url, *host, *target;
        uint16_t port;
        bool tls, ipv6;
    } table[] = {
        { "http://a", "a", "/", 80, false, false },
        { "https://a", "a", "/", 443, true, false },
        { "HTTPS://A.b-c_d.Example/x", "A.b-c_d.Example", "/x", 443, true, false },
        { "http://a:1/", "a", "/", 1, false, false },
        { "https://a:65535/p?q=1&r=%2F", "a", "/p?q=1&r=%2F", 65535, true, false },
        { "http://127.0.0.1:8080/a/../b", "127.0.0.1", "/a/../b", 8080, false, false },
        { "http://[::1]:80/", "::1", "/", 80, false, true },
        { "https://[2001:db8::1]", "2001:db8::1", "/", 443, true, true },
        { "http://3com.example/?", "3com.example", "/?", 80, false, false },
        { "http://a/?u=http://b@c/", "a", "/?u=http://b@c/", 80, false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct fail fail = { 0 };
        struct url u;

        if (url_parse(str_of(table[i].url), &u, &fail) != 0)
            fail_msg("%s: %s", table[i].url, fail.text);
        assert_true(str_eq(u.host, str_of(table[i].host)));
        assert_true(str_eq(u.target, str_of(table[i].target)));
        assert_int_equal(u.port, table[i].port);
        assert_int_equal(u.tls, table[i].tls);
        assert_int_equal(u.ipv6, table[i].ipv6);
    }
}

static void a_bad_url_is_refused_with_a_reason(void **state)
{
    static const char *const table[] = {
        "",
        "a",
        "//a/",
        "ftp://a/",
        "http:/a",
        "http:a",
        "http://",
        "http:///x",
        "https://:443/",
        "http://a:/",
        "http://a:0/",
        "http://a:65536/",
        "http://a:99999999999/",
        "http://a:8x/",
        "http://a:-1/",
        "http://a:1:2/",
        "http://u@a/",
        "http://u:p@a/",
        "http://a#f",
        "http://a/#f",
        "http://a/ b",
        "http://a /b",
        "http://a/\tb",
        "http://a/b\r\nX: y",
        "http://a/\x7f",
        "http://a/\xc3\xa9",
        "http://\xc3\xa9/",
        "http://a/{id}",
        "http://a/%",
        "http://a/%2",
        "http://a/%zz",
        "http://a?q",
        "http://a..b/",
        "http://.a/",
        "http://a./",
        "http://a,b/",
        "http://a%41/",
        "http://a\\b/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://1.2.3.4.5/",
        "http://256.0.0.1/",
        "http://[::1/",
        "http://[::1]x/",
        "http://[::g]/",
        "http://[fe80::1%25eth0]/",
        "http://[127.0.0.1]/",
        "http://::1/",
        "http://[]/",
        "http://0123456789012345678901234567890123456789012345678901234567890123.a/",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct fail fail = { 0 };
        struct url u = { .port = 7 };

        if (url_parse(str_of(table[i]), &u, &fail) != UV_EINVAL)
            fail_msg("accepted: %s", table[i]);
        assert_int_equal(fail.code, UV_EINVAL);
        assert_int_equal(u.port, 7); /* untouched */
    }
}

static void a_url_may_hold_no_nul_and_not_be_endless(void **state)
{
    char text[8100];
    struct url u;

    (void)state;
    assert_int_equal(url_parse((sl_str){ "http://a/\0b", 11 }, &u, NULL), UV_EINVAL);
    memset(text, 'a', sizeof(text));
    memcpy(text, "http://a/", 9);
    assert_int_equal(url_parse((sl_str){ text, 8000 }, &u, NULL), 0);
    assert_int_equal(url_parse((sl_str){ text, 8001 }, &u, NULL), UV_EINVAL);
    memcpy(text, "http://aa", 9);
    assert_int_equal(url_parse((sl_str){ text, 300 }, &u, NULL), UV_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_url_is_cut_into_its_parts),
        cmocka_unit_test(a_bad_url_is_refused_with_a_reason),
        cmocka_unit_test(a_url_may_hold_no_nul_and_not_be_endless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
