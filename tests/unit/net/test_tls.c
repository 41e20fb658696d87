/*
 * TLS: whom the client believes, what it refuses, and how a connection may end.
 */
#include "../check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "client_rig.h"
#include "pki.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct pki pki;
static struct rig rig;
static SSL_CTX *server;

static void serve(const struct cert *cert, const char *host)
{
    server = pki_server(&pki, cert);
    rig_open(&rig, server);
    rig.conf.ca_file = pki.ca_file;
    snprintf(rig.base, sizeof(rig.base), "https://%s:%u", host, rig.peer.port);
}

static void serve_good(void)
{
    serve(&(struct cert){ .cn = "x", .san = "DNS:localhost", .from_s = -60, .to_s = 3600 },
          "localhost");
}

static void stop(void)
{
    rig_close(&rig);
    SSL_CTX_free(server);
}

static void a_good_certificate_is_believed_and_sni_sent(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct outcome *o;

        serve_good();
        SSL_CTX_set_max_proto_version(server, versions[i]);
        peer_say(&rig.peer, OK, PEER_KEEP);
        peer_say(&rig.peer, OK, PEER_KEEP);
        o = rig_fetch(&rig, "/");
        if (o->error)
            fail_msg("%s: %s", uv_err_name(o->error), o->why);
        assert_string_equal(o->body, "ok");
        assert_true(o->sent);
        assert_string_equal(rig.peer.sni, "localhost");
        o = rig_fetch(&rig, "/");
        assert_int_equal(o->error, 0);
        assert_true(o->reused);
        assert_int_equal(rig.peer.handshakes, 1);
        stop();
        assert_int_equal(rig.peer.requests, 2);
    }
}

static void a_client_that_closes_says_so(void **state)
{
    (void)state;
    serve_good();
    rig.conf.idle_ms = 20;
    peer_say(&rig.peer, OK, PEER_KEEP);
    rig_fetch(&rig, "/");
    rig_pass(&rig, 60);
    assert_int_equal(rig.peer.notified, 1);
    stop();
}

/* One row of the certificate matrix. `why`: what the operator reads; NULL: it is believed. */
static void meet(const struct cert *cert, const char *host, const char *why)
{
    struct outcome *o;

    serve(cert, host);
    peer_say(&rig.peer, OK, PEER_KEEP);
    o = rig_fetch(&rig, "/");
    if (!why) {
        if (o->error)
            fail_msg("%s for %s: %s", cert->san, host, o->why);
    } else {
        if (o->error != HTTP_E_TLS || !strstr(o->why, why))
            fail_msg("%s for %s: %d \"%s\"", cert->san ? cert->san : "-", host, o->error, o->why);
        assert_int_equal(o->phase, HTTP_PHASE_TLS);
        assert_false(o->sent);
        assert_int_equal(rig.peer.heard.len, 0);
    }
    stop();
}

static void the_name_must_fit(void **state)
{
    static const struct {
        const char *san, *host, *why;
    } table[] = {
        { "DNS:localhost", "localhost", NULL },
        { "DNS:LOCALHOST", "LocalHost", NULL },
        { "DNS:other.example,DNS:localhost", "localhost", NULL },
        { "DNS:other.example", "localhost", "ostname mismatch" },
        { "DNS:*", "localhost", "ostname mismatch" },
        { "DNS:*.shop.test", "api.shop.test", NULL },
        { "DNS:*.shop.test", "a.b.shop.test", "ostname mismatch" },
        { "DNS:*.shop.test", "shop.test", "ostname mismatch" },
        { "DNS:a*.shop.test", "api.shop.test", "ostname mismatch" },
        { "DNS:*i.shop.test", "api.shop.test", "ostname mismatch" },
        { "DNS:localhost.example", "localhost", "ostname mismatch" },
        { "IP:127.0.0.1", "localhost", "ostname mismatch" },
        { "IP:127.0.0.1", "127.0.0.1", NULL },
        { "IP:127.0.0.2", "127.0.0.1", "IP address mismatch" },
        { "DNS:127.0.0.1", "127.0.0.1", "IP address mismatch" },
        { "DNS:localhost", "127.0.0.1", "IP address mismatch" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        meet(&(struct cert){ .cn = "x", .san = table[i].san, .from_s = -60, .to_s = 3600 },
             table[i].host, table[i].why);
}

static void a_common_name_does_not_replace_another_name(void **state)
{
    (void)state;
    meet(&(struct cert){ .cn = "localhost", .san = "DNS:a.example", .from_s = -60, .to_s = 3600 },
         "localhost", "ostname mismatch");
}

static void the_time_must_fit(void **state)
{
    (void)state;
    meet(&(struct cert){ .cn = "x", .san = "DNS:localhost", .from_s = -7200, .to_s = -3600 },
         "localhost", "certificate has expired (10)");
    meet(&(struct cert){ .cn = "x", .san = "DNS:localhost", .from_s = 3600, .to_s = 7200 },
         "localhost", "not yet valid");
}

static void the_issuer_must_be_trusted(void **state)
{
    (void)state;
    meet(&(struct cert){ .cn = "x", .san = "DNS:localhost", .to_s = 3600, .self_signed = 1 },
         "localhost", "self-signed certificate (18)");
}

static void the_systems_roots_do_not_know_the_tests_root(void **state)
{
    struct outcome *o;

    (void)state;
    serve_good();
    rig.conf.ca_file = NULL;
    o = rig_fetch(&rig, "/");
    assert_int_equal(o->error, HTTP_E_TLS);
    assert_non_null(strstr(o->why, "(20)"));
    assert_false(o->sent);
    stop();
}

static void no_address_is_sent_as_a_name(void **state)
{
    (void)state;
    serve(&(struct cert){ .cn = "x", .san = "IP:127.0.0.1", .from_s = -60, .to_s = 3600 },
          "127.0.0.1");
    peer_say(&rig.peer, OK, PEER_KEEP);
    assert_int_equal(rig_fetch(&rig, "/")->error, 0);
    assert_string_equal(rig.peer.sni, "");
    stop();
}

static void old_versions_are_refused(void **state)
{
    struct outcome *o;

    (void)state;
    serve_good();
    SSL_CTX_set_security_level(server, 0);
    SSL_CTX_set_min_proto_version(server, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(server, TLS1_1_VERSION);
    o = rig_fetch(&rig, "/");
    assert_int_equal(o->error, HTTP_E_TLS);
    assert_int_equal(o->phase, HTTP_PHASE_TLS);
    assert_false(o->sent);
    assert_non_null(strstr(o->why, "protocol version"));
    stop();
}

static void a_peer_without_tls_is_refused(void **state)
{
    struct outcome *o;

    (void)state;
    rig_open(&rig, NULL);
    rig.peer.greets = "HTTP/1.1 400 Bad Request\r\n\r\n";
    snprintf(rig.base, sizeof(rig.base), "https://127.0.0.1:%u", rig.peer.port);
    o = rig_fetch(&rig, "/");
    assert_int_equal(o->error, HTTP_E_TLS);
    assert_false(o->sent);
    rig_close(&rig);
}

static void a_reset_or_close_in_the_handshake_sent_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct outcome *o;

        serve_good();
        rig.peer.resets = i == 0;
        rig.peer.closes = i == 1;
        o = rig_fetch(&rig, "/");
        assert_int_not_equal(o->error, 0);
        assert_true(o->phase == HTTP_PHASE_TLS || o->phase == HTTP_PHASE_CONNECT);
        assert_false(o->sent);
        stop();
    }
}

static void a_body_up_to_the_close_needs_close_notify(void **state)
{
    struct outcome *o;

    (void)state;
    serve_good();
    peer_say(&rig.peer, "HTTP/1.1 200 OK\r\n\r\nall of it", PEER_CLOSE);
    peer_say(&rig.peer, "HTTP/1.1 200 OK\r\n\r\nall of", PEER_CUT);
    peer_say(&rig.peer, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
             PEER_CUT);
    o = rig_fetch(&rig, "/");
    assert_int_equal(o->error, 0);
    assert_string_equal(o->body, "all of it");
    o = rig_fetch(&rig, "/");
    assert_int_equal(o->error, UV_EOF);
    assert_true(o->sent);
    assert_non_null(strstr(o->why, "close_notify"));
    assert_int_equal(rig_fetch(&rig, "/")->error, 0); /* its length says that it is whole */
    stop();
}

static void a_reset_after_the_request_is_unknown_with_tls_too(void **state)
{
    struct outcome *o;

    (void)state;
    serve_good();
    peer_say(&rig.peer, "", PEER_RESET);
    o = rig_fetch(&rig, "/");
    assert_int_equal(o->error, UV_ECONNRESET);
    assert_int_equal(o->phase, HTTP_PHASE_WAIT);
    assert_true(o->sent);
    stop();
}

static void close_notify_ends_an_idle_connection(void **state)
{
    (void)state;
    serve_good();
    peer_say(&rig.peer, OK, PEER_KEEP);
    rig_fetch(&rig, "/");
    assert_int_equal(http_client_connections(rig.client), 1);
    peer_drop(&rig.peer, PEER_CLOSE);
    rig_pass(&rig, 20);
    assert_int_equal(http_client_connections(rig.client), 0);
    stop();
}

static void a_large_request_and_answer_pass_unchanged(void **state)
{
    size_t n = 3u << 20, head;
    char *big = malloc(n + 100);
    struct outcome *o;

    (void)state;
    serve_good();
    head = (size_t)snprintf(big, 100, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
    for (size_t i = 0; i < n; i++)
        big[head + i] = (char)(i * 7 + i / 251);
    peer_say_bytes(&rig.peer, big, head + n, PEER_KEEP, false);
    o = rig_call(&rig, "PUT", "/", (sl_str){ big + head, n });
    rig_run(&rig);
    assert_int_equal(o->error, 0);
    assert_int_equal(o->body_len, n);
    assert_memory_equal(rig.peer.heard.data + rig.peer.heard.len - n, big + head, n);
    stop();
    free(big);
}

static void an_answer_may_come_in_records_of_one_byte(void **state)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    (void)state;
    serve_good();
    peer_say_bytes(&rig.peer, text, sizeof(text) - 1, PEER_KEEP, true);
    assert_string_equal(rig_fetch(&rig, "/")->body, "hello");
    stop();
}

static void a_client_closed_in_the_handshake_leaves_nothing(void **state)
{
    (void)state;
    serve_good();
    rig.peer.deaf = true;
    rig_get(&rig, "/");
    rig_pass(&rig, 20);
    stop();
    assert_int_equal(rig.out[0].error, UV_ECANCELED);
    assert_int_equal(rig.out[0].phase, HTTP_PHASE_TLS);
}

static void a_bad_ca_file_is_named(void **state)
{
    struct http_client_conf conf;
    struct http_client *c = NULL;
    struct fail fail = { 0 };
    char path[] = "/tmp/sluice-test-bad-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    http_client_defaults(&conf);
    conf.ca_file = "/nonexistent/ca.pem";
    assert_int_equal(http_client_open(&c, uv_default_loop(), &conf, &fail), HTTP_E_TLS);
    assert_non_null(strstr(fail.text, "/nonexistent/ca.pem"));
    assert_int_equal(write(fd, "no pem\n", 7), 7);
    conf.ca_file = path;
    assert_int_equal(http_client_open(&c, uv_default_loop(), &conf, &fail), HTTP_E_TLS);
    assert_non_null(strstr(fail.text, path));
    assert_null(c);
    close(fd);
    unlink(path);
    assert_int_equal(uv_loop_close(uv_default_loop()), 0);
}

static int open_pki(void **state)
{
    (void)state;
    pki_open(&pki);
    return 0;
}

static int close_pki(void **state)
{
    (void)state;
    pki_close(&pki);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_certificate_is_believed_and_sni_sent),
        cmocka_unit_test(a_client_that_closes_says_so),
        cmocka_unit_test(the_name_must_fit),
        cmocka_unit_test(a_common_name_does_not_replace_another_name),
        cmocka_unit_test(the_time_must_fit),
        cmocka_unit_test(the_issuer_must_be_trusted),
        cmocka_unit_test(the_systems_roots_do_not_know_the_tests_root),
        cmocka_unit_test(no_address_is_sent_as_a_name),
        cmocka_unit_test(old_versions_are_refused),
        cmocka_unit_test(a_peer_without_tls_is_refused),
        cmocka_unit_test(a_reset_or_close_in_the_handshake_sent_nothing),
        cmocka_unit_test(a_body_up_to_the_close_needs_close_notify),
        cmocka_unit_test(a_reset_after_the_request_is_unknown_with_tls_too),
        cmocka_unit_test(close_notify_ends_an_idle_connection),
        cmocka_unit_test(a_large_request_and_answer_pass_unchanged),
        cmocka_unit_test(an_answer_may_come_in_records_of_one_byte),
        cmocka_unit_test(a_client_closed_in_the_handshake_leaves_nothing),
        cmocka_unit_test(a_bad_ca_file_is_named),
    };

    return cmocka_run_group_tests(tests, open_pki, close_pki);
}
