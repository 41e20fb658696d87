/*
 * test_http_guard.c - the guards alone, and that llhttp was really compiled strict. What they do
 * together is in test_http_vectors.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include "base/buf.h"
#include "net/http_guard.h"
#include "net/http_reader.h"

/* ---- llhttp ---- */

static llhttp_errno_t parse(const char *text)
{
    static const llhttp_settings_t settings = { 0 };
    llhttp_t ll;

    llhttp_init(&ll, HTTP_REQUEST, &settings);
    return llhttp_execute(&ll, text, strlen(text));
}

static void llhttp_is_compiled_strict(void **state)
{
    (void)state;
    assert_int_equal(parse("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"), HPE_OK);
    /* the loose parser takes all of these */
    assert_int_equal(parse("GET / HTTP/1.1\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
                     HPE_CLOSED_CONNECTION);
    assert_int_not_equal(parse("GET / HTTP/1.1\r\nX:\rTransfer-Encoding: chunked\r\n\r\n"), HPE_OK);
    assert_int_not_equal(
        parse("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naXX0\r\n\r\n"), HPE_OK);
}

/* ---- gate ---- */

static int gate(const char *text, uint32_t max_bytes, uint32_t max_fields, bool trailer,
                size_t *taken)
{
    struct http_refusal no = { 0 };
    struct http_gate g;

    http_gate_init(&g, max_bytes, max_fields, trailer);
    *taken = http_gate_take(&g, text, strlen(text), &no);
    return no.status ? no.status : g.done;
}

static void the_gate_takes_a_head_and_not_a_byte_more(void **state)
{
    size_t n;

    (void)state;
    assert_int_equal(gate("GET / HTTP/1.1\r\nA: b\r\n\r\nbody", 100, 10, false, &n), true);
    assert_int_equal(n, 24);
    assert_int_equal(gate("\r\nGET /\r\n\r\n\r\n", 100, 10, false, &n), true);
    assert_int_equal(n, 11);
    assert_int_equal(gate("GET / HTTP/1.1\r\nA: b\r\n", 100, 10, false, &n), false);
    assert_int_equal(gate("\r\nGET /", 100, 10, true, &n), true);
    assert_int_equal(n, 2);
}

static void the_gate_refuses_what_only_looks_like_a_line(void **state)
{
    size_t n;

    (void)state; /* behind it others would refuse most of these as well: here it must be the gate */
    assert_int_equal(gate("GET /\r\nA: b\r\n c\r\n\r\n", 100, 10, false, &n), 400);
    assert_int_equal(n, 14);
    assert_int_equal(gate("\r\n\r\nGET /\r\n\r\n", 100, 10, false, &n), 400);
    assert_int_equal(n, 4);
    assert_int_equal(gate("GET /\n", 100, 10, false, &n), 400);
    assert_int_equal(gate("GET /\rA", 100, 10, false, &n), 400);
    assert_int_equal(gate("GET /\x1f", 100, 10, false, &n), 400);
    assert_int_equal(gate(" A", 100, 10, true, &n), 400);
}

static void the_gate_counts_bytes_lines_and_fields(void **state)
{
    size_t n;

    (void)state;
    assert_int_equal(gate("GET / HTTP/1.1\r\nA: b\r\n\r\n", 24, 1, false, &n), true);
    assert_int_equal(gate("GET / HTTP/1.1\r\nA: b\r\n\r\n", 23, 1, false, &n), 431);
    assert_int_equal(gate("GET / HTTP/1.1\r\nA: b\r\n\r\n", 10, 1, false, &n), 414);
    assert_int_equal(gate("GET / HTTP/1.1\r\nA: b\r\nC: d\r\n\r\n", 99, 1, false, &n), 431);
    assert_int_equal(gate("A: b\r\nC: d\r\n\r\n", 99, 1, true, &n), 431);
    assert_int_equal(gate("A: b\r\n\r\n", 7, 1, true, &n), 431);
}

/* ---- head ---- */

static struct http_refusal head(struct http_head *h, const char *text)
{
    static sl_header fields[100];
    static const char *const singletons[] = { "x-shopify-*", "idempotency-key", NULL };

    return http_head_read(h, str_of(text), fields, singletons);
}

#define EQ(view, text) assert_true(str_eq((view), str_of(text)))

static void a_head_is_taken_apart(void **state)
{
    struct http_head h;

    (void)state;
    assert_int_equal(head(&h,
                          "\r\nPOST /in/shop?x=1?y HTTP/1.1\r\nHost: a\r\nX-A: \t b c \r\n"
                          "Content-Length: 12\r\nExpect: 100-continue\r\n\r\n")
                         .status,
                     0);
    EQ(h.method, "POST");
    EQ(h.target, "/in/shop?x=1?y");
    EQ(h.path, "/in/shop");
    EQ(h.query, "x=1?y");
    assert_int_equal(h.n_headers, 4);
    EQ(h.headers[1].name, "X-A");
    EQ(h.headers[1].value, "b c");
    assert_true(h.has_length && h.length == 12 && !h.chunked);
    assert_true(h.keep_alive && h.expect_continue && h.minor == 1);
}

static void what_the_connection_does_next_depends_on_version_and_connection(void **state)
{
    static const struct {
        const char *version, *connection;
        bool keep;
    } cases[] = {
        { "1.1", "", true },
        { "1.1", "Connection: close\r\n", false },
        { "1.1", "Connection: x, CLOSE ,y\r\n", false },
        { "1.1", "Connection: closed\r\n", true },
        { "1.0", "", false },
        { "1.0", "Connection: Keep-Alive\r\n", true },
        { "1.0", "Connection: keep-alive, close\r\n", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf b = { 0 };
        struct http_head h;

        buf_printf(&b, "GET / HTTP/%s\r\nHost: a\r\n%s\r\n", cases[i].version, cases[i].connection);
        assert_int_equal(head(&h, b.data).status, 0);
        assert_int_equal(h.keep_alive, cases[i].keep);
        buf_finish(&b);
    }
}

static void a_refusal_says_why(void **state)
{
    struct http_head h;

    (void)state;
    assert_string_equal(head(&h, "GET / HTTP/1.1\r\n\r\n").why, "no Host");
    assert_string_equal(
        head(&h, "GET / HTTP/1.1\r\nHost: a\r\nX-Shopify-Topic: a\r\nX-SHOPIFY-TOPIC: b\r\n\r\n")
            .why,
        "header stands twice");
    assert_string_equal(head(&h, "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n").why,
                        "target is not a path");
}

static void a_length_and_a_coding_exclude_each_other(void **state)
{
    struct http_head h;

    (void)state; /* llhttp would refuse it as well: here it must be the guard */
    assert_string_equal(head(&h,
                             "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n")
                            .why,
                        "Content-Length with Transfer-Encoding");
    assert_string_equal(head(&h, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").why,
                        "Transfer-Encoding on HTTP/1.0");
}

static void trailers_may_not_frame(void **state)
{
    (void)state;
    assert_int_equal(http_trailers_check(STR("\r\n")).status, 0);
    assert_int_equal(http_trailers_check(STR("X: y\r\nZ:\r\n\r\n")).status, 0);
    assert_int_equal(http_trailers_check(STR("X: y\r\ncontent-LENGTH: 5\r\n\r\n")).status, 400);
    assert_int_equal(http_trailers_check(STR("X\r\n\r\n")).status, 400);
}

/* ---- budget ---- */

static struct http_refusal chunk(struct http_budget *b, uint64_t line, uint64_t size)
{
    struct http_refusal no = http_budget_line(b, line);

    if (!no.status)
        no = http_budget_chunk(b, size);
    if (!no.status && size > 0)
        no = http_budget_data(b, size + 2);
    return no;
}

static void a_budget_allows_so_many_chunks(void **state)
{
    struct http_budget b;

    (void)state;
    http_budget_init(&b, 1 << 20);
    for (int i = 0; i < HTTP_MAX_CHUNKS; i++)
        assert_int_equal(chunk(&b, 3, 1).status, 0);
    assert_int_equal(chunk(&b, 3, 1).status, 413);
}

static void a_budget_counts_what_is_not_body(void **state)
{
    struct http_budget b;

    (void)state;
    http_budget_init(&b, 1000); /* wire: 1,250 + 65,536 */
    assert_int_equal(chunk(&b, 3 + 1024, 1).status, 0);
    assert_int_equal(chunk(&b, 4, 16).status, 0);
    assert_int_equal(chunk(&b, 4, 1).status, 400); /* one byte too many for its size */
    http_budget_init(&b, 1000);
    assert_int_equal(chunk(&b, 6, 1001).status, 413);
    http_budget_init(&b, 1000);
    assert_int_equal(chunk(&b, 5, 999).status, 0);
    assert_int_equal(chunk(&b, 3, 2).status, 413);
    http_budget_init(&b, 1000);
    assert_int_equal(http_budget_data(&b, 66786).status, 0);
    assert_int_equal(http_budget_data(&b, 1).status, 413);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llhttp_is_compiled_strict),
        cmocka_unit_test(the_gate_takes_a_head_and_not_a_byte_more),
        cmocka_unit_test(the_gate_refuses_what_only_looks_like_a_line),
        cmocka_unit_test(the_gate_counts_bytes_lines_and_fields),
        cmocka_unit_test(a_head_is_taken_apart),
        cmocka_unit_test(what_the_connection_does_next_depends_on_version_and_connection),
        cmocka_unit_test(a_refusal_says_why),
        cmocka_unit_test(a_length_and_a_coding_exclude_each_other),
        cmocka_unit_test(trailers_may_not_frame),
        cmocka_unit_test(a_budget_allows_so_many_chunks),
        cmocka_unit_test(a_budget_counts_what_is_not_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
