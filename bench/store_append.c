/*
 * store_append.c - how many receipts a second does the store make durable?
 *
 *   store_append [directory [seconds [outstanding [body bytes]]]]
 *
 * Receipts with a key each, a fixed number outstanding (as so many connections would keep), fsync
 * before each callback, the index following behind. Prints appends a second, the time from append
 * to callback, the size of the groups, and how far the index was behind at the end.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/digest.h"
#include "store/store.h"

#define OUTSTANDING_MOST 4096
#define SAMPLES_MOST     (4u << 20)

struct slot {
    struct store_append a;
    struct store_record r;
    uint64_t started_us;
};

static struct {
    uv_loop_t loop;
    struct store *s;
    struct slot slots[OUTSTANDING_MOST];
    char *body;
    size_t body_bytes;
    uint64_t sent, done, end_us;
    uint32_t *samples; /* us */
    size_t n_samples;
} bench;

static void on_durable(struct store_append *a, int status);

static void append(struct slot *slot)
{
    struct rec_receipt rec = { .received_ms = 1700000000000,
                               .endpoint = STR("acme-shop"),
                               .topic = STR("orders/paid"),
                               .body = { bench.body, bench.body_bytes } };
    uint8_t hash[DIGEST_SHA256];

    slot->r = (struct store_record){ .type = REC_RECEIPT, .n_keys = 1 };
    rec_receipt_encode(&slot->r.payload, &rec);
    bench.sent++;
    digest_sha256(&bench.sent, sizeof(bench.sent), hash);
    slot->r.keys = calloc(1, sizeof(*slot->r.keys));
    memcpy(slot->r.keys->hash, hash, sizeof(slot->r.keys->hash));
    slot->r.keys->refuse = true;
    slot->a = (struct store_append){ .records = &slot->r, .n = 1, .cb = on_durable };
    slot->started_us = clock_mono_us();
    if (store_append(bench.s, &slot->a, false) < 0) {
        fprintf(stderr, "append refused\n");
        exit(1);
    }
}

static void on_durable(struct store_append *a, int status)
{
    struct slot *slot = container_of(a, struct slot, a);
    uint64_t now = clock_mono_us();

    if (status < 0) {
        fprintf(stderr, "append failed: %s\n", uv_strerror(status));
        exit(1);
    }
    store_append_finish(a);
    bench.done++;
    if (bench.n_samples < SAMPLES_MOST)
        bench.samples[bench.n_samples++] = (uint32_t)(now - slot->started_us);
    if (now < bench.end_us)
        append(slot);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static double percentile_ms(double p)
{
    return bench.samples[(size_t)(p * (double)(bench.n_samples - 1))] / 1000.0;
}

int main(int argc, char **argv)
{
    struct store_conf conf;
    struct store_stats st;
    struct fail fail = { 0 };
    int seconds = argc > 2 ? atoi(argv[2]) : 10, outstanding = argc > 3 ? atoi(argv[3]) : 64;
    uint64_t started;
    double took_s;

    bench.body_bytes = argc > 4 ? (size_t)atoll(argv[4]) : 4096;
    bench.body = malloc(bench.body_bytes + 1);
    bench.samples = malloc(SAMPLES_MOST * sizeof(*bench.samples));
    if (!bench.body || !bench.samples || seconds < 1 || outstanding < 1 ||
        outstanding > OUTSTANDING_MOST)
        return 2;
    memset(bench.body, 'x', bench.body_bytes);
    store_defaults(&conf);
    conf.path = argc > 1 ? argv[1] : "bench-store";
    if (uv_loop_init(&bench.loop) < 0 || store_open(&bench.s, &bench.loop, &conf, &fail) < 0) {
        fprintf(stderr, "%s\n", fail.text);
        return 1;
    }
    started = clock_mono_us();
    bench.sent = started << 20; /* keys of this run alone */
    bench.end_us = started + (uint64_t)seconds * 1000000;
    for (int i = 0; i < outstanding; i++)
        append(&bench.slots[i]);
    uv_run(&bench.loop, UV_RUN_DEFAULT);
    took_s = (double)(clock_mono_us() - started) / 1e6;
    store_stats(bench.s, &st);
    qsort(bench.samples, bench.n_samples, sizeof(*bench.samples), by_value);
    printf(
        "%.0f appends/s (%d outstanding, %zu bytes, %.1f s), p50 %.2f, p99 %.2f, worst %.2f ms\n",
        (double)bench.done / took_s, outstanding, bench.body_bytes, took_s, percentile_ms(0.5),
        percentile_ms(0.99), percentile_ms(1));
    printf("%.1f records a group, commit %.2f ms mean %.2f ms worst, index %" PRIu64
           " records behind\n",
           (double)st.records / (double)st.commits,
           (double)st.commit_us_sum / (double)st.commits / 1000, (double)st.commit_us_max / 1000,
           st.log_seq - st.index_seq);
    store_close(bench.s, NULL, NULL);
    uv_run(&bench.loop, UV_RUN_DEFAULT);
    free(bench.body);
    free(bench.samples);
    return uv_loop_close(&bench.loop) == 0 ? 0 : 1;
}
