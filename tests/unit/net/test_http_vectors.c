/*
 * test_http_vectors.c - every vector through a real server: whole, byte by byte, and cut at random
 * places. The verdict must be the same each time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base/rng.h"
#include "http_peer.h"
#include "http_vectors.h"

#define CUTS_SEED   20261120
#define RANDOM_RUNS 5

static void build(const struct http_vector *v, struct buf *ret)
{
    buf_append(ret, v->bytes, v->len);
    for (unsigned i = 0; i < v->times; i++)
        buf_cstr(ret, v->repeat);
    buf_cstr(ret, v->rest ? v->rest : "");
    assert_false(ret->failed);
}

/* Does the vector end with the server's refusal? Then the server must close by itself. */
static bool ends_refused(const struct http_vector *v)
{
    size_t len = strlen(v->answers);

    return len >= 3 && v->answers[len - 3] >= '4';
}

static void send_cut(struct rig *g, struct peer *p, sl_str bytes, struct rng *rng, size_t max_piece)
{
    size_t at = 0;

    while (at < bytes.len) {
        size_t n = max_piece == SIZE_MAX ? bytes.len
                                         : 1 + (size_t)rng_below(rng, max_piece); /* 1: bytewise */

        if (n > bytes.len - at)
            n = bytes.len - at;
        if (!peer_send(p, g, bytes.ptr + at, n))
            return; /* refused and closed: what the server said decides */
        at += n;
    }
}

static int n_wrong; /* all of them are listed before the test fails */

#define WRONG(fmt, ...)                                             \
    do {                                                            \
        print_error("%s, %s: " fmt "\n", v->why, how, __VA_ARGS__); \
        n_wrong++;                                                  \
    } while (0)

static void check(struct rig *g, const struct http_vector *v, const struct peer *p, const char *how)
{
    char statuses[64];
    sl_str seen = str_trim(buf_view(&g->seen));

    peer_statuses(p, statuses, sizeof(statuses));
    if (strcmp(statuses, v->answers) != 0)
        WRONG("answered \"%s\" (%s), expected \"%s\"", statuses,
              g->refused_why ? g->refused_why : "", v->answers);
    if (v->seen && !str_eq(seen, str_of(v->seen)))
        WRONG("the handler saw \"" STR_FMT "\"", STR_ARG(seen));
    if (g->heads != g->ends + g->gones)
        WRONG("%d heads, %d ends, %d gone", g->heads, g->ends, g->gones);
    if (g->refusals != ends_refused(v))
        WRONG("%d refusals reported", g->refusals);
}

static void run_one(struct rig *g, const struct http_vector *v, sl_str bytes, struct rng *rng,
                    size_t max_piece, const char *how)
{
    struct peer p;

    g->heads = g->ends = g->gones = g->refusals = 0;
    g->refused_why = NULL;
    buf_clear(&g->seen);
    peer_connect(&p, g);
    send_cut(g, &p, bytes, rng, max_piece);
    if (!ends_refused(v))
        shutdown(p.fd, SHUT_WR);
    peer_expect_eof(&p, g);
    check(g, v, &p, how);
    peer_close(&p);
    rig_until_connections(g, 0);
}

static void run_all(size_t max_piece, unsigned runs, const char *how)
{
    struct http_server_conf conf;
    struct rng rng;
    struct rig g;

    rig_defaults(&conf);
    conf.max_body_bytes = 4096;
    rig_open(&g, &conf);
    n_wrong = 0;
    rng_seed(&rng, CUTS_SEED);
    for (size_t i = 0; i < n_http_vectors; i++) {
        struct buf bytes = { 0 };

        build(&http_vectors[i], &bytes);
        for (unsigned run = 0; run < runs; run++)
            run_one(&g, &http_vectors[i], buf_view(&bytes), &rng, max_piece, how);
        buf_finish(&bytes);
    }
    rig_finish(&g);
    assert_int_equal(n_wrong, 0);
}

static void every_vector_is_judged_right_when_it_arrives_whole(void **state)
{
    (void)state;
    run_all(SIZE_MAX, 1, "whole");
}

static void every_vector_is_judged_the_same_byte_by_byte(void **state)
{
    (void)state;
    run_all(1, 1, "byte by byte");
}

static void every_vector_is_judged_the_same_cut_at_random_places(void **state)
{
    (void)state;
    run_all(40, RANDOM_RUNS, "small random cuts");
    run_all(2000, RANDOM_RUNS, "large random cuts");
}

static void there_are_enough_vectors_and_no_name_stands_twice(void **state)
{
    (void)state;
    assert_true(n_http_vectors >= 150);
    for (size_t i = 0; i < n_http_vectors; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(http_vectors[i].why, http_vectors[j].why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_are_enough_vectors_and_no_name_stands_twice),
        cmocka_unit_test(every_vector_is_judged_right_when_it_arrives_whole),
        cmocka_unit_test(every_vector_is_judged_the_same_byte_by_byte),
        cmocka_unit_test(every_vector_is_judged_the_same_cut_at_random_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
