/*
 * Names: several addresses, none, slow servers. The resolver of the C library is replaced by the
 * one below, which libuv calls on its own threads.
 */
#include "../check.h"

#include <netdb.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "client_rig.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct rig rig;
static atomic_uint asked;
static sem_t slow; /* slow.test is answered when somebody posts */

static struct addrinfo *address(const char *text, struct addrinfo *next)
{
    struct addrinfo *a = calloc(1, sizeof(*a) + sizeof(struct sockaddr_in));

    a->ai_family = AF_INET;
    a->ai_addr = (struct sockaddr *)(a + 1);
    a->ai_addrlen = sizeof(struct sockaddr_in);
    a->ai_next = next;
    uv_ip4_addr(text, 0, (struct sockaddr_in *)a->ai_addr);
    return a;
}

__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **res)
{
    (void)service;
    (void)hints;
    asked++;
    *res = NULL;
    if (strcmp(node, "none.test") == 0)
        return EAI_NONAME;
    if (strcmp(node, "slow.test") == 0)
        sem_wait(&slow);
    if (strcmp(node, "empty.test") == 0)
        return 0;
    *res = address("127.0.0.1", NULL);
    if (strcmp(node, "two.test") == 0) /* the first refuses */
        *res = address("127.0.0.2", address("127.0.0.3", *res));
    return 0;
}

__attribute__((visibility("default"))) void freeaddrinfo(struct addrinfo *a)
{
    while (a) {
        struct addrinfo *next = a->ai_next;

        free(a);
        a = next;
    }
}

static int up(void **state)
{
    (void)state;
    asked = 0;
    sem_init(&slow, 0, 0);
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
    assert_int_equal(asked, 1);
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
    assert_int_equal(asked, 1);
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

static void a_place_that_refuses_is_looked_up_again(void **state)
{
    (void)state;
    snprintf(rig.base, sizeof(rig.base), "http://two.test:1");
    for (unsigned i = 1; i <= 2; i++) {
        struct outcome *o = rig_fetch(&rig, "/");

        assert_int_equal(o->error, UV_ECONNREFUSED);
        assert_int_equal(o->phase, HTTP_PHASE_CONNECT);
        assert_false(o->sent);
        assert_int_equal(asked, i);
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
    assert_int_equal(asked, 2); /* a failure is not remembered */
    at("empty.test");
    assert_int_equal(rig_fetch(&rig, "/")->error, UV_EAI_NODATA);
}

static void a_slow_name_server_holds_up_nobody_else(void **state)
{
    struct outcome *stuck[6], *other;

    (void)state;
    rig.conf.connect_ms = 80;
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
    sem_post(&slow); /* too late for them, in time for the next */
    rig_pass(&rig, 30);
    at("slow.test");
    assert_int_equal(rig_fetch(&rig, "/")->error, 0);
    assert_int_equal(asked, 2);
}

static void a_client_closes_while_a_look_up_is_under_way(void **state)
{
    struct outcome *o;

    (void)state;
    at("slow.test");
    o = rig_get(&rig, "/");
    while (asked == 0)
        uv_run(&rig.loop, UV_RUN_NOWAIT);
    http_client_close(rig.client, NULL, NULL);
    rig_pass(&rig, 10);
    assert_int_equal(o->error, UV_ECANCELED); /* told at once ... */
    assert_int_equal(o->phase, HTTP_PHASE_DNS);
    sem_post(&slow); /* ... and freed when the thread is back */
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
    assert_int_equal(asked, 100);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_name_is_looked_up_once_for_a_while),
        TEST(those_who_ask_together_are_answered_together),
        TEST(each_address_is_tried),
        TEST(a_place_that_refuses_is_looked_up_again),
        TEST(an_unknown_name_sent_nothing),
        TEST(a_slow_name_server_holds_up_nobody_else),
        TEST(a_client_closes_while_a_look_up_is_under_way),
        TEST(many_names_do_not_pile_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
