/*
 * test_http_listen.c - the listener: addresses, unix sockets, too many connections, no descriptors,
 * and the orderly end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "http_peer.h"

#define GET  "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

/* ---- addresses ---- */

static void a_bad_address_is_refused_with_its_reason(void **state)
{
    static const struct {
        const char *listen, *text;
    } cases[] = {
        { "", "expected ADDRESS:PORT" },
        { "8080", "expected ADDRESS:PORT" },
        { "localhost:8080", "\"localhost\" is no IP address" },
        { ":8080", "\"\" is no IP address" },
        { "127.0.0.1:", "port must be" },
        { "127.0.0.1:65536", "port must be" },
        { "127.0.0.1:-1", "port must be" },
        { "127.0.0.1:80x", "port must be" },
        { "::1:80", "is no IP address" },
        { "[::1]80", "expected ADDRESS:PORT" },
        { "[127.0.0.1]:80", "is no IP address" },
        { "203.0.113.77:0", "cannot listen on 203.0.113.77:0" },
        { "unix:", "expected unix:PATH" },
        { "unix:/no/such/folder/x.sock", "No such file or directory" },
        { "unix:/0123456789012345678901234567890123456789012345678901234567890123456789012345678901"
          "234567890123456789012345678",
          "at most 107 bytes" },
    };
    struct http_handler none = { 0 };
    struct http_server_conf conf;
    uv_loop_t loop;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_server *s = NULL;
        struct fail fail = { 0 };

        http_server_defaults(&conf);
        conf.listen = cases[i].listen;
        assert_true(http_server_open(&s, &loop, &conf, &none, NULL, &fail) < 0);
        assert_null(s);
        if (!strstr(fail.text, cases[i].text))
            fail_msg("%s: \"%s\"", cases[i].listen, fail.text);
    }
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void an_ipv6_literal_is_understood(void **state)
{
    struct http_server_conf conf;
    struct sockaddr_in6 addr = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    struct peer p = { 0 };
    struct rig g;
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    bool usable = probe >= 0 && bind(probe, (struct sockaddr *)&addr, sizeof(addr)) == 0;

    (void)state;
    if (probe >= 0)
        close(probe);
    if (!usable)
        skip();
    rig_defaults(&conf);
    conf.listen = "[::1]:0";
    rig_open(&g, &conf);
    addr.sin6_port = htons((uint16_t)http_server_port(g.server));
    p.fd = socket(AF_INET6, SOCK_STREAM, 0);
    assert_int_equal(connect(p.fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    peer_text(&p, &g, GET);
    peer_expect(&p, &g, "200 OK", 1);
    assert_string_equal(g.peer, "::1");
    peer_close(&p);
    rig_finish(&g);
}

static void a_port_in_use_is_refused(void **state)
{
    struct http_handler none = { 0 };
    struct http_server_conf conf;
    struct http_server *s = NULL;
    struct fail fail = { 0 };
    struct peer p;
    struct rig g;
    char listen[32];

    (void)state;
    open_default(&g, &p);
    http_server_defaults(&conf);
    snprintf(listen, sizeof(listen), "127.0.0.1:%d", http_server_port(g.server));
    conf.listen = listen;
    assert_int_equal(http_server_open(&s, &g.loop, &conf, &none, NULL, &fail), UV_EADDRINUSE);
    assert_non_null(strstr(fail.text, listen));
    peer_close(&p);
    rig_finish(&g);
}

/* ---- unix sockets ---- */

struct place {
    char dir[32], path[48], listen[56];
};

static void place_make(struct place *pl)
{
    strcpy(pl->dir, "/tmp/sluice-net-XXXXXX");
    assert_non_null(mkdtemp(pl->dir));
    snprintf(pl->path, sizeof(pl->path), "%s/s.sock", pl->dir);
    snprintf(pl->listen, sizeof(pl->listen), "unix:%s", pl->path);
}

static void a_unix_socket_has_its_mode_and_tells_the_peers_uid(void **state)
{
    struct http_server_conf conf;
    struct place pl;
    struct stat st;
    struct peer p;
    struct rig g;

    (void)state;
    place_make(&pl);
    rig_defaults(&conf);
    conf.listen = pl.listen;
    conf.unix_mode = 0620;
    rig_open(&g, &conf);
    assert_int_equal(http_server_port(g.server), 0);
    assert_int_equal(stat(pl.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0620);
    peer_connect_unix(&p, pl.path);
    peer_text(&p, &g, GET);
    peer_expect(&p, &g, "200 OK", 1);
    assert_string_equal(g.peer, "unix");
    assert_true(g.peer_uid == (int64_t)getuid());
    peer_close(&p);
    rig_finish(&g);
    assert_int_equal(stat(pl.path, &st), -1); /* removed at the end */
    assert_int_equal(rmdir(pl.dir), 0);
}

static int try_open(struct rig *g, const char *listen, struct fail *fail)
{
    static const struct http_handler none = { 0 };
    struct http_server_conf conf;
    struct http_server *s = NULL;
    int r;

    http_server_defaults(&conf);
    conf.listen = listen;
    r = http_server_open(&s, &g->loop, &conf, &none, NULL, fail);
    if (r == 0)
        http_server_close(s, 0, NULL, NULL);
    rig_turn(g);
    return r;
}

static void a_socket_file_is_replaced_only_when_nobody_listens(void **state)
{
    struct http_server_conf conf;
    struct fail fail = { 0 };
    struct place pl;
    struct stat st;
    struct rig g;
    int fd;

    (void)state;
    place_make(&pl);
    rig_defaults(&conf);
    conf.listen = pl.listen;
    rig_open(&g, &conf);
    assert_int_equal(try_open(&g, pl.listen, &fail), UV_EADDRINUSE);
    assert_non_null(strstr(fail.text, "another process listens there"));
    assert_int_equal(stat(pl.path, &st), 0);

    /* stale: somebody bound it and died */
    assert_int_equal(unlink(pl.path), 0);
    {
        struct sockaddr sa = { .sa_family = AF_UNIX };
        char raw[sizeof(sa_family_t) + sizeof(pl.path)];

        memcpy(raw, &sa.sa_family, sizeof(sa.sa_family));
        memcpy(raw + sizeof(sa.sa_family), pl.path, sizeof(pl.path));
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)raw, sizeof(raw)), 0);
        close(fd);
    }
    assert_int_equal(stat(pl.path, &st), 0);
    assert_int_equal(try_open(&g, pl.listen, &fail), 0);
    assert_int_equal(stat(pl.path, &st), -1);

    /* any other kind of file stays */
    fd = open(pl.path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    assert_int_equal(try_open(&g, pl.listen, &fail), UV_EEXIST);
    assert_non_null(strstr(fail.text, "is no socket"));
    rig_finish(&g); /* whose file was taken away: this one is not removed in its place */
    assert_int_equal(unlink(pl.path), 0);
    assert_int_equal(rmdir(pl.dir), 0);
}

/* ---- too many ---- */

static void connections_above_the_limit_wait_in_the_backlog(void **state)
{
    struct http_server_conf conf;
    struct peer a, b, c;
    struct rig g;

    (void)state;
    rig_defaults(&conf);
    conf.max_connections = 2;
    rig_open(&g, &conf);
    peer_connect(&a, &g);
    peer_connect(&b, &g);
    peer_connect(&c, &g);
    peer_text(&c, &g, GET);
    peer_text(&a, &g, GET);
    peer_text(&b, &g, GET);
    rig_for(&g, 10);
    assert_int_equal(http_server_connections(g.server), 2);
    assert_int_equal(g.ends, 2);
    peer_close(&a);
    peer_expect(&c, &g, "200 OK", 1);
    peer_close(&b);
    peer_close(&c);
    rig_finish(&g);
}

static void count_turn(uv_prepare_t *prepare)
{
    ++*(int *)prepare->data;
}

static void stop_loop(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* How often does the loop turn in 250 ms? */
static int turns_of(struct rig *g)
{
    uv_prepare_t prepare;
    uv_timer_t stop;
    int turns = 0;

    uv_prepare_init(&g->loop, &prepare);
    uv_timer_init(&g->loop, &stop);
    prepare.data = &turns;
    uv_prepare_start(&prepare, count_turn);
    uv_timer_start(&stop, stop_loop, 250, 0);
    uv_run(&g->loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&prepare, NULL);
    uv_close((uv_handle_t *)&stop, NULL);
    rig_turn(g);
    return turns;
}

static void without_descriptors_accepting_waits_and_does_not_spin(void **state)
{
    struct rlimit before, tight;
    struct peer a, b;
    struct rig g;
    int fd;

    (void)state;
    open_default(&g, &a);
    peer_text(&a, &g, GET);
    peer_expect(&a, &g, "200 OK", 1);
    peer_connect(&b, &g);
    assert_int_equal(send(b.fd, GET, strlen(GET), 0), strlen(GET));

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    fd = dup(0);
    assert_true(fd >= 0);
    close(fd);
    tight = before;
    tight.rlim_cur = (rlim_t)fd; /* the lowest free one is out of reach */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    assert_true(turns_of(&g) <= 10); /* one for each retry */
    assert_int_equal(http_server_connections(g.server), 1);
    fd = dup(0); /* the server gave its spare descriptor up */
    assert_true(fd >= 0);
    close(fd);

    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    peer_expect(&b, &g, "200 OK", 1); /* it only had to wait */
    peer_close(&a);
    peer_close(&b);
    rig_finish(&g);
}

static void connections_of_one_address_are_limited_and_those_of_others_are_not(void **state)
{
    struct http_server_conf conf;
    struct ipnet proxy;
    struct peer p[3], other, trusted[4], late;
    struct rig g;

    (void)state;
    assert_int_equal(ipnet_parse(STR("127.0.0.8/31"), &proxy), 0);
    rig_defaults(&conf);
    conf.max_per_address = 2;
    conf.trust = (struct http_trust){ .nets = &proxy, .n_nets = 1 };
    rig_open(&g, &conf);
    for (int i = 0; i < 3; i++)
        peer_connect_from(&p[i], &g, "127.0.0.1");
    peer_expect_eof(&p[2], &g);
    assert_int_equal(peer_count(&p[2], "HTTP/1.1 503 Service Unavailable"), 1);
    assert_int_equal(http_server_turned_away(g.server), 1);
    peer_connect_from(&other, &g, "127.0.0.2");
    peer_text(&other, &g, GET);
    peer_expect(&other, &g, "200 OK", 1);
    for (int i = 0; i < 4; i++) { /* a proxy brings many clients */
        peer_connect_from(&trusted[i], &g, "127.0.0.9");
        peer_text(&trusted[i], &g, GET);
        peer_expect(&trusted[i], &g, "200 OK", 1);
    }
    peer_close(&p[0]); /* one goes: there is room again */
    rig_until_connections(&g, 6);
    peer_connect_from(&late, &g, "127.0.0.1");
    peer_text(&late, &g, GET);
    peer_expect(&late, &g, "200 OK", 1);
    assert_int_equal(http_server_turned_away(g.server), 1);
    for (int i = 1; i < 3; i++)
        peer_close(&p[i]);
    for (int i = 0; i < 4; i++)
        peer_close(&trusted[i]);
    peer_close(&other);
    peer_close(&late);
    rig_until_connections(&g, 0);
    rig_finish(&g);
}

static void the_client_is_whom_a_trusted_proxy_names(void **state)
{
    struct http_server_conf conf;
    struct ipnet proxy;
    struct peer p;
    struct rig g;

    (void)state;
    assert_int_equal(ipnet_parse(STR("127.0.0.9"), &proxy), 0);
    rig_defaults(&conf);
    conf.trust = (struct http_trust){ .nets = &proxy, .n_nets = 1, .header = HTTP_FORWARDED_X };
    rig_open(&g, &conf);
    peer_connect_from(&p, &g, "127.0.0.9");
    peer_text(&p, &g, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, 203.0.113.9\r\n\r\n");
    peer_expect(&p, &g, "200 OK", 1);
    assert_string_equal(g.client, "203.0.113.9");
    assert_string_equal(g.peer, "127.0.0.9");
    peer_text(&p, &g, GET); /* on the same connection: nothing is left of the one before */
    peer_expect(&p, &g, "200 OK", 2);
    assert_string_equal(g.client, "127.0.0.9");
    peer_close(&p);
    peer_connect_from(&p, &g, "127.0.0.1"); /* not trusted */
    peer_text(&p, &g, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n");
    peer_expect(&p, &g, "200 OK", 1);
    assert_string_equal(g.client, "127.0.0.1");
    peer_close(&p);
    rig_finish(&g);
}

/* ---- the end ---- */

static void an_idle_server_ends_at_once(void **state)
{
    struct http_server_conf conf;
    struct rig g;

    (void)state;
    rig_defaults(&conf);
    rig_open(&g, &conf);
    http_server_close(g.server, 60000, rig_on_closed, &g);
    assert_int_equal(g.closed, 0); /* never from within */
    rig_until(&g, &g.closed, 1);
    rig_finish(&g);
}

static void draining_finishes_what_is_under_way_and_takes_nothing_new(void **state)
{
    struct peer busy, idle, half;
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    struct rig g;
    int fd;

    (void)state;
    open_default(&g, &busy);
    peer_connect(&idle, &g);
    peer_connect(&half, &g);
    g.when = ANSWER_NEVER;
    peer_text(&busy, &g, GET GET);
    peer_text(&half, &g, "GET / HT");
    rig_until(&g, &g.ends, 1);
    rig_until_connections(&g, 3);
    addr.sin_port = htons((uint16_t)http_server_port(g.server));

    http_server_close(g.server, 60000, rig_on_closed, &g);
    peer_expect_eof(&idle, &g);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), -1);
    close(fd);
    assert_int_equal(g.closed, 0);
    http_reply_text(g.held, 200, "done");
    peer_expect_eof(&busy, &g);
    assert_int_equal(peer_count(&busy, "Connection: close\r\n"), 1);
    assert_int_equal(peer_count(&busy, "done"), 1);
    g.when = ANSWER_AT_END;
    peer_text(&half, &g, "TP/1.1\r\nHost: a\r\n\r\n");
    peer_expect_eof(&half, &g);
    assert_int_equal(peer_count(&half, "200 OK"), 1);
    rig_until(&g, &g.closed, 1);
    assert_int_equal(g.gones + g.refusals, 0);
    peer_close(&busy);
    peer_close(&idle);
    peer_close(&half);
    rig_finish(&g);
}

static void a_request_that_was_sent_before_the_drain_is_answered(void **state)
{
    struct peer p, q;
    struct rig g;

    (void)state;
    open_default(&g, &p);
    peer_text(&p, &g, GET);
    peer_expect(&p, &g, "200 OK", 1);
    peer_connect(&q, &g);
    assert_true(send(p.fd, GET, strlen(GET), 0) > 0); /* in the socket, not yet read */
    assert_true(send(q.fd, GET, strlen(GET), 0) > 0); /* in the backlog, not yet accepted */
    http_server_close(g.server, 60000, rig_on_closed, &g);
    peer_expect_eof(&p, &g);
    assert_int_equal(peer_count(&p, "200 OK"), 2);
    assert_int_equal(peer_count(&p, "Connection: close"), 1);
    peer_expect_eof(&q, &g);
    assert_int_equal(peer_count(&q, "200 OK"), 1);
    rig_until(&g, &g.closed, 1);
    peer_close(&p);
    peer_close(&q);
    rig_finish(&g);
}

static void a_connection_kept_by_an_answer_just_before_the_drain_is_closed_after_it(void **state)
{
    struct peer p;
    struct rig g;

    (void)state;
    open_default(&g, &p);
    g.when = ANSWER_NEVER;
    peer_text(&p, &g, GET);
    rig_until(&g, &g.ends, 1);
    http_reply_text(g.held, 200, "kept");
    http_server_close(g.server, 60000, rig_on_closed, &g);
    rig_until(&g, &g.closed, 1);
    peer_expect_eof(&p, &g);
    assert_int_equal(peer_count(&p, "kept"), 1);
    peer_close(&p);
    rig_finish(&g);
}

static void a_request_that_is_on_its_way_when_the_drain_begins_is_answered(void **state)
{
    struct peer p;
    struct rig g;

    (void)state;
    open_default(&g, &p);
    peer_text(&p, &g, GET);
    peer_expect(&p, &g, "200 OK", 1);
    http_server_close(g.server, 60000, rig_on_closed, &g);
    rig_turn(&g);
    peer_text(&p, &g, GET);
    peer_expect_eof(&p, &g);
    assert_int_equal(peer_count(&p, "200 OK"), 2);
    rig_until(&g, &g.closed, 1);
    peer_close(&p);
    rig_finish(&g);
}

static void a_drain_ends_after_its_time(void **state)
{
    struct peer p;
    struct rig g;

    (void)state;
    open_default(&g, &p);
    g.when = ANSWER_NEVER;
    peer_text(&p, &g, GET);
    rig_until(&g, &g.ends, 1);
    http_server_close(g.server, 20, rig_on_closed, &g);
    rig_until(&g, &g.closed, 1);
    assert_int_equal(g.gones, 1);
    peer_close(&p);
    rig_finish(&g);
}

static void a_second_close_ends_the_drain_now(void **state)
{
    struct peer p, q;
    struct rig g;

    (void)state;
    open_default(&g, &p);
    peer_connect(&q, &g);
    g.when = ANSWER_NEVER;
    peer_text(&p, &g, GET);
    peer_text(&q, &g, POST "Content-Length: 3\r\n\r\na");
    rig_until(&g, &g.ends, 1);
    rig_until(&g, &g.heads, 2);
    http_server_close(g.server, 60000, rig_on_closed, &g);
    rig_turn(&g);
    http_server_close(g.server, 0, NULL, NULL);
    rig_until(&g, &g.closed, 1);
    assert_int_equal(g.gones, 2);
    assert_int_equal(g.closed, 1);
    peer_close(&p);
    peer_close(&q);
    rig_finish(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_address_is_refused_with_its_reason),
        cmocka_unit_test(an_ipv6_literal_is_understood),
        cmocka_unit_test(a_port_in_use_is_refused),
        cmocka_unit_test(a_unix_socket_has_its_mode_and_tells_the_peers_uid),
        cmocka_unit_test(a_socket_file_is_replaced_only_when_nobody_listens),
        cmocka_unit_test(connections_above_the_limit_wait_in_the_backlog),
        cmocka_unit_test(without_descriptors_accepting_waits_and_does_not_spin),
        cmocka_unit_test(connections_of_one_address_are_limited_and_those_of_others_are_not),
        cmocka_unit_test(the_client_is_whom_a_trusted_proxy_names),
        cmocka_unit_test(an_idle_server_ends_at_once),
        cmocka_unit_test(draining_finishes_what_is_under_way_and_takes_nothing_new),
        cmocka_unit_test(a_request_that_was_sent_before_the_drain_is_answered),
        cmocka_unit_test(a_connection_kept_by_an_answer_just_before_the_drain_is_closed_after_it),
        cmocka_unit_test(a_request_that_is_on_its_way_when_the_drain_begins_is_answered),
        cmocka_unit_test(a_drain_ends_after_its_time),
        cmocka_unit_test(a_second_close_ends_the_drain_now),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
