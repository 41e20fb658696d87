/*
 * What the client makes of peers that fail, hang or lie: the error, the phase, and above all
 * whether the request may have left.
 */
#include "../check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "client_rig.h"

static struct rig rig;

static int up(void **state)
{
    (void)state;
    rig_open(&rig, NULL);
    return 0;
}

static int down(void **state)
{
    (void)state;
    rig_close(&rig);
    return 0;
}

static void ends(const struct outcome *o, int error, enum http_phase phase, bool sent)
{
    if (o->error != error || o->phase != phase || o->sent != sent || !o->why[0])
        fail_msg("%s in %s, sent=%d: \"%s\"", uv_err_name(o->error), http_phase_names[o->phase],
                 o->sent, o->why);
    assert_int_equal(o->status, 0);
    assert_int_equal(o->body_len, 0);
}

static void a_refused_connection_sent_nothing(void **state)
{
    struct peer gone;

    (void)state;
    peer_open(&gone, &rig.loop, NULL, NULL);
    snprintf(rig.base, sizeof(rig.base), "http://127.0.0.1:%u", gone.port);
    peer_close(&gone);
    rig_pass(&rig, 1);
    ends(rig_fetch(&rig, "/"), UV_ECONNREFUSED, HTTP_PHASE_CONNECT, false);
}

static void a_process_out_of_descriptors_sent_nothing(void **state)
{
    struct rlimit limit, none;
    int fd = dup(0); /* the lowest that is free */

    (void)state;
    close(fd);
    getrlimit(RLIMIT_NOFILE, &limit);
    none = limit;
    none.rlim_cur = (rlim_t)fd;
    setrlimit(RLIMIT_NOFILE, &none);
    ends(rig_fetch(&rig, "/"), UV_EMFILE, HTTP_PHASE_CONNECT, false);
    setrlimit(RLIMIT_NOFILE, &limit);
    peer_say(&rig.peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", PEER_KEEP);
    assert_int_equal(rig_fetch(&rig, "/")->error, 0);
}

static void a_reset_after_the_request_is_unknown(void **state)
{
    (void)state;
    peer_say(&rig.peer, "", PEER_RESET);
    ends(rig_fetch(&rig, "/"), UV_ECONNRESET, HTTP_PHASE_WAIT, true);
    assert_int_equal(rig.peer.requests, 1); /* and was not sent again */
}

static void a_close_instead_of_an_answer_is_unknown(void **state)
{
    (void)state;
    peer_say(&rig.peer, "", PEER_CLOSE);
    ends(rig_fetch(&rig, "/"), UV_EOF, HTTP_PHASE_WAIT, true);
    assert_int_equal(rig.peer.requests, 1);
}

static void a_reset_at_once_is_told_and_not_retried(void **state)
{
    struct outcome *o;

    (void)state;
    rig.peer.resets = true;
    o = rig_fetch(&rig, "/");
    assert_true(o->error == UV_ECONNRESET || o->error == UV_EPIPE);
    assert_int_equal(rig.peer.requests, 0);
    assert_int_equal(rig.peer.accepted, 1);
}

static void a_torn_body_is_no_answer(void **state)
{
    static const char *const torn[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 100 Continue\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(torn) / sizeof(*torn); i++) {
        peer_say(&rig.peer, torn[i], PEER_CLOSE);
        ends(rig_fetch(&rig, "/"), UV_EOF, HTTP_PHASE_RECEIVE, true);
    }
}

static void a_reset_is_no_end_of_a_body(void **state)
{
    struct outcome *o;

    (void)state;
    peer_say(&rig.peer, "HTTP/1.1 200 OK\r\n\r\nso far", PEER_KEEP);
    o = rig_get(&rig, "/");
    while (rig.peer.requests == 0)
        uv_run(&rig.loop, UV_RUN_ONCE);
    rig_pass(&rig, 5);
    peer_drop(&rig.peer, PEER_RESET);
    rig_run(&rig);
    ends(o, UV_ECONNRESET, HTTP_PHASE_RECEIVE, true);
}

static void bytes_before_the_request_are_an_error(void **state)
{
    struct outcome *o;

    (void)state;
    rig.peer.greets = "SSH-2.0-OpenSSH_9.2\r\n";
    o = rig_fetch(&rig, "/");
    assert_int_equal(o->error, UV_EPROTO);
    assert_true(o->sent);
}

static void bytes_behind_the_answer_end_the_connection(void **state)
{
    struct outcome *o;

    (void)state;
    peer_say(&rig.peer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n",
             PEER_KEEP);
    o = rig_fetch(&rig, "/");
    assert_int_equal(o->error, 0);
    assert_string_equal(o->body, "ok");
    assert_int_equal(http_client_connections(rig.client), 0);
}

static void an_answer_too_large_is_an_error(void **state)
{
    static char big[200000];

    (void)state;
    rig.conf.max_answer = 1000;
    rig.conf.max_answer_head = 2000;
    peer_say(&rig.peer, "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", PEER_KEEP);
    ends(rig_fetch(&rig, "/"), UV_E2BIG, HTTP_PHASE_RECEIVE, true);
    memset(big, 'x', sizeof(big) - 1);
    memcpy(big, "HTTP/1.0 200 OK\r\n\r\n", 19);
    peer_say(&rig.peer, big, PEER_CLOSE);
    ends(rig_fetch(&rig, "/"), UV_E2BIG, HTTP_PHASE_RECEIVE, true);
    memcpy(big, "HTTP/1.1 200 OK\r\nX:", 19);
    peer_say(&rig.peer, big, PEER_KEEP);
    ends(rig_fetch(&rig, "/"), UV_E2BIG, HTTP_PHASE_RECEIVE, true);
    peer_say(&rig.peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffff\r\n",
             PEER_KEEP);
    ends(rig_fetch(&rig, "/"), UV_E2BIG, HTTP_PHASE_RECEIVE, true);
}

static void an_answer_before_the_whole_request_counts_and_ends_the_connection(void **state)
{
    size_t n = 32u << 20;
    char *big = calloc(1, n);
    struct outcome *o;

    (void)state;
    rig.peer.early = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n";
    o = rig_call(&rig, "POST", "/", (sl_str){ big, n });
    rig_run(&rig);
    assert_true(o->sent);
    assert_int_equal(http_client_connections(rig.client), 0);
    /* the peer closes with bytes unread, so its kernel may drop the answer with a reset */
    if (o->error != 0)
        assert_true(o->error == UV_ECONNRESET || o->error == UV_EPIPE);
    else
        assert_int_equal(o->status, 413);
    free(big);
}

/* ---- a limit for each phase ---- */

static void a_hanging_connect_ends_in_time(void **state)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(a);
    int s = socket(AF_INET, SOCK_STREAM, 0), fill[8];

    (void)state;
    assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(s, 0), 0);
    getsockname(s, (struct sockaddr *)&a, &len);
    for (int i = 0; i < 8; i++) { /* a full backlog: the kernel drops what else comes */
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fill[i], (struct sockaddr *)&a, len);
    }
    rig.conf.connect_ms = 60;
    snprintf(rig.base, sizeof(rig.base), "http://127.0.0.1:%u", ntohs(a.sin_port));
    ends(rig_fetch(&rig, "/"), UV_ETIMEDOUT, HTTP_PHASE_CONNECT, false);
    for (int i = 0; i < 8; i++)
        close(fill[i]);
    close(s);
}

static void a_hanging_handshake_ends_in_time_and_sent_nothing(void **state)
{
    (void)state;
    rig.peer.deaf = true;
    rig.conf.connect_ms = 60;
    snprintf(rig.base, sizeof(rig.base), "https://127.0.0.1:%u", rig.peer.port);
    ends(rig_fetch(&rig, "/"), UV_ETIMEDOUT, HTTP_PHASE_TLS, false);
}

static void a_peer_that_does_not_read_ends_in_time(void **state)
{
    size_t n = 32u << 20;
    char *big = calloc(1, n);
    struct outcome *o;

    (void)state;
    rig.peer.deaf = true;
    rig.conf.total_ms = 200;
    o = rig_call(&rig, "POST", "/", (sl_str){ big, n });
    rig_run(&rig);
    ends(o, UV_ETIMEDOUT, HTTP_PHASE_SEND, true);
    free(big);
}

static void a_peer_that_does_not_answer_ends_in_time(void **state)
{
    (void)state;
    rig.conf.first_byte_ms = 60;
    ends(rig_fetch(&rig, "/"), UV_ETIMEDOUT, HTTP_PHASE_WAIT, true);
}

static void a_peer_that_does_not_finish_ends_in_time(void **state)
{
    struct outcome *o;

    (void)state;
    rig.conf.total_ms = 80;
    rig.conf.first_byte_ms = 60;
    peer_say(&rig.peer, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", PEER_KEEP);
    o = rig_fetch(&rig, "/");
    ends(o, UV_ETIMEDOUT, HTTP_PHASE_RECEIVE, true);
    assert_string_equal(o->why, "not done within 80 ms");
    peer_say(&rig.peer, "HTTP/1.1 100 Continue\r\n\r\n", PEER_KEEP);
    ends(rig_fetch(&rig, "/"), UV_ETIMEDOUT, HTTP_PHASE_RECEIVE, true);
}

static void a_call_that_gets_no_connection_ends_in_time(void **state)
{
    struct outcome *a, *b;

    (void)state;
    rig.conf.max_connections = 1;
    rig.conf.total_ms = 80;
    a = rig_get(&rig, "/");
    b = rig_get(&rig, "/");
    rig_run(&rig);
    ends(a, UV_ETIMEDOUT, HTTP_PHASE_WAIT, true);
    ends(b, UV_ETIMEDOUT, HTTP_PHASE_QUEUE, false);
    assert_int_equal(rig.peer.requests, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_refused_connection_sent_nothing),
        TEST(a_process_out_of_descriptors_sent_nothing),
        TEST(a_reset_after_the_request_is_unknown),
        TEST(a_close_instead_of_an_answer_is_unknown),
        TEST(a_reset_at_once_is_told_and_not_retried),
        TEST(a_torn_body_is_no_answer),
        TEST(a_reset_is_no_end_of_a_body),
        TEST(bytes_before_the_request_are_an_error),
        TEST(bytes_behind_the_answer_end_the_connection),
        TEST(an_answer_too_large_is_an_error),
        TEST(an_answer_before_the_whole_request_counts_and_ends_the_connection),
        TEST(a_hanging_connect_ends_in_time),
        TEST(a_hanging_handshake_ends_in_time_and_sent_nothing),
        TEST(a_peer_that_does_not_read_ends_in_time),
        TEST(a_peer_that_does_not_answer_ends_in_time),
        TEST(a_peer_that_does_not_finish_ends_in_time),
        TEST(a_call_that_gets_no_connection_ends_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
