/*
 * test_http_server.c - what one connection lives through: answers, waiting, bodies, early
 * answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "http_peer.h"
#include "net/http_conn.h"

#define H    "Host: a\r\n"
#define GET  "GET / HTTP/1.1\r\n" H "\r\n"
#define POST "POST /p HTTP/1.1\r\n" H

/* ---- answers ---- */

static void an_answer_has_a_date_and_a_length_and_names_no_server(void **state)
{
    struct rig g;
    struct peer p;

    (void)state;
    open_default(&g, &p);
    g.reply.content_type = "application/json";
    peer_text(&p, &g, "GET /abc HTTP/1.1\r\n" H "\r\n");
    peer_expect(&p, &g, "\r\n\r\nGET /abc", 1);
    assert_int_equal(strncmp(p.got.data, "HTTP/1.1 200 OK\r\nDate: ", 23), 0);
    assert_int_equal(peer_count(&p, " GMT\r\n"), 1);
    assert_int_equal(peer_count(&p, "\r\nContent-Length: 8\r\n"), 1);
    assert_int_equal(peer_count(&p, "\r\nContent-Type: application/json\r\n"), 1);
    assert_int_equal(peer_count(&p, "Server:"), 0);
    assert_int_equal(peer_count(&p, "Connection:"), 0);
    assert_string_equal(g.peer, "127.0.0.1");
    assert_true(g.peer_uid == -1);
    close_both(&g, &p);
}

static void head_and_204_are_answered_without_a_body(void **state)
{
    struct rig g;
    struct peer p;

    (void)state;
    open_default(&g, &p);
    g.reply.body = STR("0123456789");
    peer_text(&p, &g, "HEAD / HTTP/1.1\r\n" H "\r\n");
    peer_expect(&p, &g, "Content-Length: 10\r\n\r\n", 1);
    g.reply.status = 204;
    peer_text(&p, &g, GET);
    peer_expect(&p, &g, "204 No Content", 1);
    rig_for(&g, 5);
    peer_read(&p);
    assert_int_equal(peer_count(&p, "Content-Length"), 1);
    assert_int_equal(peer_count(&p, "0123"), 0);
    close_both(&g, &p);
}

static void a_handlers_header_cannot_break_out_of_its_line(void **state)
{
    sl_header headers[] = {
        { STR("X-Good"), STR("yes") },          { STR("X-Bad"), STR("a\r\nX-Evil: 1") },
        { STR("X-Evil: 2\r\nX"), STR("b") },    { STR("Content-Length"), STR("99") },
        { STR("Transfer-Encoding"), STR("x") }, { STR("connection"), STR("x") },
    };
    struct rig g;
    struct peer p;

    (void)state;
    open_default(&g, &p);
    g.reply.headers = headers;
    g.reply.n_headers = sizeof(headers) / sizeof(headers[0]);
    g.reply.content_type = "text/plain\r\nX-Evil: 3";
    peer_text(&p, &g, GET);
    peer_expect(&p, &g, "\r\n\r\nGET /", 1);
    assert_int_equal(peer_count(&p, "X-Good: yes\r\n"), 1);
    assert_int_equal(peer_count(&p, "Evil"), 0);
    assert_int_equal(peer_count(&p, "Content-Length:"), 1);
    assert_int_equal(peer_count(&p, "Transfer-Encoding"), 0);
    close_both(&g, &p);
}

static void http_1_0_is_told_that_the_connection_stays(void **state)
{
    struct rig g;
    struct peer p;

    (void)state;
    open_default(&g, &p);
    peer_text(&p, &g, "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    peer_expect(&p, &g, "\r\nConnection: keep-alive\r\n", 1);
    peer_text(&p, &g, "GET /2 HTTP/1.0\r\n\r\n");
    peer_expect_eof(&p, &g);
    assert_int_equal(peer_count(&p, "\r\nConnection: close\r\n"), 1);
    close_both(&g, &p);
}

static void a_handler_can_close(void **state)
{
    struct rig g;
    struct peer p;

    (void)state;
    open_default(&g, &p);
    g.reply.close = true;
    peer_text(&p, &g, GET GET);
    peer_expect_eof(&p, &g);
    assert_int_equal(peer_count(&p, "Connection: close"), 1);
    assert_int_equal(g.heads, 1);
    close_both(&g, &p);
}

static void headers_are_found_without_case(void **state)
{
    struct rig g;
    struct peer p;
    bool found;
    size_t n;

    (void)state;
    open_default(&g, &p);
    g.when = ANSWER_NEVER;
    peer_text(&p, &g, "GET /a?b=c HTTP/1.1\r\n" H "X_Y: no\r\nX-Y: yes\r\nX-Empty:\r\n\r\n");
    rig_until(&g, &g.ends, 1);
    assert_true(str_eq(http_header(g.held, "x-y", &found), STR("yes")) && found);
    assert_true(http_header(g.held, "X-EMPTY", &found).len == 0 && found);
    assert_true(http_header(g.held, "x-none", &found).len == 0 && !found);
    assert_true(http_header(g.held, "x-none", NULL).len == 0);
    http_headers(g.held, &n);
    assert_int_equal(n, 4);
    assert_true(str_eq(http_query(g.held), STR("b=c")));
    assert_true(str_eq(http_target(g.held), STR("/a?b=c")));
    reply_text(&g, "x");
    close_both(&g, &p);
}

static void the_body_can_be_taken_over(void **state)
{
    struct rig g;
    struct peer p;
    size_t len;
    char *body;

    (void)state;
    open_default(&g, &p);
    g.when = ANSWER_NEVER;
    peer_text(&p, &g, POST "Content-Length: 5\r\n\r\nhello");
    rig_until(&g, &g.ends, 1);
    body = http_body_steal(g.held, &len);
    assert_int_equal(http_body(g.held).len, 0);
    reply_text(&g, "x");
    peer_expect(&p, &g, "200 OK", 1);
    assert_int_equal(len, 5);
    assert_memory_equal(body, "hello", 5);
    free(body);
    close_both(&g, &p);
}

/* ---- one at a time ---- */

static void the_second_request_waits_for_the_first_answer(void **state)
{
    struct rig g;
    struct peer p;

    (void)state;
    open_default(&g, &p);
    g.when = ANSWER_NEVER;
    peer_text(&p, &g, GET "GET /2 HTTP/1.1\r\n" H "\r\n");
    rig_for(&g, 5);
    assert_int_equal(g.heads, 1);
    reply_text(&g, "first");
    assert_int_equal(g.heads, 1); /* never from within the answer */
    peer_expect(&p, &g, "first", 1);
    rig_until(&g, &g.ends, 2);
    reply_text(&g, "second");
    peer_expect(&p, &g, "second", 1);
    close_both(&g, &p);
}

static void thousands_of_pipelined_requests_are_answered_in_order(void **state)
{
    enum { N = 2000 };
    struct buf all = { 0 };
    struct rig g;
    struct peer p;
    const char *at;

    (void)state;
    open_default(&g, &p);
    g.when = ANSWER_AT_HEAD;
    for (int i = 0; i < N; i++)
        buf_printf(&all, "GET /<%d> HTTP/1.1\r\n" H "\r\n", i);
    peer_send(&p, &g, all.data, all.len);
    peer_expect(&p, &g, "HTTP/1.1 200", N);
    peer_expect(&p, &g, "GET /<", N);
    at = p.got.data;
    for (int i = 0; i < N; i++) {
        char want[20];

        snprintf(want, sizeof(want), "/<%d>", i);
        assert_non_null(at = strstr(at, want));
    }
    buf_finish(&all);
    close_both(&g, &p);
}

static void who_sends_many_requests_at_once_does_not_keep_the_loop_to_himself(void **state)
{
    struct buf all = { 0 };
    struct peer greedy, modest;
    struct rig g;

    (void)state;
    open_default(&g, &greedy);
    peer_connect(&modest, &g);
    rig_until_connections(&g, 2);
    for (int i = 0; i < 200; i++)
        buf_cstr(&all, GET);
    assert_true(send(greedy.fd, all.data, all.len, 0) == (ssize_t)all.len);
    assert_true(send(modest.fd, GET, strlen(GET), 0) > 0);
    for (int i = 0; i < 3; i++)
        rig_turn(&g);
    peer_read(&greedy);
    peer_read(&modest);
    assert_int_equal(peer_count(&modest, "200 OK"), 1);
    assert_true(peer_count(&greedy, "200 OK") <= 3); /* one in a turn */
    peer_expect(&greedy, &g, "200 OK", 200);
    buf_finish(&all);
    peer_close(&modest);
    close_both(&g, &greedy);
}

static void bytes_behind_a_request_are_bounded(void **state)
{
    struct rig g;
    struct peer p;
    struct conn *c;
    static char junk[65536];
    size_t sent = 0;

    (void)state;
    open_default(&g, &p);
    g.when = ANSWER_NEVER;
    peer_text(&p, &g, GET);
    rig_until(&g, &g.ends, 1);
    c = list_entry(list_first(&g.server->conns), struct conn, link);
    for (int idle = 0; idle < 100 && sent < (256u << 20);) { /* until the sockets are full, too */
        ssize_t n = send(p.fd, junk, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL);

        idle = n > 0 ? 0 : idle + 1;
        sent += n > 0 ? (size_t)n : 0;
        rig_turn(&g);
        assert_true(c->in.len <= HTTP_BEHIND_BYTES);
    }
    assert_true(sent < (256u << 20));
    assert_int_equal(c->in.len, HTTP_BEHIND_BYTES);
    assert_false(c->reading);
    reply_text(&g, "first"); /* then the junk is looked at, and refused */
    peer_expect(&p, &g, "400 Bad", 1);
    close_both(&g, &p);
}

static void an_idle_connection_holds_next_to_nothing(void **state)
{
    struct rig g;
    struct peer p;
    struct conn *c;

    (void)state;
    assert_true(sizeof(struct conn) <= 1280);
    open_default(&g, &p);
    peer_text(&p, &g, POST "Content-Length: 3\r\n\r\nabc" GET);
    peer_expect(&p, &g, "200 OK", 2);
    rig_for(&g, 2);
    c = list_entry(list_first(&g.server->conns), struct conn, link);
    assert_int_equal(c->state, CONN_IDLE);
    assert_true(!c->request && !c->in.data && !c->out.data);
    close_both(&g, &p);
}

/* ---- bodies, early answers ---- */

static void continue_is_sent_only_when_the_handler_wants_the_body(void **state)
{
    struct rig g;
    struct peer p;

    (void)state;
    open_default(&g, &p);
    peer_text(&p, &g, POST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    peer_expect(&p, &g, "HTTP/1.1 100 Continue\r\n\r\n", 1);
    peer_text(&p, &g, "abc");
    peer_expect(&p, &g, "200 OK", 1);
    g.when = ANSWER_AT_HEAD;
    g.reply.status = 401;
    peer_text(&p, &g, POST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    peer_expect_eof(&p, &g);
    assert_int_equal(peer_count(&p, "100 Continue"), 1);
    assert_int_equal(peer_count(&p, "401 Unauthorized"), 1);
    assert_int_equal(peer_count(&p, "Connection: close"), 1);
    assert_int_equal(g.gones + g.refusals, 0);
    close_both(&g, &p);
}

static void an_early_answer_reaches_a_peer_that_goes_on_sending(void **state)
{
    static char body[1 << 20];
    static const enum answer_when whens[] = { ANSWER_AT_HEAD, ANSWER_AT_BODY };

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct rig g;
        struct peer p;

        open_default(&g, &p);
        g.when = whens[i];
        g.reply.status = 401;
        peer_text(&p, &g, POST "Content-Length: 1048576\r\n\r\n");
        assert_true(peer_send(&p, &g, body, sizeof(body)));
        peer_expect_eof(&p, &g); /* and no reset */
        assert_int_equal(peer_count(&p, "401 Unauthorized"), 1);
        assert_int_equal(g.ends + g.gones, 0);
        close_both(&g, &p);
    }
}

static void a_peer_that_sends_for_ever_after_the_answer_is_cut_off(void **state)
{
    static char body[1 << 20];
    struct rig g;
    struct peer p;
    int sent = 0;

    (void)state;
    open_default(&g, &p);
    peer_text(&p, &g, POST "Content-Length: 99999999\r\n\r\n");
    while (peer_send(&p, &g, body, sizeof(body)))
        assert_true(++sent < 64);
    assert_string_equal(g.refused_why, "body too large");
    rig_until_connections(&g, 0);
    close_both(&g, &p);
}

static void a_streamed_body_is_only_handed_on(void **state)
{
    struct http_server_conf conf;
    struct rig g;
    struct peer p;

    (void)state;
    rig_defaults(&conf);
    conf.max_body_bytes = 12;
    rig_open_streaming(&g, &conf);
    peer_connect(&p, &g);
    peer_text(&p, &g, POST "Content-Length: 12\r\n\r\nhello");
    rig_for(&g, 5);
    peer_text(&p, &g, ", world" GET); /* the rig checks length, pieces and http_body() */
    peer_expect(&p, &g, "200 OK", 2);
    peer_text(&p, &g, POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n");
    peer_expect(&p, &g, "200 OK", 3);
    assert_true(str_eq(buf_view(&g.seen), STR("POST /p[hello, world] GET /[] POST /p[abcdef] ")));
    peer_text(&p, &g, POST "Transfer-Encoding: chunked\r\n\r\nd\r\n");
    peer_expect(&p, &g, "413 Content Too Large", 1); /* the limit holds as ever */
    peer_expect_eof(&p, &g);
    assert_int_equal(g.gones, 1);
    close_both(&g, &p);
}

static void an_answer_at_the_last_piece_of_a_body_keeps_the_connection(void **state)
{
    struct http_server_conf conf;
    struct rig g;
    struct peer p;

    (void)state;
    rig_defaults(&conf);
    rig_open_streaming(&g, &conf);
    peer_connect(&p, &g);
    g.when = ANSWER_AT_BODY;
    peer_text(&p, &g, POST "Content-Length: 5\r\n\r\nhello" POST "Content-Length: 5\r\n\r\nworld");
    peer_expect(&p, &g, "200 OK", 2);
    assert_int_equal(peer_count(&p, "Connection: close"), 0);
    peer_text(&p, &g, POST "Content-Length: 5\r\n\r\nhell");
    peer_expect_eof(&p, &g);
    assert_int_equal(peer_count(&p, "Connection: close"), 1);
    assert_int_equal(g.ends + g.gones + g.refusals, 0);
    close_both(&g, &p);
}

static void an_answer_at_the_head_keeps_the_connection_when_there_is_no_body(void **state)
{
    struct rig g;
    struct peer p;

    (void)state;
    open_default(&g, &p);
    g.when = ANSWER_AT_HEAD;
    peer_text(&p, &g, GET POST "Content-Length: 0\r\n\r\n" GET);
    peer_expect(&p, &g, "200 OK", 3);
    assert_int_equal(g.ends, 0);
    close_both(&g, &p);
}

static void a_handler_can_lower_and_raise_the_limit_of_a_body(void **state)
{
    struct http_server_conf conf;
    struct rig g;
    struct peer p;

    (void)state;
    rig_defaults(&conf);
    conf.max_body_bytes = 10;
    rig_open(&g, &conf);
    peer_connect(&p, &g);
    g.limit_body = 12;
    peer_text(&p, &g, POST "Content-Length: 12\r\n\r\nhello, world");
    peer_expect(&p, &g, "200 OK", 1);
    peer_text(&p, &g, POST "Transfer-Encoding: chunked\r\n\r\nc\r\nhello, world\r\n0\r\n\r\n");
    peer_expect(&p, &g, "200 OK", 2);
    g.limit_body = 3;
    peer_text(&p, &g, POST "Content-Length: 4\r\n\r\n");
    peer_expect(&p, &g, "413 Content Too Large", 1); /* not a byte of it was read */
    peer_expect_eof(&p, &g);
    assert_int_equal(g.gones, 1);
    assert_int_equal(g.refused_status, 413);
    assert_string_equal(g.refused_why, "body too large");
    close_both(&g, &p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_has_a_date_and_a_length_and_names_no_server),
        cmocka_unit_test(head_and_204_are_answered_without_a_body),
        cmocka_unit_test(a_handlers_header_cannot_break_out_of_its_line),
        cmocka_unit_test(http_1_0_is_told_that_the_connection_stays),
        cmocka_unit_test(a_handler_can_close),
        cmocka_unit_test(headers_are_found_without_case),
        cmocka_unit_test(the_body_can_be_taken_over),
        cmocka_unit_test(the_second_request_waits_for_the_first_answer),
        cmocka_unit_test(thousands_of_pipelined_requests_are_answered_in_order),
        cmocka_unit_test(who_sends_many_requests_at_once_does_not_keep_the_loop_to_himself),
        cmocka_unit_test(bytes_behind_a_request_are_bounded),
        cmocka_unit_test(an_idle_connection_holds_next_to_nothing),
        cmocka_unit_test(continue_is_sent_only_when_the_handler_wants_the_body),
        cmocka_unit_test(an_early_answer_reaches_a_peer_that_goes_on_sending),
        cmocka_unit_test(a_peer_that_sends_for_ever_after_the_answer_is_cut_off),
        cmocka_unit_test(a_streamed_body_is_only_handed_on),
        cmocka_unit_test(an_answer_at_the_last_piece_of_a_body_keeps_the_connection),
        cmocka_unit_test(an_answer_at_the_head_keeps_the_connection_when_there_is_no_body),
        cmocka_unit_test(a_handler_can_lower_and_raise_the_limit_of_a_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
