/*
 * test_forwarded.c - whose request it is: the rightmost address that is not trusted, and nothing
 * that somebody further left made up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include "base/buf.h"
#include "net/forwarded.h"

#define PROXY    "10.0.0.1" /* trusted */
#define STRANGER "203.0.113.9"
#define CLIENT   "192.0.2.60"

struct hops {
    const char *peer;     /* NULL: a unix socket */
    const char *field[3]; /* in the order received */
    const char *client;   /* NULL: the peer itself */
};

static const struct hops by_x[] = {
    { PROXY, { CLIENT }, CLIENT },
    { STRANGER, { CLIENT }, NULL }, /* not trusted: the header is nothing */
    { NULL, { CLIENT }, CLIENT },
    { PROXY, { NULL }, NULL },
    { PROXY, { "" }, NULL },
    { PROXY, { "1.1.1.1, " CLIENT }, CLIENT }, /* the left end is anybody's */
    { PROXY, { "1.1.1.1, " CLIENT ", 10.9.9.9" }, CLIENT },
    { PROXY, { CLIENT ",10.9.9.9,10.1.1.1" }, CLIENT },
    { PROXY, { "10.3.3.3, 10.9.9.9" }, "10.3.3.3" }, /* all of them ours: the first */
    { PROXY, { "1.1.1.1", CLIENT }, CLIENT },        /* two fields are one list */
    { PROXY, { CLIENT, "10.9.9.9" }, CLIENT },
    { PROXY, { "1.1.1.1", CLIENT, "10.9.9.9, 10.1.1.1" }, CLIENT },
    { PROXY, { "  \t" CLIENT "\t " }, CLIENT },
    { PROXY, { CLIENT ":4711" }, CLIENT },
    { PROXY, { "[2001:db8::7]:4711" }, "2001:db8::7" },
    { PROXY, { "[2001:db8::7]" }, "2001:db8::7" },
    { PROXY, { "2001:DB8::7" }, "2001:db8::7" },
    { PROXY, { "::ffff:" CLIENT }, CLIENT },
    { "::ffff:10.0.0.1", { CLIENT }, CLIENT },
    { "fd00::1", { CLIENT }, CLIENT },
    { "fd01::1", { CLIENT }, NULL },
    /* what cannot be understood ends the walk: what stands left of it is not believed */
    { PROXY, { CLIENT ", unknown" }, NULL },
    { PROXY, { CLIENT ", unknown, 10.9.9.9" }, "10.9.9.9" },
    { PROXY, { CLIENT ", , 10.9.9.9" }, "10.9.9.9" },
    { PROXY, { CLIENT "," }, NULL },
    { PROXY, { "1.2.3" }, NULL },
    { PROXY, { "1.2.3.4.5" }, NULL },
    { PROXY, { "01.2.3.4" }, NULL },
    { PROXY, { CLIENT ":" }, NULL },
    { PROXY, { CLIENT ":http" }, NULL },
    { PROXY, { CLIENT ":1234567" }, NULL },
    { PROXY, { "[" CLIENT "]" }, NULL },
    { PROXY, { "[2001:db8::7" }, NULL },
    { PROXY, { "[2001:db8::7]x" }, NULL },
    { PROXY, { "[]" }, NULL },
    { PROXY, { "[" }, NULL },
    { PROXY, { "\"" CLIENT "\"" }, NULL },
    { PROXY, { "for=" CLIENT }, NULL },
    { PROXY, { CLIENT " " CLIENT }, NULL },
    { PROXY, { "shop.example" }, NULL },
    { PROXY, { "fe80::1%eth0" }, NULL },
    { PROXY, { "\xff\xfe" }, NULL },
};

static const struct hops by_rfc[] = {
    { PROXY, { "for=" CLIENT }, CLIENT },
    { STRANGER, { "for=" CLIENT }, NULL },
    { NULL, { "for=" CLIENT }, CLIENT },
    { PROXY, { "For=" CLIENT ";proto=https;by=203.0.113.43" }, CLIENT },
    { PROXY, { "proto=https; FOR=" CLIENT " ;host=a" }, CLIENT },
    { PROXY, { "for=\"" CLIENT ":4711\"" }, CLIENT },
    { PROXY, { "for=\"[2001:db8:cafe::17]:4711\"" }, "2001:db8:cafe::17" },
    { PROXY, { "for=\"[2001:db8:cafe::17]\"" }, "2001:db8:cafe::17" },
    { PROXY, { "for=1.1.1.1, for=" CLIENT }, CLIENT },
    { PROXY, { "for=" CLIENT ", for=10.9.9.9;by=10.0.0.1" }, CLIENT },
    { PROXY, { "for=" CLIENT, "for=10.9.9.9" }, CLIENT },
    { PROXY,
      { "for=" CLIENT ";ext=\"a, b;c\", for=10.9.9.9" },
      "10.9.9.9" }, /* ';' in quotes: no */
    { PROXY, { "for=" CLIENT ";ext=\"a, b\", for=10.9.9.9" }, CLIENT },
    { PROXY, { "for=\", for=" CLIENT }, CLIENT }, /* a quote left open by the client */
    { PROXY, { "for=\"x, for=" CLIENT ", for=10.9.9.9" }, CLIENT },
    /* not understood */
    { PROXY, { "for=" CLIENT ":4711" }, NULL }, /* needs quotes */
    { PROXY, { "for=[2001:db8::7]" }, NULL },
    { PROXY, { "for=2001:db8::7" }, NULL },
    { PROXY, { "for=\"2001:db8::7\"" }, NULL }, /* needs brackets */
    { PROXY, { "for=unknown" }, NULL },
    { PROXY, { "for=_hidden" }, NULL },
    { PROXY, { "for=\"_gazonk\"" }, NULL },
    { PROXY, { "for=\"" CLIENT ":_port\"" }, NULL },
    { PROXY, { "for=" CLIENT ", for=unknown, for=10.9.9.9" }, "10.9.9.9" },
    { PROXY, { "proto=https" }, NULL },
    { PROXY, { "for=" CLIENT ";for=" CLIENT }, NULL },
    { PROXY, { "for = " CLIENT }, NULL },
    { PROXY, { "for=" }, NULL },
    { PROXY, { "for=\"\"" }, NULL },
    { PROXY, { "=" CLIENT }, NULL },
    { PROXY, { CLIENT }, NULL },
    { PROXY, { "for=\"" CLIENT }, NULL },
    { PROXY, { "for=" CLIENT "\"" }, NULL },
    { PROXY, { "for=\"\\1.1.1.1\"" }, NULL },
    { PROXY, { ";" }, NULL },
    { PROXY, { "," }, NULL },
    { PROXY, { "" }, NULL },
};

static struct ipnet trusted[3];

static void check(const struct hops *h, enum http_forwarded how, const char *name)
{
    struct http_trust trust = { trusted, 3, true, how };
    sl_header headers[5] = { { STR("Host"), STR("a") } };
    size_t n = 1;
    struct ip peer, ip;
    char out[IP_TEXT] = "the peer";

    if (h->peer)
        assert_int_equal(ip_parse(str_of(h->peer), &peer), 0);
    for (int i = 0; i < 3 && h->field[i]; i++)
        headers[n++] = (sl_header){ str_of(name), str_of(h->field[i]) };
    headers[n++] = (sl_header){ STR("X-Real-IP"), STR("1.1.1.1") };
    if (http_forwarded_client(&trust, h->peer ? &peer : NULL, headers, n, &ip))
        ip_format(&ip, out);
    if (strcmp(out, h->client ? h->client : "the peer") != 0)
        fail_msg("%s by %s: %s", h->field[0] ? h->field[0] : "-", h->peer ? h->peer : "unix", out);
}

static int setup(void **state)
{
    (void)state;
    return ipnet_parse(STR("10.0.0.0/8"), &trusted[0]) |
           ipnet_parse(STR("127.0.0.1"), &trusted[1]) | ipnet_parse(STR("fd00::/64"), &trusted[2]);
}

static void x_forwarded_for_is_read_from_its_right_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(by_x) / sizeof(by_x[0]); i++)
        check(&by_x[i], HTTP_FORWARDED_X, i % 2 ? "X-Forwarded-For" : "x-forwarded-for");
}

static void forwarded_is_read_from_its_right_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(by_rfc) / sizeof(by_rfc[0]); i++)
        check(&by_rfc[i], HTTP_FORWARDED_RFC, i % 2 ? "Forwarded" : "FORWARDED");
}

static void the_header_that_was_not_chosen_is_nothing(void **state)
{
    const struct hops x = { PROXY, { CLIENT }, NULL }, rfc = { PROXY, { "for=" CLIENT }, NULL };

    (void)state;
    check(&x, HTTP_FORWARDED_RFC, "X-Forwarded-For");
    check(&rfc, HTTP_FORWARDED_X, "Forwarded");
    check(&x, HTTP_FORWARDED_NONE, "X-Forwarded-For");
    check(&rfc, HTTP_FORWARDED_NONE, "Forwarded");
}

static void a_unix_socket_is_trusted_only_if_it_is_listed(void **state)
{
    struct http_trust trust = { trusted, 3, false, HTTP_FORWARDED_X };
    sl_header header = { STR("X-Forwarded-For"), STR(CLIENT) };
    struct ip ip;

    (void)state;
    assert_false(http_forwarded_client(&trust, NULL, &header, 1, &ip));
    trust.unix_peers = true;
    assert_true(http_forwarded_client(&trust, NULL, &header, 1, &ip));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(x_forwarded_for_is_read_from_its_right_end),
        cmocka_unit_test(forwarded_is_read_from_its_right_end),
        cmocka_unit_test(the_header_that_was_not_chosen_is_nothing),
        cmocka_unit_test(a_unix_socket_is_trusted_only_if_it_is_listed),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
