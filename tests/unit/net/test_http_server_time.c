/*
 * test_http_server_time.c - what ends a connection: limits of time, peers that go.
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
#include "base/clock.h"
#include "http_peer.h"
#include "net/http_conn.h"

#define H    "Host: a\r\n"
#define GET  "GET / HTTP/1.1\r\n" H "\r\n"
#define POST "POST /p HTTP/1.1\r\n" H

/* ---- time ---- */

static void open_short(struct rig *g, struct peer *p)
{
    struct http_server_conf conf;

    rig_defaults(&conf);
    conf.head_ms = conf.body_ms = conf.idle_ms = conf.write_ms = 40;
    rig_open(g, &conf);
    peer_connect(p, g);
}

static void a_dripping_head_is_cut_off_by_the_total_time(void **state)
{
    struct http_server_conf conf;
    struct rig g;
    struct peer p;

    (void)state;
    rig_defaults(&conf);
    conf.head_ms = 40;
    rig_open(&g, &conf);
    peer_connect(&p, &g);
    for (int i = 0; i < 1000 && !g.refusals; i++) {
        peer_text(&p, &g, i ? "x" : "GET /");
        rig_for(&g, 5); /* each byte would renew a limit on inactivity */
    }
    peer_expect_eof(&p, &g);
    assert_int_equal(peer_count(&p, "408 Request Timeout"), 1);
    assert_string_equal(g.refused_why, "head too slow");
    assert_int_equal(g.heads, 0);
    close_both(&g, &p);
}

static void a_stalled_body_is_cut_off_and_the_handler_is_told(void **state)
{
    struct rig g;
    struct peer p;

    (void)state;
    open_short(&g, &p);
    peer_text(&p, &g, POST "Content-Length: 1000000\r\n\r\nabc");
    peer_expect_eof(&p, &g);
    assert_int_equal(peer_count(&p, "408 Request Timeout"), 1);
    assert_string_equal(g.refused_why, "body too slow");
    assert_int_equal(g.gones, 1);
    close_both(&g, &p);
}

/* A kilobyte in 10 ms, for three times as long as a body has that stalls. Was it taken whole?
 * *ret_gap_ms: how long we stood still at most, which may be as bad as a peer that does. */
static bool takes_a_steady_body(uint64_t *ret_gap_ms)
{
    static const char kilobyte[1024];
    uint64_t last = clock_mono_ms(), now;
    struct rig g;
    struct peer p;
    bool taken;

    open_short(&g, &p);
    peer_text(&p, &g, POST "Content-Length: 12288\r\n\r\n");
    *ret_gap_ms = 0;
    for (int i = 0; i < 12; i++, last = now) {
        rig_for(&g, 10);
        peer_send(&p, &g, kilobyte, sizeof(kilobyte));
        now = clock_mono_ms();
        *ret_gap_ms = now - last > *ret_gap_ms ? now - last : *ret_gap_ms;
    }
    while (!p.eof && !p.error && peer_count(&p, "HTTP/1.1 ") == 0) {
        rig_for(&g, 1);
        peer_read(&p);
    }
    taken = peer_count(&p, "200 OK") == 1;
    close_both(&g, &p);
    return taken;
}

static void a_body_above_the_floor_gets_the_time_it_needs(void **state)
{
    uint64_t gap_ms = 0;
    bool taken = false;

    (void)state;
    for (int i = 0; i < 50 && !taken && (i == 0 || gap_ms >= 20); i++)
        taken = takes_a_steady_body(&gap_ms);
    assert_true(taken);
}

static void an_idle_connection_is_closed_without_a_word(void **state)
{
    struct rig g;
    struct peer p;

    (void)state;
    open_short(&g, &p);
    peer_expect_eof(&p, &g);
    assert_int_equal(p.got.len + (size_t)g.refusals, 0);
    peer_close(&p);
    peer_connect(&p, &g);
    peer_text(&p, &g, GET);
    peer_expect(&p, &g, "200 OK", 1);
    peer_expect_eof(&p, &g);
    assert_int_equal(g.refusals, 0);
    close_both(&g, &p);
}

static void a_handler_may_take_longer_than_any_limit(void **state)
{
    struct rig g;
    struct peer p;

    (void)state;
    open_short(&g, &p);
    g.when = ANSWER_NEVER;
    peer_text(&p, &g, GET);
    rig_for(&g, 120);
    reply_text(&g, "late");
    peer_expect(&p, &g, "late", 1);
    close_both(&g, &p);
}

static void a_peer_that_does_not_take_the_answer_is_cut_off(void **state)
{
    static char body[32 << 20];
    struct rig g;
    struct peer p;

    (void)state;
    open_short(&g, &p);
    g.reply.body = (sl_str){ body, sizeof(body) };
    assert_true(send(p.fd, GET, strlen(GET), 0) > 0); /* and reads nothing */
    rig_until(&g, &g.ends, 1);
    rig_until_connections(&g, 0);
    close_both(&g, &p);
}

/* ---- peers that go ---- */

static void reset(struct peer *p)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };

    setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    peer_close(p);
}

static void a_handler_is_told_when_the_peer_is_gone_before_the_answer(void **state)
{
    struct rig g;
    struct peer p;

    (void)state;
    open_default(&g, &p);
    g.when = ANSWER_NEVER;
    peer_text(&p, &g, GET);
    rig_until(&g, &g.ends, 1);
    reset(&p);
    rig_until(&g, &g.gones, 1);
    assert_null(g.held);
    rig_until_connections(&g, 0);

    peer_connect(&p, &g);
    peer_text(&p, &g, POST "Content-Length: 5\r\n\r\nab");
    rig_until(&g, &g.heads, 2);
    peer_close(&p); /* in the middle of the body an orderly end is one as well */
    rig_until(&g, &g.gones, 2);
    assert_int_equal(g.ends, 1);
    close_both(&g, &p);
}

static void a_peer_that_only_ends_its_side_gets_its_answers(void **state)
{
    struct rig g;
    struct peer p;

    (void)state;
    open_default(&g, &p);
    g.when = ANSWER_NEVER;
    peer_text(&p, &g, GET "GET /2 HTTP/1.1\r\n" H "\r\nGET /half");
    shutdown(p.fd, SHUT_WR);
    rig_until(&g, &g.ends, 1);
    rig_for(&g, 5);
    reply_text(&g, "first");
    rig_until(&g, &g.ends, 2);
    reply_text(&g, "second");
    peer_expect_eof(&p, &g);
    assert_int_equal(peer_count(&p, "first") + peer_count(&p, "second"), 2);
    assert_int_equal(g.gones + g.refusals, 0);
    close_both(&g, &p);
}

static void an_answer_to_a_peer_that_went_does_no_harm(void **state)
{
    struct rig g;
    struct peer p;

    (void)state;
    open_default(&g, &p);
    g.when = ANSWER_NEVER;
    peer_text(&p, &g, GET);
    rig_until(&g, &g.ends, 1);
    reset(&p);
    reply_text(&g, "into the void"); /* the loop has not told of the reset yet */
    rig_until_connections(&g, 0);
    assert_int_equal(g.gones, 0);
    close_both(&g, &p);
}

static void a_peer_that_goes_in_the_middle_of_the_answer_does_no_harm(void **state)
{
    static char body[32 << 20];
    struct rig g;
    struct peer p;

    (void)state;
    signal(SIGPIPE, SIG_DFL);
    open_default(&g, &p);
    g.reply.body = (sl_str){ body, sizeof(body) };
    assert_true(send(p.fd, GET, strlen(GET), 0) > 0);
    rig_until(&g, &g.ends, 1);
    reset(&p);
    rig_until_connections(&g, 0);
    assert_int_equal(g.gones, 0);
    close_both(&g, &p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dripping_head_is_cut_off_by_the_total_time),
        cmocka_unit_test(a_stalled_body_is_cut_off_and_the_handler_is_told),
        cmocka_unit_test(a_body_above_the_floor_gets_the_time_it_needs),
        cmocka_unit_test(an_idle_connection_is_closed_without_a_word),
        cmocka_unit_test(a_handler_may_take_longer_than_any_limit),
        cmocka_unit_test(a_peer_that_does_not_take_the_answer_is_cut_off),
        cmocka_unit_test(a_handler_is_told_when_the_peer_is_gone_before_the_answer),
        cmocka_unit_test(a_peer_that_only_ends_its_side_gets_its_answers),
        cmocka_unit_test(an_answer_to_a_peer_that_went_does_no_harm),
        cmocka_unit_test(a_peer_that_goes_in_the_middle_of_the_answer_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
