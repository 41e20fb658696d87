/*
 * What the client makes of whole answers: framing, what is sent, and the interface.
 */
#include "../check.h"

#include <stdio.h>
#include <stdlib.h>
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

static void a_fixed_body_arrives_whole(void **state)
{
    struct outcome *o;

    (void)state;
    peer_say(&rig.peer, "HTTP/1.1 201 Created\r\nX-Test:  yes \r\nContent-Length: 5\r\n\r\nhello",
             PEER_KEEP);
    o = rig_fetch(&rig, "/a?b=c");
    assert_int_equal(o->error, 0);
    assert_int_equal(o->status, 201);
    assert_string_equal(o->body, "hello");
    assert_string_equal(o->x_test, "yes");
    assert_int_equal(o->n_headers, 2);
    assert_int_equal(o->phase, HTTP_PHASE_DONE);
    assert_true(o->sent);
    assert_false(o->reused);
    assert_non_null(strstr(rig.peer.heard.data, "GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:"));
    assert_null(strstr(rig.peer.heard.data, "Content-Length"));
}

static void a_chunked_body_is_decoded_and_its_trailers_dropped(void **state)
{
    struct outcome *o;

    (void)state;
    peer_say(&rig.peer,
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
             "3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-Test: no\r\n\r\n",
             PEER_KEEP);
    o = rig_fetch(&rig, "/");
    assert_int_equal(o->error, 0);
    assert_string_equal(o->body, "abc0123456789");
    assert_string_equal(o->x_test, "");
    assert_int_equal(http_client_connections(rig.client), 0); /* not reused after trailers */
}

static void a_body_up_to_the_close_is_accepted_from_a_clean_close(void **state)
{
    struct outcome *o;

    (void)state;
    peer_say(&rig.peer, "HTTP/1.0 200 OK\r\n\r\nto the end", PEER_CLOSE);
    o = rig_fetch(&rig, "/");
    assert_int_equal(o->error, 0);
    assert_string_equal(o->body, "to the end");
}

static void an_answer_to_head_has_no_body(void **state)
{
    struct outcome *o;

    (void)state;
    peer_say(&rig.peer, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", PEER_KEEP);
    o = rig_call(&rig, "HEAD", "/", (sl_str){ 0 });
    rig_run(&rig);
    assert_int_equal(o->error, 0);
    assert_int_equal(o->body_len, 0);
    assert_int_equal(http_client_connections(rig.client), 0);
}

static void a_204_and_a_304_have_no_body_and_keep_the_connection(void **state)
{
    struct outcome *o;

    (void)state;
    peer_say(&rig.peer, "HTTP/1.1 204 No Content\r\n\r\n", PEER_KEEP);
    peer_say(&rig.peer, "HTTP/1.1 304 Not Modified\r\n\r\n", PEER_KEEP);
    o = rig_fetch(&rig, "/");
    assert_int_equal(o->status, 204);
    o = rig_fetch(&rig, "/");
    assert_int_equal(o->status, 304);
    assert_true(o->reused);
    assert_int_equal(rig.peer.accepted, 1);
}

static void a_204_that_announces_a_body_ends_the_connection(void **state)
{
    struct outcome *o;

    (void)state;
    peer_say(&rig.peer, "HTTP/1.1 204 No Content\r\nContent-Length: 40\r\n\r\n", PEER_KEEP);
    o = rig_fetch(&rig, "/");
    assert_int_equal(o->error, 0);
    assert_int_equal(http_client_connections(rig.client), 0);
}

static void an_empty_body_is_whole_at_once(void **state)
{
    (void)state;
    peer_say(&rig.peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", PEER_KEEP);
    assert_int_equal(rig_fetch(&rig, "/")->error, 0);
    assert_int_equal(http_client_connections(rig.client), 1);
}

static void eight_interim_answers_are_skipped_and_the_ninth_is_too_many(void **state)
{
    char text[1024];
    struct outcome *o;

    (void)state;
    for (int n = 8; n <= 9; n++) {
        text[0] = '\0';
        for (int i = 0; i < n; i++)
            strcat(text, i % 2 ? "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
                               : "HTTP/1.1 100 Continue\r\n\r\n");
        strcat(text, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        peer_say(&rig.peer, text, PEER_KEEP);
        o = rig_fetch(&rig, "/");
        assert_int_equal(o->error, n == 8 ? 0 : UV_EPROTO);
        assert_int_equal(o->status, n == 8 ? 200 : 0);
        assert_true(o->sent);
    }
    assert_string_equal(o->why, "too many 1xx answers");
}

static void a_switch_of_protocols_is_an_error(void **state)
{
    struct outcome *o;

    (void)state;
    peer_say(&rig.peer, "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
             PEER_KEEP);
    o = rig_fetch(&rig, "/");
    assert_int_equal(o->error, UV_EPROTO);
    assert_int_equal(o->status, 0);
}

static void an_answer_may_come_byte_by_byte(void **state)
{
    static const char text[] =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    struct outcome *o;

    (void)state;
    peer_say_bytes(&rig.peer, text, sizeof(text) - 1, PEER_KEEP, true);
    o = rig_fetch(&rig, "/");
    assert_int_equal(o->error, 0);
    assert_string_equal(o->body, "hello");
    assert_int_equal(http_client_connections(rig.client), 1);
}

static void a_post_always_says_its_length(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        peer_say(&rig.peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", PEER_KEEP);
    rig_call(&rig, "POST", "/", (sl_str){ 0 });
    rig_run(&rig);
    assert_non_null(strstr(rig.peer.heard.data, "\r\nContent-Length: 0\r\n"));
    rig_call(&rig, "PATCH", "/", STR("{\"a\":1}"));
    rig_run(&rig);
    assert_non_null(strstr(rig.peer.heard.data, "\r\nContent-Length: 7\r\n\r\n{\"a\":1}"));
}

static void a_large_request_and_answer_pass_unchanged(void **state)
{
    size_t n = 6u << 20;
    char *big = malloc(n + 100);
    struct outcome *o;
    size_t head;

    (void)state;
    head = (size_t)snprintf(big, 100, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
    for (size_t i = 0; i < n; i++)
        big[head + i] = (char)(i * 7 + i / 251);
    peer_say_bytes(&rig.peer, big, head + n, PEER_KEEP, false);
    o = rig_call(&rig, "PUT", "/", (sl_str){ big + head, n });
    rig_run(&rig);
    assert_int_equal(o->error, 0);
    assert_int_equal(o->body_len, n);
    assert_memory_equal(rig.peer.heard.data + rig.peer.heard.len - n, big + head, n);
    assert_int_equal(http_client_connections(rig.client), 1);
    free(big);
}

static void headers_are_sent_as_given_and_ours_are_refused(void **state)
{
    static const char *const names[] = {
        "Host", "content-length", "Connection", "Transfer-Encoding", "a b", "", "x:", "n\r\nX: y"
    };
    static const char *const values[] = { "a\r\nX: y", "a\nb", "\x01", "\x7f" };
    sl_header h = { STR("X-Key"), STR("v\t1 \xc3\xa9") };
    struct http_call_conf conf = { .method = STR("GET"), .headers = &h, .n_headers = 1 };
    struct fail fail = { 0 };

    (void)state;
    rig_client(&rig);
    conf.url = str_of(rig.base);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        h.name = str_of(names[i]);
        assert_int_equal(http_client_call(rig.client, &conf, NULL, NULL, &fail), UV_EINVAL);
        assert_true(fail.text[0] != '\0');
    }
    h.name = STR("X-Key");
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        h.value = str_of(values[i]);
        assert_int_equal(http_client_call(rig.client, &conf, NULL, NULL, &fail), UV_EINVAL);
    }
    h.value = (sl_str){ "a\0b", 3 };
    assert_int_equal(http_client_call(rig.client, &conf, NULL, NULL, &fail), UV_EINVAL);
}

static void a_bad_method_or_url_is_refused_at_once(void **state)
{
    static const char *const methods[] = { "", "CONNECT", "G ET", "GET\r\n" };
    struct http_call_conf conf = { .url = STR("http://h/") };
    struct fail fail = { 0 };

    (void)state;
    rig_client(&rig);
    for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
        conf.method = str_of(methods[i]);
        assert_int_equal(http_client_call(rig.client, &conf, NULL, NULL, &fail), UV_EINVAL);
    }
    conf.method = STR("GET");
    conf.url = STR("ftp://h/");
    assert_int_equal(http_client_call(rig.client, &conf, NULL, NULL, &fail), UV_EINVAL);
    assert_non_null(strstr(fail.text, "https://"));
}

static void again(struct outcome *o)
{
    if (o->rig->n < 5)
        rig_get(o->rig, "/"); /* asserts that no callback runs inside */
}

static void a_call_from_a_callback_is_no_recursion(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        peer_say(&rig.peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", PEER_KEEP);
    rig.on_done = again;
    rig_get(&rig, "/");
    while (rig.done < 5)
        uv_run(&rig.loop, UV_RUN_ONCE);
    for (int i = 0; i < 5; i++)
        assert_int_equal(rig.out[i].error, 0);
    assert_int_equal(rig.peer.accepted, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_fixed_body_arrives_whole),
        TEST(a_chunked_body_is_decoded_and_its_trailers_dropped),
        TEST(a_body_up_to_the_close_is_accepted_from_a_clean_close),
        TEST(an_answer_to_head_has_no_body),
        TEST(a_204_and_a_304_have_no_body_and_keep_the_connection),
        TEST(a_204_that_announces_a_body_ends_the_connection),
        TEST(an_empty_body_is_whole_at_once),
        TEST(eight_interim_answers_are_skipped_and_the_ninth_is_too_many),
        TEST(a_switch_of_protocols_is_an_error),
        TEST(an_answer_may_come_byte_by_byte),
        TEST(a_post_always_says_its_length),
        TEST(a_large_request_and_answer_pass_unchanged),
        TEST(headers_are_sent_as_given_and_ours_are_refused),
        TEST(a_bad_method_or_url_is_refused_at_once),
        TEST(a_call_from_a_callback_is_no_recursion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
