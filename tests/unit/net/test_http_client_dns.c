/*
 * Names: several addresses, none, slow servers. See fake_dns.h.
 */
#include "../check.h"

#include <stdio.h>
#include <unistd.h>
#include "client_rig.h"
#include "fake_dns.h"
#include "net/http_call.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct rig rig;

static int up(void **state)
{
    (void)state;
    fake_dns_reset();
    rig_open(&rig, NULL);
    for (int i = 0; i < 10; i++)
        peer_say(&rig.peer, OK, PEER_KEEP);
    return 0;
}

static int down(void **state)
{
    (void)state;
    rig_close(&rig);
    return 0;
}

static void at(const char *host)
{
    snprintf(rig.base, sizeof(rig.base), "http://%s:%u", host, rig.peer.port);
}

static void a_name_is_looked_up_once_for_a_while(void **state)
{
    (void)state;
    rig.conf.idle_ms = 5;
    at("One.test");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rig_fetch(&rig, "/")->error, 0);
        rig_pass(&rig, 15);
        assert_int_equal(http_client_connections(rig.client), 0);
    }
    assert_int_equal(rig.peer.accepted, 3);
    assert_int_equal(fake_dns_asked, 1);
    assert_non_null(strstr(rig.peer.heard.data, "\r\nHost: One.test:"));
}

static void those_who_ask_together_are_answered_together(void **state)
{
    (void)state;
    at("one.test");
    for (int i = 0; i < 8; i++)
        rig_get(&rig, "/");
    rig_run(&rig);
    for (int i = 0; i < 8; i++)
        assert_int_equal(rig.out[i].error, 0);
    assert_int_equal(fake_dns_asked, 1);
}

static void each_address_is_tried(void **state)
{
    struct outcome *o;

    (void)state;
    at("two.test");
    o = rig_fetch(&rig, "/");
    if (o->error)
        fail_msg("%s", o->why);
    assert_int_equal(rig.peer.accepted, 1);
}

static void an_address_that_hangs_does_not_use_up_the_time_of_the_next(void **state)
{
    struct sockaddr_in a;
    int s = socket(AF_INET, SOCK_STREAM, 0), fill[8], one = 1;
    struct outcome *o;

    (void)state;
    uv_ip4_addr("127.0.0.2", rig.peer.port, &a);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(s, 0), 0);
    for (int i = 0; i < 8; i++) { /* a full backlog: the kernel drops what else comes */
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fill[i], (struct sockaddr *)&a, sizeof(a));
    }
    rig.conf.connect_ms = 600;
    at("two.test");
    o = rig_fetch(&rig, "/");
    if (o->error)
        fail_msg("%s", o->why);
    for (int i = 0; i < 8; i++)
        close(fill[i]);
    close(s);
}

static void a_place_that_refuses_is_looked_up_again(void **state)
{
    (void)state;
    snprintf(rig.base, sizeof(rig.base), "http://two.test:1");
    for (unsigned i = 1; i <= 2; i++) {
        struct outcome *o = rig_fetch(&rig, "/");

        assert_int_equal(o->error, UV_ECONNREFUSED);
        assert_int_equal(o->phase, HTTP_PHASE_CONNECT);
        assert_false(o->sent);
        assert_int_equal(fake_dns_asked, i);
    }
}

static void an_unknown_name_sent_nothing(void **state)
{
    struct outcome *o;

    (void)state;
    at("none.test");
    o = rig_fetch(&rig, "/");
    assert_int_equal(o->error, UV_EAI_NONAME);
    assert_int_equal(o->phase, HTTP_PHASE_DNS);
    assert_false(o->sent);
    assert_non_null(strstr(o->why, "none.test"));
    rig_fetch(&rig, "/");
    assert_int_equal(fake_dns_asked, 2); /* a failure is not remembered */
    at("empty.test");
    assert_int_equal(rig_fetch(&rig, "/")->error, UV_EAI_NODATA);
}

static void a_slow_name_server_holds_up_nobody_else(void **state)
{
    struct outcome *stuck[6], *other;

    (void)state;
    rig.conf.connect_ms = 250;
    at("slow.test");
    for (int i = 0; i < 6; i++) /* more than libuv has threads */
        stuck[i] = rig_get(&rig, "/");
    at("one.test");
    other = rig_get(&rig, "/");
    rig_run(&rig);
    assert_int_equal(other->error, 0);
    assert_int_equal(other->order, 1);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(stuck[i]->error, UV_ETIMEDOUT);
        assert_int_equal(stuck[i]->phase, HTTP_PHASE_DNS);
        assert_false(stuck[i]->sent);
    }
    sem_post(&fake_dns_slow); /* too late for them, in time for the next */
    rig_pass(&rig, 30);
    at("slow.test");
    assert_int_equal(rig_fetch(&rig, "/")->error, 0);
    assert_int_equal(fake_dns_asked, 2);
}

static void a_client_closes_while_a_look_up_is_under_way(void **state)
{
    struct outcome *o;

    (void)state;
    at("slow.test");
    o = rig_get(&rig, "/");
    while (fake_dns_asked == 0)
        uv_run(&rig.loop, UV_RUN_NOWAIT);
    http_client_close(rig.client, NULL, NULL);
    rig_pass(&rig, 10);
    assert_int_equal(o->error, UV_ECANCELED); /* told at once ... */
    assert_int_equal(o->phase, HTTP_PHASE_DNS);
    sem_post(&fake_dns_slow); /* ... and freed when the thread is back */
    rig.client = NULL;
}

static void many_names_do_not_pile_up(void **state)
{
    char host[64];

    (void)state;
    for (int i = 0; i < 100; i++) {
        snprintf(host, sizeof(host), "n%d.test", i);
        at(host);
        rig.conf.max_connections = 1;
        if (rig.peer.line == rig.peer.n_lines)
            rig.peer.line = 0;
        assert_int_equal(rig_fetch(&rig, "/")->error, 0);
    }
    assert_int_equal(fake_dns_asked, 100);
    assert_int_equal(rig.client->resolver.n_names, RESOLVER_NAMES);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_name_is_looked_up_once_for_a_while),
        TEST(those_who_ask_together_are_answered_together),
        TEST(each_address_is_tried),
        TEST(an_address_that_hangs_does_not_use_up_the_time_of_the_next),
        TEST(a_place_that_refuses_is_looked_up_again),
        TEST(an_unknown_name_sent_nothing),
        TEST(a_slow_name_server_holds_up_nobody_else),
        TEST(a_client_closes_while_a_look_up_is_under_way),
        TEST(many_names_do_not_pile_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
