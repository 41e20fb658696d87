/*
 * test_timing.c - the time that a signature's check takes says nothing about how much of it was
 * right (as dudect does it: two classes in random order, Welch's t over what they took).
 *
 * 1e5 measurements and a loose bound, since other programs share the machine; SLUICE_LONG=1: 1e6,
 * and |t| below 4.5, which is where dudect begins to doubt.
 */
#include "../check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/digest.h"
#include "base/rng.h"

#define COMPARES 8 /* a measurement */

static uint8_t right[DIGEST_SHA256];
static struct hmac *keyed;

static uint64_t ticks(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_ia32_rdtsc();
#else
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
#endif
}

/* ---- what is measured; each gives whether it fits ---- */

static bool compare(const uint8_t *claimed)
{
    return digest_equal(right, sizeof(right), claimed, DIGEST_SHA256);
}

/* As intake does it with a body. */
static bool verify(const uint8_t *claimed)
{
    uint8_t mac[DIGEST_SHA256];

    if (hmac_begin(keyed) < 0)
        return false;
    hmac_update(keyed, "{\"id\":1}", 8);
    hmac_end(keyed, mac);
    return digest_equal(mac, sizeof(mac), claimed, DIGEST_SHA256);
}

/* The mistake: it stops at the first difference. */
static bool naive(const uint8_t *claimed)
{
    for (size_t i = 0; i < sizeof(right); i++)
        if (((const volatile uint8_t *)right)[i] != claimed[i])
            return false;
    return true;
}

/* ---- the test ---- */

struct sample {
    uint64_t took;
    bool nearly; /* all but the last byte is right; else none is */
};

static int by_time(const void *a, const void *b)
{
    uint64_t x = ((const struct sample *)a)->took, y = ((const struct sample *)b)->took;

    return x < y ? -1 : x > y;
}

/* Welch's t of the two classes, over the quickest part: what was interrupted says nothing. */
static double t_of(const struct sample *s, size_t n)
{
    double mean[2] = { 0 }, m2[2] = { 0 }, count[2] = { 0 };

    for (size_t i = 0; i < n; i++) {
        int c = s[i].nearly;
        double delta = (double)s[i].took - mean[c];

        count[c]++;
        mean[c] += delta / count[c];
        m2[c] += delta * ((double)s[i].took - mean[c]);
    }
    double spread = m2[0] / (count[0] - 1) / count[0] + m2[1] / (count[1] - 1) / count[1];
    return spread > 0 ? (mean[0] - mean[1]) / sqrt(spread) : 0;
}

static size_t measurements(void)
{
    return getenv("SLUICE_LONG") ? 1000000 : 100000;
}

static double measure(bool (*fn)(const uint8_t *), int repeat, size_t n)
{
    struct sample *s = calloc(n, sizeof(*s));
    struct rng rng;
    uint8_t claimed[2][DIGEST_SHA256]; /* both at one place, whichever class */
    volatile unsigned fits = 0;

    assert_non_null(s);
    rng_seed(&rng, 14);
    for (size_t i = 0; i < n; i++) {
        s[i].nearly = rng_next(&rng) & 1;
        for (size_t k = 0; k < DIGEST_SHA256; k++) {
            claimed[0][k] = (uint8_t)~right[k];
            claimed[1][k] = right[k];
        }
        claimed[1][DIGEST_SHA256 - 1] ^= 1;
        uint8_t mask = s[i].nearly ? 0xff : 0;
        for (size_t k = 0; k < DIGEST_SHA256; k++) /* without a branch on the class */
            claimed[0][k] = (uint8_t)((claimed[0][k] & ~mask) | (claimed[1][k] & mask));
        uint64_t from = ticks();
        for (int k = 0; k < repeat; k++)
            fits += fn(claimed[0]);
        s[i].took = ticks() - from;
    }
    CHECK_EQ(fits, 0);
    /* The classes are cut at the same time, so that the cut tells them not apart. */
    qsort(s, n, sizeof(*s), by_time);
    double t = t_of(s, n - n / 10);
    free(s);
    return t;
}

/* Of three tries the smallest: a leak shows in each, a busy machine does not. */
static double smallest(bool (*fn)(const uint8_t *), int repeat)
{
    double least = INFINITY;

    for (int i = 0; i < 3; i++) {
        double t = fabs(measure(fn, repeat, measurements()));

        least = t < least ? t : least;
    }
    print_message("|t| = %.2f\n", least);
    return least;
}

static double bound(void)
{
    return getenv("SLUICE_LONG") ? 4.5 : 8;
}

static void comparing_takes_as_long_for_a_signature_that_is_nearly_right(void **state)
{
    (void)state;
    CHECK(smallest(compare, COMPARES) < bound());
}

static void checking_takes_as_long_for_a_signature_that_is_nearly_right(void **state)
{
    (void)state;
    CHECK(smallest(verify, 1) < bound());
}

static void a_compare_that_stops_early_would_be_found(void **state)
{
    (void)state;
    CHECK(smallest(naive, COMPARES) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparing_takes_as_long_for_a_signature_that_is_nearly_right),
        cmocka_unit_test(checking_takes_as_long_for_a_signature_that_is_nearly_right),
        cmocka_unit_test(a_compare_that_stops_early_would_be_found),
    };
    int r;

    keyed = hmac_create("a secret", 8);
    hmac_begin(keyed);
    hmac_update(keyed, "{\"id\":1}", 8);
    hmac_end(keyed, right);
    r = cmocka_run_group_tests(tests, NULL, NULL);
    hmac_destroy(keyed);
    return r;
}
