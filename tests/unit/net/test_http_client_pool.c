/*
 * The pool: reuse, the queue, idle connections, and the end of it all.
 */
#include "../check.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/rng.h"
#include "client_rig.h"
#include "net/http_call.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

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

static void say_ok(unsigned n)
{
    while (n-- > 0)
        peer_say(&rig.peer, OK, PEER_KEEP);
}

static void one_connection_serves_calls_one_after_the_other(void **state)
{
    (void)state;
    say_ok(6);
    for (int i = 0; i < 6; i++) {
        struct outcome *o = rig_fetch(&rig, "/");

        assert_int_equal(o->error, 0);
        assert_int_equal(o->reused, i > 0);
        assert_int_equal(http_client_connections(rig.client), 1);
    }
    assert_int_equal(rig.peer.accepted, 1);
}

static void a_peer_that_wants_to_close_is_not_used_again(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nConnection: x, CLOSE\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    };

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        peer_say(&rig.peer, answers[i], PEER_KEEP);
        assert_int_equal(rig_fetch(&rig, "/")->error, 0);
        assert_int_equal(http_client_connections(rig.client), i == 3);
    }
}

static void calls_beyond_the_pool_wait_in_order(void **state)
{
    struct outcome *o[12];

    (void)state;
    rig.conf.max_connections = 1;
    say_ok(12);
    for (int i = 0; i < 12; i++)
        o[i] = rig_get(&rig, "/");
    rig_run(&rig);
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(o[i]->error, 0);
        assert_int_equal(o[i]->order, i + 1);
    }
    assert_int_equal(rig.peer.accepted, 1);
}

static void the_pool_opens_no_more_than_it_may(void **state)
{
    (void)state;
    rig.conf.max_connections = 3;
    say_ok(20);
    for (int i = 0; i < 20; i++)
        rig_get(&rig, "/");
    rig_run(&rig);
    assert_int_equal(rig.peer.accepted, 3);
    assert_int_equal(rig.peer.requests, 20);
    assert_int_equal(http_client_connections(rig.client), 3);
}

static void an_idle_connection_is_closed_after_a_while(void **state)
{
    (void)state;
    rig.conf.idle_ms = 30;
    say_ok(1);
    rig_fetch(&rig, "/");
    assert_int_equal(http_client_connections(rig.client), 1);
    for (int i = 0; i < 1000 && (http_client_connections(rig.client) || rig.peer.open); i++)
        rig_pass(&rig, 10);
    assert_int_equal(http_client_connections(rig.client), 0);
    assert_int_equal(rig.peer.open, 0);
}

static void a_close_of_an_idle_connection_is_noticed_at_once(void **state)
{
    (void)state;
    say_ok(2);
    rig_fetch(&rig, "/");
    peer_drop(&rig.peer, PEER_CLOSE);
    rig_pass(&rig, 20);
    assert_int_equal(http_client_connections(rig.client), 0);
    assert_int_equal(rig_fetch(&rig, "/")->error, 0);
    assert_int_equal(rig.peer.accepted, 2);
}

static void a_connection_that_speaks_unasked_is_closed(void **state)
{
    (void)state;
    say_ok(1);
    rig_fetch(&rig, "/");
    peer_shout(&rig.peer, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
    rig_pass(&rig, 20);
    assert_int_equal(http_client_connections(rig.client), 0);
}

static void a_close_that_was_not_read_yet_is_seen_before_reuse(void **state)
{
    struct outcome *o;

    (void)state;
    say_ok(2);
    rig_fetch(&rig, "/");
    o = rig_get(&rig, "/");
    peer_fin(&rig.peer); /* the client's turn comes before the loop polls */
    rig_run(&rig);
    assert_int_equal(o->error, 0);
    assert_false(o->reused);
    assert_int_equal(rig.peer.accepted, 2);
    assert_int_equal(rig.peer.requests, 2);
}

static void an_answer_nobody_asked_for_is_never_taken_for_the_next_one(void **state)
{
    struct outcome *o;

    (void)state;
    say_ok(2);
    rig_fetch(&rig, "/");
    peer_shout(&rig.peer, "HTTP/1.1 299 Forged\r\nContent-Length: 0\r\n\r\n");
    o = rig_fetch(&rig, "/");
    assert_int_equal(o->status, 200);
    assert_false(o->reused);
}

static void a_stale_connection_that_took_nothing_is_replaced(void **state)
{
    struct outcome *o;
    uv_os_fd_t fd;

    (void)state;
    say_ok(2);
    rig_fetch(&rig, "/");
    uv_fileno((uv_handle_t *)&list_entry(list_first(&rig.client->wires), struct wire, link)->tcp,
              &fd);
    shutdown(fd, SHUT_WR); /* looks alive, but the first write fails */
    o = rig_fetch(&rig, "/");
    assert_int_equal(o->error, 0);
    assert_false(o->reused);
    assert_int_equal(rig.peer.accepted, 2);
}

static void a_pooled_connection_reset_after_our_write_is_unknown_and_not_retried(void **state)
{
    struct outcome *o;

    (void)state;
    say_ok(1);
    peer_say(&rig.peer, "", PEER_RESET);
    say_ok(1);
    rig_fetch(&rig, "/");
    o = rig_fetch(&rig, "/");
    assert_int_equal(o->error, UV_ECONNRESET);
    assert_true(o->sent);
    assert_true(o->reused);
    assert_int_equal(rig.peer.requests, 2);
}

static void a_pooled_connection_that_breaks_within_the_request_is_not_replaced(void **state)
{
    size_t n = 32u << 20;
    char *big = calloc(1, n);
    struct outcome *o;
    struct wire *w;
    uv_os_fd_t fd;

    (void)state;
    say_ok(2);
    rig_fetch(&rig, "/");
    w = list_entry(list_first(&rig.client->wires), struct wire, link);
    uv_fileno((uv_handle_t *)&w->tcp, &fd);
    o = rig_call(&rig, "POST", "/", (sl_str){ big, n });
    while (w->taken < 3 * WIRE_SLICE_BYTES)
        uv_run(&rig.loop, UV_RUN_ONCE);
    assert_int_equal(w->state, WIRE_SEND);
    shutdown(fd, SHUT_WR); /* the next write fails */
    rig_run(&rig);
    assert_int_not_equal(o->error, 0);
    assert_true(o->sent);
    assert_int_equal(rig.peer.accepted, 1);
    free(big);
}

static void an_idle_connection_makes_room_for_another_place(void **state)
{
    struct peer other;
    char url[64];

    (void)state;
    rig.conf.max_connections = 1;
    peer_open(&other, &rig.loop, NULL, NULL);
    peer_say(&other, OK, PEER_KEEP);
    say_ok(2);
    rig_fetch(&rig, "/");
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", other.port);
    assert_int_equal(rig_fetch(&rig, url)->error, 0);
    assert_int_equal(rig_fetch(&rig, "/")->error, 0);
    assert_int_equal(other.accepted, 1);
    assert_int_equal(rig.peer.accepted, 2);
    assert_int_equal(http_client_connections(rig.client), 1);
    peer_close(&other);
    rig_pass(&rig, 5);
    peer_finish(&other);
}

static void a_failed_connection_makes_room_for_the_queue(void **state)
{
    (void)state;
    rig.conf.max_connections = 1;
    peer_say(&rig.peer, "", PEER_RESET);
    peer_say(&rig.peer, "", PEER_CLOSE);
    say_ok(1);
    for (int i = 0; i < 3; i++)
        rig_get(&rig, "/");
    rig_run(&rig);
    assert_int_equal(rig.out[0].error, UV_ECONNRESET);
    assert_int_equal(rig.out[1].error, UV_EOF);
    assert_int_equal(rig.out[2].error, 0);
}

/* ---- the end ---- */

static void closing_cancels_every_call_wherever_it_stands(void **state)
{
    struct peer deaf;
    char tls[64];

    (void)state;
    peer_open(&deaf, &rig.loop, NULL, NULL);
    deaf.deaf = true;
    snprintf(tls, sizeof(tls), "https://127.0.0.1:%u/", deaf.port);
    rig.conf.max_connections = 4;
    peer_say(&rig.peer, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", PEER_KEEP);
    rig_get(&rig, "/");
    while (rig.peer.requests < 1)
        uv_run(&rig.loop, UV_RUN_ONCE);
    rig_get(&rig, "/");
    while (rig.peer.requests < 2)
        uv_run(&rig.loop, UV_RUN_ONCE);
    rig_get(&rig, tls);
    rig_pass(&rig, 10);
    rig_get(&rig, "http://localhost:1/");
    rig_get(&rig, "/");
    rig_get(&rig, "/");
    uv_run(&rig.loop, UV_RUN_NOWAIT);
    rig_get(&rig, "/"); /* not even looked at */
    peer_close(&deaf);
    assert_true(rig.done == 0 || (rig.done == 1 && rig.out[3].error == UV_ECONNREFUSED));
    rig_close(&rig);
    assert_int_equal(rig.out[0].phase, HTTP_PHASE_RECEIVE);
    assert_int_equal(rig.out[1].phase, HTTP_PHASE_WAIT);
    assert_int_equal(rig.out[2].phase, HTTP_PHASE_TLS);
    assert_int_equal(rig.out[6].phase, HTTP_PHASE_QUEUE);
    for (unsigned i = 0; i < rig.n; i++) {
        assert_true(i == 3 || rig.out[i].error == UV_ECANCELED);
        assert_int_equal(rig.out[i].sent, i < 2);
    }
    peer_finish(&deaf);
    rig_open(&rig, NULL);
}

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static bool gone;

static void close_client(struct outcome *o)
{
    struct http_call_conf conf = { .method = STR("GET"), .url = STR("http://127.0.0.1/") };

    if (!o->rig->client)
        return;
    http_client_close(o->rig->client, on_closed, &gone);
    assert_int_equal(http_client_call(o->rig->client, &conf, NULL, NULL, NULL), UV_ECANCELED);
    o->rig->client = NULL;
}

static void a_callback_may_close_the_client(void **state)
{
    (void)state;
    gone = false;
    rig.conf.max_connections = 2;
    say_ok(1);
    rig.on_done = close_client;
    for (int i = 0; i < 5; i++)
        rig_get(&rig, "/");
    rig_run(&rig);
    rig_pass(&rig, 5);
    assert_true(gone);
    for (int i = 1; i < 5; i++)
        assert_int_equal(rig.out[i].error, UV_ECANCELED);
}

static void a_client_that_did_nothing_closes(void **state)
{
    (void)state;
    rig_client(&rig);
}

static void many_calls_to_a_moody_peer_end_once_each(void **state)
{
    static const struct {
        const char *bytes;
        enum peer_then then;
        int error;
    } moods[] = {
        { OK, PEER_KEEP, 0 },
        { OK, PEER_KEEP, 0 },
        { "", PEER_RESET, UV_ECONNRESET },
        { "", PEER_CLOSE, UV_EOF },
        { "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", PEER_CLOSE, 0 },
        { "HTTP/1.1 200 OK\r\n\r\nok", PEER_CLOSE, 0 },
        { "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", PEER_CLOSE, UV_EOF },
        { "garbage\r\n\r\n", PEER_KEEP, UV_EPROTO },
    };
    unsigned want[4] = { 0 }, got[4] = { 0 };
    struct rng rng;

    (void)state;
    rng_seed(&rng, 7);
    rig.conf.max_connections = 4;
    for (int i = 0; i < PEER_LINES; i++) {
        uint64_t m = rng_below(&rng, sizeof(moods) / sizeof(*moods));

        peer_say(&rig.peer, moods[m].bytes, moods[m].then);
        want[moods[m].error == 0           ? 0
             : moods[m].error == UV_EOF    ? 1
             : moods[m].error == UV_EPROTO ? 2
                                           : 3]++;
        rig_get(&rig, "/");
    }
    rig_run(&rig);
    for (int i = 0; i < PEER_LINES; i++)
        got[rig.out[i].error == 0           ? 0
            : rig.out[i].error == UV_EOF    ? 1
            : rig.out[i].error == UV_EPROTO ? 2
                                            : 3]++;
    assert_int_equal(rig.peer.requests, PEER_LINES); /* each was sent exactly once */
    assert_memory_equal(want, got, sizeof(want));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_connection_serves_calls_one_after_the_other),
        TEST(a_peer_that_wants_to_close_is_not_used_again),
        TEST(calls_beyond_the_pool_wait_in_order),
        TEST(the_pool_opens_no_more_than_it_may),
        TEST(an_idle_connection_is_closed_after_a_while),
        TEST(a_close_of_an_idle_connection_is_noticed_at_once),
        TEST(a_connection_that_speaks_unasked_is_closed),
        TEST(a_close_that_was_not_read_yet_is_seen_before_reuse),
        TEST(an_answer_nobody_asked_for_is_never_taken_for_the_next_one),
        TEST(a_stale_connection_that_took_nothing_is_replaced),
        TEST(a_pooled_connection_reset_after_our_write_is_unknown_and_not_retried),
        TEST(a_pooled_connection_that_breaks_within_the_request_is_not_replaced),
        TEST(an_idle_connection_makes_room_for_another_place),
        TEST(a_failed_connection_makes_room_for_the_queue),
        TEST(closing_cancels_every_call_wherever_it_stands),
        TEST(a_callback_may_close_the_client),
        TEST(a_client_that_did_nothing_closes),
        TEST(many_calls_to_a_moody_peer_end_once_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
