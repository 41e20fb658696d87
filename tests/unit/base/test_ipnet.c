/*
 * test_ipnet.c - addresses and networks: what is one, what is not, what is within.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <uv.h>
#include "base/buf.h"
#include "base/ipnet.h"

static void an_address_is_written_back_in_its_shortest_form(void **state)
{
    static const struct {
        const char *text, *back; /* NULL: none */
    } cases[] = {
        { "192.0.2.1", "192.0.2.1" },
        { "0.0.0.0", "0.0.0.0" },
        { "2001:DB8:0:0::1", "2001:db8::1" },
        { "::", "::" },
        { "::ffff:192.0.2.1", "192.0.2.1" }, /* one address, one form */
        { "", NULL },
        { "192.0.2", NULL },
        { "192.0.2.256", NULL },
        { "192.0.02.1", NULL },
        { "192.0.2.1 ", NULL },
        { " 192.0.2.1", NULL },
        { "0xc0.0.2.1", NULL },
        { "3221225985", NULL },
        { "[::1]", NULL },
        { "fe80::1%eth0", NULL },
        { "1::2::3", NULL },
        { "localhost", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[IP_TEXT] = "-";
        struct ip ip;

        if (ip_parse(str_of(cases[i].text), &ip) == 0)
            ip_format(&ip, out);
        assert_string_equal(out, cases[i].back ? cases[i].back : "-");
    }
    struct ip untouched = { .byte = { 7 } };
    assert_int_equal(ip_parse((sl_str){ "::1\0", 4 }, &untouched), UV_EINVAL);
    assert_int_equal(untouched.byte[0], 7);
}

static void a_network_has_its_addresses_and_no_others(void **state)
{
    static const struct {
        const char *net, *in, *out; /* out NULL: all are within */
    } cases[] = {
        { "127.0.0.1", "127.0.0.1", "127.0.0.2" },
        { "127.0.0.0/8", "127.255.255.255", "128.0.0.0" },
        { "10.0.0.0/8", "::ffff:10.1.2.3", "11.0.0.0" },
        { "192.0.2.128/25", "192.0.2.255", "192.0.2.127" },
        { "192.0.2.4/31", "192.0.2.5", "192.0.2.6" },
        { "0.0.0.0/0", "203.0.113.9", "2001:db8::1" },
        { "::1", "::1", "::2" },
        { "2001:db8::/32", "2001:db8:ffff::1", "2001:db9::" },
        { "2001:db8:8000::/33", "2001:db8:8001::", "2001:db8:7fff::" },
        { "::/0", "192.0.2.1", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ipnet net;
        struct ip ip;

        assert_int_equal(ipnet_parse(str_of(cases[i].net), &net), 0);
        assert_int_equal(ip_parse(str_of(cases[i].in), &ip), 0);
        assert_true(ipnet_has(&net, &ip));
        if (!cases[i].out)
            continue;
        assert_int_equal(ip_parse(str_of(cases[i].out), &ip), 0);
        assert_false(ipnet_has(&net, &ip));
    }
}

static void what_is_no_network_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/08",
        "10.0.0.1/8",
        "10.0.0.0/8/",
        "10.0.0.0 /8",
        "10.0.0.0/8 ",
        "::1/129",
        "2001:db8::1/32",
        "10/8",
        "unix",
        "10.0.0.0/0x8",
        "10.0.0.0/1000",
        "192.0.2.1/31",
    };
    struct ipnet net;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (ipnet_parse(str_of(bad[i]), &net) != UV_EINVAL)
            fail_msg("\"%s\" was taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_written_back_in_its_shortest_form),
        cmocka_unit_test(a_network_has_its_addresses_and_no_others),
        cmocka_unit_test(what_is_no_network_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
