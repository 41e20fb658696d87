/*
 * The bytes of answers alone: which are taken for what, whole and byte by byte.
 */
#include "../check.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>
#include "net/http_answer.h"

#define HEAD   "HTTP/1.1 200 OK\r\n"
#define MORE   0
#define WHOLE  1
#define CHUNKS HEAD "Transfer-Encoding: chunked\r\n\r\n"

struct row {
    const char *bytes;
    int r; /* what feeding says in the end */
    const char *body;
    size_t behind; /* bytes that do not belong to it */
    bool keep;
};

static const struct row good[] = {
    { HEAD "Content-Length: 3\r\n\r\nabc", WHOLE, "abc", 0, true },
    { HEAD "Content-Length: 3\r\n\r\nabcdef", WHOLE, "abc", 3, true },
    { HEAD "Content-Length: 0\r\n\r\nHTTP/1.1", WHOLE, "", 8, true },
    { HEAD "content-LENGTH:3\r\n\r\nabc", WHOLE, "abc", 0, true },
    { "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", WHOLE, "", 0, true },
    { "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", WHOLE, "", 0, true },
    { "HTTP/1.1 599 \xc3\xa9t\xc3\xa9\r\nContent-Length: 0\r\n\r\n", WHOLE, "", 0, true },
    { HEAD "X: \xff\xfe\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n", WHOLE, "", 0, true },
    { HEAD "Connection: close\r\nContent-Length: 1\r\n\r\nxyz", WHOLE, "x", 2, false },
    { HEAD "Connection: keep-alive,close\r\nContent-Length: 1\r\n\r\nx", WHOLE, "x", 0, false },
    { "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", WHOLE, "x", 0, false },
    { "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx", WHOLE, "x", 0,
      true },
    { CHUNKS "3\r\nabc\r\n0\r\n\r\n", WHOLE, "abc", 0, true },
    { CHUNKS "3\r\nabc\r\n0\r\n\r\nHTTP", WHOLE, "abc", 4, true },
    { CHUNKS "3;a=b\r\nabc\r\n00\r\n\r\n", WHOLE, "abc", 0, true },
    { CHUNKS "0\r\n\r\n", WHOLE, "", 0, true },
    { CHUNKS "1\r\nx\r\n0\r\nA: b\r\n\r\n", WHOLE, "x", 0, false },
    { HEAD "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", WHOLE, "", 0, true },
    { "HTTP/1.1 204 No Content\r\n\r\nHTTP", WHOLE, "", 4, true },
    { "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", WHOLE, "", 5, false },
    { "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", WHOLE, "", 0, false },
    { "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", WHOLE, "", 0, false },
    { "HTTP/1.1 100 Continue\r\n\r\n" HEAD "Content-Length: 1\r\n\r\nx", WHOLE, "x", 0, true },
    { "HTTP/1.1 103 Hints\r\nConnection: close\r\nLink: <a>\r\n\r\n" HEAD
      "Content-Length: 1\r\n\r\nx",
      WHOLE, "x", 0, true },
    { HEAD "\r\nup to the end", MORE, "up to the end", 0, false },
    { HEAD "Upgrade: h2c\r\nConnection: upgrade\r\n\r\nx", MORE, "x", 0, false },
    { HEAD "Content-Length: 4\r\n\r\nabc", MORE, "abc", 0, true },
    { CHUNKS "3\r\nabc\r\n0\r\n", MORE, "abc", 0, true },
    { "HTTP/1.1 2", MORE, "", 0, false },
    { "", MORE, "", 0, false },
};

static const char *const bad[] = {
    "\r\n" HEAD "Content-Length: 0\r\n\r\n",
    " HTTP/1.1 200 OK\r\n\r\n",
    "SSH-2.0",
    "<html>",
    "HTTP/2 200\r\n\r\n",
    "HTTP/0.9 200 OK\r\n\r\n",
    "HTTP/1.2 200 OK\r\n\r\n",
    "HTTP/1.10 200 OK\r\n\r\n",
    "http/1.1 200 OK\r\n\r\n",
    "ICY 200 OK\r\n\r\n",
    "HTTP/1.1\r\n\r\n",
    "HTTP/1.1 \r\n\r\n",
    "HTTP/1.1 20\r\n\r\n",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n",
    "HTTP/1.1 099 OK\r\n\r\n",
    "HTTP/1.1 600 OK\r\n\r\n",
    "HTTP/1.1 2x0 OK\r\n\r\n",
    "HTTP/1.1  200 OK\r\n\r\n",
    "HTTP/1.1\t200 OK\r\n\r\n",
    "HTTP/1.1 200 O\x01K\r\n\r\n",
    "HTTP/1.1 200 OK\n\n",
    "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\r\n\r\n",
    "HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n",
    HEAD "A: b\nContent-Length: 0\r\n\r\n",
    HEAD "A:\rContent-Length: 5\r\n\r\n",
    HEAD "A: b\r\n folded\r\nContent-Length: 0\r\n\r\n",
    HEAD "Content-Length:\r\n 3\r\n\r\nabc",
    HEAD "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    HEAD ": v\r\nContent-Length: 0\r\n\r\n",
    HEAD "no colon\r\nContent-Length: 0\r\n\r\n",
    HEAD "A : b\r\nContent-Length: 0\r\n\r\n",
    HEAD "A: \x01\r\nContent-Length: 0\r\n\r\n",
    HEAD "A: \x7f\r\nContent-Length: 0\r\n\r\n",
    HEAD "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    HEAD "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    HEAD "Content-Length: 3, 3\r\n\r\nabc",
    HEAD "Content-Length: +3\r\n\r\nabc",
    HEAD "Content-Length: -3\r\n\r\nabc",
    HEAD "Content-Length: 0x3\r\n\r\nabc",
    HEAD "Content-Length: 3 3\r\n\r\nabc",
    HEAD "Content-Length:\r\n\r\nabc",
    HEAD "Content-Length: 99999999999999999999\r\n\r\n",
    HEAD "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    HEAD "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    HEAD "Transfer-Encoding: identity\r\n\r\nabc",
    HEAD "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    HEAD "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    HEAD "Transfer-Encoding:\r\n\r\nabc",
    HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    CHUNKS "x\r\n",
    CHUNKS "-1\r\n",
    CHUNKS "0x3\r\nabc\r\n0\r\n\r\n",
    CHUNKS "3\nabc\r\n0\r\n\r\n",
    CHUNKS "3\r\nabcd\r\n0\r\n\r\n",
    CHUNKS "3\r\nabc0\r\n\r\n",
    CHUNKS "3\r\nabc\n0\r\n\r\n",
    CHUNKS "fffffffffffffffff\r\n",
    CHUNKS "\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\nabc",
    "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n\r\n" HEAD "Content-Length: 0\r\n\r\n",
};

/* In pieces of `step` bytes. Each is a heap copy of its own, so that a view kept into it shows. */
static int feed(struct http_answer *a, sl_str s, size_t step, size_t *ret_behind)
{
    size_t at = 0, used;
    int r = 0;

    http_answer_init(a, false, 4096, 1000);
    while (at < s.len && r == 0) {
        size_t n = s.len - at < step ? s.len - at : step;
        char *copy = malloc(n);

        memcpy(copy, s.ptr + at, n);
        r = http_answer_feed(a, copy, n, &used);
        free(copy);
        at += used;
        if (r == 0)
            assert_int_equal(used, n);
    }
    *ret_behind = s.len - at;
    return r;
}

static const size_t steps[] = { 100000, 1, 2, 3, 7 };

static void good_answers_are_understood_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        for (size_t k = 0; k < sizeof(steps) / sizeof(*steps); k++) {
            struct http_answer a;
            size_t behind;
            int r = feed(&a, str_of(good[i].bytes), steps[k], &behind);

            if (r != good[i].r || behind != good[i].behind || a.keep != good[i].keep ||
                !str_eq(buf_view(&a.body), str_of(good[i].body)))
                fail_msg("%s: %d \"%s\" keep=%d behind=%zu %s", good[i].bytes, r,
                         a.body.data ? a.body.data : "", a.keep, behind, a.why ? a.why : "");
            http_answer_finish(&a);
        }
    }
}

static void bad_answers_are_refused_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        for (size_t k = 0; k < sizeof(steps) / sizeof(*steps); k++) {
            struct http_answer a;
            size_t behind;
            int r = feed(&a, str_of(bad[i]), steps[k], &behind);

            if (r != UV_EPROTO || !a.why)
                fail_msg("%s: %d", bad[i], r);
            assert_int_equal(http_answer_feed(&a, "x", 1, &behind), UV_EPROTO); /* for ever */
            http_answer_finish(&a);
        }
    }
}

static void a_nul_is_refused_wherever_it_stands_in_the_head(void **state)
{
    static const char text[] = HEAD "Name: value\r\nContent-Length: 0\r\n\r\n";

    (void)state;
    for (size_t at = 0; at < sizeof(text) - 1; at++) {
        char copy[sizeof(text)];
        struct http_answer a;
        size_t behind;

        memcpy(copy, text, sizeof(text));
        copy[at] = '\0';
        if (feed(&a, (sl_str){ copy, sizeof(text) - 1 }, 100000, &behind) >= 0)
            fail_msg("accepted at %zu", at);
        http_answer_finish(&a);
    }
}

static void an_answer_to_head_ends_with_its_head(void **state)
{
    struct http_answer a;
    size_t used;

    (void)state;
    for (int i = 0; i < 2; i++) {
        sl_str text = i == 0 ? STR(HEAD "Content-Length: 5000\r\n\r\nx") : STR(HEAD "\r\nx");

        http_answer_init(&a, true, 4096, 10);
        assert_int_equal(http_answer_feed(&a, text.ptr, text.len, &used), 1);
        assert_int_equal(used, text.len - 1);
        assert_false(a.keep); /* a careless server may send the body all the same */
        http_answer_finish(&a);
    }
}

static void only_a_body_without_length_may_end_with_the_stream(void **state)
{
    struct http_answer a;
    size_t behind;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        if (feed(&a, str_of(good[i].bytes), 100000, &behind) == MORE)
            assert_int_equal(http_answer_eof(&a), a.by_close ? 1 : UV_EOF);
        http_answer_finish(&a);
    }
}

static void sizes_are_limited(void **state)
{
    static char big[6000];
    struct http_answer a;
    size_t behind;

    (void)state;
    assert_int_equal(feed(&a, STR(HEAD "Content-Length: 1001\r\n\r\n"), 1000, &behind), UV_E2BIG);
    http_answer_finish(&a);
    memset(big, 'x', sizeof(big) - 1);
    memcpy(big, HEAD "\r\n", 19);
    assert_int_equal(feed(&a, (sl_str){ big, 19 + 1000 }, 100, &behind), MORE);
    http_answer_finish(&a);
    assert_int_equal(feed(&a, (sl_str){ big, 19 + 1001 }, 100, &behind), UV_E2BIG);
    http_answer_finish(&a);
    big[17] = 'X';
    big[18] = ':';
    assert_int_equal(feed(&a, (sl_str){ big, 4096 }, 100, &behind), MORE);
    http_answer_finish(&a);
    assert_int_equal(feed(&a, (sl_str){ big, 4097 }, 100, &behind), UV_E2BIG);
    http_answer_finish(&a);
}

static void endless_chunk_framing_is_refused(void **state)
{
    static const char *const endless[] = { CHUNKS "1;", CHUNKS "0", CHUNKS "0\r\nA: " };
    char *big = malloc(300000);
    struct http_answer a;
    size_t behind;

    (void)state;
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(endless[i]);

        memset(big, i == 1 ? '0' : 'x', 300000);
        memcpy(big, endless[i], n);
        assert_int_equal(feed(&a, (sl_str){ big, 300000 }, 4096, &behind), UV_EPROTO);
        assert_in_range(behind, 300000 - 65536 - 8192, 300000 - 65536);
        http_answer_finish(&a);
    }
    free(big);
}

static void tiny_chunks_are_no_offence(void **state)
{
    struct buf b = { 0 };
    struct http_answer a;
    size_t used;

    (void)state;
    buf_cstr(&b, CHUNKS);
    for (int i = 0; i < 100000; i++)
        buf_cstr(&b, "1\r\nx\r\n");
    buf_cstr(&b, "0\r\n\r\n");
    http_answer_init(&a, false, 4096, 1000000);
    assert_int_equal(http_answer_feed(&a, b.data, b.len, &used), 1);
    assert_int_equal(a.body.len, 100000);
    http_answer_finish(&a);
    buf_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_answers_are_understood_however_they_are_cut),
        cmocka_unit_test(bad_answers_are_refused_however_they_are_cut),
        cmocka_unit_test(a_nul_is_refused_wherever_it_stands_in_the_head),
        cmocka_unit_test(an_answer_to_head_ends_with_its_head),
        cmocka_unit_test(only_a_body_without_length_may_end_with_the_stream),
        cmocka_unit_test(sizes_are_limited),
        cmocka_unit_test(endless_chunk_framing_is_refused),
        cmocka_unit_test(tiny_chunks_are_no_offence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
